// SPDX-License-Identifier: BSD-2-Clause
/* `svr show alarms` and `svr show events`: what the key manager keeps. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <json-c/json_object.h>

#include "cli.h"
#include "lib/timetext.h"
#include "process.h"

enum { LIMIT_MAX = 10000 }; /* of the key manager, in one answer */

static const char *const shelved_words[] = { "shelved", NULL };
static const char *const kind_words[] = { "alarm", "audit", NULL };

enum { ALARMS_SHELVED, ALARMS_ID, ALARMS_LIMIT, ALARMS_OFFSET };
const struct svr_arg svr_show_alarms_args[] = {
	[ALARMS_SHELVED] = { NULL, "WHAT", shelved_words, false, false,
			     "shelved: those that a shelf keeps out of sight" },
	[ALARMS_ID] = { "id", "ID", NULL, false, false, "one alarm in detail" },
	[ALARMS_LIMIT] = { "limit", "N", NULL, false, false,
			   "at most so many, 1 to 10000 (default 1000)" },
	[ALARMS_OFFSET] = { "offset", "N", NULL, false, false, "leave out the first ones" },
	{},
};

enum { EVENTS_KIND, EVENTS_FROM, EVENTS_TO, EVENTS_LIMIT, EVENTS_OFFSET };
const struct svr_arg svr_show_events_args[] = {
	[EVENTS_KIND] = { NULL, "KIND", kind_words, false, false,
			  "alarm: beginning, change and end of alarms; audit: what was done" },
	[EVENTS_FROM] = { "from", "TIME", NULL, false, false,
			  "2025-03-19T20:50:35Z, or 1h30m for so long ago" },
	[EVENTS_TO] = { "to", "TIME", NULL, false, false, "the same" },
	[EVENTS_LIMIT] = { "limit", "N", NULL, false, false,
			   "at most so many, 1 to 10000, the newest ones (default 1000)" },
	[EVENTS_OFFSET] = { "offset", "N", NULL, false, false, "leave out the newest ones" },
	{},
};

struct column {
	const char *key, *title;
};

/* SSR's columns; what else an answer has is only in the JSON. */
static const struct column alarm_columns[] = {
	{ "id", "ID" },
	{ "time", "Time" },
	{ "severity", "Severity" },
	{ "source", "Source" },
	{ "category", "Category" },
	{ "process", NULL },
	{ "alarm", NULL },
	{ "router", NULL },
	{ "message", "Message" },
	{},
};

static const struct column alarm_details[] = {
	{ "id", "ID" },
	{ "time", "Time" },
	{ "severity", "Severity" },
	{ "source", "Source" },
	{ "category", "Category" },
	{ "alarm", "Alarm" },
	{ "router", "Router" },
	{ "process", "Process" },
	{ "message", "Message" },
	{ "reason", "Shelf" },
	{},
};

static const struct column shelved_columns[] = {
	{ "id", "ID" },
	{ "time", "Time" },
	{ "severity", "Severity" },
	{ "source", "Source" },
	{ "category", "Category" },
	{ "process", NULL },
	{ "alarm", NULL },
	{ "router", NULL },
	{ "message", "Message" },
	{ "reason", "Reason" },
	{},
};

static const struct column event_columns[] = {
	{ "number", NULL },
	{ "id", NULL },
	{ "kind", "Kind" },
	{ "router", "Router" },
	{ "node", "Node" },
	{ "type", "Event Type" },
	{ "time", "Time" },
	{ "severity", "Severity" },
	{ "source", "Source" },
	{ "category", "Category" },
	{ "alarm", NULL },
	{ "process", NULL },
	{ "message", "Message" },
	{ "shelved", "Shelved Status" },
	{ "description", "Description" },
	{},
};

static const struct column audit_details[] = {
	{ "time", "Time" },
	{ "number", NULL },
	{ "kind", NULL },
	{ "router", NULL },
	{ "type", "Type" },
	{ "node", "Node" },
	{ "description", "Description" },
	{},
};

