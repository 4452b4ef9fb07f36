// SPDX-License-Identifier: BSD-2-Clause
/* `svr show stats`: counters of each interface. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <svr/stats.h>

#include "cli.h"
#include "state.h"

static const char *const what_words[] = { "peers", "security", NULL };

enum { STATS_WHAT, STATS_INTERFACE, STATS_METRIC, STATS_METRIC_WORDS = 4 };
const struct svr_arg svr_show_stats_args[] = {
	[STATS_WHAT] = { NULL, "WHAT", what_words, false, false,
			 "peers: packets, link quality and failures of each path; security: certificates and revocation lists" },
	[STATS_INTERFACE] = { "interface", "NAME", NULL, false, false,
			      "one network-interface only" },
	[STATS_METRIC] = { NULL, "METRIC", NULL, false, false,
			   "with security: words that the counter begins with, such as crl fetch" },
	{ NULL, "METRIC", NULL, false, false, NULL },
	{ NULL, "METRIC", NULL, false, false, NULL },
	{ NULL, "METRIC", NULL, false, false, NULL },
	{},
};

static const struct {
	uint32_t number;
	const char *name, *text;
} stats[] = {
#define X(id, n, name, text) { n, name, text },
	SVR_STATS(X)
#undef X
};

static void print_zone(struct svr_out *o, const struct svr_state *s, uint32_t zone,
		       const uint64_t *xdp)
{
	for (unsigned int k = 0; k < sizeof(stats) / sizeof(stats[0]); k++) {
		uint32_t i = zone * SVR_STAT_MAX + stats[k].number;
		uint64_t worker = i < s->m.count.worker_stats ? s->m.worker_stats[i] : 0;

		svr_out_item_begin(o);
		svr_out_str(o, "interface", "Interface", svr_state_zone(s, zone));
		svr_out_str(o, "metric", "Metric", stats[k].name);
		svr_out_u64(o, "value", "Value", xdp[i] + worker);
		svr_out_u64(o, "xdp", "XDP", xdp[i]);
		svr_out_u64(o, "worker", "Worker", worker);
		svr_out_str(o, "text", "Meaning", stats[k].text);
		svr_out_item_end(o);
	}
}

/* Counters of certificates, which are the key manager's. */
static int show_security(struct svr_cli *cli, const char *const *val)
{
	unsigned int n = 0;

	while (n < STATS_METRIC_WORDS && val[STATS_METRIC + n])
		n++;
	if (val[STATS_INTERFACE])
		return svr_cli_usage(cli, "svr show stats security: has nothing to do with interfaces");
	return svr_show_security_stats(cli, val + STATS_METRIC, n);
}

int svr_show_stats_run(struct svr_cli *cli, const char *const *val)
{
	struct svr_state s;
	uint32_t only = 0;
	uint64_t *xdp;
	int err;

	if (val[STATS_WHAT] && !strcmp(val[STATS_WHAT], "peers")) {
		if (val[STATS_INTERFACE] || val[STATS_METRIC])
			return svr_cli_usage(cli, "svr show stats peers: takes no further argument");
		return svr_show_peer_stats(cli);
	}
	if (val[STATS_WHAT])
		return show_security(cli, val);
	if (val[STATS_METRIC])
		return svr_cli_usage(cli, "svr show stats: unknown argument \"%s\"; allowed: peers, security, interface",
				     val[STATS_METRIC]);
	err = svr_state_open(cli, &s);
	if (err)
		return err;
	if (val[STATS_INTERFACE]) {
		only = svr_state_find_zone(cli, &s, val[STATS_INTERFACE]);
		if (!only) {
			err = -ENOENT;
			goto out;
		}
	}
	err = svr_state_percpu(s.m.fd.stats, s.m.count.zones, SVR_STAT_MAX, &xdp);
	if (err) {
		svr_cli_error(cli, err, "%s/svr_stats: %s", s.m.dir, strerror(-err));
		goto out;
	}
	svr_out_list_begin(cli->out, NULL, SVR_OUT_TABLE, "no interface is configured");
	for (uint32_t zone = 1; zone < s.m.count.zones; zone++) {
		if (svr_state_zone(&s, zone) && (!only || zone == only))
			print_zone(cli->out, &s, zone, xdp);
	}
	svr_out_list_end(cli->out);
	free(xdp);
out:
	svr_state_close(&s);
	return err;
}
