// SPDX-License-Identifier: BSD-2-Clause
/* Requests for certificates. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "lib/name.h"
#include "lib/pki_csr.h"
#include "lib/pki_file.h"
#include "lib/pki_internal.h"

enum {
	CSR_EMAIL_MAX = 255, /* bytes, ub-emailaddress-length */
	CSR_LOCAL_MAX = 64, /* bytes in front of the @, RFC 5321 4.5.3.1.1 */
	CSR_DNS_MAX = 253, /* characters of a domain name */
	CSR_LABEL_MAX = 63,
};

/* ---- what may stand in it -------------------------------------------------------------------- */

/* Characters of a UTF-8 string without control characters; -1 if it is none. */
static int utf8_length(const char *s)
{
	const unsigned char *p = (const unsigned char *)s;
	int left = (int)strnlen(s, 4096), count = 0, used;
	unsigned long c;

	for (; left > 0; left -= used, p += used, count++) {
		used = UTF8_getc(p, left, &c);
		if (used <= 0 || c < ' ' || (c >= 0x7f && c < 0xa0))
			return -1;
	}
	return count;
}

static int check_text(const char *member, const char *value, int max, char *err, size_t err_len)
{
	int len = value ? utf8_length(value) : 1;

	if (len >= 1 && len <= max)
		return 0;
	snprintf(err, err_len,
		 "%s: must have 1 to %d characters of UTF-8, none of them a control "
		 "character",
		 member, max);
	return -EINVAL;
}

static int check_country(const char *value, char *err, size_t err_len)
{
	if (!value || (strlen(value) == 2 && value[0] >= 'A' && value[0] <= 'Z' &&
		       value[1] >= 'A' && value[1] <= 'Z'))
		return 0;
	snprintf(err, err_len, "country_name \"%.8s\": must be two letters A-Z, as \"US\"", value);
	return -EINVAL;
}

static bool alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* Labels of letters, digits and inner hyphens (RFC 1123 2.1). */
static bool dns_ok(const char *s)
{
	size_t len = strlen(s), label = 0, i;

	if (len == 0 || len > CSR_DNS_MAX)
		return false;
	for (i = 0; i < len; i++) {
		if (s[i] == '.') {
			if (label == 0 || s[i - 1] == '-')
				return false;
			label = 0;
			continue;
		}
		if ((!alnum(s[i]) && s[i] != '-') || (label == 0 && s[i] == '-') ||
		    ++label > CSR_LABEL_MAX)
			return false;
	}
	return label > 0 && s[len - 1] != '-';
}

static bool email_ok(const char *s)
{
	const char *at = strrchr(s, '@'), *c;

	if (!at || at == s || at - s > CSR_LOCAL_MAX || strlen(s) > CSR_EMAIL_MAX)
		return false;
	for (c = s; c < at; c++)
		if (!alnum(*c) && !strchr("!#$%&'*+-/=?^_`{|}~.", *c))
			return false;
	return dns_ok(at + 1);
}

static bool ip_ok(const char *s)
{
	unsigned char addr[16];

	return inet_pton(AF_INET, s, addr) == 1 || inet_pton(AF_INET6, s, addr) == 1;
}

static int check_list(const char *member, const char *const *list, unsigned int count,
		      bool (*ok)(const char *), const char *what, char *err, size_t err_len)
{
	unsigned int i;

	if (count > SVR_PKI_CSR_SANS_MAX) {
		snprintf(err, err_len, "%s: %u of them, allowed are %d", member, count,
			 SVR_PKI_CSR_SANS_MAX);
		return -EINVAL;
	}
	for (i = 0; i < count; i++)
		if (!ok(list[i])) {
			snprintf(err, err_len, "%s \"%.80s\": must be %s", member, list[i], what);
			return -EINVAL;
		}
	return 0;
}

static const EVP_MD *digest_of(const char *word)
{
	if (!word || strcmp(word, "sha384") == 0)
		return EVP_sha384();
	if (strcmp(word, "sha256") == 0)
		return EVP_sha256();
	return strcmp(word, "sha512") == 0 ? EVP_sha512() : NULL;
}

