// SPDX-License-Identifier: BSD-2-Clause
/*
 * Key exchange, message by message: two state machines and a test that carries the messages. How
 * packets are sealed is asserted by the test, so what a sealed but wrong message does can be seen
 * here; the whole system is in tests/peers. Also Diffie-Hellman, the messages themselves and the
 * clock offset.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <svr/drops.h>

#include "lib/bytes.h"
#include "lib/kdf.h"
#include "lib/kex.h"
#include "tests/certs.h"

/* ---- Diffie-Hellman -------------------------------------------------------------------------- */

Test(dh, both_get_the_same_in_every_group)
{
	static const uint16_t groups[] = { SVR_DH_MODP1024, SVR_DH_FFDHE2048, SVR_DH_FFDHE4096 };
	uint8_t y[2][SVR_DH_MAX_LEN], z[2][SVR_DH_MAX_LEN];
	struct svr_dh_secret *s[2];
	size_t i;
	int k;

	for (i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
		for (k = 0; k < 2; k++)
			cr_assert_eq(svr_dh_openssl.generate(groups[i], &s[k], y[k]), 0);
		cr_expect(memcmp(y[0], y[1], svr_dh_len(groups[i])) != 0);
		for (k = 0; k < 2; k++)
			cr_assert_eq(svr_dh_openssl.derive(s[k], y[!k], z[k]), 0);
		cr_expect_arr_eq(z[0], z[1], svr_dh_len(groups[i]));
		svr_dh_openssl.free(s[0]);
		svr_dh_openssl.free(s[1]);
	}
}

/* RFC 2409 6.2 and RFC 7919 A.1: first and last bytes; generators are 2. */
Test(dh, range_of_received_values)
{
	static const struct {
		uint16_t group;
		size_t len;
	} groups[] = { { SVR_DH_MODP1024, 128 },
		       { SVR_DH_FFDHE2048, 256 },
		       { SVR_DH_FFDHE4096, 512 } };
	static const uint8_t modp1024_end[] = { 0x49, 0x28, 0x66, 0x51, 0xEC, 0xE6, 0x53, 0x81,
						0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF };
	uint8_t y[SVR_DH_MAX_LEN], own[SVR_DH_MAX_LEN], z[SVR_DH_MAX_LEN];
	struct svr_dh_secret *s;
	size_t i;

	for (i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
		size_t len = groups[i].len;

		cr_assert_eq(svr_dh_len(groups[i].group), len);
		cr_assert_eq(svr_dh_openssl.generate(groups[i].group, &s, own), 0);
		memset(y, 0, sizeof(y));
		cr_expect_eq(svr_dh_openssl.derive(s, y, z), -SVR_DROP_KEX_VALUE, "0");
		y[len - 1] = 1;
		cr_expect_eq(svr_dh_openssl.derive(s, y, z), -SVR_DROP_KEX_VALUE, "1");
		y[len - 1] = 2;
		cr_expect_eq(svr_dh_openssl.derive(s, y, z), 0, "2");
		memset(y, 0xff, sizeof(y));
		cr_expect_eq(svr_dh_openssl.derive(s, y, z), -SVR_DROP_KEX_VALUE, "above p");
		svr_dh_openssl.free(s);
	}
	/*
	 * p - 1 and p - 2 of the group whose prime is short enough to write down: only its end is
	 * in question here
	 */
	cr_assert_eq(svr_dh_openssl.generate(SVR_DH_MODP1024, &s, own), 0);
	{
		BIGNUM *p = BN_get_rfc2409_prime_1024(NULL);

		BN_bn2binpad(p, y, 128);
		cr_expect_arr_eq(y + 128 - sizeof(modp1024_end), modp1024_end,
				 sizeof(modp1024_end));
		cr_expect_eq(svr_dh_openssl.derive(s, y, z), -SVR_DROP_KEX_VALUE, "p");
		BN_sub_word(p, 1);
		BN_bn2binpad(p, y, 128);
		cr_expect_eq(svr_dh_openssl.derive(s, y, z), -SVR_DROP_KEX_VALUE, "p - 1");
		BN_sub_word(p, 1);
		BN_bn2binpad(p, y, 128);
		cr_expect_eq(svr_dh_openssl.derive(s, y, z), 0, "p - 2");
		BN_free(p);
	}
	svr_dh_openssl.free(s);
	cr_expect_eq(svr_dh_openssl.generate(4711, &s, own), -EINVAL);
	cr_expect_eq(svr_dh_len(4711), 0);
	cr_expect_eq(svr_dh_group_of_bits(2048), SVR_DH_FFDHE2048);
	cr_expect_eq(svr_dh_group_of_bits(3072), 0);
}

/* ---- messages -------------------------------------------------------------------------------- */

