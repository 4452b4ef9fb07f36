// SPDX-License-Identifier: BSD-2-Clause
/* Keys of sessions: where they come from, and made ready for use by each thread. */
#include <string.h>

#include <openssl/crypto.h>

#include <svr/drops.h>

#include "lib/kdf.h"
#include "lib/meta.h"
#include "lib/statickey.h"
#include "sys/keylog.h"
#include "worker/session_flows.h"
#include "worker/session_keys.h"
#include "worker/thread.h"

/* ---- where they come from ------------------------------------------------------------------ */

static void take_peer_key(struct svr_fresh_keys *k, const struct svr_peer_key *key)
{
	k->keys.peer_key_index = key->index;
	memcpy(k->hmac_tx, key->hmac_tx, sizeof(k->hmac_tx));
	memcpy(k->hmac_rx, key->hmac_rx, sizeof(k->hmac_rx));
}

int svr_session_fresh_keys(struct svr_thread *t, const struct svr_session *s, uint16_t epoch,
			   struct svr_fresh_keys *out)
{
	struct svr_peer_key key;
	int err;

	*out = (struct svr_fresh_keys){ .keys.epoch = epoch };
	err = svr_keys_peer_tx(t->maps, s->peer, &key);
	if (err)
		return err;
	take_peer_key(out, &key);
	OPENSSL_cleanse(&key, sizeof(key));
	if (s->cipher != SVR_CIPHER_NONE && svr_crypt_random(t->crypt, out->keys.session_key,
							     sizeof(out->keys.session_key))) {
		OPENSSL_cleanse(out, sizeof(*out));
		return -SVR_DROP_INTERNAL;
	}
	return 0;
}

/* Under the lock. 0 or -SVR_DROP_KEYS_FULL: then nothing has changed. */
static int install(struct svr_thread *t, uint32_t slot, const struct svr_fresh_keys *fresh,
		   bool unconfirmed)
{
	struct svr_session *s = &t->maps->sessions[slot];
	struct svr_keyrows *kr = &t->sessions->keyrows;
	struct svr_session_keys keys = fresh->keys;
	int err = -SVR_DROP_KEYS_FULL;
	uint16_t row;

	keys.hmac = svr_keyrows_hold(kr, s->peer, keys.peer_key_index, fresh->hmac_tx,
				     fresh->hmac_rx);
	if (!keys.hmac)
		goto out;
	if (svr_epoch_needs_row(s)) {
		row = svr_keyrows_take_other(kr);
		if (!row) {
			svr_keyrows_put(kr, keys.hmac);
			goto out;
		}
		svr_epoch_give_row(s, kr->others, row, slot);
	}
	svr_keyrows_put(kr, svr_epoch_install(s, kr->others, &keys, unconfirmed, t->now_ns));
	kr->offers[s->other] = (struct svr_offer){ 0 };
	err = 0;
out:
	OPENSSL_cleanse(&keys, sizeof(keys));
	return err;
}

int svr_session_install_fresh(struct svr_thread *t, uint32_t slot,
			      const struct svr_fresh_keys *fresh, bool unconfirmed)
{
	const struct svr_session *s = &t->maps->sessions[slot];
	int err;

	svr_sessions_lock(t);
	err = install(t, slot, fresh, unconfirmed);
	svr_sessions_unlock(t);
	if (!err && s->cipher != SVR_CIPHER_NONE)
		svr_keylog_session_key(t->keylog, s->uuid, fresh->keys.epoch,
				       fresh->keys.session_key, sizeof(fresh->keys.session_key));
	return err;
}

void svr_session_rekeyed(struct svr_thread *t, struct svr_session *s)
{
	s->rekeys++;
	svr_count(&t->counters, s->wan.zone, SVR_STAT_REKEYED, 1);
}

int svr_session_key_wrap(const struct svr_thread *t, const struct svr_session *s, uint16_t epoch,
			 uint8_t key[static SVR_SESSION_KEY_LEN])
{
	const struct svr_policy *policy = &t->maps->policies[s->policy];

	if (s->cipher == SVR_CIPHER_NONE || !policy->wrapped)
		return 0;
	return svr_static_wrap(policy->wrap, s->uuid, epoch, key) ? -SVR_DROP_INTERNAL : 0;
}

int svr_session_install(struct svr_thread *t, uint32_t slot, const struct svr_meta *m,
			const struct svr_peer_key *peer_key)
{
	struct svr_session *s = &t->maps->sessions[slot];
	const bool first = svr_session_epochs(t, s).newest == 0;
	struct svr_fresh_keys fresh = { .keys.epoch = svr_meta_epoch(m) };
	int err;

	if (!fresh.keys.epoch)
		return -SVR_DROP_EPOCH;
	take_peer_key(&fresh, peer_key);
	memcpy(fresh.keys.session_key, m->session_key, sizeof(fresh.keys.session_key));
	err = svr_session_key_wrap(t, s, fresh.keys.epoch, fresh.keys.session_key);
	if (!err)
		err = svr_session_install_fresh(t, slot, &fresh, !first);
	OPENSSL_cleanse(&fresh, sizeof(fresh));
	if (!err && !first)
		svr_session_rekeyed(t, s);
	return err;
}

