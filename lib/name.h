/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which names may stand in metadata, in pin paths and in socket paths: checked in one place. Part
 * of libsvr.
 */
#ifndef SVR_LIB_NAME_H
#define SVR_LIB_NAME_H

#include <stdbool.h>
#include <stddef.h>

/*
 * True if @s is 1..63 characters of [A-Za-z0-9_.-]; @s needs no NUL behind it, and a NUL inside is
 * refused.
 */
bool svr_name_ok(const char *s, size_t len);

/*
 * The same for a name that becomes one component of a path: "." and ".." are refused as well. @s
 * ends in NUL.
 */
bool svr_name_ok_for_path(const char *s);

#endif
