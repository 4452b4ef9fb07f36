// SPDX-License-Identifier: BSD-2-Clause
/* What is cut can be put together again, and no piece is too long or has a wrong checksum. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include <svr/drops.h>

#include "lib/meta.h"
#include "worker/cut.c"

enum { ROOM = 128, LONGEST = 20000 };

static uint8_t area[ROOM + LONGEST + 512], buffer[SVR_CUT_ROOM + SVR_PACKET_MAX];

/* What was emitted, put together by hand: the test knows that it comes in order. */
struct seen {
	uint8_t data[LONGEST + 512];
	size_t len, limit;
	unsigned int pieces;
	bool ended;
	uint32_t id;
	uint8_t family;
	int refuse_at; /* piece that is refused, -1: none */
};

/* An Ethernet frame with a packet of @payload bytes behind its L4 header */
static void make(struct svr_pkt *p, uint8_t family, uint8_t proto, size_t payload)
{
	const size_t ip_len = svr_ip_len(family), l4_len = proto == IPPROTO_TCP ? 32 : SVR_UDP_LEN;
	uint8_t *ip = area + ROOM;
	size_t i;

	memset(area, 0, sizeof(area));
	*p = (struct svr_pkt){ .room = area,
			       .room_end = area + sizeof(area),
			       .eth = ip - SVR_ETH_LEN,
			       .ip = ip,
			       .l4 = ip + ip_len,
			       .payload = ip + ip_len + l4_len,
			       .l4_len = (uint16_t)l4_len,
			       .payload_len = (uint16_t)payload,
			       .family = family,
			       .proto = proto };
	if (family == SVR_FAMILY_4) {
		struct svr_ip4 *h = svr_packet_ip4(p);

		*h = (struct svr_ip4){ .ver_ihl = 0x45, .tos = 0xb8, .ttl = 60, .proto = proto,
				       .id = htons(0x4711), .saddr = htonl(0xc0000201),
				       .daddr = htonl(0xc0000202) };
	} else {
		struct svr_ip6 *h = svr_packet_ip6(p);

		*h = (struct svr_ip6){ .ver_class_label = htonl(0x6b812345), .next = proto,
				       .hop_limit = 60 };
		h->saddr[0] = h->daddr[0] = htonl(0x20010db8);
		h->daddr[3] = htonl(2);
	}
	if (proto == IPPROTO_TCP) {
		svr_packet_tcp(p)->doff = 8 << 4;
		svr_packet_tcp(p)->seq = htonl(0x12345678);
	}
	svr_packet_udp(p)->sport = htons(20000);
	svr_packet_udp(p)->dport = htons(20001);
	for (i = 0; i < payload; i++)
		p->payload[i] = (uint8_t)(i * 11 + (i >> 8));
	svr_packet_finish(p, false);
}

static int see_fragment(void *user, uint8_t *ip, size_t len)
{
	struct seen *s = user;
	size_t head, offset, data;
	bool more;

	cr_assert_leq(len, s->limit);
	if (s->refuse_at == (int)s->pieces)
		return -SVR_DROP_TX_FULL;
	if (s->family == SVR_FAMILY_4) {
		struct svr_ip4 *h = (struct svr_ip4 *)ip;

		cr_assert_eq(svr_csum_fold(svr_csum_add(0, ip, SVR_IP4_LEN)), 0xffff);
		cr_assert_eq(ntohs(h->total_len), len);
		cr_assert_eq(ntohs(h->id), 0x4711, "the host's identification");
		cr_assert(h->tos == 0xb8 && h->ttl == 60);
		cr_assert_not(ntohs(h->frag) & 0xc000, "no DF");
		head = SVR_IP4_LEN;
		offset = (ntohs(h->frag) & 0x1fff) * 8U;
		more = ntohs(h->frag) & 0x2000;
	} else {
		struct svr_ip6 *h = (struct svr_ip6 *)ip;
		struct ip6_fragment *f = (struct ip6_fragment *)(h + 1);

		cr_assert_eq(ntohs(h->payload_len) + SVR_IP6_LEN, len);
		cr_assert(h->next == IPPROTO_FRAGMENT && f->next == IPPROTO_UDP && !f->zero);
		cr_assert(h->ver_class_label == htonl(0x6b812345) && h->hop_limit == 60);
		cr_assert_eq(ntohl(f->id), s->id);
		head = SVR_IP6_LEN + sizeof(*f);
		offset = ntohs(f->offset_more) & 0xfff8;
		more = ntohs(f->offset_more) & 1;
	}
	data = len - head;
	cr_assert_eq(offset, s->len);
	cr_assert(!more || data % 8 == 0);
	memcpy(s->data + s->len, ip + head, data);
	s->len += data;
	s->pieces++;
	s->ended = !more;
	return 0;
}

