// SPDX-License-Identifier: BSD-2-Clause
/*
 * BFD: control packet, state table of RFC 5880 6.8.6, timers, poll sequences. Section numbers are
 * those of RFC 5880.
 */
#include <criterion/criterion.h>
#include <string.h>

#include <svr/drops.h>

#include "lib/bfd.h"

#define MS  1000000ULL
#define SEC 1000000000ULL

/* ---- a session with a recorder --------------------------------------------------------------- */

struct recorder {
	struct svr_bfd_packet sent[64];
	unsigned int n_sent, n_changes;
	enum svr_bfd_state from, to;
	const char *why;
	uint32_t random;
};

static void record_send(void *user, const struct svr_bfd_packet *pkt)
{
	struct recorder *r = user;

	r->sent[r->n_sent++ % 64] = *pkt;
}

static void record_change(void *user, enum svr_bfd_state from, enum svr_bfd_state to,
			  const char *why)
{
	struct recorder *r = user;

	r->n_changes++;
	r->from = from;
	r->to = to;
	r->why = why;
}

static uint32_t given_random(void *user)
{
	return ((struct recorder *)user)->random;
}

static const struct svr_bfd_ops ops = { record_send, record_change, given_random };
static const struct svr_bfd_config config = { .desired_min_tx_us = 300000,
					      .required_min_rx_us = 200000,
					      .detect_mult = 3 };

static struct svr_bfd_packet from_peer(uint8_t state)
{
	return (struct svr_bfd_packet){
		.state = state,
		.detect_mult = 4,
		.length = SVR_BFD_LEN,
		.my_discr = 77,
		.your_discr = state == SVR_BFD_DOWN || state == SVR_BFD_ADMIN_DOWN ? 0 : 1,
		.desired_min_tx_us = 400000,
		.required_min_rx_us = 100000,
	};
}

static void bring_up(struct svr_bfd *b, struct recorder *r, uint64_t now)
{
	struct svr_bfd_packet pkt = from_peer(SVR_BFD_DOWN);

	memset(r, 0, sizeof(*r));
	svr_bfd_init(b, &config, &ops, r, 1, now);
	svr_bfd_receive(b, &pkt, now);
	pkt = from_peer(SVR_BFD_UP);
	svr_bfd_receive(b, &pkt, now);
	cr_assert_eq(b->state, SVR_BFD_UP);
}

static const struct svr_bfd_packet *last(const struct recorder *r)
{
	return &r->sent[(r->n_sent - 1) % 64];
}

/* ---- packet ---------------------------------------------------------------------------------- */

Test(bfd_packet, as_in_4_1)
{
	/*
	 * state Up, diag 3, P, multiplier 5, discriminators, timers: written by hand from the
	 * figure
	 */
	static const uint8_t wire[SVR_BFD_LEN] = {
		0x23, 0xe0, 0x05, 0x18, 0x01, 0x02, 0x03, 0x04, 0x0a, 0x0b, 0x0c, 0x0d,
		0x00, 0x0f, 0x42, 0x40, 0x00, 0x03, 0x0d, 0x40, 0x00, 0x00, 0x00, 0x00,
	};
	struct svr_bfd_packet pkt;
	uint8_t out[SVR_BFD_LEN];

	cr_assert_eq(svr_bfd_parse(wire, sizeof(wire), &pkt), 0);
	cr_expect_eq(pkt.state, SVR_BFD_UP);
	cr_expect_eq(pkt.diag, SVR_BFD_DIAG_NEIGHBOR_DOWN);
	cr_expect(pkt.poll && !pkt.final && !pkt.cpi && !pkt.demand);
	cr_expect_eq(pkt.detect_mult, 5);
	cr_expect_eq(pkt.my_discr, 0x01020304);
	cr_expect_eq(pkt.your_discr, 0x0a0b0c0d);
	cr_expect_eq(pkt.desired_min_tx_us, 1000000);
	cr_expect_eq(pkt.required_min_rx_us, 200000);
	svr_bfd_build(&pkt, out);
	cr_expect_arr_eq(out, wire, sizeof(wire));
}