Test(kexmsg, fields_in_order_and_once)
{
	/* AUTH: exchange id, signature */
	static const uint8_t good[] = { 0, 1, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0, 9, 0, 2, 0xaa, 0xbb };
	static const struct {
		const char *name;
		uint8_t bytes[40];
		size_t len;
	} bad[] = {
		{ "empty", { 0 }, 0 },
		{ "no signature", { 0, 1, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8 }, 12 },
		{ "wrong order",
		  { 0, 9, 0, 2, 0xaa, 0xbb, 0, 1, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8 },
		  18 },
		{ "twice",
		  { 0, 1, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0, 1,	 0,
		    8, 1, 2, 3, 4, 5, 6, 7, 8, 0, 9, 0, 2, 0xaa, 0xbb },
		  30 },
		{ "short id", { 0, 1, 0, 7, 1, 2, 3, 4, 5, 6, 7, 0, 9, 0, 2, 0xaa, 0xbb }, 17 },
		{ "empty signature", { 0, 1, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0, 9, 0, 0 }, 16 },
		{ "something behind",
		  { 0, 1, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0, 9, 0, 2, 0xaa, 0xbb, 0, 11, 0, 0 },
		  22 },
		{ "byte behind",
		  { 0, 1, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0, 9, 0, 2, 0xaa, 0xbb, 0 },
		  19 },
	};
	struct svr_kex_fields f;
	size_t i;

	cr_assert_eq(svr_kexmsg_parse(SVR_KEX_AUTH_I, good, sizeof(good), &f), 0);
	cr_expect_eq(f.exchange, 0x0102030405060708);
	cr_expect_eq(f.signature_len, 2);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_expect_eq(svr_kexmsg_parse(SVR_KEX_AUTH_I, bad[i].bytes, bad[i].len, &f),
			     -SVR_DROP_BFD_METADATA, "%s", bad[i].name);
	cr_expect_eq(svr_kexmsg_parse((enum svr_kex_message)9, good, sizeof(good), &f),
		     -SVR_DROP_BFD_METADATA);
}

Test(kexmsg, pieces_in_any_order)
{
	uint8_t message[SVR_KEX_MESSAGE_MAX];
	struct svr_kex_buffer b = { 0 };
	struct svr_kex_piece piece;
	static const size_t lengths[] = { 1, 799, 800, 801, 1600, 6000, SVR_KEX_MESSAGE_MAX };
	unsigned int k, count, done;
	size_t i, n;

	for (n = 0; n < sizeof(message); n++)
		message[n] = (uint8_t)(n * 31 + n / 256);
	for (i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		count = svr_kexmsg_pieces(lengths[i]);
		done = 0;
		for (k = 0; k < 2 * count;
		     k++) { /* each twice, backwards, the last one only in the end */
			svr_kexmsg_cut(SVR_KEX_INIT, 7, message, lengths[i],
				       k < count ? count - 1 - k / 2 : 2 * count - 1 - k, &piece);
			cr_assert_eq(svr_kexmsg_check_piece(&piece), 0);
			done = (unsigned int)svr_kex_buffer_add(&b, &piece);
		}
		cr_expect_eq(done, 1, "%zu bytes", lengths[i]);
		cr_expect_eq(b.total, lengths[i]);
		cr_expect_arr_eq(b.data, message, lengths[i]);
		svr_kex_buffer_clear(&b);
	}
}

Test(kexmsg, a_piece_that_came_is_not_written_again)
{
	uint8_t good[1000], bad[1000];
	struct svr_kex_buffer b = { 0 };
	struct svr_kex_piece piece;

	memset(good, 1, sizeof(good));
	memset(bad, 2, sizeof(bad));
	svr_kexmsg_cut(SVR_KEX_INIT, 7, good, sizeof(good), 0, &piece);
	cr_assert_eq(svr_kex_buffer_add(&b, &piece), 0);
	svr_kexmsg_cut(SVR_KEX_INIT, 7, bad, sizeof(bad), 0, &piece);
	cr_assert_eq(svr_kex_buffer_add(&b, &piece), 0);
	svr_kexmsg_cut(SVR_KEX_INIT, 7, good, sizeof(good), 1, &piece);
	cr_assert_eq(svr_kex_buffer_add(&b, &piece), 1);
	cr_expect_arr_eq(b.data, good, sizeof(good));
	svr_kex_buffer_clear(&b);
}

Test(kexmsg, pieces_that_do_not_fit)
{
	static const uint8_t bytes[SVR_KEX_PIECE_LEN] = { 0 };
	static const struct {
		const char *name;
		struct svr_kex_piece piece;
	} rows[] = {
		{ "total 0", { 1, 0, 1, 0, 7, bytes, 1 } },
		{ "total above the limit", { 1, 0, 21, SVR_KEX_MESSAGE_MAX + 1, 7, bytes, 800 } },
		{ "number behind the last", { 1, 2, 2, 1000, 7, bytes, 200 } },
		{ "count that does not fit the total", { 1, 0, 3, 1000, 7, bytes, 800 } },
		{ "no pieces", { 1, 0, 0, 1000, 7, bytes, 800 } },
		{ "short first piece", { 1, 0, 2, 1000, 7, bytes, 799 } },
		{ "long last piece", { 1, 1, 2, 1000, 7, bytes, 201 } },
		{ "empty", { 1, 0, 1, 10, 7, bytes, 0 } },
	};
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		cr_expect_eq(svr_kexmsg_check_piece(&rows[i].piece), -SVR_DROP_KEX_PIECES, "%s",
			     rows[i].name);
}

