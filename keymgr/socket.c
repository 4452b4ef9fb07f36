// SPDX-License-Identifier: BSD-2-Clause
/*
 * UDP port 1280 of each local waypoint address. A socket serves all paths of its address; the
 * sender's address tells which. IP_FREEBIND lets it wait for an address that is not there yet, and
 * a device that was made anew is noticed by its index.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>

#include <svr/drops.h>

#include "keymgr.h"
#include "sys/log.h"

enum {
	SOCKET_BATCH = 64, /* packets that are read before timers get their turn */
	/* highest band of pfifo_fast that needs no capability: BFD is never behind data */
	SOCKET_PRIORITY = 6,
	SOCKET_TTL = 255, /* RFC 5881 5 */
	SOCKET_DSCP_SHIFT = 2,
	/* bytes; what is longer is cut, and then its lengths do not fit */
	SOCKET_PACKET_MAX = 2048,
};

/* ---- receiving ------------------------------------------------------------------------------- */

static int compare_remote(const void *a, const void *b)
{
	uint32_t x = ntohl((*(struct km_path *const *)a)->remote.sin_addr.s_addr);
	uint32_t y = ntohl((*(struct km_path *const *)b)->remote.sin_addr.s_addr);

	return x < y ? -1 : x > y;
}

static struct km_path *path_of(struct km_socket *s, const struct sockaddr_in *from)
{
	struct km_path key = { .remote = *from }, *wanted = &key, **found;

	found = bsearch(&wanted, s->path, s->n_paths, sizeof(*s->path), compare_remote);
	return found && from->sin_port == htons(SVR_BFD_PORT) ? *found : NULL;
}

static int ttl_of(struct msghdr *msg)
{
	struct cmsghdr *c;
	int ttl = -1;

	for (c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c))
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TTL)
			memcpy(&ttl, CMSG_DATA(c), sizeof(ttl));
	return ttl;
}

/* False: nothing more to read. */
static bool receive_one(struct km_socket *s)
{
	uint8_t packet[SOCKET_PACKET_MAX];
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct sockaddr_in from = { 0 };
	struct iovec iov = { packet, sizeof(packet) };
	struct msghdr msg = {
		.msg_name = &from,
		.msg_namelen = sizeof(from),
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	ssize_t len = recvmsg(s->fd, &msg, MSG_DONTWAIT);
	struct km_path *path;
	int ret;

	if (len < 0)
		return errno == EINTR;
	path = path_of(s, &from);
	if (!path) {
		km_count_drop(s->km, -SVR_DROP_BFD_SESSION);
		return true;
	}
	ret = svr_peering_receive(path->peer->peering, path->number, packet, (size_t)len,
				  ttl_of(&msg));
	if (ret)
		km_count_drop(s->km, ret);
	km_peer_schedule(path->peer);
	return true;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	int i;

	(void)fd, (void)what;
	for (i = 0; i < SOCKET_BATCH && receive_one(arg); i++)
		;
}

/* ---- sending --------------------------------------------------------------------------------- */

void km_path_send(struct km_path *path, const uint8_t *packet, size_t len)
{
	struct km_socket *s = path->socket;
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec iov = { (void *)packet, len };
	struct msghdr msg = {
		.msg_name = &path->remote,
		.msg_namelen = sizeof(path->remote),
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	struct cmsghdr *c;
	int tos = path->tos;

	if (!s || s->fd < 0)
		return;
	/* Paths of one address may differ in DSCP. */
	memset(&control, 0, sizeof(control));
	c = CMSG_FIRSTHDR(&msg);
	c->cmsg_level = IPPROTO_IP;
	c->cmsg_type = IP_TOS;
	c->cmsg_len = CMSG_LEN(sizeof(tos));
	memcpy(CMSG_DATA(c), &tos, sizeof(tos));
	/*
	 * In two calls: MSG_MORE makes the kernel compute the UDP checksum while it copies.
	 * Otherwise it leaves the sum to the device, and a virtual one carries the packet to the
	 * peer with the sum of the pseudo-header only.
	 */
	if (sendmsg(s->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL | MSG_MORE) >= 0 &&
	    send(s->fd, NULL, 0, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
		return;
	/* BFD notices a path that cannot be sent on; here it is only told why. */
	if (path->send_errors++ == 0)
		pr_debug("%s: cannot send: %s", path->peer->km->view->paths[path->view].name,
			 strerror(errno));
}

/* ---- opening --------------------------------------------------------------------------------- */

static int set_int(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value)) < 0 ? -errno : 0;
}

static int socket_configure(int fd, const struct km_socket *s)
{
	struct sockaddr_in local = { .sin_family = AF_INET,
				     .sin_port = htons(SVR_BFD_PORT),
				     .sin_addr = s->addr };
	int ret = 0;

	if (s->device[0] && setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, s->device,
				       (socklen_t)strlen(s->device)) < 0)
		return -errno;
	ret = set_int(fd, IPPROTO_IP, IP_FREEBIND, 1);
	ret = ret ?: set_int(fd, IPPROTO_IP, IP_TTL, SOCKET_TTL);
	ret = ret ?: set_int(fd, IPPROTO_IP, IP_RECVTTL, 1);
	/* Never fragmented; a stale path MTU must not stop BFD, whose packets fit everywhere. */
	ret = ret ?: set_int(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE);
	ret = ret ?: set_int(fd, SOL_SOCKET, SO_PRIORITY, SOCKET_PRIORITY);
	if (!ret && bind(fd, (struct sockaddr *)&local, sizeof(local)) < 0)
		ret = -errno;
	return ret;
}

static void socket_close(struct km_socket *s)
{
	if (s->event)
		event_free(s->event);
	s->event = NULL;
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
}

static int socket_open(struct km_socket *s)
{
	char addr[INET_ADDRSTRLEN];
	int ret;

	inet_ntop(AF_INET, &s->addr, addr, sizeof(addr));
	s->ifindex = s->device[0] ? if_nametoindex(s->device) : 0;
	s->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	ret = s->fd < 0 ? -errno : socket_configure(s->fd, s);
	if (!ret) {
		s->event = event_new(s->km->base, s->fd, EV_READ | EV_PERSIST, on_readable, s);
		ret = s->event && event_add(s->event, NULL) == 0 ? 0 : -ENOMEM;
	}
	if (ret) {
		socket_close(s);
		if (!s->complained)
			pr_warn("%s%%%s: cannot listen on UDP port %d: %s; tried again until it works",
				addr, s->device, SVR_BFD_PORT, strerror(-ret));
		s->complained = true;
		return ret;
	}
	s->complained = false;
	pr_debug("%s%%%s: listening on UDP port %d", addr, s->device, SVR_BFD_PORT);
	return 0;
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
	}
}

