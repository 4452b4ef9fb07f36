// SPDX-License-Identifier: BSD-2-Clause
/* Key epochs of a session: order, choice of keys, when new ones are due, kills in between. */
#include <string.h>

#include <criterion/criterion.h>

#include "lib/epoch.h"

#define SEC 1000000000ULL

enum { ROW = 3, SLOT = 9 };

static struct svr_session_other others[8];

static struct svr_epochs epochs(const struct svr_session *s)
{
	return svr_epochs_of(s, others);
}

static bool has(const struct svr_session *s, uint16_t epoch)
{
	const struct svr_epochs e = epochs(s);

	return svr_epochs_have(&e, epoch);
}

/* As the worker does it: a row where one is needed. HMAC rows are numbered as epochs are. */
static uint16_t install(struct svr_session *s, const struct svr_session_keys *fresh,
			bool unconfirmed, uint64_t now_ns)
{
	if (svr_epoch_needs_row(s))
		svr_epoch_give_row(s, others, ROW, SLOT);
	return svr_epoch_install(s, others, fresh, unconfirmed, now_ns);
}

static struct svr_session session(bool originator, uint8_t cipher)
{
	struct svr_session s = { .originator = originator, .cipher = cipher };
	const struct svr_session_keys first = { .epoch = 1, .hmac = 1, .peer_key_index = 5 };

	memset(others, 0, sizeof(others));
	cr_assert_eq(install(&s, &first, false, 100 * SEC), 0);
	cr_assert_eq(s.other, 0, "one epoch needs no row");
	return s;
}

static uint16_t put(struct svr_session *s, uint16_t epoch, uint32_t peer_key, bool unconfirmed,
		    uint64_t now_ns)
{
	struct svr_session_keys fresh = { .epoch = epoch, .hmac = epoch,
					  .peer_key_index = peer_key };

	memset(fresh.session_key, epoch, sizeof(fresh.session_key));
	return install(s, &fresh, unconfirmed, now_ns);
}

static void retire(struct svr_session *s, uint64_t now_ns)
{
	if (svr_epoch_over(s, others, now_ns))
		svr_epoch_retire(s, others);
}

static bool due(const struct svr_session *s, uint64_t interval_ns, uint32_t peer_key_index,
		uint64_t now_ns)
{
	return svr_epoch_due(s, others, interval_ns, peer_key_index, now_ns);
}

static bool exhausted(struct svr_session *s)
{
	return svr_epoch_exhausted(s, svr_epoch_keys(s, others, epochs(s).tx)->tx_first);
}

Test(epoch, serial_numbers)
{
	uint16_t e = 1, next;
	int i;

	cr_expect(svr_epoch_newer(2, 1));
	cr_expect(!svr_epoch_newer(1, 2));
	cr_expect(!svr_epoch_newer(7, 7));
	cr_expect(svr_epoch_newer(1, UINT16_MAX));
	for (i = 0; i < 70000; i++, e = next) {
		next = svr_epoch_next(e);
		cr_assert_neq(next, 0);
		cr_assert(svr_epoch_newer(next, e) && !svr_epoch_newer(e, next));
	}
}

Test(epoch, an_offer_is_not_used_before_it_is_confirmed)
{
	struct svr_session s = session(true, SVR_CIPHER_AES_CBC_256);

	cr_expect_eq(epochs(&s).tx, 1);
	put(&s, 2, 6, true, 200 * SEC);
	cr_expect(epochs(&s).offered);
	cr_expect_eq(epochs(&s).newest, 2);
	cr_expect_eq(epochs(&s).tx, 1);
	cr_expect(has(&s, 1));
	cr_expect(has(&s, 2));
	cr_expect(!has(&s, 3));
	cr_expect(!has(&s, 0));

	cr_expect(svr_epoch_confirm(&s));
	cr_expect(!svr_epoch_confirm(&s));
	cr_expect_eq(epochs(&s).tx, 2);
	cr_expect(has(&s, 1), "late packets");

	cr_expect_eq(put(&s, 3, 6, true, 300 * SEC), 1, "nobody uses those HMAC keys any more");
	cr_expect(!has(&s, 1), "two at a time");
	cr_expect_eq(epochs(&s).tx, 2);
	cr_expect_eq(s.other, ROW, "the row that it has");
}

Test(epoch, the_other_router_uses_them_at_once)
{
	struct svr_session s = session(false, SVR_CIPHER_AES_CBC_256);

	put(&s, 2, 6, true, 200 * SEC);
	cr_expect_eq(epochs(&s).tx, 2);
	cr_expect(!epochs(&s).offered);
}

