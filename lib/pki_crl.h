/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Certificate revocation lists (RFC 5280 section 5). A list is read, checked and indexed by a pure
 * function of its bytes, which may run on any thread; the result never changes, so the event loop
 * only swaps pointers. docs/certificates.md has time and memory for a million entries. Part of
 * libsvr.
 */
#ifndef SVR_LIB_PKI_CRL_H
#define SVR_LIB_PKI_CRL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/pki_cert.h"
#include "lib/pki_verdict.h"

struct svr_pki_anchors;
struct svr_pki_der;

enum svr_pki_crl_limits {
	SVR_PKI_CRL_BYTES_MAX = 128 * 1024 * 1024, /* of a list as it was fetched, PEM or DER */
	SVR_PKI_CRL_ENTRIES_MAX = 2 * 1000 * 1000,
	SVR_PKI_CRLS_MAX = 256, /* lists in one set */
};

struct svr_pki_crl; /* one list; does not change, may be used by several threads */

enum svr_pki_crl_flags {
	/*
	 * Take a list whose nextUpdate has passed, or whose issuer has expired since: for the last
	 * good one on the router's own disk. What it revokes stays revoked.
	 */
	SVR_PKI_CRL_ALLOW_EXPIRED = 1,
};

/**
 * svr_pki_crl_ingest() - read and check a list.
 * @data, @len: PEM or DER, one list
 * @anchors: CA certificates of the authority; the issuer must be one of them, or lead to one
 * @issuers, @n_issuers: further certificates in DER that may be the issuer or stand between it and
 * an anchor (from chains of routers); they are not trusted for being here
 * @now_sec: seconds since 1970
 * @flags: of SVR_PKI_CRL_*
 * @out: the list, for svr_pki_crl_free(); NULL unless 0 is returned
 * @report: the verdict; of SVR_PKI_CRL_EXPIRED also with 0 under SVR_PKI_CRL_ALLOW_EXPIRED
 * Return: 0, -EKEYREJECTED (refused), -EBADMSG (not a list), -E2BIG, -ENOMEM.
 */
int svr_pki_crl_ingest(const uint8_t *data, size_t len, const struct svr_pki_anchors *anchors,
		       const struct svr_pki_der *issuers, unsigned int n_issuers, int64_t now_sec,
		       unsigned int flags, struct svr_pki_crl **out, struct svr_pki_report *report);

/* One user more, each to call svr_pki_crl_free(), from any thread. Returns @crl. */
struct svr_pki_crl *svr_pki_crl_use(struct svr_pki_crl *crl);
void svr_pki_crl_free(struct svr_pki_crl *crl); /* NULL is fine */

/* Printable ASCII throughout. */
struct svr_pki_crl_info {
	char issuer[SVR_PKI_DN_LEN]; /* RFC 2253 */
	char number[2 * SVR_PKI_SERIAL_MAX + 3]; /* CRL number, hexadecimal; "" = none */
	char scope[64]; /* "all", "user", "ca", with ", part XXXXXXXX" for a distribution point */
	char signature[40]; /* "ecdsa-with-SHA256" */
	uint8_t signer[SVR_PKI_FINGERPRINT_LEN]; /* certificate that the signature was checked with */
	int64_t this_update, next_update; /* seconds since 1970 */
	size_t bytes; /* of the list in DER */
	size_t entries; /* serial numbers, each counted once */
	size_t memory; /* bytes that the object takes */
};
const struct svr_pki_crl_info *svr_pki_crl_info(const struct svr_pki_crl *crl);

/* One entry. */
struct svr_pki_revocation {
	int64_t revoked_sec; /* seconds since 1970; dates before 1970 and after 2106 are clamped */
	uint8_t reason; /* CRLReason of RFC 5280 5.3.1; 0 = unspecified */
};
const char *svr_pki_reason_name(uint8_t reason); /* "keyCompromise", ...; never NULL */

/**
 * svr_pki_crl_find() - is a serial number on the list? Cost does not depend on its length.
 * @serial, @len: content of the INTEGER in DER, big-endian two's complement
 * @rev: may be NULL
 */
bool svr_pki_crl_find(const struct svr_pki_crl *crl, const uint8_t *serial, size_t len,
		      struct svr_pki_revocation *rev);

/* Every entry, in no particular order, until @each returns non-zero; that is then returned. */
int svr_pki_crl_walk(const struct svr_pki_crl *crl,
		     int (*each)(void *user, const uint8_t *serial, size_t len,
				 const struct svr_pki_revocation *rev),
		     void *user);

/*
 * What @now has and @before has not, and the reverse. @before may be NULL. Linear in the entries:
 * milliseconds for many of them, so not for an event loop.
 */
void svr_pki_crl_diff(const struct svr_pki_crl *before, const struct svr_pki_crl *now,
		      size_t *added, size_t *removed);

/* ---- the master list ------------------------------------------------------------------------- */

/*
 * All lists in use, by issuer. A certificate is looked up in every list of its issuer's name, so an
 * authority may cut its list into parts, and may change its key. Any thread may ask it, by way of a
 * trust; the functions below belong to the one thread that changes it.
 */
struct svr_pki_crls;

int svr_pki_crls_new(struct svr_pki_crls **out);
struct svr_pki_crls *svr_pki_crls_use(struct svr_pki_crls *set); /* one user more */
void svr_pki_crls_free(struct svr_pki_crls *set); /* NULL is fine; any thread */

/**
 * svr_pki_crls_put() - take a list into use, in place of the older one of the same issuer, key and
 * scope. Becomes a user of @crl. Costs nothing that depends on the entries.
 * @report: SVR_PKI_CRL_ROLLBACK if its CRL number or its thisUpdate is smaller than that in use;
 * SVR_PKI_CRL_TOO_LARGE if there are SVR_PKI_CRLS_MAX lists
 * Return: 1 if it is in use now, 0 if the same list was in use already (same number and
 * thisUpdate), -EKEYREJECTED with a report, -ENOMEM.
 */
int svr_pki_crls_put(struct svr_pki_crls *set, struct svr_pki_crl *crl,
		     struct svr_pki_report *report);

/*
 * The list that svr_pki_crls_put() would replace, or NULL: for svr_pki_crl_diff() on a thread,
 * which has to become a user of it.
 */
struct svr_pki_crl *svr_pki_crls_same(const struct svr_pki_crls *set,
				      const struct svr_pki_crl *crl);

/* Lists in use; NULL for an @index above the number. They may move with the next put. */
struct svr_pki_crl *svr_pki_crls_at(const struct svr_pki_crls *set, unsigned int index);

/* Takes lists out of use for which @keep returns false (their CA is no longer configured). */
void svr_pki_crls_filter(struct svr_pki_crls *set,
			 bool (*keep)(void *user, const struct svr_pki_crl *crl), void *user);

/* Changes with every change of the set, never 0: verdicts that were cached under another one are
 * to be made again. */
uint64_t svr_pki_crls_generation(const struct svr_pki_crls *set);

#endif
