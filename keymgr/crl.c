// SPDX-License-Identifier: BSD-2-Clause
/* Revocation lists: sources, their timers, and the way of a list from its server into use. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include <event2/event.h>
#include <json-c/json.h>
#include <openssl/evp.h>

#include "alarms.h"
#include "counters.h"
#include "crl.h"
#include "keymgr.h"
#include "lib/alarms.h"
#include "lib/pki_file.h"
#include "sys/fetch.h"
#include "sys/jobs.h"
#include "sys/log.h"

#define FILE_URL       "file://"

enum {
	CRL_DIGEST_LEN = 32, /* SHA-256 */
	CRL_FILE_LEN = 2 * 16 + sizeof(".crl"), /* half a SHA-256 in hexadecimal */
	CRL_MS_PER_SEC = 1000,
	CRL_POLL_JITTER = 10, /* up to a tenth earlier, so that routers do not ask all at once */
	CRL_BACKOFF_JITTER = 4,
};

/* In the order in which a source goes through them. */
#define CRL_STATES(X)                                            \
	X(LOADING, "loading") /* the list that was kept is read */ \
	X(IDLE, "idle")                                            \
	X(WAITING, "waiting") /* due, but enough are under way */  \
	X(FETCHING, "fetching")                                    \
	X(INGESTING, "ingesting")                                  \
	X(STORING, "storing")

enum crl_state {
#define X(id, name) CRL_##id,
	CRL_STATES(X)
#undef X
};

static const char *const state_names[] = {
#define X(id, name) [CRL_##id] = name,
	CRL_STATES(X)
#undef X
};

struct source {
	struct km_crl *c;
	char url[SVR_PKI_URL_LEN];
	bool configured;
	bool wanted; /* between begin and end */
	bool forced; /* somebody asked for it */
	enum crl_state state;
	struct event *timer;
	struct svr_fetch *fetch; /* FETCHING */
	struct job *job; /* LOADING, INGESTING, STORING */
	uint64_t due_ns; /* monotonic; 0: not waiting for a time */
	uint64_t waits_ns; /* monotonic: since when it is due */
	int64_t tried_sec, good_sec; /* since 1970; 0: never */
	unsigned int failures; /* since the last success */
	bool stored;
	char reason[SVR_PKI_REPORT_LEN + 64]; /* of the last failure; "" = none */
	struct svr_pki_crl *crl; /* the last good list */
	bool has_digest;
	uint8_t digest[CRL_DIGEST_LEN]; /* of its bytes as they came */
	TAILQ_ENTRY(source) entry;
};

/* A list on its way; belongs to a thread while the work is done. */
struct job {
	struct km_crl *c;
	struct source *source; /* NULL: gone meanwhile */
	bool kept, forced;
	char path[KM_PATH_LEN + CRL_FILE_LEN]; /* file to be read; "": data is there */
	char dir[KM_PATH_LEN], file[CRL_FILE_LEN]; /* where it is kept */
	uint8_t *data;
	size_t len;
	struct svr_pki_anchors *anchors;
	struct svr_pki_der issuer[KM_CRL_ISSUERS_MAX]; /* copies */
	unsigned int n_issuers;
	int64_t now_sec;
	bool compare;
	uint8_t old_digest[CRL_DIGEST_LEN];
	/* what comes out */
	int error;
	bool same; /* as the list before, byte by byte */
	uint8_t digest[CRL_DIGEST_LEN];
	struct svr_pki_report report;
	struct svr_pki_crl *crl, *before;
	size_t added, removed;
	char reason[SVR_PKI_REPORT_LEN + 64];
	TAILQ_ENTRY(job) entry;
};

struct km_crl {
	struct keymgr *km;
	const struct km_crl_ops *ops;
	void *user;
	char dir[KM_PATH_LEN]; /* <pki dir>/crl */
	uint32_t polling_s, backoff_s;
	struct svr_fetcher *fetcher;
	struct svr_pki_crls *set;
	unsigned int fetching, loading;
	struct job *working; /* one list at a time: key exchanges need the other thread */
	TAILQ_HEAD(, source) sources;
	TAILQ_HEAD(, job) jobs; /* that wait */
};

static void start_waiting(struct km_crl *c);
static void source_due(struct source *s);

