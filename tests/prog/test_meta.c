// SPDX-License-Identifier: BSD-2-Clause
/*
 * Metadata that arrives from peers: sessions that it opens, what it may not open, the handshake,
 * and everything malformed.
 */
#include <stdio.h>
#include <string.h>

#include <arpa/inet.h>

#include "tests/prog/prog.h"

#define UDP   .proto = IPPROTO_UDP
#define FIRST FROM_PEER, .tcp_flags = TH_SYN

static struct meta block; /* of the row that runs */

/* ---- one block, one verdict ------------------------------------------------------------------ */

struct meta_row {
	const char *name;
	void (*build)(struct meta *m);
	struct spec in; /* .meta is the block built */
	void (*setup)(struct env *e);
	uint32_t verdict;
	int reason;
	void (*check)(struct env *e, const struct frame *in, const struct result *r,
		      const char *name);
};

static void run_meta_rows(const struct meta_row *rows, size_t n)
{
	struct env *e = env_open(NULL);
	static struct result r;
	static struct frame f;
	unsigned int flows;
	size_t i;

	for (i = 0; i < n; i++) {
		const struct meta_row *row = &rows[i];
		struct spec s = row->in;

		env_reset(e);
		if (row->setup)
			row->setup(e);
		row->build(&block);
		s.meta = &block;
		frame_build(&f, &s);
		flows = flow_count(e);
		run_frame(e, PROG_WAN, &f, &r, row->name);
		cr_expect(r.verdict == row->verdict && r.reason == row->reason,
			  "%s: wanted %u/%d, got %u/%d", row->name, row->verdict, row->reason,
			  r.verdict, r.reason);
		if (r.verdict != XDP_REDIRECT || r.described)
			cr_expect(flow_count(e) == flows, "%s: no flow is made or removed",
				  row->name);
		if (row->check && r.verdict == row->verdict)
			row->check(e, &f, &r, row->name);
	}
	env_close(e);
}
#define RUN_META_ROWS(rows) run_meta_rows(rows, sizeof(rows) / sizeof((rows)[0]))

/* ---- blocks ---------------------------------------------------------------------------------- */

static void fwd(struct meta *m)
{
	meta_forward(m, uuid_b, IPPROTO_TCP, 0);
}

static void fwd_udp(struct meta *m)
{
	meta_forward(m, uuid_b, IPPROTO_UDP, 0);
}

static void fwd_same_uuid(struct meta *m)
{
	meta_forward(m, uuid_a, IPPROTO_TCP, 0);
}

#define WITHOUT(tlv)                                       \
	static void without_##tlv(struct meta *m)          \
	{                                                  \
		meta_forward(m, uuid_b, IPPROTO_TCP, tlv); \
	}
/* clang-format off */
WITHOUT(2)
WITHOUT(6)
WITHOUT(7)
WITHOUT(10)
WITHOUT(14)
WITHOUT(15)
WITHOUT(19)
/* clang-format on */

/* The usual names, and a context */
static void names(struct meta *m, const char *tenant, const char *service, const char *policy,
		  const char *sender)
{
	meta_tlv(m, 6, uuid_b, SVR_UUID_LEN);
	meta_name(m, 7, tenant);
	meta_name(m, 10, service);
	meta_name(m, 15, policy);
	meta_name(m, 14, sender);
	meta_end(m);
}

#define BLOCK(id, src, sport, dst, dport, proto, tenant, service, policy, sender) \
	static void id(struct meta *m)                                            \
	{                                                                         \
		meta_begin(m);                                                    \
		meta_context(m, 2, src, sport, dst, dport, proto);                \
		names(m, tenant, service, policy, sender);                        \
	}
#define BLOCK_C(id, tenant, service, policy, sender)                                             \
	BLOCK(id, "172.16.2.20", 40000, "172.16.1.10", 80, IPPROTO_TCP, tenant, service, policy, \
	      sender)
/* clang-format off */
BLOCK_C(unknown_sender, "corp", "local", "clear", "cn-nobody")
BLOCK_C(other_peer, "corp", "local", "clear", "cn-north")
BLOCK_C(sender_by_router_name, "corp", "local", "clear", "east")
BLOCK_C(unknown_service, "corp", "nothing", "clear", "cn-east")
BLOCK_C(unknown_tenant, "nobody", "local", "clear", "cn-east")
BLOCK_C(unknown_policy, "corp", "local", "none", "cn-east")
BLOCK_C(protected_policy, "corp", "local", "secret", "cn-east")
BLOCK_C(guest, "guest", "local", "clear", "cn-east")
BLOCK(claims_clear_for_secret, "172.16.2.20", 40000, "172.16.1.10", 22, IPPROTO_TCP,
      "corp", "local-secret", "clear", "cn-east")
BLOCK(honest_about_secret, "172.16.2.20", 40000, "172.16.1.10", 22, IPPROTO_TCP,
      "corp", "local-secret", "secret", "cn-east")
BLOCK(context_outside, "172.16.2.20", 40000, "172.16.200.1", 80, IPPROTO_TCP,
      "corp", "local", "clear", "cn-east")
BLOCK(context_of_other_service, "172.16.2.20", 40000, "172.16.3.3", 80, IPPROTO_TCP,
      "corp", "local", "clear", "cn-east")
BLOCK(context_port_zero, "172.16.2.20", 40000, "172.16.1.10", 0, IPPROTO_TCP,
      "corp", "local", "clear", "cn-east")
BLOCK(context_other_proto, "172.16.2.20", 40000, "172.16.1.10", 80, IPPROTO_UDP,
      "corp", "local", "clear", "cn-east")
BLOCK(context_icmp, "172.16.2.20", 0, "172.16.1.10", 0, IPPROTO_ICMP,
      "corp", "local", "clear", "cn-east")
BLOCK(context_from_loopback, "127.0.0.1", 40000, "172.16.1.10", 80, IPPROTO_TCP,
      "corp", "local", "clear", "cn-east")
BLOCK(context_from_multicast, "224.0.0.1", 40000, "172.16.1.10", 80, IPPROTO_TCP,
      "corp", "local", "clear", "cn-east")
BLOCK(context_from_nowhere, "0.0.0.0", 40000, "172.16.1.10", 80, IPPROTO_TCP,
      "corp", "local", "clear", "cn-east")
BLOCK(context_from_router, "172.16.1.1", 40000, "172.16.1.10", 80, IPPROTO_TCP,
      "corp", "local", "clear", "cn-east")
BLOCK(context_from_broadcast, "172.16.1.255", 40000, "172.16.1.10", 80, IPPROTO_TCP,
      "corp", "local", "clear", "cn-east")
BLOCK(context_to_router, "172.16.2.20", 40000, "172.16.1.1", 22, IPPROTO_TCP,
      "corp", "local", "clear", "cn-east")
BLOCK(context_to_broadcast, "172.16.2.20", 40000, "172.16.1.255", 80, IPPROTO_TCP,
      "corp", "local", "clear", "cn-east")
BLOCK(service_of_a_peer, "172.16.1.10", 40000, "172.16.2.20", 80, IPPROTO_TCP,
      "corp", "web", "clear", "cn-east")
BLOCK(behind_gateway, "172.16.2.20", 40000, "172.16.9.9", 80, IPPROTO_TCP,
      "corp", "gateway", "clear", "cn-east")
BLOCK_C(names_are_case_sensitive, "corp", "Local", "clear", "cn-east")
BLOCK_C(name_is_a_prefix, "corp", "loca", "clear", "cn-east")
/* clang-format on */

static void with_tlv(struct meta *m, uint16_t type, const void *value, size_t len)
{
	fwd(m);
	meta_tlv(m, type, value, len);
	meta_end(m);
}

