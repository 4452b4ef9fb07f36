// SPDX-License-Identifier: BSD-2-Clause
/* Keys that are replaced in time: who starts, what is used when, what is wiped. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "lib/ownkeys.h"
#include "world.h"

enum { HOLD_MS = 3000, INTERVAL_MS = 60000, SETTLE_MS = HOLD_MS + 1000 };

static struct world *established(uint64_t seed, unsigned int paths, uint64_t rekey_ms)
{
	struct world *w = world_new(seed, paths);

	w->rekey_ms = rekey_ms;
	w->hold_ms = HOLD_MS;
	node_start(&w->node[0]);
	node_start(&w->node[1]);
	cr_assert(world_run_until_agreed(w, 10000), "%s", world_describe(w));
	world_run(w, SETTLE_MS); /* no other key before */
	return w;
}

static uint32_t current_key(const struct node *n)
{
	return n->keys.peer[n->keys.tx].index;
}

static void expect_good(struct world *w)
{
	cr_expect_str_empty(w->fault, "%s", w->fault);
	cr_expect_gt(w->traffic_sent, 0);
}

Test(rotation, order_of_a_rekey)
{
	struct world *w = established(1, 2, 0);
	struct node *east = &w->node[0], *west = &w->node[1];
	uint32_t old = current_key(east), next;
	uint64_t begin_ns = w->now_ns;

	cr_assert_eq(svr_peering_rekey(east->peering), 0);
	while (!(east->keys.peer[1].flags & SVR_KEY_NEXT) && w->now_ns < begin_ns + SVR_NS_PER_SEC)
		world_run(w, 1);
	cr_assert_eq(svr_peering_next_key(east->peering), 1);
	cr_assert_eq(svr_peering_next_key(west->peering), 1);
	next = east->keys.peer[1].index;
	cr_expect_eq(west->keys.peer[1].index, next);
	cr_expect_eq(svr_peering_rekey(east->peering), -EBUSY, "one at a time");
	world_run(w, 50);
	/* both show it in BFD packets, no session uses it yet, both could read it */
	cr_expect(east->keys.peer[1].flags & west->keys.peer[1].flags & SVR_KEY_BFD);
	cr_expect(east->keys.peer[1].flags & west->keys.peer[1].flags & SVR_KEY_RX);
	cr_expect_eq(current_key(east), old);
	cr_expect_eq(current_key(west), old);
	world_run(w, HOLD_MS - 200);
	cr_expect_eq(current_key(east), old, "the hold time is not over");
	cr_expect_eq(current_key(west), old);
	world_run(w, 400);
	cr_expect_eq(current_key(east), next);
	cr_expect_eq(current_key(west), next);
	cr_expect(west->keys.peer[0].index == old && (west->keys.peer[0].flags & SVR_KEY_RX),
		  "what is under way can be read");
	cr_assert(world_agreed(w), "%s", world_describe(w));
	expect_good(w);

	world_run(w, (SVR_PEERING_RETIRE_SEC + 5) * 1000);
	cr_expect_eq(west->keys.peer[0].index, 0, "wiped");
	cr_expect_eq(east->keys.peer[0].index, 0);
	cr_expect_eq(east->keys_made + west->keys_made, 4);
	world_free(w);
}

Test(rotation, the_smaller_name_rekeys_in_time)
{
	struct world *w = established(2, 1, INTERVAL_MS);
	uint64_t begin_ns, took_ms;
	unsigned int made, i;

	for (i = 0; i < 20; i++) {
		begin_ns = w->now_ns;
		made = w->node[0].keys_made;
		while (w->node[0].keys_made == made && w->now_ns < begin_ns + 2 * INTERVAL_MS * SVR_NS_PER_MS)
			world_run(w, 100);
		took_ms = (w->now_ns - begin_ns) / SVR_NS_PER_MS;
		/* the interval began when the key came into use, SETTLE_MS before */
		cr_expect(took_ms + SETTLE_MS >= INTERVAL_MS * 8 / 10 - 200 &&
				  took_ms + SETTLE_MS <= INTERVAL_MS + 1200,
			  "after %lu ms", took_ms);
		cr_expect_eq(w->node[1].peering->kex.x.phase, SVR_KEX_PHASE_DONE, "west answers");
		world_run(w, HOLD_MS + SETTLE_MS);
	}
	cr_assert(world_agreed(w), "%s", world_describe(w));
	expect_good(w);
	world_free(w);
}

/* The router with the smaller name is configured not to. */
Test(rotation, the_larger_name_rekeys_if_nobody_else_does)
{
	struct world *w = established(3, 1, INTERVAL_MS);

	w->node[0].peering->config.rekey_ms = 0;
	w->node[0].peering->rekey_ns = UINT64_MAX;
	world_run(w, INTERVAL_MS);
	cr_expect_eq(w->node[0].keys_made, 1);
	world_run(w, INTERVAL_MS * 4 / 10);
	cr_expect_eq(w->node[0].keys_made, 2);
	world_run(w, HOLD_MS + 1000);
	cr_assert(world_agreed(w), "%s", world_describe(w));
	expect_good(w);
	world_free(w);
}

