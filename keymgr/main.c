// SPDX-License-Identifier: BSD-2-Clause
/* svr-keymgr: arguments, configuration, order of start and end, signals. */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <event2/event.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>

#include <svr/drops.h>

#include "alarms.h"
#include "certs.h"
#include "keymgr.h"
#include "lib/shelf.h"
#include "sys/arguments.h"
#include "sys/ctl.h"
#include "sys/jobs.h"
#include "sys/keylog.h"
#include "sys/log.h"

int km_random(void *out, size_t len)
{
	return RAND_bytes(out, (int)len) == 1 ? 0 : -EIO;
}

void km_count_drop(struct keymgr *km, int drop)
{
	if (drop < 0 && -drop < SVR_DROP_MAX && (uint32_t)-drop < km->maps.count.keymgr_drops)
		__atomic_fetch_add(&km->maps.keymgr_drops[-drop], 1, __ATOMIC_RELAXED);
}

/* ---- configuration --------------------------------------------------------------------------- */

static void print_errors(const char *path, const struct svr_config_errors *errs)
{
	char line[1024];
	unsigned int i;

	for (i = 0; i < errs->n; i++) {
		if (errs->list[i].severity != SVR_CONFIG_ERROR)
			continue; /* `svr config check` shows warnings */
		svr_config_error_print(&errs->list[i], line, sizeof(line));
		pr_err("%s:%s", path, line);
	}
}

static int config_load(const struct keymgr *km, struct svr_config **config,
		       struct svr_router_view **view)
{
	struct svr_config_errors *errs = calloc(1, sizeof(*errs));
	int ret = -ENOMEM;

	*config = NULL;
	*view = NULL;
	if (!errs)
		return ret;
	ret = svr_config_load(km->config_path, config, errs);
	if (!ret)
		ret = svr_config_resolve(*config, km->router, view, errs);
	if (ret) {
		print_errors(km->config_path, errs);
		svr_config_free(*config);
		*config = NULL;
		goto out;
	}
	if (!(*view)->router->peering_common_name || !(*view)->router->peering_common_name[0]) {
		pr_err("%s: router %s has no peering-common-name: no peer could know it",
		       km->config_path, km->router);
		svr_config_view_free(*view);
		svr_config_free(*config);
		*view = NULL;
		*config = NULL;
		ret = -EINVAL;
	}
out:
	free(errs);
	return ret;
}

static void config_drop(struct keymgr *km)
{
	km_peers_free(km);
	svr_shelves_free(km->shelves);
	km->shelves = NULL;
	svr_config_view_free(km->view);
	svr_config_free(km->config);
	km->view = NULL;
	km->config = NULL;
}

/*
 * Another configuration takes the place of the one in force, or of none. What is not different is
 * not touched. After an error only config_drop() is of use.
 */
static int config_take(struct keymgr *km, struct svr_config *config, struct svr_router_view *view)
{
	struct svr_router_view *old_view = km->view;
	struct svr_config *old_config = km->config;
	int ret;

	km->config = config;
	km->view = view;
	svr_shelves_free(km->shelves);
	km->shelves = NULL;
	ret = svr_shelves_new(&config->alarm_shelving, km->router, view->router->node[0].name,
			      &km->shelves);
	if (!ret)
		ret = km_certs_config(km);
	if (!ret)
		ret = km_static_own(km);
	if (ret == 1 || (!ret && !old_view))
		ret = km_own_keys_load(km);
	else if (!ret)
		km_own_keys_plan(km);
	km_static_log(km);
	if (!ret)
		ret = km_peers_apply(km);
	if (!ret)
		km_certs_peers(km);
	if (!ret)
		km_peer_alarms_sweep(km);
	svr_config_view_free(old_view);
	svr_config_free(old_config);
	return ret;
}

static void config_reload(struct keymgr *km)
{
	struct svr_config *config;
	struct svr_router_view *view;
	int ret;

	if (config_load(km, &config, &view)) {
		km->config_errors++;
		pr_err("%s: the configuration before stays in force", km->config_path);
		return;
	}
	ret = config_take(km, config, view);
	if (ret) {
		pr_err("cannot go on with the new configuration: %s", strerror(-ret));
		km->error = ret;
		event_base_loopbreak(km->base);
		return;
	}
	km->config_changes++;
	pr_info("configuration %u: %u peer%s", km->generation, km->n_peers,
		km->n_peers == 1 ? "" : "s");
}

