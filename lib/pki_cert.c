// SPDX-License-Identifier: BSD-2-Clause
/* What stands in a certificate, in words that harm no terminal. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "lib/pki_internal.h"

enum {
	CERT_DAY_SEC = 86400,
	CERT_MONTH_SEC = 30 * CERT_DAY_SEC,
	CERT_WEEK_SEC = 7 * CERT_DAY_SEC,
};

/* ---- words ----------------------------------------------------------------------------------- */

int svr_pki_refuse(struct svr_pki_report *r, enum svr_pki_verdict v, const char *fmt, ...)
{
	va_list ap;
	char *c;

	r->verdict = v;
	va_start(ap, fmt);
	vsnprintf(r->text, sizeof(r->text), fmt, ap);
	va_end(ap);
	for (c = r->text; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
	return -EKEYREJECTED;
}

void svr_pki_accept(struct svr_pki_report *r)
{
	r->verdict = SVR_PKI_OK;
	r->text[0] = '\0';
}

const char *svr_pki_libcrypto_error(void)
{
	unsigned long code = ERR_peek_last_error();
	const char *text = code ? ERR_reason_error_string(code) : NULL;

	ERR_clear_error();
	return text ? text : "libcrypto gives no reason";
}

void svr_pki_printable(char *out, size_t room, const void *in, size_t len)
{
	const unsigned char *c = in;
	size_t i;

	for (i = 0; i < len && i + 1 < room; i++)
		out[i] = c[i] > ' ' && c[i] < 0x7f ? (char)c[i] : '?';
	out[i] = '\0';
	if (i < len && room > 4)
		memcpy(out + room - 4, "...", 4);
}

/* Like svr_pki_printable(), for text in which libcrypto has put blanks of its own. */
static void take_bio(BIO *bio, char *out, size_t room)
{
	char *text = NULL;
	long len = bio ? BIO_get_mem_data(bio, &text) : 0;
	long i;

	for (i = 0; i < len && (size_t)i + 1 < room; i++)
		out[i] = text[i] >= ' ' && text[i] <= '~' ? text[i] : '?';
	out[i] = '\0';
	if (i < len && room > 4)
		memcpy(out + room - 4, "...", 4);
	BIO_free(bio);
}

void svr_pki_dn_text(const X509_NAME *name, char *out, size_t out_len)
{
	BIO *bio = BIO_new(BIO_s_mem());

	if (bio)
		X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253);
	take_bio(bio, out, out_len);
}

void svr_pki_fingerprint_text(const uint8_t fingerprint[static SVR_PKI_FINGERPRINT_LEN],
			      char out[static 3 * SVR_PKI_FINGERPRINT_LEN])
{
	int i;

	for (i = 0; i < SVR_PKI_FINGERPRINT_LEN; i++)
		snprintf(out + 3 * i, 4, i + 1 < SVR_PKI_FINGERPRINT_LEN ? "%02X:" : "%02X",
			 fingerprint[i]);
}

void svr_pki_date_text(int64_t sec, char *out, size_t out_len)
{
	/* not strftime(): the language of the user must not get into alarms */
	static const char *const months[] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
					      "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
	time_t t = (time_t)sec;
	struct tm tm;

	if (!gmtime_r(&t, &tm)) {
		snprintf(out, out_len, "%jd s after 1970", (intmax_t)sec);
		return;
	}
	snprintf(out, out_len, "%s %2d %02d:%02d:%02d %d GMT", months[tm.tm_mon], tm.tm_mday,
		 tm.tm_hour, tm.tm_min, tm.tm_sec, tm.tm_year + 1900);
}

/* ---- dates ----------------------------------------------------------------------------------- */

int svr_pki_time(const ASN1_TIME *t, int64_t *sec)
{
	struct tm tm;

	if (!t || ASN1_TIME_to_tm(t, &tm) != 1)
		return -EINVAL;
	*sec = (int64_t)timegm(&tm);
	return 0;
}

/* The first second at which it is in that state. */
static int64_t expiry_begin(int64_t not_after, enum svr_pki_expiry e)
{
	int64_t before = e == SVR_PKI_EXPIRY_EXPIRED ? -1 :
			 e == SVR_PKI_EXPIRY_WEEK    ? CERT_WEEK_SEC :
						       CERT_MONTH_SEC;
	int64_t begin;

	if (__builtin_sub_overflow(not_after, before, &begin))
		return before < 0 ? INT64_MAX : INT64_MIN;
	return begin;
}

enum svr_pki_expiry svr_pki_expiry(int64_t not_after, int64_t now_sec)
{
	enum svr_pki_expiry e;

	if (not_after == INT64_MAX)
		return SVR_PKI_EXPIRY_NONE;
	for (e = SVR_PKI_EXPIRY_EXPIRED; e > SVR_PKI_EXPIRY_NONE; e--)
		if (now_sec >= expiry_begin(not_after, e))
			return e;
	return SVR_PKI_EXPIRY_NONE;
}

