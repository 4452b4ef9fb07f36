// SPDX-License-Identifier: BSD-2-Clause
/*
 * Peers that are not who they should be, and messages that somebody changed on the way: never a
 * key, and a reason in words.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include <svr/drops.h>

#include "lib/bytes.h"
#include "tests/certs.h"
#include "world.h"

enum { PATIENCE_MS = 45000, WORLD_NOW_S = 1800000000 + 1000 };

/* Neither side has a key, no path is in service, and the side that refused says why. */
static void expect_refused(struct world *w, int who, const char *word)
{
	int i;

	node_start(&w->node[0]);
	node_start(&w->node[1]);
	world_run(w, PATIENCE_MS);
	for (i = 0; i < 2; i++) {
		cr_expect_eq(w->node[i].keys_made, 0, "%s has a key", w->node[i].name);
		cr_expect_eq(w->node[i].keys.tx, SVR_KEY_SLOTS);
		cr_expect_neq(w->node[i].path[0].status, SVR_PATH_UP);
	}
	cr_expect(strstr(w->node[who].peering->kex.reason, word), "%s says \"%s\" and not %s",
		  w->node[who].name, w->node[who].peering->kex.reason, word);
}

static void set_trust(struct node *n, bool pinned, const struct test_cert *cert,
		      const struct test_cert *ca)
{
	uint8_t fingerprint[SVR_PKI_FINGERPRINT_LEN];

	svr_pki_trust_free(n->trust);
	cr_assert_eq(svr_pki_trust_new(&n->trust), 0);
	if (pinned) {
		test_cert_fingerprint(cert, fingerprint);
		svr_pki_trust_fingerprint(n->trust, fingerprint);
	}
	if (ca)
		test_cert_trust(n->trust, &ca, 1);
}

/* "west" with the certificate of @spec; east pins it, or trusts @ca. */
static void west_with(struct test_cert_spec spec, bool pinned, const struct test_cert *ca,
		      const char *word)
{
	struct world *w = world_new(11, 1);
	struct svr_pki_identity *id;
	struct test_cert cert;

	if (!spec.from_base)
		spec.from_base = WORLD_NOW_S;
	cert = test_cert_make(&spec);
	id = test_cert_identity_one(&cert);
	w->node[1].identity = id;
	set_trust(&w->node[0], pinned, &cert, ca);
	if (word) {
		expect_refused(w, 0, word);
	} else {
		node_start(&w->node[0]);
		node_start(&w->node[1]);
		cr_expect(world_run_until_agreed(w, PATIENCE_MS), "%s", world_describe(w));
	}
	world_free(w);
	svr_pki_identity_free(id);
	test_cert_free(&cert);
}

Test(refused, wrong_common_name)
{
	west_with((struct test_cert_spec){ .common_name = "north" }, true, NULL,
		  "common name is north, expected west");
	west_with((struct test_cert_spec){ .common_name = "wes" }, true, NULL,
		  "common name is wes, expected west");
	west_with((struct test_cert_spec){ .common_name = "WEST" }, true, NULL, "common name");
	west_with((struct test_cert_spec){ .common_name = "west", .second_common_name = "north" },
		  true, NULL, "common name");
	west_with((struct test_cert_spec){ .common_name = "x", .san = "URI:urn:ssr:peering:north" },
		  true, NULL, "common name");
	west_with((struct test_cert_spec){ .common_name = "x", .san = "DNS:west" }, true, NULL,
		  "common name");
}

Test(refused, but_not_a_name_in_the_san)
{
	west_with((struct test_cert_spec){ .common_name = "x", .san = "URI:urn:ssr:peering:west" },
		  true, NULL, NULL);
}

Test(refused, dates_and_roles)
{
	west_with((struct test_cert_spec){ .common_name = "west",
					   .from_days = -10,
					   .until_days = -1 },
		  true, NULL, "expired on");
	west_with((struct test_cert_spec){ .common_name = "west", .from_days = 1, .until_days = 9 },
		  true, NULL, "not valid before");
	west_with((struct test_cert_spec){ .common_name = "west", .ca = true }, true, NULL, "CA");
	west_with((struct test_cert_spec){ .common_name = "west", .key_usage = "keyEncipherment" },
		  true, NULL, "key usage");
	west_with((struct test_cert_spec){ .common_name = "west", .key_usage = "" }, true, NULL,
		  NULL);
}

Test(refused, wrong_fingerprint)
{
	struct world *w = world_new(12, 1);

	svr_pki_trust_fingerprint(w->node[1].trust,
				  svr_pki_identity_fingerprint(w->node[1].identity));
	expect_refused(w, 1, "fingerprint does not match");
	/* the other end is told, but not more than that */
	cr_expect(strstr(w->node[0].peering->kex.reason, "peer says"), "%s",
		  w->node[0].peering->kex.reason);
	world_free(w);
}

