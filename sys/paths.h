/* SPDX-License-Identifier: BSD-2-Clause */
/* Directories that are ours. Part of libsvrsys. */
#ifndef SVR_SYS_PATHS_H
#define SVR_SYS_PATHS_H

#include <stddef.h>

/*
 * Makes a directory (0700) unless it is there. 0, -ENOTDIR, -EPERM if it belongs to somebody else
 * or others may write to it, other negative errno.
 */
int svr_dir_make(const char *path);

/*
 * "<state dir>/<router>", the state directory being SVR_STATE_DIR or /var/lib/svr: what must
 * survive a restart of the machine. 0, -EINVAL for a router whose name is no file name,
 * -ENAMETOOLONG.
 */
int svr_state_dir(const char *router, char *buf, size_t len);
/* Makes that directory and the one above it, see svr_dir_make(). */
int svr_state_dir_make(const char *router);

#endif
