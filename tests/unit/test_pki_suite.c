// SPDX-License-Identifier: BSD-2-Clause
/*
 * The negative suite: tests/pki/make_suite.py makes certificates, bundles and revocation lists,
 * nearly all of them wrong, and says which verdict each has to end in.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/pem.h>

#include "lib/pki.h"
#include "lib/pki_crl.h"
#include "lib/pki_file.h"
#include "lib/pki_import.h"

#define COMMON_NAME "west.example"

enum { ROW_FIELDS = 5, FILE_MAX = 4 * 1024 * 1024, ROWS_MIN = 60, VERDICTS_MAX = 128 };

struct row {
	const char *check, *verdict, *file, *options, *sentence;
};

static char dir[64];
static char *suite; /* the text that rows point into */
static int64_t made_sec;
static bool seen[VERDICTS_MAX];

static char *read_file(const char *name, size_t *len)
{
	char path[512], err[256], *data;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	cr_assert_eq(svr_pki_file_read(path, FILE_MAX, false, &data, len, err, sizeof(err)), 0,
		     "%s", err);
	return data;
}

static void make_suite(void)
{
	char command[256];
	size_t len;

	strcpy(dir, "/tmp/svr-suite-XXXXXX");
	cr_assert(mkdtemp(dir));
	snprintf(command, sizeof(command), "python3 tests/pki/make_suite.py %s", dir);
	cr_assert_eq(system(command), 0, "needs python3-cryptography");
	suite = read_file("suite.txt", &len);
}

static void remove_suite(void)
{
	char command[128];

	free(suite);
	snprintf(command, sizeof(command), "rm -rf '%s'", dir);
	cr_assert_eq(system(command), 0);
}

TestSuite(pki_suite, .init = make_suite, .fini = remove_suite, .timeout = 120);

/* ---- options: words "key", "key=value" ------------------------------------------------------- */

/* The @nth value of @key, NULL if there is none. For one call at a time. */
static const char *option(const struct row *row, const char *key, unsigned int nth)
{
	static char value[256];
	size_t len = strlen(key), n;
	const char *p = row->options;

	for (; *p; p += n + (p[n] == ' ')) {
		n = strcspn(p, " ");
		if (n < len || strncmp(p, key, len) != 0 || (n > len && p[len] != '='))
			continue;
		if (nth--)
			continue;
		snprintf(value, sizeof(value), "%.*s", n > len ? (int)(n - len - 1) : 0,
			 p + len + 1);
		return value;
	}
	return NULL;
}

static int64_t now_of(const struct row *row)
{
	const char *at = option(row, "at", 0);

	return at ? atoll(at) : made_sec;
}

static void add_bundles(struct svr_pki_anchors *a, const struct row *row, const char *key,
			bool strict)
{
	const char *name;
	unsigned int i;
	size_t len;
	char *text;

	for (i = 0; (name = option(row, key, i)); i++) {
		char bundle[64];

		snprintf(bundle, sizeof(bundle), "%.60s", name);
		text = read_file(name, &len);
		cr_assert_gt(svr_pki_anchors_add(a, bundle, text, len, strict, made_sec, NULL,
						 NULL),
			     0, "%s", bundle);
		free(text);
	}
}

static struct svr_pki_anchors *anchors_of(const struct row *row)
{
	struct svr_pki_anchors *a;

	cr_assert_eq(svr_pki_anchors_new(&a), 0);
	add_bundles(a, row, "trust", true);
	add_bundles(a, row, "warn", false);
	return a;
}

/* Certificates of a PEM file as they are sent, for free(). */
static unsigned int chain_of(const char *name, struct svr_pki_der *out, unsigned int room)
{
	unsigned int count = 0;
	unsigned char *der;
	char *label, *header;
	size_t len;
	char *text = read_file(name, &len);
	BIO *bio = BIO_new_mem_buf(text, (int)len);
	long der_len;

	while (count < room && PEM_read_bio(bio, &label, &header, &der, &der_len) == 1) {
		out[count].data = der;
		out[count++].len = (size_t)der_len;
		OPENSSL_free(label);
		OPENSSL_free(header);
	}
	BIO_free(bio);
	free(text);
	return count;
}

