// SPDX-License-Identifier: BSD-2-Clause
/*
 * Intel's ipsec-mb behind crypt.h: packets with different keys in the lanes of one vector unit.
 *
 * The library is looked for when the process starts, so svr is built and runs without it. What the
 * compiler knows of it is its header: the library has to be of the same major version and not older.
 * Before it gets a packet it has to make the bytes that OpenSSL makes (crypt_selftest.c).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/crypt_internal.h"

#ifdef SVR_HAVE_IPSEC_MB

#include <dlfcn.h>
#include <pthread.h>

#include <openssl/crypto.h>

#define NO_COMPAT_IMB_API_053 /* old names, some of which are OpenSSL's */
#include <intel-ipsec-mb.h>

enum { AES_SCHEDULE_LEN = 15 * SVR_BLOCK_LEN }; /* AES-256: fifteen round keys */

struct svr_crypt_mb {
	IMB_MGR *mgr;
	size_t gcm_len; /* bytes of a struct gcm_key_data that are used on this CPU */
};

/* ---- the library --------------------------------------------------------------------------- */

static struct {
	IMB_MGR *(*alloc)(uint64_t flags);
	void (*free)(IMB_MGR *mgr);
	void (*init_auto)(IMB_MGR *mgr, IMB_ARCH *arch);
	unsigned int (*version)(void);
	const char *(*version_str)(void);
	bool usable;
	char why[160], version_text[32];
} library;
static pthread_once_t library_once = PTHREAD_ONCE_INIT;

static unsigned int major(unsigned int version)
{
	return version >> 16;
}

static void library_load(void)
{
	char name[32];
	void *dl;

	snprintf(name, sizeof(name), "libIPSec_MB.so.%u", major(IMB_VERSION_NUM));
	dl = dlopen(name, RTLD_NOW | RTLD_LOCAL);
	if (!dl) {
		snprintf(library.why, sizeof(library.why), "%s is not installed", name);
		return;
	}
	library.alloc = (__typeof__(library.alloc))dlsym(dl, "alloc_mb_mgr");
	library.free = (__typeof__(library.free))dlsym(dl, "free_mb_mgr");
	library.init_auto = (__typeof__(library.init_auto))dlsym(dl, "init_mb_mgr_auto");
	library.version = (__typeof__(library.version))dlsym(dl, "imb_get_version");
	library.version_str = (__typeof__(library.version_str))dlsym(dl, "imb_get_version_str");
	if (!library.alloc || !library.free || !library.init_auto || !library.version ||
	    !library.version_str) {
		snprintf(library.why, sizeof(library.why), "%s lacks functions", name);
		return;
	}
	snprintf(library.version_text, sizeof(library.version_text), "%s", library.version_str());
	if (major(library.version()) != major(IMB_VERSION_NUM) ||
	    library.version() < IMB_VERSION_NUM) {
		snprintf(library.why, sizeof(library.why),
			 "%s is version %s, and svr was built for %s or newer", name,
			 library.version_text, IMB_VERSION_STR);
		return;
	}
	library.usable = true;
}

/* Without these it is no faster than OpenSSL. */
static bool cpu_fits(uint64_t features)
{
	const uint64_t need = IMB_FEATURE_AESNI | IMB_FEATURE_PCLMULQDQ | IMB_FEATURE_AVX2;

	return (features & need) == need;
}

/*
 * The struct has room for the powers of the hash key that AVX-512 uses, and other CPUs use a part of
 * it. Which part is not documented, so it is measured: whatever the library does not write, it
 * cannot need.
 */
static size_t gcm_len_used(IMB_MGR *mgr)
{
	static const uint8_t key[IMB_KEY_256_BYTES] = "any key";
	const uint8_t fill[2] = { 0x55, 0xaa };
	uint8_t *bytes[2];
	struct gcm_key_data data[2];
	size_t len = sizeof(data[0]);
	int i;

	for (i = 0; i < 2; i++) {
		bytes[i] = (uint8_t *)&data[i];
		memset(bytes[i], fill[i], sizeof(data[i]));
		IMB_AES256_GCM_PRE(mgr, key, &data[i]);
	}
	while (len > 0 && bytes[0][len - 1] == fill[0] && bytes[1][len - 1] == fill[1])
		len--;
	return len;
}

/* NULL if it is fit for use, otherwise the reason. */
static const char *unfit(struct svr_crypt *c, IMB_ARCH arch)
{
	if (arch == IMB_ARCH_NONE || !cpu_fits(c->mb->mgr->features))
		return "the CPU lacks AES-NI, PCLMULQDQ or AVX2";
	if (svr_crypt_selftest(c))
		return "ipsec-mb does not make the bytes that OpenSSL makes";
	return NULL;
}

