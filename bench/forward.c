// SPDX-License-Identifier: BSD-2-Clause
/*
 * How many packets does a router carry? Sends one UDP packet again and again, as fast as the kernel can (live frames of
 * BPF_PROG_TEST_RUN), and counts and drops what leaves the router on its other side.
 *
 *	forward FROM-NS DEVICE MAC ADDRESS PORT TO-NS DEVICE ADDRESS PORT LENGTH CPU[,CPU...] PID MS
 *
 * LENGTH: bytes of the IP packet. CPU: where packets are made, and where the kernel gives them to the router's device; a veth
 * with several queues puts them into queue CPU mod queues. With several CPUs each sends packets of a session of its own, from
 * the next port. PID: the process that forwards, whose CPU time is counted. Prints JSON. The sink lets BFD of svr through and takes everything else.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <net/if.h>
#include <netinet/ether.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "bench/xdp_gen.h"
#include "bench/xsk_ref.h"
#include "skel/xdp_gen.skel.h"
#include "skel/xsk_ref.skel.h"

enum {
	FRAME_MAX = 2048,
	REPEAT = 1 << 14, /* packets of one call: some milliseconds */
	BATCH = 64,
	WARM_UP_MS = 200,
	CPUS_MAX = 256,
	SENDERS_MAX = 16,
};
#define NS_PER_SEC 1000000000ULL
#define NS_PER_MS  1000000ULL

struct sample {
	uint64_t ns, packets, bytes, cpu_ns;
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * NS_PER_SEC + (uint64_t)t.tv_nsec;
}

static void die(const char *what)
{
	fprintf(stderr, "forward: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void enter(const char *name)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "/run/netns/%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWNET))
		die(path);
	close(fd);
}

static uint16_t sum16(const void *data, size_t len, uint32_t sum)
{
	const uint8_t *p = data;
	size_t i;

	for (i = 0; i < len; i += 2)
		sum += (uint32_t)(p[i] << 8 | (i + 1 < len ? p[i + 1] : 0));
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static void frame_make(uint8_t *frame, size_t ip_len, const struct ether_addr *to,
		       const char *device, uint32_t saddr, uint16_t sport, uint32_t daddr,
		       uint16_t dport)
{
	struct ether_header *eth = (struct ether_header *)frame;
	struct iphdr *ip = (struct iphdr *)(eth + 1);
	struct udphdr *udp = (struct udphdr *)(ip + 1);
	uint32_t pseudo[3] = { saddr, daddr, 0 };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq request = { 0 };

	strncpy(request.ifr_name, device, sizeof(request.ifr_name) - 1);
	if (fd < 0 || ioctl(fd, SIOCGIFHWADDR, &request))
		die(device);
	close(fd);
	memset(frame, 0x5a, sizeof(*eth) + ip_len);
	memcpy(eth->ether_dhost, to, ETH_ALEN);
	memcpy(eth->ether_shost, request.ifr_hwaddr.sa_data, ETH_ALEN);
	eth->ether_type = htons(ETH_P_IP);
	*ip = (struct iphdr){ .version = 4,
			      .ihl = 5,
			      .ttl = 64,
			      .protocol = IPPROTO_UDP,
			      .saddr = saddr,
			      .daddr = daddr };
	ip->tot_len = htons((uint16_t)ip_len);
	ip->check = htons(sum16(ip, sizeof(*ip), 0));
	*udp = (struct udphdr){ .source = htons(sport), .dest = htons(dport) };
	udp->len = htons((uint16_t)(ip_len - sizeof(*ip)));
	pseudo[2] = htonl(IPPROTO_UDP << 16 | (uint32_t)(ip_len - sizeof(*ip)));
	udp->check = htons(
		sum16(udp, ip_len - sizeof(*ip), (uint16_t)~sum16(pseudo, sizeof(pseudo), 0)));
}

/* What all threads of a process have used. */
static uint64_t cpu_ns(const char *pid)
{
	char path[300];
	struct dirent *entry;
	uint64_t sum = 0, ns;
	DIR *dir;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%s/task", pid);
	dir = opendir(path);
	if (!dir)
		die(path);
	while ((entry = readdir(dir))) {
		snprintf(path, sizeof(path), "/proc/%s/task/%.20s/schedstat", pid, entry->d_name);
		f = entry->d_name[0] == '.' ? NULL : fopen(path, "r");
		if (!f)
			continue;
		if (fscanf(f, "%" SCNu64, &ns) == 1)
			sum += ns;
		fclose(f);
	}
	closedir(dir);
	return sum;
}

static void sample_take(struct sample *s, int map, const char *pid)
{
	static struct xsk_ref_count counts[CPUS_MAX];
	const uint32_t zero = 0;
	int i, n = libbpf_num_possible_cpus();

	if (n > CPUS_MAX || bpf_map_lookup_elem(map, &zero, counts))
		die("counters");
	*s = (struct sample){ .ns = now_ns(), .cpu_ns = cpu_ns(pid) };
	for (i = 0; i < n; i++) {
		s->packets += counts[i].packets;
		s->bytes += counts[i].bytes;
	}
}

/* Makes packets on one CPU, until it is stopped. */
struct sender {
	unsigned int cpu;
	struct xdp_gen *bpf;
	uint8_t frame[FRAME_MAX];
	uint32_t len;
	pthread_t id;
};
static bool stop; /* atomic */

static void *sender_run(void *arg)
{
	struct sender *s = arg;
	cpu_set_t cpus;
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = s->frame, .data_size_in = s->len,
		    .repeat = REPEAT, .flags = BPF_F_TEST_XDP_LIVE_FRAMES, .batch_size = BATCH);

	CPU_ZERO(&cpus);
	CPU_SET(s->cpu, &cpus);
	if (sched_setaffinity(0, sizeof(cpus), &cpus))
		die("CPU");
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED))
		if (bpf_prog_test_run_opts(bpf_program__fd(s->bpf->progs.gen_packet), &opts))
			die("live frames");
	return NULL;
}

