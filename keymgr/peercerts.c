// SPDX-License-Identifier: BSD-2-Clause
/*
 * What peers have shown: the verdict and the public key are kept, in memory and in <pki dir>/peers,
 * and made again when a list, a CA, a date or the configuration changes.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include "alarms.h"
#include "certs.h"
#include "lib/alarms.h"
#include "lib/pki_file.h"
#include "sys/jobs.h"
#include "sys/log.h"

#define PEM_NAME   "CERTIFICATE"

enum {
	PEERS_PEM_MAX = 2 * SVR_PKI_CHAIN_BYTES_MAX, /* bytes; base64 takes a third more */
	PEERS_FILE_LEN = SVR_NAME_LEN + 8,
};

static struct km_peer_cert *find(const struct km_certs *c, const char *common_name)
{
	struct km_peer_cert *p;

	LIST_FOREACH(p, &c->peers, entry)
		if (strcmp(p->common_name, common_name) == 0)
			return p;
	return NULL;
}

/* ---- on disk --------------------------------------------------------------------------------- */

struct save_job {
	char dir[KM_PATH_LEN], file[PEERS_FILE_LEN];
	char *pem; /* NULL: remove it */
	size_t len;
	int error;
	char reason[KM_REASON_LEN];
};

static void peers_dir(const struct km_certs *c, char out[static KM_PATH_LEN])
{
	if (snprintf(out, KM_PATH_LEN, "%s/peers", c->dir) >= KM_PATH_LEN)
		out[0] = '\0'; /* refused when it is used */
}

static void work_save(void *arg)
{
	struct save_job *j = arg;

	if (j->pem)
		j->error = svr_pki_file_write(j->dir, j->file, 0600, true, j->pem, j->len,
					      j->reason, sizeof(j->reason));
	else
		(void)svr_pki_file_remove(j->dir, j->file); /* it may never have been there */
}

static void on_saved(void *arg, int cancelled)
{
	struct save_job *j = arg;

	if (!cancelled && j->error) /* the peer shows it again after the next restart */
		pr_warn("certificate of a peer cannot be kept: %s", j->reason);
	free(j->pem);
	free(j);
}

static int to_pem(const struct svr_pki_peer *shown, struct save_job *j)
{
	BIO *bio = BIO_new(BIO_s_mem());
	const uint8_t *der;
	unsigned int i;
	char *text;
	size_t len;
	long n;
	int ok = bio != NULL;

	for (i = 0; ok && (der = svr_pki_peer_der(shown, i, &len)); i++)
		ok = PEM_write_bio(bio, PEM_NAME, "", der, (long)len) > 0;
	n = ok ? BIO_get_mem_data(bio, &text) : 0;
	j->pem = n > 0 ? malloc((size_t)n) : NULL;
	if (j->pem) {
		memcpy(j->pem, text, (size_t)n);
		j->len = (size_t)n;
	}
	BIO_free(bio);
	ERR_clear_error();
	return j->pem ? 0 : -ENOMEM;
}

/* @shown: NULL: nothing is kept any more. fsync may take its time, so it is done on a thread. */
static void save(struct km_certs *c, const char *common_name, const struct svr_pki_peer *shown)
{
	struct save_job *j = calloc(1, sizeof(*j));

	if (!j || (shown && to_pem(shown, j))) {
		free(j);
		return;
	}
	peers_dir(c, j->dir);
	snprintf(j->file, sizeof(j->file), "%s.pem", common_name);
	if (svr_jobs_submit(c->km->jobs, work_save, on_saved, j))
		on_saved(j, 1);
}

struct chain {
	struct svr_pki_der der[SVR_PKI_CHAIN_MAX];
	unsigned int count;
};

static void chain_free(struct chain *chain)
{
	unsigned int i;

	for (i = 0; i < chain->count; i++)
		OPENSSL_free((void *)chain->der[i].data);
	chain->count = 0;
}

