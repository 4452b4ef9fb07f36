// SPDX-License-Identifier: BSD-2-Clause
/* The memory of metadata nonces. */
#include <stdlib.h>

#include <criterion/criterion.h>
#include <svr/drops.h>

#include "lib/nonce.h"
#include "tests/unit/vector.h"

#define SEC    1000000000ULL
#define LIFE   (SVR_NONCE_LIFE_SEC * SEC)
#define NOW    (1700000000ULL * SEC)
#define UPTIME (1000 * SEC)

enum {
	TAKEN = 0,
	NONCE_OLD = -SVR_DROP_META_NONCE_OLD,
	NONCE_SEEN = -SVR_DROP_META_REPLAY,
	NONCE_FULL = -SVR_DROP_META_NONCE_FULL,
};

static struct svr_nonce_slot *slots_new(void)
{
	struct svr_nonce_slot *slots = calloc(SVR_NONCE_SLOTS, sizeof(*slots));

	cr_assert_not_null(slots);
	return slots;
}

/* Clocks that were never set: @passed ns after NOW. */
static int accept_at(struct svr_nonce_slot *slots, uint32_t peer, uint64_t time_ns, uint64_t random,
		     int64_t passed)
{
	const struct svr_nonce nonce = { peer, time_ns, random };
	const struct svr_nonce_clocks now = {
		.sent_ns = time_ns,
		.real_ns = NOW + (uint64_t)passed,
		.mono_ns = UPTIME + (uint64_t)passed,
	};

	return svr_nonce_accept(slots, &nonce, &now);
}

Test(nonce, one_after_the_other)
{
	const struct {
		const char *name;
		uint32_t peer;
		uint64_t time_ns, random;
		int64_t passed;
		int want;
	} rows[] = {
		{ "a fresh nonce is taken", 1, NOW, 7, 0, TAKEN },
		{ "the same again is a replay", 1, NOW, 7, 0, NONCE_SEEN },
		{ "from another peer it is another nonce", 2, NOW, 7, 0, TAKEN },
		{ "another random number", 1, NOW, 8, 0, TAKEN },
		{ "another time", 1, NOW + 1, 7, 0, TAKEN },
		{ "just not too old", 1, NOW - LIFE, 1, 0, TAKEN },
		{ "too old by one ns", 1, NOW - LIFE - 1, 2, 0, NONCE_OLD },
		{ "just not too new", 1, NOW + LIFE, 3, 0, TAKEN },
		{ "too new by one ns", 1, NOW + LIFE + 1, 4, 0, NONCE_OLD },
		{ "time 0", 1, 0, 5, 0, NONCE_OLD },
		{ "the end of time", 1, UINT64_MAX, 6, 0, NONCE_OLD },
		{ "seen, at the end of its life", 1, NOW, 7, LIFE, NONCE_SEEN },
		{ "after its life it is too old", 1, NOW, 7, LIFE + 1, NONCE_OLD },
		{ "the newest one is remembered as long as it is valid", 1, NOW + LIFE, 3, 2 * LIFE,
		  NONCE_SEEN },
	};
	struct svr_nonce_slot *slots = slots_new();
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		cr_expect_eq(accept_at(slots, rows[i].peer, rows[i].time_ns, rows[i].random,
				       rows[i].passed),
			     rows[i].want, "%s", rows[i].name);
	free(slots);
}

Test(nonce, clocks_that_are_set_or_corrected_make_none_new_again)
{
	const struct svr_nonce nonce = { 1, NOW, 7 };
	const struct {
		const char *name;
		struct svr_nonce_clocks now;
		int want;
	} rows[] = {
		{ "first", { NOW, NOW, UPTIME }, TAKEN },
		{ "the offset of the peer's clock was corrected by 1 ns",
		  { NOW + 1, NOW, UPTIME },
		  NONCE_SEEN },
		{ "by 9 s", { NOW - 9 * SEC, NOW, UPTIME }, NONCE_SEEN },
		{ "and 18 s later",
		  { NOW + 9 * SEC, NOW + 18 * SEC, UPTIME + 18 * SEC },
		  NONCE_SEEN },
		{ "our clock was set an hour back, and the offset follows",
		  { NOW - 3600 * SEC, NOW - 3600 * SEC, UPTIME + SEC },
		  NONCE_SEEN },
		{ "a year ahead",
		  { NOW + 31536000 * SEC, NOW + 31536000 * SEC, UPTIME + SEC },
		  NONCE_SEEN },
		{ "it is remembered for twenty seconds",
		  { NOW + 20 * SEC, NOW + 20 * SEC, UPTIME + 20 * SEC },
		  NONCE_SEEN },
	};
	struct svr_nonce_slot *slots = slots_new();
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		cr_expect_eq(svr_nonce_accept(slots, &nonce, &rows[i].now), rows[i].want, "%s",
			     rows[i].name);
	free(slots);
}

