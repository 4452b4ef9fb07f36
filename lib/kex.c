// SPDX-License-Identifier: BSD-2-Clause
/*
 * Key-exchange state machine (docs/protocol.md section 9). The order in each handler: cheap checks,
 * certificate, rate limit, the expensive step, and only then the state changes; so a message that
 * is refused leaves no trace but its reason.
 */
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
#include "lib/kex.h"

enum {
	KEX_HASH_LEN = 48, /* SHA-384 */
	KEX_RANDOM_TRIES = 8,
};

static const char kex_signature_label[] = "svr1 key exchange"; /* with its NUL */

static uint64_t ms_ns(uint64_t ms)
{
	return ms * SVR_NS_PER_MS;
}

static void bytes_clear(struct svr_kex_bytes *b)
{
	free(b->data);
	*b = (struct svr_kex_bytes){ 0 };
}

const char *svr_kex_state_name(enum svr_kex_state state)
{
	switch (state) {
#define X(id, name, text)        \
	case SVR_KEX_STATE_##id: \
		return name;
		SVR_KEX_STATES(X)
#undef X
	}
	return "?";
}

void svr_kex_set_state(struct svr_kex *k, enum svr_kex_state state, const char *why)
{
	char line[512];

	if (state == k->state)
		return;
	snprintf(line, sizeof(line), "%s -> %s%s%s", svr_kex_state_name(k->state),
		 svr_kex_state_name(state), why ? ": " : "", why ? why : "");
	k->state = state;
	k->ops->log(k->user, state == SVR_KEX_STATE_CERT_EXCH_FAIL, line);
}

static void exchange_clear(struct svr_kex *k)
{
	struct svr_kex_exchange *x = &k->x;

	k->ops->dh->free(x->secret);
	bytes_clear(&x->init);
	bytes_clear(&x->resp);
	bytes_clear(&x->auth);
	svr_pki_peer_free(x->peer);
	OPENSSL_cleanse(x, sizeof(*x));
	x->next_ns = UINT64_MAX;
}

/* Gives the exchange up, with the key that was not confirmed. */
static void exchange_abandon(struct svr_kex *k)
{
	bool had_pending = k->x.phase == SVR_KEX_PHASE_RESP_SENT ||
			   k->x.phase == SVR_KEX_PHASE_AUTH_SENT;

	exchange_clear(k);
	if (had_pending)
		k->ops->pending(k->user, 0, NULL);
}

