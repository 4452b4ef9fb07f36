/* SPDX-License-Identifier: BSD-2-Clause */
/* The time, as it is passed into the state machines. Part of libsvr. */
#ifndef SVR_LIB_NOW_H
#define SVR_LIB_NOW_H

#include <stdint.h>

#define SVR_NS_PER_SEC UINT64_C(1000000000)
#define SVR_NS_PER_MS  UINT64_C(1000000)
#define SVR_NS_PER_US  UINT64_C(1000)

struct svr_now {
	uint64_t mono_ns; /* CLOCK_MONOTONIC: timers */
	uint64_t real_ns; /* CLOCK_REALTIME: certificates, sequence numbers, clock offset */
};

#endif