Test(bfd_packet, refused)
{
	static const struct {
		const char *name;
		size_t at;
		uint8_t value;
		size_t len;
		int drop;
	} rows[] = {
		{ "one byte too short", 0, 0x20, 23, SVR_DROP_BFD_SHORT },
		{ "empty", 0, 0x20, 0, SVR_DROP_BFD_SHORT },
		{ "version 0", 0, 0x00, 24, SVR_DROP_BFD_VERSION },
		{ "version 2", 0, 0x40, 24, SVR_DROP_BFD_VERSION },
		{ "length field below 24", 3, 23, 24, SVR_DROP_BFD_SHORT },
		{ "length field behind the end", 3, 25, 24, SVR_DROP_BFD_SHORT },
		{ "multiplier 0", 2, 0, 24, SVR_DROP_BFD_FIELDS },
		{ "multipoint", 1, 0x41, 24, SVR_DROP_BFD_FIELDS },
		{ "authentication section", 1, 0x44, 24, SVR_DROP_BFD_FIELDS },
		{ "my discriminator 0", 7, 0, 24, SVR_DROP_BFD_FIELDS },
		{ "init without your discriminator", 1, 0x80, 24, SVR_DROP_BFD_FIELDS },
		{ "up without your discriminator", 1, 0xc0, 24, SVR_DROP_BFD_FIELDS },
		{ "down without your discriminator", 1, 0x40, 24, 0 },
		{ "admin-down without your discriminator", 1, 0x00, 24, 0 },
	};
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint8_t wire[SVR_BFD_LEN] = { 0x20, 0x40, 3, 24, 0, 0, 0, 9 };
		struct svr_bfd_packet pkt;

		wire[rows[i].at] = rows[i].value;
		cr_expect_eq(svr_bfd_parse(wire, rows[i].len, &pkt), -rows[i].drop, "%s",
			     rows[i].name);
	}
}

Test(bfd_packet, belongs_to_the_session)
{
	struct svr_bfd_packet pkt = from_peer(SVR_BFD_UP);
	struct recorder r = { 0 };
	struct svr_bfd b;

	svr_bfd_init(&b, &config, &ops, &r, 1, 0);
	cr_expect_eq(svr_bfd_match(&b, &pkt), 0);
	pkt.your_discr = 2;
	cr_expect_eq(svr_bfd_match(&b, &pkt), -SVR_DROP_BFD_SESSION);
	pkt = from_peer(SVR_BFD_DOWN);
	cr_expect_eq(svr_bfd_match(&b, &pkt), 0);
	pkt.my_discr = 1; /* our own, reflected */
	cr_expect_eq(svr_bfd_match(&b, &pkt), -SVR_DROP_BFD_SESSION);
}

/* ---- state table ----------------------------------------------------------------------------- */

#define KEEP 255

