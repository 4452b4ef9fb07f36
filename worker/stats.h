/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a data thread tells of its own work, for `svr show stats worker`: no packet is counted here
 * one by one, the thread adds up per batch. Only the thread writes; the main thread may read at any
 * time. Counters per interface are elsewhere (counters.h).
 */
#ifndef SVR_WORKER_STATS_H
#define SVR_WORKER_STATS_H

#include <stdint.h>
#include <svr/drops.h>

struct json_object;
struct svr_worker;

/* Number of thread statistics: name in the output, meaning. */
#define SVR_THREAD_STATS(X)                                                                   \
	X(PACKETS, "packets", "packets received from XDP")                                    \
	X(BYTES, "bytes", "bytes of them, link-layer header included")                        \
	X(BATCHES, "batches", "times that packets were read from a ring")                     \
	X(SLEEPS, "sleeps", "times that there was nothing to do")                             \
	X(CALLS, "calls", "things done for the main thread")                                  \
	X(RX_WAKEUPS, "rx-wakeups", "calls that made the kernel go on receiving")             \
	X(TX_WAKEUPS, "tx-wakeups", "calls that made the kernel send")                        \
	X(TX_BUSY, "tx-busy", "those of them that the kernel could not follow at once")       \
	X(TX_FULL, "tx-full", "packets that found a transmit ring full, even after a call")   \
	X(TX_RAW, "tx-raw", "packets sent out of a device that has no queue for this thread") \
	X(FRAMES_SHORT, "frames-short", "times that no frame was free to receive into")       \
	X(KEYS_MADE, "keys-made", "times that keys of a session were made ready for use")

enum svr_thread_stat {
#define X(id, name, text) SVR_TSTAT_##id,
	SVR_THREAD_STATS(X)
#undef X
		SVR_TSTAT_MAX
};

/* Powers of two: bucket n counts values from 2^n to 2^(n+1) - 1; the last one all above. */
enum { SVR_HISTOGRAM_BUCKETS = 28 };
struct svr_histogram {
	uint64_t count[SVR_HISTOGRAM_BUCKETS];
	uint64_t sum;
};

#define SVR_THREAD_HISTOGRAMS(X)                                                                   \
	X(BATCH, "batch-size", "packets", "packets that were read at once")                        \
	X(ROUND, "batch-time", "ns", "from reading a batch until all of it was queued to be sent") \
	X(CRYPTO, "crypto-time", "ns",                                                             \
	  "encrypting, decrypting and signing the packets of a batch")                             \
	X(SETUP, "setup-time", "ns", "making a session: its record and its flows")

enum svr_thread_histogram {
#define X(id, name, unit, text) SVR_THIST_##id,
	SVR_THREAD_HISTOGRAMS(X)
#undef X
		SVR_THIST_MAX
};

struct svr_thread_stats {
	uint64_t count[SVR_TSTAT_MAX];
	struct svr_histogram histogram[SVR_THIST_MAX];
	uint64_t drops[SVR_DROP_MAX]; /* by reason, of all interfaces */
};

/* Plain addition for the only writer, whole words for readers. */
static inline void svr_tally(uint64_t *n, uint64_t by)
{
	__atomic_store_n(n, *n + by, __ATOMIC_RELAXED);
}

static inline void svr_tstat(struct svr_thread_stats *s, enum svr_thread_stat stat, uint64_t by)
{
	svr_tally(&s->count[stat], by);
}

void svr_thist(struct svr_thread_stats *s, enum svr_thread_histogram which, uint64_t value);

/* Rows of all threads: {"thread", "metric", "value"[, "from", "to", "unit"], "text"}; zeros are left out. */
struct json_object *svr_stats_json(const struct svr_worker *w);

#endif
