// SPDX-License-Identifier: BSD-2-Clause
/*
 * A session that the tests put into the table themselves: keys, values and checksum differences
 * made apart from bpf/.
 */
#include <string.h>

#include <arpa/inet.h>

#include "tests/prog/prog.h"

static struct svr_flow4_key key_lan(uint8_t proto)
{
	return flow_key(LAN, proto, "172.16.1.10", HOST_PORT, "172.16.2.20", FAR_PORT);
}

static struct svr_flow4_key key_wan(uint8_t proto)
{
	return flow_key(WAN, proto, "192.0.2.2", PEER_PORT, "192.0.2.1", LOCAL_PORT);
}

/* Ones' complement sum of the 16-bit words at @p, as they lie in memory */
static uint32_t words(const void *p, size_t len)
{
	uint16_t w;
	uint32_t sum = 0;
	size_t i;

	for (i = 0; i < len; i += 2) {
		memcpy(&w, (const uint8_t *)p + i, 2);
		sum += w;
	}
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static uint16_t difference(const void *from, const void *to, size_t len)
{
	uint32_t sum = (uint16_t)~words(from, len) + words(to, len);

	return (uint16_t)((sum & 0xffff) + (sum >> 16));
}

/* @from and @to start with addresses and ports, as in a packet */
static void flow_put(struct env *e, const struct svr_flow4_key *key, const struct svr_flow4_key *to,
		     uint32_t flags, uint32_t nexthop)
{
	struct svr_flow f = {
		.flags = SVR_FLOW_VALID | flags,
		.nexthop = nexthop,
		.path = PATH_EAST,
		.out_zone = to->zone,
		.sport = to->sport,
		.dport = to->dport,
		.proto = key->proto,
		.service = SVC_WEB,
		.tenant = TENANT_CORP,
		.policy = flags & SVR_FLOW_WORKER ? POLICY_SECRET : POLICY_CLEAR,
		.slot = flags & SVR_FLOW_WORKER ? 5 : 0,
		.slot_generation = flags & SVR_FLOW_WORKER ? 77 : 0,
	};
	/* What changes in the IPv4 header: TTL (the protocol shares its word), both addresses */
	uint32_t l3_from[3] = { htonl(0x40000000), key->saddr, key->daddr };
	uint32_t l3_to[3] = { htonl(0x3f000000), to->saddr, to->daddr };

	f.saddr[2] = f.daddr[2] = htonl(0xffff);
	f.saddr[3] = to->saddr;
	f.daddr[3] = to->daddr;
	f.l3_delta = difference(l3_from, l3_to, sizeof(l3_from));
	f.l4_delta = difference(&key->saddr, &to->saddr, 12);
	memcpy(f.uuid, uuid_a, SVR_UUID_LEN);
	flow4_put(e, key, &f);
}

void session_put(struct env *e, uint8_t proto, uint32_t lan_flags, uint32_t wan_flags)
{
	struct svr_flow4_key lan = key_lan(proto), wan = key_wan(proto);
	struct svr_flow4_key to_wan =
		flow_key(WAN, proto, "192.0.2.1", LOCAL_PORT, "192.0.2.2", PEER_PORT);
	struct svr_flow4_key to_lan =
		flow_key(LAN, proto, "172.16.2.20", FAR_PORT, "172.16.1.10", HOST_PORT);

	flow_put(e, &lan, &to_wan, lan_flags, PATH_EAST);
	flow_put(e, &wan, &to_lan, SVR_FLOW_FROM_WAN | wan_flags, NH_HOST);
}

bool session_lan(struct env *e, uint8_t proto, struct svr_flow *flow)
{
	struct svr_flow4_key key = key_lan(proto);

	return flow4_get(e, &key, flow);
}

bool session_wan(struct env *e, uint8_t proto, struct svr_flow *flow)
{
	struct svr_flow4_key key = key_wan(proto);

	return flow4_get(e, &key, flow);
}

void expect_rewritten(const struct frame *in, const struct result *r, const char *name, bool to_wan)
{
	static uint8_t want[FRAME_MAX];
	size_t len = IP_OFF + get16(in->data + IP_OFF + 2),
	       hlen = frame_payload_off(in->data) - L4_OFF;
	size_t check = in->data[IP_OFF + 9] == IPPROTO_TCP ? 16 : 6;
	uint32_t addr[2];

	memcpy(want, in->data, len);
	memcpy(want,
	       to_wan ? "\x02\0\0\0\x02\x02\x02\0\0\0\x02\x01" :
			"\x02\0\0\0\x01\x0a\x02\0\0\0\x01\x01",
	       12);
	want[IP_OFF + 8]--;
	addr[0] = addr4(to_wan ? "192.0.2.1" : "172.16.2.20");
	addr[1] = addr4(to_wan ? "192.0.2.2" : "172.16.1.10");
	memcpy(want + IP_OFF + 12, addr, 8);
	put16(want + L4_OFF, to_wan ? LOCAL_PORT : FAR_PORT);
	put16(want + L4_OFF + 2, to_wan ? PEER_PORT : HOST_PORT);
	/* The checksums are judged by themselves */
	memcpy(want + IP_OFF + 10, r->out + IP_OFF + 10, 2);
	memcpy(want + L4_OFF + check, r->out + L4_OFF + check, 2);
	expect_bytes(r->out, r->len, want, len, name, "packet");
	cr_expect(hlen && frame_csums_ok(r->out, r->len), "%s: checksums", name);
}
