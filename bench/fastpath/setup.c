// SPDX-License-Identifier: BSD-2-Clause
/*
 * First packets of clear sessions. Each is classified by svr_lan, which makes both flows, adds metadata and sends it to the
 * peer router; there svr_wan reads the metadata, makes its two flows, takes the metadata away and sends the packet to the
 * host. What each of the two costs is the difference between a run with it and one without.
 */
#include <errno.h>
#include <stdio.h>

#include "bench/fastpath/fastpath.h"
#include "bench/median.h"

enum { SESSIONS = 100000 };

static const struct wire_load load = {
	.len = 64, .sessions = SESSIONS, .udp = true, .in_order = true
};

static int all_of(const char *what, uint64_t made)
{
	if (made == SESSIONS)
		return 0;
	fprintf(stderr, "fastpath: %llu of %d sessions were %s\n", (unsigned long long)made,
		SESSIONS, what);
	return -EBADMSG;
}

/* @peer_fd: what stands at the other end of the WAN */
static int send_first(const struct programs *west, int peer_fd, double *ns)
{
	uint64_t opened = programs_sessions_opened(west);
	int err = programs_forget_flows(west) ?: wire_attach_peer(peer_fd);

	err = err ?: wire_send(&load, SESSIONS, ns);
	return err ?: all_of("opened", programs_sessions_opened(west) - opened);
}

static int setup_round(const struct programs *west, const struct programs *east, double *total,
		       double *open_net, double *accept_net)
{
	uint64_t accepted = programs_sessions_accepted(east);
	double base = 0, both = 0;
	int err = wire_attach(WIRE_NOTHING) ?: wire_send(&load, SESSIONS, &base);

	err = err ?: wire_attach(programs_fd(west, SUBJECT_LAN_TO_WAN));
	err = err ?: send_first(west, WIRE_NOTHING, total) ?: programs_forget_flows(east);
	err = err ?: send_first(west, programs_fd(east, SUBJECT_WAN_TO_LAN), &both);
	err = err ?: all_of("accepted", programs_sessions_accepted(east) - accepted);
	*open_net = *total - base;
	*accept_net = both - *total;
	return err;
}

int setup_measure(unsigned int rounds, struct setup_result *s)
{
	static double total[ROUNDS_MAX], open_net[ROUNDS_MAX], accept_net[ROUNDS_MAX];
	struct programs west = {}, east = {};
	unsigned int r;
	int err;

	fprintf(stderr, "fastpath: session set-up\n");
	err = programs_load(&west, ROOM, 0, wire_out_ifindex()) ?: programs_configure_west(&west);
	err = err ?: programs_load(&east, ROOM, 0, wire_peer_out_ifindex());
	err = err ?: programs_configure_east(&east);
	for (r = 0; r < rounds && !err; r++)
		err = setup_round(&west, &east, &total[r], &open_net[r], &accept_net[r]);
	if (!err) {
		s->rounds = rounds;
		s->total_ns = median(total, rounds);
		s->net_ns = median(open_net, rounds);
		s->accept_net_ns = median(accept_net, rounds);
		s->bytes = programs_bytes_per_session(&west);
	}
	wire_attach(WIRE_NOTHING);
	wire_attach_peer(WIRE_NOTHING);
	programs_free(&west);
	programs_free(&east);
	return err;
}
