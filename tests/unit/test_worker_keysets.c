// SPDX-License-Identifier: BSD-2-Clause
/* Keys ready for use: found again, given up in turn, never while in work, and nothing of them left. */
#include <errno.h>
#include <string.h>

#include <criterion/criterion.h>

#include "worker/keysets.c"

enum { COUNT = 64 };

static struct svr_crypt *crypt;
static struct svr_keysets *sets;
static uint8_t hmac_tx[SVR_HMAC_KEY_LEN], hmac_rx[SVR_HMAC_KEY_LEN];

static void setup(void)
{
	cr_assert_eq(svr_crypt_new(&crypt), 0);
	cr_assert_eq(svr_keysets_new(crypt, COUNT, &sets), 0);
	memset(hmac_tx, 0x11, sizeof(hmac_tx));
	memset(hmac_rx, 0x22, sizeof(hmac_rx));
}

static void teardown(void)
{
	svr_keysets_free(sets);
	svr_crypt_free(crypt);
}

TestSuite(worker_keysets, .init = setup, .fini = teardown);

/* The AES keys of a session: bytes that stand nowhere else. */
static void secret_of(uint32_t slot, uint16_t epoch, uint8_t out[static 32])
{
	int i;

	for (i = 0; i < 32; i++)
		out[i] = (uint8_t)((i % 2 ? slot >> i % 16 / 2 * 4 : epoch) + (uint32_t)i * 7);
}

static struct svr_keyset *put_in(uint32_t slot, uint16_t epoch, uint8_t cipher)
{
	struct svr_keyset *k = svr_keysets_take(sets, slot, 1, epoch);
	uint8_t secret[32];

	if (!k)
		return NULL;
	secret_of(slot, epoch, secret);
	cr_assert_eq(svr_keyset_set_hmac(sets, k, SVR_HMAC_SHA384, 1, hmac_tx, hmac_rx), 0);
	cr_assert_eq(svr_keyset_set_cipher(crypt, k, cipher,
					   &(struct svr_aes_keys){ secret, secret },
					   &(struct svr_aes_keys){ secret, secret }),
		     0);
	return k;
}

/* AES round keys begin with the key itself, so it stands in the memory of a set. */
static unsigned int traces_of(uint32_t slot, uint16_t epoch)
{
	const size_t len = sets->count * sets->entry_len;
	uint8_t secret[32];
	unsigned int n = 0;
	size_t i;

	secret_of(slot, epoch, secret);
	for (i = 0; i + sizeof(secret) <= len; i++)
		n += memcmp(sets->entries + i, secret, sizeof(secret)) == 0;
	return n;
}

static bool all_zero(const void *p, size_t len)
{
	const uint8_t *b = p;
	size_t i;

	for (i = 0; i < len; i++)
		if (b[i])
			return false;
	return true;
}

Test(worker_keysets, found_by_slot_generation_and_epoch)
{
	struct svr_keyset *one = put_in(5, 1, SVR_CIPHER_AES_CBC_256);
	struct svr_keyset *two = put_in(5, 2, SVR_CIPHER_AES_CBC_256);

	cr_expect_eq(svr_keysets_find(sets, 5, 1, 1), one);
	cr_expect_eq(svr_keysets_find(sets, 5, 1, 2), two);
	cr_expect_neq(one, two);
	cr_expect_null(svr_keysets_find(sets, 5, 2, 1), "another session of that slot");
	cr_expect_null(svr_keysets_find(sets, 5, 1, 3));
	cr_expect_null(svr_keysets_find(sets, 6, 1, 1));
	cr_expect_null(svr_keysets_find(sets, 5, 1, 0));
}

Test(worker_keysets, nothing_is_left_of_what_was_given_up)
{
	const uint16_t cipher[] = { SVR_CIPHER_AES_CBC_256, SVR_CIPHER_AES_GCM_256 };
	uint32_t slot;

	for (slot = 1; slot <= 10 * COUNT; slot++)
		cr_assert_not_null(put_in(slot, 1, (uint8_t)cipher[slot % 2]));
	for (slot = 1; slot <= 9 * COUNT; slot++) {
		cr_assert_null(svr_keysets_find(sets, slot, 1, 1), "%u", slot);
		cr_assert_eq(traces_of(slot, 1), 0, "%u", slot);
	}
	for (; slot <= 10 * COUNT; slot++) {
		cr_assert_not_null(svr_keysets_find(sets, slot, 1, 1), "%u", slot);
		cr_assert_gt(traces_of(slot, 1), 0, "%u: the test sees keys", slot);
	}
}

