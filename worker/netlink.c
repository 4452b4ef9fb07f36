// SPDX-License-Identifier: BSD-2-Clause
/* rtnetlink sockets: one for events, one for requests. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include <event2/event.h>

#include "sys/log.h"
#include "worker/addr.h"
#include "worker/netlink.h"

enum {
	BUFFER_LEN = 65536,
	EVENT_RCVBUF =
		1 << 20, /* bytes: a neighbour table that is flushed makes thousands of events */
	DUMP_TIMEOUT_SEC = 5,
};

struct svr_netlink {
	struct svr_nl_handlers handlers;
	struct event *event;
	int events_fd, request_fd;
	uint32_t seq;
	uint8_t *buf;
};

/* ---- parsing ------------------------------------------------------------------------------- */

static uint32_t attr_u32(const struct rtattr *a)
{
	uint32_t v = 0;

	if (RTA_PAYLOAD(a) >= sizeof(v))
		memcpy(&v, RTA_DATA(a), sizeof(v));
	return v;
}

static bool attr_mac(const struct rtattr *a, uint8_t mac[6])
{
	if (RTA_PAYLOAD(a) != 6)
		return false;
	memcpy(mac, RTA_DATA(a), 6);
	return true;
}

/* IFLA_LINKINFO of a VLAN device: its number, and the kind of its tags. */
static void linkinfo_vlan(const struct rtattr *info, struct svr_nl_link *link)
{
	const struct rtattr *a, *b;
	int len = (int)RTA_PAYLOAD(info), inner;
	bool is_vlan = false;
	__be16 proto;

	for (a = RTA_DATA(info); RTA_OK(a, len); a = RTA_NEXT(a, len)) {
		if (a->rta_type == IFLA_INFO_KIND)
			is_vlan = RTA_PAYLOAD(a) == sizeof("vlan") &&
				  memcmp(RTA_DATA(a), "vlan", sizeof("vlan")) == 0;
		if (a->rta_type != IFLA_INFO_DATA || !is_vlan)
			continue;
		inner = (int)RTA_PAYLOAD(a);
		for (b = RTA_DATA(a); RTA_OK(b, inner); b = RTA_NEXT(b, inner)) {
			if (RTA_PAYLOAD(b) < sizeof(uint16_t))
				continue;
			if (b->rta_type == IFLA_VLAN_ID)
				memcpy(&link->vlan, RTA_DATA(b), sizeof(link->vlan));
			if (b->rta_type == IFLA_VLAN_PROTOCOL) {
				memcpy(&proto, RTA_DATA(b), sizeof(proto));
				link->service_tag = proto == htons(ETH_P_8021AD);
			}
		}
	}
}

static void link_parse(struct svr_netlink *nl, const struct nlmsghdr *h)
{
	const struct ifinfomsg *info = NLMSG_DATA(h);
	struct svr_nl_link link = { .ifindex = info->ifi_index,
				    .rx_queues = 1,
				    .gone = h->nlmsg_type == RTM_DELLINK };
	const struct rtattr *a;
	int len;

	if (h->nlmsg_len < NLMSG_LENGTH(sizeof(*info)))
		return;
	len = (int)(h->nlmsg_len - NLMSG_LENGTH(sizeof(*info)));
	for (a = IFLA_RTA(info); RTA_OK(a, len); a = RTA_NEXT(a, len)) {
		switch (a->rta_type) {
		case IFLA_ADDRESS:
			link.has_mac = attr_mac(a, link.mac);
			break;
		case IFLA_LINK:
			link.parent = (int)attr_u32(a);
			break;
		case IFLA_NUM_RX_QUEUES:
			link.rx_queues = attr_u32(a);
			break;
		case IFLA_LINKINFO:
			linkinfo_vlan(a, &link);
			break;
		}
	}
	nl->handlers.link(&link, nl->handlers.user);
}

