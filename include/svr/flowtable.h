/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * How a flow is found, put in and taken out: the tables svr_flows4 and svr_flows6 are plain arrays of rows, and this
 * is the only code that knows the order in them. Shared by the XDP programs and user space, who work on the same
 * memory at the same time.
 *
 *   svr_flow_hash     random numbers that nobody outside knows, so that nobody can make flows that get in each other's way
 *   svr_flow_tagsN    a word for each bucket of eight rows, a byte for each row: SVR_TAG_NONE, SVR_TAG_BUSY_*, or 1 to 253
 *                     out of the key's hash. Eight bytes tell whether it is worth to look at any of the rows.
 *   svr_flowsN        the rows, key first
 *
 * A key has two buckets and stands in either of them; it goes into the second one only where half of the first is in use.
 * In either of them it has a seat, which it takes if that is free, so that most keys are found by one look at one row. A
 * row never moves. The kernel's own hash map needs three lines of memory for each flow, one after the other (bucket, key,
 * value); this one the row, and a word that is mostly in the cache.
 *
 * Nobody waits for a lock. Whoever puts in a flow
 *   1. looks whether its key is there,
 *   2. takes a free byte of the tags for itself, by writing SVR_TAG_BUSY_* with a compare-and-swap,
 *   3. writes the row, the end of the key last and with a full barrier,
 *   4. looks for another row with this key again. Of two who do so at the same time at least one sees the other. Whoever
 *      finds one that is published, or a busy one with a smaller number than his own, gives his row back; who has the
 *      smaller number waits for the end of the other. So never both of them stay.
 *   5. publishes it, by making the tag out of the busy byte.
 * Whoever takes one out makes the tag a busy byte with a compare-and-swap, which one succeeds in, wipes the end of the
 * key, and frees the byte. XDP programs run to their end; a process that is killed leaves SVR_TAG_BUSY_USER behind, and
 * the next one frees those before it starts (svr_flows_reclaim(), sys/flows.h).
 *
 * A reader that holds a row while it is taken out and used again sees the new flow, or parts of both. XDP programs live
 * with that, as with every preallocated map of the kernel: for one packet. User space copies, and sees afterwards
 * whether it was one flow.
 */
#ifndef SVR_FLOWTABLE_H
#define SVR_FLOWTABLE_H

#include <stdbool.h>

#include <linux/errno.h>
#include <svr/maps.h>

enum svr_flow_tag {
	SVR_TAG_NONE = 0,
	SVR_TAGS = 253,		/* numbers from 1 to this one are the tags of keys */
	SVR_TAG_BUSY_USER = 254,	/* a process is writing the row */
	SVR_TAG_BUSY_XDP = 255,	/* a program in the kernel is */
};

enum {
	SVR_FLOW_FIRST = 4,	/* rows of the first bucket in use, before the second one is looked at */
	SVR_FLOW_TRIES = 32,	/* to change a word of tags; each one fails only if somebody else's has succeeded */
	SVR_FLOW_WAIT_TRIES = 32,	/* looks at who is writing the same key; he needs some 100 ns */
	SVR_FLOW4_WORDS = sizeof(struct svr_flow4_key) / 8,
	SVR_FLOW6_WORDS = sizeof(struct svr_flow6_key) / 8,
};
_Static_assert(SVR_FLOW6_WORDS * 2 + 1 == SVR_FLOW_HASH_KEYS, "a random number for each half of a word, and one");

/* Rows and keys as words, whatever they are made of */
typedef __u64 __attribute__((may_alias)) svr_flow_word;

/*
 * One of the two tables. In BPF @tags and @rows are maps, in user space they are mapped memory. Functions that take a
 * @key have it as its words; @words is a constant.
 */
struct svr_flowtable {
	void *tags, *rows;
	const struct svr_flow_hash *hash;
	__u32 buckets;
};

/* Where a key may stand. */
struct svr_flow_places {
	__u32 first, second;	/* buckets */
	__u32 tag;
	__u32 seat;		/* 0 to 7, of either bucket */
};

/* ---- what differs: reaching memory, and atomic access to it ---------------------------------------------- */

#define SVR_FLOW_INLINE static inline __attribute__((always_inline, unused))

