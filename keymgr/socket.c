// SPDX-License-Identifier: BSD-2-Clause
/*
 * UDP sockets of BFD. Each local waypoint address has one on port 1280, which serves all its paths;
 * the sender's address tells which. Paths of plain BFD have the ports of RFC 5881 or RFC 5883: one
 * socket for each address and port receives, and each path sends from a port of its own.
 * IP_FREEBIND lets a socket wait for an address that is not there yet, and a device that was made
 * anew is noticed by its index.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/errqueue.h>
#include <net/if.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>
#include <openssl/crypto.h>

#include <svr/drops.h>

#include "keymgr.h"
#include "sys/log.h"

enum {
	SOCKET_BATCH = 64, /* packets that are read before timers get their turn */
	/* highest band of pfifo_fast that needs no capability: BFD is never behind data */
	SOCKET_PRIORITY = 6,
	SOCKET_TTL = 255, /* RFC 5881 5, also as hop limit */
	/* bytes; what is longer is cut, and then its lengths do not fit */
	SOCKET_PACKET_MAX = SVR_BFDMETA_PROBE_MAX,
	SOCKET_RX_BYTES = 4 << 20, /* a packet of each of a thousand peers at the same moment */
	/* RFC 5881 4: source ports of plain BFD */
	SOCKET_SOURCE_LO = 49152,
	SOCKET_SOURCE_COUNT = 16384,
	SOCKET_SOURCE_TRIES = 64,
	SOCKET_CONTROL_LEN = 256, /* bytes of control messages */
};

static bool is_v4(const uint8_t addr[static 16])
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

	return memcmp(addr, mapped, sizeof(mapped)) == 0;
}

/* @ifindex: of the link, for addresses that are of no meaning elsewhere. */
static void make_sockaddr(const uint8_t addr[static 16], uint16_t port, unsigned int ifindex,
			  union km_sockaddr *out, socklen_t *len)
{
	memset(out, 0, sizeof(*out));
	if (is_v4(addr)) {
		out->v4.sin_family = AF_INET;
		out->v4.sin_port = htons(port);
		memcpy(&out->v4.sin_addr, addr + 12, sizeof(out->v4.sin_addr));
		*len = sizeof(out->v4);
		return;
	}
	out->v6.sin6_family = AF_INET6;
	out->v6.sin6_port = htons(port);
	memcpy(&out->v6.sin6_addr, addr, sizeof(out->v6.sin6_addr));
	if (IN6_IS_ADDR_LINKLOCAL(&out->v6.sin6_addr))
		out->v6.sin6_scope_id = ifindex;
	*len = sizeof(out->v6);
}

static uint16_t split_sockaddr(const union km_sockaddr *from, uint8_t addr[static 16])
{
	memset(addr, 0, 16);
	if (from->sa.sa_family == AF_INET6) {
		memcpy(addr, &from->v6.sin6_addr, 16);
		return ntohs(from->v6.sin6_port);
	}
	addr[10] = addr[11] = 0xff;
	memcpy(addr + 12, &from->v4.sin_addr, 4);
	return ntohs(from->v4.sin_port);
}

static const char *addr_name(const uint8_t addr[static 16], char buf[static INET6_ADDRSTRLEN])
{
	bool v4 = is_v4(addr);

	return inet_ntop(v4 ? AF_INET : AF_INET6, addr + (v4 ? 12 : 0), buf, INET6_ADDRSTRLEN) ?
		       buf :
		       "?";
}

/* ---- receiving ------------------------------------------------------------------------------- */

static int compare_remote(const void *a, const void *b)
{
	return memcmp((*(struct km_path *const *)a)->remote, (*(struct km_path *const *)b)->remote,
		      sizeof((*(struct km_path *const *)a)->remote));
}

static struct km_path *path_to(struct km_socket *s, const uint8_t remote[static 16])
{
	struct km_path key, *wanted = &key, **found;

	memcpy(key.remote, remote, sizeof(key.remote));
	found = bsearch(&wanted, s->path, s->n_paths, sizeof(*s->path), compare_remote);
	return found ? *found : NULL;
}

/* Plain BFD comes from any port (RFC 5881 4), ours from where it goes to. */
static struct km_path *path_of(struct km_socket *s, const union km_sockaddr *from)
{
	uint8_t remote[16];
	uint16_t port = split_sockaddr(from, remote);
	struct km_path *path = path_to(s, remote);

