/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Key exchange with one peer: the state machine (docs/protocol.md section 9).
 *
 *	I -> R	INIT	values, certificate
 *	I <- R	RESP	values, certificate		both know the new key
 *	I -> R	AUTH_I	signature, under the new key	R uses the key
 *	I <- R	AUTH_R	signature, under the new key	I uses the key
 *
 * Knows nothing of BFD, sockets or slots: its owner (lib/peering.c) tells it when a key is wanted,
 * hands it pieces of messages together with how the packet was authenticated, and installs the key.
 * Clock, randomness and Diffie-Hellman are passed in. What takes milliseconds is put into a job
 * (lib/kexjob.h), which the owner runs in another thread and then gives back. Part of libsvr.
 */
#ifndef SVR_LIB_KEX_H
#define SVR_LIB_KEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <svr/limits.h>

#include "lib/dh.h"
#include "lib/kexjob.h"
#include "lib/kexmsg.h"
#include "lib/now.h"
#include "lib/pki.h"

enum svr_kex_times {
	/* first retransmission; doubles up to peer-key-retransmit-interval */
	SVR_KEX_RETRANSMIT_MS = 1000,
	/* the router with the larger common name lets the other one start */
	SVR_KEX_LET_START_MS = 5000,
	SVR_KEX_AUTH_TRIES = 3, /* AUTH_I without an answer, then a new exchange */
	/* INIT under a confirmed key without an answer, then the old key stays */
	SVR_KEX_REKEY_TRIES = 8,
	SVR_KEX_RESP_LIFE_MS = 10000, /* RESP sent and no AUTH_I: forgotten */
	SVR_KEX_REPEAT_MS = 500, /* an answer is repeated at most this often */
	/* at most one whole INIT of a peer is looked at in this time: certificates cost */
	SVR_KEX_LOOK_MS = 200,
	SVR_KEX_REFUSE_MS = 30000, /* pieces of a refused INIT are dropped unread for this long */
	SVR_KEX_COMPUTE_MS = 1000, /* at most one Diffie-Hellman key pair per peer in this time */
	SVR_KEX_JOB_MS = 500, /* while a job runs, timers of its exchange are put off by this */
};

/* Security status as `show peers security` prints it. */
#define SVR_KEX_STATES(X)                                                                       \
	X(BFD_WAIT, "BFD_WAIT", "no path has BFD up")                                           \
	X(CERT_EXCH_WAIT, "CERT_EXCH_WAIT", "the peer may start")                               \
	X(CERT_EXCH_INIT, "CERT_EXCH_INIT", "own certificate and salt sent")                    \
	X(CERT_EXCH_FAIL, "CERT_EXCH_FAIL", "the peer, or what it sent, was refused")           \
	X(SALT_EXCH_COMP, "SALT_EXCH_COMP", "peer's certificate accepted, salts known to both") \
	X(PKEY_EXCH_INIT, "PKEY_EXCH_INIT", "peer key computed and signed, not confirmed")      \
	X(PKEY_EXCH_COMP, "PKEY_EXCH_COMP", "peer key confirmed")                               \
	X(MKEY_EXCH_INIT, "MKEY_EXCH_INIT", "metadata keys under way")                          \
	X(MKEY_EXCH_COMP, "MKEY_EXCH_COMP", "metadata keys of both sides received and acknowledged")

enum svr_kex_state {
#define X(id, name, text) SVR_KEX_STATE_##id,
	SVR_KEX_STATES(X)
#undef X
};
const char *svr_kex_state_name(enum svr_kex_state state);

/* How the packet with a piece was authenticated, and how one is to be sealed. */
enum svr_kex_seal {
	SVR_KEX_SEAL_NONE, /* not at all */
	SVR_KEX_SEAL_CURRENT, /* by a confirmed peer key */
	SVR_KEX_SEAL_NEW, /* by the key of this exchange */
};

