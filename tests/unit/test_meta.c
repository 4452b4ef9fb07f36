// SPDX-License-Identifier: BSD-2-Clause
/* Metadata codec: what is good, everything that is not, and a great many things by chance. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>
#include <svr/drops.h>

#include "lib/addr.h"
#include "lib/meta.h"
#include "tests/unit/vector.h"

enum { GOOD = 0, MALFORMED = -SVR_DROP_META_MALFORMED, VERSION_BAD = -SVR_DROP_META_VERSION };

#define COOKIE "4c48dbc6ddf6670c "

/* Both sections of a block in clear, from memory of exactly its size. @m may be NULL. */
static int parse(const uint8_t *p, size_t len, struct svr_meta *m)
{
	uint8_t *copy = exact_copy(p, len), *payload;
	struct svr_meta local;
	int ret;

	m = m ? m : &local;
	memset(m, 0x55, sizeof(*m));
	ret = svr_meta_parse_header(copy, len, m);
	if (ret == 0) {
		cr_assert_leq((size_t)m->header_len + m->payload_len, len);
		payload = exact_copy(copy + m->header_len, m->payload_len);
		ret = svr_meta_parse_payload(payload, m->payload_len, m);
		free(payload);
	}
	free(copy);
	if (ret) {
		static const struct svr_meta nothing;

		cr_assert(memcmp(m, &nothing, sizeof(nothing)) == 0,
			  "part of a refused block is left");
	}
	return ret;
}

/* A block around header TLVs and payload TLVs. */
static struct hex block(const char *header, const char *payload)
{
	struct hex h = hex(header), p = hex(payload), b = hex(COOKIE "1000 0000");
	size_t hlen = 12 + h.len;

	b.bytes[8] |= (uint8_t)(hlen >> 8);
	b.bytes[9] = (uint8_t)hlen;
	b.bytes[10] = (uint8_t)(p.len >> 8);
	b.bytes[11] = (uint8_t)p.len;
	memcpy(b.bytes + b.len, h.bytes, h.len);
	memcpy(b.bytes + b.len + h.len, p.bytes, p.len);
	b.len += h.len + p.len;
	return b;
}

/* ---- base header ----------------------------------------------------------------------------- */

Test(meta, base_headers)
{
	static const struct {
		const char *name, *in;
		int want;
	} rows[] = {
		{ "the bare header", COOKIE "100c 0000", GOOD },
		{ "bytes behind the block are not its business", COOKIE "100c 0000 ffffffff",
		  GOOD },
		{ "an empty packet", "", MALFORMED },
		{ "the cookie alone", COOKIE, MALFORMED },
		{ "one byte is missing", COOKIE "100c 00", MALFORMED },
		{ "first byte of the cookie is wrong", "4d48dbc6ddf6670c 100c 0000", MALFORMED },
		{ "last byte of the cookie is wrong", "4c48dbc6ddf6670d 100c 0000", MALFORMED },
		{ "cookie in the other byte order", "0c67f6ddc6db484c 100c 0000", MALFORMED },
		{ "version 0", COOKIE "000c 0000", VERSION_BAD },
		{ "version 2", COOKIE "200c 0000", VERSION_BAD },
		{ "version 15", COOKIE "f00c 0000", VERSION_BAD },
		{ "header length 0", COOKIE "1000 0000", MALFORMED },
		{ "header length 11", COOKIE "100b 0000", MALFORMED },
		{ "header length 13: a TLV of one byte", COOKIE "100d 0000 00", MALFORMED },
		{ "header length beyond the packet", COOKIE "1010 0000 000000", MALFORMED },
		{ "largest header length", COOKIE "1fff 0000", MALFORMED },
		{ "payload length beyond the packet", COOKIE "100c 0001", MALFORMED },
		{ "largest payload length", COOKIE "100c ffff", MALFORMED },
		{ "both lengths at their largest", COOKIE "1fff ffff", MALFORMED },
	};
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct hex in = hex(rows[i].in);

		cr_expect_eq(parse(in.bytes, in.len, NULL), rows[i].want, "%s", rows[i].name);
	}
}

