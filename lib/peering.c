// SPDX-License-Identifier: BSD-2-Clause
/*
 * Packets of one peer and the verdict which of its paths are in service. Received packets go through fixed stations: shape -> session ->
 * seal -> replay and path -> and only then anything changes: BFD, keys, verdict. docs/protocol.md
 * section 8.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <svr/drops.h>

#include "lib/bytes.h"
#include "lib/kdf.h"
#include "lib/peering_internal.h"

enum {
	PEERING_TTL = 255, /* RFC 5881 5 */
	/* what a packet that nothing vouches for may ask for at most, see restrain() */
	PEERING_STRANGER_RX_US = SVR_BFD_SLOW_TX_US,
	PEERING_STRANGER_DETECT_US = 60000000,
	PEERING_STRANGER_MULT = 20, /* the largest that can be configured */
};
static const int64_t peering_offset_step_ns =
	(int64_t)SVR_NS_PER_MS; /* a smaller change of the clock offset is not stored */

void svr_peering_log(struct svr_peering *p, bool warn, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	p->ops->log(p->user, warn, text);
}

const char *svr_peering_path_name(const struct svr_peering_path *path,
				  char buf[static INET6_ADDRSTRLEN])
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	bool v4 = memcmp(path->config.remote, mapped, sizeof(mapped)) == 0;

	return inet_ntop(v4 ? AF_INET : AF_INET6, path->config.remote + (v4 ? sizeof(mapped) : 0),
			 buf, INET6_ADDRSTRLEN) ?
		       buf :
		       "?";
}

void svr_peering_path_save(struct svr_peering_path *path)
{
	struct svr_peering *p = path->peering;

	path->state.bfd_state = path->bfd.state;
	path->state.bfd_diag = path->bfd.diag;
	path->state.local_discr = path->bfd.local_discr;
	path->state.remote_discr = path->bfd.remote_discr;
	path->state.detect_us = path->bfd.detect_us > UINT32_MAX ? UINT32_MAX :
								   (uint32_t)path->bfd.detect_us;
	path->state.remote_min_rx_us = path->bfd.remote_min_rx_us;
	p->ops->save_path(p->user, path->number, &path->state);
}

bool svr_peering_is_open(const struct svr_peering *p, uint64_t now_ns)
{
	unsigned int i;

	if (svr_peering_is_static(p))
		return false; /* nobody can have lost them */
	if (p->keys.tx == SVR_PEERING_NO_SLOT)
		return true;
	for (i = 0; i < p->n_paths; i++)
		if (now_ns < p->paths[i].auth_until_ns)
			return false;
	return true;
}

/* ---- sending --------------------------------------------------------------------------------- */

/*
 * What goes behind the control packet. @confirmed: it is sealed by a key that the peer has proved
 * to have.
 */
static void fill(struct svr_peering_path *path, bool sealed, bool confirmed,
		 const struct svr_bfdmeta *extra, struct svr_now now, struct svr_bfdmeta *m)
{
	struct svr_peering *p = path->peering;
	const struct svr_meta_key *own = svr_peering_own_meta(p);

	if (extra)
		*m = *extra;
	else
		memset(m, 0, sizeof(*m));
	m->have |= SVR_BFDMETA_HELLO;
	m->instance = p->config.instance;
	m->version = SVR_BFDMETA_PROTOCOL;
	memcpy(m->common_name, p->config.kex.own_name,
	       strnlen(p->config.kex.own_name, SVR_NAME_LEN - 1));
	if (sealed) {
		m->have |= SVR_BFDMETA_TIME | SVR_BFDMETA_PATH;
		m->seq = path->state.tx_seq;
		m->tx_ns = now.real_ns;
		/* By the clock as it is set now, like tx_ns: the peer takes their difference. */
		m->echo_ns = path->echo_ns;
		m->echo_rx_ns = now.real_ns - (now.mono_ns - path->echo_rx_mono_ns);
		memcpy(m->sender, path->config.local, sizeof(m->sender));
		memcpy(m->receiver, path->config.remote, sizeof(m->receiver));
	}
	if (!confirmed || (m->have & SVR_BFDMETA_PIECE))
		return; /* a piece fills the packet */
	if (own && own->index != p->acked) {
		m->have |= SVR_BFDMETA_META_KEY;
		m->meta_index = own->index;
		memcpy(m->meta_key, own->key, sizeof(m->meta_key));
	}
	if (path->ack_due && !(m->have & SVR_BFDMETA_PROBE)) { /* a probe may be lost on purpose */
		m->have |= SVR_BFDMETA_META_KEY_ACK;
		m->meta_ack = path->ack_due;
		path->ack_due = 0;
	}
}

