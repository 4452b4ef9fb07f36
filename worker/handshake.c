// SPDX-License-Identifier: BSD-2-Clause
/* Metadata of the peer (docs/protocol.md section 5) and its sessions. */
#include <string.h>

#include <openssl/crypto.h>

#include <svr/drops.h>

#include "lib/epoch.h"
#include "lib/shared.h"
#include "worker/addr.h"
#include "worker/handshake.h"
#include "worker/metadata.h"
#include "worker/session_flows.h"
#include "worker/session_keys.h"
#include "worker/session_terminate.h"
#include "worker/thread.h"

static bool signed_under(const struct svr_thread *t, const struct svr_session *s, uint16_t epoch,
			 const struct svr_meta *m)
{
	const struct svr_session_keys *k =
		svr_epoch_keys_const(s, t->maps->session_others, epoch);

	return k && k->peer_key_index == m->peer_key_index;
}

/* Epoch that a block belongs to, 0: none; an IV, where there is one, tells it better. */
static uint16_t epoch_of_metadata(const struct svr_thread *t, const struct svr_session *s,
				  const struct svr_meta *m)
{
	const struct svr_epochs e = svr_session_epochs(t, s);
	const bool newest = !(m->have & SVR_HAVE_KEY_EPOCH) || m->key_epoch == e.newest;

	if (newest && signed_under(t, s, e.newest, m))
		return e.newest;
	if (signed_under(t, s, e.older, m))
		return e.older;
	return signed_under(t, s, e.newest, m) ? e.newest : 0;
}

/* Verified reverse metadata: is it about the session that we opened? */
static int reverse_check(const struct svr_thread *t, const struct svr_session *s,
			 const struct svr_meta *m)
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
	return epoch_of_metadata(t, s, m) ? 0 : -SVR_DROP_META_POLICY;
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
	const struct svr_session_keys *have =
		svr_epoch_keys_const(s, t->maps->session_others, epoch);

	if (m->cipher != s->cipher || m->hmac != s->hmac || m->hmac_mode != s->hmac_mode ||
	    !svr_metadata_keys_fit(m, encrypted))
		return -SVR_DROP_META_POLICY;
	if (!have && svr_epoch_newer(epoch, svr_session_epochs(t, s).newest))
		return svr_session_install(t, slot, m, key);
	if (!have || have->peer_key_index != m->peer_key_index)
		return -SVR_DROP_EPOCH;
	return encrypted ? same_session_key(t, s, have, m) : 0;
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
			svr_shared_set(s->meta_add, 1); /* it has not heard us yet: answer again */
			svr_count(&t->counters, w->desc.zone, SVR_STAT_META_DUPLICATE, 1);
			return 0;
		}
	}
	/* A live session may go on with an old key, a new one needs one that is in force */
	err = svr_keys_peer_rx(t->maps, t->maps->paths[path].peer, m->peer_key_index, key);
	return err ? err : svr_session_terminate(t, m, &wan, path, key, slot);
}

int svr_handshake(struct svr_thread *t, struct svr_work *w, uint32_t *slot, uint32_t path,
		  struct svr_meta *m, uint16_t *epoch)
{
	const struct svr_session *live = *slot ? &t->maps->sessions[*slot] : NULL;
	const bool reverse = live && live->originator;
	struct svr_peer_key key = { 0 };
	int err;

	err = svr_metadata_open(t, &w->pkt, path, reverse ? SVR_DIR_REV : SVR_DIR_FWD, live, m,
				&key, &w->in.window);
	if (err)
		goto out;
	if (m->unknown)
		svr_count(&t->counters, w->desc.zone, SVR_STAT_UNKNOWN_TLV, m->unknown);
	if (reverse) {
		err = reverse_check(t, live, m);
	} else {
		svr_sessions_lock(t);
		err = forward_session(t, w, path, m, &key, slot);
		svr_sessions_unlock(t);
	}
	if (!err)
		*epoch = epoch_of_metadata(t, &t->maps->sessions[*slot], m);
out:
	OPENSSL_cleanse(&key, sizeof(key));
	return err;
}
