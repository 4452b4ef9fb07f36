// SPDX-License-Identifier: BSD-2-Clause
/* The configuration model: one line per member with its type, range, default and where it goes.
 * etc/svr-config.schema.json and docs/config.md say the same; a unit test holds the schema against
 * these tables.
 *
 * In each table S is the struct that the members go to. A list `x` has its length in `n_x`.
 */
#include <string.h>

#include "config_internal.h"

#include <svr/limits.h>
#include <svr/wire.h>

#define TARGET(m) .offset = offsetof(S, m), .size = sizeof(((S *)0)->m)

#define STRING(j, m, syn, ...)                                                                  \
	{                                                                                       \
		.name = j, .kind = SVR_CFG_KIND_STRING, .syntax = SVR_CFG_SYN_##syn, TARGET(m), \
		__VA_ARGS__                                                                     \
	}
#define BOOL(j, m, def)                                                        \
	{                                                                      \
		.name = j, .kind = SVR_CFG_KIND_BOOL, TARGET(m), .preset = def \
	}
#define UINT(j, m, lo, hi, def, ...)                                                   \
	{                                                                              \
		.name = j, .kind = SVR_CFG_KIND_UINT, TARGET(m), .min = lo, .max = hi, \
		.preset = def, __VA_ARGS__                                             \
	}
#define ENUM(j, m, w, def, ...)                                                             \
	{                                                                                   \
		.name = j, .kind = SVR_CFG_KIND_ENUM, TARGET(m), .words = w, .preset = def, \
		__VA_ARGS__                                                                 \
	}
#define ADDR(j, m, ...)                                                      \
	{                                                                    \
		.name = j, .kind = SVR_CFG_KIND_ADDR, TARGET(m), __VA_ARGS__ \
	}
#define PREFIX(j, m, ...)                                                      \
	{                                                                      \
		.name = j, .kind = SVR_CFG_KIND_PREFIX, TARGET(m), __VA_ARGS__ \
	}
#define OBJECT(j, m, t, ...)                                                              \
	{                                                                                 \
		.name = j, .kind = SVR_CFG_KIND_OBJECT, .sub = &t, TARGET(m), __VA_ARGS__ \
	}
#define ENTRIES(m, lo, hi) TARGET(m), .has_offset = offsetof(S, n_##m), .min = lo, .max = hi
#define LIST(j, m, t, lo, hi, ...)                                                               \
	{                                                                                        \
		.name = j, .kind = SVR_CFG_KIND_LIST, .sub = &t, ENTRIES(m, lo, hi), __VA_ARGS__ \
	}

#define REQUIRED .required = true

/* @t: the struct that the table fills. @unique: in a list, the first member is a name that no two
 * entries share.
 */
#define TABLE(name, list, t, unique)                                                       \
	static const struct svr_cfg_table name = { list, sizeof(list) / sizeof((list)[0]), \
						   sizeof(t), unique, 0 }
#define TABLE_GIVEN(name, list, t)                                                          \
	static const struct svr_cfg_table name = { list, sizeof(list) / sizeof((list)[0]), \
						   sizeof(t), false, offsetof(t, given) }

static const struct svr_cfg_word never[] = {
	{ "never", 0, NULL, NULL },
	{ NULL, 0, NULL, NULL },
};

/* Tables read better in columns. */
// clang-format off

/* ---- security-key-management ----------------------------------------------------------------- */

static const struct svr_cfg_word key_exchange[] = {
	{ "diffie-hellman", SVR_CFG_KEX_DIFFIE_HELLMAN, NULL, NULL },
	{ "ml-kem", 0, SVR_CFG_NOT_YET, NULL },
	{ "diffie-hellman-ml-kem", 0, SVR_CFG_NOT_YET, NULL },
	{ NULL, 0, NULL, NULL },
};

static const struct svr_cfg_word dh_size[] = {
	{ "1024", 1024, NULL, "a 1024-bit group is within reach of well-funded attackers; use 2048 or 4096" },
	{ "2048", 2048, NULL, NULL },
	{ "4096", 4096, NULL, NULL },
	{ NULL, 0, NULL, NULL },
};

