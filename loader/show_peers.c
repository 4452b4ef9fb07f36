// SPDX-License-Identifier: BSD-2-Clause
/* `svr show peers`: what the key manager says, or what its maps still say when it does not run. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <json-c/json_object.h>
#include <json-c/json_object_iterator.h>

#include "cli.h"
#include "process.h"
#include "show_paths.h"
#include "state.h"

static const char *const what_words[] = { "detail", "security", "certificate", NULL };

enum { PEERS_WHAT };
const struct svr_arg svr_show_peers_args[] = {
	[PEERS_WHAT] = { NULL, "WHAT", what_words, false, false,
			 "detail: latency, jitter, loss, timers; security: salts and keys; certificate: what stands in the own and in the peer's" },
	{},
};

/* SSR's columns; other members of an answer are only in the JSON. */
static const struct {
	const char *key, *title;
} columns[] = {
	{ "peer", "Peer" },
	{ "node", "Node" },
	{ "network_interface", "Network Interface" },
	{ "destination", "Destination" },
	{ "status", "Status" },
	{ "hostname", "Hostname" },
	{ "path_mtu", "Path MTU" },
};

/* "peer_ki" -> "Peer Ki", as SSR writes it, and "uptime_s" -> "Uptime (s)". */
static const char *title_of(const char *key, char *buf, size_t len)
{
	const char *unit = strrchr(key, '_');
	bool start = true;

	if (unit && (!strcmp(unit, "_s") || !strcmp(unit, "_ms") || !strcmp(unit, "_us")))
		snprintf(buf, len, "%.*s (%s)", (int)(unit - key), key, unit + 1);
	else
		snprintf(buf, len, "%s", key);
	for (char *p = buf; *p; p++) {
		if (*p == '_')
			*p = ' ';
		else if (start && *p >= 'a' && *p <= 'z')
			*p = (char)(*p - 'a' + 'A');
		start = *p == ' ';
	}
	return buf;
}

static bool is_column(const char *key)
{
	for (unsigned int i = 0; i < sizeof(columns) / sizeof(columns[0]); i++) {
		if (!strcmp(columns[i].key, key))
			return true;
	}
	return false;
}

static void print_answer(struct svr_out *o, struct json_object *peer, bool blocks)
{
	struct json_object_iterator it = json_object_iter_begin(peer),
				    end = json_object_iter_end(peer);
	struct json_object *value;
	char title[64];

	svr_out_item_begin(o);
	for (unsigned int i = 0; i < sizeof(columns) / sizeof(columns[0]); i++) {
		if (json_object_object_get_ex(peer, columns[i].key, &value))
			svr_out_json(o, columns[i].key, columns[i].title, value);
	}
	for (; !json_object_iter_equal(&it, &end); json_object_iter_next(&it)) {
		const char *key = json_object_iter_peek_name(&it);

		if (!is_column(key))
			svr_out_json(o, key, blocks ? title_of(key, title, sizeof(title)) : NULL,
				     json_object_iter_peek_value(&it));
	}
	svr_out_item_end(o);
}

static int print_answers(struct svr_cli *cli, struct json_object *answer, bool blocks)
{
	size_t n;

	if (!json_object_is_type(answer, json_type_array))
		return svr_cli_error(
			cli, -EPROTO,
			"svr-keymgr answered with something else than a list of peers; are both of the same version?");
	n = json_object_array_length(answer);
	svr_out_list_begin(cli->out, NULL, blocks ? SVR_OUT_BLOCKS : SVR_OUT_TABLE, "no peers");
	for (size_t i = 0; i < n; i++) {
		struct json_object *peer = json_object_array_get_idx(answer, i);

		if (json_object_is_type(peer, json_type_object))
			print_answer(cli->out, peer, blocks);
	}
	svr_out_list_end(cli->out);
	return 0;
}

static void print_keys(struct svr_out *o, const struct svr_peer_keys *k)
{
	const uint32_t tx = k->tx, meta = k->meta_tx;

	svr_out_u64(o, "peer_key_index", "Peer Key Index",
		    tx < SVR_KEY_SLOTS ? k->peer[tx].index : 0);
	svr_out_u64(o, "peer_ki", "Peer Ki", meta < SVR_KEY_SLOTS ? k->meta[meta].index : 0);
}

