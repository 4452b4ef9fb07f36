// SPDX-License-Identifier: BSD-2-Clause
/* Private keys, requests and files of the PKI directory; dates. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/pki_cert.h"
#include "lib/pki_csr.h"
#include "lib/pki_file.h"
#include "lib/pki_key.h"
#include "tests/certs.h"

static char dir[64], err[256];

static void make_dir(void)
{
	strcpy(dir, "/tmp/svr-files-XXXXXX");
	cr_assert(mkdtemp(dir));
}

static void remove_dir(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf '%s'", dir);
	cr_assert_eq(system(command), 0);
}

static const char *in_dir(const char *name)
{
	static char path[160];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static unsigned int files_in_dir(void)
{
	unsigned int count = 0;
	struct dirent *e;
	DIR *d = opendir(dir);

	while ((e = readdir(d)))
		count += e->d_name[0] != '.' || e->d_name[1] == 's';
	closedir(d);
	return count;
}

TestSuite(pki_files, .init = make_dir, .fini = remove_dir);

/* ---- keys ------------------------------------------------------------------------------------ */

Test(pki_files, key_sizes_and_curves_are_those_of_ssr)
{
	static const struct {
		const char *algorithm, *bits, *curve;
		unsigned int rsa;
		const char *name;
	} good[] = {
		{ "RSA", NULL, NULL, 2048, NULL },	  { "RSA", "2048", NULL, 2048, NULL },
		{ "rsa", "2304", NULL, 2304, NULL },	  { "RSA", "4096", NULL, 4096, NULL },
		{ "ECC", NULL, NULL, 0, "P-256" },	  { "ECC", NULL, "SECP256R1", 0, "P-256" },
		{ "ecc", NULL, "secp384r1", 0, "P-384" }, { "ECC", NULL, "SECP521R1", 0, "P-521" },
		{ "ECC", NULL, "SECP256R", 0, "P-256" },
	};
	static const struct {
		const char *algorithm, *bits, *curve, *word;
	} bad[] = {
		{ "DSA", NULL, NULL, "RSA and ECC" },	   { "", NULL, NULL, "RSA and ECC" },
		{ "RSA", "1024", NULL, "steps of 256" },   { "RSA", "2049", NULL, "steps of 256" },
		{ "RSA", "4352", NULL, "steps of 256" },   { "RSA", "2048 ", NULL, "steps of 256" },
		{ "RSA", "", NULL, "steps of 256" },	   { "RSA", "-2048", NULL, "steps of 256" },
		{ "RSA", NULL, "SECP256R1", "ECC only" },  { "ECC", "2048", NULL, "RSA only" },
		{ "ECC", NULL, "SECP256K1", "SECP384R1" },
	};
	struct svr_pki_key_spec spec;
	size_t i;

	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		cr_expect_eq(svr_pki_key_spec_parse(good[i].algorithm, good[i].bits, good[i].curve,
						    &spec, err, sizeof(err)),
			     0, "row %zu: %s", i, err);
		cr_expect_eq(spec.rsa_bits, good[i].rsa, "row %zu", i);
		cr_expect(good[i].name ? strcmp(spec.curve, good[i].name) == 0 : !spec.curve,
			  "row %zu", i);
	}
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		cr_expect_eq(svr_pki_key_spec_parse(bad[i].algorithm, bad[i].bits, bad[i].curve,
						    &spec, err, sizeof(err)),
			     -EINVAL, "row %zu", i);
		cr_expect(strstr(err, bad[i].word), "row %zu: %s", i, err);
	}
}

static void make_key(const char *name, const char *algorithm, const char *bits, const char *curve)
{
	struct svr_pki_key_spec spec;

	cr_assert_eq(svr_pki_key_spec_parse(algorithm, bits, curve, &spec, err, sizeof(err)), 0);
	cr_assert_eq(svr_pki_key_create(dir, name, &spec, err, sizeof(err)), 0, "%s", err);
}

