/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A frame as the worker sees it: parsed once, changed in place, checksums at the end. Pure: no
 * maps, no sockets, no clock.
 *
 * Bytes are added in front of the payload by moving the headers back, and behind it in the tail
 * room of the frame; the payload itself, the long part, never moves.
 */
#ifndef SVR_WORKER_PACKET_H
#define SVR_WORKER_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/types.h>
#include <svr/maps.h>

/* Packed, because an IP header behind a 14-byte Ethernet header is not aligned. */
struct svr_eth {
	uint8_t dst[6], src[6];
	__be16 proto;
} __attribute__((packed));

struct svr_vlan_tag {
	__be16 tci;
	__be16 proto;
} __attribute__((packed));

struct svr_ip4 {
	uint8_t ver_ihl;
	uint8_t tos;
	__be16 total_len;
	__be16 id;
	__be16 frag;
	uint8_t ttl;
	uint8_t proto;
	uint16_t csum;
	__be32 saddr, daddr;
} __attribute__((packed));

struct svr_ip6 {
	__be32 ver_class_label; /* version 6, traffic class, flow label */
	__be16 payload_len; /* without this header */
	uint8_t next;
	uint8_t hop_limit;
	__be32 saddr[4], daddr[4];
} __attribute__((packed));

struct svr_tcp {
	__be16 sport, dport;
	__be32 seq, ack;
	uint8_t doff; /* upper four bits: header length in 32-bit words */
	uint8_t flags; /* enum svr_tcp_bits */
	__be16 window;
	uint16_t csum;
	__be16 urgent;
} __attribute__((packed));

struct svr_udp {
	__be16 sport, dport;
	__be16 len;
	uint16_t csum;
} __attribute__((packed));

enum svr_tcp_bits {
	SVR_TCPF_FIN = 0x01,
	SVR_TCPF_SYN = 0x02,
	SVR_TCPF_RST = 0x04,
	SVR_TCPF_ACK = 0x10,
};

enum svr_packet_sizes {
	SVR_ETH_LEN = 14,
	SVR_VLAN_LEN = 4,
	SVR_L2_MAX = SVR_ETH_LEN + 2 * SVR_VLAN_LEN, /* 802.1ad tag and 802.1Q tag */
	SVR_IP4_LEN = 20,
	SVR_UDP_LEN = 8,
	SVR_TCP_LEN = 20,
	SVR_IP6_LEN = 40,
	SVR_TCP_MAX_LEN = 60,
	SVR_MIN_MTU = 68, /* RFC 791 */
	SVR_MIN_MTU6 = 1280, /* RFC 8200 section 5 */
};

struct svr_pkt {
	uint8_t *room; /* first byte that may be written */
	uint8_t *room_end; /* behind the last one */
	uint8_t *eth;
	uint8_t *ip; /* struct svr_ip4 or svr_ip6 */
	uint8_t *l4; /* struct svr_tcp or svr_udp; without ports where the payload starts */
	uint8_t *payload;
	uint16_t l4_len; /* header with options, bytes; 0 without ports */
	uint16_t payload_len;
	uint8_t family; /* enum svr_family */
	uint8_t proto;
	uint8_t tcp_flags; /* 0 for UDP */
};

static inline struct svr_ip4 *svr_packet_ip4(const struct svr_pkt *p)
{
	return (struct svr_ip4 *)p->ip;
}

static inline struct svr_ip6 *svr_packet_ip6(const struct svr_pkt *p)
{
	return (struct svr_ip6 *)p->ip;
}

/* Of an IP header, bytes. */
static inline size_t svr_ip_len(uint8_t family)
{
	return family == SVR_FAMILY_6 ? SVR_IP6_LEN : SVR_IP4_LEN;
}

/* Time to live, or hop limit. */
static inline uint8_t svr_packet_ttl(const struct svr_pkt *p)
{
	return p->family == SVR_FAMILY_6 ? svr_packet_ip6(p)->hop_limit : svr_packet_ip4(p)->ttl;
}

static inline struct svr_tcp *svr_packet_tcp(const struct svr_pkt *p)
{
	return (struct svr_tcp *)p->l4;
}

static inline struct svr_udp *svr_packet_udp(const struct svr_pkt *p)
{
	return (struct svr_udp *)p->l4;
}

