// SPDX-License-Identifier: BSD-2-Clause
/*
 * Control sockets, key log, log lines and names: the glue in sys/, each test in directories of its
 * own.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <criterion/criterion.h>
#include <event2/event.h>
#include <json-c/json.h>
#include <svr/limits.h>

#include "lib/name.h"
#include "lib/uuid.h"
#include "lib/wirename.h"
#include "sys/ctl.h"
#include "sys/keylog.h"
#include "sys/log.h"
#include "tests/unit/vector.h"

enum { ERR_LEN = 512, BIG = 3000000 };

static char dir[64];	/* of this test, 0700 */

static void dir_setup(void)
{
	snprintf(dir, sizeof(dir), "/tmp/svr-unit-XXXXXX");
	cr_assert_not_null(mkdtemp(dir));
	setenv("SVR_RUN_DIR", dir, 1);
}

static void dir_teardown(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", dir);
	cr_expect_eq(system(command), 0);
}

static const char *in_dir(const char *name)
{
	static char path[4][160];
	static int next;

	next = (next + 1) % 4;
	snprintf(path[next], sizeof(path[next]), "%s/%s", dir, name);
	return path[next];
}

/* ---- control sockets ------------------------------------------------------------------------- */

TestSuite(ctl, .init = dir_setup, .fini = dir_teardown, .timeout = 60);

/* Of the server's process. */
static struct event_base *server_base;
static struct svr_ctl_server *server_self;

static void answer_later(evutil_socket_t fd, short what, void *later)
{
	struct json_object *o = json_object_new_object();

	(void)fd, (void)what;
	json_object_object_add(o, "result", json_object_new_string("at last"));
	svr_ctl_answer(later, o);
}

static struct json_object *answer(const char *command, struct json_object *request, void *user)
{
	struct json_object *o = json_object_new_object(), *word = NULL;
	int *calls = user;
	char *text;

	(*calls)++;
	if (strcmp(command, "echo") == 0) {
		json_object_object_get_ex(request, "word", &word);
		json_object_object_add(o, "result", json_object_get(word));
		return o;
	}
	if (strcmp(command, "calls") == 0) {
		json_object_object_add(o, "result", json_object_new_int(*calls));
		return o;
	}
	if (strcmp(command, "later") == 0 || strcmp(command, "later at once") == 0) {
		const struct timeval moment = { .tv_usec = command[5] ? 0 : 50000 };
		struct svr_ctl_later *later = svr_ctl_later(server_self);

		json_object_put(o);
		if (command[5])
			answer_later(-1, 0, later);
		else
			event_base_once(server_base, -1, EV_TIMEOUT, answer_later, later, &moment);
		return NULL;
	}
	if (strcmp(command, "big") == 0) {
		text = malloc(BIG + 1);
		memset(text, 'x', BIG);
		text[BIG] = '\0';
		json_object_object_add(o, "result", json_object_new_string(text));
		free(text);
		return o;
	}
	json_object_put(o);
	if (strcmp(command, "nothing") == 0)
		return NULL;
	return svr_ctl_error("no such command: %s", command);
}

/* A server in a process of its own; it has bound its socket when this returns. */
static pid_t server_start(const char *router)
{
	int ready[2], calls = 0, ret;
	pid_t pid;
	char byte;

	cr_assert_eq(pipe(ready), 0);
	pid = fork();
	cr_assert_geq(pid, 0);
	if (pid == 0) {
		/* a test that fails is gone at once; its server must not stay */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		server_base = event_base_new();
		ret = svr_ctl_serve(server_base, router, "worker", answer, &calls, &server_self);
		byte = ret ? 'n' : 'y';
		if (write(ready[1], &byte, 1) != 1 || ret)
			_exit(1);
		event_base_dispatch(server_base);
		_exit(0);
	}
	cr_assert_eq(read(ready[0], &byte, 1), 1);
	cr_assert_eq(byte, 'y', "server did not start");
	close(ready[0]);
	close(ready[1]);
	return pid;
}

static void server_kill(pid_t pid)
{
	kill(pid, SIGKILL);
	cr_expect_eq(waitpid(pid, NULL, 0), pid);
}

static int call(const char *command, const char *word, struct json_object **result, char *err)
{
	struct json_object *request = json_object_new_object();
	int ret;

	json_object_object_add(request, "command", json_object_new_string(command));
	if (word)
		json_object_object_add(request, "word", json_object_new_string(word));
	err[0] = '\0';
	ret = svr_ctl_call("west", "worker", request, result, err, ERR_LEN);
	json_object_put(request);
	return ret;
}

