// SPDX-License-Identifier: BSD-2-Clause
/* Link quality: bursts of requests, judged in the order in which they were sent. */
#include <stdlib.h>
#include <string.h>

#include "lib/linktest.h"

enum { LINKTEST_US_PER_MS = 1000 };
static const uint64_t linktest_wait_ns = SVR_LINKTEST_WAIT_MS * SVR_NS_PER_MS;

/* ---- averages -------------------------------------------------------------------------------- */

static uint64_t bucket_ns(const struct svr_linktest *t)
{
	uint64_t ns = t->config.average_ms * SVR_NS_PER_MS / SVR_LINKTEST_BUCKETS;

	return ns ? ns : 1;
}

static uint64_t bucket_number(const struct svr_linktest *t, uint64_t now_ns)
{
	return now_ns / bucket_ns(t) + 1; /* 0 is an empty one */
}

static struct svr_linktest_bucket *bucket_now(struct svr_linktest *t, uint64_t now_ns)
{
	uint64_t number = bucket_number(t, now_ns);
	struct svr_linktest_bucket *b = &t->bucket[number % SVR_LINKTEST_BUCKETS];

	if (b->number != number)
		*b = (struct svr_linktest_bucket){ .number = number };
	return b;
}

uint32_t svr_linktest_mos(uint32_t latency_us, uint32_t jitter_us, uint32_t loss)
{
	/* One way, with the buffer that evens the jitter out and 10 ms for the codec. */
	double delay_ms = (latency_us / 2.0 + 2.0 * jitter_us) / LINKTEST_US_PER_MS + 10;
	double r = 93.2 - (delay_ms < 160 ? delay_ms / 40 : (delay_ms - 120) / 10) -
		   2.5 * loss * 100 / SVR_LINKTEST_LOSS_ALL;

	if (r < 0)
		r = 0;
	return (uint32_t)(100 * (1 + 0.035 * r + 0.000007 * r * (r - 60) * (100 - r)) + 0.5);
}

struct svr_linktest_quality svr_linktest_quality(const struct svr_linktest *t, uint64_t now_ns)
{
	uint64_t number = bucket_number(t, now_ns), latency_us = 0, jitter_us = 0;
	uint64_t answered = 0, lost = 0, pairs = 0;
	struct svr_linktest_quality q = { 0 };
	unsigned int i;

	for (i = 0; i < SVR_LINKTEST_BUCKETS; i++) {
		const struct svr_linktest_bucket *b = &t->bucket[i];

		if (!b->number || b->number + SVR_LINKTEST_BUCKETS <= number)
			continue;
		answered += b->answered;
		lost += b->lost;
		pairs += b->pairs;
		latency_us += b->latency_us;
		jitter_us += b->jitter_us;
	}
	q.valid = answered + lost;
	if (!q.valid)
		return q;
	q.loss = (uint32_t)(lost * SVR_LINKTEST_LOSS_ALL / (answered + lost));
	q.latency_us = answered ? (uint32_t)(latency_us / answered) : 0;
	q.jitter_us = pairs ? (uint32_t)(jitter_us / pairs) : 0;
	q.mos = svr_linktest_mos(q.latency_us, q.jitter_us, q.loss);
	return q;
}

/* ---- a burst --------------------------------------------------------------------------------- */

static void judge(struct svr_linktest *t, uint64_t now_ns)
{
	const struct svr_linktest_request *r = &t->request[t->judged], *before = r - 1;
	struct svr_linktest_bucket *b = bucket_now(t, now_ns);

	if (r->latency_us == UINT64_MAX) {
		b->lost++;
	} else {
		b->answered++;
		b->latency_us += r->latency_us;
		if (t->judged && before->latency_us != UINT64_MAX) {
			b->pairs++;
			b->jitter_us += r->latency_us > before->latency_us ?
						r->latency_us - before->latency_us :
						before->latency_us - r->latency_us;
		}
	}
	t->judged++;
}

static bool may_judge(const struct svr_linktest *t, uint64_t now_ns)
{
	const struct svr_linktest_request *r = &t->request[t->judged];

	return t->judged < t->sent &&
	       (r->latency_us != UINT64_MAX || now_ns - r->sent_ns >= linktest_wait_ns);
}