static void chain_free(struct svr_pki_der *chain, unsigned int count)
{
	while (count)
		OPENSSL_free((void *)chain[--count].data);
}

static struct svr_pki_crl *ingest(const char *name, struct svr_pki_anchors *anchors, int64_t now)
{
	struct svr_pki_report r;
	struct svr_pki_crl *crl;
	size_t len;
	char *data = read_file(name, &len);

	cr_assert_eq(svr_pki_crl_ingest((uint8_t *)data, len, anchors, NULL, 0, now, 0, &crl, &r),
		     0, "%s: %s", name, r.text);
	free(data);
	return crl;
}

static struct svr_pki_crls *crls_of(const struct row *row, const char *key,
				    struct svr_pki_anchors *anchors)
{
	struct svr_pki_report r;
	struct svr_pki_crls *set;
	struct svr_pki_crl *crl;
	const char *name;
	unsigned int i;

	cr_assert_eq(svr_pki_crls_new(&set), 0);
	for (i = 0; (name = option(row, key, i)); i++) {
		crl = ingest(name, anchors, made_sec);
		cr_assert_eq(svr_pki_crls_put(set, crl, &r), 1, "%s", r.text);
		svr_pki_crl_free(crl);
	}
	return set;
}

/* ---- checks: return value and report --------------------------------------------------------- */

static void pin(struct svr_pki_trust *trust, const struct row *row, const struct svr_pki_der *leaf)
{
	uint8_t fingerprint[SVR_PKI_FINGERPRINT_LEN];

	EVP_Q_digest(NULL, "SHA2-256", NULL, leaf->data, leaf->len, fingerprint, NULL);
	if (option(row, "otherpin", 0))
		fingerprint[31] ^= 1;
	if (option(row, "pin", 0) || option(row, "otherpin", 0))
		svr_pki_trust_fingerprint(trust, fingerprint);
}

static struct svr_pki_trust *trust_of(const struct row *row)
{
	struct svr_pki_anchors *anchors = anchors_of(row);
	struct svr_pki_crls *crls = crls_of(row, "crl", anchors);
	struct svr_pki_trust *trust;

	cr_assert_eq(svr_pki_trust_new(&trust), 0);
	svr_pki_trust_anchors(trust, anchors);
	svr_pki_trust_crls(trust, crls);
	svr_pki_trust_fail_soft(trust, option(row, "soft", 0) != NULL);
	svr_pki_trust_allow_self_signed(trust, option(row, "noself", 0) == NULL);
	svr_pki_anchors_free(anchors);
	svr_pki_crls_free(crls);
	return trust;
}

static void set_own(struct svr_pki_trust *trust)
{
	struct svr_pki_identity *id;
	char path[128], err[256];

	snprintf(path, sizeof(path), "%s/own.key", dir);
	chmod(path, 0600);
	cr_assert_eq(svr_pki_identity_load(dir, "own", &id, err, sizeof(err)), 0, "%s", err);
	svr_pki_trust_own(trust, id, made_sec);
	svr_pki_identity_free(id);
}

static int check_peer(const struct row *row, struct svr_pki_report *r)
{
	struct svr_pki_der chain[16];
	unsigned int count = chain_of(row->file, chain, 16);
	struct svr_pki_trust *trust = trust_of(row);
	uint8_t own[SVR_PKI_FINGERPRINT_LEN];
	struct svr_pki_peer *peer;
	struct svr_pki_report again;
	int ret;

	EVP_Q_digest(NULL, "SHA2-256", NULL, chain[0].data, chain[0].len, own, NULL);
	pin(trust, row, &chain[0]);
	if (option(row, "mine", 0))
		set_own(trust);
	ret = svr_pki_verify(trust, chain, count, COMMON_NAME, option(row, "own", 0) ? own : NULL,
			     now_of(row), &peer, r);
	cr_expect_eq(ret == 0, peer != NULL, "%s", row->sentence);
	if (peer) { /* a second look at the kept chain says the same */
		cr_expect_eq(svr_pki_recheck(trust, peer, now_of(row), &again), 0);
		cr_expect_eq(again.verdict, r->verdict, "%s: %s", row->sentence, again.text);
		cr_expect_arr_eq(svr_pki_peer_fingerprint(peer), own, sizeof(own));
	}
	svr_pki_peer_free(peer);
	svr_pki_trust_free(trust);
	chain_free(chain, count);
	return ret;
}

