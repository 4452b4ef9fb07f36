// SPDX-License-Identifier: BSD-2-Clause
/*
 * `svr show certificate`: what is in the PKI directory, and what the key manager thinks of the one in
 * use; `... crl`: revocation lists as the key manager has them; `svr show stats security`.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <json-c/json.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <svr/limits.h>

#include "lib/pki.h"
#include "lib/pki_file.h"
#include "sys/pkidir.h"

#include "cli.h"
#include "pki.h"
#include "process.h"

static const char *const what_words[] = { "detail", "crl", NULL };

enum { SHOW_WHAT, SHOW_DIR };
const struct svr_arg svr_show_certificate_args[] = {
	[SHOW_WHAT] = { NULL, "WHAT", what_words, false, false,
			"detail: everything in them; crl: revocation lists" },
	[SHOW_DIR] = SVR_PKI_DIR_ARG,
	{},
};

enum {
	SHOW_NAMES_MAX = 256,
	SHOW_PATH = SVR_PKI_DIR_LEN + SVR_NAME_LEN + 16,
	SHOW_PEM_MAX = 256 * 1024, /* bytes of a file */
};

/* Name of the files NAME.key, NAME.csr, NAME.pem; which of them are there. */
struct entry {
	char name[SVR_NAME_LEN];
	bool key, csr, pem;
};

struct listing {
	struct svr_cli *cli;
	const char *dir;
	bool detail;
	bool asked; /* the key manager */
	struct json_object *own; /* its answer; NULL: it was not asked, or does not run */
	struct entry list[SHOW_NAMES_MAX];
	unsigned int n;
};

/* ---- what is there --------------------------------------------------------------------------- */

static struct entry *entry_of(struct listing *l, const char *name, size_t len)
{
	for (unsigned int i = 0; i < l->n; i++)
		if (strlen(l->list[i].name) == len && !memcmp(l->list[i].name, name, len))
			return &l->list[i];
	if (l->n == SHOW_NAMES_MAX || len >= SVR_NAME_LEN)
		return NULL;
	l->list[l->n] = (struct entry){ .key = false };
	memcpy(l->list[l->n].name, name, len);
	return &l->list[l->n++];
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct entry *)a)->name, ((const struct entry *)b)->name);
}

static int list_directory(struct listing *l)
{
	DIR *d = opendir(l->dir);
	struct entry *x;
	struct dirent *e;

	if (!d)
		return errno == ENOENT ? 0 :
					 svr_cli_error(l->cli, -errno, "%s: %s", l->dir,
						       strerror(errno));
	while ((e = readdir(d))) {
		size_t len = strlen(e->d_name);
		const char *suffix = len > 4 ? e->d_name + len - 4 : "";

		if (e->d_name[0] == '.' ||
		    (strcmp(suffix, ".key") && strcmp(suffix, ".csr") && strcmp(suffix, ".pem")))
			continue;
		x = entry_of(l, e->d_name, len - 4);
		if (!x)
			continue;
		x->key = x->key || !strcmp(suffix, ".key");
		x->csr = x->csr || !strcmp(suffix, ".csr");
		x->pem = x->pem || !strcmp(suffix, ".pem");
	}
	closedir(d);
	qsort(l->list, l->n, sizeof(l->list[0]), by_name);
	return 0;
}

/* ---- one certificate ------------------------------------------------------------------------- */

static const char *member(struct json_object *o, const char *key)
{
	struct json_object *v;

	return o && json_object_object_get_ex(o, key, &v) ? json_object_get_string(v) : NULL;
}

static bool in_use(const struct listing *l, const struct entry *e)
{
	const char *name = member(l->own, "name");

	return name && e->key && e->pem && strcmp(name, e->name) == 0;
}

static const char *date_status(const struct svr_pki_cert_info *info)
{
	int64_t now = time(NULL);

	if (info->not_before > now)
		return "not-yet-valid";
	switch (svr_pki_expiry(info->not_after, now)) {
	case SVR_PKI_EXPIRY_NONE:
		return "valid";
	case SVR_PKI_EXPIRY_MONTH:
		return "expires within a month";
	case SVR_PKI_EXPIRY_WEEK:
		return "expires within a week";
	case SVR_PKI_EXPIRY_EXPIRED:
		break;
	}
	return "expired";
}