#define EXTRA(id, type, value, len)            \
	static void id(struct meta *m)         \
	{                                      \
		with_tlv(m, type, value, len); \
	}
static const uint8_t zeros[64];
/* clang-format off */
EXTRA(plus_encrypted, 11, NULL, 0)
EXTRA(plus_session_key, 46, zeros, 32)
EXTRA(plus_key_epoch, 0xf003, zeros, 2)
EXTRA(plus_nonce, 0xf002, zeros, 16)
EXTRA(plus_unknown, 0xfffe, zeros, 20)
EXTRA(plus_unknown_empty, 0, NULL, 0)
EXTRA(plus_ssr, 13, zeros, 8)
EXTRA(twice_uuid, 6, uuid_a, 16)
EXTRA(twice_name, 7, "corp", 4)
EXTRA(twice_empty, 11, NULL, 0)
EXTRA(both_contexts, 4, zeros, 13)
EXTRA(security_id_in_payload, 16, zeros, 4)
EXTRA(params_in_payload, 0xf001, zeros, 8)
/* clang-format on */

static void reordered(struct meta *m)
{
	meta_begin(m);
	meta_name(m, 19, "192.0.2.2");
	meta_name(m, 14, "cn-east");
	meta_name(m, 15, "clear");
	meta_name(m, 10, "local");
	meta_name(m, 7, "corp");
	meta_tlv(m, 6, uuid_b, SVR_UUID_LEN);
	meta_context(m, 2, "172.16.2.20", 40000, "172.16.1.10", 80, IPPROTO_TCP);
	meta_end(m);
}

static void header_tlv(struct meta *m, uint16_t type, const void *value, size_t len)
{
	meta_begin(m);
	meta_tlv(m, type, value, len);
	meta_payload(m);
	meta_context(m, 2, "172.16.2.20", 40000, "172.16.1.10", 80, IPPROTO_TCP);
	names(m, "corp", "local", "clear", "cn-east");
}

static void params_in_header(struct meta *m)
{
	header_tlv(m, 0xf001, zeros, 8);
}

static void unknown_in_header(struct meta *m)
{
	header_tlv(m, 24, zeros, 1);
}

static void uuid_in_header(struct meta *m)
{
	header_tlv(m, 6, uuid_b, 16);
}

static void health_check(struct meta *m)
{
	header_tlv(m, 46, zeros, 1);
}

/* What a worker of the peer sends: payload TLVs are ciphertext */
static void protected_block(struct meta *m)
{
	meta_begin(m);
	meta_tlv(m, 16, "\0\0\0\1", 4);
	meta_tlv(m, 0xf001, "\0\0\0\1\0\3\2\0", 8);
	meta_payload(m);
	memset(m->data + m->len, 0xc5, 64);
	m->len += 64;
	meta_end(m);
}

static void reverse_of(struct meta *m, const uint8_t *uuid)
{
	meta_begin(m);
	meta_context(m, 4, "172.16.2.20", 80, "172.16.1.10", 40000, IPPROTO_TCP);
	meta_tlv(m, 6, uuid, SVR_UUID_LEN);
	meta_name(m, 14, "cn-east");
	meta_name(m, 19, "192.0.2.2");
	meta_end(m);
}

static void rev(struct meta *m)
{
	reverse_of(m, uuid_a);
}

static void rev_odd(struct meta *m)
{
	rev(m);
	meta_tlv(m, 0xfffe, "x", 1);
	meta_end(m);
}

static void rev_other_uuid(struct meta *m)
{
	reverse_of(m, uuid_b);
}

static void bare(struct meta *m)
{
	meta_begin(m);
	meta_end(m);
}

/* ---- checks ---------------------------------------------------------------------------------- */

/* A session that @context_src opened: the frame that goes to the host, and both flows. */
static void check_opened(struct env *e, const struct frame *in, const struct result *r,
			 const char *name)
{
	uint8_t proto = in->data[IP_OFF + 9];
	size_t off = frame_payload_off(in->data), in_len = IP_OFF + get16(in->data + IP_OFF + 2);
	struct svr_flow lan, wan;

	cr_expect(r->stat[SVR_STAT_META_REMOVED] == 1 && r->stat[SVR_STAT_SESSIONS_REV] == 1,
		  "%s: counted", name);
	cr_assert(r->len == in_len - block.len, "%s: %zu bytes became %zu", name, in_len, r->len);
	expect_bytes(r->out + off, r->len - off, in->data + off + block.len,
		     in_len - off - block.len, name, "payload");
	cr_expect(frame_csums_ok(r->out, r->len), "%s: checksums", name);
	cr_expect(get32(r->out + IP_OFF + 12) == ntohl(addr4("172.16.2.20")) &&
			  get32(r->out + IP_OFF + 16) == ntohl(addr4("172.16.1.10")) &&
			  get16(r->out + L4_OFF) == 40000 && get16(r->out + L4_OFF + 2) == 80,
		  "%s: the originator's tuple", name);
	cr_expect(!memcmp(r->out, "\x02\0\0\0\x01\x0a\x02\0\0\0\x01\x01", 12), "%s: MAC addresses",
		  name);

	cr_assert(session_wan(e, proto, &wan), "%s: WAN flow", name);
	cr_assert(flow_get(e, LAN, proto, "172.16.1.10", 80, "172.16.2.20", 40000, &lan),
		  "%s: LAN flow", name);
	cr_expect(wan.flags == (SVR_FLOW_VALID | SVR_FLOW_FROM_WAN | SVR_FLOW_META_WATCH),
		  "%s: WAN flags %x", name, wan.flags);
	cr_expect(lan.flags == (SVR_FLOW_VALID | SVR_FLOW_REV | SVR_FLOW_META_ADD),
		  "%s: LAN flags %x", name, lan.flags);
	cr_expect(!memcmp(lan.uuid, uuid_b, SVR_UUID_LEN) &&
			  !memcmp(wan.uuid, uuid_b, SVR_UUID_LEN),
		  "%s: UUID", name);
	cr_expect(lan.saddr[3] == addr4("192.0.2.1") && lan.daddr[3] == addr4("192.0.2.2") &&
			  lan.sport == htons(LOCAL_PORT) && lan.dport == htons(PEER_PORT) &&
			  lan.out_zone == WAN && lan.nexthop == PATH_EAST,
		  "%s: the way back", name);
	cr_expect(wan.nexthop == NH_HOST && wan.path == PATH_EAST && wan.service == SVC_LOCAL &&
			  wan.tenant == TENANT_CORP && wan.policy == POLICY_CLEAR &&
			  wan.packets == 1 && wan.bytes == in_len - IP_OFF,
		  "%s: what the flow knows", name);
}

static void check_opened_unknown(struct env *e, const struct frame *in, const struct result *r,
				 const char *name)
{
	check_opened(e, in, r, name);
	cr_expect(r->stat[SVR_STAT_UNKNOWN_TLV] == 1, "%s: %lu unknown TLVs", name,
		  r->stat[SVR_STAT_UNKNOWN_TLV]);
}

static void check_wrong(struct env *e, const struct frame *in, const struct result *r,
			const char *name)
{
	(void)e;
	(void)in;
	cr_expect(!frame_csums_ok(r->out, r->len), "%s: a wrong checksum stays wrong", name);
}

static void check_csum_absent(struct env *e, const struct frame *in, const struct result *r,
			      const char *name)
{
	check_opened(e, in, r, name);
	cr_expect(get16(r->out + L4_OFF + 6) == 0, "%s: no checksum", name);
}