static void print_members(struct svr_out *o, struct json_object *item, const struct column *columns,
			  bool only_there)
{
	struct json_object *value;

	for (; columns->key; columns++) {
		if (json_object_object_get_ex(item, columns->key, &value))
			svr_out_json(o, columns->key, columns->title, value);
		else if (!only_there)
			svr_out_str(o, NULL, columns->title, NULL);
	}
}

/* An audit event in SSR's shape: its detail is one line of JSON. */
static void print_audit(struct svr_out *o, struct json_object *event)
{
	struct json_object *value;

	print_members(o, event, audit_details, true);
	if (json_object_object_get_ex(event, "detail", &value)) {
		if (svr_out_is_json(o))
			svr_out_json(o, "detail", NULL, value);
		else
			svr_out_str(o, NULL, "Json Event Detail",
				    json_object_to_json_string_ext(value, JSON_C_TO_STRING_PLAIN));
	}
	if (json_object_object_get_ex(event, "permitted", &value))
		svr_out_json(o, "permitted", "Permitted", value);
}

static uint64_t member_u64(struct json_object *o, const char *key)
{
	struct json_object *value;

	return json_object_object_get_ex(o, key, &value) ? json_object_get_uint64(value) : 0;
}

/* The list @key of an answer, or NULL with the error reported. */
static struct json_object *list_of(struct svr_cli *cli, struct json_object *answer, const char *key)
{
	struct json_object *list;

	if (json_object_object_get_ex(answer, key, &list) &&
	    json_object_is_type(list, json_type_array))
		return list;
	svr_cli_error(
		cli, -EPROTO,
		"svr-keymgr answered with something else than a list; are both of the same version?");
	return NULL;
}

static int add_number(struct svr_cli *cli, struct json_object *request, const char *name,
		      const char *text, unsigned int min, unsigned int max)
{
	unsigned long long value;
	char *end;

	if (!text)
		return 0;
	errno = 0;
	value = strtoull(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || errno || value < min || value > max)
		return svr_cli_usage(cli, "%s %s is no number from %u to %u", name, text, min, max);
	json_object_object_add(request, name, json_object_new_uint64(value));
	return 0;
}

static int add_page(struct svr_cli *cli, struct json_object *request, const char *limit,
		    const char *offset)
{
	int err = add_number(cli, request, "limit", limit, 1, LIMIT_MAX);

	return err ? err : add_number(cli, request, "offset", offset, 0, INT32_MAX);
}

static int add_time(struct svr_cli *cli, struct json_object *request, const char *name,
		    const char *text)
{
	int64_t time_ms, now_ms = (int64_t)time(NULL) * 1000;
	char exact[SVR_TIMETEXT_LEN];
	int err;

	if (!text)
		return 0;
	err = svr_timetext_parse(text, now_ms, &time_ms);
	if (err)
		return svr_cli_usage(
			cli, "%s %s is %s; write 2025-03-19T20:50:35Z, or 1h30m for so long ago",
			name, text, err == -ERANGE ? "before 1970 or after 9999" : "no time");
	svr_timetext_print(time_ms, exact);
	json_object_object_add(request, name, json_object_new_string(exact));
	return 0;
}

static int ask(struct svr_cli *cli, struct json_object *request, struct json_object **answer)
{
	const char *router;
	int err = svr_cli_router(cli, &router);

	return err ? err : svr_process_ask(cli, router, "keymgr", request, answer);
}

static void print_list(struct svr_out *o, struct json_object *list, const char *key,
		       const struct column *columns, enum svr_out_style style, const char *empty)
{
	svr_out_list_begin(o, key, style, empty);
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		svr_out_item_begin(o);
		print_members(o, json_object_array_get_idx(list, i), columns,
			      svr_out_is_json(o) || style == SVR_OUT_BLOCKS);
		svr_out_item_end(o);
	}
	svr_out_list_end(o);
}

