// SPDX-License-Identifier: BSD-2-Clause
/* New keys for live sessions, and the packets that carry them. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include <openssl/crypto.h>

#include <svr/drops.h>

#include "lib/epoch.h"
#include "lib/shared.h"
#include "lib/window.h"
#include "worker/keys.h"
#include "worker/metadata.h"
#include "worker/rekey.h"
#include "worker/seal.h"
#include "worker/session_flows.h"
#include "worker/session_keys.h"
#include "worker/session_policy.h"
#include "worker/thread.h"

enum {
	/*
	 * New epochs begun per second: the receiver has to remember a nonce of each for 20 s, and
	 * has other uses for its memory
	 */
	BEGIN_PER_SEC = 1000,
	OFFER_MS = 200, /* first repetition of an offer; then twice that, up to 8 times */
	OFFER_DOUBLINGS = 4,
	TTL = 64,
	IP_DF = 0x4000,
};
#define NS_PER_MS  1000000ULL
#define NS_PER_SEC 1000000000ULL

/* ---- key packets --------------------------------------------------------------------------- */

struct tcp_head {
	uint32_t seq, ack;
	uint16_t window;
};

/* Headers without addresses. */
static void packet_begin(struct svr_pkt *p, uint8_t *room, size_t len, const struct svr_session *s,
			 const struct tcp_head *head)
{
	*p = (struct svr_pkt){
		.room = room,
		.room_end = room + len,
		.family = SVR_FAMILY_4, /* readdressing may change it */
		.proto = s->wan.proto,
	};
	p->ip = room + SVR_META_MAX + SVR_L2_MAX + SVR_IP6_LEN - SVR_IP4_LEN;
	p->l4 = p->ip + SVR_IP4_LEN;
	p->l4_len = p->proto == IPPROTO_TCP ? SVR_TCP_LEN : SVR_UDP_LEN;
	p->payload = p->l4 + p->l4_len;
	memset(p->ip, 0, SVR_IP4_LEN + p->l4_len);
	*svr_packet_ip4(p) = (struct svr_ip4){
		.ver_ihl = 0x45,
		.frag = htons(IP_DF),
		.ttl = TTL + 1, /* readdressing takes one */
		.proto = p->proto,
	};
	if (p->proto == IPPROTO_TCP) {
		struct svr_tcp *tcp = svr_packet_tcp(p);

		tcp->seq = htonl(head->seq);
		tcp->ack = htonl(head->ack);
		tcp->doff = SVR_TCP_LEN / 4 << 4;
		tcp->flags = SVR_TCPF_ACK;
		tcp->window = htons(head->window);
	}
}

/* Metadata, IV if the session encrypts, tag: all under the newest keys. */
static int packet_fill(struct svr_thread *t, uint32_t slot, struct svr_pkt *p)
{
	struct svr_session *s = &t->maps->sessions[slot];
	const uint16_t epoch = svr_session_epochs(t, s).newest;
	struct svr_keyset *k = svr_session_keys(t, slot, epoch);
	const size_t tag_len = svr_seal_tag_len(s->cipher, s->hmac, true);
	const struct svr_seal_input in = {
		.window = svr_window_tx(s->hmac_mode, t->real_ns),
		.dir = s->originator ? SVR_DIR_FWD : SVR_DIR_REV,
	};
	uint8_t meta[SVR_META_MAX], *room;
	struct svr_seal seal;
	struct svr_crypt_job *one = &seal.job;
	uint64_t counter;
	int len, err;

	if (!k)
		return -SVR_DROP_INTERNAL;
	len = svr_metadata_build(t, s, epoch, SVR_METADATA_KEYS, meta);
	if (len < 0)
		return len;
	svr_seal_begin(&seal);
	if (s->cipher != SVR_CIPHER_NONE) {
		counter = svr_session_count(s);
		err = counter ? svr_seal_text(t->crypt, &seal, k->enc_tx, k->epoch, counter, p) :
				-SVR_DROP_NOT_WAN_SESSION;
		if (err)
			return err;
	}
	room = svr_packet_push(p, (size_t)len);
	if (!room)
		return -SVR_DROP_INTERNAL;
	memcpy(room, meta, (size_t)len);
	err = svr_packet_readdress(p, &s->wan, svr_session_label(s));
	if (!err)
		err = svr_seal_tag(&seal, k->hmac_tx, tag_len, &in, p);
	if (err)
		return err;
	svr_crypt_seal(t->crypt, &one, 1);
	err = svr_seal_done(&seal, tag_len, p);
	if (!err)
		svr_packet_finish(p, false);
	return err;
}

