// SPDX-License-Identifier: BSD-2-Clause
/* Opening pinned maps, with real ones in a bpffs of the test's own. */
#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <criterion/criterion.h>

#include "sys/mapset.h"

#define ROUTER "unit-west"

static char err[512];

/* A mount namespace with a bpffs that goes away with this process. False: not possible here. */
static bool world(void)
{
	return geteuid() == 0 && unshare(CLONE_NEWNS) == 0 &&
	       mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	       mount("bpf", "/sys/fs/bpf", "bpf", 0, NULL) == 0 &&
	       mkdir("/sys/fs/bpf/svr", 0700) == 0 && mkdir("/sys/fs/bpf/svr/" ROUTER, 0700) == 0;
}

static const char *pin_path(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "/sys/fs/bpf/svr/%s/svr_%s", ROUTER, name);
	return path;
}

static void pin(enum bpf_map_type type, const char *name, size_t key, size_t value,
		uint32_t entries, uint32_t flags)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = flags);
	int fd = bpf_map_create(type, NULL, (__u32)key, (__u32)value, entries, &opts);

	cr_assert_geq(fd, 0, "%s: %s", name, strerror(-fd));
	unlink(pin_path(name));
	cr_assert_eq(bpf_obj_pin(fd, pin_path(name)), 0, "%s", name);
	close(fd);
}

/* All maps of a router as maps.h describes them, small ones. */
static void pin_all(uint32_t abi)
{
	struct svr_router router = { .abi = abi, .name = ROUTER };
	uint32_t zero = 0;
	int fd;

#define X(name, type, writer) pin(BPF_MAP_TYPE_ARRAY, #name, 4, sizeof(type), 5, BPF_F_MMAPABLE);
	SVR_MAPSET_ARRAYS(X)
#undef X
	pin(BPF_MAP_TYPE_ARRAY, "flows4", 4, sizeof(struct svr_flow4_row), 5 * SVR_FLOW_BUCKET,
	    BPF_F_MMAPABLE);
	pin(BPF_MAP_TYPE_ARRAY, "flows6", 4, sizeof(struct svr_flow6_row), 5 * SVR_FLOW_BUCKET,
	    BPF_F_MMAPABLE);
	pin(BPF_MAP_TYPE_HASH, "vlans", sizeof(struct svr_vlan_key), 4, 8, 0);
	pin(BPF_MAP_TYPE_LPM_TRIE, "tenant_lpm", sizeof(struct svr_tenant_key), 4, 8,
	    BPF_F_NO_PREALLOC);
	pin(BPF_MAP_TYPE_LPM_TRIE, "service_lpm", sizeof(struct svr_service_key),
	    sizeof(struct svr_service_set), 8, BPF_F_NO_PREALLOC);
	pin(BPF_MAP_TYPE_HASH, "access", sizeof(struct svr_access_key), 4, 8, 0);
	pin(BPF_MAP_TYPE_HASH, "names", sizeof(struct svr_name_key), 4, 8, 0);
	pin(BPF_MAP_TYPE_HASH, "path_by_addr", sizeof(struct svr_addr_key), 4, 8, 0);
	pin(BPF_MAP_TYPE_DEVMAP, "txports", 4, 4, 8, 0);
	pin(BPF_MAP_TYPE_HASH, "neighbours", sizeof(struct svr_addr_key), 4, 8, 0);
	pin(BPF_MAP_TYPE_XSKMAP, "xsks", 4, 4, 8, 0);
	pin(BPF_MAP_TYPE_PERCPU_ARRAY, "drops", 4, 8, 8, 0);
	pin(BPF_MAP_TYPE_PERCPU_ARRAY, "stats", 4, sizeof(struct svr_zone_stats), 8, 0);
	pin(BPF_MAP_TYPE_RINGBUF, "capture_ring", 0, 0, 4096, 0);

	fd = bpf_obj_get(pin_path("router"));
	cr_assert_geq(fd, 0);
	cr_assert_eq(bpf_map_update_elem(fd, &zero, &router, BPF_ANY), 0);
	close(fd);
}

