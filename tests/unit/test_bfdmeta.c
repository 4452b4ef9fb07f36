// SPDX-License-Identifier: BSD-2-Clause
/* What stands behind BFD: TLVs, sealing, and everything that must be refused. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <svr/drops.h>

#include "lib/bfd.h"
#include "lib/bfdmeta.h"
#include "lib/bytes.h"
#include "lib/kdf.h"
#include "lib/meta.h"

static const uint8_t bfd[SVR_BFD_LEN] = { 0x20, 0xc0, 3, 24, 0, 0, 0, 1, 0, 0, 0, 2 };

static struct svr_bfdmeta full(const uint8_t *piece, size_t len)
{
	struct svr_bfdmeta m = {
		.have = SVR_BFDMETA_HELLO | SVR_BFDMETA_TIME | SVR_BFDMETA_PATH | SVR_BFDMETA_PIECE,
		.instance = 0x01020304,
		.version = 1,
		.seq = 0x1112131415161718,
		.tx_ns = 2,
		.echo_ns = 3,
		.echo_rx_ns = 4,
		.piece = { .message = 1,
			   .piece = 2,
			   .pieces = 21,
			   .total = 16384,
			   .exchange = 0x2122232425262728,
			   .data = piece,
			   .len = len },
		.meta_index = 9,
		.meta_ack = 10,
	};

	memset(m.common_name, 'n', SVR_NAME_LEN - 1);
	memset(m.sender, 5, sizeof(m.sender));
	memset(m.receiver, 6, sizeof(m.receiver));
	memset(m.meta_key, 7, sizeof(m.meta_key));
	return m;
}

static void expect_same(const struct svr_bfdmeta *a, const struct svr_bfdmeta *b)
{
	cr_expect_eq(a->have, b->have);
	cr_expect_eq(a->instance, b->instance);
	cr_expect_str_eq(a->common_name, b->common_name);
	cr_expect_eq(a->seq, b->seq);
	cr_expect_eq(a->echo_rx_ns, b->echo_rx_ns);
	cr_expect_arr_eq(a->receiver, b->receiver, 16);
	if (!(a->have & SVR_BFDMETA_PIECE))
		return;
	cr_expect_eq(a->piece.exchange, b->piece.exchange);
	cr_expect_eq(a->piece.total, b->piece.total);
	cr_expect_eq(a->piece.len, b->piece.len);
	cr_expect_arr_eq(a->piece.data, b->piece.data, a->piece.len);
}

Test(bfdmeta, hello_byte_by_byte)
{
	static const uint8_t wire[] = { 0xf0, 0x10, 0, 12, 1,	2,   3,	  4,
					0,    1,    0, 0,  'e', 'a', 's', 't' };
	struct svr_bfdmeta m = { .have = SVR_BFDMETA_HELLO,
				 .instance = 0x01020304,
				 .version = 1,
				 .common_name = "east" },
			   back;
	uint8_t out[64];

	cr_assert_eq(svr_bfdmeta_build(out, sizeof(out), &m), (int)sizeof(wire));
	cr_expect_arr_eq(out, wire, sizeof(wire));
	cr_assert_eq(svr_bfdmeta_parse(wire, sizeof(wire), &back), 0);
	expect_same(&m, &back);
}

Test(bfdmeta, piece_and_metadata_key_byte_by_byte)
{
	static const uint8_t piece[] = { 0xf0, 0x20, 0,	   18,	 1,    0,    0,	   2,
					 0,    21,   0x40, 0,	 0x21, 0x22, 0x23, 0x24,
					 0x25, 0x26, 0x27, 0x28, 0xaa, 0xbb };
	static const uint8_t data[] = { 0xaa, 0xbb };
	struct svr_bfdmeta m = full(data, sizeof(data));
	uint8_t out[128];

	m.have = SVR_BFDMETA_PIECE;
	cr_assert_eq(svr_bfdmeta_build(out, sizeof(out), &m), (int)sizeof(piece));
	cr_expect_arr_eq(out, piece, sizeof(piece));
	m.have = SVR_BFDMETA_META_KEY | SVR_BFDMETA_META_KEY_ACK;
	cr_assert_eq(svr_bfdmeta_build(out, sizeof(out), &m), 4 + 36 + 4 + 4);
	cr_expect_eq(svr_get16(out), 0xf021);
	cr_expect_eq(svr_get32(out + 4), 9);
	cr_expect_eq(svr_get16(out + 40), 0xf022);
	cr_expect_eq(svr_get32(out + 44), 10);
}

Test(bfdmeta, malformed_is_refused)
{
	static const struct {
		const char *name;
		uint8_t tlv[48];
		size_t len;
	} rows[] = {
		{ "half a TLV header", { 0xf0, 0x10, 0 }, 3 },
		{ "value behind the end", { 0xf0, 0x10, 0, 10, 1 }, 5 },
		{ "hello without a name", { 0xf0, 0x10, 0, 8 }, 12 },
		{ "hello with a NUL in the name",
		  { 0xf0, 0x10, 0, 10, 0, 0, 0, 0, 0, 1, 0, 0, 'a', 0 },
		  14 },
		{ "hello with a blank in the name",
		  { 0xf0, 0x10, 0, 10, 0, 0, 0, 0, 0, 1, 0, 0, 'a', ' ' },
		  14 },
		{ "two hellos",
		  { 0xf0, 0x10, 0, 9, 0, 0, 0, 0, 0, 1, 0, 0, 'a',
		    0xf0, 0x10, 0, 9, 0, 0, 0, 0, 0, 1, 0, 0, 'a' },
		  26 },
		{ "short time", { 0xf0, 0x11, 0, 31 }, 35 },
		{ "short path", { 0xf0, 0x12, 0, 31 }, 35 },
		{ "piece without bytes", { 0xf0, 0x20, 0, 16, 1 }, 20 },
		{ "piece with a reserved byte set", { 0xf0, 0x20, 0, 17, 1, 1 }, 21 },
		{ "short metadata key", { 0xf0, 0x21, 0, 35, 0, 0, 0, 1 }, 39 },
		{ "metadata key with index 0", { 0xf0, 0x21, 0, 36 }, 40 },
		{ "acknowledgement of index 0", { 0xf0, 0x22, 0, 4 }, 8 },
		{ "long acknowledgement", { 0xf0, 0x22, 0, 5, 0, 0, 0, 1, 0 }, 9 },
	};
	struct svr_bfdmeta m;
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		cr_expect_eq(svr_bfdmeta_parse(rows[i].tlv, rows[i].len, &m),
			     -SVR_DROP_BFD_METADATA, "%s", rows[i].name);
		cr_expect_eq(m.have, 0, "%s: something was taken", rows[i].name);
	}
}

Test(bfdmeta, unknown_is_skipped)
{
	static const uint8_t wire[] = { 0x12, 0x34, 0, 2, 9, 9,	   0xf0, 0x22, 0,
					4,    0,    0, 0, 5, 0xff, 0xff, 0,    0 };
	struct svr_bfdmeta m;

	cr_assert_eq(svr_bfdmeta_parse(wire, sizeof(wire), &m), 0);
	cr_expect_eq(m.unknown, 2);
	cr_expect_eq(m.meta_ack, 5);
}

/* ---- sealing --------------------------------------------------------------------------------- */