static int check_rest(const struct svr_pki_csr_spec *s, char *err, size_t err_len)
{
	const unsigned int known = SVR_PKI_EKU_CLIENT | SVR_PKI_EKU_SERVER | SVR_PKI_EKU_IKE;

	if (s->email_address && !email_ok(s->email_address))
		snprintf(err, err_len, "email_address \"%.80s\": must be like name@domain, ASCII",
			 s->email_address);
	else if (!digest_of(s->digest))
		snprintf(err, err_len, "digest \"%.31s\": allowed are sha256, sha384, sha512",
			 s->digest);
	else if (s->validity_days > SVR_PKI_CSR_DAYS_MAX)
		snprintf(err, err_len, "validity_period %u: allowed are 1 to %d days",
			 s->validity_days, SVR_PKI_CSR_DAYS_MAX);
	else if (s->extended_key_usage & ~known)
		snprintf(err, err_len, "extended key usage: allowed are client, server, ike");
	else
		return 0;
	return -EINVAL;
}

int svr_pki_csr_check(const struct svr_pki_csr_spec *s, char *err, size_t err_len)
{
	const struct {
		const char *member, *value;
		int max;
	} texts[] = {
		{ "state_province_name", s->state_province_name, 128 },
		{ "locality_name", s->locality_name, 128 },
		{ "organization_name", s->organization_name, 64 },
		{ "organizational_unit_name", s->organizational_unit_name, 64 },
	};
	size_t i;
	int ret;

	if (!s->common_name || !svr_name_ok(s->common_name, strlen(s->common_name))) {
		snprintf(err, err_len,
			 "common_name \"%.63s\": must be the router's peering-common-name, 1 to 63 "
			 "characters of A-Z a-z 0-9 _ . -",
			 s->common_name ? s->common_name : "");
		return -EINVAL;
	}
	ret = check_country(s->country_name, err, err_len);
	for (i = 0; i < sizeof(texts) / sizeof(texts[0]) && !ret; i++)
		ret = check_text(texts[i].member, texts[i].value, texts[i].max, err, err_len);
	if (!ret)
		ret = check_list("domain name", s->dns, s->n_dns, dns_ok,
				 "labels of letters, digits and hyphens, with dots between them",
				 err, err_len);
	if (!ret)
		ret = check_list("IP address", s->ip, s->n_ip, ip_ok, "an IPv4 or IPv6 address",
				 err, err_len);
	return ret ? ret : check_rest(s, err, err_len);
}

/* ---- making it ------------------------------------------------------------------------------- */

static bool set_subject(X509_REQ *req, const struct svr_pki_csr_spec *s)
{
	const struct {
		int nid;
		const char *value;
	} rows[] = {
		{ NID_countryName, s->country_name },
		{ NID_stateOrProvinceName, s->state_province_name },
		{ NID_localityName, s->locality_name },
		{ NID_organizationName, s->organization_name },
		{ NID_organizationalUnitName, s->organizational_unit_name },
		{ NID_commonName, s->common_name },
		{ NID_pkcs9_emailAddress, s->email_address },
	};
	X509_NAME *name = X509_REQ_get_subject_name(req);
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].value && X509_NAME_add_entry_by_NID(
					     name, rows[i].nid, MBSTRING_UTF8,
					     (const unsigned char *)rows[i].value, -1, -1, 0) != 1)
			return false;
	return true;
}

/* No text form on the way: "DNS:" in a value must not become a name. */
static bool add_name(GENERAL_NAMES *names, int type, const char *value)
{
	GENERAL_NAME *n = a2i_GENERAL_NAME(NULL, NULL, NULL, type, value, 0);

	if (n && sk_GENERAL_NAME_push(names, n) > 0)
		return true;
	GENERAL_NAME_free(n);
	return false;
}

static bool add_names(STACK_OF(X509_EXTENSION) * *exts, const struct svr_pki_csr_spec *s)
{
	GENERAL_NAMES *names = sk_GENERAL_NAME_new_null();
	char uri[sizeof(PKI_SAN_PREFIX) + 64];
	unsigned int i;
	bool ok;

	snprintf(uri, sizeof(uri), PKI_SAN_PREFIX "%s", s->common_name);
	ok = names && add_name(names, GEN_URI, uri);
	for (i = 0; i < s->n_dns && ok; i++)
		ok = add_name(names, GEN_DNS, s->dns[i]);
	for (i = 0; i < s->n_ip && ok; i++)
		ok = add_name(names, GEN_IPADD, s->ip[i]);
	if (ok && s->email_address)
		ok = add_name(names, GEN_EMAIL, s->email_address);
	ok = ok && X509V3_add1_i2d(exts, NID_subject_alt_name, names, 0, 0) == 1;
	sk_GENERAL_NAME_pop_free(names, GENERAL_NAME_free);
	return ok;
}

