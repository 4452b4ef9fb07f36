// SPDX-License-Identifier: BSD-2-Clause
/*
 * Next hops. Slot p of svr_nexthops is the next hop of peer path p; LAN neighbours take slots from
 * SVR_MAX_PATHS up, found through svr_neighbours. The kernel does ARP and neighbour discovery; it is
 * asked as if it had something to send (NTF_USE), because it does not see what XDP forwards and
 * would forget.
 *
 * Flows name slots by number, so a slot gets another neighbour only after a whole walk over the
 * flows has found it unused, while it could no longer be found in svr_neighbours.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <linux/neighbour.h>

#include <bpf/bpf.h>
#include <event2/event.h>

#include "sys/log.h"
#include "worker/addr.h"
#include "worker/netlink.h"
#include "worker/worker.h"

enum {
	TICK_SEC = 1,
	CONFIRM_SEC =
		15, /* a neighbour in use that the kernel holds for stale is confirmed so often */
	FORGET_SEC = 60, /* a slot that no flow names and no neighbour fills goes back after this */
	FORGET_CROWDED_SEC =
		5, /* and if few are left, also one whose neighbour is not known to live */
	ASK_PER_TICK = 128,
	NUD_USABLE = NUD_PERMANENT | NUD_NOARP | NUD_REACHABLE | NUD_PROBE | NUD_STALE | NUD_DELAY,
};
#define NS_PER_SEC 1000000000ULL

enum lan_state {
	LAN_FREE,
	LAN_USED, /* in svr_neighbours */
	LAN_LIMBO, /* no longer there; waits until no flow names it */
};

struct lan_slot {
	uint8_t state; /* enum lan_state */
	bool referenced; /* by a flow, as of the last walk */
	uint16_t nud; /* the kernel's view */
	uint32_t limbo_walks;
	uint64_t asked_ns, idle_since_ns;
};

struct path_hop {
	uint32_t path;
	uint16_t nud;
	uint64_t asked_ns;
};

struct svr_neigh {
	struct event *tick;
	struct path_hop *paths;
	unsigned int n_paths;
	struct lan_slot lan[SVR_MAX_NEIGHBOURS];
	uint32_t next_ask; /* slot where the next tick goes on to ask, modulo their number */
	bool full_told;
};

static struct svr_nexthop *lan_hop(const struct svr_worker *w, uint32_t i)
{
	return &w->maps.nexthops[SVR_MAX_PATHS + i];
}

/* ---- writing ------------------------------------------------------------------------------- */

/* False if the zone's own MAC is not known. */
static bool hop_set_valid(const struct svr_worker *w, struct svr_nexthop *hop, const uint8_t mac[6])
{
	uint8_t own[6];

	if (!svr_zones_mac(w, hop->zone, own))
		return false;
	if (hop->valid && memcmp(hop->dmac, mac, 6) == 0 && memcmp(hop->smac, own, 6) == 0)
		return true;
	memcpy(hop->dmac, mac, 6);
	memcpy(hop->smac, own, 6);
	__atomic_store_n(&hop->valid, 1, __ATOMIC_RELEASE);
	return true;
}

static void hop_set_invalid(struct svr_nexthop *hop)
{
	__atomic_store_n(&hop->valid, 0, __ATOMIC_RELEASE);
}

/* Of another zone or for another address: not valid until its MAC is known. */
static void hop_set_target(struct svr_nexthop *hop, uint32_t zone, const __be32 addr[static 4])
{
	if (hop->zone == zone && svr_addr_equal(hop->addr, addr))
		return;
	hop_set_invalid(hop);
	__atomic_thread_fence(__ATOMIC_SEQ_CST); /* nobody takes the old MAC for the new address */
	hop->zone = zone;
	memcpy(hop->addr, addr, sizeof(hop->addr));
}

