// SPDX-License-Identifier: BSD-2-Clause
/*
 * What is asked of a peer's certificate, and the verdict (docs/protocol.md section 9,
 * docs/certificates.md).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "lib/pki_internal.h"

enum {
	TRUST_NAME_LEN = 128, /* room for a name that is printed */
	TRUST_CN_MAX = 64, /* characters, ub-common-name of RFC 5280 */
};

struct svr_pki_trust {
	unsigned int users; /* atomic */
	bool has_fingerprint;
	bool allow_self_signed;
	bool fail_soft;
	uint8_t fingerprint[SVR_PKI_FINGERPRINT_LEN];
	struct svr_pki_anchors *anchors; /* may be NULL */
	struct svr_pki_crls *crls; /* may be NULL */
	uint64_t own_bundles; /* that the own certificate leads to; 0 = any will do */
};

struct svr_pki_peer {
	STACK_OF(X509) * certs; /* as sent, its own first */
	uint8_t *der[SVR_PKI_CHAIN_MAX];
	size_t der_len[SVR_PKI_CHAIN_MAX];
	char common_name[TRUST_NAME_LEN];
	EVP_PKEY *key;
	enum svr_pki_revocation_state revocation;
	struct svr_pki_cert_info info;
};

/* ---- rules ----------------------------------------------------------------------------------- */

int svr_pki_trust_new(struct svr_pki_trust **out)
{
	struct svr_pki_trust *t = calloc(1, sizeof(*t));

	*out = t;
	if (!t)
		return -ENOMEM;
	t->users = 1;
	t->allow_self_signed = true;
	return 0;
}

struct svr_pki_trust *svr_pki_trust_use(struct svr_pki_trust *t)
{
	__atomic_add_fetch(&t->users, 1, __ATOMIC_RELAXED);
	return t;
}

void svr_pki_trust_free(struct svr_pki_trust *t)
{
	if (!t || __atomic_sub_fetch(&t->users, 1, __ATOMIC_ACQ_REL))
		return;
	svr_pki_anchors_free(t->anchors);
	svr_pki_crls_free(t->crls);
	free(t);
}

void svr_pki_trust_fingerprint(struct svr_pki_trust *t,
			       const uint8_t fingerprint[static SVR_PKI_FINGERPRINT_LEN])
{
	t->has_fingerprint = true;
	memcpy(t->fingerprint, fingerprint, sizeof(t->fingerprint));
}

void svr_pki_trust_anchors(struct svr_pki_trust *t, struct svr_pki_anchors *a)
{
	struct svr_pki_anchors *before = t->anchors;

	t->anchors = a ? svr_pki_anchors_use(a) : NULL;
	svr_pki_anchors_free(before);
}

void svr_pki_trust_crls(struct svr_pki_trust *t, struct svr_pki_crls *crls)
{
	struct svr_pki_crls *before = t->crls;

	t->crls = crls ? svr_pki_crls_use(crls) : NULL;
	svr_pki_crls_free(before);
}

void svr_pki_trust_allow_self_signed(struct svr_pki_trust *t, bool allow)
{
	t->allow_self_signed = allow;
}

int svr_pki_trust_for_own(const struct svr_pki_trust *t, X509 *cert, struct svr_pki_trust **out)
{
	struct svr_pki_trust *own = malloc(sizeof(*own));

	*out = own;
	if (!own)
		return -ENOMEM;
	*own = *t;
	own->users = 1;
	if (own->anchors)
		svr_pki_anchors_use(own->anchors);
	if (own->crls)
		svr_pki_crls_use(own->crls);
	own->fail_soft = false;
	own->own_bundles = 0;
	if (!own->has_fingerprint && svr_pki_is_self_signed(cert)) {
		own->has_fingerprint = true;
		if (svr_pki_fingerprint(cert, own->fingerprint)) {
			svr_pki_trust_free(own);
			*out = NULL;
			return -EIO;
		}
	}
	return 0;
}

