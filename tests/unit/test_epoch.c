// SPDX-License-Identifier: BSD-2-Clause
/* Key epochs of a session: order, choice of keys, when new ones are due, kills in between. */
#include <string.h>

#include <criterion/criterion.h>

#include "lib/epoch.h"

#define SEC 1000000000ULL

static struct svr_session session(bool originator, uint8_t cipher)
{
	struct svr_session s = { .originator = originator, .cipher = cipher };
	const struct svr_session_keys first = { .epoch = 1, .peer_key_index = 5 };

	svr_epoch_install(&s, &first, false, 100 * SEC);
	return s;
}

static void put(struct svr_session *s, uint16_t epoch, uint32_t peer_key, bool unconfirmed,
		uint64_t now_ns)
{
	struct svr_session_keys fresh = { .epoch = epoch, .peer_key_index = peer_key };

	memset(fresh.session_key, epoch, sizeof(fresh.session_key));
	svr_epoch_install(s, &fresh, unconfirmed, now_ns);
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

	cr_expect_eq(s.keys[svr_epoch_tx(&s)].epoch, 1);
	put(&s, 2, 6, true, 200 * SEC);
	cr_expect(svr_epoch_offered(&s));
	cr_expect_eq(s.keys[svr_epoch_newest(&s)].epoch, 2);
	cr_expect_eq(s.keys[svr_epoch_tx(&s)].epoch, 1);
	cr_expect_geq(svr_epoch_find(&s, 1), 0);
	cr_expect_geq(svr_epoch_find(&s, 2), 0);
	cr_expect_eq(svr_epoch_find(&s, 3), -1);
	cr_expect_eq(svr_epoch_find(&s, 0), -1);

	cr_expect(svr_epoch_confirm(&s));
	cr_expect(!svr_epoch_confirm(&s));
	cr_expect_eq(s.keys[svr_epoch_tx(&s)].epoch, 2);
	cr_expect_geq(svr_epoch_find(&s, 1), 0, "late packets");

	put(&s, 3, 6, true, 300 * SEC);
	cr_expect_eq(svr_epoch_find(&s, 1), -1, "two at a time");
	cr_expect_eq(s.keys[svr_epoch_tx(&s)].epoch, 2);
}

Test(epoch, the_other_router_uses_them_at_once)
{
	struct svr_session s = session(false, SVR_CIPHER_AES_CBC_256);

	put(&s, 2, 6, true, 200 * SEC);
	cr_expect_eq(s.keys[svr_epoch_tx(&s)].epoch, 2);
	cr_expect(!svr_epoch_offered(&s));
}

Test(epoch, old_keys_are_wiped_but_not_too_early)
{
	struct svr_session s = session(false, SVR_CIPHER_AES_CBC_256), empty = { 0 };
	int old;

	put(&s, 2, 6, true, 200 * SEC);
	svr_epoch_retire(&s, 300 * SEC);
	cr_expect_geq(svr_epoch_find(&s, 1), 0, "the originator may still use them");
	svr_epoch_confirm(&s);
	svr_epoch_retire(&s, 200 * SEC + SVR_EPOCH_OLD_NS - 1);
	old = svr_epoch_find(&s, 1);
	cr_assert_geq(old, 0, "late packets");
	svr_epoch_retire(&s, 200 * SEC + SVR_EPOCH_OLD_NS);
	cr_expect_eq(svr_epoch_find(&s, 1), -1);
	cr_expect_arr_eq(&s.keys[old], &empty.keys[0], sizeof(s.keys[0]));
	svr_epoch_retire(&s, 900 * SEC);
	cr_expect_geq(svr_epoch_find(&s, 2), 0, "the newest stay");
}

/* Every state that a kill can leave between two steps of svr_epoch_install() */
Test(epoch, a_kill_leaves_the_keys_in_use)
{
	struct svr_session s = session(true, SVR_CIPHER_AES_CBC_256);

	s.unconfirmed = 1;
	s.keys[1].peer_key_index = 6;
	memset(s.keys[1].session_key, 0xaa, sizeof(s.keys[1].session_key));
	cr_expect(!svr_epoch_offered(&s), "half of an epoch is none");
	cr_expect_eq(s.keys[svr_epoch_tx(&s)].epoch, 1);
	cr_expect_eq(svr_epoch_find(&s, 2), -1);
	cr_expect(svr_epoch_due(&s, SEC, 5, 200 * SEC), "and it is made again");
	put(&s, 2, 6, true, 200 * SEC);
	cr_expect(svr_epoch_offered(&s));
	cr_expect_eq(s.keys[svr_epoch_tx(&s)].epoch, 1);
}

