// SPDX-License-Identifier: BSD-2-Clause
/* The PKI directory that commands and the key manager share. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sys/pkidir.h"
#include "tests/certs.h"

static char dir[64];

static void make_dir(void)
{
	strcpy(dir, "/tmp/svr-pkidir-XXXXXX");
	cr_assert_not_null(mkdtemp(dir));
}

static void remove_dir(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", dir);
	cr_assert_eq(system(command), 0);
}

TestSuite(pkidir, .init = make_dir, .fini = remove_dir);

Test(pkidir, where_it_is)
{
	char path[64];

	unsetenv("SVR_PKI_DIR");
	cr_assert_eq(svr_pkidir("west", path, sizeof(path)), 0);
	cr_expect_str_eq(path, "/etc/svr/pki/west");
	cr_expect_eq(svr_pkidir("..", path, sizeof(path)), -EINVAL);
	cr_expect_eq(svr_pkidir("a/b", path, sizeof(path)), -EINVAL);
	cr_expect_eq(svr_pkidir("west", path, 8), -ENAMETOOLONG);
	setenv("SVR_PKI_DIR", "/somewhere", 1);
	cr_assert_eq(svr_pkidir("west", path, sizeof(path)), 0);
	cr_expect_str_eq(path, "/somewhere");
}

Test(pkidir, one_at_a_time)
{
	char path[128], err[256];
	struct stat st;
	int a, b;

	snprintf(path, sizeof(path), "%s/pki/west", dir);
	a = svr_pkidir_lock(path, 0, err, sizeof(err));
	cr_assert_geq(a, 0, "%s", err);
	cr_assert_eq(stat(path, &st), 0);
	cr_expect_eq(st.st_mode & 07777, 0700);
	b = svr_pkidir_lock(path, 0, err, sizeof(err));
	cr_expect_eq(b, -EBUSY);
	cr_expect(strstr(err, "another command"), "%s", err);
	close(a);
	b = svr_pkidir_lock(path, 1, err, sizeof(err));
	cr_expect_geq(b, 0, "%s", err);
	close(b);
	snprintf(path, sizeof(path), "%s/a/b/c/d", dir);
	cr_expect_eq(svr_pkidir_lock(path, 0, err, sizeof(err)), -ENOENT);
}

Test(pkidir, trusted_cas)
{
	struct svr_pkidir_ca ca[4];
	uint64_t before, after;
	char err[256];

	cr_expect_eq(svr_pkidir_cas(dir, ca, 4), 0, "no directory yet");
	before = svr_pkidir_anchors_stamp(dir, NULL);
	cr_assert_eq(svr_pkidir_ca_add(dir, "b", false, "text\n", 5, err, sizeof(err)), 0, "%s", err);
	after = svr_pkidir_anchors_stamp(dir, NULL);
	cr_expect_neq(before, after, "a change is seen");
	cr_assert_eq(svr_pkidir_ca_add(dir, "a", true, "text\n", 5, err, sizeof(err)), 0, "%s", err);
	cr_expect_eq(svr_pkidir_ca_add(dir, "a", true, "text\n", 5, err, sizeof(err)), -EEXIST);
	cr_expect_eq(svr_pkidir_ca_add(dir, "../a", true, "text\n", 5, err, sizeof(err)), -EINVAL);
	cr_assert_eq(svr_pkidir_cas(dir, ca, 4), 2);
	cr_expect_str_eq(ca[0].name, "a");
	cr_expect(ca[0].strict);
	cr_expect_str_eq(ca[1].name, "b");
	cr_expect(!ca[1].strict);
	cr_expect_eq(svr_pkidir_ca_remove(dir, "b", err, sizeof(err)), 0, "%s", err);
	cr_expect_eq(svr_pkidir_ca_remove(dir, "b", err, sizeof(err)), -ENOENT);
	cr_expect_eq(svr_pkidir_ca_remove(dir, "../x", err, sizeof(err)), -EINVAL);
	cr_expect_eq(svr_pkidir_cas(dir, ca, 4), 1);
}

static void count_too_many(void *user, const char *bundle, const struct svr_pki_report *report)
{
	unsigned int *count = user;

	(void)bundle;
	*count += report->verdict == SVR_PKI_TOO_MANY;
}

/* What would not be read is not taken. */
Test(pkidir, cas_that_nobody_would_read)
{
	struct test_cert root =
		test_cert_make(&(struct test_cert_spec){ .common_name = "CA", .ca = true });
	char err[256], name[8], path[128];
	struct svr_pki_anchors *a;
	unsigned int i, issues = 0;
	FILE *f;

	cr_expect_eq(svr_pkidir_ca_add(dir, ".b", true, "text\n", 5, err, sizeof(err)), -EINVAL);
	cr_expect(strstr(err, "not begin with ."), "%s", err);
	for (i = 0; i < SVR_PKI_BUNDLES_MAX; i++) {
		snprintf(name, sizeof(name), "ca%u", i);
		cr_assert_eq(svr_pkidir_ca_add(dir, name, true, "text\n", 5, err, sizeof(err)), 0,
			     "%s", err);
	}
	cr_expect_eq(svr_pkidir_ca_add(dir, "more", true, "text\n", 5, err, sizeof(err)), -E2BIG);
	cr_expect(strstr(err, "64 trusted CAs"), "%s", err);
	/* one that got there in another way is an issue as every other */
	for (i = 0; i <= SVR_PKI_BUNDLES_MAX; i++) {
		snprintf(path, sizeof(path), "%s/ca/ca%u.pem", dir, i);
		f = fopen(path, "w");
		cr_assert_not_null(f);
		PEM_write_X509(f, root.cert);
		fclose(f);
	}
	cr_expect_eq(svr_pkidir_anchors(dir, NULL, time(NULL), count_too_many, &issues, &a), 1);
	cr_expect_eq(issues, 1, "%u", issues);
	svr_pki_anchors_free(a);
	test_cert_free(&root);
}