static const struct {
	enum svr_bfd_state state;
	uint8_t received;
	enum svr_bfd_state next;
	uint8_t diag; /* KEEP: not looked at */
} table[] = {
	{ SVR_BFD_DOWN, SVR_BFD_ADMIN_DOWN, SVR_BFD_DOWN, KEEP },
	{ SVR_BFD_DOWN, SVR_BFD_DOWN, SVR_BFD_INIT, KEEP },
	{ SVR_BFD_DOWN, SVR_BFD_INIT, SVR_BFD_UP, SVR_BFD_DIAG_NONE },
	{ SVR_BFD_DOWN, SVR_BFD_UP, SVR_BFD_DOWN, KEEP },
	{ SVR_BFD_INIT, SVR_BFD_ADMIN_DOWN, SVR_BFD_DOWN, SVR_BFD_DIAG_NEIGHBOR_DOWN },
	{ SVR_BFD_INIT, SVR_BFD_DOWN, SVR_BFD_INIT, KEEP },
	{ SVR_BFD_INIT, SVR_BFD_INIT, SVR_BFD_UP, SVR_BFD_DIAG_NONE },
	{ SVR_BFD_INIT, SVR_BFD_UP, SVR_BFD_UP, SVR_BFD_DIAG_NONE },
	{ SVR_BFD_UP, SVR_BFD_ADMIN_DOWN, SVR_BFD_DOWN, SVR_BFD_DIAG_NEIGHBOR_DOWN },
	{ SVR_BFD_UP, SVR_BFD_DOWN, SVR_BFD_DOWN, SVR_BFD_DIAG_NEIGHBOR_DOWN },
	{ SVR_BFD_UP, SVR_BFD_INIT, SVR_BFD_UP, KEEP },
	{ SVR_BFD_UP, SVR_BFD_UP, SVR_BFD_UP, KEEP },
	{ SVR_BFD_ADMIN_DOWN, SVR_BFD_ADMIN_DOWN, SVR_BFD_ADMIN_DOWN, SVR_BFD_DIAG_ADMIN_DOWN },
	{ SVR_BFD_ADMIN_DOWN, SVR_BFD_DOWN, SVR_BFD_ADMIN_DOWN, SVR_BFD_DIAG_ADMIN_DOWN },
	{ SVR_BFD_ADMIN_DOWN, SVR_BFD_INIT, SVR_BFD_ADMIN_DOWN, SVR_BFD_DIAG_ADMIN_DOWN },
	{ SVR_BFD_ADMIN_DOWN, SVR_BFD_UP, SVR_BFD_ADMIN_DOWN, SVR_BFD_DIAG_ADMIN_DOWN },
};

static void enter(struct svr_bfd *b, struct recorder *r, enum svr_bfd_state state)
{
	struct svr_bfd_packet pkt = from_peer(SVR_BFD_DOWN);

	memset(r, 0, sizeof(*r));
	svr_bfd_init(b, &config, &ops, r, 1, SEC);
	if (state == SVR_BFD_ADMIN_DOWN)
		svr_bfd_set_admin_down(b, true, SEC);
	if (state == SVR_BFD_INIT || state == SVR_BFD_UP)
		svr_bfd_receive(b, &pkt, SEC);
	if (state == SVR_BFD_UP) {
		pkt = from_peer(SVR_BFD_UP);
		svr_bfd_receive(b, &pkt, SEC);
	}
	cr_assert_eq(b->state, state);
}

Test(bfd_state, table_of_6_8_6)
{
	size_t i;

	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct svr_bfd_packet pkt = from_peer(table[i].received);
		struct recorder r;
		struct svr_bfd b;
		unsigned int changes;

		enter(&b, &r, table[i].state);
		changes = r.n_changes;
		r.n_sent = 0;
		svr_bfd_receive(&b, &pkt, SEC + MS);
		cr_expect_eq(b.state, table[i].next, "%s, receives %s: %s",
			     svr_bfd_state_name(table[i].state),
			     svr_bfd_state_name(table[i].received), svr_bfd_state_name(b.state));
		if (table[i].diag != KEEP)
			cr_expect_eq(b.diag, table[i].diag, "row %zu: diagnostic %d", i, b.diag);
		cr_expect_eq(r.n_changes - changes, table[i].next != table[i].state);
		/* 6.8.7: a change is told at once */
		cr_expect_eq(r.n_sent, table[i].next != table[i].state, "row %zu", i);
		if (r.n_sent)
			cr_expect_eq(last(&r)->state, table[i].next);
	}
}

Test(bfd_state, variables_of_the_peer_are_taken)
{
	struct svr_bfd_packet pkt = from_peer(SVR_BFD_DOWN);
	struct recorder r = { 0 };
	struct svr_bfd b;

	svr_bfd_init(&b, &config, &ops, &r, 1, 0);
	svr_bfd_receive(&b, &pkt, 5 * SEC);
	cr_expect_eq(b.remote_discr, 77);
	cr_expect_eq(b.remote_state, SVR_BFD_DOWN);
	cr_expect_eq(b.remote_min_rx_us, 100000);
	cr_expect_eq(b.last_rx_ns, 5 * SEC);
	cr_expect_eq(last(&r)->your_discr, 77);
	cr_expect_eq(last(&r)->my_discr, 1);
}

