// SPDX-License-Identifier: BSD-2-Clause
/*
 * `svr show services` and `svr show tenants`: what the data plane classifies by, with the sessions
 * of each.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include <bpf/bpf.h>

#include "sys/flows.h"

#include "cli.h"
#include "keyed.h"
#include "state.h"

enum { MAPPED_BITS = 96, FRONT_BITS = 32 };

/* A trie or hash, read once. */
struct rows {
	uint8_t *keys;
	int n;
	size_t key_size;
};

static int rows_read(struct svr_cli *cli, int fd, size_t key_size, const char *name, struct rows *r)
{
	r->key_size = key_size;
	r->n = svr_keyed_list(fd, key_size, &r->keys);
	if (r->n >= 0)
		return 0;
	r->keys = NULL;
	return svr_cli_error(cli, r->n, "%s: %s", name, strerror(-r->n));
}

struct counts {
	uint64_t *service, *tenant;
	uint32_t services, tenants;
};

static int count(const struct svr_flow6_key *key, const struct svr_flow *flow, void *user)
{
	struct counts *c = user;

	(void)key;
	/* one of the two flows of a session */
	if (!(flow->flags & SVR_FLOW_VALID) || flow->flags & SVR_FLOW_REV)
		return 0;
	if (flow->service < c->services)
		c->service[flow->service]++;
	if (flow->tenant < c->tenants)
		c->tenant[flow->tenant]++;
	return 0;
}

static void counts_free(struct counts *c)
{
	free(c->service);
	free(c->tenant);
}

static int counts_read(struct svr_cli *cli, const struct svr_state *s, struct counts *c)
{
	int err;

	c->services = s->m.count.services;
	c->tenants = s->m.count.tenants;
	c->service = calloc(c->services, sizeof(*c->service));
	c->tenant = calloc(c->tenants, sizeof(*c->tenant));
	if (!c->service || !c->tenant)
		return svr_cli_error(cli, -ENOMEM, "out of memory");
	err = svr_flow_walk_all(&s->m, count, c);
	return err ? svr_cli_error(cli, err, "flow tables: %s", strerror(-err)) : 0;
}

/* A prefix as text, IPv4 as such. */
static void print_prefix(struct svr_out *o, const void *addr, uint32_t bits)
{
	char text[SVR_STATE_ADDR_LEN];
	bool ipv4 = bits >= MAPPED_BITS && IN6_IS_ADDR_V4MAPPED((const struct in6_addr *)addr);

	svr_out_fmt(o, NULL, NULL, "%s/%u", svr_state_addr(addr, text),
		    ipv4 ? bits - MAPPED_BITS : bits);
}

/* ---- services ------------------------------------------------------------------------------- */

/* The set of a prefix also holds the services of the wider ones around it. */
static bool is_own_prefix(const struct svr_service_set *set, uint32_t service)
{
	for (unsigned int i = 0; i < set->count && i < SVR_MAX_SVC_PER_PREFIX; i++) {
		if (set->id[i] & SVR_SET_WIDER)
			break;
		if (set->id[i] == service)
			return true;
	}
	return false;
}

static void print_prefixes(struct svr_out *o, const struct rows *r,
			   const struct svr_service_set *sets, uint32_t service)
{
	const struct svr_service_key *keys = (const struct svr_service_key *)r->keys;

	svr_out_inline_begin(o, "prefixes", "Prefixes");
	for (int i = 0; i < r->n; i++) {
		if (is_own_prefix(&sets[i], service))
			print_prefix(o, keys[i].addr, keys[i].prefixlen - FRONT_BITS);
	}
	svr_out_list_end(o);
}

static void print_transports(struct svr_out *o, const struct svr_service *v)
{
	char proto[4];

	svr_out_inline_begin(o, "transport", "Transport");
	if (!v->transports)
		svr_out_str(o, NULL, NULL, "any");
	for (unsigned int i = 0; i < v->transports && i < SVR_MAX_TRANSPORTS; i++) {
		const struct svr_transport *t = &v->transport[i];

		if (t->port_lo == t->port_hi)
			svr_out_fmt(o, NULL, NULL, "%s/%u", svr_state_proto(t->proto, proto),
				    t->port_lo);
		else
			svr_out_fmt(o, NULL, NULL, "%s/%u-%u", svr_state_proto(t->proto, proto),
				    t->port_lo, t->port_hi);
	}
	svr_out_list_end(o);
}

static void print_access(struct svr_out *o, const struct svr_state *s, const struct rows *access,
			 uint32_t service)
{
	const struct svr_access_key *keys = (const struct svr_access_key *)access->keys;
	uint32_t allowed;

	svr_out_inline_begin(o, "tenants_allowed", "Tenants Allowed");
	for (int i = 0; i < access->n; i++) {
		if (keys[i].service == service &&
		    !bpf_map_lookup_elem(s->m.fd.access, &keys[i], &allowed) && allowed &&
		    svr_state_tenant(s, keys[i].tenant))
			svr_out_str(o, NULL, NULL, svr_state_tenant(s, keys[i].tenant));
	}
	svr_out_list_end(o);
}

