// SPDX-License-Identifier: BSD-2-Clause
/*
 * Two routers in one process: what a host sends into one of them has to come out of the other one
 * as it was, whatever the families of the hosts and of the path between the routers are.
 *
 *   host 172.16.1.10, 2001:db8:1::10 -- west -- 192.0.2.0/24 or 2001:db8:ff::/64 -- east -- server
 */
#include <string.h>

#include <arpa/inet.h>

#include "tests/prog/prog.h"

enum { SVC_ALL = 1, NH_NEAR = SVR_MAX_PATHS + 1 };

/* ---- the two routers ------------------------------------------------------------------------- */

struct side {
	const char *lan4, *lan6, *wan4, *wan6; /* its own addresses */
	const char *host4, *host6;
	const char *common_name;
};
static const struct side west = { "172.16.1.1",	 "2001:db8:1::1",  "192.0.2.1", "2001:db8:ff::1",
				  "172.16.1.10", "2001:db8:1::10", "cn-west" };
static const struct side east = { "172.16.2.1",	 "2001:db8:2::1",  "192.0.2.2", "2001:db8:ff::2",
				  "172.16.2.20", "2001:db8:2::20", "cn-east" };

static void put_at(struct env *e, const char *map, uint32_t slot, const void *value)
{
	map_put(e, map, &slot, value);
}

static void put_zone2(struct env *e, uint32_t id, uint8_t role, const char *a4, const char *a6)
{
	struct svr_zone z = { .ifindex = LO, .role = role, .mtu = 1500, .addrs = 2 };

	addr_map(z.addr[0].addr, a4);
	z.addr[0].prefix_len = 120;
	addr_map(z.addr[1].addr, a6);
	z.addr[1].prefix_len = 64;
	put_at(e, "svr_zones", id, &z);
}

static void put_neighbour2(struct env *e, const char *addr)
{
	struct svr_nexthop nh = { .zone = LAN, .valid = 1, .dmac = { 2, 0, 0, 0, 1, 10 } };
	struct svr_addr_key key = { .zone = LAN };
	uint32_t slot = NH_NEAR;

	addr_map(key.addr, addr);
	put_at(e, "svr_nexthops", slot, &nh);
	map_put(e, "svr_neighbours", &key, &slot);
}

static void put_name2(struct env *e, enum svr_name_kind kind, const char *name, uint32_t slot)
{
	struct svr_name_key key = { .kind = kind };

	memcpy(key.name, name, strlen(name));
	map_put(e, "svr_names", &key, &slot);
}

static void tlv(struct svr_meta_frag *f, uint16_t type, const char *text)
{
	put16(f->tlv + f->len, type);
	put16(f->tlv + f->len + 2, (uint16_t)strlen(text));
	memcpy(f->tlv + f->len + 4, text, strlen(text));
	f->len = (uint16_t)(f->len + 4 + strlen(text));
}

static void put_path2(struct env *e, const struct side *own, const struct side *far, bool wan6)
{
	struct svr_path p;
	struct svr_addr_key key = { .zone = WAN };
	uint32_t slot = PATH_EAST;

	cr_assert(map_get(e, "svr_paths", &slot, &p));
	memset(&p.frag, 0, sizeof(p.frag));
	addr_map(p.local, wan6 ? own->wan6 : own->wan4);
	addr_map(p.remote, wan6 ? far->wan6 : far->wan4);
	tlv(&p.frag, SVR_TLV_SOURCE_ROUTER, own->common_name);
	tlv(&p.frag, SVR_TLV_PATH_ID, wan6 ? own->wan6 : own->wan4);
	put_at(e, "svr_paths", slot, &p);
	addr_map(key.addr, wan6 ? far->wan6 : far->wan4);
	map_put(e, "svr_path_by_addr", &key, &slot);
}

static void put_prefix2(struct env *e, const char *prefix, uint32_t bits)
{
	struct svr_service_key key = { .prefixlen = 32 + bits,
				       .family = htonl(strchr(prefix, ':') ? 6 : 4) };
	struct svr_service_set set = { 1, { SVC_ALL } };

	addr_map(key.addr, prefix);
	map_put(e, "svr_service_lpm", &key, &set);
}

