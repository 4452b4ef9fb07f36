// SPDX-License-Identifier: BSD-2-Clause
/*
 * Key-exchange state machine (docs/protocol.md section 9). Each message goes through two stations:
 * receive_*() does the cheap checks, takes a unit of the rate limit and makes a job of the
 * expensive step; done_*() gets the job back and only then changes the state. So a message that is
 * refused leaves no trace but its reason, and nothing waits for a computation.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include <svr/drops.h>

#include "lib/kdf.h"
#include "lib/kex.h"

enum { KEX_RANDOM_TRIES = 8 };

static uint64_t ms_ns(uint64_t ms)
{
	return ms * SVR_NS_PER_MS;
}

static const uint16_t kex_groups[] = {
#define X(id, n, bits, name) n,
	SVR_DH_GROUPS(X)
#undef X
};
enum { KEX_GROUP_COUNT = sizeof(kex_groups) / sizeof(kex_groups[0]) };
_Static_assert((int)KEX_GROUP_COUNT <= (int)SVR_KEX_GROUPS_MAX, "all of them fit into an INIT");

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

/*
 * Tries go on for as long as the cause lasts; it is said when it comes, not with each of them.
 * Return: is this state worth a line?
 */
static bool worth_saying(struct svr_kex *k, enum svr_kex_state state, const char *why)
{
	if (state == SVR_KEX_STATE_CERT_EXCH_FAIL && why) {
		k->quiet = strcmp(k->said, why) == 0;
		snprintf(k->said, sizeof(k->said), "%s", why);
	} else if (state >= SVR_KEX_STATE_PKEY_EXCH_COMP) {
		k->quiet = false;
		k->said[0] = '\0';
	}
	return !k->quiet;
}

void svr_kex_set_state(struct svr_kex *k, enum svr_kex_state state, const char *why)
{
	char line[512];

	if (state == k->state)
		return;
	snprintf(line, sizeof(line), "%s -> %s%s%s", svr_kex_state_name(k->state),
		 svr_kex_state_name(state), why ? ": " : "", why ? why : "");
	k->state = state;
	if (worth_saying(k, state, why))
		k->ops->log(k->user, state == SVR_KEX_STATE_CERT_EXCH_FAIL, line);
}

/* The job goes on in its thread; its result is for nobody. */
static void job_cancel(struct svr_kex_job **job)
{
	if (*job)
		(*job)->kex = NULL;
	*job = NULL;
}

