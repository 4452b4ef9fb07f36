// SPDX-License-Identifier: BSD-2-Clause
/*
 * Key slots of a peer: previous, current, next. A new key can receive before anybody sends with it,
 * and an old one can receive for a while after. What stands in struct svr_peer_keys is stored by
 * the owner after each change.
 */
#include <errno.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "lib/kdf.h"
#include "lib/peering_internal.h"

/* ---- storing and taking back ----------------------------------------------------------------- */

static void keys_save(struct svr_peering *p)
{
	p->ops->save_keys(p->user, &p->keys);
}

/*
 * To whom keys belong: both names, and the rules under which the peer's certificate was accepted.
 */
static int keys_owner(const struct svr_peering *p, uint8_t owner[static 32])
{
	const struct svr_kex_config *c = &p->config.kex;
	uint8_t in[2 * SVR_NAME_LEN + 32] = { 0 };

	memcpy(in, c->own_name, strnlen(c->own_name, SVR_NAME_LEN));
	memcpy(in + SVR_NAME_LEN, c->peer_name, strnlen(c->peer_name, SVR_NAME_LEN));
	if (svr_pki_trust_digest(c->trust, in + 2 * SVR_NAME_LEN) ||
	    EVP_Q_digest(NULL, "SHA2-256", NULL, in, sizeof(in), owner, NULL) != 1)
		return -EIO;
	return 0;
}

static bool slot_valid(const struct svr_peer_keys *keys, uint32_t slot)
{
	return slot < SVR_KEY_SLOTS && keys->peer[slot].index != 0;
}

int svr_peering_keys_restore(struct svr_peering *p, const struct svr_peer_keys *saved)
{
	struct svr_peer_keys *keys = &p->keys;
	uint8_t owner[sizeof(keys->owner)];
	int i, ret = keys_owner(p, owner);

	if (ret)
		return ret;
	if (saved && CRYPTO_memcmp(saved->owner, owner, sizeof(owner)) == 0) {
		*keys = *saved;
	} else {
		memset(keys, 0, sizeof(*keys));
		memcpy(keys->owner, owner, sizeof(owner));
	}
	if (!slot_valid(keys, keys->tx))
		keys->tx = SVR_PEERING_NO_SLOT;
	if (keys->meta_tx >= SVR_KEY_SLOTS || keys->meta[keys->meta_tx].index == 0)
		keys->meta_tx = SVR_PEERING_NO_SLOT;
	for (i = 0; i < SVR_KEY_SLOTS && !ret; i++)
		if (keys->peer[i].index)
			ret = svr_bfdmeta_key_init(p->config.crypt, keys->peer[i].index,
						   keys->peer[i].key, p->direction, &p->slot[i]);
	if (keys->offset_valid)
		svr_clockoff_init(&p->clock, keys->clock_offset_ns, p->ops->now(p->user));
	keys_save(p);
	return ret;
}

void svr_peering_keys_clear(struct svr_peering *p)
{
	int i;

	for (i = 0; i < SVR_KEY_SLOTS; i++)
		svr_bfdmeta_key_clear(&p->slot[i]);
	svr_bfdmeta_key_clear(&p->pending);
	OPENSSL_cleanse(p->pending_key, sizeof(p->pending_key));
	OPENSSL_cleanse(&p->keys, sizeof(p->keys));
}

/* ---- which key ------------------------------------------------------------------------------- */

static bool may_receive(const struct svr_peering *p, uint32_t slot, struct svr_now now)
{
	const struct svr_peer_keys *keys = &p->keys;
	uint64_t until_ns;

	if (slot == keys->tx || keys->peer[slot].index == p->switch_to)
		return true;
	/* After an exchange between strangers the peer has lost what came before. */
	if (keys->tx == SVR_PEERING_NO_SLOT || !p->old_key_ok)
		return false;
	until_ns = keys->peer[keys->tx].since_ns + SVR_PEERING_OLD_KEY_SEC * SVR_NS_PER_SEC;
	return now.real_ns < until_ns;
}

struct svr_bfdmeta_key *svr_peering_rx_key(struct svr_peering *p, uint32_t index,
					   enum svr_kex_seal *seal, struct svr_now now)
{
	uint32_t i;

	for (i = 0; i < SVR_KEY_SLOTS; i++) {
		if (p->slot[i].index != index || !may_receive(p, i, now))
			continue;
		*seal = SVR_KEX_SEAL_CURRENT;
		return &p->slot[i];
	}
	*seal = SVR_KEX_SEAL_NEW;
	return p->pending.index == index ? &p->pending : NULL;
}

