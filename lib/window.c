// SPDX-License-Identifier: BSD-2-Clause
/* Window numbers of the time-based HMAC. */
#include "lib/window.h"

#define WINDOW_NS (SVR_WINDOW_SEC * 1000000000ULL)

uint64_t svr_window_number(uint64_t real_ns)
{
	return real_ns / WINDOW_NS;
}

uint64_t svr_window_tx(uint8_t hmac_mode, uint64_t now_ns)
{
	return hmac_mode == SVR_HMAC_MODE_TIME_BASED ? svr_window_number(now_ns) : 0;
}

uint64_t svr_clock_shift(uint64_t now_ns, int64_t offset_ns)
{
	uint64_t by;

	if (offset_ns >= 0) {
		by = (uint64_t)offset_ns;
		return by > UINT64_MAX - now_ns ? UINT64_MAX : now_ns + by;
	}
	by = -(uint64_t)offset_ns; /* in unsigned arithmetic, INT64_MIN has an opposite too */
	return by > now_ns ? 0 : now_ns - by;
}

uint64_t svr_clock_unshift(uint64_t peer_ns, int64_t offset_ns)
{
	/* INT64_MIN has no opposite; one nanosecond in 292 years does not matter */
	return svr_clock_shift(peer_ns, offset_ns == INT64_MIN ? INT64_MAX : -offset_ns);
}

void svr_window_rx(uint8_t hmac_mode, uint64_t now_ns, int64_t offset_ns, int8_t hint,
		   struct svr_window_rx *out)
{
	/*
	 * The hint, then the expected window, then the other neighbour; a late packet is likelier
	 * than an early one.
	 */
	static const int8_t order[3][SVR_WINDOW_TRIES] = { { -1, 0, 1 },
							   { 0, -1, 1 },
							   { 1, 0, -1 } };
	const int8_t *shift = order[hint < 0 ? 0 : hint > 0 ? 2 : 1];
	uint64_t expected;
	unsigned int i;

	*out = (struct svr_window_rx){ .count = 1 };
	if (hmac_mode != SVR_HMAC_MODE_TIME_BASED)
		return;
	expected = svr_window_number(svr_clock_shift(now_ns, offset_ns));
	out->count = SVR_WINDOW_TRIES;
	for (i = 0; i < SVR_WINDOW_TRIES; i++) {
		out->shift[i] = shift[i];
		out->window[i] = expected + (uint64_t)(int64_t)shift[i];
	}
}
