/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tombstones: counters of encrypted sessions that are over. If an originator goes on with a session that we
 * have forgotten, it brings the same session key, and starting from 1 again would use IVs twice.
 */
#ifndef SVR_WORKER_SESSION_TOMBS_H
#define SVR_WORKER_SESSION_TOMBS_H

#include <stdint.h>
#include <svr/maps.h>

struct svr_sessions;

struct svr_tombstone {
	uint8_t uuid[SVR_UUID_LEN];
	uint64_t tx_counter, rx_top;
};
enum { SVR_TOMBSTONES = 32768, SVR_TOMB_PAIR = 2 };

/* Those of UUIDs with the same hash, the newest first. */
struct svr_tomb_pair {
	struct svr_tombstone tomb[SVR_TOMB_PAIR];
};

/* All of these under the lock. */

/*
 * Remember the counters of a slot. It keeps them also while it is free: a restarted worker reads
 * them again, those of the same session in any order. @now_ns: CLOCK_MONOTONIC
 */
void svr_tomb_set(struct svr_sessions *ss, const struct svr_session *s, uint64_t now_ns);
/* Go on where the session with this UUID stopped, if it is remembered. */
void svr_tomb_apply(const struct svr_sessions *ss, struct svr_session *s);

#endif