static void ask(struct svr_worker *w, uint32_t zone, const __be32 addr[static 4],
		uint64_t *asked_ns)
{
	int ifindex = svr_zones_ifindex(w, zone), err;

	*asked_ns = svr_worker_now_ns();
	if (ifindex == 0)
		return;
	err = svr_netlink_use_neighbour(w->netlink, ifindex, addr);
	if (err)
		pr_debug("zone %u: cannot ask for a neighbour: %s", zone, strerror(-err));
}

/* ---- LAN neighbours ------------------------------------------------------------------------ */

/* Slot of a neighbour (counted from 0), or -1. */
static int lan_find(const struct svr_worker *w, uint32_t zone, const __be32 addr[static 4])
{
	struct svr_addr_key key = { .zone = zone };
	uint32_t slot;

	memcpy(key.addr, addr, sizeof(key.addr));
	if (bpf_map_lookup_elem(w->maps.fd.neighbours, &key, &slot) || slot < SVR_MAX_PATHS ||
	    slot >= SVR_MAX_NEXTHOPS)
		return -1;
	return (int)(slot - SVR_MAX_PATHS);
}

/*
 * A slot for this neighbour: the one that it had before, which flows may still name, or a free one;
 * SVR_MAX_NEIGHBOURS if there is none.
 */
static uint32_t lan_slot_for(const struct svr_worker *w, uint32_t zone, const __be32 addr[static 4])
{
	uint32_t i, found = SVR_MAX_NEIGHBOURS;

	for (i = 0; i < SVR_MAX_NEIGHBOURS; i++) {
		const struct lan_slot *s = &w->neigh->lan[i];

		if (s->state == LAN_LIMBO && lan_hop(w, i)->zone == zone &&
		    svr_addr_equal(lan_hop(w, i)->addr, addr))
			return i;
		if (s->state == LAN_FREE && found == SVR_MAX_NEIGHBOURS)
			found = i;
	}
	return found;
}

static int lan_add(struct svr_worker *w, uint32_t zone, const __be32 addr[static 4])
{
	const uint32_t i = lan_slot_for(w, zone, addr);
	struct svr_addr_key key = { .zone = zone };
	struct svr_neigh *n = w->neigh;
	uint32_t slot;

	if (i == SVR_MAX_NEIGHBOURS) {
		if (!n->full_told)
			pr_warn("more than %d LAN neighbours: no sessions with further ones",
				SVR_MAX_NEIGHBOURS);
		n->full_told = true;
		return -1;
	}
	hop_set_target(lan_hop(w, i), zone, addr);
	slot = SVR_MAX_PATHS + i;
	memcpy(key.addr, addr, sizeof(key.addr));
	if (bpf_map_update_elem(w->maps.fd.neighbours, &key, &slot, BPF_ANY)) {
		pr_warn("cannot enter a neighbour into svr_neighbours: %s", strerror(errno));
		return -1;
	}
	n->lan[i] = (struct lan_slot){ .state = LAN_USED, .idle_since_ns = svr_worker_now_ns() };
	return (int)i;
}

static void lan_to_limbo(struct svr_worker *w, uint32_t i)
{
	struct svr_nexthop *hop = lan_hop(w, i);
	struct svr_addr_key key = { .zone = hop->zone };

	memcpy(key.addr, hop->addr, sizeof(key.addr));
	bpf_map_delete_elem(w->maps.fd.neighbours, &key);
	hop_set_invalid(hop);
	w->neigh->lan[i].state = LAN_LIMBO;
	w->neigh->lan[i].limbo_walks = 0;
}

void svr_neigh_forget_zone(struct svr_worker *w, uint32_t zone)
{
	uint32_t i;

	for (i = 0; w->neigh && i < SVR_MAX_NEIGHBOURS; i++)
		if (w->neigh->lan[i].state == LAN_USED && lan_hop(w, i)->zone == zone)
			lan_to_limbo(w, i);
}

/*
 * After a restart: what is in svr_neighbours is used, what else was written may still be named by
 * flows.
 */
