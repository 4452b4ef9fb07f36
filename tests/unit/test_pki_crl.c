// SPDX-License-Identifier: BSD-2-Clause
/* Revocation lists in use: a million entries, order of lists, parts, threads, what stays. */
#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>

#include "tests/crls.h"

enum { HOUR = 3600, MILLION = 1000000 };

static struct test_cert ca;
static struct svr_pki_anchors *anchors;
static int64_t now;

static void begin(void)
{
	ca = test_cert_make(
		&(struct test_cert_spec){ .common_name = "CA", .ca = true, .from_days = -9 });
	anchors = test_crl_anchors(&ca);
	now = time(NULL);
}

static void end(void)
{
	svr_pki_anchors_free(anchors);
	test_cert_free(&ca);
}

TestSuite(pki_crl, .init = begin, .fini = end, .timeout = 120);

static struct svr_pki_crl *list_of(size_t entries, uint8_t number, int64_t this_update)
{
	struct svr_pki_report r;
	struct svr_pki_crl *crl;
	size_t len;
	uint8_t *der = test_crl_make(
		&(struct test_crl_spec){ &ca, entries, number, this_update, now + HOUR }, &len);

	cr_assert_eq(svr_pki_crl_ingest(der, len, anchors, NULL, 0, now, 0, &crl, &r), 0, "%s",
		     r.text);
	free(der);
	return crl;
}

static bool has(const struct svr_pki_crl *crl, size_t n, struct svr_pki_revocation *rev)
{
	uint8_t serial[TEST_CRL_SERIAL_LEN];

	test_crl_serial(n, serial);
	return svr_pki_crl_find(crl, serial, sizeof(serial), rev);
}

static int count_one(void *user, const uint8_t *serial, size_t len,
		     const struct svr_pki_revocation *rev)
{
	size_t *count = user;

	(void)serial;
	cr_assert_eq(len, TEST_CRL_SERIAL_LEN);
	cr_assert_eq(rev->reason, 1);
	return ++*count > MILLION;
}

Test(pki_crl, a_million_entries)
{
	struct svr_pki_crl *crl = list_of(MILLION, 5, now - HOUR);
	const struct svr_pki_crl_info *info = svr_pki_crl_info(crl);
	struct svr_pki_revocation rev;
	size_t i, count = 0;

	cr_expect_eq(info->entries, MILLION);
	cr_expect_str_eq(info->number, "05");
	cr_expect_str_eq(info->scope, "all");
	cr_expect_str_eq(info->issuer, "CN=CA");
	cr_expect_eq(info->this_update, now - HOUR);
	cr_expect_eq(info->next_update, now + HOUR);
	/* serial, date, reason, and two slots of the table at the most: nothing else per entry */
	cr_expect_leq(info->memory, MILLION * (TEST_CRL_SERIAL_LEN + 5 + 12) + 4096);
	for (i = 0; i < MILLION; i += 7)
		cr_assert(has(crl, i, &rev), "entry %zu", i);
	cr_expect_eq(rev.revoked_sec, 1735689600, "2025-01-01");
	cr_expect_eq(rev.reason, 1);
	cr_expect_str_eq(svr_pki_reason_name(rev.reason), "keyCompromise");
	for (i = MILLION; i < MILLION + 100000; i++)
		cr_assert_not(has(crl, i, NULL), "no entry %zu", i);
	cr_expect_eq(svr_pki_crl_walk(crl, count_one, &count), 0);
	cr_expect_eq(count, MILLION);
	svr_pki_crl_free(crl);
}

