// SPDX-License-Identifier: BSD-2-Clause
/* Results of checks, and the checks of a network device. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "checks.h"
#include "netdev.h"

enum {
	ONE_PAGE_MTU = 3498, /* most drivers: XDP wants a frame in one page, with headroom */
};

void svr_check_add(struct svr_checks *c, enum svr_check_status status, const char *name,
		   const char *fix, const char *fmt, ...)
{
	struct svr_check *bigger, *k;
	va_list ap;

	if (c->n == c->cap) {
		bigger = reallocarray(c->list, c->cap ? 2 * c->cap : 32, sizeof(*bigger));
		if (!bigger) {
			c->failed_alloc = true;
			return;
		}
		c->list = bigger;
		c->cap = c->cap ? 2 * c->cap : 32;
	}
	k = &c->list[c->n++];
	memset(k, 0, sizeof(*k));
	k->status = status;
	k->name = name;
	snprintf(k->device, sizeof(k->device), "%s", c->device ? c->device : "");
	snprintf(k->fix, sizeof(k->fix), "%s", fix ? fix : "");
	va_start(ap, fmt);
	vsnprintf(k->text, sizeof(k->text), fmt, ap);
	va_end(ap);
}

void svr_checks_free(struct svr_checks *c)
{
	free(c->list);
	memset(c, 0, sizeof(*c));
}

const char *svr_check_status_name(enum svr_check_status status)
{
	static const char *const names[] = { "ok", "warn", "fail" };

	return names[status];
}

static void check_native(struct svr_checks *c, const struct svr_netdev *d)
{
	const uint64_t need = SVR_XDP_BASIC | SVR_XDP_REDIRECT;
	char fix[SVR_CHECK_TEXT];

	snprintf(fix, sizeof(fix), "svr link set dev %s up mode skb", d->name);
	if (!d->xdp_features_known)
		svr_check_add(
			c, SVR_CHECK_OK, "native-xdp", NULL,
			"this kernel does not tell what the driver can do; attaching will show it");
	else if ((d->xdp_features & need) == need)
		svr_check_add(c, SVR_CHECK_OK, "native-xdp", NULL, "driver has native XDP%s",
			      d->xdp_features & SVR_XDP_ZEROCOPY ? " and zero-copy AF_XDP" :
								   "; AF_XDP copies");
	else
		svr_check_add(c, SVR_CHECK_WARN, "native-xdp", fix, "driver has no native XDP%s",
			      d->xdp_features & SVR_XDP_BASIC ? " redirection" : "");
}

/*
 * XDP_REDIRECT into a veth reaches the other end only if that end takes packets in NAPI: with an
 * XDP program, or with GRO. Newer kernels tell us here, also for a peer in another namespace.
 */
static void check_veth(struct svr_checks *c, const struct svr_netdev *d)
{
	char peer[IF_NAMESIZE] = "PEER", fix[SVR_CHECK_TEXT], where[64] = "";
	enum svr_tristate gro = SVR_UNKNOWN;

	if (!d->has_peer)
		return;
	if (d->peer_here) {
		if_indextoname(d->peer_ifindex, peer);
		gro = svr_netdev_feature(peer, "rx-gro");
	} else {
		snprintf(where, sizeof(where), " (interface %u of the namespace of the other end)",
			 d->peer_ifindex);
	}
	if (d->xdp_features_known)
		gro = d->xdp_features & SVR_XDP_NDO_XMIT ? SVR_YES : SVR_NO;
	snprintf(fix, sizeof(fix), "ethtool -K %s gro on%s", peer, where);
	if (gro == SVR_YES)
		svr_check_add(c, SVR_CHECK_OK, "veth-peer", NULL,
			      "the other end of the veth takes redirected packets");
	else if (gro == SVR_NO)
		svr_check_add(
			c, SVR_CHECK_WARN, "veth-peer", fix,
			"the other end of the veth has neither GRO nor an XDP program: packets that are "
			"redirected to this interface are lost");
	else
		svr_check_add(
			c, SVR_CHECK_WARN, "veth-peer", fix,
			"the other end of the veth needs GRO or an XDP program, which cannot be seen from here");
}