/* IP and L4 headers, bytes. */
static inline size_t svr_packet_header_len(const struct svr_pkt *p)
{
	return (size_t)(p->payload - p->ip);
}

/* From the Ethernet header to the end of the payload, bytes. */
static inline size_t svr_packet_frame_len(const struct svr_pkt *p)
{
	return (size_t)(p->payload - p->eth) + p->payload_len;
}

/* True for protocols that cross the WAN behind a UDP header (docs/protocol.md 2). */
bool svr_proto_portless(uint8_t proto);

/**
 * svr_packet_parse() - structure of a packet that a session may carry, IP header checksum included:
 * TCP, UDP, ICMP echo, GRE, ESP.
 * @p: room and room_end are set by the caller, the rest is filled
 * @frame, @len: Ethernet frame
 * @l3_off: bytes to the IP header
 * Return: 0 or a negative drop reason. Link-layer padding behind the IP packet is left out.
 */
int svr_packet_parse(struct svr_pkt *p, uint8_t *frame, size_t len, size_t l3_off);

/* The flow that this packet belongs to when it arrives in @zone. */
void svr_packet_key(const struct svr_pkt *p, uint16_t zone, struct svr_flow6_key *key);
/* The same tuple seen from the other end, @zone as given. */
void svr_key_reverse(const struct svr_flow6_key *key, uint16_t zone, struct svr_flow6_key *out);

/* Ones' complement sum of bytes in memory order; fold with svr_csum_fold(). */
uint64_t svr_csum_add(uint64_t sum, const void *data, size_t len);
uint16_t svr_csum_fold(uint64_t sum);

enum svr_csum_state {
	SVR_CSUM_NONE, /* UDP without a checksum */
	SVR_CSUM_FULL,
	SVR_CSUM_PARTIAL, /* only the pseudo header so far: a local host left the rest to its NIC */
	SVR_CSUM_WRONG,
};
enum svr_csum_state svr_packet_csum_state(const struct svr_pkt *p);

/*
 * Make @len bytes in front of the payload. They become part of the payload; NULL if there is no
 * room.
 */
uint8_t *svr_packet_push(struct svr_pkt *p, size_t len);
/* Take the first @len bytes of the payload away. */
void svr_packet_pull(struct svr_pkt *p, size_t len);
/* Bytes that fit behind the payload. */
static inline size_t svr_packet_tailroom(const struct svr_pkt *p)
{
	return (size_t)(p->room_end - p->payload) - p->payload_len;
}

/* A UDP header, ports still 0, in front of a protocol without ports. -SVR_DROP_INTERNAL: no room. */
int svr_packet_wrap(struct svr_pkt *p);
/* The reverse: the payload of a UDP packet is one of @proto. */
void svr_packet_unwrap(struct svr_pkt *p, uint8_t proto);

/**
 * svr_packet_readdress() - addresses and ports as the reverse of @opposite, and one TTL less.
 * @flow_label: of an IPv4 packet that becomes one of IPv6
 * The packet becomes one of the family of @opposite; traffic class and hop limit are kept. Lengths
 * and checksums are left to svr_packet_finish(). 0, or -SVR_DROP_INTERNAL if there is no room.
 */
int svr_packet_readdress(struct svr_pkt *p, const struct svr_flow6_key *opposite,
			 uint32_t flow_label);

/*
 * Lower the MSS option of a SYN. True if it was changed. The checksum is left to
 * svr_packet_finish().
 */
bool svr_packet_clamp_mss(struct svr_pkt *p, uint16_t mss);

/*
 * Lengths and checksums from what stands there now. @no_csum: leave a UDP packet without a
 * checksum, if it is one of IPv4 (RFC 8200 8.1).
 */
void svr_packet_finish(struct svr_pkt *p, bool no_csum);

/*
 * Ethernet header (with VLAN tag if @vlan, and a service tag in front of it if @outer_vlan) directly in
 * front of the IP header, whose first byte says what it is. -SVR_DROP_INTERNAL if there is no room.
 */
int svr_packet_set_eth(struct svr_pkt *p, const uint8_t dst[6], const uint8_t src[6],
		       uint16_t vlan, uint16_t outer_vlan);

/* TCP state bits (enum svr_tcp_seen) that a packet with these flags adds. */
uint8_t svr_tcp_track(uint8_t tcp_flags);

#endif