struct pair {
	struct svr_crypt *crypt;
	struct svr_bfdmeta_key key[2];
	uint8_t peer_key[SVR_PEER_KEY_LEN];
};

static void pair_make(struct pair *p)
{
	int i;

	memset(p, 0, sizeof(*p));
	memset(p->peer_key, 0x5a, sizeof(p->peer_key));
	cr_assert_eq(svr_crypt_new(&p->crypt), 0);
	for (i = 0; i < 2; i++)
		cr_assert_eq(svr_bfdmeta_key_init(p->crypt, 1234, p->peer_key, i, &p->key[i]), 0);
}

static void pair_free(struct pair *p)
{
	svr_bfdmeta_key_clear(&p->key[0]);
	svr_bfdmeta_key_clear(&p->key[1]);
	svr_crypt_free(p->crypt);
}

static int receive(struct pair *p, int who, uint8_t *packet, size_t len, struct svr_bfdmeta *m)
{
	struct svr_bfdmeta_outline o;
	int ret = svr_bfdmeta_outline(packet, len, SVR_BFD_LEN, &o);

	if (!ret && o.sealed)
		ret = svr_bfdmeta_verify(p->crypt, &p->key[who], packet, &o);
	return ret ? ret : svr_bfdmeta_open(p->crypt, &p->key[who], packet, &o, m);
}

