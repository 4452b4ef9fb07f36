/* SPDX-License-Identifier: BSD-2-Clause */
/* What stands in a certificate, in words for `show`, alarms and audit events. Part of libsvr. */
#ifndef SVR_LIB_PKI_CERT_H
#define SVR_LIB_PKI_CERT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum svr_pki_cert_limits {
	SVR_PKI_FINGERPRINT_LEN = 32, /* SHA-256 of a certificate in DER, bytes */
	SVR_PKI_SERIAL_MAX = 20, /* bytes, RFC 5280 4.1.2.2 */
	SVR_PKI_DN_LEN = 256, /* bytes of a printed name, NUL included */
	SVR_PKI_CRL_URLS_MAX = 8, /* distribution points of one certificate that are followed */
	SVR_PKI_URL_LEN = 512, /* bytes, NUL included; longer ones are not followed */
};

/* Printable ASCII throughout, whatever the certificate holds; what is too long ends in "...". */
struct svr_pki_cert_info {
	char common_name[SVR_PKI_DN_LEN]; /* "" = none or several */
	char subject[SVR_PKI_DN_LEN]; /* RFC 2253 */
	char issuer[SVR_PKI_DN_LEN];
	char serial[2 * SVR_PKI_SERIAL_MAX + 3]; /* hexadecimal, upper case */
	uint8_t fingerprint[SVR_PKI_FINGERPRINT_LEN];
	int64_t not_before, not_after; /* seconds since 1970, any year from 0 to 9999 */
	char key[32]; /* "RSA 2048", "SECP256R1", "ED25519" */
	char signature[40]; /* "ecdsa-with-SHA256" */
	char purpose[128]; /* extended key usages, "any" if there are none */
	char names[SVR_PKI_DN_LEN]; /* subject alternative names: "URI:..., DNS:..." */
	bool self_signed, ca;
	unsigned int n_crl_urls;
	/* Distribution points: http and https only, without those of indirect and partial lists. */
	char crl_urls[SVR_PKI_CRL_URLS_MAX][SVR_PKI_URL_LEN];
};

/**
 * svr_pki_cert_info() - read a certificate that nobody has checked.
 * @der: one certificate in DER, nothing behind it
 * Return: 0, -EBADMSG if it does not parse, -ENOMEM.
 */
int svr_pki_cert_info(const uint8_t *der, size_t len, struct svr_pki_cert_info *info);

/* "AA:BB:...", as the configuration has it. */
void svr_pki_fingerprint_text(const uint8_t fingerprint[static SVR_PKI_FINGERPRINT_LEN],
			      char out[static 3 * SVR_PKI_FINGERPRINT_LEN]);

/* "Jan 28 19:07:00 2026 GMT", as libcrypto and SSR print dates. @out: 40 bytes. */
void svr_pki_date_text(int64_t sec, char *out, size_t out_len);

/*
 * How near the end is. Thresholds lie 30 and 7 days before it; the certificate is good up to and
 * including the second of its notAfter (RFC 5280 4.1.2.5).
 */
enum svr_pki_expiry {
	SVR_PKI_EXPIRY_NONE,
	SVR_PKI_EXPIRY_MONTH, /* minor alarm */
	SVR_PKI_EXPIRY_WEEK, /* major alarm */
	SVR_PKI_EXPIRY_EXPIRED, /* critical alarm */
};
enum svr_pki_expiry svr_pki_expiry(int64_t not_after, int64_t now_sec);

/*
 * Seconds from @now_sec until svr_pki_expiry() answers something else; INT64_MAX if it never does.
 * Timers of less than 64 bits must wait in pieces.
 */
int64_t svr_pki_expiry_wait(int64_t not_after, int64_t now_sec);

#endif
