// SPDX-License-Identifier: BSD-2-Clause
/*
 * A program alone, by BPF_PROG_TEST_RUN: no driver, no redirect. A test run repeats the program on the same packet, which
 * the program rewrites into that of the next session. TTL goes down meanwhile, which bounds a call to REPEAT packets and
 * shows afterwards that each of them was forwarded.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/bpf.h>
#include <linux/if_link.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "bench/fastpath/fastpath.h"
#include "bench/median.h"
#include "bench/xdp_gen.h"

enum { REPEAT = 250, CALLS = 200 };

static int run(int prog_fd, bool redirects, const uint8_t *frame, size_t len, double *ns)
{
	uint8_t out[FRAME_MAX];
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = (uint32_t)len,
		    .data_out = out, .data_size_out = sizeof(out), .repeat = REPEAT);
	const struct iphdr *ip = (const struct iphdr *)(out + ETH_HLEN);
	int err = bpf_prog_test_run_opts(prog_fd, &opts), ttl = 255 - (redirects ? REPEAT : 0);

	if (err) {
		fprintf(stderr, "fastpath: test run: %s\n", strerror(-err));
		return err;
	}
	if (opts.retval != (redirects ? XDP_REDIRECT : XDP_DROP) || opts.data_size_out != len ||
	    ip->ttl != ttl) {
		fprintf(stderr,
			"fastpath: verdict %u, %u bytes, TTL %u; want TTL %d: not what was to be measured\n",
			opts.retval, opts.data_size_out, ip->ttl, ttl);
		return -EBADMSG;
	}
	*ns = opts.duration;
	return 0;
}

int alone_measure(int prog_fd, bool redirects, enum side side, size_t len, uint32_t sessions,
		  double *ns)
{
	static uint32_t at; /* goes on where the round before ended */
	uint8_t frame[FRAME_MAX];
	double call_ns[CALLS], sum = 0;
	uint32_t k;
	int err, i;

	/* Without it each call would patch the kernel's XDP dispatcher, 24 ms */
	err = bpf_xdp_attach(LO_IFINDEX, prog_fd, XDP_FLAGS_SKB_MODE, NULL);
	if (err) {
		fprintf(stderr, "fastpath: cannot attach to lo of an empty network namespace: %s\n",
			strerror(-err));
		return err;
	}
	for (i = 0; i < CALLS && !err; i++) {
		at %= sessions;
		frame_make(frame, len, at, side);
		err = run(prog_fd, redirects, frame, len, &call_ns[i]);
		for (k = 0; k < REPEAT; k++)
			at = GEN_NEXT(at, sessions);
	}
	bpf_xdp_detach(LO_IFINDEX, XDP_FLAGS_SKB_MODE, NULL);
	if (err)
		return err;
	/* The kernel gives whole nanoseconds: the mean of the middle half keeps their fraction, and leaves interrupts out */
	median(call_ns, CALLS);
	for (i = CALLS / 4; i < CALLS * 3 / 4; i++)
		sum += call_ns[i];
	*ns = sum / (CALLS / 2.0);
	return 0;
}