Test(bfdmeta_seal, there_and_back_at_every_length)
{
	uint8_t piece[SVR_KEX_PIECE_LEN], packet[SVR_BFDMETA_PACKET_MAX];
	struct svr_bfdmeta m, back;
	struct pair p;
	size_t len;
	int n, who;

	pair_make(&p);
	memset(piece, 0xcd, sizeof(piece));
	for (len = 1; len <= SVR_KEX_PIECE_LEN; len++) {
		who = (int)(len % 2);
		m = full(piece, len);
		n = svr_bfdmeta_seal(p.crypt, &p.key[who], bfd, &m, packet, sizeof(packet));
		cr_assert_gt(n, 0, "%zu bytes", len);
		cr_assert_leq(n + 28, 1124, "longer than the text says");
		cr_assert_eq(receive(&p, !who, packet, (size_t)n, &back), 0);
		expect_same(&m, &back);
	}
	pair_free(&p);
}

/* docs/protocol.md section 8, once more, straight from libcrypto. */
Test(bfdmeta_seal, as_an_independent_decoder_reads_it)
{
	uint8_t packet[SVR_BFDMETA_PACKET_MAX], derived[160], tag[48], plain[256];
	struct svr_bfdmeta m = full(NULL, 0), back;
	unsigned int tag_len = sizeof(tag);
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	struct pair p;
	int n, hlen, plen, out = 0, end = 0, d;

	pair_make(&p);
	m.have = SVR_BFDMETA_HELLO | SVR_BFDMETA_TIME | SVR_BFDMETA_PATH;
	for (d = 0; d < 2; d++) {
		n = svr_bfdmeta_seal(p.crypt, &p.key[d], bfd, &m, packet, sizeof(packet));
		cr_assert_gt(n, 0);
		cr_expect_arr_eq(packet, bfd, sizeof(bfd));
		hlen = svr_get16(packet + 24 + 8) & 0xfff;
		plen = svr_get16(packet + 24 + 10);
		cr_expect_eq(hlen, 24);
		cr_expect_eq(svr_get16(packet + 24 + 12), 0xf001);
		cr_expect_eq(svr_get32(packet + 24 + 16), 1234);
		cr_expect_eq(svr_get32(packet + 24 + 20), 0x02040100);
		cr_expect_eq(n, 24 + hlen + plen + 48);
		cr_assert_eq(svr_kdf(NULL, 0, p.peer_key, sizeof(p.peer_key), "bfd", NULL, 0,
				     derived, sizeof(derived)),
			     0);
		HMAC(EVP_sha384(), derived + 64 + 48 * d, 48, packet, (size_t)n - 48, tag,
		     &tag_len);
		cr_expect_arr_eq(packet + n - 48, tag, 48);
		EVP_DecryptInit_ex(ctx, EVP_aes_256_cbc(), NULL, derived + 32 * d,
				   packet + n - 48 - 16);
		cr_assert_eq(EVP_DecryptUpdate(ctx, plain, &out, packet + 24 + hlen, plen - 16), 1);
		cr_assert_eq(EVP_DecryptFinal_ex(ctx, plain + out, &end), 1);
		cr_assert_eq(svr_bfdmeta_parse(plain, (size_t)(out + end), &back), 0);
		expect_same(&m, &back);
	}
	EVP_CIPHER_CTX_free(ctx);
	pair_free(&p);
}

Test(bfdmeta_seal, iv_is_another_one_each_time)
{
	struct svr_bfdmeta m = full(NULL, 0);
	uint8_t a[SVR_BFDMETA_PACKET_MAX], b[SVR_BFDMETA_PACKET_MAX];
	struct pair p;
	int n;

	pair_make(&p);
	m.have = SVR_BFDMETA_HELLO;
	n = svr_bfdmeta_seal(p.crypt, &p.key[0], bfd, &m, a, sizeof(a));
	cr_assert_eq(svr_bfdmeta_seal(p.crypt, &p.key[0], bfd, &m, b, sizeof(b)), n);
	cr_expect(memcmp(a + 48, b + 48, (size_t)n - 48) != 0);
	pair_free(&p);
}

Test(bfdmeta_seal, unsealed_shows_what_it_says_and_no_more)
{
	struct svr_bfdmeta m = { .have = SVR_BFDMETA_HELLO, .version = 1, .common_name = "east" },
			   back;
	uint8_t packet[SVR_BFDMETA_PACKET_MAX];
	struct pair p;
	int n;

	pair_make(&p);
	n = svr_bfdmeta_seal(p.crypt, NULL, bfd, &m, packet, sizeof(packet));
	cr_expect_eq(n, 24 + 12 + 16);
	cr_expect_eq(svr_get16(packet + 24 + 8), 0x100c);
	cr_expect_eq(receive(&p, 1, packet, (size_t)n, &back), 0);
	pair_free(&p);
}

