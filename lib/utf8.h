/* SPDX-License-Identifier: BSD-2-Clause */
/* UTF-8, judged one character at a time. Part of libsvr. */
#ifndef SVR_LIB_UTF8_H
#define SVR_LIB_UTF8_H

#include <stddef.h>

enum { SVR_UTF8_MAX = 4 /* bytes of one character */ };

/*
 * Bytes of the UTF-8 sequence at @text (1 to 4), or 0 when it is none. At most @left bytes are
 * read.
 */
size_t svr_utf8_len(const char *text, size_t left);

#endif
