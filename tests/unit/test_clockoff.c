// SPDX-License-Identifier: BSD-2-Clause
/* Clock offset of a peer: samples, clocks that are set, clocks that drift. */
#include <criterion/criterion.h>

#include "lib/clockoff.h"

#define MS ((int64_t)SVR_NS_PER_MS)

static const uint64_t epoch_ms = 1800000000000; /* the peer's clock is the real time */

/*
 * A round trip: the echo left at @t0 by our monotonic clock, took @there, was answered after @wait,
 * took @back. The peer's clock is @off ahead of the real time, which is @epoch_ms more than monotonic.
 */
static bool sample(struct svr_clockoff *f, uint64_t t0_ms, uint64_t there, uint64_t wait,
		   uint64_t back, int64_t off_ms)
{
	uint64_t peer_ms = epoch_ms + (uint64_t)off_ms + t0_ms + there;

	return svr_clockoff_add(f, t0_ms * SVR_NS_PER_MS, peer_ms * SVR_NS_PER_MS,
				(peer_ms + wait) * SVR_NS_PER_MS,
				(t0_ms + there + wait + back) * SVR_NS_PER_MS);
}

/* Our clock shows the real time and @off_ms more. */
static struct svr_now at(uint64_t ms, int64_t off_ms)
{
	return (struct svr_now){ ms * SVR_NS_PER_MS,
				 (epoch_ms + ms + (uint64_t)off_ms) * SVR_NS_PER_MS };
}

Test(clockoff, symmetric_way_is_exact)
{
	static const int64_t offsets_ms[] = { 0, 1, -1, 3700, -3700, 86400000, -900000 };
	size_t i;

	for (i = 0; i < sizeof(offsets_ms) / sizeof(offsets_ms[0]); i++) {
		struct svr_clockoff f = { 0 };

		cr_expect(sample(&f, 1000, 20, 500, 20, offsets_ms[i]));
		cr_expect_eq(svr_clockoff_real(&f, at(5000, 0)), offsets_ms[i] * MS);
		cr_expect_eq(f.delay_ns, 40 * MS);
	}
}

Test(clockoff, shortest_round_trip_counts)
{
	struct svr_clockoff f = { 0 };

	sample(&f, 1000, 100, 0, 20, 500);
	cr_expect_eq(svr_clockoff_real(&f, at(0, 0)), 540 * MS, "half of the asymmetry is the error");
	sample(&f, 2000, 5, 0, 5, 500);
	cr_expect_eq(svr_clockoff_real(&f, at(0, 0)), 500 * MS);
	sample(&f, 3000, 5, 0, 200, 500);
	cr_expect_eq(svr_clockoff_real(&f, at(0, 0)), 500 * MS);
}

Test(clockoff, the_peers_clock_is_set)
{
	struct svr_clockoff f = { 0 };

	sample(&f, 1000, 5, 0, 5, 500);
	sample(&f, 2000, 50, 0, 5, -7000);
	cr_expect_lt(svr_clockoff_real(&f, at(0, 0)), -6900 * MS);
	sample(&f, 3000, 5, 0, 5, -7000);
	cr_expect_eq(svr_clockoff_real(&f, at(0, 0)), -7000 * MS);
}

/* Samples are against the monotonic clock: nothing has to be measured again. */
Test(clockoff, our_own_clock_is_set)
{
	struct svr_clockoff f = { 0 };

	sample(&f, 1000, 5, 0, 5, 500);
	cr_expect_eq(svr_clockoff_real(&f, at(2000, 0)), 500 * MS);
	cr_expect_eq(svr_clockoff_real(&f, at(3000, 3600000)), 500 * MS - 3600000 * MS);
	cr_expect_eq(svr_clockoff_real(&f, at(4000, -5000)), 5500 * MS);
	sample(&f, 5000, 5, 0, 5, 500);
	cr_expect_eq(svr_clockoff_real(&f, at(6000, -5000)), 5500 * MS);
}

/* 200 ppm, far more than a crystal: never more than a few milliseconds behind. */
Test(clockoff, drift_is_followed)
{
	struct svr_clockoff f = { 0 };
	int64_t off_ms = 0, behind;
	uint64_t t;

	for (t = 1000; t < 3600000; t += 1000) {
		off_ms = (int64_t)t / 5000;
		sample(&f, t, 1 + t % 7, 0, 1 + t % 5, off_ms);
		behind = off_ms * MS - svr_clockoff_real(&f, at(t, 0));
		cr_assert(behind < 10 * MS && behind > -10 * MS, "after %lu ms: %ld ns", t,
			  (long)behind);
	}
}

Test(clockoff, what_was_stored_is_taken_back)
{
	struct svr_clockoff f;

	svr_clockoff_init(&f, 7200000 * MS, at(50, 0));
	cr_expect(f.valid);
	cr_expect_eq(svr_clockoff_real(&f, at(1000, 0)), 7200000 * MS);
	sample(&f, 1000, 5, 0, 5, 500);
	cr_expect_eq(svr_clockoff_real(&f, at(2000, 0)), 500 * MS, "what is measured goes before it");
}

Test(clockoff, nonsense_is_no_sample)
{
	struct svr_clockoff f = { 0 };
	uint64_t now = 100 * SVR_NS_PER_SEC;

	cr_expect_not(svr_clockoff_add(&f, now + 1, 1, 2, now), "an echo from the future");
	cr_expect_not(svr_clockoff_add(&f, now - 61 * SVR_NS_PER_SEC, 1, 2, now), "an old echo");
	cr_expect_not(svr_clockoff_add(&f, now - 1000, 5, 4, now), "answered before it came");
	cr_expect_not(svr_clockoff_add(&f, now - 1000, 5, UINT64_MAX, now));
	cr_expect_not(f.valid);
	/* extreme values of a peer that lies about its own clock must not be undefined behaviour */
	svr_clockoff_add(&f, now - 1000, UINT64_MAX - 5, UINT64_MAX, now);
	svr_clockoff_add(&f, now - 1000, 1ULL << 63, (1ULL << 63) + 10, now);
	svr_clockoff_add(&f, 1, 0, 0, 100);
	svr_clockoff_real(&f, (struct svr_now){ 0, UINT64_MAX });
	svr_clockoff_real(&f, (struct svr_now){ UINT64_MAX, 0 });
}
