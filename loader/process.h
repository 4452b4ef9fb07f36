/* SPDX-License-Identifier: BSD-2-Clause */
/* The other two processes of a router. Loader only. */
#ifndef SVR_LOADER_PROCESS_H
#define SVR_LOADER_PROCESS_H

#include <stdbool.h>
#include <stddef.h>

struct json_object;
struct svr_cli;

/*
 * False if "worker" or "keymgr" of @router does not run. True if it does, and where that cannot be
 * known.
 */
bool svr_process_runs(const char *router, const char *process);

/*
 * Asks @process. 0 and the result, or negative errno with the error reported; -ECONNREFUSED if it
 * does not run.
 */
int svr_process_ask(struct svr_cli *cli, const char *router, const char *process,
		    struct json_object *request, struct json_object **result);

/*
 * AF_XDP sockets that the worker has for network-interface @interface, from its answer to "status";
 * -1: @answer says nothing.
 */
int svr_process_sockets(struct json_object *answer, const char *interface);

/*
 * How they are served: in zero-copy mode, and by which threads ("0,1"). False: there is none, or
 * @answer says nothing.
 */
enum { SVR_PROCESS_THREADS_LEN = 128 };
bool svr_process_queues(struct json_object *answer, const char *interface, bool *zero_copy,
			char *threads, size_t len);

/* A request {"command": @command}; NULL: no memory. */
struct json_object *svr_process_request(const char *command);

#endif
