// SPDX-License-Identifier: BSD-2-Clause
/*
 * Key slots of a peer: previous, current, next, and how one becomes the other (docs/protocol.md
 * section 9, "Rotation"). A new key can receive before anybody sends with it, and an old one can
 * receive for a while after. What stands in struct svr_peer_keys is stored by the owner after each
 * change.
 */
#include <errno.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "lib/kdf.h"
#include "lib/peering_internal.h"

/* ---- storing and taking back ----------------------------------------------------------------- */

static void keys_save(struct svr_peering *p)
{
	p->ops->save_keys(p->user, &p->keys);
}

/*
 * To whom keys belong: both names, and the rules under which the peer's certificate was accepted.
 */
static int keys_owner(const struct svr_peering *p, uint8_t owner[static 32])
{
	const struct svr_kex_config *c = &p->config.kex;
	uint8_t in[2 * SVR_NAME_LEN + 32] = { 0 };
	int ok;

	memcpy(in, c->own_name, strnlen(c->own_name, SVR_NAME_LEN));
	memcpy(in + SVR_NAME_LEN, c->peer_name, strnlen(c->peer_name, SVR_NAME_LEN));
	/* Static keys that are changed are others: what was seen under the former ones is over */
	if (svr_peering_is_static(p))
		memcpy(in + 2 * SVR_NAME_LEN, p->config.fixed.peer.key, 32);
	else if (svr_pki_trust_digest(c->trust, in + 2 * SVR_NAME_LEN))
		return -EIO;
	ok = EVP_Q_digest(NULL, "SHA2-256", NULL, in, sizeof(in), owner, NULL);
	OPENSSL_cleanse(in, sizeof(in));
	return ok == 1 ? 0 : -EIO;
}

/* BFD is about to use a key that has sealed nothing yet. The caller stores. */
static void count_anew(struct svr_peering *p)
{
	p->key_packets = 0;
	p->keys.bfd_packets = 0;
}

static uint64_t key_packets_limit(const struct svr_peering *p)
{
	return p->config.key_packets ? p->config.key_packets : SVR_PEERING_KEY_PACKETS;
}

static bool slot_valid(const struct svr_peer_keys *keys, uint32_t slot)
{
	return slot < SVR_KEY_SLOTS && keys->peer[slot].index != 0;
}

static void plan_rekey(struct svr_peering *p, uint64_t age_ns, struct svr_now now);

/*
 * Times are not stored. The next peer key waits until the peer shows it again; the peer's next
 * metadata key may be used at once, because the peer could read it before it said so.
 */
static void restore_rotation(struct svr_peering *p)
{
	struct svr_now now = p->ops->now(p->user);
	struct svr_peer_keys *keys = &p->keys;
	uint64_t age_ns = 0;
	uint32_t i;

	p->switch_ns = p->meta_switch_ns = UINT64_MAX;
	p->retire_ns = now.mono_ns + SVR_PEERING_RETIRE_SEC * SVR_NS_PER_SEC;
	p->contact_ns = p->announced_ns = p->used_ns = now.mono_ns;
	p->detect_ns = SVR_PEERING_RETIRE_SEC * SVR_NS_PER_SEC; /* not known: the peer may be up */
	for (i = 0; i < SVR_KEY_SLOTS; i++)
		if (keys->meta[i].index && (keys->meta[i].flags & SVR_KEY_NEXT))
			p->meta_switch_ns = now.mono_ns;
	if (keys->tx == SVR_PEERING_NO_SLOT)
		for (i = 0; i < SVR_KEY_SLOTS; i++)
			keys->peer[i].flags &= ~(uint32_t)(SVR_KEY_NEXT | SVR_KEY_BFD);
	else if (now.real_ns > keys->peer[keys->tx].since_ns)
		age_ns = now.real_ns - keys->peer[keys->tx].since_ns;
	plan_rekey(p, age_ns, now);
	p->key_packets = keys->bfd_packets; /* those that were not sent count, too */
	if (p->key_packets >= key_packets_limit(p))
		p->rekey_ns = now.mono_ns;
}

