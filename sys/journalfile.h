/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A journal on disk: what was appended or replaced is there after any crash once the call has
 * returned. A replacement is whole or has not happened. No locks: one process, one thread at a
 * time. Part of libsvrsys.
 */
#ifndef SVR_SYS_JOURNALFILE_H
#define SVR_SYS_JOURNALFILE_H

#include <stddef.h>

struct svr_journalfile {
	char path[4096]; /* of the file; beside it "<path>.new" and "<path>.damaged" */
	int fd; /* -1: not open, to be replaced first */
	size_t size; /* bytes */
};

/* Names the file @name in the state directory of @router; opens nothing. 0 or negative errno. */
int svr_journalfile_init(struct svr_journalfile *f, const char *router, const char *name);
void svr_journalfile_close(struct svr_journalfile *f);

/**
 * svr_journalfile_read() - everything that is in the file, which is then open (not on a disk that
 * is read-only).
 * @data: to be freed; NULL if there is no file
 * Return: 0, also without a file; -EFBIG above @max bytes; other negative errno.
 */
int svr_journalfile_read(struct svr_journalfile *f, size_t max, char **data, size_t *len);

/* Keeps the file as it is under the name "<path>.damaged". 0 or negative errno. */
int svr_journalfile_keep_damaged(const struct svr_journalfile *f);

/*
 * Adds at the end. 0, -ESTALE if somebody removed the file, other negative errno; after a failure
 * the end may be torn, and the file has to be replaced.
 */
int svr_journalfile_append(struct svr_journalfile *f, const char *data, size_t len);
/* @data instead of all that was there. 0 or negative errno; then what was there still is. */
int svr_journalfile_replace(struct svr_journalfile *f, const char *data, size_t len);

#endif
