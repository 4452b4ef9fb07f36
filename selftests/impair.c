// SPDX-License-Identifier: BSD-2-Clause
/*
 * A bad link: forwards frames between two network devices and loses, doubles, reorders and delays
 * them. Both directions are treated alike, and a seed makes a run repeatable.
 *
 *	impair [OPTION...] DEVICE DEVICE
 *	  --loss PERCENT        frames that vanish
 *	  --duplicate PERCENT   frames that come twice
 *	  --reorder PERCENT     frames that are held back until others have passed ...
 *	  --gap N               ... 1 to N of them (default 8)
 *	  --hold MILLISECONDS   for no longer than this (default 50)
 *	  --delay MICROSECONDS  of every frame
 *	  --no-fragments        IP fragments vanish, as in many a middlebox
 *	  --seed N              of the dice (default 1)
 *
 * Says "forwarding" when it runs, and what it did, as JSON, when it ends. The devices must not be
 * bridge ports. Needs CAP_NET_RAW. What a host left for its NIC to do (checksums) is left so.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/if.h>

enum {
	FRAME_MAX = 65535 + ETH_HLEN,
	BUFFER = 16 << 20, /* of each socket: bursts must be lost by the dice only */
	BATCH = 64,
};
#define NS_PER_MS 1000000ULL
#define NS_PER_US 1000ULL
#define NS_PER_SEC 1000000000ULL

struct frame {
	TAILQ_ENTRY(frame) entry;
	uint64_t due_ns; /* not before */
	uint32_t gap; /* frames that have to pass first; 0: none */
	struct virtio_net_hdr vnet;
	size_t len;
	uint8_t data[];
};
TAILQ_HEAD(frames, frame);

struct stats {
	uint64_t received, sent, lost, duplicated, reordered, fragments, failed;
};

/* One direction. */
struct lane {
	int in, out;
	struct frames queue; /* in the order of due_ns: all wait equally long */
	struct frames held;
	struct stats stats;
};

static struct {
	double loss, duplicate, reorder; /* 0 to 1 */
	uint32_t gap;
	uint64_t delay_ns, hold_ns;
	bool no_fragments;
	uint64_t dice;
} config = { .gap = 8, .hold_ns = 50 * NS_PER_MS, .dice = 1 };

static volatile sig_atomic_t stopped;

static void stop(int signal)
{
	(void)signal;
	stopped = 1;
}

/* xorshift64* (Vigna): good enough for dice, and the same everywhere. */
static uint64_t dice(void)
{
	config.dice ^= config.dice >> 12;
	config.dice ^= config.dice << 25;
	config.dice ^= config.dice >> 27;
	return config.dice * 0x2545f4914f6cdd1dULL;
}

static bool happens(double chance)
{
	return (double)(dice() >> 11) / (double)(1ULL << 53) < chance;
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_SEC + (uint64_t)ts.tv_nsec;
}

static void die(const char *what)
{
	fprintf(stderr, "impair: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* ---- devices ------------------------------------------------------------------------------- */

static int device_open(const char *name)
{
	struct sockaddr_ll address = { .sll_family = AF_PACKET,
				       .sll_protocol = htons(ETH_P_ALL),
				       .sll_ifindex = (int)if_nametoindex(name) };
	struct packet_mreq promiscuous = { .mr_ifindex = address.sll_ifindex,
					   .mr_type = PACKET_MR_PROMISC };
	int fd, one = 1, size = BUFFER;

	if (!address.sll_ifindex)
		die(name);
	fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0 ||
	    setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof(one)) ||
	    setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one)) ||
	    setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &promiscuous, sizeof(promiscuous)) ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) ||
	    bind(fd, (struct sockaddr *)&address, sizeof(address)))
		die(name);
	return fd;
}

static void frame_send(struct lane *lane, struct frame *f)
{
	struct iovec piece[2] = { { &f->vnet, sizeof(f->vnet) }, { f->data, f->len } };

	/* Only this is told to the next one; the rest is about how the frame was received */
	f->vnet.flags &= VIRTIO_NET_HDR_F_NEEDS_CSUM;
	if (writev(lane->out, piece, 2) < 0)
		lane->stats.failed++;
	else
		lane->stats.sent++;
}

