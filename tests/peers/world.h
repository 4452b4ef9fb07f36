/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two routers in one process: their peerings, a clock that only the test moves, what each has
 * stored, and the link between them, which loses, doubles, delays and swaps as the test says.
 * Everything follows from the seed.
 */
#ifndef SVR_TESTS_PEERS_WORLD_H
#define SVR_TESTS_PEERS_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/peering.h"

enum {
	WORLD_PATHS_MAX = 3,
	WORLD_QUEUE_MAX = 4096,
	WORLD_JOBS_MAX = 64,
	WORLD_INDEXES = 256,
	WORLD_TRAFFIC_MAX = 512,
	WORLD_DATA_MAX = 1500, /* bytes of UDP payload: what an interface of this world takes */
};

struct world;

struct node {
	struct world *world;
	int number; /* 0: "east", the smaller common name; 1: "west" */
	const char *name;
	struct svr_peering *peering; /* NULL: the process does not run */
	struct svr_crypt *crypt;
	struct svr_pki_identity *identity;
	struct svr_pki_trust *trust;
	uint16_t group;
	struct svr_own_keys own;
	/* what is stored: survives the process */
	struct svr_peer_keys keys;
	struct svr_path_state path[WORLD_PATHS_MAX];
	int64_t clock_ns; /* real time of this router minus that of the world */
	uint64_t sent, received, drops[128], refused[128];
	bool mtu_alarm[WORLD_PATHS_MAX]; /* so does what its owner was told */
	unsigned int keys_made;
	unsigned int failures_said; /* lines of the log about exchanges that failed */
	/* indexes of keys: of the peer that were ever confirmed here; of all kinds that were lost */
	uint32_t confirmed[WORLD_INDEXES], lost[WORLD_INDEXES];
	unsigned int n_confirmed, n_lost;
	uint64_t stopped_ns; /* when the process ended */
	bool quiet; /* nothing of it gets out */
};

struct flight { /* a packet under way */
	uint64_t at_ns;
	uint64_t order;
	int to;
	unsigned int path;
	size_t len;
	uint8_t data[WORLD_DATA_MAX];
};

/*
 * A session packet under way, as far as keys go: what the sender's stored keys say, and what the
 * receiver's have to say when it arrives, whether the processes run or not.
 */
struct traffic {
	uint64_t at_ns, sent_ns;
	int to;
	uint32_t peer_index, meta_index;
	uint8_t hmac[SVR_HMAC_KEY_LEN], meta[SVR_META_KEY_LEN];
};

struct world {
	uint64_t now_ns;
	uint64_t rng;
	unsigned int paths;
	struct svr_bfd_config bfd;
	uint32_t hold_down_ms;
	uint32_t hold_down_max_ms; /* not 0: with damping */
	struct svr_linktest_config test;
	struct svr_pathmtu_config mtu;
	bool plain; /* RFC 5880 only, on all paths */
	struct node node[2];
	/* link */
	unsigned int loss, duplicate; /* of 1000 packets */
	uint64_t delay_ns, jitter_ns; /* jitter above the distance of packets swaps them */
	bool path_cut[WORLD_PATHS_MAX];
	/* Each packet sent, before loss; false: it is lost. */
	bool (*filter)(struct world *w, const struct flight *f, void *arg);
	void *filter_arg;
	struct flight *queue;
	unsigned int queued;
	/* computations under way; each takes up to compute_ns */
	struct {
		struct svr_kex_job *job;
		uint64_t at_ns;
	} job[WORLD_JOBS_MAX];
	unsigned int jobs;
	uint64_t compute_ns;
	/* rotation */
	uint64_t rekey_ms;
	uint32_t hold_ms;
	struct traffic traffic[WORLD_TRAFFIC_MAX];
	unsigned int n_traffic;
	uint64_t traffic_sent; /* session packets that were checked */
	bool tampered; /* the test changes what is stored: nobody is to blame for what follows */
	char fault[256]; /* the first packet that its receiver could not read; "" = none */
	uint64_t sent;
	bool verbose;
	bool real_dh; /* libcrypto's Diffie-Hellman */
};

/* Certificates of both, made once for a test program. */
void world_identities(void);
struct svr_pki_identity *world_identity(int number);

/* Both routers, pinned to each other's fingerprint, not started. */
struct world *world_new(uint64_t seed, unsigned int paths);
void world_free(struct world *w);
uint64_t world_random(struct world *w, uint64_t below);

void node_start(struct node *n);
/* What node_start() configures path @path with. */
void node_path_config(const struct node *n, unsigned int path,
		      struct svr_peering_path_config *config);
void node_stop(struct node *n); /* killed: what is stored stays */
void node_forget(struct node *n); /* the stored state is lost, metadata keys too */
/* Another own metadata key. 0, -EBUSY. */
int node_rotate(struct node *n);

/* Let time pass. */
void world_run(struct world *w, uint64_t ms);
/* Until both agree, or @ms have passed. True if they agree. */
bool world_run_until_agreed(struct world *w, uint64_t ms);
/*
 * The same keys on both sides, all metadata keys delivered, all paths that are not cut in service.
 */
bool world_agreed(const struct world *w);
/* Why not, for a message. */
const char *world_describe(const struct world *w);

/* Hands a packet to a router at once; its verdict. */
int node_receive(struct node *n, unsigned int path, const uint8_t *data, size_t len, int ttl);

extern const struct svr_dh_ops world_dh; /* cheap, insecure, commutative */

#endif
