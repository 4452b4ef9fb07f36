// SPDX-License-Identifier: BSD-2-Clause
/* Trusted CAs, the own certificate, and what follows when it is good no longer. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "alarms.h"
#include "certs.h"
#include "lib/alarms.h"
#include "lib/pki_file.h"
#include "sys/log.h"
#include "sys/pkidir.h"

/*
 * Name that `svr certificate self-signed` gives the files unless told otherwise: good for a
 * directory of one router.
 */
#define DEFAULT_FILE_NAME "router"

enum { CERTS_FILE_LEN = SVR_NAME_LEN + 8 };

int64_t km_now_sec(void)
{
	return (int64_t)(km_now().real_ns / SVR_NS_PER_SEC);
}

bool km_fail_hard(const struct keymgr *km)
{
	return km->view->key_management->invalid_certificate_behavior == SVR_CFG_FAIL_HARD;
}

enum svr_alarm_severity km_expiry_severity(enum svr_pki_expiry expiry)
{
	switch (expiry) {
	case SVR_PKI_EXPIRY_NONE:
		return SVR_ALARM_INFO;
	case SVR_PKI_EXPIRY_MONTH:
		return SVR_ALARM_MINOR;
	case SVR_PKI_EXPIRY_WEEK:
		return SVR_ALARM_MAJOR;
	case SVR_PKI_EXPIRY_EXPIRED:
		break;
	}
	return SVR_ALARM_CRITICAL;
}

const char *km_expiry_words(enum svr_pki_expiry expiry)
{
	switch (expiry) {
	case SVR_PKI_EXPIRY_NONE:
		return "later than in a month";
	case SVR_PKI_EXPIRY_MONTH:
		return "within a month";
	case SVR_PKI_EXPIRY_WEEK:
		return "within a week";
	case SVR_PKI_EXPIRY_EXPIRED:
		break;
	}
	return "now";
}

/* ---- trust ----------------------------------------------------------------------------------- */

static int trust_base(const struct keymgr *km, struct svr_pki_trust **out)
{
	const struct km_certs *c = km->certs;
	int ret = svr_pki_trust_new(out);

	if (ret)
		return ret;
	svr_pki_trust_allow_self_signed(
		*out, km->view->key_management->allow_self_signed_peering_certificates);
	svr_pki_trust_anchors(*out, c->anchors);
	svr_pki_trust_crls(*out, km_crl_set(c->crl));
	return 0;
}

int km_trust_new(const struct keymgr *km, const struct svr_view_peer *peer,
		 struct svr_pki_trust **out)
{
	int ret = trust_base(km, out);

	if (ret)
		return ret;
	svr_pki_trust_fail_soft(*out, !km_fail_hard(km));
	if (peer->has_fingerprint)
		svr_pki_trust_fingerprint(*out, peer->fingerprint);
	else if (km->identity)
		svr_pki_trust_own(*out, km->identity, km_now_sec());
	return 0;
}

/* Bundles with issues, while they are loaded. */
struct issues {
	struct km_certs *c;
	char name[SVR_PKI_BUNDLES_MAX][SVR_CFG_NAME_MAX + 1];
	unsigned int n;
};

static bool has_issue(const struct issues *list, const char *name)
{
	unsigned int i;

	for (i = 0; i < list->n; i++)
		if (strcmp(list->name[i], name) == 0)
			return true;
	return false;
}

static void on_issue(void *user, const char *bundle, const struct svr_pki_report *report)
{
	struct issues *list = user;

	pr_warn("trusted-ca-certificate %s: %s", bundle, report->text);
	km_alarm_raise(list->c->km->alarms, SVR_ALARM_MAJOR, SVR_ALARM_TRUSTED_CA, bundle,
		       KM_PROCESS, "Trusted CA certificate %s: %s", bundle, report->text);
	if (!has_issue(list, bundle) && list->n < SVR_PKI_BUNDLES_MAX)
		snprintf(list->name[list->n++], sizeof(list->name[0]), "%s", bundle);
}

