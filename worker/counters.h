/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Counters of the worker. The data thread counts in memory of its own and adds the sums to the
 * mapped arrays once per batch, so no packet pays for an atomic operation and several threads may
 * share the arrays.
 */
#ifndef SVR_WORKER_COUNTERS_H
#define SVR_WORKER_COUNTERS_H

#include <stdint.h>
#include <svr/drops.h>
#include <svr/limits.h>
#include <svr/stats.h>

struct svr_mapset;
struct svr_thread_stats;

struct svr_counters {
	uint64_t dirty; /* bit per zone with something to flush */
	uint64_t drops[SVR_MAX_ZONES][SVR_DROP_MAX];
	uint64_t stats[SVR_MAX_ZONES][SVR_STAT_MAX];
};
_Static_assert(SVR_MAX_ZONES <= 64, "a bit per zone");

/* A zone out of range (a frame without a description) counts for zone 0. */
void svr_count_drop(struct svr_counters *c, uint32_t zone, unsigned int reason);
void svr_count(struct svr_counters *c, uint32_t zone, enum svr_stat stat, uint64_t by);
/* Drops are added up for the thread, too. */
void svr_counters_flush(struct svr_counters *c, struct svr_mapset *maps,
			struct svr_thread_stats *stats);

#endif
