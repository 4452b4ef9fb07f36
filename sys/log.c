// SPDX-License-Identifier: BSD-2-Clause
/*
 * Log lines to standard error: one write per line, safe against control characters from the
 * network.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <bpf/libbpf.h>

#include "sys/log.h"

enum { LOG_LINE_MAX = 1024 }; /* bytes, newline included; longer ones are cut */

static const char *log_program = "svr";
static enum svr_log_level log_level = SVR_LOG_INFO;
static bool log_to_journal;

/* systemd names the journal's stream as "device:inode" (systemd.exec(5), JOURNAL_STREAM). */
static bool stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat st;

	return stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
	       fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device && st.st_ino == inode;
}

static void log_write(enum svr_log_level level, const char *source, const char *fmt, va_list args)
{
	int saved_errno = errno;
	char line[LOG_LINE_MAX];
	size_t len = 0, i;
	int n;

	if (level > log_level)
		return;
	if (log_to_journal)
		n = snprintf(line, sizeof(line), "<%d>%s", level, source);
	else
		n = snprintf(line, sizeof(line), "%s: %s", log_program, source);
	if (n > 0)
		len = (size_t)n < sizeof(line) ? (size_t)n : sizeof(line) - 1;
	errno = saved_errno; /* for %m */
	n = vsnprintf(line + len, sizeof(line) - len, fmt, args);
	if (n > 0)
		len = len + (size_t)n < sizeof(line) ? len + (size_t)n : sizeof(line) - 1;
	while (len > 0 && line[len - 1] == '\n')
		len--;
	/*
	 * One event is one line: names and texts from peers must not forge others or drive a
	 * terminal.
	 */
	for (i = 0; i < len; i++)
		if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
			line[i] = '?';
	line[len++] = '\n'; /* in the place of the NUL */
	/* Nothing to do about a log that cannot be written */
	if (write(STDERR_FILENO, line, len) < 0)
		len = 0;
	errno = saved_errno;
}

static int log_libbpf(enum libbpf_print_level level, const char *fmt, va_list args)
{
	/* libbpf warns about things that our callers expect and report themselves. */
	static const enum svr_log_level demoted[] = {
		[LIBBPF_WARN] = SVR_LOG_INFO,
		[LIBBPF_INFO] = SVR_LOG_DEBUG,
	};

	if (level == LIBBPF_WARN || level == LIBBPF_INFO)
		log_write(demoted[level], "", fmt, args); /* its lines start with "libbpf: " */
	return 0;
}

void svr_log_init(const char *program, enum svr_log_level level)
{
	log_program = program;
	log_level = level;
	log_to_journal = stderr_is_journal();
	libbpf_set_print(log_libbpf);
}

void svr_log(enum svr_log_level level, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	log_write(level, "", fmt, args);
	va_end(args);
}

int svr_ratelimit_ok(struct svr_ratelimit *r, unsigned int interval_sec)
{
	unsigned long now_sec, last_sec, missed;
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	/* never 0, which means that nothing was printed yet */
	now_sec = (unsigned long)now.tv_sec + 1;
	last_sec = __atomic_load_n(&r->last_sec, __ATOMIC_RELAXED);
	/* The exchange lets one of several threads through. */
	if ((last_sec && now_sec - last_sec < interval_sec) ||
	    !__atomic_compare_exchange_n(&r->last_sec, &last_sec, now_sec, false, __ATOMIC_RELAXED,
					 __ATOMIC_RELAXED)) {
		__atomic_fetch_add(&r->missed, 1, __ATOMIC_RELAXED);
		return 0;
	}
	missed = __atomic_exchange_n(&r->missed, 0, __ATOMIC_RELAXED);
	if (missed)
		svr_log(SVR_LOG_WARN, "%lu more like the next line were left out", missed);
	return 1;
}
