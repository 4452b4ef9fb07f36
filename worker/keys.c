// SPDX-License-Identifier: BSD-2-Clause
/* Reading keys under the sequence lock; contexts made from them. */
#include <string.h>
#include <openssl/crypto.h>

#include <svr/drops.h>

#include "lib/kdf.h"
#include "sys/mapset.h"
#include "sys/seq.h"
#include "worker/keys.h"

/*
 * A writer needs a microsecond. One that was killed inside leaves the lock taken: then there is no
 * key until it is back.
 */
enum { SEQ_TRIES = 10000 };

static int peer_keys_read(const struct svr_mapset *maps, uint32_t peer, struct svr_peer_keys *out)
{
	const struct svr_peer_keys *from;
	uint32_t seq;
	int i;

	if (peer == 0 || peer >= maps->count.peer_keys)
		return -SVR_DROP_NO_KEY;
	from = &maps->peer_keys[peer];
	for (i = 0; i < SEQ_TRIES; i++) {
		seq = svr_seq_read_begin(&from->seq);
		if (seq & 1)
			continue;
		memcpy(out, from, sizeof(*out));
		if (!svr_seq_read_retry(&from->seq, seq))
			return 0;
	}
	OPENSSL_cleanse(out, sizeof(*out));
	return -SVR_DROP_NO_KEY;
}

int svr_keys_peer_tx(const struct svr_mapset *maps, uint32_t peer, struct svr_peer_key *out)
{
	struct svr_peer_keys keys;
	int err = peer_keys_read(maps, peer, &keys);

	if (err)
		return err;
	if (keys.tx < SVR_KEY_SLOTS && keys.peer[keys.tx].index != 0 &&
	    (keys.peer[keys.tx].flags & SVR_KEY_TX))
		*out = keys.peer[keys.tx];
	else
		err = -SVR_DROP_NO_KEY;
	OPENSSL_cleanse(&keys, sizeof(keys));
	return err;
}

int svr_keys_peer_rx(const struct svr_mapset *maps, uint32_t peer, uint32_t index,
		     struct svr_peer_key *out)
{
	struct svr_peer_keys keys;
	int err = peer_keys_read(maps, peer, &keys), i;

	if (err)
		return err;
	err = -SVR_DROP_NO_KEY;
	for (i = 0; i < SVR_KEY_SLOTS && index != 0; i++) {
		if (keys.peer[i].index == index && (keys.peer[i].flags & SVR_KEY_RX)) {
			*out = keys.peer[i];
			err = 0;
			break;
		}
	}
	OPENSSL_cleanse(&keys, sizeof(keys));
	return err;
}

int svr_keys_meta_tx(const struct svr_mapset *maps, uint32_t peer, struct svr_meta_key *out)
{
	struct svr_peer_keys keys;
	int err = peer_keys_read(maps, peer, &keys);

	if (err)
		return err;
	if (keys.meta_tx < SVR_KEY_SLOTS && keys.meta[keys.meta_tx].index != 0)
		*out = keys.meta[keys.meta_tx];
	else
		err = -SVR_DROP_NO_KEY;
	OPENSSL_cleanse(&keys, sizeof(keys));
	return err;
}

int svr_keys_meta_rx(const struct svr_mapset *maps, uint32_t index, struct svr_meta_key *out)
{
	const struct svr_own_keys *from = maps->own_keys;
	int err = -SVR_DROP_NO_KEY, tries, i;
	struct svr_own_keys keys;
	uint32_t seq;

	for (tries = 0; tries < SEQ_TRIES; tries++) {
		seq = svr_seq_read_begin(&from->seq);
		if (seq & 1)
			continue;
		memcpy(&keys, from, sizeof(keys));
		if (!svr_seq_read_retry(&from->seq, seq))
			break;
	}
	for (i = 0; tries < SEQ_TRIES && index != 0 && i < SVR_KEY_SLOTS; i++) {
		if (keys.meta[i].index == index && (keys.meta[i].flags & SVR_KEY_RX)) {
			*out = keys.meta[i];
			err = 0;
			break;
		}
	}
	OPENSSL_cleanse(&keys, sizeof(keys));
	return err;
}

