// SPDX-License-Identifier: BSD-2-Clause
/*
 * Packets of a clear session that is there: rewriting, checksums, sizes, MSS, TCP's end, and what
 * stands in the way.
 */
#include <string.h>

#include <arpa/inet.h>

#include "tests/prog/prog.h"

#define COOKIE "\x4c\x48\xdb\xc6\xdd\xf6\x67\x0c"
#define BARE   COOKIE "\x10\x0c\0\0"
#define UDP    .proto = IPPROTO_UDP

/* ---- setups ---------------------------------------------------------------------------------- */

static void both(struct env *e, uint32_t lan_flags, uint32_t wan_flags)
{
	session_put(e, IPPROTO_TCP, lan_flags, wan_flags);
	session_put(e, IPPROTO_UDP, lan_flags, wan_flags);
}

static void established(struct env *e)
{
	both(e, SVR_FLOW_ORIGINATOR, SVR_FLOW_REV);
}

static void path_is_down(struct env *e)
{
	established(e);
	path_status(e, PATH_EAST, SVR_PATH_DOWN, 0);
}

static void path_has_no_keys(struct env *e)
{
	established(e);
	path_status(e, PATH_EAST, SVR_PATH_INIT, 0);
}

static void no_next_hop(struct env *e)
{
	established(e);
	nexthop_valid(e, PATH_EAST, false);
	nexthop_valid(e, NH_HOST, false);
}

static void no_next_hop_at_all(struct env *e)
{
	const struct svr_nexthop nothing = { 0 };

	established(e);
	map_put(e, "svr_nexthops", &(uint32_t){ PATH_EAST }, &nothing);
	map_put(e, "svr_nexthops", &(uint32_t){ NH_HOST }, &nothing);
}

static void no_path_at_all(struct env *e)
{
	const struct svr_path nothing = { 0 };

	no_next_hop_at_all(e);
	map_put(e, "svr_paths", &(uint32_t){ PATH_EAST }, &nothing);
}

static void no_device(struct env *e)
{
	established(e);
	map_del(e, "svr_txports", &(uint32_t){ WAN });
}

static void path_mtu_1400(struct env *e)
{
	established(e);
	path_status(e, PATH_EAST, SVR_PATH_UP, 1400);
}

static void path_mtu_above_zone(struct env *e)
{
	established(e);
	path_status(e, PATH_EAST, SVR_PATH_UP, 9000);
}

static void adding(struct env *e)
{
	both(e, SVR_FLOW_ORIGINATOR | SVR_FLOW_META_ADD, SVR_FLOW_REV);
}

static void lan_mtu(struct svr_zone *z)
{
	z->mtu = 1280;
}

static void narrow_lan(struct env *e)
{
	established(e);
	zone_change(e, LAN, lan_mtu);
}

static void mss_automatic(struct svr_zone *z)
{
	z->enforced_mss = 1;
}

static void automatic(struct env *e)
{
	path_mtu_1400(e);
	zone_change(e, WAN, mss_automatic);
	zone_change(e, LAN, mss_automatic);
}

static void mss_1200(struct svr_zone *z)
{
	z->enforced_mss = 2;
	z->mss = 1200;
}

static void fixed(struct env *e)
{
	path_mtu_1400(e);
	zone_change(e, WAN, mss_1200);
	zone_change(e, LAN, mss_1200);
}

static void mss_9000(struct svr_zone *z)
{
	z->enforced_mss = 2;
	z->mss = 9000;
}

static void fixed_too_high(struct env *e)
{
	path_mtu_1400(e);
	zone_change(e, WAN, mss_9000);
}

static void worker_session(struct env *e)
{
	both(e, SVR_FLOW_WORKER | SVR_FLOW_META_ADD, SVR_FLOW_WORKER | SVR_FLOW_REV);
}

static void worker_session_no_worker(struct env *e)
{
	worker_session(e);
	worker_gone(e);
}

static void worker_session_closing(struct env *e)
{
	both(e, SVR_FLOW_WORKER | SVR_FLOW_CLOSING, SVR_FLOW_WORKER | SVR_FLOW_CLOSING);
}

/* ---- checks ---------------------------------------------------------------------------------- */

static void check_to_wan(struct env *e, const struct frame *in, const struct result *r,
			 const char *name)
{
	struct svr_flow f;

	expect_rewritten(in, r, name, true);
	cr_assert(session_lan(e, in->data[IP_OFF + 9], &f));
	cr_expect(f.packets == 1 && f.bytes == get16(in->data + IP_OFF + 2) && f.last_seen_ns,
		  "%s: stamps", name);
}

static void check_to_lan(struct env *e, const struct frame *in, const struct result *r,
			 const char *name)
{
	struct svr_flow f;

	expect_rewritten(in, r, name, false);
	cr_assert(session_wan(e, in->data[IP_OFF + 9], &f));
	cr_expect(f.packets == 1 && f.bytes == get16(in->data + IP_OFF + 2) && f.last_seen_ns,
		  "%s: stamps", name);
}

static void check_completed(struct env *e, const struct frame *in, const struct result *r,
			    const char *name)
{
	check_to_wan(e, in, r, name);
	cr_expect(r->stat[SVR_STAT_CSUM_COMPLETED] == 1, "%s: counted", name);
}

static void check_not_completed(struct env *e, const struct frame *in, const struct result *r,
				const char *name)
{
	(void)e;
	(void)in;
	cr_expect(r->stat[SVR_STAT_CSUM_COMPLETED] == 0 && !frame_csums_ok(r->out, r->len),
		  "%s: left as it is", name);
}

static void check_wrong(struct env *e, const struct frame *in, const struct result *r,
			const char *name)
{
	(void)e;
	(void)in;
	cr_expect(!frame_csums_ok(r->out, r->len), "%s: a wrong checksum stays wrong", name);
}

static void check_zero(struct env *e, const struct frame *in, const struct result *r,
		       const char *name)
{
	expect_rewritten(in, r, name, r->out[IP_OFF + 15] == 1 && r->out[IP_OFF + 12] == 192);
	(void)e;
	cr_expect(get16(r->out + L4_OFF + 6) == 0, "%s: checksum %04x", name,
		  get16(r->out + L4_OFF + 6));
}

