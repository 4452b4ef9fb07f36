/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * BPF side only: the short way of an ordinary packet, which is one of an established clear session:
 * untagged IPv4 with TCP or UDP that leaves as such, and nothing about it has to be decided, added or
 * answered. Most packets are like that. They cost a sixth less here than on the general way: what is
 * known of the packet stays in registers, because no step needs a description of it, and fields that
 * lie side by side are read and written at once.
 *
 * There are no rules here that the general way has not. A packet that is not ordinary was neither
 * changed nor counted, and goes that way. tests/prog/test_fast.c sends packets along both.
 */
#ifndef SVR_BPF_FAST_H
#define SVR_BPF_FAST_H

#include "rewrite.h"

enum svr_fast_consts {
	SVR_FAST_HLEN = ETH_HLEN + SVR_IP_HLEN + 20, /* all headers, TCP without options */
	SVR_FAST_VERSION_IHL = 0x45, /* IPv4 without options */
};

/* Anything but what this file knows how to do with a packet of a flow */
#define SVR_FAST_NOT                                                                 \
	(SVR_FLOW_WORKER | SVR_FLOW_META_ADD | SVR_FLOW_META_WATCH | SVR_FLOW_OUT6 | \
	 SVR_FLOW_ENCAP | SVR_FLOW_DECAP)

struct svr_fast {
	void *data, *end;
	struct iphdr *ip;
	__u32 len; /* of the IP packet */
	__u8 proto;
};

/* True unless the payload might start with the cookie of metadata */
static __always_inline bool svr_fast_no_cookie(const struct svr_fast *f, void *payload)
{
	return payload + SVR_COOKIE_LEN > f->end ||
	       svr_load64(payload) != bpf_cpu_to_be64(SVR_COOKIE_HOST);
}

/*
 * Can the checksum be the folded sum of the pseudo header, as in svr_csum_is_partial()? Then their
 * difference is divisible by 65535, which one multiplication by its inverse tells (Granlund and
 * Montgomery, "Division by Invariant Integers", 9); folding would cost three times as much. The
 * length is taken as it stands in the IP header, whose own length is subtracted with the constants.
 */
static __always_inline bool svr_fast_maybe_partial(const struct iphdr *ip, __u8 proto, __u16 check)
{
	const __u64 inverse = 0xfffefffefffeffffULL; /* of 65535, modulo 2^64 */
	__u64 sum = (__u64)ip->saddr + ip->daddr + ip->tot_len + (__u16)~check +
		    (bpf_htons(proto) + (__u16)~bpf_htons(SVR_IP_HLEN));

	return sum * inverse <= ~0ULL / 0xffff;
}

/* An acknowledgement, with or without payload */
static __always_inline bool svr_fast_tcp(const struct svr_fast *f, struct tcphdr *tcp,
					 bool from_wan)
{
	const __u8 *bytes = (const __u8 *)tcp;
	__u32 hlen = (bytes[12] >> 2) & 0x3c;

	return (bytes[13] & (SVR_TH_SYN | SVR_TH_FIN | SVR_TH_RST | SVR_TH_ACK)) == SVR_TH_ACK &&
	       hlen >= sizeof(*tcp) && hlen + SVR_IP_HLEN <= f->len &&
	       svr_fast_no_cookie(f, (void *)tcp + hlen) &&
	       (from_wan || !svr_fast_maybe_partial(f->ip, IPPROTO_TCP, tcp->check));
}

static __always_inline bool svr_fast_udp(const struct svr_fast *f, struct udphdr *udp,
					 bool from_wan)
{
	return bpf_ntohs(udp->len) + SVR_IP_HLEN == f->len && svr_fast_no_cookie(f, udp + 1) &&
	       (from_wan || !svr_fast_maybe_partial(f->ip, IPPROTO_UDP, udp->check));
}

/* Is the packet ordinary, as far as it says by itself? Fills @f. */
static __always_inline bool svr_fast_parse(struct xdp_md *ctx, bool from_wan, struct svr_fast *f)
{
	struct tcphdr *tcp;

	f->data = (void *)(long)ctx->data;
	f->end = (void *)(long)ctx->data_end;
	f->ip = f->data + ETH_HLEN;
	tcp = (void *)(f->ip + 1);
	if ((void *)(tcp + 1) > f->end)
		return false;
	if (*(__be16 *)(f->data + 2 * ETH_ALEN) != bpf_htons(ETH_P_IP) ||
	    *(__u8 *)f->data & SVR_MAC_GROUP ||
	    *(__u8 *)f->ip != SVR_FAST_VERSION_IHL || f->ip->ttl <= 1 ||
	    f->ip->frag_off & bpf_htons(SVR_IP_FRAGMENT))
		return false;
	f->len = bpf_ntohs(f->ip->tot_len);
	if (f->len != f->end - (void *)f->ip)
		return false;
	f->proto = f->ip->protocol;
	if (f->proto == IPPROTO_TCP)
		return svr_fast_tcp(f, tcp, from_wan);
	return f->proto == IPPROTO_UDP && svr_fast_udp(f, (struct udphdr *)tcp, from_wan);
}

