// SPDX-License-Identifier: BSD-2-Clause
/* Trusted CAs of the authority, and chains that lead to them (docs/certificates.md). */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include "lib/pki_file.h"
#include "lib/pki_internal.h"

enum {
	ANCHORS_BUNDLE_CERTS_MAX = 256,
	ANCHORS_NAME_LEN = 64,
	/* OpenSSL security level of a chain: 112 bits, so no SHA-1 and no RSA below 2048 */
	ANCHORS_AUTH_LEVEL = 2,
	ANCHORS_SUBJECT_LEN = 120, /* room for a name in a report */
};

struct anchor {
	X509 *cert;
	uint8_t *der;
	int der_len;
	uint64_t bundles; /* one bit for each that it stands in */
};

struct svr_pki_anchors {
	unsigned int users; /* atomic */
	X509_STORE *store; /* all of them; chains end at those that are self-signed */
	/* those that lead to no root in their bundle, which are trusted themselves */
	X509_STORE *rootless;
	bool has_rootless;
	unsigned int n_bundles;
	char bundle_name[SVR_PKI_BUNDLES_MAX][ANCHORS_NAME_LEN];
	unsigned int count, room;
	struct anchor *anchors;
	uint8_t digest[32]; /* over bundles and certificates, in order */
};

/* ---- life ------------------------------------------------------------------------------------ */

int svr_pki_anchors_new(struct svr_pki_anchors **out)
{
	struct svr_pki_anchors *a = calloc(1, sizeof(*a));

	*out = NULL;
	if (!a)
		return -ENOMEM;
	a->users = 1;
	a->store = X509_STORE_new();
	a->rootless = X509_STORE_new();
	if (!a->store || !a->rootless) {
		svr_pki_anchors_free(a);
		return -ENOMEM;
	}
	*out = a;
	return 0;
}

struct svr_pki_anchors *svr_pki_anchors_use(struct svr_pki_anchors *a)
{
	__atomic_add_fetch(&a->users, 1, __ATOMIC_RELAXED);
	return a;
}

void svr_pki_anchors_free(struct svr_pki_anchors *a)
{
	unsigned int i;

	if (!a || __atomic_sub_fetch(&a->users, 1, __ATOMIC_ACQ_REL))
		return;
	for (i = 0; i < a->count; i++) {
		X509_free(a->anchors[i].cert);
		OPENSSL_free(a->anchors[i].der);
	}
	free(a->anchors);
	X509_STORE_free(a->store);
	X509_STORE_free(a->rootless);
	free(a);
}

unsigned int svr_pki_anchors_count(const struct svr_pki_anchors *a)
{
	return a->count;
}

X509 *svr_pki_anchors_cert(const struct svr_pki_anchors *a, unsigned int index)
{
	return a->anchors[index].cert;
}

const uint8_t *svr_pki_anchors_der(const struct svr_pki_anchors *a, unsigned int index, size_t *len,
				   const char **bundle)
{
	if (index >= a->count)
		return NULL;
	*len = (size_t)a->anchors[index].der_len;
	if (bundle)
		*bundle = a->bundle_name[__builtin_ctzll(a->anchors[index].bundles)];
	return a->anchors[index].der;
}

unsigned int svr_pki_anchors_digest(const struct svr_pki_anchors *a, uint8_t digest[static 32])
{
	memcpy(digest, a->digest, sizeof(a->digest));
	return a->count;
}

/* ---- a bundle -------------------------------------------------------------------------------- */

struct bundle {
	const char *name;
	bool strict;
	int64_t now_sec;
	void (*issue)(void *user, const struct svr_pki_report *report);
	void *user;
	STACK_OF(X509) * certs;
	unsigned int n_issues;
	bool rootless[ANCHORS_BUNDLE_CERTS_MAX]; /* of certs[], which are no more */
};

__attribute__((format(printf, 3, 4))) static void
bundle_issue(struct bundle *b, enum svr_pki_verdict v, const char *fmt, ...)
{
	struct svr_pki_report r;
	char text[SVR_PKI_REPORT_LEN];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	svr_pki_refuse(&r, v, "trusted-ca-certificate %.63s: %.230s", b->name, text);
	b->n_issues++;
	if (b->issue)
		b->issue(b->user, &r);
}

