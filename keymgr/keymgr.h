/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * svr-keymgr: what its files share. One event loop; computations are done by threads of km->jobs:
 *
 *	main.c		arguments, start, signals
 *	peers.c		what a peering (lib/peering.h) asks of us: maps, threads, timers
 *	peerset.c	peerings for what the configuration and the maps name; those that stay are left alone
 *	clock.c		the time, and what happens when somebody sets it
 *	socket.c	UDP sockets of BFD
 *	ownkeys.c	own metadata keys
 *	certs.h		certificates and revocation lists, in several files
 *	statickeys.c	static keys in place of agreed ones
 *	show.c		control socket
 *	show_keys.c	its commands about keys
 *	peer_alarms.c	alarms about peers and paths
 *	alarms.c	alarms and events; alarms_ctl.c their commands, journal.c the file that they are kept in
 */
#ifndef SVR_KEYMGR_KEYMGR_H
#define SVR_KEYMGR_KEYMGR_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "counters.h"
#include "lib/config.h"
#include "lib/peering.h"
#include "sys/mapset.h"

enum km_limits {
	KM_THREADS = 2, /* for Diffie-Hellman, signatures, certificates */
	/* computations that wait: no exchange begins above, so that those under way are not late */
	KM_JOBS_MAX = 64,
	KM_REASON_LEN = 512, /* bytes of an error in words */
	KM_CLOCK_STEP_US = 1000, /* between two looks: a clock that is slewed moves less */
	KM_WATCH_MS = 250, /* how often the generation of the configuration is looked at */
	KM_LATE_MS = 100, /* a timer that is later than this is worth a line */
	KM_LATE_LOG_SEC = 60, /* but not more often */
	KM_OWN_RETRY_SEC = 1, /* for another metadata key while peers still use all before */
	KM_REALTIME_PRIORITY = 1, /* the lowest that goes before all ordinary processes */
	KM_NICE = -10, /* where that is not allowed */
	KM_PATH_LEN = 4096, /* bytes of a file name */
};

struct event;
struct event_base;
struct json_object;
struct svr_ctl_server;
struct svr_jobs;
struct svr_shelves;
struct keymgr;
struct km_alarms;
struct km_certs;
struct km_peer_cert;
struct km_peer;

#define KM_ALARM_GRACE_NS (10 * SVR_NS_PER_SEC) /* until a path that never was up is an alarm */
#define KM_ALARM_HOLD_NS  SVR_NS_PER_SEC /* an alarm changes at most so often */

/* What an alarm was the last time we looked. */
struct km_alarm_state {
	enum km_alarm_is { KM_ALARM_UNKNOWN, KM_ALARM_CLEAR, KM_ALARM_RAISED } is;
	uint64_t changed_ns; /* monotonic */
	uint64_t worded_ns; /* when other words were looked for */
};

