// SPDX-License-Identifier: BSD-2-Clause
/*
 * Packets longer than one buffer, packets in pieces, the runs that the worker makes on whole packets,
 * and ICMP errors about sessions whose payload XDP cannot read.
 */
#include <string.h>

#include <arpa/inet.h>

#include "tests/prog/prog.h"

enum {
	JUMBO = 9000,
	ICMP_LEN = 8,
	QUOTED = 8,
	TRAILER = 16 + 48, /* IV and tag of the secret policy */
};

static void jumbo_zone(struct svr_zone *z)
{
	z->mtu = JUMBO;
}

static struct env *jumbo_open(uint8_t proto, uint32_t lan_flags)
{
	struct env *e = env_open(NULL);

	zone_change(e, LAN, jumbo_zone);
	zone_change(e, WAN, jumbo_zone);
	session_put(e, proto, lan_flags, 0);
	return e;
}

/* ---- several buffers ------------------------------------------------------------------------- */

Test(whole, jumbo)
{
	static const struct {
		const char *name;
		struct spec in;
		uint32_t flags;
		size_t added; /* bytes */
		bool to_wan;
	} rows[] = {
		{ "9000 bytes of TCP", { FROM_HOST, .fill = 8960 }, 0, 0, true },
		{ "9000 bytes of UDP", { FROM_HOST, .proto = IPPROTO_UDP, .fill = 8972 }, 0, 0, true },
		{ "the sum left to the device",
		  { FROM_HOST, .fill = 8960, .csum = CSUM_PARTIAL }, 0, 0, true },
		{ "the same, an odd number of bytes",
		  { FROM_HOST, .proto = IPPROTO_UDP, .fill = 8801, .csum = CSUM_PARTIAL }, 0, 0, true },
		{ "what just does not fit into a page",
		  { FROM_HOST, .fill = 3520, .csum = CSUM_PARTIAL }, 0, 0, true },
		{ "from the peer", { FROM_PEER, .fill = 8960 }, 0, 0, false },
		{ "padding behind the last buffer", { FROM_HOST, .fill = 8000, .pad = 7 }, 0, 0, true },
	};
	static struct result r;
	static struct frame f;
	struct env *e;
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		e = jumbo_open(rows[i].in.proto ? rows[i].in.proto : IPPROTO_TCP, rows[i].flags);
		frame_build(&f, &rows[i].in);
		run_frame(e, rows[i].to_wan ? PROG_LAN : PROG_WAN, &f, &r, rows[i].name);
		cr_assert(r.verdict == XDP_REDIRECT && !r.reason, "%s: verdict %u, reason %d",
			  rows[i].name, r.verdict, r.reason);
		expect_rewritten(&f, &r, rows[i].name, rows[i].to_wan);
		env_close(e);
	}
}

Test(whole, jumbo_with_metadata)
{
	struct env *e = jumbo_open(IPPROTO_UDP, SVR_FLOW_META_ADD | SVR_FLOW_ORIGINATOR);
	struct spec s = { FROM_HOST, .proto = IPPROTO_UDP, .fill = 8500, .csum = CSUM_PARTIAL };
	static struct result r;
	static struct frame f;

	frame_build(&f, &s);
	run_frame(e, PROG_LAN, &f, &r, "metadata");
	cr_assert(r.verdict == XDP_REDIRECT && !r.reason, "reason %d", r.reason);
	cr_expect(r.stat[SVR_STAT_META_ADDED] == 1 && r.len > f.len && frame_csums_ok(r.out, r.len));
	expect_bytes(r.out + r.len - 8500, 8500, f.data + f.len - 8500, 8500, "metadata", "payload");
	env_close(e);
}

Test(whole, jumbo_that_is_too_short)
{
	struct env *e = jumbo_open(IPPROTO_TCP, 0);
	struct spec s = { FROM_HOST, .fill = 8960, .cut = 8000 };
	static struct result r;

	run(e, PROG_LAN, &s, &r, "cut off in another buffer");
	cr_expect(r.verdict == XDP_DROP && r.reason == SVR_DROP_BAD_IP, "reason %d", r.reason);
	env_close(e);
}

/* ---- runs of the worker ---------------------------------------------------------------------- */