static X509 *bundle_issuer(const struct bundle *b, X509 *cert)
{
	int i;

	for (i = 0; i < sk_X509_num(b->certs); i++) {
		X509 *issuer = sk_X509_value(b->certs, i);

		if (X509_check_issued(issuer, cert) == X509_V_OK &&
		    X509_verify(cert, X509_get0_pubkey(issuer)) == 1)
			return issuer;
	}
	ERR_clear_error();
	return NULL;
}

/* Does it lead to a root in the same bundle? A circle of issuers ends with the steps. */
static bool bundle_complete(const struct bundle *b, X509 *cert)
{
	int steps = SVR_PKI_CHAIN_MAX;

	while (cert && steps-- > 0) {
		if (svr_pki_is_self_signed(cert))
			return true;
		cert = bundle_issuer(b, cert);
	}
	return false;
}

static bool bundle_has_before(const struct bundle *b, int index)
{
	int i;

	for (i = 0; i < index; i++)
		if (X509_cmp(sk_X509_value(b->certs, i), sk_X509_value(b->certs, index)) == 0)
			return true;
	return false;
}

/* What a CA's certificate must be to vouch for anybody; else it is left out, whatever the mode. */
static bool bundle_usable(struct bundle *b, X509 *cert, const char *subject)
{
	uint32_t flags = X509_get_extension_flags(cert);

	if (flags & EXFLAG_INVALID)
		bundle_issue(b, SVR_PKI_ISSUER_EXTENSION, "%s: an extension is malformed", subject);
	else if (flags & EXFLAG_CRITICAL)
		bundle_issue(b, SVR_PKI_ISSUER_CRITICAL, "%s: an unknown extension is critical",
			     subject);
	else if (X509_check_ca(cert) != 1)
		bundle_issue(b, SVR_PKI_BUNDLE_NOT_CA,
			     "%s is not a CA's (CA:TRUE and, if there is a key usage, keyCertSign)",
			     subject);
	else if (!X509_get0_pubkey(cert) ||
		 EVP_PKEY_get_security_bits(X509_get0_pubkey(cert)) < PKI_SECURITY_BITS)
		bundle_issue(b, SVR_PKI_ISSUER_KEY, "%s: key is too weak", subject);
	else if (!svr_pki_is_self_signed(cert) && !svr_pki_digest_ok(cert))
		bundle_issue(b, SVR_PKI_ISSUER_DIGEST,
			     "%s is signed with a digest that can be forged", subject);
	else
		return true;
	return false;
}

static void bundle_dates(struct bundle *b, X509 *cert, const char *subject)
{
	int64_t begin, end;
	char date[40];

	if (svr_pki_time(X509_get0_notBefore(cert), &begin) ||
	    svr_pki_time(X509_get0_notAfter(cert), &end)) {
		bundle_issue(b, SVR_PKI_DATES, "%s: validity dates cannot be read", subject);
	} else if (b->now_sec < begin) {
		svr_pki_date_text(begin, date, sizeof(date));
		bundle_issue(b, SVR_PKI_ISSUER_NOT_YET_VALID, "%s is not valid before %s", subject,
			     date);
	} else if (b->now_sec > end) {
		svr_pki_date_text(end, date, sizeof(date));
		bundle_issue(b, SVR_PKI_ISSUER_EXPIRED, "%s has expired on %s", subject, date);
	}
}

/* Looks at every certificate, and takes those out of b->certs that can be of no use. */
static void bundle_check(struct bundle *b)
{
	char subject[ANCHORS_SUBJECT_LEN];
	int i;

	for (i = 0; i < sk_X509_num(b->certs); i++) {
		X509 *cert = sk_X509_value(b->certs, i);
		bool keep = false;

		svr_pki_dn_text(X509_get_subject_name(cert), subject, sizeof(subject));
		if (bundle_has_before(b, i))
			bundle_issue(b, SVR_PKI_DUPLICATE, "%s is there twice", subject);
		else
			keep = bundle_usable(b, cert, subject);
		if (!keep) {
			X509_free(sk_X509_delete(b->certs, i--));
			continue;
		}
		bundle_dates(b, cert, subject);
	}
	for (i = 0; i < sk_X509_num(b->certs); i++) {
		X509 *cert = sk_X509_value(b->certs, i);

		if (bundle_complete(b, cert))
			continue;
		svr_pki_dn_text(X509_get_subject_name(cert), subject, sizeof(subject));
		bundle_issue(b, SVR_PKI_BUNDLE_INCOMPLETE,
			     "%s does not lead to a self-signed root in the bundle", subject);
		b->rootless[i] = true;
	}
}

