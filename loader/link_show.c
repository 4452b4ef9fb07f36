// SPDX-License-Identifier: BSD-2-Clause
/* `svr link show`: interfaces of the router and the programs on them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json_object.h>

#include <svr/stats.h>

#include "attach.h"
#include "cli.h"
#include "netdev.h"
#include "process.h"
#include "state.h"

enum { SHOW_DEV };
const struct svr_arg svr_link_show_args[] = {
	[SHOW_DEV] = { "dev", "DEV", NULL, false, true, "one device only" },
	{},
};

struct show {
	struct svr_out *o;
	const struct svr_state *s;
	const uint64_t *stats;
	struct json_object *worker; /* its answer to "status"; NULL: it does not run */
};

static const char *state_of(const struct show *sh, const struct svr_zone *z,
			    const struct svr_attached *a)
{
	uint32_t ifindex;
	bool pinned;

	if (a->ours)
		return "up";
	ifindex = svr_attach_link_ifindex(sh->s->router, z->device, &pinned, NULL);
	/* Our program is attached to a device that this network namespace does not have */
	if (ifindex)
		return "elsewhere";
	if (a->mode != SVR_ATTACH_NONE)
		return "foreign";
	return pinned ? "lost" : "down";
}

static void print_zone(const struct show *sh, uint32_t zone)
{
	static const char *const roles[] = {
		[SVR_ROLE_NONE] = "none", [SVR_ROLE_LAN] = "lan", [SVR_ROLE_WAN] = "wan"
	};
	static const unsigned int shown[] = { SVR_STAT_RX_PACKETS, SVR_STAT_FORWARDED,
					      SVR_STAT_TO_WORKER, SVR_STAT_PASSED,
					      SVR_STAT_DROPPED };
	static const char *const keys[] = { "rx_packets", "forwarded", "to_worker", "passed",
					    "dropped" };
	static const char *const titles[] = { "Rx Packets", "Forwarded", "To Worker", "Passed",
					      "Dropped" };
	const struct svr_zone *z = &sh->s->m.zones[zone];
	struct svr_attached a = {};
	struct svr_out *o = sh->o;
	char threads[SVR_PROCESS_THREADS_LEN];
	bool here, bound, zero_copy;
	struct svr_netdev d;
	int sockets;

	here = !svr_netdev_get(z->device, &d) && !svr_attach_query(sh->s->router, &d, &a);
	svr_out_item_begin(o);
	svr_out_str(o, "device", "Dev Name", z->device);
	svr_out_u64(o, "zone", "Zone", zone);
	svr_out_str(o, "interface", "Intf Name", z->name);
	svr_out_u64(o, "vlan", "VLAN", z->vlan);
	svr_out_u64(o, "outer_vlan", "Outer VLAN", z->outer_vlan);
	svr_out_str(o, "role", "Role", roles[z->role <= SVR_ROLE_WAN ? z->role : 0]);
	svr_out_str(o, "state", "State", state_of(sh, z, &a));
	svr_out_str(o, "mode", "Mode",
		    a.mode == SVR_ATTACH_NONE ? NULL : svr_attach_mode_name(a.mode));
	svr_out_u64(o, "program", "Program", a.prog_id);
	svr_out_str(o, "tag", "Tag", a.tag[0] ? a.tag : NULL);
	svr_out_str(o, "shared_with", "Shared With",
		    a.dispatcher.programs > 1 ? a.dispatcher.others : NULL);
	svr_out_u64(o, "queues", "Queues", here ? d.rx_queues : 0);
	/* XSKMAPs cannot be read */
	sockets = svr_process_sockets(sh->worker, z->name);
	if (sockets < 0)
		svr_out_str(o, "sockets", "Sockets", NULL);
	else
		svr_out_u64(o, "sockets", "Sockets", (uint64_t)sockets);
	bound = svr_process_queues(sh->worker, z->name, &zero_copy, threads, sizeof(threads));
	svr_out_str(o, "frames", "Frames", !bound ? NULL : zero_copy ? "zero copy" : "copy");
	svr_out_str(o, "threads", "Threads", bound ? threads : NULL);
	for (unsigned int i = 0; i < sizeof(shown) / sizeof(shown[0]); i++)
		svr_out_u64(o, keys[i], titles[i], sh->stats[zone * SVR_STAT_MAX + shown[i]]);
	svr_out_item_end(o);
}

int svr_link_show_run(struct svr_cli *cli, const char *const *val)
{
	struct json_object *request, *worker = NULL;
	struct svr_state s;
	uint64_t *stats;
	bool found = false;
	int err;

	err = svr_state_open(cli, &s);
	if (err)
		return err;
	err = svr_state_percpu(s.m.fd.stats, s.m.count.zones, SVR_STAT_MAX, &stats);
	if (err) {
		svr_cli_error(cli, err, "%s/svr_stats: %s", s.m.dir, strerror(-err));
		goto out;
	}
	request = svr_process_request("status");
	if (svr_process_ask(cli, s.router, "worker", request, &worker))
		worker = NULL;
	json_object_put(request);
	svr_out_list_begin(cli->out, NULL, SVR_OUT_TABLE, "no interface is configured");
	for (uint32_t zone = 1; zone < s.m.count.zones; zone++) {
		const struct show sh = { cli->out, &s, stats, worker };

		if (!svr_state_zone(&s, zone) ||
		    (val[SHOW_DEV] && strcmp(s.m.zones[zone].device, val[SHOW_DEV])))
			continue;
		print_zone(&sh, zone);
		found = true;
	}
	svr_out_list_end(cli->out);
	if (val[SHOW_DEV] && !found)
		err = svr_cli_error(cli, -ENODEV,
				    "%s is no device of router %s; see: svr --router %s link show",
				    val[SHOW_DEV], s.router, s.router);
	json_object_put(worker);
	free(stats);
out:
	svr_state_close(&s);
	return err;
}