static void exchange_clear(struct svr_kex *k)
{
	struct svr_kex_exchange *x = &k->x;

	job_cancel(&x->job);
	k->ops->dh->free(x->secret);
	svr_kex_bytes_clear(&x->init);
	svr_kex_bytes_clear(&x->resp);
	svr_kex_bytes_clear(&x->auth);
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

/* @group: that would have been taken, 0: none */
static void send_refused(struct svr_kex *k, int path, enum svr_kex_seal seal, uint64_t id, int drop,
			 uint16_t group)
{
	struct svr_kex_fields f = { .exchange = id, .reason = (uint16_t)-drop, .group = group };
	struct svr_kex_piece piece;
	uint8_t message[64];
	int len = svr_kexmsg_build(SVR_KEX_REFUSED, &f, message, sizeof(message));

	if (len < 0)
		return;
	svr_kexmsg_cut(SVR_KEX_REFUSED, id, message, (size_t)len, 0, &piece);
	k->ops->send(k->user, path, seal, &piece);
}

/* ---- jobs ------------------------------------------------------------------------------------ */

/* With what every job needs; NULL: out of memory. */
static struct svr_kex_job *job_new(const struct svr_kex *k, enum svr_kex_job_kind kind,
				   struct svr_now now)
{
	struct svr_kex_job *job = calloc(1, sizeof(*job));

	if (!job)
		return NULL;
	job->kind = kind;
	job->path = -1;
	job->dh = k->ops->dh;
	job->identity = svr_pki_identity_use(k->config.identity);
	job->trust = svr_pki_trust_use(k->config.trust);
	snprintf(job->own_name, sizeof(job->own_name), "%s", k->config.own_name);
	snprintf(job->peer_name, sizeof(job->peer_name), "%s", k->config.peer_name);
	job->now_sec = (int64_t)(now.real_ns / SVR_NS_PER_SEC);
	return job;
}

/* The same about the exchange under way. */
static struct svr_kex_job *job_of_exchange(struct svr_kex *k, enum svr_kex_job_kind kind,
					   struct svr_now now)
{
	struct svr_kex_job *job = job_new(k, kind, now);
	const struct svr_kex_exchange *x = &k->x;

	if (!job)
		return NULL;
	job->id = x->id;
	job->key_index = x->key_index;
	job->group = x->group;
	memcpy(job->salt_i, x->salt_i, sizeof(job->salt_i));
	memcpy(job->salt_r, x->salt_r, sizeof(job->salt_r));
	memcpy(job->transcript, x->transcript, sizeof(job->transcript));
	return job;
}

/* @slot: where the job stands while it runs. 0, or negative errno and the job is freed. */
static int job_start(struct svr_kex *k, struct svr_kex_job *job, struct svr_kex_job **slot)
{
	int ret;

	job->kex = k;
	*slot = job;
	ret = k->ops->compute(k->user, job);
	k->jobs += !ret;
	if (!ret)
		return 0;
	*slot = NULL;
	svr_kex_job_free(job);
	return ret;
}

/* Takes the bytes out of the buffer of a path. */
static struct svr_kex_bytes take(struct svr_kex_buffer *buffer)
{
	struct svr_kex_bytes bytes = { buffer->data, buffer->total };

	buffer->data = NULL;
	svr_kex_buffer_clear(buffer);
	return bytes;
}

static struct svr_kex_bytes move(struct svr_kex_bytes *from)
{
	struct svr_kex_bytes bytes = *from;

	*from = (struct svr_kex_bytes){ 0 };
	return bytes;
}

/* ---- parts of the exchange ------------------------------------------------------------------- */

/*
 * What INIT and RESP have in common and is cheap: whom the peer says it is. 0 or a negative drop
 * reason with words in k->reason.
 */
static int check_name(struct svr_kex *k, const struct svr_kex_fields *f)
{
	char name[SVR_NAME_LEN] = "";
	size_t i;

	if (f->name_len == strlen(k->config.peer_name) &&
	    memcmp(f->name, k->config.peer_name, f->name_len) == 0)
		return 0;
	for (i = 0; i < f->name_len; i++)
		name[i] = f->name[i] > ' ' && f->name[i] < 0x7f ? f->name[i] : '?';
	return kex_fail(k, -SVR_DROP_KEX_CERTIFICATE, "common name of the peer is %s, expected %s",
			name, k->config.peer_name);
}

static bool group_allowed(const struct svr_kex *k, uint16_t group)
{
	return svr_dh_len(group) && svr_dh_len(group) >= svr_dh_len(k->config.group);
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
	/* whatever the peer asked for before it had this key */
	job_cancel(&k->candidate);
	svr_kex_set_state(k, SVR_KEX_STATE_PKEY_EXCH_COMP, NULL);
	k->ops->confirmed(k->user, svr_pki_peer_fingerprint(k->x.peer), k->x.authenticated, now);
}

bool svr_kex_under_way(const struct svr_kex *k)
{
	return k->x.phase != SVR_KEX_PHASE_NONE && k->x.phase != SVR_KEX_PHASE_DONE;
}

/* The smaller name at once, the larger one only if nothing comes. */
static void plan_start(struct svr_kex *k, struct svr_now now)
{
	if (!k->wanted || svr_kex_under_way(k) || k->candidate || k->start_ns != UINT64_MAX)
		return;
	k->start_ns = now.mono_ns + (k->smaller ? 0 : ms_ns(SVR_KEX_LET_START_MS));
	if (k->start_ns < now.mono_ns + k->backoff_ns)
		k->start_ns = now.mono_ns + k->backoff_ns;
	if (!k->smaller && k->state != SVR_KEX_STATE_CERT_EXCH_FAIL)
		svr_kex_set_state(k, SVR_KEX_STATE_CERT_EXCH_WAIT, NULL);
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

static int exchange_begin(struct svr_kex *k, struct svr_now now)
{
	struct svr_kex_exchange *x = &k->x;
	struct svr_kex_job *job;
	int ret = -EIO, i;

	x->group = k->group_hint ? k->group_hint : k->config.group;
	if (k->ops->random(k->user, &x->id, sizeof(x->id)) ||
	    k->ops->random(k->user, x->salt_i, sizeof(x->salt_i)))
		return ret;
	ret = choose_index(k, &x->key_index);
	if (ret)
		return ret;
	job = job_of_exchange(k, SVR_KEX_JOB_START, now);
	if (!job)
		return -ENOMEM;
	for (i = 0; i < KEX_GROUP_COUNT; i++)
		if (group_allowed(k, kex_groups[i]))
			job->groups[job->group_count++] = kex_groups[i];
	return job_start(k, job, &x->job);
}

static void start_failed(struct svr_kex *k, const char *why, struct svr_now now)
{
	bool authenticated = k->x.authenticated;

	exchange_clear(k);
	k->start_ns = authenticated ? UINT64_MAX : now.mono_ns + ms_ns(k->config.retransmit_ms);
	kex_fail(k, 0, "key exchange could not be started: %s", why);
}

/* @authenticated: under the confirmed key, to replace it. 0 or negative errno. */
static int kex_start(struct svr_kex *k, bool authenticated, struct svr_now now)
{
	struct svr_kex_exchange *x = &k->x;
	int ret;

	/* Without a certificate there is nobody whom the peer could believe. */
	if (!k->config.identity || !may_compute(k, now.mono_ns)) {
		if (!authenticated)
			k->start_ns = now.mono_ns + ms_ns(SVR_KEX_COMPUTE_MS);
		return -EAGAIN;
	}
	k->start_ns = UINT64_MAX;
	exchange_abandon(k);
	note_start(k);
	x->authenticated = authenticated;
	x->phase = SVR_KEX_PHASE_STARTING;
	ret = exchange_begin(k, now);
	if (ret) {
		start_failed(k, strerror(-ret), now);
		return ret;
	}
	memcpy(k->own_salt, x->salt_i, sizeof(k->own_salt));
	svr_kex_set_state(k, SVR_KEX_STATE_CERT_EXCH_INIT, NULL);
	return 0;
}

static void done_start(struct svr_kex *k, struct svr_kex_job *job, struct svr_now now)
{
	struct svr_kex_exchange *x = &k->x;

	if (job->ret) {
		start_failed(k, job->reason, now);
		return;
	}
	x->secret = job->secret;
	job->secret = NULL;
	x->init = move(&job->answer);
	x->phase = SVR_KEX_PHASE_INIT_SENT;
	x->tries = 1;
	x->interval_ns = ms_ns(SVR_KEX_RETRANSMIT_MS);
	x->next_ns = now.mono_ns + x->interval_ns;
	send_message(k, -1, SVR_KEX_INIT, seal_of(x), &x->init);
}

/* Everything of a RESP that can be refused cheaply. 0 or a negative drop reason. */
static int check_resp(struct svr_kex *k, const struct svr_kex_fields *f)
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
	return check_name(k, f);
}

static int handle_resp(struct svr_kex *k, struct svr_kex_buffer *buffer, struct svr_now now)
{
	struct svr_kex_job *job = job_of_exchange(k, SVR_KEX_JOB_RESP, now);
	struct svr_kex_exchange *x = &k->x;
	int ret = -SVR_DROP_INTERNAL;

	if (!job)
		return ret;
	job->message = take(buffer);
	ret = svr_kexmsg_parse(SVR_KEX_RESP, job->message.data, job->message.len, &job->fields);
	if (!ret)
		ret = check_resp(k, &job->fields);
	if (ret) {
		svr_kex_job_free(job);
		/* the next look at a RESP is due when INIT was sent again */
		x->repeat_ns = now.mono_ns + ms_ns(SVR_KEX_REPEAT_MS);
		return ret;
	}
	memcpy(job->salt_r, job->fields.salt, sizeof(job->salt_r));
	if (svr_kex_transcript(&x->init, &job->message, job->transcript)) {
		svr_kex_job_free(job);
		return -SVR_DROP_INTERNAL;
	}
	job->authenticated = x->authenticated;
	job->secret = x->secret;
	x->secret = NULL;
	if (!job_start(k, job, &x->job))
		return 0;
	exchange_abandon(k); /* the private value went with the job */
	return kex_fail(k, -SVR_DROP_INTERNAL, "peer key could not be computed");
}

static void note_certificate(struct svr_kex *k, const struct svr_kex_job *job)
{
	if (!job->peer && !job->certificate.verdict)
		return; /* it was not looked at */
	k->certificate = job->certificate;
	if (job->ret == -SVR_DROP_KEX_CERTIFICATE && k->ops->unauthenticated)
		k->ops->unauthenticated(k->user, &job->certificate);
}

static void done_resp(struct svr_kex *k, struct svr_kex_job *job, struct svr_now now)
{
	struct svr_kex_exchange *x = &k->x;

	note_certificate(k, job);
	if (!job->ret && k->ops->pending(k->user, x->key_index, job->key)) {
		job->ret = -SVR_DROP_INTERNAL;
		snprintf(job->reason, sizeof(job->reason), "peer key could not be computed");
	}
	if (job->ret) { /* a RESP that somebody else sent must not end the exchange */
		x->secret = job->secret;
		job->secret = NULL;
		x->repeat_ns = now.mono_ns + ms_ns(SVR_KEX_REPEAT_MS);
		k->ops->refused(k->user, kex_fail(k, job->ret, "%s", job->reason));
		return;
	}
	memcpy(x->salt_r, job->salt_r, sizeof(x->salt_r));
	memcpy(x->transcript, job->transcript, sizeof(x->transcript));
	x->peer = job->peer;
	job->peer = NULL;
	x->resp = move(&job->message);
	x->auth = move(&job->answer);
	note_peer(k, x->salt_i, x->salt_r);
	k->cert_acked = true; /* the peer answers only to a certificate that it accepts */
	k->salt_acked = true;
	x->phase = SVR_KEX_PHASE_AUTH_SENT;
	x->tries = 1;
	x->interval_ns = ms_ns(SVR_KEX_RETRANSMIT_MS);
	x->next_ns = now.mono_ns + x->interval_ns;
	svr_kex_set_state(k, SVR_KEX_STATE_PKEY_EXCH_INIT, NULL);
	send_message(k, -1, SVR_KEX_AUTH_I, SVR_KEX_SEAL_NEW, &x->auth);
}

/* ---- responder ------------------------------------------------------------------------------- */

/* The weakest group that both take; 0: none. */
static uint16_t common_group(const struct svr_kex *k, const struct svr_kex_fields *f)
{
	unsigned int i, j;

	for (i = 0; i < KEX_GROUP_COUNT; i++)
		for (j = 0; j < f->group_count && group_allowed(k, kex_groups[i]); j++)
			if (f->groups[j] == kex_groups[i])
				return kex_groups[i];
	return 0;
}

/* What of an INIT can be refused cheaply. */
static int check_init(struct svr_kex *k, const struct svr_kex_fields *f)
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
	return check_name(k, f);
}

