// SPDX-License-Identifier: BSD-2-Clause
/*
 * Life of a path: making, taking back what was stored, other configuration, ending; and what is
 * measured on it while it is authentic: link quality and path MTU.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "lib/bytes.h"
#include "lib/peering_internal.h"

enum {
	PEERING_DAMPING_RESET = 3, /* SSR: the longest hold-down so often, then from the start */
	PEERING_DISCR_AT = 4, /* My Discriminator in a control packet */
	PEERING_UDP_LEN = 8,
	PEERING_IP4_LEN = 20,
	PEERING_IP6_LEN = 40,
};

const char *svr_link_down_name(enum svr_link_down reason)
{
	static const char *const names[] = {
#define X(id, n, name) [n] = name,
		SVR_LINK_DOWN_REASONS(X)
#undef X
	};

	return reason < SVR_LINK_DOWN_MAX ? names[reason] : "?";
}

/* ---- when packets left ----------------------------------------------------------------------- */

void svr_peering_stamp(struct svr_peering_path *path, uint64_t tx_ns, struct svr_now now)
{
	unsigned int i = path->next_stamp++ % SVR_PEERING_STAMPS;

	path->stamp[i].tx_ns = tx_ns;
	path->stamp[i].mono_ns = now.mono_ns;
}

uint64_t svr_peering_stamped(const struct svr_peering_path *path, uint64_t tx_ns)
{
	unsigned int i;

	for (i = 0; i < SVR_PEERING_STAMPS && tx_ns; i++)
		if (path->stamp[i].tx_ns == tx_ns)
			return path->stamp[i].mono_ns;
	return 0;
}

/* ---- link quality and path MTU --------------------------------------------------------------- */

static bool is_v4(const struct svr_peering_path *path)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

	return memcmp(path->config.remote, mapped, sizeof(mapped)) == 0;
}

/* Bytes of an IP packet that are not UDP payload. */
static uint16_t headers_len(const struct svr_peering_path *path)
{
	return PEERING_UDP_LEN + (is_v4(path) ? PEERING_IP4_LEN : PEERING_IP6_LEN);
}

/* A key that the peer has proved to have; NULL: nothing may be measured. */
static struct svr_bfdmeta_key *confirmed_key(const struct svr_peering_path *path)
{
	struct svr_bfdmeta_key *key = svr_peering_tx_key(path->peering);

	if (path->config.plain || path->bfd.state != SVR_BFD_UP ||
	    !(path->state.flags & SVR_PATH_AUTHENTIC))
		return NULL;
	return key == &path->peering->pending ? NULL : key;
}

void svr_peering_path_measure(struct svr_peering_path *path, struct svr_now now)
{
	struct svr_peering *p = path->peering;
	uint32_t random = 0;

	if (!confirmed_key(path)) {
		svr_linktest_stop(&path->test);
		svr_pathmtu_stop(&path->mtu);
		return;
	}
	if (!path->test.running && path->config.test.length) {
		/* without randomness the bursts of all paths are in step, and nothing worse */
		(void)p->ops->random(p->user, &random, sizeof(random));
		svr_linktest_start(&path->test, random, now.mono_ns);
	}
	svr_pathmtu_start(&path->mtu, (uint16_t)path->state.mtu, now.mono_ns);
}

static void store_quality(struct svr_peering_path *path, struct svr_now now)
{
	struct svr_linktest_quality q = svr_linktest_quality(&path->test, now.mono_ns);

	if (!q.valid)
		return;
	path->state.latency_us = q.latency_us;
	path->state.jitter_us = q.jitter_us;
	path->state.loss = q.loss;
	path->state.mos = q.mos;
	path->state.quality_ns = now.real_ns;
	svr_peering_path_save(path);
}

/* What a search has found, once it has ended. */
static void store_mtu(struct svr_peering_path *path)
{
	const struct svr_pathmtu *m = &path->mtu;
	struct svr_peering *p = path->peering;
	char name[INET6_ADDRSTRLEN];

	if (path->state.mtu == m->result && path->mtu_failed == m->unresolvable)
		return;
	if (m->unresolvable)
		svr_peering_log(p, true, "path to %s: no packet of %u bytes passes, its MTU is unresolvable",
				svr_peering_path_name(path, name), m->config.min);
	else if (m->result)
		svr_peering_log(p, false, "path to %s: MTU %u", svr_peering_path_name(path, name),
				m->result);
	path->state.mtu = m->result;
	path->mtu_failed = m->unresolvable;
	svr_peering_path_save(path);
	if (p->ops->path_mtu)
		p->ops->path_mtu(p->user, path->number, m->result, m->unresolvable);
}