bool svr_peering_is_static(const struct svr_peering *p)
{
	return p->config.fixed.peer.index != 0;
}

/* Static keys in the slots that agreed ones would have; of what was stored only the clock counts. */
static void take_fixed(struct svr_peering *p)
{
	struct svr_peer_keys *keys = &p->keys;
	const struct svr_meta_key *own = svr_peering_own_meta(p);
	uint64_t since_ns = keys->peer[0].since_ns;

	if (!since_ns)
		since_ns = p->ops->now(p->user).real_ns;
	OPENSSL_cleanse(keys->peer, sizeof(keys->peer));
	OPENSSL_cleanse(keys->meta, sizeof(keys->meta));
	keys->peer[0] = p->config.fixed.peer;
	keys->peer[0].since_ns = since_ns;
	keys->meta[0] = p->config.fixed.meta;
	keys->meta[0].since_ns = since_ns;
	keys->tx = keys->meta_tx = 0;
	p->acked = own ? own->index : 0;
}

int svr_peering_keys_restore(struct svr_peering *p, const struct svr_peer_keys *saved)
{
	struct svr_peer_keys *keys = &p->keys;
	uint8_t owner[sizeof(keys->owner)];
	int i, ret = keys_owner(p, owner);

	if (ret)
		return ret;
	if (saved && CRYPTO_memcmp(saved->owner, owner, sizeof(owner)) == 0) {
		*keys = *saved;
	} else {
		memset(keys, 0, sizeof(*keys));
		memcpy(keys->owner, owner, sizeof(owner));
	}
	if (svr_peering_is_static(p))
		take_fixed(p);
	if (!slot_valid(keys, keys->tx))
		keys->tx = SVR_PEERING_NO_SLOT;
	if (keys->meta_tx >= SVR_KEY_SLOTS || keys->meta[keys->meta_tx].index == 0)
		keys->meta_tx = SVR_PEERING_NO_SLOT;
	for (i = 0; i < SVR_KEY_SLOTS && !ret; i++)
		if (keys->peer[i].index)
			ret = svr_bfdmeta_key_init(p->config.crypt, keys->peer[i].index,
						   keys->peer[i].key, p->direction, &p->slot[i]);
	if (keys->offset_valid)
		svr_clockoff_init(&p->clock, keys->clock_offset_ns, p->ops->now(p->user));
	restore_rotation(p);
	keys_save(p);
	return ret;
}

void svr_peering_keys_clear(struct svr_peering *p)
{
	int i;

	for (i = 0; i < SVR_KEY_SLOTS; i++)
		svr_bfdmeta_key_clear(&p->slot[i]);
	svr_bfdmeta_key_clear(&p->pending);
	OPENSSL_cleanse(p->pending_key, sizeof(p->pending_key));
	OPENSSL_cleanse(&p->keys, sizeof(p->keys));
}

void svr_peering_keys_forget(struct svr_peering *p)
{
	const uint64_t count = p->keys.rekey_count;

	svr_peering_keys_clear(p);
	p->acked = 0;
	(void)svr_peering_keys_restore(p, NULL); /* nothing to set up, so nothing that fails */
	p->keys.rekey_count = count; /* whoever looks at it takes a smaller one for a mistake */
	keys_save(p);
}

int svr_peering_keys_own(struct svr_peering *p)
{
	uint8_t owner[sizeof(p->keys.owner)];
	int ret = keys_owner(p, owner);

	if (ret || memcmp(owner, p->keys.owner, sizeof(owner)) == 0)
		return ret;
	memcpy(p->keys.owner, owner, sizeof(owner));
	keys_save(p);
	return 0;
}

/* ---- which key ------------------------------------------------------------------------------- */