static const struct svr_cfg_word invalid_certificate[] = {
	{ "fail-soft", SVR_CFG_FAIL_SOFT, NULL, NULL },
	{ "fail-hard", SVR_CFG_FAIL_HARD, NULL, NULL },
	{ NULL, 0, NULL, NULL },
};

#define S struct svr_cfg_key_management
static const struct svr_cfg_field key_management_fields[] = {
	ENUM("key-exchange-algorithm", key_exchange_algorithm, key_exchange, SVR_CFG_KEX_DIFFIE_HELLMAN),
	ENUM("diffie-hellman-key-size", diffie_hellman_key_size, dh_size, 2048),
	UINT("payload-key-rekey-interval", payload_key_rekey_interval_h, 1, 720, 24, .words = never),
	UINT("payload-key-rekey-interval-seconds", payload_key_rekey_interval_s, 0, 86400, 0),
	UINT("peer-key-rekey-interval", peer_key_rekey_interval_h, 0, 720, 24),
	UINT("peer-key-rekey-interval-seconds", peer_key_rekey_interval_s, 0, 86400, 0),
	UINT("rekey-hold-time", rekey_hold_time_s, 0, 3600, 30),
	UINT("peer-key-retransmit-interval", peer_key_retransmit_interval_s, 5, 3600, 30),
	UINT("peer-key-timeout", peer_key_timeout_s, 1, UINT32_MAX, 3600),
	ENUM("invalid-certificate-behavior", invalid_certificate_behavior, invalid_certificate, SVR_CFG_FAIL_SOFT),
	BOOL("allow-self-signed-peering-certificates", allow_self_signed_peering_certificates, true),
};
TABLE(key_management, key_management_fields, S, false);
#undef S

#define S struct svr_cfg_key_exchange_override
static const struct svr_cfg_field key_exchange_override_fields[] = {
	ENUM("key-exchange-algorithm", key_exchange_algorithm, key_exchange, SVR_CFG_KEX_DIFFIE_HELLMAN),
	ENUM("diffie-hellman-key-size", diffie_hellman_key_size, dh_size, 2048, REQUIRED),
};
TABLE(key_exchange_override, key_exchange_override_fields, S, false);
#undef S

#define OVERRIDE \
	OBJECT("key-exchange-algorithm-override", key_exchange_override, key_exchange_override, \
	       .has_offset = offsetof(S, has_key_exchange_override))

/* ---- trusted-ca-certificate, security, tenant ------------------------------------------------ */

static const struct svr_cfg_word validation_mode[] = {
	{ "warn", SVR_CFG_VALIDATE_WARN, NULL, NULL },
	{ "strict", SVR_CFG_VALIDATE_STRICT, NULL, NULL },
	{ NULL, 0, NULL, NULL },
};

#define S struct svr_cfg_trusted_ca
static const struct svr_cfg_field trusted_ca_fields[] = {
	STRING("name", name, NAME, REQUIRED),
	STRING("file", file, FILE, REQUIRED),
	ENUM("validation-mode", validation_mode, validation_mode, SVR_CFG_VALIDATE_STRICT),
};
TABLE(trusted_ca, trusted_ca_fields, S, true);
#undef S

#define S struct svr_cfg_client_certificate
static const struct svr_cfg_field client_certificate_fields[] = {
	STRING("name", name, DOTTED, REQUIRED),
};
TABLE(client_certificate, client_certificate_fields, S, true);
#undef S

#define S struct svr_cfg_revocation
static const struct svr_cfg_field revocation_fields[] = {
	{ .name = "url", .kind = SVR_CFG_KIND_STRINGS, .syntax = SVR_CFG_SYN_URL, TARGET(url),
	  .has_offset = offsetof(S, n_url), .min = 0, .max = 16 },
	UINT("polling-interval", polling_interval_h, 1, 168, 24),
	UINT("polling-interval-seconds", polling_interval_s, 0, 604800, 0),
	UINT("backoff-interval", backoff_interval_s, 1, 86400, 60),
};
TABLE(revocation, revocation_fields, S, false);
#undef S

static const struct svr_cfg_word match_type[] = {
	{ "all", SVR_CFG_MATCH_ALL, NULL, NULL },
	{ "any", SVR_CFG_MATCH_ANY, NULL, NULL },
	{ NULL, 0, NULL, NULL },
};

