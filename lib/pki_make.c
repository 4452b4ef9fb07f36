// SPDX-License-Identifier: BSD-2-Clause
/* Self-signed certificates. Nothing on disk is ever replaced. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "lib/name.h"
#include "lib/pki_file.h"
#include "lib/pki_internal.h"

enum {
	MAKE_DAYS_MAX = 36500,
	MAKE_SERIAL_BITS = 127, /* RFC 5280 4.1.2.2: positive, at most 20 bytes */
	MAKE_BACKDATE_SEC = 86400, /* a peer's clock may be behind ours by this much */
};

static int make_serial(X509 *cert)
{
	BIGNUM *serial = BN_new();
	int ok = serial &&
		 BN_rand(serial, MAKE_SERIAL_BITS, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) == 1 &&
		 BN_to_ASN1_INTEGER(serial, X509_get_serialNumber(cert));

	BN_free(serial);
	return ok;
}

static int make_name(X509 *cert, const char *common_name)
{
	X509_NAME *name = X509_get_subject_name(cert);

	return X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
					  (const unsigned char *)common_name, -1, -1, 0) == 1 &&
	       X509_set_issuer_name(cert, name) == 1;
}

static int make_extension(X509 *cert, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *ext;
	int ok;

	X509V3_set_ctx(&ctx, cert, cert, NULL, NULL, 0);
	ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	ok = ext && X509_add_ext(cert, ext, -1) == 1;
	X509_EXTENSION_free(ext);
	return ok;
}

static int make_cert(EVP_PKEY *key, const char *common_name, int days, X509 **out)
{
	char san[sizeof("URI:" PKI_SAN_PREFIX) + 64];
	X509 *cert = X509_new();
	/* Ed25519 is not made here, so every key signs with a digest. */
	int ok = cert && X509_set_version(cert, X509_VERSION_3) == 1 && make_serial(cert) &&
		 make_name(cert, common_name) &&
		 X509_gmtime_adj(X509_getm_notBefore(cert), -MAKE_BACKDATE_SEC) &&
		 X509_time_adj_ex(X509_getm_notAfter(cert), days, 0, NULL) &&
		 X509_set_pubkey(cert, key) == 1;

	snprintf(san, sizeof(san), "URI:" PKI_SAN_PREFIX "%s", common_name);
	ok = ok && make_extension(cert, NID_basic_constraints, "critical,CA:FALSE") &&
	     make_extension(cert, NID_key_usage, "critical,digitalSignature") &&
	     make_extension(cert, NID_subject_key_identifier, "hash") &&
	     make_extension(cert, NID_subject_alt_name, san) &&
	     X509_sign(cert, key, EVP_sha384()) > 0;
	if (!ok) {
		X509_free(cert);
		return -EIO;
	}
	*out = cert;
	return 0;
}

static int make_arguments(const char *name, const char *common_name, int days, char *err,
			  size_t err_len)
{
	int ret = svr_pki_name_check(name, err, err_len);

	if (ret)
		return ret;
	if (!svr_name_ok(common_name, strlen(common_name))) {
		snprintf(
			err, err_len,
			"common name \"%.63s\": allowed are 1 to 63 characters of A-Z a-z 0-9 _ . -",
			common_name);
		return -EINVAL;
	}
	if (days < 1 || days > MAKE_DAYS_MAX) {
		snprintf(err, err_len, "%d days: allowed are 1 to %d", days, MAKE_DAYS_MAX);
		return -EINVAL;
	}
	return 0;
}

/* <dir>/<name>.pem, which must not exist. */
static int write_cert(const char *dir, const char *name, X509 *cert, char *err, size_t err_len)
{
	char file[PKI_NAME_MAX + 16], *text = NULL;
	BIO *bio = BIO_new(BIO_s_mem());
	int ret = -EIO;
	long len;

	if (bio && PEM_write_bio_X509(bio, cert) == 1) {
		len = BIO_get_mem_data(bio, &text);
		snprintf(file, sizeof(file), "%s.pem", name);
		ret = svr_pki_file_write(dir, file, 0644, false, text, (size_t)len, err, err_len);
	} else {
		snprintf(err, err_len, "certificate cannot be written: %s",
			 svr_pki_libcrypto_error());
	}
	BIO_free(bio);
	return ret;
}

