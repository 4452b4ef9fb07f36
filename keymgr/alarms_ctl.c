// SPDX-License-Identifier: BSD-2-Clause
/*
 * Commands of the control socket about alarms and events:
 *
 *	alarm raise	severity, category, source, process, message
 *	alarm clear	category, source, process
 *	alarm sync	process, alarms [severity, category, source, message]: all that this process has; others of it end
 *	show alarms	[id], [shelved], [offset], [limit]
 *	show events	[kind "alarm" or "audit"], [from], [to], [offset], [limit]: the newest first
 *
 * The first three are answered when the change is on disk: {"recorded": true}. Where the disk takes
 * nothing the answer says so: {"recorded": false, "reason": ...}; the change holds in memory.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "alarms.h"
#include "journal.h"
#include "keymgr.h"
#include "lib/shelf.h"
#include "lib/timetext.h"
#include "sys/ctl.h"

enum {
	SHOW_DEFAULT = 1000, /* alarms or events of one answer */
	SHOW_MAX = 10000,
};

static void add_str(struct json_object *o, const char *key, const char *value)
{
	json_object_object_add(o, key, json_object_new_string(value));
}

static void add_u64(struct json_object *o, const char *key, uint64_t value)
{
	json_object_object_add(o, key, json_object_new_uint64(value));
}

static struct json_object *result_of(struct json_object *result)
{
	struct json_object *answer = json_object_new_object();

	json_object_object_add(answer, "result", result);
	return answer;
}

/* ---- arguments ------------------------------------------------------------------------------- */

static const char *text_arg(struct json_object *request, const char *name)
{
	struct json_object *o;

	return json_object_object_get_ex(request, name, &o) &&
			       json_object_is_type(o, json_type_string) ?
		       json_object_get_string(o) :
		       NULL;
}

/* False: it is there and no number in the range. */
static bool number_arg(struct json_object *request, const char *name, int64_t min, int64_t max,
		       int64_t *value)
{
	struct json_object *o;

	if (!json_object_object_get_ex(request, name, &o))
		return true;
	if (!json_object_is_type(o, json_type_int))
		return false;
	*value = json_object_get_int64(o);
	return *value >= min && *value <= max;
}

struct page {
	int64_t offset, limit;
};

static bool page_args(struct json_object *request, struct page *page)
{
	*page = (struct page){ .limit = SHOW_DEFAULT };
	return number_arg(request, "offset", 0, INT64_MAX / 2, &page->offset) &&
	       number_arg(request, "limit", 1, SHOW_MAX, &page->limit);
}

/* ---- raise and clear ------------------------------------------------------------------------- */

struct ack {
	struct svr_ctl_later *later;
	struct json_object *result;
};

static void acknowledge(void *arg, int error)
{
	struct ack *ack = arg;

	json_object_object_add(ack->result, "recorded", json_object_new_boolean(!error));
	if (error)
		add_str(ack->result, "reason", strerror(-error));
	svr_ctl_answer(ack->later, result_of(ack->result));
	free(ack);
}

/* The answer, once what was changed is on disk. @result is consumed. */
static struct json_object *when_recorded(struct keymgr *km, struct json_object *result)
{
	struct ack *ack = malloc(sizeof(*ack));

	if (ack) {
		*ack = (struct ack){ .later = svr_ctl_later(km->ctl), .result = result };
		if (ack->later && !km_journal_wait(km_alarms_journal(km->alarms), acknowledge, ack))
			return NULL;
		if (ack->later)
			acknowledge(ack, -ENOMEM);
	}
	if (ack && ack->later)
		return NULL;
	free(ack);
	json_object_put(result);
	return svr_ctl_error("%s", strerror(ENOMEM));
}

/* Why @request does not describe an alarm, or NULL. */
static const char *alarm_args(struct json_object *request, const char *process,
			      struct svr_alarm_text *what)
{
	const char *severity = text_arg(request, "severity");

	*what = (struct svr_alarm_text){ .category = text_arg(request, "category"),
					 .source = text_arg(request, "source"),
					 .process = process,
					 .message = text_arg(request, "message") };
	if (!what->process || !*what->process || strcmp(what->process, KM_PROCESS) == 0)
		return "\"process\" has to name the process that asks";
	if (!what->category || !*what->category)
		return "\"category\" is missing";
	if (!what->source || !*what->source)
		return "\"source\" is missing";
	if (severity && svr_alarm_severity_parse(severity, &what->severity))
		return "\"severity\" is one of info, minor, major, critical";
	return NULL;
}

