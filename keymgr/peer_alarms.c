// SPDX-License-Identifier: BSD-2-Clause
/*
 * Alarms about peers and their paths. They are looked at again and again (KM_WATCH_MS) instead of
 * on each packet: who sends packets cannot make us write a record for each of them.
 */
#include <string.h>

#include "alarms.h"
#include "keymgr.h"
#include "lib/alarms.h"

/* "east/192.0.2.2/node1/wan/0" as SSR writes it: "east | 192.0.2.2 | node1 | wan | 0". */
static void spaced(const char *name, char *out, size_t len)
{
	size_t n = 0;

	for (; *name && n + 4 < len; name++) {
		if (*name == '/') {
			memcpy(out + n, " | ", 3);
			n += 3;
		} else {
			out[n++] = *name;
		}
	}
	out[n] = '\0';
}

/*
 * An alarm that has just changed is left alone for a moment, so that a flapping one does not fill
 * the journal.
 */
static bool settle(struct km_alarm_state *state, bool there, uint64_t now_ns)
{
	const enum km_alarm_is is = there ? KM_ALARM_RAISED : KM_ALARM_CLEAR;

	if (state->is == is || (state->is && now_ns < state->changed_ns + KM_ALARM_HOLD_NS))
		return false;
	state->is = is;
	state->changed_ns = now_ns;
	return true;
}

/* May an alarm that is there get other words? Just as seldom. */
static bool may_reword(struct km_alarm_state *state, uint64_t now_ns)
{
	if (state->is != KM_ALARM_RAISED || now_ns < state->worded_ns + KM_ALARM_HOLD_NS)
		return false;
	state->worded_ns = now_ns;
	return true;
}

/* What was not up yet since we look at it is given time. */
static bool young(struct km_alarm_state *state, uint64_t now_ns)
{
	if (state->is != KM_ALARM_UNKNOWN)
		return false;
	if (!state->changed_ns)
		state->changed_ns = now_ns;
	return now_ns < state->changed_ns + KM_ALARM_GRACE_NS;
}

static void judge_path(struct keymgr *km, struct km_path *path, bool down, uint64_t now_ns)
{
	const struct svr_view_path *view = &km->view->paths[path->view];
	const char *peer = km->view->peers[path->peer->view].name;
	char place[SVR_ALARM_SOURCE_LEN];

	if (!settle(&path->alarm_down, down, now_ns))
		return;
	spaced(view->name, place, sizeof(place));
	if (down)
		km_alarm_raise(km->alarms, SVR_ALARM_MAJOR, SVR_ALARM_PEER_PATH, view->name,
			       KM_PROCESS, "Peer %s path is down (%s)", peer, place);
	else
		km_alarm_clear(km->alarms, SVR_ALARM_PEER_PATH, view->name, KM_PROCESS);
}

static void judge_peer(struct keymgr *km, struct km_peer *peer, uint64_t now_ns)
{
	const struct svr_peering *p = peer->peering;
	const char *name = km->view->peers[peer->view].name;
	unsigned int i, up = 0, watched = 0;

	for (i = 0; i < peer->n_paths; i++) {
		struct km_path *path = &peer->path[i];
		const bool enabled = km->view->paths[path->view].bfd.enabled;
		const uint32_t status = p->paths[i].state.status;
		const bool is_up = status == SVR_PATH_UP || status == SVR_PATH_STANDBY;

		watched += enabled;
		up += is_up;
		if (!is_up && enabled && young(&path->alarm_down, now_ns))
			continue;
		judge_path(km, path, enabled && !is_up, now_ns);
	}
	if (!up && young(&peer->alarm_reach, now_ns))
		return;
	if (settle(&peer->alarm_reach, watched && !up, now_ns)) {
		if (watched && !up)
			km_alarm_raise(km->alarms, SVR_ALARM_CRITICAL, SVR_ALARM_PEER_REACH, name,
				       KM_PROCESS, "Peer %s is not reachable", name);
		else
			km_alarm_clear(km->alarms, SVR_ALARM_PEER_REACH, name, KM_PROCESS);
	}
	/* Stays until a path is up, and says what was wrong the last time that a reason was known. */
	if (!up && p->kex.reason[0]) {
		if (settle(&peer->alarm_authentication, true, now_ns) ||
		    may_reword(&peer->alarm_authentication, now_ns))
			km_alarm_raise(km->alarms, SVR_ALARM_CRITICAL,
				       SVR_ALARM_PEER_AUTHENTICATION, name, KM_PROCESS,
				       "Unable to authenticate peer %s: %s", name, p->kex.reason);
	} else if (up && settle(&peer->alarm_authentication, false, now_ns)) {
		km_alarm_clear(km->alarms, SVR_ALARM_PEER_AUTHENTICATION, name, KM_PROCESS);
	}
	if (!settle(&peer->alarm_key_timeout, p->kex.timed_out, now_ns))
		return;
	if (p->kex.timed_out)
		km_alarm_raise(km->alarms, SVR_ALARM_MAJOR, SVR_ALARM_PEER_KEY_TIMEOUT, name,
			       KM_PROCESS, "No key was agreed with peer %s within %u s", name,
			       p->config.kex.timeout_s);
	else
		km_alarm_clear(km->alarms, SVR_ALARM_PEER_KEY_TIMEOUT, name, KM_PROCESS);
}

void km_peer_alarms_check(struct keymgr *km)
{
	const uint64_t now_ns = km_now().mono_ns;

	for (unsigned int i = 0; i < km->n_peers; i++)
		judge_peer(km, &km->peer[i], now_ns);
}

static bool is_ours(const struct keymgr *km, const char *source)
{
	const struct svr_router_view *v = km->view;
	unsigned int i;

	for (i = 0; i < v->n_peers; i++)
		if (strcmp(v->peers[i].name, source) == 0)
			return true;
	for (i = 0; i < v->n_paths; i++)
		if (strcmp(v->paths[i].name, source) == 0)
			return true;
	return false;
}

void km_peer_alarms_sweep(struct keymgr *km)
{
	const struct svr_alarmlog *log = km_alarms_log(km->alarms);
	size_t i = svr_alarmlog_count(log);
	struct svr_alarm alarm;

	while (i-- > 0) {
		alarm = *svr_alarmlog_get(log, i);
		if (strncmp(alarm.category, "peer/", 5) == 0 &&
		    strcmp(alarm.process, KM_PROCESS) == 0 && !is_ours(km, alarm.source))
			km_alarm_clear(km->alarms, alarm.category, alarm.source, KM_PROCESS);
	}
}
