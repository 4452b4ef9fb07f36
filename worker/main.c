// SPDX-License-Identifier: BSD-2-Clause
/* svr-worker: arguments, order of start and end, signals. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include <event2/event.h>

#include "sys/arguments.h"
#include "sys/flows.h"
#include "sys/keylog.h"
#include "sys/log.h"
#include "worker/netlink.h"
#include "worker/session_adopt.h"
#include "worker/sockets.h"
#include "worker/whole.h"
#include "worker/worker.h"

enum { REASON_LEN = 512 };

uint64_t svr_worker_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ULL + (uint64_t)ts.tv_nsec;
}

void svr_worker_count(struct svr_worker *w, uint32_t zone, unsigned int stat, uint64_t by)
{
	if (zone >= SVR_MAX_ZONES)
		zone = 0;
	__atomic_fetch_add(&w->maps.worker_stats[zone * SVR_STAT_MAX + stat], by, __ATOMIC_RELAXED);
}

void svr_worker_count_drop(struct svr_worker *w, uint32_t zone, unsigned int reason)
{
	if (zone >= SVR_MAX_ZONES)
		zone = 0;
	__atomic_fetch_add(&w->maps.worker_drops[zone * SVR_DROP_MAX + reason], 1,
			   __ATOMIC_RELAXED);
	svr_worker_count(w, zone, SVR_STAT_DROPPED, 1);
}

static const char usage[] =
	"usage: svr-worker --router NAME [--threads N] [--cpus LIST] [--busy-poll USEC]\n"
	"                  [--ready-keys N] [--verbose]\n"
	"\n"
	"Carries the sessions whose policy signs or encrypts, resolves next hops and\n"
	"ends idle sessions of one router. Attach the interfaces first:\n"
	"svr link set dev ... up\n"
	"\n"
	"  --router NAME   name of the router, or the environment variable SVR_ROUTER\n"
	"  --threads N     at most so many data threads; each takes a part of the receive\n"
	"                  queues. Without it as many as CPUs or queues, whatever is less\n"
	"  --cpus LIST     run them on these CPUs, such as 2,4-7, one on each\n"
	"  --busy-poll USEC  so long an idle thread looks for packets itself before it\n"
	"                  sleeps; takes CPU time and saves the wake-up\n"
	"  --ready-keys N  of so many sessions each thread keeps the keys expanded (8192);\n"
	"                  those of others are made again when packets come\n"
	"  --verbose       tell more\n"
	"  --version       print the version\n"
	"  --help          print this\n"
	"\n"
	"SVR_WORKER_THREADS, SVR_WORKER_CPUS, SVR_WORKER_BUSY_POLL and\n"
	"SVR_WORKER_READY_KEYS say the same.\n"
	"SVR_RUN_DIR (default /run/svr) is where the control socket goes. SVR_KEYLOG\n"
	"names a file for session keys.\n";

static void on_link(const struct svr_nl_link *link, void *user)
{
	svr_zones_link(user, link);
}

static void on_neighbour(const struct svr_nl_neighbour *n, void *user)
{
	svr_neigh_event(user, n);
}

static void on_signal(evutil_socket_t sig, short what, void *arg)
{
	struct svr_worker *w = arg;

	(void)what;
	pr_info("%s: ending", strsignal((int)sig));
	event_base_loopbreak(w->base);
}

/* What an earlier process left behind is only touched once it is sure that no other one runs. */
static int sessions_start(struct svr_worker *w)
{
	struct svr_adopted adopted;
	int err;

	err = svr_sessions_init(&w->sessions, &w->maps);
	if (!err)
		err = svr_pool_new(w);
	if (err) {
		pr_err("cannot set up a data thread: %s", strerror(-err));
		return err;
	}
	err = svr_sessions_adopt(w->pool.thread[0], &adopted);
	if (err) {
		pr_err("cannot read the flow table: %s", strerror(-err));
		return err;
	}
	pr_info("%u session%s adopted, %u incomplete removed, %u stray flow%s removed",
		adopted.live, adopted.live == 1 ? "" : "s", adopted.freed, adopted.flows_removed,
		adopted.flows_removed == 1 ? "" : "s");
	return 0;
}

/* We are the only worker now: what one was writing when it was killed is nobody's. */
static void flows_take_over(const struct svr_worker *w)
{
	uint32_t freed = svr_flows_reclaim(&w->maps);

	if (freed)
		pr_info("flow tables: %u half written rows of an earlier process are free again", freed);
}

