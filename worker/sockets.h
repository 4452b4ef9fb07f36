/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sockets on the receive queues of all devices. Queue q of every device belongs to data thread
 * q mod n: a device can be bound to one UMEM per queue, so each thread has its own, and a packet
 * that came by one device leaves by the same queue of another without being copied. Where the other
 * device has no queue for the thread, see rawtx.h.
 *
 * The threads own their sockets; the main thread decides (zones.c) and has it done in them. A queue
 * that is busy is tried again with growing pauses.
 */
#ifndef SVR_WORKER_SOCKETS_H
#define SVR_WORKER_SOCKETS_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include <svr/limits.h>

struct json_object;
struct svr_worker;

struct svr_device {
	int ifindex;
	uint32_t queues;
	char name[IF_NAMESIZE];
};

/* What there should be. */
struct svr_plan {
	unsigned int n_devices;
	struct svr_device device[SVR_MAX_ZONES];
	struct {
		int ifindex; /* 0: no such zone */
		uint16_t vlan, outer_vlan;
	} zone[SVR_MAX_ZONES];
};

int svr_sockets_new(struct svr_worker *w); /* 0 or -ENOMEM */
void svr_sockets_free(struct svr_worker *w);

/* Is anything not as @p says? */
bool svr_sockets_differ(const struct svr_worker *w, const struct svr_plan *p);
/* Make it so, with as many threads as the queues are worth. */
void svr_sockets_apply(struct svr_worker *w, const struct svr_plan *p);
/* True if a queue has to be tried again soon. */
bool svr_sockets_missing(const struct svr_worker *w);
/* The configuration changed: whatever failed may work now, at once. */
void svr_sockets_retry_now(struct svr_worker *w);

unsigned int svr_sockets_count(const struct svr_worker *w);
/* True if all sockets are in zero-copy mode, false if there is none. */
bool svr_sockets_zerocopy(const struct svr_worker *w);
/* Queues of a device: thread, mode, what the kernel counts. */
struct json_object *svr_sockets_json(const struct svr_worker *w, int ifindex);

#endif