Test(rotation, many_peers_do_not_rekey_at_once)
{
	uint64_t first_ns = UINT64_MAX, last_ns = 0, i;

	for (i = 0; i < 50; i++) {
		struct world *w = established(100 + i, 1, 86400000);
		uint64_t at_ns = w->node[0].peering->rekey_ns - w->now_ns;

		first_ns = at_ns < first_ns ? at_ns : first_ns;
		last_ns = at_ns > last_ns ? at_ns : last_ns;
		world_free(w);
	}
	cr_expect_gt(last_ns - first_ns, 2 * 3600 * SVR_NS_PER_SEC);
	cr_expect_lt(last_ns, 86400 * SVR_NS_PER_SEC);
}

Test(rotation, a_key_that_is_used_up_is_replaced)
{
	struct world *w = established(4, 1, 0);
	struct node *east = &w->node[0];
	uint32_t old = current_key(east);

	east->peering->config.key_packets = 30;
	world_run(w, 60000);
	cr_expect_neq(current_key(east), old);
	cr_expect_gt(east->keys_made, 1);
	expect_good(w);
	world_free(w);
}

/* The peer answers no INIT: the key goes on, and then seals nothing more. */
static bool no_large_packets(struct world *w, const struct flight *f, void *arg)
{
	(void)w, (void)arg;
	return f->len < 700;
}

Test(rotation, a_key_that_cannot_be_replaced_stops)
{
	struct world *w = established(5, 1, 0);
	struct node *east = &w->node[0];
	uint64_t sent;

	w->tampered = true; /* a key that is given up cannot be read any more */
	w->filter = no_large_packets;
	east->peering->config.key_packets = 10;
	world_run(w, 60000);
	cr_expect_eq(east->keys.tx, SVR_KEY_SLOTS, "east has given it up");
	cr_expect_neq(w->node[1].path[0].status, SVR_PATH_UP, "fail closed");
	sent = east->sent;
	w->filter = NULL;
	cr_assert(world_run_until_agreed(w, 120000), "%s", world_describe(w));
	cr_expect_gt(east->sent, sent);
	world_free(w);
}

/* Killed again and again: the number of packets under a key never goes back, so its limit holds. */
Test(rotation, packets_are_counted_over_restarts)
{
	struct world *w = established(10, 2, 0);
	struct node *east = &w->node[0];
	uint32_t old = current_key(east);
	uint64_t sealed = 0, before = east->sent;
	unsigned int i;

	for (i = 0; i < 20; i++) {
		world_run(w, 1000);
		sealed += east->sent - before;
		before = east->sent;
		cr_assert_geq(east->keys.bfd_packets, sealed, "start %u", i);
		node_stop(east);
		node_start(east);
		cr_assert_geq(east->peering->key_packets, sealed, "start %u", i);
	}
	cr_expect_eq(current_key(east), old, "far from used up");

	/* what was counted before the restart counts against the limit after it */
	node_stop(east);
	east->keys.bfd_packets = SVR_PEERING_KEY_PACKETS - 10;
	node_start(east);
	world_run(w, 20000);
	cr_expect_neq(current_key(east), old, "replaced in time");
	cr_expect_leq(east->keys.bfd_packets, SVR_PEERING_KEY_PACKETS_AHEAD, "the next one begins anew");

	old = current_key(east);
	node_stop(east);
	east->keys.bfd_packets = SVR_PEERING_KEY_PACKETS + 10; /* passed while it was not running */
	node_start(east);
	world_run(w, 20000);
	cr_expect_neq(current_key(east), old, "replaced at once");
	cr_assert(world_agreed(w), "%s", world_describe(w));
	expect_good(w);

	w->tampered = true;
	node_stop(east);
	east->keys.bfd_packets = SVR_PEERING_KEY_PACKETS_HARD;
	before = east->sent;
	node_start(east);
	world_run(w, 100);
	cr_expect_eq(east->keys.tx, SVR_KEY_SLOTS, "given up: not one packet more");
	cr_assert(world_run_until_agreed(w, 120000), "%s", world_describe(w));
	world_free(w);
}

