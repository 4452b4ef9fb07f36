// SPDX-License-Identifier: BSD-2-Clause
/*
 * Frames of the worker: structure, checksums, room, MSS, ICMP fragmentation-needed; addresses and
 * next hops.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include <svr/drops.h>

#include "tests/unit/vector.h"
/* The worker is a program, no library: its pure parts are compiled here */
#include "lib/tcpstate.h"
#include "worker/addr.c"
#include "worker/icmp.c"
#include "worker/packet.c"

enum { ROOM = 2048, FRONT = 512 };

struct frame {
	uint8_t bytes[ROOM];
	size_t len;
	struct svr_pkt p;
};

static uint16_t reference_sum(const uint8_t *p, size_t len)
{
	uint32_t sum = 0;
	size_t i;

	for (i = 0; i < len; i++)
		sum += (uint32_t)p[i] << (i % 2 ? 0 : 8);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

static void put_ip_csum(uint8_t *ip)
{
	uint16_t sum;

	ip[10] = ip[11] = 0;
	sum = (uint16_t)~reference_sum(ip, 20);
	ip[10] = sum >> 8;
	ip[11] = sum & 0xff;
}

/*
 * A frame in the middle of its room, 10.0.0.1:1000 > 10.0.0.2:2000, IP checksum right, L4 checksum
 * zero.
 */
static void frame_make(struct frame *f, uint8_t proto, const void *options, size_t options_len,
		       const void *payload, size_t len)
{
	static const uint8_t eth[] = { 2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0 };
	size_t l4 = proto == IPPROTO_TCP ? 20 + options_len : 8, total = 20 + l4 + len;
	uint8_t *at = f->bytes + FRONT, *ip = at + sizeof(eth), *h = ip + 20;

	memset(f, 0, sizeof(*f));
	memcpy(at, eth, sizeof(eth));
	ip[0] = 0x45;
	ip[2] = (uint8_t)(total >> 8);
	ip[3] = (uint8_t)total;
	ip[6] = 0x40; /* do not fragment */
	ip[8] = 64;
	ip[9] = proto;
	ip[12] = ip[16] = 10;
	ip[15] = 1;
	ip[19] = 2;
	put_ip_csum(ip);
	h[0] = 1000 >> 8;
	h[1] = 1000 & 0xff;
	h[2] = 2000 >> 8;
	h[3] = 2000 & 0xff;
	if (proto == IPPROTO_TCP) {
		h[12] = (uint8_t)(l4 / 4 << 4);
		h[13] = SVR_TCPF_ACK;
		if (options_len)
			memcpy(h + 20, options, options_len);
	} else {
		h[4] = (uint8_t)((8 + len) >> 8);
		h[5] = (uint8_t)(8 + len);
	}
	if (len)
		memcpy(h + l4, payload, len);
	f->len = sizeof(eth) + total;
	f->p.room = f->bytes;
	f->p.room_end = f->bytes + ROOM;
}

/*
 * The same packet in IPv6, 2001:db8::a00:1 > 2001:db8::a00:2, hop limit 64, traffic class 0x2e,
 * flow label 0x12345.
 */
static void frame6_make(struct frame *f, uint8_t proto, const void *options, size_t options_len,
			const void *payload, size_t len)
{
	static const uint8_t head[] = { 0x62, 0xe1, 0x23, 0x45 }, net[4] = { 0x20, 1, 0xd, 0xb8 };
	uint8_t *eth = f->bytes + FRONT, *ip = eth + SVR_ETH_LEN, old[20];

	frame_make(f, proto, options, options_len, payload, len);
	memcpy(old, ip, sizeof(old));
	memmove(ip + 40, ip + 20, f->len - SVR_ETH_LEN - 20);
	memset(ip, 0, 40);
	memcpy(ip, head, sizeof(head));
	ip[4] = (uint8_t)((f->len - SVR_ETH_LEN - 20) >> 8);
	ip[5] = (uint8_t)(f->len - SVR_ETH_LEN - 20);
	ip[6] = proto;
	ip[7] = 64;
	memcpy(ip + 8, net, sizeof(net));
	memcpy(ip + 20, old + 12, 4);
	memcpy(ip + 24, net, sizeof(net));
	memcpy(ip + 36, old + 16, 4);
	eth[12] = 0x86;
	eth[13] = 0xdd;
	f->len += 20;
}

static int frame_parse(struct frame *f)
{
	return svr_packet_parse(&f->p, f->bytes + FRONT, f->len, SVR_ETH_LEN);
}

/* ---- structure ----------------------------------------------------------------------------- */

Test(worker_packet, tcp_and_udp_are_understood)
{
	static const uint8_t options[4] = { 2, 4, 5, 180 };
	struct svr_flow6_key key, back;
	struct frame f;

	frame_make(&f, IPPROTO_TCP, options, sizeof(options), "hello", 5);
	cr_assert_eq(frame_parse(&f), 0);
	cr_expect_eq(f.p.l4_len, 24);
	cr_expect_eq(f.p.payload_len, 5);
	cr_expect(memcmp(f.p.payload, "hello", 5) == 0);
	cr_expect_eq(f.p.tcp_flags, SVR_TCPF_ACK);
	cr_expect_eq(svr_packet_header_len(&f.p), 44);

	frame_make(&f, IPPROTO_UDP, NULL, 0, "hello", 5);
	cr_assert_eq(frame_parse(&f), 0);
	cr_expect_eq(f.p.payload_len, 5);
	cr_expect_eq(svr_packet_frame_len(&f.p), f.len);
	svr_packet_key(&f.p, 7, &key);
	cr_expect_eq(ntohs(key.sport), 1000);
	cr_expect(svr_key_is4(&key));
	cr_expect_eq(ntohl(svr_addr_get4(key.daddr)), 0x0a000002);
	cr_expect_eq(key.zone, 7);
	svr_key_reverse(&key, 9, &back);
	cr_expect_eq(ntohs(back.dport), 1000);
	cr_expect_eq(svr_addr_get4(back.saddr), svr_addr_get4(key.daddr));
	cr_expect_eq(back.zone, 9);
}

Test(worker_packet, ipv6_is_understood)
{
	struct svr_flow6_key key;
	struct frame f;

	frame6_make(&f, IPPROTO_TCP, NULL, 0, "hello", 5);
	f.len += 3; /* link-layer padding */
	cr_assert_eq(frame_parse(&f), 0);
	cr_expect_eq(f.p.family, SVR_FAMILY_6);
	cr_expect_eq(f.p.payload_len, 5);
	cr_expect_eq(svr_packet_header_len(&f.p), 60);
	cr_expect_eq(svr_packet_ttl(&f.p), 64);
	cr_expect(memcmp(f.p.payload, "hello", 5) == 0);
	svr_packet_key(&f.p, 7, &key);
	cr_expect_eq(key.saddr[0], htonl(0x20010db8));
	cr_expect_eq(key.saddr[3], htonl(0x0a000001));
	cr_expect_eq(key.daddr[3], htonl(0x0a000002));
	cr_expect_eq(key.dport, htons(2000));
	cr_expect_eq(key.zone, 7);
	svr_packet_finish(&f.p, false);
	cr_expect_eq(svr_packet_csum_state(&f.p), SVR_CSUM_FULL);
	cr_expect_eq((reference_sum(f.p.ip + 8, 32 + 25) + IPPROTO_TCP + 25) % 0xffff, 0,
		     "the sum over addresses, packet, protocol and length");
}

static const struct {
	const char *name;
	unsigned int at; /* from the IP header */
	uint8_t value;
	int want;
} bad6[] = {
	{ "version 5", 0, 0x50, -SVR_DROP_BAD_IP },
	{ "longer than the frame", 5, 200, -SVR_DROP_SHORT },
	{ "a fragment", 6, 44, -SVR_DROP_FRAGMENT },
	{ "hop-by-hop options", 6, 0, -SVR_DROP_IP_OPTIONS },
	{ "a routing header", 6, 43, -SVR_DROP_IP_OPTIONS },
	{ "destination options", 6, 60, -SVR_DROP_IP_OPTIONS },
	{ "ICMPv6", 6, 58, -SVR_DROP_PROTOCOL },
	{ "SCTP", 6, 132, -SVR_DROP_PROTOCOL },
	{ "TCP header cut off", 5, 19, -SVR_DROP_SHORT },
	{ "TCP header of 16 bytes", 52, 0x40, -SVR_DROP_BAD_L4 },
};

Test(worker_packet, wrong_ipv6_structure_has_a_name)
{
	struct frame f;
	size_t i;

	for (i = 0; i < sizeof(bad6) / sizeof(bad6[0]); i++) {
		frame6_make(&f, IPPROTO_TCP, NULL, 0, "hello", 5);
		f.bytes[FRONT + SVR_ETH_LEN + bad6[i].at] = bad6[i].value;
		cr_expect_eq(frame_parse(&f), bad6[i].want, "%s", bad6[i].name);
	}
	frame6_make(&f, IPPROTO_UDP, NULL, 0, "hello", 5);
	f.len = SVR_ETH_LEN + 39;
	cr_expect_eq(frame_parse(&f), -SVR_DROP_SHORT);
}

Test(worker_packet, link_layer_padding_is_left_out)
{
	struct frame f;

	frame_make(&f, IPPROTO_UDP, NULL, 0, "x", 1);
	f.len += 17;
	cr_assert_eq(frame_parse(&f), 0);
	cr_expect_eq(f.p.payload_len, 1);
}

static const struct refusal {
	const char *name;
	uint8_t proto;
	size_t at; /* byte of the IP packet */
	uint8_t value;
	bool repair; /* make the IP checksum right again */
	int cut; /* bytes taken from the end of the frame */
	int want;
} refusals[] = {
	{ "version 5", IPPROTO_UDP, 0, 0x55, true, 0, -SVR_DROP_BAD_IP },
	{ "header of four words", IPPROTO_UDP, 0, 0x44, true, 0, -SVR_DROP_BAD_IP },
	{ "options", IPPROTO_UDP, 0, 0x46, true, 0, -SVR_DROP_IP_OPTIONS },
	{ "total length below the header", IPPROTO_UDP, 3, 19, true, 0, -SVR_DROP_BAD_IP },
	{ "total length above the frame", IPPROTO_UDP, 3, 200, true, 0, -SVR_DROP_SHORT },
	{ "frame cut by one byte", IPPROTO_UDP, 1, 0, true, 1, -SVR_DROP_SHORT },
	{ "frame that ends in the IP header", IPPROTO_UDP, 1, 0, true, 30, -SVR_DROP_SHORT },
	{ "IP checksum", IPPROTO_UDP, 8, 63, false, 0, -SVR_DROP_BAD_CSUM },
	{ "more fragments", IPPROTO_UDP, 6, 0x20, true, 0, -SVR_DROP_FRAGMENT },
	{ "fragment offset", IPPROTO_UDP, 7, 1, true, 0, -SVR_DROP_FRAGMENT },
	{ "ICMP", IPPROTO_UDP, 9, 1, true, 0, -SVR_DROP_PROTOCOL },
	{ "UDP length too small", IPPROTO_UDP, 25, 9, false, 0, -SVR_DROP_BAD_L4 },
	{ "UDP length below its header", IPPROTO_UDP, 25, 7, false, 0, -SVR_DROP_BAD_L4 },
	{ "TCP header of four words", IPPROTO_TCP, 32, 0x40, false, 0, -SVR_DROP_BAD_L4 },
	{ "TCP header longer than the packet", IPPROTO_TCP, 32, 0xf0, false, 0, -SVR_DROP_BAD_L4 },
};

Test(worker_packet, wrong_structure_has_a_name)
{
	struct frame f;
	size_t i;

	for (i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		const struct refusal *r = &refusals[i];
		uint8_t *ip = f.bytes + FRONT + SVR_ETH_LEN;

		frame_make(&f, r->proto, NULL, 0, "payload", 7);
		ip[r->at] = r->value;
		if (r->repair)
			put_ip_csum(ip);
		f.len -= (size_t)r->cut;
		cr_expect_eq(frame_parse(&f), r->want, "%s", r->name);
	}
}

/* Whatever the bytes are, the result lies inside of the frame. */
Test(worker_packet, random_bytes_never_reach_outside)
{
	uint64_t seed = 42;
	struct frame f;
	int i, k;

	for (i = 0; i < 20000; i++) {
		uint8_t *copy;
		size_t len;

		frame_make(&f, i & 1 ? IPPROTO_TCP : IPPROTO_UDP, NULL, 0, "payload", 7);
		for (k = 0; k < 3; k++)
			f.bytes[FRONT + SVR_ETH_LEN + test_random(&seed) % (f.len - SVR_ETH_LEN)] =
				(uint8_t)test_random(&seed);
		if (i % 3)
			put_ip_csum(f.bytes + FRONT + SVR_ETH_LEN);
		len = test_random(&seed) % (f.len + 1);
		copy = exact_copy(f.bytes + FRONT, len);
		if (svr_packet_parse(&f.p, copy, len, SVR_ETH_LEN) == 0) {
			cr_assert(f.p.payload + f.p.payload_len <= copy + len);
			svr_packet_csum_state(&f.p);
			svr_packet_clamp_mss(&f.p, 100);
		}
		free(copy);
	}
}

/* ---- checksums ----------------------------------------------------------------------------- */

Test(worker_packet, sum_is_the_reference_sum_for_every_length)
{
	uint8_t data[300];
	uint64_t seed = 7;
	size_t i, len;
	uint16_t got;

	for (i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)test_random(&seed);
	for (len = 0; len <= sizeof(data); len++) {
		got = svr_csum_fold(svr_csum_add(0, data, len));
		cr_expect_eq(ntohs(got), reference_sum(data, len), "%zu bytes", len);
	}
	memset(data, 0xff, sizeof(data));
	cr_expect_eq(svr_csum_fold(svr_csum_add(0, data, 300)), 0xffff);
}

static uint16_t *l4_csum(struct frame *f)
{
	return (uint16_t *)(void *)(f->p.l4 + (f->p.proto == IPPROTO_TCP ? 16 : 6));
}

static void csum_set(struct frame *f, uint16_t v)
{
	memcpy(l4_csum(f), &v, sizeof(v));
}

static uint16_t csum_get(struct frame *f)
{
	uint16_t v;

	memcpy(&v, l4_csum(f), sizeof(v));
	return v;
}

Test(worker_packet, checksum_is_full_partial_none_or_wrong)
{
	static const uint8_t protos[] = { IPPROTO_TCP, IPPROTO_UDP };
	struct frame f;
	uint16_t full;
	size_t i;

	for (i = 0; i < sizeof(protos); i++) {
		frame_make(&f, protos[i], NULL, 0, "odd", 3);
		cr_assert_eq(frame_parse(&f), 0);
		cr_expect_eq(svr_packet_csum_state(&f.p),
			     protos[i] == IPPROTO_UDP ? SVR_CSUM_NONE : SVR_CSUM_WRONG);
		svr_packet_finish(&f.p, false);
		full = csum_get(&f);
		cr_expect_eq(svr_packet_csum_state(&f.p), SVR_CSUM_FULL);
		/*
		 * RFC 793, by hand: the sum over pseudo-header and segment with its checksum is all
		 * ones
		 */
		f.p.payload[0] ^= 1;
		cr_expect_eq(svr_packet_csum_state(&f.p), SVR_CSUM_WRONG);
		f.p.payload[0] ^= 1;
		csum_set(&f, svr_csum_fold(pseudo_sum(&f.p)));
		cr_expect_eq(svr_packet_csum_state(&f.p), SVR_CSUM_PARTIAL);
		svr_packet_finish(&f.p, false);
		cr_expect_eq(csum_get(&f), full, "a partial checksum becomes the full one");
	}
}

Test(worker_packet, udp_checksum_zero_is_sent_as_all_ones)
{
	struct frame f;
	uint16_t csum;

	frame_make(&f, IPPROTO_UDP, NULL, 0, "\0\0", 2);
	cr_assert_eq(frame_parse(&f), 0);
	svr_packet_finish(&f.p, false);
	csum = csum_get(&f);
	/* The payload takes what is missing: the sum without the field is then all ones */
	memcpy(f.p.payload, &csum, sizeof(csum));
	svr_packet_finish(&f.p, false);
	cr_expect_eq(csum_get(&f), 0xffff);
	cr_expect_eq(svr_packet_csum_state(&f.p), SVR_CSUM_FULL);
	svr_packet_finish(&f.p, true);
	cr_expect_eq(csum_get(&f), 0, "a host's packet without checksum stays one");
}

/* An address of either family, "" for none. */
static const __be32 *address(const char *text)
{
	static __be32 out[4][4];
	static unsigned int turn;
	__be32 *a = out[turn++ % 4], v4;

	memset(a, 0, 4 * sizeof(*a));
	if (inet_pton(AF_INET, text, &v4) == 1)
		svr_addr_map4(v4, a);
	else
		cr_assert(!*text || inet_pton(AF_INET6, text, a) == 1, "%s", text);
	return a;
}

/* ---- changes ------------------------------------------------------------------------------- */

Test(worker_packet, push_and_pull_leave_the_payload_where_it_is)
{
	struct frame f;
	uint8_t *payload, *room;

	frame_make(&f, IPPROTO_TCP, NULL, 0, "payload", 7);
	cr_assert_eq(frame_parse(&f), 0);
	payload = f.p.payload;
	room = svr_packet_push(&f.p, 448);
	cr_assert_eq(room, payload - 448);
	cr_expect_eq(f.p.payload_len, 455);
	cr_expect(memcmp(payload, "payload", 7) == 0);
	memset(room, 0xaa, 448);
	svr_packet_finish(&f.p, false);
	cr_expect_eq(svr_packet_csum_state(&f.p), SVR_CSUM_FULL);
	cr_expect_eq(ntohs(svr_packet_ip4(&f.p)->total_len), 40 + 455);
	svr_packet_pull(&f.p, 448);
	cr_expect_eq(f.p.payload, payload);
	cr_expect_eq(f.p.payload_len, 7);
	svr_packet_finish(&f.p, false);
	cr_expect_eq(svr_packet_ip4(&f.p)->ver_ihl, 0x45);
	cr_expect_eq(svr_packet_csum_state(&f.p), SVR_CSUM_FULL);
	cr_expect_null(svr_packet_push(&f.p, FRONT), "no room for the Ethernet header");
}

Test(worker_packet, addresses_become_those_of_the_reverse_flow)
{
	const struct svr_flow4_key opposite4 = {
		.saddr = htonl(0xc0000202),
		.daddr = htonl(0xc0000201),
		.sport = htons(40001),
		.dport = htons(40000),
	};
	struct svr_flow6_key key, opposite;
	struct frame f;

	frame_make(&f, IPPROTO_UDP, NULL, 0, "x", 1);
	cr_assert_eq(frame_parse(&f), 0);
	svr_key_map4(&opposite4, &opposite);
	cr_assert_eq(svr_packet_readdress(&f.p, &opposite, 0), 0);
	svr_packet_finish(&f.p, false);
	cr_expect_eq(svr_packet_csum_state(&f.p), SVR_CSUM_FULL);
	svr_packet_key(&f.p, 0, &key);
	cr_expect_eq(svr_addr_get4(key.saddr), opposite4.daddr);
	cr_expect_eq(svr_addr_get4(key.daddr), opposite4.saddr);
	cr_expect_eq(key.sport, opposite.dport);
	cr_expect_eq(key.dport, opposite.sport);
	cr_expect_eq(svr_packet_ip4(&f.p)->ttl, 63);
}

static void flow_between(const char *saddr, const char *daddr, struct svr_flow6_key *key)
{
	*key = (struct svr_flow6_key){ .sport = htons(40001), .dport = htons(40000) };
	svr_addr_copy(key->saddr, address(saddr));
	svr_addr_copy(key->daddr, address(daddr));
}

/* All four combinations; the host's packet comes out as it went in. */
Test(worker_packet, a_packet_changes_its_family_and_back)
{
	static const uint8_t out[12] = { 0 };
	struct svr_flow6_key wan4, wan6, lan, wan, back;
	uint8_t payload[64], *at;
	unsigned int i;
	struct frame f;

	flow_between("192.0.2.2", "192.0.2.1", &wan4);
	flow_between("2001:db8:99::2", "2001:db8:99::1", &wan6);
	for (i = 0; i < sizeof(payload); i++)
		payload[i] = (uint8_t)(i * 7);
	for (i = 0; i < 8; i++) {
		uint8_t proto = i & 4 ? IPPROTO_TCP : IPPROTO_UDP;

		if (i & 1)
			frame6_make(&f, proto, NULL, 0, payload, sizeof(payload));
		else
			frame_make(&f, proto, NULL, 0, payload, sizeof(payload));
		cr_assert_eq(frame_parse(&f), 0);
		svr_packet_finish(&f.p, false);
		svr_packet_key(&f.p, 0, &lan);
		at = f.p.payload;
		wan = i & 2 ? wan6 : wan4;
		cr_assert_eq(svr_packet_readdress(&f.p, &wan, 0xabcde), 0);
		svr_packet_finish(&f.p, false);
		cr_expect_eq(f.p.family, i & 2 ? SVR_FAMILY_6 : SVR_FAMILY_4);
		cr_expect_eq(svr_packet_csum_state(&f.p), SVR_CSUM_FULL, "case %u", i);
		cr_assert_eq(svr_packet_set_eth(&f.p, out, out + 6, 0, 0), 0);
		/* What the other router parses */
		cr_assert_eq(svr_packet_parse(&f.p, f.p.eth, svr_packet_frame_len(&f.p),
					      SVR_ETH_LEN), 0);
		svr_packet_key(&f.p, 0, &back);
		cr_expect(svr_addr_equal(back.saddr, wan.daddr) &&
			  svr_addr_equal(back.daddr, wan.saddr));
		svr_key_reverse(&lan, 0, &lan);
		cr_assert_eq(svr_packet_readdress(&f.p, &lan, 0), 0);
		svr_packet_finish(&f.p, false);
		svr_key_reverse(&lan, 0, &lan);
		svr_packet_key(&f.p, 0, &back);
		cr_expect_eq(memcmp(&back, &lan, sizeof(lan)), 0, "case %u", i);
		cr_expect_eq(svr_packet_csum_state(&f.p), SVR_CSUM_FULL);
		cr_expect_eq(svr_packet_ttl(&f.p), 62);
		cr_expect_eq(f.p.payload, at, "the payload never moves");
		cr_expect(memcmp(f.p.payload, payload, sizeof(payload)) == 0);
		if (i & 1) /* traffic class */
			cr_expect_eq((ntohl(svr_packet_ip6(&f.p)->ver_class_label) >> 20 & 0xff),
				     0x2e);
	}
}

Test(worker_packet, flow_label_and_room_of_ipv6)
{
	struct svr_flow6_key wan6;
	struct frame f;

	flow_between("2001:db8:99::2", "2001:db8:99::1", &wan6);
	frame_make(&f, IPPROTO_UDP, NULL, 0, "x", 1);
	f.bytes[FRONT + SVR_ETH_LEN + 1] = 0xb8;
	put_ip_csum(f.bytes + FRONT + SVR_ETH_LEN);
	cr_assert_eq(frame_parse(&f), 0);
	cr_assert_eq(svr_packet_readdress(&f.p, &wan6, 0xfff12345), 0);
	cr_expect_eq(ntohl(svr_packet_ip6(&f.p)->ver_class_label), 0x6b812345);
	svr_packet_finish(&f.p, true);
	cr_expect_neq(csum_get(&f), 0, "IPv6 has no UDP without a checksum");
	cr_assert_eq(svr_packet_set_eth(&f.p, f.bytes, f.bytes, 0, 0), 0);
	cr_expect_eq(f.p.eth[12] << 8 | f.p.eth[13], 0x86dd);
	frame_make(&f, IPPROTO_UDP, NULL, 0, "x", 1);
	cr_assert_eq(frame_parse(&f), 0);
	f.p.room = f.p.ip - SVR_ETH_LEN - SVR_VLAN_LEN - 19;
	cr_expect_eq(svr_packet_readdress(&f.p, &wan6, 0), -SVR_DROP_INTERNAL);
	cr_expect_eq(f.p.family, SVR_FAMILY_4, "and nothing was written");
}

Test(worker_packet, ethernet_header_with_and_without_vlan)
{
	static const uint8_t dst[6] = { 1, 2, 3, 4, 5, 6 }, src[6] = { 7, 8, 9, 10, 11, 12 };
	static const uint8_t tagged[18] = { 1,	2,  3,	4,    5, 6, 7,	 8, 9,
					    10, 11, 12, 0x81, 0, 0, 100, 8, 0 };
	static const uint8_t twice[10] = { 0x88, 0xa8, 0, 7, 0x81, 0, 0, 100, 8, 0 };
	static const uint8_t plain[14] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 8, 0 };
	struct frame f;

	frame_make(&f, IPPROTO_UDP, NULL, 0, "x", 1);
	cr_assert_eq(frame_parse(&f), 0);
	cr_assert_eq(svr_packet_set_eth(&f.p, dst, src, 100, 0), 0);
	cr_expect_arr_eq(f.p.eth, tagged, sizeof(tagged));
	cr_expect_eq(svr_packet_frame_len(&f.p), 18 + 29);
	cr_assert_eq(svr_packet_set_eth(&f.p, dst, src, 0, 0), 0);
	cr_expect_arr_eq(f.p.eth, plain, sizeof(plain));
	cr_expect_eq(svr_packet_frame_len(&f.p), 14 + 29);
	cr_assert_eq(svr_packet_set_eth(&f.p, dst, src, 100, 7), 0);
	cr_expect_arr_eq(f.p.eth + 12, twice, sizeof(twice));
	cr_expect_eq(svr_packet_frame_len(&f.p), 22 + 29);
}

