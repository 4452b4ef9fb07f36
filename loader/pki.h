/* SPDX-License-Identifier: BSD-2-Clause */
/* What the commands about keys and certificates share. Loader only. */
#ifndef SVR_LOADER_PKI_H
#define SVR_LOADER_PKI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli.h"
#include "view.h"

struct json_object;
struct svr_pki_anchors;
struct svr_pki_crls;
struct svr_pki_trust;

enum { SVR_PKI_DIR_LEN = 4096 };

/* The argument that most of them take. */
#define SVR_PKI_DIR_ARG                                 \
	{                                               \
		"dir", "DIR", NULL, false, false,       \
		"PKI directory, instead of SVR_PKI_DIR" \
	}

/* A PKI directory that is locked, and, once it is loaded, what is trusted there. */
struct svr_pki_work {
	struct svr_cli *cli;
	char dir[SVR_PKI_DIR_LEN];
	int lock; /* -1: not locked */
	struct svr_view view;
	struct svr_pki_anchors *anchors;
	struct svr_pki_crls *crls;
	struct svr_pki_trust *trust;
};

/* The directory: @dir, or SVR_PKI_DIR, or that of the router. 0 or an error that was reported. */
int svr_pki_open(struct svr_cli *cli, const char *dir, struct svr_pki_work *w);
/* Other commands wait until svr_pki_close(). */
int svr_pki_lock(struct svr_pki_work *w);
/*
 * The configuration of the router (svr_cli_router()), its CAs, the revocation lists that were kept,
 * and from them w->trust for its own certificate. @extra: PEM with further issuers of lists; may be
 * NULL.
 */
int svr_pki_load_trust(struct svr_pki_work *w, const char *extra, size_t extra_len);
void svr_pki_close(struct svr_pki_work *w);

/*
 * Leaves a note for the key manager, whether it runs or not: it counts what was done, and makes an
 * audit event of it. @detail: taken over.
 */
void svr_pki_audit(const struct svr_pki_work *w, const char *type, bool success,
		   struct json_object *detail);
/* Adds a string unless it is NULL. */
void svr_pki_detail(struct json_object *o, const char *key, const char *value);

/* A file, or standard input for "-", of at most @max bytes. For free(). */
int svr_pki_read_input(struct svr_cli *cli, const char *file, size_t max, char **text, size_t *len);

#endif
