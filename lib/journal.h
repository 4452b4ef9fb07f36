/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The text of a journal: a first line with the version, then one record per line,
 *
 *	<16 hexadecimal digits> <JSON object>
 *
 * where the digits are the first eight bytes of the SHA-256 digest of the object's text. A line
 * that was torn by a crash or damaged later is recognised and left out, all others count. JSON has
 * no newline inside. Bytes only, the files are sys/journalfile.h's. Part of libsvr.
 */
#ifndef SVR_LIB_JOURNAL_H
#define SVR_LIB_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>

#define SVR_JOURNAL_FIRST_LINE "svr-journal 1\n"

/* A buffer that grows. Zeroed it is empty. */
struct svr_journal_text {
	char *data;
	size_t len, room;
	bool failed; /* no memory: it is not whole */
};

void svr_journal_text_free(struct svr_journal_text *t);
/* Bytes as they are. */
void svr_journal_append(struct svr_journal_text *t, const char *data, size_t len);
/* A record, as a line. */
void svr_journal_put(struct svr_journal_text *t, const char *json, size_t len);

struct svr_journal_found {
	size_t records; /* whole ones */
	size_t damaged; /* lines that are none, the torn one at the end not counted */
	bool torn; /* the last line has no end */
};

/**
 * svr_journal_read() - hand each whole record to @visit.
 * @data: what stood in the file, of any length and content
 * @visit: returns 0, -EBADMSG if the record is none (it counts as damaged), other negative errno to
 * stop
 * Return: 0, -EPROTONOSUPPORT if another version wrote it (nothing was handed out), what @visit
 * returned.
 */
int svr_journal_read(const char *data, size_t len,
		     int (*visit)(void *user, const char *json, size_t len), void *user,
		     struct svr_journal_found *found);

#endif