Test(pki_files, a_key_is_0600_whatever_the_umask_and_never_replaced)
{
	struct svr_pki_key_spec spec = { .curve = "P-256" };
	char *before, *after;
	struct stat st;
	size_t len;

	umask(0);
	make_key("west", "ECC", NULL, NULL);
	cr_assert_eq(stat(in_dir("west.key"), &st), 0);
	cr_expect_eq(st.st_mode & 07777, 0600);
	cr_assert_eq(svr_pki_file_read(in_dir("west.key"), 9999, true, &before, &len, err,
				       sizeof(err)),
		     0);
	cr_expect_eq(svr_pki_key_create(dir, "west", &spec, err, sizeof(err)), -EEXIST);
	cr_expect(strstr(err, "never replaced"), "%s", err);
	cr_assert_eq(svr_pki_file_read(in_dir("west.key"), 9999, true, &after, &len, err,
				       sizeof(err)),
		     0);
	cr_expect_str_eq(before, after);
	cr_expect_eq(files_in_dir(), 1);
	free(before);
	free(after);
}

Test(pki_files, names_of_keys)
{
	static const char *const bad[] = { "",
					   ".",
					   "..",
					   "a/b",
					   "../a",
					   ".hidden",
					   "a b",
					   "a\nb",
					   "\xc3\xa4",
					   "a;b",
					   "0123456789012345678901234567890123456789012345678901234"
					   "567890123" };
	struct svr_pki_key_spec spec = { .curve = "P-256" };
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		cr_expect_eq(svr_pki_key_create(dir, bad[i], &spec, err, sizeof(err)), -EINVAL,
			     "%s", bad[i]);
		cr_expect(strstr(err, "allowed are"), "%s", err);
	}
	cr_expect_eq(files_in_dir(), 0);
}

Test(pki_files, a_key_of_another_user_or_open_to_others_is_refused)
{
	char *data;
	size_t len;

	make_key("west", "ECC", NULL, NULL);
	cr_assert_eq(chmod(in_dir("west.key"), 0640), 0);
	cr_expect_eq(svr_pki_file_read(in_dir("west.key"), 9999, true, &data, &len, err,
				       sizeof(err)),
		     -EPERM);
	cr_expect(strstr(err, "chmod 0600"), "%s", err);
	cr_expect_null(data);
	if (geteuid() != 0)
		cr_skip("only root can give files away");
	cr_assert_eq(chmod(in_dir("west.key"), 0600), 0);
	cr_assert_eq(chown(in_dir("west.key"), 65534, 65534), 0);
	cr_expect_eq(svr_pki_file_read(in_dir("west.key"), 9999, true, &data, &len, err,
				       sizeof(err)),
		     -EPERM);
	cr_expect(strstr(err, "another user") || strstr(err, "chown"), "%s", err);
}

/* ---- files ----------------------------------------------------------------------------------- */

Test(pki_files, what_is_no_file_is_refused)
{
	char *data;
	size_t len;

	cr_expect_eq(svr_pki_file_read(in_dir("x"), 10, false, &data, &len, err, sizeof(err)),
		     -ENOENT);
	cr_expect_eq(svr_pki_file_read(dir, 10, false, &data, &len, err, sizeof(err)), -EINVAL);
	cr_assert_eq(mkfifo(in_dir("fifo"), 0600), 0);
	cr_expect_eq(svr_pki_file_read(in_dir("fifo"), 10, false, &data, &len, err, sizeof(err)),
		     -EINVAL, "and nobody waits for a writer");
	cr_assert_eq(svr_pki_file_write(dir, "big", 0644, false, "0123456789a", 11, err,
					sizeof(err)),
		     0);
	cr_expect_eq(svr_pki_file_read(in_dir("big"), 10, false, &data, &len, err, sizeof(err)),
		     -EFBIG);
	cr_expect_eq(svr_pki_file_read(in_dir("big"), 11, false, &data, &len, err, sizeof(err)), 0);
	cr_expect_str_eq(data, "0123456789a");
	free(data);
}

Test(pki_files, write_replaces_or_refuses_as_told)
{
	char *data;
	size_t len;

	cr_expect_eq(svr_pki_file_write(dir, "f", 0644, false, "one", 3, err, sizeof(err)), 0);
	cr_expect_eq(svr_pki_file_write(dir, "f", 0644, false, "two", 3, err, sizeof(err)),
		     -EEXIST);
	cr_expect_eq(svr_pki_file_write(dir, "f", 0644, true, "three", 5, err, sizeof(err)), 0);
	cr_assert_eq(svr_pki_file_read(in_dir("f"), 10, false, &data, &len, err, sizeof(err)), 0);
	cr_expect_str_eq(data, "three");
	free(data);
	cr_expect_eq(svr_pki_file_write(dir, "../f", 0644, true, "x", 1, err, sizeof(err)),
		     -EINVAL);
	cr_expect_eq(svr_pki_file_write("/nonexistent/dir", "f", 0644, true, "x", 1, err,
					sizeof(err)),
		     -ENOENT);
	cr_expect_eq(files_in_dir(), 1, "a temporary file was left");
}

