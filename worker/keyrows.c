// SPDX-License-Identifier: BSD-2-Clause
/* Rows for keys: in use, free, and found again after a restart. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "lib/epoch.h"
#include "worker/keyrows.h"

enum { CROWDED_PARTS = 4 }; /* so many parts of the rows, and less than one of them is free */

int svr_keyrows_init(struct svr_keyrows *kr, struct svr_session_hmac *hmacs, uint32_t n_hmacs,
		     struct svr_session_other *others, uint32_t n_others)
{
	*kr = (struct svr_keyrows){
		.hmacs = hmacs,
		.others = others,
		.n_hmacs = n_hmacs,
		.n_others = n_others,
		.users = calloc(n_hmacs, sizeof(*kr->users)),
		.next = calloc(n_hmacs, sizeof(*kr->next)),
		.free_hmacs = calloc(n_hmacs, sizeof(*kr->free_hmacs)),
		.free_others = calloc(n_others, sizeof(*kr->free_others)),
		.offers = calloc(n_others, sizeof(*kr->offers)),
	};
	return kr->users && kr->next && kr->free_hmacs && kr->free_others && kr->offers ? 0 :
											 -ENOMEM;
}

void svr_keyrows_free(struct svr_keyrows *kr)
{
	free(kr->users);
	free(kr->next);
	free(kr->free_hmacs);
	free(kr->free_others);
	free(kr->offers);
	*kr = (struct svr_keyrows){ 0 };
}

/* ---- HMAC keys ----------------------------------------------------------------------------- */

static void hmac_link(struct svr_keyrows *kr, uint16_t row)
{
	uint16_t *first = &kr->of_peer[kr->hmacs[row].peer];

	kr->next[row] = *first;
	*first = row;
}

static void hmac_unlink(struct svr_keyrows *kr, uint16_t row)
{
	uint16_t *at = &kr->of_peer[kr->hmacs[row].peer];

	while (*at != row)
		at = &kr->next[*at];
	*at = kr->next[row];
}

static void hmac_wipe(struct svr_session_hmac *h)
{
	/* Nobody's first: a row is whole or nobody's, whenever the process ends */
	__atomic_store_n(&h->peer, 0, __ATOMIC_RELEASE);
	OPENSSL_cleanse(h, sizeof(*h));
}

static bool hmac_is(const struct svr_session_hmac *h, uint32_t peer_key_index,
		    const uint8_t tx[static SVR_HMAC_KEY_LEN],
		    const uint8_t rx[static SVR_HMAC_KEY_LEN])
{
	/* The number alone may come again with another configuration */
	return h->peer_key_index == peer_key_index &&
	       CRYPTO_memcmp(h->tx, tx, sizeof(h->tx)) == 0 &&
	       CRYPTO_memcmp(h->rx, rx, sizeof(h->rx)) == 0;
}

uint16_t svr_keyrows_hold(struct svr_keyrows *kr, uint32_t peer, uint32_t peer_key_index,
			  const uint8_t tx[static SVR_HMAC_KEY_LEN],
			  const uint8_t rx[static SVR_HMAC_KEY_LEN])
{
	struct svr_session_hmac *h;
	uint16_t row;

	if (peer == 0 || peer >= SVR_MAX_PEERS)
		return 0;
	for (row = kr->of_peer[peer]; row; row = kr->next[row]) {
		if (!hmac_is(&kr->hmacs[row], peer_key_index, tx, rx))
			continue;
		kr->users[row]++;
		return row;
	}
	if (kr->n_free_hmacs == 0)
		return 0;
	row = kr->free_hmacs[--kr->n_free_hmacs];
	h = &kr->hmacs[row];
	h->peer_key_index = peer_key_index;
	memcpy(h->tx, tx, sizeof(h->tx));
	memcpy(h->rx, rx, sizeof(h->rx));
	__atomic_store_n(&h->peer, peer, __ATOMIC_RELEASE);
	kr->users[row] = 1;
	hmac_link(kr, row);
	return row;
}

