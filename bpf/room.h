/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * BPF side only: room between L4 header and payload, for metadata or for a UDP header, and taking
 * it away again.
 */
#ifndef SVR_BPF_ROOM_H
#define SVR_BPF_ROOM_H

#include "flow.h"

/*
 * Move the last chunk of the first @left bytes of payload back by @grow; what is left then, or a
 * negative drop reason.
 */
SVR_STEP int svr_payload_push_chunk(struct xdp_md *ctx, struct svr_pkt *pkt, __u32 left, __u32 grow)
{
	struct svr_scratch *s = svr_scratch_get();
	__u32 n = left < SVR_CSUM_CHUNK ? left : SVR_CSUM_CHUNK;

	if (!s || !pkt || !svr_within(&n, 1, SVR_CSUM_CHUNK))
		return -SVR_DROP_INTERNAL;
	left -= n;
	if (bpf_xdp_load_bytes(ctx, pkt->payload + left, s->chunk, n) ||
	    bpf_xdp_store_bytes(ctx, pkt->payload + left + grow, s->chunk, n))
		return -SVR_DROP_INTERNAL;
	return left;
}

/*
 * Room between L4 header and payload for a driver that leaves none in front of the frame: the
 * payload moves back, chunk by chunk from its end. Long names need this even on veth, where some
 * 200 bytes are left.
 */
SVR_STEP int svr_payload_push_back(struct xdp_md *ctx, struct svr_pkt *pkt, __u32 grow)
{
	int left;
	__u32 i;

	if (!pkt || grow > SVR_META_MAX || bpf_xdp_adjust_tail(ctx, grow))
		return -SVR_DROP_HEADROOM;
	left = pkt->payload_len;
	for (i = 0; i < SVR_CSUM_POINTED && left > 0; i++)
		left = svr_payload_push_chunk(ctx, pkt, left, grow);
	return left > 0 ? -SVR_DROP_INTERNAL : left;
}

/*
 * The same the usual way: all headers move, the payload stays. Also takes away -@grow bytes. The
 * headers as they were stay in svr_scratch.front; @block bytes of metadata from there follow them.
 */
static __always_inline int svr_headers_move(struct xdp_md *ctx, struct svr_pkt *pkt, int grow,
					    __u32 block)
{
	struct svr_scratch *s = svr_scratch_get();
	__u32 hlen = pkt->payload, at = sizeof(s->front.hdr) - hlen;
	__u8 *hdr;

	if (!s || !svr_within(&hlen, ETH_HLEN, SVR_HDR_MAX) ||
	    !svr_within(&at, sizeof(s->front.hdr) - SVR_HDR_MAX, sizeof(s->front.hdr) - ETH_HLEN) ||
	    !svr_within(&block, 0, sizeof(s->front.block)))
		return -SVR_DROP_INTERNAL;
	hdr = s->front.hdr + at;
	if (bpf_xdp_load_bytes(ctx, 0, hdr, hlen))
		return -SVR_DROP_INTERNAL;
	/* Lengths are looked at again: what old verifiers knew of them is lost when they lie on the stack */
	if (!bpf_xdp_adjust_head(ctx, -grow)) {
		hlen += block;
		if (!svr_within(&hlen, ETH_HLEN, SVR_HDR_MAX + sizeof(s->front.block)) ||
		    bpf_xdp_store_bytes(ctx, 0, hdr, hlen))
			return -SVR_DROP_INTERNAL;
		return SVR_NEXT;
	}
	if (grow < 0 || svr_payload_push_back(ctx, pkt, grow))
		return -SVR_DROP_HEADROOM;
	if (!block)
		return SVR_NEXT;
	if (!svr_within(&block, 1, sizeof(s->front.block)) ||
	    bpf_xdp_store_bytes(ctx, hlen, s->front.block, block))
		return -SVR_DROP_INTERNAL;
	return SVR_NEXT;
}

/* The length field of the IP header after pkt->ip_len was changed, and IPv4's checksum. */
static __always_inline int svr_l3_set_len(struct xdp_md *ctx, const struct svr_pkt *pkt)
{
	struct svr_cursor nh = svr_cursor_at(ctx, pkt->l3);
	struct ipv6hdr *ip6 = nh.pos;
	struct iphdr *ip = nh.pos;
	__be16 len;

	if (svr_pkt_is6(pkt)) {
		if ((void *)(ip6 + 1) > nh.end)
			return -SVR_DROP_INTERNAL;
		ip6->payload_len = bpf_htons(svr_l4_len(pkt));
		return SVR_NEXT;
	}
	if ((void *)(ip + 1) > nh.end)
		return -SVR_DROP_INTERNAL;
	len = bpf_htons(pkt->ip_len);
	ip->check = svr_csum_apply(ip->check, svr_csum_change(ip->tot_len, len));
	ip->tot_len = len;
	return SVR_NEXT;
}

static __always_inline int svr_udp_set_len(struct xdp_md *ctx, const struct svr_pkt *pkt)
{
	struct svr_cursor nh = svr_cursor_at(ctx, pkt->l4);
	struct udphdr *udp = nh.pos;

	if ((void *)(udp + 1) > nh.end)
		return -SVR_DROP_INTERNAL;
	udp->len = bpf_htons(svr_l4_len(pkt));
	return SVR_NEXT;
}

/**
 * svr_payload_shift() - make room of @grow bytes between L4 header and payload, or take away -@grow
 * bytes there.
 * @block: bytes of svr_scratch.front.block to put there, from its start on
 *
 * Lengths and the IP checksum follow, the L4 checksum does not.
 */
SVR_HELPER int svr_payload_shift(struct xdp_md *ctx, struct svr_pkt *pkt, int grow, __u32 block)
{
	int res;

	res = svr_headers_move(ctx, pkt, grow, block);
	if (res)
		return res;
	pkt->ip_len += grow;
	pkt->payload_len += grow;
	res = svr_l3_set_len(ctx, pkt);
	if (res || pkt->proto == IPPROTO_TCP)
		return res;
	return svr_udp_set_len(ctx, pkt);
}

#endif
