// SPDX-License-Identifier: BSD-2-Clause
/*
 * `svr certificate private-key create` and `svr certificate request create`: keys are made in place
 * and never leave; of a request, its text is what the authority gets.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "lib/config.h"
#include "lib/pki_csr.h"
#include "lib/pki_key.h"

#include "cli.h"
#include "pki.h"

static const char *const algorithm_words[] = { "RSA", "ECC", NULL };
static const char *const curve_words[] = { "SECP256R1", "SECP384R1", "SECP521R1", NULL };
static const char *const digest_words[] = { "sha256", "sha384", "sha512", NULL };

/* ---- private-key create ---------------------------------------------------------------------- */

enum { KEY_NAME, KEY_ALGORITHM, KEY_RSA_SIZE, KEY_CURVE, KEY_DIR };
const struct svr_arg svr_private_key_create_args[] = {
	[KEY_NAME] = { "name", "NAME", NULL, true, false, "of the file NAME.key, the same for request and certificate" },
	[KEY_ALGORITHM] = { "algorithm", "ALGORITHM", algorithm_words, true, false, "of the key" },
	[KEY_RSA_SIZE] = { "rsa-key-size", "BITS", NULL, false, false, "2048 to 4096 in steps of 256 (2048)" },
	[KEY_CURVE] = { "ecc-curve", "CURVE", curve_words, false, false, "with ECC (SECP256R1)" },
	[KEY_DIR] = SVR_PKI_DIR_ARG,
	{},
};

static struct json_object *key_detail(const char *const *val)
{
	struct json_object *o = json_object_new_object();

	svr_pki_detail(o, "name", val[KEY_NAME]);
	svr_pki_detail(o, "algorithm", val[KEY_ALGORITHM]);
	svr_pki_detail(o, "rsa_key_size", val[KEY_RSA_SIZE]);
	svr_pki_detail(o, "ecc_curve", val[KEY_CURVE]);
	return o;
}

int svr_private_key_create_run(struct svr_cli *cli, const char *const *val)
{
	char reason[SVR_CLI_ERROR_LEN] = "";
	struct svr_pki_key_spec spec;
	struct svr_pki_work w;
	int err;

	if (svr_pki_key_spec_parse(val[KEY_ALGORITHM], val[KEY_RSA_SIZE], val[KEY_CURVE], &spec,
				   reason, sizeof(reason)))
		return svr_cli_usage(cli, "svr certificate private-key create: %.900s", reason);
	err = svr_pki_open(cli, val[KEY_DIR], &w);
	if (!err)
		err = svr_pki_lock(&w);
	if (err)
		goto out;
	err = svr_pki_key_create(w.dir, val[KEY_NAME], &spec, reason, sizeof(reason));
	if (err) {
		svr_cli_error(cli, err, "no private key was made: %.900s", reason);
		goto out;
	}
	svr_pki_audit(&w, "system.create_private_key", true, key_detail(val));
	svr_out_record_begin(cli->out, NULL, NULL);
	svr_out_str(cli->out, "name", "Name", val[KEY_NAME]);
	svr_out_fmt(cli->out, "key", "Private Key", "%s/%s.key", w.dir, val[KEY_NAME]);
	svr_out_record_end(cli->out);
out:
	svr_pki_close(&w);
	return err;
}

/* ---- request create -------------------------------------------------------------------------- */

