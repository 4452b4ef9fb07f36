// SPDX-License-Identifier: BSD-2-Clause
/* Reading the maps of a running router; names, addresses and times as text. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "cli.h"
#include "state.h"

enum { PERCPU_BATCH = 1024, NS_PER_SEC = 1000000000 };

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec t = {};

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * NS_PER_SEC + (uint64_t)t.tv_nsec;
}

int svr_state_open(struct svr_cli *cli, struct svr_state *s)
{
	char reason[SVR_CLI_ERROR_LEN] = "";
	int err;

	memset(s, 0, sizeof(*s));
	err = svr_cli_router(cli, &s->router);
	if (err)
		return err;
	err = svr_mapset_open(s->router, SVR_WRITER_NONE, &s->m, reason, sizeof(reason));
	if (err)
		return svr_cli_error(cli, err, "router %s: %.900s", s->router, reason);
	s->now_ns = clock_ns(CLOCK_MONOTONIC);
	s->real_ns = clock_ns(CLOCK_REALTIME);
	return 0;
}

void svr_state_close(struct svr_state *s)
{
	svr_mapset_close(&s->m);
}

/*
 * Whoever writes the maps ends every name with a NUL, and the last byte of a slot is never another
 * one.
 */
#define NAME_OF(kind, field)                                                \
	const char *svr_state_##kind(const struct svr_state *s, uint32_t i) \
	{                                                                   \
		if (!i || i >= s->m.count.field || !s->m.field[i].name[0])  \
			return NULL;                                        \
		return s->m.field[i].name;                                  \
	}
NAME_OF(zone, zones)
NAME_OF(tenant, tenants)
NAME_OF(service, services)
NAME_OF(policy, policies)
NAME_OF(peer, peers)
NAME_OF(path, paths)
#undef NAME_OF

uint32_t svr_state_find_zone(struct svr_cli *cli, const struct svr_state *s, const char *name)
{
	char names[256] = "";
	size_t have = 0;

	for (uint32_t i = 1; i < s->m.count.zones; i++) {
		const char *zone = svr_state_zone(s, i);

		if (!zone)
			continue;
		if (!strcmp(zone, name) || !strcmp(s->m.zones[i].device, name))
			return i;
		if (have < sizeof(names))
			have += (size_t)snprintf(names + have, sizeof(names) - have, "%s%s",
						 have ? ", " : "", zone);
	}
	svr_cli_usage(cli, "router %s has no network-interface \"%s\"; it has: %s", s->router, name,
		      names);
	return 0;
}

int svr_state_percpu(int fd, uint32_t count, uint32_t width, uint64_t **sums)
{
	int cpus = libbpf_num_possible_cpus(), err = 0;
	uint32_t *keys = NULL, in = 0, out = 0, done = 0, n;
	uint64_t *values = NULL, *sum = NULL;
	size_t row;

	if (cpus < 0)
		return cpus;
	keys = calloc(PERCPU_BATCH, sizeof(*keys));
	row = (size_t)cpus * width;
	values = calloc(PERCPU_BATCH * row, sizeof(*values));
	sum = calloc((size_t)count * width, sizeof(*sum));
	if (!keys || !values || !sum) {
		err = -ENOMEM;
		goto out;
	}
	while (done < count) {
		n = PERCPU_BATCH;
		err = bpf_map_lookup_batch(fd, done ? &in : NULL, &out, keys, values, &n, NULL);
		if (err && err != -ENOENT)
			goto out;
		for (uint32_t i = 0; i < n; i++) {
			for (size_t k = 0; k < row && keys[i] < count; k++)
				sum[(size_t)keys[i] * width + k % width] += values[i * row + k];
		}
		done += n;
		in = out;
		if (err || !n)
			break;
	}
	err = 0;
out:
	free(keys);
	free(values);
	if (err) {
		free(sum);
		sum = NULL;
	}
	*sums = sum;
	return err;
}

const char *svr_state_addr(const void *addr, char buf[static SVR_STATE_ADDR_LEN])
{
	if (IN6_IS_ADDR_V4MAPPED((const struct in6_addr *)addr))
		return svr_state_addr4((const uint8_t *)addr + 12, buf);
	if (!inet_ntop(AF_INET6, addr, buf, SVR_STATE_ADDR_LEN))
		*buf = 0;
	return buf;
}

const char *svr_state_addr4(const void *addr, char buf[static SVR_STATE_ADDR_LEN])
{
	if (!inet_ntop(AF_INET, addr, buf, SVR_STATE_ADDR_LEN))
		*buf = 0;
	return buf;
}

const char *svr_state_mac(const uint8_t mac[6], char buf[static SVR_STATE_MAC_LEN])
{
	snprintf(buf, SVR_STATE_MAC_LEN, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2],
		 mac[3], mac[4], mac[5]);
	return buf;
}

const char *svr_state_age(uint64_t ns, char buf[static SVR_STATE_AGE_LEN])
{
	uint64_t s = ns / NS_PER_SEC;

	snprintf(buf, SVR_STATE_AGE_LEN, "%" PRIu64 " days %u:%02u:%02u", s / 86400,
		 (unsigned int)(s / 3600 % 24), (unsigned int)(s / 60 % 60),
		 (unsigned int)(s % 60));
	return buf;
}

const char *svr_state_proto(uint8_t proto, char buf[static 4])
{
	if (proto == IPPROTO_TCP)
		return "TCP";
	if (proto == IPPROTO_UDP)
		return "UDP";
	snprintf(buf, 4, "%u", proto);
	return buf;
}
