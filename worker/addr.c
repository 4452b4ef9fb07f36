// SPDX-License-Identifier: BSD-2-Clause
/* The subnets and gateways of a zone. */
#include <arpa/inet.h>
#include <stdint.h>

#include "worker/addr.h"

enum { ADDR_BITS = 128, WORD_BITS = 32 };

static bool in_subnet(const struct svr_zone_addr *a, const __be32 addr[static 4])
{
	uint32_t i, bits = a->prefix_len;
	__be32 mask;

	if (bits == 0 || bits > ADDR_BITS || svr_addr_is_mapped(a->addr) != svr_addr_is_mapped(addr))
		return false;
	for (i = 0; i < bits / WORD_BITS; i++)
		if (a->addr[i] != addr[i])
			return false;
	if (bits % WORD_BITS == 0)
		return true;
	mask = htonl(~0U << (WORD_BITS - bits % WORD_BITS));
	return ((a->addr[i] ^ addr[i]) & mask) == 0;
}

bool svr_addr_on_link(const struct svr_zone *zone, const __be32 addr[static 4])
{
	uint32_t i;

	if (svr_addr_link_local(addr))
		return true;
	for (i = 0; i < zone->addrs && i < SVR_ZONE_ADDRS; i++)
		if (in_subnet(&zone->addr[i], addr))
			return true;
	return false;
}

bool svr_addr_local(const struct svr_zone *zone, const __be32 addr[static 4])
{
	uint32_t i, host_bits;

	for (i = 0; i < zone->addrs && i < SVR_ZONE_ADDRS; i++) {
		const struct svr_zone_addr *a = &zone->addr[i];

		if (svr_addr_equal(a->addr, addr))
			return true;
		/* from /31 up a subnet has no broadcast address; RFC 3021 */
		if (!svr_addr_is_mapped(addr) || !svr_addr_is_mapped(a->addr) ||
		    a->prefix_len >= ADDR_BITS - 1 || a->prefix_len < ADDR_BITS - WORD_BITS)
			continue;
		host_bits = (uint32_t)ADDR_BITS - a->prefix_len;
		if (addr[3] == (a->addr[3] | htonl(host_bits == WORD_BITS ?
							   UINT32_MAX :
							   (1U << host_bits) - 1)))
			return true;
	}
	return false;
}

void svr_addr_next_hop(const struct svr_zone *zone, const __be32 addr[static 4],
		       __be32 out[static 4])
{
	const bool v4 = svr_addr_is_mapped(addr);
	const __be32 *hop = addr;
	uint32_t i;

	if (!svr_addr_on_link(zone, addr)) {
		for (i = 0; i < zone->addrs && i < SVR_ZONE_ADDRS && hop == addr; i++)
			if (svr_addr_is_set(zone->addr[i].gateway) &&
			    svr_addr_is_mapped(zone->addr[i].gateway) == v4)
				hop = zone->addr[i].gateway;
	}
	svr_addr_copy(out, hop);
}

const __be32 *svr_addr_own(const struct svr_zone *zone, bool v4)
{
	uint32_t i;

	for (i = 0; i < zone->addrs && i < SVR_ZONE_ADDRS; i++)
		if (svr_addr_is_set(zone->addr[i].addr) &&
		    svr_addr_is_mapped(zone->addr[i].addr) == v4)
			return zone->addr[i].addr;
	return NULL;
}