static void check_offloads(struct svr_checks *c, const struct svr_netdev *d, bool tagged)
{
	char fix[SVR_CHECK_TEXT];

	if (svr_netdev_feature(d->name, "rx-lro") == SVR_YES) {
		snprintf(fix, sizeof(fix), "ethtool -K %s lro off", d->name);
		svr_check_add(c, SVR_CHECK_WARN, "lro", fix,
			      "LRO is on: merged packets do not pass through XDP");
	} else {
		svr_check_add(c, SVR_CHECK_OK, "lro", NULL, "LRO is off");
	}
	/*
	 * Without VLANs the sender of a tag behind a veth wins nothing; elsewhere it would choose
	 * its interface
	 */
	if ((tagged || !d->has_peer) &&
	    svr_netdev_feature(d->name, "rx-vlan-hw-parse") == SVR_YES) {
		snprintf(fix, sizeof(fix), "ethtool -K %s rxvlan off%s", d->name,
			 d->has_peer ? "; and at the other end: ethtool -K PEER txvlan off" : "");
		svr_check_add(
			c, SVR_CHECK_WARN, "rxvlan", fix,
			"the device takes VLAN tags away before XDP sees them: tagged packets count as untagged");
	} else {
		svr_check_add(c, SVR_CHECK_OK, "rxvlan", NULL, "%s",
			      tagged ? "VLAN tags stay in the frame" : "no VLAN is configured");
	}
	if (d->has_peer)
		svr_check_add(
			c, SVR_CHECK_OK, "tx-checksum", NULL,
			"packets of hosts behind the veth may come with partial TCP and UDP checksums; svr completes them");
}

bool svr_kernel_at_least(unsigned int major, unsigned int minor)
{
	unsigned int a = 0, b = 0;
	struct utsname u;

	if (uname(&u) || sscanf(u.release, "%u.%u", &a, &b) != 2)
		return false;
	return a > major || (a == major && b >= minor);
}

static void check_mtu(struct svr_checks *c, const struct svr_netdev *d)
{
	char fix[SVR_CHECK_TEXT];

	if (d->mtu <= ONE_PAGE_MTU) {
		svr_check_add(c, SVR_CHECK_OK, "mtu", NULL,
			      "MTU %u fits into one page with headroom", d->mtu);
		return;
	}
	/* If the driver does not know them, attaching fails and says so */
	if (svr_kernel_at_least(6, 3)) {
		svr_check_add(c, SVR_CHECK_OK, "mtu", NULL,
			      "MTU %u: the driver has to know XDP frames of several buffers",
			      d->mtu);
		return;
	}
	snprintf(fix, sizeof(fix), "ip link set dev %s mtu %u, or a kernel from 6.3", d->name,
		 ONE_PAGE_MTU);
	svr_check_add(c, SVR_CHECK_WARN, "mtu", fix,
		      "MTU %u: this kernel redirects no XDP frames of several buffers; packets of "
		      "clear sessions that fill more than one are lost",
		      d->mtu);
}

void svr_check_device(struct svr_checks *c, const struct svr_netdev *d, bool tagged)
{
	char fix[SVR_CHECK_TEXT];

	c->device = d->name;
	if (!d->ethernet)
		svr_check_add(c, SVR_CHECK_FAIL, "ethernet", NULL,
			      "is no Ethernet device; svr needs Ethernet frames");
	snprintf(fix, sizeof(fix), "ip link set dev %s up", d->name);
	if (d->up)
		svr_check_add(c, SVR_CHECK_OK, "up", NULL, "interface is up");
	else
		svr_check_add(c, SVR_CHECK_WARN, "up", fix, "interface is down");
	check_native(c, d);
	check_mtu(c, d);
	check_veth(c, d);
	check_offloads(c, d, tagged);
	c->device = NULL;
}
