/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Rows of svr_session_hmacs and svr_session_others: which are free, and who uses the others. Sessions name
 * their rows, so that all of this is found again after a restart. Under the lock of the sessions.
 *
 * If there is no row, a new session is refused, and new keys of one that is live wait.
 */
#ifndef SVR_WORKER_KEYROWS_H
#define SVR_WORKER_KEYROWS_H

#include <stdbool.h>
#include <stdint.h>
#include <svr/maps.h>

/* Offers of the keys in a row of svr_session_others. */
struct svr_offer {
	uint64_t ns; /* the last one, CLOCK_MONOTONIC */
	uint32_t count;
};

struct svr_keyrows {
	struct svr_session_hmac *hmacs; /* the mapped arrays, and their rows */
	struct svr_session_other *others;
	uint32_t n_hmacs, n_others;
	uint32_t *users; /* of each row of hmacs */
	uint16_t *next; /* row of the same peer, 0: no more */
	uint16_t *free_hmacs; /* stack */
	uint16_t *free_others; /* ring: a row rests as long as possible */
	uint32_t n_free_hmacs, n_free_others, free_others_head;
	struct svr_offer *offers; /* of each row of others */
	uint16_t of_peer[SVR_MAX_PEERS]; /* newest row of each */
};

/* Nothing is free yet, see svr_keyrows_adopted(). 0 or -ENOMEM. */
int svr_keyrows_init(struct svr_keyrows *kr, struct svr_session_hmac *hmacs, uint32_t n_hmacs,
		     struct svr_session_other *others, uint32_t n_others);
void svr_keyrows_free(struct svr_keyrows *kr);

/* ---- after a restart ----------------------------------------------------------------------- */

/*
 * A session that lives on: what a kill left half of its keys is removed, and its rows are in use. False
 * if it cannot live on; then no row is.
 */
bool svr_keyrows_adopt(struct svr_keyrows *kr, struct svr_session *s, uint32_t slot);
/* All @sessions that live on were named: all other rows are wiped and free. */
void svr_keyrows_adopted(struct svr_keyrows *kr, const struct svr_session *sessions);

/* ---- HMAC keys ----------------------------------------------------------------------------- */

/* Row of these keys, with one user more; 0: none is free. */
uint16_t svr_keyrows_hold(struct svr_keyrows *kr, uint32_t peer, uint32_t peer_key_index,
			  const uint8_t tx[static SVR_HMAC_KEY_LEN],
			  const uint8_t rx[static SVR_HMAC_KEY_LEN]);
/* One user less; the last one wipes. 0 is fine. */
void svr_keyrows_put(struct svr_keyrows *kr, uint16_t row);
/*
 * Few rows are left: sessions should not go on with keys of old peer keys, however long their own
 * keys may last.
 */
bool svr_keyrows_crowded(const struct svr_keyrows *kr);

/* ---- second epochs ------------------------------------------------------------------------- */

/* A free row, not offered yet. 0: there is none. */
uint16_t svr_keyrows_take_other(struct svr_keyrows *kr);
/* It is wiped, and nobody's. 0 is fine. */
void svr_keyrows_give_other(struct svr_keyrows *kr, uint16_t row);
/* All rows of a session that is over; its keys are wiped. */
void svr_keyrows_drop(struct svr_keyrows *kr, struct svr_session *s);

#endif
