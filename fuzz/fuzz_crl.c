// SPDX-License-Identifier: BSD-2-Clause
/*
 * libFuzzer target of revocation lists, as they come from a web server. The first byte of the input
 * says what the rest is: even = a TBSCertList, which is signed here, so that its entries are
 * reached; odd = a whole list in PEM or DER, which nobody has signed.
 */
#include "fuzz/pki.h"
#include "lib/pki_crl.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	fuzz_pki_init();
	return 0;
}

struct entries {
	const struct svr_pki_crl *crl;
	size_t count;
};

static int check_entry(void *user, const uint8_t *serial, size_t len,
		       const struct svr_pki_revocation *rev)
{
	struct entries *e = user;
	struct svr_pki_revocation again;

	require(svr_pki_crl_find(e->crl, serial, len, &again), "an entry is not found");
	require(again.revoked_sec == rev->revoked_sec && again.reason == rev->reason,
		"another entry is found");
	require(svr_pki_reason_name(rev->reason) != NULL, "reason without a name");
	e->count++;
	return 0;
}

static void check_list(struct svr_pki_crl *crl, size_t size)
{
	const struct svr_pki_crl_info *info = svr_pki_crl_info(crl);
	struct entries e = { .crl = crl };
	struct svr_pki_crls *set;
	struct svr_pki_report r;
	size_t added, removed;

	require_printable(info->issuer, sizeof(info->issuer));
	require_printable(info->number, sizeof(info->number));
	require_printable(info->scope, sizeof(info->scope));
	require_printable(info->signature, sizeof(info->signature));
	require(info->entries <= size, "more entries than bytes");
	require(info->this_update <= fuzz_now && info->next_update >= info->this_update, "dates");
	require(svr_pki_crl_walk(crl, check_entry, &e) == 0 && e.count == info->entries,
		"a walk does not see all entries");
	require(!svr_pki_crl_find(crl, (const uint8_t *)"", 0, NULL), "an empty serial is found");
	svr_pki_crl_diff(crl, crl, &added, &removed);
	require(added == 0 && removed == 0, "a list differs from itself");
	require(svr_pki_crls_new(&set) == 0 && svr_pki_crls_put(set, crl, &r) == 1 &&
			svr_pki_crls_put(set, crl, &r) == 0 && svr_pki_crls_same(set, crl) == crl,
		"a list cannot be put into use");
	svr_pki_crls_free(set);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct svr_pki_crl *crl = NULL;
	struct svr_pki_report r;
	uint8_t *list = NULL;
	bool is_whole;
	size_t len;
	int ret;

	if (size == 0)
		return 0;
	is_whole = data[0] & 1;
	len = size - 1;
	if (is_whole) { /* in a buffer of its own, so that reading too far is seen */
		list = malloc(len ? len : 1);
		require(list != NULL, "out of memory");
		memcpy(list, data + 1, len);
	} else {
		list = fuzz_sign(data + 1, len, &len);
	}
	ret = svr_pki_crl_ingest(list, len, fuzz_anchors, NULL, 0, fuzz_now,
				 data[0] & 2 ? SVR_PKI_CRL_ALLOW_EXPIRED : 0, &crl, &r);
	free(list);
	require((ret == 0) == (crl != NULL), "a list and a refusal");
	require(!is_whole || ret, "accepted without a signature");
	require(r.verdict != SVR_PKI_CRL_SIGNATURE || is_whole, "our own signature is refused");
	require_report(&r, ret);
	if (crl)
		check_list(crl, size);
	svr_pki_crl_free(crl);
	return 0;
}