/* Ends the alarms of a category whose source @keep does not want, those of the process before included. */
static void clear_alarms(struct km_certs *c, const char *category,
			 bool (*keep)(void *user, const char *source), void *user)
{
	const struct svr_alarmlog *log = km_alarms_log(c->km->alarms);
	size_t i = svr_alarmlog_count(log);
	struct svr_alarm alarm;

	while (i-- > 0) {
		alarm = *svr_alarmlog_get(log, i);
		if (strcmp(alarm.category, category) == 0 &&
		    strcmp(alarm.process, KM_PROCESS) == 0 && !keep(user, alarm.source))
			km_alarm_clear(c->km->alarms, category, alarm.source, KM_PROCESS);
	}
}

static bool keep_issue(void *user, const char *source)
{
	return has_issue(user, source);
}

static bool keep_list(void *user, const char *source)
{
	return km_crl_has(user, source);
}

static int load_anchors(struct km_certs *c)
{
	const struct svr_config *cfg = c->km->view->cfg;
	struct issues issues = { .c = c };
	struct svr_pki_anchors *anchors;
	int ret;

	c->anchors_stamp = svr_pkidir_anchors_stamp(c->dir, cfg);
	ret = svr_pkidir_anchors(c->dir, cfg, km_now_sec(), on_issue, &issues, &anchors);
	if (ret < 0)
		return ret;
	clear_alarms(c, SVR_ALARM_TRUSTED_CA, keep_issue, &issues);
	svr_pki_anchors_free(c->anchors);
	c->anchors = anchors;
	pr_debug("%d certificates of trusted CAs", ret);
	return 0;
}

/* ---- revocation lists ------------------------------------------------------------------------ */

static struct svr_pki_anchors *crl_anchors(void *user)
{
	struct km_certs *c = user;

	return c->anchors && svr_pki_anchors_count(c->anchors) ? svr_pki_anchors_use(c->anchors) :
								  NULL;
}

/* Every certificate that was shown, ours included: an issuer of lists may be among them. */
static unsigned int crl_issuers(void *user, struct svr_pki_der *out, unsigned int max)
{
	struct km_certs *c = user;
	struct km_peer_cert *p;
	unsigned int n = 0, i;
	size_t len;

	for (i = 1; c->km->identity && n < max; i++) {
		const uint8_t *der = svr_pki_identity_der(c->km->identity, i, &len);

		if (!der)
			break;
		out[n++] = (struct svr_pki_der){ der, len };
	}
	LIST_FOREACH(p, &c->peers, entry) {
		for (i = 1; p->shown && n < max; i++) {
			const uint8_t *der = svr_pki_peer_der(p->shown, i, &len);

			if (!der)
				break;
			out[n++] = (struct svr_pki_der){ der, len };
		}
	}
	return n;
}

static void crl_changed(void *user)
{
	struct km_certs *c = user;

	c->lists_changed = true;
	km_certs_wake(c);
}

static const struct km_crl_ops crl_ops = {
	.anchors = crl_anchors,
	.issuers = crl_issuers,
	.changed = crl_changed,
};

static void add_urls(struct km_certs *c, const uint8_t *der, size_t len)
{
	struct svr_pki_cert_info *info = malloc(sizeof(*info));
	unsigned int i;

	if (info && svr_pki_cert_info(der, len, info) == 0)
		for (i = 0; i < info->n_crl_urls; i++)
			km_crl_source(c->crl, info->crl_urls[i], false);
	free(info);
}

