// SPDX-License-Identifier: BSD-2-Clause
/*
 * Reading and checking a revocation list (RFC 5280 section 5). The entries are walked in place:
 * libcrypto's X509_CRL takes 250 bytes and six allocations for each. Everything else - names,
 * algorithms, signatures, distribution points - is libcrypto's.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/asn1t.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include "lib/pki_internal.h"

enum {
	CRL_ISSUERS_MAX = 8, /* certificates of one name that are tried */
	CRL_NAME_LEN = 120, /* room for a name in a report */
	CRL_DAY_SEC = 86400,
	DER_CONTEXT = 0x100, /* in front of the number of a [number] */
	DER_NONE = -1, /* nothing is left, or it is malformed */
};

struct svr_pki_crl {
	unsigned int users; /* atomic */
	struct pki_crl_id id;
	struct svr_pki_crl_info info;
	struct pki_index *index;
};

/* ---- DER ------------------------------------------------------------------------------------- */

struct der { /* what is left to be read */
	const uint8_t *p, *end;
};

struct der_item {
	int tag; /* of the universal class; DER_CONTEXT + number for [number], which is constructed */
	const uint8_t *whole; /* with tag and length */
	size_t whole_len;
	struct der content;
};

static bool der_empty(const struct der *d)
{
	return d->p == d->end;
}

/* Definite lengths only, which is what makes it DER. False: malformed, or nothing left. */
static bool der_next(struct der *d, struct der_item *item)
{
	const unsigned char *p = d->p;
	int tag, class, ret;
	long len;

	if (der_empty(d))
		return false;
	ret = ASN1_get_object(&p, &len, &tag, &class, d->end - d->p);
	if (ret & 0x80 || ret & 1)
		return false;
	if (class == V_ASN1_CONTEXT_SPECIFIC && ret & V_ASN1_CONSTRUCTED)
		item->tag = DER_CONTEXT + tag;
	else if (class == V_ASN1_UNIVERSAL)
		item->tag = tag;
	else
		return false;
	item->whole = d->p;
	item->whole_len = (size_t)(p + len - d->p);
	item->content.p = p;
	item->content.end = p + len;
	d->p = p + len;
	return true;
}

static int der_peek(const struct der *d)
{
	struct der copy = *d;
	struct der_item item;

	return der_next(&copy, &item) ? item.tag : DER_NONE;
}

static bool der_take(struct der *d, int tag, struct der_item *item)
{
	return der_next(d, item) && item->tag == tag;
}

static size_t der_len(const struct der *d)
{
	return (size_t)(d->end - d->p);
}

/* INTEGER in as few bytes as it takes (X.690 8.3.2). */
static bool der_integer_ok(const struct der *d)
{
	size_t len = der_len(d);

	if (len == 0)
		return false;
	return len == 1 ||
	       !((d->p[0] == 0 && d->p[1] < 0x80) || (d->p[0] == 0xff && d->p[1] >= 0x80));
}

/* ---- dates ----------------------------------------------------------------------------------- */

/* Two decimal digits; -1000 for others, which no sum with other digits makes positive. */
static int two(const uint8_t *p)
{
	if (p[0] < '0' || p[0] > '9' || p[1] < '0' || p[1] > '9')
		return -1000;
	return (p[0] - '0') * 10 + p[1] - '0';
}

/* Days from 1970-01-01 in the Gregorian calendar; months begin in March, so that leap days end. */
static int64_t days_since_1970(int year, int month, int day)
{
	int y = year - (month <= 2), m = (month + 9) % 12;

	return (int64_t)365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719468;
}

/*
 * UTCTime until 2049 and GeneralizedTime after it, both with seconds and in GMT: RFC 5280 5.1.2.4
 * allows nothing else. A million of these are read, so not by way of struct tm.
 */