static bool add_extension(STACK_OF(X509_EXTENSION) * *exts, int nid, const char *value)
{
	X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
	bool ok = ext && X509v3_add_ext(exts, ext, -1);

	X509_EXTENSION_free(ext);
	return ok;
}

static bool set_extensions(X509_REQ *req, const struct svr_pki_csr_spec *s)
{
	unsigned int eku = s->extended_key_usage;
	STACK_OF(X509_EXTENSION) *exts = NULL;
	char usage[64];
	bool ok;

	if (!eku)
		eku = SVR_PKI_EKU_CLIENT | SVR_PKI_EKU_SERVER;
	snprintf(usage, sizeof(usage), "%s%s%s", eku & SVR_PKI_EKU_CLIENT ? ",clientAuth" : "",
		 eku & SVR_PKI_EKU_SERVER ? ",serverAuth" : "",
		 eku & SVR_PKI_EKU_IKE ? ",1.3.6.1.5.5.7.3.17" : "");
	ok = add_extension(&exts, NID_basic_constraints, "critical,CA:FALSE") &&
	     add_extension(&exts, NID_key_usage, "critical,digitalSignature") &&
	     add_extension(&exts, NID_ext_key_usage, usage + 1) && add_names(&exts, s) &&
	     X509_REQ_add_extensions(req, exts) == 1;
	sk_X509_EXTENSION_pop_free(exts, X509_EXTENSION_free);
	return ok;
}

static int make_request(EVP_PKEY *key, const struct svr_pki_csr_spec *s, BIO *out)
{
	/* Ed25519 signs without a digest of ours */
	const EVP_MD *digest = svr_pki_key_kind(key) == PKI_KEY_ED25519 ? NULL :
									  digest_of(s->digest);
	X509_REQ *req = X509_REQ_new();
	bool ok;

	ok = req && X509_REQ_set_version(req, X509_REQ_VERSION_1) == 1 && set_subject(req, s) &&
	     set_extensions(req, s) && X509_REQ_set_pubkey(req, key) == 1 &&
	     X509_REQ_sign(req, key, digest) > 0 && PEM_write_bio_X509_REQ(out, req) == 1;
	X509_REQ_free(req);
	return ok ? 0 : -EIO;
}

int svr_pki_csr_create(const char *dir, const char *name, const struct svr_pki_csr_spec *spec,
		       char **pem, char *err, size_t err_len)
{
	char path[PKI_PATH_LEN], file[PKI_NAME_MAX + 16], *text = NULL;
	EVP_PKEY *key = NULL;
	BIO *bio = NULL;
	int ret;
	long len;

	if (pem)
		*pem = NULL;
	ret = svr_pki_name_check(name, err, err_len);
	if (!ret)
		ret = svr_pki_csr_check(spec, err, err_len);
	if (!ret)
		ret = svr_pki_path(dir, name, "key", path, err, err_len);
	if (!ret)
		ret = svr_pki_key_load(path, &key, err, err_len);
	if (ret)
		return ret;
	bio = BIO_new(BIO_s_mem());
	ret = bio ? make_request(key, spec, bio) : -ENOMEM;
	if (ret) {
		snprintf(err, err_len, "request cannot be made: %s", svr_pki_libcrypto_error());
		goto out;
	}
	len = BIO_get_mem_data(bio, &text);
	snprintf(file, sizeof(file), "%s.csr", name);
	ret = svr_pki_file_write(dir, file, 0644, true, text, (size_t)len, err, err_len);
	if (ret || !pem)
		goto out;
	*pem = strndup(text, (size_t)len);
	if (!*pem) {
		ret = -ENOMEM;
		snprintf(err, err_len, "out of memory");
	}
out:
	BIO_free(bio);
	EVP_PKEY_free(key);
	ERR_clear_error();
	return ret;
}
