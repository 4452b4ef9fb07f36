/* SPDX-License-Identifier: BSD-2-Clause */
/* The data thread's look at next hops (the main thread writes them, neigh.c). */
#ifndef SVR_WORKER_NEXTHOP_H
#define SVR_WORKER_NEXTHOP_H

#include <stdint.h>
#include <svr/maps.h>

struct svr_mapset;

/**
 * svr_nexthop_of_neighbour() - a neighbour in a LAN zone.
 * @cached: slot where it was last time, 0: none; updated. Only a neighbour that moved costs a
 *	look-up.
 * Return: a valid next hop, NULL if the neighbour is not known.
 */
const struct svr_nexthop *svr_nexthop_of_neighbour(const struct svr_mapset *maps, uint16_t zone,
						   const __be32 addr[static 4], uint32_t *cached);

/* A neighbour of either kind, by looking at all paths too. For exceptions. */
const struct svr_nexthop *svr_nexthop_any(const struct svr_mapset *maps, uint16_t zone,
					  const __be32 addr[static 4]);

#endif
