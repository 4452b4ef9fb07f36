// SPDX-License-Identifier: BSD-2-Clause
/*
 * `svr show sessions`: two rows per session in SSR's columns, or one session in all detail. Never a
 * byte of a key.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include "lib/addr.h"
#include "lib/config.h"
#include "lib/epoch.h"
#include "lib/now.h"
#include "lib/tcpstate.h"
#include "lib/uuid.h"
#include "lib/wirename.h"
#include "sys/flows.h"
#include "sys/sessiontype.h"

#include "cli.h"
#include "state.h"

enum { SESSIONS_SERVICE, SESSIONS_ID };
const struct svr_arg svr_show_sessions_args[] = {
	[SESSIONS_SERVICE] = { "service-name", "NAME", NULL, false, false, "of one service only" },
	[SESSIONS_ID] = { "by-id", "UUID", NULL, false, false, "one session in detail" },
	{},
};

enum { NS_PER_MS = 1000000, MS_PER_SEC = 1000 };

struct entry {
	struct svr_flow6_key key;
	struct svr_flow flow;
};

struct sessions {
	struct svr_out *o;
	const struct svr_state *s;
	struct entry *list;
	size_t n, cap;
	const char *service; /* NULL: all */
	const uint8_t *id; /* NULL: all */
};

/* The two flows of a session; one of them may be missing. */
struct session {
	const struct entry *fwd, *rev;
	const struct svr_session *w; /* the worker's record, NULL: clear session */
};

/* ---- collecting ----------------------------------------------------------------------------- */

static bool wanted(const struct sessions *c, const struct svr_flow *f)
{
	const char *name;

	if (c->id && memcmp(f->uuid, c->id, SVR_UUID_LEN))
		return false;
	if (!c->service)
		return true;
	name = svr_state_service(c->s, f->service);
	return name && !strcmp(name, c->service);
}

static int collect(const struct svr_flow6_key *key, const struct svr_flow *flow, void *user)
{
	struct sessions *c = user;

	if (!(flow->flags & SVR_FLOW_VALID) || !wanted(c, flow))
		return 0;
	if (c->n == c->cap) {
		size_t cap = c->cap ? 2 * c->cap : 256;
		struct entry *bigger = reallocarray(c->list, cap, sizeof(*bigger));

		if (!bigger)
			return -ENOMEM;
		c->list = bigger;
		c->cap = cap;
	}
	c->list[c->n++] = (struct entry){ *key, *flow };
	return 0;
}

static bool is_rev(const struct entry *e)
{
	return e->flow.flags & SVR_FLOW_REV;
}

/* By session, its forward flow before its reverse flow. */
static int compare(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	int c = memcmp(x->flow.uuid, y->flow.uuid, SVR_UUID_LEN);

	if (!c)
		return is_rev(x) - is_rev(y);
	return c;
}

static const struct svr_session *record_of(const struct sessions *c, const struct entry *e)
{
	const struct svr_session *w;

	if (!e || !(e->flow.flags & SVR_FLOW_WORKER) || !e->flow.slot ||
	    e->flow.slot >= c->s->m.count.sessions)
		return NULL;
	w = &c->s->m.sessions[e->flow.slot];
	return w->state != SVR_SESSION_FREE && w->generation == e->flow.slot_generation &&
			       !memcmp(w->uuid, e->flow.uuid, SVR_UUID_LEN) ?
		       w :
		       NULL;
}

/* The session that begins at entry *@i; moves *@i behind it. */
static struct session session_at(const struct sessions *c, size_t *i)
{
	const struct entry *first = &c->list[*i];
	struct session x = {};

	for (; *i < c->n && !memcmp(c->list[*i].flow.uuid, first->flow.uuid, SVR_UUID_LEN);
	     (*i)++) {
		if (is_rev(&c->list[*i]))
			x.rev = &c->list[*i];
		else
			x.fwd = &c->list[*i];
	}
	x.w = record_of(c, first);
	return x;
}

/* ---- what both views need ------------------------------------------------------------------- */

static const struct entry *any(const struct session *x)
{
	return x->fwd ? x->fwd : x->rev;
}

