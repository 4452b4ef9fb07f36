/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Alarms and events of the router (docs/alarms.md). The key manager owns them; other processes
 * raise theirs through its control socket. Everything here is called from the event loop and never
 * waits.
 */
#ifndef SVR_KEYMGR_ALARMS_H
#define SVR_KEYMGR_ALARMS_H

#include "lib/alarmlog.h"

struct event_base;
struct json_object;
struct km_alarms;
struct km_journal;

#define KM_PROCESS "svr-keymgr" /* @process of the key manager's own alarms */

/*
 * Reads the journal of @router back and goes on writing there. 0 or -ENOMEM; a disk that cannot be
 * read or written is an alarm, no failure.
 */
int km_alarms_new(struct event_base *base, const char *router, struct km_alarms **out);
/* Writes what is left, waiting for the disk. */
void km_alarms_free(struct km_alarms *a);

/**
 * km_alarm_raise() - an alarm is there. To be called again as often as one likes: the same
 * category, source and process is the same alarm, whose severity and message change.
 * @category: SSR's category, and behind a slash which alarm of it: "peer/path-down"; see
 * docs/alarms.md
 * @source: what it is about
 * @process: KM_PROCESS for our own
 * Return: 0, -EINVAL, -ENOSPC, -ENOMEM; each failure has been logged.
 */
int km_alarm_raise(struct km_alarms *a, enum svr_alarm_severity severity, const char *category,
		   const char *source, const char *process, const char *fmt, ...)
	__attribute__((format(printf, 6, 7)));
/* 0, -ENOENT if there was none. */
int km_alarm_clear(struct km_alarms *a, const char *category, const char *source,
		   const char *process);

/**
 * km_event_audit() - something was done that one may want to prove later.
 * @type: "system.generate_csr"
 * @detail: JSON object with what was done, borrowed; never a secret. NULL: none
 * Return: 0, -EINVAL, -EMSGSIZE, -ENOMEM; each failure has been logged.
 */
int km_event_audit(struct km_alarms *a, const char *type, struct json_object *detail);

const struct svr_alarmlog *km_alarms_log(const struct km_alarms *a);
struct km_journal *km_alarms_journal(const struct km_alarms *a); /* to wait until something is on disk */

/*
 * alarms_ctl.c: commands about alarms and events. Returns what a svr_ctl_handler does; *known:
 * false for others.
 */
struct keymgr;
struct json_object *km_alarms_command(struct keymgr *km, const char *command,
				      struct json_object *request, bool *known);

#endif
