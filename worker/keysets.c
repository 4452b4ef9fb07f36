// SPDX-License-Identifier: BSD-2-Clause
/* Keys ready for use: found by slot, given up in the manner of the CLOCK algorithm. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "worker/keysets.h"

enum {
	PAIRS = 512, /* of hash states: of so many peers at least, if not all of them change keys */
	NONE = UINT32_MAX, /* end of a chain */
	ALIGN = SVR_CIPHER_KEY_ALIGN,
};

/* Hash states of both directions, and the keys that they are of. */
struct pair {
	uint8_t hmac; /* enum svr_hmac, 0: empty */
	uint8_t key[2][SVR_HMAC_KEY_LEN];
	struct svr_hmac_key state[2];
};

/* A set and its keys, the cipher keys behind them. */
struct entry {
	struct svr_keyset set;
	struct svr_hmac_key hmac[2];
};
enum { ENTRY_HEAD = (sizeof(struct entry) + ALIGN - 1) / ALIGN * ALIGN };

struct svr_keysets {
	uint32_t count;
	uint32_t hand; /* where the search for one that can be given up goes on */
	unsigned int chain_bits;
	size_t entry_len;
	uint32_t *chain; /* 2^chain_bits: first of those whose slots hash to it */
	uint8_t *entries;
	struct pair *pairs;
};

static struct entry *entry_at(const struct svr_keysets *ks, uint32_t i)
{
	return (struct entry *)(ks->entries + i * ks->entry_len);
}

static uint32_t number_of(const struct svr_keysets *ks, const struct svr_keyset *k)
{
	return (uint32_t)((size_t)((const uint8_t *)k - ks->entries) / ks->entry_len);
}

static uint32_t *chain_of(const struct svr_keysets *ks, uint32_t slot)
{
	const uint32_t golden = 0x9e3779b1; /* spreads neighbouring numbers */

	return &ks->chain[slot * golden >> (32 - ks->chain_bits)];
}

/* ---- life ---------------------------------------------------------------------------------- */

static size_t cipher_len_max(const struct svr_crypt *c)
{
	size_t most = 0, len;
	uint8_t cipher;

	for (cipher = SVR_CIPHER_AES_CBC_128; cipher <= SVR_CIPHER_AES_GCM_256; cipher++) {
		len = svr_cipher_key_size(c, cipher, SVR_CRYPT_TO_SEAL);
		if (len > most)
			most = len;
		len = svr_cipher_key_size(c, cipher, SVR_CRYPT_TO_OPEN);
		if (len > most)
			most = len;
	}
	return most;
}

int svr_keysets_new(const struct svr_crypt *c, uint32_t count, struct svr_keysets **out)
{
	struct svr_keysets *ks = calloc(1, sizeof(*ks));
	uint32_t i;

	*out = ks;
	if (!ks)
		return -ENOMEM;
	ks->count = count;
	ks->entry_len = ENTRY_HEAD + 2 * cipher_len_max(c);
	for (ks->chain_bits = 1; 1U << ks->chain_bits < count; ks->chain_bits++)
		;
	ks->chain = malloc(sizeof(*ks->chain) << ks->chain_bits);
	ks->entries = aligned_alloc(ALIGN, count * ks->entry_len);
	ks->pairs = calloc(PAIRS, sizeof(*ks->pairs));
	if (!ks->chain || !ks->entries || !ks->pairs) {
		free(ks->chain);
		free(ks->entries);
		free(ks->pairs);
		free(ks);
		*out = NULL;
		return -ENOMEM;
	}
	/* All of it now: nothing is left to fail when there are packets */
	memset(ks->entries, 0, count * ks->entry_len);
	for (i = 0; i < 1U << ks->chain_bits; i++)
		ks->chain[i] = NONE;
	return 0;
}

void svr_keysets_free(struct svr_keysets *ks)
{
	if (!ks)
		return;
	OPENSSL_cleanse(ks->entries, ks->count * ks->entry_len);
	OPENSSL_cleanse(ks->pairs, PAIRS * sizeof(*ks->pairs));
	free(ks->chain);
	free(ks->entries);
	free(ks->pairs);
	free(ks);
}

uint64_t svr_keysets_memory(const struct svr_keysets *ks)
{
	return ks->count * ks->entry_len + PAIRS * sizeof(*ks->pairs) +
	       (sizeof(*ks->chain) << ks->chain_bits);
}

/* ---- sets ---------------------------------------------------------------------------------- */

struct svr_keyset *svr_keysets_find(struct svr_keysets *ks, uint32_t slot, uint32_t generation,
				    uint16_t epoch)
{
	struct svr_keyset *k;
	uint32_t i;

	for (i = *chain_of(ks, slot); i != NONE; i = k->next) {
		k = &entry_at(ks, i)->set;
		if (k->slot == slot && k->generation == generation && k->epoch == epoch) {
			k->used = true;
			return k;
		}
	}
	return NULL;
}