/* ---- two state machines ---------------------------------------------------------------------- */

enum { QUEUE_MAX = 64 };

struct letter {
	enum svr_kex_seal seal;
	struct svr_kex_piece piece;
	uint8_t bytes[SVR_KEX_PIECE_LEN];
};

struct side {
	const char *name;
	struct svr_kex kex;
	struct svr_kex_buffer buffer;
	struct svr_pki_identity *identity;
	struct svr_pki_trust *trust;
	struct letter out[QUEUE_MAX];
	unsigned int n_out;
	uint32_t pending_index, confirmed_index;
	uint8_t pending_key[48];
	unsigned int confirmed, computed, allowed;
	bool no_rekey;
	int last_refused;
};

enum { JOBS_MAX = 8 };
static struct svr_kex_job *jobs[JOBS_MAX];
static unsigned int n_jobs;

static struct side east = { .name = "east" }, west = { .name = "west" };
static struct svr_now now;

static int side_random(void *user, void *out, size_t len)
{
	static uint8_t counter;
	uint8_t *p = out;

	(void)user;
	while (len--)
		*p++ = (uint8_t)(++counter * 97 + 13);
	return 0;
}

static bool side_may_compute(void *user, uint64_t now_ns)
{
	struct side *s = user;

	(void)now_ns;
	return s->computed++ < s->allowed;
}

static int side_compute(void *user, struct svr_kex_job *job)
{
	(void)user;
	cr_assert_lt(n_jobs, JOBS_MAX);
	jobs[n_jobs++] = job;
	return 0;
}

static bool side_may_rekey(void *user)
{
	return !((struct side *)user)->no_rekey;
}

static void side_refused(void *user, int drop)
{
	((struct side *)user)->last_refused = drop;
}

static bool side_index_free(void *user, uint32_t index)
{
	return index != ((struct side *)user)->confirmed_index;
}

static void side_send(void *user, int path, enum svr_kex_seal seal,
		      const struct svr_kex_piece *piece)
{
	struct side *s = user;
	struct letter *l = &s->out[s->n_out];

	(void)path;
	cr_assert_lt(s->n_out, QUEUE_MAX);
	s->n_out++;
	l->seal = seal;
	l->piece = *piece;
	memcpy(l->bytes, piece->data, piece->len);
}

static int side_pending(void *user, uint32_t index, const uint8_t *key)
{
	struct side *s = user;

	s->pending_index = key ? index : 0;
	memset(s->pending_key, 0, sizeof(s->pending_key));
	if (key)
		memcpy(s->pending_key, key, sizeof(s->pending_key));
	return 0;
}

static void side_confirmed(void *user, const uint8_t *fingerprint, bool authenticated,
			   struct svr_now at)
{
	struct side *s = user;

	(void)fingerprint, (void)authenticated, (void)at;
	s->confirmed++;
	s->confirmed_index = s->pending_index;
	s->pending_index = 0;
}

static void side_log(void *user, bool warn, const char *text)
{
	(void)user, (void)warn, (void)text;
}

static struct svr_kex_ops side_ops = {
	.random = side_random,
	.may_compute = side_may_compute,
	.compute = side_compute,
	.may_rekey = side_may_rekey,
	.refused = side_refused,
	.index_free = side_index_free,
	.send = side_send,
	.pending = side_pending,
	.confirmed = side_confirmed,
	.log = side_log,
};

static void side_make(struct side *s, struct side *peer, const struct test_cert *peer_cert)
{
	struct svr_kex_config c = { .own_name = s->name,
				    .peer_name = peer->name,
				    .identity = s->identity,
				    .group = SVR_DH_FFDHE2048,
				    .retransmit_ms = 30000,
				    .timeout_s = 3600 };
	uint8_t fingerprint[32];

	s->allowed = 1000;
	test_cert_fingerprint(peer_cert, fingerprint);
	cr_assert_eq(svr_pki_trust_new(&s->trust), 0);
	svr_pki_trust_fingerprint(s->trust, fingerprint);
	c.trust = s->trust;
	cr_assert_eq(svr_kex_init(&s->kex, &c, &side_ops, s), 0);
}

static void setup(void)
{
	struct test_cert e = test_cert_make(&(struct test_cert_spec){ .common_name = "east" });
	struct test_cert w = test_cert_make(&(struct test_cert_spec){ .common_name = "west" });

	side_ops.dh = &svr_dh_openssl;
	now = (struct svr_now){ 1000 * SVR_NS_PER_SEC, (uint64_t)time(NULL) * SVR_NS_PER_SEC };
	east.identity = test_cert_identity_one(&e);
	west.identity = test_cert_identity_one(&w);
	side_make(&east, &west, &w);
	side_make(&west, &east, &e);
	test_cert_free(&e);
	test_cert_free(&w);
}

static void teardown(void)
{
	struct side *s[] = { &east, &west };
	int i;

	for (i = 0; i < 2; i++) {
		svr_kex_clear(&s[i]->kex);
		svr_kex_buffer_clear(&s[i]->buffer);
		svr_pki_trust_free(s[i]->trust);
		svr_pki_identity_free(s[i]->identity);
	}
}

