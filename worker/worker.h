/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * svr-worker: the main thread's view of everything. It runs the event loop: zones and their
 * sockets, next hops, packets that wait, expiry, control socket. The data threads (thread.h) move
 * the packets.
 */
#ifndef SVR_WORKER_WORKER_H
#define SVR_WORKER_WORKER_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <svr/limits.h>

#include "sys/mapset.h"
#include "worker/mailbox.h"
#include "worker/options.h"
#include "worker/thread.h"

struct event;
struct event_base;
struct svr_ctl_server;
struct svr_flow_walk;
struct svr_gc;
struct svr_hold;
struct svr_neigh;
struct svr_netlink;
struct svr_sockets;
struct svr_whole;
struct svr_worker_alarms;
struct svr_zones;

struct svr_pool {
	struct svr_worker_options options;
	bool started;
	unsigned int n; /* at least one */
	struct svr_thread *thread[SVR_MAX_THREADS];
};

struct svr_worker {
	const char *router;
	struct event_base *base;
	struct svr_mapset maps;
	struct svr_mailbox mailbox, whole_mail;
	struct svr_sessions sessions;
	struct svr_pool pool;
	struct svr_netlink *netlink;
	struct svr_zones *zones;
	struct svr_sockets *sockets;
	struct svr_neigh *neigh;
	struct svr_hold *hold;
	struct svr_whole *whole;
	struct svr_gc *gc;
	struct svr_worker_alarms *alarms;
	struct svr_ctl_server *ctl;
	FILE *keylog;
	uint64_t started_ns;
};

/* CLOCK_MONOTONIC. */
uint64_t svr_worker_now_ns(void);

/* Counters from the main thread, straight into the mapped arrays. */
void svr_worker_count_drop(struct svr_worker *w, uint32_t zone, unsigned int reason);
void svr_worker_count(struct svr_worker *w, uint32_t zone, unsigned int stat, uint64_t by);

/* ---- pool.c: data threads ------------------------------------------------------------------ */
int svr_pool_new(struct svr_worker *w); /* with the first one, which does not run yet */
int svr_pool_start(struct svr_worker *w);
/*
 * As many threads as are worth while for devices with up to @queues queues: number of those that
 * should share them out, thread 0 first.
 */
unsigned int svr_pool_want(struct svr_worker *w, unsigned int queues);
/* Each passes through its loop once, so that what all of them have to pass goes on. */
void svr_pool_wake(struct svr_worker *w);
void svr_pool_stop(struct svr_worker *w);
void svr_pool_free(struct svr_worker *w);

/* ---- zones.c: interfaces of the router and their devices (their sockets: sockets.h) -------- */
struct svr_nl_link;

int svr_zones_new(struct svr_worker *w);
void svr_zones_free(struct svr_worker *w);
void svr_zones_link(struct svr_worker *w, const struct svr_nl_link *link);
/* Look at the configuration again; binds, unbinds, tries again what was busy. */
void svr_zones_scan(struct svr_worker *w);
/* The same, if there is another configuration than at the last look. */
void svr_zones_follow(struct svr_worker *w);
/* Device on which the kernel has the zone's neighbours (a VLAN's own device), 0: not there. */
int svr_zones_ifindex(const struct svr_worker *w, uint32_t zone);
/* MAC address of the zone's device; false if it is not known. */
bool svr_zones_mac(const struct svr_worker *w, uint32_t zone, uint8_t mac[6]);
struct json_object *svr_zones_json(struct svr_worker *w);

/* ---- neigh.c: next hops of paths and of LAN neighbours ------------------------------------- */
struct svr_nl_neighbour;

int svr_neigh_new(struct svr_worker *w);
void svr_neigh_free(struct svr_worker *w);
void svr_neigh_event(struct svr_worker *w, const struct svr_nl_neighbour *n);
/* The number of a zone may be given to another interface. */
void svr_neigh_forget_zone(struct svr_worker *w, uint32_t zone);
/* Zones, devices or paths changed. */
void svr_neigh_reload(struct svr_worker *w);
/*
 * True if the next hop is known; otherwise the kernel is asked, and svr_hold_release() follows when
 * it answers.
 */
bool svr_neigh_resolve(struct svr_worker *w, uint32_t zone, const __be32 addr[static 4]);
/* A whole walk over the flows is done: @used[n] tells if a flow names next hop n. */
void svr_neigh_used(struct svr_worker *w, const bool used[static SVR_MAX_NEXTHOPS]);

/* ---- hold.c: packets that wait for a next hop ---------------------------------------------- */
int svr_hold_new(struct svr_worker *w);
void svr_hold_free(struct svr_worker *w);
void svr_hold_release(struct svr_worker *w, uint32_t zone, const __be32 addr[static 4]);
unsigned int svr_hold_count(const struct svr_worker *w);

/* ---- gc.c: sessions and flows that are over ------------------------------------------------ */
int svr_gc_new(struct svr_worker *w);
void svr_gc_free(struct svr_worker *w);

/* ---- alarms.c: what is wrong, for the key manager ------------------------------------------ */
int svr_worker_alarms_new(struct svr_worker *w);
void svr_worker_alarms_free(struct svr_worker *w);
/* So many flows were in the tables during the last whole walk. */
void svr_worker_flows_counted(struct svr_worker *w, uint64_t ipv4, uint64_t ipv6);

/* ---- ctl.c: control socket ----------------------------------------------------------------- */
int svr_worker_ctl_start(struct svr_worker *w);
void svr_worker_ctl_stop(struct svr_worker *w);

#endif
