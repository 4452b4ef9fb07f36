// SPDX-License-Identifier: BSD-2-Clause
/* Free, live and ended slots, and the grace period between the last two. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "worker/slots.h"

int svr_slots_init(struct svr_slots *s, uint32_t count)
{
	pthread_mutexattr_t attr;

	memset(s, 0, sizeof(*s));
	s->count = count;
	s->free = calloc(count, sizeof(*s->free));
	s->live = calloc(count, sizeof(*s->live));
	s->live_pos = calloc(count, sizeof(*s->live_pos));
	s->ended = calloc(count, sizeof(*s->ended));
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
	pthread_mutex_init(&s->lock, &attr);
	pthread_mutexattr_destroy(&attr);
	return s->free && s->live && s->live_pos && s->ended ? 0 : -ENOMEM;
}

void svr_slots_free(struct svr_slots *s)
{
	if (!s->count)
		return;
	free(s->free);
	free(s->live);
	free(s->live_pos);
	free(s->ended);
	pthread_mutex_destroy(&s->lock);
	memset(s, 0, sizeof(*s));
}

/* ---- free and live ------------------------------------------------------------------------- */

uint32_t svr_slots_take(struct svr_slots *s)
{
	uint32_t slot;

	if (s->n_free == 0)
		return 0;
	slot = s->free[s->free_head];
	s->free_head = (s->free_head + 1) % s->count;
	s->n_free--;
	return slot;
}

void svr_slots_give(struct svr_slots *s, uint32_t slot)
{
	s->free[(s->free_head + s->n_free) % s->count] = slot;
	s->n_free++;
}

void svr_slots_live_add(struct svr_slots *s, uint32_t slot)
{
	s->live_pos[slot] = s->n_live;
	s->live[s->n_live] = slot;
	__atomic_store_n(&s->n_live, s->n_live + 1, __ATOMIC_RELAXED);
}

void svr_slots_live_remove(struct svr_slots *s, uint32_t slot)
{
	uint32_t pos = s->live_pos[slot], last = s->live[s->n_live - 1];

	s->live[pos] = last;
	s->live_pos[last] = pos;
	__atomic_store_n(&s->n_live, s->n_live - 1, __ATOMIC_RELAXED);
}

/* ---- ended --------------------------------------------------------------------------------- */

void svr_slots_end(struct svr_slots *s, uint32_t slot)
{
	s->ended[s->ended_tail % s->count] = slot;
	/* The entry first: threads read it without the lock */
	__atomic_store_n(&s->ended_tail, s->ended_tail + 1, __ATOMIC_RELEASE);
}

/* Number up to which all threads have passed. */
static uint64_t passed_by_all(const struct svr_slots *s)
{
	uint64_t least = s->ended_tail, passed;
	unsigned int i;

	for (i = 0; i < SVR_MAX_THREADS; i++) {
		if (!s->thread[i].running)
			continue;
		passed = __atomic_load_n(&s->thread[i].passed, __ATOMIC_ACQUIRE);
		if (passed < least)
			least = passed;
	}
	return least;
}

uint32_t svr_slots_collect(struct svr_slots *s)
{
	if (s->ended_head == s->ended_tail || s->ended_head == passed_by_all(s))
		return 0;
	return s->ended[s->ended_head++ % s->count];
}

bool svr_slots_waiting(const struct svr_slots *s)
{
	return s->ended_head != s->ended_tail;
}

/* ---- threads ------------------------------------------------------------------------------- */

void svr_slots_thread_start(struct svr_slots *s, unsigned int thread)
{
	pthread_mutex_lock(&s->lock);
	__atomic_store_n(&s->thread[thread].passed, s->ended_tail, __ATOMIC_RELAXED);
	s->thread[thread].running = true;
	pthread_mutex_unlock(&s->lock);
}

void svr_slots_thread_stop(struct svr_slots *s, unsigned int thread)
{
	pthread_mutex_lock(&s->lock);
	s->thread[thread].running = false;
	pthread_mutex_unlock(&s->lock);
}

void svr_slots_pass(struct svr_slots *s, unsigned int thread,
		    void (*forget)(uint32_t slot, void *user), void *user)
{
	uint64_t passed = s->thread[thread].passed; /* only this thread writes it */
	uint64_t tail = __atomic_load_n(&s->ended_tail, __ATOMIC_ACQUIRE);

	if (passed == tail)
		return;
	/* None of these can be collected, and its entry overwritten, before this thread has passed */
	for (; passed != tail; passed++)
		forget(s->ended[passed % s->count], user);
	__atomic_store_n(&s->thread[thread].passed, tail, __ATOMIC_RELEASE);
}
