/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Keys of sessions: new ones, those of the peer's metadata, and what each thread makes of them for its
 * packets.
 */
#ifndef SVR_WORKER_SESSION_KEYS_H
#define SVR_WORKER_SESSION_KEYS_H

#include <stdbool.h>
#include <stdint.h>
#include <svr/maps.h>

#include "lib/crypt.h"

struct svr_meta;
struct svr_peer_key;
struct svr_thread;

/*
 * Keys of one epoch, ready for use. Counted: packets in work keep them while the session goes on to
 * others, or ends. Nothing in it changes but the count.
 */
struct svr_keyset {
	uint32_t refs; /* atomic */
	uint16_t epoch;
	struct svr_hmac_key *hmac_tx, *hmac_rx;
	struct svr_cipher_key *enc_tx, *enc_rx; /* NULL: the session does not encrypt */
};

/* What one thread adds to a slot; made at first use. */
struct svr_local {
	uint32_t generation; /* of the slot when it was made; 0: nothing here */
	uint32_t nexthop; /* where the LAN neighbour was found last; 0: not yet */
	__be32 lan_target[4]; /* the LAN neighbour */
	struct svr_keyset *keys[2]; /* of the slot's keys[]; NULL: not made */
};

/* ---- where they come from ------------------------------------------------------------------ */

/*
 * New keys from the newest peer key and, if the session encrypts, a random session key; wipe them. 0
 * or a negative drop reason.
 */
int svr_session_fresh_keys(struct svr_thread *t, const struct svr_session *s, uint16_t epoch,
			   struct svr_session_keys *out);
/*
 * The keys of verified metadata, @peer_key is what it was signed with. 0 or a negative drop reason.
 */
int svr_session_install(struct svr_thread *t, uint32_t slot, const struct svr_meta *m,
			const struct svr_peer_key *peer_key);
/* The same with @fresh keys of our own, see svr_epoch_install(). */
void svr_session_install_fresh(struct svr_thread *t, uint32_t slot,
			       const struct svr_session_keys *fresh, bool unconfirmed);

/*
 * A session key as TLV 46 has it, from the one of the session or the reverse, in place: under a
 * policy with static keys it is wrapped. 0 or a negative drop reason.
 */
int svr_session_key_wrap(const struct svr_thread *t, const struct svr_session *s, uint16_t epoch,
			 uint8_t key[static SVR_SESSION_KEY_LEN]);

/* This router sends under another epoch from now on: counts it. */
void svr_session_rekeyed(struct svr_thread *t, struct svr_session *s);

/* ---- ready for use ------------------------------------------------------------------------- */

/*
 * keys[@set] of a live slot, made if they are missing; NULL if that fails. The session holds them:
 * who needs them longer than until its next change takes a reference.
 */
struct svr_keyset *svr_session_keys(struct svr_thread *t, uint32_t slot, unsigned int set);
static inline struct svr_keyset *svr_keyset_get(struct svr_keyset *k)
{
	__atomic_add_fetch(&k->refs, 1, __ATOMIC_RELAXED);
	return k;
}
void svr_keyset_put(struct svr_keyset *k); /* the last one frees; NULL is fine */

int svr_session_locals_init(struct svr_thread *t); /* 0 or -ENOMEM */
void svr_session_locals_free(struct svr_thread *t);
/* Between two rounds of a thread: forgets the contexts of sessions that are over. */
void svr_session_locals_pass(struct svr_thread *t);
/* What this process knows of a live slot, made if it is missing. Never NULL. */
struct svr_local *svr_session_local(struct svr_thread *t, uint32_t slot);
/* Its session did not come to life. */
void svr_session_local_clear(struct svr_local *l);

#endif
