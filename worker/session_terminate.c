// SPDX-License-Identifier: BSD-2-Clause
/* Sessions that the verified metadata of a peer opens. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include <svr/drops.h>

#include "lib/shared.h"
#include "worker/addr.h"
#include "worker/metadata.h"
#include "worker/session_flows.h"
#include "worker/session_keys.h"
#include "worker/session_policy.h"
#include "worker/session_terminate.h"
#include "worker/session_tombs.h"
#include "worker/thread.h"

/* ---- what its metadata says ---------------------------------------------------------------- */

static bool service_transports(const struct svr_service *svc, uint8_t proto, uint16_t port)
{
	unsigned int i;

	if (proto == IPPROTO_ICMPV6)
		proto = IPPROTO_ICMP; /* the configuration has one word for both */

	for (i = 0; i < svc->transports && i < SVR_MAX_TRANSPORTS; i++) {
		const struct svr_transport *tr = &svc->transport[i];

		if ((tr->proto == 0 || tr->proto == proto) && port >= tr->port_lo &&
		    port <= tr->port_hi)
			return true;
	}
	return svc->transports == 0;
}

static bool policy_agrees(const struct svr_policy *p, const struct svr_meta *m)
{
	bool encrypted = p->cipher != SVR_CIPHER_NONE;

	return !p->clear && svr_session_algorithms_ok(p) &&
	       strncmp(p->name, m->policy, sizeof(p->name)) == 0 && p->cipher == m->cipher &&
	       p->hmac == m->hmac && p->hmac_mode == m->hmac_mode &&
	       svr_metadata_keys_fit(m, encrypted);
}

/* A peer speaks neither for nor to this router itself, nor to a whole LAN. */
static bool is_local(const struct svr_thread *t, uint32_t zone, const __be32 addr[static 4])
{
	return zone < t->maps->count.zones && svr_addr_local(&t->maps->zones[zone], addr);
}

/*
 * docs/protocol.md section 5: everything that the terminating router must check, by its own
 * configuration.
 */
static int metadata_check(struct svr_thread *t, const struct svr_meta *m,
			  const struct svr_flow6_key *wan, struct svr_session *s)
{
	const struct svr_policy *policy;
	const struct svr_service *svc;

	svr_rules_begin(&t->rules, t->maps, t->now_ns);
	s->service = (uint16_t)svr_rules_name(&t->rules, t->maps, SVR_KIND_SERVICE, m->service);
	svc = svr_session_service(t, s->service);
	if (!svc)
		return -SVR_DROP_META_SERVICE;
	s->tenant = (uint16_t)svr_rules_name(&t->rules, t->maps, SVR_KIND_TENANT, m->tenant);
	if (s->tenant == 0)
		return -SVR_DROP_META_TENANT;
	policy = svr_session_policy(t, svc);
	if (!policy || !policy_agrees(policy, m))
		return -SVR_DROP_META_POLICY;
	s->policy = (uint16_t)svc->policy;
	s->lan = (struct svr_flow6_key){
		.sport = m->context.dport, /* the server's packets arrive from there */
		.dport = m->context.sport,
		.zone = (uint16_t)svc->zone,
		.proto = m->context.proto,
	};
	svr_addr_copy(s->lan.saddr, m->context.daddr);
	svr_addr_copy(s->lan.daddr, m->context.saddr);
	if (svr_session_wan_proto(m->context.proto) != wan->proto ||
	    m->context.proto == (svr_key_is4(&s->lan) ? IPPROTO_ICMPV6 : IPPROTO_ICMP) ||
	    !service_transports(svc, m->context.proto, ntohs(m->context.dport)) ||
	    !svr_rules_cover(&t->rules, t->maps, s->service, m->context.daddr) ||
	    !svr_addr_one_host(s->lan.saddr) || !svr_addr_one_host(s->lan.daddr) ||
	    is_local(t, svc->zone, s->lan.saddr) || is_local(t, svc->zone, s->lan.daddr))
		return -SVR_DROP_META_CONTEXT;
	if (!svr_rules_access(&t->rules, t->maps, s->service, s->tenant))
		return -SVR_DROP_NO_ACCESS;
	if (svc->route_kind != SVR_ROUTE_LOCAL || svc->zone == 0 ||
	    svc->zone >= t->maps->count.zones)
		return -SVR_DROP_NO_ROUTE;
	if (svr_meta_epoch(m) == 0)
		return -SVR_DROP_EPOCH;
	return 0;
}

