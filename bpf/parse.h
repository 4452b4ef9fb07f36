/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * BPF side only: from the first byte of the frame to the start of the L4 payload. Reads only. Each
 * step of the parser is written once; what it finds goes to struct svr_pkt as offsets, because
 * packet pointers do not survive a subprogram.
 */
#ifndef SVR_BPF_PARSE_H
#define SVR_BPF_PARSE_H

#include "maps.h"

/*
 * What is known about the packet. Offsets count from the start of the frame and fit into a byte
 * (SVR_HDR_MAX), which also tells the verifier how far they can point. Steps that move headers keep
 * all of it right.
 */
struct svr_pkt {
	struct svr_flow4_key key; /* of this packet in svr_flows4 */
	__u32 zone; /* where it arrived */
	__u32 frame_len; /* as received, bytes */
	__u16 rx_len; /* IP total length as received */
	__u16 ip_len; /* IP total length now */
	__u16 payload_len; /* L4 payload now */
	__u8 l3, l4, payload; /* offsets */
	__u8 tcp_flags; /* enum svr_tcp_flag; 0 for UDP */
	__u8 padded; /* 1: bytes follow the IP packet (minimum Ethernet frame) */
	__u8 meta_known; /* 1: metadata was read into the scratch area, is still in the packet */
	__u32 _pad;
};

struct svr_cursor {
	void *pos;
	void *end;
};

static __always_inline struct svr_cursor svr_cursor_at(struct xdp_md *ctx, __u8 offset)
{
	struct svr_cursor nh = {
		.pos = (void *)(long)ctx->data + offset,
		.end = (void *)(long)ctx->data_end,
	};
	return nh;
}

/*
 * IEEE 802.1Q: the network interface that owns the tag. Inner ethertype, or a negative drop reason.
 */
SVR_HELPER int svr_parse_vlan(struct xdp_md *ctx, struct svr_pkt *pkt)
{
	struct svr_cursor nh = svr_cursor_at(ctx, ETH_HLEN);
	struct svr_vlan_key key = { .ifindex = ctx->ingress_ifindex };
	__be16 *tag = nh.pos; /* tag control information, inner ethertype */
	__u32 *zone;

	if ((void *)(tag + 2) > nh.end)
		return -SVR_DROP_SHORT;
	key.vlan = bpf_ntohs(tag[0]) & SVR_VLAN_VID_MASK;
	zone = bpf_map_lookup_elem(&svr_vlans, &key);
	if (!zone || !*zone)
		return -SVR_DROP_VLAN;
	pkt->zone = *zone;
	pkt->l3 = ETH_HLEN + SVR_VLAN_HLEN;
	return bpf_ntohs(tag[1]);
}

/*
 * No IPv4. ARP is the kernel's. So is what IPv6 hosts say on the link (neighbour discovery),
 * because the kernel may use the interface for IPv6 itself; the rest is transit traffic.
 */
SVR_HELPER int svr_parse_other(struct xdp_md *ctx, const struct svr_pkt *pkt, __u16 proto)
{
	struct svr_cursor nh = svr_cursor_at(ctx, pkt->l3);
	struct ipv6hdr *ip6 = nh.pos;
	const __u8 *dst;

	if (proto == ETH_P_ARP)
		return SVR_PASS;
	if (proto != ETH_P_IPV6)
		return -SVR_DROP_ETHERTYPE;
	if ((void *)(ip6 + 1) > nh.end)
		return -SVR_DROP_SHORT;
	dst = ip6->daddr.in6_u.u6_addr8;
	/*
	 * ff00::/8 and fe80::/10, RFC 4291 2.4; multicast listener reports have a router alert in
	 * front, RFC 3810 5
	 */
	if ((ip6->nexthdr == IPPROTO_ICMPV6 || ip6->nexthdr == IPPROTO_HOPOPTS) &&
	    (dst[0] == 0xff || (dst[0] == 0xfe && (dst[1] & 0xc0) == 0x80)))
		return SVR_PASS;
	return -SVR_DROP_IPV6;
}

static __always_inline int svr_parse_tcp(struct svr_cursor nh, struct svr_pkt *pkt)
{
	struct tcphdr *tcp = nh.pos;
	__u32 hlen;

	if ((void *)(tcp + 1) > nh.end)
		return -SVR_DROP_SHORT;
	hlen = (((__u8 *)tcp)[12] >> 4) * 4;
	if (hlen < sizeof(*tcp) || SVR_IP_HLEN + hlen > pkt->ip_len)
		return -SVR_DROP_BAD_L4;
	pkt->key.sport = tcp->source;
	pkt->key.dport = tcp->dest;
	pkt->tcp_flags = ((__u8 *)tcp)[13];
	pkt->payload = pkt->l4 + hlen;
	pkt->payload_len = pkt->ip_len - SVR_IP_HLEN - hlen;
	return SVR_NEXT;
}

