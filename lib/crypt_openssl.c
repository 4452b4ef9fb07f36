// SPDX-License-Identifier: BSD-2-Clause
/*
 * OpenSSL 3 (EVP) behind crypt.h: packet after packet. Algorithms and contexts are made once per
 * thread; a context is keyed anew only if its last packet was one of another key, so the keys
 * themselves stay small, and threads can share them.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "lib/crypt_internal.h"

/* By enum svr_cipher; the first one is that of IVs. */
static const char *const names[] = {
	[SVR_CIPHER_NONE] = "AES-256-ECB",	  [SVR_CIPHER_AES_CBC_128] = "AES-128-CBC",
	[SVR_CIPHER_AES_CBC_256] = "AES-256-CBC", [SVR_CIPHER_AES_GCM_128] = "AES-128-GCM",
	[SVR_CIPHER_AES_GCM_256] = "AES-256-GCM",
};
enum { CIPHERS = sizeof(names) / sizeof(names[0]) };

struct context {
	EVP_CIPHER_CTX *ctx;
	uint64_t serial; /* of the key that is in it; 0: none */
};

struct svr_crypt_openssl {
	EVP_CIPHER *cipher[CIPHERS];
	struct context context[CIPHERS][2]; /* to decrypt, to encrypt */
};

int svr_crypt_openssl_new(struct svr_crypt *c)
{
	struct svr_crypt_openssl *o = calloc(1, sizeof(*o));
	int i, way;

	c->openssl = o;
	if (!o)
		return -ENOMEM;
	for (i = 0; i < CIPHERS; i++) {
		o->cipher[i] = EVP_CIPHER_fetch(NULL, names[i], NULL);
		if (!o->cipher[i])
			return -ENOTSUP;
		for (way = 0; way < 2; way++) {
			struct context *x = &o->context[i][way];

			x->ctx = EVP_CIPHER_CTX_new();
			/* Padding is off: svr_pad() does its own */
			if (!x->ctx ||
			    !EVP_CipherInit_ex2(x->ctx, o->cipher[i], NULL, NULL, way, NULL) ||
			    !EVP_CIPHER_CTX_set_padding(x->ctx, 0))
				return -ENOMEM;
		}
	}
	return 0;
}

void svr_crypt_openssl_free(struct svr_crypt *c)
{
	struct svr_crypt_openssl *o = c->openssl;
	int i;

	for (i = 0; o && i < CIPHERS; i++) {
		EVP_CIPHER_CTX_free(o->context[i][0].ctx); /* libcrypto wipes what it frees */
		EVP_CIPHER_CTX_free(o->context[i][1].ctx);
		EVP_CIPHER_free(o->cipher[i]);
	}
	free(o);
	c->openssl = NULL;
}

/* The context of a cipher and way with a key and IV in it; NULL if libcrypto fails. */
static EVP_CIPHER_CTX *context_of(struct svr_crypt *c, uint8_t cipher, bool encrypt,
				  const struct svr_cipher_key *k, const uint8_t *key,
				  const uint8_t *iv)
{
	struct context *x = &c->openssl->context[cipher][encrypt];
	const bool keyed = x->serial == k->serial;

	if (keyed && !iv)
		return x->ctx;
	x->serial = 0;
	if (!EVP_CipherInit_ex2(x->ctx, NULL, keyed ? NULL : key, iv, encrypt, NULL))
		return NULL;
	x->serial = k->serial;
	return x->ctx;
}

static int cbc_run(struct svr_crypt *c, const struct svr_crypt_job *j, bool encrypt)
{
	const struct svr_cipher_key *k = j->cipher;
	EVP_CIPHER_CTX *ctx;
	int done = 0;

	if (j->text_len == 0)
		return 0;
	ctx = context_of(c, k->cipher, encrypt, k, k->enc, j->iv);
	if (!ctx || !EVP_CipherUpdate(ctx, j->text, &done, j->text, (int)j->text_len) ||
	    (size_t)done != j->text_len)
		return -EIO;
	return 0;
}

static int gcm_run(struct svr_crypt *c, const struct svr_crypt_job *j, bool encrypt)
{
	const struct svr_cipher_key *k = j->cipher;
	EVP_CIPHER_CTX *ctx = context_of(c, k->cipher, encrypt, k, k->enc, j->iv);
	uint8_t none[SVR_BLOCK_LEN];
	int done = 0;

	if (!ctx || (j->aad_len && !EVP_CipherUpdate(ctx, NULL, &done, j->aad, (int)j->aad_len)))
		return -EIO;
	if (j->text_len && (!EVP_CipherUpdate(ctx, j->text, &done, j->text, (int)j->text_len) ||
			    (size_t)done != j->text_len))
		return -EIO;
	if (!encrypt &&
	    !EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, SVR_GCM_TAG_LEN, j->gcm_tag))
		return -EIO;
	if (EVP_CipherFinal_ex(ctx, none, &done) <= 0)
		return encrypt ? -EIO : -EBADMSG;
	if (encrypt &&
	    !EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, SVR_GCM_TAG_LEN, j->gcm_tag))
		return -EIO;
	return 0;
}

static int cipher_run(struct svr_crypt *c, const struct svr_crypt_job *j, bool encrypt)
{
	if (!j->cipher)
		return 0;
	if (svr_cipher_is_gcm(j->cipher->cipher))
		return gcm_run(c, j, encrypt);
	return cbc_run(c, j, encrypt);
}

static void hmac_one(const struct svr_crypt_job *j)
{
	const struct svr_bytes in = { j->input, j->input_len };
	uint8_t full[SVR_TAG_MAX];

	if (!j->hmac)
		return;
	svr_hmac_run(j->hmac, &in, 1, full);
	memcpy(j->tag, full, j->hmac->tag_len);
}

static void seal(struct svr_crypt *c, struct svr_crypt_job *const jobs[], unsigned int count)
{
	unsigned int i;

	for (i = 0; i < count; i++) {
		jobs[i]->err = cipher_run(c, jobs[i], true);
		if (!jobs[i]->err)
			hmac_one(jobs[i]);
	}
}

static void tag(struct svr_crypt *c, struct svr_crypt_job *const jobs[], unsigned int count)
{
	unsigned int i;

	(void)c;
	for (i = 0; i < count; i++) {
		hmac_one(jobs[i]);
		jobs[i]->err = 0;
	}
}

static void open_all(struct svr_crypt *c, struct svr_crypt_job *const jobs[], unsigned int count)
{
	unsigned int i;

	for (i = 0; i < count; i++)
		jobs[i]->err = cipher_run(c, jobs[i], false);
}

static int block(struct svr_crypt *c, struct svr_cipher_key *k, bool encrypt,
		 uint8_t b[static SVR_BLOCK_LEN])
{
	EVP_CIPHER_CTX *ctx = context_of(c, SVR_CIPHER_NONE, encrypt, k, k->iv_key, NULL);
	int done = 0;

	return ctx && EVP_CipherUpdate(ctx, b, &done, b, SVR_BLOCK_LEN) && done == SVR_BLOCK_LEN ?
		       0 :
		       -EIO;
}

const struct svr_crypt_ops svr_crypt_openssl_ops = {
	.seal = seal,
	.tag = tag,
	.open = open_all,
	.block = block,
};
