/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Addresses and tuples of both families in the 16-byte form of the maps (IPv4 as ::ffff:a.b.c.d). Part
 * of libsvr.
 */
#ifndef SVR_LIB_ADDR_H
#define SVR_LIB_ADDR_H

#include <stdbool.h>
#include <string.h>
#include <svr/maps.h>

void svr_addr_map4(__be32 addr, __be32 out[static 4]);
/* True for an IPv4 address, 0.0.0.0 included. */
bool svr_addr_is_mapped(const __be32 addr[static 4]);
/* False for all zero bytes, :: and 0.0.0.0: what the maps hold for "none". */
bool svr_addr_is_set(const __be32 addr[static 4]);
/* The IPv4 address in a mapped one. */
static inline __be32 svr_addr_get4(const __be32 addr[static 4])
{
	return addr[3];
}
static inline bool svr_addr_equal(const __be32 a[static 4], const __be32 b[static 4])
{
	return memcmp(a, b, 4 * sizeof(*a)) == 0;
}
static inline void svr_addr_copy(__be32 to[static 4], const __be32 from[static 4])
{
	memmove(to, from, 4 * sizeof(*to));
}

/* The tuple of an IPv4 flow in the form of either family, and back. */
void svr_key_map4(const struct svr_flow4_key *key, struct svr_flow6_key *out);
void svr_key_get4(const struct svr_flow6_key *key, struct svr_flow4_key *out);
/* True if the flow of this tuple stands in svr_flows4. */
bool svr_key_is4(const struct svr_flow6_key *key);

/* Can be the address of a single host: not unspecified, loopback, multicast or broadcast. */
bool svr_addr_one_host(const __be32 addr[static 4]);
/* fe80::/10, RFC 4291 2.5.6. */
bool svr_addr_link_local(const __be32 addr[static 4]);

#endif
