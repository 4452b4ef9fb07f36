/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The PKI directory of a router, as `svr certificate` and the key manager share it:
 *
 *	NAME.key NAME.csr NAME.pem	private key (0600), request, certificate with its issuers
 *	ca/NAME.pem			CAs that `svr certificate trusted-ca add` put there
 *	crl/				revocation lists that were fetched; the key manager's
 *	peers/				certificates that peers have shown; the key manager's
 *	notes/				what commands have done, until the key manager made events of it
 *	.lock				held by a command that changes something
 *
 * Part of libsvrsys.
 */
#ifndef SVR_SYS_PKIDIR_H
#define SVR_SYS_PKIDIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/config.h"
#include "lib/pki.h"

/*
 * SVR_PKI_DIR, or else /etc/svr/pki/<router>. 0, -EINVAL for a router whose name is no file name,
 * -ENAMETOOLONG.
 */
int svr_pkidir(const char *router, char *buf, size_t len);

/**
 * svr_pkidir_lock() - make the directory (0700, with the one above it) and keep others from it.
 * Waits while another command runs, @wait_sec at most.
 * Return: descriptor, to be closed; -EBUSY, other negative errno with a sentence in @err.
 */
int svr_pkidir_lock(const char *dir, unsigned int wait_sec, char *err, size_t err_len);

/* Removes what processes that were killed while they wrote left in the directory and below. */
void svr_pkidir_sweep(const char *dir);

/* CAs that were added by a command: names in alphabetical order. */
struct svr_pkidir_ca {
	char name[SVR_CFG_NAME_MAX + 1];
	bool strict; /* validation-mode */
};

/* Their number, at most @max; 0 without the directory; negative errno. */
int svr_pkidir_cas(const char *dir, struct svr_pkidir_ca *out, unsigned int max);

/**
 * svr_pkidir_ca_add() - put a bundle into ca/. It must have been checked before.
 * @text: PEM
 * Return: 0; negative errno with a sentence in @err: -EEXIST, -EINVAL for a name that svr_pkidir_cas() passes over, -E2BIG
 * where there are SVR_PKI_BUNDLES_MAX.
 */
int svr_pkidir_ca_add(const char *dir, const char *name, bool strict, const char *text, size_t len,
		      char *err, size_t err_len);
/* 0, -ENOENT, other negative errno with a sentence in @err. */
int svr_pkidir_ca_remove(const char *dir, const char *name, char *err, size_t err_len);

/* Puts a note into notes/. 0 or negative errno with a sentence in @err. */
int svr_pkidir_note(const char *dir, const char *file, const char *text, size_t len, char *err,
		    size_t err_len);
/**
 * svr_pkidir_notes() - hand over the notes, oldest first, and remove them.
 * Return: their number, or negative errno: then notes may come again, so it is not to be called again.
 */
int svr_pkidir_notes(const char *dir, void (*take)(void *user, const char *text), void *user);

/**
 * svr_pkidir_anchors() - everything that the router trusts: trusted-ca-certificate of the
 * configuration, and ca/. A bundle that is refused is left out, which can only refuse more.
 * @cfg: NULL: ca/ only
 * @issue: called for each issue with the name of its bundle
 * Return: number of certificates, negative errno (then @out is NULL).
 */
int svr_pkidir_anchors(const char *dir, const struct svr_config *cfg, int64_t now_sec,
		       void (*issue)(void *user, const char *bundle,
				     const struct svr_pki_report *report),
		       void *user, struct svr_pki_anchors **out);

/* A number that changes with every file that svr_pkidir_anchors() reads. */
uint64_t svr_pkidir_anchors_stamp(const char *dir, const struct svr_config *cfg);
/* The same for <dir>/<file>; 0: there is none. */
uint64_t svr_pkidir_stamp(const char *dir, const char *file);

#endif