/* NDA_DST. False if it is no address of @family. */
static bool attr_addr(const struct rtattr *a, uint8_t family, __be32 addr[static 4])
{
	__be32 addr4;

	if (family == AF_INET6 && RTA_PAYLOAD(a) == 4 * sizeof(addr[0])) {
		memcpy(addr, RTA_DATA(a), 4 * sizeof(addr[0]));
		return true;
	}
	if (family != AF_INET || RTA_PAYLOAD(a) != sizeof(addr4))
		return false;
	memcpy(&addr4, RTA_DATA(a), sizeof(addr4));
	svr_addr_map4(addr4, addr);
	return true;
}

static void neighbour_parse(struct svr_netlink *nl, const struct nlmsghdr *h)
{
	const struct ndmsg *ndm = NLMSG_DATA(h);
	struct svr_nl_neighbour n = { .gone = h->nlmsg_type == RTM_DELNEIGH };
	const struct rtattr *a;
	bool has_addr = false;
	int len;

	if (h->nlmsg_len < NLMSG_LENGTH(sizeof(*ndm)))
		return;
	n.ifindex = ndm->ndm_ifindex;
	n.state = ndm->ndm_state;
	len = (int)(h->nlmsg_len - NLMSG_LENGTH(sizeof(*ndm)));
	for (a = (const struct rtattr *)((const uint8_t *)ndm + NLMSG_ALIGN(sizeof(*ndm)));
	     RTA_OK(a, len); a = RTA_NEXT(a, len)) {
		if (a->rta_type == NDA_DST)
			has_addr = attr_addr(a, ndm->ndm_family, n.addr);
		else if (a->rta_type == NDA_LLADDR)
			n.has_mac = attr_mac(a, n.mac);
	}
	if (has_addr)
		nl->handlers.neighbour(&n, nl->handlers.user);
}

/* 0: go on; 1: end of a dump; negative errno from the kernel. */
static int messages_parse(struct svr_netlink *nl, size_t len)
{
	const struct nlmsghdr *h;

	for (h = (const struct nlmsghdr *)nl->buf; NLMSG_OK(h, len); h = NLMSG_NEXT(h, len)) {
		switch (h->nlmsg_type) {
		case NLMSG_DONE:
			return 1;
		case NLMSG_ERROR:
			return ((const struct nlmsgerr *)NLMSG_DATA(h))->error;
		case RTM_NEWLINK:
		case RTM_DELLINK:
			link_parse(nl, h);
			break;
		case RTM_NEWNEIGH:
		case RTM_DELNEIGH:
			neighbour_parse(nl, h);
			break;
		}
	}
	return 0;
}

/* ---- requests ------------------------------------------------------------------------------ */

static int request_send(struct svr_netlink *nl, const struct nlmsghdr *h)
{
	return send(nl->request_fd, h, h->nlmsg_len, 0) < 0 ? -errno : 0;
}

/* Everything of one kind. The header of a question fits all kinds: its first byte is the family. */
static int dump_one(struct svr_netlink *nl, uint16_t type, uint8_t family)
{
	const size_t body_len = type == RTM_GETNEIGH ? sizeof(struct ndmsg) :
						       sizeof(struct ifinfomsg);
	struct {
		struct nlmsghdr h;
		struct ifinfomsg body;
	} r = {
		.h = {
			.nlmsg_len = NLMSG_LENGTH(body_len),
			.nlmsg_type = type,
			.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
			.nlmsg_seq = ++nl->seq,
		},
		.body = { .ifi_family = family },
	};
	ssize_t n;
	int err;

	/* Late answers to earlier requests */
	while (recv(nl->request_fd, nl->buf, BUFFER_LEN, MSG_DONTWAIT) > 0)
		;
	err = request_send(nl, &r.h);
	while (!err) {
		n = recv(nl->request_fd, nl->buf, BUFFER_LEN, 0);
		if (n < 0)
			return -errno;
		err = messages_parse(nl, (size_t)n);
	}
	return err == 1 ? 0 : err;
}