	return path && (path->plain || port == s->port) ? path : NULL;
}

/* What the kernel says beside a packet. */
struct beside {
	int ttl; /* or hop limit; -1: unknown */
	bool fragmented; /* it came in pieces */
	struct sock_extended_err error;
};

static void read_beside(struct msghdr *msg, struct beside *b)
{
	struct cmsghdr *c;

	*b = (struct beside){ .ttl = -1 };
	for (c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		bool v4 = c->cmsg_level == IPPROTO_IP, v6 = c->cmsg_level == IPPROTO_IPV6;

		if ((v4 && c->cmsg_type == IP_TTL) || (v6 && c->cmsg_type == IPV6_HOPLIMIT))
			memcpy(&b->ttl, CMSG_DATA(c), sizeof(b->ttl));
		else if ((v4 && c->cmsg_type == IP_RECVFRAGSIZE) ||
			 (v6 && c->cmsg_type == IPV6_RECVFRAGSIZE))
			b->fragmented = true;
		else if ((v4 && c->cmsg_type == IP_RECVERR) || (v6 && c->cmsg_type == IPV6_RECVERR))
			memcpy(&b->error, CMSG_DATA(c), sizeof(b->error));
	}
}

static ssize_t read_message(int fd, int flags, uint8_t packet[static SOCKET_PACKET_MAX],
			    union km_sockaddr *from, struct beside *b)
{
	union {
		char bytes[SOCKET_CONTROL_LEN];
		struct cmsghdr align;
	} control;
	struct iovec iov = { packet, SOCKET_PACKET_MAX };
	struct msghdr msg = {
		.msg_name = from,
		.msg_namelen = sizeof(*from),
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	ssize_t len;

	memset(from, 0, sizeof(*from));
	len = recvmsg(fd, &msg, MSG_DONTWAIT | flags);
	if (len >= 0)
		read_beside(&msg, b);
	return len;
}

/* False: nothing more to read. */
static bool receive_one(struct km_socket *s)
{
	uint8_t packet[SOCKET_PACKET_MAX];
	union km_sockaddr from;
	struct km_path *path;
	struct beside b;
	ssize_t len = read_message(s->fd, 0, packet, &from, &b);
	int ret;

	if (len < 0) /* an error of an earlier packet is reported once, and then it goes on */
		return errno != EAGAIN && errno != EWOULDBLOCK && errno != EBADF;
	path = path_of(s, &from);
	if (!path || b.fragmented) {
		km_count_drop(s->km, path ? -SVR_DROP_BFD_FRAGMENT : -SVR_DROP_BFD_SESSION);
		return true;
	}
	ret = svr_peering_receive(path->peer->peering, path->number, packet, (size_t)len, b.ttl);
	OPENSSL_cleanse(packet, (size_t)len); /* what was decrypted in place may be a key */
	if (ret)
		km_count_drop(s->km, ret);
	km_peer_schedule(path->peer);
	return true;
}

static bool is_too_big(const struct sock_extended_err *e)
{
	return (e->ee_origin == SO_EE_ORIGIN_ICMP && e->ee_type == ICMP_DEST_UNREACH &&
		e->ee_code == ICMP_FRAG_NEEDED) ||
	       (e->ee_origin == SO_EE_ORIGIN_ICMP6 && e->ee_type == ICMP6_PACKET_TOO_BIG);
}

/* ICMP about what we sent. The address is that of the packet's destination. */
static bool receive_error(struct km_socket *s)
{
	uint8_t quoted[SOCKET_PACKET_MAX], remote[16];
	union km_sockaddr to;
	struct km_path *path;
	struct beside b;
	ssize_t len = read_message(s->fd, MSG_ERRQUEUE, quoted, &to, &b);

	if (len < 0)
		return false;
	split_sockaddr(&to, remote);
	path = path_to(s, remote);
	if (!path || path->plain || !is_too_big(&b.error))
		return true;
	svr_peering_too_big(path->peer->peering, path->number, quoted, (size_t)len,
			    b.error.ee_info);
	km_peer_schedule(path->peer);
	return true;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct km_socket *s = arg;
	int i;

	(void)fd, (void)what;
	for (i = 0; i < SOCKET_BATCH && receive_error(s); i++)
		;
	for (i = 0; i < SOCKET_BATCH && receive_one(s); i++)
		;
}

/* ---- sending --------------------------------------------------------------------------------- */

static int set_int(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value)) < 0 ? -errno : 0;
}

