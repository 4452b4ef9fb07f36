// SPDX-License-Identifier: BSD-2-Clause
/*
 * The set of peers: one for each that both the configuration and the maps know. Another
 * configuration changes what differs and nothing else. Under other CAs a peer goes on, and what it has
 * shown is judged anew (peercerts.c). One that is pinned otherwise, or whose rules about keys are
 * others, is made anew from what is stored, so its BFD sessions do not notice either.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>
#include <openssl/crypto.h>

#include "alarms.h"
#include "certs.h"
#include "keymgr.h"
#include "sys/log.h"
#include "sys/seq.h"

enum {
	SET_US_PER_MS = 1000,
	SET_MS_PER_SEC = 1000,
};

/* ---- what the configuration says -------------------------------------------------------------- */

/* Index 0 is never used, so 0 means: `svr` has not handed out a slot. */
static uint32_t find_peer_slot(const struct keymgr *km, const struct svr_view_peer *peer)
{
	uint32_t i;

	for (i = 1; i < km->maps.count.peers; i++)
		if (strncmp(km->maps.peers[i].name, peer->name, SVR_NAME_LEN) == 0 &&
		    strncmp(km->maps.peers[i].common_name, peer->peering_common_name,
			    SVR_NAME_LEN) == 0)
			return i;
	return 0;
}

static uint32_t find_path_slot(const struct keymgr *km, uint32_t peer,
			       const struct svr_view_path *path)
{
	uint32_t i;

	for (i = 1; i < km->maps.count.paths; i++) {
		const struct svr_path *p = &km->maps.paths[i];

		if (p->peer == peer &&
		    memcmp(p->local, path->local_address.bytes, sizeof(p->local)) == 0 &&
		    memcmp(p->remote, path->remote_address.bytes, sizeof(p->remote)) == 0)
			return i;
	}
	return 0;
}

static void path_configure(const struct svr_router_view *v, const struct svr_view_path *view,
			   struct svr_peering_path_config *out)
{
	const struct svr_cfg_bfd *bfd = &view->bfd;
	const bool v4 = view->remote_address.family == 4;
	const uint16_t mtu_min = v4 ? SVR_PATHMTU_MIN4 : SVR_PATHMTU_MIN6;
	const uint16_t mtu = v->zones[view->zone].mtu;

	*out = (struct svr_peering_path_config){
		.enabled = bfd->enabled,
		.single_hop = view->gateway.family == 0,
		.plain = !view->bfd_metadata,
		.bfd = {
			.desired_min_tx_us = bfd->desired_tx_interval_ms * SET_US_PER_MS,
			.required_min_rx_us = bfd->required_min_rx_interval_ms * SET_US_PER_MS,
			.detect_mult = bfd->multiplier,
		},
		.hold_down_ms = bfd->hold_down_time_s * SET_MS_PER_SEC,
		.hold_down_max_ms = bfd->maximum_hold_down_time_s * SET_MS_PER_SEC,
		.damping = bfd->dynamic_damping,
		.test = {
			.interval_ms = bfd->link_test_interval_s * SET_MS_PER_SEC,
			.average_ms = view->metrics_average_s * SET_MS_PER_SEC,
			.accept_us = bfd->required_min_echo_interval_ms * SET_US_PER_MS,
			.length = bfd->link_test_length,
		},
		.mtu = {
			.enabled = view->path_mtu.enabled,
			.interval_s = view->path_mtu.interval_s,
			.min = mtu_min,
			.max = mtu < mtu_min ? mtu_min : mtu,
		},
	};
	memcpy(out->local, view->local_address.bytes, sizeof(out->local));
	memcpy(out->remote, view->remote_address.bytes, sizeof(out->remote));
}

/* The paths of a peer that have a slot. */
static int peer_find_paths(struct km_peer *peer)
{
	const struct svr_view_peer *view = &peer->km->view->peers[peer->view];
	unsigned int i;

	peer->path = calloc(view->n_paths ? view->n_paths : 1, sizeof(*peer->path));
	if (!peer->path)
		return -ENOMEM;
	for (i = view->first_path; i < view->first_path + view->n_paths; i++) {
		const struct svr_view_path *v = &peer->km->view->paths[i];
		uint32_t slot = find_path_slot(peer->km, peer->slot, v);
		struct km_path *path = &peer->path[peer->n_paths];

		if (!slot) {
			pr_warn("path %s: not in the maps; try: svr config apply", v->name);
			continue;
		}
		*path = (struct km_path){
			.peer = peer,
			.view = i,
			.number = peer->n_paths++,
			.slot = slot,
			.port = v->bfd_port,
			.plain = !v->bfd_metadata,
			.tx_fd = -1,
			.dscp = v->bfd.dscp,
		};
		memcpy(path->remote, v->remote_address.bytes, sizeof(path->remote));
	}
	return 0;
}

