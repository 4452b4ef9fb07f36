// SPDX-License-Identifier: BSD-2-Clause
/* A data thread: its loop, its calls, receiving and sending. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <svr/drops.h>

#include "sys/log.h"
#include "worker/batch.h"
#include "worker/cut.h"
#include "worker/rawtx.h"
#include "worker/session_keys.h"
#include "worker/thread.h"

enum {
	BACKOFF_MIN_MS = 1, /* a transmit ring is stuck: try again soon */
	BACKOFF_MAX_MS = 64,
};
#define NS_PER_SEC 1000000000ULL
#define NS_PER_US  1000ULL

bool svr_tokens_take(struct svr_tokens *b, uint64_t now_ns, uint32_t per_sec)
{
	if (now_ns - b->since_ns >= NS_PER_SEC) {
		b->since_ns = now_ns;
		b->used = 0;
	}
	if (b->used >= per_sec)
		return false;
	b->used++;
	return true;
}

/* ---- sending ------------------------------------------------------------------------------- */

/*
 * The socket of a zone with the queue that a packet came by, so that a flow keeps to one; the first
 * one if there is none.
 */
static uint16_t tx_port(const struct svr_thread *t, uint16_t zone, uint32_t queue)
{
	const struct svr_zone_tx *tx;

	if (zone >= SVR_MAX_ZONES)
		return SVR_NO_PORT;
	tx = &t->zone_tx[zone];
	if (tx->count == 0)
		return SVR_NO_PORT;
	return tx->port[queue % tx->count];
}

static void count_sent(struct svr_thread *t, uint16_t zone, size_t len)
{
	svr_count(&t->counters, zone, SVR_STAT_TX_PACKETS, 1);
	svr_count(&t->counters, zone, SVR_STAT_TX_BYTES, len);
}

/* Out of a device that has no queue for this thread. */
static int send_raw(struct svr_thread *t, uint16_t zone, const void *frame, size_t len)
{
	const int ifindex = t->zone_tx[zone].ifindex;

	if (!ifindex || svr_rawtx_send(t->rawtx, ifindex, frame, len))
		return -SVR_DROP_TX_FULL;
	svr_tstat(&t->stats, SVR_TSTAT_TX_RAW, 1);
	count_sent(t, zone, len);
	return 0;
}

int svr_thread_send(struct svr_thread *t, struct svr_work *w, uint16_t zone,
		    const struct svr_nexthop *nh)
{
	const struct svr_port *from = t->umem.port[w->port];
	uint16_t port = tx_port(t, zone, from ? from->queue : 0);
	size_t len;
	int err;

	if (zone >= SVR_MAX_ZONES)
		return -SVR_DROP_TX_FULL;
	err = svr_packet_set_eth(&w->pkt, nh->dmac, nh->smac, t->zone_tx[zone].vlan,
				 t->zone_tx[zone].outer_vlan);
	if (err)
		return err;
	len = svr_packet_frame_len(&w->pkt);
	if (w->addr == UINT64_MAX)
		return svr_thread_send_copy(t, zone, (uint16_t)(from ? from->queue : 0), w->pkt.eth,
					    len);
	if (port == SVR_NO_PORT)
		return send_raw(t, zone, w->pkt.eth, len);
	if (svr_port_send(&t->umem, port, (uint64_t)(w->pkt.eth - t->umem.area), (uint32_t)len))
		return -SVR_DROP_TX_FULL;
	w->gone = true;
	count_sent(t, zone, len);
	return 0;
}

int svr_thread_send_copy(struct svr_thread *t, uint16_t zone, uint16_t queue, const void *frame,
			 size_t len)
{
	uint16_t port = tx_port(t, zone, queue);

	if (zone >= SVR_MAX_ZONES)
		return -SVR_DROP_TX_FULL;
	if (port == SVR_NO_PORT)
		return send_raw(t, zone, frame, len);
	if (svr_port_send_copy(&t->umem, port, frame, len))
		return -SVR_DROP_TX_FULL;
	count_sent(t, zone, len);
	return 0;
}

/* ---- receiving ----------------------------------------------------------------------------- */

static uint64_t clock_ns(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_SEC + (uint64_t)ts.tv_nsec;
}

uint64_t svr_thread_clock_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

static void clocks_read(struct svr_thread *t)
{
	t->now_ns = clock_ns(CLOCK_MONOTONIC);
	t->real_ns = clock_ns(CLOCK_REALTIME);
}

