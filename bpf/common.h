/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * BPF side only: system headers, hints for the compiler, and what a step of the two programs may
 * answer.
 */
#ifndef SVR_BPF_COMMON_H
#define SVR_BPF_COMMON_H

#include <stdbool.h>

#include <linux/bpf.h>
#include <linux/errno.h>
#include <linux/icmp.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include <svr/drops.h>
#include <svr/limits.h>
#include <svr/maps.h>
#include <svr/stats.h>
#include <svr/wire.h>

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

/*
 * Three kinds of functions:
 *   inline      the path of an established packet
 *   SVR_STEP    everything slower: a BPF subprogram that the verifier checks once and by itself,
 *               whatever state its callers are in. So it takes only the context, scalars and pointers
 *               to structs, which it has to test for NULL, and after it every packet pointer has to
 *               be made anew.
 *   SVR_HELPER  small subprograms with few callers; the verifier follows each call
 */
#define SVR_STEP   __noinline
#define SVR_HELPER static __noinline __attribute__((unused))

/*
 * lo <= *v <= hi, so that every verifier knows it of *v afterwards: compilers make one comparison
 * of a difference of the plain form, and before Linux 6.8 "not zero" does not say "at least one".
 */
static __always_inline bool svr_within(__u32 *v, __u32 lo, __u32 hi)
{
	__u32 above = *v - lo;

	barrier_var(above);
	if (above > hi - lo)
		return false;
	*v = above + lo;
	return true;
}

/*
 * Fields that lie side by side, as one word. Through functions, because of a field the compiler
 * would remember that it is only aligned to its own size, and take it to pieces again; every CPU
 * that svr runs on reads words at any address.
 */
typedef __u32 __attribute__((may_alias)) svr_word32;
typedef __u64 __attribute__((may_alias)) svr_word64;

static __always_inline __u32 svr_load32(const void *from)
{
	return *(const svr_word32 *)from;
}

static __always_inline __u64 svr_load64(const void *from)
{
	return *(const svr_word64 *)from;
}

static __always_inline void svr_store32(void *to, __u32 word)
{
	*(svr_word32 *)to = word;
}

static __always_inline void svr_store64(void *to, __u64 word)
{
	*(svr_word64 *)to = word;
}

/*
 * Answer of a step: SVR_NEXT to go on, a negative drop reason, or one of the ends below. svr_exit()
 * turns it into the verdict of the program, and counts it.
 */
enum svr_result {
	SVR_NEXT = 0,
	SVR_PASS = 1, /* to the kernel; only as long as no byte was changed */
	SVR_FORWARD = 2, /* svr_txports was told where to */
	SVR_TO_WORKER = 3, /* svr_xsks was told which socket */
	SVR_TOO_BIG = 4, /* the frame is now the ICMP message that goes back */
	SVR_EXPIRED = 5, /* the same */
};

/* Not in UAPI headers, or there only for user space */
enum svr_l2 {
	SVR_VLAN_HLEN = 4,
	SVR_MAC_GROUP = 1, /* in the first byte of a link-layer address: multicast or broadcast */
	SVR_VLAN_VID_MASK = 0x0fff,
};

enum svr_ip {
	SVR_IP_FRAGMENT = 0x3fff, /* more-fragments flag and offset; RFC 791 3.1 */
	SVR_IP_DF = 0x4000, /* don't fragment */
	SVR_IP_HLEN = 20,
	SVR_IP6_HLEN = 40,
	SVR_IP6_MTU_MIN = 1280, /* every link carries that much; RFC 8200 5 */
	SVR_UDP_HLEN = 8,
	SVR_TCP_HLEN_MAX = 60,
	SVR_ICMP_HLEN = 8, /* type, code, checksum, and four bytes that depend on them */
};

/* In both families; RFC 792, RFC 4443 */
enum svr_icmp_echo {
	SVR_ICMP_ECHO = 8,
	SVR_ICMP_ECHO_REPLY = 0,
	SVR_ICMP6_ECHO = 128,
	SVR_ICMP6_ECHO_REPLY = 129,
	SVR_ICMP6_INFO = 0x80, /* types below report errors; RFC 4443 2.1 */
};

/* Byte 13 of the header; RFC 9293 3.1 */
enum svr_tcp_flag {
	SVR_TH_FIN = 0x01,
	SVR_TH_SYN = 0x02,
	SVR_TH_RST = 0x04,
	SVR_TH_ACK = 0x10,
};

/* Lowest port that a session may use on a waypoint; docs/protocol.md 2 */
enum svr_port { SVR_PORT_MIN = 1025 };

enum svr_frame {
	SVR_HDR_MAX = ETH_HLEN + 8 + 40 + 60, /* Ethernet, two tags, IPv6, TCP with all options */
	SVR_FRAME_LEN_MAX = 65535 + SVR_HDR_MAX, /* of the longest IP packet, with room to spare */
};

#endif
