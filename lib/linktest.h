/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Link quality of one peer path: bursts of requests that the peer answers at once, inside of
 * authenticated BFD packets (docs/protocol.md section 8). Latency, jitter and loss are averages over
 * a sliding time. Knows nothing of packets: who sends has sealed a request, who received has
 * verified an answer. Part of libsvr.
 */
#ifndef SVR_LIB_LINKTEST_H
#define SVR_LIB_LINKTEST_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/now.h"

enum svr_linktest_limits {
	SVR_LINKTEST_BUCKETS = 12, /* parts that the averaging time is cut into */
	SVR_LINKTEST_WAIT_MS = 2000, /* an answer that takes longer is lost */
	SVR_LINKTEST_START_MS = 1000, /* the first burst comes within this time, at random */
	SVR_LINKTEST_LOSS_ALL = 10000, /* unit of loss: one of so many packets */
};

struct svr_linktest_config {
	uint32_t interval_ms; /* from the begin of one burst to that of the next */
	uint32_t average_ms;
	uint32_t accept_us; /* own limit: requests that come faster need not be answered */
	uint8_t length; /* requests of a burst, 0: no tests */
};

struct svr_linktest_bucket {
	uint64_t number; /* time divided by the length of a bucket; 0: empty */
	uint32_t answered, lost, pairs;
	uint64_t latency_us, jitter_us; /* sums over @answered, over @pairs */
};

/* All zeros is a test that does not run. */
struct svr_linktest {
	struct svr_linktest_config config;
	bool running;
	uint32_t burst; /* number of the burst: goes up */
	unsigned int sent, judged; /* of this burst, in the order of their numbers */
	struct svr_linktest_request {
		uint64_t sent_ns; /* monotonic */
		uint64_t latency_us; /* UINT64_MAX: no answer yet */
	} *request; /* config.length of them; NULL: none yet */
	uint32_t spacing_us; /* between requests: what the peer asks for */
	uint64_t begun_ns, next_ns;
	struct svr_linktest_bucket bucket[SVR_LINKTEST_BUCKETS];
	uint64_t requests, answers, late; /* since the begin; late: also for nobody's request */
};

struct svr_linktest_quality {
	bool valid; /* anything was judged within the averaging time */
	uint32_t latency_us; /* round trip */
	uint32_t jitter_us; /* mean difference of the round trips of neighbours */
	uint32_t loss; /* of SVR_LINKTEST_LOSS_ALL; a round trip that fails in either direction */
	uint32_t mos; /* mean opinion score * 100 */
};

/* Another configuration, also while it runs; figures stay unless the averaging time is another one. */
void svr_linktest_configure(struct svr_linktest *t, const struct svr_linktest_config *config);
/* @random: of the first burst's delay, so that many paths do not test in step. */
void svr_linktest_start(struct svr_linktest *t, uint32_t random, uint64_t now_ns);
/* What is under way counts neither as answered nor as lost. */
void svr_linktest_stop(struct svr_linktest *t);
void svr_linktest_free(struct svr_linktest *t);

/**
 * svr_linktest_tick() - does what is due.
 * Return: true if a request with *@burst and *@number is to be sent now; then call again.
 */
bool svr_linktest_tick(struct svr_linktest *t, uint32_t *burst, uint16_t *number, uint64_t now_ns);
uint64_t svr_linktest_next(const struct svr_linktest *t); /* monotonic; UINT64_MAX: never */

/*
 * An authenticated answer. @accept_us: the peer's limit, from which the distance of requests
 * follows. True if it was for a request under way.
 */
bool svr_linktest_answer(struct svr_linktest *t, uint32_t burst, uint16_t number,
			 uint32_t accept_us, uint64_t now_ns);

struct svr_linktest_quality svr_linktest_quality(const struct svr_linktest *t, uint64_t now_ns);

/* Mean opinion score * 100 by the usual simplification of ITU-T G.107: 100 (bad) to 450. */
uint32_t svr_linktest_mos(uint32_t latency_us, uint32_t jitter_us, uint32_t loss);

#endif
