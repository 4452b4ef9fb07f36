// SPDX-License-Identifier: BSD-2-Clause
/* Tombstones: counters of encrypted sessions that are over. */
#include <stdbool.h>
#include <string.h>

#include <svr/wire.h>

#include "lib/replay.h"
#include "worker/session.h"
#include "worker/session_tombs.h"

#define NS_PER_SEC 1000000000ULL

/* UUIDs are random: any of their bytes are a hash. */
static struct svr_tomb_pair *pair_of(const struct svr_sessions *ss,
				     const uint8_t uuid[static SVR_UUID_LEN])
{
	uint32_t h;

	memcpy(&h, uuid, sizeof(h));
	return &ss->tombs[h % (SVR_TOMBSTONES / SVR_TOMB_PAIR)];
}

static struct svr_tombstone *tomb_find(struct svr_tomb_pair *pair,
				       const uint8_t uuid[static SVR_UUID_LEN])
{
	unsigned int i;

	for (i = 0; i < SVR_TOMB_PAIR; i++)
		if (memcmp(pair->tomb[i].uuid, uuid, sizeof(pair->tomb[i].uuid)) == 0)
			return &pair->tomb[i];
	return NULL;
}

/*
 * How long somebody on the way could keep a block back and have it accepted: as long as its nonce is
 * (docs/protocol.md 5), by clocks that may be as far apart again; in time-based mode not longer than its
 * tag is (section 6).
 */
static uint64_t block_life_ns(const struct svr_session *s)
{
	return 2 * NS_PER_SEC *
	       (s->hmac_mode == SVR_HMAC_MODE_TIME_BASED ? SVR_WINDOW_SEC : SVR_NONCE_LIFE_SEC);
}

/*
 * Will the keys of this session come again? Our own sessions get a new UUID and a new key each time.
 * An originator that has heard us, and has not offered others since, sends them no more; a block that
 * it had sent before may still arrive.
 */
static bool may_come_again(const struct svr_session *s, uint64_t now_ns)
{
	return s->cipher != SVR_CIPHER_NONE && !s->originator &&
	       (s->meta_add || s->unconfirmed || s->other ||
		now_ns - s->heard_ns < block_life_ns(s));
}

void svr_tomb_set(struct svr_sessions *ss, const struct svr_session *s, uint64_t now_ns)
{
	struct svr_tomb_pair *pair = pair_of(ss, s->uuid);
	uint64_t tx = __atomic_load_n(&s->tx_counter, __ATOMIC_SEQ_CST);
	struct svr_tombstone *tomb;

	if (!may_come_again(s, now_ns))
		return;
	tomb = tomb_find(pair, s->uuid);
	if (!tomb) { /* in place of the older one */
		tomb = &pair->tomb[0];
		pair->tomb[1] = *tomb;
		*tomb = (struct svr_tombstone){ 0 };
		memcpy(tomb->uuid, s->uuid, sizeof(tomb->uuid));
	}
	if (tx > tomb->tx_counter)
		tomb->tx_counter = tx;
	if (s->replay.top > tomb->rx_top)
		tomb->rx_top = s->replay.top;
}

void svr_tomb_apply(const struct svr_sessions *ss, struct svr_session *s)
{
	const struct svr_tombstone *tomb = tomb_find(pair_of(ss, s->uuid), s->uuid);

	if (!tomb)
		return;
	s->tx_counter = tomb->tx_counter;
	svr_replay_begin(&s->replay, tomb->rx_top);
}
