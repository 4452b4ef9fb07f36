/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One peer router with all its paths: BFD sessions, key exchange, delivery of metadata keys, clock
 * offset, and from them the verdict which path is in service (docs/protocol.md sections 8 and 9).
 * Everything that a restarted process needs stands in the structs of include/svr/maps.h, which the
 * owner stores. Sockets, maps, clock and randomness are the owner's. Part of libsvr.
 */
#ifndef SVR_LIB_PEERING_H
#define SVR_LIB_PEERING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <svr/maps.h>

#include "lib/bfd.h"
#include "lib/bfdmeta.h"
#include "lib/clockoff.h"
#include "lib/crypt.h"
#include "lib/kex.h"
#include "lib/linktest.h"
#include "lib/now.h"
#include "lib/pathmtu.h"

enum svr_peering_times {
	/*
	 * A key that was replaced for sending is wiped after this and the longest detection time:
	 * first packets of sessions that were born under it have been repeated by then.
	 */
	SVR_PEERING_RETIRE_SEC = 300,
	SVR_PEERING_REKEY_RETRY_MIN_MS = 1000, /* a rekey that did not begin or not succeed */
	SVR_PEERING_REKEY_RETRY_MAX_MS = 60000,
};

/* BFD packets sealed by one peer key: it is replaced at the first number, not used at the second. */
#define SVR_PEERING_KEY_PACKETS	     (UINT64_C(1) << 30)
#define SVR_PEERING_KEY_PACKETS_HARD (UINT64_C(1) << 32)
/* So many are stored as sent before the first of them is: a restart may skip some, and forgets none. */
#define SVR_PEERING_KEY_PACKETS_AHEAD UINT64_C(1024)

enum svr_peering_limits {
	/* packets sent whose time is remembered: more than are under way with the longest test */
	SVR_PEERING_STAMPS = 64,
};

/* Why a path that BFD had up went down; names are SSR's. */
#define SVR_LINK_DOWN_REASONS(X)                         \
	X(TIMER_EXPIRY, 0, "timer-expiry")               \
	X(REMOTE_DOWN, 1, "remote-down")                 \
	X(REMOTE_ADMIN_DOWN, 2, "remote-admin-down")     \
	X(LOCAL_OPER_DOWN, 3, "local-oper-down")
enum svr_link_down {
#define X(id, n, name) SVR_LINK_DOWN_##id = n,
	SVR_LINK_DOWN_REASONS(X)
#undef X
	SVR_LINK_DOWN_MAX,
};
const char *svr_link_down_name(enum svr_link_down reason);

/* Static keys in place of agreed ones (lib/statickey.h). */
struct svr_peering_fixed {
	struct svr_peer_key peer;
	struct svr_meta_key meta; /* the peer's */
};

struct svr_peering_config {
	struct svr_kex_config kex; /* names, certificate, trust, group, times */
	/* own metadata keys; the owner calls svr_peering_own_keys_changed() */
	const struct svr_own_keys *own;
	struct svr_crypt *crypt; /* of this thread */
	/*
	 * Peer index 0: keys are agreed. Otherwise these are the keys, confirmed from the
	 * beginning; nothing is agreed, and kex needs names only.
	 */
	struct svr_peering_fixed fixed;
	uint64_t rekey_ms; /* peer-key-rekey-interval; 0: never */
	uint32_t hold_ms; /* rekey-hold-time */
	uint64_t key_packets; /* 0: SVR_PEERING_KEY_PACKETS */
	uint32_t instance; /* random, another one after each start of the process */
};

struct svr_peering_path_config {
	uint8_t local[16], remote[16]; /* waypoint addresses, IPv4 as ::ffff:a.b.c.d */
	bool enabled; /* false: BFD is administratively down */
	bool single_hop; /* the peer is on the link: TTL must be 255 */
	/*
	 * RFC 5880 and nothing else: no metadata, no keys. The path is watched (SVR_PATH_STANDBY) and
	 * never in service.
	 */
	bool plain;
	struct svr_bfd_config bfd;
	/* after a path failed: up for so long before it is in service again */
	uint32_t hold_down_ms;
	uint32_t hold_down_max_ms;
	bool damping; /* the hold-down doubles with each failure */
	struct svr_linktest_config test; /* not with plain */
	struct svr_pathmtu_config mtu; /* not with plain */
};

