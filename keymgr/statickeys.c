// SPDX-License-Identifier: BSD-2-Clause
/* Static keys (K10): what the configuration has in place of agreed keys. */
#include <errno.h>
#include <string.h>

#include <openssl/crypto.h>

#include "keymgr.h"
#include "lib/statickey.h"
#include "sys/keylog.h"
#include "sys/seq.h"

bool km_static(const struct keymgr *km)
{
	return km->view->cfg->static_policy >= 0;
}

static size_t secret_get(const struct keymgr *km, uint8_t out[static SVR_CFG_SECRET_MAX])
{
	const struct svr_config *cfg = km->view->cfg;

	return svr_config_policy_secret(&cfg->policies[cfg->static_policy], out);
}

int km_static_peer(const struct keymgr *km, const char *own_name, const char *peer_name,
		   struct svr_peering_fixed *out)
{
	uint8_t secret[SVR_CFG_SECRET_MAX];
	size_t len;
	int ret;

	memset(out, 0, sizeof(*out)); /* it is compared as a whole */
	if (!km_static(km))
		return 0;
	len = secret_get(km, secret);
	ret = svr_static_peer_key(secret, len, own_name, peer_name, &out->peer);
	if (!ret)
		ret = svr_static_meta_key(secret, len, peer_name, SVR_KEY_TX, &out->meta);
	OPENSSL_cleanse(secret, sizeof(secret));
	if (ret)
		OPENSSL_cleanse(out, sizeof(*out));
	return ret;
}

static void own_replace(struct svr_own_keys *map, const struct svr_meta_key *key)
{
	svr_seq_write_begin(&map->seq);
	OPENSSL_cleanse(map->meta, sizeof(map->meta));
	map->meta[0] = *key;
	map->current = 0;
	svr_seq_write_end(&map->seq);
}

int km_static_own(struct keymgr *km)
{
	struct svr_own_keys *map = km->maps.own_keys; /* we are the only writer */
	const struct svr_meta_key *now = &map->meta[map->current % SVR_KEY_SLOTS];
	/* Killed while it wrote them, the process before left old and new in one: they are made anew. */
	const bool torn = map->seq & 1;
	struct svr_meta_key key = { 0 };
	uint8_t secret[SVR_CFG_SECRET_MAX];
	size_t len;
	int ret = 0;

	if (km_static(km)) {
		len = secret_get(km, secret);
		ret = svr_static_meta_key(secret, len, km->view->router->peering_common_name,
					  SVR_KEY_RX | SVR_KEY_STATIC, &key);
		OPENSSL_cleanse(secret, sizeof(secret));
		if (ret)
			return ret;
		ret = torn || now->index != key.index ||
		      CRYPTO_memcmp(now->key, key.key, sizeof(key.key)) != 0;
		key.since_ns = km_now().real_ns;
	} else {
		ret = torn || (now->index && (now->flags & SVR_KEY_STATIC));
	}
	if (ret)
		own_replace(map, &key);
	OPENSSL_cleanse(&key, sizeof(key));
	return ret;
}

void km_static_log(const struct keymgr *km)
{
	const struct svr_config *cfg = km->view->cfg;
	uint8_t secret[SVR_CFG_SECRET_MAX] = { 0 }, wrap[SVR_WRAP_KEY_LEN] = { 0 };
	unsigned int i;
	size_t len;

	for (i = 0; km->keylog && km_static(km) && i < cfg->n_policies; i++) {
		len = svr_config_policy_secret(&cfg->policies[i], secret);
		if (len && !svr_static_wrap_key(secret, len, cfg->policies[i].name, wrap))
			svr_keylog_wrap_key(km->keylog, cfg->policies[i].name, wrap, sizeof(wrap));
	}
	OPENSSL_cleanse(secret, sizeof(secret));
	OPENSSL_cleanse(wrap, sizeof(wrap));
}
