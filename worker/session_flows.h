/* SPDX-License-Identifier: BSD-2-Clause */
/* The two flows of a session, one for each direction, and whose a flow is. */
#ifndef SVR_WORKER_SESSION_FLOWS_H
#define SVR_WORKER_SESSION_FLOWS_H

#include <stdbool.h>
#include <stdint.h>
#include <svr/maps.h>

struct svr_thread;

/*
 * The flow of one direction. The next hop to the LAN is named too, so that it is kept known as long as
 * the session is there; 0 if it is not known yet.
 */
void svr_session_flow_make(struct svr_thread *t, const struct svr_session *s, uint32_t slot,
			   bool from_wan, struct svr_flow *f);
/* 0, -EEXIST, -SVR_DROP_TABLE_FULL. */
int svr_session_flow_insert(const struct svr_thread *t, const struct svr_flow6_key *key,
			    const struct svr_flow *f);
/* Is there a flow of this very session? */
bool svr_session_flow_present(const struct svr_thread *t, const struct svr_flow6_key *key,
			      uint32_t slot, uint32_t generation);
/* XDP may have replaced a flow of a closing session: take away only what is ours. */
void svr_session_flow_remove(const struct svr_thread *t, const struct svr_flow6_key *key,
			     uint32_t slot, uint32_t generation);

enum svr_flow_owner {
	SVR_OWNER_NONE, /* no such flow */
	SVR_OWNER_WORKER, /* of the live session in *slot */
	SVR_OWNER_CLEAR, /* made by XDP */
};
/*
 * Whose is the flow with this key? A flow of a worker session that is no more is removed and counts
 * as none.
 */
enum svr_flow_owner svr_session_of_flow(struct svr_thread *t, const struct svr_flow6_key *key,
					uint32_t *slot, struct svr_flow *flow);
/* Remove a pair of clear flows. */
void svr_session_remove_clear(struct svr_thread *t, const struct svr_flow6_key *key,
			      const struct svr_flow *flow);

/* Whom packets to the LAN are sent to. */
void svr_session_lan_target(const struct svr_thread *t, const struct svr_session *s,
			    __be32 out[static 4]);

/*
 * Flow label (RFC 6437) of packets of an IPv4 host on an IPv6 path, and the other way round: the
 * random bits of the session's name.
 */
uint32_t svr_session_label(const struct svr_session *s);

#endif
