// SPDX-License-Identifier: BSD-2-Clause
/*
 * The serving side of a control socket: one request line, one answer line, on the event loop of the
 * process.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <json-c/json.h>

#include "sys/ctl.h"
#include "sys/log.h"

enum {
	FILE_MODE = 0600,
	REQUEST_MAX = 64 * 1024,	/* bytes, newline included */
	REQUEST_DEPTH = 16,		/* nested objects and arrays */
	CLIENT_TIMEOUT_SEC = 5,		/* for the request; between portions of the answer */
	LATER_TIMEOUT_SEC = 60,		/* for an answer that takes its time */
	CLIENTS_MAX = 32,
	BACKLOG = 16,
	LOCK_TRIES = 8,
};

struct client {
	struct svr_ctl_server *server;
	struct bufferevent *bev;
	struct event *deadline;
	bool answered;
	struct svr_ctl_later *later; /* somebody will answer */
	LIST_ENTRY(client) entry;
};

struct svr_ctl_later {
	struct client *client; /* NULL: gone */
};

struct svr_ctl_server {
	struct event_base *base;
	struct evconnlistener *listener;
	struct client *asking; /* whose request the handler has */
	svr_ctl_handler handler;
	void *user;
	int pid_fd;
	unsigned int n_clients;
	LIST_HEAD(, client) clients;
	char pid_path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	char sock_path[sizeof(((struct sockaddr_un *)NULL)->sun_path)]; /* empty: not bound yet */
};

/* ---- one client ------------------------------------------------------------------------------ */

static void client_free(struct client *c)
{
	LIST_REMOVE(c, entry);
	if (c->later)
		c->later->client = NULL;
	if (c->server->n_clients-- == CLIENTS_MAX && c->server->listener)
		evconnlistener_enable(c->server->listener);
	if (c->deadline)
		event_free(c->deadline);
	bufferevent_free(c->bev); /* closes the socket */
	free(c);
}

/* Parses exactly one JSON object; NULL if it is anything else. */
static struct json_object *request_parse(const char *line, size_t len)
{
	struct json_tokener *tok = json_tokener_new_ex(REQUEST_DEPTH);
	struct json_object *request;

	if (!tok)
		return NULL;
	request = json_tokener_parse_ex(tok, line, (int)len);
	if (json_tokener_get_error(tok) != json_tokener_success ||
	    json_tokener_get_parse_end(tok) != len ||
	    !json_object_is_type(request, json_type_object)) {
		json_object_put(request);
		request = NULL;
	}
	json_tokener_free(tok);
	return request;
}

static struct json_object *request_answer(struct svr_ctl_server *s, const char *line, size_t len)
{
	struct json_object *request = request_parse(line, len), *command, *answer;

	if (!request)
		return svr_ctl_error("the request is not one JSON object on one line");
	if (!json_object_object_get_ex(request, "command", &command) ||
	    !json_object_is_type(command, json_type_string))
		answer = svr_ctl_error("the request has no \"command\" that is a string");
	else
		answer = s->handler(json_object_get_string(command), request, s->user);
	json_object_put(request);
	return answer;
}

/* Queues @answer (ownership comes along) and lets client_written() close when all of it is gone. */
static void client_answer(struct client *c, struct json_object *answer)
{
	const struct timeval timeout = { .tv_sec = CLIENT_TIMEOUT_SEC };
	const char *text = json_object_to_json_string_ext(answer, JSON_C_TO_STRING_PLAIN);

	c->answered = true;
	event_del(c->deadline);
	bufferevent_disable(c->bev, EV_READ);
	bufferevent_set_timeouts(c->bev, NULL, &timeout);
	bufferevent_write(c->bev, text, strlen(text));
	bufferevent_write(c->bev, "\n", 1);
	json_object_put(answer);
}

