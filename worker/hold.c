// SPDX-License-Identifier: BSD-2-Clause
/*
 * Packets that wait for a next hop. What the worker finished is sent as soon as the link-layer
 * address is there; what XDP handed over (clear sessions) goes through the XDP program of its
 * interface again, so that only XDP makes clear sessions.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include <svr/drops.h>

#include "sys/log.h"
#include "worker/addr.h"
#include "worker/cut.h"
#include "worker/nexthop.h"
#include "worker/whole.h"
#include "worker/worker.h"

enum {
	TICK_MS = 100,
	TIMEOUT_MS = 3000, /* the kernel asks three times, once a second */
	AGAIN_PER_SEC = 500, /* frames whose neighbour is known already: XDP should have found it */
};
#define NS_PER_MS 1000000ULL

struct svr_hold {
	struct event *mail, *tick;
	struct svr_letters waiting;
	unsigned int count;
	struct svr_tokens again;
};

/* ---- sending on ---------------------------------------------------------------------------- */

struct sending {
	const struct svr_letter *letter;
	int err;
};

/* In the data thread. */
static void letter_send(struct svr_thread *t, void *arg)
{
	struct sending *s = arg;
	const struct svr_letter *l = s->letter;
	uint8_t *ip = t->cut + SVR_CUT_ROOM; /* no packet is being cut while the thread is called */
	struct svr_pkt p = { .room = t->cut, .room_end = ip + SVR_PACKET_MAX, .ip = ip };
	const struct svr_nexthop *nh = svr_nexthop_any(t->maps, &t->hints, l->zone, l->addr);

	s->err = -SVR_DROP_NO_NEIGHBOUR;
	if (!nh)
		return;
	/* Only what goes to a host can be that long */
	if (l->len > t->maps->zones[l->zone].mtu) {
		s->err = svr_whole_send_held(t, l, nh);
		return;
	}
	memcpy(ip, l->data, l->len);
	s->err = svr_packet_set_eth(&p, nh->dmac, nh->smac, t->zone_tx[l->zone].vlan,
				    t->zone_tx[l->zone].outer_vlan);
	if (!s->err)
		s->err = svr_thread_send_copy(t, l->zone, (uint16_t)l->queue, p.eth,
					      (size_t)(p.ip - p.eth) + l->len);
}

static void letter_deliver(struct svr_worker *w, struct svr_letter *l)
{
	struct sending s = { .letter = l };

	/*
	 * Not with BPF_F_TEST_XDP_LIVE_FRAMES: such a frame, if it is for the worker after all, would
	 * enter an AF_XDP ring beside the NAPI of its queue, and nothing in the kernel locks that
	 */
	if (l->kind == SVR_LETTER_XDP)
		svr_whole_again(w, l);
	else
		svr_thread_call(w->pool.thread[l->queue % w->pool.n], letter_send, &s);
	if (s.err)
		svr_worker_count_drop(w, l->in_zone, (unsigned int)-s.err);
	svr_letter_free(&w->mailbox, l);
}

/* ---- waiting ------------------------------------------------------------------------------- */

static void letter_drop(struct svr_worker *w, struct svr_letter *l, enum svr_drop reason)
{
	svr_worker_count_drop(w, l->in_zone, reason);
	svr_letter_free(&w->mailbox, l);
}

static void letter_unlink(struct svr_hold *h, struct svr_letter *l)
{
	TAILQ_REMOVE(&h->waiting, l, entry);
	if (--h->count == 0)
		event_del(h->tick);
}

