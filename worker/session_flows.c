// SPDX-License-Identifier: BSD-2-Clause
/* The two flows of a session in the flow tables. */
#include <errno.h>
#include <string.h>

#include <svr/drops.h>

#include "lib/now.h"
#include "sys/flows.h"
#include "worker/addr.h"
#include "worker/flowtable.h"
#include "worker/nexthop.h"
#include "worker/session_flows.h"
#include "worker/thread.h"

/*
 * The flow that arrives from the LAN leaves as the reverse of what arrives from the peer, and the
 * other way round.
 */
static void flow_fill(const struct svr_session *s, uint32_t slot, bool from_wan, uint32_t nexthop,
		      struct svr_flow *f)
{
	const struct svr_flow6_key *out = from_wan ? &s->lan :
						     &s->wan; /* its reverse is what leaves */
	bool rev = from_wan == (s->originator != 0);

	*f = (struct svr_flow){
		.flags = SVR_FLOW_VALID | SVR_FLOW_WORKER | (rev ? SVR_FLOW_REV : 0) |
			 (from_wan ? SVR_FLOW_FROM_WAN : 0) |
			 (s->originator ? SVR_FLOW_ORIGINATOR : 0) |
			 (svr_key_is4(out) ? 0 : SVR_FLOW_OUT6) |
			 (s->closing ? SVR_FLOW_CLOSING : 0),
		.nexthop = nexthop,
		.path = s->path,
		.out_zone = out->zone,
		.sport = out->dport,
		.dport = out->sport,
		.slot = slot,
		.slot_generation = s->generation,
		.last_seen_ns = s->last_lan_ns, /* it is being made */
		.created_sec = (uint32_t)(s->last_lan_ns / SVR_NS_PER_SEC),
		.service = s->service,
		.tenant = s->tenant,
		.policy = s->policy,
		.proto = out->proto,
	};
	if (s->lan.proto != s->wan.proto)
		f->flags |= from_wan ? SVR_FLOW_DECAP : SVR_FLOW_ENCAP;
	memcpy(f->saddr, out->daddr, sizeof(f->saddr));
	memcpy(f->daddr, out->saddr, sizeof(f->daddr));
	memcpy(f->uuid, s->uuid, sizeof(f->uuid));
}

uint32_t svr_session_label(const struct svr_session *s)
{
	const uint32_t label_bits = 0xfffff;
	uint32_t label;

	memcpy(&label, s->uuid, sizeof(label));
	return label & label_bits;
}

void svr_session_lan_target(const struct svr_thread *t, const struct svr_session *s,
			    __be32 out[static 4])
{
	const struct svr_service *svc = &t->maps->services[s->service];

	if (s->originator) /* back to the host that opened the session */
		svr_addr_next_hop(&t->maps->zones[s->lan.zone], s->lan.saddr, out);
	else if (svc->route_kind == SVR_ROUTE_LOCAL && svr_addr_is_set(svc->gateway) &&
		 svr_addr_is_mapped(svc->gateway) == svr_addr_is_mapped(s->lan.saddr))
		svr_addr_copy(out, svc->gateway);
	else
		svr_addr_copy(out, s->lan.saddr);
}

void svr_session_flow_make(struct svr_thread *t, const struct svr_session *s, uint32_t slot,
			   bool from_wan, struct svr_flow *f)
{
	uint32_t nexthop = s->path;
	__be32 target[4];

	if (from_wan) {
		nexthop = 0;
		svr_session_lan_target(t, s, target);
		svr_nexthop_of_neighbour(t->maps, &t->hints, s->lan.zone, target, &nexthop);
	}
	flow_fill(s, slot, from_wan, nexthop, f);
}

static bool flow_is_ours(const struct svr_flow *f, uint32_t slot, uint32_t generation)
{
	return (f->flags & SVR_FLOW_WORKER) && f->slot == slot && f->slot_generation == generation;
}

bool svr_session_flow_present(const struct svr_thread *t, const struct svr_flow6_key *key,
			      uint32_t slot, uint32_t generation)
{
	struct svr_flow f;

	return svr_flow_get(t->maps, key, &f) == 0 && flow_is_ours(&f, slot, generation);
}

void svr_session_flow_remove(const struct svr_thread *t, const struct svr_flow6_key *key,
			     uint32_t slot, uint32_t generation)
{
	if (svr_session_flow_present(t, key, slot, generation))
		svr_flow_delete(t->maps, key);
}

/* Of a flow whose session is no more, *stale is set. */
static enum svr_flow_owner flow_owner(struct svr_thread *t, const struct svr_flow6_key *key,
				      uint32_t *slot, struct svr_flow *flow, bool *stale)
{
	*slot = 0;
	*stale = false;
	if (svr_flow_get(t->maps, key, flow))
		return SVR_OWNER_NONE;
	if (!(flow->flags & SVR_FLOW_WORKER))
		return SVR_OWNER_CLEAR;
	if (svr_session_get(t, flow->slot, flow->slot_generation)) {
		*slot = flow->slot;
		return SVR_OWNER_WORKER;
	}
	*stale = true;
	return SVR_OWNER_NONE;
}

enum svr_flow_owner svr_session_of_flow(struct svr_thread *t, const struct svr_flow6_key *key,
					uint32_t *slot, struct svr_flow *flow)
{
	enum svr_flow_owner owner;
	bool stale;

	owner = flow_owner(t, key, slot, flow, &stale);
	if (!stale)
		return owner;
	/* Under the lock no session is half made: it is an old one that this flow belongs to */
	svr_sessions_lock(t);
	owner = flow_owner(t, key, slot, flow, &stale);
	if (stale)
		svr_flow_delete(t->maps, key);
	svr_sessions_unlock(t);
	return owner;
}

void svr_session_remove_clear(struct svr_thread *t, const struct svr_flow6_key *key,
			      const struct svr_flow *flow)
{
	if (svr_flowtable_remove_pair(t->maps, key, flow))
		svr_count(&t->counters, key->zone, SVR_STAT_SESSIONS_CLOSED, 1);
}

int svr_session_flow_insert(const struct svr_thread *t, const struct svr_flow6_key *key,
			    const struct svr_flow *f)
{
	int err = svr_flow_insert(t->maps, key, f);

	return !err || err == -EEXIST ? err : -SVR_DROP_TABLE_FULL;
}