union km_sockaddr {
	struct sockaddr sa;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

/* One local waypoint address and port. */
struct km_socket {
	struct keymgr *km;
	uint8_t addr[16]; /* IPv4 as ::ffff:a.b.c.d */
	uint16_t port;
	uint8_t dscp; /* that fd sends with now */
	char device[SVR_NAME_LEN]; /* "": not bound to one */
	unsigned int ifindex; /* of the device when it was bound */
	int fd; /* -1: not open, tried again */
	struct event *event;
	struct km_path **path; /* that use it, sorted by remote address */
	unsigned int n_paths;
	bool complained;
};

struct km_path {
	struct km_peer *peer;
	unsigned int view; /* index in view->paths */
	unsigned int number; /* in the peering */
	uint32_t slot; /* in svr_paths and svr_path_state */
	uint8_t remote[16]; /* IPv4 as ::ffff:a.b.c.d */
	uint16_t port; /* of the peer, and of the socket */
	bool plain; /* BFD without metadata */
	int tx_fd; /* plain: what sends, from a port of its own; -1: not open */
	struct km_socket *socket;
	uint8_t dscp;
	uint64_t send_errors;
	struct km_alarm_state alarm_down;
};

struct km_peer {
	struct keymgr *km;
	unsigned int view; /* index in view->peers */
	uint32_t slot; /* in svr_peers and svr_peer_keys */
	/* own copies: a peer outlives a configuration. The last two are common names. */
	char *name, *own_name, *peer_name;
	struct svr_pki_trust *trust;
	struct km_peer_cert *cert; /* certs.h; NULL: not yet */
	struct svr_peering *peering;
	struct event *timer;
	uint64_t due_ns; /* when it should fire */
	struct km_path *path;
	unsigned int n_paths;
	struct km_alarm_state alarm_reach, alarm_authentication, alarm_key_timeout;
};

/* Notices when CLOCK_REALTIME is set. */
struct km_clock {
	int fd; /* timer that the kernel cancels then, -1: none */
	struct event *event;
	int64_t base_ns; /* real time minus monotonic time, as it was seen last */
};

struct keymgr {
	const char *router, *config_path;
	struct event_base *base;
	struct event *watch;
	struct svr_mapset maps;
	struct svr_ctl_server *ctl;
	struct km_alarms *alarms; /* alarms.h */
	struct svr_shelves *shelves; /* of the configuration in force */
	FILE *keylog; /* NULL: off */
	struct svr_crypt *crypt;
	struct svr_jobs *jobs; /* what takes milliseconds */
	uint32_t instance;
	uint32_t generation; /* of the configuration in force */
	struct svr_config *config;
	struct svr_router_view *view;
	struct km_certs *certs; /* certs.h */
	struct svr_pki_identity *identity; /* NULL: none, no peering */
	uint64_t counters[KM_COUNT_MAX];
	struct svr_own_keys own;
	uint64_t own_rekey_ns; /* next metadata key; UINT64_MAX: never */
	uint64_t config_changes, config_errors; /* configurations taken and refused */
	struct km_peer *peer;
	unsigned int n_peers;
	struct km_socket *socket;
	unsigned int n_sockets;
	struct km_clock clock;
	uint64_t started_ns;
	int error; /* that ended the loop */
};

/* clock.c */
struct svr_now km_now(void);
int km_clock_start(struct keymgr *km); /* 0 or -ENOMEM */
void km_clock_stop(struct keymgr *km);
void km_clock_check(struct keymgr *km); /* tells all peers if the clock was set */

/* main.c */
int km_random(void *out, size_t len); /* 0 or -EIO */
void km_count_drop(struct keymgr *km, int drop);

/*
 * peerset.c: makes the peers what km->view says. Peers and paths whose configuration is as before
 * go on as if nothing had happened, new ones take back what is stored. 0 or negative errno, after
 * which only km_peers_free() is of use.
 */
int km_peers_apply(struct keymgr *km);
void km_peers_free(struct keymgr *km);

/* peers.c */
extern const struct svr_peering_ops km_peer_ops; /* user: the struct km_peer */
int km_peer_timer_new(struct km_peer *peer); /* 0, -ENOMEM */
void km_peer_schedule(struct km_peer *peer);
void km_peer_log_keys(struct km_peer *peer);

/* peer_alarms.c: raises and clears what is so now; ends alarms about what the configuration has no more. */
void km_peer_alarms_check(struct keymgr *km);
void km_peer_alarms_sweep(struct keymgr *km);

/* socket.c */
int km_sockets_apply(struct keymgr *km); /* for the paths of all peers; what is open stays open */
void km_sockets_free(struct keymgr *km);
void km_path_close(struct km_path *path); /* what only this path has open */
void km_path_set_dscp(struct km_path *path, uint8_t dscp); /* from the next packet on */
/* Opens what could not be opened, follows devices that came back. */
void km_sockets_check(struct keymgr *km);
void km_path_send(struct km_path *path, const uint8_t *packet, size_t len);

/* ownkeys.c */
int km_own_keys_load(struct keymgr *km); /* takes them back from the map, or makes the first one */
/* Another metadata key. 0, -EBUSY while peers may use all those before, -ENOTSUP if it is static, -EIO. */
int km_own_keys_rotate(struct keymgr *km);
void km_own_keys_plan(struct keymgr *km); /* the interval may be another one */
void km_own_keys_tick(struct keymgr *km); /* now and then: what is due */

/* statickeys.c */
/* Without enhanced key management: keys are those of policies, and no certificate is needed. */
bool km_static(const struct keymgr *km);
/* Keys for a peer, all zero if keys are agreed. 0 or negative errno. */
int km_static_peer(const struct keymgr *km, const char *own_name, const char *peer_name,
		   struct svr_peering_fixed *out);
/*
 * Before km_own_keys_load(): puts the own metadata key into the map, or takes away one that was
 * static, or half written. 1 if something changed, 0, or negative errno.
 */
int km_static_own(struct keymgr *km);
/* Writes what a decoder needs besides keys of peers and routers. */
void km_static_log(const struct keymgr *km);

/* show.c */
int km_ctl_start(struct keymgr *km);

/* show_keys.c. Returns what a svr_ctl_handler does; *known: false for commands of others. */
struct json_object *km_keys_command(struct keymgr *km, const char *command,
				    struct json_object *request, bool *known);

#endif
