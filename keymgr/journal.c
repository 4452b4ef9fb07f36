// SPDX-License-Identifier: BSD-2-Clause
/*
 * One batch is with the writing thread, the next one is being gathered meanwhile:
 *
 *	record, record, wait --> pending --(kick)--> batch --> thread: append, fdatasync --> done: waiters are told
 *
 * A batch is either "append these records" or "write the whole log anew" (too big, damaged, or a
 * write failed).
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include <event2/event.h>

#include "journal.h"
#include "lib/alarmlog.h"
#include "lib/journal.h"
#include "sys/jobs.h"
#include "sys/journalfile.h"
#include "sys/log.h"
#include "sys/paths.h"

#define FILE_NAME "alarms.journal"

enum {
	READ_MAX = 4 * KM_JOURNAL_MAX, /* what is longer is not ours */
	FAILED_LOG_SEC = 60,
};

struct waiter {
	STAILQ_ENTRY(waiter) next;
	uint64_t position;
	void (*done)(void *arg, int error);
	void *arg;
};

struct km_journal {
	const char *router;
	struct svr_alarmlog *log;
	const struct km_journal_ops *ops;
	void *user;
	struct svr_jobs *jobs;
	struct event *retry;
	struct svr_journalfile file; /* of the thread while a batch is under way */
	struct svr_journal_text pending;
	uint64_t position; /* records that were handed in */
	uint64_t written; /* of them on disk */
	bool anew; /* the next batch is the whole log */
	bool busy; /* a batch is under way */
	bool closing; /* there is no thread any more */
	int error; /* of the last batch */
	STAILQ_HEAD(, waiter) waiters; /* by position */

	struct {
		struct svr_journal_text text;
		uint64_t position;
		bool anew;
		bool did;
		int ret;
	} batch;
};

/* ---- one batch ------------------------------------------------------------------------------ */

/* In the thread, or in the loop when there is no thread any more. */
static void batch_write(void *arg)
{
	struct km_journal *j = arg;
	int ret;

	j->batch.did = true;
	if (!j->batch.anew) {
		j->batch.ret =
			svr_journalfile_append(&j->file, j->batch.text.data, j->batch.text.len);
		return;
	}
	ret = svr_state_dir_make(j->router);
	if (!ret)
		ret = svr_journalfile_replace(&j->file, j->batch.text.data, j->batch.text.len);
	j->batch.ret = ret;
}

static void put_line(void *user, const char *json, size_t len)
{
	svr_journal_put(user, json, len);
}

/* Moves what is to be written into the batch. 0 or -ENOMEM. */
static int batch_fill(struct km_journal *j)
{
	j->batch.anew = j->anew;
	j->batch.position = j->position;
	j->batch.did = false;
	j->batch.ret = 0;
	svr_journal_text_free(&j->batch.text);
	if (!j->anew) {
		j->batch.text = j->pending;
		j->pending = (struct svr_journal_text){ 0 };
	} else {
		svr_journal_text_free(&j->pending); /* is in the log as well */
		svr_journal_append(&j->batch.text, SVR_JOURNAL_FIRST_LINE,
				   sizeof(SVR_JOURNAL_FIRST_LINE) - 1);
		svr_alarmlog_snapshot(j->log, put_line, &j->batch.text);
		j->anew = false; /* what comes from here on is pending again */
	}
	return j->batch.text.failed ? -ENOMEM : 0;
}

static void waiters_tell(struct km_journal *j, int error)
{
	struct waiter *w;

	while ((w = STAILQ_FIRST(&j->waiters)) && (error || w->position <= j->written)) {
		STAILQ_REMOVE_HEAD(&j->waiters, next);
		w->done(w->arg, error);
		free(w);
	}
}

static void failed(struct km_journal *j, int error)
{
	static struct svr_ratelimit often;
	const struct timeval wait = { .tv_sec = KM_JOURNAL_RETRY_SEC };
	bool first = !j->error;

	j->error = error;
	j->anew = true; /* the end may be torn */
	if (j->retry)
		evtimer_add(j->retry, &wait);
	if (svr_ratelimit_ok(&often, FAILED_LOG_SEC) || first)
		pr_err("%s: alarms and events are in memory only: %s%s", j->file.path,
		       strerror(-error),
		       error == -EPERM ? " (the directory is somebody else's or open to others?)" :
					 "");
	if (first)
		j->ops->state(j->user, error);
	waiters_tell(j, error);
}

static void succeeded(struct km_journal *j)
{
	bool again = j->error;

	j->error = 0;
	j->written = j->batch.position;
	if (j->file.size > KM_JOURNAL_MAX || j->pending.failed)
		j->anew = true;
	waiters_tell(j, 0);
	if (again) {
		pr_info("%s: alarms and events are on disk again", j->file.path);
		j->ops->state(j->user, 0);
	}
}

static void kick(struct km_journal *j);