/*
 * Killed at any moment: who reads sees a whole file, the old or the new one; what was left is
 * swept, and nothing else.
 */
Test(pki_files, killed_while_it_writes)
{
	enum { SIZE = 20000, ROUNDS = 40 };
	char *data, *text = malloc(SIZE);
	int round, i;
	size_t len;
	pid_t pid;

	memset(text, '0', SIZE);
	cr_assert_eq(svr_pki_file_write(dir, "f", 0644, true, text, SIZE, err, sizeof(err)), 0);
	for (round = 0; round < ROUNDS; round++) {
		pid = fork();
		if (pid == 0) {
			for (i = 0;; i = (i + 1) % 10) {
				memset(text, '0' + i, SIZE);
				if (svr_pki_file_write(dir, "f", 0644, true, text, SIZE, err,
						       sizeof(err)))
					_exit(1);
			}
		}
		usleep((useconds_t)(500 + 137 * round)); /* where it is killed, not a wait */
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		cr_assert_eq(svr_pki_file_read(in_dir("f"), SIZE, false, &data, &len, err,
					       sizeof(err)),
			     0);
		cr_assert_eq(len, SIZE);
		for (i = 1; i < SIZE; i++)
			cr_assert_eq(data[i], data[0], "half of a file");
		free(data);
	}
	cr_assert_eq(svr_pki_file_write(dir, ".svr-tmp-ab.key", 0600, true, "x", 1, err,
					sizeof(err)),
		     0);
	cr_expect_geq(svr_pki_file_sweep(dir), 0);
	cr_expect_eq(files_in_dir(), 2, "f, and what only looks like a temporary file");
	cr_expect_eq(svr_pki_file_sweep("/nonexistent"), -ENOENT);
	free(text);
}

/* A key manager that starts takes nothing away from a command that runs: the writer has it locked. */
Test(pki_files, what_is_being_written_is_not_swept)
{
	enum { SIZE = 20000, ROUNDS = 1000 };
	char *text = calloc(1, SIZE);
	int round, ret = 0;
	pid_t pid;

	pid = fork();
	if (pid == 0)
		for (;;)
			(void)svr_pki_file_sweep(dir);
	for (round = 0; round < ROUNDS && !ret; round++)
		ret = svr_pki_file_write(dir, "f", 0644, true, text, SIZE, err, sizeof(err));
	kill(pid, SIGKILL); /* before anything is asserted */
	waitpid(pid, NULL, 0);
	cr_expect_eq(ret, 0, "round %d: %s", round, err);
	cr_expect_eq(files_in_dir(), 1);
	free(text);
}

Test(pki_files, removed)
{
	cr_assert_eq(svr_pki_file_write(dir, "f", 0644, true, "x", 1, err, sizeof(err)), 0);
	cr_expect_eq(svr_pki_file_remove(dir, "f"), 0);
	cr_expect_eq(svr_pki_file_remove(dir, "f"), -ENOENT);
	cr_expect_eq(svr_pki_file_remove(dir, "../f"), -EINVAL);
	cr_expect_eq(svr_pki_file_remove(dir, ""), -EINVAL);
}

/* ---- requests -------------------------------------------------------------------------------- */

static X509_REQ *read_request(const char *pem)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	X509_REQ *req = PEM_read_bio_X509_REQ(bio, NULL, NULL, NULL);

	BIO_free(bio);
	cr_assert(req);
	return req;
}

static char *subject_of(X509_REQ *req)
{
	static char text[512];
	BIO *bio = BIO_new(BIO_s_mem());
	int len;

	X509_NAME_print_ex(bio, X509_REQ_get_subject_name(req), 0,
			   XN_FLAG_RFC2253 & ~(unsigned long)ASN1_STRFLGS_ESC_MSB);
	len = BIO_read(bio, text, sizeof(text) - 1);
	text[len > 0 ? len : 0] = '\0';
	BIO_free(bio);
	return text;
}

