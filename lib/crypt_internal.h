/* SPDX-License-Identifier: BSD-2-Clause */
/* What the backends of crypt.h share. For lib/crypt*.c only. */
#ifndef SVR_LIB_CRYPT_INTERNAL_H
#define SVR_LIB_CRYPT_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/crypt.h"

enum {
	CRYPT_ENC_KEY_MAX = 32, /* bytes */
	CRYPT_IV_KEY_LEN = 32, /* bytes: AES-256, whatever the payload's cipher is */
	CRYPT_STATE_MAX = 64, /* bytes of a hash state */
	CRYPT_POOL_LEN = 4096, /* bytes that one RAND_bytes() call fetches */
	CRYPT_TEXT_MAX = 65536, /* bytes; nothing on the wire is longer */
};

/*
 * States after one block of key ^ ipad, key ^ opad (RFC 2104): words of the hash in the byte order
 * of the machine, which both libraries take as they are.
 */
struct svr_hmac_key {
	uint8_t hmac; /* enum svr_hmac */
	uint8_t tag_len;
	uint8_t inner[CRYPT_STATE_MAX] __attribute__((aligned(16)));
	uint8_t outer[CRYPT_STATE_MAX] __attribute__((aligned(16)));
};

struct svr_mb_schedule;

struct svr_cipher_key {
	uint64_t serial; /* no two keys of a process have the same */
	uint8_t cipher; /* enum svr_cipher */
	bool has_iv_key;
	uint8_t enc[CRYPT_ENC_KEY_MAX];
	uint8_t iv_key[CRYPT_IV_KEY_LEN];
	/* Of ipsec-mb: to open, to seal. Made at first use, since a key serves one direction. Atomic */
	struct svr_mb_schedule *schedule[2];
};

struct svr_crypt_ops {
	void (*seal)(struct svr_crypt *c, struct svr_crypt_job *const jobs[], unsigned int count);
	void (*tag)(struct svr_crypt *c, struct svr_crypt_job *const jobs[], unsigned int count);
	void (*open)(struct svr_crypt *c, struct svr_crypt_job *const jobs[], unsigned int count);
	/* One block with the IV key. 0 or -EIO. */
	int (*block)(struct svr_crypt *c, struct svr_cipher_key *k, bool encrypt,
		     uint8_t block[static SVR_BLOCK_LEN]);
};

struct svr_crypt_openssl;
struct svr_crypt_mb;

struct svr_crypt {
	struct svr_crypt_openssl *openssl;
	struct svr_crypt_mb *mb; /* NULL: ipsec-mb is not used */
	unsigned int batch_min; /* jobs from which on ipsec-mb is faster */
	char why[160]; /* why this backend */
	char mb_version[32];
	size_t pool_used; /* bytes of pool[] that are gone */
	uint8_t pool[CRYPT_POOL_LEN];
};

static inline size_t svr_cipher_key_len(uint8_t cipher)
{
	return cipher == SVR_CIPHER_AES_CBC_128 || cipher == SVR_CIPHER_AES_GCM_128 ? 16 : 32;
}

/* ---- crypt_openssl.c ------------------------------------------------------------------------- */

extern const struct svr_crypt_ops svr_crypt_openssl_ops;
int svr_crypt_openssl_new(struct svr_crypt *c); /* 0, -ENOMEM, -ENOTSUP */
void svr_crypt_openssl_free(struct svr_crypt *c);

/* ---- hmac.c: HMAC in pieces, and the states ---------------------------------------------------- */

/* @k: algorithm and tag length are set. */
void svr_hmac_states(struct svr_hmac_key *k, const uint8_t *key, size_t key_len);
/* The whole tag, not cut. */
void svr_hmac_run(const struct svr_hmac_key *k, const struct svr_bytes *in, unsigned int count,
		  uint8_t full[static SVR_TAG_MAX]);

/* ---- crypt_ipsecmb.c ------------------------------------------------------------------------- */

extern const struct svr_crypt_ops svr_crypt_mb_ops;
/* Fills mb, mb_version and why. 0, -EOPNOTSUPP, -ENOMEM. */
int svr_crypt_mb_new(struct svr_crypt *c);
void svr_crypt_mb_free(struct svr_crypt *c);
void svr_mb_schedule_free(struct svr_mb_schedule *s, uint8_t cipher); /* wipes; NULL is fine */

/* ---- crypt_selftest.c ------------------------------------------------------------------------ */

/* 0 if both backends make the same bytes of a packet of each algorithm, else -EIO. */
int svr_crypt_selftest(struct svr_crypt *c);

#endif
