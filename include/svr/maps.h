/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Keys and values of every pinned map, and the description that XDP puts in front of a frame for the worker.
 * Included by the BPF programs and by user space: there is no second copy. Fixed-width types, no implicit padding,
 * every layout asserted. Pins: /sys/fs/bpf/svr/<router>/<map name>, directory 0700, root only (some hold keys).
 *
 * One writer per map:
 *
 *   map               type              writer          readers           what
 *   svr_router        array[1], mmap    svr             all               identity of this router, ABI version
 *   svr_zones         array, mmap       svr             all               network interfaces
 *   svr_vlans         hash              svr             XDP               (ifindex, VLAN) -> zone
 *   svr_tenant_lpm    LPM trie          svr             XDP               (zone, source prefix) -> tenant
 *   svr_tenants       array, mmap       svr             all               tenant
 *   svr_service_lpm   LPM trie          svr             XDP, worker       destination prefix -> candidate services
 *   svr_services      array, mmap       svr             all               service, its route and timeouts
 *   svr_access        hash              svr             XDP, worker       (service, tenant) -> allowed
 *   svr_session_types array, mmap       svr             worker, svr       time-outs of a session type
 *   svr_port_types    array, mmap       svr             worker, svr       protocol -> session type of each port
 *   svr_names         hash              svr             XDP, worker       (kind, name) -> index
 *   svr_policies      array, mmap       svr             all               security policy
 *   svr_peers         array, mmap       svr             all               peer router
 *   svr_paths         array, mmap       svr             all               peer path
 *   svr_path_by_addr  hash              svr             XDP, worker       (zone, remote address) -> path
 *   svr_txports       devmap            svr             XDP               zone -> device
 *   svr_path_state    array, mmap       svr-keymgr      all               path in service? BFD state
 *   svr_peer_keys     array, mmap       svr-keymgr      worker, svr       peer keys, peer's metadata keys, clock offset
 *   svr_own_keys      array[1], mmap    svr-keymgr      worker            own metadata keys
 *   svr_keymgr_drops  array, mmap       svr-keymgr      svr               reason -> packets
 *   svr_nexthops      array, mmap       svr-worker      XDP, svr          link-layer addresses
 *   svr_neighbours    hash              svr-worker      XDP               (zone, address) -> next hop
 *   svr_sessions      array, mmap       svr-worker      svr               sessions with HMAC or encryption
 *   svr_session_hmacs array, mmap       svr-worker      svr               HMAC keys that sessions share
 *   svr_session_others array, mmap      svr-worker      svr               keys of sessions that are just being rekeyed
 *   svr_nonces        array, mmap       svr-worker      worker            metadata nonces seen
 *   svr_worker_drops  array, mmap       svr-worker      svr               zone * SVR_DROP_MAX + reason -> packets
 *   svr_worker_stats  array, mmap       svr-worker      svr               zone * SVR_STAT_MAX + counter
 *   svr_xsks          xskmap            svr-worker      XDP               zone * SVR_MAX_QUEUES + queue -> socket
 *   svr_flow_hash     array[1], mmap    svr             all               secret of the order in the following
 *   svr_flow_tags4    array, mmap       XDP, svr-worker all               which rows of svr_flows4 are in use
 *   svr_flow_tags6    array, mmap       XDP, svr-worker all               and of svr_flows6; svr/flowtable.h
 *   svr_flows4        array, mmap       XDP, svr-worker all               flows of packets that arrive as IPv4
 *   svr_flows6        array, mmap       XDP, svr-worker all               flows of packets that arrive as IPv6
 *                                                                         XDP inserts and stamps flows of clear sessions,
 *                                                                         the worker those of its own; only the worker
 *                                                                         removes (except a flow that XDP replaces)
 *   svr_drops         per-CPU array     XDP             svr               zone * SVR_DROP_MAX + reason -> packets
 *   svr_stats         per-CPU array     XDP             svr               zone -> its counters
 *   svr_captures      array, mmap       svr             XDP               zone -> packets that `svr capture` wants
 *   svr_capture_ring  ring buffer       XDP             svr               copies of them
 *   svr_icmp_pace     array             XDP             -                 when the ICMP errors of a zone are allowed again
 *   svr_fragment_pace array             XDP             -                 the same for fragments
 *   svr_neighbour_pace array            XDP             -                 for first packets whose neighbour is not known
 *   svr_nexthop_pace  array             XDP             -                 and for packets whose next hop is not known
 *   svr_scratch       per-CPU array[1]  XDP             -                 work space, not pinned
 *
 * The kernel rounds the element size of an array up to 8 bytes, and that is the stride of its mapped pages. So every
 * mapped element type has a size that is a multiple of 8 (asserted in sys/mapset.h): typed pointers index it rightly.
 *
 * Addresses are 16 bytes in network byte order, IPv4 as ::ffff:a.b.c.d, unless a name ends in 4.
 * Indexes (zone, tenant, service, policy, peer, path) are array slots that `svr` hands out by name and keeps
 * while the name exists. Index 0 is never handed out, so 0 means "none" everywhere.
 */