/* Up if a packet for it could leave now. */
static bool print_route(struct svr_out *o, const struct svr_state *s, const struct svr_service *v)
{
	char addr[SVR_STATE_ADDR_LEN];
	bool up = false;

	svr_out_inline_begin(o, "route", "Route");
	switch (v->route_kind) {
	case SVR_ROUTE_LOCAL:
		up = svr_state_zone(s, v->zone) && s->m.zones[v->zone].ifindex;
		svr_out_fmt(o, NULL, NULL, "%s",
			    svr_state_zone(s, v->zone) ? svr_state_zone(s, v->zone) : "?");
		if (v->gateway[0] || v->gateway[1] || v->gateway[2] || v->gateway[3])
			svr_out_fmt(o, NULL, NULL, "via %s", svr_state_addr(v->gateway, addr));
		break;
	case SVR_ROUTE_PEER:
		for (unsigned int i = 0; i < v->paths && i < SVR_MAX_ROUTE_PATHS; i++) {
			uint32_t path = v->path[i];

			if (!svr_state_path(s, path))
				continue;
			up = up || s->m.path_state[path].status == SVR_PATH_UP;
			svr_out_str(o, NULL, NULL, svr_state_path(s, path));
		}
		break;
	default:
		break;
	}
	svr_out_list_end(o);
	return up;
}

static void print_service(struct svr_out *o, const struct svr_state *s, uint32_t i,
			  const struct rows *lpm, const struct svr_service_set *sets,
			  const struct rows *access, const struct counts *c)
{
	const struct svr_service *v = &s->m.services[i];
	bool up;

	svr_out_item_begin(o);
	svr_out_str(o, "service", "Service", v->name);
	print_prefixes(o, lpm, sets, i);
	print_transports(o, v);
	print_access(o, s, access, i);
	svr_out_str(o, "security_policy", "Security Policy", svr_state_policy(s, v->policy));
	up = print_route(o, s, v);
	svr_out_str(o, "state", "State", up ? "Up" : "Down");
	svr_out_u64(o, "sessions", "Sessions", c->service[i]);
	svr_out_item_end(o);
}

int svr_show_services_run(struct svr_cli *cli, const char *const *val)
{
	struct rows lpm = {}, access = {};
	struct svr_service_set *sets = NULL;
	struct counts c = {};
	struct svr_state s;
	int err;

	(void)val;
	err = svr_state_open(cli, &s);
	if (err)
		return err;
	err = counts_read(cli, &s, &c);
	if (!err)
		err = rows_read(cli, s.m.fd.service_lpm, sizeof(struct svr_service_key),
				"svr_service_lpm", &lpm);
	if (!err)
		err = rows_read(cli, s.m.fd.access, sizeof(struct svr_access_key), "svr_access",
				&access);
	if (err)
		goto out;
	sets = calloc((size_t)lpm.n + 1, sizeof(*sets));
	if (!sets) {
		err = svr_cli_error(cli, -ENOMEM, "out of memory");
		goto out;
	}
	for (int i = 0; i < lpm.n; i++) {
		if (bpf_map_lookup_elem(s.m.fd.service_lpm, lpm.keys + (size_t)i * lpm.key_size,
					&sets[i]))
			sets[i].count = 0;
	}
	svr_out_list_begin(cli->out, NULL, SVR_OUT_TABLE, "no services");
	for (uint32_t i = 1; i < s.m.count.services; i++) {
		if (svr_state_service(&s, i))
			print_service(cli->out, &s, i, &lpm, sets, &access, &c);
	}
	svr_out_list_end(cli->out);
out:
	free(sets);
	free(lpm.keys);
	free(access.keys);
	counts_free(&c);
	svr_state_close(&s);
	return err;
}

/* ---- tenants -------------------------------------------------------------------------------- */

static void print_sources(struct svr_out *o, const struct svr_state *s, const struct rows *lpm,
			  uint32_t tenant)
{
	const struct svr_tenant_key *keys = (const struct svr_tenant_key *)lpm->keys;
	uint32_t value;

	svr_out_inline_begin(o, "sources", "Sources");
	for (int i = 0; i < lpm->n; i++) {
		uint32_t zone = ntohs(keys[i].zone), bits = keys[i].prefixlen - FRONT_BITS;
		bool ipv4 = ntohs(keys[i].family) == SVR_FAMILY_4;
		char text[SVR_STATE_ADDR_LEN];

		if (bpf_map_lookup_elem(s->m.fd.tenant_lpm, &keys[i], &value) || value != tenant ||
		    !svr_state_zone(s, zone))
			continue;
		if (ipv4)
			bits -= MAPPED_BITS;
		/* What holds for a whole interface stands there once for each family */
		if (bits)
			svr_out_fmt(o, NULL, NULL, "%s@%s/%u", svr_state_zone(s, zone),
				    svr_state_addr(keys[i].addr, text), bits);
		else if (ipv4)
			svr_out_fmt(o, NULL, NULL, "%s", svr_state_zone(s, zone));
	}
	svr_out_list_end(o);
}

int svr_show_tenants_run(struct svr_cli *cli, const char *const *val)
{
	struct rows lpm = {};
	struct counts c = {};
	struct svr_state s;
	int err;

	(void)val;
	err = svr_state_open(cli, &s);
	if (err)
		return err;
	err = counts_read(cli, &s, &c);
	if (!err)
		err = rows_read(cli, s.m.fd.tenant_lpm, sizeof(struct svr_tenant_key),
				"svr_tenant_lpm", &lpm);
	if (err)
		goto out;
	svr_out_list_begin(cli->out, NULL, SVR_OUT_TABLE, "no tenants");
	for (uint32_t i = 1; i < s.m.count.tenants; i++) {
		if (!svr_state_tenant(&s, i))
			continue;
		svr_out_item_begin(cli->out);
		svr_out_str(cli->out, "tenant", "Tenant", svr_state_tenant(&s, i));
		print_sources(cli->out, &s, &lpm, i);
		svr_out_u64(cli->out, "sessions", "Sessions", c.tenant[i]);
		svr_out_item_end(cli->out);
	}
	svr_out_list_end(cli->out);
out:
	free(lpm.keys);
	counts_free(&c);
	svr_state_close(&s);
	return err;
}
