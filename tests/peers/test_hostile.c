// SPDX-License-Identifier: BSD-2-Clause
/*
 * Packets of strangers against peers that have keys: nothing changes. What is compared is
 * everything that is stored, and BFD.
 */
#include <criterion/criterion.h>
#include <string.h>

#include <svr/drops.h>

#include "world.h"

enum { CAPTURE_MAX = 64 };

struct capture {
	struct flight packet[CAPTURE_MAX];
	unsigned int count;
};

static bool capture(struct world *w, const struct flight *f, void *arg)
{
	struct capture *c = arg;

	(void)w;
	if (c->count < CAPTURE_MAX)
		c->packet[c->count++] = *f;
	return true;
}

struct snapshot {
	struct svr_peer_keys keys;
	struct svr_path_state path[WORLD_PATHS_MAX];
	struct svr_bfd bfd[WORLD_PATHS_MAX];
	struct svr_kex_exchange exchange;
	enum svr_kex_state state;
	uint64_t auth_until_ns[WORLD_PATHS_MAX];
	uint64_t sent;
	bool has_buffer[WORLD_PATHS_MAX];
};

static void take_snapshot(const struct node *n, struct snapshot *s)
{
	unsigned int i;

	memset(s, 0, sizeof(*s));
	s->keys = n->keys;
	for (i = 0; i < n->world->paths; i++) {
		s->path[i] = n->path[i];
		s->bfd[i] = n->peering->paths[i].bfd;
		s->auth_until_ns[i] = n->peering->paths[i].auth_until_ns;
		s->has_buffer[i] = n->peering->paths[i].buffer.data != NULL;
	}
	s->exchange = n->peering->kex.x;
	s->state = n->peering->kex.state;
	s->sent = n->sent;
}

/* The packet is refused with @drop (0: with any reason), and nothing has changed. */
static void expect_nothing(struct node *n, unsigned int path, const uint8_t *data, size_t len,
			   int drop, const char *what)
{
	struct snapshot before, after;
	int ret;

	take_snapshot(n, &before);
	ret = node_receive(n, path, data, len, 255);
	take_snapshot(n, &after);
	cr_assert_lt(ret, 0, "%s: accepted", what);
	if (drop)
		cr_assert_eq(ret, -drop, "%s: drop %d, expected %d", what, -ret, drop);
	cr_assert_eq(memcmp(&before, &after, sizeof(before)), 0, "%s: something changed", what);
}

static struct world *established(unsigned int paths, struct capture *c)
{
	struct world *w = world_new(31, paths);

	node_start(&w->node[0]);
	node_start(&w->node[1]);
	cr_assert(world_run_until_agreed(w, 10000), "%s", world_describe(w));
	world_run(w, 5000);
	w->filter = capture;
	w->filter_arg = c;
	world_run(w, 3000);
	w->filter = NULL;
	cr_assert_gt(c->count, 4);
	return w;
}

/* The newest packet to a router that it has not received yet. */
static const struct flight *fresh_to(struct world *w, struct capture *c, int to)
{
	unsigned int i;

	c->count = 0;
	w->filter = capture;
	w->filter_arg = c;
	w->path_cut[0] = true; /* seen, and then lost */
	for (i = 0; i < 100 && (c->count == 0 || c->packet[c->count - 1].to != to); i++) {
		w->path_cut[0] = false;
		w->loss = 1000;
		world_run(w, 50);
	}
	w->loss = 0;
	w->filter = NULL;
	cr_assert_gt(c->count, 0);
	cr_assert_eq(c->packet[c->count - 1].to, to);
	return &c->packet[c->count - 1];
}

Test(hostile, every_bit_flipped)
{
	struct capture c = { 0 };
	struct world *w = established(1, &c);
	const struct flight *f = fresh_to(w, &c, 1);
	uint8_t data[SVR_BFDMETA_PACKET_MAX];
	size_t bit;

	for (bit = 0; bit < f->len * 8; bit++) {
		memcpy(data, f->data, f->len);
		data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		expect_nothing(&w->node[1], 0, data, f->len, 0, "bit flipped");
	}
	/* the unchanged one is fine */
	cr_assert_eq(node_receive(&w->node[1], 0, f->data, f->len, 255), 0);
	world_free(w);
}

