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

#include "lib/epoch.h"
#include "worker/keysets.h"

struct svr_meta;
struct svr_peer_key;
struct svr_thread;

/* ---- where they come from ------------------------------------------------------------------ */

/* Keys that are not any session's yet. */
struct svr_fresh_keys {
	struct svr_session_keys keys;
	uint8_t hmac_tx[SVR_HMAC_KEY_LEN], hmac_rx[SVR_HMAC_KEY_LEN];
};
/*
 * New keys from the newest peer key and, if the session encrypts, a random session key; wipe them. 0
 * or a negative drop reason.
 */
int svr_session_fresh_keys(struct svr_thread *t, const struct svr_session *s, uint16_t epoch,
			   struct svr_fresh_keys *out);
/*
 * The keys of verified metadata, @peer_key is what it was signed with. 0 or a negative drop reason.
 */
int svr_session_install(struct svr_thread *t, uint32_t slot, const struct svr_meta *m,
			const struct svr_peer_key *peer_key);
/* The same with @fresh keys of our own, see svr_epoch_install(). */
int svr_session_install_fresh(struct svr_thread *t, uint32_t slot,
			      const struct svr_fresh_keys *fresh, bool unconfirmed);

/*
 * A session key as TLV 46 has it, from the one of the session or the reverse, in place: under a
 * policy with static keys it is wrapped. 0 or a negative drop reason.
 */
int svr_session_key_wrap(const struct svr_thread *t, const struct svr_session *s, uint16_t epoch,
			 uint8_t key[static SVR_SESSION_KEY_LEN]);

/* This router sends under another epoch from now on: counts it. */
void svr_session_rekeyed(struct svr_thread *t, struct svr_session *s);

/* ---- what a slot has ----------------------------------------------------------------------- */

/* Epochs of a slot's keys. */
struct svr_epochs svr_session_epochs(const struct svr_thread *t, const struct svr_session *s);
/* A copy of the keys of @epoch, which the caller wipes. False: there are none. */
bool svr_session_keys_copy(struct svr_thread *t, const struct svr_session *s, uint16_t epoch,
			   struct svr_fresh_keys *out);
/* The older keys are forgotten if they are over. Under the lock. */
void svr_session_keys_retire(struct svr_thread *t, struct svr_session *s);

/* ---- ready for use (keysets.h) ------------------------------------------------------------- */

/*
 * Keys of an epoch of a live slot, made ready if they are not; NULL if it has none, or that fails. Valid
 * until the next call: who needs them longer takes a reference.
 */
struct svr_keyset *svr_session_keys(struct svr_thread *t, uint32_t slot, uint16_t epoch);
/* Between two rounds of a thread: wipes what it has of sessions that are over. */
void svr_session_keys_pass(struct svr_thread *t);
/* The session of @slot did not come to life. */
void svr_session_keys_drop(struct svr_thread *t, uint32_t slot);

#endif
