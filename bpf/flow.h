/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * BPF side only: the two flows of a clear session, how they find each other, and how they come and
 * go.
 *
 * A session at one router is two tuples (struct svr_flow4_key with `zone` as the place of the
 * packet):
 *
 *   lan  a packet as it arrives from the LAN          (LAN zone)
 *   wan  the same packet as it leaves to the peer     (WAN zone)
 *
 *   flow of the LAN side:  key lan            value lan rewritten to wan
 *   flow of the WAN side:  key mirror(wan)    value mirror(wan) rewritten to mirror(lan)
 *
 * mirror() swaps source and destination and keeps the zone. So the key of the opposite flow is
 * always the mirror of what a flow rewrites to, with the flow's out_zone as its zone: no flow has
 * to store it.
 */
#ifndef SVR_BPF_FLOW_H
#define SVR_BPF_FLOW_H

#include "csum.h"

static __always_inline void svr_key_mirror(const struct svr_flow4_key *from,
					   struct svr_flow4_key *to)
{
	to->saddr = from->daddr;
	to->daddr = from->saddr;
	to->sport = from->dport;
	to->dport = from->sport;
	to->zone = from->zone;
	to->proto = from->proto;
	to->_pad = 0;
}

static __always_inline void svr_flow_opposite_key(const struct svr_flow *flow,
						  struct svr_flow4_key *key)
{
	key->saddr = flow->daddr[3];
	key->daddr = flow->saddr[3];
	key->sport = flow->dport;
	key->dport = flow->sport;
	key->zone = flow->out_zone;
	key->proto = flow->proto;
	key->_pad = 0;
}

/* The opposite flow, if it still is one of the same session. */
SVR_HELPER struct svr_flow *svr_flow_opposite(const struct svr_flow *flow)
{
	struct svr_flow4_key key;

	svr_flow_opposite_key(flow, &key);
	return svr_flow_get(&key);
}

/*
 * Both stand at multiples of four in their structs; the compiler would make a call to memcmp() of
 * bytes
 */
static __always_inline bool svr_uuid_equal(const void *a, const void *b)
{
	const __u32 *x = a, *y = b;

	return x[0] == y[0] && x[1] == y[1] && x[2] == y[2] && x[3] == y[3];
}

/*
 * Remove @flow, whose key is @key, and its opposite, unless another session has that key by now.
 * Neither may be looked at afterwards.
 */
SVR_STEP int svr_flow_remove_pair(const struct svr_flow4_key *key, const struct svr_flow *flow)
{
	struct svr_flow4_key own_key, opposite_key;
	struct svr_flow *opposite;

	if (!key || !flow)
		return -SVR_DROP_INTERNAL;
	own_key = *key;
	svr_flow_opposite_key(flow, &opposite_key);
	opposite = svr_flow_get(&opposite_key);
	if (opposite && svr_uuid_equal(opposite->uuid, flow->uuid))
		svr_flow_delete(&opposite_key);
	svr_flow_delete(&own_key);
	svr_stat_add(own_key.zone, SVR_STAT_SESSIONS_CLOSED, 1);
	return SVR_NEXT;
}

/* What rewriting @from to @to adds to the checksums, and where the packet goes. */
static __always_inline void svr_flow_rewrites(struct svr_flow *flow,
					      const struct svr_flow4_key *from,
					      const struct svr_flow4_key *to)
{
	__u64 addresses = (__u64)(__u32)~from->saddr + (__u32)~from->daddr + to->saddr + to->daddr;

	svr_addr_map4(flow->saddr, to->saddr);
	svr_addr_map4(flow->daddr, to->daddr);
	flow->sport = to->sport;
	flow->dport = to->dport;
	flow->out_zone = to->zone;
	flow->proto = to->proto;
	flow->l3_delta = svr_csum_fold(addresses);
	flow->l4_delta = svr_csum_fold(addresses + svr_csum_change(from->sport, to->sport) +
				       svr_csum_change(from->dport, to->dport));
}

/* What both flows of a session have in common */
struct svr_session_terms {
	__u32 lan_flags, wan_flags; /* enum svr_flow_flags */
	__u32 lan_nexthop; /* where the LAN flow's packets go: the path */
	__u32 wan_nexthop; /* where the WAN flow's packets go: the neighbour */
	__u16 path, service, tenant, policy;
};

