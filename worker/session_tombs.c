// SPDX-License-Identifier: BSD-2-Clause
/* Tombstones: counters of encrypted sessions that are over. */
#include <stdbool.h>
#include <string.h>

#include "worker/session.h"
#include "worker/session_tombs.h"

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
 * Will the keys of this session come again? Our own sessions get a new UUID and a new key each time.
 * An originator that has heard us, and has not offered others since, sends them no more.
 */
static bool may_come_again(const struct svr_session *s)
{
	return s->cipher != SVR_CIPHER_NONE && !s->originator &&
	       (s->meta_add || s->unconfirmed || s->other);
}

void svr_tomb_set(struct svr_sessions *ss, const struct svr_session *s)
{
	struct svr_tomb_pair *pair = pair_of(ss, s->uuid);
	uint64_t tx = __atomic_load_n(&s->tx_counter, __ATOMIC_SEQ_CST);
	struct svr_tombstone *tomb;

	if (!may_come_again(s))
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
	s->replay.top = tomb->rx_top;
	memset(s->replay.bits, 0xff,
	       sizeof(s->replay.bits)); /* all that came before counts as seen */
}