void svr_keyrows_put(struct svr_keyrows *kr, uint16_t row)
{
	if (!row || --kr->users[row] > 0)
		return;
	hmac_unlink(kr, row);
	hmac_wipe(&kr->hmacs[row]);
	kr->free_hmacs[kr->n_free_hmacs++] = row;
}

bool svr_keyrows_crowded(const struct svr_keyrows *kr)
{
	return kr->n_free_hmacs < kr->n_hmacs / CROWDED_PARTS;
}

/* ---- second epochs ------------------------------------------------------------------------- */

uint16_t svr_keyrows_take_other(struct svr_keyrows *kr)
{
	uint16_t row;

	if (kr->n_free_others == 0)
		return 0;
	row = kr->free_others[kr->free_others_head];
	kr->free_others_head = (kr->free_others_head + 1) % kr->n_others;
	kr->n_free_others--;
	kr->offers[row] = (struct svr_offer){ 0 };
	return row;
}

void svr_keyrows_give_other(struct svr_keyrows *kr, uint16_t row)
{
	if (!row)
		return;
	kr->free_others[(kr->free_others_head + kr->n_free_others) % kr->n_others] = row;
	kr->n_free_others++;
}

void svr_keyrows_drop(struct svr_keyrows *kr, struct svr_session *s)
{
	struct svr_epoch_freed freed;
	uint16_t hmac;

	if (s->other) {
		freed = svr_epoch_retire(s, kr->others);
		svr_keyrows_put(kr, freed.hmac);
		svr_keyrows_give_other(kr, freed.row);
	}
	hmac = s->keys.hmac;
	OPENSSL_cleanse(&s->keys, sizeof(s->keys));
	svr_keyrows_put(kr, hmac);
}

/* ---- after a restart ----------------------------------------------------------------------- */

static bool keys_sane(const struct svr_keyrows *kr, const struct svr_session *s,
		      const struct svr_session_keys *k)
{
	return k->epoch && k->hmac && k->hmac < kr->n_hmacs && s->peer &&
	       s->peer < SVR_MAX_PEERS && kr->hmacs[k->hmac].peer == s->peer;
}

static void hmac_adopt(struct svr_keyrows *kr, uint16_t row)
{
	if (kr->users[row]++ == 0)
		hmac_link(kr, row);
}

bool svr_keyrows_adopt(struct svr_keyrows *kr, struct svr_session *s, uint32_t slot)
{
	const struct svr_session_other *other;

	if (s->other >= kr->n_others || kr->others[s->other].slot != slot ||
	    kr->others[s->other].generation != s->generation)
		s->other = 0;
	/* In a row that does not belong to both any more are no keys that matter */
	if (s->other && !svr_epochs_of(s, kr->others).older)
		svr_epoch_retire(s, kr->others);
	other = &kr->others[s->other];
	if (!keys_sane(kr, s, &s->keys) || (s->other && !keys_sane(kr, s, &other->keys)))
		return false;
	hmac_adopt(kr, s->keys.hmac);
	if (s->other)
		hmac_adopt(kr, other->keys.hmac);
	return true;
}

void svr_keyrows_adopted(struct svr_keyrows *kr, const struct svr_session *sessions)
{
	uint32_t row;

	for (row = kr->n_hmacs - 1; row > 0; row--) {
		if (kr->users[row])
			continue;
		hmac_wipe(&kr->hmacs[row]);
		kr->free_hmacs[kr->n_free_hmacs++] = (uint16_t)row;
	}
	for (row = 1; row < kr->n_others; row++) {
		const struct svr_session_other *o = &kr->others[row];

		if (o->slot && sessions[o->slot].other == row &&
		    sessions[o->slot].generation == o->generation)
			continue;
		OPENSSL_cleanse(&kr->others[row], sizeof(kr->others[row]));
		svr_keyrows_give_other(kr, (uint16_t)row);
	}
}
