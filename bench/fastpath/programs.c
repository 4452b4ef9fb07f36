// SPDX-License-Identifier: BSD-2-Clause
/* The XDP programs that are measured, and what stands in their tables. Every map is ours alone: nothing is pinned. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/ether.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <svr/maps.h>

#include "bench/fastpath/fastpath.h"
#include "bench/xdp_gen.h"
#include "bench/xdp_ref.h"
#include "lib/addr.h"
#include "skel/svr_lan.skel.h"
#include "skel/svr_wan.skel.h"
#include "skel/xdp_ref.skel.h"

enum {
	PATH = 1,
	PEER = 1,
	POLICY = 1,
	TENANT = 1,
	SERVICE = 1,
	NEIGHBOUR = SVR_MAX_PATHS,
	BATCH = 4096, /* entries of one insertion */
	MAPPED_BITS = 96, /* in front of an IPv4 address in its 128-bit form */
};

#define WEST "west.example" /* the router that opens sessions, and the one that accepts them */
#define EAST "east.example"

static int put(struct bpf_object *obj, const char *map, const void *key, const void *value)
{
	int fd = bpf_object__find_map_fd_by_name(obj, map);
	int err = fd < 0 ? fd : bpf_map_update_elem(fd, key, value, BPF_ANY);

	if (err)
		fprintf(stderr, "fastpath: map %s: %s\n", map, strerror(-err));
	return err;
}

static int put_at(struct bpf_object *obj, const char *map, uint32_t index, const void *value)
{
	return put(obj, map, &index, value);
}

static void addr_map(__be32 to[4], const char *text)
{
	to[0] = to[1] = 0;
	to[2] = htonl(0xffff);
	inet_pton(AF_INET, text, &to[3]);
}

/* ---- loading --------------------------------------------------------------------------------------------------- */

static int unpinned(struct bpf_object *obj, uint32_t flows)
{
	struct bpf_map *map;

	bpf_object__for_each_map(map, obj) {
		bpf_map__set_pin_path(map, NULL);
		if (strcmp(bpf_map__name(map), "svr_flow_tags4") == 0)
			bpf_map__set_max_entries(map, SVR_FLOW_BUCKETS(flows));
		if (strcmp(bpf_map__name(map), "svr_flows4") == 0)
			bpf_map__set_max_entries(map, SVR_FLOW_BUCKETS(flows) * SVR_FLOW_BUCKET);
	}
	return 0;
}

static int flows_map(const struct svr_lan *lan, struct svr_mapset *out)
{
	const struct svr_flow_fds fds = {
		bpf_map__fd(lan->maps.svr_flow_hash),  bpf_map__fd(lan->maps.svr_flow_tags4),
		bpf_map__fd(lan->maps.svr_flow_tags6), bpf_map__fd(lan->maps.svr_flows4),
		bpf_map__fd(lan->maps.svr_flows6),
	};

	return svr_mapset_of_flows(&fds, out);
}

static int load(struct programs *p, uint32_t room)
{
	int err;

	p->ref = xdp_ref__open();
	p->lan = svr_lan__open();
	p->wan = svr_wan__open();
	if (!p->ref || !p->lan || !p->wan)
		return -errno;
	unpinned(p->lan->obj, 2 * room);
	unpinned(p->wan->obj, 2 * room);
	bpf_map__set_max_entries(p->ref->maps.ref_flows, 2 * room);
	p->lan->rodata->svr_zone = LAN_ZONE;
	p->wan->rodata->svr_zone = WAN_ZONE;
	err = xdp_ref__load(p->ref) ?: svr_lan__load(p->lan);
	/* One table of flows, as on a router */
#define REUSE(name) bpf_map__reuse_fd(p->wan->maps.name, bpf_map__fd(p->lan->maps.name))
	err = err ?: REUSE(svr_flow_hash) ?: REUSE(svr_flow_tags4) ?: REUSE(svr_flow_tags6);
	err = err ?: REUSE(svr_flows4) ?: REUSE(svr_flows6) ?: svr_wan__load(p->wan);
#undef REUSE
	return err ?: flows_map(p->lan, &p->flows);
}

