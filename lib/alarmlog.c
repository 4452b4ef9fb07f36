// SPDX-License-Identifier: BSD-2-Clause
/* Alarms and events: the table, the bounded list, and both of them as records. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>

#include <json-c/json.h>

#include "lib/alarmlog.h"
#include "lib/timetext.h"
#include "lib/utf8.h"

enum { RECORD_DEPTH = 32 /* nested objects and arrays */ };

struct event_entry {
	TAILQ_ENTRY(event_entry) link;
	struct svr_event event;
	char json[];
};

struct svr_alarmlog {
	svr_alarmlog_record record;
	void *user;
	uint64_t next_id, next_event;
	size_t n_alarms;
	struct svr_alarm *alarm[SVR_ALARMS_MAX]; /* by id */
	size_t event_bytes;
	TAILQ_HEAD(event_list, event_entry) events; /* oldest first */
};

/* What a record says happened. */
enum what { ADD, UPDATE, CLEAR, AUDIT, SNAPSHOT, ACTIVE, N_WHAT };
static const char *const what_name[N_WHAT] = {
	[ADD] = "add", /* this and the next two are events of an alarm */
	[UPDATE] = "update",	 [CLEAR] = "clear", [AUDIT] = "audit",
	[SNAPSHOT] = "snapshot", /* the alarms that follow are all that are active */
	[ACTIVE] = "active", /* an alarm without an event */
};

static const char *const severity_name[SVR_ALARM_SEVERITIES] = {
	[SVR_ALARM_INFO] = "info",
	[SVR_ALARM_MINOR] = "minor",
	[SVR_ALARM_MAJOR] = "major",
	[SVR_ALARM_CRITICAL] = "critical",
};

const char *svr_alarm_severity_name(enum svr_alarm_severity severity)
{
	return (unsigned int)severity < SVR_ALARM_SEVERITIES ? severity_name[severity] : "unknown";
}

int svr_alarm_severity_parse(const char *name, enum svr_alarm_severity *out)
{
	for (unsigned int i = 0; i < SVR_ALARM_SEVERITIES; i++) {
		if (strcasecmp(name, severity_name[i]) == 0) {
			*out = i;
			return 0;
		}
	}
	return -EINVAL;
}

/* ---- the table of alarms --------------------------------------------------------------------- */

/* Names and messages may come from a peer: they must not reach a terminal or a file as they are. */
static void copy_text(char *to, size_t room, const char *from)
{
	size_t n = 0, bytes;

	while (*from && n + 1 < room) {
		bytes = svr_utf8_len(from, strnlen(from, SVR_UTF8_MAX));
		if (!bytes || iscntrl((unsigned char)*from)) {
			to[n++] = '?';
			from++;
			continue;
		}
		if (n + bytes >= room)
			break;
		memcpy(to + n, from, bytes);
		n += bytes;
		from += bytes;
	}
	to[n] = '\0';
}

static void alarm_set(struct svr_alarm *alarm, const struct svr_alarm_text *what)
{
	alarm->severity = what->severity;
	copy_text(alarm->category, sizeof(alarm->category), what->category);
	copy_text(alarm->source, sizeof(alarm->source), what->source);
	copy_text(alarm->process, sizeof(alarm->process), what->process);
	copy_text(alarm->message, sizeof(alarm->message), what->message ? what->message : "");
}

static bool text_ok(const struct svr_alarm_text *what)
{
	return (unsigned int)what->severity < SVR_ALARM_SEVERITIES && what->category &&
	       *what->category && what->source && *what->source && what->process && *what->process;
}

/* Index of the alarm that is about the same, or n_alarms. */
static size_t find_same(const struct svr_alarmlog *log, const struct svr_alarm *wanted)
{
	size_t i;

	for (i = 0; i < log->n_alarms; i++) {
		const struct svr_alarm *alarm = log->alarm[i];

		if (strcmp(alarm->source, wanted->source) == 0 &&
		    strcmp(alarm->category, wanted->category) == 0 &&
		    strcmp(alarm->process, wanted->process) == 0)
			break;
	}
	return i;
}

/* Puts @alarm in its place, instead of the one that is about the same. 0, -ENOSPC, -ENOMEM. */
static int table_put(struct svr_alarmlog *log, const struct svr_alarm *alarm)
{
	size_t i = find_same(log, alarm);
	struct svr_alarm *copy;

	if (i < log->n_alarms && log->alarm[i]->id == alarm->id) {
		*log->alarm[i] = *alarm;
		return 0;
	}
	if (i == log->n_alarms && log->n_alarms == SVR_ALARMS_MAX)
		return -ENOSPC;
	copy = malloc(sizeof(*copy));
	if (!copy)
		return -ENOMEM;
	*copy = *alarm;
	if (i < log->n_alarms) {
		free(log->alarm[i]);
		log->n_alarms--;
		memmove(&log->alarm[i], &log->alarm[i + 1],
			(log->n_alarms - i) * sizeof(log->alarm[0]));
	}
	for (i = log->n_alarms; i > 0 && log->alarm[i - 1]->id > alarm->id; i--)
		log->alarm[i] = log->alarm[i - 1];
	log->alarm[i] = copy;
	log->n_alarms++;
	if (log->next_id <= alarm->id)
		log->next_id = alarm->id + 1;
	return 0;
}

