// SPDX-License-Identifier: BSD-2-Clause
/* Anti-replay window, row by row and against a simple model; nonce memory. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>
#include <svr/drops.h>

#include "lib/replay.h"
#include "tests/unit/vector.h"

enum { OK = 0, SEEN = -SVR_DROP_REPLAY, OLD = -SVR_DROP_REPLAY_OLD, W = SVR_REPLAY_WINDOW };

/* What a receiver does with an authenticated packet. */
static int receive(struct svr_replay *r, uint64_t counter)
{
	int ret = svr_replay_check(r, counter);

	if (ret == 0)
		svr_replay_update(r, counter);
	return ret;
}

Test(replay, single_packets)
{
	static const struct {
		uint64_t counter;
		int want;
		const char *name;
	} rows[] = {
		{ 0, OLD, "counter 0 is never valid" },
		{ 1, OK, "the first counter" },
		{ 1, SEEN, "the same again" },
		{ 9, OK, "a gap" },
		{ 8, OK, "one out of the gap" },
		{ 7, OK, "another" },
		{ 7, SEEN, "that one again" },
		{ 63, OK, "last bit of the first word" },
		{ 64, OK, "first bit of the second word" },
		{ 64, SEEN, "again" },
		{ 63, SEEN, "the word before is still known" },
		{ W, OK, "all of the window is to the left of the top" },
		{ 2, OK, "counter 2 is still inside" },
		{ 1, SEEN, "so is counter 1, and it was seen" },
		{ W + 1, OK, "one further" },
		{ 1, OLD, "counter 1 has left the window" },
		{ 2, SEEN, "counter 2 is the oldest inside" },
		{ 3, OK, "counter 3 was never seen" },
		{ 3, SEEN, "now it was" },
		{ 0, OLD, "counter 0 stays invalid" },
		{ W + 65, OK, "into the next word" },
		{ 66, OK, "oldest one inside, never seen" },
		{ 65, OLD, "one before the oldest" },
		{ W + 64, OK, "just below the top" },
		{ W + 64, SEEN, "again" },
		{ 10 * W, OK, "a jump by many windows" },
		{ W + 65, OLD, "the old top is gone" },
		{ 9 * W, OLD, "exactly one window behind" },
		{ 9 * W + 1, OK,
		  "oldest counter of the new window, no bit of the past in the way" },
		{ 10 * W - 1, OK, "newest but one" },
		{ 10 * W, SEEN, "the top" },
		{ (1ULL << 48), OK, "the largest counter of the protocol" },
		{ (1ULL << 48) - W + 1, OK, "its window" },
		{ (1ULL << 48) - W, OLD, "and behind it" },
		{ UINT64_MAX, OK, "no arithmetic overflow at the end of the numbers" },
		{ UINT64_MAX, SEEN, "again" },
		{ UINT64_MAX - W + 1, OK, "window at the end" },
		{ UINT64_MAX - W, OLD, "behind it" },
		{ 1, OLD, "nothing starts again" },
	};
	struct svr_replay r = { 0 };
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		cr_expect_eq(receive(&r, rows[i].counter), rows[i].want, "row %zu: %s", i,
			     rows[i].name);
}

Test(replay, a_check_alone_changes_nothing)
{
	struct svr_replay r = { 0 }, before;
	uint64_t c;

	for (c = 1; c < 3 * W; c += 7)
		svr_replay_update(&r, c);
	before = r;
	for (c = 0; c < 5 * W; c++)
		svr_replay_check(&r, c);
	cr_expect(memcmp(&r, &before, sizeof(r)) == 0);
}

Test(replay, an_update_behind_the_window_changes_nothing)
{
	struct svr_replay r = { 0 }, before;

	svr_replay_update(&r, 5 * W);
	before = r;
	svr_replay_update(&r, 4 * W);
	svr_replay_update(&r, 0);
	cr_expect(memcmp(&r, &before, sizeof(r)) == 0);
}