/* ---- established sessions ---------------------------------------------------------------------------------------- */

/* Ones' complement difference of the ports, which are all that changes; RFC 1624 */
static uint16_t l4_delta(const uint16_t from[2], const uint16_t to[2])
{
	uint32_t sum = (uint32_t)(uint16_t)~from[0] + (uint16_t)~from[1] + to[0] + to[1];

	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)((sum & 0xffff) + (sum >> 16));
}

static void entry_make(uint32_t i, uint32_t sessions, bool from_wan, struct svr_flow4_key *key,
		       struct svr_flow *flow, struct ref_nat *nat)
{
	const uint32_t next = GEN_NEXT(i, sessions);
	const uint16_t from[2] = { htons((uint16_t)GEN_SPORT(i)), htons((uint16_t)GEN_DPORT(i)) };
	const uint16_t to[2] = { htons((uint16_t)GEN_SPORT(next)),
				 htons((uint16_t)GEN_DPORT(next)) };

	*key = (struct svr_flow4_key){
		.sport = from[0],
		.dport = from[1],
		.zone = from_wan ? WAN_ZONE : LAN_ZONE,
		.proto = IPPROTO_TCP,
	};
	*flow = (struct svr_flow){
		.flags = SVR_FLOW_VALID | (from_wan ? SVR_FLOW_FROM_WAN : SVR_FLOW_ORIGINATOR),
		.nexthop = from_wan ? NEIGHBOUR : PATH,
		.path = PATH,
		.out_zone = from_wan ? LAN_ZONE : WAN_ZONE,
		.sport = to[0],
		.dport = to[1],
		.l3_delta = (uint16_t)~htons(0x0100), /* TTL */
		.l4_delta = l4_delta(from, to),
		.tcp_seen = SVR_TCP_SYN | SVR_TCP_DATA,
		.proto = IPPROTO_TCP,
	};
	addr_map(flow->saddr, from_wan ? WAN_PEER : LAN_HOST);
	addr_map(flow->daddr, from_wan ? WAN_LOCAL : FAR_HOST);
	key->saddr = flow->saddr[3];
	key->daddr = flow->daddr[3];
	*nat = (struct ref_nat){
		.saddr = flow->saddr[3],
		.daddr = flow->daddr[3],
		.sport = to[0],
		.dport = to[1],
		.l3_delta = flow->l3_delta,
		.l4_delta = flow->l4_delta,
		.port = WAN_ZONE,
	};
}

/* Both flows of each session, in both tables: the reference has as much to remember. */
static int fill_flows(const struct programs *p, uint32_t sessions)
{
	const uint32_t entries = 2 * sessions;
	struct svr_flow4_key *keys = calloc(BATCH, sizeof(*keys));
	struct ref_nat *nats = calloc(BATCH, sizeof(*nats));
	struct svr_flow6_key key;
	struct svr_flow flow;
	uint32_t done, n, k;
	int err = keys && nats ? 0 : -ENOMEM;

	for (done = 0; done < entries && !err; done += n) {
		n = entries - done < BATCH ? entries - done : BATCH;
		for (k = 0; k < n && !err; k++) {
			entry_make((done + k) / 2, sessions, (done + k) & 1, &keys[k], &flow,
				   &nats[k]);
			svr_key_map4(&keys[k], &key);
			err = svr_flow_insert(&p->flows, &key, &flow);
			/* Zones are all that tells the directions apart in a table without them */
			memcpy(nats[k].dmac, ether_aton(WAN_MAC), ETH_ALEN);
			memcpy(nats[k].smac, ether_aton(LAN_MAC), ETH_ALEN);
		}
		for (k = 0; k < n; k++)
			keys[k].zone = 0;
		err = err   ?:
			      bpf_map_update_batch(bpf_map__fd(p->ref->maps.ref_flows), keys, nats,
						   &n, NULL);
	}
	if (err)
		fprintf(stderr, "fastpath: sessions: %s\n", strerror(-err));
	free(keys);
	free(nats);
	return err;
}