Test(mapset, names_of_directories)
{
	char path[128], small[10];

	cr_expect_eq(svr_mapset_dir("west", path, sizeof(path)), 0);
	cr_expect_str_eq(path, "/sys/fs/bpf/svr/west");
	cr_expect_eq(svr_mapset_dir("west", small, sizeof(small)), -ENAMETOOLONG);
	cr_expect_eq(svr_mapset_dir("../west", path, sizeof(path)), -EINVAL);
	cr_expect_eq(svr_mapset_dir("..", path, sizeof(path)), -EINVAL);
	cr_expect_eq(svr_mapset_dir("", path, sizeof(path)), -EINVAL);
}

Test(mapset, nothing_pinned_says_what_to_do)
{
	struct svr_mapset m;

	if (!world())
		cr_skip_test("needs root and a mount namespace");
	cr_expect_eq(svr_mapset_open("nobody", SVR_WRITER_NONE, &m, err, sizeof(err)), -ENOENT);
	cr_expect_not_null(strstr(err, "/sys/fs/bpf/svr/nobody/svr_router"), "%s", err);
	cr_expect_not_null(strstr(err, "svr link set dev"), "%s", err);
	svr_mapset_close(&m); /* harmless after a failed open */
	cr_expect_eq(svr_mapset_open("a/b", SVR_WRITER_NONE, &m, err, sizeof(err)), -EINVAL);
}

Test(mapset, elements_are_where_the_kernel_has_them)
{
	struct svr_mapset m, reader;
	struct svr_zone zone;
	struct svr_service service;
	uint32_t i;

	if (!world())
		cr_skip_test("needs root and a mount namespace");
	pin_all(SVR_ABI_VERSION);
	cr_assert_eq(svr_mapset_open(ROUTER, SVR_WRITER_SVR, &m, err, sizeof(err)), 0, "%s", err);
	cr_expect_eq(m.count.zones, 5);
	cr_expect_str_eq(m.router->name, ROUTER);
	/*
	 * what a program writes through its pointer is what the system call and other processes
	 * see, for every element
	 */
	for (i = 0; i < m.count.zones; i++) {
		m.zones[i].ifindex = 100 + i;
		memset(m.zones[i].device, 'a' + (int)i, 5);
		m.services[i].policy = 200 + i;
	}
	for (i = 0; i < m.count.zones; i++) {
		cr_assert_eq(bpf_map_lookup_elem(m.fd.zones, &i, &zone), 0);
		cr_expect_eq(zone.ifindex, 100 + i, "zone %u", i);
		cr_expect(zone.device[4] == (char)('a' + i) && zone.device[5] == 0, "zone %u", i);
		cr_assert_eq(bpf_map_lookup_elem(m.fd.services, &i, &service), 0);
		cr_expect_eq(service.policy, 200 + i, "service %u", i);
	}
	cr_assert_eq(svr_mapset_open(ROUTER, SVR_WRITER_NONE, &reader, err, sizeof(err)), 0, "%s",
		     err);
	cr_expect_eq(reader.zones[4].ifindex, 104);
	svr_mapset_close(&reader);
	svr_mapset_close(&m);
	cr_expect_null(m.zones);
	svr_mapset_close(&m); /* twice is fine */
}

Test(mapset, a_reader_cannot_change_hashes)
{
	struct svr_access_key key = { 1, 2 };
	uint32_t allow = 1;
	struct svr_mapset m;

	if (!world())
		cr_skip_test("needs root and a mount namespace");
	pin_all(SVR_ABI_VERSION);
	cr_assert_eq(svr_mapset_open(ROUTER, SVR_WRITER_NONE, &m, err, sizeof(err)), 0, "%s", err);
	cr_expect_eq(bpf_map_update_elem(m.fd.access, &key, &allow, BPF_ANY), -EPERM);
	svr_mapset_close(&m);
}

/* Lets the kernel write one byte there: false (EFAULT) where a store of ours would be a fault. */
static bool writable(void *p)
{
	int fd[2];
	bool ok;

	cr_assert_eq(pipe(fd), 0);
	cr_assert_eq(write(fd[1], "", 1), 1);
	ok = read(fd[0], p, 1) == 1;
	cr_assert(ok || errno == EFAULT);
	close(fd[0]);
	close(fd[1]);
	return ok;
}