/* Everything that the far LAN has is one service, clear, of any protocol; the hosts are "corp". */
static struct env *router(const struct side *own, const struct side *far, bool wan6)
{
	struct env *e = env_open(NULL);
	bool terminates = own == &east;
	struct svr_service s = { .name = "all",
				 .policy = POLICY_CLEAR,
				 .route_kind = terminates ? SVR_ROUTE_LOCAL : SVR_ROUTE_PEER,
				 .paths = 1,
				 .zone = LAN,
				 .path = { PATH_EAST } };
	struct svr_access_key access = { .service = SVC_ALL, .tenant = TENANT_CORP };
	uint32_t yes = 1;

	put_zone2(e, LAN, SVR_ROLE_LAN, own->lan4, own->lan6);
	put_zone2(e, WAN, SVR_ROLE_WAN, own->wan4, own->wan6);
	put_neighbour2(e, own->host4);
	put_neighbour2(e, own->host6);
	put_path2(e, own, far, wan6);
	put_name2(e, SVR_KIND_PEER, far->common_name, PEER_EAST);
	put_name2(e, SVR_KIND_SERVICE, "all", SVC_ALL);
	tlv(&s.frag, SVR_TLV_SERVICE, "all");
	tlv(&s.frag, SVR_TLV_POLICY, "clear");
	put_at(e, "svr_services", SVC_ALL, &s);
	map_put(e, "svr_access", &access, &yes);
	put_prefix2(e, "172.16.2.0", 120);
	put_prefix2(e, "2001:db8:2::", 64);
	return e;
}

struct pair {
	struct env *west, *east;
	bool lan6, wan6;
	const char *name;
};

static struct pair pair_open(bool lan6, bool wan6)
{
	static const char *const names[2][2] = { { "IPv4 over IPv4", "IPv4 over IPv6" },
						 { "IPv6 over IPv4", "IPv6 over IPv6" } };
	struct pair p = { router(&west, &east, wan6), router(&east, &west, wan6), lan6, wan6,
			  names[lan6][wan6] };

	return p;
}

static void pair_close(struct pair *p)
{
	env_close(p->west);
	env_close(p->east);
}

/* No sessions, and as many ICMP errors as are wanted */
static void sessions_end(struct pair *p)
{
	flows_clear(p->west);
	flows_clear(p->east);
}

/* ---- what has to come out -------------------------------------------------------------------- */

/*
 * The host's frame after two routers: other MAC addresses, TTL less two. An IPv4 packet that was
 * IPv6 on the way has a new header; an IPv6 packet that was IPv4, the label of its session.
 */
static void expect_arrived(const struct pair *p, const struct frame *in, const struct result *out,
			   const char *name)
{
	static uint8_t want[FRAME_MAX];
	size_t l4 = frame_l4_off(in->data);

	cr_assert(out->verdict == XDP_REDIRECT, "%s, %s: reason %d", p->name, name, out->reason);
	memcpy(want, in->data, in->len);
	memcpy(want, out->out, 12);
	if (p->lan6) {
		want[IP_OFF + 7] = (uint8_t)(want[IP_OFF + 7] - 2);
		if (!p->wan6) /* the label is the session's */
			memcpy(want + IP_OFF + 1,
			       (uint8_t[]){ (uint8_t)((want[IP_OFF + 1] & 0xf0) |
						      (out->out[IP_OFF + 1] & 0x0f)),
					    out->out[IP_OFF + 2], out->out[IP_OFF + 3] },
			       3);
	} else {
		want[IP_OFF + 8] = (uint8_t)(want[IP_OFF + 8] - 2);
		memcpy(want + IP_OFF + 10, out->out + IP_OFF + 10, 2); /* judged below */
		if (p->wan6) {
			put16(want + IP_OFF + 4, 0);
			put16(want + IP_OFF + 6, 0x4000);
		}
	}
	expect_bytes(out->out, l4, want, l4, name, "headers");
	expect_bytes(out->out + l4, out->len - l4, in->data + l4, in->len - l4, name, "the rest");
	cr_expect(frame_csums_ok(out->out, out->len), "%s, %s: checksums", p->name, name);
}

/* One packet through both routers. @wire: as it was between them */
static void send_across(const struct pair *p, bool forward, const struct frame *in,
			struct result *wire, struct result *out, const char *name)
{
	static struct frame between;

