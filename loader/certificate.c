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

/* As OpenSSL users write them; lib/pki.h has them without the hyphen. */
static const char *const algorithm_words[] = { "p-256",	   "p-384",    "p-521",	   "rsa-2048",
					       "rsa-2304", "rsa-2560", "rsa-2816", "rsa-3072",
					       "rsa-3328", "rsa-3584", "rsa-3840", "rsa-4096",
					       NULL };

enum { CERT_COMMON_NAME, CERT_DIR, CERT_NAME, CERT_ALGORITHM, CERT_DAYS, CERT_MAX_DAYS = 36500 };
const struct svr_arg svr_certificate_self_signed_args[] = {
	[CERT_COMMON_NAME] = { "common-name", "CN", NULL, true, false,
			       "peering-common-name of the router" },
	[CERT_DIR] = { "dir", "DIR", NULL, true, false,
		       "where NAME.key (mode 0600) and NAME.pem are made" },
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

int svr_certificate_self_signed_run(struct svr_cli *cli, const char *const *val)
{
	char buf[SVR_NAME_LEN];
	const char *name = val[CERT_NAME] ? val[CERT_NAME] :
					    default_name(cli, val[CERT_COMMON_NAME], buf);
	uint8_t digest[SVR_PKI_FINGERPRINT_LEN];
	char reason[SVR_CLI_ERROR_LEN] = "", algorithm[16] = "";
	char fingerprint[sizeof("sha256:") + 3 * SVR_PKI_FINGERPRINT_LEN];
	size_t have;
	int days, err;

	err = read_days(cli, val[CERT_DAYS], &days);
	if (err)
		return err;
	if (val[CERT_ALGORITHM])
		plain_word(val[CERT_ALGORITHM], algorithm, sizeof(algorithm));
	err = svr_pki_self_signed(val[CERT_DIR], name, val[CERT_COMMON_NAME], algorithm, days,
				  digest, reason, sizeof(reason));
	if (err)
		return svr_cli_error(cli, err, "no certificate was made: %.900s",
				     *reason ? reason : strerror(-err));
	have = (size_t)snprintf(fingerprint, sizeof(fingerprint), "sha256");
	for (unsigned int i = 0; i < sizeof(digest); i++)
		have += (size_t)snprintf(fingerprint + have, sizeof(fingerprint) - have, ":%02X",
					 digest[i]);
	svr_out_record_begin(cli->out, NULL, NULL);
	svr_out_str(cli->out, "common_name", "Common Name", val[CERT_COMMON_NAME]);
	svr_out_fmt(cli->out, "key", "Private Key", "%s/%s.key", val[CERT_DIR], name);
	svr_out_fmt(cli->out, "certificate", "Certificate", "%s/%s.pem", val[CERT_DIR], name);
	svr_out_str(cli->out, "fingerprint", "Fingerprint", fingerprint);
	svr_out_record_end(cli->out);
	return 0;
}