static void send_plain(struct svr_peering_path *path, const struct svr_bfd_packet *pkt,
		       struct svr_now now)
{
	struct svr_peering *p = path->peering;
	uint8_t bfd[SVR_BFD_LEN];

	path->state.last_tx_ns = now.real_ns;
	svr_bfd_build(pkt, bfd);
	svr_peering_path_save(path);
	path->tx_packets++;
	p->ops->send(p->user, path->number, bfd, sizeof(bfd));
}

static void path_send(struct svr_peering_path *path, const struct svr_bfd_packet *pkt,
		      const struct svr_bfdmeta *extra, size_t want, struct svr_bfdmeta_key *key)
{
	struct svr_peering *p = path->peering;
	struct svr_now now = p->ops->now(p->user);
	uint8_t bfd[SVR_BFD_LEN], packet[SVR_BFDMETA_PROBE_MAX];
	struct svr_bfdmeta m;
	int len;

	if (path->config.plain) {
		send_plain(path, pkt, now);
		return;
	}
	if (!svr_peering_count_packet(p, key))
		return;
	/* Strictly rising, also over restarts and when the clock is set back. */
	path->state.tx_seq = now.real_ns > path->state.tx_seq ? now.real_ns :
								path->state.tx_seq + 1;
	path->state.last_tx_ns = now.real_ns;
	svr_bfd_build(pkt, bfd);
	fill(path, key != NULL, key && key != &p->pending, extra, now, &m);
	if (want)
		len = svr_bfdmeta_seal_probe(p->config.crypt, key, bfd, &m, want, packet,
					     sizeof(packet));
	else
		len = svr_bfdmeta_seal(p->config.crypt, key, bfd, &m, packet,
				       SVR_BFDMETA_PACKET_MAX);
	svr_peering_path_save(path); /* before the packet leaves: its number is used up */
	if (len > 0) {
		path->tx_packets++;
		svr_peering_stamp(path, m.tx_ns, now);
		p->ops->send(p->user, path->number, packet, (size_t)len);
	} else {
		svr_peering_log(p, true, "packet could not be made: %s", strerror(-len));
	}
	OPENSSL_cleanse(&m, sizeof(m));
}

static void path_bfd_send(void *user, const struct svr_bfd_packet *pkt)
{
	struct svr_peering_path *path = user;

	path_send(path, pkt, NULL, 0, svr_peering_tx_key(path->peering));
}

void svr_peering_send_extra(struct svr_peering_path *path, const struct svr_bfdmeta *extra,
			    size_t len, struct svr_bfdmeta_key *key)
{
	struct svr_bfd_packet pkt;

	svr_bfd_header(&path->bfd, &pkt);
	path_send(path, &pkt, extra, len, key);
}

/* BFD is up on a path that carries more than BFD. */
static bool path_talks(const struct svr_peering_path *path)
{
	return path->bfd.state == SVR_BFD_UP && !path->config.plain;
}

void svr_peering_send_all(struct svr_peering *p)
{
	unsigned int i;

	for (i = 0; i < p->n_paths; i++)
		if (path_talks(&p->paths[i]))
			svr_peering_send_extra(&p->paths[i], NULL, 0, svr_peering_tx_key(p));
}

/* ---- what the key exchange asks for ---------------------------------------------------------- */

static void kex_send(void *user, int number, enum svr_kex_seal seal,
		     const struct svr_kex_piece *piece)
{
	const struct svr_bfdmeta extra = { .have = SVR_BFDMETA_PIECE, .piece = *piece };
	struct svr_bfdmeta_key *key = svr_peering_key_for(user, seal);
	struct svr_peering *p = user;
	unsigned int i = 0;

	if (seal != SVR_KEX_SEAL_NONE && !key)
		return;
	/* That path may have failed, or have got another number, while the answer was computed. */
	if (number >= 0 && (unsigned int)number < p->n_paths && path_talks(&p->paths[number]))
		i = (unsigned int)number;
	else
		while (i < p->n_paths && !path_talks(&p->paths[i]))
			i++;
	if (i < p->n_paths)
		svr_peering_send_extra(&p->paths[i], &extra, 0, key);
}

