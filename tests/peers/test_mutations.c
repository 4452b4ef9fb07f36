// SPDX-License-Identifier: BSD-2-Clause
/*
 * Packets of both peers, changed at random: bits, lengths, ends, two put together, sent again, sent
 * back, moved to another path. Peers that know each other take none of them in any state of an
 * exchange, and nothing changes. While the door is open changed packets may hinder, but never make a
 * key, and nothing of it stays.
 *
 *	PEERS_MUTATIONS=N	so many over all tests here (`make check-mutations`: 1,000,000 and more)
 *	PEERS_SEED=N		of the dice
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bytes.h"
#include "world.h"

enum {
	MUTATIONS = 20000,
	POOL_MAX = 512, /* packets that are changed */
	STATES = 6, /* below; the door is open for as many again */
	FLIPS_MAX = 8,
};

struct pool {
	struct flight packet[POOL_MAX];
	unsigned int count;
};

static uint64_t from_environment(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 10) : otherwise;
}

/* Keeps the newest ones. */
static bool collect(struct world *w, const struct flight *f, void *arg)
{
	struct pool *pool = arg;

	(void)w;
	if (pool->count == POOL_MAX)
		memmove(&pool->packet[0], &pool->packet[1],
			--pool->count * sizeof(pool->packet[0]));
	pool->packet[pool->count++] = *f;
	return true;
}

/* ---- changing -------------------------------------------------------------------------------- */

static void flip(struct world *w, struct flight *f)
{
	uint64_t n = 1 + world_random(w, FLIPS_MAX);

	while (n-- && f->len)
		f->data[world_random(w, f->len)] ^= (uint8_t)(1 << world_random(w, 8));
}

/* Where lengths and numbers stand: both headers and the first TLVs. */
static void change_head(struct world *w, struct flight *f)
{
	static const uint16_t values[] = { 0,  1,   4,	    11,	    12,	    13,
					   24, 255, 0x0fff, 0x1fff, 0x7fff, 0xffff };
	size_t end = f->len < 96 ? f->len : 96, at;

	if (end < 2)
		return;
	at = world_random(w, end - 1);
	if (world_random(w, 2))
		svr_put16(f->data + at,
			  values[world_random(w, sizeof(values) / sizeof(values[0]))]);
	else
		f->data[at] = (uint8_t)world_random(w, 256);
}

static void cut(struct world *w, struct flight *f)
{
	f->len = world_random(w, f->len + 1);
}

static void extend(struct world *w, struct flight *f)
{
	size_t n = world_random(w, WORLD_DATA_MAX - f->len + 1);

	while (n--)
		f->data[f->len++] = (uint8_t)world_random(w, 256);
}

/* The beginning of one, the end of another. */
static void splice(struct world *w, struct flight *f, const struct flight *other)
{
	size_t at = world_random(w, (f->len < other->len ? f->len : other->len) + 1);

	memcpy(f->data + at, other->data + at, other->len - at);
	f->len = other->len;
}

/* A range of bytes moves within the packet. */
static void shift(struct world *w, struct flight *f)
{
	size_t from, to, n;

	if (f->len < 2)
		return;
	from = world_random(w, f->len);
	to = world_random(w, f->len);
	n = 1 + world_random(w, f->len - (from > to ? from : to));
	memmove(f->data + to, f->data + from, n);
}

/* Nobody sealed it, but its shape is right: everything that a stranger on the way can write. */
static void forge(struct world *w, struct flight *f)
{
	struct svr_bfd_packet pkt = {
		.state = (uint8_t)world_random(w, 4),
		.diag = (uint8_t)world_random(w, 9),
		.poll = world_random(w, 2),
		.final = world_random(w, 4) == 0,
		.detect_mult = (uint8_t)(1 + world_random(w, 5)),
		.my_discr = svr_get32(f->data + 4),
		.your_discr = svr_get32(f->data + 8),
		.desired_min_tx_us = (uint32_t)world_random(w, 2000000),
		.required_min_rx_us = (uint32_t)world_random(w, 2000000),
	};

	if (f->len < SVR_BFD_LEN)
		return;
	svr_bfd_build(&pkt, f->data);
	if (world_random(w, 2))
		f->len = SVR_BFD_LEN;
}

