// SPDX-License-Identifier: BSD-2-Clause
/*
 * Nanoseconds per packet of svr's XDP programs for an established clear session, LAN to WAN and WAN to LAN, beside an empty
 * program and a bare 5-tuple NAT (xdp_ref.bpf.c), by BPF_PROG_TEST_RUN in one run, interleaved. Needs root.
 *
 *	fastpath [-j] [ROUNDS]
 *
 * A test run repeats a program on the same packet, which the program changes. So the flow here re-addresses the packet to
 * what it already is: the same work, and the packet fits the flow again. Only TTL goes down, which bounds a run to REPEAT
 * packets, and shows afterwards that each of them was forwarded.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/ip.h>
#include <linux/tcp.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <svr/maps.h>

#include "bench/xdp_ref.h"
#include "skel/svr_lan.skel.h"
#include "skel/svr_wan.skel.h"
#include "skel/xdp_ref.skel.h"

enum {
	REPEAT = 250,		/* packets of one call; TTL starts at 255 */
	CALLS = 400,		/* of one round */
	ROUNDS = 15,
	ROUNDS_MAX = 1000,
	LO_IFINDEX = 1,		/* in the empty network namespace that we make: no device of this machine is touched */
	PAYLOAD_LEN = 64,
	LAN_ZONE = 1,
	WAN_ZONE = 2,
	PATH = 1,
	NEIGHBOUR = SVR_MAX_PATHS,
	MTU = 1500,
};

struct frame {
	struct ethhdr eth;
	struct iphdr ip;
	struct tcphdr tcp;
	uint8_t payload[PAYLOAD_LEN];
} __attribute__((packed));

enum subject_id { EMPTY, NAT, LAN_TO_WAN, WAN_TO_LAN, SUBJECTS };

struct subject {
	const char *name;
	int prog_fd;
	uint32_t verdict;
	double round_ns[ROUNDS_MAX];
	double median_ns;
};

