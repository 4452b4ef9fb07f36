// SPDX-License-Identifier: BSD-2-Clause
/*
 * HMAC, AES-CBC, the IV scheme and random bytes; the whole packets of docs/protocol.md section 11.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "lib/crypt.h"
#include "lib/kdf.h"
#include "lib/meta.h"
#include "tests/unit/vector.h"

static struct svr_crypt *c;

static void setup(void)
{
	cr_assert_eq(svr_crypt_new(&c), 0);
}

static void teardown(void)
{
	svr_crypt_free(c);
}

TestSuite(crypt, .init = setup, .fini = teardown);

/* ---- HMAC ------------------------------------------------------------------------------------ */

/* Key and data of RFC 4231 4.2 to 4.8 and RFC 2202 3, where a text is repeated @n times. */
struct hmac_case {
	const char *name;
	uint8_t alg;
	const char *key;
	size_t key_repeat;
	const char *data;
	size_t data_repeat;
	const char *tag;
};

#define AA "aa"
#define LARGER_KEY_FIRST \
	"54657374205573696e67204c6172676572205468616e20426c6f636b2d53697a65204b6579202d2048617368204b6579204669727374"
#define HI_THERE "4869205468657265"
#define JEFE "4a656665"
#define WHAT "7768617420646f2079612077616e7420666f72206e6f7468696e673f"

