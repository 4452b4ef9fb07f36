/* SPDX-License-Identifier: BSD-2-Clause */
/* Which alarms are on a shelf (authority/alarm-shelving of docs/config.md). Part of libsvr. */
#ifndef SVR_LIB_SHELF_H
#define SVR_LIB_SHELF_H

struct svr_alarm;
struct svr_cfg_alarm_shelving;
struct svr_shelves;

/**
 * svr_shelves_new() - the shelves for the alarms of one router.
 * @cfg, @router, @node: copied where they are needed later
 * Return: 0, -ENOMEM, -EINVAL for an expression that is none (the configuration's checks leave
 * none).
 */
int svr_shelves_new(const struct svr_cfg_alarm_shelving *cfg, const char *router, const char *node,
		    struct svr_shelves **out);
void svr_shelves_free(struct svr_shelves *shelves);

/* Name of the first shelf that @alarm is on, or NULL. @shelves NULL: there are none. */
const char *svr_shelves_match(const struct svr_shelves *shelves, const struct svr_alarm *alarm);

#endif