Test(pki_crl, pem_and_der_are_the_same_list)
{
	size_t len, added, removed;
	uint8_t *der =
		test_crl_make(&(struct test_crl_spec){ &ca, 1000, 1, now, now + HOUR }, &len);
	struct svr_pki_crl *crl[2];
	struct svr_pki_report r;
	char *text = NULL;
	BIO *bio = BIO_new(BIO_s_mem());
	long text_len;

	cr_assert_gt(PEM_write_bio(bio, PEM_STRING_X509_CRL, "", der, (long)len), 0);
	text_len = BIO_get_mem_data(bio, &text);
	cr_assert_eq(svr_pki_crl_ingest(der, len, anchors, NULL, 0, now, 0, &crl[0], &r), 0);
	cr_assert_eq(svr_pki_crl_ingest((uint8_t *)text, (size_t)text_len, anchors, NULL, 0, now, 0,
					&crl[1], &r),
		     0, "%s", r.text);
	svr_pki_crl_diff(crl[0], crl[1], &added, &removed);
	cr_expect_eq(added + removed, 0);
	cr_expect_eq(svr_pki_crl_info(crl[0])->bytes, svr_pki_crl_info(crl[1])->bytes);
	svr_pki_crl_free(crl[0]);
	svr_pki_crl_free(crl[1]);
	BIO_free(bio);
	free(der);
}

Test(pki_crl, differences)
{
	struct svr_pki_crl *a = list_of(100, 1, now), *b = list_of(130, 2, now);
	size_t added, removed;

	svr_pki_crl_diff(a, b, &added, &removed);
	cr_expect_eq(added, 30);
	cr_expect_eq(removed, 0);
	svr_pki_crl_diff(b, a, &added, &removed);
	cr_expect_eq(added, 0);
	cr_expect_eq(removed, 30);
	svr_pki_crl_diff(NULL, a, &added, &removed);
	cr_expect_eq(added, 100);
	cr_expect_eq(removed, 0);
	svr_pki_crl_free(a);
	svr_pki_crl_free(b);
}

Test(pki_crl, a_newer_list_takes_the_place_of_the_older_one)
{
	struct svr_pki_crl *one = list_of(10, 1, now - 2 * HOUR), *two = list_of(20, 2, now - HOUR);
	struct svr_pki_report r;
	struct svr_pki_crls *set;
	uint64_t generation;

	cr_assert_eq(svr_pki_crls_new(&set), 0);
	cr_expect_null(svr_pki_crls_same(set, one));
	cr_expect_eq(svr_pki_crls_put(set, one, &r), 1);
	generation = svr_pki_crls_generation(set);
	cr_expect_eq(svr_pki_crls_put(set, one, &r), 0, "the same again");
	cr_expect_eq(svr_pki_crls_generation(set), generation);
	cr_expect_eq(svr_pki_crls_same(set, two), one);
	cr_expect_eq(svr_pki_crls_put(set, two, &r), 1);
	cr_expect_neq(svr_pki_crls_generation(set), generation);
	generation = svr_pki_crls_generation(set);
	cr_expect_eq(svr_pki_crls_put(set, one, &r), -EKEYREJECTED, "rolled back");
	cr_expect_eq(r.verdict, SVR_PKI_CRL_ROLLBACK);
	cr_expect_eq(svr_pki_crls_generation(set), generation);
	cr_expect_eq(svr_pki_crls_at(set, 0), two);
	cr_expect_null(svr_pki_crls_at(set, 1));
	svr_pki_crl_free(one);
	svr_pki_crl_free(two);
	svr_pki_crls_free(set);
}

static bool keep_none(void *user, const struct svr_pki_crl *crl)
{
	(void)user, (void)crl;
	return false;
}

Test(pki_crl, lists_of_a_removed_ca_go)
{
	struct svr_pki_crl *crl = list_of(1, 1, now);
	struct svr_pki_report r;
	struct svr_pki_crls *set;
	uint64_t generation;

	cr_assert_eq(svr_pki_crls_new(&set), 0);
	svr_pki_crls_put(set, crl, &r);
	generation = svr_pki_crls_generation(set);
	svr_pki_crls_filter(set, keep_none, NULL);
	cr_expect_null(svr_pki_crls_at(set, 0));
	cr_expect_neq(svr_pki_crls_generation(set), generation);
	svr_pki_crl_free(crl);
	svr_pki_crls_free(set);
}

