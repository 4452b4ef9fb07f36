// SPDX-License-Identifier: BSD-2-Clause
/*
 * LAN, no flow yet: who may have a session, who gets the first packet, and what a clear session and
 * its metadata look like.
 */
#include <stdio.h>
#include <string.h>

#include <arpa/inet.h>

#include "tests/prog/prog.h"

#define SYN .tcp_flags = TH_SYN
#define WEB SYN, .dport = 80
#define DNS .proto = IPPROTO_UDP, .dport = 53

/* ---- setups ---------------------------------------------------------------------------------- */

static void tenant_for_everybody(struct env *e)
{
	struct svr_tenant_key key = { .prefixlen = 32 + 96,
				      .family = htons(SVR_FAMILY_4),
				      .zone = htons(LAN) };
	uint32_t tenant = TENANT_CORP;

	addr_map(key.addr, "0.0.0.0");
	map_put(e, "svr_tenant_lpm", &key, &tenant);
}

static void service_everywhere(struct env *e)
{
	struct svr_service_key key = { .prefixlen = 32 + 96, .family = htonl(SVR_FAMILY_4) };

	addr_map(key.addr, "0.0.0.0");
	map_put(e, "svr_service_lpm", &key, &(struct svr_service_set){ 1, { SVC_ANY } });
}

/* Two services with the same prefix and port, each for another tenant */
static void guests_have_their_own(struct env *e)
{
	struct svr_service_key key = { .prefixlen = 32 + 96 + 24, .family = htonl(SVR_FAMILY_4) };

	addr_map(key.addr, "172.16.2.0");
	map_put(e, "svr_service_lpm", &key, &(struct svr_service_set){ 2, { SVC_WEB, SVC_ANY } });
	map_del(e, "svr_access", &(struct svr_access_key){ SVC_WEB, TENANT_GUEST });
	map_put(e, "svr_access", &(struct svr_access_key){ SVC_ANY, TENANT_GUEST }, &(uint32_t){ 1 });
}

/* The same, but the one for guests has a wider prefix */
static void guests_have_a_wider_one(struct env *e)
{
	struct svr_service_key key = { .prefixlen = 32 + 96 + 24, .family = htonl(SVR_FAMILY_4) };

	guests_have_their_own(e);
	addr_map(key.addr, "172.16.2.0");
	map_put(e, "svr_service_lpm", &key,
		&(struct svr_service_set){ 2, { SVC_WEB, SVC_ANY | SVR_SET_WIDER } });
}

static void east_down(struct env *e)
{
	path_status(e, PATH_EAST, SVR_PATH_DOWN, 0);
}

static void north_only(struct env *e)
{
	path_status(e, PATH_EAST, SVR_PATH_INIT, 0);
}

static void all_down(struct env *e)
{
	path_status(e, PATH_EAST, SVR_PATH_UNUSED, 0);
	path_status(e, PATH_NORTH, SVR_PATH_DOWN, 0);
}

static void no_nexthops(struct env *e)
{
	nexthop_valid(e, PATH_EAST, false);
	nexthop_valid(e, PATH_NORTH, false);
}

static void host_unknown(struct env *e)
{
	struct svr_addr_key key = { .zone = LAN };

	addr_map(key.addr, "172.16.1.10");
	map_del(e, "svr_neighbours", &key);
}

static void host_stale(struct env *e)
{
	nexthop_valid(e, NH_HOST, false);
}

static void host_unknown_no_worker(struct env *e)
{
	host_unknown(e);
	worker_gone(e);
}

static void hosts_unknown(struct env *e)
{
	const uint64_t never = UINT64_MAX / 2;

	host_unknown(e);
	map_put(e, "svr_neighbour_pace", &(uint32_t){ LAN }, &never);
}

static void drop_gateway(struct svr_zone *z)
{
	memset(z->addr[0].gateway, 0, sizeof(z->addr[0].gateway));
}

static void no_gateway(struct env *e)
{
	zone_change(e, LAN, drop_gateway);
}

static void free_slot(struct svr_service *s)
{
	s->name[0] = 0;
}

static void web_removed(struct env *e)
{
	service_change(e, SVC_WEB, free_slot);
}

static void policy_removed(struct env *e)
{
	map_put(e, "svr_policies", &(uint32_t){ POLICY_CLEAR }, &(struct svr_policy){ .clear = 1 });
}

static void odd_local(struct svr_path *p)
{
	p->local_lo = p->local_hi = 20001;
}

static void no_even_port(struct env *e)
{
	path_change(e, PATH_EAST, odd_local);
}

static void upside_down(struct svr_path *p)
{
	p->remote_lo = 30000;
	p->remote_hi = 20000;
}

static void range_upside_down(struct env *e)
{
	path_change(e, PATH_EAST, upside_down);
}