/* Protocol of the host's packets, as the worker sees it: what has no ports crosses the WAN as UDP,
 * but is none.
 */
static uint8_t host_proto(const struct session *x)
{
	const struct entry *e = any(x);

	if (x->w)
		return x->w->lan.proto;
	return e->flow.flags & SVR_FLOW_ENCAP ? e->key.proto : e->flow.proto;
}

/* Does only what comes back keep it alive? As the worker sees it (worker/gc.c, worker/session.c). */
static bool alive_by_answers(const struct session *x)
{
	if (any(x)->key.proto == IPPROTO_TCP)
		return false;
	if (x->w)
		return x->w->originator && !x->w->meta_add;
	return x->fwd && x->rev && x->fwd->flow.flags & SVR_FLOW_ORIGINATOR &&
	       !(x->fwd->flow.flags & SVR_FLOW_META_ADD);
}

static uint64_t last_seen(const struct session *x)
{
	uint64_t a, b;

	if (x->w) {
		a = x->w->last_lan_ns;
		b = x->w->last_wan_ns;
	} else {
		a = x->fwd ? x->fwd->flow.last_seen_ns : 0;
		b = x->rev ? x->rev->flow.last_seen_ns : 0;
	}
	return a > b && !alive_by_answers(x) ? a : b;
}

static uint64_t created(const struct session *x)
{
	return any(x)->flow.created_sec * SVR_NS_PER_SEC;
}

/* As the worker sees it. */
static bool established(const struct session *x)
{
	if (any(x)->key.proto == IPPROTO_TCP)
		return x->w ? svr_tcp_established(x->w->tcp_lan, x->w->tcp_wan) :
			      x->fwd && x->rev &&
				       svr_tcp_established(x->fwd->flow.tcp_seen, x->rev->flow.tcp_seen);
	if (x->w)
		return x->w->packets[0] && x->w->packets[1];
	return x->fwd && x->rev && x->fwd->flow.packets && x->rev->flow.packets;
}

static bool closing(const struct session *x)
{
	if (x->w)
		return x->w->closing;
	return (x->fwd && x->fwd->flow.flags & SVR_FLOW_CLOSING) ||
	       (x->rev && x->rev->flow.flags & SVR_FLOW_CLOSING);
}

static const char *state_of(const struct session *x)
{
	if (x->w && x->w->state == SVR_SESSION_SETUP)
		return "SETUP";
	return closing(x) ? "CLOSING" : established(x) ? "ESTABLISHED" : "INITIAL";
}

/*
 * Time until the worker ends the session if nothing passes, in seconds; a session that closes has
 * none left to speak of.
 */
static uint64_t timeout_sec(const struct sessions *c, const struct session *x)
{
	const uint32_t none[3] = { SVR_CFG_TIMEOUT_TCP_MS, SVR_CFG_TIMEOUT_UDP_MS,
				   SVR_CFG_TIMEOUT_ICMP_MS };
	const struct svr_flow *f = &any(x)->flow;
	const uint8_t proto = host_proto(x);
	unsigned int row = proto == IPPROTO_TCP ? 0 : proto == IPPROTO_UDP ? 1 : 2;
	uint64_t total_ms = SVR_CFG_TIMEOUT_INITIAL_MS, idle_ms, seen = last_seen(x);
	const struct svr_service *service = NULL;
	const struct svr_session_type *type = NULL;

	if (svr_state_service(c->s, f->service))
		service = &c->s->m.services[f->service];
	if (closing(x))
		return 0;
	if (service && x->w)
		type = svr_session_type_of_record(&c->s->m, x->w, service);
	else if (service)
		type = svr_session_type_of_flow(&c->s->m, &any(x)->key, f, service);
	if (type)
		total_ms = established(x) ? type->timeout_ms : type->initial_timeout_ms;
	else if (established(x))
		total_ms = service ? service->timeout_ms[row] : none[row];
	else if (service)
		total_ms = service->initial_timeout_ms[row];
	idle_ms = c->s->now_ns > seen ? (c->s->now_ns - seen) / NS_PER_MS : 0;
	return idle_ms < total_ms ? (total_ms - idle_ms) / MS_PER_SEC : 0;
}

