// SPDX-License-Identifier: BSD-2-Clause
/* The authority-wide JSON configuration: model, strict parser, and the resolved view of one
 * router. User space only; no sockets, no threads, no global state. docs/config.md describes every
 * member.
 *
 * 	text --svr_config_parse()--> svr_config --svr_config_resolve("west")--> svr_router_view
 *
 * The model (struct svr_cfg_*) mirrors the file: same names, same nesting, defaults filled in,
 * every reference checked. The view (struct svr_view_*) is what one router needs: flat arrays that
 * name each other by index.
 *
 * Ownership: a struct svr_config owns all that hangs below it. A struct svr_router_view owns its
 * arrays and its path names; every other string and every `cfg` pointer in it points into the
 * svr_config, which must outlive the view.
 * Strings are NUL-terminated, never NULL unless a comment says so. Numbers are in host byte order.
 * Addresses are in network order. Units are in the names (_ms, _s, _h).
 */
#ifndef SVR_LIB_CONFIG_H
#define SVR_LIB_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json_object;

/* Structs read better in columns. */
// clang-format off
enum svr_config_limits {
	SVR_CFG_FILE_MAX = 16 * 1024 * 1024,	/* bytes; a larger file is refused unread */
	SVR_CFG_DEPTH_MAX = 32,			/* nested objects and arrays */
	SVR_CFG_NAME_MAX = 63,			/* characters of a name, without the NUL */
	SVR_CFG_ERRORS_MAX = 64,		/* errors kept; more are only counted */
	SVR_CFG_POINTER_LEN = 256,		/* room for a JSON pointer, with the NUL */
	SVR_CFG_REASON_LEN = 320,		/* room for the reason of an error, with the NUL */
	SVR_CFG_FOUND_LEN = 72,			/* room for the value found, with the NUL */
	SVR_CFG_ADDR_STRLEN = 46,		/* room for a printed address, with the NUL */
	SVR_CFG_PREFIX_STRLEN = 50,		/* room for a printed prefix, with the NUL */
	SVR_CFG_IF_ADDRS = 4,			/* addresses of a network interface, SVR_ZONE_ADDRS of the data plane */
	SVR_CFG_FINGERPRINT_LEN = 32,		/* SHA-256 of a certificate in DER */
	SVR_CFG_TIMEOUT_TCP_MS = 1900000,	/* session time-outs where no session type says otherwise */
	SVR_CFG_TIMEOUT_UDP_MS = 180000,
	SVR_CFG_TIMEOUT_ICMP_MS = 10000,
	SVR_CFG_TIMEOUT_INITIAL_MS = 10000,
};

/* ---- errors ---------------------------------------------------------------------------------- */

enum svr_config_severity {
	SVR_CONFIG_ERROR,	/* the configuration is refused */
	SVR_CONFIG_WARNING,	/* it is taken, but somebody should look at it */
};

struct svr_config_error {
	enum svr_config_severity severity;
	unsigned int line;			/* from 1; 0 = not tied to a line */
	unsigned int column;			/* from 1, in bytes; 0 = not tied to a column */
	char pointer[SVR_CFG_POINTER_LEN];	/* RFC 6901; "" = the whole document */
	char found[SVR_CFG_FOUND_LEN];		/* the value in the file, cut with "..."; "" = none */
	char reason[SVR_CFG_REASON_LEN];	/* what is wrong and what is allowed */
};

/* A list that the caller owns, for example on its stack. Zero it or call svr_config_errors_init()
 * before the first use; it owns no memory. Errors come first, in the order of the file where that
 * is known.
 */
struct svr_config_errors {
	unsigned int n;				/* filled in list[], errors and warnings */
	unsigned int n_errors;			/* found in all, also those that found no room in list[] */
	unsigned int n_warnings;
	struct svr_config_error list[SVR_CFG_ERRORS_MAX];
};

/* ---- small types ----------------------------------------------------------------------------- */