/* A client that says whatever it likes. */
static int raw_connect(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/west/worker.sock", dir);
	cr_assert_eq(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0, "%s", strerror(errno));
	return fd;
}

static void raw_send(int fd, const char *p, size_t len)
{
	ssize_t n;

	while (len > 0) {
		n = send(fd, p, len, MSG_NOSIGNAL);
		if (n <= 0)
			return; /* the server has had enough */
		p += n;
		len -= (size_t)n;
	}
}

/* What the server says until it closes. */
static const char *raw_receive(int fd)
{
	static char buf[1024];
	size_t len = 0;
	ssize_t n;

	while (len < sizeof(buf) - 1 && (n = recv(fd, buf + len, sizeof(buf) - 1 - len, 0)) > 0)
		len += (size_t)n;
	buf[len] = '\0';
	close(fd);
	return buf;
}

Test(ctl, answers_later)
{
	static const char request[] = "{\"command\":\"later\"}\n";
	pid_t pid = server_start("west");
	struct json_object *result;
	char err[ERR_LEN];
	int fd;

	cr_expect_eq(call("later", NULL, &result, err), 0, "%s", err);
	cr_expect_str_eq(json_object_get_string(result), "at last");
	json_object_put(result);
	cr_expect_eq(call("later at once", NULL, &result, err), 0, "%s", err);
	cr_expect_str_eq(json_object_get_string(result), "at last");
	json_object_put(result);
	/* a client that has said all it wants to say still listens */
	fd = raw_connect();
	raw_send(fd, request, sizeof(request) - 1);
	shutdown(fd, SHUT_WR);
	cr_expect_str_eq(raw_receive(fd), "{\"result\":\"at last\"}\n");
	/* one that is gone harms nobody */
	fd = raw_connect();
	raw_send(fd, request, sizeof(request) - 1);
	close(fd);
	cr_expect_eq(call("later", NULL, &result, err), 0, "%s", err);
	json_object_put(result);
	server_kill(pid);
}

Test(ctl, answers_results_and_errors)
{
	pid_t server = server_start("west");
	struct json_object *result;
	char err[ERR_LEN];

	cr_expect_eq(call("echo", "hello \"\n\xc3\xa4", &result, err), 0, "%s", err);
	cr_expect_str_eq(json_object_get_string(result), "hello \"\n\xc3\xa4");
	json_object_put(result);
	cr_expect_eq(call("big", NULL, &result, err), 0, "%s", err);
	cr_expect_eq(json_object_get_string_len(result), BIG);
	json_object_put(result);
	cr_expect_eq(call("fly", NULL, &result, err), -EREMOTEIO);
	cr_expect_str_eq(err, "no such command: fly");
	cr_expect_null(result);
	cr_expect_eq(call("nothing", NULL, &result, err), -EREMOTEIO,
		     "a handler without an answer");
	server_kill(server);
}

Test(ctl, says_that_nobody_runs)
{
	struct json_object *result;
	char err[ERR_LEN];
	pid_t server;

	cr_expect_eq(call("echo", NULL, &result, err), -ECONNREFUSED, "no directory");
	cr_expect_not_null(strstr(err, "svr-worker of router west does not run"), "%s", err);
	server = server_start("west");
	server_kill(server);
	cr_expect_eq(access(in_dir("west/worker.sock"), F_OK), 0,
		     "a killed server leaves its socket behind");
	cr_expect_eq(call("echo", NULL, &result, err), -ECONNREFUSED,
		     "a socket of a killed process");
}

Test(ctl, one_process_per_router_and_a_killed_one_is_replaced)
{
	struct event_base *base = event_base_new();
	struct svr_ctl_server *second = (void *)1, *east;
	struct json_object *result;
	char err[ERR_LEN];
	int calls = 0;
	pid_t server = server_start("west");

	cr_expect_eq(svr_ctl_serve(base, "west", "worker", answer, &calls, &second), -EADDRINUSE);
	cr_expect_null(second);
	cr_expect_eq(call("echo", "still there", &result, err), 0,
		     "the refused one did not remove the socket: %s", err);
	json_object_put(result);
	cr_expect_eq(svr_ctl_serve(base, "east", "worker", answer, &calls, &east), 0,
		     "another router is another process");
	svr_ctl_server_free(east);
	cr_expect_neq(access(in_dir("east/worker.sock"), F_OK), 0, "free removes the socket");
	cr_expect_neq(access(in_dir("east/worker.pid"), F_OK), 0, "and the PID file");

	server_kill(server);
	server = server_start("west");
	cr_expect_eq(call("echo", "again", &result, err), 0, "%s", err);
	json_object_put(result);
	server_kill(server);
	event_base_free(base);
}

