/* SPDX-License-Identifier: BSD-2-Clause */
/* Taking a certificate that an authority has issued for this router. Part of libsvr. */
#ifndef SVR_LIB_PKI_IMPORT_H
#define SVR_LIB_PKI_IMPORT_H

#include <stddef.h>
#include <stdint.h>

#include "lib/pki_cert.h"
#include "lib/pki_verdict.h"

struct svr_pki_trust;

enum { SVR_PKI_IMPORT_BYTES_MAX = 64 * 1024 }; /* of what is handed over */

/**
 * svr_pki_import() - check a certificate, and put it into use as <dir>/<name>.pem.
 * What is checked, in this order: no private key beside it; readable, nothing but certificates and
 * text around them, not too many, none twice; everything that a peer will ask (svr_pki_verify(),
 * with @trust and @common_name); belongs to the private key <dir>/<name>.key; is not the one that
 * is in use already. Dates and revocation refuse here also under fail-soft: nobody needs a new
 * certificate that is dead.
 * @text, @len: PEM: the router's certificate first, then its issuers (with or without the root,
 * which is not kept: peers have it)
 * @trust: CA certificates and revocation lists. A self-signed certificate needs none of them if
 * self-signed ones are allowed
 * @info: what stands in it, as soon as it was readable (info->subject[0] says so); may be NULL
 * @report: the verdict
 * Return: 0, -EKEYREJECTED or -EBADMSG with the verdict in @report, -ENOENT without a private key,
 * -EEXIST if it is in use already (SVR_PKI_DUPLICATE), other negative errno (SVR_PKI_INTERNAL: a
 * file). Unless 0 is returned nothing has changed.
 */
int svr_pki_import(const char *dir, const char *name, const char *common_name, const char *text,
		   size_t len, const struct svr_pki_trust *trust, int64_t now_sec,
		   struct svr_pki_cert_info *info, struct svr_pki_report *report);

#endif