static bool request_has(X509_REQ *req, int nid, const char *what)
{
	STACK_OF(X509_EXTENSION) *exts = X509_REQ_get_extensions(req);
	char text[2048] = "";
	BIO *bio = BIO_new(BIO_s_mem());
	int i, len;

	for (i = 0; i < sk_X509_EXTENSION_num(exts); i++) {
		X509_EXTENSION *e = sk_X509_EXTENSION_value(exts, i);

		if (OBJ_obj2nid(X509_EXTENSION_get_object(e)) == nid)
			X509V3_EXT_print(bio, e, 0, 0);
	}
	len = BIO_read(bio, text, sizeof(text) - 1);
	text[len > 0 ? len : 0] = '\0';
	BIO_free(bio);
	sk_X509_EXTENSION_pop_free(exts, X509_EXTENSION_free);
	return strstr(text, what);
}

Test(pki_files, a_request_with_everything)
{
	struct svr_pki_csr_spec spec = {
		.common_name = "west.example",
		.country_name = "US",
		.state_province_name = "California",
		.locality_name = "Sunnyvale",
		.organization_name = "Example \xc3\x84G",
		.organizational_unit_name = "IT, DNS:evil.example",
		.email_address = "admin@example.com",
		.dns = { "west.example.com", "w.example" },
		.n_dns = 2,
		.ip = { "192.0.2.1", "2001:db8::1" },
		.n_ip = 2,
		.validity_days = 365,
	};
	char *pem, *again;
	X509_REQ *req;
	size_t len;
	int nid;

	make_key("west", "RSA", "2304", NULL);
	cr_assert_eq(svr_pki_csr_create(dir, "west", &spec, &pem, err, sizeof(err)), 0, "%s", err);
	req = read_request(pem);
	cr_expect_eq(X509_REQ_verify(req, X509_REQ_get0_pubkey(req)), 1);
	cr_expect_eq(EVP_PKEY_get_bits(X509_REQ_get0_pubkey(req)), 2304);
	cr_expect_str_eq(subject_of(req),
			 "emailAddress=admin@example.com,CN=west.example,"
			 "OU=IT\\, DNS:evil.example,O=Example \xc3\x84G,L=Sunnyvale,ST=California,"
			 "C=US");
	cr_expect(request_has(req, NID_subject_alt_name, "URI:urn:ssr:peering:west.example"));
	cr_expect(request_has(req, NID_subject_alt_name, "DNS:west.example.com, DNS:w.example"));
	cr_expect(request_has(req, NID_subject_alt_name, "IP Address:192.0.2.1"));
	cr_expect(request_has(req, NID_subject_alt_name, "IP Address:2001:DB8:0:0:0:0:0:1"));
	cr_expect(request_has(req, NID_subject_alt_name, "email:admin@example.com"));
	cr_expect_not(request_has(req, NID_subject_alt_name, "evil"));
	cr_expect(request_has(req, NID_key_usage, "Digital Signature"));
	cr_expect(request_has(req, NID_basic_constraints, "CA:FALSE"));
	cr_expect(request_has(req, NID_ext_key_usage, "TLS Web Client Authentication"));
	cr_expect(request_has(req, NID_ext_key_usage, "TLS Web Server Authentication"));
	nid = X509_REQ_get_signature_nid(req);
	cr_expect_eq(nid, NID_sha384WithRSAEncryption);
	cr_assert_eq(svr_pki_file_read(in_dir("west.csr"), 9999, false, &again, &len, err,
				       sizeof(err)),
		     0);
	cr_expect_str_eq(again, pem, "the same is kept beside the key");
	X509_REQ_free(req);
	free(pem);
	free(again);
}

/* I95-63299: SHA-256 was assumed whatever the key. */
Test(pki_files, i95_63299_every_key_with_every_digest)
{
	static const char *const digests[] = { NULL, "sha256", "sha384", "sha512" };
	static const char *const curves[] = { "SECP256R1", "SECP384R1", "SECP521R1" };
	struct svr_pki_csr_spec spec = { .common_name = "west" };
	X509_REQ *req;
	char *pem;
	size_t c, d;

	for (c = 0; c < 3; c++) {
		make_key(curves[c], "ECC", NULL, curves[c]);
		for (d = 0; d < 4; d++) {
			spec.digest = digests[d];
			spec.extended_key_usage = d == 3 ? SVR_PKI_EKU_IKE : SVR_PKI_EKU_CLIENT;
			cr_assert_eq(svr_pki_csr_create(dir, curves[c], &spec, &pem, err,
							sizeof(err)),
				     0, "%s", err);
			req = read_request(pem);
			cr_expect_eq(X509_REQ_verify(req, X509_REQ_get0_pubkey(req)), 1);
			cr_expect_str_eq(subject_of(req), "CN=west");
			X509_REQ_free(req);
			free(pem);
		}
	}
}

