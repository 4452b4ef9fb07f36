// SPDX-License-Identifier: BSD-2-Clause
/*
 * Thousands of random histories, each from its own seed: a link that loses, doubles and swaps,
 * computations that take their time, keys that are replaced, routers that are killed, started again
 * with or without what they had stored, and links that are cut. All the time session packets go
 * from one to the other, and each has to be readable where it arrives (world.c). When the trouble
 * ends, both must agree, and stay so.
 *
 *	PEERS_SCHEDULES=N	so many in each test below
 *	PEERS_SEED=N		only this one, and PEERS_VERBOSE=1 to see what happens
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "world.h"

enum {
#if defined(__SANITIZE_ADDRESS__)
	SCHEDULES = 100, /* per test below; sanitizers are slow */
#else
	SCHEDULES = 800, /* `make check-schedules` runs more than 100,000 */
#endif
	TROUBLE_MS = 25000,
	EVENTS_MAX = 8,
	PAST_MS = 16000, /* what went wrong before has been noticed by then */
	PEACE_MS = 180000, /* retransmission intervals have grown, detection times have to pass */
	SETTLED_MS = 5000,
};

static uint64_t traffic_sent; /* in all schedules of a test */

static void restart(struct world *w, struct node *n)
{
	uint64_t away_ms = world_random(w, 3) ? world_random(w, 500) : world_random(w, 8000);

	node_stop(n);
	if (world_random(w, 2))
		node_forget(n);
	world_run(w, away_ms);
	node_start(n);
}

static void rekey(struct node *n)
{
	if (n->peering)
		svr_peering_rekey(n->peering); /* refused where there is nothing to replace */
}

static void trouble(struct world *w)
{
	uint64_t begin_ns = w->now_ns, left_ms;
	unsigned int events = (unsigned int)world_random(w, EVENTS_MAX + 1), i;

	for (i = 0; i < events; i++) {
		/* half of them close together, while the exchange is under way */
		world_run(w, world_random(w, 2) ? world_random(w, 60) :
						  world_random(w, TROUBLE_MS / EVENTS_MAX));
		switch (world_random(w, 9)) {
		case 0:
		case 1:
			restart(w, &w->node[0]);
			break;
		case 2:
		case 3:
			restart(w, &w->node[1]);
			break;
		case 4:
			w->node[world_random(w, 2)].quiet ^= true;
			break;
		case 5:
			w->path_cut[world_random(w, w->paths)] ^= true;
			break;
		case 6:
		case 7:
			rekey(&w->node[world_random(w, 2)]);
			break;
		case 8:
			node_rotate(&w->node[world_random(w, 2)]);
			break;
		}
	}
	left_ms = (w->now_ns - begin_ns) / SVR_NS_PER_MS;
	if (left_ms < TROUBLE_MS)
		world_run(w, TROUBLE_MS - left_ms);
}

static void peace(struct world *w)
{
	int i;

	w->rekey_ms = 0;
	for (i = 0; i < 2; i++) {
		if (!w->node[i].peering)
			continue;
		w->node[i].peering->config.rekey_ms = 0;
		w->node[i].peering->rekey_ns = UINT64_MAX;
	}
	w->loss = 0;
	w->duplicate = 0;
	w->jitter_ns = 0;
	w->node[0].quiet = w->node[1].quiet = false;
	memset(w->path_cut, 0, sizeof(w->path_cut));
}

static void run_schedule(uint64_t seed, unsigned int paths, const struct svr_bfd_config *bfd)
{
	struct world *w = world_new(seed, paths);
	uint64_t keys;

	w->bfd = *bfd;
	w->hold_down_ms = (uint32_t)world_random(w, 2) * 5000;
	w->loss = (unsigned int)world_random(w, 300);
	w->duplicate = (unsigned int)world_random(w, 200);
	w->jitter_ns = world_random(w, 60) * SVR_NS_PER_MS;
	w->compute_ns = world_random(w, 3) ? world_random(w, 3000) * SVR_NS_PER_MS : 0;
	w->node[1].clock_ns =
		(int64_t)world_random(w, 20 * SVR_NS_PER_SEC) - 10 * (int64_t)SVR_NS_PER_SEC;
	w->rekey_ms = world_random(w, 2) * (2000 + world_random(w, 20000));
	w->hold_ms = (uint32_t)(world_random(w, 3) ? world_random(w, 6000) : 0);
	if (w->verbose)
		fprintf(stderr, "seed %lu: hold %u ms, rekey %lu ms, compute %lu ms\n", seed, w->hold_ms,
			w->rekey_ms, w->compute_ns / SVR_NS_PER_MS);
	node_start(&w->node[0]);
	world_run(w, world_random(w, 3000));
	node_start(&w->node[1]);
	trouble(w);
	peace(w);
	world_run(w, PAST_MS);
	cr_assert(world_run_until_agreed(w, PEACE_MS), "seed %lu: %s", seed, world_describe(w));
	keys = w->node[0].keys_made + w->node[1].keys_made;
	world_run(w, SETTLED_MS);
	cr_assert(world_agreed(w), "seed %lu, later: %s", seed, world_describe(w));
	cr_assert_eq(keys, w->node[0].keys_made + w->node[1].keys_made,
		     "seed %lu: another key without need", seed);
	traffic_sent += w->traffic_sent;
	world_free(w);
}

static void run_schedules(uint64_t first_seed, unsigned int paths, uint32_t interval_us,
			  uint8_t mult)
{
	const struct svr_bfd_config bfd = {
		.desired_min_tx_us = interval_us,
		.required_min_rx_us = interval_us,
		.detect_mult = mult,
	};
	const char *seed = getenv("PEERS_SEED"), *count = getenv("PEERS_SCHEDULES");
	uint64_t i, n = count ? strtoull(count, NULL, 10) : SCHEDULES;

	if (seed) {
		run_schedule(strtoull(seed, NULL, 10), paths, &bfd);
		return;
	}
	for (i = 0; i < n; i++)
		run_schedule(first_seed + i, paths, &bfd);
	fprintf(stderr, "# %lu schedules from seed %lu, %lu session packets\n", n, first_seed,
		traffic_sent);
}

Test(schedules, default_timers)
{
	run_schedules(100000, 1, 1000000, 3);
}

Test(schedules, two_paths)
{
	run_schedules(200000, 2, 1000000, 3);
}

Test(schedules, fast_timers)
{
	run_schedules(300000, 1, 300000, 3);
}

Test(schedules, slow_timers)
{
	run_schedules(400000, 1, 2000000, 5);
}