void km_certs_sources(struct km_certs *c)
{
	const struct svr_cfg_revocation *r = &c->km->view->cfg->revocation;
	struct km_peer_cert *p;
	const uint8_t *der;
	unsigned int i;
	size_t len;

	km_crl_sources_begin(c->crl, svr_config_polling_interval_s(r), r->backoff_interval_s);
	for (i = 0; i < r->n_url; i++)
		km_crl_source(c->crl, r->url[i], true);
	/* Without a CA there is nothing to check a list with: its servers need not be asked. */
	if (svr_pki_anchors_count(c->anchors) == 0)
		goto out;
	for (i = 0; (der = svr_pki_anchors_der(c->anchors, i, &len, NULL)); i++)
		add_urls(c, der, len);
	for (i = 0; c->km->identity && (der = svr_pki_identity_der(c->km->identity, i, &len)); i++)
		add_urls(c, der, len);
	LIST_FOREACH(p, &c->peers, entry)
		for (i = 0; p->shown && (der = svr_pki_peer_der(p->shown, i, &len)); i++)
			add_urls(c, der, len);
out:
	km_crl_sources_end(c->crl);
	clear_alarms(c, SVR_ALARM_CRL, keep_list, c->crl);
}

/* ---- the own certificate --------------------------------------------------------------------- */

static void remember_files(struct km_certs *c)
{
	char file[CERTS_FILE_LEN];

	snprintf(file, sizeof(file), "%s.key", c->name);
	c->key_stamp = svr_pkidir_stamp(c->dir, file);
	snprintf(file, sizeof(file), "%s.pem", c->name);
	c->pem_stamp = svr_pkidir_stamp(c->dir, file);
}

static bool has_file(const struct km_certs *c, const char *name)
{
	char file[CERTS_FILE_LEN];

	snprintf(file, sizeof(file), "%s.pem", name);
	return svr_pkidir_stamp(c->dir, file) != 0;
}

static int load_named(struct km_certs *c, const char *name, struct svr_pki_identity **out,
		      char *reason, size_t reason_len)
{
	snprintf(c->name, sizeof(c->name), "%s", name);
	remember_files(c); /* before they are read: what changes meanwhile is read again */
	return svr_pki_identity_load(c->dir, name, out, reason, reason_len);
}

/* Where no certificate is configured: <router>, else router, else one is made. */
static int load_default(struct km_certs *c, struct svr_pki_identity **out, char *reason,
			size_t reason_len)
{
	const char *cn = c->km->view->router->peering_common_name;
	uint8_t fingerprint[SVR_PKI_FINGERPRINT_LEN];
	char missing[KM_REASON_LEN];
	int ret;

	ret = load_named(c, DEFAULT_FILE_NAME, out, missing, sizeof(missing));
	if (ret != -ENOENT && !has_file(c, c->km->router)) {
		snprintf(reason, reason_len, "%s", missing);
		return ret;
	}
	svr_pki_identity_free(*out);
	ret = load_named(c, c->km->router, out, missing, sizeof(missing));
	snprintf(reason, reason_len, "%s", missing);
	if (ret != -ENOENT)
		return ret;
	/* Files that vanish under a running router take nothing from it, and nothing takes their place. */
	if (c->km->identity && !c->configuring)
		return ret;
	if (!c->km->view->key_management->allow_self_signed_peering_certificates) {
		snprintf(
			reason, reason_len,
			"%.400s; allow-self-signed-peering-certificates is false, so none is made",
			missing);
		return ret;
	}
	ret = svr_pki_self_signed(c->dir, c->km->router, cn, NULL, 0, fingerprint, reason,
				  reason_len);
	/* One of the two is there. A key is one that waits, or we were killed before the certificate. */
	if (ret == -EEXIST)
		ret = svr_pki_self_sign(c->dir, c->km->router, cn, 0, fingerprint, reason,
					reason_len);
	if (ret == -ENOENT)
		snprintf(reason, reason_len,
			 "%.400s; key and certificate belong together: put both there, or none",
			 missing);
	if (ret)
		return ret;
	pr_info("%s: made a self-signed certificate for %s, %s/%s.pem", missing, cn, c->dir,
		c->km->router);
	return load_named(c, c->km->router, out, reason, reason_len);
}

