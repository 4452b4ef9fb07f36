// SPDX-License-Identifier: BSD-2-Clause
/*
 * Zones and their sockets. The table svr_zones is compared with what is bound; differences are
 * applied inside the data thread, to which sockets and frames belong. A queue that is busy is tried
 * again with growing pauses.
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
#include "worker/worker.h"

enum {
	SCAN_MS = 500,
	RETRY_MIN_MS = 50, /* the kernel lets go of a socket's queue a moment after close() */
	RETRY_MAX_MS = 5000,
	QUIET_MS = 2000, /* so long a queue that is busy or gone is nothing to talk about */
	NS_PER_MS = 1000000,
	LINKS_MAX = 4096,
};

struct zone_info {
	uint32_t ifindex; /* 0: no such zone */
	uint16_t vlan;
	uint8_t role;
	uint16_t mtu;
	char device[IF_NAMESIZE];
	char name[SVR_NAME_LEN];
};

/* A queue that should have a socket and has none. */
struct retry {
	int ifindex;
	uint32_t queue;
	uint64_t since_ns, next_ns;
	uint32_t pause_ms;
	bool told;
};

struct svr_zones {
	struct event *scan_event, *soon_event, *retry_event;
	int ioctl_fd;
	uint32_t generation;
	struct zone_info zone[SVR_MAX_ZONES];
	struct svr_nl_link *links;
	unsigned int n_links;
	struct retry retry[SVR_MAX_PORTS];
	unsigned int n_retry;
	bool copy_only; /* a device refused zero copy */
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
	return a->parent == b->parent && a->vlan == b->vlan && a->rx_queues == b->rx_queues &&
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

int svr_zones_ifindex(const struct svr_worker *w, uint32_t zone)
{
	const struct zone_info *info;
	unsigned int i;

	if (zone >= SVR_MAX_ZONES)
		return 0;
	info = &w->zones->zone[zone];
	if (info->ifindex == 0 || info->vlan == 0)
		return (int)info->ifindex;
	for (i = 0; i < w->zones->n_links; i++)
		if (w->zones->links[i].parent == (int)info->ifindex &&
		    w->zones->links[i].vlan == info->vlan)
			return w->zones->links[i].ifindex;
	return 0;
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

/* An XDP program in skb mode has copies to give only. */
static bool zerocopy_possible(int ifindex)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, opts);

	return bpf_xdp_query(ifindex, 0, &opts) == 0 && opts.attach_mode != XDP_ATTACHED_SKB;
}

/* ---- inside of the data thread ------------------------------------------------------------- */

struct wanted {
	int ifindex;
	uint32_t queues;
	uint32_t zone; /* the first of the device */
	char device[IF_NAMESIZE];
};

struct plan {
	struct svr_worker *w;
	struct wanted device[SVR_MAX_ZONES];
	unsigned int n_devices;
};

static int port_of(const struct svr_umem *u, int ifindex, uint32_t queue)
{
	int i;

	for (i = 0; i < SVR_MAX_PORTS; i++)
		if (u->port[i] && u->port[i]->ifindex == ifindex && u->port[i]->queue == queue)
			return i;
	return -1;
}

static const struct wanted *wanted_of(const struct plan *p, int ifindex)
{
	unsigned int i;

	for (i = 0; i < p->n_devices; i++)
		if (p->device[i].ifindex == ifindex)
			return &p->device[i];
	return NULL;
}

static struct retry *retry_find(struct svr_zones *z, int ifindex, uint32_t queue)
{
	unsigned int i;

	for (i = 0; i < z->n_retry; i++)
		if (z->retry[i].ifindex == ifindex && z->retry[i].queue == queue)
			return &z->retry[i];
	return NULL;
}

static void retry_note(struct svr_zones *z, const struct wanted *d, uint32_t queue, uint64_t now_ns,
		       int err)
{
	struct retry *r = retry_find(z, d->ifindex, queue);
	bool passing;

	if (!r) {
		if (z->n_retry == SVR_MAX_PORTS)
			return;
		r = &z->retry[z->n_retry++];
		*r = (struct retry){ .ifindex = d->ifindex,
				     .queue = queue,
				     .since_ns = now_ns,
				     .pause_ms = RETRY_MIN_MS };
	}
	r->next_ns = now_ns + (uint64_t)r->pause_ms * NS_PER_MS;
	r->pause_ms = r->pause_ms < RETRY_MAX_MS ? 2 * r->pause_ms : RETRY_MAX_MS;
	/* Busy or gone may be over in a moment: a socket that is being released, a device too */
	passing = err == -EBUSY || err == -ENODEV;
	if (!r->told && (!passing || now_ns - r->since_ns > (uint64_t)QUIET_MS * NS_PER_MS)) {
		r->told = true;
		pr_err("%s queue %u: cannot bind an AF_XDP socket: %s; its packets are dropped "
		       "(no-worker). %s",
		       d->device, queue, strerror(-err),
		       err == -EBUSY ? "Is another program bound to it? I keep trying." :
				       "I keep trying.");
	}
}

