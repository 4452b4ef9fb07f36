// SPDX-License-Identifier: BSD-2-Clause
/*
 * Where control sockets and PID files are, and the client of a control socket. The server is in
 * ctl_server.c.
 */
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <json-c/json.h>

#include "lib/name.h"
#include "sys/ctl.h"
#include "sys/paths.h"

#define DEFAULT_RUN_DIR "/run/svr"

enum {
	CALL_TIMEOUT_MS = 5000,
	CONNECT_RETRY_MS = 20,			/* while the server's backlog is full */
	ANSWER_FIRST = 64 * 1024,		/* bytes that the buffer of an answer starts with */
	ANSWER_MAX = 256 * 1024 * 1024,		/* bytes; a full session table takes less */
};

int svr_ctl_path(const char *router, const char *file, int create, char *buf, size_t len)
{
	const char *run_dir = getenv("SVR_RUN_DIR");
	int n, err;

	if (!run_dir || !*run_dir)
		run_dir = DEFAULT_RUN_DIR;
	if (!svr_name_ok_for_path(router) || !svr_name_ok_for_path(file))
		return -EINVAL;
	if (create) {
		n = snprintf(buf, len, "%s/%s", run_dir, router);
		if (n < 0 || (size_t)n >= len)
			return -ENAMETOOLONG;
		err = svr_dir_make(run_dir);
		if (!err)
			err = svr_dir_make(buf);
		if (err)
			return err;
	}
	n = snprintf(buf, len, "%s/%s/%s", run_dir, router, file);
	return n < 0 || (size_t)n >= len ? -ENAMETOOLONG : 0;
}

struct json_object *svr_ctl_error(const char *fmt, ...)
{
	struct json_object *answer = json_object_new_object();
	char text[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	json_object_object_add(answer, "error", json_object_new_string(text));
	return answer;
}

/* ---- client ---------------------------------------------------------------------------------- */

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Waits until @fd is ready for @events. 0, -ETIMEDOUT after @deadline_ms, other negative errno. */
static int wait_for(int fd, short events, int64_t deadline_ms)
{
	struct pollfd p = { .fd = fd, .events = events };
	int64_t left;
	int n;

	do {
		left = deadline_ms - now_ms();
		if (left <= 0)
			return -ETIMEDOUT;
		n = poll(&p, 1, (int)left);
	} while (n == 0 || (n < 0 && errno == EINTR));
	return n < 0 ? -errno : 0;
}

/* A full backlog says EAGAIN, and nothing tells when there is room again (unix(7)). */
static int connect_until(int fd, const struct sockaddr_un *addr, int64_t deadline_ms)
{
	const struct timespec pause = { .tv_nsec = CONNECT_RETRY_MS * 1000000L };

	while (connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) < 0) {
		if (errno != EAGAIN && errno != EINTR)
			return errno == ENOENT ? -ECONNREFUSED : -errno;
		if (now_ms() > deadline_ms)
			return -ETIMEDOUT;
		nanosleep(&pause, NULL);
	}
	return 0;
}

static int send_all(int fd, const char *p, size_t len, int64_t deadline_ms)
{
	ssize_t n;
	int err;

	while (len > 0) {
		n = send(fd, p, len, MSG_NOSIGNAL);
		if (n >= 0) {
			p += n;
			len -= (size_t)n;
			continue;
		}
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
		err = wait_for(fd, POLLOUT, deadline_ms);
		if (err)
			return err;
	}
	return 0;
}

/* Reads to the end of the stream. @out: NUL-terminated, of the caller. */
static int receive_all(int fd, char **out, int64_t deadline_ms)
{
	size_t room = ANSWER_FIRST, len = 0;
	char *buf = malloc(room), *bigger;
	int err = -ENOMEM;
	ssize_t n;

	if (!buf)
		return err;
	for (;;) {
		if (len + 1 == room) {
			err = -EMSGSIZE;
			if (room >= ANSWER_MAX)
				goto out;
			err = -ENOMEM;
			bigger = realloc(buf, 2 * room);
			if (!bigger)
				goto out;
			buf = bigger;
			room *= 2;
		}
		n = recv(fd, buf + len, room - 1 - len, 0);
		if (n == 0)
			break;
		if (n > 0) {
			len += (size_t)n;
			continue;
		}
		err = -errno;
		if (err != -EAGAIN && err != -EINTR)
			goto out;
		err = wait_for(fd, POLLIN, deadline_ms);
		if (err)
			goto out;
	}
	buf[len] = '\0';
	*out = buf;
	return 0;
out:
	free(buf);
	return err;
}

/* Takes an answer line apart. 0, -EREMOTEIO with the server's words, -EPROTO. */
static int answer_read(const char *text, struct json_object **result, char *err, size_t err_len)
{
	struct json_object *answer = json_tokener_parse(text), *member;
	int ret = -EPROTO;

	if (json_object_object_get_ex(answer, "error", &member)) {
		snprintf(err, err_len, "%s", json_object_get_string(member));
		ret = -EREMOTEIO;
	} else if (json_object_object_get_ex(answer, "result", &member)) {
		*result = json_object_get(member);
		ret = 0;
	} else {
		snprintf(err, err_len, "answer is neither a result nor an error");
	}
	json_object_put(answer);
	return ret;
}

int svr_ctl_call(const char *router, const char *process, struct json_object *request,
		 struct json_object **result, char *err, size_t err_len)
{
	const int64_t deadline_ms = now_ms() + CALL_TIMEOUT_MS;
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	char file[SVR_CTL_FILE_LEN];
	const char *line;
	char *text = NULL;
	int fd = -1, ret;

	*result = NULL;
	snprintf(file, sizeof(file), "%s.sock", process);
	ret = svr_ctl_path(router, file, false, addr.sun_path, sizeof(addr.sun_path));
	if (ret) {
		snprintf(err, err_len, "%.63s: cannot name the control socket of router %.63s: %s",
			 process, router, strerror(-ret));
		return ret;
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0) {
		ret = -errno;
		goto out;
	}
	ret = connect_until(fd, &addr, deadline_ms);
	if (ret)
		goto out;
	line = json_object_to_json_string_ext(request, JSON_C_TO_STRING_PLAIN);
	ret = send_all(fd, line, strlen(line), deadline_ms);
	if (!ret)
		ret = send_all(fd, "\n", 1, deadline_ms);
	if (!ret)
		ret = receive_all(fd, &text, deadline_ms);
	if (ret)
		goto out;
	ret = answer_read(text, result, err, err_len);
	goto out_close; /* its words are in err */
out:
	if (ret == -ECONNREFUSED)
		snprintf(err, err_len,
			 "svr-%s of router %s does not run (nobody listens on %s); start it first",
			 process, router, addr.sun_path);
	else if (ret == -ETIMEDOUT)
		snprintf(err, err_len, "svr-%s of router %s did not answer within %d s", process,
			 router, CALL_TIMEOUT_MS / 1000);
	else if (ret)
		snprintf(err, err_len, "%s: %s", addr.sun_path, strerror(-ret));
out_close:
	free(text);
	if (fd >= 0)
		close(fd);
	return ret;
}