Test(whole, runs)
{
	static const struct {
		const char *name;
		struct spec in;
		uint32_t flags;
		uint8_t why;
		enum prog prog;
		int reason;
		uint8_t then; /* what stands in front of the frame afterwards */
	} rows[] = {
		{ "what may be cut is not too long", { FROM_HOST, DF, .fill = 8000 }, 0,
		  SVR_FRAME_WHOLE, PROG_LAN, 0, SVR_FRAME_WHOLE },
		{ "with metadata", { FROM_HOST, DF, .fill = 1460 },
		  SVR_FLOW_META_ADD | SVR_FLOW_ORIGINATOR, SVR_FRAME_WHOLE, PROG_LAN, 0,
		  SVR_FRAME_WHOLE },
		{ "to the host", { FROM_PEER, DF, .fill = 8000 }, 0, SVR_FRAME_WHOLE, PROG_WAN, 0,
		  SVR_FRAME_WHOLE },
		{ "put together, without DF", { FROM_PEER, .fill = 8000 }, 0, SVR_FRAME_PIECE,
		  PROG_WAN, 0, SVR_FRAME_PIECE },
		{ "put together, with DF: the sender is told", { FROM_PEER, DF, .fill = 8000 }, 0,
		  SVR_FRAME_PIECE, PROG_WAN, SVR_DROP_TOO_BIG, SVR_FRAME_ANSWER },
		{ "time to live is over: the sender is told", { FROM_HOST, .fill = 8000, .ttl = 1 }, 0,
		  SVR_FRAME_WHOLE, PROG_LAN, SVR_DROP_TTL, SVR_FRAME_ANSWER },
	};
	static struct result r;
	static struct frame f;
	struct env *e;
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		e = env_open(NULL);
		session_put(e, IPPROTO_TCP, rows[i].flags, 0);
		frame_build(&f, &rows[i].in);
		run_marked(e, rows[i].prog, &f, rows[i].why, &r, rows[i].name);
		cr_expect(r.verdict == XDP_REDIRECT && r.reason == rows[i].reason,
			  "%s: verdict %u, reason %d", rows[i].name, r.verdict, r.reason);
		cr_expect(r.described && r.desc.magic == SVR_WHOLE_MAGIC &&
				  r.desc.why == rows[i].then,
			  "%s: description %u", rows[i].name, r.desc.why);
		cr_expect(frame_csums_ok(r.out, r.len), "%s: checksums", rows[i].name);
		env_close(e);
	}
}

/* What goes on to the worker's own pipeline takes the place of the mark. */
Test(whole, run_of_a_protected_session)
{
	struct env *e = env_open(NULL);
	struct spec s = { FROM_HOST, .fill = 8000 };
	static struct result r;
	static struct frame f;

	session_put(e, IPPROTO_TCP, SVR_FLOW_WORKER, SVR_FLOW_WORKER);
	frame_build(&f, &s);
	run_marked(e, PROG_LAN, &f, SVR_FRAME_WHOLE, &r, "protected");
	cr_expect(r.verdict == XDP_REDIRECT && r.described && r.desc.magic == SVR_FRAME_MAGIC &&
			  r.desc.why == SVR_FRAME_SESSION && r.desc.slot == 5,
		  "reason %d, why %u", r.reason, r.desc.why);
	expect_bytes(r.out, r.len, f.data, f.len, "protected", "frame");
	env_close(e);
}

/* No host can say that it is the worker. */
Test(whole, nothing_else_is_a_mark)
{
	struct env *e = env_open(NULL);
	struct spec s = { FROM_HOST, DF, .fill = 8000 };
	static struct result r;
	static struct frame f;

	session_put(e, IPPROTO_TCP, 0, 0);
	frame_build(&f, &s);
	run_marked(e, PROG_LAN, &f, SVR_FRAME_SETUP, &r, "another reason");
	cr_expect(r.verdict == XDP_REDIRECT && r.reason == SVR_DROP_TOO_BIG, "reason %d", r.reason);
	env_close(e);
}

/* ---- pieces ---------------------------------------------------------------------------------- */

static void piece(struct meta *m, const void *value, size_t len)
{
	meta_begin(m);
	meta_tlv(m, SVR_TLV_FRAGMENT, value, len);
	meta_payload(m);
	meta_end(m);
}

