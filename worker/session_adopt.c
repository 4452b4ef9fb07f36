// SPDX-License-Identifier: BSD-2-Clause
/* Sessions that an earlier process left. */
#include <openssl/crypto.h>

#include "worker/flowtable.h"
#include "worker/session_adopt.h"
#include "worker/session_flows.h"
#include "worker/session_tombs.h"
#include "worker/thread.h"

static bool slot_sane(const struct svr_thread *t, const struct svr_session *s)
{
	return s->generation != 0 && s->lan.zone < t->maps->count.zones && s->wan.zone < t->maps->count.zones &&
	       s->path < t->maps->count.paths && s->service < t->maps->count.services &&
	       svr_hmac_tag_len(s->hmac) != 0;
}

static bool orphan_flow(const struct svr_flow6_key *key, const struct svr_flow *flow, void *user)
{
	(void)key;
	return (flow->flags & SVR_FLOW_WORKER) &&
	       !svr_session_get(user, flow->slot, flow->slot_generation);
}

int svr_sessions_adopt(struct svr_thread *t, struct svr_adopted *out)
{
	const uint64_t now_ns = svr_thread_clock_ns();
	struct svr_sessions *ss = t->sessions;
	uint32_t slot;
	int n;

	*out = (struct svr_adopted){ 0 };
	for (slot = 1; slot < ss->slots.count; slot++) {
		struct svr_session *s = &t->maps->sessions[slot];

		if (s->state == SVR_SESSION_LIVE && slot_sane(t, s) &&
		    svr_session_flow_present(t, &s->lan, slot, s->generation) &&
		    svr_session_flow_present(t, &s->wan, slot, s->generation) &&
		    svr_keyrows_adopt(&ss->keyrows, s, slot)) {
			s->replay_lock = 0; /* a thread that was killed may have held it */
			svr_slots_live_add(&ss->slots, slot);
			out->live++;
			continue;
		}
		svr_tomb_set(ss, s, now_ns);
		/* Its rows are nobody's: they become free with all others that nobody names */
		OPENSSL_cleanse(&s->keys, sizeof(s->keys));
		s->other = 0;
		if (s->state == SVR_SESSION_FREE) {
			svr_slots_give(&ss->slots, slot);
			continue;
		}
		out->freed++;
		svr_session_wipe(t, slot);
	}
	svr_keyrows_adopted(&ss->keyrows, t->maps->sessions);
	n = svr_flowtable_remove_if(t->maps, orphan_flow, t);
	if (n < 0)
		return n;
	out->flows_removed = (unsigned int)n;
	return 0;
}
