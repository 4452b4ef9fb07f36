// SPDX-License-Identifier: BSD-2-Clause
/* Key epochs of a session: the two sets of keys in its record. */
#include <string.h>

#include <openssl/crypto.h>

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

unsigned int svr_epoch_newest(const struct svr_session *s)
{
	const struct svr_session_keys *k = s->keys;

	if (!k[1].epoch)
		return 0;
	return !k[0].epoch || svr_epoch_newer(k[1].epoch, k[0].epoch);
}

bool svr_epoch_offered(const struct svr_session *s)
{
	return s->originator && s->unconfirmed && s->keys[0].epoch && s->keys[1].epoch;
}

unsigned int svr_epoch_tx(const struct svr_session *s)
{
	unsigned int newest = svr_epoch_newest(s);

	return svr_epoch_offered(s) ? !newest : newest;
}

int svr_epoch_find(const struct svr_session *s, uint16_t epoch)
{
	int i;

	for (i = 0; i < 2 && epoch; i++)
		if (s->keys[i].epoch == epoch)
			return i;
	return -1;
}

static void keys_wipe(struct svr_session_keys *k)
{
	/* Empty first: nobody who comes after a kill may take a half for a whole */
	__atomic_store_n(&k->epoch, 0, __ATOMIC_RELEASE);
	OPENSSL_cleanse(k, sizeof(*k));
}

void svr_epoch_install(struct svr_session *s, const struct svr_session_keys *fresh,
		       bool unconfirmed, uint64_t now_ns)
{
	struct svr_session_keys *k = &s->keys[!svr_epoch_newest(s)];

	keys_wipe(k);
	/*
	 * Before the keys are there: should the process end between the two, an originator without
	 * a second set sends under the first, as before
	 */
	__atomic_store_n(&s->unconfirmed, unconfirmed, __ATOMIC_RELEASE);
	k->peer_key_index = fresh->peer_key_index;
	k->since_ns = now_ns;
	k->tx_first = svr_shared(s->tx_counter);
	k->rx_first = svr_shared(s->replay.top);
	memcpy(k->session_key, fresh->session_key, sizeof(k->session_key));
	memcpy(k->hmac_tx, fresh->hmac_tx, sizeof(k->hmac_tx));
	memcpy(k->hmac_rx, fresh->hmac_rx, sizeof(k->hmac_rx));
	__atomic_store_n(&k->epoch, fresh->epoch, __ATOMIC_RELEASE);
}

bool svr_epoch_confirm(struct svr_session *s)
{
	if (!s->unconfirmed)
		return false;
	__atomic_store_n(&s->unconfirmed, 0, __ATOMIC_RELEASE);
	return true;
}

void svr_epoch_retire(struct svr_session *s, uint64_t now_ns)
{
	unsigned int newest = svr_epoch_newest(s);

	if (!s->keys[!newest].epoch || s->unconfirmed ||
	    now_ns < s->keys[newest].since_ns + SVR_EPOCH_OLD_NS)
		return;
	keys_wipe(&s->keys[!newest]);
}

static bool is_gcm(const struct svr_session *s)
{
	return s->cipher == SVR_CIPHER_AES_GCM_128 || s->cipher == SVR_CIPHER_AES_GCM_256;
}

/* So many packets of one direction went under the newest keys that others are due. */
static bool used_up(const struct svr_session *s)
{
	const struct svr_session_keys *k = &s->keys[svr_epoch_newest(s)];
	const uint64_t rekey = is_gcm(s) ? SVR_EPOCH_GCM_REKEY : SVR_EPOCH_PACKETS_REKEY;

	return svr_shared(s->tx_counter) - k->tx_first >= rekey ||
	       svr_shared(s->replay.top) - k->rx_first >= rekey;
}

bool svr_epoch_due(const struct svr_session *s, uint64_t interval_ns, uint32_t peer_key_index,
		   uint64_t now_ns)
{
	const struct svr_session_keys *k = &s->keys[svr_epoch_newest(s)];
	bool encrypts = s->cipher != SVR_CIPHER_NONE;
	uint64_t spread_ns;

	if (svr_epoch_offered(s) || (!encrypts && peer_key_index == k->peer_key_index))
		return false;
	if (encrypts && used_up(s))
		return true;
	/* UUIDs are random: so is one byte of them */
	spread_ns = interval_ns / 8 / 256 * s->uuid[SVR_UUID_LEN - 1];
	return interval_ns && now_ns >= k->since_ns + interval_ns - spread_ns;
}

bool svr_epoch_exhausted(const struct svr_session *s)
{
	const uint64_t most = is_gcm(s) ? SVR_EPOCH_GCM_MAX : SVR_EPOCH_PACKETS_MAX;

	return svr_shared(s->tx_counter) - s->keys[svr_epoch_tx(s)].tx_first >= most;
}
