// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include <event2/event.h>

#include "sys/jobs.h"

struct job {
	struct job *next;
	svr_job_work work;
	svr_job_done done;
	void *arg;
};

struct job_queue {
	struct job *first, **last;
};

struct svr_jobs {
	pthread_mutex_t lock;
	pthread_cond_t more; /* todo is not empty, or end */
	struct job_queue todo, finished;
	bool end;
	int wake_fd; /* eventfd: finished is not empty */
	struct event *wake;
	unsigned int pending; /* of the event loop's thread only */
	unsigned int n_threads;
	pthread_t thread[SVR_JOBS_MAX_THREADS];
};

static void queue_init(struct job_queue *q)
{
	q->first = NULL;
	q->last = &q->first;
}

static void queue_put(struct job_queue *q, struct job *job)
{
	job->next = NULL;
	*q->last = job;
	q->last = &job->next;
}

static struct job *queue_get(struct job_queue *q)
{
	struct job *job = q->first;

	if (job) {
		q->first = job->next;
		if (!q->first)
			q->last = &q->first;
	}
	return job;
}

static void *run(void *arg)
{
	const uint64_t one = 1;
	struct svr_jobs *jobs = arg;
	struct job *job;

	/* Linux: the nice value is one of the thread. Without the right to change it, it stays. */
	(void)setpriority(PRIO_PROCESS, (id_t)gettid(), SVR_JOBS_NICE);
	pthread_mutex_lock(&jobs->lock);
	for (;;) {
		while (!jobs->end && !jobs->todo.first)
			pthread_cond_wait(&jobs->more, &jobs->lock);
		if (jobs->end)
			break;
		job = queue_get(&jobs->todo);
		pthread_mutex_unlock(&jobs->lock);
		job->work(job->arg);
		pthread_mutex_lock(&jobs->lock);
		queue_put(&jobs->finished, job);
		/* Cannot block: the counter would have to reach 2^64 - 1. */
		if (write(jobs->wake_fd, &one, sizeof(one)) < 0)
			abort();
	}
	pthread_mutex_unlock(&jobs->lock);
	return NULL;
}

static void answer(struct svr_jobs *jobs, struct job *job, int cancelled)
{
	jobs->pending--;
	job->done(job->arg, cancelled);
	free(job);
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
	struct svr_jobs *jobs = arg;
	struct job_queue finished;
	struct job *job, *next;
	uint64_t count;

	(void)what;
	if (read(fd, &count, sizeof(count)) < 0)
		return; /* EAGAIN: another wake-up was faster */
	pthread_mutex_lock(&jobs->lock);
	finished = jobs->finished;
	queue_init(&jobs->finished);
	pthread_mutex_unlock(&jobs->lock);
	for (job = finished.first; job; job = next) {
		next = job->next;
		answer(jobs, job, 0);
	}
}

/* Threads must not take the signals that the event loop waits for. */
static int start_threads(struct svr_jobs *jobs, unsigned int threads)
{
	sigset_t all, old;
	int ret = 0;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	while (jobs->n_threads < threads && !ret) {
		ret = -pthread_create(&jobs->thread[jobs->n_threads], NULL, run, jobs);
		if (!ret)
			jobs->n_threads++;
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return ret;
}

int svr_jobs_new(struct event_base *base, unsigned int threads, struct svr_jobs **out)
{
	struct svr_jobs *jobs;
	int ret;

	*out = NULL;
	if (threads < 1 || threads > SVR_JOBS_MAX_THREADS)
		return -EINVAL;
	jobs = calloc(1, sizeof(*jobs));
	if (!jobs)
		return -ENOMEM;
	pthread_mutex_init(&jobs->lock, NULL);
	pthread_cond_init(&jobs->more, NULL);
	queue_init(&jobs->todo);
	queue_init(&jobs->finished);
	jobs->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (jobs->wake_fd < 0) {
		ret = -errno;
		goto fail;
	}
	jobs->wake = event_new(base, jobs->wake_fd, EV_READ | EV_PERSIST, on_wake, jobs);
	if (!jobs->wake || event_add(jobs->wake, NULL)) {
		ret = -ENOMEM;
		goto fail;
	}
	ret = start_threads(jobs, threads);
	if (ret)
		goto fail;
	*out = jobs;
	return 0;
fail:
	svr_jobs_free(jobs);
	return ret;
}

void svr_jobs_free(struct svr_jobs *jobs)
{
	struct job *job;
	unsigned int i;

	if (!jobs)
		return;
	pthread_mutex_lock(&jobs->lock);
	jobs->end = true;
	pthread_cond_broadcast(&jobs->more);
	pthread_mutex_unlock(&jobs->lock);
	for (i = 0; i < jobs->n_threads; i++)
		pthread_join(jobs->thread[i], NULL);
	while ((job = queue_get(&jobs->finished)))
		answer(jobs, job, 1);
	while ((job = queue_get(&jobs->todo)))
		answer(jobs, job, 1);
	if (jobs->wake)
		event_free(jobs->wake);
	if (jobs->wake_fd >= 0)
		close(jobs->wake_fd);
	pthread_cond_destroy(&jobs->more);
	pthread_mutex_destroy(&jobs->lock);
	free(jobs);
}

int svr_jobs_submit(struct svr_jobs *jobs, svr_job_work work, svr_job_done done, void *arg)
{
	struct job *job = malloc(sizeof(*job));

	if (!job)
		return -ENOMEM;
	*job = (struct job){ .work = work, .done = done, .arg = arg };
	jobs->pending++;
	pthread_mutex_lock(&jobs->lock);
	queue_put(&jobs->todo, job);
	pthread_cond_signal(&jobs->more);
	pthread_mutex_unlock(&jobs->lock);
	return 0;
}

unsigned int svr_jobs_pending(const struct svr_jobs *jobs)
{
	return jobs->pending;
}
