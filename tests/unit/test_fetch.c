// SPDX-License-Identifier: BSD-2-Clause
/* sys/fetch.h against a server in the same event loop, which says what the test wants. */
#include <criterion/criterion.h>
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>

#include "sys/fetch.h"

enum { FETCH_MAX = 10000, FETCH_SEC = 5 };

struct scene {
	struct event_base *base;
	struct evconnlistener *listener;
	struct svr_fetcher *fetcher;
	const char *answer; /* to each request */
	unsigned int requests;
	unsigned int port;
	unsigned int connections; /* open ones of the server */
	/* what came of it */
	unsigned int done;
	int error;
	char reason[SVR_FETCH_REASON_LEN];
	char *data;
	size_t len;
};

static void on_end(struct bufferevent *bev, short what, void *user);

static void connection_free(struct scene *s, struct bufferevent *bev)
{
	bufferevent_free(bev);
	s->connections--;
}

static void on_written(struct bufferevent *bev, void *user)
{
	connection_free(user, bev);
}

static void on_request(struct bufferevent *bev, void *user)
{
	struct evbuffer *in = bufferevent_get_input(bev);
	struct evbuffer_ptr end = evbuffer_search(in, "\r\n\r\n", 4, NULL);
	struct scene *s = user;

	if (end.pos < 0)
		return;
	evbuffer_drain(in, evbuffer_get_length(in));
	s->requests++;
	bufferevent_setcb(bev, NULL, on_written, on_end, s); /* one answer for each connection */
	bufferevent_write(bev, s->answer, strlen(s->answer));
}

static void on_end(struct bufferevent *bev, short what, void *user)
{
	(void)what;
	connection_free(user, bev);
}

static void on_accept(struct evconnlistener *l, evutil_socket_t fd, struct sockaddr *addr, int len,
		      void *user)
{
	struct scene *s = user;
	struct bufferevent *bev = bufferevent_socket_new(s->base, fd, BEV_OPT_CLOSE_ON_FREE);

	s->connections++;
	(void)l, (void)addr, (void)len;
	bufferevent_setcb(bev, on_request, NULL, on_end, user);
	bufferevent_enable(bev, EV_READ | EV_WRITE);
}

static void on_done(void *user, struct svr_fetch_answer *answer)
{
	struct scene *s = user;

	s->done++;
	s->error = answer->error;
	snprintf(s->reason, sizeof(s->reason), "%s", answer->reason);
	s->data = (char *)answer->data;
	s->len = answer->len;
	answer->data = NULL;
	event_base_loopbreak(s->base);
}

static struct scene *scene_new(const char *answer)
{
	struct sockaddr_in addr = { .sin_family = AF_INET,
				    .sin_addr = { htonl(INADDR_LOOPBACK) } };
	struct scene *s = calloc(1, sizeof(*s));
	socklen_t len = sizeof(addr);

	s->answer = answer;
	s->base = event_base_new();
	s->listener = evconnlistener_new_bind(s->base, on_accept, s, LEV_OPT_CLOSE_ON_FREE, 16,
					      (struct sockaddr *)&addr, sizeof(addr));
	cr_assert_not_null(s->listener);
	getsockname(evconnlistener_get_fd(s->listener), (struct sockaddr *)&addr, &len);
	s->port = ntohs(addr.sin_port);
	cr_assert_eq(svr_fetcher_new(s->base, &s->fetcher), 0);
	return s;
}

static void scene_free(struct scene *s)
{
	svr_fetcher_free(s->fetcher);
	while (s->connections > 0) /* the other ends are closed: they hear of it */
		event_base_loop(s->base, EVLOOP_ONCE);
	evconnlistener_free(s->listener);
	event_base_free(s->base);
	free(s->data);
	free(s);
}

/* Answers each request with @answer; what came of it is in the scene. */
static struct scene *fetch(const char *answer)
{
	const struct timeval limit = { .tv_sec = 2 * FETCH_SEC };
	struct scene *s = scene_new(answer);
	struct svr_fetch *t;
	char url[64];