enum {
	CSR_NAME,
	CSR_COMMON_NAME,
	CSR_COUNTRY,
	CSR_STATE,
	CSR_LOCALITY,
	CSR_ORGANIZATION,
	CSR_UNIT,
	CSR_EMAIL,
	CSR_DAYS,
	CSR_DNS,
	CSR_IP,
	CSR_DIGEST,
	CSR_ALGORITHM,
	CSR_RSA_SIZE,
	CSR_CURVE,
	CSR_DIR,
};
const struct svr_arg svr_request_create_args[] = {
	[CSR_NAME] = { "name", "NAME", NULL, true, false, "of the private key; the request is NAME.csr" },
	[CSR_COMMON_NAME] = { "common-name", "CN", NULL, false, false,
			      "otherwise peering-common-name of the router" },
	[CSR_COUNTRY] = { "country-name", "CC", NULL, false, false, "two letters" },
	[CSR_STATE] = { "state-province-name", "TEXT", NULL, false, false, NULL },
	[CSR_LOCALITY] = { "locality-name", "TEXT", NULL, false, false, NULL },
	[CSR_ORGANIZATION] = { "organization-name", "TEXT", NULL, false, false, NULL },
	[CSR_UNIT] = { "organizational-unit-name", "TEXT", NULL, false, false, NULL },
	[CSR_EMAIL] = { "email-address", "ADDRESS", NULL, false, false, NULL },
	[CSR_DAYS] = { "validity-period", "DAYS", NULL, false, false,
		       "that it is wanted for; the authority decides" },
	[CSR_DNS] = { "dns", "NAMES", NULL, false, false, "alternative names, with commas between them" },
	[CSR_IP] = { "ip", "ADDRESSES", NULL, false, false, "addresses, with commas between them" },
	[CSR_DIGEST] = { "digest", "DIGEST", digest_words, false, false, "of the signature (sha384)" },
	[CSR_ALGORITHM] = { "algorithm", "ALGORITHM", algorithm_words, false, false,
			    "make the private key, too" },
	[CSR_RSA_SIZE] = { "rsa-key-size", "BITS", NULL, false, false, "2048 to 4096 in steps of 256 (2048)" },
	[CSR_CURVE] = { "ecc-curve", "CURVE", curve_words, false, false, "with ECC (SECP256R1)" },
	[CSR_DIR] = SVR_PKI_DIR_ARG,
	{},
};
_Static_assert((int)CSR_DIR < (int)SVR_CLI_ARGS, "room for all arguments");

/* Cuts @text at its commas. Number of parts, -1: too many. */
static int split(char *text, const char **out, unsigned int max)
{
	unsigned int n = 0;
	char *part;

	while (text && (part = strsep(&text, ","))) {
		if (n == max)
			return -1;
		out[n++] = part;
	}
	return (int)n;
}

static int read_number(struct svr_cli *cli, const char *word, const char *text, unsigned int max,
		       unsigned int *out)
{
	char *end;
	unsigned long n;

	*out = 0;
	if (!text)
		return 0;
	n = strtoul(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end || n < 1 || n > max)
		return svr_cli_usage(cli, "svr certificate request create: %s %.32s: must be a number from 1 to %u",
				     word, text, max);
	*out = (unsigned int)n;
	return 0;
}

static struct json_object *csr_detail(const char *name, const struct svr_pki_csr_spec *spec)
{
	struct json_object *o = json_object_new_object();

	svr_pki_detail(o, "name", name);
	svr_pki_detail(o, "common_name", spec->common_name);
	svr_pki_detail(o, "country_name", spec->country_name);
	svr_pki_detail(o, "state_province_name", spec->state_province_name);
	svr_pki_detail(o, "locality_name", spec->locality_name);
	svr_pki_detail(o, "organization_name", spec->organization_name);
	svr_pki_detail(o, "organizational_unit_name", spec->organizational_unit_name);
	svr_pki_detail(o, "email_address", spec->email_address);
	if (spec->validity_days)
		json_object_object_add(o, "validity_period_days",
				       json_object_new_int((int)spec->validity_days));
	return o;
}

static int csr_spec(struct svr_cli *cli, const char *const *val, char *dns, char *ip,
		    struct svr_pki_csr_spec *spec)
{
	int n_dns = split(dns, spec->dns, SVR_PKI_CSR_SANS_MAX),
	    n_ip = split(ip, spec->ip, SVR_PKI_CSR_SANS_MAX);

	if (n_dns < 0 || n_ip < 0)
		return svr_cli_usage(cli, "svr certificate request create: %s: at most %d are allowed",
				     n_dns < 0 ? "dns" : "ip", SVR_PKI_CSR_SANS_MAX);
	spec->n_dns = (unsigned int)n_dns;
	spec->n_ip = (unsigned int)n_ip;
	spec->common_name = val[CSR_COMMON_NAME];
	spec->country_name = val[CSR_COUNTRY];
	spec->state_province_name = val[CSR_STATE];
	spec->locality_name = val[CSR_LOCALITY];
	spec->organization_name = val[CSR_ORGANIZATION];
	spec->organizational_unit_name = val[CSR_UNIT];
	spec->email_address = val[CSR_EMAIL];
	spec->digest = val[CSR_DIGEST];
	return read_number(cli, "validity-period", val[CSR_DAYS], SVR_PKI_CSR_DAYS_MAX,
			   &spec->validity_days);
}

