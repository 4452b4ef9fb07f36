/* SPDX-License-Identifier: BSD-2-Clause */
/* Anti-replay window in the manner of RFC 6479. Part of libsvr. */
#ifndef SVR_LIB_REPLAY_H
#define SVR_LIB_REPLAY_H

#include <stdint.h>
#include <svr/maps.h>

/* 0: @counter is new; -SVR_DROP_REPLAY: seen; -SVR_DROP_REPLAY_OLD: left of the window, or 0. Changes nothing. */
int svr_replay_check(const struct svr_replay *r, uint64_t counter);
/* Mark @counter as seen. Call only after the packet was authenticated and svr_replay_check() said 0. */
void svr_replay_update(struct svr_replay *r, uint64_t counter);

/* Begin with all counters up to @top as seen. Nobody else uses the window yet. */
void svr_replay_begin(struct svr_replay *r, uint64_t top);

/*
 * Threads that share a window: svr_replay_check() alone is a hint then, and whoever updates holds its lock, a word that
 * is 0 while it is free. The holder makes no system call, so it is free again within nanoseconds, unless the process is
 * killed: the next one sets the word to 0 before it starts threads.
 */
void svr_replay_lock(uint32_t *lock);
void svr_replay_unlock(uint32_t *lock);
/* Check and mark under @lock. Call only after the packet was authenticated. Returns what svr_replay_check() does. */
int svr_replay_accept(struct svr_replay *r, uint32_t *lock, uint64_t counter);

#endif