TestSuite(kex, .init = setup, .fini = teardown);

/* Computations end; what they refused last, or 0. */
static int compute(struct side *s)
{
	unsigned int i, n = n_jobs;
	struct svr_kex_job *run[JOBS_MAX];

	s->last_refused = 0;
	memcpy(run, jobs, sizeof(run));
	n_jobs = 0;
	for (i = 0; i < n; i++) {
		svr_kex_job_run(run[i]);
		svr_kex_job_done(run[i], now);
	}
	return s->last_refused;
}

static int deliver(struct side *to, struct letter *l, enum svr_kex_seal seal)
{
	int ret;

	l->piece.data = l->bytes;
	ret = svr_kex_receive(&to->kex, 0, &to->buffer, &l->piece, seal, now);
	return ret ? ret : compute(to);
}

static void want(struct side *s)
{
	svr_kex_want(&s->kex, true, now);
	compute(s);
}

static void tick(struct side *s)
{
	svr_kex_tick(&s->kex, now);
	compute(s);
}

/* All letters of one side, as they were sealed; the last result. */
static int carry(struct side *from, struct side *to)
{
	unsigned int i, n = from->n_out;
	struct letter copy[QUEUE_MAX];
	int ret = 0;

	memcpy(copy, from->out, sizeof(copy));
	from->n_out = 0;
	for (i = 0; i < n; i++)
		ret = deliver(to, &copy[i], copy[i].seal);
	return ret;
}

static void until_auth_i(void)
{
	want(&east);
	cr_assert_eq(carry(&east, &west), 0);
	cr_assert_eq(carry(&west, &east), 0);
	cr_assert_eq(east.kex.x.phase, SVR_KEX_PHASE_AUTH_SENT);
	cr_assert_eq(east.n_out, 1);
}

Test(kex, four_messages)
{
	until_auth_i();
	cr_expect_eq(east.out[0].seal, SVR_KEX_SEAL_NEW);
	cr_expect_eq(east.pending_index, west.pending_index);
	cr_expect_arr_eq(east.pending_key, west.pending_key, 48);
	cr_expect_eq(east.confirmed + west.confirmed, 0,
		     "before the signatures nobody has confirmed anything");
	cr_assert_eq(carry(&east, &west), 0);
	cr_expect_eq(west.confirmed, 1);
	cr_expect_eq(east.confirmed, 0);
	cr_assert_eq(carry(&west, &east), 0);
	cr_expect_eq(east.confirmed, 1);
	cr_expect_eq(east.confirmed_index, west.confirmed_index);
	cr_expect(east.kex.cert_received && east.kex.cert_acked && east.kex.salt_received &&
		  east.kex.salt_acked);
	cr_expect(west.kex.cert_received && west.kex.cert_acked && west.kex.salt_received &&
		  west.kex.salt_acked);
	cr_expect_arr_eq(east.kex.own_salt, west.kex.peer_salt, 32);
}

/*
 * The peer key as docs/protocol.md section 9 computes it, from the messages and the secret of one
 * side.
 */
Test(kex, key_is_what_the_text_says)
{
	uint8_t t[48], z[256], salt[64], key[48], length[4];
	struct svr_kex_bytes init, resp;
	struct svr_kex_fields fi, fr;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();

	want(&east);
	cr_assert_eq(carry(&east, &west), 0);
	init = east.kex.x.init;
	resp = west.kex.x.resp;
	cr_assert_eq(svr_kexmsg_parse(SVR_KEX_INIT, init.data, init.len, &fi), 0);
	cr_assert_eq(svr_kexmsg_parse(SVR_KEX_RESP, resp.data, resp.len, &fr), 0);
	cr_assert_eq(fi.group_count, 2, "the configured group and what is stronger");
	cr_assert_eq(fi.groups[0], fi.group);
	cr_assert_eq(fi.groups[1], SVR_DH_FFDHE4096);
	cr_assert_eq(svr_dh_openssl.derive(east.kex.x.secret, fr.public_value, z), 0);
	EVP_DigestInit_ex(ctx, EVP_sha384(), NULL);
	svr_put32(length, (uint32_t)init.len);
	EVP_DigestUpdate(ctx, length, 4);
	EVP_DigestUpdate(ctx, init.data, init.len);
	svr_put32(length, (uint32_t)resp.len);
	EVP_DigestUpdate(ctx, length, 4);
	EVP_DigestUpdate(ctx, resp.data, resp.len);
	EVP_DigestFinal_ex(ctx, t, NULL);
	EVP_MD_CTX_free(ctx);
	memcpy(salt, fi.salt, 32);
	memcpy(salt + 32, fr.salt, 32);
	cr_assert_eq(svr_kdf(salt, 64, z, 256, "peer key", t, 48, key, 48), 0);
	cr_expect_arr_eq(west.pending_key, key, 48);
	cr_expect_eq(west.pending_index, fi.key_index);
}

