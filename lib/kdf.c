// SPDX-License-Identifier: BSD-2-Clause
/* Key derivations: HKDF-SHA-384 (RFC 5869) with the labels of docs/protocol.md section 4. */
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include "lib/kdf.h"

enum {
	KDF_HASH_LEN = 48,	/* SHA-384, bytes */
	KDF_LABEL_MAX = 128,	/* bytes */
	KDF_CONTEXT_MAX = 128,	/* bytes */
};

static const char kdf_prefix[] = "svr1 ";

/* Fetching takes a lock and a look-up; the object is immutable and shared by all threads. */
static EVP_KDF *kdf_hkdf;
static pthread_once_t kdf_once = PTHREAD_ONCE_INIT;

static void kdf_fetch(void)
{
	kdf_hkdf = EVP_KDF_fetch(NULL, OSSL_KDF_NAME_HKDF, NULL);
}

int svr_kdf(const uint8_t *salt, size_t salt_len, const uint8_t *secret, size_t secret_len,
	    const char *label, const void *context, size_t context_len, uint8_t *out,
	    size_t out_len)
{
	/* RFC 5869 2.2: a salt that is not given is a string of zeros as long as the hash. */
	static const uint8_t default_salt[KDF_HASH_LEN];
	uint8_t info[sizeof(kdf_prefix) - 1 + KDF_LABEL_MAX + 1 + KDF_CONTEXT_MAX];
	size_t label_len = strnlen(label, KDF_LABEL_MAX + 1), info_len = 0;
	int mode = EVP_KDF_HKDF_MODE_EXTRACT_AND_EXPAND;
	EVP_KDF_CTX *ctx = NULL;
	OSSL_PARAM params[6], *p = params;
	int err;

	if (label_len > KDF_LABEL_MAX || context_len > KDF_CONTEXT_MAX || secret_len == 0 ||
	    out_len == 0) {
		err = -EINVAL;
		goto out;
	}
	if (salt_len == 0) {
		salt = default_salt;
		salt_len = sizeof(default_salt);
	}
	memcpy(info, kdf_prefix, sizeof(kdf_prefix) - 1);
	info_len = sizeof(kdf_prefix) - 1;
	/* with the NUL, which is the 0x00 between label and context */
	memcpy(info + info_len, label, label_len + 1);
	info_len += label_len + 1;
	if (context_len > 0)
		memcpy(info + info_len, context, context_len);
	info_len += context_len;

	err = -EIO;
	if (pthread_once(&kdf_once, kdf_fetch) != 0 || !kdf_hkdf)
		goto out;
	err = -ENOMEM;
	ctx = EVP_KDF_CTX_new(kdf_hkdf);
	if (!ctx)
		goto out;
	/* OSSL_PARAM has no const; HKDF only reads what these point to. */
	*p++ = OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode);
	*p++ = OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)"SHA2-384", 0);
	*p++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, (void *)salt, salt_len);
	*p++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)secret, secret_len);
	*p++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info, info_len);
	*p = OSSL_PARAM_construct_end();
	err = EVP_KDF_derive(ctx, out, out_len, params) > 0 ? 0 : -EIO;
out:
	EVP_KDF_CTX_free(ctx);
	if (err)
		OPENSSL_cleanse(out, out_len);
	return err;
}

int svr_kdf_bfd(const uint8_t peer_key[static SVR_PEER_KEY_LEN], struct svr_bfd_keys *out)
{
	_Static_assert(sizeof(*out) == 160,
		       "enc0, enc1, mac0, mac1 in the order of the derivation, without padding");

	return svr_kdf(NULL, 0, peer_key, SVR_PEER_KEY_LEN, "bfd", NULL, 0, (uint8_t *)out,
		       sizeof(*out));
}

int svr_kdf_session_hmac(const uint8_t peer_key[static SVR_PEER_KEY_LEN],
			 uint8_t out[2][SVR_HMAC_KEY_LEN])
{
	return svr_kdf(NULL, 0, peer_key, SVR_PEER_KEY_LEN, "session hmac", NULL, 0, out[0],
		       2 * SVR_HMAC_KEY_LEN);
}

int svr_kdf_metadata(const uint8_t meta_key[static SVR_META_KEY_LEN], uint8_t out[static 32])
{
	return svr_kdf(NULL, 0, meta_key, SVR_META_KEY_LEN, "metadata", NULL, 0, out, 32);
}

int svr_kdf_payload(const uint8_t session_key[static SVR_SESSION_KEY_LEN],
		    const uint8_t uuid[static SVR_UUID_LEN], uint16_t epoch,
		    struct svr_payload_keys *out)
{
	uint8_t context[SVR_UUID_LEN + sizeof(epoch)];

	_Static_assert(sizeof(*out) == 128,
		       "enc_fwd, enc_rev, iv_fwd, iv_rev in the order of the derivation");
	memcpy(context, uuid, SVR_UUID_LEN);
	context[SVR_UUID_LEN] = epoch >> 8;
	context[SVR_UUID_LEN + 1] = epoch & 0xff;
	return svr_kdf(NULL, 0, session_key, SVR_SESSION_KEY_LEN, "payload", context,
		       sizeof(context), (uint8_t *)out, sizeof(*out));
}

int svr_direction_number(const char *sender, const char *receiver)
{
	/*
	 * strcmp() compares as unsigned bytes, and a prefix is smaller: just the order of
	 * docs/protocol.md section 1.
	 */
	int order = strcmp(sender, receiver);

	if (order == 0)
		return -EINVAL;
	return order < 0 ? 0 : 1;
}
