// SPDX-License-Identifier: BSD-2-Clause
/*
 * Diffie-Hellman with libcrypto. A received value is checked for its range only: the groups are
 * those of safe primes and both private values are ephemeral, so a subgroup check (ten times the
 * cost of the exchange itself in OpenSSL) would add nothing.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/dh.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>

#include <svr/drops.h>

#include "lib/dh.h"

enum {
	MODP1024_PRIVATE_BITS = 320
}; /* twice what the group resists, as RFC 7919 5.2 asks of its groups, and some more */

struct svr_dh_secret {
	uint16_t group;
	EVP_PKEY *key;
};

static const struct dh_group {
	uint16_t number;
	uint16_t bits;
	const char *name;
} dh_groups[] = {
#define X(id, n, bits, name) { n, bits, name },
	SVR_DH_GROUPS(X)
#undef X
};
enum { DH_GROUP_COUNT = sizeof(dh_groups) / sizeof(dh_groups[0]) };

static const struct dh_group *dh_group(uint16_t number)
{
	int i;

	for (i = 0; i < DH_GROUP_COUNT; i++)
		if (dh_groups[i].number == number)
			return &dh_groups[i];
	return NULL;
}

size_t svr_dh_len(uint16_t group)
{
	const struct dh_group *g = dh_group(group);

	return g ? g->bits / 8 : 0;
}

const char *svr_dh_name(uint16_t group)
{
	const struct dh_group *g = dh_group(group);

	return g ? g->name : "?";
}

uint16_t svr_dh_group_of_bits(unsigned int bits)
{
	int i;

	for (i = 0; i < DH_GROUP_COUNT; i++)
		if (dh_groups[i].bits == bits)
			return dh_groups[i].number;
	return 0;
}

static BIGNUM *dh_prime(uint16_t group)
{
	switch (group) {
	case SVR_DH_MODP1024:
		return BN_get_rfc2409_prime_1024(NULL);
	case SVR_DH_FFDHE2048:
	case SVR_DH_FFDHE4096:
		break;
	}
	return NULL;
}

/*
 * Domain parameters, and a public value where one is given. libcrypto knows the groups of RFC 7919
 * by name; RFC 2409 group 2 has to be spelled out.
 */
static int dh_params(uint16_t group, const BIGNUM *public_value, OSSL_PARAM **out)
{
	OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
	BIGNUM *p = dh_prime(group), *g = BN_new();
	int ok = bld && g && BN_set_word(g, 2) == 1;

	if (ok && p)
		ok = OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_FFC_P, p) == 1 &&
		     OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_FFC_G, g) == 1 &&
		     OSSL_PARAM_BLD_push_int(bld, OSSL_PKEY_PARAM_DH_PRIV_LEN,
					     MODP1024_PRIVATE_BITS) == 1;
	else if (ok)
		ok = OSSL_PARAM_BLD_push_utf8_string(bld, OSSL_PKEY_PARAM_GROUP_NAME,
						     svr_dh_name(group), 0) == 1;
	if (ok && public_value)
		ok = OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_PUB_KEY, public_value) == 1;
	*out = ok ? OSSL_PARAM_BLD_to_param(bld) : NULL;
	OSSL_PARAM_BLD_free(bld);
	BN_free(p);
	BN_free(g);
	return *out ? 0 : -EIO;
}

static EVP_PKEY *dh_key(uint16_t group, const BIGNUM *public_value)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "DH", NULL);
	OSSL_PARAM *params = NULL;
	EVP_PKEY *key = NULL;

	if (!ctx || dh_params(group, public_value, &params) || EVP_PKEY_fromdata_init(ctx) != 1 ||
	    EVP_PKEY_fromdata(ctx, &key,
			      public_value ? EVP_PKEY_PUBLIC_KEY : EVP_PKEY_KEY_PARAMETERS,
			      params) != 1)
		key = NULL;
	OSSL_PARAM_free(params);
	EVP_PKEY_CTX_free(ctx);
	return key;
}

static int dh_get_bn(EVP_PKEY *key, const char *name, BIGNUM **out)
{
	*out = NULL;
	return EVP_PKEY_get_bn_param(key, name, out) == 1 ? 0 : -EIO;
}

static int dh_generate(uint16_t group, struct svr_dh_secret **secret, uint8_t *public_value)
{
	struct svr_dh_secret *s = NULL;
	EVP_PKEY *params = NULL;
	EVP_PKEY_CTX *ctx = NULL;
	BIGNUM *y = NULL;
	int ret = -EINVAL;

	*secret = NULL;
	if (!svr_dh_len(group))
		goto out;
	ret = -ENOMEM;
	s = calloc(1, sizeof(*s));
	if (!s)
		goto out;
	s->group = group;
	ret = -EIO;
	params = dh_key(group, NULL);
	ctx = params ? EVP_PKEY_CTX_new_from_pkey(NULL, params, NULL) : NULL;
	if (!ctx || EVP_PKEY_keygen_init(ctx) != 1 || EVP_PKEY_generate(ctx, &s->key) != 1 ||
	    dh_get_bn(s->key, OSSL_PKEY_PARAM_PUB_KEY, &y) ||
	    BN_bn2binpad(y, public_value, (int)svr_dh_len(group)) < 0)
		goto out;
	*secret = s;
	s = NULL;
	ret = 0;
out:
	svr_dh_openssl.free(s);
	BN_free(y);
	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(params);
	ERR_clear_error();
	return ret;
}

/* 1 < y < p - 1: keeps out 0, 1 and p - 1, whose powers are known to everybody. */
static int dh_check_range(EVP_PKEY *own, const BIGNUM *y)
{
	BIGNUM *p = NULL;
	int ret = dh_get_bn(own, OSSL_PKEY_PARAM_FFC_P, &p);

	if (!ret && (BN_is_zero(y) || BN_is_one(y) || BN_sub_word(p, 1) != 1 || BN_cmp(y, p) >= 0))
		ret = -SVR_DROP_KEX_VALUE;
	BN_free(p);
	return ret;
}

static int dh_derive(const struct svr_dh_secret *secret, const uint8_t *peer_value, uint8_t *z)
{
	size_t len = svr_dh_len(secret->group), z_len = len;
	BIGNUM *y = BN_bin2bn(peer_value, (int)len, NULL);
	EVP_PKEY_CTX *ctx = NULL;
	EVP_PKEY *peer = NULL;
	int ret = -EIO;

	if (!y)
		goto out;
	ret = dh_check_range(secret->key, y);
	if (ret)
		goto out;
	ret = -EIO;
	peer = dh_key(secret->group, y);
	ctx = EVP_PKEY_CTX_new_from_pkey(NULL, secret->key, NULL);
	if (!peer || !ctx || EVP_PKEY_derive_init(ctx) != 1 ||
	    EVP_PKEY_CTX_set_dh_pad(ctx, 1) != 1 ||
	    EVP_PKEY_derive_set_peer_ex(ctx, peer, 0) != 1 ||
	    EVP_PKEY_derive(ctx, z, &z_len) != 1 || z_len != len)
		goto out;
	ret = 0;
out:
	if (ret)
		OPENSSL_cleanse(z, len);
	BN_free(y);
	EVP_PKEY_free(peer);
	EVP_PKEY_CTX_free(ctx);
	ERR_clear_error();
	return ret;
}

static void dh_free(struct svr_dh_secret *secret)
{
	if (!secret)
		return;
	EVP_PKEY_free(secret->key); /* libcrypto wipes the private value */
	free(secret);
}

const struct svr_dh_ops svr_dh_openssl = {
	.generate = dh_generate,
	.derive = dh_derive,
	.free = dh_free,
};
