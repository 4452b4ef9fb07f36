/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * BPF side only: what is handed to the worker because it is a part of a packet, or has to be cut
 * (docs/protocol.md 3a). How many parts are collected and for how long is the worker's business;
 * here only their rate is limited, so that nobody fills its rings with them.
 */
#ifndef SVR_BPF_FRAGMENT_H
#define SVR_BPF_FRAGMENT_H

#include "icmp.h"
#include "worker.h"

enum { SVR_FRAGMENT_GAP_NS = 1000000000 / SVR_FRAGMENTS_PER_SEC };

/* A fragment of IP, or a piece of a packet between routers (@why) */
SVR_STEP int svr_fragment(struct xdp_md *ctx, struct svr_pkt *pkt, __u32 why, __u32 path)
{
	struct svr_frame_desc desc = { .why = why, .path = path };
	__u64 *full_at;
	__u32 zone;

	if (!pkt)
		return -SVR_DROP_INTERNAL;
	zone = pkt->zone;
	full_at = bpf_map_lookup_elem(&svr_fragment_pace, &zone);
	if (!full_at || !svr_pace(full_at, SVR_FRAGMENT_GAP_NS, SVR_FRAGMENT_BURST))
		return -SVR_DROP_FRAGMENT_RATE;
	return svr_to_worker(ctx, pkt, &desc);
}

/*
 * May a router on the way cut this packet? IPv4: its sender does not forbid it (RFC 791 2.3). IPv6:
 * only if no smaller size can be asked of the sender (RFC 8200 5).
 */
SVR_HELPER bool svr_may_cut(struct xdp_md *ctx, const struct svr_pkt *pkt)
{
	struct svr_cursor nh = svr_cursor_at(ctx, pkt->l3);
	struct iphdr *ip = nh.pos;

	if (svr_pkt_is6(pkt))
		return pkt->ip_len <= SVR_IP6_MTU_MIN;
	return (void *)(ip + 1) <= nh.end && !(ip->frag_off & bpf_htons(SVR_IP_DF));
}

/**
 * svr_too_long() - a packet that does not fit where it has to go, with what is added to it.
 * @limit: longest packet that its sender may send; if the packet itself is no longer, it is cut in
 *	any case: a sender cannot know of metadata
 * Return: SVR_NEXT if it goes on as it is, because the worker will cut it; SVR_TO_WORKER;
 * SVR_TOO_BIG; or a drop reason.
 */
SVR_STEP int svr_too_long(struct xdp_md *ctx, struct svr_pkt *pkt, __u32 limit)
{
	struct svr_frame_desc desc = { .why = SVR_FRAME_WHOLE };
	__u32 why = svr_whole_why(ctx);

	if (!pkt)
		return -SVR_DROP_INTERNAL;
	/* No packet is longer, with what may still be put in front of it */
	if (pkt->ip_len > 0xffff - SVR_META_MAX)
		return -SVR_DROP_TOO_BIG;
	if (why == SVR_FRAME_WHOLE)
		return SVR_NEXT;
	if (pkt->ip_len > limit && !svr_may_cut(ctx, pkt))
		return svr_icmp_too_big(ctx, pkt, limit);
	return why ? SVR_NEXT : svr_to_worker(ctx, pkt, &desc);
}

#endif
