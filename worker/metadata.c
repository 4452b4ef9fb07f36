// SPDX-License-Identifier: BSD-2-Clause
/*
 * Building, authenticating and decrypting metadata of protected sessions (docs/protocol.md sections
 * 3 and 5).
 */
#include <arpa/inet.h>
#include <string.h>
#include <openssl/crypto.h>

#include <svr/drops.h>

#include "lib/epoch.h"
#include "lib/nonce.h"
#include "lib/window.h"
#include "worker/addr.h"
#include "worker/auth.h"
#include "worker/metadata.h"
#include "worker/seal.h"
#include "worker/session_keys.h"
#include "worker/thread.h"

/* ---- build --------------------------------------------------------------------------------- */

static void name_copy(char to[static SVR_NAME_LEN], const char *from)
{
	size_t len = strnlen(from, SVR_NAME_LEN - 1);

	memset(to, 0, SVR_NAME_LEN);
	memcpy(to, from, len);
}

static int meta_fill(const struct svr_thread *t, const struct svr_session *s,
		     const struct svr_session_keys *keys, enum svr_metadata_kind kind,
		     struct svr_meta *m)
{
	const __be32 *local = t->maps->paths[s->path].local;
	const bool v4 = svr_key_is4(&s->lan);

	m->have = SVR_HAVE_SECURITY_ID | SVR_HAVE_SECURITY_PARAMS | SVR_HAVE_UUID |
		  SVR_HAVE_SOURCE_ROUTER | SVR_HAVE_PATH_ID | SVR_HAVE_NONCE;
	m->peer_key_index = keys->peer_key_index;
	m->cipher = s->cipher;
	m->hmac = s->hmac;
	m->hmac_mode = s->hmac_mode;
	m->context = (struct svr_context){
		/* as the host on our side sends it, in either direction */
		.sport = s->lan.sport,
		.dport = s->lan.dport,
		.proto = s->lan.proto,
	};
	svr_addr_copy(m->context.saddr, s->lan.saddr);
	svr_addr_copy(m->context.daddr, s->lan.daddr);
	memcpy(m->uuid, s->uuid, sizeof(m->uuid));
	name_copy(m->source_router, t->maps->router->common_name);
	if (svr_addr_is_mapped(local))
		inet_ntop(AF_INET, &local[3], m->path_id, sizeof(m->path_id));
	else
		inet_ntop(AF_INET6, local, m->path_id, sizeof(m->path_id));
	m->key_epoch = keys->epoch;
	if (kind == SVR_METADATA_KEYS)
		m->have |= SVR_HAVE_KEY_EPOCH | SVR_HAVE_KEY_PACKET;
	if (!s->originator) {
		m->have |= v4 ? SVR_HAVE_REV_CONTEXT4 : SVR_HAVE_REV_CONTEXT6;
		return 0;
	}
	m->have |= v4 ? SVR_HAVE_FWD_CONTEXT4 : SVR_HAVE_FWD_CONTEXT6;
	m->have |= SVR_HAVE_TENANT | SVR_HAVE_SERVICE | SVR_HAVE_POLICY;
	name_copy(m->tenant, t->maps->tenants[s->tenant].name);
	name_copy(m->service, t->maps->services[s->service].name);
	name_copy(m->policy, t->maps->policies[s->policy].name);
	if (keys->epoch != SVR_EPOCH_FIRST)
		m->have |= SVR_HAVE_KEY_EPOCH;
	if (s->cipher == SVR_CIPHER_NONE)
		return 0;
	m->have |= SVR_HAVE_ENCRYPTED | SVR_HAVE_SESSION_KEY | SVR_HAVE_KEY_EPOCH;
	memcpy(m->session_key, keys->session_key, sizeof(m->session_key));
	return svr_session_key_wrap(t, s, keys->epoch, m->session_key);
}

/* Payload section becomes ciphertext || IV. Length of the block or a negative drop reason. */
static int meta_encrypt(struct svr_thread *t, const struct svr_meta *m, struct svr_cipher_key *key,
			uint8_t *block)
{
	uint8_t *section = block + m->header_len;
	uint8_t iv[SVR_BLOCK_LEN];
	int len;

	if (m->header_len + svr_cbc_len(m->payload_len) + sizeof(iv) > SVR_META_MAX)
		return -SVR_DROP_INTERNAL;
	if (svr_crypt_random(t->crypt, iv, sizeof(iv)))
		return -SVR_DROP_INTERNAL;
	len = svr_cbc_encrypt(t->crypt, key, iv, section, m->payload_len);
	if (len < 0)
		return -SVR_DROP_INTERNAL;
	memcpy(section + len, iv, sizeof(iv));
	len += (int)sizeof(iv);
	svr_meta_set_payload_len(block, (uint16_t)len);
	return m->header_len + len;
}