#ifndef SVR_MAPS_H
#define SVR_MAPS_H

#include <linux/types.h>
#include <svr/limits.h>
#include <svr/stats.h>
#include <svr/wire.h>

#define SVR_PIN_ROOT "/sys/fs/bpf/svr"

/* ---- configuration, written by `svr` ------------------------------------------------------------------- */

struct svr_router {
	__u32 abi;		    /* SVR_ABI_VERSION; programs refuse to run with another */
	__u32 generation;	    /* counts applied configurations */
	char name[SVR_NAME_LEN];
	char common_name[SVR_NAME_LEN];	/* peering-common-name */
	char authority[SVR_NAME_LEN];
	__u64 sessions;		    /* number of slots in svr_sessions */
	__u64 payload_rekey_sec;    /* age at which the keys of a session are replaced, 0: never */
	__u32 rules;		    /* changes with svr_access, svr_names and svr_service_lpm; the worker remembers rows of them */
	__u32 _pad;
};
_Static_assert(sizeof(struct svr_router) == 224, "map ABI");

enum svr_zone_role {
	SVR_ROLE_NONE = 0,
	SVR_ROLE_LAN = 1,
	SVR_ROLE_WAN = 2,
};

/*
 * Addresses are 128 bits long everywhere, IPv4 in its mapped form ::ffff:a.b.c.d (RFC 4291 2.5.5.2). In tables that
 * match prefixes the family stands in front of them, so that ::/0 does not hold for IPv4.
 */

/* An address of the router in a zone, and who forwards what is not in its subnet. */
struct svr_zone_addr {
	__be32 addr[4];
	__be32 gateway[4];	/* zero: none */
	__u32 prefix_len;	/* of addr, counted in the 128-bit form (IPv4 /24 is 120) */
	__u32 _pad;
};
_Static_assert(sizeof(struct svr_zone_addr) == 40, "map ABI");

struct svr_zone {
	__u32 ifindex;		/* 0: slot is free or the device is gone */
	__u16 vlan;		/* 0: untagged */
	__u16 outer_vlan;	/* IEEE 802.1ad tag in front of vlan, 0: none */
	__u16 mtu;		/* bytes, IP packet */
	__u16 mss;
	__u8 mac[6];		/* of the device */
	__u8 role;		/* enum svr_zone_role */
	__u8 enforced_mss;	/* 0 disabled, 1 automatic, 2 the fixed value in mss */
	__u32 addrs;		/* rows used in addr[] */
	struct svr_zone_addr addr[SVR_ZONE_ADDRS]; /* in the order of the configuration */
	char name[SVR_NAME_LEN];    /* network-interface */
	char device[SVR_NAME_LEN];  /* device-interface, the Linux name */
};
_Static_assert(sizeof(struct svr_zone) == 24 + 160 + 128, "map ABI");

struct svr_vlan_key {
	__u32 ifindex;
	__u16 vlan;
	__u16 outer_vlan;	/* 0: a single tag */
};
_Static_assert(sizeof(struct svr_vlan_key) == 8, "map ABI"); /* value: __u32 zone */

enum svr_family {
	SVR_FAMILY_4 = 4,
	SVR_FAMILY_6 = 6,
};

struct svr_tenant_key {
	__u32 prefixlen;	/* 32 + bits of addr, IPv4 /24 is 32 + 120 */
	__be16 family;		/* enum svr_family */
	__be16 zone;
	__be32 addr[4];
};
_Static_assert(sizeof(struct svr_tenant_key) == 24, "map ABI"); /* value: __u32 tenant */

/* TLVs that an object adds to clear metadata, rendered once by `svr` so that XDP only copies them. */
struct svr_meta_frag {
	__u16 len;		/* bytes used */
	__u8 tlv[SVR_META_FRAG_LEN - 2];
};
_Static_assert(sizeof(struct svr_meta_frag) == SVR_META_FRAG_LEN, "map ABI");

