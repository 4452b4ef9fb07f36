/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * BPF side only: from the first byte of the frame to the start of the L4 payload. Reads only. Each
 * step of the parser is written once; what it finds goes to struct svr_pkt as offsets, because
 * packet pointers do not survive a subprogram.
 */
#ifndef SVR_BPF_PARSE_H
#define SVR_BPF_PARSE_H

#include "flowtable.h"

/*
 * What is known about the packet. Offsets count from the start of the frame and fit into a byte
 * (SVR_HDR_MAX), which also tells the verifier how far they can point. Steps that move headers keep
 * all of it right.
 */
struct svr_pkt {
	struct svr_flow6_key key; /* of this packet, as it arrived */
	__u32 zone; /* where it arrived */
	__u32 frame_len; /* as received, bytes */
	__u32 shape; /* SVR_FLOW_OUT6 if the packet is IPv6 now, 0 if it is IPv4 */
	__u16 rx_len; /* IP total length as received; 0: there is no sound IP header */
	__u16 ip_len; /* IP total length now */
	__u16 payload_len; /* L4 payload now */
	__u8 l3, l4, payload; /* offsets; without ports payload is where L4 starts */
	__u8 proto; /* L4 protocol now */
	__u8 ttl; /* hop limit, as received */
	__u8 tcp_flags; /* enum svr_tcp_flag; 0 for everything but TCP */
	__u8 padded; /* 1: bytes follow the IP packet (minimum Ethernet frame) */
	__u8 meta_known; /* 1: metadata was read into the scratch area, is still in the packet */
	__u8 icmp_error; /* 1: ICMP message about another packet, which it quotes */
	__u8 _pad;
};

static __always_inline bool svr_pkt_is6(const struct svr_pkt *pkt)
{
	return pkt->shape;
}

/* Length of the IP header */
static __always_inline __u32 svr_l3_hlen(__u32 shape)
{
	return shape & SVR_FLOW_OUT6 ? SVR_IP6_HLEN : SVR_IP_HLEN;
}

/* Length of what follows it */
static __always_inline __u32 svr_l4_len(const struct svr_pkt *pkt)
{
	return pkt->ip_len - svr_l3_hlen(pkt->shape);
}

/* The protocol has no ports and crosses the WAN behind a UDP header; docs/protocol.md 2 */
static __always_inline bool svr_proto_portless(__u8 proto)
{
	return proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6 || proto == IPPROTO_GRE ||
	       proto == IPPROTO_ESP;
}

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
 * One tag of IEEE 802.1Q, or one of 802.1ad (@outer) in front of it: the network interface that owns
 * them. Ethertype behind them, or a negative drop reason.
 */
SVR_HELPER int svr_parse_vlan(struct xdp_md *ctx, struct svr_pkt *pkt, __u32 outer)
{
	struct svr_cursor nh = svr_cursor_at(ctx, ETH_HLEN);
	struct svr_vlan_key key = { .ifindex = ctx->ingress_ifindex };
	__be16 *tag = nh.pos; /* tag control information, inner ethertype */
	__u32 *zone;
	int proto;

	if ((void *)(tag + 2) > nh.end)
		return -SVR_DROP_SHORT;
	key.vlan = bpf_ntohs(tag[0]) & SVR_VLAN_VID_MASK;
	proto = bpf_ntohs(tag[1]);
	pkt->l3 = ETH_HLEN + SVR_VLAN_HLEN;
	if (outer == ETH_P_8021AD) {
		/* What it is without a customer's tag, no network interface says */
		if (proto != ETH_P_8021Q)
			return -SVR_DROP_VLAN;
		if ((void *)(tag + 4) > nh.end)
			return -SVR_DROP_SHORT;
		key.outer_vlan = key.vlan;
		key.vlan = bpf_ntohs(tag[2]) & SVR_VLAN_VID_MASK;
		proto = bpf_ntohs(tag[3]);
		pkt->l3 = ETH_HLEN + 2 * SVR_VLAN_HLEN;
	}
	/* Tags with number 0 carry a priority and no VLAN */
	if (!key.vlan && !key.outer_vlan)
		return proto;
	zone = bpf_map_lookup_elem(&svr_vlans, &key);
	if (!zone || !*zone)
		return -SVR_DROP_VLAN;
	pkt->zone = *zone;
	return proto;
}

