/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Path MTU discovery of one peer path (docs/protocol.md section 8): packets of chosen sizes that the
 * network may not fragment, each answered by a small one. A size fits if it was answered, and it
 * does not if it was not answered three times in a row: so a network that drops without a word is no
 * special case. What ICMP says is never believed, it only tells which size to try next.
 * Sizes are bytes of a whole IP packet. Part of libsvr.
 */
#ifndef SVR_LIB_PATHMTU_H
#define SVR_LIB_PATHMTU_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/now.h"

enum svr_pathmtu_limits {
	SVR_PATHMTU_TRIES = 3, /* silences that mean too big */
	SVR_PATHMTU_WAIT_MAX_MS = 1000, /* for an answer */
	SVR_PATHMTU_WAIT_MIN_MS = 200, /* beside four round trips */
	SVR_PATHMTU_MIN4 = 576, /* every IPv4 host takes it (RFC 1122), and so does svr */
	SVR_PATHMTU_MIN6 = 1280, /* RFC 8200 5 */
};

struct svr_pathmtu_config {
	bool enabled;
	uint32_t interval_s; /* from the end of a search to the next one */
	uint16_t min, max; /* what is searched between, min <= max: the MTU of the own interface */
};

/* All zeros is a discovery that does not run. */
struct svr_pathmtu {
	struct svr_pathmtu_config config;
	bool running;
	bool searching;
	bool unresolvable; /* not even the smallest size passes */
	uint16_t result; /* 0: not known */
	/* of the search under way */
	uint16_t passed; /* largest size that was answered, 0: none */
	uint16_t failed; /* smallest size that was not, max + 1: none */
	uint16_t hint; /* to try next, 0: none */
	bool hinted; /* @passed came from a hint: see whether one byte more fails */
	uint16_t probing; /* size under way, 0: none */
	uint32_t id; /* of its packets: goes up with each */
	unsigned int tries; /* that were sent of it */
	uint64_t next_ns;
	uint64_t probes, answers; /* since the begin */
};

/* Another configuration, also while it runs. */
void svr_pathmtu_configure(struct svr_pathmtu *m, const struct svr_pathmtu_config *config,
			   uint64_t now_ns);
/* @known: what an earlier search found, 0: nothing. It stands until the new search says otherwise. */
void svr_pathmtu_start(struct svr_pathmtu *m, uint16_t known, uint64_t now_ns);
void svr_pathmtu_stop(struct svr_pathmtu *m);

/**
 * svr_pathmtu_tick() - does what is due.
 * @rtt_ns: round trip of the path, 0: not known
 * Return: true if a probe of *@size bytes with *@id is to be sent now.
 */
bool svr_pathmtu_tick(struct svr_pathmtu *m, uint64_t rtt_ns, uint32_t *id, uint16_t *size,
		      uint64_t now_ns);
uint64_t svr_pathmtu_next(const struct svr_pathmtu *m); /* monotonic; UINT64_MAX: never */

/* An authenticated answer: a probe of @size bytes has come whole. */
void svr_pathmtu_answer(struct svr_pathmtu *m, uint32_t id, uint16_t size, uint64_t now_ns);

/* Somebody claims that what is under way does not fit and that @mtu does. */
void svr_pathmtu_too_big(struct svr_pathmtu *m, uint32_t mtu, uint64_t now_ns);

#endif
