/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The flow tables svr_flows4 and svr_flows6 as one: single flows, and walking over all of them, at
 * once for `svr show sessions`, in portions for the worker. Part of libsvrsys.
 */
#ifndef SVR_SYS_FLOWS_H
#define SVR_SYS_FLOWS_H

#include <stdbool.h>
#include <stdint.h>
#include <svr/maps.h>

struct svr_mapset;

/* A flow of either family; @key in the form of both. 0 or negative errno. */
int svr_flow_get(const struct svr_mapset *maps, const struct svr_flow6_key *key,
		 struct svr_flow *flow);
/* -EEXIST if there is one already, -E2BIG or -ENOMEM if the table is full. */
int svr_flow_insert(const struct svr_mapset *maps, const struct svr_flow6_key *key,
		    const struct svr_flow *flow);
int svr_flow_delete(const struct svr_mapset *maps, const struct svr_flow6_key *key);

/*
 * Called for each flow with copies. Return: 0 to go on, anything else ends the walk. It may delete
 * flows.
 */
typedef int (*svr_flow_visit)(const struct svr_flow6_key *key, const struct svr_flow *flow,
			      void *user);

struct svr_flow_walk;

/*
 * @maps: must stay open; @portion: flows that one step looks at, about. 0, -ENOMEM, other negative
 * errno.
 */
int svr_flow_walk_new(const struct svr_mapset *maps, uint32_t portion, struct svr_flow_walk **out);
void svr_flow_walk_free(struct svr_flow_walk *w);

/**
 * svr_flow_walk_step() - visit the next portion. A flow that is there from the first step to the
 * last is visited exactly once; one that comes or goes meanwhile may be.
 * Return: 1 if there is more, 0 if this was the last one (the next step starts from the beginning),
 * @visit's value if not 0, negative errno.
 */
int svr_flow_walk_step(struct svr_flow_walk *w, svr_flow_visit visit, void *user);

/* All flows. 0, @visit's value if not 0, negative errno. */
int svr_flow_walk_all(const struct svr_mapset *maps, svr_flow_visit visit, void *user);

#endif
