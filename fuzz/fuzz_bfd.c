// SPDX-License-Identifier: BSD-2-Clause
/*
 * libFuzzer target of everything that a BFD packet from a stranger can reach: a router without
 * keys, BFD up with whoever sends, so the pieces of key-exchange messages are collected and the
 * messages are taken apart. Whatever comes in, the stranger gets no key, no path comes into
 * service, and nothing is read or written outside (AddressSanitizer).
 *
 * Input: packets, each u16 length and that many bytes to be put behind a valid control packet.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bytes.h"
#include "lib/peering.h"
#include "tests/certs.h"

enum { PACKETS_MAX = 32 };

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct svr_crypt *ciphers;
static struct svr_pki_identity *identity;
static struct svr_pki_trust *trust;
static struct svr_own_keys own;
static struct svr_now now;

static void require(int ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "fuzz_bfd: %s\n", what);
	abort();
}

static int give_random(void *user, void *out, size_t len)
{
	static uint8_t counter;

	(void)user;
	while (len--)
		((uint8_t *)out)[len] = ++counter;
	return 0;
}

static bool may_compute(void *user, uint64_t now_ns)
{
	(void)user, (void)now_ns;
	return true;
}

static struct svr_now give_now(void *user)
{
	(void)user;
	return now;
}

static void take_packet(void *user, unsigned int path, const uint8_t *packet, size_t len)
{
	(void)user, (void)path, (void)packet;
	require(len >= SVR_BFD_LEN && len <= SVR_BFDMETA_PACKET_MAX,
		"sends a packet of a wrong length");
}

static void take_path(void *user, unsigned int path, const struct svr_path_state *state)
{
	(void)user, (void)path;
	require(state->status != SVR_PATH_UP, "a stranger's path is in service");
}

static void take_keys(void *user, const struct svr_peer_keys *keys)
{
	(void)user;
	require(keys->tx == SVR_KEY_SLOTS, "a stranger has a key");
}

static void take_key(void *user, const struct svr_peer_key *key)
{
	(void)user, (void)key;
	require(0, "a stranger's key was confirmed");
}

static void take_log(void *user, bool warn, const char *text)
{
	(void)user, (void)warn;
	require(strlen(text) < 1024, "a line that does not end");
}

static const struct svr_peering_ops ops = {
	.random = give_random,
	.dh = &svr_dh_openssl,
	.may_compute = may_compute,
	.now = give_now,
	.send = take_packet,
	.save_path = take_path,
	.save_keys = take_keys,
	.new_key = take_key,
	.log = take_log,
};

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct test_cert_spec spec = { .common_name = "west.svr.test" };
	uint8_t nobody[SVR_PKI_FINGERPRINT_LEN] = { 0 };
	struct test_cert cert = test_cert_make(&spec);

	(void)argc, (void)argv;
	identity = test_cert_identity_one(&cert);
	test_cert_free(&cert);
	require(svr_crypt_new(&ciphers) == 0 && svr_pki_trust_new(&trust) == 0, "out of memory");
	svr_pki_trust_fingerprint(trust, nobody);
	return 0;
}

static struct svr_peering *make_router(void)
{
	const struct svr_peering_config config = {
		.kex = { .own_name = "west.svr.test",
			 .peer_name = "east.svr.test",
			 .identity = identity,
			 .trust = trust,
			 .group = SVR_DH_FFDHE2048,
			 .retransmit_ms = 30000,
			 .timeout_s = 60 },
		.own = &own,
		.crypt = ciphers,
	};
	const struct svr_peering_path_config path = {
		.enabled = true,
		.bfd = { .desired_min_tx_us = 1000000,
			 .required_min_rx_us = 1000000,
			 .detect_mult = 3 },
	};
	struct svr_peering *p;

	require(svr_peering_new(&config, &ops, NULL, 1, NULL, &p) == 0 &&
			svr_peering_set_path(p, 0, &path, NULL) == 0,
		"no router");
	return p;
}

/*
 * @behind: what stands behind the control packet; in a buffer of its own, so that reading too far
 * is seen.
 */
static int send_to(struct svr_peering *p, uint8_t state, const uint8_t *behind, size_t len)
{
	const struct svr_bfd_packet pkt = {
		.state = state,
		.detect_mult = 3,
		.my_discr = 0x7fffffff,
		.your_discr = p->paths[0].bfd.local_discr,
		.desired_min_tx_us = 1000000,
		.required_min_rx_us = 1000000,
	};
	uint8_t *packet = malloc(SVR_BFD_LEN + len);
	int ret;

	require(packet != NULL, "out of memory");
	svr_bfd_build(&pkt, packet);
	if (len)
		memcpy(packet + SVR_BFD_LEN, behind, len);
	ret = svr_peering_receive(p, 0, packet, SVR_BFD_LEN + len, 255);
	free(packet);
	return ret;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct svr_peering *p;
	unsigned int packets;
	size_t at = 0, len;

	now = (struct svr_now){ 1000 * SVR_NS_PER_SEC, 1800000000 * SVR_NS_PER_SEC };
	p = make_router();
	require(send_to(p, SVR_BFD_DOWN, NULL, 0) == 0 && send_to(p, SVR_BFD_UP, NULL, 0) == 0,
		"BFD does not come up");
	for (packets = 0; packets < PACKETS_MAX && size - at >= 2; packets++) {
		len = svr_get16(data + at);
		at += 2;
		if (len > size - at)
			len = size - at;
		send_to(p, SVR_BFD_UP, data + at, len);
		at += len;
		now.mono_ns += 100 * SVR_NS_PER_MS;
		now.real_ns += 100 * SVR_NS_PER_MS;
		svr_peering_tick(p);
	}
	/* the control packet itself, as it comes */
	if (size <= SVR_BFDMETA_PACKET_MAX) {
		uint8_t *copy = malloc(size + 1);

		require(copy != NULL, "out of memory");
		memcpy(copy, data, size);
		svr_peering_receive(p, 0, copy, size, 255);
		free(copy);
	}
	svr_peering_free(p);
	return 0;
}