static void table_remove(struct svr_alarmlog *log, size_t i)
{
	free(log->alarm[i]);
	log->n_alarms--;
	memmove(&log->alarm[i], &log->alarm[i + 1], (log->n_alarms - i) * sizeof(log->alarm[0]));
}

static void table_empty(struct svr_alarmlog *log)
{
	while (log->n_alarms)
		free(log->alarm[--log->n_alarms]);
}

/* ---- the list of events ---------------------------------------------------------------------- */

static struct event_entry *event_new(const char *json, size_t len, int64_t time_ms,
				     enum svr_event_kind kind)
{
	struct event_entry *e = malloc(sizeof(*e) + len + 1);

	if (!e)
		return NULL;
	memcpy(e->json, json, len);
	e->json[len] = '\0';
	e->event.time_ms = time_ms;
	e->event.kind = kind;
	e->event.len = len;
	e->event.json = e->json;
	return e;
}

static void event_put(struct svr_alarmlog *log, struct event_entry *e)
{
	struct event_entry *oldest;

	e->event.number = log->next_event++;
	TAILQ_INSERT_TAIL(&log->events, e, link);
	log->event_bytes += sizeof(*e) + e->event.len;
	while (log->event_bytes > SVR_EVENTS_BYTES) {
		oldest = TAILQ_FIRST(&log->events);
		TAILQ_REMOVE(&log->events, oldest, link);
		log->event_bytes -= sizeof(*oldest) + oldest->event.len;
		free(oldest);
	}
}

/* ---- records --------------------------------------------------------------------------------- */

static void put_str(struct json_object *o, const char *key, const char *value)
{
	json_object_object_add(o, key, json_object_new_string(value));
}

static struct json_object *record_new(enum what what, int64_t time_ms)
{
	struct json_object *o = json_object_new_object();
	char time[SVR_TIMETEXT_LEN];

	put_str(o, "type", what_name[what]);
	svr_timetext_print(time_ms, time);
	put_str(o, "time", time);
	return o;
}

static struct json_object *alarm_record(enum what what, int64_t time_ms,
					const struct svr_alarm *alarm)
{
	struct json_object *o = record_new(what, time_ms);
	char raised[SVR_TIMETEXT_LEN];

	json_object_object_add(o, "id", json_object_new_uint64(alarm->id));
	if (alarm->time_ms != time_ms) {
		svr_timetext_print(alarm->time_ms, raised);
		put_str(o, "raised", raised);
	}
	put_str(o, "severity", svr_alarm_severity_name(alarm->severity));
	put_str(o, "source", alarm->source);
	put_str(o, "category", alarm->category);
	put_str(o, "process", alarm->process);
	put_str(o, "message", alarm->message);
	return o;
}

static const char *record_text(struct json_object *o, size_t *len)
{
	const char *text = json_object_to_json_string_ext(
		o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);

	*len = strlen(text);
	return text;
}

/* The event of the record @o, which is consumed; not yet in the list. NULL: no memory. */
static struct event_entry *event_of(struct json_object *o, int64_t time_ms,
				    enum svr_event_kind kind)
{
	struct event_entry *e;
	const char *text;
	size_t len;

	text = record_text(o, &len);
	e = event_new(text, len, time_ms, kind);
	json_object_put(o);
	return e;
}

/* The event goes into the list, its record to the owner. */
static void event_publish(struct svr_alarmlog *log, struct event_entry *e)
{
	if (log->record)
		log->record(log->user, e->event.json, e->event.len);
	event_put(log, e);
}

/* ---- what happens ---------------------------------------------------------------------------- */

