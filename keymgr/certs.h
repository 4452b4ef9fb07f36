/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Certificates of the router and of its peers: which one is used, what is thought of it now, and
 * what follows from that (docs/certificates.md).
 *
 *	certs.c		trusted CAs, the own certificate, files that change, invalid-certificate-behavior
 *	peercerts.c	what peers have shown: kept, judged again when anything changes
 *	crl.c		revocation lists
 *	show_certs.c	commands of the control socket
 *
 * Nothing here waits: files are small, verdicts are made a few at a time, the rest is on threads.
 */
#ifndef SVR_KEYMGR_CERTS_H
#define SVR_KEYMGR_CERTS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include <svr/limits.h>

#include "alarms.h"
#include "counters.h"
#include "crl.h"
#include "keymgr.h"

enum km_certs_limits {
	KM_CERTS_TICK_SEC = 1, /* files, dates and authentications that are due are looked at */
	KM_CERTS_BATCH = 8, /* verdicts in one turn of the event loop, a third of a millisecond each */
	KM_CERTS_AGAIN_SEC = 30, /* a new authentication that came to nothing is tried again */
};

/* The certificate of one peer, as it was accepted last. */
struct km_peer_cert {
	char common_name[SVR_NAME_LEN];
	char peer_name[SVR_NAME_LEN]; /* what the configuration calls it: source of its alarms */
	struct svr_pki_peer *shown; /* NULL: none, or refused when it was read back */
	struct svr_pki_report report; /* the last verdict */
	enum svr_pki_expiry expiry; /* at that time */
	enum svr_pki_verdict refused; /* of the last certificate that was refused; OK: none */
	bool judged; /* report says something */
	bool due; /* to be judged */
	bool forgotten; /* fail-hard took its keys */
	bool present; /* configured */
	bool again; /* to be authenticated again, under another certificate of ours */
	uint64_t again_ns; /* monotonic: not before */
	LIST_ENTRY(km_peer_cert) entry;
};

struct km_certs {
	struct keymgr *km;
	char dir[KM_PATH_LEN];
	struct svr_pki_anchors *anchors;
	uint64_t anchors_stamp;
	struct km_crl *crl;
	bool lists_changed;
	bool judged; /* all that was kept, once: every certificate has named its lists */
	struct event *tick, *work;
	/* the own certificate */
	char name[SVR_NAME_LEN]; /* of its files */
	struct svr_pki_identity *old_identity; /* until all peerings have the new one */
	uint64_t key_stamp, pem_stamp;
	char missing[KM_REASON_LEN]; /* why there is none, or why the new one is not used; "" = nothing */
	struct svr_pki_report own;
	enum svr_pki_revocation_state own_revocation;
	enum svr_pki_expiry own_expiry;
	char barred[KM_REASON_LEN]; /* why there is no peering; "" = there is */
	bool configuring; /* a configuration is being taken: a certificate may be made */
	bool notes_failed;
	LIST_HEAD(, km_peer_cert) peers;
};

/* Once, before the first configuration. 0 or negative errno. */
int km_certs_new(struct keymgr *km);
void km_certs_free(struct keymgr *km); /* after the pool of threads */

/*
 * A configuration was taken: CAs and own certificate, before its peers are made. Without a
 * certificate km->identity is NULL and all peers are barred. 0 or negative errno.
 */
int km_certs_config(struct keymgr *km);
/* Its peers were made: what they have shown is judged. */
void km_certs_peers(struct keymgr *km);

/* False while revocation lists that were kept are still read: nobody new is to be authenticated. */
bool km_certs_ready(const struct keymgr *km);

/* Of a peering: its certificate was accepted and the key confirmed; or it was refused. */
void km_certs_confirmed(struct km_peer *peer, const struct svr_pki_peer *shown);
void km_certs_refused(struct km_peer *peer, const struct svr_pki_report *report);

/* What is asked of a peer now. 0 or negative errno. */
int km_trust_new(const struct keymgr *km, const struct svr_view_peer *peer,
		 struct svr_pki_trust **out);

/* Adds local_cert and peer_cert: what stands in them, and the verdicts. */
void km_certs_show_peer(const struct km_peer *peer, struct json_object *o);

/* An answer to a command of the control socket, NULL if it is not about certificates. */
struct json_object *km_certs_request(struct keymgr *km, const char *command,
				     struct json_object *request);

/* ---- between certs.c and peercerts.c --------------------------------------------------------- */

/* Keeps and drops entries for the peers of the configuration; all are due. */
void km_peercerts_config(struct km_certs *c);
void km_peercerts_free(struct km_certs *c);
/* All are to be judged: CAs, lists or the own certificate have changed. */
void km_peercerts_due(struct km_certs *c);
/* All are to be authenticated again. */
void km_peercerts_again(struct km_certs *c);
/* Judges some. True: there are more. */
bool km_peercerts_work(struct km_certs *c);
/* Once a second: dates, and new authentications. */
void km_peercerts_tick(struct km_certs *c);

/* What commands have done: counted, and made events. */
void km_certs_notes(struct km_certs *c);
/* Verdicts, sources or authentications are due: work goes on in the next turn of the event loop. */
void km_certs_wake(struct km_certs *c);
/* Distribution points of all certificates, to the manager of the lists. */
void km_certs_sources(struct km_certs *c);
/* "minor" a month before, "major" a week before. */
enum svr_alarm_severity km_expiry_severity(enum svr_pki_expiry expiry);
const char *km_expiry_words(enum svr_pki_expiry expiry); /* "within a month" */
bool km_fail_hard(const struct keymgr *km);
int64_t km_now_sec(void); /* since 1970 */

#endif