static __always_inline int svr_parse_tcp(struct svr_cursor nh, struct svr_pkt *pkt, __u32 len)
{
	struct tcphdr *tcp = nh.pos;
	__u32 hlen;

	if ((void *)(tcp + 1) > nh.end)
		return -SVR_DROP_SHORT;
	hlen = (((__u8 *)tcp)[12] >> 4) * 4;
	if (hlen < sizeof(*tcp) || hlen > len)
		return -SVR_DROP_BAD_L4;
	pkt->key.sport = tcp->source;
	pkt->key.dport = tcp->dest;
	pkt->tcp_flags = ((__u8 *)tcp)[13];
	pkt->payload = pkt->l4 + hlen;
	pkt->payload_len = len - hlen;
	return SVR_NEXT;
}

static __always_inline int svr_parse_udp(struct svr_cursor nh, struct svr_pkt *pkt, __u32 len)
{
	struct udphdr *udp = nh.pos;

	if ((void *)(udp + 1) > nh.end)
		return -SVR_DROP_SHORT;
	if (len < sizeof(*udp) || bpf_ntohs(udp->len) != len)
		return -SVR_DROP_BAD_L4;
	/* RFC 8200 8.1: over IPv6 nobody may do without */
	if (unlikely(!udp->check) && svr_pkt_is6(pkt))
		return -SVR_DROP_BAD_CSUM;
	pkt->key.sport = udp->source;
	pkt->key.dport = udp->dest;
	pkt->payload = pkt->l4 + sizeof(*udp);
	pkt->payload_len = len - sizeof(*udp);
	return SVR_NEXT;
}

/* Echo is a conversation, errors are about one; the rest is between neighbours. */
static __always_inline int svr_parse_icmp(struct svr_cursor nh, struct svr_pkt *pkt)
{
	struct icmphdr *icmp = nh.pos; /* ICMPv6 has its fields at the same places */
	__u8 type;

	if ((void *)(icmp + 1) > nh.end)
		return -SVR_DROP_SHORT;
	if (svr_l4_len(pkt) < sizeof(*icmp))
		return -SVR_DROP_BAD_L4;
	type = icmp->type;
	if (type == (svr_pkt_is6(pkt) ? SVR_ICMP6_ECHO : SVR_ICMP_ECHO)) {
		pkt->key.sport = icmp->un.echo.id;
		return SVR_NEXT;
	}
	if (type == (svr_pkt_is6(pkt) ? SVR_ICMP6_ECHO_REPLY : SVR_ICMP_ECHO_REPLY)) {
		pkt->key.dport = icmp->un.echo.id;
		return SVR_NEXT;
	}
	pkt->icmp_error = svr_pkt_is6(pkt) ? type && !(type & SVR_ICMP6_INFO) :
					     type == ICMP_DEST_UNREACH ||
						     type == ICMP_TIME_EXCEEDED ||
						     type == ICMP_PARAMETERPROB;
	return -SVR_DROP_PROTOCOL;
}

/* Protocols without ports: the whole of L4 is payload. */
SVR_HELPER int svr_parse_portless(struct xdp_md *ctx, struct svr_pkt *pkt)
{
	pkt->payload = pkt->l4;
	pkt->payload_len = svr_l4_len(pkt);
	if (pkt->proto == (svr_pkt_is6(pkt) ? IPPROTO_ICMPV6 : IPPROTO_ICMP))
		return svr_parse_icmp(svr_cursor_at(ctx, pkt->l4), pkt);
	return pkt->proto == IPPROTO_GRE || pkt->proto == IPPROTO_ESP ? SVR_NEXT :
									-SVR_DROP_PROTOCOL;
}

