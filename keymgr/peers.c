// SPDX-License-Identifier: BSD-2-Clause
/*
 * A peering for each peer that both the configuration and the maps know. What a peering stores goes
 * into the maps at once, so a process that is killed at any moment is continued by the next one.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>
#include <openssl/crypto.h>

#include "keymgr.h"
#include "sys/jobs.h"
#include "sys/keylog.h"
#include "sys/log.h"
#include "sys/seq.h"

enum { PEERS_US_PER_MS = 1000, PEERS_MS_PER_SEC = 1000 };

/* ---- what a peering asks of us --------------------------------------------------------------- */

static int peer_random(void *user, void *out, size_t len)
{
	(void)user;
	return km_random(out, len);
}

/* As many exchanges as the threads can keep up with: the rest is tried again a second later. */
static bool peer_may_compute(void *user, uint64_t now_ns)
{
	const struct km_peer *peer = user;

	(void)now_ns;
	return svr_jobs_pending(peer->km->jobs) < KM_JOBS_MAX;
}

static void on_computed(void *arg, int cancelled)
{
	struct km_peer *peer;

	if (cancelled) {
		svr_kex_job_free(arg);
		return;
	}
	peer = svr_peering_computed(arg);
	if (peer)
		km_peer_schedule(peer);
}

static void run_job(void *arg)
{
	svr_kex_job_run(arg);
}

static int peer_compute(void *user, struct svr_kex_job *job)
{
	const struct km_peer *peer = user;

	return svr_jobs_submit(peer->km->jobs, run_job, on_computed, job);
}

static void peer_refused(void *user, int drop)
{
	const struct km_peer *peer = user;

	km_count_drop(peer->km, drop);
}

static struct svr_now peer_now(void *user)
{
	(void)user;
	return km_now();
}

static void peer_send(void *user, unsigned int path, const uint8_t *packet, size_t len)
{
	km_path_send(&((struct km_peer *)user)->path[path], packet, len);
}

static void peer_save_path(void *user, unsigned int number, const struct svr_path_state *state)
{
	struct km_peer *peer = user;
	struct svr_path_state *to = &peer->km->maps.path_state[peer->path[number].slot];

	/* Everything before the status, which is all that XDP and the worker look at. */
	memcpy((uint8_t *)to + sizeof(to->status), (const uint8_t *)state + sizeof(to->status),
	       sizeof(*to) - sizeof(to->status));
	__atomic_store_n(&to->status, state->status, __ATOMIC_RELEASE);
}

static void peer_save_keys(void *user, const struct svr_peer_keys *keys)
{
	struct km_peer *peer = user;
	struct svr_peer_keys *to = &peer->km->maps.peer_keys[peer->slot];

	svr_seq_write_begin(&to->seq);
	memcpy((uint8_t *)to + sizeof(to->seq), (const uint8_t *)keys + sizeof(to->seq),
	       sizeof(*to) - sizeof(to->seq));
	svr_seq_write_end(&to->seq);
}

static void peer_log_key(struct km_peer *peer, const struct svr_peer_key *key)
{
	const struct svr_router_view *v = peer->km->view;

	svr_keylog_peer_key(peer->km->keylog, v->router->peering_common_name,
			    v->peers[peer->view].peering_common_name, key->index, key->key,
			    sizeof(key->key));
}

static void peer_new_key(void *user, const struct svr_peer_key *key)
{
	struct km_peer *peer = user;

	pr_info("peer %s: peer key %u confirmed", peer->km->view->peers[peer->view].name,
		key->index);
	peer_log_key(peer, key);
}

static void peer_log(void *user, bool warn, const char *text)
{
	const struct km_peer *peer = user;

	svr_log(warn ? SVR_LOG_WARN : SVR_LOG_INFO, "peer %s: %s",
		peer->km->view->peers[peer->view].name, text);
}

static const struct svr_peering_ops peer_ops = {
	.random = peer_random,
	.dh = &svr_dh_openssl,
	.may_compute = peer_may_compute,
	.compute = peer_compute,
	.refused = peer_refused,
	.now = peer_now,
	.send = peer_send,
	.save_path = peer_save_path,
	.save_keys = peer_save_keys,
	.new_key = peer_new_key,
	.log = peer_log,
};

/* ---- timers ---------------------------------------------------------------------------------- */

void km_peer_schedule(struct km_peer *peer)
{
	uint64_t next_ns = svr_peering_next(peer->peering), now_ns = km_now().mono_ns, wait_us;
	struct timeval wait;

	if (next_ns == UINT64_MAX) { /* nothing to do until a packet comes */
		evtimer_del(peer->timer);
		return;
	}
	peer->due_ns = next_ns > now_ns ? next_ns : now_ns;
	wait_us = (peer->due_ns - now_ns + SVR_NS_PER_US - 1) / SVR_NS_PER_US;
	wait.tv_sec = (time_t)(wait_us / 1000000);
	wait.tv_usec = (suseconds_t)(wait_us % 1000000);
	evtimer_add(peer->timer, &wait);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	static struct svr_ratelimit late_log;
	uint64_t now_ns = km_now().mono_ns;
	struct km_peer *peer = arg;

	(void)fd, (void)what;
	/* Where a path fails for this reason, the path is not to blame. */
	if (now_ns > peer->due_ns && now_ns - peer->due_ns > KM_LATE_MS * SVR_NS_PER_MS &&
	    svr_ratelimit_ok(&late_log, KM_LATE_LOG_SEC))
		pr_warn("timers are %" PRIu64 " ms late: this machine is short of CPU time, paths may fail for it",
			(now_ns - peer->due_ns) / SVR_NS_PER_MS);
	svr_peering_tick(peer->peering);
	km_peer_schedule(peer);
}

