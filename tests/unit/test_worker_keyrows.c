// SPDX-License-Identifier: BSD-2-Clause
/* Rows for keys: shared, counted, wiped, refused when there are no more, and found after a restart. */
#include <string.h>

#include <criterion/criterion.h>

#include "lib/epoch.h"
#include "worker/keyrows.c"

enum { HMACS = 9, OTHERS = 5, SESSIONS = 8 }; /* row 0 of each is none */

static struct svr_session_hmac hmacs[HMACS];
static struct svr_session_other others[OTHERS];
static struct svr_session sessions[SESSIONS];
static struct svr_keyrows rows;
static uint8_t tx[SVR_HMAC_KEY_LEN], rx[SVR_HMAC_KEY_LEN];

static void start(void)
{
	cr_assert_eq(svr_keyrows_init(&rows, hmacs, HMACS, others, OTHERS), 0);
}

static void setup(void)
{
	memset(tx, 0x41, sizeof(tx));
	memset(rx, 0x42, sizeof(rx));
	start();
	svr_keyrows_adopted(&rows, sessions);
}

static void teardown(void)
{
	svr_keyrows_free(&rows);
}

TestSuite(worker_keyrows, .init = setup, .fini = teardown);

static bool all_zero(const void *p, size_t len)
{
	const uint8_t *b = p;

	while (len-- > 0)
		if (*b++)
			return false;
	return true;
}

Test(worker_keyrows, sessions_of_a_peer_key_share_a_row)
{
	uint16_t row = svr_keyrows_hold(&rows, 7, 100, tx, rx), other;

	cr_assert_neq(row, 0);
	cr_expect_eq(svr_keyrows_hold(&rows, 7, 100, tx, rx), row);
	cr_expect_eq(rows.users[row], 2);
	other = svr_keyrows_hold(&rows, 7, 101, tx, rx);
	cr_expect_neq(other, row, "another peer key");
	rx[0]++;
	cr_expect_neq(svr_keyrows_hold(&rows, 7, 100, tx, rx), row, "the number came again");
	rx[0]--;
	cr_expect_neq(svr_keyrows_hold(&rows, 8, 100, tx, rx), row, "another peer");
	cr_expect_eq(svr_keyrows_hold(&rows, 7, 100, tx, rx), row);
	cr_expect_eq(svr_keyrows_hold(&rows, 0, 100, tx, rx), 0);
	cr_expect_eq(svr_keyrows_hold(&rows, SVR_MAX_PEERS, 100, tx, rx), 0);
}

Test(worker_keyrows, the_last_user_wipes_and_a_full_table_refuses)
{
	uint16_t row[HMACS] = { 0 };
	uint32_t i;

	cr_expect(!svr_keyrows_crowded(&rows));
	for (i = 1; i < HMACS; i++) {
		row[i] = svr_keyrows_hold(&rows, i, 1, tx, rx);
		cr_assert_neq(row[i], 0);
	}
	cr_expect(svr_keyrows_crowded(&rows));
	cr_expect_eq(svr_keyrows_hold(&rows, 20, 1, tx, rx), 0, "full");
	cr_expect_eq(svr_keyrows_hold(&rows, 3, 1, tx, rx), row[3], "what is there is there");
	svr_keyrows_put(&rows, row[3]);
	cr_expect_eq(svr_keyrows_hold(&rows, 20, 1, tx, rx), 0);
	svr_keyrows_put(&rows, row[3]);
	cr_expect(all_zero(&hmacs[row[3]], sizeof(hmacs[0])));
	cr_expect_eq(svr_keyrows_hold(&rows, 20, 1, tx, rx), row[3]);
	svr_keyrows_put(&rows, 0);
}

Test(worker_keyrows, second_epochs_rest_and_run_out)
{
	uint16_t row[OTHERS];
	int i;

	for (i = 1; i < OTHERS; i++) {
		row[i] = svr_keyrows_take_other(&rows);
		cr_assert_neq(row[i], 0);
	}
	cr_expect_eq(svr_keyrows_take_other(&rows), 0);
	rows.offers[row[2]].count = 3;
	svr_keyrows_give_other(&rows, row[2]);
	svr_keyrows_give_other(&rows, row[1]);
	svr_keyrows_give_other(&rows, 0);
	cr_expect_eq(svr_keyrows_take_other(&rows), row[2], "the one that rested longest");
	cr_expect_eq(rows.offers[row[2]].count, 0);
	cr_expect_eq(svr_keyrows_take_other(&rows), row[1]);
	cr_expect_eq(svr_keyrows_take_other(&rows), 0);
}

/* A session with two epochs, as the worker makes it. */
static struct svr_session *session_make(uint32_t slot, uint32_t peer, bool two)
{
	struct svr_session *s = &sessions[slot];
	struct svr_session_keys k = { .epoch = 1, .peer_key_index = 1 };

