/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * BPF side only: ICMP errors about packets of a session, from whichever side they come, sent on to
 * whom they concern.
 *
 *   message  as it arrives    IP | ICMP | quoted: IP, L4, payload         addresses of this side
 *            as it leaves     IP | ICMP | quoted: IP, L4, payload         addresses of the other side
 *
 * The flow that the quoted packet's answers would take is the way that the message goes, and what
 * that flow rewrites to, mirrored, is the quoted packet as the other side knows it. All headers up
 * to the quoted L4's ports are made anew, in the family of the other side.
 *
 * Of a packet of a signed or secret session nothing is quoted but the start of its L4 header: what
 * follows is cipher text, or on the way to the peer plain text that must not leave.
 */
#ifndef SVR_BPF_ICMP_MAP_H
#define SVR_BPF_ICMP_MAP_H

#include "icmp.h"
#include "meta.h"
#include "rewrite.h"

enum svr_icmp_map {
	SVR_ICMP4_MTU_MIN = 68, /* RFC 791 3.1 */

	SVR_UNREACH_NET = 0, /* codes of ICMP destination unreachable; RFC 792, RFC 1812 5.2.7.1 */
	SVR_UNREACH_HOST = 1,
	SVR_UNREACH_PROTO = 2,
	SVR_UNREACH_PORT = 3,
	SVR_UNREACH_ADMIN = 10, /* 9, 10 and 13: somebody does not allow it */
	SVR_UNREACH_FILTERED = 13,
	SVR_UNREACH6_ADMIN = 1, /* and of ICMPv6; RFC 4443 3.1 */
	SVR_UNREACH6_ADDR = 3,
	SVR_UNREACH6_PORT = 4,
	SVR_PARAM6_NEXTHDR = 1,
};

/* Bytes that an HMAC appends; 0: none */
static __always_inline __u32 svr_tag_len(__u8 hmac)
{
	switch (hmac) {
#define X(id, n, s, tag) \
	case n:          \
		return tag;
		SVR_HMACS(X)
#undef X
	}
	return 0;
}

/* enum svr_cipher of the flow's session */
static __always_inline __u32 svr_flow_cipher(const struct svr_flow *flow)
{
	__u32 id = flow->policy;
	const struct svr_policy *policy = bpf_map_lookup_elem(&svr_policies, &id);

	return flow->flags & SVR_FLOW_WORKER && policy ? policy->cipher : SVR_CIPHER_NONE;
}

static __always_inline bool svr_flow_encrypts(const struct svr_flow *flow)
{
	return svr_flow_cipher(flow) != SVR_CIPHER_NONE;
}

static __always_inline bool svr_cipher_pads(__u32 cipher)
{
	return cipher == SVR_CIPHER_AES_CBC_128 || cipher == SVR_CIPHER_AES_CBC_256;
}

/* Bytes of IV or nonce, and tag, that packets of the flow's session have between the routers */
static __always_inline __u32 svr_flow_trailer(const struct svr_flow *flow)
{
	__u32 id = flow->policy, len;
	const struct svr_policy *policy = bpf_map_lookup_elem(&svr_policies, &id);

	if (!(flow->flags & SVR_FLOW_WORKER) || !policy)
		return 0;
	len = svr_tag_len(policy->hmac);
	if (svr_cipher_pads(policy->cipher))
		return len + SVR_BLOCK_LEN;
	return policy->cipher == SVR_CIPHER_NONE ? len : SVR_GCM_EXPLICIT_LEN + SVR_GCM_TAG_LEN;
}

/* The quoted IP header: addresses, length, protocol. False if it is none that we could have sent. */
static __always_inline bool svr_quote_read_l3(struct xdp_md *ctx, const struct svr_pkt *pkt,
					      struct svr_quote *q)
{
	struct ipv6hdr ip6;
	struct iphdr ip;

