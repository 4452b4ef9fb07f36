// SPDX-License-Identifier: BSD-2-Clause
/* svr show crypto: which library encrypts the worker's packets, and why. */
#include <errno.h>

#include <json-c/json.h>

#include "loader/cli.h"
#include "loader/print.h"
#include "loader/process.h"

static const struct {
	const char *key, *title;
} members[] = {
	{ "backend", "Backend" }, { "why", "Because" },	      { "batch_min", "For Batches From" },
	{ "openssl", "OpenSSL" }, { "ipsec_mb", "ipsec-mb" }, { "cpu", "CPU Features" },
};

int svr_show_crypto_run(struct svr_cli *cli, const char *const *val)
{
	struct json_object *request, *answer, *value;
	const char *router;
	size_t i;
	int err = svr_cli_router(cli, &router);

	(void)val;
	if (err)
		return err;
	request = svr_process_request("crypto");
	if (!request)
		return svr_cli_error(cli, -ENOMEM, "out of memory");
	err = svr_process_ask(cli, router, "worker", request, &answer);
	json_object_put(request);
	if (err)
		return err;
	svr_out_record_begin(cli->out, NULL, NULL);
	for (i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
		if (json_object_object_get_ex(answer, members[i].key, &value) && value)
			svr_out_json(cli->out, members[i].key, members[i].title, value);
		else
			svr_out_str(cli->out, members[i].key, members[i].title, NULL);
	}
	svr_out_record_end(cli->out);
	json_object_put(answer);
	return 0;
}