Test(replay, backward_through_a_whole_window_loses_nothing)
{
	struct svr_replay r = { 0 };
	uint64_t top, c;

	/* every phase of a word, because words are cleared whole */
	for (top = 4 * W; top < 4 * W + 130; top++) {
		memset(&r, 0, sizeof(r));
		for (c = top; c > top - W; c--)
			cr_assert_eq(receive(&r, c), OK, "counter %lu below top %lu", top - c, top);
		for (c = top; c > top - W; c--)
			cr_assert_eq(receive(&r, c), SEEN);
		cr_assert_eq(receive(&r, top - W), OLD);
	}
}

Test(replay, random_walks_agree_with_a_list_of_what_was_seen)
{
	enum { RANGE = 1 << 17, STEPS = 400000 };
	bool *seen = calloc(RANGE, sizeof(*seen));
	struct svr_replay r = { 0 };
	uint64_t seed = 20261120, top = 0, c, jump;
	int step, want;

	cr_assert_not_null(seen);
	for (step = 0; step < STEPS; step++) {
		/* mostly inside the window or a little ahead, sometimes far */
		jump = test_random(&seed) % 100 < 98 ? 8 : 5000;
		c = top + test_random(&seed) % jump;
		c -= c > 2 * W ? test_random(&seed) % (2 * W) * (test_random(&seed) & 1) : 0;
		if (c >= RANGE)
			break;
		want = c == 0 || (c <= top && top - c >= W) ? OLD : seen[c] ? SEEN : OK;
		cr_assert_eq(receive(&r, c), want, "step %d: counter %lu, top %lu", step, c, top);
		if (want == OK) {
			seen[c] = true;
			top = c > top ? c : top;
		}
	}
	cr_expect_gt(step, 1000, "only %d steps", step);
	free(seen);
}

/* ---- nonces ---------------------------------------------------------------------------------- */

#define SEC 1000000000ULL
#define LIFE (SVR_NONCE_LIFE_SEC * SEC)
#define NOW (1700000000ULL * SEC)

enum { TAKEN = 0, NONCE_OLD = -SVR_DROP_META_NONCE_OLD, NONCE_SEEN = -SVR_DROP_META_REPLAY };

static struct svr_nonce_slot *slots_new(void)
{
	struct svr_nonce_slot *slots = calloc(SVR_NONCE_SLOTS, sizeof(*slots));

	cr_assert_not_null(slots);
	return slots;
}

Test(nonce, one_after_the_other)
{
	const struct {
		const char *name;
		uint32_t peer;
		uint64_t time_ns, random, now_ns;
		int want;
	} rows[] = {
		{ "a fresh nonce is taken", 1, NOW, 7, NOW, TAKEN },
		{ "the same again is a replay", 1, NOW, 7, NOW, NONCE_SEEN },
		{ "from another peer it is another nonce", 2, NOW, 7, NOW, TAKEN },
		{ "another random number", 1, NOW, 8, NOW, TAKEN },
		{ "another time", 1, NOW + 1, 7, NOW, TAKEN },
		{ "just not too old", 1, NOW - LIFE, 1, NOW, TAKEN },
		{ "too old by one ns", 1, NOW - LIFE - 1, 2, NOW, NONCE_OLD },
		{ "just not too new", 1, NOW + LIFE, 3, NOW, TAKEN },
		{ "too new by one ns", 1, NOW + LIFE + 1, 4, NOW, NONCE_OLD },
		{ "time 0", 1, 0, 5, NOW, NONCE_OLD },
		{ "the end of time", 1, UINT64_MAX, 6, NOW, NONCE_OLD },
		{ "seen, at the end of its life", 1, NOW, 7, NOW + LIFE, NONCE_SEEN },
		{ "after its life it is too old", 1, NOW, 7, NOW + LIFE + 1, NONCE_OLD },
		{ "the newest one is remembered as long as it is valid", 1, NOW + LIFE, 3,
		  NOW + 2 * LIFE, NONCE_SEEN },
		{ "a clock that went back finds it still", 1, NOW, 7, NOW - LIFE, NONCE_SEEN },
	};
	struct svr_nonce_slot *slots = slots_new();
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		cr_expect_eq(svr_nonce_accept(slots, rows[i].peer, rows[i].time_ns, rows[i].random,
					      rows[i].now_ns),
			     rows[i].want, "%s", rows[i].name);
	free(slots);
}

