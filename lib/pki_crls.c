// SPDX-License-Identifier: BSD-2-Clause
/* The master list: every revocation list in use, by issuer. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/x509v3.h>

#include "lib/pki_internal.h"

struct svr_pki_crls {
	unsigned int users; /* atomic */
	pthread_rwlock_t lock; /* of @list and @count: one thread writes, all may ask */
	struct svr_pki_crl *list[SVR_PKI_CRLS_MAX];
	unsigned int count;
	uint64_t generation;
};

int svr_pki_crls_new(struct svr_pki_crls **out)
{
	struct svr_pki_crls *set = calloc(1, sizeof(*set));
	int ret;

	*out = NULL;
	if (!set)
		return -ENOMEM;
	ret = pthread_rwlock_init(&set->lock, NULL);
	if (ret) {
		free(set);
		return -ret;
	}
	set->users = 1;
	set->generation = 1;
	*out = set;
	return 0;
}

struct svr_pki_crls *svr_pki_crls_use(struct svr_pki_crls *set)
{
	__atomic_add_fetch(&set->users, 1, __ATOMIC_RELAXED);
	return set;
}

void svr_pki_crls_free(struct svr_pki_crls *set)
{
	unsigned int i;

	if (!set || __atomic_sub_fetch(&set->users, 1, __ATOMIC_ACQ_REL))
		return;
	for (i = 0; i < set->count; i++)
		svr_pki_crl_free(set->list[i]);
	pthread_rwlock_destroy(&set->lock);
	free(set);
}

uint64_t svr_pki_crls_generation(const struct svr_pki_crls *set)
{
	return set->generation;
}

struct svr_pki_crl *svr_pki_crls_at(const struct svr_pki_crls *set, unsigned int index)
{
	return index < set->count ? set->list[index] : NULL;
}

/* ---- changing it ----------------------------------------------------------------------------- */

static bool same_place(const struct pki_crl_id *a, const struct pki_crl_id *b)
{
	return a->issuer_hash == b->issuer_hash && memcmp(a->key, b->key, sizeof(a->key)) == 0 &&
	       memcmp(a->scope, b->scope, sizeof(a->scope)) == 0 &&
	       X509_NAME_cmp(a->issuer, b->issuer) == 0;
}

static int place_of(const struct svr_pki_crls *set, const struct svr_pki_crl *crl)
{
	unsigned int i;

	for (i = 0; i < set->count; i++)
		if (same_place(svr_pki_crl_id(set->list[i]), svr_pki_crl_id(crl)))
			return (int)i;
	return -1;
}

struct svr_pki_crl *svr_pki_crls_same(const struct svr_pki_crls *set, const struct svr_pki_crl *crl)
{
	int place = place_of(set, crl);

	return place < 0 ? NULL : set->list[place];
}

/*
 * Who can keep new lists from us, or an old one in a cache, must not make a certificate good again:
 * CRL numbers only grow (RFC 5280 5.2.3), and without them the dates decide.
 */
static int check_order(const struct svr_pki_crl *old, const struct svr_pki_crl *new,
		       struct svr_pki_report *r)
{
	const struct pki_crl_id *a = svr_pki_crl_id(old), *b = svr_pki_crl_id(new);
	const struct svr_pki_crl_info *ai = svr_pki_crl_info(old), *bi = svr_pki_crl_info(new);
	char was[40], is[40];
	int order = 0;

	if (a->has_number && b->has_number)
		order = memcmp(b->number, a->number, sizeof(a->number));
	if (order < 0)
		return svr_pki_refuse(r, SVR_PKI_CRL_ROLLBACK,
				      "revocation list: number %s, but %s is in use", bi->number,
				      ai->number);
	if (order > 0 || bi->this_update > ai->this_update)
		return 1;
	if (bi->this_update == ai->this_update)
		return memcmp(a->signature, b->signature, sizeof(a->signature)) != 0;
	svr_pki_date_text(ai->this_update, was, sizeof(was));
	svr_pki_date_text(bi->this_update, is, sizeof(is));
	return svr_pki_refuse(r, SVR_PKI_CRL_ROLLBACK,
			      "revocation list: of %s, but that of %s is in use", is, was);
}