static void check_worker(struct env *e, const struct frame *in, const struct result *r,
			 const char *name)
{
	(void)e;
	cr_assert(r->described, "%s: no description", name);
	cr_expect(r->desc.why == SVR_FRAME_METADATA && r->desc.zone == WAN &&
			  r->desc.path == PATH_EAST && r->desc.l3_off == IP_OFF,
		  "%s: description", name);
	expect_bytes(r->out, r->len, in->data, in->len, name, "frame");
}

static void check_neighbour(struct env *e, const struct frame *in, const struct result *r,
			    const char *name)
{
	(void)e;
	cr_assert(r->described, "%s: no description", name);
	cr_expect(r->desc.why == SVR_FRAME_NEIGHBOUR && r->desc.zone == WAN &&
			  r->desc.out_zone == LAN && r->desc.addr[3] == addr4("172.16.1.10") &&
			  r->desc.path == PATH_EAST,
		  "%s: description", name);
	expect_bytes(r->out, r->len, in->data, in->len, name, "frame");
}

static void check_gateway(struct env *e, const struct frame *in, const struct result *r,
			  const char *name)
{
	struct svr_flow wan;

	(void)in;
	cr_assert(session_wan(e, IPPROTO_TCP, &wan));
	cr_expect(wan.nexthop == NH_GATEWAY && wan.daddr[3] == addr4("172.16.9.9") &&
			  frame_csums_ok(r->out, r->len),
		  "%s: next hop", name);
}

/* ---- setups ---------------------------------------------------------------------------------- */

static void path_down(struct env *e)
{
	path_status(e, PATH_EAST, SVR_PATH_DOWN, 0);
}

static void path_init(struct env *e)
{
	path_status(e, PATH_EAST, SVR_PATH_INIT, 0);
}

static void host_unknown(struct env *e)
{
	struct svr_addr_key key = { .zone = LAN };

	addr_map(key.addr, "172.16.1.10");
	map_del(e, "svr_neighbours", &key);
}

static void host_unknown_no_worker(struct env *e)
{
	host_unknown(e);
	worker_gone(e);
}

static void originator(struct env *e)
{
	session_put(e, IPPROTO_TCP, SVR_FLOW_ORIGINATOR | SVR_FLOW_META_ADD, SVR_FLOW_REV);
}

static void terminator(struct env *e)
{
	session_put(e, IPPROTO_TCP, SVR_FLOW_REV | SVR_FLOW_META_ADD, SVR_FLOW_META_WATCH);
}

static void originator_no_worker(struct env *e)
{
	originator(e);
	worker_gone(e);
}

static void originator_path_down(struct env *e)
{
	originator(e);
	path_down(e);
}

/* The host's tuple belongs to a session of the worker */
static void worker_has_the_tuple(struct env *e)
{
	struct svr_flow4_key key =
		flow_key(LAN, IPPROTO_TCP, "172.16.1.10", 80, "172.16.2.20", 40000);
	struct svr_flow flow = { .flags = SVR_FLOW_VALID | SVR_FLOW_WORKER };

	flow4_put(e, &key, &flow);
}

static void name_of_removed_service(struct env *e)
{
	map_put(e, "svr_services", &(uint32_t){ SVC_LOCAL },
		&(struct svr_service){ .policy = POLICY_CLEAR });
}

/* ---- new sessions ---------------------------------------------------------------------------- */

