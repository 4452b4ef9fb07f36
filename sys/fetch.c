// SPDX-License-Identifier: BSD-2-Clause
/* libcurl's multi interface on libevent: sockets and its one timer become events. */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include <curl/curl.h>
#include <event2/event.h>

#include "sys/fetch.h"

enum {
	FETCH_ROOM = 64 * 1024, /* first size of a buffer */
	FETCH_CONNECTIONS = 8, /* that are kept for a while */
	FETCH_HTTP_OK = 200,
};

struct svr_fetcher {
	struct event_base *base;
	CURLM *multi;
	struct event *timer;
	LIST_HEAD(, svr_fetch) transfers;
};

struct svr_fetch {
	struct svr_fetcher *fetcher;
	CURL *easy;
	svr_fetch_done done;
	void *user;
	uint8_t *data;
	size_t len, room, max, headers;
	bool too_big, too_many_headers, no_memory;
	char reason[SVR_FETCH_REASON_LEN > CURL_ERROR_SIZE ? SVR_FETCH_REASON_LEN : CURL_ERROR_SIZE];
	LIST_ENTRY(svr_fetch) entry;
};


static void transfer_free(struct svr_fetch *t)
{
	LIST_REMOVE(t, entry);
	curl_multi_remove_handle(t->fetcher->multi, t->easy);
	curl_easy_cleanup(t->easy);
	free(t->data);
	free(t);
}

/* ---- the end of a transfer ------------------------------------------------------------------- */

static int error_of(const struct svr_fetch *t, CURLcode code)
{
	if (t->too_big)
		return -EFBIG;
	if (t->no_memory)
		return -ENOMEM;
	switch (code) {
	case CURLE_OK:
		return 0;
	case CURLE_FILESIZE_EXCEEDED:
		return -EFBIG;
	case CURLE_OPERATION_TIMEDOUT:
		return -ETIMEDOUT;
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_CONNECT:
		return -EHOSTUNREACH;
	case CURLE_TOO_MANY_REDIRECTS:
		return -ELOOP;
	case CURLE_OUT_OF_MEMORY:
		return -ENOMEM;
	default:
		return -EPROTO;
	}
}

static void describe(struct svr_fetch *t, CURLcode code, int error)
{
	if (error == -EFBIG)
		snprintf(t->reason, sizeof(t->reason), "longer than %zu bytes", t->max);
	else if (t->too_many_headers)
		snprintf(t->reason, sizeof(t->reason), "more than %d bytes of headers",
			 SVR_FETCH_HEADERS_MAX);
	else if (error == -ENOMEM)
		snprintf(t->reason, sizeof(t->reason), "out of memory");
	else if (!t->reason[0])
		snprintf(t->reason, sizeof(t->reason), "%s", curl_easy_strerror(code));
	t->reason[strcspn(t->reason, "\r\n")] = '\0';
}

static void transfer_end(struct svr_fetch *t, CURLcode code)
{
	struct svr_fetch_answer answer = { .error = error_of(t, code), .reason = "" };
	long status = 0;

	curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
	if (answer.error) {
		describe(t, code, answer.error);
		answer.reason = t->reason;
	} else if (status != FETCH_HTTP_OK) { /* 204, 304 and the like: no file */
		answer.error = -EPROTO;
		snprintf(t->reason, sizeof(t->reason), "server answers with HTTP status %ld",
			 status);
		answer.reason = t->reason;
	} else {
		answer.data = t->data;
		answer.len = t->len;
		t->data = NULL;
	}
	t->done(t->user, &answer);
	free(answer.data);
	transfer_free(t);
}

static void check_ends(struct svr_fetcher *f)
{
	struct svr_fetch *t;
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(f->multi, &left))) {
		CURLcode code = message->data.result;

		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &t);
		transfer_end(t, code);
	}
}

/* ---- events ---------------------------------------------------------------------------------- */

