// SPDX-License-Identifier: BSD-2-Clause
/* Numbers and lists of CPUs out of texts. */
#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "worker/keysets.h"
#include "worker/options.h"

/* A number at *@text, which moves behind it. */
static bool number_read(const char **text, unsigned long max, unsigned long *out)
{
	char *end;

	if (**text < '0' || **text > '9')
		return false;
	errno = 0;
	*out = strtoul(*text, &end, 10);
	*text = end;
	return !errno && *out <= max;
}

static bool number_only(const char *text, unsigned long min, unsigned long max, unsigned int *out)
{
	unsigned long n;

	if (!number_read(&text, max, &n) || *text || n < min)
		return false;
	*out = (unsigned int)n;
	return true;
}

static int cpus_parse(const char *text, const cpu_set_t *allowed, struct svr_worker_options *out,
		      char *reason, size_t len)
{
	const char *at = text;
	unsigned long from, to;

	do {
		if (!number_read(&at, CPU_SETSIZE - 1, &from))
			goto malformed;
		to = from;
		if (*at == '-' && (at++, !number_read(&at, CPU_SETSIZE - 1, &to)))
			goto malformed;
		if (to < from || (*at && *at != ','))
			goto malformed;
		for (; from <= to; from++) {
			if (!CPU_ISSET(from, allowed)) {
				snprintf(
					reason, len,
					"--cpus %s: CPU %lu is not there or not allowed for this process",
					text, from);
				return -EINVAL;
			}
			if (out->n_cpus == SVR_MAX_THREADS) {
				snprintf(reason, len, "--cpus %s: more than %d CPUs", text,
					 SVR_MAX_THREADS);
				return -EINVAL;
			}
			out->cpu[out->n_cpus++] = (uint16_t)from;
		}
	} while (*at++);
	return 0;
malformed:
	snprintf(reason, len, "--cpus %s is no list of CPUs such as 1,4-7", text);
	return -EINVAL;
}

int svr_worker_options_parse(const char *threads, const char *cpus, const char *busy_poll,
			     const char *ready_keys, struct svr_worker_options *out, char *reason,
			     size_t reason_len)
{
	cpu_set_t allowed;
	int err;

	*out = (struct svr_worker_options){ .ready_keys = SVR_KEYSETS };
	if (sched_getaffinity(0, sizeof(allowed), &allowed)) { /* more CPUs than the set can hold */
		CPU_ZERO(&allowed);
		CPU_SET(0, &allowed);
	}
	if (cpus) {
		err = cpus_parse(cpus, &allowed, out, reason, reason_len);
		if (err)
			return err;
	}
	out->threads = out->n_cpus ? out->n_cpus : (unsigned int)CPU_COUNT(&allowed);
	if (out->threads > SVR_MAX_THREADS)
		out->threads = SVR_MAX_THREADS;
	if (threads && !number_only(threads, 1, SVR_MAX_THREADS, &out->threads)) {
		snprintf(reason, reason_len, "--threads %s is no number from 1 to %d", threads,
			 SVR_MAX_THREADS);
		return -EINVAL;
	}
	if (busy_poll && !number_only(busy_poll, 0, SVR_BUSY_POLL_MAX_US, &out->busy_poll_us)) {
		snprintf(reason, reason_len, "--busy-poll %s is no number of microseconds up to %d",
			 busy_poll, SVR_BUSY_POLL_MAX_US);
		return -EINVAL;
	}
	if (ready_keys &&
	    !number_only(ready_keys, SVR_KEYSETS_MIN, SVR_KEYSETS_MAX, &out->ready_keys)) {
		snprintf(reason, reason_len, "--ready-keys %s is no number from %d to %d",
			 ready_keys, SVR_KEYSETS_MIN, SVR_KEYSETS_MAX);
		return -EINVAL;
	}
	return 0;
}