Test(bfd_state, admin_down_and_back)
{
	struct svr_bfd_packet pkt;
	struct recorder r;
	struct svr_bfd b;

	bring_up(&b, &r, SEC);
	svr_bfd_set_admin_down(&b, true, 2 * SEC);
	cr_expect_eq(b.state, SVR_BFD_ADMIN_DOWN);
	cr_expect_eq(last(&r)->state, SVR_BFD_ADMIN_DOWN);
	cr_expect_eq(last(&r)->diag, SVR_BFD_DIAG_ADMIN_DOWN);
	pkt = from_peer(SVR_BFD_UP);
	pkt.poll = true;
	r.n_sent = 0;
	svr_bfd_receive(&b, &pkt, 2 * SEC);
	cr_expect_eq(r.n_sent, 0, "a poll is not answered");
	svr_bfd_set_admin_down(&b, false, 3 * SEC);
	cr_expect_eq(b.state, SVR_BFD_DOWN);
	pkt = from_peer(SVR_BFD_DOWN);
	svr_bfd_receive(&b, &pkt, 3 * SEC);
	cr_expect_eq(b.state, SVR_BFD_INIT);
}

/* ---- detection ------------------------------------------------------------------------------- */

Test(bfd_detect, time_of_6_8_4)
{
	static const struct {
		uint32_t own_rx_us, peer_tx_us;
		uint8_t peer_mult;
		uint64_t detect_us;
	} rows[] = {
		{ 200000, 400000, 4, 1600000 }, /* the peer's pace */
		{ 900000, 400000, 4, 3600000 }, /* ours */
		{ 200000, 200000, 1, 200000 },
		{ 1, 4294967295U, 255, 1095216660225ULL },
	};
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct svr_bfd_config c = { 300000, rows[i].own_rx_us, 3 };
		struct svr_bfd_packet pkt = from_peer(SVR_BFD_DOWN);
		struct recorder r = { 0 };
		struct svr_bfd b;

		pkt.desired_min_tx_us = rows[i].peer_tx_us;
		pkt.detect_mult = rows[i].peer_mult;
		svr_bfd_init(&b, &c, &ops, &r, 1, SEC);
		svr_bfd_receive(&b, &pkt, SEC);
		cr_expect_eq(b.detect_us, rows[i].detect_us, "row %zu: %lu", i, b.detect_us);
	}
}

Test(bfd_detect, silence_ends_the_session)
{
	struct recorder r;
	struct svr_bfd b;

	bring_up(&b, &r, SEC);
	svr_bfd_tick(&b, SEC + 1600 * MS - 1);
	cr_expect_eq(b.state, SVR_BFD_UP);
	svr_bfd_tick(&b, SEC + 1600 * MS);
	cr_expect_eq(b.state, SVR_BFD_DOWN);
	cr_expect_eq(b.diag, SVR_BFD_DIAG_TIME_EXPIRED);
	cr_expect_eq(last(&r)->state, SVR_BFD_DOWN);
	cr_expect_eq(last(&r)->diag, SVR_BFD_DIAG_TIME_EXPIRED);
	cr_expect_eq(b.remote_discr, 0, "6.8.1: forgotten");
	cr_expect_eq(last(&r)->your_discr, 0);
	cr_expect_eq(b.desired_min_tx_us, 1000000, "slow again");
}

Test(bfd_detect, also_from_init)
{
	struct svr_bfd_packet pkt = from_peer(SVR_BFD_DOWN);
	struct recorder r = { 0 };
	struct svr_bfd b;

	svr_bfd_init(&b, &config, &ops, &r, 1, SEC);
	svr_bfd_receive(&b, &pkt, SEC);
	cr_expect_eq(b.state, SVR_BFD_INIT);
	svr_bfd_tick(&b, SEC + 1600 * MS);
	cr_expect_eq(b.state, SVR_BFD_DOWN);
	cr_expect_eq(b.diag, SVR_BFD_DIAG_TIME_EXPIRED);
}

