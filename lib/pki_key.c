// SPDX-License-Identifier: BSD-2-Clause
/* Private keys of certificates: made, kept, loaded. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "lib/name.h"
#include "lib/pki_file.h"
#include "lib/pki_internal.h"
#include "lib/pki_key.h"

enum { KEY_FILE_MAX = 16 * 1024 }; /* bytes; RSA-4096 has 3300 */

/* ---- which keys ------------------------------------------------------------------------------ */

/* SSR's words first, those of svr_pki_self_signed() second, libcrypto's last. */
static const struct {
	const char *word, *short_word, *curve;
} key_curves[] = {
	{ "SECP256R1", "p256", "P-256" },
	{ "SECP384R1", "p384", "P-384" },
	{ "SECP521R1", "p521", "P-521" },
	{ "SECP256R", NULL, "P-256" }, /* the same curve, as SSR's manuals have it in one place */
};

static int key_refuse(char *err, size_t err_len, const char *what, const char *found,
		      const char *allowed)
{
	snprintf(err, err_len, "%s \"%.31s\": allowed are %s", what, found, allowed);
	return -EINVAL;
}

static int parse_rsa(const char *text, struct svr_pki_key_spec *spec)
{
	char *end = NULL;
	unsigned long bits;

	if (text[0] < '0' || text[0] > '9' || strlen(text) != 4)
		return -EINVAL;
	bits = strtoul(text, &end, 10);
	if (*end || bits < SVR_PKI_RSA_BITS_MIN || bits > SVR_PKI_RSA_BITS_MAX ||
	    bits % SVR_PKI_RSA_BITS_STEP)
		return -EINVAL;
	spec->rsa_bits = (unsigned int)bits;
	spec->curve = NULL;
	return 0;
}

int svr_pki_key_spec_parse(const char *algorithm, const char *rsa_bits, const char *curve,
			   struct svr_pki_key_spec *spec, char *err, size_t err_len)
{
	size_t i;

	memset(spec, 0, sizeof(*spec));
	if (strcasecmp(algorithm, "RSA") == 0) {
		if (curve)
			return key_refuse(err, err_len, "ecc_curve", curve,
					  "curves with algorithm ECC only");
		if (parse_rsa(rsa_bits ? rsa_bits : "2048", spec))
			return key_refuse(err, err_len, "rsa_key_size", rsa_bits,
					  "2048 to 4096 in steps of 256");
		return 0;
	}
	if (strcasecmp(algorithm, "ECC") != 0)
		return key_refuse(err, err_len, "algorithm", algorithm, "RSA and ECC");
	if (rsa_bits)
		return key_refuse(err, err_len, "rsa_key_size", rsa_bits,
				  "sizes with algorithm RSA only");
	if (!curve)
		curve = SVR_PKI_CURVE_DEFAULT;
	for (i = 0; i < sizeof(key_curves) / sizeof(key_curves[0]); i++)
		if (strcasecmp(curve, key_curves[i].word) == 0) {
			spec->curve = key_curves[i].curve;
			return 0;
		}
	return key_refuse(err, err_len, "ecc_curve", curve, "SECP256R1, SECP384R1, SECP521R1");
}

int svr_pki_key_spec_short(const char *word, struct svr_pki_key_spec *spec)
{
	size_t i;

	memset(spec, 0, sizeof(*spec));
	for (i = 0; i < sizeof(key_curves) / sizeof(key_curves[0]); i++)
		if (key_curves[i].short_word && strcmp(word, key_curves[i].short_word) == 0) {
			spec->curve = key_curves[i].curve;
			return 0;
		}
	return strncmp(word, "rsa", 3) == 0 ? parse_rsa(word + 3, spec) : -EINVAL;
}

/* libcrypto answers with the name that a key came with, which may be any of two. */
static const char *key_curve_word(EVP_PKEY *key)
{
	static const struct {
		const char *name, *word;
	} names[] = {
		{ "prime256v1", "SECP256R1" }, { "P-256", "SECP256R1" },
		{ "secp384r1", "SECP384R1" },  { "P-384", "SECP384R1" },
		{ "secp521r1", "SECP521R1" },  { "P-521", "SECP521R1" },
	};
	char curve[32] = "";
	size_t i;

	if (EVP_PKEY_get_group_name(key, curve, sizeof(curve), NULL) != 1)
		return NULL;
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(curve, names[i].name) == 0)
			return names[i].word;
	return NULL;
}

enum pki_key_kind svr_pki_key_kind(EVP_PKEY *key)
{
	if (!key)
		return PKI_KEY_NONE;
	if (EVP_PKEY_is_a(key, "ED25519"))
		return PKI_KEY_ED25519;
	if (EVP_PKEY_is_a(key, "RSA"))
		return EVP_PKEY_get_bits(key) >= SVR_PKI_RSA_BITS_MIN &&
				       EVP_PKEY_get_bits(key) <= SVR_PKI_RSA_BITS_MAX ?
			       PKI_KEY_RSA :
			       PKI_KEY_NONE;
	return EVP_PKEY_is_a(key, "EC") && key_curve_word(key) ? PKI_KEY_EC : PKI_KEY_NONE;
}

