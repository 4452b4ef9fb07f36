// SPDX-License-Identifier: BSD-2-Clause
/* Where things are kept, and that nobody else can write there. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/name.h"
#include "sys/paths.h"

#define DEFAULT_STATE_DIR "/var/lib/svr"

enum { DIR_MODE = 0700 };

int svr_dir_make(const char *path)
{
	struct stat st;

	if (mkdir(path, DIR_MODE) < 0 && errno != EEXIST)
		return -errno;
	if (lstat(path, &st) < 0)
		return -errno;
	if (!S_ISDIR(st.st_mode))
		return -ENOTDIR;
	/* Somebody else's directory, or one that others may write to, is no place for our files. */
	if (st.st_uid != geteuid() || (st.st_mode & (S_IWGRP | S_IWOTH)))
		return -EPERM;
	return 0;
}

static const char *state_top(void)
{
	const char *dir = getenv("SVR_STATE_DIR");

	return dir && *dir ? dir : DEFAULT_STATE_DIR;
}

int svr_state_dir(const char *router, char *buf, size_t len)
{
	int n;

	if (!svr_name_ok_for_path(router))
		return -EINVAL;
	n = snprintf(buf, len, "%s/%s", state_top(), router);
	return n < 0 || (size_t)n >= len ? -ENAMETOOLONG : 0;
}

int svr_state_dir_make(const char *router)
{
	char path[PATH_MAX];
	int ret = svr_state_dir(router, path, sizeof(path));

	if (!ret)
		ret = svr_dir_make(state_top());
	if (!ret)
		ret = svr_dir_make(path);
	return ret;
}