/* What is signed, byte by byte: label, NUL, role, T. */
static void expect_signed(const struct svr_pki_peer *signer, const struct letter *l, char role,
			  const uint8_t *t)
{
	uint8_t in[17 + 1 + 1 + 48];
	struct svr_kex_fields f;

	memcpy(in, "svr1 key exchange", 18);
	in[18] = (uint8_t)role;
	memcpy(in + 19, t, 48);
	cr_assert_eq(svr_kexmsg_parse((enum svr_kex_message)l->piece.message, l->bytes,
				      l->piece.len, &f),
		     0);
	cr_expect_eq(svr_pki_peer_check_signature(signer, in, sizeof(in), f.signature,
						  f.signature_len),
		     0, "role %c", role);
}

Test(kex, signatures_are_what_the_text_says)
{
	uint8_t t[48];

	until_auth_i();
	memcpy(t, east.kex.x.transcript, sizeof(t));
	expect_signed(west.kex.x.peer, &east.out[0], 'I', t);
	cr_assert_eq(carry(&east, &west), 0);
	expect_signed(east.kex.x.peer, &west.out[0], 'R', t);
}

Test(kex, wrong_signature_ends_it_at_the_responder)
{
	until_auth_i();
	east.out[0].bytes[east.out[0].piece.len - 1] ^= 1;
	cr_expect_eq(carry(&east, &west), -SVR_DROP_KEX_SIGNATURE);
	cr_expect_eq(west.confirmed, 0);
	cr_expect_eq(west.pending_index, 0, "the key is forgotten");
	cr_expect_eq(west.kex.x.phase, SVR_KEX_PHASE_NONE);
	cr_expect(strstr(west.kex.reason, "signature"), "%s", west.kex.reason);
}

Test(kex, wrong_signature_ends_it_at_the_initiator)
{
	until_auth_i();
	cr_assert_eq(carry(&east, &west), 0);
	west.out[0].bytes[west.out[0].piece.len - 1] ^= 1;
	cr_expect_eq(carry(&west, &east), -SVR_DROP_KEX_SIGNATURE);
	cr_expect_eq(east.confirmed, 0);
	cr_expect_eq(east.pending_index, 0);
}

Test(kex, signature_of_the_other_role_does_not_fit)
{
	struct letter own;

	until_auth_i();
	own = east.out[0];
	cr_assert_eq(carry(&east, &west), 0);
	own.piece.message = SVR_KEX_AUTH_R; /* east's own AUTH, reflected with another number */
	cr_expect_eq(deliver(&east, &own, SVR_KEX_SEAL_NEW), -SVR_DROP_KEX_SIGNATURE);
	cr_expect_eq(east.confirmed, 0);
}

Test(kex, auth_counts_only_under_the_new_key)
{
	struct letter l;

	until_auth_i();
	l = east.out[0];
	cr_expect_eq(deliver(&west, &l, SVR_KEX_SEAL_NONE), -SVR_DROP_KEX_STATE);
	cr_expect_eq(deliver(&west, &l, SVR_KEX_SEAL_CURRENT), -SVR_DROP_KEX_STATE);
	cr_expect_eq(west.confirmed, 0);
	cr_assert_eq(carry(&east, &west), 0);
	l = west.out[0];
	cr_expect_eq(deliver(&east, &l, SVR_KEX_SEAL_NONE), -SVR_DROP_KEX_STATE);
	cr_expect_eq(east.confirmed, 0);
}

Test(kex, resp_must_be_sealed_like_init)
{
	struct letter l;

	cr_assert_eq(svr_kex_rekey(&east.kex, now), 0);
	compute(&east);
	cr_expect_eq(east.out[0].seal, SVR_KEX_SEAL_CURRENT);
	carry(&east, &west);
	cr_assert_gt(west.n_out, 0);
	cr_expect_eq(west.out[0].seal, SVR_KEX_SEAL_CURRENT);
	l = west.out[0];
	cr_expect_eq(deliver(&east, &l, SVR_KEX_SEAL_NONE), -SVR_DROP_KEX_STATE);
	cr_expect_eq(east.kex.x.phase, SVR_KEX_PHASE_INIT_SENT);
}

Test(kex, init_is_never_sealed_by_a_key_that_is_not_confirmed)
{
	want(&east);
	cr_expect_eq(deliver(&west, &east.out[0], SVR_KEX_SEAL_NEW), -SVR_DROP_KEX_STATE);
}

Test(kex, both_start_the_smaller_name_wins)
{
	want(&east);
	want(&west);
	now.mono_ns += SVR_KEX_LET_START_MS * SVR_NS_PER_MS;
	tick(&west);
	cr_assert_eq(west.kex.x.phase, SVR_KEX_PHASE_INIT_SENT);
	cr_expect_eq(carry(&west, &east), -SVR_DROP_KEX_STATE);
	cr_expect_eq(east.kex.x.phase, SVR_KEX_PHASE_INIT_SENT);
	now.mono_ns += SVR_NS_PER_SEC; /* one key pair a second */
	cr_expect_eq(carry(&east, &west), 0);
	cr_expect_eq(west.kex.x.phase, SVR_KEX_PHASE_RESP_SENT);
	carry(&west, &east);
	carry(&east, &west);
	carry(&west, &east);
	cr_expect_eq(east.confirmed + west.confirmed, 2);
}