static const struct mss_case {
	const char *name;
	const char *options; /* hexadecimal */
	uint8_t flags;
	bool changed;
	const char *after;
} mss_cases[] = {
	{ "lowered", "020405b4", SVR_TCPF_SYN, true, "02040564" },
	{ "lowered in a SYN/ACK, behind others", "0101080a0000000000000000 020405b4",
	  SVR_TCPF_SYN | SVR_TCPF_ACK, true, "0101080a0000000000000000 02040564" },
	{ "small enough", "02040200", SVR_TCPF_SYN, false, "02040200" },
	{ "no SYN", "020405b4", SVR_TCPF_ACK, false, "020405b4" },
	{ "behind the end of the options", "00000000 020405b4", SVR_TCPF_SYN, false,
	  "00000000 020405b4" },
	{ "option of length 0", "08000000 020405b4", SVR_TCPF_SYN, false, "08000000 020405b4" },
	{ "option that ends behind the header", "01010208", SVR_TCPF_SYN, false, "01010208" },
	{ "MSS of another length", "02030504", SVR_TCPF_SYN, false, "02030504" },
};

Test(worker_packet, mss_is_lowered_in_syn_packets_only)
{
	struct frame f;
	size_t i;

	for (i = 0; i < sizeof(mss_cases) / sizeof(mss_cases[0]); i++) {
		struct hex options = hex(mss_cases[i].options), after = hex(mss_cases[i].after);

		frame_make(&f, IPPROTO_TCP, options.bytes, options.len, "", 0);
		f.bytes[FRONT + SVR_ETH_LEN + 33] = mss_cases[i].flags;
		cr_assert_eq(frame_parse(&f), 0);
		cr_expect_eq(svr_packet_clamp_mss(&f.p, 1380), mss_cases[i].changed, "%s",
			     mss_cases[i].name);
		cr_expect(memcmp(f.p.l4 + 20, after.bytes, after.len) == 0, "%s",
			  mss_cases[i].name);
	}
}