/* One row, one sentence */
/* clang-format off */
static const struct meta_row open_rows[] = {
	{ "SYN with forward metadata opens a session",
	  fwd, { FIRST }, NULL, XDP_REDIRECT, 0, check_opened },
	{ "payload behind the metadata goes on",
	  fwd, { FIRST, .fill = 100 }, NULL, XDP_REDIRECT, 0, check_opened },
	{ "odd payload behind the metadata",
	  fwd, { FIRST, .fill = 33 }, NULL, XDP_REDIRECT, 0, check_opened },
	{ "padding behind the metadata is cut",
	  fwd, { FIRST, .pad = 4 }, NULL, XDP_REDIRECT, 0, check_opened },
	{ "datagram with forward metadata opens a session",
	  fwd_udp, { FROM_PEER, UDP, .fill = 20 }, NULL, XDP_REDIRECT, 0, check_opened },
	{ "datagram without a checksum",
	  fwd_udp, { FROM_PEER, UDP, .fill = 20, .csum = CSUM_NONE }, NULL, XDP_REDIRECT, 0,
	  check_csum_absent },
	{ "wrong checksum is not repaired",
	  fwd, { FIRST, .fill = 5, .csum = CSUM_WRONG }, NULL, XDP_REDIRECT, 0, check_wrong },
	{ "any order of TLVs", reordered, { FIRST }, NULL, XDP_REDIRECT, 0, check_opened },
	{ "no path name (TLV 19)", without_19, { FIRST }, NULL, XDP_REDIRECT, 0, check_opened },
	{ "a nonce does no harm", plus_nonce, { FIRST }, NULL, XDP_REDIRECT, 0, check_opened },
	{ "an unknown TLV is skipped and counted",
	  plus_unknown, { FIRST }, NULL, XDP_REDIRECT, 0, check_opened_unknown },
	{ "type 0, length 0 is skipped and counted",
	  plus_unknown_empty, { FIRST }, NULL, XDP_REDIRECT, 0, check_opened_unknown },
	{ "SSR's service load is skipped and counted",
	  plus_ssr, { FIRST }, NULL, XDP_REDIRECT, 0, check_opened_unknown },
	{ "an unknown TLV in the header is skipped and counted",
	  unknown_in_header, { FIRST }, NULL, XDP_REDIRECT, 0, check_opened_unknown },
	{ "service behind a gateway",
	  behind_gateway, { FIRST }, NULL, XDP_REDIRECT, 0, check_gateway },
	{ "protected metadata is the worker's",
	  protected_block, { FIRST, .fill = 16 }, NULL, XDP_REDIRECT, 0, check_worker },
	{ "protected metadata without a worker",
	  protected_block, { FIRST }, host_unknown_no_worker, XDP_DROP, SVR_DROP_NO_WORKER, NULL },
	{ "unknown host is the worker's",
	  fwd, { FIRST }, host_unknown, XDP_REDIRECT, 0, check_neighbour },
	{ "unknown host without a worker",
	  fwd, { FIRST }, host_unknown_no_worker, XDP_DROP, SVR_DROP_NO_WORKER, NULL },

	{ "path is down", fwd, { FIRST }, path_down, XDP_DROP, SVR_DROP_PATH_DOWN, NULL },
	{ "path has no keys", fwd, { FIRST }, path_init, XDP_DROP, SVR_DROP_PATH_DOWN, NULL },
	{ "address of no peer",
	  fwd, { .src = "192.0.2.77", .dst = "192.0.2.1", .sport = 20001, .dport = 20000,
	  .tcp_flags = TH_SYN }, NULL, XDP_DROP, SVR_DROP_UNKNOWN_PEER, NULL },
	{ "no context", without_2, { FIRST }, NULL, XDP_DROP, SVR_DROP_META_INCOMPLETE, NULL },
	{ "no UUID", without_6, { FIRST }, NULL, XDP_DROP, SVR_DROP_META_INCOMPLETE, NULL },
	{ "no tenant", without_7, { FIRST }, NULL, XDP_DROP, SVR_DROP_META_INCOMPLETE, NULL },
	{ "no service", without_10, { FIRST }, NULL, XDP_DROP, SVR_DROP_META_INCOMPLETE, NULL },
	{ "no source router",
	  without_14, { FIRST }, NULL, XDP_DROP, SVR_DROP_META_INCOMPLETE, NULL },
	{ "no policy", without_15, { FIRST }, NULL, XDP_DROP, SVR_DROP_META_INCOMPLETE, NULL },
	{ "reverse metadata of no session",
	  rev, { FIRST }, NULL, XDP_DROP, SVR_DROP_META_UNEXPECTED, NULL },
	{ "user data of no session",
	  bare, { FIRST, .fill = 20 }, NULL, XDP_DROP, SVR_DROP_NO_FLOW, NULL },
	{ "source router that nobody knows",
	  unknown_sender, { FIRST }, NULL, XDP_DROP, SVR_DROP_META_SENDER, NULL },
	{ "source router is another peer",
	  other_peer, { FIRST }, NULL, XDP_DROP, SVR_DROP_META_SENDER, NULL },
	{ "router name instead of the common name",
	  sender_by_router_name, { FIRST }, NULL, XDP_DROP, SVR_DROP_META_SENDER, NULL },
	{ "service that nobody knows",
	  unknown_service, { FIRST }, NULL, XDP_DROP, SVR_DROP_META_SERVICE, NULL },
	{ "service in other letters",
	  names_are_case_sensitive, { FIRST }, NULL, XDP_DROP, SVR_DROP_META_SERVICE, NULL },
	{ "beginning of a service's name",
	  name_is_a_prefix, { FIRST }, NULL, XDP_DROP, SVR_DROP_META_SERVICE, NULL },
	{ "tenant that nobody knows",
	  unknown_tenant, { FIRST }, NULL, XDP_DROP, SVR_DROP_META_TENANT, NULL },
	{ "policy that nobody knows",
	  unknown_policy, { FIRST }, NULL, XDP_DROP, SVR_DROP_META_POLICY, NULL },
	{ "policy that is not the service's",
	  protected_policy, { FIRST }, NULL, XDP_DROP, SVR_DROP_META_POLICY, NULL },
	{ "clear metadata for a protected service, with a clear policy",
	  claims_clear_for_secret, { FIRST }, NULL, XDP_DROP, SVR_DROP_META_POLICY, NULL },
	{ "clear metadata for a protected service, with its policy",
	  honest_about_secret, { FIRST }, NULL, XDP_DROP, SVR_DROP_META_POLICY, NULL },
	{ "clear metadata that says encrypted",
	  plus_encrypted, { FIRST }, NULL, XDP_DROP, SVR_DROP_META_POLICY, NULL },
	{ "clear metadata with a session key",
	  plus_session_key, { FIRST }, NULL, XDP_DROP, SVR_DROP_META_POLICY, NULL },
	{ "clear metadata with a key epoch",
	  plus_key_epoch, { FIRST }, NULL, XDP_DROP, SVR_DROP_META_POLICY, NULL },
	{ "clear metadata with security parameters",
	  params_in_header, { FIRST }, NULL, XDP_DROP, SVR_DROP_META_POLICY, NULL },
	{ "destination outside of every service",
	  context_outside, { FIRST }, NULL, XDP_DROP, SVR_DROP_META_CONTEXT, NULL },
	{ "destination of another service",
	  context_of_other_service, { FIRST }, NULL, XDP_DROP, SVR_DROP_META_CONTEXT, NULL },
	{ "port outside of the service",
	  context_port_zero, { FIRST }, NULL, XDP_DROP, SVR_DROP_META_CONTEXT, NULL },
	{ "protocol is not the packet's",
	  context_other_proto, { FIRST }, NULL, XDP_DROP, SVR_DROP_META_CONTEXT, NULL },
	{ "protocol is ICMP",
	  context_icmp, { FIRST }, NULL, XDP_DROP, SVR_DROP_META_CONTEXT, NULL },
	{ "source is loopback",
	  context_from_loopback, { FIRST }, NULL, XDP_DROP, SVR_DROP_META_CONTEXT, NULL },
	{ "source is multicast",
	  context_from_multicast, { FIRST }, NULL, XDP_DROP, SVR_DROP_META_CONTEXT, NULL },
	{ "source is 0.0.0.0",
	  context_from_nowhere, { FIRST }, NULL, XDP_DROP, SVR_DROP_META_CONTEXT, NULL },
	{ "source is the router itself",
	  context_from_router, { FIRST }, NULL, XDP_DROP, SVR_DROP_META_CONTEXT, NULL },
	{ "source is the LAN's broadcast",
	  context_from_broadcast, { FIRST }, NULL, XDP_DROP, SVR_DROP_META_CONTEXT, NULL },
	{ "destination is the router itself",
	  context_to_router, { FIRST }, NULL, XDP_DROP, SVR_DROP_META_CONTEXT, NULL },
	{ "destination is the LAN's broadcast",
	  context_to_broadcast, { FIRST }, NULL, XDP_DROP, SVR_DROP_META_CONTEXT, NULL },
	{ "tenant without access", guest, { FIRST }, NULL, XDP_DROP, SVR_DROP_NO_ACCESS, NULL },
	{ "ACK with forward metadata", fwd, { FROM_PEER }, NULL, XDP_DROP, SVR_DROP_NOT_SYN, NULL },
	{ "SYN and ACK with forward metadata",
	  fwd, { FROM_PEER, .tcp_flags = TH_SYN | TH_ACK }, NULL, XDP_DROP, SVR_DROP_NOT_SYN,
	  NULL },
	{ "service on a peer: no transit",
	  service_of_a_peer, { FIRST }, NULL, XDP_DROP, SVR_DROP_NO_ROUTE, NULL },
	{ "tuple of a worker's session",
	  fwd, { FIRST }, worker_has_the_tuple, XDP_DROP, SVR_DROP_META_UUID, NULL },
	{ "service that was removed",
	  fwd, { FIRST }, name_of_removed_service, XDP_DROP, SVR_DROP_META_CONTEXT, NULL },
};
/* clang-format on */

Test(meta, open)
{
	RUN_META_ROWS(open_rows);
}

/* ---- malformed ------------------------------------------------------------------------------- */

/* The base header is at M, the first TLV behind it */
enum { M = L4_OFF + TCP_LEN, VER = M + 8, LEN = M + 10, TLV1 = M + 12 };

static void truncated_8(struct meta *m)
{
	meta_begin(m);
	m->len = 8;
}

static void truncated_11(struct meta *m)
{
	meta_begin(m);
	meta_end(m);
	m->len = 11;
}

static void version_0(struct meta *m)
{
	fwd(m);
	m->data[8] = 0x00;
}

static void version_2(struct meta *m)
{
	fwd(m);
	m->data[8] = 0x20;
}

static void version_15(struct meta *m)
{
	fwd(m);
	m->data[8] = 0xf0;
}

/* Header length, payload length, and how many bytes are there */
static void lengths(struct meta *m, unsigned int hlen, unsigned int plen, size_t len)
{
	meta_begin(m);
	put16(m->data + 8, (uint16_t)(0x1000 | hlen));
	put16(m->data + 10, (uint16_t)plen);
	m->len = len;
}

#define LENGTHS(id, hlen, plen, len)         \
	static void id(struct meta *m)       \
	{                                    \
		lengths(m, hlen, plen, len); \
	}
/* clang-format off */
LENGTHS(hlen_0, 0, 0, 12)
LENGTHS(hlen_11, 11, 1, 12)
LENGTHS(hlen_4095, 4095, 0, 12)
LENGTHS(hlen_past_end, 16, 0, 15)
LENGTHS(plen_past_end, 12, 1, 12)
LENGTHS(plen_65535, 12, 65535, 40)
LENGTHS(sum_wraps, 4095, 65535, 1000)
LENGTHS(sum_wraps_to_zero, 12, 65524, 1000)
LENGTHS(header_tlv_cut, 15, 0, 15)
LENGTHS(payload_tlv_cut, 12, 3, 15)
LENGTHS(one_byte_of_header, 13, 0, 13)
/* clang-format on */

