/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * BPF side only: the two flows of a clear session, how they find each other, and how they come and
 * go.
 *
 * A session at one router is two tuples (struct svr_flow6_key with `zone` as the place of the
 * packet), each of them IPv4 or IPv6:
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

enum { SVR_FLOW_LABEL_MASK = 0x000fffff }; /* RFC 8200 3 */

static __always_inline void svr_key_mirror(const struct svr_flow6_key *from,
					   struct svr_flow6_key *to)
{
	svr_addr_copy(to->saddr, from->daddr);
	svr_addr_copy(to->daddr, from->saddr);
	to->sport = from->dport;
	to->dport = from->sport;
	to->zone = from->zone;
	to->proto = from->proto;
	to->_pad = 0;
}

static __always_inline void svr_flow_opposite_key(const struct svr_flow *flow,
						  struct svr_flow6_key *key)
{
	svr_addr_copy(key->saddr, flow->daddr);
	svr_addr_copy(key->daddr, flow->saddr);
	key->sport = flow->dport;
	key->dport = flow->sport;
	key->zone = flow->out_zone;
	key->proto = flow->proto;
	key->_pad = 0;
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

/* The opposite flow, NULL if it is gone or another session has its key by now. The key is in s->to. */
SVR_HELPER struct svr_flow *svr_flow_opposite(const struct svr_flow *flow)
{
	struct svr_scratch *s = svr_scratch_get();
	struct svr_flow *opposite;

	if (!s)
		return NULL;
	svr_flow_opposite_key(flow, &s->to);
	opposite = svr_flow_get(&s->to);
	return opposite && svr_uuid_equal(opposite->uuid, flow->uuid) ? opposite : NULL;
}

/* One label for all packets of a session keeps them on one way; RFC 6437, RFC 6438 */
static __always_inline __be32 svr_flow_label(const struct svr_flow *flow)
{
	return *(const __be32 *)flow->uuid & bpf_htonl(SVR_FLOW_LABEL_MASK);
}

/*
 * Remove @flow, whose key is @key, and its opposite, unless another session has that key by now.
 * Neither may be looked at afterwards.
 */
SVR_STEP int svr_flow_remove_pair(const struct svr_flow6_key *key, const struct svr_flow *flow)
{
	struct svr_scratch *s = svr_scratch_get();

	if (!s || !key || !flow)
		return -SVR_DROP_INTERNAL;
	if (svr_flow_opposite(flow))
		svr_flow_delete(&s->to);
	svr_flow_delete(key);
	svr_stat_add(key->zone, SVR_STAT_SESSIONS_CLOSED, 1);
	return SVR_NEXT;
}

/*
 * TTL is the first byte of a 16-bit word, so one less takes 0x0100 from the sum whatever stood there.
 */
enum { SVR_CSUM_TTL = (__u16)~bpf_htons(0x0100) };

/*
 * What rewriting @from to @to adds to the checksums, and where the packet goes. A packet without
 * ports crosses the WAN behind a UDP header, which has ports 0 on the LAN's side of this router
 * (shape.h).
 */
SVR_HELPER void svr_flow_rewrites(struct svr_flow *flow, const struct svr_flow6_key *from,
				  const struct svr_flow6_key *to)
{
	__u16 from_sum = svr_csum_fold(svr_csum_addr(from->saddr) + svr_csum_addr(from->daddr));
	__u64 addresses = (__u64)(__u16)~from_sum + svr_csum_addr(to->saddr) +
			  svr_csum_addr(to->daddr);
	bool encap = from->proto != to->proto && svr_proto_portless(from->proto);

	svr_addr_copy(flow->saddr, to->saddr);
	svr_addr_copy(flow->daddr, to->daddr);
	flow->sport = to->sport;
	flow->dport = to->dport;
	flow->out_zone = to->zone;
	flow->proto = to->proto;
	if (!svr_addr_is4(to->saddr))
		flow->flags |= SVR_FLOW_OUT6;
	if (encap)
		flow->flags |= SVR_FLOW_ENCAP;
	else if (from->proto != to->proto)
		flow->flags |= SVR_FLOW_DECAP;
	flow->l3_delta = svr_csum_fold(addresses + SVR_CSUM_TTL);
	flow->l4_delta = svr_csum_fold(addresses +
				       svr_csum_change(encap ? 0 : from->sport, to->sport) +
				       svr_csum_change(encap ? 0 : from->dport, to->dport));
}

static __always_inline void svr_flow_fill(struct svr_flow *flow,
					  const struct svr_session_terms *terms, const __u8 *uuid,
					  __u64 now)
{
	flow->path = terms->path;
	flow->service = terms->service;
	flow->tenant = terms->tenant;
	flow->policy = terms->policy;
	flow->created_sec = now / 1000000000;
	flow->last_seen_ns = now;
	__builtin_memcpy(flow->uuid, uuid, SVR_UUID_LEN);
}

/*
 * Both flows of the session with the tuples lan_tuple and wan_tuple of the scratch area, into the
 * scratch area and not yet into the map. Key of the WAN's flow is s->from afterwards.
 */
static __always_inline void
svr_flow_fill_pair(struct svr_scratch *s, const struct svr_session_terms *terms, const __u8 *uuid)
{
	__u64 now = svr_now_ns();

	__builtin_memset(&s->lan, 0, sizeof(s->lan));
	svr_flow_fill(&s->lan, terms, uuid, now);
	s->lan.flags = SVR_FLOW_VALID | terms->lan_flags;
	s->lan.nexthop = terms->lan_nexthop;
	svr_flow_rewrites(&s->lan, &s->lan_tuple, &s->wan_tuple);

	svr_key_mirror(&s->wan_tuple, &s->from);
	svr_key_mirror(&s->lan_tuple, &s->to);
	__builtin_memset(&s->wan, 0, sizeof(s->wan));
	svr_flow_fill(&s->wan, terms, uuid, now);
	s->wan.flags = SVR_FLOW_VALID | SVR_FLOW_FROM_WAN | terms->wan_flags;
	s->wan.nexthop = terms->wan_nexthop;
	svr_flow_rewrites(&s->wan, &s->from, &s->to);
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