static void lan_adopt(struct svr_worker *w)
{
	struct svr_addr_key key, *prev = NULL, last;
	uint32_t i, slot;

	for (i = 0; i < SVR_MAX_NEIGHBOURS; i++)
		if (lan_hop(w, i)->zone)
			w->neigh->lan[i].state = LAN_LIMBO;
	while (bpf_map_get_next_key(w->maps.fd.neighbours, prev, &key) == 0) {
		if (bpf_map_lookup_elem(w->maps.fd.neighbours, &key, &slot) == 0 &&
		    slot >= SVR_MAX_PATHS && slot < SVR_MAX_NEXTHOPS)
			w->neigh->lan[slot - SVR_MAX_PATHS] = (struct lan_slot){
				.state = LAN_USED,
				.nud = NUD_NONE, /* until the kernel has told */
				.idle_since_ns = svr_worker_now_ns(),
			};
		last = key;
		prev = &last;
	}
}

/*
 * Every IPv6 host has a link-local address, and no session leads there: only routers are of use
 * under such a one.
 */
static bool is_gateway(const struct svr_worker *w, uint32_t zone, const __be32 addr[static 4])
{
	const struct svr_zone *z = &w->maps.zones[zone];
	uint32_t i;

	for (i = 0; i < z->addrs && i < SVR_ZONE_ADDRS; i++)
		if (svr_addr_equal(z->addr[i].gateway, addr))
			return true;
	for (i = 1; i < w->maps.count.services; i++)
		if (w->maps.services[i].zone == zone &&
		    svr_addr_equal(w->maps.services[i].gateway, addr))
			return true;
	return false;
}

static void lan_event(struct svr_worker *w, uint32_t zone, const struct svr_nl_neighbour *n)
{
	bool usable = n->has_mac && !n->gone && (n->state & NUD_USABLE);
	int i = lan_find(w, zone, n->addr);

	if (i < 0 && usable &&
	    (!svr_addr_link_local(n->addr) || is_gateway(w, zone, n->addr)))
		i = lan_add(w, zone, n->addr);
	if (i < 0)
		return;
	w->neigh->lan[i].nud = n->gone ? NUD_NONE : n->state;
	if (usable && hop_set_valid(w, lan_hop(w, (uint32_t)i), n->mac))
		svr_hold_release(w, zone, n->addr);
	else if (n->state & NUD_FAILED)
		hop_set_invalid(lan_hop(w, (uint32_t)i));
	/* Forgotten by the kernel, not refuted: the MAC stays until there is a better answer */
}

/* Few slots are left: whoever makes up addresses must not keep hosts out. */
static bool lan_is_crowded(const struct svr_worker *w)
{
	uint32_t i, left = 0;

	for (i = 0; i < SVR_MAX_NEIGHBOURS; i++)
		left += w->neigh->lan[i].state == LAN_FREE;
	return left < SVR_MAX_NEIGHBOURS / 4;
}

/* May the slot of a neighbour go that no flow names? */
static bool lan_is_idle(const struct svr_worker *w, uint32_t i, bool crowded, uint64_t now_ns)
{
	const struct lan_slot *s = &w->neigh->lan[i];
	const uint64_t pause_sec = crowded ? FORGET_CROWDED_SEC : FORGET_SEC;

	/* It does not answer, or the kernel has forgotten it, too */
	return (!lan_hop(w, i)->valid || s->nud == NUD_NONE ||
		(crowded && !(s->nud & (NUD_REACHABLE | NUD_PERMANENT)))) &&
	       now_ns - s->idle_since_ns > pause_sec * NS_PER_SEC;
}

