/* SPDX-License-Identifier: BSD-2-Clause */
/* Key derivations of docs/protocol.md section 4, each with one label. Part of libsvr. */
#ifndef SVR_LIB_KDF_H
#define SVR_LIB_KDF_H

#include <stddef.h>
#include <stdint.h>
#include <svr/limits.h>
#include <svr/wire.h>

/**
 * svr_kdf() - HKDF-SHA-384, extract then expand, with svr's info string.
 * @salt: salt, may be NULL if @salt_len is 0 (RFC 5869's default salt)
 * @label: ASCII label, without "svr1 "
 * @context: bytes after the label's 0x00, may be NULL if @context_len is 0
 * @out: @out_len bytes of key material; wiped if the call fails
 *
 * Return: 0, -EINVAL for a label or context above 128 bytes, or for more than 255 * 48 bytes.
 */
int svr_kdf(const uint8_t *salt, size_t salt_len, const uint8_t *secret, size_t secret_len, const char *label,
	    const void *context, size_t context_len, uint8_t *out, size_t out_len);

/* Keys of authenticated BFD packets; index is the direction number of the router pair. */
struct svr_bfd_keys {
	uint8_t enc[2][32];
	uint8_t mac[2][48];
};
int svr_kdf_bfd(const uint8_t peer_key[static SVR_PEER_KEY_LEN], struct svr_bfd_keys *out);

/* Session HMAC keys of a peer key; index is the direction number of the router pair. */
int svr_kdf_session_hmac(const uint8_t peer_key[static SVR_PEER_KEY_LEN], uint8_t out[2][SVR_HMAC_KEY_LEN]);

/**
 * svr_kdf_metadata() - AES-256 key that encrypts metadata from one router to another.
 * @hmac_key: session HMAC key of the sender, of the peer key that the packet names. All peers of the receiver know
 *	@meta_key; this one only the two know.
 * @meta_key: metadata key of the receiver
 */
int svr_kdf_metadata(const uint8_t hmac_key[static SVR_HMAC_KEY_LEN],
		     const uint8_t meta_key[static SVR_META_KEY_LEN], uint8_t out[static 32]);

/* Payload keys of a session and epoch; index is enum svr_dir. */
struct svr_payload_keys {
	uint8_t enc[2][32];
	uint8_t iv[2][32];
};
int svr_kdf_payload(const uint8_t session_key[static SVR_SESSION_KEY_LEN], const uint8_t uuid[static SVR_UUID_LEN],
		    uint16_t epoch, struct svr_payload_keys *out);

/**
 * svr_direction_number() - direction number of a router pair (docs/protocol.md section 1).
 * @sender: common name of the router that sends
 * @receiver: common name of the other one
 * Return: 0 or 1, -EINVAL if the names are equal.
 */
int svr_direction_number(const char *sender, const char *receiver);

#endif
