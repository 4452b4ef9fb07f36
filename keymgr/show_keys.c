// SPDX-License-Identifier: BSD-2-Clause
/*
 * Control socket: keys of this router and of its peers, and replacing them. Commands:
 *
 *	show security key-status	indexes and times of all keys
 *	security metadata-key regenerate	another own metadata key now
 *	security peer-key rekey		{"peer": NAME}, or of all peers: another peer key now
 *
 * Answers hold indexes and times, never a key.
 */
#include <errno.h>
#include <string.h>

#include <json-c/json.h>

#include "alarms.h"
#include "keymgr.h"
#include "lib/timetext.h"
#include "sys/ctl.h"

static void add_str(struct json_object *o, const char *key, const char *value)
{
	json_object_object_add(o, key, value ? json_object_new_string(value) : NULL);
}

static void add_u64(struct json_object *o, const char *key, uint64_t value)
{
	json_object_object_add(o, key, json_object_new_uint64(value));
}

/* A point of CLOCK_REALTIME; null if there is none. */
static void add_time(struct json_object *o, const char *key, uint64_t real_ns)
{
	char text[SVR_TIMETEXT_LEN];

	svr_timetext_print((int64_t)(real_ns / SVR_NS_PER_MS), text);
	add_str(o, key, real_ns ? text : NULL);
}

/* Seconds until then; null if never. */
static void add_due(struct json_object *o, const char *key, uint64_t at_ns, struct svr_now now)
{
	if (at_ns == UINT64_MAX)
		json_object_object_add(o, key, NULL);
	else
		add_u64(o, key, at_ns > now.mono_ns ? (at_ns - now.mono_ns) / SVR_NS_PER_SEC : 0);
}

static struct json_object *show_peer(const struct km_peer *peer, struct svr_now now)
{
	const struct svr_peering *p = peer->peering;
	const struct svr_peer_keys *k = &p->keys;
	const struct svr_peer_key *tx = k->tx < SVR_KEY_SLOTS ? &k->peer[k->tx] : NULL;
	uint32_t next = svr_peering_next_key(p);
	struct json_object *o = json_object_new_object();

	add_str(o, "peer", peer->km->view->peers[peer->view].name);
	add_str(o, "security_status",
		svr_peering_is_static(p) ? "ESKM_DISABLED" : svr_kex_state_name(p->kex.state));
	add_u64(o, "peer_key_index", tx ? tx->index : 0);
	add_time(o, "peer_key_since", tx ? tx->since_ns : 0);
	add_u64(o, "peer_key_next_index", next < SVR_KEY_SLOTS ? k->peer[next].index : 0);
	add_due(o, "peer_key_switch_s", p->switch_ns, now);
	add_due(o, "peer_key_next_rekey_s", p->rekey_ns, now);
	add_u64(o, "peer_key_count", k->rekey_count);
	add_u64(o, "peer_key_failures", p->kex.failures);
	add_u64(o, "peer_metadata_key_index",
		svr_peering_meta_received(p) ? k->meta[k->meta_tx].index : 0);
	add_due(o, "peer_metadata_key_switch_s", p->meta_switch_ns, now);
	json_object_object_add(o, "metadata_key_acknowledged",
			       json_object_new_boolean(svr_peering_meta_acked(p)));
	return o;
}

/* Every peer that is up has the key that was told last. */
static bool all_acked(const struct keymgr *km)
{
	unsigned int i;

	for (i = 0; i < km->n_peers; i++)
		if (km->peer[i].peering->contact && !svr_peering_meta_acked(km->peer[i].peering))
			return false;
	return true;
}

static unsigned int keys_held(const struct svr_own_keys *own)
{
	unsigned int i, n = 0;

	for (i = 0; i < SVR_KEY_SLOTS; i++)
		n += own->meta[i].index != 0;
	return n;
}

static struct json_object *show_key_status(const struct keymgr *km)
{
	uint64_t last_ns = 0, next_ns = UINT64_MAX, count = 0, failures = 0;
	struct json_object *o = json_object_new_object(), *peers = json_object_new_array();
	const struct svr_meta_key *own = &km->own.meta[km->own.current];
	struct svr_now now = km_now();
	unsigned int i;