/* ---- ICMP ---------------------------------------------------------------------------------- */

Test(worker_packet, icmp_too_big_quotes_the_packet_and_its_sums_are_right)
{
	uint8_t out[SVR_ICMP_FRAME_MAX], payload[1000] = { 0 };
	struct frame f;
	size_t len;

	frame_make(&f, IPPROTO_UDP, NULL, 0, payload, sizeof(payload));
	cr_assert_eq(frame_parse(&f), 0);
	len = svr_icmp_too_big(&f.p, address("10.0.0.254"), 1420, out);
	cr_assert_eq(len, 14 + 576, "RFC 1812: as much as fits in 576 bytes");
	cr_expect(memcmp(out, f.p.eth + 6, 6) == 0, "back to the sender");
	cr_expect_eq(reference_sum(out + 14, 20), 0xffff);
	cr_expect_eq(reference_sum(out + 34, len - 34), 0xffff);
	cr_expect_eq(out[34], 3);
	cr_expect_eq(out[35], 4);
	cr_expect_eq(out[40] << 8 | out[41], 1420);
	cr_expect(memcmp(out + 42, f.p.ip, 28) == 0);
	cr_expect(memcmp(out + 30, f.p.ip + 12, 4) == 0, "to the source");

	frame_make(&f, IPPROTO_UDP, NULL, 0, payload, 10);
	cr_assert_eq(frame_parse(&f), 0);
	cr_expect_eq(svr_icmp_too_big(&f.p, address("10.0.0.254"), 1420, out), 14 + 20 + 8 + 38);
}

