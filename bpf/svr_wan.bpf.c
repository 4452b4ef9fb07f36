// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * XDP program of a WAN interface: packets of peer routers, on their way to hosts.
 *
 *   parse -> flow? -> (metadata: this session's? strip) -> next hop -> rewrite -> redirect
 *              \-> router's own traffic -> kernel
 *              \-> peer's metadata -> worker, or make a clear session and go on with it
 *
 * Whatever may end in SVR_PASS is decided before the first changed byte. Every packet leaves
 * through svr_exit(), but for those of svr_fast(), which counts them itself.
 */
#include "classify.h"
#include "fast.h"
#include "fragment.h"
#include "icmp_map.h"
#include "meta_in.h"
#include "mss.h"
#include "rewrite.h"
#include "worker.h"

/* Not a part of enum svr_result */
enum svr_wan_result {
	SVR_WAN_REPLACE = 16, /* metadata opens another session in place of the flow's */
	SVR_WAN_OPEN = 17, /* svr_wan_terminate() is to judge metadata that opens a session */
	SVR_WAN_MAKE = 18, /* svr_wan_make_session() is to make it */
};

static __always_inline bool svr_is_bfd(const struct svr_pkt *pkt)
{
	return pkt->key.proto == IPPROTO_UDP && (pkt->key.sport == bpf_htons(SVR_BFD_PORT) ||
						 pkt->key.dport == bpf_htons(SVR_BFD_PORT));
}

/*
 * A packet that cannot be of a session. To the router itself it is the kernel's, except what
 * a peer could have sent as part of one. Everything else is dropped with @reason.
 */
SVR_HELPER int svr_wan_refused(struct xdp_md *ctx, struct svr_pkt *pkt, int reason)
{
	enum svr_local local;
	__u32 path;
	int res;

	if (!pkt->rx_len)
		return reason;
	if (pkt->icmp_error) {
		res = svr_icmp_map(ctx, pkt);
		if (res)
			return res;
	}
	local = svr_local_check(pkt->zone, pkt->key.daddr);
	if (local == SVR_LOCAL_GROUP)
		return SVR_PASS;
	if (local == SVR_LOCAL_NO)
		return -SVR_DROP_NOT_LOCAL;
	path = svr_path_find(pkt->zone, pkt->key.saddr);
	if (reason == -SVR_DROP_PROTOCOL || !path)
		return SVR_PASS;
	if (reason != -SVR_DROP_FRAGMENT)
		return reason;
	/*
	 * A router on the way may cut what has no DF. Nobody may cut IPv6, and no router sends such
	 * fragments; docs/protocol.md 2
	 */
	if (pkt->proto == IPPROTO_TCP || pkt->proto == IPPROTO_UDP)
		return svr_fragment(ctx, pkt, SVR_FRAME_FRAGMENT, path);
	return svr_pkt_is6(pkt) ? reason : SVR_PASS;
}

/*
 * Can what the context names be inside this packet? TCP and UDP are themselves, what has no ports is
 * behind a UDP header.
 */
static __always_inline bool svr_wan_carries(const struct svr_pkt *pkt,
					    const struct svr_flow6_key *context)
{
	__u8 proto = context->proto;

	if (proto == IPPROTO_TCP || proto == IPPROTO_UDP)
		return proto == pkt->key.proto;
	return pkt->key.proto == IPPROTO_UDP && svr_proto_portless(proto) &&
	       proto != (svr_addr_is4(context->saddr) ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
}

/*
 * Clear metadata that wants a session: everything that can be said without looking at tables of
 * flows.
 */
SVR_HELPER int svr_wan_check_terms(const struct svr_pkt *pkt, const struct svr_meta_in *m,
				   __u32 path_id)
{
	const struct svr_path *path = bpf_map_lookup_elem(&svr_paths, &path_id);
	const struct svr_service *service;
	__u32 id;

	if (!path || !svr_path_in_service(path_id))
		return -SVR_DROP_PATH_DOWN;
	if (m->have & SVR_HAVE_REV_CONTEXT)
		return -SVR_DROP_META_UNEXPECTED;
	if ((m->have & SVR_HAVE_ALL_FWD) != SVR_HAVE_ALL_FWD)
		return -SVR_DROP_META_INCOMPLETE;
	if (!m->sender || m->sender != path->peer)
		return -SVR_DROP_META_SENDER;
	id = m->service;
	service = bpf_map_lookup_elem(&svr_services, &id);
	if (!id || !service)
		return -SVR_DROP_META_SERVICE;
	if (!m->tenant)
		return -SVR_DROP_META_TENANT;
	/*
	 * By our own configuration: clear metadata never opens a session of a service that wants
	 * protection
	 */
	if (m->have & SVR_HAVE_PROTECTION || !m->policy || m->policy != service->policy ||
	    !svr_policy_is_clear(service->policy))
		return -SVR_DROP_META_POLICY;
	/* A peer speaks neither for nor to this router itself, nor to a whole LAN */
	if (!svr_wan_carries(pkt, &m->context) || !svr_addr_forwardable(m->context.saddr) ||
	    !svr_addr_forwardable(m->context.daddr) ||
	    svr_local_check(service->zone, m->context.saddr) != SVR_LOCAL_NO ||
	    svr_local_check(service->zone, m->context.daddr) != SVR_LOCAL_NO ||
	    !svr_service_covers(&m->context, id))
		return -SVR_DROP_META_CONTEXT;
	if (!svr_access_allowed(id, m->tenant))
		return -SVR_DROP_NO_ACCESS;
	if (pkt->key.proto == IPPROTO_TCP && !svr_tcp_opens(pkt))
		return -SVR_DROP_NOT_SYN;
	if (service->route_kind != SVR_ROUTE_LOCAL)
		return -SVR_DROP_NO_ROUTE;
	return SVR_NEXT;
}

/*
 * Both routers made a session for the same connection before they heard of each other's. Both see
 * both UUIDs, and keep the session with the smaller one (docs/protocol.md 5).
 */
static __always_inline bool svr_wan_ours_stays(const struct svr_flow *ours,
					       const struct svr_flow *theirs)
{
	const __be32 *a = (const __be32 *)ours->uuid, *b = (const __be32 *)theirs->uuid;
	const __u32 unanswered = SVR_FLOW_ORIGINATOR | SVR_FLOW_META_ADD;
	__u32 i;

	if ((ours->flags & unanswered) != unanswered)
		return false;
	for (i = 0; i < SVR_UUID_LEN / sizeof(*a); i++) {
		if (a[i] != b[i])
			return bpf_ntohl(a[i]) < bpf_ntohl(b[i]);
	}
	return false;
}

/*
 * Insert a flow; one of another clear session in its place is removed with all of that session.
 * SVR_FLOW_EXISTS if it is there already, made by another CPU for the same session.
 */
SVR_HELPER int svr_wan_insert(const struct svr_flow6_key *key, const struct svr_flow *flow)
{
	struct svr_flow *old;
	int res = svr_flow_insert(key, flow);

	if (res != SVR_FLOW_EXISTS)
		return res;
	old = svr_flow_get(key);
	if (old) {
		if (old->flags & SVR_FLOW_WORKER)
			return -SVR_DROP_META_UUID;
		/* The same session on the same waypoint ports */
		if (svr_uuid_equal(old->uuid, flow->uuid) && old->sport == flow->sport &&
		    old->dport == flow->dport && old->out_zone == flow->out_zone &&
		    svr_addr_equal(old->saddr, flow->saddr) &&
		    svr_addr_equal(old->daddr, flow->daddr))
			return SVR_FLOW_EXISTS;
		if (svr_wan_ours_stays(old, flow))
			return -SVR_DROP_META_GLARE;
		svr_flow_remove_pair(key, old);
	}
	res = svr_flow_insert(key, flow);
	return res == SVR_FLOW_EXISTS ? -SVR_DROP_META_UUID : res;
}

/*
 * The session that the metadata in the scratch area asks for, from path terms.path, with us as the
 * terminating router: its flows, not yet in the map. SVR_WAN_MAKE if they are to be.
 */
SVR_STEP int svr_wan_terminate(struct xdp_md *ctx, struct svr_pkt *pkt)
{
	struct svr_scratch *s = svr_scratch_get();
	const struct svr_service *service;
	__u32 id, path_id, neighbour_id;
	__be32 neighbour[4];
	int res;

	if (!s || !pkt)
		return -SVR_DROP_INTERNAL;
	path_id = s->terms.path;
	res = svr_wan_check_terms(pkt, &s->meta, path_id);
	if (res)
		return res;
	id = s->meta.service;
	service = bpf_map_lookup_elem(&svr_services, &id);
	if (!service)
		return -SVR_DROP_INTERNAL;
	if (svr_addr_is_zero(service->gateway))
		svr_addr_copy(neighbour, s->meta.context.daddr);
	else
		svr_addr_copy(neighbour, service->gateway);
	neighbour_id = svr_neighbour_find(service->zone, neighbour);
	if (!neighbour_id) {
		struct svr_frame_desc desc = {
			.why = SVR_FRAME_NEIGHBOUR,
			.service = id,
			.tenant = s->meta.tenant,
			.path = path_id,
			.out_zone = service->zone,
		};
		svr_addr_copy(desc.addr, neighbour);
		return svr_to_worker_unknown(ctx, pkt, &desc);
	}
	s->terms = (struct svr_session_terms){
		.lan_flags = SVR_FLOW_REV | SVR_FLOW_META_ADD,
		.wan_flags = SVR_FLOW_META_WATCH,
		.lan_nexthop = path_id,
		.wan_nexthop = neighbour_id,
		.path = path_id,
		.service = id,
		.tenant = s->meta.tenant,
		.policy = service->policy,
	};
	/*
	 * lan: a packet of the service's host as it will arrive; wan: as it leaves to the peer
	 * (flow.h)
	 */
	svr_key_mirror(&s->meta.context, &s->lan_tuple);
	s->lan_tuple.zone = service->zone;
	svr_key_mirror(&pkt->key, &s->wan_tuple);
	svr_flow_fill_pair(s, &s->terms, s->meta.uuid);
	return SVR_WAN_MAKE;
}

/*
 * Put both flows of svr_wan_terminate() into the map. SVR_NEXT if that of this packet can be looked
 * up now.
 */
SVR_STEP int svr_wan_make_session(const struct svr_pkt *pkt)
{
	struct svr_scratch *s = svr_scratch_get();
	int res;

	if (!s || !pkt)
		return -SVR_DROP_INTERNAL;
	res = svr_wan_insert(&pkt->key, &s->wan);
	if (res)
		return res == SVR_FLOW_EXISTS ? SVR_NEXT : res;
	res = svr_wan_insert(&s->lan_tuple, &s->lan);
	if (res < 0) {
		svr_flow_delete(&pkt->key);
		return res;
	}
	svr_stat_add(pkt->zone, SVR_STAT_SESSIONS_REV, 1);
	return SVR_NEXT;
}

/*
 * No flow, or metadata that wants another one in its place: the router's own traffic, or the first
 * packet of a session, SVR_WAN_OPEN. Steps that follow are not called from here, where the stack is
 * deep already.
 */
SVR_STEP int svr_wan_miss(struct xdp_md *ctx, struct svr_pkt *pkt)
{
	struct svr_scratch *s = svr_scratch_get();
	struct svr_frame_desc desc = { .why = SVR_FRAME_METADATA };
	const struct svr_path *path;
	enum svr_local local;
	__u32 path_id, port;
	int res;

	if (!s || !pkt)
		return -SVR_DROP_INTERNAL;
	local = svr_local_check(pkt->zone, pkt->key.daddr);
	if (local != SVR_LOCAL_OWN)
		return local == SVR_LOCAL_GROUP ? SVR_PASS : -SVR_DROP_NOT_LOCAL;
	/* Ping and the like; a peer puts everything without ports behind UDP */
	if (svr_is_bfd(pkt) || svr_proto_portless(pkt->proto))
		return SVR_PASS;
	path_id = svr_path_find(pkt->zone, pkt->key.saddr);
	if (!path_id)
		return svr_has_cookie(ctx, pkt) ? -SVR_DROP_UNKNOWN_PEER : SVR_PASS;

	path = bpf_map_lookup_elem(&svr_paths, &path_id);
	if (!path)
		return -SVR_DROP_INTERNAL;
	port = bpf_ntohs(pkt->key.dport);
	if (port < SVR_PORT_MIN)
		return SVR_PASS;
	if (!svr_has_cookie(ctx, pkt))
		return port >= path->local_lo && port <= path->local_hi ? -SVR_DROP_NO_FLOW :
									  SVR_PASS;
	if (pkt->ttl <= 1)
		return svr_icmp_expired(ctx, pkt);
	if (!pkt->meta_known) {
		res = svr_meta_read(ctx, pkt);
		if (res)
			return res;
		pkt->meta_known = 1;
	}
	if (svr_meta_is_bare(&s->meta))
		return -SVR_DROP_NO_FLOW; /* user data */
	if (s->meta.have & SVR_HAVE_FRAGMENT)
		return svr_fragment(ctx, pkt, SVR_FRAME_PIECE, path_id);
	if (!(s->meta.have & SVR_HAVE_SECURITY_ID)) {
		s->terms.path = path_id;
		return SVR_WAN_OPEN;
	}
	desc.path = path_id;
	return svr_to_worker(ctx, pkt, &desc);
}

/*
 * Metadata on a clear flow: is it this session's? Changes nothing. SVR_NEXT if it is, or if it is a
 * bare header; SVR_WAN_REPLACE if it wants another session in place of this one.
 */
SVR_STEP int svr_wan_judge(struct xdp_md *ctx, struct svr_pkt *pkt, struct svr_flow *flow)
{
	struct svr_scratch *s = svr_scratch_get();
	__u32 wanted;
	int res;

	if (!s || !pkt || !flow)
		return -SVR_DROP_INTERNAL;
	res = svr_meta_read(ctx, pkt);
	if (res)
		return res;
	pkt->meta_known = 1;
	if (svr_meta_is_bare(&s->meta))
		return SVR_NEXT;
	if (s->meta.have & SVR_HAVE_FRAGMENT)
		return svr_fragment(ctx, pkt, SVR_FRAME_PIECE, flow->path);
	if (s->meta.have & SVR_HAVE_SECURITY_ID)
		return SVR_WAN_REPLACE;
	if (!(s->meta.have & SVR_HAVE_UUID))
		return -SVR_DROP_META_INCOMPLETE;
	if (!svr_uuid_equal(s->meta.uuid, flow->uuid))
		return s->meta.have & SVR_HAVE_FWD_CONTEXT ? SVR_WAN_REPLACE : -SVR_DROP_META_UUID;
	wanted = flow->flags & SVR_FLOW_REV ? SVR_HAVE_REV_CONTEXT : SVR_HAVE_FWD_CONTEXT;
	return s->meta.have & wanted ? SVR_NEXT : -SVR_DROP_META_UNEXPECTED;
}

/*
 * The two implicit acknowledgements of docs/protocol.md 5. What was stopped is not started again: a
 * forward block that arrives late is stripped like any other.
 */
SVR_HELPER void svr_wan_handshake(struct svr_flow *flow, bool with_metadata)
{
	bool reverse = flow->flags & SVR_FLOW_REV;
	struct svr_flow *opposite;

	/*
	 * Reverse metadata: the peer has ours. No forward metadata any more: the originator has
	 * ours.
	 */
	if (reverse != with_metadata)
		return;
	opposite = svr_flow_opposite(flow);
	if (opposite && opposite->flags & SVR_FLOW_META_ADD)
		svr_flow_clear_flag(opposite, SVR_FLOW_META_ADD);
	if (flow->flags & SVR_FLOW_META_WATCH)
		svr_flow_clear_flag(flow, SVR_FLOW_META_WATCH);
}

/*
 * Everything about a packet of a clear flow but looking up and rewriting; most packets need nothing
 * of it.
 */
SVR_STEP int svr_wan_special(struct xdp_md *ctx, struct svr_pkt *pkt, struct svr_flow *flow,
			     __u32 limit, __u32 mss)
{
	struct svr_scratch *s = svr_scratch_get();
	bool with_metadata = false;
	int res;

	if (!s || !pkt || !flow)
		return -SVR_DROP_INTERNAL;
	/* Told to the peer, who knows which host it was (icmp_map.h) */
	if (pkt->meta_known)
		limit += s->meta.len;
	if (pkt->ttl <= 1)
		return svr_icmp_expired(ctx, pkt);
	if (pkt->ip_len > limit) {
		res = svr_too_long(ctx, pkt, limit);
		if (res)
			return res;
	}
	if (pkt->padded && svr_trim(ctx, pkt))
		return -SVR_DROP_INTERNAL;
	if (pkt->meta_known) {
		with_metadata = !svr_meta_is_bare(&s->meta);
		res = svr_meta_strip(ctx, pkt);
		if (res)
			return res;
		if (with_metadata)
			svr_stat_add(pkt->zone, SVR_STAT_META_REMOVED, 1);
		else
			svr_stat_add(pkt->zone, SVR_STAT_FALSE_POSITIVE_REMOVED, 1);
	}
	if (with_metadata || flow->flags & SVR_FLOW_META_WATCH)
		svr_wan_handshake(flow, with_metadata);
	if (pkt->tcp_flags & SVR_TH_SYN && mss) {
		res = svr_mss_clamp(ctx, pkt, mss);
		if (res)
			return res;
	}
	if (pkt->tcp_flags & (SVR_TH_FIN | SVR_TH_RST))
		svr_flow_end_tcp(flow);
	return SVR_NEXT;
}

/* A packet of a clear flow, established or made a moment ago. */
static __always_inline int svr_wan_forward(struct xdp_md *ctx, struct svr_pkt *pkt,
					   struct svr_flow *flow)
{
	struct svr_way way;
	int res;

	res = svr_way_find(pkt, flow, &way);
	if (unlikely(res))
		return res == -SVR_DROP_NO_NEIGHBOUR ? svr_to_worker_neighbour(ctx, pkt, flow) :
						       res;
	svr_flow_see_tcp(flow, pkt);
	if (unlikely(pkt->ip_len > way.limit || pkt->ttl <= 1 || pkt->padded || pkt->meta_known ||
		     flow->flags & SVR_FLOW_META_WATCH ||
		     pkt->tcp_flags & (SVR_TH_SYN | SVR_TH_FIN | SVR_TH_RST))) {
		res = svr_wan_special(ctx, pkt, flow, way.limit,
				      svr_mss_of(way.zone, way.limit, svr_l3_hlen(pkt->shape)));
		if (res)
			return res;
	}
	return svr_send(ctx, pkt, flow, &way);
}

/* @flow: of the packet, if it was found already */
static __always_inline int svr_wan_general(struct xdp_md *ctx, struct svr_flow *flow)
{
	struct svr_pkt pkt = {};
	int res;

	res = svr_parse(ctx, &pkt);
	if (unlikely(res)) {
		if (res < 0)
			res = svr_wan_refused(ctx, &pkt, res);
		goto out;
	}
	if (!flow)
		flow = svr_flow_of(&pkt);
	if (flow && unlikely(flow->flags & SVR_FLOW_WORKER)) {
		res = pkt.ttl <= 1 ? svr_icmp_expired(ctx, &pkt) :
				     svr_to_worker_session(ctx, &pkt, flow);
		goto out;
	}
	if (flow && unlikely(svr_has_cookie(ctx, &pkt))) {
		res = svr_wan_judge(ctx, &pkt, flow);
		if (res == SVR_WAN_REPLACE)
			flow = NULL;
		else if (res)
			goto out;
	}
	if (unlikely(!flow)) {
		res = svr_wan_miss(ctx, &pkt);
		if (res == SVR_WAN_OPEN)
			res = svr_wan_terminate(ctx, &pkt);
		if (res == SVR_WAN_MAKE)
			res = svr_wan_make_session(&pkt);
		if (res)
			goto out;
		flow = svr_flow_of(&pkt);
		if (!flow) {
			res = -SVR_DROP_INTERNAL;
			goto out;
		}
		if (unlikely(flow->flags & SVR_FLOW_WORKER)) {
			res = svr_to_worker_session(ctx, &pkt, flow);
			goto out;
		}
	}
	res = svr_wan_forward(ctx, &pkt, flow);
out:
	return svr_exit(ctx, &pkt, res);
}

SEC("xdp.frags")
int svr_wan(struct xdp_md *ctx)
{
	struct svr_flow *flow = NULL;
	int verdict;

	if (likely(svr_fast(ctx, true, &flow)))
		return XDP_REDIRECT;
	svr_scratch_enter(svr_whole_why(ctx) != 0);
	verdict = svr_wan_general(ctx, flow);
	svr_scratch_leave();
	return verdict;
}

char _license[] SEC("license")
= "Dual BSD/GPL";