void svr_pki_trust_fail_soft(struct svr_pki_trust *t, bool soft)
{
	t->fail_soft = soft;
}

void svr_pki_trust_own(struct svr_pki_trust *t, const struct svr_pki_identity *id, int64_t now_sec)
{
	STACK_OF(X509) *certs = svr_pki_identity_certs(id);
	struct svr_pki_report ignored;
	struct pki_chain chain;

	t->own_bundles = 0;
	if (!t->anchors || svr_pki_chain_build(t->anchors, sk_X509_value(certs, 0), certs, now_sec,
					       &chain, &ignored))
		return;
	t->own_bundles = chain.bundles;
	svr_pki_chain_clear(&chain);
}

int svr_pki_trust_digest(const struct svr_pki_trust *t, uint8_t digest[static 32])
{
	struct {
		uint8_t has_fingerprint, allow_self_signed;
		uint8_t fingerprint[SVR_PKI_FINGERPRINT_LEN], anchors[32], own_bundles[8];
	} in = { .has_fingerprint = t->has_fingerprint, .allow_self_signed = t->allow_self_signed };
	int i;

	memcpy(in.fingerprint, t->fingerprint, sizeof(in.fingerprint));
	if (t->anchors)
		svr_pki_anchors_digest(t->anchors, in.anchors);
	for (i = 0; i < 8; i++)
		in.own_bundles[i] = (uint8_t)(t->own_bundles >> (56 - 8 * i));
	return EVP_Q_digest(NULL, "SHA2-256", NULL, &in, sizeof(in), digest, NULL) == 1 ? 0 : -EIO;
}

bool svr_pki_trust_same_ground(const struct svr_pki_trust *before, const struct svr_pki_trust *now)
{
	if (before->has_fingerprint != now->has_fingerprint ||
	    memcmp(before->fingerprint, now->fingerprint, sizeof(now->fingerprint)) != 0)
		return false;
	return now->allow_self_signed || !before->allow_self_signed;
}

/* ---- names ----------------------------------------------------------------------------------- */

/* The value of a CN in UTF-8 with its length, for OPENSSL_free(). */
static int common_name_value(X509_NAME *name, int at, unsigned char **utf8)
{
	return ASN1_STRING_to_UTF8(utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
}

/*
 * Every CN, also those that are of no use to us: a name with a NUL in it is one that reads
 * differently to different programs, and no authority should have signed it.
 */
static int check_name_form(X509 *cert, struct svr_pki_report *r)
{
	X509_NAME *name = X509_get_subject_name(cert);
	char shown[TRUST_NAME_LEN];
	unsigned char *utf8;
	int at = -1, len, i;
	bool bad;

	while ((at = X509_NAME_get_index_by_NID(name, NID_commonName, at)) >= 0) {
		utf8 = NULL;
		len = common_name_value(name, at, &utf8);
		bad = len < 0 || len > TRUST_CN_MAX * 4;
		for (i = 0; i < len && !bad; i++)
			bad = utf8[i] == 0 || utf8[i] == '\n' || utf8[i] == '\r';
		svr_pki_printable(shown, sizeof(shown), utf8, len > 0 ? (size_t)len : 0);
		OPENSSL_free(utf8);
		if (bad)
			return svr_pki_refuse(r, SVR_PKI_NAME_MALFORMED,
					      "certificate: common name %.80s is malformed", shown);
	}
	return 0;
}

/* The only CN of the subject. A certificate with several is not one that we can show to anybody. */
static bool common_name_is(X509 *cert, const char *expected, char *found, size_t found_len)
{
	X509_NAME *name = X509_get_subject_name(cert);
	int at = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
	unsigned char *utf8 = NULL;
	bool same;
	int len;

	snprintf(found, found_len, "(none)");
	if (at < 0)
		return false;
	if (X509_NAME_get_index_by_NID(name, NID_commonName, at) >= 0) {
		snprintf(found, found_len, "(several)");
		return false;
	}
	len = common_name_value(name, at, &utf8);
	if (len < 0)
		return false;
	svr_pki_printable(found, found_len, utf8, (size_t)len);
	same = (size_t)len == strlen(expected) && memcmp(utf8, expected, (size_t)len) == 0;
	OPENSSL_free(utf8);
	return same;
}

static bool san_is(X509 *cert, const char *expected)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	char uri[sizeof(PKI_SAN_PREFIX) + TRUST_NAME_LEN];
	bool found = false;
	int i, len;

	len = snprintf(uri, sizeof(uri), PKI_SAN_PREFIX "%s", expected);
	for (i = 0; len < (int)sizeof(uri) && i < sk_GENERAL_NAME_num(names) && !found; i++) {
		const GENERAL_NAME *n = sk_GENERAL_NAME_value(names, i);

		found = n->type == GEN_URI &&
			ASN1_STRING_length(n->d.uniformResourceIdentifier) == len &&
			memcmp(ASN1_STRING_get0_data(n->d.uniformResourceIdentifier), uri,
			       (size_t)len) == 0;
	}
	GENERAL_NAMES_free(names);
	return found;
}

