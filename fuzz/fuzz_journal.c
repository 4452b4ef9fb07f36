// SPDX-License-Identifier: BSD-2-Clause
/*
 * The alarm journal: any bytes as a file, and the same bytes as the lines behind a right first line
 * with right check sums, so that the records themselves are reached. Whatever was taken must come
 * back the same from a snapshot.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/alarmlog.h"
#include "lib/journal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static int replay(void *log, const char *json, size_t len)
{
	return svr_alarmlog_replay(log, json, len);
}

static void put(void *text, const char *json, size_t len)
{
	svr_journal_put(text, json, len);
}

static void snapshot(const struct svr_alarmlog *log, struct svr_journal_text *text)
{
	svr_journal_append(text, SVR_JOURNAL_FIRST_LINE, sizeof(SVR_JOURNAL_FIRST_LINE) - 1);
	svr_alarmlog_snapshot(log, put, text);
	if (text->failed)
		abort();
}

static void read_twice(const char *data, size_t len)
{
	struct svr_journal_text first = { 0 }, second = { 0 };
	struct svr_journal_found found;
	struct svr_alarmlog *log;

	if (svr_alarmlog_new(NULL, NULL, &log))
		abort();
	svr_journal_read(data, len, replay, log, &found);
	snapshot(log, &first);
	svr_alarmlog_free(log);
	if (svr_alarmlog_new(NULL, NULL, &log) ||
	    svr_journal_read(first.data, first.len, replay, log, &found) || found.damaged ||
	    found.torn)
		abort();
	snapshot(log, &second);
	if (first.len != second.len || memcmp(first.data, second.data, first.len) != 0)
		abort();
	svr_alarmlog_free(log);
	svr_journal_text_free(&first);
	svr_journal_text_free(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const char *line = (const char *)data, *end = line + len, *newline;
	struct svr_journal_text text = { 0 };

	read_twice(line, len);
	svr_journal_append(&text, SVR_JOURNAL_FIRST_LINE, sizeof(SVR_JOURNAL_FIRST_LINE) - 1);
	for (; line < end; line = newline + 1) {
		newline = memchr(line, '\n', (size_t)(end - line));
		if (!newline)
			newline = end;
		svr_journal_put(&text, line, (size_t)(newline - line));
	}
	read_twice(text.data, text.len);
	svr_journal_text_free(&text);
	return 0;
}