static uint64_t age_ns(const struct sessions *c, uint64_t since)
{
	return c->s->now_ns > since ? c->s->now_ns - since : 0;
}

/* What passed on a flow: the worker counts its sessions by side and leaves the flows alone. */
struct traffic {
	uint64_t packets, bytes, last_seen_ns;
};

static struct traffic traffic_of(const struct session *x, const struct entry *e)
{
	bool from_wan = e->flow.flags & SVR_FLOW_FROM_WAN;

	if (!x->w)
		return (struct traffic){ e->flow.packets, e->flow.bytes, e->flow.last_seen_ns };
	return (struct traffic){ x->w->packets[from_wan], x->w->bytes[from_wan],
				 from_wan ? x->w->last_wan_ns : x->w->last_lan_ns };
}

static void print_age(struct svr_out *o, const char *key, const char *title, uint64_t ns)
{
	char text[SVR_STATE_AGE_LEN];

	svr_out_u64_as(o, key, title, ns / NS_PER_MS / MS_PER_SEC, "%s", svr_state_age(ns, text));
}

static uint8_t cipher_of(const struct session *x)
{
	return x->w ? x->w->cipher : SVR_CIPHER_NONE;
}

static void print_security(struct svr_out *o, const struct session *x)
{
	svr_out_bool(o, "payload_encrypted", "Payload Encrypted", cipher_of(x) != SVR_CIPHER_NONE);
	svr_out_str(o, "cipher", "Cipher", svr_cipher_name(cipher_of(x)));
	svr_out_str(o, "hmac_mode", "HMAC Mode",
		    svr_hmac_mode_name(x->w ? x->w->hmac_mode : SVR_HMAC_MODE_DISABLED));
	svr_out_str(o, "hmac", "HMAC", svr_hmac_name(x->w ? x->w->hmac : SVR_HMAC_NONE));
}

/* ---- table ---------------------------------------------------------------------------------- */

static void print_row(const struct sessions *c, const struct session *x, const struct entry *e)
{
	char uuid[SVR_UUID_STRLEN], addr[SVR_STATE_ADDR_LEN], proto[4];
	const struct svr_flow *f = &e->flow;
	const struct svr_zone *z = svr_state_zone(c->s, e->key.zone) ? &c->s->m.zones[e->key.zone] :
								       NULL;
	/* As SSR prints it: the address that the source gets, zero if it keeps its own */
	bool nat = memcmp(f->saddr, e->key.saddr, sizeof(f->saddr)) || f->sport != e->key.sport;
	const struct traffic t = traffic_of(x, e);
	const __be32 none[4] = {};
	struct svr_out *o = c->o;

	svr_uuid_print(f->uuid, uuid);
	svr_out_item_begin(o);
	svr_out_str(o, "session_id", "Session Id", uuid);
	svr_out_str(o, "direction", "Dir", is_rev(e) ? "rev" : "fwd");
	svr_out_str(o, "service", "Service", svr_state_service(c->s, f->service));
	svr_out_str(o, "tenant", "Tenant", svr_state_tenant(c->s, f->tenant));
	svr_out_str(o, "device", "Dev Name", z ? z->device : NULL);
	svr_out_str(o, "interface", "Intf Name", z ? z->name : NULL);
	svr_out_u64(o, "vlan", "VLAN", z ? z->vlan : 0);
	svr_out_str(o, "protocol", "Proto", svr_state_proto(e->key.proto, proto));
	svr_out_str(o, "source_address", "Src IP", svr_state_addr(e->key.saddr, addr));
	svr_out_u64(o, "source_port", "Src Port", ntohs(e->key.sport));
	svr_out_str(o, "destination_address", "Dest IP", svr_state_addr(e->key.daddr, addr));
	svr_out_u64(o, "destination_port", "Dest Port", ntohs(e->key.dport));
	svr_out_str(o, "nat_address", "NAT IP",
		    nat			       ? svr_state_addr(f->saddr, addr) :
		    svr_addr_is_mapped(e->key.saddr) ? svr_state_addr4(none, addr) :
						       svr_state_addr(none, addr));
	svr_out_u64(o, "nat_port", "NAT Port", nat ? ntohs(f->sport) : 0);
	print_security(o, x);
	svr_out_u64(o, "timeout", "Timeout", timeout_sec(c, x));
	print_age(o, "uptime", "Uptime", age_ns(c, created(x)));
	svr_out_str(o, "state", NULL, state_of(x));
	svr_out_u64(o, "packets", NULL, t.packets);
	svr_out_u64(o, "bytes", NULL, t.bytes);
	svr_out_bool(o, "worker", NULL, f->flags & SVR_FLOW_WORKER);
	svr_out_item_end(o);
}

