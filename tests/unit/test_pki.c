// SPDX-License-Identifier: BSD-2-Clause
/* Certificates: making them, reading them, and what is accepted of a peer. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/pki.h"
#include "tests/certs.h"

static char dir[64];

static void make_dir(void)
{
	strcpy(dir, "/tmp/svr-pki-XXXXXX");
	cr_assert(mkdtemp(dir));
}

static void remove_dir(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf '%s'", dir);
	cr_assert_eq(system(command), 0);
}

static const char *in_dir(const char *name)
{
	static char path[4][160];
	static int next;

	next = (next + 1) % 4;
	snprintf(path[next], sizeof(path[next]), "%s/%s", dir, name);
	return path[next];
}

TestSuite(pki, .init = make_dir, .fini = remove_dir);

/* ---- self-signed ----------------------------------------------------------------------------- */

static X509 *read_cert(const char *name)
{
	FILE *f = fopen(in_dir(name), "r");
	X509 *cert = f ? PEM_read_X509(f, NULL, NULL, NULL) : NULL;

	if (f)
		fclose(f);
	cr_assert(cert);
	return cert;
}

Test(pki, self_signed_has_what_was_asked_for)
{
	static const struct {
		const char *algorithm;
		int type, bits;
	} rows[] = {
		{ NULL, EVP_PKEY_EC, 256 },	   { "", EVP_PKEY_EC, 256 },
		{ "p256", EVP_PKEY_EC, 256 },	   { "p384", EVP_PKEY_EC, 384 },
		{ "p521", EVP_PKEY_EC, 521 },	   { "rsa2048", EVP_PKEY_RSA, 2048 },
		{ "rsa2304", EVP_PKEY_RSA, 2304 },
	};
	uint8_t fingerprint[32], again[32];
	char err[256], cn[64];
	struct svr_pki_identity *id;
	struct stat st;
	X509 *cert;
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		cr_assert_eq(svr_pki_self_signed(dir, "r", "west.example", rows[i].algorithm, 30,
						 fingerprint, err, sizeof(err)),
			     0, "%s", err);
		cr_assert_eq(stat(in_dir("r.key"), &st), 0);
		cr_expect_eq(st.st_mode & 07777, 0600);
		cert = read_cert("r.pem");
		cr_expect_eq(EVP_PKEY_get_base_id(X509_get0_pubkey(cert)), rows[i].type);
		cr_expect_eq(EVP_PKEY_get_bits(X509_get0_pubkey(cert)), rows[i].bits);
		X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName, cn,
					  sizeof(cn));
		cr_expect_str_eq(cn, "west.example");
		cr_expect_not(X509_get_extension_flags(cert) & EXFLAG_CA);
		cr_expect(X509_get_extension_flags(cert) & EXFLAG_BCONS);
		cr_expect_eq(X509_get_key_usage(cert), KU_DIGITAL_SIGNATURE);
		cr_expect_eq(X509_get_version(cert), X509_VERSION_3);
		X509_digest(cert, EVP_sha256(), again, NULL);
		cr_expect_arr_eq(fingerprint, again, 32);
		X509_free(cert);
		cr_assert_eq(svr_pki_identity_load(dir, "r", &id, err, sizeof(err)), 0, "%s", err);
		cr_expect_arr_eq(svr_pki_identity_fingerprint(id), fingerprint, 32);
		svr_pki_identity_free(id);
		unlink(in_dir("r.key"));
		unlink(in_dir("r.pem"));
	}
}

Test(pki, self_signed_never_replaces)
{
	static const char *const names[] = { "r.key", "r.pem" };
	uint8_t fingerprint[32];
	char err[256], text[8] = "";
	FILE *f;
	int i;

	for (i = 0; i < 2; i++) {
		f = fopen(in_dir(names[i]), "w");
		fputs("mine", f);
		fclose(f);
		cr_expect_eq(svr_pki_self_signed(dir, "r", "west", NULL, 0, fingerprint, err,
						 sizeof(err)),
			     -EEXIST);
		cr_expect(strstr(err, names[i]), "%s", err);
		f = fopen(in_dir(names[i]), "r");
		cr_expect(fgets(text, sizeof(text), f));
		fclose(f);
		cr_expect_str_eq(text, "mine");
		cr_expect_neq(access(in_dir(names[!i]), F_OK), 0, "half of the pair was left");
		unlink(in_dir(names[i]));
	}
}

