// SPDX-License-Identifier: BSD-2-Clause
/* Append and fsync; write aside, fsync, rename, fsync the directory. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sys/journalfile.h"
#include "sys/paths.h"

enum {
	FILE_MODE = 0600,
	SUFFIX_ROOM = 16, /* for ".damaged" */
};

int svr_journalfile_init(struct svr_journalfile *f, const char *router, const char *name)
{
	size_t n;
	int ret;

	f->fd = -1;
	f->size = 0;
	ret = svr_state_dir(router, f->path, sizeof(f->path));
	if (ret)
		return ret;
	n = strlen(f->path);
	if (n + 1 + strlen(name) + SUFFIX_ROOM > sizeof(f->path))
		return -ENAMETOOLONG;
	f->path[n] = '/';
	strcpy(f->path + n + 1, name);
	return 0;
}

void svr_journalfile_close(struct svr_journalfile *f)
{
	if (f->fd >= 0)
		close(f->fd);
	f->fd = -1;
}

static int read_all(int fd, char *data, size_t len)
{
	ssize_t n;

	while (len) {
		n = read(fd, data, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO; /* shorter than it was a moment ago */
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

int svr_journalfile_read(struct svr_journalfile *f, size_t max, char **data, size_t *len)
{
	struct stat st;
	const int flags = O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
	bool may_write = true;
	int fd, ret;

	*data = NULL;
	*len = 0;
	fd = open(f->path, flags | O_RDWR | O_APPEND);
	if (fd < 0 && errno == EROFS) {
		may_write = false;
		fd = open(f->path, flags | O_RDONLY);
	}
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	ret = fstat(fd, &st) < 0 ? -errno : 0;
	if (!ret && !S_ISREG(st.st_mode))
		ret = -EINVAL;
	if (!ret && (uint64_t)st.st_size > max)
		ret = -EFBIG;
	if (ret)
		goto out;
	ret = -ENOMEM;
	*data = malloc((size_t)st.st_size + 1);
	if (!*data)
		goto out;
	ret = read_all(fd, *data, (size_t)st.st_size);
	if (ret)
		goto out;
	*len = (size_t)st.st_size;
	f->size = *len;
	if (may_write)
		f->fd = fd;
	else
		close(fd);
	return 0;
out:
	free(*data);
	*data = NULL;
	close(fd);
	return ret;
}

int svr_journalfile_keep_damaged(const struct svr_journalfile *f)
{
	char kept[sizeof(f->path) + SUFFIX_ROOM];

	snprintf(kept, sizeof(kept), "%s.damaged", f->path);
	if (unlink(kept) < 0 && errno != ENOENT)
		return -errno;
	/* A second name, not another one: there is no moment without the file. */
	return link(f->path, kept) < 0 ? -errno : 0;
}

static int write_all(int fd, const char *data, size_t len)
{
	ssize_t n;

	while (len) {
		n = write(fd, data, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

int svr_journalfile_append(struct svr_journalfile *f, const char *data, size_t len)
{
	struct stat st;
	int ret;

	if (f->fd < 0 || fstat(f->fd, &st) < 0 || st.st_nlink == 0)
		return -ESTALE;
	ret = write_all(f->fd, data, len);
	if (!ret && fdatasync(f->fd) < 0)
		ret = -errno;
	if (!ret)
		f->size += len;
	return ret;
}

/* The new name is on disk only when the directory is. */
static int sync_dir_of(const char *path)
{
	char dir[sizeof(((struct svr_journalfile *)NULL)->path)];
	int fd, ret;

	snprintf(dir, sizeof(dir), "%s", path);
	*strrchr(dir, '/') = '\0';
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ret = fsync(fd) < 0 ? -errno : 0;
	close(fd);
	return ret;
}

int svr_journalfile_replace(struct svr_journalfile *f, const char *data, size_t len)
{
	char aside[sizeof(f->path) + SUFFIX_ROOM];
	int fd, ret;

	snprintf(aside, sizeof(aside), "%s.new", f->path);
	if (unlink(aside) < 0 && errno != ENOENT) /* left behind by a process that was killed */
		return -errno;
	fd = open(aside, O_WRONLY | O_APPEND | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
		  FILE_MODE);
	if (fd < 0)
		return -errno;
	ret = write_all(fd, data, len);
	if (!ret && fsync(fd) < 0)
		ret = -errno;
	if (!ret && rename(aside, f->path) < 0)
		ret = -errno;
	if (ret) {
		unlink(aside);
		close(fd);
		return ret;
	}
	svr_journalfile_close(f);
	f->fd = fd;
	f->size = len;
	return sync_dir_of(f->path);
}
