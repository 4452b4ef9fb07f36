// SPDX-License-Identifier: BSD-2-Clause
/*
 * Processes that are killed and started again, keys that are lost, keys that are replaced, paths
 * that fail.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include <svr/drops.h>

#include "world.h"

static struct world *established(uint64_t seed, unsigned int paths)
{
	struct world *w = world_new(seed, paths);

	node_start(&w->node[0]);
	node_start(&w->node[1]);
	cr_assert(world_run_until_agreed(w, 10000), "%s", world_describe(w));
	world_run(w, 5000);
	return w;
}

static uint32_t current_key(const struct node *n)
{
	return n->keys.tx < SVR_KEY_SLOTS ? n->keys.peer[n->keys.tx].index : 0;
}

/* Lets time pass in small steps; false if the path of @n was out of service in between. */
static bool stays_in_service(struct world *w, const struct node *n, uint64_t ms)
{
	uint64_t i;

	for (i = 0; i < ms; i += 10) {
		world_run(w, 10);
		if (n->path[0].status != SVR_PATH_UP)
			return false;
	}
	return true;
}

Test(restart, within_the_detection_time_nobody_notices)
{
	int who;

	for (who = 0; who < 2; who++) {
		struct world *w = established(41, 2);
		struct node *n = &w->node[who], *peer = &w->node[!who];
		uint32_t key = current_key(n), discr = n->path[0].local_discr;

		node_stop(n);
		cr_assert(stays_in_service(w, peer, 1500));
		cr_assert_eq(n->path[0].status, SVR_PATH_UP, "what is stored stays as it is");
		node_start(n);
		cr_assert_eq(n->peering->paths[0].bfd.state, SVR_BFD_UP);
		cr_assert(stays_in_service(w, peer, 20000));
		cr_assert(world_agreed(w), "%s", world_describe(w));
		cr_assert_eq(current_key(n), key);
		cr_assert_eq(n->path[0].local_discr, discr);
		cr_assert_eq(n->path[0].down_count + peer->path[0].down_count, 0);
		world_free(w);
	}
}

Test(restart, after_the_detection_time_with_the_same_key)
{
	struct world *w = established(42, 1);
	uint32_t key = current_key(&w->node[0]);

	node_stop(&w->node[0]);
	world_run(w, 10000);
	cr_assert_eq(w->node[1].path[0].status, SVR_PATH_DOWN);
	cr_assert_eq(w->node[1].path[0].bfd_diag, SVR_BFD_DIAG_TIME_EXPIRED);
	node_start(&w->node[0]);
	cr_assert_eq(w->node[0].peering->paths[0].bfd.state, SVR_BFD_DOWN, "too old to go on");
	cr_assert(world_run_until_agreed(w, 3000), "%s", world_describe(w));
	cr_assert_eq(current_key(&w->node[0]), key);
	cr_assert_eq(w->node[0].keys_made + w->node[1].keys_made, 2);
	world_free(w);
}

Test(restart, outage_with_both_running_keeps_the_key)
{
	struct world *w = established(43, 2);
	uint32_t key = current_key(&w->node[0]);

	w->path_cut[0] = w->path_cut[1] = true;
	world_run(w, 3600000);
	cr_assert_eq(w->node[0].path[0].status, SVR_PATH_DOWN);
	w->path_cut[0] = w->path_cut[1] = false;
	cr_assert(world_run_until_agreed(w, 3000), "%s", world_describe(w));
	cr_assert_eq(current_key(&w->node[0]), key);
	cr_assert_eq(w->node[0].keys_made + w->node[1].keys_made, 2);
	world_free(w);
}