Test(pki, self_signed_leaves_no_temporary_files)
{
	uint8_t fingerprint[32];
	char err[256], command[160];

	cr_assert_eq(svr_pki_self_signed(dir, "r", "west", NULL, 0, fingerprint, err, sizeof(err)),
		     0);
	snprintf(command, sizeof(command), "test \"$(ls -A '%s' | wc -l)\" = 2", dir);
	cr_expect_eq(system(command), 0);
}

Test(pki, self_signed_refuses_bad_arguments)
{
	static const struct {
		const char *name, *cn, *algorithm;
		int days;
	} rows[] = {
		{ "../r", "west", NULL, 0 },
		{ "", "west", NULL, 0 },
		{ "r", "", NULL, 0 },
		{ "r", "we st", NULL, 0 },
		{ "r", "a,CN=b", NULL, 0 },
		{ "r", "a\nb", NULL, 0 },
		{ "r", "west", "rsa1024", 0 },
		{ "r", "west", "rsa2049", 0 },
		{ "r", "west", "rsa8192", 0 },
		{ "r", "west", "dsa", 0 },
		{ "r", "west", "rsa2048x", 0 },
		{ "r", "west", NULL, -1 },
		{ "r", "west", NULL, 36501 },
		{ "r", "a123456789012345678901234567890123456789012345678901234567890123", NULL,
		  0 },
	};
	uint8_t fingerprint[32];
	char err[256];
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		err[0] = '\0';
		cr_expect_eq(svr_pki_self_signed(dir, rows[i].name, rows[i].cn, rows[i].algorithm,
						 rows[i].days, fingerprint, err, sizeof(err)),
			     -EINVAL, "row %zu: %s", i, err);
		cr_expect(err[0], "row %zu has no words", i);
	}
	cr_expect_eq(svr_pki_self_signed("/nonexistent/a", "r", "west", NULL, 0, fingerprint, err,
					 sizeof(err)),
		     -ENOENT);
	cr_expect(strstr(err, "/nonexistent/a"));
}

/* ---- identity -------------------------------------------------------------------------------- */

static int load(const char *name, char *err)
{
	struct svr_pki_identity *id = NULL;
	int ret = svr_pki_identity_load(dir, name, &id, err, 256);

	svr_pki_identity_free(id);
	return ret;
}

Test(pki, identity_files_are_checked)
{
	uint8_t fingerprint[32];
	char err[256];
	FILE *f;

	cr_expect_eq(load("r", err), -ENOENT);
	cr_expect(strstr(err, "r.key"));
	cr_assert_eq(svr_pki_self_signed(dir, "r", "west", NULL, 0, fingerprint, err, sizeof(err)),
		     0);
	cr_assert_eq(svr_pki_self_signed(dir, "s", "east", NULL, 0, fingerprint, err, sizeof(err)),
		     0);
	cr_expect_eq(load("r", err), 0);

	chmod(in_dir("r.key"), 0640);
	cr_expect_eq(load("r", err), -EPERM);
	cr_expect(strstr(err, "chmod 0600"), "%s", err);
	chmod(in_dir("r.key"), 0600);

	rename(in_dir("s.pem"), in_dir("r.pem"));
	cr_expect_eq(load("r", err), -EINVAL, "key of another certificate");
	cr_expect(strstr(err, "does not belong"), "%s", err);
	unlink(in_dir("r.pem"));
	cr_expect_eq(load("r", err), -ENOENT);
	cr_expect(strstr(err, "r.pem"));
	f = fopen(in_dir("r.pem"), "w");
	fputs("no certificate", f);
	fclose(f);
	cr_expect_eq(load("r", err), -EINVAL);
	mkdir(in_dir("d.key"), 0700);
	cr_expect_eq(load("d", err), -EINVAL);
}

