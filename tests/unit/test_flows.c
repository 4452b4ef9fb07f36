// SPDX-License-Identifier: BSD-2-Clause
/*
 * The flow tables as user space uses them, in ordinary memory: it is the same code on the same layout as with the maps of
 * a router.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include <svr/flowtable.h>

#include "lib/addr.h"
#include "sys/flows.h"
#include "sys/mapset.h"

static void *zeroed(size_t count, size_t size)
{
	void *p = aligned_alloc(64, (count * size + 63) / 64 * 64);

	cr_assert(p);
	return memset(p, 0, count * size);
}

static void tables_new(struct svr_mapset *maps, uint32_t flows4, uint32_t flows6)
{
	memset(maps, 0, sizeof(*maps));
	maps->count.flow_tags4 = SVR_FLOW_BUCKETS(flows4);
	maps->count.flow_tags6 = SVR_FLOW_BUCKETS(flows6);
	maps->flow_hash = zeroed(1, sizeof(*maps->flow_hash));
	maps->flow_tags4 = zeroed(maps->count.flow_tags4, sizeof(*maps->flow_tags4));
	maps->flow_tags6 = zeroed(maps->count.flow_tags6, sizeof(*maps->flow_tags6));
	maps->flows4 = zeroed(maps->count.flow_tags4 * SVR_FLOW_BUCKET, sizeof(*maps->flows4));
	maps->flows6 = zeroed(maps->count.flow_tags6 * SVR_FLOW_BUCKET, sizeof(*maps->flows6));
	cr_assert_eq(svr_flow_hash_make(maps->count.flow_tags4, maps->count.flow_tags6,
					maps->flow_hash),
		     0);
}

static void tables_free(struct svr_mapset *maps)
{
	free(maps->flow_hash);
	free(maps->flow_tags4);
	free(maps->flow_tags6);
	free(maps->flows4);
	free(maps->flows6);
}

/* ---- walks ----------------------------------------------------------------------------------- */

enum { FLOWS = 10000 };

struct visits {
	const struct svr_mapset *maps;
	uint8_t seen[FLOWS];
	unsigned int count;
	unsigned int stop_at;	/* 0: never */
	bool delete;
};

/* Flow @i: every third one is of IPv6. */
static void key_of(uint32_t i, struct svr_flow6_key *key)
{
	*key = (struct svr_flow6_key){ .proto = 6, .zone = 1 };
	if (i % 3 == 0) {
		key->saddr[0] = htonl(0x20010db8);
		key->saddr[3] = i;
	} else {
		svr_addr_map4(i, key->saddr);
		svr_addr_map4(htonl(0x0a000001), key->daddr);
	}
}

static int visit(const struct svr_flow6_key *key, const struct svr_flow *flow, void *user)
{
	uint32_t i = key->saddr[3]; /* of either family */
	struct svr_flow6_key want;
	struct visits *v = user;

	cr_assert_lt(i, FLOWS);
	key_of(i, &want);
	cr_assert_eq(memcmp(key, &want, sizeof(want)), 0, "key of flow %u", i);
	cr_assert_eq(flow->packets, i + 1000u, "value of another key");
	v->seen[i]++;
	v->count++;
	if (v->delete)
		cr_assert_eq(svr_flow_delete(v->maps, key), 0);
	return v->count == v->stop_at ? 77 : 0;
}

static void put_numbered(struct svr_mapset *maps, uint32_t flows)
{
	struct svr_flow6_key key;
	uint32_t i;

	for (i = 0; i < flows; i++) {
		struct svr_flow flow = { .packets = i + 1000u }, got;

		key_of(i, &key);
		cr_assert_eq(svr_flow_get(maps, &key, &got), -ENOENT);
		cr_assert_eq(svr_flow_delete(maps, &key), -ENOENT);
		cr_assert_eq(svr_flow_insert(maps, &key, &flow), 0);
		cr_assert_eq(svr_flow_insert(maps, &key, &flow), -EEXIST);
		cr_assert_eq(svr_flow_get(maps, &key, &got), 0);
		cr_assert_eq(got.packets, i + 1000u);
	}
}