int svr_crypt_mb_new(struct svr_crypt *c)
{
	IMB_ARCH arch = IMB_ARCH_NONE;
	const char *why;

	pthread_once(&library_once, library_load);
	snprintf(c->mb_version, sizeof(c->mb_version), "%s", library.version_text);
	snprintf(c->why, sizeof(c->why), "%s", library.why);
	if (!library.usable)
		return -EOPNOTSUPP;
	c->mb = calloc(1, sizeof(*c->mb));
	if (c->mb)
		c->mb->mgr = library.alloc(0);
	if (!c->mb || !c->mb->mgr)
		return -ENOMEM;
	library.init_auto(c->mb->mgr, &arch);
	c->mb->gcm_len = sizeof(struct gcm_key_data);
	if (arch != IMB_ARCH_NONE)
		c->mb->gcm_len = gcm_len_used(c->mb->mgr);
	why = unfit(c, arch);
	if (why) {
		snprintf(c->why, sizeof(c->why), "%s", why);
		svr_crypt_mb_free(c);
		return -EOPNOTSUPP;
	}
	snprintf(c->why, sizeof(c->why), "ipsec-mb is installed, and the CPU has %s",
		 arch == IMB_ARCH_AVX512 ? "AVX-512" : "AVX2");
	return 0;
}

void svr_crypt_mb_free(struct svr_crypt *c)
{
	if (!c->mb)
		return;
	if (c->mb->mgr)
		library.free(c->mb->mgr);
	free(c->mb);
	c->mb = NULL;
}

/* ---- keys ---------------------------------------------------------------------------------- */

/* Of CBC: text, then IV. */
size_t svr_mb_schedule_len(const struct svr_crypt *c, uint8_t cipher, enum svr_crypt_use use)
{
	const size_t ways = use == SVR_CRYPT_TO_BOTH ? 2 : 1;

	if (!c->mb)
		return 0;
	/* That of GCM is the same for both ways */
	return svr_cipher_is_gcm(cipher) ? c->mb->gcm_len : ways * 2 * AES_SCHEDULE_LEN;
}

/* Round keys to encrypt or to decrypt. */
static void expand(IMB_MGR *mgr, const uint8_t *key, size_t len, bool encrypt,
		   uint8_t out[static AES_SCHEDULE_LEN])
{
	uint8_t other[AES_SCHEDULE_LEN] __attribute__((aligned(16)));
	uint8_t *enc = encrypt ? out : other, *dec = encrypt ? other : out;

	if (len == IMB_KEY_128_BYTES)
		IMB_AES_KEYEXP_128(mgr, key, enc, dec);
	else
		IMB_AES_KEYEXP_256(mgr, key, enc, dec);
	OPENSSL_cleanse(other, sizeof(other));
}

/* Where those of one way stand; NULL if there are none. */
static uint8_t *schedule_of(struct svr_cipher_key *k, bool encrypt)
{
	const enum svr_crypt_use use = encrypt ? SVR_CRYPT_TO_SEAL : SVR_CRYPT_TO_OPEN;
	const bool second = encrypt && k->use == SVR_CRYPT_TO_BOTH;

	if (k->len == sizeof(*k))
		return NULL; /* made for OpenSSL alone */
	if (svr_cipher_is_gcm(k->cipher))
		return k->schedule;
	return k->use & use ? k->schedule + (second ? 2 * AES_SCHEDULE_LEN : 0) : NULL;
}

static void cbc_make(IMB_MGR *mgr, struct svr_cipher_key *k, bool encrypt)
{
	uint8_t *text = schedule_of(k, encrypt);

	if (!text)
		return;
	expand(mgr, k->enc, svr_cipher_key_len(k->cipher), encrypt, text);
	if (k->has_iv_key)
		expand(mgr, k->iv_key, sizeof(k->iv_key), encrypt, text + AES_SCHEDULE_LEN);
}

void svr_mb_schedule_make(struct svr_crypt *c, struct svr_cipher_key *k)
{
	struct gcm_key_data *gcm = (struct gcm_key_data *)k->schedule;

	if (!c->mb)
		return;
	if (k->cipher == SVR_CIPHER_AES_GCM_128)
		IMB_AES128_GCM_PRE(c->mb->mgr, k->enc, gcm);
	else if (k->cipher == SVR_CIPHER_AES_GCM_256)
		IMB_AES256_GCM_PRE(c->mb->mgr, k->enc, gcm);
	if (svr_cipher_is_gcm(k->cipher))
		return;
	cbc_make(c->mb->mgr, k, false);
	cbc_make(c->mb->mgr, k, true);
}

/* ---- jobs ---------------------------------------------------------------------------------- */

