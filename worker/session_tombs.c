// SPDX-License-Identifier: BSD-2-Clause
/* Tombstones: counters of encrypted sessions that are over. */
#include <stdbool.h>
#include <string.h>

#include "worker/session.h"
#include "worker/session_tombs.h"

/* UUIDs are random: any of their bytes are a hash. */
static struct svr_tombstone *tomb_of(const struct svr_sessions *ss,
				     const uint8_t uuid[static SVR_UUID_LEN])
{
	uint32_t h;

	memcpy(&h, uuid, sizeof(h));
	return &ss->tombs[h % SVR_TOMBSTONES];
}

void svr_tomb_set(struct svr_sessions *ss, const struct svr_session *s)
{
	struct svr_tombstone *tomb = tomb_of(ss, s->uuid);
	uint64_t tx = __atomic_load_n(&s->tx_counter, __ATOMIC_SEQ_CST);
	bool same = memcmp(tomb->uuid, s->uuid, sizeof(tomb->uuid)) == 0;

	if (s->cipher == SVR_CIPHER_NONE || s->originator)
		return; /* our own sessions get a new UUID and a new key each time */
	memcpy(tomb->uuid, s->uuid, sizeof(tomb->uuid));
	if (!same || tx > tomb->tx_counter)
		tomb->tx_counter = tx;
	if (!same || s->replay.top > tomb->rx_top)
		tomb->rx_top = s->replay.top;
}

void svr_tomb_apply(const struct svr_sessions *ss, struct svr_session *s)
{
	const struct svr_tombstone *tomb = tomb_of(ss, s->uuid);

	if (memcmp(tomb->uuid, s->uuid, sizeof(tomb->uuid)) != 0)
		return;
	s->tx_counter = tomb->tx_counter;
	s->replay.top = tomb->rx_top;
	memset(s->replay.bits, 0xff,
	       sizeof(s->replay.bits)); /* all that came before counts as seen */
}
