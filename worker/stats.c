// SPDX-License-Identifier: BSD-2-Clause
/* Histograms, and everything as rows. */
#include <json-c/json.h>

#include "worker/stats.h"
#include "worker/worker.h"

static const struct {
	const char *name, *text;
} stats[SVR_TSTAT_MAX] = {
#define X(id, name, text) { name, text },
	SVR_THREAD_STATS(X)
#undef X
};

static const struct {
	const char *name, *unit, *text;
} histograms[SVR_THIST_MAX] = {
#define X(id, name, unit, text) { name, unit, text },
	SVR_THREAD_HISTOGRAMS(X)
#undef X
};

static const struct {
	const char *name, *text;
} drops[SVR_DROP_MAX] = {
#define X(id, n, name, text) [n] = { name, text },
	SVR_DROP_REASONS(X)
#undef X
};

static unsigned int bucket_of(uint64_t value)
{
	unsigned int n = value ? 63u - (unsigned int)__builtin_clzll(value) : 0;

	return n < SVR_HISTOGRAM_BUCKETS ? n : SVR_HISTOGRAM_BUCKETS - 1;
}

void svr_thist(struct svr_thread_stats *s, enum svr_thread_histogram which, uint64_t value)
{
	struct svr_histogram *h = &s->histogram[which];

	svr_tally(&h->count[bucket_of(value)], 1);
	svr_tally(&h->sum, value);
}

/* ---- show ---------------------------------------------------------------------------------- */

static void put_str(struct json_object *o, const char *key, const char *value)
{
	json_object_object_add(o, key, json_object_new_string(value));
}

static void put_u64(struct json_object *o, const char *key, uint64_t value)
{
	json_object_object_add(o, key, json_object_new_uint64(value));
}

static struct json_object *row_new(struct json_object *list, unsigned int thread,
				   const char *metric, uint64_t value, const char *text)
{
	struct json_object *o = json_object_new_object();

	put_u64(o, "thread", thread);
	put_str(o, "metric", metric);
	put_u64(o, "value", value);
	put_str(o, "text", text);
	json_object_array_add(list, o);
	return o;
}

static void histogram_rows(struct json_object *list, unsigned int thread, unsigned int which,
			   const struct svr_histogram *h)
{
	struct json_object *o;
	uint64_t n;

	for (unsigned int i = 0; i < SVR_HISTOGRAM_BUCKETS; i++) {
		n = __atomic_load_n(&h->count[i], __ATOMIC_RELAXED);
		if (!n)
			continue;
		o = row_new(list, thread, histograms[which].name, n, histograms[which].text);
		put_u64(o, "from", i ? 1ULL << i : 0);
		if (i < SVR_HISTOGRAM_BUCKETS - 1)
			put_u64(o, "to", (2ULL << i) - 1);
		put_str(o, "unit", histograms[which].unit);
	}
}

static void thread_rows(struct json_object *list, const struct svr_thread *t)
{
	const struct svr_thread_stats *s = &t->stats;
	unsigned int i;
	uint64_t n;

	for (i = 0; i < SVR_TSTAT_MAX; i++)
		row_new(list, t->number, stats[i].name,
			__atomic_load_n(&s->count[i], __ATOMIC_RELAXED), stats[i].text);
	for (i = 0; i < SVR_THIST_MAX; i++)
		histogram_rows(list, t->number, i, &s->histogram[i]);
	for (i = 0; i < SVR_DROP_MAX; i++) {
		n = __atomic_load_n(&s->drops[i], __ATOMIC_RELAXED);
		if (n && drops[i].name)
			row_new(list, t->number, drops[i].name, n, drops[i].text);
	}
}

struct json_object *svr_stats_json(const struct svr_worker *w)
{
	struct json_object *list = json_object_new_array();
	unsigned int i;

	for (i = 0; i < w->pool.n; i++)
		thread_rows(list, w->pool.thread[i]);
	return list;
}