static int print_alarms(struct svr_cli *cli, struct json_object *answer, bool shelved,
			const char *id)
{
	struct json_object *list = list_of(cli, answer, "alarms");
	const uint64_t total = member_u64(answer, "total");
	const uint64_t hidden = member_u64(answer, "shelved");
	struct svr_out *o = cli->out;

	if (!list)
		return -EPROTO;
	if (id && !json_object_array_length(list))
		return svr_cli_error(cli, -ENOENT, "there is no alarm %s; see: svr show alarms",
				     id);
	svr_out_record_begin(o, NULL, NULL);
	print_list(o, list, "alarms",
		   id	   ? alarm_details :
		   shelved ? shelved_columns :
			     alarm_columns,
		   id ? SVR_OUT_BLOCKS : SVR_OUT_TABLE,
		   shelved ? "no shelved alarms" : "no alarms");
	svr_out_u64(o, "total", NULL, total);
	svr_out_u64(o, "shelved", NULL, hidden);
	if (!id && total > json_object_array_length(list))
		svr_out_note(o, "%zu of %" PRIu64 " alarms; see: limit, offset",
			     json_object_array_length(list), total);
	if (!id && !shelved)
		svr_out_note(o, "There %s %" PRIu64 " shelved alarm%s", hidden == 1 ? "is" : "are",
			     hidden, hidden == 1 ? "" : "s");
	svr_out_record_end(o);
	return 0;
}

int svr_show_alarms_run(struct svr_cli *cli, const char *const *val)
{
	struct json_object *request, *answer = NULL;
	const char *id = val[ALARMS_ID];
	int err;

	if (id && val[ALARMS_SHELVED])
		return svr_cli_usage(cli, "svr show alarms: either id or shelved");
	request = svr_process_request("show alarms");
	if (!request)
		return svr_cli_error(cli, -ENOMEM, "out of memory");
	if (id)
		json_object_object_add(request, "id", json_object_new_string(id));
	if (val[ALARMS_SHELVED])
		json_object_object_add(request, "shelved", json_object_new_boolean(true));
	err = add_page(cli, request, val[ALARMS_LIMIT], val[ALARMS_OFFSET]);
	if (!err)
		err = ask(cli, request, &answer);
	if (!err)
		err = print_alarms(cli, answer, val[ALARMS_SHELVED], id);
	json_object_put(request);
	json_object_put(answer);
	return err;
}

static int print_events(struct svr_cli *cli, struct json_object *answer, const char *kind)
{
	struct json_object *list = list_of(cli, answer, "events");
	const uint64_t total = member_u64(answer, "total");
	struct svr_out *o = cli->out;
	const bool audit = kind && !strcmp(kind, "audit");
	size_t n;

	if (!list)
		return -EPROTO;
	n = json_object_array_length(list);
	svr_out_record_begin(o, NULL, NULL);
	svr_out_list_begin(o, "events", audit ? SVR_OUT_BLOCKS : SVR_OUT_TABLE, "no events");
	for (size_t i = 0; i < n; i++) {
		struct json_object *event = json_object_array_get_idx(list, i), *detail;

		svr_out_item_begin(o);
		if (audit) {
			print_audit(o, event);
		} else {
			print_members(o, event, event_columns, svr_out_is_json(o));
			if (json_object_object_get_ex(event, "detail", &detail))
				svr_out_json(o, "detail", NULL, detail);
		}
		svr_out_item_end(o);
	}
	svr_out_list_end(o);
	svr_out_u64(o, "total", NULL, total);
	if (total > n)
		svr_out_note(o, "%zu of %" PRIu64 " events; see: limit, offset, from, to", n,
			     total);
	svr_out_record_end(o);
	return 0;
}

int svr_show_events_run(struct svr_cli *cli, const char *const *val)
{
	struct json_object *request = svr_process_request("show events"), *answer = NULL;
	int err;

	if (!request)
		return svr_cli_error(cli, -ENOMEM, "out of memory");
	if (val[EVENTS_KIND])
		json_object_object_add(request, "kind", json_object_new_string(val[EVENTS_KIND]));
	err = add_time(cli, request, "from", val[EVENTS_FROM]);
	if (!err)
		err = add_time(cli, request, "to", val[EVENTS_TO]);
	if (!err)
		err = add_page(cli, request, val[EVENTS_LIMIT], val[EVENTS_OFFSET]);
	if (!err)
		err = ask(cli, request, &answer);
	if (!err)
		err = print_events(cli, answer, val[EVENTS_KIND]);
	json_object_put(request);
	json_object_put(answer);
	return err;
}
