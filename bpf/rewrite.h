/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * BPF side only: the last step of a packet that XDP forwards. Here, and in what runs only from here
 * on, bytes are changed: from now on a packet is redirected or dropped, never passed.
 *
 * svr_flow.l3_delta and .l4_delta hold what the rewriting adds to the sums under the checksums
 * (flow.h), so each checksum costs two additions. TTL is not in l3_delta; it shares a 16-bit word
 * with the protocol, whose high byte it is.
 */
#ifndef SVR_BPF_REWRITE_H
#define SVR_BPF_REWRITE_H

#include "flow.h"

/*
 * Make the link-layer header right for a device whose zone has @vlan (0: untagged). Addresses are
 * not touched.
 */
SVR_STEP int svr_l2_retag(struct xdp_md *ctx, struct svr_pkt *pkt, __u32 vlan)
{
	__u32 l3 = vlan ? ETH_HLEN + SVR_VLAN_HLEN : ETH_HLEN;
	int grow;
	__be16 type[3] = { bpf_htons(ETH_P_8021Q), bpf_htons(vlan), bpf_htons(ETH_P_IP) };

	if (!pkt)
		return -SVR_DROP_INTERNAL;
	grow = (int)l3 - pkt->l3;
	if (grow && bpf_xdp_adjust_head(ctx, -grow))
		return -SVR_DROP_HEADROOM;
	pkt->l3 += grow;
	pkt->l4 += grow;
	pkt->payload += grow;
	if (vlan ? bpf_xdp_store_bytes(ctx, ETH_HLEN - sizeof(type[0]), type, sizeof(type)) :
		   bpf_xdp_store_bytes(ctx, ETH_HLEN - sizeof(type[0]), &type[2], sizeof(type[2])))
		return -SVR_DROP_INTERNAL;
	return SVR_NEXT;
}

/* Zone, next hop and sizes of where a flow goes. */
struct svr_way {
	const struct svr_nexthop *nexthop;
	const struct svr_zone *zone;
	__u32 limit; /* longest IP packet, bytes */
};

/* SVR_NEXT, or a drop reason if nothing can be sent that way now. */
static __always_inline int svr_way_find(const struct svr_flow *flow, struct svr_way *way)
{
	__u32 nexthop = flow->nexthop;

	way->nexthop = bpf_map_lookup_elem(&svr_nexthops, &nexthop);
	way->zone = svr_zone_get(flow->out_zone);
	if (!way->nexthop || !way->zone)
		return -SVR_DROP_INTERNAL;
	if (unlikely(!way->nexthop->valid))
		return -SVR_DROP_NO_NEIGHBOUR;
	way->limit = way->zone->mtu;
	return SVR_NEXT;
}

/*
 * The same for a flow towards a peer: its path has to be in service, and may be narrower than the
 * interface.
 */
static __always_inline int svr_way_find_path(const struct svr_flow *flow, struct svr_way *way)
{
	__u32 path = flow->path;
	const struct svr_path_state *state = bpf_map_lookup_elem(&svr_path_state, &path);
	int res;

	if (!state)
		return -SVR_DROP_INTERNAL;
	if (unlikely(state->status != SVR_PATH_UP))
		return -SVR_DROP_PATH_DOWN;
	res = svr_way_find(flow, way);
	if (res)
		return res;
	if (state->mtu && state->mtu < way->limit)
		way->limit = state->mtu;
	return SVR_NEXT;
}

static __always_inline void svr_flow_stamp(struct svr_flow *flow, const struct svr_pkt *pkt)
{
	flow->last_seen_ns = svr_now_ns();
	flow->packets += 1;
	flow->bytes += pkt->rx_len;
}

static __always_inline int svr_rewrite_l4(struct xdp_md *ctx, const struct svr_pkt *pkt,
					  const struct svr_flow *flow)
{
	struct svr_cursor nh = svr_cursor_at(ctx, pkt->l4);
	struct tcphdr *tcp = nh.pos;
	struct udphdr *udp = nh.pos;

	if (pkt->key.proto == IPPROTO_TCP) {
		if ((void *)(tcp + 1) > nh.end)
			return -SVR_DROP_SHORT;
		tcp->source = flow->sport;
		tcp->dest = flow->dport;
		tcp->check = svr_csum_apply(tcp->check, flow->l4_delta);
		return SVR_NEXT;
	}
	if ((void *)(udp + 1) > nh.end)
		return -SVR_DROP_SHORT;
	udp->source = flow->sport;
	udp->dest = flow->dport;
	if (udp->check) {
		__u16 check = svr_csum_apply(udp->check, flow->l4_delta);

		udp->check = check ? check : 0xffff; /* RFC 768 */
	}
	return SVR_NEXT;
}

/* Stamp the flow, rewrite the packet, and tell the kernel where it goes. */
static __always_inline int svr_send(struct xdp_md *ctx, struct svr_pkt *pkt, struct svr_flow *flow,
				    const struct svr_way *way)
{
	struct svr_cursor nh;
	struct ethhdr *eth;
	struct iphdr *ip;
	int res;

	if (unlikely(pkt->l3 != ETH_HLEN || way->zone->vlan)) {
		res = svr_l2_retag(ctx, pkt, way->zone->vlan);
		if (res)
			return res;
	}
	nh = svr_cursor_at(ctx, 0);
	eth = nh.pos;
	if ((void *)(eth + 1) > nh.end)
		return -SVR_DROP_SHORT;
	__builtin_memcpy(eth->h_dest, way->nexthop->dmac, ETH_ALEN);
	__builtin_memcpy(eth->h_source, way->nexthop->smac, ETH_ALEN);

	nh = svr_cursor_at(ctx, pkt->l3);
	ip = nh.pos;
	if ((void *)(ip + 1) > nh.end)
		return -SVR_DROP_SHORT;
	if (unlikely(ip->ttl <= 1))
		return -SVR_DROP_TTL;
	ip->ttl--;
	ip->check = svr_csum_apply(ip->check, flow->l3_delta + (__u16)~bpf_htons(0x0100));
	ip->saddr = flow->saddr[3];
	ip->daddr = flow->daddr[3];

	res = svr_rewrite_l4(ctx, pkt, flow);
	if (res)
		return res;
	svr_flow_stamp(flow, pkt);
	if (unlikely(bpf_redirect_map(&svr_txports, way->nexthop->zone, XDP_DROP) != XDP_REDIRECT))
		return -SVR_DROP_NOT_CONFIGURED;
	return SVR_FORWARD;
}

#endif
