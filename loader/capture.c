// SPDX-License-Identifier: BSD-2-Clause
/* `svr capture`: packets as the XDP programs leave them, with verdict and reason, as pcapng. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <svr/drops.h>
#include <svr/stats.h>

#include "lib/now.h"
#include "lib/pcapng.h"
#include "sys/ctl.h"
#include "sys/mapset.h"

#include "cli.h"
#include "state.h"

enum capture_limits {
	CAPTURE_LEASE_SEC = 3, /* a reader that was killed is forgotten after this */
	CAPTURE_POLL_MS = 200,
	CAPTURE_COMMENT_LEN = 160,
	CAPTURE_SNAPLEN_MIN = 64, /* so that headers are there */
};

enum { CAPTURE_DEV, CAPTURE_FILE, CAPTURE_COUNT, CAPTURE_SNAPLEN, CAPTURE_ONLY_DROPS };
const struct svr_arg svr_capture_args[] = {
	[CAPTURE_DEV] = { "dev", "DEV", NULL, true, true, "device-interface of the router" },
	[CAPTURE_FILE] = { "file", "FILE", NULL, false, false,
			   "pcapng; \"-\" or nothing: standard output, for tcpdump -r - or wireshark -k -i -" },
	[CAPTURE_COUNT] = { "count", "N", NULL, false, false, "end after so many packets" },
	[CAPTURE_SNAPLEN] = { "snaplen", "BYTES", NULL, false, false, "most of each packet" },
	[CAPTURE_ONLY_DROPS] = { "drops", NULL, NULL, false, false, "only packets that are dropped" },
	{},
};

struct capture {
	struct svr_cli *cli;
	struct svr_mapset m;
	const char *device;
	uint32_t snaplen, flags;
	uint64_t count; /* 0: without end */
	uint64_t packets;
	int64_t real_offset_ns; /* CLOCK_REALTIME minus CLOCK_MONOTONIC */
	struct svr_pcapng out;
	uint32_t number[SVR_MAX_ZONES]; /* interface number in the file, plus one; 0: not captured */
	uint64_t missed_before[SVR_MAX_ZONES];
	int error;
};

static volatile sig_atomic_t ended;

static void on_signal(int sig)
{
	(void)sig;
	ended = 1;
}

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * SVR_NS_PER_SEC + (uint64_t)t.tv_nsec;
}

/* ---- what becomes of a packet, in words ------------------------------------------------------ */

static const struct {
	const char *name, *text;
} reasons[SVR_DROP_MAX] = {
#define X(id, n, name, text) [n] = { name, text },
	SVR_DROP_REASONS(X)
#undef X
};

static void describe(int32_t result, char text[static CAPTURE_COMMENT_LEN])
{
	static const char *const verdicts[] = {
		[SVR_VERDICT_PASS] = "pass: given to the kernel",
		[SVR_VERDICT_FORWARD] = "forward: sent on by XDP, as it leaves",
		[SVR_VERDICT_WORKER] = "worker: given to svr-worker",
		[SVR_VERDICT_ANSWER] = "answer: the ICMP message that goes back",
	};

	if (result > 0 && (size_t)result < sizeof(verdicts) / sizeof(verdicts[0]))
		snprintf(text, CAPTURE_COMMENT_LEN, "%s", verdicts[result]);
	else if (result < 0 && result > -SVR_DROP_MAX && reasons[-result].name)
		snprintf(text, CAPTURE_COMMENT_LEN, "drop %s: %s", reasons[-result].name,
			 reasons[-result].text);
	else
		snprintf(text, CAPTURE_COMMENT_LEN, "result %" PRId32, result);
}

/* ---- from the ring to the file --------------------------------------------------------------- */

static int on_record(void *user, void *data, size_t size)
{
	const struct svr_capture_record *r = data;
	struct capture *c = user;
	char comment[CAPTURE_COMMENT_LEN];

	/* A record that another capture has left, or one that is not ours */
	if (size < sizeof(*r) || r->caplen > size - sizeof(*r) || r->zone >= SVR_MAX_ZONES ||
	    !c->number[r->zone])
		return 0;
	describe(r->result, comment);
	c->error = svr_pcapng_packet(&c->out, c->number[r->zone] - 1,
				     (uint64_t)((int64_t)r->time_ns + c->real_offset_ns), r + 1,
				     r->caplen, r->len, comment);
	c->packets++;
	if (c->error || (c->count && c->packets >= c->count))
		return -ECANCELED;
	return 0;
}

