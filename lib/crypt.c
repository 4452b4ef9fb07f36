// SPDX-License-Identifier: BSD-2-Clause
/*
 * Symmetric cryptography of session packets with OpenSSL 3 (EVP). What costs time is done once per
 * thread (fetching algorithms) or once per key (hash states, key schedules); per packet only states
 * are copied and IVs are set.
 *
 * HMAC from two copied digest contexts, not EVP_MAC: measured on OpenSSL 3.0 (Zen 4) for an empty
 * input 150 ns with SHA-256 and 409 ns with SHA-384, against 198 and 463 ns with EVP_MAC_init() on
 * a keyed context; EVP_MAC_CTX_dup() alone takes 310 ns.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include "lib/crypt.h"

enum {
	POOL_LEN = 4096,	/* bytes that one RAND_bytes() call fetches */
	HASH_BLOCK_MAX = 128,	/* bytes, SHA-384 and SHA-512 */
	ENC_KEY_MAX = 32,	/* bytes */
	IV_KEY_LEN = 32,	/* bytes: AES-256, whatever the payload's cipher is */
	IV_ZEROS = 6,		/* leading zero bytes of the block behind an IV */
	CBC_MAX = 65536,	/* bytes; nothing on the wire is longer */
};

/* Index is enum svr_hmac; NULL: no HMAC. */
static const char *const hmac_digests[] = {
	[SVR_HMAC_SHA1] = "SHA1",
	[SVR_HMAC_SHA256] = "SHA2-256",
	[SVR_HMAC_SHA256_128] = "SHA2-256",
	[SVR_HMAC_SHA384] = "SHA2-384",
	[SVR_HMAC_SHA512] = "SHA2-512",
};
#define HMAC_COUNT ((int)(sizeof(hmac_digests) / sizeof(hmac_digests[0])))

#define X(id, n, s, tag) _Static_assert((n) < HMAC_COUNT && (tag) <= SVR_TAG_MAX, "digest of " s);
SVR_HMACS(X)
#undef X

struct svr_crypt {
	EVP_MD *digest[HMAC_COUNT];
	EVP_CIPHER *cbc128, *cbc256, *ecb256;
	EVP_MD_CTX *scratch;
	size_t pool_used;	/* bytes of pool[] that are gone */
	uint8_t pool[POOL_LEN];
};

struct svr_hmac_key {
	size_t tag_len;
	EVP_MD_CTX *inner, *outer; /* after one block of key ^ ipad, key ^ opad (RFC 2104) */
};

/*
 * A key serves one direction, and a program either encrypts or decrypts in that direction. So
 * contexts are made at their first use: half of the memory, and half of the set-up time of a
 * session.
 */
struct svr_cipher_key {
	const EVP_CIPHER *cbc, *ecb;
	EVP_CIPHER_CTX *cbc_enc, *cbc_dec, *iv_enc, *iv_dec;
	bool has_iv_key;
	uint8_t enc[ENC_KEY_MAX];
	uint8_t iv_key[IV_KEY_LEN];
};

int svr_crypt_new(struct svr_crypt **out)
{
	struct svr_crypt *c = calloc(1, sizeof(*c));
	int i, err = -ENOMEM;

	*out = NULL;
	if (!c)
		return err;
	c->pool_used = POOL_LEN;
	c->scratch = EVP_MD_CTX_new();
	if (!c->scratch)
		goto out;
	err = -ENOTSUP;
	for (i = 0; i < HMAC_COUNT; i++) {
		if (!hmac_digests[i])
			continue;
		c->digest[i] = EVP_MD_fetch(NULL, hmac_digests[i], NULL);
		if (!c->digest[i])
			goto out;
	}
	c->cbc128 = EVP_CIPHER_fetch(NULL, "AES-128-CBC", NULL);
	c->cbc256 = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
	c->ecb256 = EVP_CIPHER_fetch(NULL, "AES-256-ECB", NULL);
	if (!c->cbc128 || !c->cbc256 || !c->ecb256)
		goto out;
	err = 0;
	*out = c;
out:
	if (err)
		svr_crypt_free(c);
	return err;
}

