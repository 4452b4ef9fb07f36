// SPDX-License-Identifier: BSD-2-Clause
/* Taking a certificate that an authority has issued for this router. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/pem.h>

#include "lib/pki_file.h"
#include "lib/pki_import.h"
#include "lib/pki_internal.h"

static int check_twice(STACK_OF(X509) * certs, struct svr_pki_report *r)
{
	int i, k;

	for (i = 0; i < sk_X509_num(certs); i++)
		for (k = 0; k < i; k++)
			if (X509_cmp(sk_X509_value(certs, i), sk_X509_value(certs, k)) == 0)
				return svr_pki_refuse(r, SVR_PKI_DUPLICATE,
						      "certificates %d and %d are the same", k + 1,
						      i + 1);
	return 0;
}

/* Peers have the root, and trust no other; it would only make the messages longer. */
static void drop_roots(STACK_OF(X509) * certs)
{
	int i;

	for (i = sk_X509_num(certs) - 1; i > 0; i--)
		if (svr_pki_is_self_signed(sk_X509_value(certs, i)))
			X509_free(sk_X509_delete(certs, i));
}

static int check_size(STACK_OF(X509) * certs, struct svr_pki_report *r)
{
	long total = 0;
	int i;

	for (i = 0; i < sk_X509_num(certs); i++)
		total += i2d_X509(sk_X509_value(certs, i), NULL);
	if (total <= SVR_PKI_CHAIN_BYTES_MAX)
		return 0;
	return svr_pki_refuse(r, SVR_PKI_TOO_LARGE,
			      "certificates have %ld bytes in DER, allowed are %d", total,
			      SVR_PKI_CHAIN_BYTES_MAX);
}

static int check_key(const char *dir, const char *name, X509 *cert, struct svr_pki_report *r)
{
	char path[PKI_PATH_LEN], err[SVR_PKI_REPORT_LEN];
	EVP_PKEY *key = NULL;
	int ret;

	ret = svr_pki_path(dir, name, "key", path, err, sizeof(err));
	if (!ret)
		ret = svr_pki_key_load(path, &key, err, sizeof(err));
	if (ret) {
		svr_pki_refuse(r, SVR_PKI_NO_PRIVATE_KEY, "%s", err);
		return ret;
	}
	if (X509_check_private_key(cert, key) != 1)
		ret = svr_pki_refuse(r, SVR_PKI_KEY_MISMATCH,
				     "certificate: does not belong to the private key %s", path);
	EVP_PKEY_free(key);
	ERR_clear_error();
	return ret;
}

/* Fail-soft is for what is in use already, and a self-signed certificate vouches for itself. */
static int check_as_peer(const struct svr_pki_trust *trust, STACK_OF(X509) * certs,
			 const char *common_name, int64_t now_sec, struct svr_pki_report *r)
{
	enum svr_pki_revocation_state ignored;
	struct svr_pki_trust *strict;
	int ret;

	ret = svr_pki_trust_for_own(trust, sk_X509_value(certs, 0), &strict);
	if (ret) {
		svr_pki_refuse(r, SVR_PKI_INTERNAL, "out of memory");
		return ret;
	}
	ret = svr_pki_verify_certs(strict, certs, common_name, NULL, now_sec, &ignored, r);
	svr_pki_trust_free(strict);
	return ret;
}

static int write_chain(const char *dir, const char *name, STACK_OF(X509) * certs,
		       struct svr_pki_report *r)
{
	char path[PKI_PATH_LEN], file[PKI_NAME_MAX + 16], err[SVR_PKI_REPORT_LEN] = "";
	char *text = NULL, *before = NULL;
	BIO *bio = BIO_new(BIO_s_mem());
	size_t before_len = 0;
	int i, ret = -ENOMEM;
	long len;

	for (i = 0; bio && i < sk_X509_num(certs); i++)
		if (PEM_write_bio_X509(bio, sk_X509_value(certs, i)) != 1)
			goto out;
	if (!bio)
		goto out;
	len = BIO_get_mem_data(bio, &text);
	ret = svr_pki_path(dir, name, "pem", path, err, sizeof(err));
	if (ret)
		goto out;
	if (svr_pki_file_read(path, SVR_PKI_IMPORT_BYTES_MAX, false, &before, &before_len, err,
			      sizeof(err)) == 0 &&
	    before_len == (size_t)len && memcmp(before, text, before_len) == 0) {
		svr_pki_refuse(r, SVR_PKI_DUPLICATE, "certificate: is in use already: %s", path);
		ret = -EEXIST;
		goto out;
	}
	snprintf(file, sizeof(file), "%s.pem", name);
	ret = svr_pki_file_write(dir, file, 0644, true, text, (size_t)len, err, sizeof(err));
	if (ret)
		svr_pki_refuse(r, SVR_PKI_INTERNAL, "%s", err);
out:
	if (ret == -ENOMEM)
		svr_pki_refuse(r, SVR_PKI_INTERNAL, "out of memory");
	free(before);
	BIO_free(bio);
	ERR_clear_error();
	return ret;
}

int svr_pki_import(const char *dir, const char *name, const char *common_name, const char *text,
		   size_t len, const struct svr_pki_trust *trust, int64_t now_sec,
		   struct svr_pki_cert_info *info, struct svr_pki_report *report)
{
	STACK_OF(X509) *certs = sk_X509_new_null();
	char err[SVR_PKI_REPORT_LEN];
	int ret;

	if (info)
		memset(info, 0, sizeof(*info));
	svr_pki_refuse(report, SVR_PKI_INTERNAL, "out of memory");
	if (!certs)
		return -ENOMEM;
	ret = svr_pki_name_check(name, err, sizeof(err));
	if (ret) {
		svr_pki_refuse(report, SVR_PKI_INTERNAL, "%s", err);
		goto out;
	}
	if (len > SVR_PKI_IMPORT_BYTES_MAX) {
		ret = svr_pki_refuse(report, SVR_PKI_TOO_LARGE, "%zu bytes, allowed are %d", len,
				     SVR_PKI_IMPORT_BYTES_MAX);
		goto out;
	}
	ret = svr_pki_pem_certs(text, len, SVR_PKI_CHAIN_MAX, certs, report);
	if (ret)
		goto out;
	if (info)
		svr_pki_info_fill(sk_X509_value(certs, 0), info);
	ret = check_twice(certs, report);
	if (ret)
		goto out;
	drop_roots(certs);
	ret = check_size(certs, report);
	if (!ret)
		ret = check_as_peer(trust, certs, common_name, now_sec, report);
	if (!ret)
		ret = check_key(dir, name, sk_X509_value(certs, 0), report);
	if (!ret)
		ret = write_chain(dir, name, certs, report);
	if (!ret)
		svr_pki_accept(report);
out:
	sk_X509_pop_free(certs, X509_free);
	ERR_clear_error();
	return ret;
}
