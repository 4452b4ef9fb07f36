// SPDX-License-Identifier: BSD-2-Clause
/*
 * Many TCP connections at once: an echo server, and a client that opens them at a steady rate, keeps
 * each for the same time, and looks at every byte. Each connection sends one token when it is open
 * and another one before it ends, so that a connection that silently died in between is a failure.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
	EVENTS = 512,
	BACKLOG = 4096,
	PORTS_MAX = 1024,
	TOKEN_LEN = 32,
	BURST = 64, /* new connections between two looks at the events */
	DEADLINE_SEC = 20, /* TCP repeats a lost SYN after 1, 3, 7 and 15 s */
	REASONS = 8,
};
#define NS_PER_SEC 1000000000ULL

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * NS_PER_SEC + (uint64_t)t.tv_nsec;
}

static int die(const char *what)
{
	fprintf(stderr, "tcp_sessions: %s: %s\n", what, strerror(errno));
	return EXIT_FAILURE;
}

/* ---- server -------------------------------------------------------------------------------- */

static int listen_on(int epoll, uint16_t port)
{
	const struct sockaddr_in6 any = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1, zero = 0;
	struct epoll_event e = { .events = EPOLLIN, .data.u64 = 1ULL << 32 | (uint32_t)fd };

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) ||
	    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof(zero)) ||
	    bind(fd, (const struct sockaddr *)&any, sizeof(any)) || listen(fd, BACKLOG))
		return -errno;
	return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e);
}

static void accept_all(int epoll, int listener)
{
	struct epoll_event e = { .events = EPOLLIN };
	int fd;

	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
		e.data.u64 = (uint32_t)fd;
		if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e))
			close(fd);
	}
}

/* Tokens are far shorter than a send buffer, so a short write means that something is wrong. */
static void echo(int fd)
{
	uint8_t buf[4096];
	ssize_t n = recv(fd, buf, sizeof(buf), 0);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0 || send(fd, buf, (size_t)n, MSG_NOSIGNAL) != n)
		close(fd);
}

static int serve(uint16_t port, unsigned int ports)
{
	struct epoll_event events[EVENTS];
	int epoll = epoll_create1(0), n, i;

	for (i = 0; epoll >= 0 && i < (int)ports; i++)
		if (listen_on(epoll, (uint16_t)(port + i)))
			return die("cannot listen");
	puts("serving");
	fflush(stdout);
	while ((n = epoll_wait(epoll, events, EVENTS, -1)) >= 0 || errno == EINTR) {
		for (i = 0; i < n; i++) {
			if (events[i].data.u64 >> 32)
				accept_all(epoll, (int)(uint32_t)events[i].data.u64);
			else
				echo((int)(uint32_t)events[i].data.u64);
		}
	}
	return die("epoll_wait");
}

/* ---- client -------------------------------------------------------------------------------- */

enum state {
	CONN_FREE,
	CONN_OPENING,
	CONN_FIRST, /* first token is under way */
	CONN_KEPT,
	CONN_LAST, /* last token is under way */
	CONN_ENDING, /* FIN sent, the server's is missing */
};

struct conn {
	int fd;
	uint8_t state; /* enum state */
	uint8_t got;
	uint8_t token[TOKEN_LEN];
	uint64_t since_ns; /* of the state */
	uint64_t opened_ns;
};

struct client {
	struct sockaddr_storage to;
	socklen_t to_len;
	uint16_t port;
	unsigned int ports;
	uint64_t rate, keep, seconds;
	int epoll;
	struct conn *conns;
	uint32_t *free, n_free, room;
	uint32_t *kept; /* ring: in the order in which they were opened */
	uint64_t kept_first, kept_end;
	uint64_t opened, done, failed, live, peak;
	uint64_t setup_sum_ns, setup_max_ns;
	struct {
		const char *when;
		int error;
		uint64_t count;
	} reasons[REASONS];
};

static void conn_end(struct client *c, struct conn *k)
{
	close(k->fd);
	k->state = CONN_FREE;
	c->free[c->n_free++] = (uint32_t)(k - c->conns);
	c->live--;
}

static void conn_failed(struct client *c, struct conn *k, int error)
{
	static const char *const when[] = {
		[CONN_FREE] = "start",	      [CONN_OPENING] = "opening",
		[CONN_FIRST] = "first token", [CONN_KEPT] = "kept",
		[CONN_LAST] = "last token",   [CONN_ENDING] = "ending",
	};
	unsigned int i;

	for (i = 0; i < REASONS - 1 && c->reasons[i].when; i++)
		if (c->reasons[i].when == when[k->state] && c->reasons[i].error == error)
			break;
	c->reasons[i].when = when[k->state];
	c->reasons[i].error = error;
	c->reasons[i].count++;
	c->failed++;
	conn_end(c, k);
}

