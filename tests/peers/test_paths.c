// SPDX-License-Identifier: BSD-2-Clause
/*
 * What is measured on paths and what happens when their configuration changes: link quality, path
 * MTU, clocks that are set, other timers, paths that come and go, plain BFD.
 */
#include <stdio.h>
#include <string.h>

#include <criterion/criterion.h>
#include <svr/drops.h>

#include "lib/bytes.h"
#include "world.h"

#define MS ((int64_t)SVR_NS_PER_MS)

static struct world *w;

static struct svr_peering_path *path_of(int node, unsigned int path)
{
	return &w->node[node].peering->paths[path];
}

/* Two routers that agree, with tests and discovery as @w has them. */
static void up(void)
{
	node_start(&w->node[0]);
	node_start(&w->node[1]);
	cr_assert(world_run_until_agreed(w, 30000), "%s", world_describe(w));
}

static void begin(unsigned int paths)
{
	w = world_new(4711, paths);
	w->bfd = (struct svr_bfd_config){ 200000, 200000, 3 };
	w->delay_ns = 10 * SVR_NS_PER_MS;
	w->test = (struct svr_linktest_config){ 1000, 60000, 50000, 10 };
}

static void end(void)
{
	world_free(w);
}

/* ---- link quality ---------------------------------------------------------------------------- */

Test(quality, of_a_steady_link)
{
	unsigned int i;

	begin(2);
	up();
	world_run(w, 20000);
	for (i = 0; i < 4; i++) {
		const struct svr_path_state *st = &w->node[i / 2].path[i % 2];

		cr_expect_eq(st->latency_us, 20000, "%u", st->latency_us);
		cr_expect_eq(st->jitter_us, 0);
		cr_expect_eq(st->loss, 0);
		cr_expect_gt(st->mos, 430);
		cr_expect_neq(st->quality_ns, 0);
	}
	end();
}

Test(quality, loss_and_jitter_are_seen)
{
	struct svr_linktest_quality q;

	begin(1);
	up();
	w->loss = 100; /* of 1000, each way */
	w->jitter_ns = 8 * SVR_NS_PER_MS;
	world_run(w, 120000);
	q = svr_linktest_quality(&path_of(0, 0)->test, w->now_ns);
	cr_expect(q.loss > 1200 && q.loss < 2800, "19 %% are lost: %u", q.loss);
	cr_expect(q.latency_us > 26000 && q.latency_us < 30000, "%u", q.latency_us);
	cr_expect(q.jitter_us > 2000 && q.jitter_us < 5500, "%u", q.jitter_us);
	end();
}

static struct flight caught[64];
static unsigned int n_caught;

static bool catch_all(struct world *world, const struct flight *f, void *arg)
{
	(void)world, (void)arg;
	caught[n_caught++ % 64] = *f;
	return true;
}