Test(rotation, metadata_keys)
{
	struct world *w = established(6, 2, 0);
	struct node *east = &w->node[0], *west = &w->node[1];
	uint32_t old = east->own.meta[0].index;

	world_run(w, 1000);
	cr_assert_eq(node_rotate(east), 0);
	cr_expect_eq(east->own.meta[east->own.current].index, old + 1);
	world_run(w, 2500);
	cr_expect(svr_peering_meta_acked(east->peering));
	cr_expect_eq(west->keys.meta[west->keys.meta_tx].index, old, "not before the hold time is over");
	cr_expect_eq(east->own.meta[0].index, old);
	world_run(w, HOLD_MS);
	cr_expect_eq(west->keys.meta[west->keys.meta_tx].index, old + 1);
	cr_expect_eq(east->own.meta[0].index, old, "still readable");
	world_run(w, 2 * HOLD_MS + 5000);
	cr_expect_eq(east->own.meta[0].index, 0, "wiped");
	cr_assert(world_agreed(w), "%s", world_describe(w));
	expect_good(w);
	world_free(w);
}

/* Only as many keys as there are slots: a peer that does not answer must not lose one in use. */
Test(rotation, metadata_keys_wait_for_a_slow_peer)
{
	struct world *w = established(7, 1, 0);
	struct node *east = &w->node[0];

	w->filter = NULL;
	cr_expect_eq(node_rotate(east), 0);
	cr_expect_eq(node_rotate(east), 0);
	cr_expect_eq(node_rotate(east), -EBUSY);
	world_run(w, 4 * HOLD_MS + 5000);
	cr_expect_eq(node_rotate(east), 0);
	world_run(w, 4 * HOLD_MS + 5000);
	cr_assert(world_agreed(w), "%s", world_describe(w));
	expect_good(w);
	world_free(w);
}

/* A peer that was away for several rotations comes back, and hears of the key before it sends. */
Test(rotation, metadata_keys_of_a_peer_that_was_away)
{
	struct world *w = established(8, 1, 0);
	struct node *east = &w->node[0];
	int i;

	w->path_cut[0] = true;
	for (i = 0; i < 5; i++) {
		world_run(w, 60000);
		cr_expect_eq(node_rotate(east), 0, "out of contact: nobody to wait for");
	}
	w->path_cut[0] = false;
	cr_assert(world_run_until_agreed(w, 20000), "%s", world_describe(w));
	cr_expect_eq(east->keys_made, 1);
	expect_good(w);
	world_free(w);
}

/* A restart in the middle of the hold time, of either side. */
Test(rotation, goes_on_after_a_restart)
{
	int who, at;

	for (who = 0; who < 2; who++) {
		for (at = 0; at < 40; at++) {
			struct world *w = established(200 + (uint64_t)at, 1, 0);
			struct node *n = &w->node[who];

			w->compute_ns = 20 * SVR_NS_PER_MS;
			cr_assert_eq(svr_peering_rekey(w->node[0].peering), 0);
			world_run(w, (uint64_t)at * 5);
			node_stop(n);
			node_start(n);
			world_run(w, 20000);
			cr_assert(world_run_until_agreed(w, 20000), "%s", world_describe(w));
			cr_expect_leq(n->path[0].down_count, 0);
			expect_good(w);
			world_free(w);
		}
	}
}

/* A path that comes up later needs no exchange of its own, also while a key is replaced. */
Test(rotation, a_new_path_of_a_known_peer)
{
	struct world *w = world_new(9, 3);

	w->hold_ms = HOLD_MS;
	w->path_cut[1] = w->path_cut[2] = true;
	node_start(&w->node[0]);
	node_start(&w->node[1]);
	cr_assert(world_run_until_agreed(w, 10000), "%s", world_describe(w));
	w->path_cut[1] = false;
	cr_assert(world_run_until_agreed(w, 5000), "%s", world_describe(w));
	cr_expect_eq(w->node[0].keys_made + w->node[1].keys_made, 2);
	world_run(w, SETTLE_MS);
	cr_assert_eq(svr_peering_rekey(w->node[1].peering), 0);
	world_run(w, 500);
	w->path_cut[2] = false;
	world_run(w, HOLD_MS + 5000);
	cr_assert(world_agreed(w), "%s", world_describe(w));
	cr_expect_eq(w->node[0].keys_made + w->node[1].keys_made, 4);
	expect_good(w);
	world_free(w);
}

/* Both ask for another key in the same moment; one exchange is enough. */
Test(rotation, both_start)
{
	uint64_t seed;

	for (seed = 300; seed < 340; seed++) {
		struct world *w = established(seed, 2, 0);

		w->compute_ns = 30 * SVR_NS_PER_MS;
		w->jitter_ns = 20 * SVR_NS_PER_MS;
		cr_expect_eq(svr_peering_rekey(w->node[0].peering), 0);
		cr_expect_eq(svr_peering_rekey(w->node[1].peering), 0);
		world_run(w, 15000);
		cr_assert(world_run_until_agreed(w, 20000), "seed %lu: %s", seed,
			  world_describe(w));
		cr_expect_eq(w->node[0].keys_made, 2);
		cr_expect_eq(w->node[1].keys_made, 2);
		expect_good(w);
		world_free(w);
	}
}