#define S struct svr_cfg_shelf
static const struct svr_cfg_field shelf_fields[] = {
	STRING("name", name, NAME, REQUIRED),
	ENUM("match-type", match_type, match_type, SVR_CFG_MATCH_ALL),
	{ .name = "category", .kind = SVR_CFG_KIND_STRINGS, .syntax = SVR_CFG_SYN_CATEGORY, TARGET(category),
	  .has_offset = offsetof(S, n_category), .min = 1, .max = 64 },
	{ .name = "severity", .kind = SVR_CFG_KIND_STRINGS, .syntax = SVR_CFG_SYN_SEVERITY, TARGET(severity),
	  .has_offset = offsetof(S, n_severity), .min = 1, .max = 4 },
	STRING("source", source, TEXT),
	STRING("router-name", router_name, NAME),
	STRING("router-name-regex", router_name_regex, REGEX),
	STRING("node-name", node_name, NAME),
	STRING("node-name-regex", node_name_regex, REGEX),
	STRING("message-regex", message_regex, REGEX),
};
TABLE(shelf, shelf_fields, S, true);
#undef S

#define S struct svr_cfg_alarm_shelving
static const struct svr_cfg_field alarm_shelving_fields[] = {
	LIST("shelf", shelf, shelf, 0, 64),
};
TABLE(alarm_shelving, alarm_shelving_fields, S, false);
#undef S

#define S struct svr_cfg_policy
static const struct svr_cfg_field policy_fields[] = {
	STRING("name", name, NAME, REQUIRED),
	BOOL("encrypt", encrypt, true),
	ENUM("encryption-cipher", encryption_cipher, svr_cfg_words_encryption_cipher, SVR_CFG_AES_CBC_256),
	ENUM("hmac-mode", hmac_mode, svr_cfg_words_hmac_mode, SVR_CFG_HMAC_TIME_BASED),
	ENUM("hmac-cipher", hmac_cipher, svr_cfg_words_hmac_cipher, SVR_CFG_HMAC_SHA256_128),
	BOOL("adaptive-encryption", adaptive_encryption, false),
	STRING("encryption-key", encryption_key, KEY),
	STRING("encryption-iv", encryption_iv, KEY),
	STRING("hmac-key", hmac_key, KEY),
};
TABLE(policy, policy_fields, S, true);
#undef S

#define S struct svr_cfg_tenant
static const struct svr_cfg_field tenant_fields[] = {
	STRING("name", name, DOTTED, REQUIRED),
	STRING("security", security, NAME),
};
TABLE(tenant, tenant_fields, S, true);
#undef S

/* ---- service, session-type ------------------------------------------------------------------- */

#define S struct svr_cfg_port_range
static const struct svr_cfg_field port_range_fields[] = {
	UINT("start-port", start_port, 0, 65535, 0, REQUIRED),
	UINT("end-port", end_port, 0, 65535, 0, .copy_offset = offsetof(S, start_port) + 1),
};
TABLE(port_range, port_range_fields, S, false);

static const struct svr_cfg_field waypoint_port_range_fields[] = {
	UINT("start-port", start_port, 1025, 65535, SVR_PORT_LO, REQUIRED),
	UINT("end-port", end_port, 1025, 65535, SVR_PORT_HI, REQUIRED),
};
TABLE(waypoint_port_range, waypoint_port_range_fields, S, false);
#undef S

#define S struct svr_cfg_transport
static const struct svr_cfg_field transport_fields[] = {
	ENUM("protocol", protocol, svr_cfg_words_protocol, 0, REQUIRED),
	LIST("port-range", port_range, port_range, 1, SVR_MAX_TRANSPORTS),
};
TABLE(transport, transport_fields, S, false);
#undef S

static const struct svr_cfg_word permission[] = {
	{ "allow", SVR_CFG_ALLOW, NULL, NULL },
	{ "deny", SVR_CFG_DENY, NULL, NULL },
	{ NULL, 0, NULL, NULL },
};

#define S struct svr_cfg_access_policy
static const struct svr_cfg_field access_policy_fields[] = {
	STRING("source", source, SOURCE, REQUIRED),
	ENUM("permission", permission, permission, SVR_CFG_ALLOW),
};
TABLE(access_policy, access_policy_fields, S, true);
#undef S