struct svr_bfdmeta_key *svr_peering_tx_key(struct svr_peering *p)
{
	/*
	 * A peer that has no key of ours takes from AUTH_I on only what is sealed by the new key;
	 * so everything is, or its detection time would pass while AUTH_R is lost. Under a
	 * confirmed key nothing changes until the new one is confirmed too.
	 */
	if (p->kex.x.phase == SVR_KEX_PHASE_AUTH_SENT && !p->kex.x.authenticated &&
	    p->pending.index)
		return &p->pending;
	return p->keys.tx < SVR_KEY_SLOTS ? &p->slot[p->keys.tx] : NULL;
}

struct svr_bfdmeta_key *svr_peering_key_for(struct svr_peering *p, enum svr_kex_seal seal)
{
	uint32_t i;

	if (seal == SVR_KEX_SEAL_NEW) {
		if (p->pending.index)
			return &p->pending;
		for (i = 0; i < SVR_KEY_SLOTS; i++)
			if (p->slot[i].index == p->kex.x.key_index)
				return &p->slot[i];
	}
	return seal != SVR_KEX_SEAL_NONE && p->keys.tx < SVR_KEY_SLOTS ? &p->slot[p->keys.tx] :
									 NULL;
}

static void set_tx(struct svr_peering *p, uint32_t slot)
{
	uint32_t i;

	for (i = 0; i < SVR_KEY_SLOTS; i++)
		p->keys.peer[i].flags = p->keys.peer[i].index ? SVR_KEY_RX : 0;
	p->keys.peer[slot].flags = SVR_KEY_RX | SVR_KEY_TX;
	p->keys.tx = slot;
	p->switch_to = 0;
}

void svr_peering_peer_uses(struct svr_peering *p, uint32_t index)
{
	uint32_t i;

	if (!index || index != p->switch_to)
		return;
	for (i = 0; i < SVR_KEY_SLOTS; i++)
		if (p->keys.peer[i].index == index)
			set_tx(p, i);
	keys_save(p);
}

/* ---- from the key exchange ------------------------------------------------------------------- */

bool svr_peering_index_free(void *user, uint32_t index)
{
	const struct svr_peering *p = user;
	int i;

	for (i = 0; i < SVR_KEY_SLOTS; i++)
		if (p->keys.peer[i].index == index)
			return false;
	return true;
}

bool svr_peering_may_rekey(void *user)
{
	(void)user;
	return true;
}

int svr_peering_pending(void *user, uint32_t index, const uint8_t *key)
{
	struct svr_peering *p = user;
	unsigned int i;
	int ret;

	svr_bfdmeta_key_clear(&p->pending);
	OPENSSL_cleanse(p->pending_key, sizeof(p->pending_key));
	for (i = 0; i < p->n_paths; i++) {
		p->paths[i].pending_key = 0;
		p->paths[i].pending_seq = 0;
	}
	if (!key)
		return 0;
	ret = svr_bfdmeta_key_init(p->config.crypt, index, key, p->direction, &p->pending);
	if (!ret)
		memcpy(p->pending_key, key, sizeof(p->pending_key));
	return ret;
}

/* The pending key into the slot after the one in use: the oldest goes. */
static uint32_t install(struct svr_peering *p, struct svr_now now)
{
	uint32_t slot = p->keys.tx < SVR_KEY_SLOTS ? (p->keys.tx + 1) % SVR_KEY_SLOTS : 0;
	struct svr_peer_key *k = &p->keys.peer[slot];
	uint8_t hmac[2][SVR_HMAC_KEY_LEN];

	OPENSSL_cleanse(k, sizeof(*k));
	k->index = p->pending.index;
	k->flags = SVR_KEY_RX;
	k->since_ns = now.real_ns;
	memcpy(k->key, p->pending_key, sizeof(k->key));
	if (!svr_kdf_session_hmac(k->key, hmac)) {
		memcpy(k->hmac_tx, hmac[p->direction], sizeof(k->hmac_tx));
		memcpy(k->hmac_rx, hmac[!p->direction], sizeof(k->hmac_rx));
	} else {
		OPENSSL_cleanse(k, sizeof(*k)); /* fail closed: no key */
	}
	OPENSSL_cleanse(hmac, sizeof(hmac));
	svr_bfdmeta_key_clear(&p->slot[slot]);
	p->slot[slot] = p->pending;
	memset(&p->pending, 0, sizeof(p->pending));
	OPENSSL_cleanse(p->pending_key, sizeof(p->pending_key));
	return slot;
}

/* What the peer sent under the key while it was pending counts from now on as authentic. */
static void paths_confirmed(struct svr_peering *p, uint32_t index, struct svr_now now)
{
	unsigned int i;

	for (i = 0; i < p->n_paths; i++) {
		struct svr_peering_path *path = &p->paths[i];

		if (path->pending_key != index)
			continue;
		svr_peering_rx_seq_set(path, index, SVR_KEX_SEAL_CURRENT, path->pending_seq);
		path->pending_key = 0;
		path->state.flags |= SVR_PATH_AUTHENTIC;
		path->auth_until_ns = now.mono_ns + path->bfd.detect_us * SVR_NS_PER_US;
		p->ops->save_path(p->user, path->number, &path->state);
	}
}

