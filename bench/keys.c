// SPDX-License-Identifier: BSD-2-Clause
/*
 * What it takes to make the keys of an encrypted session ready for use: the derivation of its payload keys, and their
 * expansion for both directions, by cipher and backend. That is what a packet costs more whose session had none for so long
 * that its keys were given up (worker/keysets.h). Hash states are not in it: sessions of a peer share them; their cost is
 * shown beside it. Needs no root.
 *
 *	keys [ROUNDS]
 *
 * Every key lies in memory of its own, as many as a thread keeps. Medians, nanoseconds of CPU time.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench/median.h"
#include "lib/crypt.h"
#include "lib/kdf.h"

enum { KEYS = 8192, ROUNDS = 15, ROUNDS_MAX = 1000 };

static const struct {
	const char *name;
	uint8_t cipher;
} ciphers[] = {
	{ "aes-cbc-128", SVR_CIPHER_AES_CBC_128 },
	{ "aes-cbc-256", SVR_CIPHER_AES_CBC_256 },
	{ "aes-gcm-128", SVR_CIPHER_AES_GCM_128 },
	{ "aes-gcm-256", SVR_CIPHER_AES_GCM_256 },
};
enum { CIPHERS = sizeof(ciphers) / sizeof(ciphers[0]) };

/* Of the processor: what others do on the machine meanwhile does not count. */
static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

struct parts {
	double derive, expand, states;
};

/* One round over all keys. */
static struct parts round_run(struct svr_crypt *c, uint8_t cipher, uint8_t *room, size_t len)
{
	static struct svr_payload_keys keys[KEYS];
	uint8_t secret[SVR_SESSION_KEY_LEN] = { 1 }, uuid[SVR_UUID_LEN] = { 2 };
	uint8_t hmac[SVR_HMAC_KEY_LEN] = { 3 };
	struct svr_hmac_key states;
	double begin = now_ns(), derived, expanded, stated;
	uint32_t i;

	for (i = 0; i < KEYS; i++) {
		memcpy(secret, &i, sizeof(i));
		svr_kdf_payload(secret, uuid, 1, &keys[i]);
	}
	derived = now_ns();
	for (i = 0; i < KEYS; i++) {
		uint8_t *at = room + i * 2 * len;

		if (svr_cipher_key_set(c, (struct svr_cipher_key *)at, cipher, SVR_CRYPT_TO_SEAL,
				       keys[i].enc[0], keys[i].iv[0]) ||
		    svr_cipher_key_set(c, (struct svr_cipher_key *)(at + len), cipher,
				       SVR_CRYPT_TO_OPEN, keys[i].enc[1], keys[i].iv[1]))
			abort();
	}
	expanded = now_ns();
	for (i = 0; i < KEYS; i++) {
		memcpy(hmac, &i, sizeof(i));
		svr_hmac_key_set(&states, SVR_HMAC_SHA384, hmac, sizeof(hmac));
		svr_hmac_key_set(&states, SVR_HMAC_SHA384, hmac, sizeof(hmac));
	}
	stated = now_ns();
	return (struct parts){ (derived - begin) / KEYS, (expanded - derived) / KEYS,
			       (stated - expanded) / KEYS };
}

static void cipher_run(struct svr_crypt *c, unsigned int which, unsigned int rounds)
{
	const uint8_t cipher = ciphers[which].cipher;
	const size_t seal = svr_cipher_key_size(c, cipher, SVR_CRYPT_TO_SEAL),
		     open = svr_cipher_key_size(c, cipher, SVR_CRYPT_TO_OPEN),
		     len = seal > open ? seal : open;
	uint8_t *room = aligned_alloc(SVR_CIPHER_KEY_ALIGN, 2 * len * KEYS);
	double derive[ROUNDS_MAX], expand[ROUNDS_MAX], states[ROUNDS_MAX], all[ROUNDS_MAX];
	struct svr_crypt_info info;
	struct parts p;
	unsigned int i;

	if (!room)
		abort();
	for (i = 0; i < rounds; i++) {
		p = round_run(c, cipher, room, len);
		derive[i] = p.derive;
		expand[i] = p.expand;
		states[i] = p.states;
		all[i] = p.derive + p.expand;
	}
	svr_crypt_describe(c, &info);
	printf("%-9s %-12s %5.0f %7.0f %7.0f %7.0f %7zu\n", info.backend, ciphers[which].name,
	       median(all, rounds), median(derive, rounds), median(expand, rounds),
	       median(states, rounds), seal + open);
	free(room);
}

int main(int argc, char **argv)
{
	const enum svr_crypt_backend backends[] = { SVR_CRYPT_OPENSSL, SVR_CRYPT_IPSEC_MB };
	const long rounds = argc > 1 ? strtol(argv[1], NULL, 10) : ROUNDS;
	struct svr_crypt *c;
	unsigned int b, i;

	if (argc > 2 || rounds < 1 || rounds > ROUNDS_MAX) {
		fprintf(stderr, "usage: keys [ROUNDS]\n");
		return 2;
	}
	puts("backend   cipher         all  derive  expand  states   bytes");
	for (b = 0; b < 2; b++) {
		if (svr_crypt_new_backend(backends[b], &c)) {
			puts("ipsec-mb is not to be had");
			continue;
		}
		for (i = 0; i < CIPHERS; i++)
			cipher_run(c, i, (unsigned int)rounds);
		svr_crypt_free(c);
	}
	return 0;
}