/* Of IPv4, the first one too, or of IPv6 with its fragment header in front. */
static bool is_fragment(const uint8_t *frame, size_t len)
{
	const uint16_t more_or_offset = 0x3fff;
	uint16_t type;

	if (len < ETH_HLEN + 8)
		return false;
	type = (uint16_t)(frame[12] << 8 | frame[13]);
	frame += ETH_HLEN;
	if (type == ETH_P_IP)
		return (frame[6] << 8 | frame[7]) & more_or_offset;
	return type == ETH_P_IPV6 && frame[6] == IPPROTO_FRAGMENT;
}

/* ---- one direction ------------------------------------------------------------------------- */

/* A frame has passed: those that waited for it may follow. */
static void held_count(struct lane *lane)
{
	struct frame *f, *next;

	for (f = TAILQ_FIRST(&lane->held); f; f = next) {
		next = TAILQ_NEXT(f, entry);
		if (--f->gap)
			continue;
		TAILQ_REMOVE(&lane->held, f, entry);
		frame_send(lane, f);
		free(f);
	}
}

static void held_expire(struct lane *lane, uint64_t now)
{
	struct frame *f;

	while ((f = TAILQ_FIRST(&lane->held)) && f->due_ns <= now) {
		TAILQ_REMOVE(&lane->held, f, entry);
		frame_send(lane, f);
		free(f);
	}
}

static void queue_run(struct lane *lane, uint64_t now)
{
	struct frame *f;

	while ((f = TAILQ_FIRST(&lane->queue)) && f->due_ns <= now) {
		TAILQ_REMOVE(&lane->queue, f, entry);
		if (f->gap) {
			f->due_ns = now + config.hold_ns;
			TAILQ_INSERT_TAIL(&lane->held, f, entry);
			continue;
		}
		frame_send(lane, f);
		free(f);
		held_count(lane);
	}
	held_expire(lane, now);
}

static void frame_add(struct lane *lane, const struct virtio_net_hdr *vnet, const uint8_t *data,
		      size_t len, uint64_t now)
{
	struct frame *f = malloc(sizeof(*f) + len);

	if (!f)
		die("memory");
	*f = (struct frame){ .due_ns = now + config.delay_ns, .vnet = *vnet, .len = len };
	memcpy(f->data, data, len);
	if (happens(config.reorder)) {
		f->gap = 1 + (uint32_t)(dice() % config.gap);
		lane->stats.reordered++;
	}
	TAILQ_INSERT_TAIL(&lane->queue, f, entry);
}

static void lane_receive(struct lane *lane)
{
	static uint8_t data[FRAME_MAX];
	struct virtio_net_hdr vnet;
	struct iovec piece[2] = { { &vnet, sizeof(vnet) }, { data, sizeof(data) } };
	uint64_t now = now_ns();
	ssize_t n;
	int i;

	for (i = 0; i < BATCH; i++) {
		n = readv(lane->in, piece, 2);
		if (n < (ssize_t)sizeof(vnet))
			break;
		n -= (ssize_t)sizeof(vnet);
		lane->stats.received++;
		if (config.no_fragments && is_fragment(data, (size_t)n)) {
			lane->stats.fragments++;
			continue;
		}
		if (happens(config.loss)) {
			lane->stats.lost++;
			continue;
		}
		frame_add(lane, &vnet, data, (size_t)n, now);
		if (happens(config.duplicate)) {
			lane->stats.duplicated++;
			frame_add(lane, &vnet, data, (size_t)n, now);
		}
	}
	queue_run(lane, now);
}

static uint64_t lane_next(const struct lane *lane)
{
	const struct frame *q = TAILQ_FIRST(&lane->queue), *h = TAILQ_FIRST(&lane->held);
	uint64_t next = q ? q->due_ns : UINT64_MAX;

	return h && h->due_ns < next ? h->due_ns : next;
}

static void lane_print(const struct lane *lane, const char *name, const char *end)
{
	const struct stats *s = &lane->stats;

	printf("\"%s\": {\"received\": %" PRIu64 ", \"sent\": %" PRIu64 ", \"lost\": %" PRIu64
	       ", \"duplicated\": %" PRIu64 ", \"reordered\": %" PRIu64 ", \"fragments\": %" PRIu64
	       ", \"failed\": %" PRIu64 "}%s",
	       name, s->received, s->sent, s->lost, s->duplicated, s->reordered, s->fragments,
	       s->failed, end);
}

/* ---- the whole ----------------------------------------------------------------------------- */

