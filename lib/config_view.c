// SPDX-License-Identifier: BSD-2-Clause
/* The view of one router: its zones, its peers and the paths to them, where each service goes and
 * how long its sessions live.
 *
 * 	west: ge1 in "internet" (mesh)  <-- one path per pair of interfaces and family --> east: ge1
 *
 * Both routers of a pair come to the same set of paths, because both look for the common
 * neighborhood in the same way: through the neighborhoods of the router that stands first in the
 * file.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <svr/limits.h>
#include <svr/wire.h>

#include "config_internal.h"

/* A path before the peers are numbered. */
struct link {
	unsigned int router; /* of the peer */
	int listed; /* in the peer list; -1 = generated */
	unsigned int zone;
	unsigned int order; /* in which it was found: the order of the file */
	const struct svr_cfg_link *local;
	const char *neighborhood; /* NULL = adjacency */
	const struct svr_cfg_if_address *own; /* the local address, of the remote one's family */
	struct svr_cfg_addr remote_address;
	struct svr_cfg_port_range remote_ports;
	bool parity;
	char pointer[SVR_CFG_POINTER_LEN]; /* what made it */
};

struct builder {
	const struct svr_config *cfg;
	const struct svr_cfg_router *router;
	unsigned int index; /* of the router */
	struct svr_router_view *view;
	struct svr_cfg_arena *arena;
	struct svr_cfg_place place;
	struct svr_cfg_if_ref *refs; /* one per zone */
	struct link *links;
	unsigned int n_links, room;
	int *peer_of_router; /* router index -> peer index, -1 = none */
};

#define at(b, ...)   svr_config_at(&(b)->place, __VA_ARGS__)
#define bad(b, ...)  svr_config_bad(&(b)->place, __VA_ARGS__)
#define warn(b, ...) svr_config_warn(&(b)->place, __VA_ARGS__)

static const struct svr_cfg_port_range default_ports = { SVR_PORT_LO, SVR_PORT_HI };

/* ---- zones ----------------------------------------------------------------------------------- */

static int build_zones(struct builder *b)
{
	struct svr_router_view *v = b->view;
	struct svr_cfg_if_ref ref = { 0 };
	unsigned int n = 0;

	while (svr_config_next_if(b->router, &ref))
		n++;
	v->zones = svr_config_alloc(&b->arena, n, sizeof(*v->zones));
	b->refs = calloc(n, sizeof(*b->refs));
	if (!v->zones || !b->refs)
		return -ENOMEM;
	ref = (struct svr_cfg_if_ref){ 0 };
	while (svr_config_next_if(b->router, &ref)) {
		b->refs[v->n_zones] = ref;
		v->zones[v->n_zones++] = (struct svr_view_zone){
			.node = ref.cfg_node->name,
			.device = ref.cfg_device->name,
			.interface = ref.cfg->name,
			.vlan = ref.cfg->vlan,
			.outer_vlan = ref.cfg->outer_vlan,
			.role = ref.cfg->role,
			.tenant = ref.cfg->tenant_index,
			.tenant_prefixes = ref.cfg->tenant_prefixes,
			.n_tenant_prefixes = ref.cfg->n_tenant_prefixes,
			.address = ref.cfg->address,
			.n_address = ref.cfg->n_address,
			.mtu = ref.cfg->mtu,
			.enforced_mss_mode = ref.cfg->enforced_mss_mode,
			.enforced_mss = ref.cfg->enforced_mss,
			.cfg = ref.cfg,
		};
	}
	return 0;
}

/* ---- links ----------------------------------------------------------------------------------- */

static int add_link(struct builder *b, const struct link *link)
{
	struct link *more;
	unsigned int room;

	if (b->n_links == b->room) {
		room = b->room ? b->room * 2 : 16;
		more = realloc(b->links, room * sizeof(*more));
		if (!more)
			return -ENOMEM;
		b->links = more;
		b->room = room;
	}
	b->links[b->n_links] = *link;
	b->links[b->n_links].order = b->n_links;
	b->n_links++;
	return 0;
}

