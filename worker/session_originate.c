// SPDX-License-Identifier: BSD-2-Clause
/* Sessions that a host on our side opens. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include <openssl/crypto.h>

#include <svr/drops.h>

#include "lib/epoch.h"
#include "lib/uuid.h"
#include "worker/session_flows.h"
#include "worker/session_keys.h"
#include "worker/session_originate.h"
#include "worker/session_policy.h"
#include "worker/thread.h"

enum {
	PORT_TRIES = 32,
};

/* ---- path and ports ------------------------------------------------------------------------ */

/* The first path in service, best first; XDP's own choice, if it is one of them, goes before. */
static int path_choose(const struct svr_thread *t, const struct svr_service *svc, uint32_t wanted,
		       uint32_t *path)
{
	unsigned int i, n = svc->paths < SVR_MAX_ROUTE_PATHS ? svc->paths : SVR_MAX_ROUTE_PATHS;

	*path = 0;
	for (i = 0; i < n; i++) {
		uint32_t p = svc->path[i];

		if (p >= t->maps->count.paths || !svr_session_path_up(t, p, t->maps->paths[p].peer))
			continue;
		if (*path == 0 || p == wanted)
			*path = p;
	}
	return *path ? 0 : -SVR_DROP_NO_PATH;
}

static uint16_t port_random(struct svr_thread *t, uint16_t lo, uint16_t hi)
{
	uint32_t r = 0;

	if (lo > hi || svr_crypt_random(t->crypt, &r, sizeof(r)))
		return 0;
	return (uint16_t)(lo + r % (hi - lo + 1u));
}

/* The port in [lo, hi] next to @port with the wanted lowest bit; 0 if there is none. */
static uint16_t port_parity(uint16_t port, uint16_t lo, uint16_t hi, unsigned int bit)
{
	if ((port & 1u) == bit)
		return port;
	if (port < hi)
		return (uint16_t)(port + 1);
	return port > lo ? (uint16_t)(port - 1) : 0;
}

/* docs/protocol.md section 2: even on our own waypoint, odd on the peer's. */
static int ports_choose(struct svr_thread *t, const struct svr_path *path, uint16_t *local,
			uint16_t *remote)
{
	*local = port_random(t, path->local_lo, path->local_hi);
	*remote = port_random(t, path->remote_lo, path->remote_hi);
	if (path->parity) {
		*local = *local ? port_parity(*local, path->local_lo, path->local_hi, 0) : 0;
		*remote = *remote ? port_parity(*remote, path->remote_lo, path->remote_hi, 1) : 0;
	}
	return *local && *remote ? 0 : -SVR_DROP_NO_PORT;
}

static int wan_flow_originate(struct svr_thread *t, struct svr_session *s, uint32_t slot)
{
	const struct svr_path *path = &t->maps->paths[s->path];
	uint16_t local, remote;
	struct svr_flow f;
	int i, err;

	for (i = 0; i < PORT_TRIES; i++) {
		err = ports_choose(t, path, &local, &remote);
		if (err)
			return err;
		if (svr_session_wan_proto(s->lan.proto) == IPPROTO_UDP &&
		    (local == SVR_BFD_PORT || remote == SVR_BFD_PORT))
			continue;
		s->wan = (struct svr_flow6_key){
			.sport = htons(remote),
			.dport = htons(local),
			.zone = (uint16_t)path->zone,
			.proto = svr_session_wan_proto(s->lan.proto),
		};
		memcpy(s->wan.saddr, path->remote, sizeof(s->wan.saddr));
		memcpy(s->wan.daddr, path->local, sizeof(s->wan.daddr));
		svr_session_flow_make(t, s, slot, true, &f);
		err = svr_session_flow_insert(t, &s->wan, &f);
		if (err != -EEXIST)
			return err;
	}
	return -SVR_DROP_NO_PORT;
}

/* ---- the session --------------------------------------------------------------------------- */

static int session_fill_originated(struct svr_thread *t, const struct svr_work *w, uint32_t slot,
				   const struct svr_service *svc, const struct svr_policy *policy)
{
	struct svr_session *s = &t->maps->sessions[slot];
	struct svr_fresh_keys fresh;
	uint32_t path;
	int err;

	err = path_choose(t, svc, w->desc.path, &path);
	if (err)
		return err;
	s->path = (uint16_t)path;
	s->peer = (uint16_t)t->maps->paths[path].peer;
	s->service = w->desc.service;
	s->tenant = w->desc.tenant;
	s->policy = (uint16_t)svc->policy;
	s->originator = 1;
	s->meta_add = 1;
	svr_session_take_algorithms(s, policy->cipher, policy->hmac, policy->hmac_mode);
	if (svr_crypt_random(t->crypt, s->uuid, sizeof(s->uuid)))
		return -SVR_DROP_INTERNAL;
	svr_uuid_from_random(s->uuid);
	err = svr_session_fresh_keys(t, s, SVR_EPOCH_FIRST, &fresh);
	if (err)
		return err;
	err = svr_session_install_fresh(t, slot, &fresh, false);
	OPENSSL_cleanse(&fresh, sizeof(fresh));
	return err;
}

static int originate(struct svr_thread *t, const struct svr_work *w,
		     const struct svr_flow6_key *lan, uint32_t *slot)
{
	const struct svr_service *svc = svr_session_service(t, w->desc.service);
	const struct svr_policy *policy;
	struct svr_session *s;
	struct svr_flow f;
	int err;

	if (w->pkt.proto == IPPROTO_TCP &&
	    (w->pkt.tcp_flags & (SVR_TCPF_SYN | SVR_TCPF_ACK | SVR_TCPF_RST | SVR_TCPF_FIN)) !=
		    SVR_TCPF_SYN)
		return -SVR_DROP_NOT_SYN;
	if (!svc)
		return -SVR_DROP_NO_SERVICE;
	policy = svr_session_policy(t, svc);
	if (!policy || policy->clear || !svr_session_algorithms_ok(policy))
		return -SVR_DROP_ALGORITHM;
	if (svc->route_kind != SVR_ROUTE_PEER)
		return -SVR_DROP_NO_ROUTE;
	s = svr_session_begin(t, slot);
	if (!s)
		return -SVR_DROP_TABLE_FULL;
	s->lan = *lan;
	err = session_fill_originated(t, w, *slot, svc, policy);
	if (err)
		goto out;
	err = wan_flow_originate(t, s, *slot);
	if (err)
		goto out;
	svr_session_flow_make(t, s, *slot, false, &f);
	err = svr_session_flow_insert(t, &s->lan, &f);
	if (err) {
		svr_session_flow_remove(t, &s->wan, *slot, s->generation);
		if (err == -EEXIST)
			err = -SVR_DROP_NOT_WAN_SESSION;
		goto out;
	}
	svr_session_live(t, *slot);
	svr_count(&t->counters, lan->zone, SVR_STAT_SESSIONS_FWD, 1);
out:
	if (err)
		svr_session_abort(t, *slot);
	return err;
}

int svr_session_originate(struct svr_thread *t, const struct svr_work *w,
			  const struct svr_flow6_key *lan, uint32_t *slot)
{
	const uint64_t begun_ns = svr_thread_clock_ns();
	int err = originate(t, w, lan, slot);

	if (!err)
		svr_thist(&t->stats, SVR_THIST_SETUP, svr_thread_clock_ns() - begun_ns);
	return err;
}