int svr_alarmlog_raise(struct svr_alarmlog *log, int64_t now_ms, const struct svr_alarm_text *what,
		       uint64_t *id)
{
	struct svr_alarm alarm = { .id = log->next_id, .time_ms = now_ms };
	struct event_entry *e;
	bool known;
	size_t i;
	int ret;

	if (!text_ok(what))
		return -EINVAL;
	alarm_set(&alarm, what);
	i = find_same(log, &alarm);
	known = i < log->n_alarms;
	if (known) {
		alarm.id = log->alarm[i]->id;
		alarm.time_ms = log->alarm[i]->time_ms;
	}
	if (id)
		*id = alarm.id;
	if (known && log->alarm[i]->severity == alarm.severity &&
	    strcmp(log->alarm[i]->message, alarm.message) == 0)
		return 0;
	e = event_of(alarm_record(known ? UPDATE : ADD, now_ms, &alarm), now_ms, SVR_EVENT_ALARM);
	if (!e)
		return -ENOMEM;
	ret = table_put(log, &alarm);
	if (ret) {
		free(e);
		return ret;
	}
	event_publish(log, e);
	return known ? 2 : 1;
}

int svr_alarmlog_clear(struct svr_alarmlog *log, int64_t now_ms, const char *category,
		       const char *source, const char *process)
{
	const struct svr_alarm_text what = { .category = category,
					     .source = source,
					     .process = process };
	struct event_entry *e;
	struct svr_alarm key;
	size_t i;

	if (!text_ok(&what))
		return -EINVAL;
	alarm_set(&key, &what);
	i = find_same(log, &key);
	if (i == log->n_alarms)
		return -ENOENT;
	e = event_of(alarm_record(CLEAR, now_ms, log->alarm[i]), now_ms, SVR_EVENT_ALARM);
	if (!e)
		return -ENOMEM;
	table_remove(log, i);
	event_publish(log, e);
	return 0;
}

int svr_alarmlog_audit(struct svr_alarmlog *log, int64_t now_ms, const char *type,
		       const char *description, struct json_object *detail)
{
	struct json_object *o;
	struct event_entry *e;
	char text[SVR_ALARM_MESSAGE_LEN];
	size_t len;

	if (!type || !*type || strlen(type) >= SVR_EVENT_TYPE_LEN ||
	    (detail && !json_object_is_type(detail, json_type_object)))
		return -EINVAL;
	if (detail) {
		record_text(detail, &len);
		if (len > SVR_EVENT_DETAIL_MAX)
			return -EMSGSIZE;
	}
	o = record_new(AUDIT, now_ms);
	copy_text(text, sizeof(text), type);
	put_str(o, "audit", text);
	copy_text(text, sizeof(text), description ? description : "");
	put_str(o, "description", text);
	if (detail)
		json_object_object_add(o, "detail", json_object_get(detail));
	e = event_of(o, now_ms, SVR_EVENT_AUDIT);
	if (!e)
		return -ENOMEM;
	event_publish(log, e);
	return 0;
}

/* ---- reading --------------------------------------------------------------------------------- */

size_t svr_alarmlog_count(const struct svr_alarmlog *log)
{
	return log->n_alarms;
}

const struct svr_alarm *svr_alarmlog_get(const struct svr_alarmlog *log, size_t i)
{
	return i < log->n_alarms ? log->alarm[i] : NULL;
}

int svr_alarmlog_events(const struct svr_alarmlog *log,
			int (*visit)(void *user, const struct svr_event *event), void *user)
{
	struct event_entry *e;
	int ret;

	TAILQ_FOREACH_REVERSE(e, &log->events, event_list, link)
	{
		ret = visit(user, &e->event);
		if (ret)
			return ret;
	}
	return 0;
}

/* ---- replay ---------------------------------------------------------------------------------- */

static const char *get_str(struct json_object *o, const char *key)
{
	struct json_object *value;

	/* A NUL inside would hide the rest. */
	if (!json_object_object_get_ex(o, key, &value) ||
	    !json_object_is_type(value, json_type_string) ||
	    strlen(json_object_get_string(value)) != (size_t)json_object_get_string_len(value))
		return NULL;
	return json_object_get_string(value);
}

static int get_time(struct json_object *o, const char *key, int64_t *out_ms)
{
	const char *text = get_str(o, key);

	return text ? svr_timetext_parse(text, 0, out_ms) : -EBADMSG;
}

static int get_number(struct json_object *o, const char *key, uint64_t *out)
{
	struct json_object *value;

	if (!json_object_object_get_ex(o, key, &value) ||
	    !json_object_is_type(value, json_type_int) || json_object_get_int64(value) <= 0)
		return -EBADMSG;
	*out = json_object_get_uint64(value);
	return *out < INT64_MAX ? 0 : -EBADMSG;
}

static int get_alarm(struct json_object *o, struct svr_alarm *alarm)
{
	struct svr_alarm_text what = { .category = get_str(o, "category"),
				       .source = get_str(o, "source"),
				       .process = get_str(o, "process"),
				       .message = get_str(o, "message") };
	const char *severity = get_str(o, "severity");

	if (!severity || svr_alarm_severity_parse(severity, &what.severity) || !text_ok(&what) ||
	    get_number(o, "id", &alarm->id))
		return -EBADMSG;
	if (get_time(o, "raised", &alarm->time_ms) && get_time(o, "time", &alarm->time_ms))
		return -EBADMSG;
	alarm_set(alarm, &what);
	return 0;
}