static bool may_peer(enum svr_cfg_topology a, enum svr_cfg_topology b)
{
	return a == SVR_CFG_TOPOLOGY_MESH || b == SVR_CFG_TOPOLOGY_MESH || a != b;
}

/* The first neighborhood of @first that @second shares and in which the two may peer. */
static bool common_neighborhood(const struct svr_cfg_network_interface *first,
				const struct svr_cfg_network_interface *second,
				unsigned int *in_first, unsigned int *in_second)
{
	unsigned int i;
	int k;

	for (i = 0; i < first->n_neighborhood; i++) {
		k = SVR_CFG_INDEX(second->neighborhood, second->n_neighborhood,
				  first->neighborhood[i].name);
		if (k < 0 ||
		    !may_peer(first->neighborhood[i].topology, second->neighborhood[k].topology))
			continue;
		*in_first = i;
		*in_second = (unsigned int)k;
		return true;
	}
	return false;
}

/* The name of the peer that router @other is here. */
static int listed_peer(const struct builder *b, unsigned int other)
{
	unsigned int i;

	for (i = 0; i < b->router->n_peer; i++)
		if (b->router->peer[i].router_index == other)
			return (int)i;
	return -1;
}

static void point_at_if(struct link *link, unsigned int router, const struct svr_cfg_if_ref *ref,
			const char *list, unsigned int index)
{
	snprintf(link->pointer, sizeof(link->pointer),
		 "/authority/router/%u/node/%u/device-interface/%u/network-interface/%u/%s/%u",
		 router, ref->node, ref->device, ref->index, list, index);
}

/* One link for each family of which both interfaces have an address. IPv4 goes first: that is how
 * paths of equal cost are sorted.
 */
static int add_families(struct builder *b, struct link *link,
			const struct svr_cfg_network_interface *local,
			const struct svr_cfg_network_interface *remote)
{
	static const uint8_t families[] = { 4, 6 };
	const struct svr_cfg_if_address *to;
	unsigned int i, n = 0;
	int err = 0;

	for (i = 0; i < sizeof(families) && !err; i++) {
		link->own = svr_config_if_address(local->address, local->n_address, families[i]);
		to = svr_config_if_address(remote->address, remote->n_address, families[i]);
		if (!link->own || !to)
			continue;
		link->remote_address = to->ip_address;
		err = add_link(b, link);
		n++;
	}
	if (err || n)
		return err;
	at(b, "%s", link->pointer);
	warn(b,
	     "network-interface \"%s\" of router \"%s\" is in this neighborhood, too, but has no address of a family that this one has",
	     remote->name, b->cfg->routers[link->router].name);
	return 0;
}

static int link_interfaces(struct builder *b, unsigned int zone, unsigned int other,
			   const struct svr_cfg_network_interface *remote)
{
	const struct svr_cfg_network_interface *local = b->view->zones[zone].cfg;
	const struct svr_cfg_neighborhood *ours, *theirs;
	unsigned int i = 0, k = 0;
	bool found;
	struct link link = { .router = other, .listed = listed_peer(b, other), .zone = zone };

	if (b->index < other)
		found = common_neighborhood(local, remote, &i, &k);
	else
		found = common_neighborhood(remote, local, &k, &i);
	if (!found)
		return 0;
	ours = &local->neighborhood[i];
	theirs = &remote->neighborhood[k];
	link.local = &ours->link;
	link.neighborhood = ours->name;
	link.remote_ports = theirs->link.port_range;
	link.parity = !ours->link.has_port_range && !theirs->link.has_port_range;
	point_at_if(&link, b->index, &b->refs[zone], "neighborhood", i);
	return add_families(b, &link, local, remote);
}