struct svr_kex_ops {
	/* secret randomness; 0 or negative errno */
	int (*random)(void *user, void *out, size_t len);
	const struct svr_dh_ops *dh;
	/* limit over all peers; true takes one unit */
	bool (*may_compute)(void *user, uint64_t now_ns);
	/*
	 * Run @job with svr_kex_job_run() some time, in any thread, and then give it to
	 * svr_kex_job_done() in this one. Not from inside this call. 0 or negative errno; then the
	 * job is not taken.
	 */
	int (*compute)(void *user, struct svr_kex_job *job);
	/* may a confirmed key be replaced now, if the peer asks for it? */
	bool (*may_rekey)(void *user);
	/* a job refused a message that svr_kex_receive() had taken: negative drop reason */
	void (*refused)(void *user, int drop);
	/* NULL: not wanted. The peer has shown a certificate that is not accepted. */
	void (*unauthenticated)(void *user, const struct svr_pki_report *report);
	bool (*index_free)(void *user, uint32_t index); /* no key of this peer has the index */
	/* @path: where the message to be answered came from, -1: any path that is up */
	void (*send)(void *user, int path, enum svr_kex_seal seal,
		     const struct svr_kex_piece *piece);
	/*
	 * From now on packets under this key can be read, and may be sealed (SVR_KEX_SEAL_NEW).
	 * NULL: no longer.
	 */
	int (*pending)(void *user, uint32_t index, const uint8_t *key);
	/*
	 * The pending key is the peer's: use it. @authenticated: the exchange itself ran under a
	 * confirmed key.
	 */
	void (*confirmed)(void *user, const uint8_t *fingerprint, bool authenticated,
			  struct svr_now now);
	void (*log)(void *user, bool warn, const char *text); /* one line about this peer */
};

struct svr_kex_config {
	const char *own_name, *peer_name; /* common names, not equal */
	struct svr_pki_identity *identity; /* NULL: none, nothing is exchanged */
	struct svr_pki_trust *trust;
	uint16_t group; /* enum svr_dh_group: used when starting, and the weakest that is taken */
	uint32_t retransmit_ms; /* longest interval */
	uint32_t timeout_s; /* without a key for this long: says so, goes on */
};

enum svr_kex_phase {
	SVR_KEX_PHASE_NONE,
	SVR_KEX_PHASE_STARTING, /* initiator: the key pair is being made */
	SVR_KEX_PHASE_INIT_SENT,
	SVR_KEX_PHASE_RESP_SENT,
	SVR_KEX_PHASE_AUTH_SENT,
	SVR_KEX_PHASE_DONE, /* responder: AUTH_R may have to be sent again */
};

/* The exchange under way. */
struct svr_kex_exchange {
	enum svr_kex_phase phase;
	bool authenticated; /* INIT and RESP are sealed by the confirmed key */
	uint64_t id;
	uint32_t key_index;
	uint16_t group;
	struct svr_kex_job *job; /* under way for this exchange */
	struct svr_dh_secret *secret; /* initiator, until RESP */
	uint8_t salt_i[SVR_KEX_SALT_LEN], salt_r[SVR_KEX_SALT_LEN];
	struct svr_kex_bytes init, resp; /* whole messages, as sent */
	struct svr_kex_bytes auth; /* own AUTH message */
	uint8_t transcript[SVR_KEX_HASH_LEN]; /* T */
	struct svr_pki_peer *peer; /* accepted certificate; NULL while a job has it */
	unsigned int tries;
	uint64_t next_ns; /* retransmission, or end of RESP_SENT; UINT64_MAX: none */
	uint64_t interval_ns;
	uint64_t repeat_ns; /* not before: answer to a duplicate, or another look at a RESP */
};

