// SPDX-License-Identifier: BSD-2-Clause
/* Certificates of every kind at both ends, in any mix: the peers agree, and change their key. */
#include <criterion/criterion.h>

#include "tests/certs.h"
#include "world.h"

enum { START_MS = 20000, REKEY_MS = 60000, WORLD_NOW_S = 1800000000 + 1000, RSA_BITS = 2048 };

static const char *const algorithms[] = { "RSA", "P-256", "P-384", "P-521", "ED25519" };
enum { ALGORITHMS = sizeof(algorithms) / sizeof(algorithms[0]) };

struct owner {
	struct test_cert cert;
	struct svr_pki_identity *identity;
	uint8_t fingerprint[SVR_PKI_FINGERPRINT_LEN];
};

static void owner_make(struct owner *o, const char *name, const char *algorithm)
{
	o->cert = test_cert_make(&(struct test_cert_spec){ .common_name = name,
							   .algorithm = algorithm,
							   .rsa_bits = RSA_BITS,
							   .from_base = WORLD_NOW_S });
	o->identity = test_cert_identity_one(&o->cert);
	test_cert_fingerprint(&o->cert, o->fingerprint);
}

static void owner_free(struct owner *o)
{
	svr_pki_identity_free(o->identity);
	test_cert_free(&o->cert);
}

static void meet(const struct owner *east, const struct owner *west, const char *what)
{
	const struct owner *owner[2] = { east, west };
	struct world *w = world_new(29, 1);
	int i;

	for (i = 0; i < 2; i++) {
		w->node[i].identity = owner[i]->identity;
		svr_pki_trust_free(w->node[i].trust);
		cr_assert_eq(svr_pki_trust_new(&w->node[i].trust), 0);
		svr_pki_trust_fingerprint(w->node[i].trust, owner[!i]->fingerprint);
		node_start(&w->node[i]);
	}
	cr_assert(world_run_until_agreed(w, START_MS), "%s: %s", what, world_describe(w));
	world_run(w, REKEY_MS); /* no key is replaced before it has been in use for a hold time */
	cr_assert_eq(svr_peering_rekey(w->node[0].peering), 0, "%s", what);
	world_run(w, REKEY_MS);
	cr_expect(world_agreed(w), "%s: %s", what, world_describe(w));
	for (i = 0; i < 2; i++) {
		cr_expect_eq(w->node[i].keys_made, 2, "%s", what);
		cr_expect_eq(w->node[i].path[0].down_count, 0, "%s", what);
	}
	world_free(w);
}

Test(algorithms, of_certificates_in_any_mix)
{
	struct owner east[ALGORITHMS], west[ALGORITHMS];
	char what[64];
	int e, w;

	for (e = 0; e < ALGORITHMS; e++) {
		owner_make(&east[e], "east", algorithms[e]);
		owner_make(&west[e], "west", algorithms[e]);
	}
	for (e = 0; e < ALGORITHMS; e++) {
		for (w = 0; w < ALGORITHMS; w++) {
			snprintf(what, sizeof(what), "east %s, west %s", algorithms[e],
				 algorithms[w]);
			meet(&east[e], &west[w], what);
		}
	}
	for (e = 0; e < ALGORITHMS; e++) {
		owner_free(&east[e]);
		owner_free(&west[e]);
	}
}
