// SPDX-License-Identifier: BSD-2-Clause
/* The XDP programs around bench/xsk_forward.c and bench/forward.c: into an AF_XDP socket, into a counter. */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/udp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include <svr/wire.h>

#include "bench/xsk_ref.h"

struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, XSK_REF_PORTS);
	__type(key, __u32);
	__type(value, __u32);
} xsk_ref_sockets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct xsk_ref_count);
} xsk_ref_counts SEC(".maps");

const volatile __u32 xsk_ref_ifindex[XSK_REF_PORTS]; /* of the forwarder's devices */

/* What hosts say to each other goes to the forwarder; ARP and the like to the kernel. */
SEC("xdp")
int xsk_ref_receive(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;
	struct iphdr *ip = (void *)(eth + 1);

	if ((void *)(ip + 1) > end || eth->h_proto != bpf_htons(ETH_P_IP) || ip->ihl != 5 ||
	    (ip->protocol != IPPROTO_TCP && ip->protocol != IPPROTO_UDP))
		return XDP_PASS;
	return bpf_redirect_map(&xsk_ref_sockets, ctx->ingress_ifindex != xsk_ref_ifindex[0],
				XDP_PASS);
}

/* Everything that IP carries, but the routers' BFD. */
SEC("xdp")
int xsk_ref_sink(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;
	struct iphdr *ip = (void *)(eth + 1);
	struct udphdr *udp = (void *)(ip + 1);
	struct xsk_ref_count *count;
	__u32 zero = 0;

	if ((void *)(udp + 1) > end || eth->h_proto != bpf_htons(ETH_P_IP) ||
	    (ip->protocol == IPPROTO_UDP && udp->dest == bpf_htons(SVR_BFD_PORT)))
		return XDP_PASS;
	count = bpf_map_lookup_elem(&xsk_ref_counts, &zero);
	if (count) {
		count->packets++;
		count->bytes += ctx->data_end - ctx->data;
	}
	return XDP_DROP;
}

char _license[] SEC("license")
= "Dual BSD/GPL";
