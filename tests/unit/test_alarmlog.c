// SPDX-License-Identifier: BSD-2-Clause
/* Alarms and events, their journal, shelves, and times as text. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <json-c/json.h>

#include "lib/alarmlog.h"
#include "lib/alarms.h"
#include "lib/config.h"
#include "lib/journal.h"
#include "lib/level.h"
#include "lib/shelf.h"
#include "lib/timetext.h"

enum { NOW_MS = 1700000000 };

static void put(void *text, const char *json, size_t len)
{
	svr_journal_put(text, json, len);
}

static int replay(void *log, const char *json, size_t len)
{
	return svr_alarmlog_replay(log, json, len);
}

static struct svr_alarmlog *log_new(struct svr_journal_text *records)
{
	struct svr_alarmlog *log;

	if (records)
		svr_journal_append(records, SVR_JOURNAL_FIRST_LINE,
				   sizeof(SVR_JOURNAL_FIRST_LINE) - 1);
	cr_assert_eq(svr_alarmlog_new(records ? put : NULL, records, &log), 0);
	return log;
}

static int raise_in(struct svr_alarmlog *log, const char *source, enum svr_alarm_severity severity,
		    const char *message)
{
	const struct svr_alarm_text what = { severity, "peer/test", source, "test", message };

	return svr_alarmlog_raise(log, NOW_MS, &what, NULL);
}

static int count_event(void *user, const struct svr_event *event)
{
	(void)event;
	++*(unsigned int *)user;
	return 0;
}

static unsigned int events_of(const struct svr_alarmlog *log)
{
	unsigned int n = 0;

	svr_alarmlog_events(log, count_event, &n);
	return n;
}

/* What @log would write, as text. */
static struct svr_journal_text snapshot(const struct svr_alarmlog *log)
{
	struct svr_journal_text text = { 0 };

	svr_journal_append(&text, SVR_JOURNAL_FIRST_LINE, sizeof(SVR_JOURNAL_FIRST_LINE) - 1);
	svr_alarmlog_snapshot(log, put, &text);
	cr_assert(!text.failed);
	return text;
}

static void expect_same(const struct svr_alarmlog *a, const struct svr_alarmlog *b)
{
	struct svr_journal_text ta = snapshot(a), tb = snapshot(b);

	cr_expect_eq(ta.len, tb.len);
	cr_expect(ta.len == tb.len && memcmp(ta.data, tb.data, ta.len) == 0,
		  "the logs differ:\n%.*s\n%.*s", (int)ta.len, ta.data, (int)tb.len, tb.data);
	svr_journal_text_free(&ta);
	svr_journal_text_free(&tb);
}

static struct svr_alarmlog *read_back(const char *data, size_t len, struct svr_journal_found *found)
{
	struct svr_alarmlog *log = log_new(NULL);

	cr_assert_eq(svr_journal_read(data, len, replay, log, found), 0);
	return log;
}

Test(alarmlog, an_alarm_is_there_once)
{
	struct svr_alarmlog *log = log_new(NULL);

	cr_expect_eq(raise_in(log, "a", SVR_ALARM_MAJOR, "one"), 1);
	cr_expect_eq(raise_in(log, "a", SVR_ALARM_MAJOR, "one"), 0, "nothing has changed");
	cr_expect_eq(events_of(log), 1);
	cr_expect_eq(raise_in(log, "a", SVR_ALARM_MINOR, "one"), 2);
	cr_expect_eq(raise_in(log, "a", SVR_ALARM_MINOR, "two"), 2);
	cr_expect_eq(raise_in(log, "b", SVR_ALARM_MINOR, "two"), 1);
	cr_assert_eq(svr_alarmlog_count(log), 2);
	cr_expect_str_eq(svr_alarmlog_get(log, 0)->message, "two");
	cr_expect_eq(svr_alarmlog_get(log, 0)->id, 1);
	cr_expect_eq(svr_alarmlog_get(log, 1)->id, 2);
	cr_expect_null(svr_alarmlog_get(log, 2));
	cr_expect_eq(svr_alarmlog_clear(log, NOW_MS, "peer/test", "a", "test"), 0);
	cr_expect_eq(svr_alarmlog_clear(log, NOW_MS, "peer/test", "a", "test"), -ENOENT);
	cr_expect_eq(svr_alarmlog_clear(log, NOW_MS, "peer/test", "b", "other"), -ENOENT);
	cr_expect_eq(svr_alarmlog_count(log), 1);
	cr_expect_eq(events_of(log), 5);
	cr_expect_eq(raise_in(log, "a", SVR_ALARM_MAJOR, "again"), 1);
	cr_expect_eq(svr_alarmlog_get(log, 1)->id, 3, "a number is never used again");
	svr_alarmlog_free(log);
}

