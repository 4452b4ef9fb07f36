/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * IPv4 addresses and tuples inside the 16-byte form of the maps (::ffff:a.b.c.d), and what is on the
 * link of a zone. Pure.
 */
#ifndef SVR_WORKER_ADDR_H
#define SVR_WORKER_ADDR_H

#include <stdbool.h>
#include <svr/maps.h>

void svr_addr_map4(__be32 addr, __be32 out[static 4]);
/* False for zero and for IPv6. */
bool svr_addr_is4(const __be32 addr[static 4]);
static inline __be32 svr_addr_get4(const __be32 addr[static 4])
{
	return addr[3];
}

/* The tuple of an IPv4 flow in the form of either family, and back. */
void svr_key_map4(const struct svr_flow4_key *key, struct svr_flow6_key *out);
void svr_key_get4(const struct svr_flow6_key *key, struct svr_flow4_key *out);
/* True if the flow of this tuple stands in svr_flows4. */
bool svr_key_is4(const struct svr_flow6_key *key);

/* Can be the address of a single host: not zero, loopback, multicast or broadcast. */
bool svr_addr_one_host4(__be32 addr);
/* True if @addr is on the subnet of the zone. */
bool svr_addr_on_link4(const struct svr_zone *zone, __be32 addr);
/*
 * Whom to send to for @addr: itself on the link, otherwise the zone's gateway, itself if there is
 * none.
 */
__be32 svr_addr_next_hop(const struct svr_zone *zone, __be32 addr);
/* First IPv4 address of the router in the zone, 0: it has none. */
__be32 svr_addr_own4(const struct svr_zone *zone);

#endif