Test(pki, encrypted_key_is_refused_without_asking)
{
	struct test_cert c = test_cert_make(&(struct test_cert_spec){ .common_name = "west" });
	const struct test_cert *one = &c;
	char err[256];
	FILE *f = fopen(in_dir("r.key"), "w");

	chmod(in_dir("r.key"), 0600);
	PEM_write_PrivateKey(f, c.key, EVP_aes_256_cbc(), (const unsigned char *)"secret", 6, NULL,
			     NULL);
	fclose(f);
	test_cert_write(&one, 1, in_dir("r.pem"));
	cr_expect_eq(load("r", err), -EINVAL);
	cr_expect(strstr(err, "passphrase"), "%s", err);
	test_cert_free(&c);
}

/* ---- signatures ------------------------------------------------------------------------------ */

static struct svr_pki_peer *accepted(const struct svr_pki_identity *id, const char *cn)
{
	struct svr_pki_trust *trust;
	struct svr_pki_peer *peer;
	struct svr_pki_report r;
	struct svr_pki_der der;

	cr_assert_eq(svr_pki_trust_new(&trust), 0);
	svr_pki_trust_fingerprint(trust, svr_pki_identity_fingerprint(id));
	der.data = svr_pki_identity_der(id, 0, &der.len);
	cr_assert_eq(svr_pki_verify(trust, &der, 1, cn, NULL, time(NULL), &peer, &r), 0, "%s",
		     r.text);
	svr_pki_trust_free(trust);
	return peer;
}

Test(pki, signatures_of_all_kinds_of_keys)
{
	static const struct test_cert_spec specs[] = {
		{ .common_name = "west" },
		{ .common_name = "west", .algorithm = "P-384" },
		{ .common_name = "west", .algorithm = "P-521" },
		{ .common_name = "west", .algorithm = "ED25519" },
		{ .common_name = "west", .algorithm = "RSA", .rsa_bits = 2048 },
	};
	uint8_t data[80] = "what is signed", sig[SVR_PKI_SIGNATURE_MAX];
	size_t i;
	int len, k;

	for (i = 0; i < sizeof(specs) / sizeof(specs[0]); i++) {
		struct test_cert c = test_cert_make(&specs[i]);
		struct svr_pki_identity *id = test_cert_identity_one(&c);
		struct svr_pki_peer *peer = accepted(id, "west");

		len = svr_pki_sign(id, data, sizeof(data), sig);
		cr_assert_gt(len, 0);
		cr_expect_eq(svr_pki_peer_check_signature(peer, data, sizeof(data), sig,
							  (size_t)len),
			     0, "row %zu", i);
		for (k = 0; k < len; k += 7) {
			sig[k] ^= 1;
			cr_expect_eq(svr_pki_peer_check_signature(peer, data, sizeof(data), sig,
								  (size_t)len),
				     -EBADMSG, "row %zu", i);
			sig[k] ^= 1;
		}
		data[3] ^= 1;
		cr_expect_eq(svr_pki_peer_check_signature(peer, data, sizeof(data), sig,
							  (size_t)len),
			     -EBADMSG);
		data[3] ^= 1;
		cr_expect_eq(svr_pki_peer_check_signature(peer, data, sizeof(data), sig,
							  (size_t)len - 1),
			     -EBADMSG);
		cr_expect_eq(svr_pki_peer_check_signature(peer, data, sizeof(data), sig, 0),
			     -EBADMSG);
		svr_pki_peer_free(peer);
		svr_pki_identity_free(id);
		test_cert_free(&c);
	}
}

/* ---- verdict --------------------------------------------------------------------------------- */

enum { PINNED = 1, WITH_CA = 2, NO_SELF_SIGNED = 4, IS_OWN = 8 };

