// SPDX-License-Identifier: BSD-2-Clause
/*
 * The memory of metadata nonces: a hash table of one word for each. A word holds the second from which on
 * the nonce may be forgotten, and a hash of it.
 */
#include <stdbool.h>
#include <stddef.h>

#include <svr/drops.h>

#include "lib/nonce.h"

#define NS_PER_SEC 1000000000ULL
#define LIFE_NS	   (SVR_NONCE_LIFE_SEC * NS_PER_SEC)

/*
 * A nonce may stand in either of two buckets, each a cache line, and goes to the emptier one: with up to
 * 9/16 of all slots in use none is refused, and 1 in 1,000 at 11/16. Single buckets of twice the size
 * would overflow from a third on. Who is refused comes again with a new nonce.
 */
enum {
	BUCKETS_PER_NONCE = 2,
	BUCKET_SLOTS = SVR_NONCE_WAYS / BUCKETS_PER_NONCE,
	BUCKETS = SVR_NONCE_SLOTS / BUCKET_SLOTS,

	/*
	 * 24 bits for the second: after half a year they come again, and what was left in a slot counts as
	 * a nonce for a moment that nobody notices.
	 */
	HASH_BITS = 40,
	SECOND_BITS = 64 - HASH_BITS,
	/* A nonce's time is at most one life ahead; it is kept for two, and the second is rounded up */
	KEPT_SEC_MAX = 3 * SVR_NONCE_LIFE_SEC + 1,
};
#define HASH_MASK   ((1ULL << HASH_BITS) - 1)
#define SECOND_MASK ((1ULL << SECOND_BITS) - 1)

_Static_assert(SVR_NONCE_WAYS % BUCKETS_PER_NONCE == 0 && SVR_NONCE_SLOTS % BUCKET_SLOTS == 0,
	       "whole buckets");
_Static_assert(BUCKETS <= 1 << SECOND_BITS, "bits of the hash that a word does not hold");

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
 * A nonce gets here only from an authenticated peer, and others' nonces travel encrypted: nobody can aim
 * at them. An honest one meets the hash of another in its buckets with a chance of 2^-36, and that costs
 * one retransmission.
 */
static uint64_t nonce_hash(const struct svr_nonce *n)
{
	const uint64_t odd = 0x9e3779b97f4a7c15ULL; /* 2^64 / golden ratio */

	return mix64(mix64(mix64(n->peer + odd) ^ n->time_ns) + odd + n->random);
}

static bool in_use(uint64_t word, uint64_t now_sec)
{
	const uint64_t left = ((word >> HASH_BITS) - now_sec) & SECOND_MASK;

	return word != 0 && left - 1 < KEPT_SEC_MAX;
}

/*
 * After time + life the nonce is too old anyway. It is kept for another life, so that a correction of the
 * offset between the clocks by less than that cannot make it new again.
 */
static uint64_t forget_sec(const struct svr_nonce_clocks *now)
{
	return (now->mono_ns + 2 * LIFE_NS + now->sent_ns - now->real_ns) / NS_PER_SEC + 1;
}

int svr_nonce_accept(struct svr_nonce_slot *slots, const struct svr_nonce *nonce,
		     const struct svr_nonce_clocks *now)
{
	const uint64_t age_ns = now->real_ns > now->sent_ns ? now->real_ns - now->sent_ns :
							      now->sent_ns - now->real_ns;
	const uint64_t hash = nonce_hash(nonce), now_sec = now->mono_ns / NS_PER_SEC;
	/* The bits that a word does not hold, and others that depend on all of them */
	const uint64_t bucket[BUCKETS_PER_NONCE] = { hash >> HASH_BITS, mix64(hash) };
	struct svr_nonce_slot *slot, *best = NULL, *free_slot;
	int choice, i, n_free, best_n_free = 0;

	if (age_ns > LIFE_NS)
		return -SVR_DROP_META_NONCE_OLD;

	for (choice = 0; choice < BUCKETS_PER_NONCE; choice++) {
		slot = &slots[bucket[choice] % BUCKETS * BUCKET_SLOTS];
		free_slot = NULL;
		n_free = 0;
		for (i = 0; i < BUCKET_SLOTS; i++, slot++) {
			if (!in_use(slot->word, now_sec)) {
				free_slot = slot;
				n_free++;
			} else if (((slot->word ^ hash) & HASH_MASK) == 0) {
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
	/* One word, so that it is whole whenever the process is killed */
	__atomic_store_n(&best->word, forget_sec(now) << HASH_BITS | (hash & HASH_MASK),
			 __ATOMIC_RELAXED);
	return 0;
}