	q->l3 = pkt->l4 + SVR_ICMP_HLEN;
	q->end = pkt->l3 + pkt->ip_len;
	q->l4 = q->l3 + svr_l3_hlen(pkt->shape);
	if (q->l4 + SVR_QUOTED_L4 > q->end)
		return false;
	if (svr_pkt_is6(pkt)) {
		if (bpf_xdp_load_bytes(ctx, q->l3, &ip6, sizeof(ip6)) || ip6.version != 6)
			return false;
		svr_addr_copy(q->key.saddr, ip6.daddr.in6_u.u6_addr32);
		svr_addr_copy(q->key.daddr, ip6.saddr.in6_u.u6_addr32);
		q->tclass = ip6.priority << 4 | ip6.flow_lbl[0] >> 4;
		q->ttl = ip6.hop_limit;
		q->proto = ip6.nexthdr;
		q->ip_len = bpf_ntohs(ip6.payload_len) + SVR_IP6_HLEN;
		return !svr_addr_is4(q->key.saddr) && !svr_addr_is4(q->key.daddr);
	}
	if (bpf_xdp_load_bytes(ctx, q->l3, &ip, sizeof(ip)) || ip.version != 4 ||
	    ip.ihl * 4 != SVR_IP_HLEN || ip.frag_off & bpf_htons(SVR_IP_FRAGMENT))
		return false;
	svr_addr_map4(q->key.saddr, ip.daddr);
	svr_addr_map4(q->key.daddr, ip.saddr);
	q->tclass = ip.tos;
	q->ttl = ip.ttl;
	q->proto = ip.protocol;
	q->ip_len = bpf_ntohs(ip.tot_len);
	return true;
}

/* Ports of the quoted packet, or what stands for them (struct svr_flow6_key), mirrored */
static __always_inline void svr_quote_read_ports(const struct svr_pkt *pkt, struct svr_quote *q)
{
	const __be16 *word = (const __be16 *)q->head;
	__u8 type = q->head[0];

	q->key.zone = pkt->zone;
	q->key.proto = q->proto;
	if (q->proto == IPPROTO_TCP || q->proto == IPPROTO_UDP) {
		q->key.sport = word[1];
		q->key.dport = word[0];
	} else if (q->proto == (svr_pkt_is6(pkt) ? IPPROTO_ICMPV6 : IPPROTO_ICMP)) {
		if (type == (svr_pkt_is6(pkt) ? SVR_ICMP6_ECHO : SVR_ICMP_ECHO))
			q->key.dport = word[2];
		else if (type == (svr_pkt_is6(pkt) ? SVR_ICMP6_ECHO_REPLY : SVR_ICMP_ECHO_REPLY))
			q->key.sport = word[2];
	}
}

/* Length of metadata that starts at @off of the quoted packet, 0: none does */
SVR_HELPER __u32 svr_quote_meta_len(struct xdp_md *ctx, __u32 off)
{
	const __u8 cookie[] = SVR_COOKIE_BYTES;
	struct svr_meta_hdr hdr;
	__u32 len, i;

	if (bpf_xdp_load_bytes(ctx, off, &hdr, sizeof(hdr)))
		return 0;
	for (i = 0; i < sizeof(cookie); i++) {
		if (hdr.cookie[i] != cookie[i])
			return 0;
	}
	len = (bpf_ntohs(hdr.ver_hlen) & SVR_META_HLEN_MASK) + bpf_ntohs(hdr.payload_len);
	return len <= SVR_META_MAX ? len : 0;
}

/* What the quoted packet has in front of the host's data: metadata, a UDP header of ours */
SVR_HELPER void svr_quote_read_front(struct xdp_md *ctx, const struct svr_flow *flow,
				     struct svr_quote *q)
{
	__u8 doff = 0;

	if (!(flow->flags & SVR_FLOW_FROM_WAN))
		return;
	q->trailer = svr_flow_trailer(flow);
	if (q->proto == IPPROTO_UDP)
		q->meta_len = svr_quote_meta_len(ctx, q->l4 + SVR_UDP_HLEN);
	else if (!bpf_xdp_load_bytes(ctx, q->l4 + 12, &doff, sizeof(doff)))
		q->meta_len = svr_quote_meta_len(ctx, q->l4 + (doff >> 4) * 4);
	if (flow->flags & SVR_FLOW_DECAP)
		q->skip = SVR_UDP_HLEN + q->meta_len;
}