/* 0, -ENOENT, or negative errno: what cannot be read is as if it was not there. */
static int read_back(const struct km_certs *c, const char *common_name, struct chain *chain)
{
	char dir[KM_PATH_LEN], path[KM_PATH_LEN + PEERS_FILE_LEN], reason[KM_REASON_LEN];
	char *text, *name = NULL, *header = NULL;
	unsigned char *data = NULL;
	size_t len;
	long n;
	BIO *bio;
	int ret;

	chain->count = 0;
	peers_dir(c, dir);
	snprintf(path, sizeof(path), "%s/%s.pem", dir, common_name);
	ret = svr_pki_file_read(path, PEERS_PEM_MAX, false, &text, &len, reason, sizeof(reason));
	if (ret)
		return ret;
	bio = BIO_new_mem_buf(text, (int)len);
	while (bio && chain->count < SVR_PKI_CHAIN_MAX &&
	       PEM_read_bio(bio, &name, &header, &data, &n) == 1) {
		OPENSSL_free(name);
		OPENSSL_free(header);
		chain->der[chain->count++] = (struct svr_pki_der){ data, (size_t)n };
	}
	ERR_clear_error(); /* the end of a PEM file is an error to libcrypto */
	BIO_free(bio);
	free(text);
	return chain->count ? 0 : -EBADMSG;
}

/* ---- judging --------------------------------------------------------------------------------- */

static bool has_keys(const struct km_peer *peer)
{
	return peer->peering->keys.tx < SVR_KEY_SLOTS;
}

/* Was the key that is in use agreed with the certificate of this fingerprint? */
static bool keys_are_of(const struct km_peer *peer, const uint8_t *fingerprint)
{
	return CRYPTO_memcmp(peer->peering->keys.cert_fingerprint, fingerprint,
			     SVR_PKI_FINGERPRINT_LEN) == 0;
}

/*
 * A certificate that was kept, judged as if it was shown now. 0 with a verdict in @report (p->shown
 * may stay NULL), -ENOENT if nothing fits the keys in use.
 */
static int judge_kept(struct km_certs *c, struct km_peer *peer, struct km_peer_cert *p,
		      int64_t now_sec, struct svr_pki_report *report)
{
	const uint8_t *own =
		c->km->identity ? svr_pki_identity_fingerprint(c->km->identity) : NULL;
	struct svr_pki_cert_info *info = malloc(sizeof(*info));
	struct chain chain = { .count = 0 };
	int ret = info ? read_back(c, p->common_name, &chain) : -ENOMEM;

	if (!ret)
		ret = svr_pki_cert_info(chain.der[0].data, chain.der[0].len, info);
	if (!ret && has_keys(peer) && !keys_are_of(peer, info->fingerprint))
		ret = -ENOENT;
	if (!ret)
		(void)svr_pki_verify(peer->trust, chain.der, chain.count, p->common_name, own,
				     now_sec, &p->shown, report);
	chain_free(&chain);
	free(info);
	return ret ? -ENOENT : 0;
}

static void tell(struct km_certs *c, const struct km_peer *peer, struct km_peer_cert *p)
{
	const char *name = peer->name;
	char date[40];

	if (p->report.verdict != SVR_PKI_OK) {
		km_alarm_raise(c->km->alarms, SVR_ALARM_CRITICAL, SVR_ALARM_PEER_CERTIFICATE, name, KM_PROCESS,
			       "Peer %s certificate is invalid: %s - %s", name,
			       svr_pki_verdict_name(p->report.verdict), p->report.text);
		return;
	}
	if (p->expiry == SVR_PKI_EXPIRY_NONE) {
		km_alarm_clear(c->km->alarms, SVR_ALARM_PEER_CERTIFICATE, name, KM_PROCESS);
		return;
	}
	svr_pki_date_text(svr_pki_peer_info(p->shown)->not_after, date, sizeof(date));
	km_alarm_raise(c->km->alarms, km_expiry_severity(p->expiry), SVR_ALARM_PEER_CERTIFICATE, name, KM_PROCESS,
		       "Peer %s certificate expires %s, on %s", name, km_expiry_words(p->expiry),
		       date);
}

/* invalid-certificate-behavior: what fail-soft tells, fail-hard also does. */
static void act(struct km_certs *c, struct km_peer *peer, struct km_peer_cert *p)
{
	bool bad = p->report.verdict != SVR_PKI_OK;

	tell(c, peer, p);
	if (bad && km_fail_hard(c->km)) {
		if (has_keys(peer))
			pr_err("peer %s: certificate is invalid, peering ends: %s", peer->name,
			       p->report.text);
		svr_peering_forget(peer->peering, p->report.text);
		p->forgotten = true;
	} else {
		/* Keys were agreed under the rules of before; they hold under these, too. */
		svr_peering_accept(peer->peering);
		p->forgotten = false;
	}
	km_peer_schedule(peer);
}

static int renew_trust(struct km_peer *peer)
{
	struct svr_pki_trust *trust;
	int ret = km_trust_new(peer->km, &peer->km->view->peers[peer->view], &trust);

	if (ret)
		return ret;
	svr_peering_set_trust(peer->peering, trust);
	svr_pki_trust_free(peer->trust);
	peer->trust = trust;
	return 0;
}

