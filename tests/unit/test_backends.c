// SPDX-License-Identifier: BSD-2-Clause
/*
 * The backends of lib/crypt.h: NIST and RFC vectors with each, and random packets of random lengths,
 * keys and algorithms in batches, where both have to make the same bytes. BACKENDS_PACKETS says how
 * many (make check-backends: a million).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include <svr/limits.h>

#include "lib/crypt.h"
#include "tests/unit/vector.h"

enum {
	PACKETS = 20000,
	ROOM = 3072,
	FRONT = 96, /* bytes in front of the text, signed only */
	TEXT_MAX = 2720, /* bytes: longest frame of the worker */
	UNSENT = 25, /* bytes behind the text, signed only; the tag comes on top of them */
	KEYS = 40,
	SECRET = 64, /* bytes */
};

static struct svr_crypt *openssl, *mb;

/* Both, or the reason why there is no second one. */
static bool both(void)
{
	struct svr_crypt_info info;
	struct svr_crypt *any;
	int err;

	cr_assert_eq(svr_crypt_new_backend(SVR_CRYPT_OPENSSL, &openssl), 0);
	err = svr_crypt_new_backend(SVR_CRYPT_IPSEC_MB, &mb);
	cr_assert(err == 0 || err == -EOPNOTSUPP);
	if (!err)
		return true;
	cr_assert_eq(svr_crypt_new(&any), 0);
	svr_crypt_describe(any, &info);
	printf("# OpenSSL alone: %s\n", info.why);
	svr_crypt_free(any);
	return false;
}

static void none(void)
{
	svr_crypt_free(openssl);
	svr_crypt_free(mb);
	openssl = mb = NULL;
}

TestSuite(backends, .fini = none);

/* ---- vectors ------------------------------------------------------------------------------- */

#define K128 "feffe9928665731c6d6a8f9467308308"
#define GCM_TEXT                                                           \
	"d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72" \
	"1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"
#define GCM_AAD "feedfacedeadbeeffeedfacedeadbeefabaddad2"
#define GCM_IV	"cafebabefacedbaddecaf888"
#define ZERO16	"00000000000000000000000000000000"
#define ZERO12	"000000000000000000000000"
#define SP800_38A                                                          \
	"6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51" \
	"30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710"

static const struct cipher_case {
	const char *name;
	uint8_t cipher;
	const char *key, *iv, *aad, *plain, *text, *tag;
} cipher_cases[] = {
	{ "SP 800-38A F.2.1, CBC-AES128", SVR_CIPHER_AES_CBC_128,
	  "2b7e151628aed2a6abf7158809cf4f3c", "000102030405060708090a0b0c0d0e0f", "", SP800_38A,
	  "7649abac8119b246cee98e9b12e9197d5086cb9b507219ee95db113a917678b2"
	  "73bed6b8e3c1743b7116e69e222295163ff1caa1681fac09120eca307586e1a7",
	  "" },
	{ "SP 800-38A F.2.5, CBC-AES256", SVR_CIPHER_AES_CBC_256,
	  "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4",
	  "000102030405060708090a0b0c0d0e0f", "", SP800_38A,
	  "f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d"
	  "39f23369a9d9bacfa530e26304231461b2eb05e2c39be9fcda6c19078c6a9d1b",
	  "" },
	{ "GCM specification, case 1", SVR_CIPHER_AES_GCM_128, ZERO16, ZERO12, "", "", "",
	  "58e2fccefa7e3061367f1d57a4e7455a" },
	{ "GCM specification, case 2", SVR_CIPHER_AES_GCM_128, ZERO16, ZERO12, "", ZERO16,
	  "0388dace60b6a392f328c2b971b2fe78", "ab6e47d42cec13bdf53a67b21257bddf" },
	{ "GCM specification, case 4", SVR_CIPHER_AES_GCM_128, K128, GCM_IV, GCM_AAD, GCM_TEXT,
	  "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e"
	  "21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091",
	  "5bc94fbc3221a5db94fae95ae7121a47" },
	{ "GCM specification, case 13", SVR_CIPHER_AES_GCM_256, ZERO16 ZERO16, ZERO12, "", "", "",
	  "530f8afbc74536b9a963b4f1c4cb738b" },
	{ "GCM specification, case 14", SVR_CIPHER_AES_GCM_256, ZERO16 ZERO16, ZERO12, "", ZERO16,
	  "cea7403d4d606b6e074ec5d3baf39d18", "d0d1c8a799996bf0265b98b5d48ab919" },
	{ "GCM specification, case 16", SVR_CIPHER_AES_GCM_256, K128 K128, GCM_IV, GCM_AAD,
	  GCM_TEXT,
	  "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
	  "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662",
	  "76fc6ece0f4e1768cddf8853bb2d551b" },
};