/*
 * MTU for the side that the message goes to. A packet of that side is longer by @more when it is on
 * the side that the message comes from.
 */
static __always_inline __u32 svr_icmp_map_mtu(__u32 mtu, int more, bool to6)
{
	__u32 least = to6 ? SVR_IP6_MTU_MIN : SVR_ICMP4_MTU_MIN;

	/* Routers from before RFC 1191 do not say, and what they mean can only be guessed */
	if (!mtu)
		return to6 ? least : 0;
	return (int)mtu - more > (int)least ? mtu - more : least;
}

/* RFC 7915 4.2: ICMPv4 error as ICMPv6. False if it means nothing there. */
static __always_inline bool svr_icmp_4to6(struct svr_icmp_hdr *icmp)
{
	__u8 code = icmp->code;

	icmp->code = 0;
	if (icmp->type == ICMP_TIME_EXCEEDED) {
		icmp->type = SVR_ICMP6_TIME;
		icmp->code = code;
		return true;
	}
	if (icmp->type != ICMP_DEST_UNREACH)
		return false;
	icmp->type = SVR_ICMP6_UNREACH;
	if (code == ICMP_FRAG_NEEDED) {
		icmp->type = SVR_ICMP6_TOO_BIG;
	} else if (code == SVR_UNREACH_PORT) {
		icmp->code = SVR_UNREACH6_PORT;
	} else if (code == SVR_UNREACH_PROTO) {
		icmp->type = SVR_ICMP6_PARAM;
		icmp->code = SVR_PARAM6_NEXTHDR;
		icmp->rest = bpf_htonl(__builtin_offsetof(struct ipv6hdr, nexthdr));
	} else if (code == 9 || code == SVR_UNREACH_ADMIN || code == SVR_UNREACH_FILTERED) {
		icmp->code = SVR_UNREACH6_ADMIN;
	}
	return true;
}

/* RFC 7915 5.2: the reverse */
static __always_inline bool svr_icmp_6to4(struct svr_icmp_hdr *icmp)
{
	__u8 code = icmp->code;

	if (icmp->type == SVR_ICMP6_TIME) {
		icmp->type = ICMP_TIME_EXCEEDED;
		return true;
	}
	if (icmp->type == SVR_ICMP6_PARAM && code == SVR_PARAM6_NEXTHDR) {
		icmp->code = SVR_UNREACH_PROTO;
		icmp->rest = 0;
	} else if (icmp->type == SVR_ICMP6_TOO_BIG) {
		icmp->code = ICMP_FRAG_NEEDED;
	} else if (icmp->type == SVR_ICMP6_UNREACH && code <= SVR_UNREACH6_PORT) {
		icmp->code = code == SVR_UNREACH6_PORT  ? SVR_UNREACH_PORT :
			     code == SVR_UNREACH6_ADMIN ? SVR_UNREACH_ADMIN :
							  SVR_UNREACH_HOST;
	} else {
		return false;
	}
	icmp->type = ICMP_DEST_UNREACH;
	return true;
}

static __always_inline bool svr_icmp_is_too_big(const struct svr_icmp_hdr *icmp, bool ipv6)
{
	return ipv6 ? icmp->type == SVR_ICMP6_TOO_BIG :
		      icmp->type == ICMP_DEST_UNREACH && icmp->code == ICMP_FRAG_NEEDED;
}

/* Only the host that the quoted packet was for says that. */
static __always_inline bool svr_icmp_is_of_host(const struct svr_icmp_hdr *icmp, bool ipv6)
{
	return ipv6 ? icmp->type == SVR_ICMP6_UNREACH && icmp->code == SVR_UNREACH6_PORT :
		      icmp->type == ICMP_DEST_UNREACH &&
			      (icmp->code == SVR_UNREACH_PORT || icmp->code == SVR_UNREACH_PROTO);
}