static void retry_forget(struct svr_zones *z, const struct wanted *d, uint32_t queue)
{
	struct retry *r = retry_find(z, d->ifindex, queue);

	if (!r)
		return;
	if (r->told)
		pr_info("%s queue %u: bound at last", d->device, queue);
	*r = z->retry[--z->n_retry];
}

/*
 * All sockets of a UMEM are bound as the first one was; a device that cannot do that makes all of
 * them copy.
 */
static void zerocopy_give_up(struct svr_zones *z, struct svr_umem *u, const struct wanted *d)
{
	pr_debug("%s: no zero copy, all sockets copy", d->device);
	z->copy_only = true;
	svr_port_close_all(u);
}

/* 0; 1: start over, because the way of copying changed. */
static int queue_bind(struct svr_thread *t, struct svr_zones *z, const struct wanted *d,
		      uint32_t queue)
{
	struct retry *r = retry_find(z, d->ifindex, queue);
	bool zerocopy = !z->copy_only && zerocopy_possible(d->ifindex);
	int err;

	if (r && r->next_ns > t->now_ns)
		return 0;
	if (!zerocopy && !z->copy_only && t->umem.zerocopy && t->umem.n_ports) {
		zerocopy_give_up(z, &t->umem, d);
		return 1;
	}
	if (!zerocopy)
		z->copy_only = true;
	err = svr_port_open(&t->umem, d->device, d->ifindex, queue, zerocopy);
	if (err >= 0) {
		retry_forget(z, d, queue);
		return 0;
	}
	if (zerocopy && err != -EBUSY) {
		zerocopy_give_up(z, &t->umem, d);
		return 1;
	}
	if (err == -EINVAL && queue > 0)
		return 0; /* the device does not have it */
	retry_note(z, d, queue, t->now_ns, err);
	return 0;
}

static void surplus_close(struct svr_thread *t, const struct plan *p)
{
	unsigned int i;
	bool anchor = false;

	for (i = 0; i < SVR_MAX_PORTS; i++) {
		const struct svr_port *port = t->umem.port[i];
		const struct wanted *d = port ? wanted_of(p, port->ifindex) : NULL;

		if (!port || (d && port->queue < d->queues))
			continue;
		pr_info("%s queue %u: socket closed", port->device, port->queue);
		anchor |= port->anchor;
		svr_port_close(&t->umem, i);
	}
	if (anchor) /* its device holds the UMEM: the others have to be bound anew */
		svr_port_close_all(&t->umem);
}

static void maps_fill(struct svr_thread *t, const struct plan *p)
{
	const struct svr_zones *z = p->w->zones;
	uint32_t zone, queue, index;
	int port, fd;

	for (zone = 0; zone < SVR_MAX_ZONES; zone++) {
		struct svr_zone_tx *tx = &t->zone_tx[zone];

		*tx = (struct svr_zone_tx){ .vlan = z->zone[zone].vlan };
		for (queue = 0; queue < SVR_MAX_QUEUES; queue++) {
			index = zone * SVR_MAX_QUEUES + queue;
			port = z->zone[zone].ifindex ?
				       port_of(&t->umem, (int)z->zone[zone].ifindex, queue) :
				       -1;
			if (port < 0) {
				bpf_map_delete_elem(t->maps->fd.xsks, &index);
				continue;
			}
			fd = t->umem.port[port]->fd;
			if (bpf_map_update_elem(t->maps->fd.xsks, &index, &fd, BPF_ANY)) {
				pr_err("%s queue %u: cannot register the socket in svr_xsks: %s",
				       z->zone[zone].device, queue, strerror(errno));
				continue;
			}
			tx->port[tx->count++] = (uint16_t)port;
		}
	}
}

static void plan_apply(struct svr_thread *t, void *arg)
{
	struct plan *p = arg;
	unsigned int i;
	uint32_t queue;
	bool again;

	surplus_close(t, p);
	do {
		again = false;
		for (i = 0; i < p->n_devices && !again; i++)
			for (queue = 0; queue < p->device[i].queues && !again; queue++)
				if (port_of(&t->umem, p->device[i].ifindex, queue) < 0)
					again = queue_bind(t, p->w->zones, &p->device[i], queue);
	} while (again);
	for (i = 0; i < SVR_MAX_PORTS; i++)
		if (t->umem.port[i])
			svr_port_refill(&t->umem, i);
	maps_fill(t, p);
}

/* ---- scan ---------------------------------------------------------------------------------- */

static void zone_read(const struct svr_zone *from, struct zone_info *to)
{
	memset(to, 0, sizeof(*to));
	memcpy(to->name, from->name, sizeof(to->name) - 1);
	if (from->ifindex == 0 || from->role == SVR_ROLE_NONE)
		return;
	to->ifindex = from->ifindex;
	to->vlan = from->vlan;
	to->role = from->role;
	to->mtu = from->mtu;
	memcpy(to->device, from->device, sizeof(to->device) - 1);
}

