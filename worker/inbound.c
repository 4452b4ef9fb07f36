// SPDX-License-Identifier: BSD-2-Clause
/* Packets from the peer to hosts. */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include <openssl/crypto.h>

#include <svr/drops.h>

#include "lib/epoch.h"
#include "lib/replay.h"
#include "lib/shared.h"
#include "lib/tcpstate.h"
#include "worker/auth.h"
#include "worker/fit.h"
#include "worker/handover.h"
#include "worker/handshake.h"
#include "worker/inbound.h"
#include "worker/nexthop.h"
#include "worker/rekey.h"
#include "worker/session_flows.h"
#include "worker/session_keys.h"
#include "worker/thread.h"
#include "worker/whole.h"

/* ---- which keys ---------------------------------------------------------------------------- */

static size_t tag_len_of(const struct svr_session *s, const struct svr_work *w)
{
	return svr_seal_tag_len(s->cipher, s->hmac, w->in.with_metadata);
}

/* Epoch and counter of an encrypted packet; the keys become those that they name. */
static int counter_check(struct svr_thread *t, uint32_t slot, struct svr_work *w)
{
	const struct svr_session *s = &t->maps->sessions[slot];
	const struct svr_epochs e = svr_session_epochs(t, s);
	const uint16_t epochs[2] = { e.newest, e.older };
	int err = -SVR_DROP_BAD_IV;
	struct svr_keyset *k;
	uint16_t epoch;
	unsigned int i;

	for (i = 0; i < 2; i++) {
		if (!epochs[i])
			continue;
		k = svr_session_keys(t, slot, epochs[i]);
		if (!k)
			return -SVR_DROP_INTERNAL;
		if (svr_seal_counter(t->crypt, k->enc_rx, tag_len_of(s, w), &w->pkt, &epoch,
				     &w->in.counter))
			continue;
		if (epoch == k->epoch) {
			w->keys = svr_keyset_get(k);
			return 0;
		}
		err = -SVR_DROP_EPOCH;
	}
	return err;
}

/* Lengths that metadata leaves for the rest. */
static int lengths_check(const struct svr_session *s, const struct svr_work *w)
{
	size_t trailer = svr_seal_trailer_len(s->cipher, s->hmac, w->in.with_metadata);

	if (w->pkt.payload_len < w->in.front + trailer)
		return -SVR_DROP_HMAC_MISSING;
	if (svr_cipher_is_cbc(s->cipher) &&
	    (w->pkt.payload_len - w->in.front - trailer) % SVR_BLOCK_LEN != 0)
		return -SVR_DROP_PADDING;
	return 0;
}

/* Lengths, then keys: by the IV where there is one, those of @epoch otherwise. */
static int keys_choose(struct svr_thread *t, struct svr_work *w, uint32_t slot, uint16_t epoch)
{
	const struct svr_session *s = &t->maps->sessions[slot];
	struct svr_keyset *k;
	int err;

	w->slot = slot;
	w->generation = s->generation;
	err = lengths_check(s, w);
	if (!err && s->cipher != SVR_CIPHER_NONE) {
		err = counter_check(t, slot, w);
	} else if (!err) {
		k = svr_session_keys(t, slot, epoch);
		if (k)
			w->keys = svr_keyset_get(k);
		else
			err = -SVR_DROP_INTERNAL;
	}
	if (!err)
		w->in.epoch = w->keys->epoch;
	return err;
}

/* ---- after the tag ------------------------------------------------------------------------- */

static struct svr_seal_input unsent_of(const struct svr_session *s, const struct svr_work *w)
{
	return (struct svr_seal_input){
		.window = w->in.window,
		.uuid = w->in.with_metadata ? NULL : s->uuid,
		.dir = s->originator ? SVR_DIR_REV : SVR_DIR_FWD,
	};
}

/*
 * The packet is authentic: it counts, in the order of the batch, and what the peer put around the
 * payload is taken off.
 */