/* What an established packet finds besides its flow */
static int fill_ways(struct bpf_object *obj, uint32_t out_ifindex)
{
	struct svr_zone lan = { .ifindex = out_ifindex,
				.mtu = MTU,
				.role = SVR_ROLE_LAN,
				.addrs = 1 },
			wan = lan;
	struct svr_path_state state = { .status = SVR_PATH_UP };
	struct svr_nexthop hop = { .valid = 1 };
	int err;

	addr_map(lan.addr[0].addr, "10.0.0.1");
	addr_map(wan.addr[0].addr, WAN_LOCAL);
	lan.addr[0].prefix_len = wan.addr[0].prefix_len = MAPPED_BITS + 24;
	wan.role = SVR_ROLE_WAN;
	memcpy(hop.dmac, ether_aton(WAN_MAC), ETH_ALEN);
	memcpy(hop.smac, ether_aton(LAN_MAC), ETH_ALEN);
	err = put_at(obj, "svr_zones", LAN_ZONE, &lan) ?: put_at(obj, "svr_zones", WAN_ZONE, &wan);
	hop.zone = WAN_ZONE;
	err = err ?: put_at(obj, "svr_nexthops", PATH, &hop);
	hop.zone = LAN_ZONE;
	err = err ?: put_at(obj, "svr_nexthops", NEIGHBOUR, &hop);
	err = err ?: put_at(obj, "svr_path_state", PATH, &state);
	/* Both programs send to the same device: the topology has one way */
	err = err ?: put_at(obj, "svr_txports", WAN_ZONE, &out_ifindex);
	return err ?: put_at(obj, "svr_txports", LAN_ZONE, &out_ifindex);
}

int programs_load(struct programs *p, uint32_t room, uint32_t sessions, uint32_t out_ifindex)
{
	int err;

	*p = (struct programs){ .sessions = sessions };
	err = load(p, room);
	if (err) {
		fprintf(stderr, "fastpath: cannot load the programs: %s\n", strerror(-err));
		return err;
	}
	err = fill_ways(p->lan->obj, out_ifindex) ?: fill_ways(p->wan->obj, out_ifindex);
	err = err ?: put_at(p->ref->obj, "ref_ports", WAN_ZONE, &out_ifindex);
	return err ?: sessions ? fill_flows(p, sessions) : 0;
}

void programs_free(struct programs *p)
{
	svr_mapset_close(&p->flows);
	xdp_ref__destroy(p->ref);
	svr_lan__destroy(p->lan);
	svr_wan__destroy(p->wan);
	*p = (struct programs){};
}

int programs_fd(const struct programs *p, enum subject_id s)
{
	switch (s) {
	case SUBJECT_REDIRECT:
		return bpf_program__fd(p->ref->progs.ref_redirect);
	case SUBJECT_NAT:
		return bpf_program__fd(p->ref->progs.ref_nat);
	case SUBJECT_LAN_TO_WAN:
		return bpf_program__fd(p->lan->progs.svr_lan);
	case SUBJECT_WAN_TO_LAN:
		return bpf_program__fd(p->wan->progs.svr_wan);
	default:
		return -1;
	}
}

int programs_empty_fd(const struct programs *p)
{
	return bpf_program__fd(p->ref->progs.ref_empty);
}

/* ---- sessions that XDP makes -------------------------------------------------------------------------------------- */

static void frag_add(struct svr_meta_frag *frag, uint16_t type, const char *value)
{
	const uint16_t head[2] = { htons(type), htons((uint16_t)strlen(value)) };

	memcpy(frag->tlv + frag->len, head, sizeof(head));
	memcpy(frag->tlv + frag->len + sizeof(head), value, strlen(value));
	frag->len = (uint16_t)(frag->len + sizeof(head) + strlen(value));
}