static int check_name(X509 *cert, const char *common_name, struct svr_pki_report *r)
{
	char found[TRUST_NAME_LEN];
	int ret;

	ret = check_name_form(cert, r);
	if (ret)
		return ret;
	if (common_name_is(cert, common_name, found, sizeof(found)) || san_is(cert, common_name))
		return 0;
	return svr_pki_refuse(r, SVR_PKI_NAME, "certificate: common name is %s, expected %s", found,
			      common_name);
}

/* ---- one certificate ------------------------------------------------------------------------- */

/*
 * No purpose has been registered for SVR. Both routers are client and server of the key exchange,
 * so a certificate for either side will do.
 */
static bool purpose_ok(X509 *cert)
{
	static const int allowed[] = { NID_client_auth, NID_server_auth, NID_ipsec_IKE,
				       NID_anyExtendedKeyUsage };
	EXTENDED_KEY_USAGE *usages = X509_get_ext_d2i(cert, NID_ext_key_usage, NULL, NULL);
	bool found = !usages;
	size_t k;
	int i;

	for (i = 0; i < sk_ASN1_OBJECT_num(usages) && !found; i++)
		for (k = 0; k < sizeof(allowed) / sizeof(allowed[0]) && !found; k++)
			found = OBJ_obj2nid(sk_ASN1_OBJECT_value(usages, i)) == allowed[k];
	EXTENDED_KEY_USAGE_free(usages);
	return found;
}

static int check_form(X509 *cert, struct svr_pki_report *r)
{
	uint32_t flags = X509_get_extension_flags(cert);
	uint8_t serial[PKI_SERIAL_DER_MAX];

	if (X509_get_version(cert) != X509_VERSION_3)
		return svr_pki_refuse(r, SVR_PKI_VERSION,
				      "certificate: is of version %ld of X.509, not of version 3",
				      X509_get_version(cert) + 1);
	if (svr_pki_serial(cert, serial) == 0)
		return svr_pki_refuse(r, SVR_PKI_SERIAL,
				      "certificate: serial number is longer than %d bytes",
				      SVR_PKI_SERIAL_MAX);
	if (flags & EXFLAG_INVALID)
		return svr_pki_refuse(r, SVR_PKI_EXTENSION,
				      "certificate: an extension is malformed");
	if (flags & EXFLAG_CRITICAL)
		return svr_pki_refuse(r, SVR_PKI_CRITICAL,
				      "certificate: an unknown extension is critical");
	return 0;
}

static int check_leaf(const struct svr_pki_trust *t, X509 *cert, const char *common_name,
		      struct svr_pki_report *r)
{
	int ret;