Test(epoch, old_keys_are_wiped_but_not_too_early)
{
	static const struct svr_session_other empty;
	struct svr_session s = session(false, SVR_CIPHER_AES_CBC_256);
	struct svr_epoch_freed freed;
	uint8_t want[SVR_SESSION_KEY_LEN];

	put(&s, 2, 6, true, 200 * SEC);
	retire(&s, 300 * SEC);
	cr_expect(has(&s, 1), "the originator may still use them");
	svr_epoch_confirm(&s);
	retire(&s, 200 * SEC + SVR_EPOCH_OLD_NS - 1);
	cr_expect(has(&s, 1), "late packets");
	cr_assert(svr_epoch_over(&s, others, 200 * SEC + SVR_EPOCH_OLD_NS));
	freed = svr_epoch_retire(&s, others);
	cr_expect_eq(freed.row, ROW);
	cr_expect_eq(freed.hmac, 1);
	cr_expect(!has(&s, 1));
	cr_expect_eq(s.other, 0);
	cr_expect_arr_eq(&others[ROW], &empty, sizeof(empty));
	/* The newest ones have moved, whole */
	memset(want, 2, sizeof(want));
	cr_expect_eq(s.keys.epoch, 2);
	cr_expect_eq(s.keys.hmac, 2);
	cr_expect_eq(s.keys.peer_key_index, 6);
	cr_expect_eq(s.keys.since_ns, 200 * SEC);
	cr_expect_arr_eq(s.keys.session_key, want, sizeof(want));
	cr_expect(!svr_epoch_over(&s, others, 900 * SEC), "the newest stay");
}

/* Of three epochs the last one is put over the first, so the newest are in the own record. */
Test(epoch, old_keys_in_the_row_go_with_it)
{
	struct svr_session s = session(false, SVR_CIPHER_AES_CBC_256);
	struct svr_epoch_freed freed;

	put(&s, 2, 6, false, 200 * SEC);
	put(&s, 3, 6, false, 210 * SEC);
	cr_expect_eq(s.keys.epoch, 3);
	freed = svr_epoch_retire(&s, others);
	cr_expect_eq(freed.row, ROW);
	cr_expect_eq(freed.hmac, 2);
	cr_expect_eq(s.keys.epoch, 3);
	cr_expect_eq(epochs(&s).newest, 3);
	cr_expect_eq(epochs(&s).older, 0);
}

/* Every state that a kill can leave between two steps of svr_epoch_install() */
Test(epoch, a_kill_leaves_the_keys_in_use)
{
	struct svr_session s = session(true, SVR_CIPHER_AES_CBC_256);

	svr_epoch_give_row(&s, others, ROW, SLOT);
	cr_expect_eq(epochs(&s).newest, 1);
	cr_expect_eq(epochs(&s).older, 0, "a row without keys");
	s.unconfirmed = 1;
	others[ROW].keys.peer_key_index = 6;
	memset(others[ROW].keys.session_key, 0xaa, sizeof(others[ROW].keys.session_key));
	cr_expect(!epochs(&s).offered, "half of an epoch is none");
	cr_expect_eq(epochs(&s).tx, 1);
	cr_expect(!has(&s, 2));
	cr_expect(due(&s, SEC, 5, 200 * SEC), "and it is made again");
	put(&s, 2, 6, true, 200 * SEC);
	cr_expect(epochs(&s).offered);
	cr_expect_eq(epochs(&s).tx, 1);
}

/* And between two steps of svr_epoch_retire(): the newest keys are always there. */
Test(epoch, a_kill_while_keys_move_leaves_them_in_one_place_or_both)
{
	struct svr_session s = session(false, SVR_CIPHER_AES_CBC_256);
	struct svr_epoch_freed freed;
	int state;

	for (state = 0; state < 3; state++) {
		s = session(false, SVR_CIPHER_AES_CBC_256);
		put(&s, 2, 6, false, 200 * SEC);
		s.keys = (struct svr_session_keys){ 0 }; /* the old ones are wiped */
		if (state >= 1) { /* half of the new ones */
			s.keys.hmac = 2;
			s.keys.since_ns = 200 * SEC;
		}
		if (state >= 2) /* all */
			s.keys = others[ROW].keys;
		cr_expect_eq(epochs(&s).newest, 2, "%d", state);
		cr_expect_eq(epochs(&s).tx, 2, "%d", state);
		cr_expect_eq(epochs(&s).older, 0, "%d", state);
		cr_assert(svr_epoch_over(&s, others, 201 * SEC), "%d: what is left is put in order",
			  state);
		freed = svr_epoch_retire(&s, others);
		cr_expect_eq(freed.row, ROW);
		cr_expect_eq(freed.hmac, 0, "%d: the HMAC keys are in use", state);
		cr_expect_eq(s.keys.epoch, 2);
		cr_expect_eq(s.keys.hmac, 2);
		cr_expect_eq(s.keys.session_key[31], 2);
		cr_expect_eq(s.other, 0);
	}
}

