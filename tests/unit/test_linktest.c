// SPDX-License-Identifier: BSD-2-Clause
/* Link quality: bursts, what is lost, averages that forget. */
#include <criterion/criterion.h>

#include "lib/linktest.h"

#define MS SVR_NS_PER_MS

static const struct svr_linktest_config config = {
	.interval_ms = 10000,
	.average_ms = 60000,
	.accept_us = 50000,
	.length = 10,
};

static struct svr_linktest t;
static uint64_t now_ns;

static void setup(void)
{
	t = (struct svr_linktest){ 0 };
	now_ns = 1000 * MS;
	svr_linktest_configure(&t, &config);
	svr_linktest_start(&t, 0, now_ns);
}

static void teardown(void)
{
	svr_linktest_free(&t);
}

TestSuite(linktest, .init = setup, .fini = teardown);

/* Lets time pass; request n of a burst is answered after @rtt_ms[n % 4], 0: never. */
static unsigned int run(uint64_t ms, const uint64_t rtt_ms[static 4], uint32_t accept_us)
{
	struct {
		uint64_t at_ns;
		uint32_t burst;
		uint16_t number;
	} way[256];
	uint64_t end_ns = now_ns + ms * MS;
	unsigned int n = 0, first, i, requests = 0;
	uint16_t number;
	uint32_t burst;

	while (now_ns <= end_ns) {
		uint64_t next_ns = svr_linktest_next(&t);

		for (i = 0, first = 256; i < n; i++)
			if (way[i].at_ns <= next_ns && (first == 256 || way[i].at_ns < way[first].at_ns))
				first = i;
		if (first < 256) {
			now_ns = way[first].at_ns;
			svr_linktest_answer(&t, way[first].burst, way[first].number, accept_us, now_ns);
			way[first] = way[--n];
			continue;
		}
		now_ns = next_ns;
		while (now_ns <= end_ns && svr_linktest_tick(&t, &burst, &number, now_ns)) {
			requests++;
			if (rtt_ms[number % 4] && n < 256) {
				way[n].at_ns = now_ns + rtt_ms[number % 4] * MS;
				way[n].burst = burst;
				way[n++].number = number;
			}
		}
	}
	return requests;
}

Test(linktest, figures_of_a_steady_link)
{
	struct svr_linktest_quality q;

	cr_expect_eq(run(59000, (uint64_t[]){ 20, 20, 20, 20 }, 50000), 60, "six bursts of ten");
	q = svr_linktest_quality(&t, now_ns);
	cr_expect(q.valid);
	cr_expect_eq(q.latency_us, 20000);
	cr_expect_eq(q.jitter_us, 0);
	cr_expect_eq(q.loss, 0);
	cr_expect_geq(q.mos, 430, "%u", q.mos);
}

Test(linktest, jitter_is_the_mean_difference_of_neighbours)
{
	struct svr_linktest_quality q;

	run(29000, (uint64_t[]){ 10, 30, 10, 30 }, 50000);
	q = svr_linktest_quality(&t, now_ns);
	cr_expect_eq(q.latency_us, 20000);
	cr_expect_eq(q.jitter_us, 20000);
}

Test(linktest, loss_is_counted_and_tears_no_jitter)
{
	struct svr_linktest_quality q;

	run(59000, (uint64_t[]){ 10, 0, 30, 30 }, 50000); /* numbers 1, 5 and 9 of 0 to 9 */
	q = svr_linktest_quality(&t, now_ns);
	cr_expect_eq(q.loss, 3000);
	cr_expect_eq(q.latency_us, (3 * 10000 + 4 * 30000) / 7);
	cr_expect_eq(q.jitter_us, (0 + 20000 + 0 + 20000) / 4, "pairs 2-3, 3-4, 6-7, 7-8: %u", q.jitter_us);
	cr_expect_lt(q.mos, 300);
}

Test(linktest, nothing_comes_back)
{
	struct svr_linktest_quality q;

	run(30000, (uint64_t[]){ 0, 0, 0, 0 }, 50000);
	q = svr_linktest_quality(&t, now_ns);
	cr_expect_eq(q.loss, SVR_LINKTEST_LOSS_ALL);
	cr_expect_eq(q.latency_us, 0);
	cr_expect_eq(q.mos, 100);
}