static int authentic(struct svr_thread *t, struct svr_work *w, struct svr_session *s)
{
	const size_t tag_len = tag_len_of(s, w);
	struct svr_seal_input in = unsent_of(s, w);
	struct svr_pkt *p = &w->pkt;
	int err;

	if (s->cipher != SVR_CIPHER_NONE) {
		err = svr_session_accept(s, w->in.counter);
		if (err)
			return err;
	}
	if (w->in.front)
		svr_packet_pull(p, w->in.front);
	p->payload_len = (uint16_t)(p->payload_len - tag_len);
	if (tag_len)
		svr_count(&t->counters, w->desc.zone, SVR_STAT_HMAC_REMOVED, 1);
	w->stage = SVR_STAGE_OPENED;
	if (s->cipher == SVR_CIPHER_NONE || w->in.opened)
		return 0;
	err = svr_seal_open(&w->seal, w->keys->enc_rx, &in, p);
	if (!err)
		w->stage = SVR_STAGE_OPEN;
	return err;
}

/* ---- packets without session metadata ------------------------------------------------------ */

static struct svr_auth auth_of(struct svr_session *s, struct svr_work *w)
{
	return (struct svr_auth){
		.key = w->keys->hmac_rx,
		.hmac = s->hmac,
		.hmac_mode = s->hmac_mode,
		.dir = s->originator ? SVR_DIR_REV : SVR_DIR_FWD,
		.peer = s->peer,
		.uuid = s->uuid,
		.hint = &s->window_hint,
	};
}

/*
 * The likeliest key and window do not fit, or were not tried: all others, one by one. Rare, unless
 * somebody forges.
 */
static int tag_search(struct svr_thread *t, struct svr_work *w, struct svr_session *s, bool tried)
{
	const bool encrypted = s->cipher != SVR_CIPHER_NONE;
	struct svr_auth auth = auth_of(s, w);
	struct svr_keyset *other = NULL;
	const struct svr_epochs e = svr_session_epochs(t, s);
	int err;

	auth.tried = tried ? &w->in.window : NULL;
	/* Without an IV nothing names the epoch: the tag tells */
	if (!encrypted && e.older && svr_epochs_have(&e, w->in.epoch))
		other = svr_session_keys(t, w->slot,
					 w->in.epoch == e.newest ? e.older : e.newest);
	if (other)
		auth.other = other->hmac_rx;
	auth.gcm = w->in.opened ? &w->seal : NULL;
	err = auth.gcm ? svr_auth_tag(t, &w->pkt, &auth) : svr_auth_check(t, &w->pkt, &auth);
	/* Authentic and of another time: an old copy, no wrong clock */
	if (err == -SVR_DROP_HMAC_SKEW && encrypted && svr_replay_check(&s->replay, w->in.counter))
		err = svr_replay_check(&s->replay, w->in.counter);
	if (!err && auth.key != w->keys->hmac_rx) { /* never of GCM, where the epoch is known */
		svr_keyset_put(t->keysets, w->keys);
		w->keys = svr_keyset_get(other);
		w->in.epoch = other->epoch;
	}
	return err;
}

static int front_checked(struct svr_thread *t, struct svr_work *w, struct svr_session *s)
{
	if (w->in.front)
		svr_count(&t->counters, w->desc.zone, SVR_STAT_FALSE_POSITIVE_REMOVED, 1);
	return authentic(t, w, s);
}