/* True when @addr is a waypoint address of the interface. */
static bool has_waypoint(const struct svr_cfg_network_interface *nif,
			 const struct svr_cfg_addr *addr)
{
	const struct svr_cfg_if_address *own =
		svr_config_if_address(nif->address, nif->n_address, addr->family);

	return own && svr_config_addr_equal(&own->ip_address, addr);
}

/* The adjacency of the peer's interface @remote that leads back to @own, or NULL. */
static const struct svr_cfg_link *way_back(const struct svr_cfg_network_interface *remote,
					   const struct svr_cfg_addr *own)
{
	unsigned int i;

	for (i = 0; i < remote->n_adjacency; i++)
		if (svr_config_addr_equal(&remote->adjacency[i].ip_address, own))
			return &remote->adjacency[i].link;
	return NULL;
}

static int link_adjacency(struct builder *b, unsigned int zone, unsigned int index)
{
	const struct svr_view_zone *z = &b->view->zones[zone];
	const struct svr_cfg_adjacency *adj = &z->cfg->adjacency[index];
	struct link link = {
		.zone = zone,
		.local = &adj->link,
		/* config_check.c has seen to it that there is one */
		.own = svr_config_if_address(z->address, z->n_address, adj->ip_address.family),
		.remote_address = adj->ip_address,
		.remote_ports = default_ports,
		.parity = !adj->link.has_port_range,
	};
	const struct svr_cfg_link *back;
	struct svr_cfg_if_ref ref = { 0 };

	link.router =
		(unsigned int)svr_config_peer_router(b->cfg, b->index, adj->peer, &link.listed);
	point_at_if(&link, b->index, &b->refs[zone], "adjacency", index);
	while (svr_config_next_if(&b->cfg->routers[link.router], &ref)) {
		if (!has_waypoint(ref.cfg, &adj->ip_address))
			continue;
		back = way_back(ref.cfg, &link.own->ip_address);
		at(b, "%s", link.pointer);
		if (!back) {
			warn(b,
			     "network-interface \"%s\" of router \"%s\" has this address but no adjacency back",
			     ref.cfg->name, b->cfg->routers[link.router].name);
			continue;
		}
		link.remote_ports = back->port_range;
		link.parity = link.parity && !back->has_port_range;
	}
	return add_link(b, &link);
}

static int find_links(struct builder *b)
{
	unsigned int zone, other, i;
	int err = 0;

	for (zone = 0; zone < b->view->n_zones; zone++)
		for (i = 0; i < b->view->zones[zone].cfg->n_adjacency && !err; i++)
			err = link_adjacency(b, zone, i);
	for (other = 0; other < b->cfg->n_routers && !err; other++) {
		for (zone = 0; zone < b->view->n_zones && !err && other != b->index; zone++) {
			struct svr_cfg_if_ref ref = { 0 };

			while (!err && svr_config_next_if(&b->cfg->routers[other], &ref))
				err = link_interfaces(b, zone, other, ref.cfg);
		}
	}
	return err;
}

/* ---- peers ----------------------------------------------------------------------------------- */

/*
 * SSR's order: what is said of the peer, of the router, of the authority. @entry: in the peer list,
 * or NULL.
 */
static uint16_t key_size(const struct builder *b, const struct svr_cfg_peer *entry)
{
	if (entry && entry->has_key_exchange_override)
		return entry->key_exchange_override.diffie_hellman_key_size;
	if (b->router->has_key_exchange_override)
		return b->router->key_exchange_override.diffie_hellman_key_size;
	return b->cfg->key_management.diffie_hellman_key_size;
}

