/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tests of the XDP programs with BPF_PROG_TEST_RUN: one small router in maps, packets built by
 * hand, verdict, counters, flows and the packet that comes out.
 *
 *   host 172.16.1.10 -- 172.16.1.1/24 LAN [router "west"] WAN 192.0.2.1/24 -- "east" 192.0.2.2
 *
 * Services of the peer: 172.16.2.0/24. Services of our LAN: 172.16.1.0/24. Every criterion test is
 * a process with a network namespace, maps and programs of its own, so tests may run side by side.
 */
#ifndef TESTS_PROG_H
#define TESTS_PROG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <netinet/in.h>

#include <criterion/criterion.h>

#include <linux/bpf.h>

#include <svr/drops.h>
#include <svr/maps.h>
#include <svr/stats.h>
#include <svr/wire.h>

#include "sys/mapset.h"

enum {
	FRAME_MAX = 9100, /* above a page less head and tail room a frame lies in several buffers */
	ETH_LEN = 14,
	IP_OFF = ETH_LEN,
	L4_OFF = IP_OFF + 20,
	UDP_LEN = 8,
	TCP_LEN = 20,

	TH_FIN = 1,
	TH_SYN = 2,
	TH_RST = 4,
	TH_PSH = 8,
	TH_ACK = 16,
};

/* Numbers of everything that is configured */
enum {
	LAN = 1,
	WAN = 2,
	TAGGED = 3, /* zones */
	LAN_VLAN = 30,
	LO = 1, /* ifindex of the loopback device, where test frames "arrive" */

	TENANT_CORP = 1,
	TENANT_GUEST = 2,
	POLICY_CLEAR = 1,
	POLICY_SECRET = 2,
	PEER_EAST = 1,
	PEER_NORTH = 2,
	PATH_EAST = 1,
	PATH_NORTH = 2,

	SVC_WEB = 1, /* 172.16.2.0/24 tcp 80, 8000-8080, clear, to east */
	SVC_DNS = 2, /* 172.16.2.0/24 udp 53, clear, to east */
	SVC_VAULT = 3, /* 172.16.2.0/24 tcp 22, secret, to east */
	SVC_ANY = 4, /* 172.16.3.0/24 everything, clear, to east */
	SVC_NOROUTE = 5, /* 172.16.4.0/24 everything, no route */
	SVC_LOCAL = 6, /* 172.16.1.0/24 tcp and udp, clear, on the LAN */
	SVC_LOCAL_SECRET = 7, /* 172.16.1.0/25 tcp 22, secret, on the LAN */
	SVC_GATEWAY = 8, /* 172.16.9.0/24 everything, clear, on the LAN behind a gateway */

	NH_HOST = SVR_MAX_PATHS + 1, /* next hops of LAN neighbours */
	NH_GATEWAY = SVR_MAX_PATHS + 2,
	NH_TAGGED = SVR_MAX_PATHS + 3,
};

/* ---- the router under test ------------------------------------------------------------------- */

enum prog { PROG_LAN, PROG_WAN };

struct svr_lan;
struct svr_wan;

struct env {
	struct svr_lan *lan;
	struct svr_wan *wan;
	int prog_fd[2]; /* enum prog */
	int xsk; /* AF_XDP socket in svr_xsks */
	struct svr_mapset flows; /* the flow tables, mapped */
	int tap[2]; /* devices that the programs are attached to; -1: none */
	int held; /* the set of maps and programs, see pool.h */
};

struct env_opts {
	unsigned int flows; /* size of svr_flows4, 0: 256 */
	uint32_t lan_zone; /* rodata of the LAN program; NO_ZONE for 0 */
	uint32_t wan_zone;
};
#define NO_ZONE UINT32_MAX

struct env *env_open(const struct env_opts *opts);
void env_close(struct env *e);

/* All maps as described above, no flows, a worker. Also called by env_open(). */
void env_reset(struct env *e);

