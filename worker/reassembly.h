/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fragments of packets until the packet is complete: fragments of IP (RFC 791 3.2, RFC 8200 4.5) and
 * pieces that a router cut (docs/protocol.md 3a). Everybody may send fragments, so memory, numbers
 * and time are limited, for all and for each sender; and fragments that overlap end their packet
 * (RFC 5722, RFC 8200). Pure: the clock is passed in. Not for more than one thread.
 */
#ifndef SVR_WORKER_REASSEMBLY_H
#define SVR_WORKER_REASSEMBLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/types.h>

enum svr_reassembly_limits {
	SVR_REASSEMBLY_BYTES = 8 << 20, /* memory of all packets */
	SVR_REASSEMBLY_PACKETS = 1024, /* incomplete ones */
	/*
	 * Of one sender. Senders are told apart by a hash of 256 values; some share what there is
	 * for one.
	 */
	SVR_REASSEMBLY_SENDER_BYTES = 1 << 20,
	SVR_REASSEMBLY_SENDER_PACKETS = 64,
	SVR_REASSEMBLY_PARTS = 128, /* fragments of one packet; 65535 bytes at 576 are 119 */
	SVR_REASSEMBLY_MS = 5000, /* from the first fragment that comes */
	SVR_REASSEMBLY_HEAD = 14 + 8 + 60 + 60, /* longest head: Ethernet, two tags, IP, TCP */
	SVR_PACKET_MAX = 65535, /* IP packet */
};

enum svr_fragment_kind { SVR_FRAGMENT_IP, SVR_FRAGMENT_ROUTER };

/* What fragments of one packet have in common. Every byte counts: fill it from zero. */
struct svr_fragment_key {
	__be32 saddr[4], daddr[4];
	uint32_t id;
	__be16 sport, dport; /* SVR_FRAGMENT_ROUTER */
	uint16_t zone; /* where they arrive */
	uint8_t proto; /* IPv6: 0, only the first fragment's counts */
	uint8_t kind; /* enum svr_fragment_kind */
};

struct svr_fragment {
	struct svr_fragment_key key;
	const uint8_t *head; /* headers in front of the fragment; those of offset 0 are the packet's */
	size_t head_len; /* at most SVR_REASSEMBLY_HEAD */
	const uint8_t *data;
	size_t len;
	uint32_t offset; /* bytes */
	bool more; /* it is not the last one */
	bool ce; /* ECN: congestion experienced */
};

/* A complete packet, for the caller to free(). */
struct svr_reassembled {
	size_t head_len;
	size_t len; /* head and data */
	uint16_t largest; /* data of the longest fragment, bytes */
	bool ce; /* some fragment had it; RFC 3168 5.3 */
	uint8_t data[];
};

/* @count fragments that arrived in @zone are given up because of @reason. */
typedef void (*svr_reassembly_lost)(void *user, uint16_t zone, unsigned int reason,
				    unsigned int count);

struct svr_reassembly;

struct svr_reassembly *svr_reassembly_new(uint32_t seed, svr_reassembly_lost lost, void *user);
void svr_reassembly_free(struct svr_reassembly *r); /* NULL is allowed */

/**
 * svr_reassembly_add() - take a fragment; its bytes are copied.
 * @now_ns: CLOCK_MONOTONIC
 * @out: the packet if this was the last one that it lacked, else NULL
 * Return: 0, or a negative drop reason for this fragment.
 */
int svr_reassembly_add(struct svr_reassembly *r, const struct svr_fragment *f, uint64_t now_ns,
		       struct svr_reassembled **out);
/* Give up what is too old. True if something still waits. */
bool svr_reassembly_expire(struct svr_reassembly *r, uint64_t now_ns);
/* Incomplete packets, and the memory that they take. */
unsigned int svr_reassembly_packets(const struct svr_reassembly *r);
size_t svr_reassembly_bytes(const struct svr_reassembly *r);

#endif
