// SPDX-License-Identifier: BSD-2-Clause
/*
 * `svr certificate import`, `svr certificate trusted-ca`, `svr certificate crl fetch`: what comes
 * from outside is checked before anything changes.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <json-c/json.h>

#include "lib/config.h"
#include "lib/pki.h"
#include "lib/pki_import.h"
#include "sys/pkidir.h"

#include "cli.h"
#include "pki.h"
#include "process.h"

/* ---- import ---------------------------------------------------------------------------------- */

enum { IMPORT_NAME, IMPORT_FILE, IMPORT_DIR };
const struct svr_arg svr_certificate_import_args[] = {
	[IMPORT_NAME] = { "name", "NAME", NULL, true, false,
			  "of the private key that it belongs to; it becomes NAME.pem" },
	[IMPORT_FILE] = { "file", "FILE", NULL, false, false,
			  "certificate in PEM, its issuers after it; otherwise standard input" },
	[IMPORT_DIR] = SVR_PKI_DIR_ARG,
	{},
};

static struct json_object *import_detail(const char *name, const struct svr_pki_cert_info *info,
					 const struct svr_pki_report *report)
{
	struct json_object *o = json_object_new_object(), *urls = json_object_new_array();
	char fingerprint[3 * SVR_PKI_FINGERPRINT_LEN];
	unsigned int i;

	svr_pki_detail(o, "name", name);
	if (info->subject[0]) {
		svr_pki_detail(o, "purpose", info->purpose);
		svr_pki_detail(o, "common_name", info->common_name);
		svr_pki_detail(o, "certificate_authority", info->self_signed ? "N/A" : info->issuer);
		svr_pki_fingerprint_text(info->fingerprint, fingerprint);
		svr_pki_detail(o, "fingerprint", fingerprint);
		for (i = 0; i < info->n_crl_urls; i++)
			json_object_array_add(urls, json_object_new_string(info->crl_urls[i]));
	}
	json_object_object_add(o, "crl_urls", urls);
	if (report->verdict != SVR_PKI_OK) {
		svr_pki_detail(o, "verdict", svr_pki_verdict_name(report->verdict));
		svr_pki_detail(o, "reason", report->text);
	}
	return o;
}

static void print_imported(struct svr_out *o, const char *dir, const char *name,
			   const struct svr_pki_cert_info *info)
{
	char text[3 * SVR_PKI_FINGERPRINT_LEN];

	svr_out_record_begin(o, NULL, NULL);
	svr_out_str(o, "name", "Name", name);
	svr_out_fmt(o, "certificate", "Certificate", "%s/%s.pem", dir, name);
	svr_out_str(o, "common_name", "Common Name", info->common_name);
	svr_out_str(o, "issuer", "Issuer", info->issuer);
	svr_pki_date_text(info->not_after, text, sizeof(text));
	svr_out_str(o, "not_after", "Not After", text);
	svr_pki_fingerprint_text(info->fingerprint, text);
	svr_out_fmt(o, "fingerprint", "Fingerprint", "sha256:%s", text);
	svr_out_record_end(o);
}

int svr_certificate_import_run(struct svr_cli *cli, const char *const *val)
{
	struct svr_pki_cert_info *info = calloc(1, sizeof(*info));
	struct svr_pki_report report = { .verdict = SVR_PKI_OK };
	struct svr_pki_work w = { .lock = -1 };
	char *text = NULL;
	size_t len = 0;
	int err;

	if (!info)
		return svr_cli_error(cli, -ENOMEM, "out of memory");
	err = svr_pki_open(cli, val[IMPORT_DIR], &w);
	if (!err)
		err = svr_pki_read_input(cli, val[IMPORT_FILE] ? val[IMPORT_FILE] : "-",
					 SVR_PKI_IMPORT_BYTES_MAX, &text, &len);
	if (!err)
		err = svr_pki_lock(&w);
	if (!err)
		err = svr_pki_load_trust(&w, text, len);
	if (err)
		goto out;
	err = svr_pki_import(w.dir, val[IMPORT_NAME], w.view.router->router->peering_common_name,
			     text, len, w.trust, time(NULL), info, &report);
	svr_pki_audit(&w, "system.ingest_certificate", !err,
		      import_detail(val[IMPORT_NAME], info, &report));
	if (err)
		svr_cli_error(cli, err, "certificate is refused: %s - %s",
			      svr_pki_verdict_name(report.verdict), report.text);
	else
		print_imported(cli->out, w.dir, val[IMPORT_NAME], info);
out:
	svr_pki_close(&w);
	if (text)
		explicit_bzero(text, len); /* somebody may have handed over a private key, too */
	free(text);
	free(info);
	return err;
}