static int make_and_write(const char *dir, const char *name, EVP_PKEY *key, const char *common_name,
			  int days, uint8_t fingerprint[static SVR_PKI_FINGERPRINT_LEN], char *err,
			  size_t err_len)
{
	X509 *cert = NULL;
	int ret;

	ret = make_cert(key, common_name, days, &cert);
	if (!ret)
		ret = svr_pki_fingerprint(cert, fingerprint);
	if (ret)
		snprintf(err, err_len, "certificate could not be made: %s",
			 svr_pki_libcrypto_error());
	else
		ret = write_cert(dir, name, cert, err, err_len);
	X509_free(cert);
	return ret;
}

static int refuse_existing(const char *path, char *err, size_t err_len)
{
	if (access(path, F_OK))
		return 0;
	snprintf(err, err_len,
		 "%s: exists and is never replaced: remove or rename it, or choose another name",
		 path);
	return -EEXIST;
}

int svr_pki_self_signed(const char *dir, const char *name, const char *common_name,
			const char *algorithm, int days,
			uint8_t fingerprint[static SVR_PKI_FINGERPRINT_LEN], char *err,
			size_t err_len)
{
	char key_path[PKI_PATH_LEN], cert_path[PKI_PATH_LEN];
	struct svr_pki_key_spec spec;
	EVP_PKEY *key = NULL;
	int ret;

	if (!algorithm || !algorithm[0])
		algorithm = SVR_PKI_ALGORITHM_DEFAULT;
	if (days == 0)
		days = SVR_PKI_DAYS_DEFAULT;
	ret = make_arguments(name, common_name, days, err, err_len);
	if (!ret && svr_pki_key_spec_short(algorithm, &spec)) {
		ret = -EINVAL;
		snprintf(
			err, err_len,
			"algorithm \"%.31s\": allowed are p256, p384, p521, rsa2048 to rsa4096 in steps of 256",
			algorithm);
	}
	if (!ret)
		ret = svr_pki_path(dir, name, "key", key_path, err, err_len);
	if (!ret)
		ret = svr_pki_path(dir, name, "pem", cert_path, err, err_len);
	/* Before the key is made, because RSA keys take their time; link(2) decides. */
	if (!ret)
		ret = refuse_existing(key_path, err, err_len);
	if (!ret)
		ret = refuse_existing(cert_path, err, err_len);
	if (ret)
		return ret;
	key = svr_pki_key_make(&spec);
	if (!key) {
		snprintf(err, err_len, "private key cannot be made: %s", svr_pki_libcrypto_error());
		return -EIO;
	}
	ret = svr_pki_key_write(dir, name, key, err, err_len);
	if (!ret) {
		ret = make_and_write(dir, name, key, common_name, days, fingerprint, err, err_len);
		if (ret)
			unlink(key_path); /* made two lines above */
	}
	EVP_PKEY_free(key);
	ERR_clear_error();
	return ret;
}

int svr_pki_self_sign(const char *dir, const char *name, const char *common_name, int days,
		      uint8_t fingerprint[static SVR_PKI_FINGERPRINT_LEN], char *err,
		      size_t err_len)
{
	char key_path[PKI_PATH_LEN];
	EVP_PKEY *key = NULL;
	int ret;

	if (days == 0)
		days = SVR_PKI_DAYS_DEFAULT;
	ret = make_arguments(name, common_name, days, err, err_len);
	if (!ret)
		ret = svr_pki_path(dir, name, "key", key_path, err, err_len);
	if (!ret)
		ret = svr_pki_key_load(key_path, &key, err, err_len);
	if (!ret)
		ret = make_and_write(dir, name, key, common_name, days, fingerprint, err, err_len);
	EVP_PKEY_free(key);
	ERR_clear_error();
	return ret;
}