static void verdict(const struct test_cert *const *chain, unsigned int count,
		    const struct test_cert *ca, int how, const char *word)
{
	struct svr_pki_der der[SVR_PKI_CHAIN_MAX + 1];
	struct svr_pki_trust *trust;
	struct svr_pki_peer *peer = NULL;
	uint8_t fingerprint[32];
	struct svr_pki_report r;
	unsigned int i;
	int ret;

	cr_assert_eq(svr_pki_trust_new(&trust), 0);
	test_cert_fingerprint(chain[0], fingerprint);
	if (how & PINNED)
		svr_pki_trust_fingerprint(trust, fingerprint);
	if (how & WITH_CA)
		test_cert_trust(trust, &ca, 1);
	svr_pki_trust_allow_self_signed(trust, !(how & NO_SELF_SIGNED));
	for (i = 0; i < count; i++) {
		unsigned char *p = NULL;

		der[i].len = (size_t)i2d_X509(chain[i]->cert, &p);
		der[i].data = p;
	}
	ret = svr_pki_verify(trust, der, count, "west", how & IS_OWN ? fingerprint : NULL,
			     time(NULL), &peer, &r);
	if (word) {
		cr_expect_eq(ret, -EKEYREJECTED, "expected \"%s\", is %d \"%s\"", word, ret,
			     r.text);
		cr_expect_null(peer);
		cr_expect(strstr(r.text, word), "expected \"%s\", is \"%s\"", word, r.text);
	} else {
		cr_expect_eq(ret, 0, "%s", r.text);
		cr_expect(peer && memcmp(svr_pki_peer_fingerprint(peer), fingerprint, 32) == 0);
	}
	svr_pki_peer_free(peer);
	for (i = 0; i < count; i++)
		OPENSSL_free((void *)der[i].data);
	svr_pki_trust_free(trust);
}

static void verdict_one(struct test_cert_spec spec, const struct test_cert *ca, int how,
			const char *word)
{
	struct test_cert c = test_cert_make(&spec);
	const struct test_cert *one = &c;

	verdict(&one, 1, ca, how, word);
	test_cert_free(&c);
}

Test(pki, verdicts)
{
	struct test_cert ca =
		test_cert_make(&(struct test_cert_spec){ .common_name = "CA", .ca = true });
	struct test_cert old_ca = test_cert_make(&(struct test_cert_spec){
		.common_name = "CA", .ca = true, .from_days = -9, .until_days = -1 });

	verdict_one((struct test_cert_spec){ .common_name = "west" }, NULL, PINNED, NULL);
	verdict_one((struct test_cert_spec){ .common_name = "west" }, NULL, PINNED | NO_SELF_SIGNED,
		    "self-signed");
	verdict_one((struct test_cert_spec){ .common_name = "west" }, NULL, PINNED | IS_OWN,
		    "our own");
	verdict_one((struct test_cert_spec){ .common_name = "west" }, NULL, 0,
		    "neither a fingerprint nor a trusted CA");
	verdict_one((struct test_cert_spec){ .common_name = "west" }, &ca, WITH_CA,
		    "no trusted CA");
	verdict_one((struct test_cert_spec){ .common_name = "west", .issuer = &ca }, &ca, WITH_CA,
		    NULL);
	verdict_one((struct test_cert_spec){ .common_name = "west", .issuer = &ca }, &ca,
		    WITH_CA | NO_SELF_SIGNED, NULL);
	verdict_one((struct test_cert_spec){ .common_name = "west", .issuer = &ca }, NULL,
		    PINNED | NO_SELF_SIGNED, NULL);
	verdict_one((struct test_cert_spec){ .common_name = "west", .issuer = &old_ca }, &old_ca,
		    WITH_CA, "its issuer CN=CA expired on");
	verdict_one(
		(struct test_cert_spec){ .common_name = "west", .from_days = -9, .until_days = -1 },
		NULL, PINNED, "expired on");
	verdict_one(
		(struct test_cert_spec){ .common_name = "west", .from_days = 2, .until_days = 9 },
		NULL, PINNED, "not valid before");
	verdict_one((struct test_cert_spec){ .common_name = "north" }, NULL, PINNED,
		    "common name is north, expected west");
	verdict_one((struct test_cert_spec){ .common_name = NULL }, NULL, PINNED,
		    "common name is (none)");
	verdict_one((struct test_cert_spec){ .common_name = "west", .second_common_name = "west" },
		    NULL, PINNED, "(several)");
	verdict_one((struct test_cert_spec){ .common_name = "w\x1b[31m" }, NULL, PINNED,
		    "common name is w?[31m");
	verdict_one((struct test_cert_spec){ .common_name = "x",
					     .san = "URI:urn:ssr:peering:west" },
		    NULL, PINNED, NULL);
	verdict_one((struct test_cert_spec){ .common_name = "x",
					     .san = "URI:urn:ssr:peering:westx" },
		    NULL, PINNED, "common name");
	verdict_one((struct test_cert_spec){ .common_name = "west", .ca = true }, NULL, PINNED,
		    "is one of a CA");
	verdict_one((struct test_cert_spec){ .common_name = "west", .key_usage = "keyAgreement" },
		    NULL, PINNED, "key usage");
	verdict_one((struct test_cert_spec){ .common_name = "west",
					     .algorithm = "RSA",
					     .rsa_bits = 1024 },
		    NULL, PINNED, "key is none of");
	verdict_one((struct test_cert_spec){ .common_name = "west", .algorithm = "secp256k1" },
		    NULL, PINNED, "key is none of");
	test_cert_free(&ca);
	test_cert_free(&old_ca);
}