static void low_ports(struct svr_path *p)
{
	p->local_lo = 80;
	p->local_hi = 90;
}

static void range_below_1025(struct env *e)
{
	path_change(e, PATH_EAST, low_ports);
}

static void bfd_port(struct svr_path *p)
{
	p->parity = 0;
	p->local_lo = p->local_hi = SVR_BFD_PORT;
}

static void range_is_bfd(struct env *e)
{
	path_change(e, PATH_EAST, bfd_port);
}

static void one_pair(struct svr_path *p)
{
	p->local_lo = p->local_hi = 20000;
	p->remote_lo = p->remote_hi = 20001;
}

static void the_pair_is_taken(struct env *e)
{
	struct svr_flow4_key key =
		flow_key(WAN, IPPROTO_TCP, "192.0.2.2", 20001, "192.0.2.1", 20000);
	struct svr_flow flow = { .flags = SVR_FLOW_VALID };

	path_change(e, PATH_EAST, one_pair);
	flow4_put(e, &key, &flow);
}

/* ---- checks ---------------------------------------------------------------------------------- */

static void check_no_flows(struct env *e, const struct frame *in, const struct result *r,
			   const char *name)
{
	(void)in;
	(void)r;
	cr_expect(flow_count(e) == 0, "%s: %u flows were made", name, flow_count(e));
}

static void check_setup(struct env *e, const struct frame *in, const struct result *r,
			const char *name)
{
	check_no_flows(e, in, r, name);
	cr_assert(r->described, "%s: no description", name);
	cr_expect(r->desc.magic == SVR_FRAME_MAGIC && r->desc.why == SVR_FRAME_SETUP &&
			  r->desc.zone == LAN && r->desc.l3_off == IP_OFF && r->desc.slot == 0 &&
			  r->desc.service == SVC_VAULT && r->desc.tenant == TENANT_CORP &&
			  r->desc.path == PATH_EAST,
		  "%s: description", name);
	cr_expect(r->stat[SVR_STAT_TO_WORKER] == 1, "%s: counted", name);
	expect_bytes(r->out, r->len, in->data, IP_OFF + get16(in->data + IP_OFF + 2), name,
		     "frame");
}

/* The host is not known yet, so the worker is told whose packet waits */
static void check_guests(struct env *e, const struct frame *in, const struct result *r,
			 const char *name)
{
	check_no_flows(e, in, r, name);
	cr_assert(r->described, "%s: no description", name);
	cr_expect(r->desc.why == SVR_FRAME_NEIGHBOUR && r->desc.service == SVC_ANY &&
			  r->desc.tenant == TENANT_GUEST,
		  "%s: service %u, tenant %u", name, r->desc.service, r->desc.tenant);
}

static void check_neighbour(const struct frame *in, const struct result *r, uint32_t zone,
			    const char *addr, const char *name)
{
	cr_assert(r->described, "%s: no description", name);
	cr_expect(r->desc.why == SVR_FRAME_NEIGHBOUR && r->desc.zone == LAN &&
			  r->desc.out_zone == zone && r->desc.addr[3] == addr4(addr) &&
			  r->desc.service == SVC_WEB && r->desc.path == PATH_EAST,
		  "%s: description", name);
	expect_bytes(r->out, r->len, in->data, in->len, name, "frame");
}

static void check_path_neighbour(struct env *e, const struct frame *in, const struct result *r,
				 const char *name)
{
	(void)e;
	check_neighbour(in, r, WAN, "192.0.2.2", name);
}

static void check_host_neighbour(struct env *e, const struct frame *in, const struct result *r,
				 const char *name)
{
	check_no_flows(e, in, r, name);
	check_neighbour(in, r, LAN, "172.16.1.10", name);
}

/* The WAN flow is found through the LAN flow */
static bool flows_of(struct env *e, const struct svr_flow4_key *key, struct svr_flow *lan,
		     struct svr_flow *wan)
{
	struct svr_flow4_key back;

	if (!flow4_get(e, key, lan))
		return false;
	back = (struct svr_flow4_key){
		.saddr = lan->daddr[3],
		.daddr = lan->saddr[3],
		.sport = lan->dport,
		.dport = lan->sport,
		.zone = lan->out_zone,
		.proto = key->proto,
	};
	return flow4_get(e, &back, wan);
}

static struct svr_flow4_key key_of_frame(uint16_t zone, const uint8_t *frame)
{
	struct svr_flow4_key key = { .zone = zone, .proto = frame[IP_OFF + 9] };

	memcpy(&key.saddr, frame + IP_OFF + 12, 8);
	memcpy(&key.sport, frame + L4_OFF, 4);
	return key;
}