/* @entry: in the peer list, NULL for a peer that only a neighborhood leads to. */
static void add_peer(struct builder *b, unsigned int router, const struct svr_cfg_peer *entry)
{
	const struct svr_cfg_router *other = &b->cfg->routers[router];
	struct svr_view_peer *p = &b->view->peers[b->view->n_peers];

	if (b->peer_of_router[router] >= 0)
		return;
	b->peer_of_router[router] = (int)b->view->n_peers++;
	p->name = entry ? entry->name : other->name;
	p->router_name = other->name;
	p->peering_common_name = other->peering_common_name;
	p->has_fingerprint = other->has_fingerprint;
	memcpy(p->fingerprint, other->fingerprint, sizeof(p->fingerprint));
	p->description = other->description;
	p->location = other->location;
	p->generated = !entry;
	p->diffie_hellman_key_size = key_size(b, entry);
}

static int build_peers(struct builder *b)
{
	unsigned int i, n = b->cfg->n_routers;
	bool *linked = calloc(n, sizeof(*linked));

	b->peer_of_router = calloc(n, sizeof(*b->peer_of_router));
	b->view->peers = svr_config_alloc(&b->arena, n, sizeof(*b->view->peers));
	if (!linked || !b->peer_of_router || !b->view->peers) {
		free(linked);
		return -ENOMEM;
	}
	for (i = 0; i < n; i++)
		b->peer_of_router[i] = -1;
	for (i = 0; i < b->n_links; i++)
		linked[b->links[i].router] = true;
	for (i = 0; i < b->router->n_peer; i++)
		add_peer(b, b->router->peer[i].router_index, &b->router->peer[i]);
	for (i = 0; i < n; i++)
		if (linked[i])
			add_peer(b, i, NULL);
	free(linked);
	at(b, "/authority/router/%u", b->index);
	if (b->view->n_peers >= SVR_MAX_PEERS)
		bad(b, "has %u peers, at most %d are possible", b->view->n_peers,
		    SVR_MAX_PEERS - 1);
	return 0;
}

/* ---- paths ----------------------------------------------------------------------------------- */

/* By peer, cost, zone, order of the file. @arg: peer_of_router. */
static int by_preference(const void *va, const void *vb, void *arg)
{
	const struct link *a = va, *b = vb;
	const int *peer = arg;

	if (peer[a->router] != peer[b->router])
		return peer[a->router] < peer[b->router] ? -1 : 1;
	if (a->local->cost != b->local->cost)
		return a->local->cost < b->local->cost ? -1 : 1;
	if (a->zone != b->zone)
		return a->zone < b->zone ? -1 : 1;
	return (a->order > b->order) - (a->order < b->order);
}

static char *path_name(struct builder *b, const struct svr_view_path *path)
{
	const struct svr_view_zone *zone = &b->view->zones[path->zone];
	const char *peer = b->view->peers[path->peer].name;
	char addr[SVR_CFG_ADDR_STRLEN];
	size_t len;
	char *name;

	svr_config_addr_print(&path->remote_address, addr);
	len = strlen(peer) + strlen(addr) + strlen(zone->node) + strlen(zone->interface) +
	      sizeof("////4094");
	name = svr_config_alloc(&b->arena, 1, len);
	if (name)
		snprintf(name, len, "%s/%s/%s/%s/%u", peer, addr, zone->node, zone->interface,
			 zone->vlan);
	return name;
}

/* What the network between the two addresses must allow for. */
static void check_reach(struct builder *b, const struct link *link, struct svr_view_path *path)
{
	const struct svr_cfg_if_address *own = link->own;
	struct svr_cfg_prefix prefix = svr_config_if_prefix(own);
	char remote[SVR_CFG_ADDR_STRLEN];

	at(b, "%s", link->pointer);
	svr_config_addr_print(&link->remote_address, remote);
	if (svr_config_addr_equal(&own->ip_address, &link->remote_address)) {
		bad(b, "the peer router \"%s\" has the address of this interface, %s",
		    b->cfg->routers[link->router].name, remote);
	} else if (!svr_config_prefix_has(&prefix, &link->remote_address)) {
		path->gateway = own->gateway;
		if (!own->gateway.family)
			bad(b,
			    "%s of router \"%s\" is not in the network of this interface, which has no gateway",
			    remote, b->cfg->routers[link->router].name);
	}
}

