// SPDX-License-Identifier: BSD-2-Clause
/* Flow tables in mapped memory. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <svr/flowtable.h>

#include "lib/addr.h"
#include "sys/flows.h"
#include "sys/mapset.h"

/* ---- tables -------------------------------------------------------------------------------- */

enum { TABLE4, TABLE6, TABLES };

static const uint32_t words_of[TABLES] = { SVR_FLOW4_WORDS, SVR_FLOW6_WORDS };

static struct svr_flowtable table_at(const struct svr_mapset *maps, unsigned int which)
{
	return which == TABLE4 ?
		       (struct svr_flowtable){ maps->flow_tags4, maps->flows4, maps->flow_hash,
					       maps->count.flow_tags4 } :
		       (struct svr_flowtable){ maps->flow_tags6, maps->flows6, maps->flow_hash,
					       maps->count.flow_tags6 };
}

/* A key in the form of its table. */
struct table_key {
	unsigned int table;
	svr_flow_word words[SVR_FLOW6_WORDS];
};

static void table_key(const struct svr_flow6_key *key, struct table_key *out)
{
	struct svr_flow4_key key4;

	out->table = svr_key_is4(key) ? TABLE4 : TABLE6;
	if (out->table == TABLE4) {
		svr_key_get4(key, &key4);
		memcpy(out->words, &key4, sizeof(key4));
	} else {
		memcpy(out->words, key, sizeof(*key));
	}
}

/* Calls with a constant number of words, so that each family has loops without a counter. */
#define EACH_FAMILY(k, call4, call6) ((k)->table == TABLE4 ? (call4) : (call6))

static svr_flow_word *find(const struct svr_flowtable *t, const struct table_key *k, uint32_t *row)
{
	struct svr_flow_places at;

	if (k->table == TABLE4) {
		at = svr_flow_places_of(t, k->words, SVR_FLOW4_WORDS);
		return svr_flow_find(t, &at, k->words, SVR_FLOW4_WORDS, row);
	}
	at = svr_flow_places_of(t, k->words, SVR_FLOW6_WORDS);
	return svr_flow_find(t, &at, k->words, SVR_FLOW6_WORDS, row);
}

/* ---- copies -------------------------------------------------------------------------------- */

static const struct svr_flow *flow_of(const svr_flow_word *row, unsigned int table)
{
	return (const struct svr_flow *)(row + words_of[table]);
}

static uint8_t tag_at(const struct svr_flowtable *t, uint32_t row)
{
	const svr_flow_word *tags = svr_flow_tags_at(t, row / SVR_FLOW_BUCKET);

	return (uint8_t)(svr_flow_load(tags) >> (row % SVR_FLOW_BUCKET * 8));
}

/*
 * False if the row was taken out, or used again, while we looked: then its tag has changed, or its
 * session. Counters and the like change all the time; each of them is read at once.
 */
static bool row_copy(const struct svr_flowtable *t, unsigned int table, uint32_t number,
		     svr_flow_word *key, struct svr_flow *flow)
{
	const svr_flow_word *row = svr_flow_row_at(t, number, words_of[table]);
	const struct svr_flow *from = flow_of(row, table);
	uint8_t tag = tag_at(t, number), uuid[SVR_UUID_LEN];

	if (tag == SVR_TAG_NONE || tag > SVR_TAGS)
		return false;
	memcpy(uuid, from->uuid, sizeof(uuid));
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	memcpy(key, row, words_of[table] * sizeof(*key));
	memcpy(flow, from, sizeof(*flow));
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return memcmp(uuid, from->uuid, sizeof(uuid)) == 0 && tag_at(t, number) == tag;
}

/* ---- one flow ------------------------------------------------------------------------------ */

int svr_flow_get(const struct svr_mapset *maps, const struct svr_flow6_key *key,
		 struct svr_flow *flow)
{
	svr_flow_word copied[SVR_FLOW6_WORDS];
	struct svr_flowtable t;
	struct table_key k;
	uint32_t row;

	table_key(key, &k);
	t = table_at(maps, k.table);
	do {
		if (!find(&t, &k, &row))
			return -ENOENT;
	} while (!row_copy(&t, k.table, row, copied, flow) ||
		 memcmp(copied, k.words, words_of[k.table] * sizeof(*copied)) != 0);
	return 0;
}

int64_t svr_flow_row(const struct svr_mapset *maps, const struct svr_flow6_key *key)
{
	struct svr_flowtable t;
	struct table_key k;
	uint32_t row;

	table_key(key, &k);
	t = table_at(maps, k.table);
	return find(&t, &k, &row) ? (int64_t)row : -ENOENT;
}

