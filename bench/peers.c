// SPDX-License-Identifier: BSD-2-Clause
/*
 * The other ends of a key manager with many peers: COUNT routers, each with a certificate, a key
 * exchange, two paths and BFD of its own, in one process, over real sockets. bench/peers.sh runs it
 * against a real svr-keymgr.
 *
 *	peers make DIR COUNT ROUTER COMMON-NAME FINGERPRINT REKEY-SECONDS
 *		certificates and DIR/authority.json
 *	peers run DIR COUNT COMMON-NAME FINGERPRINT DEVICE1 DEVICE2
 *		until SIGTERM, then one line of figures
 */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <event2/event.h>
#include <openssl/rand.h>

#include "lib/kexjob.h"
#include "lib/peering.h"

enum {
	BENCH_PATHS = 2,
	BENCH_COUNT_MAX = 1020,
	BENCH_JOBS = 4096,
	BENCH_BATCH = 256,
	BENCH_NAME = 32,
	BENCH_INTERVAL_US = 1000000,
	BENCH_MULTIPLIER = 3,
	BENCH_PER_NET = 250, /* hosts in the third byte of an address */
};

struct bench_peer {
	unsigned int number;
	char name[BENCH_NAME];
	struct svr_peering *peering;
	struct svr_pki_identity *identity;
	struct svr_own_keys own;
	struct event *timer;
};

static struct {
	unsigned int count;
	struct bench_peer peer[BENCH_COUNT_MAX];
	struct svr_crypt *crypt;
	struct svr_pki_trust *trust;
	struct event_base *base;
	struct event *worker; /* runs the jobs one by one */
	struct svr_kex_job *job[BENCH_JOBS];
	unsigned int first_job, jobs;
	int fd[BENCH_PATHS];
	uint64_t sent, received, dropped, keys, downs;
} bench;

static void die(const char *what)
{
	fprintf(stderr, "peers: %s: %s\n", what, strerror(errno));
	exit(EXIT_FAILURE);
}

/* 10.(101 + path).(1 + n / 250).(1 + n % 250), and the hub is 10.(1 + path).0.1 */
static uint32_t peer_addr(unsigned int path, unsigned int number)
{
	return 10u << 24 | (101 + path) << 16 | (1 + number / BENCH_PER_NET) << 8 |
	       (1 + number % BENCH_PER_NET);
}

static uint32_t hub_addr(unsigned int path)
{
	return 10u << 24 | (1 + path) << 16 | 1;
}

static void mapped(uint32_t addr, uint8_t out[static 16])
{
	memset(out, 0, 16);
	out[10] = out[11] = 0xff;
	addr = htonl(addr);
	memcpy(out + 12, &addr, 4);
}

static void peer_name(unsigned int number, char out[static BENCH_NAME])
{
	snprintf(out, BENCH_NAME, "peer%04u.bench", number);
}

/* ---- make ------------------------------------------------------------------------------------- */

static void text_addr(uint32_t addr, char out[static INET_ADDRSTRLEN])
{
	addr = htonl(addr);
	inet_ntop(AF_INET, &addr, out, INET_ADDRSTRLEN);
}

static void write_interface(FILE *f, unsigned int path, uint32_t addr, uint32_t gateway,
			    const char *topology)
{
	char a[INET_ADDRSTRLEN], g[INET_ADDRSTRLEN];

	text_addr(addr, a);
	text_addr(gateway, g);
	fprintf(f,
		"%s{\"name\":\"ge%u\",\"network-interface\":[{\"name\":\"wan%u\",\"address\":[{\"ip-address\":\"%s\","
		"\"prefix-length\":16,\"gateway\":\"%s\"}],\"neighborhood\":[{\"name\":\"net%u\",\"topology\":\"%s\"}]}]}",
		path ? "," : "", path + 1, path + 1, a, g, path, topology);
}

static void write_fingerprint(FILE *f, const uint8_t fingerprint[static 32])
{
	unsigned int i;

	fprintf(f, "\"certificate\":{\"fingerprint\":\"sha256");
	for (i = 0; i < 32; i++)
		fprintf(f, ":%02X", fingerprint[i]);
	fprintf(f, "\"},");
}

