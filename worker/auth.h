/* SPDX-License-Identifier: BSD-2-Clause */
/* Is a packet from the peer what the peer sent? Tag with its time windows, L4 checksum. */
#ifndef SVR_WORKER_AUTH_H
#define SVR_WORKER_AUTH_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/crypt.h"

struct svr_pkt;
struct svr_seal;
struct svr_thread;

struct svr_auth {
	struct svr_hmac_key *key;
	struct svr_hmac_key *other; /* tried if @key does not fit; NULL: none */
	uint8_t hmac; /* enum svr_hmac */
	uint8_t hmac_mode;
	uint8_t dir; /* enum svr_dir */
	uint32_t peer; /* whose clock counts */
	const uint8_t *uuid; /* NULL: packet with session metadata */
	int8_t *hint; /* window that fitted last, updated; NULL: none */
	/* A window that does not fit with @key. It may not be the likeliest any more: the hint moves */
	const uint64_t *tried; /* NULL: none */
	struct svr_seal *gcm; /* of a GCM packet that did not open with @tried; NULL: HMAC */
	uint64_t window; /* result: the one that fits */
};

/* The window to try first. */
uint64_t svr_auth_likely_window(const struct svr_thread *t, const struct svr_auth *a);

/*
 * 0 or a negative drop reason: hmac, hmac-skew, bad-checksum. The caller has checked that the
 * payload is not shorter than the tag. The checksum comes second: it is outside of the tag, and a
 * wrong tag says more about a changed packet. If it was @other that fitted, both have changed places.
 */
int svr_auth_check(struct svr_thread *t, const struct svr_pkt *p, struct svr_auth *a);

/*
 * Its halves. The first one of a GCM packet opens it, after which there is no checksum to look at.
 */
int svr_auth_tag(struct svr_thread *t, const struct svr_pkt *p, struct svr_auth *a);
int svr_auth_checksum(const struct svr_pkt *p);

#endif
