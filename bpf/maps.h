/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * BPF side only: the maps of include/svr/maps.h, each defined here and nowhere else. Both programs
 * hold all of them, so that loading either one makes the whole set; whoever comes second finds them
 * pinned and uses those (the loader sets pin_root_path to the router's directory).
 */
#ifndef SVR_BPF_MAPS_H
#define SVR_BPF_MAPS_H

#include "common.h"

/*
 * Zone of untagged frames on the interface that this instance is attached to; 0: not configured.
 * Set before load.
 */
const volatile __u32 svr_zone;

/* Room for the parsed metadata of one packet, see meta_in.h */
struct svr_meta_in {
	__u32 have; /* enum svr_meta_have, meta_in.h */
	__u32 unknown; /* TLVs that were skipped */
	__u32 len; /* of the whole block, bytes */
	__u32 sender, service, tenant, policy; /* indexes of the names; 0: not configured here */
	__u8 uuid[SVR_UUID_LEN];
	struct svr_flow6_key context; /* zone is not set */
};

/* Header of ICMP messages: the same fields in both families */
struct svr_icmp_hdr {
	__u8 type, code;
	__u16 check;
	__be32 rest; /* MTU, for example */
};

enum { SVR_QUOTED_L4 = 8 }; /* bytes of L4 that every ICMP error quotes at least; RFC 792 */

/* An ICMP error and the packet that it quotes, see icmp_map.h. Offsets are from the frame's start. */
struct svr_quote {
	struct svr_flow6_key key; /* of the quoted packet's answers */
	__u32 l3, l4, end; /* of the quoted packet; end of the message */
	__u32 skip; /* bytes of UDP header and metadata in front of what the host sent */
	__u32 meta_len; /* metadata in them */
	__u32 trailer; /* bytes of IV and tag behind what the host sent */
	__u32 ip_len; /* that the quoted IP header says */
	__u8 tclass, ttl;
	__u8 proto;
	__u8 _pad;
	struct svr_icmp_hdr icmp;
	__u8 head[SVR_QUOTED_L4]; /* the first bytes of L4 */
};

enum { SVR_CSUM_CHUNK = 512 }; /* most that bpf_csum_diff() takes on old kernels, bytes */

/* What both flows of a session have in common */
struct svr_session_terms {
	__u32 lan_flags, wan_flags; /* enum svr_flow_flags */
	__u32 lan_nexthop; /* where the LAN flow's packets go: the path */
	__u32 wan_nexthop; /* where the WAN flow's packets go: the neighbour */
	__u16 path, service, tenant, policy;
};

/*
 * Headers of a packet that end at the end of the one, and metadata that is made in the other: so
 * both are put into the packet at once (room.h). Whatever the length of the headers, offsets in the
 * metadata are constants.
 */
struct svr_front {
	__u8 hdr[128]; /* also headers that are made, TCP header that is searched, from its start on */
	__u8 block[SVR_CSUM_CHUNK];
};
_Static_assert(__builtin_offsetof(struct svr_front, block) == sizeof(((struct svr_front *)0)->hdr),
	       "nothing between them");

/* Work space of one packet. Too much for the stack of 512 bytes. */
struct svr_scratch {
	/* of the first one only, see svr_scratch_enter() */
	__u32 in_run; /* which one is in use */
	__u32 outer; /* and was, by whom we have interrupted */
	__u64 now_jiffies; /* see svr_now_ns() */
	__u64 now_ns;
	__u64 random[2]; /* see svr_random() */
	__u8 chunk[SVR_CSUM_CHUNK]; /* of a packet, to be summed or moved */
	__be32 own[4]; /* address that an ICMP error is sent from */
	struct svr_front front;
	struct {
		struct svr_name_key key;
		__u32 _room; /* names are copied in words */
	} name; /* of a TLV */
	struct svr_meta_in meta; /* as received */
	__u8 block_in[SVR_META_MAX + 64]; /* its bytes; room for values behind every TLV header */
	struct svr_quote quote;
	struct svr_session_terms terms; /* of a session that is being made */
	struct svr_flow lan, wan; /* its two flows */
	struct svr_flow6_key lan_tuple, wan_tuple; /* and its two tuples, see flow.h */
	struct svr_flow6_key from, to; /* of one of the flows */
};

#define SVR_MAP_ARRAY(name, element, count)          \
	struct {                                     \
		__uint(type, BPF_MAP_TYPE_ARRAY);    \
		__uint(max_entries, count);          \
		__uint(map_flags, BPF_F_MMAPABLE);   \
		__uint(pinning, LIBBPF_PIN_BY_NAME); \
		__type(key, __u32);                  \
		__type(value, element);              \
	} name SEC(".maps")

#define SVR_MAP_KEYED(name, kind, flags, key_type, element, count) \
	struct {                                                   \
		__uint(type, kind);                                \
		__uint(max_entries, count);                        \
		__uint(map_flags, flags);                          \
		__uint(pinning, LIBBPF_PIN_BY_NAME);               \
		__type(key, key_type);                             \
		__type(value, element);                            \
	} name SEC(".maps")

SVR_MAP_ARRAY(svr_router, struct svr_router, 1);
SVR_MAP_ARRAY(svr_zones, struct svr_zone, SVR_MAX_ZONES);
SVR_MAP_KEYED(svr_vlans, BPF_MAP_TYPE_HASH, 0, struct svr_vlan_key, __u32, SVR_MAX_ZONES);
SVR_MAP_KEYED(svr_tenant_lpm, BPF_MAP_TYPE_LPM_TRIE, BPF_F_NO_PREALLOC, struct svr_tenant_key,
	      __u32, SVR_MAX_PREFIXES);
SVR_MAP_ARRAY(svr_tenants, struct svr_tenant, SVR_MAX_TENANTS);
SVR_MAP_KEYED(svr_service_lpm, BPF_MAP_TYPE_LPM_TRIE, BPF_F_NO_PREALLOC, struct svr_service_key,
	      struct svr_service_set, SVR_MAX_PREFIXES);
SVR_MAP_ARRAY(svr_services, struct svr_service, SVR_MAX_SERVICES);
/* Only `svr` inserts into these two, and few routers need a small part of the room */
SVR_MAP_KEYED(svr_access, BPF_MAP_TYPE_HASH, BPF_F_NO_PREALLOC, struct svr_access_key, __u32,
	      SVR_MAX_ACCESS);
SVR_MAP_KEYED(svr_names, BPF_MAP_TYPE_HASH, BPF_F_NO_PREALLOC, struct svr_name_key, __u32,
	      SVR_MAX_TENANTS + SVR_MAX_SERVICES + SVR_MAX_POLICIES + SVR_MAX_PEERS);
SVR_MAP_ARRAY(svr_session_types, struct svr_session_type, SVR_MAX_SESSION_TYPES);
SVR_MAP_ARRAY(svr_port_types, struct svr_port_types, SVR_PORT_ROWS);
SVR_MAP_ARRAY(svr_policies, struct svr_policy, SVR_MAX_POLICIES);
SVR_MAP_ARRAY(svr_peers, struct svr_peer, SVR_MAX_PEERS);
SVR_MAP_ARRAY(svr_paths, struct svr_path, SVR_MAX_PATHS);
SVR_MAP_KEYED(svr_path_by_addr, BPF_MAP_TYPE_HASH, 0, struct svr_addr_key, __u32, SVR_MAX_PATHS);
/*
 * Kernels add BPF_F_RDONLY_PROG to a devmap by themselves and refuse it at creation, so libbpf
 * before 1.7 finds that the pinned map is not the one defined here ("parameter mismatch"). Whoever
 * loads a second object takes the pin by hand: bpf_obj_get(), bpf_map__reuse_fd(), and
 * bpf_map__set_pin_path(map, NULL) so that libbpf does not compare.
 */
SVR_MAP_KEYED(svr_txports, BPF_MAP_TYPE_DEVMAP, 0, __u32, __u32, SVR_MAX_ZONES);
SVR_MAP_ARRAY(svr_path_state, struct svr_path_state, SVR_MAX_PATHS);
SVR_MAP_ARRAY(svr_peer_keys, struct svr_peer_keys, SVR_MAX_PEERS);
SVR_MAP_ARRAY(svr_own_keys, struct svr_own_keys, 1);
SVR_MAP_ARRAY(svr_keymgr_drops, __u64, SVR_DROP_MAX);
SVR_MAP_ARRAY(svr_nexthops, struct svr_nexthop, SVR_MAX_NEXTHOPS);
SVR_MAP_KEYED(svr_neighbours, BPF_MAP_TYPE_HASH, 0, struct svr_addr_key, __u32, SVR_MAX_NEIGHBOURS);
SVR_MAP_ARRAY(svr_sessions, struct svr_session, SVR_MAX_SESSIONS);
SVR_MAP_ARRAY(svr_session_hmacs, struct svr_session_hmac, SVR_SESSION_HMACS);
SVR_MAP_ARRAY(svr_session_others, struct svr_session_other, SVR_SESSION_OTHERS);
SVR_MAP_ARRAY(svr_nonces, struct svr_nonce_slot, SVR_NONCE_SLOTS);
SVR_MAP_ARRAY(svr_worker_drops, __u64, SVR_MAX_ZONES *SVR_DROP_MAX);
SVR_MAP_ARRAY(svr_worker_stats, __u64, SVR_MAX_ZONES *SVR_STAT_MAX);
SVR_MAP_KEYED(svr_xsks, BPF_MAP_TYPE_XSKMAP, 0, __u32, __u32, SVR_MAX_ZONES *SVR_MAX_QUEUES);
SVR_MAP_ARRAY(svr_flow_hash, struct svr_flow_hash, 1);
SVR_MAP_ARRAY(svr_flow_tags4, __u64, SVR_FLOW_BUCKETS(SVR_MAX_FLOWS));
SVR_MAP_ARRAY(svr_flow_tags6, __u64, SVR_FLOW_BUCKETS(SVR_MAX_FLOWS6));
SVR_MAP_ARRAY(svr_flows4, struct svr_flow4_row, SVR_FLOW_BUCKETS(SVR_MAX_FLOWS) * SVR_FLOW_BUCKET);
SVR_MAP_ARRAY(svr_flows6, struct svr_flow6_row, SVR_FLOW_BUCKETS(SVR_MAX_FLOWS6) * SVR_FLOW_BUCKET);
SVR_MAP_KEYED(svr_drops, BPF_MAP_TYPE_PERCPU_ARRAY, 0, __u32, __u64, SVR_MAX_ZONES *SVR_DROP_MAX);
SVR_MAP_KEYED(svr_stats, BPF_MAP_TYPE_PERCPU_ARRAY, 0, __u32, struct svr_zone_stats, SVR_MAX_ZONES);

SVR_MAP_ARRAY(svr_captures, struct svr_capture, SVR_MAX_ZONES);

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, SVR_CAPTURE_RING);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} svr_capture_ring SEC(".maps");