static void on_socket(evutil_socket_t fd, short what, void *arg)
{
	struct svr_fetcher *f = arg;
	int action = (what & EV_READ ? CURL_CSELECT_IN : 0) |
		     (what & EV_WRITE ? CURL_CSELECT_OUT : 0),
	    running;

	curl_multi_socket_action(f->multi, fd, action, &running);
	check_ends(f);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct svr_fetcher *f = arg;
	int running;

	(void)fd, (void)what;
	curl_multi_socket_action(f->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	check_ends(f);
}

static int set_socket(CURL *easy, curl_socket_t fd, int what, void *user, void *socket)
{
	struct svr_fetcher *f = user;
	struct event *event = socket;
	short events = (short)((what & CURL_POLL_IN ? EV_READ : 0) |
			       (what & CURL_POLL_OUT ? EV_WRITE : 0) | EV_PERSIST);

	(void)easy;
	if (event)
		event_free(event);
	event = NULL;
	if (what != CURL_POLL_REMOVE) {
		event = event_new(f->base, fd, events, on_socket, f);
		if (!event || event_add(event, NULL)) {
			if (event)
				event_free(event);
			curl_multi_assign(f->multi, fd, NULL);
			return -1; /* the transfer fails */
		}
	}
	curl_multi_assign(f->multi, fd, event);
	return 0;
}

static int set_timer(CURLM *multi, long timeout_ms, void *user)
{
	struct svr_fetcher *f = user;
	struct timeval wait = { .tv_sec = timeout_ms / 1000,
				.tv_usec = timeout_ms % 1000 * 1000 };

	(void)multi;
	if (timeout_ms < 0)
		evtimer_del(f->timer);
	else
		evtimer_add(f->timer, &wait);
	return 0;
}

/* ---- what the server sends ------------------------------------------------------------------- */

static size_t on_body(char *data, size_t size, size_t n, void *user)
{
	struct svr_fetch *t = user;
	size_t room = t->room ? t->room : FETCH_ROOM;
	uint8_t *bigger;

	n *= size;
	if (n > t->max - t->len) {
		t->too_big = true;
		return 0;
	}
	while (room < t->len + n)
		room *= 2;
	if (room != t->room) {
		bigger = realloc(t->data, room);
		if (!bigger) {
			t->no_memory = true;
			return 0;
		}
		t->data = bigger;
		t->room = room;
	}
	memcpy(t->data + t->len, data, n);
	t->len += n;
	return n;
}

static size_t on_header(char *data, size_t size, size_t n, void *user)
{
	struct svr_fetch *t = user;

	(void)data;
	n *= size;
	t->headers += n;
	t->too_many_headers = t->headers > SVR_FETCH_HEADERS_MAX;
	return t->too_many_headers ? 0 : n;
}

/* ---- transfers ------------------------------------------------------------------------------- */

#define set(option, value) (ok = ok && curl_easy_setopt(t->easy, option, value) == CURLE_OK)

static int transfer_configure(struct svr_fetch *t, const char *url, unsigned int max_sec)
{
	bool https = strncasecmp(url, "https:", strlen("https:")) == 0, ok = true;

	set(CURLOPT_URL, url);
	set(CURLOPT_PROTOCOLS_STR, "http,https");
	/* Who asks by http trusts everybody on the way: https in between makes that no better. */
	set(CURLOPT_REDIR_PROTOCOLS_STR, https ? "https" : "http,https");
	set(CURLOPT_FOLLOWLOCATION, 1L);
	set(CURLOPT_MAXREDIRS, (long)SVR_FETCH_REDIRECTS);
	set(CURLOPT_FAILONERROR, 1L);
	set(CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)t->max);
	set(CURLOPT_CONNECTTIMEOUT, (long)SVR_FETCH_CONNECT_SEC);
	set(CURLOPT_TIMEOUT, (long)max_sec);
	set(CURLOPT_LOW_SPEED_LIMIT, (long)SVR_FETCH_SLOW_BYTES);
	set(CURLOPT_LOW_SPEED_TIME, (long)SVR_FETCH_SLOW_SEC);
	set(CURLOPT_MAX_RECV_SPEED_LARGE, (curl_off_t)SVR_FETCH_BYTES_PER_SEC);
	set(CURLOPT_NOSIGNAL, 1L);
	set(CURLOPT_QUICK_EXIT, 1L); /* never wait for a thread that resolves a name */
	set(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	set(CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
	set(CURLOPT_HTTP_CONTENT_DECODING, 0L);
	set(CURLOPT_USERAGENT, "svr/" SVR_VERSION);
	set(CURLOPT_ERRORBUFFER, t->reason);
	set(CURLOPT_WRITEFUNCTION, on_body);
	set(CURLOPT_WRITEDATA, t);
	set(CURLOPT_HEADERFUNCTION, on_header);
	set(CURLOPT_HEADERDATA, t);
	set(CURLOPT_PRIVATE, t);
	return ok ? 0 : -ENOMEM;
}

#undef set

static bool is_http(const char *url)
{
	return strncasecmp(url, "http://", strlen("http://")) == 0 ||
	       strncasecmp(url, "https://", strlen("https://")) == 0;
}

int svr_fetch_start(struct svr_fetcher *f, const char *url, size_t max_bytes, unsigned int max_sec,
		    svr_fetch_done done, void *user, struct svr_fetch **out)
{
	struct svr_fetch *t;
	int ret = -ENOMEM;

	*out = NULL;
	if (!is_http(url))
		return -EINVAL;
	t = calloc(1, sizeof(*t));
	if (!t)
		return ret;
	t->fetcher = f;
	t->done = done;
	t->user = user;
	t->max = max_bytes;
	t->easy = curl_easy_init();
	if (t->easy)
		ret = transfer_configure(t, url, max_sec);
	if (!ret && curl_multi_add_handle(f->multi, t->easy) != CURLM_OK)
		ret = -ENOMEM;
	if (ret) {
		curl_easy_cleanup(t->easy);
		free(t);
		return ret;
	}
	LIST_INSERT_HEAD(&f->transfers, t, entry);
	*out = t;
	return 0;
}

void svr_fetch_cancel(struct svr_fetch *t)
{
	if (t)
		transfer_free(t);
}

/* ---- fetcher --------------------------------------------------------------------------------- */

int svr_fetcher_new(struct event_base *base, struct svr_fetcher **out)
{
	struct svr_fetcher *f;

	*out = NULL;
	if (curl_global_init(CURL_GLOBAL_ALL) != CURLE_OK)
		return -ENOSYS;
	/* Without it a slow name server would stop the event loop, and with it BFD. */
	if (!(curl_version_info(CURLVERSION_NOW)->features & CURL_VERSION_ASYNCHDNS)) {
		curl_global_cleanup();
		return -ENOSYS;
	}
	f = calloc(1, sizeof(*f));
	if (!f) {
		curl_global_cleanup();
		return -ENOMEM;
	}
	LIST_INIT(&f->transfers);
	f->base = base;
	f->timer = evtimer_new(base, on_timer, f);
	f->multi = curl_multi_init();
	if (!f->timer || !f->multi ||
	    curl_multi_setopt(f->multi, CURLMOPT_SOCKETFUNCTION, set_socket) != CURLM_OK ||
	    curl_multi_setopt(f->multi, CURLMOPT_SOCKETDATA, f) != CURLM_OK ||
	    curl_multi_setopt(f->multi, CURLMOPT_TIMERFUNCTION, set_timer) != CURLM_OK ||
	    curl_multi_setopt(f->multi, CURLMOPT_TIMERDATA, f) != CURLM_OK ||
	    curl_multi_setopt(f->multi, CURLMOPT_MAXCONNECTS, (long)FETCH_CONNECTIONS) !=
		    CURLM_OK) {
		svr_fetcher_free(f);
		return -ENOMEM;
	}
	*out = f;
	return 0;
}

void svr_fetcher_free(struct svr_fetcher *f)
{
	struct svr_fetch *t;

	if (!f)
		return;
	while ((t = LIST_FIRST(&f->transfers)))
		transfer_free(t);
	if (f->multi)
		curl_multi_cleanup(f->multi);
	if (f->timer)
		event_free(f->timer);
	free(f);
	curl_global_cleanup();
}