/* A try that failed: named, counted, shown. Returns @drop. */
static int kex_fail(struct svr_kex *k, int drop, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
static int kex_fail(struct svr_kex *k, int drop, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(k->reason, sizeof(k->reason), fmt, ap);
	va_end(ap);
	k->failures++;
	svr_kex_set_state(k, SVR_KEX_STATE_CERT_EXCH_FAIL, k->reason);
	return drop;
}

/* ---- sending --------------------------------------------------------------------------------- */

static void send_message(struct svr_kex *k, int path, enum svr_kex_message message,
			 enum svr_kex_seal seal, const struct svr_kex_bytes *bytes)
{
	unsigned int i, count = svr_kexmsg_pieces(bytes->len);
	struct svr_kex_piece piece;

	for (i = 0; i < count; i++) {
		svr_kexmsg_cut(message, k->x.id, bytes->data, bytes->len, i, &piece);
		k->ops->send(k->user, path, seal, &piece);
	}
}

static enum svr_kex_seal seal_of(const struct svr_kex_exchange *x)
{
	return x->authenticated ? SVR_KEX_SEAL_CURRENT : SVR_KEX_SEAL_NONE;
}

static void send_refused(struct svr_kex *k, int path, enum svr_kex_seal seal, uint64_t id, int drop)
{
	struct svr_kex_fields f = { .exchange = id, .reason = (uint16_t)-drop };
	struct svr_kex_piece piece;
	uint8_t message[64];
	int len = svr_kexmsg_build(SVR_KEX_REFUSED, &f, message, sizeof(message));

	if (len < 0)
		return;
	svr_kexmsg_cut(SVR_KEX_REFUSED, id, message, (size_t)len, 0, &piece);
	k->ops->send(k->user, path, seal, &piece);
}

/* ---- parts of the exchange ------------------------------------------------------------------- */

static void fields_identity(const struct svr_kex *k, struct svr_kex_fields *f)
{
	size_t len;

	f->name = k->config.own_name;
	f->name_len = strlen(k->config.own_name);
	while (f->chain_count < SVR_PKI_CHAIN_MAX) {
		const uint8_t *der = svr_pki_identity_der(k->config.identity, f->chain_count, &len);

		if (!der)
			break;
		f->chain[f->chain_count++] = (struct svr_pki_der){ der, len };
	}
}

static int build(enum svr_kex_message message, const struct svr_kex_fields *f,
		 struct svr_kex_bytes *out)
{
	uint8_t *data = malloc(SVR_KEX_MESSAGE_MAX);
	int len;

	if (!data)
		return -ENOMEM;
	len = svr_kexmsg_build(message, f, data, SVR_KEX_MESSAGE_MAX);
	if (len < 0) {
		free(data);
		return len;
	}
	*out = (struct svr_kex_bytes){ data, (size_t)len };
	return 0;
}

/* Takes the bytes out of the buffer of a path. */
static struct svr_kex_bytes take(struct svr_kex_buffer *buffer)
{
	struct svr_kex_bytes bytes = { buffer->data, buffer->total };

	buffer->data = NULL;
	svr_kex_buffer_clear(buffer);
	return bytes;
}

/* T: everything that both sides said before the signatures. */
static int make_transcript(const struct svr_kex_bytes *init, const struct svr_kex_bytes *resp,
			   uint8_t out[static KEX_HASH_LEN])
{
	const struct svr_kex_bytes *part[] = { init, resp };
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	int ok = ctx && EVP_DigestInit_ex(ctx, EVP_sha384(), NULL) == 1;
	uint8_t len[4];
	size_t i;

	for (i = 0; ok && i < 2; i++) {
		svr_put32(len, (uint32_t)part[i]->len);
		ok = EVP_DigestUpdate(ctx, len, sizeof(len)) == 1 &&
		     EVP_DigestUpdate(ctx, part[i]->data, part[i]->len) == 1;
	}
	ok = ok && EVP_DigestFinal_ex(ctx, out, NULL) == 1;
	EVP_MD_CTX_free(ctx);
	return ok ? 0 : -EIO;
}

/*
 * The expensive step of both roles; needs nothing but its arguments, so it can be given to another
 * thread.
 */
static int make_key(const struct svr_dh_ops *dh, const struct svr_dh_secret *secret, uint16_t group,
		    const uint8_t *peer_value, const struct svr_kex_exchange *x,
		    uint8_t key[static SVR_PEER_KEY_LEN])
{
	uint8_t salt[2 * SVR_KEX_SALT_LEN], z[SVR_DH_MAX_LEN];
	int ret = dh->derive(secret, peer_value, z);

	memcpy(salt, x->salt_i, SVR_KEX_SALT_LEN);
	memcpy(salt + SVR_KEX_SALT_LEN, x->salt_r, SVR_KEX_SALT_LEN);
	if (!ret)
		ret = svr_kdf(salt, sizeof(salt), z, svr_dh_len(group), "peer key", x->transcript,
			      KEX_HASH_LEN, key, SVR_PEER_KEY_LEN);
	OPENSSL_cleanse(z, sizeof(z));
	return ret;
}

enum { SIGNED_LEN = sizeof(kex_signature_label) + 1 + KEX_HASH_LEN };

static void signed_bytes(const struct svr_kex_exchange *x, char role,
			 uint8_t out[static SIGNED_LEN])
{
	memcpy(out, kex_signature_label, sizeof(kex_signature_label));
	out[sizeof(kex_signature_label)] = (uint8_t)role;
	memcpy(out + sizeof(kex_signature_label) + 1, x->transcript, KEX_HASH_LEN);
}

static int make_auth(const struct svr_kex *k, struct svr_kex_exchange *x,
		     enum svr_kex_message message)
{
	uint8_t in[SIGNED_LEN], sig[SVR_PKI_SIGNATURE_MAX];
	struct svr_kex_fields f = { .exchange = x->id, .signature = sig };
	int len;

	signed_bytes(x, message == SVR_KEX_AUTH_I ? 'I' : 'R', in);
	len = svr_pki_sign(k->config.identity, in, sizeof(in), sig);
	if (len < 0)
		return len;
	f.signature_len = (size_t)len;
	return build(message, &f, &x->auth);
}

static int check_auth(const struct svr_kex_exchange *x, enum svr_kex_message message,
		      const struct svr_kex_fields *f)
{
	uint8_t in[SIGNED_LEN];

	signed_bytes(x, message == SVR_KEX_AUTH_I ? 'I' : 'R', in);
	return svr_pki_peer_check_signature(x->peer, in, sizeof(in), f->signature,
					    f->signature_len);
}

/*
 * AUTH was sealed by the new key, so it comes from the other end of this Diffie-Hellman: whoever
 * that is, it is not the peer.
 */
static int bad_signature(struct svr_kex *k)
{
	exchange_abandon(k);
	return kex_fail(k, -SVR_DROP_KEX_SIGNATURE,
			"signature over the key exchange does not fit the peer's certificate");
}

/*
 * What INIT and RESP have in common: who it is. 0 or a negative drop reason with words in
 * k->reason.
 */
static int check_identity(struct svr_kex *k, const struct svr_kex_fields *f, struct svr_now now,
			  struct svr_pki_peer **peer)
{
	const uint8_t *own = svr_pki_identity_fingerprint(k->config.identity);
	char why[sizeof(k->reason)];
	size_t i;

	if (f->name_len != strlen(k->config.peer_name) ||
	    memcmp(f->name, k->config.peer_name, f->name_len) != 0) {
		char name[SVR_NAME_LEN] = "";

		for (i = 0; i < f->name_len; i++)
			name[i] = f->name[i] > ' ' && f->name[i] < 0x7f ? f->name[i] : '?';
		return kex_fail(k, -SVR_DROP_KEX_CERTIFICATE,
				"common name of the peer is %s, expected %s", name,
				k->config.peer_name);
	}
	if (svr_pki_verify(k->config.trust, f->chain, f->chain_count, k->config.peer_name, own,
			   (int64_t)(now.real_ns / SVR_NS_PER_SEC), peer, why, sizeof(why)))
		return kex_fail(k, -SVR_DROP_KEX_CERTIFICATE, "%s", why);
	return 0;
}

static bool group_allowed(const struct svr_kex *k, uint16_t group)
{
	return svr_dh_len(group) >= svr_dh_len(k->config.group);
}

/* One unit of expensive work for this peer and, then, for all. */
static bool may_compute(struct svr_kex *k, uint64_t now_ns)
{
	if (now_ns < k->compute_ns || !k->ops->may_compute(k->user, now_ns))
		return false;
	k->compute_ns = now_ns + ms_ns(SVR_KEX_COMPUTE_MS);
	return true;
}

static void note_peer(struct svr_kex *k, const uint8_t *own_salt, const uint8_t *peer_salt)
{
	k->cert_received = true;
	k->salt_received = true;
	memcpy(k->own_salt, own_salt, sizeof(k->own_salt));
	memcpy(k->peer_salt, peer_salt, sizeof(k->peer_salt));
}

static void note_start(struct svr_kex *k)
{
	k->exchanges++;
	k->cert_received = false;
	k->cert_acked = false;
	k->salt_received = false;
	k->salt_acked = false;
	memset(k->peer_salt, 0, sizeof(k->peer_salt));
}

static void kex_confirmed(struct svr_kex *k, struct svr_now now)
{
	k->cert_acked = true;
	k->salt_acked = true;
	k->reason[0] = '\0';
	k->timed_out = false;
	k->backoff_ns = 0;
	svr_kex_set_state(k, SVR_KEX_STATE_PKEY_EXCH_COMP, NULL);
	k->ops->confirmed(k->user, svr_pki_peer_fingerprint(k->x.peer), k->x.authenticated, now);
}

/* ---- initiator ------------------------------------------------------------------------------- */

static int choose_index(struct svr_kex *k, uint32_t *index)
{
	int i;

	for (i = 0; i < KEX_RANDOM_TRIES; i++) {
		if (k->ops->random(k->user, index, sizeof(*index)))
			return -EIO;
		if (*index != 0 && k->ops->index_free(k->user, *index))
			return 0;
	}
	return -EIO;
}

static int make_init(struct svr_kex *k, struct svr_kex_exchange *x)
{
	uint8_t public_value[SVR_DH_MAX_LEN];
	struct svr_kex_fields f = {
		.groups = { k->config.group },
		.group_count = 1,
		.group = k->config.group,
		.salt = x->salt_i,
		.public_value = public_value,
		.public_len = svr_dh_len(k->config.group),
	};
	int ret = -EIO;

	x->group = k->config.group;
	if (k->ops->random(k->user, &x->id, sizeof(x->id)) ||
	    k->ops->random(k->user, x->salt_i, sizeof(x->salt_i)))
		return ret;
	ret = choose_index(k, &x->key_index);
	if (!ret)
		ret = k->ops->dh->generate(x->group, &x->secret, public_value);
	if (ret)
		return ret;
	f.exchange = x->id;
	f.key_index = x->key_index;
	fields_identity(k, &f);
	return build(SVR_KEX_INIT, &f, &x->init);
}

/* @authenticated: under the confirmed key, to replace it. 0 or negative errno. */
static int kex_start(struct svr_kex *k, bool authenticated, struct svr_now now)
{
	struct svr_kex_exchange *x = &k->x;
	int ret;

	if (!may_compute(k, now.mono_ns)) {
		if (!authenticated)
			k->start_ns = now.mono_ns + ms_ns(SVR_KEX_COMPUTE_MS);
		return -EAGAIN;
	}
	k->start_ns = UINT64_MAX;
	exchange_abandon(k);
	note_start(k);
	ret = make_init(k, x);
	if (ret) {
		exchange_clear(k);
		k->start_ns = authenticated ? UINT64_MAX :
					      now.mono_ns + ms_ns(k->config.retransmit_ms);
		kex_fail(k, 0, "key exchange could not be started: %s", strerror(-ret));
		return ret;
	}
	memcpy(k->own_salt, x->salt_i, sizeof(k->own_salt));
	x->authenticated = authenticated;
	x->phase = SVR_KEX_PHASE_INIT_SENT;
	x->tries = 1;
	x->interval_ns = ms_ns(SVR_KEX_RETRANSMIT_MS);
	x->next_ns = now.mono_ns + x->interval_ns;
	svr_kex_set_state(k, SVR_KEX_STATE_CERT_EXCH_INIT, NULL);
	send_message(k, -1, SVR_KEX_INIT, seal_of(x), &x->init);
	return 0;
}

/*
 * Everything of a RESP that can be refused. 0 or a negative drop reason; @peer is set on success.
 */
static int check_resp(struct svr_kex *k, const struct svr_kex_fields *f, struct svr_now now,
		      struct svr_pki_peer **peer)
{
	const struct svr_kex_exchange *x = &k->x;

	if (f->exchange != x->id)
		return kex_fail(k, -SVR_DROP_KEX_STATE,
				"answer of the peer belongs to another exchange");
	if (f->group != x->group)
		return kex_fail(k, -SVR_DROP_KEX_VALUE,
				"peer answers with group %s, %s was offered", svr_dh_name(f->group),
				svr_dh_name(x->group));
	if (f->public_len != svr_dh_len(x->group))
		return kex_fail(k, -SVR_DROP_KEX_VALUE,
				"public value of the peer has %zu bytes, group %s has %zu",
				f->public_len, svr_dh_name(x->group), svr_dh_len(x->group));
	return check_identity(k, f, now, peer);
}

static int handle_resp(struct svr_kex *k, struct svr_kex_buffer *buffer, struct svr_now now)
{
	struct svr_kex_exchange *x = &k->x;
	struct svr_kex_bytes resp = take(buffer);
	uint8_t key[SVR_PEER_KEY_LEN];
	struct svr_pki_peer *peer = NULL;
	struct svr_kex_fields f;
	int ret;

	ret = svr_kexmsg_parse(SVR_KEX_RESP, resp.data, resp.len, &f);
	if (!ret)
		ret = check_resp(k, &f, now, &peer);
	if (ret)
		goto out;
	memcpy(x->salt_r, f.salt, sizeof(x->salt_r));
	ret = make_transcript(&x->init, &resp, x->transcript);
	if (!ret)
		ret = make_key(k->ops->dh, x->secret, x->group, f.public_value, x, key);
	if (ret == -SVR_DROP_KEX_VALUE) {
		kex_fail(k, ret, "public value of the peer is out of range");
		goto out;
	}
	if (!ret)
		ret = make_auth(k, x, SVR_KEX_AUTH_I);
	if (!ret)
		ret = k->ops->pending(k->user, x->key_index, key);
	if (ret) {
		bytes_clear(&x->auth);
		ret = kex_fail(k, -SVR_DROP_INTERNAL, "peer key could not be computed: %s",
			       strerror(-ret));
		goto out;
	}
	k->ops->dh->free(x->secret);
	x->secret = NULL;
	x->peer = peer;
	x->resp = resp;
	peer = NULL;
	resp = (struct svr_kex_bytes){ 0 };
	note_peer(k, x->salt_i, x->salt_r);
	k->cert_acked = true; /* the peer answers only to a certificate that it accepts */
	k->salt_acked = true;
	x->phase = SVR_KEX_PHASE_AUTH_SENT;
	x->tries = 1;
	x->interval_ns = ms_ns(SVR_KEX_RETRANSMIT_MS);
	x->next_ns = now.mono_ns + x->interval_ns;
	svr_kex_set_state(k, SVR_KEX_STATE_PKEY_EXCH_INIT, NULL);
	send_message(k, -1, SVR_KEX_AUTH_I, SVR_KEX_SEAL_NEW, &x->auth);
out:
	if (ret) /* the next look at a RESP is due when INIT was sent again */
		x->repeat_ns = now.mono_ns + ms_ns(SVR_KEX_REPEAT_MS);
	OPENSSL_cleanse(key, sizeof(key));
	svr_pki_peer_free(peer);
	bytes_clear(&resp);
	return ret;
}

static int handle_auth_r(struct svr_kex *k, struct svr_kex_buffer *buffer, struct svr_now now)
{
	struct svr_kex_bytes message = take(buffer);
	struct svr_kex_exchange *x = &k->x;
	struct svr_kex_fields f;
	int ret;

	ret = svr_kexmsg_parse(SVR_KEX_AUTH_R, message.data, message.len, &f);
	if (!ret && f.exchange != x->id)
		ret = -SVR_DROP_KEX_STATE;
	if (!ret && check_auth(x, SVR_KEX_AUTH_R, &f)) {
		ret = bad_signature(k);
		goto out;
	}
	if (ret)
		goto out;
	kex_confirmed(k, now);
	exchange_clear(k);
out:
	bytes_clear(&message);
	return ret;
}

/* ---- responder ------------------------------------------------------------------------------- */

static int check_init(struct svr_kex *k, const struct svr_kex_fields *f, struct svr_now now,
		      struct svr_pki_peer **peer)
{
	unsigned int i;

	for (i = 0; i < f->group_count && f->groups[i] != f->group; i++)
		;
	if (i == f->group_count || !svr_dh_len(f->group))
		return kex_fail(k, -SVR_DROP_KEX_VALUE,
				"peer uses a group (%u) that is unknown, or that it does not offer",
				f->group);
	if (!group_allowed(k, f->group))
		return kex_fail(k, -SVR_DROP_KEX_VALUE,
				"peer offers group %s, at least %s is configured",
				svr_dh_name(f->group), svr_dh_name(k->config.group));
	if (f->public_len != svr_dh_len(f->group))
		return kex_fail(k, -SVR_DROP_KEX_VALUE,
				"public value of the peer has %zu bytes, group %s has %zu",
				f->public_len, svr_dh_name(f->group), svr_dh_len(f->group));
	if (!k->ops->index_free(k->user, f->key_index))
		return kex_fail(k, -SVR_DROP_KEX_VALUE,
				"peer proposes a key index (%u) that is in use", f->key_index);
	return check_identity(k, f, now, peer);
}

/*
 * Values, RESP, transcript and key of the responder, into @x. 0, a negative drop reason or negative
 * errno.
 */
static int make_resp(struct svr_kex *k, const struct svr_kex_fields *init,
		     struct svr_kex_exchange *x, uint8_t key[static SVR_PEER_KEY_LEN])
{
	uint8_t public_value[SVR_DH_MAX_LEN];
	struct svr_dh_secret *secret = NULL;
	struct svr_kex_fields f = {
		.exchange = x->id,
		.group = x->group,
		.salt = x->salt_r,
		.public_value = public_value,
		.public_len = svr_dh_len(x->group),
	};
	int ret;

	ret = k->ops->random(k->user, x->salt_r, sizeof(x->salt_r));
	if (!ret)
		ret = k->ops->dh->generate(x->group, &secret, public_value);
	if (ret)
		return ret;
	fields_identity(k, &f);
	ret = build(SVR_KEX_RESP, &f, &x->resp);
	if (!ret)
		ret = make_transcript(&x->init, &x->resp, x->transcript);
	if (!ret)
		ret = make_key(k->ops->dh, secret, x->group, init->public_value, x, key);
	k->ops->dh->free(secret);
	return ret;
}

static void exchange_free_local(struct svr_kex_exchange *x)
{
	bytes_clear(&x->init);
	bytes_clear(&x->resp);
	svr_pki_peer_free(x->peer);
	OPENSSL_cleanse(x, sizeof(*x));
}

static int handle_init(struct svr_kex *k, int path, struct svr_kex_buffer *buffer,
		       enum svr_kex_seal seal, struct svr_now now)
{
	struct svr_kex_exchange x = { .phase = SVR_KEX_PHASE_RESP_SENT,
				      .authenticated = seal == SVR_KEX_SEAL_CURRENT };
	uint8_t key[SVR_PEER_KEY_LEN];
	uint64_t id = buffer->exchange;
	struct svr_kex_fields f;
	int ret;

	x.init = take(buffer);
	ret = -SVR_DROP_KEX_RATE;
	if (now.mono_ns < k->look_ns)
		goto out;
	k->look_ns = now.mono_ns + ms_ns(SVR_KEX_LOOK_MS);
	ret = svr_kexmsg_parse(SVR_KEX_INIT, x.init.data, x.init.len, &f);
	if (!ret && f.exchange != id)
		ret = -SVR_DROP_KEX_PIECES;
	if (ret)
		goto out;
	ret = check_init(k, &f, now, &x.peer);
	if (ret) {
		k->refused_id = id;
		k->refused_until_ns = now.mono_ns + ms_ns(SVR_KEX_REFUSE_MS);
		send_refused(k, path, seal, id, ret);
		goto out;
	}
	ret = -SVR_DROP_KEX_RATE;
	if (!may_compute(k, now.mono_ns))
		goto out;
	x.id = id;
	x.key_index = f.key_index;
	x.group = f.group;
	memcpy(x.salt_i, f.salt, sizeof(x.salt_i));
	ret = make_resp(k, &f, &x, key);
	if (ret == -SVR_DROP_KEX_VALUE) {
		kex_fail(k, ret, "public value of the peer is out of range");
		send_refused(k, path, seal, id, ret);
		goto out;
	}
	if (ret) {
		ret = kex_fail(k, -SVR_DROP_INTERNAL, "peer key could not be computed: %s",
			       strerror(-ret));
		goto out;
	}
	/* Nothing can be refused any more: this exchange takes the place of what was there. */
	exchange_abandon(k);
	if (k->ops->pending(k->user, x.key_index, key)) {
		ret = kex_fail(k, -SVR_DROP_INTERNAL, "peer key could not be computed");
		goto out;
	}
	note_start(k);
	note_peer(k, x.salt_r, x.salt_i);
	k->x = x;
	k->x.next_ns = now.mono_ns + ms_ns(SVR_KEX_RESP_LIFE_MS);
	k->x.repeat_ns = now.mono_ns + ms_ns(SVR_KEX_REPEAT_MS);
	k->start_ns = UINT64_MAX;
	memset(&x, 0, sizeof(x));
	svr_kex_set_state(k, SVR_KEX_STATE_SALT_EXCH_COMP, NULL);
	send_message(k, path, SVR_KEX_RESP, seal, &k->x.resp);
out:
	OPENSSL_cleanse(key, sizeof(key));
	exchange_free_local(&x);
	return ret;
}

static int handle_auth_i(struct svr_kex *k, int path, struct svr_kex_buffer *buffer,
			 struct svr_now now)
{
	struct svr_kex_bytes message = take(buffer);
	struct svr_kex_exchange *x = &k->x;
	struct svr_kex_fields f;
	int ret;

	ret = svr_kexmsg_parse(SVR_KEX_AUTH_I, message.data, message.len, &f);
	if (!ret && f.exchange != x->id)
		ret = -SVR_DROP_KEX_STATE;
	if (!ret && check_auth(x, SVR_KEX_AUTH_I, &f)) {
		ret = bad_signature(k);
		goto out;
	}
	if (ret)
		goto out;
	if (make_auth(k, x, SVR_KEX_AUTH_R)) {
		ret = kex_fail(k, -SVR_DROP_INTERNAL, "own signature could not be made");
		goto out;
	}
	x->phase = SVR_KEX_PHASE_DONE;
	x->next_ns = UINT64_MAX;
	x->repeat_ns = now.mono_ns + ms_ns(SVR_KEX_REPEAT_MS);
	kex_confirmed(k, now);
	send_message(k, path, SVR_KEX_AUTH_R, SVR_KEX_SEAL_NEW, &x->auth);
out:
	bytes_clear(&message);
	return ret;
}

/* ---- received pieces ------------------------------------------------------------------------- */

/* A message that was answered before: the answer is sent again, but not for each of its pieces. */
static int repeat_answer(struct svr_kex *k, int path, enum svr_kex_message answer,
			 enum svr_kex_seal seal, const struct svr_kex_bytes *bytes,
			 struct svr_now now)
{
	if (now.mono_ns < k->x.repeat_ns)
		return 0;
	k->x.repeat_ns = now.mono_ns + ms_ns(SVR_KEX_REPEAT_MS);
	send_message(k, path, answer, seal, bytes);
	return 0;
}

static int receive_init(struct svr_kex *k, int path, struct svr_kex_buffer *buffer,
			const struct svr_kex_piece *piece, enum svr_kex_seal seal,
			struct svr_now now)
{
	const struct svr_kex_exchange *x = &k->x;
	bool starting = x->phase == SVR_KEX_PHASE_INIT_SENT || x->phase == SVR_KEX_PHASE_AUTH_SENT;
	int ret;

	if (seal == SVR_KEX_SEAL_NEW)
		return -SVR_DROP_KEX_STATE;
	if (starting && k->smaller)
		return -SVR_DROP_KEX_STATE; /* both started: ours wins */
	if (x->phase == SVR_KEX_PHASE_RESP_SENT && piece->exchange == x->id)
		return repeat_answer(k, path, SVR_KEX_RESP, seal_of(x), &x->resp, now);
	if (x->phase == SVR_KEX_PHASE_DONE && piece->exchange == x->id)
		return 0; /* came late */
	if (piece->exchange == k->refused_id && now.mono_ns < k->refused_until_ns)
		return -SVR_DROP_KEX_CERTIFICATE;
	ret = svr_kex_buffer_add(buffer, piece);
	if (ret <= 0)
		return ret ? -SVR_DROP_INTERNAL : 0;
	return handle_init(k, path, buffer, seal, now);
}

static int receive_resp(struct svr_kex *k, struct svr_kex_buffer *buffer,
			const struct svr_kex_piece *piece, enum svr_kex_seal seal,
			struct svr_now now)
{
	const struct svr_kex_exchange *x = &k->x;
	int ret;

	if (piece->exchange != x->id || x->phase == SVR_KEX_PHASE_NONE)
		return -SVR_DROP_KEX_STATE;
	if (x->phase == SVR_KEX_PHASE_AUTH_SENT)
		return 0; /* a duplicate */
	if (x->phase != SVR_KEX_PHASE_INIT_SENT || seal != seal_of(x))
		return -SVR_DROP_KEX_STATE;
	if (now.mono_ns < x->repeat_ns)
		return -SVR_DROP_KEX_RATE;
	ret = svr_kex_buffer_add(buffer, piece);
	if (ret <= 0)
		return ret ? -SVR_DROP_INTERNAL : 0;
	return handle_resp(k, buffer, now);
}

static int receive_auth_i(struct svr_kex *k, int path, struct svr_kex_buffer *buffer,
			  const struct svr_kex_piece *piece, enum svr_kex_seal seal,
			  struct svr_now now)
{
	const struct svr_kex_exchange *x = &k->x;
	int ret;

	if (seal == SVR_KEX_SEAL_NONE || piece->exchange != x->id)
		return -SVR_DROP_KEX_STATE;
	if (x->phase == SVR_KEX_PHASE_DONE) /* by now the new key is the current one */
		return repeat_answer(k, path, SVR_KEX_AUTH_R, SVR_KEX_SEAL_NEW, &x->auth, now);
	if (x->phase != SVR_KEX_PHASE_RESP_SENT || seal != SVR_KEX_SEAL_NEW)
		return -SVR_DROP_KEX_STATE;
	ret = svr_kex_buffer_add(buffer, piece);
	if (ret <= 0)
		return ret ? -SVR_DROP_INTERNAL : 0;
	return handle_auth_i(k, path, buffer, now);
}

static int receive_auth_r(struct svr_kex *k, struct svr_kex_buffer *buffer,
			  const struct svr_kex_piece *piece, enum svr_kex_seal seal,
			  struct svr_now now)
{
	const struct svr_kex_exchange *x = &k->x;
	int ret;

	if (seal != SVR_KEX_SEAL_NEW || piece->exchange != x->id ||
	    x->phase != SVR_KEX_PHASE_AUTH_SENT)
		return -SVR_DROP_KEX_STATE;
	ret = svr_kex_buffer_add(buffer, piece);
	if (ret <= 0)
		return ret ? -SVR_DROP_INTERNAL : 0;
	return handle_auth_r(k, buffer, now);
}

/*
 * A hint for the operator; it was not signed by anybody, so it changes nothing but the words shown.
 */
static int receive_refused(struct svr_kex *k, const struct svr_kex_piece *piece)
{
	struct svr_kex_fields f;
	const char *name = "unknown reason";

	if (k->x.phase != SVR_KEX_PHASE_INIT_SENT || piece->exchange != k->x.id)
		return -SVR_DROP_KEX_STATE;
	if (piece->pieces != 1 || svr_kexmsg_parse(SVR_KEX_REFUSED, piece->data, piece->len, &f))
		return -SVR_DROP_BFD_METADATA;
	switch (f.reason) {
#define X(id, n, word, text) \
	case n:              \
		name = text; \
		break;
		SVR_DROP_REASONS(X)
#undef X
	}
	snprintf(k->reason, sizeof(k->reason),
		 "peer says: %s (its `show peers security` knows more)", name);
	svr_kex_set_state(k, SVR_KEX_STATE_CERT_EXCH_FAIL, k->reason);
	return 0;
}

int svr_kex_receive(struct svr_kex *k, int path, struct svr_kex_buffer *buffer,
		    const struct svr_kex_piece *piece, enum svr_kex_seal seal, struct svr_now now)
{
	int ret = svr_kexmsg_check_piece(piece);

	if (ret)
		return ret;
	switch (piece->message) {
	case SVR_KEX_INIT:
		return receive_init(k, path, buffer, piece, seal, now);
	case SVR_KEX_RESP:
		return receive_resp(k, buffer, piece, seal, now);
	case SVR_KEX_AUTH_I:
		return receive_auth_i(k, path, buffer, piece, seal, now);
	case SVR_KEX_AUTH_R:
		return receive_auth_r(k, buffer, piece, seal, now);
	case SVR_KEX_REFUSED:
		return receive_refused(k, piece);
	}
	return -SVR_DROP_KEX_STATE;
}

/* ---- time ------------------------------------------------------------------------------------ */

static bool under_way(const struct svr_kex *k)
{
	return k->x.phase != SVR_KEX_PHASE_NONE && k->x.phase != SVR_KEX_PHASE_DONE;
}

/* The smaller name at once, the larger one only if nothing comes. */
static void plan_start(struct svr_kex *k, struct svr_now now)
{
	if (!k->wanted || under_way(k) || k->start_ns != UINT64_MAX)
		return;
	k->start_ns = now.mono_ns + (k->smaller ? 0 : ms_ns(SVR_KEX_LET_START_MS));
	if (k->start_ns < now.mono_ns + k->backoff_ns)
		k->start_ns = now.mono_ns + k->backoff_ns;
	if (!k->smaller && k->state != SVR_KEX_STATE_CERT_EXCH_FAIL)
		svr_kex_set_state(k, SVR_KEX_STATE_CERT_EXCH_WAIT, NULL);
}

void svr_kex_want(struct svr_kex *k, bool wanted, struct svr_now now)
{
	if (wanted && !k->wanted) {
		k->wanted_ns = now.mono_ns;
		k->timed_out = false;
	}
	k->wanted = wanted;
	if (!wanted) {
		k->start_ns = UINT64_MAX;
		k->backoff_ns = 0;
		/*
		 * Nobody is there to hear INIT again. AUTH_I is different: the peer may use the key
		 * already.
		 */
		if (k->x.phase == SVR_KEX_PHASE_INIT_SENT && !k->x.authenticated)
			exchange_abandon(k);
		return;
	}
	/* The peer shows no key any more, so it will not read what is sealed by one. */
	if (under_way(k) && k->x.authenticated)
		exchange_abandon(k);
	plan_start(k, now);
	if (now.mono_ns >= k->start_ns)
		kex_start(k, false, now);
}

int svr_kex_rekey(struct svr_kex *k, struct svr_now now)
{
	return k->wanted || under_way(k) ? -EBUSY : kex_start(k, true, now);
}

void svr_kex_cancel_unauthenticated(struct svr_kex *k)
{
	if (under_way(k) && !k->x.authenticated)
		exchange_abandon(k);
}

static void retransmit(struct svr_kex *k, struct svr_now now)
{
	struct svr_kex_exchange *x = &k->x;

	x->interval_ns *= 2;
	if (x->interval_ns > ms_ns(k->config.retransmit_ms))
		x->interval_ns = ms_ns(k->config.retransmit_ms);
	x->next_ns = now.mono_ns + x->interval_ns;
	if (x->phase == SVR_KEX_PHASE_INIT_SENT)
		send_message(k, -1, SVR_KEX_INIT, seal_of(x), &x->init);
	else
		send_message(k, -1, SVR_KEX_AUTH_I, SVR_KEX_SEAL_NEW, &x->auth);
}

/* The exchange leads nowhere: a new one, a little later each time. */
static void give_up(struct svr_kex *k, const char *why, struct svr_now now)
{
	exchange_abandon(k);
	k->backoff_ns = k->backoff_ns ? 2 * k->backoff_ns : ms_ns(SVR_KEX_RETRANSMIT_MS);
	if (k->backoff_ns > ms_ns(k->config.retransmit_ms))
		k->backoff_ns = ms_ns(k->config.retransmit_ms);
	kex_fail(k, 0, "%s", why);
	plan_start(k, now);
}

static void exchange_due(struct svr_kex *k, struct svr_now now)
{
	switch (k->x.phase) {
	case SVR_KEX_PHASE_INIT_SENT:
		/* Without a key there is nothing else to do; with one, the old one goes on. */
		if (!k->x.authenticated || k->x.tries++ < SVR_KEX_REKEY_TRIES)
			retransmit(k, now);
		else
			give_up(k, "peer does not answer the request for a new peer key", now);
		break;
	case SVR_KEX_PHASE_AUTH_SENT:
		if (k->x.tries++ < SVR_KEX_AUTH_TRIES)
			retransmit(k, now);
		else
			give_up(k, "peer does not confirm the new peer key", now);
		break;
	case SVR_KEX_PHASE_RESP_SENT:
		give_up(k, "peer does not confirm the new peer key", now);
		break;
	case SVR_KEX_PHASE_NONE:
	case SVR_KEX_PHASE_DONE:
		k->x.next_ns = UINT64_MAX;
		break;
	}
}

static uint64_t timeout_at(const struct svr_kex *k)
{
	return k->wanted && !k->timed_out && k->config.timeout_s ?
		       k->wanted_ns + k->config.timeout_s * SVR_NS_PER_SEC :
		       UINT64_MAX;
}

void svr_kex_tick(struct svr_kex *k, struct svr_now now)
{
	char text[64];

	if (now.mono_ns >= k->x.next_ns)
		exchange_due(k, now);
	if (now.mono_ns >= k->start_ns)
		kex_start(k, false, now);
	if (now.mono_ns >= timeout_at(k)) {
		k->timed_out = true;
		snprintf(text, sizeof(text), "no peer key after %u s; tries go on",
			 k->config.timeout_s);
		k->ops->log(k->user, true, text);
	}
}

uint64_t svr_kex_next(const struct svr_kex *k)
{
	uint64_t next_ns = k->x.next_ns < k->start_ns ? k->x.next_ns : k->start_ns;

	return timeout_at(k) < next_ns ? timeout_at(k) : next_ns;
}

int svr_kex_init(struct svr_kex *k, const struct svr_kex_config *config,
		 const struct svr_kex_ops *ops, void *user)
{
	int direction = svr_direction_number(config->own_name, config->peer_name);

	if (direction < 0)
		return direction;
	*k = (struct svr_kex){
		.ops = ops,
		.user = user,
		.config = *config,
		.smaller = direction == 0,
		.state = SVR_KEX_STATE_BFD_WAIT,
		.start_ns = UINT64_MAX,
		.x = { .next_ns = UINT64_MAX },
	};
	return 0;
}

void svr_kex_clear(struct svr_kex *k)
{
	exchange_clear(k);
}
