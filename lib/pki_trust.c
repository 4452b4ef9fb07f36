// SPDX-License-Identifier: BSD-2-Clause
/* What is asked of a peer's certificate, and the verdict in words (docs/protocol.md section 9). */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <openssl/x509_vfy.h>

#include "lib/pki_internal.h"

enum {
	/* OpenSSL security level of a chain: 112 bits, so no SHA-1 and no RSA below 2048 */
	TRUST_AUTH_LEVEL = 2,
	TRUST_NAME_LEN = 128, /* room for a name that is printed */
};

struct svr_pki_trust {
	unsigned int users; /* atomic */
	bool has_fingerprint;
	bool allow_self_signed;
	uint8_t fingerprint[SVR_PKI_FINGERPRINT_LEN];
	X509_STORE *store;
	unsigned int cas;
	uint8_t cas_digest[32]; /* over all CA certificates, in order */
};

struct svr_pki_peer {
	EVP_PKEY *key;
	uint8_t fingerprint[SVR_PKI_FINGERPRINT_LEN];
};

int svr_pki_trust_new(struct svr_pki_trust **out)
{
	struct svr_pki_trust *t = calloc(1, sizeof(*t));

	*out = NULL;
	if (!t)
		return -ENOMEM;
	t->users = 1;
	t->allow_self_signed = true;
	t->store = X509_STORE_new();
	if (!t->store) {
		free(t);
		return -ENOMEM;
	}
	*out = t;
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
	X509_STORE_free(t->store);
	free(t);
}

void svr_pki_trust_fingerprint(struct svr_pki_trust *t,
			       const uint8_t fingerprint[static SVR_PKI_FINGERPRINT_LEN])
{
	t->has_fingerprint = true;
	memcpy(t->fingerprint, fingerprint, sizeof(t->fingerprint));
}

void svr_pki_trust_allow_self_signed(struct svr_pki_trust *t, bool allow)
{
	t->allow_self_signed = allow;
}

static int trust_add_ca(struct svr_pki_trust *t, X509 *cert)
{
	uint8_t chain[sizeof(t->cas_digest) + SVR_PKI_FINGERPRINT_LEN];

	memcpy(chain, t->cas_digest, sizeof(t->cas_digest));
	if (svr_pki_fingerprint(cert, chain + sizeof(t->cas_digest)) ||
	    X509_STORE_add_cert(t->store, cert) != 1 ||
	    EVP_Q_digest(NULL, "SHA2-256", NULL, chain, sizeof(chain), t->cas_digest, NULL) != 1)
		return -EIO;
	t->cas++;
	return 0;
}

int svr_pki_trust_ca_file(struct svr_pki_trust *t, const char *path, char *err, size_t err_len)
{
	BIO *bio = BIO_new_file(path, "r");
	X509 *cert;
	int count = 0;

	if (!bio) {
		snprintf(err, err_len, "%s: %s", path, svr_pki_libcrypto_error());
		return -ENOENT;
	}
	while ((cert = PEM_read_bio_X509(bio, NULL, NULL, NULL))) {
		if (trust_add_ca(t, cert)) {
			snprintf(err, err_len, "%s: certificate %d: %s", path, count + 1,
				 svr_pki_libcrypto_error());
			count = -EINVAL;
			X509_free(cert);
			goto out;
		}
		count++;
		X509_free(cert);
	}
	if (count == 0) {
		snprintf(err, err_len, "%s: no certificate in PEM", path);
		count = -EINVAL;
	}
out:
	ERR_clear_error(); /* the end of a PEM file is an error to libcrypto */
	BIO_free(bio);
	return count;
}

int svr_pki_trust_digest(const struct svr_pki_trust *t, uint8_t digest[static 32])
{
	uint8_t in[2 + SVR_PKI_FINGERPRINT_LEN + 32];

	in[0] = t->has_fingerprint;
	in[1] = t->allow_self_signed;
	memcpy(in + 2, t->fingerprint, SVR_PKI_FINGERPRINT_LEN);
	memcpy(in + 2 + SVR_PKI_FINGERPRINT_LEN, t->cas_digest, sizeof(t->cas_digest));
	return EVP_Q_digest(NULL, "SHA2-256", NULL, in, sizeof(in), digest, NULL) == 1 ? 0 : -EIO;
}

/* ---- one certificate ------------------------------------------------------------------------- */

