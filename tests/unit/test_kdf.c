// SPDX-License-Identifier: BSD-2-Clause
/* Key derivations against the vectors of docs/protocol.md section 11. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>
#include <openssl/core_names.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include "lib/kdf.h"
#include "tests/unit/vector.h"

static void expect_vector(const char *name, const void *got, size_t len)
{
	struct hex want = vec(name);

	cr_expect_eq(len, want.len, "%s: %zu bytes, vector has %zu", name, len, want.len);
	cr_expect(memcmp(got, want.bytes, want.len) == 0, "%s: other bytes than the vector", name);
}

Test(kdf, peer_key_with_salt_and_transcript_is_the_vector)
{
	struct hex secret = vec("kdf.peer-key.secret"), salt = vec("kdf.peer-key.salt"),
		   t = vec("kdf.peer-key.context");
	uint8_t out[SVR_PEER_KEY_LEN];

	cr_assert_eq(svr_kdf(salt.bytes, salt.len, secret.bytes, secret.len, "peer key", t.bytes,
			     t.len, out, sizeof(out)),
		     0);
	expect_vector("kdf.peer-key.out", out, sizeof(out));
}

Test(kdf, keys_of_a_peer_key_are_the_vectors)
{
	struct hex peer_key = vec("peer-key");
	uint8_t session[2][SVR_HMAC_KEY_LEN];
	struct svr_bfd_keys bfd;

	cr_assert_eq(svr_kdf_bfd(peer_key.bytes, &bfd), 0);
	expect_vector("kdf.bfd.out", &bfd, sizeof(bfd));
	cr_expect(memcmp(bfd.mac[1], vec("kdf.bfd.out").bytes + 112, 48) == 0,
		  "mac1 is the last part");
	cr_assert_eq(svr_kdf_session_hmac(peer_key.bytes, session), 0);
	expect_vector("kdf.session-hmac.out", session, sizeof(session));
}

Test(kdf, metadata_keys_of_both_directions_are_the_vectors)
{
	struct hex hmac = vec("kdf.session-hmac.out");
	uint8_t out[32];

	cr_assert_eq(
		svr_kdf_metadata(hmac.bytes + SVR_HMAC_KEY_LEN, vec("metadata-key").bytes, out), 0);
	expect_vector("kdf.metadata.out", out, sizeof(out));
	cr_assert_eq(svr_kdf_metadata(hmac.bytes, vec("metadata-key-west").bytes, out), 0);
	expect_vector("kdf.metadata-west.out", out, sizeof(out));
}

/* A router gives one metadata key to all its peers: each of them must be able to read its own metadata only. */
Test(kdf, routers_with_one_metadata_key_have_different_metadata_encryption_keys)
{
	uint8_t peer_key[SVR_PEER_KEY_LEN], hmac[2][2][SVR_HMAC_KEY_LEN], out[5][32];
	struct hex meta = vec("metadata-key");
	size_t pair, i, j, n = 0;

	for (pair = 0; pair < 2; pair++) {
		memset(peer_key, (int)pair, sizeof(peer_key));
		cr_assert_eq(svr_kdf_session_hmac(peer_key, hmac[pair]), 0);
		for (i = 0; i < 2; i++)
			cr_assert_eq(svr_kdf_metadata(hmac[pair][i], meta.bytes, out[n++]), 0);
	}
	/* what whoever has the metadata key, and nothing else, could derive */
	cr_assert_eq(svr_kdf(NULL, 0, meta.bytes, meta.len, "metadata", NULL, 0, out[n++], 32), 0);
	for (i = 0; i < n; i++)
		for (j = 0; j < i; j++)
			cr_expect(memcmp(out[i], out[j], sizeof(out[i])) != 0, "keys %zu and %zu",
				  j, i);
}

Test(kdf, payload_keys_of_each_epoch_are_the_vectors)
{
	struct hex key = vec("session-key"), uuid = vec("uuid");
	struct svr_payload_keys out;

	cr_assert_eq(svr_kdf_payload(key.bytes, uuid.bytes, 1, &out), 0);
	expect_vector("kdf.payload-1.out", &out, sizeof(out));
	cr_expect(memcmp(out.iv[SVR_DIR_REV], vec("kdf.payload-1.out").bytes + 96, 32) == 0,
		  "iv_rev is the last part");
	cr_assert_eq(svr_kdf_payload(key.bytes, uuid.bytes, 2, &out), 0);
	expect_vector("kdf.payload-2.out", &out, sizeof(out));
}

Test(kdf, every_input_changes_the_output)
{
	static const uint8_t salt[1] = { 1 }, secret[2] = { 1, 2 }, context[1] = { 3 };
	const struct {
		const char *name;
		size_t salt_len, secret_len, context_len;
		const char *label;
	} rows[] = {
		{ "the base", 0, 1, 0, "x" },
		{ "a salt", 1, 1, 0, "x" },
		{ "a longer secret", 0, 2, 0, "x" },
		{ "a context", 0, 1, 1, "x" },
		{ "another label", 0, 1, 0, "y" },
		{ "an empty label", 0, 1, 0, "" },
	};
	enum { ROWS = sizeof(rows) / sizeof(rows[0]) };
	uint8_t out[ROWS][32];
	int i, j;

	for (i = 0; i < ROWS; i++) {
		cr_assert_eq(svr_kdf(salt, rows[i].salt_len, secret, rows[i].secret_len,
				     rows[i].label, context, rows[i].context_len, out[i],
				     sizeof(out[i])),
			     0, "%s", rows[i].name);
		for (j = 0; j < i; j++)
			cr_expect(memcmp(out[i], out[j], sizeof(out[i])) != 0,
				  "%s gives other bytes than %s", rows[i].name, rows[j].name);
	}
}

