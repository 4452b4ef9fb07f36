/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * New keys for live sessions (docs/protocol.md section 7): the originating router offers them in
 * key packets of its own until the other one answers, and only then sends under them.
 */
#ifndef SVR_WORKER_REKEY_H
#define SVR_WORKER_REKEY_H

#include <stddef.h>
#include <stdint.h>

struct svr_pkt;
struct svr_talk;
struct svr_thread;
struct svr_work;

/*
 * From time to time for each live session: old keys are forgotten, new ones are made when they are
 * due, offered, and offered again. Under the lock of the sessions.
 */
void svr_rekey_look(struct svr_thread *t, uint32_t slot);

/*
 * Before each packet to the peer. A session whose packets still carry metadata needs no offer: it
 * just takes new keys along, so that it is always signed by a peer key that the peer still has.
 */
void svr_rekey_unheard(struct svr_thread *t, uint32_t slot);

/* The peer has sent something under the keys of @epoch: if those are the newest, it has them. */
void svr_rekey_confirm(struct svr_thread *t, uint32_t slot, uint16_t epoch);

/* Answer a verified offer. @w: the packet that brought it. 0 or a negative drop reason. */
int svr_rekey_answer(struct svr_thread *t, uint32_t slot, const struct svr_work *w);

/*
 * Remember what a TCP header of our own has to say. @p: to the peer, headers as the host sent them;
 * @ip_len: bytes that the host sent.
 */
void svr_rekey_note_tcp(struct svr_talk *talk, const struct svr_pkt *p, size_t ip_len);

#endif