/* 1024 bytes are the most */
static void filled(struct meta *m, size_t len)
{
	static const uint8_t many[1024];

	fwd(m);
	while (len - m->len > 0) {
		size_t room = len - m->len;

		cr_assert(room >= 4);
		meta_tlv(m, 0xfffe, many, room - 4 > 200 ? 200 : room - 4);
	}
	meta_end(m);
}

static void of_1024(struct meta *m)
{
	filled(m, 1024);
}

static void of_1025(struct meta *m)
{
	filled(m, 1025);
}

static void of_empty_tlvs(struct meta *m)
{
	fwd(m);
	while (m->len + 4 <= 1024)
		meta_tlv(m, 0xfffe, NULL, 0);
	meta_end(m);
}

/* One TLV whose length is changed to a lie */
static void lie(struct meta *m, uint16_t type, size_t len, uint16_t said)
{
	size_t at;

	meta_begin(m);
	at = m->len;
	meta_tlv(m, type, zeros, len);
	put16(m->data + at + 2, said);
	meta_end(m);
}

#define LIE(id, type, len, said)         \
	static void id(struct meta *m)   \
	{                                \
		lie(m, type, len, said); \
	}
/* clang-format off */
LIE(tlv_65535, 0xfffe, 8, 65535)
LIE(tlv_one_more, 0xfffe, 8, 9)
LIE(tlv_one_less, 0xfffe, 8, 7)
LIE(context_12, 2, 12, 12)
LIE(context_14, 2, 14, 14)
LIE(context_0, 2, 0, 0)
LIE(rev_context_37, 4, 37, 37)
LIE(uuid_15, 6, 15, 15)
LIE(uuid_17, 6, 17, 17)
LIE(name_empty, 10, 0, 0)
LIE(name_64, 10, 64, 64)
LIE(tenant_zeros, 7, 4, 4)
LIE(path_1, 19, 1, 1)
LIE(path_40, 19, 40, 40)
LIE(flag_1, 11, 1, 1)
LIE(key_31, 46, 31, 31)
LIE(key_33, 46, 33, 33)
LIE(nonce_15, 0xf002, 15, 15)
LIE(epoch_3, 0xf003, 3, 3)
/* clang-format on */

static void header_lie(struct meta *m, uint16_t type, size_t len)
{
	meta_begin(m);
	meta_tlv(m, type, zeros, len);
	meta_payload(m);
	meta_end(m);
}

static void security_id_3(struct meta *m)
{
	header_lie(m, 16, 3);
}

static void params_7(struct meta *m)
{
	header_lie(m, 0xf001, 7);
}

static void header_runs_into_payload(struct meta *m)
{
	fwd(m);
	put16(m->data + 8, 0x1000 | 14);
	put16(m->data + 10, (uint16_t)(m->len - 14));
}

static void security_id_twice(struct meta *m)
{
	meta_begin(m);
	meta_tlv(m, 16, zeros, 4);
	meta_tlv(m, 16, zeros, 4);
	meta_payload(m);
	meta_end(m);
}

static void bad_behind_security_id(struct meta *m)
{
	meta_begin(m);
	meta_tlv(m, 16, zeros, 4);
	meta_tlv(m, 2, zeros, 13);
	meta_payload(m);
	meta_end(m);
}

static void name_with_nul(struct meta *m)
{
	meta_begin(m);
	meta_context(m, 2, "172.16.2.20", 40000, "172.16.1.10", 80, IPPROTO_TCP);
	meta_tlv(m, 6, uuid_b, SVR_UUID_LEN);
	meta_name(m, 7, "corp");
	meta_tlv(m, 10, "local\0", 6);
	meta_name(m, 15, "clear");
	meta_name(m, 14, "cn-east");
	meta_end(m);
}

static void name_with_nul_inside(struct meta *m)
{
	meta_begin(m);
	meta_context(m, 2, "172.16.2.20", 40000, "172.16.1.10", 80, IPPROTO_TCP);
	meta_tlv(m, 6, uuid_b, SVR_UUID_LEN);
	meta_name(m, 7, "corp");
	meta_tlv(m, 10, "local\0x", 7);
	meta_name(m, 15, "clear");
	meta_name(m, 14, "cn-east");
	meta_end(m);
}

#define MALFORMED XDP_DROP, SVR_DROP_META_MALFORMED, NULL

/* One row, one sentence */
/* clang-format off */
static const struct meta_row bad_rows[] = {
	{ "cookie alone", truncated_8, { FIRST }, NULL, MALFORMED },
	{ "eleven bytes of a base header", truncated_11, { FIRST }, NULL, MALFORMED },
	{ "eleven bytes of a base header, padded",
	  truncated_11, { FIRST, .pad = 20 }, NULL, MALFORMED },
	{ "version 0", version_0, { FIRST }, NULL, XDP_DROP, SVR_DROP_META_VERSION, NULL },
	{ "version 2", version_2, { FIRST }, NULL, XDP_DROP, SVR_DROP_META_VERSION, NULL },
	{ "version 15", version_15, { FIRST }, NULL, XDP_DROP, SVR_DROP_META_VERSION, NULL },
	{ "header length 0", hlen_0, { FIRST }, NULL, MALFORMED },
	{ "header length 11", hlen_11, { FIRST }, NULL, MALFORMED },
	{ "header length 4095", hlen_4095, { FIRST }, NULL, MALFORMED },
	{ "header one byte longer than the payload", hlen_past_end, { FIRST }, NULL, MALFORMED },
	{ "header one byte longer than the payload, padded",
	  hlen_past_end, { FIRST, .pad = 20 }, NULL, MALFORMED },
	{ "payload section one byte longer than the payload",
	  plen_past_end, { FIRST }, NULL, MALFORMED },
	{ "payload section one byte longer than the payload, padded",
	  plen_past_end, { FIRST, .pad = 20 }, NULL, MALFORMED },
	{ "payload section of 65535 bytes", plen_65535, { FIRST }, NULL, MALFORMED },
	{ "both lengths at their maximum", sum_wraps, { FIRST }, NULL, MALFORMED },
	{ "lengths whose sum is 65536", sum_wraps_to_zero, { FIRST }, NULL, MALFORMED },
	{ "header TLV cut inside its length", header_tlv_cut, { FIRST }, NULL, MALFORMED },
	{ "payload TLV cut inside its length", payload_tlv_cut, { FIRST }, NULL, MALFORMED },
	{ "one byte of header TLVs", one_byte_of_header, { FIRST }, NULL, MALFORMED },
	{ "1024 bytes are taken", of_1024, { FIRST }, NULL, XDP_REDIRECT, 0, check_opened },
	{ "1025 bytes are not", of_1025, { FIRST }, NULL, MALFORMED },
	{ "200 empty TLVs are taken",
	  of_empty_tlvs, { FIRST }, NULL, XDP_REDIRECT, 0, check_opened },
	{ "TLV of 65535 bytes", tlv_65535, { FIRST }, NULL, MALFORMED },
	{ "TLV one byte past the section", tlv_one_more, { FIRST }, NULL, MALFORMED },
	{ "TLV one byte past the section, data behind",
	  tlv_one_more, { FIRST, .fill = 50 }, NULL, MALFORMED },
	{ "one byte left behind the last TLV", tlv_one_less, { FIRST }, NULL, MALFORMED },
	{ "context of 12 bytes", context_12, { FIRST }, NULL, MALFORMED },
	{ "context of 14 bytes", context_14, { FIRST }, NULL, MALFORMED },
	{ "context of 0 bytes", context_0, { FIRST }, NULL, MALFORMED },
	{ "reverse context of 37 bytes", rev_context_37, { FIRST }, NULL, MALFORMED },
	{ "UUID of 15 bytes", uuid_15, { FIRST }, NULL, MALFORMED },
	{ "UUID of 17 bytes", uuid_17, { FIRST }, NULL, MALFORMED },
	{ "empty name", name_empty, { FIRST }, NULL, MALFORMED },
	{ "name of 64 bytes", name_64, { FIRST }, NULL, MALFORMED },
	{ "name of zeros", tenant_zeros, { FIRST }, NULL, MALFORMED },
	{ "name with a NUL at its end", name_with_nul, { FIRST }, NULL, MALFORMED },
	{ "name with a NUL inside",
	  name_with_nul_inside, { FIRST }, NULL, XDP_DROP, SVR_DROP_META_SERVICE, NULL },
	{ "path name of 1 byte", path_1, { FIRST }, NULL, MALFORMED },
	{ "path name of 40 bytes", path_40, { FIRST }, NULL, MALFORMED },
	{ "flag with a value", flag_1, { FIRST }, NULL, MALFORMED },
	{ "session key of 31 bytes", key_31, { FIRST }, NULL, MALFORMED },
	{ "session key of 33 bytes", key_33, { FIRST }, NULL, MALFORMED },
	{ "nonce of 15 bytes", nonce_15, { FIRST }, NULL, MALFORMED },
	{ "epoch of 3 bytes", epoch_3, { FIRST }, NULL, MALFORMED },
	{ "security identifier of 3 bytes", security_id_3, { FIRST }, NULL, MALFORMED },
	{ "security parameters of 7 bytes", params_7, { FIRST }, NULL, MALFORMED },
	{ "header that ends inside a payload TLV",
	  header_runs_into_payload, { FIRST }, NULL, MALFORMED },
	{ "UUID twice", twice_uuid, { FIRST }, NULL, MALFORMED },
	{ "tenant twice", twice_name, { FIRST }, NULL, MALFORMED },
	{ "forward and reverse context", both_contexts, { FIRST }, NULL, MALFORMED },
	{ "security identifier twice", security_id_twice, { FIRST }, NULL, MALFORMED },
	{ "security identifier in the payload section",
	  security_id_in_payload, { FIRST }, NULL, MALFORMED },
	{ "security parameters in the payload section",
	  params_in_payload, { FIRST }, NULL, MALFORMED },
	{ "UUID in the header", uuid_in_header, { FIRST }, NULL, MALFORMED },
	{ "SSR's health check in the header", health_check, { FIRST }, NULL, MALFORMED },
	{ "bad header TLV behind a security identifier",
	  bad_behind_security_id, { FIRST }, NULL, MALFORMED },
	{ "malformed on a live session, as its originator",
	  uuid_15, { FROM_PEER }, originator, MALFORMED },
	{ "malformed on a live session, as its terminating router",
	  tlv_65535, { FROM_PEER }, terminator, MALFORMED },
	{ "version 2 on a live session",
	  version_2, { FROM_PEER }, terminator, XDP_DROP, SVR_DROP_META_VERSION, NULL },
};
/* clang-format on */