static void run(struct lane lane[2], int timer)
{
	struct pollfd fds[3] = { { .fd = lane[0].in, .events = POLLIN },
				 { .fd = lane[1].in, .events = POLLIN },
				 { .fd = timer, .events = POLLIN } };
	struct itimerspec at = { 0 };
	uint64_t next, expired;
	int i;

	while (!stopped) {
		next = lane_next(&lane[0]);
		if (lane_next(&lane[1]) < next)
			next = lane_next(&lane[1]);
		if (next == UINT64_MAX)
			next = 0; /* off */
		at.it_value.tv_sec = (time_t)(next / NS_PER_SEC);
		at.it_value.tv_nsec = (long)(next % NS_PER_SEC);
		timerfd_settime(timer, TFD_TIMER_ABSTIME, &at, NULL);
		if (poll(fds, 3, -1) < 0 && errno != EINTR)
			die("poll");
		if (fds[2].revents && read(timer, &expired, sizeof(expired)) < 0 && errno != EAGAIN)
			die("timer");
		for (i = 0; i < 2; i++) {
			if (fds[i].revents)
				lane_receive(&lane[i]);
			else
				queue_run(&lane[i], now_ns());
		}
	}
}

/* @max: 0 for a percentage, returned as a part of 1. */
static double number(const char *name, const char *text, double max)
{
	double limit = max > 0 ? max : 100, value;
	char *end;

	value = strtod(text, &end);
	if (end == text || *end || !(value >= 0 && value <= limit)) {
		fprintf(stderr, "impair: --%s \"%s\": must be a number from 0 to %.0f\n", name,
			text, limit);
		exit(2);
	}
	return max > 0 ? value : value / 100;
}

static void options(int argc, char **argv)
{
	static const struct option known[] = {
		{ "loss", required_argument, NULL, 'l' },
		{ "duplicate", required_argument, NULL, 'd' },
		{ "reorder", required_argument, NULL, 'r' },
		{ "gap", required_argument, NULL, 'g' },
		{ "hold", required_argument, NULL, 'h' },
		{ "delay", required_argument, NULL, 'w' },
		{ "no-fragments", no_argument, NULL, 'f' },
		{ "seed", required_argument, NULL, 's' },
		{ 0 },
	};
	int option, index = 0;

	while ((option = getopt_long(argc, argv, "", known, &index)) != -1) {
		const char *name = option == '?' ? NULL : known[index].name;

		switch (option) {
		case 'l':
			config.loss = number(name, optarg, 0);
			break;
		case 'd':
			config.duplicate = number(name, optarg, 0);
			break;
		case 'r':
			config.reorder = number(name, optarg, 0);
			break;
		case 'g':
			config.gap = (uint32_t)number(name, optarg, 1000000);
			break;
		case 'h':
			config.hold_ns = (uint64_t)number(name, optarg, 10e3) * NS_PER_MS;
			break;
		case 'w':
			config.delay_ns = (uint64_t)number(name, optarg, 10e6) * NS_PER_US;
			break;
		case 'f':
			config.no_fragments = true;
			break;
		case 's':
			config.dice = (uint64_t)number(name, optarg, 1e15);
			break;
		default:
			exit(2);
		}
	}
	if (argc - optind != 2 || !config.gap || !config.dice) {
		fprintf(stderr, "usage: impair [--loss %%] [--duplicate %%] [--reorder %%] "
				"[--gap N] [--hold MS] [--delay US] [--no-fragments] [--seed N] "
				"DEVICE DEVICE\n");
		exit(2);
	}
}

static void frames_free(struct frames *frames)
{
	struct frame *f;

	while ((f = TAILQ_FIRST(frames))) {
		TAILQ_REMOVE(frames, f, entry);
		free(f);
	}
}

int main(int argc, char **argv)
{
	const struct sigaction action = { .sa_handler = stop };
	struct lane lane[2];
	int fd[2], timer, i;

	options(argc, argv);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	for (i = 0; i < 2; i++)
		fd[i] = device_open(argv[optind + i]);
	for (i = 0; i < 2; i++) {
		lane[i] = (struct lane){ .in = fd[i], .out = fd[!i] };
		TAILQ_INIT(&lane[i].queue);
		TAILQ_INIT(&lane[i].held);
	}
	timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (timer < 0)
		die("timer");
	puts("forwarding");
	fflush(stdout);
	run(lane, timer);
	printf("{");
	lane_print(&lane[0], argv[optind], ", ");
	lane_print(&lane[1], argv[optind + 1], "}\n");
	for (i = 0; i < 2; i++) {
		frames_free(&lane[i].queue);
		frames_free(&lane[i].held);
	}
	return 0;
}