static void on_watch(evutil_socket_t fd, short what, void *arg)
{
	struct keymgr *km = arg;
	uint32_t generation = __atomic_load_n(&km->maps.router->generation, __ATOMIC_ACQUIRE);

	(void)fd, (void)what;
	km_sockets_check(km);
	km_own_keys_tick(km);
	km_peer_alarms_check(km);
	km_clock_check(km);
	if (generation == km->generation)
		return;
	km->generation = generation;
	config_reload(km);
}

/* ---- start and end --------------------------------------------------------------------------- */

/*
 * BFD must not wait for what carries the data, nor for what else the machine does: a nice value is
 * little on a busy one, and nothing at all between sessions if the kernel groups processes by them
 * (sched(7), autogroup). This thread sleeps or works for microseconds; those that work for
 * milliseconds are made with the ordinary policy, and lower their priority (sys/jobs.h). A service
 * manager may have seen to it already, and we may have no right to.
 */
static void go_first(void)
{
	const struct sched_param param = { .sched_priority = KM_REALTIME_PRIORITY };
	const int policy = sched_getscheduler(0) & ~SCHED_RESET_ON_FORK;

	if (policy == SCHED_RR || policy == SCHED_FIFO)
		return;
	if (sched_setscheduler(0, SCHED_RR | SCHED_RESET_ON_FORK, &param) == 0)
		return;
	pr_debug("no real-time priority: %s", strerror(errno));
	if (setpriority(PRIO_PROCESS, 0, KM_NICE) < 0)
		pr_debug("priority stays as it is: %s", strerror(errno));
}

static int start(struct keymgr *km)
{
	const struct timeval watch = { .tv_usec = KM_WATCH_MS * 1000 };
	const struct rlimit no_core = { 0, 0 };
	struct svr_config *config;
	struct svr_router_view *view;
	char reason[KM_REASON_LEN];
	int ret;

	/* Keys are in our memory: they must not end in a core file. */
	if (setrlimit(RLIMIT_CORE, &no_core) < 0)
		pr_warn("core files could not be switched off: %s", strerror(errno));
	go_first();
	ret = svr_keylog_open(&km->keylog, reason, sizeof(reason));
	if (ret) {
		pr_err("%s", reason);
		return ret;
	}
	ret = config_load(km, &config, &view);
	if (ret)
		return ret;
	ret = svr_mapset_open(km->router, SVR_WRITER_KEYMGR, &km->maps, reason, sizeof(reason));
	if (ret) {
		pr_err("%s", reason);
		svr_config_view_free(view);
		svr_config_free(config);
		return ret;
	}
	ret = km_ctl_start(km); /* before anything is written: another process may be running */
	if (!ret)
		ret = km_alarms_new(km->base, km->router, &km->alarms);
	if (!ret)
		ret = svr_crypt_new(&km->crypt);
	if (!ret)
		ret = svr_jobs_new(km->base, KM_THREADS, &km->jobs);
	if (!ret)
		ret = km_certs_new(km);
	if (!ret)
		ret = km_random(&km->instance, sizeof(km->instance));
	if (ret) {
		svr_config_view_free(view);
		svr_config_free(config);
		return ret;
	}
	km->generation = __atomic_load_n(&km->maps.router->generation, __ATOMIC_ACQUIRE);
	ret = config_take(km, config, view);
	if (ret)
		return ret;
	km->watch = event_new(km->base, -1, EV_PERSIST, on_watch, km);
	if (!km->watch || event_add(km->watch, &watch))
		return -ENOMEM;
	ret = km_clock_start(km);
	if (ret)
		return ret;
	pr_info("router %s (%s): started, %u peer%s", km->router,
		km->view->router->peering_common_name, km->n_peers, km->n_peers == 1 ? "" : "s");
	return 0;
}

/*
 * The maps stay as they are: peers wait for the detection time, and the next process goes on from
 * there.
 */