Test(epoch, due_by_age)
{
	struct svr_session s = session(true, SVR_CIPHER_AES_CBC_256);

	cr_expect(!svr_epoch_due(&s, 10 * SEC, 5, 110 * SEC - 1));
	cr_expect(svr_epoch_due(&s, 10 * SEC, 5, 110 * SEC));
	cr_expect(!svr_epoch_due(&s, 0, 5, 9999999 * SEC), "never");
	s.uuid[SVR_UUID_LEN - 1] = 255;
	cr_expect(svr_epoch_due(&s, 10 * SEC, 5, 109 * SEC), "spread");
	cr_expect(!svr_epoch_due(&s, 10 * SEC, 5, 108 * SEC), "but only over an eighth");
	put(&s, 2, 6, true, 110 * SEC);
	cr_expect(!svr_epoch_due(&s, 10 * SEC, 7, 999 * SEC), "one offer at a time");
}

Test(epoch, a_session_that_signs_changes_with_the_peer_key)
{
	struct svr_session s = session(true, SVR_CIPHER_NONE);

	cr_expect(!svr_epoch_due(&s, 10 * SEC, 5, 999 * SEC));
	cr_expect(svr_epoch_due(&s, 10 * SEC, 6, 999 * SEC));
	cr_expect(!svr_epoch_due(&s, 10 * SEC, 6, 101 * SEC), "not before its own time");
	s.tx_counter = SVR_EPOCH_PACKETS_MAX;
	cr_expect(!svr_epoch_due(&s, 0, 6, 999 * SEC), "it counts no packets");
}

Test(epoch, gcm_keeps_the_limit_of_sp_800_38d)
{
	struct svr_session s = session(true, SVR_CIPHER_AES_GCM_256);

	s.tx_counter = (1ULL << 30) - 1;
	cr_expect(!svr_epoch_due(&s, 0, 5, 101 * SEC));
	s.tx_counter++;
	cr_expect(svr_epoch_due(&s, 0, 5, 101 * SEC));
	s.tx_counter = 0;
	s.replay.top = 1ULL << 30;
	cr_expect(svr_epoch_due(&s, 0, 5, 101 * SEC));
	s.tx_counter = (1ULL << 32) - 1;
	cr_expect(!svr_epoch_exhausted(&s), "2^32 packets, and no more");
	s.tx_counter++;
	cr_expect(svr_epoch_exhausted(&s));
	put(&s, 2, 5, false, 102 * SEC);
	cr_expect(!svr_epoch_exhausted(&s), "the counter goes on, the keys are new");
	s.tx_counter += 1ULL << 32;
	cr_expect(svr_epoch_exhausted(&s));
	s.cipher = SVR_CIPHER_AES_GCM_128;
	cr_expect(svr_epoch_exhausted(&s));
}

Test(epoch, due_by_count_in_either_direction_and_a_hard_stop)
{
	struct svr_session s = session(true, SVR_CIPHER_AES_CBC_256);

	s.tx_counter = SVR_EPOCH_PACKETS_REKEY - 1;
	cr_expect(!svr_epoch_due(&s, 0, 5, 101 * SEC));
	s.tx_counter++;
	cr_expect(svr_epoch_due(&s, 0, 5, 101 * SEC));
	s.tx_counter = 0;
	s.replay.top = SVR_EPOCH_PACKETS_REKEY;
	cr_expect(svr_epoch_due(&s, 0, 5, 101 * SEC), "the other router cannot offer keys itself");

	s.tx_counter = SVR_EPOCH_PACKETS_MAX - 1;
	cr_expect(!svr_epoch_exhausted(&s));
	s.tx_counter++;
	cr_expect(svr_epoch_exhausted(&s));
	put(&s, 2, 5, true, 102 * SEC);
	cr_expect(svr_epoch_exhausted(&s), "the old keys stay at their end while the offer waits");
	svr_epoch_confirm(&s);
	cr_expect(!svr_epoch_exhausted(&s), "the counter goes on, the keys are new");
	cr_expect(!svr_epoch_due(&s, 0, 5, 103 * SEC));
	s.tx_counter += SVR_EPOCH_PACKETS_MAX;
	cr_expect(svr_epoch_exhausted(&s));
}
