// SPDX-License-Identifier: BSD-2-Clause
/* The data threads' part of whole.h: frames that they hand over, protected packets that they cut. */
#include <arpa/inet.h>
#include <string.h>

#include <svr/drops.h>

#include "worker/thread.h"
#include "worker/whole.h"

enum { IP4_DF = 0x4000 };

int svr_whole_post(struct svr_thread *t, const struct svr_work *w, enum svr_letter_kind kind)
{
	const struct svr_port *port = t->umem.port[w->port];
	struct svr_letter *l;

	if (w->terms.whole) /* it was put together once */
		return -SVR_DROP_META_UNEXPECTED;
	l = svr_letter_new(t->whole_mail, w->frame, w->frame_len);
	if (!l)
		return -SVR_DROP_FRAGMENT_FULL;
	l->kind = (uint8_t)kind;
	l->in_zone = w->desc.zone;
	l->l3_off = w->desc.l3_off;
	l->ifindex = port ? port->ifindex : 0;
	l->queue = port ? port->queue : 0;
	svr_mailbox_post(t->whole_mail, l);
	return 0;
}

bool svr_whole_may_cut(const struct svr_work *w)
{
	const struct svr_pkt *p = &w->pkt;

	if (w->terms.whole)
		return w->terms.may_cut;
	if (p->family == SVR_FAMILY_6)
		return svr_packet_header_len(p) + p->payload_len <= SVR_MIN_MTU6;
	return !(svr_packet_ip4(p)->frag & htons(IP4_DF));
}

int svr_whole_tlv(struct svr_thread *t, const struct svr_work *w, struct svr_tlv_fragment *out)
{
	const struct svr_pkt *p = &w->pkt;
	bool df = !w->terms.largest;

	*out = (struct svr_tlv_fragment){ .largest = htons(w->terms.largest) };
	if (p->family == SVR_FAMILY_4) {
		out->ip_id = svr_packet_ip4(p)->id;
		df = svr_packet_ip4(p)->frag & htons(IP4_DF);
	}
	out->flags_offset = htons(df ? SVR_FRAGMENT_DF : 0);
	return svr_crypt_random(t->crypt, &out->id, sizeof(out->id)) ? -SVR_DROP_INTERNAL : 0;
}

/* Where pieces go. */
struct sending {
	struct svr_thread *t;
	const struct svr_nexthop *nh;
	uint16_t zone, queue;
};

static int send_piece(void *user, uint8_t *ip, size_t len)
{
	const struct sending *s = user;
	struct svr_pkt p = { .room = ip - SVR_CUT_ROOM, .ip = ip };
	const struct svr_zone_tx *tx = &s->t->zone_tx[s->zone];
	int err = svr_packet_set_eth(&p, s->nh->dmac, s->nh->smac, tx->vlan, tx->outer_vlan);

	return err ? err :
		     svr_thread_send_copy(s->t, s->zone, s->queue, p.eth,
					  (size_t)(ip - p.eth) + len);
}

static struct sending sending_of(struct svr_thread *t, const struct svr_work *w, uint16_t zone,
				 const struct svr_nexthop *nh)
{
	const struct svr_port *from = t->umem.port[w->port];

	return (struct sending){
		.t = t,
		.nh = nh,
		.zone = zone,
		.queue = (uint16_t)(from ? from->queue : 0),
	};
}

int svr_whole_send_pieces(struct svr_thread *t, struct svr_work *w, uint16_t zone,
			  const struct svr_nexthop *nh, uint16_t limit,
			  const struct svr_tlv_fragment *host)
{
	struct sending s = sending_of(t, w, zone, nh);
	const struct svr_cut cut = { .buffer = t->cut, .emit = send_piece, .user = &s };

	return svr_cut_session(&cut, &w->pkt, limit, host);
}

int svr_whole_send_held(struct svr_thread *t, const struct svr_letter *l,
			const struct svr_nexthop *nh)
{
	struct sending s = { .t = t, .nh = nh, .zone = l->zone, .queue = (uint16_t)l->queue };
	const struct svr_cut cut = { .buffer = t->cut, .emit = send_piece, .user = &s };
	struct svr_pkt p = { .ip = (uint8_t *)l->data, .family = *l->data >> 4 };
	uint32_t id;

	/* As one piece of L4, whatever it is */
	p.l4 = p.payload = p.ip + svr_ip_len(p.family);
	p.payload_len = (uint16_t)(l->len - svr_ip_len(p.family));
	if (svr_crypt_random(t->crypt, &id, sizeof(id)))
		return -SVR_DROP_INTERNAL;
	return svr_cut_ip(&cut, &p, t->maps->zones[l->zone].mtu, id);
}

int svr_whole_send_fragments(struct svr_thread *t, struct svr_work *w, uint16_t zone,
			     const struct svr_nexthop *nh, uint16_t mtu)
{
	struct sending s = sending_of(t, w, zone, nh);
	const struct svr_cut cut = { .buffer = t->cut, .emit = send_piece, .user = &s };
	uint32_t id;

	if (svr_crypt_random(t->crypt, &id, sizeof(id)))
		return -SVR_DROP_INTERNAL;
	return svr_cut_ip(&cut, &w->pkt, mtu, id);
}
