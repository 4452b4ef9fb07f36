// SPDX-License-Identifier: BSD-2-Clause
/*
 * The configuration maps: their contents, and writing them so that XDP never sees half an object.
 * Numbers for names are in plan_number.c, services in plan_service.c.
 */
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>

#include <bpf/bpf.h>
#include <openssl/crypto.h>

#include "lib/config.h"
#include "lib/meta.h"
#include "lib/statickey.h"
#include "sys/mapset.h"

#include "apply.h"
#include "attach.h"
#include "cli.h"
#include "keyed.h"
#include "netdev.h"
#include "plan.h"

/* ---- objects in arrays ---------------------------------------------------------------------- */

static void make_router(struct svr_maker *mk)
{
	struct svr_router *r = &mk->p->router;

	r->abi = SVR_ABI_VERSION;
	svr_plan_put_name(r->name, mk->v->router->name);
	svr_plan_put_name(r->common_name, mk->v->router->peering_common_name);
	svr_plan_put_name(r->authority, mk->v->cfg->name);
	r->sessions = mk->m->count.sessions;
	r->payload_rekey_sec = svr_config_payload_rekey_sec(mk->v->key_management);
}

/*
 * Device names are unique only inside a network namespace. If a device of this router is attached,
 * what has its name here must be that device; otherwise this call was made in another namespace and
 * would write wrong numbers.
 */
static int check_namespace(struct svr_maker *mk, const struct svr_view_zone *z,
			   const struct svr_netdev *d)
{
	const char *router = mk->v->router->name;
	uint32_t prog_id = 0, ifindex;
	struct svr_attached a;
	bool pinned;

	ifindex = svr_attach_link_ifindex(router, z->device, &pinned, &prog_id);
	if (!ifindex)
		return 0;
	if (d->ifindex == ifindex && !svr_attach_query(router, d, &a) && a.prog_id == prog_id)
		return 0;
	return svr_cli_error(
		mk->cli, -EXDEV,
		"device %s of router %s is attached, but not in this network namespace; enter its namespace first: "
		"nsenter --net=/run/netns/NAME svr ...",
		z->device, router);
}

static void make_zone_addr(const struct svr_cfg_if_address *from, struct svr_zone_addr *to)
{
	struct svr_cfg_prefix prefix = { .addr = from->ip_address, .len = from->prefix_length };

	to->prefix_len = svr_plan_bits128(&prefix);
	memcpy(to->addr, from->ip_address.bytes, sizeof(to->addr));
	if (from->gateway.family)
		memcpy(to->gateway, from->gateway.bytes, sizeof(to->gateway));
}

static int make_zones(struct svr_maker *mk)
{
	static const uint8_t mss_modes[] = {
		[SVR_CFG_MSS_DISABLED] = 0, [SVR_CFG_MSS_AUTOMATIC] = 1, [SVR_CFG_MSS_FIXED] = 2
	};

	for (unsigned int i = 0; i < mk->v->n_zones; i++) {
		const struct svr_view_zone *z = &mk->v->zones[i];
		struct svr_zone *to = &mk->p->zones[mk->p->zone_slot[i]];
		struct svr_vlan_key vlan = {};
		struct svr_netdev d;
		int err;

		err = svr_netdev_get(z->device, &d);
		if (err && err != -ENODEV)
			return svr_cli_error(mk->cli, err, "%s: cannot ask the kernel for it: %s",
					     z->device, strerror(-err));
		err = check_namespace(mk, z, &d);
		if (err)
			return err;
		to->ifindex = d.ifindex;
		memcpy(to->mac, d.mac, sizeof(to->mac));
		to->vlan = z->vlan;
		to->outer_vlan = z->outer_vlan;
		to->role = z->role == SVR_CFG_ROLE_WAN ? SVR_ROLE_WAN : SVR_ROLE_LAN;
		to->enforced_mss = mss_modes[z->enforced_mss_mode];
		to->mss = z->enforced_mss;
		to->mtu = z->mtu;
		for (unsigned int a = 0; a < z->n_address && a < SVR_ZONE_ADDRS; a++)
			make_zone_addr(&z->address[a], &to->addr[to->addrs++]);
		svr_plan_put_name(to->name, z->interface);
		svr_plan_put_name(to->device, z->device);
		vlan.ifindex = d.ifindex;
		vlan.vlan = z->vlan;
		vlan.outer_vlan = z->outer_vlan;
		if (z->vlan && d.ifindex &&
		    svr_keyed_add(&mk->p->vlans, &vlan, &mk->p->zone_slot[i]))
			return svr_cli_error(mk->cli, -ENOMEM, "out of memory");
	}
	return 0;
}