static void client_ask(struct client *c, const char *line, size_t len)
{
	const struct timeval timeout = { .tv_sec = LATER_TIMEOUT_SEC };
	struct json_object *answer;

	c->server->asking = c;
	answer = request_answer(c->server, line, len);
	c->server->asking = NULL;
	if (c->answered) /* by svr_ctl_answer(), from inside the handler */
		json_object_put(answer);
	else if (!c->later)
		client_answer(c, answer ? answer : svr_ctl_error("no answer to this command"));
	else {
		/* A client that has closed its half of the connection still wants the answer. */
		bufferevent_disable(c->bev, EV_READ);
		evtimer_add(c->deadline, &timeout);
	}
}

struct svr_ctl_later *svr_ctl_later(struct svr_ctl_server *s)
{
	struct svr_ctl_later *later = malloc(sizeof(*later));

	if (!later)
		return NULL;
	later->client = s->asking;
	s->asking->later = later;
	return later;
}

void svr_ctl_answer(struct svr_ctl_later *later, struct json_object *answer)
{
	struct client *c = later->client;

	free(later);
	if (!c) {
		json_object_put(answer);
		return;
	}
	c->later = NULL;
	client_answer(c, answer);
}

static void client_readable(struct bufferevent *bev, void *arg)
{
	struct evbuffer *in = bufferevent_get_input(bev);
	struct client *c = arg;
	size_t len;
	char *line;

	if (c->answered || c->later)
		return;
	line = evbuffer_readln(in, &len, EVBUFFER_EOL_LF);
	if (line) {
		client_ask(c, line, len);
		free(line);
	} else if (evbuffer_get_length(in) >= REQUEST_MAX) {
		client_answer(c, svr_ctl_error("the request is longer than %d bytes", REQUEST_MAX));
	}
}

static void client_written(struct bufferevent *bev, void *arg)
{
	struct client *c = arg;

	if (c->answered && evbuffer_get_length(bufferevent_get_output(bev)) == 0)
		client_free(c);
}

static void client_event(struct bufferevent *bev, short what, void *arg)
{
	(void)bev;
	(void)what; /* end, error or a timeout: the client is gone or too slow */
	client_free(arg);
}

static void client_late(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	client_free(arg);
}

/*
 * Root, or the user that we run as. The directory's mode says the same; two locks are better than
 * one.
 */
static bool client_allowed(int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 &&
	       (peer.uid == 0 || peer.uid == geteuid());
}

static void client_new(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *addr,
		       int addr_len, void *arg)
{
	const struct timeval timeout = { .tv_sec = CLIENT_TIMEOUT_SEC };
	struct svr_ctl_server *s = arg;
	struct client *c;

	(void)addr;
	(void)addr_len;
	if (!client_allowed(fd))
		goto refuse;
	c = calloc(1, sizeof(*c));
	if (!c)
		goto refuse;
	c->server = s;
	c->bev = bufferevent_socket_new(s->base, fd, BEV_OPT_CLOSE_ON_FREE);
	if (!c->bev) {
		free(c);
		goto refuse;
	}
	LIST_INSERT_HEAD(&s->clients, c, entry);
	if (++s->n_clients == CLIENTS_MAX)
		evconnlistener_disable(listener); /* others wait, see client_free() */
	c->deadline = evtimer_new(s->base, client_late, c);
	if (!c->deadline || evtimer_add(c->deadline, &timeout) < 0) {
		client_free(c);
		return;
	}
	/* One portion above the limit is enough to see that it was passed. */
	bufferevent_setwatermark(c->bev, EV_READ, 0, REQUEST_MAX);
	bufferevent_setcb(c->bev, client_readable, client_written, client_event, c);
	bufferevent_enable(c->bev, EV_READ | EV_WRITE);
	return;
refuse:
	close(fd);
}

/* ---- the server ------------------------------------------------------------------------------ */

/*
 * Takes the lock of this router's process. The lock ends with the process however it ends, the file
 * need not.
 * Return: descriptor, -EADDRINUSE if another process holds it, other negative errno.
 */