uint32_t svr_peering_next_key(const struct svr_peering *p)
{
	uint32_t i;

	for (i = 0; i < SVR_KEY_SLOTS; i++)
		if (p->keys.peer[i].index && (p->keys.peer[i].flags & SVR_KEY_NEXT))
			return i;
	return SVR_PEERING_NO_SLOT;
}

/* The slot that BFD packets are sealed by. */
static uint32_t bfd_slot(const struct svr_peering *p)
{
	uint32_t next = svr_peering_next_key(p);

	return next < SVR_KEY_SLOTS && (p->keys.peer[next].flags & SVR_KEY_BFD) ? next :
										  p->keys.tx;
}

/*
 * BFD packets only under the key in use and the one that follows: whoever has seen the other end
 * use the next one has stopped using those before.
 */
struct svr_bfdmeta_key *svr_peering_rx_key(struct svr_peering *p, uint32_t index,
					   enum svr_kex_seal *seal)
{
	const uint32_t slots[] = { p->keys.tx, svr_peering_next_key(p) };
	size_t i;

	*seal = SVR_KEX_SEAL_CURRENT;
	for (i = 0; i < sizeof(slots) / sizeof(slots[0]); i++)
		if (slots[i] < SVR_KEY_SLOTS && p->slot[slots[i]].index == index)
			return &p->slot[slots[i]];
	*seal = SVR_KEX_SEAL_NEW;
	return p->pending.index == index ? &p->pending : NULL;
}

struct svr_bfdmeta_key *svr_peering_tx_key(struct svr_peering *p)
{
	uint32_t slot = bfd_slot(p);

	/*
	 * A peer that has no key of ours takes from AUTH_I on only what is sealed by the new key;
	 * so everything is, or its detection time would pass while AUTH_R is lost. Under a
	 * confirmed key nothing changes until the new one is confirmed too.
	 */
	if (p->kex.x.phase == SVR_KEX_PHASE_AUTH_SENT && !p->kex.x.authenticated &&
	    p->pending.index)
		return &p->pending;
	return slot < SVR_KEY_SLOTS ? &p->slot[slot] : NULL;
}

struct svr_bfdmeta_key *svr_peering_key_for(struct svr_peering *p, enum svr_kex_seal seal)
{
	uint32_t i, slot = bfd_slot(p);

	if (seal == SVR_KEX_SEAL_NEW) {
		if (p->pending.index)
			return &p->pending;
		for (i = 0; i < SVR_KEY_SLOTS; i++)
			if (p->slot[i].index == p->kex.x.key_index)
				return &p->slot[i];
	}
	return seal != SVR_KEX_SEAL_NONE && slot < SVR_KEY_SLOTS ? &p->slot[slot] : NULL;
}

/*
 * The key is used up and the peer agrees no other one under it. It seals nothing more, as if it
 * were lost: the peer notices by its detection time, and both start anew. What the peer sends until
 * then can be read.
 */
static void drop_keys(struct svr_peering *p)
{
	uint32_t i;

	svr_peering_log(p, true, "peer key is used up and could not be replaced: given up");
	for (i = 0; i < SVR_KEY_SLOTS; i++)
		p->keys.peer[i].flags = p->keys.peer[i].index ? SVR_KEY_RX : 0;
	p->keys.tx = SVR_PEERING_NO_SLOT;
	p->switch_ns = p->rekey_ns = UINT64_MAX;
	count_anew(p);
	keys_save(p);
}

bool svr_peering_count_packet(struct svr_peering *p, const struct svr_bfdmeta_key *key)
{
	uint64_t limit = key_packets_limit(p);
	uint64_t hard = p->config.key_packets ? 4 * limit : SVR_PEERING_KEY_PACKETS_HARD;

	if (!key || key == &p->pending || svr_peering_is_static(p))
		return true; /* nothing could take the place of a static key */
	if (p->key_packets >= hard) {
		drop_keys(p);
		return false;
	}
	if (p->key_packets >= p->keys.bfd_packets) {
		p->keys.bfd_packets = p->key_packets + SVR_PEERING_KEY_PACKETS_AHEAD;
		keys_save(p); /* before the packet leaves */
	}
	if (++p->key_packets == limit)
		p->rekey_ns = 0;
	return true;
}