static void on_written(void *arg, int cancelled)
{
	struct km_journal *j = arg;

	j->busy = false;
	if (j->batch.did && !j->batch.ret)
		succeeded(j);
	else if (j->batch.did)
		failed(j, j->batch.ret);
	else
		j->anew = true; /* km_journal_close() writes it */
	svr_journal_text_free(&j->batch.text);
	if (!cancelled)
		kick(j);
}

/* Begins a batch if there is something to write. */
static void kick(struct km_journal *j)
{
	int ret;

	if (j->busy || j->closing || (!j->anew && !j->pending.len && !j->pending.failed))
		return;
	if (j->error && evtimer_pending(j->retry, NULL))
		return;
	j->anew |= j->pending.failed;
	ret = batch_fill(j);
	if (!ret)
		ret = svr_jobs_submit(j->jobs, batch_write, on_written, j);
	if (ret)
		failed(j, ret);
	else
		j->busy = true;
}

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	kick(arg);
}

/* ---- what the owner does -------------------------------------------------------------------- */

void km_journal_record(void *journal, const char *json, size_t len)
{
	struct km_journal *j = journal;

	j->position++;
	if (!j->anew)
		svr_journal_put(&j->pending, json, len);
	if (j->pending.len > KM_JOURNAL_PENDING_MAX) {
		j->anew = true;
		svr_journal_text_free(&j->pending);
	}
	kick(j);
}

int km_journal_wait(struct km_journal *j, void (*done)(void *arg, int error), void *arg)
{
	struct waiter *w;

	if (j->error || j->written >= j->position) {
		done(arg, j->error);
		return 0;
	}
	w = malloc(sizeof(*w));
	if (!w)
		return -ENOMEM;
	*w = (struct waiter){ .position = j->position, .done = done, .arg = arg };
	STAILQ_INSERT_TAIL(&j->waiters, w, next);
	return 0;
}

const char *km_journal_path(const struct km_journal *j)
{
	return j->file.path;
}

/* ---- begin and end -------------------------------------------------------------------------- */

static int replay(void *user, const char *json, size_t len)
{
	return svr_alarmlog_replay(user, json, len);
}

/* What the file says goes into the log. Only -ENOMEM is a failure. */
static int read_back(struct km_journal *j, size_t *lost)
{
	struct svr_journal_found found = { 0 };
	char *data;
	size_t len;
	int ret;

	ret = svr_journalfile_read(&j->file, READ_MAX, &data, &len);
	if (!ret && data)
		ret = svr_journal_read(data, len, replay, j->log, &found);
	free(data);
	if (ret == -ENOMEM)
		return ret;
	if (ret)
		pr_err("%s: cannot be read: %s; alarms and events begin anew", j->file.path,
		       ret == -EPROTONOSUPPORT ? "another version of svr wrote it" :
						 strerror(-ret));
	if (found.damaged)
		pr_err("%s: %zu damaged records are lost, %zu are whole", j->file.path,
		       found.damaged, found.records);
	if (found.torn)
		pr_info("%s: the last record was not finished when the key manager was stopped",
			j->file.path);
	if ((ret || found.damaged) && !svr_journalfile_keep_damaged(&j->file))
		pr_info("%s: kept as %s.damaged", j->file.path, j->file.path);
	j->anew = ret || found.damaged || found.torn || j->file.fd < 0;
	*lost = found.damaged;
	return 0;
}

int km_journal_open(struct event_base *base, const char *router, struct svr_alarmlog *log,
		    const struct km_journal_ops *ops, void *user, size_t *lost,
		    struct km_journal **out)
{
	struct km_journal *j = calloc(1, sizeof(*j));
	int ret = -ENOMEM;

	*out = NULL;
	if (!j)
		return ret;
	j->router = router;
	j->log = log;
	j->ops = ops;
	j->user = user;
	j->file.fd = -1;
	STAILQ_INIT(&j->waiters);
	j->retry = evtimer_new(base, on_retry, j);
	if (j->retry)
		ret = svr_journalfile_init(&j->file, router, FILE_NAME);
	if (!ret)
		ret = svr_jobs_new(base, 1, &j->jobs);
	if (!ret)
		ret = read_back(j, lost);
	if (ret) {
		km_journal_close(j);
		return ret;
	}
	*out = j;
	kick(j);
	return 0;
}

void km_journal_close(struct km_journal *j)
{
	if (!j)
		return;
	j->closing = true;
	svr_jobs_free(j->jobs);
	/* The second time for what the first one changes: an alarm about the disk is over. */
	for (int i = 0; j->jobs && i < 2 && (j->anew || j->pending.len); i++) {
		if (batch_fill(j))
			break;
		batch_write(j);
		if (j->batch.ret)
			failed(j, j->batch.ret);
		else
			succeeded(j);
	}
	waiters_tell(j, -ESHUTDOWN); /* there should be none */
	if (j->retry)
		event_free(j->retry);
	svr_journalfile_close(&j->file);
	svr_journal_text_free(&j->batch.text);
	svr_journal_text_free(&j->pending);
	free(j);
}
