/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * BPF side only: hand a frame to the worker, with the description of include/svr/maps.h in front of
 * it.
 */
#ifndef SVR_BPF_WORKER_H
#define SVR_BPF_WORKER_H

#include "classify.h"
#include "exit.h"

enum {
	SVR_NEIGHBOUR_GAP_NS = 1000000000 / SVR_NEIGHBOUR_PER_SEC,
	SVR_NEXTHOP_GAP_NS = 1000000000 / SVR_NEXTHOP_PER_SEC,
};

/**
 * svr_to_worker() - describe and redirect.
 * @desc: magic, zone and l3_off are filled in here
 */
SVR_STEP int svr_to_worker(struct xdp_md *ctx, struct svr_pkt *pkt, struct svr_frame_desc *desc)
{
	struct svr_frame_desc *place;
	__u32 socket;

	if (!pkt || !desc)
		return -SVR_DROP_INTERNAL;
	socket = pkt->zone * SVR_MAX_QUEUES + ctx->rx_queue_index;
	if (ctx->rx_queue_index >= SVR_MAX_QUEUES)
		return -SVR_DROP_NO_WORKER;
	if (pkt->padded && svr_trim(ctx, pkt))
		return -SVR_DROP_INTERNAL;
	desc->magic = SVR_FRAME_MAGIC;
	desc->zone = pkt->zone;
	desc->l3_off = pkt->l3;
	/* In a run of the worker's the room is there, and more would be refused */
	if (!svr_whole_why(ctx) && bpf_xdp_adjust_meta(ctx, -(int)sizeof(*desc)))
		return -SVR_DROP_BAD_META_AREA;
	place = (void *)(long)ctx->data_meta;
	if ((void *)(place + 1) > (void *)(long)ctx->data)
		return -SVR_DROP_BAD_META_AREA;
	__builtin_memcpy(place, desc, sizeof(*desc));
	/* An empty slot answers with the last argument */
	if (bpf_redirect_map(&svr_xsks, socket, XDP_DROP) != XDP_REDIRECT)
		return -SVR_DROP_NO_WORKER;
	return SVR_TO_WORKER;
}

/* A packet of a session that the worker made */
static __always_inline int svr_to_worker_session(struct xdp_md *ctx, struct svr_pkt *pkt,
						 const struct svr_flow *flow)
{
	struct svr_frame_desc desc = {
		.why = SVR_FRAME_SESSION,
		.service = flow->service,
		.tenant = flow->tenant,
		.path = flow->path,
	};

	desc.slot = flow->slot;
	desc.slot_generation = flow->slot_generation;
	return svr_to_worker(ctx, pkt, &desc);
}

/*
 * The first packet of a clear session, for whose neighbour the worker has to ask. Not more than it can
 * hold, and that at a rate: the rings to it are there for the sessions that it carries, and anybody can
 * make up addresses.
 */
static __always_inline int svr_to_worker_unknown(struct xdp_md *ctx, struct svr_pkt *pkt,
						 struct svr_frame_desc *desc)
{
	__u32 zone = pkt->zone;
	__u64 *full_at = bpf_map_lookup_elem(&svr_neighbour_pace, &zone);

	if (!full_at || !svr_pace(full_at, SVR_NEIGHBOUR_GAP_NS, SVR_NEIGHBOUR_BURST))
		return -SVR_DROP_HOLD_FULL;
	return svr_to_worker(ctx, pkt, desc);
}

/*
 * Whom to ask for. The worker may not have come to a path of a new configuration, when the key manager
 * already has: what its next hop will be follows from its address. SVR_NEXT or a drop reason.
 */
static __always_inline int svr_nexthop_target(const struct svr_nexthop *nexthop, __u32 id,
					      struct svr_frame_desc *desc)
{
	const struct svr_path *path;

	if (nexthop->zone) {
		desc->out_zone = nexthop->zone;
		svr_addr_copy(desc->addr, nexthop->addr);
		return SVR_NEXT;
	}
	path = bpf_map_lookup_elem(&svr_paths, &id);
	if (!path)
		return -SVR_DROP_NO_NEIGHBOUR;
	/* The other way round: taken out, which the key manager has not come to */
	if (!path->peer)
		return -SVR_DROP_PATH_DOWN;
	desc->out_zone = path->zone;
	return svr_gateway_for(path->zone, path->remote, desc->addr) ? SVR_NEXT : -SVR_DROP_NO_NEIGHBOUR;
}

/*
 * A packet of a clear session whose next hop is not known yet, or no longer: the worker asks for it,
 * and runs this program on the frame again. Nothing of the packet may have been changed. Not more of
 * them than can wait: the rings to the worker are there for the sessions that it carries.
 */
SVR_STEP int svr_to_worker_neighbour(struct xdp_md *ctx, struct svr_pkt *pkt,
				     const struct svr_flow *flow)
{
	struct svr_frame_desc desc = { .why = SVR_FRAME_NEIGHBOUR };
	const struct svr_nexthop *nexthop;
	__u64 *full_at;
	__u32 id;
	int res;

	if (!pkt || !flow)
		return -SVR_DROP_INTERNAL;
	id = flow->nexthop;
	nexthop = bpf_map_lookup_elem(&svr_nexthops, &id);
	full_at = bpf_map_lookup_elem(&svr_nexthop_pace, &id);
	if (!nexthop || !full_at)
		return -SVR_DROP_NO_NEIGHBOUR;
	res = svr_nexthop_target(nexthop, id, &desc);
	if (res)
		return res;
	if (!svr_pace(full_at, SVR_NEXTHOP_GAP_NS, SVR_NEXTHOP_BURST))
		return -SVR_DROP_NO_NEIGHBOUR;
	desc.service = flow->service;
	desc.tenant = flow->tenant;
	desc.path = flow->path;
	return svr_to_worker(ctx, pkt, &desc);
}

#endif
