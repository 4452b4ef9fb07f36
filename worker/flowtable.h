/* SPDX-License-Identifier: BSD-2-Clause */
/* The flows in the pinned maps svr_flows4 and svr_flows6: one by one, in pairs, and removing them. */
#ifndef SVR_WORKER_FLOWTABLE_H
#define SVR_WORKER_FLOWTABLE_H

#include <stdbool.h>
#include <stdint.h>
#include <svr/maps.h>

struct svr_mapset;

/* A flow of either family. 0 or negative errno. */
int svr_flowtable_get(const struct svr_mapset *maps, const struct svr_flow6_key *key,
		      struct svr_flow *flow);
/* -EEXIST if there is one already, -E2BIG or -ENOMEM if the table is full. */
int svr_flowtable_insert(const struct svr_mapset *maps, const struct svr_flow6_key *key,
			 const struct svr_flow *flow);
int svr_flowtable_delete(const struct svr_mapset *maps, const struct svr_flow6_key *key);

/* Key of the opposite direction's flow: what leaves by this one comes back by that one. */
void svr_flow_opposite_key(const struct svr_flow *flow, struct svr_flow6_key *out);

/*
 * Both directions of a session that XDP made; each is removed only if it is still the same session.
 * True if one was.
 */
bool svr_flowtable_remove_pair(const struct svr_mapset *maps, const struct svr_flow6_key *key,
			       const struct svr_flow *flow);

/* Remove every flow that @match names. Number of them, or negative errno. */
typedef bool (*svr_flow_match)(const struct svr_flow4_key *key, const struct svr_flow *flow,
			       void *user);
int svr_flowtable_remove_if(const struct svr_mapset *maps, svr_flow_match match, void *user);

#endif