void svr_crypt_free(struct svr_crypt *c)
{
	int i;

	if (!c)
		return;
	for (i = 0; i < HMAC_COUNT; i++)
		EVP_MD_free(c->digest[i]);
	EVP_CIPHER_free(c->cbc128);
	EVP_CIPHER_free(c->cbc256);
	EVP_CIPHER_free(c->ecb256);
	EVP_MD_CTX_free(c->scratch);
	OPENSSL_cleanse(c->pool, sizeof(c->pool));
	free(c);
}

int svr_crypt_random(struct svr_crypt *c, void *out, size_t len)
{
	uint8_t *p = out;
	size_t part;

	while (len > 0) {
		if (c->pool_used == POOL_LEN) {
			if (RAND_bytes(c->pool, POOL_LEN) != 1)
				return -EIO;
			c->pool_used = 0;
		}
		part = POOL_LEN - c->pool_used;
		if (part > len)
			part = len;
		memcpy(p, c->pool + c->pool_used, part);
		OPENSSL_cleanse(c->pool + c->pool_used, part);
		c->pool_used += part;
		p += part;
		len -= part;
	}
	return 0;
}

/* ---- HMAC ------------------------------------------------------------------------------------ */

size_t svr_hmac_tag_len(uint8_t hmac)
{
	switch (hmac) {
#define X(id, n, s, tag) case n: return tag;
	SVR_HMACS(X)
#undef X
	}
	return 0;
}

/* State after the block key ^ pad; NULL if libcrypto fails. */
static EVP_MD_CTX *hmac_state(const EVP_MD *md, const uint8_t block[static HASH_BLOCK_MAX],
			      uint8_t pad)
{
	size_t len = (size_t)EVP_MD_get_block_size(md), i;
	EVP_MD_CTX *state = EVP_MD_CTX_new();
	uint8_t padded[HASH_BLOCK_MAX];

	for (i = 0; i < len; i++)
		padded[i] = block[i] ^ pad;
	if (state &&
	    (!EVP_DigestInit_ex2(state, md, NULL) || !EVP_DigestUpdate(state, padded, len))) {
		EVP_MD_CTX_free(state);
		state = NULL;
	}
	OPENSSL_cleanse(padded, sizeof(padded));
	return state;
}

int svr_hmac_key_new(struct svr_crypt *c, uint8_t hmac, const uint8_t *key, size_t key_len,
		     struct svr_hmac_key **out)
{
	const uint8_t ipad = 0x36, opad = 0x5c; /* RFC 2104 section 2 */
	uint8_t block[HASH_BLOCK_MAX] = { 0 };
	struct svr_hmac_key *k = NULL;
	const EVP_MD *md;
	int err;

	*out = NULL;
	if (svr_hmac_tag_len(hmac) == 0)
		return -EINVAL;
	md = c->digest[hmac];
	err = -ENOMEM;
	k = calloc(1, sizeof(*k));
	if (!k)
		goto out;
	k->tag_len = svr_hmac_tag_len(hmac);
	if (key_len <= (size_t)EVP_MD_get_block_size(md))
		memcpy(block, key, key_len);
	else if (!EVP_Digest(key, key_len, block, NULL, md, NULL))
		goto out;
	k->inner = hmac_state(md, block, ipad);
	k->outer = hmac_state(md, block, opad);
	if (!k->inner || !k->outer)
		goto out;
	err = 0;
	*out = k;
out:
	OPENSSL_cleanse(block, sizeof(block));
	if (err)
		svr_hmac_key_free(k);
	return err;
}

void svr_hmac_key_free(struct svr_hmac_key *k)
{
	if (!k)
		return;
	EVP_MD_CTX_free(k->inner); /* libcrypto wipes hash states that it frees */
	EVP_MD_CTX_free(k->outer);
	free(k);
}

