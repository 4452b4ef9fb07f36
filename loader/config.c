// SPDX-License-Identifier: BSD-2-Clause
/* `svr config`: check, show, apply. */
#include <errno.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/config.h"
#include "sys/mapset.h"

#include "apply.h"
#include "cli.h"
#include "pins.h"
#include "renew.h"
#include "view.h"

enum { CHECK_FILE };
const struct svr_arg svr_config_check_args[] = {
	[CHECK_FILE] = { NULL, "FILE", NULL, false, false, "instead of --config" },
	{},
};

enum { SHOW_ROUTER };
const struct svr_arg svr_config_show_args[] = {
	[SHOW_ROUTER] = { NULL, "ROUTER", NULL, false, false, "instead of --router" },
	{},
};

/* ---- check ---------------------------------------------------------------------------------- */

static void print_problem(struct svr_out *o, const char *file, const struct svr_config_error *e)
{
	char line[SVR_CFG_POINTER_LEN + SVR_CFG_REASON_LEN + SVR_CFG_FOUND_LEN + 64];

	svr_config_error_print(e, line, sizeof(line));
	svr_out_note(o, "%s:%s", file, line);
	if (!svr_out_is_json(o))
		return;
	svr_out_item_begin(o);
	svr_out_str(o, "severity", NULL, e->severity == SVR_CONFIG_ERROR ? "error" : "warning");
	svr_out_u64(o, "line", NULL, e->line);
	svr_out_u64(o, "column", NULL, e->column);
	svr_out_str(o, "pointer", NULL, e->pointer);
	svr_out_str(o, "reason", NULL, e->reason);
	svr_out_str(o, "found", NULL, *e->found ? e->found : NULL);
	svr_out_item_end(o);
}

static void print_problems(struct svr_out *o, const char *file,
			   const struct svr_config_errors *errs)
{
	svr_out_record_begin(o, NULL, NULL);
	svr_out_str(o, "file", NULL, file);
	svr_out_bool(o, "valid", NULL, !errs->n_errors);
	svr_out_u64(o, "errors", NULL, errs->n_errors);
	svr_out_u64(o, "warnings", NULL, errs->n_warnings);
	svr_out_list_begin(o, "problems", SVR_OUT_BLOCKS, NULL);
	for (unsigned int i = 0; i < errs->n; i++)
		print_problem(o, file, &errs->list[i]);
	svr_out_list_end(o);
	if (errs->n < errs->n_errors + errs->n_warnings)
		svr_out_note(o, "%s: and %u more", file,
			     errs->n_errors + errs->n_warnings - errs->n);
	if (errs->n_errors)
		svr_out_note(o, "%s: %u %s", file, errs->n_errors,
			     errs->n_errors == 1 ? "error" : "errors");
	else
		svr_out_note(o, "%s: valid", file);
	svr_out_record_end(o);
}

int svr_config_check_run(struct svr_cli *cli, const char *const *val)
{
	const char *file = val[CHECK_FILE] ? val[CHECK_FILE] : cli->config;
	struct svr_config_errors *errs = calloc(1, sizeof(*errs));
	struct svr_config *cfg = NULL;
	int err;

	if (!errs)
		return svr_cli_error(cli, -ENOMEM, "out of memory");
	err = svr_config_load(file, &cfg, errs);
	if (err && err != -EINVAL) {
		svr_cli_error(cli, err, "%s: cannot read the configuration: %s", file,
			      strerror(-err));
	} else {
		print_problems(cli->out, file, errs);
		err = err ? SVR_EXIT_FAILED : SVR_EXIT_OK;
	}
	svr_config_free(cfg);
	free(errs);
	return err;
}

/* ---- show ----------------------------------------------------------------------------------- */

static void show_zones(struct svr_out *o, const struct svr_router_view *v)
{
	char addr[SVR_CFG_ADDR_STRLEN];

	svr_out_note(o, "\nInterfaces");
	svr_out_list_begin(o, "interfaces", SVR_OUT_TABLE, "none");
	for (unsigned int i = 0; i < v->n_zones; i++) {
		const struct svr_view_zone *z = &v->zones[i];

		svr_out_item_begin(o);
		svr_out_str(o, "device", "Dev Name", z->device);
		svr_out_str(o, "interface", "Intf Name", z->interface);
		svr_out_str(o, "node", "Node", z->node);
		svr_out_u64(o, "vlan", "VLAN", z->vlan);
		svr_out_u64(o, "outer_vlan", "Outer VLAN", z->outer_vlan);
		svr_out_str(o, "role", "Role", svr_config_role_name(z->role));
		svr_out_str(o, "tenant", "Tenant",
			    z->tenant < 0 ? NULL : v->tenants[z->tenant].name);
		svr_out_inline_begin(o, "addresses", "Addresses");
		for (unsigned int a = 0; a < z->n_address; a++)
			svr_out_fmt(o, NULL, NULL, "%s/%u",
				    svr_config_addr_print(&z->address[a].ip_address, addr),
				    z->address[a].prefix_length);
		svr_out_list_end(o);
		svr_out_u64(o, "mtu", "MTU", z->mtu);
		svr_out_item_end(o);
	}
	svr_out_list_end(o);
}

