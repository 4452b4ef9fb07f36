/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Certificates of routers: the own key and certificate in files, the peer's certificate and what is
 * asked of it, signatures. lib/pki* is the only part of libsvr that reads and writes files (and, to make a
 * certificate, reads the clock). docs/protocol.md section 9, docs/certificates.md.
 */
#ifndef SVR_LIB_PKI_H
#define SVR_LIB_PKI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/pki_cert.h"
#include "lib/pki_verdict.h"

enum svr_pki_limits {
	/* certificates that a router sends or takes: its own first, then the issuers */
	SVR_PKI_CHAIN_MAX = 8,
	/*
	 * bytes of them in DER: with the longest public values of a key exchange they fit into its
	 * longest message (docs/protocol.md section 9)
	 */
	SVR_PKI_CHAIN_BYTES_MAX = 13312,
	SVR_PKI_SIGNATURE_MAX = 512, /* bytes; RSA-4096 */
	SVR_PKI_DAYS_DEFAULT = 3650, /* validity of a self-signed certificate */
	SVR_PKI_BUNDLES_MAX = 64, /* trusted-ca-certificate entries of an authority */
	SVR_PKI_BUNDLE_BYTES_MAX = 1024 * 1024, /* of one bundle in PEM */
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

/**
 * svr_pki_self_sign() - a self-signed certificate for the private key that is there already:
 * <dir>/<name>.pem for <dir>/<name>.key. For a key that was made without one, and for a router that
 * was stopped between the two.
 * Return: as svr_pki_self_signed(); -ENOENT without a key.
 */
int svr_pki_self_sign(const char *dir, const char *name, const char *common_name, int days,
		      uint8_t fingerprint[static SVR_PKI_FINGERPRINT_LEN], char *err,
		      size_t err_len);

/* ---- own identity ---------------------------------------------------------------------------- */

struct svr_pki_identity; /* own private key and certificate chain */

/**
 * svr_pki_identity_load() - read <dir>/<name>.key and <dir>/<name>.pem (own certificate first, then
 * its issuers). Refuses a key file that belongs to another user or that others than its owner may
 * read, and a key that does not belong to the certificate.
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
/* What stands in the own certificate. */
const struct svr_pki_cert_info *svr_pki_identity_info(const struct svr_pki_identity *id);

/**
 * svr_pki_sign() - signature over @data: RSA-PSS or ECDSA with SHA-384, or Ed25519, by the type of
 * the key.
 * @sig: room for SVR_PKI_SIGNATURE_MAX bytes
 * Return: length of the signature, or -EIO.
 */
int svr_pki_sign(const struct svr_pki_identity *id, const uint8_t *data, size_t len, uint8_t *sig);

struct svr_pki_der { /* one certificate as received */
	const uint8_t *data;
	size_t len;
};

/* ---- trusted CAs of the authority ------------------------------------------------------------ */

/*
 * The bundles of authority/trusted-ca-certificate. Filled once, then shared by all peers and by
 * threads that check revocation lists.
 */
struct svr_pki_anchors;

int svr_pki_anchors_new(struct svr_pki_anchors **out);
/* As svr_pki_identity_use(). With more than one user no bundle may be added any more. */
struct svr_pki_anchors *svr_pki_anchors_use(struct svr_pki_anchors *a);
void svr_pki_anchors_free(struct svr_pki_anchors *a); /* NULL is fine */

/**
 * svr_pki_anchors_add() - check a bundle, and add its certificates.
 * Every certificate of it must be readable, in either mode, with nothing else around it but text,
 * and with no private key. These are issues: a certificate that is not a CA's, that is there twice,
 * that is not valid yet or no longer, whose key or digest is too weak, and one that does not lead
 * to a self-signed root in the bundle. validation-mode decides what issues do:
 *   strict  the bundle is refused as a whole;
 *   warn    it is used. An intermediate CA without its root is then an anchor itself; certificates
 *           that are not a CA's, or whose key or digest is too weak, are left out.
 * It decides nothing about peers: what has expired vouches for nobody in either mode.
 * @name: of the bundle, for reports
 * @text: one or more certificates in PEM
 * @issue: called for every issue, in both modes, before this returns; may be NULL
 * Return: number of certificates that were added, -EKEYREJECTED (strict, or nothing is left),
 * -EBADMSG (not readable), -E2BIG, -ENOMEM; negative: nothing was added, and @issue has said why.
 */
int svr_pki_anchors_add(struct svr_pki_anchors *a, const char *name, const char *text, size_t len,
			bool strict, int64_t now_sec,
			void (*issue)(void *user, const struct svr_pki_report *report), void *user);

/* The same for a file; that it cannot be read is reported as SVR_PKI_UNPARSABLE. */
int svr_pki_anchors_add_file(struct svr_pki_anchors *a, const char *name, const char *path,
			     bool strict, int64_t now_sec,
			     void (*issue)(void *user, const struct svr_pki_report *report),
			     void *user);

/* Certificates in all bundles; one of them in DER (NULL above the number), and its bundle. */
unsigned int svr_pki_anchors_count(const struct svr_pki_anchors *a);
const uint8_t *svr_pki_anchors_der(const struct svr_pki_anchors *a, unsigned int index, size_t *len,
				   const char **bundle);

/* ---- what is asked of a peer's certificate --------------------------------------------------- */

struct svr_pki_crls;
struct svr_pki_trust; /* fingerprint or CA certificates, revocation lists, and rules */

/* An empty trust refuses everybody. */
int svr_pki_trust_new(struct svr_pki_trust **out);
/* As svr_pki_identity_use(). With more than one user it must not be changed any more. */
struct svr_pki_trust *svr_pki_trust_use(struct svr_pki_trust *t);
void svr_pki_trust_free(struct svr_pki_trust *t); /* NULL is fine */
/*
 * Pins the peer's certificate: nothing else is asked of its issuer, but revocation. CA
 * certificates are then of no effect.
 */
void svr_pki_trust_fingerprint(struct svr_pki_trust *t,
			       const uint8_t fingerprint[static SVR_PKI_FINGERPRINT_LEN]);
/* Becomes a user of @a; NULL: no CA. */
void svr_pki_trust_anchors(struct svr_pki_trust *t, struct svr_pki_anchors *a);
/*
 * Revocation lists that are asked at each check, as they are at that time. Becomes a user of them;
 * NULL: none.
 */
void svr_pki_trust_crls(struct svr_pki_trust *t, struct svr_pki_crls *crls);
void svr_pki_trust_allow_self_signed(struct svr_pki_trust *t, bool allow); /* true unless called */
/*
 * invalid-certificate-behavior fail-soft: a certificate that was good once, and has expired or was
 * revoked (it or an issuer), is accepted with a report. Everything else is refused all the same.
 * False (fail-hard) unless called.
 */
void svr_pki_trust_fail_soft(struct svr_pki_trust *t, bool soft);
/*
 * Trust anchors do not mix: where the own certificate leads to an anchor, that of a peer that is not
 * pinned must lead to one of the same trusted-ca-certificate. To change the CA of a network, put
 * both roots into one bundle. Call it after svr_pki_trust_anchors(). Without it, or if @id leads
 * to no anchor, all anchors are allowed.
 */
void svr_pki_trust_own(struct svr_pki_trust *t, const struct svr_pki_identity *id, int64_t now_sec);
/*
 * SHA-256 over all of the above but lists and fail-soft: tells whether keys were agreed under the
 * same rules.
 */
int svr_pki_trust_digest(const struct svr_pki_trust *t, uint8_t digest[static 32]);
/*
 * May keys that were agreed under @before stay until the peer's certificate has been judged under
 * @now? Not if it is pinned otherwise, or self-signed ones are not taken any more: that verdict is
 * for those who have keys only a matter of invalid-certificate-behavior.
 */
bool svr_pki_trust_same_ground(const struct svr_pki_trust *before, const struct svr_pki_trust *now);

struct svr_pki_peer; /* a certificate that was accepted: the cached verdict, and the public key */

/**
 * svr_pki_verify() - check a peer's certificate chain.
 * @chain, @count: certificates in DER, the peer's first, the others in any order
 * @common_name: what the certificate must be for, as CN or as SAN URI urn:ssr:peering:<common_name>
 * @own: fingerprint of the own certificate, which is never accepted from a peer; may be NULL
 * @now_sec: seconds since 1970
 * @out: the peer, for svr_pki_peer_free(); NULL unless 0 is returned
 * @report: the verdict; under fail-soft also with 0 of class EXPIRED or REVOKED
 * Return: 0, -EKEYREJECTED if it is refused, -EBADMSG if it does not parse, -ENOMEM.
 */
int svr_pki_verify(const struct svr_pki_trust *t, const struct svr_pki_der *chain,
		   unsigned int count, const char *common_name, const uint8_t *own, int64_t now_sec,
		   struct svr_pki_peer **out, struct svr_pki_report *report);

/**
 * svr_pki_recheck() - the verdict on a peer's certificate now: after a change of CAs, of
 * revocation lists, of the configuration, or of the date.
 * @p: keeps its chain and common name for this
 * Return, @report: as svr_pki_verify(). What the peer's accessors say stays as it was, but
 * svr_pki_peer_revocation().
 */
int svr_pki_recheck(const struct svr_pki_trust *t, struct svr_pki_peer *p, int64_t now_sec,
		    struct svr_pki_report *report);

/* What revocation lists say. */
enum svr_pki_revocation_state {
	SVR_PKI_REVOCATION_UNKNOWN, /* no list of its issuer */
	SVR_PKI_REVOCATION_STALE, /* not on its issuer's list, whose nextUpdate has passed */
	SVR_PKI_REVOCATION_GOOD, /* not on its issuer's list */
	SVR_PKI_REVOCATION_REVOKED,
};

/**
 * svr_pki_identity_check() - would peers accept us? As svr_pki_verify() under fail-hard, with the
 * own chain. A self-signed certificate counts as pinned if @t has no other fingerprint.
 * @revocation: may be NULL
 */
int svr_pki_identity_check(const struct svr_pki_identity *id, const struct svr_pki_trust *t,
			   const char *common_name, int64_t now_sec,
			   enum svr_pki_revocation_state *revocation,
			   struct svr_pki_report *report);

void svr_pki_peer_free(struct svr_pki_peer *p);
const uint8_t *svr_pki_peer_fingerprint(const struct svr_pki_peer *p);
/* What stands in the peer's certificate: serial, issuer, dates, distribution points, ... */
const struct svr_pki_cert_info *svr_pki_peer_info(const struct svr_pki_peer *p);
/* State at the last check. */
enum svr_pki_revocation_state svr_pki_peer_revocation(const struct svr_pki_peer *p);
/* Issuers as sent: NULL above their number, 0 is the peer's own certificate. */
const uint8_t *svr_pki_peer_der(const struct svr_pki_peer *p, unsigned int index, size_t *len);
/* 0 if @sig over @data was made with the key of the certificate, -EBADMSG if not. */
int svr_pki_peer_check_signature(const struct svr_pki_peer *p, const uint8_t *data, size_t len,
				 const uint8_t *sig, size_t sig_len);

#endif
