// SPDX-License-Identifier: BSD-2-Clause
/* The kernel as the router: forwarding, source NAT, stateful filter, by nftables. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/fastpath/fastpath.h"

/* Checksums are the NIC's business on real hardware, and sequence numbers of our packets do not move */
static const char open_commands[] =
	"set -e; sysctl -q -w net.ipv4.ip_forward=1 net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0"
	" net.ipv4.conf.lan0.rp_filter=0 net.ipv4.conf.wan0.rp_filter=0"
	" net.netfilter.nf_conntrack_checksum=0 net.netfilter.nf_conntrack_tcp_be_liberal=1;"
	"ip addr add 10.0.0.1/24 dev lan0; ip addr add " WAN_LOCAL "/24 dev wan0;"
	"ip route add 172.16.2.0/24 via " WAN_PEER ";"
	"ip neigh replace " LAN_HOST " lladdr 02:00:00:00:01:10 nud permanent dev lan0;"
	"ip neigh replace " WAN_PEER " lladdr 02:00:00:00:02:02 nud permanent dev wan0";

#define SNAT                                                                  \
	"table ip nat { chain post { type nat hook postrouting priority 100;" \
	" oifname \"wan0\" snat to " WAN_LOCAL "; }; }"
#define FILTER                                                                                  \
	"; table ip filter { chain forward { type filter hook forward priority 0; policy drop;" \
	" ct state established,related accept; iifname \"lan0\" ct state new accept; }; }"

static int shell(const char *commands)
{
	if (!system(commands))
		return 0;
	fprintf(stderr,
		"fastpath: failed: %s (packages iproute2, nftables; see scripts/packages.list)\n",
		commands);
	return -ENOENT;
}

int kernel_open(void)
{
	return shell(open_commands);
}

static uint32_t conntrack_max(void)
{
	FILE *f = fopen("/proc/sys/net/netfilter/nf_conntrack_max", "re");
	uint32_t max = 0;

	if (!f)
		return 0;
	if (fscanf(f, "%u", &max) != 1)
		max = 0;
	fclose(f);
	return max;
}

int kernel_prepare(enum subject_id s, uint32_t sessions)
{
	/* Of packets that open one connection and are received together, the kernel drops all but the first */
	struct wire_load load = { .len = 64, .sessions = sessions, .in_order = true, .lossy = true };
	double ns;
	int err;

	err = shell("nft flush ruleset");
	if (err || s == SUBJECT_KERNEL)
		return err;
	if (sessions > conntrack_max())
		return -ENOSPC;
	err = shell(s == SUBJECT_KERNEL_NAT ? "nft '" SNAT "'" : "nft '" SNAT FILTER "'");
	/* A packet each way: a connection that has seen both is an established one */
	err = err ?: wire_send(&load, sessions < 64 ? 64 : sessions, &ns);
	load.side = SIDE_ANSWER;
	return err ?: wire_send(&load, sessions < 64 ? 64 : sessions, &ns);
}
