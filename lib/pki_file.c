// SPDX-License-Identifier: BSD-2-Clause
/* Files of the PKI directory, whole or not at all. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "lib/pki_file.h"

enum { FILE_PATH_LEN = 4096 }; /* bytes, PATH_MAX */

/* No file that is meant to stay has such a name: they end in .key, .csr, .pem, ... */
#define FILE_TMP_PREFIX ".svr-tmp-"
#define FILE_TMP_RANDOM "XXXXXX"

static int file_error(char *err, size_t err_len, int ret, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
static int file_error(char *err, size_t err_len, int ret, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(err, err_len, fmt, ap);
	va_end(ap);
	return ret;
}

/* ---- reading --------------------------------------------------------------------------------- */

static int read_check(const struct stat *st, const char *path, size_t max, bool secret, char *err,
		      size_t err_len)
{
	if (!S_ISREG(st->st_mode))
		return file_error(err, err_len, -EINVAL, "%s: not a regular file", path);
	if ((uintmax_t)st->st_size > max)
		return file_error(err, err_len, -EFBIG, "%s: has %jd bytes, allowed are %zu", path,
				  (intmax_t)st->st_size, max);
	if (secret && st->st_uid != geteuid() && st->st_uid != 0)
		return file_error(err, err_len, -EPERM,
				  "%s: private key belongs to user %u, not to us; try: chown %u %s",
				  path, (unsigned int)st->st_uid, (unsigned int)geteuid(), path);
	if (secret && (st->st_mode & 077))
		return file_error(err, err_len, -EPERM,
				  "%s: private key has mode %04o; try: chmod 0600 %s", path,
				  (unsigned int)(st->st_mode & 07777), path);
	return 0;
}

static int read_all(int fd, char *to, size_t room, size_t *len)
{
	ssize_t got;

	*len = 0;
	while (*len < room) {
		got = read(fd, to + *len, room - *len);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			break;
		*len += (size_t)got;
	}
	to[*len] = '\0';
	return 0;
}

int svr_pki_file_read(const char *path, size_t max, bool secret, char **data, size_t *len,
		      char *err, size_t err_len)
{
	struct stat st;
	int fd, ret;

	*data = NULL;
	*len = 0;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO must not make us wait */
	if (fd < 0) {
		ret = -errno;
		return file_error(err, err_len, ret, "%s: %s", path, strerror(-ret));
	}
	ret = fstat(fd, &st) ? -errno : 0;
	if (ret) {
		file_error(err, err_len, ret, "%s: %s", path, strerror(-ret));
		goto out;
	}
	ret = read_check(&st, path, max, secret, err, err_len);
	if (ret)
		goto out;
	*data = malloc((size_t)st.st_size + 1);
	ret = *data ? read_all(fd, *data, (size_t)st.st_size, len) : -ENOMEM;
	if (ret) {
		file_error(err, err_len, ret, "%s: %s", path, strerror(-ret));
		if (*data && secret)
			OPENSSL_cleanse(*data, (size_t)st.st_size);
		free(*data);
		*data = NULL;
	}
out:
	close(fd);
	return ret;
}

/* ---- writing --------------------------------------------------------------------------------- */

static int sync_dir(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), ret;

	if (fd < 0)
		return -errno;
	ret = fsync(fd) ? -errno : 0;
	close(fd);
	return ret;
}

static int make_dir(const char *dir)
{
	char above[FILE_PATH_LEN];

	if (mkdir(dir, 0700))
		return errno == EEXIST ? 0 : -errno;
	if (snprintf(above, sizeof(above), "%s/..", dir) >= (int)sizeof(above))
		return -ENAMETOOLONG;
	return sync_dir(above);
}

static int write_all(int fd, const char *data, size_t len)
{
	ssize_t put;

	while (len) {
		put = write(fd, data, len);
		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return -errno;
		data += put;
		len -= (size_t)put;
	}
	return 0;
}

/*
 * The lock says that somebody still writes the file, and goes with its process however that ends:
 * svr_pki_file_sweep() takes away what nobody has locked. False: it was taken away just now.
 */
static bool is_ours(int fd)
{
	struct stat st;

	return flock(fd, LOCK_EX | LOCK_NB) == 0 && fstat(fd, &st) == 0 && st.st_nlink > 0;
}

