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
	size_t i;

	for (i = 0; i < sizeof(protos); i++) {
		struct pair p = pair_open(lan6, wan6);

		conversation(&p, protos[i]);
		pair_close(&p);
	}
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