Test(pki_files, members_of_a_request_that_are_refused)
{
	static char long_text[300];
	const struct {
		struct svr_pki_csr_spec spec;
		const char *word;
	} rows[] = {
		{ { .common_name = NULL }, "common_name" },
		{ { .common_name = "a b" }, "common_name" },
		{ { .common_name = "w", .country_name = "USA" }, "country_name" },
		{ { .common_name = "w", .country_name = "us" }, "country_name" },
		{ { .common_name = "w", .state_province_name = "" }, "state_province_name" },
		{ { .common_name = "w", .locality_name = long_text }, "locality_name" },
		{ { .common_name = "w", .organization_name = "a\nb" }, "organization_name" },
		{ { .common_name = "w", .organization_name = "\xff\xfe" }, "organization_name" },
		{ { .common_name = "w", .organizational_unit_name = long_text },
		  "organizational_unit_name" },
		{ { .common_name = "w", .email_address = "admin" }, "email_address" },
		{ { .common_name = "w", .email_address = "@example.com" }, "email_address" },
		{ { .common_name = "w", .email_address = "a b@example.com" }, "email_address" },
		{ { .common_name = "w", .dns = { "*.example.com" }, .n_dns = 1 }, "domain name" },
		{ { .common_name = "w", .dns = { "a..b" }, .n_dns = 1 }, "domain name" },
		{ { .common_name = "w", .dns = { "-a.b" }, .n_dns = 1 }, "domain name" },
		{ { .common_name = "w", .dns = { "a.b,DNS:c" }, .n_dns = 1 }, "domain name" },
		{ { .common_name = "w", .n_dns = 17 }, "domain name" },
		{ { .common_name = "w", .ip = { "192.0.2.256" }, .n_ip = 1 }, "IP address" },
		{ { .common_name = "w", .ip = { "192.0.2.0/24" }, .n_ip = 1 }, "IP address" },
		{ { .common_name = "w", .digest = "sha1" }, "digest" },
		{ { .common_name = "w", .validity_days = 36501 }, "validity_period" },
		{ { .common_name = "w", .extended_key_usage = 64 }, "extended key usage" },
	};
	size_t i;

	memset(long_text, 'x', sizeof(long_text) - 1);
	make_key("west", "ECC", NULL, NULL);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		cr_expect_eq(svr_pki_csr_create(dir, "west", &rows[i].spec, NULL, err, sizeof(err)),
			     -EINVAL, "row %zu", i);
		cr_expect(strstr(err, rows[i].word), "row %zu: %s", i, err);
	}
	cr_expect_eq(svr_pki_csr_create(dir, "east",
					&(struct svr_pki_csr_spec){ .common_name = "w" }, NULL, err,
					sizeof(err)),
		     -ENOENT);
	cr_expect_eq(files_in_dir(), 1, "only the key");
}

/* ---- dates ----------------------------------------------------------------------------------- */

enum { DAY = 86400 };