static void judge(struct km_certs *c, struct km_peer *peer, struct km_peer_cert *p)
{
	struct svr_pki_report report = { .verdict = SVR_PKI_OK };
	const int64_t now_sec = km_now_sec(); /* verdict and expiry are of the same second */

	if (renew_trust(peer))
		return;
	if (p->shown) {
		(void)svr_pki_recheck(peer->trust, p->shown, now_sec, &report);
	} else if (judge_kept(c, peer, p, now_sec, &report)) {
		/* An older version kept none, or it was lost: the peer is asked to show it. */
		p->again = has_keys(peer);
		svr_peering_accept(peer->peering);
		return;
	}
	if (!p->judged || report.verdict != p->report.verdict)
		km_counter_verdict(c->km, true, svr_pki_verdict_class(report.verdict));
	p->report = report;
	p->judged = true;
	p->expiry = p->shown ? svr_pki_expiry(svr_pki_peer_info(p->shown)->not_after, now_sec) :
			       SVR_PKI_EXPIRY_NONE;
	act(c, peer, p);
}

void km_peercerts_due(struct km_certs *c)
{
	struct km_peer_cert *p;

	LIST_FOREACH(p, &c->peers, entry)
		p->due = true;
}

bool km_peercerts_work(struct km_certs *c)
{
	struct keymgr *km = c->km;
	unsigned int i, done = 0;

	if (km_static(km))
		return false; /* no key of theirs depends on a certificate */
	for (i = 0; i < km->n_peers; i++) {
		struct km_peer_cert *p = km->peer[i].cert;

		if (!p || !p->due)
			continue;
		if (done++ == KM_CERTS_BATCH)
			return true;
		p->due = false;
		judge(c, &km->peer[i], p);
	}
	if (done)
		km_certs_sources(c);
	return false;
}

/* ---- what peerings tell ---------------------------------------------------------------------- */

/* The chain that was accepted, judged here once more: a peering keeps its own only for an exchange. */
static struct svr_pki_peer *copy(const struct km_peer *peer, const struct svr_pki_peer *shown,
				 struct svr_pki_report *report)
{
	struct svr_pki_der der[SVR_PKI_CHAIN_MAX];
	struct svr_pki_peer *out = NULL;
	unsigned int n = 0;
	size_t len;

	while (n < SVR_PKI_CHAIN_MAX && (der[n].data = svr_pki_peer_der(shown, n, &len))) {
		der[n].len = len;
		n++;
	}
	(void)svr_pki_verify(peer->trust, der, n, peer->peer_name, NULL, km_now_sec(), &out,
			     report);
	return out;
}

static bool same_chain(const struct svr_pki_peer *a, const struct svr_pki_peer *b)
{
	size_t a_len = 0, b_len = 0;
	unsigned int i;

	for (i = 0; i < SVR_PKI_CHAIN_MAX; i++) {
		const uint8_t *x = svr_pki_peer_der(a, i, &a_len),
			      *y = svr_pki_peer_der(b, i, &b_len);

		if (!x || !y)
			return x == y;
		if (a_len != b_len || memcmp(x, y, a_len) != 0)
			return false;
	}
	return true;
}

void km_certs_confirmed(struct km_peer *peer, const struct svr_pki_peer *shown)
{
	struct km_certs *c = peer->km->certs;
	struct km_peer_cert *p = peer->cert;
	char text[3 * SVR_PKI_FINGERPRINT_LEN];
	struct svr_pki_report report;
	struct svr_pki_peer *mine;

	if (!p)
		return;
	p->again = false;
	p->refused = SVR_PKI_OK;
	if (p->shown && same_chain(p->shown, shown) && p->report.verdict == SVR_PKI_OK)
		return;
	mine = copy(peer, shown, &report);
	if (mine) {
		svr_pki_fingerprint_text(svr_pki_peer_fingerprint(mine), text);
		pr_info("peer %s: certificate sha256:%s", peer->name, text);
		svr_pki_peer_free(p->shown);
		p->shown = mine;
		save(c, p->common_name, mine);
	}
	p->judged = false; /* another certificate: its verdict counts anew */
	p->due = true; /* not from inside the peering that tells it */
	km_certs_wake(c);
}