static void judge_all(struct svr_linktest *t, uint64_t now_ns)
{
	while (may_judge(t, now_ns))
		judge(t, now_ns);
}

/* When the oldest request is lost, when the next one goes out, or when the next burst begins. */
static void schedule(struct svr_linktest *t)
{
	uint64_t lost_ns = t->judged < t->sent ? t->request[t->judged].sent_ns + linktest_wait_ns :
						 UINT64_MAX;
	uint64_t send_ns = t->request[t->sent - 1].sent_ns + t->spacing_us * SVR_NS_PER_US;
	uint64_t burst_ns = t->begun_ns + t->config.interval_ms * SVR_NS_PER_MS;

	if (t->sent == t->config.length && t->judged < t->sent)
		send_ns = UINT64_MAX; /* the burst ends first */
	else if (t->sent == t->config.length && burst_ns > send_ns)
		send_ns = burst_ns;
	t->next_ns = lost_ns < send_ns ? lost_ns : send_ns;
}

bool svr_linktest_tick(struct svr_linktest *t, uint32_t *burst, uint16_t *number, uint64_t now_ns)
{
	if (!t->running || now_ns < t->next_ns)
		return false;
	judge_all(t, now_ns);
	if (t->sent)
		schedule(t);
	if (t->sent && now_ns < t->next_ns)
		return false;
	if (t->sent == t->config.length) { /* all of it is judged */
		t->sent = t->judged = 0;
		t->burst++;
	}
	if (t->sent == 0)
		t->begun_ns = now_ns;
	t->request[t->sent] = (struct svr_linktest_request){ now_ns, UINT64_MAX };
	*burst = t->burst;
	*number = (uint16_t)t->sent++;
	t->requests++;
	schedule(t);
	return true;
}

uint64_t svr_linktest_next(const struct svr_linktest *t)
{
	return t->running ? t->next_ns : UINT64_MAX;
}

bool svr_linktest_answer(struct svr_linktest *t, uint32_t burst, uint16_t number,
			 uint32_t accept_us, uint64_t now_ns)
{
	struct svr_linktest_request *r;

	if (!t->running || burst != t->burst || number < t->judged || number >= t->sent ||
	    t->request[number].latency_us != UINT64_MAX) {
		t->late++;
		return false;
	}
	r = &t->request[number];
	t->spacing_us = accept_us;
	r->latency_us = (now_ns - r->sent_ns) / SVR_NS_PER_US;
	t->answers++;
	judge_all(t, now_ns);
	schedule(t);
	return true;
}

/* ---- for the owner --------------------------------------------------------------------------- */

void svr_linktest_start(struct svr_linktest *t, uint32_t random, uint64_t now_ns)
{
	if (t->running || !t->config.length)
		return;
	if (!t->request)
		t->request = calloc(t->config.length, sizeof(*t->request));
	if (!t->request)
		return; /* tried again at the next chance; nothing hangs on it */
	t->running = true;
	t->sent = t->judged = 0;
	t->burst++;
	t->next_ns = now_ns + random % SVR_LINKTEST_START_MS * SVR_NS_PER_MS;
}

void svr_linktest_stop(struct svr_linktest *t)
{
	t->running = false;
}

void svr_linktest_configure(struct svr_linktest *t, const struct svr_linktest_config *config)
{
	const struct svr_linktest_config *c = &t->config;

	if (c->interval_ms == config->interval_ms && c->average_ms == config->average_ms &&
	    c->accept_us == config->accept_us && c->length == config->length)
		return;
	svr_linktest_stop(t);
	free(t->request);
	t->request = NULL;
	if (t->config.average_ms != config->average_ms)
		memset(t->bucket, 0, sizeof(t->bucket));
	t->config = *config;
	t->spacing_us = config->accept_us; /* until the peer says what it takes */
}

void svr_linktest_free(struct svr_linktest *t)
{
	svr_linktest_stop(t);
	free(t->request);
	t->request = NULL;
}