static void print_date(struct svr_out *o, const char *key, const char *title, int64_t sec)
{
	char text[40];

	svr_pki_date_text(sec, text, sizeof(text));
	svr_out_str(o, key, title, text);
}

static void print_fingerprint(struct svr_out *o, const char *title,
			      const uint8_t *fingerprint)
{
	char text[3 * SVR_PKI_FINGERPRINT_LEN];

	svr_pki_fingerprint_text(fingerprint, text);
	svr_out_fmt(o, "fingerprint", title, "sha256:%s", text);
}

/* As `openssl x509 -text` prints it. */
static void print_openssl(struct svr_out *o, X509 *cert)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *text = NULL, *line, *copy;
	long n = bio && X509_print(bio, cert) == 1 ? BIO_get_mem_data(bio, &text) : 0;

	copy = n > 0 ? strndup(text, (size_t)n) : NULL;
	if (copy) {
		svr_out_str(o, "text", NULL, copy);
		for (line = strtok(copy, "\n"); line; line = strtok(NULL, "\n"))
			svr_out_note(o, "    %s", line);
	}
	free(copy);
	BIO_free(bio);
}

static void print_detail(struct svr_out *o, const struct svr_pki_cert_info *info, X509 *cert)
{
	svr_out_str(o, "subject", "Subject", info->subject);
	svr_out_str(o, "serial", "Serial Number", info->serial);
	print_date(o, "not_before", "Not Before", info->not_before);
	svr_out_str(o, "public_key", "Public Key", info->key);
	svr_out_str(o, "signature", "Signature", info->signature);
	svr_out_str(o, "purpose", "Purpose", info->purpose);
	svr_out_str(o, "names", "Alternative Names", info->names);
	svr_out_inline_begin(o, "crl_urls", "CRL URLs");
	for (unsigned int i = 0; i < info->n_crl_urls; i++)
		svr_out_str(o, NULL, NULL, info->crl_urls[i]);
	svr_out_list_end(o);
	print_fingerprint(o, "Fingerprint", info->fingerprint);
	print_openssl(o, cert);
}

/* The first certificate of a file. */
static X509 *read_first(const char *dir, const char *name, struct svr_pki_cert_info *info)
{
	char path[SHOW_PATH], reason[256], *text = NULL;
	unsigned char *der = NULL;
	X509 *cert = NULL;
	size_t len = 0;
	BIO *bio;
	int n;

	snprintf(path, sizeof(path), "%s/%s.pem", dir, name);
	if (svr_pki_file_read(path, SHOW_PEM_MAX, false, &text, &len, reason, sizeof(reason)))
		return NULL;
	bio = BIO_new_mem_buf(text, (int)len);
	cert = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
	n = cert ? i2d_X509(cert, &der) : 0;
	if (n <= 0 || svr_pki_cert_info(der, (size_t)n, info)) {
		X509_free(cert);
		cert = NULL;
	}
	OPENSSL_free(der);
	BIO_free(bio);
	ERR_clear_error();
	free(text);
	return cert;
}

static void print_entry(const struct listing *l, const struct entry *e)
{
	struct svr_pki_cert_info *info = calloc(1, sizeof(*info));
	X509 *cert = info && e->pem ? read_first(l->dir, e->name, info) : NULL;
	const char *verdict = in_use(l, e) ? member(l->own, "verdict") : NULL;
	struct svr_out *o = l->cli->out;

	svr_out_item_begin(o);
	svr_out_str(o, "name", "Name", e->name);
	svr_out_str(o, "private_key", "Private Key", e->key ? "present" : NULL);
	svr_out_str(o, "request", "Request", e->csr ? "present" : NULL);
	svr_out_str(o, "common_name", "Common Name", cert ? info->common_name : NULL);
	svr_out_str(o, "issuer", "Issuer",
		    !cert		? NULL :
		    info->self_signed	? "self-signed" :
					  info->issuer);
	if (cert)
		print_date(o, "not_after", "Not After", info->not_after);
	else
		svr_out_str(o, "not_after", "Not After", NULL);
	svr_out_str(o, "status", "Status",
		    verdict && strcmp(verdict, "ok") ? verdict :
		    cert			     ? date_status(info) :
		    e->pem			     ? "unreadable" :
						       "no certificate");
	svr_out_bool(o, "in_use", "In Use", in_use(l, e));
	if (cert && l->detail)
		print_detail(o, info, cert);
	else if (cert)
		print_fingerprint(o, NULL, info->fingerprint);
	svr_out_item_end(o);
	X509_free(cert);
	free(info);
}