static void letter_keep(struct svr_worker *w, struct svr_letter *l)
{
	const struct timeval every = { .tv_usec = TICK_MS * 1000 };
	struct svr_hold *h = w->hold;
	const struct svr_letter *other;
	struct svr_letter *oldest;
	unsigned int same = 0;

	TAILQ_FOREACH(other, &h->waiting, entry)
		same += other->zone == l->zone && svr_addr_equal(other->addr, l->addr);
	if (same >= SVR_HOLD_PER_NEIGHBOUR) {
		letter_drop(w, l, SVR_DROP_HOLD_FULL);
		return;
	}
	/* Whoever is there answers in milliseconds, and the one that has waited longest did not */
	if (h->count >= SVR_HOLD_ALL / 2) {
		oldest = TAILQ_FIRST(&h->waiting);
		letter_unlink(h, oldest);
		letter_drop(w, oldest, SVR_DROP_HOLD_FULL);
	}
	TAILQ_INSERT_TAIL(&h->waiting, l, entry);
	if (h->count++ == 0)
		event_add(h->tick, &every);
}

static void letter_take(struct svr_worker *w, struct svr_letter *l)
{
	/* It may be for a path of a configuration that nobody has told us of */
	svr_zones_follow(w);
	if (l->zone == 0) { /* nothing to wait for */
		letter_deliver(w, l);
	} else if (!svr_neigh_resolve(w, l->zone, l->addr)) {
		letter_keep(w, l);
	} else if (svr_tokens_take(&w->hold->again, svr_worker_now_ns(), AGAIN_PER_SEC)) {
		letter_deliver(w, l);
	} else {
		letter_drop(w, l, SVR_DROP_NO_NEIGHBOUR);
	}
}

void svr_hold_release(struct svr_worker *w, uint32_t zone, const __be32 addr[static 4])
{
	struct svr_letters ready = TAILQ_HEAD_INITIALIZER(ready);
	struct svr_letter *l, *next;

	if (!w->hold)
		return;
	for (l = TAILQ_FIRST(&w->hold->waiting); l; l = next) {
		next = TAILQ_NEXT(l, entry);
		if (l->zone != zone || !svr_addr_equal(l->addr, addr))
			continue;
		letter_unlink(w->hold, l);
		TAILQ_INSERT_TAIL(&ready, l, entry);
	}
	while ((l = TAILQ_FIRST(&ready))) {
		TAILQ_REMOVE(&ready, l, entry);
		letter_deliver(w, l);
	}
}

static void mail_ready(evutil_socket_t fd, short what, void *arg)
{
	struct svr_worker *w = arg;

	(void)fd;
	(void)what;
	svr_mailbox_drain(&w->mailbox, letter_take, w);
}

static void tick(evutil_socket_t fd, short what, void *arg)
{
	struct svr_worker *w = arg;
	uint64_t now_ns = svr_worker_now_ns();
	struct svr_letter *l, *next;

	(void)fd;
	(void)what;
	for (l = TAILQ_FIRST(&w->hold->waiting); l; l = next) {
		next = TAILQ_NEXT(l, entry);
		if (now_ns - l->since_ns < TIMEOUT_MS * NS_PER_MS)
			continue;
		letter_unlink(w->hold, l);
		letter_drop(w, l, SVR_DROP_HOLD_TIMEOUT);
	}
}

unsigned int svr_hold_count(const struct svr_worker *w)
{
	return w->hold->count;
}

int svr_hold_new(struct svr_worker *w)
{
	struct svr_hold *h = calloc(1, sizeof(*h));

	if (!h)
		return -ENOMEM;
	w->hold = h;
	TAILQ_INIT(&h->waiting);
	h->mail = event_new(w->base, w->mailbox.event_fd, EV_READ | EV_PERSIST, mail_ready, w);
	h->tick = event_new(w->base, -1, EV_PERSIST, tick, w);
	return h->mail && h->tick && event_add(h->mail, NULL) == 0 ? 0 : -ENOMEM;
}

void svr_hold_free(struct svr_worker *w)
{
	struct svr_hold *h = w->hold;
	struct svr_letter *l;

	if (!h)
		return;
	while ((l = TAILQ_FIRST(&h->waiting))) {
		TAILQ_REMOVE(&h->waiting, l, entry);
		svr_letter_free(&w->mailbox, l);
	}
	if (h->mail)
		event_free(h->mail);
	if (h->tick)
		event_free(h->tick);
	free(h);
	w->hold = NULL;
}
