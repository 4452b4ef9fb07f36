/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Time windows of the time-based HMAC (docs/protocol.md section 6): which numbers to sign with and
 * which to try. Part of libsvr; the caller passes the clock in.
 *
 *	sign:   window = svr_window_tx(mode, now_ns)
 *	verify: svr_window_rx(mode, now_ns, offset_ns, hint, &rx);
 *		for (i = 0; i < rx.count; i++)
 *			if (tag fits rx.window[i]) { hint = rx.shift[i]; break; }
 */
#ifndef SVR_LIB_WINDOW_H
#define SVR_LIB_WINDOW_H

#include <stdint.h>
#include <svr/wire.h>

enum svr_window_limits {
	SVR_WINDOW_TRIES = 3,	/* the sender's window by our clock, the one before and after */
};

struct svr_window_rx {
	unsigned int count;			/* 1 in mode regular, else SVR_WINDOW_TRIES */
	uint64_t window[SVR_WINDOW_TRIES];	/* most likely first */
	int8_t shift[SVR_WINDOW_TRIES];		/* of each from the expected one: -1, 0 or +1 */
};

/* Number of the window that holds a time in nanoseconds since 1970. */
uint64_t svr_window_number(uint64_t real_ns);

/*
 * What a sender puts into the HMAC input: the number by its own clock, 0 unless @hmac_mode is
 * time-based.
 */
uint64_t svr_window_tx(uint8_t hmac_mode, uint64_t now_ns);

/**
 * svr_window_rx() - what a receiver tries, in order.
 * @hmac_mode: enum svr_hmac_mode
 * @now_ns: own CLOCK_REALTIME
 * @offset_ns: sender's clock minus own clock, 0 if it was not measured yet
 * @hint: shift that fitted last (svr_session.window_hint); it comes first, so that in the usual
 * case one HMAC is enough
 */
void svr_window_rx(uint8_t hmac_mode, uint64_t now_ns, int64_t offset_ns, int8_t hint,
		   struct svr_window_rx *out);

/*
 * A time of ours by the peer's clock, and the reverse. @offset_ns: peer's clock minus ours. Both
 * saturate instead of wrapping.
 */
uint64_t svr_clock_shift(uint64_t now_ns, int64_t offset_ns);
uint64_t svr_clock_unshift(uint64_t peer_ns, int64_t offset_ns);

#endif