/* Metadata of a forward packet, byte for byte, from what is configured and the flow's UUID */
static void expected_forward(struct meta *m, const uint8_t *in, const uint8_t *uuid,
			     const char *service)
{
	uint8_t context[13];

	memcpy(context, in + IP_OFF + 12, 8);
	memcpy(context + 8, in + L4_OFF, 4);
	context[12] = in[IP_OFF + 9];
	meta_begin(m);
	meta_tlv(m, 2, context, sizeof(context));
	meta_tlv(m, 6, uuid, SVR_UUID_LEN);
	meta_name(m, 7, "corp");
	meta_name(m, 10, service);
	meta_name(m, 15, "clear");
	meta_name(m, 14, "cn-west");
	meta_name(m, 19, "192.0.2.1");
	meta_end(m);
}

/* Sent to @peer with metadata in front of an untouched payload, every header right */
static void check_first(struct env *e, const struct frame *in, const struct result *r,
			const char *peer, const char *service, const char *name)
{
	struct svr_flow4_key key = key_of_frame(LAN, in->data);
	size_t off = frame_payload_off(in->data), in_len = IP_OFF + get16(in->data + IP_OFF + 2);
	struct svr_flow lan, wan;
	static struct meta m;
	uint16_t lport, rport;

	cr_assert(flows_of(e, &key, &lan, &wan), "%s: both flows are there", name);
	cr_expect(lan.flags == (SVR_FLOW_VALID | SVR_FLOW_META_ADD | SVR_FLOW_ORIGINATOR),
		  "%s: LAN flags %x", name, lan.flags);
	cr_expect(wan.flags == (SVR_FLOW_VALID | SVR_FLOW_FROM_WAN | SVR_FLOW_REV),
		  "%s: WAN flags %x", name, wan.flags);
	cr_expect(!memcmp(lan.uuid, wan.uuid, SVR_UUID_LEN) && lan.uuid[6] >> 4 == 4 &&
			  lan.uuid[8] >> 6 == 2,
		  "%s: one UUID of version 4", name);
	cr_expect(wan.saddr[3] == key.daddr && wan.daddr[3] == key.saddr &&
			  wan.sport == key.dport && wan.dport == key.sport && wan.out_zone == LAN &&
			  wan.nexthop == NH_HOST,
		  "%s: the WAN flow undoes the rewriting", name);
	cr_expect(lan.out_zone == WAN && lan.nexthop == lan.path && wan.path == lan.path &&
			  lan.tenant == TENANT_CORP && lan.policy == POLICY_CLEAR &&
			  lan.proto == key.proto && lan.service == wan.service,
		  "%s: what the flow knows", name);
	cr_expect(lan.packets == 1 && lan.bytes == in_len - IP_OFF && lan.meta_packets == 1 &&
			  lan.last_seen_ns && lan.created_sec && wan.packets == 0,
		  "%s: stamps", name);
	lport = ntohs(lan.sport);
	rport = ntohs(lan.dport);
	cr_expect(lport % 2 == 0 && lport >= SVR_PORT_LO && lport <= SVR_PORT_HI &&
			  rport % 2 == 1 && rport >= SVR_PORT_LO && rport <= SVR_PORT_HI,
		  "%s: even local, odd remote port: %u, %u", name, lport, rport);

	cr_expect(frame_csums_ok(r->out, r->len), "%s: checksums", name);
	cr_expect(get32(r->out + IP_OFF + 12) == ntohl(addr4("192.0.2.1")) &&
			  get32(r->out + IP_OFF + 16) == ntohl(addr4(peer)) &&
			  get16(r->out + L4_OFF) == lport && get16(r->out + L4_OFF + 2) == rport,
		  "%s: tuple on the wire", name);
	cr_expect(r->out[IP_OFF + 8] == in->data[IP_OFF + 8] - 1, "%s: TTL", name);
	cr_expect(!memcmp(r->out, "\x02\0\0\0\x02\x02\x02\0\0\0\x02\x01", 12), "%s: MAC addresses",
		  name);

	expected_forward(&m, in->data, lan.uuid, service);
	cr_assert(r->len == in_len + m.len, "%s: %zu bytes became %zu, metadata has %zu", name,
		  in_len, r->len, m.len);
	expect_bytes(r->out + off, m.len, m.data, m.len, name, "metadata");
	expect_bytes(r->out + off + m.len, r->len - off - m.len, in->data + off, in_len - off, name,
		     "payload");
	cr_expect(r->stat[SVR_STAT_META_ADDED] == 1 && r->stat[SVR_STAT_SESSIONS_FWD] == 1,
		  "%s: counted", name);
}

static void check_web(struct env *e, const struct frame *in, const struct result *r,
		      const char *name)
{
	check_first(e, in, r, "192.0.2.2", "web", name);
}

static void check_dns(struct env *e, const struct frame *in, const struct result *r,
		      const char *name)
{
	check_first(e, in, r, "192.0.2.2", "dns", name);
}