static void expect_each_once(const struct visits *v)
{
	int i;

	cr_expect_eq(v->count, FLOWS);
	for (i = 0; i < FLOWS; i++)
		cr_assert_eq(v->seen[i], 1, "flow %d was visited %u times", i, v->seen[i]);
}

Test(flows, a_walk_visits_each_flow_once)
{
	struct svr_mapset maps;
	struct visits v = { .maps = &maps };

	tables_new(&maps, FLOWS, FLOWS);
	put_numbered(&maps, FLOWS);
	cr_expect_eq(svr_flow_walk_all(&maps, visit, &v), 0);
	expect_each_once(&v);
	v = (struct visits){ .maps = &maps, .stop_at = 5 };
	cr_expect_eq(svr_flow_walk_all(&maps, visit, &v), 77, "the visitor's word ends the walk");
	cr_expect_eq(v.count, 5);
	v = (struct visits){ .maps = &maps, .delete = true };
	cr_expect_eq(svr_flow_walk_all(&maps, visit, &v), 0);
	expect_each_once(&v);
	v = (struct visits){ .maps = &maps };
	cr_expect_eq(svr_flow_walk_all(&maps, visit, &v), 0, "empty tables");
	cr_expect_eq(v.count, 0);
	tables_free(&maps);
}

Test(flows, a_walk_in_portions_visits_each_flow_once)
{
	static const uint32_t portions[] = { 0, 1, 3, 64, FLOWS, 4 * FLOWS };
	struct svr_flow_walk *w;
	struct svr_mapset maps;
	struct visits v;
	unsigned int steps;
	int ret, round;
	size_t i;

	tables_new(&maps, FLOWS, FLOWS);
	put_numbered(&maps, FLOWS);
	for (i = 0; i < sizeof(portions) / sizeof(portions[0]); i++) {
		cr_assert_eq(svr_flow_walk_new(&maps, portions[i], &w), 0);
		for (round = 0; round < 2; round++) { /* a walker begins again by itself */
			v = (struct visits){ .maps = &maps };
			steps = 0;
			do {
				ret = svr_flow_walk_step(w, visit, &v);
				cr_assert(ret == 0 || ret == 1, "%d", ret);
				steps++;
			} while (ret == 1);
			expect_each_once(&v);
			/* a step ends with a bucket */
			cr_expect_geq(steps, FLOWS / (portions[i] + SVR_FLOW_BUCKET),
				      "portion %u: %u steps", portions[i], steps);
		}
		svr_flow_walk_free(w);
	}
	tables_free(&maps);
}

/* A walk that is broken off in the second table starts with the first one again. */
Test(flows, a_walk_begins_again_after_an_error)
{
	struct svr_flow_walk *w;
	struct svr_mapset maps;
	struct visits v;
	int ret;

	tables_new(&maps, FLOWS, FLOWS);
	put_numbered(&maps, FLOWS);
	cr_assert_eq(svr_flow_walk_new(&maps, FLOWS, &w), 0);
	v = (struct visits){ .maps = &maps, .stop_at = FLOWS - 1 };
	while ((ret = svr_flow_walk_step(w, visit, &v)) == 1)
		;
	cr_expect_eq(ret, 77);
	v = (struct visits){ .maps = &maps };
	while (svr_flow_walk_step(w, visit, &v) == 1)
		;
	expect_each_once(&v);
	svr_flow_walk_free(w);
	tables_free(&maps);
}

/* ---- tables ---------------------------------------------------------------------------------- */

