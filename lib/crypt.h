/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Symmetric cryptography of session packets: the only place that knows which library does it. Part of libsvr.
 *
 * Work comes in batches of packets (struct svr_crypt_job) of any sessions, keys and algorithms, or one by one. Behind both
 * stands a backend: OpenSSL always, and Intel's ipsec-mb, which works on many packets at once, where it is installed and
 * the CPU can do it. Both make the same bytes.
 *
 * An svr_crypt belongs to one thread: it holds the algorithms (fetched once), contexts that are used again and a pool of
 * random bytes, so that nothing per packet allocates or makes a system call. Keyed objects (svr_hmac_key, svr_cipher_key)
 * are made once per session or key, are cheap to use, and are not changed by use: threads may share them if their backends
 * are the same. They lie in memory of their own (_new) or of the caller (_set), who keeps them until the last job with them
 * is done.
 */
#ifndef SVR_LIB_CRYPT_H
#define SVR_LIB_CRYPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <svr/wire.h>

struct svr_crypt;
struct svr_cipher_key; /* AES keys of one direction: payload or metadata key, and IV key */

enum svr_crypt_backend {
	SVR_CRYPT_AUTO, /* ipsec-mb where it works, OpenSSL otherwise */
	SVR_CRYPT_OPENSSL,
	SVR_CRYPT_IPSEC_MB, /* for every batch, whatever its size: to test and to measure */
};

int svr_crypt_new(
	struct svr_crypt *
		*out); /* SVR_CRYPT_AUTO. 0, -ENOMEM, -ENOTSUP if libcrypto lacks an algorithm */
/* With a backend of choice. -EOPNOTSUPP: ipsec-mb is not to be had, see svr_crypt_why(). */
int svr_crypt_new_backend(enum svr_crypt_backend backend, struct svr_crypt **out);
void svr_crypt_free(struct svr_crypt *c);

/* What stands behind it and why, in words for `svr show crypto`; valid as long as @c. */
struct svr_crypt_info {
	const char *backend; /* "ipsec-mb" or "openssl": what bigger batches are given to */
	const char *why; /* a sentence */
	const char *openssl; /* version of libcrypto */
	const char *ipsec_mb; /* version of the library that was found; empty: none */
	const char *cpu; /* features that matter, separated by spaces */
	unsigned int batch_min; /* smaller batches are OpenSSL's; 0: all are */
};
void svr_crypt_describe(const struct svr_crypt *c, struct svr_crypt_info *out);

/* Random bytes from the pool of this thread (RAND_bytes in 4 KiB portions, used bytes are wiped). 0 or -EIO. */
int svr_crypt_random(struct svr_crypt *c, void *out, size_t len);

/* Bytes of the tag of an algorithm (enum svr_hmac); 0 for NONE or an unknown number. */
size_t svr_hmac_tag_len(uint8_t hmac);
/* Bytes that CBC with PKCS#7 makes of len bytes: 16 * (len / 16 + 1). */
static inline size_t svr_cbc_len(size_t len)
{
	return (len / SVR_BLOCK_LEN + 1) * SVR_BLOCK_LEN;
}
static inline bool svr_cipher_is_gcm(uint8_t cipher)
{
	return cipher == SVR_CIPHER_AES_GCM_128 || cipher == SVR_CIPHER_AES_GCM_256;
}
static inline bool svr_cipher_is_cbc(uint8_t cipher)
{
	return cipher == SVR_CIPHER_AES_CBC_128 || cipher == SVR_CIPHER_AES_CBC_256;
}

/* ---- keys ---------------------------------------------------------------------------------------------- */

enum { SVR_HMAC_STATE_MAX = 64 }; /* bytes of a hash state */

/*
 * States after one block of key ^ ipad, key ^ opad (RFC 2104), computed once: words of the hash in the byte order of the
 * machine, which both libraries take as they are. May be copied; the fields are this library's own.
 */
struct svr_hmac_key {
	uint8_t hmac; /* enum svr_hmac */
	uint8_t tag_len;
	uint8_t inner[SVR_HMAC_STATE_MAX] __attribute__((aligned(16)));
	uint8_t outer[SVR_HMAC_STATE_MAX] __attribute__((aligned(16)));
};

/* @hmac: enum svr_hmac; 0, -EINVAL for an unknown algorithm. Nothing is allocated; the caller wipes it. */
int svr_hmac_key_set(struct svr_hmac_key *k, uint8_t hmac, const uint8_t *key, size_t key_len);
/* The same in memory of its own, -ENOMEM. Free with svr_hmac_key_free (wipes; NULL is fine). */
int svr_hmac_key_new(struct svr_crypt *c, uint8_t hmac, const uint8_t *key, size_t key_len,
		     struct svr_hmac_key **out);
void svr_hmac_key_free(struct svr_hmac_key *k);

/*
 * What a cipher key is for. Of CBC, round keys of the other use are not made, and its jobs end with -EIO; those of GCM are
 * the same for both.
 */
enum svr_crypt_use {
	SVR_CRYPT_TO_SEAL = 1 << 0,
	SVR_CRYPT_TO_OPEN = 1 << 1,
	SVR_CRYPT_TO_BOTH = SVR_CRYPT_TO_SEAL | SVR_CRYPT_TO_OPEN,
};
enum { SVR_CIPHER_KEY_ALIGN = 64 };

/* Bytes of a key, round keys of the backend of @c included: a multiple of SVR_CIPHER_KEY_ALIGN. */
size_t svr_cipher_key_size(const struct svr_crypt *c, uint8_t cipher, enum svr_crypt_use use);