Test(hostile, every_length)
{
	struct capture c = { 0 };
	struct world *w = established(1, &c);
	const struct flight *f = fresh_to(w, &c, 1);
	uint8_t data[SVR_BFDMETA_PACKET_MAX] = { 0 };
	size_t len;

	memcpy(data, f->data, f->len);
	for (len = 0; len < f->len; len++)
		expect_nothing(&w->node[1], 0, data, len, 0, "cut");
	for (len = f->len + 1; len < f->len + 64; len++)
		expect_nothing(&w->node[1], 0, data, len, 0, "with something behind");
	world_free(w);
}

Test(hostile, replayed)
{
	struct capture c = { 0 };
	struct world *w = established(2, &c);
	unsigned int i;

	for (i = 0; i < c.count; i++)
		expect_nothing(&w->node[c.packet[i].to], c.packet[i].path, c.packet[i].data,
			       c.packet[i].len, SVR_DROP_BFD_REPLAY, "replayed");
	/* also after a restart */
	node_stop(&w->node[1]);
	node_start(&w->node[1]);
	for (i = 0; i < c.count; i++)
		if (c.packet[i].to == 1)
			expect_nothing(&w->node[1], c.packet[i].path, c.packet[i].data,
				       c.packet[i].len, SVR_DROP_BFD_REPLAY,
				       "replayed after a restart");
	world_free(w);
}

Test(hostile, reflected)
{
	struct capture c = { 0 };
	struct world *w = established(1, &c);
	unsigned int i;

	for (i = 0; i < c.count; i++)
		expect_nothing(&w->node[!c.packet[i].to], 0, c.packet[i].data, c.packet[i].len,
			       SVR_DROP_BFD_SESSION, "reflected");
	world_free(w);
}

Test(hostile, moved_to_another_path)
{
	struct capture c = { 0 };
	struct world *w = established(2, &c);
	unsigned int i;

	for (i = 0; i < c.count; i++)
		expect_nothing(&w->node[c.packet[i].to], !c.packet[i].path, c.packet[i].data,
			       c.packet[i].len, SVR_DROP_BFD_SESSION, "moved");
	world_free(w);
}

/*
 * While a path is down its packets carry no discriminator of the receiver: the addresses inside
 * still tell.
 */
Test(hostile, moved_to_another_path_while_down)
{
	struct capture c = { 0 };
	struct world *w = established(2, &c);
	unsigned int i, seen = 0;

	/* path 0 is cut in one direction only, so that east goes down and says so */
	w->node[1].quiet = true;
	world_run(w, 8000);
	c.count = 0;
	w->filter = capture;
	world_run(w, 4000);
	w->filter = NULL;
	for (i = 0; i < c.count; i++) {
		if (c.packet[i].to != 1)
			continue;
		expect_nothing(&w->node[1], !c.packet[i].path, c.packet[i].data, c.packet[i].len, 0,
			       "moved while down");
		seen++;
	}
	cr_assert_gt(seen, 2);
	world_free(w);
}

/* Everything a stranger can know: addresses, and both discriminators from the wire. */
static size_t forge(const struct world *w, const struct svr_bfdmeta *m, uint8_t state, bool discr,
		    uint8_t *out)
{
	const struct svr_bfd *bfd = &w->node[0].peering->paths[0].bfd;
	const struct svr_bfd_packet pkt = {
		.state = state,
		.detect_mult = 3,
		.my_discr = discr ? bfd->local_discr : 4711,
		.your_discr = discr ? bfd->remote_discr : 0,
		.desired_min_tx_us = 1000000,
		.required_min_rx_us = 1000000,
	};
	uint8_t header[SVR_BFD_LEN];
	int len;

	svr_bfd_build(&pkt, header);
	if (!m) {
		memcpy(out, header, sizeof(header));
		return sizeof(header);
	}
	len = svr_bfdmeta_seal(w->node[0].crypt, NULL, header, m, out, SVR_BFDMETA_PACKET_MAX);
	cr_assert_gt(len, 0);
	return (size_t)len;
}