/* ---- taking a bundle ------------------------------------------------------------------------- */

static struct anchor *anchor_find(const struct svr_pki_anchors *a, X509 *cert)
{
	unsigned int i;

	for (i = 0; i < a->count; i++)
		if (X509_cmp(a->anchors[i].cert, cert) == 0)
			return &a->anchors[i];
	return NULL;
}

static int anchor_digest(struct svr_pki_anchors *a, X509 *cert, unsigned int bundle)
{
	uint8_t in[sizeof(a->digest) + SVR_PKI_FINGERPRINT_LEN + 1];

	memcpy(in, a->digest, sizeof(a->digest));
	in[sizeof(in) - 1] = (uint8_t)bundle;
	if (svr_pki_fingerprint(cert, in + sizeof(a->digest)) ||
	    EVP_Q_digest(NULL, "SHA2-256", NULL, in, sizeof(in), a->digest, NULL) != 1)
		return -EIO;
	return 0;
}

static int anchor_add(struct svr_pki_anchors *a, X509 *cert, unsigned int bundle)
{
	struct anchor *found = anchor_find(a, cert), *more;

	if (anchor_digest(a, cert, bundle))
		return -EIO;
	if (found) { /* in another bundle, too */
		found->bundles |= UINT64_C(1) << bundle;
		return 0;
	}
	if (a->count == a->room) {
		more = realloc(a->anchors, (a->room + 16) * sizeof(*more));
		if (!more)
			return -ENOMEM;
		a->anchors = more;
		a->room += 16;
	}
	found = &a->anchors[a->count];
	memset(found, 0, sizeof(*found));
	found->der_len = i2d_X509(cert, &found->der);
	if (found->der_len <= 0)
		return -EIO;
	if (X509_STORE_add_cert(a->store, cert) != 1) {
		OPENSSL_free(found->der);
		return -ENOMEM;
	}
	X509_up_ref(cert);
	found->cert = cert;
	found->bundles = UINT64_C(1) << bundle;
	a->count++;
	return 0;
}

static int bundle_take(struct svr_pki_anchors *a, const struct bundle *b)
{
	int i, ret = 0;

	for (i = 0; i < sk_X509_num(b->certs) && !ret; i++) {
		ret = anchor_add(a, sk_X509_value(b->certs, i), a->n_bundles);
		if (ret || !b->rootless[i])
			continue;
		a->has_rootless = true;
		if (X509_STORE_add_cert(a->rootless, sk_X509_value(b->certs, i)) != 1)
			ret = -ENOMEM;
	}
	if (ret)
		return ret;
	snprintf(a->bundle_name[a->n_bundles], ANCHORS_NAME_LEN, "%s", b->name);
	a->n_bundles++;
	return i;
}

static int bundle_read(struct bundle *b, const char *text, size_t len)
{
	struct svr_pki_report r = { 0 };
	int ret;

	if (len > SVR_PKI_BUNDLE_BYTES_MAX) {
		bundle_issue(b, SVR_PKI_TOO_LARGE, "%zu bytes, allowed are %d", len,
			     SVR_PKI_BUNDLE_BYTES_MAX);
		return -E2BIG;
	}
	ret = svr_pki_pem_certs(text, len, ANCHORS_BUNDLE_CERTS_MAX, b->certs, &r);
	if (ret)
		bundle_issue(b, r.verdict, "%s", r.text);
	return ret;
}

int svr_pki_anchors_add(struct svr_pki_anchors *a, const char *name, const char *text, size_t len,
			bool strict, int64_t now_sec,
			void (*issue)(void *user, const struct svr_pki_report *report), void *user)
{
	struct bundle b = {
		.name = name, .strict = strict, .now_sec = now_sec, .issue = issue, .user = user
	};
	int ret = -ENOMEM;

	if (a->n_bundles == SVR_PKI_BUNDLES_MAX) {
		bundle_issue(&b, SVR_PKI_TOO_MANY, "more than %d bundles", SVR_PKI_BUNDLES_MAX);
		return -E2BIG;
	}
	b.certs = sk_X509_new_null();
	if (!b.certs)
		goto out;
	ret = bundle_read(&b, text, len);
	if (ret)
		goto out;
	bundle_check(&b);
	if (sk_X509_num(b.certs) == 0 || (strict && b.n_issues))
		ret = -EKEYREJECTED;
	else
		ret = bundle_take(a, &b);
out:
	if (ret == -ENOMEM || ret == -EIO)
		bundle_issue(&b, SVR_PKI_INTERNAL, "%s", strerror(-ret));
	sk_X509_pop_free(b.certs, X509_free);
	ERR_clear_error();
	return ret;
}