static int pid_lock(const char *path)
{
	struct stat by_fd, by_path;
	char text[16];
	int fd, tries, err, n;

	for (tries = 0; tries < LOCK_TRIES; tries++) {
		fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, FILE_MODE);
		if (fd < 0)
			return -errno;
		err = -EADDRINUSE;
		if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
			if (errno != EWOULDBLOCK)
				err = -errno;
			close(fd);
			return err;
		}
		/*
		 * The one who had the lock removes the file before it lets go: then we hold a file
		 * without a name.
		 */
		if (fstat(fd, &by_fd) == 0 && stat(path, &by_path) == 0 &&
		    by_fd.st_ino == by_path.st_ino && by_fd.st_dev == by_path.st_dev)
			break;
		close(fd);
	}
	if (tries == LOCK_TRIES)
		return -EADDRINUSE;
	n = snprintf(text, sizeof(text), "%d\n", getpid());
	if (ftruncate(fd, 0) < 0 || write(fd, text, (size_t)n) != n) {
		err = -errno;
		close(fd);
		return err;
	}
	return fd;
}

/*
 * Return: listening descriptor or negative errno. We hold the lock, so a socket that is there was
 * left behind.
 */
static int socket_listen(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd, err;

	if (unlink(path) < 0 && errno != ENOENT)
		return -errno;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	memcpy(addr.sun_path, path, strlen(path) + 1);
	/*
	 * The mode of the socket's file comes from the descriptor: there is no moment in which
	 * others could connect.
	 */
	if (fchmod(fd, FILE_MODE) < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ||
	    listen(fd, BACKLOG) < 0) {
		err = -errno;
		close(fd);
		return err;
	}
	return fd;
}

int svr_ctl_serve(struct event_base *base, const char *router, const char *process,
		  svr_ctl_handler handler, void *user, struct svr_ctl_server **out)
{
	char file[SVR_CTL_FILE_LEN], sock_path[sizeof(((struct svr_ctl_server *)NULL)->sock_path)];
	struct svr_ctl_server *s = calloc(1, sizeof(*s));
	struct sigaction pipe_action;
	int fd, err;

	*out = NULL;
	if (!s)
		return -ENOMEM;
	s->base = base;
	s->handler = handler;
	s->user = user;
	s->pid_fd = -1;
	LIST_INIT(&s->clients);
	/*
	 * libevent writes without MSG_NOSIGNAL: a client that went away must not end the process.
	 */
	if (sigaction(SIGPIPE, NULL, &pipe_action) == 0 && pipe_action.sa_handler == SIG_DFL)
		signal(SIGPIPE, SIG_IGN);

	snprintf(file, sizeof(file), "%s.pid", process);
	err = svr_ctl_path(router, file, true, s->pid_path, sizeof(s->pid_path));
	if (err)
		goto out;
	snprintf(file, sizeof(file), "%s.sock", process);
	err = svr_ctl_path(router, file, false, sock_path, sizeof(sock_path));
	if (err)
		goto out;
	err = pid_lock(s->pid_path);
	if (err < 0)
		goto out;
	s->pid_fd = err;
	fd = socket_listen(sock_path);
	if (fd < 0) {
		err = fd;
		goto out;
	}
	memcpy(s->sock_path, sock_path, sizeof(s->sock_path));
	s->listener = evconnlistener_new(base, client_new, s,
					 LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd);
	if (!s->listener) {
		close(fd);
		err = -ENOMEM;
		goto out;
	}
	err = 0;
	*out = s;
out:
	if (err)
		svr_ctl_server_free(s);
	return err;
}

void svr_ctl_server_free(struct svr_ctl_server *s)
{
	if (!s)
		return;
	if (s->listener)
		evconnlistener_free(s->listener);
	s->listener = NULL;
	while (!LIST_EMPTY(&s->clients))
		client_free(LIST_FIRST(&s->clients));
	if (s->sock_path[0])
		unlink(s->sock_path);
	if (s->pid_fd >= 0) {
		unlink(s->pid_path); /* before the lock ends, see pid_lock() */
		close(s->pid_fd);
	}
	free(s);
}
