// SPDX-License-Identifier: BSD-2-Clause
/* Own metadata keys: see ownkeys.h. */
#include <errno.h>
#include <string.h>

#include <openssl/crypto.h>

#include "lib/ownkeys.h"

enum { INDEX_MASK = 0x7fffffff }; /* starts anywhere, has room to count up */

bool svr_own_keys_valid(const struct svr_own_keys *own)
{
	return own->current < SVR_KEY_SLOTS && own->meta[own->current].index != 0;
}

static int first_index(svr_random_fn random, void *user, uint32_t *index)
{
	int ret = 0;

	for (*index = 0; !ret && !*index; *index &= INDEX_MASK)
		ret = random(user, index, sizeof(*index));
	return ret;
}

static uint32_t free_slot(const struct svr_own_keys *own)
{
	uint32_t i;

	for (i = 0; i < SVR_KEY_SLOTS && own->meta[i].index; i++)
		;
	return i;
}

int svr_own_keys_rotate(struct svr_own_keys *own, svr_random_fn random, void *user,
			struct svr_now now)
{
	struct svr_meta_key m = { .flags = SVR_KEY_RX, .since_ns = now.real_ns };
	bool first = !svr_own_keys_valid(own);
	uint32_t slot;
	int ret = 0;

	if (first) {
		OPENSSL_cleanse(own->meta, sizeof(own->meta));
		ret = first_index(random, user, &m.index);
	} else {
		m.index = own->meta[own->current].index + 1;
		m.index += m.index == 0;
	}
	slot = free_slot(own);
	if (slot == SVR_KEY_SLOTS)
		return -EBUSY;
	if (!ret)
		ret = random(user, m.key, sizeof(m.key));
	if (!ret) {
		own->meta[slot] = m;
		own->current = slot;
		own->rekey_count += !first;
	}
	OPENSSL_cleanse(&m, sizeof(m));
	return ret ? -EIO : 0;
}

bool svr_own_keys_retire(struct svr_own_keys *own)
{
	bool any = false;
	uint32_t i;

	for (i = 0; i < SVR_KEY_SLOTS; i++) {
		if (i == own->current || !own->meta[i].index)
			continue;
		OPENSSL_cleanse(&own->meta[i], sizeof(own->meta[i]));
		any = true;
	}
	return any;
}
