// SPDX-License-Identifier: BSD-2-Clause
/* Packets from hosts to the peer. */
#include <netinet/in.h>
#include <string.h>

#include <svr/drops.h>

#include "lib/epoch.h"
#include "lib/shared.h"
#include "lib/tcpstate.h"
#include "lib/window.h"
#include "worker/addr.h"
#include "worker/fit.h"
#include "worker/handover.h"
#include "worker/metadata.h"
#include "worker/outbound.h"
#include "worker/rekey.h"
#include "worker/session_flows.h"
#include "worker/session_keys.h"
#include "worker/session_policy.h"
#include "worker/thread.h"
#include "worker/whole.h"

/*
 * A SYN with the ports of a connection that is over: the session ends, and XDP classifies the
 * packet as if it were the first.
 */
static int reopen(struct svr_thread *t, struct svr_work *w, uint32_t slot)
{
	static const __be32 nobody[4];

	svr_session_close(t, slot, "ended, and opened again");
	return svr_hand_over(t, w, SVR_LETTER_XDP, 0, nobody);
}

static bool tcp_opens(const struct svr_pkt *p)
{
	return p->proto == IPPROTO_TCP &&
	       (p->tcp_flags & (SVR_TCPF_SYN | SVR_TCPF_ACK | SVR_TCPF_RST | SVR_TCPF_FIN)) ==
		       SVR_TCPF_SYN;
}

static int outbound_checksum(struct svr_thread *t, struct svr_work *w)
{
	w->out.no_csum = false;
	switch (svr_packet_csum_state(&w->pkt)) {
	case SVR_CSUM_NONE:
		w->out.no_csum = true;
		return 0;
	case SVR_CSUM_PARTIAL:
		svr_count(&t->counters, w->desc.zone, SVR_STAT_CSUM_COMPLETED, 1);
		return 0;
	case SVR_CSUM_FULL:
		return 0;
	case SVR_CSUM_WRONG:
		break;
	}
	return -SVR_DROP_BAD_CSUM;
}

static void note_lan(struct svr_thread *t, struct svr_session *s, const struct svr_pkt *p,
		     size_t ip_len)
{
	svr_session_note(s, 0, ip_len, t->now_ns);
	if (p->proto == IPPROTO_TCP)
		svr_session_note_tcp(s, 0, svr_tcp_track(p->tcp_flags));
}

/* Bare header, encryption, metadata: the payload becomes what stands in front of the tag. */
static int payload_prepare(struct svr_thread *t, struct svr_session *s, struct svr_work *w,
			   const uint8_t *meta, size_t meta_len, size_t bare_len)
{
	struct svr_pkt *p = &w->pkt;
	uint64_t counter;
	uint8_t *room;
	int err;

	if (bare_len) {
		room = svr_packet_push(p, bare_len);
		if (!room || svr_meta_put_false_positive(room, bare_len) < 0)
			return -SVR_DROP_INTERNAL;
		svr_count(&t->counters, w->desc.zone, SVR_STAT_FALSE_POSITIVE_ADDED, 1);
	}
	svr_seal_begin(&w->seal);
	if (s->cipher != SVR_CIPHER_NONE) {
		if (svr_epoch_exhausted(s, w->keys->tx_first))
			return -SVR_DROP_COUNTER_LIMIT;
		counter = svr_session_count(s);
		if (!counter)
			return -SVR_DROP_NOT_WAN_SESSION;
		err = svr_seal_text(t->crypt, &w->seal, w->keys->enc_tx, w->keys->epoch, counter,
				    p);
		if (err)
			return err;
		svr_count(&t->counters, w->desc.zone, SVR_STAT_PAYLOAD_ENCRYPTED, 1);
	}
	if (meta_len) {
		room = svr_packet_push(p, meta_len);
		if (!room)
			return -SVR_DROP_INTERNAL;
		memcpy(room, meta, meta_len);
		svr_count(&t->counters, w->desc.zone, SVR_STAT_META_ADDED, 1);
	}
	return 0;
}

/* The host's packet is good and fits: make it ready for the peer, but for the cryptography. */
static int prepare(struct svr_thread *t, struct svr_work *w, uint32_t slot, const uint8_t *meta,
		   size_t meta_len, size_t bare_len)
{
	struct svr_session *s = &t->maps->sessions[slot];
	struct svr_pkt *p = &w->pkt;
	const size_t ip_len = svr_packet_header_len(p) + p->payload_len;
	const struct svr_seal_input in = {
		.window = svr_window_tx(s->hmac_mode, t->real_ns),
		.uuid = meta_len ? NULL : s->uuid,
		.dir = s->originator ? SVR_DIR_FWD : SVR_DIR_REV,
	};
	int err;

	svr_fit_clamp_mss(t, s, w);
	err = payload_prepare(t, s, w, meta, meta_len, bare_len);
	if (err)
		return err;
	note_lan(t, s, p, ip_len);
	svr_rekey_note_tcp(&t->sessions->talk[slot], p, ip_len);
	err = p->proto != s->wan.proto ? svr_packet_wrap(p) : 0;
	if (!err)
		err = svr_packet_readdress(p, &s->wan, svr_session_label(s));
	if (err)
		return err;
	w->out.tag_len = (uint8_t)svr_seal_tag_len(s->cipher, s->hmac, meta_len > 0);
	return svr_seal_tag(&w->seal, w->out.tag_len ? w->keys->hmac_tx : NULL, w->out.tag_len, &in,
			    p);
}

