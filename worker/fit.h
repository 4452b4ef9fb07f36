/* SPDX-License-Identifier: BSD-2-Clause */
/* What fits on the way to the peer, and telling hosts about it: MSS, ICMP "too big". */
#ifndef SVR_WORKER_FIT_H
#define SVR_WORKER_FIT_H

#include <stddef.h>
#include <stdint.h>
#include <svr/maps.h>

struct svr_thread;
struct svr_work;

/* Largest IP packet between the routers, bytes. */
uint16_t svr_fit_path_limit(const struct svr_thread *t, const struct svr_session *s);
/*
 * Bytes by which the headers of a host's packet grow on the way to the peer: an IP header of another
 * family, a UDP header in front of a protocol without ports.
 */
int svr_fit_header_growth(const struct svr_session *s);
/* The MSS option of a SYN, as the configuration of the WAN interface says. */
void svr_fit_clamp_mss(struct svr_thread *t, const struct svr_session *s, struct svr_work *w);
/*
 * Tell the host what would have fitted, without metadata. The packet still stands as it was received.
 * @inside: as in svr_seal_host_mtu().
 */
void svr_fit_too_big(struct svr_thread *t, const struct svr_session *s, const struct svr_work *w,
		     size_t inside);

#endif