static const char *raise_args(struct json_object *request, const char *process,
			      struct svr_alarm_text *what)
{
	const char *wrong = alarm_args(request, process, what);

	if (!wrong && !text_arg(request, "severity"))
		wrong = "\"severity\" is missing";
	if (!wrong && (!what->message || !*what->message))
		wrong = "\"message\" is missing";
	return wrong;
}

static int raise_text(struct keymgr *km, const struct svr_alarm_text *what)
{
	return km_alarm_raise(km->alarms, what->severity, what->category, what->source,
			      what->process, "%s", what->message);
}

static struct json_object *cmd_raise(struct keymgr *km, struct json_object *request)
{
	struct svr_alarm_text what;
	const char *wrong = raise_args(request, text_arg(request, "process"), &what);
	int ret;

	if (wrong)
		return svr_ctl_error("alarm raise: %s", wrong);
	ret = raise_text(km, &what);
	if (ret)
		return svr_ctl_error("alarm raise: %s",
				     ret == -ENOSPC ? "there are too many alarms" : strerror(-ret));
	return when_recorded(km, json_object_new_object());
}

static struct json_object *cmd_clear(struct keymgr *km, struct json_object *request)
{
	struct json_object *result;
	struct svr_alarm_text what;
	const char *wrong = alarm_args(request, text_arg(request, "process"), &what);
	int ret;

	if (wrong)
		return svr_ctl_error("alarm clear: %s", wrong);
	ret = km_alarm_clear(km->alarms, what.category, what.source, what.process);
	if (ret && ret != -ENOENT)
		return svr_ctl_error("alarm clear: %s", strerror(-ret));
	result = json_object_new_object();
	json_object_object_add(result, "cleared", json_object_new_boolean(!ret));
	return when_recorded(km, result);
}

/* True if the list of a "sync" has the alarm. */
static bool is_listed(struct json_object *list, const struct svr_alarm *alarm)
{
	size_t n = json_object_array_length(list);

	for (size_t i = 0; i < n; i++) {
		struct json_object *o = json_object_array_get_idx(list, i);

		if (strcmp(text_arg(o, "category"), alarm->category) == 0 &&
		    strcmp(text_arg(o, "source"), alarm->source) == 0)
			return true;
	}
	return false;
}

static void clear_unlisted(struct keymgr *km, struct json_object *list, const char *process)
{
	const struct svr_alarmlog *log = km_alarms_log(km->alarms);
	size_t i = svr_alarmlog_count(log);
	struct svr_alarm alarm;

	while (i-- > 0) {
		alarm = *svr_alarmlog_get(log, i);
		if (strcmp(alarm.process, process) == 0 && !is_listed(list, &alarm))
			km_alarm_clear(km->alarms, alarm.category, alarm.source, alarm.process);
	}
}

static struct json_object *cmd_sync(struct keymgr *km, struct json_object *request)
{
	const char *process = text_arg(request, "process"), *wrong = NULL;
	struct svr_alarm_text what;
	struct json_object *list;
	size_t n, i;
	int ret = 0;

	if (!json_object_object_get_ex(request, "alarms", &list) ||
	    !json_object_is_type(list, json_type_array))
		return svr_ctl_error("alarm sync: \"alarms\" has to be a list");
	if (!process || !*process || strcmp(process, KM_PROCESS) == 0)
		return svr_ctl_error("alarm sync: \"process\" has to name the process that asks");
	n = json_object_array_length(list);
	for (i = 0; i < n && !wrong; i++)
		wrong = raise_args(json_object_array_get_idx(list, i), process, &what);
	if (wrong)
		return svr_ctl_error("alarm sync: alarm %zu: %s", i - 1, wrong);
	clear_unlisted(km, list, process);
	for (i = 0; i < n && !ret; i++) {
		raise_args(json_object_array_get_idx(list, i), process, &what);
		ret = raise_text(km, &what);
	}
	if (ret)
		return svr_ctl_error("alarm sync: %s",
				     ret == -ENOSPC ? "there are too many alarms" : strerror(-ret));
	return when_recorded(km, json_object_new_object());
}

/* ---- show alarms ----------------------------------------------------------------------------- */

static const char *node_name(const struct keymgr *km)
{
	return km->view->router->n_node ? km->view->router->node[0].name : km->router;
}