int svr_netlink_dump(struct svr_netlink *nl)
{
	int err = dump_one(nl, RTM_GETLINK, AF_UNSPEC);

	if (!err)
		err = dump_one(nl, RTM_GETNEIGH, AF_INET);
	return err ? err : dump_one(nl, RTM_GETNEIGH, AF_INET6);
}

int svr_netlink_use_neighbour(struct svr_netlink *nl, int ifindex, const __be32 addr[static 4])
{
	const bool v4 = svr_addr_is_mapped(addr);
	const unsigned short addr_len = v4 ? sizeof(addr[0]) : 4 * sizeof(addr[0]);
	struct {
		struct nlmsghdr h;
		struct ndmsg body;
		struct rtattr dst;
		__be32 addr[4];
	} r = {
		.h = {
			.nlmsg_len = (uint32_t)(offsetof(typeof(r), addr) + addr_len),
			.nlmsg_type = RTM_NEWNEIGH,
			.nlmsg_flags = NLM_F_REQUEST | NLM_F_CREATE,
			.nlmsg_seq = ++nl->seq,
		},
		.body = {
			.ndm_family = v4 ? AF_INET : AF_INET6,
			.ndm_ifindex = ifindex,
			.ndm_state = NUD_NONE,
			.ndm_flags = NTF_USE,
		},
		.dst = { .rta_len = (unsigned short)RTA_LENGTH(addr_len), .rta_type = NDA_DST },
	};

	memcpy(r.addr, v4 ? &addr[3] : addr, addr_len);
	return request_send(nl, &r.h);
}

/* ---- events -------------------------------------------------------------------------------- */

static void events_ready(evutil_socket_t fd, short what, void *arg)
{
	struct svr_netlink *nl = arg;
	bool overflow = false;
	ssize_t n;

	(void)what;
	while ((n = recv(fd, nl->buf, BUFFER_LEN, MSG_DONTWAIT)) > 0 || errno == ENOBUFS) {
		if (n > 0)
			messages_parse(nl, (size_t)n);
		else
			overflow = true;
		errno = 0;
	}
	if (overflow && svr_netlink_dump(nl))
		pr_warn("netlink: events were lost and the tables cannot be read again");
}

static int socket_open(unsigned int groups)
{
	struct sockaddr_nl addr = { .nl_family = AF_NETLINK, .nl_groups = groups };
	const struct timeval timeout = { .tv_sec = DUMP_TIMEOUT_SEC };
	int fd, size = EVENT_RCVBUF;

	fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	if (fd < 0)
		return -errno;
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) ||
	    bind(fd, (struct sockaddr *)&addr, sizeof(addr))) {
		size = -errno;
		close(fd);
		return size;
	}
	return fd;
}

int svr_netlink_open(struct event_base *base, const struct svr_nl_handlers *handlers,
		     struct svr_netlink **out)
{
	struct svr_netlink *nl = calloc(1, sizeof(*nl));
	int err = -ENOMEM;

	*out = NULL;
	if (!nl)
		return err;
	nl->handlers = *handlers;
	nl->events_fd = nl->request_fd = -1;
	nl->buf = malloc(BUFFER_LEN);
	if (!nl->buf)
		goto out;
	nl->events_fd = err = socket_open(RTMGRP_LINK | RTMGRP_NEIGH);
	if (err < 0)
		goto out;
	nl->request_fd = err = socket_open(0);
	if (err < 0)
		goto out;
	err = -ENOMEM;
	nl->event = event_new(base, nl->events_fd, EV_READ | EV_PERSIST, events_ready, nl);
	if (!nl->event || event_add(nl->event, NULL))
		goto out;
	*out = nl;
	err = 0;
out:
	if (err)
		svr_netlink_close(nl);
	return err;
}

void svr_netlink_close(struct svr_netlink *nl)
{
	if (!nl)
		return;
	if (nl->event)
		event_free(nl->event);
	if (nl->events_fd >= 0)
		close(nl->events_fd);
	if (nl->request_fd >= 0)
		close(nl->request_fd);
	free(nl->buf);
	free(nl);
}