	ret = check_form(cert, r);
	if (!ret)
		ret = check_name(cert, common_name, r);
	if (ret)
		return ret;
	if (svr_pki_key_kind(X509_get0_pubkey(cert)) == PKI_KEY_NONE)
		return svr_pki_refuse(
			r, SVR_PKI_KEY,
			"certificate: key is none of RSA 2048 to 4096, P-256, P-384, P-521, Ed25519");
	if (X509_get_extension_flags(cert) & EXFLAG_CA)
		return svr_pki_refuse(r, SVR_PKI_IS_CA,
				      "certificate: is one of a CA (CA:TRUE), not of a router");
	if (!(X509_get_key_usage(cert) & KU_DIGITAL_SIGNATURE))
		return svr_pki_refuse(r, SVR_PKI_KEY_USAGE,
				      "certificate: key usage does not allow digital signatures");
	if (!purpose_ok(cert))
		return svr_pki_refuse(
			r, SVR_PKI_EXT_KEY_USAGE,
			"certificate: extended key usage allows neither TLS client or server nor IKE");
	if (!svr_pki_digest_ok(cert))
		return svr_pki_refuse(r, SVR_PKI_WEAK_DIGEST,
				      "certificate: is signed with %s, which can be forged",
				      OBJ_nid2ln(X509_get_signature_nid(cert)));
	if (!t->allow_self_signed && svr_pki_is_self_signed(cert))
		return svr_pki_refuse(
			r, SVR_PKI_SELF_SIGNED,
			"certificate: is self-signed, and allow-self-signed-peering-certificates is false");
	return 0;
}

/* Before its time it proves nothing, under fail-soft, too. */
static int check_not_before(X509 *cert, int64_t now_sec, struct svr_pki_report *r)
{
	int64_t begin, end;
	char date[40];

	if (svr_pki_time(X509_get0_notBefore(cert), &begin) ||
	    svr_pki_time(X509_get0_notAfter(cert), &end))
		return svr_pki_refuse(r, SVR_PKI_DATES,
				      "certificate: validity dates cannot be read");
	if (now_sec >= begin)
		return 0;
	svr_pki_date_text(begin, date, sizeof(date));
	return svr_pki_refuse(r, SVR_PKI_NOT_YET_VALID, "certificate: not valid before %s", date);
}

/* The last second of its time belongs to it (RFC 5280 4.1.2.5). */
static int check_expiry(const struct pki_chain *chain, int64_t now_sec, struct svr_pki_report *r)
{
	char date[40], subject[TRUST_NAME_LEN];
	X509 *cert;
	int64_t end;
	int i;

	for (i = 0; i < sk_X509_num(chain->certs); i++) {
		cert = sk_X509_value(chain->certs, i);
		if (svr_pki_time(X509_get0_notAfter(cert), &end))
			return svr_pki_refuse(r, SVR_PKI_DATES,
					      "certificate: validity dates cannot be read");
		if (now_sec <= end)
			continue;
		svr_pki_date_text(end, date, sizeof(date));
		if (i == 0)
			return svr_pki_refuse(r, SVR_PKI_EXPIRED, "certificate: expired on %s",
					      date);
		svr_pki_dn_text(X509_get_subject_name(cert), subject, sizeof(subject));
		return svr_pki_refuse(r, SVR_PKI_ISSUER_EXPIRED,
				      "certificate: its issuer %s expired on %s", subject, date);
	}
	return 0;
}

/* ---- issuers --------------------------------------------------------------------------------- */

static void print_fingerprint(char out[static 2 * SVR_PKI_FINGERPRINT_LEN + 1],
			      const uint8_t *fingerprint)
{
	int i;

	for (i = 0; i < SVR_PKI_FINGERPRINT_LEN; i++)
		snprintf(out + 2 * i, 3, "%02x", fingerprint[i]);
}

static int check_fingerprint(const struct svr_pki_trust *t, const uint8_t *fingerprint,
			     struct svr_pki_report *r)
{
	char found[2 * SVR_PKI_FINGERPRINT_LEN + 1], expected[2 * SVR_PKI_FINGERPRINT_LEN + 1];