static void show_paths(struct svr_out *o, const struct svr_router_view *v)
{
	char addr[SVR_CFG_ADDR_STRLEN];

	svr_out_note(o, "\nPeer paths");
	svr_out_list_begin(o, "paths", SVR_OUT_TABLE, "none");
	for (unsigned int i = 0; i < v->n_paths; i++) {
		const struct svr_view_path *p = &v->paths[i];

		svr_out_item_begin(o);
		svr_out_str(o, "name", "Peer Path", p->name);
		svr_out_str(o, "peer", "Peer", v->peers[p->peer].name);
		svr_out_str(o, "common_name", "Common Name", v->peers[p->peer].peering_common_name);
		svr_out_str(o, "interface", "Intf Name", v->zones[p->zone].interface);
		svr_out_str(o, "local", "Local", svr_config_addr_print(&p->local_address, addr));
		svr_out_str(o, "remote", "Remote", svr_config_addr_print(&p->remote_address, addr));
		svr_out_str(o, "gateway", "Gateway",
			    p->gateway.family ? svr_config_addr_print(&p->gateway, addr) : NULL);
		svr_out_fmt(o, "local_ports", "Local Ports", "%u-%u", p->local_ports.start_port,
			    p->local_ports.end_port);
		svr_out_fmt(o, "remote_ports", "Remote Ports", "%u-%u", p->remote_ports.start_port,
			    p->remote_ports.end_port);
		svr_out_item_end(o);
	}
	svr_out_list_end(o);
}

static void show_route(struct svr_out *o, const struct svr_router_view *v,
		       const struct svr_view_service *s)
{
	char addr[SVR_CFG_ADDR_STRLEN];
	const struct svr_view_route *r = s->route < 0 ? NULL : &v->routes[s->route];

	if (!r)
		svr_out_str(o, "route", "Route", NULL);
	else if (r->kind == SVR_VIEW_ROUTE_PEER)
		svr_out_fmt(o, "route", "Route", "peer %s", v->peers[r->peer].name);
	else if (r->gateway.family)
		svr_out_fmt(o, "route", "Route", "%s via %s", v->zones[r->zone].interface,
			    svr_config_addr_print(&r->gateway, addr));
	else
		svr_out_fmt(o, "route", "Route", "%s", v->zones[r->zone].interface);
}

static void show_services(struct svr_out *o, const struct svr_router_view *v)
{
	char prefix[SVR_CFG_PREFIX_STRLEN];

	svr_out_note(o, "\nServices");
	svr_out_list_begin(o, "services", SVR_OUT_TABLE, "none");
	for (unsigned int i = 0; i < v->n_services; i++) {
		const struct svr_view_service *s = &v->services[i];

		svr_out_item_begin(o);
		svr_out_str(o, "service", "Service", s->cfg->name);
		svr_out_inline_begin(o, "prefixes", "Prefixes");
		for (unsigned int a = 0; a < s->cfg->n_address; a++)
			svr_out_str(o, NULL, NULL,
				    svr_config_prefix_print(&s->cfg->address[a], prefix));
		svr_out_list_end(o);
		svr_out_inline_begin(o, "transport", "Transport");
		if (s->any_transport)
			svr_out_str(o, NULL, NULL, "any");
		for (unsigned int t = 0; !s->any_transport && t < s->n_transport; t++)
			svr_out_fmt(o, NULL, NULL, "%s/%u-%u",
				    svr_config_protocol_name(s->transport[t].protocol),
				    s->transport[t].ports.start_port,
				    s->transport[t].ports.end_port);
		svr_out_list_end(o);
		svr_out_inline_begin(o, "tenants_allowed", "Tenants Allowed");
		for (unsigned int a = 0; a < s->cfg->n_access_policy; a++) {
			if (s->cfg->access_policy[a].permission == SVR_CFG_ALLOW)
				svr_out_str(o, NULL, NULL, s->cfg->access_policy[a].source);
		}
		svr_out_list_end(o);
		svr_out_str(o, "security_policy", "Security Policy", v->policies[s->policy].name);
		show_route(o, v, s);
		svr_out_item_end(o);
	}
	svr_out_list_end(o);
}