static void check_bare_added(struct env *e, const struct frame *in, const struct result *r,
			     const char *name)
{
	size_t off = frame_payload_off(in->data);

	(void)e;
	cr_expect(r->stat[SVR_STAT_FALSE_POSITIVE_ADDED] == 1 && r->stat[SVR_STAT_META_ADDED] == 0,
		  "%s: counted", name);
	cr_assert(r->len == in->len + 12, "%s: %zu bytes", name, r->len);
	expect_bytes(r->out + off, 12, (const uint8_t *)BARE, 12, name, "bare header");
	expect_bytes(r->out + off + 12, r->len - off - 12, in->data + off, in->len - off, name,
		     "payload");
	cr_expect(frame_csums_ok(r->out, r->len), "%s: checksums", name);
}

static void check_only_metadata(struct env *e, const struct frame *in, const struct result *r,
				const char *name)
{
	size_t off = frame_payload_off(in->data), meta = r->len - in->len;

	(void)e;
	cr_expect(r->stat[SVR_STAT_FALSE_POSITIVE_ADDED] == 0 && r->stat[SVR_STAT_META_ADDED] == 1,
		  "%s: counted", name);
	cr_expect(12 + (size_t)get16(r->out + off + 10) == meta, "%s: metadata of %zu bytes", name,
		  meta);
	expect_bytes(r->out + off + meta, r->len - off - meta, in->data + off, in->len - off, name,
		     "payload");
	cr_expect(frame_csums_ok(r->out, r->len), "%s: checksums", name);
}

static void check_bare_removed(struct env *e, const struct frame *in, const struct result *r,
			       const char *name)
{
	size_t off = frame_payload_off(in->data);

	(void)e;
	cr_expect(r->stat[SVR_STAT_FALSE_POSITIVE_REMOVED] == 1 &&
			  r->stat[SVR_STAT_META_REMOVED] == 0,
		  "%s: counted", name);
	cr_assert(r->len == in->len - 12, "%s: %zu bytes", name, r->len);
	expect_bytes(r->out + off, r->len - off, in->data + off + 12, in->len - off - 12, name,
		     "payload");
	cr_expect(frame_csums_ok(r->out, r->len), "%s: checksums", name);
}

/* RFC 792, RFC 1812 4.3.2.3: our address, as much of the packet as fits, the MTU that it had to have */
static void check_icmp(const struct frame *in, const struct result *r, const char *name,
		       unsigned int mtu)
{
	const uint8_t *icmp = r->out + IP_OFF + 20;

	cr_expect(r->stat[SVR_STAT_ICMP_TOO_BIG] == 1, "%s: counted", name);
	cr_assert(r->len == IP_OFF + 576, "%s: ICMP of %zu bytes", name, r->len);
	cr_expect(!memcmp(r->out, in->data + 6, 6) && !memcmp(r->out + 6, in->data, 6) &&
			  get16(r->out + 12) == 0x0800,
		  "%s: back to the sender", name);
	cr_expect(frame_csums_ok(r->out, r->len), "%s: checksums", name);
	cr_expect(r->out[IP_OFF + 9] == IPPROTO_ICMP &&
			  get32(r->out + IP_OFF + 12) == ntohl(addr4("172.16.1.1")) &&
			  !memcmp(r->out + IP_OFF + 16, in->data + IP_OFF + 12, 4),
		  "%s: addresses", name);
	cr_expect(icmp[0] == 3 && icmp[1] == 4 && get16(icmp + 4) == 0 && get16(icmp + 6) == mtu,
		  "%s: type %u, code %u, MTU %u", name, icmp[0], icmp[1], get16(icmp + 6));
	expect_bytes(icmp + 8, 548, in->data + IP_OFF, 548, name, "quotation");
}

/* RFC 792: from the address that the peer knows, or from the LAN's; DSCP of the packet */
static void check_expired(struct env *e, const struct frame *in, const struct result *r,
			  const char *name)
{
	const uint8_t *ip = r->out + IP_OFF, *icmp = ip + 20;
	bool from_peer = get32(in->data + IP_OFF + 16) == ntohl(addr4("192.0.2.1"));

	(void)e;
	cr_expect(r->stat[SVR_STAT_ICMP_TIME_EXCEEDED] == 1, "%s: counted", name);
	cr_assert(r->len == IP_OFF + 28u + get16(in->data + IP_OFF + 2), "%s: %zu bytes", name,
		  r->len);
	cr_expect(frame_csums_ok(r->out, r->len) && ip[9] == IPPROTO_ICMP && icmp[0] == 11 &&
			  icmp[1] == 0 && get32(icmp + 4) == 0,
		  "%s: message", name);
	cr_expect(ip[1] == (in->data[IP_OFF + 1] & 0xfc), "%s: DSCP", name);
	cr_expect(get32(ip + 12) == ntohl(addr4(from_peer ? "192.0.2.1" : "172.16.1.1")) &&
			  !memcmp(ip + 16, in->data + IP_OFF + 12, 4),
		  "%s: addresses", name);
	expect_bytes(icmp + 8, r->len - IP_OFF - 28, in->data + IP_OFF, r->len - IP_OFF - 28, name,
		     "quotation");
}

/* What the host left to its device is in the quotation as it would have been on a wire. */
static void check_expired_completed(struct env *e, const struct frame *in, const struct result *r,
				    const char *name)
{
	static struct frame quoted;

	(void)e;
	cr_assert(r->stat[SVR_STAT_ICMP_TIME_EXCEEDED] == 1 && r->len == in->len + 28,
		  "%s: %zu bytes", name, r->len);
	cr_expect(frame_csums_ok(r->out, r->len), "%s: message", name);
	memcpy(quoted.data, in->data, ETH_LEN);
	memcpy(quoted.data + IP_OFF, r->out + IP_OFF + 28, in->len - ETH_LEN);
	cr_expect(!frame_csums_ok(in->data, in->len) && frame_csums_ok(quoted.data, in->len),
		  "%s: checksum in the quotation", name);
}