static void print_table(const struct sessions *c)
{
	svr_out_list_begin(c->o, NULL, SVR_OUT_TABLE, "no sessions");
	for (size_t i = 0; i < c->n;) {
		struct session x = session_at(c, &i);

		if (x.fwd)
			print_row(c, &x, x.fwd);
		if (x.rev)
			print_row(c, &x, x.rev);
	}
	svr_out_list_end(c->o);
}

/* ---- one session ---------------------------------------------------------------------------- */

static void print_bits(struct svr_out *o, const char *key, const char *title, uint32_t bits,
		       const char *const *names, unsigned int n)
{
	svr_out_inline_begin(o, key, title);
	for (unsigned int i = 0; i < n; i++) {
		if (bits >> i & 1)
			svr_out_str(o, NULL, NULL, names[i]);
	}
	svr_out_list_end(o);
}

enum { ENDPOINT_LEN = SVR_STATE_ADDR_LEN + sizeof("[]:65535") };

/* 192.0.2.1:80 or [2001:db8::1]:80, RFC 5952 section 6 */
static const char *endpoint(const __be32 addr[static 4], __be16 port, char buf[static ENDPOINT_LEN])
{
	char text[SVR_STATE_ADDR_LEN];
	bool v4 = svr_addr_is_mapped(addr);

	snprintf(buf, ENDPOINT_LEN, "%s%s%s:%u", v4 ? "" : "[", svr_state_addr(addr, text),
		 v4 ? "" : "]", ntohs(port));
	return buf;
}

static void print_tuple(struct svr_out *o, const char *key, const char *title,
			const __be32 saddr[static 4], __be16 sport, const __be32 daddr[static 4],
			__be16 dport)
{
	char from[ENDPOINT_LEN], to[ENDPOINT_LEN];

	svr_out_fmt(o, key, title, "%s -> %s", endpoint(saddr, sport, from),
		    endpoint(daddr, dport, to));
}

/* The worker keeps the bits of its sessions by side, XDP those of its flows by flow. */
static uint8_t tcp_seen(const struct session *x, const struct entry *e)
{
	if (!x->w)
		return e->flow.tcp_seen;
	return e->flow.flags & SVR_FLOW_FROM_WAN ? x->w->tcp_wan : x->w->tcp_lan;
}