Test(worker_packet, icmp_too_big_keeps_both_vlan_tags)
{
	uint8_t out[SVR_ICMP_FRAME_MAX], payload[1400] = { 0 };
	struct frame f;

	frame6_make(&f, IPPROTO_UDP, NULL, 0, payload, sizeof(payload));
	cr_assert_eq(frame_parse(&f), 0);
	memmove(f.p.eth - 8, f.p.eth, 12);
	f.p.eth -= 8;
	memcpy(f.p.eth + 12, "\x88\xa8\x00\x07\x81\x00\x00\x64", 8);
	cr_assert_eq(svr_icmp_too_big(&f.p, address("2001:db8::1"), 1420, out), 22 + 1280);
	cr_expect(memcmp(out + 12, f.p.eth + 12, 10) == 0, "tags and type");
}

Test(worker_packet, icmpv6_too_big_quotes_the_packet_and_its_sum_is_right)
{
	uint8_t out[SVR_ICMP_FRAME_MAX], payload[1400] = { 0 };
	struct frame f;
	uint32_t sum;
	size_t len;

	frame6_make(&f, IPPROTO_UDP, NULL, 0, payload, sizeof(payload));
	cr_assert_eq(frame_parse(&f), 0);
	len = svr_icmp_too_big(&f.p, address("2001:db8::1"), 1420, out);
	cr_assert_eq(len, 14 + 1280, "RFC 4443: as much as fits in 1280 bytes");
	cr_expect(memcmp(out, f.p.eth + 6, 6) == 0, "back to the sender");
	cr_expect_eq(out[12] << 8 | out[13], 0x86dd);
	cr_expect_eq(out[14 + 6], IPPROTO_ICMPV6);
	cr_expect_eq(out[14 + 4] << 8 | out[14 + 5], 1240);
	cr_expect_eq(out[54], 2);
	cr_expect_eq(out[55], 0);
	cr_expect_eq((uint32_t)out[58] << 24 | out[59] << 16 | out[60] << 8 | out[61], 1420);
	cr_expect(memcmp(out + 62, f.p.ip, 48) == 0);
	cr_expect(memcmp(out + 14 + 24, f.p.ip + 8, 16) == 0, "to the source");
	/* addresses and message, then length and next header of the pseudo header */
	sum = reference_sum(out + 14 + 8, 32 + 1240) + 1240u + IPPROTO_ICMPV6;
	cr_expect_eq((sum & 0xffff) + (sum >> 16), 0xffff);
	cr_expect_eq(svr_icmp_too_big(&f.p, address("10.0.0.254"), 1420, out), 0,
		     "a router without an address of this family");
}

