/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The own metadata keys: what peers encrypt metadata with that is for us (docs/protocol.md section
 * 9, "Rotation"). A new key can be received with before anybody hears of it; the ones before go
 * when no peer can send under them any more, which svr_peering_meta_settled() tells. Part of
 * libsvr.
 */
#ifndef SVR_LIB_OWNKEYS_H
#define SVR_LIB_OWNKEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <svr/maps.h>

#include "lib/now.h"

typedef int (*svr_random_fn)(void *user, void *out, size_t len); /* 0 or negative errno */

/* Is there a key that peers can be told? */
bool svr_own_keys_valid(const struct svr_own_keys *own);

/**
 * svr_own_keys_rotate() - make another key, or the first one; from now on it is the one to be told.
 * The owner stores @own, and only then calls svr_peering_own_keys_changed() of every peering.
 * Return: 0, -EBUSY while all slots are still in use by peers, -EIO; then nothing has changed.
 */
int svr_own_keys_rotate(struct svr_own_keys *own, svr_random_fn random, void *user,
			struct svr_now now);

/* Wipes all keys but the one that was told last. True if there were any. */
bool svr_own_keys_retire(struct svr_own_keys *own);

#endif
