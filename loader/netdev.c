// SPDX-License-Identifier: BSD-2-Clause
/* Network devices over rtnetlink, the netdev generic netlink family and ethtool's ioctl. */
#include <errno.h>
#include <ifaddrs.h>
#include <net/if_arp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/ethtool.h>
#include <linux/genetlink.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>

#include "netdev.h"

/* Generic netlink family "netdev" (Linux 6.3); its header is newer than those of Debian 12. */
enum {
	NETDEV_FAMILY_VERSION = 1,
	NETDEV_CMD_GET = 1, /* NETDEV_CMD_DEV_GET */
	NETDEV_ATTR_IFINDEX = 1, /* NETDEV_A_DEV_IFINDEX */
	NETDEV_ATTR_XDP_FEATURES = 3, /* NETDEV_A_DEV_XDP_FEATURES, u64 */
};

enum { NL_BUFFER = 32768, NL_TIMEOUT_SEC = 5 };

/* ---- netlink -------------------------------------------------------------------------------- */

struct nl_request {
	struct nlmsghdr hdr;
	char body[256];
};

static void *nl_body(struct nl_request *r, size_t len)
{
	void *p = (char *)r + NLMSG_ALIGN(r->hdr.nlmsg_len);

	memset(p, 0, len);
	r->hdr.nlmsg_len = (uint32_t)(NLMSG_ALIGN(r->hdr.nlmsg_len) + len);
	return p;
}

static void nl_attr(struct nl_request *r, uint16_t type, const void *value, size_t len)
{
	struct nlattr *a = nl_body(r, NLA_HDRLEN + len);

	a->nla_type = type;
	a->nla_len = (uint16_t)(NLA_HDRLEN + len);
	memcpy((char *)a + NLA_HDRLEN, value, len);
}

/* Sends one request and gives the first message of the answer to @parse. 0 or negative errno. */
static int nl_ask(int protocol, struct nl_request *r,
		  void (*parse)(const void *body, size_t len, void *user), void *user)
{
	struct timeval timeout = { .tv_sec = NL_TIMEOUT_SEC };
	const struct nlmsghdr *answer;
	char *buf = NULL;
	ssize_t n;
	int fd, err = 0;

	fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
	if (fd < 0)
		return -errno;
	buf = malloc(NL_BUFFER);
	if (!buf) {
		err = -ENOMEM;
		goto out;
	}
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	if (send(fd, r, r->hdr.nlmsg_len, 0) < 0) {
		err = -errno;
		goto out;
	}
	n = recv(fd, buf, NL_BUFFER, 0);
	if (n < 0) {
		err = -errno;
		goto out;
	}
	answer = (const struct nlmsghdr *)buf;
	if (!NLMSG_OK(answer, (size_t)n)) {
		err = -EBADMSG;
		goto out;
	}
	if (answer->nlmsg_type == NLMSG_ERROR) {
		err = ((const struct nlmsgerr *)NLMSG_DATA(answer))->error;
		goto out;
	}
	parse(NLMSG_DATA(answer), answer->nlmsg_len - NLMSG_HDRLEN, user);
out:
	free(buf);
	close(fd);
	return err;
}

static const struct nlattr *attr_next(const void *attrs, size_t len, size_t *pos)
{
	const struct nlattr *a = (const struct nlattr *)((const char *)attrs + *pos);

	if (len - *pos < NLA_HDRLEN || a->nla_len < NLA_HDRLEN || a->nla_len > len - *pos)
		return NULL;
	*pos += NLA_ALIGN(a->nla_len);
	if (*pos > len)
		*pos = len;
	return a;
}

static void attr_get(const struct nlattr *a, void *to, size_t len)
{
	if (a->nla_len >= NLA_HDRLEN + len)
		memcpy(to, (const char *)a + NLA_HDRLEN, len);
}