Test(meta, a_block_is_at_most_1024_bytes)
{
	/* one unknown TLV fills the block */
	uint8_t p[SVR_META_MAX + 16] = SVR_COOKIE_BYTES;
	size_t total;

	p[8] = 0x10;
	p[9] = 12;
	p[12] = 0x7f; /* type 0x7f00 */
	for (total = SVR_META_MAX - 2; total <= SVR_META_MAX + 2; total++) {
		p[10] = (uint8_t)((total - 12) >> 8);
		p[11] = (uint8_t)(total - 12);
		p[14] = (uint8_t)((total - 16) >> 8);
		p[15] = (uint8_t)(total - 16);
		cr_expect_eq(parse(p, sizeof(p), NULL), total <= SVR_META_MAX ? GOOD : MALFORMED,
			     "%zu bytes", total);
	}
	cr_expect_eq(svr_meta_parse_payload(p, SVR_META_MAX + 1, &(struct svr_meta){ 0 }),
		     MALFORMED);
}

/* ---- TLVs ------------------------------------------------------------------------------------ */

#define SEC_ID "0010 0004 00000007 "
#define PARAMS "f001 0008 00000003 02 04 02 00 "
#define DB8    "20010db8 00000000 00000000 00000001 "
#define MAPPED "00000000 00000000 0000ffff ac10010a "
#define FWD6   "0003 0025" DB8 DB8 "9c40 0035 11 "
#define REV6   "0005 0025" DB8 DB8 "0035 9c40 11 "
#define COLONS45 \
	"3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a "
#define FWD4 "0002 000d ac10010a ac100214 9c40 0035 11 "
#define REV4 "0004 000d ac100214 ac10010a 0035 9c40 11 "
#define UUID "0006 0010 6ba7b8109dad41d180b400c04fd430c8 "
#define TENANT "0007 0004 626c7565 "
#define NONCE "f002 0010 17979cfe53f76500 0123456789abcdef "
#define KEY32 "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f "
#define NAME63 \
	"616161616161616161616161616161616161616161616161616161616161616161616161616161616161616161616161616161616161616161616161616161 "