int svr_pki_anchors_add_file(struct svr_pki_anchors *a, const char *name, const char *path,
			     bool strict, int64_t now_sec,
			     void (*issue)(void *user, const struct svr_pki_report *report),
			     void *user)
{
	struct bundle b = { .name = name, .issue = issue, .user = user };
	char *text = NULL, err[SVR_PKI_REPORT_LEN];
	size_t len = 0;
	int ret;

	ret = svr_pki_file_read(path, SVR_PKI_BUNDLE_BYTES_MAX, false, &text, &len, err,
				sizeof(err));
	if (ret) {
		bundle_issue(&b, ret == -EFBIG ? SVR_PKI_TOO_LARGE : SVR_PKI_UNPARSABLE, "%s", err);
		return ret == -EFBIG ? -E2BIG : -EBADMSG;
	}
	ret = svr_pki_anchors_add(a, name, text, len, strict, now_sec, issue, user);
	free(text);
	return ret;
}

/* ---- chains ---------------------------------------------------------------------------------- */

/*
 * Expiry is noted and does not end the check: what else is wrong must not hide behind it, because
 * fail-soft may overlook expiry, and nothing else.
 */
static int chain_callback(int ok, X509_STORE_CTX *ctx)
{
	struct pki_chain *chain = X509_STORE_CTX_get_app_data(ctx);
	int depth = X509_STORE_CTX_get_error_depth(ctx);

	if (ok || X509_STORE_CTX_get_error(ctx) != X509_V_ERR_CERT_HAS_EXPIRED)
		return ok;
	if (chain->expired_depth < 0 || depth < chain->expired_depth)
		chain->expired_depth = depth;
	return 1;
}

