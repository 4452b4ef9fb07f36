/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Programs on devices that a configuration needs otherwise. Role of the device and number of its untagged network-interface
 * are part of a program, so tables alone do not change them. Loader only.
 *
 * Two steps around svr_plan_write(), so that a program that the kernel refuses changes nothing.
 */
#ifndef SVR_LOADER_RENEW_H
#define SVR_LOADER_RENEW_H

#include "image.h"
#include "netdev.h"

struct svr_cli;
struct svr_plan;
struct svr_router_view;

struct svr_renewal {
	struct svr_netdev dev;
	struct svr_image image;
};

struct svr_renewals {
	struct svr_renewal *list;
	unsigned int n;
};

/*
 * Loads a program for each device whose own does not do. A device that is attached and not configured any more
 * gets one that takes no untagged frame. @except: device to leave alone, may be NULL.
 */
int svr_renew_load(struct svr_cli *cli, const char *router, const struct svr_router_view *view,
		   const struct svr_plan *plan, const char *except, struct svr_renewals *r);
/* Puts them into their places, without losing a packet. */
int svr_renew_attach(struct svr_cli *cli, const char *router, struct svr_renewals *r);
/* Says which ones: a line for each, and a list for JSON. */
void svr_renew_print(struct svr_cli *cli, const struct svr_renewals *r);
void svr_renew_free(struct svr_renewals *r);

#endif
