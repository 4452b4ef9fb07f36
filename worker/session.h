/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Session manager: slots in the mapped array svr_sessions, the two flows of each session in the flow
 * tables, and the keyed contexts, which only this process has. All that a session needs after a
 * restart stands in its slot.
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

#include "lib/crypt.h"
#include "lib/meta.h"
#include "worker/packet.h"
#include "worker/slots.h"

struct svr_thread;
struct svr_work;

/*
 * Keys of one epoch, ready for use. Counted: packets in work keep them while the session goes on to
 * others, or ends. Nothing in it changes but the count.
 */
struct svr_keyset {
	uint32_t refs; /* atomic */
	uint16_t epoch;
	struct svr_hmac_key *hmac_tx, *hmac_rx;
	struct svr_cipher_key *enc_tx, *enc_rx; /* NULL: the session does not encrypt */
};

/* What one thread adds to a slot; made at first use. */
struct svr_local {
	uint32_t generation; /* of the slot when it was made; 0: nothing here */
	uint32_t nexthop; /* where the LAN neighbour was found last; 0: not yet */
	__be32 lan_target[4]; /* the LAN neighbour */
	struct svr_keyset *keys[2]; /* of the slot's keys[]; NULL: not made */
};

/* What the process knows of a session besides its slot: all that packets of its own need. */
struct svr_talk {
	uint64_t offer_ns; /* last offer of new keys; under lock */
	uint32_t offers; /* of the epoch that is offered; under lock */
	/* Of the last packet to the peer, atomic: */
	uint32_t tcp_window; /* and SVR_TALK_KNOWN */
	uint64_t tcp_seq_ack; /* sequence number in the upper half */
};
enum { SVR_TALK_KNOWN = 1 << 16 };

/*
 * Counters of encrypted sessions that are over. If an originator goes on with a session that we
 * have forgotten, it brings the same session key, and starting from 1 again would use IVs twice.
 */
struct svr_tombstone {
	uint8_t uuid[SVR_UUID_LEN];
	uint64_t tx_counter, rx_top;
};
enum { SVR_TOMBSTONES = 8192 };

/* Of all threads. */
struct svr_sessions {
	struct svr_slots slots; /* with the lock of the set-up */
	uint32_t scan; /* where svr_sessions_expire() goes on in slots.live[]; under lock */
	struct svr_talk *talk; /* of each slot */
	struct svr_tombstone *tombs; /* under lock */
	pthread_mutex_t nonce_lock; /* of the memory of metadata nonces */
};

struct svr_adopted {
	unsigned int live, freed, flows_removed;
};

int svr_sessions_init(struct svr_sessions *ss, uint32_t count); /* 0 or -ENOMEM */
void svr_sessions_free(struct svr_sessions *ss);
/*
 * True if there is something for svr_sessions_expire() to do. *@ended: slots wait for threads to
 * pass, also for those that sleep.
 */
bool svr_sessions_busy(struct svr_sessions *ss, bool *ended);
/* The part of one thread. */
int svr_session_locals_init(struct svr_thread *t); /* 0 or -ENOMEM */
void svr_session_locals_free(struct svr_thread *t);
/* Between two rounds of a thread: forgets the contexts of sessions that are over. */
void svr_session_locals_pass(struct svr_thread *t);

/* Around whatever looks for a session and makes one if there is none. Recursive. */
void svr_sessions_lock(struct svr_thread *t);
void svr_sessions_unlock(struct svr_thread *t);

/* Take over what an earlier process left: complete sessions live on, anything else is removed. */
int svr_sessions_adopt(struct svr_thread *t, struct svr_adopted *out);

/* Slot of a frame description, NULL if it belongs to another session by now. */
struct svr_session *svr_session_get(struct svr_thread *t, uint32_t slot, uint32_t generation);
/* What this process knows of a live slot, made if it is missing. Never NULL. */
struct svr_local *svr_session_local(struct svr_thread *t, uint32_t slot);
/*
 * keys[@set] of a live slot, made if they are missing; NULL if that fails. The session holds them:
 * who needs them longer than until its next change takes a reference.
 */
