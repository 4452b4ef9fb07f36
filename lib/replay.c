// SPDX-License-Identifier: BSD-2-Clause
/* Anti-replay window (RFC 6479) over packet counters, and the memory of metadata nonces. */
#include <sched.h>
#include <stddef.h>

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

/* ---- nonces ---------------------------------------------------------------------------------- */

#define NONCE_LIFE_NS (SVR_NONCE_LIFE_SEC * 1000000000ULL)

/*
 * A nonce may stand in either of two buckets and goes to the emptier one: none is refused until
 * half of all slots are live, and 1 in 200 at 5/8. Single buckets of twice the size would overflow
 * from a fifth on. Who is refused comes again with a new nonce.
 */
enum {
	BUCKETS_PER_NONCE = 2,
	BUCKET_SLOTS = SVR_NONCE_WAYS / BUCKETS_PER_NONCE,
	BUCKETS = SVR_NONCE_SLOTS / BUCKET_SLOTS
};

_Static_assert(SVR_NONCE_WAYS % BUCKETS_PER_NONCE == 0 && SVR_NONCE_SLOTS % BUCKET_SLOTS == 0,
	       "whole buckets");

/*
 * Finalizer of MurmurHash3 (public domain): a bijection in which every input bit changes half of
 * the output bits.
 */
static uint64_t mix64(uint64_t x)
{
	x ^= x >> 33;
	x *= 0xff51afd7ed558ccdULL;
	x ^= x >> 33;
	x *= 0xc4ceb9fe1a85ec53ULL;
	x ^= x >> 33;
	return x;
}

/*
 * 64 bits over all three inputs. A nonce gets here only from an authenticated peer, and others'
 * nonces travel encrypted: nobody can aim at them. Two honest nonces among 131072 collide with a
 * chance of 2^-31 and cost one retransmission.
 */
static uint64_t nonce_hash(uint32_t peer, uint64_t time_ns, uint64_t random)
{
	const uint64_t odd = 0x9e3779b97f4a7c15ULL; /* 2^64 / golden ratio */

	return mix64(mix64(mix64(peer + odd) ^ time_ns) + odd + random);
}

int svr_nonce_accept(struct svr_nonce_slot *slots, uint32_t peer, uint64_t time_ns, uint64_t random,
		     uint64_t now_ns)
{
	uint64_t age_ns = now_ns > time_ns ? now_ns - time_ns : time_ns - now_ns;
	struct svr_nonce_slot *slot, *best = NULL, *free_slot;
	int choice, i, n_free, best_n_free = 0;
	uint64_t hash;

	if (age_ns > NONCE_LIFE_NS)
		return -SVR_DROP_META_NONCE_OLD;

	hash = nonce_hash(peer, time_ns, random);
	for (choice = 0; choice < BUCKETS_PER_NONCE; choice++) {
		/* the halves of the hash are as good as independent */
		slot = &slots[(hash >> (32 * choice)) % BUCKETS * BUCKET_SLOTS];
		free_slot = NULL;
		n_free = 0;
		for (i = 0; i < BUCKET_SLOTS; i++, slot++) {
			if (slot->time_ns <= now_ns) {
				free_slot = slot;
				n_free++;
			} else if (slot->hash == hash) {
				return -SVR_DROP_META_REPLAY;
			}
		}
		if (n_free > best_n_free) {
			best_n_free = n_free;
			best = free_slot;
		}
	}
	if (!best)
		return -SVR_DROP_META_NONCE_FULL;
	/*
	 * After time + life the nonce is too old anyway. It is kept for another life, so that a
	 * correction of the clocks or of their offset by less than that cannot make it new again.
	 */
	best->hash = hash;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	best->time_ns = time_ns + 2 * NONCE_LIFE_NS;
	return 0;
}