/* ---- rotation -------------------------------------------------------------------------------- */

static uint64_t random_below(struct svr_peering *p, uint64_t below)
{
	uint64_t r = 0;

	if (!below || p->ops->random(p->user, &r, sizeof(r)))
		return 0;
	return r % below;
}

/*
 * The smaller name starts, between 80 and 100 % of the interval, so that many peers do not rekey at
 * once; the larger one only if nothing comes. @age_ns: of the key
 */
static void plan_rekey(struct svr_peering *p, uint64_t age_ns, struct svr_now now)
{
	uint64_t interval_ns = p->config.rekey_ms * SVR_NS_PER_MS, at_ns;
	const uint64_t percent = 100, jitter = 20, smaller = 80, larger = 110;

	p->rekey_ns = UINT64_MAX;
	if (!interval_ns || p->keys.tx == SVR_PEERING_NO_SLOT)
		return;
	at_ns = interval_ns / percent *
		((p->direction == 0 ? smaller : larger) + random_below(p, jitter + 1));
	/* Overdue, because nobody was running: again not all at once. */
	p->rekey_ns = now.mono_ns +
		      (at_ns > age_ns ? at_ns - age_ns : random_below(p, interval_ns / 10 + 1));
}

static void retry_rekey(struct svr_peering *p, struct svr_now now)
{
	uint64_t ms = p->config.rekey_ms / 10;

	if (ms < SVR_PEERING_REKEY_RETRY_MIN_MS)
		ms = SVR_PEERING_REKEY_RETRY_MIN_MS;
	if (ms > SVR_PEERING_REKEY_RETRY_MAX_MS)
		ms = SVR_PEERING_REKEY_RETRY_MAX_MS;
	p->rekey_ns = now.mono_ns + (ms + random_below(p, ms)) * SVR_NS_PER_MS;
}

/* Ours, and that of the peer, which hears us as often as both allow. */
static uint64_t longest_detection_ns(const struct svr_peering *p)
{
	uint64_t us = 0;
	unsigned int i;

	for (i = 0; i < p->n_paths; i++) {
		const struct svr_bfd *bfd = &p->paths[i].bfd;
		uint64_t peers_us = bfd->tx_interval_us * bfd->config.detect_mult;

		if (bfd->state != SVR_BFD_UP || p->paths[i].config.plain)
			continue;
		if (bfd->detect_us > us)
			us = bfd->detect_us;
		if (peers_us > us)
			us = peers_us;
	}
	return us * SVR_NS_PER_US;
}

void svr_peering_note_contact(struct svr_peering *p, bool up, struct svr_now now)
{
	uint64_t detect_ns = longest_detection_ns(p);

	if (up || p->contact)
		p->contact_ns = now.mono_ns;
	if (up)
		p->detect_ns = detect_ns;
	p->contact = up;
}

/* From now on sessions are made and messages sent under this key. */
static void set_tx(struct svr_peering *p, uint32_t slot, struct svr_now now)
{
	bool other = bfd_slot(p) != slot;
	uint32_t i;

	for (i = 0; i < SVR_KEY_SLOTS; i++)
		p->keys.peer[i].flags = p->keys.peer[i].index ? SVR_KEY_RX : 0;
	p->keys.peer[slot].flags = SVR_KEY_RX | SVR_KEY_TX;
	p->keys.tx = slot;
	p->used_ns = now.mono_ns;
	p->switch_ns = UINT64_MAX;
	p->retire_ns = now.mono_ns + SVR_PEERING_RETIRE_SEC * SVR_NS_PER_SEC + p->detect_ns;
	if (other)
		count_anew(p);
	plan_rekey(p, 0, now);
}