/* Peer paths as peer/address/node/interface/vlan. */
/* Link quality as it was measured last; the age says how much it is worth. */
static void print_quality(struct svr_out *o, const struct svr_path_state *state)
{
	if (!state->quality_ns)
		return;
	svr_out_u64(o, "latency_us", "Latency (us)", state->latency_us);
	svr_out_u64(o, "jitter_us", "Jitter (us)", state->jitter_us);
	svr_out_u64(o, "loss_per_10000", "Loss (1/10000)", state->loss);
	svr_out_u64(o, "mos_hundredths", "MOS (1/100)", state->mos);
}

static void print_map_path(struct svr_out *o, const struct svr_state *s, uint32_t i,
			   const char *what)
{
	const struct svr_path *p = &s->m.paths[i];
	const struct svr_path_state *state = &s->m.path_state[i];
	char addr[SVR_STATE_ADDR_LEN], name[sizeof(p->name)], *part = name;
	const char *node = NULL;

	snprintf(name, sizeof(name), "%s", p->name);
	for (unsigned int n = 0; part && n < 3; n++) {
		char *next = strsep(&part, "/");

		if (n == 2)
			node = next;
	}
	svr_out_item_begin(o);
	svr_out_str(o, "peer", "Peer", svr_state_peer(s, p->peer));
	svr_out_str(o, "node", "Node", node);
	svr_out_str(o, "network_interface", "Network Interface", svr_state_zone(s, p->zone));
	svr_out_str(o, "destination", "Destination", svr_state_addr(p->remote, addr));
	svr_out_str(o, "status", "Status", svr_path_status_name(state->status));
	svr_out_str(o, "hostname", "Hostname",
		    p->peer && p->peer < s->m.count.peers ? s->m.peers[p->peer].common_name : NULL);
	svr_out_u64(o, "path_mtu", "Path MTU", state->mtu);
	if (what && !strcmp(what, "detail"))
		print_quality(o, state);
	if (what && !strcmp(what, "security") && p->peer && p->peer < s->m.count.peer_keys)
		print_keys(o, &s->m.peer_keys[p->peer]);
	svr_out_bool(o, "key_manager_runs", NULL, false);
	svr_out_item_end(o);
}

static int print_maps(struct svr_cli *cli, const char *what)
{
	struct svr_state s;
	int err;

	err = svr_state_open(cli, &s);
	if (err)
		return err;
	svr_cli_warn(
		"svr-keymgr of router %s does not run; this is what it left in the maps, and peers that come or go are not noticed",
		s.router);
	svr_out_list_begin(cli->out, NULL, what ? SVR_OUT_BLOCKS : SVR_OUT_TABLE, "no peers");
	for (uint32_t i = 1; i < s.m.count.paths && i < s.m.count.path_state; i++) {
		if (svr_state_path(&s, i))
			print_map_path(cli->out, &s, i, what);
	}
	svr_out_list_end(cli->out);
	svr_state_close(&s);
	return 0;
}

int svr_show_peers_run(struct svr_cli *cli, const char *const *val)
{
	const char *what = val[PEERS_WHAT];
	struct json_object *request, *answer = NULL;
	const char *router;
	char command[32];
	int err;

	err = svr_cli_router(cli, &router);
	if (err)
		return err;
	snprintf(command, sizeof(command), "show peers%s%s", what ? " " : "", what ? what : "");
	request = svr_process_request(command);
	err = svr_process_ask(cli, router, "keymgr", request, &answer);
	json_object_put(request);
	if (err == -ECONNREFUSED)
		return print_maps(cli, what);
	if (!err)
		err = print_answers(cli, answer, what);
	json_object_put(answer);
	return err;
}

int svr_show_peer_stats(struct svr_cli *cli)
{
	struct json_object *request, *answer = NULL, *paths;
	const char *router;
	int err;

	err = svr_cli_router(cli, &router);
	if (err)
		return err;
	request = svr_process_request("show stats");
	err = svr_process_ask(cli, router, "keymgr", request, &answer);
	json_object_put(request);
	if (!err && !json_object_object_get_ex(answer, "paths", &paths))
		err = svr_cli_error(cli, -EPROTO, "svr-keymgr answered without paths; are both of the same version?");
	if (!err)
		err = print_answers(cli, paths, true);
	json_object_put(answer);
	return err;
}
