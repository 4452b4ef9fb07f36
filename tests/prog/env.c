// SPDX-License-Identifier: BSD-2-Clause
/*
 * The router under test: both programs on one set of maps, filled as prog.h draws it, and runs of
 * one packet.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <net/if.h>

#include <linux/if_link.h>
#include <linux/if_tun.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "lib/addr.h"
#include "skel/svr_lan.skel.h"
#include "skel/svr_wan.skel.h"
#include "sys/flows.h"
#include "tests/prog/pool.h"
#include "tests/prog/prog.h"

/* ---- namespaces and programs ----------------------------------------------------------------- */

static void own_namespaces(void)
{
	cr_assert(geteuid() == 0, "needs root: loads BPF programs in namespaces of its own");
	cr_assert(!unshare(CLONE_NEWNET), "unshare: %s", strerror(errno));
}

static void shrink_flows(struct bpf_object *obj, const char *tags_name, const char *rows_name,
			 unsigned int flows)
{
	struct bpf_map *tags = bpf_object__find_map_by_name(obj, tags_name);
	struct bpf_map *rows = bpf_object__find_map_by_name(obj, rows_name);
	unsigned int buckets = SVR_FLOW_BUCKETS(flows);

	cr_assert(tags && !bpf_map__set_max_entries(tags, buckets), "map %s", tags_name);
	cr_assert(rows && !bpf_map__set_max_entries(rows, buckets * SVR_FLOW_BUCKET), "map %s",
		  rows_name);
}

/* Small maps: a test fills few slots, and every test loads its own. */
static void shrink(struct bpf_object *obj, unsigned int flows)
{
	static const struct {
		const char *name;
		unsigned int entries;
	} small[] = {
		{ "svr_sessions", 16 },
		{ "svr_nonces", 16 },
		{ "svr_peer_keys", 16 },
		/* emptied before every row, which takes as long as they are large */
		{ "svr_access", 64 },
		{ "svr_names", 256 },
		{ "svr_path_by_addr", 64 },
		{ "svr_neighbours", 64 },
	};
	struct bpf_map *map;
	size_t i;

	for (i = 0; i < sizeof(small) / sizeof(small[0]); i++) {
		map = bpf_object__find_map_by_name(obj, small[i].name);
		cr_assert(map && !bpf_map__set_max_entries(map, small[i].entries), "map %s",
			  small[i].name);
	}
	shrink_flows(obj, "svr_flow_tags4", "svr_flows4", flows ? flows : 256);
	shrink_flows(obj, "svr_flow_tags6", "svr_flows6", 256);
}

/* Take the devmap, once it is pinned, by hand: see svr_txports in bpf/maps.h. */
static void reuse_txports(struct bpf_object *obj)
{
	struct bpf_map *map = bpf_object__find_map_by_name(obj, "svr_txports");
	int fd;

	cr_assert(map);
	fd = bpf_obj_get(bpf_map__pin_path(map));
	if (fd < 0)
		return;
	cr_assert(!bpf_map__reuse_fd(map, fd) && !bpf_map__set_pin_path(map, NULL));
	close(fd);
}

static uint32_t zone_or(uint32_t wanted, uint32_t otherwise)
{
	if (wanted == NO_ZONE)
		return 0;
	return wanted ? wanted : otherwise;
}

static char libbpf_words[65536];

/* Kept, and shown only if something fails: the verifier's reason is in here */
static int libbpf_print(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	size_t used = strlen(libbpf_words);

	if (level == LIBBPF_DEBUG)
		return 0;
	if (used + 1024 > sizeof(libbpf_words))
		used = 0;
	return vsnprintf(libbpf_words + used, sizeof(libbpf_words) - used, fmt, ap);
}

/*
 * Speed only: a run of a program that is attached nowhere patches the kernel's XDP dispatcher
 * twice, some 20 ms. So each one is attached to a tap device of its own, which stays down. Where
 * there are none, tests take longer.
 */
static void attach_somewhere(struct env *e, enum prog p, const char *device)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI };

	e->tap[p] = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	if (e->tap[p] < 0)
		return;
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", device);
	if (!ioctl(e->tap[p], TUNSETIFF, &ifr))
		bpf_xdp_attach((int)if_nametoindex(ifr.ifr_name), (uint32_t)e->prog_fd[p],
			       XDP_FLAGS_DRV_MODE, NULL);
}