static void make_tenants(struct svr_maker *mk)
{
	for (unsigned int i = 0; i < mk->v->n_tenants; i++) {
		struct svr_tenant *to = &mk->p->tenants[mk->p->tenant_slot[i]];

		svr_plan_put_name(to->name, mk->v->tenants[i].name);
		svr_plan_frag_add(&to->frag, SVR_TLV_TENANT, to->name);
	}
}

static int make_policies(struct svr_maker *mk)
{
	static const uint8_t ciphers[] = { [SVR_CFG_AES_CBC_128] = SVR_CIPHER_AES_CBC_128,
					   [SVR_CFG_AES_CBC_256] = SVR_CIPHER_AES_CBC_256,
					   [SVR_CFG_AES_GCM_128] = SVR_CIPHER_AES_GCM_128,
					   [SVR_CFG_AES_GCM_256] = SVR_CIPHER_AES_GCM_256 };
	static const uint8_t hmacs[] = {
		[SVR_CFG_HMAC_SHA1] = SVR_HMAC_SHA1,
		[SVR_CFG_HMAC_SHA256] = SVR_HMAC_SHA256,
		[SVR_CFG_HMAC_SHA256_128] = SVR_HMAC_SHA256_128,
		[SVR_CFG_HMAC_SHA384] = SVR_HMAC_SHA384,
		[SVR_CFG_HMAC_SHA512] = SVR_HMAC_SHA512,
	};
	static const uint8_t modes[] = {
		[SVR_CFG_HMAC_DISABLED] = SVR_HMAC_MODE_DISABLED,
		[SVR_CFG_HMAC_REGULAR] = SVR_HMAC_MODE_REGULAR,
		[SVR_CFG_HMAC_TIME_BASED] = SVR_HMAC_MODE_TIME_BASED,
	};

	for (unsigned int i = 0; i < mk->v->n_policies; i++) {
		const struct svr_cfg_policy *from = &mk->v->policies[i];
		struct svr_policy *to = &mk->p->policies[mk->p->policy_slot[i]];
		uint8_t secret[SVR_CFG_SECRET_MAX];
		size_t len;
		int err;

		svr_plan_put_name(to->name, from->name);
		to->encrypt = from->encrypt;
		to->hmac_mode = modes[from->hmac_mode];
		to->cipher = from->encrypt ? ciphers[from->encryption_cipher] : SVR_CIPHER_NONE;
		to->hmac = from->hmac_mode == SVR_CFG_HMAC_DISABLED ? SVR_HMAC_NONE :
								      hmacs[from->hmac_cipher];
		to->clear = !from->encrypt && from->hmac_mode == SVR_CFG_HMAC_DISABLED;
		if (mk->v->cfg->static_policy < 0 || to->clear)
			continue;
		to->wrapped = 1;
		len = svr_config_policy_secret(from, secret);
		err = svr_static_wrap_key(secret, len, from->name, to->wrap);
		OPENSSL_cleanse(secret, sizeof(secret));
		if (err)
			return svr_cli_error(mk->cli, err, "security policy %s: %s", from->name,
					     strerror(-err));
	}
	return 0;
}