/* An address: always 16 bytes in network order, IPv4 as v4-mapped (::ffff:a.b.c.d). family 0 = not
 * set.
 */
struct svr_cfg_addr {
	uint8_t bytes[16];
	uint8_t family;		/* 0, 4 or 6 */
};

/* A prefix. len counts bits of its own family: 0..32 for IPv4, 0..128 for IPv6. Host bits are
 * zero.
 */
struct svr_cfg_prefix {
	struct svr_cfg_addr addr;
	uint8_t len;
};

struct svr_cfg_port_range {
	uint16_t start_port;
	uint16_t end_port;	/* inclusive */
};

enum svr_cfg_role { SVR_CFG_ROLE_LAN, SVR_CFG_ROLE_WAN };

enum svr_cfg_protocol {		/* values are IP protocol numbers */
	SVR_CFG_PROTO_ICMP = 1,			/* and ICMPv6: echo requests and their replies */
	SVR_CFG_PROTO_TCP = 6,
	SVR_CFG_PROTO_UDP = 17,
	SVR_CFG_PROTO_GRE = 47,
	SVR_CFG_PROTO_ESP = 50,
};

enum svr_cfg_encryption_cipher {
	SVR_CFG_AES_CBC_128,
	SVR_CFG_AES_CBC_256,
	SVR_CFG_AES_GCM_128,
	SVR_CFG_AES_GCM_256,
};

enum svr_cfg_hmac_mode { SVR_CFG_HMAC_DISABLED, SVR_CFG_HMAC_REGULAR, SVR_CFG_HMAC_TIME_BASED };

enum svr_cfg_hmac_cipher {
	SVR_CFG_HMAC_SHA1,
	SVR_CFG_HMAC_SHA256,
	SVR_CFG_HMAC_SHA256_128,
	SVR_CFG_HMAC_SHA384,
	SVR_CFG_HMAC_SHA512,
};

enum svr_cfg_key_exchange { SVR_CFG_KEX_DIFFIE_HELLMAN };

enum svr_cfg_invalid_certificate { SVR_CFG_FAIL_SOFT, SVR_CFG_FAIL_HARD };

enum svr_cfg_validation_mode { SVR_CFG_VALIDATE_WARN, SVR_CFG_VALIDATE_STRICT };

enum svr_cfg_topology { SVR_CFG_TOPOLOGY_MESH, SVR_CFG_TOPOLOGY_HUB, SVR_CFG_TOPOLOGY_SPOKE };

enum svr_cfg_permission { SVR_CFG_ALLOW, SVR_CFG_DENY };

enum svr_cfg_mss_mode { SVR_CFG_MSS_AUTOMATIC, SVR_CFG_MSS_DISABLED, SVR_CFG_MSS_FIXED };

enum svr_cfg_device_type { SVR_CFG_DEVICE_ETHERNET };

enum svr_cfg_bfd_auth { SVR_CFG_BFD_AUTH_SHA256 };

/* ---- the model: mirrors the file ------------------------------------------------------------- */

struct svr_cfg_key_management {			/* authority/security-key-management */
	enum svr_cfg_key_exchange key_exchange_algorithm;
	uint16_t diffie_hellman_key_size;	/* bits: 1024 (with a warning), 2048, 4096 */
	uint16_t payload_key_rekey_interval_h;	/* 0 = never */
	uint32_t payload_key_rekey_interval_s;	/* svr's own, goes before the hours; 0 = the hours count */
	uint16_t peer_key_rekey_interval_h;	/* 0 = never */
	uint32_t peer_key_rekey_interval_s;	/* idem */
	uint32_t rekey_hold_time_s;		/* svr's own: a new key is there for so long before it is used */
	uint32_t peer_key_retransmit_interval_s;
	uint32_t peer_key_timeout_s;
	enum svr_cfg_invalid_certificate invalid_certificate_behavior;
	bool allow_self_signed_peering_certificates;
};