/* "peer" of "peer/path-down". */
static void add_category(struct json_object *o, const char *category)
{
	json_object_object_add(o, "category",
			       json_object_new_string_len(category, (int)strcspn(category, "/")));
	add_str(o, "alarm", category);
}

/* As show alarms takes it. */
static void add_id(struct json_object *o, const struct keymgr *km, uint64_t id)
{
	char text[SVR_CFG_NAME_MAX + sizeof(":18446744073709551615")];

	snprintf(text, sizeof(text), "%s:%" PRIu64, node_name(km), id);
	add_str(o, "id", text);
}

static struct json_object *alarm_json(const struct keymgr *km, const struct svr_alarm *alarm,
				      const char *shelf)
{
	struct json_object *o = json_object_new_object();
	char text[SVR_TIMETEXT_LEN];

	add_id(o, km, alarm->id);
	add_str(o, "router", km->router);
	svr_timetext_print(alarm->time_ms, text);
	add_str(o, "time", text);
	add_str(o, "severity", svr_alarm_severity_name(alarm->severity));
	add_str(o, "source", alarm->source);
	add_category(o, alarm->category);
	add_str(o, "process", alarm->process);
	add_str(o, "message", alarm->message);
	if (shelf)
		add_str(o, "reason", shelf);
	return o;
}

/* "4" or "node:4". */
static bool id_is(const struct keymgr *km, const char *wanted, uint64_t id)
{
	const char *number = strrchr(wanted, ':');
	size_t node = number ? (size_t)(number - wanted) : 0;
	unsigned long long value;
	char *end;

	if (number && (strncmp(wanted, node_name(km), node) != 0 || node_name(km)[node]))
		return false;
	number = number ? number + 1 : wanted;
	if (*number < '0' || *number > '9')
		return false;
	errno = 0;
	value = strtoull(number, &end, 10);
	return !errno && !*end && value == id;
}

static struct json_object *cmd_show_alarms(struct keymgr *km, struct json_object *request)
{
	const struct svr_alarmlog *log = km_alarms_log(km->alarms);
	struct json_object *result, *list, *flag;
	const char *wanted = text_arg(request, "id");
	int64_t seen = 0, n_shelved = 0;
	struct page page;
	bool shelved;

	if (!page_args(request, &page))
		return svr_ctl_error("show alarms: offset or limit is out of range");
	shelved = json_object_object_get_ex(request, "shelved", &flag) &&
		  json_object_get_boolean(flag);
	result = json_object_new_object();
	list = json_object_new_array();
	for (size_t i = 0; i < svr_alarmlog_count(log); i++) {
		const struct svr_alarm *alarm = svr_alarmlog_get(log, i);
		const char *shelf = svr_shelves_match(km->shelves, alarm);

		n_shelved += shelf != NULL;
		if (wanted ? !id_is(km, wanted, alarm->id) : shelved != !!shelf)
			continue;
		if (seen >= page.offset && seen - page.offset < page.limit)
			json_object_array_add(list, alarm_json(km, alarm, shelf));
		seen++;
	}
	json_object_object_add(result, "alarms", list);
	add_u64(result, "total", (uint64_t)seen);
	add_u64(result, "shelved", (uint64_t)n_shelved);
	return result_of(result);
}

/* ---- show events ----------------------------------------------------------------------------- */

struct selection {
	const struct keymgr *km;
	int kinds; /* of svr_event_kind */
	int64_t from_ms, to_ms;
	struct page page;
	int64_t seen;
	struct json_object *list;
};

static void copy_member(struct json_object *to, const char *as, struct json_object *from,
			const char *name)
{
	struct json_object *value;

	if (json_object_object_get_ex(from, name, &value))
		json_object_object_add(to, as, json_object_get(value));
}

/* The alarm as it stood in the record, for the shelves of today. */
static bool event_shelved(const struct keymgr *km, struct json_object *record)
{
	struct svr_alarm alarm = { 0 };
	const char *text;

	text = text_arg(record, "severity");
	if (!text || svr_alarm_severity_parse(text, &alarm.severity))
		return false;
	text = text_arg(record, "category");
	snprintf(alarm.category, sizeof(alarm.category), "%s", text ? text : "");
	text = text_arg(record, "source");
	snprintf(alarm.source, sizeof(alarm.source), "%s", text ? text : "");
	text = text_arg(record, "message");
	snprintf(alarm.message, sizeof(alarm.message), "%s", text ? text : "");
	return svr_shelves_match(km->shelves, &alarm);
}

