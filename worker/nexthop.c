// SPDX-License-Identifier: BSD-2-Clause
/* Finding next hops by address. */
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include <bpf/bpf.h>

#include "sys/mapset.h"
#include "worker/addr.h"
#include "worker/nexthop.h"

/* Slots are used again for other neighbours: the address decides. */
static bool nexthop_is(const struct svr_nexthop *nh, uint16_t zone, const __be32 addr[static 4])
{
	return __atomic_load_n(&nh->valid, __ATOMIC_ACQUIRE) && nh->zone == zone &&
	       svr_addr_equal(nh->addr, addr);
}

const struct svr_nexthop *svr_nexthop_of_neighbour(const struct svr_mapset *maps, uint16_t zone,
						   const __be32 addr[static 4], uint32_t *cached)
{
	struct svr_addr_key key = { .zone = zone };
	uint32_t slot = *cached;

	if (slot && slot < maps->count.nexthops && nexthop_is(&maps->nexthops[slot], zone, addr))
		return &maps->nexthops[slot];
	memcpy(key.addr, addr, sizeof(key.addr));
	if (bpf_map_lookup_elem(maps->fd.neighbours, &key, &slot) || slot >= maps->count.nexthops ||
	    !nexthop_is(&maps->nexthops[slot], zone, addr))
		return NULL;
	*cached = slot;
	return &maps->nexthops[slot];
}

const struct svr_nexthop *svr_nexthop_any(const struct svr_mapset *maps, uint16_t zone,
					  const __be32 addr[static 4])
{
	uint32_t slot = 0;
	const struct svr_nexthop *nh = svr_nexthop_of_neighbour(maps, zone, addr, &slot);

	for (slot = 1; !nh && slot < SVR_MAX_PATHS && slot < maps->count.nexthops; slot++)
		if (nexthop_is(&maps->nexthops[slot], zone, addr))
			nh = &maps->nexthops[slot];
	return nh;
}
