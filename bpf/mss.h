/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * BPF side only: enforced-mss. A SYN tells its receiver how long segments may be; a router in
 * between may lower that.
 */
#ifndef SVR_BPF_MSS_H
#define SVR_BPF_MSS_H

#include "csum.h"

enum svr_mss {
	SVR_MSS_DISABLED = 0, /* values of svr_zone.enforced_mss */
	SVR_MSS_AUTOMATIC = 1,
	SVR_MSS_FIXED = 2,
	SVR_MSS_FLOOR = 536, /* every host takes that much; RFC 9293 3.7.1 */

	SVR_TCPOPT_END = 0,
	SVR_TCPOPT_NOP = 1,
	SVR_TCPOPT_MSS = 2,
	SVR_TCPOPT_MSS_LEN = 4,
	SVR_TCPOPT_MAX = 40, /* bytes of options */

	SVR_MSS_FOUND = 0x100, /* see svr_mss_option() */
};

/*
 * Largest MSS for what leaves to @zone, if it may arrive as IP packets of up to @limit bytes with
 * an IP header of @l3_hlen; 0: do not touch it. Options are not counted; RFC 9293 3.7.1.
 */
static __always_inline __u32 svr_mss_of(const struct svr_zone *zone, __u32 limit, __u32 l3_hlen)
{
	__u32 headers = l3_hlen + sizeof(struct tcphdr), mss = limit - headers;

	if (zone->enforced_mss == SVR_MSS_DISABLED || limit < headers + SVR_MSS_FLOOR)
		return 0;
	if (zone->enforced_mss == SVR_MSS_FIXED && zone->mss && zone->mss < mss)
		mss = zone->mss;
	return mss;
}

/*
 * One TCP option at @off of the header in the scratch area, which is @hlen bytes long: offset of
 * the next one, 0 at the end of the list or where it is broken, SVR_MSS_FOUND plus the offset of
 * the MSS option's value. A function of its own, because the verifier would follow every list of
 * options through a loop that holds it.
 */
SVR_STEP int svr_mss_option(__u32 off, __u32 hlen)
{
	struct svr_scratch *s = svr_scratch_get();
	__u32 kind, len;

	if (!s || off > sizeof(s->front.hdr) - 2 || off + 2 > hlen)
		return 0;
	kind = s->front.hdr[off];
	len = s->front.hdr[off + 1];
	if (kind == SVR_TCPOPT_NOP)
		return off + 1;
	if (kind == SVR_TCPOPT_END || len < 2 || off + len > hlen)
		return 0;
	return kind == SVR_TCPOPT_MSS && len == SVR_TCPOPT_MSS_LEN ? SVR_MSS_FOUND + off + 2 :
								     off + len;
}

/*
 * Lower the MSS option to @max. A smaller one stays, a missing one is not added. A broken list of
 * options is the receiver's business.
 */
SVR_STEP int svr_mss_clamp(struct xdp_md *ctx, struct svr_pkt *pkt, __u32 max)
{
	struct svr_scratch *s = svr_scratch_get();
	__u32 hlen, off = sizeof(struct tcphdr), i;
	__be16 from, to = bpf_htons(max);
	__u16 delta;
	int check;

	if (!s || !pkt)
		return -SVR_DROP_INTERNAL;
	hlen = pkt->payload - pkt->l4;
	if (!svr_within(&hlen, sizeof(struct tcphdr), sizeof(struct tcphdr) + SVR_TCPOPT_MAX))
		return -SVR_DROP_INTERNAL;
	if (bpf_xdp_load_bytes(ctx, pkt->l4, s->front.hdr, hlen))
		return -SVR_DROP_INTERNAL;
	for (i = 0; i < SVR_TCPOPT_MAX && off && off < SVR_MSS_FOUND; i++)
		off = svr_mss_option(off, hlen);
	if (off < SVR_MSS_FOUND)
		return SVR_NEXT;
	off -= SVR_MSS_FOUND;

	if (bpf_xdp_load_bytes(ctx, pkt->l4 + off, &from, sizeof(from)))
		return -SVR_DROP_INTERNAL;
	if (bpf_ntohs(from) <= max)
		return SVR_NEXT;
	check = svr_l4_check_load(ctx, pkt);
	if (check < 0)
		return check;
	delta = svr_csum_fold(svr_csum_change(from, to));
	if (off & 1)
		delta = svr_csum_swap(delta);
	if (bpf_xdp_store_bytes(ctx, pkt->l4 + off, &to, sizeof(to)))
		return -SVR_DROP_INTERNAL;
	svr_stat_add(pkt->zone, SVR_STAT_MSS_CLAMPED, 1);
	return svr_l4_check_store(ctx, pkt, svr_csum_apply(check, delta));
}

#endif
