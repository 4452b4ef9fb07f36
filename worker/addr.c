// SPDX-License-Identifier: BSD-2-Clause
/* IPv4 addresses as the maps hold them. */
#include <arpa/inet.h>
#include <netinet/in.h>

#include "worker/addr.h"

enum { MAPPED_BITS = 96U }; /* in front of the IPv4 address, RFC 4291 2.5.5.2 */

void svr_addr_map4(__be32 addr, __be32 out[static 4])
{
	out[0] = 0;
	out[1] = 0;
	out[2] = htonl(0xffff);
	out[3] = addr;
}

bool svr_addr_is4(const __be32 addr[static 4])
{
	return addr[0] == 0 && addr[1] == 0 && addr[2] == htonl(0xffff) && addr[3] != 0;
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
	return key->saddr[0] == 0 && key->saddr[1] == 0 && key->saddr[2] == htonl(0xffff);
}

bool svr_addr_one_host4(__be32 addr)
{
	uint32_t host = ntohl(addr);

	/* RFC 1122 3.2.1.3: the whole net 0 is "this network" */
	return host >> IN_CLASSA_NSHIFT != 0 && !IN_MULTICAST(host) && !IN_BADCLASS(host) &&
	       host >> IN_CLASSA_NSHIFT != IN_LOOPBACKNET;
}

static bool on_subnet4(const struct svr_zone_addr *a, __be32 addr)
{
	uint32_t bits = a->prefix_len > MAPPED_BITS ? a->prefix_len - MAPPED_BITS : 0;
	__be32 mask;

	if (!svr_addr_is4(a->addr) || bits == 0 || bits > 32)
		return false;
	mask = htonl(~0U << (32 - bits));
	return ((addr ^ svr_addr_get4(a->addr)) & mask) == 0;
}

bool svr_addr_on_link4(const struct svr_zone *zone, __be32 addr)
{
	for (uint32_t i = 0; i < zone->addrs && i < SVR_ZONE_ADDRS; i++) {
		if (on_subnet4(&zone->addr[i], addr))
			return true;
	}
	return false;
}

__be32 svr_addr_next_hop(const struct svr_zone *zone, __be32 addr)
{
	if (svr_addr_on_link4(zone, addr))
		return addr;
	for (uint32_t i = 0; i < zone->addrs && i < SVR_ZONE_ADDRS; i++) {
		if (svr_addr_is4(zone->addr[i].gateway))
			return svr_addr_get4(zone->addr[i].gateway);
	}
	return addr;
}

__be32 svr_addr_own4(const struct svr_zone *zone)
{
	for (uint32_t i = 0; i < zone->addrs && i < SVR_ZONE_ADDRS; i++) {
		if (svr_addr_is4(zone->addr[i].addr))
			return svr_addr_get4(zone->addr[i].addr);
	}
	return 0;
}
