// SPDX-License-Identifier: BSD-2-Clause
/* Own private key and certificate chain, and signatures (docs/protocol.md section 9). */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/rsa.h>

#include "lib/pki_file.h"
#include "lib/pki_internal.h"

enum { IDENTITY_FILE_MAX = 256 * 1024 }; /* bytes; no certificate chain comes near */

struct svr_pki_identity {
	unsigned int users; /* atomic */
	EVP_PKEY *key;
	STACK_OF(X509) * certs; /* own first */
	struct {
		uint8_t *data;
		int len;
	} der[SVR_PKI_CHAIN_MAX];
	struct svr_pki_cert_info info;
};

/* ---- own identity ---------------------------------------------------------------------------- */

/* The chain as it is sent. */
static int identity_der(struct svr_pki_identity *id)
{
	int i;

	for (i = 0; i < sk_X509_num(id->certs); i++) {
		id->der[i].len = i2d_X509(sk_X509_value(id->certs, i), &id->der[i].data);
		if (id->der[i].len <= 0)
			return -EIO;
	}
	svr_pki_info_fill(sk_X509_value(id->certs, 0), &id->info);
	return 0;
}

static int identity_load_chain(const char *path, struct svr_pki_identity *id, char *err,
			       size_t err_len)
{
	struct svr_pki_report report = { 0 };
	char *text = NULL;
	size_t len = 0;
	int ret;

	ret = svr_pki_file_read(path, IDENTITY_FILE_MAX, false, &text, &len, err, err_len);
	if (ret)
		return ret;
	ret = svr_pki_pem_certs(text, len, SVR_PKI_CHAIN_MAX, id->certs, &report);
	free(text);
	if (ret) {
		snprintf(err, err_len, "%s: %s", path, report.text);
		return ret == -EBADMSG ? -EINVAL : ret;
	}
	if (X509_check_private_key(sk_X509_value(id->certs, 0), id->key) != 1) {
		snprintf(err, err_len,
			 "%s: first certificate does not belong to the private key beside it",
			 path);
		ERR_clear_error();
		return -EINVAL;
	}
	ret = identity_der(id);
	if (ret)
		snprintf(err, err_len, "%s: %s", path, svr_pki_libcrypto_error());
	return ret;
}

int svr_pki_identity_load(const char *dir, const char *name, struct svr_pki_identity **out,
			  char *err, size_t err_len)
{
	char key_path[PKI_PATH_LEN], cert_path[PKI_PATH_LEN];
	struct svr_pki_identity *id;
	int ret;

	*out = NULL;
	ret = svr_pki_path(dir, name, "key", key_path, err, err_len);
	if (!ret)
		ret = svr_pki_path(dir, name, "pem", cert_path, err, err_len);
	if (ret)
		return ret;
	id = calloc(1, sizeof(*id));
	if (id)
		id->certs = sk_X509_new_null();
	if (!id || !id->certs) {
		free(id);
		snprintf(err, err_len, "out of memory");
		return -ENOMEM;
	}
	id->users = 1;
	ret = svr_pki_key_load(key_path, &id->key, err, err_len);
	if (!ret)
		ret = identity_load_chain(cert_path, id, err, err_len);
	if (ret)
		svr_pki_identity_free(id);
	else
		*out = id;
	return ret;
}

struct svr_pki_identity *svr_pki_identity_use(struct svr_pki_identity *id)
{
	__atomic_add_fetch(&id->users, 1, __ATOMIC_RELAXED);
	return id;
}

void svr_pki_identity_free(struct svr_pki_identity *id)
{
	unsigned int i;

	if (!id || __atomic_sub_fetch(&id->users, 1, __ATOMIC_ACQ_REL))
		return;
	for (i = 0; i < SVR_PKI_CHAIN_MAX; i++)
		OPENSSL_free(id->der[i].data);
	sk_X509_pop_free(id->certs, X509_free);
	EVP_PKEY_free(id->key);
	free(id);
}

const uint8_t *svr_pki_identity_der(const struct svr_pki_identity *id, unsigned int index,
				    size_t *len)
{
	if (index >= (unsigned int)sk_X509_num(id->certs))
		return NULL;
	*len = (size_t)id->der[index].len;
	return id->der[index].data;
}

const uint8_t *svr_pki_identity_fingerprint(const struct svr_pki_identity *id)
{
	return id->info.fingerprint;
}

const struct svr_pki_cert_info *svr_pki_identity_info(const struct svr_pki_identity *id)
{
	return &id->info;
}

STACK_OF(X509) * svr_pki_identity_certs(const struct svr_pki_identity *id)
{
	return id->certs;
}

/* ---- signatures ------------------------------------------------------------------------------ */

static int pki_set_padding(EVP_PKEY_CTX *pctx, enum pki_key_kind kind)
{
	if (kind != PKI_KEY_RSA)
		return 1;
	/* MGF1 takes the digest of the signature unless told otherwise. */
	if (EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING) != 1)
		return 0;
	return EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, RSA_PSS_SALTLEN_DIGEST) == 1;
}

static const char *pki_digest(enum pki_key_kind kind)
{
	return kind == PKI_KEY_ED25519 ? NULL : "SHA2-384";
}

int svr_pki_sign(const struct svr_pki_identity *id, const uint8_t *data, size_t len, uint8_t *sig)
{
	enum pki_key_kind kind = svr_pki_key_kind(id->key);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	size_t sig_len = SVR_PKI_SIGNATURE_MAX;
	EVP_PKEY_CTX *pctx = NULL;
	int ret = -EIO;

	if (ctx &&
	    EVP_DigestSignInit_ex(ctx, &pctx, pki_digest(kind), NULL, NULL, id->key, NULL) == 1 &&
	    pki_set_padding(pctx, kind) && EVP_DigestSign(ctx, sig, &sig_len, data, len) == 1)
		ret = (int)sig_len;
	ERR_clear_error();
	EVP_MD_CTX_free(ctx);
	return ret;
}

int svr_pki_check_signature(EVP_PKEY *key, const uint8_t *data, size_t len, const uint8_t *sig,
			    size_t sig_len)
{
	enum pki_key_kind kind = svr_pki_key_kind(key);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *pctx = NULL;
	int ret = -EBADMSG;

	if (ctx && kind != PKI_KEY_NONE &&
	    EVP_DigestVerifyInit_ex(ctx, &pctx, pki_digest(kind), NULL, NULL, key, NULL) == 1 &&
	    pki_set_padding(pctx, kind) && EVP_DigestVerify(ctx, sig, sig_len, data, len) == 1)
		ret = 0;
	ERR_clear_error();
	EVP_MD_CTX_free(ctx);
	return ret;
}
