/* SPDX-License-Identifier: BSD-2-Clause */
/* Counters of `svr show stats security`, with SSR's names. They count since the process began. */
#ifndef SVR_KEYMGR_COUNTERS_H
#define SVR_KEYMGR_COUNTERS_H

#include <stdbool.h>

#include "lib/pki_verdict.h"

struct json_object;
struct keymgr;

#define KM_COUNTERS(X)                                                                              \
	X(CSR_SUCCESS, "csr success", "certificate signing requests made")                          \
	X(CSR_FAILURE, "csr failure", "certificate signing requests that could not be made")        \
	X(IMPORT_SUCCESS, "certificate import success", "certificates imported")                    \
	X(IMPORT_FAILURE, "certificate import failure", "certificates refused")                     \
	X(CRL_FETCH_SUCCESS, "crl fetch success", "revocation lists fetched")                       \
	X(CRL_FETCH_FAILURE, "crl fetch failure", "revocation lists that could not be fetched")     \
	X(CRL_INGESTION_SUCCESS, "crl ingestion success", "revocation lists checked and kept")      \
	X(CRL_INGESTION_FAILURE, "crl ingestion failure", "revocation lists refused, or not kept")  \
	X(CERTIFICATE_EXPIRED, "certificate expired", "own certificate found expired")              \
	X(CERTIFICATE_INVALID, "certificate invalid", "own certificate found invalid, or missing")  \
	X(CERTIFICATE_REVOKED, "certificate revoked", "own certificate found revoked")              \
	X(PEER_EXPIRED, "peer certificate expired", "certificates of peers found expired")          \
	X(PEER_INVALID, "peer certificate invalid", "certificates of peers found invalid")          \
	X(PEER_REVOKED, "peer certificate revoked", "certificates of peers found revoked")

enum km_counter {
#define X(id, name, text) KM_COUNT_##id,
	KM_COUNTERS(X)
#undef X
	KM_COUNT_MAX,
};

void km_counter_add(struct keymgr *km, enum km_counter counter);
/* The own certificate's or, @peer, that of a peer; nothing for SVR_PKI_CLASS_OK. */
void km_counter_verdict(struct keymgr *km, bool peer, enum svr_pki_class class);
/* An array of { "metric", "value", "text" }. */
struct json_object *km_counters_show(const struct keymgr *km);

#endif