struct svr_tenant {
	char name[SVR_NAME_LEN];    /* empty: slot is free */
	struct svr_meta_frag frag;  /* TLV 7 */
};
_Static_assert(sizeof(struct svr_tenant) == 272, "map ABI");

struct svr_service_key {
	__u32 prefixlen;	/* 32 + bits of addr, IPv4 /24 is 32 + 120 */
	__be32 family;		/* enum svr_family */
	__be32 addr[4];
};
_Static_assert(sizeof(struct svr_service_key) == 24, "map ABI");

/*
 * Services that cover a prefix, most specific prefix first, then in the order of the configuration. With
 * SVR_SET_WIDER, this one has a wider prefix than the one before it.
 */
struct svr_service_set {
	__u16 count;
	__u16 id[SVR_MAX_SVC_PER_PREFIX];
};
enum { SVR_SET_WIDER = 1 << 15 };
_Static_assert((int)SVR_MAX_SERVICES <= (int)SVR_SET_WIDER, "a number and the mark fit into an entry");
_Static_assert(sizeof(struct svr_service_set) == 64, "map ABI");

struct svr_transport {
	__u16 port_lo, port_hi;	/* host byte order, inclusive */
	__u8 proto;		/* 0: any */
	__u8 _pad;
};
_Static_assert(sizeof(struct svr_transport) == 6, "map ABI");

enum svr_route_kind {
	SVR_ROUTE_NONE = 0,
	SVR_ROUTE_PEER = 1,	/* to one of path[] */
	SVR_ROUTE_LOCAL = 2,	/* out of zone, to gateway or to the destination itself */
};

struct svr_service {
	char name[SVR_NAME_LEN];    /* empty: slot is free */
	__u32 policy;		    /* index into svr_policies */
	__u8 route_kind;	    /* enum svr_route_kind */
	__u8 transports;	    /* rows used in transport[]; 0: any protocol and port */
	__u8 paths;		    /* rows used in path[] */
	__u8 by_port;		    /* 1: the session type of the port, if it has one, goes before timeout_ms */
	__u32 zone;		    /* SVR_ROUTE_LOCAL: LAN zone */
	__be32 gateway[4];	    /* SVR_ROUTE_LOCAL: zero means the destination is on the link */
	__u32 path[SVR_MAX_ROUTE_PATHS]; /* by vector, best first */
	__u32 timeout_ms[3];	    /* idle: TCP established, UDP, other */
	__u32 initial_timeout_ms[3];	/* until both directions were seen; the same rows */
	struct svr_transport transport[SVR_MAX_TRANSPORTS];
	struct svr_meta_frag frag;  /* TLV 10, TLV 15 */
	__u32 _pad2;
};
_Static_assert(sizeof(struct svr_service) == 64 + 12 + 16 + 32 + 24 + 48 + 208 + 4, "map ABI");

struct svr_session_type {
	char name[SVR_NAME_LEN];
	__u32 timeout_ms;	    /* idle */
	__u32 initial_timeout_ms;   /* until both directions were seen */
};
_Static_assert(sizeof(struct svr_session_type) == 72, "map ABI");

enum svr_port_row {		    /* of svr_port_types */
	SVR_PORTS_TCP,
	SVR_PORTS_UDP,
	SVR_PORTS_ICMP,		    /* and ICMPv6; this one and those below: only port 0 */
	SVR_PORTS_GRE,
	SVR_PORTS_ESP,
	SVR_PORT_ROWS,
};

/* The first session type that holds a port: index into svr_session_types, 0: none does */
struct svr_port_types {
	__u16 type[65536];
};
_Static_assert(sizeof(struct svr_port_types) == 131072, "map ABI");

struct svr_access_key {
	__u32 service;
	__u32 tenant;
};
_Static_assert(sizeof(struct svr_access_key) == 8, "map ABI"); /* value: __u32, 1 allow, 0 deny */

enum svr_name_kind {
	SVR_KIND_TENANT = 1,
	SVR_KIND_SERVICE = 2,
	SVR_KIND_POLICY = 3,
	SVR_KIND_PEER = 4,	/* by peering-common-name */
};

struct svr_name_key {
	char name[SVR_NAME_LEN];    /* filled up with zeros */
	__u32 kind;
};
_Static_assert(sizeof(struct svr_name_key) == 68, "map ABI"); /* value: __u32 index */

