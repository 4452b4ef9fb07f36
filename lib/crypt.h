/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Symmetric cryptography of session packets: the only place that knows which library does it. Part of libsvr.
 *
 * An svr_crypt belongs to one thread: it holds the algorithms (fetched once), contexts that are used again and a pool of
 * random bytes, so that nothing per packet allocates or makes a system call. Keyed objects (svr_hmac_key, svr_cipher_key)
 * are made once per session or key and are cheap to use; they are plain pointers, owned by the caller.
 */
#ifndef SVR_LIB_CRYPT_H
#define SVR_LIB_CRYPT_H

#include <stddef.h>
#include <stdint.h>
#include <svr/wire.h>

struct svr_crypt;
struct svr_hmac_key;	/* inner and outer hash states computed once */
struct svr_cipher_key;	/* AES key schedules of one direction: payload or metadata key, and IV key */

int svr_crypt_new(struct svr_crypt **out);	/* 0, -ENOMEM, -ENOTSUP if libcrypto lacks an algorithm */
void svr_crypt_free(struct svr_crypt *c);

/* Random bytes from the pool of this thread (RAND_bytes in 4 KiB portions, used bytes are wiped). 0 or -EIO. */
int svr_crypt_random(struct svr_crypt *c, void *out, size_t len);

/* Bytes of the tag of an algorithm (enum svr_hmac); 0 for NONE or an unknown number. */
size_t svr_hmac_tag_len(uint8_t hmac);
/* Bytes that CBC with PKCS#7 makes of len bytes: 16 * (len / 16 + 1). */
static inline size_t svr_cbc_len(size_t len)
{
	return (len / SVR_BLOCK_LEN + 1) * SVR_BLOCK_LEN;
}

/* @hmac: enum svr_hmac; 0, -EINVAL for an unknown algorithm, -ENOMEM. Free with svr_hmac_key_free (wipes; NULL is fine). */
int svr_hmac_key_new(struct svr_crypt *c, uint8_t hmac, const uint8_t *key, size_t key_len, struct svr_hmac_key **out);
void svr_hmac_key_free(struct svr_hmac_key *k);

/* One piece of an HMAC input. */
struct svr_bytes {
	const void *data;
	size_t len;
};

/**
 * svr_hmac_sign() - tag over the pieces, in order.
 * @tag: svr_hmac_tag_len() bytes
 * Return: 0 or -EIO.
 */
int svr_hmac_sign(struct svr_crypt *c, struct svr_hmac_key *k, const struct svr_bytes *in, unsigned int count, uint8_t *tag);

/* Compares in constant time. 0 if @tag is right, -EBADMSG if not, -EIO. */
int svr_hmac_verify(struct svr_crypt *c, struct svr_hmac_key *k, const struct svr_bytes *in, unsigned int count,
		    const uint8_t *tag);

/**
 * svr_cipher_key_new() - keys of one direction.
 * @cipher: SVR_CIPHER_AES_CBC_128 or _256 (others: -ENOTSUP)
 * @enc: 16 or 32 bytes used
 * @iv_key: 32 bytes for IVs that carry counters, NULL where the caller gives IVs (metadata)
 */
int svr_cipher_key_new(struct svr_crypt *c, uint8_t cipher, const uint8_t *enc, const uint8_t *iv_key,
		       struct svr_cipher_key **out);
void svr_cipher_key_free(struct svr_cipher_key *k);

/* IV of a packet from epoch and counter (docs/protocol.md section 7). */
int svr_iv_make(struct svr_crypt *c, struct svr_cipher_key *k, uint16_t epoch, uint64_t counter, uint8_t iv[static 16]);
/* The reverse: -EBADMSG if the six leading bytes are not zero. */
int svr_iv_open(struct svr_crypt *c, struct svr_cipher_key *k, const uint8_t iv[static 16], uint16_t *epoch,
		uint64_t *counter);

/**
 * svr_cbc_encrypt() - AES-CBC with PKCS#7 padding, in place.
 * @buf: @len bytes of plain text, room for svr_cbc_len(@len)
 * Return: length of the ciphertext, or -EIO.
 */
int svr_cbc_encrypt(struct svr_crypt *c, struct svr_cipher_key *k, const uint8_t iv[static 16], uint8_t *buf, size_t len);

/* In place. Return: length of the plain text, -EBADMSG for a wrong length or padding, -EIO. Call only after authentication. */
int svr_cbc_decrypt(struct svr_crypt *c, struct svr_cipher_key *k, const uint8_t iv[static 16], uint8_t *buf, size_t len);

#endif
