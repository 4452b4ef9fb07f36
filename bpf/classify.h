/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * BPF side only: what the configuration says about a packet. Every answer but an explicit yes is a
 * drop reason. Indexes are checked by the maps themselves: a number without a slot finds nothing.
 */
#ifndef SVR_BPF_CLASSIFY_H
#define SVR_BPF_CLASSIFY_H

#include "exit.h"

enum svr_local {
	SVR_LOCAL_NO = 0,
	SVR_LOCAL_OWN = 1, /* the zone's own address */
	SVR_LOCAL_GROUP = 2, /* multicast, broadcast, broadcast of the zone's subnet */
};

enum {
	SVR_V4_IN_MAPPED = 96, /* bits in front of an IPv4 address in its 128-bit form */
	SVR_PREFIX_P2P = 127, /* from /31 up a subnet has no broadcast address; RFC 3021 */
	SVR_LPM_FRONT = 32, /* bits in front of the address in the tries */
};

/* The first @bits of four words, of which this is word @i */
static __always_inline __be32 svr_mask_word(__u32 bits, __u32 i)
{
	__u32 before = 32 * i;

	if (bits >= before + 32)
		return 0xffffffff;
	return bits <= before ? 0 : bpf_htonl(0xffffffffu << ((before + 32 - bits) & 31));
}

/* Is @addr in the subnet of the zone's address? */
static __always_inline bool svr_on_subnet(const struct svr_zone_addr *a, const __be32 addr[4])
{
	__u32 bits = a->prefix_len;

	return !(((addr[0] ^ a->addr[0]) & svr_mask_word(bits, 0)) |
		 ((addr[1] ^ a->addr[1]) & svr_mask_word(bits, 1)) |
		 ((addr[2] ^ a->addr[2]) & svr_mask_word(bits, 2)) |
		 ((addr[3] ^ a->addr[3]) & svr_mask_word(bits, 3)));
}

/* Addresses that nobody routes: to all hosts of a link or of a group. RFC 4291 2.4 */
static __always_inline bool svr_addr_is_group(const __be32 addr[4])
{
	if (svr_addr_is4(addr))
		return (addr[3] & bpf_htonl(0xf0000000)) == bpf_htonl(0xe0000000) ||
		       addr[3] == 0xffffffff;
	/* ff00::/8; what is for a link-local address, fe80::/10, is for the router or for nobody */
	return (addr[0] & bpf_htonl(0xff000000)) == bpf_htonl(0xff000000) ||
	       (addr[0] & bpf_htonl(0xffc00000)) == bpf_htonl(0xfe800000);
}

/* Is @daddr, seen in @zone_id, for the router itself? */
SVR_HELPER enum svr_local svr_local_check(__u32 zone_id, const __be32 daddr[4])
{
	const struct svr_zone *zone = svr_zone_get(zone_id);
	__u32 i;

	if (svr_addr_is_group(daddr))
		return SVR_LOCAL_GROUP;
	if (!zone)
		return SVR_LOCAL_NO;
	for (i = 0; i < SVR_ZONE_ADDRS; i++) {
		const struct svr_zone_addr *a = &zone->addr[i];

		if (i >= zone->addrs)
			break;
		if (svr_addr_equal(daddr, a->addr))
			return SVR_LOCAL_OWN;
		if (svr_addr_is4(daddr) && svr_addr_is4(a->addr) &&
		    a->prefix_len < SVR_PREFIX_P2P &&
		    daddr[3] == (a->addr[3] | ~svr_mask_word(a->prefix_len, 3)))
			return SVR_LOCAL_GROUP;
	}
	return SVR_LOCAL_NO;
}

/*
 * Not 0/8, 127/8, multicast, reserved and broadcast (RFC 1812 5.3.7); not ::/96 with the unspecified
 * and the loopback address in it, link-local and multicast (RFC 4291 2.5).
 */
static __always_inline bool svr_addr_forwardable(const __be32 addr[4])
{
	__u8 first;

	if (svr_addr_is4(addr)) {
		first = bpf_ntohl(addr[3]) >> 24;
		return first != 0 && first != 127 && first < 224;
	}
	return (addr[0] | addr[1] | addr[2]) && !svr_addr_is_group(addr);
}