Test(meta, tlvs)
{
	static const struct {
		const char *name, *header, *payload;
		int want;
		uint32_t have;
		unsigned int unknown;
	} rows[] = {
		{ "all header TLVs", SEC_ID PARAMS, "", GOOD,
		  SVR_HAVE_SECURITY_ID | SVR_HAVE_SECURITY_PARAMS, 0 },
		{ "in another order", PARAMS SEC_ID, "", GOOD,
		  SVR_HAVE_SECURITY_ID | SVR_HAVE_SECURITY_PARAMS, 0 },
		{ "payload TLVs in another order", "", UUID FWD4, GOOD,
		  SVR_HAVE_UUID | SVR_HAVE_FWD_CONTEXT4, 0 },
		{ "an unknown header TLV is skipped", "7fff 0003 010203" SEC_ID, "", GOOD,
		  SVR_HAVE_SECURITY_ID, 1 },
		{ "unknown payload TLVs are skipped and counted", "",
		  "7fff 0000 7ffe 0001 00" UUID "7fff 0000", GOOD, SVR_HAVE_UUID, 3 },
		{ "an unknown TLV may come twice", "", "7fff 0000 7fff 0000", GOOD, 0, 2 },
		{ "a piece of a packet", "0001 000a 00000001 1234 2000 0578", "", GOOD, SVR_HAVE_FRAGMENT, 0 },
		{ "a piece of one packet and of another", "0001 000a 00000001 1234 2000 0578 0001 000a 00000001 1234 2000 0578", "", MALFORMED, 0, 0 },
		{ "a piece in the wrong section", "", "0001 000a 00000001 1234 2000 0578", MALFORMED, 0, 0 },
		{ "a piece with a byte too few", "0001 0009 00000001 1234 2000 05", "", MALFORMED, 0, 0 },

		{ "header TLVs one byte short", "0010 0004 000000", "", MALFORMED, 0, 0 },
		{ "header TLVs one byte long", SEC_ID "00", "", MALFORMED, 0, 0 },
		{ "a TLV header of three bytes", "", UUID "000600", MALFORMED, 0, 0 },
		{ "an unknown TLV that is longer than its section", "7fff 0004 010203", SEC_ID,
		  MALFORMED, 0, 0 },
		{ "an unknown TLV of 65535 bytes", "", "7fff ffff 00", MALFORMED, 0, 0 },

		{ "security id twice", SEC_ID SEC_ID, "", MALFORMED, 0, 0 },
		{ "security parameters twice", PARAMS PARAMS, "", MALFORMED, 0, 0 },
		{ "forward context twice", "", FWD4 FWD4, MALFORMED, 0, 0 },
		{ "forward and reverse context", "", FWD4 REV4, MALFORMED, 0, 0 },
		{ "reverse and forward context", "", REV4 FWD4, MALFORMED, 0, 0 },
		{ "UUID twice", "", UUID UUID, MALFORMED, 0, 0 },
		{ "tenant twice", "", TENANT TENANT, MALFORMED, 0, 0 },
		{ "the flag twice", "", "000b 0000 000b 0000", MALFORMED, 0, 0 },

		{ "security id in the payload", "", SEC_ID, MALFORMED, 0, 0 },
		{ "security parameters in the payload", "", PARAMS, MALFORMED, 0, 0 },
		{ "UUID in the header", UUID, "", MALFORMED, 0, 0 },
		{ "session key in the header", "002e 0020" KEY32, "", MALFORMED, 0, 0 },
		{ "nonce in the header", NONCE, "", MALFORMED, 0, 0 },

		{ "security id of 3 bytes", "0010 0003 000007", "", MALFORMED, 0, 0 },
		{ "security id of 5 bytes", "0010 0005 0000000700", "", MALFORMED, 0, 0 },
		{ "security parameters of 7 bytes", "f001 0007 00000003 02 04 02", "", MALFORMED, 0,
		  0 },
		{ "security parameters of 9 bytes", "f001 0009 00000003 02 04 02 00 00", "",
		  MALFORMED, 0, 0 },
		{ "security parameters with a reserved byte set", "f001 0008 00000003 02 04 02 01",
		  "", MALFORMED, 0, 0 },
		{ "unknown algorithms are for the caller to judge",
		  "f001 0008 00000003 ff ff ff 00", "", GOOD, SVR_HAVE_SECURITY_PARAMS, 0 },
		{ "a context of 12 bytes", "", "0002 000c ac10010a ac100214 9c40 0035", MALFORMED,
		  0, 0 },
		{ "a context of 14 bytes", "", "0002 000e ac10010a ac100214 9c40 0035 11 00",
		  MALFORMED, 0, 0 },
		{ "a UUID of 15 bytes", "", "0006 000f 6ba7b8109dad41d180b400c04fd430", MALFORMED,
		  0, 0 },
		{ "a flag with a value", "", "000b 0001 00", MALFORMED, 0, 0 },
		{ "a session key of 31 bytes", "",
		  "002e 001f 808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e",
		  MALFORMED, 0, 0 },
		{ "a nonce of 8 bytes", "", "f002 0008 17979cfe53f76500", MALFORMED, 0, 0 },
		{ "an epoch of 4 bytes", "", "f003 0004 00000001", MALFORMED, 0, 0 },

		{ "an empty name", "", "0007 0000", MALFORMED, 0, 0 },
		{ "a name of one character", "", "0007 0001 61", GOOD, SVR_HAVE_TENANT, 0 },
		{ "a name of 63 characters", "", "0007 003f" NAME63, GOOD, SVR_HAVE_TENANT, 0 },
		{ "a name of 64 characters", "", "0007 0040" NAME63 "61", MALFORMED, 0, 0 },
		{ "a name with a NUL inside", "", "0007 0004 626c0065", MALFORMED, 0, 0 },
		{ "a name with a NUL at its end", "", "0007 0005 626c756500", MALFORMED, 0, 0 },
		{ "a name with a slash", "", "0007 0003 612f62", MALFORMED, 0, 0 },
		{ "a name with a space", "", "000a 0003 612062", MALFORMED, 0, 0 },
		{ "a name with a line end", "", "000f 0003 610a62", MALFORMED, 0, 0 },
		{ "a name with an escape", "", "000e 0003 611b62", MALFORMED, 0, 0 },
		{ "a name with a byte above 127", "", "0007 0002 c3a4", MALFORMED, 0, 0 },
		{ "a name with all kinds of characters", "", "0007 0008 617a415a30392d5f", GOOD,
		  SVR_HAVE_TENANT, 0 },
		{ "a peer path of 1 character", "", "0013 0001 3a", MALFORMED, 0, 0 },
		{ "a peer path of 2 characters", "", "0013 0002 3a3a", GOOD, SVR_HAVE_PATH_ID, 0 },
		{ "a peer path of 7 characters", "", "0013 0007 312e322e332e34", GOOD,
		  SVR_HAVE_PATH_ID, 0 },
		{ "a peer path of 45 characters", "", "0013 002d" COLONS45, GOOD, SVR_HAVE_PATH_ID,
		  0 },
		{ "a peer path of 46 characters", "", "0013 002e 3a" COLONS45, MALFORMED, 0, 0 },
		{ "a peer path that is a name", "", "0013 0004 77657374", MALFORMED, 0, 0 },
		{ "a peer path with a NUL", "", "0013 0003 3a3a00", MALFORMED, 0, 0 },
		{ "forward context of IPv6", "", FWD6, GOOD, SVR_HAVE_FWD_CONTEXT6, 0 },
		{ "reverse context of IPv6", "", REV6, GOOD, SVR_HAVE_REV_CONTEXT6, 0 },
		{ "contexts of both families", "", FWD4 FWD6, MALFORMED, 0, 0 },
		{ "contexts of both families and directions", "", REV6 FWD4, MALFORMED, 0, 0 },
		{ "IPv4 source in an IPv6 context", "", "0003 0025" MAPPED DB8 "9c40 0035 11",
		  MALFORMED, 0, 0 },
		{ "IPv4 destination in an IPv6 context", "", "0003 0025" DB8 MAPPED "9c40 0035 11",
		  MALFORMED, 0, 0 },
		{ "IPv6 context one byte short", "", "0003 0024" DB8 DB8 "9c40 0035", MALFORMED, 0,
		  0 },
	};
	struct svr_meta m;
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct hex in = block(rows[i].header, rows[i].payload);

		cr_expect_eq(parse(in.bytes, in.len, &m), rows[i].want, "%s", rows[i].name);
		cr_expect_eq(m.have, rows[i].have, "%s: have 0x%x", rows[i].name, m.have);
		cr_expect_eq(m.unknown, rows[i].unknown, "%s: unknown %u", rows[i].name, m.unknown);
	}
}