/*
 * Token bucket of each zone's ICMP errors, as the time at which it will be full again
 * (CLOCK_MONOTONIC). RFC 1812 4.3.2.8, RFC 4443 2.4 (f)
 */
SVR_MAP_ARRAY(svr_icmp_pace, __u64, SVR_MAX_ZONES);

SVR_MAP_ARRAY(svr_fragment_pace, __u64, SVR_MAX_ZONES);
SVR_MAP_ARRAY(svr_neighbour_pace, __u64, SVR_MAX_ZONES);
SVR_MAP_ARRAY(svr_nexthop_pace, __u64, SVR_MAX_NEXTHOPS);

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 2); /* for packets that arrive, and for runs of the worker */
	__type(key, __u32);
	__type(value, struct svr_scratch);
} svr_scratch SEC(".maps");

static __always_inline struct svr_scratch *svr_scratch_first(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&svr_scratch, &zero);
}

/* The verifier wants each look-up tested where it is made; NULL cannot happen. */
static __always_inline struct svr_scratch *svr_scratch_get(void)
{
	struct svr_scratch *first = svr_scratch_first();
	__u32 number;

	if (!first)
		return NULL;
	number = first->in_run;
	return bpf_map_lookup_elem(&svr_scratch, &number);
}

/*
 * svr_scratch_enter() - before the first svr_scratch_get(); svr_scratch_leave() - after the last one.
 * @in_run: 1 in a run of the worker (whole.h). Kernels before 6.3 let packets that arrive interrupt
 * such a run, on the same CPU: therefore it has an area of its own, and they put back what they found.
 */
