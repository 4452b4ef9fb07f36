// SPDX-License-Identifier: BSD-2-Clause
/*
 * Two peers meet: the plain case, every single packet lost, doubled or late, both directions, both
 * starting at once.
 */
#include <criterion/criterion.h>

#include "world.h"

enum { START_MS = 20000 };

static void start_both(struct world *w)
{
	node_start(&w->node[0]);
	node_start(&w->node[1]);
}

Test(start, agree_within_a_second)
{
	struct world *w = world_new(1, 1);

	start_both(w);
	cr_assert(world_run_until_agreed(w, 1000), "%s", world_describe(w));
	cr_assert_eq(w->node[0].keys_made, 1);
	cr_assert_eq(w->node[1].keys_made, 1);
	world_free(w);
}

Test(start, stays_agreed_and_makes_one_key)
{
	struct world *w = world_new(2, 2);

	start_both(w);
	cr_assert(world_run_until_agreed(w, START_MS), "%s", world_describe(w));
	world_run(w, 600000);
	cr_assert(world_agreed(w), "%s", world_describe(w));
	cr_assert_eq(w->node[0].keys_made, 1);
	cr_assert_eq(w->node[0].path[0].down_count, 0);
	world_free(w);
}

Test(start, one_comes_much_later)
{
	int first;

	for (first = 0; first < 2; first++) {
		struct world *w = world_new(3, 1);

		node_start(&w->node[first]);
		world_run(w, 60000);
		node_start(&w->node[!first]);
		cr_assert(world_run_until_agreed(w, START_MS), "first %d: %s", first,
			  world_describe(w));
		world_free(w);
	}
}

struct nth {
	uint64_t count, lost, doubled, late;
};

static bool nth_packet(struct world *w, const struct flight *f, void *arg)
{
	struct nth *n = arg;
	struct flight *copy;

	n->count++;
	if (n->count == n->lost)
		return false;
	if (n->count != n->doubled && n->count != n->late)
		return true;
	/* 30 ms later: behind everything that follows at once */
	copy = &w->queue[w->queued++];
	*copy = *f;
	copy->at_ns = w->now_ns + w->delay_ns + 30 * SVR_NS_PER_MS;
	copy->order = w->sent;
	return n->count == n->doubled;
}

static uint64_t packets_of_a_plain_start(void)
{
	struct nth n = { 0 };
	struct world *w = world_new(4, 1);

	w->filter = nth_packet;
	w->filter_arg = &n;
	start_both(w);
	cr_assert(world_run_until_agreed(w, START_MS), "%s", world_describe(w));
	world_free(w);
	return n.count;
}

static void run_nth(struct nth n, const char *what)
{
	struct world *w = world_new(4, 1);

	w->filter = nth_packet;
	w->filter_arg = &n;
	start_both(w);
	cr_assert(world_run_until_agreed(w, 60000), "%s, lost %lu doubled %lu late %lu: %s", what,
		  n.lost, n.doubled, n.late, world_describe(w));
	world_run(w, 10000);
	cr_assert(world_agreed(w), "%s, later: %s", what, world_describe(w));
	world_free(w);
}

Test(start, every_packet_lost_doubled_late)
{
	uint64_t count = packets_of_a_plain_start(), i;

	cr_assert_gt(count, 10);
	for (i = 1; i <= count; i++) {
		run_nth((struct nth){ .lost = i }, "lost");
		run_nth((struct nth){ .doubled = i }, "doubled");
		run_nth((struct nth){ .late = i }, "late");
	}
}

Test(start, every_pair_of_packets_lost)
{
	uint64_t count = packets_of_a_plain_start(), i, k;

	for (i = 1; i <= count; i++)
		for (k = 1; k <= count; k++)
			run_nth((struct nth){ .lost = i, .late = k }, "lost and late");
}

/* The larger common name loses the glare, but starts if the smaller one never does. */
static bool no_init_from_east(struct world *w, const struct flight *f, void *arg)
{
	(void)w, (void)arg;
	/* INIT is the only unsealed packet from east that is longer than a hello */
	return !(f->to == 1 && f->len > 300);
}

Test(start, larger_name_starts_if_nothing_comes)
{
	struct world *w = world_new(5, 1);

	/*
	 * east's INIT never arrives; when west starts, east (whose own exchange is under way) has
	 * to let it
	 */
	w->filter = no_init_from_east;
	start_both(w);
	world_run(w, 30000);
	cr_assert_not(world_agreed(w));
	w->filter = NULL;
	cr_assert(world_run_until_agreed(w, 60000), "%s", world_describe(w));
	world_free(w);
}