static bool read_time(const struct der_item *item, int64_t *sec)
{
	static const int month_days[] = { 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	const uint8_t *p = item->content.p;
	int year, month, day, hour, minute, second;

	if (item->tag == V_ASN1_UTCTIME && der_len(&item->content) == 13) {
		year = two(p);
		if (year < 0)
			return false;
		year += year < 50 ? 2000 : 1900;
		p += 2;
	} else if (item->tag == V_ASN1_GENERALIZEDTIME && der_len(&item->content) == 15) {
		if (two(p) < 0 || two(p + 2) < 0)
			return false;
		year = two(p) * 100 + two(p + 2);
		p += 4;
	} else {
		return false;
	}
	month = two(p);
	day = two(p + 2);
	hour = two(p + 4);
	minute = two(p + 6);
	second = two(p + 8);
	if (p[10] != 'Z' || month < 1 || month > 12 || day < 1 || day > month_days[month - 1] ||
	    hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60)
		return false;
	*sec = days_since_1970(year, month, day) * CRL_DAY_SEC + hour * 3600 + minute * 60 + second;
	return true;
}

static uint32_t clamp_date(int64_t sec)
{
	return sec < 0 ? 0 : sec > UINT32_MAX ? UINT32_MAX : (uint32_t)sec;
}

/* ---- the parts of a list --------------------------------------------------------------------- */

struct crl_parts {
	struct der_item tbs, inner_algorithm, outer_algorithm, issuer, this_update, next_update,
		signature;
	struct der entries; /* content of revokedCertificates; empty if there are none */
	struct der extensions; /* content; empty if there are none */
	bool has_next_update;
	bool v2;
};

static bool is_time(int tag)
{
	return tag == V_ASN1_UTCTIME || tag == V_ASN1_GENERALIZEDTIME;
}

/* TBSCertList, RFC 5280 5.1. */
static bool split_tbs(struct crl_parts *c)
{
	struct der d = c->tbs.content;
	struct der_item item, list;

	if (der_peek(&d) == V_ASN1_INTEGER) {
		der_next(&d, &item);
		if (der_len(&item.content) != 1)
			return false;
		c->v2 = item.content.p[0] == X509_CRL_VERSION_2;
		if (!c->v2)
			return false;
	}
	if (!der_take(&d, V_ASN1_SEQUENCE, &c->inner_algorithm) ||
	    !der_take(&d, V_ASN1_SEQUENCE, &c->issuer) || !is_time(der_peek(&d)) ||
	    !der_next(&d, &c->this_update))
		return false;
	c->has_next_update = is_time(der_peek(&d));
	if (c->has_next_update)
		der_next(&d, &c->next_update);
	if (der_peek(&d) == V_ASN1_SEQUENCE) {
		der_next(&d, &item);
		c->entries = item.content;
	}
	if (der_peek(&d) == DER_CONTEXT) { /* [0] crlExtensions, in version 2 only */
		der_next(&d, &item);
		if (!c->v2 || !der_take(&item.content, V_ASN1_SEQUENCE, &list) ||
		    !der_empty(&item.content))
			return false;
		c->extensions = list.content;
	}
	return der_empty(&d);
}

/* @trailing: it is a list, but something stands behind it */
static bool split(const uint8_t *data, size_t len, struct crl_parts *c, bool *trailing)
{
	struct der d = { data, data + len };
	struct der_item list;

	memset(c, 0, sizeof(*c));
	*trailing = false;
	if (!der_take(&d, V_ASN1_SEQUENCE, &list))
		return false;
	*trailing = !der_empty(&d);
	d = list.content;
	return der_take(&d, V_ASN1_SEQUENCE, &c->tbs) &&
	       der_take(&d, V_ASN1_SEQUENCE, &c->outer_algorithm) &&
	       der_take(&d, V_ASN1_BIT_STRING, &c->signature) && der_empty(&d) && split_tbs(c);
}

/* ---- extensions ------------------------------------------------------------------------------ */

struct extension {
	int id; /* last number of id-ce (2.5.29.id); -1 = of another kind */
	bool critical;
	struct der value;
};

/* 1 = an extension, 0 = no more, -EBADMSG. */
static int extension_next(struct der *d, struct extension *x)
{
	struct der_item item, part;

	if (der_empty(d))
		return 0;
	if (!der_take(d, V_ASN1_SEQUENCE, &item) || !der_take(&item.content, V_ASN1_OBJECT, &part))
		return -EBADMSG;
	x->id = der_len(&part.content) == 3 && part.content.p[0] == 0x55 &&
				part.content.p[1] == 0x1d ?
			part.content.p[2] :
			-1;
	x->critical = der_peek(&item.content) == V_ASN1_BOOLEAN;
	if (x->critical) {
		der_next(&item.content, &part);
		if (der_len(&part.content) != 1)
			return -EBADMSG;
		x->critical = part.content.p[0] != 0;
	}
	if (!der_take(&item.content, V_ASN1_OCTET_STRING, &part) || !der_empty(&item.content))
		return -EBADMSG;
	x->value = part.content;
	return 1;
}

enum { /* id-ce numbers of RFC 5280 */
       CE_ISSUER_ALT_NAME = 18,
       CE_CRL_NUMBER = 20,
       CE_REASON = 21,
       CE_HOLD_INSTRUCTION = 23,
       CE_INVALIDITY_DATE = 24,
       CE_DELTA = 27,
       CE_ISSUING_POINT = 28,
       CE_CERTIFICATE_ISSUER = 29,
       CE_AUTHORITY_KEY = 35,
       CE_FRESHEST = 46,
};

static bool take_number(const struct der *value, struct svr_pki_crl *crl)
{
	struct der d = *value;
	struct der_item item;
	size_t len, i;

	if (!der_take(&d, V_ASN1_INTEGER, &item) || !der_empty(&d) ||
	    !der_integer_ok(&item.content) || item.content.p[0] & 0x80)
		return false;
	if (item.content.p[0] == 0 && der_len(&item.content) > 1)
		item.content.p++;
	len = der_len(&item.content);
	if (len > sizeof(crl->id.number))
		return false;
	memcpy(crl->id.number + sizeof(crl->id.number) - len, item.content.p, len);
	crl->id.has_number = true;
	for (i = 0; i < len; i++)
		snprintf(crl->info.number + 2 * i, 3, "%02X", item.content.p[i]);
	return true;
}

static int take_scope(const struct der *value, struct svr_pki_crl *crl, struct svr_pki_report *r)
{
	const unsigned char *p = value->p;
	ISSUING_DIST_POINT *idp = d2i_ISSUING_DIST_POINT(NULL, &p, (long)der_len(value));
	int ret = 0;

	if (!idp || p != value->end)
		ret = svr_pki_refuse(r, SVR_PKI_CRL_EXTENSION,
				     "revocation list: issuingDistributionPoint is malformed");
	else if (idp->indirectCRL > 0)
		ret = svr_pki_refuse(
			r, SVR_PKI_CRL_INDIRECT,
			"revocation list: is an indirect one, of certificates of other "
			"issuers");
	else if (idp->onlysomereasons || idp->onlyattr > 0 ||
		 (idp->onlyuser > 0 && idp->onlyCA > 0))
		ret = svr_pki_refuse(r, SVR_PKI_CRL_SCOPE,
				     "revocation list: is for %s only; a full one is needed",
				     idp->onlysomereasons ? "some reasons" :
				     idp->onlyattr > 0	  ? "attribute certificates" :
							    "nothing");
	if (!ret) {
		crl->id.for_users = idp->onlyCA <= 0;
		crl->id.for_cas = idp->onlyuser <= 0;
		crl->id.is_part = idp->distpoint != NULL;
	}
	ISSUING_DIST_POINT_free(idp);
	if (!ret && EVP_Q_digest(NULL, "SHA2-256", NULL, value->p, der_len(value), crl->id.scope,
				 NULL) != 1)
		ret = -ENOMEM;
	return ret;
}

static int take_extension(const struct extension *x, struct svr_pki_crl *crl,
			  struct svr_pki_report *r)
{
	switch (x->id) {
	case CE_CRL_NUMBER:
		if (take_number(&x->value, crl))
			return 0;
		return svr_pki_refuse(r, SVR_PKI_CRL_EXTENSION,
				      "revocation list: cRLNumber is malformed");
	case CE_DELTA:
		return svr_pki_refuse(r, SVR_PKI_CRL_DELTA,
				      "revocation list: is a delta list; a full one is needed");
	case CE_ISSUING_POINT:
		return take_scope(&x->value, crl, r);
	case CE_AUTHORITY_KEY:
	case CE_ISSUER_ALT_NAME:
	case CE_FRESHEST:
		return 0; /* helps to find what we have found, or what we do not need */
	}
	if (!x->critical)
		return 0;
	return svr_pki_refuse(r, SVR_PKI_CRL_CRITICAL,
			      "revocation list: an unknown extension is critical");
}

static int take_extensions(const struct crl_parts *c, struct svr_pki_crl *crl,
			   struct svr_pki_report *r)
{
	struct der d = c->extensions;
	bool seen[64] = { false };
	struct extension x;
	int ret;

	crl->id.for_users = crl->id.for_cas = true;
	while ((ret = extension_next(&d, &x)) == 1) {
		if (x.id >= 0 && x.id < 64 && seen[x.id]) {
			ret = -EBADMSG;
			break;
		}
		if (x.id >= 0 && x.id < 64)
			seen[x.id] = true;
		ret = take_extension(&x, crl, r);
		if (ret)
			return ret;
	}
	if (ret < 0)
		return svr_pki_refuse(r, SVR_PKI_CRL_EXTENSION,
				      "revocation list: its extensions are malformed");
	snprintf(crl->info.scope, sizeof(crl->info.scope), "%s",
		 crl->id.for_users && crl->id.for_cas ? "all" :
		 crl->id.for_users		      ? "user" :
							"ca");
	if (crl->id.is_part)
		snprintf(crl->info.scope + strlen(crl->info.scope),
			 sizeof(crl->info.scope) - strlen(crl->info.scope),
			 ", part %02x%02x%02x%02x", crl->id.scope[0], crl->id.scope[1],
			 crl->id.scope[2], crl->id.scope[3]);
	return 0;
}

/* ---- dates of the list ----------------------------------------------------------------------- */

static int check_dates(const struct crl_parts *c, int64_t now_sec, struct svr_pki_crl *crl,
		       struct svr_pki_report *r)
{
	char date[40];

	if (!c->has_next_update)
		return svr_pki_refuse(r, SVR_PKI_CRL_DATES,
				      "revocation list: does not say when the next one comes "
				      "(nextUpdate)");
	if (!read_time(&c->this_update, &crl->info.this_update) ||
	    !read_time(&c->next_update, &crl->info.next_update) ||
	    crl->info.next_update < crl->info.this_update)
		return svr_pki_refuse(r, SVR_PKI_CRL_DATES,
				      "revocation list: its dates are malformed");
	if (now_sec < crl->info.this_update) {
		svr_pki_date_text(crl->info.this_update, date, sizeof(date));
		return svr_pki_refuse(r, SVR_PKI_CRL_NOT_YET_VALID,
				      "revocation list: not valid before %s", date);
	}
	return 0;
}

static int check_expiry(const struct svr_pki_crl *crl, int64_t now_sec, struct svr_pki_report *r)
{
	char date[40];

	if (now_sec <= crl->info.next_update)
		return 0;
	svr_pki_date_text(crl->info.next_update, date, sizeof(date));
	return svr_pki_refuse(r, SVR_PKI_CRL_EXPIRED,
			      "revocation list: the next one was to come by %s", date);
}

/* ---- signature ------------------------------------------------------------------------------- */

/* Both algorithm fields have to be the same, so that the signature covers it. */
static X509_ALGOR *read_algorithm(const struct crl_parts *c)
{
	const unsigned char *p = c->outer_algorithm.whole;

	if (c->outer_algorithm.whole_len != c->inner_algorithm.whole_len ||
	    memcmp(p, c->inner_algorithm.whole, c->inner_algorithm.whole_len) != 0)
		return NULL;
	return d2i_X509_ALGOR(NULL, &p, (long)c->outer_algorithm.whole_len);
}

/* NID_undef: unknown; the digest of PSS stands in its parameters, SHA-1 unless it does. */
static int algorithm_digest(const X509_ALGOR *alg, int *nid)
{
	const ASN1_OBJECT *object;
	RSA_PSS_PARAMS *pss;
	const void *value;
	int digest = NID_undef, type;

	X509_ALGOR_get0(&object, &type, &value, alg);
	*nid = OBJ_obj2nid(object);
	if (*nid == NID_ED25519 || *nid == NID_ED448)
		return NID_sha512;
	if (*nid != NID_rsassaPss) {
		OBJ_find_sigid_algs(*nid, &digest, NULL);
		return digest;
	}
	pss = type == V_ASN1_SEQUENCE ? ASN1_item_unpack(value, ASN1_ITEM_rptr(RSA_PSS_PARAMS)) :
					NULL;
	if (pss)
		digest = pss->hashAlgorithm ? OBJ_obj2nid(pss->hashAlgorithm->algorithm) : NID_sha1;
	RSA_PSS_PARAMS_free(pss);
	return digest;
}

static int check_digest(const X509_ALGOR *alg, struct svr_pki_crl *crl, struct svr_pki_report *r)
{
	static const int strong[] = { NID_sha256,   NID_sha384,	  NID_sha512,	NID_sha512_256,
				      NID_sha3_256, NID_sha3_384, NID_sha3_512, NID_sha224 };
	int nid, digest = algorithm_digest(alg, &nid);
	size_t i;

	snprintf(crl->info.signature, sizeof(crl->info.signature), "%s", OBJ_nid2ln(nid));
	for (i = 0; i < sizeof(strong) / sizeof(strong[0]); i++)
		if (digest == strong[i])
			return 0;
	return svr_pki_refuse(
		r, SVR_PKI_CRL_WEAK_DIGEST,
		"revocation list: is signed with %s, which can be forged or is unknown",
		OBJ_nid2ln(nid));
}

/*
 * ASN1_item_verify() knows every algorithm and its parameters. It wants something to encode: an
 * ASN1_SEQUENCE is a string that holds the encoding already.
 */
static bool signature_ok(const struct crl_parts *c, const X509_ALGOR *alg, EVP_PKEY *key)
{
	const unsigned char *p = c->signature.whole;
	ASN1_BIT_STRING *sig = d2i_ASN1_BIT_STRING(NULL, &p, (long)c->signature.whole_len);
	ASN1_STRING *tbs = ASN1_STRING_type_new(V_ASN1_SEQUENCE);
	bool ok = false;

	if (sig && tbs && key) {
		ASN1_STRING_set0(tbs, (void *)c->tbs.whole, (int)c->tbs.whole_len);
		ok = ASN1_item_verify(ASN1_ITEM_rptr(ASN1_SEQUENCE), alg, sig, tbs, key) == 1;
		tbs->data = NULL; /* not ours to free, and ASN1_STRING_set0() would */
	}
	ASN1_STRING_free(tbs);
	ASN1_BIT_STRING_free(sig);
	ERR_clear_error();
	return ok;
}

/* ---- issuer ---------------------------------------------------------------------------------- */

/* A CA, unless its key usage forbids lists; or one that the CA has given this very right. */
static bool may_sign_lists(X509 *cert)
{
	uint32_t flags = X509_get_extension_flags(cert);

	if (flags & (EXFLAG_INVALID | EXFLAG_CRITICAL) ||
	    !(X509_get_key_usage(cert) & KU_CRL_SIGN)) /* all bits if there is no key usage */
		return false;
	return flags & EXFLAG_CA || flags & EXFLAG_KUSAGE;
}

struct issuer_search {
	const struct crl_parts *c;
	const struct svr_pki_anchors *anchors;
	STACK_OF(X509) * others;
	const X509_ALGOR *algorithm;
	int64_t now_sec;
	bool allow_expired;
	int tried;
	/* how far the best of them came: a verdict about it */
	struct svr_pki_report best;
	int rank;
};

static void issuer_failed(struct issuer_search *s, int rank, const struct svr_pki_report *r)
{
	if (rank <= s->rank)
		return;
	s->rank = rank;
	s->best = *r;
}

static bool issuer_tried(struct issuer_search *s, X509 *cert, const struct svr_pki_crl *crl)
{
	char subject[CRL_NAME_LEN];
	struct svr_pki_report r, why;
	struct pki_chain chain;
	bool expired;

	if (X509_NAME_cmp(X509_get_subject_name(cert), crl->id.issuer) != 0 ||
	    s->tried == CRL_ISSUERS_MAX)
		return false;
	s->tried++;
	svr_pki_dn_text(crl->id.issuer, subject, sizeof(subject));
	if (!may_sign_lists(cert)) {
		svr_pki_refuse(&r, SVR_PKI_CRL_ISSUER_USAGE,
			       "revocation list: key usage of %s does not allow to sign lists",
			       subject);
		issuer_failed(s, 1, &r);
		return false;
	}
	if (!signature_ok(s->c, s->algorithm, X509_get0_pubkey(cert))) {
		svr_pki_refuse(&r, SVR_PKI_CRL_SIGNATURE,
			       "revocation list: signature is not one of %s", subject);
		issuer_failed(s, 2, &r);
		return false;
	}
	if (svr_pki_chain_build(s->anchors, cert, s->others, s->now_sec, &chain, &why)) {
		svr_pki_refuse(&r, SVR_PKI_CRL_ISSUER_UNTRUSTED, "revocation list: issuer: %s",
			       why.text);
		issuer_failed(s, 3, &r);
		return false;
	}
	expired = chain.expired_depth >= 0 && !s->allow_expired;
	svr_pki_chain_clear(&chain);
	if (!expired)
		return true;
	svr_pki_refuse(&r, SVR_PKI_CRL_ISSUER_UNTRUSTED,
		       "revocation list: its issuer %s, or an issuer of that, has expired",
		       subject);
	issuer_failed(s, 3, &r);
	return false;
}

static int take_signer(X509 *cert, struct svr_pki_crl *crl)
{
	unsigned int len = 0;

	if (svr_pki_fingerprint(cert, crl->info.signer) ||
	    X509_pubkey_digest(cert, EVP_sha256(), crl->id.key, &len) != 1)
		return -ENOMEM;
	return 0;
}

static int find_signer(struct issuer_search *s, struct svr_pki_crl *crl, struct svr_pki_report *r)
{
	char subject[CRL_NAME_LEN];
	unsigned int i;
	int k;

	for (i = 0; s->anchors && i < svr_pki_anchors_count(s->anchors); i++)
		if (issuer_tried(s, svr_pki_anchors_cert(s->anchors, i), crl))
			return take_signer(svr_pki_anchors_cert(s->anchors, i), crl);
	for (k = 0; s->anchors && k < sk_X509_num(s->others); k++)
		if (issuer_tried(s, sk_X509_value(s->others, k), crl))
			return take_signer(sk_X509_value(s->others, k), crl);
	if (s->rank) {
		*r = s->best;
		return -EKEYREJECTED;
	}
	svr_pki_dn_text(crl->id.issuer, subject, sizeof(subject));
	return svr_pki_refuse(r, SVR_PKI_CRL_ISSUER,
			      "revocation list: its issuer %s is no trusted CA, and none is known "
			      "below one",
			      subject);
}

/* What does not parse is no issuer. */
static STACK_OF(X509) * read_issuers(const struct svr_pki_der *issuers, unsigned int count)
{
	STACK_OF(X509) *out = sk_X509_new_null();
	unsigned int i;

	for (i = 0; out && i < count; i++) {
		const unsigned char *p = issuers[i].data;
		X509 *cert = d2i_X509(NULL, &p, (long)issuers[i].len);

		if (cert && sk_X509_push(out, cert) <= 0)
			X509_free(cert);
	}
	ERR_clear_error();
	return out;
}

static int check_signature(const struct crl_parts *c, const struct svr_pki_anchors *anchors,
			   const struct svr_pki_der *issuers, unsigned int n_issuers,
			   int64_t now_sec, unsigned int flags, struct svr_pki_crl *crl,
			   struct svr_pki_report *r)
{
	struct issuer_search s = { .c = c,
				   .anchors = anchors,
				   .now_sec = now_sec,
				   .allow_expired = flags & SVR_PKI_CRL_ALLOW_EXPIRED };
	const unsigned char *p = c->issuer.whole;
	X509_ALGOR *alg = read_algorithm(c);
	int ret = -ENOMEM, ok = 0;

	crl->id.issuer = d2i_X509_NAME(NULL, &p, (long)c->issuer.whole_len);
	if (!alg || !crl->id.issuer) {
		ret = svr_pki_refuse(r, SVR_PKI_CRL_UNPARSABLE,
				     "revocation list: %s cannot be read",
				     alg ? "name of the issuer" : "signature algorithm");
		goto out;
	}
	svr_pki_dn_text(crl->id.issuer, crl->info.issuer, sizeof(crl->info.issuer));
	crl->id.issuer_hash = (uint32_t)X509_NAME_hash_ex(crl->id.issuer, NULL, NULL, &ok);
	s.others = read_issuers(issuers, n_issuers);
	s.algorithm = alg;
	if (!ok || !s.others ||
	    EVP_Q_digest(NULL, "SHA2-256", NULL, c->signature.content.p,
			 der_len(&c->signature.content), crl->id.signature, NULL) != 1)
		goto out;
	ret = check_digest(alg, crl, r);
	if (!ret)
		ret = find_signer(&s, crl, r);
out:
	sk_X509_pop_free(s.others, X509_free);
	X509_ALGOR_free(alg);
	ERR_clear_error();
	return ret;
}

/* ---- entries --------------------------------------------------------------------------------- */

struct entry_reader {
	struct der all, left;
	struct svr_pki_report *report;
};

static bool take_reason(const struct der *value, uint8_t *reason)
{
	struct der d = *value;
	struct der_item item;

	if (!der_take(&d, V_ASN1_ENUMERATED, &item) || !der_empty(&d) ||
	    der_len(&item.content) != 1 || item.content.p[0] > 10)
		return false;
	*reason = item.content.p[0];
	return true;
}

static int entry_extensions(struct der *list, struct pki_index_entry *e, struct svr_pki_report *r)
{
	struct der_item item;
	struct extension x;
	int ret;

	if (!der_take(list, V_ASN1_SEQUENCE, &item) || !der_empty(list))
		return svr_pki_refuse(r, SVR_PKI_CRL_UNPARSABLE,
				      "revocation list: an entry is malformed");
	while ((ret = extension_next(&item.content, &x)) == 1) {
		if (x.id == CE_CERTIFICATE_ISSUER)
			return svr_pki_refuse(r, SVR_PKI_CRL_INDIRECT,
					      "revocation list: an entry is of another issuer");
		if (x.id == CE_REASON && !take_reason(&x.value, &e->reason)) {
			ret = -EBADMSG;
			break;
		}
		if (x.critical && x.id != CE_REASON && x.id != CE_INVALIDITY_DATE &&
		    x.id != CE_HOLD_INSTRUCTION)
			return svr_pki_refuse(
				r, SVR_PKI_CRL_CRITICAL,
				"revocation list: an unknown extension of an entry is critical");
	}
	if (ret < 0)
		return svr_pki_refuse(r, SVR_PKI_CRL_EXTENSION,
				      "revocation list: an extension of an entry is malformed");
	return 0;
}

/* See svr_pki_index_build(). */
static int entry_next(void *user, struct pki_index_entry *e)
{
	struct entry_reader *reader = user;
	struct der_item item, serial, date;
	int64_t sec;
	int ret;

	if (der_empty(&reader->left)) {
		reader->left = reader->all;
		return 0;
	}
	if (!der_take(&reader->left, V_ASN1_SEQUENCE, &item) ||
	    !der_take(&item.content, V_ASN1_INTEGER, &serial) || !der_integer_ok(&serial.content) ||
	    !der_next(&item.content, &date))
		return svr_pki_refuse(reader->report, SVR_PKI_CRL_UNPARSABLE,
				      "revocation list: an entry is malformed");
	if (!read_time(&date, &sec))
		return svr_pki_refuse(reader->report, SVR_PKI_CRL_DATES,
				      "revocation list: date of an entry is malformed");
	e->serial = serial.content.p;
	e->len = der_len(&serial.content);
	e->revoked_sec = clamp_date(sec);
	e->reason = 0;
	if (e->len > PKI_SERIAL_DER_MAX)
		return svr_pki_refuse(reader->report, SVR_PKI_CRL_SERIAL,
				      "revocation list: a serial number has more than %d bytes",
				      SVR_PKI_SERIAL_MAX);
	if (der_empty(&item.content))
		return 1;
	ret = entry_extensions(&item.content, e, reader->report);
	return ret ? ret : 1;
}

static int take_entries(const struct crl_parts *c, struct svr_pki_crl *crl,
			struct svr_pki_report *r)
{
	struct entry_reader reader = { .all = c->entries, .left = c->entries, .report = r };
	int ret = svr_pki_index_build(entry_next, &reader, &crl->index);

	if (ret == -E2BIG)
		svr_pki_refuse(r, SVR_PKI_CRL_TOO_LARGE,
			       "revocation list: has more than %d entries",
			       SVR_PKI_CRL_ENTRIES_MAX);
	if (ret)
		return ret;
	crl->info.entries = svr_pki_index_count(crl->index);
	crl->info.memory = sizeof(*crl) + svr_pki_index_memory(crl->index);
	return 0;
}

/* ---- the whole ------------------------------------------------------------------------------- */

/* PEM is text, DER begins with a SEQUENCE of more than 127 bytes. */
static bool looks_like_der(const uint8_t *data, size_t len)
{
	return len > 2 && data[0] == (V_ASN1_SEQUENCE | V_ASN1_CONSTRUCTED) && data[1] > 0x80;
}

/* @from_pem: what has to be freed in the end, or NULL */
static int find_der(const uint8_t **data, size_t *len, uint8_t **from_pem, struct svr_pki_report *r)
{
	int ret;

	*from_pem = NULL;
	if (*len > SVR_PKI_CRL_BYTES_MAX) {
		svr_pki_refuse(r, SVR_PKI_CRL_TOO_LARGE,
			       "revocation list: has %zu bytes, allowed are %d", *len,
			       SVR_PKI_CRL_BYTES_MAX);
		return -E2BIG;
	}
	if (looks_like_der(*data, *len))
		return 0;
	ret = svr_pki_pem_one((const char *)*data, *len, PEM_STRING_X509_CRL, from_pem, len);
	*data = *from_pem;
	if (ret == -EEXIST)
		svr_pki_refuse(r, SVR_PKI_CRL_TRAILING_DATA,
			       "revocation list: something stands behind it");
	else if (ret == -EBADMSG)
		svr_pki_refuse(r, SVR_PKI_CRL_UNPARSABLE,
			       "revocation list: neither PEM (BEGIN X509 CRL) nor DER");
	return ret == -EEXIST ? -EBADMSG : ret;
}

/* The version is what people want to hear about if it is only that. */
static int refuse_unparsable(const struct crl_parts *c, bool trailing, struct svr_pki_report *r)
{
	struct der d = c->tbs.content;
	struct der_item item;

	if (trailing)
		svr_pki_refuse(r, SVR_PKI_CRL_TRAILING_DATA,
			       "revocation list: something stands behind it");
	else if (c->tbs.whole && der_take(&d, V_ASN1_INTEGER, &item) && !c->v2)
		svr_pki_refuse(r, SVR_PKI_CRL_VERSION,
			       "revocation list: neither of version 1 nor of version 2");
	else
		svr_pki_refuse(r, SVR_PKI_CRL_UNPARSABLE, "revocation list: is not one in DER");
	return -EBADMSG;
}

/*
 * Cheap before dear: the entries are looked at when the signature has shown that they are the
 * issuer's.
 */
static int ingest(const uint8_t *data, size_t len, const struct svr_pki_anchors *anchors,
		  const struct svr_pki_der *issuers, unsigned int n_issuers, int64_t now_sec,
		  unsigned int flags, struct svr_pki_crl *crl, struct svr_pki_report *r)
{
	struct crl_parts c;
	bool trailing;
	int ret;

	if (!split(data, len, &c, &trailing) || trailing)
		return refuse_unparsable(&c, trailing, r);
	crl->info.bytes = len;
	ret = take_extensions(&c, crl, r);
	if (!ret)
		ret = check_dates(&c, now_sec, crl, r);
	if (!ret && !(flags & SVR_PKI_CRL_ALLOW_EXPIRED))
		ret = check_expiry(crl, now_sec, r);
	if (!ret)
		ret = check_signature(&c, anchors, issuers, n_issuers, now_sec, flags, crl, r);
	if (!ret)
		ret = take_entries(&c, crl, r);
	if (!ret && check_expiry(crl, now_sec, r) == 0)
		svr_pki_accept(r);
	return ret;
}

int svr_pki_crl_ingest(const uint8_t *data, size_t len, const struct svr_pki_anchors *anchors,
		       const struct svr_pki_der *issuers, unsigned int n_issuers, int64_t now_sec,
		       unsigned int flags, struct svr_pki_crl **out, struct svr_pki_report *report)
{
	struct svr_pki_crl *crl = calloc(1, sizeof(*crl));
	uint8_t *from_pem = NULL;
	int ret = -ENOMEM;

	*out = NULL;
	svr_pki_refuse(report, SVR_PKI_INTERNAL, "out of memory");
	if (!crl)
		return -ENOMEM;
	crl->users = 1;
	ret = find_der(&data, &len, &from_pem, report);
	if (!ret)
		ret = ingest(data, len, anchors, issuers, n_issuers, now_sec, flags, crl, report);
	OPENSSL_free(from_pem);
	ERR_clear_error();
	if (ret)
		svr_pki_crl_free(crl);
	else
		*out = crl;
	return ret;
}

/* ---- life and look ---------------------------------------------------------------------------- */

struct svr_pki_crl *svr_pki_crl_use(struct svr_pki_crl *crl)
{
	__atomic_add_fetch(&crl->users, 1, __ATOMIC_RELAXED);
	return crl;
}

void svr_pki_crl_free(struct svr_pki_crl *crl)
{
	if (!crl || __atomic_sub_fetch(&crl->users, 1, __ATOMIC_ACQ_REL))
		return;
	X509_NAME_free(crl->id.issuer);
	svr_pki_index_free(crl->index);
	free(crl);
}

const struct svr_pki_crl_info *svr_pki_crl_info(const struct svr_pki_crl *crl)
{
	return &crl->info;
}

const struct pki_crl_id *svr_pki_crl_id(const struct svr_pki_crl *crl)
{
	return &crl->id;
}

const char *svr_pki_reason_name(uint8_t reason)
{
	static const char *const names[] = {
		"unspecified",	 "keyCompromise",	 "cACompromise",    "affiliationChanged",
		"superseded",	 "cessationOfOperation", "certificateHold", "?",
		"removeFromCRL", "privilegeWithdrawn",	 "aACompromise",
	};

	return reason < sizeof(names) / sizeof(names[0]) ? names[reason] : "?";
}

bool svr_pki_crl_find(const struct svr_pki_crl *crl, const uint8_t *serial, size_t len,
		      struct svr_pki_revocation *rev)
{
	struct pki_index_entry e;

	if (!svr_pki_index_find(crl->index, serial, len, &e))
		return false;
	if (rev)
		*rev = (struct svr_pki_revocation){ e.revoked_sec, e.reason };
	return true;
}

struct walker {
	int (*each)(void *user, const uint8_t *serial, size_t len,
		    const struct svr_pki_revocation *rev);
	void *user;
};

static int walk_one(void *user, const struct pki_index_entry *e)
{
	const struct svr_pki_revocation rev = { e->revoked_sec, e->reason };
	const struct walker *w = user;

	return w->each(w->user, e->serial, e->len, &rev);
}

int svr_pki_crl_walk(const struct svr_pki_crl *crl,
		     int (*each)(void *user, const uint8_t *serial, size_t len,
				 const struct svr_pki_revocation *rev),
		     void *user)
{
	struct walker w = { each, user };

	return svr_pki_index_walk(crl->index, walk_one, &w);
}

struct common_count {
	const struct pki_index *other;
	size_t common;
};

static int count_common(void *user, const struct pki_index_entry *e)
{
	struct common_count *c = user;

	c->common += svr_pki_index_find(c->other, e->serial, e->len, NULL);
	return 0;
}

void svr_pki_crl_diff(const struct svr_pki_crl *before, const struct svr_pki_crl *now,
		      size_t *added, size_t *removed)
{
	struct common_count c = { .other = before ? before->index : NULL };

	if (before)
		svr_pki_index_walk(now->index, count_common, &c);
	*added = svr_pki_index_count(now->index) - c.common;
	*removed = before ? svr_pki_index_count(before->index) - c.common : 0;
}