	if (CRYPTO_memcmp(fingerprint, t->fingerprint, SVR_PKI_FINGERPRINT_LEN) == 0)
		return 0;
	print_fingerprint(found, fingerprint);
	print_fingerprint(expected, t->fingerprint);
	return svr_pki_refuse(r, SVR_PKI_FINGERPRINT,
			      "certificate: fingerprint does not match: is %s, expected %s", found,
			      expected);
}

/* A chain of one: nobody is asked about a pinned certificate's issuer. */
static int pinned_chain(X509 *leaf, struct pki_chain *chain)
{
	memset(chain, 0, sizeof(*chain));
	chain->certs = sk_X509_new_null();
	if (!chain->certs || sk_X509_push(chain->certs, leaf) <= 0) {
		sk_X509_free(chain->certs);
		chain->certs = NULL;
		return -ENOMEM;
	}
	X509_up_ref(leaf);
	return 0;
}

static int check_trust(const struct svr_pki_trust *t, STACK_OF(X509) * certs,
		       const char *common_name, const uint8_t *fingerprint, int64_t now_sec,
		       struct pki_chain *chain, struct svr_pki_report *r)
{
	int ret;

	if (t->has_fingerprint) {
		ret = check_fingerprint(t, fingerprint, r);
		return ret ? ret : pinned_chain(sk_X509_value(certs, 0), chain);
	}
	if (!t->anchors || svr_pki_anchors_count(t->anchors) == 0)
		return svr_pki_refuse(
			r, SVR_PKI_NO_TRUST,
			"certificate: neither a fingerprint nor a trusted CA is configured for %s",
			common_name);
	ret = svr_pki_chain_build(t->anchors, sk_X509_value(certs, 0), certs, now_sec, chain, r);
	if (!ret && t->own_bundles && !(t->own_bundles & chain->bundles))
		ret = svr_pki_refuse(r, SVR_PKI_ANCHOR,
				     "certificate: leads to another "
				     "trusted-ca-certificate than our own");
	return ret;
}

/* ---- revocation ------------------------------------------------------------------------------ */

static int refuse_revoked(X509 *cert, bool issuer, const struct svr_pki_revocation *rev,
			  struct svr_pki_report *r)
{
	char date[40], subject[TRUST_NAME_LEN];

	svr_pki_date_text(rev->revoked_sec, date, sizeof(date));
	if (!issuer)
		return svr_pki_refuse(r, SVR_PKI_REVOKED, "certificate: revoked on %s (%s)", date,
				      svr_pki_reason_name(rev->reason));
	svr_pki_dn_text(X509_get_subject_name(cert), subject, sizeof(subject));
	return svr_pki_refuse(r, SVR_PKI_ISSUER_REVOKED,
			      "certificate: its issuer %s was revoked on %s (%s)", subject, date,
			      svr_pki_reason_name(rev->reason));
}

/* The last of a chain is trusted by configuration; only taking it out of there revokes it. */
static int check_revocation(const struct svr_pki_trust *t, const struct pki_chain *chain,
			    int64_t now_sec, enum svr_pki_revocation_state *state,
			    struct svr_pki_report *r)
{
	int i, n = sk_X509_num(chain->certs) - (chain->bundles ? 1 : 0);
	enum svr_pki_revocation_state one;
	struct svr_pki_revocation rev;

	*state = SVR_PKI_REVOCATION_UNKNOWN;
	if (!t->crls)
		return 0;
	for (i = 0; i < n || i == 0; i++) {
		X509 *cert = sk_X509_value(chain->certs, i);

		one = svr_pki_crls_ask(t->crls, cert, now_sec, &rev);
		if (i == 0)
			*state = one;
		if (one != SVR_PKI_REVOCATION_REVOKED)
			continue;
		*state = SVR_PKI_REVOCATION_REVOKED;
		return refuse_revoked(cert, i > 0, &rev, r);
	}
	return 0;
}

/* ---- the verdict ----------------------------------------------------------------------------- */