static void check_handed_over(const struct frame *in, const struct result *r, uint8_t why,
			      const char *name)
{
	cr_expect(r->described && r->desc.magic == SVR_FRAME_MAGIC && r->desc.why == why &&
			  r->desc.l3_off == IP_OFF,
		  "%s: description", name);
	expect_bytes(r->out, r->len, in->data, r->len, name, "frame");
}

static void check_fragment(struct env *e, const struct frame *in, const struct result *r,
			   const char *name)
{
	(void)e;
	check_handed_over(in, r, SVR_FRAME_FRAGMENT, name);
}

static void check_whole(struct env *e, const struct frame *in, const struct result *r,
			const char *name)
{
	(void)e;
	check_handed_over(in, r, SVR_FRAME_WHOLE, name);
}

/* The worker is told whose packet waits, and gets it as it is. */
static void check_asked(const struct frame *in, const struct result *r, uint32_t zone,
			const char *addr, const char *name)
{
	check_handed_over(in, r, SVR_FRAME_NEIGHBOUR, name);
	cr_expect(r->desc.out_zone == zone && r->desc.addr[3] == addr4(addr) &&
			  r->desc.path == PATH_EAST,
		  "%s: description", name);
}

static void check_peer_asked(struct env *e, const struct frame *in, const struct result *r,
			     const char *name)
{
	(void)e;
	check_asked(in, r, WAN, "192.0.2.2", name);
}

static void check_host_asked(struct env *e, const struct frame *in, const struct result *r,
			     const char *name)
{
	(void)e;
	check_asked(in, r, LAN, "172.16.1.10", name);
}

static void check_peer_told(struct env *e, const struct frame *in, const struct result *r,
			    const char *name)
{
	const uint8_t *icmp = r->out + IP_OFF + 20;

	(void)e;
	cr_expect(frame_csums_ok(r->out, r->len) && icmp[0] == 3 && icmp[1] == 4 &&
			  get16(icmp + 6) == 1280,
		  "%s: MTU %u", name, get16(icmp + 6));
	expect_bytes(icmp + 8, 548, in->data + IP_OFF, 548, name, "quotation");
}

static void check_icmp_1500(struct env *e, const struct frame *in, const struct result *r,
			    const char *name)
{
	(void)e;
	check_icmp(in, r, name, 1500);
}

static void check_icmp_1400(struct env *e, const struct frame *in, const struct result *r,
			    const char *name)
{
	(void)e;
	check_icmp(in, r, name, 1400);
}

/* corp, web, clear, cn-west, 192.0.2.1 */
enum { META_LEN = 12 + 17 + 20 + 8 + 7 + 9 + 11 + 13 };

static void check_described(struct env *e, const struct frame *in, const struct result *r,
			    const char *name)
{
	size_t len = IP_OFF + get16(in->data + IP_OFF + 2);
	bool lan = in->data[IP_OFF + 12] == 172;

	(void)e;
	cr_assert(r->described, "%s: no description", name);
	cr_expect(r->desc.magic == SVR_FRAME_MAGIC && r->desc.why == SVR_FRAME_SESSION &&
			  r->desc.zone == (lan ? LAN : WAN) && r->desc.l3_off == IP_OFF &&
			  r->desc.slot == 5 && r->desc.slot_generation == 77 &&
			  r->desc.path == PATH_EAST,
		  "%s: description", name);
	expect_bytes(r->out, r->len, in->data, len, name, "frame");
}

/* ---- MSS ------------------------------------------------------------------------------------- */

static unsigned int mss_of(const struct result *r, size_t at)
{
	return get16(r->out + L4_OFF + TCP_LEN + at + 2);
}

#define MSS_CHECK(mss, at, clamped)                                                         \
	static void check_mss_##mss##_at_##at(struct env *e, const struct frame *in,        \
					      const struct result *r, const char *name)     \
	{                                                                                   \
		(void)e;                                                                    \
		(void)in;                                                                   \
		cr_expect(mss_of(r, at) == mss, "%s: MSS %u", name, mss_of(r, at));         \
		cr_expect(r->stat[SVR_STAT_MSS_CLAMPED] == (clamped), "%s: counted", name); \
		cr_expect(frame_csums_ok(r->out, r->len), "%s: checksums", name);           \
	}
/* clang-format off */
MSS_CHECK(1360, 0, 1)
MSS_CHECK(1360, 1, 1)
MSS_CHECK(1200, 0, 1)
MSS_CHECK(1240, 0, 1)
MSS_CHECK(1000, 0, 0)
MSS_CHECK(1460, 0, 0)
/* clang-format on */

static void check_untouched_options(struct env *e, const struct frame *in, const struct result *r,
				    const char *name)
{
	(void)e;
	expect_rewritten(in, r, name, true);
	cr_expect(r->stat[SVR_STAT_MSS_CLAMPED] == 0, "%s: counted", name);
}

#define OPTS(bytes) .tcp_opts = (const uint8_t *)(bytes), .tcp_opts_len = sizeof(bytes) - 1
#define SYN	    .tcp_flags = TH_SYN
#define MSS_1460    OPTS("\2\4\x05\xb4")

/* ---- rows ------------------------------------------------------------------------------------ */