static int load_identity(struct km_certs *c, struct svr_pki_identity **out, char *reason,
			 size_t reason_len)
{
	const struct svr_router_view *view = c->km->view;
	const char *name = svr_config_client_certificate(view->cfg, view->router);

	*out = NULL;
	return name ? load_named(c, name, out, reason, reason_len) :
		      load_default(c, out, reason, reason_len);
}

static bool same_identity(const struct svr_pki_identity *a, const struct svr_pki_identity *b)
{
	unsigned int i;
	size_t a_len = 0, b_len = 0;

	if (!a || !b)
		return a == b;
	for (i = 0; i < SVR_PKI_CHAIN_MAX; i++) {
		const uint8_t *x = svr_pki_identity_der(a, i, &a_len),
			      *y = svr_pki_identity_der(b, i, &b_len);

		if (!x || !y)
			return x == y;
		if (a_len != b_len || memcmp(x, y, a_len) != 0)
			return false;
	}
	return true;
}

/*
 * Takes the files as they are now. What cannot be read does not take the place of what was read
 * before. True if the identity is another one.
 */
static bool reload_identity(struct km_certs *c)
{
	struct svr_pki_identity *id;
	struct keymgr *km = c->km;
	char text[3 * SVR_PKI_FINGERPRINT_LEN], reason[KM_REASON_LEN] = "";
	int ret;

	if (km_static(c->km))
		return false; /* nobody asks for a certificate */
	ret = load_identity(c, &id, reason, sizeof(reason));
	if (ret) {
		if (strcmp(reason, c->missing) != 0)
			pr_err("%s%s", reason, km->identity ? "; the one before stays in use" : "");
		snprintf(c->missing, sizeof(c->missing), "%s", reason);
		return false;
	}
	c->missing[0] = '\0';
	if (same_identity(id, km->identity)) {
		svr_pki_identity_free(id);
		return false;
	}
	svr_pki_fingerprint_text(svr_pki_identity_fingerprint(id), text);
	pr_info("%s/%s.pem: fingerprint sha256:%s", c->dir, c->name, text);
	c->old_identity = km->identity;
	km->identity = id;
	return true;
}

/* Peerings hold references of their own while they need the one before. */
static void give_identity(struct km_certs *c)
{
	struct keymgr *km = c->km;
	unsigned int i;

	for (i = 0; i < km->n_peers; i++)
		if (km->peer[i].peering)
			svr_peering_set_identity(km->peer[i].peering, km->identity);
	svr_pki_identity_free(c->old_identity);
	c->old_identity = NULL;
}

/* ---- what is thought of it ------------------------------------------------------------------- */

/* Ends or begins all peering. */
static void bar(struct km_certs *c, const char *why)
{
	struct keymgr *km = c->km;
	unsigned int i;

	if (why && !c->barred[0])
		pr_err("all peering ends: %s", why);
	else if (!why && c->barred[0])
		pr_info("peering begins again");
	snprintf(c->barred, sizeof(c->barred), "%s", why ? why : "");
	for (i = 0; i < km->n_peers; i++) {
		if (!km->peer[i].peering)
			continue;
		svr_peering_bar(km->peer[i].peering, why);
		km_peer_schedule(&km->peer[i]);
	}
}

static void judge_own(struct km_certs *c, int64_t now_sec, struct svr_pki_report *report)
{
	const struct svr_cfg_router *router = c->km->view->router;
	struct svr_pki_trust *trust;

	c->own_revocation = SVR_PKI_REVOCATION_UNKNOWN;
	*report = (struct svr_pki_report){ .verdict = SVR_PKI_INTERNAL };
	snprintf(report->text, sizeof(report->text), "out of memory");
	if (!c->km->identity) {
		report->verdict = SVR_PKI_UNPARSABLE;
		snprintf(report->text, sizeof(report->text), "%.300s", c->missing);
		return;
	}
	if (trust_base(c->km, &trust))
		return;
	if (router->has_fingerprint)
		svr_pki_trust_fingerprint(trust, router->fingerprint);
	(void)svr_pki_identity_check(c->km->identity, trust, router->peering_common_name, now_sec,
				     &c->own_revocation, report);
	svr_pki_trust_free(trust);
}

