// SPDX-License-Identifier: BSD-2-Clause
/*
 * Control socket "worker":
 *
 *	{"command": "status"}                                 this process, its sockets
 *	{"command": "stats"}                                  what its threads do
 *	{"command": "crypto"}                                 what encrypts, and why
 *	{"command": "delete sessions"}                        all of them
 *	{"command": "delete sessions", "by_id": "<uuid>"}
 *	{"command": "delete sessions", "service_name": "<name>"}
 *
 * The answer to a deletion is {"deleted": <number>}; packets of deleted sessions that are still
 * under way are dropped. Counters are in the maps svr_worker_stats and svr_worker_drops.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <json-c/json.h>

#include <svr/stats.h>

#include "lib/uuid.h"
#include "sys/ctl.h"
#include "sys/flows.h"
#include "sys/log.h"
#include "worker/flowtable.h"
#include "worker/keysets.h"
#include "worker/sockets.h"
#include "worker/worker.h"

#define NS_PER_SEC 1000000000ULL

/* ---- status -------------------------------------------------------------------------------- */

/* Bytes that all threads have for keys that are ready for use. */
static uint64_t key_memory(const struct svr_worker *w)
{
	uint64_t sum = 0;
	unsigned int i;

	for (i = 0; i < w->pool.n; i++)
		sum += svr_keysets_memory(w->pool.thread[i]->keysets);
	return sum;
}

static struct json_object *status_show(struct svr_worker *w)
{
	struct json_object *answer = json_object_new_object(), *o = json_object_new_object();
	json_object_object_add(o, "pid", json_object_new_int64(getpid()));
	json_object_object_add(
		o, "uptime_seconds",
		json_object_new_uint64((svr_worker_now_ns() - w->started_ns) / NS_PER_SEC));
	json_object_object_add(o, "zero_copy", json_object_new_boolean(svr_sockets_zerocopy(w)));
	json_object_object_add(o, "threads", json_object_new_int64(w->pool.n));
	json_object_object_add(o, "sessions",
			       json_object_new_uint64(__atomic_load_n(&w->sessions.slots.n_live,
								      __ATOMIC_RELAXED)));
	json_object_object_add(o, "session_slots",
			       json_object_new_uint64(w->sessions.slots.count - 1));
	json_object_object_add(o, "key_memory", json_object_new_uint64(key_memory(w)));
	json_object_object_add(o, "held_packets", json_object_new_uint64(svr_hold_count(w)));
	json_object_object_add(o, "interfaces", svr_zones_json(w));
	json_object_object_add(answer, "result", o);
	return answer;
}

static struct json_object *stats_show(const struct svr_worker *w)
{
	struct json_object *answer = json_object_new_object();

	json_object_object_add(answer, "result", svr_stats_json(w));
	return answer;
}

/* ---- crypto -------------------------------------------------------------------------------- */

static void add_words(struct json_object *o, const char *key, const char *words)
{
	json_object_object_add(o, key, words[0] ? json_object_new_string(words) : NULL);
}

/* The same for all threads, and nothing changes it. */
static struct json_object *crypto_show(const struct svr_worker *w)
{
	struct json_object *answer = json_object_new_object(), *o = json_object_new_object();
	struct svr_crypt_info info;

	svr_crypt_describe(w->pool.thread[0]->crypt, &info);
	add_words(o, "backend", info.backend);
	add_words(o, "why", info.why);
	json_object_object_add(o, "batch_min",
			       info.batch_min ? json_object_new_int64(info.batch_min) : NULL);
	add_words(o, "openssl", info.openssl);
	add_words(o, "ipsec_mb", info.ipsec_mb);
	add_words(o, "cpu", info.cpu);
	json_object_object_add(answer, "result", o);
	return answer;
}

/* ---- delete sessions ----------------------------------------------------------------------- */

struct selection {
	struct svr_worker *w;
	bool by_uuid, by_service;
	uint8_t uuid[SVR_UUID_LEN];
	uint16_t service;
	unsigned int deleted;
};

