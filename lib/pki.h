/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Certificates of routers: the own key and certificate in files, the peer's certificate and what is
 * asked of it, signatures. The only part of libsvr that reads and writes files (and, to make a
 * certificate, reads the clock). docs/protocol.md section 9.
 */
#ifndef SVR_LIB_PKI_H
#define SVR_LIB_PKI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum svr_pki_limits {
	SVR_PKI_FINGERPRINT_LEN = 32, /* SHA-256 of a certificate in DER, bytes */
	/* certificates that a router sends or takes: its own first, then the issuers */
	SVR_PKI_CHAIN_MAX = 8,
	SVR_PKI_SIGNATURE_MAX = 512, /* bytes; RSA-4096 */
	SVR_PKI_DAYS_DEFAULT = 3650, /* validity of a self-signed certificate */
};

/*
 * Algorithms of certificate keys: "p256", "p384", "p521", "rsa2048" to "rsa4096" in steps of 256.
 */
#define SVR_PKI_ALGORITHM_DEFAULT "p256"

/**
 * svr_pki_self_signed() - make a key pair and a self-signed certificate for it. Writes
 * <dir>/<name>.key (0600) and <dir>/<name>.pem, whole or not at all; both must not exist yet. Makes
 * the last part of @dir (0700) if it is missing. CN = @common_name, CA:FALSE, digitalSignature, SAN
 * URI urn:ssr:peering:<common_name>.
 * @name: file name without '/' and without extension
 * @algorithm: one of the words above; NULL or "": SVR_PKI_ALGORITHM_DEFAULT
 * @days: validity, 1..36500; 0: SVR_PKI_DAYS_DEFAULT
 * @fingerprint: SHA-256 of the certificate in DER
 * @err, @err_len: one-line reason if it fails
 * Return: 0, -EEXIST if one of the files exists, -EINVAL for a wrong argument, other negative
 * errno.
 */
int svr_pki_self_signed(const char *dir, const char *name, const char *common_name,
			const char *algorithm, int days,
			uint8_t fingerprint[static SVR_PKI_FINGERPRINT_LEN], char *err,
			size_t err_len);

/* ---- own identity ---------------------------------------------------------------------------- */

struct svr_pki_identity; /* own private key and certificate chain */

/**
 * svr_pki_identity_load() - read <dir>/<name>.key and <dir>/<name>.pem (own certificate first, then
 * its issuers). Refuses a key file that others than its owner may read, and a key that does not
 * belong to the certificate.
 * Return: 0, -ENOENT if a file is missing, other negative errno with a reason in @err.
 */
int svr_pki_identity_load(const char *dir, const char *name, struct svr_pki_identity **out,
			  char *err, size_t err_len);
/*
 * One user more, each to call svr_pki_identity_free(): a signature may be made in another thread
 * when the owner already has another identity. Returns @id.
 */
struct svr_pki_identity *svr_pki_identity_use(struct svr_pki_identity *id);
void svr_pki_identity_free(struct svr_pki_identity *id); /* NULL is fine */

/* Certificates in DER, own first. @index below the number; NULL above. */
const uint8_t *svr_pki_identity_der(const struct svr_pki_identity *id, unsigned int index,
				    size_t *len);
const uint8_t *svr_pki_identity_fingerprint(const struct svr_pki_identity *id);

/**
 * svr_pki_sign() - signature over @data: RSA-PSS or ECDSA with SHA-384, or Ed25519, by the type of
 * the key.
 * @sig: room for SVR_PKI_SIGNATURE_MAX bytes
 * Return: length of the signature, or -EIO.
 */
int svr_pki_sign(const struct svr_pki_identity *id, const uint8_t *data, size_t len, uint8_t *sig);

/* ---- what is asked of a peer's certificate --------------------------------------------------- */

struct svr_pki_trust; /* fingerprint or CA certificates, and rules */

/* An empty trust refuses everybody. */
int svr_pki_trust_new(struct svr_pki_trust **out);
/* As svr_pki_identity_use(). With more than one user it must not be changed any more. */
struct svr_pki_trust *svr_pki_trust_use(struct svr_pki_trust *t);
void svr_pki_trust_free(struct svr_pki_trust *t); /* NULL is fine */
/*
 * Pins the peer's certificate: nothing else is asked of its issuer. CA certificates are then of no
 * effect.
 */
void svr_pki_trust_fingerprint(struct svr_pki_trust *t,
			       const uint8_t fingerprint[static SVR_PKI_FINGERPRINT_LEN]);
/*
 * Adds every certificate of a PEM file. Number of certificates, or negative errno with a reason in
 * @err.
 */
int svr_pki_trust_ca_file(struct svr_pki_trust *t, const char *path, char *err, size_t err_len);
void svr_pki_trust_allow_self_signed(struct svr_pki_trust *t, bool allow); /* true unless called */
/* SHA-256 over all of the above: tells whether keys were agreed under the same rules. */
int svr_pki_trust_digest(const struct svr_pki_trust *t, uint8_t digest[static 32]);

struct svr_pki_der { /* one certificate as received */
	const uint8_t *data;
	size_t len;
};

struct svr_pki_peer; /* a certificate that was accepted */

/**
 * svr_pki_verify() - check a peer's certificate chain.
 * @chain, @count: certificates in DER, the peer's first
 * @common_name: what the certificate must be for, as CN or as SAN URI urn:ssr:peering:<common_name>
 * @own: fingerprint of the own certificate, which is never accepted from a peer; may be NULL
 * @now_sec: seconds since 1970
 * @out: the peer's public key, for svr_pki_peer_free()
 * @reason, @reason_len: why it was refused, in a sentence for the operator
 * Return: 0, -EKEYREJECTED if it is refused, -EBADMSG if it does not parse, -ENOMEM.
 */
int svr_pki_verify(const struct svr_pki_trust *t, const struct svr_pki_der *chain,
		   unsigned int count, const char *common_name, const uint8_t *own, int64_t now_sec,
		   struct svr_pki_peer **out, char *reason, size_t reason_len);
void svr_pki_peer_free(struct svr_pki_peer *p);
const uint8_t *svr_pki_peer_fingerprint(const struct svr_pki_peer *p);
/* 0 if @sig over @data was made with the key of the certificate, -EBADMSG if not. */
int svr_pki_peer_check_signature(const struct svr_pki_peer *p, const uint8_t *data, size_t len,
				 const uint8_t *sig, size_t sig_len);

#endif