/* Type, code and MTU for the other side. SVR_NEXT or a drop reason. */
SVR_STEP int svr_icmp_map_type(struct svr_pkt *pkt, struct svr_flow *flow, struct svr_icmp_hdr *icmp)
{
	bool from6, to6, too_big;
	struct svr_flow *opposite;
	int more, meta = 0;

	if (!pkt || !flow || !icmp)
		return -SVR_DROP_INTERNAL;
	from6 = svr_pkt_is6(pkt);
	to6 = flow->flags & SVR_FLOW_OUT6;
	too_big = svr_icmp_is_too_big(icmp, from6);
	if (from6 != to6 && !(to6 ? svr_icmp_4to6(icmp) : svr_icmp_6to4(icmp)))
		return -SVR_DROP_PROTOCOL;
	if (!too_big)
		return SVR_NEXT;
	more = (int)svr_l3_hlen(pkt->shape) - (int)svr_l3_hlen(flow->flags);
	if (flow->flags & SVR_FLOW_DECAP)
		more += SVR_UDP_HLEN;
	if (flow->flags & SVR_FLOW_ENCAP)
		more -= SVR_UDP_HLEN;
	/* Padding is counted on one side only: rather a few bytes less than too many */
	if (flow->flags & SVR_FLOW_FROM_WAN)
		more += svr_flow_trailer(flow) + (svr_cipher_pads(svr_flow_cipher(flow)) ? SVR_BLOCK_LEN : 0);
	else
		more -= svr_flow_trailer(flow);
	opposite = svr_flow_opposite(flow);
	if (opposite && flow->flags & SVR_FLOW_FROM_WAN && opposite->flags & SVR_FLOW_META_ADD)
		meta = svr_meta_plan(opposite, to6);
	if (meta > 0)
		more += meta;
	/* Above the MTU ICMPv4 has zeros, and RFC 4884's length of the quotation */
	icmp->rest = bpf_htonl(svr_icmp_map_mtu(
		from6 ? bpf_ntohl(icmp->rest) : bpf_ntohl(icmp->rest) & 0xffff, more, to6));
	return SVR_NEXT;
}

/*
 * Who says it, for the other side. To a peer this is the waypoint. To a host: who said it, if that
 * is a router on the way, or the far host itself, whom the peer speaks for, or this router where
 * the family cannot name the one who said it.
 */
SVR_HELPER void svr_icmp_map_source(const struct svr_pkt *pkt, const struct svr_flow *flow,
				    const struct svr_quote *q, __be32 from[4])
{
	bool from6 = svr_pkt_is6(pkt), to6 = flow->flags & SVR_FLOW_OUT6;
	const struct svr_zone *zone;
	__u32 i;

	svr_addr_copy(from, flow->saddr);
	if (!(flow->flags & SVR_FLOW_FROM_WAN))
		return;
	if (svr_addr_equal(pkt->key.saddr, q->key.saddr) && svr_icmp_is_of_host(&q->icmp, from6))
		return;
	if (from6 == to6) {
		svr_addr_copy(from, pkt->key.saddr);
		return;
	}
	zone = svr_zone_get(flow->out_zone);
	for (i = 0; zone && i < SVR_ZONE_ADDRS && i < zone->addrs; i++) {
		if (svr_addr_is4(zone->addr[i].addr) != to6) {
			svr_addr_copy(from, zone->addr[i].addr);
			return;
		}
	}
}

/* The headers as they leave, in the order of the packet. Only one family's parts are used. */
struct svr_icmp_made {
	__be32 from[4], to[4]; /* addresses of the message */
	__u32 l3_hlen;
	__u32 quoted; /* bytes of the quoted L4 that are made anew */
	__u32 rest; /* bytes that stay behind them */
	__u8 l4[SVR_UDP_HLEN + SVR_QUOTED_L4];
};