Test(worker_packet, icmp_is_not_sent_about_what_names_no_single_host)
{
	uint8_t out[SVR_ICMP_FRAME_MAX];
	struct frame f;

	frame_make(&f, IPPROTO_UDP, NULL, 0, "x", 1);
	cr_assert_eq(frame_parse(&f), 0);
	cr_expect_eq(svr_icmp_too_big(&f.p, address(""), 1420, out), 0, "a router without address");
	f.p.ip[16] = 224;
	cr_expect_eq(svr_icmp_too_big(&f.p, address("10.0.0.254"), 1420, out), 0,
		     "to a multicast address");
	f.p.ip[16] = 10;
	f.p.ip[12] = 0;
	cr_expect_eq(svr_icmp_too_big(&f.p, address("10.0.0.254"), 1420, out), 0, "from net 0");
	f.p.ip[12] = 10;
	f.p.eth[0] |= 1;
	cr_expect_eq(svr_icmp_too_big(&f.p, address("10.0.0.254"), 1420, out), 0,
		     "to a group on the link");
}

/* ---- TCP, addresses ------------------------------------------------------------------------ */

Test(worker_packet, tcp_state_bits)
{
	cr_expect_eq(svr_tcp_track(SVR_TCPF_SYN), SVR_TCP_SYN);
	cr_expect_eq(svr_tcp_track(SVR_TCPF_SYN | SVR_TCPF_ACK), SVR_TCP_SYN);
	cr_expect_eq(svr_tcp_track(SVR_TCPF_ACK), SVR_TCP_DATA);
	cr_expect_eq(svr_tcp_track(SVR_TCPF_FIN | SVR_TCPF_ACK), SVR_TCP_FIN | SVR_TCP_DATA);
	cr_expect_eq(svr_tcp_track(SVR_TCPF_RST), SVR_TCP_RST);
	cr_expect(svr_tcp_closing(SVR_TCP_RST, 0));
	cr_expect(svr_tcp_closing(SVR_TCP_FIN, SVR_TCP_FIN | SVR_TCP_DATA));
	cr_expect_not(svr_tcp_closing(SVR_TCP_FIN, SVR_TCP_DATA));
}

