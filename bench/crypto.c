// SPDX-License-Identifier: BSD-2-Clause
/*
 * Nanoseconds per packet of the backends of lib/crypt.h alone, by packet size and batch: OpenSSL, ipsec-mb behind the
 * same interface, ipsec-mb in a bare loop that does nothing else, and its HMAC alone in such a loop, below which no order of
 * ciphers and hashes can get. Needs no root.
 *
 *	crypto [-j] [-r ROUNDS] [SUITE...]
 *
 * One run, subjects interleaved: what counts are the ratios, each the median of those of its rounds. Every packet of a
 * batch has keys of its own. Opening works on what the last round left, so tags are wrong: they are compared all the same,
 * and nothing depends on the text.
 */
#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "bench/median.h"
#include "lib/crypt.h"

#ifdef SVR_HAVE_IPSEC_MB
#include <dlfcn.h>
#define NO_COMPAT_IMB_API_053
#include <intel-ipsec-mb.h>
#endif

enum {
	ROUNDS = 15,
	ROUNDS_MAX = 1000,
	BATCH_MAX = 32,
	ROOM = 2048,
	FRONT = 28, /* TCP header from the sequence number, with a time stamp */
	UNSENT = 25, /* bytes that are signed and not sent */
	KEY_LEN = 32,
	HMAC_KEY_LEN = 48,
	NS_PER_ROUND = 2000000, /* about so long each */
};

static const struct suite {
	const char *name;
	uint8_t cipher, hmac; /* 0: none */
} suites[] = {
	{ "aes-cbc-256+sha384", SVR_CIPHER_AES_CBC_256, SVR_HMAC_SHA384 },
	{ "aes-cbc-256+sha256-128", SVR_CIPHER_AES_CBC_256, SVR_HMAC_SHA256_128 },
	{ "aes-cbc-128+sha1", SVR_CIPHER_AES_CBC_128, SVR_HMAC_SHA1 },
	{ "aes-cbc-256+sha512", SVR_CIPHER_AES_CBC_256, SVR_HMAC_SHA512 },
	{ "aes-gcm-128", SVR_CIPHER_AES_GCM_128, 0 },
	{ "aes-gcm-256", SVR_CIPHER_AES_GCM_256, 0 },
};
enum { SUITES = sizeof(suites) / sizeof(suites[0]) };
static const unsigned int sizes[] = { 64, 512, 1400 };
static const unsigned int batches[] = { 1, 2, 8, 32 };
enum { SIZES = sizeof(sizes) / sizeof(sizes[0]), BATCHES = sizeof(batches) / sizeof(batches[0]) };

enum subject { OPENSSL, IPSEC_MB, BARE, BARE_HMAC, SUBJECTS };
enum op { SEAL, OPEN, OPS };
static const char *const op_names[] = { [SEAL] = "encrypt+sign", [OPEN] = "verify+decrypt" };

struct packet {
	struct svr_crypt_job job;
	uint8_t room[ROOM], tag[SVR_TAG_MAX], iv[SVR_BLOCK_LEN];
};
static struct packet packets[BATCH_MAX];
static struct svr_crypt_job *jobs[BATCH_MAX];

/* What one cell of the table needs. */
struct cell {
	const struct suite *suite;
	unsigned int size, batch;
	enum op op;
	double ns[SUBJECTS], against_openssl, against_bare; /* medians */
};

/* Of the processor: what others do on the machine meanwhile does not count. */
static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* ---- packets ------------------------------------------------------------------------------------------- */

static void packets_make(struct svr_crypt *c, const struct cell *cell)
{
	const bool gcm = svr_cipher_is_gcm(cell->suite->cipher);
	uint8_t secret[HMAC_KEY_LEN];
	unsigned int i;

	for (i = 0; i < cell->batch; i++) {
		struct packet *p = &packets[i];
		struct svr_crypt_job *j = &p->job;

		svr_cipher_key_free(j->cipher);
		svr_hmac_key_free(j->hmac);
		memset(p, 0, sizeof(*p));
		memset(secret, (int)i + 1, sizeof(secret));
		if (svr_cipher_key_new(c, cell->suite->cipher, secret, secret, &j->cipher))
			abort();
		if (cell->suite->hmac &&
		    svr_hmac_key_new(c, cell->suite->hmac, secret, sizeof(secret), &j->hmac))
			abort();
		j->text = p->room + FRONT;
		j->text_len = gcm ? cell->size : svr_cbc_len(cell->size);
		j->iv = p->iv;
		j->aad = p->room;
		j->aad_len = FRONT + UNSENT;
		j->gcm_tag = gcm ? p->tag : NULL;
		j->input = p->room;
		j->input_len = FRONT + j->text_len + SVR_BLOCK_LEN + UNSENT;
		j->tag = p->tag;
		jobs[i] = j;
	}
}