/*
 * The header of a quoted ICMP echo that nobody here can read, because it is encrypted: its type and
 * identifier are the session's.
 */
static __always_inline void svr_icmp_map_echo(const struct svr_flow *flow, struct svr_icmp_made *m)
{
	__be16 id = flow->dport ? flow->dport : flow->sport;

	if (flow->proto == IPPROTO_ICMPV6)
		m->l4[0] = flow->dport ? SVR_ICMP6_ECHO : SVR_ICMP6_ECHO_REPLY;
	else if (flow->proto == IPPROTO_ICMP)
		m->l4[0] = flow->dport ? SVR_ICMP_ECHO : SVR_ICMP_ECHO_REPLY;
	else
		return;
	__builtin_memcpy(m->l4 + __builtin_offsetof(struct svr_icmp_hdr, rest), &id, sizeof(id));
}

/* The start of the quoted L4 as the other side knows it */
SVR_STEP int svr_icmp_map_l4(struct xdp_md *ctx, struct svr_flow *flow, struct svr_quote *q,
			     struct svr_icmp_made *m)
{
	__be16 ports[4] = {};
	__u16 check;

	if (!flow || !q || !m)
		return -SVR_DROP_INTERNAL;
	m->quoted = SVR_QUOTED_L4;
	m->rest = q->skip || q->meta_len || flow->flags & SVR_FLOW_WORKER ?
			  0 :
			  q->end - q->l4 - SVR_QUOTED_L4;
	ports[0] = flow->dport; /* the quoted packet went the other way */
	ports[1] = flow->sport;
	if (flow->flags & SVR_FLOW_ENCAP) {
		ports[2] = bpf_htons(q->ip_len - (q->l4 - q->l3) + SVR_UDP_HLEN);
		__builtin_memcpy(m->l4, ports, sizeof(ports));
		m->rest = 0;
		if (flow->flags & SVR_FLOW_WORKER)
			return SVR_NEXT;
		__builtin_memcpy(m->l4 + sizeof(ports), q->head, SVR_QUOTED_L4);
		m->quoted += SVR_UDP_HLEN;
		return SVR_NEXT;
	}
	if (q->skip && svr_flow_encrypts(flow)) {
		svr_icmp_map_echo(flow, m);
		return SVR_NEXT;
	}
	if (q->skip) {
		if (q->l4 + q->skip + SVR_QUOTED_L4 > q->end ||
		    bpf_xdp_load_bytes(ctx, q->l4 + q->skip, m->l4, SVR_QUOTED_L4))
			return -SVR_DROP_ICMP_UNMATCHED;
		return SVR_NEXT;
	}
	__builtin_memcpy(m->l4, q->head, SVR_QUOTED_L4);
	if (q->proto != IPPROTO_TCP && q->proto != IPPROTO_UDP)
		return SVR_NEXT;
	__builtin_memcpy(m->l4, ports, 2 * sizeof(ports[0]));
	if (q->proto == IPPROTO_TCP)
		return SVR_NEXT;
	/* Length without metadata. The checksum covers what is not quoted: changed, as for the packet */
	__builtin_memcpy(ports, q->head, sizeof(ports));
	ports[2] = bpf_htons(bpf_ntohs(ports[2]) - q->meta_len - q->trailer);
	check = ports[3];
	if (flow->flags & SVR_FLOW_WORKER || q->meta_len)
		check = 0; /* it covered another payload */
	else if (check)
		check = svr_csum_apply(check, flow->l4_delta);
	ports[3] = check;
	__builtin_memcpy(m->l4 + 4, &ports[2], 2 * sizeof(ports[0]));
	return SVR_NEXT;
}