/*
 * What no behaviour may overlook comes first; then revocation, then expiry, which fail-soft only
 * reports.
 */
int svr_pki_verify_certs(const struct svr_pki_trust *t, STACK_OF(X509) * certs,
			 const char *common_name, const uint8_t *own, int64_t now_sec,
			 enum svr_pki_revocation_state *revocation, struct svr_pki_report *r)
{
	X509 *leaf = sk_X509_value(certs, 0);
	uint8_t fingerprint[SVR_PKI_FINGERPRINT_LEN];
	struct pki_chain chain = { 0 };
	int ret;

	*revocation = SVR_PKI_REVOCATION_UNKNOWN;
	svr_pki_refuse(r, SVR_PKI_INTERNAL, "out of memory");
	ret = svr_pki_fingerprint(leaf, fingerprint);
	if (ret)
		return ret;
	if (own && CRYPTO_memcmp(own, fingerprint, sizeof(fingerprint)) == 0)
		return svr_pki_refuse(
			r, SVR_PKI_OWN,
			"certificate: is our own; either our packets come back, or both routers "
			"were given the same certificate");
	ret = check_leaf(t, leaf, common_name, r);
	if (!ret)
		ret = check_not_before(leaf, now_sec, r);
	if (!ret)
		ret = check_trust(t, certs, common_name, fingerprint, now_sec, &chain, r);
	if (ret)
		goto out;
	ret = check_revocation(t, &chain, now_sec, revocation, r);
	if (!ret)
		ret = check_expiry(&chain, now_sec, r);
	if (!ret)
		svr_pki_accept(r);
	else if (t->fail_soft && svr_pki_verdict_class(r->verdict) != SVR_PKI_CLASS_INVALID)
		ret = 0;
out:
	svr_pki_chain_clear(&chain);
	ERR_clear_error();
	return ret;
}

static int parse_chain(const struct svr_pki_der *chain, unsigned int count, STACK_OF(X509) * out,
		       struct svr_pki_report *r)
{
	size_t total = 0;
	unsigned int i;

	if (count == 0 || count > SVR_PKI_CHAIN_MAX) {
		svr_pki_refuse(r, count ? SVR_PKI_TOO_MANY : SVR_PKI_UNPARSABLE,
			       "certificate: %u in the chain, allowed are 1 to %d", count,
			       SVR_PKI_CHAIN_MAX);
		return -EBADMSG;
	}
	for (i = 0; i < count; i++) {
		enum svr_pki_verdict v;
		X509 *cert;

		total += chain[i].len;
		if (chain[i].len > SVR_PKI_CHAIN_BYTES_MAX || total > SVR_PKI_CHAIN_BYTES_MAX) {
			svr_pki_refuse(r, SVR_PKI_TOO_LARGE,
				       "certificate: chain has more than %d bytes",
				       SVR_PKI_CHAIN_BYTES_MAX);
			return -EBADMSG;
		}
		v = svr_pki_cert_read(chain[i].data, chain[i].len, &cert);
		if (v != SVR_PKI_OK) {
			svr_pki_refuse(
				r, v, "certificate: number %u of the chain is not X.509 in DER%s",
				i + 1,
				v == SVR_PKI_TRAILING_DATA ? ": something stands behind it" : "");
			return -EBADMSG;
		}
		if (sk_X509_push(out, cert) <= 0) {
			X509_free(cert);
			return -ENOMEM;
		}
	}
	return 0;
}

/* Takes @certs. */
static int peer_new(STACK_OF(X509) * certs, const char *common_name,
		    enum svr_pki_revocation_state revocation, struct svr_pki_peer **out)
{
	struct svr_pki_peer *p = calloc(1, sizeof(*p));
	int i, len;

