/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* BPF side only: counters, and the one exit of both programs. */
#ifndef SVR_BPF_EXIT_H
#define SVR_BPF_EXIT_H

#include "capture.h"

static __always_inline void svr_stat_add(__u32 zone, enum svr_stat stat, __u64 n)
{
	__u32 slot = zone * SVR_STAT_MAX + stat;
	__u64 *counter = bpf_map_lookup_elem(&svr_stats, &slot);

	if (counter)
		*counter += n;
}

static __always_inline void svr_drop_count(__u32 zone, __u32 reason)
{
	__u32 slot = zone * SVR_DROP_MAX + reason;
	__u64 *counter = bpf_map_lookup_elem(&svr_drops, &slot);

	if (counter)
		*counter += 1;
}

/**
 * svr_exit() - count what happened to the packet and give the verdict. Every packet leaves through
 * here, so this is the place to see them all, with verdict and reason.
 * @result: enum svr_result or a negative drop reason
 */
static __always_inline int svr_exit(struct xdp_md *ctx, const struct svr_pkt *pkt, int result)
{
	enum svr_stat stat = SVR_STAT_DROPPED;
	__u32 reason = SVR_DROP_INTERNAL;
	int verdict = XDP_DROP, said;

	svr_stat_add(pkt->zone, SVR_STAT_RX_PACKETS, 1);
	svr_stat_add(pkt->zone, SVR_STAT_RX_BYTES, pkt->frame_len);

	if (likely(result == SVR_FORWARD)) {
		stat = SVR_STAT_FORWARDED;
		verdict = XDP_REDIRECT;
		said = SVR_VERDICT_FORWARD;
	} else if (result == SVR_TO_WORKER) {
		stat = SVR_STAT_TO_WORKER;
		verdict = XDP_REDIRECT;
		said = SVR_VERDICT_WORKER;
	} else if (result == SVR_PASS) {
		stat = SVR_STAT_PASSED;
		verdict = XDP_PASS;
		said = SVR_VERDICT_PASS;
	} else {
		if (result == SVR_TOO_BIG) {
			svr_stat_add(pkt->zone, SVR_STAT_ICMP_TOO_BIG, 1);
			reason = SVR_DROP_TOO_BIG;
			verdict = XDP_REDIRECT;
		} else if (result == SVR_EXPIRED) {
			svr_stat_add(pkt->zone, SVR_STAT_ICMP_TIME_EXCEEDED, 1);
			reason = SVR_DROP_TTL;
			verdict = XDP_REDIRECT;
		} else if (result < 0 && -result < SVR_DROP_MAX) {
			reason = -result;
		}
		said = verdict == XDP_REDIRECT ? SVR_VERDICT_ANSWER : -(int)reason;
		svr_drop_count(pkt->zone, reason);
	}
	svr_stat_add(pkt->zone, stat, 1);
	if (unlikely(svr_capture(ctx, pkt->zone, said)))
		svr_stat_add(pkt->zone, SVR_STAT_CAPTURE_MISSED, 1);
	return verdict;
}

#endif
