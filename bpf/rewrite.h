/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * BPF side only: the last step of a packet that XDP forwards. Here, and in what runs only from here
 * on, bytes are changed: from now on a packet is redirected or dropped, never passed.
 *
 * svr_flow.l3_delta and .l4_delta hold what the rewriting adds to the sums under the checksums
 * (flow.h), so each checksum costs two additions.
 */
#ifndef SVR_BPF_REWRITE_H
#define SVR_BPF_REWRITE_H

#include "shape.h"

/*
 * Make the link-layer header right for the zone's tags and the packet's family. Addresses are not
 * touched.
 */
SVR_STEP int svr_l2_retag(struct xdp_md *ctx, struct svr_pkt *pkt, __u32 vlan, __u32 outer_vlan)
{
	__be16 ethertype = bpf_htons(ETH_P_IP);
	__be16 tags[5] = { bpf_htons(ETH_P_8021AD), bpf_htons(outer_vlan), bpf_htons(ETH_P_8021Q),
			   bpf_htons(vlan) };
	__u32 l3 = ETH_HLEN;
	int grow, res;

	if (!pkt)
		return -SVR_DROP_INTERNAL;
	if (svr_pkt_is6(pkt))
		ethertype = bpf_htons(ETH_P_IPV6);
	tags[4] = ethertype;
	if (vlan)
		l3 += outer_vlan ? 2 * SVR_VLAN_HLEN : SVR_VLAN_HLEN;
	grow = (int)l3 - pkt->l3;
	if (grow && bpf_xdp_adjust_head(ctx, -grow))
		return -SVR_DROP_HEADROOM;
	pkt->l3 += grow;
	pkt->l4 += grow;
	pkt->payload += grow;
	if (!vlan)
		res = bpf_xdp_store_bytes(ctx, 2 * ETH_ALEN, &tags[4], sizeof(tags[0]));
	else if (!outer_vlan)
		res = bpf_xdp_store_bytes(ctx, 2 * ETH_ALEN, &tags[2], 3 * sizeof(tags[0]));
	else
		res = bpf_xdp_store_bytes(ctx, 2 * ETH_ALEN, tags, sizeof(tags));
	return res ? -SVR_DROP_INTERNAL : SVR_NEXT;
}

/* Zone, next hop and sizes of where a flow goes. */
struct svr_way {
	const struct svr_nexthop *nexthop;
	const struct svr_zone *zone;
	__u32 limit; /* longest IP packet that may arrive for it, without metadata; bytes */
};

/* SVR_NEXT, or a drop reason if nothing can be sent that way now. */
static __always_inline int svr_way_find(const struct svr_pkt *pkt, const struct svr_flow *flow,
					struct svr_way *way)
{
	__u32 nexthop = flow->nexthop;

	way->nexthop = bpf_map_lookup_elem(&svr_nexthops, &nexthop);
	way->zone = svr_zone_get(flow->out_zone);
	if (!way->nexthop || !way->zone)
		return -SVR_DROP_INTERNAL;
	if (unlikely(!way->nexthop->valid))
		return -SVR_DROP_NO_NEIGHBOUR;
	way->limit = way->zone->mtu;
	if (unlikely(svr_reshapes(pkt, flow)))
		way->limit -= svr_growth(pkt, flow);
	return SVR_NEXT;
}

/*
 * The same for a flow towards a peer: its path has to be in service, and may be narrower than the
 * interface.
 */
static __always_inline int svr_way_find_path(const struct svr_pkt *pkt,
					     const struct svr_flow *flow, struct svr_way *way)
{
	__u32 path = flow->path;
	const struct svr_path_state *state = bpf_map_lookup_elem(&svr_path_state, &path);
	int res;

	if (!state)
		return -SVR_DROP_INTERNAL;
	if (unlikely(state->status != SVR_PATH_UP))
		return -SVR_DROP_PATH_DOWN;
	res = svr_way_find(pkt, flow, way);
	if (res)
		return res;
	if (unlikely(state->mtu && state->mtu < way->zone->mtu))
		way->limit = state->mtu - svr_growth(pkt, flow);
	return SVR_NEXT;
}

static __always_inline void svr_flow_stamp(struct svr_flow *flow, const struct svr_pkt *pkt)
{
	flow->last_seen_ns = svr_now_ns();
	flow->packets += 1;
	flow->bytes += pkt->rx_len;
}