Test(meta, malformed)
{
	RUN_META_ROWS(bad_rows);
}

static void encrypted_twice(struct meta *m)
{
	plus_encrypted(m);
	meta_tlv(m, 11, NULL, 0);
	meta_end(m);
}

/* One row, one sentence */
/* clang-format off */
static const struct meta_row more_bad_rows[] = {
	{ "flag twice", encrypted_twice, { FIRST }, NULL, MALFORMED },
	{ "flag once is known",
	  twice_empty, { FIRST }, NULL, XDP_DROP, SVR_DROP_META_POLICY, NULL },
};
/* clang-format on */

Test(meta, flags)
{
	RUN_META_ROWS(more_bad_rows);
}

/*
 * No cut and no changed byte of a good block does anything but what is allowed: a session like the
 * good one's, or a drop.
 */
Test(meta, every_cut)
{
	struct env *e = env_open(NULL);
	static struct result r;
	static struct frame f;
	struct spec s = { FIRST, .meta = &block };
	size_t len, full;

	fwd(&block);
	full = block.len;
	for (len = 8; len < full; len++) {
		block.len = len;
		frame_build(&f, &s);
		run_frame(e, PROG_WAN, &f, &r, "cut");
		cr_expect(r.verdict == XDP_DROP && r.reason == SVR_DROP_META_MALFORMED,
			  "cut to %zu: %u/%d", len, r.verdict, r.reason);
		cr_assert(flow_count(e) == 0);
	}
	env_close(e);
}

Test(meta, every_byte)
{
	static const uint8_t flips[] = { 0x01, 0x80, 0xff };
	struct env *e = env_open(NULL);
	static struct result r;
	static struct frame f;
	struct spec s = { FIRST, .meta = &block, .fill = 40 };
	size_t i, j, opened = 0;

	for (j = 0; j < sizeof(flips); j++) {
		fwd(&block);
		for (i = 8; i < block.len; i++) {
			block.data[i] ^= flips[j];
			frame_build(&f, &s);
			run_frame(e, PROG_WAN, &f, &r, "changed");
			block.data[i] ^= flips[j];
			cr_expect(r.verdict == XDP_DROP || r.verdict == XDP_REDIRECT,
				  "byte %zu: verdict %u", i, r.verdict);
			if (r.verdict == XDP_REDIRECT && !r.described) {
				cr_expect(frame_csums_ok(r.out, r.len), "byte %zu", i);
				opened++;
			}
			env_reset(e);
		}
	}
	/* UUID, context's source, its ports: nobody can check those */
	cr_expect(opened > 20, "%zu changed blocks still opened a session", opened);
	env_close(e);
}

/*
 * Random blocks behind a right header: whatever they say, the verdict is one of three, and no frame
 * grows.
 */
Test(meta, random)
{
	struct env *e = env_open(NULL);
	static struct result r;
	static struct frame f;
	struct spec s = { FIRST, .meta = &block };
	uint32_t seed = 12345;
	unsigned int i, j;

	for (i = 0; i < 400; i++) {
		size_t len = 12 + i % 90;

		lengths(&block, 12, (unsigned int)(len - 12), len);
		for (j = 12; j < len; j++) {
			seed = seed * 1664525 + 1013904223;
			/* small numbers make plausible types and lengths */
			block.data[j] = seed >> 30 ? 0 : (uint8_t)(seed >> 24);
		}
		frame_build(&f, &s);
		run_frame(e, PROG_WAN, &f, &r, "random");
		cr_expect(r.verdict == XDP_DROP && (r.reason == SVR_DROP_META_MALFORMED ||
						    r.reason == SVR_DROP_META_INCOMPLETE ||
						    r.reason == SVR_DROP_META_UNEXPECTED ||
						    r.reason == SVR_DROP_NO_FLOW),
			  "block %u: %u/%d", i, r.verdict, r.reason);
	}
	env_close(e);
}

/* ---- handshake ------------------------------------------------------------------------------- */

static void expect_adding(struct env *e, bool adding, const char *name)
{
	struct svr_flow lan;

	cr_assert(session_lan(e, IPPROTO_TCP, &lan));
	cr_expect(!!(lan.flags & SVR_FLOW_META_ADD) == adding, "%s: metadata is %s", name,
		  adding ? "no longer added" : "still added");
}

static void check_acknowledged(struct env *e, const struct frame *in, const struct result *r,
			       const char *name)
{
	size_t off = frame_payload_off(in->data);

	expect_adding(e, false, name);
	cr_expect(r->stat[SVR_STAT_META_REMOVED] == 1, "%s: counted", name);
	cr_assert(r->len == in->len - block.len, "%s: stripped", name);
	expect_bytes(r->out + off, r->len - off, in->data + off + block.len,
		     in->len - off - block.len, name, "payload");
	cr_expect(frame_csums_ok(r->out, r->len), "%s: checksums", name);
}

