/* SPDX-License-Identifier: BSD-2-Clause */
/* When the use of a table is an alarm. Part of libsvr. */
#ifndef SVR_LIB_LEVEL_H
#define SVR_LIB_LEVEL_H

#include <stdbool.h>
#include <stdint.h>

enum { SVR_LEVEL_RAISE_PERCENT = 90, SVR_LEVEL_CLEAR_PERCENT = 80 };

/*
 * True above 90 % of @size; once it was so (@high), until @used is below 80 %. A table of size 0 is
 * no table.
 */
bool svr_level_high(bool high, uint64_t used, uint64_t size);

#endif