Test(ctl, files_are_private)
{
	pid_t server;
	struct stat st;
	char pid_text[16] = "";
	mode_t mask = umask(0);
	int fd;

	server = server_start("west");
	umask(mask);
	cr_assert_eq(stat(in_dir("west"), &st), 0);
	cr_expect_eq(st.st_mode & 07777, 0700);
	cr_assert_eq(stat(in_dir("west/worker.sock"), &st), 0);
	cr_expect_eq(st.st_mode & 07777, 0600, "%o", st.st_mode);
	cr_assert_eq(stat(in_dir("west/worker.pid"), &st), 0);
	cr_expect_eq(st.st_mode & 07777, 0600, "%o", st.st_mode);
	fd = open(in_dir("west/worker.pid"), O_RDONLY);
	cr_assert_gt(read(fd, pid_text, sizeof(pid_text) - 1), 0);
	cr_expect_eq(atoi(pid_text), server);
	cr_expect(flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK,
		  "the PID file is locked");
	close(fd);
	server_kill(server);
}

Test(ctl, a_directory_of_somebody_else_is_refused)
{
	char path[128];

	cr_expect_eq(svr_ctl_path("west", "worker.pid", 1, path, sizeof(path)), 0);
	cr_assert_eq(chmod(in_dir("west"), 0777), 0);
	cr_expect_eq(svr_ctl_path("west", "worker.pid", 1, path, sizeof(path)), -EPERM,
		     "others may write");
	cr_assert_eq(rmdir(in_dir("west")), 0);
	cr_assert_eq(symlink("/tmp", in_dir("west")), 0);
	cr_expect_eq(svr_ctl_path("west", "worker.pid", 1, path, sizeof(path)), -ENOTDIR,
		     "a symbolic link");
	cr_assert_eq(unlink(in_dir("west")), 0);
	if (geteuid() == 0) {
		cr_assert_eq(mkdir(in_dir("west"), 0700), 0);
		cr_assert_eq(chown(in_dir("west"), 1, 1), 0);
		cr_expect_eq(svr_ctl_path("west", "worker.pid", 1, path, sizeof(path)), -EPERM,
			     "another owner");
	}
}

Test(ctl, names_that_leave_the_directory_are_refused)
{
	static const char *const bad[] = { "", ".", "..", "../x", "a/b", "/", "a b", "a\n" };
	struct json_object *request = json_object_new_object(), *result;
	char path[256], err[ERR_LEN], long_name[SVR_NAME_LEN + 1];
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		cr_expect_eq(svr_ctl_path(bad[i], "worker.sock", 1, path, sizeof(path)), -EINVAL,
			     "router '%s'", bad[i]);
		cr_expect_eq(svr_ctl_path("west", bad[i], 1, path, sizeof(path)), -EINVAL,
			     "file '%s'", bad[i]);
		cr_expect_eq(svr_ctl_call(bad[i], "worker", request, &result, err, sizeof(err)),
			     -EINVAL);
	}
	memset(long_name, 'a', sizeof(long_name) - 1);
	long_name[SVR_NAME_LEN] = '\0';
	cr_expect_eq(svr_ctl_path(long_name, "worker.sock", 0, path, sizeof(path)), -EINVAL,
		     "64 characters");
	long_name[SVR_NAME_LEN - 1] = '\0';
	cr_expect_eq(svr_ctl_path(long_name, "worker.sock", 0, path, sizeof(path)), 0,
		     "63 characters");
	cr_expect_eq(svr_ctl_path(long_name, "worker.sock", 0, path, 64), -ENAMETOOLONG);
	json_object_put(request);
}

