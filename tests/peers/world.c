// SPDX-License-Identifier: BSD-2-Clause
/* The world of two routers: see world.h. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <svr/drops.h>

#include "lib/bytes.h"
#include "lib/ownkeys.h"
#include "world.h"

static const char *const world_names[2] = { "east", "west" };
static const uint64_t world_epoch_ns =
	1800000000ULL * SVR_NS_PER_SEC; /* real time when the world begins */
static struct svr_pki_identity *world_ids[2];

/* ---- randomness and Diffie-Hellman ----------------------------------------------------------- */

static uint64_t rng_next(struct world *w)
{
	uint64_t z = (w->rng += 0x9e3779b97f4a7c15ULL); /* splitmix64 */

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

uint64_t world_random(struct world *w, uint64_t below)
{
	return below ? rng_next(w) % below : 0;
}

static int node_random(void *user, void *out, size_t len)
{
	struct node *n = user;
	uint8_t *p = out;

	while (len--)
		*p++ = (uint8_t)rng_next(n->world);
	return 0;
}

/* g^x modulo a prime of 61 bits, in the last eight bytes. */
struct svr_dh_secret {
	uint16_t group;
	uint64_t x;
};
static const uint64_t dh_prime = (1ULL << 61) - 1;
static uint64_t dh_counter = 1;

static uint64_t dh_power(uint64_t base, uint64_t x)
{
	unsigned __int128 result = 1, b = base % dh_prime;

	for (; x; x >>= 1, b = b * b % dh_prime)
		if (x & 1)
			result = result * b % dh_prime;
	return (uint64_t)result;
}

static int mock_generate(uint16_t group, struct svr_dh_secret **secret, uint8_t *public_value)
{
	struct svr_dh_secret *s = calloc(1, sizeof(*s));
	size_t len = svr_dh_len(group);

	*secret = s;
	if (!s || !len)
		return -EINVAL;
	s->group = group;
	s->x = 0x123456789abcdefULL * ++dh_counter % (dh_prime - 2) + 1;
	memset(public_value, 0, len);
	svr_put64(public_value + len - 8, dh_power(37, s->x));
	return 0;
}

static int mock_derive(const struct svr_dh_secret *secret, const uint8_t *peer_value, uint8_t *z)
{
	size_t len = svr_dh_len(secret->group);
	uint64_t y = svr_get64(peer_value + len - 8);

	if (y <= 1 || y >= dh_prime - 1)
		return -SVR_DROP_KEX_VALUE;
	memset(z, 0, len);
	svr_put64(z + len - 8, dh_power(y, secret->x));
	return 0;
}

static void mock_free(struct svr_dh_secret *secret)
{
	free(secret);
}

const struct svr_dh_ops world_dh = { .generate = mock_generate,
				     .derive = mock_derive,
				     .free = mock_free };

/* ---- small things ---------------------------------------------------------------------------- */

static void die(const char *what)
{
	fprintf(stderr, "world: %s\n", what);
	abort();
}

static bool listed(const uint32_t *list, unsigned int n, uint32_t index)
{
	while (n--)
		if (list[n] == index)
			return true;
	return false;
}

static void list_add(uint32_t *list, unsigned int *n, uint32_t index)
{
	if (!index || listed(list, *n, index))
		return;
	if (*n == WORLD_INDEXES)
		die("too many keys for one world");
	list[(*n)++] = index;
}

/* ---- what a peering needs of its owner ------------------------------------------------------- */

static struct svr_now node_now(void *user)
{
	const struct node *n = user;

	return (struct svr_now){
		.mono_ns = n->world->now_ns,
		.real_ns = world_epoch_ns + n->world->now_ns + (uint64_t)n->clock_ns,
	};
}

static bool node_may_compute(void *user, uint64_t now_ns)
{
	(void)user, (void)now_ns;
	return true;
}

static int node_compute(void *user, struct svr_kex_job *job)
{
	struct node *n = user;
	struct world *w = n->world;

	if (w->jobs == WORLD_JOBS_MAX)
		return -EAGAIN;
	w->job[w->jobs].job = job;
	w->job[w->jobs++].at_ns = w->now_ns + world_random(w, w->compute_ns + 1);
	return 0;
}

static void node_refused(void *user, int drop)
{
	struct node *n = user;

	n->refused[-drop]++;
}

static void queue_add(struct world *w, const struct flight *f, uint64_t at_ns)
{
	struct flight *slot;

	if (w->queued == WORLD_QUEUE_MAX)
		return; /* a full link loses */
	slot = &w->queue[w->queued++];
	*slot = *f;
	slot->at_ns = at_ns;
	slot->order = w->sent;
}

static void fault(struct world *w, const struct node *from, const char *what, uint32_t index)
{
	if (w->verbose && !w->fault[0])
		fprintf(stderr, "%9.3f %s sends %s %u: not readable\n", (double)w->now_ns / 1e9,
			from->name, what, index);
	if (!w->fault[0] && !w->tampered)
		snprintf(w->fault, sizeof(w->fault),
			 "at %.3f s: %s sends %s %u, which %s cannot read", (double)w->now_ns / 1e9,
			 from->name, what, index, w->node[!from->number].name);
}

/*
 * Nobody seals a BFD packet by a key that the other one has confirmed and does not listen to any
 * more, or has not confirmed while it replaces another one; but of one that it has lost.
 */
static void check_bfd(struct node *n, const uint8_t *packet, size_t len)
{
	const struct node *o = &n->world->node[!n->number];
	uint32_t index, i;

	if (len <= SVR_BFD_LEN + SVR_META_HDR_LEN + 8 ||
	    packet[SVR_BFD_LEN + 9] <= SVR_META_HDR_LEN)
		return; /* not sealed */
	index = svr_get32(packet + SVR_BFD_LEN + SVR_META_HDR_LEN + 4);
	if (n->peering->pending.index == index || listed(o->lost, o->n_lost, index) ||
	    !listed(o->confirmed, o->n_confirmed, index))
		return;
	for (i = 0; i < SVR_KEY_SLOTS; i++)
		if (o->keys.peer[i].index == index &&
		    (i == o->keys.tx || (o->keys.peer[i].flags & SVR_KEY_NEXT)))
			return;
	fault(n->world, n, "BFD under peer key", index);
}

static void node_send(void *user, unsigned int path, const uint8_t *packet, size_t len)
{
	struct node *n = user;
	struct world *w = n->world;
	struct flight f = { .to = !n->number, .path = path, .len = len };
	int copies = 1;

	if (len > sizeof(f.data)) {
		fprintf(stderr, "packet of %zu bytes\n", len);
		abort();
	}
	memcpy(f.data, packet, len);
	check_bfd(n, packet, len);
	n->sent++;
	w->sent++;
	if (n->quiet || w->path_cut[path] || (w->filter && !w->filter(w, &f, w->filter_arg)) ||
	    world_random(w, 1000) < w->loss)
		return;
	if (world_random(w, 1000) < w->duplicate)
		copies = 2;
	while (copies--)
		queue_add(w, &f, w->now_ns + w->delay_ns + world_random(w, w->jitter_ns + 1));
}

static void node_save_path(void *user, unsigned int path, const struct svr_path_state *state)
{
	struct node *n = user;

	n->path[path] = *state;
}

static void node_save_keys(void *user, const struct svr_peer_keys *keys)
{
	struct node *n = user;

	n->keys = *keys;
}

static void node_new_key(void *user, const struct svr_peer_key *key)
{
	struct node *n = user;

	list_add(n->confirmed, &n->n_confirmed, key->index);
	n->keys_made++;
}

static void node_path_mtu(void *user, unsigned int path, uint16_t mtu, bool unresolvable)
{
	struct node *n = user;

	(void)mtu;
	n->mtu_alarm[path] = unresolvable;
}

static void node_log(void *user, bool warn, const char *text)
{
	struct node *n = user;

	n->failures_said += strstr(text, "-> CERT_EXCH_FAIL") != NULL;
	if (n->world->verbose)
		fprintf(stderr, "%9.3f %s%s: %s\n", (double)n->world->now_ns / 1e9, n->name,
			warn ? " !" : "", text);
}

#define NODE_OPS                                                                           \
	.random = node_random, .may_compute = node_may_compute, .now = node_now,           \
	.compute = node_compute, .refused = node_refused, .send = node_send,               \
	.save_path = node_save_path, .save_keys = node_save_keys, .new_key = node_new_key, \
	.log = node_log, .path_mtu = node_path_mtu
static const struct svr_peering_ops node_ops = { .dh = &world_dh, NODE_OPS };
static const struct svr_peering_ops node_ops_real_dh = { .dh = &svr_dh_openssl, NODE_OPS };

static void waypoint(uint8_t out[static 16], int number, unsigned int path)
{
	memset(out, 0, 16);
	out[10] = out[11] = 0xff;
	out[12] = 192;
	out[14] = (uint8_t)(path + 2);
	out[15] = (uint8_t)(number + 1);
}

int node_rotate(struct node *n)
{
	int ret = svr_own_keys_rotate(&n->own, node_random, n, node_now(n));

	if (n->world->verbose)
		fprintf(stderr, "%9.3f %s: metadata key %u %d\n", (double)n->world->now_ns / 1e9,
			n->name, n->own.meta[n->own.current].index, ret);
	if (!ret && n->peering)
		svr_peering_own_keys_changed(n->peering);
	return ret;
}

/* What the key manager does now and then. */
static void node_retire(struct node *n)
{
	if (n->peering && svr_peering_meta_settled(n->peering, node_now(n)))
		if (svr_own_keys_retire(&n->own) && n->world->verbose)
			fprintf(stderr, "%9.3f %s: old metadata keys retired\n",
				(double)n->world->now_ns / 1e9, n->name);
}

void node_path_config(const struct node *n, unsigned int path,
		      struct svr_peering_path_config *config)
{
	*config = (struct svr_peering_path_config){
		.enabled = true,
		.single_hop = true,
		.plain = n->world->plain,
		.bfd = n->world->bfd,
		.hold_down_ms = n->world->hold_down_ms,
		.hold_down_max_ms = n->world->hold_down_max_ms,
		.damping = n->world->hold_down_max_ms != 0,
		.test = n->world->test,
		.mtu = n->world->mtu,
	};
	waypoint(config->local, n->number, path);
	waypoint(config->remote, !n->number, path);
}

void node_start(struct node *n)
{
	struct svr_peering_config config = {
		.kex = {
			.own_name = n->name,
			.peer_name = world_names[!n->number],
			.identity = n->identity,
			.trust = n->trust,
			.group = n->group,
			.retransmit_ms = 30000,
			.timeout_s = 3600,
		},
		.own = &n->own,
		.crypt = n->crypt,
		.rekey_ms = n->world->rekey_ms,
		.hold_ms = n->world->hold_ms,
		.instance = (uint32_t)rng_next(n->world),
	};
	struct svr_peering_path_config path;
	unsigned int i;

	if (!svr_own_keys_valid(&n->own) && node_rotate(n))
		die("no metadata key");
	if (svr_peering_new(&config, n->world->real_dh ? &node_ops_real_dh : &node_ops, n,
			    n->world->paths, &n->keys, &n->peering))
		die("peering cannot be made");
	for (i = 0; i < n->world->paths; i++) {
		node_path_config(n, i, &path);
		if (svr_peering_set_path(n->peering, i, &path, &n->path[i]))
			die("path cannot be set");
	}
	svr_peering_tick(n->peering); /* as the key manager does: what is stored says what is so */
}

void node_stop(struct node *n)
{
	if (n->world->verbose && n->peering)
		fprintf(stderr, "%9.3f %s: killed\n", (double)n->world->now_ns / 1e9, n->name);
	svr_peering_free(n->peering);
	n->peering = NULL;
	n->stopped_ns = n->world->now_ns;
}

void node_forget(struct node *n)
{
	int i;

	for (i = 0; i < SVR_KEY_SLOTS; i++) {
		list_add(n->lost, &n->n_lost, n->keys.peer[i].index);
		list_add(n->lost, &n->n_lost, n->own.meta[i].index);
	}
	memset(&n->keys, 0, sizeof(n->keys));
	memset(n->path, 0, sizeof(n->path));
	memset(&n->own, 0, sizeof(n->own));
}

int node_receive(struct node *n, unsigned int path, const uint8_t *data, size_t len, int ttl)
{
	uint8_t copy[WORLD_DATA_MAX];
	int ret;

	memcpy(copy, data, len);
	ret = svr_peering_receive(n->peering, path, copy, len, ttl);
	n->received++;
	if (ret < 0)
		n->drops[-ret]++;
	return ret;
}

/* ---- time ------------------------------------------------------------------------------------ */

static int queue_first(const struct world *w)
{
	int first = -1;
	unsigned int i;

	for (i = 0; i < w->queued; i++)
		if (first < 0 || w->queue[i].at_ns < w->queue[first].at_ns ||
		    (w->queue[i].at_ns == w->queue[first].at_ns &&
		     w->queue[i].order < w->queue[first].order))
			first = (int)i;
	return first;
}

static int job_first(const struct world *w)
{
	int first = -1;
	unsigned int i;

	for (i = 0; i < w->jobs; i++)
		if (first < 0 || w->job[i].at_ns < w->job[first].at_ns)
			first = (int)i;
	return first;
}

/* In the order of their submission where the times are equal. */
static void job_finish(struct world *w, int i)
{
	struct svr_kex_job *job = w->job[i].job;

	memmove(&w->job[i], &w->job[i + 1], (--w->jobs - (unsigned int)i) * sizeof(w->job[0]));
	svr_kex_job_run(job);
	svr_peering_computed(job);
}

/* ---- session packets ------------------------------------------------------------------------- */

static void traffic_send(struct world *w, struct node *n)
{
	const struct svr_peer_keys *k = &n->keys;
	struct traffic *t = &w->traffic[w->n_traffic];
	uint64_t detect_ns = w->bfd.desired_min_tx_us * w->bfd.detect_mult * SVR_NS_PER_US;
	bool in_service = false;
	unsigned int i;

	/* Without its key manager a router is out of service for its peer after this. */
	if (!n->peering && w->now_ns > n->stopped_ns + detect_ns)
		return;
	for (i = 0; i < w->paths; i++)
		in_service = in_service || n->path[i].status == SVR_PATH_UP;
	if (!in_service || w->n_traffic == WORLD_TRAFFIC_MAX)
		return;
	if (k->tx >= SVR_KEY_SLOTS || k->meta_tx >= SVR_KEY_SLOTS) {
		fault(w, n, "without a key", 0);
		return;
	}
	*t = (struct traffic){ .to = !n->number,
			       .sent_ns = w->now_ns,
			       .at_ns = w->now_ns + world_random(w, w->hold_ms * SVR_NS_PER_MS + 1),
			       .peer_index = k->peer[k->tx].index,
			       .meta_index = k->meta[k->meta_tx].index };
	memcpy(t->hmac, k->peer[k->tx].hmac_tx, sizeof(t->hmac));
	memcpy(t->meta, k->meta[k->meta_tx].key, sizeof(t->meta));
	w->n_traffic++;
	w->traffic_sent++;
}

static void traffic_arrive(struct world *w, const struct traffic *t)
{
	const struct node *n = &w->node[t->to];
	bool peer_ok = listed(n->lost, n->n_lost, t->peer_index);
	bool meta_ok = listed(n->lost, n->n_lost, t->meta_index);
	int i;

	for (i = 0; i < SVR_KEY_SLOTS; i++) {
		const struct svr_peer_key *k = &n->keys.peer[i];
		const struct svr_meta_key *m = &n->own.meta[i];

		peer_ok = peer_ok || (k->index == t->peer_index && (k->flags & SVR_KEY_RX) &&
				      memcmp(k->hmac_rx, t->hmac, sizeof(t->hmac)) == 0);
		meta_ok = meta_ok || (m->index == t->meta_index && (m->flags & SVR_KEY_RX) &&
				      memcmp(m->key, t->meta, sizeof(t->meta)) == 0);
	}
	if ((!peer_ok || !meta_ok) && w->verbose)
		fprintf(stderr, "%9.3f a packet that was sent at %.3f\n", (double)w->now_ns / 1e9,
			(double)t->sent_ns / 1e9);
	if (!peer_ok)
		fault(w, &w->node[!t->to], "a session packet under peer key", t->peer_index);
	if (!meta_ok)
		fault(w, &w->node[!t->to], "metadata under key", t->meta_index);
}

/* After everything that happens. */
static void traffic_step(struct world *w)
{
	unsigned int i = 0;

	while (i < w->n_traffic) {
		if (w->traffic[i].at_ns > w->now_ns) {
			i++;
			continue;
		}
		traffic_arrive(w, &w->traffic[i]);
		w->traffic[i] = w->traffic[--w->n_traffic];
	}
	for (i = 0; i < 2; i++) {
		node_retire(&w->node[i]);
		traffic_send(w, &w->node[i]);
	}
}

/* The next thing that happens, not later than @end_ns. False: nothing happens until then. */
static bool world_step(struct world *w, uint64_t end_ns)
{
	int first = queue_first(w), job = job_first(w), who = -1, i;
	uint64_t at_ns = end_ns, next_ns;
	struct flight f;

	for (i = 0; i < 2; i++) {
		next_ns = w->node[i].peering ? svr_peering_next(w->node[i].peering) : UINT64_MAX;
		if (next_ns < at_ns) {
			at_ns = next_ns;
			who = i;
		}
	}
	if (job >= 0 && w->job[job].at_ns < at_ns &&
	    (first < 0 || w->job[job].at_ns <= w->queue[first].at_ns)) {
		if (w->job[job].at_ns > w->now_ns)
			w->now_ns = w->job[job].at_ns;
		job_finish(w, job);
		return true;
	}
	if (first >= 0 && w->queue[first].at_ns < at_ns) {
		f = w->queue[first];
		w->queue[first] = w->queue[--w->queued];
		if (f.at_ns > w->now_ns)
			w->now_ns = f.at_ns;
		if (w->node[f.to].peering && !w->path_cut[f.path])
			node_receive(&w->node[f.to], f.path, f.data, f.len, 255);
		return true;
	}
	if (at_ns > w->now_ns)
		w->now_ns = at_ns;
	if (who < 0)
		return false;
	svr_peering_tick(w->node[who].peering);
	return true;
}

void world_run(struct world *w, uint64_t ms)
{
	uint64_t end_ns = w->now_ns + ms * SVR_NS_PER_MS;

	while (world_step(w, end_ns))
		traffic_step(w);
	traffic_step(w);
}

bool world_run_until_agreed(struct world *w, uint64_t ms)
{
	uint64_t end_ns = w->now_ns + ms * SVR_NS_PER_MS;

	while (!world_agreed(w)) {
		if (!world_step(w, end_ns))
			return world_agreed(w);
		traffic_step(w);
	}
	return true;
}

static const char *disagreement(const struct world *w)
{
	unsigned int i, k;

	if (w->fault[0])
		return w->fault;
	for (i = 0; i < 2; i++) {
		const struct node *n = &w->node[i], *o = &w->node[!i];
		const struct svr_meta_key *m;

		if (!n->peering)
			return "a router does not run";
		if (n->keys.tx >= SVR_KEY_SLOTS)
			return "no peer key";
		if (o->keys.tx >= SVR_KEY_SLOTS)
			return "no peer key at the other one";
		if (n->keys.peer[n->keys.tx].index != o->keys.peer[o->keys.tx].index)
			return "peer key indexes differ";
		if (memcmp(n->keys.peer[n->keys.tx].key, o->keys.peer[o->keys.tx].key,
			   SVR_PEER_KEY_LEN) != 0)
			return "peer keys differ";
		if (memcmp(n->keys.peer[n->keys.tx].hmac_tx, o->keys.peer[o->keys.tx].hmac_rx,
			   SVR_HMAC_KEY_LEN) != 0)
			return "HMAC keys differ";
		if (n->keys.meta_tx >= SVR_KEY_SLOTS)
			return "no metadata key";
		m = &n->keys.meta[n->keys.meta_tx];
		if (m->index != o->own.meta[o->own.current].index ||
		    memcmp(m->key, o->own.meta[o->own.current].key, SVR_META_KEY_LEN) != 0)
			return "metadata keys differ";
		if (!svr_peering_meta_acked(n->peering))
			return "metadata key is not acknowledged";
		for (k = 0; k < w->paths; k++)
			if (!w->path_cut[k] && n->path[k].status != SVR_PATH_UP)
				return "a path is not in service";
		if (n->peering->kex.state != SVR_KEX_STATE_MKEY_EXCH_COMP)
			return "security state is not MKEY_EXCH_COMP";
		for (k = 0; k < SVR_KEY_SLOTS; k++)
			if (n->keys.peer[k].flags & SVR_KEY_BFD)
				return "a peer key waits to be used";
	}
	return NULL;
}

bool world_agreed(const struct world *w)
{
	return !disagreement(w);
}

const char *world_describe(const struct world *w)
{
	static char text[1024];
	const char *why = disagreement(w);
	size_t at = 0;
	int i;

	at += (size_t)snprintf(text, sizeof(text), "at %.3f s: %s", (double)w->now_ns / 1e9,
			       why ? why : "agreed");
	for (i = 0; i < 2; i++) {
		const struct node *n = &w->node[i];

		if (n->peering)
			at += (size_t)snprintf(
				text + at, sizeof(text) - at,
				"; %s: %s phase %d bfd %s path %u key %u '%s' '%s'", n->name,
				svr_kex_state_name(n->peering->kex.state), n->peering->kex.x.phase,
				svr_bfd_state_name((uint8_t)n->peering->paths[0].bfd.state),
				n->path[0].status,
				n->keys.tx < SVR_KEY_SLOTS ? n->keys.peer[n->keys.tx].index : 0,
				n->peering->kex.reason, n->peering->reason);
	}
	return text;
}

/* ---- making the world ------------------------------------------------------------------------ */

void world_identities(void)
{
	char dir[] = "/tmp/svr-test-XXXXXX", path[128], err[256];
	uint8_t fingerprint[32];
	int i;

	if (world_ids[0])
		return;
	if (!mkdtemp(dir))
		die("no temporary directory");
	for (i = 0; i < 2; i++) {
		if (svr_pki_self_signed(dir, world_names[i], world_names[i], "p256", 3650,
					fingerprint, err, sizeof(err)) ||
		    svr_pki_identity_load(dir, world_names[i], &world_ids[i], err, sizeof(err)))
			die(err);
		snprintf(path, sizeof(path), "%s/%s.key", dir, world_names[i]);
		unlink(path);
		snprintf(path, sizeof(path), "%s/%s.pem", dir, world_names[i]);
		unlink(path);
	}
	rmdir(dir);
}

struct svr_pki_identity *world_identity(int number)
{
	world_identities();
	return world_ids[number];
}

struct world *world_new(uint64_t seed, unsigned int paths)
{
	struct world *w = calloc(1, sizeof(*w));
	int i;

	world_identities();
	if (!w || !(w->queue = calloc(WORLD_QUEUE_MAX, sizeof(*w->queue))))
		die("out of memory");
	w->rng = seed * 0x2545f4914f6cdd1dULL + 1;
	w->now_ns = 1000 * SVR_NS_PER_SEC;
	w->paths = paths;
	w->bfd = (struct svr_bfd_config){ .desired_min_tx_us = 1000000,
					  .required_min_rx_us = 1000000,
					  .detect_mult = 3 };
	w->delay_ns = 5 * SVR_NS_PER_MS;
	w->verbose = getenv("PEERS_VERBOSE") != NULL;
	for (i = 0; i < 2; i++) {
		struct node *n = &w->node[i];

		n->world = w;
		n->number = i;
		n->name = world_names[i];
		n->identity = world_ids[i];
		n->group = SVR_DH_FFDHE2048;
		if (svr_crypt_new(&n->crypt) || svr_pki_trust_new(&n->trust))
			die("out of memory");
		svr_pki_trust_fingerprint(n->trust, svr_pki_identity_fingerprint(world_ids[!i]));
	}
	return w;
}

void world_free(struct world *w)
{
	int i;

	for (i = 0; i < 2; i++)
		node_stop(&w->node[i]);
	while (w->jobs) /* cancelled, some of them run */
		svr_kex_job_free(w->job[--w->jobs].job);
	for (i = 0; i < 2; i++) {
		svr_pki_trust_free(w->node[i].trust);
		svr_crypt_free(w->node[i].crypt);
	}
	free(w->queue);
	free(w);
}
