/* SPDX-License-Identifier: BSD-2-Clause */
/* Protected metadata: what this router sends about a session, and what it believes of a peer. */
#ifndef SVR_WORKER_METADATA_H
#define SVR_WORKER_METADATA_H

#include <stdbool.h>
#include <stdint.h>
#include <svr/maps.h>

#include "lib/meta.h"

struct svr_pkt;
struct svr_thread;

enum svr_metadata_kind {
	SVR_METADATA_SESSION, /* in front of a host's payload */
	SVR_METADATA_KEYS, /* of a key packet, which this router makes itself */
};

/**
 * svr_metadata_build() - block for the next packet of a session, encrypted for the peer.
 * @epoch: of the keys that the block tells of and the packet is signed with
 * Return: its length, or a negative drop reason (no-key).
 */
int svr_metadata_build(struct svr_thread *t, const struct svr_session *s, uint16_t epoch,
		       enum svr_metadata_kind kind, uint8_t out[static SVR_META_MAX]);

/* True if the block brings a session key just when the session encrypts. */
bool svr_metadata_keys_fit(const struct svr_meta *m, bool encrypted);

/**
 * svr_metadata_open() - authenticate and decrypt the block at the start of a payload.
 * @path: peer path that it came by
 * @dir: direction that the packet has to have
 * @live: session of the packet's flow, NULL: none. It keeps the key that it was made with,
 *	also when the peers have a newer one.
 * @m: header section is parsed already; filled. It may hold a session key: wipe it.
 * @key: peer key that it was signed with; wipe it
 * @window: time window that it was signed with
 * Nothing but the memory of nonces is changed. The payload section in the packet is wiped.
 * Return: 0 or a negative drop reason.
 */
int svr_metadata_open(struct svr_thread *t, struct svr_pkt *p, uint32_t path, uint8_t dir,
		      const struct svr_session *live, struct svr_meta *m, struct svr_peer_key *key,
		      uint64_t *window);

/*
 * What the receiver of a block in this direction needs in it. 0, -SVR_DROP_META_UNEXPECTED,
 * -SVR_DROP_META_INCOMPLETE.
 */
int svr_metadata_complete(const struct svr_meta *m, uint8_t dir);

#endif
