/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * BPF side only: packets that leave in another shape than they arrive in. IPv4 becomes IPv6 or the
 * reverse, and a protocol without ports gets a UDP header in front of it or loses it again
 * (docs/protocol.md 2). Hosts on both ends of a session are of one family; only what the packet
 * looks like between the routers differs, so nothing of L4 is translated.
 */
#ifndef SVR_BPF_SHAPE_H
#define SVR_BPF_SHAPE_H

#include "room.h"

enum svr_shape {
	SVR_SHAPES = SVR_FLOW_OUT6 | SVR_FLOW_ENCAP | SVR_FLOW_DECAP,

	SVR_IP6_VERSION = 6 << 28, /* of the first 32 bits */
	SVR_IP6_TCLASS_SHIFT = 20,
};

/* Does the packet need more than new addresses? */
static __always_inline bool svr_reshapes(const struct svr_pkt *pkt, const struct svr_flow *flow)
{
	return (flow->flags ^ pkt->shape) & SVR_SHAPES;
}

/* Bytes by which a packet of the flow is longer when it leaves, metadata not counted */
static __always_inline int svr_growth(const struct svr_pkt *pkt, const struct svr_flow *flow)
{
	int grow = 0;

	if (likely(!svr_reshapes(pkt, flow)))
		return 0;
	grow = (int)svr_l3_hlen(flow->flags) - (int)svr_l3_hlen(pkt->shape);
	if (flow->flags & SVR_FLOW_ENCAP)
		grow += SVR_UDP_HLEN;
	if (flow->flags & SVR_FLOW_DECAP)
		grow -= SVR_UDP_HLEN;
	return grow;
}

/* The protocol field of the IP header, and IPv4's checksum */
SVR_HELPER int svr_l3_set_proto(struct xdp_md *ctx, const struct svr_pkt *pkt, __u8 proto)
{
	struct svr_cursor nh = svr_cursor_at(ctx, pkt->l3);
	struct ipv6hdr *ip6 = nh.pos;
	struct iphdr *ip = nh.pos;

	if (svr_pkt_is6(pkt)) {
		if ((void *)(ip6 + 1) > nh.end)
			return -SVR_DROP_INTERNAL;
		ip6->nexthdr = proto;
		return SVR_NEXT;
	}
	if ((void *)(ip + 1) > nh.end)
		return -SVR_DROP_INTERNAL;
	/* The low half of the word that it shares with TTL */
	ip->check = svr_csum_apply(ip->check,
				   svr_csum_change(bpf_htons(ip->protocol), bpf_htons(proto)));
	ip->protocol = proto;
	return SVR_NEXT;
}

/*
 * A UDP header in front of a protocol without ports. Its ports are 0 until the flow's are put in.
 * From here on the packet is like one of UDP. Its checksum covers all of it: GRE has none of its
 * own, and over IPv6 UDP must have one.
 */
SVR_STEP int svr_encap(struct xdp_md *ctx, struct svr_pkt *pkt)
{
	struct udphdr udp = {};
	int res;

	if (!pkt || pkt->payload != pkt->l4)
		return -SVR_DROP_INTERNAL;
	res = svr_payload_shift(ctx, pkt, sizeof(udp), 0);
	if (res)
		return res;
	res = svr_l3_set_proto(ctx, pkt, IPPROTO_UDP);
	if (res)
		return res;
	udp.len = bpf_htons(svr_l4_len(pkt));
	if (bpf_xdp_store_bytes(ctx, pkt->l4, &udp, sizeof(udp)))
		return -SVR_DROP_INTERNAL;
	pkt->proto = IPPROTO_UDP;
	pkt->payload = pkt->l4 + sizeof(udp);
	pkt->payload_len -= sizeof(udp);
	return svr_csum_complete(ctx, pkt);
}

/* Traffic class: DSCP and ECN (RFC 2474, RFC 3168) mean the same in both families. */
SVR_HELPER int svr_l3_tclass(struct xdp_md *ctx, const struct svr_pkt *pkt)
{
	__u8 head[2];

	if (bpf_xdp_load_bytes(ctx, pkt->l3, head, sizeof(head)))
		return -SVR_DROP_INTERNAL;
	return svr_pkt_is6(pkt) ? (head[0] & 0x0f) << 4 | head[1] >> 4 : head[1];
}

/*
 * Identification and flags of an IPv4 packet that was IPv6: don't fragment, with identification 0.
 * The sender, an IPv6 host or a router that got it whole, expects nobody to fragment it. RFC 7915
 * 5.1, RFC 6864 4.1
 */
static __always_inline __be32 svr_ip4_atomic(void)
{
	return bpf_htonl(SVR_IP_DF);
}

