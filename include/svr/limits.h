/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Sizes and maxima that both the BPF programs and user space rely on. May be included by anyone. */
#ifndef SVR_LIMITS_H
#define SVR_LIMITS_H

enum svr_limits {
	SVR_NAME_LEN = 64,	    /* names are <= 63 characters and a NUL (SSR name-id) */
	SVR_MAX_ZONES = 64,	    /* network interfaces of one router */
	SVR_ZONE_ADDRS = 4,	    /* addresses of one network interface */
	SVR_MAX_TENANTS = 1024,
	SVR_MAX_SERVICES = 16384,   /* array slots; see SVR_MAX_PREFIXES for the prefixes in them */
	SVR_MAX_PREFIXES = 65536,   /* service prefixes in the longest-prefix tree, tenant prefixes in theirs */
	SVR_MAX_ACCESS = 262144,    /* rows of (service, tenant) */
	SVR_MAX_TRANSPORTS = 8,	    /* protocol + port range rows of one service */
	SVR_MAX_SVC_PER_PREFIX = 31,/* services that compete for one prefix */
	SVR_MAX_POLICIES = 64,
	SVR_MAX_SESSION_TYPES = 257, /* slot 0 is none */
	SVR_MAX_PEERS = 1024,
	SVR_MAX_PATHS = 4096,	    /* peer paths; next hops 0..SVR_MAX_PATHS-1 belong to them */
	SVR_MAX_NEIGHBOURS = 4096,  /* LAN neighbours that sessions were sent to */
	SVR_MAX_NEXTHOPS = SVR_MAX_PATHS + SVR_MAX_NEIGHBOURS,
	SVR_MAX_ROUTE_PATHS = 8,    /* paths that one service route can choose from */
	SVR_MAX_FLOWS = 262144,	    /* default size of svr_flows4; two per session */
	SVR_MAX_FLOWS6 = 65536,	    /* default size of svr_flows6; two per session, one if the other is IPv4 */
	SVR_FLOW_BUCKET = 8,	    /* rows of a flow table that stand together, see svr/flowtable.h */
	/*
	 * Of them so many are counted on. With all flows there that the table was made for, a new one is refused once
	 * in 40,000 times; with 6 it would be once in 130, with 4 a quarter more memory would be left empty.
	 */
	SVR_FLOW_BUCKET_LOAD = 5,
	SVR_FLOW_HASH_KEYS = 11,
	SVR_MAX_SESSIONS = 65536,   /* default number of slots for sessions made by the worker */
	SVR_SESSION_HMACS = 8192,   /* pairs of HMAC keys that sessions use: of peers, and of their peer keys */
	SVR_SESSION_OTHERS = 32768, /* sessions that have the keys of two epochs at a time */
	SVR_MAX_QUEUES = 64,	    /* RX queues per interface that the worker can bind */
	SVR_NONCE_SLOTS = 2097152,  /* words for metadata nonces, 16 MiB; see docs/protocol.md "Nonce" */
	SVR_NONCE_WAYS = 16,	    /* slots that one nonce may take */

	SVR_ICMP_PER_SEC = 1000,    /* ICMP errors that XDP sends or maps back, per network interface */
	SVR_ICMP_BURST = 50,	    /* and how many of them at once */

	SVR_FRAGMENTS_PER_SEC = 20000, /* fragments that XDP gives to the worker, per network interface */
	SVR_FRAGMENT_BURST = 1024,  /* and how many of them at once */
	SVR_NEIGHBOUR_PER_SEC = 1000, /* first packets that XDP gives to the worker to ask for a neighbour, per network interface */
	SVR_NEIGHBOUR_BURST = 128,  /* and how many of them at once */
	SVR_NEXTHOP_PER_SEC = 20,   /* packets of clear sessions that XDP hands on because a next hop is not known */
	SVR_NEXTHOP_BURST = 8,	    /* and how many of them at once */

	SVR_META_MAX = 1024,	    /* longest metadata block that we accept, header included (bytes) */
	SVR_META_FRAG_LEN = 208,    /* pre-rendered TLVs of one object (bytes) */
	SVR_REPLAY_WINDOW = 2048,   /* packets, protocol.md asks for at least this */
	SVR_KEY_SLOTS = 3,	    /* previous, current, next */
	SVR_HMAC_KEY_LEN = 48,	    /* bytes, for every algorithm */
	SVR_PEER_KEY_LEN = 48,	    /* bytes */
	SVR_SESSION_KEY_LEN = 32,   /* bytes */
	SVR_META_KEY_LEN = 32,	    /* bytes */
	SVR_WRAP_KEY_LEN = 32,	    /* bytes, of a policy with static keys */

	SVR_ABI_VERSION = 10,	    /* raised whenever the layout of a pinned map changes, or the order of flows */
};

/* Buckets of a flow table for @flows flows; it has SVR_FLOW_BUCKET times as many rows. */
#define SVR_FLOW_BUCKETS(flows) (((flows) + SVR_FLOW_BUCKET_LOAD - 1) / SVR_FLOW_BUCKET_LOAD)

#endif
