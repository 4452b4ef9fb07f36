// SPDX-License-Identifier: BSD-2-Clause
/*
 * What the owner of a peering decides about it while it runs: another certificate, other rules, no
 * peering at all.
 */
#include <stdio.h>

#include "lib/peering_internal.h"

void svr_peering_set_identity(struct svr_peering *p, struct svr_pki_identity *identity)
{
	p->config.kex.identity = identity;
	svr_kex_set_identity(&p->kex, identity);
}

void svr_peering_set_trust(struct svr_peering *p, struct svr_pki_trust *trust)
{
	p->config.kex.trust = trust;
	svr_kex_set_trust(&p->kex, trust);
}

int svr_peering_accept(struct svr_peering *p)
{
	return svr_peering_keys_own(p);
}

/* The exchange, all keys, and what they have proved. */
static void forget(struct svr_peering *p)
{
	unsigned int i;

	svr_kex_reset(&p->kex);
	for (i = 0; i < p->n_paths; i++) {
		struct svr_peering_path *path = &p->paths[i];

		svr_kex_buffer_clear(&path->buffer);
		path->auth_until_ns = 0;
		path->state.flags &= ~(uint32_t)SVR_PATH_AUTHENTIC;
	}
	svr_peering_keys_forget(p);
}

void svr_peering_forget(struct svr_peering *p, const char *why)
{
	if (p->keys.tx != SVR_PEERING_NO_SLOT)
		svr_peering_log(p, true, "keys are forgotten: %s", why);
	forget(p);
	snprintf(p->kex.reason, sizeof(p->kex.reason), "%s", why);
	svr_peering_tick(p);
}

void svr_peering_bar(struct svr_peering *p, const char *why)
{
	uint64_t now_ns = p->ops->now(p->user).mono_ns;
	unsigned int i;

	if (!why && !p->barred)
		return;
	/* First BFD: under the key that is still there the peer believes that we go. */
	p->barred = why != NULL;
	for (i = 0; i < p->n_paths; i++)
		if (p->paths[i].config.enabled)
			svr_bfd_set_admin_down(&p->paths[i].bfd, p->barred, now_ns);
	if (why)
		forget(p);
	snprintf(p->kex.reason, sizeof(p->kex.reason), "%s", why ? why : "");
	svr_peering_tick(p);
}