static const struct hmac_case hmac_cases[] = {
	{ "RFC 4231 case 1, SHA-256", SVR_HMAC_SHA256, "0b", 20, HI_THERE, 1,
	  "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7" },
	{ "RFC 4231 case 1, SHA-384", SVR_HMAC_SHA384, "0b", 20, HI_THERE, 1,
	  "afd03944d84895626b0825f4ab46907f15f9dadbe4101ec682aa034c7cebc59cfaea9ea9076ede7f4af152e8b2fa9cb6" },
	{ "RFC 4231 case 1, SHA-512", SVR_HMAC_SHA512, "0b", 20, HI_THERE, 1,
	  "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cdedaa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c20"
	  "3a126854" },
	{ "RFC 4231 case 2, SHA-256", SVR_HMAC_SHA256, JEFE, 1, WHAT, 1,
	  "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843" },
	{ "RFC 4231 case 2, SHA-384", SVR_HMAC_SHA384, JEFE, 1, WHAT, 1,
	  "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649" },
	{ "RFC 4231 case 2, SHA-512", SVR_HMAC_SHA512, JEFE, 1, WHAT, 1,
	  "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a"
	  "38bce737" },
	{ "RFC 4231 case 3, SHA-256", SVR_HMAC_SHA256, AA, 20, "dd", 50,
	  "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe" },
	{ "RFC 4231 case 3, SHA-384", SVR_HMAC_SHA384, AA, 20, "dd", 50,
	  "88062608d3e6ad8a0aa2ace014c8a86f0aa635d947ac9febe83ef4e55966144b2a5ab39dc13814b94e3ab6e101a34f27" },
	{ "RFC 4231 case 5, SHA-256 cut to 128 bits", SVR_HMAC_SHA256_128, "0c", 20,
	  "546573742057697468205472756e636174696f6e", 1, "a3b6167473100ee06e0c796c2955552b" },
	{ "RFC 4231 case 6, key longer than a block, SHA-256", SVR_HMAC_SHA256, AA, 131,
	  LARGER_KEY_FIRST, 1, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54" },
	{ "RFC 4231 case 6, key longer than a block, SHA-384", SVR_HMAC_SHA384, AA, 131,
	  LARGER_KEY_FIRST, 1,
	  "4ece084485813e9088d2c63a041bc5b44f9ef1012a2b588f3cd11f05033ac4c60c2ef6ab4030fe8296248df163f44952" },
	{ "RFC 4231 case 6, key longer than a block, SHA-512", SVR_HMAC_SHA512, AA, 131,
	  LARGER_KEY_FIRST, 1,
	  "80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f3526b56d037e05f2598bd0fd2215d6a1e5295e64f73f63f0aec8b915a98"
	  "5d786598" },
	{ "RFC 2202 case 1, SHA-1", SVR_HMAC_SHA1, "0b", 20, HI_THERE, 1,
	  "b617318655057264e28bc0b6fb378c8ef146be00" },
	{ "RFC 2202 case 2, SHA-1", SVR_HMAC_SHA1, JEFE, 1, WHAT, 1,
	  "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79" },
	{ "RFC 2202 case 6, SHA-1", SVR_HMAC_SHA1, AA, 80, LARGER_KEY_FIRST, 1,
	  "aa4ae5e15272d00e95705637ce8a3b55ed402112" },
};

static struct hex repeated(const char *text, size_t n)
{
	struct hex one = hex(text), all = { 0 };

	while (n--) {
		memcpy(all.bytes + all.len, one.bytes, one.len);
		all.len += one.len;
	}
	return all;
}

Test(crypt, hmac_of_every_algorithm_is_that_of_the_rfcs)
{
	struct hex key, data, want;
	struct svr_hmac_key *k;
	uint8_t tag[SVR_TAG_MAX];
	size_t i;

	for (i = 0; i < sizeof(hmac_cases) / sizeof(hmac_cases[0]); i++) {
		const struct hmac_case *row = &hmac_cases[i];

		key = repeated(row->key, row->key_repeat);
		data = repeated(row->data, row->data_repeat);
		want = hex(row->tag);
		cr_assert_eq(svr_hmac_tag_len(row->alg), want.len, "%s", row->name);
		cr_assert_eq(svr_hmac_key_new(c, row->alg, key.bytes, key.len, &k), 0, "%s",
			     row->name);
		cr_assert_eq(svr_hmac_sign(c, k, &(struct svr_bytes){ data.bytes, data.len }, 1,
					   tag),
			     0);
		cr_expect(memcmp(tag, want.bytes, want.len) == 0, "%s", row->name);
		cr_expect_eq(svr_hmac_verify(c, k, &(struct svr_bytes){ data.bytes, data.len }, 1,
					     want.bytes),
			     0, "%s", row->name);
		svr_hmac_key_free(k);
	}
}

Test(crypt, hmac_of_every_algorithm_is_the_vector)
{
	struct hex keys = vec("kdf.session-hmac.out"), data = vec("hmac.data"), want;
	char name[] = "hmac.0";
	struct svr_hmac_key *k;
	uint8_t tag[SVR_TAG_MAX], alg;

	for (alg = SVR_HMAC_SHA1; alg <= SVR_HMAC_SHA512; alg++) {
		name[5] = (char)('0' + alg);
		want = vec(name);
		cr_assert_eq(svr_hmac_key_new(c, alg, keys.bytes + SVR_HMAC_KEY_LEN,
					      SVR_HMAC_KEY_LEN, &k),
			     0);
		cr_assert_eq(svr_hmac_sign(c, k, &(struct svr_bytes){ data.bytes, data.len }, 1,
					   tag),
			     0);
		cr_expect_eq(svr_hmac_tag_len(alg), want.len);
		cr_expect(memcmp(tag, want.bytes, want.len) == 0, "algorithm %d", alg);
		svr_hmac_key_free(k);
	}
}

Test(crypt, hmac_of_unknown_algorithms_is_refused)
{
	struct svr_hmac_key *k = (void *)1;
	uint8_t key[1] = { 0 };
	int alg;

	for (alg = 0; alg <= UINT8_MAX; alg++) {
		if (alg >= SVR_HMAC_SHA1 && alg <= SVR_HMAC_SHA512)
			continue;
		cr_expect_eq(svr_hmac_key_new(c, (uint8_t)alg, key, sizeof(key), &k), -EINVAL, "%d",
			     alg);
		cr_expect_null(k);
		cr_expect_eq(svr_hmac_tag_len((uint8_t)alg), 0, "%d", alg);
	}
}

Test(crypt, hmac_does_not_depend_on_how_the_input_is_cut)
{
	uint8_t data[300], key[SVR_HMAC_KEY_LEN], whole[SVR_TAG_MAX], tag[SVR_TAG_MAX];
	struct svr_hmac_key *k;
	uint64_t seed = 3;
	size_t a, b, i;

	for (i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)test_random(&seed);
	memcpy(key, data, sizeof(key));
	cr_assert_eq(svr_hmac_key_new(c, SVR_HMAC_SHA384, key, sizeof(key), &k), 0);
	svr_hmac_sign(c, k, &(struct svr_bytes){ data, sizeof(data) }, 1, whole);
	for (i = 0; i < 500; i++) {
		a = test_random(&seed) % (sizeof(data) + 1);
		b = a + test_random(&seed) % (sizeof(data) - a + 1);
		struct svr_bytes pieces[] = {
			{ data, a },
			{ NULL, 0 },
			{ data + a, b - a },
			{ data + b, sizeof(data) - b },
		};

		cr_assert_eq(svr_hmac_sign(c, k, pieces, 4, tag), 0);
		cr_assert(memcmp(tag, whole, svr_hmac_tag_len(SVR_HMAC_SHA384)) == 0,
			  "cut at %zu and %zu", a, b);
	}
	svr_hmac_key_free(k);
}

Test(crypt, hmac_verify_refuses_every_wrong_bit_and_stays_usable)
{
	struct hex data = vec("hmac.data"), keys = vec("kdf.session-hmac.out");
	struct svr_hmac_key *k;
	uint8_t *tag, alg;
	size_t bit, len;

	for (alg = SVR_HMAC_SHA1; alg <= SVR_HMAC_SHA512; alg++) {
		struct svr_bytes in = { data.bytes, data.len };

		len = svr_hmac_tag_len(alg);
		tag = malloc(len); /* exactly: neither sign nor verify may touch a byte behind it */
		cr_assert_not_null(tag);
		cr_assert_eq(svr_hmac_key_new(c, alg, keys.bytes, SVR_HMAC_KEY_LEN, &k), 0);
		cr_assert_eq(svr_hmac_sign(c, k, &in, 1, tag), 0);
		for (bit = 0; bit < 8 * len; bit++) {
			tag[bit / 8] ^= (uint8_t)(1 << bit % 8);
			cr_assert_eq(svr_hmac_verify(c, k, &in, 1, tag), -EBADMSG,
				     "algorithm %d, bit %zu", alg, bit);
			tag[bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
		cr_expect_eq(svr_hmac_verify(c, k, &in, 1, tag), 0, "algorithm %d", alg);
		for (bit = 0; bit < 8 * data.len; bit++) {
			data.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
			cr_assert_eq(svr_hmac_verify(c, k, &in, 1, tag), -EBADMSG, "data bit %zu",
				     bit);
			data.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
		cr_expect_eq(svr_hmac_verify(c, k, &in, 0, tag), -EBADMSG, "no input at all");
		svr_hmac_key_free(k);
		free(tag);
	}
}

/* ---- AES-CBC --------------------------------------------------------------------------------- */

Test(crypt, cbc_is_that_of_nist)
{
	/* NIST SP 800-38A F.2.1 and F.2.5; ours has a block of padding behind it */
	static const struct {
		uint8_t cipher;
		const char *key, *out;
	} rows[] = {
		{ SVR_CIPHER_AES_CBC_128, "2b7e151628aed2a6abf7158809cf4f3c",
		  "7649abac8119b246cee98e9b12e9197d5086cb9b507219ee95db113a917678b2"
		  "73bed6b8e3c1743b7116e69e222295163ff1caa1681fac09120eca307586e1a7" },
		{ SVR_CIPHER_AES_CBC_256,
		  "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4",
		  "f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d"
		  "39f23369a9d9bacfa530e26304231461b2eb05e2c39be9fcda6c19078c6a9d1b" },
	};
	struct hex iv = hex("000102030405060708090a0b0c0d0e0f");
	struct hex plain = hex("6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
			       "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710");
	struct svr_cipher_key *k;
	uint8_t buf[80];
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		cr_assert_eq(
			svr_cipher_key_new(c, rows[i].cipher, hex(rows[i].key).bytes, NULL, &k), 0);
		memcpy(buf, plain.bytes, plain.len);
		cr_assert_eq(svr_cbc_encrypt(c, k, iv.bytes, buf, plain.len), 80);
		cr_expect(memcmp(buf, hex(rows[i].out).bytes, 64) == 0, "cipher %d",
			  rows[i].cipher);
		cr_assert_eq(svr_cbc_decrypt(c, k, iv.bytes, buf, 80), 64);
		cr_expect(memcmp(buf, plain.bytes, 64) == 0);
		svr_cipher_key_free(k);
	}
}

Test(crypt, cbc_brings_every_length_back_and_stays_inside_its_room)
{
	uint8_t key[32] = { 1 }, iv[16] = { 2 }, plain[100], *buf;
	struct svr_cipher_key *k;
	uint64_t seed = 4;
	size_t len;
	int n;

	for (len = 0; len < sizeof(plain); len++)
		plain[len] = (uint8_t)test_random(&seed);
	cr_assert_eq(svr_cipher_key_new(c, SVR_CIPHER_AES_CBC_256, key, NULL, &k), 0);
	for (len = 0; len <= sizeof(plain); len++) {
		cr_assert_eq(svr_cbc_len(len), 16 * (len / 16 + 1));
		buf = malloc(svr_cbc_len(len));
		cr_assert_not_null(buf);
		memcpy(buf, plain, len);
		n = svr_cbc_encrypt(c, k, iv, buf, len);
		cr_assert_eq(n, (int)svr_cbc_len(len), "%zu bytes", len);
		cr_assert(len == 0 || memcmp(buf, plain, len) != 0 || len < 4,
			  "%zu bytes are not encrypted", len);
		cr_assert_eq(svr_cbc_decrypt(c, k, iv, buf, (size_t)n), (int)len, "%zu bytes", len);
		cr_assert(memcmp(buf, plain, len) == 0, "%zu bytes", len);
		free(buf);
	}
	svr_cipher_key_free(k);
}

Test(crypt, cbc_refuses_lengths_that_no_sender_makes)
{
	uint8_t key[32] = { 1 }, iv[16] = { 2 }, buf[64] = { 0 };
	struct svr_cipher_key *k;
	size_t len;

	cr_assert_eq(svr_cipher_key_new(c, SVR_CIPHER_AES_CBC_256, key, NULL, &k), 0);
	for (len = 0; len < sizeof(buf); len++)
		if (len == 0 || len % 16)
			cr_expect_eq(svr_cbc_decrypt(c, k, iv, buf, len), -EBADMSG, "%zu bytes",
				     len);
	cr_expect_eq(svr_cbc_decrypt(c, k, iv, buf, SIZE_MAX - 15), -EBADMSG);
	cr_expect_eq(svr_cbc_encrypt(c, k, iv, buf, 65537), -EINVAL);
	cr_expect_eq(svr_cbc_encrypt(c, k, iv, buf, SIZE_MAX), -EINVAL);
	svr_cipher_key_free(k);
}

Test(crypt, cbc_refuses_every_wrong_padding)
{
	uint8_t key[32] = { 1 }, iv[16] = { 2 }, empty[16], buf[16], wrong_iv[16];
	struct svr_cipher_key *k;
	int last, at;

	cr_assert_eq(svr_cipher_key_new(c, SVR_CIPHER_AES_CBC_256, key, NULL, &k), 0);
	cr_assert_eq(svr_cbc_encrypt(c, k, iv, empty, 0), 16);
	/*
	 * A changed IV changes the same bits of the first block: the plain text is sixteen bytes of
	 * 16, but for the last one.
	 */
	for (last = 0; last < 256; last++) {
		memcpy(wrong_iv, iv, sizeof(iv));
		wrong_iv[15] ^= (uint8_t)(16 ^ last);
		memcpy(buf, empty, sizeof(buf));
		cr_expect_eq(svr_cbc_decrypt(c, k, wrong_iv, buf, 16),
			     last == 16 ? 0 :
			     last == 1	? 15 :
					  -EBADMSG,
			     "last byte %d", last);
	}
	for (at = 0; at < 15; at++) {
		memcpy(wrong_iv, iv, sizeof(iv));
		wrong_iv[at] ^= 1;
		memcpy(buf, empty, sizeof(buf));
		cr_expect_eq(svr_cbc_decrypt(c, k, wrong_iv, buf, 16), -EBADMSG,
			     "padding byte %d is wrong", at);
	}
	svr_cipher_key_free(k);
}

Test(crypt, ciphers_that_are_not_ours_are_refused)
{
	struct svr_cipher_key *k = (void *)1;
	uint8_t key[32] = { 0 };
	int cipher;

	for (cipher = 0; cipher <= UINT8_MAX; cipher++) {
		if (cipher >= SVR_CIPHER_AES_CBC_128 && cipher <= SVR_CIPHER_AES_GCM_256)
			continue;
		cr_expect_eq(svr_cipher_key_new(c, (uint8_t)cipher, key, NULL, &k), -ENOTSUP, "%d",
			     cipher);
		cr_expect_null(k);
	}
}

/* ---- IV scheme ------------------------------------------------------------------------------- */

static struct svr_cipher_key *payload_key(uint16_t epoch, enum svr_dir dir)
{
	struct svr_payload_keys keys;
	struct svr_cipher_key *k;

	cr_assert_eq(svr_kdf_payload(vec("session-key").bytes, vec("uuid").bytes, epoch, &keys), 0);
	cr_assert_eq(svr_cipher_key_new(c, SVR_CIPHER_AES_CBC_256, keys.enc[dir], keys.iv[dir], &k),
		     0);
	return k;
}

Test(crypt, iv_is_the_vector)
{
	static const struct {
		const char *name;
		enum svr_dir dir;
		uint16_t epoch;
		uint64_t counter;
	} rows[] = {
		{ "iv.fwd-1-1", SVR_DIR_FWD, 1, 1 },
		{ "iv.fwd-1-2", SVR_DIR_FWD, 1, 2 },
		{ "iv.rev-1-1", SVR_DIR_REV, 1, 1 },
		{ "iv.fwd-2-1", SVR_DIR_FWD, 2, 1 },
		{ "iv.fwd-1-max", SVR_DIR_FWD, 1, 1ULL << 48 },
	};
	struct svr_cipher_key *k;
	uint8_t iv[16];
	uint16_t epoch;
	uint64_t counter;
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		k = payload_key(1, rows[i].dir);
		cr_assert_eq(svr_iv_make(c, k, rows[i].epoch, rows[i].counter, iv), 0);
		cr_expect(memcmp(iv, vec(rows[i].name).bytes, 16) == 0, "%s", rows[i].name);
		cr_assert_eq(svr_iv_open(c, k, iv, &epoch, &counter), 0);
		cr_expect_eq(epoch, rows[i].epoch, "%s", rows[i].name);
		cr_expect_eq(counter, rows[i].counter, "%s", rows[i].name);
		svr_cipher_key_free(k);
	}
}

static int block_compare(const void *a, const void *b)
{
	return memcmp(a, b, 16);
}

Test(crypt, ivs_never_repeat_and_bring_epoch_and_counter_back_in_order)
{
	enum { COUNTERS = 20000, EPOCHS = 3 };
	uint8_t(*ivs)[16] = malloc(2 * EPOCHS * COUNTERS * sizeof(*ivs));
	struct svr_cipher_key *k;
	uint16_t epoch, e;
	uint64_t counter, n;
	size_t count = 0, i;
	int dir;

	cr_assert_not_null(ivs);
	for (dir = SVR_DIR_FWD; dir <= SVR_DIR_REV; dir++) {
		k = payload_key(1, dir);
		for (e = 1; e <= EPOCHS; e++) {
			for (n = 1; n <= COUNTERS; n++, count++) {
				cr_assert_eq(svr_iv_make(c, k, e, n, ivs[count]), 0);
				cr_assert_eq(svr_iv_open(c, k, ivs[count], &epoch, &counter), 0);
				cr_assert(epoch == e && counter == n, "epoch %d, counter %lu", e,
					  n);
			}
		}
		svr_cipher_key_free(k);
	}
	qsort(ivs, count, sizeof(*ivs), block_compare);
	for (i = 1; i < count; i++)
		cr_assert_neq(memcmp(ivs[i - 1], ivs[i], 16), 0, "an IV came twice");
	free(ivs);
}

Test(crypt, iv_of_another_session_or_direction_is_refused)
{
	struct svr_cipher_key *fwd = payload_key(1, SVR_DIR_FWD),
			      *rev = payload_key(1, SVR_DIR_REV),
			      *next = payload_key(2, SVR_DIR_FWD);
	uint8_t iv[16];
	uint16_t epoch;
	uint64_t counter;
	int bit;

	cr_assert_eq(svr_iv_make(c, fwd, 1, 77, iv), 0);
	cr_expect_eq(svr_iv_open(c, rev, iv, &epoch, &counter), -EBADMSG, "other direction");
	cr_expect_eq(svr_iv_open(c, next, iv, &epoch, &counter), -EBADMSG, "keys of another epoch");
	for (bit = 0; bit < 128; bit++) {
		iv[bit / 8] ^= (uint8_t)(1 << bit % 8);
		cr_expect_eq(svr_iv_open(c, fwd, iv, &epoch, &counter), -EBADMSG, "bit %d", bit);
		iv[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	cr_expect_eq(svr_iv_open(c, fwd, iv, &epoch, &counter), 0);
	svr_cipher_key_free(fwd);
	svr_cipher_key_free(rev);
	svr_cipher_key_free(next);
}

Test(crypt, a_key_without_iv_key_makes_no_ivs)
{
	uint8_t key[32] = { 1 }, iv[16] = { 0 };
	struct svr_cipher_key *k;
	uint16_t epoch;
	uint64_t counter;

	cr_assert_eq(svr_cipher_key_new(c, SVR_CIPHER_AES_CBC_256, key, NULL, &k), 0);
	cr_expect_eq(svr_iv_make(c, k, 1, 1, iv), -EINVAL);
	cr_expect_eq(svr_iv_open(c, k, iv, &epoch, &counter), -EINVAL);
	svr_cipher_key_free(k);
}

/* ---- random ---------------------------------------------------------------------------------- */

Test(crypt, random_bytes_of_any_length_come_and_none_comes_twice)
{
	enum { BLOCKS = 4000 };
	uint8_t(*blocks)[16] = calloc(BLOCKS, sizeof(*blocks));
	uint8_t *big = malloc(3 * 4096 + 5);
	int i;

	cr_assert(blocks && big);
	for (i = 0; i < BLOCKS; i++) {
		/* odd requests in between move the borders of the pool to every phase */
		cr_assert_eq(svr_crypt_random(c, big, (size_t)i % 37), 0);
		cr_assert_eq(svr_crypt_random(c, blocks[i], 16), 0);
	}
	cr_assert_eq(svr_crypt_random(c, big, 3 * 4096 + 5), 0);
	qsort(blocks, BLOCKS, sizeof(*blocks), block_compare);
	for (i = 1; i < BLOCKS; i++)
		cr_assert_neq(memcmp(blocks[i - 1], blocks[i], 16), 0,
			      "16 random bytes came twice");
	free(blocks);
	free(big);
}

Test(crypt, freeing_nothing_is_fine)
{
	svr_crypt_free(NULL);
	svr_hmac_key_free(NULL);
	svr_cipher_key_free(NULL);
}

/* ---- whole packets --------------------------------------------------------------------------- */

/*
 * One example of docs/protocol.md section 11 taken apart by hand, so that nothing of the worker's
 * code is needed.
 */
struct example {
	const char *name;
	uint8_t hmac;
	uint8_t to_east;	/* sent by west: key hmac1 */
	uint8_t metadata, encrypted;
	uint8_t dir;
	uint64_t window, counter;
	const char *payload;
};

static const struct example examples[] = {
	{ "signed-udp", SVR_HMAC_SHA256_128, 1, 1, 0, SVR_DIR_FWD, 0, 0, "who is there?" },
	{ "signed-tcp", SVR_HMAC_SHA256_128, 0, 0, 0, SVR_DIR_REV, 0, 0, "it is me" },
	{ "secret-udp", SVR_HMAC_SHA384, 1, 1, 1, SVR_DIR_FWD, 850000000, 1, "who is there?" },
	{ "secret-syn", SVR_HMAC_SHA384, 1, 1, 1, SVR_DIR_FWD, 850000000, 1, "" },
	{ "secret-tcp", SVR_HMAC_SHA384, 0, 0, 1, SVR_DIR_REV, 850000000, 5,
	  "HTTP/1.1 200 OK\r\n" },
};

static struct hex example_vec(const char *name, const char *part)
{
	char full[64];

	snprintf(full, sizeof(full), "%s.%s", name, part);
	return vec(full);
}

/* The HMAC input of section 6 in pieces, in the way of a receiver. */
static int example_verify(const struct example *e, struct hex *packet, size_t l4_at,
			  size_t payload_at)
{
	struct hex keys = vec("kdf.session-hmac.out"), uuid = vec("uuid");
	uint8_t unsent[8 + 16 + 1] = { 0 }, tcp[60];
	size_t tag_len = svr_hmac_tag_len(e->hmac), tcp_len = 0;
	struct svr_hmac_key *k;
	int i, ret;

	for (i = 0; i < 8; i++)
		unsent[i] = (uint8_t)(e->window >> (56 - 8 * i));
	if (!e->metadata)
		memcpy(unsent + 8, uuid.bytes, 16);
	unsent[24] = e->dir;
	if (packet->bytes[9] == 6) {
		tcp_len = payload_at - l4_at - 4;
		memcpy(tcp, packet->bytes + l4_at + 4, tcp_len);
		memset(tcp + 12, 0, 2);
	}
	struct svr_bytes pieces[] = {
		{ tcp, tcp_len },
		{ packet->bytes + payload_at, packet->len - payload_at - tag_len },
		{ unsent, sizeof(unsent) },
	};

	cr_assert_eq(svr_hmac_key_new(c, e->hmac, keys.bytes + (e->to_east ? SVR_HMAC_KEY_LEN : 0),
				      SVR_HMAC_KEY_LEN, &k),
		     0);
	ret = svr_hmac_verify(c, k, pieces, 3, packet->bytes + packet->len - tag_len);
	svr_hmac_key_free(k);
	return ret;
}

/* Decrypts and checks the metadata at @p, rebuilds it and compares. Return: its length. */
static size_t example_metadata(const struct example *e, uint8_t *p, size_t len)
{
	struct hex plain = example_vec(e->name, "metadata-plain"), iv = vec("metadata-iv");
	uint8_t enc[32], built[SVR_META_MAX];
	struct svr_cipher_key *k;
	struct svr_meta m;
	size_t total;
	int n;

	cr_assert(e->to_east);
	cr_assert_eq(svr_kdf_metadata(vec("kdf.session-hmac.out").bytes + SVR_HMAC_KEY_LEN,
				      vec("metadata-key").bytes, enc),
		     0);
	cr_assert_eq(svr_cipher_key_new(c, SVR_CIPHER_AES_CBC_256, enc, NULL, &k), 0);
	cr_assert_eq(svr_meta_parse_header(p, len, &m), 0);
	cr_expect_eq(m.security_id, 7);
	cr_expect_eq(m.peer_key_index, 3);
	cr_expect_eq(m.hmac, e->hmac);
	cr_expect_eq(m.cipher, e->encrypted ? SVR_CIPHER_AES_CBC_256 : SVR_CIPHER_NONE);
	total = (size_t)m.header_len + m.payload_len;

	cr_assert_geq(m.payload_len, 2 * 16);
	cr_expect(memcmp(p + total - 16, iv.bytes, 16) == 0, "%s: IV behind the ciphertext",
		  e->name);
	n = svr_cbc_decrypt(c, k, p + total - 16, p + m.header_len, m.payload_len - 16u);
	cr_assert_eq(n, (int)plain.len);
	cr_expect(memcmp(p + m.header_len, plain.bytes, plain.len) == 0, "%s: metadata", e->name);
	cr_assert_eq(svr_meta_parse_payload(p + m.header_len, (size_t)n, &m), 0);
	cr_expect_str_eq(m.source_router, "west");
	cr_expect_eq(!!(m.have & SVR_HAVE_SESSION_KEY), e->encrypted);

	/* and back */
	n = svr_meta_build(built, sizeof(built), &m);
	cr_assert_gt(n, 0);
	n = svr_cbc_encrypt(c, k, iv.bytes, built + m.header_len, m.payload_len);
	memcpy(built + m.header_len + n, iv.bytes, 16);
	svr_meta_set_payload_len(built, (uint16_t)(n + 16));
	cr_assert_eq((size_t)m.header_len + (size_t)n + 16, total);
	cr_expect(memcmp(built, example_vec(e->name, "metadata").bytes, total) == 0,
		  "%s: built metadata", e->name);
	svr_cipher_key_free(k);
	return total;
}

/*
 * Another peer of `east` has the metadata key, but not the HMAC keys of `east` and `west`: with keys of
 * its own, or none, it does not get the session key out of what it sees on the WAN.
 */
Test(crypt, another_peer_of_the_receiver_does_not_decrypt_metadata)
{
	struct hex packet = vec("secret-udp.metadata"), plain = vec("secret-udp.metadata-plain");
	struct hex meta_key = vec("metadata-key");
	uint8_t theirs[SVR_PEER_KEY_LEN] = { 0xee }, hmac[2][SVR_HMAC_KEY_LEN], enc[3][32];
	uint8_t text[1024];
	struct svr_cipher_key *k;
	struct svr_meta m;
	size_t len, i;
	int n;

	cr_assert_eq(svr_kdf_session_hmac(theirs, hmac), 0);
	cr_assert_eq(svr_kdf_metadata(hmac[0], meta_key.bytes, enc[0]), 0);
	cr_assert_eq(svr_kdf_metadata(hmac[1], meta_key.bytes, enc[1]), 0);
	cr_assert_eq(
		svr_kdf(NULL, 0, meta_key.bytes, meta_key.len, "metadata", NULL, 0, enc[2], 32), 0);
	cr_assert_eq(svr_meta_parse_header(packet.bytes, packet.len, &m), 0);
	len = m.payload_len - 16u;
	for (i = 0; i < 3; i++) {
		cr_assert_eq(svr_cipher_key_new(c, SVR_CIPHER_AES_CBC_256, enc[i], NULL, &k), 0);
		memcpy(text, packet.bytes + m.header_len, len);
		n = svr_cbc_decrypt(c, k, packet.bytes + packet.len - 16, text, len);
		/* The padding may look right by chance, no more than that */
		cr_expect(n < 0 || memcmp(text, plain.bytes, 16) != 0, "key %zu", i);
		cr_expect(!memmem(text, len, vec("session-key").bytes, SVR_SESSION_KEY_LEN),
			  "key %zu gives the session key", i);
		svr_cipher_key_free(k);
	}
}

static void example_payload(const struct example *e, uint8_t *p, size_t len)
{
	struct svr_cipher_key *k;
	uint16_t epoch;
	uint64_t counter;
	int n = (int)len;

	if (e->encrypted) {
		cr_assert_geq(len, 16);
		k = payload_key(1, e->dir);
		cr_assert_eq(svr_iv_open(c, k, p + len - 16, &epoch, &counter), 0, "%s", e->name);
		cr_expect_eq(epoch, 1);
		cr_expect_eq(counter, e->counter);
		n = len == 16 ? 0 : svr_cbc_decrypt(c, k, p + len - 16, p, len - 16);
		svr_cipher_key_free(k);
	}
	cr_assert_eq(n, (int)strlen(e->payload), "%s: %d", e->name, n);
	cr_expect(memcmp(p, e->payload, (size_t)n) == 0, "%s: payload", e->name);
}

Test(crypt, packets_of_the_protocol_text_are_understood)
{
	size_t i, bit, l4_at = 20, payload_at, tag_len, meta_len;

	for (i = 0; i < sizeof(examples) / sizeof(examples[0]); i++) {
		const struct example *e = &examples[i];
		struct hex packet = example_vec(e->name, "packet");

		tag_len = svr_hmac_tag_len(e->hmac);
		payload_at =
			l4_at +
			(packet.bytes[9] == 6 ? (size_t)(packet.bytes[l4_at + 12] >> 4) * 4 : 8);
		cr_assert_eq(example_verify(e, &packet, l4_at, payload_at), 0, "%s: tag", e->name);
		/*
		 * from the TCP sequence number or the UDP payload to the end, no bit but those of
		 * the TCP checksum may change
		 */
		for (bit = 8 * (packet.bytes[9] == 6 ? l4_at + 4 : payload_at);
		     bit < 8 * packet.len; bit++) {
			if (packet.bytes[9] == 6 &&
			    (bit / 8 == l4_at + 16 || bit / 8 == l4_at + 17))
				continue;
			packet.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
			cr_assert_eq(example_verify(e, &packet, l4_at, payload_at), -EBADMSG,
				     "%s: bit %zu", e->name, bit);
			packet.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
		meta_len = e->metadata ? example_metadata(e, packet.bytes + payload_at,
							  packet.len - payload_at - tag_len) :
					 0;
		example_payload(e, packet.bytes + payload_at + meta_len,
				packet.len - payload_at - meta_len - tag_len);
	}
}