/*
 * Paths of one address may differ in DSCP. Not as a control message of the packet: that would take
 * the packet's priority from the DSCP.
 */
static void set_dscp(bool v4, int fd, uint8_t dscp)
{
	enum { DSCP_SHIFT = 2 };

	if (v4)
		set_int(fd, IPPROTO_IP, IP_TOS, dscp << DSCP_SHIFT);
	else
		set_int(fd, IPPROTO_IPV6, IPV6_TCLASS, dscp << DSCP_SHIFT);
	set_int(fd, SOL_SOCKET, SO_PRIORITY, SOCKET_PRIORITY);
}

/*
 * In two calls: MSG_MORE makes the kernel compute the UDP checksum while it copies. Otherwise it
 * leaves the sum to the device, and a virtual one carries the packet to the peer with the sum of the
 * pseudo-header only.
 */
static int send_packet(int fd, const union km_sockaddr *to, socklen_t to_len, const uint8_t *packet,
		       size_t len)
{
	const int flags = MSG_DONTWAIT | MSG_NOSIGNAL;

	if (sendto(fd, packet, len, flags | MSG_MORE, &to->sa, to_len) >= 0 &&
	    send(fd, NULL, 0, flags) >= 0)
		return 0;
	return -errno;
}

void km_path_send(struct km_path *path, const uint8_t *packet, size_t len)
{
	struct km_socket *s = path->socket;
	char name[INET6_ADDRSTRLEN];
	union km_sockaddr to;
	socklen_t to_len;
	int fd, ret;

	if (!s)
		return;
	fd = path->plain ? path->tx_fd : s->fd;
	if (fd < 0)
		return;
	if (!path->plain && s->dscp != path->dscp) {
		set_dscp(is_v4(s->addr), fd, path->dscp);
		s->dscp = path->dscp;
	}
	make_sockaddr(path->remote, path->port, s->ifindex, &to, &to_len);
	ret = send_packet(fd, &to, to_len, packet, len);
	if (ret && ret != -EMSGSIZE) /* perhaps an earlier packet's error, which is told only once */
		ret = send_packet(fd, &to, to_len, packet, len);
	/* BFD notices a path that cannot be sent on; here it is only told why. */
	if (ret && path->send_errors++ == 0)
		pr_debug("peer %s: cannot send to %s: %s", path->peer->name,
			 addr_name(path->remote, name), strerror(-ret));
}

/* ---- opening --------------------------------------------------------------------------------- */

static int configure4(int fd)
{
	int ret = set_int(fd, IPPROTO_IP, IP_FREEBIND, 1);

	ret = ret ?: set_int(fd, IPPROTO_IP, IP_TTL, SOCKET_TTL);
	ret = ret ?: set_int(fd, IPPROTO_IP, IP_RECVTTL, 1);
	/* Never fragmented; a stale path MTU must not stop BFD, whose packets fit everywhere. */
	ret = ret ?: set_int(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE);
	ret = ret ?: set_int(fd, IPPROTO_IP, IP_RECVFRAGSIZE, 1);
	return ret ?: set_int(fd, IPPROTO_IP, IP_RECVERR, 1);
}

static int configure6(int fd)
{
	int ret = set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);

	ret = ret ?: set_int(fd, IPPROTO_IPV6, IPV6_FREEBIND, 1);
	ret = ret ?: set_int(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, SOCKET_TTL);
	ret = ret ?: set_int(fd, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1);
	ret = ret ?: set_int(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE);
	ret = ret ?: set_int(fd, IPPROTO_IPV6, IPV6_DONTFRAG, 1);
	ret = ret ?: set_int(fd, IPPROTO_IPV6, IPV6_RECVFRAGSIZE, 1);
	return ret ?: set_int(fd, IPPROTO_IPV6, IPV6_RECVERR, 1);
}

