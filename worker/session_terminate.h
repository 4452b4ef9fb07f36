/* SPDX-License-Identifier: BSD-2-Clause */
/* Sessions that the verified metadata of a peer opens. */
#ifndef SVR_WORKER_SESSION_TERMINATE_H
#define SVR_WORKER_SESSION_TERMINATE_H

#include <stdint.h>
#include <svr/maps.h>

struct svr_meta;
struct svr_peer_key;
struct svr_thread;

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

#endif
