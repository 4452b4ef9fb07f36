/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Keys that the key manager writes: consistent copies, and keyed contexts that are kept as long as
 * the bytes stay the same. The caller wipes copies with OPENSSL_cleanse.
 */
#ifndef SVR_WORKER_KEYS_H
#define SVR_WORKER_KEYS_H

#include <stdint.h>
#include <svr/maps.h>

#include "lib/crypt.h"

struct svr_mapset;

enum {
	SVR_KEYCACHE_HMAC_SLOTS = 256,
	/* One for each direction of each peer, 88 bytes: a miss costs a derivation */
	SVR_KEYCACHE_META_SLOTS = 2 * SVR_MAX_PEERS,
};

struct svr_keycache {
	struct {
		uint32_t peer;
		uint8_t hmac;
		uint8_t key[SVR_HMAC_KEY_LEN];
		struct svr_hmac_key *ctx;
	} hmac[SVR_KEYCACHE_HMAC_SLOTS];
	struct {
		uint8_t meta_key[SVR_META_KEY_LEN]; /* what ctx was derived from */
		uint8_t hmac_key[SVR_HMAC_KEY_LEN];
		struct svr_cipher_key *ctx;
	} meta[SVR_KEYCACHE_META_SLOTS];
};

void svr_keycache_free(struct svr_keycache *k);

/* Each returns 0 or -SVR_DROP_NO_KEY. */
/* Peer key that new sessions and messages use to send. */
int svr_keys_peer_tx(const struct svr_mapset *maps, uint32_t peer, struct svr_peer_key *out);
/* Peer key of an index, if it may be used to receive. */
int svr_keys_peer_rx(const struct svr_mapset *maps, uint32_t peer, uint32_t index,
		     struct svr_peer_key *out);
/* Metadata key of the peer: what we encrypt with. */
int svr_keys_meta_tx(const struct svr_mapset *maps, uint32_t peer, struct svr_meta_key *out);
/* Own metadata key of an index: what peers encrypt with. */
int svr_keys_meta_rx(const struct svr_mapset *maps, uint32_t index, struct svr_meta_key *out);

/* Index of what svr_keys_peer_tx() gives now, 0: none. Without the lock: a hint for every packet. */
uint32_t svr_keys_peer_tx_index(const struct svr_mapset *maps, uint32_t peer);

/* Peer's clock minus ours, 0 while it was not measured. */
int64_t svr_keys_clock_offset(const struct svr_mapset *maps, uint32_t peer);

/* Contexts, owned by the cache; valid until the next call. NULL if memory or libcrypto fails. */
struct svr_hmac_key *svr_keycache_hmac(struct svr_keycache *k, struct svr_crypt *c, uint32_t peer,
				       uint8_t hmac, const uint8_t key[static SVR_HMAC_KEY_LEN]);
/*
 * Metadata encryption key of one direction between us and @peer (docs/protocol.md section 4): of the
 * receiver's @key and the sender's session HMAC key.
 */
struct svr_cipher_key *svr_keycache_meta(struct svr_keycache *k, struct svr_crypt *c, uint32_t peer,
					 enum svr_crypt_use use, const struct svr_meta_key *key,
					 const uint8_t hmac_key[static SVR_HMAC_KEY_LEN]);

#endif
