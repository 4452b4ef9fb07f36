// SPDX-License-Identifier: BSD-2-Clause
/* `svr show stats`: counters of each interface. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json_object.h>

#include <svr/stats.h>

#include "cli.h"
#include "process.h"
#include "state.h"

static const char *const what_words[] = { "peers", "security", "worker", NULL };

enum { STATS_WHAT, STATS_INTERFACE, STATS_METRIC, STATS_METRIC_WORDS = 4 };
const struct svr_arg svr_show_stats_args[] = {
	[STATS_WHAT] = { NULL, "WHAT", what_words, false, false,
			 "peers: packets, link quality and failures of each path; security: certificates and revocation lists; worker: its threads" },
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
		return svr_cli_usage(cli,
				     "svr show stats security: has nothing to do with interfaces");
	return svr_show_security_stats(cli, val + STATS_METRIC, n);
}

/* ---- threads of the worker ------------------------------------------------------------------- */

static uint64_t field_u64(struct json_object *row, const char *key)
{
	struct json_object *o;

	return json_object_object_get_ex(row, key, &o) ? json_object_get_uint64(o) : 0;
}

static const char *field_str(struct json_object *row, const char *key)
{
	struct json_object *o;

	return json_object_object_get_ex(row, key, &o) ? json_object_get_string(o) : NULL;
}

/* What a bucket of a histogram counts, "64-127 ns"; NULL for a plain counter. */
static const char *range_of(struct json_object *row, char *text, size_t len)
{
	const char *unit = field_str(row, "unit");

	if (!unit)
		return NULL;
	if (json_object_object_get_ex(row, "to", NULL))
		snprintf(text, len, "%llu-%llu %s", (unsigned long long)field_u64(row, "from"),
			 (unsigned long long)field_u64(row, "to"), unit);
	else
		snprintf(text, len, "from %llu %s", (unsigned long long)field_u64(row, "from"),
			 unit);
	return text;
}

static int show_worker(struct svr_cli *cli)
{
	struct json_object *rows = NULL, *request = svr_process_request("stats");
	const char *router;
	char range[64];
	int err;

	err = svr_cli_router(cli, &router);
	if (!err)
		err = svr_process_ask(cli, router, "worker", request, &rows);
	json_object_put(request);
	if (err)
		return err;
	svr_out_list_begin(cli->out, NULL, SVR_OUT_TABLE, "the worker has no thread");
	for (size_t i = 0;
	     json_object_is_type(rows, json_type_array) && i < json_object_array_length(rows);
	     i++) {
		struct json_object *row = json_object_array_get_idx(rows, i);

		svr_out_item_begin(cli->out);
		svr_out_u64(cli->out, "thread", "Thread", field_u64(row, "thread"));
		svr_out_str(cli->out, "metric", "Metric", field_str(row, "metric"));
		svr_out_str(cli->out, "range", "Range", range_of(row, range, sizeof(range)));
		svr_out_u64(cli->out, "value", "Value", field_u64(row, "value"));
		svr_out_str(cli->out, "text", "Meaning", field_str(row, "text"));
		svr_out_item_end(cli->out);
	}
	svr_out_list_end(cli->out);
	json_object_put(rows);
	return 0;
}

int svr_show_stats_run(struct svr_cli *cli, const char *const *val)
{
	struct svr_state s;
	uint32_t only = 0;
	uint64_t *xdp;
	int err;

	if (val[STATS_WHAT] && !strcmp(val[STATS_WHAT], "peers")) {
		if (val[STATS_INTERFACE] || val[STATS_METRIC])
			return svr_cli_usage(cli,
					     "svr show stats peers: takes no further argument");
		return svr_show_peer_stats(cli);
	}
	if (val[STATS_WHAT] && !strcmp(val[STATS_WHAT], "worker")) {
		if (val[STATS_INTERFACE] || val[STATS_METRIC])
			return svr_cli_usage(cli,
					     "svr show stats worker: takes no further argument");
		return show_worker(cli);
	}
	if (val[STATS_WHAT])
		return show_security(cli, val);
	if (val[STATS_METRIC])
		return svr_cli_usage(
			cli,
			"svr show stats: unknown argument \"%s\"; allowed: peers, security, worker, interface",
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