/* @front: length of a bare header. */
static int inbound_plain(struct svr_thread *t, struct svr_work *w, uint32_t slot, size_t front)
{
	struct svr_session *s = &t->maps->sessions[slot];
	struct svr_seal_input in;
	struct svr_auth auth;
	int err;

	w->in = (struct svr_inbound){ .front = front };
	err = keys_choose(t, w, slot, svr_session_epochs(t, s).newest);
	if (err)
		return err;
	auth = auth_of(s, w);
	w->in.window = svr_auth_likely_window(t, &auth);
	in = unsent_of(s, w);
	w->stage = SVR_STAGE_VERIFY;
	if (!svr_cipher_is_gcm(s->cipher)) {
		if (svr_seal_check(&w->seal, w->keys->hmac_rx, tag_len_of(s, w), &in, &w->pkt))
			return 0;
		err = tag_search(t, w, s, false);
		return err ? err : front_checked(t, w, s);
	}
	/* The tag comes out of the decryption, after which there is no checksum to look at */
	err = svr_auth_checksum(&w->pkt);
	w->in.opened = true;
	return err ? err : svr_seal_open(&w->seal, w->keys->enc_rx, &in, &w->pkt);
}

static int gcm_verified(struct svr_thread *t, struct svr_work *w, struct svr_session *s)
{
	if (w->seal.job.err == -EBADMSG)
		return tag_search(t, w, s, true);
	return w->seal.job.err ? -SVR_DROP_INTERNAL : 0;
}

int svr_inbound_verified(struct svr_thread *t, struct svr_work *w)
{
	struct svr_session *s = svr_session_get(t, w->slot, w->generation);
	bool right;
	int err;

	if (!s)
		return -SVR_DROP_NOT_WAN_SESSION; /* it ended while the packet was in work */
	if (w->in.opened) {
		err = gcm_verified(t, w, s);
	} else {
		right = svr_seal_checked(&w->seal, tag_len_of(s, w), &w->pkt);
		err = right ? svr_auth_checksum(&w->pkt) : tag_search(t, w, s, true);
	}
	return err ? err : front_checked(t, w, s);
}

/* ---- packets with session metadata --------------------------------------------------------- */

/* @m: its header section. */
static int inbound_metadata(struct svr_thread *t, struct svr_work *w, uint32_t slot, uint32_t path,
			    struct svr_meta *m)
{
	uint16_t epoch = 0;
	int err;

	w->in = (struct svr_inbound){ .with_metadata = true };
	err = svr_handshake(t, w, &slot, path, m, &epoch);
	if (err)
		goto out;
	w->in.front = (size_t)m->header_len + m->payload_len;
	w->in.key_packet = m->have & SVR_HAVE_KEY_PACKET;
	err = keys_choose(t, w, slot, epoch);
	if (err)
		goto out;
	svr_count(&t->counters, w->desc.zone, SVR_STAT_META_REMOVED, 1);
	err = authentic(t, w, &t->maps->sessions[slot]);
out:
	OPENSSL_cleanse(m, sizeof(*m));
	return err;
}

int svr_inbound(struct svr_thread *t, struct svr_work *w, uint32_t slot, uint32_t path)
{
	struct svr_pkt *p = &w->pkt;
	struct svr_meta m;
	int err;

	if (svr_packet_ttl(p) <= 1)
		return -SVR_DROP_TTL;
	if (slot && t->maps->paths[path].peer != t->maps->sessions[slot].peer)
		return -SVR_DROP_PATH_DOWN; /* the path was taken out of the configuration */
	if (!svr_meta_is_cookie(p->payload, p->payload_len))
		return slot ? inbound_plain(t, w, slot, 0) : -SVR_DROP_NO_FLOW;
	err = svr_meta_parse_header(p->payload, p->payload_len, &m);
	if (err)
		return err;
	if (m.have & SVR_HAVE_FRAGMENT)
		return svr_whole_post(t, w, SVR_LETTER_PIECE);
	if (svr_meta_is_false_positive(&m))
		return slot ? inbound_plain(t, w, slot, m.header_len) : -SVR_DROP_NO_FLOW;
	return inbound_metadata(t, w, slot, path, &m);
}

/* ---- delivery ------------------------------------------------------------------------------ */