static int make(const char *dir, unsigned int count, char **argv)
{
	uint8_t fingerprint[32];
	char path[512], name[BENCH_NAME], err[256];
	unsigned int i, k;
	FILE *f;

	snprintf(path, sizeof(path), "%s/authority.json", dir);
	f = fopen(path, "w");
	if (!f)
		die(path);
	fprintf(f,
		"{\"authority\":{\"name\":\"bench\",\"enhanced-security-key-management\":true,\n"
		"\"security-key-management\":{\"peer-key-rekey-interval-seconds\":%s},\n\"router\":[\n"
		"{\"name\":\"%s\",\"peering-common-name\":\"%s\",\"certificate\":{\"fingerprint\":\"%s\"},"
		"\"node\":[{\"name\":\"n\",\"device-interface\":[",
		argv[3], argv[0], argv[1], argv[2]);
	for (k = 0; k < BENCH_PATHS; k++)
		write_interface(f, k, hub_addr(k), hub_addr(k) + 1, "hub");
	fprintf(f, "]}]}");
	for (i = 0; i < count; i++) {
		peer_name(i, name);
		if (svr_pki_self_signed(dir, name, name, "p256", 30, fingerprint, err, sizeof(err))) {
			fprintf(stderr, "peers: %s\n", err);
			return EXIT_FAILURE;
		}
		fprintf(f, ",\n{\"name\":\"peer%04u\",\"peering-common-name\":\"%s\",", i, name);
		write_fingerprint(f, fingerprint);
		fprintf(f, "\"node\":[{\"name\":\"n\",\"device-interface\":[");
		for (k = 0; k < BENCH_PATHS; k++)
			write_interface(f, k, peer_addr(k, i), peer_addr(k, BENCH_PER_NET * 250),
					"spoke");
		fprintf(f, "]}]}");
	}
	fprintf(f, "]}}\n");
	return fclose(f) ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* ---- what a peering asks for ------------------------------------------------------------------ */

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * SVR_NS_PER_SEC + (uint64_t)t.tv_nsec;
}

static struct svr_now bench_now(void *user)
{
	(void)user;
	return (struct svr_now){ clock_ns(CLOCK_MONOTONIC), clock_ns(CLOCK_REALTIME) };
}

static int bench_random(void *user, void *out, size_t len)
{
	(void)user;
	return RAND_bytes(out, (int)len) == 1 ? 0 : -EIO;
}

static bool bench_may_compute(void *user, uint64_t now_ns)
{
	(void)user, (void)now_ns;
	return bench.jobs < BENCH_JOBS / 2;
}

static int bench_compute(void *user, struct svr_kex_job *job)
{
	static const struct timeval soon;

	(void)user;
	if (bench.jobs == BENCH_JOBS)
		return -ENOMEM;
	bench.job[(bench.first_job + bench.jobs++) % BENCH_JOBS] = job;
	evtimer_add(bench.worker, &soon);
	return 0;
}

static void bench_send(void *user, unsigned int path, const uint8_t *packet, size_t len)
{
	const struct bench_peer *peer = user;
	union {
		char bytes[CMSG_SPACE(sizeof(struct in_pktinfo))];
		struct cmsghdr align;
	} control = { 0 };
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_port = htons(SVR_BFD_PORT),
				  .sin_addr.s_addr = htonl(hub_addr(path)) };
	struct iovec iov = { (void *)packet, len };
	struct msghdr msg = { .msg_name = &to,
			      .msg_namelen = sizeof(to),
			      .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control.bytes,
			      .msg_controllen = sizeof(control.bytes) };
	struct in_pktinfo from = { .ipi_spec_dst.s_addr = htonl(peer_addr(path, peer->number)) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	c->cmsg_level = IPPROTO_IP;
	c->cmsg_type = IP_PKTINFO;
	c->cmsg_len = CMSG_LEN(sizeof(from));
	memcpy(CMSG_DATA(c), &from, sizeof(from));
	if (sendmsg(bench.fd[path], &msg, MSG_DONTWAIT) >= 0)
		bench.sent++;
}

static void bench_save_path(void *user, unsigned int path, const struct svr_path_state *state)
{
	(void)user, (void)path, (void)state;
}

static void bench_save_keys(void *user, const struct svr_peer_keys *keys)
{
	(void)user, (void)keys;
}

static void bench_new_key(void *user, const struct svr_peer_key *key)
{
	(void)user, (void)key;
	bench.keys++;
}

static void bench_refused(void *user, int drop)
{
	(void)user, (void)drop;
	bench.dropped++;
}