static void check_web_north(struct env *e, const struct frame *in, const struct result *r,
			    const char *name)
{
	check_first(e, in, r, "192.0.2.3", "web", name);
}

static void check_completed(struct env *e, const struct frame *in, const struct result *r,
			    const char *name)
{
	cr_expect(r->stat[SVR_STAT_CSUM_COMPLETED] == 1, "%s: counted", name);
	if (in->data[IP_OFF + 9] == IPPROTO_TCP)
		check_web(e, in, r, name);
	else
		check_dns(e, in, r, name);
}

static void check_csum_absent(struct env *e, const struct frame *in, const struct result *r,
			      const char *name)
{
	check_dns(e, in, r, name);
	cr_expect(get16(r->out + L4_OFF + 6) == 0, "%s: no checksum stays none", name);
}

static void check_csum_wrong(struct env *e, const struct frame *in, const struct result *r,
			     const char *name)
{
	(void)e;
	(void)in;
	cr_expect(!frame_csums_ok(r->out, r->len), "%s: a wrong checksum stays wrong", name);
}

/* One row, one sentence */
/* clang-format off */
static const struct row rows[] = {
	{ "SYN to a clear service makes a session", { WEB }, NULL, XDP_REDIRECT, 0, check_web },
	{ "payload of a SYN stays behind the metadata",
	  { WEB, .payload = "odd", .payload_len = 3 }, NULL, XDP_REDIRECT, 0, check_web },
	{ "SYN with options and payload",
	  { WEB, .tcp_opts = (const uint8_t *)"\1\1\1\1\1\1\1\0", .tcp_opts_len = 8, .fill = 100 },
	  NULL, XDP_REDIRECT, 0, check_web },
	{ "Ethernet padding is cut before metadata is added",
	  { WEB, .pad = 6 }, NULL, XDP_REDIRECT, 0, check_web },
	{ "datagram to a clear service makes a session",
	  { DNS, .fill = 33 }, NULL, XDP_REDIRECT, 0, check_dns },
	{ "empty datagram makes a session", { DNS }, NULL, XDP_REDIRECT, 0, check_dns },
	{ "padding of a short datagram is cut",
	  { DNS, .fill = 1, .pad = 17 }, NULL, XDP_REDIRECT, 0, check_dns },
	{ "partial TCP checksum is completed",
	  { WEB, .fill = 7, .csum = CSUM_PARTIAL }, NULL, XDP_REDIRECT, 0, check_completed },
	{ "partial UDP checksum is completed",
	  { DNS, .fill = 1301, .csum = CSUM_PARTIAL }, NULL, XDP_REDIRECT, 0, check_completed },
	{ "absent UDP checksum stays absent",
	  { DNS, .fill = 9, .csum = CSUM_NONE }, NULL, XDP_REDIRECT, 0, check_csum_absent },
	{ "wrong TCP checksum is not repaired by metadata",
	  { WEB, .fill = 9, .csum = CSUM_WRONG }, NULL, XDP_REDIRECT, 0, check_csum_wrong },
	{ "wrong UDP checksum is not repaired by metadata",
	  { DNS, .fill = 9, .csum = CSUM_WRONG }, NULL, XDP_REDIRECT, 0, check_csum_wrong },

	{ "ACK without a flow", { .dport = 80 }, NULL, XDP_DROP, SVR_DROP_NOT_SYN, check_no_flows },
	{ "SYN and ACK without a flow",
	  { .dport = 80, .tcp_flags = TH_SYN | TH_ACK }, NULL, XDP_DROP, SVR_DROP_NOT_SYN,
	  check_no_flows },
	{ "SYN and FIN open nothing",
	  { .dport = 80, .tcp_flags = TH_SYN | TH_FIN }, NULL, XDP_DROP, SVR_DROP_NOT_SYN,
	  check_no_flows },
	{ "SYN and RST open nothing",
	  { .dport = 80, .tcp_flags = TH_SYN | TH_RST }, NULL, XDP_DROP, SVR_DROP_NOT_SYN,
	  check_no_flows },
	{ "RST without a flow",
	  { .dport = 80, .tcp_flags = TH_RST }, NULL, XDP_DROP, SVR_DROP_NOT_SYN, check_no_flows },

	{ "source of no tenant",
	  { WEB, .src = "10.0.0.1" }, NULL, XDP_DROP, SVR_DROP_NO_TENANT, check_no_flows },
	{ "loopback source, though a tenant covers it",
	  { WEB, .src = "127.0.0.1" }, tenant_for_everybody, XDP_DROP, SVR_DROP_NO_TENANT,
	  check_no_flows },
	{ "multicast source, though a tenant covers it",
	  { WEB, .src = "224.0.0.9" }, tenant_for_everybody, XDP_DROP, SVR_DROP_NO_TENANT,
	  check_no_flows },
	{ "source 0.0.0.0, though a tenant covers it",
	  { WEB, .src = "0.0.0.0" }, tenant_for_everybody, XDP_DROP, SVR_DROP_NO_TENANT,
	  check_no_flows },
	{ "the router's own address as source",
	  { WEB, .src = "172.16.1.1" }, NULL, XDP_DROP, SVR_DROP_NO_TENANT, check_no_flows },
	{ "broadcast of the subnet as source",
	  { WEB, .src = "172.16.1.255" }, NULL, XDP_DROP, SVR_DROP_NO_TENANT, check_no_flows },
	{ "the longer tenant prefix counts, and its explicit no",
	  { WEB, .src = "172.16.1.200" }, NULL, XDP_DROP, SVR_DROP_NO_ACCESS, check_no_flows },
	{ "a tenant without a row has no access",
	  { DNS, .src = "172.16.1.200" }, NULL, XDP_DROP, SVR_DROP_NO_ACCESS, check_no_flows },

	{ "of two services, the one that names the tenant",
	  { WEB, .src = "172.16.1.200" }, guests_have_their_own, XDP_REDIRECT, 0, check_guests },
	{ "and the other one for who is named there",
	  { WEB }, guests_have_their_own, XDP_REDIRECT, 0, check_web },
	{ "a wider prefix gives no access to a narrower one",
	  { WEB, .src = "172.16.1.200" }, guests_have_a_wider_one, XDP_DROP, SVR_DROP_NO_ACCESS,
	  check_no_flows },
	{ "but it counts where the narrower one has no service",
	  { SYN, .src = "172.16.1.200", .dst = "172.16.2.20", .dport = 81 }, guests_have_a_wider_one,
	  XDP_REDIRECT, 0, check_guests },

	{ "destination of no service",
	  { WEB, .dst = "172.16.200.1" }, NULL, XDP_DROP, SVR_DROP_NO_SERVICE, check_no_flows },
	{ "loopback destination, though a service covers it",
	  { WEB, .dst = "127.0.0.1" }, service_everywhere, XDP_DROP, SVR_DROP_NO_SERVICE,
	  check_no_flows },
	{ "reserved destination, though a service covers it",
	  { WEB, .dst = "240.0.0.1" }, service_everywhere, XDP_DROP, SVR_DROP_NO_SERVICE,
	  check_no_flows },
	{ "port of no service",
	  { SYN, .dport = 81 }, NULL, XDP_DROP, SVR_DROP_NO_SERVICE, check_no_flows },
	{ "protocol of no service",
	  { .proto = IPPROTO_UDP, .dport = 80 }, NULL, XDP_DROP, SVR_DROP_NO_SERVICE,
	  check_no_flows },
	{ "one below a port range",
	  { SYN, .dport = 7999 }, NULL, XDP_DROP, SVR_DROP_NO_SERVICE, check_no_flows },
	{ "first port of a range", { SYN, .dport = 8000 }, NULL, XDP_REDIRECT, 0, check_web },
	{ "last port of a range", { SYN, .dport = 8080 }, NULL, XDP_REDIRECT, 0, check_web },
	{ "one above a port range",
	  { SYN, .dport = 8081 }, NULL, XDP_DROP, SVR_DROP_NO_SERVICE, check_no_flows },
	{ "service that was removed",
	  { WEB }, web_removed, XDP_DROP, SVR_DROP_NO_SERVICE, check_no_flows },
	{ "service without transports takes every protocol and port",
	  { .proto = IPPROTO_UDP, .dst = "172.16.3.3", .dport = 0 }, NULL, XDP_REDIRECT, 0,
	  check_sums },

	{ "service without a route",
	  { WEB, .dst = "172.16.4.4" }, NULL, XDP_DROP, SVR_DROP_NO_ROUTE, check_no_flows },
	{ "service on a LAN of this router",
	  { WEB, .dst = "172.16.1.20" }, NULL, XDP_DROP, SVR_DROP_NO_ROUTE, check_no_flows },
	{ "second path while the first is down",
	  { WEB }, east_down, XDP_REDIRECT, 0, check_web_north },
	{ "second path while the first has no keys",
	  { WEB }, north_only, XDP_REDIRECT, 0, check_web_north },
	{ "no path in service", { WEB }, all_down, XDP_DROP, SVR_DROP_NO_PATH, check_no_flows },
	{ "no path with a next hop: the best one's is asked for",
	  { WEB }, no_nexthops, XDP_REDIRECT, 0, check_path_neighbour },
	{ "no path in service for a protected service",
	  { SYN, .dport = 22 }, all_down, XDP_DROP, SVR_DROP_NO_PATH, check_no_flows },

	{ "protected service goes to the worker",
	  { SYN, .dport = 22 }, NULL, XDP_REDIRECT, 0, check_setup },
	{ "padding is cut for the worker",
	  { SYN, .dport = 22, .pad = 6 }, NULL, XDP_REDIRECT, 0, check_setup },
	{ "a partial checksum is left to the worker",
	  { SYN, .dport = 22, .csum = CSUM_PARTIAL }, NULL, XDP_REDIRECT, 0, check_setup },
	{ "protected service without a worker",
	  { SYN, .dport = 22 }, worker_gone, XDP_DROP, SVR_DROP_NO_WORKER, check_no_flows },
	{ "a policy that is gone is not clear",
	  { WEB }, policy_removed, XDP_REDIRECT, 0, check_no_flows },

	{ "unknown originator is the worker's",
	  { WEB }, host_unknown, XDP_REDIRECT, 0, check_host_neighbour },
	{ "originator whose next hop is stale is the worker's",
	  { WEB }, host_stale, XDP_REDIRECT, 0, check_host_neighbour },
	{ "unknown originators, too many of them",
	  { WEB }, hosts_unknown, XDP_DROP, SVR_DROP_HOLD_FULL, check_no_flows },
	{ "unknown originator without a worker",
	  { WEB }, host_unknown_no_worker, XDP_DROP, SVR_DROP_NO_WORKER, check_no_flows },
	{ "originator behind the gateway",
	  { WEB, .src = "172.16.77.7" }, NULL, XDP_REDIRECT, 0, check_sums },
	{ "originator behind no gateway",
	  { WEB, .src = "172.16.77.7" }, no_gateway, XDP_DROP, SVR_DROP_NO_NEIGHBOUR,
	  check_no_flows },

	{ "range without an even port",
	  { WEB }, no_even_port, XDP_DROP, SVR_DROP_NO_PORT, check_no_flows },
	{ "range that is upside down",
	  { WEB }, range_upside_down, XDP_DROP, SVR_DROP_NO_PORT, check_no_flows },
	{ "range below 1025",
	  { WEB }, range_below_1025, XDP_DROP, SVR_DROP_NO_PORT, check_no_flows },
	{ "a session never takes the BFD port",
	  { DNS }, range_is_bfd, XDP_DROP, SVR_DROP_NO_PORT, check_no_flows },
	{ "all ports of the range in use",
	  { WEB }, the_pair_is_taken, XDP_DROP, SVR_DROP_NO_PORT, NULL },
	{ "the pair is taken for TCP, not for UDP",
	  { DNS }, the_pair_is_taken, XDP_REDIRECT, 0, check_sums },
};
/* clang-format on */