static IMB_HASH_ALG hash_of(uint8_t hmac)
{
	switch (hmac) {
	case SVR_HMAC_SHA1:
		return IMB_AUTH_HMAC_SHA_1;
	case SVR_HMAC_SHA256:
	case SVR_HMAC_SHA256_128:
		return IMB_AUTH_HMAC_SHA_256;
	case SVR_HMAC_SHA384:
		return IMB_AUTH_HMAC_SHA_384;
	default:
		return IMB_AUTH_HMAC_SHA_512;
	}
}

static void nothing_to_cipher(IMB_JOB *to, const uint8_t *src)
{
	to->src = src;
	to->dst = NULL;
	to->cipher_mode = IMB_CIPHER_NULL;
	to->cipher_direction = IMB_DIR_ENCRYPT;
	to->cipher_start_src_offset_in_bytes = 0;
	to->msg_len_to_cipher_in_bytes = 0;
}

static void nothing_to_hash(IMB_JOB *to)
{
	to->hash_alg = IMB_AUTH_NULL;
	to->chain_order = to->cipher_direction == IMB_DIR_ENCRYPT ? IMB_ORDER_CIPHER_HASH :
								    IMB_ORDER_HASH_CIPHER;
}

static void aes_fill(IMB_JOB *to, IMB_CIPHER_MODE mode, const uint8_t *schedule, size_t key_len,
		     bool encrypt, uint8_t *text, size_t len)
{
	to->enc_keys = schedule;
	to->dec_keys = schedule;
	to->key_len_in_bytes = key_len;
	to->src = text;
	to->dst = text;
	to->cipher_mode = mode;
	to->cipher_direction = encrypt ? IMB_DIR_ENCRYPT : IMB_DIR_DECRYPT;
	to->cipher_start_src_offset_in_bytes = 0;
	to->msg_len_to_cipher_in_bytes = len;
}

/* After the cipher, with what it made. */
static void hmac_fill(IMB_JOB *to, const struct svr_crypt_job *j)
{
	/* The text lies in what is signed */
	if (to->cipher_mode != IMB_CIPHER_NULL) {
		to->cipher_start_src_offset_in_bytes = (uint64_t)(j->text - j->input);
		to->src = j->input;
	}
	to->hash_start_src_offset_in_bytes = 0;
	to->msg_len_to_hash_in_bytes = j->input_len;
	to->hash_alg = hash_of(j->hmac->hmac);
	to->auth_tag_output = j->tag;
	to->auth_tag_output_len_in_bytes = j->hmac->tag_len;
	to->u.HMAC._hashed_auth_key_xor_ipad = j->hmac->inner;
	to->u.HMAC._hashed_auth_key_xor_opad = j->hmac->outer;
	to->chain_order = IMB_ORDER_CIPHER_HASH;
}

static void job_done(const IMB_JOB *done)
{
	struct svr_crypt_job *j = done->user_data;

	j->err = done->status == IMB_STATUS_COMPLETED ? 0 : -EIO;
}

/* The job may wait for company; whatever is complete now is noted. */
static void submit(IMB_MGR *mgr, IMB_JOB *job, struct svr_crypt_job *j)
{
	IMB_JOB *done;

	job->user_data = j;
	for (done = IMB_SUBMIT_JOB(mgr); done; done = IMB_GET_COMPLETED_JOB(mgr))
		job_done(done);
}

static void drain(IMB_MGR *mgr)
{
	IMB_JOB *done;

	while ((done = IMB_FLUSH_JOB(mgr)))
		job_done(done);
}

static int gcm_run(struct svr_crypt *c, const struct svr_crypt_job *j, bool encrypt)
{
	const struct gcm_key_data *s = (const struct gcm_key_data *)schedule_of(j->cipher, encrypt);
	const bool short_key = j->cipher->cipher == SVR_CIPHER_AES_GCM_128;
	struct gcm_context_data ctx;
	uint8_t tag[SVR_GCM_TAG_LEN];
	IMB_MGR *mgr = c->mb->mgr;
	aes_gcm_enc_dec_t run;
	int err = 0;

	if (!s)
		return -EIO;
	if (encrypt)
		run = short_key ? mgr->gcm128_enc : mgr->gcm256_enc;
	else
		run = short_key ? mgr->gcm128_dec : mgr->gcm256_dec;
	run(s, &ctx, j->text, j->text, j->text_len, j->iv, j->aad, j->aad_len, tag,
	    sizeof(tag));
	if (encrypt)
		memcpy(j->gcm_tag, tag, sizeof(tag));
	else if (CRYPTO_memcmp(tag, j->gcm_tag, sizeof(tag)))
		err = -EBADMSG;
	OPENSSL_cleanse(tag, sizeof(tag));
	return err;
}

