// SPDX-License-Identifier: BSD-2-Clause
/*
 * Bugs of another implementation, by the number under which its release notes tell of them: what
 * went wrong there with keys and BFD between two routers does not here. Those about packets of
 * sessions are in the selftests, those about certificates in tests/pki and test_certificates.sh.
 */
#include <criterion/criterion.h>

#include "lib/bytes.h"
#include "world.h"

enum { MS = SVR_NS_PER_MS, LOST_MAX = 6 };

static bool all_up(const struct world *w)
{
	unsigned int i, k;

	for (i = 0; i < 2; i++)
		for (k = 0; k < w->paths; k++)
			if (w->node[i].peering->paths[k].bfd.state != SVR_BFD_UP)
				return false;
	return true;
}

static uint64_t downs(const struct world *w)
{
	unsigned int i, k;
	uint64_t n = 0;

	for (i = 0; i < 2; i++)
		for (k = 0; k < w->paths; k++)
			n += w->node[i].path[k].down_count;
	return n;
}

/* ---- I95-63547: peering failed when clocks were more than two seconds apart ------------------- */

static void expect_offset(const struct world *w, int64_t west_ahead_ms)
{
	int64_t e = w->node[0].keys.clock_offset_ns - west_ahead_ms * MS;
	int64_t v = w->node[1].keys.clock_offset_ns + west_ahead_ms * MS;

	cr_expect(e > -20 * MS && e < 20 * MS, "%ld ms: east is off by %ld ns", (long)west_ahead_ms,
		  (long)e);
	cr_expect(v > -20 * MS && v < 20 * MS, "%ld ms: west is off by %ld ns", (long)west_ahead_ms,
		  (long)v);
}

Test(known_bugs, i95_63547_clocks_apart)
{
	static const int64_t skews_s[] = { 1, -1, 2, -2, 3, -3, 10, -10, 60, -60, 7200, -7200 };
	unsigned int i, k;

	for (i = 0; i < sizeof(skews_s) / sizeof(skews_s[0]); i++) {
		struct world *w = world_new(700 + i, 1);

		w->node[1].clock_ns = skews_s[i] * 1000 * MS;
		node_start(&w->node[0]);
		node_start(&w->node[1]);
		cr_assert(world_run_until_agreed(w, 10000), "%ld s: %s", (long)skews_s[i],
			  world_describe(w));
		world_run(w, 3000);
		expect_offset(w, skews_s[i] * 1000);
		/* then it is slewed, as fast as adjtime() may: 500 ppm, while sessions talk */
		for (k = 0; k < 200; k++) {
			w->node[1].clock_ns += (skews_s[i] < 0 ? MS : -MS) / 2;
			world_run(w, 1000);
		}
		expect_offset(w, skews_s[i] * 1000 + (skews_s[i] < 0 ? 100 : -100));
		cr_expect_eq(downs(w), 0);
		cr_expect_str_empty(w->fault, "%s", w->fault);
		world_free(w);
	}
}

/* ---- I95-65797: a retransmission timer that fired once and was not started again -------------- */

struct first_lost {
	int from; /* router whose packets are lost, */
	enum svr_kex_state state; /* while it is in this state, */
	unsigned int left; /* so many of them */
	unsigned int seen;
};

static bool lose_first(struct world *w, const struct flight *f, void *arg)
{
	struct first_lost *l = arg;

	if (f->to == l->from || w->node[l->from].peering->kex.state != l->state || !all_up(w))
		return true;
	l->seen++;
	return l->left == 0 || l->left-- == 0;
}

static unsigned int start_without(struct first_lost l, uint64_t patience_ms)
{
	struct world *w = world_new(750, 1);

	/* BFD alone: the packets lost are those of the keys, or five heartbeats */
	w->bfd.detect_mult = 2 * LOST_MAX;
	w->filter = lose_first;
	w->filter_arg = &l;
	node_start(&w->node[0]);
	node_start(&w->node[1]);
	cr_expect(world_run_until_agreed(w, patience_ms), "router %d, state %s, %u left: %s", l.from,
		  svr_kex_state_name(l.state), l.left, world_describe(w));
	cr_expect_eq(downs(w), 0);
	world_free(w);
	return l.seen;
}

