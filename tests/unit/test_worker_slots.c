// SPDX-License-Identifier: BSD-2-Clause
/*
 * What several data threads share: slots and their grace period, the replay window. The stress tests
 * check what was delivered; `make check-threads` runs them with ThreadSanitizer as well.
 */
#include <pthread.h>
#include <stdlib.h>

#ifdef __SANITIZE_THREAD__
#include "tests/unit/bare.h"
#else
#include <criterion/criterion.h>
#endif
#include <svr/drops.h>
#include <svr/maps.h>

#include "lib/replay.h"
#include "worker/slots.c"

/* ---- slots, one after the other -------------------------------------------------------------- */

static void slots_filled(struct svr_slots *s, uint32_t count)
{
	uint32_t i;

	cr_assert(svr_slots_init(s, count) == 0);
	for (i = 1; i < count; i++)
		svr_slots_give(s, i);
}

Test(slots, given_in_turn)
{
	struct svr_slots s;

	slots_filled(&s, 4);
	cr_expect(svr_slots_take(&s) == 1);
	svr_slots_give(&s, 1);
	cr_expect(svr_slots_take(&s) == 2, "slot 1 rests as long as there are others");
	cr_expect(svr_slots_take(&s) == 3);
	cr_expect(svr_slots_take(&s) == 1);
	cr_expect(svr_slots_take(&s) == 0, "none is left");
	svr_slots_free(&s);
}

static void nothing(uint32_t slot, void *user)
{
	(void)slot;
	++*(unsigned int *)user;
}

Test(slots, an_ended_one_waits_for_all_threads)
{
	unsigned int forgotten = 0;
	struct svr_slots s;

	slots_filled(&s, 4);
	svr_slots_thread_start(&s, 0);
	svr_slots_thread_start(&s, 5);
	svr_slots_live_add(&s, svr_slots_take(&s));
	svr_slots_live_remove(&s, 1);
	svr_slots_end(&s, 1);
	cr_expect(svr_slots_waiting(&s));
	cr_expect(svr_slots_collect(&s) == 0, "nobody has passed");
	svr_slots_pass(&s, 0, nothing, &forgotten);
	cr_expect(svr_slots_collect(&s) == 0, "one of two has passed");
	svr_slots_pass(&s, 0, nothing, &forgotten);
	cr_expect(forgotten == 1, "each thread is told once");
	svr_slots_pass(&s, 5, nothing, &forgotten);
	cr_expect(forgotten == 2);
	cr_expect(svr_slots_collect(&s) == 1);
	cr_expect(svr_slots_collect(&s) == 0);
	cr_expect(!svr_slots_waiting(&s));
	svr_slots_free(&s);
}

Test(slots, nobody_waits_for_a_thread_that_stopped)
{
	unsigned int forgotten = 0;
	struct svr_slots s;

	slots_filled(&s, 4);
	svr_slots_end(&s, svr_slots_take(&s));
	cr_expect(svr_slots_collect(&s) == 1, "no thread runs");
	svr_slots_thread_start(&s, 1);
	svr_slots_end(&s, svr_slots_take(&s));
	cr_expect(svr_slots_collect(&s) == 0);
	svr_slots_thread_stop(&s, 1);
	cr_expect(svr_slots_collect(&s) == 2);
	svr_slots_end(&s, svr_slots_take(&s));
	svr_slots_thread_start(&s, 1);
	svr_slots_pass(&s, 1, nothing, &forgotten);
	cr_expect(forgotten == 0, "it never knew what ended before");
	cr_expect(svr_slots_collect(&s) == 3);
	svr_slots_free(&s);
}

/* ---- slots, many threads --------------------------------------------------------------------- */

enum { THREADS = 4, SLOTS = 64, ROUNDS = 20000, LOOKS = 8 };

/* A session: readers look at it without the lock, as they do at a slot. */
struct record {
	uint32_t live; /* atomic: generation, 0 while it is none */
	uint32_t generation; /* plain: must not change while a thread looks */
};

struct stage {
	struct svr_slots slots;
	struct record record[SLOTS];
	unsigned int torn, twice; /* atomic */
};

struct actor {
	struct stage *stage;
	unsigned int number, seed;
	uint32_t made[SLOTS]; /* generation that this thread remembers of a slot, as its contexts */
};

static void actor_forget(uint32_t slot, void *user)
{
	struct actor *a = user;

	a->made[slot] = 0;
}

static void actor_look(struct actor *a)
{
	struct stage *st = a->stage;
	uint32_t slot = 1 + (uint32_t)rand_r(&a->seed) % (SLOTS - 1);
	struct record *r = &st->record[slot];
	uint32_t generation = __atomic_load_n(&r->live, __ATOMIC_ACQUIRE);
	unsigned int i;

	for (i = 0; generation && i < LOOKS; i++)
		if (r->generation != generation)
			__atomic_fetch_add(&st->torn, 1, __ATOMIC_RELAXED);
	if (generation && a->made[slot] && a->made[slot] != generation)
		__atomic_fetch_add(&st->torn, 1, __ATOMIC_RELAXED);
	a->made[slot] = generation;
}

