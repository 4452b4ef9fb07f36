// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * XDP program of a LAN interface: packets of hosts, on their way to a peer router.
 *
 *   parse -> flow? -> next hop and path -> (metadata, checksum, MSS) -> rewrite -> redirect
 *              \-> classify -> worker, or make a clear session and go on as if it had been there
 *
 * Whatever may end in SVR_PASS is decided before the first changed byte. Every packet leaves
 * through svr_exit(), but for those of svr_fast(), which counts them itself.
 */
#include "classify.h"
#include "fast.h"
#include "fragment.h"
#include "icmp_map.h"
#include "meta.h"
#include "mss.h"
#include "ports.h"
#include "rewrite.h"
#include "worker.h"

/* Not a part of enum svr_result: the packet opens a session */
enum { SVR_LAN_OPEN = 16 };

/* A fragment of a packet that a tenant may send. Which service it is for nobody can say yet. */
SVR_HELPER int svr_lan_fragment(struct xdp_md *ctx, struct svr_pkt *pkt)
{
	if (!svr_addr_forwardable(pkt->key.saddr) ||
	    svr_local_check(pkt->zone, pkt->key.saddr) != SVR_LOCAL_NO ||
	    !svr_tenant_find(pkt->zone, pkt->key.saddr))
		return -SVR_DROP_NO_TENANT;
	if (!svr_addr_forwardable(pkt->key.daddr))
		return -SVR_DROP_NO_SERVICE;
	return svr_fragment(ctx, pkt, SVR_FRAME_FRAGMENT, 0);
}

/*
 * Traffic of the router itself is the kernel's; everything else that was not understood is dropped
 * with @reason.
 */
SVR_HELPER int svr_lan_refused(struct xdp_md *ctx, struct svr_pkt *pkt, int reason)
{
	int res;

	if (!pkt->rx_len)
		return reason;
	if (pkt->icmp_error) {
		res = svr_icmp_map(ctx, pkt);
		if (res)
			return res;
		reason = -SVR_DROP_ICMP_UNMATCHED;
	}
	if (svr_local_check(pkt->zone, pkt->key.daddr) != SVR_LOCAL_NO)
		return SVR_PASS;
	return reason == -SVR_DROP_FRAGMENT ? svr_lan_fragment(ctx, pkt) : reason;
}

/* Tenant, service and access: who wants what, and may he? Fills @desc. */
static __always_inline int svr_lan_classify(const struct svr_pkt *pkt, struct svr_frame_desc *desc)
{
	__u32 service;

	/*
	 * Nobody sends from the router's address or from a broadcast address: the answers would go
	 * there
	 */
	if (!svr_addr_forwardable(pkt->key.saddr) ||
	    svr_local_check(pkt->zone, pkt->key.saddr) != SVR_LOCAL_NO)
		return -SVR_DROP_NO_TENANT;
	desc->tenant = svr_tenant_find(pkt->zone, pkt->key.saddr);
	if (!desc->tenant)
		return -SVR_DROP_NO_TENANT;
	if (!svr_addr_forwardable(pkt->key.daddr))
		return -SVR_DROP_NO_SERVICE;
	service = svr_service_find(&pkt->key, desc->tenant);
	desc->service = service & ~SVR_SERVICE_ALLOWED;
	if (!desc->service)
		return -SVR_DROP_NO_SERVICE;
	return service & SVR_SERVICE_ALLOWED ? SVR_NEXT : -SVR_DROP_NO_ACCESS;
}

/*
 * Make the session of an allowed packet of a clear service, with the terms of the scratch area. The
 * flow of the WAN side comes first: it holds the ports, and the peer's answer must find it. Then
 * the LAN flow; if another CPU was faster with a packet of the same connection, its session is the
 * one. SVR_NEXT if the packet's flow can be looked up now.
 */
SVR_STEP int svr_lan_make_session(struct svr_pkt *pkt)
{
	struct svr_scratch *s = svr_scratch_get();
	const struct svr_path *path;
	__u8 uuid[SVR_UUID_LEN];
	int res = SVR_FLOW_EXISTS;
	__u32 try, id;

	if (!s || !pkt)
		return -SVR_DROP_INTERNAL;
	id = s->terms.path;
	path = bpf_map_lookup_elem(&svr_paths, &id);
	if (!path)
		return -SVR_DROP_INTERNAL;
	svr_uuid_make(s, uuid);
	s->lan_tuple = pkt->key;
	svr_addr_copy(s->wan_tuple.saddr, path->local);
	svr_addr_copy(s->wan_tuple.daddr, path->remote);
	s->wan_tuple.zone = path->zone;
	s->wan_tuple.proto = svr_proto_portless(pkt->key.proto) ? IPPROTO_UDP : pkt->key.proto;
	s->wan_tuple._pad = 0;
	for (try = 0; try < SVR_PORT_TRIES && res == SVR_FLOW_EXISTS; try++) {
		if (!svr_ports_choose(s, path, &s->wan_tuple))
			continue;
		svr_flow_fill_pair(s, &s->terms, uuid);
		res = svr_flow_insert(&s->from, &s->wan);
	}
	if (res == SVR_FLOW_EXISTS)
		return -SVR_DROP_NO_PORT;
	if (res)
		return res;
	res = svr_flow_insert(&pkt->key, &s->lan);
	if (res) {
		svr_flow_delete(&s->from);
		return res == SVR_FLOW_EXISTS ? SVR_NEXT : res;
	}
	svr_stat_add(pkt->zone, SVR_STAT_SESSIONS_FWD, 1);
	return SVR_NEXT;
}