Test(restart, lost_keys_are_agreed_anew_after_the_detection_time)
{
	int who;

	for (who = 0; who < 2; who++) {
		struct world *w = established(44, 1);
		struct node *lost = &w->node[who], *kept = &w->node[!who];
		uint32_t old = current_key(kept);
		uint64_t t;
		unsigned int i;
		bool found = false;

		node_stop(lost);
		node_forget(lost);
		t = w->now_ns;
		node_start(lost);
		while (current_key(kept) == old && w->now_ns < t + 60 * SVR_NS_PER_SEC)
			world_run(w, 10);
		cr_assert_gt(w->now_ns - t, 1900 * SVR_NS_PER_MS,
			     "before the detection time nobody may talk it into another key");
		cr_assert(world_run_until_agreed(w, 20000), "%s", world_describe(w));
		cr_assert_neq(current_key(kept), old);
		cr_assert_eq(kept->keys_made, 2);
		/* sessions that hold the old key can still be received */
		for (i = 0; i < SVR_KEY_SLOTS; i++)
			found = found || (kept->keys.peer[i].index == old &&
					  (kept->keys.peer[i].flags & SVR_KEY_RX));
		cr_assert(found);
		world_free(w);
	}
}

struct backup {
	struct svr_peer_keys keys;
	struct svr_path_state path;
	struct svr_own_keys own;
};

static void backup_take(const struct node *n, struct backup *b)
{
	b->keys = n->keys;
	b->path = n->path[0];
	b->own = n->own;
}

/*
 * What was stored earlier is put back, as from an image of the machine; without what would let BFD
 * go on.
 */
static void backup_restore(struct node *n, const struct backup *b)
{
	n->keys = b->keys;
	n->path[0] = b->path;
	n->path[0].bfd_state = SVR_BFD_DOWN;
	n->own = b->own;
}

/*
 * A stranger's exchange is under way when the peer comes back with the key that was agreed before.
 */
Test(restart, the_peer_that_was_known_ends_an_exchange_of_strangers)
{
	struct world *w = established(64, 1);
	struct node *east = &w->node[0], *west = &w->node[1];
	struct backup backup;

	backup_take(east, &backup);
	node_stop(east);
	node_forget(east);
	world_run(w, 5000);
	node_start(east); /* somebody who has the certificate, but no keys */
	while (west->peering->kex.x.phase != SVR_KEX_PHASE_RESP_SENT &&
	       w->now_ns < 1100 * SVR_NS_PER_SEC)
		world_run(w, 1);
	cr_assert_eq(west->peering->kex.x.phase, SVR_KEX_PHASE_RESP_SENT);
	node_stop(east);
	w->queued = 0;
	backup_restore(east, &backup);
	node_start(east);
	world_run(w, 20);
	cr_assert_eq(west->peering->kex.x.phase, SVR_KEX_PHASE_NONE);
	cr_assert_eq(west->peering->pending.index, 0);
	cr_assert(world_run_until_agreed(w, 5000), "%s", world_describe(w));
	cr_assert_eq(west->keys_made, 1);
	world_free(w);
}

/* After the loss of keys a new one was agreed; then one side gets its old ones back. */
Test(restart, an_older_key_is_not_taken_for_the_current_one)
{
	struct world *w = established(65, 1);
	struct node *east = &w->node[0], *west = &w->node[1];
	struct backup backup;
	uint64_t refused, i;
	uint32_t newer;

	w->tampered = true;
	backup_take(east, &backup);
	node_stop(east);
	node_forget(east);
	node_start(east);
	world_run(w, 5000);
	cr_assert(world_run_until_agreed(w, 20000), "%s", world_describe(w));
	newer = current_key(west);
	node_stop(east);
	backup_restore(east, &backup);
	node_start(east);
	refused = west->drops[SVR_DROP_BFD_AUTH];
	for (i = 0; i < 2000; i += 10) {
		world_run(w, 10);
		cr_assert_eq(current_key(west), newer);
		/*
		 * east says "down" under the older key: nobody listens, until the detection time is
		 * over
		 */
		cr_assert_eq(west->peering->paths[0].bfd.state, SVR_BFD_UP);
	}
	cr_assert_gt(west->drops[SVR_DROP_BFD_AUTH], refused);
	world_run(w, 10000);
	cr_assert(world_run_until_agreed(w, 60000), "%s", world_describe(w));
	world_free(w);
}

