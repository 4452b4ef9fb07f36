// SPDX-License-Identifier: BSD-2-Clause
/* Own certificate, and what is trusted of a peer. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "keymgr.h"
#include "sys/log.h"

#define DEFAULT_PKI_DIR "/etc/svr/pki"

/*
 * Name that `svr certificate self-signed` gives the files unless told otherwise: good for a
 * directory of one router.
 */
#define DEFAULT_FILE_NAME "router"

const char *km_pki_dir(void)
{
	const char *dir = getenv("SVR_PKI_DIR");

	return dir && *dir ? dir : DEFAULT_PKI_DIR;
}

/*
 * Peers will refuse a certificate that does not fit the configuration: better to say so here, too.
 */
static void identity_check(const struct keymgr *km, const char *name)
{
	const struct svr_cfg_router *router = km->view->router;
	const uint8_t *fingerprint = svr_pki_identity_fingerprint(km->identity);
	char text[3 * SVR_PKI_FINGERPRINT_LEN];
	struct svr_pki_trust *trust = NULL;
	struct svr_pki_report report;

	svr_pki_fingerprint_text(fingerprint, text);
	pr_info("%s/%s.pem: fingerprint sha256:%s", km_pki_dir(), name, text);
	if (svr_pki_trust_new(&trust))
		return;
	svr_pki_trust_fingerprint(trust,
				  router->has_fingerprint ? router->fingerprint : fingerprint);
	if (svr_pki_identity_check(km->identity, trust, router->peering_common_name,
				   (int64_t)(km_now().real_ns / SVR_NS_PER_SEC), NULL, &report))
		pr_warn("%s/%s.pem: own %s; peers will refuse it", km_pki_dir(), name, report.text);
	svr_pki_trust_free(trust);
}

/* <router>.key and .pem, else router.key and .pem. @name: which of them was taken. */
static int identity_find(struct keymgr *km, const char **name, char *reason, size_t reason_len)
{
	char second[KM_REASON_LEN];
	int ret;

	*name = km->router;
	ret = svr_pki_identity_load(km_pki_dir(), km->router, &km->identity, reason, reason_len);
	if (ret != -ENOENT)
		return ret;
	ret = svr_pki_identity_load(km_pki_dir(), DEFAULT_FILE_NAME, &km->identity, second,
				    sizeof(second));
	if (ret == -ENOENT)
		return ret; /* the first name is the one to be reported */
	*name = DEFAULT_FILE_NAME;
	if (ret)
		snprintf(reason, reason_len, "%s", second);
	return ret;
}

int km_identity_load(struct keymgr *km)
{
	const char *dir = km_pki_dir(), *cn = km->view->router->peering_common_name, *name;
	uint8_t fingerprint[SVR_PKI_FINGERPRINT_LEN];
	char reason[KM_REASON_LEN], missing[KM_REASON_LEN];
	int ret;

	ret = identity_find(km, &name, reason, sizeof(reason));
	if (ret == -ENOENT) {
		snprintf(missing, sizeof(missing), "%s", reason);
		ret = svr_pki_self_signed(dir, km->router, cn, NULL, 0, fingerprint, reason,
					  sizeof(reason));
		if (!ret) {
			pr_info("%s: made %s/%s.key and a self-signed certificate for %s", missing,
				dir, km->router, cn);
			ret = svr_pki_identity_load(dir, km->router, &km->identity, reason,
						    sizeof(reason));
		} else if (ret == -EEXIST) { /* one of the two is there */
			snprintf(
				reason, sizeof(reason),
				"%.400s; key and certificate belong together: put both there, or none",
				missing);
		}
	}
	if (ret) {
		pr_err("%s", reason);
		return ret;
	}
	identity_check(km, name);
	return 0;
}

static void ca_issue(void *user, const struct svr_pki_report *report)
{
	(void)user;
	pr_warn("%s", report->text);
}

/*
 * The files of authority/trusted-ca-certificate; a bad one is left out, which can only refuse more.
 */
static int trust_add_cas(const struct keymgr *km, struct svr_pki_trust *trust)
{
	const struct svr_config *c = km->view->cfg;
	struct svr_pki_anchors *anchors;
	char path[KM_PATH_LEN];
	unsigned int i;
	int ret;

	ret = svr_pki_anchors_new(&anchors);
	if (ret)
		return ret;
	for (i = 0; i < c->n_trusted_cas; i++) {
		const struct svr_cfg_trusted_ca *ca = &c->trusted_cas[i];

		if (snprintf(path, sizeof(path), "%s/%s", km_pki_dir(), ca->file) >=
		    (int)sizeof(path))
			continue;
		if (svr_pki_anchors_add_file(anchors, ca->name, path,
					     ca->validation_mode == SVR_CFG_VALIDATE_STRICT,
					     (int64_t)(km_now().real_ns / SVR_NS_PER_SEC), ca_issue,
					     NULL) < 0)
			pr_warn("trusted-ca-certificate %s: nobody is trusted because of it",
				ca->name);
	}
	svr_pki_trust_anchors(trust, anchors);
	svr_pki_anchors_free(anchors);
	return 0;
}

int km_trust_new(const struct keymgr *km, const struct svr_view_peer *peer,
		 struct svr_pki_trust **out)
{
	int ret = svr_pki_trust_new(out);

	if (ret)
		return ret;
	svr_pki_trust_allow_self_signed(
		*out, km->view->key_management->allow_self_signed_peering_certificates);
	if (peer->has_fingerprint)
		svr_pki_trust_fingerprint(*out, peer->fingerprint);
	else
		ret = trust_add_cas(km, *out);
	if (ret) {
		svr_pki_trust_free(*out);
		*out = NULL;
	}
	return ret;
}