	run_frame(forward ? p->west : p->east, PROG_LAN, in, wire, name);
	cr_assert(wire->verdict == XDP_REDIRECT && !wire->reason, "%s, %s: reason %d at the LAN",
		  p->name, name, wire->reason);
	cr_expect(frame_csums_ok(wire->out, wire->len), "%s, %s: checksums on the WAN", p->name,
		  name);
	cr_expect(get16(wire->out + 12) == (p->wan6 ? 0x86dd : 0x0800), "%s, %s: family", p->name,
		  name);
	cr_assert(wire->len <= sizeof(between.data));
	memcpy(between.data, wire->out, wire->len);
	between.len = wire->len;
	run_frame(forward ? p->east : p->west, PROG_WAN, &between, out, name);
}

static struct spec spec_of(const struct pair *p, bool forward, uint8_t proto)
{
	struct spec s = { .proto = proto, .sport = 40000, .dport = 7, .tos = 0xba };

	s.src = p->lan6 ? west.host6 : west.host4;
	s.dst = p->lan6 ? east.host6 : east.host4;
	if (proto == IPPROTO_ICMP)
		s.icmp_type = forward ? 8 : ICMP_REPLY;
	if (proto == IPPROTO_ICMPV6)
		s.icmp_type = forward ? 128 : 129;
	if (!forward) {
		const char *src = s.src;

		s.src = s.dst;
		s.dst = src;
	}
	if (!forward && !s.icmp_type) {
		s.sport = 7;
		s.dport = 40000;
	}
	return s;
}

/* Packets with and without metadata, of even, odd and no length, there and back. */
static void conversation(const struct pair *p, uint8_t proto)
{
	static const struct {
		bool forward;
		size_t fill;
		uint8_t flags;
		bool metadata;
		const char *name;
	} steps[] = {
		{ true, 0, TH_SYN, true, "first packet" },
		{ true, 0, TH_SYN, true, "first packet again" },
		{ false, 31, TH_SYN | TH_ACK, true, "first answer" },
		{ true, 1, TH_ACK, false, "second packet" },
		{ false, 1000, TH_ACK, false, "second answer" },
		{ true, 1393, TH_ACK, false, "long packet" },
		{ false, 0, TH_ACK, false, "no payload" },
	};
	/* Nothing but TCP and UDP has ports: a UDP header in front */
	size_t extra = proto == IPPROTO_TCP || proto == IPPROTO_UDP ? 0 : UDP_LEN, i;
	static struct result wire, out;
	static struct frame f;

	for (i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		struct spec s = spec_of(p, steps[i].forward, proto);
		size_t grown;

		s.fill = steps[i].fill;
		s.tcp_flags = steps[i].flags;
		frame_build(&f, &s);
		send_across(p, steps[i].forward, &f, &wire, &out, steps[i].name);
		expect_arrived(p, &f, &out, steps[i].name);
		grown = wire.len - f.len - (p->wan6 ? 20u : 0) + (p->lan6 ? 20u : 0) - extra;
		cr_expect((grown != 0) == steps[i].metadata, "%s, %s, protocol %u: %zu bytes more",
			  p->name, steps[i].name, proto, grown);
	}
	cr_expect(flow_count(p->west) == 2 && flow_count(p->east) == 2, "%s: one session", p->name);
}

static void every_protocol(bool lan6, bool wan6)
{
	const uint8_t protos[] = { IPPROTO_TCP, IPPROTO_UDP, lan6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP,
				   IPPROTO_GRE, IPPROTO_ESP };
	struct pair p = pair_open(lan6, wan6);
	size_t i;

	for (i = 0; i < sizeof(protos); i++) {
		conversation(&p, protos[i]);
		sessions_end(&p);
	}
	pair_close(&p);
}

Test(shape, ipv4_over_ipv4)
{
	every_protocol(false, false);
}

Test(shape, ipv4_over_ipv6)
{
	every_protocol(false, true);
}

Test(shape, ipv6_over_ipv4)
{
	every_protocol(true, false);
}

Test(shape, ipv6_over_ipv6)
{
	every_protocol(true, true);
}

/* ---- ICMP errors about packets of a session -------------------------------------------------- */

enum error { EXPIRED, TOO_BIG, UNREACHABLE };