struct svr_policy {
	char name[SVR_NAME_LEN];    /* empty: slot is free */
	__u8 encrypt;
	__u8 cipher;		    /* enum svr_cipher of the payload, NONE if not encrypted */
	__u8 hmac;		    /* enum svr_hmac, NONE if disabled */
	__u8 hmac_mode;		    /* enum svr_hmac_mode */
	__u8 clear;		    /* 1: neither HMAC nor encryption, XDP alone carries its sessions */
	__u8 wrapped;		    /* 1: static keys; session keys are wrapped by wrap */
	__u8 _pad[2];
	__u8 wrap[SVR_WRAP_KEY_LEN];
};
_Static_assert(sizeof(struct svr_policy) == 104, "map ABI");

struct svr_peer {
	char name[SVR_NAME_LEN];    /* router name; empty: slot is free */
	char common_name[SVR_NAME_LEN];
};
_Static_assert(sizeof(struct svr_peer) == 128, "map ABI");

struct svr_path {
	__u32 peer;		    /* index into svr_peers; 0: slot is free */
	__u32 zone;		    /* WAN zone */
	__be32 local[4];	    /* own waypoint address */
	__be32 remote[4];	    /* peer's waypoint address */
	__u16 local_lo, local_hi;   /* waypoint ports that we may use here, inclusive */
	__u16 remote_lo, remote_hi; /* and there */
	__u8 parity;		    /* 1: even local, odd remote */
	__u8 _pad[3];
	__u32 vector;
	char name[4 * SVR_NAME_LEN];/* peer/address/node/interface/vlan, as SSR prints it */
	struct svr_meta_frag frag;  /* TLV 14, TLV 19 */
};
_Static_assert(sizeof(struct svr_path) == 56 + 256 + 208, "map ABI");

struct svr_addr_key {
	__u32 zone;
	__be32 addr[4];
};
_Static_assert(sizeof(struct svr_addr_key) == 20, "map ABI"); /* svr_path_by_addr, svr_neighbours; value: __u32 index */

/* ---- state of peers, written by `svr-keymgr` ----------------------------------------------------------- */

enum svr_path_status {
	SVR_PATH_UNUSED = 0,
	SVR_PATH_DOWN = 1,
	SVR_PATH_INIT = 2,	/* BFD is up, keys are not there yet */
	SVR_PATH_UP = 3,	/* in service */
	SVR_PATH_STANDBY = 4,	/* plain BFD is up: watched, carries no sessions */
};

enum svr_path_flags {
	SVR_PATH_AUTHENTIC = 1 << 0,	/* the last packet was authenticated by a peer key */
};

struct svr_path_state {
	__u32 status;		/* enum svr_path_status; XDP and worker look at nothing else */
	__u32 mtu;		/* path MTU in bytes (IP packet), 0: not known, use the zone's */
	__u64 since_ns;		/* CLOCK_REALTIME of the last change of status */
	/* What a restarted key manager needs so that the peer does not see BFD go down. */
	__u32 bfd_state;	/* RFC 5880 4.1 */
	__u32 bfd_diag;
	__u32 local_discr;
	__u32 remote_discr;
	__u64 tx_seq;		/* last sequence number sent, see TLV 0xF011 */
	__u64 rx_seq;		/* highest accepted */
	__u64 last_tx_ns;	/* CLOCK_REALTIME */
	__u64 last_rx_ns;
	__u32 detect_us;
	__u32 remote_min_rx_us;
	__u64 down_count;
	__u64 rx_seq_prev;	/* highest accepted under the previous peer key */
	__u32 rx_key;		/* index of the peer key that rx_seq counts, 0: none */
	__u32 rx_key_prev;	/* and rx_seq_prev */
	__u64 owner;		/* hash of peer and addresses: what a former owner of this slot left is not taken back */
	__u32 flags;		/* enum svr_path_flags */
	/* Link quality, averages over path-metrics-rolling-avg-interval; for the choice of paths. */
	__u32 mos;		/* mean opinion score * 100 (ITU-T G.107), 100 to 450; 0: nothing measured */
	__u32 latency_us;	/* round trip */
	__u32 jitter_us;
	__u32 loss;		/* lost packets of 10000, both directions */
	__u32 hold_down_ms;	/* the path failed: up for so long before it is in service again; 0: it never did */
	__u64 quality_ns;	/* CLOCK_REALTIME of the last measurement, 0: none */
};
_Static_assert(sizeof(struct svr_path_state) == 136, "map ABI");

