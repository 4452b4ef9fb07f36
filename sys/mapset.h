/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The pinned maps of one router as user space sees them: file descriptors, and pointers for the arrays that are mapped.
 * Every program opens them here, so names, sizes and the ABI check exist once. Part of libsvrsys.
 */
#ifndef SVR_SYS_MAPSET_H
#define SVR_SYS_MAPSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <svr/maps.h>

/* X(member, map name without "svr_") for hashes, tries and per-CPU maps: a file descriptor only. */
#define SVR_MAPSET_FDS(X) \
	X(vlans) X(tenant_lpm) X(service_lpm) X(access) X(names) X(path_by_addr) X(txports) X(neighbours) X(xsks) \
	X(drops) X(stats) X(capture_ring)

/* X(member, element type, writer) for mapped arrays: descriptor, pointer and number of elements. */
#define SVR_MAPSET_ARRAYS(X)                                  \
	X(router, struct svr_router, SVR_WRITER_SVR)          \
	X(zones, struct svr_zone, SVR_WRITER_SVR)             \
	X(tenants, struct svr_tenant, SVR_WRITER_SVR)         \
	X(services, struct svr_service, SVR_WRITER_SVR)       \
	X(session_types, struct svr_session_type, SVR_WRITER_SVR) \
	X(port_types, struct svr_port_types, SVR_WRITER_SVR)  \
	X(policies, struct svr_policy, SVR_WRITER_SVR)        \
	X(peers, struct svr_peer, SVR_WRITER_SVR)             \
	X(captures, struct svr_capture, SVR_WRITER_SVR)       \
	X(paths, struct svr_path, SVR_WRITER_SVR)             \
	X(path_state, struct svr_path_state, SVR_WRITER_KEYMGR) \
	X(peer_keys, struct svr_peer_keys, SVR_WRITER_KEYMGR) \
	X(own_keys, struct svr_own_keys, SVR_WRITER_KEYMGR)   \
	X(keymgr_drops, uint64_t, SVR_WRITER_KEYMGR)          \
	X(nexthops, struct svr_nexthop, SVR_WRITER_WORKER)    \
	X(sessions, struct svr_session, SVR_WRITER_WORKER)    \
	X(session_hmacs, struct svr_session_hmac, SVR_WRITER_WORKER) \
	X(session_others, struct svr_session_other, SVR_WRITER_WORKER) \
	X(nonces, struct svr_nonce_slot, SVR_WRITER_WORKER)   \
	X(worker_drops, uint64_t, SVR_WRITER_WORKER)          \
	X(worker_stats, uint64_t, SVR_WRITER_WORKER)          \
	X(flow_hash, struct svr_flow_hash, SVR_WRITER_SVR)    \
	X(flow_tags4, uint64_t, SVR_WRITER_WORKER)            \
	X(flow_tags6, uint64_t, SVR_WRITER_WORKER)            \
	X(flows4, struct svr_flow4_row, SVR_WRITER_WORKER)    \
	X(flows6, struct svr_flow6_row, SVR_WRITER_WORKER)

/* The kernel's stride in mapped pages is the value size rounded up to 8; only then is element[i] of a C array the same. */
#define X(name, type, writer) _Static_assert(sizeof(type) % 8 == 0, "element of mapped array " #name);
SVR_MAPSET_ARRAYS(X)
#undef X

enum svr_writer {
	SVR_WRITER_NONE,	/* opens everything read-only */
	SVR_WRITER_SVR,
	SVR_WRITER_KEYMGR,
	SVR_WRITER_WORKER,
};

struct svr_mapset {
	struct {
#define X(name) int name;
		SVR_MAPSET_FDS(X)
#undef X
#define X(name, type, writer) int name;
		SVR_MAPSET_ARRAYS(X)
#undef X
	} fd;
	struct {
#define X(name, type, writer) uint32_t name;
		SVR_MAPSET_ARRAYS(X)
#undef X
	} count;
	/* Mapped writable only for the program that is the array's writer; a write by another one faults. */
#define X(name, type, writer) type *name;
	SVR_MAPSET_ARRAYS(X)
#undef X
	char dir[128];		/* pin directory */
};

/**
 * svr_mapset_open() - open and map all pinned maps of a router.
 * @router: router name
 * @writer: who asks; decides which arrays are mapped writable
 * @err, @err_len: one-line reason if it fails, naming the map and the next step ("run: svr link set dev ... up")
 * Return: 0, -ENOENT if nothing is pinned, -EPROTO if the ABI version or a size differs, other negative errno.
 */
int svr_mapset_open(const char *router, enum svr_writer writer, struct svr_mapset *out, char *err, size_t err_len);
void svr_mapset_close(struct svr_mapset *m);

/* Descriptors of the maps with the members' names. */
struct svr_flow_fds {
	int flow_hash, flow_tags4, flow_tags6, flows4, flows6;
};

/*
 * The flow tables alone, of maps that were made a moment ago and are not pinned (tests, benchmarks): maps them writable and
 * fills svr_flow_hash. The descriptors stay the caller's. 0 or negative errno.
 */
int svr_mapset_of_flows(const struct svr_flow_fds *fds, struct svr_mapset *out);

/* Pin directory of a router ("/sys/fs/bpf/svr/<router>"). 0 or -ENAMETOOLONG. */
int svr_mapset_dir(const char *router, char *buf, size_t len);

#endif