/* One row, one sentence */
/* clang-format off */
static const struct row lan[] = {
	{ "TCP segment to the peer",
	  { FROM_HOST, .fill = 100 }, established, XDP_REDIRECT, 0, check_to_wan },
	{ "bare acknowledgement to the peer",
	  { FROM_HOST }, established, XDP_REDIRECT, 0, check_to_wan },
	{ "segment of odd length",
	  { FROM_HOST, .fill = 1 }, established, XDP_REDIRECT, 0, check_to_wan },
	{ "datagram to the peer",
	  { FROM_HOST, UDP, .fill = 100 }, established, XDP_REDIRECT, 0, check_to_wan },
	{ "empty datagram to the peer",
	  { FROM_HOST, UDP }, established, XDP_REDIRECT, 0, check_to_wan },
	{ "TCP header of 60 bytes",
	  { FROM_HOST,
	  OPTS("\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1"),
	  .fill = 5 }, established, XDP_REDIRECT, 0, check_to_wan },
	{ "padding is cut", { FROM_HOST, .pad = 6 }, established, XDP_REDIRECT, 0, check_to_wan },
	{ "TTL 2 becomes 1", { FROM_HOST, .ttl = 2 }, established, XDP_REDIRECT, 0, check_to_wan },
	{ "TTL 1 is exceeded",
	  { FROM_HOST, .ttl = 1, .tos = 0xb9 }, established, XDP_REDIRECT, SVR_DROP_TTL,
	  check_expired },
	{ "TTL 1 is exceeded, partial UDP checksum",
	  { FROM_HOST, UDP, .ttl = 1, .fill = 32, .csum = CSUM_PARTIAL }, established, XDP_REDIRECT,
	  SVR_DROP_TTL, check_expired_completed },
	{ "TTL 255", { FROM_HOST, .ttl = 255 }, established, XDP_REDIRECT, 0, check_to_wan },
	{ "fragment of a session: the worker puts it together",
	  { FROM_HOST, .frag_off = 0x2000 }, established, XDP_REDIRECT, 0, check_fragment },

	{ "partial TCP checksum, one segment",
	  { FROM_HOST, .fill = 1448, OPTS("\1\1\1\1\1\1\1\1\1\1\1\1"), .csum = CSUM_PARTIAL },
	  established, XDP_REDIRECT, 0, check_completed },
	{ "partial TCP checksum, no payload",
	  { FROM_HOST, .csum = CSUM_PARTIAL }, established, XDP_REDIRECT, 0, check_completed },
	{ "partial TCP checksum, three odd bytes",
	  { FROM_HOST, .fill = 3, .csum = CSUM_PARTIAL }, established, XDP_REDIRECT, 0,
	  check_completed },
	{ "partial UDP checksum, 511 bytes",
	  { FROM_HOST, UDP, .fill = 511, .csum = CSUM_PARTIAL }, established, XDP_REDIRECT, 0,
	  check_completed },
	{ "partial UDP checksum, 512 bytes with the header",
	  { FROM_HOST, UDP, .fill = 504, .csum = CSUM_PARTIAL }, established, XDP_REDIRECT, 0,
	  check_completed },
	{ "partial checksum is completed without the padding",
	  { FROM_HOST, .pad = 5, .fill = 1, .csum = CSUM_PARTIAL }, established, XDP_REDIRECT, 0,
	  check_completed },
	{ "absent UDP checksum stays absent",
	  { FROM_HOST, UDP, .fill = 10, .csum = CSUM_NONE }, established, XDP_REDIRECT, 0,
	  check_zero },
	{ "wrong TCP checksum stays wrong",
	  { FROM_HOST, .fill = 10, .csum = CSUM_WRONG }, established, XDP_REDIRECT, 0,
	  check_wrong },
	{ "wrong UDP checksum stays wrong",
	  { FROM_HOST, UDP, .fill = 10, .csum = CSUM_WRONG }, established, XDP_REDIRECT, 0,
	  check_wrong },

	{ "path is down", { FROM_HOST }, path_is_down, XDP_DROP, SVR_DROP_PATH_DOWN, NULL },
	{ "path has no keys", { FROM_HOST }, path_has_no_keys, XDP_DROP, SVR_DROP_PATH_DOWN, NULL },
	{ "next hop of the path is not known",
	  { FROM_HOST }, no_next_hop, XDP_REDIRECT, 0, check_peer_asked },
	{ "frame to a group of the link: no router forwards it",
	  { FROM_HOST, .to_group = true }, established, XDP_PASS, 0, NULL },
	{ "path that the worker has not come to yet",
	  { FROM_HOST }, no_next_hop_at_all, XDP_REDIRECT, 0, check_peer_asked },
	{ "path that is no more",
	  { FROM_HOST }, no_path_at_all, XDP_DROP, SVR_DROP_PATH_DOWN, NULL },
	{ "device of the WAN is gone",
	  { FROM_HOST }, no_device, XDP_DROP, SVR_DROP_NOT_CONFIGURED, NULL },

	{ "packet of exactly the MTU",
	  { FROM_HOST, .fill = 1460 }, established, XDP_REDIRECT, 0, check_to_wan },
	{ "packet one byte above the MTU",
	  { FROM_HOST, DF, .fill = 1461 }, established, XDP_REDIRECT, SVR_DROP_TOO_BIG,
	  check_icmp_1500 },
	{ "datagram above the MTU, padded",
	  { FROM_HOST, DF, UDP, .fill = 1500, .pad = 3 }, established, XDP_REDIRECT, SVR_DROP_TOO_BIG,
	  check_icmp_1500 },
	{ "datagram far above the MTU",
	  { FROM_HOST, DF, UDP, .fill = 3000 }, established, XDP_REDIRECT, SVR_DROP_TOO_BIG,
	  check_icmp_1500 },
	{ "packet above the MTU without DF: the worker cuts it",
	  { FROM_HOST, .fill = 1461 }, established, XDP_REDIRECT, 0, check_whole },
	{ "datagram far above it without DF: the same",
	  { FROM_HOST, UDP, .fill = 3000 }, established, XDP_REDIRECT, 0, check_whole },
	{ "packet of exactly the path MTU",
	  { FROM_HOST, .fill = 1360 }, path_mtu_1400, XDP_REDIRECT, 0, check_to_wan },
	{ "packet above the path MTU",
	  { FROM_HOST, DF, .fill = 1361 }, path_mtu_1400, XDP_REDIRECT, SVR_DROP_TOO_BIG,
	  check_icmp_1400 },
	{ "a path MTU above the interface's does not count",
	  { FROM_HOST, DF, .fill = 1461 }, path_mtu_above_zone, XDP_REDIRECT, SVR_DROP_TOO_BIG,
	  check_icmp_1500 },
	{ "packet that just fits with metadata",
	  { FROM_HOST, .fill = 1460 - META_LEN }, adding, XDP_REDIRECT, 0, check_only_metadata },
	{ "packet that does not fit with metadata",
	  { FROM_HOST, DF, .fill = 1461 - META_LEN }, adding, XDP_REDIRECT, 0, check_whole },
	{ "packet that does not fit even without metadata",
	  { FROM_HOST, DF, .fill = 1461 }, adding, XDP_REDIRECT, SVR_DROP_TOO_BIG,
	  check_icmp_1500 },
	{ "packet that does not fit with a bare header",
	  { FROM_HOST, DF, .payload = COOKIE, .payload_len = 8, .fill = 1452 - 11 }, established,
	  XDP_REDIRECT, 0, check_whole },
	{ "the narrow LAN does not matter on the way out",
	  { FROM_HOST, .fill = 1460 }, narrow_lan, XDP_REDIRECT, 0, check_to_wan },

	{ "payload that starts with the cookie",
	  { FROM_HOST, .payload = COOKIE, .payload_len = 8, .fill = 50 }, established, XDP_REDIRECT,
	  0, check_bare_added },
	{ "payload that is the cookie",
	  { FROM_HOST, UDP, .payload = COOKIE, .payload_len = 8 }, established, XDP_REDIRECT, 0,
	  check_bare_added },
	{ "payload that looks like a bare header",
	  { FROM_HOST, UDP, .payload = BARE, .payload_len = 12, .fill = 3 }, established,
	  XDP_REDIRECT, 0, check_bare_added },
	{ "payload that starts with the cookie, partial checksum",
	  { FROM_HOST, .payload = COOKIE, .payload_len = 8, .fill = 5, .csum = CSUM_PARTIAL },
	  established, XDP_REDIRECT, 0, check_bare_added },
	{ "payload that is seven bytes of the cookie",
	  { FROM_HOST, .payload = COOKIE, .payload_len = 7 }, established, XDP_REDIRECT, 0,
	  check_to_wan },
	{ "cookie in the padding",
	  { FROM_HOST, .payload = COOKIE, .payload_len = 8, .patch = { { IP_OFF + 3, 44 } } },
	  established, XDP_REDIRECT, 0, NULL },
	{ "cookie behind metadata needs no bare header",
	  { FROM_HOST, .payload = COOKIE, .payload_len = 8 }, adding, XDP_REDIRECT, 0,
	  check_only_metadata },

	{ "MSS above the path MTU is lowered",
	  { FROM_HOST, SYN, MSS_1460 }, automatic, XDP_REDIRECT, 0, check_mss_1360_at_0 },
	{ "MSS of a SYN with ACK is lowered",
	  { FROM_HOST, .tcp_flags = TH_SYN | TH_ACK, MSS_1460 }, automatic, XDP_REDIRECT, 0,
	  check_mss_1360_at_0 },
	{ "MSS at an odd place is lowered",
	  { FROM_HOST, SYN, OPTS("\1\2\4\x05\xb4\1\1\1") }, automatic, XDP_REDIRECT, 0,
	  check_mss_1360_at_1 },
	{ "MSS of a partial checksum is lowered",
	  { FROM_HOST, SYN, MSS_1460, .csum = CSUM_PARTIAL }, automatic, XDP_REDIRECT, 0,
	  check_mss_1360_at_0 },
	{ "MSS 65535 is lowered",
	  { FROM_HOST, SYN, OPTS("\2\4\xff\xff") }, automatic, XDP_REDIRECT, 0,
	  check_mss_1360_at_0 },
	{ "a fixed MSS below the path MTU",
	  { FROM_HOST, SYN, MSS_1460 }, fixed, XDP_REDIRECT, 0, check_mss_1200_at_0 },
	{ "a fixed MSS that does not fit the path",
	  { FROM_HOST, SYN, MSS_1460 }, fixed_too_high, XDP_REDIRECT, 0, check_mss_1360_at_0 },
	{ "a smaller MSS stays",
	  { FROM_HOST, SYN, OPTS("\2\4\x03\xe8") }, fixed, XDP_REDIRECT, 0, check_mss_1000_at_0 },
	{ "enforced-mss disabled",
	  { FROM_HOST, SYN, MSS_1460 }, path_mtu_1400, XDP_REDIRECT, 0, check_mss_1460_at_0 },
	{ "MSS outside of a SYN is not touched",
	  { FROM_HOST, MSS_1460 }, automatic, XDP_REDIRECT, 0, check_mss_1460_at_0 },
	{ "no MSS option: none is added",
	  { FROM_HOST, SYN, OPTS("\1\1\1\1") }, automatic, XDP_REDIRECT, 0,
	  check_untouched_options },
	{ "no option at all",
	  { FROM_HOST, SYN }, automatic, XDP_REDIRECT, 0, check_untouched_options },
	{ "MSS behind the end of options",
	  { FROM_HOST, SYN, OPTS("\0\1\1\1\2\4\x05\xb4") }, automatic, XDP_REDIRECT, 0,
	  check_untouched_options },
	{ "option of length 0",
	  { FROM_HOST, SYN, OPTS("\3\0\2\4\x05\xb4\1\1") }, automatic, XDP_REDIRECT, 0,
	  check_untouched_options },
	{ "option of length 1",
	  { FROM_HOST, SYN, OPTS("\3\1\2\4\x05\xb4\1\1") }, automatic, XDP_REDIRECT, 0,
	  check_untouched_options },
	{ "option of length 255",
	  { FROM_HOST, SYN, OPTS("\3\xff\2\4\x05\xb4\1\1") }, automatic, XDP_REDIRECT, 0,
	  check_untouched_options },
	{ "MSS option of length 3",
	  { FROM_HOST, SYN, OPTS("\2\3\x05\xb4") }, automatic, XDP_REDIRECT, 0,
	  check_untouched_options },
	{ "MSS option cut by the header's end",
	  { FROM_HOST, SYN, OPTS("\1\1\2\4"), .payload = "\x05\xb4", .payload_len = 2 }, automatic,
	  XDP_REDIRECT, 0, check_untouched_options },
	{ "40 bytes of no-operation",
	  { FROM_HOST, SYN,
	  OPTS("\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1") },
	  automatic, XDP_REDIRECT, 0, check_untouched_options },

	{ "worker's session goes to the worker",
	  { FROM_HOST, .fill = 10, .pad = 3 }, worker_session, XDP_REDIRECT, 0, check_described },
	{ "worker's session without a worker",
	  { FROM_HOST }, worker_session_no_worker, XDP_DROP, SVR_DROP_NO_WORKER, NULL },
	{ "a SYN on the worker's closing session is the worker's",
	  { FROM_HOST, SYN }, worker_session_closing, XDP_REDIRECT, 0, check_described },
	{ "a large packet of the worker's session is the worker's",
	  { FROM_HOST, .fill = 1461 }, worker_session, XDP_REDIRECT, 0, check_described },
	{ "the cookie in the worker's session is the worker's",
	  { FROM_HOST, .payload = COOKIE, .payload_len = 8 }, worker_session, XDP_REDIRECT, 0,
	  check_described },
};
/* clang-format on */

