// SPDX-License-Identifier: BSD-2-Clause
/* Sizes of packets of protected sessions. */
#include "worker/addr.h"
#include "worker/fit.h"
#include "worker/icmp.h"
#include "worker/seal.h"
#include "worker/thread.h"

enum {
	ICMP_PER_SEC = 1000,
	MSS_MIN = 64,
	ZONE_MSS_AUTOMATIC = 1,
	ZONE_MSS_FIXED = 2,
};

static uint8_t family_of(const struct svr_flow6_key *key)
{
	return svr_key_is4(key) ? SVR_FAMILY_4 : SVR_FAMILY_6;
}

int svr_fit_header_growth(const struct svr_session *s)
{
	return (int)svr_ip_len(family_of(&s->wan)) - (int)svr_ip_len(family_of(&s->lan)) +
	       (s->lan.proto != s->wan.proto ? SVR_UDP_LEN : 0);
}

uint16_t svr_fit_path_limit(const struct svr_thread *t, const struct svr_session *s)
{
	uint16_t mtu = t->maps->zones[s->wan.zone].mtu;
	uint32_t path_mtu = __atomic_load_n(&t->maps->path_state[s->path].mtu, __ATOMIC_RELAXED);

	return path_mtu && path_mtu < mtu ? (uint16_t)path_mtu : mtu;
}

void svr_fit_clamp_mss(struct svr_thread *t, const struct svr_session *s, struct svr_work *w)
{
	const struct svr_zone *zone = &t->maps->zones[s->wan.zone];
	/* Options are not part of it, RFC 6691 */
	size_t taken = svr_ip_len(family_of(&s->wan)) + SVR_TCP_LEN +
		       svr_seal_overhead(s->cipher, s->hmac);
	uint16_t limit = svr_fit_path_limit(t, s), mss;

	if (!(w->pkt.tcp_flags & SVR_TCPF_SYN))
		return;
	if (zone->enforced_mss == ZONE_MSS_FIXED)
		mss = zone->mss;
	else if (zone->enforced_mss == ZONE_MSS_AUTOMATIC)
		mss = limit > taken + MSS_MIN ? (uint16_t)(limit - taken) : (uint16_t)MSS_MIN;
	else
		return;
	if (svr_packet_clamp_mss(&w->pkt, mss))
		svr_count(&t->counters, w->desc.zone, SVR_STAT_MSS_CLAMPED, 1);
}

void svr_fit_too_big(struct svr_thread *t, const struct svr_session *s, const struct svr_work *w,
		     size_t inside)
{
	const struct svr_zone *zone = &t->maps->zones[w->desc.zone];
	const __be32 *own = svr_addr_own(zone, w->pkt.family == SVR_FAMILY_4);
	const struct svr_port *port = t->umem.port[w->port];
	uint16_t limit = (uint16_t)(svr_fit_path_limit(t, s) - svr_fit_header_growth(s)), mtu;
	uint8_t frame[SVR_ICMP_FRAME_MAX];
	size_t len;

	if (!own || !svr_tokens_take(&t->icmp_tokens, t->now_ns, ICMP_PER_SEC))
		return;
	mtu = svr_seal_host_mtu(s->cipher, s->hmac, limit, 0, inside, w->pkt.proto,
				w->pkt.family);
	len = svr_icmp_too_big(&w->pkt, own, mtu, frame);
	if (len && svr_thread_send_copy(t, w->desc.zone, port ? (uint16_t)port->queue : 0, frame,
					len) == 0)
		svr_count(&t->counters, w->desc.zone, SVR_STAT_ICMP_TOO_BIG, 1);
}
