// SPDX-License-Identifier: BSD-2-Clause
/*
 * libFuzzer target of certificates: what a stranger shows in a key exchange, what an operator
 * imports, and what stands in a bundle of CAs. The first byte of the input says what the rest is:
 *   bits 0-1  0  TBSCertificates, which are signed here by the trusted authority
 *             1  certificates in DER; each of both kinds behind its length in two bytes
 *             2  PEM, to be imported
 *             3  PEM, a bundle of trusted CAs
 *   bit 2     the first certificate is pinned, so that nothing is asked of its issuers
 *   bit 3     fail-soft
 */
#include <errno.h>

#include "fuzz/pki.h"
#include "lib/bytes.h"
#include "lib/pki_crl.h"
#include "lib/pki_import.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { KIND_TBS, KIND_DER, KIND_IMPORT, KIND_BUNDLE, KIND_MASK = 3, PINNED = 4, FAIL_SOFT = 8 };

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	fuzz_pki_init();
	return 0;
}

static void check_info(const struct svr_pki_cert_info *info)
{
	unsigned int i;

	require_printable(info->common_name, sizeof(info->common_name));
	require_printable(info->subject, sizeof(info->subject));
	require_printable(info->issuer, sizeof(info->issuer));
	require_printable(info->serial, sizeof(info->serial));
	require_printable(info->key, sizeof(info->key));
	require_printable(info->signature, sizeof(info->signature));
	require_printable(info->purpose, sizeof(info->purpose));
	require_printable(info->names, sizeof(info->names));
	require(info->n_crl_urls <= SVR_PKI_CRL_URLS_MAX, "too many distribution points");
	for (i = 0; i < info->n_crl_urls; i++) {
		require_printable(info->crl_urls[i], sizeof(info->crl_urls[i]));
		require(strncasecmp(info->crl_urls[i], "http", 4) == 0, "a URL of another kind");
	}
}

static void check_peer(const struct svr_pki_trust *trust, struct svr_pki_peer *peer, bool soft)
{
	static const uint8_t nothing[64];
	struct svr_pki_report r;
	int ret;

	check_info(svr_pki_peer_info(peer));
	require(!svr_pki_peer_info(peer)->ca, "a CA is a peer");
	require(svr_pki_peer_check_signature(peer, nothing, sizeof(nothing), nothing,
					     sizeof(nothing)) == -EBADMSG,
		"zeros are a signature");
	ret = svr_pki_recheck(trust, peer, fuzz_now, &r);
	require(ret == 0, "a second look says something else");
	ret = svr_pki_recheck(trust, peer, INT64_C(253402300800), &r); /* the year 10000 */
	require(soft || ret, "good after the last date there is");
	require_report(&r, ret);
}

static struct svr_pki_trust *make_trust(const struct svr_pki_der *first, unsigned int how)
{
	uint8_t fingerprint[SVR_PKI_FINGERPRINT_LEN];
	struct svr_pki_trust *trust;

	require(svr_pki_trust_new(&trust) == 0, "out of memory");
	svr_pki_trust_anchors(trust, fuzz_anchors);
	svr_pki_trust_fail_soft(trust, how & FAIL_SOFT);
	/* what is pinned is what would be computed over the certificate that was sent */
	if (how & PINNED && first->len &&
	    EVP_Q_digest(NULL, "SHA2-256", NULL, first->data, first->len, fingerprint, NULL) == 1)
		svr_pki_trust_fingerprint(trust, fingerprint);
	return trust;
}

/* Certificates behind their lengths. What is longer than the input ends with it. */
static unsigned int split(const uint8_t *data, size_t size, bool sign, struct svr_pki_der *out)
{
	unsigned int count = 0;
	uint8_t *copy;
	size_t len;

	while (size >= 2 && count <= SVR_PKI_CHAIN_MAX) {
		len = svr_get16(data);
		data += 2;
		size -= 2;
		if (len > size)
			len = size;
		if (sign) {
			copy = fuzz_sign(data, len, &out[count].len);
		} else { /* in a buffer of its own, so that reading too far is seen */
			copy = malloc(len ? len : 1);
			require(copy != NULL, "out of memory");
			memcpy(copy, data, len);
			out[count].len = len;
		}
		out[count++].data = copy;
		data += len;
		size -= len;
	}
	return count;
}

static void try_chain(const uint8_t *data, size_t size, unsigned int how)
{
	struct svr_pki_der chain[SVR_PKI_CHAIN_MAX + 1] = { 0 };
	bool sign = (how & KIND_MASK) == KIND_TBS;
	unsigned int count = split(data, size, sign, chain), i;
	struct svr_pki_trust *trust = make_trust(&chain[0], how);
	struct svr_pki_peer *peer = NULL;
	struct svr_pki_report r;
	int ret;

	ret = svr_pki_verify(trust, chain, count, "west.example", NULL, fuzz_now, &peer, &r);
	require((ret == 0) == (peer != NULL), "a peer and a refusal");
	require(ret || sign || how & PINNED, "accepted without a signature");
	require(ret || how & FAIL_SOFT || r.verdict == SVR_PKI_OK, "accepted with a verdict");
	require_report(&r, ret);
	if (peer)
		check_peer(trust, peer, how & FAIL_SOFT);
	svr_pki_peer_free(peer);
	svr_pki_trust_free(trust);
	for (i = 0; i < count; i++)
		free((void *)chain[i].data);
}

static void try_import(const char *text, size_t size, unsigned int how)
{
	struct svr_pki_trust *trust = make_trust(&(struct svr_pki_der){ 0 }, how & FAIL_SOFT);
	struct svr_pki_cert_info info;
	struct svr_pki_report r;
	int ret;

	/* there is no such directory: what passes everything else fails for want of a key */
	ret = svr_pki_import("/nonexistent/svr-fuzz", "west", "west.example", text, size, trust,
			     fuzz_now, &info, &r);
	require(ret != 0, "imported without a private key");
	require_report(&r, ret);
	check_info(&info);
	svr_pki_trust_free(trust);
}

static void take_issue(void *user, const struct svr_pki_report *report)
{
	unsigned int *count = user;

	require_report(report, -1);
	(*count)++;
}

static void try_bundle(const char *text, size_t size, bool strict)
{
	struct svr_pki_anchors *a;
	unsigned int issues = 0;
	int ret;

	require(svr_pki_anchors_new(&a) == 0, "out of memory");
	ret = svr_pki_anchors_add(a, "bundle", text, size, strict, fuzz_now, take_issue, &issues);
	require(ret > 0 || issues, "refused without a word");
	require(ret > 0 || svr_pki_anchors_count(a) == 0, "refused, and added");
	require(ret < 0 || !strict || !issues, "strict, and there are issues");
	svr_pki_anchors_free(a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned int how;
	char *text;

	if (size == 0)
		return 0;
	how = data[0];
	if ((how & KIND_MASK) < KIND_IMPORT) {
		try_chain(data + 1, size - 1, how);
		return 0;
	}
	text = malloc(size);
	require(text != NULL, "out of memory");
	memcpy(text, data + 1, size - 1);
	if ((how & KIND_MASK) == KIND_IMPORT)
		try_import(text, size - 1, how);
	else
		try_bundle(text, size - 1, how & FAIL_SOFT);
	free(text);
	return 0;
}
