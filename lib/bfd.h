/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * BFD (RFC 5880), asynchronous mode: the control packet and the state machine of one session. Knows
 * nothing of metadata, keys or sockets: the caller has authenticated a packet before
 * svr_bfd_receive(). Clock, randomness and sending are passed in. Part of libsvr.
 */
#ifndef SVR_LIB_BFD_H
#define SVR_LIB_BFD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <svr/wire.h>

/* RFC 5880 4.1; the numbers are on the wire. */
#define SVR_BFD_STATES(X)              \
	X(ADMIN_DOWN, 0, "admin-down") \
	X(DOWN, 1, "down")             \
	X(INIT, 2, "init")             \
	X(UP, 3, "up")
#define SVR_BFD_DIAGS(X)                                      \
	X(NONE, 0, "no diagnostic")                           \
	X(TIME_EXPIRED, 1, "control detection time expired")  \
	X(ECHO_FAILED, 2, "echo function failed")             \
	X(NEIGHBOR_DOWN, 3, "neighbor signaled session down") \
	X(FORWARDING_RESET, 4, "forwarding plane reset")      \
	X(PATH_DOWN, 5, "path down")                          \
	X(CONCATENATED_DOWN, 6, "concatenated path down")     \
	X(ADMIN_DOWN, 7, "administratively down")             \
	X(REVERSE_CONCATENATED_DOWN, 8, "reverse concatenated path down")

enum svr_bfd_state {
#define X(id, n, name) SVR_BFD_##id = n,
	SVR_BFD_STATES(X)
#undef X
};
enum svr_bfd_diag {
#define X(id, n, name) SVR_BFD_DIAG_##id = n,
	SVR_BFD_DIAGS(X)
#undef X
};
const char *svr_bfd_state_name(uint8_t state);
const char *svr_bfd_diag_name(uint8_t diag);

enum svr_bfd_const {
	SVR_BFD_VERSION = 1,
	/* RFC 5880 6.8.3: not faster than this until the session is up */
	SVR_BFD_SLOW_TX_US = 1000000,
};

/* Control packet as values, host byte order. */
struct svr_bfd_packet {
	uint8_t state; /* enum svr_bfd_state */
	uint8_t diag; /* enum svr_bfd_diag */
	bool poll, final, cpi, demand;
	uint8_t detect_mult;
	uint8_t length; /* bytes, set by svr_bfd_parse(): metadata begins behind it */
	uint32_t my_discr, your_discr;
	uint32_t desired_min_tx_us, required_min_rx_us, required_min_echo_rx_us;
};

/**
 * svr_bfd_parse() - the checks of RFC 5880 6.8.6 that need no session.
 * Return: 0 or a negative drop reason (BFD_SHORT, BFD_VERSION, BFD_FIELDS).
 */
int svr_bfd_parse(const uint8_t *p, size_t len, struct svr_bfd_packet *out);
void svr_bfd_build(const struct svr_bfd_packet *pkt, uint8_t out[static SVR_BFD_LEN]);

struct svr_bfd_config {
	uint32_t desired_min_tx_us;
	uint32_t required_min_rx_us;
	uint8_t detect_mult; /* 1..255 */
};

/* What the session needs from its owner. */
struct svr_bfd_ops {
	void (*send)(void *user, const struct svr_bfd_packet *pkt);
	/* After every change of state; @why is a diagnostic or another few words. */
	void (*changed)(void *user, enum svr_bfd_state from, enum svr_bfd_state to,
			const char *why);
	uint32_t (*random)(void *user); /* jitter: need not be secret */
};

/* Names are those of RFC 5880 6.8.1. Times are of a monotonic clock. Read-only for the owner. */
struct svr_bfd {
	const struct svr_bfd_ops *ops;
	void *user;
	struct svr_bfd_config config;
	enum svr_bfd_state state, remote_state;
	enum svr_bfd_diag diag;
	uint32_t local_discr, remote_discr;
	uint32_t desired_min_tx_us; /* what is sent: slow until up */
	/* holds the old interval until a poll sequence ends (6.8.3), 0: none */
	uint32_t tx_limit_us;
	uint32_t rx_limit_us; /* the same for required_min_rx_us and the detection time */
	uint32_t remote_min_rx_us, remote_desired_tx_us;
	uint8_t remote_detect_mult;
	bool remote_demand;
	bool polling; /* poll sequence under way */
	bool poll_sent; /* a packet of it has left: a final is its answer */
	bool poll_again; /* timers changed meanwhile: another one has to follow */
	uint64_t detect_us; /* detection time in force, 0: nothing received yet */
	uint64_t last_rx_ns, last_tx_ns;
	uint64_t tx_interval_us; /* that next_tx_ns was computed with */
	uint64_t next_tx_ns; /* UINT64_MAX: no periodic packets */
};

/**
 * svr_bfd_init() - a session in state down; the first packet is due at once.
 * @local_discr: not 0, unique among the sessions of this router
 */
void svr_bfd_init(struct svr_bfd *b, const struct svr_bfd_config *config,
		  const struct svr_bfd_ops *ops, void *user, uint32_t local_discr, uint64_t now_ns);

/**
 * svr_bfd_resume() - go on with a session that was up before the process was started anew.
 * @detect_us, @remote_min_rx_us: as they were
 * @last_rx_ns: by the clock of @now_ns; the caller has checked that the detection time has not
 * passed
 */
void svr_bfd_resume(struct svr_bfd *b, uint32_t remote_discr, uint64_t detect_us,
		    uint32_t remote_min_rx_us, uint64_t last_rx_ns, uint64_t now_ns);

/* Does the packet belong to this session? 0 or -SVR_DROP_BFD_SESSION. Changes nothing. */
int svr_bfd_match(const struct svr_bfd *b, const struct svr_bfd_packet *pkt);

/* A packet that svr_bfd_match() took and that was authenticated. */
void svr_bfd_receive(struct svr_bfd *b, const struct svr_bfd_packet *pkt, uint64_t now_ns);

/* Does what is due: detection time, periodic packet. */
void svr_bfd_tick(struct svr_bfd *b, uint64_t now_ns);
/* When svr_bfd_tick() has something to do next; UINT64_MAX: never. */
uint64_t svr_bfd_next(const struct svr_bfd *b);

/*
 * The packet that would be sent now, without poll and final: for messages between periodic packets.
 */
void svr_bfd_header(const struct svr_bfd *b, struct svr_bfd_packet *pkt);

/* Other timers; a poll sequence makes them known. */
void svr_bfd_set_config(struct svr_bfd *b, const struct svr_bfd_config *config, uint64_t now_ns);
/* Administratively down, and (with false) down again, from where it comes up by itself. */
void svr_bfd_set_admin_down(struct svr_bfd *b, bool down, uint64_t now_ns);

#endif
