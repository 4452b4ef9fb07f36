// SPDX-License-Identifier: BSD-2-Clause
/* `svr show drops`: every refused packet has a reason with a name. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <svr/drops.h>

#include "cli.h"
#include "state.h"

enum { DROPS_INTERFACE, DROPS_ALL };
const struct svr_arg svr_show_drops_args[] = {
	[DROPS_INTERFACE] = { "interface", "NAME", NULL, false, false,
			      "one network-interface only" },
	[DROPS_ALL] = { "all", NULL, NULL, false, false, "reasons that did not occur, too" },
	{},
};

static const struct {
	uint32_t number;
	const char *name, *text;
} reasons[] = {
#define X(id, n, name, text) { n, name, text },
	SVR_DROP_REASONS(X)
#undef X
};

struct drops {
	struct svr_out *o;
	const struct svr_state *s;
	const uint64_t *xdp;
	uint32_t only; /* zone, 0: all */
	bool all;
};

static void print_row(const struct drops *d, unsigned int r, uint32_t zone, uint64_t xdp,
		      uint64_t worker, uint64_t keymgr)
{
	struct svr_out *o = d->o;

	if (!d->all && !xdp && !worker && !keymgr)
		return;
	svr_out_item_begin(o);
	svr_out_u64(o, "number", "No", reasons[r].number);
	svr_out_str(o, "reason", "Reason", reasons[r].name);
	svr_out_str(o, "interface", "Interface", svr_state_zone(d->s, zone));
	svr_out_u64(o, "packets", "Packets", xdp + worker + keymgr);
	svr_out_u64(o, "xdp", "XDP", xdp);
	svr_out_u64(o, "worker", "Worker", worker);
	svr_out_u64(o, "key_manager", "Key Manager", keymgr);
	svr_out_str(o, "text", "Meaning", reasons[r].text);
	svr_out_item_end(o);
}

static void print_reason(const struct drops *d, unsigned int r)
{
	const struct svr_mapset *m = &d->s->m;
	uint32_t number = reasons[r].number;
	uint64_t keymgr = d->only || number >= m->count.keymgr_drops ? 0 : m->keymgr_drops[number];

	for (uint32_t zone = d->only; zone < m->count.zones; zone++) {
		uint32_t i = zone * SVR_DROP_MAX + number;
		uint64_t worker = i < m->count.worker_drops ? m->worker_drops[i] : 0;
		/*
		 * The key manager counts for the whole router; zone 0 is what belongs to no
		 * interface
		 */
		uint64_t here = zone ? 0 : keymgr;

		if (svr_state_zone(d->s, zone) || d->xdp[i] || worker || here)
			print_row(d, r, zone, d->xdp[i], worker, here);
		if (d->only)
			break;
	}
}

int svr_show_drops_run(struct svr_cli *cli, const char *const *val)
{
	struct drops d = { .o = cli->out, .all = val[DROPS_ALL] };
	struct svr_state s;
	uint64_t *xdp;
	int err;

	err = svr_state_open(cli, &s);
	if (err)
		return err;
	if (val[DROPS_INTERFACE]) {
		d.only = svr_state_find_zone(cli, &s, val[DROPS_INTERFACE]);
		if (!d.only) {
			err = -ENOENT;
			goto out;
		}
	}
	err = svr_state_percpu(s.m.fd.drops, s.m.count.zones * SVR_DROP_MAX, 1, &xdp);
	if (err) {
		svr_cli_error(cli, err, "%s/svr_drops: %s", s.m.dir, strerror(-err));
		goto out;
	}
	d.s = &s;
	d.xdp = xdp;
	svr_out_list_begin(cli->out, NULL, SVR_OUT_TABLE, "no packet was refused");
	/* reason 0 counts nothing */
	for (unsigned int r = 1; r < sizeof(reasons) / sizeof(reasons[0]); r++)
		print_reason(&d, r);
	svr_out_list_end(cli->out);
	free(xdp);
out:
	svr_state_close(&s);
	return err;
}