struct svr_peering_ops {
	int (*random)(void *user, void *out, size_t len);
	const struct svr_dh_ops *dh;
	bool (*may_compute)(void *user, uint64_t now_ns);
	/* as in struct svr_kex_ops; the answer goes to svr_peering_computed() */
	int (*compute)(void *user, struct svr_kex_job *job);
	/* a packet that svr_peering_receive() had taken was refused in the end: drop reason */
	void (*refused)(void *user, int drop);
	struct svr_now (*now)(void *user);
	void (*send)(void *user, unsigned int path, const uint8_t *packet, size_t len);
	/* Store: called before anything that depends on it leaves. */
	void (*save_path)(void *user, unsigned int path, const struct svr_path_state *state);
	void (*save_keys)(void *user, const struct svr_peer_keys *keys);
	/*
	 * NULL: not wanted. The peer has shown a certificate that was accepted, and the key is
	 * confirmed. @shown is valid during the call; nothing of this peering may be called from
	 * here.
	 */
	void (*authenticated)(void *user, const struct svr_pki_peer *shown);
	/* NULL: not wanted. The peer has shown one that was not. */
	void (*unauthenticated)(void *user, const struct svr_pki_report *report);
	/* a peer key was confirmed: key log */
	void (*new_key)(void *user, const struct svr_peer_key *key);
	void (*log)(void *user, bool warn, const char *text);
	/* NULL: not wanted. A search for the path MTU ended; @mtu 0: nothing passes, or it is off */
	void (*path_mtu)(void *user, unsigned int path, uint16_t mtu, bool unresolvable);
};

struct svr_peering_path {
	struct svr_peering *peering;
	unsigned int number;
	struct svr_peering_path_config config;
	struct svr_bfd bfd;
	struct svr_path_state state; /* as stored */
	struct svr_kex_buffer buffer;
	uint64_t auth_until_ns; /* last authentic packet plus detection time; 0: none */
	uint64_t hold_ns; /* not in service before */
	unsigned int hold_max_hits;
	uint32_t pending_key; /* index of the key that pending_seq counts */
	uint64_t pending_seq;
	uint64_t echo_ns, echo_rx_mono_ns; /* for the next TLV 0xF011 */
	/* when packets left, by both clocks, the last ones; the peer names them by tx_ns */
	struct {
		uint64_t tx_ns, mono_ns;
	} stamp[SVR_PEERING_STAMPS];
	unsigned int next_stamp;
	struct svr_linktest test;
	struct svr_pathmtu mtu;
	bool mtu_failed; /* as told to the owner */
	uint32_t ack_due; /* metadata key to acknowledge in the next packet, 0: none */
	uint32_t peer_instance;
	uint64_t rx_packets, tx_packets, drops;
	uint64_t link_up, link_down[SVR_LINK_DOWN_MAX];
};

struct svr_peering {
	const struct svr_peering_ops *ops;
	void *user;
	struct svr_peering_config config;
	int direction; /* own direction number */
	struct svr_kex_ops kex_ops;
	struct svr_kex kex;
	struct svr_peer_keys keys; /* as stored */
	struct svr_bfdmeta_key slot[SVR_KEY_SLOTS]; /* of keys.peer[] */
	struct svr_bfdmeta_key pending;
	uint8_t pending_key[SVR_PEER_KEY_LEN];
	/* Monotonic times, UINT64_MAX: never. */
	uint64_t rekey_ns; /* own start of a rekey */
	uint64_t switch_ns; /* sessions use the next peer key from then on */
	uint64_t retire_ns; /* replaced peer keys are wiped */
	uint64_t meta_switch_ns; /* sessions use the peer's next metadata key from then on */
	uint64_t used_ns; /* the key in use came into use */
	uint64_t key_packets; /* sealed by the key that BFD uses; never above keys.bfd_packets */
	struct svr_clockoff clock;
	uint32_t acked; /* own metadata key that the peer has */
	uint64_t acked_ns; /* since when */
	uint64_t announced_ns; /* since when there is something to be acknowledged */
	bool contact; /* some path is up */
	uint64_t contact_ns; /* some path was up until then */
	uint64_t detect_ns; /* until then both have noticed that a path is down */
	unsigned int n_paths;
	struct svr_peering_path *paths;
	bool barred; /* svr_peering_bar() */
	char reason[160]; /* why packets of this peer are refused; "" = nothing wrong */
};

/**
 * svr_peering_new() - a peer with @n_paths paths, each to be set with svr_peering_set_path().
 * @config: copied; what it points to must live as long
 * @saved: what save_keys() got last; taken back only if it belongs to the same names under the same
 * trust. NULL: nothing
 * Return: 0, -EINVAL if both names are the same, -ENOMEM, -EIO.
 */
int svr_peering_new(const struct svr_peering_config *config, const struct svr_peering_ops *ops,
		    void *user, unsigned int n_paths, const struct svr_peer_keys *saved,
		    struct svr_peering **out);
void svr_peering_free(struct svr_peering *p);

