// SPDX-License-Identifier: BSD-2-Clause
/* IPv4 addresses as the maps hold them. */
#include <arpa/inet.h>
#include <netinet/in.h>

#include "worker/addr.h"

enum { MAPPED_BITS = 96 }; /* in front of the IPv4 address, RFC 4291 2.5.5.2 */

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

bool svr_addr_one_host4(__be32 addr)
{
	uint32_t host = ntohl(addr);

	/* RFC 1122 3.2.1.3: the whole net 0 is "this network" */
	return host >> IN_CLASSA_NSHIFT != 0 && !IN_MULTICAST(host) && !IN_BADCLASS(host) &&
	       host >> IN_CLASSA_NSHIFT != IN_LOOPBACKNET;
}

bool svr_addr_on_link4(const struct svr_zone *zone, __be32 addr)
{
	unsigned int bits =
		zone->prefix_len > MAPPED_BITS ? zone->prefix_len - (unsigned int)MAPPED_BITS : 0;
	__be32 mask;

	if (!svr_addr_is4(zone->addr) || bits == 0 || bits > 32)
		return false;
	mask = htonl(~0U << (32 - bits));
	return ((addr ^ svr_addr_get4(zone->addr)) & mask) == 0;
}

__be32 svr_addr_next_hop(const struct svr_zone *zone, __be32 addr)
{
	if (!svr_addr_on_link4(zone, addr) && svr_addr_is4(zone->gateway))
		return svr_addr_get4(zone->gateway);
	return addr;
}
