/* SPDX-License-Identifier: BSD-2-Clause */
/* Shared by xsk_ref.bpf.c and the programs that load it. */
#ifndef BENCH_XSK_REF_H
#define BENCH_XSK_REF_H

#include <linux/types.h>

enum xsk_ref_limits {
	XSK_REF_PORTS = 2, /* devices of a forwarder, each with one queue */
};

/* What the sink has taken, per CPU. */
struct xsk_ref_count {
	__u64 packets;
	__u64 bytes;
};

#endif
