// SPDX-License-Identifier: BSD-2-Clause
/*
 * Zones and their devices. The table svr_zones and the kernel's links say which queues there should
 * be sockets on (sockets.c); sessions of a zone that is no more end.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/ethtool.h>
#include <linux/if_link.h>
#include <linux/sockios.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <event2/event.h>
#include <json-c/json.h>

#include "sys/log.h"
#include "worker/flowtable.h"
#include "worker/netlink.h"
#include "worker/sockets.h"
#include "worker/worker.h"

enum {
	SCAN_MS = 500,
	RETRY_MS = 50, /* between two looks while a queue has no socket */
	LINKS_MAX = 4096,
};

struct zone_info {
	uint32_t ifindex; /* 0: no such zone */
	uint16_t vlan, outer_vlan;
	uint8_t role;
	uint16_t mtu;
	char device[IF_NAMESIZE];
	char name[SVR_NAME_LEN];
};

struct svr_zones {
	struct event *scan_event, *soon_event, *retry_event;
	int ioctl_fd;
	uint32_t generation;
	struct zone_info zone[SVR_MAX_ZONES];
	struct svr_nl_link *links;
	unsigned int n_links;
	bool reported; /* the line about all zones was printed */
};

/* ---- links --------------------------------------------------------------------------------- */

static struct svr_nl_link *link_find(const struct svr_zones *z, int ifindex)
{
	unsigned int i;

	for (i = 0; i < z->n_links; i++)
		if (z->links[i].ifindex == ifindex)
			return &z->links[i];
	return NULL;
}

static bool link_same(const struct svr_nl_link *a, const struct svr_nl_link *b)
{
	return a->parent == b->parent && a->vlan == b->vlan &&
	       a->service_tag == b->service_tag && a->rx_queues == b->rx_queues &&
	       a->has_mac == b->has_mac && memcmp(a->mac, b->mac, sizeof(a->mac)) == 0;
}

void svr_zones_link(struct svr_worker *w, const struct svr_nl_link *link)
{
	struct svr_zones *z = w->zones;
	struct svr_nl_link *known = link_find(z, link->ifindex), *grown;
	const struct timeval now = { 0 };

	if (link->gone) {
		if (known)
			*known = z->links[--z->n_links];
	} else if (known) {
		if (link_same(known, link))
			return;
		*known = *link;
	} else {
		if (z->n_links >= LINKS_MAX)
			return;
		grown = reallocarray(z->links, z->n_links + 1, sizeof(*grown));
		if (!grown)
			return;
		z->links = grown;
		z->links[z->n_links++] = *link;
	}
	event_add(z->soon_event, &now); /* once, however many links change */
}

/* The kernel's device of tag @vlan on @parent, 0: none */
static int link_tagged(const struct svr_zones *z, int parent, uint16_t vlan, bool service_tag)
{
	const struct svr_nl_link *l;
	unsigned int i;

	for (i = 0; i < z->n_links; i++) {
		l = &z->links[i];
		if (l->parent == parent && l->vlan == vlan && l->service_tag == service_tag)
			return l->ifindex;
	}
	return 0;
}

int svr_zones_ifindex(const struct svr_worker *w, uint32_t zone)
{
	const struct zone_info *info;
	int parent;

	if (zone >= SVR_MAX_ZONES)
		return 0;
	info = &w->zones->zone[zone];
	if (info->ifindex == 0 || info->vlan == 0)
		return (int)info->ifindex;
	parent = (int)info->ifindex;
	if (info->outer_vlan)
		parent = link_tagged(w->zones, parent, info->outer_vlan, true);
	return parent ? link_tagged(w->zones, parent, info->vlan, false) : 0;
}

bool svr_zones_mac(const struct svr_worker *w, uint32_t zone, uint8_t mac[6])
{
	const struct svr_nl_link *link = link_find(w->zones, svr_zones_ifindex(w, zone));

	if (!link || !link->has_mac)
		return false;
	memcpy(mac, link->mac, sizeof(link->mac));
	return true;
}

/* ---- queues -------------------------------------------------------------------------------- */

/*
 * What the driver says, otherwise as many as the device can have (bind() refuses those that are not
 * there).
 */
static uint32_t queue_count(const struct svr_zones *z, const struct zone_info *info)
{
	struct ethtool_channels channels = { .cmd = ETHTOOL_GCHANNELS };
	const struct svr_nl_link *link = link_find(z, (int)info->ifindex);
	struct ifreq ifr = { 0 };
	uint32_t n = link ? link->rx_queues : 1;

	memcpy(ifr.ifr_name, info->device, sizeof(ifr.ifr_name));
	ifr.ifr_data = (char *)&channels;
	if (ioctl(z->ioctl_fd, SIOCETHTOOL, &ifr) == 0 &&
	    channels.rx_count + channels.combined_count > 0)
		n = channels.rx_count + channels.combined_count;
	if (n == 0)
		n = 1;
	return n < SVR_MAX_QUEUES ? n : SVR_MAX_QUEUES;
}