static void print_flow(const struct sessions *c, const struct session *x, const struct entry *e,
		       const char *key, const char *title)
{
	static const char *const flags[] = { "valid",	"reverse",	"from-wan",
					     "worker",	"metadata-add", "metadata-watch",
					     "closing", "originator",
					     "out-ipv6", "encapsulate",
					     "decapsulate" };
	static const char *const tcp[] = { "syn", "fin", "rst", "data" };
	char mac[SVR_STATE_MAC_LEN];
	const struct svr_mapset *m = &c->s->m;
	const struct traffic t = traffic_of(x, e);
	const struct svr_flow *f = &e->flow;
	int64_t row = svr_flow_row(m, &e->key);
	struct svr_out *o = c->o;

	svr_out_record_begin(o, key, title);
	if (row >= 0) {
		svr_out_str(o, "map", "Map", svr_key_is4(&e->key) ? "svr_flows4" : "svr_flows6");
		svr_out_u64(o, "row", "Row", (uint64_t)row);
	}
	print_tuple(o, "key", "Key", e->key.saddr, e->key.sport, e->key.daddr, e->key.dport);
	svr_out_str(o, "interface", "Arrives At", svr_state_zone(c->s, e->key.zone));
	print_tuple(o, "rewritten", "Rewritten To", f->saddr, f->sport, f->daddr, f->dport);
	svr_out_str(o, "out_interface", "Leaves By", svr_state_zone(c->s, f->out_zone));
	svr_out_u64(o, "next_hop", "Next Hop", f->nexthop);
	if (f->nexthop < m->count.nexthops && m->nexthops[f->nexthop].valid)
		svr_out_str(o, "next_hop_mac", "Next Hop MAC",
			    svr_state_mac(m->nexthops[f->nexthop].dmac, mac));
	else
		svr_out_str(o, "next_hop_mac", "Next Hop MAC", NULL);
	print_bits(o, "flags", "Flags", f->flags, flags, sizeof(flags) / sizeof(flags[0]));
	if (e->key.proto == IPPROTO_TCP)
		print_bits(o, "tcp_seen", "TCP Seen", tcp_seen(x, e), tcp,
			   sizeof(tcp) / sizeof(tcp[0]));
	svr_out_u64(o, "packets", "Packets", t.packets);
	svr_out_u64(o, "bytes", "Bytes", t.bytes);
	if (!x->w)
		svr_out_u64(o, "metadata_packets", "Packets With Metadata Added", f->meta_packets);
	print_age(o, "idle", "Idle", age_ns(c, t.last_seen_ns));
	svr_out_record_end(o);
}

/* Of the epoch that this router sends under, and of the other one if there is one. */
static void print_keys(const struct sessions *c, const struct session *x)
{
	const struct svr_session *w = x->w;
	const struct svr_session_other *others = c->s->m.session_others;
	const struct svr_epochs e = svr_epochs_of(w, others);
	const struct svr_session_keys *tx = svr_epoch_keys_const(w, others, e.tx);
	const struct svr_session_keys *other =
		svr_epoch_keys_const(w, others, e.offered ? e.newest : e.older);
	struct svr_out *o = c->o;

	if (tx) {
		svr_out_u64(o, "peer_key_index", "Peer Key Index", tx->peer_key_index);
		svr_out_u64(o, "epoch", "Key Epoch", tx->epoch);
		print_age(o, "key_age", "Key Age", age_ns(c, tx->since_ns));
	}
	svr_out_u64(o, "rekeys", "Rekeys", w->rekeys);
	if (other) {
		svr_out_u64(o, e.offered ? "offered_epoch" : "previous_epoch",
			    e.offered ? "Key Epoch Offered" : "Key Epoch Before", other->epoch);
		svr_out_u64(o, e.offered ? "offered_peer_key_index" : "previous_peer_key_index",
			    e.offered ? "Peer Key Index Offered" : "Peer Key Index Before",
			    other->peer_key_index);
	}
}

static void print_worker(const struct sessions *c, const struct session *x)
{
	const struct svr_session *w = x->w;
	struct svr_out *o = c->o;

	svr_out_record_begin(o, "worker", "Worker");
	svr_out_u64(o, "slot", "Slot", any(x)->flow.slot);
	svr_out_u64(o, "generation", "Slot Generation", w->generation);
	print_keys(c, x);
	svr_out_str(o, NULL, "Keys", "(hidden)");
	svr_out_u64(o, "encryption_counter", "Current Encryption Index", w->tx_counter);
	svr_out_u64(o, "decryption_counter", "Current Decryption Index", w->replay.top);
	svr_out_record_end(o);
}

static bool metadata_added(const struct session *x)
{
	if (x->w)
		return x->w->meta_add;
	return (x->fwd && x->fwd->flow.flags & SVR_FLOW_META_ADD) ||
	       (x->rev && x->rev->flow.flags & SVR_FLOW_META_ADD);
}