Test(meta, generic_walk)
{
	struct hex h = hex("0001 0000 0002 0003 aabbcc f010 0001 dd");
	struct svr_tlv_view t;
	uint8_t buf[16];
	size_t pos = 0;

	cr_assert_eq(svr_tlv_next(h.bytes, h.len, &pos, &t), 1);
	cr_expect(t.type == 1 && t.len == 0);
	cr_assert_eq(svr_tlv_next(h.bytes, h.len, &pos, &t), 1);
	cr_expect(t.type == 2 && t.len == 3 && t.value == h.bytes + 8);
	cr_assert_eq(svr_tlv_next(h.bytes, h.len, &pos, &t), 1);
	cr_expect(t.type == SVR_TLV_BFD_HELLO && t.len == 1);
	cr_expect_eq(svr_tlv_next(h.bytes, h.len, &pos, &t), 0, "the end");
	cr_expect_eq(svr_tlv_next(h.bytes, h.len, &pos, &t), 0, "and it stays the end");
	pos = h.len + 1;
	cr_expect_eq(svr_tlv_next(h.bytes, h.len, &pos, &t), -EBADMSG, "a position outside");
	pos = 0;
	cr_expect_eq(svr_tlv_next(NULL, 0, &pos, &t), 0, "nothing at all");

	cr_expect_eq(svr_tlv_put(buf, 7, 2, "\xaa\xbb\xcc", 3), 7);
	cr_expect(memcmp(buf, h.bytes + 4, 7) == 0);
	cr_expect_eq(svr_tlv_put(buf, 6, 2, "\xaa\xbb\xcc", 3), -ENOSPC);
	cr_expect_eq(svr_tlv_put(buf, 3, 2, NULL, 0), -ENOSPC);
	cr_expect_eq(svr_tlv_put(buf, 4, 2, NULL, 0), 4);
	cr_expect_eq(svr_tlv_put(buf, SIZE_MAX, 2, buf, 65536), -ENOSPC,
		     "no length field holds this");
}

/* ---- whole blocks ---------------------------------------------------------------------------- */

/* Every understood TLV of a forward block. */
static struct svr_meta everything(void)
{
	struct svr_meta m = {
		.have = SVR_HAVE_SECURITY_ID | SVR_HAVE_SECURITY_PARAMS | SVR_HAVE_FWD_CONTEXT4 |
			SVR_HAVE_UUID | SVR_HAVE_TENANT | SVR_HAVE_SERVICE | SVR_HAVE_ENCRYPTED |
			SVR_HAVE_SOURCE_ROUTER | SVR_HAVE_POLICY | SVR_HAVE_PATH_ID |
			SVR_HAVE_SESSION_KEY | SVR_HAVE_NONCE | SVR_HAVE_KEY_EPOCH |
			SVR_HAVE_KEY_PACKET,
		.security_id = 7,
		.peer_key_index = 0xfffffffe,
		.cipher = SVR_CIPHER_AES_CBC_256,
		.hmac = SVR_HMAC_SHA384,
		.hmac_mode = SVR_HMAC_MODE_TIME_BASED,
		.context = { .sport = 1, .dport = 2, .proto = 17 },
		.uuid = { 1, 2, 3 },
		.tenant = "blue",
		.service = "dns",
		.source_router = "west",
		.policy = "secret",
		.path_id = "192.0.2.1",
		.session_key = { 9, 8, 7 },
		.nonce_time_ns = 1700000000500000000ULL,
		.nonce_random = 0x0123456789abcdefULL,
		.key_epoch = 0xfffe,
	};

