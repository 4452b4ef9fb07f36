// SPDX-License-Identifier: BSD-2-Clause
/* Life of sessions: slots, packets that are counted, end. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <svr/drops.h>

#include "lib/replay.h"
#include "lib/shared.h"
#include "lib/tcpstate.h"
#include "lib/uuid.h"
#include "sys/log.h"
#include "sys/sessiontype.h"
#include "worker/rekey.h"
#include "worker/session.h"
#include "worker/session_flows.h"
#include "worker/session_keys.h"
#include "worker/session_tombs.h"
#include "worker/thread.h"
#include "worker/timeout.h"

/* ---- of all threads ------------------------------------------------------------------------ */

/*
 * Zeroed memory that is really there: what the worker takes shall not grow with each slot that was
 * once in use
 */
static void *resident(size_t count, size_t size)
{
	void *p = calloc(count, size);

	if (p)
		explicit_bzero(p, count * size);
	return p;
}

int svr_sessions_init(struct svr_sessions *ss, const struct svr_mapset *maps)
{
	const uint32_t count = maps->count.sessions;
	int err = svr_slots_init(&ss->slots, count);

	if (!err)
		err = svr_keyrows_init(&ss->keyrows, maps->session_hmacs, maps->count.session_hmacs,
				       maps->session_others, maps->count.session_others);

	pthread_mutex_init(&ss->nonce_lock, NULL);
	ss->talk = resident(count, sizeof(*ss->talk));
	ss->tombs = resident(SVR_TOMBSTONES / SVR_TOMB_PAIR, sizeof(*ss->tombs));
	return err ? err : ss->talk && ss->tombs ? 0 : -ENOMEM;
}

void svr_sessions_free(struct svr_sessions *ss)
{
	if (!ss->slots.count)
		return;
	svr_slots_free(&ss->slots);
	svr_keyrows_free(&ss->keyrows);
	free(ss->talk);
	free(ss->tombs);
	pthread_mutex_destroy(&ss->nonce_lock);
	*ss = (struct svr_sessions){ 0 };
}

bool svr_sessions_busy(struct svr_sessions *ss, bool *ended)
{
	pthread_mutex_lock(&ss->slots.lock);
	*ended = svr_slots_waiting(&ss->slots);
	pthread_mutex_unlock(&ss->slots.lock);
	return *ended || __atomic_load_n(&ss->slots.n_live, __ATOMIC_RELAXED);
}

void svr_sessions_lock(struct svr_thread *t)
{
	pthread_mutex_lock(&t->sessions->slots.lock);
}

void svr_sessions_unlock(struct svr_thread *t)
{
	pthread_mutex_unlock(&t->sessions->slots.lock);
}

/* ---- slots --------------------------------------------------------------------------------- */

struct svr_session *svr_session_get(struct svr_thread *t, uint32_t slot, uint32_t generation)
{
	struct svr_session *s;

	if (slot == 0 || slot >= t->sessions->slots.count)
		return NULL;
	s = &t->maps->sessions[slot];
	return __atomic_load_n(&s->state, __ATOMIC_ACQUIRE) == SVR_SESSION_LIVE &&
			       s->generation == generation ?
		       s :
		       NULL;
}

void svr_session_wipe(struct svr_thread *t, uint32_t slot)
{
	struct svr_session *s = &t->maps->sessions[slot];

	svr_keyrows_drop(&t->sessions->keyrows, s);
	s->replay_lock = 0; /* of a worker that was killed */
	__atomic_store_n(&s->state, SVR_SESSION_FREE, __ATOMIC_RELEASE);
	svr_slots_give(&t->sessions->slots, slot);
}

static void slots_collect(struct svr_thread *t)
{
	uint32_t slot;

	while ((slot = svr_slots_collect(&t->sessions->slots)))
		svr_session_wipe(t, slot);
}

struct svr_session *svr_session_begin(struct svr_thread *t, uint32_t *slot)
{
	struct svr_session *s;
	uint32_t generation;

	slots_collect(t);
	*slot = svr_slots_take(&t->sessions->slots);
	if (*slot == 0)
		return NULL;
	s = &t->maps->sessions[*slot];
	generation = s->generation + 1;
	memset(s, 0, sizeof(*s));
	s->generation = generation ? generation : 1; /* 0 looks like a slot that was never used */
	s->state = SVR_SESSION_SETUP;
	s->last_lan_ns = t->now_ns;
	t->sessions->talk[*slot] = (struct svr_talk){ 0 };
	return s;
}

void svr_session_abort(struct svr_thread *t, uint32_t slot)
{
	svr_session_keys_drop(t, slot);
	svr_session_wipe(t, slot);
}

void svr_session_live(struct svr_thread *t, uint32_t slot)
{
	struct svr_session *s = &t->maps->sessions[slot];

	__atomic_store_n(&s->state, SVR_SESSION_LIVE, __ATOMIC_RELEASE);
	svr_slots_live_add(&t->sessions->slots, slot);
}

/* ---- packets ------------------------------------------------------------------------------- */