static int check_import(const struct row *row, struct svr_pki_report *r)
{
	const char *key = option(row, "nokey", 0) ? "nobody" : "name";
	struct svr_pki_trust *trust = trust_of(row);
	struct svr_pki_cert_info info;
	char path[128];
	size_t len;
	char *text = read_file(row->file, &len);
	int ret;

	snprintf(path, sizeof(path), "%s/name.key", dir);
	chmod(path, 0600);
	if (option(row, "again", 0))
		cr_expect_eq(svr_pki_import(dir, key, COMMON_NAME, text, len, trust, made_sec, NULL,
					    r),
			     0);
	ret = svr_pki_import(dir, key, COMMON_NAME, text, len, trust, made_sec, &info, r);
	free(text);
	snprintf(path, sizeof(path), "%s/%s.pem", dir, key);
	cr_expect_eq(access(path, F_OK) == 0, ret == 0 || option(row, "again", 0), "%s",
		     row->sentence);
	unlink(path);
	svr_pki_trust_free(trust);
	return ret;
}

struct issues {
	unsigned int count;
	struct svr_pki_report first;
};

static void take_issue(void *user, const struct svr_pki_report *report)
{
	struct issues *issues = user;

	if (!issues->count++)
		issues->first = *report;
}

static int check_bundle(const struct row *row, struct svr_pki_report *r)
{
	bool strict = option(row, "strict", 0);
	struct issues issues = { 0 };
	struct svr_pki_anchors *a;
	const char *expected;
	size_t len;
	char *text = read_file(row->file, &len);
	int ret;

	cr_assert_eq(svr_pki_anchors_new(&a), 0);
	ret = svr_pki_anchors_add(a, "bundle", text, len, strict, made_sec, take_issue, &issues);
	free(text);
	cr_expect_eq(svr_pki_anchors_count(a), ret > 0 ? (unsigned int)ret : 0);
	expected = option(row, "issues", 0);
	cr_expect_eq(issues.count, expected ? (unsigned int)atoi(expected) : ret < 0, "%s: %u: %s",
		     row->sentence, issues.count, issues.first.text);
	expected = option(row, "takes", 0);
	cr_expect(!expected || ret == atoi(expected), "%s: %d", row->sentence, ret);
	svr_pki_anchors_free(a);
	*r = issues.first;
	if (ret > 0)
		*r = (struct svr_pki_report){ SVR_PKI_OK, "" };
	return ret > 0 ? 0 : ret;
}

static int check_crl(const struct row *row, struct svr_pki_report *r)
{
	struct svr_pki_anchors *anchors = anchors_of(row);
	struct svr_pki_crls *set = crls_of(row, "before", anchors);
	uint64_t generation = svr_pki_crls_generation(set);
	unsigned int flags = option(row, "disk", 0) ? SVR_PKI_CRL_ALLOW_EXPIRED : 0, n_issuers = 0;
	struct svr_pki_der issuers[4];
	struct svr_pki_report put;
	struct svr_pki_crl *crl;
	size_t len;
	char *data = read_file(row->file, &len);
	int ret;

	if (option(row, "issuer", 0))
		n_issuers = chain_of(option(row, "issuer", 0), issuers, 4);
	ret = svr_pki_crl_ingest((uint8_t *)data, len, anchors, issuers, n_issuers, made_sec, flags,
				 &crl, r);
	cr_expect_eq(ret == 0, crl != NULL);
	if (!ret && svr_pki_crls_put(set, crl, &put) != 1) {
		*r = put;
		ret = -EKEYREJECTED;
	}
	cr_expect_eq(svr_pki_crls_generation(set) != generation, ret == 0, "%s", row->sentence);
	free(data);
	svr_pki_crl_free(crl);
	svr_pki_crls_free(set);
	svr_pki_anchors_free(anchors);
	chain_free(issuers, n_issuers);
	return ret;
}

