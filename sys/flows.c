// SPDX-License-Identifier: BSD-2-Clause
/* Flow table walks with BPF_MAP_LOOKUP_BATCH: 0.1 us per flow instead of two system calls. */
#include <errno.h>
#include <stdlib.h>

#include <bpf/bpf.h>

#include "lib/addr.h"
#include "sys/flows.h"
#include "sys/mapset.h"

enum { WALK_ALL_PORTION = 4096, TABLES = 2 };

/* ---- one flow ------------------------------------------------------------------------------ */

/* The key in the form of its table. */
union table_key {
	struct svr_flow4_key v4;
	struct svr_flow6_key v6;
};

/* Table of @key, *@in_table: its key there. */
static int table_of(const struct svr_mapset *maps, const struct svr_flow6_key *key,
		    union table_key *in_table)
{
	if (!svr_key_is4(key)) {
		in_table->v6 = *key;
		return maps->fd.flows6;
	}
	svr_key_get4(key, &in_table->v4);
	return maps->fd.flows4;
}

int svr_flow_get(const struct svr_mapset *maps, const struct svr_flow6_key *key,
		 struct svr_flow *flow)
{
	union table_key k;

	return bpf_map_lookup_elem(table_of(maps, key, &k), &k, flow);
}

int svr_flow_insert(const struct svr_mapset *maps, const struct svr_flow6_key *key,
		    const struct svr_flow *flow)
{
	union table_key k;

	return bpf_map_update_elem(table_of(maps, key, &k), &k, flow, BPF_NOEXIST);
}

int svr_flow_delete(const struct svr_mapset *maps, const struct svr_flow6_key *key)
{
	union table_key k;

	return bpf_map_delete_elem(table_of(maps, key, &k), &k);
}

/* ---- walks --------------------------------------------------------------------------------- */

struct svr_flow_walk {
	int fd[TABLES];		/* svr_flows4, svr_flows6 */
	unsigned int table;	/* in which the next step goes on */
	bool started;		/* token is valid */
	uint32_t token;		/* of the kernel: next bucket */
	uint32_t room;		/* entries of keys and flows[] */
	void *keys;		/* as the table has them */
	struct svr_flow *flows;
};

static int walk_resize(struct svr_flow_walk *w, uint32_t room)
{
	void *keys, *flows;

	keys = reallocarray(w->keys, room, sizeof(union table_key));
	if (!keys)
		return -ENOMEM;
	w->keys = keys;
	flows = reallocarray(w->flows, room, sizeof(*w->flows));
	if (!flows)
		return -ENOMEM;
	w->flows = flows;
	w->room = room;
	return 0;
}

int svr_flow_walk_new(const struct svr_mapset *maps, uint32_t portion, struct svr_flow_walk **out)
{
	struct svr_flow_walk *w = calloc(1, sizeof(*w));
	int err = -ENOMEM;

	*out = NULL;
	if (!w)
		return err;
	w->fd[0] = maps->fd.flows4;
	w->fd[1] = maps->fd.flows6;
	err = walk_resize(w, portion ? portion : 1);
	if (err)
		svr_flow_walk_free(w);
	else
		*out = w;
	return err;
}

void svr_flow_walk_free(struct svr_flow_walk *w)
{
	if (!w)
		return;
	free(w->keys);
	free(w->flows);
	free(w);
}

/* Key @i of what was read from the table under way. */
static void walk_key(const struct svr_flow_walk *w, uint32_t i, struct svr_flow6_key *key)
{
	if (w->table == 0)
		svr_key_map4((const struct svr_flow4_key *)w->keys + i, key);
	else
		*key = ((const struct svr_flow6_key *)w->keys)[i];
}

static void walk_reset(struct svr_flow_walk *w)
{
	w->table = 0;
	w->started = false;
}

int svr_flow_walk_step(struct svr_flow_walk *w, svr_flow_visit visit, void *user)
{
	uint32_t token, count, i;
	struct svr_flow6_key key;
	int err, ret;

	for (;;) {
		count = w->room;
		err = bpf_map_lookup_batch(w->fd[w->table], w->started ? &w->token : NULL, &token,
					   w->keys, w->flows, &count, NULL);
		if (err != -ENOSPC)
			break;
		/* A single bucket of the hash table holds more flows than we have room for */
		err = walk_resize(w, 2 * w->room);
		if (err)
			return err;
	}
	if (err && err != -ENOENT) {
		walk_reset(w);
		return err;
	}
	/* -ENOENT: that was the last bucket, and count entries came with it */
	w->started = !err;
	w->token = token;
	for (i = 0; i < count; i++) {
		walk_key(w, i, &key);
		ret = visit(&key, &w->flows[i], user);
		if (ret) {
			walk_reset(w);
			return ret;
		}
	}
	if (w->started)
		return 1;
	w->table = (w->table + 1) % TABLES;
	return w->table != 0;
}

int svr_flow_walk_all(const struct svr_mapset *maps, svr_flow_visit visit, void *user)
{
	struct svr_flow_walk *w;
	int ret;

	ret = svr_flow_walk_new(maps, WALK_ALL_PORTION, &w);
	if (ret)
		return ret;
	do {
		ret = svr_flow_walk_step(w, visit, user);
	} while (ret == 1);
	svr_flow_walk_free(w);
	return ret;
}
