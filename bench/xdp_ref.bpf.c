// SPDX-License-Identifier: BSD-2-Clause
/*
 * What svr's XDP programs are measured against: a program that does nothing, and the least that re-addressing a packet can
 * be: one look-up of the 5-tuple, new addresses and ports, both checksums, TTL, redirect. No policy, counters, path
 * state, MTU, metadata or closed connections.
 */
#include <stdbool.h>

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/tcp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include <svr/limits.h>
#include <svr/maps.h>

#include "bench/xdp_ref.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, SVR_MAX_FLOWS);
	__type(key, struct svr_flow4_key);
	__type(value, struct ref_nat);
} ref_flows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__uint(max_entries, SVR_MAX_ZONES);
	__type(key, __u32);
	__type(value, __u32);
} ref_ports SEC(".maps");

SEC("xdp")
int ref_empty(struct xdp_md *ctx)
{
	(void)ctx;
	return XDP_DROP;
}

static __always_inline __u16 csum_add(__u16 check, __u32 delta)
{
	__u32 sum = (__u16)~check + delta;

	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

SEC("xdp")
int ref_nat(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;
	struct iphdr *ip = data + sizeof(*eth);
	struct tcphdr *tcp = (void *)(ip + 1);
	struct svr_flow4_key key = {};
	struct ref_nat *nat;

	if ((void *)(tcp + 1) > end || eth->h_proto != bpf_htons(ETH_P_IP) || ip->ihl != 5 || ip->protocol != IPPROTO_TCP ||
	    ip->ttl <= 1)
		return XDP_DROP;
	key.saddr = ip->saddr;
	key.daddr = ip->daddr;
	key.sport = tcp->source;
	key.dport = tcp->dest;
	key.proto = IPPROTO_TCP;
	nat = bpf_map_lookup_elem(&ref_flows, &key);
	if (!nat)
		return XDP_DROP;
	__builtin_memcpy(eth->h_dest, nat->dmac, ETH_ALEN);
	__builtin_memcpy(eth->h_source, nat->smac, ETH_ALEN);
	ip->ttl--;
	ip->check = csum_add(ip->check, nat->l3_delta + (__u16)~bpf_htons(0x0100));
	ip->saddr = nat->saddr;
	ip->daddr = nat->daddr;
	tcp->source = nat->sport;
	tcp->dest = nat->dport;
	tcp->check = csum_add(tcp->check, nat->l4_delta);
	return bpf_redirect_map(&ref_ports, nat->port, XDP_DROP);
}

char _license[] SEC("license") = "Dual BSD/GPL";
