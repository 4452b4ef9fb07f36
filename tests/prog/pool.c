// SPDX-License-Identifier: BSD-2-Clause
/*
 * Sets of loaded programs with their maps, kept from one test to the next; see pool.h.
 *
 *   KIND-N/svr_...     maps, pinned by libbpf
 *   KIND-N/program0    programs, pinned when both are loaded
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <criterion/criterion.h>
#include <criterion/hooks.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "tests/prog/pool.h"

#define POOL_VARIABLE "SVR_TESTS_POOL"

/*
 * Before all tests, in their parent: a bpffs that is mounted nowhere and goes away with the process. Tests reach it as an
 * open file of their parent. (A mount namespace for all of them is no way: in a chroot, criterion does not find its own
 * program any more.) Who may not do that is told so by the tests.
 */
ReportHook(PRE_ALL)(struct criterion_test_set *tests)
{
	int fs = fsopen("bpf", FSOPEN_CLOEXEC), mount_fd;
	char path[64];

	(void)tests;
	if (fs < 0 || fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
		return;
	mount_fd = fsmount(fs, FSMOUNT_CLOEXEC, 0);
	close(fs);
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", getpid(), mount_fd);
	if (mount_fd >= 0)
		setenv(POOL_VARIABLE, path, 1);
}

const char *pool_root(void)
{
	const char *root = getenv(POOL_VARIABLE);

	cr_assert(root, "no bpffs for the programs");
	return root;
}

int pool_take(const char *kind, char *dir, size_t dir_len)
{
	int n, fd;

	for (n = 0; n < 1024; n++) {
		snprintf(dir, dir_len, "%s/%s-%d", pool_root(), kind, n);
		cr_assert(!mkdir(dir, 0700) || errno == EEXIST, "mkdir %s: %s", dir,
			  strerror(errno));
		fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		cr_assert(fd >= 0, "%s: %s", dir, strerror(errno));
		if (!flock(fd, LOCK_EX | LOCK_NB))
			return fd;
		close(fd);
	}
	cr_assert(false, "a thousand sets of programs are held");
	return -1;
}

static void program_path(char *path, size_t len, const char *dir, size_t i)
{
	snprintf(path, len, "%s/program%zu", dir, i);
}

bool pool_programs(const char *dir, int *fds, size_t count)
{
	char path[128];
	size_t i;

	for (i = 0; i < count; i++) {
		program_path(path, sizeof(path), dir, i);
		fds[i] = bpf_obj_get(path);
		if (fds[i] < 0) {
			while (i--)
				close(fds[i]);
			return false;
		}
	}
	return true;
}

void pool_keep(const char *dir, const int *fds, size_t count)
{
	char path[128];
	size_t i;

	/* a test that was killed here has left the first ones, and the next one makes them anew */
	for (i = 0; i < count; i++) {
		program_path(path, sizeof(path), dir, i);
		unlink(path);
		cr_assert(!bpf_obj_pin(fds[i], path), "%s: %s", path, strerror(errno));
	}
}

/* ---- maps as new ----------------------------------------------------------------------------- */

/* An array that is mapped into memory: one call for all of it */
static void wipe_mapped(const struct bpf_map *map, int fd)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t len =
		(((size_t)bpf_map__value_size(map) + 7) & ~(size_t)7) * bpf_map__max_entries(map);
	void *at;

	len = (len + page - 1) & ~(page - 1);
	at = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	cr_assert(at != MAP_FAILED, "mmap %s: %s", bpf_map__name(map), strerror(errno));
	memset(at, 0, len);
	munmap(at, len);
}

static void wipe_array(const struct bpf_map *map, int fd, size_t value_len)
{
	void *zero = calloc(1, value_len);
	uint32_t i;

	cr_assert(zero);
	for (i = 0; i < bpf_map__max_entries(map); i++)
		cr_assert(!bpf_map_update_elem(fd, &i, zero, BPF_ANY), "%s, row %u: %s",
			  bpf_map__name(map), i, strerror(errno));
	free(zero);
}

static void wipe_keys(const struct bpf_map *map, int fd)
{
	uint8_t key[256];

	cr_assert(bpf_map__key_size(map) <= sizeof(key), "key of %s", bpf_map__name(map));
	while (!bpf_map_get_next_key(fd, NULL, key))
		cr_assert(!bpf_map_delete_elem(fd, key), "%s: %s", bpf_map__name(map),
			  strerror(errno));
}

/* Devices and sockets: there is no asking which rows are taken, and an empty one is no error */
static void wipe_references(const struct bpf_map *map, int fd)
{
	uint32_t i;

	for (i = 0; i < bpf_map__max_entries(map); i++)
		cr_assert(!bpf_map_delete_elem(fd, &i) || errno == ENOENT || errno == EINVAL,
			  "%s, row %u: %s", bpf_map__name(map), i, strerror(errno));
}

static int forget(void *context, void *data, size_t size)
{
	(void)context;
	(void)data;
	(void)size;
	return 0;
}

static void wipe_ring(const struct bpf_map *map, int fd)
{
	struct ring_buffer *ring = ring_buffer__new(fd, forget, NULL, NULL);

	cr_assert(ring && ring_buffer__consume(ring) >= 0, "%s: %s", bpf_map__name(map),
		  strerror(errno));
	ring_buffer__free(ring);
}

void pool_wipe(struct bpf_object *obj)
{
	int cpus = libbpf_num_possible_cpus();
	struct bpf_map *map;

	cr_assert(cpus > 0);
	bpf_object__for_each_map(map, obj) {
		int fd = bpf_map__fd(map);

		if (bpf_map__is_internal(map)) /* constants of the program */
			continue;
		switch (bpf_map__type(map)) {
		case BPF_MAP_TYPE_ARRAY:
			if (bpf_map__map_flags(map) & BPF_F_MMAPABLE)
				wipe_mapped(map, fd);
			else
				wipe_array(map, fd, bpf_map__value_size(map));
			break;
		case BPF_MAP_TYPE_PERCPU_ARRAY:
			wipe_array(map, fd, ((bpf_map__value_size(map) + 7) & ~7U) * (size_t)cpus);
			break;
		case BPF_MAP_TYPE_HASH:
		case BPF_MAP_TYPE_LPM_TRIE:
			wipe_keys(map, fd);
			break;
		case BPF_MAP_TYPE_DEVMAP:
		case BPF_MAP_TYPE_XSKMAP:
			wipe_references(map, fd);
			break;
		case BPF_MAP_TYPE_RINGBUF:
			wipe_ring(map, fd);
			break;
		default:
			cr_assert(false, "%s: how to empty a map of type %d?", bpf_map__name(map),
				  bpf_map__type(map));
		}
	}
}