static void retire(struct svr_peering *p)
{
	uint32_t i, next = svr_peering_next_key(p);

	p->retire_ns = UINT64_MAX;
	for (i = 0; i < SVR_KEY_SLOTS; i++) {
		if (i == p->keys.tx || i == next || !p->keys.peer[i].index)
			continue;
		OPENSSL_cleanse(&p->keys.peer[i], sizeof(p->keys.peer[i]));
		svr_bfdmeta_key_clear(&p->slot[i]);
	}
	keys_save(p);
}

void svr_peering_peer_uses(struct svr_peering *p, uint32_t index, struct svr_now now)
{
	uint32_t next = svr_peering_next_key(p);

	if (next == SVR_PEERING_NO_SLOT || p->keys.peer[next].index != index)
		return;
	if (!(p->keys.peer[next].flags & SVR_KEY_BFD)) {
		p->keys.peer[next].flags |= SVR_KEY_BFD;
		count_anew(p);
		keys_save(p);
		svr_kex_cancel_authenticated(&p->kex);
		svr_peering_send_all(p); /* the peer waits for the same sign */
	}
	if (p->switch_ns == UINT64_MAX)
		p->switch_ns = now.mono_ns + p->config.hold_ms * SVR_NS_PER_MS;
}

bool svr_peering_in_service(const struct svr_peering *p)
{
	unsigned int i;

	for (i = 0; i < p->n_paths; i++)
		if (p->paths[i].state.status == SVR_PATH_UP)
			return true;
	return false;
}

static void meta_switch(struct svr_peering *p)
{
	struct svr_peer_keys *keys = &p->keys;
	uint32_t i;

	p->meta_switch_ns = UINT64_MAX;
	for (i = 0; i < SVR_KEY_SLOTS; i++) {
		if (!keys->meta[i].index || !(keys->meta[i].flags & SVR_KEY_NEXT)) {
			keys->meta[i].flags = 0;
			continue;
		}
		keys->meta[i].flags = SVR_KEY_TX;
		keys->meta_tx = i;
	}
	keys_save(p);
}

/*
 * The hold time is for packets and other nodes under way; without a path in service there is
 * nothing to wait for, and the other end may have forgotten the older key by the time that one is
 * back.
 */
void svr_peering_rotate(struct svr_peering *p, struct svr_now now)
{
	bool idle = !svr_peering_in_service(p);

	if (p->switch_ns != UINT64_MAX && (idle || now.mono_ns >= p->switch_ns)) {
		set_tx(p, svr_peering_next_key(p), now);
		keys_save(p);
	}
	if (p->meta_switch_ns != UINT64_MAX && (idle || now.mono_ns >= p->meta_switch_ns))
		meta_switch(p);
	if (now.mono_ns >= p->retire_ns)
		retire(p);
	if (now.mono_ns >= p->rekey_ns) {
		retry_rekey(p, now); /* unless it succeeds */
		svr_peering_rekey(p);
	}
}

static uint64_t earlier(uint64_t a_ns, uint64_t b_ns)
{
	return a_ns < b_ns ? a_ns : b_ns;
}

uint64_t svr_peering_rotate_next(const struct svr_peering *p)
{
	return earlier(earlier(p->switch_ns, p->meta_switch_ns),
		       earlier(p->retire_ns, p->rekey_ns));
}

/* ---- from the key exchange ------------------------------------------------------------------- */

bool svr_peering_index_free(void *user, uint32_t index)
{
	const struct svr_peering *p = user;
	int i;

	for (i = 0; i < SVR_KEY_SLOTS; i++)
		if (p->keys.peer[i].index == index)
			return false;
	return true;
}

