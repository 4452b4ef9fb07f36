// SPDX-License-Identifier: BSD-2-Clause
/* `svr session delete`: the worker removes sessions, it owns them. */
#include <errno.h>

#include <json-c/json_object.h>

#include "lib/uuid.h"

#include "cli.h"
#include "process.h"

enum { DELETE_SERVICE, DELETE_ID };
const struct svr_arg svr_session_delete_args[] = {
	[DELETE_SERVICE] = { "service-name", "NAME", NULL, false, false,
			     "all sessions of a service" },
	[DELETE_ID] = { "by-id", "UUID", NULL, false, false,
			"one session; neither: all sessions of the router" },
	{},
};

static int add(struct json_object *request, const char *key, const char *value)
{
	struct json_object *string = json_object_new_string(value);

	if (string && !json_object_object_add(request, key, string))
		return 0;
	json_object_put(string);
	return -ENOMEM;
}

int svr_session_delete_run(struct svr_cli *cli, const char *const *val)
{
	struct json_object *request, *answer = NULL, *deleted;
	const char *router;
	uint8_t id[SVR_UUID_LEN];
	int64_t n = 0;
	int err;

	err = svr_cli_router(cli, &router);
	if (err)
		return err;
	if (val[DELETE_ID] && svr_uuid_parse(val[DELETE_ID], id))
		return svr_cli_usage(cli, "\"%s\" is no session id; see: svr show sessions",
				     val[DELETE_ID]);
	if (val[DELETE_ID] && val[DELETE_SERVICE])
		return svr_cli_usage(
			cli,
			"svr session delete: by-id names one session already, service-name is too much");
	request = svr_process_request("delete sessions");
	if (!request ||
	    (val[DELETE_SERVICE] && add(request, "service_name", val[DELETE_SERVICE])) ||
	    (val[DELETE_ID] && add(request, "by_id", val[DELETE_ID]))) {
		err = svr_cli_error(cli, -ENOMEM, "out of memory");
		goto out;
	}
	err = svr_process_ask(cli, router, "worker", request, &answer);
	if (err)
		goto out;
	if (json_object_object_get_ex(answer, "deleted", &deleted))
		n = json_object_get_int64(deleted);
	svr_out_record_begin(cli->out, NULL, NULL);
	svr_out_u64(cli->out, "deleted", NULL, n > 0 ? (uint64_t)n : 0);
	svr_out_note(cli->out, "%lld %s deleted", (long long)n, n == 1 ? "session" : "sessions");
	svr_out_record_end(cli->out);
	if (val[DELETE_ID] && !n)
		err = svr_cli_error(cli, -ENOENT, "router %s has no session %s", router,
				    val[DELETE_ID]);
out:
	json_object_put(request);
	json_object_put(answer);
	return err;
}