static __always_inline void svr_scratch_enter(__u32 in_run)
{
	struct svr_scratch *first = svr_scratch_first();

	if (!first)
		return;
	first->outer = first->in_run;
	first->in_run = in_run;
}

static __always_inline void svr_scratch_leave(void)
{
	struct svr_scratch *first = svr_scratch_first();

	if (first) /* a run is never inside of something */
		first->in_run = first->in_run ? 0 : first->outer;
}

/*
 * CLOCK_MONOTONIC, as exact as the kernel's tick. Even the coarse clock costs a tenth of what an
 * established packet may cost, a look at the tick counter nothing: so the clock is read once per
 * tick and CPU.
 */
static __always_inline __u64 svr_now_ns(void)
{
	struct svr_scratch *s = svr_scratch_first();
	__u64 jiffies = bpf_jiffies64();

	if (!s)
		return 0;
	if (s->now_jiffies != jiffies) {
		s->now_ns = bpf_ktime_get_coarse_ns();
		s->now_jiffies = jiffies;
	}
	return s->now_ns;
}

static __always_inline struct svr_zone *svr_zone_get(__u32 zone)
{
	return bpf_map_lookup_elem(&svr_zones, &zone);
}

static __always_inline void svr_addr_map4(__be32 to[4], __be32 addr)
{
	to[0] = 0;
	to[1] = 0;
	to[2] = bpf_htonl(0xffff); /* RFC 4291 2.5.5.2 */
	to[3] = addr;
}

static __always_inline void svr_addr_copy(__be32 to[4], const __be32 from[4])
{
	to[0] = from[0];
	to[1] = from[1];
	to[2] = from[2];
	to[3] = from[3];
}

static __always_inline bool svr_addr_is4(const __be32 addr[4])
{
	return !(addr[0] | addr[1]) && addr[2] == bpf_htonl(0xffff);
}

static __always_inline bool svr_addr_equal(const __be32 a[4], const __be32 b[4])
{
	return !((a[0] ^ b[0]) | (a[1] ^ b[1]) | (a[2] ^ b[2]) | (a[3] ^ b[3]));
}

static __always_inline bool svr_addr_is_zero(const __be32 addr[4])
{
	return !(addr[0] | addr[1] | addr[2] | addr[3]);
}

#endif