/* HKDF of libcrypto, with the info string of the protocol. */
static void hkdf(const uint8_t *salt, size_t salt_len, const uint8_t *secret, size_t secret_len,
		 const char *label, const uint8_t *context, size_t context_len, uint8_t *out,
		 size_t out_len)
{
	static uint8_t zeros[48];
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, OSSL_KDF_NAME_HKDF, NULL);
	EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(kdf);
	uint8_t info[512];
	size_t len = (size_t)snprintf((char *)info, sizeof(info), "svr1 %s", label) + 1;
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)"SHA2-384", 0),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT,
						  salt_len ? (void *)salt : zeros,
						  salt_len ? salt_len : sizeof(zeros)),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)secret, secret_len),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info, len + context_len),
		OSSL_PARAM_construct_end(),
	};

	memcpy(info + len, context, context_len);
	cr_assert_gt(EVP_KDF_derive(ctx, out, out_len, params), 0);
	EVP_KDF_CTX_free(ctx);
	EVP_KDF_free(kdf);
}

Test(kdf, any_lengths_give_what_libcrypto_gives)
{
	/* around the ends of blocks (128 bytes) and hashes (48) */
	static const size_t salts[] = { 0, 1, 48, 127, 128, 129, 200 },
			    secrets[] = { 1, 32, 48, 111, 112, 127, 128, 129, 300 },
			    contexts[] = { 0, 18, 31, 32, 48, 64, 128 },
			    outs[] = { 1, 32, 47, 48, 49, 96, 128, 160, 500 };
	uint8_t salt[200], secret[300], context[128], got[500], want[500];
	uint64_t seed = 5869;
	size_t i, s, k, c, o;

	for (i = 0; i < sizeof(salt); i++)
		salt[i] = (uint8_t)test_random(&seed);
	for (i = 0; i < sizeof(secret); i++)
		secret[i] = (uint8_t)test_random(&seed);
	for (i = 0; i < sizeof(context); i++)
		context[i] = (uint8_t)test_random(&seed);
#define EACH(n, list) for (n = 0; n < sizeof(list) / sizeof(list[0]); n++)
	EACH(s, salts) EACH(k, secrets) EACH(c, contexts) EACH(o, outs)
	{
		cr_assert_eq(svr_kdf(salt, salts[s], secret, secrets[k], "lengths", context,
				     contexts[c], got, outs[o]),
			     0);
		hkdf(salt, salts[s], secret, secrets[k], "lengths", context, contexts[c], want,
		     outs[o]);
		cr_assert(memcmp(got, want, outs[o]) == 0,
			  "salt %zu, secret %zu, context %zu, out %zu bytes", salts[s], secrets[k],
			  contexts[c], outs[o]);
	}
#undef EACH
}

Test(kdf, more_output_than_the_standard_allows_is_refused)
{
	enum { MOST = 255 * 48 };
	static uint8_t out[MOST + 1];
	const uint8_t secret[16] = { 1 };

	cr_expect_eq(svr_kdf(NULL, 0, secret, sizeof(secret), "x", NULL, 0, out, MOST), 0);
	cr_expect_eq(svr_kdf(NULL, 0, secret, sizeof(secret), "x", NULL, 0, out, MOST + 1),
		     -EINVAL);
}

Test(kdf, what_is_refused_leaves_no_key_behind)
{
	static const uint8_t zeros[32];
	uint8_t secret[16] = { 1 }, context[129] = { 0 }, out[32];
	char label[130];
	const struct {
		const char *name;
		size_t secret_len, label_len, context_len;
		int err;
	} rows[] = {
		{ "the longest label and context are taken", 16, 128, 128, 0 },
		{ "a label of 129 bytes is refused", 16, 129, 0, -EINVAL },
		{ "a context of 129 bytes is refused", 16, 1, 129, -EINVAL },
		{ "an empty secret is refused", 0, 1, 0, -EINVAL },
	};
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		memset(label, 'l', sizeof(label));
		label[rows[i].label_len] = '\0';
		memset(out, 0xaa, sizeof(out));
		cr_expect_eq(svr_kdf(NULL, 0, secret, rows[i].secret_len, label, context,
				     rows[i].context_len, out, sizeof(out)),
			     rows[i].err, "%s", rows[i].name);
		if (rows[i].err)
			cr_expect(memcmp(out, zeros, sizeof(out)) == 0, "%s: output is wiped",
				  rows[i].name);
	}
}

Test(kdf, direction_number_follows_the_bytes_of_the_names)
{
	const struct {
		const char *sender, *receiver;
		int number;
	} rows[] = {
		{ "east", "west", 0 },
		{ "west", "east", 1 },
		{ "site", "site2", 0 },	/* a prefix is smaller */
		{ "site2", "site", 1 },
		{ "Z", "a", 0 },	/* bytes, not letters of a locale */
		{ "a\xc3", "az", 1 },	/* unsigned bytes */
		{ "same", "same", -EINVAL },
	};
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		cr_expect_eq(svr_direction_number(rows[i].sender, rows[i].receiver), rows[i].number,
			     "%s to %s", rows[i].sender, rows[i].receiver);
}

Test(kdf, the_vectors_are_what_the_script_computes)
{
	if (system("command -v python3 >/dev/null && command -v openssl >/dev/null && test -f tests/vectors/make_vectors.py"))
		cr_skip_test("needs python3, openssl and to run in the source directory");
	cr_expect_eq(system("python3 tests/vectors/make_vectors.py --check >&2"), 0,
		     "run tests/vectors/make_vectors.py");
}
