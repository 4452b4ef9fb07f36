/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * BPF side only: copies of packets for `svr capture`, with what became of them. tcpdump sees nothing of a packet
 * that XDP redirects or drops. Costs one array look-up where nobody captures.
 */
#ifndef SVR_BPF_CAPTURE_H
#define SVR_BPF_CAPTURE_H

#include "maps.h"
#include "parse.h"

/* A ring buffer takes only records of a size that the compiler knows. */
#define SVR_CAPTURE_INTO(ctx, room, zone, len, want, result)                                  \
	({                                                                                    \
		struct {                                                                      \
			struct svr_capture_record head;                                       \
			__u8 data[room];                                                      \
		} *record = bpf_ringbuf_reserve(&svr_capture_ring, sizeof(*record), 0);       \
		__u32 keep = (want) < (room) ? (want) : (room);                               \
		int done = -1;                                                                \
                                                                                              \
		if (record) {                                                                 \
			record->head.time_ns = bpf_ktime_get_ns();                            \
			record->head.zone = zone;                                             \
			record->head.len = len;                                               \
			record->head.result = result;                                         \
			record->head.caplen = keep;                                           \
			if (svr_within(&keep, 1, room) &&                                     \
			    !bpf_xdp_load_bytes(ctx, 0, record->data, keep)) {                \
				bpf_ringbuf_submit(record, 0);                                \
				done = 0;                                                     \
			} else {                                                              \
				bpf_ringbuf_discard(record, 0);                               \
			}                                                                     \
		}                                                                             \
		done;                                                                         \
	})

/* 0, or -1 if there is no room for it: the reader is too slow. */
SVR_STEP int svr_capture_copy(struct xdp_md *ctx, __u32 zone, __u32 snaplen, int result)
{
	__u32 len = bpf_xdp_get_buff_len(ctx);
	__u32 want = len < snaplen ? len : snaplen;

	if (want <= SVR_CAPTURE_SHORT)
		return SVR_CAPTURE_INTO(ctx, SVR_CAPTURE_SHORT, zone, len, want, result);
	if (want <= SVR_CAPTURE_FRAME)
		return SVR_CAPTURE_INTO(ctx, SVR_CAPTURE_FRAME, zone, len, want, result);
	return SVR_CAPTURE_INTO(ctx, SVR_CAPTURE_JUMBO, zone, len, want, result);
}

/**
 * svr_capture() - copy the packet if somebody captures on its zone.
 * @result: enum svr_verdict or a negative drop reason
 * Return: 0, or -1 if the packet should have been copied and was not.
 */
static __always_inline int svr_capture(struct xdp_md *ctx, __u32 zone, int result)
{
	const struct svr_capture *capture = bpf_map_lookup_elem(&svr_captures, &zone);

	if (likely(!capture || !capture->snaplen))
		return 0;
	/* Left behind by a reader that was killed */
	if (bpf_ktime_get_ns() > capture->until_ns)
		return 0;
	if (capture->flags & SVR_CAPTURE_DROPS && result >= 0 && result != SVR_VERDICT_ANSWER)
		return 0;
	return svr_capture_copy(ctx, zone, capture->snaplen, result);
}

#endif
