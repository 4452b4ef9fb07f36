/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The expensive steps of a key exchange: Diffie-Hellman, certificates, signatures. A job holds all
 * that a step needs and all that it makes, so it can run in any thread, while its exchange goes on,
 * is given up, or is freed. Part of libsvr; made and read by lib/kex.c alone.
 */
#ifndef SVR_LIB_KEXJOB_H
#define SVR_LIB_KEXJOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <svr/limits.h>

#include "lib/dh.h"
#include "lib/kexmsg.h"
#include "lib/pki.h"

enum { SVR_KEX_HASH_LEN = 48 }; /* of T: SHA-384, bytes */

struct svr_kex;

struct svr_kex_bytes {
	uint8_t *data; /* from malloc() */
	size_t len;
};
void svr_kex_bytes_clear(struct svr_kex_bytes *b);

enum svr_kex_job_kind {
	SVR_KEX_JOB_START, /* initiator: key pair, INIT */
	SVR_KEX_JOB_INIT, /* responder: certificate of INIT, key pair, RESP, peer key */
	SVR_KEX_JOB_RESP, /* initiator: certificate of RESP, peer key, AUTH_I */
	SVR_KEX_JOB_AUTH_I, /* responder: signature of the peer, AUTH_R */
	SVR_KEX_JOB_AUTH_R, /* initiator: signature of the peer */
};

struct svr_kex_job {
	enum svr_kex_job_kind kind;
	/* Event loop only: */
	struct svr_kex *kex; /* who waits for it; NULL: nobody any more */
	int path; /* INIT: where the answer goes */

	/* What goes in. */
	bool authenticated; /* INIT, RESP: came under the confirmed key */
	const struct svr_dh_ops *dh;
	struct svr_pki_identity *identity; /* a user of it */
	struct svr_pki_trust *trust; /* and of it */
	char own_name[SVR_NAME_LEN], peer_name[SVR_NAME_LEN];
	int64_t now_sec;
	uint64_t id;
	uint32_t key_index;
	uint16_t group;
	uint16_t groups[SVR_KEX_GROUPS_MAX]; /* START: that are accepted */
	unsigned int group_count;
	uint8_t salt_i[SVR_KEX_SALT_LEN], salt_r[SVR_KEX_SALT_LEN];
	struct svr_kex_bytes init; /* INIT, RESP: for T */
	struct svr_kex_bytes message; /* that came */
	struct svr_kex_fields fields; /* of it */

	/* What goes in and comes out again. */
	struct svr_dh_secret *secret; /* out of START, into RESP */
	struct svr_pki_peer *peer; /* out of INIT and RESP, into AUTH_I and AUTH_R */
	uint8_t transcript[SVR_KEX_HASH_LEN]; /* T, likewise */

	/* What comes out. */
	int ret; /* 0, negative drop reason */
	bool computed; /* there was a Diffie-Hellman, also if @ret is not 0 */
	char reason[SVR_PKI_REPORT_LEN]; /* in words */
	struct svr_pki_report certificate; /* INIT, RESP: verdict on the peer's */
	struct svr_kex_bytes answer; /* INIT, RESP, AUTH_I, AUTH_R */
	uint8_t key[SVR_PEER_KEY_LEN]; /* INIT, RESP: the peer key */
};

/* Does the work. Touches nothing but @job, and what is thread-safe: identity, trust, dh. */
void svr_kex_job_run(struct svr_kex_job *job);

/* Wipes; run or not. NULL is fine. */
void svr_kex_job_free(struct svr_kex_job *job);

/* T of docs/protocol.md section 9. 0 or -EIO. */
int svr_kex_transcript(const struct svr_kex_bytes *init, const struct svr_kex_bytes *resp,
		       uint8_t out[static SVR_KEX_HASH_LEN]);

#endif