static int get_what(struct json_object *o, enum what *what)
{
	const char *type = get_str(o, "type");

	for (*what = 0; type && *what < N_WHAT; (*what)++)
		if (strcmp(type, what_name[*what]) == 0)
			return 0;
	return -EBADMSG;
}

static int replay_snapshot(struct svr_alarmlog *log, struct json_object *o)
{
	uint64_t next_id;

	if (get_number(o, "next_id", &next_id))
		return -EBADMSG;
	table_empty(log);
	log->next_id = next_id;
	return 0;
}

/* An alarm changes as the record says; the clearing of one that is not there is only an event. */
static int replay_alarm(struct svr_alarmlog *log, enum what what, struct json_object *o)
{
	struct svr_alarm alarm = { 0 };
	size_t i;

	if (get_alarm(o, &alarm))
		return -EBADMSG;
	if (what != CLEAR)
		return table_put(log, &alarm);
	if (log->next_id <= alarm.id)
		log->next_id = alarm.id + 1;
	i = find_same(log, &alarm);
	if (i < log->n_alarms)
		table_remove(log, i);
	return 0;
}

static int replay_object(struct svr_alarmlog *log, struct json_object *o, const char *json,
			 size_t len)
{
	enum svr_event_kind kind = SVR_EVENT_ALARM;
	struct event_entry *e = NULL;
	int64_t time_ms;
	enum what what;
	int ret;

	if (get_what(o, &what) || get_time(o, "time", &time_ms))
		return -EBADMSG;
	if (what == SNAPSHOT)
		return replay_snapshot(log, o);
	if (what == AUDIT) {
		if (!get_str(o, "audit"))
			return -EBADMSG;
		kind = SVR_EVENT_AUDIT;
	}
	if (what != ACTIVE) {
		e = event_new(json, len, time_ms, kind);
		if (!e)
			return -ENOMEM;
	}
	ret = what == AUDIT ? 0 : replay_alarm(log, what, o);
	if (ret)
		free(e);
	else if (e)
		event_put(log, e);
	return ret;
}

int svr_alarmlog_replay(struct svr_alarmlog *log, const char *json, size_t len)
{
	struct json_tokener *tok;
	struct json_object *o;
	int ret = -EBADMSG;

	if (len > SVR_EVENT_RECORD_MAX)
		return ret;
	tok = json_tokener_new_ex(RECORD_DEPTH);
	if (!tok)
		return -ENOMEM;
	o = json_tokener_parse_ex(tok, json, (int)len);
	if (o && json_object_is_type(o, json_type_object) && json_tokener_get_parse_end(tok) == len)
		ret = replay_object(log, o, json, len);
	json_object_put(o);
	json_tokener_free(tok);
	return ret == -ENOSPC ? -EBADMSG : ret;
}

void svr_alarmlog_snapshot(const struct svr_alarmlog *log, svr_alarmlog_record record, void *user)
{
	struct event_entry *e;
	struct json_object *o;
	const char *text;
	size_t len, i;

	TAILQ_FOREACH(e, &log->events, link)
		record(user, e->event.json, e->event.len);
	e = TAILQ_LAST(&log->events, event_list);
	o = record_new(SNAPSHOT, e ? e->event.time_ms : 0);
	json_object_object_add(o, "next_id", json_object_new_uint64(log->next_id));
	text = record_text(o, &len);
	record(user, text, len);
	json_object_put(o);
	for (i = 0; i < log->n_alarms; i++) {
		o = alarm_record(ACTIVE, log->alarm[i]->time_ms, log->alarm[i]);
		text = record_text(o, &len);
		record(user, text, len);
		json_object_put(o);
	}
}

/* ---- begin and end --------------------------------------------------------------------------- */

int svr_alarmlog_new(svr_alarmlog_record record, void *user, struct svr_alarmlog **out)
{
	struct svr_alarmlog *log = calloc(1, sizeof(*log));

	*out = log;
	if (!log)
		return -ENOMEM;
	log->record = record;
	log->user = user;
	log->next_id = 1;
	log->next_event = 1;
	TAILQ_INIT(&log->events);
	return 0;
}

void svr_alarmlog_free(struct svr_alarmlog *log)
{
	struct event_entry *e;

	if (!log)
		return;
	table_empty(log);
	while ((e = TAILQ_FIRST(&log->events))) {
		TAILQ_REMOVE(&log->events, e, link);
		free(e);
	}
	free(log);
}
