// SPDX-License-Identifier: BSD-2-Clause
/* Counters of sessions that are over: whose are kept, how many, and what a session that comes again goes on with. */
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include <svr/drops.h>

#include "lib/replay.h"
#include "worker/session.h"
#include "worker/session_tombs.c"

static struct svr_sessions ss;

static void begin(void)
{
	ss = (struct svr_sessions){
		.tombs = calloc(SVR_TOMBSTONES / SVR_TOMB_PAIR, sizeof(*ss.tombs)),
	};
	cr_assert(ss.tombs);
}

static void end(void)
{
	free(ss.tombs);
}

#define SEC 1000000000ULL

TestSuite(worker_tombs, .init = begin, .fini = end);

/* A session of a peer that has not heard us; those with the same @number % 2 lie in one pair. */
static struct svr_session session(uint8_t number, uint64_t tx, uint64_t rx)
{
	struct svr_session s = { .cipher = SVR_CIPHER_AES_CBC_256,
				 .meta_add = 1,
				 .tx_counter = tx,
				 .replay = { .top = rx } };

	s.uuid[0] = number % 2;
	s.uuid[SVR_UUID_LEN - 1] = number;
	return s;
}

static void expect_goes_on(uint8_t number, uint64_t tx, uint64_t rx)
{
	struct svr_session s = session(number, 0, 0);

	svr_tomb_apply(&ss, &s);
	cr_expect_eq(s.tx_counter, tx, "session %u: sends from %llu", number,
		     (unsigned long long)s.tx_counter);
	cr_expect_eq(s.replay.top, rx, "session %u: accepts above %llu", number,
		     (unsigned long long)s.replay.top);
	if (rx)
		cr_expect_eq(svr_replay_check(&s.replay, rx), -SVR_DROP_REPLAY, "session %u",
			     number);
}

static void bury(uint8_t number, uint64_t tx, uint64_t rx)
{
	const struct svr_session s = session(number, tx, rx);

	svr_tomb_set(&ss, &s, 100 * SEC);
}

Test(worker_tombs, two_of_a_hash_and_the_older_one_goes)
{
	expect_goes_on(2, 0, 0);
	bury(2, 70, 50);
	bury(3, 71, 51);
	bury(4, 72, 52);
	expect_goes_on(2, 70, 50);
	expect_goes_on(3, 71, 51);
	expect_goes_on(4, 72, 52);
	bury(6, 73, 53);
	expect_goes_on(2, 0, 0);
	expect_goes_on(4, 72, 52);
	expect_goes_on(6, 73, 53);
	expect_goes_on(3, 71, 51);
}

Test(worker_tombs, counters_never_go_back)
{
	bury(2, 70, 50);
	bury(2, 60, 55);
	expect_goes_on(2, 70, 55);
	bury(2, 80, 1);
	expect_goes_on(2, 80, 55);
}

/* What was sent before counts as seen, and nothing else does: later packets may be lost, and overtake one another. */
Test(worker_tombs, the_window_ends_at_the_highest_counter)
{
	/* in this order: counters never go back */
	const uint64_t tops[] = { 0, 1, 50, 62, 63, 64, 127, 2047, 2048, 2111, 2112, 100000 };
	const uint64_t jumps[] = { 1, 2, 14, 63, 64, 65, 1000 };
	struct svr_session s;
	uint64_t counter, newest;
	size_t i, k;
	int expected;

	for (i = 0; i < sizeof(tops) / sizeof(tops[0]); i++) {
		bury(2, 70, tops[i]);
		for (k = 0; k < sizeof(jumps) / sizeof(jumps[0]); k++) {
			s = session(2, 0, 0);
			svr_tomb_apply(&ss, &s);
			newest = tops[i] + jumps[k];
			svr_replay_update(&s.replay, newest);
			for (counter = 1; counter <= newest; counter++) {
				expected = newest - counter >= SVR_REPLAY_WINDOW ?
						   -SVR_DROP_REPLAY_OLD :
					   counter <= tops[i] || counter == newest ?
						   -SVR_DROP_REPLAY :
						   0;
				cr_assert_eq(svr_replay_check(&s.replay, counter), expected,
					     "up to %llu seen, then %llu: %llu",
					     (unsigned long long)tops[i],
					     (unsigned long long)newest,
					     (unsigned long long)counter);
			}
		}
	}
}

/* Others would only drive out those that matter. */
Test(worker_tombs, only_keys_that_may_come_again)
{
	struct svr_session s = session(2, 70, 50);

	s.originator = 1;
	svr_tomb_set(&ss, &s, 100 * SEC);
	expect_goes_on(2, 0, 0);
	s.originator = 0;
	s.cipher = SVR_CIPHER_NONE;
	svr_tomb_set(&ss, &s, 100 * SEC);
	expect_goes_on(2, 0, 0);
	s.cipher = SVR_CIPHER_AES_GCM_256;
	s.meta_add = 0; /* the originator has heard us */
	s.heard_ns = 80 * SEC;
	svr_tomb_set(&ss, &s, 100 * SEC);
	expect_goes_on(2, 0, 0);
	s.unconfirmed = 1; /* but has offered new keys */
	svr_tomb_set(&ss, &s, 100 * SEC);
	expect_goes_on(2, 70, 50);
}

/* Somebody on the way may have kept a block back that the originator sent before it heard us. */
Test(worker_tombs, a_block_that_was_kept_back)
{
	struct svr_session s = session(2, 70, 50), time_based = session(3, 71, 51);

	s.meta_add = time_based.meta_add = 0;
	s.heard_ns = time_based.heard_ns = 96 * SEC;
	s.hmac_mode = SVR_HMAC_MODE_REGULAR;
	time_based.hmac_mode = SVR_HMAC_MODE_TIME_BASED;
	svr_tomb_set(&ss, &s, 100 * SEC);
	svr_tomb_set(&ss, &time_based, 100 * SEC);
	expect_goes_on(2, 70, 50);
	expect_goes_on(3, 0, 0); /* its tag has gone out of date */
	svr_tomb_set(&ss, &time_based, 100 * SEC - 1);
	expect_goes_on(3, 71, 51);
}