struct svr_cfg_key_exchange_override {		/* of a router or of one of its peers */
	enum svr_cfg_key_exchange key_exchange_algorithm;
	uint16_t diffie_hellman_key_size;	/* bits */
};

struct svr_cfg_trusted_ca {			/* authority/trusted-ca-certificate/N */
	const char *name;
	const char *file;			/* a file name without '/', inside the router's PKI directory */
	enum svr_cfg_validation_mode validation_mode;
};

struct svr_cfg_client_certificate {		/* .../client-certificate/N */
	const char *name;			/* of the files NAME.key and NAME.pem in the router's PKI directory */
};

struct svr_cfg_revocation {			/* authority/certificate-revocation */
	const char **url;			/* of revocation lists; may be empty */
	unsigned int n_url;
	uint16_t polling_interval_h;
	uint32_t polling_interval_s;		/* instead of hours; 0 = not given */
	uint32_t backoff_interval_s;		/* after a failure: first wait, doubles up to the polling interval */
};

enum svr_cfg_match { SVR_CFG_MATCH_ALL, SVR_CFG_MATCH_ANY };

struct svr_cfg_shelf {				/* authority/alarm-shelving/shelf/N; at least one rule */
	const char *name;
	enum svr_cfg_match match_type;
	const char **category;			/* "peer", or one alarm of it: "peer/path-down" */
	unsigned int n_category;
	const char **severity;			/* "info", "minor", "major", "critical" */
	unsigned int n_severity;
	const char *source;			/* of the alarm; NULL = no such rule, as below */
	const char *router_name;
	const char *router_name_regex;		/* POSIX extended, found anywhere, as below */
	const char *node_name;
	const char *node_name_regex;
	const char *message_regex;
};

struct svr_cfg_alarm_shelving {			/* authority/alarm-shelving */
	struct svr_cfg_shelf *shelf;
	unsigned int n_shelf;
};

enum { SVR_CFG_SECRET_MAX = 3 + 32 + 16 + 32 };	/* bytes */

struct svr_cfg_policy {				/* authority/security/N */
	const char *name;
	bool encrypt;
	enum svr_cfg_encryption_cipher encryption_cipher; /* of no meaning when !encrypt */
	enum svr_cfg_hmac_mode hmac_mode;	/* never DISABLED when encrypt */
	enum svr_cfg_hmac_cipher hmac_cipher;	/* of no meaning when hmac_mode is DISABLED */
	bool adaptive_encryption;		/* not implemented: always false */
	const char *encryption_key;		/* hexadecimal; NULL = none. Static keys, see svr_config_policy_secret() */
	const char *encryption_iv;		/* idem */
	const char *hmac_key;			/* idem */
};

struct svr_cfg_tenant {				/* authority/tenant/N */
	const char *name;
	const char *security;			/* policy name; NULL = none; of no effect yet */
	int security_index;			/* in svr_config.policies; -1 = none */
};

struct svr_cfg_transport {			/* .../transport/N of a service or a session type */
	enum svr_cfg_protocol protocol;
	struct svr_cfg_port_range *port_range;	/* never empty: absent, and without ports, is 0..65535 */
	unsigned int n_port_range;
};

struct svr_cfg_access_policy {			/* authority/service/N/access-policy/N */
	const char *source;			/* tenant name */
	unsigned int tenant_index;		/* in svr_config.tenants */
	enum svr_cfg_permission permission;
};

struct svr_cfg_service {			/* authority/service/N */
	const char *name;
	struct svr_cfg_prefix *address;		/* at least one */
	unsigned int n_address;
	struct svr_cfg_transport *transport;	/* never empty: absent is every protocol that svr knows */
	unsigned int n_transport;
	bool any_transport;			/* the list is absent in the file */
	struct svr_cfg_access_policy *access_policy; /* empty: nobody may use the service */
	unsigned int n_access_policy;
	const char *security;			/* policy name */
	unsigned int security_index;		/* in svr_config.policies */
	const char *session_type;		/* NULL = by transport */
	int session_type_index;			/* in svr_config.session_types; -1 = none named */
};