/* ---- trusted-ca ------------------------------------------------------------------------------ */

static const char *const mode_words[] = { "warn", "strict", NULL };

enum { CA_NAME, CA_FILE, CA_MODE, CA_DIR };
const struct svr_arg svr_trusted_ca_add_args[] = {
	[CA_NAME] = { "name", "NAME", NULL, true, false, "of the bundle" },
	[CA_FILE] = { "file", "FILE", NULL, false, false,
		      "certificates in PEM, up to the root; otherwise standard input" },
	[CA_MODE] = { "validation-mode", "MODE", mode_words, false, false,
		      "warn: take it in spite of issues (strict)" },
	[CA_DIR] = SVR_PKI_DIR_ARG,
	{},
};

enum { CA_REMOVE_NAME, CA_REMOVE_DIR };
const struct svr_arg svr_trusted_ca_remove_args[] = {
	[CA_REMOVE_NAME] = { "name", "NAME", NULL, true, false, "of the bundle" },
	[CA_REMOVE_DIR] = SVR_PKI_DIR_ARG,
	{},
};

struct issues {
	struct svr_cli *cli;
	bool strict;
	struct json_object *list;
};

static void on_issue(void *user, const struct svr_pki_report *report)
{
	struct issues *i = user;
	char line[SVR_PKI_REPORT_LEN + 64];

	snprintf(line, sizeof(line), "%s: %s", svr_pki_verdict_name(report->verdict), report->text);
	json_object_array_add(i->list, json_object_new_string(line));
	if (i->strict)
		svr_cli_details(i->cli, line);
	else
		svr_cli_warn("%s", line);
}

static struct json_object *ca_detail(const char *name, bool strict, int count,
				     struct json_object *issues)
{
	struct json_object *o = json_object_new_object();

	svr_pki_detail(o, "name", name);
	svr_pki_detail(o, "validation_mode", strict ? "strict" : "warn");
	if (count > 0)
		json_object_object_add(o, "certificates", json_object_new_int(count));
	json_object_object_add(o, "issues", json_object_get(issues));
	return o;
}

static int add_bundle(struct svr_pki_work *w, const char *name, bool strict, const char *text,
		      size_t len)
{
	struct issues issues = { .cli = w->cli, .strict = strict, .list = json_object_new_array() };
	struct svr_pki_anchors *a = NULL;
	char reason[SVR_CLI_ERROR_LEN];
	int err, count = 0;

	err = svr_pki_anchors_new(&a);
	if (!err)
		count = svr_pki_anchors_add(a, name, text, len, strict, time(NULL), on_issue,
					    &issues);
	if (count < 0)
		err = svr_cli_error(w->cli, count,
				    "trusted CA %.63s is refused%s", name,
				    strict && count == -EKEYREJECTED ?
					    "; validation-mode warn would take what is left of it" :
					    "");
	else if (!err)
		err = svr_pkidir_ca_add(w->dir, name, strict, text, len, reason, sizeof(reason)) ?
			      svr_cli_error(w->cli, -EEXIST, "%.1000s", reason) :
			      0;
	svr_pki_audit(w, "system.add_trusted_ca", !err, ca_detail(name, strict, count, issues.list));
	if (!err) {
		svr_out_record_begin(w->cli->out, NULL, NULL);
		svr_out_str(w->cli->out, "name", "Name", name);
		svr_out_u64(w->cli->out, "certificates", "Certificates", (uint64_t)count);
		svr_out_str(w->cli->out, "validation_mode", "Validation Mode",
			    strict ? "strict" : "warn");
		svr_out_record_end(w->cli->out);
	}
	svr_pki_anchors_free(a);
	json_object_put(issues.list);
	return err;
}

int svr_trusted_ca_add_run(struct svr_cli *cli, const char *const *val)
{
	bool strict = !val[CA_MODE] || strcmp(val[CA_MODE], "strict") == 0;
	struct svr_pki_work w = { .lock = -1 };
	char *text = NULL;
	size_t len = 0;
	int err;

	err = svr_pki_open(cli, val[CA_DIR], &w);
	if (!err)
		err = svr_pki_read_input(cli, val[CA_FILE] ? val[CA_FILE] : "-",
					 SVR_PKI_BUNDLE_BYTES_MAX, &text, &len);
	if (!err)
		err = svr_pki_lock(&w);
	if (!err)
		err = add_bundle(&w, val[CA_NAME], strict, text, len);
	svr_pki_close(&w);
	free(text);
	return err;
}