/* The INIT is not looked at again, and its sender is told. */
static void refuse_init(struct svr_kex *k, int path, enum svr_kex_seal seal, uint64_t id, int drop,
			uint16_t group, struct svr_now now)
{
	k->refused_id = id;
	k->refused_until_ns = now.mono_ns + ms_ns(SVR_KEX_REFUSE_MS);
	send_refused(k, path, seal, id, drop, group);
}

static int handle_init(struct svr_kex *k, int path, struct svr_kex_buffer *buffer,
		       enum svr_kex_seal seal, struct svr_now now)
{
	uint64_t id = buffer->exchange;
	struct svr_kex_bytes message = take(buffer);
	struct svr_kex_fields *f;
	struct svr_kex_job *job;
	int ret;

	if (now.mono_ns < k->look_ns) {
		svr_kex_bytes_clear(&message);
		return -SVR_DROP_KEX_RATE;
	}
	k->look_ns = now.mono_ns + ms_ns(SVR_KEX_LOOK_MS);
	job = job_new(k, SVR_KEX_JOB_INIT, now);
	if (!job) {
		svr_kex_bytes_clear(&message);
		return -SVR_DROP_INTERNAL;
	}
	job->message = message;
	f = &job->fields;
	ret = svr_kexmsg_parse(SVR_KEX_INIT, message.data, message.len, f);
	if (!ret && f->exchange != id)
		ret = -SVR_DROP_KEX_PIECES;
	if (ret)
		goto fail;
	ret = check_init(k, f);
	if (ret) {
		refuse_init(k, path, seal, id, ret, common_group(k, f), now);
		goto fail;
	}
	ret = -SVR_DROP_KEX_RATE;
	if (!may_compute(k, now.mono_ns))
		goto fail;
	job->path = path;
	job->authenticated = seal == SVR_KEX_SEAL_CURRENT;
	job->id = id;
	job->key_index = f->key_index;
	job->group = f->group;
	memcpy(job->salt_i, f->salt, sizeof(job->salt_i));
	ret = -SVR_DROP_INTERNAL;
	if (k->ops->random(k->user, job->salt_r, sizeof(job->salt_r)))
		goto fail;
	return job_start(k, job, &k->candidate) ? -SVR_DROP_INTERNAL : 0;
fail:
	svr_kex_job_free(job);
	return ret;
}