static void tell_own(struct km_certs *c)
{
	struct km_alarms *alarms = c->km->alarms;
	char date[40] = "";

	if (!c->km->view->enhanced_security_key_management) {
		km_alarm_clear(alarms, SVR_ALARM_CERTIFICATE, c->km->router, KM_PROCESS);
		return;
	}
	if (!c->km->identity) {
		km_alarm_raise(alarms, SVR_ALARM_CRITICAL, SVR_ALARM_CERTIFICATE, c->km->router,
			       KM_PROCESS, "Certificate of router %s is missing: %s",
			       c->km->router, c->missing);
		return;
	}
	if (c->own.verdict != SVR_PKI_OK) {
		km_alarm_raise(alarms, SVR_ALARM_CRITICAL, SVR_ALARM_CERTIFICATE, c->km->router, KM_PROCESS,
			       "Certificate of router %s is invalid: %s - %s", c->km->router,
			       svr_pki_verdict_name(c->own.verdict), c->own.text);
		return;
	}
	if (c->missing[0]) {
		km_alarm_raise(alarms, SVR_ALARM_MAJOR, SVR_ALARM_CERTIFICATE, c->km->router, KM_PROCESS,
			       "Certificate of router %s on disk cannot be used, the one before is: %s",
			       c->km->router, c->missing);
		return;
	}
	if (c->own_expiry == SVR_PKI_EXPIRY_NONE) {
		km_alarm_clear(alarms, SVR_ALARM_CERTIFICATE, c->km->router, KM_PROCESS);
		return;
	}
	svr_pki_date_text(svr_pki_identity_info(c->km->identity)->not_after, date, sizeof(date));
	km_alarm_raise(alarms, km_expiry_severity(c->own_expiry), SVR_ALARM_CERTIFICATE, c->km->router,
		       KM_PROCESS, "Certificate of router %s expires %s, on %s", c->km->router,
		       km_expiry_words(c->own_expiry), date);
}

/* invalid-certificate-behavior, for the own certificate. */
static void own_changed(struct km_certs *c)
{
	const int64_t now_sec = km_now_sec(); /* verdict and expiry are of the same second */
	struct svr_pki_report report;
	bool bad;

	if (km_static(c->km)) {
		km_alarm_clear(c->km->alarms, SVR_ALARM_CERTIFICATE, c->km->router, KM_PROCESS);
		bar(c, NULL);
		return;
	}
	judge_own(c, now_sec, &report);
	if (report.verdict != c->own.verdict)
		km_counter_verdict(c->km, false, svr_pki_verdict_class(report.verdict));
	c->own = report;
	c->own_expiry =
		c->km->identity ?
			svr_pki_expiry(svr_pki_identity_info(c->km->identity)->not_after, now_sec) :
			SVR_PKI_EXPIRY_NONE;
	tell_own(c);
	bad = report.verdict != SVR_PKI_OK;
	/* Without key management nobody asks for a certificate; without a certificate nobody is shown one. */
	bad = bad && km_fail_hard(c->km) && c->km->view->enhanced_security_key_management;
	bar(c, !c->km->identity || bad ? report.text : NULL);
}

/* ---- what changes ---------------------------------------------------------------------------- */

void km_certs_wake(struct km_certs *c)
{
	const struct timeval now = { 0 };

	evtimer_add(c->work, &now);
}

static void on_work(evutil_socket_t fd, short what, void *arg)
{
	struct km_certs *c = arg;

	(void)fd, (void)what;
	if (c->lists_changed) {
		c->lists_changed = false;
		own_changed(c);
		km_peercerts_due(c);
	}
	if (!km_crl_ready(c->crl))
		return;
	if (km_peercerts_work(c))
		km_certs_wake(c);
	else
		c->judged = true;
}