Test(nonce, a_clock_that_is_set_back_makes_none_new_again)
{
	enum { FIRST = 1000, OTHERS = SVR_NONCE_SLOTS / 16 * 6 };
	struct svr_nonce_slot *slots = slots_new();
	const uint64_t ahead =
		NOW + 2 * LIFE -
		SEC; /* our clock ran ahead, by almost a life more than a nonce lives */
	int i;

	for (i = 0; i < FIRST; i++)
		cr_assert_eq(svr_nonce_accept(slots, 1, NOW, (uint64_t)i, NOW), TAKEN);
	/* others come and take every slot that they can get */
	for (i = 0; i < OTHERS; i++)
		cr_assert_eq(svr_nonce_accept(slots, 2, ahead, (uint64_t)i, ahead), TAKEN);
	for (i = 0; i < FIRST; i++)
		cr_assert_eq(svr_nonce_accept(slots, 1, NOW, (uint64_t)i, NOW + LIFE), NONCE_SEEN,
			     "nonce %d", i);
	free(slots);
}

Test(nonce, memory_of_the_past_is_used_again)
{
	struct svr_nonce_slot *slots = slots_new();
	uint64_t seed = 1, now = NOW;
	int i, round;

	/*
	 * many fillings to 7/16, each a lifetime after the other: nothing may be left of the one
	 * before
	 */
	for (round = 0; round < 4; round++, now += 4 * LIFE)
		for (i = 0; i < SVR_NONCE_SLOTS / 16 * 7; i++)
			cr_assert_eq(svr_nonce_accept(slots, 1, now, test_random(&seed), now),
				     TAKEN, "round %d, nonce %d", round, i);
	free(slots);
}

Test(nonce, a_full_memory_refuses_and_still_knows_what_it_took)
{
	struct svr_nonce_slot *slots = slots_new();
	uint64_t seed = 2, again, *taken = malloc(SVR_NONCE_SLOTS * sizeof(*taken));
	int i, n = 0, full = 0, ret, used = 0;

	cr_assert_not_null(taken);
	for (i = 0; i < 3 * SVR_NONCE_SLOTS; i++) {
		again = test_random(&seed);
		ret = svr_nonce_accept(slots, 9, NOW, again, NOW);
		if (ret == TAKEN) {
			cr_assert_lt(n, SVR_NONCE_SLOTS);
			taken[n++] = again;
		} else {
			cr_assert_eq(ret, -SVR_DROP_META_NONCE_FULL);
			full++;
		}
	}
	cr_expect_gt(full, 0);
	for (i = 0; i < SVR_NONCE_SLOTS; i++)
		used += slots[i].time_ns != 0;
	cr_expect_eq(used, n, "every nonce that was taken is in a slot of its own");
	cr_expect_gt(n, SVR_NONCE_SLOTS * 99 / 100, "only %d of %d slots could be used", n,
		     SVR_NONCE_SLOTS);
	for (i = 0; i < n; i++)
		cr_assert_eq(svr_nonce_accept(slots, 9, NOW, taken[i], NOW + 1), NONCE_SEEN);
	/* and all is free again when the lives are over */
	cr_expect_eq(svr_nonce_accept(slots, 9, NOW + 3 * LIFE, 1, NOW + 3 * LIFE), TAKEN);
	free(taken);
	free(slots);
}

Test(nonce, neighbouring_nonces_spread_over_the_buckets)
{
	struct svr_nonce_slot *slots = slots_new();
	int i;

	/*
	 * a counter instead of random numbers, times one nanosecond apart: they must find as much
	 * room as random ones
	 */
	for (i = 0; i < SVR_NONCE_SLOTS / 32 * 7; i++) {
		cr_assert_eq(svr_nonce_accept(slots, 1, NOW, (uint64_t)i, NOW), TAKEN, "random %d",
			     i);
		cr_assert_eq(svr_nonce_accept(slots, 2, NOW + (uint64_t)i, 0, NOW), TAKEN,
			     "time %d", i);
	}
	free(slots);
}
