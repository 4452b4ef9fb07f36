// SPDX-License-Identifier: BSD-2-Clause
/* Keys of sessions: where they come from, and made ready for use by each thread. */
#include <string.h>

#include <openssl/crypto.h>

#include <svr/drops.h>

#include "lib/epoch.h"
#include "lib/kdf.h"
#include "lib/meta.h"
#include "lib/shared.h"
#include "lib/statickey.h"
#include "sys/keylog.h"
#include "worker/session_flows.h"
#include "worker/session_keys.h"
#include "worker/thread.h"

/* ---- where they come from ------------------------------------------------------------------ */

static void take_peer_key(struct svr_session_keys *k, const struct svr_peer_key *key)
{
	k->peer_key_index = key->index;
	memcpy(k->hmac_tx, key->hmac_tx, sizeof(k->hmac_tx));
	memcpy(k->hmac_rx, key->hmac_rx, sizeof(k->hmac_rx));
}

int svr_session_fresh_keys(struct svr_thread *t, const struct svr_session *s, uint16_t epoch,
			   struct svr_session_keys *out)
{
	struct svr_peer_key key;
	int err;

	*out = (struct svr_session_keys){ .epoch = epoch };
	err = svr_keys_peer_tx(t->maps, s->peer, &key);
	if (err)
		return err;
	take_peer_key(out, &key);
	OPENSSL_cleanse(&key, sizeof(key));
	if (s->cipher != SVR_CIPHER_NONE &&
	    svr_crypt_random(t->crypt, out->session_key, sizeof(out->session_key))) {
		OPENSSL_cleanse(out, sizeof(*out));
		return -SVR_DROP_INTERNAL;
	}
	return 0;
}

void svr_session_install_fresh(struct svr_thread *t, uint32_t slot,
			       const struct svr_session_keys *fresh, bool unconfirmed)
{
	struct svr_session *s = &t->maps->sessions[slot];
	struct svr_talk *talk = &t->sessions->talk[slot];

	svr_sessions_lock(t);
	svr_epoch_install(s, fresh, unconfirmed, t->now_ns);
	talk->offer_ns = 0;
	talk->offers = 0;
	svr_sessions_unlock(t);
	if (s->cipher != SVR_CIPHER_NONE)
		svr_keylog_session_key(t->keylog, s->uuid, fresh->epoch, fresh->session_key,
				       sizeof(fresh->session_key));
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
	const bool first = t->maps->sessions[slot].keys[0].epoch == 0;
	struct svr_session_keys fresh = { .epoch = svr_meta_epoch(m) };
	int err;

	if (!fresh.epoch)
		return -SVR_DROP_EPOCH;
	take_peer_key(&fresh, peer_key);
	memcpy(fresh.session_key, m->session_key, sizeof(fresh.session_key));
	err = svr_session_key_wrap(t, &t->maps->sessions[slot], fresh.epoch, fresh.session_key);
	if (!err)
		svr_session_install_fresh(t, slot, &fresh, !first);
	OPENSSL_cleanse(&fresh, sizeof(fresh));
	if (!err && !first)
		svr_session_rekeyed(t, &t->maps->sessions[slot]);
	return err;
}

/* ---- ready for use ------------------------------------------------------------------------- */

static int keyset_fill(struct svr_thread *t, const struct svr_session *s,
		       const struct svr_session_keys *from, struct svr_keyset *k)
{
	const int tx = s->originator ? SVR_DIR_FWD : SVR_DIR_REV;
	struct svr_payload_keys keys;
	int err;

	svr_session_lan_target(t, s, k->lan_target);
	err = svr_keyset_set_hmac(t->keysets, k, s->hmac, s->peer, from->hmac_tx, from->hmac_rx);
	if (err || s->cipher == SVR_CIPHER_NONE)
		return err;
	err = svr_kdf_payload(from->session_key, s->uuid, from->epoch, &keys);
	if (!err)
		err = svr_keyset_set_cipher(
			t->crypt, k, s->cipher,
			&(struct svr_aes_keys){ keys.enc[tx], keys.iv[tx] },
			&(struct svr_aes_keys){ keys.enc[!tx], keys.iv[!tx] });
	OPENSSL_cleanse(&keys, sizeof(keys));
	return err;
}

/* A copy, for they may be replaced at any time. The caller wipes it. */
static bool keys_copy(struct svr_thread *t, const struct svr_session *s, unsigned int set,
		      struct svr_session_keys *out)
{
	svr_sessions_lock(t);
	*out = s->keys[set];
	svr_sessions_unlock(t);
	return out->epoch != 0;
}

static struct svr_keyset *keyset_make(struct svr_thread *t, uint32_t slot,
				      const struct svr_session_keys *from)
{
	static const uint16_t none[2];
	const struct svr_session *s = &t->maps->sessions[slot];
	const uint16_t epochs[2] = { svr_shared(s->keys[0].epoch), svr_shared(s->keys[1].epoch) };
	struct svr_keyset *k;

	svr_keysets_forget(t->keysets, slot, epochs); /* whoever has new keys has old ones, too */
	k = svr_keysets_take(t->keysets, slot, s->generation, from->epoch);
	if (!k || keyset_fill(t, s, from, k) == 0)
		return k;
	svr_keysets_forget(t->keysets, slot, none);
	return NULL;
}

struct svr_keyset *svr_session_keys(struct svr_thread *t, uint32_t slot, unsigned int set)
{
	const struct svr_session *s = &t->maps->sessions[slot];
	const uint16_t epoch = __atomic_load_n(&s->keys[set].epoch, __ATOMIC_ACQUIRE);
	struct svr_session_keys from;
	struct svr_keyset *k;

	if (!epoch)
		return NULL;
	k = svr_keysets_find(t->keysets, slot, s->generation, epoch);
	if (k)
		return k;
	if (keys_copy(t, s, set, &from))
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
