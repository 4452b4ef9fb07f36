/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bench/fastpath: what its parts share. Functions that return int return 0 or a negative errno, and have said why on
 * stderr; counts and lengths are in packets and bytes, times in nanoseconds.
 */
#ifndef SVR_BENCH_FASTPATH_H
#define SVR_BENCH_FASTPATH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/tcp.h>

#include "sys/flows.h"
#include "sys/mapset.h"

enum {
	LAN_ZONE = 1,
	WAN_ZONE = 2,
	LO_IFINDEX =
		1, /* in the empty network namespace that we make: no device of this machine is touched */
	FRAME_MAX = 1514,
	MTU = 1500,
	ROUNDS_MAX = 101,
	ROOM = 131072, /* sessions that the table of flows has room for by default */
};

#define LAN_HOST  "10.0.0.10" /* opens the sessions */
#define FAR_HOST  "172.16.2.10"
#define WAN_LOCAL "192.0.2.1"
#define WAN_PEER  "192.0.2.2"
#define LAN_MAC	  "02:00:00:00:01:01" /* of lan0 */
#define WAN_MAC	  "02:00:00:00:02:01" /* of wan0 */

/* What is measured, in the order of the report. */
enum subject_id {
	SUBJECT_REDIRECT,
	SUBJECT_NAT,
	SUBJECT_LAN_TO_WAN,
	SUBJECT_WAN_TO_LAN,
	SUBJECT_KERNEL,
	SUBJECT_KERNEL_NAT,
	SUBJECT_KERNEL_FILTER,
	SUBJECTS,
};

static inline bool subject_is_kernel(enum subject_id s)
{
	return s >= SUBJECT_KERNEL;
}

/* ---- sessions.c: frames of sessions that are numbered as in xdp_gen.h ---------------------------------------- */

/* Where a packet of a session comes from. */
enum side {
	SIDE_LAN, /* the host that opened it, on lan0 */
	SIDE_PEER, /* the peer router, on lan0 as well: one topology for both programs */
	SIDE_ANSWER, /* the far host, on wan0, to the address that the kernel gave the session */
};

/* An acknowledgement of session @i, all checksums right; @len: of the frame. */
void frame_make(uint8_t frame[static FRAME_MAX], size_t len, uint32_t i, enum side side);
/* The same without ports, as the generator wants it; @udp: instead of TCP. */
struct gen_order;
void frame_order(struct gen_order *order, size_t len, enum side side, bool udp);

/* ---- programs.c: the XDP programs and their tables ----------------------------------------------------------- */

struct programs {
	struct xdp_ref *ref;
	struct svr_lan *lan;
	struct svr_wan *wan; /* shares the table of flows with lan */
	struct svr_mapset flows; /* that table */
	uint32_t sessions;
};

/*
 * Load them, with room for @room sessions, and put in @sessions (0: none) that are established. Every packet that one of
 * these programs forwards is rewritten into that of the next session (GEN_NEXT), so that a test run, which repeats a
 * program on its own output, goes through all of them. @out_ifindex: where packets go.
 */
int programs_load(struct programs *p, uint32_t room, uint32_t sessions, uint32_t out_ifindex);
void programs_free(struct programs *p);
/* File descriptor of the program of a subject; -1: it is the kernel. */
int programs_fd(const struct programs *p, enum subject_id s);
int programs_empty_fd(const struct programs *p);
/*
 * What a packet of an unknown session needs to become one of a clear service: in the LAN program of the router that opens
 * the session, and in the WAN program of its peer, who accepts it.
 */
int programs_configure_west(const struct programs *p);
int programs_configure_east(const struct programs *p);
int programs_forget_flows(const struct programs *p);
uint64_t programs_sessions_opened(const struct programs *p); /* by the LAN program, since it was loaded */
uint64_t programs_sessions_accepted(const struct programs *p); /* by the WAN program */
/* Kernel memory of one session, both flows, of a table made as `svr` makes it; 0: the kernel does not tell. */
double programs_bytes_per_session(const struct programs *p);

/* ---- alone.c: BPF_PROG_TEST_RUN ------------------------------------------------------------------------------- */

/* One round. @redirects: the program forwards, which is verified; otherwise it drops. */
int alone_measure(int prog_fd, bool redirects, enum side side, size_t len, uint32_t sessions,
		  double *ns);

/* ---- wire.c: real frames through veth pairs ------------------------------------------------------------------ */

/*
 *	generator -> gen0 === lan0 [router] wan0 === sink0 -> count, XDP_DROP
 *
 * All of it on one CPU, so nothing is lost, and the rate of the sink is the rate of the generator. For set-up in both
 * routers there may be a second one:
 *
 *	generator -> gen0 === lan0 [router] wan0 === sink0 [peer router] host0 === sink1 -> count, XDP_DROP
 */
int wire_open(void);
void wire_close(void);
uint32_t wire_out_ifindex(void); /* of the router */
uint32_t wire_peer_out_ifindex(void); /* of the peer router */
/* Put a program on lan0 in the place of the router; @prog_fd -1: the kernel; -2: nothing, the sink itself. */
enum { WIRE_KERNEL = -1, WIRE_NOTHING = -2 };
int wire_attach(int prog_fd);
/* Put a program on sink0 in the place of the peer router; WIRE_NOTHING: the sink, as it is at the start. */
int wire_attach_peer(int prog_fd);
struct wire_load {
	size_t len;
	uint32_t sessions;
	enum side side;
	bool udp;
	bool in_order; /* session after session, from the first one on */
	bool lossy; /* not all of them need to arrive */
};
/* Send @packets and wait for them. *ns: per packet. -EIO if not all of them arrived. */
int wire_send(const struct wire_load *load, uint32_t packets, double *ns);

/* ---- kernel.c: the kernel as the router between lan0 and wan0 ------------------------------------------------- */

/* Routes and neighbours; once. */
int kernel_open(void);
/* @s: which kernel subject. Establishes @sessions where there is connection tracking. -ENOSPC: too many for this kernel. */
int kernel_prepare(enum subject_id s, uint32_t sessions);

/* ---- setup.c: first packets of clear sessions ------------------------------------------------------------------ */

struct setup_result {
	unsigned int rounds;
	double net_ns; /* of svr_lan per new session, median */
	double total_ns; /* with generator and sink */
	double accept_net_ns; /* of svr_wan at the peer router, the same */
	double bytes; /* kernel memory per session at one router */
};

int setup_measure(unsigned int rounds, struct setup_result *s);

/* ---- report.c -------------------------------------------------------------------------------------------------- */

struct cell {
	size_t len;
	uint32_t sessions;
	unsigned int rounds;
	bool have[SUBJECTS];
	bool have_alone;
	double alone_ns[SUBJECTS]; /* medians of program time */
	double empty_ns;
	double base_ns; /* real frames without a router */
	double total_ns[SUBJECTS]; /* real frames */
	double net_ns[SUBJECTS]; /* median of the differences to the run without a router beside it */
};

void report_text(const struct cell *cells, size_t n, const struct setup_result *setup,
		 const char *command);
void report_json(const struct cell *cells, size_t n, const struct setup_result *setup,
		 const char *command);

#endif
