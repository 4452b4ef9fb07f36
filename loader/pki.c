// SPDX-License-Identifier: BSD-2-Clause
/* The PKI directory for a command: found, locked, and what is trusted there. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <json-c/json.h>
#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include "lib/config.h"
#include "lib/pki.h"
#include "lib/pki_crl.h"
#include "lib/pki_file.h"
#include "sys/pkidir.h"

#include "pki.h"

enum {
	PKI_LOCK_SEC = 30, /* a key of 4096 bits takes some */
	PKI_EXTRA_MAX = 16, /* issuers of lists besides the CAs */
	PKI_PATH = SVR_PKI_DIR_LEN + 300,
};

int svr_pki_open(struct svr_cli *cli, const char *dir, struct svr_pki_work *w)
{
	const char *env = getenv("SVR_PKI_DIR"), *router = "";
	int err = 0;

	memset(w, 0, sizeof(*w));
	w->cli = cli;
	w->lock = -1;
	if (dir) {
		if (strlen(dir) >= sizeof(w->dir))
			return svr_cli_error(cli, -ENAMETOOLONG, "%.200s...: path is too long", dir);
		strcpy(w->dir, dir);
		return 0;
	}
	if (!env || !*env)
		err = svr_cli_router(cli, &router);
	if (err)
		return err;
	err = svr_pkidir(router, w->dir, sizeof(w->dir));
	return err ? svr_cli_error(cli, err, "PKI directory of router %s: %s", router,
				   strerror(-err)) :
		     0;
}

int svr_pki_lock(struct svr_pki_work *w)
{
	char reason[SVR_CLI_ERROR_LEN];

	w->lock = svr_pkidir_lock(w->dir, PKI_LOCK_SEC, reason, sizeof(reason));
	if (w->lock < 0)
		return svr_cli_error(w->cli, w->lock, "%.1000s", reason);
	svr_pkidir_sweep(w->dir); /* there may be half of a private key */
	return 0;
}

void svr_pki_close(struct svr_pki_work *w)
{
	svr_pki_trust_free(w->trust);
	svr_pki_crls_free(w->crls);
	svr_pki_anchors_free(w->anchors);
	svr_view_free(&w->view);
	if (w->lock >= 0)
		close(w->lock);
	w->lock = -1;
}

/* ---- trust ----------------------------------------------------------------------------------- */

static void on_issue(void *user, const char *bundle, const struct svr_pki_report *report)
{
	(void)user;
	svr_cli_warn("trusted-ca-certificate %s: %s", bundle, report->text);
}

/* Certificates out of PEM; what is none is not looked at. */
static unsigned int parse_pem(const char *text, size_t len, struct svr_pki_der *out,
			      unsigned int max)
{
	char *name = NULL, *header = NULL;
	unsigned char *data = NULL;
	unsigned int n = 0;
	BIO *bio = text ? BIO_new_mem_buf(text, (int)len) : NULL;
	long size;

	while (bio && n < max && PEM_read_bio(bio, &name, &header, &data, &size) == 1) {
		if (strcmp(name, PEM_STRING_X509) == 0)
			out[n++] = (struct svr_pki_der){ data, (size_t)size };
		else
			OPENSSL_clear_free(data, (size_t)size);
		OPENSSL_free(name);
		OPENSSL_free(header);
	}
	ERR_clear_error(); /* the end of a PEM file is an error to libcrypto */
	BIO_free(bio);
	return n;
}

static int load_list(struct svr_pki_work *w, const char *path, const struct svr_pki_der *issuers,
		     unsigned int n_issuers)
{
	struct svr_pki_crl *crl = NULL;
	struct svr_pki_report report;
	char *data = NULL, reason[256];
	size_t len = 0;
	int ret = svr_pki_file_read(path, SVR_PKI_CRL_BYTES_MAX, false, &data, &len, reason,
				    sizeof(reason));

	if (ret) {
		svr_cli_warn("%s", reason);
		return ret == -ENOMEM ? ret : 0;
	}
	ret = svr_pki_crl_ingest((const uint8_t *)data, len, w->anchors, issuers, n_issuers,
				 time(NULL), SVR_PKI_CRL_ALLOW_EXPIRED, &crl, &report);
	if (ret)
		svr_cli_warn("%s: %s", path, report.text);
	else
		ret = svr_pki_crls_put(w->crls, crl, &report);
	svr_pki_crl_free(crl);
	free(data);
	return ret == -ENOMEM ? ret : 0;
}