/*
 * Not while a key waits that the peer has shown, or that we have shown it: it would be forgotten in
 * use. Not before what was sent under the key before has arrived: two keys later its slot is
 * needed. And not before the peer has the current metadata key, for which a piece leaves no room.
 */
bool svr_peering_may_rekey(void *user)
{
	const struct svr_peering *p = user;
	uint64_t used_ns = p->ops->now(p->user).mono_ns - p->used_ns;
	uint32_t next = svr_peering_next_key(p);

	return !svr_peering_is_static(p) &&
	       (next == SVR_PEERING_NO_SLOT || !(p->keys.peer[next].flags & SVR_KEY_BFD)) &&
	       used_ns >= p->config.hold_ms * SVR_NS_PER_MS && svr_peering_meta_acked(p);
}

int svr_peering_pending(void *user, uint32_t index, const uint8_t *key)
{
	struct svr_peering *p = user;
	unsigned int i;
	int ret;

	svr_bfdmeta_key_clear(&p->pending);
	OPENSSL_cleanse(p->pending_key, sizeof(p->pending_key));
	for (i = 0; i < p->n_paths; i++) {
		p->paths[i].pending_key = 0;
		p->paths[i].pending_seq = 0;
	}
	if (!key)
		return 0;
	ret = svr_bfdmeta_key_init(p->config.crypt, index, key, p->direction, &p->pending);
	if (!ret)
		memcpy(p->pending_key, key, sizeof(p->pending_key));
	return ret;
}

/* The one after that in use: the oldest goes. */
static uint32_t install_slot(const struct svr_peering *p)
{
	uint32_t i;

	if (p->keys.tx < SVR_KEY_SLOTS)
		return (p->keys.tx + 1) % SVR_KEY_SLOTS;
	for (i = 0; i < SVR_KEY_SLOTS; i++)
		if (!p->keys.peer[i].index)
			return i;
	return 0;
}

/* The pending key into its slot. */
static uint32_t install(struct svr_peering *p, struct svr_now now)
{
	uint32_t slot = install_slot(p);
	struct svr_peer_key *k = &p->keys.peer[slot];
	uint8_t hmac[2][SVR_HMAC_KEY_LEN];

	OPENSSL_cleanse(k, sizeof(*k));
	k->index = p->pending.index;
	k->flags = SVR_KEY_RX;
	k->since_ns = now.real_ns;
	memcpy(k->key, p->pending_key, sizeof(k->key));
	if (!svr_kdf_session_hmac(k->key, hmac)) {
		memcpy(k->hmac_tx, hmac[p->direction], sizeof(k->hmac_tx));
		memcpy(k->hmac_rx, hmac[!p->direction], sizeof(k->hmac_rx));
	} else {
		OPENSSL_cleanse(k, sizeof(*k)); /* fail closed: no key */
	}
	OPENSSL_cleanse(hmac, sizeof(hmac));
	svr_bfdmeta_key_clear(&p->slot[slot]);
	p->slot[slot] = p->pending;
	memset(&p->pending, 0, sizeof(p->pending));
	OPENSSL_cleanse(p->pending_key, sizeof(p->pending_key));
	return slot;
}

/* What the peer sent under the key while it was pending counts from now on as authentic. */
static void paths_confirmed(struct svr_peering *p, uint32_t index, struct svr_now now)
{
	unsigned int i;

	for (i = 0; i < p->n_paths; i++) {
		struct svr_peering_path *path = &p->paths[i];

		if (path->pending_key != index)
			continue;
		svr_peering_rx_seq_set(path, index, SVR_KEX_SEAL_CURRENT, path->pending_seq);
		path->pending_key = 0;
		path->state.flags |= SVR_PATH_AUTHENTIC;
		path->auth_until_ns = now.mono_ns + path->bfd.detect_us * SVR_NS_PER_US;
		p->ops->save_path(p->user, path->number, &path->state);
	}
}