static void finish(struct keymgr *km)
{
	if (km->watch)
		event_free(km->watch);
	km_clock_stop(km);
	config_drop(km);
	svr_jobs_free(km->jobs); /* after those who wait for results: they are for nobody now */
	km_certs_free(km);
	svr_pki_identity_free(km->identity);
	if (km->ctl)
		svr_ctl_server_free(km->ctl);
	if (km->maps.router)
		svr_mapset_close(&km->maps);
	km_alarms_free(km->alarms);
	svr_crypt_free(km->crypt);
	OPENSSL_cleanse(&km->own, sizeof(km->own));
	if (km->keylog)
		fclose(km->keylog);
}

static void on_end(evutil_socket_t sig, short what, void *arg)
{
	struct keymgr *km = arg;

	(void)what;
	pr_info("%s: ending", strsignal((int)sig));
	event_base_loopbreak(km->base);
}

static void on_hangup(evutil_socket_t sig, short what, void *arg)
{
	(void)sig, (void)what;
	config_reload(arg);
}

static int run(struct keymgr *km)
{
	struct event *signals[] = {
		evsignal_new(km->base, SIGTERM, on_end, km),
		evsignal_new(km->base, SIGINT, on_end, km),
		evsignal_new(km->base, SIGHUP, on_hangup, km),
	};
	size_t i, count = sizeof(signals) / sizeof(signals[0]);
	int ret = start(km);

	for (i = 0; i < count && !ret; i++)
		if (!signals[i] || event_add(signals[i], NULL))
			ret = -ENOMEM;
	if (!ret) {
		event_base_dispatch(km->base);
		ret = km->error;
	}
	finish(km);
	for (i = 0; i < count; i++)
		if (signals[i])
			event_free(signals[i]);
	return ret;
}

static const char usage[] =
	"usage: svr-keymgr --router NAME [--config FILE] [--verbose]\n"
	"\n"
	"Talks BFD with the peers of one router, agrees keys with them, and says which peer paths are in service.\n"
	"The interfaces have to be attached first: svr link set dev ... up\n"
	"\n"
	"  --router NAME   name of the router, or the environment variable SVR_ROUTER\n"
	"  --config FILE   configuration of the authority, or SVR_CONFIG (default " SVR_DEFAULT_CONFIG ")\n"
	"  --verbose       tell more\n"
	"  --version       print the version\n"
	"  --help          print this\n"
	"\n"
	"Key and certificate are those of the client-certificate of the configuration, or NAME.key and NAME.pem, or router.key\n"
	"and router.pem, in SVR_PKI_DIR (default /etc/svr/pki/NAME); without them a self-signed certificate is made. SVR_RUN_DIR (default /run/svr) is where the control socket goes,\n"
	"SVR_STATE_DIR (default /var/lib/svr) where alarms and events are kept.\n"
	"SVR_KEYLOG names a file for peer and metadata keys.\n";

/* Timers to the microsecond: the coarse clock is as long as a tenth of the shortest interval. */
static struct event_base *base_new(void)
{
	struct event_config *config = event_config_new();
	struct event_base *base = NULL;

	if (config && event_config_set_flag(config, EVENT_BASE_FLAG_PRECISE_TIMER) == 0)
		base = event_base_new_with_config(config);
	if (config)
		event_config_free(config);
	return base;
}

int main(int argc, char **argv)
{
	struct svr_arguments arguments = { .program = "svr-keymgr",
					   .usage = usage,
					   .takes_config = true };
	struct keymgr km = { .clock.fd = -1 };
	int code;

	if (!svr_arguments_parse(&arguments, argc, argv, &code))
		return code;
	km.router = arguments.router;
	km.config_path = arguments.config;
	svr_log_init(arguments.program, arguments.level);
	km.started_ns = km_now().mono_ns;
	km.base = base_new();
	if (!km.base) {
		pr_err("cannot start: %s", strerror(ENOMEM));
		return EXIT_FAILURE;
	}
	code = run(&km) ? EXIT_FAILURE : EXIT_SUCCESS;
	event_base_free(km.base);
	return code;
}