/* @config: borrows from @peer and from @km */
static int peering_configure(const struct km_peer *peer, struct svr_peering_config *config)
{
	const struct keymgr *km = peer->km;
	const struct svr_cfg_key_management *k = km->view->key_management;
	const struct svr_view_peer *view = &km->view->peers[peer->view];

	memset(config, 0, sizeof(*config)); /* it is compared as a whole */
	config->kex.own_name = peer->own_name;
	config->kex.peer_name = peer->peer_name;
	config->kex.identity = km->identity;
	config->kex.trust = peer->trust;
	config->kex.group = svr_dh_group_of_bits(view->diffie_hellman_key_size);
	config->kex.retransmit_ms = k->peer_key_retransmit_interval_s * SET_MS_PER_SEC;
	config->kex.timeout_s = k->peer_key_timeout_s;
	config->own = &km->own;
	config->crypt = km->crypt;
	config->instance = km->instance;
	config->rekey_ms = km_static(km) ? 0 : svr_config_peer_rekey_sec(k) * SET_MS_PER_SEC;
	config->hold_ms = k->rekey_hold_time_s * SET_MS_PER_SEC;
	return km_static_peer(km, peer->own_name, peer->peer_name, &config->fixed);
}

/* ---- a peer ------------------------------------------------------------------------------------ */

static void peer_free(struct km_peer *peer)
{
	unsigned int i;

	if (peer->timer)
		event_free(peer->timer);
	svr_peering_free(peer->peering);
	svr_pki_trust_free(peer->trust);
	for (i = 0; i < peer->n_paths; i++)
		km_path_close(&peer->path[i]);
	free(peer->path);
	free(peer->name);
	free(peer->own_name);
	free(peer->peer_name);
	memset(peer, 0, sizeof(*peer));
}

/* It is not configured any more: the peer is told, its alarms end. */
static void peer_end(struct km_peer *peer)
{
	pr_info("peer %s: not configured any more", peer->name);
	if (peer->peering)
		svr_peering_set_paths(peer->peering, 0, NULL);
	peer_free(peer);
}

static int path_start(struct km_peer *peer, unsigned int number)
{
	const struct keymgr *km = peer->km;
	struct svr_peering_path_config config;

	path_configure(km->view, &km->view->paths[peer->path[number].view], &config);
	return svr_peering_set_path(peer->peering, number, &config,
				    &km->maps.path_state[peer->path[number].slot]);
}

static int peer_start(struct km_peer *peer)
{
	struct keymgr *km = peer->km;
	struct svr_peer_keys saved = km->maps.peer_keys[peer->slot]; /* we are the only writer */
	/* Killed while it wrote them, the process before left old and new in one. */
	const bool torn = saved.seq & 1;
	struct svr_peering_config config;
	unsigned int i;
	int ret;

	if (torn)
		pr_warn("peer %s: its keys were being written when the process before was killed: new ones are agreed",
			peer->name);
	ret = peering_configure(peer, &config);
	if (!ret)
		ret = svr_peering_new(&config, &km_peer_ops, peer, peer->n_paths,
				      torn ? NULL : &saved, &peer->peering);
	OPENSSL_cleanse(&config.fixed, sizeof(config.fixed));
	OPENSSL_cleanse(&saved, sizeof(saved));
	for (i = 0; i < peer->n_paths && !ret; i++)
		ret = path_start(peer, i);
	if (!ret)
		km_peer_log_keys(peer);
	return ret;
}

/* ---- another configuration -------------------------------------------------------------------- */

/* The old number of each new path, -1: none. */
static void match_paths(const struct km_peer *peer, const struct km_peer *old, int *from)
{
	unsigned int i, k;

	for (i = 0; i < peer->n_paths; i++) {
		from[i] = -1;
		for (k = 0; k < old->n_paths; k++)
			if (old->path[k].slot == peer->path[i].slot &&
			    old->path[k].plain == peer->path[i].plain &&
			    old->path[k].port == peer->path[i].port &&
			    memcmp(old->path[k].remote, peer->path[i].remote, 16) == 0)
				from[i] = (int)k;
	}
}

