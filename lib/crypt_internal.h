/* SPDX-License-Identifier: BSD-2-Clause */
/* What the backends of crypt.h share. For lib/crypt*.c, and for what is made of HMACs (kdf.c). */
#ifndef SVR_LIB_CRYPT_INTERNAL_H
#define SVR_LIB_CRYPT_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/crypt.h"

enum {
	CRYPT_ENC_KEY_MAX = 32, /* bytes */
	CRYPT_IV_KEY_LEN = 32, /* bytes: AES-256, whatever the payload's cipher is */
	CRYPT_POOL_LEN = 4096, /* bytes that one RAND_bytes() call fetches */
	CRYPT_TEXT_MAX = 65536, /* bytes; nothing on the wire is longer */
};

struct svr_cipher_key {
	uint64_t serial; /* no two keys of a process have the same */
	uint32_t len; /* bytes of all, see svr_cipher_key_size() */
	uint8_t cipher; /* enum svr_cipher */
	uint8_t use; /* enum svr_crypt_use */
	bool has_iv_key;
	uint8_t enc[CRYPT_ENC_KEY_MAX];
	uint8_t iv_key[CRYPT_IV_KEY_LEN];
	/* Round keys of ipsec-mb, where it is used */
	uint8_t schedule[] __attribute__((aligned(SVR_CIPHER_KEY_ALIGN)));
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
/* Bytes of the round keys; 0 without ipsec-mb. */
size_t svr_mb_schedule_len(const struct svr_crypt *c, uint8_t cipher, enum svr_crypt_use use);
void svr_mb_schedule_make(struct svr_crypt *c, struct svr_cipher_key *k);

/* ---- crypt_selftest.c ------------------------------------------------------------------------ */

/* 0 if both backends make the same bytes of a packet of each algorithm, else -EIO. */
int svr_crypt_selftest(struct svr_crypt *c);

#endif