/* The checksum of a quoted TCP header, if so much is quoted: svr_flow.l4_delta is symmetrical. */
SVR_HELPER void svr_icmp_map_tcp_check(struct xdp_md *ctx, const struct svr_flow *flow,
				       const struct svr_quote *q)
{
	__u32 off = q->l4 + __builtin_offsetof(struct tcphdr, check);
	__u16 check;

	if (q->proto != IPPROTO_TCP || flow->flags & SVR_FLOW_WORKER ||
	    off + sizeof(check) > q->end ||
	    bpf_xdp_load_bytes(ctx, off, &check, sizeof(check)))
		return;
	check = svr_csum_apply(check, flow->l4_delta);
	bpf_xdp_store_bytes(ctx, off, &check, sizeof(check));
}

/* IP header, ICMP header, quoted IP header into the scratch area. Length of them. */
SVR_STEP int svr_icmp_map_headers(struct svr_flow *flow, struct svr_quote *q,
				  struct svr_icmp_made *m, __u32 tclass)
{
	struct svr_scratch *s = svr_scratch_get();
	__u32 len, quoted_len;
	__u8 proto;

	if (!s || !flow || !q || !m)
		return -SVR_DROP_INTERNAL;
	m->l3_hlen = svr_l3_hlen(flow->flags);
	svr_addr_copy(m->to, flow->daddr);
	len = 2 * m->l3_hlen + SVR_ICMP_HLEN + m->quoted + m->rest;
	quoted_len = q->ip_len - (q->l4 - q->l3) - q->skip - q->trailer + m->l3_hlen;
	if (flow->flags & SVR_FLOW_ENCAP)
		quoted_len += SVR_UDP_HLEN;
	if (!q->skip)
		quoted_len -= q->meta_len;
	proto = flow->proto; /* both directions have the same */
	if (flow->flags & SVR_FLOW_OUT6) {
		svr_ip6_make((struct ipv6hdr *)s->front.hdr, m->from, m->to, tclass, 0, len,
			     SVR_ICMP_TTL, IPPROTO_ICMPV6);
		svr_ip6_make((struct ipv6hdr *)(s->front.hdr + SVR_IP6_HLEN + SVR_ICMP_HLEN),
			     flow->daddr, flow->saddr, q->tclass, 0, quoted_len, q->ttl, proto);
		__builtin_memcpy(s->front.hdr + SVR_IP6_HLEN, &q->icmp, SVR_ICMP_HLEN);
		__builtin_memcpy(s->front.hdr + 2 * SVR_IP6_HLEN + SVR_ICMP_HLEN, m->l4,
				 sizeof(m->l4));
	} else {
		svr_ip4_make((struct iphdr *)s->front.hdr, m->from, m->to, tclass, svr_ip4_atomic(),
			     len, SVR_ICMP_TTL, IPPROTO_ICMP);
		svr_ip4_make((struct iphdr *)(s->front.hdr + SVR_IP_HLEN + SVR_ICMP_HLEN),
			     flow->daddr, flow->saddr, q->tclass, svr_ip4_atomic(), quoted_len,
			     q->ttl, proto);
		__builtin_memcpy(s->front.hdr + SVR_IP_HLEN, &q->icmp, SVR_ICMP_HLEN);
		__builtin_memcpy(s->front.hdr + 2 * SVR_IP_HLEN + SVR_ICMP_HLEN, m->l4,
				 sizeof(m->l4));
	}
	return 2 * m->l3_hlen + SVR_ICMP_HLEN + m->quoted;
}

/* Put @made bytes of headers in the place of the old ones, and the checksum of the message. */
SVR_STEP int svr_icmp_map_write(struct xdp_md *ctx, struct svr_pkt *pkt, struct svr_quote *q,
				struct svr_icmp_made *m, __u32 made)
{
	struct svr_scratch *s = svr_scratch_get();
	__u32 old, icmp_len, check_off;
	int frame = bpf_xdp_get_buff_len(ctx), sum;
	__u16 check;

