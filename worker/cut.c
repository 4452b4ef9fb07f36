// SPDX-License-Identifier: BSD-2-Clause
/* Fragments of IP packets and pieces of session packets. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include <svr/drops.h>

#include "worker/cut.h"

enum {
	UNIT = 8, /* bytes; offsets count in these */
	IP4_DF = 0x4000,
	IP4_MORE = 0x2000,
	IP6_MORE = 0x0001,
};

struct ip6_fragment {
	uint8_t next, zero;
	__be16 offset_more;
	__be32 id;
} __attribute__((packed));

/* ---- fragments of IP ----------------------------------------------------------------------- */

static void ip4_fragment(struct svr_ip4 *ip, uint32_t id, size_t offset, size_t len, bool more)
{
	if (!ip->id)
		ip->id = htons((uint16_t)id);
	ip->frag = htons((uint16_t)(offset / UNIT | (more ? IP4_MORE : 0)));
	ip->total_len = htons((uint16_t)(SVR_IP4_LEN + len));
	ip->csum = 0;
	ip->csum = (uint16_t)~svr_csum_fold(svr_csum_add(0, ip, SVR_IP4_LEN));
}

static void ip6_fragment(struct svr_ip6 *ip, uint32_t id, size_t offset, size_t len, bool more)
{
	struct ip6_fragment *f = (struct ip6_fragment *)(ip + 1);

	*f = (struct ip6_fragment){
		.next = ip->next,
		.offset_more = htons((uint16_t)(offset | (more ? IP6_MORE : 0))),
		.id = htonl(id),
	};
	ip->next = IPPROTO_FRAGMENT;
	ip->payload_len = htons((uint16_t)(sizeof(*f) + len));
}

int svr_cut_ip(const struct svr_cut *c, const struct svr_pkt *p, uint16_t mtu, uint32_t id)
{
	const size_t ip_len = svr_ip_len(p->family);
	const size_t head = ip_len + (p->family == SVR_FAMILY_6 ? sizeof(struct ip6_fragment) : 0);
	const size_t whole = (size_t)p->l4_len + p->payload_len;
	uint8_t *at = c->buffer + SVR_CUT_ROOM;
	size_t offset, len, most;
	bool more;
	int err;

	if (mtu < head + UNIT)
		return -SVR_DROP_TOO_BIG;
	most = (mtu - head) / UNIT * UNIT;
	for (offset = 0; offset < whole; offset += len) {
		more = whole - offset > mtu - head;
		len = more ? most : whole - offset;
		memcpy(at, p->ip, ip_len);
		memcpy(at + head, p->l4 + offset, len);
		if (p->family == SVR_FAMILY_6)
			ip6_fragment((struct svr_ip6 *)at, id, offset, len, more);
		else
			ip4_fragment((struct svr_ip4 *)at, id, offset, len, more);
		err = c->emit(c->user, at, head + len);
		if (err)
			return err;
	}
	return 0;
}

/* ---- pieces between routers ---------------------------------------------------------------- */

static void piece_meta(uint8_t *at, const struct svr_tlv_fragment *tlv, size_t offset, bool more)
{
	const struct svr_meta_hdr hdr = {
		.cookie = SVR_COOKIE_BYTES,
		.ver_hlen = htons(SVR_META_VERSION << 12 | SVR_PIECE_META_LEN),
	};
	const struct svr_tlv_hdr tlv_hdr = { htons(SVR_TLV_FRAGMENT), htons(sizeof(*tlv)) };
	struct svr_tlv_fragment value = *tlv;

	value.flags_offset = htons((uint16_t)((ntohs(tlv->flags_offset) & SVR_FRAGMENT_DF) |
					      (more ? SVR_FRAGMENT_MORE : 0) | offset / UNIT));
	memcpy(at, &hdr, sizeof(hdr));
	memcpy(at + sizeof(hdr), &tlv_hdr, sizeof(tlv_hdr));
	memcpy(at + sizeof(hdr) + sizeof(tlv_hdr), &value, sizeof(value));
}

int svr_cut_session(const struct svr_cut *c, const struct svr_pkt *p, uint16_t limit,
		    const struct svr_tlv_fragment *tlv)
{
	const size_t headers = svr_packet_header_len(p), head = headers + SVR_PIECE_META_LEN;
	struct svr_pkt piece = *p;
	size_t offset, len;
	bool more;
	int err;

	if (limit < head + UNIT)
		return -SVR_DROP_TOO_BIG;
	if (svr_packet_csum_state(p) != SVR_CSUM_FULL && svr_packet_csum_state(p) != SVR_CSUM_NONE)
		return -SVR_DROP_BAD_CSUM;
	piece.eth = NULL;
	piece.ip = c->buffer + SVR_CUT_ROOM;
	piece.l4 = piece.ip + (p->l4 - p->ip);
	piece.payload = piece.l4 + piece.l4_len;
	for (offset = 0; offset < p->payload_len; offset += len) {
		more = p->payload_len - offset > limit - head;
		len = more ? (limit - head) / UNIT * UNIT : p->payload_len - offset;
		memcpy(piece.ip, p->ip, headers);
		/* Whoever cuts knows the size of the path: nobody else has to, and no name is needed */
		if (piece.family == SVR_FAMILY_4) {
			svr_packet_ip4(&piece)->id = 0;
			svr_packet_ip4(&piece)->frag = htons(IP4_DF);
		}
		piece_meta(piece.payload, tlv, offset, more);
		memcpy(piece.payload + SVR_PIECE_META_LEN, p->payload + offset, len);
		piece.payload_len = (uint16_t)(SVR_PIECE_META_LEN + len);
		svr_packet_finish(&piece, false);
		err = c->emit(c->user, piece.ip, head + len);
		if (err)
			return err;
	}
	return 0;
}
