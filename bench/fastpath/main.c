// SPDX-License-Identifier: BSD-2-Clause
/*
 * What a packet costs in svr's XDP programs, beside bare XDP programs and the kernel: bench/README.md says how it is measured
 * and how to read it. Needs root. It works in a network namespace of its own.
 *
 *	fastpath [-j] [-a | -w | -s] [-l LEN] [-n SESSIONS] [ROUNDS]
 *
 *	-j  JSON, for bench/plot.py
 *	-a  programs alone, no frames     -w  frames only     -s  set-up of sessions only
 *	-l  frames of LEN bytes only      -n  SESSIONS sessions only
 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "bench/fastpath/fastpath.h"
#include "bench/median.h"
#include "bench/xdp_gen.h"

enum {
	ROUNDS = 7,
	CELLS_MAX = 6,
	XDP_PACKETS = 200000, /* of one round */
	KERNEL_PACKETS = 40000,
};

struct options {
	bool json, alone, wire, setup;
	size_t len;
	uint32_t sessions;
	unsigned int rounds;
};

/* Values of all rounds of a cell */
struct samples {
	double empty[ROUNDS_MAX], base[ROUNDS_MAX];
	double alone[SUBJECTS][ROUNDS_MAX], total[SUBJECTS][ROUNDS_MAX], net[SUBJECTS][ROUNDS_MAX];
};

static enum side side_of(enum subject_id s)
{
	return s == SUBJECT_WAN_TO_LAN ? SIDE_PEER : SIDE_LAN;
}

static int alone_round(const struct programs *p, struct cell *c, struct samples *s, unsigned int r)
{
	enum subject_id i;
	int err = alone_measure(programs_empty_fd(p), false, SIDE_LAN, c->len, c->sessions,
				&s->empty[r]);

	for (i = 0; i < SUBJECTS && !err; i++)
		if (!subject_is_kernel(i) && i != SUBJECT_REDIRECT)
			err = alone_measure(programs_fd(p, i), true, side_of(i), c->len,
					    c->sessions, &s->alone[i][r]);
	c->have_alone = true;
	return err;
}

static int base_measure(const struct wire_load *load, double *ns)
{
	return wire_attach(WIRE_NOTHING) ?: wire_send(load, XDP_PACKETS, ns);
}

/* A run without a router stands beside each run with one: the difference of the two is not that of two minutes. */
static int wire_round(const struct programs *p, struct cell *c, struct samples *s, unsigned int r)
{
	struct wire_load load = { .len = c->len, .sessions = c->sessions };
	double base = 0, warm;
	enum subject_id i;
	int err = 0;

	for (i = 0; i < SUBJECTS; i++) {
		load.side = side_of(i);
		err = base_measure(&load, &base) ?: wire_attach(programs_fd(p, i));
		if (!err && subject_is_kernel(i)) {
			err = kernel_prepare(i, c->sessions);
			if (err == -ENOSPC)
				continue;
			err = err ?: wire_send(&load, KERNEL_PACKETS / 10, &warm);
		}
		err = err   ?:
			      wire_send(&load, subject_is_kernel(i) ? KERNEL_PACKETS : XDP_PACKETS,
					&s->total[i][r]);
		if (err)
			return err;
		s->net[i][r] = s->total[i][r] - base;
		c->have[i] = true;
	}
	s->base[r] = base;
	return 0;
}

static int cell_measure(const struct options *o, const struct programs *p, struct cell *c)
{
	static struct samples s;
	enum subject_id i;
	unsigned int r;
	int err = 0;

	c->rounds = o->rounds;
	for (r = 0; r < o->rounds && !err; r++) {
		if (o->alone)
			err = alone_round(p, c, &s, r);
		if (o->wire)
			err = err ?: wire_round(p, c, &s, r);
	}
	if (err)
		return err;
	c->empty_ns = median(s.empty, o->rounds);
	c->base_ns = median(s.base, o->rounds);
	for (i = 0; i < SUBJECTS; i++) {
		c->alone_ns[i] = median(s.alone[i], o->rounds);
		c->total_ns[i] = median(s.total[i], o->rounds);
		c->net_ns[i] = median(s.net[i], o->rounds);
	}
	return 0;
}

