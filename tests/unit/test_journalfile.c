// SPDX-License-Identifier: BSD-2-Clause
/* sys/journalfile.h and sys/paths.h: what is on disk after each step, and what is refused. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sys/journalfile.h"
#include "sys/paths.h"

static char dir[64], path[256];

static void setup(void)
{
	snprintf(dir, sizeof(dir), "/tmp/svr-journal-XXXXXX");
	cr_assert_not_null(mkdtemp(dir));
	setenv("SVR_STATE_DIR", dir, 1);
	snprintf(path, sizeof(path), "%s/west/test.journal", dir);
}

static void teardown(void)
{
	static const char *const names[] = { "/west/test.journal", "/west/test.journal.new",
					     "/west/test.journal.damaged", "/west", "" };
	char name[sizeof(path)];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(name, sizeof(name), "%s%s", dir, names[i]);
		remove(name);
	}
}

TestSuite(journalfile, .init = setup, .fini = teardown);

static struct svr_journalfile file_new(void)
{
	struct svr_journalfile f;

	cr_assert_eq(svr_journalfile_init(&f, "west", "test.journal"), 0);
	cr_assert_eq(svr_state_dir_make("west"), 0);
	return f;
}

/* What another process finds. */
static void expect_text(const char *text)
{
	struct svr_journalfile f;
	char *data;
	size_t len;

	cr_assert_eq(svr_journalfile_init(&f, "west", "test.journal"), 0);
	cr_assert_eq(svr_journalfile_read(&f, 100, &data, &len), 0);
	cr_assert_not_null(data);
	cr_expect_eq(len, strlen(text));
	cr_expect(len == strlen(text) && memcmp(data, text, len) == 0, "%.*s", (int)len, data);
	free(data);
	svr_journalfile_close(&f);
}

Test(journalfile, appends_and_replaces)
{
	struct svr_journalfile f = file_new();
	struct stat st;
	char *data;
	size_t len;

	cr_expect_eq(svr_journalfile_read(&f, 100, &data, &len), 0, "no file is no error");
	cr_expect_null(data);
	cr_expect_eq(svr_journalfile_append(&f, "x", 1), -ESTALE, "there is none yet");
	cr_assert_eq(svr_journalfile_replace(&f, "one\n", 4), 0);
	expect_text("one\n");
	cr_expect_eq(svr_journalfile_append(&f, "two\n", 4), 0);
	cr_expect_eq(f.size, 8);
	expect_text("one\ntwo\n");
	cr_expect_eq(svr_journalfile_replace(&f, "three\n", 6), 0);
	cr_expect_eq(svr_journalfile_append(&f, "four\n", 5), 0);
	expect_text("three\nfour\n");
	cr_assert_eq(stat(path, &st), 0);
	cr_expect_eq(st.st_mode & 07777, 0600);
	cr_expect_eq(unlink(path), 0);
	cr_expect_eq(svr_journalfile_append(&f, "x", 1), -ESTALE, "what is appended would be lost");
	svr_journalfile_close(&f);
}

Test(journalfile, a_half_written_replacement_is_none)
{
	struct svr_journalfile f = file_new();
	char aside[sizeof(path) + 4];
	int fd;

	cr_assert_eq(svr_journalfile_replace(&f, "old\n", 4), 0);
	snprintf(aside, sizeof(aside), "%s.new", path);
	fd = open(aside, O_WRONLY | O_CREAT, 0600); /* left behind by a process that was killed */
	cr_assert_geq(fd, 0);
	close(fd);
	expect_text("old\n");
	cr_expect_eq(svr_journalfile_replace(&f, "new\n", 4), 0);
	expect_text("new\n");
	cr_expect_neq(access(aside, F_OK), 0);
	svr_journalfile_close(&f);
}

Test(journalfile, keeps_the_damaged_one)
{
	struct svr_journalfile f = file_new();
	char kept[sizeof(path) + 8];

	cr_assert_eq(svr_journalfile_replace(&f, "old\n", 4), 0);
	cr_expect_eq(svr_journalfile_keep_damaged(&f), 0);
	cr_expect_eq(svr_journalfile_keep_damaged(&f), 0, "the one before is replaced");
	cr_expect_eq(svr_journalfile_replace(&f, "new\n", 4), 0);
	snprintf(kept, sizeof(kept), "%s.damaged", path);
	cr_expect_eq(rename(kept, path), 0);
	expect_text("old\n");
	svr_journalfile_close(&f);
}

Test(journalfile, refuses)
{
	struct svr_journalfile f = file_new();
	char *data;
	size_t len;

	cr_expect_eq(svr_journalfile_replace(&f, "12345", 5), 0);
	svr_journalfile_close(&f);
	cr_expect_eq(svr_journalfile_read(&f, 4, &data, &len), -EFBIG);
	cr_expect_eq(unlink(path), 0);
	cr_expect_eq(symlink("/etc/passwd", path), 0);
	cr_expect_eq(svr_journalfile_read(&f, 100, &data, &len), -ELOOP);
	cr_expect_eq(unlink(path), 0);
	cr_expect_eq(mkfifo(path, 0600), 0);
	cr_expect_eq(svr_journalfile_read(&f, 100, &data, &len), -EINVAL, "a FIFO must not block us");
	cr_expect_eq(svr_journalfile_init(&f, "../west", "x"), -EINVAL);
	cr_expect_eq(svr_state_dir_make(".."), -EINVAL);
	cr_expect_eq(chmod(dir, 0777), 0);
	cr_expect_eq(svr_state_dir_make("west"), -EPERM, "others may write there");
}
