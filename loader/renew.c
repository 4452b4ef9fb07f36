// SPDX-License-Identifier: BSD-2-Clause
/* Programs that a new configuration replaces; see renew.h. */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/config.h"

#include "apply.h"
#include "attach.h"
#include "cli.h"
#include "pins.h"
#include "renew.h"
#include "view.h"

static const struct svr_attach_how as_it_is = { .mode = SVR_ATTACH_NONE };

struct renewer {
	struct svr_cli *cli;
	const char *router;
	const struct svr_router_view *view;
	const struct svr_plan *plan;
	const char *except;
	struct svr_renewals *r;
};

/* What the program on @device is to be made for. False: the device is not configured. */
static bool wanted(const struct renewer *w, const char *device, enum svr_zone_role *role,
		   uint32_t *zone)
{
	int any = svr_view_find_zone(w->view, device, -1),
	    untagged = svr_view_find_zone(w->view, device, 0);

	*zone = untagged < 0 ? 0 : svr_plan_zone(w->plan, (unsigned int)untagged);
	if (any < 0)
		return false;
	*role = w->view->zones[any].role == SVR_CFG_ROLE_WAN ? SVR_ROLE_WAN : SVR_ROLE_LAN;
	return true;
}

static int add(struct renewer *w, const struct svr_netdev *d, enum svr_zone_role role,
	       uint32_t zone, bool dispatched)
{
	struct svr_renewals *r = w->r;
	struct svr_renewal *bigger = reallocarray(r->list, r->n + 1, sizeof(*bigger));
	int err;

	if (!bigger)
		return svr_cli_error(w->cli, -ENOMEM, "out of memory");
	r->list = bigger;
	r->list[r->n].dev = *d;
	err = svr_image_open(w->cli, w->router, role, zone, &r->list[r->n].image);
	if (err)
		return err;
	r->n++;
	/* libxdp loads by itself */
	return dispatched ? 0 : svr_image_load(w->cli, &r->list[r->n - 1].image);
}

static int look_at(const char *device, void *user)
{
	enum svr_zone_role role = SVR_ROLE_NONE, made_role = SVR_ROLE_NONE;
	uint32_t zone, made_zone = 0;
	struct renewer *w = user;
	struct svr_attached a;
	bool known, configured;
	struct svr_netdev d;
	int err;

	if (w->except && !strcmp(device, w->except))
		return 0;
	err = svr_netdev_get(device, &d);
	/* Gone, and its program with it */
	if (err == -ENODEV)
		return 0;
	if (!err)
		err = svr_attach_query(w->router, &d, &a);
	if (err)
		return svr_cli_error(w->cli, err, "%s: cannot ask for its XDP program: %s", device,
				     strerror(-err));
	if (!a.ours)
		return 0;
	known = svr_image_made_for(a.prog_id, &made_role, &made_zone);
	configured = wanted(w, device, &role, &zone);
	if (!configured)
		role = made_role;
	/* One of another version tells nothing; ours will do in its place, if it is known which one */
	if (known ? role == made_role && zone == made_zone : !configured)
		return 0;
	return add(w, &d, role, zone, svr_attach_dispatched(&a, &as_it_is));
}

int svr_renew_load(struct svr_cli *cli, const char *router, const struct svr_router_view *view,
		   const struct svr_plan *plan, const char *except, struct svr_renewals *r)
{
	struct renewer w = { cli, router, view, plan, except, r };
	int err;

	*r = (struct svr_renewals){ .n = 0 };
	err = svr_pins_each_device(router, look_at, &w);
	if (err && !*cli->error)
		svr_cli_error(cli, err, "cannot list the programs of router %s: %s", router,
			      strerror(-err));
	if (err)
		svr_renew_free(r);
	return err;
}

int svr_renew_attach(struct svr_cli *cli, const char *router, struct svr_renewals *r)
{
	bool replaced;
	int err = 0;

	for (unsigned int i = 0; i < r->n && !err; i++)
		err = svr_attach_up(cli, router, &r->list[i].dev, &r->list[i].image, &as_it_is,
				    &replaced);
	return err;
}

void svr_renew_print(struct svr_cli *cli, const struct svr_renewals *r)
{
	svr_out_inline_begin(cli->out, "renewed", NULL);
	for (unsigned int i = 0; i < r->n; i++)
		svr_out_str(cli->out, NULL, NULL, r->list[i].dev.name);
	svr_out_list_end(cli->out);
	for (unsigned int i = 0; i < r->n; i++)
		svr_out_note(cli->out,
			     "%s: program replaced in place: its role or network-interface changed",
			     r->list[i].dev.name);
}

void svr_renew_free(struct svr_renewals *r)
{
	for (unsigned int i = 0; i < r->n; i++)
		svr_image_close(&r->list[i].image);
	free(r->list);
	*r = (struct svr_renewals){ .n = 0 };
}
