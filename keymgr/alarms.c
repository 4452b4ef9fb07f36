// SPDX-License-Identifier: BSD-2-Clause
/* The router's alarms and events. */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "alarms.h"
#include "keymgr.h"
#include "sys/log.h"

struct km_alarms {
	struct keymgr *km;
	struct svr_alarmlog *log;
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
	{ "system.generate_csr", "Generated CSR for", "name" },
	{ "system.ingest_certificate", "Ingested certificate", "name" },
	{ "system.crl_update", "Updated CRL for issuer", "certificate_authority" },
};

static void audit_describe(const char *type, struct json_object *detail, char *out, size_t len)
{
	struct json_object *value;

	snprintf(out, len, "%s", type);
	for (size_t i = 0; i < sizeof(audit_words) / sizeof(audit_words[0]); i++) {
		if (strcmp(type, audit_words[i].type) != 0)
			continue;
		snprintf(out, len, "%s", audit_words[i].words);
		if (json_object_object_get_ex(detail, audit_words[i].member, &value))
			snprintf(out, len, "%s: %s", audit_words[i].words,
				 json_object_get_string(value));
	}
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

int km_alarms_new(struct keymgr *km, struct km_alarms **out)
{
	struct km_alarms *a = calloc(1, sizeof(*a));
	int ret = -ENOMEM;

	*out = NULL;
	if (!a)
		return ret;
	a->km = km;
	ret = svr_alarmlog_new(NULL, NULL, &a->log);
	if (ret) {
		free(a);
		return ret;
	}
	*out = a;
	return 0;
}

void km_alarms_free(struct km_alarms *a)
{
	if (!a)
		return;
	svr_alarmlog_free(a->log);
	free(a);
}