static __always_inline void svr_flow_fill(struct svr_flow *flow,
					  const struct svr_session_terms *terms, const __u8 *uuid,
					  __u64 now)
{
	flow->path = terms->path;
	flow->service = terms->service;
	flow->tenant = terms->tenant;
	flow->policy = terms->policy;
	flow->created_ns = now;
	flow->last_seen_ns = now;
	__builtin_memcpy(flow->uuid, uuid, SVR_UUID_LEN);
}

/* Both flows of a session into the scratch area, not yet into the map. */
SVR_HELPER void svr_flow_fill_pair(struct svr_scratch *s, const struct svr_flow4_key *lan,
				   const struct svr_flow4_key *wan,
				   const struct svr_session_terms *terms, const __u8 *uuid)
{
	__u64 now = svr_now_ns();
	struct svr_flow4_key from, to;

	__builtin_memset(&s->lan, 0, sizeof(s->lan));
	svr_flow_fill(&s->lan, terms, uuid, now);
	s->lan.flags = SVR_FLOW_VALID | terms->lan_flags;
	s->lan.nexthop = terms->lan_nexthop;
	svr_flow_rewrites(&s->lan, lan, wan);

	svr_key_mirror(wan, &from);
	svr_key_mirror(lan, &to);
	__builtin_memset(&s->wan, 0, sizeof(s->wan));
	svr_flow_fill(&s->wan, terms, uuid, now);
	s->wan.flags = SVR_FLOW_VALID | SVR_FLOW_FROM_WAN | terms->wan_flags;
	s->wan.nexthop = terms->wan_nexthop;
	svr_flow_rewrites(&s->wan, &from, &to);
}

/* SVR_NEXT; SVR_FLOW_EXISTS if the key is taken; or a negative drop reason. */
enum { SVR_FLOW_EXISTS = 1 };
SVR_HELPER int svr_flow_insert(const struct svr_flow4_key *key_arg, const struct svr_flow *flow)
{
	struct svr_flow4_key key = *key_arg;
	/* int: before Linux 6.4 the upper half of what the helper returns is not part of it */
	int err = bpf_map_update_elem(&svr_flows4, &key, flow, BPF_NOEXIST);

	if (!err)
		return SVR_NEXT;
	if (err == -EEXIST)
		return SVR_FLOW_EXISTS;
	return err == -E2BIG || err == -ENOMEM ? -SVR_DROP_TABLE_FULL : -SVR_DROP_INTERNAL;
}

/* enum svr_tcp_seen of one packet */
static __always_inline __u8 svr_tcp_seen_of(__u8 tcp_flags)
{
	__u8 seen = 0;

	if (tcp_flags & SVR_TH_SYN)
		seen |= SVR_TCP_SYN;
	else if (tcp_flags & SVR_TH_ACK)
		seen |= SVR_TCP_DATA;
	if (tcp_flags & SVR_TH_FIN)
		seen |= SVR_TCP_FIN;
	if (tcp_flags & SVR_TH_RST)
		seen |= SVR_TCP_RST;
	return seen;
}

static __always_inline void svr_flow_see_tcp(struct svr_flow *flow, const struct svr_pkt *pkt)
{
	__u8 seen = svr_tcp_seen_of(pkt->tcp_flags);

	if (unlikely(seen & ~flow->tcp_seen))
		flow->tcp_seen |= seen;
}

/*
 * After a FIN or RST: a session that is reset, or finished from both sides, will not carry much
 * more. The flags of a flow are also changed from the other direction, on another CPU, so they are
 * changed atomically.
 */
SVR_STEP int svr_flow_end_tcp(struct svr_flow *flow)
{
	struct svr_flow *opposite;

	if (!flow)
		return -SVR_DROP_INTERNAL;
	opposite = svr_flow_opposite(flow);
	if (!opposite)
		return SVR_NEXT;
	if (!((flow->tcp_seen | opposite->tcp_seen) & SVR_TCP_RST) &&
	    !(flow->tcp_seen & opposite->tcp_seen & SVR_TCP_FIN))
		return SVR_NEXT;
	__sync_fetch_and_or(&flow->flags, SVR_FLOW_CLOSING);
	__sync_fetch_and_or(&opposite->flags, SVR_FLOW_CLOSING);
	return SVR_NEXT;
}

static __always_inline void svr_flow_clear_flag(struct svr_flow *flow, __u32 flag)
{
	__sync_fetch_and_and(&flow->flags, ~flag);
}

/* True for the first packet of a new connection */
static __always_inline bool svr_tcp_opens(const struct svr_pkt *pkt)
{
	return (pkt->tcp_flags & (SVR_TH_SYN | SVR_TH_ACK | SVR_TH_FIN | SVR_TH_RST)) == SVR_TH_SYN;
}

#endif