/* What a first packet needs on either router, to be one of a clear service; the rows are put in whole by the caller. */
struct terms {
	struct svr_tenant tenant;
	struct svr_service service;
	struct svr_path path;
};

static int configure(struct bpf_object *obj, struct terms *t)
{
	const struct svr_policy policy = { .name = "clear", .clear = 1 };
	const struct svr_service_set set = { .count = 1, .id[0] = SERVICE };
	const struct svr_access_key access = { .service = SERVICE, .tenant = TENANT };
	struct svr_service_key service_key = { .prefixlen = 32 + MAPPED_BITS + 24,
					       .family = htonl(SVR_FAMILY_4) };
	const uint32_t allow = 1;
	int err;

	strcpy(t->tenant.name, "corp");
	strcpy(t->service.name, "web");
	t->service.policy = POLICY;
	t->path.peer = PEER;
	t->path.zone = WAN_ZONE;
	t->path.parity = 1;
	t->path.local_lo = t->path.remote_lo = 1025;
	t->path.local_hi = t->path.remote_hi = 65535;
	frag_add(&t->tenant.frag, SVR_TLV_TENANT, t->tenant.name);
	frag_add(&t->service.frag, SVR_TLV_SERVICE, t->service.name);
	frag_add(&t->service.frag, SVR_TLV_POLICY, policy.name);
	addr_map(service_key.addr, "172.16.2.0");
	err = put_at(obj, "svr_policies", POLICY, &policy) ?:
		      put_at(obj, "svr_tenants", TENANT, &t->tenant);
	err = err							?:
		      put_at(obj, "svr_services", SERVICE, &t->service) ?:
		      put_at(obj, "svr_paths", PATH, &t->path);
	return err						       ?:
		       put(obj, "svr_service_lpm", &service_key, &set) ?:
		       put(obj, "svr_access", &access, &allow);
}

static int put_neighbour(struct bpf_object *obj, const char *host)
{
	struct svr_addr_key key = { .zone = LAN_ZONE };
	const uint32_t slot = NEIGHBOUR;

	addr_map(key.addr, host);
	return put(obj, "svr_neighbours", &key, &slot);
}

int programs_configure_west(const struct programs *p)
{
	struct bpf_object *obj = p->lan->obj;
	struct svr_peer peer = { .name = EAST, .common_name = EAST };
	struct svr_tenant_key key = {
		.prefixlen = 32 + MAPPED_BITS + 24,
		.family = htons(SVR_FAMILY_4),
		.zone = htons(LAN_ZONE),
	};
	struct terms t = { .service = { .route_kind = SVR_ROUTE_PEER, .paths = 1, .path[0] = PATH } };
	const uint32_t tenant = TENANT;
	int err;

	frag_add(&t.path.frag, SVR_TLV_SOURCE_ROUTER, WEST);
	frag_add(&t.path.frag, SVR_TLV_PATH_ID, WAN_LOCAL);
	addr_map(t.path.local, WAN_LOCAL);
	addr_map(t.path.remote, WAN_PEER);
	addr_map(key.addr, "10.0.0.0");
	err = configure(obj, &t) ?: put_at(obj, "svr_peers", PEER, &peer);
	return err ?: put(obj, "svr_tenant_lpm", &key, &tenant) ?: put_neighbour(obj, LAN_HOST);
}

/* Names of metadata and what they are in the tables of a router */
static int put_names(struct bpf_object *obj, const struct terms *t)
{
	const struct {
		const char *name;
		uint32_t kind, index;
	} rows[] = {
		{ t->tenant.name, SVR_KIND_TENANT, TENANT },
		{ t->service.name, SVR_KIND_SERVICE, SERVICE },
		{ "clear", SVR_KIND_POLICY, POLICY },
		{ WEST, SVR_KIND_PEER, PEER },
	};
	size_t i;
	int err = 0;

	for (i = 0; i < sizeof(rows) / sizeof(*rows) && !err; i++) {
		struct svr_name_key key = { .kind = rows[i].kind };

		strcpy(key.name, rows[i].name);
		err = put(obj, "svr_names", &key, &rows[i].index);
	}
	return err;
}

