// SPDX-License-Identifier: BSD-2-Clause
/*
 * Own metadata keys: taken back from the map, made anew after payload-key-rekey-interval or on
 * demand, wiped when no peer can use them any more. Stored before any peer hears of them.
 */
#include <errno.h>
#include <string.h>

#include <openssl/crypto.h>

#include "keymgr.h"
#include "lib/ownkeys.h"
#include "sys/keylog.h"
#include "sys/log.h"
#include "sys/seq.h"

static void own_keys_save(struct keymgr *km)
{
	struct svr_own_keys *to = km->maps.own_keys;

	svr_seq_write_begin(&to->seq);
	to->current = km->own.current;
	memcpy(to->meta, km->own.meta, sizeof(to->meta));
	to->rekey_count = km->own.rekey_count;
	svr_seq_write_end(&to->seq);
}

static void own_key_log(const struct keymgr *km, const struct svr_meta_key *m)
{
	svr_keylog_metadata_key(km->keylog, km->view->router->peering_common_name, m->index, m->key,
				sizeof(m->key));
}

static int own_random(void *user, void *out, size_t len)
{
	(void)user;
	return km_random(out, len);
}

/* Between 80 and 100 % of the interval: routers that were started together drift apart. */
void km_own_keys_plan(struct keymgr *km)
{
	uint64_t interval_ns = svr_config_payload_rekey_sec(km->view->key_management) *
			       SVR_NS_PER_SEC;
	uint64_t since_ns = km->own.meta[km->own.current].since_ns, age_ns = 0, at_ns;
	struct svr_now now = km_now();
	uint32_t random = 0;

	km->own_rekey_ns = UINT64_MAX;
	if (!interval_ns || km_static(km))
		return;
	if (km_random(&random, sizeof(random)))
		random = 0; /* the jitter is a courtesy */
	at_ns = interval_ns / 100 * (80 + random % 21);
	if (now.real_ns > since_ns)
		age_ns = now.real_ns - since_ns;
	km->own_rekey_ns = now.mono_ns + (at_ns > age_ns ? at_ns - age_ns : 0);
}

int km_own_keys_load(struct keymgr *km)
{
	struct svr_own_keys *own = &km->own;
	unsigned int i;
	int ret;

	*own = *km->maps.own_keys; /* we are the only writer */
	if (!svr_own_keys_valid(own)) {
		ret = svr_own_keys_rotate(own, own_random, NULL, km_now());
		if (ret) {
			pr_err("no metadata key could be made: %s", strerror(-ret));
			OPENSSL_cleanse(own, sizeof(*own));
			return ret;
		}
		pr_info("metadata key %u made", own->meta[own->current].index);
	}
	own_keys_save(km);
	for (i = 0; i < SVR_KEY_SLOTS; i++)
		if (own->meta[i].index)
			own_key_log(km, &own->meta[i]);
	km_own_keys_plan(km);
	return 0;
}

int km_own_keys_rotate(struct keymgr *km)
{
	struct svr_own_keys *own = &km->own;
	unsigned int i;
	int ret;

	if (km_static(km))
		return -ENOTSUP;
	ret = svr_own_keys_rotate(own, own_random, NULL, km_now());
	if (ret)
		return ret;
	own_keys_save(km);
	own_key_log(km, &own->meta[own->current]);
	pr_info("metadata key %u made; peers are told", own->meta[own->current].index);
	for (i = 0; i < km->n_peers; i++) {
		svr_peering_own_keys_changed(km->peer[i].peering);
		km_peer_schedule(&km->peer[i]);
	}
	km_own_keys_plan(km);
	return 0;
}

static bool settled(const struct keymgr *km, struct svr_now now)
{
	unsigned int i;

	for (i = 0; i < km->n_peers; i++)
		if (!svr_peering_meta_settled(km->peer[i].peering, now))
			return false;
	return true;
}

void km_own_keys_tick(struct keymgr *km)
{
	struct svr_now now = km_now();
	unsigned int i, old = 0;

	for (i = 0; i < SVR_KEY_SLOTS; i++)
		old += km->own.meta[i].index && i != km->own.current;
	if (old && settled(km, now) && svr_own_keys_retire(&km->own)) {
		own_keys_save(km);
		pr_info("metadata keys before %u are of no use any more: wiped",
			km->own.meta[km->own.current].index);
	}
	if (now.mono_ns < km->own_rekey_ns)
		return;
	if (km_own_keys_rotate(km)) /* peers are slow: soon again */
		km->own_rekey_ns = now.mono_ns + KM_OWN_RETRY_SEC * SVR_NS_PER_SEC;
}
