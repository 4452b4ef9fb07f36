/* SPDX-License-Identifier: BSD-2-Clause */
/* The data thread's look at next hops (the main thread writes them, neigh.c). */
#ifndef SVR_WORKER_NEXTHOP_H
#define SVR_WORKER_NEXTHOP_H

#include <stdint.h>
#include <svr/maps.h>

struct svr_mapset;

enum { SVR_NEXTHOP_HINTS = 4096 };
/*
 * Where neighbours were found, by their addresses; of one thread. Only hints: the slot itself says whose
 * it is. Many sessions have few neighbours, so a new one rarely costs a look-up in the table.
 */
struct svr_nexthop_hints {
	uint32_t slot[SVR_NEXTHOP_HINTS];
};

/**
 * svr_nexthop_of_neighbour() - a neighbour in a LAN zone.
 * @cached: slot where the caller found it last time, 0: none; updated
 * Return: a valid next hop, NULL if the neighbour is not known.
 */
const struct svr_nexthop *svr_nexthop_of_neighbour(const struct svr_mapset *maps,
						   struct svr_nexthop_hints *hints, uint16_t zone,
						   const __be32 addr[static 4], uint32_t *cached);

/* A neighbour of either kind, by looking at all paths too. For exceptions. */
const struct svr_nexthop *svr_nexthop_any(const struct svr_mapset *maps,
					  struct svr_nexthop_hints *hints, uint16_t zone,
					  const __be32 addr[static 4]);

#endif