	if (!p) {
		sk_X509_pop_free(certs, X509_free);
		return -ENOMEM;
	}
	p->certs = certs;
	p->revocation = revocation;
	p->key = X509_get_pubkey(sk_X509_value(certs, 0));
	snprintf(p->common_name, sizeof(p->common_name), "%s", common_name);
	svr_pki_info_fill(sk_X509_value(certs, 0), &p->info);
	for (i = 0; i < sk_X509_num(certs); i++) {
		len = i2d_X509(sk_X509_value(certs, i), &p->der[i]);
		if (len <= 0) {
			svr_pki_peer_free(p);
			return -ENOMEM;
		}
		p->der_len[i] = (size_t)len;
	}
	*out = p;
	return 0;
}

int svr_pki_verify(const struct svr_pki_trust *t, const struct svr_pki_der *chain,
		   unsigned int count, const char *common_name, const uint8_t *own, int64_t now_sec,
		   struct svr_pki_peer **out, struct svr_pki_report *report)
{
	STACK_OF(X509) *certs = sk_X509_new_null();
	enum svr_pki_revocation_state revocation;
	int ret;

	*out = NULL;
	svr_pki_refuse(report, SVR_PKI_INTERNAL, "out of memory");
	if (!certs)
		return -ENOMEM;
	ret = parse_chain(chain, count, certs, report);
	if (!ret)
		ret = svr_pki_verify_certs(t, certs, common_name, own, now_sec, &revocation,
					   report);
	if (ret)
		sk_X509_pop_free(certs, X509_free);
	else
		ret = peer_new(certs, common_name, revocation, out);
	ERR_clear_error();
	return ret;
}

int svr_pki_recheck(const struct svr_pki_trust *t, struct svr_pki_peer *p, int64_t now_sec,
		    struct svr_pki_report *report)
{
	return svr_pki_verify_certs(t, p->certs, p->common_name, NULL, now_sec, &p->revocation,
				    report);
}

int svr_pki_identity_check(const struct svr_pki_identity *id, const struct svr_pki_trust *t,
			   const char *common_name, int64_t now_sec,
			   enum svr_pki_revocation_state *revocation, struct svr_pki_report *report)
{
	STACK_OF(X509) *certs = svr_pki_identity_certs(id);
	enum svr_pki_revocation_state ignored;
	struct svr_pki_trust *own;
	int ret;

	ret = svr_pki_trust_for_own(t, sk_X509_value(certs, 0), &own);
	if (ret) {
		svr_pki_refuse(report, SVR_PKI_INTERNAL, "out of memory");
		return ret;
	}
	ret = svr_pki_verify_certs(own, certs, common_name, NULL, now_sec,
				   revocation ? revocation : &ignored, report);
	svr_pki_trust_free(own);
	return ret;
}

/* ---- an accepted peer ------------------------------------------------------------------------ */

void svr_pki_peer_free(struct svr_pki_peer *p)
{
	unsigned int i;

	if (!p)
		return;
	for (i = 0; i < SVR_PKI_CHAIN_MAX; i++)
		OPENSSL_free(p->der[i]);
	sk_X509_pop_free(p->certs, X509_free);
	EVP_PKEY_free(p->key);
	free(p);
}

const uint8_t *svr_pki_peer_fingerprint(const struct svr_pki_peer *p)
{
	return p->info.fingerprint;
}

const struct svr_pki_cert_info *svr_pki_peer_info(const struct svr_pki_peer *p)
{
	return &p->info;
}

enum svr_pki_revocation_state svr_pki_peer_revocation(const struct svr_pki_peer *p)
{
	return p->revocation;
}

const uint8_t *svr_pki_peer_der(const struct svr_pki_peer *p, unsigned int index, size_t *len)
{
	if (index >= SVR_PKI_CHAIN_MAX || !p->der[index])
		return NULL;
	*len = p->der_len[index];
	return p->der[index];
}

int svr_pki_peer_check_signature(const struct svr_pki_peer *p, const uint8_t *data, size_t len,
				 const uint8_t *sig, size_t sig_len)
{
	return svr_pki_check_signature(p->key, data, len, sig, sig_len);
}