/* File descriptor of a map by name; fails the test if there is none. */
int env_map(struct env *e, const char *name);
void map_put(struct env *e, const char *name, const void *key, const void *value);
void map_del(struct env *e, const char *name, const void *key);
bool map_get(struct env *e, const char *name, const void *key, void *value);
/* A flow of IPv4; one that is there is replaced. */
void flow4_put(struct env *e, const struct svr_flow4_key *key, const struct svr_flow *flow);
bool flow4_get(struct env *e, const struct svr_flow4_key *key, struct svr_flow *flow);
unsigned int flow_count(struct env *e);
/* No flows, and every ICMP error is allowed. Also done by env_reset(). */
void flows_clear(struct env *e);

void zone_change(struct env *e, uint32_t zone, void (*change)(struct svr_zone *));
void path_change(struct env *e, uint32_t path, void (*change)(struct svr_path *));
void service_change(struct env *e, uint32_t service, void (*change)(struct svr_service *));
void path_status(struct env *e, uint32_t path, uint32_t status, uint32_t mtu);
void nexthop_valid(struct env *e, uint32_t nexthop, bool valid);
void worker_gone(struct env *e);
void worker_there(struct env *e);
uint64_t stat_read(struct env *e, uint32_t zone, enum svr_stat stat);

struct meta;

/* ---- packets --------------------------------------------------------------------------------- */

enum l4_csum {
	CSUM_GOOD = 0,
	CSUM_PARTIAL, /* folded pseudo-header sum, as CHECKSUM_PARTIAL leaves it */
	CSUM_NONE, /* UDP: 0 */
	CSUM_WRONG, /* off by one */
};

struct patch {
	uint16_t off; /* in the frame; 0: end of the list */
	uint8_t val;
};

enum { ICMP_REPLY = 255 };

/* A packet in words; with an IPv6 source address it is IPv6. What is left out has a sensible value. */
struct spec {
	const char *src, *dst;
	uint16_t sport; /* 0: 40000 */
	uint16_t dport;
	uint8_t proto; /* 0: IPPROTO_TCP */
	uint8_t tcp_flags; /* 0: ACK for TCP */
	uint8_t ttl; /* 0: 64 */
	uint8_t tos; /* traffic class */
	uint8_t icmp_type; /* 0: no ICMP header, ICMP_REPLY: 0; sport is the identifier, dport the sequence */
	uint8_t icmp_code;
	uint16_t frag_off; /* host byte order, with flags */
	const struct meta *meta; /* in front of the payload */
	const void *payload;
	size_t payload_len;
	size_t fill; /* bytes of pattern behind payload */
	const uint8_t *tcp_opts; /* padded to 4 by the caller */
	size_t tcp_opts_len;
	enum l4_csum csum;
	size_t pad; /* bytes behind the IP packet */
	size_t cut; /* frame length, 0: whole */
	int vlan; /* 0: untagged */
	int outer_vlan; /* 802.1ad */
	uint16_t ethertype; /* 0: that of the family */
	bool to_group; /* link-layer destination: a group, not one station */
	size_t ip_options; /* bytes of no-operation options */
	struct patch patch[4]; /* applied at the very end, checksums are not fixed */
};

struct frame {
	uint8_t data[FRAME_MAX];
	size_t len;
};

void frame_build(struct frame *f, const struct spec *s);

uint32_t addr4(const char *text);
void addr_map(__be32 to[4], const char *text);

/*
 * Sums over everything are right: IPv4 header, and TCP or UDP (absent UDP checksum counts as
 * right).
 */
bool frame_csums_ok(const uint8_t *frame, size_t len);
uint16_t get16(const uint8_t *p);
uint32_t get32(const uint8_t *p);
void put16(uint8_t *p, uint16_t v);
size_t frame_l4_off(const uint8_t *frame);
size_t frame_l4_hlen(const uint8_t *frame);
size_t frame_payload_off(const uint8_t *frame);

/* ---- metadata, written and read independently of bpf/ and lib/ ------------------------------- */

struct meta {
	uint8_t data[4096];
	size_t len;
	size_t hlen; /* set by meta_payload() */
};
void meta_begin(struct meta *m);
void meta_tlv(struct meta *m, uint16_t type, const void *value, size_t len);
void meta_name(struct meta *m, uint16_t type, const char *name);
void meta_context(struct meta *m, uint16_t type, const char *src, uint16_t sport, const char *dst,
		  uint16_t dport, uint8_t proto);
