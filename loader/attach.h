/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * XDP programs on devices: what is attached and whose it is, attaching ours by a pinned bpf_link,
 * never in the place of somebody else's. Loader only.
 */
#ifndef SVR_LOADER_ATTACH_H
#define SVR_LOADER_ATTACH_H

#include <stdbool.h>
#include <stdint.h>

#include "dispatcher.h"
#include "netdev.h"

struct svr_cli;
struct svr_image;

enum svr_attach_mode {
	SVR_ATTACH_NONE,
	SVR_ATTACH_NATIVE,
	SVR_ATTACH_SKB,
	SVR_ATTACH_OFFLOADED,
	SVR_ATTACH_SEVERAL, /* in hardware and in the driver */
};

enum { SVR_TAG_STRLEN = 17 }; /* 8 bytes in hex and a NUL */

struct svr_attached {
	enum svr_attach_mode mode;
	uint32_t prog_id;
	char prog_name[16];
	char tag[SVR_TAG_STRLEN];
	uint32_t link_id; /* bpf_link that holds it; 0: none, or not visible */
	bool ours; /* held by the pinned link of this router, or called by libxdp's dispatcher */
	struct svr_dispatched dispatcher; /* who shares the device */
};

/* How to attach. */
struct svr_attach_how {
	enum svr_attach_mode mode; /* NONE keeps the mode of our own program, native otherwise */
	bool force; /* take away one program that is not ours */
	bool dispatcher; /* through libxdp's dispatcher also where none is there yet */
};

const char *svr_attach_mode_name(enum svr_attach_mode mode);

/* What is on device @d. @router NULL: nothing is ours. 0 or negative errno. */
int svr_attach_query(const char *router, const struct svr_netdev *d, struct svr_attached *a);

/*
 * Error with what to do if a program is there that is not ours and may not be replaced. 0: go on.
 */
int svr_attach_check_foreign(struct svr_cli *cli, const struct svr_netdev *d,
			     const struct svr_attached *a, bool force);

/* Whether svr_attach_up() will go through libxdp's dispatcher, which loads the program itself. */
bool svr_attach_dispatched(const struct svr_attached *a, const struct svr_attach_how *how);

/**
 * svr_attach_up() - attach @image to @d, or put it in the place of our own program without losing
 * a packet.
 * @image: loaded, unless svr_attach_dispatched()
 * @replaced: set if our own program was replaced in place
 */
int svr_attach_up(struct svr_cli *cli, const char *router, const struct svr_netdev *d,
		  struct svr_image *image, const struct svr_attach_how *how, bool *replaced);

/*
 * Detaches our program from @device and removes its pins. 1: it was attached, 0: only pins or
 * nothing, negative errno.
 */
int svr_attach_down(struct svr_cli *cli, const char *router, const char *device);

/*
 * Device that our program is attached to: 0: none, or the device is gone. *@pinned: a pin is there.
 * *@prog_id may be NULL.
 */
uint32_t svr_attach_link_ifindex(const char *router, const char *device, bool *pinned,
				 uint32_t *prog_id);

#endif