static void cipher_case_run(struct svr_crypt *c, const char *who, const struct cipher_case *row)
{
	struct hex key = hex(row->key), iv = hex(row->iv), aad = hex(row->aad);
	struct hex plain = hex(row->plain), text = hex(row->text), tag = hex(row->tag);
	struct svr_crypt_job job = { .text = plain.bytes,
				     .text_len = plain.len,
				     .iv = iv.bytes,
				     .aad = aad.bytes,
				     .aad_len = aad.len },
			     *one = &job;
	uint8_t got[SVR_GCM_TAG_LEN] = { 0 };

	job.gcm_tag = tag.len ? got : NULL;
	cr_assert_eq(svr_cipher_key_new(c, row->cipher, key.bytes, NULL, &job.cipher), 0);
	svr_crypt_seal(c, &one, 1);
	cr_expect_eq(job.err, 0, "%s, %s", who, row->name);
	cr_expect(memcmp(plain.bytes, text.bytes, text.len) == 0, "%s, %s", who, row->name);
	cr_expect(memcmp(got, tag.bytes, tag.len) == 0, "%s, %s: tag", who, row->name);
	svr_crypt_open(c, &one, 1);
	cr_expect_eq(job.err, 0, "%s, %s", who, row->name);
	plain = hex(row->plain);
	cr_expect(memcmp(job.text, plain.bytes, plain.len) == 0, "%s, %s: back", who, row->name);
	if (tag.len) {
		got[3] ^= 1;
		svr_crypt_open(c, &one, 1);
		cr_expect_eq(job.err, -EBADMSG, "%s, %s: wrong tag", who, row->name);
	}
	svr_cipher_key_free(job.cipher);
}