/* Until somebody ends it, the count is reached, or nobody reads the file any more. */
static int read_ring(struct capture *c, struct ring_buffer *ring)
{
	uint64_t now_ns, renew_ns = 0;
	int err;

	while (!ended) {
		now_ns = clock_ns(CLOCK_MONOTONIC);
		if (now_ns >= renew_ns) {
			renew_ns = now_ns + SVR_NS_PER_SEC;
			for (uint32_t i = 1; i < SVR_MAX_ZONES; i++)
				if (c->number[i])
					__atomic_store_n(&c->m.captures[i].until_ns,
							 now_ns + CAPTURE_LEASE_SEC * SVR_NS_PER_SEC,
							 __ATOMIC_RELAXED);
		}
		err = ring_buffer__poll(ring, CAPTURE_POLL_MS);
		if (err == -ECANCELED || err == -EINTR)
			break;
		if (err < 0)
			return err;
		/* Somebody looks at it now, not when the buffer is full */
		if (err > 0 && fflush(c->out.to))
			return -errno;
	}
	return c->error;
}

static void drop_old_records(struct ring_buffer *ring, struct capture *c)
{
	uint32_t number[SVR_MAX_ZONES];

	memcpy(number, c->number, sizeof(number));
	memset(c->number, 0, sizeof(c->number));
	ring_buffer__consume(ring);
	memcpy(c->number, number, sizeof(number));
}

static int missed(struct capture *c, uint64_t now[SVR_MAX_ZONES])
{
	uint64_t *stats;
	int err = svr_state_percpu(c->m.fd.stats, c->m.count.zones, SVR_STAT_MAX, &stats);

	if (err)
		return err;
	for (uint32_t i = 1; i < SVR_MAX_ZONES && i < c->m.count.zones; i++)
		now[i] = stats[i * SVR_STAT_MAX + SVR_STAT_CAPTURE_MISSED];
	free(stats);
	return 0;
}

static int run(struct capture *c)
{
	uint64_t now[SVR_MAX_ZONES] = {}, lost = 0;
	struct ring_buffer *ring;
	int err;

	ring = ring_buffer__new(c->m.fd.capture_ring, on_record, c, NULL);
	if (!ring)
		return svr_cli_error(c->cli, -errno, "%s/svr_capture_ring: cannot read it: %s",
				     c->m.dir, strerror(errno));
	drop_old_records(ring, c);
	missed(c, c->missed_before);
	for (uint32_t i = 1; i < SVR_MAX_ZONES; i++) {
		if (!c->number[i])
			continue;
		c->m.captures[i].until_ns = clock_ns(CLOCK_MONOTONIC) +
					    CAPTURE_LEASE_SEC * SVR_NS_PER_SEC;
		c->m.captures[i].flags = c->flags;
		__atomic_store_n(&c->m.captures[i].snaplen, c->snaplen, __ATOMIC_RELEASE);
	}
	err = read_ring(c, ring);
	for (uint32_t i = 1; i < SVR_MAX_ZONES; i++)
		if (c->number[i])
			__atomic_store_n(&c->m.captures[i].snaplen, 0, __ATOMIC_RELEASE);
	/* What came before that took effect */
	if (!err && (!c->count || c->packets < c->count))
		ring_buffer__consume(ring);
	ring_buffer__free(ring);
	missed(c, now);
	for (uint32_t i = 1; i < SVR_MAX_ZONES && !err; i++) {
		if (!c->number[i])
			continue;
		lost += now[i] - c->missed_before[i];
		err = svr_pcapng_missed(&c->out, c->number[i] - 1, clock_ns(CLOCK_REALTIME),
					now[i] - c->missed_before[i]);
	}
	if (!err && fflush(c->out.to))
		err = -errno;
	/* Whoever reads the pipe has seen enough */
	if (err == -EPIPE)
		err = 0;
	if (err)
		return svr_cli_error(c->cli, err, "cannot write the capture: %s", strerror(-err));
	fprintf(stderr, "%" PRIu64 " packets captured, %" PRIu64 " missed\n", c->packets, lost);
	return 0;
}

/* ---- arguments ------------------------------------------------------------------------------- */

static int number(struct svr_cli *cli, const char *name, const char *text, uint64_t min,
		  uint64_t max, uint64_t *to)
{
	char *end;

	errno = 0;
	*to = strtoull(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || errno || *to < min || *to > max)
		return svr_cli_usage(cli, "svr capture: %s is a number from %" PRIu64 " to %" PRIu64,
				     name, min, max);
	return 0;
}

