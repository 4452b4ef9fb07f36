// SPDX-License-Identifier: BSD-2-Clause
/*
 * Do both backends make the same bytes? Asked of a library that is found at run time, before it gets
 * anybody's packets.
 */
#include <errno.h>
#include <string.h>

#include "lib/crypt_internal.h"

enum {
	JOBS = 5, /* one of each HMAC algorithm */
	ROOM = 512,
	TEXT_AT = 64, /* bytes that are signed only */
	TEXT_LEN = 160,
	INPUT_LEN = TEXT_AT + TEXT_LEN + 57,
};

/* Packets of all HMAC algorithms under one cipher. */
struct packets {
	struct svr_crypt_job job[JOBS], *list[JOBS];
	uint8_t room[JOBS][ROOM], gcm_tag[JOBS][SVR_GCM_TAG_LEN], tag[JOBS][SVR_TAG_MAX];
};

struct keys {
	struct svr_cipher_key *cipher;
	struct svr_hmac_key *hmac[JOBS];
};

static const uint8_t some_bytes[48] = "any key will do, it only has to be the same one";

static int keys_make(struct svr_crypt *c, uint8_t cipher, struct keys *k)
{
	int i, err = 0;

	for (i = 0; i < JOBS && !err; i++)
		err = svr_hmac_key_new(c, (uint8_t)(SVR_HMAC_SHA1 + i), some_bytes,
				       sizeof(some_bytes), &k->hmac[i]);
	return err ? err : svr_cipher_key_new(c, cipher, some_bytes, some_bytes, &k->cipher);
}

static void keys_free(struct keys *k)
{
	int i;

	for (i = 0; i < JOBS; i++)
		svr_hmac_key_free(k->hmac[i]);
	svr_cipher_key_free(k->cipher);
}

static void packets_fill(struct packets *p, const struct keys *k)
{
	int i, at;

	memset(p, 0, sizeof(*p));
	for (i = 0; i < JOBS; i++) {
		for (at = 0; at < ROOM; at++)
			p->room[i][at] = (uint8_t)(at * 7 + i);
		p->list[i] = &p->job[i];
		p->job[i] = (struct svr_crypt_job){
			.cipher = k->cipher,
			.text = p->room[i] + TEXT_AT,
			.text_len = TEXT_LEN - SVR_BLOCK_LEN * (size_t)i,
			.iv = some_bytes,
			.aad = p->room[i],
			.aad_len = (size_t)(20 + i),
			.gcm_tag = p->gcm_tag[i],
			.hmac = k->hmac[i],
			.input = p->room[i],
			.input_len = INPUT_LEN,
			.tag = p->tag[i],
		};
	}
}

static bool same(const struct packets *a, const struct packets *b)
{
	int i;

	for (i = 0; i < JOBS; i++)
		if (a->job[i].err || b->job[i].err)
			return false;
	return memcmp(a->room, b->room, sizeof(a->room)) == 0 &&
	       memcmp(a->gcm_tag, b->gcm_tag, sizeof(a->gcm_tag)) == 0 &&
	       memcmp(a->tag, b->tag, sizeof(a->tag)) == 0;
}

static bool packets_agree(struct svr_crypt *c, const struct keys *k)
{
	struct packets one, other;

	packets_fill(&one, k);
	packets_fill(&other, k);
	svr_crypt_openssl_ops.seal(c, one.list, JOBS);
	svr_crypt_mb_ops.seal(c, other.list, JOBS);
	if (!same(&one, &other))
		return false;
	svr_crypt_openssl_ops.tag(c, one.list, JOBS);
	svr_crypt_mb_ops.tag(c, other.list, JOBS);
	svr_crypt_openssl_ops.open(c, one.list, JOBS);
	svr_crypt_mb_ops.open(c, other.list, JOBS);
	if (!same(&one, &other))
		return false;
	/* And is it what it was before? */
	packets_fill(&other, k);
	return memcmp(one.room, other.room, sizeof(one.room)) == 0;
}

static bool blocks_agree(struct svr_crypt *c, const struct keys *k)
{
	uint8_t one[SVR_BLOCK_LEN], other[SVR_BLOCK_LEN];

	memcpy(one, some_bytes, sizeof(one));
	memcpy(other, some_bytes, sizeof(other));
	return svr_crypt_openssl_ops.block(c, k->cipher, true, one) == 0 &&
	       svr_crypt_mb_ops.block(c, k->cipher, true, other) == 0 &&
	       memcmp(one, other, sizeof(one)) == 0 &&
	       svr_crypt_mb_ops.block(c, k->cipher, false, other) == 0 &&
	       memcmp(other, some_bytes, sizeof(other)) == 0;
}

int svr_crypt_selftest(struct svr_crypt *c)
{
	uint8_t cipher;
	int err = 0;

	for (cipher = SVR_CIPHER_AES_CBC_128; cipher <= SVR_CIPHER_AES_GCM_256 && !err; cipher++) {
		struct keys k = { 0 };

		err = keys_make(c, cipher, &k);
		if (!err &&
		    (!packets_agree(c, &k) || (svr_cipher_is_cbc(cipher) && !blocks_agree(c, &k))))
			err = -EIO;
		keys_free(&k);
	}
	return err;
}
