// SPDX-License-Identifier: BSD-2-Clause
/* RFC 3339 section 5.6, and durations. */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "lib/timetext.h"

#define MS_PER_SEC   1000
#define SEC_PER_MIN  60
#define SEC_PER_HOUR 3600
#define SEC_PER_DAY  86400
#define SEC_PER_WEEK (7 * SEC_PER_DAY)

void svr_timetext_print(int64_t time_ms, char out[static SVR_TIMETEXT_LEN])
{
	struct tm tm;
	time_t sec;

	if (time_ms < 0)
		time_ms = 0;
	if (time_ms > SVR_TIMETEXT_MAX_MS)
		time_ms = SVR_TIMETEXT_MAX_MS;
	sec = (time_t)(time_ms / MS_PER_SEC);
	gmtime_r(&sec, &tm);
	snprintf(out, SVR_TIMETEXT_LEN, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ",
		 (unsigned int)(tm.tm_year + 1900) % 10000, (unsigned int)(tm.tm_mon + 1) % 100,
		 (unsigned int)tm.tm_mday % 100, (unsigned int)tm.tm_hour % 100,
		 (unsigned int)tm.tm_min % 100, (unsigned int)tm.tm_sec % 100,
		 (unsigned int)(time_ms % MS_PER_SEC));
}

/* Exactly @n digits at *p. -1 if there is something else. */
static int digits(const char **p, int n)
{
	int value = 0;

	while (n-- > 0) {
		if (**p < '0' || **p > '9')
			return -1;
		value = 10 * value + (*(*p)++ - '0');
	}
	return value;
}

static bool skip(const char **p, char c)
{
	if (**p != c)
		return false;
	(*p)++;
	return true;
}

static int days_of_month(int year, int month)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return days[month - 1] + (month == 2 && leap);
}

/* "20:50:35.173", the seconds may be missing. */
static bool parse_clock(const char **p, struct tm *tm, int *ms)
{
	int scale = 100;

	tm->tm_hour = digits(p, 2);
	if (tm->tm_hour < 0 || tm->tm_hour > 23 || !skip(p, ':'))
		return false;
	tm->tm_min = digits(p, 2);
	if (tm->tm_min < 0 || tm->tm_min > 59)
		return false;
	if (!skip(p, ':'))
		return true;
	tm->tm_sec = digits(p, 2);
	if (tm->tm_sec < 0 ||
	    tm->tm_sec > 60) /* a leap second is the first one of the next minute */
		return false;
	if (!skip(p, '.'))
		return true;
	if (**p < '0' || **p > '9')
		return false;
	for (; **p >= '0' && **p <= '9'; (*p)++, scale /= 10)
		*ms += (**p - '0') * scale;
	return true;
}

/* "Z", "+02:00" or nothing. */
static bool parse_offset(const char **p, int *offset_sec)
{
	int sign, hour, min;

	if (skip(p, 'Z') || skip(p, 'z') || !**p)
		return true;
	sign = skip(p, '+') ? 1 : skip(p, '-') ? -1 : 0;
	if (!sign)
		return false;
	hour = digits(p, 2);
	if (hour < 0 || hour > 23 || !skip(p, ':'))
		return false;
	min = digits(p, 2);
	if (min < 0 || min > 59)
		return false;
	*offset_sec = sign * (hour * SEC_PER_HOUR + min * SEC_PER_MIN);
	return true;
}

static int parse_date(const char *p, int64_t *out_ms)
{
	struct tm tm = { 0 };
	int year, offset_sec = 0, ms = 0;
	int64_t time_ms;

	year = digits(&p, 4);
	if (year < 0 || !skip(&p, '-'))
		return -EINVAL;
	tm.tm_mon = digits(&p, 2);
	if (tm.tm_mon < 1 || tm.tm_mon > 12 || !skip(&p, '-'))
		return -EINVAL;
	tm.tm_mday = digits(&p, 2);
	if (tm.tm_mday < 1 || tm.tm_mday > days_of_month(year, tm.tm_mon))
		return -EINVAL;
	if (*p) {
		if (!skip(&p, 'T') && !skip(&p, 't') && !skip(&p, ' '))
			return -EINVAL;
		if (!parse_clock(&p, &tm, &ms) || !parse_offset(&p, &offset_sec) || *p)
			return -EINVAL;
	}
	tm.tm_year = year - 1900;
	tm.tm_mon--;
	time_ms = ((int64_t)timegm(&tm) - offset_sec) * MS_PER_SEC + ms;
	if (time_ms < 0 || time_ms > SVR_TIMETEXT_MAX_MS)
		return -ERANGE;
	*out_ms = time_ms;
	return 0;
}

static int64_t unit_sec(char c)
{
	switch (c) {
	case 's':
		return 1;
	case 'm':
		return SEC_PER_MIN;
	case 'h':
		return SEC_PER_HOUR;
	case 'd':
		return SEC_PER_DAY;
	case 'w':
		return SEC_PER_WEEK;
	}
	return 0;
}

static int parse_ago(const char *p, int64_t now_ms, int64_t *out_ms)
{
	int64_t total_sec = 0, number, unit;

	do {
		if (*p < '0' || *p > '9')
			return -EINVAL;
		for (number = 0; *p >= '0' && *p <= '9'; p++) {
			number = 10 * number + (*p - '0');
			if (number > SVR_TIMETEXT_MAX_MS / MS_PER_SEC)
				return -ERANGE;
		}
		unit = unit_sec(*p++);
		if (!unit)
			return -EINVAL;
		if (number > SVR_TIMETEXT_MAX_MS / MS_PER_SEC / unit)
			return -ERANGE;
		total_sec += number * unit;
	} while (*p);
	if (total_sec > now_ms / MS_PER_SEC)
		return -ERANGE;
	*out_ms = now_ms - total_sec * MS_PER_SEC;
	return 0;
}

int svr_timetext_parse(const char *text, int64_t now_ms, int64_t *out_ms)
{
	size_t n = strspn(text, "0123456789");

	if (strcmp(text, "now") == 0) {
		*out_ms = now_ms;
		return 0;
	}
	return text[n] == '-' ? parse_date(text, out_ms) : parse_ago(text, now_ms, out_ms);
}
