/* SPDX-License-Identifier: BSD-2-Clause */
/* Sessions that a host on our side opens. */
#ifndef SVR_WORKER_SESSION_ORIGINATE_H
#define SVR_WORKER_SESSION_ORIGINATE_H

#include <stdint.h>
#include <svr/maps.h>

struct svr_thread;
struct svr_work;

/*
 * Session of a packet from the LAN without a flow; the caller holds the lock since it looked for
 * one. 0 or a negative drop reason.
 */
int svr_session_originate(struct svr_thread *t, const struct svr_work *w,
			  const struct svr_flow6_key *lan, uint32_t *slot);

#endif
