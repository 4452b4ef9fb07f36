/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Checks of the machine and of devices: `svr doctor` prints all of them, `svr link set` what is
 * wrong. Loader only.
 */
#ifndef SVR_LOADER_CHECKS_H
#define SVR_LOADER_CHECKS_H

#include <stdbool.h>
#include <stddef.h>

struct svr_netdev;

enum svr_check_status {
	SVR_CHECK_OK,
	SVR_CHECK_WARN,
	SVR_CHECK_FAIL,
};

enum svr_check_limits { SVR_CHECK_TEXT = 320 };

struct svr_check {
	enum svr_check_status status;
	const char *name; /* stable, for scripts: "bpffs", "veth-peer", ... */
	char device[16]; /* "": the machine */
	char text[SVR_CHECK_TEXT]; /* what was found */
	char fix[SVR_CHECK_TEXT]; /* exact command or step; "": nothing to do */
};

struct svr_checks {
	struct svr_check *list;
	unsigned int n, cap;
	const char *device; /* of the checks that follow; NULL: the machine */
	bool failed_alloc;
};

/* Adds a result; @fix NULL: nothing to do. Both may not hold '%' from outside. */
void svr_check_add(struct svr_checks *c, enum svr_check_status status, const char *name,
		   const char *fix, const char *fmt, ...) __attribute__((format(printf, 5, 6)));
void svr_checks_free(struct svr_checks *c);
const char *svr_check_status_name(enum svr_check_status status);

/* What could keep packets from passing through @d. @tagged: a VLAN is configured on it. */
/* Is the running kernel of that version or a later one? False if it does not say. */
bool svr_kernel_at_least(unsigned int major, unsigned int minor);
void svr_check_device(struct svr_checks *c, const struct svr_netdev *d, bool tagged);

#endif
