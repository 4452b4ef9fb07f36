/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Static keys (docs/protocol.md section 9, "Static keys"): what stands in place of agreed keys when
 * all routers of an authority share the keys of its security policies. Part of libsvr.
 */
#ifndef SVR_LIB_STATICKEY_H
#define SVR_LIB_STATICKEY_H

#include <stddef.h>
#include <stdint.h>
#include <svr/maps.h>

/**
 * svr_static_peer_key() - what two routers use as their peer key.
 * @secret: of the inter-router policy, svr_config_policy_secret()
 * @own, @peer: common names
 * @out: index, flags and all keys are filled, since_ns is 0; wipe it
 * Other keys have another index: a packet under them is known for what it is. 0 or negative errno.
 */
int svr_static_peer_key(const uint8_t *secret, size_t len, const char *own, const char *peer,
			struct svr_peer_key *out);

/* The same for the metadata key of a router; @flags as given. 0 or negative errno. */
int svr_static_meta_key(const uint8_t *secret, size_t len, const char *owner, uint32_t flags,
			struct svr_meta_key *out);

/* Wrap key of the policy of a service, from its own secret. 0 or negative errno. */
int svr_static_wrap_key(const uint8_t *secret, size_t len, const char *policy,
			uint8_t out[static SVR_WRAP_KEY_LEN]);

/* Wrap or unwrap, in place, the session key of a session and epoch. 0 or negative errno. */
int svr_static_wrap(const uint8_t wrap[static SVR_WRAP_KEY_LEN],
		    const uint8_t uuid[static SVR_UUID_LEN], uint16_t epoch,
		    uint8_t session_key[static SVR_SESSION_KEY_LEN]);

#endif