void svr_pki_key_text(EVP_PKEY *key, char *out, size_t out_len)
{
	const char *type = key ? EVP_PKEY_get0_type_name(key) : NULL;
	const char *curve = key && EVP_PKEY_is_a(key, "EC") ? key_curve_word(key) : NULL;

	if (curve)
		snprintf(out, out_len, "%s", curve);
	else if (type && EVP_PKEY_is_a(key, "ED25519"))
		snprintf(out, out_len, "ED25519");
	else
		snprintf(out, out_len, "%s %d", type ? type : "unknown",
			 key ? EVP_PKEY_get_bits(key) : 0);
}

/* ---- making ---------------------------------------------------------------------------------- */

EVP_PKEY *svr_pki_key_make(const struct svr_pki_key_spec *spec)
{
	if (spec->curve)
		return EVP_PKEY_Q_keygen(NULL, NULL, "EC", spec->curve);
	return EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)spec->rsa_bits);
}

int svr_pki_name_check(const char *name, char *err, size_t err_len)
{
	/* room for ".key" and the like, and for the names of what belongs to it */
	if (svr_name_ok_for_path(name) && name[0] != '.' && strlen(name) <= PKI_NAME_MAX)
		return 0;
	snprintf(err, err_len,
		 "name \"%.63s\": allowed are 1 to %d characters of A-Z a-z 0-9 _ . -, the first "
		 "not a dot",
		 name, PKI_NAME_MAX);
	return -EINVAL;
}

int svr_pki_path(const char *dir, const char *name, const char *extension,
		 char path[static PKI_PATH_LEN], char *err, size_t err_len)
{
	if (snprintf(path, PKI_PATH_LEN, "%s/%s.%s", dir, name, extension) < PKI_PATH_LEN)
		return 0;
	snprintf(err, err_len, "%s: path is too long", dir);
	return -ENAMETOOLONG;
}

int svr_pki_key_write(const char *dir, const char *name, EVP_PKEY *key, char *err, size_t err_len)
{
	BIO *bio = BIO_new(BIO_s_secmem()); /* wipes what it held */
	char file[PKI_NAME_MAX + 16], *text = NULL;
	int ret = -EIO;
	long len;

	if (!bio || PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) != 1) {
		snprintf(err, err_len, "private key cannot be written: %s",
			 svr_pki_libcrypto_error());
		goto out;
	}
	len = BIO_get_mem_data(bio, &text);
	snprintf(file, sizeof(file), "%s.key", name);
	ret = svr_pki_file_write(dir, file, 0600, false, text, (size_t)len, err, err_len);
out:
	BIO_free(bio);
	return ret;
}

int svr_pki_key_create(const char *dir, const char *name, const struct svr_pki_key_spec *spec,
		       char *err, size_t err_len)
{
	char path[PKI_PATH_LEN];
	EVP_PKEY *key;
	int ret;

	ret = svr_pki_name_check(name, err, err_len);
	if (!ret)
		ret = svr_pki_path(dir, name, "key", path, err, err_len);
	if (ret)
		return ret;
	/* Before the key is made, because RSA keys take their time; link(2) decides. */
	if (access(path, F_OK) == 0) {
		snprintf(err, err_len, "%s: exists and is never replaced: choose another name",
			 path);
		return -EEXIST;
	}
	key = svr_pki_key_make(spec);
	if (!key) {
		snprintf(err, err_len, "private key cannot be made: %s", svr_pki_libcrypto_error());
		return -EIO;
	}
	ret = svr_pki_key_write(dir, name, key, err, err_len);
	EVP_PKEY_free(key);
	return ret;
}

/* ---- loading --------------------------------------------------------------------------------- */

/* Keys with a passphrase are refused: there is nobody to ask. */
int svr_pki_no_passphrase(char *buf, int size, int rwflag, void *user)
{
	(void)buf, (void)size, (void)rwflag, (void)user;
	return -1;
}

int svr_pki_key_load(const char *path, EVP_PKEY **out, char *err, size_t err_len)
{
	char *text = NULL;
	size_t len = 0;
	BIO *bio = NULL;
	int ret;

	*out = NULL;
	ret = svr_pki_file_read(path, KEY_FILE_MAX, true, &text, &len, err, err_len);
	if (ret)
		return ret;
	bio = BIO_new_mem_buf(text, (int)len);
	*out = bio ? PEM_read_bio_PrivateKey(bio, NULL, svr_pki_no_passphrase, NULL) : NULL;
	if (!*out) {
		ret = -EINVAL;
		snprintf(err, err_len, "%s: no usable private key in PEM without a passphrase: %s",
			 path, svr_pki_libcrypto_error());
	} else if (svr_pki_key_kind(*out) == PKI_KEY_NONE) {
		ret = -EINVAL;
		snprintf(err, err_len, "%s: %s", path, svr_pki_verdict_sentence(SVR_PKI_KEY));
		EVP_PKEY_free(*out);
		*out = NULL;
	}
	BIO_free(bio);
	OPENSSL_cleanse(text, len);
	free(text);
	ERR_clear_error();
	return ret;
}
