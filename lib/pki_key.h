/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Private keys of certificates: made on the router, kept in its PKI directory, never anywhere else.
 * Part of libsvr.
 */
#ifndef SVR_LIB_PKI_KEY_H
#define SVR_LIB_PKI_KEY_H

#include <stdbool.h>
#include <stddef.h>

enum svr_pki_key_limits {
	SVR_PKI_RSA_BITS_MIN = 2048,
	SVR_PKI_RSA_BITS_MAX = 4096,
	SVR_PKI_RSA_BITS_STEP = 256,
	SVR_PKI_RSA_BITS_DEFAULT = 2048,
};
#define SVR_PKI_CURVE_DEFAULT "SECP256R1"

struct svr_pki_key_spec {
	unsigned int rsa_bits; /* 0: elliptic curve */
	const char *curve; /* as libcrypto calls it, static; NULL: RSA */
};

/**
 * svr_pki_key_spec_parse() - what a request for a key asks for, in SSR's words.
 * @algorithm: "RSA" or "ECC"
 * @rsa_bits: "2048" to "4096" in steps of 256, only with RSA; NULL: SVR_PKI_RSA_BITS_DEFAULT
 * @curve: "SECP256R1" (or "SECP256R", as the manuals of SSR have it), "SECP384R1", "SECP521R1",
 * only with ECC; NULL: SVR_PKI_CURVE_DEFAULT. Upper and lower case do not count in words.
 * Return: 0, or -EINVAL with a sentence in @err that says what is allowed.
 */
int svr_pki_key_spec_parse(const char *algorithm, const char *rsa_bits, const char *curve,
			   struct svr_pki_key_spec *spec, char *err, size_t err_len);

/**
 * svr_pki_key_create() - make a private key: <dir>/<name>.key, PKCS #8 in PEM, mode 0600, whole or
 * not at all. An existing one is never replaced. RSA-4096 takes seconds: not for an event loop.
 * @name: svr_name_ok_for_path(), not beginning with a dot
 * Return: 0, -EEXIST, -EINVAL for a bad name, other negative errno; with a sentence in @err.
 */
int svr_pki_key_create(const char *dir, const char *name, const struct svr_pki_key_spec *spec,
		       char *err, size_t err_len);

#endif
