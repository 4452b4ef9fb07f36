// SPDX-License-Identifier: BSD-2-Clause
/*
 * Key log (docs/protocol.md section 10): the one place where keys leave the programs, so it is
 * picky about the file.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include <svr/limits.h>

#include "lib/uuid.h"
#include "sys/keylog.h"

enum {
	KEY_MAX = 64,			/* bytes of the longest key that is logged */
	LINE_MAX_LEN = 3 * SVR_NAME_LEN + 2 * KEY_MAX + 64,
	MODE_BITS = 07777,
	KEYLOG_MODE = 0600,
};

__attribute__((format(printf, 4, 5)))
static int refuse(char *err, size_t err_len, int code, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(err, err_len, fmt, args);
	va_end(args);
	return code;
}

/*
 * Nobody but root may be able to put another file in the place of ours: the directory and all above
 * it belong to root, and others may write only to a sticky one above (such as /tmp), where they
 * cannot rename root's entries.
 */
static int dir_check(const char *dir, char *err, size_t err_len)
{
	char path[PATH_MAX], *slash;
	bool last = true;
	struct stat st;

	if (!realpath(dir, path))
		return refuse(err, err_len, -errno, "SVR_KEYLOG: directory %s: %s", dir,
			      strerror(errno));
	for (;;) {
		if (stat(path, &st) < 0)
			return refuse(err, err_len, -errno, "SVR_KEYLOG: %s: %s", path,
				      strerror(errno));
		if (st.st_uid != 0)
			return refuse(
				err, err_len, -EPERM,
				"SVR_KEYLOG: %s does not belong to root; use a directory of root's",
				path);
		if ((st.st_mode & (S_IWGRP | S_IWOTH)) && (last || !(st.st_mode & S_ISVTX)))
			return refuse(
				err, err_len, -EPERM,
				"SVR_KEYLOG: others may write to %s; try: mkdir -m 0700 DIR and a file in it",
				path);
		last = false;
		if (strcmp(path, "/") == 0)
			return 0;
		slash = strrchr(path, '/');
		if (slash == path)
			slash++; /* "/var" -> "/" */
		*slash = '\0';
	}
}

static int file_check(int fd, const char *path, char *err, size_t err_len)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return refuse(err, err_len, -errno, "SVR_KEYLOG: %s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return refuse(err, err_len, -EPERM, "SVR_KEYLOG: %s is not a regular file", path);
	if (st.st_uid != 0)
		return refuse(err, err_len, -EPERM, "SVR_KEYLOG: %s does not belong to root", path);
	if (st.st_nlink != 1)
		return refuse(err, err_len, -EPERM,
			      "SVR_KEYLOG: %s has more than one name (hard links)", path);
	if ((st.st_mode & MODE_BITS) != KEYLOG_MODE)
		return refuse(err, err_len, -EPERM,
			      "SVR_KEYLOG: %s has mode %04o; try: chmod 0600 %s", path,
			      (unsigned int)st.st_mode & MODE_BITS, path);
	return 0;
}

int svr_keylog_open(FILE **out, char *err, size_t err_len)
{
	const char *path = getenv("SVR_KEYLOG");
	/* O_NONBLOCK: a FIFO without a reader fails at once instead of stopping the program */
	const int flags = O_WRONLY | O_APPEND | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
	char dir[PATH_MAX];
	int fd, ret;

	*out = NULL;
	if (!path || !*path)
		return 0;
	if (strlen(path) >= sizeof(dir))
		return refuse(err, err_len, -ENAMETOOLONG, "SVR_KEYLOG: the path is too long");
	memcpy(dir, path, strlen(path) + 1);
	ret = dir_check(dirname(dir), err, err_len);
	if (ret)
		return ret;

	fd = open(path, flags | O_CREAT | O_EXCL, KEYLOG_MODE);
	if (fd >= 0 && fchmod(fd, KEYLOG_MODE) < 0) { /* whatever the umask is */
		ret = refuse(err, err_len, -errno, "SVR_KEYLOG: %s: %s", path, strerror(errno));
		goto out;
	}
	if (fd < 0 && errno == EEXIST)
		fd = open(path, flags);
	if (fd < 0) {
		if (errno == ELOOP)
			return refuse(err, err_len, -EPERM, "SVR_KEYLOG: %s is a symbolic link",
				      path);
		if (errno == EISDIR || errno == ENXIO)
			return refuse(err, err_len, -EPERM, "SVR_KEYLOG: %s is not a regular file",
				      path);
		return refuse(err, err_len, -errno, "SVR_KEYLOG: %s: %s", path, strerror(errno));
	}
	ret = file_check(fd, path, err, err_len);
	if (ret)
		goto out;
	*out = fdopen(fd, "a");
	if (!*out)
		ret = refuse(err, err_len, -errno, "SVR_KEYLOG: %s: %s", path, strerror(errno));
out:
	if (ret && fd >= 0)
		close(fd);
	return ret;
}

/*
 * "<words> <key in hex>\n" with one write: lines of several processes do not mix, and no key stays
 * in a stdio buffer.
 */
__attribute__((format(printf, 4, 5)))
static void line_write(FILE *log, const uint8_t *key, size_t key_len, const char *fmt, ...)
{
	static const char digits[] = "0123456789abcdef";
	char line[LINE_MAX_LEN];
	size_t len, i;
	va_list args;
	int n;

	if (!log || key_len > KEY_MAX)
		return;
	va_start(args, fmt);
	n = vsnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	if (n < 0 || (size_t)n + 2 * key_len + 2 > sizeof(line))
		return;
	len = (size_t)n;
	line[len++] = ' ';
	for (i = 0; i < key_len; i++) {
		line[len++] = digits[key[i] >> 4];
		line[len++] = digits[key[i] & 0xf];
	}
	line[len++] = '\n';
	/* A full disk costs a decoder its key; traffic goes on. */
	if (write(fileno(log), line, len) < 0)
		len = 0;
	OPENSSL_cleanse(line, sizeof(line));
}

void svr_keylog_peer_key(FILE *log, const char *self, const char *peer, uint32_t index,
			 const uint8_t *key, size_t len)
{
	bool self_first = strcmp(self, peer) < 0;

	line_write(log, key, len, "PEER_KEY %s %s %" PRIu32, self_first ? self : peer,
		   self_first ? peer : self, index);
}

void svr_keylog_metadata_key(FILE *log, const char *owner, uint32_t index, const uint8_t *key,
			     size_t len)
{
	line_write(log, key, len, "METADATA_KEY %s %" PRIu32, owner, index);
}

void svr_keylog_session_key(FILE *log, const uint8_t uuid[static SVR_UUID_LEN], uint16_t epoch,
			    const uint8_t *key, size_t len)
{
	char text[SVR_UUID_STRLEN];

	svr_uuid_print(uuid, text);
	line_write(log, key, len, "SESSION_KEY %s %u", text, epoch);
}

void svr_keylog_wrap_key(FILE *log, const char *policy, const uint8_t *key, size_t len)
{
	line_write(log, key, len, "WRAP_KEY %s", policy);
}