struct svr_cfg_session_type {			/* authority/session-type/N */
	const char *name;
	struct svr_cfg_transport *transport;	/* may be empty: then it is used by name only */
	unsigned int n_transport;
	uint32_t timeout_ms;
	uint32_t initial_timeout_ms;		/* before a TCP session is established */
};

struct svr_cfg_bfd {				/* .../bfd; absent members inherited or default */
	bool enabled;				/* "state" */
	uint32_t desired_tx_interval_ms;
	uint32_t required_min_rx_interval_ms;
	uint32_t required_min_echo_interval_ms;
	uint8_t multiplier;
	enum svr_cfg_bfd_auth authentication_type;
	uint8_t dscp;
	uint32_t link_test_interval_s;
	uint8_t link_test_length;		/* packets per test; 0 = no tests */
	uint16_t hold_down_time_s;
	bool dynamic_damping;
	uint32_t maximum_hold_down_time_s;
	uint32_t given;				/* bits of the members that stand here in the file, in the order of the table */
};

struct svr_cfg_path_mtu {			/* .../path-mtu-discovery; absent members inherited or default */
	bool enabled;
	uint32_t interval_s;
};

/* What a neighborhood and a manual adjacency have in common. */
struct svr_cfg_link {
	const char **vector;			/* names, highest preference first; may be empty */
	unsigned int n_vector;
	uint32_t cost;
	struct svr_cfg_port_range port_range;	/* waypoint ports here; default when !has_port_range */
	bool has_port_range;
	struct svr_cfg_bfd bfd;			/* of the router, and what is said here; a peer's bfd is not in it */
	struct svr_cfg_path_mtu path_mtu;
	uint32_t metrics_average_s;		/* link quality is averaged over so long */
	bool bfd_metadata;			/* adjacency: false = plain BFD; neighborhood: always true */
	uint16_t bfd_port;			/* adjacency: UDP port of plain BFD; 0 = as the RFC says */
};

struct svr_cfg_neighborhood {			/* .../network-interface/N/neighborhood/N */
	const char *name;
	enum svr_cfg_topology topology;
	struct svr_cfg_link link;
};

struct svr_cfg_adjacency {			/* .../network-interface/N/adjacency/N */
	struct svr_cfg_addr ip_address;		/* of the peer */
	const char *peer;			/* name in the router's peer list */
	struct svr_cfg_link link;
};

struct svr_cfg_tenant_prefix {			/* .../network-interface/N/tenant-prefixes/N */
	const char *tenant;
	unsigned int tenant_index;		/* in svr_config.tenants */
	struct svr_cfg_prefix source_address;
};

struct svr_cfg_if_address {			/* .../network-interface/N/address/N */
	struct svr_cfg_addr ip_address;		/* of the router: host bits are kept */
	uint8_t prefix_length;			/* bits of its own family */
	struct svr_cfg_addr gateway;		/* family 0 = none; otherwise inside the prefix, or link-local */
};

struct svr_cfg_network_interface {
	const char *name;			/* unique in the router */
	uint16_t vlan;				/* 0 = untagged, 1..4094 */
	uint16_t outer_vlan;			/* IEEE 802.1ad tag in front of vlan; 0 = none */
	enum svr_cfg_role role;			/* from what is configured, see docs/config.md */
	const char *tenant;			/* LAN: of sources that no tenant prefix covers; NULL = none */
	int tenant_index;			/* in svr_config.tenants; -1 = none */
	struct svr_cfg_tenant_prefix *tenant_prefixes;
	unsigned int n_tenant_prefixes;
	struct svr_cfg_if_address *address;	/* at least one, at most SVR_CFG_IF_ADDRS */
	unsigned int n_address;
	uint16_t mtu;
	enum svr_cfg_mss_mode enforced_mss_mode;
	uint16_t enforced_mss;			/* bytes; only with SVR_CFG_MSS_FIXED, otherwise 0 */
	const char *inter_router_security;	/* WAN: policy name; NULL = none */
	struct svr_cfg_neighborhood *neighborhood; /* WAN */
	unsigned int n_neighborhood;
	struct svr_cfg_adjacency *adjacency;	/* WAN */
	unsigned int n_adjacency;
};