Test(flow, lan)
{
	RUN_ROWS(PROG_LAN, lan);
}

/* One row, one sentence */
/* clang-format off */
static const struct row wan[] = {
	{ "TCP segment to the host",
	  { FROM_PEER, .fill = 100 }, established, XDP_REDIRECT, 0, check_to_lan },
	{ "datagram to the host",
	  { FROM_PEER, UDP, .fill = 101 }, established, XDP_REDIRECT, 0, check_to_lan },
	{ "padding is cut", { FROM_PEER, .pad = 6 }, established, XDP_REDIRECT, 0, check_to_lan },
	{ "TTL 1 is exceeded",
	  { FROM_PEER, .ttl = 1 }, established, XDP_REDIRECT, SVR_DROP_TTL, check_expired },
	{ "absent UDP checksum stays absent",
	  { FROM_PEER, UDP, .fill = 10, .csum = CSUM_NONE }, established, XDP_REDIRECT, 0,
	  check_zero },
	{ "a peer's partial checksum is a wrong one",
	  { FROM_PEER, .fill = 10, .csum = CSUM_PARTIAL }, established, XDP_REDIRECT, 0,
	  check_not_completed },
	{ "wrong checksum stays wrong",
	  { FROM_PEER, .fill = 10, .csum = CSUM_WRONG }, established, XDP_REDIRECT, 0,
	  check_wrong },
	{ "a path that went down still brings packets",
	  { FROM_PEER }, path_is_down, XDP_REDIRECT, 0, check_to_lan },
	{ "next hop of the host is not known",
	  { FROM_PEER }, no_next_hop, XDP_REDIRECT, 0, check_host_asked },
	{ "frame to a group of the WAN",
	  { FROM_PEER, .to_group = true }, established, XDP_PASS, 0, NULL },
	{ "next hop of the host is nothing",
	  { FROM_PEER }, no_next_hop_at_all, XDP_DROP, SVR_DROP_NO_NEIGHBOUR, NULL },
	{ "packet of exactly the LAN's MTU",
	  { FROM_PEER, .fill = 1240 }, narrow_lan, XDP_REDIRECT, 0, check_to_lan },
	{ "packet above the LAN's MTU: the peer is told",
	  { FROM_PEER, DF, .fill = 1241 }, narrow_lan, XDP_REDIRECT, SVR_DROP_TOO_BIG,
	  check_peer_told },
	{ "packet above the LAN's MTU without DF: the worker cuts it",
	  { FROM_PEER, .fill = 1241 }, narrow_lan, XDP_REDIRECT, 0, check_whole },
	{ "bare header is removed",
	  { FROM_PEER, .payload = BARE COOKIE, .payload_len = 20, .fill = 9 }, established,
	  XDP_REDIRECT, 0, check_bare_removed },
	{ "bare header alone is removed",
	  { FROM_PEER, UDP, .payload = BARE, .payload_len = 12 }, established, XDP_REDIRECT, 0,
	  check_bare_removed },
	{ "only one bare header is removed",
	  { FROM_PEER, .payload = BARE BARE, .payload_len = 24 }, established, XDP_REDIRECT, 0,
	  check_bare_removed },
	{ "a packet that fits without its bare header",
	  { FROM_PEER, .payload = BARE, .payload_len = 12, .fill = 1240 }, narrow_lan, XDP_REDIRECT,
	  0, check_bare_removed },
	{ "MSS towards the LAN is lowered",
	  { FROM_PEER, SYN, MSS_1460 }, fixed, XDP_REDIRECT, 0, check_mss_1200_at_0 },
	{ "worker's session goes to the worker",
	  { FROM_PEER, .fill = 10, .pad = 3 }, worker_session, XDP_REDIRECT, 0, check_described },
	{ "the cookie in the worker's session is the worker's",
	  { FROM_PEER, .payload = BARE, .payload_len = 12 }, worker_session, XDP_REDIRECT, 0,
	  check_described },
	{ "worker's session without a worker",
	  { FROM_PEER }, worker_session_no_worker, XDP_DROP, SVR_DROP_NO_WORKER, NULL },
};
/* clang-format on */

