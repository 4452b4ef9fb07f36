// SPDX-License-Identifier: BSD-2-Clause
/* What no single member of the configuration can tell: references, overlaps, contradictions,
 * limits of the data plane. Runs on a configuration that was read without an error, so every
 * required string is there.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <openssl/crypto.h>

#include <svr/limits.h>
#include <svr/wire.h>

#include "config_internal.h"

struct checker {
	struct svr_config *cfg;
	struct svr_cfg_arena **arena;
	struct svr_cfg_place place;
};

#define at(c, ...)   svr_config_at(&(c)->place, __VA_ARGS__)
#define bad(c, ...)  svr_config_bad(&(c)->place, __VA_ARGS__)
#define warn(c, ...) svr_config_warn(&(c)->place, __VA_ARGS__)

/* Resolves @name in a list; complains at the place that was set when it is not there. */
#define REFER(c, list, what, name) \
	refer(c, SVR_CFG_INDEX((c)->cfg->list, (c)->cfg->n_##list, name), what, name)

static int refer(struct checker *c, int index, const char *what, const char *name)
{
	if (index < 0)
		bad(c, "there is no %s called \"%s\"", what, name);
	return index;
}

/* ---- security -------------------------------------------------------------------------------- */

static bool protects(const struct svr_cfg_policy *p)
{
	return p->encrypt || p->hmac_mode != SVR_CFG_HMAC_DISABLED;
}

/* @lengths: bytes that are allowed, 0 ends them; SSR's. */
static void check_static_key(struct checker *c, const char *text, bool wanted, const int *lengths)
{
	uint8_t bytes[32];
	int n;

	if (!text) {
		if (wanted)
			bad(c, "is missing: without enhanced-security-key-management all routers need the same keys; "
			       "`svr config keys FILE` puts random ones into the file");
		return;
	}
	if (c->cfg->enhanced_security_key_management)
		warn(c, "has no effect: with enhanced-security-key-management keys are agreed");
	n = svr_config_key_parse(text, bytes, sizeof(bytes));
	OPENSSL_cleanse(bytes, sizeof(bytes));
	while (*lengths && *lengths != n)
		lengths++;
	if (!*lengths)
		bad(c, "has a length that is not allowed here, see docs/config.md");
}

static void check_static_keys(struct checker *c, const struct svr_cfg_policy *p, unsigned int i)
{
	static const int key128[] = { 16, 0 }, key256[] = { 32, 0 }, iv[] = { 16, 0 },
			 hmac[] = { 4, 8, 16, 20, 32, 0 };
	bool needed = !c->cfg->enhanced_security_key_management && protects(p);
	bool short_key = p->encryption_cipher == SVR_CFG_AES_CBC_128 ||
			 p->encryption_cipher == SVR_CFG_AES_GCM_128;

	at(c, "/authority/security/%u/encryption-key", i);
	check_static_key(c, p->encryption_key, needed && p->encrypt,
			 short_key ? key128 : key256);
	at(c, "/authority/security/%u/encryption-iv", i);
	check_static_key(c, p->encryption_iv, needed && p->encrypt, iv);
	at(c, "/authority/security/%u/hmac-key", i);
	check_static_key(c, p->hmac_key, needed, hmac);
}

static void check_policies(struct checker *c)
{
	const struct svr_config *cfg = c->cfg;
	unsigned int i;

	for (i = 0; i < cfg->n_policies; i++) {
		const struct svr_cfg_policy *p = &cfg->policies[i];

		at(c, "/authority/security/%u/adaptive-encryption", i);
		if (p->adaptive_encryption)
			bad(c, SVR_CFG_NOT_YET
			    "; must be false or absent: all payload under an encrypting policy is encrypted");
		if (p->encrypt && p->hmac_mode == SVR_CFG_HMAC_DISABLED) {
			at(c, "/authority/security/%u/hmac-mode", i);
			bad(c,
			    "must be \"regular\" or \"time-based\" where encrypt is true: nothing unauthenticated is ever decrypted");
		}
		check_static_keys(c, p, i);
	}
}

static void check_key_management(struct checker *c)
{
	const struct svr_cfg_key_management *k = &c->cfg->key_management;
	unsigned int i;

	if (!c->cfg->enhanced_security_key_management)
		return;
	at(c, "/authority/security-key-management/peer-key-timeout");
	if (k->peer_key_timeout_s < k->peer_key_retransmit_interval_s)
		bad(c, "must not be shorter than peer-key-retransmit-interval (%u s)",
		    k->peer_key_retransmit_interval_s);
	at(c, "/authority/security-key-management/allow-self-signed-peering-certificates");
	if (!k->allow_self_signed_peering_certificates && !c->cfg->n_trusted_cas)
		warn(c,
		     "there is no trusted-ca-certificate and self-signed certificates are not allowed: no peer can be authenticated");
	for (i = 0; k->allow_self_signed_peering_certificates && i < c->cfg->n_routers; i++) {
		if (c->cfg->routers[i].has_fingerprint)
			continue;
		at(c, "/authority/router/%u", i);
		warn(c,
		     "self-signed certificates are allowed and the certificate of this router is not pinned, so nobody vouches for "
		     "its identity: set certificate/fingerprint, or disallow self-signed certificates");
		break; /* one is enough: it is a decision about the whole authority */
	}
}

static void check_tenants(struct checker *c)
{
	unsigned int i;

	for (i = 0; i < c->cfg->n_tenants; i++) {
		struct svr_cfg_tenant *t = &c->cfg->tenants[i];

		t->security_index = -1;
		if (!t->security)
			continue;
		at(c, "/authority/tenant/%u/security", i);
		t->security_index = REFER(c, policies, "security policy", t->security);
		if (t->security_index >= 0)
			warn(c,
			     "has no effect yet: a session takes the security policy of its service");
	}
}

/* ---- transports ------------------------------------------------------------------------------ */

static const struct svr_cfg_port_range all_ports = { 0, 65535 };

static bool has_ports(enum svr_cfg_protocol protocol)
{
	return protocol == SVR_CFG_PROTO_TCP || protocol == SVR_CFG_PROTO_UDP;
}

/* Fills in what an absent port-range means, and looks at the ranges. The place of @base has no NUL
 * to spare.
 */
static int check_transports(struct checker *c, struct svr_cfg_transport *list, unsigned int n,
			    const char *base)
{
	unsigned int i, k;

	for (i = 0; i < n; i++) {
		struct svr_cfg_transport *t = &list[i];

		at(c, "%s/%u/port-range", base, i);
		if (!has_ports(t->protocol) && t->n_port_range)
			bad(c, "%s has no ports; must be absent",
			    svr_config_protocol_name(t->protocol));
		for (k = 0; k < t->n_port_range; k++) {
			at(c, "%s/%u/port-range/%u/end-port", base, i, k);
			if (t->port_range[k].end_port < t->port_range[k].start_port)
				bad(c, "must not be smaller than start-port (%u)",
				    t->port_range[k].start_port);
		}
		if (t->n_port_range)
			continue;
		t->port_range = svr_config_alloc(c->arena, 1, sizeof(*t->port_range));
		if (!t->port_range)
			return -ENOMEM;
		t->port_range[0] = all_ports;
		t->n_port_range = 1;
	}
	return 0;
}

static bool ranges_meet(const struct svr_cfg_port_range *a, const struct svr_cfg_port_range *b)
{
	return a->start_port <= b->end_port && b->start_port <= a->end_port;
}

/* True when a packet may match both. */
static bool transport_meets(const struct svr_cfg_transport *a, const struct svr_cfg_transport *b)
{
	unsigned int i, k;

	for (i = 0; a->protocol == b->protocol && i < a->n_port_range; i++)
		for (k = 0; k < b->n_port_range; k++)
			if (ranges_meet(&a->port_range[i], &b->port_range[k]))
				return true;
	return false;
}

/* The ranges of one service must not overlap, or it would not be clear which of them a packet
 * matches.
 */
static void check_own_overlap(struct checker *c, const struct svr_cfg_service *s,
			      unsigned int index)
{
	unsigned int i, k, rows = 0;

	for (i = 0; i < s->n_transport; i++) {
		const struct svr_cfg_transport *t = &s->transport[i];

		rows += t->n_port_range;
		for (k = 1; k < t->n_port_range; k++) {
			struct svr_cfg_transport before = { .protocol = t->protocol,
							    .port_range = t->port_range,
							    .n_port_range = k };
			struct svr_cfg_transport one = { .protocol = t->protocol,
							 .port_range = t->port_range + k,
							 .n_port_range = 1 };

			at(c, "/authority/service/%u/transport/%u/port-range/%u", index, i, k);
			if (transport_meets(&before, &one))
				bad(c, "overlaps an earlier port-range of this transport");
		}
		for (k = 0; k < i; k++) {
			at(c, "/authority/service/%u/transport/%u", index, i);
			if (transport_meets(&s->transport[k], t))
				bad(c, "overlaps transport %u of this service", k);
		}
	}
	at(c, "/authority/service/%u/transport", index);
	if (rows > SVR_MAX_TRANSPORTS)
		bad(c,
		    "a service has at most %d port ranges in all its transports, this one has %u",
		    SVR_MAX_TRANSPORTS, rows);
}

/* ---- services -------------------------------------------------------------------------------- */

static int any_transport(struct checker *c, struct svr_cfg_service *s)
{
	static const enum svr_cfg_protocol every[] = { SVR_CFG_PROTO_ICMP, SVR_CFG_PROTO_TCP,
						       SVR_CFG_PROTO_UDP, SVR_CFG_PROTO_GRE,
						       SVR_CFG_PROTO_ESP };
	unsigned int i, n = sizeof(every) / sizeof(every[0]);

	s->any_transport = true;
	s->transport = svr_config_alloc(c->arena, n, sizeof(*s->transport));
	if (!s->transport)
		return -ENOMEM;
	s->n_transport = n;
	for (i = 0; i < n; i++)
		s->transport[i].protocol = every[i];
	return 0;
}

static int check_service(struct checker *c, unsigned int i)
{
	struct svr_cfg_service *s = &c->cfg->services[i];
	char base[64];
	unsigned int k;
	int err = 0;

	at(c, "/authority/service/%u/security", i);
	s->security_index = (unsigned int)REFER(c, policies, "security policy", s->security);
	s->session_type_index = -1;
	if (s->session_type) {
		at(c, "/authority/service/%u/session-type", i);
		s->session_type_index = REFER(c, session_types, "session type", s->session_type);
	}
	for (k = 0; k < s->n_access_policy; k++) {
		at(c, "/authority/service/%u/access-policy/%u/source", i, k);
		s->access_policy[k].tenant_index =
			(unsigned int)REFER(c, tenants, "tenant", s->access_policy[k].source);
	}
	if (!s->n_transport)
		err = any_transport(c, s);
	snprintf(base, sizeof(base), "/authority/service/%u/transport", i);
	if (!err)
		err = check_transports(c, s->transport, s->n_transport, base);
	if (!err)
		check_own_overlap(c, s, i);
	return err;
}

/* One prefix of one service. */
struct claim {
	struct svr_cfg_prefix prefix;
	unsigned int service, address;
};

/* Family by family, shorter prefixes before the longer ones that they hold, then the order of the
 * file.
 */
static int by_prefix(const void *va, const void *vb)
{
	const struct claim *a = va, *b = vb;
	int cmp = (int)a->prefix.addr.family - (int)b->prefix.addr.family;

	if (!cmp)
		cmp = memcmp(a->prefix.addr.bytes, b->prefix.addr.bytes,
			     sizeof(a->prefix.addr.bytes));
	if (!cmp)
		cmp = (int)a->prefix.len - (int)b->prefix.len;
	if (!cmp)
		cmp = (a->service > b->service) - (a->service < b->service);
	return cmp ? cmp : (a->address > b->address) - (a->address < b->address);
}

static bool same_prefix(const struct svr_cfg_prefix *a, const struct svr_cfg_prefix *b)
{
	return a->len == b->len && svr_config_addr_equal(&a->addr, &b->addr);
}

static bool share_tenant(const struct svr_cfg_service *a, const struct svr_cfg_service *b)
{
	unsigned int i, k;

	for (i = 0; i < a->n_access_policy; i++)
		for (k = 0; k < b->n_access_policy; k++)
			if (a->access_policy[i].tenant_index == b->access_policy[k].tenant_index)
				return true;
	return false;
}

static bool share_transport(const struct svr_cfg_service *a, const struct svr_cfg_service *b)
{
	unsigned int i, k;

	for (i = 0; i < a->n_transport; i++)
		for (k = 0; k < b->n_transport; k++)
			if (transport_meets(&a->transport[i], &b->transport[k]))
				return true;
	return false;
}

/* Two claims on the same prefix. */
static void check_pair(struct checker *c, const struct claim *first, const struct claim *second)
{
	const struct svr_cfg_service *a = &c->cfg->services[first->service],
				     *b = &c->cfg->services[second->service];

	at(c, "/authority/service/%u/address/%u", second->service, second->address);
	if (a == b)
		bad(c, "stands in address %u already", first->address);
	else if (share_transport(a, b) && share_tenant(a, b))
		bad(c,
		    "service \"%s\" has the same prefix, an overlapping transport and a common tenant in its access-policy",
		    a->name);
}

/* Services that a packet to this prefix may belong to: those with this prefix and with one around
 * it. @chain: the claims around it.
 */
static unsigned int count_services(const struct claim *const *chain, unsigned int n)
{
	unsigned int i, k, count = 0;

	for (i = 0; i < n; i++) {
		for (k = 0; k < i && chain[k]->service != chain[i]->service; k++)
			;
		count += k == i;
	}
	return count;
}

/* Below a prefix its claims are of no more use where the service has a wider one, too. Returns the
 * new depth.
 */
static unsigned int leave_prefix(const struct claim **chain, unsigned int depth)
{
	unsigned int first = depth, kept, i, k;

	while (first && same_prefix(&chain[first - 1]->prefix, &chain[depth - 1]->prefix))
		first--;
	for (i = kept = first; i < depth; i++) {
		for (k = 0; k < first && chain[k]->service != chain[i]->service; k++)
			;
		if (k == first)
			chain[kept++] = chain[i];
	}
	return kept;
}

static void check_claims(struct checker *c, const struct claim *claims, unsigned int n)
{
	/* The claims around claims[i], widest first: one of each service, and once more all of the
	 * prefix itself. What finds no room is refused anyway.
	 */
	enum { CHAIN = 2 * SVR_MAX_SVC_PER_PREFIX + 1 };
	const struct claim *chain[CHAIN];
	unsigned int i, k, depth = 0;
	bool twice;

	for (i = 0; i < n; i++) {
		while (depth &&
		       !(chain[depth - 1]->prefix.len <= claims[i].prefix.len &&
			 svr_config_prefix_has(&chain[depth - 1]->prefix, &claims[i].prefix.addr)))
			depth--;
		if (depth && !same_prefix(&chain[depth - 1]->prefix, &claims[i].prefix))
			depth = leave_prefix(chain, depth);
		twice = false;
		for (k = 0; k < depth; k++) {
			if (!same_prefix(&chain[k]->prefix, &claims[i].prefix))
				continue;
			check_pair(c, chain[k], &claims[i]);
			twice |= chain[k]->service == claims[i].service;
		}
		if (depth < CHAIN && !twice)
			chain[depth++] = &claims[i];
		at(c, "/authority/service/%u/address/%u", claims[i].service, claims[i].address);
		if (depth == CHAIN || count_services(chain, depth) > SVR_MAX_SVC_PER_PREFIX)
			bad(c, "more than %d services share this prefix or the prefixes around it",
			    SVR_MAX_SVC_PER_PREFIX);
	}
}

static int check_services(struct checker *c)
{
	struct svr_config *cfg = c->cfg;
	unsigned int i, k, n = 0, before = c->place.errs->n_errors;
	struct claim *claims;
	int err = 0;

	for (i = 0; i < cfg->n_services && !err; i++) {
		err = check_service(c, i);
		n += cfg->services[i].n_address;
	}
	if (err || !n || c->place.errs->n_errors != before)
		return err;
	at(c, "/authority/service");
	if (n > SVR_MAX_PREFIXES) {
		bad(c, "the services have %u prefixes in all, at most %d are possible", n,
		    SVR_MAX_PREFIXES);
		return 0;
	}
	claims = calloc(n, sizeof(*claims));
	if (!claims)
		return -ENOMEM;
	for (i = 0, n = 0; i < cfg->n_services; i++)
		for (k = 0; k < cfg->services[i].n_address; k++)
			claims[n++] = (struct claim){ .prefix = cfg->services[i].address[k],
						      .service = i,
						      .address = k };
	qsort(claims, n, sizeof(*claims), by_prefix);
	check_claims(c, claims, n);
	free(claims);
	return 0;
}

static int check_session_types(struct checker *c)
{
	char base[64];
	unsigned int i;
	int err = 0;

	for (i = 0; i < c->cfg->n_session_types && !err; i++) {
		struct svr_cfg_session_type *t = &c->cfg->session_types[i];

		snprintf(base, sizeof(base), "/authority/session-type/%u/transport", i);
		err = check_transports(c, t->transport, t->n_transport, base);
		at(c, "/authority/session-type/%u/initial-timeout", i);
		if (t->initial_timeout_ms > t->timeout_ms)
			bad(c, "must not be longer than timeout (%u ms)", t->timeout_ms);
	}
	return err;
}

/* ---- interfaces ------------------------------------------------------------------------------ */

bool svr_config_next_if(const struct svr_cfg_router *router, struct svr_cfg_if_ref *ref)
{
	if (ref->cfg)
		ref->index++;
	for (; ref->node < router->n_node; ref->node++, ref->device = 0) {
		ref->cfg_node = &router->node[ref->node];
		for (; ref->device < ref->cfg_node->n_device_interface;
		     ref->device++, ref->index = 0) {
			ref->cfg_device = &ref->cfg_node->device_interface[ref->device];
			if (ref->index < ref->cfg_device->n_network_interface) {
				ref->cfg = &ref->cfg_device->network_interface[ref->index];
				return true;
			}
		}
	}
	return false;
}

/* The pointer of an interface. */
#define IF_POINTER	"/authority/router/%u/node/%u/device-interface/%u/network-interface/%u"
#define IF_ARGS(r, ref) r, (ref)->node, (ref)->device, (ref)->index

/* Headers of IP and TCP without options */
enum { IP4_TCP_LEN = 40, IP6_TCP_LEN = 60 };

enum { IP6_MIN_MTU = 1280 }; /* RFC 8200 section 5 */

static const char *not_unicast6(const struct svr_cfg_addr *addr)
{
	static const uint8_t zero[15];

	if (!memcmp(addr->bytes, zero, sizeof(zero)) && addr->bytes[15] <= 1)
		return addr->bytes[15] ? "::1 never leaves the host" : ":: is no address of a host";
	if (addr->bytes[0] == 0xff)
		return "multicast addresses belong to no interface";
	return NULL;
}

/* Why this address cannot be one of a router or a gateway, or NULL. */
static const char *not_unicast(const struct svr_cfg_addr *addr)
{
	uint8_t first = addr->bytes[12];

	if (addr->family == 6)
		return not_unicast6(addr);
	if (first == 0)
		return "0.0.0.0/8 is no address of a host";
	if (first == 127)
		return "127.0.0.0/8 never leaves the host";
	if (first >= 224)
		return "multicast and reserved addresses belong to no interface";
	return NULL;
}

/* True when @addr is the first or the last of an IPv4 prefix in which those two mean "network" and
 * "broadcast".
 */
static bool is_end_of(const struct svr_cfg_prefix *prefix, const struct svr_cfg_addr *addr)
{
	uint32_t host, mask;

	if (addr->family != 4 || prefix->len >= 31)
		return false;
	mask = UINT32_MAX >> prefix->len;
	host = ((uint32_t)addr->bytes[12] << 24 | (uint32_t)addr->bytes[13] << 16 |
		(uint32_t)addr->bytes[14] << 8 | addr->bytes[15]) &
	       mask;
	return host == 0 || host == mask;
}

/* True when all of the routers on the link have this address: the first of an IPv6 prefix, RFC 4291
 * 2.6.1; not on links between two routers, RFC 6164.
 */
static bool is_anycast_of(const struct svr_cfg_prefix *prefix, const struct svr_cfg_addr *addr)
{
	return addr->family == 6 && prefix->len < 127 &&
	       !memcmp(addr->bytes, prefix->addr.bytes, sizeof(addr->bytes));
}

static void check_host(struct checker *c, const struct svr_cfg_prefix *prefix,
		       const struct svr_cfg_addr *addr)
{
	char text[SVR_CFG_PREFIX_STRLEN];
	const char *why = not_unicast(addr);

	if (why)
		bad(c, "%s", why);
	else if (is_end_of(prefix, addr))
		bad(c, "is the first or the last address of %s, which belong to no host",
		    svr_config_prefix_print(prefix, text));
	else if (is_anycast_of(prefix, addr))
		bad(c, "is the first address of %s, which belongs to every router there",
		    svr_config_prefix_print(prefix, text));
}

static void check_gateway(struct checker *c, const struct svr_cfg_if_address *own,
			  const struct svr_cfg_addr *gateway)
{
	struct svr_cfg_prefix prefix = svr_config_if_prefix(own);
	char text[SVR_CFG_PREFIX_STRLEN];

	if (!gateway->family ||
	    (own->ip_address.family == 6 && svr_config_addr_link_local(gateway)))
		return; /* fe80:: is on every link */
	if (!svr_config_prefix_has(&prefix, gateway))
		bad(c, "must be an address in %s, the network of the interface%s",
		    svr_config_prefix_print(&prefix, text),
		    own->ip_address.family == 6 ? ", or a link-local one" : "");
	else if (svr_config_addr_equal(gateway, &own->ip_address))
		bad(c, "must not be the address of the interface itself");
	else
		check_host(c, &prefix, gateway);
}

static void check_role(struct checker *c, struct svr_cfg_network_interface *nif)
{
	bool wan = nif->n_neighborhood || nif->n_adjacency,
	     lan = nif->tenant || nif->n_tenant_prefixes;

	nif->role = wan ? SVR_CFG_ROLE_WAN : SVR_CFG_ROLE_LAN;
	if (wan && lan)
		bad(c,
		    "has both a tenant (or tenant-prefixes), which makes it LAN, and a neighborhood (or adjacency), which makes it WAN; "
		    "must be one of the two");
	else if (!wan && !lan)
		bad(c,
		    "must have a tenant or tenant-prefixes (LAN), or a neighborhood or adjacency (WAN)");
}

static void check_lan(struct checker *c, const struct svr_cfg_if_ref *ref, unsigned int r)
{
	struct svr_cfg_network_interface *nif = ref->cfg;
	unsigned int i, k;

	nif->tenant_index = -1;
	if (nif->tenant) {
		at(c, IF_POINTER "/tenant", IF_ARGS(r, ref));
		nif->tenant_index = REFER(c, tenants, "tenant", nif->tenant);
	}
	for (i = 0; i < nif->n_tenant_prefixes; i++) {
		struct svr_cfg_tenant_prefix *p = &nif->tenant_prefixes[i];

		at(c, IF_POINTER "/tenant-prefixes/%u/tenant", IF_ARGS(r, ref), i);
		p->tenant_index = (unsigned int)REFER(c, tenants, "tenant", p->tenant);
		at(c, IF_POINTER "/tenant-prefixes/%u/source-address", IF_ARGS(r, ref), i);
		for (k = 0; k < i; k++)
			if (same_prefix(&p->source_address,
					&nif->tenant_prefixes[k].source_address))
				bad(c, "stands in tenant-prefixes %u already", k);
	}
}

/* @base: of the object that `bfd` is a member of. */
static void check_bfd(struct checker *c, const struct svr_cfg_bfd *bfd, const char *base)
{
	at(c, "%s/bfd/maximum-hold-down-time", base);
	if (bfd->maximum_hold_down_time_s < bfd->hold_down_time_s)
		bad(c, "must not be shorter than hold-down-time (%u s)", bfd->hold_down_time_s);
}

static void check_link(struct checker *c, const struct svr_cfg_link *link, const char *base)
{
	const struct svr_cfg_port_range *ports = &link->port_range;

	at(c, "%s/port-range/end-port", base);
	if (ports->end_port < ports->start_port)
		bad(c, "must not be smaller than start-port (%u)", ports->start_port);
	else if (ports->end_port == ports->start_port)
		bad(c, "must be greater than start-port: one waypoint port is not enough");
	at(c, "%s/port-range", base);
	if (ports->start_port <= SVR_BFD_PORT && ports->end_port >= SVR_BFD_PORT)
		bad(c, "must not hold port %d, which belongs to BFD", SVR_BFD_PORT);
	check_bfd(c, &link->bfd, base);
}

static void check_wan(struct checker *c, const struct svr_cfg_if_ref *ref, unsigned int r)
{
	const struct svr_cfg_network_interface *nif = ref->cfg;
	char base[SVR_CFG_POINTER_LEN];
	unsigned int i;

	for (i = 0; i < nif->n_neighborhood; i++) {
		snprintf(base, sizeof(base), IF_POINTER "/neighborhood/%u", IF_ARGS(r, ref), i);
		check_link(c, &nif->neighborhood[i].link, base);
	}
	for (i = 0; i < nif->n_adjacency; i++) {
		const struct svr_cfg_addr *peer = &nif->adjacency[i].ip_address;
		const char *why = not_unicast(peer);

		at(c, IF_POINTER "/adjacency/%u/ip-address", IF_ARGS(r, ref), i);
		if (why)
			bad(c, "%s", why);
		else if (svr_config_addr_link_local(peer))
			bad(c, "link-local addresses mean another host on every link");
		else if (!svr_config_if_address(nif->address, nif->n_address, peer->family))
			bad(c, "this interface has no IPv%u address to reach it from",
			    peer->family);
		snprintf(base, sizeof(base), IF_POINTER "/adjacency/%u", IF_ARGS(r, ref), i);
		check_link(c, &nif->adjacency[i].link, base);
	}
}

static void check_if_address(struct checker *c, const struct svr_cfg_if_ref *ref, unsigned int r,
			     unsigned int i)
{
	const struct svr_cfg_network_interface *nif = ref->cfg;
	const struct svr_cfg_if_address *a = &nif->address[i];
	struct svr_cfg_prefix prefix;
	unsigned int k;

	at(c, IF_POINTER "/address/%u/prefix-length", IF_ARGS(r, ref), i);
	if (a->ip_address.family == 4 && a->prefix_length > 32) {
		bad(c, "must be an integer from 1 to 32 for an IPv4 address");
		return;
	}
	prefix = svr_config_if_prefix(a);
	at(c, IF_POINTER "/address/%u/ip-address", IF_ARGS(r, ref), i);
	if (svr_config_addr_link_local(&a->ip_address))
		bad(c, "link-local addresses are the kernel's business, no session uses them");
	else
		check_host(c, &prefix, &a->ip_address);
	for (k = 0; k < i; k++)
		if (svr_config_addr_equal(&a->ip_address, &nif->address[k].ip_address))
			bad(c, "stands in address %u already", k);
	at(c, IF_POINTER "/address/%u/gateway", IF_ARGS(r, ref), i);
	check_gateway(c, a, &a->gateway);
}

static void check_sizes(struct checker *c, const struct svr_cfg_if_ref *ref, unsigned int r)
{
	const struct svr_cfg_network_interface *nif = ref->cfg;
	bool v6 = svr_config_if_address(nif->address, nif->n_address, 6);
	unsigned int headers = v6 ? IP6_TCP_LEN : IP4_TCP_LEN;

	at(c, IF_POINTER "/mtu", IF_ARGS(r, ref));
	if (v6 && nif->mtu < IP6_MIN_MTU) {
		bad(c, "must be at least %d on an interface with an IPv6 address", IP6_MIN_MTU);
		return;
	}
	at(c, IF_POINTER "/enforced-mss", IF_ARGS(r, ref));
	if (nif->enforced_mss_mode == SVR_CFG_MSS_FIXED && nif->enforced_mss + headers > nif->mtu)
		bad(c, "must be at most mtu - %u (%u): %u bytes are the headers of IP%s and TCP",
		    headers, nif->mtu - headers, headers, v6 ? "v6" : "");
}

static void check_interface(struct checker *c, const struct svr_cfg_if_ref *ref, unsigned int r)
{
	unsigned int i;

	for (i = 0; i < ref->cfg->n_address; i++)
		check_if_address(c, ref, r, i);
	at(c, IF_POINTER "/outer-vlan", IF_ARGS(r, ref));
	if (ref->cfg->outer_vlan && !ref->cfg->vlan)
		bad(c, "needs an inner tag: vlan must be from 1 to 4094");
	at(c, IF_POINTER, IF_ARGS(r, ref));
	check_role(c, ref->cfg);
	check_lan(c, ref, r);
	check_wan(c, ref, r);
	check_sizes(c, ref, r);
}

static bool overlap(const struct svr_cfg_if_address *a, const struct svr_cfg_if_address *b)
{
	struct svr_cfg_prefix pa = svr_config_if_prefix(a), pb = svr_config_if_prefix(b);

	return svr_config_prefix_has(&pa, &b->ip_address) ||
	       svr_config_prefix_has(&pb, &a->ip_address);
}

/* Two interfaces of one router; @a stands before @b in the file. */
static void check_interface_pair(struct checker *c, const struct svr_cfg_if_ref *a,
				 const struct svr_cfg_if_ref *b, unsigned int r)
{
	unsigned int i, k;

	at(c, IF_POINTER "/name", IF_ARGS(r, b));
	if (a->cfg_device != b->cfg_device && !strcmp(a->cfg->name, b->cfg->name))
		bad(c,
		    "device-interface \"%s\" has a network-interface of this name; must be different in the whole router",
		    a->cfg_device->name);
	at(c, IF_POINTER "/vlan", IF_ARGS(r, b));
	if (a->cfg_device == b->cfg_device && a->cfg->vlan == b->cfg->vlan &&
	    a->cfg->outer_vlan == b->cfg->outer_vlan)
		bad(c, "network-interface \"%s\" of this device has the same VLAN", a->cfg->name);
	/* Once for each interface, not for each pair */
	at(c, IF_POINTER, IF_ARGS(r, b));
	if (!a->index && !strcmp(a->cfg_device->name, b->cfg_device->name) &&
	    a->cfg->role != b->cfg->role)
		bad(c,
		    "is %s, and network-interface \"%s\" of this device is %s; a device can have only one role",
		    svr_config_role_name(b->cfg->role), a->cfg->name,
		    svr_config_role_name(a->cfg->role));
	for (i = 0; i < a->cfg->n_address; i++) {
		for (k = 0; k < b->cfg->n_address; k++) {
			at(c, IF_POINTER "/address/%u/ip-address", IF_ARGS(r, b), k);
			if (overlap(&a->cfg->address[i], &b->cfg->address[k]))
				bad(c, "its network overlaps that of network-interface \"%s\"",
				    a->cfg->name);
		}
	}
}

/*
 * All routers that have static keys have the same ones: a router has one metadata key, and sends to
 * each peer under that of the peer.
 */
static void check_inter_router(struct checker *c, const struct svr_cfg_if_ref *ref, unsigned int r)
{
	const struct svr_cfg_network_interface *nif = ref->cfg;
	struct svr_config *cfg = c->cfg;
	int index;

	at(c, IF_POINTER "/inter-router-security", IF_ARGS(r, ref));
	if (!nif->inter_router_security)
		return;
	index = REFER(c, policies, "security policy", nif->inter_router_security);
	if (index < 0)
		return;
	if (nif->role != SVR_CFG_ROLE_WAN) {
		bad(c, "is for WAN interfaces only");
	} else if (cfg->enhanced_security_key_management) {
		warn(c, "has no effect: with enhanced-security-key-management keys are agreed");
	} else if (!cfg->policies[index].encrypt) {
		bad(c, "must name a policy that encrypts: metadata is always encrypted");
	} else if (cfg->static_policy >= 0 && cfg->static_policy != index) {
		bad(c, "must be \"%s\" as on the other WAN interfaces of the authority",
		    cfg->policies[cfg->static_policy].name);
	} else {
		cfg->static_policy = index;
	}
}

/* Once all interfaces were seen: none of those that lead to a peer may have been forgotten. */
static void check_inter_router_all(struct checker *c)
{
	struct svr_config *cfg = c->cfg;
	struct svr_cfg_if_ref ref;
	bool needed = false;
	unsigned int i;

	for (i = 0; i < cfg->n_policies; i++)
		needed |= protects(&cfg->policies[i]);
	if (cfg->enhanced_security_key_management || (!needed && cfg->static_policy < 0))
		return;
	for (i = 0; i < cfg->n_routers; i++) {
		ref = (struct svr_cfg_if_ref){ 0 };
		while (svr_config_next_if(&cfg->routers[i], &ref)) {
			if (ref.cfg->role != SVR_CFG_ROLE_WAN || ref.cfg->inter_router_security)
				continue;
			at(c, IF_POINTER "/inter-router-security", IF_ARGS(i, &ref));
			bad(c, "is missing: without enhanced-security-key-management it names the policy whose keys "
			       "protect metadata and packets between routers");
		}
	}
}

static void check_interfaces(struct checker *c, unsigned int r)
{
	const struct svr_cfg_router *router = &c->cfg->routers[r];
	struct svr_cfg_if_ref a, b = { 0 };
	unsigned int zones = 0;

	while (svr_config_next_if(router, &b)) {
		zones++;
		check_interface(c, &b, r);
		check_inter_router(c, &b, r);
		a = (struct svr_cfg_if_ref){ 0 };
		while (svr_config_next_if(router, &a) && a.cfg != b.cfg)
			check_interface_pair(c, &a, &b, r);
	}
	at(c, "/authority/router/%u/node", r);
	if (zones >= SVR_MAX_ZONES)
		bad(c, "a router has at most %d network interfaces, this one has %u",
		    SVR_MAX_ZONES - 1, zones);
}

/* ---- routers --------------------------------------------------------------------------------- */

static void check_common_name(struct checker *c, unsigned int r)
{
	struct svr_config *cfg = c->cfg;
	struct svr_cfg_router *router = &cfg->routers[r];
	unsigned int k;

	at(c, "/authority/router/%u", r);
	if (!router->peering_common_name && cfg->enhanced_security_key_management)
		bad(c,
		    "member \"peering-common-name\" is missing: with enhanced-security-key-management it is the identity of the router");
	if (!router->peering_common_name)
		router->peering_common_name = router->name;
	at(c, "/authority/router/%u/peering-common-name", r);
	for (k = 0; k < r; k++)
		if (!strcasecmp(cfg->routers[k].peering_common_name, router->peering_common_name))
			bad(c, "router \"%s\" has the same one (upper and lower case do not count)",
			    cfg->routers[k].name);
	at(c, "/authority/router/%u/certificate/fingerprint", r);
	for (k = 0; router->has_fingerprint && k < r; k++)
		if (cfg->routers[k].has_fingerprint &&
		    !memcmp(cfg->routers[k].fingerprint, router->fingerprint,
			    SVR_CFG_FINGERPRINT_LEN))
			bad(c,
			    "router \"%s\" has the same one: two routers must not share a certificate",
			    cfg->routers[k].name);
}

static void check_peers(struct checker *c, unsigned int r)
{
	struct svr_config *cfg = c->cfg;
	struct svr_cfg_router *router = &cfg->routers[r];
	unsigned int i, k;
	int index;

	for (i = 0; i < router->n_peer; i++) {
		struct svr_cfg_peer *p = &router->peer[i];

		at(c, "/authority/router/%u/peer/%u/router-name", r, i);
		index = REFER(c, routers, "router", p->router_name);
		if (index < 0)
			continue;
		p->router_index = (unsigned int)index;
		if (p->router_index == r)
			bad(c, "a router is not its own peer");
		for (k = 0; k < i; k++)
			if (!strcmp(p->router_name, router->peer[k].router_name))
				bad(c, "peer \"%s\" leads to this router already",
				    router->peer[k].name);
		at(c, "/authority/router/%u/peer/%u/name", r, i);
		index = SVR_CFG_INDEX(cfg->routers, cfg->n_routers, p->name);
		if (index >= 0 && (unsigned int)index != p->router_index)
			bad(c,
			    "is the name of another router than the one that this peer leads to");
	}
}

int svr_config_peer_router(const struct svr_config *cfg, unsigned int router, const char *peer,
			   int *listed)
{
	const struct svr_cfg_router *own = &cfg->routers[router];
	unsigned int i;
	int index;

	*listed = SVR_CFG_INDEX(own->peer, own->n_peer, peer);
	if (*listed >= 0)
		return (int)own->peer[*listed].router_index;
	index = SVR_CFG_INDEX(cfg->routers, cfg->n_routers, peer);
	if (index == (int)router)
		return -1;
	for (i = 0; index >= 0 && i < own->n_peer; i++)
		if (own->peer[i].router_index == (unsigned int)index)
			return -1; /* has another name here */
	return index;
}

static void check_peer_name(struct checker *c, unsigned int r, const char *name)
{
	int listed;

	if (svr_config_peer_router(c->cfg, r, name, &listed) < 0)
		bad(c,
		    "there is no peer called \"%s\": neither in the peer list of this router, nor another router of this name "
		    "that has no entry there",
		    name);
}

static void check_adjacencies(struct checker *c, unsigned int r)
{
	struct svr_cfg_if_ref ref = { 0 };
	unsigned int i;

	while (svr_config_next_if(&c->cfg->routers[r], &ref)) {
		for (i = 0; i < ref.cfg->n_adjacency; i++) {
			at(c, IF_POINTER "/adjacency/%u/peer", IF_ARGS(r, &ref), i);
			check_peer_name(c, r, ref.cfg->adjacency[i].peer);
		}
	}
}

/* ---- alarms ---------------------------------------------------------------------------------- */

static void check_shelves(struct checker *c)
{
	const struct svr_cfg_alarm_shelving *s = &c->cfg->alarm_shelving;

	for (unsigned int i = 0; i < s->n_shelf; i++) {
		const struct svr_cfg_shelf *shelf = &s->shelf[i];

		at(c, "/authority/alarm-shelving/shelf/%u", i);
		if (!shelf->n_category && !shelf->n_severity && !shelf->source &&
		    !shelf->router_name && !shelf->router_name_regex && !shelf->node_name &&
		    !shelf->node_name_regex && !shelf->message_regex)
			bad(c, "needs at least one rule: category, severity, source, router-name, node-name or a regular expression");
	}
}

/* ---- routes ---------------------------------------------------------------------------------- */

/* The address of the interface in whose network @addr is; NULL when there is none. */
static const struct svr_cfg_if_address *network_with(const struct svr_cfg_network_interface *nif,
						     const struct svr_cfg_addr *addr)
{
	unsigned int i;

	for (i = 0; i < nif->n_address; i++) {
		struct svr_cfg_prefix prefix = svr_config_if_prefix(&nif->address[i]);

		if (svr_config_prefix_has(&prefix, addr))
			return &nif->address[i];
	}
	return NULL;
}

static void check_route_gateway(struct checker *c, const struct svr_cfg_network_interface *nif,
				const struct svr_cfg_addr *gateway)
{
	const struct svr_cfg_if_address *own = network_with(nif, gateway);

	if (!own) /* of its family, so that the complaint names the network that could be meant */
		own = svr_config_if_address(nif->address, nif->n_address, gateway->family);
	if (own)
		check_gateway(c, own, gateway);
	else if (gateway->family)
		bad(c, "network-interface \"%s\" has no IPv%u address", nif->name, gateway->family);
}

/* True when every destination in @prefix is on the link of @nif. */
static bool on_link(const struct svr_cfg_network_interface *nif,
		    const struct svr_cfg_prefix *prefix)
{
	const struct svr_cfg_if_address *own = network_with(nif, &prefix->addr);

	return own && prefix->len >= own->prefix_length;
}

static void check_next_hop(struct checker *c, unsigned int r, unsigned int i)
{
	const struct svr_cfg_router *router = &c->cfg->routers[r];
	const struct svr_cfg_service_route *route = &router->service_route[i];
	const struct svr_cfg_service *service = &c->cfg->services[route->service_index];
	struct svr_cfg_if_ref ref = { 0 };
	unsigned int k;

	while (svr_config_next_if(router, &ref))
		if (!strcmp(ref.cfg->name, route->next_hop_interface))
			break;
	at(c, "/authority/router/%u/service-route/%u/next-hop/interface", r, i);
	if (!ref.cfg || strcmp(ref.cfg->name, route->next_hop_interface)) {
		bad(c, "this router has no network-interface called \"%s\"",
		    route->next_hop_interface);
		return;
	}
	if (ref.cfg->role != SVR_CFG_ROLE_LAN) {
		bad(c,
		    "network-interface \"%s\" is WAN; only LAN interfaces can be a next hop, sessions leave a WAN interface towards peers "
		    "only",
		    ref.cfg->name);
		return;
	}
	at(c, "/authority/router/%u/service-route/%u/next-hop/gateway", r, i);
	check_route_gateway(c, ref.cfg, &route->next_hop_gateway);
	at(c, "/authority/router/%u/service-route/%u/next-hop", r, i);
	for (k = 0; k < service->n_address; k++) {
		const struct svr_cfg_prefix *to = &service->address[k];

		if (route->next_hop_gateway.family == to->addr.family || on_link(ref.cfg, to))
			continue;
		warn(c,
		     "has no IPv%u gateway, but service \"%s\" reaches beyond the network of \"%s\": every destination must answer %s there",
		     to->addr.family, service->name, ref.cfg->name,
		     to->addr.family == 4 ? "ARP" : "neighbour solicitations");
		break;
	}
}

static void check_routes(struct checker *c, unsigned int r)
{
	struct svr_cfg_router *router = &c->cfg->routers[r];
	unsigned int i, k;
	int index;

	for (i = 0; i < router->n_service_route; i++) {
		struct svr_cfg_service_route *route = &router->service_route[i];

		at(c, "/authority/router/%u/service-route/%u/service-name", r, i);
		index = REFER(c, services, "service", route->service_name);
		if (index < 0)
			continue;
		route->service_index = (unsigned int)index;
		for (k = 0; k < i; k++)
			if (!strcmp(route->service_name, router->service_route[k].service_name))
				bad(c,
				    "service-route \"%s\" leads to this service already; more than one route of a router to a service is "
				    "not supported yet",
				    router->service_route[k].name);
		at(c, "/authority/router/%u/service-route/%u", r, i);
		if (!route->peer == !route->next_hop_interface) {
			bad(c, "must have either a peer or a next-hop");
		} else if (route->peer) {
			at(c, "/authority/router/%u/service-route/%u/peer", r, i);
			check_peer_name(c, r, route->peer);
		} else {
			check_next_hop(c, r, i);
		}
	}
}

int svr_config_check(struct svr_config *cfg, struct svr_cfg_arena **arena,
		     struct svr_config_errors *errs)
{
	struct checker c = { .cfg = cfg, .arena = arena, .place = { .errs = errs } };
	char base[SVR_CFG_POINTER_LEN];
	unsigned int r;
	int err;

	cfg->static_policy = -1;
	check_policies(&c);
	check_key_management(&c);
	check_shelves(&c);
	check_tenants(&c);
	err = check_session_types(&c);
	if (!err)
		err = check_services(&c);
	if (err)
		return err;
	for (r = 0; r < cfg->n_routers; r++) {
		check_common_name(&c, r);
		snprintf(base, sizeof(base), "/authority/router/%u", r);
		check_bfd(&c, &cfg->routers[r].bfd, base);
		check_interfaces(&c, r);
		check_peers(&c, r);
	}
	check_inter_router_all(&c);
	if (errs->n_errors)
		return 0; /* the names and interfaces that the rest looks up are not settled */
	for (r = 0; r < cfg->n_routers; r++) {
		check_adjacencies(&c, r);
		check_routes(&c, r);
	}
	return 0;
}
