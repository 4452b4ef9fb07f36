/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Offset of a peer's clock from four time stamps (as in NTP), taken from the sample with the
 * smallest round trip of the last few. The caller has authenticated the stamps. Part of libsvr.
 */
#ifndef SVR_LIB_CLOCKOFF_H
#define SVR_LIB_CLOCKOFF_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/now.h"

enum svr_clockoff_limits { SVR_CLOCKOFF_SAMPLES = 8 };

/*
 * Offsets are against our monotonic clock: nobody can set that one. So when our own clock is set,
 * nothing has to be measured again.
 */
struct svr_clockoff {
	struct {
		int64_t offset_ns;
		int64_t delay_ns; /* round trip without the time that the peer took */
	} sample[SVR_CLOCKOFF_SAMPLES];
	unsigned int count, next;
	bool valid;
	int64_t offset_ns; /* peer's clock minus our CLOCK_MONOTONIC */
	int64_t delay_ns;
};

/* Begins with an offset that was measured before: peer's clock minus our CLOCK_REALTIME. */
void svr_clockoff_init(struct svr_clockoff *f, int64_t offset_ns, struct svr_now now);

/**
 * svr_clockoff_add() - one packet.
 * @echo_mono_ns: our monotonic clock when we sent the packet that the peer answers to
 * @echo_rx_ns: peer's clock when it came
 * @tx_ns: peer's clock when it sent this packet
 * @mono_ns: our monotonic clock when it came here
 * Return: false if the sample cannot be true.
 */
bool svr_clockoff_add(struct svr_clockoff *f, uint64_t echo_mono_ns, uint64_t echo_rx_ns,
		      uint64_t tx_ns, uint64_t mono_ns);

/* Peer's clock minus our CLOCK_REALTIME as it is set now; only of use if f->valid. */
int64_t svr_clockoff_real(const struct svr_clockoff *f, struct svr_now now);

#endif
