// SPDX-License-Identifier: BSD-2-Clause
/* `svr show paths` and `svr show nexthops`: what XDP looks at per packet. */
#include <errno.h>
#include <string.h>

#include "cli.h"
#include "show_paths.h"
#include "state.h"

static const char *const bfd_states[] = { "AdminDown", "Down", "Init", "Up" }; /* RFC 5880 4.1 */

const char *svr_path_status_name(uint32_t status)
{
	static const char *const names[] = {
		[SVR_PATH_UNUSED] = "unused",
		[SVR_PATH_DOWN] = "down",
		[SVR_PATH_INIT] = "initializing",
		[SVR_PATH_UP] = "up",
		[SVR_PATH_STANDBY] = "standby",
	};

	return status <= SVR_PATH_STANDBY ? names[status] : "unknown";
}

static void print_path(struct svr_out *o, const struct svr_state *s, uint32_t i)
{
	const struct svr_path_state *state = &s->m.path_state[i];
	char addr[SVR_STATE_ADDR_LEN], age[SVR_STATE_AGE_LEN];
	const struct svr_path *p = &s->m.paths[i];
	uint64_t since_ns =
		state->since_ns && s->real_ns > state->since_ns ? s->real_ns - state->since_ns : 0;

	svr_out_item_begin(o);
	svr_out_u64(o, "path", "No", i);
	svr_out_str(o, "name", "Peer Path", p->name);
	svr_out_str(o, "peer", "Peer", svr_state_peer(s, p->peer));
	svr_out_str(o, "interface", "Intf Name", svr_state_zone(s, p->zone));
	svr_out_str(o, "local", "Local", svr_state_addr(p->local, addr));
	svr_out_fmt(o, "local_ports", "Local Ports", "%u-%u", p->local_lo, p->local_hi);
	svr_out_str(o, "remote", "Remote", svr_state_addr(p->remote, addr));
	svr_out_fmt(o, "remote_ports", "Remote Ports", "%u-%u", p->remote_lo, p->remote_hi);
	svr_out_str(o, "status", "Status", svr_path_status_name(state->status));
	svr_out_str(o, "bfd_state", "BFD",
		    state->bfd_state < 4 ? bfd_states[state->bfd_state] : "unknown");
	svr_out_u64(o, "path_mtu", "Path MTU", state->mtu);
	svr_out_bool(o, "next_hop", "Next Hop", i < s->m.count.nexthops && s->m.nexthops[i].valid);
	svr_out_u64(o, "down_count", "Downs", state->down_count);
	svr_out_u64_as(o, "since", "Since", since_ns / 1000000000, "%s",
		       svr_state_age(since_ns, age));
	svr_out_item_end(o);
}

int svr_show_paths_run(struct svr_cli *cli, const char *const *val)
{
	struct svr_state s;
	int err;

	(void)val;
	err = svr_state_open(cli, &s);
	if (err)
		return err;
	svr_out_list_begin(cli->out, NULL, SVR_OUT_TABLE, "no peer paths");
	for (uint32_t i = 1; i < s.m.count.paths && i < s.m.count.path_state; i++) {
		if (svr_state_path(&s, i))
			print_path(cli->out, &s, i);
	}
	svr_out_list_end(cli->out);
	svr_state_close(&s);
	return 0;
}

int svr_show_nexthops_run(struct svr_cli *cli, const char *const *val)
{
	char addr[SVR_STATE_ADDR_LEN], mac[SVR_STATE_MAC_LEN];
	struct svr_out *o = cli->out;
	struct svr_state s;
	int err;

	(void)val;
	err = svr_state_open(cli, &s);
	if (err)
		return err;
	svr_out_list_begin(o, NULL, SVR_OUT_TABLE, "no next hops");
	for (uint32_t i = 1; i < s.m.count.nexthops; i++) {
		const struct svr_nexthop *n = &s.m.nexthops[i];

		if (!n->zone && !n->valid)
			continue;
		svr_out_item_begin(o);
		svr_out_u64(o, "next_hop", "No", i);
		svr_out_str(o, "of", "Of", i < SVR_MAX_PATHS ? "path" : "neighbour");
		svr_out_str(o, "path", "Peer Path",
			    i < SVR_MAX_PATHS ? svr_state_path(&s, i) : NULL);
		svr_out_str(o, "interface", "Intf Name", svr_state_zone(&s, n->zone));
		svr_out_str(o, "address", "Address", svr_state_addr(n->addr, addr));
		svr_out_str(o, "mac", "MAC", n->valid ? svr_state_mac(n->dmac, mac) : NULL);
		svr_out_str(o, "source_mac", "Source MAC",
			    n->valid ? svr_state_mac(n->smac, mac) : NULL);
		svr_out_bool(o, "valid", "Valid", n->valid);
		svr_out_item_end(o);
	}
	svr_out_list_end(o);
	svr_state_close(&s);
	return 0;
}
