/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every outcome of a check of a certificate or of a revocation list: number, name, class, sentence.
 * Numbers and names stand in logs, alarms and JSON and are never used again for something else.
 * Part of libsvr; needs no OpenSSL.
 */
#ifndef SVR_LIB_PKI_VERDICT_H
#define SVR_LIB_PKI_VERDICT_H

/*
 * What a verdict counts as (`svr show stats security`), and what fail-soft may overlook: EXPIRED
 * and REVOKED say that a certificate that once was good is good no longer; INVALID that it never
 * proved anything.
 */
enum svr_pki_class {
	SVR_PKI_CLASS_OK,
	SVR_PKI_CLASS_EXPIRED,
	SVR_PKI_CLASS_INVALID,
	SVR_PKI_CLASS_REVOKED,
};

#define SVR_PKI_VERDICTS(X)                                                                        \
	X(OK, 0, "ok", OK, "good")                                                                 \
	/* what was handed over, before any of it is understood */                                 \
	X(PRIVATE_KEY, 1, "private-key", INVALID, "a private key accompanies the certificate")     \
	X(UNPARSABLE, 2, "unparsable", INVALID, "no certificate that could be read")               \
	X(TRAILING_DATA, 3, "trailing-data", INVALID, "something stands behind the certificate")   \
	X(TOO_LARGE, 4, "too-large", INVALID, "more bytes than a router can show to its peers")    \
	X(TOO_MANY, 5, "too-many", INVALID, "more certificates than allowed")                      \
	X(DUPLICATE, 6, "duplicate", INVALID, "the same certificate is there already")             \
	/* the router's own certificate, by itself */                                              \
	X(VERSION, 16, "version", INVALID, "not X.509 version 3")                                  \
	X(SERIAL, 17, "serial", INVALID, "serial number is longer than 20 bytes")                  \
	X(EXTENSION, 18, "malformed-extension", INVALID, "an extension is malformed")              \
	X(CRITICAL, 19, "critical-extension", INVALID, "an unknown extension is critical")         \
	X(NAME_MALFORMED, 20, "malformed-name", INVALID,                                           \
	  "common name holds control characters or is too long")                                   \
	X(NAME, 21, "name-mismatch", INVALID,                                                      \
	  "neither the common name nor a SAN URI is the router's peering-common-name")             \
	X(IS_CA, 22, "is-ca", INVALID, "certificate of an authority (CA:TRUE), not of a router")   \
	X(KEY_USAGE, 23, "key-usage", INVALID, "key usage does not allow digital signatures")      \
	X(EXT_KEY_USAGE, 24, "extended-key-usage", INVALID,                                        \
	  "extended key usage allows nothing that peering is")                                     \
	X(KEY, 25, "key", INVALID,                                                                 \
	  "key is none of RSA 2048 to 4096, P-256, P-384, P-521, Ed25519")                         \
	X(WEAK_DIGEST, 26, "weak-digest", INVALID, "signed with a digest that can be forged")      \
	X(KEY_MISMATCH, 27, "key-mismatch", INVALID, "does not belong to the private key")         \
	X(OWN, 28, "own", INVALID, "a peer shows our own certificate")                             \
	X(DATES, 29, "malformed-dates", INVALID, "validity dates cannot be read")                  \
	X(NOT_YET_VALID, 30, "not-yet-valid", INVALID, "not valid yet")                            \
	X(EXPIRED, 31, "expired", EXPIRED, "expired")                                              \
	X(SELF_SIGNED, 32, "self-signed", INVALID,                                                 \
	  "self-signed, and allow-self-signed-peering-certificates is false")                      \
	X(FINGERPRINT, 33, "fingerprint", INVALID, "fingerprint is not the configured one")        \
	X(NO_PRIVATE_KEY, 34, "no-private-key", INVALID,                                           \
	  "there is no private key of this name on the router")                                    \
	X(REVOKED, 35, "revoked", REVOKED, "revoked by its issuer")                                \
	/* its issuers */                                                                          \
	X(NO_TRUST, 48, "no-trust", INVALID, "neither a fingerprint nor a trusted CA")             \
	X(NO_CHAIN, 49, "no-chain", INVALID, "does not lead to a trusted CA")                      \
	X(SIGNATURE, 50, "signature", INVALID, "signature of the issuer is wrong")                 \
	X(ISSUER_NOT_CA, 51, "issuer-not-ca", INVALID,                                             \
	  "issued by a certificate that may not issue any")                                        \
	X(PATH_LENGTH, 52, "path-length", INVALID, "more issuers than an issuer allows below it")  \
	X(NAME_CONSTRAINTS, 53, "name-constraints", INVALID,                                       \
	  "a name that an issuer may not certify")                                                 \
	X(ISSUER_KEY, 54, "issuer-key", INVALID, "key of an issuer is too weak")                   \
	X(ISSUER_DIGEST, 55, "issuer-weak-digest", INVALID,                                        \
	  "certificate of an issuer is signed with a digest that can be forged")                   \
	X(ISSUER_CRITICAL, 56, "issuer-critical-extension", INVALID,                               \
	  "an unknown extension of an issuer is critical")                                         \
	X(ISSUER_EXTENSION, 57, "issuer-malformed-extension", INVALID,                             \
	  "an extension of an issuer is malformed")                                                \
	X(ISSUER_NOT_YET_VALID, 58, "issuer-not-yet-valid", INVALID, "an issuer is not valid yet") \
	X(ISSUER_EXPIRED, 59, "issuer-expired", EXPIRED, "an issuer has expired")                  \
	X(ISSUER_REVOKED, 60, "issuer-revoked", REVOKED, "an issuer was revoked")                  \
	X(ANCHOR, 61, "other-anchor", INVALID,                                                     \
	  "leads to another trusted-ca-certificate than the own certificate")                      \
	X(CHAIN, 62, "chain", INVALID, "chain of issuers is not valid")                            \
	/* a bundle of trusted CAs */                                                              \
	X(BUNDLE_INCOMPLETE, 72, "bundle-incomplete", INVALID,                                     \
	  "bundle does not reach a self-signed root")                                              \
	X(BUNDLE_NOT_CA, 73, "bundle-not-ca", INVALID, "certificate of a bundle is not a CA's")    \
	/* a revocation list */                                                                    \
	X(CRL_UNPARSABLE, 80, "crl-unparsable", INVALID, "no revocation list that could be read")  \
	X(CRL_TRAILING_DATA, 81, "crl-trailing-data", INVALID,                                     \
	  "something stands behind the revocation list")                                           \
	X(CRL_TOO_LARGE, 82, "crl-too-large", INVALID, "more bytes or entries than allowed")       \
	X(CRL_DELTA, 83, "crl-delta", INVALID, "delta list")                                       \
	X(CRL_INDIRECT, 84, "crl-indirect", INVALID, "indirect list: of others than its issuer")   \
	X(CRL_SCOPE, 85, "crl-scope", INVALID,                                                     \
	  "list for attribute certificates or for some reasons only")                              \
	X(CRL_CRITICAL, 86, "crl-critical-extension", INVALID,                                     \
	  "an unknown extension of the list or of an entry is critical")                           \
	X(CRL_EXTENSION, 87, "crl-malformed-extension", INVALID,                                   \
	  "an extension of the list or of an entry is malformed")                                  \
	X(CRL_ISSUER, 88, "crl-issuer", INVALID, "issuer of the list is not known")                \
	X(CRL_ISSUER_UNTRUSTED, 89, "crl-issuer-untrusted", INVALID,                               \
	  "issuer of the list does not lead to a trusted CA")                                      \
	X(CRL_ISSUER_USAGE, 90, "crl-issuer-key-usage", INVALID,                                   \
	  "issuer of the list may not sign lists (cRLSign)")                                       \
	X(CRL_SIGNATURE, 91, "crl-signature", INVALID, "signature of the list is wrong")           \
	X(CRL_WEAK_DIGEST, 92, "crl-weak-digest", INVALID,                                         \
	  "list is signed with a digest that can be forged")                                       \
	X(CRL_DATES, 93, "crl-malformed-dates", INVALID,                                           \
	  "thisUpdate or nextUpdate is missing or cannot be read")                                 \
	X(CRL_NOT_YET_VALID, 94, "crl-not-yet-valid", INVALID, "list is not valid yet")            \
	X(CRL_EXPIRED, 95, "crl-expired", EXPIRED, "list has expired: nextUpdate has passed")      \
	X(CRL_ROLLBACK, 96, "crl-rollback", INVALID, "older than the list that is in use")         \
	X(CRL_SERIAL, 97, "crl-serial", INVALID, "a serial number is longer than 20 bytes")        \
	X(CRL_VERSION, 98, "crl-version", INVALID, "neither a list of version 1 nor of version 2") \
	/* nothing is known about the certificate or the list */                                   \
	X(INTERNAL, 127, "internal", INVALID, "out of memory, or the library failed")

enum svr_pki_verdict {
#define X(id, number, name, class, sentence) SVR_PKI_##id = number,
	SVR_PKI_VERDICTS(X)
#undef X
};

enum { SVR_PKI_REPORT_LEN = 320 }; /* bytes of a report's text, NUL included */

/* A verdict about one certain thing. */
struct svr_pki_report {
	enum svr_pki_verdict verdict;
	/*
	 * One line for the operator that names what was found and what was expected; printable
	 * ASCII whatever stood in the input. "" with SVR_PKI_OK.
	 */
	char text[SVR_PKI_REPORT_LEN];
};

/* "expired", "no-chain", ...; "?" for a number that is none. Never NULL. */
const char *svr_pki_verdict_name(enum svr_pki_verdict v);

/* What it means, without the particulars that a report has. Never NULL. */
const char *svr_pki_verdict_sentence(enum svr_pki_verdict v);

enum svr_pki_class svr_pki_verdict_class(enum svr_pki_verdict v);

#endif