#define S struct svr_cfg_service
static const struct svr_cfg_field service_fields[] = {
	STRING("name", name, NAME, REQUIRED),
	{ .name = "address", .kind = SVR_CFG_KIND_PREFIXES, ENTRIES(address, 1, 1024), REQUIRED },
	LIST("transport", transport, transport, 1, SVR_MAX_TRANSPORTS),
	LIST("access-policy", access_policy, access_policy, 0, SVR_MAX_TENANTS - 1),
	STRING("security", security, NAME, REQUIRED),
	STRING("session-type", session_type, NAME),
};
TABLE(service, service_fields, S, true);
#undef S

#define S struct svr_cfg_session_type
static const struct svr_cfg_field session_type_fields[] = {
	STRING("name", name, NAME, REQUIRED),
	LIST("transport", transport, transport, 1, 64),
	UINT("timeout", timeout_ms, 1000, UINT32_MAX, SVR_CFG_TIMEOUT_UDP_MS),
	UINT("initial-timeout", initial_timeout_ms, 1000, UINT32_MAX, SVR_CFG_TIMEOUT_INITIAL_MS),
};
TABLE(session_type, session_type_fields, S, true);
#undef S

/* ---- bfd ------------------------------------------------------------------------------------- */

static const struct svr_cfg_word on_off[] = {
	{ "enabled", true, NULL, NULL },
	{ "disabled", false, NULL, NULL },
	{ NULL, 0, NULL, NULL },
};

static const struct svr_cfg_word bfd_auth[] = {
	{ "sha256", SVR_CFG_BFD_AUTH_SHA256, NULL, NULL },
	{ "simple", 0, "is a password in clear and is not taken", NULL },
	{ NULL, 0, NULL, NULL },
};

#define S struct svr_cfg_bfd
static const struct svr_cfg_field bfd_fields[] = {
	ENUM("state", enabled, on_off, true),
	UINT("desired-tx-interval", desired_tx_interval_ms, 50, 600000, 1000),
	UINT("required-min-rx-interval", required_min_rx_interval_ms, 50, 600000, 1000),
	UINT("required-min-echo-interval", required_min_echo_interval_ms, 50, 600000, 1000),
	UINT("multiplier", multiplier, 3, 20, 3),
	ENUM("authentication-type", authentication_type, bfd_auth, SVR_CFG_BFD_AUTH_SHA256),
	UINT("dscp", dscp, 0, 63, 0),
	UINT("link-test-interval", link_test_interval_s, 1, 86400, 10),
	UINT("link-test-length", link_test_length, 0, 255, 10),
	UINT("hold-down-time", hold_down_time_s, 1, 300, 5),
	ENUM("dynamic-damping", dynamic_damping, on_off, false),
	UINT("maximum-hold-down-time", maximum_hold_down_time_s, 1, 86400, 3600),
};
TABLE_GIVEN(bfd, bfd_fields, S);
#undef S

#define S struct svr_cfg_path_mtu
static const struct svr_cfg_field path_mtu_fields[] = {
	BOOL("enabled", enabled, true),
	UINT("interval", interval_s, 1, 86400, 600),
};
TABLE(path_mtu, path_mtu_fields, S, false);
#undef S

/* ---- network-interface ----------------------------------------------------------------------- */

#define S struct svr_cfg_tenant_prefix
static const struct svr_cfg_field tenant_prefix_fields[] = {
	STRING("tenant", tenant, DOTTED, REQUIRED),
	PREFIX("source-address", source_address, REQUIRED),
};
TABLE(tenant_prefix, tenant_prefix_fields, S, false);
#undef S

#define S struct svr_cfg_if_address
static const struct svr_cfg_field if_address_fields[] = {
	ADDR("ip-address", ip_address, REQUIRED),
	UINT("prefix-length", prefix_length, 1, 128, 0, REQUIRED),	/* IPv4: config_check.c */
	ADDR("gateway", gateway),
};
TABLE(if_address, if_address_fields, S, false);
#undef S