static void zone_row(struct svr_zone *zone, const char *addr, uint32_t bits, const char *gateway)
{
	struct svr_zone_addr *a = &zone->addr[zone->addrs++];

	svr_addr_copy(a->addr, address(addr));
	svr_addr_copy(a->gateway, address(gateway));
	a->prefix_len = bits;
}

static void expect_hop(const struct svr_zone *zone, const char *to, const char *hop)
{
	__be32 got[4];
	char text[INET6_ADDRSTRLEN];

	svr_addr_next_hop(zone, address(to), got);
	inet_ntop(AF_INET6, got, text, sizeof(text));
	cr_expect(svr_addr_equal(got, address(hop)), "%s by %s, not %s", to, text, hop);
}

Test(worker_addr, own_and_broadcast_addresses_are_local)
{
	struct svr_zone zone = { 0 };

	zone_row(&zone, "10.0.0.1", 120, "");
	zone_row(&zone, "10.1.0.0", 127, "");
	zone_row(&zone, "10.2.0.1", 128, "");
	zone_row(&zone, "2001:db8:1::1", 64, "");
	cr_expect(svr_addr_local(&zone, address("10.0.0.1")));
	cr_expect(svr_addr_local(&zone, address("10.0.0.255")));
	cr_expect_not(svr_addr_local(&zone, address("10.0.0.254")));
	cr_expect_not(svr_addr_local(&zone, address("10.0.1.255")));
	cr_expect_not(svr_addr_local(&zone, address("10.1.0.1")), "the other end of a /31");
	cr_expect(svr_addr_local(&zone, address("10.2.0.1")));
	cr_expect(svr_addr_local(&zone, address("2001:db8:1::1")));
	cr_expect_not(svr_addr_local(&zone, address("2001:db8:1::2")));
	zone.addrs = 0;
	zone_row(&zone, "10.0.0.1", 96, "");
	cr_expect(svr_addr_local(&zone, address("255.255.255.255")));
	cr_expect_not(svr_addr_local(&zone, address("10.0.0.255")));
}

