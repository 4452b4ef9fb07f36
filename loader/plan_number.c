// SPDX-License-Identifier: BSD-2-Clause
/* Numbers of everything that has a name: slots in the arrays of the configuration maps. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sys/mapset.h"

#include "cli.h"
#include "plan.h"

/* How one kind of object is numbered. The callbacks get the index in the view and the slot. */
struct numbering {
	const char *what;
	uint32_t count; /* of the view */
	uint32_t slots; /* of the map; slot 0 is never used */
	bool (*free)(const struct svr_maker *mk, uint32_t slot);
	bool (*same)(const struct svr_maker *mk, uint32_t index, uint32_t slot);
	/* NULL, or true if another program still has state of a former owner there */
	bool (*dirty)(const struct svr_maker *mk, uint32_t slot);
};

/* Slots up to the last one that is taken, slot 0 included */
static uint32_t slots_used(const struct svr_maker *mk, const struct numbering *k)
{
	uint32_t n = k->slots;

	while (n > 1 && k->free(mk, n - 1))
		n--;
	return n;
}

static int number(const struct svr_maker *mk, const struct numbering *k, uint32_t *slot_of)
{
	uint32_t used = slots_used(mk, k), next = 1, at = 0;

	/*
	 * Who is there keeps its number; only then it is known which ones are free. The search goes
	 * on behind the last hit, because names mostly stand in the same order as the last time:
	 * there are thousands of services.
	 */
	for (uint32_t i = 0; i < k->count; i++) {
		slot_of[i] = 0;
		for (uint32_t tries = 1; tries < used && !slot_of[i]; tries++) {
			at = at + 1 < used ? at + 1 : 1;
			if (!k->free(mk, at) && k->same(mk, i, at))
				slot_of[i] = at;
		}
	}
	for (uint32_t i = 0; i < k->count; i++) {
		if (slot_of[i])
			continue;
		/*
		 * Slots that become free by this very change stay empty until the next one:
		 * sessions still name them. And a slot in which a former peer's keys or path state
		 * wait for the key manager would make a new one look alive.
		 */
		while (next < k->slots && (!k->free(mk, next) || (k->dirty && k->dirty(mk, next))))
			next++;
		if (next >= k->slots)
			return svr_cli_error(
				mk->cli, -ENOSPC,
				"there is no number left for a %s: %u are there, %u fit. Apply removals first, "
				"additions afterwards, with svr-keymgr running",
				k->what, k->count, k->slots - 1);
		slot_of[i] = next++;
	}
	return 0;
}

/* free and same for objects that are known by their name alone */
#define BY_NAME(kind, field, expr)                                                               \
	static bool kind##_free(const struct svr_maker *mk, uint32_t slot)                       \
	{                                                                                        \
		return !mk->m->field[slot].name[0];                                              \
	}                                                                                        \
	static bool kind##_name_is(const struct svr_maker *mk, uint32_t i, uint32_t slot)        \
	{                                                                                        \
		return !strncmp(mk->m->field[slot].name, expr, sizeof(mk->m->field[slot].name)); \
	}

BY_NAME(zone, zones, mk->v->zones[i].interface)
BY_NAME(tenant, tenants, mk->v->tenants[i].name)
BY_NAME(service, services, mk->v->services[i].cfg->name)
BY_NAME(policy, policies, mk->v->policies[i].name)
BY_NAME(peer, peers, mk->v->peers[i].name)
BY_NAME(path, paths, mk->v->paths[i].name)

/* A peer with another common name is somebody else: it must not get the keys of the former one. */
static bool peer_same(const struct svr_maker *mk, uint32_t i, uint32_t slot)
{
	return peer_name_is(mk, i, slot) &&
	       !strncmp(mk->m->peers[slot].common_name, mk->v->peers[i].peering_common_name,
			SVR_NAME_LEN);
}

static bool peer_dirty(const struct svr_maker *mk, uint32_t slot)
{
	const struct svr_peer_keys *keys = &mk->m->peer_keys[slot];

	for (unsigned int i = 0; i < SVR_KEY_SLOTS; i++) {
		if (keys->peer[i].index || keys->meta[i].index)
			return true;
	}
	return false;
}

/*
 * And a path between other addresses, or to somebody else, is not in service because the former one
 * was.
 */
static bool path_same(const struct svr_maker *mk, uint32_t i, uint32_t slot)
{
	const struct svr_path *have = &mk->m->paths[slot];
	const struct svr_view_path *path = &mk->v->paths[i];

	return path_name_is(mk, i, slot) && have->peer == mk->p->peer_slot[path->peer] &&
	       have->zone == mk->p->zone_slot[path->zone] &&
	       !memcmp(have->local, path->local_address.bytes, sizeof(have->local)) &&
	       !memcmp(have->remote, path->remote_address.bytes, sizeof(have->remote));
}

static bool path_dirty(const struct svr_maker *mk, uint32_t slot)
{
	return mk->m->path_state[slot].status != SVR_PATH_UNUSED;
}

int svr_plan_number(struct svr_maker *mk)
{
	const struct svr_router_view *v = mk->v;
	struct svr_plan *p = mk->p;
	const struct {
		struct numbering k;
		uint32_t **slot_of;
	} kinds[] = {
		/* peers and zones before paths, which name them */
		{ { "network-interface", v->n_zones, mk->m->count.zones, zone_free, zone_name_is,
		    NULL },
		  &p->zone_slot },
		{ { "tenant", v->n_tenants, mk->m->count.tenants, tenant_free, tenant_name_is,
		    NULL },
		  &p->tenant_slot },
		{ { "security policy", v->n_policies, mk->m->count.policies, policy_free,
		    policy_name_is, NULL },
		  &p->policy_slot },
		{ { "peer", v->n_peers, mk->m->count.peers, peer_free, peer_same, peer_dirty },
		  &p->peer_slot },
		{ { "peer path", v->n_paths, mk->m->count.paths, path_free, path_same, path_dirty },
		  &p->path_slot },
		{ { "service", v->n_services, mk->m->count.services, service_free, service_name_is,
		    NULL },
		  &p->service_slot },
	};
	int err = 0;

	for (unsigned int i = 0; i < sizeof(kinds) / sizeof(kinds[0]) && !err; i++) {
		*kinds[i].slot_of = calloc(kinds[i].k.count + 1, sizeof(uint32_t));
		if (!*kinds[i].slot_of)
			return svr_cli_error(mk->cli, -ENOMEM, "out of memory");
		err = number(mk, &kinds[i].k, *kinds[i].slot_of);
	}
	return err;
}
