// SPDX-License-Identifier: BSD-2-Clause
/*
 * The time. When CLOCK_REALTIME is set, peers have to measure the offset of our clock anew, and until
 * they have, time-based HMACs of ours do not fit: so they are sent packets at once. The kernel says
 * so by cancelling a timer; a look at both clocks now and then finds what it did not say.
 */
#include <errno.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include <event2/event.h>

#include "keymgr.h"
#include "sys/log.h"

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * SVR_NS_PER_SEC + (uint64_t)t.tv_nsec;
}

struct svr_now km_now(void)
{
	return (struct svr_now){ .mono_ns = clock_ns(CLOCK_MONOTONIC),
				 .real_ns = clock_ns(CLOCK_REALTIME) };
}

static int64_t base_now(void)
{
	struct svr_now now = km_now();

	return (int64_t)(now.real_ns - now.mono_ns);
}

void km_clock_check(struct keymgr *km)
{
	const int64_t step_ns = KM_CLOCK_STEP_US * (int64_t)SVR_NS_PER_US;
	int64_t base_ns = base_now(), moved_ns = base_ns - km->clock.base_ns;
	unsigned int i;

	km->clock.base_ns = base_ns;
	if (moved_ns > -step_ns && moved_ns < step_ns)
		return;
	pr_info("the clock was set by %+.3f s: peers measure it anew",
		(double)moved_ns / (double)SVR_NS_PER_SEC);
	for (i = 0; i < km->n_peers; i++) {
		svr_peering_clock_set(km->peer[i].peering);
		km_peer_schedule(&km->peer[i]);
	}
}

/* Far away: it never fires, it is only cancelled. */
static int timer_arm(int fd)
{
	const struct itimerspec never = { .it_value = { .tv_sec = UINT32_MAX } };

	return timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never, NULL);
}

static void on_set(evutil_socket_t fd, short what, void *arg)
{
	uint64_t count;

	(void)what;
	if (read(fd, &count, sizeof(count)) < 0 && errno == ECANCELED)
		timer_arm(fd);
	km_clock_check(arg);
}

int km_clock_start(struct keymgr *km)
{
	struct km_clock *c = &km->clock;

	c->base_ns = base_now();
	c->fd = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC);
	if (c->fd < 0 || timer_arm(c->fd) < 0) {
		pr_warn("no word from the kernel when the clock is set: %s; it is looked at every %d ms",
			strerror(errno), KM_WATCH_MS);
		return 0;
	}
	c->event = event_new(km->base, c->fd, EV_READ | EV_PERSIST, on_set, km);
	return c->event && event_add(c->event, NULL) == 0 ? 0 : -ENOMEM;
}

void km_clock_stop(struct keymgr *km)
{
	if (km->clock.event)
		event_free(km->clock.event);
	if (km->clock.fd >= 0)
		close(km->clock.fd);
	km->clock.event = NULL;
	km->clock.fd = -1;
}