static int64_t now_sec(void)
{
	return (int64_t)(km_now().real_ns / SVR_NS_PER_SEC);
}

/* ---- timers ---------------------------------------------------------------------------------- */

/* Between @ms less a part of it and @ms. */
static uint64_t jitter(uint64_t ms, unsigned int part)
{
	uint32_t random = 0;

	/* Without randomness it is just not there. */
	(void)km_random(&random, sizeof(random));
	return ms - ms / part * random / UINT32_MAX;
}

static void schedule(struct source *s, uint64_t wait_ms)
{
	struct timeval wait = { .tv_sec = (time_t)(wait_ms / CRL_MS_PER_SEC),
				.tv_usec = (suseconds_t)(wait_ms % CRL_MS_PER_SEC * 1000) };

	s->state = CRL_IDLE;
	s->due_ns = km_now().mono_ns + wait_ms * SVR_NS_PER_MS;
	evtimer_add(s->timer, &wait);
}

static void schedule_next(struct source *s)
{
	uint64_t poll_ms = (uint64_t)s->c->polling_s * CRL_MS_PER_SEC,
		 wait_ms = (uint64_t)s->c->backoff_s * CRL_MS_PER_SEC;
	unsigned int i;

	if (!s->failures) {
		schedule(s, jitter(poll_ms, CRL_POLL_JITTER));
		return;
	}
	for (i = 1; i < s->failures && wait_ms < poll_ms; i++)
		wait_ms *= 2;
	schedule(s, jitter(wait_ms < poll_ms ? wait_ms : poll_ms, CRL_BACKOFF_JITTER));
}

/* ---- the end of a round ---------------------------------------------------------------------- */

static void source_failed(struct source *s, const char *what, const char *reason)
{
	struct keymgr *km = s->c->km;

	s->failures++;
	s->forced = false;
	snprintf(s->reason, sizeof(s->reason), "%s: %s", what, reason);
	if (s->failures == 1)
		pr_warn("revocation list %s: %s", s->url, s->reason);
	km_alarm_raise(km->alarms, SVR_ALARM_MAJOR, SVR_ALARM_CRL, s->url, KM_PROCESS,
		       "Revocation list cannot be retrieved: %s: %s", s->url, s->reason);
	schedule_next(s);
}

static void source_succeeded(struct source *s)
{
	s->failures = 0;
	s->forced = false;
	s->reason[0] = '\0';
	s->good_sec = now_sec();
	km_alarm_clear(s->c->km->alarms, SVR_ALARM_CRL, s->url, KM_PROCESS);
	schedule_next(s);
}

/* ---- a list on its thread -------------------------------------------------------------------- */

/* What the verdict is called, and its particulars. */
static void explain(struct job *j)
{
	snprintf(j->reason, sizeof(j->reason), "%s - %s", svr_pki_verdict_name(j->report.verdict),
		 j->report.text);
}

static int make_digest(const uint8_t *data, size_t len, uint8_t out[static CRL_DIGEST_LEN])
{
	return EVP_Q_digest(NULL, "SHA2-256", NULL, data, len, out, NULL) == 1 ? 0 : -EIO;
}

static void work_ingest(void *arg)
{
	struct job *j = arg;

	if (j->path[0])
		j->error = svr_pki_file_read(j->path, KM_CRL_BYTES_MAX, false,
					     (char **)&j->data, &j->len, j->reason,
					     sizeof(j->reason));
	if (j->error)
		return;
	j->error = make_digest(j->data, j->len, j->digest);
	if (j->error)
		return;
	j->same = j->compare && memcmp(j->digest, j->old_digest, sizeof(j->digest)) == 0;
	if (!j->same)
		j->error = svr_pki_crl_ingest(j->data, j->len, j->anchors, j->issuer, j->n_issuers,
					      j->now_sec, j->kept ? SVR_PKI_CRL_ALLOW_EXPIRED : 0,
					      &j->crl, &j->report);
	if (j->error)
		explain(j);
}

static void work_store(void *arg)
{
	struct job *j = arg;

	svr_pki_crl_diff(j->before, j->crl, &j->added, &j->removed);
	j->error = svr_pki_file_write(j->dir, j->file, 0600, true, j->data, j->len, j->reason,
				      sizeof(j->reason));
}