/* What belongs to a path besides its configuration goes on with it. */
static void take_paths(struct km_peer *peer, struct km_peer *old, const int *from)
{
	unsigned int i;

	for (i = 0; i < peer->n_paths; i++) {
		struct km_path *path = &peer->path[i], fresh = *path;

		if (from[i] < 0)
			continue;
		*path = old->path[from[i]];
		old->path[from[i]].tx_fd = -1; /* it has gone over */
		path->peer = peer;
		path->view = fresh.view;
		path->number = fresh.number;
		km_path_set_dscp(path, fresh.dscp);
	}
}

/*
 * @peer takes the place of @old, with the same peering and all that belongs to the peer besides its
 * configuration. @old is empty then.
 */
static int peer_take(struct km_peer *peer, struct km_peer *old)
{
	int *from = calloc(peer->n_paths ? peer->n_paths : 1, sizeof(*from)), ret = 0;
	bool same = peer->n_paths == old->n_paths;
	struct km_peer fresh = *peer;
	unsigned int i;

	if (!from)
		return -ENOMEM;
	match_paths(peer, old, from);
	for (i = 0; i < peer->n_paths; i++)
		same = same && from[i] == (int)i;
	if (!same)
		ret = svr_peering_set_paths(old->peering, peer->n_paths, from);
	if (ret)
		goto out;
	take_paths(peer, old, from);

	*peer = *old;
	peer->view = fresh.view;
	peer->path = fresh.path;
	peer->n_paths = fresh.n_paths;
	peer->trust = fresh.trust;
	peer->peering->user = peer;
	svr_peering_set_trust(peer->peering, fresh.trust); /* no exchange under the former rules */
	event_free(peer->timer); /* it names the old place; see km_peer_timer_new() */
	peer->timer = NULL;
	for (i = 0; i < old->n_paths; i++)
		km_path_close(&old->path[i]);
	free(old->path);
	svr_pki_trust_free(old->trust);
	memset(old, 0, sizeof(*old));
	free(fresh.name);
	free(fresh.own_name);
	free(fresh.peer_name);
	for (i = 0; i < peer->n_paths && !ret; i++)
		if (from[i] < 0)
			ret = path_start(peer, i);
out:
	free(from);
	return ret;
}

static void paths_configure(struct km_peer *peer)
{
	const struct svr_router_view *v = peer->km->view;
	struct svr_peering_path_config config;
	unsigned int i;

	for (i = 0; i < peer->n_paths; i++) {
		path_configure(v, &v->paths[peer->path[i].view], &config);
		svr_peering_configure_path(peer->peering, i, &config);
	}
}

/* The peering keeps its rules: is there nothing in the new ones that differs? */
static bool may_go_on(const struct km_peer *peer, const struct km_peer *old)
{
	struct svr_peering_config config;
	bool same;

	if (!old->peering || strcmp(old->own_name, peer->own_name) != 0 ||
	    strcmp(old->peer_name, peer->peer_name) != 0 ||
	    !svr_pki_trust_same_ground(old->trust, peer->trust))
		return false;
	if (peering_configure(peer, &config))
		return false;
	config.kex.own_name = old->own_name; /* equal, and what the peering holds on to */
	config.kex.peer_name = old->peer_name;
	config.kex.trust = old->trust;
	same = memcmp(&config, &old->peering->config, sizeof(config)) == 0;
	OPENSSL_cleanse(&config.fixed, sizeof(config.fixed));
	return same;
}

static int peer_prepare(struct km_peer *peer)
{
	const struct svr_router_view *v = peer->km->view;
	const struct svr_view_peer *view = &v->peers[peer->view];
	int ret;

	peer->name = strdup(view->name);
	peer->own_name = strdup(v->router->peering_common_name);
	peer->peer_name = strdup(view->peering_common_name);
	if (!peer->name || !peer->own_name || !peer->peer_name)
		return -ENOMEM;
	ret = km_trust_new(peer->km, view, &peer->trust);
	return ret ?: peer_find_paths(peer);
}

static struct km_peer *find_old(struct km_peer *old, unsigned int n_old, uint32_t slot)
{
	unsigned int i;

	for (i = 0; i < n_old; i++)
		if (old[i].slot == slot)
			return &old[i];
	return NULL;
}