	svr_addr_map4(htonl(0xac10010a), m.context.saddr);
	svr_addr_map4(htonl(0xac100214), m.context.daddr);
	return m;
}

/* The same of IPv6. */
static struct svr_meta everything6(void)
{
	struct svr_meta m = everything();

	m.have = (m.have & ~(uint32_t)SVR_HAVE_FWD_CONTEXT4) | SVR_HAVE_FWD_CONTEXT6;
	inet_pton(AF_INET6, "2001:db8:1::a", m.context.saddr);
	inet_pton(AF_INET6, "2001:db8:2::14", m.context.daddr);
	strcpy(m.path_id, "2001:db8:99::1");
	return m;
}

static bool same_values(const struct svr_meta *a, const struct svr_meta *b)
{
	struct svr_meta x = *a, y = *b;

	x.unknown = y.unknown = 0;
	x.header_len = y.header_len = 0;
	x.payload_len = y.payload_len = 0;
	return memcmp(&x, &y, sizeof(x)) == 0;
}

Test(meta, clear_blocks_are_the_vectors)
{
	static const struct {
		const char *vector;
		uint32_t have;
	} rows[] = {
		{ "meta.clear-forward", SVR_HAVE_FWD_CONTEXT4 | SVR_HAVE_UUID | SVR_HAVE_TENANT |
						SVR_HAVE_SERVICE | SVR_HAVE_POLICY |
						SVR_HAVE_SOURCE_ROUTER | SVR_HAVE_PATH_ID },
		{ "meta.clear-reverse", SVR_HAVE_REV_CONTEXT4 | SVR_HAVE_UUID |
						SVR_HAVE_SOURCE_ROUTER | SVR_HAVE_PATH_ID },
		{ "meta.ssr-forward", SVR_HAVE_SECURITY_ID | SVR_HAVE_FWD_CONTEXT4 |
					      SVR_HAVE_TENANT | SVR_HAVE_SERVICE },
		{ "meta.false-positive", 0 },
	};
	uint8_t built[SVR_META_MAX];
	struct svr_meta m;
	size_t i;
	int n;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct hex want = vec(rows[i].vector);

		cr_assert_eq(parse(want.bytes, want.len, &m), GOOD, "%s", rows[i].vector);
		cr_expect_eq(m.have, rows[i].have, "%s: have 0x%x", rows[i].vector, m.have);
		n = svr_meta_build(built, sizeof(built), &m);
		cr_expect(n == (int)want.len && memcmp(built, want.bytes, want.len) == 0,
			  "%s: built otherwise", rows[i].vector);
	}
}

Test(meta, vectors_of_ssr_give_their_values)
{
	struct hex h = vec("meta.ssr-forward");
	struct svr_meta m;

	cr_assert_eq(parse(h.bytes, h.len, &m), GOOD);
	cr_expect_eq(m.security_id, 1);
	cr_expect_str_eq(m.tenant, "blue");
	cr_expect_str_eq(m.service, "dns");
	cr_expect_eq(svr_addr_get4(m.context.saddr), htonl(0xc0a8010a));
	cr_expect_eq(svr_addr_get4(m.context.daddr), htonl(0x08080808));
	cr_expect(svr_addr_is_mapped(m.context.saddr) && svr_addr_is_mapped(m.context.daddr));
	cr_expect_eq(ntohs(m.context.sport), 40000);
	cr_expect_eq(ntohs(m.context.dport), 53);
	cr_expect_eq(m.context.proto, 17);

	h = vec("meta.ssr-fragment");
	cr_assert_eq(parse(h.bytes, h.len, &m), GOOD);
	cr_expect(m.have == SVR_HAVE_FRAGMENT && m.header_len == 26 && m.payload_len == 0);
	cr_expect(m.fragment.id == htonl(1) && m.fragment.ip_id == htons(0x1234) &&
		  m.fragment.flags_offset == htons(SVR_FRAGMENT_MORE) &&
		  m.fragment.largest == htons(1400));
	cr_expect(!svr_meta_is_false_positive(&m), "header TLVs make it something else");

	h = vec("meta.ssr-path-metrics");
	memset(&m, 0, sizeof(m));
	cr_assert_eq(svr_meta_parse_payload(h.bytes, h.len, &m), GOOD);
	cr_expect_eq(m.unknown, 1);
}