void svr_neigh_used(struct svr_worker *w, const bool used[static SVR_MAX_NEXTHOPS])
{
	const bool crowded = lan_is_crowded(w);
	uint64_t now_ns = svr_worker_now_ns();
	uint32_t i;

	for (i = 0; i < SVR_MAX_NEIGHBOURS; i++) {
		struct lan_slot *s = &w->neigh->lan[i];

		s->referenced = used[SVR_MAX_PATHS + i];
		if (s->referenced)
			s->idle_since_ns = now_ns;
		if (s->state == LAN_USED && lan_is_idle(w, i, crowded, now_ns)) {
			lan_to_limbo(w, i);
		} else if (s->state == LAN_LIMBO) {
			/* The walk that was under way when it went to limbo does not count */
			s->limbo_walks = s->referenced ? 0 : s->limbo_walks + 1;
			if (s->limbo_walks >= 2) {
				memset(lan_hop(w, i), 0, sizeof(struct svr_nexthop));
				s->state = LAN_FREE;
				w->neigh->full_told = false;
			}
		}
	}
}

/* ---- paths --------------------------------------------------------------------------------- */

static void path_event(struct svr_worker *w, struct path_hop *p, const struct svr_nl_neighbour *n)
{
	struct svr_nexthop *hop = &w->maps.nexthops[p->path];
	bool was_valid = hop->valid;

	if (!svr_addr_equal(hop->addr, n->addr))
		return;
	p->nud = n->gone ? NUD_NONE : n->state;
	if (n->has_mac && !n->gone && (n->state & NUD_USABLE)) {
		if (!hop_set_valid(w, hop, n->mac))
			return;
		if (!was_valid)
			pr_debug("path %s: next hop resolved", w->maps.paths[p->path].name);
		svr_hold_release(w, hop->zone, n->addr);
	} else if (n->state & NUD_FAILED) {
		if (was_valid)
			pr_debug("path %s: next hop does not answer", w->maps.paths[p->path].name);
		hop_set_invalid(hop);
	}
}

static int paths_reload(struct svr_worker *w)
{
	struct svr_neigh *n = w->neigh;
	struct path_hop *paths = NULL;
	unsigned int count = 0;
	uint32_t p;

	paths = calloc(SVR_MAX_PATHS, sizeof(*paths));
	if (!paths)
		return -ENOMEM;
	for (p = 1; p < SVR_MAX_PATHS && p < w->maps.count.paths; p++) {
		const struct svr_path *path = &w->maps.paths[p];
		struct svr_nexthop *hop = &w->maps.nexthops[p];
		__be32 addr[4];

		if (path->peer == 0 || path->zone == 0 || path->zone >= w->maps.count.zones) {
			if (hop->zone)
				memset(hop, 0, sizeof(*hop));
			continue;
		}
		svr_addr_next_hop(&w->maps.zones[path->zone], path->remote, addr);
		hop_set_target(hop, path->zone, addr);
		paths[count++] = (struct path_hop){ .path = p };
	}
	free(n->paths);
	n->paths = paths;
	n->n_paths = count;
	return 0;
}

/* ---- events, timer ------------------------------------------------------------------------- */

void svr_neigh_event(struct svr_worker *w, const struct svr_nl_neighbour *n)
{
	unsigned int i;
	uint32_t zone;

	if (!svr_addr_one_host(n->addr) || n->state & NUD_NOARP)
		return;
	for (zone = 1; zone < SVR_MAX_ZONES && zone < w->maps.count.zones; zone++) {
		if (svr_zones_ifindex(w, zone) != n->ifindex)
			continue;
		if (w->maps.zones[zone].role == SVR_ROLE_LAN)
			lan_event(w, zone, n);
		for (i = 0; i < w->neigh->n_paths; i++)
			if (w->maps.nexthops[w->neigh->paths[i].path].zone == zone)
				path_event(w, &w->neigh->paths[i], n);
	}
}

/* Own MAC of every next hop that is in use. */
static void own_macs_refresh(struct svr_worker *w)
{
	uint8_t mac[6];
	uint32_t i;

	for (i = 0; i < w->maps.count.nexthops; i++) {
		struct svr_nexthop *hop = &w->maps.nexthops[i];

		if (hop->valid && svr_zones_mac(w, hop->zone, mac) &&
		    memcmp(mac, hop->smac, sizeof(mac)) != 0)
			memcpy(hop->smac, mac, sizeof(mac));
	}
}

