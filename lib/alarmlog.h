/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Alarms and events of a router. An event is one moment, an alarm is a state with an event at its
 * beginning, one at each change of its words or severity, and one at its end. Every change is
 * handed out as a record (one JSON object); replaying the records gives the same state again
 * (docs/alarms.md has the members). What is kept is bounded. No files, no clock. Part of libsvr.
 */
#ifndef SVR_LIB_ALARMLOG_H
#define SVR_LIB_ALARMLOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json_object;

enum svr_alarm_severity {
	SVR_ALARM_INFO,
	SVR_ALARM_MINOR,
	SVR_ALARM_MAJOR, /* act now */
	SVR_ALARM_CRITICAL, /* service is affected */
	SVR_ALARM_SEVERITIES,
};

enum svr_alarmlog_limits {
	SVR_ALARMS_MAX = 1024, /* alarms at a time */
	SVR_ALARM_CATEGORY_LEN = 64, /* bytes, with the NUL; so are the next ones */
	SVR_ALARM_SOURCE_LEN = 256,
	SVR_ALARM_PROCESS_LEN = 32,
	SVR_ALARM_MESSAGE_LEN = 512,
	SVR_EVENT_TYPE_LEN = 64,
	SVR_EVENT_DETAIL_MAX = 16 * 1024, /* bytes of the JSON detail of an audit event */
	SVR_EVENT_RECORD_MAX = 2 * SVR_EVENT_DETAIL_MAX, /* bytes of any record */
	SVR_EVENTS_BYTES = 2 * 1024 * 1024, /* of records in memory: the oldest are forgotten */
};

/* What an alarm is, told by its owner. */
struct svr_alarm_text {
	enum svr_alarm_severity severity;
	/*
	 * SSR's category ("peer"), and behind a slash which alarm of that category it is
	 * ("peer/path-down"), so that one source can have several.
	 */
	const char *category;
	const char *source; /* what it is about: a peer, a path, a table */
	const char *process; /* that watches it */
	const char *message;
};

struct svr_alarm {
	uint64_t id;
	int64_t time_ms; /* wall clock, since 1970: when it was raised */
	enum svr_alarm_severity severity;
	char category[SVR_ALARM_CATEGORY_LEN];
	char source[SVR_ALARM_SOURCE_LEN];
	char process[SVR_ALARM_PROCESS_LEN];
	char message[SVR_ALARM_MESSAGE_LEN];
};

enum svr_event_kind {
	SVR_EVENT_ALARM = 1 << 0,
	SVR_EVENT_AUDIT = 1 << 1,
};

struct svr_event {
	uint64_t number; /* counts up; the first one is 1 */
	int64_t time_ms;
	enum svr_event_kind kind;
	size_t len;
	const char *json; /* its record, NUL-terminated */
};

/* "critical"; for numbers that are no severity "unknown". */
const char *svr_alarm_severity_name(enum svr_alarm_severity severity);
/* Either case. 0 or -EINVAL. */
int svr_alarm_severity_parse(const char *name, enum svr_alarm_severity *out);

struct svr_alarmlog;

/* Gets each new record, @len bytes of JSON without a newline. */
typedef void (*svr_alarmlog_record)(void *user, const char *json, size_t len);

/* @record: NULL: nobody wants them. 0 or -ENOMEM. */
int svr_alarmlog_new(svr_alarmlog_record record, void *user, struct svr_alarmlog **out);
void svr_alarmlog_free(struct svr_alarmlog *log);

/**
 * svr_alarmlog_raise() - an alarm with the same category, source and process is changed, not
 * doubled.
 * @what: copied; control characters and broken UTF-8 become '?', what is too long is cut
 * @id: of the alarm; may be NULL
 * Return: 1 new, 2 changed, 0 was there with the same severity and message; -EINVAL without a
 * category, source or process or with an unknown severity, -ENOSPC above SVR_ALARMS_MAX, -ENOMEM.
 */
int svr_alarmlog_raise(struct svr_alarmlog *log, int64_t now_ms, const struct svr_alarm_text *what,
		       uint64_t *id);
/* 0, -ENOENT if there is no such alarm, -ENOMEM. */
int svr_alarmlog_clear(struct svr_alarmlog *log, int64_t now_ms, const char *category,
		       const char *source, const char *process);

/**
 * svr_alarmlog_audit() - an audit event.
 * @type: "system.generate_csr"
 * @description: one line for people
 * @detail: JSON object, borrowed; NULL: none
 * Return: 0, -EINVAL, -EMSGSIZE if the detail is above SVR_EVENT_DETAIL_MAX, -ENOMEM.
 */
int svr_alarmlog_audit(struct svr_alarmlog *log, int64_t now_ms, const char *type,
		       const char *description, struct json_object *detail);

/* Active alarms in the order of their ids. */
size_t svr_alarmlog_count(const struct svr_alarmlog *log);
const struct svr_alarm *svr_alarmlog_get(const struct svr_alarmlog *log, size_t i);

/* Events from the newest to the oldest, until @visit returns non-zero, which is handed back. */
int svr_alarmlog_events(const struct svr_alarmlog *log,
			int (*visit)(void *user, const struct svr_event *event), void *user);

/* Takes a record back. 0, -EBADMSG if it is none (nothing has changed), -ENOMEM. */
int svr_alarmlog_replay(struct svr_alarmlog *log, const char *json, size_t len);
/* Everything that is to be kept, as records from which svr_alarmlog_replay() makes the same log. */
void svr_alarmlog_snapshot(const struct svr_alarmlog *log, svr_alarmlog_record record, void *user);

#endif