Test(refused, said_once)
{
	struct world *w = world_new(14, 1);
	struct node *east = &w->node[0], *west = &w->node[1];
	unsigned int said;

	/* west's certificate is not the one that east pins */
	svr_pki_trust_fingerprint(east->trust, svr_pki_identity_fingerprint(east->identity));
	expect_refused(w, 0, "fingerprint does not match");
	said = east->failures_said;
	cr_expect(said >= 1 && said <= 2, "said %u times", said);
	world_run(w, 10 * PATIENCE_MS);
	cr_expect_gt(east->peering->kex.failures, said + 3, "there were no more tries");
	cr_expect_eq(east->failures_said, said, "and said again");
	said = west->failures_said;
	cr_expect(said >= 1 && said <= 3, "the other end says %u times what it was told", said);
	/* when the cause has gone, so has the silence */
	svr_pki_trust_fingerprint(east->trust, svr_pki_identity_fingerprint(west->identity));
	cr_expect(world_run_until_agreed(w, 10 * PATIENCE_MS), "%s", world_describe(w));
	cr_expect_not(east->peering->kex.quiet);
	cr_expect_str_empty(east->peering->kex.said);
	world_free(w);
}

Test(refused, nothing_configured)
{
	struct world *w = world_new(13, 1);

	set_trust(&w->node[0], false, NULL, NULL);
	expect_refused(w, 0, "neither a fingerprint nor a trusted CA");
	world_free(w);
}

Test(refused, other_ca)
{
	struct test_cert ca = test_cert_make(&(struct test_cert_spec){
		.common_name = "Good CA", .ca = true, .from_base = WORLD_NOW_S });
	struct test_cert evil = test_cert_make(&(struct test_cert_spec){
		.common_name = "Good CA", .ca = true, .from_base = WORLD_NOW_S });

	west_with((struct test_cert_spec){ .common_name = "west", .issuer = &evil }, false, &ca,
		  "signature of the issuer is wrong");
	west_with((struct test_cert_spec){ .common_name = "west" }, false, &ca, "no trusted CA");
	west_with(
		(struct test_cert_spec){
			.common_name = "west", .issuer = &ca, .until_days = -1, .from_days = -2 },
		false, &ca, "expired");
	west_with((struct test_cert_spec){ .common_name = "west", .issuer = &ca }, false, &ca,
		  NULL);
	test_cert_free(&ca);
	test_cert_free(&evil);
}

Test(refused, self_signed_where_not_allowed)
{
	struct world *w = world_new(14, 1);

	svr_pki_trust_allow_self_signed(w->node[0].trust, false);
	expect_refused(w, 0, "self-signed");
	world_free(w);
}

Test(refused, one_certificate_for_both)
{
	struct world *w = world_new(15, 1);
	struct test_cert c = test_cert_make(&(struct test_cert_spec){
		.common_name = "x",
		.san = "URI:urn:ssr:peering:west,URI:urn:ssr:peering:east",
		.from_base = WORLD_NOW_S });
	struct svr_pki_identity *id = test_cert_identity_one(&c);
	int i;

	for (i = 0; i < 2; i++) {
		w->node[i].identity = id;
		set_trust(&w->node[i], true, &c, NULL);
	}
	expect_refused(w, 1, "is our own");
	world_free(w);
	svr_pki_identity_free(id);
	test_cert_free(&c);
}

/* Two routers want different groups: it is the stronger one, whoever starts. */
Test(refused, weaker_group)
{
	int who;

	for (who = 0; who < 2; who++) {
		struct world *w = world_new(16 + (uint64_t)who, 1);

		w->node[who].group = SVR_DH_FFDHE4096;
		w->compute_ns = 50 * SVR_NS_PER_MS;
		node_start(&w->node[0]);
		node_start(&w->node[1]);
		cr_expect(world_run_until_agreed(w, PATIENCE_MS), "%s", world_describe(w));
		/* the responder keeps its side to repeat AUTH_R */
		cr_expect_eq(w->node[1].peering->kex.x.group, SVR_DH_FFDHE4096);
		world_free(w);
	}
}

