// SPDX-License-Identifier: BSD-2-Clause
/*
 * Load generator of bench/fastpath and bench/forward.c, and sink of the former. The generator is run with live frames
 * (BPF_F_TEST_XDP_LIVE_FRAMES): it writes the headers of the next session's packet into a frame of
 * the kernel's pool, whatever stands there from the round before, and sends it into a veth.
 */
#include <linux/bpf.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "bench/xdp_gen.h"

/* Written by user space between runs */
struct gen_order gen;

/* Packets that arrived */
__u64 gen_arrived;

SEC("xdp")
int gen_packet(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u32 i = gen.index, sum, check_off = gen.check_off, k;
	__be16 sport, dport, *ports;
	__u64 *to = data;

	if (data + GEN_HEADERS > end)
		return XDP_DROP;
	if (gen.in_order)
		gen.index = i + 1 < gen.sessions ? i + 1 : 0;
	else
		gen.index = GEN_NEXT(i, gen.sessions);
#pragma unroll
	for (k = 0; k < GEN_HEADERS / 8; k++)
		to[k] = gen.headers[k];
	if (gen.as_is)
		return bpf_redirect(gen.ifindex, 0);

	sport = bpf_htons(GEN_SPORT(i));
	dport = bpf_htons(GEN_DPORT(i));
	ports = data + GEN_L4;
	ports[0] = gen.answer ? dport : sport;
	ports[1] = gen.answer ? sport : dport;
	sum = gen.l4_sum + sport + dport;
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	if (check_off == GEN_TCP_CHECK)
		*(__u16 *)(data + GEN_TCP_CHECK) = ~sum;
	else
		*(__u16 *)(data + GEN_UDP_CHECK) = ~sum;
	return bpf_redirect(gen.ifindex, 0);
}

SEC("xdp")
int gen_sink(struct xdp_md *ctx)
{
	(void)ctx;
	gen_arrived++; /* everything runs on one CPU */
	return XDP_DROP;
}

/* To the kernel, which forwards */
SEC("xdp")
int gen_pass(struct xdp_md *ctx)
{
	(void)ctx;
	return XDP_PASS;
}

char _license[] SEC("license")
= "Dual BSD/GPL";