static void send_test(struct svr_peering_path *path, uint8_t kind, uint32_t burst, uint16_t number,
		      struct svr_bfdmeta_key *key)
{
	const struct svr_bfdmeta extra = {
		.have = SVR_BFDMETA_TEST,
		.test = { .kind = kind,
			  .number = number,
			  .burst = burst,
			  .accept_us = path->config.test.accept_us },
	};

	svr_peering_send_extra(path, &extra, 0, key);
}

void svr_peering_path_tick(struct svr_peering_path *path, struct svr_now now)
{
	struct svr_bfdmeta_key *key = confirmed_key(path);
	uint64_t test_ns = svr_linktest_next(&path->test);
	struct svr_bfdmeta extra = { .have = SVR_BFDMETA_PROBE };
	uint16_t number, size;
	uint64_t rtt_ns;
	uint32_t burst;

	if (!key)
		return;
	while (svr_linktest_tick(&path->test, &burst, &number, now.mono_ns))
		send_test(path, SVR_BFDMETA_TEST_REQUEST, burst, number, key);
	if (now.mono_ns >= test_ns)
		store_quality(path, now);

	rtt_ns = path->peering->clock.count ? (uint64_t)path->peering->clock.delay_ns + 1 : 0;
	if (svr_pathmtu_tick(&path->mtu, rtt_ns, &extra.probe.id, &size, now.mono_ns))
		svr_peering_send_extra(path, &extra, size - headers_len(path), key);
	if (path->mtu.running && !path->mtu.searching)
		store_mtu(path);
}

uint64_t svr_peering_path_next(const struct svr_peering_path *path)
{
	const uint64_t times_ns[] = { svr_linktest_next(&path->test), svr_pathmtu_next(&path->mtu),
				      path->hold_ns ? path->hold_ns : UINT64_MAX };
	uint64_t next_ns = svr_bfd_next(&path->bfd);
	size_t i;

	for (i = 0; i < sizeof(times_ns) / sizeof(times_ns[0]); i++)
		if (times_ns[i] < next_ns)
			next_ns = times_ns[i];
	return next_ns;
}

void svr_peering_path_take(struct svr_peering_path *path, const struct svr_bfdmeta *m, size_t len,
			   struct svr_now now)
{
	struct svr_bfdmeta extra = { .have = SVR_BFDMETA_PROBE_ACK };
	struct svr_bfdmeta_key *key = confirmed_key(path);

	if (!key)
		return;
	if ((m->have & SVR_BFDMETA_TEST) && m->test.kind == SVR_BFDMETA_TEST_REQUEST)
		send_test(path, SVR_BFDMETA_TEST_ANSWER, m->test.burst, m->test.number, key);
	else if ((m->have & SVR_BFDMETA_TEST) &&
		 svr_linktest_answer(&path->test, m->test.burst, m->test.number, m->test.accept_us,
				     now.mono_ns))
		store_quality(path, now);
	if (m->have & SVR_BFDMETA_PROBE) {
		extra.probe_ack.id = m->probe.id;
		extra.probe_ack.len = (uint16_t)len;
		svr_peering_send_extra(path, &extra, 0, key);
	}
	if (m->have & SVR_BFDMETA_PROBE_ACK) {
		svr_pathmtu_answer(&path->mtu, m->probe_ack.id,
				   (uint16_t)(m->probe_ack.len + headers_len(path)), now.mono_ns);
		if (path->mtu.running && !path->mtu.searching)
			store_mtu(path);
	}
}

/*
 * ICMP proves nothing, but who has not seen the packet cannot quote the discriminator, which is
 * random. A router that quotes less than that is heard too: it only chooses the next size.
 */
