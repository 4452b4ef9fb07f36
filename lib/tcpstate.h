/* SPDX-License-Identifier: BSD-2-Clause */
/* What the flags seen in both directions (enum svr_tcp_seen) say about a TCP connection. Part of libsvr. */
#ifndef SVR_LIB_TCPSTATE_H
#define SVR_LIB_TCPSTATE_H

#include <stdbool.h>
#include <stdint.h>
#include <svr/maps.h>

/*
 * The handshake is over: both sides spoke, and one acknowledged without a SYN (RFC 9293 3.5). A server that stays silent
 * after its SYN+ACK belongs to an established connection, too.
 */
static inline bool svr_tcp_established(uint8_t a, uint8_t b)
{
	return a && b && ((a | b) & SVR_TCP_DATA);
}

/* RST from one side, or FIN from both. */
static inline bool svr_tcp_closing(uint8_t a, uint8_t b)
{
	return ((a | b) & SVR_TCP_RST) || (a & b & SVR_TCP_FIN);
}

#endif