static void bench_log(void *user, bool warn, const char *text)
{
	if (warn)
		fprintf(stderr, "%s: %s\n", ((struct bench_peer *)user)->name, text);
}

static const struct svr_peering_ops bench_ops = {
	.random = bench_random,
	.dh = &svr_dh_openssl,
	.may_compute = bench_may_compute,
	.compute = bench_compute,
	.refused = bench_refused,
	.now = bench_now,
	.send = bench_send,
	.save_path = bench_save_path,
	.save_keys = bench_save_keys,
	.new_key = bench_new_key,
	.log = bench_log,
};

/* ---- events ------------------------------------------------------------------------------------ */

static void schedule(struct bench_peer *peer)
{
	uint64_t next_ns = svr_peering_next(peer->peering), now_ns = clock_ns(CLOCK_MONOTONIC);
	uint64_t us = next_ns > now_ns ? (next_ns - now_ns) / SVR_NS_PER_US + 1 : 0;
	struct timeval wait = { (time_t)(us / 1000000), (suseconds_t)(us % 1000000) };

	if (next_ns != UINT64_MAX)
		evtimer_add(peer->timer, &wait);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct bench_peer *peer = arg;

	(void)fd, (void)what;
	svr_peering_tick(peer->peering);
	schedule(peer);
}

static void on_work(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval soon;
	struct svr_kex_job *job = bench.job[bench.first_job];
	struct bench_peer *peer;

	(void)fd, (void)what, (void)arg;
	bench.first_job = (bench.first_job + 1) % BENCH_JOBS;
	bench.jobs--;
	svr_kex_job_run(job);
	peer = svr_peering_computed(job);
	if (peer)
		schedule(peer);
	if (bench.jobs)
		evtimer_add(bench.worker, &soon);
}

static bool receive_one(unsigned int path)
{
	uint8_t packet[SVR_BFDMETA_PROBE_MAX];
	union {
		char bytes[CMSG_SPACE(sizeof(struct in_pktinfo))];
		struct cmsghdr align;
	} control;
	struct iovec iov = { packet, sizeof(packet) };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control.bytes,
			      .msg_controllen = sizeof(control.bytes) };
	ssize_t len = recvmsg(bench.fd[path], &msg, MSG_DONTWAIT);
	struct in_pktinfo info;
	struct cmsghdr *c;
	uint32_t addr;
	unsigned int number;

	if (len < 0)
		return false;
	c = CMSG_FIRSTHDR(&msg);
	if (!c || c->cmsg_type != IP_PKTINFO)
		return true;
	memcpy(&info, CMSG_DATA(c), sizeof(info));
	addr = ntohl(info.ipi_addr.s_addr);
	number = ((addr >> 8 & 0xff) - 1) * BENCH_PER_NET + (addr & 0xff) - 1;
	if (number >= bench.count)
		return true;
	bench.received++;
	if (svr_peering_receive(bench.peer[number].peering, path, packet, (size_t)len, 255))
		bench.dropped++;
	schedule(&bench.peer[number]);
	return true;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	unsigned int path = (unsigned int)(uintptr_t)arg;
	int i;

	(void)fd, (void)what;
	for (i = 0; i < BENCH_BATCH && receive_one(path); i++)
		;
}

static void on_end(evutil_socket_t sig, short what, void *arg)
{
	(void)sig, (void)what, (void)arg;
	event_base_loopbreak(bench.base);
}

/* ---- run --------------------------------------------------------------------------------------- */

static void socket_open(unsigned int path, const char *device)
{
	struct sockaddr_in any = { .sin_family = AF_INET, .sin_port = htons(SVR_BFD_PORT) };
	int one = 1, ttl = 255, bytes = 16 << 20, fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	struct event *event;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) ||
	    setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, (socklen_t)strlen(device)) ||
	    setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &one, sizeof(one)) ||
	    setsockopt(fd, IPPROTO_IP, IP_TTL, &ttl, sizeof(ttl)) ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) ||
	    bind(fd, (struct sockaddr *)&any, sizeof(any)))
		die(device);
	bench.fd[path] = fd;
	event = event_new(bench.base, fd, EV_READ | EV_PERSIST, on_readable,
			  (void *)(uintptr_t)path);
	if (!event || event_add(event, NULL))
		die("event");
}