/* BFD of the path: what a peer of the list says is between the router's and the link's words. */
static void choose_bfd(struct builder *b, const struct link *link, struct svr_view_path *path)
{
	const struct svr_cfg_peer *peer = link->listed < 0 ? NULL : &b->router->peer[link->listed];
	const struct svr_cfg_link *own = link->local;

	path->bfd = own->bfd;
	path->bfd_metadata = link->neighborhood || own->bfd_metadata;
	if (peer) {
		svr_config_bfd_overlay(&path->bfd, &peer->bfd);
		path->bfd_metadata = path->bfd_metadata && peer->bfd_metadata;
	}
	path->path_mtu = own->path_mtu;
	path->path_mtu.enabled = own->path_mtu.enabled && path->bfd_metadata;
	path->metrics_average_s = own->metrics_average_s;
	path->bfd_port = SVR_BFD_PORT;
	if (!path->bfd_metadata)
		path->bfd_port = own->bfd_port		? own->bfd_port :
				 path->gateway.family ? SVR_BFD_PORT_MULTI_HOP :
							SVR_BFD_PORT_SINGLE_HOP;

	at(b, "%s/bfd/maximum-hold-down-time", link->pointer);
	if (path->bfd.maximum_hold_down_time_s < path->bfd.hold_down_time_s)
		bad(b, "with the peer's bfd: must not be shorter than hold-down-time (%u s)",
		    path->bfd.hold_down_time_s);
	at(b, "%s/bfd-port", link->pointer);
	if (path->bfd_metadata && !link->neighborhood && own->bfd_port)
		bad(b, "is only for a peer whose bfd-metadata is false; others use port %d",
		    SVR_BFD_PORT);
	else if (!path->bfd_metadata && path->bfd_port == SVR_BFD_PORT)
		bad(b, "must not be port %d, which is for BFD with metadata", SVR_BFD_PORT);
	else if (!path->bfd_metadata && path->bfd_port >= own->port_range.start_port &&
		 path->bfd_port <= own->port_range.end_port)
		bad(b, "must not be a waypoint port of this interface (%u to %u)",
		    own->port_range.start_port, own->port_range.end_port);
}

static void widen(struct svr_cfg_port_range *range, const struct svr_cfg_port_range *by)
{
	if (!range->end_port || by->start_port < range->start_port)
		range->start_port = by->start_port;
	if (by->end_port > range->end_port)
		range->end_port = by->end_port;
}

static int build_path(struct builder *b, const struct link *link)
{
	struct svr_router_view *v = b->view;
	struct svr_view_path *path = &v->paths[v->n_paths];
	struct svr_view_peer *peer = &v->peers[b->peer_of_router[link->router]];

	path->peer = (unsigned int)(peer - v->peers);
	path->zone = link->zone;
	path->neighborhood = link->neighborhood;
	path->local_address = link->own->ip_address;
	path->remote_address = link->remote_address;
	path->vector = link->local->vector;
	path->n_vector = link->local->n_vector;
	path->cost = link->local->cost;
	path->local_ports = link->local->port_range;
	path->remote_ports = link->remote_ports;
	path->parity = link->parity;
	path->name = path_name(b, path);
	if (!path->name)
		return -ENOMEM;
	check_reach(b, link, path);
	choose_bfd(b, link, path);
	widen(&v->zones[link->zone].port_range, &path->local_ports);
	if (!peer->n_paths++)
		peer->first_path = v->n_paths;
	v->n_paths++;
	return 0;
}

static int by_address(const void *va, const void *vb)
{
	const struct link *a = *(const struct link *const *)va,
			  *b = *(const struct link *const *)vb;
	int cmp = memcmp(a->remote_address.bytes, b->remote_address.bytes,
			 sizeof(a->remote_address.bytes));

	if (a->zone != b->zone)
		return a->zone < b->zone ? -1 : 1;
	return cmp ? cmp : (a->order > b->order) - (a->order < b->order);
}