Test(kex, retransmission_doubles_up_to_the_limit)
{
	static const unsigned int expected_s[] = { 1, 2, 4, 8, 16, 30, 30, 30 };
	size_t i;

	want(&east);
	for (i = 0; i < sizeof(expected_s) / sizeof(expected_s[0]); i++) {
		uint64_t next = svr_kex_next(&east.kex);

		cr_expect_eq(next - now.mono_ns, expected_s[i] * SVR_NS_PER_SEC,
			     "retransmission %zu after %lu ms", i + 1,
			     (next - now.mono_ns) / SVR_NS_PER_MS);
		east.n_out = 0;
		now.mono_ns = next;
		tick(&east);
		cr_expect_gt(east.n_out, 0);
		cr_expect_eq(east.out[0].piece.message, SVR_KEX_INIT);
	}
}

Test(kex, duplicates_get_the_same_answer_but_not_a_storm)
{
	struct letter init[QUEUE_MAX], first;
	unsigned int n, i;

	want(&east);
	memcpy(init, east.out, sizeof(init));
	n = east.n_out;
	cr_assert_eq(carry(&east, &west), 0);
	first = west.out[0];
	west.n_out = 0;
	for (i = 0; i < n; i++)
		cr_expect_eq(deliver(&west, &init[i], SVR_KEX_SEAL_NONE), 0);
	cr_expect_eq(west.n_out, 0, "at once");
	now.mono_ns += SVR_NS_PER_SEC;
	for (i = 0; i < n; i++)
		cr_expect_eq(deliver(&west, &init[i], SVR_KEX_SEAL_NONE), 0);
	cr_expect_gt(west.n_out, 0);
	cr_expect_leq(west.n_out, 3, "one answer for all pieces");
	cr_expect_arr_eq(west.out[0].bytes, first.bytes, first.piece.len);
	cr_expect_eq(west.computed, 1, "nothing is computed again");
}

Test(kex, one_key_pair_a_second)
{
	unsigned int i, computed;

	for (i = 0; i < 30; i++) { /* INITs of thirty different exchanges within a second */
		svr_kex_clear(&east.kex);
		east.kex.x.phase = SVR_KEX_PHASE_NONE;
		east.kex.compute_ns = 0;
		east.kex.start_ns = UINT64_MAX;
		east.n_out = 0;
		want(&east);
		carry(&east, &west);
		now.mono_ns += 30 * SVR_NS_PER_MS;
	}
	computed = west.computed;
	cr_expect_leq(computed, 1, "%u", computed);
}

Test(kex, certificates_of_a_flood_are_not_looked_at)
{
	unsigned int i;

	svr_pki_trust_fingerprint(west.trust, svr_pki_identity_fingerprint(west.identity));
	for (i = 0; i < 100; i++) { /* within 100 ms, each under another exchange id */
		svr_kex_clear(&east.kex);
		east.kex.x.phase = SVR_KEX_PHASE_NONE;
		east.kex.compute_ns = 0;
		east.n_out = 0;
		want(&east);
		carry(&east, &west);
		now.mono_ns += SVR_NS_PER_MS;
	}
	cr_expect_eq(west.kex.failures, 1, "%lu", west.kex.failures);
}

Test(kex, index_that_is_in_use)
{
	want(&east);
	west.confirmed_index = east.kex.x.key_index;
	cr_expect_eq(carry(&east, &west), -SVR_DROP_KEX_VALUE);
	cr_expect(strstr(west.kex.reason, "in use"), "%s", west.kex.reason);
	cr_expect_eq(west.pending_index, 0);
}

Test(kex, limit_over_all_peers)
{
	west.allowed = 0;
	want(&east);
	cr_expect_eq(carry(&east, &west), -SVR_DROP_KEX_RATE);
	cr_expect_eq(west.kex.x.phase, SVR_KEX_PHASE_NONE);
}

Test(kex, refused_init_is_not_verified_again_and_again)
{
	struct letter init[QUEUE_MAX];
	unsigned int n, i, failures;

	svr_pki_trust_fingerprint(west.trust, svr_pki_identity_fingerprint(west.identity));
	want(&east);
	memcpy(init, east.out, sizeof(init));
	n = east.n_out;
	cr_expect_eq(carry(&east, &west), -SVR_DROP_KEX_CERTIFICATE);
	failures = (unsigned int)west.kex.failures;
	cr_expect_eq(failures, 1);
	cr_expect_eq(west.n_out, 1);
	cr_expect_eq(west.out[0].piece.message, SVR_KEX_REFUSED);
	for (i = 0; i < 10 * n; i++)
		cr_expect_eq(deliver(&west, &init[i % n], SVR_KEX_SEAL_NONE),
			     -SVR_DROP_KEX_CERTIFICATE);
	cr_expect_eq(west.kex.failures, 1);
	cr_expect_eq(west.computed, 1);
	cr_expect_eq(west.kex.compute_ns, 0, "there was no Diffie-Hellman: the unit is given back");
	/* the hint changes nothing but words */
	cr_expect_eq(carry(&west, &east), 0);
	cr_expect(strstr(east.kex.reason, "peer says"), "%s", east.kex.reason);
	cr_expect_eq(east.kex.x.phase, SVR_KEX_PHASE_INIT_SENT);
}