/* ---- what a slot has ----------------------------------------------------------------------- */

struct svr_epochs svr_session_epochs(const struct svr_thread *t, const struct svr_session *s)
{
	return svr_epochs_of(s, t->maps->session_others);
}

bool svr_session_keys_copy(struct svr_thread *t, const struct svr_session *s, uint16_t epoch,
			   struct svr_fresh_keys *out)
{
	const struct svr_session_keys *k;
	const struct svr_session_hmac *h;

	svr_sessions_lock(t);
	k = svr_epoch_keys_const(s, t->maps->session_others, epoch);
	if (k) {
		h = &t->maps->session_hmacs[k->hmac];
		out->keys = *k;
		memcpy(out->hmac_tx, h->tx, sizeof(out->hmac_tx));
		memcpy(out->hmac_rx, h->rx, sizeof(out->hmac_rx));
	}
	svr_sessions_unlock(t);
	return k != NULL;
}

void svr_session_keys_retire(struct svr_thread *t, struct svr_session *s)
{
	struct svr_keyrows *kr = &t->sessions->keyrows;
	struct svr_epoch_freed freed;

	if (!s->other || !svr_epoch_over(s, kr->others, t->now_ns))
		return;
	freed = svr_epoch_retire(s, kr->others);
	svr_keyrows_put(kr, freed.hmac);
	svr_keyrows_give_other(kr, freed.row);
}

/* ---- ready for use ------------------------------------------------------------------------- */

static int keyset_fill(struct svr_thread *t, const struct svr_session *s,
		       const struct svr_fresh_keys *from, struct svr_keyset *k)
{
	const int tx = s->originator ? SVR_DIR_FWD : SVR_DIR_REV;
	struct svr_payload_keys keys;
	int err;

	svr_session_lan_target(t, s, k->lan_target);
	k->tx_first = from->keys.tx_first;
	err = svr_keyset_set_hmac(t->keysets, k, s->hmac, s->peer, from->hmac_tx, from->hmac_rx);
	if (err || s->cipher == SVR_CIPHER_NONE)
		return err;
	err = svr_kdf_payload(from->keys.session_key, s->uuid, from->keys.epoch, &keys);
	if (!err)
		err = svr_keyset_set_cipher(
			t->crypt, k, s->cipher,
			&(struct svr_aes_keys){ keys.enc[tx], keys.iv[tx] },
			&(struct svr_aes_keys){ keys.enc[!tx], keys.iv[!tx] });
	OPENSSL_cleanse(&keys, sizeof(keys));
	return err;
}

static struct svr_keyset *keyset_make(struct svr_thread *t, uint32_t slot,
				      const struct svr_fresh_keys *from)
{
	static const uint16_t none[2];
	const struct svr_session *s = &t->maps->sessions[slot];
	const struct svr_epochs e = svr_session_epochs(t, s);
	const uint16_t keep[2] = { e.newest, e.older };
	struct svr_keyset *k;

	svr_keysets_forget(t->keysets, slot, keep); /* whoever has new keys has old ones, too */
	k = svr_keysets_take(t->keysets, slot, s->generation, from->keys.epoch);
	svr_tstat(&t->stats, SVR_TSTAT_KEYS_MADE, 1);
	if (!k || keyset_fill(t, s, from, k) == 0)
		return k;
	svr_keysets_forget(t->keysets, slot, none);
	return NULL;
}

struct svr_keyset *svr_session_keys(struct svr_thread *t, uint32_t slot, uint16_t epoch)
{
	const struct svr_session *s = &t->maps->sessions[slot];
	struct svr_fresh_keys from;
	struct svr_keyset *k;

	k = svr_keysets_find(t->keysets, slot, s->generation, epoch);
	if (k || !svr_session_keys_copy(t, s, epoch, &from))
		return k;
	k = keyset_make(t, slot, &from);
	OPENSSL_cleanse(&from, sizeof(from));
	return k;
}

static void slot_forget(uint32_t slot, void *user)
{
	static const uint16_t none[2];
	struct svr_thread *t = user;

	svr_keysets_forget(t->keysets, slot, none);
}

void svr_session_keys_pass(struct svr_thread *t)
{
	svr_slots_pass(&t->sessions->slots, t->number, slot_forget, t);
}

void svr_session_keys_drop(struct svr_thread *t, uint32_t slot)
{
	slot_forget(slot, t);
}
