/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of lib/pki* share. Not for others. */
#ifndef SVR_LIB_PKI_INTERNAL_H
#define SVR_LIB_PKI_INTERNAL_H

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "lib/pki.h"
#include "lib/pki_crl.h"
#include "lib/pki_key.h"

/* The URI that names a router in a certificate's subjectAltName (SSR). */
#define PKI_SAN_PREFIX "urn:ssr:peering:"

enum {
	PKI_PATH_LEN = 4096, /* bytes, PATH_MAX */
	PKI_NAME_MAX = 63, /* characters of the name of a key, its request and its certificate */
	PKI_SECURITY_BITS = 112, /* least strength of keys and digests: no SHA-1, no RSA-1024 */
	PKI_SERIAL_DER_MAX = SVR_PKI_SERIAL_MAX + 1, /* bytes of content: a sign byte in front */
};

/* ---- words (pki_cert.c) ---------------------------------------------------------------------- */

/* Sets the report; text that is not printable ASCII becomes "?". Returns -EKEYREJECTED. */
int svr_pki_refuse(struct svr_pki_report *r, enum svr_pki_verdict v, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void svr_pki_accept(struct svr_pki_report *r);

/* Reason of the newest libcrypto error, never NULL; empties its queue. */
const char *svr_pki_libcrypto_error(void);

/* A name from a stranger: only what cannot harm a terminal or a log. */
void svr_pki_printable(char *out, size_t room, const void *in, size_t len);
void svr_pki_dn_text(const X509_NAME *name, char *out, size_t out_len);

/* ---- one certificate (pki_cert.c) ------------------------------------------------------------ */

/* One certificate in DER with nothing behind it: SVR_PKI_OK, UNPARSABLE or TRAILING_DATA. */
enum svr_pki_verdict svr_pki_cert_read(const uint8_t *der, size_t len, X509 **out);
void svr_pki_info_fill(X509 *cert, struct svr_pki_cert_info *info);
int svr_pki_fingerprint(X509 *cert, uint8_t out[static SVR_PKI_FINGERPRINT_LEN]);
bool svr_pki_is_self_signed(X509 *cert); /* by name and by signature */
bool svr_pki_digest_ok(X509 *cert); /* of the signature on it */
int svr_pki_time(const ASN1_TIME *t, int64_t *sec); /* 0 or -EINVAL */
/* Content of the serial number in DER; 0 if it is longer than @room. */
size_t svr_pki_serial(X509 *cert, uint8_t out[static PKI_SERIAL_DER_MAX]);

/* ---- PEM (pki_pem.c) ------------------------------------------------------------------------- */

/*
 * Certificates of a PEM text; @out has to be empty. What is not between BEGIN and END has to be
 * text. 0, -EBADMSG or -E2BIG with a report, -ENOMEM.
 */
int svr_pki_pem_certs(const char *text, size_t len, unsigned int max, STACK_OF(X509) * out,
		      struct svr_pki_report *r);
/*
 * The only block of a PEM text, by its label: DER, for OPENSSL_free(). 0, -EBADMSG (no such block),
 * -EEXIST (something stands behind it), -ENOMEM.
 */
int svr_pki_pem_one(const char *text, size_t len, const char *label, uint8_t **der,
		    size_t *der_len);

/* ---- private keys (pki_key.c) ---------------------------------------------------------------- */

/* Algorithm of a certificate key; which signatures it makes. */
enum pki_key_kind {
	PKI_KEY_NONE, /* not allowed */
	PKI_KEY_RSA, /* 2048 bits or more: RSA-PSS, SHA-384, MGF1 SHA-384, salt 48 bytes */
	PKI_KEY_EC, /* P-256, P-384, P-521: ECDSA, SHA-384 */
	PKI_KEY_ED25519,
};
enum pki_key_kind svr_pki_key_kind(EVP_PKEY *key);
void svr_pki_key_text(EVP_PKEY *key, char *out, size_t out_len); /* "RSA 2048" */

/* The words of svr_pki_self_signed(); 0 or -EINVAL. */
int svr_pki_key_spec_short(const char *word, struct svr_pki_key_spec *spec);
EVP_PKEY *svr_pki_key_make(const struct svr_pki_key_spec *spec);
int svr_pki_key_write(const char *dir, const char *name, EVP_PKEY *key, char *err, size_t err_len);
int svr_pki_key_load(const char *path, EVP_PKEY **out, char *err, size_t err_len);
int svr_pki_no_passphrase(char *buf, int size, int rwflag, void *user);

/* Is it a name for files? 0, or -EINVAL with a sentence. */
int svr_pki_name_check(const char *name, char *err, size_t err_len);
int svr_pki_path(const char *dir, const char *name, const char *extension,
		 char path[static PKI_PATH_LEN], char *err, size_t err_len);

/* 0 or -EBADMSG. */
int svr_pki_check_signature(EVP_PKEY *key, const uint8_t *data, size_t len, const uint8_t *sig,
			    size_t sig_len);

/* ---- chains (pki_anchors.c) ------------------------------------------------------------------ */

struct pki_chain {
	STACK_OF(X509) * certs; /* the certificate, its issuers, the anchor */
	uint64_t bundles; /* one bit for each bundle that the anchor stands in */
	int expired_depth; /* the first of them that has expired; -1 = none */
};

/*
 * Builds and checks the chain from @cert to an anchor; @others may stand between. Everything but
 * expiry and revocation. 0 with @chain for svr_pki_chain_clear(), -EKEYREJECTED with a report,
 * -ENOMEM.
 */
int svr_pki_chain_build(const struct svr_pki_anchors *a, X509 *cert, STACK_OF(X509) * others,
			int64_t now_sec, struct pki_chain *chain, struct svr_pki_report *r);
void svr_pki_chain_clear(struct pki_chain *chain);
unsigned int svr_pki_anchors_digest(const struct svr_pki_anchors *a, uint8_t digest[static 32]);
X509 *svr_pki_anchors_cert(const struct svr_pki_anchors *a, unsigned int index);

/* ---- verdicts (pki_trust.c) ------------------------------------------------------------------ */

/* @chain in libcrypto's form, the router's certificate first; otherwise as svr_pki_verify(). */
int svr_pki_verify_certs(const struct svr_pki_trust *t, STACK_OF(X509) * certs,
			 const char *common_name, const uint8_t *own, int64_t now_sec,
			 enum svr_pki_revocation_state *revocation, struct svr_pki_report *r);
/*
 * The same rules for a certificate of our own: hard, and one that is self-signed counts as pinned
 * unless another one is. For svr_pki_trust_free().
 */
int svr_pki_trust_for_own(const struct svr_pki_trust *t, X509 *cert, struct svr_pki_trust **out);

/* ---- own identity (pki.c) -------------------------------------------------------------------- */

STACK_OF(X509) * svr_pki_identity_certs(const struct svr_pki_identity *id);

/* ---- revocation (pki_crl.c, pki_crls.c, pki_crl_index.c) ------------------------------------- */

/* Serial numbers with date and reason; does not change once it is built. */
struct pki_index;
struct pki_index_entry {
	const uint8_t *serial; /* content of the INTEGER */
	size_t len; /* 1..PKI_SERIAL_DER_MAX */
	uint32_t revoked_sec;
	uint8_t reason;
};
/*
 * Calls @next twice from the beginning for all entries: 1 = an entry, 0 = end (and back to the
 * beginning), negative = error, which is returned.
 */
int svr_pki_index_build(int (*next)(void *user, struct pki_index_entry *e), void *user,
			struct pki_index **out);
void svr_pki_index_free(struct pki_index *x);
bool svr_pki_index_find(const struct pki_index *x, const uint8_t *serial, size_t len,
			struct pki_index_entry *e);
size_t svr_pki_index_count(const struct pki_index *x);
size_t svr_pki_index_memory(const struct pki_index *x);
int svr_pki_index_walk(const struct pki_index *x,
		       int (*each)(void *user, const struct pki_index_entry *e), void *user);

/* What tells two lists apart that are in use side by side, and which of two is newer. */
struct pki_crl_id {
	X509_NAME *issuer;
	uint32_t issuer_hash; /* equal names have equal ones */
	uint8_t key[32]; /* SHA-256 of the signer's public key */
	uint8_t scope[32]; /* SHA-256 of issuingDistributionPoint; zeros = none */
	bool for_users, for_cas; /* which certificates it speaks about */
	bool is_part; /* it has a distribution point */
	bool has_number;
	uint8_t number[SVR_PKI_SERIAL_MAX]; /* big-endian, right-aligned */
	uint8_t signature[32]; /* SHA-256 of the signature's value */
};
const struct pki_crl_id *svr_pki_crl_id(const struct svr_pki_crl *crl);

/* What the lists say about one certificate. */
enum svr_pki_revocation_state svr_pki_crls_ask(struct svr_pki_crls *set, X509 *cert,
					       int64_t now_sec, struct svr_pki_revocation *rev);

#endif
