// SPDX-License-Identifier: BSD-2-Clause
/* `svr show security` and `svr security`: keys and their rotation, as the key manager says. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json_object.h>

#include "cli.h"
#include "process.h"

enum { REKEY_PEER };
const struct svr_arg svr_security_rekey_args[] = {
	[REKEY_PEER] = { "peer", "PEER", NULL, false, true, "only the key with this one" },
	{},
};

static int ask(struct svr_cli *cli, const char *command, const char *peer,
	       struct json_object **result)
{
	struct json_object *request;
	const char *router;
	int err = svr_cli_router(cli, &router);

	if (err)
		return err;
	request = svr_process_request(command);
	if (!request)
		return svr_cli_error(cli, -ENOMEM, "out of memory");
	if (peer)
		json_object_object_add(request, "peer", json_object_new_string(peer));
	err = svr_process_ask(cli, router, "keymgr", request, result);
	json_object_put(request);
	return err;
}

/* SSR's "0 hrs 20 min 24 sec". */
static void print_due(struct svr_out *o, const char *key, const char *title,
		      struct json_object *from)
{
	const uint64_t minute = 60, hour = 3600;
	struct json_object *value;
	uint64_t s;

	if (!json_object_object_get_ex(from, key, &value) || !value) {
		svr_out_str(o, key, title, NULL);
		return;
	}
	s = json_object_get_uint64(value);
	svr_out_u64_as(o, key, title, s, "%" PRIu64 " hrs %" PRIu64 " min %" PRIu64 " sec",
		       s / hour, s % hour / minute, s % minute);
}

static void print_member(struct svr_out *o, const char *key, const char *title,
			 struct json_object *from)
{
	struct json_object *value;

	if (strlen(key) > 2 && strcmp(key + strlen(key) - 2, "_s") == 0)
		print_due(o, key, title, from);
	else if (json_object_object_get_ex(from, key, &value) && value)
		svr_out_json(o, key, title, value);
	else
		svr_out_str(o, key, title, NULL);
}

struct member {
	const char *key, *title;
};

/* The first twelve are SSR's. */
static const struct member status_members[] = {
	{ "key_manager_state", "Key Manager State" },
	{ "rekey_index", "Rekey Index" },
	{ "last_rekey", "Last Rekey" },
	{ "next_rekey_s", "Next Rekey" },
	{ "key_change_count", "Key Change Count" },
	{ "config_key_change_count", "Config Key Change Count" },
	{ "key_change_error", "Key Change Error" },
	{ "config_key_change_error", "Config Key Change Error" },
	{ "metadata_rekey_index", "Metadata Rekey Index" },
	{ "metadata_last_rekey", "Metadata Last Rekey" },
	{ "metadata_next_rekey_s", "Metadata Next Rekey" },
	{ "metadata_key_manager_state", "Metadata Key Manager State" },
	{ "metadata_keys_held", "Metadata Keys Held" },
	{},
};

static const struct member peer_members[] = {
	{ "peer", "Peer" },
	{ "security_status", "Security Status" },
	{ "peer_key_index", "Peer Key Index" },
	{ "peer_key_since", "Peer Key Since" },
	{ "peer_key_next_index", "Next Peer Key Index" },
	{ "peer_key_switch_s", "Next Peer Key Used In" },
	{ "peer_key_next_rekey_s", "Peer Key Rekey In" },
	{ "peer_key_count", "Peer Rekey Count" },
	{ "peer_key_failures", "Failed Exchanges" },
	{ "peer_metadata_key_index", "Remote Metadata Key Index" },
	{ "peer_metadata_key_switch_s", "Next Remote Metadata Key Used In" },
	{ "metadata_key_acknowledged", "Local Metadata Key Acknowledged" },
	{},
};

static void print_members(struct svr_out *o, const struct member *m, struct json_object *from)
{
	for (; m->key; m++)
		print_member(o, m->key, m->title, from);
}

int svr_show_key_status_run(struct svr_cli *cli, const char *const *val)
{
	struct json_object *status, *peers;
	size_t i;
	int err = ask(cli, "show security key-status", NULL, &status);

	(void)val;
	if (err)
		return err;
	svr_out_record_begin(cli->out, NULL, NULL);
	print_members(cli->out, status_members, status);
	svr_out_list_begin(cli->out, "peers", SVR_OUT_BLOCKS, NULL);
	if (json_object_object_get_ex(status, "peers", &peers) &&
	    json_object_is_type(peers, json_type_array)) {
		for (i = 0; i < json_object_array_length(peers); i++) {
			svr_out_item_begin(cli->out);
			print_members(cli->out, peer_members, json_object_array_get_idx(peers, i));
			svr_out_item_end(cli->out);
		}
	}
	svr_out_list_end(cli->out);
	svr_out_record_end(cli->out);
	json_object_put(status);
	return 0;
}

int svr_security_regenerate_run(struct svr_cli *cli, const char *const *val)
{
	struct json_object *result;
	int err = ask(cli, "security metadata-key regenerate", NULL, &result);

	(void)val;
	if (err)
		return err;
	svr_out_record_begin(cli->out, NULL, NULL);
	print_member(cli->out, "metadata_rekey_index", "Metadata Rekey Index", result);
	svr_out_record_end(cli->out);
	json_object_put(result);
	return 0;
}

int svr_security_rekey_run(struct svr_cli *cli, const char *const *val)
{
	static const struct member members[] = { { "peer", "Peer" }, { "result", "Result" }, {} };
	struct json_object *result;
	size_t i;
	int err = ask(cli, "security peer-key rekey", val[REKEY_PEER], &result);

	if (err)
		return err;
	svr_out_list_begin(cli->out, NULL, SVR_OUT_TABLE, "no peers");
	for (i = 0; i < json_object_array_length(result); i++) {
		svr_out_item_begin(cli->out);
		print_members(cli->out, members, json_object_array_get_idx(result, i));
		svr_out_item_end(cli->out);
	}
	svr_out_list_end(cli->out);
	json_object_put(result);
	return 0;
}