/* Either router is killed after every single packet of a plain start. */
struct kill_at {
	uint64_t count, at;
	bool due;
};

static bool count_packet(struct world *w, const struct flight *f, void *arg)
{
	struct kill_at *k = arg;

	(void)w, (void)f;
	k->due = k->due || ++k->count == k->at;
	return true;
}

static void run_killed(uint64_t at, int who, bool forget, uint64_t away_ms)
{
	struct kill_at k = { .at = at };
	struct world *w = world_new(45, 1);
	int i;

	w->filter = count_packet;
	w->filter_arg = &k;
	node_start(&w->node[0]);
	node_start(&w->node[1]);
	for (i = 0; i < 5000 && !k.due; i++)
		world_run(w, 1);
	cr_assert(k.due);
	node_stop(&w->node[who]);
	if (forget)
		node_forget(&w->node[who]);
	world_run(w, away_ms);
	node_start(&w->node[who]);
	world_run(w, 12000); /* what the other one believed may have to expire */
	cr_assert(world_run_until_agreed(w, 120000),
		  "killed %d after packet %lu, forget %d, away %lu: %s", who, at, forget, away_ms,
		  world_describe(w));
	world_free(w);
}

Test(restart, at_every_packet_of_the_start)
{
	static const uint64_t away_ms[] = { 0, 700, 5000 };
	uint64_t at;
	int who;
	size_t i;

	for (at = 1; at <= 20; at++)
		for (who = 0; who < 2; who++)
			for (i = 0; i < sizeof(away_ms) / sizeof(away_ms[0]); i++) {
				run_killed(at, who, true, away_ms[i]);
				run_killed(at, who, false, away_ms[i]);
			}
}

Test(restart, keys_of_another_trust_are_not_taken_back)
{
	struct world *w = established(46, 1);
	struct node *n = &w->node[0];

	node_stop(n);
	svr_pki_trust_fingerprint(n->trust,
				  svr_pki_identity_fingerprint(
					  n->identity)); /* the peer is pinned to something else */
	node_start(n);
	cr_assert_eq(n->keys.tx, SVR_KEY_SLOTS);
	cr_assert_eq(n->keys.peer[0].index, 0);
	world_run(w, 30000);
	cr_assert_neq(n->path[0].status, SVR_PATH_UP);
	cr_assert(strstr(n->peering->kex.reason, "fingerprint"), "%s", n->peering->kex.reason);
	world_free(w);
}

Test(restart, a_slot_of_another_peer_lends_no_keys)
{
	struct world *w = established(47, 1);
	struct node *n = &w->node[0];

	w->tampered = true;
	node_stop(n);
	n->keys.owner[0] ^= 1;
	n->path[0].owner ^= 1;
	node_start(n);
	cr_assert_eq(n->keys.tx, SVR_KEY_SLOTS);
	cr_assert_eq(n->peering->paths[0].bfd.state, SVR_BFD_DOWN);
	cr_assert(world_run_until_agreed(w, 30000), "%s", world_describe(w));
	world_free(w);
}

Test(restart, clock_set_back_meanwhile)
{
	struct world *w = established(48, 1);
	struct node *n = &w->node[0];
	uint64_t seq = n->path[0].tx_seq;

	node_stop(n);
	world_run(w, 500);
	n->clock_ns = -1000 * (int64_t)SVR_NS_PER_SEC;
	node_start(n);
	world_run(w, 1000);
	cr_assert_gt(n->path[0].tx_seq, seq, "numbers never go back");
	world_run(w, 10000);
	cr_assert(world_run_until_agreed(w, 30000), "%s", world_describe(w));
	world_free(w);
}

