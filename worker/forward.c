// SPDX-License-Identifier: BSD-2-Clause
/* A frame by the reason that XDP gives: which session, and which way. */
#include <string.h>

#include <svr/drops.h>

#include "worker/forward.h"
#include "worker/handover.h"
#include "worker/inbound.h"
#include "worker/outbound.h"
#include "worker/session_flows.h"
#include "worker/session_originate.h"
#include "worker/thread.h"
#include "worker/whole.h"

/* The session of a packet from the LAN, made if there is none. The caller holds the lock. */
static int setup_session(struct svr_thread *t, const struct svr_work *w, uint32_t *slot)
{
	struct svr_flow6_key key;
	struct svr_flow flow;

	svr_packet_key(&w->pkt, w->desc.zone, &key);
	switch (svr_session_of_flow(t, &key, slot, &flow)) {
	case SVR_OWNER_WORKER: /* made while this packet waited in the ring */
		return 0;
	case SVR_OWNER_CLEAR:
		if (!(flow.flags & SVR_FLOW_CLOSING))
			return -SVR_DROP_NOT_WAN_SESSION;
		svr_session_remove_clear(t, &key, &flow);
		break;
	case SVR_OWNER_NONE:
		break;
	}
	return svr_session_originate(t, w, &key, slot);
}

static int frame_setup(struct svr_thread *t, struct svr_work *w)
{
	uint32_t slot;
	int err;

	svr_sessions_lock(t);
	err = setup_session(t, w, &slot);
	svr_sessions_unlock(t);
	return err ? err : svr_outbound(t, w, slot);
}

static int frame_session(struct svr_thread *t, struct svr_work *w)
{
	const struct svr_session *s = svr_session_get(t, w->desc.slot, w->desc.slot_generation);
	uint32_t slot = w->desc.slot;
	struct svr_flow6_key key;
	struct svr_flow flow;

	svr_packet_key(&w->pkt, w->desc.zone, &key);
	if (!s) {
		/*
		 * Another thread is still making the session, or the packet was under way while it
		 * ended; a flow that still names the old session is removed here
		 */
		if (svr_session_of_flow(t, &key, &slot, &flow) != SVR_OWNER_WORKER)
			return -SVR_DROP_NOT_WAN_SESSION;
		s = svr_session_get(t, w->desc.slot, w->desc.slot_generation);
	}
	if (s && memcmp(&key, &s->lan, sizeof(key)) == 0)
		return svr_outbound(t, w, slot);
	if (s && memcmp(&key, &s->wan, sizeof(key)) == 0)
		return svr_inbound(t, w, slot, s->path);
	return -SVR_DROP_NOT_WAN_SESSION;
}

static int frame_metadata(struct svr_thread *t, struct svr_work *w)
{
	struct svr_flow6_key key;
	struct svr_flow flow;
	uint32_t slot;

	svr_packet_key(&w->pkt, w->desc.zone, &key);
	svr_session_of_flow(t, &key, &slot,
			    &flow); /* it may have been made while this packet waited */
	return svr_inbound(t, w, slot, w->desc.path);
}

int svr_forward_frame(struct svr_thread *t, struct svr_work *w)
{
	int err;

	if (w->desc.zone == 0 || w->desc.zone >= t->maps->count.zones ||
	    w->desc.zone >= SVR_MAX_ZONES)
		return -SVR_DROP_BAD_META_AREA;
	if (w->desc.why == SVR_FRAME_FRAGMENT)
		return svr_whole_post(t, w, SVR_LETTER_FRAGMENT);
	if (w->desc.why == SVR_FRAME_PIECE)
		return svr_whole_post(t, w, SVR_LETTER_PIECE);
	if (w->desc.why == SVR_FRAME_WHOLE)
		return svr_whole_post(t, w, SVR_LETTER_WHOLE);
	/* Goes through XDP again as it is, which may know protocols that the worker does not */
	if (w->desc.why == SVR_FRAME_NEIGHBOUR)
		return svr_hand_over(t, w, SVR_LETTER_XDP, w->desc.out_zone, w->desc.addr);
	err = svr_packet_parse(&w->pkt, w->frame, w->frame_len, w->desc.l3_off);
	if (err)
		return err;
	switch ((enum svr_frame_why)w->desc.why) {
	case SVR_FRAME_SETUP:
		return frame_setup(t, w);
	case SVR_FRAME_SESSION:
		return frame_session(t, w);
	case SVR_FRAME_METADATA:
		return frame_metadata(t, w);
	default:
		break; /* above, or nothing that arrives */
	}
	return -SVR_DROP_BAD_META_AREA;
}
