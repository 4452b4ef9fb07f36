/* SPDX-License-Identifier: BSD-2-Clause */
/* The memory of metadata nonces (docs/protocol.md "Nonce"). Part of libsvr. */
#ifndef SVR_LIB_NONCE_H
#define SVR_LIB_NONCE_H

#include <stdint.h>
#include <svr/maps.h>

/* As it was sent: corrections of clocks make no other nonce of it. */
struct svr_nonce {
	uint32_t peer;	  /* index of the sender */
	uint64_t time_ns; /* by the sender's clock */
	uint64_t random;
};

struct svr_nonce_clocks {
	uint64_t sent_ns; /* the nonce's time, corrected to our CLOCK_REALTIME */
	uint64_t real_ns; /* our CLOCK_REALTIME, now */
	uint64_t mono_ns; /* CLOCK_MONOTONIC, now: nobody sets it, and it lasts as long as the slots do */
};

/**
 * svr_nonce_accept() - check and remember a metadata nonce, after its packet was authenticated.
 * @slots: SVR_NONCE_SLOTS of them, at first zero. Threads that share them hold a lock. Who is killed at any
 *	moment leaves them whole.
 * Return: 0, -SVR_DROP_META_NONCE_OLD, -SVR_DROP_META_REPLAY, -SVR_DROP_META_NONCE_FULL.
 */
int svr_nonce_accept(struct svr_nonce_slot *slots, const struct svr_nonce *nonce,
		     const struct svr_nonce_clocks *now);

#endif
