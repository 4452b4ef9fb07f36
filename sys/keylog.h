/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Key log for decoders, off unless the environment names a file: SVR_KEYLOG. Lines as in docs/protocol.md section 10.
 * Part of libsvrsys.
 */
#ifndef SVR_SYS_KEYLOG_H
#define SVR_SYS_KEYLOG_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <svr/wire.h>

/**
 * svr_keylog_open() - open the file that SVR_KEYLOG names, for appending.
 * Refuses (-EPERM) a file that is not a regular file owned by root with mode 0600, a symbolic link, or one in a directory that
 * others than root may write to. The file is made with mode 0600 if it does not exist.
 * @out: NULL if SVR_KEYLOG is not set (returns 0)
 */
int svr_keylog_open(FILE **out, char *err, size_t err_len);

/* Each writes one whole line with a single write; @log may be NULL. Names are common names, keys are hex. */
void svr_keylog_peer_key(FILE *log, const char *self, const char *peer, uint32_t index, const uint8_t *key, size_t len);
void svr_keylog_metadata_key(FILE *log, const char *owner, uint32_t index, const uint8_t *key, size_t len);
void svr_keylog_wrap_key(FILE *log, const char *policy, const uint8_t *key, size_t len);
void svr_keylog_session_key(FILE *log, const uint8_t uuid[static SVR_UUID_LEN], uint16_t epoch, const uint8_t *key, size_t len);

#endif
