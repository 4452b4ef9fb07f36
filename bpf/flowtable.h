/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * BPF side only: flows of either family, by the common form of their keys. The tables themselves are
 * in include/svr/flowtable.h.
 */
#ifndef SVR_BPF_FLOWTABLE_H
#define SVR_BPF_FLOWTABLE_H

#include "maps.h"

#include <svr/flowtable.h>

/* ---- keys as words --------------------------------------------------------------------------- */

typedef const __u32 __attribute__((may_alias)) svr_half_word;

/* Two that lie side by side in memory, as one */
static __always_inline __u64 svr_word_of(__u32 first, __u32 second)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return first | (__u64)second << 32;
#else
	return (__u64)first << 32 | second;
#endif
}

/* What a struct svr_flow4_key ends with; @ports: both as they lie in the packet */
static __always_inline __u64 svr_flow4_end(__u32 ports, __u16 zone, __u8 proto)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return svr_word_of(ports, zone | (__u32)proto << 16);
#else
	return svr_word_of(ports, (__u32)zone << 16 | (__u32)proto << 8);
#endif
}

static __always_inline void svr_flow4_words(const struct svr_flow6_key *from, svr_flow_word *words)
{
	words[0] = svr_word_of(from->saddr[3], from->daddr[3]);
	words[1] = svr_flow4_end(*(svr_half_word *)&from->sport, from->zone, from->proto);
}

/* ---- tables ---------------------------------------------------------------------------------- */

/* @ipv6: a constant. False: cannot happen, but verifiers want each look-up tested */
static __always_inline bool svr_flowtable(struct svr_flowtable *t, bool ipv6)
{
	const __u32 zero = 0;

	t->tags = ipv6 ? (void *)&svr_flow_tags6 : (void *)&svr_flow_tags4;
	t->rows = ipv6 ? (void *)&svr_flows6 : (void *)&svr_flows4;
	t->hash = bpf_map_lookup_elem(&svr_flow_hash, &zero);
	if (!t->hash)
		return false;
	t->buckets = ipv6 ? t->hash->buckets6 : t->hash->buckets4;
	return true;
}

/*
 * Number of the row of a flow, negative if there is none. As numbers, because pointers to rows cannot
 * come out of a step, and the loops of svr_flow_find() are too much for the verifier of Linux 6.1 if
 * it follows each call. This one takes both words of a struct svr_flow4_key.
 */
SVR_STEP int svr_flow_number4(__u64 addresses, __u64 end)
{
	const svr_flow_word key[] = { addresses, end };
	struct svr_flow_places at;
	struct svr_flowtable t;
	__u32 number;

	if (!svr_flowtable(&t, false))
		return -ENOENT;
	at = svr_flow_places_of(&t, key, SVR_FLOW4_WORDS);
	return svr_flow_find(&t, &at, key, SVR_FLOW4_WORDS, &number) ? (int)number : -ENOENT;
}

SVR_STEP int svr_flow_number6(const struct svr_flow6_key *key)
{
	const svr_flow_word *words = (const svr_flow_word *)key;
	struct svr_flow_places at;
	struct svr_flowtable t;
	__u32 number;

	if (!key || !svr_flowtable(&t, true))
		return -ENOENT;
	at = svr_flow_places_of(&t, words, SVR_FLOW6_WORDS);
	return svr_flow_find(&t, &at, words, SVR_FLOW6_WORDS, &number) ? (int)number : -ENOENT;
}

static __always_inline struct svr_flow *svr_flow_find4(__u64 addresses, __u64 end)
{
	int number = svr_flow_number4(addresses, end);
	struct svr_flow4_row *row;

	if (number < 0)
		return NULL;
	row = bpf_map_lookup_elem(&svr_flows4, &number);
	return row ? &row->flow : NULL;
}

static __always_inline struct svr_flow *svr_flow_find6(const struct svr_flow6_key *from)
{
	int number = svr_flow_number6(from);
	struct svr_flow6_row *row;

	if (number < 0)
		return NULL;
	row = bpf_map_lookup_elem(&svr_flows6, &number);
	return row ? &row->flow : NULL;
}

/*
 * The row of IPv4 that a key with @hash most likely has, NULL if its tag is elsewhere; the caller
 * compares. The tags are read before because they are eight lines of rows in one, and so mostly in
 * the cache: with a million flows, a look at a row for nothing costs more than everything else.
 */
static __always_inline svr_flow_word *svr_flow_likely4(const struct svr_flowtable *t, __u64 hash)
{
	const __u32 bucket = svr_flow_first(hash, t->buckets), seat = svr_flow_seat(hash);
	const svr_flow_word *tags = svr_flow_tags_at(t, bucket);

	if (!tags || (svr_flow_load(tags) >> (seat * 8) & 0xff) != svr_flow_tag_of(hash))
		return NULL;
	return svr_flow_row_at(t, bucket * SVR_FLOW_BUCKET + seat, SVR_FLOW4_WORDS);
}