int svr_flow_insert(const struct svr_mapset *maps, const struct svr_flow6_key *key,
		    const struct svr_flow *flow)
{
	int i, clash = SVR_CLASH_WAIT;
	struct svr_flowtable t;
	struct table_key k;
	uint32_t number;
	int64_t own;

	table_key(key, &k);
	t = table_at(maps, k.table);
	own = EACH_FAMILY(&k, svr_flow_begin(&t, k.words, SVR_FLOW4_WORDS, flow),
			  svr_flow_begin(&t, k.words, SVR_FLOW6_WORDS, flow));
	if (own < 0)
		return (int)own;
	number = (uint32_t)own;
	for (i = 0; i < SVR_FLOW_WAIT_TRIES && clash == SVR_CLASH_WAIT; i++)
		clash = EACH_FAMILY(&k, svr_flow_clash(&t, k.words, SVR_FLOW4_WORDS, number),
				    svr_flow_clash(&t, k.words, SVR_FLOW6_WORDS, number));
	return EACH_FAMILY(&k, svr_flow_finish(&t, k.words, SVR_FLOW4_WORDS, number, clash),
			   svr_flow_finish(&t, k.words, SVR_FLOW6_WORDS, number, clash));
}

int svr_flow_delete(const struct svr_mapset *maps, const struct svr_flow6_key *key)
{
	struct svr_flowtable t;
	struct table_key k;

	table_key(key, &k);
	t = table_at(maps, k.table);
	return EACH_FAMILY(&k, svr_flow_take(&t, k.words, SVR_FLOW4_WORDS),
			   svr_flow_take(&t, k.words, SVR_FLOW6_WORDS));
}

/* ---- whole tables -------------------------------------------------------------------------- */

int svr_flow_hash_make(uint32_t buckets4, uint32_t buckets6, struct svr_flow_hash *out)
{
	*out = (struct svr_flow_hash){ .buckets4 = buckets4, .buckets6 = buckets6 };
	return getrandom(out->key, sizeof(out->key), 0) == (ssize_t)sizeof(out->key) ? 0 : -EIO;
}

uint32_t svr_flows_reclaim(const struct svr_mapset *maps)
{
	uint32_t bucket, number, freed = 0;
	struct svr_flowtable t;
	unsigned int which;
	uint64_t matches;

	for (which = TABLE4; which < TABLES; which++) {
		t = table_at(maps, which);
		for (bucket = 0; bucket < t.buckets; bucket++) {
			matches = svr_flow_matches(svr_flow_load(svr_flow_tags_at(&t, bucket)),
						   SVR_TAG_BUSY_USER);
			for (; matches; matches &= matches - 1, freed++) {
				number = bucket * SVR_FLOW_BUCKET + svr_flow_lowest(matches);
				svr_flow_release(&t, number,
						 svr_flow_row_at(&t, number, words_of[which]),
						 words_of[which]);
			}
		}
	}
	return freed;
}

struct svr_flow_walk {
	const struct svr_mapset *maps;
	uint32_t portion;
	unsigned int table; /* where the next step goes on */
	uint32_t bucket;
};

int svr_flow_walk_new(const struct svr_mapset *maps, uint32_t portion, struct svr_flow_walk **out)
{
	struct svr_flow_walk *w = calloc(1, sizeof(*w));

	*out = w;
	if (!w)
		return -ENOMEM;
	w->maps = maps;
	w->portion = portion ? portion : 1;
	return 0;
}

void svr_flow_walk_free(struct svr_flow_walk *w)
{
	free(w);
}

static void walk_reset(struct svr_flow_walk *w)
{
	w->table = TABLE4;
	w->bucket = 0;
}

static int visit_row(const struct svr_flowtable *t, unsigned int table, uint32_t number,
		     svr_flow_visit visit, void *user)
{
	svr_flow_word words[SVR_FLOW6_WORDS];
	struct svr_flow4_key key4;
	struct svr_flow6_key key;
	struct svr_flow flow;

	if (!row_copy(t, table, number, words, &flow))
		return 0; /* one that comes or goes */
	if (table == TABLE4) {
		memcpy(&key4, words, sizeof(key4));
		svr_key_map4(&key4, &key);
	} else {
		memcpy(&key, words, sizeof(key));
	}
	return visit(&key, &flow, user);
}

int svr_flow_walk_step(struct svr_flow_walk *w, svr_flow_visit visit, void *user)
{
	/* Buckets without flows cost next to nothing, but there may be very many of them */
	uint64_t flows = 0, buckets = 0, word;
	const uint64_t buckets_max = 16ULL * w->portion;
	struct svr_flowtable t;
	uint32_t byte;
	int ret;

	for (; w->table < TABLES; w->table++, w->bucket = 0) {
		t = table_at(w->maps, w->table);
		for (; w->bucket < t.buckets; w->bucket++, buckets++) {
			if (flows >= w->portion || buckets >= buckets_max)
				return 1;
			word = svr_flow_load(svr_flow_tags_at(&t, w->bucket));
			for (byte = 0; byte < SVR_FLOW_BUCKET && word; byte++, word >>= 8) {
				if (!(word & 0xff))
					continue;
				flows++;
				ret = visit_row(&t, w->table, w->bucket * SVR_FLOW_BUCKET + byte,
						visit, user);
				if (ret) {
					walk_reset(w);
					return ret;
				}
			}
		}
	}
	walk_reset(w);
	return 0;
}

int svr_flow_walk_all(const struct svr_mapset *maps, svr_flow_visit visit, void *user)
{
	struct svr_flow_walk all = { .maps = maps, .portion = UINT32_MAX };

	return svr_flow_walk_step(&all, visit, user);
}
