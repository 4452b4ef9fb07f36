// SPDX-License-Identifier: BSD-2-Clause
/*
 * Making a key pair and a self-signed certificate, and putting both on disk without ever replacing
 * a file.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "lib/name.h"
#include "lib/pki_internal.h"

enum {
	MAKE_PATH_LEN = 4096, /* bytes */
	MAKE_DAYS_MAX = 36500,
	MAKE_SERIAL_BITS = 127, /* RFC 5280 4.1.2.2: positive, at most 20 bytes */
	MAKE_BACKDATE_SEC = 86400, /* a peer's clock may be behind ours by this much */
	MAKE_DAY_SEC = 86400,
	MAKE_RSA_STEP = 256,
};

static EVP_PKEY *make_key(const char *algorithm)
{
	static const struct {
		const char *word, *curve;
	} curves[] = { { "p256", "P-256" }, { "p384", "P-384" }, { "p521", "P-521" } };
	char *end = NULL;
	unsigned long bits;
	size_t i;

	for (i = 0; i < sizeof(curves) / sizeof(curves[0]); i++)
		if (strcmp(algorithm, curves[i].word) == 0)
			return EVP_PKEY_Q_keygen(NULL, NULL, "EC", curves[i].curve);
	if (strncmp(algorithm, "rsa", 3) != 0 || algorithm[3] < '0' || algorithm[3] > '9')
		return NULL;
	bits = strtoul(algorithm + 3, &end, 10);
	if (*end || bits < 2048 || bits > 4096 || bits % MAKE_RSA_STEP)
		return NULL;
	return EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)bits);
}

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

/* A file of its own beside the final one: complete and on disk before it gets its name. */
static int make_temporary(const char *path, char *tmp, size_t tmp_len, mode_t mode, FILE **out)
{
	int fd;

	if (snprintf(tmp, tmp_len, "%s.XXXXXX", path) >= (int)tmp_len)
		return -ENAMETOOLONG;
	fd = mkstemp(tmp);
	if (fd < 0) {
		tmp[0] = '\0';
		return -errno;
	}
	*out = fchmod(fd, mode) == 0 ? fdopen(fd, "w") : NULL;
	if (!*out) {
		int err = -errno;

		close(fd);
		return err;
	}
	return 0;
}

static int make_close(FILE *f)
{
	int err = fflush(f) || fsync(fileno(f)) ? -errno : 0;

	if (fclose(f) && !err)
		err = -errno;
	return err;
}

/*
 * link(2) fails if the name exists, so nothing is ever replaced, whoever else runs at this moment.
 */
static int make_files(const char *key_path, const char *cert_path, EVP_PKEY *key, X509 *cert,
		      char *err, size_t err_len)
{
	char key_tmp[MAKE_PATH_LEN] = "", cert_tmp[MAKE_PATH_LEN] = "";
	const char *failed = key_path;
	FILE *f = NULL;
	int ret;

	ret = make_temporary(key_path, key_tmp, sizeof(key_tmp), 0600, &f);
	if (ret)
		goto out;
	ret = PEM_write_PKCS8PrivateKey(f, key, NULL, NULL, 0, NULL, NULL) == 1 ? 0 : -EIO;
	ret = make_close(f) ?: ret;
	if (ret)
		goto out;
	failed = cert_path;
	ret = make_temporary(cert_path, cert_tmp, sizeof(cert_tmp), 0644, &f);
	if (ret)
		goto out;
	ret = PEM_write_X509(f, cert) == 1 ? 0 : -EIO;
	ret = make_close(f) ?: ret;
	if (ret)
		goto out;
	failed = key_path;
	if (link(key_tmp, key_path)) {
		ret = -errno;
		goto out;
	}
	if (link(cert_tmp, cert_path)) {
		ret = -errno;
		failed = cert_path;
		unlink(key_path); /* made one line above */
	}
out:
	if (ret)
		snprintf(
			err, err_len, "%s: %s%s", failed, strerror(-ret),
			ret == -EEXIST ?
				"; it is never replaced: remove or rename it, or choose another name" :
				"");
	if (key_tmp[0])
		unlink(key_tmp);
	if (cert_tmp[0])
		unlink(cert_tmp);
	return ret;
}

int svr_pki_self_signed(const char *dir, const char *name, const char *common_name,
			const char *algorithm, int days,
			uint8_t fingerprint[static SVR_PKI_FINGERPRINT_LEN], char *err,
			size_t err_len)
{
	char key_path[MAKE_PATH_LEN], cert_path[MAKE_PATH_LEN];
	EVP_PKEY *key = NULL;
	X509 *cert = NULL;
	int ret = -EINVAL;

	if (!algorithm || !algorithm[0])
		algorithm = SVR_PKI_ALGORITHM_DEFAULT;
	if (days == 0)
		days = SVR_PKI_DAYS_DEFAULT;
	if (!svr_name_ok_for_path(name)) {
		snprintf(err, err_len,
			 "file name \"%.63s\": allowed are 1 to 63 characters of A-Z a-z 0-9 _ . -",
			 name);
		goto out;
	}
	if (!svr_name_ok(common_name, strlen(common_name))) {
		snprintf(
			err, err_len,
			"common name \"%.63s\": allowed are 1 to 63 characters of A-Z a-z 0-9 _ . -",
			common_name);
		goto out;
	}
	if (days < 1 || days > MAKE_DAYS_MAX) {
		snprintf(err, err_len, "%d days: allowed are 1 to %d", days, MAKE_DAYS_MAX);
		goto out;
	}
	if (snprintf(key_path, sizeof(key_path), "%s/%s.key", dir, name) >= (int)sizeof(key_path) ||
	    snprintf(cert_path, sizeof(cert_path), "%s/%s.pem", dir, name) >=
		    (int)sizeof(cert_path)) {
		ret = -ENAMETOOLONG;
		snprintf(err, err_len, "%s: path is too long", dir);
		goto out;
	}
	/* Before the key is made, because RSA keys take their time; link(2) decides. */
	if (access(key_path, F_OK) == 0 || access(cert_path, F_OK) == 0) {
		ret = -EEXIST;
		snprintf(
			err, err_len,
			"%s: exists and is never replaced: remove or rename it, or choose another name",
			access(key_path, F_OK) == 0 ? key_path : cert_path);
		goto out;
	}
	if (mkdir(dir, 0700) && errno != EEXIST) {
		ret = -errno;
		snprintf(err, err_len, "%s: %s", dir, strerror(errno));
		goto out;
	}
	key = make_key(algorithm);
	if (!key) {
		snprintf(
			err, err_len,
			"algorithm \"%.31s\": allowed are p256, p384, p521, rsa2048 to rsa4096 in steps of 256",
			algorithm);
		goto out;
	}
	ret = make_cert(key, common_name, days, &cert);
	if (!ret)
		ret = svr_pki_fingerprint(cert, fingerprint);
	if (ret) {
		snprintf(err, err_len, "certificate could not be made: %s",
			 svr_pki_libcrypto_error());
		goto out;
	}
	ret = make_files(key_path, cert_path, key, cert, err, err_len);
out:
	X509_free(cert);
	EVP_PKEY_free(key);
	ERR_clear_error();
	return ret;
}