#ifdef __bpf__
#define SVR_TAG_BUSY SVR_TAG_BUSY_XDP

SVR_FLOW_INLINE svr_flow_word *svr_flow_tags_at(const struct svr_flowtable *t, __u32 bucket)
{
	return bpf_map_lookup_elem(t->tags, &bucket);
}

SVR_FLOW_INLINE svr_flow_word *svr_flow_row_at(const struct svr_flowtable *t, __u32 row, __u32 words)
{
	(void)words;
	return bpf_map_lookup_elem(t->rows, &row);
}

SVR_FLOW_INLINE __u64 svr_flow_load(const svr_flow_word *word)
{
	return *(const volatile svr_flow_word *)word;
}

SVR_FLOW_INLINE void svr_flow_store(svr_flow_word *word, __u64 value)
{
	*(volatile svr_flow_word *)word = value;
}

/* Both are full barriers because what they return is used; BPF has no other ones. */
SVR_FLOW_INLINE void svr_flow_exchange(svr_flow_word *word, __u64 value)
{
	__u64 old = __sync_lock_test_and_set(word, value);

	asm volatile("" : : "r"(old));
}

SVR_FLOW_INLINE void svr_flow_flip(svr_flow_word *word, __u64 bits)
{
	__u64 old = __sync_fetch_and_xor(word, bits);

	asm volatile("" : : "r"(old));
}
#else
#define SVR_TAG_BUSY SVR_TAG_BUSY_USER

SVR_FLOW_INLINE svr_flow_word *svr_flow_tags_at(const struct svr_flowtable *t, __u32 bucket)
{
	return bucket < t->buckets ? (svr_flow_word *)t->tags + bucket : NULL;
}

SVR_FLOW_INLINE svr_flow_word *svr_flow_row_at(const struct svr_flowtable *t, __u32 row, __u32 words)
{
	const __u64 size = words == SVR_FLOW4_WORDS ? sizeof(struct svr_flow4_row) : sizeof(struct svr_flow6_row);

	return (svr_flow_word *)((char *)t->rows + row * size);
}

