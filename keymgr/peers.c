// SPDX-License-Identifier: BSD-2-Clause
/*
 * What a peering asks of its owner. What it stores goes into the maps at once, so a process that is
 * killed at any moment is continued by the next one.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>
#include <openssl/crypto.h>

#include "alarms.h"
#include "certs.h"
#include "keymgr.h"
#include "lib/alarms.h"
#include "sys/jobs.h"
#include "sys/keylog.h"
#include "sys/log.h"
#include "sys/seq.h"

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
	/* While revocation lists of the process before are read, a revoked peer would look good. */
	if (!km_certs_ready(peer->km))
		return false;
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
	svr_keylog_peer_key(peer->km->keylog, peer->own_name, peer->peer_name, key->index, key->key,
			    sizeof(key->key));
}

static void peer_new_key(void *user, const struct svr_peer_key *key)
{
	struct km_peer *peer = user;

	pr_info("peer %s: peer key %u confirmed", peer->name, key->index);
	peer_log_key(peer, key);
}

static void peer_log(void *user, bool warn, const char *text)
{
	const struct km_peer *peer = user;

	svr_log(warn ? SVR_LOG_WARN : SVR_LOG_INFO, "peer %s: %s", peer->name, text);
}

static void peer_path_mtu(void *user, unsigned int number, uint16_t mtu, bool unresolvable)
{
	const struct km_peer *peer = user;
	const char *path = peer->km->view->paths[peer->path[number].view].name;

	(void)mtu;
	if (unresolvable)
		km_alarm_raise(peer->km->alarms, SVR_ALARM_MAJOR, SVR_ALARM_PEER_PATH_MTU, path,
			       KM_PROCESS, "Peer %s path MTU is unresolvable", peer->name);
	else
		km_alarm_clear(peer->km->alarms, SVR_ALARM_PEER_PATH_MTU, path, KM_PROCESS);
}

static void peer_authenticated(void *user, const struct svr_pki_peer *shown)
{
	km_certs_confirmed(user, shown);
}

static void peer_unauthenticated(void *user, const struct svr_pki_report *report)
{
	km_certs_refused(user, report);
}

const struct svr_peering_ops km_peer_ops = {
	.random = peer_random,
	.dh = &svr_dh_openssl,
	.may_compute = peer_may_compute,
	.compute = peer_compute,
	.refused = peer_refused,
	.now = peer_now,
	.send = peer_send,
	.save_path = peer_save_path,
	.save_keys = peer_save_keys,
	.authenticated = peer_authenticated,
	.unauthenticated = peer_unauthenticated,
	.new_key = peer_new_key,
	.log = peer_log,
	.path_mtu = peer_path_mtu,
};

void km_peer_log_keys(struct km_peer *peer)
{
	unsigned int i;

	for (i = 0; i < SVR_KEY_SLOTS; i++)
		if (peer->peering->keys.peer[i].index)
			peer_log_key(peer, &peer->peering->keys.peer[i]);
}

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

int km_peer_timer_new(struct km_peer *peer)
{
	peer->timer = evtimer_new(peer->km->base, on_timer, peer);
	return peer->timer ? 0 : -ENOMEM;
}