/* What libcrypto calls it; @own: of the certificate itself, @issuer: of one of its issuers. */
static const struct {
	int error;
	enum svr_pki_verdict own, issuer;
} chain_verdicts[] = {
	{ X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, SVR_PKI_NO_CHAIN, SVR_PKI_NO_CHAIN },
	{ X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, SVR_PKI_NO_CHAIN, SVR_PKI_NO_CHAIN },
	{ X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, SVR_PKI_NO_CHAIN, SVR_PKI_NO_CHAIN },
	{ X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, SVR_PKI_NO_CHAIN, SVR_PKI_NO_CHAIN },
	{ X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, SVR_PKI_NO_CHAIN, SVR_PKI_NO_CHAIN },
	{ X509_V_ERR_CERT_UNTRUSTED, SVR_PKI_NO_CHAIN, SVR_PKI_NO_CHAIN },
	{ X509_V_ERR_CERT_SIGNATURE_FAILURE, SVR_PKI_SIGNATURE, SVR_PKI_SIGNATURE },
	{ X509_V_ERR_UNABLE_TO_DECRYPT_CERT_SIGNATURE, SVR_PKI_SIGNATURE, SVR_PKI_SIGNATURE },
	{ X509_V_ERR_SIGNATURE_ALGORITHM_MISMATCH, SVR_PKI_SIGNATURE, SVR_PKI_SIGNATURE },
	{ X509_V_ERR_INVALID_CA, SVR_PKI_ISSUER_NOT_CA, SVR_PKI_ISSUER_NOT_CA },
	{ X509_V_ERR_INVALID_NON_CA, SVR_PKI_ISSUER_NOT_CA, SVR_PKI_ISSUER_NOT_CA },
	{ X509_V_ERR_KEYUSAGE_NO_CERTSIGN, SVR_PKI_ISSUER_NOT_CA, SVR_PKI_ISSUER_NOT_CA },
	{ X509_V_ERR_PATH_LENGTH_EXCEEDED, SVR_PKI_PATH_LENGTH, SVR_PKI_PATH_LENGTH },
	{ X509_V_ERR_CERT_CHAIN_TOO_LONG, SVR_PKI_PATH_LENGTH, SVR_PKI_PATH_LENGTH },
	{ X509_V_ERR_PERMITTED_VIOLATION, SVR_PKI_NAME_CONSTRAINTS, SVR_PKI_NAME_CONSTRAINTS },
	{ X509_V_ERR_EXCLUDED_VIOLATION, SVR_PKI_NAME_CONSTRAINTS, SVR_PKI_NAME_CONSTRAINTS },
	{ X509_V_ERR_SUBTREE_MINMAX, SVR_PKI_NAME_CONSTRAINTS, SVR_PKI_NAME_CONSTRAINTS },
	{ X509_V_ERR_UNSUPPORTED_CONSTRAINT_TYPE, SVR_PKI_NAME_CONSTRAINTS,
	  SVR_PKI_NAME_CONSTRAINTS },
	{ X509_V_ERR_UNSUPPORTED_CONSTRAINT_SYNTAX, SVR_PKI_NAME_CONSTRAINTS,
	  SVR_PKI_NAME_CONSTRAINTS },
	{ X509_V_ERR_UNSUPPORTED_NAME_SYNTAX, SVR_PKI_NAME_CONSTRAINTS, SVR_PKI_NAME_CONSTRAINTS },
	{ X509_V_ERR_EE_KEY_TOO_SMALL, SVR_PKI_KEY, SVR_PKI_ISSUER_KEY },
	{ X509_V_ERR_CA_KEY_TOO_SMALL, SVR_PKI_ISSUER_KEY, SVR_PKI_ISSUER_KEY },
	{ X509_V_ERR_CA_MD_TOO_WEAK, SVR_PKI_WEAK_DIGEST, SVR_PKI_ISSUER_DIGEST },
	{ X509_V_ERR_UNHANDLED_CRITICAL_EXTENSION, SVR_PKI_CRITICAL, SVR_PKI_ISSUER_CRITICAL },
	{ X509_V_ERR_INVALID_EXTENSION, SVR_PKI_EXTENSION, SVR_PKI_ISSUER_EXTENSION },
	{ X509_V_ERR_CERT_NOT_YET_VALID, SVR_PKI_NOT_YET_VALID, SVR_PKI_ISSUER_NOT_YET_VALID },
	{ X509_V_ERR_ERROR_IN_CERT_NOT_BEFORE_FIELD, SVR_PKI_DATES, SVR_PKI_DATES },
	{ X509_V_ERR_ERROR_IN_CERT_NOT_AFTER_FIELD, SVR_PKI_DATES, SVR_PKI_DATES },
	{ X509_V_ERR_OUT_OF_MEM, SVR_PKI_INTERNAL, SVR_PKI_INTERNAL },
};

static enum svr_pki_verdict chain_verdict(int error, int depth)
{
	size_t i;

	for (i = 0; i < sizeof(chain_verdicts) / sizeof(chain_verdicts[0]); i++)
		if (chain_verdicts[i].error == error)
			return depth ? chain_verdicts[i].issuer : chain_verdicts[i].own;
	return SVR_PKI_CHAIN;
}

/*
 * libcrypto passes over issuers that it cannot understand, and then finds none: say so instead.
 */
static X509 *chain_malformed_issuer(X509_STORE_CTX *ctx, STACK_OF(X509) * others)
{
	X509 *cert = X509_STORE_CTX_get_current_cert(ctx);
	int i;

	for (i = 0; cert && i < sk_X509_num(others); i++) {
		X509 *issuer = sk_X509_value(others, i);

		if (X509_get_extension_flags(issuer) & EXFLAG_INVALID &&
		    X509_NAME_cmp(X509_get_subject_name(issuer), X509_get_issuer_name(cert)) == 0)
			return issuer;
	}
	return NULL;
}

static int chain_refuse(X509_STORE_CTX *ctx, STACK_OF(X509) * others, struct svr_pki_report *r)
{
	int error = X509_STORE_CTX_get_error(ctx), depth = X509_STORE_CTX_get_error_depth(ctx);
	X509 *cert = X509_STORE_CTX_get_current_cert(ctx);
	enum svr_pki_verdict v = chain_verdict(error, depth);
	char subject[ANCHORS_SUBJECT_LEN] = "?";
	X509 *malformed;

	malformed = v == SVR_PKI_NO_CHAIN ? chain_malformed_issuer(ctx, others) : NULL;
	if (malformed)
		cert = malformed;
	if (cert)
		svr_pki_dn_text(X509_get_subject_name(cert), subject, sizeof(subject));
	if (malformed)
		return svr_pki_refuse(r, SVR_PKI_ISSUER_EXTENSION,
				      "certificate: an extension of its issuer %s is malformed",
				      subject);
	return svr_pki_refuse(r, v, "certificate: %s: %s (certificate %d of the chain, %s)",
			      v == SVR_PKI_NO_CHAIN ? "no trusted CA" : svr_pki_verdict_sentence(v),
			      X509_verify_cert_error_string(error), depth + 1, subject);
}