/* A locked temporary file in the place of @tmp; negative errno. */
static int open_temporary(char *tmp)
{
	size_t random = strlen(tmp) - strlen(FILE_TMP_RANDOM);
	int fd;

	for (;;) {
		fd = mkostemp(tmp, O_CLOEXEC);
		if (fd < 0)
			return -errno;
		if (is_ours(fd))
			return fd;
		close(fd);
		strcpy(tmp + random, FILE_TMP_RANDOM);
	}
}

/* Complete and on disk before it gets its name. */
static int fill_temporary(int fd, mode_t mode, const void *data, size_t len)
{
	int ret = fchmod(fd, mode) ? -errno : 0;

	if (!ret)
		ret = write_all(fd, data, len);
	if (!ret && fsync(fd))
		ret = -errno;
	return ret;
}

/*
 * link(2) fails if the name exists, so that nothing is replaced whoever else runs at this moment.
 */
static int give_name(char *tmp, const char *path, bool replace)
{
	if (replace) {
		if (rename(tmp, path))
			return -errno;
		tmp[0] = '\0';
		return 0;
	}
	return link(tmp, path) ? -errno : 0;
}

int svr_pki_file_write(const char *dir, const char *file, mode_t mode, bool replace,
		       const void *data, size_t len, char *err, size_t err_len)
{
	char path[FILE_PATH_LEN], tmp[FILE_PATH_LEN];
	int fd, ret;

	if (!file[0] || strchr(file, '/') || strcmp(file, ".") == 0 || strcmp(file, "..") == 0)
		return file_error(err, err_len, -EINVAL, "\"%s\" is no name of a file", file);
	if (snprintf(path, sizeof(path), "%s/%s", dir, file) >= (int)sizeof(path) ||
	    snprintf(tmp, sizeof(tmp), "%s/" FILE_TMP_PREFIX FILE_TMP_RANDOM, dir) >=
		    (int)sizeof(tmp))
		return file_error(err, err_len, -ENAMETOOLONG, "%s: path is too long", dir);
	ret = make_dir(dir);
	if (ret)
		return file_error(err, err_len, ret, "%s: %s", dir, strerror(-ret));
	fd = open_temporary(tmp);
	if (fd < 0)
		return file_error(err, err_len, fd, "%s: %s", dir, strerror(-fd));
	ret = fill_temporary(fd, mode, data, len);
	if (!ret)
		ret = give_name(tmp, path, replace);
	if (tmp[0])
		unlink(tmp);
	if (close(fd) && !ret)
		ret = -errno;
	if (!ret)
		ret = sync_dir(dir);
	if (ret)
		file_error(
			err, err_len, ret, "%s: %s%s", path, strerror(-ret),
			ret == -EEXIST ?
				"; it is never replaced: remove or rename it, or choose another name" :
				"");
	return ret;
}

/* ---- removing -------------------------------------------------------------------------------- */

int svr_pki_file_remove(const char *dir, const char *file)
{
	char path[FILE_PATH_LEN];

	if (!file[0] || strchr(file, '/'))
		return -EINVAL;
	if (snprintf(path, sizeof(path), "%s/%s", dir, file) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	return unlink(path) ? -errno : sync_dir(dir);
}

/* ---- after a crash --------------------------------------------------------------------------- */

static bool is_temporary(const char *name)
{
	size_t prefix = strlen(FILE_TMP_PREFIX), random = strlen(FILE_TMP_RANDOM);

	return strncmp(name, FILE_TMP_PREFIX, prefix) == 0 && strlen(name) == prefix + random &&
	       !strchr(name + prefix, '.');
}

/* Removes it if nobody writes it any more: whoever did has ended. */
static bool remove_left_over(int dir, const char *name)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	bool left = fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0;

	/* Removed under the lock: a writer that gets it afterwards sees that the file is gone. */
	left = left && unlinkat(dir, name, 0) == 0;
	if (fd >= 0)
		close(fd);
	return left;
}

int svr_pki_file_sweep(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	int count = 0;

	if (!d)
		return -errno;
	while ((e = readdir(d)))
		if (is_temporary(e->d_name) && remove_left_over(dirfd(d), e->d_name))
			count++;
	closedir(d);
	return count;
}