static void collect(void *user, const char *text)
{
	strcat(user, text);
}

Test(pkidir, notes_come_once_and_in_order)
{
	char got[64] = "", err[256], path[128];
	FILE *f;

	cr_expect_eq(svr_pkidir_notes(dir, collect, got), 0, "none yet");
	cr_assert_eq(svr_pkidir_note(dir, "00000000000000000002-7", "two ", 4, err, sizeof(err)), 0,
		     "%s", err);
	cr_assert_eq(svr_pkidir_note(dir, "00000000000000000001-9", "one ", 4, err, sizeof(err)), 0);
	/* what somebody is writing at this moment is no note */
	snprintf(path, sizeof(path), "%s/notes/.00000000000000000000-1.tmp", dir);
	f = fopen(path, "w");
	cr_assert_not_null(f);
	fclose(f);
	cr_expect_eq(svr_pkidir_notes(dir, collect, got), 2);
	cr_expect_str_eq(got, "one two ");
	cr_expect_eq(svr_pkidir_notes(dir, collect, got), 0, "taken");
	cr_expect_eq(access(path, F_OK), 0);
}

Test(pkidir, stamps)
{
	char path[128];
	uint64_t first;
	FILE *f;

	cr_expect_eq(svr_pkidir_stamp(dir, "a.pem"), 0);
	snprintf(path, sizeof(path), "%s/a.pem", dir);
	f = fopen(path, "w");
	cr_assert_not_null(f);
	fclose(f);
	first = svr_pkidir_stamp(dir, "a.pem");
	cr_expect_neq(first, 0);
	cr_expect_eq(svr_pkidir_stamp(dir, "a.pem"), first);
	f = fopen(path, "a");
	fputs("more", f);
	fclose(f);
	cr_expect_neq(svr_pkidir_stamp(dir, "a.pem"), first);
}