static void expect_back(struct svr_meta m)
{
	uint8_t p[SVR_META_MAX];
	struct svr_meta back;
	int n = svr_meta_build(p, sizeof(p), &m);

	cr_assert_gt(n, 0);
	cr_assert_eq(n, m.header_len + m.payload_len);
	cr_assert_eq(parse(p, (size_t)n, &back), GOOD);
	cr_expect(same_values(&m, &back));
	cr_expect(back.header_len == m.header_len && back.payload_len == m.payload_len);
}

Test(meta, what_is_built_is_what_is_parsed)
{
	expect_back(everything());
	expect_back(everything6());
}

static unsigned int contexts(uint32_t have)
{
	return (unsigned int)__builtin_popcount(have &
						(SVR_HAVE_FWD_CONTEXT | SVR_HAVE_REV_CONTEXT));
}

Test(meta, any_set_of_tlvs_comes_back)
{
	const struct svr_meta all = everything(), all6 = everything6();
	struct svr_meta m, back;
	uint8_t p[SVR_META_MAX];
	uint32_t have;
	int n;

	for (have = 0; have < 1 << 16; have++) {
		m = have & (SVR_HAVE_FWD_CONTEXT6 | SVR_HAVE_REV_CONTEXT6) ? all6 : all;
		m.have = have;
		n = svr_meta_build(p, sizeof(p), &m);
		if (contexts(have) > 1) {
			cr_assert_eq(n, -EINVAL);
			continue;
		}
		cr_assert_gt(n, 0, "0x%x", have);
		cr_assert_eq(parse(p, (size_t)n, &back), GOOD, "0x%x", have);
		cr_assert_eq(back.have, have);
		cr_assert_eq(svr_meta_is_false_positive(&back), have == 0);
	}
}

Test(meta, a_block_cut_anywhere_is_refused)
{
	struct svr_meta m = everything();
	uint8_t p[SVR_META_MAX];
	int n = svr_meta_build(p, sizeof(p), &m), len;

	cr_assert_gt(n, 0);
	for (len = 0; len < n; len++)
		cr_expect_eq(parse(p, (size_t)len, NULL), MALFORMED, "%d of %d bytes", len, n);
	cr_expect_eq(parse(p, (size_t)n, NULL), GOOD);
}

Test(meta, a_section_cut_anywhere_but_between_tlvs_is_refused)
{
	struct svr_meta m = everything(), back;
	uint8_t p[SVR_META_MAX], *payload;
	struct svr_tlv_view t;
	size_t len, border = 0;
	int tlvs = 0;

	cr_assert_gt(svr_meta_build(p, sizeof(p), &m), 0);
	for (len = 0; len <= m.payload_len; len++) {
		payload = exact_copy(p + m.header_len, len);
		memset(&back, 0, sizeof(back));
		cr_expect_eq(svr_meta_parse_payload(payload, len, &back),
			     len == border ? GOOD : MALFORMED, "%zu bytes", len);
		if (len == border && len < m.payload_len) {
			cr_assert_eq(svr_tlv_next(p + m.header_len, m.payload_len, &border, &t), 1);
			tlvs++;
		}
		free(payload);
	}
	cr_expect_eq(tlvs, 12);
}

Test(meta, every_length_field_with_every_value)
{
	struct svr_meta m = everything(), back;
	uint8_t p[SVR_META_MAX];
	struct svr_tlv_view t;
	size_t pos, at, end, good;
	uint32_t value;
	uint16_t right;
	int n = svr_meta_build(p, sizeof(p), &m), section;

	cr_assert_gt(n, 0);
	for (section = 0; section < 2; section++) {
		pos = section == 0 ? SVR_META_HDR_LEN : m.header_len;
		end = section == 0 ? m.header_len : (size_t)n;
		while (pos < end) {
			at = pos + 2;
			cr_assert_eq(svr_tlv_next(p, end, &pos, &t), 1);
			right = t.len;
			for (value = 0, good = 0; value <= UINT16_MAX; value++) {
				p[at] = (uint8_t)(value >> 8);
				p[at + 1] = (uint8_t)value;
				if (parse(p, (size_t)n, &back) == GOOD)
					good++;
			}
			p[at] = (uint8_t)(right >> 8);
			p[at + 1] = (uint8_t)right;
			/*
			 * no other length leads to a place where TLVs that fill the section start
			 */
			cr_expect_eq(good, 1, "TLV %u: %zu lengths are taken", t.type, good);
		}
	}
}

