/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* BPF side only: tell a host that its packet is too big (RFC 792, RFC 1191 4). */
#ifndef SVR_BPF_ICMP_H
#define SVR_BPF_ICMP_H

#include "csum.h"

enum svr_icmp_lens {
	SVR_ICMP_HLEN = 8,
	SVR_ICMP_QUOTE =
		SVR_IP_HLEN + 8, /* IP header and the first eight bytes behind it; RFC 792 */
	SVR_ICMP_TTL = 64,
};

struct svr_icmp_too_big {
	struct iphdr ip;
	struct icmphdr icmp;
	__u8 quote[SVR_ICMP_QUOTE];
};
_Static_assert(sizeof(struct svr_icmp_too_big) == 56, "made of 32-bit words");

/**
 * svr_icmp_too_big() - make an ICMP "fragmentation needed" for the sender out of its own frame.
 * @mtu: longest IP packet that would have fitted The frame must be untouched so far, so that the
 * quotation is what the host sent. Sent whether or not the host forbids fragmentation, because
 * nobody fragments yet (docs/limits.md).
 * Return: SVR_ANSWERED, or a drop reason.
 */
SVR_STEP int svr_icmp_too_big(struct xdp_md *ctx, struct svr_pkt *pkt, __u32 mtu)
{
	struct svr_icmp_too_big m = {};
	__u8 l2[ETH_HLEN + SVR_VLAN_HLEN] = {}, mac[ETH_ALEN];
	const struct svr_zone *zone;
	__u32 l3;
	int len;

	if (!pkt)
		return -SVR_DROP_INTERNAL;
	zone = svr_zone_get(pkt->zone);
	if (!zone || !zone->addr[0].addr[3])
		return -SVR_DROP_TOO_BIG;
	l3 = pkt->l3 == ETH_HLEN ? ETH_HLEN : ETH_HLEN + SVR_VLAN_HLEN;
	if (bpf_xdp_load_bytes(ctx, 0, l2, l3) ||
	    bpf_xdp_load_bytes(ctx, l3, m.quote, sizeof(m.quote)))
		return -SVR_DROP_TOO_BIG;
	__builtin_memcpy(mac, l2, ETH_ALEN);
	__builtin_memcpy(l2, l2 + ETH_ALEN, ETH_ALEN);
	__builtin_memcpy(l2 + ETH_ALEN, mac, ETH_ALEN);

	m.ip.version = 4;
	m.ip.ihl = SVR_IP_HLEN / 4;
	m.ip.tot_len = bpf_htons(sizeof(m));
	m.ip.frag_off =
		bpf_htons(0x4000); /* don't fragment: identification 0 is fine then; RFC 6864 4.1 */
	m.ip.ttl = SVR_ICMP_TTL;
	m.ip.protocol = IPPROTO_ICMP;
	m.ip.saddr = zone->addr[0].addr[3];
	m.ip.daddr = pkt->key.saddr;
	m.ip.check = ~svr_csum_fold(bpf_csum_diff(NULL, 0, (__be32 *)&m.ip, sizeof(m.ip), 0));
	m.icmp.type = ICMP_DEST_UNREACH;
	m.icmp.code = ICMP_FRAG_NEEDED;
	m.icmp.un.frag.mtu = bpf_htons(mtu);
	m.icmp.checksum = ~svr_csum_fold(
		bpf_csum_diff(NULL, 0, (__be32 *)&m.icmp, sizeof(m) - sizeof(m.ip), 0));

	len = bpf_xdp_get_buff_len(ctx);
	if (bpf_xdp_adjust_tail(ctx, (int)(l3 + sizeof(m)) - len) ||
	    bpf_xdp_store_bytes(ctx, 0, l2, l3) || bpf_xdp_store_bytes(ctx, l3, &m, sizeof(m)))
		return -SVR_DROP_TOO_BIG;
	/*
	 * Not XDP_TX: a veth wakes its peer for transmitted frames only if a program is attached
	 * there, for redirected ones also if GRO is on.
	 */
	if (bpf_redirect_map(&svr_txports, pkt->zone, XDP_DROP) != XDP_REDIRECT)
		return -SVR_DROP_TOO_BIG;
	return SVR_ANSWERED;
}

#endif
