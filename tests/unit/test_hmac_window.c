// SPDX-License-Identifier: BSD-2-Clause
/* Time windows of the time-based HMAC: numbers, order of tries, clocks that differ. */
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include <criterion/criterion.h>
#include <svr/limits.h>

#include "lib/crypt.h"
#include "lib/window.h"
#include "tests/unit/vector.h"

#define MS 1000000ULL
#define SEC 1000000000ULL
#define NOW (1700000000ULL * SEC) /* an even second: the first of window 850000000 */

enum { TIME_BASED = SVR_HMAC_MODE_TIME_BASED, REGULAR = SVR_HMAC_MODE_REGULAR };

Test(hmac_window, number_changes_at_even_seconds_only)
{
	const struct {
		uint64_t ns, number;
	} rows[] = {
		{ 0, 0 },
		{ 2 * SEC - 1, 0 },
		{ 2 * SEC, 1 },
		{ 4 * SEC - 1, 1 },
		{ NOW, 850000000 },
		{ NOW - 1, 849999999 },
		{ NOW + 2 * SEC - 1, 850000000 },
		{ NOW + 2 * SEC, 850000001 },
		{ UINT64_MAX, UINT64_MAX / (2 * SEC) },
	};
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		cr_expect_eq(svr_window_number(rows[i].ns), rows[i].number, "%lu ns", rows[i].ns);
}

Test(hmac_window, only_the_time_based_mode_has_windows)
{
	struct svr_window_rx rx;

	cr_expect_eq(svr_window_tx(TIME_BASED, NOW), 850000000);
	cr_expect_eq(svr_window_tx(REGULAR, NOW), 0);
	svr_window_rx(REGULAR, NOW, 5 * SEC, 1, &rx);
	cr_expect_eq(rx.count, 1);
	cr_expect_eq(rx.window[0], 0);
	cr_expect_eq(rx.shift[0], 0);
}

Test(hmac_window, hint_comes_first_and_each_window_once)
{
	const struct {
		int8_t hint;
		int8_t shift[3];
	} rows[] = {
		{ 0, { 0, -1, 1 } },   { -1, { -1, 0, 1 } },   { 1, { 1, 0, -1 } },
		{ 127, { 1, 0, -1 } }, { -128, { -1, 0, 1 } }, /* whatever stands in a damaged session record */
	};
	struct svr_window_rx rx;
	size_t i;
	int j;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		svr_window_rx(TIME_BASED, NOW, 0, rows[i].hint, &rx);
		cr_expect_eq(rx.count, 3);
		for (j = 0; j < 3; j++) {
			cr_expect_eq(rx.shift[j], rows[i].shift[j], "hint %d, try %d", rows[i].hint,
				     j);
			cr_expect_eq(rx.window[j], 850000000 + (uint64_t)(int64_t)rows[i].shift[j]);
		}
	}
}

Test(hmac_window, offset_brings_our_clock_to_the_peers)
{
	const struct {
		const char *name;
		uint64_t now;
		int64_t offset;
		uint64_t expected;
	} rows[] = {
		{ "no offset", NOW, 0, 850000000 },
		{ "peer is an hour ahead", NOW, 3600LL * (int64_t)SEC, 850001800 },
		{ "peer is an hour behind", NOW, -3600LL * (int64_t)SEC, 849998200 },
		{ "peer is 1 ns behind", NOW, -1, 849999999 },
		{ "an offset that leads before 1970", SEC, -5LL * (int64_t)SEC, 0 },
		{ "smallest offset", SEC, INT64_MIN, 0 },
		{ "an offset that leads beyond the numbers", UINT64_MAX - 1, INT64_MAX,
		  UINT64_MAX / (2 * SEC) },
	};
	struct svr_window_rx rx;
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		svr_window_rx(TIME_BASED, rows[i].now, rows[i].offset, 0, &rx);
		cr_expect_eq(rx.window[0], rows[i].expected, "%s: %lu", rows[i].name, rx.window[0]);
	}
}

/* Number of tries until the window of a packet is found; 0: it is refused. */
static unsigned int tries(uint64_t sent_by_peer_ns, uint64_t now_ns, int64_t offset_ns,
			  int8_t *hint)
{
	struct svr_window_rx rx;
	unsigned int i;

	svr_window_rx(TIME_BASED, now_ns, offset_ns, *hint, &rx);
	for (i = 0; i < rx.count; i++) {
		if (rx.window[i] == svr_window_tx(TIME_BASED, sent_by_peer_ns)) {
			*hint = rx.shift[i];
			return i + 1;
		}
	}
	return 0;
}

