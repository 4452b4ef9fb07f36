// SPDX-License-Identifier: BSD-2-Clause
/* Services in the configuration maps: what they are, which prefixes lead to them, who may use them. */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>

#include "sys/mapset.h"

#include "cli.h"
#include "plan.h"

/* A session type that the service names holds for all its sessions; else that of their port does, or what the protocol has. */
static void make_timeouts(const struct svr_config *cfg, const struct svr_cfg_service *from,
			  struct svr_service *to)
{
	static const uint32_t idle_ms[] = { SVR_CFG_TIMEOUT_TCP_MS, SVR_CFG_TIMEOUT_UDP_MS,
					    SVR_CFG_TIMEOUT_ICMP_MS };
	const struct svr_cfg_session_type *type = NULL;

	if (from->session_type_index >= 0)
		type = &cfg->session_types[from->session_type_index];
	to->by_port = !type;
	for (unsigned int row = 0; row < sizeof(idle_ms) / sizeof(idle_ms[0]); row++) {
		to->timeout_ms[row] = type ? type->timeout_ms : idle_ms[row];
		to->initial_timeout_ms[row] = type ? type->initial_timeout_ms :
						     SVR_CFG_TIMEOUT_INITIAL_MS;
	}
}

void svr_plan_session_types(struct svr_maker *mk)
{
	static const enum svr_cfg_protocol protocols[SVR_PORT_ROWS] = {
		[SVR_PORTS_TCP] = SVR_CFG_PROTO_TCP,   [SVR_PORTS_UDP] = SVR_CFG_PROTO_UDP,
		[SVR_PORTS_ICMP] = SVR_CFG_PROTO_ICMP, [SVR_PORTS_GRE] = SVR_CFG_PROTO_GRE,
		[SVR_PORTS_ESP] = SVR_CFG_PROTO_ESP,
	};
	const struct svr_config *cfg = mk->v->cfg;

	for (unsigned int i = 0; i < cfg->n_session_types; i++) {
		struct svr_session_type *to = &mk->p->session_types[i + 1];

		svr_plan_put_name(to->name, cfg->session_types[i].name);
		to->timeout_ms = cfg->session_types[i].timeout_ms;
		to->initial_timeout_ms = cfg->session_types[i].initial_timeout_ms;
	}
	for (unsigned int row = 0; row < SVR_PORT_ROWS; row++)
		svr_config_port_types(cfg, protocols[row], mk->p->port_types[row].type);
}

static void make_route(struct svr_maker *mk, const struct svr_view_service *from,
		       struct svr_service *to)
{
	const struct svr_view_route *r;

	if (from->route < 0)
		return;
	r = &mk->v->routes[from->route];
	if (r->kind == SVR_VIEW_ROUTE_LOCAL) {
		to->route_kind = SVR_ROUTE_LOCAL;
		to->zone = mk->p->zone_slot[r->zone];
		if (r->gateway.family)
			memcpy(to->gateway, r->gateway.bytes, sizeof(to->gateway));
		return;
	}
	to->route_kind = SVR_ROUTE_PEER;
	for (unsigned int i = 0; i < r->n_path && i < SVR_MAX_ROUTE_PATHS; i++)
		to->path[to->paths++] = mk->p->path_slot[r->path[i]];
}

int svr_plan_services(struct svr_maker *mk)
{
	for (unsigned int i = 0; i < mk->v->n_services; i++) {
		const struct svr_view_service *from = &mk->v->services[i];
		struct svr_service *to = &mk->p->services[mk->p->service_slot[i]];

		svr_plan_put_name(to->name, from->cfg->name);
		to->policy = mk->p->policy_slot[from->policy];
		make_timeouts(mk->v->cfg, from->cfg, to);
		make_route(mk, from, to);
		if (!from->any_transport && from->n_transport > SVR_MAX_TRANSPORTS)
			return svr_cli_error(mk->cli, -E2BIG,
					     "service %s: %u transport rows, %d fit", to->name,
					     from->n_transport, SVR_MAX_TRANSPORTS);
		for (unsigned int t = 0; !from->any_transport && t < from->n_transport; t++) {
			to->transport[t].proto = (uint8_t)from->transport[t].protocol;
			to->transport[t].port_lo = from->transport[t].ports.start_port;
			to->transport[t].port_hi = from->transport[t].ports.end_port;
			to->transports++;
		}
		svr_plan_frag_add(&to->frag, SVR_TLV_SERVICE, to->name);
		svr_plan_frag_add(&to->frag, SVR_TLV_POLICY, mk->v->policies[from->policy].name);
	}
	return 0;
}

/* ---- prefixes ------------------------------------------------------------------------------- */

/* One prefix of one service. */
struct claim {
	const struct svr_cfg_prefix *prefix;
	unsigned int service; /* index in the view */
};

/*
 * Family by family, wider prefixes before the narrower ones that they hold, then the order of the
 * configuration.
 */
static int by_prefix(const void *va, const void *vb)
{
	const struct claim *a = va, *b = vb;
	const struct svr_cfg_addr *x = &a->prefix->addr, *y = &b->prefix->addr;
	int cmp = (int)x->family - (int)y->family;

	if (!cmp)
		cmp = memcmp(x->bytes, y->bytes, sizeof(x->bytes));
	if (!cmp)
		cmp = (int)a->prefix->len - (int)b->prefix->len;
	return cmp ? cmp : (a->service > b->service) - (a->service < b->service);
}