Test(bfd_detect, each_packet_starts_it_again)
{
	struct svr_bfd_packet pkt = from_peer(SVR_BFD_UP);
	struct recorder r;
	struct svr_bfd b;
	int i;

	bring_up(&b, &r, SEC);
	for (i = 1; i < 100; i++) {
		svr_bfd_tick(&b, SEC + (uint64_t)i * 1500 * MS);
		svr_bfd_receive(&b, &pkt, SEC + (uint64_t)i * 1500 * MS);
	}
	cr_expect_eq(b.state, SVR_BFD_UP);
}

/* ---- sending --------------------------------------------------------------------------------- */

Test(bfd_send, first_packet_at_once_then_slowly)
{
	struct recorder r = { 0 };
	struct svr_bfd b;

	svr_bfd_init(&b, &config, &ops, &r, 1, SEC);
	cr_expect_eq(svr_bfd_next(&b), SEC);
	svr_bfd_tick(&b, SEC);
	cr_expect_eq(r.n_sent, 1);
	cr_expect_eq(last(&r)->state, SVR_BFD_DOWN);
	cr_expect_eq(last(&r)->desired_min_tx_us, 1000000, "6.8.3: not below one second until up");
	cr_expect_eq(last(&r)->required_min_rx_us, 200000);
	cr_expect_eq(last(&r)->detect_mult, 3);
	cr_expect_geq(svr_bfd_next(&b), SEC + 750 * MS);
	cr_expect_leq(svr_bfd_next(&b), SEC + 1000 * MS);
}

static void check_jitter(uint8_t mult, uint64_t top_percent)
{
	const struct svr_bfd_config c = { 1000000, 200000, mult };
	uint64_t lowest = UINT64_MAX, highest = 0, gap;
	struct recorder r = { 0 };
	struct svr_bfd b;
	int i;

	svr_bfd_init(&b, &c, &ops, &r, 1, SEC);
	for (i = 0; i < 20000; i++) {
		uint64_t now = svr_bfd_next(&b);

		r.random = r.random * 1664525u + 1013904223u;
		svr_bfd_tick(&b, now);
		gap = svr_bfd_next(&b) - now;
		lowest = gap < lowest ? gap : lowest;
		highest = gap > highest ? gap : highest;
	}
	cr_expect_geq(lowest, 750 * MS);
	cr_expect_lt(lowest, 755 * MS, "uses the whole range: %lu", lowest);
	cr_expect_leq(highest, top_percent * 10 * MS);
	cr_expect_gt(highest, top_percent * 10 * MS - 5 * MS, "uses the whole range: %lu", highest);
}

Test(bfd_send, jitter_of_6_8_7)
{
	check_jitter(3, 100);
	check_jitter(1, 90);
}

Test(bfd_send, not_faster_than_the_peer_takes)
{
	struct svr_bfd_packet pkt;
	struct recorder r;
	struct svr_bfd b;

	bring_up(&b, &r, SEC);
	pkt = from_peer(SVR_BFD_UP);
	pkt.final = true; /* ends the poll sequence of coming up */
	svr_bfd_receive(&b, &pkt, SEC);
	cr_expect_eq(b.tx_interval_us, 300000);
	pkt.final = false;
	pkt.required_min_rx_us = 2000000;
	svr_bfd_receive(&b, &pkt, SEC);
	cr_expect_eq(b.tx_interval_us, 2000000);
	pkt.required_min_rx_us = 50000;
	svr_bfd_receive(&b, &pkt, SEC);
	cr_expect_eq(b.tx_interval_us, 300000);
}