/* ---- the subjects -------------------------------------------------------------------------------------- */

static volatile int sink; /* keeps comparisons alive */

static void run_svr(struct svr_crypt *c, const struct cell *cell)
{
	unsigned int i;

	if (cell->op == SEAL) {
		svr_crypt_seal(c, jobs, cell->batch);
		return;
	}
	if (cell->suite->hmac) {
		svr_crypt_tag(c, jobs, cell->batch);
		for (i = 0; i < cell->batch; i++)
			sink += CRYPTO_memcmp(packets[i].tag, packets[i].room,
					      svr_hmac_tag_len(cell->suite->hmac));
	}
	svr_crypt_open(c, jobs, cell->batch);
}

#ifdef SVR_HAVE_IPSEC_MB
static IMB_MGR *mgr;
static struct {
	uint8_t enc[15 * 16] __attribute__((aligned(16))),
		dec[15 * 16] __attribute__((aligned(16)));
	struct gcm_key_data gcm;
	uint8_t ipad[64], opad[64];
} bare_keys[BATCH_MAX];

static bool bare_start(void)
{
	IMB_MGR *(*alloc)(uint64_t flags);
	void (*init)(IMB_MGR * m, IMB_ARCH * arch);
	char name[32];
	void *dl;

	snprintf(name, sizeof(name), "libIPSec_MB.so.%u", IMB_VERSION_NUM >> 16);
	dl = dlopen(name, RTLD_NOW);
	if (!dl)
		return false;
	alloc = (__typeof__(alloc))dlsym(dl, "alloc_mb_mgr");
	init = (__typeof__(init))dlsym(dl, "init_mb_mgr_auto");
	mgr = alloc && init ? alloc(0) : NULL;
	if (mgr)
		init(mgr, NULL);
	return mgr;
}

/* Hash states are of no right key here: that takes no more time. */
static void bare_prepare(const struct cell *cell)
{
	uint8_t secret[KEY_LEN];
	unsigned int i;

	for (i = 0; i < cell->batch; i++) {
		memset(secret, (int)i + 1, sizeof(secret));
		switch (cell->suite->cipher) {
		case SVR_CIPHER_AES_CBC_128:
			IMB_AES_KEYEXP_128(mgr, secret, bare_keys[i].enc, bare_keys[i].dec);
			break;
		case SVR_CIPHER_AES_CBC_256:
			IMB_AES_KEYEXP_256(mgr, secret, bare_keys[i].enc, bare_keys[i].dec);
			break;
		case SVR_CIPHER_AES_GCM_128:
			IMB_AES128_GCM_PRE(mgr, secret, &bare_keys[i].gcm);
			break;
		default:
			IMB_AES256_GCM_PRE(mgr, secret, &bare_keys[i].gcm);
		}
		memset(bare_keys[i].ipad, (int)i, sizeof(bare_keys[i].ipad));
		memset(bare_keys[i].opad, (int)i + 100, sizeof(bare_keys[i].opad));
	}
}

static void bare_gcm(const struct cell *cell)
{
	const bool seal = cell->op == SEAL, small = cell->suite->cipher == SVR_CIPHER_AES_GCM_128;
	struct gcm_context_data ctx;
	unsigned int i;

	for (i = 0; i < cell->batch; i++) {
		const struct svr_crypt_job *j = jobs[i];
		aes_gcm_enc_dec_t f = small ? (seal ? mgr->gcm128_enc : mgr->gcm128_dec) :
					      (seal ? mgr->gcm256_enc : mgr->gcm256_dec);

		f(&bare_keys[i].gcm, &ctx, j->text, j->text, j->text_len, j->iv, j->aad, j->aad_len,
		  packets[i].tag, SVR_GCM_TAG_LEN);
	}
}

static IMB_HASH_ALG bare_hash(uint8_t hmac)
{
	static const IMB_HASH_ALG hashes[] = {
		[SVR_HMAC_SHA1] = IMB_AUTH_HMAC_SHA_1,
		[SVR_HMAC_SHA256_128] = IMB_AUTH_HMAC_SHA_256,
		[SVR_HMAC_SHA384] = IMB_AUTH_HMAC_SHA_384,
		[SVR_HMAC_SHA512] = IMB_AUTH_HMAC_SHA_512,
	};

	return hashes[hmac];
}