static int refuse(char *reason, size_t reason_len, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
static int refuse(char *reason, size_t reason_len, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(reason, reason_len, fmt, ap);
	va_end(ap);
	return -EKEYREJECTED;
}

/* A name from a stranger: only what cannot harm a terminal or a log. */
static void printable(char *out, size_t room, const unsigned char *in, size_t len)
{
	size_t i;

	for (i = 0; i < len && i + 1 < room; i++)
		out[i] = in[i] > ' ' && in[i] < 0x7f ? (char)in[i] : '?';
	out[i] = '\0';
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
	len = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
	if (len < 0)
		return false;
	printable(found, found_len, utf8, (size_t)len);
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

static int check_dates(X509 *cert, int64_t now_sec, char *reason, size_t reason_len)
{
	time_t now = (time_t)now_sec;
	int begin = X509_cmp_time(X509_get0_notBefore(cert), &now),
	    end = X509_cmp_time(X509_get0_notAfter(cert), &now);
	char date[32] = "?";
	BIO *bio;

	if (begin == 0 || end == 0)
		return refuse(reason, reason_len, "certificate: validity dates cannot be read");
	if (begin < 0 && end > 0)
		return 0;
	bio = BIO_new(BIO_s_mem());
	if (bio && ASN1_TIME_print(bio, begin > 0 ? X509_get0_notBefore(cert) :
						    X509_get0_notAfter(cert)) == 1)
		BIO_gets(bio, date, sizeof(date));
	BIO_free(bio);
	return begin > 0 ? refuse(reason, reason_len, "certificate: not valid before %s", date) :
			   refuse(reason, reason_len, "certificate: expired on %s", date);
}

static bool is_self_signed(X509 *cert)
{
	return X509_NAME_cmp(X509_get_subject_name(cert), X509_get_issuer_name(cert)) == 0 &&
	       X509_verify(cert, X509_get0_pubkey(cert)) == 1;
}

static int check_leaf(const struct svr_pki_trust *t, X509 *cert, const char *common_name,
		      int64_t now_sec, char *reason, size_t reason_len)
{
	uint32_t flags = X509_get_extension_flags(cert);
	char found[TRUST_NAME_LEN];

	if (!common_name_is(cert, common_name, found, sizeof(found)) && !san_is(cert, common_name))
		return refuse(reason, reason_len, "certificate: common name is %s, expected %s",
			      found, common_name);
	if (flags & EXFLAG_INVALID)
		return refuse(reason, reason_len, "certificate: an extension is malformed");
	if (svr_pki_key_kind(X509_get0_pubkey(cert)) == PKI_KEY_NONE)
		return refuse(
			reason, reason_len,
			"certificate: key is none of RSA 2048 to 4096, P-256, P-384, P-521, Ed25519");
	if (flags & EXFLAG_CA)
		return refuse(reason, reason_len,
			      "certificate: is one of a CA (CA:TRUE), not of a router");
	if (!(X509_get_key_usage(cert) & KU_DIGITAL_SIGNATURE))
		return refuse(reason, reason_len,
			      "certificate: key usage does not allow digital signatures");
	if (!t->allow_self_signed && is_self_signed(cert))
		return refuse(
			reason, reason_len,
			"certificate: is self-signed, and allow-self-signed-peering-certificates is false");
	return check_dates(cert, now_sec, reason, reason_len);
}

/* ---- chain ----------------------------------------------------------------------------------- */

static void print_fingerprint(char out[static 2 * SVR_PKI_FINGERPRINT_LEN + 1],
			      const uint8_t *fingerprint)
{
	int i;

	for (i = 0; i < SVR_PKI_FINGERPRINT_LEN; i++)
		snprintf(out + 2 * i, 3, "%02x", fingerprint[i]);
}

static int check_fingerprint(const struct svr_pki_trust *t, const uint8_t *fingerprint,
			     char *reason, size_t reason_len)
{
	char found[2 * SVR_PKI_FINGERPRINT_LEN + 1], expected[2 * SVR_PKI_FINGERPRINT_LEN + 1];

	if (CRYPTO_memcmp(fingerprint, t->fingerprint, SVR_PKI_FINGERPRINT_LEN) == 0)
		return 0;
	print_fingerprint(found, fingerprint);
	print_fingerprint(expected, t->fingerprint);
	return refuse(reason, reason_len,
		      "certificate: fingerprint does not match: is %s, expected %s", found,
		      expected);
}

static int check_issuers(const struct svr_pki_trust *t, X509 *leaf, STACK_OF(X509) * others,
			 int64_t now_sec, char *reason, size_t reason_len)
{
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	X509_VERIFY_PARAM *param;
	int ret = -ENOMEM;

	if (!ctx || X509_STORE_CTX_init(ctx, t->store, leaf, others) != 1)
		goto out;
	param = X509_STORE_CTX_get0_param(ctx);
	X509_VERIFY_PARAM_set_time(param, (time_t)now_sec);
	X509_VERIFY_PARAM_set_auth_level(param, TRUST_AUTH_LEVEL);
	X509_VERIFY_PARAM_set_depth(param, SVR_PKI_CHAIN_MAX);
	ret = 0;
	if (X509_verify_cert(ctx) != 1)
		ret = refuse(reason, reason_len,
			     "certificate: no trusted CA: %s (certificate %d of the chain)",
			     X509_verify_cert_error_string(X509_STORE_CTX_get_error(ctx)),
			     X509_STORE_CTX_get_error_depth(ctx) + 1);
out:
	X509_STORE_CTX_free(ctx);
	return ret;
}

static int parse_chain(const struct svr_pki_der *chain, unsigned int count, STACK_OF(X509) * out,
		       char *reason, size_t reason_len)
{
	unsigned int i;

	if (count == 0 || count > SVR_PKI_CHAIN_MAX) {
		snprintf(reason, reason_len, "certificate: %u in the chain, allowed are 1 to %d",
			 count, SVR_PKI_CHAIN_MAX);
		return -EBADMSG;
	}
	for (i = 0; i < count; i++) {
		const unsigned char *p = chain[i].data;
		X509 *cert = chain[i].len <= INT32_MAX ? d2i_X509(NULL, &p, (long)chain[i].len) :
							 NULL;

		if (!cert || p != chain[i].data + chain[i].len) {
			X509_free(cert);
			snprintf(reason, reason_len,
				 "certificate: number %u of the chain is not X.509 in DER", i + 1);
			return -EBADMSG;
		}
		if (sk_X509_push(out, cert) <= 0) {
			X509_free(cert);
			return -ENOMEM;
		}
	}
	return 0;
}

int svr_pki_verify(const struct svr_pki_trust *t, const struct svr_pki_der *chain,
		   unsigned int count, const char *common_name, const uint8_t *own, int64_t now_sec,
		   struct svr_pki_peer **out, char *reason, size_t reason_len)
{
	STACK_OF(X509) *certs = sk_X509_new_null();
	uint8_t fingerprint[SVR_PKI_FINGERPRINT_LEN];
	struct svr_pki_peer *peer = NULL;
	X509 *leaf;
	int ret = -ENOMEM;

	*out = NULL;
	snprintf(reason, reason_len, "out of memory");
	if (!certs)
		goto out;
	ret = parse_chain(chain, count, certs, reason, reason_len);
	if (ret)
		goto out;
	leaf = sk_X509_value(certs, 0);
	ret = svr_pki_fingerprint(leaf, fingerprint);
	if (ret)
		goto out;
	if (own && CRYPTO_memcmp(own, fingerprint, sizeof(fingerprint)) == 0) {
		ret = refuse(
			reason, reason_len,
			"certificate: is our own; either our packets come back, or both routers "
			"were given the same certificate");
		goto out;
	}
	ret = check_leaf(t, leaf, common_name, now_sec, reason, reason_len);
	if (ret)
		goto out;
	if (t->has_fingerprint)
		ret = check_fingerprint(t, fingerprint, reason, reason_len);
	else if (t->cas > 0)
		ret = check_issuers(t, leaf, certs, now_sec, reason, reason_len);
	else
		ret = refuse(
			reason, reason_len,
			"certificate: neither a fingerprint nor a trusted CA is configured for %s",
			common_name);
	if (ret)
		goto out;
	ret = -ENOMEM;
	peer = calloc(1, sizeof(*peer));
	if (!peer)
		goto out;
	peer->key = X509_get_pubkey(leaf);
	memcpy(peer->fingerprint, fingerprint, sizeof(fingerprint));
	*out = peer;
	reason[0] = '\0';
	ret = 0;
out:
	ERR_clear_error();
	sk_X509_pop_free(certs, X509_free);
	return ret;
}

void svr_pki_peer_free(struct svr_pki_peer *p)
{
	if (!p)
		return;
	EVP_PKEY_free(p->key);
	free(p);
}

const uint8_t *svr_pki_peer_fingerprint(const struct svr_pki_peer *p)
{
	return p->fingerprint;
}

int svr_pki_peer_check_signature(const struct svr_pki_peer *p, const uint8_t *data, size_t len,
				 const uint8_t *sig, size_t sig_len)
{
	return svr_pki_check_signature(p->key, data, len, sig, sig_len);
}