Test(worker_keysets, what_is_used_stays)
{
	uint32_t slot;

	put_in(7, 1, SVR_CIPHER_AES_CBC_128);
	for (slot = 100; slot < 100 + 20 * COUNT; slot++) {
		cr_assert_not_null(svr_keysets_find(sets, 7, 1, 1), "%u", slot);
		cr_assert_not_null(put_in(slot, 1, SVR_CIPHER_AES_CBC_128));
	}
}

Test(worker_keysets, what_is_in_work_stays_and_others_have_to_wait)
{
	struct svr_keyset *held[COUNT];
	uint32_t i;

	for (i = 0; i < COUNT; i++) {
		held[i] = put_in(1 + i, 1, SVR_CIPHER_AES_CBC_256);
		cr_assert_not_null(held[i]);
		svr_keyset_get(held[i]);
	}
	cr_expect_null(put_in(500, 1, SVR_CIPHER_AES_CBC_256), "all are in work");
	for (i = 0; i < COUNT; i++)
		cr_expect_eq(svr_keysets_find(sets, 1 + i, 1, 1), held[i]);
	svr_keyset_put(sets, held[9]);
	cr_expect_eq(put_in(500, 1, SVR_CIPHER_AES_CBC_256), held[9]);
	cr_expect_null(svr_keysets_find(sets, 10, 1, 1));
}

Test(worker_keysets, a_session_that_is_over_is_wiped)
{
	static const uint16_t none[2], two[2] = { 2, 0 };
	struct svr_keyset *k = put_in(3, 1, SVR_CIPHER_AES_CBC_256);

	put_in(3, 2, SVR_CIPHER_AES_CBC_256);
	put_in(4, 1, SVR_CIPHER_AES_CBC_256);
	svr_keysets_forget(sets, 3, two);
	cr_expect_null(svr_keysets_find(sets, 3, 1, 1));
	cr_expect_not_null(svr_keysets_find(sets, 3, 1, 2));
	cr_expect(all_zero(k, sets->entry_len));
	svr_keysets_forget(sets, 3, none);
	cr_expect_null(svr_keysets_find(sets, 3, 1, 2));
	cr_expect_eq(traces_of(3, 1) + traces_of(3, 2), 0);
	cr_expect_not_null(svr_keysets_find(sets, 4, 1, 1), "others are as they were");
}

Test(worker_keysets, what_is_over_and_in_work_is_wiped_afterwards)
{
	static const uint16_t none[2];
	struct svr_keyset *k = svr_keyset_get(put_in(3, 1, SVR_CIPHER_AES_GCM_256));
	uint32_t slot;

	svr_keysets_forget(sets, 3, none);
	cr_expect_null(svr_keysets_find(sets, 3, 1, 1));
	for (slot = 100; slot < 100 + 3 * COUNT; slot++)
		cr_assert_neq(put_in(slot, 1, SVR_CIPHER_AES_GCM_256), k);
	cr_expect_gt(traces_of(3, 1), 0);
	cr_expect_eq(k->epoch, 1);
	svr_keyset_put(sets, k);
	cr_expect(all_zero(k, sets->entry_len));
	cr_expect_eq(traces_of(3, 1), 0);
}

Test(worker_keysets, hash_states_are_those_of_the_keys)
{
	struct svr_keyset *a = svr_keysets_take(sets, 1, 1, 1), *b = svr_keysets_take(sets, 2, 1, 1);
	struct svr_hmac_key want;

	cr_assert_eq(svr_keyset_set_hmac(sets, a, SVR_HMAC_SHA256, 9, hmac_tx, hmac_rx), 0);
	cr_assert_eq(svr_hmac_key_set(&want, SVR_HMAC_SHA256, hmac_rx, sizeof(hmac_rx)), 0);
	cr_expect_eq(memcmp(a->hmac_rx->inner, want.inner, 32), 0);
	cr_expect_eq(memcmp(a->hmac_rx->outer, want.outer, 32), 0);
	/* The same peer has another key by now */
	hmac_rx[47] ^= 1;
	cr_assert_eq(svr_keyset_set_hmac(sets, b, SVR_HMAC_SHA256, 9, hmac_tx, hmac_rx), 0);
	cr_expect_neq(memcmp(b->hmac_rx->inner, want.inner, 32), 0);
	cr_expect_eq(memcmp(b->hmac_tx->inner, a->hmac_tx->inner, 32), 0);
	cr_expect_eq(svr_keyset_set_hmac(sets, b, 0, 9, hmac_tx, hmac_rx), -EINVAL);
	cr_expect_eq(svr_keyset_set_hmac(sets, b, 99, 9, hmac_tx, hmac_rx), -EINVAL);
}
