/* SPDX-License-Identifier: BSD-2-Clause */
/* What metadata of the peer says about sessions: the one that it belongs to, or a new one. */
#ifndef SVR_WORKER_HANDSHAKE_H
#define SVR_WORKER_HANDSHAKE_H

#include <stdint.h>

#include "lib/meta.h"

struct svr_thread;
struct svr_work;

/**
 * svr_handshake() - authenticate, decrypt and obey the metadata of a packet.
 * @slot: session of the packet's flow, 0: none; becomes the session that it belongs to
 * @path: peer path that it came by
 * @m: its header section; filled, the caller wipes it
 * @epoch: of the keys that the block belongs to; an IV tells it better
 * w->in.window is the time window that it was signed with. Return: 0 or a negative drop reason.
 */
int svr_handshake(struct svr_thread *t, struct svr_work *w, uint32_t *slot, uint32_t path,
		  struct svr_meta *m, uint16_t *epoch);

#endif