int64_t svr_pki_expiry_wait(int64_t not_after, int64_t now_sec)
{
	enum svr_pki_expiry e = svr_pki_expiry(not_after, now_sec);
	int64_t wait;

	if (e == SVR_PKI_EXPIRY_EXPIRED || not_after == INT64_MAX ||
	    __builtin_sub_overflow(expiry_begin(not_after, e + 1), now_sec, &wait))
		return INT64_MAX;
	return wait;
}

/* ---- parts of a certificate ------------------------------------------------------------------ */

int svr_pki_fingerprint(X509 *cert, uint8_t out[static SVR_PKI_FINGERPRINT_LEN])
{
	unsigned int len = 0;

	if (X509_digest(cert, EVP_sha256(), out, &len) != 1 || len != SVR_PKI_FINGERPRINT_LEN)
		return -EIO;
	return 0;
}

bool svr_pki_is_self_signed(X509 *cert)
{
	bool same = X509_NAME_cmp(X509_get_subject_name(cert), X509_get_issuer_name(cert)) == 0 &&
		    X509_verify(cert, X509_get0_pubkey(cert)) == 1;

	ERR_clear_error();
	return same;
}

bool svr_pki_digest_ok(X509 *cert)
{
	int bits = 0;

	return X509_get_signature_info(cert, NULL, NULL, &bits, NULL) == 1 &&
	       bits >= PKI_SECURITY_BITS;
}

size_t svr_pki_serial(X509 *cert, uint8_t out[static PKI_SERIAL_DER_MAX])
{
	const ASN1_INTEGER *serial = X509_get0_serialNumber(cert);
	uint8_t der[PKI_SERIAL_DER_MAX + 2], *p = der;
	int len = i2d_ASN1_INTEGER(serial, NULL);

	/* tag and length are one byte each while the content is this short */
	if (len <= 2 || len > (int)sizeof(der) || i2d_ASN1_INTEGER(serial, &p) != len)
		return 0;
	memcpy(out, der + 2, (size_t)len - 2);
	return (size_t)len - 2;
}

static void fill_serial(X509 *cert, struct svr_pki_cert_info *info)
{
	uint8_t der[PKI_SERIAL_DER_MAX];
	size_t len = svr_pki_serial(cert, der), i, from;

	from = len > 1 && der[0] == 0;
	for (i = from; i < len; i++)
		snprintf(info->serial + 2 * (i - from), 3, "%02X", der[i]);
}

static void fill_common_name(X509 *cert, struct svr_pki_cert_info *info)
{
	X509_NAME *name = X509_get_subject_name(cert);
	int at = X509_NAME_get_index_by_NID(name, NID_commonName, -1), len;
	unsigned char *utf8 = NULL;

	if (at < 0 || X509_NAME_get_index_by_NID(name, NID_commonName, at) >= 0)
		return;
	len = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
	if (len < 0)
		return;
	svr_pki_printable(info->common_name, sizeof(info->common_name), utf8, (size_t)len);
	OPENSSL_free(utf8);
}

/* "TLS Web Client Authentication, ..." */
static void fill_purpose(X509 *cert, struct svr_pki_cert_info *info)
{
	EXTENDED_KEY_USAGE *usages = X509_get_ext_d2i(cert, NID_ext_key_usage, NULL, NULL);
	BIO *bio = usages ? BIO_new(BIO_s_mem()) : NULL;
	char one[80];
	int i;

	for (i = 0; bio && i < sk_ASN1_OBJECT_num(usages); i++) {
		OBJ_obj2txt(one, sizeof(one), sk_ASN1_OBJECT_value(usages, i), 0);
		BIO_printf(bio, i ? ", %s" : "%s", one);
	}
	if (bio)
		take_bio(bio, info->purpose, sizeof(info->purpose));
	else
		snprintf(info->purpose, sizeof(info->purpose), "any");
	EXTENDED_KEY_USAGE_free(usages);
}

static void fill_names(X509 *cert, struct svr_pki_cert_info *info)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	BIO *bio = names ? BIO_new(BIO_s_mem()) : NULL;
	int i;

	for (i = 0; bio && i < sk_GENERAL_NAME_num(names); i++) {
		if (i)
			BIO_puts(bio, ", ");
		GENERAL_NAME_print(bio, sk_GENERAL_NAME_value(names, i));
	}
	if (bio)
		take_bio(bio, info->names, sizeof(info->names));
	GENERAL_NAMES_free(names);
}