/* The first packet that west seals is AUTH_R. */
static bool lose_auth_r(struct world *w, const struct flight *f, void *arg)
{
	bool *lost = arg;
	bool sealed = f->len > SVR_BFD_LEN + SVR_META_HDR_LEN &&
		      f->data[SVR_BFD_LEN + 9] > SVR_META_HDR_LEN;

	(void)w;
	if (f->to != 0 || !sealed || *lost)
		return true;
	*lost = true;
	return false;
}

/*
 * Detection is faster than retransmission: while AUTH_R is missing the responder must go on hearing
 * the initiator.
 */
Test(start, bfd_survives_the_loss_of_auth_r)
{
	struct world *w = world_new(8, 1);
	bool lost = false;
	int i;

	w->bfd = (struct svr_bfd_config){ .desired_min_tx_us = 200000,
					  .required_min_rx_us = 200000,
					  .detect_mult = 3 };
	w->filter = lose_auth_r;
	w->filter_arg = &lost;
	start_both(w);
	world_run(w, 30);
	cr_assert(lost);
	for (i = 0; i < 300; i++) {
		world_run(w, 10);
		cr_assert_eq(w->node[0].peering->paths[0].bfd.state, SVR_BFD_UP, "%s",
			     world_describe(w));
		cr_assert_eq(w->node[1].peering->paths[0].bfd.state, SVR_BFD_UP, "%s",
			     world_describe(w));
	}
	cr_assert(world_agreed(w), "%s", world_describe(w));
	world_free(w);
}

Test(start, clock_offset_is_measured)
{
	struct world *w = world_new(6, 1);
	int64_t off_ns = 3700 * (int64_t)SVR_NS_PER_MS, found_ns;

	w->node[1].clock_ns = off_ns;
	w->jitter_ns = 20 * SVR_NS_PER_MS;
	start_both(w);
	cr_assert(world_run_until_agreed(w, START_MS), "%s", world_describe(w));
	world_run(w, 20000);
	cr_assert(w->node[0].keys.offset_valid);
	found_ns = w->node[0].keys.clock_offset_ns;
	cr_assert(found_ns > off_ns - 15000000 && found_ns < off_ns + 15000000, "%ld ns",
		  (long)found_ns);
	found_ns = w->node[1].keys.clock_offset_ns;
	cr_assert(found_ns > -off_ns - 15000000 && found_ns < -off_ns + 15000000, "%ld ns",
		  (long)found_ns);

	/* a clock is set while both run */
	w->node[1].clock_ns = -off_ns;
	world_run(w, 20000);
	cr_assert(world_agreed(w), "%s", world_describe(w));
	found_ns = w->node[0].keys.clock_offset_ns;
	cr_assert(found_ns > -off_ns - 15000000 && found_ns < -off_ns + 15000000, "%ld ns",
		  (long)found_ns);
	world_free(w);
}

Test(start, real_diffie_hellman)
{
	/*
	 * the same with libcrypto's groups is in tests/unit; here only that two of them fit the
	 * exchange
	 */
	static const uint16_t groups[] = { SVR_DH_MODP1024, SVR_DH_FFDHE2048, SVR_DH_FFDHE4096 };
	size_t i;

	for (i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
		struct world *w = world_new(7 + i, 1);

		w->node[0].group = w->node[1].group = groups[i];
		w->real_dh = true;
		start_both(w);
		cr_assert(world_run_until_agreed(w, START_MS), "%s", world_describe(w));
		world_free(w);
	}
}

struct answers {
	unsigned int on_path_1;
};

/* What is long enough to be a piece of a message: to west it is lost, to east it is counted. */
static bool pieces(struct world *w, const struct flight *f, void *arg)
{
	struct answers *a = arg;

	(void)w;
	if (f->len < 400)
		return true;
	a->on_path_1 += f->to == 0 && f->path == 1;
	return f->to == 0;
}

/* The path on which INIT came fails while west computes the answer: another one has to do. */
Test(start, answer_on_another_path)
{
	struct world *w = world_new(77, 2);
	struct answers a = { 0 };
	unsigned int i;

	w->compute_ns = SVR_NS_PER_SEC;
	node_start(&w->node[0]);
	node_start(&w->node[1]);
	for (i = 0; i < 10000 && !w->node[1].peering->kex.candidate; i++)
		world_run(w, 1);
	cr_assert_eq(w->jobs, 1);
	w->job[0].at_ns = w->now_ns + 10 * SVR_NS_PER_SEC;
	w->path_cut[0] = true;
	w->filter = pieces;
	w->filter_arg = &a;
	world_run(w, 11000);
	cr_assert_eq(w->node[1].peering->paths[0].bfd.state, SVR_BFD_DOWN);
	cr_assert_eq(w->node[1].peering->paths[1].bfd.state, SVR_BFD_UP);
	cr_expect_gt(a.on_path_1, 0);
	world_free(w);
}
