// SPDX-License-Identifier: BSD-2-Clause
/* sys/jobs.h: work runs elsewhere, answers come in the event loop, and every job is answered exactly once. */
#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

#include <event2/event.h>

#include "sys/jobs.h"

enum { JOBS = 200 };

struct tally {
	struct event_base *base;
	pthread_t loop;
	atomic_int worked;
	int done, cancelled, wanted;
	atomic_bool wrong_thread;
};

static void work(void *arg)
{
	struct tally *t = arg;

	if (pthread_equal(pthread_self(), t->loop))
		t->wrong_thread = true;
	t->worked++;
}

static void done(void *arg, int cancelled)
{
	struct tally *t = arg;

	if (!pthread_equal(pthread_self(), t->loop))
		t->wrong_thread = true;
	t->done++;
	t->cancelled += cancelled;
	if (t->done == t->wanted)
		event_base_loopbreak(t->base);
}

static struct tally tally_new(int wanted)
{
	return (struct tally){ .base = event_base_new(), .loop = pthread_self(), .wanted = wanted };
}

Test(jobs, each_is_done_once_in_the_loop, .timeout = 60)
{
	struct tally t = tally_new(JOBS);
	struct svr_jobs *jobs;
	int i;

	cr_assert_eq(svr_jobs_new(t.base, 3, &jobs), 0);
	for (i = 0; i < JOBS; i++)
		cr_assert_eq(svr_jobs_submit(jobs, work, done, &t), 0);
	cr_expect_eq(t.done, 0, "an answer came from inside submit");
	cr_expect_eq(svr_jobs_pending(jobs), JOBS);
	event_base_dispatch(t.base);
	cr_expect_eq(t.worked, JOBS);
	cr_expect_eq(t.done, JOBS);
	cr_expect_eq(t.cancelled, 0);
	cr_expect_eq(svr_jobs_pending(jobs), 0);
	cr_expect_not(t.wrong_thread);
	svr_jobs_free(jobs);
	event_base_free(t.base);
}

Test(jobs, free_answers_what_is_left, .timeout = 60)
{
	struct tally t = tally_new(-1);
	struct svr_jobs *jobs;
	int i;

	cr_assert_eq(svr_jobs_new(t.base, 1, &jobs), 0);
	for (i = 0; i < JOBS; i++)
		cr_assert_eq(svr_jobs_submit(jobs, work, done, &t), 0);
	svr_jobs_free(jobs);
	cr_expect_eq(t.done, JOBS);
	cr_expect_eq(t.cancelled, JOBS, "the loop never ran, so no job was answered as done");
	cr_expect_not(t.wrong_thread);
	event_base_free(t.base);
}

Test(jobs, refuses_a_pool_of_no_threads)
{
	struct event_base *base = event_base_new();
	struct svr_jobs *jobs;

	cr_expect_eq(svr_jobs_new(base, 0, &jobs), -EINVAL);
	cr_expect_null(jobs);
	cr_expect_eq(svr_jobs_new(base, SVR_JOBS_MAX_THREADS + 1, &jobs), -EINVAL);
	svr_jobs_free(NULL);
	event_base_free(base);
}