static void unlink_set(struct svr_keysets *ks, struct svr_keyset *k)
{
	uint32_t *at = chain_of(ks, k->slot);
	const uint32_t i = number_of(ks, k);

	while (*at != i)
		at = &entry_at(ks, *at)->set.next;
	*at = k->next;
}

/* Nobody finds it any more, and nothing of it is left. */
static void wipe(const struct svr_keysets *ks, struct svr_keyset *k)
{
	OPENSSL_cleanse(k, ks->entry_len);
}

static void give_up(struct svr_keysets *ks, struct svr_keyset *k)
{
	unlink_set(ks, k);
	k->gone = true;
	if (!k->refs)
		wipe(ks, k);
}

/* The next one that was not used since the hand was there last. */
static struct svr_keyset *free_one(struct svr_keysets *ks)
{
	struct svr_keyset *k;
	uint32_t tries;

	for (tries = 0; tries < 2 * ks->count; tries++) {
		k = &entry_at(ks, ks->hand)->set;
		ks->hand = ks->hand + 1 < ks->count ? ks->hand + 1 : 0;
		if (k->refs)
			continue;
		if (!k->epoch)
			return k;
		if (!k->used) {
			give_up(ks, k);
			return k;
		}
		k->used = false;
	}
	return NULL;
}

struct svr_keyset *svr_keysets_take(struct svr_keysets *ks, uint32_t slot, uint32_t generation,
				    uint16_t epoch)
{
	struct svr_keyset *k = free_one(ks);
	uint32_t *chain = chain_of(ks, slot);
	struct entry *e = (struct entry *)k;

	if (!k)
		return NULL;
	*k = (struct svr_keyset){
		.slot = slot,
		.generation = generation,
		.epoch = epoch,
		.next = *chain,
		.hmac_tx = &e->hmac[0],
		.hmac_rx = &e->hmac[1],
	};
	*chain = number_of(ks, k);
	return k;
}

void svr_keysets_forget(struct svr_keysets *ks, uint32_t slot, const uint16_t keep[static 2])
{
	struct svr_keyset *k;
	uint32_t i, next;

	for (i = *chain_of(ks, slot); i != NONE; i = next) {
		k = &entry_at(ks, i)->set;
		next = k->next;
		if (k->slot == slot && k->epoch != keep[0] && k->epoch != keep[1])
			give_up(ks, k);
	}
}

void svr_keyset_put(struct svr_keysets *ks, struct svr_keyset *k)
{
	if (k && --k->refs == 0 && k->gone)
		wipe(ks, k);
}

/* ---- keys ---------------------------------------------------------------------------------- */

static int pair_set(struct pair *p, uint8_t hmac, const uint8_t tx[static SVR_HMAC_KEY_LEN],
		    const uint8_t rx[static SVR_HMAC_KEY_LEN])
{
	int err;

	if (p->hmac == hmac && CRYPTO_memcmp(p->key[0], tx, sizeof(p->key[0])) == 0 &&
	    CRYPTO_memcmp(p->key[1], rx, sizeof(p->key[1])) == 0)
		return 0;
	OPENSSL_cleanse(p, sizeof(*p));
	err = svr_hmac_key_set(&p->state[0], hmac, tx, SVR_HMAC_KEY_LEN);
	if (!err)
		err = svr_hmac_key_set(&p->state[1], hmac, rx, SVR_HMAC_KEY_LEN);
	if (err)
		return err;
	memcpy(p->key[0], tx, sizeof(p->key[0]));
	memcpy(p->key[1], rx, sizeof(p->key[1]));
	p->hmac = hmac;
	return 0;
}

int svr_keyset_set_hmac(struct svr_keysets *ks, struct svr_keyset *k, uint8_t hmac, uint32_t peer,
			const uint8_t tx[static SVR_HMAC_KEY_LEN],
			const uint8_t rx[static SVR_HMAC_KEY_LEN])
{
	/* Both halves of what tells them apart are small numbers */
	struct pair *p = &ks->pairs[(peer * 8 + hmac) % PAIRS];
	int err = pair_set(p, hmac, tx, rx);

	if (err)
		return err;
	*k->hmac_tx = p->state[0];
	*k->hmac_rx = p->state[1];
	return 0;
}

int svr_keyset_set_cipher(struct svr_crypt *c, struct svr_keyset *k, uint8_t cipher,
			  const struct svr_aes_keys *tx, const struct svr_aes_keys *rx)
{
	uint8_t *at = (uint8_t *)k + ENTRY_HEAD;
	int err;

	k->enc_tx = (struct svr_cipher_key *)at;
	err = svr_cipher_key_set(c, k->enc_tx, cipher, SVR_CRYPT_TO_SEAL, tx->enc, tx->iv);
	if (err)
		return err;
	k->enc_rx = (struct svr_cipher_key *)(at + svr_cipher_key_size(c, cipher, SVR_CRYPT_TO_SEAL));
	return svr_cipher_key_set(c, k->enc_rx, cipher, SVR_CRYPT_TO_OPEN, rx->enc, rx->iv);
}
