// SPDX-License-Identifier: BSD-2-Clause
/*
 * Key derivations: HKDF-SHA-384 (RFC 5869) with the labels of docs/protocol.md section 4. Nothing is allocated: a key that
 * is needed again is derived again.
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include <openssl/crypto.h>

#include "lib/crypt_internal.h"
#include "lib/kdf.h"

enum {
	KDF_HASH_LEN = 48, /* SHA-384, bytes */
	KDF_LABEL_MAX = 128, /* bytes */
	KDF_CONTEXT_MAX = 128, /* bytes */
	KDF_BLOCKS_MAX = 255, /* RFC 5869 2.3 */
};

static const char kdf_prefix[] = "svr1 ";

/* RFC 5869 2.2: a salt that is not given is a string of zeros as long as the hash. */
static struct svr_hmac_key no_salt;
static pthread_once_t no_salt_once = PTHREAD_ONCE_INIT;

static void no_salt_make(void)
{
	static const uint8_t zeros[KDF_HASH_LEN];

	svr_hmac_key_set(&no_salt, SVR_HMAC_SHA384, zeros, sizeof(zeros));
}

/* RFC 5869 2.2, and the result as a key. */
static void extract(const uint8_t *salt, size_t salt_len, const uint8_t *secret, size_t secret_len,
		    struct svr_hmac_key *prk)
{
	const struct svr_bytes in = { secret, secret_len };
	uint8_t bytes[SVR_TAG_MAX];
	struct svr_hmac_key salted;

	if (salt_len > 0) {
		svr_hmac_key_set(&salted, SVR_HMAC_SHA384, salt, salt_len);
		svr_hmac_run(&salted, &in, 1, bytes);
		OPENSSL_cleanse(&salted, sizeof(salted));
	} else {
		svr_hmac_run(&no_salt, &in, 1, bytes);
	}
	svr_hmac_key_set(prk, SVR_HMAC_SHA384, bytes, KDF_HASH_LEN);
	OPENSSL_cleanse(bytes, sizeof(bytes));
}

/* RFC 5869 2.3 */
static void expand(const struct svr_hmac_key *prk, const uint8_t *info, size_t info_len,
		   uint8_t *out, size_t out_len)
{
	uint8_t block[SVR_TAG_MAX], number = 0;
	struct svr_bytes in[] = { { block, 0 }, { info, info_len }, { &number, 1 } };
	size_t part;

	for (; out_len > 0; out += part, out_len -= part) {
		number++;
		svr_hmac_run(prk, in, 3, block);
		in[0].len = KDF_HASH_LEN;
		part = out_len < KDF_HASH_LEN ? out_len : KDF_HASH_LEN;
		memcpy(out, block, part);
	}
	OPENSSL_cleanse(block, sizeof(block));
}

int svr_kdf(const uint8_t *salt, size_t salt_len, const uint8_t *secret, size_t secret_len,
	    const char *label, const void *context, size_t context_len, uint8_t *out,
	    size_t out_len)
{
	uint8_t info[sizeof(kdf_prefix) - 1 + KDF_LABEL_MAX + 1 + KDF_CONTEXT_MAX];
	size_t label_len = strnlen(label, KDF_LABEL_MAX + 1), info_len = 0;
	struct svr_hmac_key prk;

	if (label_len > KDF_LABEL_MAX || context_len > KDF_CONTEXT_MAX || secret_len == 0 ||
	    out_len == 0 || out_len > KDF_BLOCKS_MAX * KDF_HASH_LEN) {
		OPENSSL_cleanse(out, out_len);
		return -EINVAL;
	}
	memcpy(info, kdf_prefix, sizeof(kdf_prefix) - 1);
	info_len = sizeof(kdf_prefix) - 1;
	/* with the NUL, which is the 0x00 between label and context */
	memcpy(info + info_len, label, label_len + 1);
	info_len += label_len + 1;
	if (context_len > 0)
		memcpy(info + info_len, context, context_len);
	info_len += context_len;

	pthread_once(&no_salt_once, no_salt_make);
	extract(salt, salt_len, secret, secret_len, &prk);
	expand(&prk, info, info_len, out, out_len);
	OPENSSL_cleanse(&prk, sizeof(prk));
	return 0;
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

int svr_kdf_metadata(const uint8_t hmac_key[static SVR_HMAC_KEY_LEN],
		     const uint8_t meta_key[static SVR_META_KEY_LEN], uint8_t out[static 32])
{
	return svr_kdf(hmac_key, SVR_HMAC_KEY_LEN, meta_key, SVR_META_KEY_LEN, "metadata", NULL, 0,
		       out, 32);
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