static void make_peers(struct svr_maker *mk)
{
	for (unsigned int i = 0; i < mk->v->n_peers; i++) {
		struct svr_peer *to = &mk->p->peers[mk->p->peer_slot[i]];

		svr_plan_put_name(to->name, mk->v->peers[i].name);
		svr_plan_put_name(to->common_name, mk->v->peers[i].peering_common_name);
	}
}

static int make_paths(struct svr_maker *mk)
{
	char text[SVR_CFG_ADDR_STRLEN];

	for (unsigned int i = 0; i < mk->v->n_paths; i++) {
		const struct svr_view_path *from = &mk->v->paths[i];
		struct svr_path *to = &mk->p->paths[mk->p->path_slot[i]];
		struct svr_addr_key key = {};

		to->peer = mk->p->peer_slot[from->peer];
		to->zone = mk->p->zone_slot[from->zone];
		memcpy(to->local, from->local_address.bytes, sizeof(to->local));
		memcpy(to->remote, from->remote_address.bytes, sizeof(to->remote));
		to->local_lo = from->local_ports.start_port;
		to->local_hi = from->local_ports.end_port;
		to->remote_lo = from->remote_ports.start_port;
		to->remote_hi = from->remote_ports.end_port;
		to->parity = from->parity;
		to->vector = from->cost;
		snprintf(to->name, sizeof(to->name), "%s", from->name);
		svr_plan_frag_add(&to->frag, SVR_TLV_SOURCE_ROUTER, mk->p->router.common_name);
		svr_plan_frag_add(&to->frag, SVR_TLV_PATH_ID,
				  svr_config_addr_print(&from->local_address, text));
		if (!from->bfd_metadata)
			continue; /* no session comes from there: what it sends is the kernel's */
		key.zone = to->zone;
		memcpy(key.addr, to->remote, sizeof(key.addr));
		if (svr_keyed_add(&mk->p->path_by_addr, &key, &mk->p->path_slot[i]))
			return svr_cli_error(mk->cli, -ENOMEM, "out of memory");
	}
	return 0;
}

/* ---- objects in hashes and tries ------------------------------------------------------------ */

static int add_tenant_prefix(struct svr_maker *mk, uint32_t zone,
			     const struct svr_cfg_prefix *prefix, uint32_t tenant)
{
	struct svr_tenant_key key = {
		.prefixlen = SVR_PLAN_FRONT_BITS + svr_plan_bits128(prefix),
		.family = htons(prefix->addr.family),
		.zone = htons((uint16_t)zone),
	};

	memcpy(key.addr, prefix->addr.bytes, sizeof(key.addr));
	return svr_keyed_add(&mk->p->tenant_lpm, &key, &tenant);
}

/*
 * The tenant of an interface holds for all sources that no tenant prefix covers, not only for its
 * own subnet.
 */
static int make_tenant_lpm(struct svr_maker *mk)
{
	static const struct svr_cfg_prefix everything[] = {
		{ .addr = { .family = 4, .bytes = { [10] = 0xff, [11] = 0xff } } },
		{ .addr = { .family = 6 } },
	};
	int err = 0;

	for (unsigned int i = 0; i < mk->v->n_zones && !err; i++) {
		const struct svr_view_zone *z = &mk->v->zones[i];
		uint32_t zone = mk->p->zone_slot[i],
			 tenant = z->tenant < 0 ? 0 : mk->p->tenant_slot[z->tenant];

		for (unsigned int f = 0; tenant && f < 2 && !err; f++)
			err = add_tenant_prefix(mk, zone, &everything[f], tenant);
		for (unsigned int t = 0; t < z->n_tenant_prefixes && !err; t++) {
			const struct svr_cfg_tenant_prefix *from = &z->tenant_prefixes[t];

			err = add_tenant_prefix(mk, zone, &from->source_address,
						mk->p->tenant_slot[from->tenant_index]);
		}
	}
	return err ? svr_cli_error(mk->cli, err, "out of memory") : 0;
}