Test(known_bugs, i95_65797_first_messages_lost_in_each_state)
{
	static const enum svr_kex_state states[] = {
#define X(id, name, text) SVR_KEX_STATE_##id,
		SVR_KEX_STATES(X)
#undef X
	};
	unsigned int seen[2] = { 0 };
	uint64_t patience_ms = 2000;
	unsigned int n, i;
	int from;

	for (n = 1; n <= LOST_MAX; n++) {
		patience_ms += 15000; /* intervals double, and an exchange that led nowhere is over after 7 s */
		for (from = 0; from < 2; from++)
			for (i = 0; i < sizeof(states) / sizeof(states[0]); i++)
				seen[from] += start_without((struct first_lost){ .from = from,
										 .state = states[i],
										 .left = n },
							    patience_ms) != 0;
	}
	/* INIT, AUTH_I and the metadata key of one, RESP, AUTH_R and the same of the other */
	cr_expect_geq(seen[0], 3 * LOST_MAX);
	cr_expect_geq(seen[1], 3 * LOST_MAX);
}

/* ---- I95-66278: a slow computation and a retransmission timer that did not know of it --------- */

Test(known_bugs, i95_66278_slow_computation_makes_no_path_flap)
{
	static const uint64_t compute_ms[] = { 900, 1100, 2500, 6000 };
	unsigned int i, k;

	for (i = 0; i < sizeof(compute_ms) / sizeof(compute_ms[0]); i++) {
		struct world *w = world_new(760 + i, 2);

		w->bfd = (struct svr_bfd_config){ .desired_min_tx_us = 100000,
						  .required_min_rx_us = 100000,
						  .detect_mult = 3 };
		w->node[0].group = w->node[1].group = SVR_DH_FFDHE4096;
		w->compute_ns = compute_ms[i] * MS;
		w->hold_ms = 1000;
		node_start(&w->node[0]);
		node_start(&w->node[1]);
		cr_assert(world_run_until_agreed(w, 90000), "%lu ms: %s", compute_ms[i],
			  world_describe(w));
		world_run(w, 3000);
		for (k = 0; k < 3; k++) {
			cr_expect_eq(svr_peering_rekey(w->node[k % 2].peering), 0, "%lu ms, rekey %u",
				     compute_ms[i], k);
			world_run(w, 40000);
		}
		cr_assert(world_agreed(w), "%lu ms: %s", compute_ms[i], world_describe(w));
		cr_expect_eq(w->node[0].keys_made, 4, "%lu ms: one exchange each, %u keys",
			     compute_ms[i], w->node[0].keys_made);
		cr_expect_eq(downs(w), 0, "%lu ms: a path flapped", compute_ms[i]);
		cr_expect_str_empty(w->fault, "%s", w->fault);
		world_free(w);
	}
}

/* ---- I95-48529: a path was announced before its hold-down was over ---------------------------- */

Test(known_bugs, i95_48529_not_in_service_before_the_hold_down_is_over)
{
	struct world *w = world_new(770, 1);
	uint64_t up_ns = 0;
	unsigned int i;

	w->hold_down_ms = 5000;
	node_start(&w->node[0]);
	node_start(&w->node[1]);
	cr_assert(world_run_until_agreed(w, 10000), "%s", world_describe(w));
	w->path_cut[0] = true;
	world_run(w, 6000);
	w->path_cut[0] = false;
	for (i = 0; i < 3000 && w->node[0].path[0].status != SVR_PATH_UP; i++) {
		world_run(w, 10);
		if (!up_ns && w->node[0].peering->paths[0].bfd.state == SVR_BFD_UP)
			up_ns = w->now_ns;
		if (up_ns && w->now_ns < up_ns + 4980ULL * MS)
			cr_assert_neq(w->node[0].path[0].status, SVR_PATH_UP, "%lu ms after BFD",
				      (w->now_ns - up_ns) / MS);
	}
	cr_expect_eq(w->node[0].path[0].status, SVR_PATH_UP);
	world_free(w);
}