static void batch_note(struct svr_thread *t, const struct xdp_desc *batch, unsigned int n)
{
	uint64_t bytes = 0;
	unsigned int i;

	for (i = 0; i < n; i++)
		bytes += batch[i].len;
	svr_tstat(&t->stats, SVR_TSTAT_PACKETS, n);
	svr_tstat(&t->stats, SVR_TSTAT_BYTES, bytes);
	svr_tstat(&t->stats, SVR_TSTAT_BATCHES, 1);
	svr_thist(&t->stats, SVR_THIST_BATCH, n);
	svr_thist(&t->stats, SVR_THIST_ROUND, svr_thread_clock_ns() - t->now_ns);
}

/*
 * One round over all ports. Number of frames received; *unsent: a transmit ring still holds
 * something.
 */
static unsigned int round_run(struct svr_thread *t, bool *unsent)
{
	struct xdp_desc received[SVR_BATCH];
	unsigned int i, n, work = 0, seen;

	for (i = 0, seen = 0; seen < t->umem.n_ports; i++) {
		if (!t->umem.port[i])
			continue;
		seen++;
		svr_port_complete(&t->umem, i);
		svr_port_refill(&t->umem, i);
		n = svr_port_receive(&t->umem, i, received);
		if (!n)
			continue;
		clocks_read(t);
		svr_batch_run(t, (uint16_t)i, received, n);
		batch_note(t, received, n);
		work += n;
	}
	*unsent = false;
	for (i = 0, seen = 0; seen < t->umem.n_ports; i++) {
		if (!t->umem.port[i])
			continue;
		seen++;
		*unsent |= svr_port_flush(&t->umem, i);
	}
	return work;
}

/*
 * Sleep until a frame, a call, or the time to try sending again. poll() itself also makes the
 * kernel send in copy mode.
 */
static void round_wait(struct svr_thread *t, int timeout_ms)
{
	struct pollfd fds[SVR_MAX_PORTS + 1] = { { .fd = t->event_fd, .events = POLLIN } };
	unsigned int i, n = 1;
	uint64_t wakeups;

	for (i = 0; n <= t->umem.n_ports; i++)
		if (t->umem.port[i])
			fds[n++] = (struct pollfd){ .fd = t->umem.port[i]->fd, .events = POLLIN };
	if (poll(fds, n, timeout_ms) > 0 && (fds[0].revents & POLLIN) &&
	    read(t->event_fd, &wakeups, sizeof(wakeups)) < 0)
		return; /* somebody else's wake-up: nothing to read */
}

/* ---- calls --------------------------------------------------------------------------------- */

struct svr_call {
	struct svr_call *next;
	svr_thread_fn fn;
	void *arg;
	bool done;
};

static void calls_run(struct svr_thread *t)
{
	struct svr_call *c, *next;

	if (!__atomic_load_n(&t->calls_waiting, __ATOMIC_ACQUIRE))
		return;
	pthread_mutex_lock(&t->lock);
	c = t->calls;
	t->calls = NULL;
	__atomic_store_n(&t->calls_waiting, false, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&t->lock);
	for (; c; c = next) {
		svr_tstat(&t->stats, SVR_TSTAT_CALLS, 1);
		next = c->next; /* the caller owns it again as soon as it is done */
		clocks_read(t);
		c->fn(t, c->arg);
		svr_counters_flush(&t->counters, t->maps, &t->stats);
		pthread_mutex_lock(&t->lock);
		c->done = true;
		pthread_cond_broadcast(&t->done);
		pthread_mutex_unlock(&t->lock);
	}
}

void svr_thread_wake(struct svr_thread *t)
{
	const uint64_t one = 1;

	/* -EAGAIN: it was woken very often already, and comes */
	if (write(t->event_fd, &one, sizeof(one)) < 0 && errno != EAGAIN)
		pr_warn("cannot wake data thread %u: %s", t->number, strerror(errno));
}

void svr_thread_call(struct svr_thread *t, svr_thread_fn fn, void *arg)
{
	struct svr_call call = { .fn = fn, .arg = arg };

	if (!t->running) {
		clocks_read(t);
		fn(t, arg);
		svr_counters_flush(&t->counters, t->maps, &t->stats);
		return;
	}
	pthread_mutex_lock(&t->lock);
	call.next = t->calls;
	t->calls = &call;
	__atomic_store_n(&t->calls_waiting, true, __ATOMIC_RELEASE);
	svr_thread_wake(t);
	while (!call.done)
		pthread_cond_wait(&t->done, &t->lock);
	pthread_mutex_unlock(&t->lock);
}

/* ---- life ---------------------------------------------------------------------------------- */

/*
 * A round brought nothing. True: look again before sleeping, for so long as the user allows; the
 * kernel's side of the rings is run from here meanwhile.
 */