static void check_still_adding(struct env *e, const struct frame *in, const struct result *r,
			       const char *name)
{
	(void)in;
	(void)r;
	expect_adding(e, true, name);
}

static void check_duplicate(struct env *e, const struct frame *in, const struct result *r,
			    const char *name)
{
	struct svr_flow wan;

	check_still_adding(e, in, r, name);
	cr_assert(session_wan(e, IPPROTO_TCP, &wan));
	cr_expect(wan.flags & SVR_FLOW_META_WATCH && !memcmp(wan.uuid, uuid_a, SVR_UUID_LEN),
		  "%s: the same session", name);
	cr_expect(r->stat[SVR_STAT_SESSIONS_REV] == 0 && r->stat[SVR_STAT_META_REMOVED] == 1 &&
			  r->len == in->len - block.len,
		  "%s: stripped", name);
	cr_expect(frame_csums_ok(r->out, r->len), "%s: checksums", name);
}

static void check_replaced(struct env *e, const struct frame *in, const struct result *r,
			   const char *name)
{
	struct svr_flow old;

	check_opened(e, in, r, name);
	cr_expect(!session_lan(e, IPPROTO_TCP, &old), "%s: the old LAN flow is gone", name);
	cr_expect(flow_count(e) == 2 && r->stat[SVR_STAT_SESSIONS_CLOSED] == 1, "%s: one session",
		  name);
}

static void check_protected_on_clear(struct env *e, const struct frame *in, const struct result *r,
				     const char *name)
{
	check_worker(e, in, r, name);
	expect_adding(e, true, name);
}

/* One row, one sentence */
/* clang-format off */
static const struct meta_row live_rows[] = {
	{ "reverse metadata stops ours",
	  rev, { FROM_PEER, .fill = 8 }, originator, XDP_REDIRECT, 0, check_acknowledged },
	{ "reverse metadata of odd length",
	  rev_odd, { FROM_PEER, .fill = 8 }, originator, XDP_REDIRECT, 0, check_acknowledged },
	{ "reverse metadata, odd payload",
	  rev_odd, { FROM_PEER, .fill = 7 }, originator, XDP_REDIRECT, 0, check_acknowledged },
	{ "reverse metadata on a bare acknowledgement",
	  rev, { FROM_PEER }, originator, XDP_REDIRECT, 0, check_acknowledged },
	{ "reverse metadata on SYN and ACK",
	  rev, { FROM_PEER, .tcp_flags = TH_SYN | TH_ACK }, originator, XDP_REDIRECT, 0,
	  check_acknowledged },
	{ "reverse metadata of another session",
	  rev_other_uuid, { FROM_PEER }, originator, XDP_DROP, SVR_DROP_META_UUID,
	  check_still_adding },
	{ "our own metadata reflected",
	  fwd_same_uuid, { FROM_PEER }, originator, XDP_DROP, SVR_DROP_META_UNEXPECTED,
	  check_still_adding },
	{ "a bare header is no acknowledgement",
	  bare, { FROM_PEER, .fill = 20 }, originator, XDP_REDIRECT, 0, check_still_adding },
	{ "metadata without a UUID",
	  without_6, { FROM_PEER }, originator, XDP_DROP, SVR_DROP_META_INCOMPLETE,
	  check_still_adding },
	{ "protected metadata on a clear session is the worker's",
	  protected_block, { FROM_PEER }, originator, XDP_REDIRECT, 0, check_protected_on_clear },
	{ "protected metadata on a clear session without a worker",
	  protected_block, { FROM_PEER }, originator_no_worker, XDP_DROP, SVR_DROP_NO_WORKER,
	  check_still_adding },
	{ "forward metadata of a new session replaces ours",
	  fwd, { FIRST }, originator, XDP_REDIRECT, 0, check_replaced },
	{ "forward metadata with a new UUID replaces the session",
	  fwd, { FIRST }, terminator, XDP_REDIRECT, 0, check_replaced },
	{ "a new session that is refused replaces nothing",
	  unknown_sender, { FIRST }, terminator, XDP_DROP, SVR_DROP_META_SENDER,
	  check_still_adding },
	{ "a new session while the path is down replaces nothing",
	  fwd, { FIRST }, originator_path_down, XDP_DROP, SVR_DROP_PATH_DOWN, check_still_adding },
	{ "a new session without a SYN replaces nothing",
	  fwd, { FROM_PEER }, terminator, XDP_DROP, SVR_DROP_NOT_SYN, check_still_adding },
	{ "forward metadata again",
	  fwd_same_uuid, { FIRST }, terminator, XDP_REDIRECT, 0, check_duplicate },
	{ "forward metadata on a later packet",
	  fwd_same_uuid, { FROM_PEER, .fill = 9 }, terminator, XDP_REDIRECT, 0, check_duplicate },
	{ "reverse metadata where forward is due",
	  rev, { FROM_PEER }, terminator, XDP_DROP, SVR_DROP_META_UNEXPECTED, check_still_adding },
};
/* clang-format on */

Test(meta, live)
{
	RUN_META_ROWS(live_rows);
}

/*
 * The terminating router adds reverse metadata until a forward packet comes without. A bare header
 * is without.
 */
static void stops_with(const char *name, const struct spec *stop)
{
	struct env *e = env_open(NULL);
	struct spec answer = { .src = "172.16.1.10",
			       .dst = "172.16.2.20",
			       .sport = 80,
			       .dport = 40000,
			       .tcp_flags = TH_SYN | TH_ACK,
			       .fill = 11 };
	static struct meta want;
	static struct result r;
	static struct frame f;
	struct svr_flow wan;
	size_t off = L4_OFF + TCP_LEN;

	fwd(&block);
	run(e, PROG_WAN, &(struct spec){ FIRST, .meta = &block }, &r, name);
	cr_assert(r.verdict == XDP_REDIRECT);

	frame_build(&f, &answer);
	run_frame(e, PROG_LAN, &f, &r, name);
	cr_assert(r.verdict == XDP_REDIRECT && r.stat[SVR_STAT_META_ADDED] == 1,
		  "%s: reverse metadata", name);
	meta_begin(&want);
	meta_context(&want, 4, "172.16.1.10", 80, "172.16.2.20", 40000, IPPROTO_TCP);
	meta_tlv(&want, 6, uuid_b, SVR_UUID_LEN);
	meta_name(&want, 14, "cn-west");
	meta_name(&want, 19, "192.0.2.1");
	meta_end(&want);
	cr_assert(r.len == f.len + want.len, "%s: %zu bytes", name, r.len);
	expect_bytes(r.out + off, want.len, want.data, want.len, name, "reverse metadata");
	expect_bytes(r.out + off + want.len, r.len - off - want.len, f.data + off, f.len - off,
		     name, "payload");
	cr_expect(frame_csums_ok(r.out, r.len) && get16(r.out + L4_OFF) == LOCAL_PORT &&
		  get16(r.out + L4_OFF + 2) == PEER_PORT);

	run(e, PROG_WAN, stop, &r, name);
	cr_assert(r.verdict == XDP_REDIRECT, "%s: stop %d", name, r.reason);
	cr_assert(session_wan(e, IPPROTO_TCP, &wan));
	cr_expect(!(wan.flags & SVR_FLOW_META_WATCH), "%s: nothing to watch for", name);
	run_frame(e, PROG_LAN, &f, &r, name);
	cr_expect(r.verdict == XDP_REDIRECT && r.stat[SVR_STAT_META_ADDED] == 0 && r.len == f.len,
		  "%s: not one byte more", name);

	/* A late copy of the first packet starts nothing */
	run(e, PROG_WAN, &(struct spec){ FIRST, .meta = &block }, &r, name);
	cr_expect(r.verdict == XDP_REDIRECT && r.stat[SVR_STAT_META_REMOVED] == 1 &&
			  r.stat[SVR_STAT_SESSIONS_REV] == 0,
		  "%s: late copy", name);
	run_frame(e, PROG_LAN, &f, &r, name);
	cr_expect(r.stat[SVR_STAT_META_ADDED] == 0, "%s: still none", name);
	env_close(e);
}