static int kex_random(void *user, void *out, size_t len)
{
	struct svr_peering *p = user;

	return p->ops->random(p->user, out, len);
}

static bool kex_may_compute(void *user, uint64_t now_ns)
{
	struct svr_peering *p = user;

	return p->ops->may_compute(p->user, now_ns);
}

static int kex_compute(void *user, struct svr_kex_job *job)
{
	struct svr_peering *p = user;

	return p->ops->compute(p->user, job);
}

static void kex_refused(void *user, int drop)
{
	struct svr_peering *p = user;

	p->ops->refused(p->user, drop);
}

static void kex_unauthenticated(void *user, const struct svr_pki_report *report)
{
	struct svr_peering *p = user;

	if (p->ops->unauthenticated)
		p->ops->unauthenticated(p->user, report);
}

static void kex_log(void *user, bool warn, const char *text)
{
	svr_peering_log(user, warn, "%s", text);
}

static const struct svr_kex_ops kex_ops = {
	.random = kex_random,
	.may_compute = kex_may_compute,
	.compute = kex_compute,
	.may_rekey = svr_peering_may_rekey,
	.refused = kex_refused,
	.unauthenticated = kex_unauthenticated,
	.index_free = svr_peering_index_free,
	.send = kex_send,
	.pending = svr_peering_pending,
	.confirmed = svr_peering_confirmed,
	.log = kex_log,
};

/* ---- verdict --------------------------------------------------------------------------------- */

static enum svr_path_status path_verdict(const struct svr_peering_path *path, struct svr_now now)
{
	const struct svr_peering *p = path->peering;

	if (path->bfd.state != SVR_BFD_UP)
		return SVR_PATH_DOWN;
	if (path->config.plain)
		return SVR_PATH_STANDBY;
	if (!(path->state.flags & SVR_PATH_AUTHENTIC) || p->keys.tx == SVR_PEERING_NO_SLOT ||
	    !svr_peering_meta_received(p) || now.mono_ns < path->hold_ns)
		return SVR_PATH_INIT;
	return SVR_PATH_UP;
}

/* The only place that sets the status of a path. */
static void path_set_status(struct svr_peering_path *path, enum svr_path_status status,
			    struct svr_now now)
{
	static const char *const names[] = { "unused", "down", "initializing", "in service",
					     "standby" };
	char name[INET6_ADDRSTRLEN];

	if (status == path->state.status)
		return;
	svr_peering_log(path->peering, status == SVR_PATH_DOWN && path->state.status == SVR_PATH_UP,
			"path to %s: %s -> %s", svr_peering_path_name(path, name), names[path->state.status],
			names[status]);
	path->state.status = status;
	path->state.since_ns = now.real_ns;
	svr_peering_path_save(path);
}

static void update_security_state(struct svr_peering *p, bool any_up)
{
	if (svr_kex_under_way(&p->kex) || p->kex.wanted)
		return; /* the exchange says how far it is */
	if (p->keys.tx != SVR_PEERING_NO_SLOT)
		svr_kex_set_state(&p->kex,
				  svr_peering_meta_received(p) && svr_peering_meta_acked(p) ?
					  SVR_KEX_STATE_MKEY_EXCH_COMP :
					  SVR_KEX_STATE_MKEY_EXCH_INIT,
				  NULL);
	else if (!any_up && p->kex.state != SVR_KEX_STATE_CERT_EXCH_FAIL)
		svr_kex_set_state(&p->kex, SVR_KEX_STATE_BFD_WAIT, NULL);
}

/* After anything happened: which paths are in service, is a key wanted? */
void svr_peering_update(struct svr_peering *p)
{
	struct svr_now now = p->ops->now(p->user);
	bool any_up = false;
	unsigned int i;

	for (i = 0; i < p->n_paths; i++)
		any_up = any_up || path_talks(&p->paths[i]);
	svr_peering_note_contact(p, any_up, now);
	svr_peering_rotate(p, now);
	svr_kex_want(&p->kex, any_up && svr_peering_is_open(p, now.mono_ns), now);
	update_security_state(p, any_up);
	for (i = 0; i < p->n_paths; i++) {
		struct svr_peering_path *path = &p->paths[i];

		if (now.mono_ns >= path->hold_ns)
			path->hold_ns = 0;
		path_set_status(path, path_verdict(path, now), now);
		svr_peering_path_measure(path, now);
	}
}

