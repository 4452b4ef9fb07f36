/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Packets that came in pieces, and packets of clear sessions that have to leave in pieces. All of
 * it belongs to the main thread: fragments of one packet may arrive on any queue, and whoever sends
 * many of them must not hold up the data threads.
 *
 *   fragments, pieces -> reassembly -> \
 *   clear packet that does not fit ----> XDP program on the whole -> cut -> out
 *                                                               \-> protected: pipeline of forward.c
 */
#ifndef SVR_WORKER_WHOLE_H
#define SVR_WORKER_WHOLE_H

#include <stdbool.h>
#include <stdint.h>

#include "worker/cut.h"
#include "worker/mailbox.h"

struct svr_thread;
struct svr_work;
struct svr_worker;
struct json_object;

int svr_whole_new(struct svr_worker *w); /* 0 or negative errno */
void svr_whole_free(struct svr_worker *w);

/* A packet that waited for a next hop before the program could finish it: once more. */
void svr_whole_again(struct svr_worker *w, struct svr_letter *l);

/* ---- data threads -------------------------------------------------------------------------- */

/* Hand the frame as received over to the main thread. 0 or a negative drop reason. */
int svr_whole_post(struct svr_thread *t, const struct svr_work *w, enum svr_letter_kind kind);

/*
 * May this packet of a host, as received, be cut by a router? If it was put together, that is known
 * already.
 */
bool svr_whole_may_cut(const struct svr_work *w);

/**
 * svr_whole_send_pieces() - finished session packet to a peer, in pieces of at most @limit bytes.
 * @host: the host's packet before anything was changed
 * Return: 0 or a negative drop reason.
 */
int svr_whole_send_pieces(struct svr_thread *t, struct svr_work *w, uint16_t zone,
			  const struct svr_nexthop *nh, uint16_t limit,
			  const struct svr_tlv_fragment *host);
/* Finished packet to a host, in fragments of at most @mtu bytes. */
int svr_whole_send_fragments(struct svr_thread *t, struct svr_work *w, uint16_t zone,
			     const struct svr_nexthop *nh, uint16_t mtu);
/* The same for a packet that waited for @nh (SVR_LETTER_SEND). */
int svr_whole_send_held(struct svr_thread *t, const struct svr_letter *l,
			const struct svr_nexthop *nh);
/* TLV 1 of what will be made of this packet of a host, the identification at random. */
int svr_whole_tlv(struct svr_thread *t, const struct svr_work *w, struct svr_tlv_fragment *out);

#endif