struct svr_keyset *svr_session_keys(struct svr_thread *t, uint32_t slot, unsigned int set);
static inline struct svr_keyset *svr_keyset_get(struct svr_keyset *k)
{
	__atomic_add_fetch(&k->refs, 1, __ATOMIC_RELAXED);
	return k;
}
void svr_keyset_put(struct svr_keyset *k); /* the last one frees; NULL is fine */
/*
 * New keys from the newest peer key and, if the session encrypts, a random session key; wipe them. 0
 * or a negative drop reason.
 */
int svr_session_fresh_keys(struct svr_thread *t, const struct svr_session *s, uint16_t epoch,
			   struct svr_session_keys *out);
/*
 * The keys of verified metadata, @peer_key is what it was signed with. 0 or a negative drop reason.
 */
int svr_session_install(struct svr_thread *t, uint32_t slot, const struct svr_meta *m,
			const struct svr_peer_key *peer_key);
/* The same with @fresh keys of our own, see svr_epoch_install(). */
void svr_session_install_fresh(struct svr_thread *t, uint32_t slot,
			       const struct svr_session_keys *fresh, bool unconfirmed);

/*
 * Session of a packet from the LAN without a flow; the caller holds the lock since it looked for
 * one. 0 or a negative drop reason.
 */
int svr_session_originate(struct svr_thread *t, const struct svr_work *w,
			  const struct svr_flow6_key *lan, uint32_t *slot);

/**
 * svr_session_terminate() - session for verified forward metadata.
 * @m: authenticated, decrypted, complete
 * @wan: flow of the packet that brought it
 * @path: peer path, its peer is the sender
 * @peer_key: the key that @m was signed with
 * The caller holds the lock since it looked for a session. Sessions that hold the same flows are
 * replaced. 0 or a negative drop reason.
 */
int svr_session_terminate(struct svr_thread *t, const struct svr_meta *m,
			  const struct svr_flow6_key *wan, uint32_t path,
			  const struct svr_peer_key *peer_key, uint32_t *slot);

enum svr_flow_owner {
	SVR_OWNER_NONE, /* no such flow */
	SVR_OWNER_WORKER, /* of the live session in *slot */
	SVR_OWNER_CLEAR, /* made by XDP */
};
/*
 * Whose is the flow with this key? A flow of a worker session that is no more is removed and counts
 * as none.
 */
enum svr_flow_owner svr_session_of_flow(struct svr_thread *t, const struct svr_flow6_key *key,
					uint32_t *slot, struct svr_flow *flow);
/* Remove a pair of clear flows. */
void svr_session_remove_clear(struct svr_thread *t, const struct svr_flow6_key *key,
			      const struct svr_flow *flow);

/*
 * A session key as TLV 46 has it, from the one of the session or the reverse, in place: under a
 * policy with static keys it is wrapped. 0 or a negative drop reason.
 */
int svr_session_key_wrap(const struct svr_thread *t, const struct svr_session *s, uint16_t epoch,
			 uint8_t key[static SVR_SESSION_KEY_LEN]);

/* This router sends under another epoch from now on: counts it. */
void svr_session_rekeyed(struct svr_thread *t, struct svr_session *s);

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
 * Flow label (RFC 6437) of packets of an IPv4 host on an IPv6 path, and the other way round: the
 * random bits of the session's name.
 */
uint32_t svr_session_label(const struct svr_session *s);

/*
 * Protocol of a session between the routers: that of the hosts, or UDP around one without ports
 * (docs/protocol.md 2).
 */
static inline uint8_t svr_session_wan_proto(uint8_t host_proto)
{
	return svr_proto_portless(host_proto) ? IPPROTO_UDP : host_proto;
}

/* True if the peer path still leads to this peer and is in service. */
bool svr_session_path_up(const struct svr_thread *t, uint32_t path, uint32_t peer);

#endif
