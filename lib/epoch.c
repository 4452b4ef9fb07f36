// SPDX-License-Identifier: BSD-2-Clause
/* Key epochs of a session: the two sets of keys in its record. */
#include <string.h>

#include <openssl/crypto.h>

#include "lib/crypt.h"
#include "lib/epoch.h"
#include "lib/shared.h"

bool svr_epoch_newer(uint16_t a, uint16_t b)
{
	return (int16_t)(uint16_t)(a - b) > 0;
}

uint16_t svr_epoch_next(uint16_t epoch)
{
	return epoch == UINT16_MAX ? SVR_EPOCH_FIRST : (uint16_t)(epoch + 1);
}

struct svr_epochs svr_epochs_of_two(const struct svr_session *s,
				    const struct svr_session_other *others)
{
	struct svr_epochs e = { 0 };
	uint16_t own, second, row;
	int tries = 3;

	/*
	 * When older keys are given up, the newest ones may move from the other row to the own one: they
	 * are in the new place before they leave the old one, but a reader may look at the new place too
	 * early and at the old one too late, when it is another session's; or find the older keys in their
	 * place and the row gone. So it looks until nothing has changed meanwhile.
	 */
	do {
		own = __atomic_load_n(&s->keys.epoch, __ATOMIC_ACQUIRE);
		row = __atomic_load_n(&s->other, __ATOMIC_ACQUIRE);
		second = row ? __atomic_load_n(&others[row].keys.epoch, __ATOMIC_ACQUIRE) : 0;
	} while (tries-- > 0 && ((!own && !second) || row != svr_shared(s->other) ||
				 own != svr_shared(s->keys.epoch)));
	if (own && second && own != second) {
		e.newest = svr_epoch_newer(second, own) ? second : own;
		e.older = e.newest == own ? second : own;
	} else {
		e.newest = own ? own : second;
	}
	e.offered = e.older && s->originator && svr_shared(s->unconfirmed);
	e.tx = e.offered ? e.older : e.newest;
	return e;
}

const struct svr_session_keys *svr_epoch_keys_const(const struct svr_session *s,
						    const struct svr_session_other *others,
						    uint16_t epoch)
{
	const uint16_t row = svr_shared(s->other);

	if (!epoch)
		return NULL;
	if (s->keys.epoch == epoch)
		return &s->keys;
	return row && others[row].keys.epoch == epoch ? &others[row].keys : NULL;
}

struct svr_session_keys *svr_epoch_keys(struct svr_session *s, struct svr_session_other *others,
					uint16_t epoch)
{
	return (struct svr_session_keys *)svr_epoch_keys_const(s, others, epoch);
}

static void keys_wipe(struct svr_session_keys *k)
{
	/* Empty first: nobody who comes after a kill may take a half for a whole */
	__atomic_store_n(&k->epoch, 0, __ATOMIC_RELEASE);
	OPENSSL_cleanse(k, sizeof(*k));
}

/* All of @from but the epoch, then that. */
static void keys_put(struct svr_session_keys *to, const struct svr_session_keys *from)
{
	to->hmac = from->hmac;
	to->peer_key_index = from->peer_key_index;
	to->since_ns = from->since_ns;
	to->tx_first = from->tx_first;
	to->rx_first = from->rx_first;
	memcpy(to->session_key, from->session_key, sizeof(to->session_key));
	__atomic_store_n(&to->epoch, from->epoch, __ATOMIC_RELEASE);
}

bool svr_epoch_needs_row(const struct svr_session *s)
{
	return s->keys.epoch && !s->other;
}

void svr_epoch_give_row(struct svr_session *s, struct svr_session_other *others, uint16_t row,
			uint32_t slot)
{
	struct svr_session_other *other = &others[row];

	keys_wipe(&other->keys);
	other->generation = s->generation;
	other->slot = slot;
	__atomic_store_n(&s->other, row, __ATOMIC_RELEASE);
}

