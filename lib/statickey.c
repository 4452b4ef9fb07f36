// SPDX-License-Identifier: BSD-2-Clause
/* Static keys: derivations from the keys of security policies. */
#include <errno.h>
#include <string.h>

#include <openssl/crypto.h>

#include "lib/bytes.h"
#include "lib/kdf.h"
#include "lib/statickey.h"

enum { INDEX_BIT = 1 }; /* 0 is no index */

static int derive(const uint8_t *secret, size_t len, const char *label, const void *context,
		  size_t context_len, uint8_t *out, size_t out_len)
{
	if (len == 0)
		return -EINVAL;
	return svr_kdf(NULL, 0, secret, len, label, context, context_len, out, out_len);
}

static uint32_t index_of(const uint8_t bytes[static 4])
{
	return svr_get32(bytes) | INDEX_BIT;
}

/* Both names, the smaller first, a NUL between them. Bytes, or -EINVAL for equal names. */
static int pair_of(const char *own, const char *peer, char out[static 2 * SVR_NAME_LEN])
{
	int direction = svr_direction_number(own, peer);
	const char *first = direction ? peer : own, *second = direction ? own : peer;
	size_t n = strnlen(first, SVR_NAME_LEN - 1), m = strnlen(second, SVR_NAME_LEN - 1);

	if (direction < 0)
		return direction;
	memcpy(out, first, n);
	out[n] = '\0';
	memcpy(out + n + 1, second, m);
	return (int)(n + 1 + m);
}

int svr_static_peer_key(const uint8_t *secret, size_t len, const char *own, const char *peer,
			struct svr_peer_key *out)
{
	uint8_t material[SVR_PEER_KEY_LEN + 4], hmac[2][SVR_HMAC_KEY_LEN];
	int direction = svr_direction_number(own, peer), n, ret;
	char pair[2 * SVR_NAME_LEN];

	memset(out, 0, sizeof(*out));
	n = pair_of(own, peer, pair);
	if (n < 0)
		return n;
	ret = derive(secret, len, "static peer key", pair, (size_t)n, material, sizeof(material));
	if (ret)
		return ret;
	memcpy(out->key, material, sizeof(out->key));
	out->index = index_of(material + SVR_PEER_KEY_LEN);
	out->flags = SVR_KEY_RX | SVR_KEY_TX;
	ret = svr_kdf_session_hmac(out->key, hmac);
	if (!ret) {
		memcpy(out->hmac_tx, hmac[direction], sizeof(out->hmac_tx));
		memcpy(out->hmac_rx, hmac[!direction], sizeof(out->hmac_rx));
	} else {
		OPENSSL_cleanse(out, sizeof(*out));
	}
	OPENSSL_cleanse(material, sizeof(material));
	OPENSSL_cleanse(hmac, sizeof(hmac));
	return ret;
}

int svr_static_meta_key(const uint8_t *secret, size_t len, const char *owner, uint32_t flags,
			struct svr_meta_key *out)
{
	uint8_t material[SVR_META_KEY_LEN + 4];
	int ret;

	memset(out, 0, sizeof(*out));
	ret = derive(secret, len, "static metadata key", owner, strnlen(owner, SVR_NAME_LEN - 1),
		     material, sizeof(material));
	if (ret)
		return ret;
	memcpy(out->key, material, sizeof(out->key));
	out->index = index_of(material + SVR_META_KEY_LEN);
	out->flags = flags;
	OPENSSL_cleanse(material, sizeof(material));
	return 0;
}

int svr_static_wrap_key(const uint8_t *secret, size_t len, const char *policy,
			uint8_t out[static SVR_WRAP_KEY_LEN])
{
	return derive(secret, len, "static policy", policy, strnlen(policy, SVR_NAME_LEN - 1), out,
		      SVR_WRAP_KEY_LEN);
}

int svr_static_wrap(const uint8_t wrap[static SVR_WRAP_KEY_LEN],
		    const uint8_t uuid[static SVR_UUID_LEN], uint16_t epoch,
		    uint8_t session_key[static SVR_SESSION_KEY_LEN])
{
	uint8_t context[SVR_UUID_LEN + 2], pad[SVR_SESSION_KEY_LEN];
	int i, ret;

	memcpy(context, uuid, SVR_UUID_LEN);
	svr_put16(context + SVR_UUID_LEN, epoch);
	ret = derive(wrap, SVR_WRAP_KEY_LEN, "session key wrap", context, sizeof(context), pad,
		     sizeof(pad));
	for (i = 0; i < SVR_SESSION_KEY_LEN && !ret; i++)
		session_key[i] ^= pad[i];
	OPENSSL_cleanse(pad, sizeof(pad));
	return ret;
}
