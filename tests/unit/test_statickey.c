// SPDX-License-Identifier: BSD-2-Clause
/* Static keys: both routers get the same ones, others get others; the vectors of docs/protocol.md. */
#include <errno.h>
#include <string.h>

#include <criterion/criterion.h>

#include "lib/config.h"
#include "lib/kdf.h"
#include "lib/statickey.h"
#include "vector.h"

static const uint8_t secret[] = { 2, 0xaa, 0xbb, 0, 1, 0xcc }, other[] = { 2, 0xaa, 0xbc, 0, 1, 0xcc };

Test(statickey, two_routers_have_one_key_in_both_directions)
{
	struct svr_peer_key west, east, wrong;

	cr_assert_eq(svr_static_peer_key(secret, sizeof(secret), "west", "east", &west), 0);
	cr_assert_eq(svr_static_peer_key(secret, sizeof(secret), "east", "west", &east), 0);
	cr_expect_neq(west.index, 0);
	cr_expect_eq(west.index, east.index);
	cr_expect_eq(west.flags, SVR_KEY_RX | SVR_KEY_TX);
	cr_expect_arr_eq(west.key, east.key, sizeof(west.key));
	cr_expect_arr_eq(west.hmac_tx, east.hmac_rx, sizeof(west.hmac_tx));
	cr_expect_arr_eq(west.hmac_rx, east.hmac_tx, sizeof(west.hmac_rx));
	cr_expect(memcmp(west.hmac_tx, west.hmac_rx, sizeof(west.hmac_tx)) != 0);

	cr_assert_eq(svr_static_peer_key(other, sizeof(other), "east", "west", &wrong), 0);
	cr_expect_neq(wrong.index, east.index, "a wrong key is known by its index");
	cr_expect(memcmp(wrong.key, east.key, sizeof(wrong.key)) != 0);
	cr_assert_eq(svr_static_peer_key(secret, sizeof(secret), "east", "north", &wrong), 0);
	cr_expect(memcmp(wrong.key, east.key, sizeof(wrong.key)) != 0, "each pair has its own");
}

Test(statickey, nothing_is_made_of_nothing)
{
	struct svr_peer_key peer;
	struct svr_meta_key meta;
	uint8_t wrap[SVR_WRAP_KEY_LEN];

	cr_expect_eq(svr_static_peer_key(secret, 0, "west", "east", &peer), -EINVAL);
	cr_expect_eq(svr_static_peer_key(secret, sizeof(secret), "west", "west", &peer), -EINVAL);
	cr_expect_eq(svr_static_meta_key(secret, 0, "west", 0, &meta), -EINVAL);
	cr_expect_eq(svr_static_wrap_key(secret, 0, "secret", wrap), -EINVAL);
}

Test(statickey, metadata_keys_are_of_one_router)
{
	struct svr_meta_key own, seen, east;

	cr_assert_eq(svr_static_meta_key(secret, sizeof(secret), "west", SVR_KEY_RX, &own), 0);
	cr_assert_eq(svr_static_meta_key(secret, sizeof(secret), "west", SVR_KEY_TX, &seen), 0);
	cr_assert_eq(svr_static_meta_key(secret, sizeof(secret), "east", SVR_KEY_TX, &east), 0);
	cr_expect_eq(own.index, seen.index);
	cr_expect_eq(own.flags, SVR_KEY_RX);
	cr_expect_arr_eq(own.key, seen.key, sizeof(own.key));
	cr_expect(memcmp(own.key, east.key, sizeof(own.key)) != 0);
}

