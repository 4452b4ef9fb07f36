// SPDX-License-Identifier: BSD-2-Clause
/* The PKI directory: where it is, who may change it, what it says about trusted CAs. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/name.h"
#include "lib/pki_file.h"
#include "sys/pkidir.h"

#define DEFAULT_DIR "/etc/svr/pki"
#define CA_DIR	    "ca"
#define CA_SUFFIX   ".pem"
#define CRL_DIR	    "crl"
#define NOTE_DIR    "notes"
#define PEER_DIR    "peers"
/* The first line of a file in ca/; a PEM file may have text around its certificates. */
#define CA_HEAD	  "validation-mode: "
#define CA_STRICT CA_HEAD "strict\n"
#define CA_WARN	  CA_HEAD "warn\n"

enum {
	DIR_PATH_LEN = 4096, /* bytes, PATH_MAX */
	DIR_LOCK_POLL_MS = 50,
	DIR_MS_PER_SEC = 1000,
	DIR_NS_PER_MS = 1000000,
	DIR_NOTES = 64, /* taken at a time; the rest waits for its turn */
	DIR_NOTE_MAX = 64 * 1024, /* bytes */
};

int svr_pkidir(const char *router, char *buf, size_t len)
{
	const char *env = getenv("SVR_PKI_DIR");
	int n;

	if (env && *env) {
		n = snprintf(buf, len, "%s", env);
	} else {
		if (!svr_name_ok_for_path(router))
			return -EINVAL;
		n = snprintf(buf, len, DEFAULT_DIR "/%s", router);
	}
	return n < (int)len ? 0 : -ENAMETOOLONG;
}

/* ---- one command at a time ------------------------------------------------------------------- */

static int make_dir(const char *dir)
{
	char above[DIR_PATH_LEN], *slash;

	if (mkdir(dir, 0700) == 0 || errno == EEXIST)
		return 0;
	if (errno != ENOENT)
		return -errno;
	snprintf(above, sizeof(above), "%s", dir);
	slash = strrchr(above, '/');
	if (!slash || slash == above)
		return -ENOENT;
	*slash = '\0';
	if (mkdir(above, 0700) && errno != EEXIST)
		return -errno;
	return mkdir(dir, 0700) && errno != EEXIST ? -errno : 0;
}

static int wait_for_lock(int fd, unsigned int wait_sec)
{
	const struct timespec pause = { .tv_nsec = DIR_LOCK_POLL_MS * DIR_NS_PER_MS };
	unsigned int tries = wait_sec * DIR_MS_PER_SEC / DIR_LOCK_POLL_MS;

	while (flock(fd, LOCK_EX | LOCK_NB)) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return -errno;
		if (!tries--)
			return -EBUSY;
		nanosleep(&pause, NULL);
	}
	return 0;
}

int svr_pkidir_lock(const char *dir, unsigned int wait_sec, char *err, size_t err_len)
{
	char path[DIR_PATH_LEN];
	int fd, ret;

	if (snprintf(path, sizeof(path), "%s/.lock", dir) >= (int)sizeof(path)) {
		snprintf(err, err_len, "%s: path is too long", dir);
		return -ENAMETOOLONG;
	}
	ret = make_dir(dir);
	if (ret) {
		snprintf(err, err_len, "%s: %s", dir, strerror(-ret));
		return ret;
	}
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0) {
		ret = -errno;
		snprintf(err, err_len, "%s: %s", path, strerror(-ret));
		return ret;
	}
	ret = wait_for_lock(fd, wait_sec);
	if (ret) {
		snprintf(err, err_len, "%s: %s", dir,
			 ret == -EBUSY ? "another command changes it; try again" : strerror(-ret));
		close(fd);
		return ret;
	}
	return fd;
}

/* ---- what was left --------------------------------------------------------------------------- */

void svr_pkidir_sweep(const char *dir)
{
	static const char *const below[] = { CA_DIR, CRL_DIR, NOTE_DIR, PEER_DIR };
	char path[DIR_PATH_LEN];
	size_t i;

	(void)svr_pki_file_sweep(dir); /* it may not be there yet */
	for (i = 0; i < sizeof(below) / sizeof(below[0]); i++)
		if (snprintf(path, sizeof(path), "%s/%s", dir, below[i]) < (int)sizeof(path))
			(void)svr_pki_file_sweep(path);
}

/* ---- CAs of the directory -------------------------------------------------------------------- */

static bool ca_path(const char *dir, const char *name, char *buf, size_t len)
{
	return snprintf(buf, len, "%s/" CA_DIR "/%s" CA_SUFFIX, dir, name) < (int)len;
}

/* A file that says nothing is strict: it can only refuse more. */
static bool ca_is_strict(const char *dir, const char *name)
{
	char path[DIR_PATH_LEN], head[sizeof(CA_WARN)] = "";
	bool strict = true;
	FILE *f;

	if (!ca_path(dir, name, path, sizeof(path)))
		return true;
	f = fopen(path, "re");
	if (f && fgets(head, sizeof(head), f))
		strict = strcmp(head, CA_WARN) != 0;
	if (f)
		fclose(f);
	return strict;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct svr_pkidir_ca *)a)->name,
		      ((const struct svr_pkidir_ca *)b)->name);
}