Test(bfd_send, nothing_if_the_peer_takes_nothing)
{
	struct svr_bfd_packet pkt = from_peer(SVR_BFD_UP);
	struct recorder r;
	struct svr_bfd b;
	unsigned int sent;
	uint64_t now;

	bring_up(&b, &r, SEC);
	pkt.required_min_rx_us = 0;
	svr_bfd_receive(&b, &pkt, SEC);
	sent = r.n_sent;
	for (now = SEC; now < 2 * SEC; now += 10 * MS)
		svr_bfd_tick(&b, now);
	cr_expect_eq(r.n_sent, sent);
	cr_expect_neq(svr_bfd_next(&b), UINT64_MAX, "detection still runs");
	pkt.poll = true;
	svr_bfd_receive(&b, &pkt, 2 * SEC);
	cr_expect_eq(r.n_sent, sent + 1, "a poll is answered all the same");
	cr_expect(last(&r)->final);
	pkt.poll = false;
	pkt.required_min_rx_us = 100000;
	svr_bfd_receive(&b, &pkt, 2 * SEC);
	svr_bfd_tick(&b, 3 * SEC);
	cr_expect_eq(r.n_sent, sent + 2);
}

Test(bfd_send, demand_mode_of_the_peer)
{
	struct svr_bfd_packet pkt = from_peer(SVR_BFD_UP);
	struct recorder r;
	struct svr_bfd b;

	bring_up(&b, &r, SEC);
	pkt.final = true;
	pkt.demand = true;
	svr_bfd_receive(&b, &pkt, SEC);
	r.n_sent = 0;
	svr_bfd_tick(&b, SEC + 1500 * MS);
	cr_expect_eq(r.n_sent, 0);
	cr_expect_eq(b.state, SVR_BFD_UP);
}

Test(bfd_send, discriminator_and_pace_after_silence)
{
	struct svr_bfd_packet pkt = from_peer(SVR_BFD_UP);
	struct recorder r;
	struct svr_bfd b;

	bring_up(&b, &r, SEC);
	pkt.required_min_rx_us = 0;
	svr_bfd_receive(&b, &pkt, SEC);
	r.n_sent = 0;
	svr_bfd_tick(&b, SEC + 1600 * MS);
	cr_expect_eq(b.state, SVR_BFD_DOWN);
	cr_expect_eq(r.n_sent, 1,
		     "what it did not take before it restarted does not hold for ever");
	cr_expect_neq(svr_bfd_next(&b), UINT64_MAX);
}

/* ---- poll sequences -------------------------------------------------------------------------- */

Test(bfd_poll, faster_interval_after_coming_up)
{
	struct svr_bfd_packet pkt;
	struct recorder r;
	struct svr_bfd b;

	bring_up(&b, &r, SEC);
	cr_expect(b.polling);
	cr_expect(last(&r)->poll);
	cr_expect_eq(last(&r)->desired_min_tx_us, 300000);
	pkt = from_peer(SVR_BFD_UP);
	svr_bfd_receive(&b, &pkt, SEC + MS);
	cr_expect(b.polling, "only a final ends it");
	pkt.final = true;
	svr_bfd_receive(&b, &pkt, SEC + 2 * MS);
	cr_expect_not(b.polling);
	svr_bfd_tick(&b, SEC + SEC / 2);
	cr_expect_not(last(&r)->poll);
}

Test(bfd_poll, is_answered_at_once_and_never_with_a_poll)
{
	struct svr_bfd_packet pkt = from_peer(SVR_BFD_UP);
	struct recorder r;
	struct svr_bfd b;

	bring_up(&b, &r, SEC);
	cr_assert(b.polling);
	pkt.poll = true;
	r.n_sent = 0;
	svr_bfd_receive(&b, &pkt, SEC + MS);
	cr_expect_eq(r.n_sent, 1);
	cr_expect(last(&r)->final);
	cr_expect_not(last(&r)->poll);
}

