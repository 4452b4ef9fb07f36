// SPDX-License-Identifier: BSD-2-Clause
/* `svr link set` and `svr link clean`: programs on interfaces. */
#include <errno.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <json-c/json_object.h>

#include "lib/config.h"
#include "sys/ctl.h"
#include "sys/mapset.h"

#include "apply.h"
#include "attach.h"
#include "checks.h"
#include "cli.h"
#include "image.h"
#include "netdev.h"
#include "pins.h"
#include "process.h"
#include "renew.h"
#include "view.h"

static const char *const state_words[] = { "up", "down", NULL };
static const char *const mode_words[] = { "native", "skb", "offload", NULL };

enum {
	SET_DEV,
	SET_STATE,
	SET_MODE,
	SET_FORCE,
	SET_DISPATCHER,
	SET_FLOWS4,
	SET_FLOWS6,
	SET_SESSIONS,
	SET_PEER_KEYS
};
const struct svr_arg svr_link_set_args[] = {
	[SET_DEV] = { "dev", "DEV", NULL, true, true, "device-interface of the configuration" },
	[SET_STATE] = { NULL, "STATE", state_words, true, false,
			"up: load, configure, attach, or replace our own program; down: detach" },
	[SET_MODE] = { "mode", "MODE", mode_words, false, false,
		       "native: in the driver; skb: in the kernel, for every device, slower; offload: on the NIC" },
	[SET_FORCE] = { "force", NULL, NULL, false, false, "take away a program that is not ours" },
	[SET_DISPATCHER] = { "dispatcher", NULL, NULL, false, false,
			     "share the device through libxdp's dispatcher, also where none is yet" },
	[SET_FLOWS4] = { "flows4", "N", NULL, false, false,
			 "size of the table of IPv4 flows, two per session; before it is made" },
	[SET_FLOWS6] = { "flows6", "N", NULL, false, false, "the same for IPv6" },
	[SET_SESSIONS] = { "sessions", "N", NULL, false, false,
			   "room for so many sessions that sign or encrypt; the same" },
	[SET_PEER_KEYS] = { "peer-keys", "N", NULL, false, false,
			    "peer keys that these sessions may have begun under, of all peers; the same" },
	{},
};

/* ---- up ------------------------------------------------------------------------------------- */

struct up {
	struct svr_cli *cli;
	const char *router, *device;
	struct svr_attach_how how;
	struct svr_image_sizes sizes;
	struct svr_netdev dev;
	struct svr_view view;
	struct svr_mapset maps;
	struct svr_plan *plan;
	struct svr_image image;
	struct svr_renewals others; /* the configuration may have changed for them, too */
	enum svr_zone_role role;
	int zone_index; /* any network interface of the device, for its role */
	bool fresh, opened, replaced;
	bool dispatched; /* libxdp loads the program */
};

static int find_zone(struct up *u)
{
	const struct svr_router_view *v = u->view.router;
	char names[256] = "";
	size_t have = 0;

	u->zone_index = svr_view_find_zone(v, u->device, -1);
	if (u->zone_index < 0) {
		for (unsigned int i = 0; i < v->n_zones && have < sizeof(names); i++)
			have += (size_t)snprintf(names + have, sizeof(names) - have, "%s%s",
						 i ? ", " : "", v->zones[i].device);
		return svr_cli_error(u->cli, -ENODEV,
				     "%s is no device-interface of router %s in %s; it has: %s",
				     u->device, u->router, u->cli->config, names);
	}
	/* All of a device have the same one, or the configuration would have been refused */
	u->role = v->zones[u->zone_index].role == SVR_CFG_ROLE_WAN ? SVR_ROLE_WAN : SVR_ROLE_LAN;
	return 0;
}