static bool holds(const struct claim *wide, const struct claim *narrow)
{
	return wide->prefix->len <= narrow->prefix->len &&
	       svr_config_prefix_has(wide->prefix, &narrow->prefix->addr);
}

static bool same_prefix(const struct claim *a, const struct claim *b)
{
	return a->prefix->len == b->prefix->len && holds(a, b);
}

/*
 * False if there is no room. A service that is in it with a narrower prefix stays where it is. @mark:
 * SVR_SET_WIDER for the first of a prefix, cleared once it is used.
 */
static bool set_add(struct svr_service_set *set, uint32_t id, uint16_t *mark)
{
	for (unsigned int i = 0; i < set->count; i++) {
		if ((set->id[i] & ~SVR_SET_WIDER) == id)
			return true;
	}
	if (set->count == SVR_MAX_SVC_PER_PREFIX)
		return false;
	set->id[set->count++] = (uint16_t)(id | *mark);
	*mark = 0;
	return true;
}

/* @around: the @n claims that hold the prefix of the last of them, widest first. */
static int add_service_prefix(struct svr_maker *mk, const struct claim *const *around,
			      unsigned int n)
{
	const struct svr_cfg_prefix *prefix = around[n - 1]->prefix;
	struct svr_service_key key = {
		.prefixlen = SVR_PLAN_FRONT_BITS + svr_plan_bits128(prefix),
		.family = htonl(prefix->addr.family),
	};
	struct svr_service_set set = {};
	uint16_t mark = 0;
	char text[SVR_CFG_PREFIX_STRLEN];
	unsigned int first, i;

	memcpy(key.addr, prefix->addr.bytes, sizeof(key.addr));
	/* most specific first; equal ones stay in the order of the configuration */
	for (; n; n = first) {
		for (first = n - 1; first && same_prefix(around[first - 1], around[n - 1]); first--)
			;
		for (i = first; i < n; i++) {
			if (set_add(&set, mk->p->service_slot[around[i]->service], &mark))
				continue;
			return svr_cli_error(
				mk->cli, -E2BIG,
				"more than %d services compete for %s, service %s among them; give them addresses of "
				"their own",
				SVR_MAX_SVC_PER_PREFIX, svr_config_prefix_print(prefix, text),
				mk->v->services[around[i]->service].cfg->name);
		}
		mark = set.count ? SVR_SET_WIDER : 0;
	}
	if (svr_keyed_add(&mk->p->service_lpm, &key, &set))
		return svr_cli_error(mk->cli, -ENOMEM, "out of memory");
	return 0;
}

static struct claim *claims_list(const struct svr_router_view *v, unsigned int *n)
{
	struct claim *list;
	unsigned int i, a;

	*n = 0;
	for (i = 0; i < v->n_services; i++)
		*n += v->services[i].cfg->n_address;
	list = calloc(*n + 1, sizeof(*list));
	if (!list)
		return NULL;
	*n = 0;
	for (i = 0; i < v->n_services; i++) {
		for (a = 0; a < v->services[i].cfg->n_address; a++)
			list[(*n)++] = (struct claim){ &v->services[i].cfg->address[a], i };
	}
	qsort(list, *n, sizeof(*list), by_prefix);
	return list;
}

int svr_plan_service_lpm(struct svr_maker *mk)
{
	const struct claim **around;
	unsigned int n, depth = 0;
	struct claim *list;
	int err = 0;

	list = claims_list(mk->v, &n);
	around = calloc(n + 1, sizeof(*around));
	if (!list || !around)
		err = svr_cli_error(mk->cli, -ENOMEM, "out of memory");
	for (unsigned int i = 0; i < n && !err; i++) {
		while (depth && !holds(around[depth - 1], &list[i]))
			depth--;
		around[depth++] = &list[i];
		/* The last one of a prefix sees all of them */
		if (i + 1 == n || !same_prefix(&list[i], &list[i + 1]))
			err = add_service_prefix(mk, around, depth);
	}
	free(around);
	free(list);
	if (err)
		return err;
	svr_keyed_seal(&mk->p->service_lpm);
	if (mk->p->service_lpm.n > SVR_MAX_PREFIXES)
		err = svr_cli_error(mk->cli, -E2BIG, "the services have %u prefixes, %d fit",
				    mk->p->service_lpm.n, SVR_MAX_PREFIXES);
	return err;
}

/* ---- access --------------------------------------------------------------------------------- */

int svr_plan_access(struct svr_maker *mk)
{
	for (unsigned int i = 0; i < mk->v->n_services; i++) {
		const struct svr_cfg_service *s = mk->v->services[i].cfg;

		for (unsigned int a = 0; a < s->n_access_policy; a++) {
			const struct svr_access_key key = {
				mk->p->service_slot[i],
				mk->p->tenant_slot[s->access_policy[a].tenant_index]
			};
			uint32_t allow = s->access_policy[a].permission == SVR_CFG_ALLOW;

			if (svr_keyed_add(&mk->p->access, &key, &allow))
				return svr_cli_error(mk->cli, -ENOMEM, "out of memory");
		}
	}
	svr_keyed_seal(&mk->p->access);
	if (mk->p->access.n > SVR_MAX_ACCESS)
		return svr_cli_error(mk->cli, -E2BIG, "there are %u access policies, %d fit",
				     mk->p->access.n, SVR_MAX_ACCESS);
	return 0;
}