static void run_bare(const struct cell *cell, bool hmac_alone)
{
	const bool seal = cell->op == SEAL;
	unsigned int i;
	IMB_JOB *b;

	if (!cell->suite->hmac) {
		bare_gcm(cell);
		return;
	}
	for (i = 0; i < cell->batch; i++) {
		const struct svr_crypt_job *j = jobs[i];

		b = IMB_GET_NEXT_JOB(mgr);
		b->enc_keys = bare_keys[i].enc;
		b->dec_keys = bare_keys[i].dec;
		b->key_len_in_bytes = cell->suite->cipher == SVR_CIPHER_AES_CBC_128 ? 16 : 32;
		b->src = j->input;
		b->dst = j->text;
		b->cipher_start_src_offset_in_bytes = FRONT;
		b->msg_len_to_cipher_in_bytes = j->text_len;
		b->iv = j->iv;
		b->iv_len_in_bytes = SVR_BLOCK_LEN;
		b->hash_start_src_offset_in_bytes = 0;
		b->msg_len_to_hash_in_bytes = j->input_len;
		b->auth_tag_output = packets[i].tag;
		b->auth_tag_output_len_in_bytes = svr_hmac_tag_len(cell->suite->hmac);
		b->u.HMAC._hashed_auth_key_xor_ipad = bare_keys[i].ipad;
		b->u.HMAC._hashed_auth_key_xor_opad = bare_keys[i].opad;
		b->cipher_mode = hmac_alone ? IMB_CIPHER_NULL : IMB_CIPHER_CBC;
		b->cipher_direction = seal ? IMB_DIR_ENCRYPT : IMB_DIR_DECRYPT;
		b->hash_alg = bare_hash(cell->suite->hmac);
		b->chain_order = seal ? IMB_ORDER_CIPHER_HASH : IMB_ORDER_HASH_CIPHER;
		for (b = IMB_SUBMIT_JOB(mgr); b; b = IMB_GET_COMPLETED_JOB(mgr))
			;
	}
	while (IMB_FLUSH_JOB(mgr))
		;
}
#else
static bool bare_start(void)
{
	return false;
}

static void bare_prepare(const struct cell *cell)
{
	(void)cell;
}

static void run_bare(const struct cell *cell, bool hmac_alone)
{
	(void)cell;
	(void)hmac_alone;
}
#endif

static struct svr_crypt *crypts[BARE]; /* NULL: not to be had */
static bool have_bare;

static bool have(enum subject s, const struct cell *cell)
{
	if (s == BARE_HMAC)
		return have_bare && cell->suite->hmac;
	return s == BARE ? have_bare : crypts[s] != NULL;
}

static void run(enum subject s, const struct cell *cell)
{
	if (s >= BARE)
		run_bare(cell, s == BARE_HMAC);
	else
		run_svr(crypts[s], cell);
}

/* ---- measuring ----------------------------------------------------------------------------------------- */

static double run_ns(enum subject s, const struct cell *cell, unsigned int times)
{
	double begin = now_ns();
	unsigned int i;

	for (i = 0; i < times; i++)
		run(s, cell);
	return (now_ns() - begin) / times / cell->batch;
}

/* Jobs that were refused take no time. */
static void work_check(enum subject s, const struct cell *cell)
{
	unsigned int i;

	for (i = 0; s < BARE && i < cell->batch; i++) {
		if (!jobs[i]->err || jobs[i]->err == -EBADMSG) /* tags are wrong, see above */
			continue;
		fprintf(stderr, "crypto: %s %s: %s\n", cell->suite->name, op_names[cell->op],
			strerror(-jobs[i]->err));
		exit(1);
	}
}

static void measure(struct cell *cell, unsigned int rounds)
{
	double ns[SUBJECTS][ROUNDS_MAX] = { 0 }, ratio[ROUNDS_MAX];
	unsigned int r, s, times[SUBJECTS];

	/* Keys of the one serve both: OpenSSL does its small batches */
	packets_make(crypts[IPSEC_MB] ? crypts[IPSEC_MB] : crypts[OPENSSL], cell);
	if (have_bare)
		bare_prepare(cell);
	for (s = 0; s < SUBJECTS; s++) {
		times[s] = 1;
		if (!have(s, cell))
			continue;
		run_ns(s, cell, 10); /* caches, keys */
		work_check(s, cell);
		times[s] = 1 + (unsigned int)(NS_PER_ROUND / (run_ns(s, cell, 10) * cell->batch));
	}
	for (r = 0; r < rounds; r++)
		for (s = 0; s < SUBJECTS; s++)
			if (have(s, cell))
				ns[s][r] = run_ns(s, cell, times[s]);
	for (r = 0; r < rounds; r++)
		ratio[r] = have(IPSEC_MB, cell) ? ns[OPENSSL][r] / ns[IPSEC_MB][r] : 0;
	cell->against_openssl = median(ratio, rounds);
	for (r = 0; r < rounds; r++)
		ratio[r] = have(BARE, cell) && have(IPSEC_MB, cell) ?
				   ns[BARE][r] / ns[IPSEC_MB][r] :
				   0;
	cell->against_bare = median(ratio, rounds);
	for (s = 0; s < SUBJECTS; s++)
		cell->ns[s] = median(ns[s], rounds);
}