/* What a URL may hold that we hand to an HTTP client. */
static bool url_ok(const unsigned char *url, int len)
{
	int i;

	if (len >= SVR_PKI_URL_LEN ||
	    (!(len > 7 && strncasecmp((const char *)url, "http://", 7) == 0) &&
	     !(len > 8 && strncasecmp((const char *)url, "https://", 8) == 0)))
		return false;
	for (i = 0; i < len; i++)
		if (url[i] <= ' ' || url[i] >= 0x7f)
			return false;
	return true;
}

static void add_url(struct svr_pki_cert_info *info, const ASN1_IA5STRING *uri)
{
	const unsigned char *url = ASN1_STRING_get0_data(uri);
	int len = ASN1_STRING_length(uri);
	unsigned int i;

	if (info->n_crl_urls == SVR_PKI_CRL_URLS_MAX || !url_ok(url, len))
		return;
	for (i = 0; i < info->n_crl_urls; i++)
		if (strlen(info->crl_urls[i]) == (size_t)len &&
		    memcmp(info->crl_urls[i], url, (size_t)len) == 0)
			return;
	memcpy(info->crl_urls[info->n_crl_urls], url, (size_t)len);
	info->n_crl_urls++;
}

/* RFC 5280 4.2.1.13; lists by another issuer or for some reasons only would be refused anyway. */
static void fill_crl_urls(X509 *cert, struct svr_pki_cert_info *info)
{
	CRL_DIST_POINTS *points = X509_get_ext_d2i(cert, NID_crl_distribution_points, NULL, NULL);
	int i, k;

	for (i = 0; i < sk_DIST_POINT_num(points); i++) {
		const DIST_POINT *p = sk_DIST_POINT_value(points, i);

		if (p->CRLissuer || p->reasons || !p->distpoint || p->distpoint->type != 0)
			continue;
		for (k = 0; k < sk_GENERAL_NAME_num(p->distpoint->name.fullname); k++) {
			const GENERAL_NAME *n =
				sk_GENERAL_NAME_value(p->distpoint->name.fullname, k);

			if (n->type == GEN_URI)
				add_url(info, n->d.uniformResourceIdentifier);
		}
	}
	CRL_DIST_POINTS_free(points);
}

/*
 * libcrypto also takes BER, in which one certificate has many encodings, and as many fingerprints.
 */
static bool is_der(X509 *cert, const uint8_t *der, size_t len)
{
	unsigned char *again = NULL;
	int again_len = i2d_X509(cert, &again);
	bool same = again_len > 0 && (size_t)again_len == len && memcmp(again, der, len) == 0;

	OPENSSL_free(again);
	return same;
}

enum svr_pki_verdict svr_pki_cert_read(const uint8_t *der, size_t len, X509 **out)
{
	const unsigned char *p = der;
	X509 *cert = len && len <= INT32_MAX ? d2i_X509(NULL, &p, (long)len) : NULL;
	enum svr_pki_verdict v = !cert			 ? SVR_PKI_UNPARSABLE :
				 p != der + len		 ? SVR_PKI_TRAILING_DATA :
				 !is_der(cert, der, len) ? SVR_PKI_UNPARSABLE :
							   SVR_PKI_OK;

	ERR_clear_error();
	if (v != SVR_PKI_OK) {
		X509_free(cert);
		cert = NULL;
	}
	*out = cert;
	return v;
}

void svr_pki_info_fill(X509 *cert, struct svr_pki_cert_info *info)
{
	memset(info, 0, sizeof(*info));
	fill_common_name(cert, info);
	svr_pki_dn_text(X509_get_subject_name(cert), info->subject, sizeof(info->subject));
	svr_pki_dn_text(X509_get_issuer_name(cert), info->issuer, sizeof(info->issuer));
	fill_serial(cert, info);
	if (svr_pki_fingerprint(cert, info->fingerprint))
		memset(info->fingerprint, 0, sizeof(info->fingerprint));
	if (svr_pki_time(X509_get0_notBefore(cert), &info->not_before))
		info->not_before = INT64_MAX;
	if (svr_pki_time(X509_get0_notAfter(cert), &info->not_after))
		info->not_after = INT64_MIN;
	svr_pki_key_text(X509_get0_pubkey(cert), info->key, sizeof(info->key));
	snprintf(info->signature, sizeof(info->signature), "%s",
		 OBJ_nid2ln(X509_get_signature_nid(cert)));
	fill_purpose(cert, info);
	fill_names(cert, info);
	info->self_signed = svr_pki_is_self_signed(cert);
	info->ca = X509_get_extension_flags(cert) & EXFLAG_CA;
	fill_crl_urls(cert, info);
	ERR_clear_error();
}

int svr_pki_cert_info(const uint8_t *der, size_t len, struct svr_pki_cert_info *info)
{
	X509 *cert;

	if (svr_pki_cert_read(der, len, &cert) != SVR_PKI_OK)
		return -EBADMSG;
	svr_pki_info_fill(cert, info);
	X509_free(cert);
	return 0;
}