static void map_flows(struct env *e)
{
	const struct svr_flow_fds fds = {
		env_map(e, "svr_flow_hash"),  env_map(e, "svr_flow_tags4"),
		env_map(e, "svr_flow_tags6"), env_map(e, "svr_flows4"),
		env_map(e, "svr_flows6"),
	};
	int err = svr_mapset_of_flows(&fds, &e->flows);

	cr_assert(!err, "flow tables: %s", strerror(-err));
}

/* Both objects with the maps of @dir, which are made if there are none. */
static void load(struct env *e, const struct env_opts *opts, const char *dir, bool programs)
{
	LIBBPF_OPTS(bpf_object_open_opts, open_opts, .pin_root_path = dir);
	int err;

	e->lan = svr_lan__open_opts(&open_opts);
	e->wan = svr_wan__open_opts(&open_opts);
	cr_assert(e->lan && e->wan, "open: %s", libbpf_words);
	shrink(e->lan->obj, opts->flows);
	shrink(e->wan->obj, opts->flows);
	e->lan->rodata->svr_zone = zone_or(opts->lan_zone, LAN);
	e->wan->rodata->svr_zone = zone_or(opts->wan_zone, WAN);
	bpf_program__set_autoload(e->lan->progs.svr_lan, programs);
	bpf_program__set_autoload(e->wan->progs.svr_wan, programs);
	reuse_txports(e->lan->obj);
	err = svr_lan__load(e->lan);
	cr_assert(!err, "load svr_lan: %d\n%s", err, libbpf_words);
	reuse_txports(e->wan->obj);
	err = svr_wan__load(e->wan);
	cr_assert(!err, "load svr_wan: %d\n%s", err, libbpf_words);
}

struct env *env_open(const struct env_opts *opts)
{
	static const struct env_opts defaults;
	struct env *e = calloc(1, sizeof(*e));
	char kind[64], dir[128];
	bool loaded;

	cr_assert(e);
	if (!opts)
		opts = &defaults;
	own_namespaces();
	libbpf_set_print(libbpf_print);

	snprintf(kind, sizeof(kind), "%u-%u-%u", opts->flows, opts->lan_zone, opts->wan_zone);
	e->held = pool_take(kind, dir, sizeof(dir));
	loaded = pool_programs(dir, e->prog_fd, 2);
	load(e, opts, dir, !loaded);
	if (!loaded) {
		e->prog_fd[PROG_LAN] = dup(bpf_program__fd(e->lan->progs.svr_lan));
		e->prog_fd[PROG_WAN] = dup(bpf_program__fd(e->wan->progs.svr_wan));
		pool_keep(dir, e->prog_fd, 2);
	}
	pool_wipe(e->lan->obj);
	map_flows(e);
	attach_somewhere(e, PROG_LAN, "lan");
	attach_somewhere(e, PROG_WAN, "wan");
	e->xsk = socket(AF_XDP, SOCK_RAW, 0);
	cr_assert(e->xsk >= 0, "AF_XDP socket: %s", strerror(errno));
	env_reset(e);
	return e;
}

void env_close(struct env *e)
{
	close(e->xsk);
	if (e->tap[PROG_LAN] >= 0)
		close(e->tap[PROG_LAN]);
	if (e->tap[PROG_WAN] >= 0)
		close(e->tap[PROG_WAN]);
	close(e->prog_fd[PROG_LAN]);
	close(e->prog_fd[PROG_WAN]);
	svr_mapset_close(&e->flows);
	svr_lan__destroy(e->lan);
	svr_wan__destroy(e->wan);
	close(e->held);
	free(e);
}

/* ---- maps ------------------------------------------------------------------------------------ */

int env_map(struct env *e, const char *name)
{
	int fd = bpf_object__find_map_fd_by_name(e->lan->obj, name);

	cr_assert(fd >= 0, "no map %s", name);
	return fd;
}

void map_put(struct env *e, const char *name, const void *key, const void *value)
{
	int err = bpf_map_update_elem(env_map(e, name), key, value, BPF_ANY);

	cr_assert(!err, "update %s: %s", name, strerror(errno));
}

void map_del(struct env *e, const char *name, const void *key)
{
	int err = bpf_map_delete_elem(env_map(e, name), key);

	cr_assert(!err || errno == ENOENT, "delete from %s: %s", name, strerror(errno));
}