static void note_wan(struct svr_thread *t, struct svr_session *s, const struct svr_work *w,
		     bool with_metadata)
{
	svr_session_note(s, 1, w->frame_len - w->desc.l3_off, t->now_ns);
	if (w->pkt.proto == IPPROTO_TCP)
		svr_session_note_tcp(s, 1, svr_tcp_track(w->pkt.tcp_flags));
	/*
	 * docs/protocol.md section 5: each side stops adding when the other has shown that it knows
	 */
	if (with_metadata)
		__atomic_store_n(&s->meta_seen, 1, __ATOMIC_RELAXED);
	if (s->originator == with_metadata && svr_shared(s->meta_add)) {
		__atomic_store_n(&s->heard_ns, t->now_ns, __ATOMIC_RELAXED);
		__atomic_store_n(&s->meta_add, 0, __ATOMIC_RELAXED);
	}
}

/* User data that starts with the cookie was encrypted together with its bare header. */
static void bare_header_remove(struct svr_thread *t, struct svr_work *w)
{
	struct svr_pkt *p = &w->pkt;
	struct svr_meta m;

	if (w->in.front || !svr_meta_is_cookie(p->payload, p->payload_len) ||
	    svr_meta_parse_header(p->payload, p->payload_len, &m) ||
	    !svr_meta_is_false_positive(&m))
		return;
	svr_packet_pull(p, m.header_len);
	svr_count(&t->counters, w->desc.zone, SVR_STAT_FALSE_POSITIVE_REMOVED, 1);
}

static int deliver(struct svr_thread *t, uint32_t slot, struct svr_work *w)
{
	struct svr_session *s = &t->maps->sessions[slot];
	const struct svr_nexthop *nh;
	struct svr_pkt *p = &w->pkt;
	const bool no_csum = p->proto == IPPROTO_UDP && svr_packet_udp(p)->csum == 0;
	const bool may_cut = svr_whole_may_cut(w);
	const uint16_t mtu = t->maps->zones[s->lan.zone].mtu;
	bool cut;
	int err;

	if (p->proto != s->lan.proto)
		svr_packet_unwrap(p, s->lan.proto);
	err = svr_packet_readdress(p, &s->lan, svr_session_label(s));
	if (err)
		return err;
	cut = svr_packet_header_len(p) + p->payload_len > mtu;
	if (cut && !may_cut)
		return -SVR_DROP_TOO_BIG;
	svr_fit_clamp_mss(t, s, w);
	svr_packet_finish(p, no_csum);
	nh = svr_nexthop_of_neighbour(t->maps, &t->hints, s->lan.zone, w->keys->lan_target,
				      &w->keys->nexthop);
	if (!nh)
		return svr_hand_over(t, w, SVR_LETTER_SEND, s->lan.zone, w->keys->lan_target);
	if (cut)
		return svr_whole_send_fragments(t, w, s->lan.zone, nh, mtu);
	return svr_thread_send(t, w, s->lan.zone, nh);
}

int svr_inbound_finish(struct svr_thread *t, struct svr_work *w)
{
	struct svr_session *s = svr_session_get(t, w->slot, w->generation);
	int err;

	if (!s)
		return -SVR_DROP_NOT_WAN_SESSION; /* it ended while the packet was in work */
	if (s->cipher != SVR_CIPHER_NONE) {
		err = svr_seal_opened(&w->seal, &w->pkt);
		if (err)
			return err;
		svr_count(&t->counters, w->desc.zone, SVR_STAT_PAYLOAD_DECRYPTED, 1);
		bare_header_remove(t, w);
	}
	/* An offer tells nothing about what its sender has got */
	if (s->originator || !w->in.key_packet)
		svr_rekey_confirm(t, w->slot, w->in.epoch);
	if (w->in.key_packet)
		return s->originator ? 0 : svr_rekey_answer(t, w->slot, w);
	note_wan(t, s, w, w->in.with_metadata);
	return deliver(t, w->slot, w);
}