Test(worker_cut, fragments_of_ip)
{
	static const struct {
		uint8_t family;
		uint16_t payload, mtu;
		unsigned int pieces;
	} rows[] = {
		{ SVR_FAMILY_4, 1473, 1500, 2 },  { SVR_FAMILY_4, 2952, 1500, 2 },
		{ SVR_FAMILY_4, 2953, 1500, 3 },  { SVR_FAMILY_4, 9000, 1280, 8 },
		{ SVR_FAMILY_4, 100, 68, 3 },	  { SVR_FAMILY_6, 1453, 1500, 2 },
		{ SVR_FAMILY_6, 20000, 1280, 17 }, { SVR_FAMILY_4, 1472, 1500, 1 },
	};
	static struct seen s;
	struct svr_cut cut = { buffer, see_fragment, &s };
	struct svr_pkt p;
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		make(&p, rows[i].family, IPPROTO_UDP, rows[i].payload);
		s = (struct seen){ .limit = rows[i].mtu, .family = rows[i].family, .id = 77,
				   .refuse_at = -1 };
		cr_assert_eq(svr_cut_ip(&cut, &p, rows[i].mtu, 77), 0, "row %zu", i);
		cr_assert(s.ended && s.len == (size_t)rows[i].payload + SVR_UDP_LEN, "row %zu", i);
		cr_assert(memcmp(s.data, p.l4, s.len) == 0, "row %zu", i);
		cr_assert_eq(s.pieces, rows[i].pieces, "row %zu: %u", i, s.pieces);
	}
	make(&p, SVR_FAMILY_4, IPPROTO_UDP, 100);
	cr_assert_eq(svr_cut_ip(&cut, &p, 27, 1), -SVR_DROP_TOO_BIG, "no room for eight bytes");
	s = (struct seen){ .limit = 68, .family = SVR_FAMILY_4, .refuse_at = 1 };
	cr_assert_eq(svr_cut_ip(&cut, &p, 68, 1), -SVR_DROP_TX_FULL, "a refusal ends it");
}

static int see_piece(void *user, uint8_t *ip, size_t len)
{
	struct seen *s = user;
	struct svr_pkt p = { .room = ip, .room_end = ip + len };
	struct svr_meta m;
	uint16_t flags;
	size_t data;

	cr_assert_leq(len, s->limit);
	cr_assert_eq(svr_packet_parse(&p, ip - SVR_ETH_LEN, SVR_ETH_LEN + len, SVR_ETH_LEN), 0);
	cr_assert_eq(svr_packet_csum_state(&p), SVR_CSUM_FULL);
	cr_assert_eq(svr_packet_header_len(&p) + p.payload_len, len);
	if (p.family == SVR_FAMILY_4)
		cr_assert(svr_packet_ip4(&p)->frag == htons(0x4000) && !svr_packet_ip4(&p)->id);
	if (p.proto == IPPROTO_TCP)
		cr_assert(svr_packet_tcp(&p)->seq == htonl(0x12345678) && p.l4_len == 32);
	cr_assert_eq(svr_meta_parse_header(p.payload, p.payload_len, &m), 0);
	cr_assert(m.have == SVR_HAVE_FRAGMENT && !m.payload_len && !m.unknown);
	flags = ntohs(m.fragment.flags_offset);
	cr_assert_eq((flags & SVR_FRAGMENT_OFFSET) * 8U, s->len);
	cr_assert(flags & SVR_FRAGMENT_DF && !(flags & 0x8000));
	cr_assert(m.fragment.id == 5 && m.fragment.ip_id == 6 && m.fragment.largest == 7);
	data = (size_t)p.payload_len - m.header_len;
	memcpy(s->data + s->len, p.payload + m.header_len, data);
	s->len += data;
	s->pieces++;
	s->ended = !(flags & SVR_FRAGMENT_MORE);
	return 0;
}

Test(worker_cut, pieces_of_a_session)
{
	static const struct svr_tlv_fragment tlv = { .id = 5, .ip_id = 6, .largest = 7,
						     .flags_offset = 0x0040 /* DF */ };
	static const uint8_t families[] = { SVR_FAMILY_4, SVR_FAMILY_6 };
	static const uint8_t protos[] = { IPPROTO_TCP, IPPROTO_UDP };
	static const uint16_t sizes[] = { 1, 8, 1400, 1447, 1500, 9001, LONGEST };
	static struct seen s;
	struct svr_cut cut = { buffer, see_piece, &s };
	size_t f, l, n;
	struct svr_pkt p;

	for (f = 0; f < 2; f++)
		for (l = 0; l < 2; l++)
			for (n = 0; n < sizeof(sizes) / sizeof(sizes[0]); n++) {
				make(&p, families[f], protos[l], sizes[n]);
				s = (struct seen){ .limit = 1500 };
				cr_assert_eq(svr_cut_session(&cut, &p, 1500, &tlv), 0);
				cr_assert(s.ended && s.len == sizes[n], "%zu of %u", s.len, sizes[n]);
				cr_assert(memcmp(s.data, p.payload, s.len) == 0);
			}
	make(&p, SVR_FAMILY_4, IPPROTO_UDP, 2000);
	cr_assert_eq(svr_cut_session(&cut, &p, 61, &tlv), -SVR_DROP_TOO_BIG);
	svr_packet_udp(&p)->csum ^= 1;
	cr_assert_eq(svr_cut_session(&cut, &p, 1500, &tlv), -SVR_DROP_BAD_CSUM,
		     "no piece makes a wrong checksum right");
	svr_packet_udp(&p)->csum = 0;
	s = (struct seen){ .limit = 1500 };
	cr_assert_eq(svr_cut_session(&cut, &p, 1500, &tlv), 0, "none is none");
}
