/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Control sockets: a Unix stream socket per process and router, $SVR_RUN_DIR/<router>/<process>.sock (default /run/svr), mode 0600.
 * One request line of JSON ({"command": "show peers", ...arguments}) and one answer line of JSON ({"error": "text"} or
 * {"result": ...}), then the server closes. Part of libsvrsys.
 */
#ifndef SVR_SYS_CTL_H
#define SVR_SYS_CTL_H

#include <stddef.h>

struct event_base;
struct json_object;
struct svr_ctl_later;
struct svr_ctl_server;

enum { SVR_CTL_FILE_LEN = 68 }; /* "<process>.sock", with the NUL */

/* Path of a socket or PID file: "<run dir>/<router>/<file>". Makes the directory (0700) if @create. 0 or negative errno. */
int svr_ctl_path(const char *router, const char *file, int create, char *buf, size_t len);

/**
 * svr_ctl_handler - answers one request.
 * @request: the parsed object, owned by the server
 * Return: a new object, {"result": ...} or made with svr_ctl_error(); ownership goes to the server. NULL after
 * svr_ctl_later(): the answer comes later.
 */
typedef struct json_object *(*svr_ctl_handler)(const char *command, struct json_object *request, void *user);

/**
 * svr_ctl_serve() - listen on @process's socket inside an event loop.
 * A second running process of the same router is detected (lock on the PID file "<process>.pid") and refused with -EADDRINUSE; a
 * socket left behind by a killed one is replaced. Requests above 64 KiB and clients slower than 5 s are cut off.
 */
int svr_ctl_serve(struct event_base *base, const char *router, const char *process, svr_ctl_handler handler, void *user,
		  struct svr_ctl_server **out);
void svr_ctl_server_free(struct svr_ctl_server *s);	/* removes socket and PID file */

/*
 * Called inside a handler, which then returns NULL: the answer needs something slow. To be given to svr_ctl_answer()
 * exactly once; it outlives the client and the server. NULL: no memory.
 */
struct svr_ctl_later *svr_ctl_later(struct svr_ctl_server *s);
/* @answer as a handler returns it; ownership of both goes along. Nothing happens if the client is gone. */
void svr_ctl_answer(struct svr_ctl_later *later, struct json_object *answer);

struct json_object *svr_ctl_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/**
 * svr_ctl_call() - ask a process and wait for its answer (5 s).
 * @request: borrowed
 * @result: the "result" member, owned by the caller
 * @err, @err_len: reason, either the server's words or why it could not be asked
 * Return: 0, -ECONNREFUSED if the process does not run, -EREMOTEIO if it answered with an error, other negative errno.
 */
int svr_ctl_call(const char *router, const char *process, struct json_object *request, struct json_object **result,
		 char *err, size_t err_len);

#endif
