/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Revocation lists: where they come from, when they are fetched, and the last good one of each on
 * disk. Reading a list takes a second for a million entries, so it is done on a thread
 * (sys/jobs.h); the event loop only fetches, swaps pointers and tells.
 *
 *	idle --due--> fetching --body--> ingesting --list--> storing --> idle
 *	                  \___________________\______failed, backoff-interval doubles___/
 *
 * A list is in use from the moment it was checked; that it is also on disk comes after.
 * docs/certificates.md.
 */
#ifndef SVR_KEYMGR_CRL_H
#define SVR_KEYMGR_CRL_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/pki.h"
#include "lib/pki_crl.h"

struct json_object;
struct keymgr;
struct km_crl;

enum km_crl_limits {
	KM_CRL_LEARNED_MAX = 32, /* distribution points that certificates name, besides the configured URLs */
	KM_CRL_FETCHES = 4, /* at a time; the last one is for lists whose last fetch was good */
	KM_CRL_BYTES_MAX = 64 * 1024 * 1024, /* of a list; each fetch under way may hold as much */
	KM_CRL_FETCH_SEC = 300, /* for one list */
	KM_CRL_ISSUERS_MAX = 64, /* certificates besides the anchors that may have signed a list */
};

/* What the manager asks of, and tells, its owner. All called from the event loop. */
struct km_crl_ops {
	/* Trusted CAs, one reference more for the caller; NULL: none, so no list can be checked. */
	struct svr_pki_anchors *(*anchors)(void *user);
	/* Issuers out of chains: up to @max, valid during the call. Returns their number. */
	unsigned int (*issuers)(void *user, struct svr_pki_der *out, unsigned int max);
	/*
	 * The lists in use are others now: verdicts are to be made again. Must not call back into
	 * the manager: sources are being worked on.
	 */
	void (*changed)(void *user);
};

/**
 * km_crl_new() - start the manager; lists that were kept in <pki dir>/crl are read on a thread.
 * @km: its base, jobs, alarms and maps live longer
 * Return: 0 or negative errno.
 */
int km_crl_new(struct keymgr *km, const char *pki_dir, const struct km_crl_ops *ops, void *user,
	       struct km_crl **out);
void km_crl_free(struct km_crl *c);

/* True when all lists that were kept by the process before are in use again. */
bool km_crl_ready(const struct km_crl *c);

/* Lists in use, for svr_pki_trust_crls(). Only the manager changes them. */
struct svr_pki_crls *km_crl_set(const struct km_crl *c);

/*
 * Sources as the configuration and the certificates have them now: begin, one call for each, end.
 * What was there before goes on; what is new is fetched at once; what is gone is given up, with its alarm.
 */
void km_crl_sources_begin(struct km_crl *c, uint32_t polling_s, uint32_t backoff_s);
void km_crl_source(struct km_crl *c, const char *url, bool configured);
void km_crl_sources_end(struct km_crl *c);

/* Is there such a source? @url as the source of an alarm has it, which may be cut. */
bool km_crl_has(const struct km_crl *c, const char *url);

/* Fetches @url, or all lists if it is NULL, now. Number of lists that will be fetched. */
unsigned int km_crl_fetch(struct km_crl *c, const char *url);

/* For `svr show certificate crl`: an array of objects. */
struct json_object *km_crl_show(const struct km_crl *c);

/* Other CAs are trusted now: every list is fetched, and has to show its signature again. */
void km_crl_anchors_changed(struct km_crl *c);

#endif