Test(bfdmeta_seal, own_direction_is_refused)
{
	struct svr_bfdmeta m = full(NULL, 0), back;
	uint8_t packet[SVR_BFDMETA_PACKET_MAX];
	struct pair p;
	int n;

	pair_make(&p);
	m.have = SVR_BFDMETA_HELLO;
	n = svr_bfdmeta_seal(p.crypt, &p.key[0], bfd, &m, packet, sizeof(packet));
	cr_expect_eq(receive(&p, 0, packet, (size_t)n, &back), -SVR_DROP_BFD_AUTH);
	pair_free(&p);
}

Test(bfdmeta_outline, refused_before_any_cryptography)
{
	struct svr_bfdmeta m = full(NULL, 0);
	uint8_t good[SVR_BFDMETA_PACKET_MAX], bad[SVR_BFDMETA_PACKET_MAX + 1];
	static const struct {
		const char *name;
		size_t at;
		uint8_t value;
		int drop;
	} rows[] = {
		{ "metadata version 2", 24 + 8, 0x20, SVR_DROP_BFD_METADATA },
		{ "header length below 12", 24 + 9, 11, SVR_DROP_BFD_METADATA },
		{ "header length behind the end", 24 + 9, 250, SVR_DROP_BFD_METADATA },
		{ "payload length behind the end", 24 + 10, 4, SVR_DROP_BFD_METADATA },
		{ "peer key index 0 (first byte)", 24 + 12 + 1, 0x77,
		  SVR_DROP_BFD_METADATA }, /* 0xf077: then nothing seals it */
		{ "cipher aes-128", 24 + 20, 1, SVR_DROP_ALGORITHM },
		{ "hmac sha256", 24 + 21, 2, SVR_DROP_ALGORITHM },
		{ "time-based", 24 + 22, 2, SVR_DROP_ALGORITHM },
		{ "reserved byte", 24 + 23, 1, SVR_DROP_BFD_METADATA },
	};
	struct svr_bfdmeta_outline o;
	struct pair p;
	size_t i;
	int n;

	pair_make(&p);
	m.have = SVR_BFDMETA_HELLO;
	n = svr_bfdmeta_seal(p.crypt, &p.key[0], bfd, &m, good, sizeof(good));
	cr_assert_eq(svr_bfdmeta_outline(good, (size_t)n, SVR_BFD_LEN, &o), 0);
	cr_assert(o.present && o.sealed);
	cr_assert_eq(o.key_index, 1234);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		memcpy(bad, good, (size_t)n);
		bad[rows[i].at] = rows[i].value;
		cr_expect_eq(svr_bfdmeta_outline(bad, (size_t)n, SVR_BFD_LEN, &o), -rows[i].drop,
			     "%s", rows[i].name);
	}
	memcpy(bad, good, (size_t)n);
	memset(bad + 24 + 16, 0, 4);
	cr_expect_eq(svr_bfdmeta_outline(bad, (size_t)n, SVR_BFD_LEN, &o), -SVR_DROP_BFD_METADATA,
		     "index 0");
	cr_expect_eq(svr_bfdmeta_outline(good, (size_t)n - 1, SVR_BFD_LEN, &o),
		     -SVR_DROP_BFD_METADATA, "tag cut");
	bad[n] = 0;
	memcpy(bad, good, (size_t)n);
	cr_expect_eq(svr_bfdmeta_outline(bad, (size_t)n + 1, SVR_BFD_LEN, &o),
		     -SVR_DROP_BFD_METADATA, "byte behind");
	pair_free(&p);
}

Test(bfdmeta_outline, plain_bfd_is_no_metadata)
{
	uint8_t packet[64] = { 0 };
	struct svr_bfdmeta_outline o;

	memcpy(packet, bfd, sizeof(bfd));
	cr_expect_eq(svr_bfdmeta_outline(packet, SVR_BFD_LEN, SVR_BFD_LEN, &o), 0);
	cr_expect_not(o.present);
	cr_expect_eq(svr_bfdmeta_outline(packet, sizeof(packet), SVR_BFD_LEN, &o), 0);
	cr_expect_not(o.present);
}