static void seal_one(struct svr_crypt *c, struct svr_crypt_job *j)
{
	const bool gcm = j->cipher && svr_cipher_is_gcm(j->cipher->cipher);
	const bool cbc = j->cipher && !gcm && j->text_len > 0;
	const uint8_t *s = NULL;
	IMB_JOB *to;

	j->err = gcm ? gcm_run(c, j, true) : 0;
	if (j->err || (!cbc && !j->hmac))
		return;
	if (cbc)
		s = schedule_of(j->cipher, true);
	if (cbc && !s) {
		j->err = -EIO;
		return;
	}
	to = IMB_GET_NEXT_JOB(c->mb->mgr);
	if (cbc) {
		aes_fill(to, IMB_CIPHER_CBC, s, svr_cipher_key_len(j->cipher->cipher),
			 true, j->text, j->text_len);
		to->iv = j->iv;
		to->iv_len_in_bytes = SVR_BLOCK_LEN;
	} else {
		nothing_to_cipher(to, j->input);
	}
	if (j->hmac)
		hmac_fill(to, j);
	else
		nothing_to_hash(to);
	submit(c->mb->mgr, to, j);
}

static void seal(struct svr_crypt *c, struct svr_crypt_job *const jobs[], unsigned int count)
{
	unsigned int i;

	for (i = 0; i < count; i++)
		seal_one(c, jobs[i]);
	drain(c->mb->mgr);
}

static void tag(struct svr_crypt *c, struct svr_crypt_job *const jobs[], unsigned int count)
{
	unsigned int i;
	IMB_JOB *to;

	for (i = 0; i < count; i++) {
		to = IMB_GET_NEXT_JOB(c->mb->mgr);
		nothing_to_cipher(to, jobs[i]->input);
		hmac_fill(to, jobs[i]);
		submit(c->mb->mgr, to, jobs[i]);
	}
	drain(c->mb->mgr);
}

static void open_one(struct svr_crypt *c, struct svr_crypt_job *j)
{
	const uint8_t *s;
	IMB_JOB *to;

	j->err = 0;
	if (svr_cipher_is_gcm(j->cipher->cipher)) {
		j->err = gcm_run(c, j, false);
		return;
	}
	if (j->text_len == 0)
		return;
	s = schedule_of(j->cipher, false);
	if (!s) {
		j->err = -EIO;
		return;
	}
	to = IMB_GET_NEXT_JOB(c->mb->mgr);
	aes_fill(to, IMB_CIPHER_CBC, s, svr_cipher_key_len(j->cipher->cipher), false,
		 j->text, j->text_len);
	to->iv = j->iv;
	to->iv_len_in_bytes = SVR_BLOCK_LEN;
	nothing_to_hash(to);
	submit(c->mb->mgr, to, j);
}

static void open_all(struct svr_crypt *c, struct svr_crypt_job *const jobs[], unsigned int count)
{
	unsigned int i;

	for (i = 0; i < count; i++)
		open_one(c, jobs[i]);
	drain(c->mb->mgr);
}

static int block(struct svr_crypt *c, struct svr_cipher_key *k, bool encrypt,
		 uint8_t b[static SVR_BLOCK_LEN])
{
	const uint8_t *s = schedule_of(k, encrypt);
	struct svr_crypt_job j = { .err = -EIO };
	IMB_JOB *to;

	if (!s || !svr_cipher_is_cbc(k->cipher))
		return -EIO;
	to = IMB_GET_NEXT_JOB(c->mb->mgr);
	aes_fill(to, IMB_CIPHER_ECB, s + AES_SCHEDULE_LEN, sizeof(k->iv_key), encrypt, b,
		 SVR_BLOCK_LEN);
	to->iv = NULL;
	to->iv_len_in_bytes = 0;
	nothing_to_hash(to);
	submit(c->mb->mgr, to, &j);
	drain(c->mb->mgr);
	return j.err;
}

const struct svr_crypt_ops svr_crypt_mb_ops = {
	.seal = seal,
	.tag = tag,
	.open = open_all,
	.block = block,
};

#else /* !SVR_HAVE_IPSEC_MB */

int svr_crypt_mb_new(struct svr_crypt *c)
{
	snprintf(c->why, sizeof(c->why), "svr was built without the header of ipsec-mb");
	return -EOPNOTSUPP;
}

void svr_crypt_mb_free(struct svr_crypt *c)
{
	(void)c;
}

size_t svr_mb_schedule_len(const struct svr_crypt *c, uint8_t cipher, enum svr_crypt_use use)
{
	(void)c;
	(void)cipher;
	(void)use;
	return 0;
}

void svr_mb_schedule_make(struct svr_crypt *c, struct svr_cipher_key *k)
{
	(void)c;
	(void)k;
}

const struct svr_crypt_ops svr_crypt_mb_ops;

#endif