/* Without one on the command line, that of the configuration. */
static int find_common_name(struct svr_cli *cli, struct svr_pki_work *w,
			    struct svr_pki_csr_spec *spec)
{
	const char *router;
	int err;

	if (spec->common_name)
		return 0;
	err = svr_cli_router(cli, &router);
	if (!err)
		err = svr_view_load(cli, router, &w->view);
	if (!err)
		spec->common_name = w->view.router->router->peering_common_name;
	return err;
}

/* With an algorithm, the private key is made as well. */
static int make_key(struct svr_pki_work *w, const char *const *val, char *reason, size_t reason_len)
{
	const char *const key[] = { [KEY_NAME] = val[CSR_NAME],
				    [KEY_ALGORITHM] = val[CSR_ALGORITHM],
				    [KEY_RSA_SIZE] = val[CSR_RSA_SIZE],
				    [KEY_CURVE] = val[CSR_CURVE] };
	struct svr_pki_key_spec spec;
	int err;

	if (!val[CSR_ALGORITHM])
		return 0;
	err = svr_pki_key_spec_parse(val[CSR_ALGORITHM], val[CSR_RSA_SIZE], val[CSR_CURVE], &spec,
				     reason, reason_len);
	if (!err)
		err = svr_pki_key_create(w->dir, val[CSR_NAME], &spec, reason, reason_len);
	if (!err)
		svr_pki_audit(w, "system.create_private_key", true, key_detail(key));
	return err;
}

static int create_request(struct svr_cli *cli, const char *const *val, struct svr_pki_work *w,
			  struct svr_pki_csr_spec *spec)
{
	char reason[SVR_CLI_ERROR_LEN] = "", *pem = NULL, *line;
	int err;

	/* Before a key is made for it */
	err = svr_pki_csr_check(spec, reason, sizeof(reason));
	if (!err)
		err = make_key(w, val, reason, sizeof(reason));
	if (!err)
		err = svr_pki_csr_create(w->dir, val[CSR_NAME], spec, &pem, reason, sizeof(reason));
	svr_pki_audit(w, "system.generate_csr", !err, csr_detail(val[CSR_NAME], spec));
	if (err)
		return svr_cli_error(cli, err, "no request was made: %.900s", reason);
	svr_out_record_begin(cli->out, NULL, NULL);
	svr_out_str(cli->out, "name", NULL, val[CSR_NAME]);
	svr_out_str(cli->out, "common_name", NULL, spec->common_name);
	svr_out_fmt(cli->out, "file", NULL, "%s/%s.csr", w->dir, val[CSR_NAME]);
	svr_out_str(cli->out, "csr", NULL, pem);
	/* Text is the request alone, so that it can be handed on with a pipe */
	for (line = strtok(pem, "\n"); line; line = strtok(NULL, "\n"))
		svr_out_note(cli->out, "%s", line);
	svr_out_record_end(cli->out);
	free(pem);
	return 0;
}

int svr_request_create_run(struct svr_cli *cli, const char *const *val)
{
	struct svr_pki_csr_spec spec = { .common_name = NULL };
	char *dns = val[CSR_DNS] ? strdup(val[CSR_DNS]) : NULL,
	     *ip = val[CSR_IP] ? strdup(val[CSR_IP]) : NULL;
	struct svr_pki_work w = { .lock = -1 };
	int err;

	err = csr_spec(cli, val, dns, ip, &spec);
	if (!err && !val[CSR_ALGORITHM] && (val[CSR_RSA_SIZE] || val[CSR_CURVE]))
		err = svr_cli_usage(
			cli, "svr certificate request create: %s needs algorithm: it makes a private key",
			val[CSR_RSA_SIZE] ? "rsa-key-size" : "ecc-curve");
	if (!err)
		err = svr_pki_open(cli, val[CSR_DIR], &w);
	if (!err)
		err = find_common_name(cli, &w, &spec);
	if (!err)
		err = svr_pki_lock(&w);
	if (!err)
		err = create_request(cli, val, &w, &spec);
	svr_pki_close(&w);
	free(dns);
	free(ip);
	return err;
}