static int add_name(struct svr_maker *mk, enum svr_name_kind kind, const char *name, uint32_t slot)
{
	struct svr_name_key key = { .kind = kind };

	svr_plan_put_name(key.name, name);
	return svr_keyed_add(&mk->p->names, &key, &slot);
}

static int make_names(struct svr_maker *mk)
{
	const struct svr_router_view *v = mk->v;
	const struct svr_plan *p = mk->p;
	int err = 0;

	for (unsigned int i = 0; i < v->n_tenants && !err; i++)
		err = add_name(mk, SVR_KIND_TENANT, v->tenants[i].name, p->tenant_slot[i]);
	for (unsigned int i = 0; i < v->n_services && !err; i++)
		err = add_name(mk, SVR_KIND_SERVICE, v->services[i].cfg->name, p->service_slot[i]);
	for (unsigned int i = 0; i < v->n_policies && !err; i++)
		err = add_name(mk, SVR_KIND_POLICY, v->policies[i].name, p->policy_slot[i]);
	for (unsigned int i = 0; i < v->n_peers && !err; i++)
		err = add_name(mk, SVR_KIND_PEER, v->peers[i].peering_common_name, p->peer_slot[i]);
	return err ? svr_cli_error(mk->cli, err, "out of memory") : 0;
}

/* ---- the plan ------------------------------------------------------------------------------- */

int svr_plan_make(struct svr_cli *cli, const struct svr_mapset *m,
		  const struct svr_router_view *view, struct svr_plan **out)
{
	struct svr_plan *p = calloc(1, sizeof(*p));
	struct svr_maker mk = { cli, m, view, p };
	int err = -ENOMEM;

	if (!p)
		return svr_cli_error(cli, err, "out of memory");
	svr_keyed_init(&p->vlans, sizeof(struct svr_vlan_key), sizeof(uint32_t));
	svr_keyed_init(&p->tenant_lpm, sizeof(struct svr_tenant_key), sizeof(uint32_t));
	svr_keyed_init(&p->service_lpm, sizeof(struct svr_service_key),
		       sizeof(struct svr_service_set));
	svr_keyed_init(&p->access, sizeof(struct svr_access_key), sizeof(uint32_t));
	svr_keyed_init(&p->names, sizeof(struct svr_name_key), sizeof(uint32_t));
	svr_keyed_init(&p->path_by_addr, sizeof(struct svr_addr_key), sizeof(uint32_t));
	p->zones = calloc(m->count.zones, sizeof(*p->zones));
	p->tenants = calloc(m->count.tenants, sizeof(*p->tenants));
	p->services = calloc(m->count.services, sizeof(*p->services));
	p->session_types = calloc(m->count.session_types, sizeof(*p->session_types));
	p->port_types = calloc(m->count.port_types, sizeof(*p->port_types));
	p->n_policies = m->count.policies;
	p->policies = calloc(p->n_policies, sizeof(*p->policies));
	p->peers = calloc(m->count.peers, sizeof(*p->peers));
	p->paths = calloc(m->count.paths, sizeof(*p->paths));
	if (!p->zones || !p->tenants || !p->services || !p->session_types || !p->port_types ||
	    !p->policies || !p->peers || !p->paths) {
		svr_cli_error(cli, err, "out of memory");
		goto out;
	}
	err = svr_plan_number(&mk);
	if (err)
		goto out;
	make_router(&mk);
	svr_plan_session_types(&mk);
	make_tenants(&mk);
	make_peers(&mk);
	err = make_policies(&mk);
	if (!err)
		err = make_zones(&mk);
	if (!err)
		err = make_paths(&mk);
	if (!err)
		err = svr_plan_services(&mk);
	if (!err)
		err = make_tenant_lpm(&mk);
	if (!err)
		err = svr_plan_service_lpm(&mk);
	if (!err)
		err = svr_plan_access(&mk);
	if (!err)
		err = make_names(&mk);
	svr_keyed_seal(&p->vlans);
	svr_keyed_seal(&p->tenant_lpm);
	svr_keyed_seal(&p->names);
	svr_keyed_seal(&p->path_by_addr);
	if (!err && p->tenant_lpm.n > SVR_MAX_PREFIXES)
		err = svr_cli_error(cli, -E2BIG, "there are %u tenant prefixes, %d fit",
				    p->tenant_lpm.n, SVR_MAX_PREFIXES);
out:
	if (err) {
		svr_plan_free(p);
		p = NULL;
	}
	*out = p;
	return err;
}

