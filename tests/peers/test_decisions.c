// SPDX-License-Identifier: BSD-2-Clause
/*
 * What an owner decides about a peering that runs: another certificate, a certificate that is good
 * no longer, no peering at all (lib/peering_trust.c).
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include <svr/drops.h>

#include "tests/certs.h"
#include "world.h"

enum { PATIENCE_MS = 45000, WORLD_NOW_S = 1800000000 + 1000 };

static struct world *agreed_world(uint64_t seed)
{
	struct world *w = world_new(seed, 2);

	node_start(&w->node[0]);
	node_start(&w->node[1]);
	cr_assert(world_run_until_agreed(w, PATIENCE_MS), "%s", world_describe(w));
	world_run(w, PATIENCE_MS); /* until a key may be replaced again */
	return w;
}

static bool in_service(const struct node *n)
{
	return n->path[0].status == SVR_PATH_UP && n->path[1].status == SVR_PATH_UP;
}

static bool has_key(const struct node *n)
{
	return n->keys.tx < SVR_KEY_SLOTS;
}

/* A trust that pins @id, with fail-soft or not. */
static struct svr_pki_trust *pin(const struct svr_pki_identity *id, bool soft)
{
	struct svr_pki_trust *t;

	cr_assert_eq(svr_pki_trust_new(&t), 0);
	svr_pki_trust_fingerprint(t, svr_pki_identity_fingerprint(id));
	svr_pki_trust_fail_soft(t, soft);
	return t;
}

static void trust(struct node *n, struct svr_pki_trust *t)
{
	svr_peering_set_trust(n->peering, t);
	svr_pki_trust_free(n->trust);
	n->trust = t;
}

/* I95-63356: after a revocation nothing goes on, and an exchange that starts anew is refused. */
Test(decisions, forgotten_peer_leaves_service_and_stays_out)
{
	struct world *w = agreed_world(31);
	struct node *east = &w->node[0], *west = &w->node[1];
	unsigned int made = east->keys_made;
	uint64_t count = east->keys.rekey_count;

	w->tampered = true; /* what is sent under a key that is gone cannot be read */
	/* west's certificate is good no longer: here, another one is pinned */
	trust(east, pin(east->identity, false));
	svr_peering_forget(east->peering, "certificate: revoked");
	cr_expect(!has_key(east) && !in_service(east), "at once, and as it is stored");
	cr_expect_gt(count, 0);
	cr_expect_eq(east->keys.rekey_count, count, "counters do not go backwards");
	cr_expect_str_eq(east->peering->kex.reason, "certificate: revoked");
	world_run(w, PATIENCE_MS);
	cr_expect(!has_key(east) && !in_service(east) && !in_service(west));
	cr_expect_eq(east->keys_made, made, "no new key (I95-63356)");
	/* I95-63422: it comes back without anybody's restart */
	trust(east, pin(west->identity, false));
	cr_expect(world_run_until_agreed(w, 2 * PATIENCE_MS), "I95-63422: %s", world_describe(w));
	world_free(w);
}

static bool not_to_west(struct world *w, const struct flight *f, void *arg)
{
	(void)w, (void)arg;
	return f->to != 1;
}

/*
 * Keys are forgotten while the acknowledgement of a metadata key is still to be sent: it goes with
 * them, or the peer would believe that the key is there, and never send it again.
 */
Test(decisions, what_is_forgotten_is_not_acknowledged)
{
	struct world *w = agreed_world(37);
	struct node *east = &w->node[0], *west = &w->node[1];
	int ms = 0;

	w->tampered = true;
	w->compute_ns = 50 * SVR_NS_PER_MS; /* the key is announced while east still computes */
	w->filter = not_to_west;
	w->path_cut[0] = true;
	cr_assert_eq(node_rotate(west), 0);
	world_run(w, 8); /* it came on the other path */
	w->path_cut[0] = false;
	while (!east->peering->paths[0].ack_due && ms++ < 2000)
		world_run(w, 1);
	cr_assert(east->peering->paths[0].ack_due);
	svr_peering_forget(east->peering, "certificate: revoked");
	w->filter = NULL;
	w->path_cut[1] = true;
	cr_expect(world_run_until_agreed(w, 2 * PATIENCE_MS), "%s", world_describe(w));
	world_free(w);
}

Test(decisions, barred_peering_says_so_and_begins_again)
{
	struct world *w = agreed_world(32);
	struct node *east = &w->node[0], *west = &w->node[1];

	w->tampered = true;
	svr_peering_bar(east->peering, "own certificate: expired");
	cr_expect(!has_key(east) && !in_service(east));
	world_run(w, 500);
	cr_expect(!in_service(west), "the other end is told, and does not wait for silence");
	world_run(w, PATIENCE_MS);
	cr_expect(!has_key(east) && !in_service(east) && !in_service(west));
	cr_expect_eq(svr_peering_rekey(east->peering), -ENOKEY);
	svr_peering_bar(east->peering, NULL);
	cr_expect(world_run_until_agreed(w, 2 * PATIENCE_MS), "%s", world_describe(w));
	world_free(w);
}

