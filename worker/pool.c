// SPDX-License-Identifier: BSD-2-Clause
/*
 * The data threads: made when there are queues for them, and kept. One that has no queue any more
 * sleeps and holds no frame memory.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sys/log.h"
#include "worker/worker.h"

static int thread_add(struct svr_worker *w)
{
	struct svr_pool *pool = &w->pool;
	const struct svr_thread_config config = {
		.number = pool->n,
		.cpu = pool->options.n_cpus ? pool->options.cpu[pool->n % pool->options.n_cpus] :
					      -1,
		.busy_poll_us = pool->options.busy_poll_us,
		.ready_keys = pool->options.ready_keys,
		.maps = &w->maps,
		.sessions = &w->sessions,
		.mailbox = &w->mailbox,
		.whole_mail = &w->whole_mail,
		.keylog = w->keylog,
	};
	struct svr_thread *t = calloc(1, sizeof(*t));
	int err = -ENOMEM;

	if (!t)
		return err;
	err = svr_thread_init(t, &config);
	if (!err && pool->started)
		err = svr_thread_start(t);
	if (err) {
		svr_thread_free(t);
		free(t);
		return err;
	}
	pool->thread[pool->n++] = t;
	return 0;
}

int svr_pool_new(struct svr_worker *w)
{
	return thread_add(w);
}

int svr_pool_start(struct svr_worker *w)
{
	unsigned int i;
	int err = 0;

	for (i = 0; i < w->pool.n && !err; i++)
		err = svr_thread_start(w->pool.thread[i]);
	w->pool.started = true;
	return err;
}

unsigned int svr_pool_want(struct svr_worker *w, unsigned int queues)
{
	struct svr_pool *pool = &w->pool;
	unsigned int want = queues < pool->options.threads ? queues : pool->options.threads;
	int err;

	while (pool->n < want) {
		err = thread_add(w);
		if (err) {
			pr_err("cannot start data thread %u: %s; going on with %u", pool->n,
			       strerror(-err), pool->n);
			return pool->n;
		}
	}
	return want;
}

void svr_pool_wake(struct svr_worker *w)
{
	unsigned int i;

	for (i = 0; i < w->pool.n; i++)
		svr_thread_wake(w->pool.thread[i]);
}

void svr_pool_stop(struct svr_worker *w)
{
	unsigned int i;

	for (i = 0; i < w->pool.n; i++)
		svr_thread_stop(w->pool.thread[i]);
}

void svr_pool_free(struct svr_worker *w)
{
	unsigned int i;

	for (i = 0; i < w->pool.n; i++) {
		svr_thread_free(w->pool.thread[i]);
		free(w->pool.thread[i]);
	}
	w->pool.n = 0;
}