/* @nh: behind the IP header; @len: what the IP header says that there is. A copy for each family. */
static __always_inline int svr_parse_l4(struct xdp_md *ctx, struct svr_cursor nh,
					struct svr_pkt *pkt, __u32 len)
{
	if (pkt->proto == IPPROTO_TCP)
		return svr_parse_tcp(nh, pkt, len);
	if (pkt->proto == IPPROTO_UDP)
		return svr_parse_udp(nh, pkt, len);
	return svr_parse_portless(ctx, pkt);
}

/*
 * Bytes behind the link-layer header of a frame that lies in more than one buffer (XDP multi-buffer).
 * Only the first one is seen through pointers; headers always are in there.
 */
SVR_HELPER __u32 svr_parse_buffers(struct xdp_md *ctx, struct svr_pkt *pkt)
{
	pkt->frame_len = bpf_xdp_get_buff_len(ctx);
	return pkt->frame_len - pkt->l3;
}

/*
 * As soon as addresses and protocol are known they are in pkt->key, so that the caller can still
 * tell the router's own traffic apart when a later check fails.
 */
static __always_inline int svr_parse_ipv4(struct xdp_md *ctx, struct svr_cursor nh,
					  struct svr_pkt *pkt)
{
	struct iphdr *ip = nh.pos;
	__u32 len, ip_room = nh.end - nh.pos;

	if ((void *)(ip + 1) > nh.end)
		return -SVR_DROP_SHORT;
	len = bpf_ntohs(ip->tot_len);
	if (unlikely(len > ip_room))
		ip_room = svr_parse_buffers(ctx, pkt);
	if (ip->version != 4 || ip->ihl * 4 < SVR_IP_HLEN || len < ip->ihl * 4 || len > ip_room)
		return -SVR_DROP_BAD_IP;
	/* svr_addr_map4(), into what is zero already */
	pkt->key.saddr[2] = pkt->key.daddr[2] = bpf_htonl(0xffff);
	pkt->key.saddr[3] = ip->saddr;
	pkt->key.daddr[3] = ip->daddr;
	pkt->key.zone = pkt->zone;
	pkt->key.proto = ip->protocol;
	pkt->proto = ip->protocol;
	pkt->ttl = ip->ttl;
	pkt->rx_len = len;
	pkt->ip_len = len;
	pkt->padded = ip_room > len;
	if (ip->ihl * 4 != SVR_IP_HLEN)
		return -SVR_DROP_IP_OPTIONS;
	if (ip->frag_off & bpf_htons(SVR_IP_FRAGMENT))
		return -SVR_DROP_FRAGMENT;
	pkt->l4 = pkt->l3 + SVR_IP_HLEN;
	nh.pos = ip + 1;
	return svr_parse_l4(ctx, nh, pkt, len - SVR_IP_HLEN);
}

/* RFC 8200 4: headers that may stand between the IPv6 header and L4 */
static __always_inline bool svr_is_ip6_extension(__u8 nexthdr)
{
	return nexthdr == IPPROTO_HOPOPTS || nexthdr == IPPROTO_ROUTING ||
	       nexthdr == IPPROTO_DSTOPTS || nexthdr == IPPROTO_AH || nexthdr == IPPROTO_MH;
}

/*
 * Extension headers are refused and not skipped: routers may, and a header that one waypoint
 * understands and the other one does not would make a session that works half.
 */
static __always_inline int svr_parse_ipv6(struct xdp_md *ctx, struct svr_cursor nh,
					  struct svr_pkt *pkt)
{
	struct ipv6hdr *ip6 = nh.pos;
	__u32 len, ip_room = nh.end - nh.pos;

