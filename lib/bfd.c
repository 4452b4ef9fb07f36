// SPDX-License-Identifier: BSD-2-Clause
/*
 * BFD session in asynchronous mode (RFC 5880). One handler per state; every change of state goes
 * through bfd_set_state(). Numbers in comments are sections of RFC 5880.
 */
#include <string.h>

#include <svr/drops.h>

#include "lib/bfd.h"
#include "lib/bytes.h"

enum {
	BFD_NS_PER_US = 1000,
	BFD_TX_MIN_US = 50000, /* the shortest that can be configured */
	BFD_MULT_MIN = 3, /* and the fewest lost packets, also of our peers */
	/* byte 0 */
	BFD_VERSION_SHIFT = 5,
	BFD_DIAG_MASK = 0x1f,
	/* byte 1 */
	BFD_STATE_SHIFT = 6,
	BFD_FLAG_POLL = 0x20,
	BFD_FLAG_FINAL = 0x10,
	BFD_FLAG_CPI = 0x08,
	BFD_FLAG_AUTH = 0x04,
	BFD_FLAG_DEMAND = 0x02,
	BFD_FLAG_MULTIPOINT = 0x01,
	/*
	 * 6.8.7: each interval is cut by a random 0 to 25 %, by 10 to 25 % if one lost packet is
	 * too many
	 */
	BFD_JITTER_MIN = 75,
	BFD_JITTER_MAX = 100,
	BFD_JITTER_MAX_MULT1 = 90,
};

/* ---- packet ---------------------------------------------------------------------------------- */

const char *svr_bfd_state_name(uint8_t state)
{
	switch (state) {
#define X(id, n, name) \
	case n:        \
		return name;
		SVR_BFD_STATES(X)
#undef X
	}
	return "?";
}

const char *svr_bfd_diag_name(uint8_t diag)
{
	switch (diag) {
#define X(id, n, name) \
	case n:        \
		return name;
		SVR_BFD_DIAGS(X)
#undef X
	}
	return "unknown diagnostic";
}

int svr_bfd_parse(const uint8_t *p, size_t len, struct svr_bfd_packet *out)
{
	if (len < SVR_BFD_LEN)
		return -SVR_DROP_BFD_SHORT;
	if (p[0] >> BFD_VERSION_SHIFT != SVR_BFD_VERSION)
		return -SVR_DROP_BFD_VERSION;
	if (p[3] < SVR_BFD_LEN || p[3] > len)
		return -SVR_DROP_BFD_SHORT;
	/*
	 * No session here uses the authentication section of 6.7: the tag behind the metadata
	 * covers more.
	 */
	if (p[2] == 0 || (p[1] & (BFD_FLAG_MULTIPOINT | BFD_FLAG_AUTH)) || svr_get32(p + 4) == 0)
		return -SVR_DROP_BFD_FIELDS;

	*out = (struct svr_bfd_packet){
		.state = p[1] >> BFD_STATE_SHIFT,
		.diag = p[0] & BFD_DIAG_MASK,
		.poll = p[1] & BFD_FLAG_POLL,
		.final = p[1] & BFD_FLAG_FINAL,
		.cpi = p[1] & BFD_FLAG_CPI,
		.demand = p[1] & BFD_FLAG_DEMAND,
		.detect_mult = p[2],
		.length = p[3],
		.my_discr = svr_get32(p + 4),
		.your_discr = svr_get32(p + 8),
		.desired_min_tx_us = svr_get32(p + 12),
		.required_min_rx_us = svr_get32(p + 16),
		.required_min_echo_rx_us = svr_get32(p + 20),
	};
	/* Without our discriminator the other side cannot be further than down. */
	if (out->your_discr == 0 && out->state != SVR_BFD_DOWN && out->state != SVR_BFD_ADMIN_DOWN)
		return -SVR_DROP_BFD_FIELDS;
	return 0;
}

void svr_bfd_build(const struct svr_bfd_packet *pkt, uint8_t out[static SVR_BFD_LEN])
{
	out[0] = (uint8_t)(SVR_BFD_VERSION << BFD_VERSION_SHIFT | (pkt->diag & BFD_DIAG_MASK));
	out[1] = (uint8_t)(pkt->state << BFD_STATE_SHIFT | (pkt->poll ? BFD_FLAG_POLL : 0) |
			   (pkt->final ? BFD_FLAG_FINAL : 0) | (pkt->cpi ? BFD_FLAG_CPI : 0) |
			   (pkt->demand ? BFD_FLAG_DEMAND : 0));
	out[2] = pkt->detect_mult;
	out[3] = SVR_BFD_LEN;
	svr_put32(out + 4, pkt->my_discr);
	svr_put32(out + 8, pkt->your_discr);
	svr_put32(out + 12, pkt->desired_min_tx_us);
	svr_put32(out + 16, pkt->required_min_rx_us);
	svr_put32(out + 20, pkt->required_min_echo_rx_us);
}