Test(alarmlog, refuses_what_is_no_alarm)
{
	struct svr_alarmlog *log = log_new(NULL);

	cr_expect_eq(raise_in(log, "", SVR_ALARM_MAJOR, "m"), -EINVAL);
	cr_expect_eq(raise_in(log, NULL, SVR_ALARM_MAJOR, "m"), -EINVAL);
	cr_expect_eq(raise_in(log, "a", SVR_ALARM_SEVERITIES, "m"), -EINVAL);
	cr_expect_eq(raise_in(log, "a", SVR_ALARM_INFO, NULL), 1, "an empty message will do");
	svr_alarmlog_free(log);
}

Test(alarmlog, texts_of_strangers_are_made_harmless)
{
	struct svr_alarmlog *log = log_new(NULL);
	char wide[SVR_ALARM_MESSAGE_LEN + 2];

	raise_in(log, "a", SVR_ALARM_INFO, "tab\t\x1b[2J caf\xc3\xa9 \xff\xc3");
	cr_expect_str_eq(svr_alarmlog_get(log, 0)->message, "tab??[2J caf\xc3\xa9 ??");
	memset(wide, 'x', sizeof(wide));
	memcpy(wide + SVR_ALARM_MESSAGE_LEN - 2, "\xc3\xa9", 3);
	raise_in(log, "a", SVR_ALARM_INFO, wide);
	cr_expect_eq(strlen(svr_alarmlog_get(log, 0)->message), SVR_ALARM_MESSAGE_LEN - 2,
		     "cut between two characters, not inside one");
	svr_alarmlog_free(log);
}

Test(alarmlog, is_bounded)
{
	struct svr_alarmlog *log = log_new(NULL);
	struct svr_journal_text text;
	char source[32], message[400];
	unsigned int i;

	memset(message, '"', sizeof(message) - 1);
	message[sizeof(message) - 1] = '\0';
	for (i = 0; i < SVR_ALARMS_MAX; i++) {
		snprintf(source, sizeof(source), "source %u", i);
		cr_assert_eq(raise_in(log, source, SVR_ALARM_MINOR, message), 1);
	}
	cr_expect_eq(raise_in(log, "one more", SVR_ALARM_MINOR, "m"), -ENOSPC);
	cr_expect_eq(raise_in(log, "source 7", SVR_ALARM_MAJOR, message), 2,
		     "those that are there may change");
	for (i = 0; i < 10000; i++)
		raise_in(log, "source 7", i % 2 ? SVR_ALARM_MAJOR : SVR_ALARM_MINOR, message);
	cr_expect_lt(events_of(log), 10000, "the oldest events are forgotten");
	text = snapshot(log);
	cr_expect_lt(text.len, 4 * 1024 * 1024);
	svr_journal_text_free(&text);
	svr_alarmlog_free(log);
}

