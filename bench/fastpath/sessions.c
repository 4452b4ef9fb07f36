// SPDX-License-Identifier: BSD-2-Clause
/* Frames of the numbered sessions. */
#include <arpa/inet.h>
#include <string.h>

#include <linux/udp.h>
#include <netinet/ether.h>

#include "bench/fastpath/fastpath.h"
#include "bench/xdp_gen.h"

/* Folded sum of 16-bit words as they lie in memory; RFC 1071 */
static uint32_t sum(const void *data, size_t len, uint64_t sum)
{
	const uint8_t *p = data;
	uint16_t word;
	size_t i;

	for (i = 0; i + 1 < len; i += 2) {
		memcpy(&word, p + i, sizeof(word));
		sum += word;
	}
	if (len & 1) {
		word = 0;
		memcpy(&word, p + len - 1, 1);
		sum += word;
	}
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint32_t)sum;
}

/* Without ports and L4 checksum. Return: what that checksum covers so far. */
static uint32_t headers_make(uint8_t *frame, size_t len, enum side side, bool udp)
{
	static const char *const saddr[] = { LAN_HOST, WAN_PEER, FAR_HOST };
	static const char *const daddr[] = { FAR_HOST, WAN_LOCAL, WAN_LOCAL };
	const uint8_t host[ETH_ALEN] = { 2, 0, 0, 0, 1, 10 };
	struct ethhdr *eth = (struct ethhdr *)frame;
	struct iphdr *ip = (struct iphdr *)(eth + 1);
	uint8_t *l4 = (uint8_t *)(ip + 1);
	uint16_t l4_len = (uint16_t)(len - sizeof(*eth) - sizeof(*ip));
	struct tcphdr tcp = { .doff = sizeof(tcp) / 4, .ack = 1, .window = htons(1024) };
	struct udphdr udphdr = { .len = htons(l4_len) };

	memset(frame, 0, len);
	memcpy(eth->h_dest, ether_aton(side == SIDE_ANSWER ? WAN_MAC : LAN_MAC), ETH_ALEN);
	memcpy(eth->h_source, host, ETH_ALEN);
	eth->h_proto = htons(ETH_P_IP);
	ip->version = 4;
	ip->ihl = sizeof(*ip) / 4;
	ip->tot_len = htons((uint16_t)(len - sizeof(*eth)));
	ip->ttl = 255;
	ip->protocol = udp ? IPPROTO_UDP : IPPROTO_TCP;
	inet_pton(AF_INET, saddr[side], &ip->saddr);
	inet_pton(AF_INET, daddr[side], &ip->daddr);
	ip->check = (uint16_t)~sum(ip, sizeof(*ip), 0);
	memset(l4, 'x', l4_len);
	if (udp)
		memcpy(l4, &udphdr, sizeof(udphdr));
	else
		memcpy(l4, &tcp, sizeof(tcp));
	return sum(l4, l4_len, sum(&ip->saddr, 8, htons(ip->protocol) + (uint32_t)htons(l4_len)));
}

void frame_make(uint8_t frame[static FRAME_MAX], size_t len, uint32_t i, enum side side)
{
	uint32_t l4 = headers_make(frame, len, side, false);
	uint16_t ports[2] = { htons((uint16_t)GEN_SPORT(i)), htons((uint16_t)GEN_DPORT(i)) }, check;

	memcpy(frame + GEN_L4, ports, sizeof(ports));
	check = (uint16_t)~sum(ports, sizeof(ports), l4);
	memcpy(frame + GEN_TCP_CHECK, &check, sizeof(check));
}

void frame_order(struct gen_order *order, size_t len, enum side side, bool udp)
{
	uint8_t frame[FRAME_MAX];

	order->l4_sum = headers_make(frame, len, side, udp);
	order->check_off = udp ? GEN_UDP_CHECK : GEN_TCP_CHECK;
	memcpy(order->headers, frame, sizeof(order->headers));
}