Test(bfd_poll, slower_sending_waits_for_the_final)
{
	const struct svr_bfd_config slower = { 2000000, 200000, 3 };
	struct svr_bfd_packet pkt = from_peer(SVR_BFD_UP);
	struct recorder r;
	struct svr_bfd b;

	bring_up(&b, &r, SEC);
	pkt.final = true;
	svr_bfd_receive(&b, &pkt, SEC);
	svr_bfd_set_config(&b, &slower, SEC);
	cr_expect(b.polling);
	cr_expect_eq(last(&r)->desired_min_tx_us, 2000000);
	cr_expect_eq(b.tx_interval_us, 300000, "the peer still expects the old pace");
	svr_bfd_receive(&b, &pkt, SEC);
	cr_expect_eq(b.tx_interval_us, 2000000);
}

Test(bfd_poll, shorter_detection_waits_for_the_final)
{
	const struct svr_bfd_config eager = { 300000, 50000, 3 }, lazy = { 300000, 800000, 3 };
	struct svr_bfd_packet pkt = from_peer(SVR_BFD_UP);
	struct recorder r;
	struct svr_bfd b;

	bring_up(&b, &r, SEC);
	pkt.final = true;
	pkt.desired_min_tx_us = 50000;
	svr_bfd_receive(&b, &pkt, SEC);
	svr_bfd_set_config(&b, &lazy, SEC);
	cr_expect_eq(b.detect_us, 4 * 800000ULL, "longer at once");
	svr_bfd_receive(&b, &pkt, SEC);
	svr_bfd_set_config(&b, &eager, SEC);
	cr_expect_eq(b.detect_us, 4 * 800000ULL, "shorter only after the final");
	svr_bfd_receive(&b, &pkt, SEC);
	cr_expect_eq(b.detect_us, 4 * 50000ULL);
}

/* ---- going on after a restart ---------------------------------------------------------------- */

Test(bfd_resume, is_up_and_speaks_at_once)
{
	struct recorder r = { 0 };
	struct svr_bfd b;

	svr_bfd_init(&b, &config, &ops, &r, 1, 10 * SEC);
	svr_bfd_resume(&b, 77, 1600000, 100000, 9 * SEC, 10 * SEC);
	cr_expect_eq(b.state, SVR_BFD_UP);
	cr_expect_eq(svr_bfd_next(&b), 10 * SEC);
	svr_bfd_tick(&b, 10 * SEC);
	cr_expect_eq(last(&r)->state, SVR_BFD_UP);
	cr_expect_eq(last(&r)->your_discr, 77);
	cr_expect(last(&r)->poll);
	cr_expect_eq(r.n_changes, 0);
	svr_bfd_tick(&b, 9 * SEC + 1600 * MS);
	cr_expect_eq(b.state, SVR_BFD_DOWN, "the detection time goes on where it was");
}

/*
 * 6.8.3. Before it was ended the process sent every 200 ms, now it is to send every 5 s; the first packet is
 * lost. The peer was to send every 400 ms, and may now every 50.
 */
Test(bfd_resume, with_other_timers)
{
	const struct svr_bfd_config other = { .desired_min_tx_us = 5000000,
					      .required_min_rx_us = 50000,
					      .detect_mult = 3 };
	struct svr_bfd_packet pkt = from_peer(SVR_BFD_UP);
	struct recorder r = { 0 };
	struct svr_bfd b;

	pkt.desired_min_tx_us = 50000;
	svr_bfd_init(&b, &other, &ops, &r, 1, 10 * SEC);
	svr_bfd_resume(&b, 77, 1600000, 100000, 9 * SEC, 10 * SEC);
	svr_bfd_tick(&b, 10 * SEC);
	cr_expect_eq(last(&r)->desired_min_tx_us, 5000000);
	cr_expect_leq(svr_bfd_next(&b), 10 * SEC + 200 * MS, "soon again");
	svr_bfd_receive(&b, &pkt, 10 * SEC + 100 * MS);
	cr_expect_geq(b.detect_us, 1600000,
		      "a peer that has not heard of it yet is as slow as before");
	pkt.final = true;
	svr_bfd_receive(&b, &pkt, 10 * SEC + 200 * MS);
	cr_expect_eq(b.tx_interval_us, 5000000);
	cr_expect_eq(b.detect_us, 200000);
}
