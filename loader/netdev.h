/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the kernel says about a network device of the current network namespace. Loader only. Asked
 * over netlink and ioctl, not in /sys, which shows the namespace that it was mounted in.
 */
#ifndef SVR_LOADER_NETDEV_H
#define SVR_LOADER_NETDEV_H

#include <stdbool.h>
#include <stdint.h>
#include <net/if.h>

/* Kernel's enum netdev_xdp_act (linux/netdev.h, newer than Debian 12's headers). */
enum svr_xdp_feature {
	SVR_XDP_BASIC = 1 << 0, /* PASS, DROP, TX, ABORTED in the driver */
	SVR_XDP_REDIRECT = 1 << 1,
	SVR_XDP_NDO_XMIT = 1 << 2, /* others may redirect to it */
	SVR_XDP_ZEROCOPY = 1 << 3,
	SVR_XDP_RX_SG = 1 << 5,
};

enum svr_tristate { SVR_NO, SVR_YES, SVR_UNKNOWN };

struct svr_netdev {
	char name[IF_NAMESIZE];
	uint32_t ifindex;
	uint32_t mtu;
	uint8_t mac[6];
	bool ethernet;
	bool up;
	char kind[16]; /* "veth", "vlan", ...; "" for hardware */
	bool has_peer; /* veth and the like */
	bool peer_here; /* in this network namespace */
	uint32_t peer_ifindex; /* there */
	unsigned int rx_queues; /* in use; 0: not known */
	bool xdp_features_known; /* kernels before 6.3 do not tell */
	uint64_t xdp_features; /* enum svr_xdp_feature */
};

/* 0, -ENODEV if there is no such device, other negative errno. */
int svr_netdev_get(const char *name, struct svr_netdev *d);

/* State of an offload by ethtool's name ("rx-lro", "rx-gro", "rx-vlan-hw-parse", ...). */
enum svr_tristate svr_netdev_feature(const char *name, const char *feature);

/* True if @addr (16 bytes, IPv4 as v4-mapped) is an address of device @name. */
bool svr_netdev_has_address(const char *name, const uint8_t addr[16]);

#endif
