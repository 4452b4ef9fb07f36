// SPDX-License-Identifier: BSD-2-Clause
/*
 * Control socket "keymgr". Commands:
 *
 *	show peers		one object per path: peer, node, network_interface, destination, status, hostname, path_mtu, uptime_s
 *	show peers detail	the same and latency, jitter, loss, MOS, timers of BFD, why the path went down how often
 *	show peers security	the same as show peers and security_status, salts, indexes, what was received and acknowledged, reason, clock offset
 *	show peers certificate	the same as show peers and what stands in the own and in the peer's certificate
 *	show stats		counters of the process and of each path
 *	keys			see show_keys.c
 *	alarms and events	see alarms_ctl.c
 *
 * No answer ever holds a key; of a salt, which is no secret, only the first bytes.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include <json-c/json.h>

#include "alarms.h"
#include "certs.h"
#include "keymgr.h"
#include "lib/bytes.h"
#include "sys/ctl.h"
#include "sys/log.h"

static void add_str(struct json_object *o, const char *key, const char *value)
{
	json_object_object_add(o, key, json_object_new_string(value));
}

static void add_u64(struct json_object *o, const char *key, uint64_t value)
{
	json_object_object_add(o, key, json_object_new_uint64(value));
}

static void add_bool(struct json_object *o, const char *key, bool value)
{
	json_object_object_add(o, key, json_object_new_boolean(value));
}

static uint64_t since_s(uint64_t then_ns, uint64_t now_ns)
{
	return then_ns && now_ns > then_ns ? (now_ns - then_ns) / SVR_NS_PER_SEC : 0;
}

static const char *status_name(uint32_t status)
{
	switch (status) {
	case SVR_PATH_DOWN:
		return "down";
	case SVR_PATH_INIT:
		return "initializing";
	case SVR_PATH_UP:
		return "up";
	case SVR_PATH_STANDBY:
		return "standby";
	}
	return "unused";
}

/* ---- show peers ------------------------------------------------------------------------------ */

static struct json_object *show_path(const struct km_path *path)
{
	const struct km_peer *peer = path->peer;
	const struct svr_router_view *v = peer->km->view;
	const struct svr_view_path *view = &v->paths[path->view];
	const struct svr_peering_path *p = &peer->peering->paths[path->number];
	struct json_object *o = json_object_new_object();
	struct svr_now now = km_now();
	char addr[SVR_CFG_ADDR_STRLEN];

	add_str(o, "peer", v->peers[peer->view].name);
	add_str(o, "node", v->zones[view->zone].node);
	add_str(o, "network_interface", v->zones[view->zone].interface);
	add_str(o, "destination", svr_config_addr_print(&view->remote_address, addr));
	add_str(o, "status", status_name(p->state.status));
	add_str(o, "hostname", v->peers[peer->view].peering_common_name);
	if (p->state.mtu)
		add_u64(o, "path_mtu", p->state.mtu);
	else
		add_str(o, "path_mtu", "unavailable");
	add_u64(o, "uptime_s",
		p->state.status == SVR_PATH_UP || p->state.status == SVR_PATH_STANDBY ?
			since_s(p->state.since_ns, now.real_ns) :
			0);
	add_str(o, "bfd_state", svr_bfd_state_name((uint8_t)p->bfd.state));
	add_str(o, "bfd_diagnostic", svr_bfd_diag_name((uint8_t)p->bfd.diag));
	add_u64(o, "down_count", p->state.down_count);
	return o;
}

/* @value of @unit parts, with three digits behind the point. */
static void add_fraction(struct json_object *o, const char *key, bool there, uint64_t value,
			 uint64_t unit)
{
	char text[32];

	if (!there) {
		add_str(o, key, "unavailable");
		return;
	}
	snprintf(text, sizeof(text), "%" PRIu64 ".%03" PRIu64, value / unit,
		 value % unit * 1000 / unit);
	json_object_object_add(o, key, json_object_new_double_s((double)value / (double)unit, text));
}

/* Figures of the link tests as long as the averaging time has any. */
static void add_quality(struct json_object *o, const struct svr_peering_path *p)
{
	struct svr_linktest_quality q = svr_linktest_quality(&p->test, km_now().mono_ns);
	bool answered = q.valid && q.loss < SVR_LINKTEST_LOSS_ALL;

	add_fraction(o, "latency_ms", answered, q.latency_us, 1000);
	add_fraction(o, "jitter_ms", answered, q.jitter_us, 1000);
	add_fraction(o, "loss_percent", q.valid, q.loss, SVR_LINKTEST_LOSS_ALL / 100);
	add_fraction(o, "mos", answered, q.mos, 100);
}