/* ---- what lists do to certificates ----------------------------------------------------------- */

struct scene {
	struct svr_pki_trust *trust;
	struct svr_pki_crls *crls;
	struct test_cert leaf;
	struct svr_pki_der der;
	struct svr_pki_peer *peer;
};

/* The certificate of "west", whose serial is entry @n of lists; accepted. */
static void scene_begin(struct scene *s, size_t n, int until_days)
{
	struct test_cert_spec spec = { .common_name = "west",
				       .issuer = &ca,
				       .from_base = (int)now,
				       .from_days = -1,
				       .until_days = until_days };
	uint8_t serial[TEST_CRL_SERIAL_LEN];
	struct svr_pki_report r;
	unsigned char *der = NULL;
	BIGNUM *number;

	test_crl_serial(n, serial);
	s->leaf = test_cert_make(&spec);
	number = BN_bin2bn(serial, sizeof(serial), NULL);
	BN_to_ASN1_INTEGER(number, X509_get_serialNumber(s->leaf.cert));
	BN_free(number);
	cr_assert_gt(X509_sign(s->leaf.cert, ca.key, EVP_sha256()), 0);
	s->der.len = (size_t)i2d_X509(s->leaf.cert, &der);
	s->der.data = der;
	cr_assert_eq(svr_pki_trust_new(&s->trust), 0);
	cr_assert_eq(svr_pki_crls_new(&s->crls), 0);
	svr_pki_trust_anchors(s->trust, anchors);
	svr_pki_trust_crls(s->trust, s->crls);
	cr_assert_eq(svr_pki_verify(s->trust, &s->der, 1, "west", NULL, now, &s->peer, &r), 0, "%s",
		     r.text);
}

static void scene_end(struct scene *s)
{
	svr_pki_peer_free(s->peer);
	svr_pki_trust_free(s->trust);
	svr_pki_crls_free(s->crls);
	OPENSSL_free((void *)s->der.data);
	test_cert_free(&s->leaf);
}

/*
 * I95-63356: new sessions were still accepted after the peer's certificate had been revoked. What
 * was accepted before is refused at the next look, both from the cache and in a new exchange.
 */
Test(pki_crl, i95_63356_revoked_after_it_was_accepted)
{
	struct svr_pki_crl *clean = list_of(3, 1, now - HOUR), *list = list_of(4, 2, now);
	struct svr_pki_peer *again = NULL;
	struct svr_pki_report r;
	struct scene s;

	scene_begin(&s, 3, 0);
	cr_expect_eq(svr_pki_peer_revocation(s.peer), SVR_PKI_REVOCATION_UNKNOWN);
	svr_pki_crls_put(s.crls, clean, &r);
	cr_expect_eq(svr_pki_recheck(s.trust, s.peer, now, &r), 0);
	cr_expect_eq(svr_pki_peer_revocation(s.peer), SVR_PKI_REVOCATION_GOOD);
	svr_pki_crls_put(s.crls, list, &r);
	cr_expect_eq(svr_pki_recheck(s.trust, s.peer, now, &r), -EKEYREJECTED);
	cr_expect_eq(r.verdict, SVR_PKI_REVOKED);
	cr_expect_eq(svr_pki_verdict_class(r.verdict), SVR_PKI_CLASS_REVOKED);
	cr_expect_eq(svr_pki_peer_revocation(s.peer), SVR_PKI_REVOCATION_REVOKED);
	cr_expect_eq(svr_pki_verify(s.trust, &s.der, 1, "west", NULL, now, &again, &r),
		     -EKEYREJECTED);
	cr_expect_null(again);

	svr_pki_trust_fail_soft(s.trust, true);
	cr_expect_eq(svr_pki_recheck(s.trust, s.peer, now, &r), 0);
	cr_expect_eq(r.verdict, SVR_PKI_REVOKED, "fail-soft still says so");
	scene_end(&s);
	svr_pki_crl_free(clean);
	svr_pki_crl_free(list);
}