/*
 * No flow: the router's own traffic, or the first packet of a session. SVR_LAN_OPEN if
 * svr_lan_make_session() is to make it; not from here, where the stack is deep already.
 */
SVR_STEP int svr_lan_miss(struct xdp_md *ctx, struct svr_pkt *pkt)
{
	struct svr_scratch *s = svr_scratch_get();
	struct svr_frame_desc desc = {};
	const struct svr_service *service;
	__be32 neighbour[4];
	__u32 id, neighbour_id;
	int res;

	if (!s || !pkt)
		return -SVR_DROP_INTERNAL;
	if (svr_local_check(pkt->zone, pkt->key.daddr) != SVR_LOCAL_NO)
		return SVR_PASS;
	if (pkt->key.proto == IPPROTO_TCP && !svr_tcp_opens(pkt))
		return -SVR_DROP_NOT_SYN;
	/* An echo reply: the identifier stands where a service has its port */
	if (pkt->key.dport && !pkt->key.sport && svr_proto_portless(pkt->key.proto))
		return -SVR_DROP_ICMP_UNMATCHED;
	res = svr_lan_classify(pkt, &desc);
	if (res)
		return res;

	id = desc.service;
	service = bpf_map_lookup_elem(&svr_services, &id);
	if (!service)
		return -SVR_DROP_INTERNAL;
	if (service->route_kind != SVR_ROUTE_PEER)
		return -SVR_DROP_NO_ROUTE;
	desc.path = svr_path_choose(id);
	if (!desc.path)
		return -SVR_DROP_NO_PATH;
	if (pkt->ttl <= 1)
		return svr_icmp_expired(ctx, pkt);

	if (!svr_policy_is_clear(service->policy)) {
		desc.why = SVR_FRAME_SETUP;
		return svr_to_worker(ctx, pkt, &desc);
	}

	if (!svr_gateway_for(pkt->zone, pkt->key.saddr, neighbour))
		return -SVR_DROP_NO_NEIGHBOUR;
	neighbour_id = svr_neighbour_find(pkt->zone, neighbour);
	if (!neighbour_id) {
		desc.why = SVR_FRAME_NEIGHBOUR;
		desc.out_zone = pkt->zone;
		svr_addr_copy(desc.addr, neighbour);
		return svr_to_worker_unknown(ctx, pkt, &desc);
	}
	s->terms = (struct svr_session_terms){
		.lan_flags = SVR_FLOW_META_ADD | SVR_FLOW_ORIGINATOR,
		.wan_flags = SVR_FLOW_REV,
		.lan_nexthop = desc.path,
		.wan_nexthop = neighbour_id,
		.path = desc.path,
		.service = desc.service,
		.tenant = desc.tenant,
		.policy = service->policy,
	};
	return SVR_LAN_OPEN;
}

/* A checksum that the host left to others, or that only IPv6 insists on */
static __always_inline int svr_lan_finish_csum(struct xdp_md *ctx, struct svr_pkt *pkt,
					       const struct svr_flow *flow)
{
	int check = svr_l4_check_load(ctx, pkt);

	if (check < 0)
		return check;
	if (svr_l4_check_absent(pkt, check))
		return flow->flags & SVR_FLOW_OUT6 ? svr_csum_complete(ctx, pkt) : SVR_NEXT;
	if (!svr_csum_is_partial(pkt, check))
		return SVR_NEXT;
	svr_stat_add(pkt->zone, SVR_STAT_CSUM_COMPLETED, 1);
	return svr_csum_complete(ctx, pkt);
}

/*
 * Everything about a packet of a clear flow but looking up and rewriting; most packets need nothing
 * of it.
 */
SVR_STEP int svr_lan_special(struct xdp_md *ctx, struct svr_pkt *pkt, struct svr_flow *flow,
			     __u32 limit, __u32 mss)
{
	bool add, bare;
	int meta_len = 0, res;

	if (!pkt || !flow)
		return -SVR_DROP_INTERNAL;
	if (pkt->padded && svr_trim(ctx, pkt))
		return -SVR_DROP_INTERNAL;

	add = flow->flags & SVR_FLOW_META_ADD;
	bare = !add && svr_has_cookie(ctx, pkt);
	if (add)
		meta_len = svr_meta_plan(flow, svr_pkt_is6(pkt));
	else if (bare)
		meta_len = SVR_META_HDR_LEN;
	if (meta_len < 0)
		return meta_len;
	if (pkt->ttl <= 1)
		return svr_icmp_expired(ctx, pkt);
	if (pkt->ip_len + meta_len > limit) {
		res = svr_too_long(ctx, pkt, limit);
		if (res)
			return res;
	}

	if (flow->flags & SVR_FLOW_ENCAP)
		res = svr_encap(ctx, pkt);
	else
		res = svr_lan_finish_csum(ctx, pkt, flow);
	if (res)
		return res;
	if (pkt->tcp_flags & SVR_TH_SYN && mss) {
		res = svr_mss_clamp(ctx, pkt, mss);
		if (res)
			return res;
	}
	if (pkt->tcp_flags & (SVR_TH_FIN | SVR_TH_RST))
		svr_flow_end_tcp(flow);
	if (add)
		return svr_meta_add(ctx, pkt, flow, meta_len);
	return bare ? svr_meta_add_bare(ctx, pkt) : SVR_NEXT;
}