struct svr_cfg_device_interface {
	const char *name;			/* the Linux device name */
	enum svr_cfg_device_type type;
	struct svr_cfg_network_interface *network_interface;
	unsigned int n_network_interface;
};

struct svr_cfg_node {
	const char *name;
	struct svr_cfg_device_interface *device_interface;
	unsigned int n_device_interface;
};

struct svr_cfg_peer {				/* authority/router/N/peer/N; not the generated ones */
	const char *name;
	const char *router_name;
	bool has_key_exchange_override;
	struct svr_cfg_key_exchange_override key_exchange_override;
	unsigned int router_index;		/* in svr_config.routers */
	bool bfd_metadata;			/* false = plain BFD on all its paths */
	struct svr_cfg_bfd bfd;			/* of the router, and what is said here */
};

struct svr_cfg_service_route {			/* authority/router/N/service-route/N */
	const char *name;
	const char *service_name;
	unsigned int service_index;		/* in svr_config.services */
	const char *peer;			/* peer name; NULL = next hop */
	const char *next_hop_interface;		/* network-interface name; NULL = peer */
	struct svr_cfg_addr next_hop_gateway;	/* family 0 = none; destinations of another family do without it */
};

struct svr_cfg_router {				/* authority/router/N */
	const char *name;
	const char *peering_common_name;
	bool has_fingerprint;			/* the certificate is pinned */
	uint8_t fingerprint[SVR_CFG_FINGERPRINT_LEN];	/* SHA-256 over the certificate in DER */
	const char *description;		/* "" = none */
	const char *location;			/* "" = none */
	struct svr_cfg_client_certificate *client_certificate;	/* 0 or 1; none: that of the authority */
	unsigned int n_client_certificate;
	bool has_key_exchange_override;
	struct svr_cfg_key_exchange_override key_exchange_override;
	struct svr_cfg_bfd bfd;			/* base of every peer's, neighborhood's and adjacency's */
	struct svr_cfg_path_mtu path_mtu;	/* base of every neighborhood's and adjacency's */
	struct svr_cfg_node *node;		/* exactly one, for now */
	unsigned int n_node;
	struct svr_cfg_peer *peer;
	unsigned int n_peer;
	struct svr_cfg_service_route *service_route;
	unsigned int n_service_route;
};

struct svr_config {				/* authority */
	const char *name;
	bool enhanced_security_key_management;
	struct svr_cfg_key_management key_management;
	struct svr_cfg_trusted_ca *trusted_cas;
	unsigned int n_trusted_cas;
	struct svr_cfg_client_certificate *client_certificate;	/* 0 or 1; of routers that name none */
	unsigned int n_client_certificate;
	struct svr_cfg_revocation revocation;
	struct svr_cfg_alarm_shelving alarm_shelving;
	struct svr_cfg_policy *policies;
	unsigned int n_policies;
	int static_policy;			/* in policies: its keys are those of all routers; -1 = keys are agreed */
	struct svr_cfg_tenant *tenants;
	unsigned int n_tenants;
	struct svr_cfg_service *services;
	unsigned int n_services;
	struct svr_cfg_session_type *session_types;
	unsigned int n_session_types;
	struct svr_cfg_router *routers;
	unsigned int n_routers;
	void *priv;				/* memory of all of the above; not for users */
};

/* ---- the view: what one router needs --------------------------------------------------------- */