static struct km_socket *socket_for(struct keymgr *km, const struct svr_view_path *path)
{
	const struct svr_view_zone *zone = &km->view->zones[path->zone];
	struct in_addr addr;
	struct km_socket *s;
	unsigned int i;

	memcpy(&addr, path->local_address.bytes + 12, sizeof(addr));
	for (i = 0; i < km->n_sockets; i++)
		if (km->socket[i].addr.s_addr == addr.s_addr)
			return &km->socket[i];
	s = &km->socket[km->n_sockets++];
	*s = (struct km_socket){ .km = km, .addr = addr, .fd = -1 };
	/* The kernel hands tagged frames to a VLAN device whose name is the operator's choice. */
	if (!zone->vlan)
		snprintf(s->device, sizeof(s->device), "%s", zone->device);
	return s;
}

int km_sockets_new(struct keymgr *km)
{
	unsigned int i, k, total = 0;

	for (i = 0; i < km->n_peers; i++)
		total += km->peer[i].n_paths;
	/* Not more sockets than paths, and never moved: events point to them. */
	km->socket = calloc(total ? total : 1, sizeof(*km->socket));
	if (!km->socket)
		return -ENOMEM;
	for (i = 0; i < km->n_peers; i++) {
		for (k = 0; k < km->peer[i].n_paths; k++) {
			struct km_path *path = &km->peer[i].path[k], **bigger;
			struct km_socket *s = socket_for(km, &km->view->paths[path->view]);

			bigger = realloc(s->path, (s->n_paths + 1) * sizeof(*s->path));
			if (!bigger)
				return -ENOMEM;
			s->path = bigger;
			s->path[s->n_paths++] = path;
			path->socket = s;
		}
	}
	for (i = 0; i < km->n_sockets; i++)
		qsort(km->socket[i].path, km->socket[i].n_paths, sizeof(*km->socket[i].path),
		      compare_remote);
	km_sockets_check(km);
	return 0;
}

void km_sockets_free(struct keymgr *km)
{
	unsigned int i;

	for (i = 0; i < km->n_sockets; i++) {
		socket_close(&km->socket[i]);
		free(km->socket[i].path);
	}
	free(km->socket);
	km->socket = NULL;
	km->n_sockets = 0;
}
