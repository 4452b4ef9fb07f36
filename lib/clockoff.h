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

struct svr_clockoff {
	struct {
		int64_t offset_ns;
		int64_t delay_ns; /* round trip without the time that the peer took */
	} sample[SVR_CLOCKOFF_SAMPLES];
	unsigned int count, next;
	int64_t base_ns; /* own real time minus own monotonic time: changes when our clock is set */
	bool valid;
	int64_t offset_ns; /* peer's clock minus ours */
	int64_t delay_ns;
};

/**
 * svr_clockoff_add() - one packet.
 * @echo_ns: our clock when we sent the packet that the peer answers to, 0: none
 * @echo_rx_ns: peer's clock when it came
 * @tx_ns: peer's clock when it sent this packet
 * @now: when it came here
 * Return: true if the offset is valid and another one than before.
 */
bool svr_clockoff_add(struct svr_clockoff *f, uint64_t echo_ns, uint64_t echo_rx_ns, uint64_t tx_ns,
		      struct svr_now now);

#endif
