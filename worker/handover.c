// SPDX-License-Identifier: BSD-2-Clause
/* From the data thread to the main thread. */
#include <svr/drops.h>

#include "worker/addr.h"
#include "worker/handover.h"
#include "worker/thread.h"

/* Packets for a neighbour; no more than SVR_HOLD_PER_NEIGHBOUR of them wait at a time. */
enum { HOLD_PER_SEC = 32 };

/* Some neighbours share these, but nobody who does not answer has the mailbox for himself. */
static struct svr_tokens *hold_tokens(struct svr_thread *t, uint16_t zone,
				      const __be32 addr[static 4])
{
	const uint32_t mixed = (addr[0] ^ addr[1] ^ addr[2] ^ addr[3] ^ zone) * 0x9e3779b1u;

	return &t->hold_tokens[(mixed >> 16) % SVR_HOLD_GROUPS];
}

int svr_hand_over(struct svr_thread *t, const struct svr_work *w, enum svr_letter_kind kind,
		  uint16_t zone, const __be32 addr[static 4])
{
	bool received = kind == SVR_LETTER_XDP;
	const struct svr_port *port = t->umem.port[w->port];
	struct svr_letter *l;

	if (zone && !svr_tokens_take(hold_tokens(t, zone, addr), t->now_ns, HOLD_PER_SEC))
		return -SVR_DROP_HOLD_FULL;
	if (received)
		l = svr_letter_new(t->mailbox, w->frame, w->frame_len);
	else
		l = svr_letter_new(t->mailbox, w->pkt.ip,
				   svr_packet_header_len(&w->pkt) + w->pkt.payload_len);
	if (!l)
		return -SVR_DROP_HOLD_FULL;
	l->kind = (uint8_t)kind;
	l->since_ns = t->now_ns;
	l->l3_off = w->desc.l3_off;
	l->terms = w->terms;
	l->in_zone = w->desc.zone;
	l->zone = zone;
	svr_addr_copy(l->addr, addr);
	l->ifindex = port ? port->ifindex : 0;
	l->queue = port ? port->queue : 0;
	svr_mailbox_post(t->mailbox, l);
	if (zone)
		svr_count(&t->counters, w->desc.zone, SVR_STAT_NEIGHBOUR_HELD, 1);
	return 0;
}