Test(flows, bytes_of_a_word)
{
	static const uint64_t words[] = { 0, 1, 0x0100000000000000, 0x00ff00ff00ff00ff,
					  0x0101010101010101, 0x8001800180018001,
					  0x7f80017f80017f80, UINT64_MAX };
	uint32_t tag, byte, lowest, count;
	uint64_t matches;
	size_t i;

	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		for (tag = 0; tag <= 255; tag++) {
			matches = svr_flow_matches(words[i], tag);
			lowest = SVR_FLOW_BUCKET;
			for (byte = count = 0; byte < SVR_FLOW_BUCKET; byte++) {
				bool same = (words[i] >> (byte * 8) & 0xff) == tag;

				cr_assert_eq(matches >> (byte * 8) & 0xff, same ? 0x80 : 0);
				count += same;
				if (same && lowest == SVR_FLOW_BUCKET)
					lowest = byte;
			}
			cr_assert_eq(svr_flow_bytes(matches), count);
			if (count)
				cr_assert_eq(svr_flow_lowest(matches), lowest);
		}
}

static void all_hashes_are(struct svr_mapset *maps, uint32_t hash)
{
	memset(maps->flow_hash->key, 0, sizeof(maps->flow_hash->key));
	maps->flow_hash->key[0] = (uint64_t)hash << 32;
}

/* As bad as it can be: all flows have the same hash, so the same two buckets and the same tag. */
Test(flows, keys_with_the_same_hash)
{
	struct svr_flow flow = { .packets = 1 };
	struct svr_flow6_key key;
	struct svr_mapset maps;
	unsigned int family, n, i;

	tables_new(&maps, 100, 100);
	all_hashes_are(&maps, 0xdeadbeef);
	for (family = 0; family < 2; family++) {
		for (n = 0; n < 100; n++) {
			key_of(3 * n + family, &key);
			flow.packets = n + 1000u;
			if (svr_flow_insert(&maps, &key, &flow))
				break;
		}
		cr_expect_eq(n, 2 * SVR_FLOW_BUCKET, "both buckets are filled: %u", n);
		cr_expect_eq(svr_flow_insert(&maps, &key, &flow), -E2BIG);
		for (i = 0; i < n; i++) {
			key_of(3 * i + family, &key);
			cr_expect_eq(svr_flow_insert(&maps, &key, &flow), -EEXIST);
			cr_assert_eq(svr_flow_get(&maps, &key, &flow), 0);
			cr_expect_eq(flow.packets, i + 1000u);
		}
		for (i = 0; i < n; i += 2) {
			key_of(3 * i + family, &key);
			cr_expect_eq(svr_flow_delete(&maps, &key), 0);
			cr_expect_eq(svr_flow_delete(&maps, &key), -ENOENT);
		}
		for (i = 0; i < n; i++) {
			key_of(3 * i + family, &key);
			cr_expect_eq(svr_flow_get(&maps, &key, &flow), i % 2 ? 0 : -ENOENT);
		}
		for (i = 0; i < n; i += 2) {
			key_of(3 * i + family, &key);
			cr_expect_eq(svr_flow_insert(&maps, &key, &flow), 0, "there is room again");
		}
	}
	tables_free(&maps);
}

/* A table takes what it was made for, but for a flow or two, and all of it is found again. */
Test(flows, a_table_holds_what_it_was_made_for)
{
	enum { MANY = 200000, REFUSED_MAX = 20 /* expected: none */ };
	struct svr_flow flow = { .packets = 1 }, got;
	static bool in[MANY];
	struct svr_flow6_key key;
	struct svr_mapset maps;
	uint32_t i, refused = 0;

	tables_new(&maps, MANY, MANY);
	for (i = 0; i < MANY; i++) {
		key_of(3 * i + 1, &key);
		flow.packets = i;
		in[i] = svr_flow_insert(&maps, &key, &flow) == 0;
		refused += !in[i];
	}
	cr_expect_leq(refused, REFUSED_MAX, "%u flows of %u are refused", refused, MANY);
	for (i = 0; i < MANY; i++) {
		key_of(3 * i + 1, &key);
		cr_assert_eq(svr_flow_get(&maps, &key, &got), in[i] ? 0 : -ENOENT);
		cr_assert(!in[i] || got.packets == i);
		cr_assert_eq(svr_flow_delete(&maps, &key), in[i] ? 0 : -ENOENT);
	}
	for (i = 0; i < maps.count.flow_tags4; i++)
		cr_assert_eq(maps.flow_tags4[i], 0, "bucket %u is not empty", i);
	tables_free(&maps);
}