Test(nonce, others_push_none_out)
{
	enum { FIRST = 1000, OTHERS = SVR_NONCE_SLOTS / 16 * 9 };
	struct svr_nonce_slot *slots = slots_new();
	int i;

	for (i = 0; i < FIRST; i++)
		cr_assert_eq(accept_at(slots, 1, NOW, (uint64_t)i, 0), TAKEN);
	for (i = 0; i < OTHERS; i++)
		accept_at(slots, 2, NOW + LIFE, (uint64_t)i, LIFE);
	for (i = 0; i < FIRST; i++)
		cr_assert_eq(accept_at(slots, 1, NOW, (uint64_t)i, LIFE), NONCE_SEEN, "nonce %d",
			     i);
	free(slots);
}

/* What limits.md says: so many a second, all the time, and none is refused. */
Test(nonce, sixty_thousand_a_second)
{
	enum { PER_SEC = 60000, SECONDS = 50 };
	struct svr_nonce_slot *slots = slots_new();
	uint64_t seed = 3;
	int64_t passed;
	int refused = 0, i;

	for (i = 0; i < PER_SEC * SECONDS; i++) {
		passed = (int64_t)SEC
		/ PER_SEC *i;
		refused += accept_at(slots, (uint32_t)i % 7 + 1, NOW + (uint64_t)passed,
				     test_random(&seed), passed) != TAKEN;
	}
	/* Two buckets that are full, by chance: 1 in 100,000 */
	cr_expect_lt(refused, PER_SEC * SECONDS / 50000, "%d were refused", refused);
	free(slots);
}

Test(nonce, memory_of_the_past_is_used_again)
{
	struct svr_nonce_slot *slots = slots_new();
	uint64_t seed = 1;
	int64_t passed = 0;
	int i, round;

	/*
	 * many fillings to 9/16, each a lifetime after the other: nothing may be left of the one
	 * before
	 */
	for (round = 0; round < 4; round++, passed += 4 * (int64_t)LIFE)
		for (i = 0; i < SVR_NONCE_SLOTS / 16 * 9; i++)
			cr_assert_eq(accept_at(slots, 1, NOW + (uint64_t)passed, test_random(&seed),
					       passed),
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
		ret = accept_at(slots, 9, NOW, again, 0);
		if (ret == TAKEN) {
			cr_assert_lt(n, SVR_NONCE_SLOTS);
			taken[n++] = again;
		} else if (ret == NONCE_FULL) {
			full++;
		}
	}
	cr_expect_gt(full, 0);
	/* Hashes of two among millions may be the same, and then one of them counts as a replay */
	cr_expect_gt(n + full, 3 * SVR_NONCE_SLOTS - 10);
	for (i = 0; i < SVR_NONCE_SLOTS; i++)
		used += slots[i].word != 0;
	cr_expect_eq(used, n, "every nonce that was taken is in a slot of its own");
	cr_expect_gt(n, SVR_NONCE_SLOTS * 99 / 100, "only %d of %d slots could be used", n,
		     SVR_NONCE_SLOTS);
	for (i = 0; i < n; i++)
		cr_assert_eq(accept_at(slots, 9, NOW, taken[i], 1), NONCE_SEEN);
	/* and all is free again when the lives are over */
	cr_expect_eq(accept_at(slots, 9, NOW + 3 * LIFE, 1, 3 * (int64_t)LIFE), TAKEN);
	free(taken);
	free(slots);
}

Test(nonce, seconds_that_come_again_after_half_a_year)
{
	struct svr_nonce_slot *slots = slots_new();
	const int64_t round = (int64_t)SEC
	<< 24;
	int64_t passed;
	int i;

	/* Whatever was left in the slots: each is taken once, and then known */
	for (i = 0; i < 5; i++) {
		for (passed = i * round - 60 * (int64_t)SEC; passed < i * round + 60 * (int64_t)SEC;
		     passed += (int64_t)SEC) {
			const uint64_t then = NOW + (uint64_t)passed;

			cr_assert_eq(accept_at(slots, 1, then, 1, passed), TAKEN, "round %d", i);
			cr_assert_eq(accept_at(slots, 1, then, 1, passed), NONCE_SEEN);
			cr_assert_eq(accept_at(slots, 1, then, 1, passed + (int64_t)LIFE),
				     NONCE_SEEN);
		}
	}
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
	for (i = 0; i < SVR_NONCE_SLOTS / 32 * 9; i++) {
		cr_assert_eq(accept_at(slots, 1, NOW, (uint64_t)i, 0), TAKEN, "random %d", i);
		cr_assert_eq(accept_at(slots, 2, NOW + (uint64_t)i, 0, 0), TAKEN, "time %d", i);
	}
	free(slots);
}