void svr_peering_confirmed(void *user, const uint8_t *fingerprint, bool authenticated,
			   struct svr_now now)
{
	struct svr_peering *p = user;
	bool responder = p->kex.x.phase == SVR_KEX_PHASE_DONE;
	uint32_t i, slot = install(p, now);

	memcpy(p->keys.cert_fingerprint, fingerprint, sizeof(p->keys.cert_fingerprint));
	p->keys.rekey_count++;
	if (!authenticated) {
		/* One of both has lost its keys, the metadata key with them: it sends a new one. */
		for (i = 0; i < SVR_KEY_SLOTS; i++)
			p->keys.meta[i].flags = 0;
		/* Acknowledged now, the one of before would never be sent again. */
		for (i = 0; i < p->n_paths; i++)
			p->paths[i].ack_due = 0;
		p->keys.meta_tx = SVR_PEERING_NO_SLOT;
		p->meta_switch_ns = UINT64_MAX;
		p->acked = 0;
		p->announced_ns = now.mono_ns;
		set_tx(p, slot, now);
	} else {
		/*
		 * The initiator has heard AUTH_R, so the peer has the key. The responder waits
		 * until the peer shows it, or nobody could say when it heard AUTH_R.
		 */
		p->keys.peer[slot].flags = SVR_KEY_RX | SVR_KEY_NEXT;
		if (!responder)
			p->keys.peer[slot].flags |= SVR_KEY_BFD;
		if (!responder)
			count_anew(p);
		p->switch_ns = UINT64_MAX;
	}
	p->reason[0] = '\0';
	paths_confirmed(p, p->keys.peer[slot].index, now);
	keys_save(p);
	if (p->ops->authenticated)
		p->ops->authenticated(p->user, p->kex.x.peer);
	p->ops->new_key(p->user, &p->keys.peer[slot]);
}

/* ---- metadata keys --------------------------------------------------------------------------- */

const struct svr_meta_key *svr_peering_own_meta(const struct svr_peering *p)
{
	const struct svr_own_keys *own = p->config.own;

	if (own->current >= SVR_KEY_SLOTS || own->meta[own->current].index == 0)
		return NULL;
	return &own->meta[own->current];
}

bool svr_peering_meta_received(const struct svr_peering *p)
{
	return p->keys.meta_tx < SVR_KEY_SLOTS;
}

bool svr_peering_meta_acked(const struct svr_peering *p)
{
	const struct svr_meta_key *own = svr_peering_own_meta(p);

	return own && own->index == p->acked;
}

bool svr_peering_meta_settled(const struct svr_peering *p, struct svr_now now)
{
	/* of the peer, and then for what is under way */
	uint64_t wait_ns = 2 * p->config.hold_ms * SVR_NS_PER_MS + p->detect_ns;

	if (svr_peering_meta_acked(p))
		return now.mono_ns - p->acked_ns > wait_ns;
	if (p->contact) /* a peer that never answers must not keep keys alive for ever */
		return now.mono_ns - p->announced_ns > p->config.kex.timeout_s * SVR_NS_PER_SEC;
	/* A packet from before the announcement may bring the peer's BFD up: that is contact, too. */
	if (p->announced_ns > p->contact_ns)
		return now.mono_ns - p->announced_ns > wait_ns;
	return now.mono_ns - p->contact_ns > wait_ns;
}

static uint32_t meta_find(const struct svr_peer_keys *keys, uint32_t index)
{
	uint32_t i;

	for (i = 0; i < SVR_KEY_SLOTS; i++)
		if (keys->meta[i].index == index)
			return i;
	return SVR_PEERING_NO_SLOT;
}

/* Where a new metadata key of the peer goes: never into the slot in use. */
static uint32_t meta_slot(const struct svr_peer_keys *keys)
{
	uint32_t i;

	for (i = 0; i < SVR_KEY_SLOTS; i++)
		if (keys->meta[i].index && (keys->meta[i].flags & SVR_KEY_NEXT))
			return i;
	return keys->meta_tx < SVR_KEY_SLOTS ? (keys->meta_tx + 1) % SVR_KEY_SLOTS : 0;
}