/* ---- changes of BFD -------------------------------------------------------------------------- */

static enum svr_link_down link_down_reason(const struct svr_bfd *bfd)
{
	if (bfd->state == SVR_BFD_ADMIN_DOWN)
		return SVR_LINK_DOWN_LOCAL_OPER_DOWN;
	if (bfd->diag == SVR_BFD_DIAG_TIME_EXPIRED)
		return SVR_LINK_DOWN_TIMER_EXPIRY;
	return bfd->remote_state == SVR_BFD_ADMIN_DOWN ? SVR_LINK_DOWN_REMOTE_ADMIN_DOWN :
							 SVR_LINK_DOWN_REMOTE_DOWN;
}

static void path_bfd_changed(void *user, enum svr_bfd_state from, enum svr_bfd_state to,
			     const char *why)
{
	struct svr_peering_path *path = user;
	struct svr_peering *p = path->peering;
	struct svr_now now = p->ops->now(p->user);
	char name[INET6_ADDRSTRLEN];

	svr_peering_log(p, false, "path to %s: bfd %s -> %s: %s", svr_peering_path_name(path, name),
			svr_bfd_state_name(from), svr_bfd_state_name(to), why);
	if (from == SVR_BFD_UP) {
		path->link_down[link_down_reason(&path->bfd)]++;
		svr_kex_buffer_clear(&path->buffer);
		if (path->state.status == SVR_PATH_UP)
			svr_peering_path_failed(path);
	}
	if (to == SVR_BFD_UP) {
		path->link_up++;
		path->hold_ns = 0;
		if (path->state.hold_down_ms)
			path->hold_ns = now.mono_ns + path->state.hold_down_ms * SVR_NS_PER_MS;
	}
}

static uint32_t path_bfd_random(void *user)
{
	struct svr_peering_path *path = user;
	uint32_t v = 0;

	/* Jitter only: without randomness it is just not there. */
	(void)path->peering->ops->random(path->peering->user, &v, sizeof(v));
	return v;
}

const struct svr_bfd_ops svr_peering_bfd_ops = {
	.send = path_bfd_send,
	.changed = path_bfd_changed,
	.random = path_bfd_random,
};

/* ---- receiving ------------------------------------------------------------------------------- */

/* What is known of a packet before anything is changed by it. */
struct received {
	struct svr_bfd_packet bfd;
	struct svr_bfdmeta_outline outline;
	struct svr_bfdmeta_key *key; /* that sealed it; NULL: not authenticated */
	enum svr_kex_seal seal;
	struct svr_bfdmeta meta;
};

