// SPDX-License-Identifier: BSD-2-Clause
/*
 * Symmetric cryptography of session packets: keys, random bytes, IVs, and which backend does what.
 * What costs time is done once per thread (fetching algorithms) or once per key (hash states, key
 * schedules).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include "lib/cpu.h"
#include "lib/crypt_internal.h"

enum {
	IV_ZEROS = 6, /* leading zero bytes of the block behind an IV */
	/*
	 * Batches that ipsec-mb is faster with: it works on up to 16 packets at once, and takes for
	 * one almost the time of all
	 */
	MB_BATCH_MIN = 3,
};

#define X(id, n, s, tag) _Static_assert((tag) <= SVR_TAG_MAX, "tag of " s);
SVR_HMACS(X)
#undef X

/* ---- life ---------------------------------------------------------------------------------- */

int svr_crypt_new_backend(enum svr_crypt_backend backend, struct svr_crypt **out)
{
	struct svr_crypt *c = calloc(1, sizeof(*c));
	int err;

	*out = NULL;
	if (!c)
		return -ENOMEM;
	c->pool_used = CRYPT_POOL_LEN;
	err = svr_crypt_openssl_new(c);
	if (err)
		goto out;
	if (backend == SVR_CRYPT_OPENSSL)
		snprintf(c->why, sizeof(c->why), "it was asked for");
	else
		err = svr_crypt_mb_new(c);
	if (err == -EOPNOTSUPP && backend == SVR_CRYPT_AUTO)
		err = 0;
	c->batch_min = backend == SVR_CRYPT_AUTO ? MB_BATCH_MIN : 1;
out:
	if (err)
		svr_crypt_free(c);
	else
		*out = c;
	return err;
}

int svr_crypt_new(struct svr_crypt **out)
{
	return svr_crypt_new_backend(SVR_CRYPT_AUTO, out);
}

void svr_crypt_free(struct svr_crypt *c)
{
	if (!c)
		return;
	svr_crypt_mb_free(c);
	svr_crypt_openssl_free(c);
	OPENSSL_cleanse(c->pool, sizeof(c->pool));
	free(c);
}

void svr_crypt_describe(const struct svr_crypt *c, struct svr_crypt_info *out)
{
	*out = (struct svr_crypt_info){
		.backend = c->mb ? "ipsec-mb" : "openssl",
		.why = c->why,
		.openssl = OpenSSL_version(OPENSSL_FULL_VERSION_STRING),
		.ipsec_mb = c->mb_version,
		.cpu = svr_cpu_features(),
		.batch_min = c->mb ? c->batch_min : 0,
	};
}

