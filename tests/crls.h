/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Long revocation lists for tests and measurements, made faster than libcrypto would: every entry
 * has the same length, a serial number of 16 bytes and a reason. Header only.
 */
#ifndef SVR_TESTS_CRLS_H
#define SVR_TESTS_CRLS_H

#include "lib/pki_crl.h"
#include "tests/certs.h"

struct test_crl_spec {
	const struct test_cert *issuer; /* with a P-256 key */
	size_t entries; /* serial numbers test_crl_serial(0) and up */
	uint8_t number; /* 1..127 */
	int64_t this_update, next_update;
};

enum { TEST_CRL_SERIAL_LEN = 16, TEST_CRL_ENTRY_LEN = 49 };

/* Looks random, is never twice the same, and never negative. */
static inline void test_crl_serial(size_t n, uint8_t out[static TEST_CRL_SERIAL_LEN])
{
	uint64_t high = (n + 1) * UINT64_C(0x9e3779b97f4a7c15), low = n;
	int i;

	for (i = 0; i < 8; i++) {
		out[i] = (uint8_t)(high >> (8 * i));
		out[8 + i] = (uint8_t)(low >> (8 * i));
	}
	out[0] = (out[0] & 0x3f) | 0x40;
}

/* Grows to the front, which is how DER is written without knowing lengths. */
struct test_der {
	uint8_t *buf;
	size_t at, room;
};

static inline void test_der_put(struct test_der *d, const void *data, size_t len)
{
	if (d->at < len)
		abort();
	d->at -= len;
	memcpy(d->buf + d->at, data, len);
}

/* Tag and length in front of what was written since @end. */
static inline void test_der_wrap(struct test_der *d, uint8_t tag, size_t end)
{
	size_t len = end - d->at;
	uint8_t head[6] = {
		tag,	     0x84, (uint8_t)(len >> 24), (uint8_t)(len >> 16), (uint8_t)(len >> 8),
		(uint8_t)len
	};
	uint8_t short_head[2] = { tag, (uint8_t)len };
	int skip = len > 0xffffff ? 0 : len > 0xffff ? 1 : len > 0xff ? 2 : 3;

	if (len < 128) {
		test_der_put(d, short_head, 2);
		return;
	}
	head[skip] = tag;
	head[skip + 1] = (uint8_t)(0x84 - skip);
	test_der_put(d, head + skip, 6 - (size_t)skip);
}

static inline void test_der_time(struct test_der *d, int64_t sec)
{
	time_t t = (time_t)sec;
	char text[16];
	struct tm tm;
	size_t end = d->at;

	gmtime_r(&t, &tm);
	test_der_put(d, text, strftime(text, sizeof(text), "%y%m%d%H%M%SZ", &tm));
	test_der_wrap(d, 0x17, end);
}

static inline void test_crl_entries(struct test_der *d, size_t count)
{
	static const uint8_t tail[] = /* date, and an extension: reason keyCompromise */
		"\x17\x0d"
		"250101000000Z"
		"\x30\x0c\x30\x0a\x06\x03\x55\x1d\x15\x04\x03\x0a\x01\x01";
	uint8_t entry[2 + 2 + TEST_CRL_SERIAL_LEN + sizeof(tail) - 1];
	size_t end = d->at, i;

	_Static_assert(sizeof(entry) == TEST_CRL_ENTRY_LEN, "length of an entry");
	entry[0] = 0x30;
	entry[1] = sizeof(entry) - 2;
	entry[2] = 0x02;
	entry[3] = TEST_CRL_SERIAL_LEN;
	memcpy(entry + 4 + TEST_CRL_SERIAL_LEN, tail, sizeof(tail) - 1);
	for (i = count; i > 0; i--) {
		test_crl_serial(i - 1, entry + 4);
		test_der_put(d, entry, sizeof(entry));
	}
	if (count)
		test_der_wrap(d, 0x30, end);
}

/* In DER, for free(). */
static inline uint8_t *test_crl_make(const struct test_crl_spec *spec, size_t *len)
{
	static const uint8_t algorithm[] = { 0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86,
					     0x48, 0xce, 0x3d, 0x04, 0x03, 0x02 };
	uint8_t extensions[] = { 0xa0, 0x0e, 0x30, 0x0c, 0x30, 0x0a, 0x06, 0x03,
				 0x55, 0x1d, 0x14, 0x04, 0x03, 0x02, 0x01, spec->number };
	static const uint8_t version[] = { 0x02, 0x01, 0x01 };
	size_t room = spec->entries * TEST_CRL_ENTRY_LEN + 1024, end, sig_len = 128;
	struct test_der tbs = { malloc(room), room, room }, list = { malloc(room), room, room };
	unsigned char *name = NULL, sig[128];
	int name_len = i2d_X509_NAME(X509_get_subject_name(spec->issuer->cert), &name);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint8_t *out;

	test_der_put(&tbs, extensions, sizeof(extensions));
	test_crl_entries(&tbs, spec->entries);
	test_der_time(&tbs, spec->next_update);
	test_der_time(&tbs, spec->this_update);
	test_der_put(&tbs, name, (size_t)name_len);
	test_der_put(&tbs, algorithm, sizeof(algorithm));
	test_der_put(&tbs, version, sizeof(version));
	test_der_wrap(&tbs, 0x30, room);

	if (EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, spec->issuer->key) != 1 ||
	    EVP_DigestSign(ctx, sig, &sig_len, tbs.buf + tbs.at, room - tbs.at) != 1)
		abort();
	test_der_put(&list, sig, sig_len);
	test_der_put(&list, "", 1); /* no unused bits */
	test_der_wrap(&list, 0x03, room);
	test_der_put(&list, algorithm, sizeof(algorithm));
	test_der_put(&list, tbs.buf + tbs.at, room - tbs.at);
	end = room;
	test_der_wrap(&list, 0x30, end);

	*len = room - list.at;
	out = malloc(*len);
	memcpy(out, list.buf + list.at, *len);
	free(tbs.buf);
	free(list.buf);
	OPENSSL_free(name);
	EVP_MD_CTX_free(ctx);
	return out;
}

/* One CA as the only anchor. */
static inline struct svr_pki_anchors *test_crl_anchors(const struct test_cert *ca)
{
	struct svr_pki_anchors *anchors;
	BIO *bio = BIO_new(BIO_s_mem());
	char *text = NULL;
	long len;

	if (PEM_write_bio_X509(bio, ca->cert) != 1)
		abort();
	len = BIO_get_mem_data(bio, &text);
	if (svr_pki_anchors_new(&anchors) || svr_pki_anchors_add(anchors, "test", text, (size_t)len,
								 true, time(NULL), NULL, NULL) != 1)
		abort();
	BIO_free(bio);
	return anchors;
}

#endif
