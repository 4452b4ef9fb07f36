// SPDX-License-Identifier: BSD-2-Clause
/* Anti-replay window, row by row and against a simple model. */
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