Test(linktest, requests_keep_the_peers_distance)
{
	uint16_t number;
	uint32_t burst;
	uint64_t first_ns;

	cr_assert(svr_linktest_tick(&t, &burst, &number, now_ns));
	cr_expect_eq(number, 0);
	svr_linktest_answer(&t, burst, 0, 700000, now_ns + MS);
	first_ns = now_ns;
	cr_expect_eq(svr_linktest_next(&t), first_ns + 700 * MS);
	cr_expect_not(svr_linktest_tick(&t, &burst, &number, first_ns + 699 * MS));
	cr_assert(svr_linktest_tick(&t, &burst, &number, first_ns + 700 * MS));
	cr_expect_eq(number, 1);
}

/* A burst that lasts longer than the interval: the next one comes when it is over, never two at once. */
Test(linktest, slow_peer)
{
	run(60000, (uint64_t[]){ 1, 1, 1, 1 }, 2000000);
	cr_expect_geq(t.requests, 29);
	cr_expect_leq(t.requests, 32, "%lu, spacing %u, sent %u", t.requests, t.spacing_us, t.sent);
	cr_expect_eq(svr_linktest_quality(&t, now_ns).loss, 0);
}

Test(linktest, only_a_request_under_way_can_be_answered)
{
	uint16_t number;
	uint32_t burst;

	cr_assert(svr_linktest_tick(&t, &burst, &number, now_ns));
	cr_expect_not(svr_linktest_answer(&t, burst + 1, 0, 1, now_ns), "another burst");
	cr_expect_not(svr_linktest_answer(&t, burst, 1, 1, now_ns), "not sent yet");
	cr_expect(svr_linktest_answer(&t, burst, 0, 50000, now_ns + 3 * MS));
	cr_expect_not(svr_linktest_answer(&t, burst, 0, 50000, now_ns + 9 * MS), "twice");
	cr_expect_eq(svr_linktest_quality(&t, now_ns).latency_us, 3000);
	cr_expect_eq(t.late, 3);
	svr_linktest_tick(&t, &burst, &number, now_ns + 50 * MS);
	svr_linktest_tick(&t, &burst, &number, now_ns + 60000 * MS);
	cr_expect_not(svr_linktest_answer(&t, burst, 1, 50000, now_ns + 60000 * MS), "too late");
}

Test(linktest, averages_forget)
{
	struct svr_linktest_quality q;

	run(60000, (uint64_t[]){ 100, 100, 100, 100 }, 50000);
	run(65000, (uint64_t[]){ 10, 10, 10, 10 }, 50000);
	q = svr_linktest_quality(&t, now_ns);
	cr_expect_eq(q.latency_us, 10000, "%u", q.latency_us);
	cr_expect_not(svr_linktest_quality(&t, now_ns + 70000 * MS).valid);
}

Test(linktest, stopped_it_says_nothing_and_keeps_figures)
{
	uint16_t number;
	uint32_t burst;

	run(20000, (uint64_t[]){ 10, 10, 10, 10 }, 50000);
	svr_linktest_stop(&t);
	cr_expect_eq(svr_linktest_next(&t), UINT64_MAX);
	cr_expect_not(svr_linktest_tick(&t, &burst, &number, now_ns + 1000 * MS));
	cr_expect_eq(svr_linktest_quality(&t, now_ns).latency_us, 10000);
	svr_linktest_start(&t, 400, now_ns);
	cr_expect_eq(svr_linktest_next(&t), now_ns + 400 * MS);
}

Test(linktest, length_0_is_off)
{
	struct svr_linktest_config off = config;

	off.length = 0;
	svr_linktest_configure(&t, &off);
	svr_linktest_start(&t, 0, now_ns);
	cr_expect_eq(svr_linktest_next(&t), UINT64_MAX);
}

Test(linktest, mos)
{
	cr_expect_eq(svr_linktest_mos(0, 0, 0), 440, "%u", svr_linktest_mos(0, 0, 0));
	cr_expect_lt(svr_linktest_mos(300000, 20000, 0), svr_linktest_mos(100000, 5000, 0));
	cr_expect_eq(svr_linktest_mos(0, 0, 10000), 100);
	cr_expect_eq(svr_linktest_mos(UINT32_MAX, UINT32_MAX, 10000), 100);
}
