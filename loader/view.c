// SPDX-License-Identifier: BSD-2-Clause
/* Loading the configuration for a command that needs it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/config.h"

#include "cli.h"
#include "view.h"

static void complain(struct svr_cli *cli, const struct svr_config_errors *errs)
{
	char line[SVR_CFG_POINTER_LEN + SVR_CFG_REASON_LEN + SVR_CFG_FOUND_LEN + 64];

	for (unsigned int i = 0; i < errs->n; i++) {
		if (errs->list[i].severity != SVR_CONFIG_ERROR)
			continue;
		svr_config_error_print(&errs->list[i], line, sizeof(line));
		svr_cli_details(cli, line);
	}
}

static void list_routers(const struct svr_config *cfg, char *buf, size_t len)
{
	size_t have = 0;

	*buf = 0;
	for (unsigned int i = 0; i < cfg->n_routers && have < len; i++)
		have += (size_t)snprintf(buf + have, len - have, "%s%s", i ? ", " : "",
					 cfg->routers[i].name);
}

int svr_view_load(struct svr_cli *cli, const char *router, struct svr_view *out)
{
	struct svr_config_errors *errs;
	char routers[256];
	int err;

	memset(out, 0, sizeof(*out));
	errs = calloc(1, sizeof(*errs));
	if (!errs)
		return svr_cli_error(cli, -ENOMEM, "out of memory");
	err = svr_config_load(cli->config, &out->cfg, errs);
	if (err == -EINVAL) {
		svr_cli_error(
			cli, err,
			"%s: the configuration is refused, %u %s; nothing was changed; see: svr config check %s",
			cli->config, errs->n_errors, errs->n_errors == 1 ? "error" : "errors",
			cli->config);
		complain(cli, errs);
		goto out;
	}
	if (err) {
		svr_cli_error(
			cli, err,
			"%s: cannot read the configuration: %s; name it with --config FILE or SVR_CONFIG",
			cli->config, strerror(-err));
		goto out;
	}
	err = svr_config_resolve(out->cfg, router, &out->router, errs);
	if (err == -ENOENT) {
		list_routers(out->cfg, routers, sizeof(routers));
		svr_cli_error(cli, err, "%s: has no router \"%s\"; it has: %s", cli->config, router,
			      routers);
	} else if (err) {
		svr_cli_error(cli, err, "%s: cannot be resolved for router %s: %s", cli->config,
			      router, strerror(-err));
		complain(cli, errs);
	}
out:
	if (err)
		svr_view_free(out);
	free(errs);
	return err;
}

void svr_view_free(struct svr_view *v)
{
	svr_config_view_free(v->router);
	svr_config_free(v->cfg);
	v->router = NULL;
	v->cfg = NULL;
}

int svr_view_find_zone(const struct svr_router_view *v, const char *device, int vlan)
{
	for (unsigned int i = 0; i < v->n_zones; i++) {
		if (!strcmp(v->zones[i].device, device) && (vlan < 0 || v->zones[i].vlan == vlan))
			return (int)i;
	}
	return -1;
}
