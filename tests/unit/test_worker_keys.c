// SPDX-License-Identifier: BSD-2-Clause
/* Keys that encrypt metadata: of a pair of routers and a direction, kept, made anew when one of theirs changes, wiped. */
#include <string.h>

#include <criterion/criterion.h>

#include "vector.h"
#include "worker/keys.c"

enum { WEST = 3, NORTH = 4, PEERS = SVR_MAX_PEERS };

static struct svr_crypt *crypt;
static struct svr_keycache cache;
static struct svr_meta_key meta;
static uint8_t west_hmac[SVR_HMAC_KEY_LEN], north_hmac[SVR_HMAC_KEY_LEN];

static void setup(void)
{
	struct hex key = vec("metadata-key"), hmac = vec("kdf.session-hmac.out");

	cr_assert_eq(svr_crypt_new(&crypt), 0);
	meta = (struct svr_meta_key){ .index = 7 };
	memcpy(meta.key, key.bytes, sizeof(meta.key));
	memcpy(west_hmac, hmac.bytes + SVR_HMAC_KEY_LEN, sizeof(west_hmac));
	memset(north_hmac, 0x33, sizeof(north_hmac));
}

static void teardown(void)
{
	svr_keycache_free(&cache);
	svr_crypt_free(crypt);
}

TestSuite(worker_keys, .init = setup, .fini = teardown);

static struct svr_cipher_key *opener(uint32_t peer, const uint8_t *hmac)
{
	struct svr_cipher_key *k =
		svr_keycache_meta(&cache, crypt, peer, SVR_CRYPT_TO_OPEN, &meta, hmac);

	cr_assert_not_null(k);
	return k;
}

/* True if the metadata of the protocol text is what comes out. */
static bool opens_the_vector(struct svr_cipher_key *k)
{
	struct hex block = vec("secret-udp.metadata"), plain = vec("secret-udp.metadata-plain");
	const size_t padded = svr_cbc_len(plain.len);
	uint8_t *iv = block.bytes + block.len - 16, *text = iv - padded;
	int n = svr_cbc_decrypt(crypt, k, iv, text, padded);

	return n == (int)plain.len && memcmp(text, plain.bytes, plain.len) == 0;
}

/* The router `north` is a peer of ours, too, so it has the same metadata key of ours. */
Test(worker_keys, metadata_opens_with_the_keys_of_its_pair_only)
{
	cr_expect(opens_the_vector(opener(WEST, west_hmac)));
	cr_expect(!opens_the_vector(opener(NORTH, north_hmac)));
	cr_expect(!opens_the_vector(opener(WEST, north_hmac)), "another peer key of the pair");
	cr_expect(opens_the_vector(opener(WEST, west_hmac)), "and the one before again");
	meta.key[31] ^= 1;
	cr_expect(!opens_the_vector(opener(WEST, west_hmac)), "another metadata key");
}

Test(worker_keys, a_key_is_derived_once)
{
	struct svr_cipher_key *west = opener(WEST, west_hmac), *north = opener(NORTH, north_hmac);

	cr_expect_neq(west, north);
	cr_expect_eq(opener(WEST, west_hmac), west);
	cr_expect_eq(opener(NORTH, north_hmac), north);
	/* Numbers are names in the packet; what counts are the bytes */
	meta.index++;
	cr_expect_eq(opener(WEST, west_hmac), west);
}

Test(worker_keys, all_peers_have_room_in_both_directions)
{
	static struct svr_cipher_key *made[PEERS][2];
	unsigned int peer, use, lost = 0;

	for (peer = 0; peer < PEERS; peer++) {
		west_hmac[0] = (uint8_t)peer;
		west_hmac[1] = (uint8_t)(peer >> 8);
		for (use = 0; use < 2; use++)
			made[peer][use] = svr_keycache_meta(
				&cache, crypt, peer, use ? SVR_CRYPT_TO_SEAL : SVR_CRYPT_TO_OPEN,
				&meta, west_hmac);
	}
	for (peer = 0; peer < PEERS; peer++) {
		west_hmac[0] = (uint8_t)peer;
		west_hmac[1] = (uint8_t)(peer >> 8);
		for (use = 0; use < 2; use++)
			lost += cache.meta[meta_slot(peer,
						     use ? SVR_CRYPT_TO_SEAL : SVR_CRYPT_TO_OPEN)]
					.ctx != made[peer][use];
	}
	cr_expect_eq(lost, 0, "%u of %u were replaced", lost, 2 * PEERS);
}

Test(worker_keys, nothing_of_a_replaced_key_is_left)
{
	__typeof__(&cache.meta[0]) e = &cache.meta[meta_slot(WEST, SVR_CRYPT_TO_OPEN)];

	opener(WEST, west_hmac);
	cr_expect_arr_eq(e->hmac_key, west_hmac, sizeof(e->hmac_key));
	memset(meta.key, 0x55, sizeof(meta.key));
	opener(WEST, north_hmac);
	cr_expect_arr_eq(e->hmac_key, north_hmac, sizeof(e->hmac_key));
	cr_expect_arr_eq(e->meta_key, meta.key, sizeof(e->meta_key));
	svr_keycache_free(&cache);
	cr_expect_null(memmem(&cache, sizeof(cache), north_hmac, sizeof(north_hmac)));
	cr_expect_null(e->ctx);
}
