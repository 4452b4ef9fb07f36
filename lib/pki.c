// SPDX-License-Identifier: BSD-2-Clause
/* Own private key and certificate chain, and signatures (docs/protocol.md section 9). */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "lib/pki_internal.h"

enum {
	PKI_PATH_LEN = 4096, /* bytes, PATH_MAX */
	PKI_FILE_MAX = 256 * 1024, /* bytes; no certificate chain comes near */
	PKI_RSA_BITS_MIN = 2048,
	PKI_RSA_BITS_MAX = 4096, /* SVR_PKI_SIGNATURE_MAX */
};

struct svr_pki_identity {
	unsigned int users; /* atomic */
	EVP_PKEY *key;
	unsigned int count;
	struct {
		uint8_t *data;
		int len;
	} der[SVR_PKI_CHAIN_MAX];
	uint8_t fingerprint[SVR_PKI_FINGERPRINT_LEN];
};

/* ---- helpers of the three files -------------------------------------------------------------- */

const char *svr_pki_libcrypto_error(void)
{
	unsigned long code = ERR_peek_last_error();
	const char *text = code ? ERR_reason_error_string(code) : NULL;

	ERR_clear_error();
	return text ? text : "libcrypto gives no reason";
}

int svr_pki_fingerprint(X509 *cert, uint8_t out[static SVR_PKI_FINGERPRINT_LEN])
{
	unsigned int len = 0;

	if (X509_digest(cert, EVP_sha256(), out, &len) != 1 || len != SVR_PKI_FINGERPRINT_LEN)
		return -EIO;
	return 0;
}

enum pki_key_kind svr_pki_key_kind(EVP_PKEY *key)
{
	static const char *const curves[] = { "prime256v1", "P-256",	 "secp384r1",
					      "P-384",	    "secp521r1", "P-521" };
	char curve[32] = "";
	size_t i;

	if (!key)
		return PKI_KEY_NONE;
	if (EVP_PKEY_is_a(key, "ED25519"))
		return PKI_KEY_ED25519;
	if (EVP_PKEY_is_a(key, "RSA"))
		return EVP_PKEY_get_bits(key) >= PKI_RSA_BITS_MIN &&
				       EVP_PKEY_get_bits(key) <= PKI_RSA_BITS_MAX ?
			       PKI_KEY_RSA :
			       PKI_KEY_NONE;
	if (!EVP_PKEY_is_a(key, "EC") ||
	    EVP_PKEY_get_group_name(key, curve, sizeof(curve), NULL) != 1)
		return PKI_KEY_NONE;
	for (i = 0; i < sizeof(curves) / sizeof(curves[0]); i++)
		if (strcmp(curve, curves[i]) == 0)
			return PKI_KEY_EC;
	return PKI_KEY_NONE;
}

/* ---- own identity ---------------------------------------------------------------------------- */

/*
 * Whole file in memory; the caller frees. @secret: refuse a file that others than its owner may
 * read.
 */
static int pki_read_file(const char *path, bool secret, char **text, size_t *len, char *err,
			 size_t err_len)
{
	struct stat st;
	ssize_t got = 0;
	int fd, ret = 0;

	*text = NULL;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0) {
		ret = -errno;
		snprintf(err, err_len, "%s: %s", path, strerror(errno));
		return ret;
	}
	if (fstat(fd, &st) < 0) {
		ret = -errno;
		snprintf(err, err_len, "%s: %s", path, strerror(errno));
		goto out;
	}
	if (!S_ISREG(st.st_mode) || st.st_size > PKI_FILE_MAX) {
		ret = -EINVAL;
		snprintf(err, err_len, "%s: not a regular file, or above %d bytes", path,
			 PKI_FILE_MAX);
		goto out;
	}
	if (secret && (st.st_mode & 077)) {
		ret = -EPERM;
		snprintf(err, err_len, "%s: private key has mode %04o; try: chmod 0600 %s", path,
			 (unsigned int)(st.st_mode & 07777), path);
		goto out;
	}
	*text = malloc((size_t)st.st_size + 1);
	if (!*text) {
		ret = -ENOMEM;
		snprintf(err, err_len, "%s: out of memory", path);
		goto out;
	}
	*len = 0;
	while (*len < (size_t)st.st_size &&
	       (got = read(fd, *text + *len, (size_t)st.st_size - *len)) > 0)
		*len += (size_t)got;
	if (got < 0) {
		ret = -errno;
		snprintf(err, err_len, "%s: %s", path, strerror(errno));
	}
out:
	if (ret) {
		free(*text);
		*text = NULL;
	}
	close(fd);
	return ret;
}

