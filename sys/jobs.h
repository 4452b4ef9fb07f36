/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Work that takes milliseconds or more (Diffie-Hellman, signatures, revocation lists) on threads of its own, so that
 * the event loop, and with it BFD, never waits for it. Part of libsvrsys.
 */
#ifndef SVR_SYS_JOBS_H
#define SVR_SYS_JOBS_H

struct event_base;
struct svr_jobs;

enum svr_jobs_limits {
	SVR_JOBS_MAX_THREADS = 8,
	SVR_JOBS_NICE = 10, /* of the threads: what they compute can wait, packets cannot */
};

/* Runs on a thread of the pool. Shares nothing with the event loop but what is reachable from @arg. */
typedef void (*svr_job_work)(void *arg);

/* Runs in the event loop, after the work. @cancelled: the pool ends, only memory is to be freed; the work may not have been done. */
typedef void (*svr_job_done)(void *arg, int cancelled);

/**
 * svr_jobs_new() - start a pool.
 * @base: event loop that gets the answers; must live longer than the pool
 * @threads: 1 to SVR_JOBS_MAX_THREADS
 * Return: 0, -EINVAL, -ENOMEM, other negative errno; then nothing runs.
 */
int svr_jobs_new(struct event_base *base, unsigned int threads, struct svr_jobs **out);

/*
 * Waits for the work under way; what has not begun is not done. @done of every job that is left is called from here
 * with @cancelled set. NULL is allowed.
 */
void svr_jobs_free(struct svr_jobs *jobs);

/**
 * svr_jobs_submit() - hand over a job. Jobs begin in the order of their submission.
 * To be called from the event loop only. @done is always called exactly once if this returns 0, never from inside
 * this call.
 * Return: 0 or -ENOMEM.
 */
int svr_jobs_submit(struct svr_jobs *jobs, svr_job_work work, svr_job_done done, void *arg);

/* Jobs whose @done was not called yet. */
unsigned int svr_jobs_pending(const struct svr_jobs *jobs);

#endif
