// SPDX-License-Identifier: BSD-2-Clause
/* Counting drops and events, and adding them up in the mapped arrays. */
#include "sys/mapset.h"
#include "worker/counters.h"
#include "worker/stats.h"

void svr_count(struct svr_counters *c, uint32_t zone, enum svr_stat stat, uint64_t by)
{
	if (zone >= SVR_MAX_ZONES)
		zone = 0;
	c->stats[zone][stat] += by;
	c->dirty |= 1ULL << zone;
}

void svr_count_drop(struct svr_counters *c, uint32_t zone, unsigned int reason)
{
	if (zone >= SVR_MAX_ZONES)
		zone = 0;
	c->drops[zone][reason < SVR_DROP_MAX ? reason : SVR_DROP_INTERNAL]++;
	svr_count(c, zone, SVR_STAT_DROPPED, 1);
}

static void row_flush(uint64_t *from, uint64_t *to, unsigned int count)
{
	unsigned int i;

	for (i = 0; i < count; i++) {
		if (from[i]) {
			__atomic_fetch_add(&to[i], from[i], __ATOMIC_RELAXED);
			from[i] = 0;
		}
	}
}

static void drops_tally(const uint64_t *drops, struct svr_thread_stats *stats)
{
	unsigned int i;

	for (i = 0; i < SVR_DROP_MAX; i++)
		if (drops[i])
			svr_tally(&stats->drops[i], drops[i]);
}

void svr_counters_flush(struct svr_counters *c, struct svr_mapset *maps,
			struct svr_thread_stats *stats)
{
	unsigned int zone;

	while (c->dirty) {
		zone = (unsigned int)__builtin_ctzll(c->dirty);
		if (c->stats[zone][SVR_STAT_DROPPED]) {
			drops_tally(c->drops[zone], stats);
			row_flush(c->drops[zone], maps->worker_drops + zone * SVR_DROP_MAX,
				  SVR_DROP_MAX);
		}
		row_flush(c->stats[zone], maps->worker_stats + zone * SVR_STAT_MAX, SVR_STAT_MAX);
		c->dirty &= c->dirty - 1;
	}
}