int svr_trusted_ca_remove_run(struct svr_cli *cli, const char *const *val)
{
	struct svr_pki_work w = { .lock = -1 };
	char reason[SVR_CLI_ERROR_LEN];
	struct json_object *detail;
	int err;

	err = svr_pki_open(cli, val[CA_REMOVE_DIR], &w);
	if (!err)
		err = svr_pki_lock(&w);
	if (err)
		goto out;
	err = svr_pkidir_ca_remove(w.dir, val[CA_REMOVE_NAME], reason, sizeof(reason));
	if (err) {
		svr_cli_error(cli, err, "%.1000s", reason);
		goto out;
	}
	detail = json_object_new_object();
	svr_pki_detail(detail, "name", val[CA_REMOVE_NAME]);
	svr_pki_audit(&w, "system.remove_trusted_ca", true, detail);
	svr_out_record_begin(cli->out, NULL, NULL);
	svr_out_str(cli->out, "removed", "Removed", val[CA_REMOVE_NAME]);
	svr_out_record_end(cli->out);
out:
	svr_pki_close(&w);
	return err;
}

/* ---- crl fetch ------------------------------------------------------------------------------- */

enum { FETCH_URL, FETCH_WAIT_SEC = 330, FETCH_POLL_MS = 100 };
const struct svr_arg svr_crl_fetch_args[] = {
	[FETCH_URL] = { "url", "URL", NULL, false, false, "only this list" },
	{},
};

static const char *text_of(struct json_object *o, const char *key)
{
	struct json_object *v;

	return json_object_object_get_ex(o, key, &v) ? json_object_get_string(v) : "";
}

/* Lists that are still under way. */
static unsigned int busy(struct json_object *list, const char *url)
{
	unsigned int n = 0;

	for (size_t i = 0; i < json_object_array_length(list); i++) {
		struct json_object *o = json_object_array_get_idx(list, i);

		if (!url || strcmp(text_of(o, "url"), url) == 0)
			n += strcmp(text_of(o, "state"), "idle") != 0;
	}
	return n;
}

static int print_fetched(struct svr_cli *cli, struct json_object *list, const char *url)
{
	static const char *const keys[][2] = { { "url", "URL" },
					       { "issuer", "Issuer" },
					       { "crl_number", "Number" },
					       { "next_update", "Next Update" },
					       { "total_entries", "Entries" },
					       { "reason", "Failure" } };
	struct json_object *v;
	int result = 0;

	svr_out_list_begin(cli->out, NULL, SVR_OUT_TABLE, "no revocation list is configured or named by a certificate");
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		struct json_object *o = json_object_array_get_idx(list, i);

		if (url && strcmp(text_of(o, "url"), url) != 0)
			continue;
		if (*text_of(o, "reason"))
			result = SVR_EXIT_FAILED;
		svr_out_item_begin(cli->out);
		for (size_t k = 0; k < sizeof(keys) / sizeof(keys[0]); k++)
			if (json_object_object_get_ex(o, keys[k][0], &v))
				svr_out_json(cli->out, keys[k][0], keys[k][1], v);
		svr_out_item_end(cli->out);
	}
	svr_out_list_end(cli->out);
	return result;
}

static int ask(struct svr_cli *cli, const char *router, const char *command, const char *url,
	       struct json_object **answer)
{
	struct json_object *request = svr_process_request(command);
	int err;

	if (request && url)
		svr_pki_detail(request, "url", url);
	err = svr_process_ask(cli, router, "keymgr", request, answer);
	json_object_put(request);
	return err;
}

int svr_crl_fetch_run(struct svr_cli *cli, const char *const *val)
{
	const struct timespec pause = { .tv_nsec = FETCH_POLL_MS * 1000000L };
	unsigned int tries = FETCH_WAIT_SEC * 1000 / FETCH_POLL_MS;
	struct json_object *answer = NULL;
	const char *router;
	int err;

	err = svr_cli_router(cli, &router);
	if (!err)
		err = ask(cli, router, "crl fetch", val[FETCH_URL], &answer);
	while (!err) {
		json_object_put(answer);
		answer = NULL;
		err = ask(cli, router, "show certificate crl", NULL, &answer);
		if (err || !json_object_is_type(answer, json_type_array) ||
		    !busy(answer, val[FETCH_URL]) || !tries--)
			break;
		nanosleep(&pause, NULL);
	}
	if (!err && !json_object_is_type(answer, json_type_array))
		err = svr_cli_error(cli, -EPROTO,
				    "svr-keymgr answered with something else than a list; are both of the same version?");
	if (!err)
		err = print_fetched(cli, answer, val[FETCH_URL]);
	json_object_put(answer);
	return err;
}