Test(pki, chains)
{
	struct test_cert root =
		test_cert_make(&(struct test_cert_spec){ .common_name = "Root", .ca = true });
	struct test_cert middle = test_cert_make(
		&(struct test_cert_spec){ .common_name = "Middle", .ca = true, .issuer = &root });
	struct test_cert leaf = test_cert_make(
		&(struct test_cert_spec){ .common_name = "west", .issuer = &middle });
	/* a router's certificate must not vouch for another one */
	struct test_cert other =
		test_cert_make(&(struct test_cert_spec){ .common_name = "east", .issuer = &root });
	struct test_cert forged =
		test_cert_make(&(struct test_cert_spec){ .common_name = "west", .issuer = &other });
	const struct test_cert *good[] = { &leaf, &middle }, *short_chain[] = { &leaf },
			       *bad[] = { &forged, &other };
	const struct test_cert *long_chain[] = { &leaf,	  &middle, &middle, &middle,
						 &middle, &middle, &middle, &middle };

	verdict(good, 2, &root, WITH_CA, NULL);
	verdict(short_chain, 1, &root, WITH_CA, "no trusted CA");
	verdict(bad, 2, &root, WITH_CA, "may not issue any");
	verdict(long_chain, 8, &root, WITH_CA, NULL);
	test_cert_free(&root);
	test_cert_free(&middle);
	test_cert_free(&leaf);
	test_cert_free(&other);
	test_cert_free(&forged);
}

static void add_bundle(struct svr_pki_anchors *anchors, const struct test_cert *const *cas,
		       size_t count)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *text = NULL;
	size_t i;
	long len;

	for (i = 0; i < count; i++)
		PEM_write_bio_X509(bio, cas[i]->cert);
	len = BIO_get_mem_data(bio, &text);
	cr_assert_eq(svr_pki_anchors_add(anchors, "bundle", text, (size_t)len, true, time(NULL),
					 NULL, NULL),
		     (int)count);
	BIO_free(bio);
}

/*
 * I95-65129, I95-65603: a path came up with certificates of different issuers. Every combination of
 * whose certificate we have, whose the peer has, and which authorities are configured, each in a
 * bundle of its own or both in one.
 */
Test(pki, i95_65129_mixed_anchors)
{
	struct test_cert a =
		test_cert_make(&(struct test_cert_spec){ .common_name = "A", .ca = true });
	struct test_cert b =
		test_cert_make(&(struct test_cert_spec){ .common_name = "B", .ca = true });
	const struct test_cert *both[] = { &a, &b }, *issuer[] = { &a, &b, NULL };
	enum { ONLY_A, ONLY_B, TWO_BUNDLES, ONE_BUNDLE, CONFIGS };
	int own, peer, config;

	for (own = 0; own < 3; own++) {
		struct test_cert mine = test_cert_make(
			&(struct test_cert_spec){ .common_name = "east", .issuer = issuer[own] });
		struct svr_pki_identity *id = test_cert_identity_one(&mine);

		for (peer = 0; peer < 3 * CONFIGS; peer++) {
			struct test_cert theirs = test_cert_make(&(struct test_cert_spec){
				.common_name = "west", .issuer = issuer[peer % 3] });
			bool trusted, same;
			struct svr_pki_anchors *anchors;
			struct svr_pki_trust *trust;
			struct svr_pki_peer *p;
			struct svr_pki_report r;
			struct svr_pki_der der;
			unsigned char *bytes = NULL;

			config = peer / 3;
			cr_assert_eq(svr_pki_anchors_new(&anchors), 0);
			if (config == ONE_BUNDLE)
				add_bundle(anchors, both, 2);
			if (config == ONLY_A || config == TWO_BUNDLES)
				add_bundle(anchors, &both[0], 1);
			if (config == ONLY_B || config == TWO_BUNDLES)
				add_bundle(anchors, &both[1], 1);
			cr_assert_eq(svr_pki_trust_new(&trust), 0);
			svr_pki_trust_anchors(trust, anchors);
			svr_pki_trust_own(trust, id, time(NULL));
			der.len = (size_t)i2d_X509(theirs.cert, &bytes);
			der.data = bytes;
			trusted = peer % 3 < 2 && (config >= TWO_BUNDLES || config == peer % 3);
			same = config != TWO_BUNDLES || own == 2 || own == peer % 3;
			svr_pki_verify(trust, &der, 1, "west", NULL, time(NULL), &p, &r);
			cr_expect_eq(r.verdict,
				     !trusted ? SVR_PKI_NO_CHAIN :
				     same     ? SVR_PKI_OK :
						SVR_PKI_ANCHOR,
				     "own %d, peer %d, config %d: %s", own, peer % 3, config,
				     r.text);
			svr_pki_peer_free(p);
			svr_pki_trust_free(trust);
			svr_pki_anchors_free(anchors);
			OPENSSL_free(bytes);
			test_cert_free(&theirs);
		}
		svr_pki_identity_free(id);
		test_cert_free(&mine);
	}
	test_cert_free(&a);
	test_cert_free(&b);
}