static struct json_object *event_json(const struct keymgr *km, const struct svr_event *event)
{
	struct json_object *o = json_object_new_object(), *record, *id;
	const char *category;

	record = json_tokener_parse(event->json);
	add_u64(o, "number", event->number);
	copy_member(o, "time", record, "time");
	add_str(o, "kind", event->kind == SVR_EVENT_AUDIT ? "audit" : "alarm");
	add_str(o, "router", km->router);
	add_str(o, "node", node_name(km));
	if (event->kind == SVR_EVENT_AUDIT) {
		copy_member(o, "type", record, "audit");
		copy_member(o, "description", record, "description");
		copy_member(o, "detail", record, "detail");
		json_object_object_add(o, "permitted", json_object_new_boolean(true));
	} else {
		copy_member(o, "type", record, "type");
		if (json_object_object_get_ex(record, "id", &id))
			add_id(o, km, json_object_get_uint64(id));
		copy_member(o, "severity", record, "severity");
		copy_member(o, "source", record, "source");
		category = text_arg(record, "category");
		add_category(o, category ? category : "");
		copy_member(o, "process", record, "process");
		copy_member(o, "message", record, "message");
		json_object_object_add(o, "shelved",
				       json_object_new_boolean(event_shelved(km, record)));
	}
	json_object_put(record);
	return o;
}

static int event_visit(void *user, const struct svr_event *event)
{
	struct selection *sel = user;

	if (!(sel->kinds & (int)event->kind) || event->time_ms < sel->from_ms ||
	    event->time_ms > sel->to_ms)
		return 0;
	if (sel->seen >= sel->page.offset && sel->seen - sel->page.offset < sel->page.limit)
		json_object_array_add(sel->list, event_json(sel->km, event));
	sel->seen++;
	return 0;
}

/* False: it is there and no time. */
static bool time_arg(struct json_object *request, const char *name, int64_t now_ms,
		     int64_t *time_ms)
{
	const char *text = text_arg(request, name);

	return !text || !svr_timetext_parse(text, now_ms, time_ms);
}

static struct json_object *cmd_show_events(struct keymgr *km, struct json_object *request)
{
	const int64_t now_ms = (int64_t)(km_now().real_ns / SVR_NS_PER_MS);
	struct selection sel = { .km = km,
				 .kinds = SVR_EVENT_ALARM | SVR_EVENT_AUDIT,
				 .to_ms = INT64_MAX };
	const char *kind = text_arg(request, "kind");
	struct json_object *result;

	if (kind && strcmp(kind, "alarm") && strcmp(kind, "audit"))
		return svr_ctl_error("show events: kind \"%.20s\" is neither alarm nor audit",
				     kind);
	if (kind)
		sel.kinds = strcmp(kind, "audit") ? SVR_EVENT_ALARM : SVR_EVENT_AUDIT;
	if (!time_arg(request, "from", now_ms, &sel.from_ms) ||
	    !time_arg(request, "to", now_ms, &sel.to_ms))
		return svr_ctl_error(
			"show events: a time is written 2025-03-19T20:50:35Z, or 1h30m for so long ago");
	if (sel.from_ms > sel.to_ms)
		return svr_ctl_error("show events: \"from\" is later than \"to\"");
	if (!page_args(request, &sel.page))
		return svr_ctl_error("show events: offset or limit is out of range");
	sel.list = json_object_new_array();
	svr_alarmlog_events(km_alarms_log(km->alarms), event_visit, &sel);
	result = json_object_new_object();
	json_object_object_add(result, "events", sel.list);
	add_u64(result, "total", (uint64_t)sel.seen);
	return result_of(result);
}

struct json_object *km_alarms_command(struct keymgr *km, const char *command,
				      struct json_object *request, bool *known)
{
	static const struct {
		const char *name;
		struct json_object *(*run)(struct keymgr *km, struct json_object *request);
	} commands[] = {
		{ "alarm raise", cmd_raise },	    { "alarm clear", cmd_clear },
		{ "alarm sync", cmd_sync },	    { "show alarms", cmd_show_alarms },
		{ "show events", cmd_show_events },
	};

	*known = true;
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(command, commands[i].name) == 0)
			return commands[i].run(km, request);
	*known = false;
	return NULL;
}