Test(lan, first_packets)
{
	RUN_ROWS(PROG_LAN, rows);
}

/* The session of a packet that waited for its next hop is made when the frame comes by again. */
Test(lan, waits_for_neighbour)
{
	struct env *e = env_open(NULL);
	struct spec s = { WEB };
	struct svr_addr_key key = { .zone = LAN };
	static struct result r;
	static struct frame f;

	host_unknown(e);
	frame_build(&f, &s);
	run_frame(e, PROG_LAN, &f, &r, "unknown");
	cr_assert(r.described && r.desc.why == SVR_FRAME_NEIGHBOUR);
	addr_map(key.addr, "172.16.1.10");
	map_put(e, "svr_neighbours", &key, &(uint32_t){ NH_HOST });
	run_frame(e, PROG_LAN, &f, &r, "resolved");
	check_web(e, &f, &r, "resolved");
	env_close(e);
}

/* The gateway's next hop is the one of a host that is not on the link. */
Test(lan, reverse_next_hop_is_the_gateway)
{
	struct env *e = env_open(NULL);
	struct svr_flow4_key key =
		flow_key(LAN, IPPROTO_TCP, "172.16.77.7", 40000, "172.16.2.20", 80);
	struct svr_flow lan, wan;
	static struct result r;

	run(e, PROG_LAN, &(struct spec){ WEB, .src = "172.16.77.7" }, &r, "first");
	cr_assert(flows_of(e, &key, &lan, &wan));
	cr_expect(wan.nexthop == NH_GATEWAY, "next hop %u", wan.nexthop);
	env_close(e);
}

