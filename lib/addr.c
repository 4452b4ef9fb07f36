// SPDX-License-Identifier: BSD-2-Clause
/* Addresses and tuples as the maps hold them. */
#include <arpa/inet.h>
#include <netinet/in.h>

#include "addr.h"

void svr_addr_map4(__be32 addr, __be32 out[static 4])
{
	out[0] = 0;
	out[1] = 0;
	out[2] = htonl(0xffff);
	out[3] = addr;
}

bool svr_addr_is_mapped(const __be32 addr[static 4])
{
	return addr[0] == 0 && addr[1] == 0 && addr[2] == htonl(0xffff); /* RFC 4291 2.5.5.2 */
}

bool svr_addr_is_set(const __be32 addr[static 4])
{
	if (svr_addr_is_mapped(addr))
		return addr[3] != 0;
	return (addr[0] | addr[1] | addr[2] | addr[3]) != 0;
}

void svr_key_map4(const struct svr_flow4_key *key, struct svr_flow6_key *out)
{
	*out = (struct svr_flow6_key){
		.sport = key->sport,
		.dport = key->dport,
		.zone = key->zone,
		.proto = key->proto,
	};
	svr_addr_map4(key->saddr, out->saddr);
	svr_addr_map4(key->daddr, out->daddr);
}

void svr_key_get4(const struct svr_flow6_key *key, struct svr_flow4_key *out)
{
	*out = (struct svr_flow4_key){
		.saddr = svr_addr_get4(key->saddr),
		.daddr = svr_addr_get4(key->daddr),
		.sport = key->sport,
		.dport = key->dport,
		.zone = key->zone,
		.proto = key->proto,
	};
}

bool svr_key_is4(const struct svr_flow6_key *key)
{
	return svr_addr_is_mapped(key->saddr);
}

static bool one_host4(__be32 addr)
{
	uint32_t host = ntohl(addr);

	/* RFC 1122 3.2.1.3: the whole net 0 is "this network" */
	return host >> IN_CLASSA_NSHIFT != 0 && !IN_MULTICAST(host) && !IN_BADCLASS(host) &&
	       host >> IN_CLASSA_NSHIFT != IN_LOOPBACKNET;
}

bool svr_addr_one_host(const __be32 addr[static 4])
{
	if (svr_addr_is_mapped(addr))
		return one_host4(svr_addr_get4(addr));
	/* RFC 4291 2.5.2, 2.5.3, 2.7 */
	return !IN6_IS_ADDR_UNSPECIFIED((const struct in6_addr *)addr) &&
	       !IN6_IS_ADDR_LOOPBACK((const struct in6_addr *)addr) &&
	       !IN6_IS_ADDR_MULTICAST((const struct in6_addr *)addr);
}

bool svr_addr_link_local(const __be32 addr[static 4])
{
	return IN6_IS_ADDR_LINKLOCAL((const struct in6_addr *)addr);
}
