/* SPDX-License-Identifier: BSD-2-Clause */
/* The configuration file as commands want it: loaded, and resolved for one router. Loader only. */
#ifndef SVR_LOADER_VIEW_H
#define SVR_LOADER_VIEW_H

struct svr_cli;
struct svr_config;
struct svr_config_errors;
struct svr_router_view;

struct svr_view {
	struct svr_config *cfg;
	struct svr_router_view *router;
};

/*
 * --config for @router; a mistake in it is the error of the command, all of them are its details.
 */
int svr_view_load(struct svr_cli *cli, const char *router, struct svr_view *out);
void svr_view_free(struct svr_view *v);

/* Index of the first network interface on @device with this VLAN; -1: none. @vlan -1: any. */
int svr_view_find_zone(const struct svr_router_view *v, const char *device, int vlan);

#endif
