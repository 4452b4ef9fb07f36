/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * BPF side only: ICMP errors that this router sends about a packet that it cannot forward (RFC 792,
 * RFC 1191 4, RFC 4443 3), and how many of them.
 */
#ifndef SVR_BPF_ICMP_H
#define SVR_BPF_ICMP_H

#include "classify.h"
#include "shape.h"

enum svr_icmp {
	SVR_ICMP_TTL = 64,
	/* Longest message: what every host takes; RFC 1812 4.3.2.3, RFC 4443 2.4 */
	SVR_ICMP_LEN4 = 576,
	SVR_ICMP_LEN6 = SVR_IP6_MTU_MIN,

	SVR_ICMP6_UNREACH = 1,
	SVR_ICMP6_TOO_BIG = 2,
	SVR_ICMP6_TIME = 3,
	SVR_ICMP6_PARAM = 4,

	SVR_DSCP_MASK = 0xfc, /* without ECN */
	SVR_ICMP_GAP_NS = 1000000000 / SVR_ICMP_PER_SEC,
};

/* True if one more message about packets of the zone may be sent now. */
SVR_HELPER bool svr_icmp_allowed(__u32 zone)
{
	__u64 *full_at = bpf_map_lookup_elem(&svr_icmp_pace, &zone);

	if (!full_at)
		return false;
	if (svr_pace(full_at, SVR_ICMP_GAP_NS, SVR_ICMP_BURST))
		return true;
	svr_stat_add(zone, SVR_STAT_ICMP_LIMITED, 1);
	return false;
}

/*
 * The router's own address that a message to the sender of the packet comes from: the one that the
 * packet was sent to (a waypoint), otherwise the zone's first one of the family. False: it has none.
 */
SVR_HELPER bool svr_icmp_source(const struct svr_pkt *pkt, __be32 to[4])
{
	const struct svr_zone *zone = svr_zone_get(pkt->zone);
	bool found = false;
	__u32 i;

	if (!zone)
		return false;
	for (i = 0; i < SVR_ZONE_ADDRS; i++) {
		const struct svr_zone_addr *a = &zone->addr[i];

		if (i >= zone->addrs)
			break;
		if (svr_addr_is4(a->addr) == svr_pkt_is6(pkt))
			continue;
		if (!found || svr_addr_equal(a->addr, pkt->key.daddr)) {
			svr_addr_copy(to, a->addr);
			found = true;
		}
	}
	return found;
}

/* Folded sum of the pseudo header of an ICMPv6 message of @len bytes; RFC 4443 2.3 */
static __always_inline __u16 svr_icmp6_pseudo(const __be32 saddr[4], const __be32 daddr[4],
					      __u32 len)
{
	return svr_csum_fold(svr_csum_addr(saddr) + svr_csum_addr(daddr) + bpf_htons(len) +
			     bpf_htons(IPPROTO_ICMPV6));
}

/*
 * IP and ICMP header in front of the quotation, which stands in the packet already: @quote bytes
 * behind @hlen. From our address in the scratch. Nothing of this size is on the stack, which is deep
 * here: before Linux 6.8 every function on the way down takes a multiple of 32 bytes of the 512.
 */
SVR_STEP int svr_icmp_head(struct xdp_md *ctx, struct svr_pkt *pkt, struct svr_icmp_hdr *icmp,
			   __u32 quote, __u32 tclass)
{
	struct svr_scratch *s = svr_scratch_get();
	__u32 hlen, len;
	int sum;

	if (!pkt || !icmp || !s)
		return -SVR_DROP_INTERNAL;
	hlen = svr_l3_hlen(pkt->shape);
	len = sizeof(*icmp) + quote;
	sum = svr_csum_packet(ctx, pkt->l3 + hlen + sizeof(*icmp), quote);
	if (sum < 0)
		return sum;
	icmp->check = 0;
	sum = svr_csum_fold((__u64)sum +
			    bpf_csum_diff(NULL, 0, (__be32 *)icmp, sizeof(*icmp), 0));
	if (svr_pkt_is6(pkt)) {
		sum += svr_icmp6_pseudo(s->own, pkt->key.saddr, len);
		svr_ip6_make((struct ipv6hdr *)s->front.hdr, s->own, pkt->key.saddr, tclass, 0,
			     hlen + len, SVR_ICMP_TTL, IPPROTO_ICMPV6);
		if (bpf_xdp_store_bytes(ctx, pkt->l3, s->front.hdr, sizeof(struct ipv6hdr)))
			return -SVR_DROP_INTERNAL;
	} else {
		svr_ip4_make((struct iphdr *)s->front.hdr, s->own, pkt->key.saddr, tclass,
			     svr_ip4_atomic(), hlen + len, SVR_ICMP_TTL, IPPROTO_ICMP);
		if (bpf_xdp_store_bytes(ctx, pkt->l3, s->front.hdr, sizeof(struct iphdr)))
			return -SVR_DROP_INTERNAL;
	}
	icmp->check = ~svr_csum_fold(sum);
	return bpf_xdp_store_bytes(ctx, pkt->l3 + hlen, icmp, sizeof(*icmp)) ? -SVR_DROP_INTERNAL :
									       SVR_NEXT;
}

