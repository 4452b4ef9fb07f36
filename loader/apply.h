/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From the resolved view of a router to the configuration maps, by difference and with stable
 * numbers. Loader only.
 *
 * Two steps, so that a refused configuration changes nothing: svr_plan_make() computes everything
 * that the maps shall hold, svr_plan_write() writes what differs.
 */
#ifndef SVR_LOADER_APPLY_H
#define SVR_LOADER_APPLY_H

#include <stdint.h>
#include <svr/maps.h>

struct svr_cli;
struct svr_mapset;
struct svr_plan;
struct svr_router_view;

/* The maps' new contents. Numbers of names that the maps know already stay. */
int svr_plan_make(struct svr_cli *cli, const struct svr_mapset *m,
		  const struct svr_router_view *view, struct svr_plan **out);
/* Number of the network interface that is @index in the view. */
uint32_t svr_plan_zone(const struct svr_plan *plan, unsigned int index);
/* Writes, most basic things first, and counts the generation up. */
int svr_plan_write(struct svr_cli *cli, struct svr_mapset *m, const struct svr_plan *plan);
void svr_plan_free(struct svr_plan *plan);

/*
 * Tells the data plane which attached device belongs to which zone, @extra included although it is
 * not attached yet.
 */
int svr_apply_txports(struct svr_cli *cli, const char *router, struct svr_mapset *m,
		      const char *extra);

#endif