/* A process that is killed has claimed a row, has written it, or was about to free it. */
Test(flows, rows_of_a_killed_process)
{
	struct svr_flow flow = { .packets = 1 };
	struct svr_flow6_key key;
	struct svr_mapset maps;
	struct svr_flow_places at;
	struct svr_flowtable t;
	svr_flow_word words[SVR_FLOW6_WORDS];
	int64_t row;

	tables_new(&maps, 40, 40);
	t = (struct svr_flowtable){ maps.flow_tags6, maps.flows6, maps.flow_hash,
				    maps.count.flow_tags6 };
	key_of(0, &key);
	memcpy(words, &key, sizeof(words));
	at = svr_flow_places_of(&t, words, SVR_FLOW6_WORDS);
	cr_assert_geq(svr_flow_claim(&t, &at), 0);
	cr_assert_geq(svr_flow_begin(&t, words, SVR_FLOW6_WORDS, &flow), 0);
	cr_expect_eq(svr_flow_insert(&maps, &key, &flow), -EEXIST, "nobody knows that he is dead");
	cr_expect_eq(svr_flow_get(&maps, &key, &flow), -ENOENT);
	cr_expect_eq(svr_flows_reclaim(&maps), 2);
	cr_expect_eq(svr_flow_insert(&maps, &key, &flow), 0);
	row = svr_flow_row(&maps, &key);
	cr_assert_geq(row, 0);
	cr_assert(svr_flow_withdraw(&t, (uint32_t)row, at.tag,
				    svr_flow_row_at(&t, (uint32_t)row, SVR_FLOW6_WORDS), words,
				    SVR_FLOW6_WORDS));
	cr_expect_eq(svr_flow_get(&maps, &key, &flow), -ENOENT);
	cr_expect_eq(svr_flow_delete(&maps, &key), -ENOENT);
	cr_expect_eq(svr_flows_reclaim(&maps), 1);
	cr_expect_eq(svr_flows_reclaim(&maps), 0);
	cr_expect_eq(svr_flow_insert(&maps, &key, &flow), 0);
	cr_expect_eq(svr_flow_delete(&maps, &key), 0);
	tables_free(&maps);
}

/* ---- several threads ------------------------------------------------------------------------- */

enum { THREADS = 4, KEYS = 24, OPERATIONS = 200000 };

struct hammer {
	struct svr_mapset *maps;
	unsigned int number;
	bool in[KEYS];		/* own keys only */
	unsigned int *owner;	/* of the keys of all: thread that is in, 0: none */
	uint64_t won;
	const char *fault; /* what was not as it must be, NULL: nothing */
	uint32_t fault_key;
	int fault_err;
	pthread_t thread;
};

static uint32_t next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return (uint32_t)(*state >> 32);
}

/* Only the thread of a test may fail it, so the others say what they saw, and end. */
static void *faulty(struct hammer *h, const char *what, uint32_t key, int err)
{
	h->fault = what;
	h->fault_key = key;
	h->fault_err = err;
	return NULL;
}

/*
 * Half of the operations are about keys that only this thread touches: what it does must be what it
 * finds. The others are about keys of all: whose insertion succeeded, owns the key until he deletes
 * it, so nobody else can succeed before.
 */