bool map_get(struct env *e, const char *name, const void *key, void *value)
{
	return !bpf_map_lookup_elem(env_map(e, name), key, value);
}

static void map_clear(struct env *e, const char *name)
{
	uint8_t key[128];
	int fd = env_map(e, name);

	while (!bpf_map_get_next_key(fd, NULL, key))
		cr_assert(!bpf_map_delete_elem(fd, key), "clear %s: %s", name, strerror(errno));
}

static int flow_count_one(const struct svr_flow6_key *key, const struct svr_flow *flow, void *user)
{
	(void)key;
	(void)flow;
	++*(unsigned int *)user;
	return 0;
}

unsigned int flow_count(struct env *e)
{
	unsigned int n = 0;

	svr_flow_walk_all(&e->flows, flow_count_one, &n);
	return n;
}

static int flow_clear_one(const struct svr_flow6_key *key, const struct svr_flow *flow, void *user)
{
	struct env *e = user;

	(void)flow;
	return svr_flow_delete(&e->flows, key);
}

void flow4_put(struct env *e, const struct svr_flow4_key *key, const struct svr_flow *flow)
{
	struct svr_flow6_key key6;

	svr_key_map4(key, &key6);
	svr_flow_delete(&e->flows, &key6);
	cr_assert(!svr_flow_insert(&e->flows, &key6, flow), "no room for a flow");
}

bool flow4_get(struct env *e, const struct svr_flow4_key *key, struct svr_flow *flow)
{
	struct svr_flow6_key key6;

	svr_key_map4(key, &key6);
	return !svr_flow_get(&e->flows, &key6, flow);
}

static void slot_put(struct env *e, const char *name, uint32_t slot, const void *value)
{
	map_put(e, name, &slot, value);
}

static void name_put(struct env *e, enum svr_name_kind kind, const char *name, uint32_t index)
{
	struct svr_name_key key = { .kind = kind };

	memcpy(key.name, name, strlen(name));
	map_put(e, "svr_names", &key, &index);
}

static void frag_add(struct svr_meta_frag *frag, uint16_t type, const char *value)
{
	size_t len = strlen(value);

	cr_assert(frag->len + 4 + len <= sizeof(frag->tlv), "test bug: fragment too long");
	put16(frag->tlv + frag->len, type);
	put16(frag->tlv + frag->len + 2, (uint16_t)len);
	memcpy(frag->tlv + frag->len + 4, value, len);
	frag->len = (uint16_t)(frag->len + 4 + len);
}

static void put_zone(struct env *e, uint32_t id, const char *addr, const char *gateway,
		     uint8_t role, uint16_t vlan)
{
	struct svr_zone z = { .ifindex = LO,
			      .vlan = vlan,
			      .role = role,
			      .mtu = 1500,
			      .addrs = 1,
			      .addr[0].prefix_len = 96 + 24 };
	uint32_t ifindex = LO;

	addr_map(z.addr[0].addr, addr);
	if (gateway)
		addr_map(z.addr[0].gateway, gateway);
	snprintf(z.name, sizeof(z.name), "zone%u", id);
	slot_put(e, "svr_zones", id, &z);
	slot_put(e, "svr_txports", id, &ifindex);
}

static void put_tenant(struct env *e, uint32_t id, const char *name, const char *prefix, int bits)
{
	struct svr_tenant t = {};
	struct svr_tenant_key key = {
		.prefixlen = 32 + 96 + (uint32_t)bits,
		.family = htons(SVR_FAMILY_4),
		.zone = htons(LAN),
	};

	snprintf(t.name, sizeof(t.name), "%s", name);
	frag_add(&t.frag, SVR_TLV_TENANT, name);
	slot_put(e, "svr_tenants", id, &t);
	addr_map(key.addr, prefix);
	map_put(e, "svr_tenant_lpm", &key, &id);
	key.zone = htons(TAGGED);
	map_put(e, "svr_tenant_lpm", &key, &id);
	name_put(e, SVR_KIND_TENANT, name, id);
}

static void put_tenant6(struct env *e, uint32_t id, const char *prefix, int bits)
{
	struct svr_tenant_key key = {
		.prefixlen = 32 + (uint32_t)bits,
		.family = htons(SVR_FAMILY_6),
		.zone = htons(LAN),
	};

	addr_map(key.addr, prefix);
	map_put(e, "svr_tenant_lpm", &key, &id);
}

