/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Session manager of a data thread: slots in the mapped array svr_sessions, the two flows of each
 * session in the flow tables, and the keyed contexts, which only this process has. All that a session
 * needs after a restart stands in its slot.
 */
#ifndef SVR_WORKER_SESSION_H
#define SVR_WORKER_SESSION_H

#include <stdbool.h>
#include <stdint.h>
#include <svr/maps.h>

#include "lib/crypt.h"
#include "lib/meta.h"

struct svr_thread;
struct svr_work;

/* What this process adds to a slot; made at first use. */
struct svr_local {
	uint32_t generation; /* of the slot when it was made; 0: nothing here */
	uint32_t live_pos; /* where in live[] */
	uint32_t nexthop; /* where the LAN neighbour was found last; 0: not yet */
	__be32 lan_target[4]; /* the LAN neighbour */
	struct svr_hmac_key *hmac_tx, *hmac_rx;
	struct svr_cipher_key *enc_tx, *enc_rx;
};

/*
 * Counters of encrypted sessions that are over. If an originator goes on with a session that we
 * have forgotten, it brings the same session key, and starting from 1 again would use IVs twice.
 */
struct svr_tombstone {
	uint8_t uuid[SVR_UUID_LEN];
	uint64_t tx_counter, rx_top;
};
enum { SVR_TOMBSTONES = 8192 };

struct svr_sessions {
	uint32_t count; /* slots, number 0 is not used */
	uint32_t n_live;
	uint32_t n_free;
	uint32_t free_head; /* free slots are used in turn: a slot rests as long as possible */
	uint32_t scan; /* where svr_sessions_expire() goes on in live[] */
	uint32_t *free; /* ring of count slots */
	uint32_t *live;
	struct svr_local *local;
	struct svr_tombstone *tombs;
};

struct svr_adopted {
	unsigned int live, freed, flows_removed;
};

int svr_sessions_init(struct svr_thread *t);
void svr_sessions_free(struct svr_thread *t);
/* Take over what an earlier process left: complete sessions live on, anything else is removed. */
int svr_sessions_adopt(struct svr_thread *t, struct svr_adopted *out);

/* Slot of a frame description, NULL if it belongs to another session by now. */
struct svr_session *svr_session_get(struct svr_thread *t, uint32_t slot, uint32_t generation);
/* Contexts and next hop of a live slot, made if they are missing; NULL if that fails. */
struct svr_local *svr_session_local(struct svr_thread *t, uint32_t slot);

/* Session of a packet from the LAN without a flow. 0 or a negative drop reason. */
int svr_session_originate(struct svr_thread *t, const struct svr_work *w,
			  const struct svr_flow6_key *lan, uint32_t *slot);

/**
 * svr_session_terminate() - session for verified forward metadata.
 * @m: authenticated, decrypted, complete
 * @wan: flow of the packet that brought it
 * @path: peer path, its peer is the sender
 * @peer_key: the key that @m was signed with
 * Sessions that hold the same flows are replaced. 0 or a negative drop reason.
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

/* Flows go first, then the keys are wiped, then the slot is free. */
void svr_session_close(struct svr_thread *t, uint32_t slot, const char *why);
/* Look at the next @count live sessions, close those that were silent too long. */
void svr_sessions_expire(struct svr_thread *t, uint32_t count);

/* True if the peer path still leads to this peer and is in service. */
bool svr_session_path_up(const struct svr_thread *t, uint32_t path, uint32_t peer);

#endif