Test(flow, wan)
{
	RUN_ROWS(PROG_WAN, wan);
}

static void narrow_automatic(struct svr_zone *z)
{
	z->mtu = 1280;
	z->enforced_mss = 1;
}

static void lan_automatic(struct env *e)
{
	established(e);
	zone_change(e, LAN, narrow_automatic);
}

/* One row, one sentence */
/* clang-format off */
static const struct row wan_mss[] = {
	{ "MSS is lowered to what fits the LAN",
	  { FROM_PEER, SYN, MSS_1460 }, lan_automatic, XDP_REDIRECT, 0, check_mss_1240_at_0 },
};
/* clang-format on */

Test(flow, wan_mss)
{
	RUN_ROWS(PROG_WAN, wan_mss);
}

/* ---- checksums that come out as zero --------------------------------------------------------- */

/*
 * For every payload word there is one whose checksum is computed as zero; it has to be sent as
 * 0xffff (RFC 768).
 */
Test(flow, computed_zero)
{
	struct env *e = env_open(NULL);
	uint8_t word[2];
	static struct result r;
	static struct frame f;
	struct spec s = { FROM_HOST, UDP, .payload = word, .payload_len = 2 };
	unsigned int first, zero;

	established(e);
	put16(word, 0);
	frame_build(&f, &s);
	run_frame(e, PROG_LAN, &f, &r, "probe");
	first = get16(r.out + L4_OFF + 6);
	/* Adding the checksum to the payload takes it out of the checksum */
	put16(word, (uint16_t)first);
	frame_build(&f, &s);
	run_frame(e, PROG_LAN, &f, &r, "zero");
	zero = get16(r.out + L4_OFF + 6);
	cr_expect(zero == 0xffff, "checksum %04x", zero);
	cr_expect(frame_csums_ok(r.out, r.len));

	s.csum = CSUM_PARTIAL;
	frame_build(&f, &s);
	run_frame(e, PROG_LAN, &f, &r, "completed");
	cr_expect(get16(r.out + L4_OFF + 6) == 0xffff && frame_csums_ok(r.out, r.len));

	/* The same in between: zero before the addresses are changed */
	put16(word, 0);
	s.csum = CSUM_GOOD;
	frame_build(&f, &s);
	put16(word, get16(f.data + L4_OFF + 6));
	s.csum = CSUM_PARTIAL;
	frame_build(&f, &s);
	run_frame(e, PROG_LAN, &f, &r, "completed before rewriting");
	expect_rewritten(&f, &r, "completed before rewriting", true);
	cr_expect(get16(r.out + L4_OFF + 6) != 0, "a checksum that is there must not get lost");
	env_close(e);
}

