/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Files from web servers that nobody vouches for, inside the event loop: libcurl's multi interface
 * with limits on everything that a server chooses. Part of libsvrsys.
 *
 * What a hostile server can do is to let a transfer fail: http and https only, also after a
 * redirection (only https where the URL is https), a few redirections, a size limit that holds
 * whatever was announced, an end to headers, to slowness and to the whole transfer. Nothing is
 * decompressed, no cookie, no password and no netrc is sent.
 */
#ifndef SVR_SYS_FETCH_H
#define SVR_SYS_FETCH_H

#include <stddef.h>
#include <stdint.h>

struct event_base;
struct svr_fetch;
struct svr_fetcher;

enum svr_fetch_limits {
	SVR_FETCH_REDIRECTS = 3,
	SVR_FETCH_HEADERS_MAX = 64 * 1024, /* bytes, of all answers of a transfer together */
	SVR_FETCH_CONNECT_SEC = 10, /* name, connection, TLS handshake */
	SVR_FETCH_SLOW_SEC = 10, /* below SVR_FETCH_SLOW_BYTES a second for so long: given up */
	SVR_FETCH_SLOW_BYTES = 1024,
	SVR_FETCH_BYTES_PER_SEC = 8 * 1024 * 1024, /* not more: the event loop has other work */
	SVR_FETCH_REASON_LEN = 256,
};

struct svr_fetch_answer {
	int error; /* 0 or negative errno: -EFBIG, -ETIMEDOUT, -EPROTO, -EHOSTUNREACH, ... */
	const char *reason; /* in words, of no more than one line; "" without an error */
	uint8_t *data; /* NULL with an error; malloc'ed, set it to NULL to keep it */
	size_t len;
};

/* Called from the event loop, once; the transfer is over and its handle invalid. */
typedef void (*svr_fetch_done)(void *user, struct svr_fetch_answer *answer);

/* 0, -ENOMEM, or -ENOSYS if libcurl cannot do what is needed. */
int svr_fetcher_new(struct event_base *base, struct svr_fetcher **out);
/* Cancels what is under way. NULL is allowed. */
void svr_fetcher_free(struct svr_fetcher *f);

/**
 * svr_fetch_start() - fetch @url.
 * @max_bytes: of the body
 * @max_sec: for all of it
 * @done: never called from inside this call
 * @out: for svr_fetch_cancel(), until @done is called
 * Return: 0, -EINVAL if it is no http or https URL, -ENOMEM.
 */
int svr_fetch_start(struct svr_fetcher *f, const char *url, size_t max_bytes, unsigned int max_sec,
		    svr_fetch_done done, void *user, struct svr_fetch **out);
/* @done is not called. NULL is allowed. */
void svr_fetch_cancel(struct svr_fetch *t);

#endif