/*
 * Does the packet fit, with what is added to it? If not: may it be cut? Metadata is for a packet or two,
 * so the host is not asked for smaller ones because of it.
 */
static int sizes_check(struct svr_thread *t, struct svr_work *w, const struct svr_session *s,
		       size_t meta_len, size_t bare_len)
{
	const size_t headers = svr_packet_header_len(&w->pkt) + (size_t)svr_fit_header_growth(s);
	const size_t payload = bare_len + w->pkt.payload_len;
	const uint16_t limit = svr_fit_path_limit(t, s);
	size_t len = headers + meta_len + svr_seal_len(s->cipher, s->hmac, meta_len > 0, payload);

	if (len <= limit)
		return 0;
	if (headers + svr_seal_len(s->cipher, s->hmac, false, payload) > limit &&
	    !svr_whole_may_cut(w)) {
		svr_fit_too_big(t, s, w, bare_len);
		return -SVR_DROP_TOO_BIG;
	}
	if (len > SVR_PACKET_MAX)
		return -SVR_DROP_TOO_BIG; /* no packet is that long, and no list of pieces */
	w->out.piece = limit;
	return svr_whole_tlv(t, w, &w->out.host);
}

int svr_outbound(struct svr_thread *t, struct svr_work *w, uint32_t slot)
{
	struct svr_session *s = &t->maps->sessions[slot];
	uint8_t meta[SVR_META_MAX];
	struct svr_pkt *p = &w->pkt;
	struct svr_keyset *keys;
	size_t bare_len = 0;
	int meta_len = 0, err;
	uint16_t epoch;

	if (svr_shared(s->closing) && tcp_opens(p))
		return reopen(t, w, slot);
	if (svr_packet_ttl(p) <= 1)
		return -SVR_DROP_TTL;
	if (!svr_session_path_up(t, s->path, s->peer))
		return -SVR_DROP_PATH_DOWN;
	err = outbound_checksum(t, w);
	if (err)
		return err;
	svr_rekey_unheard(t, slot);
	epoch = svr_session_epochs(t, s).tx; /* once: another thread may put in new keys */
	keys = svr_session_keys(t, slot, epoch);
	if (!keys)
		return -SVR_DROP_INTERNAL;
	w->keys = svr_keyset_get(keys);
	if (svr_shared(s->meta_add)) {
		meta_len = svr_metadata_build(t, s, epoch, SVR_METADATA_SESSION, meta);
		if (meta_len < 0)
			return meta_len;
	} else if (svr_meta_is_cookie(p->payload, p->payload_len)) {
		bare_len = SVR_META_HDR_LEN;
	}
	err = sizes_check(t, w, s, (size_t)meta_len, bare_len);
	if (err)
		return err;
	w->out.zone = s->wan.zone;
	w->out.path = s->path;
	err = prepare(t, w, slot, meta, (size_t)meta_len, bare_len);
	if (!err)
		w->stage = SVR_STAGE_SEAL;
	return err;
}

/* Its address is not in the table before the main thread has come to a new path. */
static int wait_for_nexthop(struct svr_thread *t, const struct svr_work *w)
{
	const struct svr_path *path = &t->maps->paths[w->out.path];
	__be32 addr[4];

	if (w->out.piece)
		return -SVR_DROP_NO_NEIGHBOUR;
	if (!path->peer) /* taken out a moment ago */
		return -SVR_DROP_PATH_DOWN;
	svr_addr_next_hop(&t->maps->zones[w->out.zone], path->remote, addr);
	return svr_hand_over(t, w, SVR_LETTER_SEND, w->out.zone, addr);
}

int svr_outbound_finish(struct svr_thread *t, struct svr_work *w)
{
	const struct svr_nexthop *nh = &t->maps->nexthops[w->out.path];
	int err;

	err = svr_seal_done(&w->seal, w->out.tag_len, &w->pkt);
	if (err)
		return err;
	if (w->out.tag_len)
		svr_count(&t->counters, w->desc.zone, SVR_STAT_HMAC_ADDED, 1);
	svr_packet_finish(&w->pkt, w->out.no_csum);
	if (!__atomic_load_n(&nh->valid, __ATOMIC_ACQUIRE))
		return wait_for_nexthop(t, w);
	if (w->out.piece)
		return svr_whole_send_pieces(t, w, w->out.zone, nh, w->out.piece, &w->out.host);
	return svr_thread_send(t, w, w->out.zone, nh);
}