int svr_metadata_build(struct svr_thread *t, const struct svr_session *s, uint16_t epoch,
		       enum svr_metadata_kind kind, uint8_t out[static SVR_META_MAX])
{
	struct svr_cipher_key *cipher;
	struct svr_meta_key key = { 0 };
	struct svr_fresh_keys keys = { 0 };
	struct svr_meta m = { 0 };
	int len;

	len = svr_keys_meta_tx(t->maps, s->peer, &key);
	if (len)
		goto out;
	len = -SVR_DROP_INTERNAL;
	if (!svr_session_keys_copy(t, s, epoch, &keys))
		goto out;
	/* of the peer key that the block names, which may be older than that of new sessions */
	cipher = svr_keycache_meta(&t->keycache, t->crypt, s->peer, SVR_CRYPT_TO_SEAL, &key,
				   keys.hmac_tx);
	if (!cipher)
		goto out;
	len = meta_fill(t, s, &keys.keys, kind, &m);
	if (len)
		goto out;
	len = -SVR_DROP_INTERNAL;
	m.security_id = key.index;
	m.nonce_time_ns = t->real_ns;
	if (svr_crypt_random(t->crypt, &m.nonce_random, sizeof(m.nonce_random)))
		goto out;
	if (svr_meta_build(out, SVR_META_MAX, &m) < 0)
		goto out;
	len = meta_encrypt(t, &m, cipher, out);
	if (len < 0)
		OPENSSL_cleanse(out, SVR_META_MAX);
out:
	OPENSSL_cleanse(&key, sizeof(key));
	OPENSSL_cleanse(&keys, sizeof(keys));
	OPENSSL_cleanse(&m, sizeof(m));
	return len;
}

/* ---- open ---------------------------------------------------------------------------------- */

static int algorithms_check(const struct svr_meta *m)
{
	bool known_mode = m->hmac_mode == SVR_HMAC_MODE_REGULAR ||
			  m->hmac_mode == SVR_HMAC_MODE_TIME_BASED;
	bool known_cipher = m->cipher == SVR_CIPHER_NONE || svr_cipher_is_cbc(m->cipher) ||
			    svr_cipher_is_gcm(m->cipher);

	return known_mode && known_cipher && svr_hmac_tag_len(m->hmac) != 0 ? 0 :
									      -SVR_DROP_ALGORITHM;
}

static int meta_authenticate(struct svr_thread *t, const struct svr_pkt *p, uint32_t peer,
			     uint8_t dir, const struct svr_meta *m, const struct svr_peer_key *key,
			     uint64_t *window)
{
	int err;

	struct svr_auth auth = {
		.key = svr_keycache_hmac(&t->keycache, t->crypt, peer, m->hmac, key->hmac_rx),
		.hmac = m->hmac,
		.hmac_mode = m->hmac_mode,
		.dir = dir,
		.peer = peer,
	};

	err = auth.key ? svr_auth_check(t, p, &auth) : -SVR_DROP_INTERNAL;
	*window = auth.window;
	return err;
}

/* @hmac_key: what the packet was signed with */
static int meta_decrypt(struct svr_thread *t, struct svr_pkt *p, uint32_t peer,
			const uint8_t hmac_key[static SVR_HMAC_KEY_LEN], struct svr_meta *m)
{
	uint8_t *section = p->payload + m->header_len;
	struct svr_cipher_key *cipher = NULL;
	struct svr_meta_key key;
	size_t len;
	int n;

	if (m->payload_len < 2 * SVR_BLOCK_LEN || m->payload_len % SVR_BLOCK_LEN != 0)
		return -SVR_DROP_META_DECRYPT;
	n = svr_keys_meta_rx(t->maps, m->security_id, &key);
	if (n)
		return n;
	cipher = svr_keycache_meta(&t->keycache, t->crypt, peer, SVR_CRYPT_TO_OPEN, &key, hmac_key);
	OPENSSL_cleanse(&key, sizeof(key));
	if (!cipher)
		return -SVR_DROP_INTERNAL;
	len = m->payload_len - (size_t)SVR_BLOCK_LEN;
	n = svr_cbc_decrypt(t->crypt, cipher, section + len, section, len);
	if (n < 0)
		return -SVR_DROP_META_DECRYPT;
	n = svr_meta_parse_payload(section, (size_t)n, m);
	OPENSSL_cleanse(section,
			len); /* the session key must not stay in a frame that is used again */
	return n;
}