Test(refused, long_chain_comes_in_pieces)
{
	struct test_cert ca[5], leaf[2];
	const struct test_cert *chain[2][5], *root = &ca[0];
	struct svr_pki_identity *id[2];
	struct world *w = world_new(18, 1);
	int i, k;

	for (i = 0; i < 5; i++) {
		char name[16];

		snprintf(name, sizeof(name), "CA %d", i);
		ca[i] = test_cert_make(&(struct test_cert_spec){ .common_name = name,
								 .ca = true,
								 .from_base = WORLD_NOW_S,
								 .padding = 1000,
								 .issuer = i ? &ca[i - 1] : NULL });
	}
	for (i = 0; i < 2; i++) {
		leaf[i] = test_cert_make(&(struct test_cert_spec){ .common_name = w->node[i].name,
								   .from_base = WORLD_NOW_S,
								   .padding = 1000,
								   .issuer = &ca[4] });
		chain[i][0] = &leaf[i];
		for (k = 1; k < 5; k++)
			chain[i][k] = &ca[5 - k];
		id[i] = test_cert_identity(chain[i], 5);
		w->node[i].identity = id[i];
		svr_pki_trust_free(w->node[i].trust);
		cr_assert_eq(svr_pki_trust_new(&w->node[i].trust), 0);
		test_cert_trust(w->node[i].trust, &root, 1);
	}
	w->loss = 300;
	w->duplicate = 100;
	w->jitter_ns = 30 * SVR_NS_PER_MS;
	node_start(&w->node[0]);
	node_start(&w->node[1]);
	world_run(w, 30000);
	w->loss = 0;
	cr_expect(world_run_until_agreed(w, 120000), "%s", world_describe(w));
	cr_expect_gt(w->node[0].peering->kex.exchanges + w->node[1].peering->kex.exchanges, 0);
	world_free(w);
	for (i = 0; i < 2; i++) {
		svr_pki_identity_free(id[i]);
		test_cert_free(&leaf[i]);
	}
	for (i = 0; i < 5; i++)
		test_cert_free(&ca[i]);
}

/* ---- somebody changes messages on the way ---------------------------------------------------- */

struct tamper {
	uint8_t message; /* kind of message that is changed */
	size_t offset; /* byte of the message */
	uint8_t bits;
	size_t longest; /* total length seen */
	unsigned int changed;
};

/* Where the piece stands in an unsealed packet; NULL if there is none. */
static uint8_t *find_piece(uint8_t *packet, size_t len)
{
	size_t at = SVR_BFD_LEN + SVR_META_HDR_LEN;

	if (len < at || (svr_get16(packet + SVR_BFD_LEN + 8) & 0xfff) != SVR_META_HDR_LEN)
		return NULL;
	while (at + SVR_TLV_HDR_LEN <= len) {
		if (svr_get16(packet + at) == SVR_TLV_KEX_PIECE)
			return packet + at + SVR_TLV_HDR_LEN;
		at += SVR_TLV_HDR_LEN + svr_get16(packet + at + 2);
	}
	return NULL;
}

static bool tamper(struct world *w, const struct flight *f, void *arg)
{
	uint8_t *piece = find_piece((uint8_t *)f->data, f->len);
	struct tamper *t = arg;
	size_t first;

	(void)w;
	if (!piece || piece[0] != t->message)
		return true;
	t->longest = svr_get16(piece + 6);
	first = (size_t)svr_get16(piece + 2) * SVR_KEX_PIECE_LEN;
	if (t->offset < first || t->offset >= first + SVR_KEX_PIECE_LEN || t->offset >= t->longest)
		return true;
	piece[sizeof(struct svr_tlv_kex_piece) + t->offset - first] ^= t->bits;
	t->changed++;
	return true;
}

static size_t run_tampered(struct tamper t)
{
	struct world *w = world_new(20, 1);

	w->filter = tamper;
	w->filter_arg = &t;
	node_start(&w->node[0]);
	node_start(&w->node[1]);
	world_run(w, 3500);
	if (t.changed) {
		cr_expect_eq(w->node[0].keys_made + w->node[1].keys_made, 0,
			     "message %d, byte %zu: a key", t.message, t.offset);
		w->filter = NULL;
		cr_expect(world_run_until_agreed(w, 60000), "message %d, byte %zu: %s", t.message,
			  t.offset, world_describe(w));
	}
	world_free(w);
	return t.longest;
}

Test(tampered, every_byte_of_init_and_resp)
{
	uint8_t message;
	size_t i, len;

	for (message = SVR_KEX_INIT; message <= SVR_KEX_RESP; message++) {
		len = run_tampered((struct tamper){ .message = message, .bits = 1 });
		cr_assert_gt(len, 600);
		for (i = 1; i < len; i++)
			run_tampered((struct tamper){
				.message = message, .offset = i, .bits = (uint8_t)(1 << i % 8) });
	}
}

/*
 * A man in the middle who does Diffie-Hellman with both, with a certificate of his own from the
 * same CA.
 */
Test(tampered, another_router_of_the_same_ca_in_the_middle)
{
	struct test_cert ca = test_cert_make(&(struct test_cert_spec){
		.common_name = "CA", .ca = true, .from_base = WORLD_NOW_S });

	west_with((struct test_cert_spec){ .common_name = "mallory", .issuer = &ca }, false, &ca,
		  "common name is mallory");
	test_cert_free(&ca);
}