static uint16_t csum(const void *data, size_t len, uint32_t sum)
{
	const uint8_t *p = data;
	size_t i;

	for (i = 0; i + 1 < len; i += 2)
		sum += (uint32_t)p[i] << 8 | p[i + 1];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

/* An acknowledgement with PAYLOAD_LEN bytes, all checksums right */
static void make_frame(struct frame *f)
{
	memset(f, 0, sizeof(*f));
	memset(f->eth.h_dest, 2, ETH_ALEN);
	memset(f->eth.h_source, 4, ETH_ALEN);
	f->eth.h_proto = htons(ETH_P_IP);
	f->ip.version = 4;
	f->ip.ihl = sizeof(f->ip) / 4;
	f->ip.tot_len = htons(sizeof(*f) - sizeof(f->eth));
	f->ip.ttl = 255;
	f->ip.protocol = IPPROTO_TCP;
	f->ip.saddr = htonl(0xac10010a); /* 172.16.1.10 */
	f->ip.daddr = htonl(0xac10020a);
	f->ip.check = htons((uint16_t)~csum(&f->ip, sizeof(f->ip), 0));
	f->tcp.source = htons(40000);
	f->tcp.dest = htons(8100);
	f->tcp.doff = sizeof(f->tcp) / 4;
	f->tcp.ack = 1;
	memset(f->payload, 'x', sizeof(f->payload));
	f->tcp.check = htons((uint16_t)~csum(&f->tcp, sizeof(f->tcp) + sizeof(f->payload),
					     csum(&f->ip.saddr, 8, IPPROTO_TCP + sizeof(f->tcp) + PAYLOAD_LEN)));
}

static void flow_key(const struct frame *f, uint16_t zone, struct svr_flow4_key *key)
{
	*key = (struct svr_flow4_key){
		.saddr = f->ip.saddr,
		.daddr = f->ip.daddr,
		.sport = f->tcp.source,
		.dport = f->tcp.dest,
		.zone = zone,
		.proto = f->ip.protocol,
	};
}

static int put(struct bpf_object *obj, const char *map, const void *key, const void *value)
{
	int fd = bpf_object__find_map_fd_by_name(obj, map);
	int err = fd < 0 ? fd : bpf_map_update_elem(fd, key, value, BPF_ANY);

	if (err)
		fprintf(stderr, "fastpath: map %s: %s\n", map, strerror(-err));
	return err;
}

static int put_at(struct bpf_object *obj, const char *map, uint32_t index, const void *value)
{
	return put(obj, map, &index, value);
}

/* Nothing of a running router is touched: every map is ours alone. */
static void without_pins(struct bpf_object *obj)
{
	struct bpf_map *map;

	bpf_object__for_each_map(map, obj)
		bpf_map__set_pin_path(map, NULL);
}

/* What an established packet of an attached router finds in the maps. */
static int fill_router(struct bpf_object *obj, const struct frame *f, uint16_t in_zone)
{
	const bool from_wan = in_zone == WAN_ZONE;
	const uint16_t out_zone = from_wan ? LAN_ZONE : WAN_ZONE;
	const uint32_t nexthop_id = from_wan ? NEIGHBOUR : PATH, device = LO_IFINDEX;
	struct svr_zone zone = { .ifindex = LO_IFINDEX, .mtu = MTU };
	struct svr_path_state state = { .status = SVR_PATH_UP };
	struct svr_nexthop nexthop = { .zone = out_zone, .valid = 1 };
	struct svr_flow flow = {
		.flags = SVR_FLOW_VALID | (from_wan ? SVR_FLOW_FROM_WAN : SVR_FLOW_ORIGINATOR),
		.nexthop = nexthop_id,
		.path = PATH,
		.out_zone = out_zone,
		.l3_delta = (uint16_t)~htons(0x0100),
		.sport = f->tcp.source,
		.dport = f->tcp.dest,
		.tcp_seen = SVR_TCP_SYN | SVR_TCP_DATA,
		.proto = f->ip.protocol,
	};
	struct svr_flow4_key key;
	int err;

	flow.saddr[2] = flow.daddr[2] = htonl(0xffff);
	flow.saddr[3] = flow.saddr4 = f->ip.saddr;
	flow.daddr[3] = flow.daddr4 = f->ip.daddr;
	memcpy(nexthop.dmac, f->eth.h_dest, ETH_ALEN);
	memcpy(nexthop.smac, f->eth.h_source, ETH_ALEN);
	flow_key(f, in_zone, &key);

	zone.role = SVR_ROLE_LAN;
	err = put_at(obj, "svr_zones", LAN_ZONE, &zone);
	zone.role = SVR_ROLE_WAN;
	err = err ? err : put_at(obj, "svr_zones", WAN_ZONE, &zone);
	err = err ? err : put_at(obj, "svr_path_state", PATH, &state);
	err = err ? err : put_at(obj, "svr_nexthops", nexthop_id, &nexthop);
	err = err ? err : put_at(obj, "svr_txports", out_zone, &device);
	return err ? err : put(obj, "svr_flows4", &key, &flow);
}

/* The same for the reference. */
static int fill_reference(struct bpf_object *obj, const struct frame *f)
{
	const uint32_t device = LO_IFINDEX;
	struct ref_nat nat = {
		.saddr = f->ip.saddr,
		.daddr = f->ip.daddr,
		.sport = f->tcp.source,
		.dport = f->tcp.dest,
		.port = WAN_ZONE,
	};
	struct svr_flow4_key key;

	memcpy(nat.dmac, f->eth.h_dest, ETH_ALEN);
	memcpy(nat.smac, f->eth.h_source, ETH_ALEN);
	flow_key(f, 0, &key);
	return put_at(obj, "ref_ports", WAN_ZONE, &device) ?: put(obj, "ref_flows", &key, &nat);
}

/* One call: REPEAT packets. Return: 0 or negative errno; *ns per packet. */
static int run(const struct subject *s, const struct frame *f, double *ns)
{
	struct frame out;
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = f, .data_size_in = sizeof(*f), .data_out = &out,
		    .data_size_out = sizeof(out), .repeat = REPEAT);
	int err = bpf_prog_test_run_opts(s->prog_fd, &opts);
	int ttl = f->ip.ttl - (s->verdict == XDP_REDIRECT ? REPEAT : 0);

	if (err) {
		fprintf(stderr, "fastpath: %s: test run: %s\n", s->name, strerror(-err));
		return err;
	}
	if (opts.retval != s->verdict || opts.data_size_out != sizeof(out) || out.ip.ttl != ttl) {
		fprintf(stderr, "fastpath: %s: verdict %u, %u bytes, TTL %u; want %u, %zu, %d: not what was to be measured\n", s->name,
			opts.retval, opts.data_size_out, out.ip.ttl, s->verdict, sizeof(out), ttl);
		return -EBADMSG;
	}
	*ns = opts.duration;
	return 0;
}