static bool files_changed(struct km_certs *c)
{
	const struct svr_router_view *view = c->km->view;
	uint64_t key = c->key_stamp, pem = c->pem_stamp;
	bool other;

	/* Where none is configured, the first choice may have come meanwhile. */
	other = !svr_config_client_certificate(view->cfg, view->router) &&
		strcmp(c->name, c->km->router) != 0 && has_file(c, c->km->router);
	remember_files(c);
	return other || key != c->key_stamp || pem != c->pem_stamp;
}

static void identity_changed(struct km_certs *c)
{
	give_identity(c);
	km_peercerts_again(c);
	km_certs_sources(c);
	km_peercerts_due(c); /* anchors do not mix: ours may be another one now */
	km_certs_wake(c);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct km_certs *c = arg;
	struct keymgr *km = c->km;
	bool own = false;

	(void)fd, (void)what;
	if (!km->view)
		return;
	if (svr_pkidir_anchors_stamp(c->dir, km->view->cfg) != c->anchors_stamp &&
	    load_anchors(c) == 0) {
		km_crl_anchors_changed(c->crl);
		km_certs_sources(c);
		km_peercerts_due(c);
		own = true;
	}
	if (files_changed(c)) {
		if (reload_identity(c))
			identity_changed(c);
		own = true;
	}
	if (km->identity && !km_static(km) &&
	    svr_pki_expiry(svr_pki_identity_info(km->identity)->not_after, km_now_sec()) !=
		    c->own_expiry)
		own = true;
	if (own)
		own_changed(c);
	km_peercerts_tick(c);
	km_certs_notes(c);
	if (own || c->lists_changed || !c->judged)
		km_certs_wake(c);
}

/* ---- begin and end --------------------------------------------------------------------------- */

bool km_certs_ready(const struct keymgr *km)
{
	const struct km_certs *c = km->certs;

	/* No list is being read before the first one was named, nor before certificates have named the rest. */
	return c->judged && km_crl_ready(c->crl) && !c->lists_changed;
}

int km_certs_config(struct keymgr *km)
{
	struct km_certs *c = km->certs;
	int ret = load_anchors(c);

	if (ret)
		return ret;
	c->configuring = true;
	if (reload_identity(c)) {
		give_identity(c);
		km_peercerts_again(c);
	}
	c->configuring = false;
	return 0;
}

void km_certs_peers(struct keymgr *km)
{
	struct km_certs *c = km->certs;

	km_peercerts_config(c);
	km_certs_sources(c);
	own_changed(c);
	km_certs_wake(c);
}

int km_certs_new(struct keymgr *km)
{
	const struct timeval second = { .tv_sec = KM_CERTS_TICK_SEC };
	struct km_certs *c = calloc(1, sizeof(*c));
	int ret;

	if (!c)
		return -ENOMEM;
	km->certs = c;
	c->km = km;
	LIST_INIT(&c->peers);
	ret = svr_pkidir(km->router, c->dir, sizeof(c->dir));
	if (!ret)
		ret = km_crl_new(km, c->dir, &crl_ops, c, &c->crl);
	if (ret)
		return ret;
	svr_pkidir_sweep(c->dir);
	c->work = evtimer_new(km->base, on_work, c);
	c->tick = event_new(km->base, -1, EV_PERSIST, on_tick, c);
	return c->work && c->tick && event_add(c->tick, &second) == 0 ? 0 : -ENOMEM;
}

void km_certs_free(struct keymgr *km)
{
	struct km_certs *c = km->certs;

	if (!c)
		return;
	km->certs = NULL;
	if (c->tick)
		event_free(c->tick);
	if (c->work)
		event_free(c->work);
	km_peercerts_free(c);
	km_crl_free(c->crl);
	svr_pki_anchors_free(c->anchors);
	svr_pki_identity_free(c->old_identity);
	free(c);
}