Test(restart, unauthenticated_session_stays_unauthenticated)
{
	struct world *w = world_new(49, 1);
	struct svr_bfd_packet pkt = { .state = SVR_BFD_DOWN,
				      .detect_mult = 3,
				      .my_discr = 7,
				      .desired_min_tx_us = 1000000,
				      .required_min_rx_us = 1000000 };
	uint8_t data[SVR_BFD_LEN];
	struct node *n = &w->node[0];
	int i;

	node_start(n);
	for (i = 0; i < 3; i++) {
		svr_bfd_build(&pkt, data);
		cr_assert_eq(node_receive(n, 0, data, sizeof(data), 255), 0);
		pkt.state = SVR_BFD_UP;
		pkt.your_discr = n->peering->paths[0].bfd.local_discr;
	}
	cr_assert_eq(n->path[0].status, SVR_PATH_INIT);
	node_stop(n);
	n->path[0].status = SVR_PATH_UP; /* even so */
	node_start(n);
	world_run(w, 100);
	cr_assert_eq(n->path[0].status, SVR_PATH_INIT);
	world_free(w);
}

/* ---- replacing a key ------------------------------------------------------------------------- */

static void run_rekey(uint64_t seed, int who, unsigned int loss)
{
	struct world *w = established(seed, 2);
	struct node *n = &w->node[who];
	uint32_t old = current_key(n);
	unsigned int i;
	bool found = false;

	w->loss = loss;
	w->duplicate = loss;
	w->jitter_ns = loss ? 20 * SVR_NS_PER_MS : 0;
	cr_assert_eq(svr_peering_rekey(n->peering), 0);
	if (!loss) {
		cr_assert(stays_in_service(w, &w->node[0], 5000));
		cr_assert(stays_in_service(w, &w->node[1], 5000));
		cr_assert_neq(current_key(n), old);
	} else {
		world_run(w, 30000);
	}
	w->loss = w->duplicate = 0;
	world_run(w, 12000);
	cr_assert(world_run_until_agreed(w, 120000), "seed %lu: %s", seed, world_describe(w));
	for (i = 0; i < SVR_KEY_SLOTS; i++)
		found = found ||
			(n->keys.peer[i].index == old && (n->keys.peer[i].flags & SVR_KEY_RX));
	if (!loss)
		cr_assert(found, "the old key can still receive");
	world_free(w);
}

Test(rekey, either_side_starts)
{
	run_rekey(51, 0, 0);
	run_rekey(52, 1, 0);
}

Test(rekey, on_a_bad_link)
{
	uint64_t seed;

	for (seed = 1000; seed < 1500; seed++)
		run_rekey(seed, (int)(seed % 2), 50 + (unsigned int)(seed % 200));
}

Test(rekey, both_at_once)
{
	struct world *w = established(53, 1);
	uint32_t old = current_key(&w->node[0]);

	cr_assert_eq(svr_peering_rekey(w->node[0].peering), 0);
	cr_assert_eq(svr_peering_rekey(w->node[1].peering), 0);
	cr_assert(stays_in_service(w, &w->node[0], 3000));
	cr_assert(world_agreed(w), "%s", world_describe(w));
	cr_assert_neq(current_key(&w->node[0]), old);
	cr_assert_eq(w->node[0].keys_made, 2, "one of both gave way");
	world_free(w);
}

/*
 * Nobody sends session packets under a key that the other end cannot receive: compare after every
 * event.
 */
static bool tx_is_receivable(const struct node *from, const struct node *to)
{
	uint32_t index = current_key(from);
	unsigned int i;

	for (i = 0; i < SVR_KEY_SLOTS; i++)
		if (to->keys.peer[i].index == index && (to->keys.peer[i].flags & SVR_KEY_RX))
			return true;
	return false;
}