/* Every length of payload from nothing to beyond four chunks of the sum, partial and whole. */
Test(flow, every_length)
{
	struct env *e = env_open(NULL);
	static struct result r;
	static struct frame f;
	size_t len;

	established(e);
	for (len = 0; len <= 1460; len += len < 600 ? 1 : 37) {
		struct spec tcp = { FROM_HOST, .fill = len, .csum = CSUM_PARTIAL };
		struct spec udp = { FROM_HOST, UDP, .fill = len };

		frame_build(&f, &tcp);
		run_frame(e, PROG_LAN, &f, &r, "tcp");
		cr_assert(r.verdict == XDP_REDIRECT);
		expect_rewritten(&f, &r, "tcp", true);
		frame_build(&f, &udp);
		run_frame(e, PROG_LAN, &f, &r, "udp");
		cr_assert(r.verdict == XDP_REDIRECT);
		expect_rewritten(&f, &r, "udp", true);
	}
	env_close(e);
}

/* ---- TCP's end ------------------------------------------------------------------------------- */

struct step {
	bool from_lan;
	uint8_t flags;
	uint8_t lan_seen, wan_seen;
	bool closing;
};

static void walk(const char *name, const struct step *steps, size_t n)
{
	struct env *e = env_open(NULL);
	static struct result r;
	struct svr_flow lan_flow, wan_flow;
	size_t i;

	established(e);
	for (i = 0; i < n; i++) {
		const struct step *s = &steps[i];

		if (s->from_lan)
			run(e, PROG_LAN, &(struct spec){ FROM_HOST, .tcp_flags = s->flags }, &r,
			    name);
		else
			run(e, PROG_WAN, &(struct spec){ FROM_PEER, .tcp_flags = s->flags }, &r,
			    name);
		cr_expect(r.verdict == XDP_REDIRECT, "%s, step %zu", name, i);
		cr_assert(session_lan(e, IPPROTO_TCP, &lan_flow) &&
			  session_wan(e, IPPROTO_TCP, &wan_flow));
		cr_expect(lan_flow.tcp_seen == s->lan_seen && wan_flow.tcp_seen == s->wan_seen,
			  "%s, step %zu: seen %x, %x", name, i, lan_flow.tcp_seen,
			  wan_flow.tcp_seen);
		cr_expect(!!(lan_flow.flags & SVR_FLOW_CLOSING) == s->closing &&
				  !!(wan_flow.flags & SVR_FLOW_CLOSING) == s->closing,
			  "%s, step %zu: closing", name, i);
	}
	env_close(e);
}

enum { S = SVR_TCP_SYN, F = SVR_TCP_FIN, R = SVR_TCP_RST, D = SVR_TCP_DATA };

Test(flow, closing_by_fin_from_both_sides)
{
	static const struct step steps[] = {
		{ true, TH_SYN, S, 0, false },
		{ false, TH_SYN | TH_ACK, S, S, false },
		{ true, TH_ACK, S | D, S, false },
		{ true, TH_FIN | TH_ACK, S | D | F, S, false },
		{ true, TH_FIN | TH_ACK, S | D | F, S, false },
		{ false, TH_ACK, S | D | F, S | D, false },
		{ false, TH_FIN | TH_ACK, S | D | F, S | D | F, true },
		{ true, TH_ACK, S | D | F, S | D | F, true },
	};

	walk("FIN from both sides", steps, sizeof(steps) / sizeof(steps[0]));
}

Test(flow, closing_by_rst_of_the_host)
{
	static const struct step steps[] = { { true, TH_RST, R, 0, true } };

	walk("RST of the host", steps, 1);
}

Test(flow, closing_by_rst_of_the_peer)
{
	static const struct step steps[] = { { false, TH_RST | TH_ACK, 0, R | D, true } };

	walk("RST of the peer", steps, 1);
}

/*
 * A SYN with the ports of a session that is over makes a new one; with those of a live one it is
 * only forwarded.
 */
Test(flow, syn_on_closing)
{
	struct env *e = env_open(NULL);
	static struct result r;
	struct svr_flow before, after, wan_flow;

	established(e);
	run(e, PROG_LAN, &(struct spec){ FROM_HOST, SYN }, &r, "live");
	cr_assert(session_lan(e, IPPROTO_TCP, &before));
	cr_expect(!memcmp(before.uuid, uuid_a, SVR_UUID_LEN) && r.stat[SVR_STAT_SESSIONS_FWD] == 0,
		  "a live session stays");

	run(e, PROG_LAN, &(struct spec){ FROM_HOST, .tcp_flags = TH_RST }, &r, "reset");
	run(e, PROG_LAN, &(struct spec){ FROM_HOST, .tcp_flags = TH_SYN | TH_ACK }, &r,
	    "SYN and ACK");
	cr_assert(session_lan(e, IPPROTO_TCP, &before));
	cr_expect(!memcmp(before.uuid, uuid_a, SVR_UUID_LEN), "only a SYN without ACK opens");

	run(e, PROG_LAN, &(struct spec){ FROM_HOST, SYN }, &r, "new");
	cr_expect(r.verdict == XDP_REDIRECT && r.stat[SVR_STAT_SESSIONS_FWD] == 1 &&
			  r.stat[SVR_STAT_SESSIONS_CLOSED] == 1 && r.stat[SVR_STAT_META_ADDED] == 1,
		  "a closing one is replaced");
	cr_assert(session_lan(e, IPPROTO_TCP, &after));
	cr_expect(memcmp(after.uuid, uuid_a, SVR_UUID_LEN) && !(after.flags & SVR_FLOW_CLOSING) &&
		  after.tcp_seen == S);
	cr_expect(!session_wan(e, IPPROTO_TCP, &wan_flow) ||
			  (after.sport == htons(LOCAL_PORT) && after.dport == htons(PEER_PORT)),
		  "the old WAN flow is gone");
	cr_expect(flow_count(e) == 4, "UDP's two flows and two new ones: %u", flow_count(e));
	env_close(e);
}

