// SPDX-License-Identifier: BSD-2-Clause
/* Sessions: set-up, look-up, adoption after a restart, expiry. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <openssl/crypto.h>

#include <svr/drops.h>

#include "lib/epoch.h"
#include "lib/kdf.h"
#include "lib/replay.h"
#include "lib/statickey.h"
#include "lib/tcpstate.h"
#include "lib/uuid.h"
#include "sys/flows.h"
#include "sys/keylog.h"
#include "sys/log.h"
#include "sys/sessiontype.h"
#include "worker/addr.h"
#include "worker/flowtable.h"
#include "worker/metadata.h"
#include "worker/nexthop.h"
#include "worker/rekey.h"
#include "worker/session.h"
#include "worker/thread.h"
#include "worker/timeout.h"

enum {
	PORT_TRIES = 32,
};

/* ---- contexts of a thread ------------------------------------------------------------------ */

void svr_keyset_put(struct svr_keyset *k)
{
	if (!k || __atomic_sub_fetch(&k->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	svr_hmac_key_free(k->hmac_tx);
	svr_hmac_key_free(k->hmac_rx);
	svr_cipher_key_free(k->enc_tx);
	svr_cipher_key_free(k->enc_rx);
	free(k);
}

static void local_clear(struct svr_local *l)
{
	svr_keyset_put(l->keys[0]);
	svr_keyset_put(l->keys[1]);
	*l = (struct svr_local){ 0 };
}

static void local_forget(uint32_t slot, void *user)
{
	struct svr_thread *t = user;

	local_clear(&t->local[slot]);
}

int svr_session_locals_init(struct svr_thread *t)
{
	t->local = calloc(t->sessions->slots.count, sizeof(*t->local));
	return t->local ? 0 : -ENOMEM;
}

void svr_session_locals_free(struct svr_thread *t)
{
	uint32_t i;

	for (i = 0; t->local && i < t->sessions->slots.count; i++)
		local_clear(&t->local[i]);
	free(t->local);
	t->local = NULL;
}

void svr_session_locals_pass(struct svr_thread *t)
{
	svr_slots_pass(&t->sessions->slots, t->number, local_forget, t);
}

/* ---- tombstones ---------------------------------------------------------------------------- */

/* UUIDs are random: any of their bytes are a hash. */
static struct svr_tombstone *tomb_of(const struct svr_sessions *ss,
				     const uint8_t uuid[static SVR_UUID_LEN])
{
	uint32_t h;

	memcpy(&h, uuid, sizeof(h));
	return &ss->tombs[h % SVR_TOMBSTONES];
}

/*
 * From the slot itself, which keeps these three also while it is free: a restarted worker reads
 * them again, those of the same session in any order.
 */
static void tomb_set(struct svr_sessions *ss, const struct svr_session *s)
{
	struct svr_tombstone *tomb = tomb_of(ss, s->uuid);
	uint64_t tx = __atomic_load_n(&s->tx_counter, __ATOMIC_SEQ_CST);
	bool same = memcmp(tomb->uuid, s->uuid, sizeof(tomb->uuid)) == 0;

	if (s->cipher == SVR_CIPHER_NONE || s->originator)
		return; /* our own sessions get a new UUID and a new key each time */
	memcpy(tomb->uuid, s->uuid, sizeof(tomb->uuid));
	if (!same || tx > tomb->tx_counter)
		tomb->tx_counter = tx;
	if (!same || s->replay.top > tomb->rx_top)
		tomb->rx_top = s->replay.top;
}

static void tomb_apply(const struct svr_sessions *ss, struct svr_session *s)
{
	const struct svr_tombstone *tomb = tomb_of(ss, s->uuid);

	if (memcmp(tomb->uuid, s->uuid, sizeof(tomb->uuid)) != 0)
		return;
	s->tx_counter = tomb->tx_counter;
	s->replay.top = tomb->rx_top;
	memset(s->replay.bits, 0xff,
	       sizeof(s->replay.bits)); /* all that came before counts as seen */
}

/* ---- start and end ------------------------------------------------------------------------- */

int svr_sessions_init(struct svr_sessions *ss, uint32_t count)
{
	int err = svr_slots_init(&ss->slots, count);

	pthread_mutex_init(&ss->nonce_lock, NULL);
	ss->talk = calloc(count, sizeof(*ss->talk));
	ss->tombs = calloc(SVR_TOMBSTONES, sizeof(*ss->tombs));
	return err ? err : ss->talk && ss->tombs ? 0 : -ENOMEM;
}

void svr_sessions_free(struct svr_sessions *ss)
{
	if (!ss->slots.count)
		return;
	svr_slots_free(&ss->slots);
	free(ss->talk);
	free(ss->tombs);
	pthread_mutex_destroy(&ss->nonce_lock);
	*ss = (struct svr_sessions){ 0 };
}

bool svr_sessions_busy(struct svr_sessions *ss, bool *ended)
{
	pthread_mutex_lock(&ss->slots.lock);
	*ended = svr_slots_waiting(&ss->slots);
	pthread_mutex_unlock(&ss->slots.lock);
	return *ended || __atomic_load_n(&ss->slots.n_live, __ATOMIC_RELAXED);
}

void svr_sessions_lock(struct svr_thread *t)
{
	pthread_mutex_lock(&t->sessions->slots.lock);
}

void svr_sessions_unlock(struct svr_thread *t)
{
	pthread_mutex_unlock(&t->sessions->slots.lock);
}

/* ---- flows --------------------------------------------------------------------------------- */

/*
 * The flow that arrives from the LAN leaves as the reverse of what arrives from the peer, and the
 * other way round.
 */
static void flow_fill(const struct svr_session *s, uint32_t slot, bool from_wan, uint32_t nexthop,
		      struct svr_flow *f)
{
	const struct svr_flow6_key *out = from_wan ? &s->lan :
						     &s->wan; /* its reverse is what leaves */
	bool rev = from_wan == (s->originator != 0);

	*f = (struct svr_flow){
		.flags = SVR_FLOW_VALID | SVR_FLOW_WORKER | (rev ? SVR_FLOW_REV : 0) |
			 (from_wan ? SVR_FLOW_FROM_WAN : 0) |
			 (s->originator ? SVR_FLOW_ORIGINATOR : 0) |
			 (svr_key_is4(out) ? 0 : SVR_FLOW_OUT6) |
			 (s->closing ? SVR_FLOW_CLOSING : 0),
		.nexthop = nexthop,
		.path = s->path,
		.out_zone = out->zone,
		.sport = out->dport,
		.dport = out->sport,
		.slot = slot,
		.slot_generation = s->generation,
		.last_seen_ns = s->created_ns,
		.created_ns = s->created_ns,
		.service = s->service,
		.tenant = s->tenant,
		.policy = s->policy,
		.proto = out->proto,
	};
	if (s->lan.proto != s->wan.proto)
		f->flags |= from_wan ? SVR_FLOW_DECAP : SVR_FLOW_ENCAP;
	f->flow_label = htonl(svr_session_label(s));
	memcpy(f->saddr, out->daddr, sizeof(f->saddr));
	memcpy(f->daddr, out->saddr, sizeof(f->daddr));
	memcpy(f->uuid, s->uuid, sizeof(f->uuid));
}

uint32_t svr_session_label(const struct svr_session *s)
{
	const uint32_t label_bits = 0xfffff;
	uint32_t label;

	memcpy(&label, s->uuid, sizeof(label));
	return label & label_bits;
}

/* Whom packets to the LAN are sent to. */
static void lan_target(const struct svr_thread *t, const struct svr_session *s,
		       __be32 out[static 4])
{
	const struct svr_service *svc = &t->maps->services[s->service];

	if (s->originator) /* back to the host that opened the session */
		svr_addr_next_hop(&t->maps->zones[s->lan.zone], s->lan.saddr, out);
	else if (svc->route_kind == SVR_ROUTE_LOCAL && svr_addr_is_set(svc->gateway) &&
		 svr_addr_is_mapped(svc->gateway) == svr_addr_is_mapped(s->lan.saddr))
		svr_addr_copy(out, svc->gateway);
	else
		svr_addr_copy(out, s->lan.saddr);
}

/*
 * The next hop to the LAN is named too, so that it is kept known as long as the session is there; 0
 * if it is not known yet.
 */
static void flow_make(const struct svr_thread *t, const struct svr_session *s, uint32_t slot,
		      bool from_wan, struct svr_flow *f)
{
	uint32_t nexthop = s->path;
	__be32 target[4];

	if (from_wan) {
		nexthop = 0;
		lan_target(t, s, target);
		svr_nexthop_of_neighbour(t->maps, s->lan.zone, target, &nexthop);
	}
	flow_fill(s, slot, from_wan, nexthop, f);
}

static bool flow_is_ours(const struct svr_flow *f, uint32_t slot, uint32_t generation)
{
	return (f->flags & SVR_FLOW_WORKER) && f->slot == slot && f->slot_generation == generation;
}

static bool flow_present(const struct svr_thread *t, const struct svr_flow6_key *key, uint32_t slot,
			 uint32_t generation)
{
	struct svr_flow f;

	return svr_flow_get(t->maps, key, &f) == 0 && flow_is_ours(&f, slot, generation);
}

/* XDP may have replaced a flow of a closing session: take away only what is ours. */
static void flow_remove(const struct svr_thread *t, const struct svr_flow6_key *key, uint32_t slot,
			uint32_t generation)
{
	if (flow_present(t, key, slot, generation))
		svr_flow_delete(t->maps, key);
}

/* Of a flow whose session is no more, *stale is set. */
static enum svr_flow_owner flow_owner(struct svr_thread *t, const struct svr_flow6_key *key,
				      uint32_t *slot, struct svr_flow *flow, bool *stale)
{
	*slot = 0;
	*stale = false;
	if (svr_flow_get(t->maps, key, flow))
		return SVR_OWNER_NONE;
	if (!(flow->flags & SVR_FLOW_WORKER))
		return SVR_OWNER_CLEAR;
	if (svr_session_get(t, flow->slot, flow->slot_generation)) {
		*slot = flow->slot;
		return SVR_OWNER_WORKER;
	}
	*stale = true;
	return SVR_OWNER_NONE;
}

enum svr_flow_owner svr_session_of_flow(struct svr_thread *t, const struct svr_flow6_key *key,
					uint32_t *slot, struct svr_flow *flow)
{
	enum svr_flow_owner owner;
	bool stale;

	owner = flow_owner(t, key, slot, flow, &stale);
	if (!stale)
		return owner;
	/* Under the lock no session is half made: it is an old one that this flow belongs to */
	svr_sessions_lock(t);
	owner = flow_owner(t, key, slot, flow, &stale);
	if (stale)
		svr_flow_delete(t->maps, key);
	svr_sessions_unlock(t);
	return owner;
}

void svr_session_remove_clear(struct svr_thread *t, const struct svr_flow6_key *key,
			      const struct svr_flow *flow)
{
	if (svr_flowtable_remove_pair(t->maps, key, flow))
		svr_count(&t->counters, key->zone, SVR_STAT_SESSIONS_CLOSED, 1);
}

static int flow_insert(const struct svr_thread *t, const struct svr_flow6_key *key,
		       const struct svr_flow *f)
{
	int err = svr_flow_insert(t->maps, key, f);

	return !err || err == -EEXIST ? err : -SVR_DROP_TABLE_FULL;
}

/* ---- look-up ------------------------------------------------------------------------------- */

struct svr_session *svr_session_get(struct svr_thread *t, uint32_t slot, uint32_t generation)
{
	struct svr_session *s;

	if (slot == 0 || slot >= t->sessions->slots.count)
		return NULL;
	s = &t->maps->sessions[slot];
	return __atomic_load_n(&s->state, __ATOMIC_ACQUIRE) == SVR_SESSION_LIVE &&
			       s->generation == generation ?
		       s :
		       NULL;
}

static int keyset_fill(struct svr_thread *t, const struct svr_session *s,
		       const struct svr_session_keys *from, struct svr_keyset *k)
{
	const int tx = s->originator ? SVR_DIR_FWD : SVR_DIR_REV;
	struct svr_payload_keys keys;
	int err;

	err = svr_hmac_key_new(t->crypt, s->hmac, from->hmac_tx, sizeof(from->hmac_tx),
			       &k->hmac_tx);
	if (!err)
		err = svr_hmac_key_new(t->crypt, s->hmac, from->hmac_rx, sizeof(from->hmac_rx),
				       &k->hmac_rx);
	if (err || s->cipher == SVR_CIPHER_NONE)
		return err;
	err = svr_kdf_payload(from->session_key, s->uuid, from->epoch, &keys);
	if (!err)
		err = svr_cipher_key_new(t->crypt, s->cipher, keys.enc[tx], keys.iv[tx],
					 &k->enc_tx);
	if (!err)
		err = svr_cipher_key_new(t->crypt, s->cipher, keys.enc[!tx], keys.iv[!tx],
					 &k->enc_rx);
	OPENSSL_cleanse(&keys, sizeof(keys));
	return err;
}

static struct svr_keyset *keyset_new(struct svr_thread *t, const struct svr_session *s,
				     const struct svr_session_keys *from)
{
	struct svr_keyset *k = calloc(1, sizeof(*k));

	if (!k)
		return NULL;
	k->refs = 1;
	k->epoch = from->epoch;
	if (keyset_fill(t, s, from, k)) {
		svr_keyset_put(k);
		return NULL;
	}
	return k;
}

struct svr_local *svr_session_local(struct svr_thread *t, uint32_t slot)
{
	const struct svr_session *s = &t->maps->sessions[slot];
	struct svr_local *l = &t->local[slot];

	if (l->generation == s->generation)
		return l;
	local_clear(l);
	lan_target(t, s, l->lan_target);
	l->generation = s->generation;
	return l;
}

/* A copy, for they may be replaced at any time. The caller wipes it. */
static bool keys_copy(struct svr_thread *t, const struct svr_session *s, unsigned int set,
		      struct svr_session_keys *out)
{
	svr_sessions_lock(t);
	*out = s->keys[set];
	svr_sessions_unlock(t);
	return out->epoch != 0;
}

struct svr_keyset *svr_session_keys(struct svr_thread *t, uint32_t slot, unsigned int set)
{
	const struct svr_session *s = &t->maps->sessions[slot];
	struct svr_keyset **k = &svr_session_local(t, slot)->keys[set];
	const uint16_t epoch = __atomic_load_n(&s->keys[set].epoch, __ATOMIC_ACQUIRE);
	struct svr_session_keys from;

	if (*k && epoch && (*k)->epoch == epoch)
		return *k;
	svr_keyset_put(*k);
	*k = keys_copy(t, s, set, &from) ? keyset_new(t, s, &from) : NULL;
	OPENSSL_cleanse(&from, sizeof(from));
	return *k;
}

bool svr_session_path_up(const struct svr_thread *t, uint32_t path, uint32_t peer)
{
	return path != 0 && path < t->maps->count.paths && peer != 0 &&
	       t->maps->paths[path].peer == peer &&
	       __atomic_load_n(&t->maps->path_state[path].status, __ATOMIC_RELAXED) == SVR_PATH_UP;
}

/* ---- set-up -------------------------------------------------------------------------------- */

/* No thread knows the slot: wipe it, and somebody else may have it. */
static void slot_wipe(struct svr_thread *t, uint32_t slot)
{
	struct svr_session *s = &t->maps->sessions[slot];

	OPENSSL_cleanse(s->keys, sizeof(s->keys));
	s->replay_lock = 0; /* of a worker that was killed */
	__atomic_store_n(&s->state, SVR_SESSION_FREE, __ATOMIC_RELEASE);
	svr_slots_give(&t->sessions->slots, slot);
}

static void slots_collect(struct svr_thread *t)
{
	uint32_t slot;

	while ((slot = svr_slots_collect(&t->sessions->slots)))
		slot_wipe(t, slot);
}

static struct svr_session *slot_begin(struct svr_thread *t, uint32_t *slot)
{
	struct svr_session *s;
	uint32_t generation;

	slots_collect(t);
	*slot = svr_slots_take(&t->sessions->slots);
	if (*slot == 0)
		return NULL;
	s = &t->maps->sessions[*slot];
	generation = s->generation + 1;
	memset(s, 0, sizeof(*s));
	s->generation = generation ? generation : 1; /* 0 would look like no session in svr_local */
	s->state = SVR_SESSION_SETUP;
	s->created_ns = t->now_ns;
	s->created_real_ns = t->real_ns;
	t->sessions->talk[*slot] = (struct svr_talk){ 0 };
	return s;
}

/* Of a session that did not come to life. */
static void slot_abort(struct svr_thread *t, uint32_t slot)
{
	local_clear(&t->local[slot]);
	slot_wipe(t, slot);
}

static void slot_live(struct svr_thread *t, uint32_t slot)
{
	struct svr_session *s = &t->maps->sessions[slot];

	__atomic_store_n(&s->state, SVR_SESSION_LIVE, __ATOMIC_RELEASE);
	svr_slots_live_add(&t->sessions->slots, slot);
}

void svr_session_close(struct svr_thread *t, uint32_t slot, const char *why)
{
	struct svr_session *s = &t->maps->sessions[slot];
	char uuid[SVR_UUID_STRLEN];

	svr_sessions_lock(t);
	if (s->state != SVR_SESSION_LIVE)
		goto out;
	flow_remove(t, &s->lan, slot, s->generation);
	flow_remove(t, &s->wan, slot, s->generation);
	/* From here on no counter is used or accepted, and what was is in the slot */
	__atomic_store_n(&s->state, SVR_SESSION_ENDING, __ATOMIC_SEQ_CST);
	svr_replay_lock(&s->replay_lock);
	svr_replay_unlock(&s->replay_lock);
	tomb_set(t->sessions, s);
	svr_count(&t->counters, s->lan.zone, SVR_STAT_SESSIONS_CLOSED, 1);
	svr_uuid_print(s->uuid, uuid);
	pr_debug("session %s: closed (%s)", uuid, why);
	svr_slots_live_remove(&t->sessions->slots, slot);
	svr_slots_end(&t->sessions->slots, slot);
out:
	svr_sessions_unlock(t);
}

unsigned int svr_sessions_close_if(struct svr_thread *t, svr_session_match match, void *user,
				   const char *why)
{
	struct svr_slots *slots = &t->sessions->slots;
	uint32_t i = __atomic_load_n(&slots->n_live, __ATOMIC_RELAXED);
	unsigned int closed = 0;

	/*
	 * Downwards, and free for others in between: a session that is closed gives its place to the
	 * last one, which was looked at already or is new
	 */
	while (i-- > 0) {
		svr_sessions_lock(t);
		if (i < slots->n_live && match(&t->maps->sessions[slots->live[i]], user)) {
			svr_session_close(t, slots->live[i], why);
			closed++;
		}
		svr_sessions_unlock(t);
	}
	return closed;
}

/* ---- packets ------------------------------------------------------------------------------- */

int svr_session_accept(struct svr_session *s, uint64_t counter)
{
	int err = svr_replay_accept(&s->replay, &s->replay_lock, counter);

	/*
	 * Whoever ends the session sets its state, then takes the lock, then reads the window: either
	 * it finds this counter there, or its state is seen here
	 */
	if (!err && __atomic_load_n(&s->state, __ATOMIC_SEQ_CST) != SVR_SESSION_LIVE)
		err = -SVR_DROP_NOT_WAN_SESSION;
	return err;
}

void svr_session_note(struct svr_session *s, unsigned int dir, uint64_t bytes, uint64_t now_ns)
{
	__atomic_store_n(dir ? &s->last_wan_ns : &s->last_lan_ns, now_ns, __ATOMIC_RELAXED);
	__atomic_fetch_add(&s->packets[dir], 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&s->bytes[dir], bytes, __ATOMIC_RELAXED);
}

void svr_session_note_tcp(struct svr_session *s, unsigned int dir, uint8_t seen)
{
	uint8_t *flags = dir ? &s->tcp_wan : &s->tcp_lan;

	if ((__atomic_load_n(flags, __ATOMIC_RELAXED) & seen) == seen)
		return;
	/* In one order: of two threads that see the last flags of both sides, one sees them all */
	__atomic_fetch_or(flags, seen, __ATOMIC_SEQ_CST);
	if (svr_tcp_closing(__atomic_load_n(&s->tcp_lan, __ATOMIC_SEQ_CST),
			    __atomic_load_n(&s->tcp_wan, __ATOMIC_SEQ_CST)))
		__atomic_store_n(&s->closing, 1, __ATOMIC_RELAXED);
}

/* ---- algorithms and routes ----------------------------------------------------------------- */

static bool algorithms_ok(const struct svr_policy *p)
{
	bool known_mode = p->hmac_mode == SVR_HMAC_MODE_REGULAR ||
			  p->hmac_mode == SVR_HMAC_MODE_TIME_BASED;
	bool known_cipher = p->encrypt ? svr_cipher_is_cbc(p->cipher) ||
						 svr_cipher_is_gcm(p->cipher) :
					 p->cipher == SVR_CIPHER_NONE;

	return known_mode && known_cipher && svr_hmac_tag_len(p->hmac) != 0;
}

/* The configuration of a service's policy. NULL while the row is being changed. */
static const struct svr_policy *service_policy(const struct svr_thread *t,
					       const struct svr_service *svc)
{
	const struct svr_policy *p;

	if (svc->policy == 0 || svc->policy >= t->maps->count.policies)
		return NULL;
	p = &t->maps->policies[svc->policy];
	return p->name[0] ? p : NULL;
}

static const struct svr_service *service_row(const struct svr_thread *t, uint32_t service)
{
	const struct svr_service *svc;

	if (service == 0 || service >= t->maps->count.services)
		return NULL;
	svc = &t->maps->services[service];
	return svc->name[0] ? svc : NULL;
}

/* The first path in service, best first; XDP's own choice, if it is one of them, goes before. */
static int path_choose(const struct svr_thread *t, const struct svr_service *svc, uint32_t wanted,
		       uint32_t *path)
{
	unsigned int i, n = svc->paths < SVR_MAX_ROUTE_PATHS ? svc->paths : SVR_MAX_ROUTE_PATHS;

	*path = 0;
	for (i = 0; i < n; i++) {
		uint32_t p = svc->path[i];

		if (p >= t->maps->count.paths || !svr_session_path_up(t, p, t->maps->paths[p].peer))
			continue;
		if (*path == 0 || p == wanted)
			*path = p;
	}
	return *path ? 0 : -SVR_DROP_NO_PATH;
}

static uint16_t port_random(struct svr_thread *t, uint16_t lo, uint16_t hi)
{
	uint32_t r = 0;

	if (lo > hi || svr_crypt_random(t->crypt, &r, sizeof(r)))
		return 0;
	return (uint16_t)(lo + r % (hi - lo + 1u));
}

/* The port in [lo, hi] next to @port with the wanted lowest bit; 0 if there is none. */
static uint16_t port_parity(uint16_t port, uint16_t lo, uint16_t hi, unsigned int bit)
{
	if ((port & 1u) == bit)
		return port;
	if (port < hi)
		return (uint16_t)(port + 1);
	return port > lo ? (uint16_t)(port - 1) : 0;
}

/* docs/protocol.md section 2: even on our own waypoint, odd on the peer's. */
static int ports_choose(struct svr_thread *t, const struct svr_path *path, uint16_t *local,
			uint16_t *remote)
{
	*local = port_random(t, path->local_lo, path->local_hi);
	*remote = port_random(t, path->remote_lo, path->remote_hi);
	if (path->parity) {
		*local = *local ? port_parity(*local, path->local_lo, path->local_hi, 0) : 0;
		*remote = *remote ? port_parity(*remote, path->remote_lo, path->remote_hi, 1) : 0;
	}
	return *local && *remote ? 0 : -SVR_DROP_NO_PORT;
}

static int wan_flow_originate(struct svr_thread *t, struct svr_session *s, uint32_t slot)
{
	const struct svr_path *path = &t->maps->paths[s->path];
	uint16_t local, remote;
	struct svr_flow f;
	int i, err;

	for (i = 0; i < PORT_TRIES; i++) {
		err = ports_choose(t, path, &local, &remote);
		if (err)
			return err;
		if (svr_session_wan_proto(s->lan.proto) == IPPROTO_UDP &&
		    (local == SVR_BFD_PORT || remote == SVR_BFD_PORT))
			continue;
		s->wan = (struct svr_flow6_key){
			.sport = htons(remote),
			.dport = htons(local),
			.zone = (uint16_t)path->zone,
			.proto = svr_session_wan_proto(s->lan.proto),
		};
		memcpy(s->wan.saddr, path->remote, sizeof(s->wan.saddr));
		memcpy(s->wan.daddr, path->local, sizeof(s->wan.daddr));
		flow_make(t, s, slot, true, &f);
		err = flow_insert(t, &s->wan, &f);
		if (err != -EEXIST)
			return err;
	}
	return -SVR_DROP_NO_PORT;
}

static void take_peer_key(struct svr_session_keys *k, const struct svr_peer_key *key)
{
	k->peer_key_index = key->index;
	memcpy(k->hmac_tx, key->hmac_tx, sizeof(k->hmac_tx));
	memcpy(k->hmac_rx, key->hmac_rx, sizeof(k->hmac_rx));
}

int svr_session_fresh_keys(struct svr_thread *t, const struct svr_session *s, uint16_t epoch,
			   struct svr_session_keys *out)
{
	struct svr_peer_key key;
	int err;

	*out = (struct svr_session_keys){ .epoch = epoch };
	err = svr_keys_peer_tx(t->maps, s->peer, &key);
	if (err)
		return err;
	take_peer_key(out, &key);
	OPENSSL_cleanse(&key, sizeof(key));
	if (s->cipher != SVR_CIPHER_NONE &&
	    svr_crypt_random(t->crypt, out->session_key, sizeof(out->session_key))) {
		OPENSSL_cleanse(out, sizeof(*out));
		return -SVR_DROP_INTERNAL;
	}
	return 0;
}

void svr_session_install_fresh(struct svr_thread *t, uint32_t slot,
			       const struct svr_session_keys *fresh, bool unconfirmed)
{
	struct svr_session *s = &t->maps->sessions[slot];
	struct svr_talk *talk = &t->sessions->talk[slot];

	svr_sessions_lock(t);
	svr_epoch_install(s, fresh, unconfirmed, t->now_ns);
	talk->offer_ns = 0;
	talk->offers = 0;
	svr_sessions_unlock(t);
	if (s->cipher != SVR_CIPHER_NONE)
		svr_keylog_session_key(t->keylog, s->uuid, fresh->epoch, fresh->session_key,
				       sizeof(fresh->session_key));
}

void svr_session_rekeyed(struct svr_thread *t, struct svr_session *s)
{
	s->rekeys++;
	svr_count(&t->counters, s->wan.zone, SVR_STAT_REKEYED, 1);
}

int svr_session_key_wrap(const struct svr_thread *t, const struct svr_session *s, uint16_t epoch,
			 uint8_t key[static SVR_SESSION_KEY_LEN])
{
	const struct svr_policy *policy = &t->maps->policies[s->policy];

	if (s->cipher == SVR_CIPHER_NONE || !policy->wrapped)
		return 0;
	return svr_static_wrap(policy->wrap, s->uuid, epoch, key) ? -SVR_DROP_INTERNAL : 0;
}

int svr_session_install(struct svr_thread *t, uint32_t slot, const struct svr_meta *m,
			const struct svr_peer_key *peer_key)
{
	const bool first = t->maps->sessions[slot].keys[0].epoch == 0;
	struct svr_session_keys fresh = { .epoch = svr_meta_epoch(m) };
	int err;

	if (!fresh.epoch)
		return -SVR_DROP_EPOCH;
	take_peer_key(&fresh, peer_key);
	memcpy(fresh.session_key, m->session_key, sizeof(fresh.session_key));
	err = svr_session_key_wrap(t, &t->maps->sessions[slot], fresh.epoch, fresh.session_key);
	if (!err)
		svr_session_install_fresh(t, slot, &fresh, !first);
	OPENSSL_cleanse(&fresh, sizeof(fresh));
	if (!err && !first)
		svr_session_rekeyed(t, &t->maps->sessions[slot]);
	return err;
}

static void take_algorithms(struct svr_session *s, uint8_t cipher, uint8_t hmac, uint8_t hmac_mode)
{
	s->cipher = cipher;
	s->hmac = hmac;
	s->hmac_mode = hmac_mode;
}

static int session_fill_originated(struct svr_thread *t, const struct svr_work *w, uint32_t slot,
				   const struct svr_service *svc, const struct svr_policy *policy)
{
	struct svr_session *s = &t->maps->sessions[slot];
	struct svr_session_keys fresh;
	uint32_t path;
	int err;

	err = path_choose(t, svc, w->desc.path, &path);
	if (err)
		return err;
	s->path = (uint16_t)path;
	s->peer = t->maps->paths[path].peer;
	s->service = w->desc.service;
	s->tenant = w->desc.tenant;
	s->policy = (uint16_t)svc->policy;
	s->originator = 1;
	s->meta_add = 1;
	take_algorithms(s, policy->cipher, policy->hmac, policy->hmac_mode);
	if (svr_crypt_random(t->crypt, s->uuid, sizeof(s->uuid)))
		return -SVR_DROP_INTERNAL;
	svr_uuid_from_random(s->uuid);
	err = svr_session_fresh_keys(t, s, SVR_EPOCH_FIRST, &fresh);
	if (err)
		return err;
	svr_session_install_fresh(t, slot, &fresh, false);
	OPENSSL_cleanse(&fresh, sizeof(fresh));
	return 0;
}

static int originate(struct svr_thread *t, const struct svr_work *w,
		     const struct svr_flow6_key *lan, uint32_t *slot)
{
	const struct svr_service *svc = service_row(t, w->desc.service);
	const struct svr_policy *policy;
	struct svr_session *s;
	struct svr_flow f;
	int err;

	if (w->pkt.proto == IPPROTO_TCP &&
	    (w->pkt.tcp_flags & (SVR_TCPF_SYN | SVR_TCPF_ACK | SVR_TCPF_RST | SVR_TCPF_FIN)) !=
		    SVR_TCPF_SYN)
		return -SVR_DROP_NOT_SYN;
	if (!svc)
		return -SVR_DROP_NO_SERVICE;
	policy = service_policy(t, svc);
	if (!policy || policy->clear || !algorithms_ok(policy))
		return -SVR_DROP_ALGORITHM;
	if (svc->route_kind != SVR_ROUTE_PEER)
		return -SVR_DROP_NO_ROUTE;
	s = slot_begin(t, slot);
	if (!s)
		return -SVR_DROP_TABLE_FULL;
	s->lan = *lan;
	err = session_fill_originated(t, w, *slot, svc, policy);
	if (err)
		goto out;
	err = wan_flow_originate(t, s, *slot);
	if (err)
		goto out;
	flow_make(t, s, *slot, false, &f);
	err = flow_insert(t, &s->lan, &f);
	if (err) {
		flow_remove(t, &s->wan, *slot, s->generation);
		if (err == -EEXIST)
			err = -SVR_DROP_NOT_WAN_SESSION;
		goto out;
	}
	slot_live(t, *slot);
	svr_count(&t->counters, lan->zone, SVR_STAT_SESSIONS_FWD, 1);
out:
	if (err)
		slot_abort(t, *slot);
	return err;
}

int svr_session_originate(struct svr_thread *t, const struct svr_work *w,
			  const struct svr_flow6_key *lan, uint32_t *slot)
{
	const uint64_t begun_ns = svr_thread_clock_ns();
	int err = originate(t, w, lan, slot);

	if (!err)
		svr_thist(&t->stats, SVR_THIST_SETUP, svr_thread_clock_ns() - begun_ns);
	return err;
}

/* ---- set-up from metadata ------------------------------------------------------------------ */

static uint32_t name_index(const struct svr_thread *t, enum svr_name_kind kind, const char *name)
{
	struct svr_name_key key = { .kind = kind };
	uint32_t index;

	memcpy(key.name, name, strnlen(name, sizeof(key.name) - 1));
	return bpf_map_lookup_elem(t->maps->fd.names, &key, &index) ? 0 : index;
}

static bool access_allowed(const struct svr_thread *t, uint32_t service, uint32_t tenant)
{
	const struct svr_access_key key = { .service = service, .tenant = tenant };
	uint32_t allow;

	return bpf_map_lookup_elem(t->maps->fd.access, &key, &allow) == 0 && allow == 1;
}

/* Is this service one of those that cover the address? */
static bool service_covers(const struct svr_thread *t, uint32_t service,
			   const __be32 addr[static 4])
{
	struct svr_service_key key = {
		.prefixlen = 32 + 128,
		.family = htonl(svr_addr_is_mapped(addr) ? SVR_FAMILY_4 : SVR_FAMILY_6),
	};
	struct svr_service_set set;
	unsigned int i;

	svr_addr_copy(key.addr, addr);
	if (bpf_map_lookup_elem(t->maps->fd.service_lpm, &key, &set))
		return false;
	for (i = 0; i < set.count && i < SVR_MAX_SVC_PER_PREFIX; i++)
		if ((set.id[i] & ~SVR_SET_WIDER) == service)
			return true;
	return false;
}

static bool service_transports(const struct svr_service *svc, uint8_t proto, uint16_t port)
{
	unsigned int i;

	if (proto == IPPROTO_ICMPV6)
		proto = IPPROTO_ICMP; /* the configuration has one word for both */

	for (i = 0; i < svc->transports && i < SVR_MAX_TRANSPORTS; i++) {
		const struct svr_transport *tr = &svc->transport[i];

		if ((tr->proto == 0 || tr->proto == proto) && port >= tr->port_lo &&
		    port <= tr->port_hi)
			return true;
	}
	return svc->transports == 0;
}

static bool policy_agrees(const struct svr_policy *p, const struct svr_meta *m)
{
	bool encrypted = p->cipher != SVR_CIPHER_NONE;

	return !p->clear && algorithms_ok(p) && strncmp(p->name, m->policy, sizeof(p->name)) == 0 &&
	       p->cipher == m->cipher && p->hmac == m->hmac && p->hmac_mode == m->hmac_mode &&
	       svr_metadata_keys_fit(m, encrypted);
}

/*
 * docs/protocol.md section 5: everything that the terminating router must check, by its own
 * configuration.
 */
static int metadata_check(const struct svr_thread *t, const struct svr_meta *m,
			  const struct svr_flow6_key *wan, struct svr_session *s)
{
	const struct svr_policy *policy;
	const struct svr_service *svc;

	s->service = (uint16_t)name_index(t, SVR_KIND_SERVICE, m->service);
	svc = service_row(t, s->service);
	if (!svc)
		return -SVR_DROP_META_SERVICE;
	s->tenant = (uint16_t)name_index(t, SVR_KIND_TENANT, m->tenant);
	if (s->tenant == 0)
		return -SVR_DROP_META_TENANT;
	policy = service_policy(t, svc);
	if (!policy || !policy_agrees(policy, m))
		return -SVR_DROP_META_POLICY;
	s->policy = (uint16_t)svc->policy;
	s->lan = (struct svr_flow6_key){
		.sport = m->context.dport, /* the server's packets arrive from there */
		.dport = m->context.sport,
		.zone = (uint16_t)svc->zone,
		.proto = m->context.proto,
	};
	svr_addr_copy(s->lan.saddr, m->context.daddr);
	svr_addr_copy(s->lan.daddr, m->context.saddr);
	if (svr_session_wan_proto(m->context.proto) != wan->proto ||
	    m->context.proto == (svr_key_is4(&s->lan) ? IPPROTO_ICMPV6 : IPPROTO_ICMP) ||
	    !service_transports(svc, m->context.proto, ntohs(m->context.dport)) ||
	    !service_covers(t, s->service, m->context.daddr) || !svr_addr_one_host(s->lan.saddr) ||
	    !svr_addr_one_host(s->lan.daddr))
		return -SVR_DROP_META_CONTEXT;
	if (!access_allowed(t, s->service, s->tenant))
		return -SVR_DROP_NO_ACCESS;
	if (svc->route_kind != SVR_ROUTE_LOCAL || svc->zone == 0 ||
	    svc->zone >= t->maps->count.zones)
		return -SVR_DROP_NO_ROUTE;
	if (svr_meta_epoch(m) == 0)
		return -SVR_DROP_EPOCH;
	return 0;
}

/* Verified metadata replaces whatever holds a flow that it needs. */
static void flow_vacate(struct svr_thread *t, const struct svr_flow6_key *key)
{
	struct svr_flow old;
	uint32_t slot;

	switch (svr_session_of_flow(t, key, &slot, &old)) {
	case SVR_OWNER_WORKER:
		svr_session_close(t, slot, "replaced by a new session of the peer");
		break;
	case SVR_OWNER_CLEAR:
		svr_session_remove_clear(t, key, &old);
		break;
	case SVR_OWNER_NONE:
		break;
	}
}

static int flows_terminate(struct svr_thread *t, struct svr_session *s, uint32_t slot)
{
	struct svr_flow f;
	int err;

	flow_make(t, s, slot, true, &f);
	err = flow_insert(t, &s->wan, &f);
	if (!err) {
		flow_make(t, s, slot, false, &f);
		err = flow_insert(t, &s->lan, &f);
		if (err)
			flow_remove(t, &s->wan, slot, s->generation);
	}
	return err == -EEXIST ? -SVR_DROP_NOT_WAN_SESSION : err;
}

static int terminate(struct svr_thread *t, const struct svr_meta *m,
		     const struct svr_flow6_key *wan, uint32_t path,
		     const struct svr_peer_key *peer_key, uint32_t *slot)
{
	struct svr_session checked = { 0 }, *s;
	int err;

	err = metadata_check(t, m, wan, &checked);
	if (err)
		return err;
	/* All is verified: from here on the old sessions are over */
	flow_vacate(t, wan);
	flow_vacate(t, &checked.lan);
	s = slot_begin(t, slot);
	if (!s)
		return -SVR_DROP_TABLE_FULL;
	s->lan = checked.lan;
	s->service = checked.service;
	s->tenant = checked.tenant;
	s->policy = checked.policy;
	s->wan = *wan;
	s->path = (uint16_t)path;
	s->peer = t->maps->paths[path].peer;
	s->meta_add = 1;
	s->meta_seen = 1;
	/* what was checked, should the policy change in this moment */
	take_algorithms(s, m->cipher, m->hmac, m->hmac_mode);
	memcpy(s->uuid, m->uuid, sizeof(s->uuid));
	tomb_apply(t->sessions, s);
	err = svr_session_install(t, *slot, m, peer_key);
	if (!err)
		err = flows_terminate(t, s, *slot);
	if (err) {
		slot_abort(t, *slot);
		return err;
	}
	slot_live(t, *slot);
	svr_count(&t->counters, wan->zone, SVR_STAT_SESSIONS_REV, 1);
	return 0;
}

int svr_session_terminate(struct svr_thread *t, const struct svr_meta *m,
			  const struct svr_flow6_key *wan, uint32_t path,
			  const struct svr_peer_key *peer_key, uint32_t *slot)
{
	const uint64_t begun_ns = svr_thread_clock_ns();
	int err = terminate(t, m, wan, path, peer_key, slot);

	if (!err)
		svr_thist(&t->stats, SVR_THIST_SETUP, svr_thread_clock_ns() - begun_ns);
	return err;
}

/* ---- restart ------------------------------------------------------------------------------- */

static bool slot_sane(const struct svr_thread *t, const struct svr_session *s)
{
	return s->generation != 0 && s->keys[svr_epoch_newest(s)].epoch != 0 &&
	       s->lan.zone < t->maps->count.zones && s->wan.zone < t->maps->count.zones &&
	       s->path < t->maps->count.paths && s->service < t->maps->count.services &&
	       svr_hmac_tag_len(s->hmac) != 0;
}

static bool orphan_flow(const struct svr_flow6_key *key, const struct svr_flow *flow, void *user)
{
	(void)key;
	return (flow->flags & SVR_FLOW_WORKER) &&
	       !svr_session_get(user, flow->slot, flow->slot_generation);
}

int svr_sessions_adopt(struct svr_thread *t, struct svr_adopted *out)
{
	struct svr_sessions *ss = t->sessions;
	uint32_t slot;
	int n;

	*out = (struct svr_adopted){ 0 };
	for (slot = 1; slot < ss->slots.count; slot++) {
		struct svr_session *s = &t->maps->sessions[slot];

		if (s->state == SVR_SESSION_LIVE && slot_sane(t, s) &&
		    flow_present(t, &s->lan, slot, s->generation) &&
		    flow_present(t, &s->wan, slot, s->generation)) {
			s->replay_lock = 0; /* a thread that was killed may have held it */
			svr_slots_live_add(&ss->slots, slot);
			out->live++;
			continue;
		}
		tomb_set(ss, s);
		if (s->state == SVR_SESSION_FREE) {
			svr_slots_give(&ss->slots, slot);
			continue;
		}
		out->freed++;
		slot_wipe(t, slot);
	}
	n = svr_flowtable_remove_if(t->maps, orphan_flow, t);
	if (n < 0)
		return n;
	out->flows_removed = (unsigned int)n;
	return 0;
}

/* ---- expiry -------------------------------------------------------------------------------- */

static bool session_expired(const struct svr_thread *t, const struct svr_session *s)
{
	uint64_t lan_ns = __atomic_load_n(&s->last_lan_ns, __ATOMIC_RELAXED);
	uint64_t wan_ns = __atomic_load_n(&s->last_wan_ns, __ATOMIC_RELAXED);
	uint64_t last = s->created_ns;
	const struct svr_service *service = &t->maps->services[s->service];

	if (lan_ns > last)
		last = lan_ns;
	if (wan_ns > last)
		last = wan_ns;
	return t->now_ns > last &&
	       t->now_ns - last >
		       svr_session_timeout_ns(s, service,
					      svr_session_type_of_record(t->maps, s, service));
}

void svr_sessions_expire(struct svr_thread *t, uint32_t count)
{
	struct svr_sessions *ss = t->sessions;
	struct svr_slots *slots = &ss->slots;
	bool more = true;
	uint32_t slot;

	while (count-- > 0 && more) {
		svr_sessions_lock(t);
		if (ss->scan >= slots->n_live)
			ss->scan = 0;
		more = slots->n_live > 0;
		slot = more ? slots->live[ss->scan] : 0;
		if (more && session_expired(t, &t->maps->sessions[slot])) {
			svr_session_close(t, slot,
					  t->maps->sessions[slot].closing ? "ended" : "idle");
		} else if (more) {
			svr_rekey_look(t, slot);
			ss->scan++;
		}
		svr_sessions_unlock(t);
	}
	svr_sessions_lock(t);
	slots_collect(t);
	svr_sessions_unlock(t);
}