Test(meta, build_says_what_is_wrong)
{
	struct svr_meta m = everything();
	uint8_t p[SVR_META_MAX], *exact;
	int need = svr_meta_build(p, sizeof(p), &m), room;

	cr_assert_gt(need, 0);
	for (room = 0; room < need; room++) {
		exact = malloc((size_t)room + !room);
		cr_assert_not_null(exact);
		cr_expect_eq(svr_meta_build(exact, (size_t)room, &m), -ENOSPC, "%d of %d bytes",
			     room, need);
		free(exact);
	}
	m.tenant[0] = '\0';
	cr_expect_eq(svr_meta_build(p, sizeof(p), &m), -EINVAL, "an empty name");
	m = everything();
	memset(m.service, 'x', sizeof(m.service));
	cr_expect_eq(svr_meta_build(p, sizeof(p), &m), -EINVAL, "a name without end");
	m = everything();
	memcpy(m.policy, "a b", 4);
	cr_expect_eq(svr_meta_build(p, sizeof(p), &m), -EINVAL, "a name that no receiver takes");
	m = everything();
	memcpy(m.path_id, "short", 6);
	cr_expect_eq(svr_meta_build(p, sizeof(p), &m), -EINVAL,
		     "a peer path that no receiver takes");
	m = everything();
	m.have |= 1u << 31;
	cr_expect_eq(svr_meta_build(p, sizeof(p), &m), -EINVAL, "a bit that stands for nothing");
}

Test(meta, longest_names_fit_into_a_block)
{
	struct svr_meta m = everything(), back;
	uint8_t p[SVR_META_MAX];
	int n;

	memset(m.tenant, 'a', SVR_NAME_LEN - 1);
	memset(m.service, 'b', SVR_NAME_LEN - 1);
	memset(m.policy, 'c', SVR_NAME_LEN - 1);
	memset(m.source_router, 'd', SVR_NAME_LEN - 1);
	memset(m.path_id, '1', 15);
	n = svr_meta_build(p, sizeof(p), &m);
	cr_assert_gt(n, 0);
	cr_assert_eq(parse(p, (size_t)n, &back), GOOD);
	cr_expect(same_values(&m, &back));
	/* with padding and IV it is still inside the limit that receivers have */
	cr_expect_leq(n + 2 * SVR_BLOCK_LEN, SVR_META_MAX);
}

Test(meta, user_data_that_starts_with_the_cookie)
{
	struct hex want = vec("meta.false-positive");
	uint8_t p[SVR_META_HDR_LEN];
	struct svr_meta m;

	cr_expect_eq(svr_meta_put_false_positive(p, sizeof(p)), SVR_META_HDR_LEN);
	cr_expect(memcmp(p, want.bytes, want.len) == 0);
	cr_expect_eq(svr_meta_put_false_positive(p, sizeof(p) - 1), -ENOSPC);
	cr_assert_eq(parse(p, sizeof(p), &m), GOOD);
	cr_expect(svr_meta_is_false_positive(&m));
	cr_expect(svr_meta_is_cookie(p, SVR_COOKIE_LEN));
	cr_expect(!svr_meta_is_cookie(p, SVR_COOKIE_LEN - 1));
	p[7] ^= 1;
	cr_expect(!svr_meta_is_cookie(p, sizeof(p)));
}

/* ---- printing -------------------------------------------------------------------------------- */

Test(meta, prints_everything_but_secrets)
{
	struct svr_meta m = everything();
	char line[1024], small[10];
	uint8_t p[SVR_META_MAX];
	int n;

	cr_assert_gt(svr_meta_build(p, sizeof(p), &m), 0);
	n = svr_meta_print(&m, line, sizeof(line));
	cr_assert_eq((size_t)n, strlen(line));
	cr_expect_str_eq(
		line,
		"header-length=32 payload-length=153 security-id=7 peer-key-index=4294967294 cipher=aes-cbc-256 "
		"hmac=sha384 hmac-mode=time-based forward-context=172.16.1.10:256-172.16.2.20:512/17 "
		"uuid=01020300-0000-0000-0000-000000000000 tenant=blue service=dns policy=secret source-router=west "
		"peer-path=192.0.2.1 nonce-time-ns=1700000000500000000 nonce-random=0123456789abcdef encrypted=yes "
		"session-key=hidden key-epoch=65534 key-packet=yes");
	cr_expect_eq(svr_meta_print(&m, small, sizeof(small)), n, "says how much room it takes");
	cr_expect_str_eq(small, "header-le");
	cr_expect_eq(svr_meta_print(&m, NULL, 0), n);
	m = everything6();
	svr_meta_print(&m, line, sizeof(line));
	cr_expect(strstr(line, "forward-context=[2001:db8:1::a]:256-[2001:db8:2::14]:512/17 "),
		  "%s", line);
	cr_expect(strstr(line, "peer-path=2001:db8:99::1 "));
	m = (struct svr_meta){ .have = SVR_HAVE_SECURITY_PARAMS,
			       .cipher = 200,
			       .hmac = 200,
			       .hmac_mode = 200,
			       .unknown = 3 };
	svr_meta_print(&m, line, sizeof(line));
	cr_expect_str_eq(
		line,
		"header-length=0 payload-length=0 peer-key-index=0 cipher=unknown hmac=unknown hmac-mode=unknown "
		"unknown=3");
}