Test(epoch, due_by_age)
{
	struct svr_session s = session(true, SVR_CIPHER_AES_CBC_256);

	cr_expect(!due(&s, 10 * SEC, 5, 110 * SEC - 1));
	cr_expect(due(&s, 10 * SEC, 5, 110 * SEC));
	cr_expect(!due(&s, 0, 5, 9999999 * SEC), "never");
	s.uuid[SVR_UUID_LEN - 1] = 255;
	cr_expect(due(&s, 10 * SEC, 5, 109 * SEC), "spread");
	cr_expect(!due(&s, 10 * SEC, 5, 108 * SEC), "but only over an eighth");
	put(&s, 2, 6, true, 110 * SEC);
	cr_expect(!due(&s, 10 * SEC, 7, 999 * SEC), "one offer at a time");
}

Test(epoch, a_session_that_signs_changes_with_the_peer_key)
{
	struct svr_session s = session(true, SVR_CIPHER_NONE);

	cr_expect(!due(&s, 10 * SEC, 5, 999 * SEC));
	cr_expect(due(&s, 10 * SEC, 6, 999 * SEC));
	cr_expect(!due(&s, 10 * SEC, 6, 101 * SEC), "not before its own time");
	s.tx_counter = SVR_EPOCH_PACKETS_MAX;
	cr_expect(!due(&s, 0, 6, 999 * SEC), "it counts no packets");
}

Test(epoch, gcm_keeps_the_limit_of_sp_800_38d)
{
	struct svr_session s = session(true, SVR_CIPHER_AES_GCM_256);

	s.tx_counter = (1ULL << 30) - 1;
	cr_expect(!due(&s, 0, 5, 101 * SEC));
	s.tx_counter++;
	cr_expect(due(&s, 0, 5, 101 * SEC));
	s.tx_counter = 0;
	s.replay.top = 1ULL << 30;
	cr_expect(due(&s, 0, 5, 101 * SEC));
	s.tx_counter = (1ULL << 32) - 1;
	cr_expect(!exhausted(&s), "2^32 packets, and no more");
	s.tx_counter++;
	cr_expect(exhausted(&s));
	put(&s, 2, 5, false, 102 * SEC);
	cr_expect(!exhausted(&s), "the counter goes on, the keys are new");
	s.tx_counter += 1ULL << 32;
	cr_expect(exhausted(&s));
	s.cipher = SVR_CIPHER_AES_GCM_128;
	cr_expect(exhausted(&s));
}

Test(epoch, due_by_count_in_either_direction_and_a_hard_stop)
{
	struct svr_session s = session(true, SVR_CIPHER_AES_CBC_256);

	s.tx_counter = SVR_EPOCH_PACKETS_REKEY - 1;
	cr_expect(!due(&s, 0, 5, 101 * SEC));
	s.tx_counter++;
	cr_expect(due(&s, 0, 5, 101 * SEC));
	s.tx_counter = 0;
	s.replay.top = SVR_EPOCH_PACKETS_REKEY;
	cr_expect(due(&s, 0, 5, 101 * SEC), "the other router cannot offer keys itself");

	s.tx_counter = SVR_EPOCH_PACKETS_MAX - 1;
	cr_expect(!exhausted(&s));
	s.tx_counter++;
	cr_expect(exhausted(&s));
	put(&s, 2, 5, true, 102 * SEC);
	cr_expect(exhausted(&s), "the old keys stay at their end while the offer waits");
	svr_epoch_confirm(&s);
	cr_expect(!exhausted(&s), "the counter goes on, the keys are new");
	cr_expect(!due(&s, 0, 5, 103 * SEC));
	s.tx_counter += SVR_EPOCH_PACKETS_MAX;
	cr_expect(exhausted(&s));
}