int svr_crypt_random(struct svr_crypt *c, void *out, size_t len)
{
	uint8_t *p = out;
	size_t part;

	while (len > 0) {
		if (c->pool_used == CRYPT_POOL_LEN) {
			if (RAND_bytes(c->pool, CRYPT_POOL_LEN) != 1)
				return -EIO;
			c->pool_used = 0;
		}
		part = CRYPT_POOL_LEN - c->pool_used;
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

/* ---- keys ---------------------------------------------------------------------------------- */

size_t svr_hmac_tag_len(uint8_t hmac)
{
	switch (hmac) {
#define X(id, n, s, tag) \
	case n:          \
		return tag;
		SVR_HMACS(X)
#undef X
	}
	return 0;
}

int svr_hmac_key_set(struct svr_hmac_key *k, uint8_t hmac, const uint8_t *key, size_t key_len)
{
	if (svr_hmac_tag_len(hmac) == 0)
		return -EINVAL;
	k->hmac = hmac;
	k->tag_len = (uint8_t)svr_hmac_tag_len(hmac);
	svr_hmac_states(k, key, key_len);
	return 0;
}

int svr_hmac_key_new(struct svr_crypt *c, uint8_t hmac, const uint8_t *key, size_t key_len,
		     struct svr_hmac_key **out)
{
	struct svr_hmac_key *k;

	(void)c;
	*out = NULL;
	if (svr_hmac_tag_len(hmac) == 0)
		return -EINVAL;
	k = calloc(1, sizeof(*k));
	if (!k)
		return -ENOMEM;
	svr_hmac_key_set(k, hmac, key, key_len);
	*out = k;
	return 0;
}

void svr_hmac_key_free(struct svr_hmac_key *k)
{
	if (!k)
		return;
	OPENSSL_cleanse(k, sizeof(*k));
	free(k);
}

static bool known_cipher(uint8_t cipher)
{
	return svr_cipher_is_cbc(cipher) || svr_cipher_is_gcm(cipher);
}

size_t svr_cipher_key_size(const struct svr_crypt *c, uint8_t cipher, enum svr_crypt_use use)
{
	const size_t len = sizeof(struct svr_cipher_key) + svr_mb_schedule_len(c, cipher, use);

	return (len + SVR_CIPHER_KEY_ALIGN - 1) / SVR_CIPHER_KEY_ALIGN * SVR_CIPHER_KEY_ALIGN;
}

int svr_cipher_key_set(struct svr_crypt *c, struct svr_cipher_key *k, uint8_t cipher,
		       enum svr_crypt_use use, const uint8_t *enc, const uint8_t *iv_key)
{
	static uint64_t serials;

	if (!known_cipher(cipher))
		return -ENOTSUP;
	k->serial = __atomic_add_fetch(&serials, 1, __ATOMIC_RELAXED);
	k->len = (uint32_t)svr_cipher_key_size(c, cipher, use);
	k->cipher = cipher;
	k->use = (uint8_t)use;
	k->has_iv_key = iv_key != NULL;
	memcpy(k->enc, enc, svr_cipher_key_len(cipher));
	if (iv_key)
		memcpy(k->iv_key, iv_key, sizeof(k->iv_key));
	svr_mb_schedule_make(c, k);
	return 0;
}

int svr_cipher_key_new(struct svr_crypt *c, uint8_t cipher, const uint8_t *enc,
		       const uint8_t *iv_key, struct svr_cipher_key **out)
{
	struct svr_cipher_key *k;

	*out = NULL;
	if (!known_cipher(cipher))
		return -ENOTSUP;
	k = aligned_alloc(SVR_CIPHER_KEY_ALIGN, svr_cipher_key_size(c, cipher, SVR_CRYPT_TO_BOTH));
	if (!k)
		return -ENOMEM;
	svr_cipher_key_set(c, k, cipher, SVR_CRYPT_TO_BOTH, enc, iv_key);
	*out = k;
	return 0;
}

void svr_cipher_key_free(struct svr_cipher_key *k)
{
	if (!k)
		return;
	OPENSSL_cleanse(k, k->len);
	free(k);
}

uint8_t svr_cipher_of(const struct svr_cipher_key *k)
{
	return k->cipher;
}

/* ---- batches ------------------------------------------------------------------------------- */

static bool needs_company(const struct svr_crypt_job *j)
{
	return j->hmac || !svr_cipher_is_gcm(j->cipher->cipher);
}

/* What does not work on several packets at once is ipsec-mb's also if it comes alone. */
static const struct svr_crypt_ops *seal_ops(const struct svr_crypt *c,
					    struct svr_crypt_job *const jobs[], unsigned int count)
{
	unsigned int i;

	if (!c->mb)
		return &svr_crypt_openssl_ops;
	for (i = 0; count < c->batch_min && i < count; i++)
		if (needs_company(jobs[i]))
			return &svr_crypt_openssl_ops;
	return &svr_crypt_mb_ops;
}

void svr_crypt_seal(struct svr_crypt *c, struct svr_crypt_job *const jobs[], unsigned int count)
{
	seal_ops(c, jobs, count)->seal(c, jobs, count);
}

void svr_crypt_tag(struct svr_crypt *c, struct svr_crypt_job *const jobs[], unsigned int count)
{
	const bool mb = c->mb && count >= c->batch_min;

	(mb ? &svr_crypt_mb_ops : &svr_crypt_openssl_ops)->tag(c, jobs, count);
}

void svr_crypt_open(struct svr_crypt *c, struct svr_crypt_job *const jobs[], unsigned int count)
{
	(c->mb ? &svr_crypt_mb_ops : &svr_crypt_openssl_ops)->open(c, jobs, count);
}

size_t svr_pad(uint8_t *buf, size_t len)
{
	size_t padded = svr_cbc_len(len);

	memset(buf + len, (int)(padded - len), padded - len);
	return padded;
}

int svr_unpad(const uint8_t *buf, size_t len)
{
	uint8_t pad, wrong = 0;
	size_t i;

	if (len == 0 || len % SVR_BLOCK_LEN != 0 || len > svr_cbc_len(CRYPT_TEXT_MAX))
		return -EBADMSG;
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

/* ---- one by one ---------------------------------------------------------------------------- */

int svr_hmac_sign(struct svr_crypt *c, struct svr_hmac_key *k, const struct svr_bytes *in,
		  unsigned int count, uint8_t *tag)
{
	uint8_t full[SVR_TAG_MAX];

	(void)c;
	svr_hmac_run(k, in, count, full);
	memcpy(tag, full, k->tag_len);
	return 0;
}

int svr_hmac_verify(struct svr_crypt *c, struct svr_hmac_key *k, const struct svr_bytes *in,
		    unsigned int count, const uint8_t *tag)
{
	uint8_t full[SVR_TAG_MAX];
	int err;

	(void)c;
	svr_hmac_run(k, in, count, full);
	err = CRYPTO_memcmp(full, tag, k->tag_len) ? -EBADMSG : 0;
	/* the right tag of a forged packet must not be left lying about */
	OPENSSL_cleanse(full, sizeof(full));
	return err;
}

static int block_run(struct svr_crypt *c, struct svr_cipher_key *k, bool encrypt,
		     uint8_t block[static SVR_BLOCK_LEN])
{
	return (c->mb ? &svr_crypt_mb_ops : &svr_crypt_openssl_ops)->block(c, k, encrypt, block);
}

int svr_iv_make(struct svr_crypt *c, struct svr_cipher_key *k, uint16_t epoch, uint64_t counter,
		uint8_t iv[static 16])
{
	int i;

	if (!k->has_iv_key)
		return -EINVAL;
	memset(iv, 0, IV_ZEROS);
	iv[6] = epoch >> 8;
	iv[7] = epoch & 0xff;
	for (i = 0; i < 8; i++)
		iv[8 + i] = (uint8_t)(counter >> (56 - 8 * i));
	return block_run(c, k, true, iv);
}

int svr_iv_open(struct svr_crypt *c, struct svr_cipher_key *k, const uint8_t iv[static 16],
		uint16_t *epoch, uint64_t *counter)
{
	static const uint8_t zeros[IV_ZEROS];
	uint8_t block[SVR_BLOCK_LEN];
	int i, err;

	if (!k->has_iv_key)
		return -EINVAL;
	memcpy(block, iv, sizeof(block));
	err = block_run(c, k, false, block);
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

int svr_gcm_nonce(const struct svr_cipher_key *k,
		  const uint8_t explicit_part[static SVR_GCM_EXPLICIT_LEN],
		  uint8_t nonce[static SVR_GCM_NONCE_LEN])
{
	const size_t zeros = SVR_GCM_NONCE_LEN - SVR_GCM_EXPLICIT_LEN;
	size_t i;

	if (!k->has_iv_key)
		return -EINVAL;
	memcpy(nonce, k->iv_key, SVR_GCM_NONCE_LEN);
	for (i = 0; i < SVR_GCM_EXPLICIT_LEN; i++)
		nonce[zeros + i] ^= explicit_part[i];
	return 0;
}

int svr_cbc_encrypt(struct svr_crypt *c, struct svr_cipher_key *k, const uint8_t iv[static 16],
		    uint8_t *buf, size_t len)
{
	struct svr_crypt_job job = { .cipher = k, .text = buf, .iv = iv }, *one = &job;

	if (len > CRYPT_TEXT_MAX)
		return -EINVAL;
	job.text_len = svr_pad(buf, len);
	svr_crypt_seal(c, &one, 1);
	return job.err ? job.err : (int)job.text_len;
}

int svr_cbc_decrypt(struct svr_crypt *c, struct svr_cipher_key *k, const uint8_t iv[static 16],
		    uint8_t *buf, size_t len)
{
	struct svr_crypt_job job = { .cipher = k, .text = buf, .text_len = len, .iv = iv };
	struct svr_crypt_job *one = &job;

	if (len == 0 || len % SVR_BLOCK_LEN != 0 || len > svr_cbc_len(CRYPT_TEXT_MAX))
		return -EBADMSG;
	svr_crypt_open(c, &one, 1);
	return job.err ? job.err : svr_unpad(buf, len);
}
