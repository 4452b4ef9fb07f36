/* SPDX-License-Identifier: BSD-2-Clause */
/* What user space tells the generator (xdp_gen.bpf.c), and how sessions are numbered. Included by both sides. */
#ifndef SVR_BENCH_XDP_GEN_H
#define SVR_BENCH_XDP_GEN_H

#include <linux/types.h>

enum gen_layout {
	GEN_HEADERS =
		56, /* bytes that are written: Ethernet, IPv4, TCP and the start of the payload */
	GEN_L4 = 14 + 20,
	GEN_TCP_CHECK = GEN_L4 + 16,
	GEN_UDP_CHECK = GEN_L4 + 6,
};

/* Ports of session @i. Addresses are the same in all of them; there is room for 60 million. */
#define GEN_SPORT(i) (2000 + ((i)&1023))
#define GEN_DPORT(i) (3000 + ((i) >> 10))

/*
 * The session after session @i, out of @n: all of them come once before the first one comes again, in an order that no
 * prefetcher knows. A linear congruence has the full period for every @n whose prime factors are 2 and 5 (Knuth, TAOCP
 * 3.2.1.2, theorem A: GEN_MULTIPLIER - 1 is a multiple of 20).
 */
enum gen_order_consts { GEN_MULTIPLIER = 314161, GEN_INCREMENT = 271829 };
#define GEN_NEXT(i, n) ((__u32)(((__u64)(i)*GEN_MULTIPLIER + GEN_INCREMENT) % (n)))

struct gen_order {
	__u64 headers[GEN_HEADERS / 8];
	__u32 index; /* of the next session */
	__u32 sessions;
	__u32 in_order; /* 1: one after the other */
	__u32 answer; /* 1: source and destination ports change places */
	__u32 l4_sum; /* what the L4 checksum covers, but the ports; folded */
	__u32 check_off;
	__u32 ifindex; /* where to */
	__u32 as_is; /* 1: headers are those of the only session, with its ports and checksum */
};

#endif
