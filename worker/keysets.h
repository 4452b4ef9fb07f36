/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Session keys ready for use, of one thread: expanded for AES, hash states computed. They are big, and
 * sessions many, so only those are kept that were needed lately; the others are made again from the
 * keys in the session's slot. All memory is taken at the start. What is no longer kept is wiped.
 */
#ifndef SVR_WORKER_KEYSETS_H
#define SVR_WORKER_KEYSETS_H

#include <stdbool.h>
#include <stdint.h>
#include <linux/types.h>
#include <svr/limits.h>

#include "lib/crypt.h"

enum {
	SVR_KEYSETS = 8192, /* of a thread, if nothing else is said */
	SVR_KEYSETS_MIN = 256, /* more than a batch can have in work */
	SVR_KEYSETS_MAX = 1 << 20,
};

/* Keys of one epoch of a session, and what else its packets need that can be made again. */
struct svr_keyset {
	uint32_t slot, generation; /* of the session */
	uint16_t epoch; /* 0: nobody's */
	uint16_t refs; /* packets in work */
	bool used; /* since it was last thought of to be given up */
	bool gone; /* only packets in work still know it */
	uint32_t next; /* in its chain */
	uint64_t tx_first; /* packet counter when they were put in */
	uint32_t nexthop; /* where the LAN neighbour was found last; 0: not yet */
	__be32 lan_target[4]; /* the LAN neighbour */
	struct svr_hmac_key *hmac_tx, *hmac_rx;
	struct svr_cipher_key *enc_tx, *enc_rx; /* NULL: the session does not encrypt */
};

struct svr_keysets;

/* Room for @count. 0 or -ENOMEM. @c: whose keys they are. */
int svr_keysets_new(const struct svr_crypt *c, uint32_t count, struct svr_keysets **out);
void svr_keysets_free(struct svr_keysets *ks); /* wipes; NULL is fine */
uint64_t svr_keysets_memory(const struct svr_keysets *ks); /* bytes, all taken at the start */

/* NULL: not kept. */
struct svr_keyset *svr_keysets_find(struct svr_keysets *ks, uint32_t slot, uint32_t generation,
				    uint16_t epoch);

/**
 * svr_keysets_take() - room for the keys of @epoch, in place of those that were not used for long.
 * The caller fills in the keys with the functions below, or calls svr_keysets_forget(). NULL: all
 * others are in work.
 */
struct svr_keyset *svr_keysets_take(struct svr_keysets *ks, uint32_t slot, uint32_t generation,
				    uint16_t epoch);

/**
 * svr_keyset_set_hmac() - the HMAC keys of a set that was taken.
 * Sessions with the same peer have the same ones: their states are computed once. @peer: tells those of
 * different peers apart. 0 or -EINVAL for an unknown algorithm.
 */
int svr_keyset_set_hmac(struct svr_keysets *ks, struct svr_keyset *k, uint8_t hmac, uint32_t peer,
			const uint8_t tx[static SVR_HMAC_KEY_LEN],
			const uint8_t rx[static SVR_HMAC_KEY_LEN]);

/* Its AES keys: @tx to seal, @rx to open. 0 or -ENOTSUP, see svr_cipher_key_set(). */
struct svr_aes_keys {
	const uint8_t *enc, *iv;
};
int svr_keyset_set_cipher(struct svr_crypt *c, struct svr_keyset *k, uint8_t cipher,
			  const struct svr_aes_keys *tx, const struct svr_aes_keys *rx);

/*
 * A session is over, or has other keys: wipes what there is of @slot, but for the epochs to @keep; what
 * is in work, when it is put back.
 */
void svr_keysets_forget(struct svr_keysets *ks, uint32_t slot, const uint16_t keep[static 2]);

/* A packet in work needs it for longer than until the next svr_keysets_take(). */
static inline struct svr_keyset *svr_keyset_get(struct svr_keyset *k)
{
	k->refs++;
	return k;
}
void svr_keyset_put(struct svr_keysets *ks, struct svr_keyset *k); /* NULL is fine */

#endif