static __always_inline bool svr_lan_is_special(struct xdp_md *ctx, const struct svr_pkt *pkt,
					       const struct svr_flow *flow, __u32 limit)
{
	struct svr_cursor nh = svr_cursor_at(ctx, pkt->l4);
	struct tcphdr *tcp = nh.pos;
	struct udphdr *udp = nh.pos;
	__u16 check;

	if (pkt->ip_len > limit || pkt->padded || pkt->ttl <= 1 ||
	    flow->flags & (SVR_FLOW_META_ADD | SVR_FLOW_ENCAP) ||
	    pkt->tcp_flags & (SVR_TH_SYN | SVR_TH_FIN | SVR_TH_RST))
		return true;
	if (pkt->proto == IPPROTO_TCP) {
		if ((void *)(tcp + 1) > nh.end)
			return true;
		check = tcp->check;
	} else {
		if ((void *)(udp + 1) > nh.end)
			return true;
		check = udp->check;
		if (!check && flow->flags & SVR_FLOW_OUT6)
			return true;
	}
	return svr_csum_is_partial(pkt, check) || svr_has_cookie(ctx, pkt);
}

/* A packet of a clear flow, established or made a moment ago. */
static __always_inline int svr_lan_forward(struct xdp_md *ctx, struct svr_pkt *pkt,
					   struct svr_flow *flow)
{
	struct svr_way way;
	int res;

	res = svr_way_find_path(pkt, flow, &way);
	if (unlikely(res))
		return res == -SVR_DROP_NO_NEIGHBOUR ? svr_to_worker_neighbour(ctx, pkt, flow) :
						       res;
	svr_flow_see_tcp(flow, pkt);
	if (unlikely(svr_lan_is_special(ctx, pkt, flow, way.limit))) {
		res = svr_lan_special(ctx, pkt, flow, way.limit, 
				      svr_mss_of(way.zone, way.limit, svr_l3_hlen(pkt->shape)));
		if (res)
			return res;
	}
	return svr_send(ctx, pkt, flow, &way);
}

/* @flow: of the packet, if it was found already */
static __always_inline int svr_lan_general(struct xdp_md *ctx, struct svr_flow *flow)
{
	struct svr_pkt pkt = {};
	int res;

	res = svr_parse(ctx, &pkt);
	if (unlikely(res)) {
		if (res < 0)
			res = svr_lan_refused(ctx, &pkt, res);
		goto out;
	}
	if (!flow)
		flow = svr_flow_of(&pkt);
	if (flow && unlikely(flow->flags & SVR_FLOW_WORKER)) {
		res = pkt.ttl <= 1 ? svr_icmp_expired(ctx, &pkt) :
				     svr_to_worker_session(ctx, &pkt, flow);
		goto out;
	}
	/* A new connection with the ports of one that is over */
	if (flow && unlikely(flow->flags & SVR_FLOW_CLOSING) && svr_tcp_opens(&pkt)) {
		svr_flow_remove_pair(&pkt.key, flow);
		flow = NULL;
	}
	if (unlikely(!flow)) {
		res = svr_lan_miss(ctx, &pkt);
		if (res == SVR_LAN_OPEN)
			res = svr_lan_make_session(&pkt);
		if (res)
			goto out;
		flow = svr_flow_of(&pkt);
		if (!flow) {
			res = -SVR_DROP_INTERNAL;
			goto out;
		}
		/* The peer's protected session for the same connection was faster */
		if (unlikely(flow->flags & SVR_FLOW_WORKER)) {
			res = svr_to_worker_session(ctx, &pkt, flow);
			goto out;
		}
	}
	res = svr_lan_forward(ctx, &pkt, flow);
out:
	return svr_exit(ctx, &pkt, res);
}

SEC("xdp.frags")
int svr_lan(struct xdp_md *ctx)
{
	struct svr_flow *flow = NULL;
	int verdict;

	if (likely(svr_fast(ctx, false, &flow)))
		return XDP_REDIRECT;
	svr_scratch_enter(svr_whole_why(ctx) != 0);
	verdict = svr_lan_general(ctx, flow);
	svr_scratch_leave();
	return verdict;
}

char _license[] SEC("license")
= "Dual BSD/GPL";