/* Those that the key manager has kept. */
static int load_lists(struct svr_pki_work *w, const struct svr_pki_der *issuers,
		      unsigned int n_issuers)
{
	char path[PKI_PATH];
	struct dirent *e;
	size_t len;
	DIR *d;
	int ret = 0;

	snprintf(path, sizeof(path), "%s/crl", w->dir);
	d = opendir(path);
	while (d && !ret && (e = readdir(d))) {
		len = strlen(e->d_name);
		if (len < 5 || strcmp(e->d_name + len - 4, ".crl") != 0)
			continue;
		snprintf(path, sizeof(path), "%s/crl/%s", w->dir, e->d_name);
		ret = load_list(w, path, issuers, n_issuers);
	}
	if (d)
		closedir(d);
	return ret;
}

static int make_trust(struct svr_pki_work *w)
{
	const struct svr_router_view *v = w->view.router;
	int ret = svr_pki_trust_new(&w->trust);

	if (ret)
		return ret;
	svr_pki_trust_allow_self_signed(w->trust,
					v->key_management->allow_self_signed_peering_certificates);
	svr_pki_trust_anchors(w->trust, w->anchors);
	svr_pki_trust_crls(w->trust, w->crls);
	if (v->router->has_fingerprint)
		svr_pki_trust_fingerprint(w->trust, v->router->fingerprint);
	return 0;
}

int svr_pki_load_trust(struct svr_pki_work *w, const char *extra, size_t extra_len)
{
	struct svr_pki_der issuer[PKI_EXTRA_MAX];
	unsigned int n = 0, i;
	const char *router;
	int ret;

	ret = svr_cli_router(w->cli, &router);
	if (!ret)
		ret = svr_view_load(w->cli, router, &w->view);
	if (ret)
		return ret;
	ret = svr_pkidir_anchors(w->dir, w->view.cfg, time(NULL), on_issue, NULL, &w->anchors);
	if (ret >= 0)
		ret = svr_pki_crls_new(&w->crls);
	if (!ret) {
		n = parse_pem(extra, extra_len, issuer, PKI_EXTRA_MAX);
		ret = load_lists(w, issuer, n);
	}
	if (!ret)
		ret = make_trust(w);
	for (i = 0; i < n; i++)
		OPENSSL_free((void *)issuer[i].data);
	return ret ? svr_cli_error(w->cli, ret, "%s: %s", w->dir, strerror(-ret)) : 0;
}

/* ---- notes for the key manager --------------------------------------------------------------- */

void svr_pki_detail(struct json_object *o, const char *key, const char *value)
{
	if (value)
		json_object_object_add(o, key, json_object_new_string(value));
}

void svr_pki_audit(const struct svr_pki_work *w, const char *type, bool success,
		   struct json_object *detail)
{
	struct json_object *note = json_object_new_object();
	char file[64], reason[256];
	struct timespec now;
	const char *text;

	clock_gettime(CLOCK_REALTIME, &now);
	json_object_object_add(detail, "success", json_object_new_boolean(success));
	json_object_object_add(note, "time", json_object_new_int64(now.tv_sec));
	json_object_object_add(note, "type", json_object_new_string(type));
	json_object_object_add(note, "detail", detail);
	text = json_object_to_json_string_ext(note, JSON_C_TO_STRING_PLAIN);
	/* Names sort by time; a process makes only one in a nanosecond. */
	snprintf(file, sizeof(file), "%020" PRIu64 "-%d",
		 (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec, (int)getpid());
	if (text && svr_pkidir_note(w->dir, file, text, strlen(text), reason, sizeof(reason)))
		svr_cli_warn("no audit event is made of it: %s", reason);
	json_object_put(note);
}

/* ---- input ----------------------------------------------------------------------------------- */

static int read_stdin(struct svr_cli *cli, size_t max, char **text, size_t *len)
{
	size_t got = 0;
	char *buf = malloc(max + 2);

	if (!buf)
		return svr_cli_error(cli, -ENOMEM, "out of memory");
	got = fread(buf, 1, max + 1, stdin);
	if (ferror(stdin) || got > max) {
		free(buf);
		return svr_cli_error(cli, got > max ? -EFBIG : -EIO,
				     got > max ? "standard input: more than %zu bytes" :
						 "standard input cannot be read (%zu bytes are allowed)",
				     max);
	}
	buf[got] = '\0';
	*text = buf;
	*len = got;
	return 0;
}

int svr_pki_read_input(struct svr_cli *cli, const char *file, size_t max, char **text, size_t *len)
{
	char reason[SVR_CLI_ERROR_LEN];
	int ret;

	if (strcmp(file, "-") == 0)
		return read_stdin(cli, max, text, len);
	ret = svr_pki_file_read(file, max, false, text, len, reason, sizeof(reason));
	return ret ? svr_cli_error(cli, ret, "%.1000s", reason) : 0;
}