Test(alarmlog, audit_events)
{
	struct json_object *detail = json_object_new_object(), *list = json_object_new_array();
	struct svr_alarmlog *log = log_new(NULL);
	char *large = malloc(SVR_EVENT_DETAIL_MAX + 1);

	json_object_object_add(detail, "name", json_object_new_string("Test\nCertificate"));
	cr_expect_eq(svr_alarmlog_audit(log, NOW_MS, "system.generate_csr", "d", detail), 0);
	cr_expect_eq(svr_alarmlog_audit(log, NOW_MS, "", "d", detail), -EINVAL);
	cr_expect_eq(svr_alarmlog_audit(log, NOW_MS, NULL, "d", detail), -EINVAL);
	cr_expect_eq(svr_alarmlog_audit(log, NOW_MS, "t", "d", list), -EINVAL);
	memset(large, 'x', SVR_EVENT_DETAIL_MAX);
	large[SVR_EVENT_DETAIL_MAX] = '\0';
	json_object_object_add(detail, "large", json_object_new_string(large));
	cr_expect_eq(svr_alarmlog_audit(log, NOW_MS, "t", "d", detail), -EMSGSIZE);
	cr_expect_eq(events_of(log), 1);
	cr_expect_eq(svr_alarmlog_count(log), 0);
	free(large);
	json_object_put(detail);
	json_object_put(list);
	svr_alarmlog_free(log);
}

/* Bug I95-64627 in its general form: what was known before a restart is known after it. */
Test(alarmlog, comes_back_from_its_records)
{
	struct svr_journal_text records = { 0 }, kept;
	struct svr_journal_found found;
	struct svr_alarmlog *log = log_new(&records), *back, *again;

	raise_in(log, "a", SVR_ALARM_MAJOR, "one");
	raise_in(log, "b", SVR_ALARM_INFO, "zwei \xe2\x82\xac \"");
	raise_in(log, "a", SVR_ALARM_CRITICAL, "two");
	svr_alarmlog_audit(log, NOW_MS, "system.generate_csr", "d", NULL);
	svr_alarmlog_clear(log, NOW_MS + 5, "peer/test", "b", "test");
	raise_in(log, "c", SVR_ALARM_MINOR, "three");

	back = read_back(records.data, records.len, &found);
	cr_expect_eq(found.records, 6);
	cr_expect_eq(found.damaged, 0);
	cr_expect(!found.torn);
	expect_same(log, back);

	kept = snapshot(back);
	again = read_back(kept.data, kept.len, &found);
	expect_same(log, again);
	cr_expect_eq(raise_in(again, "d", SVR_ALARM_MINOR, "four"), 1);
	cr_expect_eq(svr_alarmlog_get(again, 2)->id, 4, "numbers go on");
	svr_journal_text_free(&kept);
	svr_journal_text_free(&records);
	svr_alarmlog_free(again);
	svr_alarmlog_free(back);
	svr_alarmlog_free(log);
}

/* The process is killed after any byte: all whole records count, the torn one does not. */
Test(journal, torn_anywhere)
{
	struct svr_journal_text records = { 0 };
	struct svr_alarmlog *log = log_new(&records), *back;
	struct svr_journal_found found;
	size_t end[4], cut, i, whole;

	for (i = 0; i < 4; i++) {
		raise_in(log, i % 2 ? "a" : "b", i < 2 ? SVR_ALARM_MAJOR : SVR_ALARM_MINOR, "m");
		end[i] = records.len;
	}
	for (cut = 0; cut <= records.len; cut++) {
		back = read_back(records.data, cut, &found);
		for (whole = 0; whole < 4 && end[whole] <= cut;)
			whole++;
		cr_assert_eq(found.records, whole, "cut at %zu: %zu records", cut, found.records);
		cr_assert_eq(found.damaged, 0);
		cr_assert_eq(svr_alarmlog_count(back), whole > 2 ? 2 : whole);
		svr_alarmlog_free(back);
	}
	svr_journal_text_free(&records);
	svr_alarmlog_free(log);
}

Test(journal, a_damaged_line_costs_one_record)
{
	struct svr_journal_text records = { 0 };
	struct svr_alarmlog *log = log_new(&records), *back;
	struct svr_journal_found found;
	size_t first, i;

	raise_in(log, "a", SVR_ALARM_MAJOR, "m");
	first = records.len;
	raise_in(log, "b", SVR_ALARM_MAJOR, "m");
	for (i = sizeof(SVR_JOURNAL_FIRST_LINE) - 1; i < first - 1; i++) {
		records.data[i] ^= 1;
		back = read_back(records.data, records.len, &found);
		cr_assert_eq(svr_alarmlog_count(back), 1, "byte %zu", i);
		cr_assert_str_eq(svr_alarmlog_get(back, 0)->source, "b");
		cr_assert_geq(found.damaged, 1);
		svr_alarmlog_free(back);
		records.data[i] ^= 1;
	}
	svr_journal_text_free(&records);
	svr_alarmlog_free(log);
}

