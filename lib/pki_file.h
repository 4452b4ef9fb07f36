/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Files of the PKI directory: read as a whole, written whole or not at all. Part of libsvr.
 */
#ifndef SVR_LIB_PKI_FILE_H
#define SVR_LIB_PKI_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/**
 * svr_pki_file_read() - a whole regular file into memory.
 * @max: refuse a longer one, bytes
 * @secret: refuse a file that belongs to another user than the caller (or root), or that others
 * than its owner can read or write
 * @data: for free(), with a NUL behind the last byte; wipe it if it is secret
 * Return: 0, -ENOENT, -EPERM (owner or mode), -EINVAL (no regular file), -EFBIG, other negative
 * errno; @err gets a sentence with the path in it.
 */
int svr_pki_file_read(const char *path, size_t max, bool secret, char **data, size_t *len,
		      char *err, size_t err_len);

/**
 * svr_pki_file_write() - put a file into place: a temporary file beside it, fsync, its name, fsync
 * of the directory. Who reads sees the old file or the new one; so does who starts after a crash.
 * Makes the last part of @dir (0700) if it is missing.
 * @file: one component of a path (svr_name_ok_for_path() says whether it is); "/" is refused
 * @mode: 0600 for secrets, 0644 for others; not subject to umask
 * @replace: false: fail with -EEXIST if the name is taken, whoever else runs at this moment
 * Return: 0 or negative errno with a sentence in @err; then the directory is as before, unless it
 * was the last fsync that failed.
 */
int svr_pki_file_write(const char *dir, const char *file, mode_t mode, bool replace,
		       const void *data, size_t len, char *err, size_t err_len);

/**
 * svr_pki_file_remove() - take a file away; on disk when this returns, so that what was removed does
 * not come back with a power failure.
 * @file: one component of a path
 * Return: 0, -ENOENT, other negative errno.
 */
int svr_pki_file_remove(const char *dir, const char *file);

/**
 * svr_pki_file_sweep() - remove the temporary files that a crash in svr_pki_file_write() left. What
 * a process is writing right now stays: it holds a lock (flock) on it.
 * Return: number of files, or negative errno if the directory cannot be read (-ENOENT included).
 */
int svr_pki_file_sweep(const char *dir);

#endif