/*
 * What belongs to nobody any more must not be found by the next owner of the slot, nor lie around.
 */
static void sweep(struct keymgr *km)
{
	bool *peer_used = calloc(km->maps.count.peer_keys, sizeof(*peer_used));
	bool *path_used = calloc(km->maps.count.path_state, sizeof(*path_used));
	unsigned int i, k;

	if (!peer_used || !path_used)
		goto out;
	for (i = 0; i < km->n_peers; i++) {
		peer_used[km->peer[i].slot] = true;
		for (k = 0; k < km->peer[i].n_paths; k++)
			path_used[km->peer[i].path[k].slot] = true;
	}
	for (i = 1; i < km->maps.count.path_state; i++)
		if (!path_used[i] && km->maps.path_state[i].owner)
			memset(&km->maps.path_state[i], 0, sizeof(km->maps.path_state[i]));
	for (i = 1; i < km->maps.count.peer_keys; i++) {
		struct svr_peer_keys *keys = &km->maps.peer_keys[i];

		if (peer_used[i] || (!keys->peer[0].index && !keys->peer[1].index &&
				     !keys->peer[2].index && !keys->meta[0].index))
			continue;
		svr_seq_write_begin(&keys->seq);
		OPENSSL_cleanse((uint8_t *)keys + sizeof(keys->seq),
				sizeof(*keys) - sizeof(keys->seq));
		svr_seq_write_end(&keys->seq);
	}
out:
	free(peer_used);
	free(path_used);
}

/* All peers that the configuration and the maps know, without peerings. */
static int peers_list(struct keymgr *km, struct km_peer *set, unsigned int *n)
{
	const struct svr_router_view *v = km->view;
	unsigned int i;
	int ret = 0;

	for (i = 0; i < v->n_peers && !ret; i++) {
		struct km_peer *peer = &set[*n];
		uint32_t slot = find_peer_slot(km, &v->peers[i]);

		if (!slot) {
			pr_warn("peer %s: not in the maps; try: svr config apply",
				v->peers[i].name);
			continue;
		}
		*peer = (struct km_peer){ .km = km, .view = i, .slot = slot };
		(*n)++;
		ret = peer_prepare(peer);
	}
	return ret;
}

/* Old peers that go on are put into the new set; the others end. */
static int peers_take(struct keymgr *km, struct km_peer *old, unsigned int n_old)
{
	unsigned int i;
	int ret = 0;

	for (i = 0; i < km->n_peers && !ret; i++) {
		struct km_peer *before = find_old(old, n_old, km->peer[i].slot);

		if (before && may_go_on(&km->peer[i], before))
			ret = peer_take(&km->peer[i], before);
	}
	for (i = 0; i < n_old; i++) {
		if (old[i].peering && !find_old(km->peer, km->n_peers, old[i].slot))
			peer_end(&old[i]);
		else
			peer_free(&old[i]); /* its peering goes on, or is made anew from what is stored */
	}
	free(old);
	return ret;
}

int km_peers_apply(struct keymgr *km)
{
	struct km_peer *old = km->peer, *set;
	unsigned int n_old = km->n_peers, n = 0, i;
	int ret;

	set = calloc(km->view->n_peers ? km->view->n_peers : 1, sizeof(*set));
	if (!set)
		return -ENOMEM;
	ret = peers_list(km, set, &n);
	km->peer = set;
	km->n_peers = n;
	ret = ret ?: peers_take(km, old, n_old);
	sweep(km);
	ret = ret ?: km_sockets_apply(km);
	for (i = 0; i < n && !ret; i++) {
		if (set[i].peering)
			paths_configure(&set[i]);
		else
			ret = peer_start(&set[i]);
		ret = ret ?: km_peer_timer_new(&set[i]);
		if (ret)
			pr_err("peer %s: cannot start: %s", set[i].name, strerror(-ret));
	}
	for (i = 0; i < n && !ret; i++) {
		svr_peering_tick(set[i].peering);
		km_peer_schedule(&set[i]);
	}
	return ret;
}

void km_peers_free(struct keymgr *km)
{
	unsigned int i;

	km_sockets_free(km); /* first: their events point to paths */
	for (i = 0; i < km->n_peers; i++)
		peer_free(&km->peer[i]);
	free(km->peer);
	km->peer = NULL;
	km->n_peers = 0;
}