/* Both want to start, and ours goes before; or the key must not be replaced now. */
static bool init_unwanted(const struct svr_kex *k, bool authenticated)
{
	bool starting = k->x.phase == SVR_KEX_PHASE_STARTING ||
			k->x.phase == SVR_KEX_PHASE_INIT_SENT ||
			k->x.phase == SVR_KEX_PHASE_AUTH_SENT;

	return (starting && k->smaller) || (authenticated && !k->ops->may_rekey(k->user));
}

/* Of an INIT that was good, unless something has happened while it was looked at. */
static int accept_init(struct svr_kex *k, struct svr_kex_job *job, struct svr_now now)
{
	struct svr_kex_exchange *x = &k->x;

	if (init_unwanted(k, job->authenticated) || !k->ops->index_free(k->user, job->key_index))
		return -SVR_DROP_KEX_STATE;
	/* Nothing can be refused any more: this exchange takes the place of what was there. */
	exchange_abandon(k);
	if (k->ops->pending(k->user, job->key_index, job->key))
		return kex_fail(k, -SVR_DROP_INTERNAL, "peer key could not be computed");
	note_start(k);
	note_peer(k, job->salt_r, job->salt_i);
	x->phase = SVR_KEX_PHASE_RESP_SENT;
	x->authenticated = job->authenticated;
	x->id = job->id;
	x->key_index = job->key_index;
	x->group = job->group;
	memcpy(x->salt_i, job->salt_i, sizeof(x->salt_i));
	memcpy(x->salt_r, job->salt_r, sizeof(x->salt_r));
	memcpy(x->transcript, job->transcript, sizeof(x->transcript));
	x->init = move(&job->message);
	x->resp = move(&job->answer);
	x->peer = job->peer;
	job->peer = NULL;
	x->next_ns = now.mono_ns + ms_ns(SVR_KEX_RESP_LIFE_MS);
	x->repeat_ns = now.mono_ns + ms_ns(SVR_KEX_REPEAT_MS);
	k->start_ns = UINT64_MAX;
	svr_kex_set_state(k, SVR_KEX_STATE_SALT_EXCH_COMP, NULL);
	send_message(k, job->path, SVR_KEX_RESP, seal_of(x), &x->resp);
	return 0;
}

