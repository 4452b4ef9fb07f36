/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* BPF side only: counters, and the exit of both programs. */
#ifndef SVR_BPF_EXIT_H
#define SVR_BPF_EXIT_H

#include "capture.h"
#include "whole.h"

enum { SVR_PACE_TRIES = 4 };

/* @stat has to be a constant: the verifier wants to know that it is inside of the row. */
static __always_inline void svr_stat_add(__u32 zone, enum svr_stat stat, __u64 n)
{
	struct svr_zone_stats *stats = bpf_map_lookup_elem(&svr_stats, &zone);

	if (stats)
		stats->count[stat] += n;
}

static __always_inline void svr_drop_count(__u32 zone, __u32 reason)
{
	__u32 slot = zone * SVR_DROP_MAX + reason;
	__u64 *counter = bpf_map_lookup_elem(&svr_drops, &slot);

	if (counter)
		*counter += 1;
}

/*
 * Take one token of a bucket that holds @burst and gets a new one every @gap_ns; @full_at: when it
 * is full again.
 */
static __always_inline bool svr_pace(__u64 *full_at, __u64 gap_ns, __u32 burst)
{
	__u64 old, from, now = svr_now_ns();
	int try;

	/* Whoever loses that often to other CPUs goes without */
	for (try = 0; try < SVR_PACE_TRIES; try++) {
		old = *(volatile __u64 *)full_at;
		from = old > now ? old : now;
		if (from - now > gap_ns * (burst - 1))
			return false;
		if (__sync_val_compare_and_swap(full_at, old, from + gap_ns) == old)
			return true;
	}
	return false;
}

/* What was dropped, or answered and not sent on. Verdict. */
static __always_inline int svr_exit_refused(struct xdp_md *ctx, struct svr_zone_stats *stats, __u32 zone, int result,
					    int *said)
{
	__u32 reason = SVR_DROP_INTERNAL;
	int verdict = XDP_DROP;

	stats->count[SVR_STAT_DROPPED] += 1;
	if (result == SVR_TOO_BIG) {
		stats->count[SVR_STAT_ICMP_TOO_BIG] += 1;
		reason = SVR_DROP_TOO_BIG;
		verdict = XDP_REDIRECT;
	} else if (result == SVR_EXPIRED) {
		stats->count[SVR_STAT_ICMP_TIME_EXCEEDED] += 1;
		reason = SVR_DROP_TTL;
		verdict = XDP_REDIRECT;
	} else if (result < 0 && -result < SVR_DROP_MAX) {
		reason = -result;
	}
	*said = verdict == XDP_REDIRECT ? SVR_VERDICT_ANSWER : -(int)reason;
	if (verdict == XDP_REDIRECT)
		svr_whole_answered(ctx);
	svr_drop_count(zone, reason);
	return verdict;
}

/**
 * svr_exit() - count what happened to the packet and give the verdict. Every packet leaves through
 * here, with verdict and reason, but for those of svr_fast(); that one leaves them to the general way
 * while somebody captures, so this is the place to see them all.
 * @result: enum svr_result or a negative drop reason
 */
static __always_inline int svr_exit(struct xdp_md *ctx, const struct svr_pkt *pkt, int result)
{
	__u32 zone = pkt->zone;
	struct svr_zone_stats *stats = bpf_map_lookup_elem(&svr_stats, &zone);
	int verdict = XDP_REDIRECT, said;

	if (!stats)
		return XDP_ABORTED; /* cannot be: zones are numbers of an array */
	stats->count[SVR_STAT_RX_PACKETS] += 1;
	stats->count[SVR_STAT_RX_BYTES] += pkt->frame_len;
	if (likely(result == SVR_FORWARD)) {
		stats->count[SVR_STAT_FORWARDED] += 1;
		said = SVR_VERDICT_FORWARD;
	} else if (result == SVR_TO_WORKER) {
		stats->count[SVR_STAT_TO_WORKER] += 1;
		said = SVR_VERDICT_WORKER;
	} else if (result == SVR_PASS) {
		stats->count[SVR_STAT_PASSED] += 1;
		verdict = XDP_PASS;
		said = SVR_VERDICT_PASS;
	} else {
		verdict = svr_exit_refused(ctx, stats, zone, result, &said);
	}
	if (unlikely(svr_capture(ctx, zone, said)))
		stats->count[SVR_STAT_CAPTURE_MISSED] += 1;
	return verdict;
}

#endif
