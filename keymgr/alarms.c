// SPDX-License-Identifier: BSD-2-Clause
/* The router's alarms and events. */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "alarms.h"
#include "journal.h"
#include "keymgr.h"
#include "lib/alarms.h"
#include "sys/log.h"

struct km_alarms {
	struct svr_alarmlog *log;
	struct km_journal *journal; /* NULL: it is being read back */
};

static int64_t now_ms(void)
{
	return (int64_t)(km_now().real_ns / SVR_NS_PER_MS);
}

int km_alarm_raise(struct km_alarms *a, enum svr_alarm_severity severity, const char *category,
		   const char *source, const char *process, const char *fmt, ...)
{
	char message[SVR_ALARM_MESSAGE_LEN];
	const struct svr_alarm_text what = { .severity = severity,
					     .category = category,
					     .source = source,
					     .process = process,
					     .message = message };
	va_list args;
	int ret;

	va_start(args, fmt);
	vsnprintf(message, sizeof(message), fmt, args);
	va_end(args);
	ret = svr_alarmlog_raise(a->log, now_ms(), &what, NULL);
	if (ret < 0)
		pr_err("alarm about %s (%s) is lost: %s: %s", source, category, strerror(-ret),
		       message);
	else if (ret > 0)
		pr_info("alarm (%s, %s): %s", svr_alarm_severity_name(severity), category, message);
	return ret < 0 ? ret : 0;
}

int km_alarm_clear(struct km_alarms *a, const char *category, const char *source,
		   const char *process)
{
	int ret = svr_alarmlog_clear(a->log, now_ms(), category, source, process);

	if (!ret)
		pr_info("alarm cleared: %s of %s", category, source);
	else if (ret != -ENOENT)
		pr_err("alarm %s of %s cannot be cleared: %s", category, source, strerror(-ret));
	return ret;
}

/* One line for people: SSR's words, with the member of the detail that says what it was about. */
static const struct {
	const char *type, *words, *member;
} audit_words[] = {
	{ "system.create_private_key", "Created private key", "name" },
	{ "system.generate_csr", "Generated CSR for", "name" },
	{ "system.ingest_certificate", "Ingested certificate", "name" },
	{ "system.add_trusted_ca", "Added trusted CA", "name" },
	{ "system.remove_trusted_ca", "Removed trusted CA", "name" },
	{ "system.crl_update", "Updated CRL for issuer", "certificate_authority" },
	{ "system.metadata_key_regenerate", "Made metadata key", "index" },
	{ "system.peer_key_rekey", "Asked for another peer key with", "peer" },
	{ "system.journal_damaged", "Records of alarms and events were lost", "lost_records" },
};

static void audit_describe(const char *type, struct json_object *detail, char *out, size_t len)
{
	const char *words = type, *about = NULL, *end = "";
	struct json_object *value;

	for (size_t i = 0; i < sizeof(audit_words) / sizeof(audit_words[0]); i++) {
		if (strcmp(type, audit_words[i].type) != 0)
			continue;
		words = audit_words[i].words;
		if (json_object_object_get_ex(detail, audit_words[i].member, &value))
			about = json_object_get_string(value);
	}
	if (json_object_object_get_ex(detail, "success", &value) && !json_object_get_boolean(value))
		end = " (failed)";
	snprintf(out, len, "%s%s%s%s", words, about ? ": " : "", about ? about : "", end);
}

int km_event_audit(struct km_alarms *a, const char *type, struct json_object *detail)
{
	char description[SVR_ALARM_MESSAGE_LEN];
	int ret;

	audit_describe(type, detail, description, sizeof(description));
	ret = svr_alarmlog_audit(a->log, now_ms(), type, description, detail);
	if (ret)
		pr_err("audit event %s is lost: %s", type, strerror(-ret));
	else
		pr_info("audit: %s", description);
	return ret;
}

const struct svr_alarmlog *km_alarms_log(const struct km_alarms *a)
{
	return a->log;
}

struct km_journal *km_alarms_journal(const struct km_alarms *a)
{
	return a->journal;
}

/* ---- the journal ---------------------------------------------------------------------------- */

static void record(void *user, const char *json, size_t len)
{
	struct km_alarms *a = user;

	if (a->journal)
		km_journal_record(a->journal, json, len);
}

static void journal_state(void *user, int error)
{
	struct km_alarms *a = user;

	if (error)
		km_alarm_raise(a, SVR_ALARM_MAJOR, SVR_ALARM_JOURNAL, "alarms.journal", KM_PROCESS,
			       "Alarms and events are in memory only: %s", strerror(-error));
	else
		km_alarm_clear(a, SVR_ALARM_JOURNAL, "alarms.journal", KM_PROCESS);
}

static const struct km_journal_ops journal_ops = { .state = journal_state };

int km_alarms_new(struct event_base *base, const char *router, struct km_alarms **out)
{
	struct km_alarms *a = calloc(1, sizeof(*a));
	struct json_object *detail;
	size_t lost = 0;
	int ret = -ENOMEM;

	*out = NULL;
	if (!a)
		return ret;
	ret = svr_alarmlog_new(record, a, &a->log);
	if (!ret)
		ret = km_journal_open(base, router, a->log, &journal_ops, a, &lost, &a->journal);
	if (ret) {
		km_alarms_free(a);
		return ret;
	}
	*out = a;
	/* It says how the disk was for the process before; ours will see for itself. */
	km_alarm_clear(a, SVR_ALARM_JOURNAL, "alarms.journal", KM_PROCESS);
	if (lost) {
		detail = json_object_new_object();
		json_object_object_add(detail, "lost_records", json_object_new_uint64(lost));
		km_event_audit(a, "system.journal_damaged", detail);
		json_object_put(detail);
	}
	return 0;
}

void km_alarms_free(struct km_alarms *a)
{
	if (!a)
		return;
	km_journal_close(a->journal);
	svr_alarmlog_free(a->log);
	free(a);
}