static void parse_link(const void *body, size_t len, void *user)
{
	const struct ifinfomsg *info = body;
	const char *attrs = (const char *)body + NLMSG_ALIGN(sizeof(*info));
	const struct nlattr *a, *in;
	struct svr_netdev *d = user;
	uint32_t link = 0;
	bool other_netns = false;
	size_t pos = 0, inner;

	if (len < NLMSG_ALIGN(sizeof(*info)))
		return;
	len -= NLMSG_ALIGN(sizeof(*info));
	d->ifindex = (uint32_t)info->ifi_index;
	d->up = info->ifi_flags & IFF_UP;
	d->ethernet = info->ifi_type == ARPHRD_ETHER;
	while ((a = attr_next(attrs, len, &pos))) {
		switch (a->nla_type & NLA_TYPE_MASK) {
		case IFLA_MTU:
			attr_get(a, &d->mtu, sizeof(d->mtu));
			break;
		case IFLA_ADDRESS:
			attr_get(a, d->mac, sizeof(d->mac));
			break;
		case IFLA_LINK:
			attr_get(a, &link, sizeof(link));
			break;
		case IFLA_LINK_NETNSID:
			other_netns = true;
			break;
		case IFLA_LINKINFO:
			inner = 0;
			while ((in = attr_next((const char *)a + NLA_HDRLEN,
					       a->nla_len - NLA_HDRLEN, &inner))) {
				if ((in->nla_type & NLA_TYPE_MASK) == IFLA_INFO_KIND)
					snprintf(d->kind, sizeof(d->kind), "%.*s",
						 in->nla_len - NLA_HDRLEN,
						 (const char *)in + NLA_HDRLEN);
			}
			break;
		}
	}
	d->has_peer = link && !strcmp(d->kind, "veth");
	d->peer_here = d->has_peer && !other_netns;
	d->peer_ifindex = d->has_peer ? link : 0;
}

static void parse_family(const void *body, size_t len, void *user)
{
	const char *attrs = (const char *)body + GENL_HDRLEN;
	const struct nlattr *a;
	size_t pos = 0;

	while (len >= GENL_HDRLEN && (a = attr_next(attrs, len - GENL_HDRLEN, &pos))) {
		if ((a->nla_type & NLA_TYPE_MASK) == CTRL_ATTR_FAMILY_ID)
			attr_get(a, user, sizeof(uint16_t));
	}
}

static void parse_xdp_features(const void *body, size_t len, void *user)
{
	const char *attrs = (const char *)body + GENL_HDRLEN;
	struct svr_netdev *d = user;
	const struct nlattr *a;
	size_t pos = 0;

	while (len >= GENL_HDRLEN && (a = attr_next(attrs, len - GENL_HDRLEN, &pos))) {
		if ((a->nla_type & NLA_TYPE_MASK) == NETDEV_ATTR_XDP_FEATURES) {
			attr_get(a, &d->xdp_features, sizeof(d->xdp_features));
			d->xdp_features_known = true;
		}
	}
}

static struct nl_request nl_request(uint16_t type)
{
	return (struct nl_request){
		.hdr = { .nlmsg_len = NLMSG_HDRLEN,
			 .nlmsg_type = type,
			 .nlmsg_flags = NLM_F_REQUEST },
	};
}

static void genl_header(struct nl_request *r, uint8_t command, uint8_t version)
{
	struct genlmsghdr *g = nl_body(r, GENL_HDRLEN);

	g->cmd = command;
	g->version = version;
}

/* Left unknown if the kernel does not have the family. */
static void get_xdp_features(struct svr_netdev *d)
{
	struct nl_request r = nl_request(GENL_ID_CTRL);
	uint16_t family = 0;

	genl_header(&r, CTRL_CMD_GETFAMILY, 1);
	nl_attr(&r, CTRL_ATTR_FAMILY_NAME, "netdev", sizeof("netdev"));
	if (nl_ask(NETLINK_GENERIC, &r, parse_family, &family) || !family)
		return;
	r = nl_request(family);
	genl_header(&r, NETDEV_CMD_GET, NETDEV_FAMILY_VERSION);
	nl_attr(&r, NETDEV_ATTR_IFINDEX, &d->ifindex, sizeof(d->ifindex));
	nl_ask(NETLINK_GENERIC, &r, parse_xdp_features, d);
}

