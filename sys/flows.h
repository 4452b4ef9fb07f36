/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The flow tables svr_flows4 and svr_flows6 as one: single flows, and walking over all of them, at
 * once for `svr show sessions`, in portions for the worker. Part of libsvrsys. All of it works on
 * mapped memory, without system calls, in any thread, beside the XDP programs and other processes;
 * svr/flowtable.h says how. Only who opened the maps as SVR_WRITER_WORKER may insert and delete.
 */
#ifndef SVR_SYS_FLOWS_H
#define SVR_SYS_FLOWS_H

#include <stdbool.h>
#include <stdint.h>
#include <svr/maps.h>

struct svr_mapset;

/* A copy of a flow of either family; @key in the form of both. 0 or -ENOENT. */
int svr_flow_get(const struct svr_mapset *maps, const struct svr_flow6_key *key,
		 struct svr_flow *flow);
/*
 * -EEXIST if there is one already, or somebody else puts it in at this moment; -E2BIG if the table is
 * full.
 */
int svr_flow_insert(const struct svr_mapset *maps, const struct svr_flow6_key *key,
		    const struct svr_flow *flow);
/* 0 or -ENOENT */
int svr_flow_delete(const struct svr_mapset *maps, const struct svr_flow6_key *key);

/* Number of the row of a flow in its map, for `svr show sessions` and tests. -ENOENT: no flow. */
int64_t svr_flow_row(const struct svr_mapset *maps, const struct svr_flow6_key *key);

/*
 * Free the rows that a process was about to write or to free when it was killed. For the only writer
 * in user space, before it writes anything. Return: how many.
 */
uint32_t svr_flows_reclaim(const struct svr_mapset *maps);

/**
 * svr_flow_hash_make() - what svr_flow_hash must hold before the tables are used for the first time.
 * @buckets4, @buckets6: elements of svr_flow_tags4 and svr_flow_tags6
 * Return: 0, negative errno if there are no random numbers.
 */
int svr_flow_hash_make(uint32_t buckets4, uint32_t buckets6, struct svr_flow_hash *out);

/*
 * Called for each flow with copies. Return: 0 to go on, anything else ends the walk. It may delete
 * flows.
 */
typedef int (*svr_flow_visit)(const struct svr_flow6_key *key, const struct svr_flow *flow,
			      void *user);

struct svr_flow_walk;

/*
 * @maps: must stay open; @portion: flows that one step looks at, about. 0, -ENOMEM.
 */
int svr_flow_walk_new(const struct svr_mapset *maps, uint32_t portion, struct svr_flow_walk **out);
void svr_flow_walk_free(struct svr_flow_walk *w);

/**
 * svr_flow_walk_step() - visit the next portion. A flow that is there from the first step to the
 * last is visited exactly once; one that comes or goes meanwhile may be.
 * Return: 1 if there is more, 0 if this was the last one (the next step starts from the beginning),
 * @visit's value if not 0 (the same).
 */
int svr_flow_walk_step(struct svr_flow_walk *w, svr_flow_visit visit, void *user);

/* All flows. 0, @visit's value if not 0. */
int svr_flow_walk_all(const struct svr_mapset *maps, svr_flow_visit visit, void *user);

#endif
