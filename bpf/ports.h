/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * BPF side only: what is random about a new clear session: its ports on the two waypoints, and its
 * UUID.
 */
#ifndef SVR_BPF_PORTS_H
#define SVR_BPF_PORTS_H

#include "maps.h"

enum { SVR_PORT_TRIES = 8 };

enum svr_parity { SVR_PARITY_EVEN = 0, SVR_PARITY_ODD = 1, SVR_PARITY_ANY = 2 };

/* The port of [lo, hi] with that parity which @random falls on; 0: there is none */
static __always_inline __u16 svr_port_of(__u32 random, __u32 lo, __u32 hi, enum svr_parity parity)
{
	__u32 step = 1;

	if (parity != SVR_PARITY_ANY) {
		lo += (lo ^ parity) & 1;
		step = 2;
	}
	if (lo < SVR_PORT_MIN || lo > hi)
		return 0;
	return lo + random % ((hi - lo) / step + 1) * step;
}

/*
 * Ports for a session that we originate (docs/protocol.md 2). False if the ranges hold none, or
 * this try was no good.
 */
static __always_inline bool svr_ports_choose(const struct svr_path *path, struct svr_flow6_key *wan)
{
	__u32 random = bpf_get_prandom_u32();
	__u16 local = svr_port_of(random & 0xffff, path->local_lo, path->local_hi,
				  path->parity ? SVR_PARITY_EVEN : SVR_PARITY_ANY);
	__u16 remote = svr_port_of(random >> 16, path->remote_lo, path->remote_hi,
				   path->parity ? SVR_PARITY_ODD : SVR_PARITY_ANY);

	if (!local || !remote || local == SVR_BFD_PORT || remote == SVR_BFD_PORT)
		return false;
	wan->sport = bpf_htons(local);
	wan->dport = bpf_htons(remote);
	return true;
}

/* RFC 9562 5.4. Unique, not secret: clear sessions have no secrets. */
static __always_inline void svr_uuid_make(__u8 uuid[SVR_UUID_LEN])
{
	__u32 word[SVR_UUID_LEN / 4] = {
		bpf_get_prandom_u32(),
		bpf_get_prandom_u32(),
		bpf_get_prandom_u32(),
		bpf_get_prandom_u32(),
	};

	__builtin_memcpy(uuid, word, SVR_UUID_LEN);
	uuid[6] = (uuid[6] & 0x0f) | 0x40; /* version 4 */
	uuid[8] = (uuid[8] & 0x3f) | 0x80; /* variant of the RFC */
}

#endif
