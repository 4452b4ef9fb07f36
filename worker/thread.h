/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A data thread: frames, rings, contexts and counters belong to it alone, so there are no locks in
 * it; sessions are shared (session.h). The main thread asks it to do things with svr_thread_call().
 * Each serves a part of the queues of all devices (sockets.h).
 */
#ifndef SVR_WORKER_THREAD_H
#define SVR_WORKER_THREAD_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <svr/maps.h>

#include "lib/crypt.h"
#include "sys/mapset.h"
#include "worker/counters.h"
#include "worker/keys.h"
#include "worker/mailbox.h"
#include "worker/nexthop.h"
#include "worker/reassembly.h"
#include "worker/rules.h"
#include "worker/session.h"
#include "worker/stats.h"
#include "worker/work.h"
#include "worker/xsk.h"

enum { SVR_HOLD_GROUPS = 64 };

/* So many per second and no more. */
struct svr_tokens {
	uint64_t since_ns;
	uint32_t used;
};
bool svr_tokens_take(struct svr_tokens *b, uint64_t now_ns, uint32_t per_sec);

/* Sockets that reach the device of a zone, by queue. */
struct svr_zone_tx {
	uint16_t count; /* 0: the thread has none, frames go through rawtx */
	uint16_t vlan, outer_vlan; /* tags of its frames, 0: none */
	int ifindex; /* 0: no such device */
	uint16_t port[SVR_MAX_QUEUES]; /* SVR_NO_PORT: none */
};

enum svr_jumbo {
	SVR_JUMBO_FRONT = SVR_META_MAX + 256, /* room for what goes in front of the packet */
	SVR_JUMBO_SIZE = SVR_JUMBO_FRONT + SVR_PACKET_MAX + SVR_META_MAX,
};

struct svr_batch;
struct svr_call;

struct svr_thread_config {
	unsigned int number; /* from 0 */
	int cpu; /* to run on, -1: any */
	unsigned int busy_poll_us; /* before it sleeps it looks for packets itself for so long */
	unsigned int ready_keys; /* room of its keysets */
	struct svr_mapset *maps;
	struct svr_sessions *sessions;
	struct svr_mailbox *mailbox, *whole_mail;
	FILE *keylog; /* NULL: off */
};

struct svr_thread {
	unsigned int number; /* from 0 */
	int cpu;
	unsigned int busy_poll_us;
	struct svr_mapset *maps;
	struct svr_mailbox *mailbox; /* packets that wait for a next hop */
	struct svr_mailbox *whole_mail; /* see whole.h */
	uint8_t *cut; /* buffer of struct svr_cut */
	uint8_t *jumbo; /* SVR_JUMBO_SIZE bytes: a packet that came in several frames */
	FILE *keylog; /* NULL: off */
	struct svr_crypt *crypt;
	uint64_t now_ns; /* CLOCK_MONOTONIC, once per batch */
	uint64_t real_ns; /* CLOCK_REALTIME */
	struct svr_sessions *sessions; /* of all threads */
	struct svr_keysets *keysets; /* keys of sessions, ready for use */
	struct svr_keycache keycache;
	struct svr_nexthop_hints hints;
	struct svr_rules rules;
	struct svr_counters counters;
	struct svr_thread_stats stats;
	struct svr_zone_tx zone_tx[SVR_MAX_ZONES];
	struct svr_tokens icmp_tokens, skew_tokens, rekey_tokens;
	struct svr_tokens hold_tokens[SVR_HOLD_GROUPS]; /* of neighbours, see handover.c */
	struct svr_umem umem;
	struct svr_batch *batch; /* what is in work */
	int rawtx; /* descriptor */

	/* between the threads */
	pthread_t id;
	bool running;
	bool stop;
	pthread_mutex_t lock;
	pthread_cond_t done;
	struct svr_call *calls; /* list under lock */
	bool calls_waiting; /* atomic: look at calls */
	int event_fd;
};

int svr_thread_init(struct svr_thread *t, const struct svr_thread_config *config);
int svr_thread_start(struct svr_thread *t);
/* CLOCK_MONOTONIC, now and not when the batch began. */
uint64_t svr_thread_clock_ns(void);
/* It passes through its loop, soon. */
void svr_thread_wake(struct svr_thread *t);
void svr_thread_stop(struct svr_thread *t);
void svr_thread_free(struct svr_thread *t);

/*
 * Run @fn between two batches and wait for its end. Before the start and after the end of the
 * thread it is just called.
 */
typedef void (*svr_thread_fn)(struct svr_thread *t, void *arg);
void svr_thread_call(struct svr_thread *t, svr_thread_fn fn, void *arg);

/* ---- for the pipelines (batch.h) ----------------------------------------------------------- */

/**
 * svr_thread_send() - finished IP packet out of @zone to a next hop.
 * Takes the frame over if it returns 0; otherwise a negative drop reason.
 */
int svr_thread_send(struct svr_thread *t, struct svr_work *w, uint16_t zone,
		    const struct svr_nexthop *nh);
/*
 * A whole Ethernet frame from other memory out of @zone, in a frame of its own. 0 or a negative
 * drop reason.
 */
int svr_thread_send_copy(struct svr_thread *t, uint16_t zone, uint16_t queue, const void *frame,
			 size_t len);

#endif
