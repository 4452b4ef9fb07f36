// SPDX-License-Identifier: BSD-2-Clause
/* Answers of the configuration's tables, remembered. */
#include <arpa/inet.h>
#include <string.h>

#include <bpf/bpf.h>

#include "lib/addr.h"
#include "sys/mapset.h"
#include "worker/rules.h"

/* Should `svr` be killed while it writes the tables, nobody says that they have changed. */
#define RULES_LIFE_NS 1000000000ULL

void svr_rules_begin(struct svr_rules *r, const struct svr_mapset *maps, uint64_t now_ns)
{
	/* Before any table is read: whatever changes afterwards has another number */
	const uint32_t number = __atomic_load_n(&maps->router->rules, __ATOMIC_ACQUIRE);

	if (r->stamp && r->number == number && now_ns - r->since_ns < RULES_LIFE_NS)
		return;
	if (++r->stamp == 0) { /* rows of long ago must not look new */
		memset(r, 0, sizeof(*r));
		r->stamp = 1;
	}
	r->number = number;
	r->since_ns = now_ns;
}

/* Keys are whole words, and zero where nothing stands. */
static uint32_t hash(const void *key, size_t len)
{
	const uint64_t odd = 0x9e3779b97f4a7c15ULL; /* 2^64 / golden ratio */
	uint64_t h = 0;
	uint32_t word;
	size_t i;

	for (i = 0; i + sizeof(word) <= len; i += sizeof(word)) {
		memcpy(&word, (const uint8_t *)key + i, sizeof(word));
		h = (h ^ word) * odd;
		h ^= h >> 32;
	}
	return (uint32_t)h;
}

uint32_t svr_rules_name(struct svr_rules *r, const struct svr_mapset *maps, enum svr_name_kind kind,
			const char *name)
{
	struct svr_name_key key = { .kind = kind };
	__typeof__(&r->name[0]) row;

	memcpy(key.name, name, strnlen(name, sizeof(key.name) - 1));
	row = &r->name[hash(&key, sizeof(key)) % SVR_RULES_NAMES];
	if (row->stamp == r->stamp && memcmp(&row->key, &key, sizeof(key)) == 0)
		return row->index;
	row->key = key;
	if (bpf_map_lookup_elem(maps->fd.names, &key, &row->index))
		row->index = 0;
	row->stamp = r->stamp;
	return row->index;
}

bool svr_rules_access(struct svr_rules *r, const struct svr_mapset *maps, uint32_t service,
		      uint32_t tenant)
{
	const struct svr_access_key key = { .service = service, .tenant = tenant };
	__typeof__(&r->access[0]) row = &r->access[hash(&key, sizeof(key)) % SVR_RULES_ACCESS];
	uint32_t allow;

	if (row->stamp == r->stamp && memcmp(&row->key, &key, sizeof(key)) == 0)
		return row->allow;
	row->key = key;
	row->allow = bpf_map_lookup_elem(maps->fd.access, &key, &allow) == 0 && allow == 1;
	row->stamp = r->stamp;
	return row->allow;
}

static bool cover_find(const struct svr_mapset *maps, uint32_t service, const __be32 addr[static 4])
{
	struct svr_service_key key = {
		.prefixlen = 32 + 128,
		.family = htonl(svr_addr_is_mapped(addr) ? SVR_FAMILY_4 : SVR_FAMILY_6),
	};
	struct svr_service_set set;
	unsigned int i;

	svr_addr_copy(key.addr, addr);
	if (bpf_map_lookup_elem(maps->fd.service_lpm, &key, &set))
		return false;
	for (i = 0; i < set.count && i < SVR_MAX_SVC_PER_PREFIX; i++)
		if ((set.id[i] & ~SVR_SET_WIDER) == service)
			return true;
	return false;
}

bool svr_rules_cover(struct svr_rules *r, const struct svr_mapset *maps, uint32_t service,
		     const __be32 addr[static 4])
{
	const uint32_t h = hash(addr, 4 * sizeof(*addr)) + service;
	__typeof__(&r->cover[0]) row = &r->cover[h % SVR_RULES_COVERS];

	if (row->stamp == r->stamp && row->service == service && svr_addr_equal(row->addr, addr))
		return row->covered;
	row->service = service;
	svr_addr_copy(row->addr, addr);
	row->covered = cover_find(maps, service, addr);
	row->stamp = r->stamp;
	return row->covered;
}