static void actor_make(struct stage *st)
{
	uint32_t slot;

	while ((slot = svr_slots_collect(&st->slots)))
		svr_slots_give(&st->slots, slot);
	slot = svr_slots_take(&st->slots);
	if (!slot)
		return;
	if (__atomic_load_n(&st->record[slot].live, __ATOMIC_RELAXED))
		__atomic_fetch_add(&st->twice, 1, __ATOMIC_RELAXED);
	st->record[slot].generation++;
	__atomic_store_n(&st->record[slot].live, st->record[slot].generation, __ATOMIC_RELEASE);
	svr_slots_live_add(&st->slots, slot);
}

static void actor_end(struct actor *a)
{
	struct svr_slots *s = &a->stage->slots;
	uint32_t slot;

	if (s->n_live == 0)
		return;
	slot = s->live[(uint32_t)rand_r(&a->seed) % s->n_live];
	__atomic_store_n(&a->stage->record[slot].live, 0, __ATOMIC_RELEASE);
	svr_slots_live_remove(s, slot);
	svr_slots_end(s, slot);
}

static void *actor_run(void *arg)
{
	struct actor *a = arg;
	struct svr_slots *s = &a->stage->slots;
	unsigned int i, k;

	for (i = 0; i < ROUNDS; i++) {
		svr_slots_pass(s, a->number, actor_forget, a);
		for (k = 0; k < 4; k++)
			actor_look(a);
		pthread_mutex_lock(&s->lock);
		if (rand_r(&a->seed) & 1)
			actor_make(a->stage);
		else
			actor_end(a);
		pthread_mutex_unlock(&s->lock);
	}
	svr_slots_thread_stop(s, a->number);
	return NULL;
}

Test(slots, threads_never_see_one_change)
{
	static struct actor actors[THREADS];
	static struct stage stage;
	pthread_t id[THREADS];
	uint32_t slot, left = 0;
	unsigned int i;

	slots_filled(&stage.slots, SLOTS);
	for (i = 0; i < THREADS; i++) {
		actors[i] = (struct actor){ .stage = &stage, .number = i, .seed = i + 1 };
		svr_slots_thread_start(&stage.slots, i);
	}
	for (i = 0; i < THREADS; i++)
		cr_assert(pthread_create(&id[i], NULL, actor_run, &actors[i]) == 0);
	for (i = 0; i < THREADS; i++)
		pthread_join(id[i], NULL);
	cr_expect(stage.torn == 0, "%u looks saw a slot change", stage.torn);
	cr_expect(stage.twice == 0, "%u slots were given twice", stage.twice);
	while ((slot = svr_slots_collect(&stage.slots)))
		svr_slots_give(&stage.slots, slot);
	left = stage.slots.n_free + stage.slots.n_live;
	cr_expect(left == SLOTS - 1, "%u of %u slots are left", left, SLOTS - 1);
	svr_slots_free(&stage.slots);
}

/* ---- replay window, many threads ------------------------------------------------------------- */

enum { COUNTERS = 200000, STRIDE = 16 };

static struct {
	struct svr_replay window;
	uint32_t lock;
	uint64_t next; /* atomic */
	uint8_t delivered[COUNTERS + 1]; /* atomic */
} shared;

/*
 * Each thread takes some counters in a row, as if a queue had brought them, and offers each of them
 * twice; another thread may do the same with those of the row before.
 */
static void *receiver_run(void *arg)
{
	uint64_t first, c;
	int again;

	(void)arg;
	for (;;) {
		first = __atomic_fetch_add(&shared.next, STRIDE, __ATOMIC_RELAXED);
		if (first + STRIDE > COUNTERS)
			return NULL;
		for (again = 0; again < 2; again++)
			for (c = first > 2 * STRIDE ? first - STRIDE : first; c < first + STRIDE;
			     c++)
				if (svr_replay_accept(&shared.window, &shared.lock, c) == 0)
					__atomic_fetch_add(&shared.delivered[c], 1,
							   __ATOMIC_RELAXED);
	}
}

Test(replay_threads, each_counter_is_accepted_once)
{
	unsigned int i, lost = 0, twice = 0;
	pthread_t id[THREADS];
	uint64_t c;

	shared.next = 1;
	for (i = 0; i < THREADS; i++)
		cr_assert(pthread_create(&id[i], NULL, receiver_run, NULL) == 0);
	for (i = 0; i < THREADS; i++)
		pthread_join(id[i], NULL);
	for (c = 1; c <= COUNTERS - STRIDE; c++) {
		lost += shared.delivered[c] == 0;
		twice += shared.delivered[c] > 1;
	}
	cr_expect(twice == 0, "%u counters were accepted twice", twice);
	cr_expect(shared.lock == 0);
	/*
	 * A thread that was off its CPU while the others went on by more than a window is late; few
	 * are, or the window would be of no use
	 */
	cr_expect(lost < COUNTERS / 2, "%u counters were refused", lost);
	cr_expect(svr_replay_accept(&shared.window, &shared.lock, shared.window.top) ==
		  -SVR_DROP_REPLAY);
}