/*
 * I95-63422: a node that started with a bad certificate could not peer until the remote router was
 * restarted. Nothing of a refusal is kept: the same trust takes the good certificate at once.
 */
Test(pki, i95_63422_good_after_bad)
{
	struct test_cert ca =
		test_cert_make(&(struct test_cert_spec){ .common_name = "CA", .ca = true });
	struct test_cert bad = test_cert_make(&(struct test_cert_spec){
		.common_name = "west", .issuer = &ca, .from_days = -9, .until_days = -1 });
	struct test_cert good =
		test_cert_make(&(struct test_cert_spec){ .common_name = "west", .issuer = &ca });
	const struct test_cert *certs[] = { &bad, &good, &bad, &good }, *one = &ca;
	struct svr_pki_trust *trust;
	struct svr_pki_peer *peer;
	struct svr_pki_report r;
	int i;

	cr_assert_eq(svr_pki_trust_new(&trust), 0);
	test_cert_trust(trust, &one, 1);
	for (i = 0; i < 4; i++) {
		unsigned char *bytes = NULL;
		struct svr_pki_der der = { .len = (size_t)i2d_X509(certs[i]->cert, &bytes) };

		der.data = bytes;
		cr_expect_eq(svr_pki_verify(trust, &der, 1, "west", NULL, time(NULL), &peer, &r) ==
				     0,
			     i % 2 == 1, "%s", r.text);
		svr_pki_peer_free(peer);
		OPENSSL_free(bytes);
	}
	svr_pki_trust_free(trust);
	test_cert_free(&ca);
	test_cert_free(&bad);
	test_cert_free(&good);
}

/* A router that was stopped between its key and its certificate. */
Test(pki, self_sign_a_key_that_is_there)
{
	struct svr_pki_identity *id;
	uint8_t fingerprint[32];
	char err[256];

	cr_assert_eq(svr_pki_self_signed(dir, "r", "west", NULL, 0, fingerprint, err, sizeof(err)),
		     0);
	cr_expect_eq(svr_pki_self_sign(dir, "r", "west", 0, fingerprint, err, sizeof(err)), -EEXIST,
		     "never replaces");
	unlink(in_dir("r.pem"));
	cr_expect_eq(svr_pki_self_sign(dir, "r", "west", 0, fingerprint, err, sizeof(err)), 0, "%s",
		     err);
	cr_assert_eq(svr_pki_identity_load(dir, "r", &id, err, sizeof(err)), 0, "%s", err);
	cr_expect_arr_eq(svr_pki_identity_fingerprint(id), fingerprint, 32);
	svr_pki_identity_free(id);
	cr_expect_eq(svr_pki_self_sign(dir, "x", "west", 0, fingerprint, err, sizeof(err)),
		     -ENOENT);
}