Test(ctl, hostile_requests_are_answered_or_cut_off_and_the_server_goes_on)
{
	static const struct {
		const char *name, *line, *want;
		size_t len; /* 0: that of the string */
	} rows[] = {
		{ "an empty line", "\n", "not one JSON object", 0 },
		{ "no JSON", "show peers\n", "not one JSON object", 0 },
		{ "an array", "[]\n", "not one JSON object", 0 },
		{ "half an object", "{\"command\":\n", "not one JSON object", 0 },
		{ "two objects", "{\"command\":\"calls\"}{}\n", "not one JSON object", 0 },
		{ "no command", "{}\n", "no \\\"command\\\"", 0 },
		{ "a command that is a number", "{\"command\":1}\n", "no \\\"command\\\"", 0 },
		{ "deep nesting",
		  "{\"command\":[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]}\n",
		  "not one JSON object", 0 },
		{ "a NUL in the line", "{\"command\":\"calls\"}\0\n", "not one JSON object", 21 },
		{ "a second request behind the first",
		  "{\"command\":\"calls\"}\n{\"command\":\"calls\"}\n", "{\"result\":1}\n", 0 },
		{ "the end of the stream instead of a line", "{\"command\":\"calls\"}", "", 0 },
	};
	pid_t server = server_start("west");
	struct json_object *result;
	char err[ERR_LEN];
	const char *got;
	size_t i;
	int fd;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		fd = raw_connect();
		raw_send(fd, rows[i].line, rows[i].len ? rows[i].len : strlen(rows[i].line));
		shutdown(fd, SHUT_WR);
		got = raw_receive(fd);
		if (rows[i].want[0] == '{' || !rows[i].want[0])
			cr_expect_str_eq(got, rows[i].want, "%s: '%s'", rows[i].name, got);
		else
			cr_expect_not_null(strstr(got, rows[i].want), "%s: '%s'", rows[i].name,
					   got);
	}
	/* a client that asks and runs away while three megabytes are on their way to it */
	fd = raw_connect();
	raw_send(fd, "{\"command\":\"big\"}\n", 18);
	close(fd);
	cr_expect_eq(call("calls", NULL, &result, err), 0, "%s", err);
	json_object_put(result);
	server_kill(server);
}

