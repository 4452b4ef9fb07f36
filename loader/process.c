// SPDX-License-Identifier: BSD-2-Clause
/* Questions to the worker and the key manager. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <json-c/json_object.h>

#include "sys/ctl.h"

#include "cli.h"
#include "process.h"

struct json_object *svr_process_request(const char *command)
{
	struct json_object *request = json_object_new_object(), *word;

	if (!request)
		return NULL;
	word = json_object_new_string(command);
	if (!word || json_object_object_add(request, "command", word)) {
		json_object_put(word);
		json_object_put(request);
		return NULL;
	}
	return request;
}

bool svr_process_runs(const char *router, const char *process)
{
	struct json_object *request = svr_process_request("status"), *result = NULL;
	char reason[SVR_CLI_ERROR_LEN];
	int err;

	if (!request)
		return true;
	err = svr_ctl_call(router, process, request, &result, reason, sizeof(reason));
	json_object_put(request);
	json_object_put(result);
	/* -EREMOTEIO: it runs and does not know the word */
	return err != -ECONNREFUSED;
}

int svr_process_ask(struct svr_cli *cli, const char *router, const char *process,
		    struct json_object *request, struct json_object **result)
{
	char reason[SVR_CLI_ERROR_LEN] = "";
	int err;

	*result = NULL;
	if (!request)
		return svr_cli_error(cli, -ENOMEM, "out of memory");
	err = svr_ctl_call(router, process, request, result, reason, sizeof(reason));
	/* What the process itself says does not name it */
	if (err)
		svr_cli_error(cli, err, "%s%s%s%.800s%s", err == -EREMOTEIO ? "svr-" : "",
			      err == -EREMOTEIO ? process : "", err == -EREMOTEIO ? ": " : "",
			      reason, err == -EACCES || err == -EPERM ? "; run as root" : "");
	return err;
}

static bool interfaces_of(struct json_object *answer, struct json_object **list)
{
	return answer && json_object_object_get_ex(answer, "interfaces", list) &&
	       json_object_is_type(*list, json_type_array);
}

static struct json_object *interface_of(struct json_object *list, const char *interface)
{
	struct json_object *entry, *name;

	for (size_t i = 0; i < json_object_array_length(list); i++) {
		entry = json_object_array_get_idx(list, i);
		if (json_object_object_get_ex(entry, "interface", &name) &&
		    !strcmp(json_object_get_string(name), interface))
			return entry;
	}
	return NULL;
}

int svr_process_sockets(struct json_object *answer, const char *interface)
{
	struct json_object *list, *sockets;

	if (!interfaces_of(answer, &list))
		return -1;
	return json_object_object_get_ex(interface_of(list, interface), "sockets", &sockets) ?
		       json_object_get_int(sockets) :
		       0;
}

bool svr_process_queues(struct json_object *answer, const char *interface, bool *zero_copy,
			char *threads, size_t len)
{
	struct json_object *list, *queues, *queue, *o;
	uint64_t seen = 0;
	size_t used = 0;

	*zero_copy = true;
	*threads = '\0';
	if (!interfaces_of(answer, &list) ||
	    !json_object_object_get_ex(interface_of(list, interface), "queues", &queues) ||
	    !json_object_is_type(queues, json_type_array))
		return false;
	for (size_t i = 0; i < json_object_array_length(queues); i++) {
		queue = json_object_array_get_idx(queues, i);
		if (!json_object_object_get_ex(queue, "zero_copy", &o) ||
		    !json_object_get_boolean(o))
			*zero_copy = false;
		if (!json_object_object_get_ex(queue, "thread", &o) ||
		    json_object_get_uint64(o) >= 64 || used >= len ||
		    seen >> json_object_get_uint64(o) & 1)
			continue;
		seen |= 1ULL << json_object_get_uint64(o);
		used += (size_t)snprintf(threads + used, len - used, "%s%llu", used ? "," : "",
					 (unsigned long long)json_object_get_uint64(o));
	}
	return seen != 0;
}