/* A retransmitted first packet: no second session, metadata again with the same UUID. */
Test(lan, first_packet_again)
{
	struct env *e = env_open(NULL);
	struct svr_flow4_key key =
		flow_key(LAN, IPPROTO_TCP, "172.16.1.10", 40000, "172.16.2.20", 80);
	struct svr_flow lan, wan;
	static struct result first, again;
	struct spec s = { WEB };

	run(e, PROG_LAN, &s, &first, "first");
	run(e, PROG_LAN, &s, &again, "again");
	expect_bytes(again.out, again.len, first.out, first.len, "again", "packet");
	cr_expect(flow_count(e) == 2 && again.stat[SVR_STAT_SESSIONS_FWD] == 0);
	cr_assert(flows_of(e, &key, &lan, &wan));
	cr_expect(lan.packets == 2 && lan.meta_packets == 2 && lan.tcp_seen == SVR_TCP_SYN &&
		  wan.tcp_seen == 0);
	env_close(e);
}

/* ---- metadata of every length ---------------------------------------------------------------- */

static void frag_name(struct svr_meta_frag *frag, uint16_t type, char letter, size_t len)
{
	uint8_t *tlv = frag->tlv + frag->len;

	put16(tlv, type);
	put16(tlv + 2, (uint16_t)len);
	memset(tlv + 4, letter, len);
	frag->len = (uint16_t)(frag->len + 4 + len);
}