/**
 * svr_cipher_key_set() - keys of one direction in memory of the caller, who wipes it.
 * @at: svr_cipher_key_size() bytes, aligned to SVR_CIPHER_KEY_ALIGN. Nothing else is allocated.
 * @cipher: enum svr_cipher without NONE (others: -ENOTSUP)
 * @enc: 16 or 32 bytes used
 * @iv_key: 32 bytes for IVs and nonces that carry counters, NULL where the caller gives IVs (metadata)
 */
int svr_cipher_key_set(struct svr_crypt *c, struct svr_cipher_key *at, uint8_t cipher,
		       enum svr_crypt_use use, const uint8_t *enc, const uint8_t *iv_key);
/* The same for both uses in memory of its own, -ENOMEM. Free with svr_cipher_key_free (wipes; NULL is fine). */
int svr_cipher_key_new(struct svr_crypt *c, uint8_t cipher, const uint8_t *enc,
		       const uint8_t *iv_key, struct svr_cipher_key **out);
void svr_cipher_key_free(struct svr_cipher_key *k);
uint8_t svr_cipher_of(const struct svr_cipher_key *k); /* enum svr_cipher */

/* ---- batches ------------------------------------------------------------------------------------------- */

enum svr_crypt_limits {
	SVR_CRYPT_BATCH_MAX = 64, /* jobs of one call */
};

/*
 * What is to be done with one packet. Pointers are the caller's and stay valid during the call; parts that a job does
 * not need are NULL.
 */
struct svr_crypt_job {
	struct svr_cipher_key *cipher;
	uint8_t *text; /* encrypted or decrypted in place; CBC: whole blocks, padding is the caller's */
	size_t text_len; /* bytes, may be 0 */
	const uint8_t *iv; /* CBC: 16 bytes, GCM: SVR_GCM_NONCE_LEN */
	const uint8_t *aad; /* GCM only */
	size_t aad_len;
	uint8_t *gcm_tag; /* GCM: SVR_GCM_TAG_LEN bytes; written by sealing, compared by opening */

	struct svr_hmac_key *hmac;
	const uint8_t *input; /* one piece, as it stands after encryption */
	size_t input_len;
	uint8_t *tag; /* svr_hmac_tag_len() bytes; may lie in the input, which is read first */

	int err; /* result: 0, -EBADMSG for a wrong GCM tag, -EIO */
};

/* Encrypt (if there is a cipher), then tag (if there is an HMAC key). */
void svr_crypt_seal(struct svr_crypt *c, struct svr_crypt_job *const jobs[], unsigned int count);
/* Tag alone, whatever else the job says: the caller compares. */
void svr_crypt_tag(struct svr_crypt *c, struct svr_crypt_job *const jobs[], unsigned int count);
/*
 * Decrypt alone, whatever else the job says. GCM: text of a wrong tag is garbage afterwards, and sealing brings back
 * what stood there. CBC: call only after authentication.
 */
void svr_crypt_open(struct svr_crypt *c, struct svr_crypt_job *const jobs[], unsigned int count);

/* PKCS#7 (RFC 5652 section 6.3) behind @len bytes, room for svr_cbc_len(@len). Padded length. */
size_t svr_pad(uint8_t *buf, size_t len);
/* Length of the text, -EBADMSG for a wrong length or padding. */
int svr_unpad(const uint8_t *buf, size_t len);

/* ---- one by one ---------------------------------------------------------------------------------------- */

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
int svr_hmac_sign(struct svr_crypt *c, struct svr_hmac_key *k, const struct svr_bytes *in,
		  unsigned int count, uint8_t *tag);

/* Compares in constant time. 0 if @tag is right, -EBADMSG if not, -EIO. */
int svr_hmac_verify(struct svr_crypt *c, struct svr_hmac_key *k, const struct svr_bytes *in,
		    unsigned int count, const uint8_t *tag);

/* IV of a CBC packet from epoch and counter (docs/protocol.md section 7). */
int svr_iv_make(struct svr_crypt *c, struct svr_cipher_key *k, uint16_t epoch, uint64_t counter,
		uint8_t iv[static 16]);
/* The reverse: -EBADMSG if the six leading bytes are not zero. */
int svr_iv_open(struct svr_crypt *c, struct svr_cipher_key *k, const uint8_t iv[static 16],
		uint16_t *epoch, uint64_t *counter);
/*
 * Nonce of a GCM packet from its explicit part (SVR_GCM_EXPLICIT_LEN bytes: epoch and counter as they are sent). -EINVAL
 * for a key without IV key.
 */
int svr_gcm_nonce(const struct svr_cipher_key *k,
		  const uint8_t explicit_part[static SVR_GCM_EXPLICIT_LEN],
		  uint8_t nonce[static SVR_GCM_NONCE_LEN]);

/**
 * svr_cbc_encrypt() - AES-CBC with PKCS#7 padding, in place.
 * @buf: @len bytes of plain text, room for svr_cbc_len(@len)
 * Return: length of the ciphertext, or -EIO.
 */
int svr_cbc_encrypt(struct svr_crypt *c, struct svr_cipher_key *k, const uint8_t iv[static 16],
		    uint8_t *buf, size_t len);

/* In place. Return: length of the plain text, -EBADMSG for a wrong length or padding, -EIO. Call only after authentication. */
int svr_cbc_decrypt(struct svr_crypt *c, struct svr_cipher_key *k, const uint8_t iv[static 16],
		    uint8_t *buf, size_t len);

#endif
