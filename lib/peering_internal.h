/* SPDX-License-Identifier: BSD-2-Clause */
/* What peering.c (packets, paths, verdict) and peering_keys.c (key slots) share. Not for others. */
#ifndef SVR_LIB_PEERING_INTERNAL_H
#define SVR_LIB_PEERING_INTERNAL_H

#include "lib/peering.h"

enum { SVR_PEERING_NO_SLOT = SVR_KEY_SLOTS };

/*
 * Takes back what is the peer's own, empties everything else, stores the result. 0 or negative
 * errno.
 */
int svr_peering_keys_restore(struct svr_peering *p, const struct svr_peer_keys *saved);
void svr_peering_keys_clear(struct svr_peering *p);

/*
 * Key to receive with; NULL if the index is not known or too old. @seal: what a packet under it
 * proves.
 */
struct svr_bfdmeta_key *svr_peering_rx_key(struct svr_peering *p, uint32_t index,
					   enum svr_kex_seal *seal, struct svr_now now);
/* Key that packets are sent with; NULL: none. */
struct svr_bfdmeta_key *svr_peering_tx_key(struct svr_peering *p);
struct svr_bfdmeta_key *svr_peering_key_for(struct svr_peering *p, enum svr_kex_seal seal);

/* The peer sends with @index: if we waited for that, so do we. */
void svr_peering_peer_uses(struct svr_peering *p, uint32_t index);

/* For struct svr_kex_ops; user is the peering. */
bool svr_peering_index_free(void *user, uint32_t index);
bool svr_peering_may_rekey(void *user);
int svr_peering_pending(void *user, uint32_t index, const uint8_t *key);
void svr_peering_confirmed(void *user, const uint8_t *fingerprint, bool authenticated,
			   struct svr_now now);

/* Own metadata key that was announced last; NULL: none. */
const struct svr_meta_key *svr_peering_own_meta(const struct svr_peering *p);
/* A metadata key of the peer. True if it was not the one in use. */
bool svr_peering_meta_install(struct svr_peering *p, uint32_t index,
			      const uint8_t key[static SVR_META_KEY_LEN], struct svr_now now);

/*
 * Highest sequence number accepted on the path under a key, and setting it, which makes room for a
 * new key.
 */
uint64_t svr_peering_rx_seq(const struct svr_peering_path *path, uint32_t index,
			    enum svr_kex_seal seal);
void svr_peering_rx_seq_set(struct svr_peering_path *path, uint32_t index, enum svr_kex_seal seal,
			    uint64_t seq);

/* One packet more on every path that is up, with what is to be delivered. */
void svr_peering_send_all(struct svr_peering *p);
void svr_peering_log(struct svr_peering *p, bool warn, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#endif