/* ---- output -------------------------------------------------------------------------------------------- */

static void head(bool json, unsigned int rounds, char *const argv[])
{
	struct svr_crypt_info info;
	struct utsname u;
	char date[32];
	time_t t = time(NULL);
	int i;

	uname(&u);
	strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%SZ", gmtime(&t));
	svr_crypt_describe(crypts[IPSEC_MB] ? crypts[IPSEC_MB] : crypts[OPENSSL], &info);
	if (json) {
		printf("{\"date\":\"%s\",\"svr\":\"%s\",\"machine\":\"%s\",\"kernel\":\"%s\",\"openssl\":\"%s\","
		       "\"ipsec_mb\":\"%s\",\"cpu\":\"%s\",\"rounds\":%u,\"command\":\"",
		       date, SVR_VERSION, u.machine, u.release, info.openssl, info.ipsec_mb,
		       info.cpu, rounds);
		for (i = 0; argv[i]; i++)
			printf("%s%s", i ? " " : "", argv[i]);
		printf("\",\"rows\":[");
		return;
	}
	printf("%s, svr %s, Linux %s, OpenSSL %s, ipsec-mb %s, CPU: %s; medians of %u rounds\n",
	       date, SVR_VERSION, u.release, info.openssl,
	       info.ipsec_mb[0] ? info.ipsec_mb : "none", info.cpu, rounds);
	printf("%-23s %-14s %5s %5s %9s %9s %9s %9s %10s %9s\n", "suite", "", "bytes", "batch",
	       "OpenSSL", "ipsec-mb", "bare loop", "its HMAC", "x OpenSSL", "x bare");
}

static void row(bool json, bool first, const struct cell *c)
{
	char hmac[16] = "-";

	if (c->ns[BARE_HMAC])
		snprintf(hmac, sizeof(hmac), "%.0f ns", c->ns[BARE_HMAC]);
	if (json)
		printf("%s\n{\"suite\":\"%s\",\"operation\":\"%s\",\"bytes\":%u,\"batch\":%u,\"openssl_ns\":%.1f,"
		       "\"ipsec_mb_ns\":%.1f,\"bare_ns\":%.1f,\"bare_hmac_ns\":%.1f,\"times_openssl\":%.3f,\"times_bare\":%.3f}",
		       first ? "" : ",", c->suite->name, op_names[c->op], c->size, c->batch,
		       c->ns[OPENSSL], c->ns[IPSEC_MB], c->ns[BARE], c->ns[BARE_HMAC],
		       c->against_openssl, c->against_bare);
	else
		printf("%-23s %-14s %5u %5u %6.0f ns %6.0f ns %6.0f ns %9s %10.2f %9.2f\n",
		       c->suite->name, op_names[c->op], c->size, c->batch, c->ns[OPENSSL],
		       c->ns[IPSEC_MB], c->ns[BARE], hmac, c->against_openssl, c->against_bare);
	fflush(stdout);
}

static bool wanted(const char *name, char *const names[])
{
	if (!names[0])
		return true;
	for (; *names; names++)
		if (strcmp(*names, name) == 0)
			return true;
	return false;
}

int main(int argc, char *argv[])
{
	unsigned int rounds = ROUNDS, i, size, batch, op;
	bool json = false, first = true;
	int opt, err;

	while ((opt = getopt(argc, argv, "jr:")) != -1) {
		if (opt == 'j')
			json = true;
		else if (opt == 'r')
			rounds = (unsigned int)strtoul(optarg, NULL, 10);
		else
			return 2;
	}
	if (rounds == 0 || rounds > ROUNDS_MAX) {
		fprintf(stderr, "crypto: -r takes 1 to %d rounds\n", ROUNDS_MAX);
		return 2;
	}
	err = svr_crypt_new_backend(SVR_CRYPT_OPENSSL, &crypts[OPENSSL]);
	if (err) {
		fprintf(stderr, "crypto: OpenSSL: %s\n", strerror(-err));
		return 1;
	}
	svr_crypt_new_backend(SVR_CRYPT_IPSEC_MB, &crypts[IPSEC_MB]);
	have_bare = crypts[IPSEC_MB] && bare_start();
	head(json, rounds, argv);
	for (i = 0; i < SUITES; i++)
		for (op = SEAL; op < OPS; op++)
			for (size = 0; size < SIZES; size++)
				for (batch = 0; batch < BATCHES; batch++) {
					struct cell cell = { .suite = &suites[i],
							     .size = sizes[size],
							     .batch = batches[batch],
							     .op = (enum op)op };

					if (!wanted(suites[i].name, argv + optind))
						continue;
					measure(&cell, rounds);
					row(json, first, &cell);
					first = false;
				}
	printf(json ? "]}\n" : "");
	return 0;
}