static int packet_send(struct svr_thread *t, uint32_t slot, const struct tcp_head *head)
{
	const struct svr_session *s = &t->maps->sessions[slot];
	const struct svr_nexthop *nh = &t->maps->nexthops[s->path];
	const uint16_t zone = s->wan.zone;
	uint8_t frame[SVR_FRAME_SIZE];
	struct svr_pkt p;
	int err;

	if (!svr_session_path_up(t, s->path, s->peer))
		return -SVR_DROP_PATH_DOWN;
	if (!__atomic_load_n(&nh->valid, __ATOMIC_ACQUIRE))
		return -SVR_DROP_NO_NEIGHBOUR;
	packet_begin(&p, frame, sizeof(frame), s, head);
	err = packet_fill(t, slot, &p);
	if (!err)
		err = svr_packet_set_eth(&p, nh->dmac, nh->smac, t->zone_tx[zone].vlan,
					 t->zone_tx[zone].outer_vlan);
	if (!err)
		err = svr_thread_send_copy(t, zone, 0, p.eth, svr_packet_frame_len(&p));
	if (!err) {
		svr_count(&t->counters, zone, SVR_STAT_META_ADDED, 1);
		svr_count(&t->counters, zone, SVR_STAT_HMAC_ADDED, 1);
	}
	return err;
}

/* ---- the other router ---------------------------------------------------------------------- */

int svr_rekey_answer(struct svr_thread *t, uint32_t slot, const struct svr_work *w)
{
	struct tcp_head head = { 0 };

	if (w->pkt.proto == IPPROTO_TCP) {
		const struct svr_tcp *tcp = svr_packet_tcp(&w->pkt);

		head = (struct tcp_head){
			.seq = ntohl(tcp->ack),
			.ack = ntohl(tcp->seq),
			.window = ntohs(tcp->window),
		};
	}
	return packet_send(t, slot, &head);
}

void svr_rekey_confirm(struct svr_thread *t, uint32_t slot, uint16_t epoch)
{
	struct svr_session *s = &t->maps->sessions[slot];

	if (!__atomic_load_n(&s->unconfirmed, __ATOMIC_RELAXED))
		return;
	/* Another thread may have put in newer keys since this packet was opened */
	svr_sessions_lock(t);
	if (svr_session_epochs(t, s).newest == epoch && svr_epoch_confirm(s) && s->originator)
		svr_session_rekeyed(t, s);
	svr_sessions_unlock(t);
}

/* ---- the originating router ---------------------------------------------------------------- */

static uint64_t last_packet_ns(const struct svr_session *s)
{
	const uint64_t lan_ns = svr_shared(s->last_lan_ns), wan_ns = svr_shared(s->last_wan_ns);

	return lan_ns > wan_ns ? lan_ns : wan_ns;
}

static const struct svr_session_keys *newest_keys(const struct svr_thread *t,
						  const struct svr_session *s)
{
	return svr_epoch_keys_const(s, t->maps->session_others, svr_session_epochs(t, s).newest);
}

/* Its keys come from this peer key. */
static bool signed_by(const struct svr_thread *t, const struct svr_session *s, uint32_t index)
{
	const struct svr_session_keys *k = newest_keys(t, s);

	return k && k->peer_key_index == index;
}

static bool keys_due(const struct svr_thread *t, const struct svr_session *s)
{
	const uint32_t index = svr_keys_peer_tx_index(t->maps, s->peer);

	return svr_epoch_due(s, t->maps->session_others,
			     t->maps->router->payload_rekey_sec * NS_PER_SEC, index, t->now_ns) ||
	       (svr_keyrows_crowded(&t->sessions->keyrows) && index && !signed_by(t, s, index));
}