/* ---- jobs ------------------------------------------------------------------------------------ */

static void job_free(struct job *j)
{
	unsigned int i;

	if (!j)
		return;
	for (i = 0; i < j->n_issuers; i++)
		free((void *)j->issuer[i].data);
	svr_pki_anchors_free(j->anchors);
	svr_pki_crl_free(j->crl);
	svr_pki_crl_free(j->before);
	free(j->data);
	free(j);
}

static int job_copy_issuers(struct job *j)
{
	struct svr_pki_der der[KM_CRL_ISSUERS_MAX];
	unsigned int i, n = j->c->ops->issuers(j->c->user, der, KM_CRL_ISSUERS_MAX);

	for (i = 0; i < n; i++) {
		uint8_t *copy = malloc(der[i].len);

		if (!copy)
			return -ENOMEM;
		memcpy(copy, der[i].data, der[i].len);
		j->issuer[j->n_issuers++] = (struct svr_pki_der){ copy, der[i].len };
	}
	return 0;
}

/* Half a digest of the URL: a name that holds whatever stands in it. */
static int kept_file(const char *url, char file[static CRL_FILE_LEN])
{
	uint8_t digest[CRL_DIGEST_LEN];
	unsigned int i;
	int ret = make_digest((const uint8_t *)url, strlen(url), digest);

	for (i = 0; i < CRL_DIGEST_LEN / 2 && !ret; i++)
		snprintf(file + 2 * i, 3, "%02x", digest[i]);
	snprintf(file + CRL_DIGEST_LEN, CRL_FILE_LEN - CRL_DIGEST_LEN, ".crl");
	return ret;
}

static void forget_kept(const char *dir, const char *file)
{
	(void)svr_pki_file_remove(dir, file); /* it may never have been kept */
}

static struct job *job_new(struct source *s)
{
	struct km_crl *c = s->c;
	struct job *j = calloc(1, sizeof(*j));

	if (!j)
		return NULL;
	j->c = c;
	j->source = s;
	j->forced = s->forced;
	j->now_sec = now_sec();
	j->compare = s->has_digest && s->crl;
	memcpy(j->old_digest, s->digest, sizeof(j->old_digest));
	snprintf(j->dir, sizeof(j->dir), "%s", c->dir);
	j->anchors = c->ops->anchors(c->user);
	if (kept_file(s->url, j->file) || job_copy_issuers(j)) {
		job_free(j);
		return NULL;
	}
	return j;
}

static void on_ingested(void *arg, int cancelled);
static void on_stored(void *arg, int cancelled);

/* One after the other. */
static void start_job(struct km_crl *c)
{
	struct job *j = TAILQ_FIRST(&c->jobs);

	if (c->working || !j)
		return;
	TAILQ_REMOVE(&c->jobs, j, entry);
	c->working = j;
	if (svr_jobs_submit(c->km->jobs, work_ingest, on_ingested, j)) {
		j->error = -ENOMEM;
		snprintf(j->reason, sizeof(j->reason), "out of memory");
		on_ingested(j, 0);
	}
}

static void job_queue(struct source *s, struct job *j, enum crl_state state)
{
	s->job = j;
	s->state = state;
	TAILQ_INSERT_TAIL(&s->c->jobs, j, entry);
	start_job(s->c);
}

static void job_end(struct job *j)
{
	struct km_crl *c = j->c;

	if (j->source)
		j->source->job = NULL;
	if (j->kept)
		c->loading--;
	c->working = NULL;
	job_free(j);
	start_job(c);
}

/* ---- a list that was checked ----------------------------------------------------------------- */

/* 1: came into use, 0: was in use, negative: refused with a reason. */
static int take_into_use(struct job *j)
{
	struct km_crl *c = j->c;
	struct svr_pki_crl *before = svr_pki_crls_same(c->set, j->crl);
	int ret;

	if (before)
		j->before = svr_pki_crl_use(before);
	ret = svr_pki_crls_put(c->set, j->crl, &j->report);
	if (ret < 0) {
		explain(j);
		return ret;
	}
	svr_pki_crl_free(j->source->crl);
	j->source->crl = svr_pki_crl_use(j->crl);
	memcpy(j->source->digest, j->digest, sizeof(j->digest));
	j->source->has_digest = true;
	if (ret)
		c->ops->changed(c->user);
	return ret;
}

