/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What both PKI targets share: an authority "CN=Fuzz CA" with an Ed25519 key that is made at the
 * start, and its signature around whatever the fuzzer makes, so that changed bytes get beyond the
 * check of the signature.
 */
#ifndef SVR_FUZZ_PKI_H
#define SVR_FUZZ_PKI_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/evp.h>
#include <openssl/pem.h>

#include "lib/pki.h"
#include "tests/certs.h"

enum { FUZZ_SIG_LEN = 64, FUZZ_SIGNED_EXTRA = 128 };

/* The corpus was made for this time: 2030-01-01. */
static const int64_t fuzz_now = 1893456000;

static struct test_cert fuzz_ca;
static struct svr_pki_anchors *fuzz_anchors;

static inline void require(int ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "fuzz: %s\n", what);
	abort();
}

static inline void require_printable(const char *text, size_t room)
{
	size_t len = strnlen(text, room), i;

	require(len < room, "text does not end");
	for (i = 0; i < len; i++)
		require(text[i] >= ' ' && text[i] <= '~', "text is not printable");
}

static inline void require_report(const struct svr_pki_report *r, int ret)
{
	require(strcmp(svr_pki_verdict_name(r->verdict), "?") != 0, "verdict without a name");
	require((r->verdict == SVR_PKI_OK) == (r->text[0] == '\0'), "words do not fit the verdict");
	require(!ret || r->verdict != SVR_PKI_OK, "refused without a verdict");
	require_printable(r->text, sizeof(r->text));
}

static inline void fuzz_pki_init(void)
{
	struct test_cert_spec spec = { .common_name = "Fuzz CA",
				       .ca = true,
				       .algorithm = "ED25519",
				       .from_base = (int)fuzz_now,
				       .from_days = -3650 };
	BIO *bio = BIO_new(BIO_s_mem());
	char *text = NULL;
	long len;

	fuzz_ca = test_cert_make(&spec);
	require(PEM_write_bio_X509(bio, fuzz_ca.cert) == 1, "no CA");
	len = BIO_get_mem_data(bio, &text);
	require(svr_pki_anchors_new(&fuzz_anchors) == 0 &&
			svr_pki_anchors_add(fuzz_anchors, "fuzz", text, (size_t)len, true, fuzz_now,
					    NULL, NULL) == 1,
		"no anchors");
	BIO_free(bio);
}

/* Tag and length in as few bytes as it takes: anything else is not DER. */
static inline size_t fuzz_put_header(uint8_t *to, uint8_t tag, size_t len)
{
	size_t bytes = len < 128 ? 0 : len < 256 ? 1 : len < 65536 ? 2 : 3, i;

	to[0] = tag;
	to[1] = bytes ? (uint8_t)(0x80 | bytes) : (uint8_t)len;
	for (i = 0; i < bytes; i++)
		to[2 + i] = (uint8_t)(len >> (8 * (bytes - 1 - i)));
	return 2 + bytes;
}

/* SEQUENCE { @tbs, Ed25519, signature of the CA }, for free(). */
static inline uint8_t *fuzz_sign(const uint8_t *tbs, size_t len, size_t *out_len)
{
	static const uint8_t algorithm[] = { 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70 };
	uint8_t *out = malloc(len + FUZZ_SIGNED_EXTRA), sig[FUZZ_SIG_LEN];
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	size_t sig_len = sizeof(sig), at;

	require(out && ctx && EVP_DigestSignInit(ctx, NULL, NULL, NULL, fuzz_ca.key) == 1 &&
			EVP_DigestSign(ctx, sig, &sig_len, tbs, len) == 1,
		"no signature");
	EVP_MD_CTX_free(ctx);
	at = fuzz_put_header(out, 0x30, len + sizeof(algorithm) + 3 + sig_len);
	if (len)
		memcpy(out + at, tbs, len);
	at += len;
	memcpy(out + at, algorithm, sizeof(algorithm));
	at += sizeof(algorithm);
	out[at++] = 0x03;
	out[at++] = (uint8_t)(sig_len + 1);
	out[at++] = 0;
	memcpy(out + at, sig, sig_len);
	*out_len = at + sig_len;
	return out;
}

#endif