Test(mapset, each_program_can_write_its_own_arrays_only)
{
	enum svr_writer who;
	struct svr_mapset m;

	if (!world())
		cr_skip_test("needs root and a mount namespace");
	pin_all(SVR_ABI_VERSION);
	for (who = SVR_WRITER_NONE; who <= SVR_WRITER_WORKER; who++) {
		cr_assert_eq(svr_mapset_open(ROUTER, who, &m, err, sizeof(err)), 0, "%s", err);
		/* the last byte of the last element, which is not the version number */
#define X(name, type, writer)                                                         \
	cr_expect_eq(writable((uint8_t *)&m.name[m.count.name] - 1), who == (writer), \
		     "writer %d, " #name, who);
		SVR_MAPSET_ARRAYS(X)
#undef X
		svr_mapset_close(&m);
	}
}

Test(mapset, maps_of_another_version_are_refused)
{
	static const struct {
		const char *name;
		enum bpf_map_type type;
		size_t key, value;
		uint32_t flags;
	} rows[] = {
		{ "zones", BPF_MAP_TYPE_ARRAY, 4, sizeof(struct svr_zone) - 4, BPF_F_MMAPABLE },
		{ "sessions", BPF_MAP_TYPE_ARRAY, 4, sizeof(struct svr_session) + 8,
		  BPF_F_MMAPABLE },
		{ "nonces", BPF_MAP_TYPE_HASH, 4, sizeof(struct svr_nonce_slot), 0 },
		{ "flows4", BPF_MAP_TYPE_ARRAY, 4, sizeof(struct svr_flow4_row) - 8,
		  BPF_F_MMAPABLE },
		{ "flows4", BPF_MAP_TYPE_HASH, sizeof(struct svr_flow4_key),
		  sizeof(struct svr_flow), 0 },
		{ "names", BPF_MAP_TYPE_HASH, 64, 4, 0 },
		{ "drops", BPF_MAP_TYPE_ARRAY, 4, 8, 0 },
	};
	struct svr_mapset m;
	size_t i;

	if (!world())
		cr_skip_test("needs root and a mount namespace");
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		pin_all(SVR_ABI_VERSION);
		pin(rows[i].type, rows[i].name, rows[i].key, rows[i].value, 8, rows[i].flags);
		cr_expect_eq(svr_mapset_open(ROUTER, SVR_WRITER_NONE, &m, err, sizeof(err)),
			     -EPROTO, "row %zu", i);
		cr_expect_not_null(strstr(err, rows[i].name), "row %zu: %s", i, err);
		cr_expect_not_null(strstr(err, "another version"), "row %zu: %s", i, err);
	}
	pin_all(SVR_ABI_VERSION);
	pin(BPF_MAP_TYPE_ARRAY, "flow_tags6", 4, 8, 6, BPF_F_MMAPABLE);
	cr_expect_eq(svr_mapset_open(ROUTER, SVR_WRITER_NONE, &m, err, sizeof(err)), -EPROTO);
	cr_expect_not_null(strstr(err, "40 and 40 rows, their tags are for 40 and 48"), "%s", err);
	pin_all(SVR_ABI_VERSION + 1);
	cr_expect_eq(svr_mapset_open(ROUTER, SVR_WRITER_NONE, &m, err, sizeof(err)), -EPROTO);
	cr_expect_not_null(strstr(err, "map layout"), "%s", err);
	pin_all(0);
	cr_expect_eq(svr_mapset_open(ROUTER, SVR_WRITER_NONE, &m, err, sizeof(err)), -EPROTO);
	cr_expect_not_null(strstr(err, "no configuration"), "%s", err);
	pin_all(SVR_ABI_VERSION);
	cr_assert_eq(unlink(pin_path("stats")), 0);
	cr_expect_eq(svr_mapset_open(ROUTER, SVR_WRITER_NONE, &m, err, sizeof(err)), -ENOENT);
	cr_expect_not_null(strstr(err, "svr_stats"), "%s", err);
	/* an array that was not made for mapping */
	pin_all(SVR_ABI_VERSION);
	pin(BPF_MAP_TYPE_ARRAY, "paths", 4, sizeof(struct svr_path), 8, 0);
	cr_expect_lt(svr_mapset_open(ROUTER, SVR_WRITER_NONE, &m, err, sizeof(err)), 0);
	cr_expect_not_null(strstr(err, "cannot map"), "%s", err);
}