int svr_pkidir_cas(const char *dir, struct svr_pkidir_ca *out, unsigned int max)
{
	const size_t suffix = strlen(CA_SUFFIX);
	char path[DIR_PATH_LEN];
	unsigned int n = 0;
	struct dirent *e;
	size_t len;
	DIR *d;

	if (snprintf(path, sizeof(path), "%s/" CA_DIR, dir) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	d = opendir(path);
	if (!d)
		return errno == ENOENT ? 0 : -errno;
	while (n < max && (e = readdir(d))) {
		len = strlen(e->d_name);
		if (len <= suffix || len - suffix > SVR_CFG_NAME_MAX || e->d_name[0] == '.' ||
		    strcmp(e->d_name + len - suffix, CA_SUFFIX) != 0)
			continue;
		snprintf(out[n].name, sizeof(out[n].name), "%.*s", (int)(len - suffix), e->d_name);
		out[n].strict = ca_is_strict(dir, out[n].name);
		n++;
	}
	closedir(d);
	qsort(out, n, sizeof(*out), by_name);
	return (int)n;
}

int svr_pkidir_ca_add(const char *dir, const char *name, bool strict, const char *text, size_t len,
		      char *err, size_t err_len)
{
	const char *head = strict ? CA_STRICT : CA_WARN;
	struct svr_pkidir_ca there[SVR_PKI_BUNDLES_MAX];
	char path[DIR_PATH_LEN], file[SVR_CFG_NAME_MAX + sizeof(CA_SUFFIX)];
	size_t head_len = strlen(head);
	char *whole;
	int ret;

	if (!svr_name_ok_for_path(name) || name[0] == '.' ||
	    snprintf(path, sizeof(path), "%s/" CA_DIR, dir) >= (int)sizeof(path)) {
		snprintf(
			err, err_len,
			"name \"%.63s\": allowed are 1 to 63 characters of A-Z a-z 0-9 _ . -, and it must not begin with .",
			name);
		return -EINVAL;
	}
	if (svr_pkidir_cas(dir, there, SVR_PKI_BUNDLES_MAX) == SVR_PKI_BUNDLES_MAX) {
		snprintf(
			err, err_len,
			"there are %d trusted CAs, and no more are read; remove one, or put several into one bundle",
			SVR_PKI_BUNDLES_MAX);
		return -E2BIG;
	}
	whole = malloc(head_len + len);
	if (!whole) {
		snprintf(err, err_len, "out of memory");
		return -ENOMEM;
	}
	memcpy(whole, head, head_len);
	memcpy(whole + head_len, text, len);
	snprintf(file, sizeof(file), "%s" CA_SUFFIX, name);
	ret = svr_pki_file_write(path, file, 0644, false, whole, head_len + len, err, err_len);
	if (ret == -EEXIST)
		snprintf(err, err_len, "trusted CA %s is there already; remove it first, or choose another name",
			 name);
	free(whole);
	return ret;
}

int svr_pkidir_ca_remove(const char *dir, const char *name, char *err, size_t err_len)
{
	char path[DIR_PATH_LEN], file[SVR_CFG_NAME_MAX + sizeof(CA_SUFFIX)];
	int ret = -EINVAL;

	if (svr_name_ok_for_path(name) &&
	    snprintf(file, sizeof(file), "%s" CA_SUFFIX, name) < (int)sizeof(file) &&
	    snprintf(path, sizeof(path), "%s/" CA_DIR, dir) < (int)sizeof(path))
		ret = svr_pki_file_remove(path, file);
	if (ret == -ENOENT)
		snprintf(err, err_len, "no trusted CA of this directory is called %.63s; those of the configuration are removed there",
			 name);
	else if (ret)
		snprintf(err, err_len, "trusted CA %.63s: %s", name, strerror(-ret));
	return ret;
}

/* ---- notes ----------------------------------------------------------------------------------- */

int svr_pkidir_note(const char *dir, const char *file, const char *text, size_t len, char *err,
		    size_t err_len)
{
	char path[DIR_PATH_LEN];

	if (snprintf(path, sizeof(path), "%s/" NOTE_DIR, dir) >= (int)sizeof(path)) {
		snprintf(err, err_len, "%s: path is too long", dir);
		return -ENAMETOOLONG;
	}
	return svr_pki_file_write(path, file, 0600, false, text, len, err, err_len);
}

/* Names begin with the time, in digits; everything else is no note (a file that is being written). */
static int is_note(const struct dirent *e)
{
	return e->d_name[0] >= '0' && e->d_name[0] <= '9' && svr_name_ok_for_path(e->d_name) &&
	       strspn(e->d_name, "0123456789-") == strlen(e->d_name);
}

int svr_pkidir_notes(const char *dir, void (*take)(void *user, const char *text), void *user)
{
	char path[DIR_PATH_LEN], file[DIR_PATH_LEN + 256], err[64], *text;
	struct dirent **list = NULL;
	size_t len;
	int i, n, count = 0, ret = 0;

	if (snprintf(path, sizeof(path), "%s/" NOTE_DIR, dir) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	n = scandir(path, &list, is_note, alphasort);
	if (n < 0)
		return errno == ENOENT ? 0 : -errno;
	for (i = 0; i < n; i++) {
		snprintf(file, sizeof(file), "%s/%s", path, list[i]->d_name);
		text = NULL;
		if (!ret && count < DIR_NOTES &&
		    svr_pki_file_read(file, DIR_NOTE_MAX, false, &text, &len, err, sizeof(err)) == 0) {
			take(user, text);
			count++;
			/* Only now: who is killed in between tells it twice, which is better than never. */
			ret = unlink(file) ? -errno : 0;
		}
		free(text);
		free(list[i]);
	}
	free(list);
	return ret ? ret : count;
}

/* ---- what is trusted ------------------------------------------------------------------------- */

struct issue_user {
	void (*issue)(void *user, const char *bundle, const struct svr_pki_report *report);
	void *user;
	const char *bundle;
};

static void on_issue(void *user, const struct svr_pki_report *report)
{
	const struct issue_user *u = user;

	if (u->issue)
		u->issue(u->user, u->bundle, report);
}

static void add_bundle(struct svr_pki_anchors *a, const char *name, const char *path, bool strict,
		       int64_t now_sec, struct issue_user *u)
{
	u->bundle = name;
	(void)svr_pki_anchors_add_file(a, name, path, strict, now_sec, on_issue, u);
}

int svr_pkidir_anchors(const char *dir, const struct svr_config *cfg, int64_t now_sec,
		       void (*issue)(void *user, const char *bundle,
				     const struct svr_pki_report *report),
		       void *user, struct svr_pki_anchors **out)
{
	struct issue_user u = { .issue = issue, .user = user };
	struct svr_pkidir_ca ca[SVR_PKI_BUNDLES_MAX + 1]; /* one too many is to be an issue */
	char path[DIR_PATH_LEN];
	unsigned int i;
	int n, ret;

	ret = svr_pki_anchors_new(out);
	if (ret)
		return ret;
	for (i = 0; cfg && i < cfg->n_trusted_cas; i++) {
		const struct svr_cfg_trusted_ca *c = &cfg->trusted_cas[i];

		if (snprintf(path, sizeof(path), "%s/%s", dir, c->file) < (int)sizeof(path))
			add_bundle(*out, c->name, path,
				   c->validation_mode == SVR_CFG_VALIDATE_STRICT, now_sec, &u);
	}
	n = svr_pkidir_cas(dir, ca, SVR_PKI_BUNDLES_MAX + 1);
	for (i = 0; n > 0 && i < (unsigned int)n; i++)
		if (ca_path(dir, ca[i].name, path, sizeof(path)))
			add_bundle(*out, ca[i].name, path, ca[i].strict, now_sec, &u);
	return (int)svr_pki_anchors_count(*out);
}

/* ---- has something changed? ------------------------------------------------------------------ */

/* FNV-1a: not against anybody who wants to hide a change, only a short form of what stat says. */
static uint64_t mix(uint64_t h, uint64_t v)
{
	unsigned int i;

	for (i = 0; i < sizeof(v); i++, v >>= 8)
		h = (h ^ (v & 0xff)) * 0x100000001b3;
	return h;
}

static uint64_t stamp_of(const char *path)
{
	uint64_t h = 0xcbf29ce484222325;
	struct stat st;

	if (stat(path, &st))
		return 0;
	h = mix(h, st.st_dev);
	h = mix(h, st.st_ino);
	h = mix(h, (uint64_t)st.st_size);
	h = mix(h, (uint64_t)st.st_mtim.tv_sec);
	h = mix(h, (uint64_t)st.st_mtim.tv_nsec);
	h = mix(h, (uint64_t)st.st_ctim.tv_sec);
	h = mix(h, (uint64_t)st.st_ctim.tv_nsec);
	return h ? h : 1;
}

uint64_t svr_pkidir_stamp(const char *dir, const char *file)
{
	char path[DIR_PATH_LEN];

	return snprintf(path, sizeof(path), "%s/%s", dir, file) < (int)sizeof(path) ?
		       stamp_of(path) :
		       0;
}

uint64_t svr_pkidir_anchors_stamp(const char *dir, const struct svr_config *cfg)
{
	/* Files in ca/ are put there by rename and taken away by unlink: the directory changes too. */
	uint64_t h = svr_pkidir_stamp(dir, CA_DIR);
	unsigned int i;

	for (i = 0; cfg && i < cfg->n_trusted_cas; i++)
		h = mix(h, svr_pkidir_stamp(dir, cfg->trusted_cas[i].file));
	return h;
}