static __always_inline int svr_rewrite_l3(struct xdp_md *ctx, const struct svr_pkt *pkt,
					  const struct svr_flow *flow)
{
	struct svr_cursor nh = svr_cursor_at(ctx, pkt->l3);
	struct ipv6hdr *ip6 = nh.pos;
	struct iphdr *ip = nh.pos;

	if (unlikely(svr_pkt_is6(pkt))) {
		if ((void *)(ip6 + 1) > nh.end)
			return -SVR_DROP_SHORT;
		ip6->hop_limit--;
		svr_addr_copy(ip6->saddr.in6_u.u6_addr32, flow->saddr);
		svr_addr_copy(ip6->daddr.in6_u.u6_addr32, flow->daddr);
		return SVR_NEXT;
	}
	if ((void *)(ip + 1) > nh.end)
		return -SVR_DROP_SHORT;
	ip->ttl--;
	ip->check = svr_csum_add(ip->check, flow->l3_delta);
	ip->saddr = flow->saddr[3];
	ip->daddr = flow->daddr[3];
	return SVR_NEXT;
}

static __always_inline int svr_rewrite_l4(struct xdp_md *ctx, const struct svr_pkt *pkt,
					  const struct svr_flow *flow)
{
	struct svr_cursor nh = svr_cursor_at(ctx, pkt->l4);
	struct tcphdr *tcp = nh.pos;
	struct udphdr *udp = nh.pos;

	if (pkt->proto == IPPROTO_TCP) {
		if ((void *)(tcp + 1) > nh.end)
			return -SVR_DROP_SHORT;
		tcp->source = flow->sport;
		tcp->dest = flow->dport;
		tcp->check = svr_csum_add(tcp->check, flow->l4_delta);
		return SVR_NEXT;
	}
	if (unlikely(pkt->proto != IPPROTO_UDP))
		return SVR_NEXT; /* without ports, and unchanged from host to host */
	if ((void *)(udp + 1) > nh.end)
		return -SVR_DROP_SHORT;
	udp->source = flow->sport;
	udp->dest = flow->dport;
	if (udp->check) {
		__u16 check = svr_csum_add(udp->check, flow->l4_delta);

		udp->check = check ? check : 0xffff; /* RFC 768 */
	} else if (svr_pkt_is6(pkt)) {
		return -SVR_DROP_BAD_CSUM; /* RFC 8200 8.1 */
	}
	return SVR_NEXT;
}

/* Tags and addresses of the link layer */
static __always_inline int svr_rewrite_l2(struct xdp_md *ctx, struct svr_pkt *pkt,
					  const struct svr_way *way, bool reshaped)
{
	struct svr_cursor nh;
	struct ethhdr *eth;
	int res;

	if (unlikely(reshaped || pkt->l3 != ETH_HLEN || way->zone->vlan)) {
		res = svr_l2_retag(ctx, pkt, way->zone->vlan, way->zone->outer_vlan);
		if (res)
			return res;
	}
	nh = svr_cursor_at(ctx, 0);
	eth = nh.pos;
	if ((void *)(eth + 1) > nh.end)
		return -SVR_DROP_SHORT;
	__builtin_memcpy(eth->h_dest, way->nexthop->dmac, ETH_ALEN);
	__builtin_memcpy(eth->h_source, way->nexthop->smac, ETH_ALEN);
	return SVR_NEXT;
}

/*
 * Stamp the flow, rewrite the packet, and tell the kernel where it goes. Its TTL is known to be
 * above 1. Packets of flows with SVR_FLOW_ENCAP have their UDP header already.
 */
static __always_inline int svr_send(struct xdp_md *ctx, struct svr_pkt *pkt, struct svr_flow *flow,
				    const struct svr_way *way)
{
	bool reshape = (flow->flags ^ pkt->shape) & (SVR_FLOW_OUT6 | SVR_FLOW_DECAP);
	int res;

	if (unlikely(reshape)) {
		res = svr_reshape(ctx, pkt, flow);
		if (res)
			return res;
	}
	res = svr_rewrite_l2(ctx, pkt, way, reshape);
	if (res)
		return res;
	if (likely(!reshape)) {
		res = svr_rewrite_l3(ctx, pkt, flow);
		if (res)
			return res;
	}
	res = svr_rewrite_l4(ctx, pkt, flow);
	if (res)
		return res;
	svr_flow_stamp(flow, pkt);
	if (unlikely(bpf_redirect_map(&svr_txports, way->nexthop->zone, XDP_DROP) != XDP_REDIRECT))
		return -SVR_DROP_NOT_CONFIGURED;
	return SVR_FORWARD;
}

#endif