static int refuse(struct svr_peering *p, int drop, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
static int refuse(struct svr_peering *p, int drop, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(p->reason, sizeof(p->reason), fmt, ap);
	va_end(ap);
	return drop;
}

static int check_shape(const struct svr_peering_path *path, const uint8_t *packet, size_t len,
		       int ttl, struct received *r)
{
	int ret = svr_bfd_parse(packet, len, &r->bfd);

	if (!ret && path->config.single_hop && ttl != PEERING_TTL)
		ret = -SVR_DROP_BFD_TTL;
	/* Either would leave the clock, the tests and the detection time without packets. */
	if (!ret && (r->bfd.demand || !r->bfd.required_min_rx_us) && !path->config.plain)
		ret = -SVR_DROP_BFD_FIELDS;
	if (!ret)
		ret = svr_bfd_match(&path->bfd, &r->bfd);
	if (!ret)
		ret = path->config.plain ? 0 :
					   svr_bfdmeta_outline(packet, len, r->bfd.length,
							       &r->outline);
	return ret;
}

/*
 * Finds out who it is from: verified, or not authenticated at all and listened to only while nobody
 * is known.
 */
static int check_seal(struct svr_peering *p, uint8_t *packet, struct received *r,
		      struct svr_now now)
{
	r->key = r->outline.sealed ? svr_peering_rx_key(p, r->outline.key_index, &r->seal) : NULL;
	if (!r->key) {
		r->seal = SVR_KEX_SEAL_NONE;
		return svr_peering_is_open(p, now.mono_ns) ? 0 : -SVR_DROP_BFD_AUTH;
	}
	/*
	 * The pending key of an exchange between strangers exists only while nobody is known: see
	 * take_sealed().
	 */
	return svr_bfdmeta_verify(p->config.crypt, r->key, packet, &r->outline);
}

static int check_meta(struct svr_peering_path *path, uint8_t *packet, struct received *r)
{
	const uint32_t sealed_has = SVR_BFDMETA_HELLO | SVR_BFDMETA_TIME | SVR_BFDMETA_PATH;
	struct svr_peering *p = path->peering;
	const struct svr_bfdmeta *m = &r->meta;
	int ret;

	if (!r->outline.present || (r->outline.sealed && !r->key))
		return 0; /* plain BFD, or sealed by a key that we have lost */
	ret = svr_bfdmeta_open(p->config.crypt, r->key, packet, &r->outline, &r->meta);
	if (ret)
		return ret;
	if (r->key && (m->have & sealed_has) != sealed_has)
		return -SVR_DROP_BFD_METADATA;
	if ((m->have & SVR_BFDMETA_HELLO) && m->version != SVR_BFDMETA_PROTOCOL)
		return refuse(p, -SVR_DROP_BFD_METADATA,
			      "peer speaks version %u of the protocol, this is %d", m->version,
			      SVR_BFDMETA_PROTOCOL);
	if ((m->have & SVR_BFDMETA_HELLO) && strcmp(m->common_name, p->config.kex.peer_name) != 0)
		return refuse(p, -SVR_DROP_BFD_SESSION,
			      "common name of the peer is %s, expected %s", m->common_name,
			      p->config.kex.peer_name);
	if (!r->key)
		return 0;
	if (m->seq <= svr_peering_rx_seq(path, r->key->index, r->seal))
		return -SVR_DROP_BFD_REPLAY;
	if (memcmp(m->sender, path->config.remote, sizeof(m->sender)) != 0 ||
	    memcmp(m->receiver, path->config.local, sizeof(m->receiver)) != 0)
		return refuse(p, -SVR_DROP_BFD_SESSION,
			      "peer's packets are of another path, or an address was translated");
	return 0;
}

/* The worker reads the offset against our clock as it is set now. */
static void save_offset(struct svr_peering *p, struct svr_now now)
{
	int64_t offset_ns = svr_clockoff_real(&p->clock, now);
	int64_t change_ns = (int64_t)((uint64_t)offset_ns - (uint64_t)p->keys.clock_offset_ns);

	if (!p->clock.valid || (p->keys.offset_valid && change_ns < peering_offset_step_ns &&
				change_ns > -peering_offset_step_ns))
		return;
	p->keys.offset_valid = 1;
	p->keys.clock_offset_ns = offset_ns;
	p->ops->save_keys(p->user, &p->keys);
}

static void take_time(struct svr_peering_path *path, const struct svr_bfdmeta *m,
		      struct svr_now now)
{
	uint64_t echo_mono_ns = svr_peering_stamped(path, m->echo_ns);

	path->echo_ns = m->tx_ns;
	path->echo_rx_mono_ns = now.mono_ns;
	if (echo_mono_ns && svr_clockoff_add(&path->peering->clock, echo_mono_ns, m->echo_rx_ns,
					     m->tx_ns, now.mono_ns))
		save_offset(path->peering, now);
}

/* By a confirmed key, or by one that was agreed under a confirmed key. */
static bool is_authentic(const struct svr_peering *p, const struct received *r)
{
	return r->seal == SVR_KEX_SEAL_CURRENT ||
	       (r->seal == SVR_KEX_SEAL_NEW && p->kex.x.authenticated);
}

/* Everything that an authenticated packet says besides BFD itself. */
static void take_sealed(struct svr_peering_path *path, const struct received *r, size_t len,
			struct svr_now now)
{
	struct svr_peering *p = path->peering;
	/* sealed by a key that its sender has not installed yet, or only for this message */
	bool auth_piece = (r->meta.have & SVR_BFDMETA_PIECE) &&
			  (r->meta.piece.message == SVR_KEX_AUTH_I ||
			   r->meta.piece.message == SVR_KEX_AUTH_R);

	svr_peering_rx_seq_set(path, r->key->index, r->seal, r->meta.seq);
	if (!is_authentic(p, r))
		return;
	path->state.flags |= SVR_PATH_AUTHENTIC;
	svr_kex_cancel_unauthenticated(&p->kex);
	if (r->seal == SVR_KEX_SEAL_CURRENT && !auth_piece)
		svr_peering_peer_uses(p, r->key->index, now);
	take_time(path, &r->meta, now);
	if (r->meta.instance != path->peer_instance && path->peer_instance)
		svr_peering_log(p, false, "peer was started anew");
	path->peer_instance = r->meta.instance;
	p->reason[0] = '\0';
	svr_peering_path_take(path, &r->meta, len, now);
}

static void take_meta_keys(struct svr_peering_path *path, const struct received *r,
			   struct svr_now now)
{
	const struct svr_meta_key *own = svr_peering_own_meta(path->peering);
	struct svr_peering *p = path->peering;

	if (r->seal != SVR_KEX_SEAL_CURRENT || svr_peering_is_static(p))
		return;
	if ((r->meta.have & SVR_BFDMETA_META_KEY_ACK) && own && r->meta.meta_ack == own->index &&
	    p->acked != own->index) {
		p->acked = own->index;
		p->acked_ns = now.mono_ns;
	}
	if (!(r->meta.have & SVR_BFDMETA_META_KEY))
		return;
	path->ack_due = r->meta.meta_index;
	if (svr_peering_meta_install(p, r->meta.meta_index, r->meta.meta_key, now))
		/* the peer waits for the acknowledgement */
		svr_peering_send_extra(path, NULL, 0, svr_peering_tx_key(p));
}

/*
 * Until the peer has shown who it is, anybody can be it. Timers of a stranger at either end could make
 * both wait for each other for days; so we go on sending, and forget what it said within a minute. A
 * peer that is slower than that is heard all the same: the handshake answers at once.
 */
static void restrain(struct svr_bfd_packet *bfd)
{
	uint32_t tx_us;

	if (bfd->detect_mult > PEERING_STRANGER_MULT)
		bfd->detect_mult = PEERING_STRANGER_MULT;
	if (bfd->required_min_rx_us > PEERING_STRANGER_RX_US)
		bfd->required_min_rx_us = PEERING_STRANGER_RX_US;
	tx_us = PEERING_STRANGER_DETECT_US / bfd->detect_mult;
	if (bfd->desired_min_tx_us > tx_us)
		bfd->desired_min_tx_us = tx_us;
}

static void receive_plain(struct svr_peering_path *path, const struct svr_bfd_packet *pkt,
			  struct svr_now now)
{
	path->rx_packets++;
	path->state.last_rx_ns = now.real_ns;
	svr_bfd_receive(&path->bfd, pkt, now.mono_ns);
	svr_peering_path_save(path);
	svr_peering_update(path->peering);
}

int svr_peering_receive(struct svr_peering *p, unsigned int number, uint8_t *packet, size_t len,
			int ttl)
{
	struct svr_peering_path *path = &p->paths[number];
	struct svr_now now = p->ops->now(p->user);
	struct received r = { 0 };
	bool authentic;
	int ret;

	ret = check_shape(path, packet, len, ttl, &r);
	if (!ret && path->config.plain) {
		receive_plain(path, &r.bfd, now);
		return 0;
	}
	if (!ret)
		ret = check_seal(p, packet, &r, now);
	if (!ret)
		ret = check_meta(path, packet, &r);
	if (ret) {
		path->drops++;
		goto out;
	}

	authentic = is_authentic(p, &r);
	path->rx_packets++;
	path->state.last_rx_ns = now.real_ns;
	if (r.key)
		take_sealed(path, &r, len, now);
	if (!authentic) {
		path->state.flags &= ~(uint32_t)SVR_PATH_AUTHENTIC;
		restrain(&r.bfd);
	}
	svr_bfd_receive(&path->bfd, &r.bfd, now.mono_ns);
	if (authentic)
		path->auth_until_ns = now.mono_ns + path->bfd.detect_us * SVR_NS_PER_US;
	svr_peering_path_save(path);
	take_meta_keys(path, &r, now);
	/*
	 * RFC 5880's three-way handshake has shown that the peer's address is real; nothing
	 * expensive happens before.
	 */
	if ((r.meta.have & SVR_BFDMETA_PIECE) && path->bfd.state == SVR_BFD_UP && !svr_peering_is_static(p))
		ret = svr_kex_receive(&p->kex, (int)number, &path->buffer, &r.meta.piece, r.seal,
				      now);
	else if (r.meta.have & SVR_BFDMETA_PIECE)
		ret = -SVR_DROP_KEX_STATE;
	svr_peering_update(p);
out:
	OPENSSL_cleanse(&r.meta, sizeof(r.meta));
	return ret;
}

/* ---- for the owner --------------------------------------------------------------------------- */

int svr_peering_new(const struct svr_peering_config *config, const struct svr_peering_ops *ops,
		    void *user, unsigned int n_paths, const struct svr_peer_keys *saved,
		    struct svr_peering **out)
{
	struct svr_peering *p;
	int ret = -ENOMEM;

	*out = NULL;
	p = calloc(1, sizeof(*p));
	if (!p)
		return ret;
	p->ops = ops;
	p->user = user;
	p->config = *config;
	p->n_paths = n_paths;
	p->kex_ops = kex_ops;
	p->kex_ops.dh = ops->dh;
	p->paths = calloc(n_paths ? n_paths : 1, sizeof(*p->paths));
	if (!p->paths)
		goto out;
	p->direction = svr_direction_number(config->kex.own_name, config->kex.peer_name);
	ret = svr_kex_init(&p->kex, &p->config.kex, &p->kex_ops, p);
	if (!ret)
		ret = svr_peering_keys_restore(p, saved);
	if (ret)
		goto out;
	if (p->keys.tx != SVR_PEERING_NO_SLOT) {
		p->kex.cert_received = p->kex.cert_acked = true;
		p->kex.salt_received = p->kex.salt_acked = true;
	}
	*out = p;
	p = NULL;
out:
	svr_peering_free(p);
	return ret;
}

void svr_peering_free(struct svr_peering *p)
{
	unsigned int i;

	if (!p)
		return;
	if (p->kex.ops)
		svr_kex_clear(&p->kex);
	for (i = 0; p->paths && i < p->n_paths; i++)
		svr_peering_path_clear(&p->paths[i]);
	free(p->paths);
	svr_peering_keys_clear(p);
	OPENSSL_cleanse(&p->config.fixed, sizeof(p->config.fixed));
	free(p);
}

void *svr_peering_computed(struct svr_kex_job *job)
{
	struct svr_peering *p = job->kex ? job->kex->user : NULL;
	uint64_t rekey_count;

	if (!p) {
		svr_kex_job_free(job);
		return NULL;
	}
	rekey_count = p->keys.rekey_count;
	svr_kex_job_done(job, p->ops->now(p->user));
	if (p->keys.rekey_count != rekey_count)
		svr_peering_send_all(p); /* a peer key was confirmed; the metadata key is next */
	svr_peering_update(p);
	return p->user;
}

void svr_peering_tick(struct svr_peering *p)
{
	struct svr_now now = p->ops->now(p->user);
	unsigned int i;

	for (i = 0; i < p->n_paths; i++) {
		svr_bfd_tick(&p->paths[i].bfd, now.mono_ns);
		svr_peering_path_tick(&p->paths[i], now);
	}
	save_offset(p, now); /* our clock may have been set */
	svr_kex_tick(&p->kex, now);
	svr_peering_update(p);
}

uint64_t svr_peering_next(const struct svr_peering *p)
{
	uint64_t next_ns = svr_kex_next(&p->kex), at_ns = svr_peering_rotate_next(p);
	unsigned int i;

	if (at_ns < next_ns)
		next_ns = at_ns;
	for (i = 0; i < p->n_paths; i++) {
		at_ns = svr_peering_path_next(&p->paths[i]);
		if (at_ns < next_ns)
			next_ns = at_ns;
	}
	return next_ns;
}

void svr_peering_clock_set(struct svr_peering *p)
{
	save_offset(p, p->ops->now(p->user));
	svr_peering_send_all(p);
}

void svr_peering_own_keys_changed(struct svr_peering *p)
{
	p->announced_ns = p->ops->now(p->user).mono_ns;
	svr_peering_send_all(p);
	svr_peering_update(p);
}

int svr_peering_rekey(struct svr_peering *p)
{
	struct svr_now now = p->ops->now(p->user);

	if (svr_peering_is_static(p))
		return -ENOTSUP;
	if (p->keys.tx == SVR_PEERING_NO_SLOT || svr_peering_is_open(p, now.mono_ns))
		return -ENOKEY;
	return svr_peering_may_rekey(p) ? svr_kex_rekey(&p->kex, now) : -EBUSY;
}