/* Cheap refusals, before anything is made. */
static int up_check(struct up *u)
{
	struct svr_attached a;
	int err;

	err = svr_view_load(u->cli, u->router, &u->view);
	if (err)
		return err;
	err = find_zone(u);
	if (err)
		return err;
	/* The verifier: "offload device mismatch between prog and map" */
	if (u->how.mode == SVR_ATTACH_OFFLOADED)
		return svr_cli_error(
			u->cli, -EOPNOTSUPP,
			"%s: not possible in mode offload: a program on a NIC may use only maps on that NIC, and svr's are "
			"shared with its other interfaces and with svr-worker; use: svr link set dev %s up mode native",
			u->device, u->device);
	err = svr_netdev_get(u->device, &u->dev);
	if (err == -ENODEV)
		return svr_cli_error(u->cli, err,
				     "%s: no such device in this network namespace; see: ip link",
				     u->device);
	if (err)
		return svr_cli_error(u->cli, err, "%s: cannot ask the kernel for it: %s", u->device,
				     strerror(-err));
	if (!u->dev.ethernet)
		return svr_cli_error(u->cli, -EINVAL, "%s is no Ethernet device", u->device);
	err = svr_attach_query(u->router, &u->dev, &a);
	if (err)
		return svr_cli_error(u->cli, err, "%s: cannot ask for its XDP program: %s",
				     u->device, strerror(-err));
	u->dispatched = svr_attach_dispatched(&a, &u->how);
	return svr_attach_check_foreign(u->cli, &u->dev, &a, u->how.force);
}

static int up_load(struct up *u)
{
	char reason[SVR_CLI_ERROR_LEN];
	int err, untagged;

	err = svr_pins_prepare(u->cli, u->router);
	if (err)
		return err;
	err = svr_image_make_maps(u->cli, u->router, &u->sizes, &u->fresh);
	if (err)
		return err;
	err = svr_mapset_open(u->router, SVR_WRITER_SVR, &u->maps, reason, sizeof(reason));
	if (err)
		return svr_cli_error(u->cli, err, "%s", reason);
	u->opened = true;
	err = svr_plan_make(u->cli, &u->maps, u->view.router, &u->plan);
	if (err)
		return err;
	untagged = svr_view_find_zone(u->view.router, u->device, 0);
	err = svr_image_open(u->cli, u->router, u->role,
			     untagged < 0 ? 0 : svr_plan_zone(u->plan, (unsigned int)untagged),
			     &u->image);
	if (!err && !u->dispatched)
		err = svr_image_load(u->cli, &u->image);
	if (!err)
		err = svr_renew_load(u->cli, u->router, u->view.router, u->plan, u->device,
				     &u->others);
	return err;
}

static int up_attach(struct up *u)
{
	int err;

	err = svr_plan_write(u->cli, &u->maps, u->plan);
	if (!err)
		err = svr_apply_txports(u->cli, u->router, &u->maps, u->device);
	if (err)
		return err;
	err = svr_renew_attach(u->cli, u->router, &u->others);
	if (!err)
		err = svr_attach_up(u->cli, u->router, &u->dev, &u->image, &u->how, &u->replaced);
	/* A device without our program must not be a way out: its answers would go round us */
	if (err)
		svr_apply_txports(u->cli, u->router, &u->maps, NULL);
	return err;
}

static void print_warnings(struct up *u)
{
	struct svr_out *o = u->cli->out;
	struct svr_checks checks = {};
	bool tagged = false;

	for (unsigned int i = 0; i < u->view.router->n_zones; i++)
		tagged = tagged || (u->view.router->zones[i].vlan &&
				    !strcmp(u->view.router->zones[i].device, u->device));
	/* Some are only true with the program in place */
	svr_netdev_get(u->device, &u->dev);
	svr_check_device(&checks, &u->dev, tagged);
	svr_out_list_begin(o, "warnings", SVR_OUT_BLOCKS, NULL);
	for (unsigned int i = 0; i < checks.n; i++) {
		const struct svr_check *k = &checks.list[i];

		if (k->status == SVR_CHECK_OK)
			continue;
		if (!svr_out_is_json(o)) {
			svr_cli_warn("%s: %s%s%s", u->device, k->text, *k->fix ? "; run: " : "",
				     k->fix);
			continue;
		}
		svr_out_item_begin(o);
		svr_out_str(o, "check", NULL, k->name);
		svr_out_str(o, "text", NULL, k->text);
		svr_out_str(o, "fix", NULL, *k->fix ? k->fix : NULL);
		svr_out_item_end(o);
	}
	svr_out_list_end(o);
	svr_checks_free(&checks);
}