Test(rekey, never_sends_what_cannot_be_received)
{
	uint64_t seed;
	int i;

	for (seed = 2000; seed < 2200; seed++) {
		struct world *w = established(seed, 1);

		w->loss = 200;
		cr_assert_eq(svr_peering_rekey(w->node[seed % 2].peering), 0);
		for (i = 0; i < 4000 && w->node[0].path[0].status == SVR_PATH_UP &&
			    w->node[1].path[0].status == SVR_PATH_UP;
		     i++) {
			world_run(w, 1);
			if (w->node[0].path[0].status != SVR_PATH_UP ||
			    w->node[1].path[0].status != SVR_PATH_UP)
				break;
			cr_assert(tx_is_receivable(&w->node[0], &w->node[1]), "seed %lu", seed);
			cr_assert(tx_is_receivable(&w->node[1], &w->node[0]), "seed %lu", seed);
		}
		world_free(w);
	}
}

/*
 * The peer dies in the middle, and comes back without keys: the exchange under the old key leads
 * nowhere.
 */
Test(rekey, peer_loses_its_keys_meanwhile)
{
	struct world *w = established(55, 1);
	uint64_t t;

	w->node[1].quiet = true;
	cr_assert_eq(svr_peering_rekey(w->node[0].peering), 0);
	node_stop(&w->node[1]);
	node_forget(&w->node[1]);
	w->node[1].quiet = false;
	w->queued = 0;
	node_start(&w->node[1]);
	t = w->now_ns;
	world_run(w, 1000);
	cr_assert(w->node[0].peering->kex.x.authenticated);
	cr_assert(world_run_until_agreed(w, 30000), "%s", world_describe(w));
	cr_assert_lt(w->now_ns - t, 8 * SVR_NS_PER_SEC, "it took %lu ms",
		     (w->now_ns - t) / SVR_NS_PER_MS);
	world_free(w);
}

Test(rekey, needs_a_living_key)
{
	struct world *w = world_new(54, 1);

	node_start(&w->node[0]);
	cr_assert_eq(svr_peering_rekey(w->node[0].peering), -ENOKEY);
	world_free(w);
}

/* ---- paths that fail ------------------------------------------------------------------------- */

Test(hold_down, only_after_a_failure)
{
	struct world *w = world_new(61, 1);
	uint64_t t;

	w->hold_down_ms = 5000;
	node_start(&w->node[0]);
	node_start(&w->node[1]);
	t = w->now_ns;
	cr_assert(world_run_until_agreed(w, 1000), "%s", world_describe(w));
	cr_assert_lt(w->now_ns - t, 200 * SVR_NS_PER_MS);

	w->path_cut[0] = true;
	world_run(w, 10000);
	cr_assert_eq(w->node[0].path[0].status, SVR_PATH_DOWN);
	cr_assert_eq(w->node[0].path[0].down_count, 1);
	w->path_cut[0] = false;
	t = w->now_ns;
	world_run(w, 4000);
	cr_assert_eq(w->node[0].peering->paths[0].bfd.state, SVR_BFD_UP);
	cr_assert_eq(w->node[0].path[0].status, SVR_PATH_INIT);
	cr_assert(world_run_until_agreed(w, 5000), "%s", world_describe(w));
	cr_assert_gt(w->now_ns - t, 5000 * SVR_NS_PER_MS);
	world_free(w);
}

Test(hold_down, damping_doubles_and_starts_again)
{
	static const uint32_t expected[] = { 1000, 2000, 4000, 8000, 8000, 1000, 2000 };
	struct world *w = world_new(62, 1);
	struct svr_peering_path *path;
	size_t i;

	w->hold_down_ms = 1000;
	w->hold_down_max_ms = 8000;
	node_start(&w->node[0]);
	node_start(&w->node[1]);
	cr_assert(world_run_until_agreed(w, 1000));
	path = &w->node[0].peering->paths[0];
	for (i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
		w->path_cut[0] = true;
		world_run(w, 6000);
		cr_assert_eq(path->state.hold_down_ms, expected[i], "failure %zu: %u ms", i + 1,
			     path->state.hold_down_ms);
		w->path_cut[0] = false;
		cr_assert(world_run_until_agreed(w, 20000), "%s", world_describe(w));
	}
	world_free(w);
}