Test(hostile, forged_while_the_peer_is_known)
{
	struct capture c = { 0 };
	struct world *w = established(1, &c);
	struct svr_bfdmeta m = { .have = SVR_BFDMETA_HELLO, .version = 1, .common_name = "east" };
	uint8_t data[SVR_BFDMETA_PACKET_MAX], filler[SVR_KEX_PIECE_LEN] = { 0 };
	uint8_t state;
	size_t len;

	for (state = 0; state < 4; state++) {
		len = forge(w, NULL, state, true, data);
		expect_nothing(&w->node[1], 0, data, len, SVR_DROP_BFD_AUTH, "plain BFD");
		len = forge(w, &m, state, true, data);
		expect_nothing(&w->node[1], 0, data, len, SVR_DROP_BFD_AUTH, "with a hello");
	}
	len = forge(w, &m, SVR_BFD_DOWN, false, data);
	expect_nothing(&w->node[1], 0, data, len, SVR_DROP_BFD_AUTH,
		       "as if it had been started anew");

	/* an INIT that is not sealed by the live key */
	m.have |= SVR_BFDMETA_PIECE;
	m.piece = (struct svr_kex_piece){ SVR_KEX_INIT, 0, 1, 400, 1, filler, 400 };
	len = forge(w, &m, SVR_BFD_UP, true, data);
	expect_nothing(&w->node[1], 0, data, len, SVR_DROP_BFD_AUTH, "INIT");
	m.have = SVR_BFDMETA_HELLO | SVR_BFDMETA_META_KEY | SVR_BFDMETA_META_KEY_ACK;
	m.meta_index = m.meta_ack = 5;
	len = forge(w, &m, SVR_BFD_UP, true, data);
	expect_nothing(&w->node[1], 0, data, len, SVR_DROP_BFD_AUTH, "metadata key");
	world_free(w);
}

Test(hostile, from_far_away)
{
	struct capture c = { 0 };
	struct world *w = established(1, &c);
	const struct flight *f = fresh_to(w, &c, 1);
	struct snapshot before, after;

	take_snapshot(&w->node[1], &before);
	cr_assert_eq(node_receive(&w->node[1], 0, f->data, f->len, 254), -SVR_DROP_BFD_TTL);
	take_snapshot(&w->node[1], &after);
	cr_assert_eq(memcmp(&before, &after, sizeof(before)), 0);
	world_free(w);
}

/*
 * A stranger between both while they meet gets BFD up, but never a path in service, and is thrown
 * out by the peer.
 */
Test(hostile, stranger_while_the_door_is_open)
{
	struct capture c = { 0 };
	struct world *w = established(1, &c);
	struct svr_bfdmeta m = { .have = SVR_BFDMETA_HELLO, .version = 1, .common_name = "east" };
	uint8_t data[SVR_BFDMETA_PACKET_MAX];
	struct node *west = &w->node[1];
	unsigned int i;
	size_t len;

	w->path_cut[0] = true;
	world_run(w, 6000);
	cr_assert_eq(west->peering->paths[0].bfd.state, SVR_BFD_DOWN);
	w->path_cut[0] = false;
	w->node[0].quiet = true;
	for (i = 0; i < 20; i++) {
		struct svr_bfd_packet pkt = {
			.state = west->peering->paths[0].bfd.state == SVR_BFD_DOWN ? SVR_BFD_DOWN :
										     SVR_BFD_UP,
			.detect_mult = 3,
			.my_discr = 4711,
			.your_discr = west->peering->paths[0].bfd.local_discr,
			.desired_min_tx_us = 1000000,
			.required_min_rx_us = 1000000,
		};
		uint8_t header[SVR_BFD_LEN];

		svr_bfd_build(&pkt, header);
		len = (size_t)svr_bfdmeta_seal(w->node[0].crypt, NULL, header, &m, data,
					       sizeof(data));
		cr_assert_eq(node_receive(west, 0, data, len, 255), 0);
		world_run(w, 200);
		cr_assert_neq(west->path[0].status, SVR_PATH_UP);
	}
	cr_assert_eq(west->peering->paths[0].bfd.state, SVR_BFD_UP);
	cr_assert_eq(west->path[0].status, SVR_PATH_INIT);
	cr_assert_eq(west->keys_made, 1);

	w->node[0].quiet = false;
	cr_assert(world_run_until_agreed(w, 60000), "%s", world_describe(w));
	cr_assert_eq(west->keys_made, 1, "the old key is still good");
	len = forge(w, &m, SVR_BFD_DOWN, true, data);
	expect_nothing(west, 0, data, len, SVR_DROP_BFD_AUTH, "the stranger again");
	world_free(w);
}

