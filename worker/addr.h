/* SPDX-License-Identifier: BSD-2-Clause */
/* What is on the link of a zone, and who forwards the rest. Pure. */
#ifndef SVR_WORKER_ADDR_H
#define SVR_WORKER_ADDR_H

#include "lib/addr.h"

/* True if @addr is in a subnet of the zone, or link-local. */
bool svr_addr_on_link(const struct svr_zone *zone, const __be32 addr[static 4]);
/* True if @addr is one of the router's in the zone, or the broadcast address of one of its subnets. */
bool svr_addr_local(const struct svr_zone *zone, const __be32 addr[static 4]);
/*
 * Whom to send to for @addr: itself on the link, otherwise the zone's first gateway of its family,
 * itself if there is none.
 */
void svr_addr_next_hop(const struct svr_zone *zone, const __be32 addr[static 4],
		       __be32 out[static 4]);
/* First address of the router in the zone that is IPv4 (IPv6 if not @v4), NULL: it has none. */
const __be32 *svr_addr_own(const struct svr_zone *zone, bool v4);

#endif