Test(statickey, metadata_is_encrypted_for_a_pair_of_routers)
{
	struct svr_peer_key west, east, north;
	uint8_t sent[32], received[32], other_pair[32];
	struct svr_meta_key meta;

	cr_assert_eq(svr_static_peer_key(secret, sizeof(secret), "west", "east", &west), 0);
	cr_assert_eq(svr_static_peer_key(secret, sizeof(secret), "east", "west", &east), 0);
	cr_assert_eq(svr_static_peer_key(secret, sizeof(secret), "north", "east", &north), 0);
	cr_assert_eq(svr_static_meta_key(secret, sizeof(secret), "east", SVR_KEY_RX, &meta), 0);
	cr_assert_eq(svr_kdf_metadata(west.hmac_tx, meta.key, sent), 0);
	cr_assert_eq(svr_kdf_metadata(east.hmac_rx, meta.key, received), 0);
	cr_assert_eq(svr_kdf_metadata(north.hmac_tx, meta.key, other_pair), 0);
	cr_expect_arr_eq(sent, received, sizeof(sent));
	cr_expect(memcmp(sent, other_pair, sizeof(sent)) != 0);
}

Test(statickey, wrapping_twice_unwraps)
{
	uint8_t key[SVR_SESSION_KEY_LEN] = { 1, 2, 3 }, clear[sizeof(key)], first[sizeof(key)];
	uint8_t wrap[SVR_WRAP_KEY_LEN], uuid[SVR_UUID_LEN] = { 9 };

	memcpy(clear, key, sizeof(key));
	cr_assert_eq(svr_static_wrap_key(secret, sizeof(secret), "secret", wrap), 0);
	cr_assert_eq(svr_static_wrap(wrap, uuid, 1, key), 0);
	cr_expect(memcmp(key, clear, sizeof(key)) != 0);
	memcpy(first, key, sizeof(key));
	cr_assert_eq(svr_static_wrap(wrap, uuid, 1, key), 0);
	cr_expect_arr_eq(key, clear, sizeof(key));
	cr_assert_eq(svr_static_wrap(wrap, uuid, 2, key), 0);
	cr_expect(memcmp(key, first, sizeof(key)) != 0, "each epoch has its own pad");
}

Test(statickey, secret_of_a_policy)
{
	const struct svr_cfg_policy colons = { .encryption_key = "aa:BB", .hmac_key = "cc" };
	const struct svr_cfg_policy plain = { .encryption_key = "aabb", .hmac_key = "CC" };
	const struct svr_cfg_policy none = { .name = "none" };
	uint8_t a[SVR_CFG_SECRET_MAX], b[SVR_CFG_SECRET_MAX];

	cr_expect_eq(svr_config_policy_secret(&none, a), 0);
	cr_assert_eq(svr_config_policy_secret(&colons, a), sizeof(secret));
	cr_expect_arr_eq(a, secret, sizeof(secret));
	cr_assert_eq(svr_config_policy_secret(&plain, b), sizeof(secret));
	cr_expect_arr_eq(b, secret, sizeof(secret));
}

Test(statickey, vectors_of_the_text)
{
	struct hex from = vec("static.secret"), peer = vec("static.peer-key"), meta = vec("static.metadata-key");
	struct hex wrapped = vec("static.session-key"), session = vec("session-key"), uuid = vec("uuid");
	struct hex wrap_key = vec("static.wrap-key");
	uint8_t wrap[SVR_WRAP_KEY_LEN], key[SVR_SESSION_KEY_LEN];
	struct svr_peer_key p;
	struct svr_meta_key m;

	cr_assert_eq(svr_static_peer_key(from.bytes, from.len, "west", "east", &p), 0);
	cr_expect_arr_eq(p.key, peer.bytes, sizeof(p.key));
	cr_assert_eq(svr_static_meta_key(from.bytes, from.len, "east", SVR_KEY_RX, &m), 0);
	cr_expect_arr_eq(m.key, meta.bytes, sizeof(m.key));
	cr_assert_eq(svr_static_wrap_key(from.bytes, from.len, "secret", wrap), 0);
	cr_expect_arr_eq(wrap, wrap_key.bytes, sizeof(wrap));
	memcpy(key, session.bytes, sizeof(key));
	cr_assert_eq(svr_static_wrap(wrap, uuid.bytes, 1, key), 0);
	cr_expect_arr_eq(key, wrapped.bytes, sizeof(key));
}