static bool busy_poll(struct svr_thread *t, uint64_t *quiet_ns)
{
	unsigned int i, seen;
	uint64_t now_ns;

	if (!t->busy_poll_us || t->umem.n_ports == 0)
		return false;
	now_ns = svr_thread_clock_ns();
	if (!*quiet_ns)
		*quiet_ns = now_ns;
	if (now_ns - *quiet_ns > t->busy_poll_us * NS_PER_US)
		return false;
	for (i = 0, seen = 0; seen < t->umem.n_ports; i++) {
		if (!t->umem.port[i])
			continue;
		seen++;
		svr_port_poll(&t->umem, i);
	}
	return true;
}

static void pin(const struct svr_thread *t)
{
	cpu_set_t cpus;
	int err;

	if (t->cpu < 0)
		return;
	CPU_ZERO(&cpus);
	CPU_SET(t->cpu, &cpus);
	err = pthread_setaffinity_np(pthread_self(), sizeof(cpus), &cpus);
	if (err)
		pr_warn("data thread %u: cannot run on CPU %d: %s", t->number, t->cpu,
			strerror(err));
}

static void *thread_main(void *arg)
{
	struct svr_thread *t = arg;
	char name[16];
	int backoff_ms = BACKOFF_MIN_MS;
	uint64_t quiet_ns = 0;
	bool unsent;

	snprintf(name, sizeof(name), "svr-data-%u", t->number);
	pthread_setname_np(pthread_self(), name);
	pin(t);
	for (;;) {
		svr_session_keys_pass(t);
		calls_run(t);
		if (t->stop)
			break;
		if (round_run(t, &unsent)) {
			svr_counters_flush(&t->counters, t->maps, &t->stats);
			backoff_ms = BACKOFF_MIN_MS;
			quiet_ns = 0;
			continue;
		}
		if (busy_poll(t, &quiet_ns))
			continue;
		svr_tstat(&t->stats, SVR_TSTAT_SLEEPS, 1);
		round_wait(t, unsent ? backoff_ms : -1);
		backoff_ms = unsent && backoff_ms < BACKOFF_MAX_MS ? 2 * backoff_ms : backoff_ms;
	}
	return NULL;
}

int svr_thread_init(struct svr_thread *t, const struct svr_thread_config *config)
{
	int err;

	memset(t, 0, sizeof(*t));
	t->number = config->number;
	t->cpu = config->cpu;
	t->busy_poll_us = config->busy_poll_us;
	t->maps = config->maps;
	t->sessions = config->sessions;
	t->mailbox = config->mailbox;
	t->whole_mail = config->whole_mail;
	t->keylog = config->keylog;
	t->rawtx = -1;
	pthread_mutex_init(&t->lock, NULL);
	pthread_cond_init(&t->done, NULL);
	t->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (t->event_fd < 0)
		return -errno;
	t->rawtx = svr_rawtx_open();
	if (t->rawtx < 0)
		return t->rawtx;
	t->batch = calloc(1, sizeof(*t->batch));
	t->cut = malloc(SVR_CUT_ROOM + SVR_PACKET_MAX);
	t->jumbo = malloc(SVR_JUMBO_SIZE);
	if (!t->batch || !t->cut || !t->jumbo)
		return -ENOMEM;
	err = svr_crypt_new(&t->crypt);
	if (!err)
		err = svr_keysets_new(t->crypt, config->ready_keys, &t->keysets);
	if (!err)
		err = svr_umem_init(&t->umem, t->busy_poll_us, &t->stats);
	clocks_read(t);
	return err;
}

int svr_thread_start(struct svr_thread *t)
{
	sigset_t all, old;
	int err;

	svr_slots_thread_start(&t->sessions->slots, t->number);
	/* Signals are for the main thread */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = -pthread_create(&t->id, NULL, thread_main, t);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	t->running = !err;
	if (err)
		svr_slots_thread_stop(&t->sessions->slots, t->number);
	return err;
}

static void stop_call(struct svr_thread *t, void *arg)
{
	(void)arg;
	t->stop = true;
}

void svr_thread_stop(struct svr_thread *t)
{
	if (!t->running)
		return;
	svr_thread_call(t, stop_call, NULL);
	pthread_join(t->id, NULL);
	t->running = false;
	svr_slots_thread_stop(&t->sessions->slots, t->number);
}

void svr_thread_free(struct svr_thread *t)
{
	svr_umem_free(&t->umem);
	svr_keysets_free(t->keysets);
	svr_keycache_free(&t->keycache);
	svr_crypt_free(t->crypt);
	free(t->batch);
	free(t->cut);
	free(t->jumbo);
	if (t->event_fd >= 0)
		close(t->event_fd);
	if (t->rawtx >= 0)
		close(t->rawtx);
	pthread_cond_destroy(&t->done);
	pthread_mutex_destroy(&t->lock);
}
