/* SPDX-License-Identifier: BSD-2-Clause */
/* What apply.c and the plan_*.c files share: the contents of the configuration maps in the making. */
#ifndef SVR_LOADER_PLAN_H
#define SVR_LOADER_PLAN_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <svr/maps.h>

#include "lib/config.h"
#include "lib/meta.h"

#include "keyed.h"

struct svr_cli;
struct svr_mapset;

enum {
	SVR_PLAN_MAPPED_BITS = 96, /* IPv4 prefixes in the 128-bit form, RFC 4291 2.5.5.2 */
	SVR_PLAN_FRONT_BITS =
		32, /* in front of the address in svr_tenant_lpm and svr_service_lpm */
};

struct svr_plan {
	struct svr_router router;
	/* one entry per slot of the map; an empty name frees the slot */
	struct svr_zone *zones;
	struct svr_tenant *tenants;
	struct svr_service *services;
	struct svr_session_type *session_types; /* in the order of the configuration, from slot 1 */
	struct svr_port_types *port_types;
	struct svr_policy *policies;
	size_t n_policies;
	struct svr_peer *peers;
	struct svr_path *paths;
	struct svr_keyed vlans, tenant_lpm, service_lpm, access, names, path_by_addr;
	/* index in the view -> slot */
	uint32_t *zone_slot, *tenant_slot, *service_slot, *policy_slot, *peer_slot, *path_slot;
};

struct svr_maker {
	struct svr_cli *cli;
	const struct svr_mapset *m;
	const struct svr_router_view *v;
	struct svr_plan *p;
};

/* A slot for everything that has a name: who is there keeps its number. 0 or a negative errno that was told. */
int svr_plan_number(struct svr_maker *mk);

/* The rows of svr_services, of svr_service_lpm and of svr_access. 0 or a negative errno that was told. */
int svr_plan_services(struct svr_maker *mk);
void svr_plan_session_types(struct svr_maker *mk);
int svr_plan_service_lpm(struct svr_maker *mk);
int svr_plan_access(struct svr_maker *mk);

static inline void svr_plan_put_name(char name[static SVR_NAME_LEN], const char *from)
{
	snprintf(name, SVR_NAME_LEN, "%s", from);
}

static inline void svr_plan_frag_add(struct svr_meta_frag *f, uint16_t type, const char *text)
{
	/* Names are shorter than SVR_NAME_LEN, so two of them always fit */
	int n = svr_tlv_put(f->tlv + f->len, sizeof(f->tlv) - f->len, type, text, strlen(text));

	if (n > 0)
		f->len = (uint16_t)(f->len + n);
}

/* Bits of a prefix in the 128-bit form of its address */
static inline uint8_t svr_plan_bits128(const struct svr_cfg_prefix *prefix)
{
	return (uint8_t)(prefix->addr.family == 4 ? SVR_PLAN_MAPPED_BITS + prefix->len :
						    prefix->len);
}

#endif
