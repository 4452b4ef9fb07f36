// SPDX-License-Identifier: BSD-2-Clause
/*
 * The short way of ordinary packets (bpf/fast.h) and the general one do the same: packets of an
 * established session, ordinary and nearly so, through both.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/prog/prog.h"

enum { PACKETS = 400 };

/* A capture keeps packets from the short way. This one ended long ago, so nothing is copied. */
static void general_way(struct env *e, bool on)
{
	const struct svr_capture capture = { .until_ns = 1, .snaplen = on ? 64 : 0 };
	uint32_t zone;

	for (zone = LAN; zone <= WAN; zone++)
		map_put(e, "svr_captures", &zone, &capture);
}

/* All that a packet leaves behind, but the time */
struct traces {
	struct result r;
	struct svr_flow lan, wan;
};

static void pass(struct env *e, enum prog p, const struct frame *f, uint8_t proto, bool general,
		 struct traces *t, const char *name)
{
	memset(t, 0, sizeof(*t));
	flows_clear(e);
	session_put(e, proto, SVR_FLOW_ORIGINATOR, SVR_FLOW_REV);
	if (proto == IPPROTO_TCP) { /* an established connection has been seen */
		struct spec s = { FROM_HOST };

		if (p == PROG_WAN)
			s = (struct spec){ FROM_PEER };
		run(e, p, &s, &t->r, name);
		cr_assert(t->r.verdict == XDP_REDIRECT, "%s: established", name);
	}
	general_way(e, general);
	run_frame(e, p, f, &t->r, name);
	general_way(e, false);
	cr_assert(session_lan(e, proto, &t->lan) && session_wan(e, proto, &t->wan), "%s: flows",
		  name);
	t->lan.last_seen_ns = t->wan.last_seen_ns = 0;
}

static uint8_t one_of(const uint8_t *choice, size_t n)
{
	return choice[(size_t)rand() % n];
}

static void any_packet(struct spec *s, enum prog p)
{
	static const uint8_t flags[] = { 0x10, 0x10, 0x18, 0x11, 0x14, 0x12, 0x02, 0x00, 0x30 };
	static const uint8_t ttl[] = { 64, 64, 64, 255, 2, 1, 0 };
	static const uint8_t stamp[12] = { 1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8 };
	static const uint8_t cookie[8] = { 0x4c, 0x48, 0xdb, 0xc6, 0xdd, 0xf6, 0x67, 0x0c };

	*s = (struct spec){ FROM_HOST };
	if (p == PROG_WAN)
		*s = (struct spec){ FROM_PEER };
	s->proto = rand() % 2 ? IPPROTO_TCP : IPPROTO_UDP;
	s->ttl = one_of(ttl, sizeof(ttl));
	s->tos = (uint8_t)(rand() % 256);
	s->fill = rand() % 4 ? (size_t)rand() % 1461 : (size_t)rand() % 16;
	if (s->proto == IPPROTO_TCP) {
		s->tcp_flags = one_of(flags, sizeof(flags));
		if (rand() % 2) {
			s->tcp_opts = stamp;
			s->tcp_opts_len = sizeof(stamp);
		}
	}
	s->to_group = rand() % 32 == 0;
	switch (rand() % 16) {
	case 0:
		s->csum = CSUM_PARTIAL;
		break;
	case 1:
		s->csum = s->proto == IPPROTO_UDP ? CSUM_NONE : CSUM_WRONG;
		break;
	case 2:
		s->csum = CSUM_WRONG;
		break;
	case 3: /* a bare header is stripped on the WAN, put in front on the LAN */
		s->payload = cookie;
		s->payload_len = rand() % 2 ? sizeof(cookie) : sizeof(cookie) - 1;
		break;
	case 4:
		s->pad = 1 + (size_t)rand() % 20;
		break;
	case 5: /* fields of the IP header and of L4 */
		s->patch[0] = (struct patch){ .off = (uint16_t)(14 + rand() % 40),
					      .val = (uint8_t)rand() };
		break;
	case 6: /* the data offset of TCP */
		s->patch[0] = (struct patch){ .off = 46, .val = (uint8_t)(rand() % 16 << 4) };
		break;
	case 7:
		s->cut = 34 + (size_t)rand() % 30;
		break;
	default:
		break;
	}
}

static void same_on_both_ways(enum prog p, unsigned int seed)
{
	static struct traces fast, general;
	struct env *e = env_open(&(struct env_opts){ 0 });
	static struct frame f;
	unsigned int i, forwarded = 0;
	char name[64];
	struct spec s;

	srand(seed);
	for (i = 0; i < PACKETS; i++) {
		snprintf(name, sizeof(name), "packet %u of seed %u", i, seed);
		any_packet(&s, p);
		frame_build(&f, &s);
		pass(e, p, &f, s.proto, true, &general, name);
		pass(e, p, &f, s.proto, false, &fast, name);
		expect_bytes(fast.r.out, fast.r.len, general.r.out, general.r.len, name, "packet");
		cr_expect(fast.r.verdict == general.r.verdict && fast.r.reason == general.r.reason,
			  "%s: verdict %u, reason %d; the general way: %u, %d", name,
			  fast.r.verdict, fast.r.reason, general.r.verdict, general.r.reason);
		cr_expect(!memcmp(fast.r.stat, general.r.stat, sizeof(fast.r.stat)), "%s: counters",
			  name);
		cr_expect(!memcmp(&fast.lan, &general.lan, sizeof(fast.lan)) &&
				  !memcmp(&fast.wan, &general.wan, sizeof(fast.wan)),
			  "%s: flows", name);
		forwarded += fast.r.verdict == XDP_REDIRECT;
	}
	cr_expect(forwarded > PACKETS / 3, "%u of %d packets were forwarded", forwarded, PACKETS);
	env_close(e);
}

Test(fast, same_as_the_general_way_from_the_lan)
{
	same_on_both_ways(PROG_LAN, 20261129);
}

Test(fast, same_as_the_general_way_from_the_wan)
{
	same_on_both_ways(PROG_WAN, 7348);
}