	if (!s || !pkt || !q || !m)
		return -SVR_DROP_INTERNAL;
	old = q->l4 + SVR_QUOTED_L4 - pkt->l3;
	if (bpf_xdp_adjust_tail(ctx, (int)(q->l4 + SVR_QUOTED_L4 + m->rest) - frame) ||
	    (made != old && bpf_xdp_adjust_head(ctx, (int)old - (int)made)))
		return -SVR_DROP_HEADROOM;
	if (!svr_within(&made, 1, sizeof(s->front.hdr)) ||
	    bpf_xdp_store_bytes(ctx, pkt->l3, s->front.hdr, made))
		return -SVR_DROP_INTERNAL;
	pkt->ip_len = made + m->rest;
	pkt->l4 = pkt->l3 + m->l3_hlen;
	icmp_len = pkt->ip_len - m->l3_hlen;
	sum = svr_csum_packet(ctx, pkt->l4, icmp_len);
	if (sum < 0)
		return sum;
	if (m->l3_hlen == SVR_IP6_HLEN)
		sum += svr_icmp6_pseudo(m->from, m->to, icmp_len);
	check = ~svr_csum_fold(sum);
	check_off = pkt->l4 + __builtin_offsetof(struct svr_icmp_hdr, check);
	return bpf_xdp_store_bytes(ctx, check_off, &check, sizeof(check)) ? -SVR_DROP_INTERNAL :
									    SVR_NEXT;
}

/* The quoted packet of an ICMP error, and its flow. NULL: it is no packet of ours. */
SVR_HELPER struct svr_flow *svr_icmp_map_find(struct xdp_md *ctx, const struct svr_pkt *pkt,
					      struct svr_quote *q)
{
	if (bpf_xdp_load_bytes(ctx, pkt->l4, &q->icmp, sizeof(q->icmp)) ||
	    !svr_quote_read_l3(ctx, pkt, q) || bpf_xdp_load_bytes(ctx, q->l4, q->head, sizeof(q->head)))
		return NULL;
	/* Who sent the packet gets the message */
	if (!svr_addr_equal(pkt->key.daddr, q->key.daddr))
		return NULL;
	svr_quote_read_ports(pkt, q);
	return svr_flow_get(&q->key);
}

/*
 * Who gets what the worker sends out of a flow from the WAN (svr_session_lan_target() there). False: it
 * cannot be told.
 */
SVR_HELPER bool svr_icmp_map_neighbour(const struct svr_flow *flow, __be32 neighbour[4])
{
	const struct svr_service *service;
	__u32 id = flow->service;

	if (flow->flags & SVR_FLOW_REV)
		return svr_gateway_for(flow->out_zone, flow->daddr, neighbour);
	service = bpf_map_lookup_elem(&svr_services, &id);
	if (!service)
		return false;
	if (service->route_kind == SVR_ROUTE_LOCAL && !svr_addr_is_zero(service->gateway) &&
	    svr_addr_is4(service->gateway) == svr_addr_is4(flow->daddr))
		svr_addr_copy(neighbour, service->gateway);
	else
		svr_addr_copy(neighbour, flow->daddr);
	return true;
}

/* Where the message goes. SVR_NEXT or a drop reason. */
SVR_HELPER int svr_icmp_map_way(const struct svr_pkt *pkt, const struct svr_flow *flow,
				struct svr_way *way)
{
	__be32 neighbour[4];
	__u32 nexthop;
	int res;

	if (!(flow->flags & SVR_FLOW_FROM_WAN))
		return svr_way_find_path(pkt, flow, way);
	res = svr_way_find(pkt, flow, way);
	if (res != -SVR_DROP_NO_NEIGHBOUR || !(flow->flags & SVR_FLOW_WORKER))
		return res;
	/* The worker made the flow before it knew the host's address, and sends by its own table */
	if (!svr_icmp_map_neighbour(flow, neighbour))
		return res;
	nexthop = svr_neighbour_find(flow->out_zone, neighbour);
	if (!nexthop)
		return res;
	way->nexthop = bpf_map_lookup_elem(&svr_nexthops, &nexthop);
	return way->nexthop ? SVR_NEXT : res;
}

