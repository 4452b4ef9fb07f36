/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The alarm log on disk. Records are written in batches by a thread of its own, because a disk may
 * take its time and BFD may not wait; whoever has to know hears when his record is there. When the
 * disk takes nothing, the log lives on in memory, and the file is written anew as soon as there is
 * room.
 */
#ifndef SVR_KEYMGR_JOURNAL_H
#define SVR_KEYMGR_JOURNAL_H

#include <stddef.h>

struct event_base;
struct km_journal;
struct svr_alarmlog;

enum km_journal_limits {
	KM_JOURNAL_MAX = 8 * 1024 * 1024, /* bytes of the file before it is written anew, without what is over */
	KM_JOURNAL_PENDING_MAX = 1024 * 1024, /* bytes that wait for the disk; then everything is written anew */
	KM_JOURNAL_RETRY_SEC = 5, /* after a failure */
};

struct km_journal_ops {
	/* @error: 0: the disk takes records again; negative errno: it does not. Told once each. */
	void (*state)(void *user, int error);
};

/**
 * km_journal_open() - read @log back from the file of @router and go on writing there.
 * @log: still empty; must live longer than the journal
 * @lost: damaged records that could not be read back
 * Return: 0, also without a file or a disk (that is told by ops->state, later); -ENOMEM.
 */
int km_journal_open(struct event_base *base, const char *router, struct svr_alarmlog *log,
		    const struct km_journal_ops *ops, void *user, size_t *lost,
		    struct km_journal **out);
/* Writes what is left, waiting for the disk. */
void km_journal_close(struct km_journal *j);

const char *km_journal_path(const struct km_journal *j);

/* Takes a record of the log; has the type of svr_alarmlog_record. */
void km_journal_record(void *journal, const char *json, size_t len);

/*
 * Calls @done when all records so far are on disk (0) or when it is clear that they are not
 * (negative errno): from inside this call if that is known already. Always exactly once. 0 or
 * -ENOMEM.
 */
int km_journal_wait(struct km_journal *j, void (*done)(void *arg, int error), void *arg);

#endif