struct svr_peer_key {
	__u32 index;		/* 0: slot is empty */
	__u32 flags;		/* SVR_KEY_* */
	__u64 since_ns;		/* CLOCK_REALTIME of installation */
	__u8 key[SVR_PEER_KEY_LEN];		/* the peer key itself */
	__u8 hmac_tx[SVR_HMAC_KEY_LEN];		/* session HMAC key for what we send to the peer */
	__u8 hmac_rx[SVR_HMAC_KEY_LEN];		/* and for what we receive */
};
_Static_assert(sizeof(struct svr_peer_key) == 160, "map ABI");

struct svr_meta_key {
	__u32 index;		/* 0: slot is empty */
	__u32 flags;
	__u64 since_ns;
	__u8 key[SVR_META_KEY_LEN];
};
_Static_assert(sizeof(struct svr_meta_key) == 48, "map ABI");

enum svr_key_flags {
	SVR_KEY_RX = 1,		/* may be used to receive */
	SVR_KEY_TX = 2,		/* new sessions and messages use this one to send */
	SVR_KEY_STATIC = 16,	/* own metadata key out of the configuration */
	/* Only the key manager looks at these: */
	SVR_KEY_NEXT = 4,	/* will replace the one in use for sending */
	SVR_KEY_BFD = 8,	/* with NEXT: BFD packets are sealed by it already */
};

/*
 * Read with svr_seq_read_begin/retry (sys/seq.h): seq is odd while the key manager writes.
 */
struct svr_peer_keys {
	__u32 seq;
	__u32 tx;		/* slot of peer[] to send with, SVR_KEY_SLOTS: none */
	__u32 meta_tx;		/* slot of meta[] to encrypt with, SVR_KEY_SLOTS: none */
	__u32 offset_valid;
	__s64 clock_offset_ns;	/* peer's CLOCK_REALTIME minus ours */
	struct svr_peer_key peer[SVR_KEY_SLOTS];
	struct svr_meta_key meta[SVR_KEY_SLOTS];    /* the peer's metadata keys */
	__u64 rekey_count;
	__u8 cert_fingerprint[32];  /* SHA-256 of the peer's certificate that was verified */
	__u8 owner[32];		    /* SHA-256 of both names and of what is trusted: other keys are not taken back */
	__u64 bfd_packets;	    /* at most so many BFD packets were sealed by the key that BFD uses; raised in advance */
};
_Static_assert(sizeof(struct svr_peer_keys) == 24 + 480 + 144 + 40 + 32 + 8, "map ABI");

struct svr_own_keys {
	__u32 seq;
	__u32 current;		/* slot of meta[] that was announced last */
	struct svr_meta_key meta[SVR_KEY_SLOTS];
	__u64 rekey_count;
	__u64 _reserved[4];
};
_Static_assert(sizeof(struct svr_own_keys) == 8 + 144 + 40, "map ABI");

/* ---- forwarding ---------------------------------------------------------------------------------------- */

/* Next hop of path p is slot p; LAN neighbours take slots from SVR_MAX_PATHS up. */
struct svr_nexthop {
	__u32 zone;		/* index into svr_zones and svr_txports */
	__u32 valid;
	__u8 dmac[6];
	__u8 smac[6];
	__be32 addr[4];		/* the neighbour */
	__u32 _pad;
};
_Static_assert(sizeof(struct svr_nexthop) == 40, "map ABI");

/*
 * Addresses that `bpftool map dump` prints as bytes that a person can read. It knows no byte order: ports stand there
 * as they are in the packet, 8100 (0x1fa4) as 42015 (0xa41f).
 */
#define SVR_READABLE4(name)           \
	union {                       \
		__be32 name;          \
		__u8 name##_bytes[4]; \
	}
#define SVR_READABLE(name)             \
	union {                        \
		__be32 name[4];        \
		__u8 name##_bytes[16]; \
	}

struct svr_flow4_key {
	SVR_READABLE4(saddr);
	SVR_READABLE4(daddr);
	__be16 sport, dport;
	__u16 zone;		/* where the packet arrives */
	__u8 proto;
	__u8 _pad;
};
_Static_assert(sizeof(struct svr_flow4_key) == 16, "map ABI");

/*
 * Key of svr_flows6. Wherever a tuple of either family is meant (struct svr_session), it has this form, too: IPv4
 * addresses are mapped then, and the key stands in svr_flows4 as a struct svr_flow4_key.
 *
 * Protocols without ports: of an ICMP echo request the identifier is sport and dport is 0, of a reply it is the other
 * way round. For everything else without ports both are 0.
 */