static __always_inline void svr_fast_rewrite(const struct svr_fast *f, const struct svr_flow *flow,
					     const struct svr_nexthop *nexthop)
{
	struct tcphdr *tcp = (struct tcphdr *)(f->ip + 1);
	struct udphdr *udp = (struct udphdr *)tcp;

	/* The next hop has both addresses of the link layer in the order of the packet */
	svr_store64(f->data, svr_load64(nexthop->dmac));
	svr_store32(f->data + sizeof(__u64), svr_load32(nexthop->dmac + sizeof(__u64)));
	f->ip->ttl--;
	f->ip->check = svr_csum_add(f->ip->check, flow->l3_delta);
	svr_store64(&f->ip->saddr, svr_word_of(flow->saddr[3], flow->daddr[3]));
	svr_store32(tcp, svr_load32(&flow->sport));
	if (f->proto == IPPROTO_TCP) {
		tcp->check = svr_csum_add(tcp->check, flow->l4_delta);
	} else if (udp->check) {
		__u16 check = svr_csum_add(udp->check, flow->l4_delta);

		udp->check = check ? check : 0xffff; /* RFC 768 */
	}
}

static __always_inline void svr_fast_key(const struct svr_fast *f, svr_flow_word *key)
{
	key[0] = svr_load64(&f->ip->saddr);
	key[1] = svr_flow4_end(svr_load32(f->ip + 1), svr_zone, f->ip->protocol);
}

/*
 * The packet's flow. The key is read twice, because the packet is near and the stack, where it would
 * have to wait for the row, is small.
 */
static __always_inline struct svr_flow *svr_fast_flow(const struct svr_flowtable *t,
						      const struct svr_fast *f)
{
	svr_flow_word key[SVR_FLOW4_WORDS], *row;

	svr_fast_key(f, key);
	row = svr_flow_likely4(t, svr_flow_hash_of(t->hash, key, SVR_FLOW4_WORDS));
	svr_fast_key(f, key);
	if (row && likely(svr_flow_same_key(row, key, SVR_FLOW4_WORDS)))
		return &((struct svr_flow4_row *)row)->flow;
	return svr_flow_find4(key[0], key[1]);
}

/**
 * svr_fast() - forward the packet, if it is an ordinary one.
 * @from_wan: where this program is, a constant
 * @found: set to the packet's flow, if there is one; the general way need not look it up again
 * Return: true if the packet was forwarded: the verdict is XDP_REDIRECT. False: nothing happened.
 */
static __always_inline bool svr_fast(struct xdp_md *ctx, bool from_wan, struct svr_flow **found)
{
	const struct svr_path_state *state;
	const struct svr_capture *capture;
	const struct svr_nexthop *nexthop;
	struct svr_zone_stats *stats;
	const struct svr_zone *zone;
	struct svr_flowtable t;
	struct svr_fast f;
	struct svr_flow *flow;
	__u32 id = svr_zone;

	if (!svr_flowtable(&t, false) || !svr_fast_parse(ctx, from_wan, &f))
		return false;
	flow = svr_fast_flow(&t, &f);
	f.proto = f.ip->protocol;
	if (!flow)
		return false;
	*found = flow;
	if (flow->flags & SVR_FAST_NOT ||
	    (f.proto == IPPROTO_TCP && !(flow->tcp_seen & SVR_TCP_DATA)))
		return false;

	capture = bpf_map_lookup_elem(&svr_captures, &id);
	stats = bpf_map_lookup_elem(&svr_stats, &id);
	if (!capture || !stats || capture->snaplen)
		return false;
	nexthop = bpf_map_lookup_elem(&svr_nexthops, &flow->nexthop);
	if (!nexthop || !nexthop->valid)
		return false;
	id = flow->out_zone;
	zone = bpf_map_lookup_elem(&svr_zones, &id);
	if (!zone || zone->vlan || f.len > zone->mtu)
		return false;
	if (!from_wan) {
		id = flow->path;
		state = bpf_map_lookup_elem(&svr_path_state, &id);
		if (!state || state->status != SVR_PATH_UP || (state->mtu && f.len > state->mtu))
			return false;
	}
	if (bpf_redirect_map(&svr_txports, nexthop->zone, XDP_DROP) != XDP_REDIRECT)
		return false;

	svr_fast_rewrite(&f, flow, nexthop);
	flow->last_seen_ns = svr_now_ns();
	flow->packets += 1;
	flow->bytes += f.len;
	stats->count[SVR_STAT_RX_PACKETS] += 1;
	stats->count[SVR_STAT_RX_BYTES] += f.len + ETH_HLEN;
	stats->count[SVR_STAT_FORWARDED] += 1;
	return true;
}

#endif
