// SPDX-License-Identifier: BSD-2-Clause
/*
 * The pipelines of protected sessions:
 *
 *   LAN -> checks -> fits? -> encrypt -> metadata -> readdress -> tag -> checksum -> WAN
 *   WAN -> checks -> IV -> tag -> checksum -> replay? -> decrypt -> readdress -> LAN
 *
 * State changes only after a packet is known to be good, and every refusal has a name.
 */
#include <netinet/in.h>
#include <string.h>

#include <openssl/crypto.h>

#include <svr/drops.h>

#include "lib/epoch.h"
#include "lib/replay.h"
#include "lib/tcpstate.h"
#include "lib/window.h"
#include "worker/addr.h"
#include "worker/auth.h"
#include "worker/forward.h"
#include "worker/icmp.h"
#include "worker/metadata.h"
#include "worker/nexthop.h"
#include "worker/rekey.h"
#include "worker/seal.h"
#include "worker/thread.h"

enum {
	ICMP_PER_SEC = 1000,
	MSS_MIN = 64,
	ZONE_MSS_AUTOMATIC = 1,
	ZONE_MSS_FIXED = 2,
};

/* ---- next hops ----------------------------------------------------------------------------- */

/* Keep the packet until its next hop is known; the main thread finds out. */
static int hold(struct svr_thread *t, struct svr_work *w, enum svr_letter_kind kind, uint16_t zone,
		const __be32 addr[static 4])
{
	bool whole = kind == SVR_LETTER_XDP;
	const struct svr_port *port = t->umem.port[w->port];
	struct svr_letter *l;

	if (whole)
		l = svr_letter_new(t->mailbox, w->frame, w->frame_len);
	else
		l = svr_letter_new(t->mailbox, w->pkt.ip,
				   svr_packet_header_len(&w->pkt) + w->pkt.payload_len);
	if (!l)
		return -SVR_DROP_HOLD_FULL;
	l->kind = (uint8_t)kind;
	l->since_ns = t->now_ns;
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

/* ---- sizes --------------------------------------------------------------------------------- */

static uint8_t family_of(const struct svr_flow6_key *key)
{
	return svr_key_is4(key) ? SVR_FAMILY_4 : SVR_FAMILY_6;
}

/* Bytes by which the IP header of a host's packet grows on the way to the peer. */
static int header_growth(const struct svr_session *s)
{
	return (int)svr_ip_len(family_of(&s->wan)) - (int)svr_ip_len(family_of(&s->lan));
}

/* Largest IP packet between the routers. */
static uint16_t path_limit(const struct svr_thread *t, const struct svr_session *s)
{
	uint16_t mtu = t->maps->zones[s->wan.zone].mtu;
	uint32_t path_mtu = __atomic_load_n(&t->maps->path_state[s->path].mtu, __ATOMIC_RELAXED);

	return path_mtu && path_mtu < mtu ? (uint16_t)path_mtu : mtu;
}

static void mss_clamp(struct svr_thread *t, const struct svr_session *s, struct svr_work *w)
{
	const struct svr_zone *zone = &t->maps->zones[s->wan.zone];
	/* Options are not part of it, RFC 6691 */
	size_t taken = svr_ip_len(family_of(&s->wan)) + SVR_TCP_LEN +
		       svr_seal_overhead(s->cipher, s->hmac);
	uint16_t limit = path_limit(t, s), mss;

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

/* Tell the host what would have fitted. The packet still stands as it was received. */
static void icmp_too_big(struct svr_thread *t, const struct svr_session *s,
			 const struct svr_work *w, size_t front, size_t inside)
{
	const struct svr_zone *zone = &t->maps->zones[w->desc.zone];
	const __be32 *own = svr_addr_own(zone, w->pkt.family == SVR_FAMILY_4);
	const struct svr_port *port = t->umem.port[w->port];
	uint16_t limit = (uint16_t)(path_limit(t, s) - header_growth(s)), mtu;
	uint8_t frame[SVR_ICMP_FRAME_MAX];
	size_t len;

	if (!own || !svr_tokens_take(&t->icmp_tokens, t->now_ns, ICMP_PER_SEC))
		return;
	mtu = svr_seal_host_mtu(s->cipher, s->hmac, limit, front, inside, w->pkt.proto,
				w->pkt.family);
	len = svr_icmp_too_big(&w->pkt, own, mtu, frame);
	if (len && svr_thread_send_copy(t, w->desc.zone, port ? (uint16_t)port->queue : 0, frame,
					len) == 0)
		svr_count(&t->counters, w->desc.zone, SVR_STAT_ICMP_TOO_BIG, 1);
}

/* ---- LAN to peer --------------------------------------------------------------------------- */

/*
 * A SYN with the ports of a connection that is over: the session ends, and XDP classifies the
 * packet as if it were the first.
 */
static int reopen(struct svr_thread *t, struct svr_work *w, uint32_t slot)
{
	static const __be32 nobody[4];

	svr_session_close(t, slot, "ended, and opened again");
	return hold(t, w, SVR_LETTER_XDP, 0, nobody);
}

static bool tcp_opens(const struct svr_pkt *p)
{
	return p->proto == IPPROTO_TCP &&
	       (p->tcp_flags & (SVR_TCPF_SYN | SVR_TCPF_ACK | SVR_TCPF_RST | SVR_TCPF_FIN)) ==
		       SVR_TCPF_SYN;
}

static int outbound_checksum(struct svr_thread *t, struct svr_work *w, bool *none)
{
	*none = false;
	switch (svr_packet_csum_state(&w->pkt)) {
	case SVR_CSUM_NONE:
		*none = true;
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
static int outbound_payload(struct svr_thread *t, struct svr_session *s, struct svr_local_keys *l,
			    struct svr_work *w, const uint8_t *meta, size_t meta_len,
			    size_t bare_len)
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
	if (s->cipher != SVR_CIPHER_NONE) {
		if (svr_epoch_exhausted(s))
			return -SVR_DROP_COUNTER_LIMIT;
		counter = svr_session_count(s);
		if (!counter)
			return -SVR_DROP_NOT_WAN_SESSION;
		err = svr_seal_encrypt(t->crypt, l->enc_tx, l->epoch, counter, p);
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

static int svr_outbound(struct svr_thread *t, struct svr_work *w, uint32_t slot)
{
	struct svr_session *s = &t->maps->sessions[slot];
	const struct svr_nexthop *nh = &t->maps->nexthops[s->path];
	const uint8_t dir = s->originator ? SVR_DIR_FWD : SVR_DIR_REV;
	uint8_t meta[SVR_META_MAX];
	struct svr_pkt *p = &w->pkt;
	size_t ip_len = svr_packet_header_len(p) + p->payload_len, bare_len = 0, len;
	struct svr_seal_input in;
	struct svr_local_keys *l;
	int meta_len = 0, err;
	bool no_csum;

	if (s->closing && tcp_opens(p))
		return reopen(t, w, slot);
	if (svr_packet_ttl(p) <= 1)
		return -SVR_DROP_TTL;
	if (!svr_session_path_up(t, s->path, s->peer))
		return -SVR_DROP_PATH_DOWN;
	err = outbound_checksum(t, w, &no_csum);
	if (err)
		return err;
	svr_rekey_unheard(t, slot);
	l = svr_session_keys(t, slot, svr_epoch_tx(s));
	if (!l)
		return -SVR_DROP_INTERNAL;
	if (s->meta_add) {
		meta_len = svr_metadata_build(t, s, svr_epoch_tx(s), SVR_METADATA_SESSION, meta);
		if (meta_len < 0)
			return meta_len;
	} else if (svr_meta_is_cookie(p->payload, p->payload_len)) {
		bare_len = SVR_META_HDR_LEN;
	}
	len = svr_packet_header_len(p) + (size_t)header_growth(s) + (size_t)meta_len +
	      svr_seal_len(s->cipher, s->hmac, bare_len + p->payload_len);
	if (len > path_limit(t, s)) {
		icmp_too_big(t, s, w, (size_t)meta_len, bare_len);
		return -SVR_DROP_TOO_BIG;
	}

	mss_clamp(t, s, w);
	err = outbound_payload(t, s, l, w, meta, (size_t)meta_len, bare_len);
	if (err)
		return err;
	note_lan(t, s, p, ip_len);
	svr_rekey_note_tcp(&t->sessions->talk[slot], p, ip_len);
	err = svr_packet_readdress(p, &s->wan, svr_session_label(s));
	if (err)
		return err;
	in = (struct svr_seal_input){
		.window = svr_window_tx(s->hmac_mode, t->real_ns),
		.uuid = meta_len ? NULL : s->uuid,
		.dir = dir,
	};
	err = svr_seal_sign(t->crypt, l->hmac_tx, svr_hmac_tag_len(s->hmac), &in, p);
	if (err)
		return err;
	svr_count(&t->counters, w->desc.zone, SVR_STAT_HMAC_ADDED, 1);
	svr_packet_finish(p, no_csum);
	if (!__atomic_load_n(&nh->valid, __ATOMIC_ACQUIRE))
		return hold(t, w, SVR_LETTER_SEND, s->wan.zone, nh->addr);
	return svr_thread_send(t, w, s->wan.zone, nh);
}

/* ---- peer to LAN --------------------------------------------------------------------------- */

/* What is known of a packet from the peer besides its bytes. */
struct inbound {
	size_t front; /* bytes of metadata, or of a bare header, before the payload */
	bool with_metadata; /* of the session */
	bool key_packet; /* a router made it */
	unsigned int set; /* index in s->keys */
	uint64_t counter; /* sessions that encrypt only */
};

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
	if (s->originator == with_metadata && s->meta_add)
		__atomic_store_n(&s->meta_add, 0, __ATOMIC_RELAXED);
}

/* Epoch and counter of an encrypted packet out of its IV; the IV stands in front of the tag. */
static int iv_check(struct svr_thread *t, uint32_t slot, const struct svr_pkt *p,
		    struct inbound *in)
{
	const struct svr_session *s = &t->maps->sessions[slot];
	const uint8_t *iv = p->payload + p->payload_len - svr_seal_trailer_len(s->cipher, s->hmac);
	unsigned int i, newest = svr_epoch_newest(s);
	int err = -SVR_DROP_BAD_IV;
	struct svr_local_keys *l;
	uint16_t epoch;

	for (i = 0; i < 2; i++) {
		in->set = newest ^ i;
		if (!s->keys[in->set].epoch)
			continue;
		l = svr_session_keys(t, slot, in->set);
		if (!l)
			return -SVR_DROP_INTERNAL;
		if (svr_iv_open(t->crypt, l->enc_rx, iv, &epoch, &in->counter))
			continue;
		if (epoch == l->epoch)
			return 0;
		err = -SVR_DROP_EPOCH;
	}
	return err;
}

/* Lengths that @front bytes of metadata leave for the rest. */
static int lengths_check(const struct svr_session *s, const struct svr_pkt *p, size_t front)
{
	size_t trailer = svr_seal_trailer_len(s->cipher, s->hmac);

	if (p->payload_len < front + trailer)
		return -SVR_DROP_HMAC_MISSING;
	if (s->cipher != SVR_CIPHER_NONE && (p->payload_len - front - trailer) % SVR_BLOCK_LEN != 0)
		return -SVR_DROP_PADDING;
	return 0;
}

/* The packet is authentic: take off what the peer put around the payload. */
static int inbound_payload(struct svr_thread *t, uint32_t slot, struct svr_work *w,
			   const struct inbound *in)
{
	struct svr_session *s = &t->maps->sessions[slot];
	size_t trailer = svr_seal_trailer_len(s->cipher, s->hmac);
	struct svr_local_keys *l;
	struct svr_pkt *p = &w->pkt;
	uint8_t iv[SVR_BLOCK_LEN];
	struct svr_meta m;
	int n, err;

	if (in->front)
		svr_packet_pull(p, in->front);
	p->payload_len = (uint16_t)(p->payload_len - trailer);
	svr_count(&t->counters, w->desc.zone, SVR_STAT_HMAC_REMOVED, 1);
	if (s->cipher == SVR_CIPHER_NONE)
		return 0;
	l = svr_session_keys(t, slot, in->set);
	if (!l)
		return -SVR_DROP_INTERNAL;
	err = svr_session_accept(s, in->counter);
	if (err)
		return err;
	if (p->payload_len > 0) {
		memcpy(iv, p->payload + p->payload_len, sizeof(iv));
		n = svr_cbc_decrypt(t->crypt, l->enc_rx, iv, p->payload, p->payload_len);
		if (n < 0)
			return -SVR_DROP_PADDING;
		p->payload_len = (uint16_t)n;
	}
	svr_count(&t->counters, w->desc.zone, SVR_STAT_PAYLOAD_DECRYPTED, 1);
	/* User data that starts with the cookie was encrypted together with its bare header */
	if (!in->front && svr_meta_is_cookie(p->payload, p->payload_len) &&
	    svr_meta_parse_header(p->payload, p->payload_len, &m) == 0 &&
	    svr_meta_is_false_positive(&m)) {
		svr_packet_pull(p, m.header_len);
		svr_count(&t->counters, w->desc.zone, SVR_STAT_FALSE_POSITIVE_REMOVED, 1);
	}
	return 0;
}

static int inbound_deliver(struct svr_thread *t, uint32_t slot, struct svr_work *w)
{
	struct svr_session *s = &t->maps->sessions[slot];
	struct svr_local *l = svr_session_local(t, slot);
	const struct svr_nexthop *nh;
	struct svr_pkt *p = &w->pkt;
	bool no_csum = p->proto == IPPROTO_UDP && svr_packet_udp(p)->csum == 0;

	int err = svr_packet_readdress(p, &s->lan, svr_session_label(s));

	if (err)
		return err;
	if (svr_packet_header_len(p) + p->payload_len > t->maps->zones[s->lan.zone].mtu)
		return -SVR_DROP_TOO_BIG;
	mss_clamp(t, s, w);
	svr_packet_finish(p, no_csum);
	nh = svr_nexthop_of_neighbour(t->maps, s->lan.zone, l->lan_target, &l->nexthop);
	if (!nh)
		return hold(t, w, SVR_LETTER_SEND, s->lan.zone, l->lan_target);
	return svr_thread_send(t, w, s->lan.zone, nh);
}

/* Second half for every packet from the peer. */
static int inbound_finish(struct svr_thread *t, struct svr_work *w, uint32_t slot,
			  const struct inbound *in)
{
	struct svr_session *s = &t->maps->sessions[slot];
	int err;

	err = inbound_payload(t, slot, w, in);
	if (err)
		return err;
	/* An offer tells nothing about what its sender has got */
	if (in->set == svr_epoch_newest(s) && (s->originator || !in->key_packet))
		svr_rekey_confirm(t, slot, in->set);
	if (in->key_packet)
		return s->originator ? 0 : svr_rekey_answer(t, slot, w);
	note_wan(t, s, w, in->with_metadata);
	return inbound_deliver(t, slot, w);
}

/* A packet without session metadata. @front: length of a bare header. */
static int inbound_plain(struct svr_thread *t, struct svr_work *w, uint32_t slot, size_t front)
{
	struct svr_session *s = &t->maps->sessions[slot];
	struct inbound in = { .front = front, .set = svr_epoch_newest(s) };
	const bool encrypted = s->cipher != SVR_CIPHER_NONE;
	struct svr_local_keys *l, *other = NULL;
	struct svr_auth auth;
	int err;

	err = lengths_check(s, &w->pkt, front);
	if (!err && encrypted)
		err = iv_check(t, slot, &w->pkt, &in);
	if (err)
		return err;
	l = svr_session_keys(t, slot, in.set);
	if (!l)
		return -SVR_DROP_INTERNAL;
	/* Without an IV nothing names the epoch: the tag tells */
	if (!encrypted && s->keys[!in.set].epoch)
		other = svr_session_keys(t, slot, !in.set);
	auth = (struct svr_auth){
		.key = l->hmac_rx,
		.other = other ? other->hmac_rx : NULL,
		.hmac = s->hmac,
		.hmac_mode = s->hmac_mode,
		.dir = s->originator ? SVR_DIR_REV : SVR_DIR_FWD,
		.peer = s->peer,
		.uuid = s->uuid,
		.hint = &s->window_hint,
	};
	err = svr_auth_check(t, &w->pkt, &auth);
	/* Authentic and of another time: an old copy, no wrong clock */
	if (err == -SVR_DROP_HMAC_SKEW && encrypted && svr_replay_check(&s->replay, in.counter))
		err = svr_replay_check(&s->replay, in.counter);
	if (err)
		return err;
	if (auth.key != l->hmac_rx)
		in.set = !in.set;
	if (front)
		svr_count(&t->counters, w->desc.zone, SVR_STAT_FALSE_POSITIVE_REMOVED, 1);
	return inbound_finish(t, w, slot, &in);
}

/* Verified reverse metadata: is it about the session that we opened? */
static int reverse_check(const struct svr_session *s, const struct svr_meta *m)
{
	if (memcmp(m->uuid, s->uuid, sizeof(s->uuid)) != 0)
		return -SVR_DROP_META_UUID;
	if (m->cipher != s->cipher || m->hmac != s->hmac || m->hmac_mode != s->hmac_mode)
		return -SVR_DROP_META_POLICY;
	if (!svr_addr_equal(m->context.saddr, s->lan.daddr) ||
	    !svr_addr_equal(m->context.daddr, s->lan.saddr) || m->context.sport != s->lan.dport ||
	    m->context.dport != s->lan.sport || m->context.proto != s->lan.proto)
		return -SVR_DROP_META_CONTEXT;
	/* A peer key that is in force signs, but it is not this session's */
	if (s->keys[0].peer_key_index != m->peer_key_index &&
	    s->keys[1].peer_key_index != m->peer_key_index)
		return -SVR_DROP_META_POLICY;
	return 0;
}

static int same_session_key(struct svr_thread *t, const struct svr_session *s,
			    const struct svr_session_keys *have, const struct svr_meta *m)
{
	uint8_t key[SVR_SESSION_KEY_LEN];
	int err;

	memcpy(key, m->session_key, sizeof(key));
	err = svr_session_key_wrap(t, s, have->epoch, key);
	if (!err && CRYPTO_memcmp(have->session_key, key, sizeof(key)) != 0)
		err = -SVR_DROP_EPOCH;
	OPENSSL_cleanse(key, sizeof(key));
	return err;
}

/* Verified forward metadata of a live session: the keys that we have, or newer ones. */
static int forward_keys(struct svr_thread *t, uint32_t slot, const struct svr_meta *m,
			const struct svr_peer_key *key)
{
	const struct svr_session *s = &t->maps->sessions[slot];
	const bool encrypted = s->cipher != SVR_CIPHER_NONE;
	const uint16_t epoch = svr_meta_epoch(m);
	int set = svr_epoch_find(s, epoch);

	if (m->cipher != s->cipher || m->hmac != s->hmac || m->hmac_mode != s->hmac_mode ||
	    !svr_metadata_keys_fit(m, encrypted))
		return -SVR_DROP_META_POLICY;
	if (set < 0 && svr_epoch_newer(epoch, s->keys[svr_epoch_newest(s)].epoch))
		return svr_session_install(t, slot, m, key);
	if (set < 0 || s->keys[set].peer_key_index != m->peer_key_index)
		return -SVR_DROP_EPOCH;
	return encrypted ? same_session_key(t, s, &s->keys[set], m) : 0;
}

/* Verified forward metadata: find its session or make it. The caller holds the lock. */
static int forward_session(struct svr_thread *t, const struct svr_work *w, uint32_t path,
			   const struct svr_meta *m, struct svr_peer_key *key, uint32_t *slot)
{
	struct svr_flow6_key wan;
	struct svr_session *s;
	struct svr_flow flow;
	int err;

	svr_packet_key(&w->pkt, w->desc.zone, &wan);
	if (svr_session_of_flow(t, &wan, slot, &flow) == SVR_OWNER_WORKER) {
		s = &t->maps->sessions[*slot];
		if (memcmp(s->uuid, m->uuid, sizeof(s->uuid)) == 0) {
			if (s->originator)
				return -SVR_DROP_META_UUID; /* our own block, reflected */
			err = forward_keys(t, *slot, m, key);
			if (err || (m->have & SVR_HAVE_KEY_PACKET))
				return err;
			s->meta_add = 1; /* it has not heard us yet: answer again */
			svr_count(&t->counters, w->desc.zone, SVR_STAT_META_DUPLICATE, 1);
			return 0;
		}
	}
	/* A live session may go on with an old key, a new one needs one that is in force */
	err = svr_keys_peer_rx(t->maps, t->maps->paths[path].peer, m->peer_key_index, key);
	return err ? err : svr_session_terminate(t, m, &wan, path, key, slot);
}

/* Keys that a block belongs to; an IV, where there is one, tells it better. */
static unsigned int set_of_metadata(const struct svr_session *s, const struct svr_meta *m)
{
	unsigned int newest = svr_epoch_newest(s);
	bool fits = m->peer_key_index == s->keys[newest].peer_key_index &&
		    (!(m->have & SVR_HAVE_KEY_EPOCH) || m->key_epoch == s->keys[newest].epoch);

	return fits ? newest : !newest;
}

/*
 * A packet with session metadata, the header section of which stands in @m. @slot: session of its
 * flow, 0: none.
 */
static int inbound_metadata(struct svr_thread *t, struct svr_work *w, uint32_t slot, uint32_t path,
			    struct svr_meta *m)
{
	const struct svr_session *live = slot ? &t->maps->sessions[slot] : NULL;
	bool reverse = live && live->originator;
	struct inbound in = { .with_metadata = true };
	struct svr_peer_key key = { 0 };
	const struct svr_session *s;
	int err;

	err = svr_metadata_open(t, &w->pkt, path, reverse ? SVR_DIR_REV : SVR_DIR_FWD, live, m,
				&key);
	if (err)
		goto out;
	if (m->unknown)
		svr_count(&t->counters, w->desc.zone, SVR_STAT_UNKNOWN_TLV, m->unknown);
	if (reverse)
		err = reverse_check(&t->maps->sessions[slot], m);
	else {
		svr_sessions_lock(t);
		err = forward_session(t, w, path, m, &key, &slot);
		svr_sessions_unlock(t);
	}
	if (err)
		goto out;
	s = &t->maps->sessions[slot];
	in.front = (size_t)m->header_len + m->payload_len;
	in.key_packet = m->have & SVR_HAVE_KEY_PACKET;
	in.set = set_of_metadata(s, m);
	err = lengths_check(s, &w->pkt, in.front);
	if (!err && s->cipher != SVR_CIPHER_NONE)
		err = iv_check(t, slot, &w->pkt, &in);
	if (err)
		goto out;
	svr_count(&t->counters, w->desc.zone, SVR_STAT_META_REMOVED, 1);
	err = inbound_finish(t, w, slot, &in);
out:
	OPENSSL_cleanse(&key, sizeof(key));
	OPENSSL_cleanse(m, sizeof(*m));
	return err;
}

/* @slot: session of the packet's flow, 0: none. */
static int svr_inbound(struct svr_thread *t, struct svr_work *w, uint32_t slot, uint32_t path)
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
	if (svr_meta_is_false_positive(&m))
		return slot ? inbound_plain(t, w, slot, m.header_len) : -SVR_DROP_NO_FLOW;
	return inbound_metadata(t, w, slot, path, &m);
}

/* ---- by the reason that XDP gives ---------------------------------------------------------- */

/* The session of a packet from the LAN, made if there is none. The caller holds the lock. */
static int setup_session(struct svr_thread *t, const struct svr_work *w, uint32_t *slot)
{
	struct svr_flow6_key key;
	struct svr_flow flow;

	svr_packet_key(&w->pkt, w->desc.zone, &key);
	switch (svr_session_of_flow(t, &key, slot, &flow)) {
	case SVR_OWNER_WORKER: /* made while this packet waited in the ring */
		return 0;
	case SVR_OWNER_CLEAR:
		if (!(flow.flags & SVR_FLOW_CLOSING))
			return -SVR_DROP_NOT_WAN_SESSION;
		svr_session_remove_clear(t, &key, &flow);
		break;
	case SVR_OWNER_NONE:
		break;
	}
	return svr_session_originate(t, w, &key, slot);
}

static int frame_setup(struct svr_thread *t, struct svr_work *w)
{
	uint32_t slot;
	int err;

	svr_sessions_lock(t);
	err = setup_session(t, w, &slot);
	svr_sessions_unlock(t);
	return err ? err : svr_outbound(t, w, slot);
}

static int frame_session(struct svr_thread *t, struct svr_work *w)
{
	const struct svr_session *s = svr_session_get(t, w->desc.slot, w->desc.slot_generation);
	uint32_t slot = w->desc.slot;
	struct svr_flow6_key key;
	struct svr_flow flow;

	svr_packet_key(&w->pkt, w->desc.zone, &key);
	if (!s) {
		/*
		 * Another thread is still making the session, or the packet was under way while it
		 * ended; a flow that still names the old session is removed here
		 */
		if (svr_session_of_flow(t, &key, &slot, &flow) != SVR_OWNER_WORKER)
			return -SVR_DROP_NOT_WAN_SESSION;
		s = svr_session_get(t, w->desc.slot, w->desc.slot_generation);
	}
	if (s && memcmp(&key, &s->lan, sizeof(key)) == 0)
		return svr_outbound(t, w, slot);
	if (s && memcmp(&key, &s->wan, sizeof(key)) == 0)
		return svr_inbound(t, w, slot, s->path);
	return -SVR_DROP_NOT_WAN_SESSION;
}

static int frame_metadata(struct svr_thread *t, struct svr_work *w)
{
	struct svr_flow6_key key;
	struct svr_flow flow;
	uint32_t slot;

	svr_packet_key(&w->pkt, w->desc.zone, &key);
	svr_session_of_flow(t, &key, &slot,
			    &flow); /* it may have been made while this packet waited */
	return svr_inbound(t, w, slot, w->desc.path);
}

int svr_forward_frame(struct svr_thread *t, struct svr_work *w)
{
	int err;

	if (w->desc.zone == 0 || w->desc.zone >= t->maps->count.zones ||
	    w->desc.zone >= SVR_MAX_ZONES)
		return -SVR_DROP_BAD_META_AREA;
	/* Goes through XDP again as it is, which may know protocols that the worker does not */
	if (w->desc.why == SVR_FRAME_NEIGHBOUR)
		return hold(t, w, SVR_LETTER_XDP, w->desc.out_zone, w->desc.addr);
	err = svr_packet_parse(&w->pkt, w->frame, w->frame_len, w->desc.l3_off);
	if (err)
		return err;
	switch ((enum svr_frame_why)w->desc.why) {
	case SVR_FRAME_SETUP:
		return frame_setup(t, w);
	case SVR_FRAME_SESSION:
		return frame_session(t, w);
	case SVR_FRAME_METADATA:
		return frame_metadata(t, w);
	case SVR_FRAME_NEIGHBOUR:
		break; /* above */
	}
	return -SVR_DROP_BAD_META_AREA;
}