Test(kex, values_out_of_range)
{
	struct letter *l;
	uint8_t *p;
	size_t at;

	want(&east);
	/* INIT fits into two pieces; the public value begins in the first one */
	l = &east.out[0];
	at = 12 + 8 + 8 + 6 + 36;
	p = l->bytes + at;
	cr_assert_eq(svr_get16(p), 6);
	cr_assert_eq(svr_get16(p + 2), 256);
	memset(p + 4, 0, 256);
	p[4 + 255] = 1;
	cr_expect_eq(carry(&east, &west), -SVR_DROP_KEX_VALUE);
	cr_expect_eq(west.pending_index, 0);
	cr_expect(strstr(west.kex.reason, "out of range"), "%s", west.kex.reason);
}

Test(kex, own_messages_reflected)
{
	want(&west);
	now.mono_ns += SVR_KEX_LET_START_MS * SVR_NS_PER_MS;
	tick(&west);
	cr_assert_gt(west.n_out, 0);
	now.mono_ns += SVR_NS_PER_SEC;
	cr_expect_eq(carry(&west, &west), -SVR_DROP_KEX_CERTIFICATE);
	cr_expect_eq(west.confirmed, 0);
	cr_expect_eq(west.kex.x.phase, SVR_KEX_PHASE_INIT_SENT);
}

Test(kex, secrets_are_gone_when_it_is_over)
{
	static const struct svr_kex_exchange empty;
	struct svr_kex_exchange x;

	until_auth_i();
	cr_expect_null(east.kex.x.secret, "the private value is not needed any more");
	carry(&east, &west);
	carry(&west, &east);
	x = east.kex.x;
	x.next_ns = 0;
	cr_expect_eq(memcmp(&x, &empty, sizeof(x)), 0);
	cr_expect_null(west.kex.x.secret);
}

/* ---- computations take their time ------------------------------------------------------------ */

/* East's INIT is with west, and west computes. */
static void until_west_computes(void)
{
	struct letter copy[QUEUE_MAX];
	unsigned int i, n;

	want(&east);
	n = east.n_out;
	memcpy(copy, east.out, sizeof(copy));
	east.n_out = 0;
	for (i = 0; i < n; i++) {
		copy[i].piece.data = copy[i].bytes;
		cr_assert_eq(svr_kex_receive(&west.kex, 0, &west.buffer, &copy[i].piece,
					     copy[i].seal, now),
			     0);
	}
	cr_assert_eq(n_jobs, 1);
	cr_assert_not_null(west.kex.candidate);
	cr_assert_eq(west.n_out, 0, "nothing is said before it is computed");
}

Test(kex, init_that_comes_again_while_it_is_computed)
{
	unsigned int i;

	until_west_computes();
	for (i = 0; i < 20; i++) {
		now.mono_ns += SVR_NS_PER_SEC;
		svr_kex_tick(&east.kex, now);
		svr_kex_tick(&west.kex, now);
		east.out[0].piece.data = east.out[0].bytes;
		if (east.n_out)
			cr_expect_eq(svr_kex_receive(&west.kex, 0, &west.buffer, &east.out[0].piece,
						     SVR_KEX_SEAL_NONE, now),
				     0);
		east.n_out = 0;
	}
	cr_expect_eq(n_jobs, 1);
	cr_expect_eq(compute(&west), 0);
	cr_expect_gt(west.n_out, 0);
	carry(&west, &east);
	carry(&east, &west);
	carry(&west, &east);
	cr_expect_eq(east.confirmed + west.confirmed, 2);
}

Test(kex, peer_that_is_known_ends_what_is_computed_for_a_stranger)
{
	until_west_computes();
	svr_kex_cancel_unauthenticated(&west.kex);
	cr_expect_null(west.kex.candidate);
	compute(&west);
	cr_expect_eq(west.n_out, 0);
	cr_expect_eq(west.pending_index, 0);
	cr_expect_eq(west.kex.x.phase, SVR_KEX_PHASE_NONE);
}

Test(kex, freed_while_it_is_computed)
{
	struct svr_kex_job *job;

	until_west_computes();
	svr_kex_clear(&west.kex);
	job = jobs[--n_jobs];
	svr_kex_job_run(job);
	cr_expect_null(svr_kex_job_done(job, now), "nobody waits");
	cr_expect_eq(west.n_out, 0);
	svr_kex_want(&east.kex, true, now);
	svr_kex_clear(&east.kex);
	while (n_jobs) /* never run: the process ends */
		svr_kex_job_free(jobs[--n_jobs]);
}

