/* SPDX-License-Identifier: BSD-2-Clause */
/* The two flows of a session, which may stand in different tables, and removing flows. */
#ifndef SVR_WORKER_FLOWTABLE_H
#define SVR_WORKER_FLOWTABLE_H

#include <stdbool.h>
#include <stdint.h>
#include <svr/maps.h>

struct svr_mapset;

/* Key of the opposite direction's flow: what leaves by this one comes back by that one. */
void svr_flow_opposite_key(const struct svr_flow *flow, struct svr_flow6_key *out);

/*
 * Both directions of a session that XDP made; each is removed only if it is still the same session.
 * True if one was.
 */
bool svr_flowtable_remove_pair(const struct svr_mapset *maps, const struct svr_flow6_key *key,
			       const struct svr_flow *flow);

/* Remove every flow that @match names. Number of them, or negative errno. */
typedef bool (*svr_flow_match)(const struct svr_flow6_key *key, const struct svr_flow *flow,
			       void *user);
int svr_flowtable_remove_if(const struct svr_mapset *maps, svr_flow_match match, void *user);

#endif