/* ---- I95-57605, I95-49350: link tests came at odd times, and those of all paths at once ------- */

struct tests_seen {
	uint64_t first_ns[WORLD_PATHS_MAX], last_ns[WORLD_PATHS_MAX], bursts[WORLD_PATHS_MAX];
	uint64_t sent[WORLD_PATHS_MAX];
};

/* A burst begins where the counter of requests rises after a pause. */
static void watch(const struct world *w, struct tests_seen *t)
{
	unsigned int i;

	for (i = 0; i < w->paths; i++) {
		uint64_t sent = w->node[0].peering->paths[i].test.requests;

		if (sent == t->sent[i])
			continue;
		if (!t->bursts[i] || w->now_ns > t->last_ns[i] + 3000ULL * MS) {
			if (!t->bursts[i])
				t->first_ns[i] = w->now_ns;
			t->bursts[i]++;
		}
		t->last_ns[i] = w->now_ns;
		t->sent[i] = sent;
	}
}

Test(known_bugs, i95_57605_i95_49350_link_tests_are_even_and_staggered)
{
	struct world *w = world_new(780, 3);
	struct tests_seen t = { 0 };
	uint64_t begin_ns, apart_ns;
	unsigned int i, k;

	w->test = (struct svr_linktest_config){ .interval_ms = 10000,
						.length = 4,
						.accept_us = 100000,
						.average_ms = 60000 };
	node_start(&w->node[0]);
	node_start(&w->node[1]);
	cr_assert(world_run_until_agreed(w, 10000), "%s", world_describe(w));
	begin_ns = w->now_ns;
	while (w->now_ns < begin_ns + 600000ULL * MS) {
		world_run(w, 5);
		watch(w, &t);
	}
	for (i = 0; i < 3; i++) {
		cr_expect(t.bursts[i] >= 59 && t.bursts[i] <= 61, "path %u: %lu bursts in 600 s", i,
			  t.bursts[i]);
		for (k = 0; k < i; k++) {
			apart_ns = (t.first_ns[i] > t.first_ns[k] ? t.first_ns[i] - t.first_ns[k] :
								    t.first_ns[k] - t.first_ns[i]) %
				   (10000ULL * MS);
			cr_expect_gt(apart_ns, 50ULL * MS, "paths %u and %u at once", k, i);
		}
	}
	world_free(w);
}

/* ---- what a middlebox translates -------------------------------------------------------------- */

/*
 * The two paths of a peer behind one translated address: packets of the second come as if from the
 * first. No state of either is changed by them, and it is said why.
 */
static bool through_one_address(struct world *w, const struct flight *f, void *arg)
{
	struct flight *moved;

	(void)arg;
	if (f->path == 0)
		return true;
	moved = &w->queue[w->queued++];
	*moved = *f;
	moved->path = 0;
	moved->at_ns = w->now_ns + w->delay_ns;
	moved->order = w->sent;
	return false;
}

Test(known_bugs, two_paths_translated_to_one_address)
{
	struct world *w = world_new(790, 2);

	node_start(&w->node[0]);
	node_start(&w->node[1]);
	cr_assert(world_run_until_agreed(w, 10000), "%s", world_describe(w));
	w->filter = through_one_address;
	world_run(w, 10000);
	cr_expect_eq(w->node[0].path[0].status, SVR_PATH_UP, "the first path goes on: %s",
		     world_describe(w));
	cr_expect_neq(w->node[0].path[1].status, SVR_PATH_UP, "nothing comes by the second");
	cr_expect_eq(w->node[0].path[0].down_count, 0);
	w->filter = NULL;
	cr_assert(world_run_until_agreed(w, 60000), "%s", world_describe(w));
	cr_expect_eq(w->node[0].keys_made, 1);
	world_free(w);
}