int svr_metadata_complete(const struct svr_meta *m, uint8_t dir)
{
	const uint32_t both = SVR_HAVE_UUID | SVR_HAVE_SOURCE_ROUTER | SVR_HAVE_PATH_ID |
			      SVR_HAVE_NONCE;
	const uint32_t forward = SVR_HAVE_TENANT | SVR_HAVE_SERVICE | SVR_HAVE_POLICY;
	const bool fwd = dir == SVR_DIR_FWD;
	/* of either family */
	const uint32_t context = fwd ? SVR_HAVE_FWD_CONTEXT : SVR_HAVE_REV_CONTEXT;
	const uint32_t other = fwd ? SVR_HAVE_REV_CONTEXT : SVR_HAVE_FWD_CONTEXT;
	const uint32_t need = both | (fwd ? forward : 0);

	if (m->have & other)
		return -SVR_DROP_META_UNEXPECTED;
	return (m->have & need) == need && m->have & context ? 0 : -SVR_DROP_META_INCOMPLETE;
}

bool svr_metadata_keys_fit(const struct svr_meta *m, bool encrypted)
{
	const uint32_t keys = SVR_HAVE_ENCRYPTED | SVR_HAVE_SESSION_KEY;

	if ((m->have & keys) != (encrypted ? keys : 0))
		return false;
	return !encrypted || (m->have & SVR_HAVE_KEY_EPOCH);
}

static int sender_check(struct svr_thread *t, uint32_t peer, const struct svr_meta *m)
{
	const struct svr_nonce nonce = {
		.peer = peer,
		.time_ns = m->nonce_time_ns,
		.random = m->nonce_random,
	};
	const struct svr_nonce_clocks now = {
		.sent_ns =
			svr_clock_unshift(m->nonce_time_ns, svr_keys_clock_offset(t->maps, peer)),
		.real_ns = t->real_ns,
		.mono_ns = t->now_ns,
	};
	int err;

	if (strncmp(m->source_router, t->maps->peers[peer].common_name, SVR_NAME_LEN) != 0)
		return -SVR_DROP_META_SENDER;
	pthread_mutex_lock(&t->sessions->nonce_lock);
	err = svr_nonce_accept(t->maps->nonces, &nonce, &now);
	pthread_mutex_unlock(&t->sessions->nonce_lock);
	return err;
}

/* A live session goes on with a peer key that is not in force any more. */
static int peer_key_find(struct svr_thread *t, uint32_t peer, uint32_t index,
			 const struct svr_session *live, struct svr_peer_key *key)
{
	struct svr_fresh_keys keys;
	struct svr_epochs e;
	bool found = false;
	int i, err = 0;

	if (live && live->peer == peer) {
		e = svr_session_epochs(t, live);
		for (i = 0; i < 2 && !found; i++)
			found = svr_session_keys_copy(t, live, i ? e.older : e.newest, &keys) &&
				keys.keys.peer_key_index == index;
	}
	if (found) {
		key->index = index;
		memcpy(key->hmac_tx, keys.hmac_tx, sizeof(key->hmac_tx));
		memcpy(key->hmac_rx, keys.hmac_rx, sizeof(key->hmac_rx));
	} else {
		err = svr_keys_peer_rx(t->maps, peer, index, key);
	}
	OPENSSL_cleanse(&keys, sizeof(keys));
	return err;
}

int svr_metadata_open(struct svr_thread *t, struct svr_pkt *p, uint32_t path, uint8_t dir,
		      const struct svr_session *live, struct svr_meta *m, struct svr_peer_key *key,
		      uint64_t *window)
{
	const uint32_t both = SVR_HAVE_SECURITY_ID | SVR_HAVE_SECURITY_PARAMS;
	uint32_t peer;
	bool skew;
	int err;

	if ((m->have & both) != both)
		return -SVR_DROP_META_INCOMPLETE;
	err = algorithms_check(m);
	if (err)
		return err;
	if (path == 0 || path >= t->maps->count.paths || t->maps->paths[path].peer == 0 ||
	    t->maps->paths[path].peer >= t->maps->count.peers)
		return -SVR_DROP_UNKNOWN_PEER;
	peer = t->maps->paths[path].peer;
	if (p->payload_len <
	    m->header_len + m->payload_len + svr_seal_trailer_len(m->cipher, m->hmac, true))
		return -SVR_DROP_HMAC_MISSING;
	err = peer_key_find(t, peer, m->peer_key_index, live, key);
	if (!err)
		err = meta_authenticate(t, p, peer, dir, m, key, window);
	/*
	 * Authentic, but not of this time: a nonce that is known or old tells a copy from a wrong
	 * clock
	 */
	skew = err == -SVR_DROP_HMAC_SKEW;
	if (!err || skew)
		err = meta_decrypt(t, p, peer, key->hmac_rx, m);
	if (!err)
		err = svr_metadata_complete(m, dir);
	if (!err)
		err = sender_check(t, peer, m);
	return !err && skew ? -SVR_DROP_HMAC_SKEW : err;
}