static bool same(const struct flight *a, const struct flight *b)
{
	return a->len == b->len && a->to == b->to && a->path == b->path &&
	       memcmp(a->data, b->data, a->len) == 0;
}

/* It has not arrived yet: it would be taken, and rightly so. */
static bool under_way(const struct world *w, const struct flight *f)
{
	unsigned int i;

	for (i = 0; i < w->queued; i++)
		if (same(&w->queue[i], f))
			return true;
	return false;
}

static const char *mutate(struct world *w, const struct pool *pool, struct flight *f)
{
	const struct flight *other = &pool->packet[world_random(w, pool->count)];

	*f = pool->packet[world_random(w, pool->count)];
	switch (world_random(w, 10)) {
	case 0:
	case 1:
		flip(w, f);
		return "bits";
	case 2:
	case 3:
		change_head(w, f);
		return "a value in the head";
	case 4:
		cut(w, f);
		return "cut";
	case 5:
		extend(w, f);
		return "longer";
	case 6:
		splice(w, f, other);
		return "two in one";
	case 7:
		shift(w, f);
		return "moved bytes";
	case 8:
		forge(w, f);
		return "forged";
	}
	if (world_random(w, 2))
		f->to = !f->to;
	if (world_random(w, 2))
		f->path = !f->path;
	return "sent again, back, or by another path";
}

/* ---- peers that know each other -------------------------------------------------------------- */

struct snapshot {
	struct svr_peer_keys keys;
	struct svr_path_state path[2];
	struct svr_bfd bfd[2];
	struct svr_kex_exchange exchange;
	enum svr_kex_state state;
	struct svr_kex_job *candidate;
	uint64_t auth_until_ns[2], sent, exchanges, failures, times[4];
	uint32_t acked;
	bool has_buffer[2];
};

static void take_snapshot(const struct node *n, struct snapshot *s)
{
	const struct svr_peering *p = n->peering;
	unsigned int i;

	memset(s, 0, sizeof(*s));
	s->keys = n->keys;
	for (i = 0; i < 2; i++) {
		s->path[i] = n->path[i];
		s->bfd[i] = p->paths[i].bfd;
		s->auth_until_ns[i] = p->paths[i].auth_until_ns;
		s->has_buffer[i] = p->paths[i].buffer.data != NULL;
	}
	s->exchange = p->kex.x;
	s->state = p->kex.state;
	s->candidate = p->kex.candidate;
	s->exchanges = p->kex.exchanges;
	s->failures = p->kex.failures;
	s->times[0] = p->switch_ns;
	s->times[1] = p->meta_switch_ns;
	s->times[2] = p->retire_ns;
	s->times[3] = p->rekey_ns;
	s->acked = p->acked;
	s->sent = n->sent;
}

static void attack(struct world *w, const struct pool *pool, uint64_t count, const char *state)
{
	struct snapshot before[2], after;
	struct flight f;
	const char *what;
	unsigned int jobs = w->jobs;
	int ret;

	take_snapshot(&w->node[0], &before[0]);
	take_snapshot(&w->node[1], &before[1]);
	while (count) {
		what = mutate(w, pool, &f);
		if (under_way(w, &f))
			continue;
		count--;
		ret = node_receive(&w->node[f.to], f.path, f.data, f.len, 255);
		cr_assert_lt(ret, 0, "%s: %s: accepted", state, what);
		take_snapshot(&w->node[f.to], &after);
		cr_assert_eq(memcmp(&before[f.to], &after, sizeof(after)), 0,
			     "%s: %s: something changed, drop %d", state, what, -ret);
		cr_assert_eq(w->jobs, jobs, "%s: %s: something is computed", state, what);
	}
}

/* Both know each other, and the packets of both, of a rekey as well, are in the pool. */
static struct world *known(uint64_t seed, struct pool *pool)
{
	struct world *w = world_new(seed, 2);

	w->hold_ms = 1000;
	w->filter = collect;
	w->filter_arg = pool;
	node_start(&w->node[0]);
	node_start(&w->node[1]);
	cr_assert(world_run_until_agreed(w, 10000), "%s", world_describe(w));
	world_run(w, 3000);
	cr_assert_eq(svr_peering_rekey(w->node[0].peering), 0);
	node_rotate(&w->node[1]);
	world_run(w, 6000);
	cr_assert(world_agreed(w), "%s", world_describe(w));
	return w;
}

