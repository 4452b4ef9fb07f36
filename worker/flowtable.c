// SPDX-License-Identifier: BSD-2-Clause
/* Flows in pairs, and their removal. */
#include <string.h>

#include "sys/flows.h"
#include "sys/mapset.h"
#include "worker/flowtable.h"

void svr_flow_opposite_key(const struct svr_flow *flow, struct svr_flow6_key *out)
{
	*out = (struct svr_flow6_key){
		.sport = flow->dport,
		.dport = flow->sport,
		.zone = flow->out_zone,
		.proto = flow->proto,
	};
	memcpy(out->saddr, flow->daddr, sizeof(out->saddr));
	memcpy(out->daddr, flow->saddr, sizeof(out->daddr));
}

/* XDP may have put a new session there since it was read. */
static bool remove_same(const struct svr_mapset *maps, const struct svr_flow6_key *key,
			const struct svr_flow *flow)
{
	struct svr_flow now;

	return svr_flow_get(maps, key, &now) == 0 &&
	       memcmp(now.uuid, flow->uuid, sizeof(now.uuid)) == 0 &&
	       !(now.flags & SVR_FLOW_WORKER) && svr_flow_delete(maps, key) == 0;
}

bool svr_flowtable_remove_pair(const struct svr_mapset *maps, const struct svr_flow6_key *key,
			       const struct svr_flow *flow)
{
	struct svr_flow6_key opposite;
	bool a, b;

	svr_flow_opposite_key(flow, &opposite);
	a = remove_same(maps, key, flow);
	b = remove_same(maps, &opposite, flow);
	return a || b;
}

struct removal {
	const struct svr_mapset *maps;
	svr_flow_match match;
	void *user;
	int removed;
};

static int removal_visit(const struct svr_flow6_key *key, const struct svr_flow *flow, void *user)
{
	struct removal *r = user;

	if (r->match(key, flow, r->user) && svr_flow_delete(r->maps, key) == 0)
		r->removed++;
	return 0;
}

int svr_flowtable_remove_if(const struct svr_mapset *maps, svr_flow_match match, void *user)
{
	struct removal r = { .maps = maps, .match = match, .user = user };
	int err = svr_flow_walk_all(maps, removal_visit, &r);

	return err ? err : r.removed;
}