static void put_policy(struct env *e, uint32_t id, const char *name, uint8_t clear)
{
	struct svr_policy p = { .clear = clear };

	if (!clear) {
		p.encrypt = 1;
		p.cipher = SVR_CIPHER_AES_CBC_256;
		p.hmac = SVR_HMAC_SHA384;
	}
	snprintf(p.name, sizeof(p.name), "%s", name);
	slot_put(e, "svr_policies", id, &p);
	name_put(e, SVR_KIND_POLICY, name, id);
}

static void put_peer(struct env *e, uint32_t id, const char *name, const char *common_name)
{
	struct svr_peer p = {};

	snprintf(p.name, sizeof(p.name), "%s", name);
	snprintf(p.common_name, sizeof(p.common_name), "%s", common_name);
	slot_put(e, "svr_peers", id, &p);
	name_put(e, SVR_KIND_PEER, common_name, id);
}

static void put_path(struct env *e, uint32_t id, uint32_t peer, const char *remote)
{
	struct svr_path p = {
		.peer = peer,
		.zone = WAN,
		.local_lo = SVR_PORT_LO,
		.local_hi = SVR_PORT_HI,
		.remote_lo = SVR_PORT_LO,
		.remote_hi = SVR_PORT_HI,
		.parity = 1,
	};
	struct svr_nexthop nh = {
		.zone = WAN, .valid = 1, .dmac = { 2, 0, 0, 0, 2, 2 }, .smac = { 2, 0, 0, 0, 2, 1 }
	};
	struct svr_addr_key key = { .zone = WAN };

	addr_map(p.local, "192.0.2.1");
	addr_map(p.remote, remote);
	addr_map(nh.addr, remote);
	addr_map(key.addr, remote);
	frag_add(&p.frag, SVR_TLV_SOURCE_ROUTER, "cn-west");
	frag_add(&p.frag, SVR_TLV_PATH_ID, "192.0.2.1");
	slot_put(e, "svr_paths", id, &p);
	slot_put(e, "svr_nexthops", id, &nh);
	map_put(e, "svr_path_by_addr", &key, &id);
	path_status(e, id, SVR_PATH_UP, 0);
}

static void put_neighbour(struct env *e, uint32_t slot, uint32_t zone, const char *addr)
{
	struct svr_nexthop nh = { .zone = zone,
				  .valid = 1,
				  .dmac = { 2, 0, 0, 0, 1, 10 },
				  .smac = { 2, 0, 0, 0, 1, 1 } };
	struct svr_addr_key key = { .zone = zone };

	addr_map(nh.addr, addr);
	addr_map(key.addr, addr);
	slot_put(e, "svr_nexthops", slot, &nh);
	map_put(e, "svr_neighbours", &key, &slot);
}

static struct svr_service service(const char *name, uint32_t policy, const char *policy_name,
				  uint8_t route)
{
	struct svr_service s = { .policy = policy, .route_kind = route };

	snprintf(s.name, sizeof(s.name), "%s", name);
	frag_add(&s.frag, SVR_TLV_SERVICE, name);
	frag_add(&s.frag, SVR_TLV_POLICY, policy_name);
	if (route == SVR_ROUTE_PEER) {
		s.paths = 2;
		s.path[0] = PATH_EAST;
		s.path[1] = PATH_NORTH;
	} else if (route == SVR_ROUTE_LOCAL) {
		s.zone = LAN;
	}
	return s;
}

static void transport(struct svr_service *s, uint8_t proto, uint16_t lo, uint16_t hi)
{
	s->transport[s->transports++] =
		(struct svr_transport){ .port_lo = lo, .port_hi = hi, .proto = proto };
}

static void put_service(struct env *e, uint32_t id, const struct svr_service *s, bool guests)
{
	struct svr_access_key access = { .service = id, .tenant = TENANT_CORP };
	uint32_t yes = 1, no = 0;

	slot_put(e, "svr_services", id, s);
	name_put(e, SVR_KIND_SERVICE, s->name, id);
	map_put(e, "svr_access", &access, &yes);
	access.tenant = TENANT_GUEST;
	if (guests)
		map_put(e, "svr_access", &access,
			&no); /* an explicit no; without a row it is no as well */
}