static void audit(const struct job *j, bool success)
{
	const struct svr_pki_crl_info *info = svr_pki_crl_info(j->crl);
	struct json_object *o = json_object_new_object();
	char date[40];

	if (!o)
		return;
	json_object_object_add(o, "forced", json_object_new_boolean(j->forced));
	svr_pki_date_text(info->this_update, date, sizeof(date));
	json_object_object_add(o, "last_updated", json_object_new_string(date));
	svr_pki_date_text(info->next_update, date, sizeof(date));
	json_object_object_add(o, "next_update", json_object_new_string(date));
	json_object_object_add(o, "crl_url", json_object_new_string(j->source->url));
	json_object_object_add(o, "size", json_object_new_uint64(info->bytes));
	json_object_object_add(o, "total_entries", json_object_new_uint64(info->entries));
	json_object_object_add(o, "added_entries", json_object_new_uint64(j->added));
	json_object_object_add(o, "removed_entries", json_object_new_uint64(j->removed));
	json_object_object_add(o, "success", json_object_new_boolean(success));
	json_object_object_add(o, "certificate_authority", json_object_new_string(info->issuer));
	km_event_audit(j->c->km->alarms, "system.crl_update", o);
	json_object_put(o);
}

static void loaded(struct job *j)
{
	struct source *s = j->source;

	if (!j->error && take_into_use(j) >= 0)
		pr_info("revocation list %s: %zu entries taken back from %s/%s", s->url,
			svr_pki_crl_info(j->crl)->entries, j->dir, j->file);
	else if (j->error != -ENOENT)
		pr_warn("%s/%s: %s", j->dir, j->file, j->reason);
	s->stored = !j->error;
	s->job = NULL;
	job_end(j);
	source_due(s);
}

static void ingest_failed(struct job *j)
{
	struct source *s = j->source;
	char reason[sizeof(j->reason)];

	snprintf(reason, sizeof(reason), "%s", j->reason[0] ? j->reason : strerror(-j->error));
	km_counter_add(s->c->km, KM_COUNT_CRL_INGESTION_FAILURE);
	job_end(j);
	source_failed(s, "list is refused", reason);
}

static void unchanged(struct job *j)
{
	struct source *s = j->source;

	if (j->now_sec <= svr_pki_crl_info(s->crl)->next_update) {
		job_end(j);
		source_succeeded(s);
		return;
	}
	j->error = -EKEYREJECTED;
	j->report.verdict = SVR_PKI_CRL_EXPIRED;
	snprintf(j->report.text, sizeof(j->report.text), "%s",
		 svr_pki_verdict_sentence(SVR_PKI_CRL_EXPIRED));
	explain(j);
	ingest_failed(j);
}

static void on_ingested(void *arg, int cancelled)
{
	struct job *j = arg;
	struct source *s = j->source;
	int ret;

	if (cancelled) {
		job_free(j);
		return;
	}
	if (!s) {
		job_end(j);
		return;
	}
	if (j->kept) {
		loaded(j);
		return;
	}
	if (!j->error && j->same) {
		unchanged(j);
		return;
	}
	ret = j->error ? j->error : take_into_use(j);
	if (ret < 0) {
		j->error = ret;
		ingest_failed(j);
		return;
	}
	if (ret == 0 && s->stored) { /* other bytes, but the same list */
		km_counter_add(s->c->km, KM_COUNT_CRL_INGESTION_SUCCESS);
		job_end(j);
		source_succeeded(s);
		return;
	}
	s->state = CRL_STORING;
	if (svr_jobs_submit(s->c->km->jobs, work_store, on_stored, j)) {
		j->error = -ENOMEM;
		on_stored(j, 0);
	}
}