/* A packet is told by interface and address from which peer it comes, so no two paths may have
 * both in common.
 */
static int check_twins(struct builder *b)
{
	const struct link **sorted = calloc(b->n_links, sizeof(*sorted));
	char remote[SVR_CFG_ADDR_STRLEN];
	unsigned int i;

	if (!sorted)
		return -ENOMEM;
	for (i = 0; i < b->n_links; i++)
		sorted[i] = &b->links[i];
	qsort(sorted, b->n_links, sizeof(*sorted), by_address);
	for (i = 1; i < b->n_links; i++) {
		const struct link *one = sorted[i - 1], *two = sorted[i];

		if (one->zone != two->zone ||
		    !svr_config_addr_equal(&one->remote_address, &two->remote_address))
			continue;
		at(b, "%s", two->pointer);
		bad(b,
		    "leads to %s of router \"%s\", where a path of this interface to router \"%s\" leads already",
		    svr_config_addr_print(&two->remote_address, remote),
		    b->cfg->routers[two->router].name, b->cfg->routers[one->router].name);
	}
	free(sorted);
	return 0;
}

static int build_paths(struct builder *b)
{
	unsigned int i;
	int err = 0;

	at(b, "/authority/router/%u", b->index);
	if (b->n_links >= SVR_MAX_PATHS) {
		bad(b, "has %u paths to its peers, at most %d are possible", b->n_links,
		    SVR_MAX_PATHS - 1);
		return 0;
	}
	if (!b->n_links)
		return 0;
	err = check_twins(b);
	if (err)
		return err;
	b->view->paths = svr_config_alloc(&b->arena, b->n_links, sizeof(*b->view->paths));
	if (!b->view->paths)
		return -ENOMEM;
	qsort_r(b->links, b->n_links, sizeof(*b->links), by_preference, b->peer_of_router);
	for (i = 0; i < b->n_links && !err; i++)
		err = build_path(b, &b->links[i]);
	return err;
}

/* ---- services -------------------------------------------------------------------------------- */

void svr_config_port_types(const struct svr_config *cfg, enum svr_cfg_protocol protocol,
			   uint16_t type[static 65536])
{
	unsigned int i, t, r, port;

	memset(type, 0, 65536 * sizeof(*type));
	/* Backwards, so that earlier ones stand above later ones */
	for (i = cfg->n_session_types; i-- > 0;) {
		const struct svr_cfg_session_type *s = &cfg->session_types[i];

		for (t = 0; t < s->n_transport; t++) {
			if (s->transport[t].protocol != protocol)
				continue;
			for (r = 0; r < s->transport[t].n_port_range; r++)
				for (port = s->transport[t].port_range[r].start_port;
				     port <= s->transport[t].port_range[r].end_port; port++)
					type[port] = (uint16_t)(i + 1);
		}
	}
}

static int by_transport(const void *va, const void *vb)
{
	const struct svr_view_transport *a = va, *b = vb;

	if (a->protocol != b->protocol)
		return a->protocol < b->protocol ? -1 : 1;
	return (int)a->ports.start_port - (int)b->ports.start_port;
}

static int build_transports(struct builder *b, struct svr_view_service *s)
{
	unsigned int i, k, n = 0;

	for (i = 0; i < s->cfg->n_transport; i++)
		n += s->cfg->transport[i].n_port_range;
	s->transport = svr_config_alloc(&b->arena, n, sizeof(*s->transport));
	if (!s->transport)
		return -ENOMEM;
	for (i = 0; i < s->cfg->n_transport; i++) {
		const struct svr_cfg_transport *t = &s->cfg->transport[i];

		for (k = 0; k < t->n_port_range; k++)
			s->transport[s->n_transport++] = (struct svr_view_transport){
				.protocol = t->protocol,
				.ports = t->port_range[k],
			};
	}
	qsort(s->transport, s->n_transport, sizeof(*s->transport), by_transport);
	return 0;
}

