// SPDX-License-Identifier: BSD-2-Clause
/*
 * The expensive steps of a key exchange. The order in each: what is cheap or tells who it is first,
 * Diffie-Hellman after it.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <svr/drops.h>

#include "lib/bytes.h"
#include "lib/kdf.h"
#include "lib/kexjob.h"

static const char kex_signature_label[] = "svr1 key exchange"; /* with its NUL */

void svr_kex_bytes_clear(struct svr_kex_bytes *b)
{
	free(b->data);
	*b = (struct svr_kex_bytes){ 0 };
}

static int job_fail(struct svr_kex_job *job, int drop, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
static int job_fail(struct svr_kex_job *job, int drop, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(job->reason, sizeof(job->reason), fmt, ap);
	va_end(ap);
	return drop;
}

/* ---- parts ----------------------------------------------------------------------------------- */

static int build(enum svr_kex_message message, const struct svr_kex_fields *f,
		 struct svr_kex_bytes *out)
{
	uint8_t *data = malloc(SVR_KEX_MESSAGE_MAX);
	int len;

	if (!data)
		return -ENOMEM;
	len = svr_kexmsg_build(message, f, data, SVR_KEX_MESSAGE_MAX);
	if (len < 0) {
		free(data);
		return len;
	}
	*out = (struct svr_kex_bytes){ data, (size_t)len };
	return 0;
}

static void fields_identity(const struct svr_kex_job *job, struct svr_kex_fields *f)
{
	size_t len;

	f->name = job->own_name;
	f->name_len = strlen(job->own_name);
	while (f->chain_count < SVR_PKI_CHAIN_MAX) {
		const uint8_t *der = svr_pki_identity_der(job->identity, f->chain_count, &len);

		if (!der)
			break;
		f->chain[f->chain_count++] = (struct svr_pki_der){ der, len };
	}
}

/* Everything that both sides said before the signatures. */
int svr_kex_transcript(const struct svr_kex_bytes *init, const struct svr_kex_bytes *resp,
		       uint8_t out[static SVR_KEX_HASH_LEN])
{
	const struct svr_kex_bytes *part[] = { init, resp };
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	int ok = ctx && EVP_DigestInit_ex(ctx, EVP_sha384(), NULL) == 1;
	uint8_t len[4];
	size_t i;

	for (i = 0; ok && i < 2; i++) {
		svr_put32(len, (uint32_t)part[i]->len);
		ok = EVP_DigestUpdate(ctx, len, sizeof(len)) == 1 &&
		     EVP_DigestUpdate(ctx, part[i]->data, part[i]->len) == 1;
	}
	ok = ok && EVP_DigestFinal_ex(ctx, out, NULL) == 1;
	EVP_MD_CTX_free(ctx);
	return ok ? 0 : -EIO;
}

static int check_certificate(struct svr_kex_job *job)
{
	const struct svr_kex_fields *f = &job->fields;

	if (svr_pki_verify(job->trust, f->chain, f->chain_count, job->peer_name,
			   svr_pki_identity_fingerprint(job->identity), job->now_sec, &job->peer,
			   &job->certificate) == 0) {
		/*
		 * fail-soft does not take trust away from who has the key; to who has none it gives
		 * none.
		 */
		if (job->certificate.verdict == SVR_PKI_OK || job->authenticated)
			return 0;
		svr_pki_peer_free(job->peer);
		job->peer = NULL;
	}
	memcpy(job->reason, job->certificate.text, sizeof(job->reason));
	return -SVR_DROP_KEX_CERTIFICATE;
}

static int make_key(struct svr_kex_job *job)
{
	uint8_t salt[2 * SVR_KEX_SALT_LEN], z[SVR_DH_MAX_LEN];
	int ret = job->dh->derive(job->secret, job->fields.public_value, z);

	memcpy(salt, job->salt_i, SVR_KEX_SALT_LEN);
	memcpy(salt + SVR_KEX_SALT_LEN, job->salt_r, SVR_KEX_SALT_LEN);
	if (!ret)
		ret = svr_kdf(salt, sizeof(salt), z, svr_dh_len(job->group), "peer key",
			      job->transcript, SVR_KEX_HASH_LEN, job->key, SVR_PEER_KEY_LEN);
	OPENSSL_cleanse(z, sizeof(z));
	return ret;
}

enum { SIGNED_LEN = sizeof(kex_signature_label) + 1 + SVR_KEX_HASH_LEN };

static void signed_bytes(const struct svr_kex_job *job, char role, uint8_t out[static SIGNED_LEN])
{
	memcpy(out, kex_signature_label, sizeof(kex_signature_label));
	out[sizeof(kex_signature_label)] = (uint8_t)role;
	memcpy(out + sizeof(kex_signature_label) + 1, job->transcript, SVR_KEX_HASH_LEN);
}

static int make_auth(struct svr_kex_job *job, enum svr_kex_message message)
{
	uint8_t in[SIGNED_LEN], sig[SVR_PKI_SIGNATURE_MAX];
	struct svr_kex_fields f = { .exchange = job->id, .signature = sig };
	int len;

	signed_bytes(job, message == SVR_KEX_AUTH_I ? 'I' : 'R', in);
	len = svr_pki_sign(job->identity, in, sizeof(in), sig);
	if (len < 0)
		return len;
	f.signature_len = (size_t)len;
	return build(message, &f, &job->answer);
}

/*
 * AUTH was sealed by the new key, so it comes from the other end of this Diffie-Hellman: whoever
 * that is, it is not the peer if this fails.
 */
static int check_auth(struct svr_kex_job *job, char role)
{
	uint8_t in[SIGNED_LEN];

	signed_bytes(job, role, in);
	if (svr_pki_peer_check_signature(job->peer, in, sizeof(in), job->fields.signature,
					 job->fields.signature_len))
		return job_fail(
			job, -SVR_DROP_KEX_SIGNATURE,
			"signature over the key exchange does not fit the peer's certificate");
	return 0;
}

/* ---- steps ----------------------------------------------------------------------------------- */

static int run_start(struct svr_kex_job *job)
{
	uint8_t public_value[SVR_DH_MAX_LEN];
	struct svr_kex_fields f = {
		.exchange = job->id,
		.key_index = job->key_index,
		.group_count = job->group_count,
		.group = job->group,
		.salt = job->salt_i,
		.public_value = public_value,
		.public_len = svr_dh_len(job->group),
	};
	int ret = job->dh->generate(job->group, &job->secret, public_value);

	if (ret)
		return ret;
	memcpy(f.groups, job->groups, sizeof(f.groups));
	fields_identity(job, &f);
	return build(SVR_KEX_INIT, &f, &job->answer);
}

static int run_init(struct svr_kex_job *job)
{
	uint8_t public_value[SVR_DH_MAX_LEN];
	struct svr_kex_fields f = {
		.exchange = job->id,
		.group = job->group,
		.salt = job->salt_r,
		.public_value = public_value,
		.public_len = svr_dh_len(job->group),
	};
	int ret = check_certificate(job);

	if (ret)
		return ret;
	job->computed = true;
	ret = job->dh->generate(job->group, &job->secret, public_value);
	if (ret)
		return ret;
	fields_identity(job, &f);
	ret = build(SVR_KEX_RESP, &f, &job->answer);
	if (!ret)
		ret = svr_kex_transcript(&job->message, &job->answer, job->transcript);
	return ret ? ret : make_key(job);
}

static int run_resp(struct svr_kex_job *job)
{
	int ret = check_certificate(job);

	if (!ret)
		ret = make_key(job);
	return ret ? ret : make_auth(job, SVR_KEX_AUTH_I);
}

static int run_auth_i(struct svr_kex_job *job)
{
	int ret = check_auth(job, 'I');

	return ret ? ret : make_auth(job, SVR_KEX_AUTH_R);
}

static int run(struct svr_kex_job *job)
{
	switch (job->kind) {
	case SVR_KEX_JOB_START:
		return run_start(job);
	case SVR_KEX_JOB_INIT:
		return run_init(job);
	case SVR_KEX_JOB_RESP:
		return run_resp(job);
	case SVR_KEX_JOB_AUTH_I:
		return run_auth_i(job);
	case SVR_KEX_JOB_AUTH_R:
		return check_auth(job, 'R');
	}
	return -SVR_DROP_INTERNAL;
}

void svr_kex_job_run(struct svr_kex_job *job)
{
	job->ret = run(job);
	if (!job->ret || job->reason[0])
		return;
	if (job->ret == -SVR_DROP_KEX_VALUE)
		job_fail(job, 0, "public value of the peer is out of range");
	else
		job->ret = job_fail(job, -SVR_DROP_INTERNAL, "%s could not be computed: %s",
				    job->kind == SVR_KEX_JOB_AUTH_I ? "own signature" : "peer key",
				    strerror(-job->ret));
}

void svr_kex_job_free(struct svr_kex_job *job)
{
	if (!job)
		return;
	if (job->dh)
		job->dh->free(job->secret);
	svr_pki_peer_free(job->peer);
	svr_kex_bytes_clear(&job->init);
	svr_kex_bytes_clear(&job->message);
	svr_kex_bytes_clear(&job->answer);
	svr_pki_identity_free(job->identity);
	svr_pki_trust_free(job->trust);
	OPENSSL_cleanse(job, sizeof(*job));
	free(job);
}