static void on_stored(void *arg, int cancelled)
{
	struct job *j = arg;
	struct source *s = j->source;
	struct keymgr *km = j->c->km;
	char reason[sizeof(j->reason)];
	int error = j->error;

	if (cancelled) {
		job_free(j);
		return;
	}
	if (!s) {
		forget_kept(j->dir, j->file);
		job_end(j);
		return;
	}
	s->stored = !error;
	km_counter_add(km, error ? KM_COUNT_CRL_INGESTION_FAILURE :
				   KM_COUNT_CRL_INGESTION_SUCCESS);
	pr_info("revocation list %s: %zu entries, %zu more and %zu less than before", s->url,
		svr_pki_crl_info(j->crl)->entries, j->added, j->removed);
	audit(j, !error);
	snprintf(reason, sizeof(reason), "%s", j->reason[0] ? j->reason : strerror(-error));
	job_end(j);
	if (error) {
		s->has_digest = false; /* so that the next one is written, too */
		source_failed(s, "list is in use, but cannot be kept", reason);
	} else {
		source_succeeded(s);
	}
}

/* ---- fetching -------------------------------------------------------------------------------- */

static void ingest(struct source *s, uint8_t **data, size_t len, const char *path)
{
	struct job *j = job_new(s);

	if (!j) {
		source_failed(s, "list is refused", "out of memory");
		return;
	}
	if (!j->anchors) {
		km_counter_add(s->c->km, KM_COUNT_CRL_INGESTION_FAILURE);
		job_free(j);
		source_failed(s, "list is refused",
			      "there is no trusted-ca-certificate to check its signature with");
		return;
	}
	if (path)
		snprintf(j->path, sizeof(j->path), "%s", path);
	if (data) {
		j->data = *data;
		j->len = len;
		*data = NULL;
	}
	job_queue(s, j, CRL_INGESTING);
}

static void on_fetched(void *user, struct svr_fetch_answer *answer)
{
	struct source *s = user;
	struct km_crl *c = s->c;

	s->fetch = NULL;
	c->fetching--;
	if (answer->error) {
		km_counter_add(c->km, KM_COUNT_CRL_FETCH_FAILURE);
		source_failed(s, "fetch failed", answer->reason);
	} else {
		km_counter_add(c->km, KM_COUNT_CRL_FETCH_SUCCESS);
		ingest(s, &answer->data, answer->len, NULL);
	}
	start_waiting(c);
}

static void source_start(struct source *s)
{
	struct km_crl *c = s->c;
	int ret;

	s->tried_sec = now_sec();
	s->due_ns = 0;
	if (strncmp(s->url, FILE_URL, strlen(FILE_URL)) == 0) {
		ingest(s, NULL, 0, s->url + strlen(FILE_URL));
		return;
	}
	ret = svr_fetch_start(c->fetcher, s->url, KM_CRL_BYTES_MAX, KM_CRL_FETCH_SEC,
			      on_fetched, s, &s->fetch);
	if (ret) {
		km_counter_add(c->km, KM_COUNT_CRL_FETCH_FAILURE);
		source_failed(s, "fetch failed", strerror(-ret));
		return;
	}
	s->state = CRL_FETCHING;
	c->fetching++;
}

/*
 * The one that waits with the fewest failures, of these the one that waits longest: servers that
 * fail slowly keep neither the others nor one another from their turn.
 */
static struct source *next_waiting(const struct km_crl *c)
{
	struct source *s, *best = NULL;

	TAILQ_FOREACH(s, &c->sources, entry) {
		if (s->state != CRL_WAITING)
			continue;
		if (!best || s->failures < best->failures ||
		    (s->failures == best->failures && s->waits_ns < best->waits_ns))
			best = s;
	}
	return best;
}

static void start_waiting(struct km_crl *c)
{
	struct source *s;

	while ((s = next_waiting(c)) &&
	       c->fetching < (s->failures ? KM_CRL_FETCHES - 1 : KM_CRL_FETCHES))
		source_start(s);
}

static void source_due(struct source *s)
{
	evtimer_del(s->timer);
	s->due_ns = 0;
	s->waits_ns = km_now().mono_ns;
	s->state = CRL_WAITING;
	start_waiting(s->c);
}

static void on_due(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	source_due(arg);
}

/* ---- sources --------------------------------------------------------------------------------- */

static struct source *source_find(const struct km_crl *c, const char *url)
{
	struct source *s;

	TAILQ_FOREACH(s, &c->sources, entry)
		if (strcmp(s->url, url) == 0)
			return s;
	return NULL;
}