static void print_up(struct up *u)
{
	const struct svr_view_zone *z = &u->view.router->zones[u->zone_index];
	struct svr_out *o = u->cli->out;
	struct svr_attached a = {};

	svr_attach_query(u->router, &u->dev, &a);
	svr_out_record_begin(o, NULL, NULL);
	svr_out_str(o, "router", NULL, u->router);
	svr_out_str(o, "device", NULL, u->device);
	svr_out_str(o, "interface", NULL, z->interface);
	svr_out_str(o, "role", NULL, svr_config_role_name(z->role));
	svr_out_str(o, "mode", NULL, svr_attach_mode_name(a.mode));
	svr_out_u64(o, "program", NULL, a.prog_id);
	svr_out_bool(o, "replaced", NULL, u->replaced);
	svr_out_u64(o, "generation", NULL, u->maps.router->generation);
	svr_out_note(o, "%s: %s (%s), mode %s, program %u%s", u->device, z->interface,
		     svr_config_role_name(z->role), svr_attach_mode_name(a.mode), a.prog_id,
		     u->replaced ? ", replaced in place" : "");
	svr_renew_print(u->cli, &u->others);
	print_warnings(u);
	svr_out_record_end(o);
}

static int link_up(struct svr_cli *cli, const char *router, const char *device,
		   const struct svr_attach_how *how, const struct svr_image_sizes *sizes)
{
	struct up *u = calloc(1, sizeof(*u));
	int lock = -1, err;

	if (!u)
		return svr_cli_error(cli, -ENOMEM, "out of memory");
	*u = (struct up){
		.cli = cli, .router = router, .device = device, .how = *how, .sizes = *sizes,
	};
	err = up_check(u);
	if (!err)
		err = svr_pins_lock(cli, router, &lock);
	if (!err)
		err = up_load(u);
	if (!err)
		err = up_attach(u);
	if (!err)
		print_up(u);
	svr_plan_free(u->plan);
	svr_image_close(&u->image);
	svr_renew_free(&u->others);
	if (u->opened)
		svr_mapset_close(&u->maps);
	/* Only what this very call has made: a first attempt that failed leaves nothing behind */
	if (err && u->fresh)
		svr_pins_remove(router);
	if (lock >= 0)
		close(lock);
	svr_view_free(&u->view);
	free(u);
	return err;
}

/* ---- down ----------------------------------------------------------------------------------- */

static bool device_known(const struct svr_mapset *m, const char *device)
{
	for (uint32_t i = 1; i < m->count.zones; i++) {
		if (m->zones[i].name[0] && !strcmp(m->zones[i].device, device))
			return true;
	}
	return false;
}

static int link_down(struct svr_cli *cli, const char *router, const char *device)
{
	char reason[SVR_CLI_ERROR_LEN];
	struct svr_mapset m;
	int lock, err, was;
	bool pinned, opened;

	err = svr_pins_lock(cli, router, &lock);
	if (err)
		return err;
	opened = !svr_mapset_open(router, SVR_WRITER_SVR, &m, reason, sizeof(reason));
	svr_attach_link_ifindex(router, device, &pinned, NULL);
	if (!pinned && !opened) {
		err = svr_cli_error(cli, -ENOENT, "router %s is not running: %s", router, reason);
		goto out;
	}
	if (!pinned && !device_known(&m, device)) {
		err = svr_cli_error(cli, -ENODEV,
				    "%s is no device of router %s; see: svr --router %s link show",
				    device, router, router);
		goto out;
	}
	was = svr_attach_down(cli, router, device);
	if (was < 0) {
		err = was;
		goto out;
	}
	if (opened)
		err = svr_apply_txports(cli, router, &m, NULL);
	svr_out_record_begin(cli->out, NULL, NULL);
	svr_out_str(cli->out, "router", NULL, router);
	svr_out_str(cli->out, "device", NULL, device);
	svr_out_bool(cli->out, "detached", NULL, was);
	svr_out_note(cli->out, "%s: %s; sessions stay in the maps, see: svr link clean", device,
		     was ? "detached" : "was not attached");
	svr_out_record_end(cli->out);
out:
	if (opened)
		svr_mapset_close(&m);
	close(lock);
	return err;
}