/*
 * May a message be sent on that came to a session's address? Not from somebody whose address nobody has,
 * or this router or a whole LAN has where the message goes; and its checksum has to be right, because it
 * gets a new one.
 */
SVR_STEP int svr_icmp_map_check(struct xdp_md *ctx, struct svr_pkt *pkt, struct svr_flow *flow)
{
	__u32 len;
	int sum;

	if (!pkt || !flow)
		return -SVR_DROP_INTERNAL;
	if (!svr_addr_forwardable(pkt->key.saddr) ||
	    (flow->flags & SVR_FLOW_FROM_WAN &&
	     svr_local_check(flow->out_zone, pkt->key.saddr) != SVR_LOCAL_NO))
		return -SVR_DROP_ICMP_UNMATCHED;
	len = pkt->ip_len - (pkt->l4 - pkt->l3);
	sum = svr_csum_packet(ctx, pkt->l4, len);
	if (sum < 0)
		return sum;
	if (svr_pkt_is6(pkt))
		sum += svr_icmp6_pseudo(pkt->key.saddr, pkt->key.daddr, len);
	return svr_csum_fold(sum) == 0xffff ? SVR_NEXT : -SVR_DROP_BAD_CSUM;
}

/**
 * svr_icmp_map() - send an ICMP error about a packet of a session on.
 * Return: SVR_FORWARD; SVR_NEXT if it is about something else, and nothing was changed; a drop
 * reason.
 */
SVR_STEP int svr_icmp_map(struct xdp_md *ctx, struct svr_pkt *pkt)
{
	struct svr_scratch *s = svr_scratch_get();
	struct svr_icmp_made m = {};
	struct svr_flow *flow;
	struct svr_quote *q;
	struct svr_way way;
	int res, tclass;
	__u32 front;

	if (!s || !pkt)
		return -SVR_DROP_INTERNAL;
	q = &s->quote;
	__builtin_memset(q, 0, sizeof(*q));
	flow = svr_icmp_map_find(ctx, pkt, q);
	if (!flow)
		return SVR_NEXT;
	if (pkt->ttl <= 1)
		return -SVR_DROP_TTL; /* never an error about an error; RFC 1812 4.3.2.7 */
	res = svr_icmp_map_check(ctx, pkt, flow);
	if (res)
		return res;
	res = svr_icmp_map_way(pkt, flow, &way);
	tclass = svr_l3_tclass(ctx, pkt);
	if (res || tclass < 0)
		return res ? res : tclass;
	if (!svr_icmp_allowed(pkt->zone))
		return -SVR_DROP_ICMP_LIMITED;
	svr_quote_read_front(ctx, flow, q);
	svr_icmp_map_source(pkt, flow, q, m.from);
	res = svr_icmp_map_type(pkt, flow, &q->icmp);
	if (!res)
		res = svr_icmp_map_l4(ctx, flow, q, &m);
	if (res)
		return res;
	/* In another family, or over a narrower way, less is quoted (RFC 1812 4.3.2.3, RFC 4443 2.4 c) */
	front = 2 * svr_l3_hlen(flow->flags) + SVR_ICMP_HLEN + m.quoted;
	if (way.limit > front && m.rest > way.limit - front)
		m.rest = way.limit - front;
	q->icmp.check = 0;
	svr_icmp_map_tcp_check(ctx, flow, q);
	res = svr_icmp_map_headers(flow, q, &m, tclass);
	if (res < 0)
		return res;
	res = svr_icmp_map_write(ctx, pkt, q, &m, res);
	if (res)
		return res;
	pkt->shape = flow->flags & SVR_FLOW_OUT6;
	res = svr_rewrite_l2(ctx, pkt, &way, true);
	if (res)
		return res;
	svr_stat_add(pkt->zone, SVR_STAT_ICMP_MAPPED, 1);
	if (bpf_redirect_map(&svr_txports, way.nexthop->zone, XDP_DROP) != XDP_REDIRECT)
		return -SVR_DROP_NOT_CONFIGURED;
	return SVR_FORWARD;
}

#endif