/* ---- scan ---------------------------------------------------------------------------------- */

static void zone_read(const struct svr_zone *from, const struct zone_info *before,
		      struct zone_info *to)
{
	/* `svr` is writing it at this moment: its sockets stay as they are until the next look */
	if (from->name[0] && from->role == SVR_ROLE_NONE) {
		*to = *before;
		return;
	}
	memset(to, 0, sizeof(*to));
	memcpy(to->name, from->name, sizeof(to->name) - 1);
	if (from->ifindex == 0 || from->role == SVR_ROLE_NONE)
		return;
	to->ifindex = from->ifindex;
	to->vlan = from->vlan;
	to->outer_vlan = from->outer_vlan;
	to->role = from->role;
	to->mtu = from->mtu;
	memcpy(to->device, from->device, sizeof(to->device) - 1);
}

static bool planned(const struct svr_plan *p, int ifindex)
{
	unsigned int i;

	for (i = 0; i < p->n_devices; i++)
		if (p->device[i].ifindex == ifindex)
			return true;
	return false;
}

static void plan_make(struct svr_worker *w, struct svr_plan *p)
{
	uint32_t i;

	*p = (struct svr_plan){ 0 };
	for (i = 0; i < SVR_MAX_ZONES; i++) {
		const struct zone_info *info = &w->zones->zone[i];
		struct svr_device *d = &p->device[p->n_devices];

		p->zone[i].ifindex = (int)info->ifindex;
		p->zone[i].vlan = info->vlan;
		p->zone[i].outer_vlan = info->outer_vlan;
		if (info->ifindex == 0 || planned(p, (int)info->ifindex) ||
		    !link_find(w->zones, (int)info->ifindex))
			continue;
		d->ifindex = (int)info->ifindex;
		d->queues = queue_count(w->zones, info);
		memcpy(d->name, info->device, sizeof(d->name));
		p->n_devices++;
	}
}

static void zones_report(struct svr_worker *w, const struct svr_plan *p)
{
	unsigned int i;
	uint32_t zone;

	for (i = 0; i < p->n_devices; i++)
		pr_info("%s: %u queue%s, %s", p->device[i].name, p->device[i].queues,
			p->device[i].queues == 1 ? "" : "s",
			svr_sockets_zerocopy(w) ? "zero copy" : "copy mode");
	if (p->n_devices == 0 && !w->zones->reported)
		pr_info("no interface is attached yet; next: svr link set dev ... up");
	for (zone = 0; zone < SVR_MAX_ZONES; zone++)
		if (!w->pool.thread[0]->umem.sg &&
		    w->zones->zone[zone].mtu > SVR_FRAME_MAX - SVR_L2_MAX)
			pr_warn("%s: MTU %u is more than the worker can carry; packets above %d "
				"bytes are lost, set a smaller mtu",
				w->zones->zone[zone].device, w->zones->zone[zone].mtu,
				SVR_FRAME_MAX - SVR_L2_MAX);
	w->zones->reported = true;
}

/* Zones that are no more. */
struct lost_zones {
	struct svr_worker *w;
	uint64_t zones; /* a bit each */
};
_Static_assert(SVR_MAX_ZONES <= 64, "a bit per zone");

static bool is_lost(const struct lost_zones *lost, uint16_t zone)
{
	return zone < SVR_MAX_ZONES && lost->zones >> zone & 1;
}

static bool session_lost(const struct svr_session *s, void *user)
{
	return is_lost(user, s->lan.zone) || is_lost(user, s->wan.zone);
}

static void lost_sessions_close(struct svr_thread *t, void *arg)
{
	svr_sessions_close_if(t, session_lost, arg,
			      "its interface was taken out of the configuration");
}

static bool lost_flow(const struct svr_flow6_key *key, const struct svr_flow *flow, void *user)
{
	return !(flow->flags & SVR_FLOW_WORKER) &&
	       (is_lost(user, key->zone) || is_lost(user, flow->out_zone));
}

/*
 * The number of a zone may be given to another interface: nothing of the old one may come out
 * there.
 */