Test(hmac_window, delay_and_clock_error_up_to_one_window_are_accepted_in_every_phase)
{
	const int64_t skew_s[] = { 0, 5, -5, 86400, -86400 };
	uint64_t phase, sent;
	size_t i;
	int64_t late_ms;
	int8_t hint = 0;

	for (i = 0; i < sizeof(skew_s) / sizeof(skew_s[0]); i++) {
		for (phase = 0; phase < 4000; phase += 50) {
			for (late_ms = -2000; late_ms <= 2000; late_ms += 100) {
				sent = svr_clock_shift(NOW + phase * MS -
							       (uint64_t)(late_ms * (int64_t)MS),
						       skew_s[i] * (int64_t)SEC);
				cr_assert(tries(sent, NOW + phase * MS, skew_s[i] * (int64_t)SEC,
						&hint) > 0,
					  "skew %ld s, phase %lu ms, late %ld ms", skew_s[i], phase,
					  late_ms);
			}
			/* two whole windows away is never right */
			sent = svr_clock_shift(NOW + phase * MS, skew_s[i] * (int64_t)SEC);
			cr_assert_eq(tries(sent - 4 * SEC, NOW + phase * MS,
					   skew_s[i] * (int64_t)SEC, &hint),
				     0);
			cr_assert_eq(tries(sent + 4 * SEC, NOW + phase * MS,
					   skew_s[i] * (int64_t)SEC, &hint),
				     0);
		}
	}
}

/* Offsets are out of what an authenticated peer says about its clock. */
Test(hmac_window, no_offset_wraps)
{
	const uint64_t far = 1ULL << 63;
	const struct {
		uint64_t at;
		int64_t offset;
		uint64_t shifted, unshifted;
	} rows[] = {
		{ NOW, 0, NOW, NOW },
		{ NOW, 5, NOW + 5, NOW - 5 },
		{ NOW, -5, NOW - 5, NOW + 5 },
		{ NOW, INT64_MAX, NOW + far - 1, 0 },
		{ NOW, INT64_MIN, 0, NOW + far - 1 },
		{ UINT64_MAX, INT64_MIN, far - 1, UINT64_MAX },
		{ UINT64_MAX, 1, UINT64_MAX, UINT64_MAX - 1 },
		{ 0, 1, 1, 0 },
	};
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		cr_expect_eq(svr_clock_shift(rows[i].at, rows[i].offset), rows[i].shifted,
			     "row %zu", i);
		cr_expect_eq(svr_clock_unshift(rows[i].at, rows[i].offset), rows[i].unshifted,
			     "row %zu", i);
	}
}

Test(hmac_window, a_stream_needs_one_hmac_per_packet)
{
	const int64_t error_ms[] = {
		0, 30, -30, 900, -900, 1500, -1500
	}; /* delay or error of the offset */
	enum { PACKETS = 60000 }; /* one per ms */
	unsigned int total, n;
	uint64_t t;
	size_t i;
	int8_t hint;

	for (i = 0; i < sizeof(error_ms) / sizeof(error_ms[0]); i++) {
		total = 0;
		hint = 0;
		for (t = 0; t < PACKETS; t++) {
			n = tries(NOW + t * MS - (uint64_t)(error_ms[i] * (int64_t)MS),
				  NOW + t * MS, 0, &hint);
			cr_assert_gt(n, 0);
			total += n;
		}
		/*
		 * the hint is wrong once when the sender enters a window and once when we do: 60
		 * times in a minute, 3 tries each
		 */
		cr_expect_leq(total, PACKETS + 2 * 61, "error %ld ms: %u tries for %d packets",
			      error_ms[i], total, PACKETS);
	}
}

Test(hmac_window, a_tag_fits_its_own_window_and_no_other)
{
	struct hex key = vec("kdf.session-hmac.out");
	struct svr_hmac_key *k;
	struct svr_window_rx rx;
	struct svr_crypt *c;
	uint8_t tag[SVR_TAG_MAX];
	uint64_t window;
	unsigned int i, right = 0;
	int delta;

	cr_assert_eq(svr_crypt_new(&c), 0);
	cr_assert_eq(svr_hmac_key_new(c, SVR_HMAC_SHA384, key.bytes, SVR_HMAC_KEY_LEN, &k), 0);
	for (delta = -2; delta <= 2; delta++) {
		window = svr_window_tx(TIME_BASED, NOW + (uint64_t)(delta * 2 * (int64_t)SEC));
		cr_assert_eq(svr_hmac_sign(c, k, &(struct svr_bytes){ &window, sizeof(window) }, 1,
					   tag),
			     0);
		svr_window_rx(TIME_BASED, NOW, 0, 0, &rx);
		for (i = 0, right = 0; i < rx.count; i++)
			right += svr_hmac_verify(c, k,
						 &(struct svr_bytes){ &rx.window[i],
								      sizeof(rx.window[i]) },
						 1, tag) == 0;
		cr_expect_eq(right, delta >= -1 && delta <= 1 ? 1 : 0, "window %d away", delta);
	}
	svr_hmac_key_free(k);
	svr_crypt_free(c);
}