Test(meta, stops_at_packet_without)
{
	stops_with("acknowledgement", &(struct spec){ FROM_PEER });
}

Test(meta, stops_at_bare_header)
{
	static struct meta b;

	bare(&b);
	stops_with("bare header", &(struct spec){ FROM_PEER, .meta = &b, .fill = 9 });
}

/* The other half: the originator adds metadata to everything until reverse metadata comes. */
Test(meta, originator_stops)
{
	struct env *e = env_open(NULL);
	static struct result r;
	static struct frame f;
	struct spec data = { FROM_HOST, .fill = 30 };

	originator(e);
	frame_build(&f, &data);
	run_frame(e, PROG_LAN, &f, &r, "before");
	cr_expect(r.stat[SVR_STAT_META_ADDED] == 1 && r.len > f.len);
	run(e, PROG_WAN, &(struct spec){ FROM_PEER }, &r, "packet without metadata");
	cr_expect(r.verdict == XDP_REDIRECT);
	run_frame(e, PROG_LAN, &f, &r, "still");
	cr_expect(r.stat[SVR_STAT_META_ADDED] == 1,
		  "a reverse packet without metadata acknowledges nothing");
	rev(&block);
	run(e, PROG_WAN, &(struct spec){ FROM_PEER, .meta = &block }, &r, "acknowledged");
	run_frame(e, PROG_LAN, &f, &r, "after");
	cr_expect(r.stat[SVR_STAT_META_ADDED] == 0);
	expect_rewritten(&f, &r, "after", true);
	env_close(e);
}

/*
 * The tuple of a clear session under new waypoint ports: the old session is over, with all its
 * flows.
 */
Test(meta, same_tuple_other_ports)
{
	struct env *e = env_open(NULL);
	static struct result r;
	struct svr_flow lan, wan;

	fwd(&block);
	run(e, PROG_WAN, &(struct spec){ FIRST, .meta = &block }, &r, "first");
	meta_forward(&block, uuid_a, IPPROTO_TCP, 0);
	run(e, PROG_WAN,
	    &(struct spec){ .src = "192.0.2.2",
			    .dst = "192.0.2.1",
			    .sport = 20003,
			    .dport = 20002,
			    .tcp_flags = TH_SYN,
			    .meta = &block },
	    &r, "second");
	cr_assert(r.verdict == XDP_REDIRECT, "reason %d", r.reason);
	cr_expect(flow_count(e) == 2 && !session_wan(e, IPPROTO_TCP, &wan), "%u flows",
		  flow_count(e));
	cr_assert(flow_get(e, LAN, IPPROTO_TCP, "172.16.1.10", 80, "172.16.2.20", 40000, &lan));
	cr_expect(!memcmp(lan.uuid, uuid_a, SVR_UUID_LEN) && lan.sport == htons(20002));
	env_close(e);
}

/*
 * The worker's session is never replaced by clear metadata, and no half of the refused session
 * stays.
 */
Test(meta, worker_session_stays)
{
	struct env *e = env_open(NULL);
	struct svr_flow4_key key =
		flow_key(LAN, IPPROTO_TCP, "172.16.1.10", 80, "172.16.2.20", 40000);
	static struct result r;
	struct svr_flow flow;

	worker_has_the_tuple(e);
	fwd(&block);
	run(e, PROG_WAN, &(struct spec){ FIRST, .meta = &block }, &r, "clear");
	cr_expect(r.reason == SVR_DROP_META_UUID && flow_count(e) == 1);
	cr_expect(flow4_get(e, &key, &flow) && flow.flags & SVR_FLOW_WORKER);
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
		meta_begin(&block);
		meta_context(&block, 2, "172.16.2.20", (uint16_t)(40000 + i), "172.16.1.10", 80,
			     IPPROTO_TCP);
		names(&block, "corp", "local", "clear", "cn-east");
		run(e, PROG_WAN,
		    &(struct spec){ .src = "192.0.2.2",
				    .dst = "192.0.2.1",
				    .sport = (uint16_t)(20001 + 2 * i),
				    .dport = 20000,
				    .tcp_flags = TH_SYN,
				    .meta = &block },
		    &r, "session");
		if (r.verdict == XDP_REDIRECT)
			made++;
		else
			cr_expect(r.reason == SVR_DROP_TABLE_FULL, "reason %d", r.reason);
	}
	cr_expect(made == (SVR_FLOW_BUCKET - strangers) / 2, "%u sessions in one bucket", made);
	cr_expect(flow_count(e) == 2 * made + strangers,
		  "no half session is left behind: %u flows of %u sessions", flow_count(e), made);
	env_close(e);
}

Test(meta, table_full)
{
	table_full(0);
}

Test(meta, table_full_by_half)
{
	table_full(1);
}

/* Our own session for the connection that the peer's metadata is about */
static void own_session(struct env *e, const uint8_t *uuid, uint32_t flags)
{
	struct svr_flow4_key key =
		flow_key(LAN, IPPROTO_UDP, "172.16.1.10", 80, "172.16.2.20", 40000);
	struct svr_flow flow = { .flags = SVR_FLOW_VALID | SVR_FLOW_ORIGINATOR | flags,
				 .out_zone = WAN,
				 .proto = IPPROTO_UDP };

	env_reset(e);
	flow.saddr[2] = flow.daddr[2] = htonl(0xffff);
	memcpy(flow.uuid, uuid, SVR_UUID_LEN);
	flow4_put(e, &key, &flow);
}

static void opened_by_both(struct env *e, const uint8_t *ours, const uint8_t *theirs,
			   uint32_t flags, int reason, const uint8_t *stays, const char *name)
{
	static struct meta m;
	static struct result r;
	struct svr_flow flow;
	struct spec s = { .src = "192.0.2.2",
			  .dst = "192.0.2.1",
			  .sport = 20000,
			  .dport = 20001,
			  .proto = IPPROTO_UDP,
			  .meta = &m,
			  .fill = 5 };

	own_session(e, ours, flags);
	meta_forward(&m, theirs, IPPROTO_UDP, 0);
	run(e, PROG_WAN, &s, &r, name);
	cr_expect(r.reason == reason && r.verdict == (reason ? XDP_DROP : XDP_REDIRECT),
		  "%s: reason %d", name, r.reason);
	cr_assert(flow_get(e, LAN, IPPROTO_UDP, "172.16.1.10", 80, "172.16.2.20", 40000, &flow),
		  "%s: a session stays", name);
	cr_expect(!memcmp(flow.uuid, stays, SVR_UUID_LEN), "%s: which one", name);
	cr_expect(flow_count(e) == (reason ? 1u : 2u), "%s: %u flows", name, flow_count(e));
}

Test(meta, connection_opened_from_both_sides)
{
	struct env *e = env_open(NULL);

	opened_by_both(e, uuid_a, uuid_b, SVR_FLOW_META_ADD, SVR_DROP_META_GLARE, uuid_a,
		       "ours has the smaller UUID");
	opened_by_both(e, uuid_b, uuid_a, SVR_FLOW_META_ADD, 0, uuid_a,
		       "the peer's has the smaller UUID");
	opened_by_both(e, uuid_a, uuid_b, 0, 0, uuid_b, "ours was answered, so it is an old one");
	env_close(e);
}