static int build_services(struct builder *b)
{
	struct svr_router_view *v = b->view;
	unsigned int i;
	int err = 0;

	v->services = svr_config_alloc(&b->arena, b->cfg->n_services, sizeof(*v->services));
	if (!v->services)
		return -ENOMEM;
	v->n_services = b->cfg->n_services;
	for (i = 0; i < v->n_services && !err; i++) {
		v->services[i].cfg = &b->cfg->services[i];
		v->services[i].policy = b->cfg->services[i].security_index;
		v->services[i].any_transport = b->cfg->services[i].any_transport;
		v->services[i].route = -1;
		err = build_transports(b, &v->services[i]);
	}
	return err;
}

/* ---- routes ---------------------------------------------------------------------------------- */

static int route_to_peer(struct builder *b, struct svr_view_route *route, const char *name,
			 unsigned int index)
{
	const struct svr_view_peer *peer;
	unsigned int i, router;
	int listed;

	router = (unsigned int)svr_config_peer_router(b->cfg, b->index, name, &listed);
	at(b, "/authority/router/%u/service-route/%u/peer", b->index, index);
	route->kind = SVR_VIEW_ROUTE_PEER;
	if (b->peer_of_router[router] < 0) {
		bad(b,
		    "no path leads to router \"%s\": there is no common neighborhood and no adjacency",
		    b->cfg->routers[router].name);
		return 0;
	}
	route->peer = (unsigned int)b->peer_of_router[router];
	peer = &b->view->peers[route->peer];
	if (!peer->n_paths)
		warn(b,
		     "no path leads to this peer: there is no common neighborhood and no adjacency");
	if (peer->n_paths > SVR_MAX_ROUTE_PATHS)
		warn(b, "%u paths lead to this peer; only the first %d by cost are used",
		     peer->n_paths, SVR_MAX_ROUTE_PATHS);
	route->n_path = peer->n_paths < SVR_MAX_ROUTE_PATHS ? peer->n_paths : SVR_MAX_ROUTE_PATHS;
	route->path = svr_config_alloc(&b->arena, route->n_path, sizeof(*route->path));
	if (!route->path)
		return -ENOMEM;
	for (i = 0; i < route->n_path; i++)
		route->path[i] = peer->first_path + i;
	return 0;
}

static int build_routes(struct builder *b)
{
	struct svr_router_view *v = b->view;
	unsigned int i, zone;
	int err = 0;

	v->routes = svr_config_alloc(&b->arena, b->router->n_service_route, sizeof(*v->routes));
	if (!v->routes)
		return -ENOMEM;
	v->n_routes = b->router->n_service_route;
	for (i = 0; i < v->n_routes && !err; i++) {
		const struct svr_cfg_service_route *from = &b->router->service_route[i];
		struct svr_view_route *route = &v->routes[i];

		route->name = from->name;
		route->service = from->service_index;
		v->services[route->service].route = (int)i;
		if (from->peer) {
			err = route_to_peer(b, route, from->peer, i);
			continue;
		}
		route->kind = SVR_VIEW_ROUTE_LOCAL;
		route->gateway = from->next_hop_gateway;
		for (zone = 0; zone < v->n_zones; zone++)
			if (!strcmp(v->zones[zone].interface, from->next_hop_interface))
				route->zone = zone;
	}
	return err;
}

/* ---- all of it ------------------------------------------------------------------------------- */

void svr_config_view_free(struct svr_router_view *view)
{
	if (view)
		svr_config_arena_free(view->priv);
}