void svr_peering_too_big(struct svr_peering *p, unsigned int number, const uint8_t *quoted,
			 size_t len, uint32_t mtu)
{
	struct svr_peering_path *path = &p->paths[number];

	if (len >= PEERING_DISCR_AT + 4 &&
	    svr_get32(quoted + PEERING_DISCR_AT) != path->bfd.local_discr)
		return;
	svr_pathmtu_too_big(&path->mtu, mtu, p->ops->now(p->user).mono_ns);
}

/* ---- hold-down ------------------------------------------------------------------------------- */

/* A path that was in service failed: how long it has to be up before it is trusted again. */
void svr_peering_path_failed(struct svr_peering_path *path)
{
	const struct svr_peering_path_config *c = &path->config;
	uint32_t ms = path->state.hold_down_ms;

	path->state.down_count++;
	if (ms == 0 || !c->damping) {
		path->state.hold_down_ms = c->hold_down_ms;
		return;
	}
	ms = ms > c->hold_down_max_ms / 2 ? c->hold_down_max_ms : 2 * ms;
	if (ms == c->hold_down_max_ms && ++path->hold_max_hits == PEERING_DAMPING_RESET) {
		ms = c->hold_down_ms;
		path->hold_max_hits = 0;
	}
	path->state.hold_down_ms = ms;
}

/* What was stored, or came about under another configuration, is not longer than this one allows. */
static void limit_hold_down(struct svr_peering_path *path)
{
	const struct svr_peering_path_config *c = &path->config;
	uint32_t max_ms = c->damping ? c->hold_down_max_ms : c->hold_down_ms;

	if (path->state.hold_down_ms > max_ms)
		path->state.hold_down_ms = max_ms;
}

/*
 * A path goes on that was up, but not in service: perhaps it was held down. What is left of that is
 * waited for; since_ns says when it came up.
 */
static void resume_hold_down(struct svr_peering_path *path, struct svr_now now)
{
	const struct svr_path_state *s = &path->state;
	uint64_t hold_ns = s->hold_down_ms * SVR_NS_PER_MS, up_ns = 0;

	if (s->status == SVR_PATH_UP)
		return;
	if (s->status == SVR_PATH_INIT && now.real_ns > s->since_ns)
		up_ns = now.real_ns - s->since_ns;
	if (up_ns < hold_ns)
		path->hold_ns = now.mono_ns + hold_ns - up_ns;
}

/* ---- making a path --------------------------------------------------------------------------- */

static int path_owner(const struct svr_peering *p, const struct svr_peering_path_config *config,
		      uint64_t *owner)
{
	uint8_t in[SVR_NAME_LEN + 32] = { 0 }, out[32];

	memcpy(in, p->config.kex.peer_name, strnlen(p->config.kex.peer_name, SVR_NAME_LEN));
	memcpy(in + SVR_NAME_LEN, config->local, 16);
	memcpy(in + SVR_NAME_LEN + 16, config->remote, 16);
	if (EVP_Q_digest(NULL, "SHA2-256", NULL, in, sizeof(in), out, NULL) != 1)
		return -EIO;
	*owner = svr_get64(out);
	return 0;
}

/* Is what was stored young enough that the peer has not noticed our absence? */
static bool resumable(const struct svr_path_state *saved, struct svr_now now)
{
	return saved->bfd_state == SVR_BFD_UP && saved->remote_discr &&
	       saved->last_rx_ns <= now.real_ns &&
	       now.real_ns - saved->last_rx_ns < saved->detect_us * SVR_NS_PER_US;
}

static void configure_measurements(struct svr_peering_path *path, struct svr_now now)
{
	struct svr_linktest_config test = path->config.test;
	struct svr_pathmtu_config mtu = path->config.mtu;

	if (path->config.plain) {
		test.length = 0;
		mtu.enabled = false;
	}
	svr_linktest_configure(&path->test, &test);
	svr_pathmtu_configure(&path->mtu, &mtu, now.mono_ns);
	if (mtu.enabled)
		return;
	store_mtu(path); /* not known any more */
	/* The process before may have told that it is unresolvable. */
	if (path->peering->ops->path_mtu)
		path->peering->ops->path_mtu(path->peering->user, path->number, 0, false);
}