Test(whole, pieces)
{
	static const uint8_t value[11] = { 0, 0, 0, 1, 0x12, 0x34, 0x20, 0, 5, 0x78 };
	static const struct {
		const char *name;
		size_t len;
		bool flow, twice;
		uint32_t verdict;
		int reason;
	} rows[] = {
		{ "of a known session", 10, true, false, XDP_REDIRECT, 0 },
		{ "of none that is known here", 10, false, false, XDP_REDIRECT, 0 },
		{ "a byte too few", 9, true, false, XDP_DROP, SVR_DROP_META_MALFORMED },
		{ "a byte too many", 11, true, false, XDP_DROP, SVR_DROP_META_MALFORMED },
		{ "two in one", 10, true, true, XDP_DROP, SVR_DROP_META_MALFORMED },
	};
	static struct result r;
	static struct meta m;
	struct env *e;
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct spec s = { FROM_PEER, .proto = IPPROTO_UDP, .meta = &m, .fill = 800 };

		e = env_open(NULL);
		if (rows[i].flow)
			session_put(e, IPPROTO_UDP, 0, 0);
		piece(&m, value, rows[i].len);
		if (rows[i].twice) {
			meta_begin(&m);
			meta_tlv(&m, SVR_TLV_FRAGMENT, value, 10);
			meta_tlv(&m, SVR_TLV_FRAGMENT, value, 10);
			meta_payload(&m);
			meta_end(&m);
		}
		run(e, PROG_WAN, &s, &r, rows[i].name);
		cr_expect(r.verdict == rows[i].verdict && r.reason == rows[i].reason,
			  "%s: verdict %u, reason %d", rows[i].name, r.verdict, r.reason);
		if (!rows[i].reason)
			cr_expect(r.described && r.desc.why == SVR_FRAME_PIECE &&
					  r.desc.path == PATH_EAST,
				  "%s: description", rows[i].name);
		env_close(e);
	}
}

/* ---- ICMP and sessions that only the worker can read ----------------------------------------- */

Test(whole, protected_time_to_live)
{
	struct spec host = { FROM_HOST, .ttl = 1 }, peer = { FROM_PEER, .ttl = 1 };
	struct env *e = env_open(NULL);
	static struct result r;

	session_put(e, IPPROTO_TCP, SVR_FLOW_WORKER, SVR_FLOW_WORKER);
	run(e, PROG_LAN, &host, &r, "from the host");
	cr_expect(r.verdict == XDP_REDIRECT && r.reason == SVR_DROP_TTL &&
		  r.stat[SVR_STAT_ICMP_TIME_EXCEEDED] == 1 && frame_csums_ok(r.out, r.len));
	run(e, PROG_WAN, &peer, &r, "from the peer");
	cr_expect(r.verdict == XDP_REDIRECT && r.reason == SVR_DROP_TTL &&
		  r.stat[SVR_STAT_ICMP_TIME_EXCEEDED] == 1 && frame_csums_ok(r.out, r.len));
	env_close(e);
}

/* An error with the start of the packet in it */
static void error_build(struct frame *f, const char *src, const char *dst, uint8_t type, uint8_t code,
			uint16_t mtu, const struct frame *bad)
{
	struct spec s = { .src = src,
			  .dst = dst,
			  .proto = IPPROTO_ICMP,
			  .icmp_type = type,
			  .icmp_code = code,
			  .dport = mtu,
			  .payload = bad->data + IP_OFF,
			  .payload_len = bad->len - IP_OFF };

	frame_build(f, &s);
}

Test(whole, protected_errors_from_the_wan)
{
	static const uint8_t protos[] = { IPPROTO_TCP, IPPROTO_UDP };
	static struct frame sent, f;
	static struct result r;
	struct env *e;
	size_t i;

	for (i = 0; i < 2; i++) {
		struct spec s = { .src = "192.0.2.1", .dst = "192.0.2.2", .sport = LOCAL_PORT,
				  .dport = PEER_PORT, .proto = protos[i], .fill = 400 };
		const uint8_t *quote = r.out + IP_OFF + 20 + ICMP_LEN;

		e = env_open(NULL);
		session_put(e, protos[i], SVR_FLOW_WORKER, SVR_FLOW_WORKER);
		frame_build(&sent, &s);
		error_build(&f, "198.51.100.9", "192.0.2.1", 3, 4, 1400, &sent);
		run_frame(e, PROG_WAN, &f, &r, "too big");
		cr_assert(r.verdict == XDP_REDIRECT && !r.reason, "reason %d", r.reason);
		cr_expect(r.stat[SVR_STAT_ICMP_MAPPED] == 1 && frame_csums_ok(r.out, r.len));
		cr_expect(r.len == IP_OFF + 20 + ICMP_LEN + 20 + QUOTED,
			  "no cipher text is quoted: %zu bytes", r.len);
		cr_expect(get32(r.out + IP_OFF + 12) == ntohl(addr4("198.51.100.9")) &&
			  get32(r.out + IP_OFF + 16) == ntohl(addr4("172.16.1.10")));
		cr_expect(get16(quote - 2) == 1400 - TRAILER - 16, "MTU %u", get16(quote - 2));
		cr_expect(get32(quote + 12) == ntohl(addr4("172.16.1.10")) &&
			  get32(quote + 16) == ntohl(addr4("172.16.2.20")) &&
			  get16(quote + 20) == HOST_PORT && get16(quote + 22) == FAR_PORT);
		if (protos[i] == IPPROTO_TCP)
			expect_bytes(quote + 24, 4, sent.data + L4_OFF + 4, 4, "TCP", "sequence number");
		else
			cr_expect(get16(quote + 24) == 408 - TRAILER && get16(quote + 26) == 0,
				  "UDP length and checksum");
		env_close(e);
	}
}

