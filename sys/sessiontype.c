// SPDX-License-Identifier: BSD-2-Clause
/* Which session type a session has. */
#include <stddef.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include "sys/mapset.h"
#include "sys/sessiontype.h"

static const struct svr_session_type *
find(const struct svr_mapset *m, const struct svr_service *service, uint8_t proto, __be16 port)
{
	enum svr_port_row row;
	uint16_t type;

	switch (proto) {
	case IPPROTO_TCP:
		row = SVR_PORTS_TCP;
		break;
	case IPPROTO_UDP:
		row = SVR_PORTS_UDP;
		break;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		row = SVR_PORTS_ICMP;
		break;
	case IPPROTO_GRE:
		row = SVR_PORTS_GRE;
		break;
	case IPPROTO_ESP:
		row = SVR_PORTS_ESP;
		break;
	default:
		return NULL;
	}
	if (!service->by_port || row >= m->count.port_types)
		return NULL;
	type = m->port_types[row].type[row <= SVR_PORTS_UDP ? ntohs(port) : 0];
	return type && type < m->count.session_types ? &m->session_types[type] : NULL;
}

const struct svr_session_type *svr_session_type_of_flow(const struct svr_mapset *m,
							const struct svr_flow6_key *key,
							const struct svr_flow *flow,
							const struct svr_service *service)
{
	/* What arrives from the peer has the host's ports only after rewriting; what has no ports crosses the WAN as UDP */
	bool after = flow->flags & SVR_FLOW_FROM_WAN, reverse = flow->flags & SVR_FLOW_REV;
	__be16 sport = after ? flow->sport : key->sport, dport = after ? flow->dport : key->dport;

	return find(m, service, flow->flags & SVR_FLOW_ENCAP ? key->proto : flow->proto,
		    reverse ? sport : dport);
}

const struct svr_session_type *svr_session_type_of_record(const struct svr_mapset *m,
							  const struct svr_session *s,
							  const struct svr_service *service)
{
	return find(m, service, s->lan.proto, s->originator ? s->lan.dport : s->lan.sport);
}