static void put_services(struct env *e)
{
	struct svr_service s;

	s = service("web", POLICY_CLEAR, "clear", SVR_ROUTE_PEER);
	transport(&s, IPPROTO_TCP, 80, 80);
	transport(&s, IPPROTO_TCP, 8000, 8080);
	put_service(e, SVC_WEB, &s, true);

	s = service("dns", POLICY_CLEAR, "clear", SVR_ROUTE_PEER);
	transport(&s, IPPROTO_UDP, 53, 53);
	put_service(e, SVC_DNS, &s, false);

	s = service("vault", POLICY_SECRET, "secret", SVR_ROUTE_PEER);
	transport(&s, IPPROTO_TCP, 22, 22);
	put_service(e, SVC_VAULT, &s, false);

	s = service("any", POLICY_CLEAR, "clear", SVR_ROUTE_PEER);
	put_service(e, SVC_ANY, &s, false);

	s = service("noroute", POLICY_CLEAR, "clear", SVR_ROUTE_NONE);
	put_service(e, SVC_NOROUTE, &s, false);

	s = service("local", POLICY_CLEAR, "clear", SVR_ROUTE_LOCAL);
	transport(&s, IPPROTO_TCP, 1, 65535);
	transport(&s, IPPROTO_UDP, 1, 65535);
	put_service(e, SVC_LOCAL, &s, false);

	s = service("local-secret", POLICY_SECRET, "secret", SVR_ROUTE_LOCAL);
	transport(&s, IPPROTO_TCP, 22, 22);
	put_service(e, SVC_LOCAL_SECRET, &s, false);

	s = service("gateway", POLICY_CLEAR, "clear", SVR_ROUTE_LOCAL);
	addr_map(s.gateway, "172.16.1.254");
	put_service(e, SVC_GATEWAY, &s, false);
}

static void put_prefix(struct env *e, const char *prefix, uint32_t bits,
		       const struct svr_service_set *set)
{
	struct svr_service_key key = { .prefixlen = 32 + 96 + bits, .family = htonl(SVR_FAMILY_4) };

	addr_map(key.addr, prefix);
	map_put(e, "svr_service_lpm", &key, set);
}

void flows_clear(struct env *e)
{
	uint64_t now = 0;
	uint32_t zone;

	cr_assert(!svr_flow_walk_all(&e->flows, flow_clear_one, e), "flows are not deleted");
	for (zone = 0; zone <= TAGGED; zone++)
		slot_put(e, "svr_icmp_pace", zone, &now),
			slot_put(e, "svr_fragment_pace", zone, &now),
			slot_put(e, "svr_neighbour_pace", zone, &now);
}

static void add_ipv6(struct svr_zone *z)
{
	addr_map(z->addr[1].addr, "2001:db8:1::1");
	z->addr[1].prefix_len = 64;
	z->addrs = 2;
}

void env_reset(struct env *e)
{
	struct svr_vlan_key vlan = { .ifindex = LO, .vlan = LAN_VLAN };
	uint32_t tagged = TAGGED;


	flows_clear(e);
	map_clear(e, "svr_names");
	map_clear(e, "svr_access");
	map_clear(e, "svr_neighbours");
	map_clear(e, "svr_path_by_addr");
	put_zone(e, LAN, "172.16.1.1", "172.16.1.254", SVR_ROLE_LAN, 0);
	zone_change(e, LAN, add_ipv6);
	put_zone(e, WAN, "192.0.2.1", NULL, SVR_ROLE_WAN, 0);
	put_zone(e, TAGGED, "172.16.30.1", NULL, SVR_ROLE_LAN, LAN_VLAN);
	map_put(e, "svr_vlans", &vlan, &tagged);
	put_tenant(e, TENANT_CORP, "corp", "172.16.0.0", 16);
	put_tenant(e, TENANT_GUEST, "guest", "172.16.1.128", 25);
	put_tenant6(e, TENANT_CORP, "2001:db8:1::", 64);
	put_policy(e, POLICY_CLEAR, "clear", 1);
	put_policy(e, POLICY_SECRET, "secret", 0);
	put_peer(e, PEER_EAST, "east", "cn-east");
	put_peer(e, PEER_NORTH, "north", "cn-north");
	put_path(e, PATH_EAST, PEER_EAST, "192.0.2.2");
	put_path(e, PATH_NORTH, PEER_NORTH, "192.0.2.3");
	put_services(e);
	put_prefix(e, "172.16.2.0", 24,
		   &(struct svr_service_set){ 3, { SVC_WEB, SVC_DNS, SVC_VAULT } });
	put_prefix(e, "172.16.3.0", 24, &(struct svr_service_set){ 1, { SVC_ANY } });
	put_prefix(e, "172.16.4.0", 24, &(struct svr_service_set){ 1, { SVC_NOROUTE } });
	put_prefix(e, "172.16.1.0", 24, &(struct svr_service_set){ 1, { SVC_LOCAL } });
	put_prefix(e, "172.16.1.0", 25,
		   &(struct svr_service_set){ 2, { SVC_LOCAL_SECRET, SVC_LOCAL | SVR_SET_WIDER } });
	put_prefix(e, "172.16.9.0", 24, &(struct svr_service_set){ 1, { SVC_GATEWAY } });
	put_neighbour(e, NH_HOST, LAN, "172.16.1.10");
	put_neighbour(e, NH_GATEWAY, LAN, "172.16.1.254");
	put_neighbour(e, NH_TAGGED, TAGGED, "172.16.30.10");
	worker_there(e);
}