static void *hammer(void *arg)
{
	uint64_t state = 88172645463325252ULL + ((struct hammer *)arg)->number;
	struct svr_flow flow = { 0 }, got;
	struct svr_flow6_key key;
	struct hammer *h = arg;
	uint32_t i, r, k;
	int err;

	for (i = 0; i < OPERATIONS; i++) {
		r = next(&state);
		k = (r >> 8) % KEYS;
		flow.packets = (uint64_t)h->number << 32 | i;
		memcpy(flow.uuid, &flow.packets, sizeof(flow.packets)); /* of each one its own */
		flow.bytes = ~flow.packets;
		if (r & 1) {
			key_of(3 * (1000 * h->number + k) + (k & 1), &key);
			err = svr_flow_get(h->maps, &key, &got);
			if (err != (h->in[k] ? 0 : -ENOENT))
				return faulty(h, "own key is not what we made it", k, err);
			if (!err && (got.packets != ~got.bytes || got.packets >> 32 != h->number))
				return faulty(h, "own key has somebody else's flow", k, 0);
			if (h->in[k])
				err = svr_flow_delete(h->maps, &key);
			else
				err = svr_flow_insert(h->maps, &key, &flow);
			if (err && (h->in[k] || err != -E2BIG))
				return faulty(h, h->in[k] ? "own key stays" : "own key stays out",
					      k, err);
			if (!err)
				h->in[k] = !h->in[k];
			continue;
		}
		key_of(3 * k + (k & 1), &key);
		if (__atomic_load_n(&h->owner[k], __ATOMIC_SEQ_CST) == h->number) {
			__atomic_store_n(&h->owner[k], 0, __ATOMIC_SEQ_CST);
			err = svr_flow_delete(h->maps, &key);
			if (err)
				return faulty(h, "it was ours, and stays", k, err);
		} else if (svr_flow_insert(h->maps, &key, &flow) == 0) {
			if (__atomic_exchange_n(&h->owner[k], h->number, __ATOMIC_SEQ_CST))
				return faulty(h, "two are in", k, 0);
			h->won++;
		}
		/* whoever is in, it is one flow and not parts of two */
		if (svr_flow_get(h->maps, &key, &got) == 0 && got.packets != ~got.bytes)
			return faulty(h, "parts of two flows", k, 0);
	}
	return NULL;
}

Test(flows, several_threads_at_once)
{
	static struct hammer h[THREADS];
	static unsigned int owner[KEYS];
	struct svr_mapset maps;
	struct svr_flow flow;
	unsigned int i, k, n = 0, in = 0, tags = 0;
	struct svr_flow6_key key;

	tables_new(&maps, 40, 40); /* so narrow that they meet in every bucket */
	for (i = 0; i < THREADS; i++) {
		h[i] = (struct hammer){ .maps = &maps, .number = i + 1, .owner = owner };
		cr_assert_eq(pthread_create(&h[i].thread, NULL, hammer, &h[i]), 0);
	}
	for (i = 0; i < THREADS; i++) {
		pthread_join(h[i].thread, NULL);
		cr_expect_null(h[i].fault, "thread %u, key %u: %s: %d", i, h[i].fault_key,
			       h[i].fault, h[i].fault_err);
		cr_expect_gt(h[i].won, 0);
		for (k = 0; k < KEYS; k++)
			n += h[i].in[k];
	}
	for (k = 0; k < KEYS; k++) {
		key_of(3 * k + (k & 1), &key);
		in = svr_flow_get(&maps, &key, &flow) == 0;
		cr_expect_eq(in, owner[k] != 0, "key %u", k);
		n += in;
	}
	for (i = 0; i < maps.count.flow_tags4; i++)
		tags += SVR_FLOW_BUCKET - svr_flow_bytes(svr_flow_matches(maps.flow_tags4[i], 0));
	for (i = 0; i < maps.count.flow_tags6; i++)
		tags += SVR_FLOW_BUCKET - svr_flow_bytes(svr_flow_matches(maps.flow_tags6[i], 0));
	cr_expect_eq(tags, n, "%u rows for %u flows", tags, n);
	cr_expect_eq(svr_flows_reclaim(&maps), 0);
	tables_free(&maps);
}
