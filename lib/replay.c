// SPDX-License-Identifier: BSD-2-Clause
/* Anti-replay window (RFC 6479) over packet counters. */
#include <sched.h>
#include <string.h>

#include <svr/drops.h>

#include "lib/replay.h"

enum {
	WORD_BITS = 64,
	SPINS = 1000, /* several times as long as an update takes; then the holder lost its CPU */
};

_Static_assert(SVR_REPLAY_BITS % WORD_BITS == 0, "whole words");
/*
 * One word more than the window: the word of the newest counter may be cleared before it is full.
 */
_Static_assert(SVR_REPLAY_BITS >= SVR_REPLAY_WINDOW + WORD_BITS, "RFC 6479 redundant bits");

static uint64_t replay_bit(uint64_t counter)
{
	return 1ULL << (counter % WORD_BITS);
}

static unsigned int replay_word(uint64_t counter)
{
	return counter / WORD_BITS % SVR_REPLAY_WORDS;
}

int svr_replay_check(const struct svr_replay *r, uint64_t counter)
{
	const uint64_t top = __atomic_load_n(&r->top, __ATOMIC_RELAXED);

	if (counter == 0)
		return -SVR_DROP_REPLAY_OLD;
	if (counter > top)
		return 0;
	if (top - counter >= SVR_REPLAY_WINDOW)
		return -SVR_DROP_REPLAY_OLD;
	return __atomic_load_n(&r->bits[replay_word(counter)], __ATOMIC_RELAXED) &
			       replay_bit(counter) ?
		       -SVR_DROP_REPLAY :
		       0;
}

void svr_replay_begin(struct svr_replay *r, uint64_t top)
{
	r->top = top;
	memset(r->bits, 0xff, sizeof(r->bits));
	/* The word of top also holds counters that are still to come */
	r->bits[replay_word(top)] = replay_bit(top) | (replay_bit(top) - 1);
}

void svr_replay_lock(uint32_t *lock)
{
	unsigned int spins = 0;

	while (__atomic_exchange_n(lock, 1, __ATOMIC_ACQUIRE)) {
		while (__atomic_load_n(lock, __ATOMIC_RELAXED))
			if (++spins % SPINS == 0)
				sched_yield();
	}
}

void svr_replay_unlock(uint32_t *lock)
{
	__atomic_store_n(lock, 0, __ATOMIC_RELEASE);
}

int svr_replay_accept(struct svr_replay *r, uint32_t *lock, uint64_t counter)
{
	int err;

	svr_replay_lock(lock);
	err = svr_replay_check(r, counter);
	if (!err)
		svr_replay_update(r, counter);
	svr_replay_unlock(lock);
	return err;
}

void svr_replay_update(struct svr_replay *r, uint64_t counter)
{
	uint64_t top = r->top, words, i;
	__u64 *word;

	if (counter > top) {
		/*
		 * The window lives in a map that outlives this process. Top moves first: whoever is
		 * killed between the two steps leaves stale bits (a few packets refused), never a
		 * window in which old packets look new.
		 */
		__atomic_store_n(&r->top, counter, __ATOMIC_RELAXED);
		__atomic_signal_fence(__ATOMIC_SEQ_CST);
		words = counter / WORD_BITS - top / WORD_BITS;
		if (words > SVR_REPLAY_WORDS)
			words = SVR_REPLAY_WORDS;
		for (i = 1; i <= words; i++)
			__atomic_store_n(&r->bits[(top / WORD_BITS + i) % SVR_REPLAY_WORDS], 0,
					 __ATOMIC_RELAXED);
	} else if (counter == 0 || top - counter >= SVR_REPLAY_WINDOW) {
		return; /* its bit belongs to another counter */
	}
	word = &r->bits[replay_word(counter)];
	__atomic_store_n(word, *word | replay_bit(counter), __ATOMIC_RELAXED);
}