/* Reads what the process before has kept, then fetches. */
static void source_load(struct source *s)
{
	struct job *j = job_new(s);

	if (!j || !j->anchors) {
		job_free(j);
		source_due(s);
		return;
	}
	j->kept = true;
	snprintf(j->path, sizeof(j->path), "%s/%s", j->dir, j->file);
	s->c->loading++;
	job_queue(s, j, CRL_LOADING);
}

static void source_drop(struct source *s)
{
	struct km_crl *c = s->c;
	char file[CRL_FILE_LEN];

	if (s->fetch) {
		svr_fetch_cancel(s->fetch);
		c->fetching--;
	}
	if (s->job)
		s->job->source = NULL;
	if (kept_file(s->url, file) == 0)
		forget_kept(c->dir, file);
	km_alarm_clear(c->km->alarms, SVR_ALARM_CRL, s->url, KM_PROCESS);
	TAILQ_REMOVE(&c->sources, s, entry);
	if (s->timer)
		event_free(s->timer);
	svr_pki_crl_free(s->crl);
	free(s);
}

void km_crl_sources_begin(struct km_crl *c, uint32_t polling_s, uint32_t backoff_s)
{
	struct source *s;
	bool changed = c->polling_s != polling_s || c->backoff_s != backoff_s;

	c->polling_s = polling_s;
	c->backoff_s = backoff_s;
	TAILQ_FOREACH(s, &c->sources, entry) {
		s->wanted = false;
		if (changed && s->state == CRL_IDLE)
			schedule_next(s);
	}
}

void km_crl_source(struct km_crl *c, const char *url, bool configured)
{
	struct source *s = source_find(c, url);
	unsigned int learned = 0;

	if (s) {
		s->configured = s->wanted ? s->configured || configured : configured;
		s->wanted = true;
		return;
	}
	TAILQ_FOREACH(s, &c->sources, entry)
		learned += !s->configured;
	if (!configured && learned >= KM_CRL_LEARNED_MAX) {
		pr_warn("revocation list %s: not fetched, %d other ones are named by certificates already",
			url, KM_CRL_LEARNED_MAX);
		return;
	}
	s = calloc(1, sizeof(*s));
	if (!s || !(s->timer = evtimer_new(c->km->base, on_due, s))) {
		pr_err("revocation list %s: %s", url, strerror(ENOMEM));
		free(s);
		return;
	}
	s->c = c;
	snprintf(s->url, sizeof(s->url), "%s", url);
	s->configured = configured;
	s->wanted = true;
	TAILQ_INSERT_TAIL(&c->sources, s, entry);
	source_load(s);
}

static bool keep(void *user, const struct svr_pki_crl *crl)
{
	const struct km_crl *c = user;
	struct source *s;

	TAILQ_FOREACH(s, &c->sources, entry)
		if (s->crl == crl)
			return true;
	return false;
}

/* What no source stands for any more is in use no longer. */
static void filter(struct km_crl *c)
{
	uint64_t before = svr_pki_crls_generation(c->set);

	svr_pki_crls_filter(c->set, keep, c);
	if (svr_pki_crls_generation(c->set) != before)
		c->ops->changed(c->user);
}

void km_crl_sources_end(struct km_crl *c)
{
	struct source *s, *next;
	bool dropped = false;

	for (s = TAILQ_FIRST(&c->sources); s; s = next) {
		next = TAILQ_NEXT(s, entry);
		if (s->wanted)
			continue;
		pr_info("revocation list %s: nobody names it any more", s->url);
		source_drop(s);
		dropped = true;
	}
	if (dropped)
		filter(c);
}

unsigned int km_crl_fetch(struct km_crl *c, const char *url)
{
	struct source *s;
	unsigned int n = 0;

	TAILQ_FOREACH(s, &c->sources, entry) {
		if (url && strcmp(s->url, url) != 0)
			continue;
		n++;
		s->forced = true;
		if (s->state == CRL_IDLE)
			source_due(s);
	}
	return n;
}

/* Under other anchors every list has to show its signature again. */
void km_crl_anchors_changed(struct km_crl *c)
{
	struct source *s;

	TAILQ_FOREACH(s, &c->sources, entry)
		s->has_digest = false;
	km_crl_fetch(c, NULL);
}

/* ---- show ------------------------------------------------------------------------------------ */

