/* SPDX-License-Identifier: BSD-2-Clause */
/* Value of the reference's flow table; the key is struct svr_flow4_key. Included by both sides. */
#ifndef SVR_BENCH_XDP_REF_H
#define SVR_BENCH_XDP_REF_H

#include <linux/types.h>

struct ref_nat {
	__be32 saddr, daddr;
	__be16 sport, dport;
	__u16 l3_delta, l4_delta;
	__u8 dmac[6], smac[6];
	__u32 port;	/* slot of ref_ports */
};
_Static_assert(sizeof(struct ref_nat) == 32, "map value");

#endif