int svr_session_accept(struct svr_session *s, uint64_t counter)
{
	int err = svr_replay_accept(&s->replay, &s->replay_lock, counter);

	/*
	 * Whoever ends the session sets its state, then takes the lock, then reads the window: either
	 * it finds this counter there, or its state is seen here
	 */
	if (!err && __atomic_load_n(&s->state, __ATOMIC_SEQ_CST) != SVR_SESSION_LIVE)
		err = -SVR_DROP_NOT_WAN_SESSION;
	return err;
}

void svr_session_note(struct svr_session *s, unsigned int dir, uint64_t bytes, uint64_t now_ns)
{
	__atomic_store_n(dir ? &s->last_wan_ns : &s->last_lan_ns, now_ns, __ATOMIC_RELAXED);
	__atomic_fetch_add(&s->packets[dir], 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&s->bytes[dir], bytes, __ATOMIC_RELAXED);
}

void svr_session_note_tcp(struct svr_session *s, unsigned int dir, uint8_t seen)
{
	uint8_t *flags = dir ? &s->tcp_wan : &s->tcp_lan;

	if ((__atomic_load_n(flags, __ATOMIC_RELAXED) & seen) == seen)
		return;
	/* In one order: of two threads that see the last flags of both sides, one sees them all */
	__atomic_fetch_or(flags, seen, __ATOMIC_SEQ_CST);
	if (svr_tcp_closing(__atomic_load_n(&s->tcp_lan, __ATOMIC_SEQ_CST),
			    __atomic_load_n(&s->tcp_wan, __ATOMIC_SEQ_CST)))
		__atomic_store_n(&s->closing, 1, __ATOMIC_RELAXED);
}

/* ---- end ----------------------------------------------------------------------------------- */

void svr_session_close(struct svr_thread *t, uint32_t slot, const char *why)
{
	struct svr_session *s = &t->maps->sessions[slot];
	char uuid[SVR_UUID_STRLEN];

	svr_sessions_lock(t);
	if (s->state != SVR_SESSION_LIVE)
		goto out;
	svr_session_flow_remove(t, &s->lan, slot, s->generation);
	svr_session_flow_remove(t, &s->wan, slot, s->generation);
	/* From here on no counter is used or accepted, and what was is in the slot */
	__atomic_store_n(&s->state, SVR_SESSION_ENDING, __ATOMIC_SEQ_CST);
	svr_replay_lock(&s->replay_lock);
	svr_replay_unlock(&s->replay_lock);
	svr_tomb_set(t->sessions, s, t->now_ns);
	svr_count(&t->counters, s->lan.zone, SVR_STAT_SESSIONS_CLOSED, 1);
	svr_uuid_print(s->uuid, uuid);
	pr_debug("session %s: closed (%s)", uuid, why);
	svr_slots_live_remove(&t->sessions->slots, slot);
	svr_slots_end(&t->sessions->slots, slot);
out:
	svr_sessions_unlock(t);
}

unsigned int svr_sessions_close_if(struct svr_thread *t, svr_session_match match, void *user,
				   const char *why)
{
	struct svr_slots *slots = &t->sessions->slots;
	uint32_t i = __atomic_load_n(&slots->n_live, __ATOMIC_RELAXED);
	unsigned int closed = 0;

	/*
	 * Downwards, and free for others in between: a session that is closed gives its place to the
	 * last one, which was looked at already or is new
	 */
	while (i-- > 0) {
		svr_sessions_lock(t);
		if (i < slots->n_live && match(&t->maps->sessions[slots->live[i]], user)) {
			svr_session_close(t, slots->live[i], why);
			closed++;
		}
		svr_sessions_unlock(t);
	}
	return closed;
}

static bool session_expired(const struct svr_thread *t, const struct svr_session *s)
{
	uint64_t lan_ns = __atomic_load_n(&s->last_lan_ns, __ATOMIC_RELAXED);
	uint64_t wan_ns = __atomic_load_n(&s->last_wan_ns, __ATOMIC_RELAXED);
	/* Not by what the hosts of a session say that the other router may have lost, as in gc.c */
	const bool theirs = s->originator && !svr_shared(s->meta_add) && s->lan.proto != IPPROTO_TCP;
	uint64_t last = theirs || wan_ns > lan_ns ? wan_ns : lan_ns;
	const struct svr_service *service = &t->maps->services[s->service];

	return t->now_ns > last &&
	       t->now_ns - last >
		       svr_session_timeout_ns(s, service,
					      svr_session_type_of_record(t->maps, s, service));
}

void svr_sessions_expire(struct svr_thread *t, uint32_t count)
{
	struct svr_sessions *ss = t->sessions;
	struct svr_slots *slots = &ss->slots;
	bool more = true;
	uint32_t slot;

	while (count-- > 0 && more) {
		svr_sessions_lock(t);
		if (ss->scan >= slots->n_live)
			ss->scan = 0;
		more = slots->n_live > 0;
		slot = more ? slots->live[ss->scan] : 0;
		if (more && session_expired(t, &t->maps->sessions[slot])) {
			svr_session_close(t, slot,
					  t->maps->sessions[slot].closing ? "ended" : "idle");
		} else if (more) {
			svr_rekey_look(t, slot);
			ss->scan++;
		}
		svr_sessions_unlock(t);
	}
	svr_sessions_lock(t);
	slots_collect(t);
	svr_sessions_unlock(t);
}