/* Nothing that somebody in the middle can send changes a figure. */
Test(quality, forged_replayed_reflected)
{
	struct svr_linktest_quality before, after;
	uint64_t requests, answers;
	unsigned int i, bit;
	struct node *n;

	begin(1);
	up();
	world_run(w, 10000);
	w->filter = catch_all;
	world_run(w, 1500); /* a whole burst */
	w->filter = NULL;
	cr_assert_geq(n_caught, 20);
	world_run(w, 100);
	before = svr_linktest_quality(&path_of(0, 0)->test, w->now_ns);
	requests = path_of(0, 0)->test.requests;
	answers = path_of(0, 0)->test.answers + path_of(1, 0)->test.answers;
	for (i = 0; i < n_caught && i < 64; i++) {
		n = &w->node[caught[i].to];
		cr_expect_lt(node_receive(n, 0, caught[i].data, caught[i].len, 255), 0, "replayed");
		n = &w->node[!caught[i].to];
		cr_expect_lt(node_receive(n, 0, caught[i].data, caught[i].len, 255), 0, "reflected");
		for (bit = 0; bit < 8 * caught[i].len; bit += 7) {
			caught[i].data[bit / 8] ^= (uint8_t)(1 << bit % 8);
			cr_expect_lt(node_receive(&w->node[caught[i].to], 0, caught[i].data,
						  caught[i].len, 255),
				     0, "bit %u", bit);
			caught[i].data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
	}
	after = svr_linktest_quality(&path_of(0, 0)->test, w->now_ns);
	cr_expect(before.valid && after.valid);
	cr_expect_eq(before.latency_us, after.latency_us);
	cr_expect_eq(before.jitter_us, after.jitter_us);
	cr_expect_eq(before.loss, after.loss);
	cr_expect_eq(before.mos, after.mos);
	cr_expect_eq(requests, path_of(0, 0)->test.requests);
	cr_expect_eq(answers, path_of(0, 0)->test.answers + path_of(1, 0)->test.answers);
	end();
}

/* ---- path MTU -------------------------------------------------------------------------------- */

static uint16_t narrow_mtu;

static bool narrow(struct world *world, const struct flight *f, void *arg)
{
	(void)world, (void)arg;
	return f->len + 28 <= narrow_mtu; /* a black hole */
}

Test(path_mtu, found_in_a_black_hole_and_followed)
{
	static const uint16_t mtus[] = { 1400, 1400, 1200, 1491, 1500 };
	size_t i;

	begin(1);
	w->mtu = (struct svr_pathmtu_config){ true, 10, SVR_PATHMTU_MIN4, 1500 };
	narrow_mtu = 1300;
	w->filter = narrow;
	up();
	world_run(w, 15000);
	cr_expect_eq(w->node[0].path[0].mtu, 1300, "%u", w->node[0].path[0].mtu);
	cr_expect_eq(w->node[1].path[0].mtu, 1300);
	for (i = 0; i < sizeof(mtus) / sizeof(mtus[0]); i++) {
		narrow_mtu = mtus[i];
		world_run(w, 25000);
		cr_expect_eq(w->node[0].path[0].mtu, mtus[i], "%u", w->node[0].path[0].mtu);
	}
	cr_expect_eq(w->node[0].path[0].down_count, 0);
	end();
}

static bool only_small(struct world *world, const struct flight *f, void *arg)
{
	(void)world, (void)arg;
	return f->len < 500;
}

Test(path_mtu, unresolvable)
{
	begin(1);
	w->mtu = (struct svr_pathmtu_config){ true, 10, SVR_PATHMTU_MIN4, 1500 };
	up();
	world_run(w, 5000);
	cr_expect_eq(w->node[0].path[0].mtu, 1500);
	w->filter = only_small;
	world_run(w, 40000);
	cr_expect(path_of(0, 0)->mtu.unresolvable);
	cr_expect(path_of(0, 0)->mtu_failed);
	cr_expect_eq(w->node[0].path[0].mtu, 0);
	w->filter = NULL;
	world_run(w, 30000);
	cr_expect_not(path_of(0, 0)->mtu_failed);
	cr_expect_eq(w->node[0].path[0].mtu, 1500);
	end();
}

/* Switched off while nobody was running: the alarm of the process before ends. */
Test(path_mtu, unresolvable_and_then_off)
{
	begin(1);
	w->mtu = (struct svr_pathmtu_config){ true, 10, SVR_PATHMTU_MIN4, 1500 };
	up();
	w->filter = only_small;
	world_run(w, 40000);
	cr_expect(w->node[0].mtu_alarm[0]);
	node_stop(&w->node[0]);
	w->mtu.enabled = false;
	node_start(&w->node[0]);
	cr_expect_not(w->node[0].mtu_alarm[0]);
	end();
}

/* ICMP that quotes another session is not even a hint; one that fits is only that. */
Test(path_mtu, icmp_is_a_hint)
{
	uint8_t quoted[24] = { 0x20 };

	begin(1);
	w->mtu = (struct svr_pathmtu_config){ true, 600, SVR_PATHMTU_MIN4, 1500 };
	up();
	svr_put32(quoted + 4, path_of(0, 0)->bfd.local_discr + 1);
	svr_peering_too_big(w->node[0].peering, 0, quoted, sizeof(quoted), 700);
	cr_expect_neq(path_of(0, 0)->mtu.probing, 700);
	svr_put32(quoted + 4, path_of(0, 0)->bfd.local_discr);
	svr_peering_too_big(w->node[0].peering, 0, quoted, sizeof(quoted), 700);
	world_run(w, 20000);
	cr_expect_eq(w->node[0].path[0].mtu, 1500, "the hint was a lie");
	end();
}

/* ---- clocks ---------------------------------------------------------------------------------- */

static int64_t offset_of(int node)
{
	return w->node[node].keys.clock_offset_ns;
}

static void expect_offset(int64_t west_ahead_ms, const char *when)
{
	int64_t e = offset_of(0) - west_ahead_ms * MS, v = offset_of(1) + west_ahead_ms * MS;

	cr_expect(e > -20 * MS && e < 20 * MS, "%s: east is off by %ld ns", when, (long)e);
	cr_expect(v > -20 * MS && v < 20 * MS, "%s: west is off by %ld ns", when, (long)v);
}

/* Hours apart, and set while they talk: right again after one round trip. */
Test(clocks, hours_apart_and_set)
{
	static const int64_t ahead_ms[] = { 1000, 3000, 60000, 7200000, 7205000, 7200000, -3600000, 0 };
	size_t i;

	begin(2);
	w->test.length = 0;
	w->node[1].clock_ns = 86400000 * MS;
	up();
	world_run(w, 1000);
	expect_offset(86400000, "a day");
	for (i = 0; i < sizeof(ahead_ms) / sizeof(ahead_ms[0]); i++) {
		char when[32];

		snprintf(when, sizeof(when), "%ld ms", (long)ahead_ms[i]);
		w->node[1].clock_ns = ahead_ms[i] * MS;
		svr_peering_clock_set(w->node[1].peering);
		/* the router whose clock was set knows at once, the other one with the packet */
		cr_expect_lt(offset_of(1) + ahead_ms[i] * MS, 20 * MS);
		cr_expect_gt(offset_of(1) + ahead_ms[i] * MS, -20 * MS);
		world_run(w, 11);
		expect_offset(ahead_ms[i], when);
		world_run(w, 2000);
		expect_offset(ahead_ms[i], when);
	}
	cr_expect_eq(w->node[0].path[0].down_count + w->node[1].path[0].down_count, 0);
	end();
}

/* Nobody tells the peering that the clock was set: it finds out with its next packet or timer. */
Test(clocks, set_without_a_word)
{
	begin(1);
	w->test.length = 0;
	up();
	world_run(w, 1000);
	w->node[0].clock_ns = 5000 * MS;
	world_run(w, 450);
	expect_offset(-5000, "5 s");
	end();
}

Test(clocks, drift_is_followed)
{
	unsigned int i;

	begin(1);
	w->test.length = 0;
	up();
	for (i = 1; i <= 600; i++) {
		w->node[1].clock_ns += MS / 10; /* 100 ppm */
		world_run(w, 1000);
		expect_offset(i / 10, "drift");
	}
	end();
}

/* ---- other configuration --------------------------------------------------------------------- */

static bool no_other_state(struct world *world, const struct flight *f, void *arg)
{
	bool *other = arg;

	(void)world;
	*other = *other || f->data[1] >> 6 != SVR_BFD_UP;
	return true;
}

Test(configure, timers_by_poll_sequence_nothing_goes_down)
{
	static const struct svr_bfd_config other[] = {
		{ 1000000, 1000000, 5 }, { 100000, 300000, 3 }, { 300000, 100000, 20 }, { 50000, 50000, 3 },
	};
	struct svr_peering_path_config c;
	bool not_up = false;
	size_t i;

	begin(1);
	up();
	w->filter = no_other_state;
	w->filter_arg = &not_up;
	for (i = 0; i < sizeof(other) / sizeof(other[0]); i++) {
		node_path_config(&w->node[0], 0, &c);
		c.bfd = other[i];
		svr_peering_configure_path(w->node[0].peering, 0, &c);
		cr_expect(path_of(0, 0)->bfd.polling);
		world_run(w, 10000);
		cr_expect_not(path_of(0, 0)->bfd.polling);
		cr_expect_eq(path_of(1, 0)->bfd.remote_min_rx_us, other[i].required_min_rx_us);
		cr_expect_eq(path_of(1, 0)->bfd.detect_us,
			     other[i].detect_mult * (other[i].desired_min_tx_us > 200000 ?
							     other[i].desired_min_tx_us :
							     200000));
	}
	cr_expect_not(not_up, "a packet said something else than up");
	end();
}

/* Twice within a round trip: the final of the first sequence does not confirm the second one. */
Test(configure, timers_change_while_polling)
{
	struct svr_peering_path_config c;

	begin(1);
	w->delay_ns = 100 * SVR_NS_PER_MS;
	up();
	world_run(w, 5000);
	node_path_config(&w->node[0], 0, &c);
	c.bfd.desired_min_tx_us = 1000000;
	svr_peering_configure_path(w->node[0].peering, 0, &c);
	world_run(w, 150);
	c.bfd.desired_min_tx_us = 2000000;
	svr_peering_configure_path(w->node[0].peering, 0, &c);
	cr_expect(path_of(0, 0)->bfd.poll_again);
	world_run(w, 100);
	cr_expect(path_of(0, 0)->bfd.polling, "a final came, another sequence follows");
	cr_expect_eq(path_of(0, 0)->bfd.tx_limit_us, 200000, "as long as it is not confirmed");
	world_run(w, 3000);
	cr_expect_not(path_of(0, 0)->bfd.polling);
	cr_expect_eq(path_of(0, 0)->bfd.tx_interval_us, 2000000);
	cr_expect_eq(w->node[0].path[0].down_count + w->node[1].path[0].down_count, 0);
	end();
}

Test(configure, disabled_and_enabled)
{
	struct svr_peering_path_config c;

	begin(1);
	w->hold_down_ms = 1000;
	up();
	node_path_config(&w->node[0], 0, &c);
	c.enabled = false;
	svr_peering_configure_path(w->node[0].peering, 0, &c);
	world_run(w, 50);
	cr_expect_eq(path_of(0, 0)->bfd.state, SVR_BFD_ADMIN_DOWN);
	cr_expect_eq(path_of(1, 0)->bfd.state, SVR_BFD_DOWN);
	cr_expect_eq(path_of(1, 0)->bfd.diag, SVR_BFD_DIAG_NEIGHBOR_DOWN);
	cr_expect_eq(path_of(0, 0)->link_down[SVR_LINK_DOWN_LOCAL_OPER_DOWN], 1);
	cr_expect_eq(path_of(1, 0)->link_down[SVR_LINK_DOWN_REMOTE_ADMIN_DOWN], 1);
	c.enabled = true;
	svr_peering_configure_path(w->node[0].peering, 0, &c);
	cr_expect(world_run_until_agreed(w, 20000), "%s", world_describe(w));
	end();
}

Test(configure, reasons_of_link_down)
{
	begin(1);
	up();
	w->node[0].quiet = true;
	world_run(w, 2000);
	cr_expect_eq(path_of(1, 0)->link_down[SVR_LINK_DOWN_TIMER_EXPIRY], 1);
	cr_expect_eq(path_of(0, 0)->link_down[SVR_LINK_DOWN_REMOTE_DOWN], 1, "it is told so");
	cr_expect_eq(path_of(0, 0)->link_down[SVR_LINK_DOWN_TIMER_EXPIRY], 0);
	cr_expect_str_eq(svr_link_down_name(SVR_LINK_DOWN_TIMER_EXPIRY), "timer-expiry");
	end();
}

/* Paths 0 and 2 of three stay, as 1 and 0; path 1 ends, and its peer is told. */
Test(configure, paths_come_and_go)
{
	static const int from[] = { 2, 0 };
	uint32_t discr[3];
	unsigned int i;
	uint64_t rx;

	begin(3);
	up();
	world_run(w, 3000);
	for (i = 0; i < 3; i++)
		discr[i] = path_of(0, i)->bfd.local_discr;
	rx = path_of(0, 2)->rx_packets;
	cr_assert_eq(svr_peering_set_paths(w->node[0].peering, 2, from), 0);
	cr_expect_eq(w->node[0].peering->n_paths, 2);
	cr_expect_eq(path_of(0, 0)->bfd.local_discr, discr[2]);
	cr_expect_eq(path_of(0, 1)->bfd.local_discr, discr[0]);
	cr_expect_eq(path_of(0, 0)->rx_packets, rx);
	cr_expect(path_of(0, 0)->bfd.user == path_of(0, 0) && path_of(0, 0)->number == 0);
	world_run(w, 11);
	cr_expect_eq(path_of(1, 1)->bfd.state, SVR_BFD_DOWN);
	cr_expect_eq(path_of(1, 1)->link_down[SVR_LINK_DOWN_REMOTE_ADMIN_DOWN], 1);
	cr_expect_eq(path_of(1, 0)->bfd.state, SVR_BFD_UP);
	cr_expect_eq(path_of(0, 0)->bfd.state, SVR_BFD_UP);
	cr_expect_eq(w->node[0].keys_made, 1, "nothing is agreed anew");
	end();
}

/* ---- plain BFD ------------------------------------------------------------------------------- */

Test(plain, watched_and_never_in_service)
{
	begin(1);
	w->plain = true;
	node_start(&w->node[0]);
	node_start(&w->node[1]);
	world_run(w, 5000);
	cr_expect_eq(path_of(0, 0)->bfd.state, SVR_BFD_UP);
	cr_expect_eq(w->node[0].path[0].status, SVR_PATH_STANDBY);
	cr_expect_eq(w->node[1].path[0].status, SVR_PATH_STANDBY);
	cr_expect_eq(w->node[0].keys_made, 0, "no keys are agreed on it");
	cr_expect_eq(w->node[0].peering->kex.exchanges, 0);
	w->node[0].quiet = true;
	world_run(w, 601);
	cr_expect_eq(path_of(1, 0)->bfd.state, SVR_BFD_DOWN);
	cr_expect_eq(path_of(1, 0)->bfd.diag, SVR_BFD_DIAG_TIME_EXPIRED);
	cr_expect_eq(w->node[1].path[0].status, SVR_PATH_DOWN);
	end();
}

static bool only_24_bytes(struct world *world, const struct flight *f, void *arg)
{
	(void)world, (void)arg;
	cr_expect_eq(f->len, SVR_BFD_LEN);
	return true;
}

Test(plain, says_nothing_of_itself)
{
	begin(1);
	w->plain = true;
	w->filter = only_24_bytes;
	node_start(&w->node[0]);
	node_start(&w->node[1]);
	world_run(w, 3000);
	end();
}

/* RFC 5880 6.8.7: the peer asks not to be sent periodic packets. We never ask. */
Test(plain, demand_mode_of_the_peer_is_obeyed)
{
	uint8_t wire[SVR_BFD_LEN];
	struct svr_bfd_packet pkt;
	uint64_t sent;

	begin(1);
	w->plain = true;
	node_start(&w->node[0]);
	node_start(&w->node[1]);
	world_run(w, 3000);
	svr_bfd_header(&path_of(1, 0)->bfd, &pkt);
	cr_expect_not(pkt.demand);
	node_stop(&w->node[1]);
	pkt.demand = true;
	svr_bfd_build(&pkt, wire);
	cr_expect_eq(node_receive(&w->node[0], 0, wire, sizeof(wire), 255), 0);
	sent = w->node[0].sent;
	world_run(w, 500);
	cr_expect_eq(w->node[0].sent, sent);
	pkt.poll = true;
	svr_bfd_build(&pkt, wire);
	cr_expect_eq(node_receive(&w->node[0], 0, wire, sizeof(wire), 255), 0);
	cr_expect_eq(w->node[0].sent, sent + 1, "a poll is answered");
	end();
}

/* With metadata the clock, the tests and the keys need packets: there it is refused. */
Test(plain, demand_mode_is_refused_with_metadata)
{
	uint8_t wire[SVR_BFD_LEN];
	struct svr_bfd_packet pkt;

	begin(1);
	node_start(&w->node[0]);
	node_start(&w->node[1]);
	svr_bfd_header(&path_of(1, 0)->bfd, &pkt);
	pkt.demand = true;
	svr_bfd_build(&pkt, wire);
	cr_expect_eq(node_receive(&w->node[0], 0, wire, sizeof(wire), 255), -SVR_DROP_BFD_FIELDS);
	end();
}