static void print_detail(const struct sessions *c, const struct session *x)
{
	char uuid[SVR_UUID_STRLEN], proto[4], addr[SVR_STATE_ADDR_LEN];
	const struct svr_flow *f = &any(x)->flow;
	const struct svr_path *path = svr_state_path(c->s, f->path) ? &c->s->m.paths[f->path] :
								      NULL;
	struct svr_out *o = c->o;

	svr_uuid_print(f->uuid, uuid);
	svr_out_record_begin(o, NULL, NULL);
	svr_out_str(o, "session_id", "Session Id", uuid);
	svr_out_str(o, "service", "Service Name", svr_state_service(c->s, f->service));
	svr_out_str(o, "tenant", "Source Tenant", svr_state_tenant(c->s, f->tenant));
	svr_out_str(o, "source", "Session Source", f->flags & SVR_FLOW_ORIGINATOR ? "lan" : "peer");
	svr_out_str(o, "protocol", "Protocol", svr_state_proto(host_proto(x), proto));
	svr_out_str(o, "state", "Session State", state_of(x));
	svr_out_str(o, "peer", "Peer Name", path ? svr_state_peer(c->s, path->peer) : NULL);
	svr_out_str(o, "path", "Peer Path", path ? path->name : NULL);
	svr_out_str(o, "local_waypoint", "Local Waypoint",
		    path ? svr_state_addr(path->local, addr) : NULL);
	svr_out_str(o, "remote_waypoint", "Remote Waypoint",
		    path ? svr_state_addr(path->remote, addr) : NULL);
	svr_out_str(o, "security_policy", "Security Policy", svr_state_policy(c->s, f->policy));
	print_security(o, x);
	svr_out_bool(o, "metadata_adding", "Metadata Is Added", metadata_added(x));
	if (x->w)
		svr_out_bool(o, "metadata_seen", "Peer's Metadata Seen", x->w->meta_seen);
	svr_out_u64(o, "timeout", "Timeout", timeout_sec(c, x));
	print_age(o, "uptime", "Uptime", age_ns(c, created(x)));
	if (x->w)
		print_worker(c, x);
	if (x->fwd)
		print_flow(c, x, x->fwd, "forward_flow", "Forward Flow");
	if (x->rev)
		print_flow(c, x, x->rev, "reverse_flow", "Reverse Flow");
	svr_out_record_end(o);
}

/* ---- command -------------------------------------------------------------------------------- */

static int check_service(struct svr_cli *cli, const struct svr_state *s, const char *name)
{
	for (uint32_t i = 1; i < s->m.count.services; i++) {
		const char *service = svr_state_service(s, i);

		if (service && !strcmp(service, name))
			return 0;
	}
	return svr_cli_usage(cli, "router %s has no service \"%s\"; see: svr show services",
			     s->router, name);
}

int svr_show_sessions_run(struct svr_cli *cli, const char *const *val)
{
	struct sessions c = { .o = cli->out, .service = val[SESSIONS_SERVICE] };
	uint8_t id[SVR_UUID_LEN];
	struct svr_state s;
	size_t first = 0;
	int err;

	if (val[SESSIONS_ID]) {
		if (svr_uuid_parse(val[SESSIONS_ID], id))
			return svr_cli_usage(
				cli,
				"\"%s\" is no session id; one looks like 550e8400-e29b-41d4-a716-446655440000",
				val[SESSIONS_ID]);
		c.id = id;
	}
	err = svr_state_open(cli, &s);
	if (err)
		return err;
	c.s = &s;
	if (c.service) {
		err = check_service(cli, &s, c.service);
		if (err)
			goto out;
	}
	err = svr_flow_walk_all(&s.m, collect, &c);
	if (err) {
		svr_cli_error(cli, err, "%s: cannot walk over the flow tables: %s", s.m.dir, strerror(-err));
		goto out;
	}
	if (c.n)
		qsort(c.list, c.n, sizeof(*c.list), compare);
	if (!c.id) {
		print_table(&c);
	} else if (!c.n) {
		err = svr_cli_error(cli, -ENOENT, "router %s has no session %s%s%s", s.router,
				    val[SESSIONS_ID], c.service ? " of service " : "",
				    c.service ? c.service : "");
	} else {
		struct session x = session_at(&c, &first);

		print_detail(&c, &x);
	}
out:
	free(c.list);
	svr_state_close(&s);
	return err;
}
