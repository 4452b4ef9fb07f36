// SPDX-License-Identifier: BSD-2-Clause
/*
 * Expiry. Sessions of the worker are looked at inside the data thread, a part of them per tick.
 * Clear sessions, which XDP made and stamps, are found by walking over the flow table, a portion
 * per tick; on the way it is noted which next hops are still named by flows.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include <svr/stats.h>

#include "lib/addr.h"
#include "lib/now.h"
#include "sys/flows.h"
#include "sys/log.h"
#include "sys/sessiontype.h"
#include "worker/timeout.h"
#include "worker/flowtable.h"
#include "worker/worker.h"

enum {
	TICK_MS = 100,
	EXPIRE_MIN = 256, /* live sessions per tick */
	EXPIRE_PARTS = 10, /* or this part of them, so that each is looked at once a second */
	PORTION = 4096, /* flows per tick */
	WALK_PAUSE_TICKS = 10, /* between two walks over the flow table */
	ORPHAN_MS = 5000, /* a flow without its opposite, or of a session that is no more */
};

struct svr_gc {
	struct event *tick;
	struct svr_flow_walk *walk;
	unsigned int pause;
	uint64_t now_ns;
	bool used[SVR_MAX_NEXTHOPS];
	uint64_t flows4, flows6; /* visited by the walk under way */
};

/* ---- sessions of the worker ---------------------------------------------------------------- */

static void expire_call(struct svr_thread *t, void *arg)
{
	uint32_t part =
		__atomic_load_n(&t->sessions->slots.n_live, __ATOMIC_RELAXED) / EXPIRE_PARTS;

	(void)arg;
	svr_sessions_expire(t, part > EXPIRE_MIN ? part : EXPIRE_MIN);
}

/* ---- clear sessions ------------------------------------------------------------------------ */

static bool older_than(uint64_t now_ns, uint64_t then_ns, uint64_t ns)
{
	return now_ns > then_ns &&
	       now_ns - then_ns > ns; /* XDP may have stamped it after we read the clock */
}

static bool worker_flow_orphaned(const struct svr_worker *w, const struct svr_flow *flow)
{
	const struct svr_session *s;

	if (flow->slot == 0 || flow->slot >= w->maps.count.sessions)
		return true;
	s = &w->maps.sessions[flow->slot];
	return __atomic_load_n(&s->state, __ATOMIC_ACQUIRE) != SVR_SESSION_LIVE ||
	       __atomic_load_n(&s->generation, __ATOMIC_RELAXED) != flow->slot_generation;
}

/*
 * When something was last heard of a clear session. The hosts of ours may go on for ever with one that
 * the other router has lost, and without TCP nobody tells them: then only what comes back counts, and
 * the next packet opens another session. As long as nothing came back, metadata is added to each.
 */
static uint64_t last_heard_ns(const struct svr_flow *flow, const struct svr_flow *opposite)
{
	const bool from_wan = flow->flags & SVR_FLOW_FROM_WAN;
	const struct svr_flow *lan = from_wan ? opposite : flow, *wan = from_wan ? flow : opposite;

	if (lan->flags & SVR_FLOW_ORIGINATOR && !(lan->flags & SVR_FLOW_META_ADD) &&
	    wan->proto != IPPROTO_TCP)
		return wan->last_seen_ns;
	return wan->last_seen_ns > lan->last_seen_ns ? wan->last_seen_ns : lan->last_seen_ns;
}

static void clear_flow_visit(struct svr_worker *w, const struct svr_flow6_key *key,
			     const struct svr_flow *flow)
{
	const struct svr_service *service =
		&w->maps.services[flow->service < w->maps.count.services ? flow->service : 0];
	const struct svr_session_type *type =
		svr_session_type_of_flow(&w->maps, key, flow, service);
	struct svr_flow6_key opposite_key;
	struct svr_flow opposite;

	/* Most flows are busy: no look-up for those */
	if (!older_than(w->gc->now_ns, flow->last_seen_ns,
			svr_clear_timeout_min_ns(flow, service, type)))
		return;
	svr_flow_opposite_key(flow, &opposite_key);
	if (svr_flow_get(&w->maps, &opposite_key, &opposite) ||
	    memcmp(opposite.uuid, flow->uuid, sizeof(flow->uuid)) != 0) {
		if (older_than(w->gc->now_ns, flow->last_seen_ns, ORPHAN_MS * SVR_NS_PER_MS))
			svr_flowtable_remove_pair(&w->maps, key, flow);
		return;
	}
	if (older_than(w->gc->now_ns, last_heard_ns(flow, &opposite),
		       svr_clear_timeout_ns(flow, &opposite, service, type)) &&
	    svr_flowtable_remove_pair(&w->maps, key, flow))
		svr_worker_count(w, flow->flags & SVR_FLOW_FROM_WAN ? opposite_key.zone : key->zone,
				 SVR_STAT_SESSIONS_CLOSED, 1);
}

static int flow_visit(const struct svr_flow6_key *key, const struct svr_flow *flow, void *user)
{
	struct svr_worker *w = user;

	if (svr_key_is4(key))
		w->gc->flows4++;
	else
		w->gc->flows6++;
	if (flow->nexthop < SVR_MAX_NEXTHOPS)
		w->gc->used[flow->nexthop] = true;
	if (!(flow->flags & SVR_FLOW_WORKER))
		clear_flow_visit(w, key, flow);
	else if (worker_flow_orphaned(w, flow) &&
		 older_than(w->gc->now_ns, flow->created_sec * SVR_NS_PER_SEC,
			    ORPHAN_MS * SVR_NS_PER_MS))
		svr_flow_delete(&w->maps, key);
	return 0;
}

static void walk_step(struct svr_worker *w)
{
	struct svr_gc *gc = w->gc;
	int ret;

	if (gc->pause > 0) {
		gc->pause--;
		return;
	}
	gc->now_ns = svr_worker_now_ns();
	ret = svr_flow_walk_step(gc->walk, flow_visit, w);
	if (ret == 1)
		return;
	if (ret < 0)
		pr_warn("walk over the flow tables: %s", strerror(-ret));
	else {
		svr_neigh_used(w, gc->used);
		svr_worker_flows_counted(w, gc->flows4, gc->flows6);
	}
	gc->flows4 = 0;
	gc->flows6 = 0;
	memset(gc->used, 0, sizeof(gc->used));
	gc->pause = WALK_PAUSE_TICKS;
}

static void tick(evutil_socket_t fd, short what, void *arg)
{
	struct svr_worker *w = arg;
	bool ended;

	(void)fd;
	(void)what;
	if (svr_sessions_busy(&w->sessions, &ended)) {
		svr_thread_call(w->pool.thread[0], expire_call, NULL);
		if (ended)
			svr_pool_wake(w);
	}
	walk_step(w);
}

int svr_gc_new(struct svr_worker *w)
{
	const struct timeval every = { .tv_usec = TICK_MS * 1000 };
	struct svr_gc *gc = calloc(1, sizeof(*gc));
	int err;

	if (!gc)
		return -ENOMEM;
	w->gc = gc;
	err = svr_flow_walk_new(&w->maps, PORTION, &gc->walk);
	if (err)
		return err;
	gc->tick = event_new(w->base, -1, EV_PERSIST, tick, w);
	return gc->tick && event_add(gc->tick, &every) == 0 ? 0 : -ENOMEM;
}

void svr_gc_free(struct svr_worker *w)
{
	if (!w->gc)
		return;
	if (w->gc->tick)
		event_free(w->gc->tick);
	svr_flow_walk_free(w->gc->walk);
	free(w->gc);
	w->gc = NULL;
}