	for (i = 0; i < km->n_peers; i++) {
		const struct svr_peering *p = km->peer[i].peering;
		const struct svr_peer_keys *k = &p->keys;

		if (k->tx < SVR_KEY_SLOTS && k->peer[k->tx].since_ns > last_ns)
			last_ns = k->peer[k->tx].since_ns;
		if (p->rekey_ns < next_ns)
			next_ns = p->rekey_ns;
		count += k->rekey_count;
		failures += p->kex.failures;
		json_object_array_add(peers, show_peer(&km->peer[i], now));
	}
	add_str(o, "key_manager_state", "Active Leader"); /* one node: nobody else could be */
	add_u64(o, "rekey_index", count);
	add_time(o, "last_rekey", last_ns);
	add_due(o, "next_rekey_s", next_ns, now);
	add_u64(o, "key_change_count", count + km->own.rekey_count);
	add_u64(o, "config_key_change_count", km->config_changes);
	add_u64(o, "key_change_error", failures);
	add_u64(o, "config_key_change_error", km->config_errors);
	add_u64(o, "metadata_rekey_index", own->index);
	add_time(o, "metadata_last_rekey", own->since_ns);
	add_due(o, "metadata_next_rekey_s", km->own_rekey_ns, now);
	add_str(o, "metadata_key_manager_state",
		all_acked(km) ? "MKEY_EXCH_COMP" : "MKEY_EXCH_INIT");
	add_u64(o, "metadata_keys_held", keys_held(&km->own));
	json_object_object_add(o, "peers", peers);
	return o;
}

/* ---- replacing ------------------------------------------------------------------------------- */

static void audit(struct keymgr *km, const char *type, const char *peer)
{
	struct json_object *detail = json_object_new_object();

	if (peer)
		add_str(detail, "peer", peer);
	else
		add_u64(detail, "index", km->own.meta[km->own.current].index);
	km_event_audit(km->alarms, type, detail);
	json_object_put(detail);
}

static const char *rekey_word(int ret)
{
	switch (ret) {
	case 0:
		return "started";
	case -ENOKEY:
		return "no path is up under a key that could be replaced";
	case -EBUSY:
		return "a key is being replaced already";
	case -EAGAIN:
		return "too soon after the last one, or too many at once; try again";
	case -ENOTSUP:
		return "keys are static: they change with the configuration";
	}
	return strerror(-ret);
}

static struct json_object *regenerate(struct keymgr *km)
{
	struct json_object *answer, *o;
	int ret = km_own_keys_rotate(km);

	if (ret == -EBUSY)
		return svr_ctl_error(
			"peers may still use the metadata keys before; `svr show security key-status` tells who has not acknowledged");
	if (ret)
		return svr_ctl_error("no metadata key could be made: %s",
				     ret == -ENOTSUP ? rekey_word(ret) : strerror(-ret));
	audit(km, "system.metadata_key_regenerate", NULL);
	answer = json_object_new_object();
	o = json_object_new_object();
	add_u64(o, "metadata_rekey_index", km->own.meta[km->own.current].index);
	json_object_object_add(answer, "result", o);
	return answer;
}

static struct json_object *rekey(struct keymgr *km, struct json_object *request)
{
	struct json_object *member, *answer, *list = json_object_new_array(), *o;
	const char *wanted = NULL, *name;
	unsigned int i, done = 0;
	int ret = 0;

	if (json_object_object_get_ex(request, "peer", &member))
		wanted = json_object_get_string(member);
	for (i = 0; i < km->n_peers; i++) {
		name = km->view->peers[km->peer[i].view].name;
		if (wanted && strcmp(wanted, name) != 0)
			continue;
		done++;
		ret = svr_peering_rekey(km->peer[i].peering);
		km_peer_schedule(&km->peer[i]);
		if (!ret)
			audit(km, "system.peer_key_rekey", name);
		o = json_object_new_object();
		add_str(o, "peer", name);
		add_str(o, "result", rekey_word(ret));
		json_object_array_add(list, o);
	}
	if (wanted && (!done || ret)) {
		json_object_put(list);
		return done ? svr_ctl_error("peer %.63s: %s", wanted, rekey_word(ret)) :
			      svr_ctl_error("no peer is called %.63s", wanted);
	}
	answer = json_object_new_object();
	json_object_object_add(answer, "result", list);
	return answer;
}

struct json_object *km_keys_command(struct keymgr *km, const char *command,
				    struct json_object *request, bool *known)
{
	struct json_object *answer;

	*known = true;
	if (strcmp(command, "security metadata-key regenerate") == 0)
		return regenerate(km);
	if (strcmp(command, "security peer-key rekey") == 0)
		return rekey(km, request);
	if (strcmp(command, "show security key-status") != 0) {
		*known = false;
		return NULL;
	}
	answer = json_object_new_object();
	json_object_object_add(answer, "result", show_key_status(km));
	return answer;
}