#define LINK \
	{ .name = "vector", .kind = SVR_CFG_KIND_STRINGS, .syntax = SVR_CFG_SYN_DOTTED, TARGET(link.vector), \
	  .has_offset = offsetof(S, link.n_vector), .min = 0, .max = 8 }, \
	UINT("cost", link.cost, 0, UINT32_MAX, 0), \
	OBJECT("port-range", link.port_range, waypoint_port_range, .has_offset = offsetof(S, link.has_port_range)), \
	OBJECT("bfd", link.bfd, bfd, .inherit = true), \
	OBJECT("path-mtu-discovery", link.path_mtu, path_mtu, .inherit = true), \
	UINT("path-metrics-rolling-avg-interval", link.metrics_average_s, 1, 3600, 60)

#define S struct svr_cfg_neighborhood
static const struct svr_cfg_field neighborhood_fields[] = {
	STRING("name", name, DOTTED, REQUIRED),
	ENUM("topology", topology, svr_cfg_words_topology, SVR_CFG_TOPOLOGY_MESH),
	LINK,
};
TABLE(neighborhood, neighborhood_fields, S, true);
#undef S

#define S struct svr_cfg_adjacency
static const struct svr_cfg_field adjacency_fields[] = {
	ADDR("ip-address", ip_address, REQUIRED),
	STRING("peer", peer, NAME, REQUIRED),
	BOOL("bfd-metadata", link.bfd_metadata, true),
	UINT("bfd-port", link.bfd_port, 0, 65535, 0),
	LINK,
};
TABLE(adjacency, adjacency_fields, S, false);
#undef S

#define S struct svr_cfg_network_interface
static const struct svr_cfg_field network_interface_fields[] = {
	STRING("name", name, NAME, REQUIRED),
	UINT("vlan", vlan, 0, 4094, 0),
	UINT("outer-vlan", outer_vlan, 0, 4094, 0),
	STRING("tenant", tenant, DOTTED),
	LIST("tenant-prefixes", tenant_prefixes, tenant_prefix, 1, SVR_MAX_TENANTS - 1),
	LIST("address", address, if_address, 1, SVR_CFG_IF_ADDRS, REQUIRED),
	UINT("mtu", mtu, 576, 9000, 1500),
	{ .name = "enforced-mss", .kind = SVR_CFG_KIND_MSS, TARGET(enforced_mss_mode), .has_offset = offsetof(S, enforced_mss),
	  .min = 536, .max = 8960, .preset = SVR_CFG_MSS_AUTOMATIC },
	STRING("inter-router-security", inter_router_security, NAME),
	LIST("neighborhood", neighborhood, neighborhood, 1, 16),
	LIST("adjacency", adjacency, adjacency, 1, SVR_MAX_PATHS - 1),
};
TABLE(network_interface, network_interface_fields, S, true);
#undef S

/* ---- router ---------------------------------------------------------------------------------- */

static const struct svr_cfg_word device_type[] = {
	{ "ethernet", SVR_CFG_DEVICE_ETHERNET, NULL, NULL },
	{ "kni", 0, SVR_CFG_NOT_YET, NULL },
	{ "host", 0, SVR_CFG_NOT_YET, NULL },
	{ "bridged", 0, SVR_CFG_NOT_YET, NULL },
	{ "pppoe", 0, SVR_CFG_NOT_YET, NULL },
	{ "lte", 0, SVR_CFG_NOT_YET, NULL },
	{ "t1", 0, SVR_CFG_NOT_YET, NULL },
	{ "bond", 0, SVR_CFG_NOT_YET, NULL },
	{ NULL, 0, NULL, NULL },
};

#define S struct svr_cfg_device_interface
static const struct svr_cfg_field device_interface_fields[] = {
	STRING("name", name, DEVICE, REQUIRED),
	ENUM("type", type, device_type, SVR_CFG_DEVICE_ETHERNET),
	LIST("network-interface", network_interface, network_interface, 1, SVR_MAX_ZONES - 1, REQUIRED),
};
TABLE(device_interface, device_interface_fields, S, true);
#undef S

#define S struct svr_cfg_node
static const struct svr_cfg_field node_fields[] = {
	STRING("name", name, NAME, REQUIRED),
	LIST("device-interface", device_interface, device_interface, 1, SVR_MAX_ZONES - 1, REQUIRED),
};
TABLE(node, node_fields, S, true);
#undef S