int svr_pki_crls_put(struct svr_pki_crls *set, struct svr_pki_crl *crl,
		     struct svr_pki_report *report)
{
	struct svr_pki_crl *before = NULL;
	int place = place_of(set, crl), ret;

	svr_pki_accept(report);
	if (place >= 0) {
		before = set->list[place];
		ret = check_order(before, crl, report);
		if (ret <= 0)
			return ret;
	} else if (set->count == SVR_PKI_CRLS_MAX) {
		return svr_pki_refuse(report, SVR_PKI_CRL_TOO_LARGE,
				      "revocation list: %u lists are in use already", set->count);
	}
	pthread_rwlock_wrlock(&set->lock);
	if (place < 0)
		place = (int)set->count++;
	set->list[place] = svr_pki_crl_use(crl);
	pthread_rwlock_unlock(&set->lock);
	svr_pki_crl_free(before);
	set->generation++;
	return 1;
}

void svr_pki_crls_filter(struct svr_pki_crls *set,
			 bool (*keep)(void *user, const struct svr_pki_crl *crl), void *user)
{
	unsigned int i, kept = 0;

	pthread_rwlock_wrlock(&set->lock);
	for (i = 0; i < set->count; i++) {
		if (keep(user, set->list[i]))
			set->list[kept++] = set->list[i];
		else
			svr_pki_crl_free(set->list[i]);
	}
	if (kept != set->count)
		set->generation++;
	set->count = kept;
	pthread_rwlock_unlock(&set->lock);
}

/* ---- asking it ------------------------------------------------------------------------------- */

/* Says the absence of this certificate from the list anything? Whether a part is the right one is
 * not asked: then the answer is "unknown", and a revocation still counts. */
static bool covers(const struct pki_crl_id *id, bool ca)
{
	return !id->is_part && (ca ? id->for_cas : id->for_users);
}

struct question {
	const X509_NAME *issuer;
	uint32_t issuer_hash;
	bool ca;
	uint8_t serial[PKI_SERIAL_DER_MAX];
	size_t serial_len;
	int64_t now_sec;
};

static enum svr_pki_revocation_state
ask_one(const struct svr_pki_crl *crl, const struct question *q, struct svr_pki_revocation *rev)
{
	const struct pki_crl_id *id = svr_pki_crl_id(crl);

	if (id->issuer_hash != q->issuer_hash || X509_NAME_cmp(id->issuer, q->issuer) != 0)
		return SVR_PKI_REVOCATION_UNKNOWN;
	if (svr_pki_crl_find(crl, q->serial, q->serial_len, rev))
		return SVR_PKI_REVOCATION_REVOKED;
	if (!covers(id, q->ca))
		return SVR_PKI_REVOCATION_UNKNOWN;
	return q->now_sec <= svr_pki_crl_info(crl)->next_update ? SVR_PKI_REVOCATION_GOOD :
								  SVR_PKI_REVOCATION_STALE;
}

/* The states are in the order of what they say: the strongest of all lists is the answer. */
enum svr_pki_revocation_state svr_pki_crls_ask(struct svr_pki_crls *set, X509 *cert,
					       int64_t now_sec, struct svr_pki_revocation *rev)
{
	enum svr_pki_revocation_state state = SVR_PKI_REVOCATION_UNKNOWN, one;
	struct question q = { .issuer = X509_get_issuer_name(cert),
			      .ca = X509_get_extension_flags(cert) & EXFLAG_CA,
			      .now_sec = now_sec };
	unsigned int i;
	int ok = 0;

	q.issuer_hash = (uint32_t)X509_NAME_hash_ex(q.issuer, NULL, NULL, &ok);
	q.serial_len = svr_pki_serial(cert, q.serial);
	pthread_rwlock_rdlock(&set->lock);
	for (i = 0; i < set->count && state != SVR_PKI_REVOCATION_REVOKED; i++) {
		one = ask_one(set->list[i], &q, rev);
		if (one > state)
			state = one;
	}
	pthread_rwlock_unlock(&set->lock);
	return state;
}
