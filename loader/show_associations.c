// SPDX-License-Identifier: BSD-2-Clause
/* `svr show security security-associations`: one row for each peer path, or one peer in detail. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <json-c/json_object.h>

#include "cli.h"
#include "process.h"

enum { SA_PEER, SA_DETAIL };
const struct svr_arg svr_show_associations_args[] = {
	[SA_PEER] = { "peer", "PEER", NULL, false, true, "only of this one" },
	[SA_DETAIL] = { "detail", NULL, NULL, false, false, "certificate, salts and keys" },
	{},
};

/* What the key manager says: its paths, and its keys. */
struct associations {
	struct svr_out *o;
	struct json_object *paths, *status;
	const char *peer; /* NULL: all */
};

static const char *text_of(struct json_object *from, const char *key)
{
	struct json_object *v;

	return json_object_object_get_ex(from, key, &v) && v ? json_object_get_string(v) : NULL;
}

static uint64_t number_of(struct json_object *from, const char *key)
{
	struct json_object *v;

	return json_object_object_get_ex(from, key, &v) ? json_object_get_uint64(v) : 0;
}

static bool flag_of(struct json_object *from, const char *key)
{
	struct json_object *v;

	return json_object_object_get_ex(from, key, &v) && json_object_get_boolean(v);
}

static bool same(const char *a, const char *b)
{
	return a && b && !strcmp(a, b);
}

/* The path with this number if it is wanted. */
static struct json_object *path_at(const struct associations *a, size_t i)
{
	struct json_object *p = json_object_array_get_idx(a->paths, i);

	return !a->peer || same(text_of(p, "peer"), a->peer) ? p : NULL;
}

/* SSR's columns. */
static void print_table(const struct associations *a)
{
	struct svr_out *o = a->o;

	svr_out_list_begin(o, NULL, SVR_OUT_TABLE, "no peers");
	for (size_t i = 0; i < json_object_array_length(a->paths); i++) {
		struct json_object *p = path_at(a, i);

		if (!p)
			continue;
		svr_out_item_begin(o);
		svr_out_str(o, "peer", "Peer", text_of(p, "hostname"));
		svr_out_str(o, "peer_name", "Peer Name", text_of(p, "peer"));
		svr_out_str(o, "node", "Node", text_of(p, "node"));
		svr_out_str(o, "network_interface", "Network Interface",
			    text_of(p, "network_interface"));
		svr_out_str(o, "destination", "Destination", text_of(p, "destination"));
		svr_out_str(o, "status", "Status", text_of(p, "status"));
		svr_out_item_end(o);
	}
	svr_out_list_end(o);
}

/* ---- one peer ------------------------------------------------------------------------------- */

static struct json_object *keys_of(const struct associations *a, const char *peer)
{
	struct json_object *list, *p;

	if (!json_object_object_get_ex(a->status, "peers", &list) ||
	    !json_object_is_type(list, json_type_array))
		return NULL;
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		p = json_object_array_get_idx(list, i);
		if (same(text_of(p, "peer"), peer))
			return p;
	}
	return NULL;
}

/* SSR's "20 hrs 2 min 56 sec"; never: no value. */
static void print_due(struct svr_out *o, const char *key, const char *title,
		      struct json_object *from, const char *member)
{
	const uint64_t minute = 60, hour = 3600;
	uint64_t s = from ? number_of(from, member) : 0;

	if (!from || !text_of(from, member))
		svr_out_str(o, key, title, NULL);
	else
		svr_out_u64_as(o, key, title, s, "%" PRIu64 " hrs %" PRIu64 " min %" PRIu64 " sec",
			       s / hour, s % hour / minute, s % minute);
}