static __always_inline enum svr_family svr_family_of(const __be32 addr[4])
{
	return svr_addr_is4(addr) ? SVR_FAMILY_4 : SVR_FAMILY_6;
}

/* Tenant of a source address on a zone, 0: none */
static __always_inline __u32 svr_tenant_find(__u32 zone, const __be32 saddr[4])
{
	struct svr_tenant_key key = {
		.prefixlen = SVR_LPM_FRONT + 128,
		.family = bpf_htons(svr_family_of(saddr)),
		.zone = bpf_htons(zone),
	};
	__u32 *tenant;

	svr_addr_copy(key.addr, saddr);
	tenant = bpf_map_lookup_elem(&svr_tenant_lpm, &key);
	return tenant ? *tenant : 0;
}

static __always_inline const struct svr_service_set *svr_service_set_find(const __be32 daddr[4])
{
	struct svr_service_key key = {
		.prefixlen = SVR_LPM_FRONT + 128,
		.family = bpf_htonl(svr_family_of(daddr)),
	};

	svr_addr_copy(key.addr, daddr);
	return bpf_map_lookup_elem(&svr_service_lpm, &key);
}

/* 1 if service @id is configured and has protocol @proto with port @port (host byte order). */
SVR_STEP int svr_service_carries(__u32 id, __u32 proto, __u32 port)
{
	const struct svr_service *service = bpf_map_lookup_elem(&svr_services, &id);
	__u32 i;

	if (!service || !id || !service->name[0])
		return 0;
	if (!service->transports)
		return 1;
	for (i = 0; i < SVR_MAX_TRANSPORTS; i++) {
		const struct svr_transport *t = &service->transport[i];

		if (i >= service->transports)
			return 0;
		if ((!t->proto || t->proto == proto) && port >= t->port_lo && port <= t->port_hi)
			return 1;
	}
	return 0;
}

/* "icmp" of a configuration is the ICMP of either family */
static __always_inline __u32 svr_service_proto(const struct svr_flow6_key *key)
{
	return key->proto == IPPROTO_ICMPV6 ? IPPROTO_ICMP : key->proto;
}

/* 1 if the destination of a tuple is of service @id, whatever other services it may be of. */
SVR_STEP int svr_service_covers(const struct svr_flow6_key *key, __u32 id)
{
	const struct svr_service_set *set;
	__u32 i;

	if (!key)
		return 0;
	set = svr_service_set_find(key->daddr);
	if (!set)
		return 0;
	for (i = 0; i < SVR_MAX_SVC_PER_PREFIX && i < set->count; i++) {
		if ((set->id[i] & ~SVR_SET_WIDER) == id)
			return svr_service_carries(id, svr_service_proto(key),
						   bpf_ntohs(key->dport));
	}
	return 0;
}

/* What the access policy of a service says of a tenant; NULL: nothing, so he may not. */
static __always_inline const __u32 *svr_access_find(__u32 service, __u32 tenant)
{
	struct svr_access_key key = { .service = service, .tenant = tenant };

	return bpf_map_lookup_elem(&svr_access, &key);
}

static __always_inline bool svr_access_allowed(__u32 service, __u32 tenant)
{
	const __u32 *allow = svr_access_find(service, tenant);

	return allow && *allow == 1;
}

/* Bit of what svr_service_find() returns: the tenant may use the service. */
enum { SVR_SERVICE_ALLOWED = 0x40000000 };

/*
 * The service of a tuple's destination for a tenant: of the longest prefix that has a service with this
 * protocol and port, the one whose access policy names the tenant; if none does, the first one, which
 * will refuse him. Wider prefixes are not asked then: what they grant is not meant for this one.
 * docs/config.md "Which service". 0: none.
 */