/* ---- show certificate ------------------------------------------------------------------------ */

static void print_cas(const struct listing *l)
{
	struct svr_pkidir_ca ca[SVR_PKI_BUNDLES_MAX];
	int n = svr_pkidir_cas(l->dir, ca, SVR_PKI_BUNDLES_MAX);
	struct svr_out *o = l->cli->out;

	if (n > 0)
		svr_out_note(o, "\nTrusted CAs of this directory");
	svr_out_list_begin(o, "trusted_ca", SVR_OUT_TABLE, NULL);
	for (int i = 0; i < n; i++) {
		svr_out_item_begin(o);
		svr_out_str(o, "name", "Name", ca[i].name);
		svr_out_str(o, "validation_mode", "Validation Mode",
			    ca[i].strict ? "strict" : "warn");
		svr_out_item_end(o);
	}
	svr_out_list_end(o);
}

static void print_own(const struct listing *l)
{
	static const char *const keys[][2] = { { "name", "In Use" },
					       { "verdict", "Verdict" },
					       { "reason", "Reason" },
					       { "revocation", "Revocation" },
					       { "behavior", "Invalid Certificate Behavior" },
					       { "peering", "Peering" } };
	struct json_object *v;
	struct svr_out *o = l->cli->out;

	if (!l->own) {
		svr_out_note(
			o,
			l->asked ?
				"\nThe key manager does not run: what it uses is not known" :
				"\nThe key manager was not asked what it uses: SVR_PKI_DIR is set, "
				"and no router is named; see: --router");
		return;
	}
	svr_out_note(o, "%s", "");
	svr_out_record_begin(o, "key_manager", NULL);
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (json_object_object_get_ex(l->own, keys[i][0], &v) &&
		    (svr_out_is_json(o) || *json_object_get_string(v)))
			svr_out_json(o, keys[i][0], keys[i][1], v);
	svr_out_record_end(o);
}

/* What the key manager says; that it does not run is no mistake: certificates come first. */
static int ask_own(struct listing *l)
{
	const char *env = getenv("SVR_PKI_DIR"), *router;
	struct json_object *request;
	int err;

	if (!l->cli->router && env && *env)
		return 0;
	err = svr_cli_router(l->cli, &router);
	if (err)
		return err;
	l->asked = true;
	request = svr_process_request("show certificate");
	err = svr_process_ask(l->cli, router, "keymgr", request, &l->own);
	json_object_put(request);
	return err == -ECONNREFUSED ? 0 : err;
}

static int show_certificates(struct svr_cli *cli, const char *dir, bool detail)
{
	struct listing *l = calloc(1, sizeof(*l));
	struct svr_pki_work w = { .lock = -1 };
	int err;

	if (!l)
		return svr_cli_error(cli, -ENOMEM, "out of memory");
	l->cli = cli;
	l->detail = detail;
	err = svr_pki_open(cli, dir, &w);
	l->dir = w.dir;
	if (!err)
		err = list_directory(l);
	if (!err && !dir)
		err = ask_own(l);
	if (err)
		goto out;
	svr_out_record_begin(cli->out, NULL, NULL);
	svr_out_str(cli->out, "directory", NULL, w.dir);
	svr_out_list_begin(cli->out, "certificates", detail ? SVR_OUT_BLOCKS : SVR_OUT_TABLE,
			   "no certificate");
	for (unsigned int i = 0; i < l->n; i++)
		print_entry(l, &l->list[i]);
	svr_out_list_end(cli->out);
	print_cas(l);
	if (!dir)
		print_own(l);
	svr_out_record_end(cli->out);
out:
	json_object_put(l->own);
	svr_pki_close(&w);
	free(l);
	return err;
}

/* ---- show certificate crl -------------------------------------------------------------------- */