static void show_policies(struct svr_out *o, const struct svr_router_view *v)
{
	svr_out_note(o, "\nSecurity policies");
	svr_out_list_begin(o, "security_policies", SVR_OUT_TABLE, "none");
	for (unsigned int i = 0; i < v->n_policies; i++) {
		const struct svr_cfg_policy *p = &v->policies[i];
		bool hmac = p->hmac_mode != SVR_CFG_HMAC_DISABLED;

		svr_out_item_begin(o);
		svr_out_str(o, "security_policy", "Security Policy", p->name);
		svr_out_bool(o, "encrypt", "Encrypt", p->encrypt);
		svr_out_str(o, "encryption_cipher", "Cipher",
			    p->encrypt ? svr_config_encryption_cipher_name(p->encryption_cipher) :
					 NULL);
		svr_out_str(o, "hmac_mode", "HMAC Mode", svr_config_hmac_mode_name(p->hmac_mode));
		svr_out_str(o, "hmac_cipher", "HMAC",
			    hmac ? svr_config_hmac_cipher_name(p->hmac_cipher) : NULL);
		svr_out_item_end(o);
	}
	svr_out_list_end(o);
}

int svr_config_show_run(struct svr_cli *cli, const char *const *val)
{
	struct svr_out *o = cli->out;
	struct svr_view view;
	const char *router;
	int err;

	if (val[SHOW_ROUTER])
		cli->router = val[SHOW_ROUTER];
	err = svr_cli_router(cli, &router);
	if (!err)
		err = svr_view_load(cli, router, &view);
	if (err)
		return err;
	svr_out_record_begin(o, NULL, NULL);
	svr_out_str(o, "router", "Router", router);
	svr_out_str(o, "common_name", "Common Name", view.router->router->peering_common_name);
	svr_out_str(o, "authority", "Authority", view.cfg->name);
	svr_out_bool(o, "enhanced_security_key_management", "Enhanced Key Management",
		     view.router->enhanced_security_key_management);
	show_zones(o, view.router);
	show_paths(o, view.router);
	show_services(o, view.router);
	show_policies(o, view.router);
	svr_out_record_end(o);
	svr_view_free(&view);
	return 0;
}

/* ---- apply ---------------------------------------------------------------------------------- */

int svr_config_apply_run(struct svr_cli *cli, const char *const *val)
{
	struct svr_renewals renewals = {};
	struct svr_plan *plan = NULL;
	char reason[SVR_CLI_ERROR_LEN];
	struct svr_mapset m;
	struct svr_view view;
	const char *router;
	int lock = -1, err;

	(void)val;
	err = svr_cli_router(cli, &router);
	if (!err)
		err = svr_view_load(cli, router, &view);
	if (err)
		return err;
	err = svr_pins_lock(cli, router, &lock);
	if (err)
		goto out_view;
	err = svr_mapset_open(router, SVR_WRITER_SVR, &m, reason, sizeof(reason));
	if (err) {
		svr_cli_error(cli, err, "router %s: %.900s", router, reason);
		goto out_lock;
	}
	err = svr_plan_make(cli, &m, view.router, &plan);
	if (!err)
		err = svr_renew_load(cli, router, view.router, plan, NULL, &renewals);
	if (!err)
		err = svr_plan_write(cli, &m, plan);
	if (!err)
		err = svr_apply_txports(cli, router, &m, NULL);
	if (!err)
		err = svr_renew_attach(cli, router, &renewals);
	if (err)
		goto out_maps;
	svr_out_record_begin(cli->out, NULL, NULL);
	svr_out_str(cli->out, "router", NULL, router);
	svr_out_str(cli->out, "file", NULL, cli->config);
	svr_out_u64(cli->out, "generation", NULL, m.router->generation);
	svr_out_note(cli->out, "router %s: %s applied, generation %u", router, cli->config,
		     m.router->generation);
	svr_renew_print(cli, &renewals);
	svr_out_record_end(cli->out);
out_maps:
	svr_renew_free(&renewals);
	svr_plan_free(plan);
	svr_mapset_close(&m);
out_lock:
	close(lock);
out_view:
	svr_view_free(&view);
	return err;
}