/* 0 or a negative drop reason; then nothing has changed. */
static int begin(struct svr_thread *t, uint32_t slot, bool unconfirmed)
{
	struct svr_session *s = &t->maps->sessions[slot];
	uint16_t epoch = svr_epoch_next(svr_session_epochs(t, s).newest);
	struct svr_fresh_keys fresh;
	int err;

	err = svr_session_fresh_keys(t, s, epoch, &fresh);
	if (err)
		return err;
	err = svr_session_install_fresh(t, slot, &fresh, unconfirmed);
	OPENSSL_cleanse(&fresh, sizeof(fresh));
	if (!err && !unconfirmed)
		svr_session_rekeyed(t, s);
	return err;
}

static void offer(struct svr_thread *t, uint32_t slot)
{
	const struct svr_session *s = &t->maps->sessions[slot];
	const struct svr_talk *l = &t->sessions->talk[slot];
	struct svr_offer *o = &t->sessions->keyrows.offers[s->other];
	const uint64_t seq_ack = __atomic_load_n(&l->tcp_seq_ack, __ATOMIC_RELAXED);
	const uint32_t window = __atomic_load_n(&l->tcp_window, __ATOMIC_RELAXED);
	const struct tcp_head head = { (uint32_t)(seq_ack >> 32), (uint32_t)seq_ack,
				       (uint16_t)window };
	unsigned int doublings = o->count < OFFER_DOUBLINGS ? o->count : OFFER_DOUBLINGS;

	if (o->count && t->now_ns - o->ns < (OFFER_MS * NS_PER_MS / 2) << doublings)
		return;
	/* Nobody uses the session any more: it can wait for its next packet */
	if (o->count > OFFER_DOUBLINGS && last_packet_ns(s) < o->ns)
		return;
	/* Before the first packet after a restart nothing is known about the connection */
	if (s->lan.proto == IPPROTO_TCP && !(window & SVR_TALK_KNOWN))
		return;
	o->ns = t->now_ns;
	if (packet_send(t, slot, &head))
		return;
	o->count++;
	svr_count(&t->counters, s->wan.zone, SVR_STAT_REKEY_OFFERED, 1);
}

void svr_rekey_look(struct svr_thread *t, uint32_t slot)
{
	struct svr_session *s = &t->maps->sessions[slot];

	svr_session_keys_retire(t, s);
	if (!s->originator || svr_shared(s->meta_add) || svr_shared(s->closing))
		return;
	if (!svr_session_epochs(t, s).offered) {
		const struct svr_session_keys *k = newest_keys(t, s);

		/* A session that was silent since its last change has used nothing up */
		if (!k || last_packet_ns(s) <= k->since_ns || !keys_due(t, s) ||
		    !svr_session_path_up(t, s->path, s->peer) ||
		    !svr_tokens_take(&t->rekey_tokens, t->now_ns, BEGIN_PER_SEC) ||
		    begin(t, slot, true))
			return;
	}
	offer(t, slot);
}

static bool take_along(const struct svr_thread *t, const struct svr_session *s, uint32_t index)
{
	return keys_due(t, s) || (index && !signed_by(t, s, index));
}

void svr_rekey_unheard(struct svr_thread *t, uint32_t slot)
{
	struct svr_session *s = &t->maps->sessions[slot];
	uint32_t index;

	if (!s->originator || !svr_shared(s->meta_add) || svr_session_epochs(t, s).offered)
		return;
	index = svr_keys_peer_tx_index(t->maps, s->peer);
	if (!take_along(t, s, index))
		return;
	svr_sessions_lock(t);
	if (svr_shared(s->meta_add) && !svr_session_epochs(t, s).offered && take_along(t, s, index))
		begin(t, slot, false);
	svr_sessions_unlock(t);
}

void svr_rekey_note_tcp(struct svr_talk *talk, const struct svr_pkt *p, size_t ip_len)
{
	const struct svr_tcp *tcp = svr_packet_tcp(p);
	uint32_t seq;

	if (p->proto != IPPROTO_TCP)
		return;
	seq = ntohl(tcp->seq) + (uint32_t)(ip_len - svr_packet_header_len(p)) +
	      ((p->tcp_flags & (SVR_TCPF_SYN | SVR_TCPF_FIN)) != 0);
	__atomic_store_n(&talk->tcp_seq_ack, (uint64_t)seq << 32 | ntohl(tcp->ack),
			 __ATOMIC_RELAXED);
	__atomic_store_n(&talk->tcp_window, SVR_TALK_KNOWN | ntohs(tcp->window), __ATOMIC_RELAXED);
}