Test(worker_addr, next_hop_on_and_off_the_link)
{
	struct svr_zone zone = { 0 };

	zone_row(&zone, "10.0.0.1", 120, "");
	cr_expect(svr_addr_on_link(&zone, address("10.0.0.254")));
	cr_expect_not(svr_addr_on_link(&zone, address("10.0.1.254")));
	expect_hop(&zone, "10.0.1.254", "10.0.1.254"); /* without a gateway */
	zone.addrs = 0;
	zone_row(&zone, "10.0.0.1", 120, "10.0.0.9");
	expect_hop(&zone, "10.0.1.254", "10.0.0.9");
	expect_hop(&zone, "10.0.0.254", "10.0.0.254");
	expect_hop(&zone, "2001:db8:5::1", "2001:db8:5::1"); /* no gateway of its family */
	zone_row(&zone, "2001:db8:1::1", 64, "fe80::1");
	zone_row(&zone, "11.0.0.1", 104, "11.0.0.9");
	zone_row(&zone, "2001:db8:2::8001", 113, "");
	expect_hop(&zone, "11.1.2.3", "11.1.2.3"); /* on the second subnet */
	expect_hop(&zone, "12.1.2.3", "10.0.0.9"); /* the first gateway */
	expect_hop(&zone, "2001:db8:1::ffff", "2001:db8:1::ffff");
	expect_hop(&zone, "2001:db8:1:1::1", "fe80::1");
	expect_hop(&zone, "2001:db8:2::ffff", "2001:db8:2::ffff");
	expect_hop(&zone, "2001:db8:2::7fff", "fe80::1");
	expect_hop(&zone, "fe80::7", "fe80::7"); /* on every link */
	cr_expect(svr_addr_equal(svr_addr_own(&zone, true), address("10.0.0.1")));
	cr_expect(svr_addr_equal(svr_addr_own(&zone, false), address("2001:db8:1::1")));
	zone.addrs = 1;
	cr_expect_null(svr_addr_own(&zone, false));
	zone.addr[0].prefix_len = 128;
	cr_expect(svr_addr_on_link(&zone, address("10.0.0.1")));
	cr_expect_not(svr_addr_on_link(&zone, address("10.0.0.2")));
	zone.addr[0].prefix_len = 0; /* row being written */
	cr_expect_not(svr_addr_on_link(&zone, address("10.0.0.1")));
	zone.addr[0].prefix_len = 1; /* an IPv6 prefix holds no IPv4 address */
	svr_addr_copy(zone.addr[0].addr, address("::5"));
	cr_expect_not(svr_addr_on_link(&zone, address("10.0.0.1")));
}