	*s = (struct svr_session){ .state = SVR_SESSION_LIVE, .generation = 5, .peer = peer };
	k.hmac = svr_keyrows_hold(&rows, peer, 1, tx, rx);
	svr_epoch_install(s, others, &k, false, 1);
	if (!two)
		return s;
	k = (struct svr_session_keys){ .epoch = 2, .peer_key_index = 2 };
	k.hmac = svr_keyrows_hold(&rows, peer, 2, tx, rx);
	svr_epoch_give_row(s, others, svr_keyrows_take_other(&rows), slot);
	svr_epoch_install(s, others, &k, true, 2);
	return s;
}

Test(worker_keyrows, a_session_that_is_over_leaves_nothing)
{
	struct svr_session *s = session_make(1, 4, true);

	session_make(2, 4, false);
	svr_keyrows_drop(&rows, s);
	cr_expect(all_zero(&s->keys, sizeof(s->keys)));
	cr_expect_eq(s->other, 0);
	cr_expect_eq(rows.n_free_others, OTHERS - 1);
	cr_expect_eq(rows.n_free_hmacs, HMACS - 2, "the second session still signs");
	svr_keyrows_drop(&rows, &sessions[2]);
	cr_expect_eq(rows.n_free_hmacs, HMACS - 1);
	cr_expect(all_zero(hmacs, sizeof(hmacs)));
	cr_expect(all_zero(others, sizeof(others)));
}

static void restart(void)
{
	svr_keyrows_free(&rows);
	start();
}

Test(worker_keyrows, a_restarted_worker_finds_what_is_in_use)
{
	struct svr_session *two = session_make(1, 4, true), *one = session_make(2, 4, false);
	const uint16_t lost_hmac = svr_keyrows_hold(&rows, 6, 1, tx, rx);
	const uint16_t lost_other = svr_keyrows_take_other(&rows);

	others[lost_other] = (struct svr_session_other){ .slot = 2, .generation = 5,
							 .keys.session_key = { 1 } };
	restart();
	cr_expect(svr_keyrows_adopt(&rows, two, 1));
	cr_expect(svr_keyrows_adopt(&rows, one, 2));
	svr_keyrows_adopted(&rows, sessions);
	cr_expect_eq(rows.users[one->keys.hmac], 2);
	cr_expect_eq(svr_epochs_of(two, others).older, 1);
	cr_expect_eq(rows.n_free_hmacs, HMACS - 3);
	cr_expect_eq(rows.n_free_others, OTHERS - 2);
	cr_expect(all_zero(&hmacs[lost_hmac], sizeof(hmacs[0])), "nobody named it");
	cr_expect(all_zero(&others[lost_other], sizeof(others[0])), "nor this one");
	cr_expect_eq(svr_keyrows_hold(&rows, 4, 1, tx, rx), one->keys.hmac);
}

Test(worker_keyrows, what_a_kill_left_half_is_no_obstacle)
{
	struct svr_session *half = session_make(1, 4, false), *moved = session_make(2, 4, true);
	const uint16_t row = svr_keyrows_take_other(&rows);
	struct svr_session *stranger = session_make(3, 4, false);

	/* It has a row, without keys in it */
	svr_epoch_give_row(half, others, row, 1);
	/* Its newest keys are in both places */
	moved->keys = others[moved->other].keys;
	/* Its row is another one's */
	stranger->other = row;
	restart();
	cr_expect(svr_keyrows_adopt(&rows, half, 1));
	cr_expect(svr_keyrows_adopt(&rows, moved, 2));
	cr_expect(svr_keyrows_adopt(&rows, stranger, 3));
	svr_keyrows_adopted(&rows, sessions);
	cr_expect_eq(half->other + moved->other + stranger->other, 0);
	cr_expect_eq(half->keys.epoch, 1);
	cr_expect_eq(moved->keys.epoch, 2);
	cr_expect_eq(rows.n_free_others, OTHERS - 1);
	cr_expect_eq(rows.users[moved->keys.hmac], 1);
	cr_expect_eq(rows.users[half->keys.hmac], 2);
	cr_expect(all_zero(others, sizeof(others)));
}

Test(worker_keyrows, a_session_without_its_keys_cannot_live_on)
{
	struct svr_session *s = session_make(1, 4, false);
	uint16_t row = s->keys.hmac;

	restart();
	hmacs[row].peer = 0;
	cr_expect(!svr_keyrows_adopt(&rows, s, 1));
	hmacs[row].peer = 5;
	cr_expect(!svr_keyrows_adopt(&rows, s, 1), "another peer's");
	hmacs[row].peer = 4;
	s->keys.hmac = HMACS;
	cr_expect(!svr_keyrows_adopt(&rows, s, 1));
	s->keys.hmac = row;
	s->keys.epoch = 0;
	cr_expect(!svr_keyrows_adopt(&rows, s, 1));
	s->keys.epoch = 1;
	cr_expect(svr_keyrows_adopt(&rows, s, 1));
}