/* "0,1": the CPUs of senders. Their number, or 0. */
static unsigned int cpus_parse(const char *text, struct sender out[SENDERS_MAX])
{
	unsigned int n = 0;
	char *end;

	do {
		if (n == SENDERS_MAX || *text < '0' || *text > '9')
			return 0;
		out[n++].cpu = (unsigned int)strtoul(text, &end, 10);
		text = end + 1;
	} while (*end == ',');
	return *end ? 0 : n;
}

static void wait_ms(long ms)
{
	const struct timespec t = { ms / 1000, ms % 1000 * (long)NS_PER_MS };

	nanosleep(&t, NULL);
}

int main(int argc, char **argv)
{
	static struct sender sender[SENDERS_MAX];
	const struct ether_addr *mac;
	struct sample before, after;
	struct gen_order *order;
	struct bpf_link *sink;
	struct xsk_ref *ref;
	uint32_t saddr, daddr;
	unsigned int i, n;
	double seconds;
	long len, ms;

	if (argc != 14) {
		fprintf(stderr,
			"usage: forward FROM-NS DEVICE MAC ADDRESS PORT TO-NS DEVICE ADDRESS PORT LENGTH CPU[,CPU...] PID MS\n");
		return 2;
	}
	mac = ether_aton(argv[3]);
	len = strtol(argv[10], NULL, 10);
	n = cpus_parse(argv[11], sender);
	ms = strtol(argv[13], NULL, 10);
	if (!mac || inet_pton(AF_INET, argv[4], &saddr) != 1 ||
	    inet_pton(AF_INET, argv[8], &daddr) != 1 || len + ETH_HLEN < GEN_HEADERS ||
	    len + ETH_HLEN > FRAME_MAX || n == 0 || ms < 1) {
		fprintf(stderr, "forward: bad MAC, address, length, CPU or time\n");
		return 2;
	}
	enter(argv[1]);
	for (i = 0; i < n; i++) {
		struct sender *s = &sender[i];

		s->bpf = xdp_gen__open_and_load();
		if (!s->bpf)
			die("BPF");
		s->len = (uint32_t)(len + ETH_HLEN);
		frame_make(s->frame, (size_t)len, mac, argv[2], saddr,
			   (uint16_t)(strtol(argv[5], NULL, 10) + i), daddr,
			   (uint16_t)strtol(argv[9], NULL, 10));
		order = &s->bpf->bss->gen;
		*order = (struct gen_order){
			.ifindex = if_nametoindex(argv[2]), .sessions = 1, .in_order = 1, .as_is = 1
		};
		memcpy(order->headers, s->frame, sizeof(order->headers));
	}
	enter(argv[6]);
	ref = xsk_ref__open_and_load();
	if (!ref)
		die("BPF");
	sink = bpf_program__attach_xdp(ref->progs.xsk_ref_sink, (int)if_nametoindex(argv[7]));
	if (!sink)
		die(argv[7]);
	enter(argv[1]);
	for (i = 0; i < n; i++)
		if (pthread_create(&sender[i].id, NULL, sender_run, &sender[i]))
			die("thread");
	wait_ms(WARM_UP_MS);
	sample_take(&before, bpf_map__fd(ref->maps.xsk_ref_counts), argv[12]);
	wait_ms(ms);
	sample_take(&after, bpf_map__fd(ref->maps.xsk_ref_counts), argv[12]);
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	for (i = 0; i < n; i++)
		pthread_join(sender[i].id, NULL);
	bpf_link__destroy(sink);
	for (i = 0; i < n; i++)
		xdp_gen__destroy(sender[i].bpf);
	xsk_ref__destroy(ref);
	seconds = (double)(after.ns - before.ns) / 1e9;
	if (after.packets == before.packets) {
		fprintf(stderr, "forward: nothing was forwarded\n");
		return 1;
	}
	printf("{\"packets_per_second\": %.0f, \"packets_per_cpu_second\": %.0f, \"cpu\": %.3f, \"frame_bytes\": %.1f}\n",
	       (double)(after.packets - before.packets) / seconds,
	       (double)(after.packets - before.packets) /
		       ((double)(after.cpu_ns - before.cpu_ns + 1) / 1e9),
	       (double)(after.cpu_ns - before.cpu_ns) / 1e9 / seconds,
	       (double)(after.bytes - before.bytes) / (double)(after.packets - before.packets));
	return 0;
}
