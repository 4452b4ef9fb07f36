/* SPDX-License-Identifier: BSD-2-Clause */
/* What the three files of lib/pki share. Not for others. */
#ifndef SVR_LIB_PKI_INTERNAL_H
#define SVR_LIB_PKI_INTERNAL_H

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "lib/pki.h"

/* The URI that names a router in a certificate's subjectAltName (SSR). */
#define PKI_SAN_PREFIX "urn:ssr:peering:"

/* Algorithm of a certificate key; which signatures it makes. */
enum pki_key_kind {
	PKI_KEY_NONE, /* not allowed */
	PKI_KEY_RSA, /* 2048 bits or more: RSA-PSS, SHA-384, MGF1 SHA-384, salt 48 bytes */
	PKI_KEY_EC, /* P-256, P-384, P-521: ECDSA, SHA-384 */
	PKI_KEY_ED25519,
};
enum pki_key_kind svr_pki_key_kind(EVP_PKEY *key);

int svr_pki_fingerprint(X509 *cert, uint8_t out[static SVR_PKI_FINGERPRINT_LEN]);

/* 0 or -EBADMSG. */
int svr_pki_check_signature(EVP_PKEY *key, const uint8_t *data, size_t len, const uint8_t *sig,
			    size_t sig_len);

/* Reason of the newest libcrypto error, never NULL; empties its queue. */
const char *svr_pki_libcrypto_error(void);

#endif