/* ---- ethtool -------------------------------------------------------------------------------- */

static int ethtool(const char *name, void *data)
{
	struct ifreq ifr = { .ifr_data = data };
	int fd, err = 0;

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (ioctl(fd, SIOCETHTOOL, &ifr))
		err = -errno;
	close(fd);
	return err;
}

static unsigned int get_rx_queues(const char *name)
{
	struct ethtool_channels c = { .cmd = ETHTOOL_GCHANNELS };

	return ethtool(name, &c) ? 0 : c.rx_count + c.combined_count;
}

enum svr_tristate svr_netdev_feature(const char *name, const char *feature)
{
	/* One count follows the structure, for the one string set that is asked for */
	union {
		struct ethtool_sset_info info;
		char room[sizeof(struct ethtool_sset_info) + sizeof(uint32_t)];
	} sset = { .info = { .cmd = ETHTOOL_GSSET_INFO, .sset_mask = 1ULL << ETH_SS_FEATURES } };
	enum svr_tristate state = SVR_UNKNOWN;
	struct ethtool_gstrings *strings = NULL;
	struct ethtool_gfeatures *features = NULL;
	uint32_t blocks, n;

	if (ethtool(name, &sset) || !sset.info.sset_mask)
		return SVR_UNKNOWN;
	memcpy(&n, sset.room + sizeof(struct ethtool_sset_info), sizeof(n));
	blocks = (n + 31) / 32;
	strings = calloc(1, sizeof(*strings) + (size_t)n * ETH_GSTRING_LEN);
	features = calloc(1, sizeof(*features) + blocks * sizeof(features->features[0]));
	if (!strings || !features)
		goto out;
	strings->cmd = ETHTOOL_GSTRINGS;
	strings->string_set = ETH_SS_FEATURES;
	strings->len = n;
	features->cmd = ETHTOOL_GFEATURES;
	features->size = blocks;
	if (ethtool(name, strings) || ethtool(name, features))
		goto out;
	for (uint32_t i = 0; i < n; i++) {
		if (!strncmp((const char *)strings->data + i * ETH_GSTRING_LEN, feature,
			     ETH_GSTRING_LEN))
			state = features->features[i / 32].active >> (i % 32) & 1 ? SVR_YES :
										    SVR_NO;
	}
out:
	free(strings);
	free(features);
	return state;
}

/* ---- all together --------------------------------------------------------------------------- */

int svr_netdev_get(const char *name, struct svr_netdev *d)
{
	struct nl_request r = nl_request(RTM_GETLINK);
	struct ifinfomsg *info = nl_body(&r, sizeof(*info));
	int err;

	memset(d, 0, sizeof(*d));
	if (!*name || strlen(name) >= IF_NAMESIZE)
		return -ENODEV;
	snprintf(d->name, sizeof(d->name), "%s", name);
	nl_attr(&r, IFLA_IFNAME, name, strlen(name) + 1);
	err = nl_ask(NETLINK_ROUTE, &r, parse_link, d);
	if (err)
		return err;
	if (!d->ifindex)
		return -ENODEV;
	d->rx_queues = get_rx_queues(name);
	get_xdp_features(d);
	return 0;
}

bool svr_netdev_has_address(const char *name, const uint8_t addr[16])
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	struct ifaddrs *list, *i;
	bool found = false;

	if (getifaddrs(&list))
		return false;
	for (i = list; i && !found; i = i->ifa_next) {
		if (!i->ifa_addr || strcmp(i->ifa_name, name))
			continue;
		if (i->ifa_addr->sa_family == AF_INET)
			found = !memcmp(addr, mapped, sizeof(mapped)) &&
				!memcmp(addr + sizeof(mapped),
					&((struct sockaddr_in *)i->ifa_addr)->sin_addr, 4);
		else if (i->ifa_addr->sa_family == AF_INET6)
			found = !memcmp(addr, &((struct sockaddr_in6 *)i->ifa_addr)->sin6_addr, 16);
	}
	freeifaddrs(list);
	return found;
}