SVR_STEP int svr_service_find(const struct svr_flow6_key *key, __u32 tenant)
{
	const struct svr_service_set *set;
	__u32 i, id, first = 0;
	const __u32 *allow;

	if (!key)
		return 0;
	set = svr_service_set_find(key->daddr);
	if (!set)
		return 0;
	for (i = 0; i < SVR_MAX_SVC_PER_PREFIX && i < set->count; i++) {
		id = set->id[i];
		if (first && id & SVR_SET_WIDER)
			break;
		id &= ~SVR_SET_WIDER;
		if (!svr_service_carries(id, svr_service_proto(key), bpf_ntohs(key->dport)))
			continue;
		allow = svr_access_find(id, tenant);
		if (allow)
			return *allow == 1 ? id | SVR_SERVICE_ALLOWED : id;
		if (!first)
			first = id;
	}
	return first;
}

/*
 * 1 if sessions of the policy are made and carried by XDP alone. A missing policy is not clear:
 * fail closed.
 */
static __always_inline bool svr_policy_is_clear(__u32 id)
{
	const struct svr_policy *policy = bpf_map_lookup_elem(&svr_policies, &id);

	return policy && id && policy->name[0] && policy->clear;
}

static __always_inline bool svr_path_in_service(__u32 path)
{
	const struct svr_path_state *state = bpf_map_lookup_elem(&svr_path_state, &path);

	return state && state->status == SVR_PATH_UP;
}

/*
 * Best path of a service that is in service and whose next hop is known (slot of the same number); if
 * that is known of none, the best one that is in service: packets wait for the answer. 0: none
 */
SVR_STEP int svr_path_choose(__u32 service_id)
{
	const struct svr_service *service = bpf_map_lookup_elem(&svr_services, &service_id);
	const struct svr_nexthop *nexthop;
	__u32 i, path, waiting = 0;

	if (!service)
		return 0;
	for (i = 0; i < SVR_MAX_ROUTE_PATHS; i++) {
		if (i >= service->paths)
			break;
		path = service->path[i];
		if (!path || path >= SVR_MAX_PATHS || !svr_path_in_service(path))
			continue;
		nexthop = bpf_map_lookup_elem(&svr_nexthops, &path);
		if (nexthop && nexthop->valid)
			return path;
		if (!waiting)
			waiting = path;
	}
	return waiting;
}

/* Path of a peer's waypoint address, 0: none */
SVR_HELPER __u32 svr_path_find(__u32 zone, const __be32 saddr[4])
{
	struct svr_addr_key key = { .zone = zone };
	__u32 *path;

	svr_addr_copy(key.addr, saddr);
	path = bpf_map_lookup_elem(&svr_path_by_addr, &key);
	return path ? *path : 0;
}

/*
 * Who has to get a packet for @addr on the zone: the host itself on one of the zone's subnets, the
 * first gateway of its family otherwise. False: nobody.
 */
SVR_HELPER bool svr_gateway_for(__u32 zone_id, const __be32 addr[4], __be32 to[4])
{
	const struct svr_zone *zone = svr_zone_get(zone_id);
	bool found = false;
	__u32 i;

	if (!zone)
		return false;
	for (i = 0; i < SVR_ZONE_ADDRS; i++) {
		const struct svr_zone_addr *a = &zone->addr[i];

		if (i >= zone->addrs)
			break;
		if (svr_addr_is4(a->addr) != svr_addr_is4(addr))
			continue;
		if (svr_on_subnet(a, addr)) {
			svr_addr_copy(to, addr);
			return true;
		}
		if (!found && !svr_addr_is_zero(a->gateway)) {
			svr_addr_copy(to, a->gateway);
			found = true;
		}
	}
	return found;
}

/* Next hop of a LAN neighbour, 0: it has to be resolved first */
SVR_HELPER __u32 svr_neighbour_find(__u32 zone, const __be32 addr[4])
{
	struct svr_addr_key key = { .zone = zone };
	const struct svr_nexthop *nexthop;
	__u32 *slot;

	svr_addr_copy(key.addr, addr);
	slot = bpf_map_lookup_elem(&svr_neighbours, &key);
	if (!slot)
		return 0;
	nexthop = bpf_map_lookup_elem(&svr_nexthops, slot);
	return nexthop && nexthop->valid ? *slot : 0;
}

#endif