#define S struct svr_cfg_peer
static const struct svr_cfg_field peer_fields[] = {
	STRING("name", name, NAME, REQUIRED),
	STRING("router-name", router_name, NAME, REQUIRED),
	OVERRIDE,
	BOOL("bfd-metadata", bfd_metadata, true),
	OBJECT("bfd", bfd, bfd, .inherit = true),
};
TABLE(peer, peer_fields, S, true);
#undef S

#define S struct svr_cfg_service_route
static const struct svr_cfg_field next_hop_fields[] = {
	STRING("interface", next_hop_interface, NAME, REQUIRED),
	ADDR("gateway", next_hop_gateway),
};
TABLE(next_hop, next_hop_fields, S, false);

static const struct svr_cfg_field service_route_fields[] = {
	STRING("name", name, NAME, REQUIRED),
	STRING("service-name", service_name, NAME, REQUIRED),
	STRING("peer", peer, NAME),
	{ .name = "next-hop", .kind = SVR_CFG_KIND_OBJECT, .sub = &next_hop },
};
TABLE(service_route, service_route_fields, S, true);
#undef S

#define S struct svr_cfg_router
static const struct svr_cfg_field certificate_fields[] = {
	{ .name = "fingerprint", .kind = SVR_CFG_KIND_FINGERPRINT, TARGET(fingerprint), .has_offset = offsetof(S, has_fingerprint) },
};
TABLE(certificate, certificate_fields, S, false);

static const struct svr_cfg_field router_fields[] = {
	STRING("name", name, NAME, REQUIRED),
	STRING("peering-common-name", peering_common_name, DOTTED),
	{ .name = "certificate", .kind = SVR_CFG_KIND_OBJECT, .sub = &certificate },
	STRING("description", description, TEXT, .text = ""),
	STRING("location", location, TEXT, .text = ""),
	LIST("client-certificate", client_certificate, client_certificate, 0, 1,
	     .too_many = "more than one client-certificate is not supported yet"),
	OVERRIDE,
	/* before node and peer, which inherit from them */
	OBJECT("bfd", bfd, bfd, .source = true),
	OBJECT("path-mtu-discovery", path_mtu, path_mtu, .source = true),
	LIST("node", node, node, 1, 1, REQUIRED, .too_many = "a router of more than one node (high availability) is not supported yet"),
	LIST("peer", peer, peer, 0, SVR_MAX_PEERS - 1),
	LIST("service-route", service_route, service_route, 0, SVR_MAX_SERVICES - 1),
};
TABLE(router, router_fields, S, true);
#undef S

/* ---- authority ------------------------------------------------------------------------------- */

#define S struct svr_config
static const struct svr_cfg_field authority_fields[] = {
	STRING("name", name, NAME, REQUIRED),
	BOOL("enhanced-security-key-management", enhanced_security_key_management, false),
	OBJECT("security-key-management", key_management, key_management),
	LIST("trusted-ca-certificate", trusted_cas, trusted_ca, 0, 64),
	LIST("client-certificate", client_certificate, client_certificate, 0, 1,
	     .too_many = "more than one client-certificate is not supported yet"),
	OBJECT("certificate-revocation", revocation, revocation),
	OBJECT("alarm-shelving", alarm_shelving, alarm_shelving),
	LIST("security", policies, policy, 0, SVR_MAX_POLICIES - 1),
	LIST("tenant", tenants, tenant, 0, SVR_MAX_TENANTS - 1),
	LIST("service", services, service, 0, SVR_MAX_SERVICES - 1),
	LIST("session-type", session_types, session_type, 0, 256),
	LIST("router", routers, router, 1, SVR_MAX_PEERS, REQUIRED),
};
TABLE(authority, authority_fields, S, false);

static const struct svr_cfg_field root_fields[] = {
	{ .name = "authority", .kind = SVR_CFG_KIND_OBJECT, .sub = &authority, REQUIRED },
};
const struct svr_cfg_table svr_cfg_table_root = { root_fields, 1, sizeof(S), false, 0 };
#undef S
// clang-format on

void svr_config_bfd_overlay(struct svr_cfg_bfd *own, const struct svr_cfg_bfd *over)
{
	unsigned int i;

	for (i = 0; i < bfd.n_fields; i++) {
		const struct svr_cfg_field *f = &bfd.fields[i];

		if (over->given & ~own->given & 1u << i)
			memcpy((char *)own + f->offset, (const char *)over + f->offset, f->size);
	}
}