/* A router or host at @src that could not deliver @bad, a packet of @len bytes, says so. */
static void error_build(struct frame *f, const char *src, const char *dst, enum error error,
			uint32_t mtu, const uint8_t *bad, size_t len)
{
	bool v6 = strchr(src, ':');
	static const uint8_t type[2][3] = { { 11, 3, 3 }, { 3, 2, 1 } };
	static const uint8_t code[2][3] = { { 0, 4, 3 }, { 0, 0, 4 } };
	struct spec s = { .src = src,
			  .dst = dst,
			  .proto = v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP,
			  .icmp_type = type[v6][error],
			  .icmp_code = code[v6][error],
			  .sport = (uint16_t)(mtu >> 16),
			  .dport = (uint16_t)mtu,
			  .payload = bad,
			  .payload_len = len };

	frame_build(f, &s);
}

/*
 * What arrived: from @src to the host, checksums right, the quoted packet as the host sent it (as
 * far as it is quoted; TTL may be less, and what IPv4 has on its own).
 */
static void expect_error(const struct pair *p, const struct result *r, const struct frame *sent,
			 const char *src, enum error error, uint32_t mtu, const char *name)
{
	const uint8_t *ip = r->out + IP_OFF, *icmp = ip + (p->lan6 ? 40 : 20), *quote = icmp + 8;
	const uint8_t *was = sent->data + IP_OFF;
	size_t hlen = p->lan6 ? 40 : 20, l4 = r->len - (size_t)(quote + hlen - r->out);
	uint8_t addr[16];

	cr_assert(r->verdict == XDP_REDIRECT && !r->reason, "%s, %s: reason %d", p->name, name,
		  r->reason);
	cr_expect(r->stat[SVR_STAT_ICMP_MAPPED] == 1, "%s, %s: counted", p->name, name);
	cr_expect(frame_csums_ok(r->out, r->len), "%s, %s: checksums", p->name, name);
	inet_pton(p->lan6 ? AF_INET6 : AF_INET, src, addr);
	cr_expect(!memcmp(ip + (p->lan6 ? 8 : 12), addr, p->lan6 ? 16 : 4), "%s, %s: from %s",
		  p->name, name, src);
	cr_expect(!memcmp(ip + (p->lan6 ? 24 : 16), was + (p->lan6 ? 8 : 12), p->lan6 ? 16 : 4),
		  "%s, %s: to the host", p->name, name);
	cr_expect(icmp[0] == (p->lan6 ? (uint8_t[]){ 3, 2, 1 } : (uint8_t[]){ 11, 3, 3 })[error],
		  "%s, %s: type %u", p->name, name, icmp[0]);
	cr_expect(icmp[1] == (p->lan6 ? (uint8_t[]){ 0, 0, 4 } : (uint8_t[]){ 0, 4, 3 })[error],
		  "%s, %s: code %u", p->name, name, icmp[1]);
	if (error == TOO_BIG)
		cr_expect(get32(icmp + 4) == mtu, "%s, %s: MTU %u, wanted %u", p->name, name,
			  get32(icmp + 4), mtu);
	cr_assert(l4 >= 8 && l4 <= 1500, "%s, %s: %zu bytes quoted", p->name, name, l4);
	if (p->lan6) {
		expect_bytes(quote + 4, 3, was + 4, 3, name, "quoted length and protocol");
		expect_bytes(quote + 8, 32, was + 8, 32, name, "quoted addresses");
	} else {
		expect_bytes(quote + 1, 3, was + 1, 3, name, "quoted length");
		expect_bytes(quote + 12, 8, was + 12, 8, name, "quoted addresses");
		cr_expect(quote[9] == was[9], "%s, %s: quoted protocol", p->name, name);
	}
	/* A quotation with metadata is cut behind eight bytes, of which UDP's checksum covers more */
	expect_bytes(quote + hlen, l4 == 8 ? 6 : l4, was + hlen, l4 == 8 ? 6 : l4, name,
		     "quoted L4");
}