/* A list that was not replaced in time still revokes, and says nothing good about others. */
Test(pki_crl, a_stale_list_still_revokes)
{
	struct svr_pki_crl *list = list_of(4, 2, now);
	struct svr_pki_report r;
	struct scene s;
	int i;

	for (i = 0; i < 2; i++) {
		scene_begin(&s, i ? 3 : 4, 0);
		svr_pki_crls_put(s.crls, list, &r);
		cr_expect_eq(svr_pki_recheck(s.trust, s.peer, now + 9 * HOUR, &r),
			     i ? -EKEYREJECTED : 0);
		cr_expect_eq(svr_pki_peer_revocation(s.peer),
			     i ? SVR_PKI_REVOCATION_REVOKED : SVR_PKI_REVOCATION_STALE);
		scene_end(&s);
	}
	svr_pki_crl_free(list);
}

/* I95-64929: the timer of expiry overflowed beyond 49 days. */
Test(pki_crl, i95_64929_cached_verdicts_expire_on_their_day)
{
	static const int days[] = { 48, 49, 50, 51, 3650, 20000, 36500 };
	struct svr_pki_report r;
	struct scene s;
	int64_t end_sec;
	size_t i;

	for (i = 0; i < sizeof(days) / sizeof(days[0]); i++) {
		scene_begin(&s, 1, days[i]);
		end_sec = svr_pki_peer_info(s.peer)->not_after;
		cr_expect_eq(end_sec, now + days[i] * INT64_C(86400), "%d", days[i]);
		if (days[i] < 3000) { /* as long as the CA */
			cr_expect_eq(svr_pki_recheck(s.trust, s.peer, end_sec, &r), 0, "%d: %s",
				     days[i], r.text);
			cr_expect_eq(svr_pki_recheck(s.trust, s.peer, end_sec + 1, &r),
				     -EKEYREJECTED, "%d", days[i]);
			cr_expect_eq(r.verdict, SVR_PKI_EXPIRED);
		}
		scene_end(&s);
	}
}

/* ---- threads --------------------------------------------------------------------------------- */

struct asker {
	struct scene *s;
	bool stop; /* atomic */
	unsigned int asked, bad;
};

static void *ask(void *arg)
{
	struct asker *a = arg;
	struct svr_pki_report r;
	struct svr_pki_peer *peer;

	while (!__atomic_load_n(&a->stop, __ATOMIC_ACQUIRE) || a->asked < 20) {
		if (svr_pki_verify(a->s->trust, &a->s->der, 1, "west", NULL, now, &peer, &r) == 0)
			svr_pki_peer_free(peer);
		else if (r.verdict != SVR_PKI_REVOKED)
			a->bad++;
		a->asked++;
	}
	return NULL;
}

/* Key exchanges look at certificates on threads while the event loop takes lists into use. */
Test(pki_crl, lists_change_while_certificates_are_checked)
{
	struct svr_pki_crl *crl[64];
	struct asker a = { 0 };
	struct svr_pki_report r;
	struct scene s;
	pthread_t thread;
	int i;

	for (i = 0; i < 64; i++)
		crl[i] = list_of(i % 2 ? 4 : 3, (uint8_t)(i + 1), now);
	scene_begin(&s, 3, 0);
	a.s = &s;
	cr_assert_eq(pthread_create(&thread, NULL, ask, &a), 0);
	for (i = 0; i < 64; i++) {
		cr_expect_eq(svr_pki_crls_put(s.crls, crl[i], &r), 1, "%s", r.text);
		svr_pki_crl_free(crl[i]);
	}
	__atomic_store_n(&a.stop, true, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	cr_expect_eq(a.bad, 0);
	scene_end(&s);
}