static int measure_packets(const struct options *o, struct cell *cells, size_t *n)
{
	static const uint32_t sessions[] = { 1, 4096, 1000000 };
	static const size_t lens[] = { 64, 1400 };
	struct programs p = {};
	size_t i, k;
	int err = 0;

	*n = 0;
	for (i = 0; i < sizeof(sessions) / sizeof(*sessions) && !err; i++) {
		if (o->sessions && o->sessions != sessions[i])
			continue;
		err = programs_load(&p, sessions[i] > ROOM ? 1 << 20 : ROOM, sessions[i],
				    wire_out_ifindex());
		for (k = 0; k < sizeof(lens) / sizeof(*lens) && !err; k++) {
			if (o->len && o->len != lens[k])
				continue;
			fprintf(stderr, "fastpath: %zu bytes, %u sessions\n", lens[k], sessions[i]);
			cells[*n] = (struct cell){ .len = lens[k], .sessions = sessions[i] };
			err = cell_measure(o, &p, &cells[(*n)++]);
		}
		programs_free(&p);
	}
	return err;
}

static int usage(void)
{
	fprintf(stderr,
		"usage: fastpath [-j] [-a | -w | -s] [-l 64|1400] [-n 1|4096|1000000] [ROUNDS]\n");
	return 2;
}

static bool options_read(int argc, char **argv, struct options *o)
{
	int c;

	*o = (struct options){ .alone = true, .wire = true, .setup = true, .rounds = ROUNDS };
	while ((c = getopt(argc, argv, "jawsl:n:")) != -1) {
		switch (c) {
		case 'j':
			o->json = true;
			break;
		case 'a':
			o->wire = o->setup = false;
			break;
		case 'w':
			o->alone = o->setup = false;
			break;
		case 's':
			o->alone = o->wire = false;
			break;
		case 'l':
			o->len = strtoul(optarg, NULL, 10);
			break;
		case 'n':
			o->sessions = (uint32_t)strtoul(optarg, NULL, 10);
			break;
		default:
			return false;
		}
	}
	if (optind < argc)
		o->rounds = (unsigned int)strtoul(argv[optind], NULL, 10);
	if (o->len || o->sessions)
		o->setup = false;
	return o->rounds && o->rounds <= ROUNDS_MAX && (o->alone || o->wire || o->setup) &&
	       (!o->len || o->len == 64 || o->len == 1400) &&
	       (!o->sessions || o->sessions == 1 || o->sessions == 4096 || o->sessions == 1000000);
}

/*
 * One CPU for everything, ahead of everybody else on it: softirqs run in our thread then, never in that of the kernel, and
 * the clock on the wall is the time that packets took. A run takes less than the 0.95 s that Linux lets such a thread have.
 */
static int own_place(void)
{
	const struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };
	const struct sched_param first = { .sched_priority = 1 };
	cpu_set_t cpu;

	setrlimit(RLIMIT_MEMLOCK, &unlimited); /* kernels before 5.11 */
	CPU_ZERO(&cpu);
	CPU_SET(sched_getcpu(), &cpu);
	if (sched_setaffinity(0, sizeof(cpu), &cpu) || sched_setscheduler(0, SCHED_FIFO, &first) ||
	    unshare(CLONE_NEWNET)) {
		fprintf(stderr,
			"fastpath: no CPU and network namespace of its own: %s; it needs root\n",
			strerror(errno));
		return -EPERM;
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct cell cells[CELLS_MAX];
	struct setup_result setup = {};
	char command[256] = "";
	struct options o;
	size_t n = 0;
	int err, i;

	if (!options_read(argc, argv, &o))
		return usage();
	for (i = 0; i < argc; i++) {
		strncat(command, i ? " " : "", sizeof(command) - strlen(command) - 1);
		strncat(command, argv[i], sizeof(command) - strlen(command) - 1);
	}
	err = own_place() ?: wire_open() ?: kernel_open();
	if (!err && (o.alone || o.wire))
		err = measure_packets(&o, cells, &n);
	if (!err && o.setup)
		err = setup_measure(o.rounds, &setup);
	wire_close();
	if (err) {
		fprintf(stderr, "fastpath: %s\n", strerror(-err));
		return 1;
	}
	(o.json ? report_json : report_text)(cells, n, &setup, command);
	return 0;
}