static void token_send(struct client *c, struct conn *k, enum state next, uint64_t now)
{
	k->got = 0;
	if (getrandom(k->token, sizeof(k->token), 0) != sizeof(k->token) ||
	    send(k->fd, k->token, sizeof(k->token), MSG_NOSIGNAL) != sizeof(k->token)) {
		conn_failed(c, k, errno);
		return;
	}
	k->state = (uint8_t)next;
	k->since_ns = now;
}

static void conn_open(struct client *c, uint64_t now)
{
	struct conn *k = &c->conns[c->free[--c->n_free]];
	struct epoll_event e = { .events = EPOLLIN | EPOLLOUT | EPOLLET | EPOLLRDHUP };
	in_port_t port = htons((uint16_t)(c->port + c->opened % c->ports));

	if (c->to.ss_family == AF_INET)
		((struct sockaddr_in *)&c->to)->sin_port = port;
	else
		((struct sockaddr_in6 *)&c->to)->sin6_port = port;
	*k = (struct conn){ .state = CONN_OPENING, .since_ns = now, .opened_ns = now };
	k->fd = socket(c->to.ss_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
	e.data.u32 = (uint32_t)(k - c->conns);
	c->opened++;
	if (++c->live > c->peak)
		c->peak = c->live;
	if (k->fd < 0 || epoll_ctl(c->epoll, EPOLL_CTL_ADD, k->fd, &e) ||
	    (connect(k->fd, (const struct sockaddr *)&c->to, c->to_len) && errno != EINPROGRESS))
		conn_failed(c, k, errno);
}

static void conn_opened(struct client *c, struct conn *k, uint64_t now)
{
	uint64_t took_ns = now - k->opened_ns;
	socklen_t len = sizeof(int);
	int error = 0;

	if (getsockopt(k->fd, SOL_SOCKET, SO_ERROR, &error, &len) || error) {
		conn_failed(c, k, error ? error : errno);
		return;
	}
	c->setup_sum_ns += took_ns;
	if (took_ns > c->setup_max_ns)
		c->setup_max_ns = took_ns;
	token_send(c, k, CONN_FIRST, now);
}

static void token_done(struct client *c, struct conn *k, uint64_t now)
{
	if (k->state == CONN_FIRST) {
		k->state = CONN_KEPT;
		c->kept[c->kept_end++ % c->room] = (uint32_t)(k - c->conns);
	} else {
		k->state = CONN_ENDING;
		if (shutdown(k->fd, SHUT_WR))
			conn_failed(c, k, errno);
	}
	k->since_ns = now;
}

/* Edge triggered: read all that is there. */
static void conn_read(struct client *c, struct conn *k, uint64_t now)
{
	uint8_t buf[TOKEN_LEN];
	ssize_t n;

	while (k->state != CONN_FREE) {
		n = recv(k->fd, buf, sizeof(buf), 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n == 0 && k->state == CONN_ENDING) {
			c->done++;
			conn_end(c, k);
		} else if (n <= 0) {
			conn_failed(c, k, n ? errno : EPIPE);
		} else if ((k->state != CONN_FIRST && k->state != CONN_LAST) ||
			   k->got + n > TOKEN_LEN ||
			   memcmp(k->token + k->got, buf, (size_t)n) != 0) {
			conn_failed(c, k, EBADMSG);
		} else {
			k->got = (uint8_t)(k->got + n);
			if (k->got == TOKEN_LEN)
				token_done(c, k, now);
		}
	}
}

static void conn_event(struct client *c, struct conn *k, uint32_t events, uint64_t now)
{
	if (k->state == CONN_OPENING && events & (EPOLLOUT | EPOLLERR | EPOLLHUP))
		conn_opened(c, k, now);
	if (k->state > CONN_OPENING && events & (EPOLLIN | EPOLLRDHUP | EPOLLERR | EPOLLHUP))
		conn_read(c, k, now);
}

/* Connections that were kept long enough say goodbye. @all: at the end of the run. */
static void kept_end(struct client *c, bool all, uint64_t now)
{
	const uint64_t life_ns = c->keep * NS_PER_SEC / c->rate;

	while (c->kept_first < c->kept_end) {
		struct conn *k = &c->conns[c->kept[c->kept_first % c->room]];

		if (k->state == CONN_KEPT && !all && now - k->opened_ns < life_ns)
			return;
		c->kept_first++;
		if (k->state == CONN_KEPT)
			token_send(c, k, CONN_LAST, now);
	}
}

static void late_fail(struct client *c, uint64_t now)
{
	uint32_t i;

	for (i = 0; i < c->room; i++) {
		struct conn *k = &c->conns[i];

		if (k->state != CONN_FREE && k->state != CONN_KEPT &&
		    now - k->since_ns > DEADLINE_SEC * NS_PER_SEC)
			conn_failed(c, k, ETIMEDOUT);
	}
}

static void run(struct client *c)
{
	uint64_t start = now_ns(), now = start, looked = start, due;
	struct epoll_event events[EVENTS];
	unsigned int burst;
	bool over = false;
	int n, i;

	while (!over || c->live) {
		over = now - start >= c->seconds * NS_PER_SEC;
		due = (now - start) * c->rate / NS_PER_SEC;
		for (burst = 0; !over && c->opened < due && c->n_free && burst < BURST; burst++)
			conn_open(c, now);
		kept_end(c, over, now);
		n = epoll_wait(c->epoll, events, EVENTS, burst == BURST ? 0 : 1);
		now = now_ns();
		for (i = 0; i < n; i++)
			conn_event(c, &c->conns[events[i].data.u32], events[i].events, now);
		if (now - looked > NS_PER_SEC) {
			late_fail(c, now);
			looked = now;
		}
	}
	c->seconds = (now - start) / NS_PER_SEC;
}

static void report(const struct client *c)
{
	unsigned int i;

	printf("{\"opened\": %" PRIu64 ", \"done\": %" PRIu64 ", \"failed\": %" PRIu64
	       ", \"peak\": %" PRIu64 ", \"seconds\": %" PRIu64
	       ", \"setup_us\": {\"mean\": %" PRIu64 ", \"max\": %" PRIu64 "}, \"reasons\": [",
	       c->opened, c->done, c->failed, c->peak, c->seconds,
	       c->opened ? c->setup_sum_ns / c->opened / 1000 : 0, c->setup_max_ns / 1000);
	for (i = 0; i < REASONS && c->reasons[i].when; i++)
		printf("%s{\"when\": \"%s\", \"error\": \"%s\", \"count\": %" PRIu64 "}",
		       i ? ", " : "", c->reasons[i].when, strerror(c->reasons[i].error),
		       c->reasons[i].count);
	puts("]}");
}

static int load(struct client *c)
{
	uint32_t i;

	/* Those that open and those that end come on top of those that are kept */
	c->room = (uint32_t)(c->keep + c->rate * DEADLINE_SEC);
	c->conns = calloc(c->room, sizeof(*c->conns));
	c->free = calloc(c->room, sizeof(*c->free));
	c->kept = calloc(c->room, sizeof(*c->kept));
	c->epoll = epoll_create1(0);
	if (!c->conns || !c->free || !c->kept || c->epoll < 0)
		return die("cannot start");
	for (i = 0; i < c->room; i++)
		c->free[c->n_free++] = i;
	run(c);
	report(c);
	free(c->conns);
	free(c->free);
	free(c->kept);
	return c->failed || c->done != c->opened ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* ---- arguments ----------------------------------------------------------------------------- */

static int usage(void)
{
	fputs("usage: tcp_sessions serve PORT PORTS\n"
	      "       tcp_sessions load ADDRESS PORT PORTS RATE KEEP SECONDS\n"
	      "\n"
	      "PORTS ports from PORT on; RATE new connections per second, KEEP of them at once,\n"
	      "for SECONDS. Prints JSON; exit code 0 only if no connection failed.\n",
	      stderr);
	return 2;
}

static bool number(const char *text, uint64_t lo, uint64_t hi, uint64_t *out)
{
	char *end;

	*out = strtoull(text, &end, 10);
	return *text && !*end && *out >= lo && *out <= hi;
}

static bool address(const char *text, struct client *c)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)&c->to;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&c->to;

	if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		c->to_len = sizeof(*v4);
		return true;
	}
	v6->sin6_family = AF_INET6;
	c->to_len = sizeof(*v6);
	return inet_pton(AF_INET6, text, &v6->sin6_addr) == 1;
}

int main(int argc, char **argv)
{
	struct client c = { 0 };
	struct rlimit files;
	uint64_t port, ports;

	/* As many files as we may have; too few are a failure that is told */
	if (!getrlimit(RLIMIT_NOFILE, &files)) {
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
	if (argc == 4 && !strcmp(argv[1], "serve") && number(argv[2], 1, 65535, &port) &&
	    number(argv[3], 1, PORTS_MAX, &ports) && port + ports <= 65536)
		return serve((uint16_t)port, (unsigned int)ports);
	if (argc != 8 || strcmp(argv[1], "load") || !address(argv[2], &c) ||
	    !number(argv[3], 1, 65535, &port) || !number(argv[4], 1, PORTS_MAX, &ports) ||
	    port + ports > 65536 || !number(argv[5], 1, 100000, &c.rate) ||
	    !number(argv[6], 1, 1000000, &c.keep) || !number(argv[7], 1, 86400, &c.seconds))
		return usage();
	c.port = (uint16_t)port;
	c.ports = (unsigned int)ports;
	return load(&c);
}
