/* SPDX-License-Identifier: BSD-2-Clause */
/* One line per event to standard error, with "<n>" priority prefixes when standard error is the journal. Part of libsvrsys. */
#ifndef SVR_SYS_LOG_H
#define SVR_SYS_LOG_H

enum svr_log_level {
	SVR_LOG_ERR = 3,	/* numbers of syslog(3) */
	SVR_LOG_WARN = 4,
	SVR_LOG_INFO = 6,
	SVR_LOG_DEBUG = 7,
};

/* Program name for the lines, and the highest level that is printed. libbpf's own lines are demoted by one level. */
void svr_log_init(const char *program, enum svr_log_level level);
void svr_log(enum svr_log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define pr_err(...) svr_log(SVR_LOG_ERR, __VA_ARGS__)
#define pr_warn(...) svr_log(SVR_LOG_WARN, __VA_ARGS__)
#define pr_info(...) svr_log(SVR_LOG_INFO, __VA_ARGS__)
#define pr_debug(...) svr_log(SVR_LOG_DEBUG, __VA_ARGS__)

/* At most one line per @interval_sec from this place of the code; says how many were left out. */
struct svr_ratelimit {
	unsigned long last_sec, missed;
};
int svr_ratelimit_ok(struct svr_ratelimit *r, unsigned int interval_sec);

#endif