/* The alarm about it is that of a peer that cannot be authenticated (peer_alarms.c). */
void km_certs_refused(struct km_peer *peer, const struct svr_pki_report *report)
{
	struct km_peer_cert *p = peer->cert;

	if (!p || p->refused == report->verdict)
		return; /* counted, and not with each try */
	p->refused = report->verdict;
	km_counter_verdict(peer->km, true, svr_pki_verdict_class(report->verdict));
}

/* ---- once a second --------------------------------------------------------------------------- */

void km_peercerts_again(struct km_certs *c)
{
	struct km_peer_cert *p;

	LIST_FOREACH(p, &c->peers, entry) {
		p->again = true;
		p->again_ns = 0;
	}
}

/* An exchange under the key in use, so nothing is lost; it shows our certificate, and asks for theirs. */
static void authenticate_again(struct km_certs *c, struct km_peer *peer, struct km_peer_cert *p)
{
	uint64_t now_ns = km_now().mono_ns;
	int ret;

	if (!p->again || now_ns < p->again_ns || c->barred[0])
		return;
	ret = svr_peering_rekey(peer->peering);
	if (ret == -EAGAIN || ret == -EBUSY)
		return; /* the next tick */
	if (ret == -ENOKEY) /* the exchange that makes one shows the new certificate by itself */
		p->again = false;
	p->again_ns = now_ns + KM_CERTS_AGAIN_SEC * SVR_NS_PER_SEC;
	km_peer_schedule(peer);
}

void km_peercerts_tick(struct km_certs *c)
{
	struct keymgr *km = c->km;
	bool due = false;
	unsigned int i;

	if (km_static(km))
		return;
	for (i = 0; i < km->n_peers; i++) {
		struct km_peer *peer = &km->peer[i];
		struct km_peer_cert *p = peer->cert;

		if (!p)
			continue;
		authenticate_again(c, peer, p);
		/* Dates are looked at each second: no timer has to hold for longer than it can. */
		if (p->shown && svr_pki_expiry(svr_pki_peer_info(p->shown)->not_after,
					       km_now_sec()) != p->expiry)
			p->due = true;
		due = due || p->due;
	}
	if (due)
		km_certs_wake(c);
}

/* ---- configuration --------------------------------------------------------------------------- */

static void entry_free(struct km_peer_cert *p)
{
	LIST_REMOVE(p, entry);
	svr_pki_peer_free(p->shown);
	free(p);
}

static struct km_peer_cert *entry_new(struct km_certs *c, const char *common_name)
{
	struct km_peer_cert *p = calloc(1, sizeof(*p));

	if (!p) {
		pr_err("%s: %s", common_name, strerror(ENOMEM));
		return NULL;
	}
	snprintf(p->common_name, sizeof(p->common_name), "%s", common_name);
	LIST_INSERT_HEAD(&c->peers, p, entry);
	return p;
}

/* Keys are static now: what was thought of a certificate is of no meaning. The file stays. */
static void entry_reset(struct km_certs *c, struct km_peer_cert *p)
{
	svr_pki_peer_free(p->shown);
	p->shown = NULL;
	p->report = (struct svr_pki_report){ .verdict = SVR_PKI_OK };
	p->expiry = SVR_PKI_EXPIRY_NONE;
	p->judged = p->forgotten = p->again = false;
	km_alarm_clear(c->km->alarms, SVR_ALARM_PEER_CERTIFICATE, p->peer_name, KM_PROCESS);
}

void km_peercerts_config(struct km_certs *c)
{
	struct keymgr *km = c->km;
	struct km_peer_cert *p, *next;
	unsigned int i;

	LIST_FOREACH(p, &c->peers, entry)
		p->present = false;
	for (i = 0; i < km->n_peers; i++) {
		const char *common_name = km->peer[i].peer_name;

		p = find(c, common_name);
		if (!p)
			p = entry_new(c, common_name);
		km->peer[i].cert = p;
		if (!p)
			continue;
		p->present = true;
		p->due = true;
		snprintf(p->peer_name, sizeof(p->peer_name), "%s", km->peer[i].name);
		if (km_static(km))
			entry_reset(c, p);
	}
	for (p = LIST_FIRST(&c->peers); p; p = next) {
		next = LIST_NEXT(p, entry);
		if (p->present)
			continue;
		save(c, p->common_name, NULL);
		km_alarm_clear(km->alarms, SVR_ALARM_PEER_CERTIFICATE, p->peer_name, KM_PROCESS);
		entry_free(p);
	}
}

void km_peercerts_free(struct km_certs *c)
{
	while (!LIST_EMPTY(&c->peers))
		entry_free(LIST_FIRST(&c->peers));
}