/* The first packet of a session, or one of a session that is there */
static void errors_about(const struct pair *p, uint8_t proto, bool established)
{
	static struct frame sent, f, between;
	static struct result wire, out;
	struct spec s = spec_of(p, true, proto);
	const char *name = established ? "established" : "first packet";
	const char *west_wan = p->wan6 ? west.wan6 : west.wan4;
	/* A router on the path that the host's family cannot name: our own speaks for it */
	const char *midway = p->wan6 ? "2001:db8:99::9" : "198.51.100.9";
	const char *seen = p->lan6 == p->wan6 ? midway : p->lan6 ? west.lan6 : west.lan4;
	const char *server = p->lan6 ? east.host6 : east.host4;
	const char *client = p->lan6 ? west.host6 : west.host4;
	uint32_t host_mtu = 1400;
	size_t i;

	s.tcp_flags = TH_SYN;
	s.fill = 33;
	frame_build(&sent, &s);
	if (established) {
		struct spec back = spec_of(p, false, proto);

		send_across(p, true, &sent, &wire, &out, name);
		back.tcp_flags = TH_SYN | TH_ACK;
		frame_build(&f, &back);
		send_across(p, false, &f, &wire, &out, name);
		s.tcp_flags = TH_ACK;
		frame_build(&sent, &s);
	}
	send_across(p, true, &sent, &wire, &out, name);
	if (!established) /* room for the metadata of the next attempt */
		host_mtu -= (uint32_t)(wire.len - sent.len);
	else
		host_mtu += (p->lan6 ? 20u : 0) - (p->wan6 ? 20u : 0) -
			    (proto == IPPROTO_TCP || proto == IPPROTO_UDP ? 0u : UDP_LEN);
	if (p->lan6 && host_mtu < 1280)
		host_mtu = 1280;
	for (i = EXPIRED; i <= TOO_BIG; i++) {
		error_build(&f, midway, west_wan, i, i == TOO_BIG ? 1400 : 0, wire.out + IP_OFF,
			    wire.len - IP_OFF);
		run_frame(p->west, PROG_WAN, &f, &out, name);
		expect_error(p, &out, &sent, seen, i, host_mtu, name);
	}

	/* The server's own error: through both routers */
	send_across(p, true, &sent, &wire, &out, name);
	error_build(&f, server, client, UNREACHABLE, 0, out.out + IP_OFF, out.len - IP_OFF);
	run_frame(p->east, PROG_LAN, &f, &wire, name);
	cr_assert(wire.verdict == XDP_REDIRECT && !wire.reason, "%s, %s: error of the server: %d",
		  p->name, name, wire.reason);
	cr_expect(frame_csums_ok(wire.out, wire.len), "%s, %s: error on the WAN", p->name, name);
	memcpy(between.data, wire.out, wire.len);
	between.len = wire.len;
	run_frame(p->west, PROG_WAN, &between, &out, name);
	expect_error(p, &out, &sent, server, UNREACHABLE, 0, name);

	/* The second router of a traceroute */
	s.ttl = 2;
	s.sport++;
	s.tcp_flags = TH_SYN;
	frame_build(&sent, &s);
	run_frame(p->west, PROG_LAN, &sent, &wire, name);
	cr_assert(wire.verdict == XDP_REDIRECT && !wire.reason, "%s, %s: TTL 2: reason %d", p->name,
		  name, wire.reason);
	memcpy(between.data, wire.out, wire.len);
	between.len = wire.len;
	run_frame(p->east, PROG_WAN, &between, &wire, name);
	cr_assert(wire.verdict == XDP_REDIRECT && wire.reason == SVR_DROP_TTL &&
			  frame_csums_ok(wire.out, wire.len),
		  "%s, %s: hop two: reason %d", p->name, name, wire.reason);
	memcpy(between.data, wire.out, wire.len);
	between.len = wire.len;
	run_frame(p->west, PROG_WAN, &between, &out, name);
	expect_error(p, &out, &sent,
		     p->lan6 == p->wan6 ? (p->wan6 ? east.wan6 : east.wan4) : seen, EXPIRED, 0,
		     "hop two");
}

static void errors_of(bool lan6, bool wan6)
{
	const uint8_t protos[] = { IPPROTO_TCP, IPPROTO_UDP,
				   lan6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP };
	struct pair p = pair_open(lan6, wan6);
	size_t i, established;

	for (i = 0; i < sizeof(protos); i++) {
		for (established = 0; established < 2; established++) {
			errors_about(&p, protos[i], established);
			sessions_end(&p);
		}
	}
	pair_close(&p);
}

Test(shape, errors_ipv4_over_ipv4)
{
	errors_of(false, false);
}

Test(shape, errors_ipv4_over_ipv6)
{
	errors_of(false, true);
}

Test(shape, errors_ipv6_over_ipv4)
{
	errors_of(true, false);
}

Test(shape, errors_ipv6_over_ipv6)
{
	errors_of(true, true);
}

