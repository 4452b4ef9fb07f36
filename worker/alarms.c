// SPDX-License-Identifier: BSD-2-Clause
/*
 * The worker's alarms. It keeps which ones are raised, and hands all of them to the key manager
 * when one changes and from time to time: so none is lost while that one is away, and none stays
 * when it is over. Asking happens on a thread of its own, for the key manager may be slow to
 * answer.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>
#include <json-c/json.h>

#include <svr/drops.h>

#include "lib/alarms.h"
#include "lib/level.h"
#include "lib/now.h"
#include "sys/ctl.h"
#include "sys/jobs.h"
#include "sys/log.h"
#include "worker/worker.h"

enum {
	CHECK_SEC = 1,
	SYNC_SEC = 30, /* between two times that nothing has changed */
	RETRY_SEC = 2, /* while the key manager is away */
	QUIET_SEC = 60, /* without a drop, until its alarm is over */
	REASON_LEN = 512,
};

enum { SESSIONS, FLOWS4, FLOWS6, NONCES, PORTS, N_ALARMS };

static const struct {
	const char *category, *source, *message;
	unsigned int drop; /* that it is about, 0: it is about the use of a table */
} alarms[N_ALARMS] = {
	[SESSIONS] = { SVR_ALARM_SESSION_TABLE, "sessions",
		       "More than 90 % of the sessions that sign or encrypt are in use", 0 },
	[FLOWS4] = { SVR_ALARM_FLOW_TABLE, "svr_flows4",
		     "More than 90 % of the IPv4 flow table is in use", 0 },
	[FLOWS6] = { SVR_ALARM_FLOW_TABLE, "svr_flows6",
		     "More than 90 % of the IPv6 flow table is in use", 0 },
	[NONCES] = { SVR_ALARM_NONCES, "nonces",
		     "The memory of metadata nonces was full: packets with metadata are dropped",
		     SVR_DROP_META_NONCE_FULL },
	[PORTS] = { SVR_ALARM_PORTS, "ports",
		    "No free pair of waypoint ports was found: new sessions are dropped",
		    SVR_DROP_NO_PORT },
};

struct svr_worker_alarms {
	struct svr_worker *w;
	struct svr_jobs *jobs;
	struct event *tick;
	bool raised[N_ALARMS];
	uint64_t drops[N_ALARMS]; /* as they were counted the last time */
	uint64_t dropped_ns[N_ALARMS]; /* when that was more than before */
	uint64_t flows_used[2], flows_size[2]; /* IPv4, IPv6 */
	uint64_t *percpu;
	int n_cpus;
	bool first; /* the counters are those of an earlier process */
	bool changed, asking;
	uint64_t asked_ns;
	struct json_object *request; /* of the thread while it asks */
	int answer;
};

/* ---- telling the key manager ----------------------------------------------------------------- */

static void put_str(struct json_object *o, const char *key, const char *value)
{
	json_object_object_add(o, key, json_object_new_string(value));
}

static struct json_object *request_new(const struct svr_worker_alarms *a)
{
	struct json_object *request = json_object_new_object(), *list = json_object_new_array();

	put_str(request, "command", "alarm sync");
	put_str(request, "process", "svr-worker");
	json_object_object_add(request, "alarms", list);
	for (unsigned int i = 0; i < N_ALARMS; i++) {
		struct json_object *o;

		if (!a->raised[i])
			continue;
		o = json_object_new_object();
		put_str(o, "severity", "major");
		put_str(o, "category", alarms[i].category);
		put_str(o, "source", alarms[i].source);
		put_str(o, "message", alarms[i].message);
		json_object_array_add(list, o);
	}
	return request;
}

/* In the thread. */
static void ask(void *arg)
{
	struct svr_worker_alarms *a = arg;
	struct json_object *result = NULL;
	char reason[REASON_LEN];

	a->answer =
		svr_ctl_call(a->w->router, "keymgr", a->request, &result, reason, sizeof(reason));
	if (a->answer)
		pr_debug("alarms: %s", reason);
	json_object_put(result);
}

static void asked(void *arg, int cancelled)
{
	struct svr_worker_alarms *a = arg;

	(void)cancelled;
	json_object_put(a->request);
	a->request = NULL;
	a->asking = false;
	if (a->answer)
		a->changed = true; /* again, after RETRY_SEC */
}

static void tell(struct svr_worker_alarms *a, uint64_t now_ns)
{
	uint64_t wait_sec;

	if (a->asking)
		return;
	wait_sec = !a->changed ? SYNC_SEC : a->answer ? RETRY_SEC : 0;
	if (a->asked_ns && now_ns - a->asked_ns < wait_sec * SVR_NS_PER_SEC)
		return;
	a->asked_ns = now_ns;
	a->request = request_new(a);
	a->changed = false;
	a->asking = svr_jobs_submit(a->jobs, ask, asked, a) == 0;
	if (!a->asking) {
		json_object_put(a->request);
		a->request = NULL;
		a->changed = true;
	}
}