struct svr_view_zone {				/* one per network-interface, in the order of the file */
	const char *node;
	const char *device;			/* Linux device name */
	const char *interface;			/* network-interface name */
	uint16_t vlan;				/* 0 = untagged */
	uint16_t outer_vlan;			/* 0 = a single tag, or none */
	enum svr_cfg_role role;
	int tenant;				/* index in svr_router_view.tenants; -1 = none */
	const struct svr_cfg_tenant_prefix *tenant_prefixes;
	unsigned int n_tenant_prefixes;		/* their tenant_index is an index in svr_router_view.tenants too */
	const struct svr_cfg_if_address *address;	/* at least one; the first of a family is the waypoint address of a WAN zone */
	unsigned int n_address;
	uint16_t mtu;
	enum svr_cfg_mss_mode enforced_mss_mode;
	uint16_t enforced_mss;
	struct svr_cfg_port_range port_range;	/* WAN: holds the local ports of all paths; LAN: 0..0 */
	const struct svr_cfg_network_interface *cfg;
};

struct svr_view_peer {
	const char *name;			/* of the peer; the router's name unless the peer list says otherwise */
	const char *router_name;
	const char *peering_common_name;
	bool has_fingerprint;
	uint8_t fingerprint[SVR_CFG_FINGERPRINT_LEN];
	const char *description;		/* of the peer's router; "" = none */
	const char *location;			/* of the peer's router; "" = none */
	bool generated;				/* from a neighborhood, not from the peer list */
	uint16_t diffie_hellman_key_size;	/* bits; of the peer, else of the router, else of the authority */
	unsigned int first_path;		/* its paths are paths[first_path .. first_path + n_paths - 1] */
	unsigned int n_paths;			/* 0 = in the peer list, but nothing leads there */
};

struct svr_view_path {				/* sorted by peer, cost, zone, remote interface */
	char *name;				/* peerName/remoteAddress/nodeName/interfaceName/vlan; owned by the view */
	unsigned int peer;			/* index in peers */
	unsigned int zone;			/* index in zones: the local WAN interface */
	const char *neighborhood;		/* NULL = a manual adjacency */
	struct svr_cfg_addr local_address;
	struct svr_cfg_addr remote_address;
	struct svr_cfg_addr gateway;		/* next hop on the local link; family 0 = remote_address is on the link */
	const char *const *vector;
	unsigned int n_vector;
	uint32_t cost;
	struct svr_cfg_port_range local_ports;	/* waypoint ports that this router uses on this path */
	struct svr_cfg_port_range remote_ports;	/* waypoint ports that the peer uses */
	bool parity;				/* even local, odd remote ports; off with any port-range */
	struct svr_cfg_bfd bfd;			/* of router, peer and neighborhood or adjacency, the last one that says it */
	bool bfd_metadata;			/* false: plain BFD, the path is only watched */
	uint16_t bfd_port;			/* UDP port that the peer's BFD listens on, and ours for it */
	struct svr_cfg_path_mtu path_mtu;	/* never enabled where BFD has no metadata */
	uint32_t metrics_average_s;
};

struct svr_view_transport {
	enum svr_cfg_protocol protocol;
	struct svr_cfg_port_range ports;	/* protocols without ports: 0..65535 */
};

struct svr_view_service {
	const struct svr_cfg_service *cfg;	/* name, addresses, access policies (tenant_index is an index in tenants) */
	unsigned int policy;			/* index in policies */
	struct svr_view_transport *transport;	/* owned by the view; sorted by protocol and port, never overlapping */
	unsigned int n_transport;		/* <= SVR_MAX_TRANSPORTS */
	bool any_transport;			/* absent in the file; transport[] is then every protocol */
	int route;				/* index in routes; -1 = this router cannot reach the service */
};

enum svr_view_route_kind { SVR_VIEW_ROUTE_PEER, SVR_VIEW_ROUTE_LOCAL };