void meta_payload(struct meta *m); /* header TLVs end here; implied at the end otherwise */
void meta_end(struct meta *m);

/* A complete forward block for a session to our LAN, with one TLV left out (0: none) */
extern const uint8_t uuid_a[SVR_UUID_LEN], uuid_b[SVR_UUID_LEN];
void meta_forward(struct meta *m, const uint8_t *uuid, uint8_t proto, uint16_t without);

/* ---- running --------------------------------------------------------------------------------- */

struct result {
	uint32_t verdict; /* enum xdp_action */
	uint8_t out[FRAME_MAX + 256];
	size_t len; /* frame, description not counted */
	bool described;
	struct svr_frame_desc desc;
	int reason; /* the one drop counter that moved, 0: none */
	uint64_t stat[SVR_STAT_MAX];
};

/* All that a test run leaves in front of a frame; kernels before 6.3 take no more than 32 bytes of somebody's there. */
enum { XDP_META_MAX = 216 };

/*
 * The same with @taken bytes in front of the frame that belong to somebody else, who leaves no more room than that. False if
 * this kernel has no such frames.
 */
bool run_frame_behind(struct env *e, enum prog p, const struct frame *f, size_t taken,
		      struct result *r, const char *name);
void run_frame(struct env *e, enum prog p, const struct frame *f, struct result *r,
	       const char *name);
/*
 * As the worker runs it, with a description in front of the frame (bpf/whole.h); @why:
 * SVR_FRAME_WHOLE or SVR_FRAME_PIECE. r->desc is what stands there afterwards.
 */
void run_marked(struct env *e, enum prog p, const struct frame *f, uint8_t why, struct result *r,
		const char *name);
void run(struct env *e, enum prog p, const struct spec *s, struct result *r, const char *name);

struct row {
	const char *name; /* the sentence */
	struct spec in;
	void (*setup)(struct env *e);
	uint32_t verdict;
	int reason; /* enum svr_drop, 0: not dropped */
	void (*check)(struct env *e, const struct frame *in, const struct result *r,
		      const char *name);
};
void run_rows(enum prog p, const struct row *rows, size_t n);
#define RUN_ROWS(p, rows) run_rows(p, rows, sizeof(rows) / sizeof((rows)[0]))

/* Sums over what is sent are right */
void check_sums(struct env *e, const struct frame *in, const struct result *r, const char *name);

/* The same bytes; what differs first is printed. */
void expect_bytes(const uint8_t *got, size_t got_len, const uint8_t *want, size_t want_len,
		  const char *name, const char *what);

/* The flow of a key in words; false if there is none */
bool flow_get(struct env *e, uint16_t zone, uint8_t proto, const char *src, uint16_t sport,
	      const char *dst, uint16_t dport, struct svr_flow *flow);
struct svr_flow4_key flow_key(uint16_t zone, uint8_t proto, const char *src, uint16_t sport,
			      const char *dst, uint16_t dport);

/* ---- one session that is there already ------------------------------------------------------- */

/*
 * 172.16.1.10:40000 - 172.16.2.20:80, on the WAN 192.0.2.1:20000 - 192.0.2.2:20001, as its
 * originator or as its terminating router (then 172.16.1.10:40000 is the service's host). UUID is
 * uuid_a.
 */
enum {
	HOST_PORT = 40000,
	FAR_PORT = 80,
	LOCAL_PORT = 20000,
	PEER_PORT = 20001,
};
#define FROM_HOST .src = "172.16.1.10", .dst = "172.16.2.20", .sport = HOST_PORT, .dport = FAR_PORT
#define DF .frag_off = 0x4000
#define FROM_PEER .src = "192.0.2.2", .dst = "192.0.2.1", .sport = PEER_PORT, .dport = LOCAL_PORT

void session_put(struct env *e, uint8_t proto, uint32_t lan_flags, uint32_t wan_flags);
bool session_lan(struct env *e, uint8_t proto, struct svr_flow *flow);
bool session_wan(struct env *e, uint8_t proto, struct svr_flow *flow);

/*
 * The frame that has to come out: @in with these addresses and ports, TTL less one, checksums
 * right.
 */
void expect_rewritten(const struct frame *in, const struct result *r, const char *name,
		      bool to_wan);

#endif
