/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Certificates for tests, with every fault that a test wants. Header only: the unit and the peer
 * tests are two programs.
 */
#ifndef SVR_TESTS_CERTS_H
#define SVR_TESTS_CERTS_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "lib/pki.h"

struct test_cert {
	EVP_PKEY *key;
	X509 *cert;
};

struct test_cert_spec {
	const char *common_name;
	const char *second_common_name; /* another CN in the same subject */
	const char *san; /* "URI:..." */
	bool ca;
	const char *key_usage; /* NULL: what fits; "": no extension */
	int from_days, until_days; /* from now */
	int from_base; /* seconds: "now" of the test, 0: of this machine */
	size_t padding; /* bytes of a comment */
	const char *algorithm; /* EC curve or "RSA"; NULL: P-256 */
	int rsa_bits;
	const struct test_cert *issuer; /* NULL: itself */
};

static inline void test_cert_ext(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509_EXTENSION *ext;
	X509V3_CTX ctx;

	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	if (!ext || X509_add_ext(cert, ext, -1) != 1)
		abort();
	X509_EXTENSION_free(ext);
}

static inline struct test_cert test_cert_make(const struct test_cert_spec *spec)
{
	const char *usage = spec->key_usage ? spec->key_usage :
			    spec->ca	    ? "critical,keyCertSign,cRLSign" :
					      "critical,digitalSignature";
	const struct test_cert *issuer = spec->issuer;
	struct test_cert c = { 0 };
	X509_NAME *name;
	static long serial;
	time_t base = spec->from_base ? spec->from_base : time(NULL);

	if (spec->algorithm && strcmp(spec->algorithm, "RSA") == 0)
		c.key = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)spec->rsa_bits);
	else if (spec->algorithm && strcmp(spec->algorithm, "ED25519") == 0)
		c.key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	else
		c.key = EVP_PKEY_Q_keygen(NULL, NULL, "EC",
					  spec->algorithm ? spec->algorithm : "P-256");
	c.cert = X509_new();
	if (!c.key || !c.cert)
		abort();
	X509_set_version(c.cert, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(c.cert), ++serial);
	name = X509_get_subject_name(c.cert);
	if (spec->common_name)
		X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
					   (const unsigned char *)spec->common_name, -1, -1, 0);
	if (spec->second_common_name)
		X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
					   (const unsigned char *)spec->second_common_name, -1, -1,
					   0);
	X509_set_issuer_name(c.cert, issuer ? X509_get_subject_name(issuer->cert) : name);
	X509_time_adj_ex(X509_getm_notBefore(c.cert), spec->from_days, 0, &base);
	X509_time_adj_ex(X509_getm_notAfter(c.cert), spec->until_days ? spec->until_days : 3650, 0,
			 &base);
	X509_set_pubkey(c.cert, c.key);
	test_cert_ext(c.cert, issuer ? issuer->cert : c.cert, NID_basic_constraints,
		      spec->ca ? "critical,CA:TRUE" : "critical,CA:FALSE");
	if (usage[0])
		test_cert_ext(c.cert, issuer ? issuer->cert : c.cert, NID_key_usage, usage);
	if (spec->san)
		test_cert_ext(c.cert, issuer ? issuer->cert : c.cert, NID_subject_alt_name,
			      spec->san);
	if (spec->padding) {
		char *text = malloc(spec->padding + 1);

		memset(text, 'x', spec->padding);
		text[spec->padding] = '\0';
		test_cert_ext(c.cert, issuer ? issuer->cert : c.cert, NID_netscape_comment, text);
		free(text);
	}
	if (X509_sign(c.cert, issuer ? issuer->key : c.key,
		      EVP_PKEY_is_a(issuer ? issuer->key : c.key, "ED25519") ? NULL :
									       EVP_sha256()) <= 0)
		abort();
	return c;
}

static inline void test_cert_free(struct test_cert *c)
{
	EVP_PKEY_free(c->key);
	X509_free(c->cert);
	memset(c, 0, sizeof(*c));
}

static inline void test_cert_write(const struct test_cert *const *chain, size_t count,
				   const char *path)
{
	FILE *f = fopen(path, "w");
	size_t i;

	for (i = 0; f && i < count; i++)
		PEM_write_X509(f, chain[i]->cert);
	if (!f || fclose(f))
		abort();
}

/*
 * Key and chain through files into an identity, as a router does it; the first of the chain is its
 * own.
 */
static inline struct svr_pki_identity *test_cert_identity(const struct test_cert *const *chain,
							  size_t count)
{
	char dir[] = "/tmp/svr-certs-XXXXXX", key[64], pem[64], err[512];
	struct svr_pki_identity *id = NULL;
	FILE *f;

	if (!mkdtemp(dir))
		abort();
	snprintf(key, sizeof(key), "%s/r.key", dir);
	snprintf(pem, sizeof(pem), "%s/r.pem", dir);
	f = fopen(key, "w");
	if (!f || chmod(key, 0600) ||
	    PEM_write_PrivateKey(f, chain[0]->key, NULL, NULL, 0, NULL, NULL) != 1 || fclose(f))
		abort();
	test_cert_write(chain, count, pem);
	if (svr_pki_identity_load(dir, "r", &id, err, sizeof(err))) {
		fprintf(stderr, "%s\n", err);
		abort();
	}
	unlink(key);
	unlink(pem);
	rmdir(dir);
	return id;
}

static inline struct svr_pki_identity *test_cert_identity_one(const struct test_cert *c)
{
	return test_cert_identity(&c, 1);
}

static inline void test_cert_fingerprint(const struct test_cert *c,
					 uint8_t out[static SVR_PKI_FINGERPRINT_LEN])
{
	if (X509_digest(c->cert, EVP_sha256(), out, NULL) != 1)
		abort();
}

/* CA certificates as the trust's only bundle. */
static inline void test_cert_trust(struct svr_pki_trust *trust, const struct test_cert *const *cas,
				   size_t count)
{
	struct svr_pki_anchors *anchors;
	BIO *bio = BIO_new(BIO_s_mem());
	char *text = NULL;
	size_t i;
	long len;

	for (i = 0; i < count; i++)
		if (PEM_write_bio_X509(bio, cas[i]->cert) != 1)
			abort();
	len = BIO_get_mem_data(bio, &text);
	/* "warn": also an authority that has expired may be tried */
	if (svr_pki_anchors_new(&anchors) || svr_pki_anchors_add(anchors, "test", text, (size_t)len,
								 false, time(NULL), NULL,
								 NULL) != (int)count)
		abort();
	svr_pki_trust_anchors(trust, anchors);
	svr_pki_anchors_free(anchors);
	BIO_free(bio);
}

#endif