struct svr_view_route {				/* one per service-route of this router, in the order of the file */
	const char *name;
	unsigned int service;			/* index in services */
	enum svr_view_route_kind kind;
	unsigned int peer;			/* PEER: index in peers */
	unsigned int *path;			/* PEER: indexes in paths, best first; owned by the view */
	unsigned int n_path;			/* PEER: <= SVR_MAX_ROUTE_PATHS; 0 = the peer has no path */
	unsigned int zone;			/* LOCAL: index in zones */
	struct svr_cfg_addr gateway;		/* LOCAL: family 0 = destinations are on the link, as are those of another family */
};

struct svr_router_view {
	const struct svr_config *cfg;
	const struct svr_cfg_router *router;	/* own name, common name, pinned fingerprint, description, location */
	const struct svr_cfg_key_management *key_management;
	bool enhanced_security_key_management;
	const struct svr_cfg_tenant *tenants;	/* of the authority: same indexes in every router */
	unsigned int n_tenants;
	const struct svr_cfg_policy *policies;	/* idem */
	unsigned int n_policies;
	struct svr_view_service *services;	/* idem */
	unsigned int n_services;
	struct svr_view_zone *zones;
	unsigned int n_zones;
	struct svr_view_peer *peers;		/* the peer list, then the generated ones in router order */
	unsigned int n_peers;
	struct svr_view_path *paths;
	unsigned int n_paths;
	struct svr_view_route *routes;
	unsigned int n_routes;
	void *priv;				/* memory of all that the view owns; not for users */
};

// clang-format on

/* ---- functions ------------------------------------------------------------------------------- */

/* Empties @errs. */
void svr_config_errors_init(struct svr_config_errors *errs);

/* Reads and checks the file @path.
 * @out: the configuration, for svr_config_free(); NULL on every error, so that nothing is ever
 * applied from a bad file.
 * @errs: initialised here; never NULL. Also filled on success, with warnings.
 * Returns 0; -EINVAL when the content is refused (see @errs); -EFBIG above SVR_CFG_FILE_MAX;
 * -ENOMEM; or the negative errno of open/read. @errs holds at least one error whenever the result
 * is not 0.
 */
int svr_config_load(const char *path, struct svr_config **out, struct svr_config_errors *errs);

/* The file as json-c's tree, for those who write it back: what each member alone can get wrong was
 * checked, and no name stands twice in an object; what several together can, was not.
 * @out: for json_object_put(); NULL on every error. Returns what svr_config_load() does.
 */
int svr_config_load_tree(const char *path, struct json_object **out,
			 struct svr_config_errors *errs);

/* The same as svr_config_load() for @len bytes at @text, which need no NUL at the end and are not
 * kept.
 */
int svr_config_parse(const char *text, size_t len, struct svr_config **out,
		     struct svr_config_errors *errs);

/* Frees @cfg and all below it. NULL is fine. Views of @cfg must be freed before. */
void svr_config_free(struct svr_config *cfg);

/* The router called @name; NULL when there is none. It lives as long as @cfg. */
const struct svr_cfg_router *svr_config_router(const struct svr_config *cfg, const char *name);

/* The client-certificate that @router peers with: its own entry or the authority's; NULL when there
 * is neither.
 */
const char *svr_config_client_certificate(const struct svr_config *cfg,
					  const struct svr_cfg_router *router);

/* Seconds between two fetches of a revocation list. */
uint32_t svr_config_polling_interval_s(const struct svr_cfg_revocation *revocation);

/* What the router @name needs, as flat arrays.
 * @out: for svr_config_view_free(); NULL on error. It borrows from @cfg.
 * @errs: initialised here; never NULL. The same file gives the same view, index by index, on every
 * machine.
 * Returns 0; -ENOENT when there is no such router; -ENOMEM. What svr_config_parse() took, this
 * does not refuse.
 */
int svr_config_resolve(const struct svr_config *cfg, const char *name, struct svr_router_view **out,
		       struct svr_config_errors *errs);