Test(journal, other_versions_are_left_alone)
{
	struct svr_alarmlog *log = log_new(NULL);
	struct svr_journal_found found;

	cr_expect_eq(svr_journal_read("svr-journal 2\nx\n", 16, replay, log, &found),
		     -EPROTONOSUPPORT);
	svr_alarmlog_free(log);
}

Test(journal, records_that_are_none)
{
	static const char *const bad[] = {
		"", "{", "[]", "{}", "null", "{\"type\":\"add\"}", "{\"type\":\"nothing\",\"time\":\"2025-03-19T20:50:35Z\"}",
		"{\"type\":\"add\",\"time\":\"yesterday\",\"id\":1,\"severity\":\"major\",\"source\":\"s\",\"category\":\"c\",\"process\":\"p\",\"message\":\"m\"}",
		"{\"type\":\"add\",\"time\":\"2025-03-19T20:50:35Z\",\"id\":0,\"severity\":\"major\",\"source\":\"s\",\"category\":\"c\",\"process\":\"p\",\"message\":\"m\"}",
		"{\"type\":\"add\",\"time\":\"2025-03-19T20:50:35Z\",\"id\":1,\"severity\":\"huge\",\"source\":\"s\",\"category\":\"c\",\"process\":\"p\",\"message\":\"m\"}",
		"{\"type\":\"add\",\"time\":\"2025-03-19T20:50:35Z\",\"id\":1,\"severity\":\"major\",\"source\":\"\",\"category\":\"c\",\"process\":\"p\",\"message\":\"m\"}",
		"{\"type\":\"add\",\"time\":\"2025-03-19T20:50:35Z\",\"id\":1,\"severity\":\"major\",\"source\":\"a\\u0000b\",\"category\":\"c\",\"process\":\"p\",\"message\":\"m\"}",
		"{\"type\":\"add\",\"time\":\"2025-03-19T20:50:35Z\",\"id\":9223372036854775807,\"severity\":\"major\",\"source\":\"s\",\"category\":\"c\",\"process\":\"p\",\"message\":\"m\"}",
		"{\"type\":\"snapshot\",\"time\":\"2025-03-19T20:50:35Z\",\"next_id\":-1}",
		"{\"type\":\"audit\",\"time\":\"2025-03-19T20:50:35Z\"}",
		"{\"type\":\"audit\",\"time\":\"2025-03-19T20:50:35Z\",\"audit\":\"t\"} x",
	};
	struct svr_alarmlog *log = log_new(NULL);

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_expect_eq(svr_alarmlog_replay(log, bad[i], strlen(bad[i])), -EBADMSG, "%s", bad[i]);
	cr_expect_eq(svr_alarmlog_count(log), 0);
	cr_expect_eq(events_of(log), 0);
	svr_alarmlog_free(log);
}

/* ---- shelves --------------------------------------------------------------------------------- */

static const char *shelf_of(const struct svr_cfg_shelf *cfg, unsigned int n,
			    const struct svr_alarm *alarm, char name[static 64])
{
	const struct svr_cfg_alarm_shelving shelving = { (struct svr_cfg_shelf *)cfg, n };
	struct svr_shelves *shelves;
	const char *found;

	cr_assert_eq(svr_shelves_new(&shelving, "west", "node1", &shelves), 0);
	found = svr_shelves_match(shelves, alarm);
	snprintf(name, 64, "%s", found ? found : "-");
	svr_shelves_free(shelves);
	return name;
}

