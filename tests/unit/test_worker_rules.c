// SPDX-License-Identifier: BSD-2-Clause
/* What the worker remembers of the configuration's tables, and when it asks them again. */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <criterion/criterion.h>

#include "sys/mapset.h"
#include "worker/rules.c"

#define SEC 1000000000ULL

static struct svr_router router;
static struct svr_mapset maps;
static struct svr_rules rules;

static const __be32 *address(const char *text)
{
	static __be32 addr[4];

	cr_assert_eq(inet_pton(AF_INET6, text, addr), 1);
	return addr;
}

static void name_put(enum svr_name_kind kind, const char *name, uint32_t index)
{
	struct svr_name_key key = { .kind = kind };

	snprintf(key.name, sizeof(key.name), "%s", name);
	cr_assert_eq(bpf_map_update_elem(maps.fd.names, &key, &index, BPF_ANY), 0);
}

static void access_put(uint32_t service, uint32_t tenant, uint32_t allow)
{
	const struct svr_access_key key = { service, tenant };

	cr_assert_eq(bpf_map_update_elem(maps.fd.access, &key, &allow, BPF_ANY), 0);
}

static void cover_put(const char *addr, uint32_t bits, uint16_t service)
{
	struct svr_service_key key = { .prefixlen = 32 + bits, .family = htonl(SVR_FAMILY_6) };
	const struct svr_service_set set = { .count = 1, .id = { service } };

	memcpy(key.addr, address(addr), sizeof(key.addr));
	cr_assert_eq(bpf_map_update_elem(maps.fd.service_lpm, &key, &set, BPF_ANY), 0);
}

static int map_new(enum bpf_map_type type, size_t key, size_t value, uint32_t flags)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = flags);
	int fd = bpf_map_create(type, "svr_test", (uint32_t)key, (uint32_t)value, 64, &opts);

	cr_assert_geq(fd, 0, "cannot make a map");
	return fd;
}

static void setup(void)
{
	maps.router = &router;
	maps.fd.names = map_new(BPF_MAP_TYPE_HASH, sizeof(struct svr_name_key), 4, 0);
	maps.fd.access = map_new(BPF_MAP_TYPE_HASH, sizeof(struct svr_access_key), 4, 0);
	maps.fd.service_lpm = map_new(BPF_MAP_TYPE_LPM_TRIE, sizeof(struct svr_service_key),
				      sizeof(struct svr_service_set), BPF_F_NO_PREALLOC);
	name_put(SVR_KIND_SERVICE, "web", 5);
	name_put(SVR_KIND_TENANT, "web", 6);
	access_put(5, 6, 1);
	cover_put("2001:db8:1::", 48, 5);
	svr_rules_begin(&rules, &maps, SEC);
}

static void expect_before(const char *when)
{
	cr_expect_eq(svr_rules_name(&rules, &maps, SVR_KIND_SERVICE, "web"), 5, "%s", when);
	cr_expect_eq(svr_rules_name(&rules, &maps, SVR_KIND_TENANT, "web"), 6, "%s", when);
	cr_expect_eq(svr_rules_name(&rules, &maps, SVR_KIND_SERVICE, "mail"), 0, "%s", when);
	cr_expect(svr_rules_access(&rules, &maps, 5, 6), "%s", when);
	cr_expect_not(svr_rules_access(&rules, &maps, 6, 5), "%s", when);
	cr_expect(svr_rules_cover(&rules, &maps, 5, address("2001:db8:1::7")), "%s", when);
	cr_expect_not(svr_rules_cover(&rules, &maps, 6, address("2001:db8:1::7")), "%s", when);
	cr_expect_not(svr_rules_cover(&rules, &maps, 5, address("2001:db8:2::7")), "%s", when);
}

static void change(void)
{
	name_put(SVR_KIND_SERVICE, "web", 15);
	name_put(SVR_KIND_TENANT, "web", 16);
	name_put(SVR_KIND_SERVICE, "mail", 17);
	access_put(5, 6, 0);
	access_put(6, 5, 1);
	cover_put("2001:db8:1::", 48, 6);
	cover_put("2001:db8:2::", 48, 5);
}

static void expect_after(const char *when)
{
	cr_expect_eq(svr_rules_name(&rules, &maps, SVR_KIND_SERVICE, "web"), 15, "%s", when);
	cr_expect_eq(svr_rules_name(&rules, &maps, SVR_KIND_TENANT, "web"), 16, "%s", when);
	cr_expect_eq(svr_rules_name(&rules, &maps, SVR_KIND_SERVICE, "mail"), 17, "%s", when);
	cr_expect_not(svr_rules_access(&rules, &maps, 5, 6), "%s", when);
	cr_expect(svr_rules_access(&rules, &maps, 6, 5), "%s", when);
	cr_expect_not(svr_rules_cover(&rules, &maps, 5, address("2001:db8:1::7")), "%s", when);
	cr_expect(svr_rules_cover(&rules, &maps, 6, address("2001:db8:1::7")), "%s", when);
	cr_expect(svr_rules_cover(&rules, &maps, 5, address("2001:db8:2::7")), "%s", when);
}

Test(worker_rules, answers_hold_until_the_tables_say_that_they_changed, .init = setup)
{
	expect_before("from the tables");
	change();
	svr_rules_begin(&rules, &maps, SEC + 1);
	expect_before("remembered");
	router.rules++;
	expect_before("in the middle of a group of questions");
	svr_rules_begin(&rules, &maps, SEC + 2);
	expect_after("after the change");
}

Test(worker_rules, answers_hold_for_a_second, .init = setup)
{
	expect_before("from the tables");
	change();
	svr_rules_begin(&rules, &maps, 2 * SEC - 1);
	expect_before("remembered");
	svr_rules_begin(&rules, &maps, 2 * SEC);
	expect_after("a second later");
}

Test(worker_rules, more_than_there_is_room_for, .init = setup)
{
	enum { MANY = 5000 };
	char name[SVR_NAME_LEN], addr[64];
	int round, i;

	for (round = 0; round < 2; round++) {
		for (i = 0; i < MANY; i++) {
			snprintf(name, sizeof(name), "name-%d", i);
			cr_assert_eq(svr_rules_name(&rules, &maps, SVR_KIND_SERVICE, name), 0);
			cr_assert_eq(svr_rules_access(&rules, &maps, (uint32_t)i, 6), i == 5);
			snprintf(addr, sizeof(addr), "2001:db8:1::%x", i);
			cr_assert(svr_rules_cover(&rules, &maps, 5, address(addr)));
		}
		expect_before("among many others");
	}
}
