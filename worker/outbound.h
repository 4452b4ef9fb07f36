/* SPDX-License-Identifier: BSD-2-Clause */
/* LAN to peer: checks -> fits? -> metadata -> readdress | encrypt, tag | checksum -> WAN */
#ifndef SVR_WORKER_OUTBOUND_H
#define SVR_WORKER_OUTBOUND_H

#include <stdint.h>

struct svr_thread;
struct svr_work;

/*
 * A packet of the session in @slot from its host. 0: it goes on at its stage (SVR_STAGE_SEAL), or was
 * handed over; otherwise a negative drop reason.
 */
int svr_outbound(struct svr_thread *t, struct svr_work *w, uint32_t slot);
/* It is sealed: send it. 0 or a negative drop reason. */
int svr_outbound_finish(struct svr_thread *t, struct svr_work *w);

#endif