/* I95-65393: a certificate that comes late is used when it comes; until then nothing is exchanged. */
Test(decisions, no_certificate_yet)
{
	struct world *w = world_new(36, 2);
	struct svr_pki_identity *id = w->node[0].identity;
	struct node *east = &w->node[0];

	east->identity = NULL;
	node_start(east);
	node_start(&w->node[1]);
	world_run(w, PATIENCE_MS);
	cr_expect(!has_key(east) && !in_service(east));
	cr_expect_eq(svr_peering_rekey(east->peering), -ENOKEY);
	svr_peering_set_identity(east->peering, id);
	east->identity = id;
	cr_expect(world_run_until_agreed(w, 2 * PATIENCE_MS), "I95-65393: %s", world_describe(w));
	world_free(w);
}

/* A restart in between changes nothing: keys were wiped from what is stored. */
Test(decisions, forgotten_keys_are_not_taken_back)
{
	struct world *w = agreed_world(33);
	struct node *east = &w->node[0];

	w->tampered = true;
	trust(east, pin(east->identity, false));
	svr_peering_forget(east->peering, "certificate: revoked");
	node_stop(east);
	node_start(east);
	world_run(w, PATIENCE_MS);
	cr_expect(!has_key(east) && !in_service(east));
	world_free(w);
}

/*
 * Another certificate, while paths are in service: shown in an exchange under the key in use. What
 * is stored holds under the new rules when the owner accepts it.
 */
Test(decisions, another_certificate_without_a_gap)
{
	const struct test_cert_spec spec = { .common_name = "east", .from_base = WORLD_NOW_S };
	struct test_cert cert = test_cert_make(&spec);
	struct svr_pki_identity *id = test_cert_identity_one(&cert);
	struct world *w = agreed_world(34);
	struct node *east = &w->node[0], *west = &w->node[1];
	unsigned int downs = west->path[0].down_count;
	uint64_t count = west->keys.rekey_count;

	trust(west, pin(id, false));
	svr_peering_set_identity(east->peering, id);
	east->identity = id;
	cr_assert_eq(svr_peering_rekey(east->peering), 0);
	world_run(w, PATIENCE_MS);
	cr_expect(world_agreed(w), "%s", world_describe(w));
	cr_expect_gt(west->keys.rekey_count, count);
	cr_expect_eq(west->path[0].down_count, downs, "no path left service");
	cr_expect_arr_eq(west->keys.cert_fingerprint, svr_pki_identity_fingerprint(id),
			 SVR_PKI_FINGERPRINT_LEN);
	cr_expect_eq(svr_peering_accept(west->peering), 0);
	downs = west->keys.peer[west->keys.tx].index;
	node_stop(west);
	node_start(west);
	cr_expect_eq(west->keys.peer[west->keys.tx].index, downs, "taken back under the new rules");
	world_free(w);
	svr_pki_identity_free(id);
	test_cert_free(&cert);
}

/* An exchange that was begun with the old certificate does not end with the new one. */
Test(decisions, another_certificate_in_the_middle)
{
	const struct test_cert_spec spec = { .common_name = "east", .from_base = WORLD_NOW_S };
	struct test_cert cert = test_cert_make(&spec);
	struct svr_pki_identity *id = test_cert_identity_one(&cert);
	unsigned int ms;

	for (ms = 0; ms < 12000; ms += 700) {
		struct world *w = world_new(40 + ms, 1);

		w->delay_ns = 150 * SVR_NS_PER_MS;
		node_start(&w->node[0]);
		node_start(&w->node[1]);
		world_run(w, ms);
		trust(&w->node[1], pin(id, false));
		svr_peering_set_identity(w->node[0].peering, id);
		w->node[0].identity = id;
		if (has_key(&w->node[0]) && has_key(&w->node[1]))
			(void)svr_peering_rekey(w->node[0].peering);
		cr_expect(world_run_until_agreed(w, 2 * PATIENCE_MS), "after %u ms: %s", ms,
			  world_describe(w));
		world_free(w);
	}
	svr_pki_identity_free(id);
	test_cert_free(&cert);
}

/* fail-soft: who has the key goes on with an expired certificate; who has none gets none. */
Test(decisions, fail_soft_gives_no_trust)
{
	const struct test_cert_spec spec = {
		.common_name = "west", .from_days = -10, .until_days = -1, .from_base = WORLD_NOW_S
	};
	struct test_cert cert = test_cert_make(&spec);
	struct svr_pki_identity *id = test_cert_identity_one(&cert);
	struct world *w = agreed_world(35);
	struct node *east = &w->node[0], *west = &w->node[1];
	uint64_t count = east->keys.rekey_count;

	trust(east, pin(id, true));
	svr_peering_set_identity(west->peering, id);
	west->identity = id;
	cr_assert_eq(svr_peering_rekey(west->peering), 0);
	world_run(w, PATIENCE_MS);
	cr_expect(world_agreed(w) && in_service(east), "%s", world_describe(w));
	cr_expect_gt(east->keys.rekey_count, count, "a rekey under the old key is accepted");
	cr_expect_eq(east->peering->kex.certificate.verdict, SVR_PKI_EXPIRED);

	w->tampered = true;
	node_stop(west);
	node_forget(west);
	node_start(west);
	world_run(w, 2 * PATIENCE_MS);
	cr_expect(!in_service(east) && !in_service(west), "an exchange from nothing is refused");
	cr_expect(strstr(east->peering->kex.reason, "expired"), "%s", east->peering->kex.reason);
	world_free(w);
	svr_pki_identity_free(id);
	test_cert_free(&cert);
}