/*
 * libcrypto also takes issuers without basicConstraints, which nobody has needed since version 1 of
 * X.509.
 */
static int chain_check_issuers(const struct pki_chain *chain, struct svr_pki_report *r)
{
	char subject[ANCHORS_SUBJECT_LEN];
	int i;

	for (i = 1; i < sk_X509_num(chain->certs); i++) {
		X509 *cert = sk_X509_value(chain->certs, i);

		if (X509_check_ca(cert) == 1)
			continue;
		svr_pki_dn_text(X509_get_subject_name(cert), subject, sizeof(subject));
		return svr_pki_refuse(
			r, SVR_PKI_ISSUER_NOT_CA,
			"certificate: %s may not issue any (certificate %d of the chain)", subject,
			i + 1);
	}
	return 0;
}

/* 0, -ENOENT (no chain leads to @store) and -EKEYREJECTED with a report, -ENOMEM. */
static int chain_verify(X509_STORE *store, unsigned long flags, X509 *cert, STACK_OF(X509) * others,
			int64_t now_sec, struct pki_chain *chain, struct svr_pki_report *r)
{
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	X509_VERIFY_PARAM *param;
	int ret = -ENOMEM, error;

	chain->expired_depth = -1;
	if (!ctx || X509_STORE_CTX_init(ctx, store, cert, others) != 1)
		goto out;
	param = X509_STORE_CTX_get0_param(ctx);
	X509_VERIFY_PARAM_set_time(param, (time_t)now_sec);
	X509_VERIFY_PARAM_set_auth_level(param, ANCHORS_AUTH_LEVEL);
	X509_VERIFY_PARAM_set_depth(param, SVR_PKI_CHAIN_MAX);
	X509_VERIFY_PARAM_set_flags(param, flags);
	X509_STORE_CTX_set_app_data(ctx, chain);
	X509_STORE_CTX_set_verify_cb(ctx, chain_callback);
	if (X509_verify_cert(ctx) != 1) {
		error = X509_STORE_CTX_get_error(ctx);
		ret = chain_refuse(ctx, others, r);
		if (chain_verdict(error, 0) == SVR_PKI_NO_CHAIN)
			ret = -ENOENT;
		goto out;
	}
	chain->certs = X509_STORE_CTX_get1_chain(ctx);
	if (chain->certs)
		ret = 0;
out:
	X509_STORE_CTX_free(ctx);
	return ret;
}

int svr_pki_chain_build(const struct svr_pki_anchors *a, X509 *cert, STACK_OF(X509) * others,
			int64_t now_sec, struct pki_chain *chain, struct svr_pki_report *r)
{
	const struct anchor *anchor;
	int ret;

	memset(chain, 0, sizeof(*chain));
	svr_pki_refuse(r, SVR_PKI_INTERNAL, "out of memory");
	/*
	 * To a root first. With X509_V_FLAG_PARTIAL_CHAIN libcrypto ends a chain at the first
	 * certificate of the store, and does not look at what stands above it: the flag is only for
	 * those that nothing stands above.
	 */
	ret = chain_verify(a->store, 0, cert, others, now_sec, chain, r);
	if (ret == -ENOENT && a->has_rootless)
		ret = chain_verify(a->rootless, X509_V_FLAG_PARTIAL_CHAIN, cert, others, now_sec,
				   chain, r);
	if (ret == -ENOENT)
		ret = -EKEYREJECTED;
	if (ret)
		goto out;
	anchor = anchor_find(a, sk_X509_value(chain->certs, sk_X509_num(chain->certs) - 1));
	if (anchor)
		chain->bundles = anchor->bundles;
	ret = chain_check_issuers(chain, r);
	if (!ret)
		svr_pki_accept(r);
out:
	if (ret)
		svr_pki_chain_clear(chain);
	ERR_clear_error();
	return ret;
}

void svr_pki_chain_clear(struct pki_chain *chain)
{
	sk_X509_pop_free(chain->certs, X509_free);
	chain->certs = NULL;
}
