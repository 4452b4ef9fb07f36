// SPDX-License-Identifier: BSD-2-Clause
/* Path MTU discovery against networks that tell, that keep silent, that lie and that lose. */
#include <criterion/criterion.h>

#include "lib/pathmtu.h"

#define MS SVR_NS_PER_MS

static const struct svr_pathmtu_config config = {
	.enabled = true,
	.interval_s = 600,
	.min = SVR_PATHMTU_MIN4,
	.max = 1500,
};

struct network {
	uint16_t mtu;
	uint32_t icmp; /* what ICMP names when a packet is too big, 0: none is sent */
	unsigned int lose; /* the first ones of each size that would fit */
	uint32_t rtt_ms;
};

static struct svr_pathmtu m;
static uint64_t now_ns;

static void setup(void)
{
	m = (struct svr_pathmtu){ 0 };
	now_ns = 1000 * MS;
	svr_pathmtu_configure(&m, &config, now_ns);
	svr_pathmtu_start(&m, 0, now_ns);
}

TestSuite(pathmtu, .init = setup);

/* Until the search is over; milliseconds that it took. */
static uint64_t search(const struct network *net)
{
	uint64_t begin_ns = now_ns = svr_pathmtu_next(&m);
	unsigned int lost = 0, steps = 0;
	uint16_t size, before = 0;
	uint32_t id;

	do {
		cr_assert_lt(steps++, 1000, "the search does not end");
		now_ns = svr_pathmtu_next(&m);
		if (!svr_pathmtu_tick(&m, net->rtt_ms * MS, &id, &size, now_ns))
			continue;
		cr_assert(size >= m.config.min && size <= m.config.max, "%u", size);
		lost = size == before ? lost : 0;
		before = size;
		now_ns += net->rtt_ms * MS;
		if (size <= net->mtu && lost++ >= net->lose)
			svr_pathmtu_answer(&m, id, size, now_ns);
		else if (size > net->mtu && net->icmp)
			svr_pathmtu_too_big(&m, net->icmp, now_ns);
	} while (m.searching);
	return (now_ns - begin_ns) / MS;
}

Test(pathmtu, the_interface_is_the_narrowest)
{
	struct network net = { .mtu = 9000, .rtt_ms = 20 };

	search(&net);
	cr_expect_eq(m.result, 1500);
	cr_expect_eq(m.probes, 1);
	cr_expect_eq(svr_pathmtu_next(&m), now_ns + 600 * SVR_NS_PER_SEC);
}

Test(pathmtu, told_by_icmp)
{
	struct network net = { .mtu = 1400, .icmp = 1400, .rtt_ms = 20 };
	uint64_t ms = search(&net);

	cr_expect_eq(m.result, 1400);
	cr_expect_eq(m.probes, 5, "1500, 1400, three times 1401: %lu", m.probes);
	cr_expect_lt(ms, 1500);
}

/* To the byte, for every MTU there is. */
Test(pathmtu, black_hole)
{
	uint64_t ms, longest = 0;
	struct network net = { .rtt_ms = 20 };

	for (net.mtu = SVR_PATHMTU_MIN4; net.mtu <= 1500; net.mtu++) {
		setup();
		ms = search(&net);
		longest = ms > longest ? ms : longest;
		cr_assert_eq(m.result, net.mtu, "%u: found %u", net.mtu, m.result);
		cr_assert_not(m.unresolvable);
	}
	cr_expect_lt(longest, 12000, "%lu ms", longest);
}

Test(pathmtu, two_of_three_may_be_lost)
{
	struct network net = { .mtu = 1437, .lose = 2, .rtt_ms = 20 };

	search(&net);
	cr_expect_eq(m.result, 1437);
}

Test(pathmtu, nothing_passes)
{
	struct network net = { .mtu = 0, .rtt_ms = 20 };

	search(&net);
	cr_expect(m.unresolvable);
	cr_expect_eq(m.result, 0);
	net.mtu = 1500;
	search(&net);
	cr_expect_not(m.unresolvable);
	cr_expect_eq(m.result, 1500);
}

/* ICMP is not believed: it is found out what really passes. */
Test(pathmtu, icmp_that_lies)
{
	static const uint32_t lies[] = { 1, 68, 575, 576, 577, 1000, 1399, 1401, 1499, 1500, 65535, UINT32_MAX };
	size_t i;

	for (i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		struct network net = { .mtu = 1400, .icmp = lies[i], .rtt_ms = 20 };

		setup();
		search(&net);
		cr_expect_eq(m.result, 1400, "it says %u: found %u", lies[i], m.result);
	}
}

/* Nobody asked for it. */
Test(pathmtu, icmp_out_of_turn)
{
	struct network net = { .mtu = 1500, .rtt_ms = 20 };
	uint16_t size;
	uint32_t id;

	svr_pathmtu_too_big(&m, 600, now_ns);
	search(&net);
	cr_expect_eq(m.result, 1500);
	svr_pathmtu_too_big(&m, 600, now_ns);
	cr_expect_eq(m.result, 1500);
	cr_expect_not(m.searching);
	cr_expect_not(svr_pathmtu_tick(&m, 0, &id, &size, now_ns));
}

Test(pathmtu, follows_the_path_both_ways)
{
	struct network net = { .mtu = 1500, .rtt_ms = 20 };
	static const uint16_t mtus[] = { 1500, 1280, 1280, 1400, 576, 1499, 1500 };
	size_t i;

	for (i = 0; i < sizeof(mtus) / sizeof(mtus[0]); i++) {
		net.mtu = mtus[i];
		search(&net);
		cr_expect_eq(m.result, mtus[i], "step %zu: %u", i, m.result);
	}
	/* What is as before needs a few packets only. */
	net.mtu = 1400;
	search(&net);
	m.probes = 0;
	search(&net);
	cr_expect_eq(m.result, 1400);
	cr_expect_eq(m.probes, 7, "three times 1500, 1400, three times 1401: %lu", m.probes);
}

Test(pathmtu, an_answer_to_another_probe)
{
	uint16_t size;
	uint32_t id, old;

	cr_assert(svr_pathmtu_tick(&m, 20 * MS, &old, &size, now_ns));
	svr_pathmtu_answer(&m, old + 1, size, now_ns);
	svr_pathmtu_answer(&m, old, (uint16_t)(size - 1), now_ns);
	cr_expect(m.searching && m.probing == 1500);
	now_ns = svr_pathmtu_next(&m);
	cr_assert(svr_pathmtu_tick(&m, 20 * MS, &id, &size, now_ns));
	svr_pathmtu_answer(&m, old, size, now_ns);
	cr_expect_eq(m.result, 1500, "a late answer is one");
}

Test(pathmtu, slow_path_gets_more_time)
{
	struct network net = { .mtu = 1300, .rtt_ms = 190 };

	search(&net);
	cr_expect_eq(m.result, 1300);
}

Test(pathmtu, disabled_and_configured_anew)
{
	struct svr_pathmtu_config c = config;
	struct network net = { .mtu = 1400, .rtt_ms = 20 };

	search(&net);
	c.max = 1390;
	svr_pathmtu_configure(&m, &c, now_ns);
	search(&net);
	cr_expect_eq(m.result, 1390);
	c.enabled = false;
	svr_pathmtu_configure(&m, &c, now_ns);
	cr_expect_eq(m.result, 0);
	cr_expect_eq(svr_pathmtu_next(&m), UINT64_MAX);
	svr_pathmtu_start(&m, 1400, now_ns);
	cr_expect_eq(svr_pathmtu_next(&m), UINT64_MAX);
}