static void done_init(struct svr_kex *k, struct svr_kex_job *job, struct svr_now now)
{
	enum svr_kex_seal seal = job->authenticated ? SVR_KEX_SEAL_CURRENT : SVR_KEX_SEAL_NONE;

	note_certificate(k, job);
	if (!job->ret)
		job->ret = accept_init(k, job, now);
	else
		kex_fail(k, job->ret, "%s", job->reason);
	if (!job->ret)
		return;
	if (!job->computed)
		k->compute_ns = 0; /* the unit was not used */
	if (job->ret == -SVR_DROP_KEX_CERTIFICATE || job->ret == -SVR_DROP_KEX_VALUE)
		refuse_init(k, job->path, seal, job->id, job->ret, 0, now);
	k->ops->refused(k->user, job->ret);
	plan_start(k, now);
}

/* ---- AUTH ------------------------------------------------------------------------------------ */

static int handle_auth(struct svr_kex *k, int path, enum svr_kex_message message,
		       struct svr_kex_buffer *buffer, struct svr_now now)
{
	struct svr_kex_job *job = job_of_exchange(
		k, message == SVR_KEX_AUTH_I ? SVR_KEX_JOB_AUTH_I : SVR_KEX_JOB_AUTH_R, now);
	struct svr_kex_exchange *x = &k->x;
	int ret = -SVR_DROP_INTERNAL;

