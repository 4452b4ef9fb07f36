// SPDX-License-Identifier: BSD-2-Clause
/* Directories, names and the lock of a router's pins. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include <linux/magic.h>

#include <bpf/bpf.h>

#include "sys/ctl.h"
#include "sys/mapset.h"

#include "cli.h"
#include "pins.h"

#define BPFFS "/sys/fs/bpf"

enum { LOCK_TRIES = 200, LOCK_WAIT_MS = 50 };

bool svr_pins_mounted(void)
{
	struct statfs s;

	return !statfs(BPFFS, &s) && s.f_type == BPF_FS_MAGIC;
}

/* bpffs is open to everybody by default, so somebody else may have made our directory before us. */
static int make_dir(struct svr_cli *cli, const char *path)
{
	struct stat s;

	if (mkdir(path, 0700) && errno != EEXIST)
		return svr_cli_error(cli, -errno, "%s: cannot make the directory: %s%s", path,
				     strerror(errno),
				     errno == EPERM || errno == EACCES ? "; run as root" : "");
	if (lstat(path, &s))
		return svr_cli_error(cli, -errno, "%s: %s", path, strerror(errno));
	if (!S_ISDIR(s.st_mode) || s.st_uid != geteuid() || s.st_mode & (S_IWGRP | S_IWOTH))
		return svr_cli_error(
			cli, -EPERM,
			"%s: must be a directory that belongs to root and that nobody else may write to; "
			"look at it with: ls -ld %s",
			path, path);
	return 0;
}

int svr_pins_path(const char *router, const char *kind, const char *device,
		  char buf[static SVR_PIN_PATH_LEN])
{
	char dir[128], name[IF_NAMESIZE];
	int n, err;

	err = svr_mapset_dir(router, dir, sizeof(dir));
	if (err)
		return err;
	if (!kind) {
		n = snprintf(buf, SVR_PIN_PATH_LEN, "%s/%s", dir, device);
	} else {
		/* nothing that the kernel would not take for a device either */
		if (!*device || strlen(device) >= sizeof(name) || strpbrk(device, "/:"))
			return -EINVAL;
		snprintf(name, sizeof(name), "%s", device);
		for (char *p = name; *p; p++) {
			if (*p == '.')
				*p = ':';
		}
		n = snprintf(buf, SVR_PIN_PATH_LEN, "%s/%s/%s", dir, kind, name);
	}
	return n < 0 || n >= SVR_PIN_PATH_LEN ? -ENAMETOOLONG : 0;
}

int svr_pins_prepare(struct svr_cli *cli, const char *router)
{
	char path[SVR_PIN_PATH_LEN];
	int err;

	if (!svr_pins_mounted())
		return svr_cli_error(cli, -ENOENT,
				     "no BPF file system at " BPFFS
				     "; run: mount -t bpf bpf " BPFFS);
	err = make_dir(cli, SVR_PIN_ROOT);
	if (err)
		return err;
	err = svr_mapset_dir(router, path, sizeof(path));
	if (err)
		return svr_cli_error(cli, err, "%s: not usable as a router name", router);
	err = make_dir(cli, path);
	if (err)
		return err;
	svr_pins_path(router, NULL, SVR_PIN_LINKS, path);
	err = make_dir(cli, path);
	if (err)
		return err;
	svr_pins_path(router, NULL, SVR_PIN_PROGS, path);
	return make_dir(cli, path);
}

int svr_pins_replace(const char *router, const char *kind, const char *device, int fd)
{
	char path[SVR_PIN_PATH_LEN], fresh[SVR_PIN_PATH_LEN];
	int err;

	err = svr_pins_path(router, kind, device, path);
	if (!err)
		err = svr_pins_path(router, NULL, "new", fresh);
	if (err)
		return err;
	unlink(fresh);
	err = bpf_obj_pin(fd, fresh);
	if (!err && rename(fresh, path))
		err = -errno;
	if (err)
		unlink(fresh);
	return err;
}