/* ---- the table ------------------------------------------------------------------------------- */

/* Accepted with a verdict: under fail-soft, and for a list on our own disk. */
static bool is_accepted(const struct row *row)
{
	if (strcmp(row->verdict, "ok") == 0)
		return true;
	if (option(row, "refused", 0) || strcmp(row->check, "import") == 0)
		return false;
	return option(row, "soft", 0) || option(row, "disk", 0);
}

static void check_row(const struct row *row)
{
	static const struct {
		const char *check;
		int (*run)(const struct row *row, struct svr_pki_report *r);
	} checks[] = { { "peer", check_peer },
		       { "import", check_import },
		       { "bundle", check_bundle },
		       { "crl", check_crl } };
	struct svr_pki_report r = { 0 };
	size_t i;
	int ret;

	for (i = 0; strcmp(checks[i].check, row->check) != 0; i++)
		cr_assert_lt(i, sizeof(checks) / sizeof(checks[0]) - 1, "%s", row->check);
	ret = checks[i].run(row, &r);
	cr_expect_str_eq(svr_pki_verdict_name(r.verdict), row->verdict, "%s %s: %s (%d): is %s: %s",
			 row->check, row->file, row->sentence, ret, svr_pki_verdict_name(r.verdict),
			 r.text);
	cr_expect_eq(ret == 0, is_accepted(row), "%s %s: %s: %d", row->check, row->file,
		     row->sentence, ret);
	cr_expect_eq(r.text[0] == 0, r.verdict == SVR_PKI_OK, "%s", row->sentence);
	if ((int)r.verdict < VERDICTS_MAX)
		seen[r.verdict] = true;
}

/* Next line of the suite; false at its end. */
static bool next_row(char **at, struct row *row)
{
	const char **field[ROW_FIELDS] = { &row->check, &row->verdict, &row->file, &row->options,
					   &row->sentence };
	char *line = strsep(at, "\n");
	int i;

	if (!line || !line[0])
		return false;
	for (i = 0; i < ROW_FIELDS; i++) {
		*field[i] = strsep(&line, "\t");
		cr_assert(*field[i], "field %d", i);
	}
	if (strcmp(row->options, "-") == 0)
		row->options = "";
	return true;
}

Test(pki_suite, every_case_ends_in_its_verdict)
{
	/* what only a library that fails, or a policy of one, can bring about */
	static const enum svr_pki_verdict unreached[] = { SVR_PKI_CHAIN, SVR_PKI_CRL_TOO_LARGE,
							  SVR_PKI_INTERNAL };
	static const enum svr_pki_verdict all[] = {
#define X(id, number, name, class, sentence) number,
		SVR_PKI_VERDICTS(X)
#undef X
	};
	unsigned int count = 0, wrong = 0;
	struct row row;
	char *at = suite;
	size_t i, k;

	made_sec = atoll(strsep(&at, "\n"));
	while (next_row(&at, &row)) {
		check_row(&row);
		count++;
		wrong += strcmp(row.verdict, "ok") != 0;
	}
	cr_expect_geq(wrong, ROWS_MIN);
	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		for (k = 0; k < sizeof(unreached) / sizeof(unreached[0]); k++)
			if (unreached[k] == all[i])
				seen[all[i]] = true;
		cr_expect(seen[all[i]], "no case ends in %s", svr_pki_verdict_name(all[i]));
	}
}