static __always_inline int svr_parse_udp(struct svr_cursor nh, struct svr_pkt *pkt)
{
	struct udphdr *udp = nh.pos;

	if ((void *)(udp + 1) > nh.end)
		return -SVR_DROP_SHORT;
	if (pkt->ip_len < SVR_IP_HLEN + sizeof(*udp) ||
	    bpf_ntohs(udp->len) != pkt->ip_len - SVR_IP_HLEN)
		return -SVR_DROP_BAD_L4;
	pkt->key.sport = udp->source;
	pkt->key.dport = udp->dest;
	pkt->payload = pkt->l4 + sizeof(*udp);
	pkt->payload_len = pkt->ip_len - SVR_IP_HLEN - sizeof(*udp);
	return SVR_NEXT;
}

/*
 * As soon as addresses and protocol are known they are in pkt->key, so that the caller can still
 * tell the router's own traffic apart when a later check fails.
 */
static __always_inline int svr_parse_ipv4(struct svr_cursor nh, struct svr_pkt *pkt)
{
	struct iphdr *ip = nh.pos;
	__u32 len, ip_room = nh.end - nh.pos;

	if ((void *)(ip + 1) > nh.end)
		return -SVR_DROP_SHORT;
	len = bpf_ntohs(ip->tot_len);
	if (ip->version != 4 || ip->ihl * 4 < SVR_IP_HLEN || len < ip->ihl * 4 || len > ip_room)
		return -SVR_DROP_BAD_IP;
	pkt->key.saddr = ip->saddr;
	pkt->key.daddr = ip->daddr;
	pkt->key.zone = pkt->zone;
	pkt->key.proto = ip->protocol;
	pkt->rx_len = len;
	pkt->ip_len = len;
	pkt->padded = ip_room > len;
	if (ip->ihl * 4 != SVR_IP_HLEN)
		return -SVR_DROP_IP_OPTIONS;
	if (ip->frag_off & bpf_htons(SVR_IP_FRAGMENT))
		return -SVR_DROP_FRAGMENT;

	pkt->l4 = pkt->l3 + SVR_IP_HLEN;
	nh.pos = ip + 1;
	if (ip->protocol == IPPROTO_TCP)
		return svr_parse_tcp(nh, pkt);
	if (ip->protocol == IPPROTO_UDP)
		return svr_parse_udp(nh, pkt);
	return -SVR_DROP_PROTOCOL;
}

/**
 * svr_parse() - fill @pkt.
 * Return: SVR_NEXT for a TCP or UDP packet in IPv4 without options and fragments, whose lengths fit
 * one another; SVR_PASS for ARP and the like; a negative drop reason. pkt->rx_len is 0 as long as
 * no sound IPv4 header was found.
 */
static __always_inline int svr_parse(struct xdp_md *ctx, struct svr_pkt *pkt)
{
	struct svr_cursor nh = svr_cursor_at(ctx, 0);
	struct ethhdr *eth = nh.pos;
	int proto;

	pkt->zone = svr_zone;
	pkt->frame_len = nh.end - nh.pos;
	pkt->l3 = ETH_HLEN;
	if ((void *)(eth + 1) > nh.end)
		return -SVR_DROP_SHORT;
	proto = bpf_ntohs(eth->h_proto);
	if (unlikely(proto == ETH_P_8021Q)) {
		proto = svr_parse_vlan(ctx, pkt);
		if (proto < 0)
			return proto;
	}
	if (unlikely(!pkt->zone))
		return -SVR_DROP_NOT_CONFIGURED;
	if (unlikely(proto != ETH_P_IP))
		return svr_parse_other(ctx, pkt, proto);
	return svr_parse_ipv4(svr_cursor_at(ctx, pkt->l3), pkt);
}

/* True if the L4 payload starts with the cookie of metadata (docs/protocol.md 3). */
static __always_inline bool svr_has_cookie(struct xdp_md *ctx, const struct svr_pkt *pkt)
{
	struct svr_cursor nh = svr_cursor_at(ctx, pkt->payload);
	__be32 *word = nh.pos;

	if (pkt->payload_len < SVR_COOKIE_LEN || (void *)(word + 2) > nh.end)
		return false;
	return word[0] == bpf_htonl(SVR_COOKIE_HOST >> 32) &&
	       word[1] == bpf_htonl(SVR_COOKIE_HOST & 0xffffffff);
}

/*
 * Cut what follows the IP packet, so that nothing is ever put behind padding. Not for packets that
 * may end in SVR_PASS. Packet pointers are void afterwards.
 */
SVR_HELPER int svr_trim(struct xdp_md *ctx, struct svr_pkt *pkt)
{
	int len = bpf_xdp_get_buff_len(ctx);

	if (bpf_xdp_adjust_tail(ctx, pkt->l3 + pkt->ip_len - len))
		return -SVR_DROP_INTERNAL;
	pkt->padded = 0;
	return SVR_NEXT;
}

#endif