static int ask_list(struct svr_cli *cli, const char *command, struct json_object **answer)
{
	struct json_object *request;
	const char *router;
	int err;

	*answer = NULL;
	err = svr_cli_router(cli, &router);
	if (err)
		return err;
	request = svr_process_request(command);
	err = svr_process_ask(cli, router, "keymgr", request, answer);
	json_object_put(request);
	if (!err && !json_object_is_type(*answer, json_type_array))
		err = svr_cli_error(
			cli, -EPROTO,
			"svr-keymgr answered with something else than a list; are both of the same version?");
	return err;
}

static int show_crl(struct svr_cli *cli)
{
	static const char *const keys[][2] = { { "url", "URL" },
					       { "source", "Source" },
					       { "state", "State" },
					       { "issuer", "Issuer" },
					       { "crl_number", "CRL Number" },
					       { "scope", "Scope" },
					       { "last_updated", "Last Updated" },
					       { "next_update", "Next Update" },
					       { "total_entries", "Total Entries" },
					       { "size", "Size (bytes)" },
					       { "memory", "Memory (bytes)" },
					       { "last_fetch", "Last Fetch" },
					       { "last_success", "Last Success" },
					       { "next_fetch_s", "Next Fetch (s)" },
					       { "failures", "Failures" },
					       { "reason", "Reason" } };
	struct json_object *answer, *v;
	int err = ask_list(cli, "show certificate crl", &answer);

	if (err)
		goto out;
	svr_out_list_begin(cli->out, NULL, SVR_OUT_BLOCKS,
			   "no revocation list is configured or named by a certificate");
	for (size_t i = 0; i < json_object_array_length(answer); i++) {
		struct json_object *o = json_object_array_get_idx(answer, i);

		svr_out_item_begin(cli->out);
		for (size_t k = 0; k < sizeof(keys) / sizeof(keys[0]); k++)
			if (json_object_object_get_ex(o, keys[k][0], &v))
				svr_out_json(cli->out, keys[k][0], keys[k][1], v);
		svr_out_item_end(cli->out);
	}
	svr_out_list_end(cli->out);
out:
	json_object_put(answer);
	return err;
}

int svr_show_certificate_run(struct svr_cli *cli, const char *const *val)
{
	if (val[SHOW_WHAT] && !strcmp(val[SHOW_WHAT], "crl")) {
		if (val[SHOW_DIR])
			return svr_cli_usage(
				cli, "dir means nothing with crl: the key manager has the lists");
		return show_crl(cli);
	}
	return show_certificates(cli, val[SHOW_DIR], val[SHOW_WHAT] != NULL);
}

/* ---- show stats security --------------------------------------------------------------------- */

/* "CSR success" is how SSR writes it. Whole words, from the first one on. */
static bool metric_matches(const char *metric, const char *const *words, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		size_t len = strlen(words[i]);

		if (strncasecmp(metric, words[i], len) || (metric[len] != ' ' && metric[len]))
			return false;
		metric += len + (metric[len] == ' ');
	}
	return true;
}

int svr_show_security_stats(struct svr_cli *cli, const char *const *words, unsigned int n)
{
	struct json_object *answer, *v;
	unsigned int found = 0;
	int err = ask_list(cli, "show stats security", &answer);

	if (err)
		goto out;
	svr_out_list_begin(cli->out, NULL, SVR_OUT_TABLE, NULL);
	for (size_t i = 0; i < json_object_array_length(answer); i++) {
		struct json_object *o = json_object_array_get_idx(answer, i);

		if (!metric_matches(member(o, "metric") ?: "", words, n))
			continue;
		found++;
		svr_out_item_begin(cli->out);
		svr_out_str(cli->out, "metric", "Metric", member(o, "metric"));
		if (json_object_object_get_ex(o, "value", &v))
			svr_out_json(cli->out, "value", "Value", v);
		svr_out_str(cli->out, "text", "Meaning", member(o, "text"));
		svr_out_item_end(cli->out);
	}
	svr_out_list_end(cli->out);
	if (!found)
		err = svr_cli_usage(cli, "no security counter begins with \"%s\"; see: svr show stats security",
				    words[0]);
out:
	json_object_put(answer);
	return err;
}
