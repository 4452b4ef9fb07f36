// SPDX-License-Identifier: BSD-2-Clause
/*
 * Commands of the control socket about certificates:
 *
 *	show certificate	the own one: name, verdict, reason, revocation, behavior, peering
 *	show certificate crl	revocation lists, one object each
 *	show stats security	counters
 *	crl fetch		{"url": URL}: fetch that list now, or all of them
 *
 * and the notes that `svr certificate` leaves: they are counted, and become audit events.
 */
#include <string.h>
#include <time.h>

#include <json-c/json.h>

#include "certs.h"
#include "sys/ctl.h"
#include "sys/log.h"
#include "sys/pkidir.h"

enum { NOTES_LATE_SEC = 60, NOTES_TIME_LEN = 32 };

static void add_str(struct json_object *o, const char *key, const char *value)
{
	json_object_object_add(o, key, json_object_new_string(value));
}

static const char *revocation_name(enum svr_pki_revocation_state state)
{
	switch (state) {
	case SVR_PKI_REVOCATION_UNKNOWN:
		return "unknown: no list of its issuer";
	case SVR_PKI_REVOCATION_STALE:
		return "not revoked by a list that has expired";
	case SVR_PKI_REVOCATION_GOOD:
		return "not revoked";
	case SVR_PKI_REVOCATION_REVOKED:
		break;
	}
	return "revoked";
}

static struct json_object *show_own(const struct keymgr *km)
{
	const struct km_certs *c = km->certs;
	struct json_object *o = json_object_new_object();

	add_str(o, "directory", c->dir);
	add_str(o, "name", km->identity ? c->name : "");
	add_str(o, "verdict", svr_pki_verdict_name(c->own.verdict));
	add_str(o, "reason", c->own.text[0] ? c->own.text : c->missing);
	add_str(o, "revocation", km->identity ? revocation_name(c->own_revocation) : "");
	add_str(o, "behavior", km_fail_hard(km) ? "fail-hard" : "fail-soft");
	add_str(o, "peering", c->barred[0] ? "ended" : "allowed");
	return o;
}

static struct json_object *fetch(struct keymgr *km, struct json_object *request)
{
	struct json_object *url, *o;
	const char *text = NULL;
	unsigned int n;

	if (json_object_object_get_ex(request, "url", &url)) {
		if (!json_object_is_type(url, json_type_string))
			return svr_ctl_error("\"url\" must be a string");
		text = json_object_get_string(url);
	}
	n = km_crl_fetch(km->certs->crl, text);
	if (text && !n)
		return svr_ctl_error("no revocation list comes from %.200s; see: svr show certificate crl",
				     text);
	o = json_object_new_object();
	json_object_object_add(o, "lists", json_object_new_uint64(n));
	return o;
}

/* ---- of the peers ---------------------------------------------------------------------------- */

static void add_date(struct json_object *o, const char *key, int64_t sec)
{
	char text[NOTES_TIME_LEN];

	svr_pki_date_text(sec, text, sizeof(text));
	add_str(o, key, text);
}

/* What stands in a certificate, and what is thought of it; @info NULL: there is none. */
static struct json_object *show_cert(const struct svr_pki_cert_info *info,
				     const struct svr_pki_report *report,
				     enum svr_pki_revocation_state revocation)
{
	char fingerprint[3 * SVR_PKI_FINGERPRINT_LEN];
	struct json_object *o = json_object_new_object();

	add_str(o, "verdict", svr_pki_verdict_name(report->verdict));
	add_str(o, "reason", report->text);
	if (!info)
		return o;
	add_str(o, "subject", info->subject);
	add_str(o, "issuer", info->issuer);
	add_str(o, "serial", info->serial);
	add_str(o, "names", info->names);
	add_date(o, "not_before", info->not_before);
	add_date(o, "not_after", info->not_after);
	add_str(o, "key", info->key);
	add_str(o, "signature", info->signature);
	svr_pki_fingerprint_text(info->fingerprint, fingerprint);
	add_str(o, "fingerprint", fingerprint);
	add_str(o, "revocation", revocation_name(revocation));
	return o;
}

