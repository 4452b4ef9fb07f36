// SPDX-License-Identifier: BSD-2-Clause
/* The data thread: its loop, its calls, receiving and sending. */
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
#include "worker/thread.h"

enum {
	BACKOFF_MIN_MS = 1, /* a transmit ring is stuck: try again soon */
	BACKOFF_MAX_MS = 64,
};
#define NS_PER_SEC 1000000000ULL

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

int svr_thread_send(struct svr_thread *t, struct svr_work *w, uint16_t zone,
		    const struct svr_nexthop *nh)
{
	const struct svr_port *from = t->umem.port[w->port];
	uint16_t port = tx_port(t, zone, from ? from->queue : 0);
	size_t len;
	int err;

	if (port == SVR_NO_PORT)
		return -SVR_DROP_TX_FULL;
	err = svr_packet_set_eth(&w->pkt, nh->dmac, nh->smac, t->zone_tx[zone].vlan);
	if (err)
		return err;
	len = svr_packet_frame_len(&w->pkt);
	if (svr_port_send(&t->umem, port, (uint64_t)(w->pkt.eth - t->umem.area), (uint32_t)len))
		return -SVR_DROP_TX_FULL;
	w->gone = true;
	svr_count(&t->counters, zone, SVR_STAT_TX_PACKETS, 1);
	svr_count(&t->counters, zone, SVR_STAT_TX_BYTES, len);
	return 0;
}

int svr_thread_send_copy(struct svr_thread *t, uint16_t zone, uint16_t queue, const void *frame,
			 size_t len)
{
	uint16_t port = tx_port(t, zone, queue);
	uint64_t addr;

	if (port == SVR_NO_PORT || len > SVR_FRAME_SIZE)
		return -SVR_DROP_TX_FULL;
	addr = svr_frame_get(&t->umem);
	if (addr == UINT64_MAX)
		return -SVR_DROP_TX_FULL;
	memcpy(svr_frame_data(&t->umem, addr), frame, len);
	if (svr_port_send(&t->umem, port, addr, (uint32_t)len)) {
		svr_frame_put(&t->umem, addr);
		return -SVR_DROP_TX_FULL;
	}
	svr_count(&t->counters, zone, SVR_STAT_TX_PACKETS, 1);
	svr_count(&t->counters, zone, SVR_STAT_TX_BYTES, len);
	return 0;
}

/* ---- receiving ----------------------------------------------------------------------------- */

static uint64_t clock_ns(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_SEC + (uint64_t)ts.tv_nsec;
}

static void clocks_read(struct svr_thread *t)
{
	t->now_ns = clock_ns(CLOCK_MONOTONIC);
	t->real_ns = clock_ns(CLOCK_REALTIME);
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
		next = c->next; /* the caller owns it again as soon as it is done */
		clocks_read(t);
		c->fn(t, c->arg);
		svr_counters_flush(&t->counters, t->maps);
		pthread_mutex_lock(&t->lock);
		c->done = true;
		pthread_cond_broadcast(&t->done);
		pthread_mutex_unlock(&t->lock);
	}
}

void svr_thread_call(struct svr_thread *t, svr_thread_fn fn, void *arg)
{
	struct svr_call call = { .fn = fn, .arg = arg };
	const uint64_t one = 1;

	if (!t->running) {
		clocks_read(t);
		fn(t, arg);
		svr_counters_flush(&t->counters, t->maps);
		return;
	}
	pthread_mutex_lock(&t->lock);
	call.next = t->calls;
	t->calls = &call;
	__atomic_store_n(&t->calls_waiting, true, __ATOMIC_RELEASE);
	if (write(t->event_fd, &one, sizeof(one)) < 0)
		pr_warn("cannot wake the data thread: %s", strerror(errno));
	while (!call.done)
		pthread_cond_wait(&t->done, &t->lock);
	pthread_mutex_unlock(&t->lock);
}

/* ---- life ---------------------------------------------------------------------------------- */

static void *thread_main(void *arg)
{
	struct svr_thread *t = arg;
	int backoff_ms = BACKOFF_MIN_MS;
	bool unsent;

	for (;;) {
		svr_session_locals_pass(t);
		calls_run(t);
		if (t->stop)
			break;
		if (round_run(t, &unsent)) {
			svr_counters_flush(&t->counters, t->maps);
			backoff_ms = BACKOFF_MIN_MS;
			continue;
		}
		round_wait(t, unsent ? backoff_ms : -1);
		backoff_ms = unsent && backoff_ms < BACKOFF_MAX_MS ? 2 * backoff_ms : backoff_ms;
	}
	return NULL;
}

int svr_thread_init(struct svr_thread *t, struct svr_mapset *maps, struct svr_sessions *sessions,
		    struct svr_mailbox *mailbox, FILE *keylog)
{
	unsigned int i;
	int err;

	memset(t, 0, sizeof(*t));
	t->maps = maps;
	t->sessions = sessions;
	t->mailbox = mailbox;
	t->keylog = keylog;
	t->event_fd = -1;
	pthread_mutex_init(&t->lock, NULL);
	pthread_cond_init(&t->done, NULL);
	for (i = 0; i < SVR_MAX_ZONES; i++)
		t->zone_tx[i] = (struct svr_zone_tx){ 0 };
	t->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (t->event_fd < 0)
		return -errno;
	t->batch = calloc(1, sizeof(*t->batch));
	if (!t->batch)
		return -ENOMEM;
	err = svr_crypt_new(&t->crypt);
	if (!err)
		err = svr_session_locals_init(t);
	if (!err)
		err = svr_umem_init(&t->umem);
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
	svr_session_locals_free(t);
	svr_keycache_free(&t->keycache);
	svr_crypt_free(t->crypt);
	free(t->batch);
	if (t->event_fd >= 0)
		close(t->event_fd);
	pthread_cond_destroy(&t->done);
	pthread_mutex_destroy(&t->lock);
}