Test(worker_addr, addresses_of_single_hosts)
{
	static const char *const no[] = { "0.0.0.0",   "0.0.0.1",	 "127.0.0.1",
					  "224.0.0.1", "240.0.0.1",	 "255.255.255.255",
					  "::",	       "::1",		 "ff02::1" };
	static const char *const yes[] = { "1.0.0.0",		"10.0.0.1",    "192.0.2.1",
					   "223.255.255.255",	"2001:db8::1", "fe80::1",
					   "fd00::1" };
	size_t i;

	for (i = 0; i < sizeof(no) / sizeof(no[0]); i++)
		cr_expect_not(svr_addr_one_host(address(no[i])), "%s", no[i]);
	for (i = 0; i < sizeof(yes) / sizeof(yes[0]); i++)
		cr_expect(svr_addr_one_host(address(yes[i])), "%s", yes[i]);
	cr_expect(svr_addr_is_mapped(address("0.0.0.0")));
	cr_expect_not(svr_addr_is_mapped(address("2001:db8::1")));
	cr_expect_eq(svr_addr_get4(address("10.0.0.1")), htonl(0x0a000001));
	cr_expect_not(svr_addr_is_set(address("0.0.0.0")));
	cr_expect_not(svr_addr_is_set(address("::")));
	cr_expect(svr_addr_is_set(address("::1")));
	cr_expect(svr_addr_is_set(address("0.0.0.1")));
	cr_expect(svr_addr_link_local(address("fe80::1")));
	cr_expect_not(svr_addr_link_local(address("fec0::1")));
}