static __always_inline struct svr_flow *svr_flow_get(const struct svr_flow6_key *key)
{
	svr_flow_word words[SVR_FLOW4_WORDS];

	if (!svr_addr_is4(key->saddr))
		return svr_flow_find6(key);
	svr_flow4_words(key, words);
	return svr_flow_find4(words[0], words[1]);
}

/* ---- insertion and removal ------------------------------------------------------------------- */

/* svr_flow_begin(), svr_flow_clash() and svr_flow_finish() of both families, with little stack */

SVR_STEP int svr_flow_begin4(__u64 addresses, __u64 end, const struct svr_flow *flow)
{
	const svr_flow_word key[] = { addresses, end };
	struct svr_flowtable t;

	return flow && svr_flowtable(&t, false) ? svr_flow_begin(&t, key, SVR_FLOW4_WORDS, flow) :
						  -EFAULT;
}

SVR_STEP int svr_flow_begin6(const struct svr_flow6_key *key, const struct svr_flow *flow)
{
	struct svr_flowtable t;

	if (!key || !flow || !svr_flowtable(&t, true))
		return -EFAULT;
	return svr_flow_begin(&t, (const svr_flow_word *)key, SVR_FLOW6_WORDS, flow);
}

SVR_STEP int svr_flow_clash4(__u64 addresses, __u64 end, __u32 own)
{
	const svr_flow_word key[] = { addresses, end };
	struct svr_flowtable t;

	return svr_flowtable(&t, false) ? svr_flow_clash(&t, key, SVR_FLOW4_WORDS, own) :
					  SVR_CLASH_LOST;
}

SVR_STEP int svr_flow_clash6(const struct svr_flow6_key *key, __u32 own)
{
	struct svr_flowtable t;

	if (!key || !svr_flowtable(&t, true))
		return SVR_CLASH_LOST;
	return svr_flow_clash(&t, (const svr_flow_word *)key, SVR_FLOW6_WORDS, own);
}

SVR_STEP int svr_flow_finish4(__u64 addresses, __u64 end, __u32 own, int clash)
{
	const svr_flow_word key[] = { addresses, end };
	struct svr_flowtable t;

	return svr_flowtable(&t, false) ? svr_flow_finish(&t, key, SVR_FLOW4_WORDS, own, clash) :
					  -EFAULT;
}

SVR_STEP int svr_flow_finish6(const struct svr_flow6_key *key, __u32 own, int clash)
{
	struct svr_flowtable t;

	if (!key || !svr_flowtable(&t, true))
		return -EFAULT;
	return svr_flow_finish(&t, (const svr_flow_word *)key, SVR_FLOW6_WORDS, own, clash);
}

static __always_inline int svr_flow_put4(const struct svr_flow6_key *from,
					 const struct svr_flow *flow)
{
	int own, i, clash = SVR_CLASH_WAIT;
	svr_flow_word key[SVR_FLOW4_WORDS];

	svr_flow4_words(from, key);
	own = svr_flow_begin4(key[0], key[1], flow);
	if (own < 0)
		return own;
	for (i = 0; i < SVR_FLOW_WAIT_TRIES && clash == SVR_CLASH_WAIT; i++)
		clash = svr_flow_clash4(key[0], key[1], own);
	return svr_flow_finish4(key[0], key[1], own, clash);
}

static __always_inline int svr_flow_put6(const struct svr_flow6_key *key,
					 const struct svr_flow *flow)
{
	int own = svr_flow_begin6(key, flow), i, clash = SVR_CLASH_WAIT;

	if (own < 0)
		return own;
	for (i = 0; i < SVR_FLOW_WAIT_TRIES && clash == SVR_CLASH_WAIT; i++)
		clash = svr_flow_clash6(key, own);
	return svr_flow_finish6(key, own, clash);
}

/* SVR_NEXT; SVR_FLOW_EXISTS if the key is taken; or a negative drop reason. */
enum { SVR_FLOW_EXISTS = 1 };
SVR_HELPER int svr_flow_insert(const struct svr_flow6_key *key, const struct svr_flow *flow)
{
	int err = svr_addr_is4(key->saddr) ? svr_flow_put4(key, flow) : svr_flow_put6(key, flow);

	if (!err)
		return SVR_NEXT;
	if (err == -EEXIST)
		return SVR_FLOW_EXISTS;
	return err == -E2BIG ? -SVR_DROP_TABLE_FULL : -SVR_DROP_INTERNAL;
}

SVR_STEP int svr_flow_delete(const struct svr_flow6_key *from)
{
	svr_flow_word key[SVR_FLOW4_WORDS];
	struct svr_flowtable t;

	if (!from)
		return -EFAULT;
	if (svr_addr_is4(from->saddr)) {
		if (!svr_flowtable(&t, false))
			return -EFAULT;
		svr_flow4_words(from, key);
		return svr_flow_take(&t, key, SVR_FLOW4_WORDS);
	}
	if (!svr_flowtable(&t, true))
		return -EFAULT;
	return svr_flow_take(&t, (const svr_flow_word *)from, SVR_FLOW6_WORDS);
}

#endif