static bool stale(uint16_t nud, uint64_t asked_ns, uint64_t now_ns)
{
	return !(nud & (NUD_REACHABLE | NUD_PERMANENT | NUD_DELAY | NUD_PROBE)) &&
	       now_ns - asked_ns > CONFIRM_SEC * NS_PER_SEC;
}

static void paths_tick(struct svr_worker *w, uint64_t now_ns)
{
	unsigned int i;

	for (i = 0; i < w->neigh->n_paths; i++) {
		struct path_hop *p = &w->neigh->paths[i];
		const struct svr_nexthop *hop = &w->maps.nexthops[p->path];

		if (!hop->valid || stale(p->nud, p->asked_ns, now_ns))
			ask(w, hop->zone, hop->addr, &p->asked_ns);
	}
}

static void lan_tick(struct svr_worker *w, uint64_t now_ns)
{
	unsigned int left = ASK_PER_TICK;
	struct svr_neigh *n = w->neigh;
	uint32_t looked;

	for (looked = 0; looked < SVR_MAX_NEIGHBOURS && left > 0; looked++) {
		const uint32_t i = n->next_ask++ % SVR_MAX_NEIGHBOURS;
		struct lan_slot *s = &n->lan[i];
		const struct svr_nexthop *hop = lan_hop(w, i);

		if (s->state != LAN_USED || !s->referenced ||
		    (hop->valid && !stale(s->nud, s->asked_ns, now_ns)))
			continue;
		ask(w, hop->zone, hop->addr, &s->asked_ns);
		left--;
	}
}

static void tick(evutil_socket_t fd, short what, void *arg)
{
	struct svr_worker *w = arg;
	uint64_t now_ns = svr_worker_now_ns();

	(void)fd;
	(void)what;
	paths_tick(w, now_ns);
	lan_tick(w, now_ns);
}

bool svr_neigh_resolve(struct svr_worker *w, uint32_t zone, const __be32 addr[static 4])
{
	uint64_t asked_ns;
	unsigned int i;
	int slot;

	for (i = 0; i < w->neigh->n_paths; i++) {
		const struct svr_nexthop *hop = &w->maps.nexthops[w->neigh->paths[i].path];

		if (hop->zone == zone && svr_addr_equal(hop->addr, addr) && hop->valid)
			return true;
	}
	slot = lan_find(w, zone, addr);
	if (slot >= 0 && lan_hop(w, (uint32_t)slot)->valid)
		return true;
	ask(w, zone, addr, &asked_ns);
	return false;
}

void svr_neigh_reload(struct svr_worker *w)
{
	int err;

	if (!w->neigh)
		return;
	err = paths_reload(w);
	if (!err)
		err = svr_netlink_dump(w->netlink);
	if (err)
		pr_warn("cannot read the neighbour table: %s; next hops may be missing",
			strerror(-err));
	own_macs_refresh(w);
	paths_tick(w, svr_worker_now_ns());
}

int svr_neigh_new(struct svr_worker *w)
{
	const struct timeval every = { .tv_sec = TICK_SEC };

	w->neigh = calloc(1, sizeof(*w->neigh));
	if (!w->neigh)
		return -ENOMEM;
	lan_adopt(w);
	w->neigh->tick = event_new(w->base, -1, EV_PERSIST, tick, w);
	if (!w->neigh->tick || event_add(w->neigh->tick, &every))
		return -ENOMEM;
	return 0;
}

void svr_neigh_free(struct svr_worker *w)
{
	if (!w->neigh)
		return;
	if (w->neigh->tick)
		event_free(w->neigh->tick);
	free(w->neigh->paths);
	free(w->neigh);
	w->neigh = NULL;
}