/* ---- what is so ------------------------------------------------------------------------------ */

static void set(struct svr_worker_alarms *a, unsigned int i, bool raised)
{
	if (a->raised[i] == raised)
		return;
	a->raised[i] = raised;
	a->changed = true;
	if (raised)
		pr_warn("alarm: %s", alarms[i].message);
	else
		pr_info("alarm is over: %s", alarms[i].message);
}

static uint64_t drops_of(const struct svr_worker_alarms *a, unsigned int reason)
{
	const struct svr_mapset *maps = &a->w->maps;
	uint64_t sum = 0;
	uint32_t zone, key;

	for (zone = 0; zone < maps->count.zones; zone++) {
		key = zone * SVR_DROP_MAX + reason;
		if (key < maps->count.worker_drops)
			sum += __atomic_load_n(&maps->worker_drops[key], __ATOMIC_RELAXED);
		/* XDP's counters cost a system call each: those of interfaces that there are */
		if (!maps->zones[zone].name[0] ||
		    bpf_map_lookup_elem(maps->fd.drops, &key, a->percpu))
			continue;
		for (int cpu = 0; cpu < a->n_cpus; cpu++)
			sum += a->percpu[cpu];
	}
	return sum;
}

static void check_drops(struct svr_worker_alarms *a, unsigned int i, uint64_t now_ns)
{
	const uint64_t drops = drops_of(a, alarms[i].drop);

	if (drops != a->drops[i] && !a->first)
		a->dropped_ns[i] = now_ns;
	a->drops[i] = drops;
	set(a, i,
	    a->dropped_ns[i] && now_ns - a->dropped_ns[i] < (uint64_t)QUIET_SEC * SVR_NS_PER_SEC);
}

static void check(evutil_socket_t fd, short what, void *arg)
{
	struct svr_worker_alarms *a = arg;
	const struct svr_slots *slots = &a->w->sessions.slots;
	const uint64_t now_ns = svr_worker_now_ns();

	(void)fd, (void)what;
	set(a, SESSIONS,
	    svr_level_high(a->raised[SESSIONS], __atomic_load_n(&slots->n_live, __ATOMIC_RELAXED),
			   slots->count - 1));
	for (unsigned int i = 0; i < 2; i++)
		set(a, FLOWS4 + i,
		    svr_level_high(a->raised[FLOWS4 + i], a->flows_used[i], a->flows_size[i]));
	for (unsigned int i = 0; i < N_ALARMS; i++)
		if (alarms[i].drop)
			check_drops(a, i, now_ns);
	a->first = false;
	tell(a, now_ns);
}

void svr_worker_flows_counted(struct svr_worker *w, uint64_t ipv4, uint64_t ipv6)
{
	w->alarms->flows_used[0] = ipv4;
	w->alarms->flows_used[1] = ipv6;
}

/* ---- begin and end --------------------------------------------------------------------------- */

int svr_worker_alarms_new(struct svr_worker *w)
{
	const struct timeval every = { .tv_sec = CHECK_SEC };
	struct svr_worker_alarms *a = calloc(1, sizeof(*a));
	int err;

	if (!a)
		return -ENOMEM;
	w->alarms = a;
	a->w = w;
	a->first = true;
	a->flows_size[0] = (uint64_t)w->maps.count.flow_tags4 * SVR_FLOW_BUCKET_LOAD;
	a->flows_size[1] = (uint64_t)w->maps.count.flow_tags6 * SVR_FLOW_BUCKET_LOAD;
	a->n_cpus = libbpf_num_possible_cpus();
	if (a->n_cpus < 0)
		return a->n_cpus;
	a->percpu = calloc((size_t)a->n_cpus, sizeof(*a->percpu));
	if (!a->percpu)
		return -ENOMEM;
	err = svr_jobs_new(w->base, 1, &a->jobs);
	if (err)
		return err;
	a->tick = event_new(w->base, -1, EV_PERSIST, check, a);
	return a->tick && event_add(a->tick, &every) == 0 ? 0 : -ENOMEM;
}

void svr_worker_alarms_free(struct svr_worker *w)
{
	struct svr_worker_alarms *a = w->alarms;

	if (!a)
		return;
	if (a->tick)
		event_free(a->tick);
	svr_jobs_free(a->jobs);
	free(a->percpu);
	free(a);
	w->alarms = NULL;
}