static void lost_zones_forget(struct svr_worker *w, const struct zone_info *seen)
{
	struct lost_zones lost = { .w = w };
	uint32_t i;

	for (i = 1; i < SVR_MAX_ZONES; i++) {
		const struct zone_info *old = &w->zones->zone[i];

		if (!old->name[0] || memcmp(old->name, seen[i].name, sizeof(old->name)) == 0)
			continue;
		pr_info("interface %s: taken out of the configuration, its sessions end",
			old->name);
		lost.zones |= 1ULL << i;
		svr_neigh_forget_zone(w, i);
	}
	if (!lost.zones)
		return;
	svr_thread_call(w->pool.thread[0], lost_sessions_close, &lost);
	if (svr_flowtable_remove_if(&w->maps, lost_flow, &lost) < 0)
		pr_warn("clear sessions of removed interfaces could not be removed");
}

void svr_zones_scan(struct svr_worker *w)
{
	struct svr_zones *z = w->zones;
	const struct timeval retry = { .tv_usec = RETRY_MS * 1000 };
	struct zone_info seen[SVR_MAX_ZONES];
	uint32_t i, generation = w->maps.router->generation, before;
	bool changed;
	struct svr_plan p;

	memset(seen, 0, sizeof(seen));
	for (i = 1; i < SVR_MAX_ZONES && i < w->maps.count.zones; i++)
		zone_read(&w->maps.zones[i], &z->zone[i], &seen[i]);
	changed = memcmp(seen, z->zone, sizeof(seen)) != 0 || !z->reported;
	if (changed)
		lost_zones_forget(w, seen);
	memcpy(z->zone, seen, sizeof(seen));
	plan_make(w, &p);
	if (changed)
		svr_sockets_retry_now(w);
	if (changed || svr_sockets_differ(w, &p)) {
		before = svr_sockets_count(w);
		svr_sockets_apply(w, &p);
		if (changed || before != svr_sockets_count(w))
			zones_report(w, &p);
	}
	if (svr_sockets_missing(w))
		event_add(z->retry_event, &retry);
	if (changed || generation != z->generation)
		svr_neigh_reload(w);
	z->generation = generation;
}

void svr_zones_follow(struct svr_worker *w)
{
	if (w->maps.router->generation != w->zones->generation)
		svr_zones_scan(w);
}

static void scan_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	svr_zones_scan(arg);
}

/* Links changed: MAC addresses, devices that came or went. */
static void links_changed(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	svr_zones_scan(arg);
	svr_neigh_reload(arg);
}

int svr_zones_new(struct svr_worker *w)
{
	const struct timeval every = { .tv_usec = SCAN_MS * 1000 };
	struct svr_zones *z = calloc(1, sizeof(*z));

	if (!z)
		return -ENOMEM;
	w->zones = z;
	z->ioctl_fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (z->ioctl_fd < 0)
		return -errno;
	z->scan_event = event_new(w->base, -1, EV_PERSIST, scan_timer, w);
	z->soon_event = event_new(w->base, -1, 0, links_changed, w);
	z->retry_event = event_new(w->base, -1, 0, scan_timer, w);
	if (!z->scan_event || !z->soon_event || !z->retry_event || event_add(z->scan_event, &every))
		return -ENOMEM;
	return 0;
}

void svr_zones_free(struct svr_worker *w)
{
	struct svr_zones *z = w->zones;

	if (!z)
		return;
	if (z->scan_event)
		event_free(z->scan_event);
	if (z->soon_event)
		event_free(z->soon_event);
	if (z->retry_event)
		event_free(z->retry_event);
	if (z->ioctl_fd >= 0)
		close(z->ioctl_fd);
	free(z->links);
	free(z);
	w->zones = NULL;
}

/* ---- show ---------------------------------------------------------------------------------- */

static struct json_object *zone_json(struct svr_worker *w, uint32_t zone)
{
	const struct zone_info *info = &w->zones->zone[zone];
	struct json_object *queues = svr_sockets_json(w, (int)info->ifindex);
	struct json_object *o = json_object_new_object();

	json_object_object_add(
		o, "interface",
		json_object_new_string_len(w->maps.zones[zone].name,
					   (int)strnlen(w->maps.zones[zone].name, SVR_NAME_LEN)));
	json_object_object_add(o, "device", json_object_new_string(info->device));
	json_object_object_add(o, "sockets",
			       json_object_new_int64((int64_t)json_object_array_length(queues)));
	json_object_object_add(o, "queues", queues);
	return o;
}

struct json_object *svr_zones_json(struct svr_worker *w)
{
	struct json_object *list = json_object_new_array();
	uint32_t zone;

	for (zone = 1; zone < SVR_MAX_ZONES; zone++)
		if (w->zones->zone[zone].ifindex)
			json_object_array_add(list, zone_json(w, zone));
	return list;
}