/* The session type of each port of a protocol, for services that name none: the first one of the file that holds the port, as
 * index in svr_config.session_types + 1; 0 = none. Protocols without ports: that of port 0.
 */
void svr_config_port_types(const struct svr_config *cfg, enum svr_cfg_protocol protocol,
			   uint16_t type[static 65536]);

/* Frees @view, not the configuration below it. NULL is fine. */
void svr_config_view_free(struct svr_router_view *view);

/* Prints one error as "LINE:COLUMN: error: POINTER: REASON (found VALUE)", leaving out what is not
 * known.
 * Returns the length that the text has, like snprintf(); @len 0 is fine.
 */
int svr_config_error_print(const struct svr_config_error *err, char *buf, size_t len);

/* Parses "192.0.2.1" or "2001:db8::1"; a v4-mapped IPv6 address is none. Returns 0 or -EINVAL; @addr
 * is untouched on error.
 */
int svr_config_addr_parse(const char *text, struct svr_cfg_addr *addr);

/* Prints @addr as "192.0.2.1" or "2001:db8::1" (RFC 5952), "" when it is not set. Returns @buf. */
const char *svr_config_addr_print(const struct svr_cfg_addr *addr,
				  char buf[static SVR_CFG_ADDR_STRLEN]);

/* Parses "192.0.2.0/24". Returns 0; -EINVAL when it is no prefix; -ERANGE when host bits are set;
 * @prefix is untouched on error.
 */
int svr_config_prefix_parse(const char *text, struct svr_cfg_prefix *prefix);

/* Prints @prefix as "192.0.2.0/24". Returns @buf. */
const char *svr_config_prefix_print(const struct svr_cfg_prefix *prefix,
				    char buf[static SVR_CFG_PREFIX_STRLEN]);

/* True when @addr is of the prefix's family and inside it. */
bool svr_config_prefix_has(const struct svr_cfg_prefix *prefix, const struct svr_cfg_addr *addr);

/* True for fe80::/10 (RFC 4291 2.5.6). */
bool svr_config_addr_link_local(const struct svr_cfg_addr *addr);

/* The first of @n interface addresses that is of @family (4 or 6): the one that a WAN interface
 * takes for its waypoints. NULL when there is none.
 */
const struct svr_cfg_if_address *
svr_config_if_address(const struct svr_cfg_if_address *list, unsigned int n, uint8_t family);

/* True when the two addresses are equal, family included. */
bool svr_config_addr_equal(const struct svr_cfg_addr *a, const struct svr_cfg_addr *b);

/**
 * svr_config_policy_secret() - the static keys of a policy as one secret: of encryption-key, encryption-iv and hmac-key, in
 * this order, one byte with the length and the bytes. An absent one has length 0.
 * @out: wipe it
 * Return: bytes, 0 if the policy has no keys.
 */
size_t svr_config_policy_secret(const struct svr_cfg_policy *policy, uint8_t out[static SVR_CFG_SECRET_MAX]);

/* Rekey intervals in seconds, 0 = never: the member in seconds where it is set, else the one in hours. */
uint64_t svr_config_payload_rekey_sec(const struct svr_cfg_key_management *k);
uint64_t svr_config_peer_rekey_sec(const struct svr_cfg_key_management *k);

/* The words of the configuration file for enum values, for printing: "aes-cbc-256", "time-based",
 * ... "?" for a value that is none.
 */
const char *svr_config_encryption_cipher_name(enum svr_cfg_encryption_cipher cipher);
const char *svr_config_hmac_mode_name(enum svr_cfg_hmac_mode mode);
const char *svr_config_hmac_cipher_name(enum svr_cfg_hmac_cipher cipher);
const char *svr_config_protocol_name(enum svr_cfg_protocol protocol);
const char *svr_config_topology_name(enum svr_cfg_topology topology);
const char *svr_config_role_name(enum svr_cfg_role role);

#endif /* SVR_LIB_CONFIG_H */
