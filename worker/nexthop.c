// SPDX-License-Identifier: BSD-2-Clause
/* Finding next hops by address. */
#include <arpa/inet.h>
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

static uint32_t *hint_of(struct svr_nexthop_hints *hints, uint16_t zone,
			 const __be32 addr[static 4])
{
	const uint32_t golden = 0x9e3779b1; /* spreads neighbouring addresses */
	const uint32_t sum = addr[0] ^ addr[1] ^ addr[2] ^ ntohl(addr[3]) ^ (uint32_t)zone << 16;

	return &hints->slot[sum * golden >> 20];
}
_Static_assert(SVR_NEXTHOP_HINTS == 1 << 12, "upper twelve bits are the hint");

static const struct svr_nexthop *nexthop_at(const struct svr_mapset *maps, uint32_t slot,
					    uint16_t zone, const __be32 addr[static 4])
{
	return slot && slot < maps->count.nexthops &&
			       nexthop_is(&maps->nexthops[slot], zone, addr) ?
		       &maps->nexthops[slot] :
		       NULL;
}

const struct svr_nexthop *svr_nexthop_of_neighbour(const struct svr_mapset *maps,
						   struct svr_nexthop_hints *hints, uint16_t zone,
						   const __be32 addr[static 4], uint32_t *cached)
{
	const struct svr_nexthop *nh = nexthop_at(maps, *cached, zone, addr);
	struct svr_addr_key key = { .zone = zone };
	uint32_t *hint, slot;

	if (nh)
		return nh;
	hint = hint_of(hints, zone, addr);
	slot = *hint;
	nh = nexthop_at(maps, slot, zone, addr);
	if (!nh) {
		memcpy(key.addr, addr, sizeof(key.addr));
		if (bpf_map_lookup_elem(maps->fd.neighbours, &key, &slot))
			return NULL;
		nh = nexthop_at(maps, slot, zone, addr);
	}
	if (nh) {
		*cached = slot;
		*hint = slot;
	}
	return nh;
}

const struct svr_nexthop *svr_nexthop_any(const struct svr_mapset *maps,
					  struct svr_nexthop_hints *hints, uint16_t zone,
					  const __be32 addr[static 4])
{
	uint32_t slot = 0;
	const struct svr_nexthop *nh = svr_nexthop_of_neighbour(maps, hints, zone, addr, &slot);

	for (slot = 1; !nh && slot < SVR_MAX_PATHS && slot < maps->count.nexthops; slot++)
		if (nexthop_is(&maps->nexthops[slot], zone, addr))
			nh = &maps->nexthops[slot];
	return nh;
}