	if (!job)
		return ret;
	job->message = take(buffer);
	ret = svr_kexmsg_parse(message, job->message.data, job->message.len, &job->fields);
	if (!ret && job->fields.exchange != x->id)
		ret = -SVR_DROP_KEX_STATE;
	if (ret) {
		svr_kex_job_free(job);
		return ret;
	}
	job->path = path;
	job->peer = x->peer;
	x->peer = NULL;
	if (!job_start(k, job, &x->job))
		return 0;
	exchange_abandon(k); /* the certificate went with the job */
	return kex_fail(k, -SVR_DROP_INTERNAL, "signature could not be checked");
}

/* AUTH_I at the responder, AUTH_R at the initiator. */
static void done_auth(struct svr_kex *k, struct svr_kex_job *job, struct svr_now now)
{
	struct svr_kex_exchange *x = &k->x;

	x->peer = job->peer;
	job->peer = NULL;
	if (job->ret) {
		if (job->ret == -SVR_DROP_KEX_SIGNATURE)
			exchange_abandon(k);
		k->ops->refused(k->user, kex_fail(k, job->ret, "%s", job->reason));
		plan_start(k, now);
		return;
	}
	if (job->kind == SVR_KEX_JOB_AUTH_R) {
		kex_confirmed(k, now);
		exchange_clear(k);
		return;
	}
	x->auth = move(&job->answer);
	x->phase = SVR_KEX_PHASE_DONE;
	x->next_ns = UINT64_MAX;
	x->repeat_ns = now.mono_ns + ms_ns(SVR_KEX_REPEAT_MS);
	kex_confirmed(k, now);
	send_message(k, job->path, SVR_KEX_AUTH_R, SVR_KEX_SEAL_NEW, &x->auth);
}

void *svr_kex_job_done(struct svr_kex_job *job, struct svr_now now)
{
	struct svr_kex *k = job->kex;
	void *user = k ? k->user : NULL;

	if (k) {
		if (k->candidate == job)
			k->candidate = NULL;
		else
			k->x.job = NULL;
		switch (job->kind) {
		case SVR_KEX_JOB_START:
			done_start(k, job, now);
			break;
		case SVR_KEX_JOB_INIT:
			done_init(k, job, now);
			break;
		case SVR_KEX_JOB_RESP:
			done_resp(k, job, now);
			break;
		case SVR_KEX_JOB_AUTH_I:
		case SVR_KEX_JOB_AUTH_R:
			done_auth(k, job, now);
			break;
		}
	}
	svr_kex_job_free(job);
	return user;
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
	int ret;

	if (seal == SVR_KEX_SEAL_NEW || init_unwanted(k, seal == SVR_KEX_SEAL_CURRENT))
		return -SVR_DROP_KEX_STATE;
	if (x->phase == SVR_KEX_PHASE_RESP_SENT && piece->exchange == x->id)
		return repeat_answer(k, path, SVR_KEX_RESP, seal_of(x), &x->resp, now);
	if (x->phase == SVR_KEX_PHASE_DONE && piece->exchange == x->id)
		return 0; /* came late */
	if (k->candidate) /* one at a time; it is repeated if it is another one */
		return piece->exchange == k->candidate->id ? 0 : -SVR_DROP_KEX_RATE;
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
	if (x->job)
		return 0; /* one is being looked at */
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
	if (x->job)
		return 0;
	ret = svr_kex_buffer_add(buffer, piece);
	if (ret <= 0)
		return ret ? -SVR_DROP_INTERNAL : 0;
	return handle_auth(k, path, SVR_KEX_AUTH_I, buffer, now);
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
	if (x->job)
		return 0;
	ret = svr_kex_buffer_add(buffer, piece);
	if (ret <= 0)
		return ret ? -SVR_DROP_INTERNAL : 0;
	return handle_auth(k, -1, SVR_KEX_AUTH_R, buffer, now);
}

static const char *reason_text(uint16_t reason)
{
	switch (reason) {
#define X(id, n, word, text) \
	case n:              \
		return text;
		SVR_DROP_REASONS(X)
#undef X
	}
	return "unknown reason";
}

/*
 * A hint, signed by nobody. Words for the operator; and if the peer wants a stronger group, which
 * the configuration allows as well, that one: a forger gains nothing by it.
 */
static int receive_refused(struct svr_kex *k, const struct svr_kex_piece *piece,
			   enum svr_kex_seal seal, struct svr_now now)
{
	struct svr_kex_exchange *x = &k->x;
	struct svr_kex_fields f;