	snprintf(url, sizeof(url), "http://127.0.0.1:%u/list.crl", s->port);
	cr_assert_eq(svr_fetch_start(s->fetcher, url, FETCH_MAX, FETCH_SEC, on_done, s, &t), 0);
	cr_expect_eq(s->done, 0, "never from inside the call");
	event_base_loopexit(s->base, &limit);
	event_base_dispatch(s->base);
	cr_assert_eq(s->done, 1, "no answer, or two");
	return s;
}

Test(fetch, a_file)
{
	struct scene *s = fetch("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");

	cr_expect_eq(s->error, 0, "%s", s->reason);
	cr_assert_eq(s->len, 5);
	cr_expect_arr_eq(s->data, "hello", 5);
	cr_expect_str_eq(s->reason, "");
	scene_free(s);
}

static void expect_failure(const char *name, const char *answer, int error, const char *word)
{
	struct scene *s = fetch(answer);

	cr_expect_eq(s->error, error, "%s: %d %s", name, s->error, s->reason);
	cr_expect_null(s->data, "%s", name);
	cr_expect(strstr(s->reason, word), "%s: %s", name, s->reason);
	cr_expect(!strpbrk(s->reason, "\r\n"), "%s: one line", name);
	scene_free(s);
}

Test(fetch, what_a_server_may_not)
{
	char big[2 * FETCH_MAX + 200], headers[SVR_FETCH_HEADERS_MAX + 1000];
	int n = snprintf(big, sizeof(big), "HTTP/1.1 200 OK\r\n\r\n");

	memset(big + n, 'x', sizeof(big) - (size_t)n - 1);
	big[sizeof(big) - 1] = '\0';
	expect_failure("longer than allowed", big, -EFBIG, "10000 bytes");
	expect_failure("announced as longer",
		       "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\nx", -EFBIG,
		       "10000 bytes");
	n = snprintf(headers, sizeof(headers), "HTTP/1.1 200 OK\r\n");
	while (n + 200 < (int)sizeof(headers))
		n += snprintf(headers + n, sizeof(headers) - (size_t)n, "X-A: %0100d\r\n", 0);
	expect_failure("headers", headers, -EPROTO, "headers");
	expect_failure("less than announced", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf",
		       -EPROTO, "");
	expect_failure("not found", "HTTP/1.1 404 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", -EPROTO, "404");
	expect_failure("nothing new", "HTTP/1.1 304 No\r\n\r\n", -EPROTO, "304");
	expect_failure("no HTTP", "hello\r\n\r\n", -EPROTO, "");
}

Test(fetch, redirections)
{
	struct scene *s = fetch("HTTP/1.1 302 No\r\nLocation: /again\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");

	cr_expect_eq(s->error, -ELOOP, "%d %s", s->error, s->reason);
	cr_expect_geq(s->requests, 1 + SVR_FETCH_REDIRECTS);
	scene_free(s);
	expect_failure("to a file",
		       "HTTP/1.1 302 No\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
		       -EPROTO, "");
	expect_failure("to FTP",
		       "HTTP/1.1 302 No\r\nLocation: ftp://127.0.0.1/x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
		       -EPROTO, "");
}

Test(fetch, what_is_not_fetched)
{
	struct scene *s = scene_new("");
	struct svr_fetch *t;

	cr_expect_eq(svr_fetch_start(s->fetcher, "file:///etc/passwd", FETCH_MAX, FETCH_SEC,
				     on_done, s, &t),
		     -EINVAL);
	cr_expect_eq(svr_fetch_start(s->fetcher, "ftp://127.0.0.1/x", FETCH_MAX, FETCH_SEC, on_done,
				     s, &t),
		     -EINVAL);
	cr_expect_null(t);
	scene_free(s);
}

Test(fetch, cancelled_or_left)
{
	struct scene *s = scene_new(""); /* it never answers */
	struct svr_fetch *a, *b;
	char url[64];

	snprintf(url, sizeof(url), "http://127.0.0.1:%u/", s->port);
	cr_assert_eq(svr_fetch_start(s->fetcher, url, FETCH_MAX, FETCH_SEC, on_done, s, &a), 0);
	cr_assert_eq(svr_fetch_start(s->fetcher, url, FETCH_MAX, FETCH_SEC, on_done, s, &b), 0);
	event_base_loop(s->base, EVLOOP_NONBLOCK);
	svr_fetch_cancel(a);
	svr_fetch_cancel(NULL);
	scene_free(s); /* with b under way */
}
