// SPDX-License-Identifier: BSD-2-Clause
/*
 * `svr certificate`: keys are made here and never leave the machine; only the fingerprint is shown.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <svr/limits.h>

#include "lib/pki.h"

#include "cli.h"
#include "pki.h"

/* As OpenSSL users write them; lib/pki.h has them without the hyphen. */
static const char *const algorithm_words[] = { "p-256",	   "p-384",    "p-521",	   "rsa-2048",
					       "rsa-2304", "rsa-2560", "rsa-2816", "rsa-3072",
					       "rsa-3328", "rsa-3584", "rsa-3840", "rsa-4096",
					       NULL };

enum { CERT_COMMON_NAME, CERT_DIR, CERT_NAME, CERT_ALGORITHM, CERT_DAYS, CERT_MAX_DAYS = 36500 };
const struct svr_arg svr_certificate_self_signed_args[] = {
	[CERT_COMMON_NAME] = { "common-name", "CN", NULL, true, false,
			       "peering-common-name of the router" },
	[CERT_DIR] = { "dir", "DIR", NULL, false, false,
		       "where NAME.key (mode 0600) and NAME.pem are made, instead of SVR_PKI_DIR" },
	[CERT_NAME] = { "name", "NAME", NULL, false, false,
			"of the files; otherwise --router, or what CN has before its first dot" },
	[CERT_ALGORITHM] = { "algorithm", "ALGORITHM", algorithm_words, false, false,
			     "of the key" },
	[CERT_DAYS] = { "days", "N", NULL, false, false, "how long it is valid" },
	{},
};

/* svr-keymgr looks for files with the name of its router. */
static const char *default_name(const struct svr_cli *cli, const char *common_name,
				char buf[static SVR_NAME_LEN])
{
	if (cli->router)
		return cli->router;
	snprintf(buf, SVR_NAME_LEN, "%.*s", (int)strcspn(common_name, "."), common_name);
	return buf;
}

static int read_days(struct svr_cli *cli, const char *text, int *days)
{
	char *end;
	long n;

	*days = 0;
	if (!text)
		return 0;
	errno = 0;
	n = strtol(text, &end, 10);
	if (errno || *end || n < 1 || n > CERT_MAX_DAYS)
		return svr_cli_usage(
			cli, "svr certificate self-signed: days %s: must be a number from 1 to %d",
			text, CERT_MAX_DAYS);
	*days = (int)n;
	return 0;
}

static void plain_word(const char *word, char *buf, size_t len)
{
	size_t n = 0;

	for (; *word && n + 1 < len; word++) {
		if (*word != '-')
			buf[n++] = *word;
	}
	buf[n] = 0;
}

static void print_made(struct svr_out *o, const char *dir, const char *name,
		       const char *common_name, const uint8_t *digest)
{
	char fingerprint[3 * SVR_PKI_FINGERPRINT_LEN];

	svr_pki_fingerprint_text(digest, fingerprint);
	svr_out_record_begin(o, NULL, NULL);
	svr_out_str(o, "common_name", "Common Name", common_name);
	svr_out_fmt(o, "key", "Private Key", "%s/%s.key", dir, name);
	svr_out_fmt(o, "certificate", "Certificate", "%s/%s.pem", dir, name);
	svr_out_fmt(o, "fingerprint", "Fingerprint", "sha256:%s", fingerprint);
	svr_out_record_end(o);
}

int svr_certificate_self_signed_run(struct svr_cli *cli, const char *const *val)
{
	char buf[SVR_NAME_LEN];
	const char *name = val[CERT_NAME] ? val[CERT_NAME] :
					    default_name(cli, val[CERT_COMMON_NAME], buf);
	uint8_t digest[SVR_PKI_FINGERPRINT_LEN];
	char reason[SVR_CLI_ERROR_LEN] = "", algorithm[16] = "";
	struct svr_pki_work w = { .lock = -1 };
	int days, err;

	err = read_days(cli, val[CERT_DAYS], &days);
	if (err)
		return err;
	if (val[CERT_ALGORITHM])
		plain_word(val[CERT_ALGORITHM], algorithm, sizeof(algorithm));
	err = svr_pki_open(cli, val[CERT_DIR], &w);
	if (!err)
		err = svr_pki_lock(&w);
	if (err)
		goto out;
	err = svr_pki_self_signed(w.dir, name, val[CERT_COMMON_NAME], algorithm, days, digest,
				  reason, sizeof(reason));
	if (err)
		svr_cli_error(cli, err, "no certificate was made: %.900s",
			      *reason ? reason : strerror(-err));
	else
		print_made(cli->out, w.dir, name, val[CERT_COMMON_NAME], digest);
out:
	svr_pki_close(&w);
	return err;
}