void zone_change(struct env *e, uint32_t zone, void (*change)(struct svr_zone *))
{
	struct svr_zone z;

	cr_assert(map_get(e, "svr_zones", &zone, &z));
	change(&z);
	slot_put(e, "svr_zones", zone, &z);
}

void path_change(struct env *e, uint32_t path, void (*change)(struct svr_path *))
{
	struct svr_path p;

	cr_assert(map_get(e, "svr_paths", &path, &p));
	change(&p);
	slot_put(e, "svr_paths", path, &p);
}

void service_change(struct env *e, uint32_t id, void (*change)(struct svr_service *))
{
	struct svr_service s;

	cr_assert(map_get(e, "svr_services", &id, &s));
	change(&s);
	slot_put(e, "svr_services", id, &s);
}

void path_status(struct env *e, uint32_t path, uint32_t status, uint32_t mtu)
{
	struct svr_path_state s = { .status = status, .mtu = mtu };

	slot_put(e, "svr_path_state", path, &s);
}

void nexthop_valid(struct env *e, uint32_t nexthop, bool valid)
{
	struct svr_nexthop nh;

	cr_assert(map_get(e, "svr_nexthops", &nexthop, &nh));
	nh.valid = valid;
	slot_put(e, "svr_nexthops", nexthop, &nh);
}

void worker_gone(struct env *e)
{
	uint32_t zone, slot;

	for (zone = LAN; zone <= TAGGED; zone++) {
		slot = zone * SVR_MAX_QUEUES;
		map_del(e, "svr_xsks", &slot);
	}
}

void worker_there(struct env *e)
{
	uint32_t zone;

	for (zone = LAN; zone <= TAGGED; zone++)
		slot_put(e, "svr_xsks", zone * SVR_MAX_QUEUES, &e->xsk);
}

/* ---- counters -------------------------------------------------------------------------------- */

struct counters {
	uint64_t drops[TAGGED + 1][SVR_DROP_MAX];
	uint64_t stats[TAGGED + 1][SVR_STAT_MAX];
};

/*
 * The first @rows rows of a map with values per CPU, in one call: @row_len bytes for each CPU and
 * row. Every packet has all counters read twice.
 */
static const void *rows_read(struct env *e, const char *name, uint32_t rows, size_t row_len)
{
	static uint8_t values[1 << 20];
	uint32_t keys[(TAGGED + 1) * SVR_DROP_MAX], next, count = rows;

	cr_assert(rows <= sizeof(keys) / sizeof(keys[0]) &&
		  rows * row_len * (size_t)libbpf_num_possible_cpus() <= sizeof(values));
	cr_assert(!bpf_map_lookup_batch(env_map(e, name), NULL, &next, keys, values, &count,
					NULL) &&
			  count == rows,
		  "%s: %s", name, strerror(errno));
	return values;
}