/*
 * Tenant, service, policy and common name of @len letters each; returns the length of the forward
 * block
 */
static size_t name_lens(struct env *e, size_t tenant, size_t others)
{
	struct svr_tenant t = { .name = "corp" };
	struct svr_service s;
	struct svr_path p;
	uint32_t id;

	frag_name(&t.frag, 7, 't', tenant);
	map_put(e, "svr_tenants", &(uint32_t){ TENANT_CORP }, &t);
	for (id = SVC_WEB; id <= SVC_DNS; id++) {
		cr_assert(map_get(e, "svr_services", &id, &s));
		s.frag.len = 0;
		frag_name(&s.frag, 10, 's', others);
		frag_name(&s.frag, 15, 'p', others);
		map_put(e, "svr_services", &id, &s);
	}
	id = PATH_EAST;
	cr_assert(map_get(e, "svr_paths", &id, &p));
	p.frag.len = 0;
	frag_name(&p.frag, 14, 'r', others);
	frag_name(&p.frag, 19, '1', 15);
	map_put(e, "svr_paths", &id, &p);
	return 12 + 17 + 20 + 4 + tenant + 3 * (4 + others) + 19;
}

static void tlv_letters(struct meta *m, uint16_t type, char letter, size_t len)
{
	char letters[64];

	memset(letters, letter, sizeof(letters));
	meta_tlv(m, type, letters, len);
}

static void expect_long(struct env *e, const struct spec *s, size_t meta_len, size_t tenant,
			size_t others)
{
	static struct result r;
	static struct frame f;
	static struct meta m;
	size_t off;
	char name[64];

	snprintf(name, sizeof(name), "%zu bytes of metadata", meta_len);
	frame_build(&f, s);
	off = frame_payload_off(f.data);
	run_frame(e, PROG_LAN, &f, &r, name);
	cr_expect(r.verdict == XDP_REDIRECT, "%s: reason %d", name, r.reason);
	if (r.verdict != XDP_REDIRECT)
		return;
	cr_expect(frame_csums_ok(r.out, r.len), "%s: checksums", name);
	cr_assert(r.len == f.len + meta_len, "%s: %zu bytes became %zu", name, f.len, r.len);
	/* The fixed part has tests of its own */
	memcpy(m.data, r.out + off, 49);
	m.len = 49;
	tlv_letters(&m, 7, 't', tenant);
	tlv_letters(&m, 10, 's', others);
	tlv_letters(&m, 15, 'p', others);
	tlv_letters(&m, 14, 'r', others);
	tlv_letters(&m, 19, '1', 15);
	expect_bytes(r.out + off, meta_len, m.data, m.len, name, "metadata");
	cr_expect(get16(r.out + off + 10) == meta_len - 12, "%s: payload length", name);
	expect_bytes(r.out + off + meta_len, r.len - off - meta_len, f.data + off, f.len - off,
		     name, "payload");
}

/*
 * Up to the longest names, which do not fit in front of a frame: even and odd blocks, even and odd
 * payloads.
 */
Test(lan, every_length_of_metadata)
{
	struct env *e = env_open(&(struct env_opts){ .flows = 2048 });
	size_t len, meta_len;

	for (len = 1; len <= 63; len++) {
		struct spec tcp = { WEB, .sport = (uint16_t)(41000 + len), .fill = 10 + len % 3 };
		struct spec udp = { DNS, .sport = (uint16_t)(41000 + len), .fill = 10 + len % 3 };

		meta_len = name_lens(e, len, len / 2 + 1);
		expect_long(e, &tcp, meta_len, len, len / 2 + 1);
		expect_long(e, &udp, meta_len, len, len / 2 + 1);
		meta_len = name_lens(e, len, 63);
		expect_long(e, &tcp, meta_len, len, 63);
		expect_long(e, &udp, meta_len, len, 63);
	}
	for (len = 0; len <= 1100; len += 91) {
		struct spec tcp = { WEB, .sport = (uint16_t)(42000 + len), .fill = len,
				    .csum = CSUM_PARTIAL };

		expect_long(e, &tcp, meta_len, 63, 63);
	}
	env_close(e);
}