static void add_link_downs(struct json_object *o, const struct svr_peering_path *p)
{
	struct json_object *downs = json_object_new_object();
	unsigned int i;

	for (i = 0; i < SVR_LINK_DOWN_MAX; i++)
		add_u64(downs, svr_link_down_name(i), p->link_down[i]);
	add_u64(o, "link_up", p->link_up);
	json_object_object_add(o, "link_down", downs);
}

static struct json_object *show_detail(const struct km_path *path)
{
	const struct svr_peering_path *p = &path->peer->peering->paths[path->number];
	struct json_object *o = show_path(path);

	add_quality(o, p);
	add_str(o, "bfd_remote_state", svr_bfd_state_name((uint8_t)p->bfd.remote_state));
	add_str(o, "bfd_kind", path->plain ? "plain" : "metadata");
	add_u64(o, "bfd_port", path->port);
	add_u64(o, "local_discriminator", p->bfd.local_discr);
	add_u64(o, "remote_discriminator", p->bfd.remote_discr);
	add_u64(o, "tx_interval_us", p->bfd.tx_interval_us);
	add_u64(o, "detection_time_us", p->bfd.detect_us);
	add_u64(o, "remote_multiplier", p->bfd.remote_detect_mult);
	add_u64(o, "remote_min_rx_us", p->bfd.remote_min_rx_us);
	add_u64(o, "hold_down_ms", p->state.hold_down_ms);
	add_link_downs(o, p);
	return o;
}

static void add_salt(struct json_object *o, const char *key, bool there, const uint8_t *salt)
{
	char text[16];

	if (!there || svr_get32(salt) == 0) {
		add_str(o, key,
			"unavailable"); /* not received, or agreed before this process was started */
		return;
	}
	snprintf(text, sizeof(text), "%08x", svr_get32(salt));
	add_str(o, key, text);
}

/* The exchange's words go before those about single packets: they are why there is no key. */
static const char *reason_of(const struct svr_peering *p, const struct svr_peering_path *path)
{
	if (p->kex.reason[0])
		return p->kex.reason;
	if (p->reason[0])
		return p->reason;
	if (path->bfd.state != SVR_BFD_UP)
		return path->bfd.diag ? svr_bfd_diag_name((uint8_t)path->bfd.diag) :
					"no answer from the peer";
	if (path->hold_ns)
		return "hold-down after a failure";
	return "";
}

static struct json_object *show_security(const struct km_path *path)
{
	const struct svr_peering *p = path->peer->peering;
	const struct svr_meta_key *own = &p->config.own->meta[p->config.own->current];
	const struct svr_peer_keys *keys = &p->keys;
	bool has_key = keys->tx < SVR_KEY_SLOTS;
	struct json_object *o = show_path(path);
	struct svr_now now = km_now();

	add_str(o, "security_status",
		svr_peering_is_static(p) ? "ESKM_DISABLED" : svr_kex_state_name(p->kex.state));
	add_salt(o, "salt", true, p->kex.own_salt);
	add_salt(o, "peer_salt", p->kex.salt_received, p->kex.peer_salt);
	add_u64(o, "key_index", own->index);
	add_u64(o, "peer_ki", svr_peering_meta_received(p) ? keys->meta[keys->meta_tx].index : 0);
	add_bool(o, "cert_rec", p->kex.cert_received);
	add_bool(o, "cert_ack", p->kex.cert_acked);
	add_bool(o, "salt_rec", p->kex.salt_received);
	add_bool(o, "salt_ack", p->kex.salt_acked);
	add_bool(o, "key_rec", svr_peering_meta_received(p));
	add_bool(o, "key_ack", svr_peering_meta_acked(p));
	add_str(o, "reason", reason_of(p, &p->paths[path->number]));
	add_u64(o, "peer_key_index", has_key ? keys->peer[keys->tx].index : 0);
	add_u64(o, "peer_key_age_s",
		has_key ? since_s(keys->peer[keys->tx].since_ns, now.real_ns) : 0);
	add_u64(o, "peer_key_count", keys->rekey_count);
	if (keys->offset_valid)
		json_object_object_add(
			o, "clock_offset_us",
			json_object_new_int64(keys->clock_offset_ns / (int64_t)SVR_NS_PER_US));
	else
		add_str(o, "clock_offset_us", "unavailable");
	return o;
}