static void counters_read(struct env *e, struct counters *c)
{
	size_t cpus = (size_t)libbpf_num_possible_cpus(), cpu, k;
	const struct svr_zone_stats *stats;
	const uint64_t *drops;
	uint32_t zone;

	memset(c, 0, sizeof(*c));
	drops = rows_read(e, "svr_drops", (TAGGED + 1) * SVR_DROP_MAX, sizeof(*drops));
	for (zone = 0; zone <= TAGGED; zone++)
		for (k = 0; k < SVR_DROP_MAX; k++)
			for (cpu = 0; cpu < cpus; cpu++)
				c->drops[zone][k] += *drops++;
	stats = rows_read(e, "svr_stats", TAGGED + 1, sizeof(*stats));
	for (zone = 0; zone <= TAGGED; zone++)
		for (cpu = 0; cpu < cpus; cpu++, stats++)
			for (k = 0; k < SVR_STAT_MAX; k++)
				c->stats[zone][k] += stats->count[k];
}

uint64_t stat_read(struct env *e, uint32_t zone, enum svr_stat stat)
{
	static struct counters now;

	counters_read(e, &now);
	return now.stats[zone][stat];
}

/* What one packet did to the counters: one verdict, at most one reason, all in one zone. */
static void counters_compare(const struct counters *before, const struct counters *after,
			     size_t frame_len, struct result *r, const char *name)
{
	uint32_t zone, i;

	r->reason = 0;
	memset(r->stat, 0, sizeof(r->stat));
	for (zone = 0; zone <= TAGGED; zone++) {
		for (i = 0; i < SVR_DROP_MAX; i++) {
			uint64_t n = after->drops[zone][i] - before->drops[zone][i];

			if (!n)
				continue;
			cr_assert(n == 1 && !r->reason, "%s: more than one drop counted", name);
			r->reason = (int)i;
		}
		for (i = 0; i < SVR_STAT_MAX; i++)
			r->stat[i] += after->stats[zone][i] - before->stats[zone][i];
	}
	cr_expect(r->stat[SVR_STAT_RX_PACKETS] == 1, "%s: rx-packets", name);
	cr_expect(r->stat[SVR_STAT_RX_BYTES] == frame_len, "%s: rx-bytes %lu of %zu", name,
		  r->stat[SVR_STAT_RX_BYTES], frame_len);
	cr_expect(r->stat[SVR_STAT_PASSED] + r->stat[SVR_STAT_FORWARDED] +
				  r->stat[SVR_STAT_TO_WORKER] + r->stat[SVR_STAT_DROPPED] ==
			  1,
		  "%s: exactly one verdict is counted", name);
	cr_expect((r->reason != 0) == (r->stat[SVR_STAT_DROPPED] == 1), "%s: a drop has a name",
		  name);
}

/* ---- running --------------------------------------------------------------------------------- */

/*
 * @data: @front bytes that belong to the area for descriptions, then the frame of @len bytes. False:
 * this kernel takes no frame like that.
 */
static bool run_data(struct env *e, enum prog p, const uint8_t *data, size_t front, size_t len,
		     struct result *r, const char *name)
{
	static struct counters before, after;
	static uint8_t out[XDP_META_MAX + FRAME_MAX + 512];
	struct xdp_md in = { .data = (uint32_t)front, .data_end = (uint32_t)(front + len) };
	struct xdp_md ctx = {};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = data, .data_size_in = in.data_end,
		    .data_out = out, .data_size_out = sizeof(out), .ctx_in = &in,
		    .ctx_size_in = sizeof(in), .ctx_out = &ctx, .ctx_size_out = sizeof(ctx),
		    .repeat = 1);
	int err;

	memset(r, 0, sizeof(*r));
	counters_read(e, &before);
	err = bpf_prog_test_run_opts(e->prog_fd[p], &opts);
	if (err && errno == EINVAL && front)
		return false;
	cr_assert(!err, "%s: BPF_PROG_TEST_RUN: %s", name, strerror(errno));
	counters_read(e, &after);
	r->verdict = opts.retval;
	counters_compare(&before, &after, len, r, name);

	cr_assert(ctx.data >= ctx.data_meta && ctx.data <= opts.data_size_out, "%s: context out",
		  name);
	r->described = ctx.data - ctx.data_meta == sizeof(r->desc);
	if (r->described)
		memcpy(&r->desc, out, sizeof(r->desc));
	r->len = opts.data_size_out - ctx.data;
	cr_assert(r->len <= sizeof(r->out));
	memcpy(r->out, out + ctx.data, r->len);
	return true;
}