int programs_configure_east(const struct programs *p)
{
	struct bpf_object *obj = p->wan->obj;
	struct svr_peer peer = { .name = WEST, .common_name = WEST };
	struct svr_zone wan = { .mtu = MTU, .role = SVR_ROLE_WAN, .addrs = 1 }, lan = wan;
	struct svr_addr_key waypoint = { .zone = WAN_ZONE };
	struct terms t = { .service = { .route_kind = SVR_ROUTE_LOCAL, .zone = LAN_ZONE } };
	const uint32_t path = PATH;
	int err;

	frag_add(&t.path.frag, SVR_TLV_SOURCE_ROUTER, EAST);
	frag_add(&t.path.frag, SVR_TLV_PATH_ID, WAN_PEER);
	addr_map(t.path.local, WAN_PEER);
	addr_map(t.path.remote, WAN_LOCAL);
	addr_map(waypoint.addr, WAN_LOCAL);
	addr_map(wan.addr[0].addr, WAN_PEER);
	addr_map(lan.addr[0].addr, "172.16.2.1");
	wan.addr[0].prefix_len = lan.addr[0].prefix_len = MAPPED_BITS + 24;
	lan.role = SVR_ROLE_LAN;
	err = configure(obj, &t) ?: put_at(obj, "svr_peers", PEER, &peer);
	err = err ?: put_at(obj, "svr_zones", WAN_ZONE, &wan) ?: put_at(obj, "svr_zones", LAN_ZONE, &lan);
	err = err ?: put(obj, "svr_path_by_addr", &waypoint, &path) ?: put_names(obj, &t);
	return err ?: put_neighbour(obj, FAR_HOST);
}

static int forget(const struct svr_flow6_key *key, const struct svr_flow *flow, void *user)
{
	(void)flow;
	return svr_flow_delete(user, key);
}

int programs_forget_flows(const struct programs *p)
{
	struct svr_mapset flows = p->flows;

	return svr_flow_walk_all(&flows, forget, &flows);
}

static uint64_t stat_of(int fd, uint32_t zone, enum svr_stat stat)
{
	const int cpus = libbpf_num_possible_cpus();
	struct svr_zone_stats *rows = calloc((size_t)(cpus > 0 ? cpus : 1), sizeof(*rows));
	uint64_t sum = 0;
	int i;

	if (rows && !bpf_map_lookup_elem(fd, &zone, rows))
		for (i = 0; i < cpus; i++)
			sum += rows[i].count[stat];
	free(rows);
	return sum;
}

uint64_t programs_sessions_opened(const struct programs *p)
{
	return stat_of(bpf_map__fd(p->lan->maps.svr_stats), LAN_ZONE, SVR_STAT_SESSIONS_FWD);
}

uint64_t programs_sessions_accepted(const struct programs *p)
{
	return stat_of(bpf_map__fd(p->wan->maps.svr_stats), WAN_ZONE, SVR_STAT_SESSIONS_REV);
}

/* Kernel memory of a map. 0: the kernel does not tell. */
static unsigned long long map_bytes(const struct bpf_map *map)
{
	unsigned long long bytes = 0;
	char path[64], line[128];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", bpf_map__fd(map));
	f = fopen(path, "re");
	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "memlock: %llu", &bytes) == 1)
			break;
	fclose(f);
	return bytes;
}

double programs_bytes_per_session(const struct programs *p)
{
	const struct bpf_map *tags = p->lan->maps.svr_flow_tags4;
	const double flows = (double)bpf_map__max_entries(tags) * SVR_FLOW_BUCKET_LOAD;

	return (double)(map_bytes(tags) + map_bytes(p->lan->maps.svr_flows4)) * 2 / flows;
}