static int start(struct svr_worker *w)
{
	const struct svr_nl_handlers handlers = { .link = on_link,
						  .neighbour = on_neighbour,
						  .user = w };
	const struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };
	char reason[REASON_LEN];
	int err;

	(void)setrlimit(RLIMIT_MEMLOCK,
			&unlimited); /* kernels before 5.11 count maps and UMEM against it */
	err = svr_keylog_open(&w->keylog, reason, sizeof(reason));
	if (err) {
		pr_err("%s", reason);
		return err;
	}
	err = svr_mapset_open(w->router, SVR_WRITER_WORKER, &w->maps, reason, sizeof(reason));
	if (err) {
		pr_err("%s", reason);
		return err;
	}
	err = svr_worker_ctl_start(w);
	if (!err)
		flows_take_over(w);
	if (!err)
		err = sessions_start(w);
	if (err)
		return err;

	err = svr_zones_new(w);
	if (!err)
		err = svr_sockets_new(w);
	if (!err)
		err = svr_netlink_open(w->base, &handlers, &w->netlink);
	if (!err)
		err = svr_neigh_new(w);
	if (!err)
		err = svr_hold_new(w);
	if (!err)
		err = svr_whole_new(w);
	if (!err)
		err = svr_worker_alarms_new(w);
	if (!err)
		err = svr_gc_new(w);
	if (!err)
		err = svr_netlink_dump(w->netlink);
	if (err) {
		pr_err("cannot start: %s", strerror(-err));
		return err;
	}
	svr_zones_scan(w);
	err = svr_pool_start(w);
	if (err)
		pr_err("cannot start the data threads: %s", strerror(-err));
	return err;
}

static void finish(struct svr_worker *w)
{
	svr_pool_stop(w);
	svr_gc_free(w);
	svr_worker_alarms_free(w);
	svr_whole_free(w);
	svr_hold_free(w);
	svr_neigh_free(w);
	svr_netlink_close(w->netlink);
	svr_zones_free(w);
	svr_sockets_free(w);
	svr_pool_free(w);
	svr_sessions_free(&w->sessions);
	svr_worker_ctl_stop(w);
	svr_mailbox_free(&w->mailbox);
	svr_mailbox_free(&w->whole_mail);
	if (w->maps.router)
		svr_mapset_close(&w->maps);
	if (w->keylog)
		fclose(w->keylog);
}

static int run(struct svr_worker *w)
{
	struct event *term = evsignal_new(w->base, SIGTERM, on_signal, w);
	struct event *intr = evsignal_new(w->base, SIGINT, on_signal, w);
	int err = -ENOMEM;

	if (!term || !intr || event_add(term, NULL) || event_add(intr, NULL))
		goto out;
	err = start(w);
	if (!err) {
		pr_info("router %s: started, %u socket%s, %u thread%s", w->router,
			svr_sockets_count(w), svr_sockets_count(w) == 1 ? "" : "s", w->pool.n,
			w->pool.n == 1 ? "" : "s");
		event_base_dispatch(w->base);
	}
	finish(w);
out:
	if (term)
		event_free(term);
	if (intr)
		event_free(intr);
	return err;
}

int main(int argc, char **argv)
{
	enum { THREADS, CPUS, BUSY_POLL, READY_KEYS };
	struct svr_argument more[] = {
		[THREADS] = { "threads", "SVR_WORKER_THREADS", NULL },
		[CPUS] = { "cpus", "SVR_WORKER_CPUS", NULL },
		[BUSY_POLL] = { "busy-poll", "SVR_WORKER_BUSY_POLL", NULL },
		[READY_KEYS] = { "ready-keys", "SVR_WORKER_READY_KEYS", NULL },
		{ 0 },
	};
	struct svr_arguments arguments = { .program = "svr-worker", .usage = usage, .more = more };
	struct svr_worker *w = calloc(1, sizeof(*w));
	char reason[REASON_LEN];
	int code = EXIT_FAILURE;

	if (!w)
		return code;
	if (!svr_arguments_parse(&arguments, argc, argv, &code))
		goto out;
	w->router = arguments.router;
	svr_log_init(arguments.program, arguments.level);
	w->started_ns = svr_worker_now_ns();
	code = EXIT_FAILURE;
	if (svr_worker_options_parse(more[THREADS].value, more[CPUS].value, more[BUSY_POLL].value,
				     more[READY_KEYS].value, &w->pool.options, reason,
				     sizeof(reason))) {
		pr_err("%s", reason);
		goto out;
	}
	w->base = event_base_new();
	if (w->base && svr_mailbox_init(&w->mailbox, SVR_HOLD_ALL) == 0 &&
	    svr_mailbox_init(&w->whole_mail, SVR_WHOLE_ALL) == 0)
		code = run(w) ? EXIT_FAILURE : EXIT_SUCCESS;
	else
		pr_err("cannot start: %s", strerror(ENOMEM));
	if (w->base)
		event_base_free(w->base);
out:
	free(w);
	return code;
}