	if ((void *)(ip6 + 1) > nh.end)
		return -SVR_DROP_SHORT;
	len = bpf_ntohs(ip6->payload_len) + SVR_IP6_HLEN;
	if (unlikely(len > ip_room))
		ip_room = svr_parse_buffers(ctx, pkt);
	if (ip6->version != 6 || len > ip_room)
		return -SVR_DROP_BAD_IP;
	svr_addr_copy(pkt->key.saddr, ip6->saddr.in6_u.u6_addr32);
	svr_addr_copy(pkt->key.daddr, ip6->daddr.in6_u.u6_addr32);
	/* In our tables that is IPv4, and nobody may send it; RFC 4291 2.5.5.2, RFC 6890 */
	if (svr_addr_is4(pkt->key.saddr) || svr_addr_is4(pkt->key.daddr))
		return -SVR_DROP_BAD_IP;
	pkt->shape = SVR_FLOW_OUT6;
	pkt->key.zone = pkt->zone;
	pkt->key.proto = ip6->nexthdr;
	pkt->proto = ip6->nexthdr;
	pkt->ttl = ip6->hop_limit;
	pkt->rx_len = len;
	pkt->ip_len = len;
	pkt->padded = ip_room > len;
	if (ip6->nexthdr == IPPROTO_FRAGMENT)
		return -SVR_DROP_FRAGMENT;
	if (svr_is_ip6_extension(ip6->nexthdr))
		return -SVR_DROP_IP6_EXTENSION;
	pkt->l4 = pkt->l3 + SVR_IP6_HLEN;
	nh.pos = ip6 + 1;
	return svr_parse_l4(ctx, nh, pkt, len - SVR_IP6_HLEN);
}

/**
 * svr_parse() - fill @pkt.
 * Return: SVR_NEXT for a packet that may belong to a session: TCP, UDP, ICMP echo, GRE or ESP
 * without IPv4 options, IPv6 extension headers and fragments, whose lengths fit one another;
 * SVR_PASS for ARP, and for what was sent to all of a link or to a group of it: no router forwards
 * that (RFC 1812 5.3.4), and the kernel knows what is for itself; a negative drop reason. pkt->rx_len is 0 as long as no sound IP header was
 * found; pkt->icmp_error may be set.
 */
static __always_inline int svr_parse(struct xdp_md *ctx, struct svr_pkt *pkt)
{
	struct svr_cursor nh = svr_cursor_at(ctx, 0);
	struct ethhdr *eth = nh.pos;
	bool to_group;
	int proto;

	pkt->zone = svr_zone;
	pkt->frame_len = nh.end - nh.pos;
	pkt->l3 = ETH_HLEN;
	if ((void *)(eth + 1) > nh.end)
		return -SVR_DROP_SHORT;
	to_group = eth->h_dest[0] & SVR_MAC_GROUP;
	proto = bpf_ntohs(eth->h_proto);
	if (unlikely(proto == ETH_P_8021Q || proto == ETH_P_8021AD)) {
		proto = svr_parse_vlan(ctx, pkt, proto);
		if (proto < 0)
			return proto;
	}
	if (unlikely(!pkt->zone))
		return -SVR_DROP_NOT_CONFIGURED;
	if (unlikely(to_group))
		return SVR_PASS;
	nh = svr_cursor_at(ctx, pkt->l3);
	if (likely(proto == ETH_P_IP))
		return svr_parse_ipv4(ctx, nh, pkt);
	if (proto == ETH_P_IPV6)
		return svr_parse_ipv6(ctx, nh, pkt);
	return proto == ETH_P_ARP ? SVR_PASS : -SVR_DROP_ETHERTYPE;
}

/* The flow of the packet */
static __always_inline struct svr_flow *svr_flow_of(const struct svr_pkt *pkt)
{
	svr_flow_word key4[SVR_FLOW4_WORDS];

	if (unlikely(svr_pkt_is6(pkt)))
		return svr_flow_find6(&pkt->key);
	svr_flow4_words(&pkt->key, key4);
	return svr_flow_find4(key4[0], key4[1]);
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