bool run_frame_behind(struct env *e, enum prog p, const struct frame *f, size_t taken,
		      struct result *r, const char *name)
{
	static uint8_t data[XDP_META_MAX + FRAME_MAX];

	cr_assert(taken <= XDP_META_MAX);
	memset(data, 0, taken);
	memcpy(data + taken, f->data, f->len);
	return run_data(e, p, data, taken, f->len, r, name);
}

void run_frame(struct env *e, enum prog p, const struct frame *f, struct result *r,
	       const char *name)
{
	run_frame_behind(e, p, f, 0, r, name);
}

void run_marked(struct env *e, enum prog p, const struct frame *f, uint8_t why, struct result *r,
		const char *name)
{
	const struct svr_frame_desc desc = { .magic = SVR_WHOLE_MAGIC, .why = why };
	static uint8_t data[sizeof(desc) + FRAME_MAX];

	memcpy(data, &desc, sizeof(desc));
	memcpy(data + sizeof(desc), f->data, f->len);
	cr_assert(run_data(e, p, data, sizeof(desc), f->len, r, name), "%s: the mark", name);
}

void run(struct env *e, enum prog p, const struct spec *s, struct result *r, const char *name)
{
	static struct frame f;

	frame_build(&f, s);
	run_frame(e, p, &f, r, name);
}

static const char *verdict_name(uint32_t verdict)
{
	static const char *const names[] = { "ABORTED", "DROP", "PASS", "TX", "REDIRECT" };

	return verdict < sizeof(names) / sizeof(names[0]) ? names[verdict] : "?";
}

static const char *reason_name(int reason)
{
	switch (reason) {
#define X(id, n, name, text) \
	case n:              \
		return name;
		SVR_DROP_REASONS(X)
#undef X
	}
	return "?";
}

void run_rows(enum prog p, const struct row *rows, size_t n)
{
	struct env *e = env_open(NULL);
	static struct result r;
	static struct frame f;
	size_t i;

	for (i = 0; i < n; i++) {
		const struct row *row = &rows[i];

		env_reset(e);
		if (row->setup)
			row->setup(e);
		frame_build(&f, &row->in);
		run_frame(e, p, &f, &r, row->name);
		cr_expect(r.verdict == row->verdict && r.reason == row->reason,
			  "%s: wanted %s/%s, got %s/%s", row->name, verdict_name(row->verdict),
			  reason_name(row->reason), verdict_name(r.verdict), reason_name(r.reason));
		if (r.verdict == XDP_PASS)
			cr_expect(r.len == f.len && !memcmp(r.out, f.data, f.len) && !r.described,
				  "%s: a passed frame is untouched", row->name);
		if (row->check && r.verdict == row->verdict)
			row->check(e, &f, &r, row->name);
	}
	env_close(e);
}

void check_sums(struct env *e, const struct frame *in, const struct result *r, const char *name)
{
	(void)e;
	(void)in;
	cr_expect(frame_csums_ok(r->out, r->len), "%s: checksums of what is sent", name);
}

void expect_bytes(const uint8_t *got, size_t got_len, const uint8_t *want, size_t want_len,
		  const char *name, const char *what)
{
	size_t i;

	cr_expect(got_len == want_len, "%s: %s has %zu bytes, wanted %zu", name, what, got_len,
		  want_len);
	for (i = 0; i < got_len && i < want_len && got[i] == want[i]; i++)
		;
	cr_expect(i == got_len || i == want_len, "%s: %s differs at byte %zu: %02x, wanted %02x",
		  name, what, i, got[i], want[i]);
}

struct svr_flow4_key flow_key(uint16_t zone, uint8_t proto, const char *src, uint16_t sport,
			      const char *dst, uint16_t dport)
{
	return (struct svr_flow4_key){
		.saddr = addr4(src),
		.daddr = addr4(dst),
		.sport = htons(sport),
		.dport = htons(dport),
		.zone = zone,
		.proto = proto,
	};
}

bool flow_get(struct env *e, uint16_t zone, uint8_t proto, const char *src, uint16_t sport,
	      const char *dst, uint16_t dport, struct svr_flow *flow)
{
	struct svr_flow4_key key = flow_key(zone, proto, src, sport, dst, dport);

	return flow4_get(e, &key, flow);
}
