// SPDX-License-Identifier: BSD-2-Clause
/*
 * Idle times of sessions: which one counts, for clear sessions (two flows) and worker sessions (a
 * slot).
 */
#include <netinet/in.h>

#include <criterion/criterion.h>

#include "worker/timeout.c"

enum { CLOSED_MS = 4000, TCP_MS = 100000, UDP_MS = 20000, OTHER_MS = 3000, INITIAL_MS = 7000 };

static const struct svr_service service = { .timeout_ms = { TCP_MS, UDP_MS, OTHER_MS },
					    .initial_timeout_ms = { INITIAL_MS, INITIAL_MS, INITIAL_MS } };
enum { PORT_MS = 50000, PORT_INITIAL_MS = 9000 };
static const struct svr_session_type port_type = { .timeout_ms = PORT_MS,
						   .initial_timeout_ms = PORT_INITIAL_MS };
static const struct svr_service removed; /* taken out of the configuration */

static const struct pair {
	const char *name;
	struct svr_flow a, b;
	unsigned int want_ms;
} pairs[] = {
	{ "SYN without an answer",
	  { .proto = IPPROTO_TCP, .tcp_seen = SVR_TCP_SYN },
	  { .proto = IPPROTO_TCP },
	  INITIAL_MS },
	{ "answered, not established",
	  { .proto = IPPROTO_TCP, .tcp_seen = SVR_TCP_SYN },
	  { .proto = IPPROTO_TCP, .tcp_seen = SVR_TCP_SYN },
	  INITIAL_MS },
	{ "established",
	  { .proto = IPPROTO_TCP, .tcp_seen = SVR_TCP_SYN | SVR_TCP_DATA },
	  { .proto = IPPROTO_TCP, .tcp_seen = SVR_TCP_SYN | SVR_TCP_DATA },
	  TCP_MS },
	{ "half closed",
	  { .proto = IPPROTO_TCP, .tcp_seen = SVR_TCP_DATA | SVR_TCP_FIN },
	  { .proto = IPPROTO_TCP, .tcp_seen = SVR_TCP_DATA },
	  TCP_MS },
	{ "closed",
	  { .proto = IPPROTO_TCP, .tcp_seen = SVR_TCP_DATA | SVR_TCP_FIN },
	  { .proto = IPPROTO_TCP, .tcp_seen = SVR_TCP_DATA | SVR_TCP_FIN },
	  CLOSED_MS },
	{ "reset",
	  { .proto = IPPROTO_TCP, .tcp_seen = SVR_TCP_DATA },
	  { .proto = IPPROTO_TCP, .tcp_seen = SVR_TCP_RST },
	  CLOSED_MS },
	{ "closing flag",
	  { .proto = IPPROTO_TCP, .flags = SVR_FLOW_CLOSING },
	  { .proto = IPPROTO_TCP },
	  CLOSED_MS },
	{ "UDP in one direction",
	  { .proto = IPPROTO_UDP, .packets = 5 },
	  { .proto = IPPROTO_UDP },
	  INITIAL_MS },
	{ "UDP in both",
	  { .proto = IPPROTO_UDP, .packets = 5 },
	  { .proto = IPPROTO_UDP, .packets = 1 },
	  UDP_MS },
	{ "ping that crosses the WAN as UDP",
	  { .proto = IPPROTO_UDP, .packets = 1, .flags = SVR_FLOW_ENCAP },
	  { .proto = IPPROTO_ICMP, .packets = 1, .flags = SVR_FLOW_DECAP },
	  OTHER_MS },
};
enum { PAIRS = sizeof(pairs) / sizeof(pairs[0]) };

Test(worker_timeout, of_clear_sessions)
{
	int i;

	for (i = 0; i < PAIRS; i++) {
		const struct pair *p = &pairs[i];

		cr_expect_eq(svr_clear_timeout_ns(&p->a, &p->b, &service, NULL), p->want_ms * 1000000ULL,
			     "%s", p->name);
		cr_expect_eq(svr_clear_timeout_ns(&p->b, &p->a, &service, NULL), p->want_ms * 1000000ULL,
			     "%s, from the other side", p->name);
	}
}

/* A flow that is looked at alone must never be passed over when the pair is due. */
Test(worker_timeout, one_side_alone_never_says_more_than_both)
{
	int i;

	for (i = 0; i < PAIRS; i++) {
		const struct pair *p = &pairs[i];
		uint64_t a = svr_clear_timeout_min_ns(&p->a, &service, NULL),
			 b = svr_clear_timeout_min_ns(&p->b, &service, NULL);

		/* The side that saw the end finds it; the other one may come later */
		cr_expect_leq(a < b ? a : b, p->want_ms * 1000000ULL, "%s", p->name);
	}
}

Test(worker_timeout, of_worker_sessions)
{
	struct svr_session s = { .lan = { .proto = IPPROTO_TCP },
				 .tcp_lan = SVR_TCP_SYN,
				 .tcp_wan = SVR_TCP_SYN };

	cr_expect_eq(svr_session_timeout_ns(&s, &service, NULL), INITIAL_MS * 1000000ULL);
	s.tcp_lan |= SVR_TCP_DATA;
	s.tcp_wan |= SVR_TCP_DATA;
	cr_expect_eq(svr_session_timeout_ns(&s, &service, NULL), TCP_MS * 1000000ULL);
	s.closing = 1;
	cr_expect_eq(svr_session_timeout_ns(&s, &service, NULL), CLOSED_MS * 1000000ULL);

	/* whichever side it began at: both times are that of its beginning at first */
	s = (struct svr_session){ .lan = { .proto = IPPROTO_UDP }, .last_lan_ns = 5, .last_wan_ns = 5 };
	cr_expect_eq(svr_session_timeout_ns(&s, &service, NULL), INITIAL_MS * 1000000ULL);
	s.packets[1] = 2;
	cr_expect_eq(svr_session_timeout_ns(&s, &service, NULL), INITIAL_MS * 1000000ULL);
	s.packets[0] = 1;
	cr_expect_eq(svr_session_timeout_ns(&s, &service, NULL), UDP_MS * 1000000ULL);
	cr_expect_eq(svr_session_timeout_ns(&s, &removed, NULL), SVR_CFG_TIMEOUT_UDP_MS * 1000000ULL);
	/* the type of its port goes before */
	cr_expect_eq(svr_session_timeout_ns(&s, &service, &port_type), PORT_MS * 1000000ULL);
	s.packets[1] = 0;
	cr_expect_eq(svr_session_timeout_ns(&s, &service, &port_type), PORT_INITIAL_MS * 1000000ULL);
}
