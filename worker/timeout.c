// SPDX-License-Identifier: BSD-2-Clause
/* Idle times of sessions. */
#include <netinet/in.h>

#include "lib/config.h"
#include "lib/shared.h"
#include "lib/tcpstate.h"
#include "worker/timeout.h"

enum {
	/* After the last packet: time for the final acknowledgement and its retransmissions */
	CLOSING_MS = 4000,
};
#define NS_PER_MS 1000000ULL

uint64_t svr_timeout_ns(const struct svr_service *service, const struct svr_session_type *type,
			uint8_t proto, bool established, bool closing)
{
	/* Rows of svr_service.timeout_ms */
	enum { ROW_TCP, ROW_UDP, ROW_OTHER };
	static const uint32_t fallback[] = { SVR_CFG_TIMEOUT_TCP_MS, SVR_CFG_TIMEOUT_UDP_MS,
					     SVR_CFG_TIMEOUT_ICMP_MS };
	unsigned int row = proto == IPPROTO_TCP ? ROW_TCP :
			   proto == IPPROTO_UDP ? ROW_UDP :
						  ROW_OTHER;
	uint32_t ms;

	if (closing)
		ms = CLOSING_MS;
	else if (type)
		ms = established ? type->timeout_ms : type->initial_timeout_ms;
	else if (established)
		ms = service->timeout_ms[row] ? service->timeout_ms[row] : fallback[row];
	else
		ms = service->initial_timeout_ms[row] ? service->initial_timeout_ms[row] :
							SVR_CFG_TIMEOUT_INITIAL_MS;
	return ms * NS_PER_MS;
}

/* Protocol of the host's packets: what has no ports crosses the WAN as UDP, but is none. */
static uint8_t host_proto(const struct svr_flow *flow)
{
	return flow->flags & (SVR_FLOW_ENCAP | SVR_FLOW_DECAP) ? IPPROTO_ICMP : flow->proto;
}

uint64_t svr_clear_timeout_ns(const struct svr_flow *a, const struct svr_flow *b,
			      const struct svr_service *service,
			      const struct svr_session_type *type)
{
	bool closing = ((a->flags | b->flags) & SVR_FLOW_CLOSING) ||
		       svr_tcp_closing(a->tcp_seen, b->tcp_seen);
	bool established = a->proto == IPPROTO_TCP ? svr_tcp_established(a->tcp_seen, b->tcp_seen) :
						     a->packets && b->packets;

	return svr_timeout_ns(service, type, host_proto(a), established, closing);
}

uint64_t svr_clear_timeout_min_ns(const struct svr_flow *flow, const struct svr_service *service,
				  const struct svr_session_type *type)
{
	bool may_close = flow->flags & SVR_FLOW_CLOSING ||
			 flow->tcp_seen & (SVR_TCP_FIN | SVR_TCP_RST);
	uint64_t initial_ns = svr_timeout_ns(service, type, host_proto(flow), false, may_close);
	uint64_t idle_ns = svr_timeout_ns(service, type, host_proto(flow), true, may_close);

	return initial_ns < idle_ns ? initial_ns : idle_ns;
}

uint64_t svr_session_timeout_ns(const struct svr_session *s, const struct svr_service *service,
				const struct svr_session_type *type)
{
	bool established =
		s->lan.proto == IPPROTO_TCP ?
			svr_tcp_established(svr_shared(s->tcp_lan), svr_shared(s->tcp_wan)) :
			svr_shared(s->packets[0]) && svr_shared(s->packets[1]);

	return svr_timeout_ns(service, type, s->lan.proto, established, svr_shared(s->closing));
}
