/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the configuration says about names, permissions and addresses of services. It stands in tables that
 * cost a system call for each look-up, so each thread remembers answers: until the tables change
 * (svr_router.rules), and never for longer than a second.
 */
#ifndef SVR_WORKER_RULES_H
#define SVR_WORKER_RULES_H

#include <stdbool.h>
#include <stdint.h>
#include <svr/maps.h>

struct svr_mapset;

enum { SVR_RULES_NAMES = 256, SVR_RULES_ACCESS = 256, SVR_RULES_COVERS = 1024 };

/* Of one thread. A row is empty while its stamp is not that of the whole. */
struct svr_rules {
	uint32_t number; /* svr_router.rules when it was emptied */
	uint32_t stamp; /* 0: never used */
	uint64_t since_ns;
	struct {
		uint32_t stamp, index;
		struct svr_name_key key;
	} name[SVR_RULES_NAMES];
	struct {
		uint32_t stamp;
		bool allow;
		struct svr_access_key key;
	} access[SVR_RULES_ACCESS];
	struct {
		uint32_t stamp, service;
		bool covered;
		__be32 addr[4];
	} cover[SVR_RULES_COVERS];
};

/* Before a group of questions that belong together: forgets what may have changed. */
void svr_rules_begin(struct svr_rules *r, const struct svr_mapset *maps, uint64_t now_ns);

/* Number of an object, 0: there is none of that name. */
uint32_t svr_rules_name(struct svr_rules *r, const struct svr_mapset *maps, enum svr_name_kind kind,
			const char *name);
/* May the tenant use the service? */
bool svr_rules_access(struct svr_rules *r, const struct svr_mapset *maps, uint32_t service,
		      uint32_t tenant);
/* Is this service one of those that cover the address? */
bool svr_rules_cover(struct svr_rules *r, const struct svr_mapset *maps, uint32_t service,
		     const __be32 addr[static 4]);

#endif