struct svr_flow6_key {
	SVR_READABLE(saddr);
	SVR_READABLE(daddr);
	__be16 sport, dport;
	__u16 zone;		/* where the packet arrives */
	__u8 proto;
	__u8 _pad;
};
_Static_assert(sizeof(struct svr_flow6_key) == 40, "map ABI");

enum svr_flow_flags {
	SVR_FLOW_VALID = 1 << 0,
	SVR_FLOW_REV = 1 << 1,		/* packets of this flow go from the service to the originator */
	SVR_FLOW_FROM_WAN = 1 << 2,	/* packets of this flow arrive from a peer */
	SVR_FLOW_WORKER = 1 << 3,	/* HMAC or encryption: frames go to the worker */
	SVR_FLOW_META_ADD = 1 << 4,	/* this router still adds metadata to packets of this flow */
	SVR_FLOW_META_WATCH = 1 << 5,	/* first packet without metadata ends the adding on the opposite flow */
	SVR_FLOW_CLOSING = 1 << 6,	/* RST, or FIN from both sides: goes away soon, may be replaced by a SYN */
	SVR_FLOW_ORIGINATOR = 1 << 7,	/* this router made the session for a packet from its LAN */
	SVR_FLOW_OUT6 = 1 << 8,		/* packets leave as IPv6 (and as IPv4 without it), whatever they arrive as */
	SVR_FLOW_ENCAP = 1 << 9,	/* protocol without ports: a UDP header is put in front of it */
	SVR_FLOW_DECAP = 1 << 10,	/* and taken away again */
};

enum svr_tcp_seen {
	SVR_TCP_SYN = 1 << 0,
	SVR_TCP_FIN = 1 << 1,
	SVR_TCP_RST = 1 << 2,
	SVR_TCP_DATA = 1 << 3,	/* an ACK without SYN: this direction is established */
};

/*
 * One direction of a session at one router. An established IPv4 packet reads and writes the first line of its row and
 * reads the new addresses in the second one.
 */
struct svr_flow {
	__u32 flags;		/* enum svr_flow_flags */
	__u32 nexthop;
	__u16 path;		/* peer path that carries the session */
	__u16 out_zone;
	__be16 sport, dport;	/* after rewriting */
	__u16 l3_delta;		/* what rewriting adds to the IPv4 header checksum, TTL - 1 included */
	__u16 l4_delta;		/* and to the TCP or UDP checksum; both ones' complement sums, see bpf/rewrite.h */
	__u8 tcp_seen;		/* enum svr_tcp_seen, of this direction */
	__u8 proto;		/* after rewriting */
	__u16 service;
	__u64 last_seen_ns;	/* CLOCK_MONOTONIC (bpf_ktime_get_ns) */
	__u64 packets;
	__u64 bytes;		/* IP packet length as received */
	SVR_READABLE(saddr);	/* after rewriting */
	SVR_READABLE(daddr);
	__u32 slot;		/* svr_sessions, 0: none */
	union {
		__u32 slot_generation;	/* SVR_FLOW_WORKER: of the slot when this flow was made */
		__u32 meta_packets;	/* otherwise: packets to which metadata was added */
	};
	__u8 uuid[SVR_UUID_LEN];
	__u16 tenant;
	__u16 policy;
	__u32 created_sec;	/* CLOCK_MONOTONIC */
};
_Static_assert(sizeof(struct svr_flow) == 112, "map ABI");

/* Rows of svr_flows4 and svr_flows6. Those of IPv4 begin at a cache line. */
struct svr_flow4_row {
	struct svr_flow4_key key;
	struct svr_flow flow;
};
_Static_assert(__builtin_offsetof(struct svr_flow4_row, flow.saddr) == 64, "map ABI");
_Static_assert(sizeof(struct svr_flow4_row) == 128, "map ABI");

struct svr_flow6_row {
	struct svr_flow6_key key;
	struct svr_flow flow;
	__u64 _pad;
};
_Static_assert(sizeof(struct svr_flow6_row) == 160, "map ABI");

/* Written once, before anything else uses the tables. */
struct svr_flow_hash {
	__u64 key[SVR_FLOW_HASH_KEYS];	/* random */
	__u32 buckets4, buckets6;	/* elements of svr_flow_tags4 and svr_flow_tags6 */
};
_Static_assert(sizeof(struct svr_flow_hash) == 96, "map ABI");