static void run_until_phase(struct world *w, int who, enum svr_kex_phase phase)
{
	unsigned int i;

	w->compute_ns = 40 * SVR_NS_PER_MS;
	cr_assert_eq(svr_peering_rekey(w->node[0].peering), 0);
	for (i = 0; i < 2000 && w->node[who].peering->kex.x.phase != phase; i++)
		world_run(w, 1);
	cr_assert_eq(w->node[who].peering->kex.x.phase, phase);
}

Test(mutations, of_peers_that_know_each_other)
{
	static const struct {
		const char *name;
		int who;
		enum svr_kex_phase phase;
	} states[STATES] = {
		{ "nothing under way", 0, SVR_KEX_PHASE_NONE },
		{ "initiator computes", 0, SVR_KEX_PHASE_STARTING },
		{ "INIT sent", 0, SVR_KEX_PHASE_INIT_SENT },
		{ "RESP sent", 1, SVR_KEX_PHASE_RESP_SENT },
		{ "AUTH sent", 0, SVR_KEX_PHASE_AUTH_SENT },
		{ "responder is done", 1, SVR_KEX_PHASE_DONE },
	};
	uint64_t n = from_environment("PEERS_MUTATIONS", MUTATIONS) / 2 / STATES + 1;
	uint64_t seed = from_environment("PEERS_SEED", 500);
	struct pool *pool = malloc(sizeof(*pool));
	unsigned int i;

	cr_assert(pool);
	for (i = 0; i < STATES; i++) {
		struct world *w;

		pool->count = 0;
		w = known(seed + i, pool);
		if (states[i].phase != SVR_KEX_PHASE_NONE)
			run_until_phase(w, states[i].who, states[i].phase);
		attack(w, pool, n, states[i].name);
		/* and what was under way goes on */
		world_run(w, 6000);
		cr_assert(world_run_until_agreed(w, 20000), "%s: %s", states[i].name,
			  world_describe(w));
		cr_assert_str_empty(w->fault, "%s", w->fault);
		cr_assert_eq(w->node[0].path[0].down_count + w->node[1].path[0].down_count, 0);
		world_free(w);
	}
	fprintf(stderr, "# %lu changed packets of known peers, nothing changed by any\n",
		n * STATES);
	free(pool);
}

/* ---- the door is open ------------------------------------------------------------------------ */

/* For each packet of the peers many changed ones; nobody may end with a key that the other has not. */
static uint64_t disturb(uint64_t seed, uint64_t count, struct pool *pool)
{
	struct world *w = world_new(seed, 2);
	uint64_t left = count, i, burst;
	struct flight f;

	pool->count = 0;
	w->hold_ms = 1000;
	w->filter = collect;
	w->filter_arg = pool;
	w->compute_ns = 20 * SVR_NS_PER_MS;
	node_start(&w->node[0]);
	node_start(&w->node[1]);
	while (left) {
		world_run(w, 1 + world_random(w, 20));
		burst = pool->count ? 1 + world_random(w, 60) : 0;
		for (i = 0; i < burst && left; i++, left--) {
			mutate(w, pool, &f);
			node_receive(&w->node[f.to], f.path, f.data, f.len, 255);
		}
		/* known by now: as strangers again, as if the machine had been replaced */
		if (world_random(w, 200) == 0) {
			struct node *n = &w->node[world_random(w, 2)];

			node_stop(n);
			node_forget(n);
			node_start(n);
		}
	}
	world_run(w, 16000);
	cr_assert(world_run_until_agreed(w, 180000), "seed %lu: %s", seed, world_describe(w));
	cr_assert_str_empty(w->fault, "seed %lu: %s", seed, w->fault);
	world_free(w);
	return count;
}

Test(mutations, while_the_door_is_open)
{
	uint64_t n = from_environment("PEERS_MUTATIONS", MUTATIONS) / 2, done = 0;
	uint64_t seed = from_environment("PEERS_SEED", 600), part = n / STATES + 1;
	struct pool *pool = malloc(sizeof(*pool));

	cr_assert(pool);
	if (part > 5000) /* more worlds, not longer ones */
		part = 5000;
	while (done < n)
		done += disturb(seed++, part, pool);
	fprintf(stderr, "# %lu changed packets at the open door, no key by any\n", done);
	free(pool);
}
