/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rtnetlink: what the kernel knows about links and neighbours of both families, as callbacks. Main
 * thread only.
 */
#ifndef SVR_WORKER_NETLINK_H
#define SVR_WORKER_NETLINK_H

#include <stdbool.h>
#include <stdint.h>
#include <linux/types.h>

struct event_base;
struct svr_netlink;

struct svr_nl_link {
	int ifindex;
	int parent; /* IFLA_LINK, 0: none */
	uint16_t vlan; /* 0: not a VLAN device */
	bool service_tag; /* of a VLAN device: its tags are those of IEEE 802.1ad */
	uint32_t rx_queues; /* as many as the device can have */
	bool has_mac, gone;
	uint8_t mac[6];
};

struct svr_nl_neighbour {
	int ifindex;
	__be32 addr[4]; /* IPv4 in its mapped form */
	uint16_t state; /* NUD_* */
	bool has_mac, gone;
	uint8_t mac[6];
};

struct svr_nl_handlers {
	void (*link)(const struct svr_nl_link *link, void *user);
	void (*neighbour)(const struct svr_nl_neighbour *n, void *user);
	void *user;
};

/* Subscribes; events come from the loop. 0 or negative errno. */
int svr_netlink_open(struct event_base *base, const struct svr_nl_handlers *handlers,
		     struct svr_netlink **out);
void svr_netlink_close(struct svr_netlink *nl);

/*
 * Ask for all links, then all neighbours; the handlers are called before this returns. 0 or
 * negative errno.
 */
int svr_netlink_dump(struct svr_netlink *nl);

/*
 * Make the kernel resolve or confirm a neighbour (ARP, neighbour discovery) as if it had something
 * to send to it. 0 or negative errno.
 */
int svr_netlink_use_neighbour(struct svr_netlink *nl, int ifindex, const __be32 addr[static 4]);

#endif