/* A path that is up stands for its peer, if there is one. */
static void print_peer(const struct associations *a, struct json_object *path, bool up)
{
	const char *peer = text_of(path, "peer"), *status = text_of(path, "security_status");
	struct json_object *keys = keys_of(a, peer);
	bool fixed = same(status, "ESKM_DISABLED"), shown = flag_of(path, "cert_rec");
	struct svr_out *o = a->o;

	svr_out_item_begin(o);
	svr_out_str(o, "peer_name", "Peer Name", peer);
	svr_out_str(o, "state", "State", up ? "UP" : "DOWN");
	svr_out_str(o, "security_status", "Security Status", status);
	/* A key was confirmed only because both were; see also: svr show peers certificate */
	svr_out_str(o, "peer_certificate", "Peer Certificate",
		    fixed ? "Not used" : shown ? "Valid" : "Unavailable");
	svr_out_str(o, "public_key", "Public Key",
		    fixed ? "Not used" : shown ? "Valid" : "Unavailable");
	svr_out_str(o, "local_salt", "Local Salt", text_of(path, "salt"));
	svr_out_str(o, "remote_salt", "Remote Salt", text_of(path, "peer_salt"));
	svr_out_u64(o, "peer_key_index", "Peer Key Index", number_of(path, "peer_key_index"));
	print_due(o, "peer_key_rekey_in_s", "Peer Key Rekey In", keys, "peer_key_next_rekey_s");
	svr_out_u64(o, "peer_rekey_count", "Peer Rekey Count", number_of(path, "peer_key_count"));
	print_due(o, "metadata_key_rekey_in_s", "Metadata Key Rekey In", a->status,
		  "metadata_next_rekey_s");
	svr_out_u64(o, "local_metadata_key_index", "Local Metadata Key Index",
		    number_of(path, "key_index"));
	svr_out_u64(o, "local_metadata_keys_held", "Local Metadata Keys Held",
		    number_of(a->status, "metadata_keys_held"));
	svr_out_u64(o, "remote_metadata_key_index", "Remote Metadata Key Index",
		    number_of(path, "peer_ki"));
	svr_out_item_end(o);
}

static void print_detail(const struct associations *a)
{
	const size_t n = json_object_array_length(a->paths);

	svr_out_list_begin(a->o, NULL, SVR_OUT_BLOCKS, "no peers");
	for (size_t i = 0; i < n; i++) {
		struct json_object *p = path_at(a, i), *other;
		const char *peer = p ? text_of(p, "peer") : NULL;
		bool first = peer, up = false;

		for (size_t k = 0; k < n && first; k++) {
			other = path_at(a, k);
			if (!other || !same(text_of(other, "peer"), peer))
				continue;
			first = k >= i; /* said with the first of its paths */
			up |= same(text_of(other, "status"), "up");
		}
		if (first)
			print_peer(a, p, up);
	}
	svr_out_list_end(a->o);
}

/* ---- command -------------------------------------------------------------------------------- */

static int ask(struct svr_cli *cli, const char *router, const char *command,
	       enum json_type type, struct json_object **answer)
{
	struct json_object *request = svr_process_request(command);
	int err;

	if (!request)
		return svr_cli_error(cli, -ENOMEM, "out of memory");
	err = svr_process_ask(cli, router, "keymgr", request, answer);
	json_object_put(request);
	if (!err && !json_object_is_type(*answer, type))
		err = svr_cli_error(
			cli, -EPROTO,
			"svr-keymgr answered with something else than was asked for; are both of the same version?");
	return err;
}

static bool peer_known(const struct associations *a)
{
	for (size_t i = 0; i < json_object_array_length(a->paths); i++)
		if (path_at(a, i))
			return true;
	return false;
}

int svr_show_associations_run(struct svr_cli *cli, const char *const *val)
{
	struct associations a = { .o = cli->out, .peer = val[SA_PEER] };
	const char *router;
	int err;

	err = svr_cli_router(cli, &router);
	if (!err)
		err = ask(cli, router, "show peers security", json_type_array, &a.paths);
	if (!err)
		err = ask(cli, router, "show security key-status", json_type_object, &a.status);
	if (err)
		goto out;
	if (a.peer && !peer_known(&a))
		err = svr_cli_usage(cli, "router %s has no peer \"%s\"; see: svr show peers",
				    router, a.peer);
	else if (val[SA_DETAIL])
		print_detail(&a);
	else
		print_table(&a);
out:
	json_object_put(a.paths);
	json_object_put(a.status);
	return err;
}