/* Keys with a passphrase are refused: there is nobody to ask. */
static int pki_no_passphrase(char *buf, int size, int rwflag, void *user)
{
	(void)buf, (void)size, (void)rwflag, (void)user;
	return -1;
}

static int pki_load_key(const char *path, EVP_PKEY **out, char *err, size_t err_len)
{
	char *text = NULL;
	size_t len = 0;
	BIO *bio = NULL;
	int ret;

	ret = pki_read_file(path, true, &text, &len, err, err_len);
	if (ret)
		return ret;
	bio = BIO_new_mem_buf(text, (int)len);
	*out = bio ? PEM_read_bio_PrivateKey(bio, NULL, pki_no_passphrase, NULL) : NULL;
	if (!*out) {
		ret = -EINVAL;
		snprintf(err, err_len, "%s: no usable private key in PEM without a passphrase: %s",
			 path, svr_pki_libcrypto_error());
	} else if (svr_pki_key_kind(*out) == PKI_KEY_NONE) {
		ret = -EINVAL;
		snprintf(err, err_len,
			 "%s: key is none of RSA 2048 to 4096, P-256, P-384, P-521, Ed25519", path);
	}
	BIO_free(bio);
	OPENSSL_cleanse(text, len);
	free(text);
	return ret;
}

static int pki_load_chain(const char *path, struct svr_pki_identity *id, char *err, size_t err_len)
{
	char *text = NULL;
	size_t len = 0;
	X509 *cert = NULL;
	BIO *bio;
	int ret;

	ret = pki_read_file(path, false, &text, &len, err, err_len);
	if (ret)
		return ret;
	bio = BIO_new_mem_buf(text, (int)len);
	while (bio && (cert = PEM_read_bio_X509(bio, NULL, pki_no_passphrase, NULL))) {
		if (id->count == SVR_PKI_CHAIN_MAX) {
			ret = -E2BIG;
			snprintf(err, err_len, "%s: more than %d certificates", path,
				 SVR_PKI_CHAIN_MAX);
			goto out;
		}
		if (id->count == 0 && X509_check_private_key(cert, id->key) != 1) {
			ret = -EINVAL;
			snprintf(
				err, err_len,
				"%s: first certificate does not belong to the private key beside it",
				path);
			goto out;
		}
		id->der[id->count].len = i2d_X509(cert, &id->der[id->count].data);
		if (id->der[id->count].len <= 0 ||
		    (id->count == 0 && svr_pki_fingerprint(cert, id->fingerprint))) {
			ret = -EIO;
			snprintf(err, err_len, "%s: %s", path, svr_pki_libcrypto_error());
			goto out;
		}
		id->count++;
		X509_free(cert);
		cert = NULL;
	}
	if (id->count == 0) {
		ret = -EINVAL;
		snprintf(err, err_len, "%s: no certificate in PEM: %s", path,
			 svr_pki_libcrypto_error());
	}
out:
	ERR_clear_error(); /* the end of a PEM file is an error to libcrypto */
	X509_free(cert);
	BIO_free(bio);
	free(text);
	return ret;
}

int svr_pki_identity_load(const char *dir, const char *name, struct svr_pki_identity **out,
			  char *err, size_t err_len)
{
	char key_path[PKI_PATH_LEN], cert_path[PKI_PATH_LEN];
	struct svr_pki_identity *id;
	int ret;

	*out = NULL;
	if (snprintf(key_path, sizeof(key_path), "%s/%s.key", dir, name) >= (int)sizeof(key_path) ||
	    snprintf(cert_path, sizeof(cert_path), "%s/%s.pem", dir, name) >=
		    (int)sizeof(cert_path)) {
		snprintf(err, err_len, "%s/%s.key: path is too long", dir, name);
		return -ENAMETOOLONG;
	}
	id = calloc(1, sizeof(*id));
	if (!id) {
		snprintf(err, err_len, "out of memory");
		return -ENOMEM;
	}
	id->users = 1;
	ret = pki_load_key(key_path, &id->key, err, err_len);
	if (!ret)
		ret = pki_load_chain(cert_path, id, err, err_len);
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
	EVP_PKEY_free(id->key);
	free(id);
}

const uint8_t *svr_pki_identity_der(const struct svr_pki_identity *id, unsigned int index,
				    size_t *len)
{
	if (index >= id->count)
		return NULL;
	*len = (size_t)id->der[index].len;
	return id->der[index].data;
}

const uint8_t *svr_pki_identity_fingerprint(const struct svr_pki_identity *id)
{
	return id->fingerprint;
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