Test(shelf, rules)
{
	static const char *peer[] = { "peer" }, *down[] = { "system", "peer/path-down" },
			  *pee[] = { "pee" }, *major[] = { "minor", "major" };
	const struct svr_alarm alarm = { .severity = SVR_ALARM_MAJOR,
					 .category = "peer/path-down",
					 .source = "east",
					 .message = "Peer east path is down" };
	const struct {
		const char *name, *shelf;
		struct svr_cfg_shelf cfg;
	} rows[] = {
		{ "category", "s", { .name = "s", .category = peer, .n_category = 1 } },
		{ "one alarm of a category", "s", { .name = "s", .category = down, .n_category = 2 } },
		{ "part of a name is no category", "-", { .name = "s", .category = pee, .n_category = 1 } },
		{ "severity", "s", { .name = "s", .severity = major, .n_severity = 2 } },
		{ "another severity", "-", { .name = "s", .severity = major, .n_severity = 1 } },
		{ "source", "s", { .name = "s", .source = "east" } },
		{ "another source", "-", { .name = "s", .source = "eas" } },
		{ "message", "s", { .name = "s", .message_regex = "path is (up|down)$" } },
		{ "another message", "-", { .name = "s", .message_regex = "^path" } },
		{ "router", "s", { .name = "s", .router_name = "west" } },
		{ "another router", "-", { .name = "s", .router_name = "east" } },
		{ "router by expression", "s", { .name = "s", .router_name_regex = "^w" } },
		{ "node", "s", { .name = "s", .node_name = "node1" } },
		{ "another node by expression", "-", { .name = "s", .node_name_regex = "2$" } },
		{ "all: one rule does not fit", "-", { .name = "s", .category = peer, .n_category = 1, .router_name = "east" } },
		{ "any: one rule fits", "s", { .name = "s", .match_type = SVR_CFG_MATCH_ANY, .category = peer, .n_category = 1, .router_name = "east" } },
		{ "any: none fits", "-", { .name = "s", .match_type = SVR_CFG_MATCH_ANY, .source = "x", .router_name = "east" } },
		{ "no rule at all", "-", { .name = "s" } },
	};
	char name[64];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		cr_expect_str_eq(shelf_of(&rows[i].cfg, 1, &alarm, name), rows[i].shelf, "%s", rows[i].name);
}

Test(shelf, the_first_one_counts)
{
	const struct svr_cfg_shelf shelves[] = { { .name = "no", .source = "x" },
						 { .name = "first", .source = "east" },
						 { .name = "second", .source = "east" } };
	const struct svr_alarm alarm = { .source = "east" };
	char name[64];

	cr_expect_str_eq(shelf_of(shelves, 3, &alarm, name), "first");
	cr_expect_str_eq(shelf_of(shelves, 0, &alarm, name), "-");
	cr_expect_null(svr_shelves_match(NULL, &alarm));
}

/* ---- times as text --------------------------------------------------------------------------- */