static void plan_make(struct svr_worker *w, struct plan *p)
{
	uint32_t i;

	*p = (struct plan){ .w = w };
	for (i = 0; i < SVR_MAX_ZONES; i++) {
		const struct zone_info *info = &w->zones->zone[i];
		struct wanted *d = &p->device[p->n_devices];

		if (info->ifindex == 0 || wanted_of(p, (int)info->ifindex) ||
		    !link_find(w->zones, (int)info->ifindex))
			continue;
		d->ifindex = (int)info->ifindex;
		d->zone = i;
		d->queues = queue_count(w->zones, info);
		memcpy(d->device, info->device, sizeof(d->device));
		p->n_devices++;
	}
}

/* Is there anything that plan_apply() would do? */
static bool plan_differs(const struct svr_worker *w, const struct plan *p)
{
	const struct svr_umem *u = &w->thread->umem; /* only the main thread's calls change ports */
	uint32_t have = 0, want = 0, queue;
	unsigned int i;

	for (i = 0; i < p->n_devices; i++) {
		for (queue = 0; queue < p->device[i].queues; queue++) {
			want++;
			have += port_of(u, p->device[i].ifindex, queue) >= 0;
		}
	}
	return have != want || have != u->n_ports;
}

static void zones_report(struct svr_worker *w, const struct plan *p)
{
	unsigned int i;
	uint32_t zone;

	for (i = 0; i < p->n_devices; i++)
		pr_info("%s: %u queue%s, %s", p->device[i].device, p->device[i].queues,
			p->device[i].queues == 1 ? "" : "s",
			w->thread->umem.zerocopy ? "zero copy" : "copy mode");
	if (p->n_devices == 0 && !w->zones->reported)
		pr_info("no interface is attached yet; next: svr link set dev ... up");
	for (zone = 0; zone < SVR_MAX_ZONES; zone++)
		if (w->zones->zone[zone].mtu > SVR_FRAME_MAX - SVR_ETH_LEN - SVR_VLAN_LEN)
			pr_warn("%s: MTU %u is more than the worker can carry; packets above %d "
				"bytes are lost, set a smaller mtu",
				w->zones->zone[zone].device, w->zones->zone[zone].mtu,
				SVR_FRAME_MAX - SVR_ETH_LEN - SVR_VLAN_LEN);
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
	svr_thread_call(w->thread, lost_sessions_close, &lost);
	if (svr_flowtable_remove_if(&w->maps, lost_flow, &lost) < 0)
		pr_warn("clear sessions of removed interfaces could not be removed");
}

void svr_zones_scan(struct svr_worker *w)
{
	struct svr_zones *z = w->zones;
	const struct timeval retry = { .tv_usec = RETRY_MIN_MS * 1000 };
	struct zone_info seen[SVR_MAX_ZONES];
	uint32_t i, generation = w->maps.router->generation, before;
	bool changed;
	struct plan p;

	memset(seen, 0, sizeof(seen));
	for (i = 1; i < SVR_MAX_ZONES && i < w->maps.count.zones; i++)
		zone_read(&w->maps.zones[i], &seen[i]);
	changed = memcmp(seen, z->zone, sizeof(seen)) != 0 || !z->reported;
	if (changed)
		lost_zones_forget(w, seen);
	memcpy(z->zone, seen, sizeof(seen));
	plan_make(w, &p);
	if (changed)
		z->n_retry = 0;
	if (changed || plan_differs(w, &p)) {
		before = w->thread->umem.n_ports;
		svr_thread_call(w->thread, plan_apply, &p);
		if (changed || before != w->thread->umem.n_ports)
			zones_report(w, &p);
	}
	if (z->n_retry)
		event_add(z->retry_event, &retry);
	if (changed || generation != z->generation)
		svr_neigh_reload(w);
	z->generation = generation;
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

#ifndef SOL_XDP
#define SOL_XDP 283
#endif

static struct json_object *queue_json(const struct svr_port *port)
{
	struct json_object *o = json_object_new_object();
	struct xdp_statistics st = { 0 };
	socklen_t len = sizeof(st);

	json_object_object_add(o, "queue", json_object_new_int64(port->queue));
	if (getsockopt(port->fd, SOL_XDP, XDP_STATISTICS, &st, &len) == 0) {
		json_object_object_add(o, "rx_dropped", json_object_new_uint64(st.rx_dropped));
		json_object_object_add(o, "rx_ring_full", json_object_new_uint64(st.rx_ring_full));
		json_object_object_add(o, "fill_ring_empty",
				       json_object_new_uint64(st.rx_fill_ring_empty_descs));
		json_object_object_add(o, "tx_invalid",
				       json_object_new_uint64(st.tx_invalid_descs));
	}
	return o;
}

static struct json_object *zone_json(struct svr_worker *w, uint32_t zone)
{
	const struct zone_info *info = &w->zones->zone[zone];
	struct json_object *o = json_object_new_object(), *queues = json_object_new_array();
	const struct svr_umem *u = &w->thread->umem;
	unsigned int i;

	for (i = 0; i < SVR_MAX_PORTS; i++)
		if (u->port[i] && u->port[i]->ifindex == (int)info->ifindex)
			json_object_array_add(queues, queue_json(u->port[i]));
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
