// SPDX-License-Identifier: BSD-2-Clause
/* ICMP and ICMPv6 errors: what goes back to the sender of a packet. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "worker/addr.h"
#include "worker/icmp.h"

enum {
	TTL = 64,
	VER_IHL = 0x45, /* version 4, five words */
	ICMP4_UNREACHABLE = 3,
	ICMP4_FRAG_NEEDED = 4,
	ICMP6_PACKET_TOO_BIG = 2,
	CLASS_SHIFT = 20,
	CLASS_MASK = 0xff,
};
#define IP6_VERSION_BITS 0x60000000U

struct icmp {
	uint8_t type, code;
	uint16_t csum;
	union {
		struct {
			__be16 unused;
			__be16 mtu;
		} v4;
		__be32 mtu6;
	};
} __attribute__((packed));
_Static_assert(sizeof(struct icmp) == SVR_ICMP_LEN, "wire");

/* May its sender be told? @p: whose link-layer destination was one station. */
static bool may_be_told(const struct svr_pkt *p, const __be32 router[static 4])
{
	const struct svr_eth *eth = (const struct svr_eth *)p->eth;
	struct svr_flow6_key key;

	svr_packet_key(p, 0, &key);
	return svr_addr_is_set(router) && svr_addr_one_host(key.saddr) &&
	       svr_addr_one_host(key.daddr) && !(eth->dst[0] & 1) &&
	       svr_addr_is_mapped(router) == (p->family == SVR_FAMILY_4) &&
	       (size_t)(p->ip - p->eth) <= SVR_L2_MAX;
}

/* Link-layer header of the answer; VLAN tag and type stay. Bytes. */
static size_t eth_answer(const struct svr_pkt *p, uint8_t *out)
{
	const struct svr_eth *from = (const struct svr_eth *)p->eth;
	struct svr_eth *eth = (struct svr_eth *)out;
	size_t len = (size_t)(p->ip - p->eth);

	memcpy(out, p->eth, len);
	memcpy(eth->dst, from->src, sizeof(eth->dst));
	memcpy(eth->src, from->dst, sizeof(eth->src));
	return len;
}

/* As much of the packet as fits, behind the ICMP header. Bytes of both. */
static size_t quote(const struct svr_pkt *p, uint8_t *icmp, size_t max)
{
	size_t len = svr_packet_header_len(p) + p->payload_len;

	if (len > max - SVR_ICMP_LEN)
		len = max - SVR_ICMP_LEN;
	memcpy(icmp + SVR_ICMP_LEN, p->ip, len);
	return SVR_ICMP_LEN + len;
}

static size_t too_big4(const struct svr_pkt *p, const __be32 router[static 4], uint16_t mtu,
		       uint8_t *at)
{
	const struct svr_ip4 *orig = svr_packet_ip4(p);
	struct icmp *icmp = (struct icmp *)(at + SVR_IP4_LEN);
	struct svr_ip4 *ip = (struct svr_ip4 *)at;
	size_t len = quote(p, at + SVR_IP4_LEN, SVR_ICMP4_MAX_LEN - SVR_IP4_LEN);

	*icmp = (struct icmp){
		.type = ICMP4_UNREACHABLE,
		.code = ICMP4_FRAG_NEEDED,
		.v4.mtu = htons(mtu),
	};
	icmp->csum = (uint16_t)~svr_csum_fold(svr_csum_add(0, icmp, len));
	*ip = (struct svr_ip4){
		.ver_ihl = VER_IHL,
		.tos = orig->tos,
		.total_len = htons((uint16_t)(SVR_IP4_LEN + len)),
		.ttl = TTL,
		.proto = IPPROTO_ICMP,
		.saddr = svr_addr_get4(router),
		.daddr = orig->saddr,
	};
	ip->csum = (uint16_t)~svr_csum_fold(svr_csum_add(0, ip, SVR_IP4_LEN));
	return SVR_IP4_LEN + len;
}

/* RFC 4443 2.3: over the pseudo header, too */
static uint16_t icmp6_csum(const struct svr_ip6 *ip, const struct icmp *icmp, size_t len)
{
	const __be32 rest[2] = { htonl((uint32_t)len), htonl(IPPROTO_ICMPV6) };
	uint64_t sum = svr_csum_add(0, rest, sizeof(rest));

	sum = svr_csum_add(sum, (const uint8_t *)ip + offsetof(struct svr_ip6, saddr),
			   sizeof(ip->saddr) + sizeof(ip->daddr));
	return (uint16_t)~svr_csum_fold(svr_csum_add(sum, icmp, len));
}

static size_t too_big6(const struct svr_pkt *p, const __be32 router[static 4], uint16_t mtu,
		       uint8_t *at)
{
	const struct svr_ip6 *orig = svr_packet_ip6(p);
	struct icmp *icmp = (struct icmp *)(at + SVR_IP6_LEN);
	struct svr_ip6 *ip = (struct svr_ip6 *)at;
	size_t len = quote(p, at + SVR_IP6_LEN, SVR_ICMP6_MAX_LEN - SVR_IP6_LEN);

	*icmp = (struct icmp){ .type = ICMP6_PACKET_TOO_BIG, .mtu6 = htonl(mtu) };
	*ip = (struct svr_ip6){
		.ver_class_label = htonl(IP6_VERSION_BITS | (ntohl(orig->ver_class_label) &
							     (uint32_t)CLASS_MASK << CLASS_SHIFT)),
		.payload_len = htons((uint16_t)len),
		.next = IPPROTO_ICMPV6,
		.hop_limit = TTL,
	};
	memcpy(ip->saddr, router, sizeof(ip->saddr));
	memcpy(ip->daddr, orig->saddr, sizeof(ip->daddr));
	icmp->csum = icmp6_csum(ip, icmp, len);
	return SVR_IP6_LEN + len;
}

size_t svr_icmp_too_big(const struct svr_pkt *p, const __be32 router[static 4], uint16_t mtu,
			uint8_t out[static SVR_ICMP_FRAME_MAX])
{
	size_t l2_len;

	if (!may_be_told(p, router))
		return 0;
	l2_len = eth_answer(p, out);
	if (p->family == SVR_FAMILY_6)
		return l2_len + too_big6(p, router, mtu, out + l2_len);
	return l2_len + too_big4(p, router, mtu, out + l2_len);
}
