/* SPDX-License-Identifier: BSD-2-Clause */
/* What the command line says about data threads. Pure, but for a look at the CPUs that there are. */
#ifndef SVR_WORKER_OPTIONS_H
#define SVR_WORKER_OPTIONS_H

#include <stddef.h>
#include <stdint.h>

#include "worker/slots.h"

enum { SVR_BUSY_POLL_MAX_US = 1000 };

struct svr_worker_options {
	unsigned int threads; /* at most so many */
	unsigned int n_cpus; /* used of cpu[]; 0: threads run where the kernel puts them */
	uint16_t cpu[SVR_MAX_THREADS]; /* thread n runs on cpu[n % n_cpus] */
	unsigned int ready_keys; /* sessions whose keys a thread keeps ready, see keysets.h */
	unsigned int busy_poll_us; /* so long a thread looks for packets itself before it sleeps */
};

/**
 * svr_worker_options_parse() - from texts, each of which may be NULL.
 * @threads: "4"; without it as many as there are CPUs that this process may use, or as in @cpus
 * @cpus: "2,4-7"
 * @busy_poll: microseconds, "50"
 * @ready_keys: "8192"
 * @reason: what is wrong and what is allowed
 * Return: 0 or -EINVAL.
 */
int svr_worker_options_parse(const char *threads, const char *cpus, const char *busy_poll,
			     const char *ready_keys, struct svr_worker_options *out, char *reason,
			     size_t reason_len);

#endif