static int each_pin(const char *router, const char *kind,
		    int (*visit)(const char *device, void *user), void *user)
{
	char path[SVR_PIN_PATH_LEN], device[IF_NAMESIZE];
	struct dirent *e;
	int err;
	DIR *d;

	err = svr_pins_path(router, NULL, kind, path);
	if (err)
		return err;
	d = opendir(path);
	if (!d)
		return errno == ENOENT ? 0 : -errno;
	while (!err && (e = readdir(d))) {
		if (e->d_name[0] == '.' || strlen(e->d_name) >= sizeof(device))
			continue;
		snprintf(device, sizeof(device), "%.*s", IF_NAMESIZE - 1, e->d_name);
		for (char *p = device; *p; p++) {
			if (*p == ':')
				*p = '.';
		}
		err = visit(device, user);
	}
	closedir(d);
	return err;
}

struct once {
	const char *router;
	int (*visit)(const char *device, void *user);
	void *user;
};

/* A program whose device had a link was visited with that, if the link's pin is still there. */
static int visit_without_link(const char *device, void *user)
{
	const struct once *o = user;
	char path[SVR_PIN_PATH_LEN];

	if (!svr_pins_path(o->router, SVR_PIN_LINKS, device, path) && !access(path, F_OK))
		return 0;
	return o->visit(device, o->user);
}

int svr_pins_each_device(const char *router, int (*visit)(const char *device, void *user),
			 void *user)
{
	struct once once = { router, visit, user };
	int err = each_pin(router, SVR_PIN_LINKS, visit, user);

	return err ? err : each_pin(router, SVR_PIN_PROGS, visit_without_link, &once);
}

int svr_pins_remove(const char *router)
{
	static const char *const dirs[] = { SVR_PIN_LINKS, SVR_PIN_PROGS };
	char dir[SVR_PIN_PATH_LEN], path[SVR_PIN_PATH_LEN];
	struct dirent *e;
	int n = 0, err;
	DIR *d;

	err = svr_mapset_dir(router, dir, sizeof(dir));
	if (err)
		return err;
	d = opendir(dir);
	if (!d)
		return errno == ENOENT ? 0 : -errno;
	while ((e = readdir(d))) {
		if (strncmp(e->d_name, "svr_", 4) || svr_pins_path(router, NULL, e->d_name, path))
			continue;
		if (!unlink(path))
			n++;
		else
			err = -errno;
	}
	closedir(d);
	for (unsigned int i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		if (!svr_pins_path(router, NULL, dirs[i], path))
			rmdir(path);
	}
	rmdir(dir);
	return err ? err : n;
}

int svr_pins_lock(struct svr_cli *cli, const char *router, int *fd)
{
	const struct timespec wait = { .tv_nsec = LOCK_WAIT_MS * 1000000L };
	char path[PATH_MAX];
	int err;

	*fd = -1;
	err = svr_ctl_path(router, "svr.lock", 1, path, sizeof(path));
	if (err)
		return svr_cli_error(
			cli, err,
			"cannot make the run directory of router %s: %s; run as root, or set SVR_RUN_DIR",
			router, strerror(-err));
	*fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (*fd < 0)
		return svr_cli_error(cli, -errno, "%s: cannot open the lock: %s", path,
				     strerror(errno));
	for (int i = 0; i < LOCK_TRIES; i++) {
		if (!flock(*fd, LOCK_EX | LOCK_NB))
			return 0;
		if (errno != EWOULDBLOCK && errno != EINTR)
			break;
		nanosleep(&wait, NULL);
	}
	err = errno == EWOULDBLOCK ?
		      svr_cli_error(
			      cli, -EBUSY,
			      "another svr is changing router %s; try again (who it is: fuser %s)",
			      router, path) :
		      svr_cli_error(cli, -errno, "%s: cannot lock: %s", path, strerror(errno));
	close(*fd);
	*fd = -1;
	return err;
}