static bool selected(const struct selection *sel, const uint8_t *uuid, uint16_t service)
{
	if (sel->by_uuid && memcmp(sel->uuid, uuid, sizeof(sel->uuid)) != 0)
		return false;
	return !sel->by_service || sel->service == service;
}

static bool session_selected(const struct svr_session *s, void *user)
{
	return selected(user, s->uuid, s->service);
}

/* In a data thread. */
static void worker_sessions_delete(struct svr_thread *t, void *arg)
{
	struct selection *sel = arg;

	sel->deleted += svr_sessions_close_if(t, session_selected, sel, "deleted");
}

static int clear_flow_visit(const struct svr_flow6_key *key, const struct svr_flow *flow,
			    void *user)
{
	struct selection *sel = user;

	if (!(flow->flags & SVR_FLOW_WORKER) && selected(sel, flow->uuid, flow->service) &&
	    svr_flowtable_remove_pair(&sel->w->maps, key, flow)) {
		sel->deleted++;
		svr_worker_count(sel->w, key->zone, SVR_STAT_SESSIONS_CLOSED, 1);
	}
	return 0;
}

static const char *argument(struct json_object *request, const char *name)
{
	struct json_object *o;

	return json_object_object_get_ex(request, name, &o) &&
			       json_object_is_type(o, json_type_string) ?
		       json_object_get_string(o) :
		       NULL;
}

static struct json_object *sessions_delete(struct svr_worker *w, struct json_object *request)
{
	const char *uuid = argument(request, "by_id"), *service = argument(request, "service_name");
	struct json_object *answer, *o;
	struct selection sel = { .w = w };
	int err;

	if (uuid) {
		sel.by_uuid = true;
		if (svr_uuid_parse(uuid, sel.uuid))
			return svr_ctl_error("by_id %s is no UUID (8-4-4-4-12 hexadecimal digits)",
					     uuid);
	}
	if (service) {
		sel.by_service = true;
		for (sel.service = 1; sel.service < w->maps.count.services; sel.service++)
			if (strncmp(w->maps.services[sel.service].name, service, SVR_NAME_LEN) == 0)
				break;
		if (sel.service == w->maps.count.services)
			return svr_ctl_error("there is no service %s; see: svr show service",
					     service);
	}
	svr_thread_call(w->pool.thread[0], worker_sessions_delete, &sel);
	err = svr_flow_walk_all(&w->maps, clear_flow_visit, &sel);
	if (err)
		return svr_ctl_error("walk over the flow table failed after %u sessions: %s",
				     sel.deleted, strerror(-err));
	pr_info("%u session%s deleted", sel.deleted, sel.deleted == 1 ? "" : "s");
	answer = json_object_new_object();
	o = json_object_new_object();
	json_object_object_add(o, "deleted", json_object_new_int64(sel.deleted));
	json_object_object_add(answer, "result", o);
	return answer;
}

static struct json_object *handle(const char *command, struct json_object *request, void *user)
{
	if (strcmp(command, "status") == 0)
		return status_show(user);
	if (strcmp(command, "stats") == 0)
		return stats_show(user);
	if (strcmp(command, "crypto") == 0)
		return crypto_show(user);
	if (strcmp(command, "delete sessions") == 0)
		return sessions_delete(user, request);
	return svr_ctl_error("svr-worker does not know the command \"%s\"; it knows: status, stats, "
			     "crypto, delete sessions",
			     command);
}

int svr_worker_ctl_start(struct svr_worker *w)
{
	int err = svr_ctl_serve(w->base, w->router, "worker", handle, w, &w->ctl);

	if (err == -EADDRINUSE)
		pr_err("another svr-worker of router %s runs already; stop that one first",
		       w->router);
	else if (err)
		pr_err("control socket: %s; is the run directory writable?", strerror(-err));
	return err;
}

void svr_worker_ctl_stop(struct svr_worker *w)
{
	if (w->ctl)
		svr_ctl_server_free(w->ctl);
	w->ctl = NULL;
}
