// SPDX-License-Identifier: BSD-2-Clause
/*
 * Clock offset. The true offset of a sample lies within half a round trip of what is computed, so
 * two samples whose ranges do not touch mean that somebody set a clock: then only the new one
 * counts.
 */
#include <string.h>

#include "lib/clockoff.h"

static const int64_t clockoff_age_max_ns =
	60 * (int64_t)SVR_NS_PER_SEC; /* an older echo says nothing */
static const int64_t clockoff_slack_ns =
	10 * (int64_t)SVR_NS_PER_MS; /* drift between samples, scheduling */

/* The difference of two unsigned times that may be anything: wraps instead of being undefined. */
static int64_t diff(uint64_t a, uint64_t b)
{
	return (int64_t)(a - b);
}

static int64_t magnitude(int64_t v)
{
	return v < 0 ? (v == INT64_MIN ? INT64_MAX : -v) : v;
}

static int best(const struct svr_clockoff *f)
{
	unsigned int i, at = 0;

	for (i = 1; i < f->count; i++)
		if (f->sample[i].delay_ns < f->sample[at].delay_ns)
			at = i;
	return (int)at;
}

static void forget(struct svr_clockoff *f)
{
	f->count = 0;
	f->next = 0;
}

void svr_clockoff_init(struct svr_clockoff *f, int64_t offset_ns, struct svr_now now)
{
	memset(f, 0, sizeof(*f));
	f->valid = true;
	f->offset_ns = diff((uint64_t)offset_ns + now.real_ns, now.mono_ns);
}

int64_t svr_clockoff_real(const struct svr_clockoff *f, struct svr_now now)
{
	return diff((uint64_t)f->offset_ns, now.real_ns - now.mono_ns);
}

bool svr_clockoff_add(struct svr_clockoff *f, uint64_t echo_mono_ns, uint64_t echo_rx_ns,
		      uint64_t tx_ns, uint64_t mono_ns)
{
	int64_t there_ns = diff(tx_ns, echo_rx_ns), away_ns = diff(mono_ns, echo_mono_ns);
	int64_t delay_ns, offset_ns;
	int at;

	if (away_ns < 0 || away_ns > clockoff_age_max_ns || there_ns < 0 ||
	    there_ns > away_ns + clockoff_slack_ns)
		return false;
	delay_ns = away_ns > there_ns ? away_ns - there_ns : 0;
	offset_ns = diff(echo_rx_ns, echo_mono_ns) / 2 + diff(tx_ns, mono_ns) / 2;

	if (f->count) {
		at = best(f);
		if (magnitude(diff((uint64_t)offset_ns, (uint64_t)f->sample[at].offset_ns)) >
		    (delay_ns + f->sample[at].delay_ns) / 2 + clockoff_slack_ns)
			forget(f); /* the peer's clock was set */
	}
	f->sample[f->next].offset_ns = offset_ns;
	f->sample[f->next].delay_ns = delay_ns;
	f->next = (f->next + 1) % SVR_CLOCKOFF_SAMPLES;
	if (f->count < SVR_CLOCKOFF_SAMPLES)
		f->count++;

	at = best(f);
	f->valid = true;
	f->offset_ns = f->sample[at].offset_ns;
	f->delay_ns = f->sample[at].delay_ns;
	return true;
}