/* Sizes of tables. 0 or the exit code of a usage error. */
static int sizes_parse(struct svr_cli *cli, const char *const *val, struct svr_image_sizes *sizes)
{
	const struct {
		unsigned int arg;
		uint32_t min, max, extra; /* extra: entries that nobody can use */
		uint32_t *to;
	} rows[] = {
		{ SET_FLOWS4, 2, 1U << 24, 0, &sizes->flows4 },
		{ SET_FLOWS6, 2, 1U << 24, 0, &sizes->flows6 },
		{ SET_SESSIONS, 1, 1U << 22, 1, &sizes->sessions },
		{ SET_PEER_KEYS, 1, UINT16_MAX, 1, &sizes->peer_keys },
	};

	for (unsigned int i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *text = val[rows[i].arg];
		unsigned long long n;
		char *end;

		if (!text)
			continue;
		n = strtoull(text, &end, 10);
		if (*text < '0' || *text > '9' || *end || n < rows[i].min || n > rows[i].max)
			return svr_cli_usage(cli, "svr link set: %s is a number from %u to %u",
					     svr_link_set_args[rows[i].arg].name, rows[i].min,
					     rows[i].max);
		*rows[i].to = (uint32_t)n + rows[i].extra;
	}
	return 0;
}

int svr_link_set_run(struct svr_cli *cli, const char *const *val)
{
	static const enum svr_attach_mode modes[] = { SVR_ATTACH_NATIVE, SVR_ATTACH_SKB,
						      SVR_ATTACH_OFFLOADED };
	struct svr_attach_how how = { .mode = SVR_ATTACH_NONE };
	bool up = !strcmp(val[SET_STATE], "up");
	struct svr_image_sizes sizes = {};
	const char *router;
	int err;

	err = svr_cli_router(cli, &router);
	if (err)
		return err;
	for (unsigned int i = SET_MODE; !up && svr_link_set_args[i].help; i++)
		if (val[i])
			return svr_cli_usage(cli, "svr link set: %s means nothing with down",
					     svr_link_set_args[i].name);
	err = sizes_parse(cli, val, &sizes);
	if (err)
		return err;
	for (unsigned int i = 0; val[SET_MODE] && mode_words[i]; i++) {
		if (!strcmp(val[SET_MODE], mode_words[i]))
			how.mode = modes[i];
	}
	how.force = val[SET_FORCE] != NULL;
	how.dispatcher = val[SET_DISPATCHER] != NULL;
	return up ? link_up(cli, router, val[SET_DEV], &how, &sizes) :
		    link_down(cli, router, val[SET_DEV]);
}

/* ---- clean ---------------------------------------------------------------------------------- */

struct clean {
	struct svr_cli *cli;
	const char *router;
	unsigned int links;
};

static int clean_link(const char *device, void *user)
{
	struct clean *c = user;
	int was = svr_attach_down(c->cli, c->router, device);

	if (was < 0)
		return was;
	c->links++;
	return 0;
}

int svr_link_clean_run(struct svr_cli *cli, const char *const *val)
{
	static const char *const processes[] = { "worker", "keymgr" };
	struct clean c = { .cli = cli };
	int lock, maps, err;

	(void)val;
	err = svr_cli_router(cli, &c.router);
	if (err)
		return err;
	err = svr_pins_lock(cli, c.router, &lock);
	if (err)
		return err;
	for (unsigned int i = 0; i < sizeof(processes) / sizeof(processes[0]); i++) {
		if (!svr_process_runs(c.router, processes[i]))
			continue;
		close(lock);
		return svr_cli_error(
			cli, -EBUSY,
			"svr-%s of router %s is running and works with the maps; stop it first",
			processes[i], c.router);
	}
	err = svr_pins_each_device(c.router, clean_link, &c);
	maps = err ? err : svr_pins_remove(c.router);
	close(lock);
	if (err)
		return *cli->error ?
			       err :
			       svr_cli_error(cli, err, "cannot list the links of router %s: %s",
					     c.router, strerror(-err));
	if (maps < 0)
		return svr_cli_error(cli, maps, "cannot remove the maps of router %s: %s", c.router,
				     strerror(-maps));
	svr_out_record_begin(cli->out, NULL, NULL);
	svr_out_str(cli->out, "router", NULL, c.router);
	svr_out_u64(cli->out, "links", NULL, c.links);
	svr_out_u64(cli->out, "maps", NULL, (uint64_t)maps);
	svr_out_note(cli->out, "router %s: %u interfaces detached, %d maps removed", c.router,
		     c.links, maps);
	svr_out_record_end(cli->out);
	return 0;
}
