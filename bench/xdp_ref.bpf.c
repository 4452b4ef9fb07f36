// SPDX-License-Identifier: BSD-2-Clause
/*
 * What svr's XDP programs are measured against: a program that does nothing, one that only redirects, and the least that
 * re-addressing a packet can be: one look-up of the 5-tuple, new addresses and ports, both checksums, TTL, redirect. No
 * policy, counters, path state, MTU, metadata or closed connections.
 */
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

enum { REF_PORT = 2 }; /* of ref_redirect */

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

SEC("xdp")
int ref_redirect(struct xdp_md *ctx)
{
	(void)ctx;
	return bpf_redirect_map(&ref_ports, REF_PORT, XDP_DROP);
}

/* The checksum field after a folded difference */
static __always_inline __u16 csum_add(__u16 check, __u16 delta)
{
	__u32 sum = (__u32)(__u16)~check + delta;

	return ~((sum & 0xffff) + (sum >> 16));
}

/* Fields side by side as one word, as bpf/fast.h has it: the reference is as good as we know how to write it. */
typedef __u32 __attribute__((may_alias)) word32;
typedef __u64 __attribute__((may_alias)) word64;

static __always_inline __u32 load32(const void *from)
{
	return *(const word32 *)from;
}

static __always_inline __u64 load64(const void *from)
{
	return *(const word64 *)from;
}

static __always_inline void store32(void *to, __u32 word)
{
	*(word32 *)to = word;
}

static __always_inline void store64(void *to, __u64 word)
{
	*(word64 *)to = word;
}

SEC("xdp")
int ref_nat(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct iphdr *ip = data + ETH_HLEN;
	struct tcphdr *tcp = (void *)(ip + 1);
	struct ref_nat *nat;
	union {
		struct svr_flow4_key key;
		__u64 word[2];
	} k;

	if ((void *)(tcp + 1) > end || *(__be16 *)(data + 2 * ETH_ALEN) != bpf_htons(ETH_P_IP) ||
	    ip->ihl != 5 || ip->protocol != IPPROTO_TCP || ip->ttl <= 1)
		return XDP_DROP;
	k.word[0] = load64(&ip->saddr);
	k.word[1] = load32(tcp) | (__u64)IPPROTO_TCP << 48; /* little-endian, as this machine */
	nat = bpf_map_lookup_elem(&ref_flows, &k.key);
	if (!nat)
		return XDP_DROP;
	store64(data, load64(nat->dmac));
	store32(data + 8, load32(nat->dmac + 8));
	ip->ttl--;
	ip->check = csum_add(ip->check, nat->l3_delta);
	store64(&ip->saddr, load64(&nat->saddr));
	store32(tcp, load32(&nat->sport));
	tcp->check = csum_add(tcp->check, nat->l4_delta);
	return bpf_redirect_map(&ref_ports, nat->port, XDP_DROP);
}

char _license[] SEC("license")
= "Dual BSD/GPL";