/* A socket of the address and device of @s, not bound yet. Its descriptor or negative errno. */
static int socket_make(const struct km_socket *s)
{
	bool v4 = is_v4(s->addr);
	int fd, ret = 0;

	fd = socket(v4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (s->device[0] && setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, s->device,
				       (socklen_t)strlen(s->device)) < 0)
		ret = -errno;
	ret = ret ?: v4 ? configure4(fd) : configure6(fd);
	ret = ret ?: set_int(fd, SOL_SOCKET, SO_PRIORITY, SOCKET_PRIORITY);
	if (ret) {
		close(fd);
		return ret;
	}
	/* Without the right to it the system's default has to do. */
	(void)set_int(fd, SOL_SOCKET, SO_RCVBUFFORCE, SOCKET_RX_BYTES);
	return fd;
}

static int bind_to(const struct km_socket *s, int fd, uint16_t port)
{
	union km_sockaddr local;
	socklen_t len;

	make_sockaddr(s->addr, port, s->ifindex, &local, &len);
	return bind(fd, &local.sa, len) < 0 ? -errno : 0;
}

/* RFC 5881 4: each session sends from a port of its own. */
static int source_open(struct km_path *path)
{
	struct km_socket *s = path->socket;
	int fd = socket_make(s), i, ret = -EADDRINUSE;
	uint16_t pick;

	if (fd < 0)
		return fd;
	/* Nothing is read here: errors would only be in the way. */
	set_int(fd, is_v4(s->addr) ? IPPROTO_IP : IPPROTO_IPV6,
		is_v4(s->addr) ? IP_RECVERR : IPV6_RECVERR, 0);
	set_dscp(is_v4(s->addr), fd, path->dscp);
	for (i = 0; i < SOCKET_SOURCE_TRIES && ret == -EADDRINUSE; i++) {
		ret = km_random(&pick, sizeof(pick));
		if (!ret)
			ret = bind_to(s, fd,
				      (uint16_t)(SOCKET_SOURCE_LO + pick % SOCKET_SOURCE_COUNT));
	}
	if (ret) {
		close(fd);
		return ret;
	}
	path->tx_fd = fd;
	return 0;
}

static void source_close(struct km_path *path)
{
	if (path->tx_fd >= 0)
		close(path->tx_fd);
	path->tx_fd = -1;
}

static void socket_close(struct km_socket *s)
{
	unsigned int i;

	for (i = 0; i < s->n_paths; i++)
		source_close(s->path[i]);
	if (s->event)
		event_free(s->event);
	s->event = NULL;
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
}

static int socket_listen(struct km_socket *s)
{
	s->event = event_new(s->km->base, s->fd, EV_READ | EV_PERSIST, on_readable, s);
	return s->event && event_add(s->event, NULL) == 0 ? 0 : -ENOMEM;
}

static void complain(struct km_socket *s, const char *what, int ret)
{
	char addr[INET6_ADDRSTRLEN];

	if (!s->complained)
		pr_warn("%s%%%s: %s UDP port %u: %s; tried again until it works",
			addr_name(s->addr, addr), s->device, what, s->port, strerror(-ret));
	s->complained = true;
}

static int socket_open(struct km_socket *s)
{
	char addr[INET6_ADDRSTRLEN];
	int ret;

	s->ifindex = s->device[0] ? if_nametoindex(s->device) : 0;
	s->dscp = 0;
	s->fd = socket_make(s);
	ret = s->fd < 0 ? s->fd : bind_to(s, s->fd, s->port);
	if (!ret)
		ret = socket_listen(s);
	if (ret) {
		socket_close(s);
		complain(s, "cannot listen on", ret);
		return ret;
	}
	s->complained = false;
	pr_debug("%s%%%s: listening on UDP port %u", addr_name(s->addr, addr), s->device, s->port);
	return 0;
}

static void sources_open(struct km_socket *s)
{
	unsigned int i;
	int ret;

	for (i = 0; i < s->n_paths; i++) {
		if (!s->path[i]->plain || s->path[i]->tx_fd >= 0)
			continue;
		ret = source_open(s->path[i]);
		if (ret)
			complain(s, "cannot send to", ret);
	}
}

void km_sockets_check(struct keymgr *km)
{
	unsigned int i;

	for (i = 0; i < km->n_sockets; i++) {
		struct km_socket *s = &km->socket[i];

		if (s->fd >= 0 && s->device[0] && if_nametoindex(s->device) != s->ifindex)
			socket_close(s); /* the device is gone, or another one has its name */
		if (s->fd < 0)
			socket_open(s);
		if (s->fd >= 0)
			sources_open(s);
	}
}