static int hmac_full(struct svr_crypt *c, struct svr_hmac_key *k, const struct svr_bytes *in,
		     unsigned int count, uint8_t full[static EVP_MAX_MD_SIZE])
{
	unsigned int i, len;

	if (!EVP_MD_CTX_copy_ex(c->scratch, k->inner))
		return -EIO;
	for (i = 0; i < count; i++)
		if (in[i].len > 0 && !EVP_DigestUpdate(c->scratch, in[i].data, in[i].len))
			return -EIO;
	if (!EVP_DigestFinal_ex(c->scratch, full, &len) ||
	    !EVP_MD_CTX_copy_ex(c->scratch, k->outer) || !EVP_DigestUpdate(c->scratch, full, len) ||
	    !EVP_DigestFinal_ex(c->scratch, full, &len))
		return -EIO;
	return 0;
}

int svr_hmac_sign(struct svr_crypt *c, struct svr_hmac_key *k, const struct svr_bytes *in,
		  unsigned int count, uint8_t *tag)
{
	uint8_t full[EVP_MAX_MD_SIZE];
	int err = hmac_full(c, k, in, count, full);

	if (!err)
		memcpy(tag, full, k->tag_len);
	return err;
}

int svr_hmac_verify(struct svr_crypt *c, struct svr_hmac_key *k, const struct svr_bytes *in,
		    unsigned int count, const uint8_t *tag)
{
	uint8_t full[EVP_MAX_MD_SIZE];
	int err = hmac_full(c, k, in, count, full);

	if (!err && CRYPTO_memcmp(full, tag, k->tag_len) != 0)
		err = -EBADMSG;
	/* the right tag of a forged packet must not be left lying about */
	OPENSSL_cleanse(full, sizeof(full));
	return err;
}

/* ---- AES ------------------------------------------------------------------------------------- */

int svr_cipher_key_new(struct svr_crypt *c, uint8_t cipher, const uint8_t *enc,
		       const uint8_t *iv_key, struct svr_cipher_key **out)
{
	struct svr_cipher_key *k;
	const EVP_CIPHER *cbc;

	*out = NULL;
	switch (cipher) {
	case SVR_CIPHER_AES_CBC_128:
		cbc = c->cbc128;
		break;
	case SVR_CIPHER_AES_CBC_256:
		cbc = c->cbc256;
		break;
	default:
		return -ENOTSUP;
	}
	k = calloc(1, sizeof(*k));
	if (!k)
		return -ENOMEM;
	k->cbc = cbc;
	k->ecb = c->ecb256;
	memcpy(k->enc, enc, (size_t)EVP_CIPHER_get_key_length(cbc));
	if (iv_key) {
		k->has_iv_key = true;
		memcpy(k->iv_key, iv_key, IV_KEY_LEN);
	}
	*out = k;
	return 0;
}

void svr_cipher_key_free(struct svr_cipher_key *k)
{
	if (!k)
		return;
	EVP_CIPHER_CTX_free(k->cbc_enc); /* libcrypto wipes key schedules that it frees */
	EVP_CIPHER_CTX_free(k->cbc_dec);
	EVP_CIPHER_CTX_free(k->iv_enc);
	EVP_CIPHER_CTX_free(k->iv_dec);
	OPENSSL_cleanse(k, sizeof(*k));
	free(k);
}

/*
 * The context in @slot, keyed at the first call; NULL if libcrypto fails. Padding is off: svr_cbc_*
 * do their own.
 */
static EVP_CIPHER_CTX *cipher_ctx(EVP_CIPHER_CTX **slot, const EVP_CIPHER *cipher,
				  const uint8_t *key, int encrypt)
{
	EVP_CIPHER_CTX *ctx = *slot;

	if (ctx)
		return ctx;
	ctx = EVP_CIPHER_CTX_new();
	if (!ctx)
		return NULL;
	if (!EVP_CipherInit_ex2(ctx, cipher, key, NULL, encrypt, NULL) ||
	    !EVP_CIPHER_CTX_set_padding(ctx, 0)) {
		EVP_CIPHER_CTX_free(ctx);
		return NULL;
	}
	*slot = ctx;
	return ctx;
}