/* @own: identification, flags and fragment offset */
static __always_inline void svr_ip4_make(struct iphdr *ip, const __be32 saddr[4],
					 const __be32 daddr[4], __u8 tclass, __be32 own, __u32 len,
					 __u8 ttl, __u8 proto)
{
	__builtin_memset(ip, 0, sizeof(*ip));
	ip->version = 4;
	ip->ihl = SVR_IP_HLEN / 4;
	ip->tos = tclass;
	ip->tot_len = bpf_htons(len);
	__builtin_memcpy(&ip->id, &own, sizeof(own));
	ip->ttl = ttl;
	ip->protocol = proto;
	ip->saddr = saddr[3];
	ip->daddr = daddr[3];
	ip->check = ~svr_csum_fold(bpf_csum_diff(NULL, 0, (__be32 *)ip, sizeof(*ip), 0));
}

static __always_inline void svr_ip6_make(struct ipv6hdr *ip6, const __be32 saddr[4],
					 const __be32 daddr[4], __u8 tclass, __be32 label,
					 __u32 len, __u8 hop_limit, __u8 proto)
{
	*(__be32 *)ip6 = bpf_htonl(SVR_IP6_VERSION | tclass << SVR_IP6_TCLASS_SHIFT) | label;
	ip6->payload_len = bpf_htons(len - SVR_IP6_HLEN);
	ip6->nexthdr = proto;
	ip6->hop_limit = hop_limit;
	svr_addr_copy(ip6->saddr.in6_u.u6_addr32, saddr);
	svr_addr_copy(ip6->daddr.in6_u.u6_addr32, daddr);
}

/* What a header has that only one family knows: IPv4's identification and flags, IPv6's label */
SVR_HELPER int svr_l3_own(struct xdp_md *ctx, const struct svr_pkt *pkt, __be32 *own)
{
	if (bpf_xdp_load_bytes(ctx, svr_pkt_is6(pkt) ? pkt->l3 : pkt->l3 + 4, own, sizeof(*own)))
		return -SVR_DROP_INTERNAL;
	if (svr_pkt_is6(pkt))
		*own &= bpf_htonl(SVR_FLOW_LABEL_MASK);
	return SVR_NEXT;
}

/* The IP header as the packet leaves, where pkt->l3 is now; @own as above */
SVR_HELPER int svr_l3_write(struct xdp_md *ctx, const struct svr_pkt *pkt,
			    const struct svr_flow *flow, __u8 tclass, __be32 own)
{
	struct svr_cursor nh = svr_cursor_at(ctx, pkt->l3);
	struct ipv6hdr *ip6 = nh.pos;
	struct iphdr ip;

	if (svr_pkt_is6(pkt)) {
		if ((void *)(ip6 + 1) > nh.end)
			return -SVR_DROP_INTERNAL;
		svr_ip6_make(ip6, flow->saddr, flow->daddr, tclass, own, pkt->ip_len, pkt->ttl - 1,
			     pkt->proto);
		return SVR_NEXT;
	}
	svr_ip4_make(&ip, flow->saddr, flow->daddr, tclass, own, pkt->ip_len, pkt->ttl - 1,
		     pkt->proto);
	return bpf_xdp_store_bytes(ctx, pkt->l3, &ip, sizeof(ip)) ? -SVR_DROP_INTERNAL : SVR_NEXT;
}

/*
 * Another family, or away with the UDP header: the IP header is made anew. What stands in front of
 * it is garbage afterwards, see svr_l2_retag(). L4 still has the ports and the checksum that it
 * arrived with.
 */
SVR_STEP int svr_reshape(struct xdp_md *ctx, struct svr_pkt *pkt, struct svr_flow *flow)
{
	int grow, tclass, res = SVR_NEXT;
	__be32 own;

	if (!pkt || !flow)
		return -SVR_DROP_INTERNAL;
	own = flow->flags & SVR_FLOW_OUT6 ? svr_flow_label(flow) : svr_ip4_atomic();
	tclass = svr_l3_tclass(ctx, pkt);
	if (tclass < 0)
		return tclass;
	if (!((flow->flags ^ pkt->shape) & SVR_FLOW_OUT6))
		res = svr_l3_own(ctx, pkt, &own);
	if (res)
		return res;
	grow = (int)svr_l3_hlen(flow->flags) - (int)svr_l3_hlen(pkt->shape);
	if (flow->flags & SVR_FLOW_DECAP)
		grow -= SVR_UDP_HLEN;
	if (grow && bpf_xdp_adjust_head(ctx, -grow))
		return -SVR_DROP_HEADROOM;
	pkt->ip_len += grow;
	pkt->shape = flow->flags & SVR_FLOW_OUT6;
	pkt->l4 = pkt->l3 + svr_l3_hlen(pkt->shape);
	pkt->proto = flow->proto;
	return svr_l3_write(ctx, pkt, flow, tclass, own);
}

#endif