/* RFC 4231 case 2 and RFC 2202 case 2: key "Jefe" */
static const struct {
	uint8_t hmac;
	const char *tag;
} hmac_cases[] = {
	{ SVR_HMAC_SHA1, "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79" },
	{ SVR_HMAC_SHA256, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843" },
	{ SVR_HMAC_SHA256_128, "5bdcc146bf60754e6a042426089575c7" },
	{ SVR_HMAC_SHA384,
	  "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ec"
	  "fab21649" },
	{ SVR_HMAC_SHA512,
	  "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65"
	  "f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737" },
};

static void hmac_cases_run(struct svr_crypt *c, const char *who)
{
	static const char text[] = "what do ya want for nothing?";
	uint8_t tag[SVR_TAG_MAX];
	size_t i;

	for (i = 0; i < sizeof(hmac_cases) / sizeof(hmac_cases[0]); i++) {
		struct svr_crypt_job job = { .input = (const uint8_t *)text,
					     .input_len = sizeof(text) - 1,
					     .tag = tag },
				     *one = &job;
		struct hex want = hex(hmac_cases[i].tag);

		cr_assert_eq(svr_hmac_key_new(c, hmac_cases[i].hmac, (const uint8_t *)"Jefe", 4,
					      &job.hmac),
			     0);
		svr_crypt_tag(c, &one, 1);
		cr_expect_eq(job.err, 0);
		cr_expect_eq(want.len, svr_hmac_tag_len(hmac_cases[i].hmac));
		cr_expect(memcmp(tag, want.bytes, want.len) == 0, "%s, HMAC %d", who,
			  hmac_cases[i].hmac);
		svr_hmac_key_free(job.hmac);
	}
}

Test(backends, vectors_of_nist_and_the_rfcs_with_each)
{
	bool two = both();
	size_t i;

	for (i = 0; i < sizeof(cipher_cases) / sizeof(cipher_cases[0]); i++) {
		cipher_case_run(openssl, "OpenSSL", &cipher_cases[i]);
		if (two)
			cipher_case_run(mb, "ipsec-mb", &cipher_cases[i]);
	}
	hmac_cases_run(openssl, "OpenSSL");
	if (two)
		hmac_cases_run(mb, "ipsec-mb");
}

/* ---- random packets ------------------------------------------------------------------------ */

static struct svr_cipher_key *cipher_keys[KEYS];
static struct svr_hmac_key *hmac_keys[KEYS];

static void fill_random(uint64_t *seed, uint8_t *to, size_t len)
{
	uint64_t r;

	for (; len >= sizeof(r); to += sizeof(r), len -= sizeof(r)) {
		r = test_random(seed);
		memcpy(to, &r, sizeof(r));
	}
	r = test_random(seed);
	memcpy(to, &r, len);
}

static void keys_make(uint64_t *seed)
{
	uint8_t secret[SECRET];
	int i;

	for (i = 0; i < KEYS; i++) {
		fill_random(seed, secret, sizeof(secret));
		cr_assert_eq(svr_cipher_key_new(mb, (uint8_t)(SVR_CIPHER_AES_CBC_128 + i % 4),
						secret, secret + SECRET / 2, &cipher_keys[i]),
			     0);
		cr_assert_eq(svr_hmac_key_new(openssl, (uint8_t)(SVR_HMAC_SHA1 + i % 5), secret,
					      SVR_HMAC_KEY_LEN, &hmac_keys[i]),
			     0);
	}
}

static void keys_free(void)
{
	int i;

	for (i = 0; i < KEYS; i++) {
		svr_cipher_key_free(cipher_keys[i]);
		svr_hmac_key_free(hmac_keys[i]);
	}
}

struct packet {
	struct svr_crypt_job job;
	uint8_t iv[SVR_BLOCK_LEN], tag[SVR_TAG_MAX];
	uint8_t room[ROOM];
};

static struct packet ours[SVR_CRYPT_BATCH_MAX], theirs[SVR_CRYPT_BATCH_MAX],
	before[SVR_CRYPT_BATCH_MAX];
static struct svr_crypt_job *our_jobs[SVR_CRYPT_BATCH_MAX], *their_jobs[SVR_CRYPT_BATCH_MAX];

/* A packet laid out as the worker does it: header, text, trailer, unsent bytes where the tag goes. */
static void packet_make(uint64_t *seed, struct packet *p, bool with_cipher, bool with_hmac)
{
	struct svr_crypt_job *j = &p->job;
	size_t text_len = test_random(seed) % 8 ? test_random(seed) % TEXT_MAX :
						  test_random(seed) % 64;
	size_t front = test_random(seed) % FRONT, trailer = SVR_BLOCK_LEN;
	bool gcm;

	*j = (struct svr_crypt_job){ 0 };
	fill_random(seed, p->room, sizeof(p->room));
	fill_random(seed, p->iv, sizeof(p->iv));
	if (with_cipher) {
		j->cipher = cipher_keys[test_random(seed) % KEYS];
		gcm = svr_cipher_is_gcm(svr_cipher_of(j->cipher));
		j->text = p->room + front;
		j->text_len = gcm ? text_len : text_len / SVR_BLOCK_LEN * SVR_BLOCK_LEN;
		text_len = j->text_len;
		j->iv = p->iv;
		j->aad = p->room;
		j->aad_len = front;
		if (gcm)
			j->gcm_tag = p->room + front + text_len;
	}
	if (with_hmac) {
		j->hmac = hmac_keys[test_random(seed) % KEYS];
		j->input = p->room;
		j->input_len = front + text_len + trailer + UNSENT;
		j->tag = p->room + front + text_len + trailer;
	}
}

static void packet_copy(struct packet *to, const struct packet *from)
{
	*to = *from;
	if (from->job.text)
		to->job.text = to->room + (from->job.text - from->room);
	if (from->job.iv)
		to->job.iv = to->iv;
	if (from->job.aad)
		to->job.aad = to->room;
	if (from->job.gcm_tag)
		to->job.gcm_tag = to->room + (from->job.gcm_tag - from->room);
	if (from->job.input)
		to->job.input = to->room;
	if (from->job.tag)
		to->job.tag = to->room + (from->job.tag - from->room);
}

static void batch_same(unsigned int count, const char *what)
{
	unsigned int i;

	for (i = 0; i < count; i++) {
		cr_assert_eq(ours[i].job.err, 0, "%s", what);
		cr_assert_eq(theirs[i].job.err, 0, "%s", what);
		cr_assert(memcmp(ours[i].room, theirs[i].room, ROOM) == 0,
			  "%s: packet %u of %u, cipher %d, %zu bytes", what, i, count,
			  ours[i].job.cipher ? svr_cipher_of(ours[i].job.cipher) : 0,
			  ours[i].job.text_len);
	}
}

/* Texts are what they were before. */
static void batch_back(unsigned int count)
{
	unsigned int i;

	for (i = 0; i < count; i++)
		if (ours[i].job.cipher)
			cr_assert(memcmp(ours[i].job.text, before[i].job.text,
					 ours[i].job.text_len) == 0,
				  "opened text of packet %u", i);
}

static unsigned int jobs_if(unsigned int count, bool cipher)
{
	unsigned int i, n = 0;

	for (i = 0; i < count; i++) {
		if (cipher ? !ours[i].job.cipher : !ours[i].job.hmac)
			continue;
		our_jobs[n] = &ours[i].job;
		their_jobs[n++] = &theirs[i].job;
	}
	return n;
}

/* One changed bit in a GCM tag or text: both refuse just that packet. */
static void batch_forged(uint64_t *seed, unsigned int count)
{
	unsigned int victim = (unsigned int)(test_random(seed) % count), i;
	unsigned int n = jobs_if(count, true);
	struct svr_crypt_job *j = &ours[victim].job;

	if (!j->gcm_tag)
		return;
	j->gcm_tag[test_random(seed) % SVR_GCM_TAG_LEN] ^= 1;
	memcpy(theirs[victim].room, ours[victim].room, ROOM);
	svr_crypt_open(openssl, our_jobs, n);
	svr_crypt_open(mb, their_jobs, n);
	for (i = 0; i < count; i++) {
		if (!ours[i].job.cipher)
			continue;
		cr_assert_eq(ours[i].job.err, i == victim ? -EBADMSG : 0);
		cr_assert_eq(theirs[i].job.err, i == victim ? -EBADMSG : 0);
	}
	svr_crypt_seal(openssl, &j, 1); /* undoes the decryption, makes the right tag again */
}

static void batch_run(uint64_t *seed, unsigned int count)
{
	unsigned int i, n;
	uint64_t kind;

	for (i = 0; i < count; i++) {
		kind = test_random(seed) % 4; /* both twice as often */
		packet_make(seed, &before[i], kind != 1, kind != 2);
		packet_copy(&ours[i], &before[i]);
		packet_copy(&theirs[i], &before[i]);
		our_jobs[i] = &ours[i].job;
		their_jobs[i] = &theirs[i].job;
	}
	svr_crypt_seal(openssl, our_jobs, count);
	svr_crypt_seal(mb, their_jobs, count);
	batch_same(count, "seal");
	for (i = 0; i < count; i++) {
		ours[i].job.tag = ours[i].tag;
		theirs[i].job.tag = theirs[i].tag;
	}
	n = jobs_if(count, false);
	svr_crypt_tag(openssl, our_jobs, n);
	svr_crypt_tag(mb, their_jobs, n);
	for (i = 0; i < count; i++)
		cr_assert(!ours[i].job.hmac || memcmp(ours[i].tag, theirs[i].tag, 16) == 0, "tag");
	n = jobs_if(count, true);
	svr_crypt_open(openssl, our_jobs, n);
	svr_crypt_open(mb, their_jobs, n);
	batch_same(count, "open");
	batch_back(count);
	svr_crypt_seal(openssl, our_jobs, n);
	svr_crypt_seal(mb, their_jobs, n);
	batch_forged(seed, count);
}

Test(backends, both_make_the_same_bytes_of_random_packets, .timeout = 600)
{
	const char *more = getenv("BACKENDS_PACKETS");
	unsigned long packets = more ? strtoul(more, NULL, 10) : PACKETS, done = 0;
	uint64_t seed = 20261129;
	unsigned int count;

	if (!both())
		return;
	keys_make(&seed);
	while (done < packets) {
		count = 1 + (unsigned int)(test_random(&seed) % SVR_CRYPT_BATCH_MAX);
		batch_run(&seed, count);
		done += count;
	}
	printf("# %lu packets\n", done);
	keys_free();
}

Test(backends, the_iv_of_a_counter_is_the_same)
{
	struct svr_cipher_key *k;
	uint8_t secret[SECRET], one[SVR_BLOCK_LEN], other[SVR_BLOCK_LEN];
	uint64_t seed = 7, counter, back;
	uint16_t epoch, back_epoch;
	int i;

	if (!both())
		return;
	for (i = 0; i < 2000; i++) {
		fill_random(&seed, secret, sizeof(secret));
		epoch = (uint16_t)test_random(&seed);
		counter = test_random(&seed) >> (i % 64);
		cr_assert_eq(svr_cipher_key_new(mb, SVR_CIPHER_AES_CBC_128, secret,
						secret + SECRET / 2, &k),
			     0);
		cr_assert_eq(svr_iv_make(openssl, k, epoch, counter, one), 0);
		cr_assert_eq(svr_iv_make(mb, k, epoch, counter, other), 0);
		cr_assert(memcmp(one, other, sizeof(one)) == 0);
		cr_assert_eq(svr_iv_open(mb, k, one, &back_epoch, &back), 0);
		cr_assert(back_epoch == epoch && back == counter);
		one[i % SVR_BLOCK_LEN] ^= 1;
		cr_assert_eq(svr_iv_open(mb, k, one, &back_epoch, &back), -EBADMSG);
		svr_cipher_key_free(k);
	}
}

/* Keys of one direction in memory that is just big enough, between bytes that must stay. */
Test(backends, a_key_in_memory_of_the_caller)
{
	enum { SPACE = 4096, GUARD = SVR_CIPHER_KEY_ALIGN };
	static uint8_t room[SPACE] __attribute__((aligned(SVR_CIPHER_KEY_ALIGN)));
	struct svr_cipher_key *k = (struct svr_cipher_key *)(room + GUARD), *other;
	uint8_t secret[SECRET], text[64], tag[SVR_GCM_TAG_LEN], iv[SVR_BLOCK_LEN] = { 1 };
	struct svr_crypt_job job, *one = &job;
	uint64_t seed = 11;
	uint8_t cipher;
	size_t i, len;
	int way;

	if (!both())
		return;
	for (cipher = SVR_CIPHER_AES_CBC_128; cipher <= SVR_CIPHER_AES_GCM_256; cipher++) {
		for (way = 0; way < 2; way++) {
			const enum svr_crypt_use use = way ? SVR_CRYPT_TO_SEAL : SVR_CRYPT_TO_OPEN;

			fill_random(&seed, secret, sizeof(secret));
			len = svr_cipher_key_size(mb, cipher, use);
			cr_assert_leq(len, SPACE - 2 * GUARD);
			memset(room, 0x5a, sizeof(room));
			cr_assert_eq(svr_cipher_key_set(mb, k, cipher, use, secret,
							secret + SECRET / 2),
				     0);
			for (i = 0; i < GUARD; i++)
				cr_assert(room[i] == 0x5a && room[GUARD + len + i] == 0x5a);
			cr_assert_eq(svr_cipher_key_new(openssl, cipher, secret,
							secret + SECRET / 2, &other),
				     0);
			memset(text, 0x33, sizeof(text));
			job = (struct svr_crypt_job){ .cipher = way ? k : other, .text = text,
						      .text_len = sizeof(text), .iv = iv,
						      .gcm_tag = tag };
			svr_crypt_seal(way ? mb : openssl, &one, 1);
			cr_assert_eq(job.err, 0);
			job.cipher = way ? other : k;
			svr_crypt_open(way ? openssl : mb, &one, 1);
			cr_assert_eq(job.err, 0);
			for (i = 0; i < sizeof(text); i++)
				cr_assert_eq(text[i], 0x33);
			/* Of CBC the other use has no round keys */
			job.cipher = k;
			if (!way)
				svr_crypt_seal(mb, &one, 1);
			else if (svr_cipher_is_cbc(cipher))
				svr_crypt_open(mb, &one, 1);
			else /* a tag that is right again */
				svr_crypt_seal(openssl, &one, 1), svr_crypt_open(mb, &one, 1);
			cr_assert_eq(job.err, svr_cipher_is_cbc(cipher) ? -EIO : 0);
			svr_cipher_key_free(other);
		}
	}
}

/* ---- choice -------------------------------------------------------------------------------- */

Test(backends, words_about_the_choice)
{
	struct svr_crypt_info info;
	struct svr_crypt *c;
	bool two = both();

	svr_crypt_describe(openssl, &info);
	cr_expect_str_eq(info.backend, "openssl");
	cr_expect_str_not_empty(info.openssl);
	cr_expect_eq(info.batch_min, 0);
	cr_assert_eq(svr_crypt_new(&c), 0);
	svr_crypt_describe(c, &info);
	cr_expect_str_eq(info.backend, two ? "ipsec-mb" : "openssl");
	cr_expect_str_not_empty(info.why);
	cr_expect_eq(info.batch_min > 1, two, "single packets are OpenSSL's");
	svr_crypt_free(c);
}