/* ---- which sockets there are ------------------------------------------------------------------ */

/* The socket of the new set that serves @path. */
static struct km_socket *socket_for(struct keymgr *km, struct km_socket *set, unsigned int *n,
				    const struct km_path *path)
{
	const struct svr_view_path *view = &km->view->paths[path->view];
	const struct svr_view_zone *zone = &km->view->zones[view->zone];
	struct km_socket *s;
	unsigned int i;

	for (i = 0; i < *n; i++)
		if (set[i].port == path->port &&
		    memcmp(set[i].addr, view->local_address.bytes, sizeof(set[i].addr)) == 0)
			return &set[i];
	s = &set[(*n)++];
	*s = (struct km_socket){ .km = km, .port = path->port, .fd = -1 };
	memcpy(s->addr, view->local_address.bytes, sizeof(s->addr));
	/* The kernel hands tagged frames to a VLAN device whose name is the operator's choice. */
	if (!zone->vlan)
		snprintf(s->device, sizeof(s->device), "%s", zone->device);
	return s;
}

static int sockets_build(struct keymgr *km, struct km_socket *set, unsigned int *n)
{
	unsigned int i, k;

	for (i = 0; i < km->n_peers; i++) {
		for (k = 0; k < km->peer[i].n_paths; k++) {
			struct km_path *path = &km->peer[i].path[k], **bigger;
			struct km_socket *s = socket_for(km, set, n, path);

			bigger = realloc(s->path, (s->n_paths + 1) * sizeof(*s->path));
			if (!bigger)
				return -ENOMEM;
			s->path = bigger;
			s->path[s->n_paths++] = path;
			path->socket = s;
		}
	}
	for (i = 0; i < *n; i++)
		qsort(set[i].path, set[i].n_paths, sizeof(*set[i].path), compare_remote);
	return 0;
}

/* What is open for the same address, port and device stays open: no packet is lost for it. */
static int socket_inherit(struct km_socket *s, struct km_socket *old, unsigned int n_old)
{
	unsigned int i;

	for (i = 0; i < n_old; i++) {
		struct km_socket *o = &old[i];

		if (o->fd < 0 || o->port != s->port || strcmp(o->device, s->device) != 0 ||
		    memcmp(o->addr, s->addr, sizeof(s->addr)) != 0)
			continue;
		s->fd = o->fd;
		s->ifindex = o->ifindex;
		s->dscp = o->dscp;
		o->fd = -1;
		event_free(o->event);
		o->event = NULL;
		return socket_listen(s);
	}
	return 0;
}

static void sockets_drop(struct km_socket *set, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++) {
		set[i].n_paths = 0; /* they belong to the peers, who may be gone */
		socket_close(&set[i]);
		free(set[i].path);
	}
	free(set);
}

int km_sockets_apply(struct keymgr *km)
{
	unsigned int i, k, total = 0, n = 0;
	struct km_socket *set;
	int ret;

	for (i = 0; i < km->n_peers; i++)
		total += km->peer[i].n_paths;
	/* Not more sockets than paths, and never moved: events point to them. */
	set = calloc(total ? total : 1, sizeof(*set));
	if (!set)
		return -ENOMEM;
	ret = sockets_build(km, set, &n);
	for (i = 0; i < n && !ret; i++) {
		ret = socket_inherit(&set[i], km->socket, km->n_sockets);
		for (k = 0; k < set[i].n_paths && set[i].fd < 0; k++)
			source_close(set[i].path[k]); /* bound to another device */
	}
	sockets_drop(km->socket, km->n_sockets);
	km->socket = set;
	km->n_sockets = n;
	if (!ret)
		km_sockets_check(km);
	return ret;
}

/* RFC 5881 4: the source port of a session stays, so its socket does. */
void km_path_set_dscp(struct km_path *path, uint8_t dscp)
{
	if (path->tx_fd >= 0 && path->dscp != dscp)
		set_dscp(is_v4(path->remote), path->tx_fd, dscp);
	path->dscp = dscp; /* what serves several paths takes it with each packet */
}

void km_path_close(struct km_path *path)
{
	source_close(path);
}

void km_sockets_free(struct keymgr *km)
{
	sockets_drop(km->socket, km->n_sockets);
	km->socket = NULL;
	km->n_sockets = 0;
}
