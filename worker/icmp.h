/* SPDX-License-Identifier: BSD-2-Clause */
/* ICMP and ICMPv6 errors about packets of sessions. Pure. */
#ifndef SVR_WORKER_ICMP_H
#define SVR_WORKER_ICMP_H

#include <stddef.h>
#include <stdint.h>
#include <linux/types.h>

#include "worker/packet.h"

enum svr_icmp_sizes {
	SVR_ICMP_LEN = 8, /* header, the same in both */
	SVR_ICMP4_MAX_LEN = 576, /* IP packet with an error, RFC 1812 4.3.2.3 */
	SVR_ICMP6_MAX_LEN = SVR_MIN_MTU6, /* RFC 4443 2.4 (c) */
	SVR_ICMP_FRAME_MAX = SVR_L2_MAX + SVR_ICMP6_MAX_LEN,
};

/**
 * svr_icmp_too_big() - fragmentation needed (RFC 1191 section 4) or packet too big (RFC 4443 3.2).
 * @p: the packet that is too big, headers unchanged since it was received
 * @router: source address, of the family of @p
 * @mtu: largest packet of the sender that fits, bytes
 * @out: frame, SVR_ICMP_FRAME_MAX bytes
 * Return: length of the frame, 0 if no error may be sent about this packet (RFC 1122 3.2.2, RFC 4443
 * 2.4 (e)).
 */
size_t svr_icmp_too_big(const struct svr_pkt *p, const __be32 router[static 4], uint16_t mtu,
			uint8_t out[static SVR_ICMP_FRAME_MAX]);

#endif