	if (x->phase != SVR_KEX_PHASE_INIT_SENT || piece->exchange != x->id || seal != seal_of(x))
		return -SVR_DROP_KEX_STATE;
	if (piece->pieces != 1 || svr_kexmsg_parse(SVR_KEX_REFUSED, piece->data, piece->len, &f))
		return -SVR_DROP_BFD_METADATA;
	if (x->job) /* an answer came as well */
		return 0;
	if (f.reason == SVR_DROP_KEX_VALUE && group_allowed(k, f.group) &&
	    svr_dh_len(f.group) > svr_dh_len(x->group)) {
		k->group_hint = f.group;
		exchange_abandon(k);
		k->start_ns = k->wanted ? k->compute_ns : UINT64_MAX;
		kex_fail(k, 0, "peer wants group %s, and gets it", svr_dh_name(f.group));
		plan_start(k, now);
		return 0;
	}
	snprintf(k->reason, sizeof(k->reason),
		 "peer says: %s (its `show peers security` knows more)", reason_text(f.reason));
	svr_kex_set_state(k, SVR_KEX_STATE_CERT_EXCH_FAIL, k->reason);
	return 0;
}

int svr_kex_receive(struct svr_kex *k, int path, struct svr_kex_buffer *buffer,
		    const struct svr_kex_piece *piece, enum svr_kex_seal seal, struct svr_now now)
{
	int ret = svr_kexmsg_check_piece(piece);

	if (ret)
		return ret;
	if (!k->config.identity)
		return -SVR_DROP_KEX_STATE;
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
		return receive_refused(k, piece, seal, now);
	}
	return -SVR_DROP_KEX_STATE;
}

/* ---- time ------------------------------------------------------------------------------------ */

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
		if ((k->x.phase == SVR_KEX_PHASE_STARTING ||
		     k->x.phase == SVR_KEX_PHASE_INIT_SENT) &&
		    !k->x.authenticated)
			exchange_abandon(k);
		return;
	}
	/* The peer shows no key any more, so it will not read what is sealed by one. */
	svr_kex_cancel_authenticated(k);
	plan_start(k, now);
	if (now.mono_ns >= k->start_ns)
		kex_start(k, false, now);
}

int svr_kex_rekey(struct svr_kex *k, struct svr_now now)
{
	return k->wanted || svr_kex_under_way(k) || k->candidate ? -EBUSY : kex_start(k, true, now);
}

void svr_kex_cancel_authenticated(struct svr_kex *k)
{
	if (svr_kex_under_way(k) && k->x.authenticated)
		exchange_abandon(k);
	if (k->candidate && k->candidate->authenticated)
		job_cancel(&k->candidate);
}

void svr_kex_cancel_unauthenticated(struct svr_kex *k)
{
	if (svr_kex_under_way(k) && !k->x.authenticated)
		exchange_abandon(k);
	if (k->candidate && !k->candidate->authenticated)
		job_cancel(&k->candidate);
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
	if (k->x.job) { /* it is our turn, not the peer's */
		k->x.next_ns = now.mono_ns + ms_ns(SVR_KEX_JOB_MS);
		return;
	}
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
	case SVR_KEX_PHASE_STARTING:
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
	if (now.mono_ns >= k->start_ns && k->candidate)
		k->start_ns = UINT64_MAX; /* the peer has started; planned anew if that fails */
	else if (now.mono_ns >= k->start_ns)
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

void svr_kex_reset(struct svr_kex *k)
{
	job_cancel(&k->candidate);
	exchange_abandon(k);
	k->start_ns = UINT64_MAX;
	k->backoff_ns = 0;
	k->refused_until_ns = 0;
	k->wanted = false;
}

void svr_kex_set_identity(struct svr_kex *k, struct svr_pki_identity *identity)
{
	if (identity == k->config.identity)
		return;
	k->config.identity = identity;
	job_cancel(&k->candidate);
	/* One that is over may still have to repeat its last answer. */
	if (svr_kex_under_way(k))
		exchange_abandon(k);
}

void svr_kex_set_trust(struct svr_kex *k, struct svr_pki_trust *trust)
{
	k->config.trust = trust;
	k->refused_until_ns = 0; /* what was refused may be good now */
}

void svr_kex_clear(struct svr_kex *k)
{
	job_cancel(&k->candidate);
	exchange_clear(k);
}