/*
 * @saved: what save_path() got last; taken back only if it belongs to the same peer and addresses.
 * NULL: nothing. 0 or -EIO.
 */
int svr_peering_set_path(struct svr_peering *p, unsigned int path,
			 const struct svr_peering_path_config *config,
			 const struct svr_path_state *saved);

/**
 * svr_peering_configure_path() - other timers, tests and rules for a path that goes on: nothing goes
 * down for it. Addresses and plain must be what they were.
 */
void svr_peering_configure_path(struct svr_peering *p, unsigned int path,
				const struct svr_peering_path_config *config);

/**
 * svr_peering_set_paths() - another set of paths.
 * @from: for each of the @n_paths new numbers the old number of the path, -1: a new path, for which
 * svr_peering_set_path() is to be called next. Old paths that are not named end: the peer is told so
 * (administratively down), by their old numbers.
 * Return: 0 or -ENOMEM; then nothing has changed.
 */
int svr_peering_set_paths(struct svr_peering *p, unsigned int n_paths, const int *from);

/**
 * svr_peering_receive() - a packet of a path; the addresses were its own.
 * @packet: changed (decrypted in place)
 * @ttl: of the IP header
 * Return: 0 or a negative drop reason; then nothing has changed but counters and words for the
 * operator.
 */
int svr_peering_receive(struct svr_peering *p, unsigned int path, uint8_t *packet, size_t len,
			int ttl);

/*
 * A job that ops->compute() got, and that was run. Frees it. Return: user of the peering that went
 * on, NULL if it does not exist any more or did not wait for it.
 */
void *svr_peering_computed(struct svr_kex_job *job);

/**
 * svr_peering_too_big() - ICMP says that a packet of a path did not fit.
 * @quoted: what it quotes of the UDP payload, @len bytes, possibly 0
 * @mtu: that it names
 */
void svr_peering_too_big(struct svr_peering *p, unsigned int path, const uint8_t *quoted, size_t len,
			 uint32_t mtu);

/* Our CLOCK_REALTIME was set: follows it, and lets the peer measure at once. */
void svr_peering_clock_set(struct svr_peering *p);

void svr_peering_tick(struct svr_peering *p);
uint64_t svr_peering_next(const struct svr_peering *p); /* monotonic; UINT64_MAX: never */

/* A new current metadata key stands in config.own: tell the peer. */
void svr_peering_own_keys_changed(struct svr_peering *p);

/* ---- decisions of the owner (lib/peering_trust.c) ---- */

/*
 * Another own certificate: an exchange that has begun with the one before is given up. NULL only
 * for a peering that is barred. Must live as long as the one before had to.
 */
void svr_peering_set_identity(struct svr_peering *p, struct svr_pki_identity *identity);
/* Other rules, from the next certificate on. Keys are judged by the owner. */
void svr_peering_set_trust(struct svr_peering *p, struct svr_pki_trust *trust);
/*
 * The keys in use hold under the rules that were set, too: the next process may take them back. 0
 * or -EIO.
 */
int svr_peering_accept(struct svr_peering *p);
/*
 * The peer's certificate is no longer accepted: its keys are wiped and its paths leave service. BFD
 * and key exchange go on, so another certificate brings it back. @why: for `show`
 */
void svr_peering_forget(struct svr_peering *p, const char *why);
/*
 * No peering at all: BFD is administratively down, keys are wiped, nothing is exchanged. @why: NULL:
 * peering begins again, from nothing. The same again changes nothing.
 */
void svr_peering_bar(struct svr_peering *p, const char *why);

/*
 * Agree another peer key. 0, -ENOKEY without one, -EBUSY while one is being replaced, -EAGAIN above
 * the rate limit, -ENOTSUP with static keys, other negative errno.
 */
int svr_peering_rekey(struct svr_peering *p);

/*
 * The peer can send nothing more under any own metadata key but the current one: it acknowledged
 * that and its hold time is over, or it is out of contact, and hears of it before a path comes back.
 */
bool svr_peering_meta_settled(const struct svr_peering *p, struct svr_now now);

/* Slot of the peer key that waits to be used for sessions; SVR_KEY_SLOTS: none. */
uint32_t svr_peering_next_key(const struct svr_peering *p);

/*
 * Some path is up, and the peer has shown no confirmed key within the detection time: what is not
 * authenticated is listened to.
 */
bool svr_peering_is_open(const struct svr_peering *p, uint64_t now_ns);

/* The keys are static, nothing is agreed. */
bool svr_peering_is_static(const struct svr_peering *p);

/* The peer's metadata key is there, and the peer has ours. */
bool svr_peering_meta_received(const struct svr_peering *p);
bool svr_peering_meta_acked(const struct svr_peering *p);

#endif