int svr_peering_set_path(struct svr_peering *p, unsigned int number,
			 const struct svr_peering_path_config *config,
			 const struct svr_path_state *saved)
{
	struct svr_peering_path *path = &p->paths[number];
	struct svr_now now = p->ops->now(p->user);
	uint64_t owner, last_rx_ns;
	uint32_t discr = 0;

	if (path_owner(p, config, &owner))
		return -EIO;
	if (saved && saved->owner == owner)
		path->state = *saved;
	else
		saved = NULL;
	path->peering = p;
	path->number = number;
	path->config = *config;
	path->state.owner = owner;
	limit_hold_down(path);
	discr = path->state.local_discr;
	while (!discr)
		if (p->ops->random(p->user, &discr, sizeof(discr)))
			return -EIO;
	svr_bfd_init(&path->bfd, &config->bfd, &svr_peering_bfd_ops, path, discr, now.mono_ns);
	if (saved && config->enabled && resumable(saved, now)) {
		last_rx_ns = now.mono_ns - (now.real_ns - saved->last_rx_ns);
		svr_bfd_resume(&path->bfd, saved->remote_discr, saved->detect_us,
			       saved->remote_min_rx_us, last_rx_ns, now.mono_ns);
		if (saved->flags & SVR_PATH_AUTHENTIC)
			path->auth_until_ns = last_rx_ns + saved->detect_us * SVR_NS_PER_US;
		resume_hold_down(path, now);
	} else {
		path->state.flags = 0;
		if (path->state.status == SVR_PATH_UP)
			svr_peering_path_failed(path); /* while nobody watched; the peer holds it down too */
	}
	path->mtu.result = (uint16_t)path->state.mtu; /* what was stored, until it is looked for again */
	configure_measurements(path, now);
	if (!config->enabled || p->barred)
		svr_bfd_set_admin_down(&path->bfd, true, now.mono_ns);
	svr_peering_path_save(path);
	return 0;
}

/* ---- other configuration --------------------------------------------------------------------- */

void svr_peering_configure_path(struct svr_peering *p, unsigned int number,
				const struct svr_peering_path_config *config)
{
	struct svr_peering_path *path = &p->paths[number];
	const struct svr_bfd_config *bfd = &path->bfd.config;
	struct svr_now now = p->ops->now(p->user);

	path->config = *config;
	if (bfd->desired_min_tx_us != config->bfd.desired_min_tx_us ||
	    bfd->required_min_rx_us != config->bfd.required_min_rx_us ||
	    bfd->detect_mult != config->bfd.detect_mult)
		svr_bfd_set_config(&path->bfd, &config->bfd, now.mono_ns);
	svr_bfd_set_admin_down(&path->bfd, !config->enabled || p->barred, now.mono_ns);
	limit_hold_down(path);
	configure_measurements(path, now);
	svr_peering_path_save(path);
	svr_peering_update(p);
}

void svr_peering_path_clear(struct svr_peering_path *path)
{
	svr_linktest_free(&path->test);
	svr_kex_buffer_clear(&path->buffer);
}

int svr_peering_set_paths(struct svr_peering *p, unsigned int n_paths, const int *from)
{
	struct svr_peering_path *paths = calloc(n_paths ? n_paths : 1, sizeof(*paths));
	bool *kept = calloc(p->n_paths ? p->n_paths : 1, sizeof(*kept));
	struct svr_now now = p->ops->now(p->user);
	unsigned int i;

	if (!paths || !kept) {
		free(paths);
		free(kept);
		return -ENOMEM;
	}
	for (i = 0; i < n_paths; i++)
		if (from[i] >= 0)
			kept[from[i]] = true;
	for (i = 0; i < p->n_paths; i++) {
		if (kept[i])
			continue;
		/* RFC 5880 6.8.16: told at once, not found out by silence */
		svr_bfd_set_admin_down(&p->paths[i].bfd, true, now.mono_ns);
		svr_peering_path_clear(&p->paths[i]);
	}
	for (i = 0; i < n_paths; i++) {
		if (from[i] < 0)
			continue;
		paths[i] = p->paths[from[i]];
		paths[i].number = i;
		paths[i].bfd.user = &paths[i];
	}
	free(p->paths);
	free(kept);
	p->paths = paths;
	p->n_paths = n_paths;
	return 0;
}