/* ---- configuration and maps ------------------------------------------------------------------ */

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

static void path_configure(const struct svr_view_path *view, struct svr_peering_path_config *out)
{
	const struct svr_cfg_bfd *bfd = &view->bfd;

	*out = (struct svr_peering_path_config){
		.enabled = bfd->enabled,
		.single_hop = view->gateway.family == 0,
		.bfd = {
			.desired_min_tx_us = bfd->desired_tx_interval_ms * PEERS_US_PER_MS,
			.required_min_rx_us = bfd->required_min_rx_interval_ms * PEERS_US_PER_MS,
			.detect_mult = bfd->multiplier,
		},
		.hold_down_ms = bfd->hold_down_time_s * PEERS_MS_PER_SEC,
		.hold_down_max_ms = bfd->maximum_hold_down_time_s * PEERS_MS_PER_SEC,
		.damping = bfd->dynamic_damping,
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

		if (!slot || v->remote_address.family != 4) {
			pr_warn("path %s: not in the maps; try: svr config apply", v->name);
			continue;
		}
		*path = (struct km_path){
			.peer = peer,
			.view = i,
			.number = peer->n_paths++,
			.slot = slot,
			.remote = { .sin_family = AF_INET, .sin_port = htons(SVR_BFD_PORT) },
			.tos = (uint8_t)(v->bfd.dscp << 2),
		};
		memcpy(&path->remote.sin_addr, v->remote_address.bytes + 12,
		       sizeof(path->remote.sin_addr));
	}
	return 0;
}

static int peer_start(struct km_peer *peer)
{
	struct keymgr *km = peer->km;
	const struct svr_cfg_key_management *k = km->view->key_management;
	const struct svr_view_peer *view = &km->view->peers[peer->view];
	struct svr_peering_config config = {
		.kex = {
			.own_name = km->view->router->peering_common_name,
			.peer_name = view->peering_common_name,
			.identity = km->identity,
			.group = svr_dh_group_of_bits(view->diffie_hellman_key_size),
			.retransmit_ms = k->peer_key_retransmit_interval_s * PEERS_MS_PER_SEC,
			.timeout_s = k->peer_key_timeout_s,
		},
		.own = &km->own,
		.crypt = km->crypt,
		.instance = km->instance,
	};
	struct svr_peer_keys saved = km->maps.peer_keys[peer->slot]; /* we are the only writer */
	struct svr_peering_path_config path;
	unsigned int i;
	int ret;

	ret = km_trust_new(km, view, &peer->trust);
	if (ret)
		goto out;
	config.kex.trust = peer->trust;
	ret = svr_peering_new(&config, &peer_ops, peer, peer->n_paths, &saved, &peer->peering);
	for (i = 0; i < peer->n_paths && !ret; i++) {
		path_configure(&km->view->paths[peer->path[i].view], &path);
		ret = svr_peering_set_path(peer->peering, i, &path,
					   &km->maps.path_state[peer->path[i].slot]);
	}
	for (i = 0; i < SVR_KEY_SLOTS && !ret; i++)
		if (peer->peering->keys.peer[i].index)
			peer_log_key(peer, &peer->peering->keys.peer[i]);
	if (ret)
		goto out;
	peer->timer = evtimer_new(km->base, on_timer, peer);
	ret = peer->timer ? 0 : -ENOMEM;
out:
	OPENSSL_cleanse(&saved, sizeof(saved));
	if (ret)
		pr_err("peer %s: cannot start: %s", view->name, strerror(-ret));
	return ret;
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

int km_peers_new(struct keymgr *km)
{
	const struct svr_router_view *v = km->view;
	unsigned int i;
	int ret;

	km->peer = calloc(v->n_peers ? v->n_peers : 1, sizeof(*km->peer));
	if (!km->peer)
		return -ENOMEM;
	for (i = 0; i < v->n_peers; i++) {
		struct km_peer *peer = &km->peer[km->n_peers];
		uint32_t slot = find_peer_slot(km, &v->peers[i]);

		if (!slot) {
			pr_warn("peer %s: not in the maps; try: svr config apply",
				v->peers[i].name);
			continue;
		}
		*peer = (struct km_peer){ .km = km, .view = i, .slot = slot };
		km->n_peers++;
		ret = peer_find_paths(peer);
		if (ret)
			return ret;
	}
	sweep(km);
	ret = km_sockets_new(km);
	for (i = 0; i < km->n_peers && !ret; i++)
		ret = peer_start(&km->peer[i]);
	for (i = 0; i < km->n_peers && !ret; i++) {
		svr_peering_tick(km->peer[i].peering);
		km_peer_schedule(&km->peer[i]);
	}
	return ret;
}

void km_peers_free(struct keymgr *km)
{
	unsigned int i;

	km_sockets_free(km); /* first: their events point to paths */
	for (i = 0; i < km->n_peers; i++) {
		struct km_peer *peer = &km->peer[i];

		if (peer->timer)
			event_free(peer->timer);
		svr_peering_free(peer->peering);
		svr_pki_trust_free(peer->trust);
		free(peer->path);
	}
	free(km->peer);
	km->peer = NULL;
	km->n_peers = 0;
}