/* The worker made the flow before it knew of any neighbour, and sends by its own table */
Test(whole, protected_errors_to_a_host_behind_a_gateway)
{
	struct spec s = { .src = "192.0.2.1", .dst = "192.0.2.2", .sport = LOCAL_PORT,
			  .dport = PEER_PORT, .proto = IPPROTO_UDP, .fill = 400 };
	struct svr_flow4_key key = flow_key(WAN, IPPROTO_UDP, "192.0.2.2", PEER_PORT,
					    "192.0.2.1", LOCAL_PORT);
	struct svr_addr_key host = { .zone = LAN };
	struct env *e = env_open(NULL);
	static struct frame sent, f;
	static struct result r;
	struct svr_flow flow;

	session_put(e, IPPROTO_UDP, SVR_FLOW_WORKER, SVR_FLOW_WORKER);
	cr_assert(session_wan(e, IPPROTO_UDP, &flow));
	flow.nexthop = 0;
	flow.service = SVC_GATEWAY;
	flow4_put(e, &key, &flow);
	addr_map(host.addr, "172.16.1.10");
	map_del(e, "svr_neighbours", &host);
	frame_build(&sent, &s);
	error_build(&f, "198.51.100.9", "192.0.2.1", 3, 4, 1400, &sent);
	run_frame(e, PROG_WAN, &f, &r, "answers go through the gateway");
	cr_assert(r.verdict == XDP_REDIRECT && !r.reason, "reason %d", r.reason);
	flow.flags |= SVR_FLOW_REV;
	flow4_put(e, &key, &flow);
	run_frame(e, PROG_WAN, &f, &r, "the gateway is of the service, not of who asks for it");
	cr_assert(r.reason == SVR_DROP_NO_NEIGHBOUR, "reason %d", r.reason);
	env_close(e);
}

Test(whole, protected_errors_from_the_lan)
{
	struct spec s = { .src = "172.16.2.20", .dst = "172.16.1.10", .sport = FAR_PORT,
			  .dport = HOST_PORT, .proto = IPPROTO_UDP, .fill = 400 };
	const uint8_t *quote;
	struct env *e = env_open(NULL);
	static struct frame sent, f;
	static struct result r;

	session_put(e, IPPROTO_UDP, SVR_FLOW_WORKER, SVR_FLOW_WORKER);
	frame_build(&sent, &s);
	error_build(&f, "172.16.1.10", "172.16.2.20", 3, 3, 0, &sent);
	run_frame(e, PROG_LAN, &f, &r, "port unreachable");
	cr_assert(r.verdict == XDP_REDIRECT && !r.reason, "reason %d", r.reason);
	quote = r.out + IP_OFF + 20 + ICMP_LEN;
	cr_expect(r.len == IP_OFF + 20 + ICMP_LEN + 20 + QUOTED, "no plain text leaves: %zu bytes",
		  r.len);
	cr_expect(get32(r.out + IP_OFF + 12) == ntohl(addr4("192.0.2.1")) &&
		  get32(r.out + IP_OFF + 16) == ntohl(addr4("192.0.2.2")) &&
		  get32(quote + 12) == ntohl(addr4("192.0.2.2")) &&
		  get32(quote + 16) == ntohl(addr4("192.0.2.1")) && get16(quote + 20) == PEER_PORT &&
		  get16(quote + 22) == LOCAL_PORT && get16(quote + 26) == 0);
	cr_expect(frame_csums_ok(r.out, r.len));
	env_close(e);
}