static struct json_object *show_certificates(const struct km_path *path)
{
	struct json_object *o = show_path(path);

	km_certs_show_peer(path->peer, o);
	return o;
}

static struct json_object *show_paths(const struct keymgr *km,
				      struct json_object *(*show)(const struct km_path *path))
{
	struct json_object *list = json_object_new_array();
	unsigned int i, k;

	for (i = 0; i < km->n_peers; i++)
		for (k = 0; k < km->peer[i].n_paths; k++)
			json_object_array_add(list, show(&km->peer[i].path[k]));
	return list;
}

/* ---- show stats ------------------------------------------------------------------------------ */

static struct json_object *show_path_stats(const struct km_path *path)
{
	const struct svr_peering_path *p = &path->peer->peering->paths[path->number];
	struct json_object *o = json_object_new_object();

	add_str(o, "path", path->peer->km->view->paths[path->view].name);
	add_u64(o, "rx_packets", p->rx_packets);
	add_u64(o, "tx_packets", p->tx_packets);
	add_u64(o, "drops", p->drops);
	add_u64(o, "send_errors", path->send_errors);
	add_u64(o, "down_count", p->state.down_count);
	add_u64(o, "detection_time_us", p->bfd.detect_us);
	add_u64(o, "tx_interval_us", p->bfd.tx_interval_us);
	add_link_downs(o, p);
	add_quality(o, p);
	add_u64(o, "test_requests", p->test.requests);
	add_u64(o, "test_answers", p->test.answers);
	add_u64(o, "test_late", p->test.late);
	add_u64(o, "mtu_probes", p->mtu.probes);
	add_u64(o, "mtu_answers", p->mtu.answers);
	add_u64(o, "key_exchanges", path->peer->peering->kex.exchanges);
	add_u64(o, "key_exchange_failures", path->peer->peering->kex.failures);
	add_u64(o, "key_exchange_computations", path->peer->peering->kex.jobs);
	return o;
}

static struct json_object *show_stats(const struct keymgr *km)
{
	struct json_object *o = json_object_new_object();

	add_u64(o, "uptime_s", since_s(km->started_ns, km_now().mono_ns));
	add_u64(o, "generation", km->generation);
	add_u64(o, "peers", km->n_peers);
	add_u64(o, "sockets", km->n_sockets);
	json_object_object_add(o, "paths", show_paths(km, show_path_stats));
	return o;
}

static struct json_object *on_request(const char *command, struct json_object *request, void *user)
{
	struct json_object *result = NULL, *answer;
	struct keymgr *km = user;
	bool known;

	if (!km->view)
		return svr_ctl_error("still starting");
	answer = km_certs_request(km, command, request);
	if (answer)
		return answer;
	if (strcmp(command, "show peers") == 0)
		result = show_paths(km, show_path);
	else if (strcmp(command, "show peers detail") == 0)
		result = show_paths(km, show_detail);
	else if (strcmp(command, "show peers security") == 0)
		result = show_paths(km, show_security);
	else if (strcmp(command, "show peers certificate") == 0)
		result = show_paths(km, show_certificates);
	else if (strcmp(command, "show stats") == 0)
		result = show_stats(km);
	else {
		answer = km_alarms_command(km, command, request, &known);
		if (!known)
			answer = km_keys_command(km, command, request, &known);
		if (known)
			return answer;
		return svr_ctl_error(
			"unknown command \"%.63s\"; known are: show peers, show peers detail, show peers security, show peers certificate, show stats, show security key-status, security metadata-key regenerate, security peer-key rekey, show alarms, show events, alarm raise, alarm clear, alarm sync",
			command);
	}
	answer = json_object_new_object();
	json_object_object_add(answer, "result", result);
	return answer;
}

int km_ctl_start(struct keymgr *km)
{
	int ret = svr_ctl_serve(km->base, km->router, "keymgr", on_request, km, &km->ctl);

	if (ret == -EADDRINUSE)
		pr_err("another svr-keymgr of router %s runs", km->router);
	else if (ret)
		pr_err("control socket of router %s: %s", km->router, strerror(-ret));
	return ret;
}