void km_certs_show_peer(const struct km_peer *peer, struct json_object *o)
{
	const struct km_certs *c = peer->km->certs;
	const struct km_peer_cert *p = peer->cert;

	if (svr_peering_is_static(peer->peering) || !c || !p) {
		add_str(o, "local_cert", "unavailable"); /* static keys: there are no certificates */
		add_str(o, "peer_cert", "unavailable");
		return;
	}
	if (peer->km->identity)
		json_object_object_add(o, "local_cert",
				       show_cert(svr_pki_identity_info(peer->km->identity), &c->own,
						 c->own_revocation));
	else
		add_str(o, "local_cert", "unavailable");
	if (p->shown)
		json_object_object_add(o, "peer_cert",
				       show_cert(svr_pki_peer_info(p->shown), &p->report,
						 svr_pki_peer_revocation(p->shown)));
	else if (peer->peering->kex.certificate.verdict) /* one that was refused */
		json_object_object_add(o, "peer_cert",
				       show_cert(NULL, &peer->peering->kex.certificate,
						 SVR_PKI_REVOCATION_UNKNOWN));
	else
		add_str(o, "peer_cert", "unavailable");
}

/* ---- commands -------------------------------------------------------------------------------- */

static struct json_object *result_of(struct json_object *result)
{
	struct json_object *answer = json_object_new_object();

	json_object_object_add(answer, "result", result);
	return answer;
}

struct json_object *km_certs_request(struct keymgr *km, const char *command,
				     struct json_object *request)
{
	struct json_object *result, *error;

	if (strcmp(command, "show certificate") == 0)
		return result_of(show_own(km));
	if (strcmp(command, "show certificate crl") == 0)
		return result_of(km_crl_show(km->certs->crl));
	if (strcmp(command, "show stats security") == 0)
		return result_of(km_counters_show(km));
	if (strcmp(command, "crl fetch") != 0)
		return NULL;
	result = fetch(km, request);
	return json_object_object_get_ex(result, "error", &error) ? result : result_of(result);
}

/* ---- notes ----------------------------------------------------------------------------------- */

static void count(struct keymgr *km, const char *type, bool success)
{
	if (strcmp(type, "system.generate_csr") == 0)
		km_counter_add(km, success ? KM_COUNT_CSR_SUCCESS : KM_COUNT_CSR_FAILURE);
	else if (strcmp(type, "system.ingest_certificate") == 0)
		km_counter_add(km, success ? KM_COUNT_IMPORT_SUCCESS : KM_COUNT_IMPORT_FAILURE);
}

/* An event that is told late says when it was. */
static void add_time(struct json_object *detail, int64_t sec)
{
	char text[NOTES_TIME_LEN];
	time_t when = (time_t)sec;
	struct tm tm;

	if (km_now_sec() - sec < NOTES_LATE_SEC || !gmtime_r(&when, &tm))
		return;
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	add_str(detail, "time", text);
}

static void take_note(void *user, const char *text)
{
	struct json_object *note = json_tokener_parse(text), *time_of, *type, *detail, *success;
	struct keymgr *km = user;

	if (!json_object_object_get_ex(note, "time", &time_of) ||
	    !json_object_object_get_ex(note, "type", &type) ||
	    !json_object_object_get_ex(note, "detail", &detail) ||
	    !json_object_is_type(detail, json_type_object) ||
	    !json_object_object_get_ex(detail, "success", &success)) {
		pr_warn("a note of a command cannot be read and is forgotten");
		json_object_put(note);
		return;
	}
	count(km, json_object_get_string(type), json_object_get_boolean(success));
	add_time(detail, json_object_get_int64(time_of));
	km_event_audit(km->alarms, json_object_get_string(type), detail);
	json_object_put(note);
}

void km_certs_notes(struct km_certs *c)
{
	int ret;

	if (c->notes_failed)
		return;
	ret = svr_pkidir_notes(c->dir, take_note, c->km);
	if (ret < 0) {
		pr_err("%s/notes: %s: commands are no longer counted, and make no events", c->dir,
		       strerror(-ret));
		c->notes_failed = true;
	}
}
