/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Points of time as text: RFC 3339, and "so long ago". Milliseconds since 1970 in 64 bits. Part of
 * libsvr.
 */
#ifndef SVR_LIB_TIMETEXT_H
#define SVR_LIB_TIMETEXT_H

#include <stdint.h>

enum { SVR_TIMETEXT_LEN = 32 }; /* a NUL included */

#define SVR_TIMETEXT_MAX_MS INT64_C(253402300799999) /* end of the year 9999 */

/*
 * "2025-03-19T20:50:35.173Z"; what is outside the years 1970 to 9999 becomes the nearest that is
 * inside.
 */
void svr_timetext_print(int64_t time_ms, char out[static SVR_TIMETEXT_LEN]);

/**
 * svr_timetext_parse() - a point of time.
 * @text: RFC 3339 with "T", "t" or a space, with or without a fraction, "Z" or an offset; without
 * either, or as a mere date, it is UTC. Or a number with s, m, h, d or w (also several: "1h30m"):
 * so long before @now_ms. "now" is @now_ms.
 * Return: 0, -EINVAL, -ERANGE outside the years 1970 to 9999.
 */
int svr_timetext_parse(const char *text, int64_t now_ms, int64_t *out_ms);

#endif