uint16_t svr_epoch_install(struct svr_session *s, struct svr_session_other *others,
			   const struct svr_session_keys *fresh, bool unconfirmed, uint64_t now_ns)
{
	const struct svr_epochs e = svr_epochs_of(s, others);
	struct svr_session_keys new = *fresh, *to;
	uint16_t hmac = 0;

	/* In place of the older ones, or where there are none */
	if (e.older)
		to = svr_epoch_keys(s, others, e.older);
	else
		to = s->keys.epoch ? &others[s->other].keys : &s->keys;
	if (e.older)
		hmac = to->hmac;
	keys_wipe(to);
	/*
	 * Before the keys are there: should the process end between the two, an originator without
	 * a second set sends under the first, as before
	 */
	__atomic_store_n(&s->unconfirmed, unconfirmed, __ATOMIC_RELEASE);
	new.since_ns = now_ns;
	new.tx_first = svr_shared(s->tx_counter);
	new.rx_first = svr_shared(s->replay.top);
	keys_put(to, &new);
	OPENSSL_cleanse(&new, sizeof(new));
	return hmac;
}

bool svr_epoch_confirm(struct svr_session *s)
{
	if (!s->unconfirmed)
		return false;
	__atomic_store_n(&s->unconfirmed, 0, __ATOMIC_RELEASE);
	return true;
}

bool svr_epoch_over(const struct svr_session *s, const struct svr_session_other *others,
		    uint64_t now_ns)
{
	const struct svr_epochs e = svr_epochs_of(s, others);
	const struct svr_session_keys *newest = svr_epoch_keys_const(s, others, e.newest);

	/* A row without keys is what a kill left */
	if (s->other && !e.older)
		return true;
	return e.older && !s->unconfirmed && now_ns >= newest->since_ns + SVR_EPOCH_OLD_NS;
}

struct svr_epoch_freed svr_epoch_retire(struct svr_session *s, struct svr_session_other *others)
{
	const struct svr_epochs e = svr_epochs_of(s, others);
	struct svr_epoch_freed freed = { .row = s->other };
	struct svr_session_other *other = &others[s->other];
	struct svr_session_keys *older = svr_epoch_keys(s, others, e.older);

	if (!s->other)
		return freed;
	if (older) {
		freed.hmac = older->hmac;
		keys_wipe(older);
	}
	/* Nowhere for no moment: a kill leaves them in one place or, the same, in both */
	if (!s->keys.epoch)
		keys_put(&s->keys, &other->keys);
	keys_wipe(&other->keys);
	__atomic_store_n(&s->other, 0, __ATOMIC_RELEASE);
	other->generation = 0;
	other->slot = 0;
	return freed;
}

/* So many packets of one direction went under these keys that others are due. */
static bool used_up(const struct svr_session *s, const struct svr_session_keys *k)
{
	const uint64_t rekey = svr_cipher_is_gcm(s->cipher) ? SVR_EPOCH_GCM_REKEY :
							      SVR_EPOCH_PACKETS_REKEY;

	return svr_shared(s->tx_counter) - k->tx_first >= rekey ||
	       svr_shared(s->replay.top) - k->rx_first >= rekey;
}

bool svr_epoch_due(const struct svr_session *s, const struct svr_session_other *others,
		   uint64_t interval_ns, uint32_t peer_key_index, uint64_t now_ns)
{
	const struct svr_epochs e = svr_epochs_of(s, others);
	const struct svr_session_keys *k = svr_epoch_keys_const(s, others, e.newest);
	bool encrypts = s->cipher != SVR_CIPHER_NONE;
	uint64_t spread_ns;

	if (!k || e.offered || (!encrypts && peer_key_index == k->peer_key_index))
		return false;
	if (encrypts && used_up(s, k))
		return true;
	/* UUIDs are random: so is one byte of them */
	spread_ns = interval_ns / 8 / 256 * s->uuid[SVR_UUID_LEN - 1];
	return interval_ns && now_ns >= k->since_ns + interval_ns - spread_ns;
}

bool svr_epoch_exhausted(const struct svr_session *s, uint64_t tx_first)
{
	const uint64_t most = svr_cipher_is_gcm(s->cipher) ? SVR_EPOCH_GCM_MAX : SVR_EPOCH_PACKETS_MAX;

	return svr_shared(s->tx_counter) - tx_first >= most;
}