static int by_value(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *v, unsigned int n)
{
	qsort(v, n, sizeof(*v), by_value);
	return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

/* The program stays attached meanwhile: otherwise each call would patch the kernel's XDP dispatcher, 24 ms. */
static int measure_round(struct subject *s, const struct frame *f, unsigned int round)
{
	static double call_ns[CALLS];
	double sum = 0;
	int err, i, n = 0;

	err = bpf_xdp_attach(LO_IFINDEX, s->prog_fd, XDP_FLAGS_SKB_MODE, NULL);
	if (err) {
		fprintf(stderr, "fastpath: cannot attach to lo of an empty network namespace: %s\n", strerror(-err));
		return err;
	}
	for (i = 0; i < CALLS && !err; i++)
		err = run(s, f, &call_ns[i]);
	bpf_xdp_detach(LO_IFINDEX, XDP_FLAGS_SKB_MODE, NULL);
	if (err)
		return err;
	/* The kernel gives whole nanoseconds: the mean of the middle half keeps their fraction, and leaves interrupts out */
	qsort(call_ns, CALLS, sizeof(*call_ns), by_value);
	for (i = CALLS / 4; i < CALLS * 3 / 4; i++, n++)
		sum += call_ns[i];
	s->round_ns[round] = sum / n;
	return 0;
}

static void report(const struct subject s[SUBJECTS], unsigned int rounds, bool json)
{
	const double empty = s[EMPTY].median_ns, nat = s[NAT].median_ns;
	struct utsname u;
	int i;

	uname(&u);
	if (json) {
		printf("{\"kernel\": \"%s\", \"rounds\": %u, \"packets_per_round\": %d, \"programs\": {", u.release, rounds,
		       CALLS * REPEAT);
		for (i = 0; i < SUBJECTS; i++)
			printf("%s\"%s\": {\"ns\": %.1f, \"net_ns\": %.1f, \"speed_to_bare_nat\": %.3f}", i ? ", " : "", s[i].name,
			       s[i].median_ns, s[i].median_ns - empty, nat / s[i].median_ns);
		puts("}}");
		return;
	}
	printf("Established clear packet, %zu bytes, one flow (hot caches), BPF_PROG_TEST_RUN; Linux %s,\n", sizeof(struct frame),
	       u.release);
	printf("median of %u interleaved rounds of %d packets. No driver and no redirect is in it: compare, do not quote.\n\n",
	       rounds, CALLS * REPEAT);
	printf("%-24s %10s %12s %22s\n", "program", "ns/packet", "less empty", "speed to bare NAT");
	for (i = 0; i < SUBJECTS; i++)
		printf("%-24s %10.1f %12.1f %22.2f\n", s[i].name, s[i].median_ns, s[i].median_ns - empty, nat / s[i].median_ns);
}

int main(int argc, char **argv)
{
	static struct subject s[SUBJECTS] = {
		[EMPTY] = { .name = "empty program", .verdict = XDP_DROP },
		[NAT] = { .name = "bare NAT", .verdict = XDP_REDIRECT },
		[LAN_TO_WAN] = { .name = "svr_lan", .verdict = XDP_REDIRECT },
		[WAN_TO_LAN] = { .name = "svr_wan", .verdict = XDP_REDIRECT },
	};
	const struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };
	struct xdp_ref *ref = NULL;
	struct svr_lan *lan = NULL;
	struct svr_wan *wan = NULL;
	struct frame f;
	unsigned int rounds = ROUNDS, r;
	bool json = false;
	int err, i;

	for (i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "-j"))
			json = true;
		else
			rounds = (unsigned int)strtoul(argv[i], NULL, 10);
	}
	if (!rounds || rounds > ROUNDS_MAX) {
		fprintf(stderr, "usage: fastpath [-j] [ROUNDS]\n");
		return 2;
	}
	setrlimit(RLIMIT_MEMLOCK, &unlimited);	/* kernels before 5.11 */
	if (unshare(CLONE_NEWNET)) {
		err = -errno;
		fprintf(stderr, "fastpath: cannot make a network namespace: %s; it needs root\n", strerror(errno));
		goto out;
	}
	make_frame(&f);
	ref = xdp_ref__open_and_load();
	lan = svr_lan__open();
	wan = svr_wan__open();
	if (!ref || !lan || !wan) {
		err = -errno;
		goto out;
	}
	without_pins(lan->obj);
	without_pins(wan->obj);
	lan->rodata->svr_zone = LAN_ZONE;
	wan->rodata->svr_zone = WAN_ZONE;
	err = svr_lan__load(lan) ?: svr_wan__load(wan);
	err = err ?: fill_router(lan->obj, &f, LAN_ZONE) ?: fill_router(wan->obj, &f, WAN_ZONE);
	err = err ?: fill_reference(ref->obj, &f);
	if (err)
		goto out;
	s[EMPTY].prog_fd = bpf_program__fd(ref->progs.ref_empty);
	s[NAT].prog_fd = bpf_program__fd(ref->progs.ref_nat);
	s[LAN_TO_WAN].prog_fd = bpf_program__fd(lan->progs.svr_lan);
	s[WAN_TO_LAN].prog_fd = bpf_program__fd(wan->progs.svr_wan);
	for (r = 0; r < rounds; r++)
		for (i = 0; i < SUBJECTS; i++) {
			err = measure_round(&s[i], &f, r);
			if (err)
				goto out;
		}
	for (i = 0; i < SUBJECTS; i++)
		s[i].median_ns = median(s[i].round_ns, rounds);
	report(s, rounds, json);
out:
	xdp_ref__destroy(ref);
	svr_lan__destroy(lan);
	svr_wan__destroy(wan);
	if (err)
		fprintf(stderr, "fastpath: %s\n", strerror(-err));
	return err ? 1 : 0;
}