SVR_FLOW_INLINE __u64 svr_flow_load(const svr_flow_word *word)
{
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

SVR_FLOW_INLINE void svr_flow_store(svr_flow_word *word, __u64 value)
{
	__atomic_store_n(word, value, __ATOMIC_RELEASE);
}

SVR_FLOW_INLINE void svr_flow_exchange(svr_flow_word *word, __u64 value)
{
	__atomic_exchange_n(word, value, __ATOMIC_SEQ_CST);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

SVR_FLOW_INLINE void svr_flow_flip(svr_flow_word *word, __u64 bits)
{
	__atomic_fetch_xor(word, bits, __ATOMIC_SEQ_CST);
}
#endif

/* ---- words of tags --------------------------------------------------------------------------------------- */

#define SVR_EACH_BYTE 0x0101010101010101ULL

/* 0x80 in each byte of @word that is @tag, 0 in the others. */
SVR_FLOW_INLINE __u64 svr_flow_matches(__u64 word, __u32 tag)
{
	const __u64 low = 0x7f * SVR_EACH_BYTE;

	word ^= tag * SVR_EACH_BYTE;
	return ~(((word & low) + low) | word | low);
}

/*
 * Number of the lowest byte that @matches has; it must have one. BPF has no instruction for it, so we count: one less has
 * a lowest bit in this byte and in those below.
 */
SVR_FLOW_INLINE __u32 svr_flow_lowest(__u64 matches)
{
	return ((((matches - 1) & SVR_EACH_BYTE) * SVR_EACH_BYTE) >> 56) - 1;
}

/* How many bytes @matches has. */
SVR_FLOW_INLINE __u32 svr_flow_bytes(__u64 matches)
{
	return ((matches >> 7) * SVR_EACH_BYTE) >> 56;
}

/* ---- look-up --------------------------------------------------------------------------------------------- */

/*
 * Strongly universal: Lemire and Kaser, "Strongly universal string hashing is fast", multilinear. That says something
 * about two keys; ports that are counted up would still go to places at equal distances, and crowd. So the sum is mixed.
 */
SVR_FLOW_INLINE __u64 svr_flow_hash_of(const struct svr_flow_hash *hash, const svr_flow_word *key, __u32 words)
{
	__u64 sum = hash->key[0];
	__u32 i;

	for (i = 0; i < words; i++)
		sum += hash->key[2 * i + 1] * (__u32)key[i] + hash->key[2 * i + 2] * (key[i] >> 32);
	return (sum ^ sum >> 32) * 0x9e3779b97f4a7c15ULL;
}

SVR_FLOW_INLINE __u32 svr_flow_first(__u64 hash, __u32 buckets)
{
	return (hash >> 32) * buckets >> 32;
}

SVR_FLOW_INLINE __u32 svr_flow_second(__u64 hash, __u32 buckets)
{
	return (__u64)(__u32)(hash ^ hash >> 32) * buckets >> 32;
}

/* Out of the middle: the highest bits are those that the keys of a bucket have in common. */
SVR_FLOW_INLINE __u32 svr_flow_tag_of(__u64 hash)
{
	return 1 + ((hash >> 32 & 0xffff) * SVR_TAGS >> 16);
}

/*
 * The row of a bucket that a key takes if it is free. Most keys stand in that of their first bucket, so a reader
 * asks the tags for this one first.
 */
SVR_FLOW_INLINE __u32 svr_flow_seat(__u64 hash)
{
	return hash >> 29 & (SVR_FLOW_BUCKET - 1);
}

SVR_FLOW_INLINE struct svr_flow_places svr_flow_places_of(const struct svr_flowtable *t, const svr_flow_word *key,
							  __u32 words)
{
	__u64 hash = svr_flow_hash_of(t->hash, key, words);
	struct svr_flow_places at = {
		.first = svr_flow_first(hash, t->buckets),
		.second = svr_flow_second(hash, t->buckets),
		.tag = svr_flow_tag_of(hash),
		.seat = svr_flow_seat(hash),
	};

	return at;
}

/*
 * Their ends first: who writes a row writes its end last, and wipes that before anything else. So the rest of what we
 * read is not older than a row that had this end, and the remains of a key that was here before do not look like one.
 */
SVR_FLOW_INLINE bool svr_flow_same_key(const svr_flow_word *row, const svr_flow_word *key, __u32 words)
{
	__u64 differs = svr_flow_load(row + words - 1) ^ key[words - 1];
	__u32 i;

	asm volatile("" : : : "memory"); /* nor does a compiler read the others before */
	for (i = 0; i + 1 < words; i++)
		differs |= row[i] ^ key[i];
	return !differs;
}

SVR_FLOW_INLINE svr_flow_word *svr_flow_find_in(const struct svr_flowtable *t, __u32 bucket, __u32 tag,
						const svr_flow_word *key, __u32 words, __u32 *number)
{
	svr_flow_word *tags = svr_flow_tags_at(t, bucket), *row;
	__u64 matches;
	__u32 i;

	if (!tags)
		return NULL;
	matches = svr_flow_matches(svr_flow_load(tags), tag);
	for (i = 0; i < SVR_FLOW_BUCKET && matches; i++, matches &= matches - 1) {
		*number = bucket * SVR_FLOW_BUCKET + svr_flow_lowest(matches);
		row = svr_flow_row_at(t, *number, words);
		if (row && svr_flow_same_key(row, key, words))
			return row;
	}
	return NULL;
}

/**
 * svr_flow_find() - the row of @key, NULL if there is none.
 * @number: set to the number of the row
 */
SVR_FLOW_INLINE svr_flow_word *svr_flow_find(const struct svr_flowtable *t, const struct svr_flow_places *at,
					     const svr_flow_word *key, __u32 words, __u32 *number)
{
	svr_flow_word *row = svr_flow_find_in(t, at->first, at->tag, key, words, number);

	return row ? row : svr_flow_find_in(t, at->second, at->tag, key, words, number);
}

/* ---- insertion and removal ------------------------------------------------------------------------------- */

/* Make a free byte of the bucket busy. Number of its row, or -1. */
SVR_FLOW_INLINE __s64 svr_flow_claim(const struct svr_flowtable *t, const struct svr_flow_places *at)
{
	svr_flow_word *first = svr_flow_tags_at(t, at->first), *second = svr_flow_tags_at(t, at->second), *tags;
	__u64 word, free1, free2, matches;
	__u32 i, bucket, byte;

	if (!first || !second)
		return -1;
	for (i = 0; i < SVR_FLOW_TRIES; i++) {
		tags = first;
		bucket = at->first;
		word = svr_flow_load(first);
		matches = free1 = svr_flow_matches(word, SVR_TAG_NONE);
		if (svr_flow_bytes(free1) <= SVR_FLOW_BUCKET - SVR_FLOW_FIRST) {
			__u64 word2 = svr_flow_load(second);

			free2 = svr_flow_matches(word2, SVR_TAG_NONE);
			if (svr_flow_bytes(free2) > svr_flow_bytes(free1)) {
				tags = second;
				bucket = at->second;
				word = word2;
				matches = free2;
			}
		}
		if (!matches)
			return -1;
		byte = matches >> (at->seat * 8) & 0x80 ? at->seat : svr_flow_lowest(matches);
		if (__sync_bool_compare_and_swap(tags, word, word | (__u64)SVR_TAG_BUSY << (byte * 8)))
			return bucket * SVR_FLOW_BUCKET + byte;
	}
	return -1;
}

enum svr_flow_clash {
	SVR_CLASH_NONE,
	SVR_CLASH_WAIT,		/* somebody is writing this key, who will see us and give way */
	SVR_CLASH_LOST,
};

/* Who else has @key in this bucket? @own: number of our row. */
SVR_FLOW_INLINE enum svr_flow_clash svr_flow_clash_in(const struct svr_flowtable *t, __u32 bucket, __u32 tag,
						      const svr_flow_word *key, __u32 words, __u32 own)
{
	svr_flow_word *tags = svr_flow_tags_at(t, bucket), *row;
	enum svr_flow_clash clash = SVR_CLASH_NONE;
	__u64 word, matches;
	__u32 i, byte, number;

	if (!tags)
		return SVR_CLASH_LOST;
	word = svr_flow_load(tags);
	matches = svr_flow_matches(word, tag) | svr_flow_matches(word, SVR_TAG_BUSY_USER) |
		  svr_flow_matches(word, SVR_TAG_BUSY_XDP);
	for (i = 0; i < SVR_FLOW_BUCKET && matches; i++, matches &= matches - 1) {
		byte = svr_flow_lowest(matches);
		number = bucket * SVR_FLOW_BUCKET + byte;
		if (number == own)
			continue;
		row = svr_flow_row_at(t, number, words);
		if (!row || !svr_flow_same_key(row, key, words))
			continue;
		if ((word >> (byte * 8) & 0xff) == tag || number < own)
			return SVR_CLASH_LOST;
		clash = SVR_CLASH_WAIT;
	}
	return clash;
}

SVR_FLOW_INLINE int svr_flow_clash(const struct svr_flowtable *t, const svr_flow_word *key, __u32 words, __u32 own)
{
	struct svr_flow_places at = svr_flow_places_of(t, key, words);
	enum svr_flow_clash first = svr_flow_clash_in(t, at.first, at.tag, key, words, own), second;

	if (first == SVR_CLASH_LOST)
		return first;
	second = svr_flow_clash_in(t, at.second, at.tag, key, words, own);
	return second > first ? second : first;
}

/* Of a row that was claimed: write it so that everybody who claims one for the same key sees it. */
SVR_FLOW_INLINE void svr_flow_write(svr_flow_word *row, const svr_flow_word *key, __u32 words, const struct svr_flow *flow)
{
	__u32 i;

	__builtin_memcpy(row + words, flow, sizeof(*flow));
	for (i = 0; i + 1 < words; i++)
		row[i] = key[i];
	svr_flow_exchange(row + words - 1, key[words - 1]);
}

/* A busy row becomes a flow with @tag, or a free one with SVR_TAG_NONE. */
SVR_FLOW_INLINE void svr_flow_settle(const struct svr_flowtable *t, __u32 number, __u32 tag)
{
	svr_flow_word *tags = svr_flow_tags_at(t, number / SVR_FLOW_BUCKET);

	if (tags)
		svr_flow_flip(tags, (__u64)(SVR_TAG_BUSY ^ tag) << (number % SVR_FLOW_BUCKET * 8));
}

/* A busy row becomes a free one, and is no longer anybody's. */
SVR_FLOW_INLINE void svr_flow_release(const struct svr_flowtable *t, __u32 number, svr_flow_word *row, __u32 words)
{
	svr_flow_store(row + words - 1, 0);
	svr_flow_settle(t, number, SVR_TAG_NONE);
}

/*
 * Make the row of a published key busy. False if it was taken out meanwhile; it may even be somebody else's with the
 * same tag by now, which is only sure when it is ours alone.
 */
SVR_FLOW_INLINE bool svr_flow_withdraw(const struct svr_flowtable *t, __u32 number, __u32 tag, svr_flow_word *row,
				       const svr_flow_word *key, __u32 words)
{
	svr_flow_word *tags = svr_flow_tags_at(t, number / SVR_FLOW_BUCKET);
	const __u32 shift = number % SVR_FLOW_BUCKET * 8;
	__u64 word;
	__u32 i;

	if (!tags)
		return false;
	for (i = 0; i < SVR_FLOW_TRIES; i++) {
		word = svr_flow_load(tags);
		if ((word >> shift & 0xff) != tag)
			return false;
		if (!__sync_bool_compare_and_swap(tags, word, word ^ (__u64)(SVR_TAG_BUSY ^ tag) << shift))
			continue;
		if (svr_flow_same_key(row, key, words))
			return true;
		svr_flow_settle(t, number, tag);
		return false;
	}
	return false;
}

/**
 * svr_flow_begin() - the first half of putting in a flow: claim a row and write it. In halves because verifiers follow
 * loops within loops to their ends, and because the stacks of functions in BPF add up.
 * Return: number of the row, for svr_flow_finish(); -EEXIST if the key is there, -E2BIG if neither bucket has a
 * row left, or others were faster SVR_FLOW_TRIES times.
 */
SVR_FLOW_INLINE __s64 svr_flow_begin(const struct svr_flowtable *t, const svr_flow_word *key, __u32 words,
				     const struct svr_flow *flow)
{
	struct svr_flow_places at = svr_flow_places_of(t, key, words);
	svr_flow_word *row;
	__u32 number;
	__s64 own;

	if (svr_flow_find(t, &at, key, words, &number))
		return -EEXIST;
	own = svr_flow_claim(t, &at);
	if (own < 0)
		return -E2BIG;
	row = svr_flow_row_at(t, own, words);
	if (!row)
		return -E2BIG;
	svr_flow_write(row, key, words, flow);
	return own;
}

/**
 * svr_flow_finish() - the other half, after svr_flow_clash() was asked until it said something else than SVR_CLASH_WAIT,
 * or SVR_FLOW_WAIT_TRIES times.
 * @own: what svr_flow_begin() answered
 * @clash: what svr_flow_clash() did
 * Return: 0, or -EEXIST: somebody else was faster, or still is at it.
 */
SVR_FLOW_INLINE int svr_flow_finish(const struct svr_flowtable *t, const svr_flow_word *key, __u32 words, __u32 own,
				    int clash)
{
	svr_flow_word *row;

	if (clash == SVR_CLASH_NONE) {
		svr_flow_settle(t, own, svr_flow_tag_of(svr_flow_hash_of(t->hash, key, words)));
		return 0;
	}
	row = svr_flow_row_at(t, own, words);
	if (row)
		svr_flow_release(t, own, row, words);
	return -EEXIST;
}

/* svr_flow_take() - take out the flow of @key. 0 or -ENOENT. */
SVR_FLOW_INLINE int svr_flow_take(const struct svr_flowtable *t, const svr_flow_word *key, __u32 words)
{
	struct svr_flow_places at = svr_flow_places_of(t, key, words);
	svr_flow_word *row;
	__u32 number;

	row = svr_flow_find(t, &at, key, words, &number);
	if (!row || !svr_flow_withdraw(t, number, at.tag, row, key, words))
		return -ENOENT;
	svr_flow_release(t, number, row, words);
	return 0;
}

#endif