/* The larger name has computed an answer; meanwhile the smaller one wants to start, too. */
Test(kex, glare_is_decided_when_the_computation_ends)
{
	until_west_computes(); /* west looks at east's INIT, and starts itself meanwhile */
	cr_assert_eq(svr_kex_rekey(&west.kex, now), -EBUSY);
	svr_kex_want(&west.kex, true, now);
	now.mono_ns += SVR_KEX_LET_START_MS * SVR_NS_PER_MS;
	svr_kex_tick(&west.kex, now);
	cr_expect_eq(west.kex.x.phase, SVR_KEX_PHASE_NONE, "it waits for what it computes");
	compute(&west);
	cr_expect_eq(west.kex.x.phase, SVR_KEX_PHASE_RESP_SENT);
}

Test(kex, retransmission_waits_for_the_computation)
{
	struct letter resp[QUEUE_MAX];
	unsigned int i, n, sent;

	want(&east);
	carry(&east, &west);
	n = west.n_out;
	memcpy(resp, west.out, sizeof(resp));
	for (i = 0; i < n; i++) {
		resp[i].piece.data = resp[i].bytes;
		svr_kex_receive(&east.kex, 0, &east.buffer, &resp[i].piece, resp[i].seal, now);
	}
	cr_assert_eq(n_jobs, 1);
	sent = east.n_out;
	for (i = 0; i < 100; i++) { /* a slow machine: fifty seconds */
		now.mono_ns = svr_kex_next(&east.kex);
		svr_kex_tick(&east.kex, now);
	}
	cr_expect_eq(east.n_out, sent, "INIT is not sent again: it was answered");
	compute(&east);
	cr_expect_eq(east.kex.x.phase, SVR_KEX_PHASE_AUTH_SENT);
}

Test(kex, key_that_must_not_be_replaced_now)
{
	cr_assert_eq(svr_kex_rekey(&east.kex, now), 0);
	compute(&east);
	west.no_rekey = true;
	cr_expect_eq(carry(&east, &west), -SVR_DROP_KEX_STATE);
	/* or it becomes so while the answer is computed */
	west.no_rekey = false;
	now.mono_ns = svr_kex_next(&east.kex);
	svr_kex_tick(&east.kex, now);
	for (; east.n_out; east.n_out--) {
		struct letter *l = &east.out[east.n_out - 1];

		l->piece.data = l->bytes;
		svr_kex_receive(&west.kex, 0, &west.buffer, &l->piece, l->seal, now);
	}
	cr_assert_eq(n_jobs, 1);
	west.no_rekey = true;
	cr_expect_eq(compute(&west), -SVR_DROP_KEX_STATE);
	cr_expect_eq(west.n_out, 0);
}

/* ---- groups ---------------------------------------------------------------------------------- */

Test(kex, the_stronger_group_is_taken)
{
	int who;

	for (who = 0; who < 2; who++) { /* whoever wants it */
		unsigned int i;

		east.kex.config.group = who ? SVR_DH_FFDHE2048 : SVR_DH_FFDHE4096;
		west.kex.config.group = who ? SVR_DH_FFDHE4096 : SVR_DH_FFDHE2048;
		want(&east);
		for (i = 0; i < 20 && east.confirmed + west.confirmed < 2; i++) {
			carry(&east, &west);
			carry(&west, &east);
			now.mono_ns += SVR_NS_PER_SEC;
			tick(&east);
		}
		cr_expect_eq(east.confirmed + west.confirmed, 2);
		cr_expect_eq(west.kex.x.group, SVR_DH_FFDHE4096);
		east.confirmed = west.confirmed = 0;
		svr_kex_want(&east.kex, false, now);
	}
}

Test(kex, a_weaker_group_is_never_taken)
{
	struct svr_kex_fields f = { .reason = SVR_DROP_KEX_VALUE, .group = SVR_DH_MODP1024 };
	static const uint16_t groups[] = { SVR_DH_MODP1024, SVR_DH_FFDHE2048, 4711, 0 };
	uint8_t message[64];
	struct letter l;
	size_t i;

	want(&east);
	f.exchange = east.kex.x.id;
	for (i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) { /* forged hints */
		f.group = groups[i];
		memset(&l, 0, sizeof(l));
		svr_kexmsg_cut(SVR_KEX_REFUSED, f.exchange, message,
			       (size_t)svr_kexmsg_build(SVR_KEX_REFUSED, &f, message,
							sizeof(message)),
			       0, &l.piece);
		memcpy(l.bytes, l.piece.data, l.piece.len);
		cr_expect_eq(deliver(&east, &l, SVR_KEX_SEAL_NONE), 0);
		cr_expect_eq(east.kex.x.phase, SVR_KEX_PHASE_INIT_SENT);
		cr_expect_eq(east.kex.x.group, SVR_DH_FFDHE2048);
		cr_expect_eq(east.kex.x.id, f.exchange);
	}
}

Test(kex, same_name_on_both_sides)
{
	struct svr_kex_config c = { .own_name = "east",
				    .peer_name = "east",
				    .identity = east.identity,
				    .trust = east.trust };
	struct svr_kex k;

	cr_expect_eq(svr_kex_init(&k, &c, &side_ops, &east), -EINVAL);
}