/* All network interfaces (VLANs) of the device, and their descriptions in the file. */
static int describe_interfaces(struct capture *c)
{
	char name[2 * SVR_NAME_LEN + 8];
	int err;

	err = svr_pcapng_begin(&c->out, c->out.to, "svr " SVR_VERSION);
	for (uint32_t i = 1; i < c->m.count.zones && i < SVR_MAX_ZONES && !err; i++) {
		const struct svr_zone *z = &c->m.zones[i];

		if (!c->number[i])
			continue;
		if (z->vlan)
			snprintf(name, sizeof(name), "%s.%u", z->device, z->vlan);
		else
			snprintf(name, sizeof(name), "%s", z->device);
		c->number[i] = c->out.interfaces + 1;
		err = svr_pcapng_interface(&c->out, name, z->name, c->snaplen);
	}
	return err;
}

static int find_zones(struct capture *c)
{
	bool found = false;

	for (uint32_t i = 1; i < c->m.count.zones && i < SVR_MAX_ZONES; i++) {
		if (!c->m.zones[i].name[0] || strcmp(c->m.zones[i].device, c->device))
			continue;
		c->number[i] = 1;
		found = true;
	}
	if (found)
		return 0;
	return svr_cli_error(c->cli, -ENODEV, "%s is no device of router %s; see: svr link show",
			     c->device, c->m.router->name);
}

/* Two readers would take packets from each other. Ends with the process. */
static int lock(struct svr_cli *cli, const char *router)
{
	char path[PATH_MAX];
	int fd, err;

	err = svr_ctl_path(router, "capture.lock", 1, path, sizeof(path));
	if (err)
		return svr_cli_error(cli, err, "cannot make the run directory of router %s: %s",
				     router, strerror(-err));
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return svr_cli_error(cli, -errno, "%s: cannot open the lock: %s", path,
				     strerror(errno));
	if (!flock(fd, LOCK_EX | LOCK_NB))
		return fd;
	err = svr_cli_error(cli, -EBUSY, "another capture of router %s is running", router);
	close(fd);
	return err;
}

static FILE *open_file(struct svr_cli *cli, const char *name)
{
	FILE *to = stdout;

	if (name && strcmp(name, "-")) {
		to = fopen(name, "we");
		if (!to)
			svr_cli_error(cli, -errno, "%s: cannot write: %s", name, strerror(errno));
	} else if (isatty(STDOUT_FILENO)) {
		svr_cli_error(cli, -EINVAL,
			      "standard output is a terminal; name a file, or: svr capture ... | tcpdump -n -r -");
		to = NULL;
	}
	return to;
}

static void catch_signals(void)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction action = { .sa_handler = on_signal };

	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigaction(signals[i], &action, NULL);
	action.sa_handler = SIG_IGN;
	sigaction(SIGPIPE, &action, NULL);
}

int svr_capture_run(struct svr_cli *cli, const char *const *val)
{
	struct capture c = { .cli = cli, .device = val[CAPTURE_DEV], .snaplen = SVR_CAPTURE_JUMBO };
	char reason[SVR_CLI_ERROR_LEN];
	const char *router;
	uint64_t snaplen;
	int lock_fd, err;

	err = svr_cli_router(cli, &router);
	if (!err && val[CAPTURE_COUNT])
		err = number(cli, "count", val[CAPTURE_COUNT], 1, UINT32_MAX, &c.count);
	if (!err && val[CAPTURE_SNAPLEN]) {
		err = number(cli, "snaplen", val[CAPTURE_SNAPLEN], CAPTURE_SNAPLEN_MIN,
			     SVR_CAPTURE_JUMBO, &snaplen);
		c.snaplen = (uint32_t)snaplen;
	}
	if (err)
		return err;
	if (val[CAPTURE_ONLY_DROPS])
		c.flags |= SVR_CAPTURE_DROPS;
	err = svr_mapset_open(router, SVR_WRITER_SVR, &c.m, reason, sizeof(reason));
	if (err)
		return svr_cli_error(cli, err, "%s", reason);
	lock_fd = -1;
	err = find_zones(&c);
	if (!err) {
		lock_fd = lock(cli, router);
		err = lock_fd < 0 ? lock_fd : 0;
	}
	if (!err) {
		c.out.to = open_file(cli, val[CAPTURE_FILE]);
		err = c.out.to ? 0 : -EIO;
	}
	if (!err) {
		c.real_offset_ns = (int64_t)(clock_ns(CLOCK_REALTIME) - clock_ns(CLOCK_MONOTONIC));
		catch_signals();
		err = describe_interfaces(&c);
		if (err)
			svr_cli_error(cli, err, "cannot write the capture: %s", strerror(-err));
		else
			err = run(&c);
		if (c.out.to != stdout && fclose(c.out.to) && !err)
			err = svr_cli_error(cli, -errno, "%s: cannot write: %s", val[CAPTURE_FILE],
					    strerror(errno));
	}
	if (lock_fd >= 0)
		close(lock_fd);
	svr_mapset_close(&c.m);
	return err;
}