/* ---- by chance ------------------------------------------------------------------------------- */

/* What must hold of any block that is taken: built again and parsed again, it says the same. */
static void expect_stable(const struct svr_meta *m)
{
	struct svr_meta again = *m, back;
	uint8_t p[SVR_META_MAX];
	int n;

	again.unknown = 0;
	n = svr_meta_build(p, sizeof(p), &again);
	cr_assert_geq(n, SVR_META_HDR_LEN, "a block that was taken cannot be built: %d", n);
	cr_assert_eq(parse(p, (size_t)n, &back), GOOD);
	cr_assert(same_values(m, &back));
}

Test(meta, mutations_never_hurt)
{
	enum { ROUNDS = 300000, COPY_MAX = 24 };
	struct svr_meta all = everything(), m;
	uint8_t base[SVR_META_MAX], p[SVR_META_MAX];
	uint64_t seed = 20261121;
	size_t n = (size_t)svr_meta_build(base, sizeof(base), &all), len, from, to, count;
	unsigned int good = 0, bad = 0, changes;
	int round;

	for (round = 0; round < ROUNDS; round++) {
		memcpy(p, base, n);
		len = n;
		for (changes = 1 + test_random(&seed) % 4; changes; changes--) {
			from = test_random(&seed) % n;
			to = test_random(&seed) % n;
			switch (test_random(&seed) % 5) {
			case 0: /* one bit */
				p[to] ^= (uint8_t)(1 << test_random(&seed) % 8);
				break;
			case 1: /* one byte, one that means something more often than chance has it */
				p[to] = (uint8_t)(test_random(&seed) & 1 ? test_random(&seed) % 48 :
									   test_random(&seed));
				break;
			case 2: /* a part stands somewhere else */
				count = test_random(&seed) % COPY_MAX;
				count = count > n - from ? n - from : count;
				count = count > n - to ? n - to : count;
				memmove(p + to, p + from, count);
				break;
			case 3: /* the end is missing */
				len = to;
				break;
			case 4: /* payload length moves */
				svr_meta_set_payload_len(p,
							 (uint16_t)(test_random(&seed) % (n + 8)));
				break;
			}
		}
		if (parse(p, len, &m) == GOOD) {
			expect_stable(&m);
			good++;
		} else {
			bad++;
		}
	}
	/* the loop is of no use if everything ends in the same way */
	cr_expect(good > ROUNDS / 100 && bad > ROUNDS / 100, "%u good, %u bad", good, bad);
}

Test(meta, random_tlvs_never_hurt)
{
	static const uint16_t types[] = { 1,  2,  4,  6,  7,	  10,	  11,	  14,
					  15, 16, 19, 46, 0xf001, 0xf002, 0xf003, 0x7fff };
	static const uint16_t lengths[] = { 0, 1, 2, 4, 7, 8, 13, 16, 32, 63, 64 };
	uint8_t value[64], p[SVR_META_MAX];
	uint64_t seed = 20261122;
	struct svr_meta m;
	unsigned int good = 0;
	size_t len, i;
	int round, n, tlvs;

	for (round = 0; round < 200000; round++) {
		memset(&m, 0, sizeof(m));
		for (len = 0, tlvs = (int)(test_random(&seed) % 6); tlvs > 0; tlvs--) {
			for (i = 0; i < sizeof(value); i++)
				value[i] = (uint8_t)('a' + test_random(&seed) % 26);
			n = svr_tlv_put(
				p + len, sizeof(p) - len,
				types[test_random(&seed) % (sizeof(types) / sizeof(types[0]))],
				value,
				lengths[test_random(&seed) %
					(sizeof(lengths) / sizeof(lengths[0]))]);
			cr_assert_gt(n, 0);
			len += (size_t)n;
		}
		if (svr_meta_parse_payload(p, len, &m) == GOOD) {
			expect_stable(&m);
			good++;
		}
	}
	cr_expect_gt(good, 1000, "%u good", good);
}