/* The link-layer header with the addresses swapped, moved to the front of a frame longer by @grow */
SVR_HELPER int svr_icmp_turn(struct xdp_md *ctx, const struct svr_pkt *pkt, __u32 grow)
{
	struct svr_scratch *s = svr_scratch_get();
	__u32 l3 = pkt->l3;
	__u8 mac[ETH_ALEN];

	if (!s || !svr_within(&l3, ETH_HLEN, ETH_HLEN + 2 * SVR_VLAN_HLEN) ||
	    bpf_xdp_load_bytes(ctx, 0, s->front.hdr, l3))
		return -SVR_DROP_INTERNAL;
	__builtin_memcpy(mac, s->front.hdr, ETH_ALEN);
	__builtin_memcpy(s->front.hdr, s->front.hdr + ETH_ALEN, ETH_ALEN);
	__builtin_memcpy(s->front.hdr + ETH_ALEN, mac, ETH_ALEN);
	if (bpf_xdp_adjust_head(ctx, -(int)grow))
		return -SVR_DROP_HEADROOM;
	return bpf_xdp_store_bytes(ctx, 0, s->front.hdr, l3) ? -SVR_DROP_INTERNAL : SVR_NEXT;
}

/*
 * A host on this machine may have left the checksum of the packet to others (svr_csum_is_partial());
 * in the quotation it would be a wrong one.
 */
static __always_inline int svr_icmp_finish_csum(struct xdp_md *ctx, struct svr_pkt *pkt)
{
	const struct svr_zone *zone = svr_zone_get(pkt->zone);
	int check;

	if (!zone || zone->role != SVR_ROLE_LAN ||
	    (pkt->proto != IPPROTO_TCP && pkt->proto != IPPROTO_UDP))
		return SVR_NEXT;
	check = svr_l4_check_load(ctx, pkt);
	if (check < 0)
		return check;
	if (svr_l4_check_absent(pkt, check) || !svr_csum_is_partial(pkt, check))
		return SVR_NEXT;
	return svr_csum_complete(ctx, pkt);
}

/**
 * svr_icmp_answer() - make the frame an ICMP error to its sender.
 * @icmp: type, code and the field behind the checksum
 * The frame must be untouched so far, so that the quotation is what the sender sent.
 * Return: 1 if it is on its way, 0 if nobody is told, a drop reason.
 */
SVR_STEP int svr_icmp_answer(struct xdp_md *ctx, struct svr_pkt *pkt, struct svr_icmp_hdr *icmp)
{
	struct svr_scratch *s = svr_scratch_get();
	__u32 hlen, quote;
	int tclass, len, res;

	if (!pkt || !icmp || !s)
		return -SVR_DROP_INTERNAL;
	if (!svr_addr_forwardable(pkt->key.saddr) || !svr_icmp_source(pkt, s->own) ||
	    !svr_icmp_allowed(pkt->zone))
		return 0;
	tclass = svr_l3_tclass(ctx, pkt);
	if (tclass < 0)
		return tclass;
	res = svr_icmp_finish_csum(ctx, pkt);
	if (res)
		return res;
	hlen = svr_l3_hlen(pkt->shape);
	quote = (svr_pkt_is6(pkt) ? SVR_ICMP_LEN6 : SVR_ICMP_LEN4) - hlen - sizeof(*icmp);
	if (quote > pkt->ip_len)
		quote = pkt->ip_len;
	len = bpf_xdp_get_buff_len(ctx);
	if (bpf_xdp_adjust_tail(ctx, (int)(pkt->l3 + quote) - len))
		return -SVR_DROP_INTERNAL;
	res = svr_icmp_turn(ctx, pkt, hlen + sizeof(*icmp));
	if (res)
		return res;
	res = svr_icmp_head(ctx, pkt, icmp, quote, tclass & SVR_DSCP_MASK);
	if (res)
		return res;
	/*
	 * Not XDP_TX: a veth wakes its peer for transmitted frames only if a program is attached
	 * there, for redirected ones also if GRO is on.
	 */
	return bpf_redirect_map(&svr_txports, pkt->zone, XDP_DROP) == XDP_REDIRECT;
}

/**
 * svr_icmp_too_big() - tell the sender that its packet does not fit.
 * @mtu: longest IP packet that would have fitted. Only for packets that nobody may cut, see
 * svr_too_long().
 * Return: SVR_TOO_BIG, or a drop reason.
 */
static __always_inline int svr_icmp_too_big(struct xdp_md *ctx, struct svr_pkt *pkt, __u32 mtu)
{
	struct svr_icmp_hdr icmp = { .type = ICMP_DEST_UNREACH, .code = ICMP_FRAG_NEEDED };
	int res;

	if (!pkt)
		return -SVR_DROP_INTERNAL;
	if (svr_pkt_is6(pkt)) {
		icmp.type = SVR_ICMP6_TOO_BIG;
		icmp.code = 0;
		/* A host takes no less for an answer; RFC 8201 4 */
		mtu = mtu < SVR_IP6_MTU_MIN ? SVR_IP6_MTU_MIN : mtu;
	}
	icmp.rest = bpf_htonl(mtu);
	res = svr_icmp_answer(ctx, pkt, &icmp);
	return res == 1 ? SVR_TOO_BIG : -SVR_DROP_TOO_BIG;
}

/**
 * svr_icmp_expired() - tell the sender that its packet has made too many hops.
 * Return: SVR_EXPIRED, or a drop reason.
 */
static __always_inline int svr_icmp_expired(struct xdp_md *ctx, struct svr_pkt *pkt)
{
	struct svr_icmp_hdr icmp = { .type = ICMP_TIME_EXCEEDED, .code = ICMP_EXC_TTL };

	if (!pkt)
		return -SVR_DROP_INTERNAL;
	if (svr_pkt_is6(pkt))
		icmp.type = SVR_ICMP6_TIME;
	return svr_icmp_answer(ctx, pkt, &icmp) == 1 ? SVR_EXPIRED : -SVR_DROP_TTL;
}

#endif