static int build(struct builder *b)
{
	const struct svr_config *cfg = b->cfg;
	struct svr_router_view *v;
	int err;

	v = svr_config_alloc(&b->arena, 1, sizeof(*v));
	if (!v)
		return -ENOMEM;
	b->view = v;
	v->cfg = cfg;
	v->router = b->router;
	v->key_management = &cfg->key_management;
	v->enhanced_security_key_management = cfg->enhanced_security_key_management;
	v->tenants = cfg->tenants;
	v->n_tenants = cfg->n_tenants;
	v->policies = cfg->policies;
	v->n_policies = cfg->n_policies;
	err = build_zones(b);
	if (!err)
		err = find_links(b);
	if (!err)
		err = build_peers(b);
	if (!err)
		err = build_paths(b);
	if (!err)
		err = build_services(b);
	if (!err)
		err = build_routes(b);
	return err;
}

int svr_config_view_build(const struct svr_config *cfg, unsigned int router,
			  struct svr_router_view **out, struct svr_config_errors *errs)
{
	struct builder b = { .cfg = cfg,
			     .router = &cfg->routers[router],
			     .index = router,
			     .place = { .errs = errs } };
	int err = build(&b);

	free(b.refs);
	free(b.links);
	free(b.peer_of_router);
	*out = NULL;
	if (err) {
		svr_config_arena_free(b.arena);
		return err;
	}
	b.view->priv = b.arena;
	*out = b.view;
	return 0;
}

const char *svr_config_client_certificate(const struct svr_config *cfg,
					  const struct svr_cfg_router *router)
{
	if (router->n_client_certificate)
		return router->client_certificate[0].name;
	return cfg->n_client_certificate ? cfg->client_certificate[0].name : NULL;
}

uint32_t svr_config_polling_interval_s(const struct svr_cfg_revocation *revocation)
{
	enum { SEC_PER_HOUR = 3600 };

	return revocation->polling_interval_s ? revocation->polling_interval_s :
						revocation->polling_interval_h * SEC_PER_HOUR;
}

int svr_config_resolve(const struct svr_config *cfg, const char *name, struct svr_router_view **out,
		       struct svr_config_errors *errs)
{
	int err, router = SVR_CFG_INDEX(cfg->routers, cfg->n_routers, name);

	*out = NULL;
	svr_config_errors_init(errs);
	if (router < 0) {
		svr_config_complain_at(errs, "/authority/router", 0, 0,
				       "the configuration has no router called \"%s\"", name);
		return -ENOENT;
	}
	err = svr_config_view_build(cfg, (unsigned int)router, out, errs);
	if (err == -ENOMEM)
		svr_config_complain_at(errs, "", 0, 0, "out of memory");
	/* parse() has told every warning of this view already, with its place */
	if (!err)
		svr_config_errors_init(errs);
	return err;
}

/* ---- static keys ----------------------------------------------------------------------------- */

size_t svr_config_policy_secret(const struct svr_cfg_policy *policy,
				uint8_t out[static SVR_CFG_SECRET_MAX])
{
	const struct {
		const char *text;
		size_t max;
	} parts[] = { { policy->encryption_key, 32 }, { policy->encryption_iv, 16 },
		      { policy->hmac_key, 32 } };
	size_t i, len = 0;
	int n;

	for (i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		n = parts[i].text ?
			    svr_config_key_parse(parts[i].text, out + len + 1, parts[i].max) :
			    0;
		out[len] = (uint8_t)(n > 0 ? n : 0);
		len += 1u + out[len];
	}
	return len > sizeof(parts) / sizeof(parts[0]) ? len : 0;
}

/* ---- key management -------------------------------------------------------------------------- */

static uint64_t rekey_sec(uint32_t seconds, uint16_t hours)
{
	return seconds ? seconds : hours * 3600ULL;
}

uint64_t svr_config_payload_rekey_sec(const struct svr_cfg_key_management *k)
{
	return rekey_sec(k->payload_key_rekey_interval_s, k->payload_key_rekey_interval_h);
}

uint64_t svr_config_peer_rekey_sec(const struct svr_cfg_key_management *k)
{
	return rekey_sec(k->peer_key_rekey_interval_s, k->peer_key_rekey_interval_h);
}
