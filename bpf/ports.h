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

/*
 * xorshift128+ of this CPU (Vigna, "Further scramblings of Marsaglia's xorshift generators", 2014),
 * which the kernel's generator seeds: five calls of that one for each session would cost a tenth of
 * making it. Neither of them is for secrets.
 */
static __always_inline __u64 svr_random(struct svr_scratch *s)
{
	__u64 a = s->random[0], b = s->random[1];

	if (unlikely(!(a | b))) {
		a = (__u64)bpf_get_prandom_u32() << 32 | bpf_get_prandom_u32();
		b = (__u64)bpf_get_prandom_u32() << 32 | bpf_get_prandom_u32();
	}
	a ^= a << 23;
	a ^= b ^ a >> 18 ^ b >> 5;
	s->random[0] = b;
	s->random[1] = a;
	return a + b;
}

/* The port of [lo, hi] with that parity which @random falls on; 0: there is none */
static __always_inline __u16 svr_port_of(__u16 random, __u32 lo, __u32 hi, enum svr_parity parity)
{
	__u32 step = 1;

	if (parity != SVR_PARITY_ANY) {
		lo += (lo ^ parity) & 1;
		step = 2;
	}
	if (lo < SVR_PORT_MIN || lo > hi)
		return 0;
	return lo + (random * ((hi - lo) / step + 1) >> 16) * step;
}

/*
 * Ports for a session that we originate (docs/protocol.md 2). False if the ranges hold none, or
 * this try was no good.
 */
static __always_inline bool svr_ports_choose(struct svr_scratch *s, const struct svr_path *path,
					     struct svr_flow6_key *wan)
{
	__u64 random = svr_random(s);
	__u16 local = svr_port_of(random >> 48, path->local_lo, path->local_hi,
				  path->parity ? SVR_PARITY_EVEN : SVR_PARITY_ANY);
	__u16 remote = svr_port_of(random >> 32, path->remote_lo, path->remote_hi,
				   path->parity ? SVR_PARITY_ODD : SVR_PARITY_ANY);

	if (!local || !remote || local == SVR_BFD_PORT || remote == SVR_BFD_PORT)
		return false;
	wan->sport = bpf_htons(local);
	wan->dport = bpf_htons(remote);
	return true;
}

/* RFC 9562 5.4. Unique, not secret: clear sessions have no secrets. */
static __always_inline void svr_uuid_make(struct svr_scratch *s, __u8 uuid[SVR_UUID_LEN])
{
	__u64 high = svr_random(s), low = svr_random(s);

	/* Version 4, variant of the RFC */
	svr_store64(uuid, (high & bpf_cpu_to_be64(~0xf000ULL)) | bpf_cpu_to_be64(0x4000));
	svr_store64(uuid + sizeof(__u64),
		    (low & bpf_cpu_to_be64(~(3ULL << 62))) | bpf_cpu_to_be64(1ULL << 63));
}

#endif