/* ---- sessions of the worker ---------------------------------------------------------------------------- */

enum svr_session_state {
	SVR_SESSION_FREE = 0,
	SVR_SESSION_SETUP = 1,	/* slot is being filled; a restarted worker frees it */
	SVR_SESSION_LIVE = 2,
	SVR_SESSION_ENDING = 3,	/* over, but packets may be under way; a restarted worker frees it */
};

/*
 * RFC 6479 style window. The bit of counter c is c modulo SVR_REPLAY_BITS. Moved only after authentication.
 */
enum { SVR_REPLAY_BITS = SVR_REPLAY_WINDOW + 64, SVR_REPLAY_WORDS = SVR_REPLAY_BITS / 64 };
struct svr_replay {
	__u64 top;		/* highest counter accepted; counters start at 1 */
	__u64 bits[SVR_REPLAY_WORDS];
};

/*
 * HMAC keys of sessions: those of one peer key of one peer, once for all sessions that began under it, as long as any
 * of them uses it.
 */
struct svr_session_hmac {
	__u32 peer;		/* 0: free. Written last */
	__u32 peer_key_index;
	__u8 tx[SVR_HMAC_KEY_LEN];
	__u8 rx[SVR_HMAC_KEY_LEN];
};
_Static_assert(sizeof(struct svr_session_hmac) == 104, "map ABI");

/* Keys of one epoch of a session. */
struct svr_session_keys {
	__u16 epoch;		/* 0: empty. Written last when a new epoch is put in, so that a kill leaves it empty */
	__u16 hmac;		/* row of svr_session_hmacs; 0 is none */
	__u32 peer_key_index;	/* peer key that the HMAC keys come from */
	__u64 since_ns;		/* CLOCK_MONOTONIC */
	__u64 tx_first;		/* tx_counter when it was put in */
	__u64 rx_first;		/* replay.top when it was put in */
	__u8 session_key[SVR_SESSION_KEY_LEN];
};
_Static_assert(sizeof(struct svr_session_keys) == 64, "map ABI");

/* A second epoch of a session: the one before, or the one that is offered. Few sessions have one at a time. */
struct svr_session_other {
	__u32 slot;		/* whose; 0: free */
	__u32 generation;
	struct svr_session_keys keys;
};
_Static_assert(sizeof(struct svr_session_other) == 72, "map ABI");
_Static_assert((int)SVR_SESSION_HMACS <= 65536 && (int)SVR_SESSION_OTHERS <= 65536, "rows are 16 bits");

/*
 * Everything about a session that must survive the worker. The worker works directly in the mapped pages of the
 * pinned array, so a counter is used up before the packet that carries it can leave, also if the worker is killed.
 */
struct svr_session {
	__u32 state;		/* enum svr_session_state */
	__u32 generation;	/* counts uses of this slot; part of the frame description */
	__u8 uuid[SVR_UUID_LEN];
	struct svr_flow6_key lan;   /* key of the flow that arrives from the LAN */
	struct svr_flow6_key wan;   /* key of the flow that arrives from the peer */
	__u16 peer;
	__u16 path;
	__u16 service;
	__u16 tenant;
	__u16 policy;
	__u8 originator;	/* 1: this router made the session for a packet from its LAN */
	__u8 cipher;		/* algorithms that the session was born with */
	__u8 hmac;
	__u8 hmac_mode;
	__u8 meta_add;		/* 1: still add metadata to what goes to the peer */
	__u8 meta_seen;		/* 1: peer's metadata was received */
	__u8 tcp_lan, tcp_wan;	/* enum svr_tcp_seen of both directions */
	__u8 closing;
	__s8 window_hint;	/* time window that fitted last: -1, 0, +1 */
	__u8 unconfirmed;	/* 1: the peer did not use the newest keys yet; the originator sends with the older ones */
	__u8 _pad;
	__u16 other;		/* row of svr_session_others; 0: this session has one epoch */
	__u32 rekeys;		/* changes to another epoch since the session began */
	__u32 replay_lock;	/* held by the thread that moves the window; a worker that starts frees it */
	__u64 tx_counter;	/* last packet counter used; goes on over epochs */
	struct svr_replay replay;   /* over all epochs */
	struct svr_session_keys keys; /* the newest epoch, unless that is the other one */
	__u64 last_lan_ns;	/* CLOCK_MONOTONIC, authenticated packets only; at first when it was made */
	__u64 last_wan_ns;
	__u64 heard_ns;		/* when the peer showed that it has heard us: no metadata with these keys is younger; 0: not yet */
	__u64 packets[2];	/* from the LAN, from the peer */
	__u64 bytes[2];
};
_Static_assert(sizeof(struct svr_session) == 536, "map ABI");