static void peer_start(const char *dir, unsigned int number, const char *hub)
{
	struct bench_peer *peer = &bench.peer[number];
	struct svr_peering_config config = {
		.kex = { .own_name = peer->name,
			 .peer_name = hub,
			 .trust = bench.trust,
			 .group = SVR_DH_FFDHE2048,
			 .retransmit_ms = 30000,
			 .timeout_s = 3600 },
		.own = &peer->own,
		.crypt = bench.crypt,
		.instance = number + 1,
	};
	struct svr_peering_path_config path = {
		.enabled = true,
		.bfd = { BENCH_INTERVAL_US, BENCH_INTERVAL_US, BENCH_MULTIPLIER },
		.hold_down_ms = 5000,
		.hold_down_max_ms = 3600000,
		.test = { 10000, 60000, BENCH_INTERVAL_US, 10 },
		.mtu = { true, 600, SVR_PATHMTU_MIN4, 1500 },
	};
	char err[256];
	unsigned int k;

	peer->number = number;
	peer_name(number, peer->name);
	if (svr_pki_identity_load(dir, peer->name, &peer->identity, err, sizeof(err))) {
		fprintf(stderr, "peers: %s\n", err);
		exit(EXIT_FAILURE);
	}
	config.kex.identity = peer->identity;
	peer->own.meta[0].index = number + 1;
	peer->own.meta[0].flags = SVR_KEY_RX;
	bench_random(NULL, peer->own.meta[0].key, sizeof(peer->own.meta[0].key));
	if (svr_peering_new(&config, &bench_ops, peer, BENCH_PATHS, NULL, &peer->peering))
		die("peering");
	for (k = 0; k < BENCH_PATHS; k++) {
		mapped(peer_addr(k, number), path.local);
		mapped(hub_addr(k), path.remote);
		if (svr_peering_set_path(peer->peering, k, &path, NULL))
			die("path");
	}
	peer->timer = evtimer_new(bench.base, on_timer, peer);
	if (!peer->timer)
		die("timer");
	schedule(peer);
}

static int hex_fingerprint(const char *text, uint8_t out[static 32])
{
	unsigned int i, value;

	for (i = 0, text += strlen("sha256"); i < 32; i++, text += 3) {
		if (sscanf(text, ":%2x", &value) != 1)
			return -EINVAL;
		out[i] = (uint8_t)value;
	}
	return 0;
}

static int run(const char *dir, unsigned int count, char **argv)
{
	uint8_t fingerprint[32];
	struct event *end;
	unsigned int i, k;

	if (hex_fingerprint(argv[1], fingerprint))
		die("fingerprint");
	bench.count = count;
	bench.base = event_base_new();
	if (!bench.base || svr_crypt_new(&bench.crypt) || svr_pki_trust_new(&bench.trust))
		die("start");
	svr_pki_trust_allow_self_signed(bench.trust, true);
	svr_pki_trust_fingerprint(bench.trust, fingerprint);
	bench.worker = evtimer_new(bench.base, on_work, NULL);
	end = evsignal_new(bench.base, SIGTERM, on_end, NULL);
	if (!bench.worker || !end || event_add(end, NULL))
		die("start");
	for (k = 0; k < BENCH_PATHS; k++)
		socket_open(k, argv[2 + k]);
	for (i = 0; i < count; i++)
		peer_start(dir, i, argv[0]);
	event_base_dispatch(bench.base);
	for (i = 0; i < count; i++)
		for (k = 0; k < BENCH_PATHS; k++)
			bench.downs += bench.peer[i].peering->paths[k].state.down_count;
	printf("{\"sent\":%lu,\"received\":%lu,\"dropped\":%lu,\"keys\":%lu,\"downs\":%lu}\n",
	       bench.sent, bench.received, bench.dropped, bench.keys, bench.downs);
	return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	unsigned int count = argc > 3 ? (unsigned int)strtoul(argv[3], NULL, 10) : 0;

	if (count && count <= BENCH_COUNT_MAX && argc == 8 && strcmp(argv[1], "make") == 0)
		return make(argv[2], count, argv + 4);
	if (count && count <= BENCH_COUNT_MAX && argc == 8 && strcmp(argv[1], "run") == 0)
		return run(argv[2], count, argv + 4);
	fprintf(stderr, "usage: see the beginning of bench/peers.c; at most %d peers\n", BENCH_COUNT_MAX);
	return EXIT_FAILURE;
}