/* @strangers: 0 or 1 flow that is there before */
static void table_full(unsigned int strangers)
{
	struct env *e = env_open(&(struct env_opts){ .flows = SVR_FLOW_BUCKET_LOAD });
	struct svr_flow4_key key = flow_key(LAN, IPPROTO_TCP, "172.16.1.99", 1, "172.16.2.20", 1);
	static struct result r;
	unsigned int i, made = 0;

	if (strangers)
		flow4_put(e, &key, &(struct svr_flow){ .flags = SVR_FLOW_VALID });
	for (i = 0; i < 16; i++) {
		run(e, PROG_LAN, &(struct spec){ WEB, .sport = (uint16_t)(40000 + i) }, &r,
		    "session");
		if (r.verdict == XDP_REDIRECT) {
			made++;
			continue;
		}
		cr_expect(r.reason == SVR_DROP_TABLE_FULL, "reason %d", r.reason);
	}
	cr_expect(made == (SVR_FLOW_BUCKET - strangers) / 2, "%u sessions in one bucket", made);
	cr_expect(flow_count(e) == 2 * made + strangers,
		  "no half session is left behind: %u flows of %u sessions", flow_count(e), made);
	env_close(e);
}

Test(lan, table_full)
{
	table_full(0);
}

/* The last flow is free, the session's other one finds no room. */
Test(lan, table_full_by_half)
{
	table_full(1);
}

/* Ports over the whole range, with parity and without. */
static void narrow(struct svr_path *p)
{
	p->local_lo = 20001;
	p->local_hi = 20008;
	p->remote_lo = 30000;
	p->remote_hi = 30005;
}

static void narrow_any(struct svr_path *p)
{
	narrow(p);
	p->parity = 0;
}

static unsigned int ports_seen(struct env *e, bool parity, uint32_t *locals, uint32_t *remotes)
{
	struct svr_flow4_key key;
	struct svr_flow lan, wan;
	static struct result r;
	unsigned int i, made = 0;

	*locals = *remotes = 0;
	for (i = 0; i < 60; i++) {
		struct spec s = { WEB, .sport = (uint16_t)(40000 + i) };

		run(e, PROG_LAN, &s, &r, "session");
		if (r.verdict != XDP_REDIRECT) {
			cr_expect(r.reason == SVR_DROP_NO_PORT, "reason %d", r.reason);
			continue;
		}
		made++;
		key = flow_key(LAN, IPPROTO_TCP, "172.16.1.10", s.sport, "172.16.2.20", 80);
		cr_assert(flows_of(e, &key, &lan, &wan));
		cr_assert(ntohs(lan.sport) >= 20001 && ntohs(lan.sport) <= 20008 &&
			  ntohs(lan.dport) >= 30000 && ntohs(lan.dport) <= 30005);
		cr_expect(!parity || (ntohs(lan.sport) % 2 == 0 && ntohs(lan.dport) % 2 == 1));
		*locals |= 1u << (ntohs(lan.sport) - 20001);
		*remotes |= 1u << (ntohs(lan.dport) - 30000);
	}
	return made;
}

Test(lan, ports)
{
	struct env *e = env_open(NULL);
	uint32_t locals, remotes;
	unsigned int made;

	path_change(e, PATH_EAST, narrow);
	made = ports_seen(e, true, &locals, &remotes);
	cr_expect(made >= 9 && made <= 12, "%u of 12 pairs", made);
	cr_expect(locals == 0xaa && remotes == 0x2a, "even local %x, odd remote %x", locals,
		  remotes);

	env_reset(e);
	path_change(e, PATH_EAST, narrow_any);
	made = ports_seen(e, false, &locals, &remotes);
	cr_expect(made >= 30 && made <= 48, "%u of 48 pairs", made);
	cr_expect(locals == 0xff && remotes == 0x3f, "any local %x, any remote %x", locals,
		  remotes);
	env_close(e);
}

/* UUIDs do not repeat. */
Test(lan, uuids)
{
	struct env *e = env_open(NULL);
	static uint8_t seen[64][SVR_UUID_LEN];
	static struct result r;
	struct svr_flow lan;
	unsigned int i, j;

	for (i = 0; i < 64; i++) {
		uint16_t sport = (uint16_t)(40000 + i);

		run(e, PROG_LAN, &(struct spec){ WEB, .sport = sport }, &r, "session");
		cr_assert(flow_get(e, LAN, IPPROTO_TCP, "172.16.1.10", sport, "172.16.2.20", 80,
				   &lan));
		memcpy(seen[i], lan.uuid, SVR_UUID_LEN);
		for (j = 0; j < i; j++)
			cr_expect(memcmp(seen[i], seen[j], SVR_UUID_LEN), "UUID %u is that of %u",
				  i, j);
	}
	env_close(e);
}