/* Whole blocks, in place. @iv: NULL for ECB. */
static int cipher_run(EVP_CIPHER_CTX *ctx, const uint8_t *iv, uint8_t *buf, size_t len)
{
	int done = 0;

	if (!ctx)
		return -EIO;
	/* -1 keeps the direction of the context */
	if (iv && !EVP_CipherInit_ex2(ctx, NULL, NULL, iv, -1, NULL))
		return -EIO;
	if (!EVP_CipherUpdate(ctx, buf, &done, buf, (int)len) || (size_t)done != len)
		return -EIO;
	return 0;
}

int svr_iv_make(struct svr_crypt *c, struct svr_cipher_key *k, uint16_t epoch, uint64_t counter,
		uint8_t iv[static 16])
{
	int i;

	(void)c;
	if (!k->has_iv_key)
		return -EINVAL;
	memset(iv, 0, IV_ZEROS);
	iv[6] = epoch >> 8;
	iv[7] = epoch & 0xff;
	for (i = 0; i < 8; i++)
		iv[8 + i] = (uint8_t)(counter >> (56 - 8 * i));
	return cipher_run(cipher_ctx(&k->iv_enc, k->ecb, k->iv_key, 1), NULL, iv, SVR_BLOCK_LEN);
}

int svr_iv_open(struct svr_crypt *c, struct svr_cipher_key *k, const uint8_t iv[static 16],
		uint16_t *epoch, uint64_t *counter)
{
	static const uint8_t zeros[IV_ZEROS];
	uint8_t block[SVR_BLOCK_LEN];
	int i, err;

	(void)c;
	if (!k->has_iv_key)
		return -EINVAL;
	memcpy(block, iv, sizeof(block));
	err = cipher_run(cipher_ctx(&k->iv_dec, k->ecb, k->iv_key, 0), NULL, block, sizeof(block));
	if (err)
		return err;
	if (memcmp(block, zeros, sizeof(zeros)) != 0)
		return -EBADMSG;
	*epoch = (uint16_t)(block[6] << 8 | block[7]);
	*counter = 0;
	for (i = 0; i < 8; i++)
		*counter = *counter << 8 | block[8 + i];
	return 0;
}

int svr_cbc_encrypt(struct svr_crypt *c, struct svr_cipher_key *k, const uint8_t iv[static 16],
		    uint8_t *buf, size_t len)
{
	size_t padded = svr_cbc_len(len);
	int err;

	(void)c;
	if (len > CBC_MAX)
		return -EINVAL;
	memset(buf + len, (int)(padded - len), padded - len); /* PKCS#7, RFC 5652 6.3 */
	err = cipher_run(cipher_ctx(&k->cbc_enc, k->cbc, k->enc, 1), iv, buf, padded);
	return err ? err : (int)padded;
}

int svr_cbc_decrypt(struct svr_crypt *c, struct svr_cipher_key *k, const uint8_t iv[static 16],
		    uint8_t *buf, size_t len)
{
	uint8_t pad, wrong = 0;
	size_t i;
	int err;

	(void)c;
	if (len == 0 || len % SVR_BLOCK_LEN != 0 || len > svr_cbc_len(CBC_MAX))
		return -EBADMSG;
	err = cipher_run(cipher_ctx(&k->cbc_dec, k->cbc, k->enc, 0), iv, buf, len);
	if (err)
		return err;
	/*
	 * Authenticated already, so this is no oracle; all padding bytes are looked at all the
	 * same.
	 */
	pad = buf[len - 1];
	if (pad == 0 || pad > SVR_BLOCK_LEN)
		return -EBADMSG;
	for (i = len - pad; i < len; i++)
		wrong |= buf[i] ^ pad;
	return wrong ? -EBADMSG : (int)(len - pad);
}