Test(shape, errors_that_are_not_ours)
{
	struct pair p = pair_open(false, false);
	static struct frame sent, f;
	static struct result wire, out;
	struct spec s = spec_of(&p, true, IPPROTO_UDP);
	static uint8_t bad[64];

	frame_build(&sent, &s);
	send_across(&p, true, &sent, &wire, &out, "session");
	error_build(&f, "198.51.100.9", "192.0.2.1", EXPIRED, 0, wire.out + IP_OFF,
		    wire.len - IP_OFF);
	f.data[IP_OFF + 20 + 8 + 21] ^= 1; /* quoted source port */
	run_frame(p.west, PROG_WAN, &f, &out, "another port");
	cr_expect(out.verdict == XDP_PASS, "an error about no session is the kernel's");
	error_build(&f, "198.51.100.9", "192.0.2.1", EXPIRED, 0, bad, sizeof(bad));
	run_frame(p.west, PROG_WAN, &f, &out, "no packet");
	cr_expect(out.verdict == XDP_PASS, "an error that quotes nothing is the kernel's");
	error_build(&f, "198.51.100.9", "192.0.2.1", EXPIRED, 0, wire.out + IP_OFF, 27);
	run_frame(p.west, PROG_WAN, &f, &out, "short quotation");
	cr_expect(out.verdict == XDP_PASS, "an error that quotes too little is the kernel's");
	error_build(&f, "172.16.1.10", "172.16.2.20", EXPIRED, 0, sent.data + IP_OFF,
		    sent.len - IP_OFF);
	run_frame(p.west, PROG_LAN, &f, &out, "a host's error");
	cr_expect(out.verdict == XDP_DROP && out.reason == SVR_DROP_ICMP_UNMATCHED,
		  "an error of a host about no packet that it got: reason %d", out.reason);

	error_build(&f, "127.0.0.1", "192.0.2.1", EXPIRED, 0, wire.out + IP_OFF, wire.len - IP_OFF);
	run_frame(p.west, PROG_WAN, &f, &out, "from loopback");
	cr_expect(out.verdict == XDP_DROP && out.reason == SVR_DROP_ICMP_UNMATCHED,
		  "an error from nobody: reason %d", out.reason);
	error_build(&f, "172.16.1.1", "192.0.2.1", EXPIRED, 0, wire.out + IP_OFF, wire.len - IP_OFF);
	run_frame(p.west, PROG_WAN, &f, &out, "from the LAN's router");
	cr_expect(out.verdict == XDP_DROP && out.reason == SVR_DROP_ICMP_UNMATCHED,
		  "an error in the name of this router: reason %d", out.reason);
	error_build(&f, "198.51.100.9", "192.0.2.1", EXPIRED, 0, wire.out + IP_OFF,
		    wire.len - IP_OFF);
	f.data[IP_OFF + 20 + 3] ^= 1;
	run_frame(p.west, PROG_WAN, &f, &out, "wrong checksum");
	cr_expect(out.verdict == XDP_DROP && out.reason == SVR_DROP_BAD_CSUM,
		  "an error that was changed on the way: reason %d", out.reason);

	/* The bucket of the zone is empty until long after this test */
	error_build(&f, "198.51.100.9", "192.0.2.1", EXPIRED, 0, wire.out + IP_OFF,
		    wire.len - IP_OFF);
	put_at(p.west, "svr_icmp_pace", WAN, &(uint64_t){ UINT64_MAX / 2 });
	run_frame(p.west, PROG_WAN, &f, &out, "too many");
	cr_expect(out.verdict == XDP_DROP && out.reason == SVR_DROP_ICMP_LIMITED &&
			  out.stat[SVR_STAT_ICMP_LIMITED] == 1,
		  "errors above the rate: reason %d", out.reason);
	s.ttl = 1;
	frame_build(&sent, &s);
	put_at(p.west, "svr_icmp_pace", LAN, &(uint64_t){ UINT64_MAX / 2 });
	run_frame(p.west, PROG_LAN, &sent, &out, "too many of our own");
	cr_expect(out.verdict == XDP_DROP && out.reason == SVR_DROP_TTL &&
			  out.stat[SVR_STAT_ICMP_LIMITED] == 1 &&
			  out.stat[SVR_STAT_ICMP_TIME_EXCEEDED] == 0,
		  "own errors above the rate: reason %d", out.reason);
	pair_close(&p);
}