struct svr_nonce_slot {
	__u64 word;		/* lib/nonce.c; 0: empty */
};
_Static_assert(sizeof(struct svr_nonce_slot) == 8, "map ABI");

/* ---- captures ------------------------------------------------------------------------------------------ */

enum svr_capture_flags {
	SVR_CAPTURE_DROPS = 1 << 0,	/* only packets that are dropped */
};

enum svr_capture_sizes {
	SVR_CAPTURE_SHORT = 256,	/* bytes of a packet that a record of each size holds */
	SVR_CAPTURE_FRAME = 2048,
	SVR_CAPTURE_JUMBO = 9344,
	SVR_CAPTURE_RING = 4 << 20,	/* bytes */
};

/* What `svr capture` wants of a zone. */
struct svr_capture {
	__u64 until_ns;		/* CLOCK_MONOTONIC; the reader renews it as long as it lives */
	__u32 snaplen;		/* most bytes of a packet; 0: no capture */
	__u32 flags;		/* enum svr_capture_flags */
};
_Static_assert(sizeof(struct svr_capture) == 16, "map ABI");

/* Head of a record in svr_capture_ring; the first bytes of the frame follow. */
struct svr_capture_record {
	__u64 time_ns;		/* CLOCK_MONOTONIC */
	__u32 zone;
	__u32 len;		/* of the frame */
	__u32 caplen;		/* bytes that follow */
	__s32 result;		/* enum svr_verdict, or a drop reason as a negative number */
};
_Static_assert(sizeof(struct svr_capture_record) == 24, "map ABI");

/* What became of a packet that was not dropped. */
enum svr_verdict {
	SVR_VERDICT_PASS = 1,	/* to the kernel */
	SVR_VERDICT_FORWARD = 2,/* sent on by XDP; the copy shows it as it leaves */
	SVR_VERDICT_WORKER = 3,	/* to svr-worker */
	SVR_VERDICT_ANSWER = 4,	/* the copy is the ICMP message that goes back */
};

/* ---- frame description, XDP to worker ------------------------------------------------------------------ */

enum svr_frame_why {
	SVR_FRAME_SETUP = 1,	/* from the LAN, no flow: classified, policy needs the worker */
	SVR_FRAME_SESSION = 2,	/* flow of a worker session; slot and generation are set */
	SVR_FRAME_METADATA = 3,	/* from a known peer path, no flow, metadata names a metadata key */
	SVR_FRAME_NEIGHBOUR = 4,/* clear session needs a next hop: resolve, then run XDP on the frame again */
	SVR_FRAME_FRAGMENT = 5,	/* fragment of an IP packet: put together, then run XDP on the whole */
	SVR_FRAME_PIECE = 6,	/* piece of a packet between routers (TLV 1): the same */
	SVR_FRAME_WHOLE = 7,	/* does not fit with what is added: run XDP on it, then cut what comes out */
	SVR_FRAME_ANSWER = 8,	/* after such a run: the frame is an ICMP message to its sender */
};

/* Put in front of the frame with bpf_xdp_adjust_meta; the last bytes before the Ethernet header. */
struct svr_frame_desc {
	__u32 magic;		/* SVR_FRAME_MAGIC */
	__u16 zone;
	__u8 why;		/* enum svr_frame_why */
	__u8 l3_off;		/* bytes from the Ethernet header to the IP header */
	__u16 service;
	__u16 tenant;
	__u16 path;
	__u16 out_zone;		/* SVR_FRAME_NEIGHBOUR: where the next hop is */
	union {
		struct {	/* SVR_FRAME_SESSION */
			__u32 slot;
			__u32 slot_generation;
		};
		__be32 addr[4];	/* SVR_FRAME_NEIGHBOUR: address of the next hop */
	};
};
_Static_assert(sizeof(struct svr_frame_desc) == 32, "XDP metadata: multiple of 4, at most 32");

enum {
	SVR_FRAME_MAGIC = 0x53565232,
	/*
	 * The other way round, in front of a frame that the worker runs the program on: why is SVR_FRAME_WHOLE (what
	 * comes out may be cut) or SVR_FRAME_PIECE (only if its IP header allows it). bpf/whole.h
	 */
	SVR_WHOLE_MAGIC = 0x53565257,
};

#endif