/*
 * Removing a session leaves alone a flow that another session has put where the opposite one was.
 */
Test(flow, removal_spares_strangers)
{
	struct env *e = env_open(NULL);
	static struct result r;
	struct svr_flow4_key key =
		flow_key(WAN, IPPROTO_TCP, "192.0.2.2", PEER_PORT, "192.0.2.1", LOCAL_PORT);
	struct svr_flow stranger;

	established(e);
	run(e, PROG_LAN, &(struct spec){ FROM_HOST, .tcp_flags = TH_RST }, &r, "reset");
	cr_assert(flow4_get(e, &key, &stranger));
	memcpy(stranger.uuid, uuid_b, SVR_UUID_LEN);
	flow4_put(e, &key, &stranger);
	run(e, PROG_LAN, &(struct spec){ FROM_HOST, SYN }, &r, "new");
	cr_expect(r.stat[SVR_STAT_SESSIONS_FWD] == 1);
	cr_expect(flow4_get(e, &key, &stranger) &&
		  !memcmp(stranger.uuid, uuid_b, SVR_UUID_LEN));
	env_close(e);
}

/* ---- VLAN ------------------------------------------------------------------------------------ */

enum { OUTER_VLAN = 7 };

static void add_outer_vlan(struct svr_zone *z)
{
	z->outer_vlan = OUTER_VLAN;
}

/*
 * A tagged LAN: the tags are taken off on the way to the untagged WAN, and put on again on the way
 * back.
 */
static void tagged_lan(uint16_t outer)
{
	struct svr_vlan_key key = { .ifindex = LO, .vlan = LAN_VLAN, .outer_vlan = outer };
	const size_t tags = outer ? 8 : 4;
	struct env *e = env_open(NULL);
	static struct result out, back;
	const uint8_t *tag;
	uint32_t zone = TAGGED;
	static struct frame f;
	struct spec s = { .src = "172.16.30.10",
			  .dst = "172.16.2.20",
			  .dport = 80,
			  .tcp_flags = TH_SYN,
			  .outer_vlan = outer ? outer | 0x4000 : 0,
			  .vlan = LAN_VLAN | 0x6000 };
	struct spec answer = {
		.src = "192.0.2.2", .dst = "192.0.2.1", .tcp_flags = TH_SYN | TH_ACK, .fill = 3
	};
	struct svr_flow lan_flow;

	if (outer) {
		zone_change(e, TAGGED, add_outer_vlan);
		map_del(e, "svr_vlans", &(struct svr_vlan_key){ .ifindex = LO, .vlan = LAN_VLAN });
		map_put(e, "svr_vlans", &key, &zone);
	}
	frame_build(&f, &s);
	run_frame(e, PROG_LAN, &f, &out, "to the WAN");
	cr_assert(out.verdict == XDP_REDIRECT, "reason %d", out.reason);
	cr_expect(get16(out.out + 12) == 0x0800 && frame_csums_ok(out.out, out.len),
		  "no tag on the WAN");
	cr_expect(out.len == f.len - tags + META_LEN, "%zu bytes", out.len);
	cr_assert(flow_get(e, TAGGED, IPPROTO_TCP, "172.16.30.10", 40000, "172.16.2.20", 80,
			   &lan_flow));

	answer.sport = ntohs(lan_flow.dport);
	answer.dport = ntohs(lan_flow.sport);
	frame_build(&f, &answer);
	run_frame(e, PROG_WAN, &f, &back, "to the LAN");
	cr_assert(back.verdict == XDP_REDIRECT, "reason %d", back.reason);
	cr_expect(back.len == f.len + tags);
	if (outer)
		cr_expect(get16(back.out + 12) == 0x88a8 && get16(back.out + 14) == outer,
			  "the service tag on the LAN");
	tag = back.out + ETH_LEN - 2 + tags - 4;
	cr_expect(get16(tag) == 0x8100 && get16(tag + 2) == LAN_VLAN && get16(tag + 4) == 0x0800,
		  "the zone's tag on the LAN");
	cr_expect(frame_csums_ok(back.out, back.len) &&
		  !memcmp(back.out + ETH_LEN + tags + 16, &(uint32_t){ addr4("172.16.30.10") }, 4));
	env_close(e);
}

Test(flow, tagged_lan)
{
	tagged_lan(0);
}

Test(flow, lan_with_two_tags)
{
	tagged_lan(OUTER_VLAN);
}

Test(flow, tagged_too_big)
{
	struct env *e = env_open(NULL);
	static struct result r;
	static struct frame f;
	struct spec s = { .src = "172.16.30.10",
			  .dst = "172.16.2.20",
			  .proto = IPPROTO_UDP,
			  .dport = 53,
			  .fill = 1480,
			  DF,
			  .vlan = LAN_VLAN };

	frame_build(&f, &s);
	run_frame(e, PROG_LAN, &f, &r, "too big");
	cr_assert(r.verdict == XDP_REDIRECT && r.reason == SVR_DROP_TOO_BIG);
	cr_expect(r.len == 18 + 576 && get16(r.out + 12) == 0x8100 &&
			  get16(r.out + 14) == LAN_VLAN && frame_csums_ok(r.out, r.len) &&
			  !memcmp(r.out + 18 + 28, f.data + 18, 548),
		  "the answer has the same tag");
	env_close(e);
}