/* ---- timers ---------------------------------------------------------------------------------- */

static uint32_t max32(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

/* 6.8.1, 6.8.3: what we may ask for in this state. */
static uint32_t bfd_wanted_tx_us(const struct svr_bfd *b)
{
	if (b->state == SVR_BFD_UP)
		return b->config.desired_min_tx_us;
	return max32(b->config.desired_min_tx_us, SVR_BFD_SLOW_TX_US);
}

/*
 * 6.8.7. An interval that became longer is used only after the poll sequence told the peer (6.8.3).
 */
static uint64_t bfd_tx_interval_us(const struct svr_bfd *b)
{
	uint32_t own = b->tx_limit_us && b->tx_limit_us < b->desired_min_tx_us ?
			       b->tx_limit_us :
			       b->desired_min_tx_us;

	return max32(own, b->remote_min_rx_us);
}

/*
 * 6.8.4. The peer may send as slowly as the larger of what it wants and what we take; before a poll
 * sequence ends, what we took.
 */
static void bfd_update_detection(struct svr_bfd *b)
{
	uint32_t own = max32(b->rx_limit_us, b->config.required_min_rx_us);

	b->detect_us = (uint64_t)b->remote_detect_mult * max32(own, b->remote_desired_tx_us);
}

static bool bfd_may_send(const struct svr_bfd *b)
{
	/* 6.8.7: the peer takes no periodic packets */
	if (b->remote_min_rx_us == 0)
		return false;
	/* the peer is in demand mode, and both are up */
	return !(b->remote_demand && b->state == SVR_BFD_UP && b->remote_state == SVR_BFD_UP &&
		 !b->polling);
}

/* The next periodic packet, counted from the last one. */
static void bfd_schedule(struct svr_bfd *b)
{
	uint32_t top = b->config.detect_mult == 1 ? BFD_JITTER_MAX_MULT1 : BFD_JITTER_MAX;
	uint64_t span_us, least_us;

	b->tx_interval_us = bfd_tx_interval_us(b);
	if (!bfd_may_send(b)) {
		b->next_tx_ns = UINT64_MAX;
		return;
	}
	least_us = b->tx_interval_us * BFD_JITTER_MIN / 100;
	span_us = b->tx_interval_us * (top - BFD_JITTER_MIN) / 100;
	b->next_tx_ns = b->last_tx_ns +
			(least_us + b->ops->random(b->user) % (span_us + 1)) * BFD_NS_PER_US;
}

void svr_bfd_header(const struct svr_bfd *b, struct svr_bfd_packet *pkt)
{
	*pkt = (struct svr_bfd_packet){
		.state = (uint8_t)b->state,
		.diag = (uint8_t)b->diag,
		.detect_mult = b->config.detect_mult,
		.length = SVR_BFD_LEN,
		.my_discr = b->local_discr,
		.your_discr = b->remote_discr,
		.desired_min_tx_us = b->desired_min_tx_us,
		.required_min_rx_us = b->config.required_min_rx_us,
	};
}

static void bfd_send(struct svr_bfd *b, bool final, uint64_t now_ns)
{
	struct svr_bfd_packet pkt;

	svr_bfd_header(b, &pkt);
	pkt.final = final;
	pkt.poll = b->polling && !final; /* 6.5: never both */
	b->poll_sent = b->poll_sent || pkt.poll;
	b->last_tx_ns = now_ns;
	b->ops->send(b->user, &pkt);
}

/* Out of turn: a change that the peer should know soon. */
static void bfd_send_now(struct svr_bfd *b, uint64_t now_ns)
{
	if (bfd_may_send(b))
		bfd_send(b, false, now_ns);
	bfd_schedule(b);
}

/* 6.8.3: other timers while up are announced by a poll sequence. */
static void bfd_apply_timers(struct svr_bfd *b, uint32_t old_rx_us)
{
	uint32_t tx_us = bfd_wanted_tx_us(b);
	bool changed = tx_us != b->desired_min_tx_us || old_rx_us != b->config.required_min_rx_us;

	if (b->state == SVR_BFD_UP && changed) {
		if (tx_us > b->desired_min_tx_us && !b->tx_limit_us)
			b->tx_limit_us = b->desired_min_tx_us;
		if (old_rx_us > b->config.required_min_rx_us && !b->rx_limit_us)
			b->rx_limit_us = old_rx_us;
		/* The final of a sequence under way would confirm what was sent before. */
		b->poll_again = b->polling && b->poll_sent;
		b->polling = true;
	}
	b->desired_min_tx_us = tx_us;
}

static void bfd_end_poll(struct svr_bfd *b)
{
	b->polling = false;
	b->poll_sent = false;
	b->poll_again = false;
	b->tx_limit_us = 0;
	b->rx_limit_us = 0;
}

/* The peer has seen the timers of the sequence, but perhaps not the ones that changed since. */
static void bfd_final(struct svr_bfd *b)
{
	bool again = b->poll_again;
	uint32_t tx_us = b->tx_limit_us, rx_us = b->rx_limit_us;

	bfd_end_poll(b);
	if (!again)
		return;
	b->polling = true;
	b->tx_limit_us = tx_us;
	b->rx_limit_us = rx_us;
}

/* ---- states ---------------------------------------------------------------------------------- */

/* The only place that changes the state. */
static void bfd_set_state(struct svr_bfd *b, enum svr_bfd_state to, enum svr_bfd_diag diag,
			  const char *why)
{
	enum svr_bfd_state from = b->state;

	if (from == to)
		return;
	b->state = to;
	b->diag = diag;
	if (to != SVR_BFD_UP)
		bfd_end_poll(b);
	bfd_apply_timers(b, b->config.required_min_rx_us);
	b->ops->changed(b->user, from, to, why);
}

static void bfd_peer_down(struct svr_bfd *b)
{
	bfd_set_state(b, SVR_BFD_DOWN, SVR_BFD_DIAG_NEIGHBOR_DOWN,
		      svr_bfd_diag_name(SVR_BFD_DIAG_NEIGHBOR_DOWN));
}

static void bfd_in_down(struct svr_bfd *b, uint8_t remote)
{
	if (remote == SVR_BFD_DOWN)
		bfd_set_state(b, SVR_BFD_INIT, b->diag, "neighbor is there");
	else if (remote == SVR_BFD_INIT)
		bfd_set_state(b, SVR_BFD_UP, SVR_BFD_DIAG_NONE, "neighbor hears us");
}

static void bfd_in_init(struct svr_bfd *b, uint8_t remote)
{
	if (remote == SVR_BFD_INIT || remote == SVR_BFD_UP)
		bfd_set_state(b, SVR_BFD_UP, SVR_BFD_DIAG_NONE, "neighbor hears us");
	else if (remote == SVR_BFD_ADMIN_DOWN)
		bfd_peer_down(b);
}

static void bfd_in_up(struct svr_bfd *b, uint8_t remote)
{
	if (remote == SVR_BFD_DOWN || remote == SVR_BFD_ADMIN_DOWN)
		bfd_peer_down(b);
}

static void bfd_step(struct svr_bfd *b, uint8_t remote)
{
	switch (b->state) {
	case SVR_BFD_DOWN:
		bfd_in_down(b, remote);
		break;
	case SVR_BFD_INIT:
		bfd_in_init(b, remote);
		break;
	case SVR_BFD_UP:
		bfd_in_up(b, remote);
		break;
	case SVR_BFD_ADMIN_DOWN:
		break; /* stays until the operator says otherwise */
	}
}

/* ---- for the owner --------------------------------------------------------------------------- */

void svr_bfd_init(struct svr_bfd *b, const struct svr_bfd_config *config,
		  const struct svr_bfd_ops *ops, void *user, uint32_t local_discr, uint64_t now_ns)
{
	*b = (struct svr_bfd){
		.ops = ops,
		.user = user,
		.config = *config,
		.state = SVR_BFD_DOWN,
		.remote_state = SVR_BFD_DOWN,
		.local_discr = local_discr,
		.remote_min_rx_us = 1, /* 6.8.1 */
		.next_tx_ns = now_ns,
	};
	b->desired_min_tx_us = bfd_wanted_tx_us(b);
}

void svr_bfd_resume(struct svr_bfd *b, uint32_t remote_discr, uint64_t detect_us,
		    uint32_t remote_min_rx_us, uint64_t last_rx_ns, uint64_t now_ns)
{
	b->state = SVR_BFD_UP;
	b->remote_state = SVR_BFD_UP;
	b->remote_discr = remote_discr;
	b->remote_min_rx_us = remote_min_rx_us;
	b->detect_us = detect_us;
	b->last_rx_ns = last_rx_ns;
	b->desired_min_tx_us = b->config.desired_min_tx_us;
	/*
	 * The configuration may be another one than before: let the peer confirm it. Until then (6.8.3) we
	 * are not slower than we may have been, and the peer may be as slow as it was.
	 */
	b->polling = true;
	b->tx_limit_us = max32(remote_min_rx_us, BFD_TX_MIN_US);
	b->rx_limit_us = detect_us / BFD_MULT_MIN > UINT32_MAX ?
				 UINT32_MAX :
				 (uint32_t)(detect_us / BFD_MULT_MIN);
	b->next_tx_ns = now_ns;
}

int svr_bfd_match(const struct svr_bfd *b, const struct svr_bfd_packet *pkt)
{
	if (pkt->your_discr != 0 && pkt->your_discr != b->local_discr)
		return -SVR_DROP_BFD_SESSION;
	/* Our own packet, sent back to us. */
	if (pkt->my_discr == b->local_discr)
		return -SVR_DROP_BFD_SESSION;
	return 0;
}

void svr_bfd_receive(struct svr_bfd *b, const struct svr_bfd_packet *pkt, uint64_t now_ns)
{
	enum svr_bfd_state before = b->state;

	b->remote_discr = pkt->my_discr;
	b->remote_state = pkt->state;
	b->remote_demand = pkt->demand;
	b->remote_min_rx_us = pkt->required_min_rx_us;
	b->remote_desired_tx_us = pkt->desired_min_tx_us;
	b->remote_detect_mult = pkt->detect_mult;
	b->last_rx_ns = now_ns;
	if (pkt->final && b->poll_sent)
		bfd_final(b);
	bfd_update_detection(b);
	if (b->state == SVR_BFD_ADMIN_DOWN)
		return; /* 6.8.6: discarded, a poll is not answered */
	bfd_step(b, pkt->state);

	if (pkt->poll) { /* 6.5: answered at once, whatever the timer says */
		bfd_send(b, true, now_ns);
		bfd_schedule(b);
	} else if (b->state != before) { /* 6.8.7: tell the peer soon */
		bfd_send_now(b, now_ns);
	} else if (b->tx_interval_us != bfd_tx_interval_us(b) ||
		   bfd_may_send(b) != (b->next_tx_ns != UINT64_MAX)) {
		bfd_schedule(b); /* 6.8.2: the peer asks for another pace */
	}
}

/*
 * 6.8.4, and 6.8.1: the discriminator of a peer that is silent for a detection time is forgotten.
 */
static void bfd_expire(struct svr_bfd *b, uint64_t now_ns)
{
	bool was_active = b->state == SVR_BFD_INIT || b->state == SVR_BFD_UP;

	b->remote_discr = 0;
	b->remote_state = SVR_BFD_DOWN;
	b->remote_min_rx_us = 1;
	b->remote_demand = false;
	b->detect_us = 0;
	if (was_active) {
		bfd_set_state(b, SVR_BFD_DOWN, SVR_BFD_DIAG_TIME_EXPIRED,
			      svr_bfd_diag_name(SVR_BFD_DIAG_TIME_EXPIRED));
		bfd_send_now(b, now_ns);
	} else if (b->next_tx_ns == UINT64_MAX) {
		bfd_send_now(b, now_ns);
	}
}

static uint64_t bfd_detect_deadline(const struct svr_bfd *b)
{
	return b->detect_us ? b->last_rx_ns + b->detect_us * BFD_NS_PER_US : UINT64_MAX;
}

void svr_bfd_tick(struct svr_bfd *b, uint64_t now_ns)
{
	if (now_ns >= bfd_detect_deadline(b))
		bfd_expire(b, now_ns);
	if (now_ns >= b->next_tx_ns)
		bfd_send_now(b, now_ns);
}

uint64_t svr_bfd_next(const struct svr_bfd *b)
{
	uint64_t detect_ns = bfd_detect_deadline(b);

	return detect_ns < b->next_tx_ns ? detect_ns : b->next_tx_ns;
}

void svr_bfd_set_config(struct svr_bfd *b, const struct svr_bfd_config *config, uint64_t now_ns)
{
	uint32_t old_rx_us = b->config.required_min_rx_us;

	b->config = *config;
	bfd_apply_timers(b, old_rx_us);
	if (b->remote_detect_mult)
		bfd_update_detection(b);
	bfd_send_now(b, now_ns);
}

void svr_bfd_set_admin_down(struct svr_bfd *b, bool down, uint64_t now_ns)
{
	if (down == (b->state == SVR_BFD_ADMIN_DOWN))
		return;
	if (down)
		bfd_set_state(b, SVR_BFD_ADMIN_DOWN, SVR_BFD_DIAG_ADMIN_DOWN,
			      svr_bfd_diag_name(SVR_BFD_DIAG_ADMIN_DOWN));
	else
		bfd_set_state(b, SVR_BFD_DOWN, SVR_BFD_DIAG_ADMIN_DOWN, "enabled");
	bfd_send_now(b, now_ns);
}
