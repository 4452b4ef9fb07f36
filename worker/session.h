/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Life of sessions. A session is a slot in the mapped array svr_sessions, two flows in the flow tables
 * (session_flows.h), and what threads make of its keys, which only this process has (session_keys.h).
 * All that it needs after a restart stands in its slot (session_adopt.h).
 *
 * Threads share the slots. The packets of one session, also those of one direction, may come to
 * several threads at once, so what a packet changes in a slot is changed by atomic operations, and
 * the replay window under a lock word of its own. Whatever else changes in a slot (set-up, keys,
 * end) is done under the lock of svr_slots. Contexts belong to one thread each. A slot that a thread
 * has found stays what it is until the thread's round is over, see slots.h.
 */
#ifndef SVR_WORKER_SESSION_H
#define SVR_WORKER_SESSION_H

#include <netinet/in.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <svr/maps.h>

#include "worker/keyrows.h"
#include "worker/packet.h"
#include "worker/slots.h"

struct svr_mapset;
struct svr_thread;
struct svr_tomb_pair;

/* What the process knows of a session besides its slot: all that packets of its own need. */
struct svr_talk {
	/* Of the last packet to the peer, atomic: */
	uint64_t tcp_seq_ack; /* sequence number in the upper half */
	uint32_t tcp_window; /* and SVR_TALK_KNOWN */
};
enum { SVR_TALK_KNOWN = 1 << 16 };

/* Of all threads. */
struct svr_sessions {
	struct svr_slots slots; /* with the lock of the set-up */
	uint32_t scan; /* where svr_sessions_expire() goes on in slots.live[]; under lock */
	struct svr_talk *talk; /* of each slot */
	struct svr_keyrows keyrows; /* under lock */
	struct svr_tomb_pair *tombs; /* SVR_TOMBSTONES / SVR_TOMB_PAIR, under lock: session_tombs.h */
	pthread_mutex_t nonce_lock; /* of the memory of metadata nonces */
};

int svr_sessions_init(struct svr_sessions *ss, const struct svr_mapset *maps); /* 0 or -ENOMEM */
void svr_sessions_free(struct svr_sessions *ss);
/*
 * True if there is something for svr_sessions_expire() to do. *@ended: slots wait for threads to
 * pass, also for those that sleep.
 */
bool svr_sessions_busy(struct svr_sessions *ss, bool *ended);

/* Around whatever looks for a session and makes one if there is none. Recursive. */
void svr_sessions_lock(struct svr_thread *t);
void svr_sessions_unlock(struct svr_thread *t);

/* Slot of a frame description, NULL if it belongs to another session by now. */
struct svr_session *svr_session_get(struct svr_thread *t, uint32_t slot, uint32_t generation);

/* ---- set-up, under the lock (session_originate.h, session_terminate.h) --------------------- */

/* A free slot, empty but for its new generation and the time. NULL: the table is full. */
struct svr_session *svr_session_begin(struct svr_thread *t, uint32_t *slot);
/* All of it is there, its flows too: packets may come. */
void svr_session_live(struct svr_thread *t, uint32_t slot);
/* It did not come to life; the caller has removed its flows. */
void svr_session_abort(struct svr_thread *t, uint32_t slot);
/* No thread knows the slot: wipe it, and somebody else may have it. */
void svr_session_wipe(struct svr_thread *t, uint32_t slot);

/* ---- packets ------------------------------------------------------------------------------- */

/*
 * The next packet counter. It is used up in the mapped slot before anything can leave with it, so
 * that a worker that is killed never uses it twice. 0: the session has ended. Either the thread that
 * ends it sees this counter in the slot and leaves it to whoever goes on with the session, or it is
 * not used: that needs both sides' operations in one order.
 */
static inline uint64_t svr_session_count(struct svr_session *s)
{
	uint64_t counter = __atomic_add_fetch(&s->tx_counter, 1, __ATOMIC_SEQ_CST);

	return __atomic_load_n(&s->state, __ATOMIC_SEQ_CST) == SVR_SESSION_LIVE ? counter : 0;
}

/*
 * The packet counter of an authentic packet: 0 if it is new, and it is seen from here on; otherwise
 * a negative drop reason.
 */
int svr_session_accept(struct svr_session *s, uint64_t counter);

/* A packet of one direction went through: 0 from the LAN, 1 from the peer. */
void svr_session_note(struct svr_session *s, unsigned int dir, uint64_t bytes, uint64_t now_ns);
/* Flags of a TCP header (enum svr_tcp_seen) of that direction. */
void svr_session_note_tcp(struct svr_session *s, unsigned int dir, uint8_t seen);

/* ---- end ----------------------------------------------------------------------------------- */

/*
 * Flows go first, then no counter is used any more; keys are wiped and the slot is free when all
 * threads have forgotten it. Nothing happens if another thread was faster.
 */
void svr_session_close(struct svr_thread *t, uint32_t slot, const char *why);
/* Close all that match. Number of them. */
typedef bool (*svr_session_match)(const struct svr_session *s, void *user);
unsigned int svr_sessions_close_if(struct svr_thread *t, svr_session_match match, void *user,
				   const char *why);
/* Look at the next @count live sessions, close those that were silent too long; free slots. */
void svr_sessions_expire(struct svr_thread *t, uint32_t count);

/*
 * Protocol of a session between the routers: that of the hosts, or UDP around one without ports
 * (docs/protocol.md 2).
 */
static inline uint8_t svr_session_wan_proto(uint8_t host_proto)
{
	return svr_proto_portless(host_proto) ? IPPROTO_UDP : host_proto;
}

#endif