Test(pki, rubbish_instead_of_a_certificate)
{
	struct test_cert c = test_cert_make(&(struct test_cert_spec){ .common_name = "west" });
	struct svr_pki_trust *trust;
	struct svr_pki_peer *peer;
	unsigned char *der = NULL;
	size_t len = (size_t)i2d_X509(c.cert, &der), i;
	uint8_t copy[2048];
	struct svr_pki_report r;
	struct svr_pki_der one = { copy, len };
	uint8_t fingerprint[32];

	cr_assert_lt(len, sizeof(copy) - 1);
	cr_assert_eq(svr_pki_trust_new(&trust), 0);
	test_cert_fingerprint(&c, fingerprint);
	svr_pki_trust_fingerprint(trust, fingerprint);
	for (i = 0; i < len; i++) {
		memcpy(copy, der, len);
		copy[i] ^= 0x10;
		cr_expect_neq(svr_pki_verify(trust, &one, 1, "west", NULL, time(NULL), &peer, &r),
			      0, "byte %zu", i);
		cr_expect_null(peer);
	}
	memcpy(copy, der, len);
	for (i = 0; i < len; i++) {
		one.len = i;
		cr_expect_eq(svr_pki_verify(trust, &one, 1, "west", NULL, time(NULL), &peer, &r),
			     -EBADMSG);
	}
	one.len = len + 1;
	cr_expect_eq(svr_pki_verify(trust, &one, 1, "west", NULL, time(NULL), &peer, &r), -EBADMSG,
		     "byte behind");
	cr_expect_eq(svr_pki_verify(trust, &one, 0, "west", NULL, time(NULL), &peer, &r), -EBADMSG);
	OPENSSL_free(der);
	svr_pki_trust_free(trust);
	test_cert_free(&c);
}

Test(pki, trust_digest_tells_rules_apart)
{
	struct test_cert ca =
		test_cert_make(&(struct test_cert_spec){ .common_name = "CA", .ca = true });
	uint8_t digest[5][32], fingerprint[32] = { 1 };
	const struct test_cert *one = &ca;
	struct svr_pki_trust *trust;
	int i, k;

	for (i = 0; i < 5; i++) {
		cr_assert_eq(svr_pki_trust_new(&trust), 0);
		if (i == 1 || i == 2)
			svr_pki_trust_fingerprint(trust, fingerprint);
		if (i == 2 || i == 3)
			test_cert_trust(trust, &one, 1);
		if (i == 4)
			svr_pki_trust_allow_self_signed(trust, false);
		cr_assert_eq(svr_pki_trust_digest(trust, digest[i]), 0);
		svr_pki_trust_free(trust);
		for (k = 0; k < i; k++)
			cr_expect(memcmp(digest[i], digest[k], 32) != 0, "%d and %d", i, k);
	}
	test_cert_free(&ca);
}

/* Keys stay until the certificate has been judged: under other CAs, not under another pin. */
Test(pki, trust_stands_on_the_same_ground)
{
	struct test_cert ca =
		test_cert_make(&(struct test_cert_spec){ .common_name = "CA", .ca = true });
	const uint8_t fingerprint[2][32] = { { 1 }, { 2 } };
	const struct test_cert *one = &ca;
	struct svr_pki_trust *t[5];
	int i;

	for (i = 0; i < 5; i++)
		cr_assert_eq(svr_pki_trust_new(&t[i]), 0);
	test_cert_trust(t[1], &one, 1);
	svr_pki_trust_fingerprint(t[2], fingerprint[0]);
	svr_pki_trust_fingerprint(t[3], fingerprint[1]);
	svr_pki_trust_allow_self_signed(t[4], false);
	cr_expect(svr_pki_trust_same_ground(t[0], t[1]), "a CA more");
	cr_expect(svr_pki_trust_same_ground(t[1], t[0]), "a CA less");
	cr_expect_not(svr_pki_trust_same_ground(t[1], t[2]), "pinned");
	cr_expect_not(svr_pki_trust_same_ground(t[2], t[1]), "not pinned any more");
	cr_expect_not(svr_pki_trust_same_ground(t[2], t[3]), "pinned otherwise");
	cr_expect_not(svr_pki_trust_same_ground(t[0], t[4]), "self-signed ones not taken any more");
	cr_expect(svr_pki_trust_same_ground(t[4], t[0]), "self-signed ones taken");
	for (i = 0; i < 5; i++)
		svr_pki_trust_free(t[i]);
	test_cert_free(&ca);
}