Test(ctl, a_request_of_64_kib_is_too_long)
{
	pid_t server = server_start("west");
	char *line = malloc(200000);
	const char *got;
	int fd;

	memset(line, ' ', 200000);
	fd = raw_connect();
	raw_send(fd, line, 200000);
	got = raw_receive(fd);
	cr_expect(strstr(got, "longer than 65536") || !*got, "'%s'", got);
	/* just below the limit it is a request like any other */
	memcpy(line + 65000, "{\"command\":\"calls\"}\n", 20);
	fd = raw_connect();
	raw_send(fd, line, 65020);
	cr_expect_str_eq(raw_receive(fd), "{\"result\":1}\n");
	free(line);
	server_kill(server);
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

Test(ctl, slow_clients_are_cut_off_while_others_are_served)
{
	pid_t server = server_start("west");
	double start = seconds();
	struct json_object *result;
	char err[ERR_LEN], byte;
	int fd = raw_connect(), drip = raw_connect();

	/* one says nothing, the other a byte now and then: the time is that of the whole request */
	while (seconds() - start < 4) {
		raw_send(drip, " ", 1);
		cr_expect_eq(call("calls", NULL, &result, err), 0, "%s", err);
		json_object_put(result);
		usleep(500000);
	}
	cr_expect_eq(recv(fd, &byte, 1, 0), 0);
	cr_expect_eq(recv(drip, &byte, 1, 0), 0);
	cr_expect(seconds() - start > 4.5 && seconds() - start < 8, "%.1f s", seconds() - start);
	close(fd);
	close(drip);
	server_kill(server);
}

Test(ctl, too_many_clients_do_not_stop_the_server)
{
	enum {
		CROWD = 45
	}; /* more than are served at once, fewer than the backlog takes besides */
	pid_t server = server_start("west");
	struct json_object *result;
	char err[ERR_LEN];
	int fd[CROWD], i;

	for (i = 0; i < CROWD; i++)
		fd[i] = raw_connect();
	for (i = 0; i < CROWD - 1; i++)
		close(fd[i]);
	cr_expect_eq(call("calls", NULL, &result, err), 0, "%s", err);
	json_object_put(result);
	/* the last one of the crowd was not forgotten */
	raw_send(fd[CROWD - 1], "{\"command\":\"calls\"}\n", 20);
	cr_expect_str_eq(raw_receive(fd[CROWD - 1]), "{\"result\":2}\n");
	server_kill(server);
}

Test(ctl, a_server_that_does_not_answer_is_given_up)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	struct json_object *result;
	char path[128], err[ERR_LEN];
	double start = seconds();

	cr_assert_eq(svr_ctl_path("west", "worker.sock", 1, path, sizeof(path)), 0);
	memcpy(addr.sun_path, path, strlen(path) + 1);
	cr_assert_eq(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	cr_assert_eq(listen(fd, 1), 0);
	cr_expect_eq(call("calls", NULL, &result, err), -ETIMEDOUT);
	cr_expect_not_null(strstr(err, "did not answer within 5 s"), "%s", err);
	cr_expect(seconds() - start > 4.5 && seconds() - start < 8, "%.1f s", seconds() - start);
	close(fd);
}

/* Another user's process must not be served, wherever it has the socket's path from. */
Test(ctl, another_user_is_refused)
{
	pid_t server, child;
	int status;

	if (geteuid() != 0)
		cr_skip_test("needs root to become somebody else");
	server = server_start("west");
	child = fork();
	if (child == 0) {
		/*
		 * connected as root, so that only the credentials of the socket speak; they are
		 * those of connect()
		 */
		if (chmod(dir, 0711) || chmod(in_dir("west"), 0711) ||
		    chmod(in_dir("west/worker.sock"), 0666) || setgid(65534) || setuid(65534))
			_exit(3);
		int fd = raw_connect();

		raw_send(fd, "{\"command\":\"calls\"}\n", 20);
		_exit(raw_receive(fd)[0] ? 1 : 0);
	}
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %d", status);
	server_kill(server);
}

/* ---- key log --------------------------------------------------------------------------------- */

static void keylog_setup(void)
{
	dir_setup();
	setenv("SVR_KEYLOG", in_dir("keys"), 1);
}

TestSuite(keylog, .init = keylog_setup, .fini = dir_teardown);

static const char *keylog_text(void)
{
	static char text[2048];
	FILE *f = fopen(in_dir("keys"), "r");
	size_t n;

	cr_assert_not_null(f);
	n = fread(text, 1, sizeof(text) - 1, f);
	text[n] = '\0';
	fclose(f);
	return text;
}

Test(keylog, is_off_by_default)
{
	FILE *log = (void *)1;
	char err[ERR_LEN];
	uint8_t key[4] = { 0 }, uuid[16] = { 0 };

	unsetenv("SVR_KEYLOG");
	cr_expect_eq(svr_keylog_open(&log, err, sizeof(err)), 0);
	cr_expect_null(log);
	setenv("SVR_KEYLOG", "", 1);
	cr_expect_eq(svr_keylog_open(&log, err, sizeof(err)), 0);
	cr_expect_null(log);
	svr_keylog_peer_key(NULL, "a", "b", 1, key, sizeof(key));
	svr_keylog_metadata_key(NULL, "a", 1, key, sizeof(key));
	svr_keylog_session_key(NULL, uuid, 1, key, sizeof(key));
}

Test(keylog, lines_are_those_of_the_protocol_text)
{
	struct hex peer = vec("peer-key"), meta = vec("metadata-key"), session = vec("session-key"),
		   uuid = vec("uuid");
	char name[SVR_NAME_LEN], err[ERR_LEN];
	mode_t mask = umask(0777);
	struct stat st;
	size_t before;
	FILE *log;

	if (geteuid() != 0)
		cr_skip_test("the key log is root's");
	cr_assert_eq(svr_keylog_open(&log, err, sizeof(err)), 0, "%s", err);
	umask(mask);
	cr_assert_eq(stat(in_dir("keys"), &st), 0);
	cr_expect_eq(st.st_mode & 07777, 0600);
	svr_keylog_peer_key(log, "west", "east", 4294967295, peer.bytes, peer.len);
	svr_keylog_peer_key(log, "east", "west", 2, peer.bytes, 2);
	svr_keylog_metadata_key(log, "east", 7, meta.bytes, meta.len);
	svr_keylog_session_key(log, uuid.bytes, 65535, session.bytes, session.len);
	/* whole lines are there without a flush; a process that is killed leaves them */
	cr_expect_str_eq(
		keylog_text(),
		"PEER_KEY east west 4294967295 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f\n"
		"PEER_KEY east west 2 0001\n"
		"METADATA_KEY east 7 404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f\n"
		"SESSION_KEY 6ba7b810-9dad-41d1-80b4-00c04fd430c8 65535 808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f\n");
	fclose(log);

	/* appended, and the longest line of all is whole */
	before = strlen(keylog_text());
	memset(name, 'z', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	cr_assert_eq(svr_keylog_open(&log, err, sizeof(err)), 0, "%s", err);
	svr_keylog_peer_key(log, name, name, 4294967295, peer.bytes, peer.len);
	fclose(log);
	cr_expect_eq(strlen(keylog_text()),
		     before + strlen("PEER_KEY   4294967295 \n") + 2 * 63 + 96);
}

/* What must be refused: each row makes "keys" (or something around it) in the wrong way. */
static void make_world_readable(void)
{
	cr_assert_eq(close(open(in_dir("keys"), O_CREAT | O_WRONLY, 0600)), 0);
	cr_assert_eq(chmod(in_dir("keys"), 0644), 0);
}

static void make_group_readable(void)
{
	cr_assert_eq(close(open(in_dir("keys"), O_CREAT | O_WRONLY, 0600)), 0);
	cr_assert_eq(chmod(in_dir("keys"), 0640), 0);
}

static void make_setuid(void)
{
	cr_assert_eq(close(open(in_dir("keys"), O_CREAT | O_WRONLY, 0600)), 0);
	cr_assert_eq(chmod(in_dir("keys"), 04600), 0);
}

static void make_foreign(void)
{
	cr_assert_eq(close(open(in_dir("keys"), O_CREAT | O_WRONLY, 0600)), 0);
	cr_assert_eq(chown(in_dir("keys"), 65534, 65534), 0);
}

static void make_symlink(void)
{
	cr_assert_eq(close(open(in_dir("real"), O_CREAT | O_WRONLY, 0600)), 0);
	cr_assert_eq(symlink(in_dir("real"), in_dir("keys")), 0);
}

static void make_dangling_symlink(void)
{
	cr_assert_eq(symlink(in_dir("nowhere"), in_dir("keys")), 0);
}

static void make_hard_link(void)
{
	cr_assert_eq(close(open(in_dir("real"), O_CREAT | O_WRONLY, 0600)), 0);
	cr_assert_eq(link(in_dir("real"), in_dir("keys")), 0);
}

static void make_fifo(void)
{
	cr_assert_eq(mkfifo(in_dir("keys"), 0600), 0);
}

static void make_fifo_with_reader(void)
{
	make_fifo();
	cr_assert_geq(open(in_dir("keys"), O_RDONLY | O_NONBLOCK), 0);
}

static void make_directory(void)
{
	cr_assert_eq(mkdir(in_dir("keys"), 0600), 0);
}

static void make_socket(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", in_dir("keys"));
	cr_assert_eq(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	cr_assert_eq(chmod(addr.sun_path, 0600), 0);
	close(fd);
}

static void make_open_directory(void)
{
	cr_assert_eq(chmod(dir, 0777), 0);
}

static void make_sticky_directory(void)
{
	cr_assert_eq(chmod(dir, 01777), 0);
}

static void make_group_directory(void)
{
	cr_assert_eq(chmod(dir, 0770), 0);
}

static void make_foreign_directory(void)
{
	cr_assert_eq(chown(dir, 65534, 65534), 0);
}

static void make_foreign_directory_above(void)
{
	cr_assert_eq(mkdir(in_dir("inner"), 0700), 0);
	setenv("SVR_KEYLOG", in_dir("inner/keys"), 1);
	cr_assert_eq(chown(dir, 65534, 65534), 0);
}

static void make_no_directory(void)
{
	setenv("SVR_KEYLOG", in_dir("none/keys"), 1);
}

static void make_too_long(void)
{
	static char path[5000];

	memset(path, 'a', sizeof(path) - 1);
	path[0] = '/';
	setenv("SVR_KEYLOG", path, 1);
}

Test(keylog, refuses_every_file_that_is_not_private_to_root)
{
	static const struct {
		const char *name;
		void (*make)(void);
		int err;
		const char *words;
	} rows[] = {
		{ "a file that all may read", make_world_readable, -EPERM, "chmod 0600" },
		{ "a file that a group may read", make_group_readable, -EPERM, "chmod 0600" },
		{ "a file with the set-user-id bit", make_setuid, -EPERM, "mode 4600" },
		{ "a file of another user", make_foreign, -EPERM, "does not belong to root" },
		{ "a symbolic link", make_symlink, -EPERM, "symbolic link" },
		{ "a symbolic link to nothing", make_dangling_symlink, -EPERM, "symbolic link" },
		{ "a hard link", make_hard_link, -EPERM, "hard link" },
		{ "a FIFO", make_fifo, -EPERM, "not a regular file" },
		{ "a FIFO that somebody reads", make_fifo_with_reader, -EPERM, "not a regular file" },
		{ "a directory", make_directory, -EPERM, "not a regular file" },
		{ "a socket", make_socket, -EPERM, "not a regular file" },
		{ "a directory that all may write to", make_open_directory, -EPERM,
		  "others may write" },
		{ "a sticky directory that all may write to", make_sticky_directory, -EPERM,
		  "others may write" },
		{ "a directory that a group may write to", make_group_directory, -EPERM,
		  "others may write" },
		{ "a directory of another user", make_foreign_directory, -EPERM,
		  "does not belong to root" },
		{ "a directory inside one of another user", make_foreign_directory_above, -EPERM,
		  "does not belong to root" },
		{ "a directory that is not there", make_no_directory, -ENOENT, "No such file" },
		{ "a path that is too long", make_too_long, -ENAMETOOLONG, "too long" },
	};
	char err[ERR_LEN];
	FILE *log;
	size_t i;
	int ret;

	if (geteuid() != 0)
		cr_skip_test("needs root to make files of others");
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		dir_teardown();
		keylog_setup();
		rows[i].make();
		log = (void *)1;
		err[0] = '\0';
		ret = svr_keylog_open(&log, err, sizeof(err));
		cr_expect_eq(ret, rows[i].err, "%s: %d (%s)", rows[i].name, ret, err);
		cr_expect_null(log, "%s", rows[i].name);
		cr_expect_not_null(strstr(err, rows[i].words), "%s: '%s'", rows[i].name, err);
		cr_expect_neq(access(in_dir("nowhere"), F_OK), 0,
			      "nothing is made where a link points to");
	}
}

/* ---- log ------------------------------------------------------------------------------------- */

TestSuite(log, .init = dir_setup, .fini = dir_teardown);

/* What @speak writes to standard error, which is @file meanwhile. */
static const char *spoken(void (*speak)(void), const char *file)
{
	static char text[8192];
	int saved = dup(STDERR_FILENO), fd = open(file, O_CREAT | O_RDWR | O_TRUNC, 0600);
	char stream[64];
	struct stat st;
	ssize_t n;

	cr_assert_eq(fstat(fd, &st), 0);
	snprintf(stream, sizeof(stream), "%lu:%lu", (unsigned long)st.st_dev,
		 (unsigned long)st.st_ino);
	if (getenv("TEST_JOURNAL"))
		setenv("JOURNAL_STREAM", stream, 1);
	cr_assert_eq(dup2(fd, STDERR_FILENO), STDERR_FILENO);
	speak();
	dup2(saved, STDERR_FILENO);
	n = pread(fd, text, sizeof(text) - 1, 0);
	cr_assert_geq(n, 0);
	text[n] = '\0';
	close(fd);
	close(saved);
	return text;
}

static void speak_levels(void)
{
	svr_log_init("svr-test", SVR_LOG_INFO);
	pr_err("one %d", 1);
	pr_warn("two\n");
	pr_info("three");
	pr_debug("four");
}

Test(log, lines_up_to_the_level)
{
	unsetenv("JOURNAL_STREAM");
	cr_expect_str_eq(spoken(speak_levels, in_dir("log")),
			 "svr-test: one 1\nsvr-test: two\nsvr-test: three\n");
}

Test(log, priorities_for_the_journal)
{
	setenv("TEST_JOURNAL", "1", 1);
	cr_expect_str_eq(spoken(speak_levels, in_dir("log")), "<3>one 1\n<4>two\n<6>three\n");
}

Test(log, another_stream_is_not_the_journal)
{
	setenv("JOURNAL_STREAM", "1:1", 1);
	cr_expect_str_eq(spoken(speak_levels, in_dir("log")),
			 "svr-test: one 1\nsvr-test: two\nsvr-test: three\n");
}

static void speak_hostile(void)
{
	char long_name[3000];

	svr_log_init("svr-test", SVR_LOG_DEBUG);
	pr_warn("peer '%s'", "x\n<0>svr-keymgr: peer west is up\x1b[2J\x7f\r");
	memset(long_name, 'n', sizeof(long_name) - 1);
	long_name[sizeof(long_name) - 1] = '\0';
	pr_warn("%s", long_name);
	errno = ENOENT;
	pr_warn("file: %m");
	cr_expect_eq(errno, ENOENT, "a log line does not change errno");
	pr_warn("%s", "");
}

Test(log, names_from_peers_cannot_forge_lines)
{
	const char *text, *second;

	unsetenv("JOURNAL_STREAM");
	text = spoken(speak_hostile, in_dir("log"));
	cr_expect_eq(strncmp(text,
			     "svr-test: peer 'x?<0>svr-keymgr: peer west is up?[2J?"
			     "?'\n",
			     56),
		     0, "%.80s", text);
	second = strchr(text, '\n') + 1;
	cr_expect_eq(strchr(second, '\n') - second, 1023, "cut");
	second = strchr(second, '\n') + 1;
	cr_expect_str_eq(second, "svr-test: file: No such file or directory\nsvr-test: \n");
}

static void speak_often(void)
{
	static struct svr_ratelimit limit;
	int i, printed = 0;

	svr_log_init("svr-test", SVR_LOG_INFO);
	for (i = 0; i < 1000; i++) {
		if (svr_ratelimit_ok(&limit, 3600)) {
			pr_warn("drop %d", i);
			printed++;
		}
	}
	cr_expect_eq(printed, 1);
	cr_expect_eq(limit.missed, 999);
	limit.last_sec -= 3600;
	if (svr_ratelimit_ok(&limit, 3600))
		pr_warn("drop %d", i);
	cr_expect_eq(limit.missed, 0);
}

Test(log, repeated_lines_are_counted)
{
	unsetenv("JOURNAL_STREAM");
	cr_expect_str_eq(
		spoken(speak_often, in_dir("log")),
		"svr-test: drop 0\nsvr-test: 999 more like the next line were left out\nsvr-test: drop 1000\n");
}

/* ---- small things of lib/ that sys/ and the programs lean on --------------------------------- */

Test(name, rows)
{
	static const struct {
		const char *text;
		bool ok, ok_for_path;
	} rows[] = {
		{ "west", true, true },	 { "a", true, true },	   { "A-Z_0.9", true, true },
		{ "-", true, true },	 { "...", true, true },	   { ".", true, false },
		{ "..", true, false },	 { "", false, false },	   { "a/b", false, false },
		{ "a b", false, false }, { "a\tb", false, false }, { "\xc3\xa4", false, false },
		{ "a:b", false, false },
	};
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		cr_expect_eq(svr_name_ok(rows[i].text, strlen(rows[i].text)), rows[i].ok, "'%s'",
			     rows[i].text);
		cr_expect_eq(svr_name_ok_for_path(rows[i].text), rows[i].ok_for_path,
			     "'%s' in a path", rows[i].text);
	}
	cr_expect(!svr_name_ok("a\0b", 3), "a NUL inside");
}

Test(uuid, text_and_back)
{
	static const char *const bad[] = {
		"",
		"6ba7b810-9dad-41d1-80b4-00c04fd430c",
		"6ba7b810-9dad-41d1-80b4-00c04fd430c88",
		"6ba7b8109dad41d180b400c04fd430c8",
		"6ba7b810-9dad-41d1-80b4-00c04fd430cg",
		"6ba7b810-9dad-41d1-80b4-00c04fd430 8",
		"6ba7b810:9dad-41d1-80b4-00c04fd430c8",
		"{6ba7b810-9dad-41d1-80b4-00c04fd430c8}",
		"-",
	};
	struct hex want = vec("uuid");
	uint8_t uuid[SVR_UUID_LEN] = { 0 }, before[SVR_UUID_LEN];
	char text[SVR_UUID_STRLEN];
	size_t i;

	svr_uuid_print(want.bytes, text);
	cr_expect_str_eq(text, "6ba7b810-9dad-41d1-80b4-00c04fd430c8");
	cr_expect_eq(svr_uuid_parse("6BA7b810-9dad-41d1-80b4-00c04fd430C8", uuid), 0);
	cr_expect(memcmp(uuid, want.bytes, sizeof(uuid)) == 0);
	memcpy(before, uuid, sizeof(before));
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_expect_eq(svr_uuid_parse(bad[i], uuid), -EINVAL, "'%s'", bad[i]);
	cr_expect(memcmp(uuid, before, sizeof(uuid)) == 0, "what is refused changes nothing");
	memset(uuid, 0xff, sizeof(uuid));
	svr_uuid_from_random(uuid);
	svr_uuid_print(uuid, text);
	cr_expect_str_eq(text, "ffffffff-ffff-4fff-bfff-ffffffffffff",
			 "version 4 and variant of RFC 9562");
}

Test(wirename, numbers_have_the_words_of_the_configuration)
{
	cr_expect_str_eq(svr_cipher_name(SVR_CIPHER_NONE), "none");
	cr_expect_str_eq(svr_cipher_name(SVR_CIPHER_AES_CBC_256), "aes-cbc-256");
	cr_expect_str_eq(svr_cipher_name(99), "unknown");
	cr_expect_str_eq(svr_hmac_name(SVR_HMAC_SHA256_128), "sha256-128");
	cr_expect_str_eq(svr_hmac_name(6), "unknown");
	cr_expect_str_eq(svr_hmac_mode_name(SVR_HMAC_MODE_TIME_BASED), "time-based");
	cr_expect_str_eq(svr_hmac_mode_name(3), "unknown");
}