/* The peer saw the path fail: it would not carry what the restarted router sends at once. */
Test(hold_down, also_after_an_absence)
{
	struct world *w = established(64, 1);

	w->hold_down_ms = 5000;
	node_stop(&w->node[0]);
	world_run(w, 10000);
	node_start(&w->node[0]);
	world_run(w, 3000);
	cr_assert_eq(w->node[0].peering->paths[0].bfd.state, SVR_BFD_UP);
	cr_assert_eq(w->node[0].path[0].status, SVR_PATH_INIT);
	cr_assert(world_run_until_agreed(w, 5000), "%s", world_describe(w));
	world_free(w);
}

/* A restart in the middle shortens nothing: not while the path is down, not while it is held. */
Test(hold_down, over_a_restart)
{
	struct world *w = world_new(65, 1);
	struct node *east = &w->node[0];
	uint64_t t;

	w->hold_down_ms = 5000;
	node_start(&w->node[0]);
	node_start(&w->node[1]);
	cr_assert(world_run_until_agreed(w, 1000), "%s", world_describe(w));
	w->path_cut[0] = true;
	world_run(w, 6000);
	node_stop(east);
	node_start(east);
	w->path_cut[0] = false;
	t = w->now_ns;
	world_run(w, 3000);
	cr_expect_eq(east->peering->paths[0].bfd.state, SVR_BFD_UP);
	cr_expect_eq(east->path[0].status, SVR_PATH_INIT, "it failed before the process began");
	node_stop(east);
	node_start(east);
	world_run(w, 1000);
	cr_expect_eq(east->peering->paths[0].bfd.state, SVR_BFD_UP);
	cr_expect_eq(east->path[0].status, SVR_PATH_INIT, "it was up for less than the hold-down");
	cr_assert(world_run_until_agreed(w, 5000), "%s", world_describe(w));
	cr_expect_lt(w->now_ns - t, 7000 * SVR_NS_PER_MS, "the rest of it, not all of it again");
	node_stop(east);
	node_start(east);
	world_run(w, 10);
	cr_expect_eq(east->path[0].status, SVR_PATH_UP, "once it is over it is over");
	world_free(w);
}

Test(hold_down, damping_over_a_restart)
{
	struct world *w = world_new(66, 1);
	int i;

	w->hold_down_ms = 1000;
	w->hold_down_max_ms = 8000;
	node_start(&w->node[0]);
	node_start(&w->node[1]);
	cr_assert(world_run_until_agreed(w, 1000));
	for (i = 0; i < 2; i++) {
		w->path_cut[0] = true;
		world_run(w, 6000);
		node_stop(&w->node[0]);
		node_start(&w->node[0]);
		w->path_cut[0] = false;
		cr_assert(world_run_until_agreed(w, 20000), "%s", world_describe(w));
	}
	cr_expect_eq(w->node[0].path[0].down_count, 2);
	cr_expect_eq(w->node[0].path[0].hold_down_ms, 2000);
	world_free(w);
}

Test(hold_down, one_path_fails_the_other_carries_on)
{
	struct world *w = established(63, 2);
	uint32_t key = current_key(&w->node[0]);

	w->path_cut[1] = true;
	cr_assert(stays_in_service(w, &w->node[0], 20000));
	cr_assert_eq(w->node[0].path[1].status, SVR_PATH_DOWN);
	w->path_cut[1] = false;
	cr_assert(world_run_until_agreed(w, 10000), "%s", world_describe(w));
	cr_assert_eq(current_key(&w->node[0]), key);
	world_free(w);
}