/* I95-64929: 32 bits of milliseconds end after 49.7 days; time_t of 32 bits ends in 2038. */
Test(pki_files, i95_64929_expiry_beyond_49_days_and_2038)
{
	static const int64_t ends[] = { INT64_C(1767225600) /* 2026 */, INT64_C(2147483647),
					INT64_C(2147483648) /* 2038 */,
					INT64_C(4294967296) /* 2106 */,
					INT64_C(253402300799) /* 9999 */ };
	static const struct {
		int64_t before;
		enum svr_pki_expiry state;
		int64_t wait;
	} rows[] = {
		{ 36500LL * DAY, SVR_PKI_EXPIRY_NONE, 36470LL * DAY },
		{ 50LL * DAY, SVR_PKI_EXPIRY_NONE, 20LL * DAY },
		{ 49LL * DAY + 61366, SVR_PKI_EXPIRY_NONE, 19LL * DAY + 61366 },
		{ 30LL * DAY + 1, SVR_PKI_EXPIRY_NONE, 1 },
		{ 30LL * DAY, SVR_PKI_EXPIRY_MONTH, 23LL * DAY },
		{ 7LL * DAY + 1, SVR_PKI_EXPIRY_MONTH, 1 },
		{ 7LL * DAY, SVR_PKI_EXPIRY_WEEK, 7LL * DAY + 1 },
		{ 0, SVR_PKI_EXPIRY_WEEK, 1 },
		{ -1, SVR_PKI_EXPIRY_EXPIRED, INT64_MAX },
		{ -36500LL * DAY, SVR_PKI_EXPIRY_EXPIRED, INT64_MAX },
	};
	size_t e, i;

	for (e = 0; e < sizeof(ends) / sizeof(ends[0]); e++)
		for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
			int64_t now = ends[e] - rows[i].before;

			cr_expect_eq(svr_pki_expiry(ends[e], now), rows[i].state, "%zu %zu", e, i);
			cr_expect_eq(svr_pki_expiry_wait(ends[e], now), rows[i].wait, "%zu %zu", e,
				     i);
		}
	cr_expect_eq(svr_pki_expiry(INT64_MIN, 0), SVR_PKI_EXPIRY_EXPIRED);
	cr_expect_eq(svr_pki_expiry(INT64_MAX, INT64_MAX), SVR_PKI_EXPIRY_NONE);
	cr_expect_eq(svr_pki_expiry_wait(INT64_MAX, INT64_MIN), INT64_MAX);
	cr_expect_eq(svr_pki_expiry_wait(INT64_MAX - 1, INT64_MIN), INT64_MAX);
}

Test(pki_files, dates_in_words)
{
	char text[40];

	svr_pki_date_text(0, text, sizeof(text));
	cr_expect_str_eq(text, "Jan  1 00:00:00 1970 GMT");
	svr_pki_date_text(INT64_C(4102444799), text, sizeof(text));
	cr_expect_str_eq(text, "Dec 31 23:59:59 2099 GMT");
	svr_pki_date_text(INT64_MAX, text, sizeof(text));
	cr_expect(strstr(text, "9223372036854775807"), "%s", text);
}

Test(pki_files, what_stands_in_a_certificate)
{
	struct test_cert c = test_cert_make(&(struct test_cert_spec){
		.common_name = "west", .san = "URI:urn:ssr:peering:west", .until_days = 20000 });
	struct svr_pki_cert_info info;
	unsigned char *der = NULL;
	uint8_t fingerprint[32];
	size_t len;

	test_cert_ext(
		c.cert, c.cert, NID_crl_distribution_points,
		"URI:http://a/1.crl,URI:ldap://b/c,URI:https://d/2.crl,URI:file:///etc/shadow");
	test_cert_ext(c.cert, c.cert, NID_ext_key_usage, "clientAuth");
	X509_sign(c.cert, c.key, EVP_sha256());
	test_cert_fingerprint(&c, fingerprint);
	len = (size_t)i2d_X509(c.cert, &der);
	cr_assert_eq(svr_pki_cert_info(der, len, &info), 0);
	cr_expect_str_eq(info.common_name, "west");
	cr_expect_str_eq(info.subject, "CN=west");
	cr_expect_str_eq(info.key, "SECP256R1");
	cr_expect_str_eq(info.signature, "ecdsa-with-SHA256");
	cr_expect_str_eq(info.purpose, "TLS Web Client Authentication");
	cr_expect_str_eq(info.names, "URI:urn:ssr:peering:west");
	cr_expect_arr_eq(info.fingerprint, fingerprint, 32);
	cr_expect(info.self_signed && !info.ca);
	cr_expect_eq((info.not_after - info.not_before) / DAY, 20000);
	/* I95-65439: distribution points in certificates were ignored */
	cr_assert_eq(info.n_crl_urls, 2, "nobody's certificate makes us read files");
	cr_expect_str_eq(info.crl_urls[0], "http://a/1.crl");
	cr_expect_str_eq(info.crl_urls[1], "https://d/2.crl");
	cr_expect_eq(svr_pki_cert_info(der, len - 1, &info), -EBADMSG);
	OPENSSL_free(der);
	test_cert_free(&c);
}