static void add_str(struct json_object *o, const char *key, const char *value)
{
	json_object_object_add(o, key, json_object_new_string(value));
}

static void add_date(struct json_object *o, const char *key, int64_t sec)
{
	char date[40];

	svr_pki_date_text(sec, date, sizeof(date));
	add_str(o, key, sec ? date : "never");
}

static struct json_object *show_source(const struct source *s)
{
	const struct svr_pki_crl_info *info = s->crl ? svr_pki_crl_info(s->crl) : NULL;
	struct json_object *o = json_object_new_object();
	uint64_t now_ns = km_now().mono_ns;

	add_str(o, "url", s->url);
	add_str(o, "source", s->configured ? "configured" : "certificate");
	add_str(o, "state", state_names[s->state]);
	add_str(o, "issuer", info ? info->issuer : "unavailable");
	add_str(o, "crl_number", info ? info->number : "");
	add_str(o, "scope", info ? info->scope : "");
	add_date(o, "last_updated", info ? info->this_update : 0);
	add_date(o, "next_update", info ? info->next_update : 0);
	json_object_object_add(o, "total_entries",
			       json_object_new_uint64(info ? info->entries : 0));
	json_object_object_add(o, "size", json_object_new_uint64(info ? info->bytes : 0));
	json_object_object_add(o, "memory", json_object_new_uint64(info ? info->memory : 0));
	add_date(o, "last_fetch", s->tried_sec);
	add_date(o, "last_success", s->good_sec);
	json_object_object_add(
		o, "next_fetch_s",
		json_object_new_uint64(s->due_ns > now_ns ? (s->due_ns - now_ns) / SVR_NS_PER_SEC :
							    0));
	json_object_object_add(o, "failures", json_object_new_uint64(s->failures));
	add_str(o, "reason", s->reason);
	return o;
}

struct json_object *km_crl_show(const struct km_crl *c)
{
	struct json_object *list = json_object_new_array();
	struct source *s;

	TAILQ_FOREACH(s, &c->sources, entry)
		json_object_array_add(list, show_source(s));
	return list;
}

/* ---- manager --------------------------------------------------------------------------------- */

bool km_crl_has(const struct km_crl *c, const char *url)
{
	struct source *s;

	TAILQ_FOREACH(s, &c->sources, entry)
		if (strncmp(s->url, url, SVR_ALARM_SOURCE_LEN - 1) == 0)
			return true;
	return false;
}

bool km_crl_ready(const struct km_crl *c)
{
	return c->loading == 0;
}

struct svr_pki_crls *km_crl_set(const struct km_crl *c)
{
	return c->set;
}

int km_crl_new(struct keymgr *km, const char *pki_dir, const struct km_crl_ops *ops, void *user,
	       struct km_crl **out)
{
	struct km_crl *c = calloc(1, sizeof(*c));
	int ret;

	*out = NULL;
	if (!c)
		return -ENOMEM;
	c->km = km;
	c->ops = ops;
	c->user = user;
	TAILQ_INIT(&c->sources);
	TAILQ_INIT(&c->jobs);
	ret = snprintf(c->dir, sizeof(c->dir), "%s/crl", pki_dir) < (int)sizeof(c->dir) ?
		      0 :
		      -ENAMETOOLONG;
	if (!ret)
		ret = svr_pki_crls_new(&c->set);
	if (!ret)
		ret = svr_fetcher_new(km->base, &c->fetcher);
	if (ret) {
		km_crl_free(c);
		return ret;
	}
	*out = c;
	return 0;
}

/* The pool has ended before: no thread has a job of ours, each was handed back. */
void km_crl_free(struct km_crl *c)
{
	struct source *s;
	struct job *j;

	if (!c)
		return;
	while ((j = TAILQ_FIRST(&c->jobs))) {
		TAILQ_REMOVE(&c->jobs, j, entry);
		job_free(j);
	}
	while ((s = TAILQ_FIRST(&c->sources))) {
		TAILQ_REMOVE(&c->sources, s, entry);
		svr_fetch_cancel(s->fetch);
		if (s->timer)
			event_free(s->timer);
		svr_pki_crl_free(s->crl);
		free(s);
	}
	svr_fetcher_free(c->fetcher);
	svr_pki_crls_free(c->set);
	free(c);
}