void svr_peering_confirmed(void *user, const uint8_t *fingerprint, bool authenticated,
			   struct svr_now now)
{
	struct svr_peering *p = user;
	bool responder = p->kex.x.phase == SVR_KEX_PHASE_DONE;
	uint32_t i, slot = install(p, now);

	memcpy(p->keys.cert_fingerprint, fingerprint, sizeof(p->keys.cert_fingerprint));
	p->keys.rekey_count++;
	p->old_key_ok = authenticated;
	if (!authenticated) {
		/* One of both has lost its keys, the metadata key with them: it sends a new one. */
		for (i = 0; i < SVR_KEY_SLOTS; i++)
			p->keys.meta[i].flags = 0;
		p->keys.meta_tx = SVR_PEERING_NO_SLOT;
		p->acked = 0;
	}
	/*
	 * Nobody sends with a key that the other end cannot receive yet: the initiator has to hear
	 * AUTH_R first.
	 */
	if (authenticated && responder)
		p->switch_to = p->keys.peer[slot].index;
	else
		set_tx(p, slot);
	p->reason[0] = '\0';
	paths_confirmed(p, p->keys.peer[slot].index, now);
	keys_save(p);
	p->ops->new_key(p->user, &p->keys.peer[slot]);
}

/* ---- metadata keys --------------------------------------------------------------------------- */

const struct svr_meta_key *svr_peering_own_meta(const struct svr_peering *p)
{
	const struct svr_own_keys *own = p->config.own;

	if (own->current >= SVR_KEY_SLOTS || own->meta[own->current].index == 0)
		return NULL;
	return &own->meta[own->current];
}

bool svr_peering_meta_received(const struct svr_peering *p)
{
	return p->keys.meta_tx < SVR_KEY_SLOTS;
}

bool svr_peering_meta_acked(const struct svr_peering *p)
{
	const struct svr_meta_key *own = svr_peering_own_meta(p);

	return own && own->index == p->acked;
}

bool svr_peering_meta_install(struct svr_peering *p, uint32_t index,
			      const uint8_t key[static SVR_META_KEY_LEN], struct svr_now now)
{
	struct svr_peer_keys *keys = &p->keys;
	uint32_t i, slot = SVR_PEERING_NO_SLOT;
	struct svr_meta_key *m;

	for (i = 0; i < SVR_KEY_SLOTS; i++)
		if (keys->meta[i].index == index)
			slot = i;
	if (slot < SVR_KEY_SLOTS && slot == keys->meta_tx &&
	    CRYPTO_memcmp(keys->meta[slot].key, key, SVR_META_KEY_LEN) == 0)
		return false;
	if (slot == SVR_PEERING_NO_SLOT)
		slot = keys->meta_tx < SVR_KEY_SLOTS ? (keys->meta_tx + 1) % SVR_KEY_SLOTS : 0;

	m = &keys->meta[slot];
	OPENSSL_cleanse(m, sizeof(*m));
	if (svr_kdf_metadata(key, m->enc))
		return false;
	m->index = index;
	m->since_ns = now.real_ns;
	memcpy(m->key, key, sizeof(m->key));
	for (i = 0; i < SVR_KEY_SLOTS; i++)
		keys->meta[i].flags = 0;
	m->flags = SVR_KEY_TX;
	keys->meta_tx = slot;
	keys_save(p);
	return true;
}

/* ---- sequence numbers ------------------------------------------------------------------------ */

uint64_t svr_peering_rx_seq(const struct svr_peering_path *path, uint32_t index,
			    enum svr_kex_seal seal)
{
	if (seal == SVR_KEX_SEAL_NEW)
		return path->pending_key == index ? path->pending_seq : 0;
	if (path->state.rx_key == index)
		return path->state.rx_seq;
	return path->state.rx_key_prev == index ? path->state.rx_seq_prev : 0;
}

void svr_peering_rx_seq_set(struct svr_peering_path *path, uint32_t index, enum svr_kex_seal seal,
			    uint64_t seq)
{
	struct svr_path_state *st = &path->state;

	if (seal == SVR_KEX_SEAL_NEW) {
		path->pending_key = index;
		path->pending_seq = seq;
	} else if (st->rx_key != index && st->rx_key_prev == index) {
		st->rx_seq_prev = seq;
	} else {
		if (st->rx_key != index) {
			st->rx_key_prev = st->rx_key;
			st->rx_seq_prev = st->rx_seq;
		}
		st->rx_key = index;
		st->rx_seq = seq;
	}
}