/* Two packets to peers without keys: with them both would be silent for twelve days. */
Test(hostile, timers_of_a_stranger)
{
	struct svr_bfd_packet pkt = {
		.state = SVR_BFD_DOWN,
		.detect_mult = 255,
		.my_discr = 4711,
		.desired_min_tx_us = UINT32_MAX,
		.required_min_rx_us = 0,
	};
	struct world *w = world_new(33, 1);
	uint8_t data[SVR_BFD_LEN];
	int i;

	node_start(&w->node[0]);
	node_start(&w->node[1]);
	svr_bfd_build(&pkt, data);
	for (i = 0; i < 2; i++)
		cr_expect_eq(node_receive(&w->node[i], 0, data, sizeof(data), 255),
			     -SVR_DROP_BFD_FIELDS, "who takes no packets is no peer of ours");
	pkt.required_min_rx_us = UINT32_MAX;
	svr_bfd_build(&pkt, data);
	for (i = 0; i < 2; i++)
		cr_assert_eq(node_receive(&w->node[i], 0, data, sizeof(data), 255), 0);
	cr_expect(world_run_until_agreed(w, 90000), "%s", world_describe(w));
	world_free(w);
}

/* A peer that sends once in ten minutes is known all the same. */
Test(hostile, a_slow_peer_is_no_stranger)
{
	struct world *w = world_new(34, 1);
	struct svr_peering_path_config slow;

	node_start(&w->node[0]);
	node_start(&w->node[1]);
	node_path_config(&w->node[0], 0, &slow);
	slow.bfd = (struct svr_bfd_config){ .desired_min_tx_us = 600000000,
					    .required_min_rx_us = 600000000,
					    .detect_mult = 20 };
	svr_peering_configure_path(w->node[0].peering, 0, &slow);
	cr_expect(world_run_until_agreed(w, 90000), "%s", world_describe(w));
	world_run(w, 3600000);
	cr_expect(world_agreed(w), "%s", world_describe(w));
	cr_expect_eq(w->node[1].path[0].down_count, 0);
	cr_expect_eq(w->node[1].peering->paths[0].bfd.remote_min_rx_us, 600000000);
	world_free(w);
}

Test(hostile, plain_bfd_gets_up_but_not_into_service)
{
	struct world *w = world_new(32, 1);
	struct node *west = &w->node[1];
	unsigned int i;

	node_start(west);
	for (i = 0; i < 10; i++) {
		struct svr_bfd_packet pkt = {
			.state = west->peering->paths[0].bfd.state == SVR_BFD_DOWN ? SVR_BFD_DOWN :
										     SVR_BFD_UP,
			.detect_mult = 3,
			.my_discr = 99,
			.your_discr = west->peering->paths[0].bfd.local_discr,
			.desired_min_tx_us = 1000000,
			.required_min_rx_us = 1000000,
		};
		uint8_t data[SVR_BFD_LEN];

		svr_bfd_build(&pkt, data);
		cr_assert_eq(node_receive(west, 0, data, sizeof(data), 255), 0);
		world_run(w, 500);
	}
	cr_assert_eq(west->peering->paths[0].bfd.state, SVR_BFD_UP);
	cr_assert_eq(west->path[0].status, SVR_PATH_INIT);
	world_free(w);
}

Test(hostile, wrong_name_in_the_hello)
{
	struct world *w = world_new(33, 1);
	struct svr_bfdmeta m = { .have = SVR_BFDMETA_HELLO, .version = 1, .common_name = "north" };
	struct svr_bfd_packet pkt = { .state = SVR_BFD_DOWN,
				      .detect_mult = 3,
				      .my_discr = 99,
				      .desired_min_tx_us = 1000000,
				      .required_min_rx_us = 1000000 };
	uint8_t data[SVR_BFDMETA_PACKET_MAX], header[SVR_BFD_LEN];
	int len;

	node_start(&w->node[0]);
	node_start(&w->node[1]);
	svr_bfd_build(&pkt, header);
	len = svr_bfdmeta_seal(w->node[0].crypt, NULL, header, &m, data, sizeof(data));
	expect_nothing(&w->node[1], 0, data, (size_t)len, SVR_DROP_BFD_SESSION, "another name");
	cr_assert(strstr(w->node[1].peering->reason,
			 "common name of the peer is north, expected east"));
	/* Caveat of SSR 7.2.3: versions that do not fit got stuck in the middle. Here they are refused. */
	m.version = 2;
	strcpy(m.common_name, "east");
	len = svr_bfdmeta_seal(w->node[0].crypt, NULL, header, &m, data, sizeof(data));
	expect_nothing(&w->node[1], 0, data, (size_t)len, SVR_DROP_BFD_METADATA, "another version");
	world_free(w);
}