uint32_t svr_plan_zone(const struct svr_plan *p, unsigned int index)
{
	return p->zone_slot[index];
}

void svr_plan_free(struct svr_plan *p)
{
	if (!p)
		return;
	free(p->zones);
	free(p->tenants);
	free(p->services);
	free(p->session_types);
	free(p->port_types);
	if (p->policies)
		OPENSSL_cleanse(p->policies, p->n_policies * sizeof(*p->policies));
	free(p->policies);
	free(p->peers);
	free(p->paths);
	free(p->zone_slot);
	free(p->tenant_slot);
	free(p->service_slot);
	free(p->policy_slot);
	free(p->peer_slot);
	free(p->path_slot);
	svr_keyed_free(&p->vlans);
	svr_keyed_free(&p->tenant_lpm);
	svr_keyed_free(&p->service_lpm);
	svr_keyed_free(&p->access);
	svr_keyed_free(&p->names);
	svr_keyed_free(&p->path_by_addr);
	free(p);
}

/* ---- writing -------------------------------------------------------------------------------- */

/*
 * One object. Readers run meanwhile, so the byte at @guard, without which they leave the object
 * alone or take the safe way, is zero while the rest is written.
 */
static void put(void *slot, const void *wanted, size_t size, size_t guard)
{
	uint8_t *to = slot;
	const uint8_t *from = wanted;

	if (!memcmp(to, from, size))
		return;
	__atomic_store_n(&to[guard], 0, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	memcpy(to, from, guard);
	memcpy(to + guard + 1, from + guard + 1, size - guard - 1);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	__atomic_store_n(&to[guard], from[guard], __ATOMIC_RELAXED);
}

/* @alive: write objects that exist, otherwise empty the slots of those that do not. */
static void put_all(const struct svr_mapset *m, const struct svr_plan *p, bool alive)
{
#define PUT(field, type, guard)                                              \
	for (uint32_t i = 1; i < m->count.field; i++) {                      \
		if ((p->field[i].name[0] != 0) == alive)                     \
			put(&m->field[i], &p->field[i], sizeof(struct type), \
			    offsetof(struct type, guard));                   \
	}
	PUT(zones, svr_zone, role)
	PUT(tenants, svr_tenant, name)
	/* clear = 0 hands the packet to the worker, which reads all of it or drops */
	PUT(policies, svr_policy, clear)
	PUT(peers, svr_peer, name)
	PUT(paths, svr_path, name)
	PUT(services, svr_service, route_kind)
#undef PUT
}

static void put_router(const struct svr_mapset *m, const struct svr_plan *p)
{
	struct svr_router r = p->router;

	r.generation = m->router->generation;
	r.rules = m->router->rules;
	if (memcmp(m->router, &r, sizeof(r)))
		memcpy(m->router, &r, sizeof(r));
}

/* From here on the worker asks the tables again. */
static void rules_changed(const struct svr_mapset *m)
{
	__atomic_add_fetch(&m->router->rules, 1, __ATOMIC_RELEASE);
}

struct keyed_map {
	const char *name;
	const struct svr_keyed *wanted;
	int fd;
	bool trie;
};

/*
 * The old rows go although the new ones are not there yet. What they lead to goes away anyhow; but where a prefix is missing,
 * a wider one answers for it, so nobody is allowed anything until all of them are there.
 */
static int make_room(const struct svr_mapset *m, const struct keyed_map *map,
		     const struct keyed_map *access)
{
	const struct svr_keyed nothing = { .key_size = access->wanted->key_size };
	int err = 0;

	if (map->trie) {
		err = svr_keyed_prune(&nothing, access->fd);
		rules_changed(m);
	}
	return err ? err : svr_keyed_prune(map->wanted, map->fd);
}

int svr_plan_write(struct svr_cli *cli, struct svr_mapset *m, const struct svr_plan *p)
{
	const struct keyed_map maps[] = {
		{ "svr_access", &p->access, m->fd.access, false },
		{ "svr_names", &p->names, m->fd.names, false },
		{ "svr_vlans", &p->vlans, m->fd.vlans, false },
		{ "svr_path_by_addr", &p->path_by_addr, m->fd.path_by_addr, false },
		{ "svr_tenant_lpm", &p->tenant_lpm, m->fd.tenant_lpm, true },
		{ "svr_service_lpm", &p->service_lpm, m->fd.service_lpm, true },
	};
	const unsigned int n = sizeof(maps) / sizeof(maps[0]);
	const char *what;
	unsigned int i = 0;
	bool closed = false;
	int err;

	/*
	 * A permission that is gone must not outlive the change of what it was given for, not even as
	 * one that the worker remembers
	 */
	what = maps[0].name;
	err = svr_keyed_prune(maps[0].wanted, maps[0].fd);
	rules_changed(m);
	if (err)
		goto out;
	/* A wrong time-out for a moment is none: the worker looks again when it is over */
	memcpy(m->session_types, p->session_types,
	       m->count.session_types * sizeof(*m->session_types));
	memcpy(m->port_types, p->port_types, m->count.port_types * sizeof(*m->port_types));
	/* Objects first, then the ways to find them; afterwards the other way round */
	put_router(m, p);
	put_all(m, p, true);
	for (i = 0; i < n && !err; i++) {
		what = maps[i].name;
		err = svr_keyed_upsert(maps[i].wanted, maps[i].fd);
		/* A hash map is full, or a trie */
		if (err != -E2BIG && err != -ENOSPC)
			continue;
		closed = closed || maps[i].trie;
		err = make_room(m, &maps[i], &maps[0]);
		if (!err)
			err = svr_keyed_upsert(maps[i].wanted, maps[i].fd);
	}
	if (closed && !err) {
		what = maps[0].name;
		err = svr_keyed_upsert(maps[0].wanted, maps[0].fd);
	}
	for (i = n; i > 0 && !err; i--) {
		what = maps[i - 1].name;
		err = svr_keyed_prune(maps[i - 1].wanted, maps[i - 1].fd);
	}
	if (err)
		goto out;
	put_all(m, p, false);
	__atomic_add_fetch(&m->router->generation, 1, __ATOMIC_RELEASE);
out:
	rules_changed(m);
	if (err)
		svr_cli_error(
			cli, err,
			"cannot write %s/%s: %s; the configuration is in force in part, apply it again",
			m->dir, what, strerror(-err));
	return err;
}

int svr_apply_txports(struct svr_cli *cli, const char *router, struct svr_mapset *m,
		      const char *extra)
{
	for (uint32_t i = 1; i < m->count.zones; i++) {
		const struct svr_zone *z = &m->zones[i];
		uint32_t ifindex = 0, have = 0;
		bool pinned;
		int err = 0;

		if (z->name[0]) {
			ifindex = svr_attach_link_ifindex(router, z->device, &pinned, NULL);
			if (extra && !strcmp(z->device, extra))
				ifindex = z->ifindex;
		}
		if (bpf_map_lookup_elem(m->fd.txports, &i, &have))
			have = 0;
		if (have == ifindex)
			continue;
		if (ifindex)
			err = bpf_map_update_elem(m->fd.txports, &i, &ifindex, BPF_ANY);
		else
			err = bpf_map_delete_elem(m->fd.txports, &i);
		if (err && err != -ENOENT)
			return svr_cli_error(cli, err,
					     "%s: cannot be made a way out for packets: %s",
					     z->device, strerror(-err));
	}
	return 0;
}