/*
 * An announcement that was overtaken, on another path say, by that of a newer key: indexes count
 * up, and no more keys than there are slots can be under way.
 */
static bool meta_overtaken(const struct svr_peer_keys *keys, uint32_t index)
{
	uint32_t newest = keys->meta_tx, i;

	for (i = 0; i < SVR_KEY_SLOTS; i++)
		if (keys->meta[i].index && (keys->meta[i].flags & SVR_KEY_NEXT))
			newest = i;
	return newest < SVR_KEY_SLOTS && keys->meta[newest].index != index &&
	       keys->meta[newest].index - index <= SVR_KEY_SLOTS;
}

bool svr_peering_meta_install(struct svr_peering *p, uint32_t index,
			      const uint8_t key[static SVR_META_KEY_LEN], struct svr_now now)
{
	struct svr_peer_keys *keys = &p->keys;
	uint32_t slot = meta_find(keys, index), i;
	/* the same number for another key: the peer has lost the one before */
	bool at_once = keys->meta_tx == SVR_PEERING_NO_SLOT || slot == keys->meta_tx ||
		       !svr_peering_in_service(p);
	struct svr_meta_key *m;

	if (slot < SVR_KEY_SLOTS && keys->meta[slot].flags &&
	    CRYPTO_memcmp(keys->meta[slot].key, key, SVR_META_KEY_LEN) == 0)
		return false;
	if (meta_overtaken(keys, index))
		return false;
	if (slot == SVR_PEERING_NO_SLOT)
		slot = meta_slot(keys);

	for (i = 0; i < SVR_KEY_SLOTS; i++)
		keys->meta[i].flags &= ~(uint32_t)SVR_KEY_NEXT;
	m = &keys->meta[slot];
	OPENSSL_cleanse(m, sizeof(*m));
	m->index = index;
	m->flags = SVR_KEY_NEXT;
	m->since_ns = now.real_ns;
	memcpy(m->key, key, sizeof(m->key));
	/* The peer could read it before it said so. */
	if (at_once)
		meta_switch(p);
	else
		p->meta_switch_ns = now.mono_ns + p->config.hold_ms * SVR_NS_PER_MS;
	keys_save(p);
	return true;
}

/* ---- sequence numbers ------------------------------------------------------------------------ */

uint64_t svr_peering_rx_seq(const struct svr_peering_path *path, uint32_t index,
			    enum svr_kex_seal seal)
{
	if (seal == SVR_KEX_SEAL_NEW)
		return path->pending_key == index ? path->pending_seq : 0;
	if (path->state.rx_key == index)
		return path->state.rx_seq;
	return path->state.rx_key_prev == index ? path->state.rx_seq_prev : 0;
}

void svr_peering_rx_seq_set(struct svr_peering_path *path, uint32_t index, enum svr_kex_seal seal,
			    uint64_t seq)
{
	const struct svr_peer_keys *keys = &path->peering->keys;
	uint32_t used = keys->tx < SVR_KEY_SLOTS ? keys->peer[keys->tx].index : 0;
	struct svr_path_state *st = &path->state;

	if (seal == SVR_KEX_SEAL_NEW) {
		path->pending_key = index;
		path->pending_seq = seq;
	} else if (st->rx_key != index && st->rx_key_prev == index) {
		st->rx_seq_prev = seq;
	} else {
		/* What is known of the key in use stays, also if two others follow each other. */
		if (st->rx_key != index && (st->rx_key_prev != used || !used)) {
			st->rx_key_prev = st->rx_key;
			st->rx_seq_prev = st->rx_seq;
		}
		st->rx_key = index;
		st->rx_seq = seq;
	}
}