struct svr_kex {
	const struct svr_kex_ops *ops;
	void *user;
	struct svr_kex_config config;
	bool smaller; /* own common name is the smaller one: starts, and wins */
	bool wanted;
	enum svr_kex_state state;
	struct svr_kex_exchange x;
	/* looks at an INIT, which may take the place of x; NULL: none */
	struct svr_kex_job *candidate;
	uint16_t group_hint; /* the peer wants this stronger one; 0: nothing said */
	uint64_t start_ns; /* next own start; UINT64_MAX: none */
	uint64_t backoff_ns;
	uint64_t compute_ns; /* no key pair before */
	uint64_t look_ns; /* no other INIT before */
	uint64_t wanted_ns; /* since when */
	bool timed_out;
	uint64_t refused_id, refused_until_ns;
	/* for `show` */
	bool cert_received, cert_acked, salt_received, salt_acked;
	uint8_t own_salt[SVR_KEX_SALT_LEN], peer_salt[SVR_KEX_SALT_LEN];
	uint64_t exchanges, failures;
	uint64_t jobs; /* Diffie-Hellman, certificates, signatures: what costs */
	char reason[320]; /* why the last try failed, or what the peer said; "" = nothing wrong */
	char said[320]; /* failure that was logged last; "" = none since a key was confirmed */
	bool quiet; /* it came again: tries are not logged until something else happens */
	struct svr_pki_report certificate; /* verdict on the peer's that came last */
};

/* 0, -EINVAL if both names are the same. */
int svr_kex_init(struct svr_kex *k, const struct svr_kex_config *config,
		 const struct svr_kex_ops *ops, void *user);
void svr_kex_clear(struct svr_kex *k);

/* Gives up everything that is under way or planned; svr_kex_want() begins anew. */
void svr_kex_reset(struct svr_kex *k);
/* Another own certificate: an exchange that began with the one before is given up. */
void svr_kex_set_identity(struct svr_kex *k, struct svr_pki_identity *identity);
/* Other rules, from the next message of the peer on. */
void svr_kex_set_trust(struct svr_kex *k, struct svr_pki_trust *trust);

/**
 * svr_kex_want() - tell whether a key is needed now: some path is up, and nothing authenticates the
 * peer. To be called whenever that may have changed; the same answer again costs nothing.
 */
void svr_kex_want(struct svr_kex *k, bool wanted, struct svr_now now);

/*
 * Replace a confirmed key by a new one. 0, -EBUSY while an exchange is under way, -EAGAIN above the
 * rate limit, other negative errno.
 */
int svr_kex_rekey(struct svr_kex *k, struct svr_now now);

/* A newer key is in use already: an exchange under the one before is given up. */
void svr_kex_cancel_authenticated(struct svr_kex *k);

/* The peer has shown a confirmed key: an exchange that was not authenticated is given up. */
void svr_kex_cancel_unauthenticated(struct svr_kex *k);

/**
 * svr_kex_receive() - one piece.
 * @buffer: of the path
 * @seal: how the packet was authenticated
 * Return: 0 or a negative drop reason.
 */
int svr_kex_receive(struct svr_kex *k, int path, struct svr_kex_buffer *buffer,
		    const struct svr_kex_piece *piece, enum svr_kex_seal seal, struct svr_now now);

/**
 * svr_kex_job_done() - the result of a job, or, if its exchange is over, nothing; frees the job.
 * A job that was not run must be freed with svr_kex_job_free() instead, after the exchange.
 * Return: user of the key exchange that went on, NULL if nobody waited for it any more.
 */
void *svr_kex_job_done(struct svr_kex_job *job, struct svr_now now);

/* INIT sent or about to be, RESP or AUTH sent: something is to come from the peer. */
bool svr_kex_under_way(const struct svr_kex *k);

void svr_kex_tick(struct svr_kex *k, struct svr_now now);
uint64_t svr_kex_next(const struct svr_kex *k); /* UINT64_MAX: never */

/* The only place that changes the state; @why may be NULL. */
void svr_kex_set_state(struct svr_kex *k, enum svr_kex_state state, const char *why);

#endif
