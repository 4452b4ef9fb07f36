// SPDX-License-Identifier: BSD-2-Clause
/*
 * HMAC (RFC 2104) from hash states that were computed once per key.
 *
 * With libcrypto's plain hash functions, deprecated as they are: their states can be copied like
 * any other struct, while EVP_MD_CTX_copy_ex() allocates memory twice per packet. It is the same
 * code of OpenSSL that runs in both.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include "lib/crypt_internal.h"

enum {
	BLOCK_MAX = 128, /* bytes, SHA-384 and SHA-512 */
	IPAD = 0x36, /* RFC 2104 section 2 */
	OPAD = 0x5c,
};

union sha {
	SHA_CTX sha1;
	SHA256_CTX sha256;
	SHA512_CTX sha512;
};

_Static_assert(sizeof((SHA256_CTX){ 0 }.h) <= SVR_HMAC_STATE_MAX &&
		       sizeof((SHA512_CTX){ 0 }.h) == SVR_HMAC_STATE_MAX,
	       "hash states");

static size_t block_len(uint8_t hmac)
{
	return hmac == SVR_HMAC_SHA384 || hmac == SVR_HMAC_SHA512 ? SHA512_CBLOCK : SHA_CBLOCK;
}

static void sha_init(uint8_t hmac, union sha *x)
{
	switch (hmac) {
	case SVR_HMAC_SHA1:
		SHA1_Init(&x->sha1);
		break;
	case SVR_HMAC_SHA256:
	case SVR_HMAC_SHA256_128:
		SHA256_Init(&x->sha256);
		break;
	case SVR_HMAC_SHA384:
		SHA384_Init(&x->sha512);
		break;
	default:
		SHA512_Init(&x->sha512);
	}
}

static void sha_update(uint8_t hmac, union sha *x, const void *data, size_t len)
{
	switch (hmac) {
	case SVR_HMAC_SHA1:
		SHA1_Update(&x->sha1, data, len);
		break;
	case SVR_HMAC_SHA256:
	case SVR_HMAC_SHA256_128:
		SHA256_Update(&x->sha256, data, len);
		break;
	default: /* SHA-384 differs in its start and its end only */
		SHA512_Update(&x->sha512, data, len);
	}
}

/* Length of the digest. */
static size_t sha_final(uint8_t hmac, union sha *x, uint8_t digest[static SVR_TAG_MAX])
{
	switch (hmac) {
	case SVR_HMAC_SHA1:
		SHA1_Final(digest, &x->sha1);
		return SHA_DIGEST_LENGTH;
	case SVR_HMAC_SHA256:
	case SVR_HMAC_SHA256_128:
		SHA256_Final(digest, &x->sha256);
		return SHA256_DIGEST_LENGTH;
	default:
		SHA512_Final(digest, &x->sha512);
		return x->sha512.md_len;
	}
}

/* The state after one block of key ^ pad, as it is kept. */
static void state_make(uint8_t hmac, const uint8_t block[static BLOCK_MAX], uint8_t pad,
		       uint8_t out[static SVR_HMAC_STATE_MAX])
{
	uint8_t padded[BLOCK_MAX];
	union sha x;
	size_t i;

	for (i = 0; i < sizeof(padded); i++)
		padded[i] = block[i] ^ pad;
	sha_init(hmac, &x);
	sha_update(hmac, &x, padded, block_len(hmac));
	if (hmac == SVR_HMAC_SHA1) /* five words with names of their own */
		memcpy(out, &x.sha1.h0, 5 * sizeof(x.sha1.h0));
	else if (block_len(hmac) == SHA_CBLOCK)
		memcpy(out, x.sha256.h, sizeof(x.sha256.h));
	else
		memcpy(out, x.sha512.h, sizeof(x.sha512.h));
	OPENSSL_cleanse(padded, sizeof(padded));
	OPENSSL_cleanse(&x, sizeof(x));
}

/* Go on from a state: one block is behind it. */
static void state_load(uint8_t hmac, const uint8_t state[static SVR_HMAC_STATE_MAX], union sha *x)
{
	const unsigned int bits = (unsigned int)block_len(hmac) * 8;

	/* Not sha_init(): the buffers inside need no zeros */
	if (hmac == SVR_HMAC_SHA1) {
		memcpy(&x->sha1.h0, state, 5 * sizeof(x->sha1.h0));
		x->sha1.Nl = bits;
		x->sha1.Nh = 0;
		x->sha1.num = 0;
	} else if (block_len(hmac) == SHA_CBLOCK) {
		memcpy(x->sha256.h, state, sizeof(x->sha256.h));
		x->sha256.Nl = bits;
		x->sha256.Nh = 0;
		x->sha256.num = 0;
		x->sha256.md_len = SHA256_DIGEST_LENGTH;
	} else {
		memcpy(x->sha512.h, state, sizeof(x->sha512.h));
		x->sha512.Nl = bits;
		x->sha512.Nh = 0;
		x->sha512.num = 0;
		x->sha512.md_len = hmac == SVR_HMAC_SHA384 ? SHA384_DIGEST_LENGTH :
							     SHA512_DIGEST_LENGTH;
	}
}

void svr_hmac_states(struct svr_hmac_key *k, const uint8_t *key, size_t key_len)
{
	uint8_t block[BLOCK_MAX] = { 0 };
	union sha x;

	if (key_len > block_len(k->hmac)) {
		sha_init(k->hmac, &x);
		sha_update(k->hmac, &x, key, key_len);
		sha_final(k->hmac, &x, block);
		OPENSSL_cleanse(&x, sizeof(x));
	} else {
		memcpy(block, key, key_len);
	}
	state_make(k->hmac, block, IPAD, k->inner);
	state_make(k->hmac, block, OPAD, k->outer);
	OPENSSL_cleanse(block, sizeof(block));
}

void svr_hmac_run(const struct svr_hmac_key *k, const struct svr_bytes *in, unsigned int count,
		  uint8_t full[static SVR_TAG_MAX])
{
	union sha x;
	unsigned int i;
	size_t len;

	state_load(k->hmac, k->inner, &x);
	for (i = 0; i < count; i++)
		if (in[i].len > 0)
			sha_update(k->hmac, &x, in[i].data, in[i].len);
	len = sha_final(k->hmac, &x, full);
	state_load(k->hmac, k->outer, &x);
	sha_update(k->hmac, &x, full, len);
	sha_final(k->hmac, &x, full);
	OPENSSL_cleanse(&x, sizeof(x)); /* what is left of the key */
}
