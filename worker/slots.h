/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Slots of svr_sessions, shared by all data threads: which ones are free, which hold a live
 * session, and which were left by a session that is over but may still be looked at by a thread.
 *
 * Threads work on slots without a lock. So a slot whose session ended is not used again before every
 * thread has passed the end of a round, in which it forgets what it made for that session
 * (svr_slots_pass(), one load per round while nothing ended). Then svr_slots_collect() frees it.
 * That is what RCU calls a grace period. No sockets, no maps: a unit test runs it with many threads.
 */
#ifndef SVR_WORKER_SLOTS_H
#define SVR_WORKER_SLOTS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

enum { SVR_MAX_THREADS = 32, SVR_CACHE_LINE = 64 };

struct svr_slots {
	/*
	 * Held by whoever makes, changes or ends a session; never needed for a packet of an established
	 * one. Recursive: making a session may end another.
	 */
	pthread_mutex_t lock;
	uint32_t count; /* slots; number 0 is never given out */
	uint32_t n_live; /* atomic: read without the lock, too */
	uint32_t n_free;
	uint32_t free_head; /* free slots are used in turn: a slot rests as long as possible */
	uint32_t *free; /* ring of count slots */
	uint32_t *live; /* those in use, in no order */
	uint32_t *live_pos; /* where a slot stands in live[] */
	uint32_t *ended; /* ring of count slots */
	uint64_t ended_head,
		ended_tail; /* atomic: numbers of the oldest in the ring and the next */
	struct {
		bool running; /* under lock */
		uint64_t passed; /* atomic: this thread is done with what ended before this number */
		char pad[SVR_CACHE_LINE - 2 * sizeof(uint64_t)];
	} thread[SVR_MAX_THREADS] __attribute__((aligned(SVR_CACHE_LINE)));
};

int svr_slots_init(struct svr_slots *s, uint32_t count); /* 0 or -ENOMEM; all slots are nobody's */
void svr_slots_free(struct svr_slots *s);

/* ---- all of these need the lock ------------------------------------------------------------ */

uint32_t svr_slots_take(struct svr_slots *s); /* 0: none is free */
void svr_slots_give(struct svr_slots *s, uint32_t slot); /* nobody can know it any more */
void svr_slots_live_add(struct svr_slots *s, uint32_t slot);
void svr_slots_live_remove(struct svr_slots *s, uint32_t slot);
/* The session of @slot is over: it will be collected when all threads have passed. */
void svr_slots_end(struct svr_slots *s, uint32_t slot);
/* A slot that all threads have passed, now the caller's; 0: there is none. */
uint32_t svr_slots_collect(struct svr_slots *s);
/* True if some wait for threads to pass. */
bool svr_slots_waiting(const struct svr_slots *s);

/* ---- threads ------------------------------------------------------------------------------- */

/* From here on slots wait for thread number @thread to pass, and from there on no longer. */
void svr_slots_thread_start(struct svr_slots *s, unsigned int thread);
void svr_slots_thread_stop(struct svr_slots *s, unsigned int thread);

/**
 * svr_slots_pass() - between two rounds of a thread: it holds no slot.
 * @forget: called for each slot whose session ended since the last time
 */
void svr_slots_pass(struct svr_slots *s, unsigned int thread,
		    void (*forget)(uint32_t slot, void *user), void *user);

#endif
