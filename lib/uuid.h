/* SPDX-License-Identifier: BSD-2-Clause */
/* Session UUIDs as text and back (RFC 9562). Part of libsvr. */
#ifndef SVR_LIB_UUID_H
#define SVR_LIB_UUID_H

#include <stdint.h>
#include <svr/wire.h>

enum { SVR_UUID_STRLEN = 37 }; /* 36 characters and a NUL */

void svr_uuid_print(const uint8_t uuid[static SVR_UUID_LEN], char out[static SVR_UUID_STRLEN]);
/* 36 characters, either case. 0 or -EINVAL. */
int svr_uuid_parse(const char *text, uint8_t uuid[static SVR_UUID_LEN]);
/* 16 random bytes become a version 4 UUID. */
void svr_uuid_from_random(uint8_t uuid[static SVR_UUID_LEN]);

#endif