Test(timetext, forms)
{
	static const int64_t now = INT64_C(1742417435173); /* 2025-03-19T20:50:35.173Z */
	static const struct {
		const char *text;
		int ret;
		int64_t ms;
	} rows[] = {
		{ "2025-03-19T20:50:35.173Z", 0, now },
		{ "2025-03-19t20:50:35.1739z", 0, now },
		{ "2025-03-19 20:50:35", 0, now - 173 },
		{ "2025-03-19T20:50Z", 0, now - 35173 },
		{ "2025-03-19T22:50:35.173+02:00", 0, now },
		{ "2025-03-19T15:20:35.173-05:30", 0, now },
		{ "2025-03-19", 0, INT64_C(1742342400000) },
		{ "2024-02-29", 0, INT64_C(1709164800000) },
		{ "2038-01-19T03:14:08Z", 0, INT64_C(2147483648000) },
		{ "9999-12-31T23:59:59.999Z", 0, SVR_TIMETEXT_MAX_MS },
		{ "1970-01-01T00:00:00Z", 0, 0 },
		{ "2016-12-31T23:59:60Z", 0, INT64_C(1483228800000) },
		{ "now", 0, now },
		{ "1h", 0, now - 3600000 },
		{ "1d2h30m5s", 0, now - 95405000 },
		{ "0s", 0, now },
		{ "7w", 0, now - INT64_C(4233600000) },
		{ "50d", 0, now - INT64_C(4320000000) },
		{ "2025-02-29", -EINVAL, 0 },
		{ "2025-13-01", -EINVAL, 0 },
		{ "2025-00-01", -EINVAL, 0 },
		{ "2025-03-32", -EINVAL, 0 },
		{ "2025-03-19T24:00:00Z", -EINVAL, 0 },
		{ "2025-03-19T20:50:35.Z", -EINVAL, 0 },
		{ "2025-03-19T20:50:35Z ", -EINVAL, 0 },
		{ "2025-03-19T20:50:35+2", -EINVAL, 0 },
		{ "25-03-19", -EINVAL, 0 },
		{ "", -EINVAL, 0 },
		{ "1", -EINVAL, 0 },
		{ "h", -EINVAL, 0 },
		{ "-1h", -EINVAL, 0 },
		{ "1h ", -EINVAL, 0 },
		{ "99999999999999999999s", -ERANGE, 0 },
		{ "9999999999w", -ERANGE, 0 },
		{ "60y", -EINVAL, 0 },
		{ "3000w", -ERANGE, 0 },
		{ "1969-12-31", -ERANGE, 0 },
		{ "0000-01-01", -ERANGE, 0 },
		{ "1970-01-01T00:00:00+01:00", -ERANGE, 0 },
	};
	char text[SVR_TIMETEXT_LEN];
	int64_t ms;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		ms = 0;
		cr_expect_eq(svr_timetext_parse(rows[i].text, now, &ms), rows[i].ret, "%s", rows[i].text);
		cr_expect_eq(ms, rows[i].ms, "%s: %lld", rows[i].text, (long long)ms);
	}
	svr_timetext_print(now, text);
	cr_expect_str_eq(text, "2025-03-19T20:50:35.173Z");
	svr_timetext_print(INT64_MAX, text);
	cr_expect_str_eq(text, "9999-12-31T23:59:59.999Z");
	svr_timetext_print(-1, text);
	cr_expect_str_eq(text, "1970-01-01T00:00:00.000Z");
}

/* ---- documentation --------------------------------------------------------------------------- */

Test(alarms, docs_list_every_alarm)
{
	static const char *const alarms[] = {
		SVR_ALARM_PEER_PATH,	       SVR_ALARM_PEER_REACH,
		SVR_ALARM_PEER_AUTHENTICATION, SVR_ALARM_PEER_KEY_TIMEOUT,
		SVR_ALARM_JOURNAL,	       SVR_ALARM_SESSION_TABLE,
		SVR_ALARM_FLOW_TABLE,	       SVR_ALARM_NONCES,
		SVR_ALARM_PORTS,
	};
	static char docs[64 * 1024];
	char row[128];
	FILE *f = fopen("docs/alarms.md", "r");
	size_t n;

	cr_assert_not_null(f, "run it in the top directory");
	n = fread(docs, 1, sizeof(docs) - 1, f);
	fclose(f);
	docs[n] = '\0';
	for (size_t i = 0; i < sizeof(alarms) / sizeof(alarms[0]); i++) {
		snprintf(row, sizeof(row), "\n| `%s` |", alarms[i]);
		cr_expect_not_null(strstr(docs, row), "docs/alarms.md does not list %s", alarms[i]);
	}
}

/* ---- thresholds ------------------------------------------------------------------------------ */

/* Bug I95-65534: the alarm has to be there at 100 %, not only between 90 and 100. */
Test(level, thresholds)
{
	static const struct {
		uint64_t used, size;
		bool from_low, from_high;
	} rows[] = {
		{ 0, 1000, false, false },
		{ 799, 1000, false, false },
		{ 800, 1000, false, true },
		{ 900, 1000, false, true },
		{ 901, 1000, true, true },
		{ 1000, 1000, true, true },
		{ 1001, 1000, true, true },
		{ 1, 1, true, true },
		{ 0, 0, false, false },
		{ 5, 0, false, false },
		{ UINT64_MAX, UINT64_MAX, true, true },
		{ UINT64_MAX / 2, UINT64_MAX, false, false },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		cr_expect_eq(svr_level_high(false, rows[i].used, rows[i].size), rows[i].from_low, "row %zu", i);
		cr_expect_eq(svr_level_high(true, rows[i].used, rows[i].size), rows[i].from_high, "row %zu", i);
	}
}