uint32_t svr_keys_peer_tx_index(const struct svr_mapset *maps, uint32_t peer)
{
	const struct svr_peer_keys *keys;
	uint32_t slot;

	if (peer == 0 || peer >= maps->count.peer_keys)
		return 0;
	keys = &maps->peer_keys[peer];
	slot = __atomic_load_n(&keys->tx, __ATOMIC_RELAXED);
	return slot < SVR_KEY_SLOTS ? __atomic_load_n(&keys->peer[slot].index, __ATOMIC_RELAXED) :
				      0;
}

int64_t svr_keys_clock_offset(const struct svr_mapset *maps, uint32_t peer)
{
	const struct svr_peer_keys *keys;

	if (peer >= maps->count.peer_keys)
		return 0;
	keys = &maps->peer_keys[peer];
	if (!__atomic_load_n(&keys->offset_valid, __ATOMIC_RELAXED))
		return 0;
	return __atomic_load_n(&keys->clock_offset_ns,
			       __ATOMIC_RELAXED); /* one aligned word: no lock needed */
}

/* ---- contexts ------------------------------------------------------------------------------ */

static unsigned int cache_slot(uint32_t number)
{
	const uint32_t golden = 0x9e3779b1; /* spreads neighbouring numbers */

	return number * golden >> 24;
}
_Static_assert(SVR_KEYCACHE_HMAC_SLOTS == 1 << 8, "upper eight bits are the slot");

struct svr_hmac_key *svr_keycache_hmac(struct svr_keycache *k, struct svr_crypt *c, uint32_t peer,
				       uint8_t hmac, const uint8_t key[static SVR_HMAC_KEY_LEN])
{
	__typeof__(&k->hmac[0]) e = &k->hmac[cache_slot(peer * SVR_HMAC_SHA512 + hmac)];

	if (e->ctx && e->peer == peer && e->hmac == hmac &&
	    CRYPTO_memcmp(e->key, key, sizeof(e->key)) == 0)
		return e->ctx;
	svr_hmac_key_free(e->ctx);
	if (svr_hmac_key_new(c, hmac, key, sizeof(e->key), &e->ctx)) {
		e->ctx = NULL;
		return NULL;
	}
	e->peer = peer;
	e->hmac = hmac;
	memcpy(e->key, key, sizeof(e->key));
	return e->ctx;
}

/* By number and not by bytes of keys: which memory is read tells nothing of a key. */
static unsigned int meta_slot(uint32_t peer, enum svr_crypt_use use)
{
	return (2 * peer + (use == SVR_CRYPT_TO_SEAL)) % SVR_KEYCACHE_META_SLOTS;
}

struct svr_cipher_key *svr_keycache_meta(struct svr_keycache *k, struct svr_crypt *c, uint32_t peer,
					 enum svr_crypt_use use, const struct svr_meta_key *key,
					 const uint8_t hmac_key[static SVR_HMAC_KEY_LEN])
{
	__typeof__(&k->meta[0]) e = &k->meta[meta_slot(peer, use)];
	uint8_t enc[32];
	int err;

	/* Both are compared whatever the first one says */
	if (e->ctx && (CRYPTO_memcmp(e->meta_key, key->key, sizeof(e->meta_key)) |
		       CRYPTO_memcmp(e->hmac_key, hmac_key, sizeof(e->hmac_key))) == 0)
		return e->ctx;
	svr_cipher_key_free(e->ctx);
	OPENSSL_cleanse(e, sizeof(*e));
	err = svr_kdf_metadata(hmac_key, key->key, enc);
	if (!err)
		err = svr_cipher_key_new(c, SVR_CIPHER_AES_CBC_256, enc, NULL, &e->ctx);
	OPENSSL_cleanse(enc, sizeof(enc));
	if (err)
		return NULL;
	memcpy(e->meta_key, key->key, sizeof(e->meta_key));
	memcpy(e->hmac_key, hmac_key, sizeof(e->hmac_key));
	return e->ctx;
}

void svr_keycache_free(struct svr_keycache *k)
{
	int i;

	for (i = 0; i < SVR_KEYCACHE_HMAC_SLOTS; i++)
		svr_hmac_key_free(k->hmac[i].ctx);
	for (i = 0; i < SVR_KEYCACHE_META_SLOTS; i++)
		svr_cipher_key_free(k->meta[i].ctx);
	OPENSSL_cleanse(k, sizeof(*k));
}