/* ---- the session --------------------------------------------------------------------------- */

/* Verified metadata replaces whatever holds a flow that it needs. */
static void flow_vacate(struct svr_thread *t, const struct svr_flow6_key *key)
{
	struct svr_flow old;
	uint32_t slot;

	switch (svr_session_of_flow(t, key, &slot, &old)) {
	case SVR_OWNER_WORKER:
		svr_session_close(t, slot, "replaced by a new session of the peer");
		break;
	case SVR_OWNER_CLEAR:
		svr_session_remove_clear(t, key, &old);
		break;
	case SVR_OWNER_NONE:
		break;
	}
}

/*
 * Both routers made a session for the same connection before they heard of each other's. Both see both
 * UUIDs, and keep the session with the smaller one (docs/protocol.md 5).
 */
static bool ours_stays(struct svr_thread *t, const struct svr_flow6_key *lan,
		       const struct svr_meta *m)
{
	const struct svr_session *s;
	struct svr_flow flow;
	uint32_t slot;

	if (svr_session_of_flow(t, lan, &slot, &flow) != SVR_OWNER_WORKER)
		return false;
	s = &t->maps->sessions[slot];
	return s->originator && svr_shared(s->meta_add) &&
	       memcmp(s->uuid, m->uuid, sizeof(s->uuid)) < 0;
}

static int flows_terminate(struct svr_thread *t, struct svr_session *s, uint32_t slot)
{
	struct svr_flow f;
	int err;

	svr_session_flow_make(t, s, slot, true, &f);
	err = svr_session_flow_insert(t, &s->wan, &f);
	if (!err) {
		svr_session_flow_make(t, s, slot, false, &f);
		err = svr_session_flow_insert(t, &s->lan, &f);
		if (err)
			svr_session_flow_remove(t, &s->wan, slot, s->generation);
	}
	return err == -EEXIST ? -SVR_DROP_NOT_WAN_SESSION : err;
}

static int terminate(struct svr_thread *t, const struct svr_meta *m,
		     const struct svr_flow6_key *wan, uint32_t path,
		     const struct svr_peer_key *peer_key, uint32_t *slot)
{
	struct svr_session checked = { 0 }, *s;
	int err;

	err = metadata_check(t, m, wan, &checked);
	if (err)
		return err;
	if (ours_stays(t, &checked.lan, m))
		return -SVR_DROP_META_GLARE;
	/* All is verified: from here on the old sessions are over */
	flow_vacate(t, wan);
	flow_vacate(t, &checked.lan);
	s = svr_session_begin(t, slot);
	if (!s)
		return -SVR_DROP_TABLE_FULL;
	s->lan = checked.lan;
	s->service = checked.service;
	s->tenant = checked.tenant;
	s->policy = checked.policy;
	s->wan = *wan;
	s->path = (uint16_t)path;
	s->peer = (uint16_t)t->maps->paths[path].peer;
	s->meta_add = 1;
	s->meta_seen = 1;
	/* what was checked, should the policy change in this moment */
	svr_session_take_algorithms(s, m->cipher, m->hmac, m->hmac_mode);
	memcpy(s->uuid, m->uuid, sizeof(s->uuid));
	svr_tomb_apply(t->sessions, s);
	err = svr_session_install(t, *slot, m, peer_key);
	if (!err)
		err = flows_terminate(t, s, *slot);
	if (err) {
		svr_session_abort(t, *slot);
		return err;
	}
	svr_session_live(t, *slot);
	svr_count(&t->counters, wan->zone, SVR_STAT_SESSIONS_REV, 1);
	return 0;
}

int svr_session_terminate(struct svr_thread *t, const struct svr_meta *m,
			  const struct svr_flow6_key *wan, uint32_t path,
			  const struct svr_peer_key *peer_key, uint32_t *slot)
{
	const uint64_t begun_ns = svr_thread_clock_ns();
	int err = terminate(t, m, wan, path, peer_key, slot);

	if (!err)
		svr_thist(&t->stats, SVR_THIST_SETUP, svr_thread_clock_ns() - begun_ns);
	return err;
}
