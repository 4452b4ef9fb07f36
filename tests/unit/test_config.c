// SPDX-License-Identifier: BSD-2-Clause
/* Configuration: every refusal with its exact place and reason, defaults, generated peers and
 * paths, the example, and schema and document held against the tables of the reader.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <criterion/criterion.h>
#include <json-c/json.h>

#include <svr/limits.h>

#include "lib/config.h"
#include "lib/config_internal.h"

#define EXAMPLE "etc/example.json"
#define SCHEMA	"etc/svr-config.schema.json"
#define DOC	"docs/config.md"

/* Two routers, one service. Rows change single places of it. */
static const char base[] =
	"{\"authority\":{\"name\":\"test\",\"enhanced-security-key-management\":true,"
	"\"security-key-management\":{\"allow-self-signed-peering-certificates\":false},"
	"\"trusted-ca-certificate\":[{\"name\":\"ca\",\"file\":\"ca.pem\"}],"
	"\"security\":[{\"name\":\"secret\"},"
	"{\"name\":\"clear\",\"encrypt\":false,\"hmac-mode\":\"disabled\"}],"
	"\"tenant\":[{\"name\":\"corp\"},{\"name\":\"guest\"}],"
	"\"session-type\":[{\"name\":\"web\",\"timeout\":60000,\"transport\":"
	"[{\"protocol\":\"tcp\",\"port-range\":[{\"start-port\":80}]}]}],"
	"\"service\":[{\"name\":\"app\",\"address\":[\"172.16.2.0/24\"],\"security\":\"secret\","
	"\"transport\":[{\"protocol\":\"tcp\",\"port-range\":[{\"start-port\":80,\"end-port\":90}]}],"
	"\"access-policy\":[{\"source\":\"corp\"}]},"
	"{\"name\":\"dns\",\"address\":[\"172.16.2.0/24\"],\"security\":\"secret\","
	"\"transport\":[{\"protocol\":\"udp\",\"port-range\":[{\"start-port\":53}]}],"
	"\"access-policy\":[{\"source\":\"corp\"}]}],"
	"\"router\":["
	"{\"name\":\"west\",\"peering-common-name\":\"west.example\",\"node\":[{\"name\":\"n0\","
	"\"device-interface\":["
	"{\"name\":\"ge0\",\"network-interface\":[{\"name\":\"lan\",\"tenant\":\"corp\","
	"\"address\":[{\"ip-address\":\"172.16.1.1\",\"prefix-length\":24}]}]},"
	"{\"name\":\"ge1\",\"network-interface\":[{\"name\":\"wan\","
	"\"neighborhood\":[{\"name\":\"inet\"}],"
	"\"address\":[{\"ip-address\":\"192.0.2.1\",\"prefix-length\":24}]}]}]}],"
	"\"service-route\":[{\"name\":\"r0\",\"service-name\":\"app\",\"peer\":\"east\"}]},"
	"{\"name\":\"east\",\"peering-common-name\":\"east.example\",\"node\":[{\"name\":\"n0\","
	"\"device-interface\":["
	"{\"name\":\"ge0\",\"network-interface\":[{\"name\":\"lan\",\"tenant\":\"corp\","
	"\"address\":[{\"ip-address\":\"172.16.2.1\",\"prefix-length\":24}]}]},"
	"{\"name\":\"ge1\",\"network-interface\":[{\"name\":\"wan\","
	"\"neighborhood\":[{\"name\":\"inet\"}],"
	"\"address\":[{\"ip-address\":\"192.0.2.2\",\"prefix-length\":24}]}]}]}],"
	"\"service-route\":[{\"name\":\"r0\",\"service-name\":\"app\",\"next-hop\":{\"interface\":"
	"\"lan\"}}]}]}}";

#define A	 "/authority"
#define SKM	 A "/security-key-management"
#define REVOCATION A "/certificate-revocation"
#define SHELVING A "/alarm-shelving"
#define SHELF	 SHELVING "/shelf/0"
#define URL_RULE "must be a URL http://HOST/..., https://HOST/... or file:///..."
#define POLICY	 A "/security/0"
#define SERVICE	 A "/service/0"
#define ROUTER	 A "/router/0"
#define LAN	 ROUTER "/node/0/device-interface/0/network-interface/0"
#define WAN	 ROUTER "/node/0/device-interface/1/network-interface/0"
#define EAST	 A "/router/1"
#define EAST_LAN EAST "/node/0/device-interface/0/network-interface/0"
#define EAST_WAN EAST "/node/0/device-interface/1/network-interface/0"

#define KEY32	   "\"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\""
#define STATIC_KEYS                                                                          \
	{ A "/enhanced-security-key-management", "false" },                                  \
		{ POLICY "/encryption-key", KEY32 }, { POLICY "/hmac-key", "\"00:11:22:ff\"" }, \
		{ POLICY "/encryption-iv", "\"000102030405060708090A0B0C0D0E0F\"" }

/* ---- helpers -------------------------------------------------------------------------------- */

static int parse(const char *text, struct svr_config **cfg, struct svr_config_errors *errs)
{
	return svr_config_parse(text, strlen(text), cfg, errs);
}

/* All errors in one text, for the messages of failed rows. */
static const char *print_all(const struct svr_config_errors *errs)
{
	static char text[16384];
	size_t n = 0;
	unsigned int i;

	text[0] = '\0';
	for (i = 0; i < errs->n && n + 1024 < sizeof(text); i++) {
		n += (size_t)svr_config_error_print(&errs->list[i], text + n, sizeof(text) - n);
		n += (size_t)snprintf(text + n, sizeof(text) - n, "\n");
	}
	return text;
}

static void load_ok(const char *text, struct svr_config **cfg)
{
	struct svr_config_errors errs;
	int err = parse(text, cfg, &errs);

	cr_assert_eq(err, 0, "must be taken:\n%s", print_all(&errs));
	cr_assert_not_null(*cfg);
	cr_assert_eq(errs.n_errors, 0);
}

static struct svr_router_view *view_of(const struct svr_config *cfg, const char *name)
{
	struct svr_config_errors errs;
	struct svr_router_view *view;

	cr_assert_eq(svr_config_resolve(cfg, name, &view, &errs), 0, "%s", print_all(&errs));
	cr_assert_eq(errs.n, 0);
	return view;
}

/* Places of a document that are set (JSON text) or removed (NULL), in this order. */
struct change {
	const char *pointer;
	const char *value;
};

static void apply(struct json_object **doc, const struct change *change)
{
	char parent[SVR_CFG_POINTER_LEN];
	struct json_object *at = NULL;
	char *slash;

	if (change->value) {
		struct json_object *value = json_tokener_parse(change->value);

		cr_assert(value || !strcmp(change->value, "null"), "%s", change->value);
		cr_assert_eq(json_pointer_set(doc, change->pointer, value), 0, "%s",
			     change->pointer);
		return;
	}
	snprintf(parent, sizeof(parent), "%s", change->pointer);
	slash = strrchr(parent, '/');
	*slash = '\0';
	cr_assert_eq(json_pointer_get(*doc, parent, &at), 0, "%s", parent);
	if (json_object_is_type(at, json_type_array))
		json_object_array_del_idx(at, (size_t)atoi(slash + 1), 1);
	else
		json_object_object_del(at, slash + 1);
}

/* The base document with up to @n changes, the last of which may have no pointer; to be freed. */
static char *changed(const struct change *changes, size_t n)
{
	struct json_object *doc = json_tokener_parse(base);
	char *text;
	size_t i;

	cr_assert_not_null(doc);
	for (i = 0; i < n && changes[i].pointer; i++)
		apply(&doc, &changes[i]);
	text = strdup(json_object_to_json_string_ext(doc, JSON_C_TO_STRING_PLAIN |
								  JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(doc);
	cr_assert_not_null(text);
	return text;
}

static struct svr_config *load_changed(const struct change *changes, size_t n)
{
	char *text = changed(changes, n);
	struct svr_config *cfg;

	load_ok(text, &cfg);
	free(text);
	return cfg;
}

#define LOAD(...)                                            \
	load_changed((const struct change[]){ __VA_ARGS__ }, \
		     sizeof((const struct change[]){ __VA_ARGS__ }) / sizeof(struct change))

static char *read_file(const char *path)
{
	FILE *f = fopen(path, "r");
	char *text = calloc(1, 1 << 20);
	size_t n;

	cr_assert_not_null(f, "%s: run the tests from the top directory", path);
	n = fread(text, 1, (1 << 20) - 1, f);
	cr_assert_gt(n, 0);
	fclose(f);
	return text;
}

/* ---- refusals: place and reason --------------------------------------------------------------- */

enum { CHANGES = 5 };

struct row {
	const char *name;
	struct change changes[CHANGES];
	const char *pointer;
	const char *reason; /* a part of it */
	const char *found; /* the value; NULL = whatever */
};

#define NAME_RULE "must be a name of 1 to 63 characters"
#define DOT_RULE  "single dots between them"
#define NOT_THERE "there is no "
#define NOT_YET	  "known but not implemented yet"
#define IF6(n)	  "{\"ip-address\":\"2001:db8:" n "::1\",\"prefix-length\":64}"
#define LONG_64	  "\"1234567890123456789012345678901234567890123456789012345678901234\""
#define FP(a)                                                                         \
	"\"sha256:" a ":01:02:03:04:05:06:07:08:09:0a:0b:0c:0d:0e:0f:10:11:12:13:14:" \
	"15:16:17:18:19:1a:1b:1c:1d:1e:1f\""

// clang-format off
static const struct row refused[] = {
	/* shape */
	{ "no authority", { { A, NULL } }, "", "member \"authority\" is missing", "" },
	{ "authority is an array", { { A, "[]" } }, A, "must be an object", "[...]" },
	{ "authority is null", { { A, "null" } }, A, "must be an object", "null" },
	{ "a second member beside authority", { { "/other", "1" } }, "/other", "unknown member; must be one of authority", "" },
	{ "unknown member", { { A "/colour", "\"red\"" } }, A "/colour", "unknown member; must be one of name, enhanced-", "" },
	{ "a key that is not shown under a wrong name", { { POLICY "/encryption_key", KEY32 } }, POLICY "/encryption_key", "unknown member", "" },
	{ "a key that is not shown in a wrong place", { { ROUTER "/hmackey", KEY32 } }, ROUTER "/hmackey", "unknown member", "" },
	{ "a key with an escape sequence", { { A "/\x1b[31m", "1" } }, A "/?[31m", "unknown member", NULL },
	{ "SSR's member that svr does not have", { { LAN "/dhcp", "\"v4\"" } }, LAN "/dhcp", "unknown member; must be one of name, vlan", NULL },
	{ "no name", { { A "/name", NULL } }, A, "member \"name\" is missing", "" },
	{ "name is a number", { { A "/name", "5" } }, A "/name", NAME_RULE, "5" },
	{ "name is null", { { A "/name", "null" } }, A "/name", NAME_RULE, "null" },
	{ "empty name", { { A "/name", "\"\"" } }, A "/name", NAME_RULE, "\"\"" },
	{ "name with a blank", { { A "/name", "\"a b\"" } }, A "/name", NAME_RULE, "\"a b\"" },
	{ "name with a dot", { { POLICY "/name", "\"a.b\"" } }, POLICY "/name", NAME_RULE, "\"a.b\"" },
	{ "name of 64 characters", { { A "/name", LONG_64 } }, A "/name", NAME_RULE, LONG_64 },
	{ "a long value is cut", { { A "/name", "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"" } },
	  A "/name", NAME_RULE, "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa..." },
	{ "an entry is no object", { { A "/tenant/1", "\"guest\"" } }, A "/tenant/1", "must be an object", "\"guest\"" },
	{ "a list is an object", { { A "/tenant", "{}" } }, A "/tenant", "must be an array of objects", "{...}" },
	{ "two tenants of a name", { { A "/tenant/1/name", "\"corp\"" } }, A "/tenant/1/name", "stands in entry 0 already", "\"corp\"" },
	{ "two services of a name", { { A "/service/1/name", "\"app\"" } }, A "/service/1/name", "stands in entry 0 already", "\"app\"" },
	{ "two routers of a name", { { EAST "/name", "\"west\"" } }, EAST "/name", "stands in entry 0 already", NULL },
	{ "two policies of a name", { { A "/security/1/name", "\"secret\"" } }, A "/security/1/name", "stands in entry 0 already", NULL },
	{ "two devices of a name", { { ROUTER "/node/0/device-interface/1/name", "\"ge0\"" } },
	  ROUTER "/node/0/device-interface/1/name", "stands in entry 0 already", NULL },
	{ "no routers", { { A "/router", "[]" } }, A "/router", "must have 1 to 1024 entries, has 0", "" },

	/* key management */
	{ "ML-KEM", { { SKM "/key-exchange-algorithm", "\"ml-kem\"" } }, SKM "/key-exchange-algorithm",
	  "\"ml-kem\" is " NOT_YET "; must be one of \"diffie-hellman\"", "\"ml-kem\"" },
	{ "Diffie-Hellman and ML-KEM", { { SKM "/key-exchange-algorithm", "\"diffie-hellman-ml-kem\"" } }, SKM "/key-exchange-algorithm", NOT_YET, NULL },
	{ "an algorithm that nobody knows", { { SKM "/key-exchange-algorithm", "\"rsa\"" } }, SKM "/key-exchange-algorithm",
	  "must be one of \"diffie-hellman\"", "\"rsa\"" },
	{ "group of 3072 bits", { { SKM "/diffie-hellman-key-size", "3072" } }, SKM "/diffie-hellman-key-size", "must be one of 1024, 2048, 4096", "3072" },
	{ "group size as a string", { { SKM "/diffie-hellman-key-size", "\"2048\"" } }, SKM "/diffie-hellman-key-size",
	  "must be one of 1024, 2048, 4096", "\"2048\"" },
	{ "payload rekey 0", { { SKM "/payload-key-rekey-interval", "0" } }, SKM "/payload-key-rekey-interval",
	  "must be an integer from 1 to 720, or one of \"never\"", "0" },
	{ "payload rekey \"always\"", { { SKM "/payload-key-rekey-interval", "\"always\"" } }, SKM "/payload-key-rekey-interval", "or one of \"never\"", NULL },
	{ "payload rekey in 86401 s", { { SKM "/payload-key-rekey-interval-seconds", "86401" } }, SKM "/payload-key-rekey-interval-seconds", "must be an integer from 0 to 86400", "86401" },
	{ "peer rekey 721", { { SKM "/peer-key-rekey-interval", "721" } }, SKM "/peer-key-rekey-interval", "must be an integer from 0 to 720", "721" },
	{ "peer rekey -1", { { SKM "/peer-key-rekey-interval", "-1" } }, SKM "/peer-key-rekey-interval", "must be an integer from 0 to 720", "-1" },
	{ "peer rekey 24.0", { { SKM "/peer-key-rekey-interval", "24.0" } }, SKM "/peer-key-rekey-interval", "must be an integer from 0 to 720", "24.0" },
	{ "peer rekey true", { { SKM "/peer-key-rekey-interval", "true" } }, SKM "/peer-key-rekey-interval", "must be an integer from 0 to 720", "true" },
	{ "hold time of more than an hour", { { SKM "/rekey-hold-time", "3601" } }, SKM "/rekey-hold-time", "must be an integer from 0 to 3600", "3601" },
	{ "override without a size", { { ROUTER "/key-exchange-algorithm-override", "{}" } }, ROUTER "/key-exchange-algorithm-override", "member \"diffie-hellman-key-size\" is missing", "" },
	{ "override with ML-KEM", { { ROUTER "/key-exchange-algorithm-override", "{\"key-exchange-algorithm\":\"ml-kem\",\"diffie-hellman-key-size\":2048}" } }, ROUTER "/key-exchange-algorithm-override/key-exchange-algorithm", "not implemented yet", NULL },
	{ "retransmit 4", { { SKM "/peer-key-retransmit-interval", "4" } }, SKM "/peer-key-retransmit-interval", "must be an integer from 5 to 3600", "4" },
	{ "time-out 2^32", { { SKM "/peer-key-timeout", "4294967296" } }, SKM "/peer-key-timeout", "must be an integer from 1 to 4294967295", "4294967296" },
	{ "time-out 2^64", { { SKM "/peer-key-timeout", "18446744073709551616" } }, SKM "/peer-key-timeout", "must be an integer from 1 to 4294967295", NULL },
	{ "time-out before the first repetition", { { SKM "/peer-key-timeout", "29" } }, SKM "/peer-key-timeout",
	  "must not be shorter than peer-key-retransmit-interval (30 s)", "29" },
	{ "certificate behaviour", { { SKM "/invalid-certificate-behavior", "\"fail\"" } }, SKM "/invalid-certificate-behavior",
	  "must be one of \"fail-soft\", \"fail-hard\"", "\"fail\"" },
	{ "a word for a boolean", { { SKM "/allow-self-signed-peering-certificates", "\"true\"" } }, SKM "/allow-self-signed-peering-certificates",
	  "must be true or false", "\"true\"" },
	{ "CA file in another directory", { { A "/trusted-ca-certificate/0/file", "\"../ca.pem\"" } }, A "/trusted-ca-certificate/0/file",
	  "must be a file name without directories", "\"../ca.pem\"" },
	{ "hidden CA file", { { A "/trusted-ca-certificate/0/file", "\".ca\"" } }, A "/trusted-ca-certificate/0/file", DOT_RULE, NULL },
	{ "CA without a file", { { A "/trusted-ca-certificate/0/file", NULL } }, A "/trusted-ca-certificate/0", "member \"file\" is missing", "" },
	{ "validation-mode", { { A "/trusted-ca-certificate/0/validation-mode", "\"lax\"" } }, A "/trusted-ca-certificate/0/validation-mode",
	  "must be one of \"warn\", \"strict\"", NULL },

	/* certificates */
	{ "client certificate with a path", { { ROUTER "/client-certificate", "[{\"name\":\"../key\"}]" } }, ROUTER "/client-certificate/0/name", DOT_RULE, "\"../key\"" },
	{ "client certificate without a name", { { A "/client-certificate", "[{}]" } }, A "/client-certificate/0", "member \"name\" is missing", "" },
	{ "two client certificates", { { A "/client-certificate", "[{\"name\":\"a\"},{\"name\":\"b\"}]" } }, A "/client-certificate",
	  "more than one client-certificate is not supported yet: 2 entries found", "" },
	{ "one URL is no list", { { REVOCATION, "{\"url\":\"http://a/b.crl\"}" } }, REVOCATION "/url", "must be an array of URLs", NULL },
	{ "FTP", { { REVOCATION, "{\"url\":[\"ftp://a/b.crl\"]}" } }, REVOCATION "/url/0", URL_RULE, "\"ftp://a/b.crl\"" },
	{ "URL without a host", { { REVOCATION, "{\"url\":[\"http:///b.crl\"]}" } }, REVOCATION "/url/0", URL_RULE, NULL },
	{ "URL with a password", { { REVOCATION, "{\"url\":[\"http://me:secret@a/b.crl\"]}" } }, REVOCATION "/url/0", URL_RULE, NULL },
	{ "URL with a space", { { REVOCATION, "{\"url\":[\"http://a/b c\"]}" } }, REVOCATION "/url/0", URL_RULE, NULL },
	{ "URL with a newline", { { REVOCATION, "{\"url\":[\"http://a/\\nb\"]}" } }, REVOCATION "/url/0", URL_RULE, NULL },
	{ "file on another host", { { REVOCATION, "{\"url\":[\"file://a/b.crl\"]}" } }, REVOCATION "/url/0", URL_RULE, NULL },
	{ "file without a name", { { REVOCATION, "{\"url\":[\"file:///\"]}" } }, REVOCATION "/url/0", URL_RULE, NULL },
	{ "a URL twice", { { REVOCATION, "{\"url\":[\"http://a/b\",\"http://a/b\"]}" } }, REVOCATION "/url/1", "stands in entry 0 already", NULL },
	{ "a shelf without a rule", { { SHELVING, "{\"shelf\":[{\"name\":\"s\",\"match-type\":\"any\"}]}" } }, SHELF, "needs at least one rule", NULL },
	{ "a shelf without a name", { { SHELVING, "{\"shelf\":[{\"source\":\"x\"}]}" } }, SHELF, "name", NULL },
	{ "a severity that is none", { { SHELVING, "{\"shelf\":[{\"name\":\"s\",\"severity\":[\"fatal\"]}]}" } }, SHELF "/severity/0", "must be one of info, minor, major, critical", "\"fatal\"" },
	{ "a severity in capitals", { { SHELVING, "{\"shelf\":[{\"name\":\"s\",\"severity\":[\"MAJOR\"]}]}" } }, SHELF "/severity/0", "must be one of info", NULL },
	{ "a category that is none", { { SHELVING, "{\"shelf\":[{\"name\":\"s\",\"category\":[\"a b\"]}]}" } }, SHELF "/category/0", "must be a category of alarms", NULL },
	{ "an expression that is none", { { SHELVING, "{\"shelf\":[{\"name\":\"s\",\"message-regex\":\"a(\"}]}" } }, SHELF "/message-regex", "must be an extended regular expression", NULL },
	{ "an expression that explodes", { { SHELVING, "{\"shelf\":[{\"name\":\"s\",\"message-regex\":\"(a{255}){255}\"}]}" } }, SHELF "/message-regex", "must be an extended", NULL },
	{ "a back-reference", { { SHELVING, "{\"shelf\":[{\"name\":\"s\",\"node-name-regex\":\"(a*)\\\\1\"}]}" } }, SHELF "/node-name-regex", "must be an extended", NULL },
	{ "an empty expression", { { SHELVING, "{\"shelf\":[{\"name\":\"s\",\"router-name-regex\":\"\"}]}" } }, SHELF "/router-name-regex", "must be an extended", NULL },
	{ "polling 0", { { REVOCATION, "{\"polling-interval\":0}" } }, REVOCATION "/polling-interval", "must be an integer from 1 to 168", "0" },
	{ "polling 169", { { REVOCATION, "{\"polling-interval\":169}" } }, REVOCATION "/polling-interval", "must be an integer from 1 to 168", "169" },
	{ "polling above a week in seconds", { { REVOCATION, "{\"polling-interval-seconds\":604801}" } }, REVOCATION "/polling-interval-seconds",
	  "must be an integer from 0 to 604800", NULL },
	{ "back-off 0", { { REVOCATION, "{\"backoff-interval\":0}" } }, REVOCATION "/backoff-interval", "must be an integer from 1 to 86400", "0" },

	/* policies */
	{ "a cipher that nobody knows", { { POLICY "/encryption-cipher", "\"rc4\"" } }, POLICY "/encryption-cipher",
	  "must be one of \"aes-cbc-128\", \"aes-cbc-256\", \"aes-gcm-128\", \"aes-gcm-256\"", "\"rc4\"" },
	{ "cipher in capitals", { { POLICY "/encryption-cipher", "\"AES-CBC-256\"" } }, POLICY "/encryption-cipher", "must be one of", NULL },
	{ "hmac-cipher", { { POLICY "/hmac-cipher", "\"md5\"" } }, POLICY "/hmac-cipher",
	  "must be one of \"sha1\", \"sha256\", \"sha256-128\", \"sha384\", \"sha512\"", "\"md5\"" },
	{ "hmac-mode", { { POLICY "/hmac-mode", "false" } }, POLICY "/hmac-mode", "must be one of \"disabled\", \"regular\", \"time-based\"", "false" },
	{ "encrypted but not signed", { { POLICY "/hmac-mode", "\"disabled\"" } }, POLICY "/hmac-mode",
	  "nothing unauthenticated is ever decrypted", "\"disabled\"" },
	{ "adaptive encryption", { { POLICY "/adaptive-encryption", "true" } }, POLICY "/adaptive-encryption", NOT_YET "; must be false or absent", "true" },
	{ "static keys with encryption", { { A "/enhanced-security-key-management", "false" } }, POLICY "/encryption-key",
	  "is missing: without enhanced-security-key-management all routers need the same keys", "" },
	{ "static keys is the default", { { A "/enhanced-security-key-management", NULL }, { POLICY "/encrypt", "false" } }, POLICY "/hmac-key",
	  "is missing", "" },
	{ "key of half a byte", { { POLICY "/hmac-key", "\"abc\"" } }, POLICY "/hmac-key", "must be pairs of hexadecimal digits", "(hidden)" },
	{ "key with some colons", { { POLICY "/hmac-key", "\"00:1122\"" } }, POLICY "/hmac-key", "must be pairs of hexadecimal digits", "(hidden)" },
	{ "key with a colon behind", { { POLICY "/hmac-key", "\"0011:\"" } }, POLICY "/hmac-key", "must be pairs of hexadecimal digits", "(hidden)" },
	{ "key of letters", { { POLICY "/encryption-key", "\"xy\"" } }, POLICY "/encryption-key", "must be pairs of hexadecimal digits", "(hidden)" },
	{ "key as a number", { { POLICY "/encryption-iv", "11" } }, POLICY "/encryption-iv", "must be pairs of hexadecimal digits", "(hidden)" },
	{ "HMAC key of three bytes", { { POLICY "/hmac-key", "\"001122\"" } }, POLICY "/hmac-key", "length that is not allowed", "(hidden)" },
	{ "short IV", { { POLICY "/encryption-iv", "\"0011223344556677\"" } }, POLICY "/encryption-iv", "length that is not allowed", "(hidden)" },
	{ "AES-128 key for AES-256", { { POLICY "/encryption-key", "\"00112233445566778899aabbccddeeff\"" } }, POLICY "/encryption-key",
	  "length that is not allowed", "(hidden)" },
	{ "static keys without a policy between routers", { STATIC_KEYS }, WAN "/inter-router-security", "is missing: without enhanced", NULL },
	{ "static keys without a policy at one end", { STATIC_KEYS, { WAN "/inter-router-security", "\"secret\"" } }, EAST_WAN "/inter-router-security", "is missing", NULL },
	{ "a policy between routers that does not encrypt", { STATIC_KEYS, { WAN "/inter-router-security", "\"clear\"" } }, WAN "/inter-router-security",
	  "must name a policy that encrypts", NULL },
	{ "a policy between routers on a LAN", { STATIC_KEYS, { LAN "/inter-router-security", "\"secret\"" } }, LAN "/inter-router-security",
	  "is for WAN interfaces only", NULL },
	{ "inter-router-security of a LAN", { { LAN "/inter-router-security", "\"nobody\"" } }, LAN "/inter-router-security", "there is no security policy called", NULL },
	{ "inter-router-security of nothing", { { WAN "/inter-router-security", "\"nobody\"" } }, WAN "/inter-router-security", "there is no security policy called", NULL },

	/* services */
	{ "tenant's policy", { { A "/tenant/0/security", "\"none\"" } }, A "/tenant/0/security", NOT_THERE "security policy called \"none\"", "\"none\"" },
	{ "service's policy", { { SERVICE "/security", "\"none\"" } }, SERVICE "/security", NOT_THERE "security policy called \"none\"", NULL },
	{ "service without a policy", { { SERVICE "/security", NULL } }, SERVICE, "member \"security\" is missing", "" },
	{ "session type", { { SERVICE "/session-type", "\"none\"" } }, SERVICE "/session-type", NOT_THERE "session type called \"none\"", NULL },
	{ "tenant in an access policy", { { SERVICE "/access-policy/0/source", "\"none\"" } }, SERVICE "/access-policy/0/source",
	  NOT_THERE "tenant called \"none\"", NULL },
	{ "source with a prefix", { { SERVICE "/access-policy/0/source", "\"corp@10.0.0.0/8\"" } }, SERVICE "/access-policy/0/source", NOT_YET, NULL },
	{ "source in a group", { { SERVICE "/access-policy/0/source", "\"/group/app\"" } }, SERVICE "/access-policy/0/source", NOT_YET, NULL },
	{ "permission", { { SERVICE "/access-policy/0/permission", "\"yes\"" } }, SERVICE "/access-policy/0/permission", "must be one of \"allow\", \"deny\"", NULL },
	{ "a tenant twice", { { SERVICE "/access-policy/-", "{\"source\":\"corp\",\"permission\":\"deny\"}" } }, SERVICE "/access-policy/1/source",
	  "stands in entry 0 already", "\"corp\"" },
	{ "service without an address", { { SERVICE "/address", "[]" } }, SERVICE "/address", "must have 1 to 1024 entries, has 0", "" },
	{ "address is a string", { { SERVICE "/address", "\"172.16.2.0/24\"" } }, SERVICE "/address", "must be an array of prefixes", NULL },
	{ "host bits", { { SERVICE "/address/0", "\"172.16.2.1/24\"" } }, SERVICE "/address/0", "a prefix whose host bits are zero", "\"172.16.2.1/24\"" },
	{ "no length", { { SERVICE "/address/0", "\"172.16.2.0\"" } }, SERVICE "/address/0", "must be an IPv4 or IPv6 prefix", NULL },
	{ "length 33", { { SERVICE "/address/0", "\"172.16.2.0/33\"" } }, SERVICE "/address/0", "must be an IPv4 or IPv6 prefix", NULL },
	{ "length 024", { { SERVICE "/address/0", "\"172.16.2.0/024\"" } }, SERVICE "/address/0", "must be an IPv4 or IPv6 prefix", NULL },
	{ "IPv6 host bits", { { SERVICE "/address/0", "\"2001:db8::1/32\"" } }, SERVICE "/address/0", "a prefix whose host bits are zero", NULL },
	{ "IPv6 length 129", { { SERVICE "/address/0", "\"2001:db8::/129\"" } }, SERVICE "/address/0", "must be an IPv4 or IPv6 prefix", NULL },
	{ "v4-mapped prefix", { { SERVICE "/address/0", "\"::ffff:0:0/96\"" } }, SERVICE "/address/0", "must be an IPv4 or IPv6 prefix", NULL },
	{ "an IPv6 prefix twice", { { SERVICE "/address", "[\"::/0\",\"10.0.0.0/8\",\"2001:db8::/32\",\"0.0.0.0/0\",\"2001:db8::/32\"]" } }, SERVICE "/address/4",
	  "stands in address 2 already", NULL },
	{ "two services that share an IPv6 prefix", { { SERVICE "/address/-", "\"2001:db8::/32\"" }, { A "/service/1/transport", NULL },
	  { A "/service/1/address", "[\"2001:db8::/32\"]" } }, A "/service/1/address/0", "service \"app\" has the same prefix", NULL },
	{ "a prefix twice", { { SERVICE "/address/-", "\"172.16.2.0/24\"" } }, SERVICE "/address/1", "stands in address 0 already", NULL },
	{ "two services that cannot be told apart",
	  { { A "/service/1/transport", "[{\"protocol\":\"tcp\",\"port-range\":[{\"start-port\":90}]}]" } }, A "/service/1/address/0",
	  "service \"app\" has the same prefix, an overlapping transport and a common tenant", "\"172.16.2.0/24\"" },
	{ "a service without transport overlaps all", { { A "/service/1/transport", NULL } }, A "/service/1/address/0", "service \"app\" has the same prefix", NULL },
	{ "protocol PIM", { { SERVICE "/transport/0/protocol", "\"pim\"" } }, SERVICE "/transport/0/protocol",
	  "\"pim\" is " NOT_YET "; must be one of \"tcp\", \"udp\", \"icmp\", \"gre\", \"esp\"", NULL },
	{ "ports of GRE", { { SERVICE "/transport/0/protocol", "\"gre\"" } }, SERVICE "/transport/0/port-range", "gre has no ports", "" },
	{ "protocol as a number", { { SERVICE "/transport/0/protocol", "6" } }, SERVICE "/transport/0/protocol", "must be one of \"tcp\"", "6" },
	{ "no protocol", { { SERVICE "/transport/0/protocol", NULL } }, SERVICE "/transport/0", "member \"protocol\" is missing", NULL },
	{ "port 65536", { { SERVICE "/transport/0/port-range/0/end-port", "65536" } }, SERVICE "/transport/0/port-range/0/end-port",
	  "must be an integer from 0 to 65535", "65536" },
	{ "ports the wrong way round", { { SERVICE "/transport/0/port-range/0/end-port", "79" } }, SERVICE "/transport/0/port-range/0/end-port",
	  "must not be smaller than start-port (80)", "79" },
	{ "no start-port", { { SERVICE "/transport/0/port-range/0/start-port", NULL } }, SERVICE "/transport/0/port-range/0", "member \"start-port\" is missing", "" },
	{ "empty port-range", { { SERVICE "/transport/0/port-range", "[]" } }, SERVICE "/transport/0/port-range", "must have 1 to 8 entries, has 0", "" },
	{ "empty transport", { { SERVICE "/transport", "[]" } }, SERVICE "/transport", "must have 1 to 8 entries, has 0", "" },
	{ "ports of ICMP", { { SERVICE "/transport/0/protocol", "\"icmp\"" } }, SERVICE "/transport/0/port-range", "icmp has no ports", "" },
	{ "port ranges that overlap", { { SERVICE "/transport/0/port-range/-", "{\"start-port\":85}" } }, SERVICE "/transport/0/port-range/1",
	  "overlaps an earlier port-range", "" },
	{ "transports that overlap", { { SERVICE "/transport/-", "{\"protocol\":\"tcp\"}" } }, SERVICE "/transport/1", "overlaps transport 0", "" },
	{ "nine port ranges", { { SERVICE "/transport/-", "{\"protocol\":\"udp\",\"port-range\":[{\"start-port\":1},{\"start-port\":2},{\"start-port\":3},"
	  "{\"start-port\":4},{\"start-port\":5},{\"start-port\":6},{\"start-port\":7},{\"start-port\":8}]}" } }, SERVICE "/transport",
	  "at most 8 port ranges in all its transports, this one has 9", "" },
	{ "time-out of a session type", { { A "/session-type/0/timeout", "999" } }, A "/session-type/0/timeout", "must be an integer from 1000 to 4294967295", "999" },
	{ "initial time-out longer than the other", { { A "/session-type/0/initial-timeout", "60001" } }, A "/session-type/0/initial-timeout",
	  "must not be longer than timeout (60000 ms)", "60001" },

	/* routers */
	{ "no common name", { { ROUTER "/peering-common-name", NULL } }, ROUTER, "member \"peering-common-name\" is missing", "" },
	{ "common name with a blank", { { ROUTER "/peering-common-name", "\"a b\"" } }, ROUTER "/peering-common-name", DOT_RULE, NULL },
	{ "common name with two dots", { { ROUTER "/peering-common-name", "\"a..b\"" } }, ROUTER "/peering-common-name", DOT_RULE, NULL },
	{ "common name that ends in a dot", { { ROUTER "/peering-common-name", "\"a.\"" } }, ROUTER "/peering-common-name", DOT_RULE, NULL },
	{ "common name twice", { { EAST "/peering-common-name", "\"WEST.example\"" } }, EAST "/peering-common-name", "router \"west\" has the same one", NULL },
	{ "fingerprint without its head", { { ROUTER "/certificate", "{\"fingerprint\":\"00:01\"}" } }, ROUTER "/certificate/fingerprint",
	  "must be \"none\" or \"sha256:\" and 32 pairs", "\"00:01\"" },
	{ "fingerprint with a wrong digit", { { ROUTER "/certificate", "{\"fingerprint\":" FP("0g") "}" } }, ROUTER "/certificate/fingerprint", "32 pairs", NULL },
	{ "fingerprint twice", { { ROUTER "/certificate", "{\"fingerprint\":" FP("aB") "}" }, { EAST "/certificate", "{\"fingerprint\":" FP("Ab") "}" } },
	  EAST "/certificate/fingerprint", "router \"west\" has the same one: two routers must not share a certificate", NULL },
	{ "description with a line feed", { { ROUTER "/description", "\"a\\nb\"" } }, ROUTER "/description", "without control characters", "\"a\\nb\"" },
	{ "two nodes", { { ROUTER "/node/-", "{\"name\":\"n1\",\"device-interface\":[]}" } }, ROUTER "/node",
	  "more than one node (high availability) is not supported yet: 2 entries found", "" },
	{ "device name", { { ROUTER "/node/0/device-interface/0/name", "\"ge0/0\"" } }, ROUTER "/node/0/device-interface/0/name",
	  "must be the name of a Linux network device", NULL },
	{ "device name of 16 characters", { { ROUTER "/node/0/device-interface/0/name", "\"abcdefghijklmnop\"" } }, ROUTER "/node/0/device-interface/0/name",
	  "1 to 15 characters", NULL },
	{ "device type", { { ROUTER "/node/0/device-interface/0/type", "\"lte\"" } }, ROUTER "/node/0/device-interface/0/type", "\"lte\" is " NOT_YET, NULL },
	{ "peer of nobody", { { ROUTER "/peer", "[{\"name\":\"x\",\"router-name\":\"north\"}]" } }, ROUTER "/peer/0/router-name",
	  NOT_THERE "router called \"north\"", NULL },
	{ "peer of oneself", { { ROUTER "/peer", "[{\"name\":\"x\",\"router-name\":\"west\"}]" } }, ROUTER "/peer/0/router-name", "not its own peer", NULL },
	{ "peer with two names", { { ROUTER "/peer", "[{\"name\":\"x\",\"router-name\":\"east\"},{\"name\":\"y\",\"router-name\":\"east\"}]" } },
	  ROUTER "/peer/1/router-name", "peer \"x\" leads to this router already", NULL },
	{ "peer with another router's name", { { ROUTER "/peer", "[{\"name\":\"west\",\"router-name\":\"east\"}]" } }, ROUTER "/peer/0/name",
	  "is the name of another router", NULL },

	/* interfaces */
	{ "neither LAN nor WAN", { { LAN "/tenant", NULL } }, LAN, "must have a tenant or tenant-prefixes (LAN), or a neighborhood or adjacency (WAN)", "" },
	{ "LAN and WAN", { { WAN "/tenant", "\"corp\"" } }, WAN, "has both a tenant", "" },
	{ "tenant of an interface", { { LAN "/tenant", "\"none\"" } }, LAN "/tenant", NOT_THERE "tenant called \"none\"", NULL },
	{ "tenant of a prefix", { { LAN "/tenant-prefixes", "[{\"tenant\":\"none\",\"source-address\":\"10.0.0.0/8\"}]" } }, LAN "/tenant-prefixes/0/tenant",
	  NOT_THERE "tenant called \"none\"", NULL },
	{ "tenant prefix twice", { { LAN "/tenant-prefixes", "[{\"tenant\":\"corp\",\"source-address\":\"10.0.0.0/8\"},"
	  "{\"tenant\":\"guest\",\"source-address\":\"10.0.0.0/8\"}]" } }, LAN "/tenant-prefixes/1/source-address", "stands in tenant-prefixes 0 already", NULL },
	{ "tenant prefix with host bits", { { LAN "/tenant-prefixes", "[{\"tenant\":\"corp\",\"source-address\":\"10.0.0.1/8\"}]" } },
	  LAN "/tenant-prefixes/0/source-address", "host bits are zero", NULL },
	{ "no address", { { LAN "/address", NULL } }, LAN, "member \"address\" is missing", "" },
	{ "five addresses", { { LAN "/address", "[" IF6("1") "," IF6("2") "," IF6("3") "," IF6("4") "," IF6("5") "]" } }, LAN "/address",
	  "must have 1 to 4 entries, has 5", "" },
	{ "an address twice", { { LAN "/address/-", IF6("1") }, { LAN "/address/-", IF6("1") } }, LAN "/address/2/ip-address", "stands in address 1 already",
	  "\"2001:db8:1::1\"" },
	{ "IPv6 gateway of an IPv4 address", { { LAN "/address/0/gateway", "\"fe80::1\"" } }, LAN "/address/0/gateway", "must be an address in 172.16.1.0/24", NULL },
	{ "IPv6 gateway elsewhere", { { LAN "/address/-", IF6("1") }, { LAN "/address/1/gateway", "\"2001:db8:2::9\"" } }, LAN "/address/1/gateway",
	  "must be an address in 2001:db8:1::/64, the network of the interface, or a link-local one", NULL },
	{ "IPv6 gateway is oneself", { { LAN "/address/-", IF6("1") }, { LAN "/address/1/gateway", "\"2001:db8:1::1\"" } }, LAN "/address/1/gateway",
	  "must not be the address of the interface", NULL },
	{ "link-local address", { { LAN "/address/0", "{\"ip-address\":\"fe80::1\",\"prefix-length\":64}" } }, LAN "/address/0/ip-address", "link-local", NULL },
	{ "IPv6 multicast address", { { LAN "/address/0", "{\"ip-address\":\"ff02::1\",\"prefix-length\":64}" } }, LAN "/address/0/ip-address", "multicast", NULL },
	{ "IPv6 loopback address", { { LAN "/address/0", "{\"ip-address\":\"::1\",\"prefix-length\":64}" } }, LAN "/address/0/ip-address", "never leaves the host", NULL },
	{ "address ::", { { LAN "/address/0", "{\"ip-address\":\"::\",\"prefix-length\":64}" } }, LAN "/address/0/ip-address", "no address of a host", NULL },
	{ "subnet-router anycast", { { LAN "/address/0", "{\"ip-address\":\"2001:db8::\",\"prefix-length\":64}" } }, LAN "/address/0/ip-address",
	  "is the first address of 2001:db8::/64, which belongs to every router there", NULL },
	{ "MTU of an IPv6 interface", { { LAN "/address/-", IF6("1") }, { LAN "/mtu", "1279" } }, LAN "/mtu", "must be at least 1280", "1279" },
	{ "MSS of an IPv6 interface", { { LAN "/address/-", IF6("1") }, { LAN "/enforced-mss", "1441" } }, LAN "/enforced-mss",
	  "must be at most mtu - 60 (1440): 60 bytes are the headers of IPv6 and TCP", "1441" },
	{ "IPv6 networks that overlap", { { LAN "/address/-", IF6("1") }, { WAN "/address/-", "{\"ip-address\":\"2001:db8:1::2\",\"prefix-length\":48}" } },
	  WAN "/address/1/ip-address", "its network overlaps that of network-interface \"lan\"", NULL },
	{ "v4-mapped address", { { LAN "/address/0/ip-address", "\"::ffff:172.16.1.1\"" } }, LAN "/address/0/ip-address", "must be an IPv4 or IPv6 address", NULL },
	{ "address with a prefix", { { LAN "/address/0/ip-address", "\"172.16.1.1/24\"" } }, LAN "/address/0/ip-address", "must be an IPv4 or IPv6 address", NULL },
	{ "address with leading zeros", { { LAN "/address/0/ip-address", "\"172.016.1.1\"" } }, LAN "/address/0/ip-address", "must be an IPv4 or IPv6 address", NULL },
	{ "network address", { { LAN "/address/0/ip-address", "\"172.16.1.0\"" } }, LAN "/address/0/ip-address",
	  "is the first or the last address of 172.16.1.0/24", "\"172.16.1.0\"" },
	{ "broadcast address", { { LAN "/address/0/ip-address", "\"172.16.1.255\"" } }, LAN "/address/0/ip-address", "is the first or the last", NULL },
	{ "multicast address", { { LAN "/address/0/ip-address", "\"224.0.0.5\"" } }, LAN "/address/0/ip-address", "multicast", NULL },
	{ "loopback address", { { LAN "/address/0/ip-address", "\"127.0.0.1\"" } }, LAN "/address/0/ip-address", "never leaves the host", NULL },
	{ "address 0.0.0.0", { { LAN "/address/0/ip-address", "\"0.0.0.0\"" } }, LAN "/address/0/ip-address", "no address of a host", NULL },
	{ "prefix-length 0", { { LAN "/address/0/prefix-length", "0" } }, LAN "/address/0/prefix-length", "must be an integer from 1 to 128", "0" },
	{ "prefix-length 33", { { LAN "/address/0/prefix-length", "33" } }, LAN "/address/0/prefix-length", "must be an integer from 1 to 32", "33" },
	{ "gateway elsewhere", { { LAN "/address/0/gateway", "\"172.16.9.1\"" } }, LAN "/address/0/gateway", "must be an address in 172.16.1.0/24", NULL },
	{ "gateway is oneself", { { LAN "/address/0/gateway", "\"172.16.1.1\"" } }, LAN "/address/0/gateway", "must not be the address of the interface", NULL },
	{ "networks that overlap", { { LAN "/address/0", "{\"ip-address\":\"192.0.3.1\",\"prefix-length\":16}" } }, WAN "/address/0/ip-address",
	  "its network overlaps that of network-interface \"lan\"", "\"192.0.2.1\"" },
	{ "interface name twice on a router", { { WAN "/name", "\"lan\"" } }, WAN "/name", "device-interface \"ge0\" has a network-interface of this name", NULL },
	{ "interface name twice on a device", { { ROUTER "/node/0/device-interface/0/network-interface/-", "{\"name\":\"lan\",\"vlan\":2,\"tenant\":\"corp\","
	  "\"address\":[{\"ip-address\":\"10.0.0.1\",\"prefix-length\":8}]}" } }, ROUTER "/node/0/device-interface/0/network-interface/1/name",
	  "stands in entry 0 already", NULL },
	{ "VLAN twice on a device", { { ROUTER "/node/0/device-interface/0/network-interface/-", "{\"name\":\"lan2\",\"tenant\":\"corp\","
	  "\"address\":[{\"ip-address\":\"10.0.0.1\",\"prefix-length\":8}]}" } }, ROUTER "/node/0/device-interface/0/network-interface/1/vlan",
	  "network-interface \"lan\" of this device has the same VLAN", "" },
	{ "both roles on a device", { { ROUTER "/node/0/device-interface/0/network-interface/-", "{\"name\":\"wan2\",\"vlan\":2,"
	  "\"neighborhood\":[{\"name\":\"inet\"}],\"address\":[{\"ip-address\":\"10.0.0.1\",\"prefix-length\":8}]}" } },
	  ROUTER "/node/0/device-interface/0/network-interface/1", "is wan, and network-interface \"lan\" of this device is lan", NULL },
	{ "service tag without a tag of the customer's", { { LAN "/outer-vlan", "7" } }, LAN "/outer-vlan", "vlan must be from 1 to 4094", "7" },
	{ "VLAN 4095", { { LAN "/vlan", "4095" } }, LAN "/vlan", "must be an integer from 0 to 4094", "4095" },
	{ "MTU 575", { { LAN "/mtu", "575" } }, LAN "/mtu", "must be an integer from 576 to 9000", "575" },
	{ "MSS word", { { LAN "/enforced-mss", "\"auto\"" } }, LAN "/enforced-mss", "must be \"automatic\", \"disabled\" or an integer from 536 to 8960", NULL },
	{ "MSS 535", { { LAN "/enforced-mss", "535" } }, LAN "/enforced-mss", "an integer from 536 to 8960", "535" },
	{ "MSS larger than the MTU", { { LAN "/enforced-mss", "1461" } }, LAN "/enforced-mss", "must be at most mtu - 40 (1460)", "1461" },
	{ "neighborhood twice", { { WAN "/neighborhood/-", "{\"name\":\"inet\"}" } }, WAN "/neighborhood/1/name", "stands in entry 0 already", NULL },
	{ "topology", { { WAN "/neighborhood/0/topology", "\"ring\"" } }, WAN "/neighborhood/0/topology", "must be one of \"mesh\", \"hub\", \"spoke\"", NULL },
	{ "vector is a string", { { WAN "/neighborhood/0/vector", "\"gold\"" } }, WAN "/neighborhood/0/vector", "must be an array of names", NULL },
	{ "vector twice", { { WAN "/neighborhood/0/vector", "[\"gold\",\"iron\",\"gold\"]" } }, WAN "/neighborhood/0/vector/2", "stands in entry 0 already", "\"gold\"" },
	{ "vector of numbers", { { WAN "/neighborhood/0/vector", "[1]" } }, WAN "/neighborhood/0/vector/0", DOT_RULE, "1" },
	{ "waypoint port 1024", { { WAN "/neighborhood/0/port-range", "{\"start-port\":1024,\"end-port\":2000}" } }, WAN "/neighborhood/0/port-range/start-port",
	  "must be an integer from 1025 to 65535", "1024" },
	{ "waypoint ports with one end", { { WAN "/neighborhood/0/port-range", "{\"start-port\":2000}" } }, WAN "/neighborhood/0/port-range",
	  "member \"end-port\" is missing", "" },
	{ "waypoint ports the wrong way round", { { WAN "/neighborhood/0/port-range", "{\"start-port\":2000,\"end-port\":1999}" } },
	  WAN "/neighborhood/0/port-range/end-port", "must not be smaller than start-port (2000)", "1999" },
	{ "one waypoint port", { { WAN "/neighborhood/0/port-range", "{\"start-port\":2000,\"end-port\":2000}" } },
	  WAN "/neighborhood/0/port-range/end-port", "one waypoint port is not enough", NULL },
	{ "waypoint ports with BFD's", { { WAN "/neighborhood/0/port-range", "{\"start-port\":1279,\"end-port\":1281}" } },
	  WAN "/neighborhood/0/port-range", "must not hold port 1280, which belongs to BFD", "" },
	{ "bfd state", { { ROUTER "/bfd", "{\"state\":true}" } }, ROUTER "/bfd/state", "must be one of \"enabled\", \"disabled\"", "true" },
	{ "bfd interval", { { ROUTER "/bfd", "{\"desired-tx-interval\":49}" } }, ROUTER "/bfd/desired-tx-interval", "must be an integer from 50 to 600000", "49" },
	{ "bfd multiplier", { { WAN "/neighborhood/0/bfd", "{\"multiplier\":2}" } }, WAN "/neighborhood/0/bfd/multiplier", "must be an integer from 3 to 20", "2" },
	{ "bfd password", { { ROUTER "/bfd", "{\"authentication-type\":\"simple\"}" } }, ROUTER "/bfd/authentication-type",
	  "\"simple\" is a password in clear and is not taken; must be one of \"sha256\"", NULL },
	{ "bfd hold-down", { { ROUTER "/bfd", "{\"hold-down-time\":300,\"maximum-hold-down-time\":299}" } }, ROUTER "/bfd/maximum-hold-down-time",
	  "must not be shorter than hold-down-time (300 s)", "299" },
	{ "bfd hold-down of a neighborhood", { { WAN "/neighborhood/0/bfd", "{\"maximum-hold-down-time\":4}" } },
	  WAN "/neighborhood/0/bfd/maximum-hold-down-time", "must not be shorter than hold-down-time (5 s)", "4" },

	/* peers, paths, routes */
	{ "peer with the same address", { { EAST_WAN "/address/0/ip-address", "\"192.0.2.1\"" } }, WAN "/neighborhood/0",
	  "the peer router \"east\" has the address of this interface, 192.0.2.1", "" },
	{ "peer out of reach", { { EAST_WAN "/address/0/ip-address", "\"198.51.100.2\"" } }, WAN "/neighborhood/0",
	  "198.51.100.2 of router \"east\" is not in the network of this interface, which has no gateway", "" },
	{ "bfd-port of a peer with metadata", { { WAN "/neighborhood", NULL }, { WAN "/adjacency", "[{\"ip-address\":\"192.0.2.9\",\"peer\":\"east\",\"bfd-port\":3784}]" } },
	  WAN "/adjacency/0/bfd-port", "is only for a peer whose bfd-metadata is false; others use port 1280", "3784" },
	{ "bfd-port of BFD with metadata", { { WAN "/neighborhood", NULL }, { WAN "/adjacency",
	  "[{\"ip-address\":\"192.0.2.9\",\"peer\":\"east\",\"bfd-metadata\":false,\"bfd-port\":1280}]" } },
	  WAN "/adjacency/0/bfd-port", "must not be port 1280, which is for BFD with metadata", "1280" },
	{ "bfd-port among the waypoint ports", { { WAN "/neighborhood", NULL }, { WAN "/adjacency",
	  "[{\"ip-address\":\"192.0.2.9\",\"peer\":\"east\",\"bfd-metadata\":false,\"bfd-port\":20000}]" } },
	  WAN "/adjacency/0/bfd-port", "must not be a waypoint port of this interface (16384 to 65534)", "20000" },
	{ "bfd hold-down that a peer makes too long", { { ROUTER "/peer", "[{\"name\":\"east\",\"router-name\":\"east\",\"bfd\":{\"hold-down-time\":20}}]" },
	  { WAN "/neighborhood/0/bfd", "{\"maximum-hold-down-time\":10}" } }, WAN "/neighborhood/0/bfd/maximum-hold-down-time",
	  "with the peer's bfd: must not be shorter than hold-down-time (20 s)", "10" },
	/* neighborhoods of all routers inherit from these two */
	{ "bfd is null", { { ROUTER "/bfd", "null" } }, ROUTER "/bfd", "must be an object", "null" },
	{ "bfd is a number", { { ROUTER "/bfd", "5" } }, ROUTER "/bfd", "must be an object", "5" },
	{ "bfd of the second router is an array", { { EAST "/bfd", "[]" } }, EAST "/bfd", "must be an object", "[...]" },
	{ "bfd of a neighborhood is null", { { WAN "/neighborhood/0/bfd", "null" } }, WAN "/neighborhood/0/bfd", "must be an object", "null" },
	{ "path MTU discovery is null", { { ROUTER "/path-mtu-discovery", "null" } }, ROUTER "/path-mtu-discovery", "must be an object", "null" },
	{ "path MTU discovery is a string", { { ROUTER "/path-mtu-discovery", "\"on\"" } }, ROUTER "/path-mtu-discovery", "must be an object", "\"on\"" },
	{ "path MTU discovery of a neighborhood is a number", { { WAN "/neighborhood/0/path-mtu-discovery", "1" } }, WAN "/neighborhood/0/path-mtu-discovery",
	  "must be an object", "1" },
	{ "path MTU interval", { { ROUTER "/path-mtu-discovery", "{\"interval\":0}" } }, ROUTER "/path-mtu-discovery/interval", "must be an integer from 1 to 86400", "0" },
	{ "average over nothing", { { WAN "/neighborhood/0/path-metrics-rolling-avg-interval", "0" } }, WAN "/neighborhood/0/path-metrics-rolling-avg-interval",
	  "must be an integer from 1 to 3600", "0" },
	{ "adjacency to nobody", { { WAN "/adjacency", "[{\"ip-address\":\"192.0.2.9\",\"peer\":\"north\"}]" } }, WAN "/adjacency/0/peer",
	  NOT_THERE "peer called \"north\"", NULL },
	{ "adjacency to oneself", { { WAN "/adjacency", "[{\"ip-address\":\"192.0.2.9\",\"peer\":\"west\"}]" } }, WAN "/adjacency/0/peer",
	  NOT_THERE "peer called \"west\"", NULL },
	{ "adjacency to a router that has another name here", { { ROUTER "/peer", "[{\"name\":\"x\",\"router-name\":\"east\"}]" },
	  { ROUTER "/service-route", "[]" }, { WAN "/adjacency", "[{\"ip-address\":\"192.0.2.9\",\"peer\":\"east\"}]" } },
	  WAN "/adjacency/0/peer", NOT_THERE "peer called \"east\"", NULL },
	{ "adjacency to multicast", { { WAN "/adjacency", "[{\"ip-address\":\"224.0.0.1\",\"peer\":\"east\"}]" } }, WAN "/adjacency/0/ip-address", "multicast", NULL },
	{ "adjacency beside a neighborhood", { { WAN "/adjacency", "[{\"ip-address\":\"192.0.2.2\",\"peer\":\"east\"}]" } }, WAN "/neighborhood/0",
	  "leads to 192.0.2.2 of router \"east\", where a path of this interface to router \"east\" leads already", "" },
	{ "adjacency twice", { { WAN "/neighborhood", NULL }, { ROUTER "/service-route", "[]" }, { WAN "/adjacency",
	  "[{\"ip-address\":\"192.0.2.9\",\"peer\":\"east\"},{\"ip-address\":\"192.0.2.9\",\"peer\":\"east\"}]" } }, WAN "/adjacency/1",
	  "leads already", "" },
	{ "route to no service", { { ROUTER "/service-route/0/service-name", "\"none\"" } }, ROUTER "/service-route/0/service-name",
	  NOT_THERE "service called \"none\"", NULL },
	{ "route to no peer", { { ROUTER "/service-route/0/peer", "\"none\"" } }, ROUTER "/service-route/0/peer", NOT_THERE "peer called \"none\"", "\"none\"" },
	{ "route to a router without a path", { { WAN "/neighborhood/0/name", "\"other\"" } }, ROUTER "/service-route/0/peer",
	  "no path leads to router \"east\": there is no common neighborhood and no adjacency", "\"east\"" },
	{ "route to nowhere", { { ROUTER "/service-route/0/peer", NULL } }, ROUTER "/service-route/0", "must have either a peer or a next-hop", "" },
	{ "route to two places", { { ROUTER "/service-route/0/next-hop", "{\"interface\":\"lan\"}" } }, ROUTER "/service-route/0",
	  "must have either a peer or a next-hop", "" },
	{ "two routes to a service", { { ROUTER "/service-route/-", "{\"name\":\"r1\",\"service-name\":\"app\",\"next-hop\":{\"interface\":\"lan\"}}" } },
	  ROUTER "/service-route/1/service-name", "more than one route of a router to a service is not supported yet", "\"app\"" },
	{ "next hop nowhere", { { EAST "/service-route/0/next-hop/interface", "\"lan2\"" } }, EAST "/service-route/0/next-hop/interface",
	  "this router has no network-interface called \"lan2\"", NULL },
	{ "next hop on the WAN", { { EAST "/service-route/0/next-hop/interface", "\"wan\"" } }, EAST "/service-route/0/next-hop/interface",
	  "network-interface \"wan\" is WAN; only LAN interfaces can be a next hop", NULL },
	{ "next hop without interface", { { EAST "/service-route/0/next-hop", "{}" } }, EAST "/service-route/0/next-hop", "member \"interface\" is missing", NULL },
	{ "next hop behind another network", { { EAST "/service-route/0/next-hop/gateway", "\"10.0.0.1\"" } }, EAST "/service-route/0/next-hop/gateway",
	  "must be an address in 172.16.2.0/24", NULL },
	{ "IPv6 next hop on an IPv4 network", { { EAST "/service-route/0/next-hop/gateway", "\"fe80::1\"" } }, EAST "/service-route/0/next-hop/gateway",
	  "network-interface \"lan\" has no IPv6 address", NULL },
	{ "IPv6 adjacency on an IPv4 interface", { { WAN "/neighborhood", NULL }, { WAN "/adjacency", "[{\"ip-address\":\"2001:db8::2\",\"peer\":\"east\"}]" } },
	  WAN "/adjacency/0/ip-address", "this interface has no IPv6 address to reach it from", NULL },
	{ "link-local adjacency", { { WAN "/neighborhood", NULL }, { WAN "/adjacency", "[{\"ip-address\":\"fe80::2\",\"peer\":\"east\"}]" } },
	  WAN "/adjacency/0/ip-address", "link-local addresses mean another host on every link", NULL },
};
// clang-format on

static const struct svr_config_error *find(const struct svr_config_errors *errs,
					   const struct row *row)
{
	unsigned int i;

	for (i = 0; i < errs->n; i++)
		if (!strcmp(errs->list[i].pointer, row->pointer) &&
		    strstr(errs->list[i].reason, row->reason))
			return &errs->list[i];
	return NULL;
}

static void check_row(const struct row *row, enum svr_config_severity severity)
{
	int want = severity == SVR_CONFIG_ERROR ? -EINVAL : 0;
	char *text = changed(row->changes, CHANGES);
	const struct svr_config_error *e;
	struct svr_config_errors errs;
	struct svr_config *cfg;
	int err = parse(text, &cfg, &errs);

	cr_expect_eq(err, want, "%s: returns %d", row->name, err);
	cr_expect_eq(!cfg, err != 0, "%s: nothing comes out of a bad file", row->name);
	e = find(&errs, row);
	cr_expect(e, "%s: no complaint at \"%s\" about \"%s\", but\n%s", row->name, row->pointer,
		  row->reason, print_all(&errs));
	if (e) {
		cr_expect_eq(e->severity, severity, "%s", row->name);
		cr_expect_eq(e->line, 1, "%s: line %u", row->name, e->line);
		cr_expect_gt(e->column, 0, "%s", row->name);
	}
	if (e && row->found)
		cr_expect_str_eq(e->found, row->found, "%s: found %s", row->name, e->found);
	svr_config_free(cfg);
	free(text);
}

Test(config, refused_with_place_and_reason)
{
	size_t i;

	for (i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		check_row(&refused[i], SVR_CONFIG_ERROR);
}

// clang-format off
static const struct row warned[] = {
	{ "1024 bits", { { SKM "/diffie-hellman-key-size", "1024" } }, SKM "/diffie-hellman-key-size", "within reach of well-funded attackers", "1024" },
	{ "self-signed and not pinned", { { SKM "/allow-self-signed-peering-certificates", "true" } }, ROUTER, "nobody vouches for its identity", "" },
	{ "neither self-signed nor an authority", { { A "/trusted-ca-certificate", NULL } }, SKM "/allow-self-signed-peering-certificates",
	  "no peer can be authenticated", "false" },
	{ "policy of a tenant", { { A "/tenant/0/security", "\"secret\"" } }, A "/tenant/0/security", "has no effect yet", "\"secret\"" },
	{ "next hop far away", { { EAST "/service-route/-", "{\"name\":\"r1\",\"service-name\":\"far\",\"next-hop\":{\"interface\":\"lan\"}}" },
	  { A "/service/-", "{\"name\":\"far\",\"address\":[\"10.0.0.0/8\"],\"security\":\"secret\"}" } },
	  EAST "/service-route/1/next-hop", "every destination must answer ARP", "" },
	{ "next hop far away in IPv6", { { SERVICE "/address/-", "\"2001:db8::/32\"" } },
	  EAST "/service-route/0/next-hop", "has no IPv6 gateway, but service \"app\" reaches beyond the network of \"lan\": every destination must answer neighbour", "" },
	{ "a neighborhood without a common family", { { WAN "/neighborhood/0/name", "\"inet\"" },
	  { EAST_WAN "/address/0", "{\"ip-address\":\"2001:db8::2\",\"prefix-length\":64}" }, { ROUTER "/service-route", "[]" } },
	  WAN "/neighborhood/0", "has no address of a family that this one has", NULL },
	{ "adjacency without one back", { { WAN "/neighborhood", NULL }, { WAN "/adjacency", "[{\"ip-address\":\"192.0.2.2\",\"peer\":\"east\"}]" } }, WAN "/adjacency/0",
	  "network-interface \"wan\" of router \"east\" has this address but no adjacency back", "" },
	{ "route to a listed peer without a path", { { WAN "/neighborhood/0/name", "\"other\"" }, { ROUTER "/peer", "[{\"name\":\"east\",\"router-name\":\"east\"}]" } },
	  ROUTER "/service-route/0/peer", "no path leads to this peer", "\"east\"" },
};
// clang-format on

Test(config, taken_with_a_warning)
{
	size_t i;

	for (i = 0; i < sizeof(warned) / sizeof(warned[0]); i++)
		check_row(&warned[i], SVR_CONFIG_WARNING);
}

Test(config, base_is_clean)
{
	struct svr_config_errors errs;
	struct svr_config *cfg;

	cr_assert_eq(parse(base, &cfg, &errs), 0, "%s", print_all(&errs));
	cr_assert_eq(errs.n, 0, "%s", print_all(&errs));
	svr_config_free(cfg);
	svr_config_free(NULL);
	svr_config_view_free(NULL);
}

/* Every member of the base document, one after the other, becomes something that it cannot be. */
static void spoil(struct json_object *doc, struct json_object *at, const char *pointer,
		  unsigned int *n)
{
	static const char *const junk[] = { "null", "[[]]", "{\"\":0}", "-0.5", "\"\\u0001\"" };
	char below[SVR_CFG_POINTER_LEN];
	size_t i;

	if (json_object_is_type(at, json_type_object)) {
		json_object_object_foreach(at, key, value) {
			snprintf(below, sizeof(below), "%s/%s", pointer, key);
			spoil(doc, value, below, n);
		}
	}
	if (json_object_is_type(at, json_type_array)) {
		for (i = 0; i < json_object_array_length(at); i++) {
			snprintf(below, sizeof(below), "%s/%zu", pointer, i);
			spoil(doc, json_object_array_get_idx(at, i), below, n);
		}
	}
	for (i = 0; i < sizeof(junk) / sizeof(junk[0]) && *pointer; i++) {
		const struct change change = { pointer, junk[i] };
		char *text = changed(&change, 1);
		struct svr_config_errors errs;
		struct svr_config *cfg;

		cr_expect_eq(parse(text, &cfg, &errs), -EINVAL, "%s = %s", pointer, junk[i]);
		cr_expect(!strncmp(errs.list[0].pointer, pointer, strlen(pointer)), "%s = %s:\n%s",
			  pointer, junk[i], print_all(&errs));
		svr_config_free(cfg);
		free(text);
		++*n;
	}
}

Test(config, every_member_is_checked)
{
	struct json_object *doc = json_tokener_parse(base);
	unsigned int n = 0;

	spoil(doc, doc, "", &n);
	cr_expect_gt(n, 400, "%u places tried", n);
	json_object_put(doc);
}

/* ---- text ------------------------------------------------------------------------------------- */

struct text_row {
	const char *name;
	const char *text;
	size_t len; /* 0 = up to the NUL */
	unsigned int line, column;
	const char *reason;
};

// clang-format off
#define DEEP8 "[[[[[[[["
static const struct text_row texts[] = {
	{ "nothing", "", 0, 1, 1, "the text ends where '{' should be" },
	{ "only blanks", " \n ", 0, 2, 2, "the text ends where '{' should be" },
	{ "an array", "[]", 0, 1, 1, "'[' where '{' should be" },
	{ "a word", "null", 0, 1, 1, "'n' where '{' should be" },
	{ "no end", "{\"a\":1", 0, 1, 7, "the text ends where ',' or '}' should be" },
	{ "no end of an array", "{\"a\":[1", 0, 1, 8, "the text ends where ',' or ']' should be" },
	{ "no end of a string", "{\"a\":\"b", 0, 1, 6, "this string has no end" },
	{ "no colon", "{\"a\" 1}", 0, 1, 6, "'1' where ':' should be" },
	{ "no value", "{\"a\":}", 0, 1, 6, "'}' where a value should be" },
	{ "comma at the end of an object", "{\"a\":1,\n}", 0, 2, 1, "'}' where the name of a member in quotes should be" },
	{ "comma at the end of an array", "{\"a\":[1,]}", 0, 1, 9, "']' where a value should be" },
	{ "no quotes", "{a:1}", 0, 1, 2, "'a' where the name of a member in quotes should be" },
	{ "single quotes", "{'a':1}", 0, 1, 2, "''' where the name of a member" },
	{ "comment", "{ /* hi */ }", 0, 1, 3, "'/' where the name of a member" },
	{ "comment before a value", "{\"a\": // hi\n1}", 0, 1, 7, "'/' where a value should be" },
	{ "text behind the end", "{}\n{}", 0, 2, 1, "'{' where the end of the text should be" },
	{ "word behind the end", "{} x", 0, 1, 4, "'x' where the end of the text should be" },
	{ "NUL behind the end", "{}\0", 3, 1, 3, "a NUL byte where the end of the text should be" },
	{ "NUL in a string", "{\"a\0\":1}", 8, 1, 4, "NUL byte in a string" },
	{ "escaped NUL", "{\"a\":\"b\\u0000\"}", 0, 1, 8, "\\u0000 is not allowed in a string" },
	{ "byte order mark", "\xef\xbb\xbf{}", 0, 1, 1, "byte order mark" },
	{ "wrong word", "{\"a\":nul}", 0, 1, 6, "'n' where a value should be" },
	{ "word in capitals", "{\"a\":True}", 0, 1, 6, "'T' where a value should be" },
	{ "not a number", "{\"a\":NaN}", 0, 1, 6, "'N' where a value should be" },
	{ "leading zero", "{\"a\":01}", 0, 1, 6, "a number must not begin with 0" },
	{ "plus sign", "{\"a\":+1}", 0, 1, 6, "'+' where a value should be" },
	{ "point at the end", "{\"a\":1.}", 0, 1, 8, "'}' where a digit should be" },
	{ "point at the beginning", "{\"a\":.5}", 0, 1, 6, "'.' where a value should be" },
	{ "empty exponent", "{\"a\":1e}", 0, 1, 8, "'}' where a digit should be" },
	{ "minus alone", "{\"a\":-}", 0, 1, 7, "'}' where a digit should be" },
	{ "hexadecimal", "{\"a\":0x10}", 0, 1, 7, "'x' where ',' or '}' should be" },
	{ "line feed in a string", "{\"a\":\"b\nc\"}", 0, 1, 8, "control character in a string" },
	{ "unknown escape", "{\"a\":\"\\q\"}", 0, 1, 7, "unknown escape in a string" },
	{ "escape of a NUL byte", "{\"a\":\"\\\0\"}", 10, 1, 7, "unknown escape in a string" },
	{ "short \\u", "{\"a\":\"\\u12\"}", 0, 1, 7, "\\u needs four hexadecimal digits" },
	{ "high surrogate alone", "{\"a\":\"\\ud800\"}", 0, 1, 7, "half of a surrogate pair" },
	{ "high surrogate twice", "{\"a\":\"\\ud800\\ud800\"}", 0, 1, 7, "half of a surrogate pair" },
	{ "low surrogate alone", "{\"a\":\"\\udc00\"}", 0, 1, 7, "half of a surrogate pair" },
	{ "Latin-1", "{\"a\":\"caf\xe9\"}", 0, 1, 10, "invalid UTF-8 in a string" },
	{ "overlong UTF-8", "{\"a\":\"\xc0\xaf\"}", 0, 1, 7, "invalid UTF-8 in a string" },
	{ "surrogate in UTF-8", "{\"a\":\"\xed\xa0\x80\"}", 0, 1, 7, "invalid UTF-8 in a string" },
	{ "beyond Unicode", "{\"a\":\"\xf4\x90\x80\x80\"}", 0, 1, 7, "invalid UTF-8 in a string" },
	{ "UTF-8 cut off", "{\"a\":\"\xe2\x82", 0, 1, 7, "invalid UTF-8 in a string" },
	{ "UTF-8 outside a string", "{\xc3\xa9:1}", 0, 1, 2, "byte 0xc3 where" },
	{ "too deep", "{\"a\":" DEEP8 DEEP8 DEEP8 DEEP8, 0, 1, 37, "more than 32 objects and arrays inside one another" },
};
// clang-format on

Test(config, text_that_is_no_json)
{
	struct svr_config_errors errs;
	struct svr_config *cfg;
	size_t i;

	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		const struct text_row *row = &texts[i];
		const struct svr_config_error *e = &errs.list[0];
		int err;

		err = svr_config_parse(row->text, row->len ? row->len : strlen(row->text), &cfg,
				       &errs);
		cr_expect_eq(err, -EINVAL, "%s: returns %d", row->name, err);
		cr_expect_null(cfg, "%s", row->name);
		cr_expect_eq(errs.n, 1, "%s:\n%s", row->name, print_all(&errs));
		cr_expect(strstr(e->reason, row->reason), "%s:\n%s", row->name, print_all(&errs));
		cr_expect(e->line == row->line && e->column == row->column, "%s: at %u:%u\n%s",
			  row->name, e->line, e->column, print_all(&errs));
	}
}

Test(config, depth_32_is_read)
{
	char text[128] = "{\"a\":";
	struct svr_config_errors errs;
	struct svr_config *cfg;
	int i;

	for (i = 0; i < 31; i++)
		strcat(text, "[");
	for (i = 0; i < 31; i++)
		strcat(text, "]");
	strcat(text, "}");
	cr_expect_eq(parse(text, &cfg, &errs), -EINVAL);
	cr_expect(strstr(print_all(&errs), "1:6: error: /a: unknown member"), "%s",
		  print_all(&errs));
}

/* RFC 6901 escapes, and nothing that a terminal would obey. */
Test(config, strange_keys)
{
	static const char text[] =
		"{\"a/b~c\":1,\"\\n\\u001b[2J\":2,\"\":3,\"authority\":\"\x7f\xc2\x9b\"}";
	struct svr_config_errors errs;
	struct svr_config *cfg;

	cr_expect_eq(parse(text, &cfg, &errs), -EINVAL);
	cr_expect(strstr(print_all(&errs), "1:10: error: /a~1b~0c: unknown member"), "%s",
		  print_all(&errs));
	cr_expect(strstr(print_all(&errs), "error: /??[2J: unknown member"), "%s",
		  print_all(&errs));
	cr_expect(strstr(print_all(&errs), "(found \"??\")"), "%s", print_all(&errs));
	cr_expect(strstr(print_all(&errs), "error: /: unknown member"), "%s", print_all(&errs));
}

Test(config, duplicate_members)
{
	static const char text[] =
		"{\n \"authority\": {\n  \"name\": \"a\",\n  \"n\\u0061me\": \"b\",\n"
		"  \"name\": \"c\",\n  \"router\": [ {\"x\":1, \"x\":2} ]\n }\n}";
	struct svr_config_errors errs;
	struct svr_config *cfg;

	cr_expect_eq(parse(text, &cfg, &errs), -EINVAL);
	cr_expect_str_eq(errs.list[0].pointer, "/authority/name");
	cr_expect_str_eq(errs.list[0].reason, "this member stands more than once in its object");
	cr_expect(errs.list[0].line == 4 && errs.list[0].column == 3, "%s", print_all(&errs));
	/* said once, however often it stands there; and the rest is looked at too */
	cr_expect(strcmp(errs.list[1].pointer, "/authority/name"), "%s", print_all(&errs));
	cr_expect(strstr(print_all(&errs), "6:23: error: /authority/router/0/x: this member"), "%s",
		  print_all(&errs));
	cr_expect(strstr(print_all(&errs), "member \"node\" is missing"), "%s", print_all(&errs));
}

Test(config, several_errors_in_the_order_of_the_file)
{
	static const char text[] = "{ \"authority\": {\n"
				   "  \"router\": [],\n"
				   "  \"zebra\": 1,\n"
				   "  \"tenant\": [ { \"name\": 7 }, { \"nam\": \"x\" } ]\n"
				   "} }\n";
	static const char *const want[] = {
		"1:16: error: /authority: member \"name\" is missing",
		"2:13: error: /authority/router: must have 1 to 1024 entries, has 0",
		"3:12: error: /authority/zebra: unknown member",
		"4:25: error: /authority/tenant/0/name: must be a name",
		"4:30: error: /authority/tenant/1: member \"name\" is missing",
		"4:39: error: /authority/tenant/1/nam: unknown member; must be one of name, security",
	};
	struct svr_config_errors errs;
	struct svr_config *cfg;
	char line[1024];
	size_t i;

	cr_assert_eq(parse(text, &cfg, &errs), -EINVAL);
	cr_assert_eq(errs.n_errors, 6, "%s", print_all(&errs));
	for (i = 0; i < 6; i++) {
		svr_config_error_print(&errs.list[i], line, sizeof(line));
		cr_expect(!strncmp(line, want[i], strlen(want[i])), "%s\ninstead of\n%s", line,
			  want[i]);
	}
}

Test(config, more_errors_than_room)
{
	struct svr_config_errors errs;
	struct svr_config *cfg;
	char text[8192] = "{\"authority\":{\"name\":\"a\",\"router\":[";
	int i;

	for (i = 0; i < 100; i++)
		strcat(text, i ? ",7" : "7");
	strcat(text, "]}}");
	cr_expect_eq(parse(text, &cfg, &errs), -EINVAL);
	cr_expect_eq(errs.n, SVR_CFG_ERRORS_MAX);
	cr_expect_eq(errs.n_errors, 100);
}

/* Whatever is cut off or changed: no crash, nothing taken that is cut, an error whenever refused. */
Test(config, cut_and_bent_text)
{
	char *text = read_file(EXAMPLE), *copy;
	size_t len = strlen(text), end = strlen(text), i;
	struct svr_config_errors errs;
	struct svr_config *cfg;
	uint32_t random = 1;
	int err;

	while (end && text[end - 1] != '}')
		end--;
	for (i = 0; i < end; i += 13) {
		copy = malloc(i + 1); /* exactly as long as told, for the sanitizer */
		memcpy(copy, text, i);
		err = svr_config_parse(copy, i, &cfg, &errs);
		cr_expect(err == -EINVAL && !cfg && errs.n_errors, "cut at %zu", i);
		free(copy);
	}
	for (i = 0; i < 2000; i++) {
		copy = malloc(len);
		memcpy(copy, text, len);
		random = random * 1664525 + 1013904223;
		copy[random / 7 % len] = (char)(random >> 24);
		random = random * 1664525 + 1013904223;
		copy[random / 7 % len] = "{}[]\",:0123456789\\\x7f\xc2"[(random >> 24) % 20];
		err = svr_config_parse(copy, len, &cfg, &errs);
		cr_expect(err ? !cfg && errs.n_errors : cfg && !errs.n_errors, "change %zu", i);
		svr_config_free(cfg);
		free(copy);
	}
	free(text);
}

/* ---- files ------------------------------------------------------------------------------------ */

Test(config, files)
{
	char path[] = "/tmp/svr-config-XXXXXX";
	struct svr_config_errors errs;
	struct svr_config *cfg;
	int fd = mkstemp(path);
	char *big;

	cr_assert_geq(fd, 0);
	cr_expect_eq(svr_config_load("/nonexistent/x", &cfg, &errs), -ENOENT);
	cr_expect_str_eq(errs.list[0].reason, "/nonexistent/x: No such file or directory");
	cr_expect_null(cfg);
	cr_expect_eq(svr_config_load("/", &cfg, &errs), -EISDIR);

	cr_assert_eq(ftruncate(fd, SVR_CFG_FILE_MAX + 1), 0);
	cr_expect_eq(svr_config_load(path, &cfg, &errs), -EFBIG);
	cr_expect(strstr(errs.list[0].reason, "more than 16777216 bytes"), "%s", print_all(&errs));

	/* exactly 16 MiB of blanks around an object are read */
	big = malloc(SVR_CFG_FILE_MAX);
	memset(big, ' ', SVR_CFG_FILE_MAX);
	memcpy(big, base, strlen(base));
	cr_assert_eq(pwrite(fd, big, SVR_CFG_FILE_MAX, 0), SVR_CFG_FILE_MAX);
	cr_assert_eq(ftruncate(fd, SVR_CFG_FILE_MAX), 0);
	cr_expect_eq(svr_config_load(path, &cfg, &errs), 0, "%s", print_all(&errs));
	svr_config_free(cfg);
	cr_expect_eq(svr_config_parse(big, (size_t)SVR_CFG_FILE_MAX + 1, &cfg, &errs), -EFBIG);
	free(big);
	close(fd);
	unlink(path);
}

/* ---- what is read ----------------------------------------------------------------------------- */

Test(config, defaults)
{
	struct svr_config *cfg = LOAD({ SKM, NULL }, { ROUTER "/certificate", "{}" });
	const struct svr_cfg_network_interface *lan, *wan;
	const struct svr_cfg_key_management *k = &cfg->key_management;
	const struct svr_cfg_policy *p = &cfg->policies[0];
	const struct svr_cfg_router *r = svr_config_router(cfg, "west");
	const struct svr_cfg_bfd *b;

	cr_expect_eq(k->key_exchange_algorithm, SVR_CFG_KEX_DIFFIE_HELLMAN);
	cr_expect_eq(k->diffie_hellman_key_size, 2048);
	cr_expect_eq(k->payload_key_rekey_interval_h, 24);
	cr_expect_eq(k->peer_key_rekey_interval_h, 24);
	cr_expect_eq(svr_config_payload_rekey_sec(k), 24 * 3600);
	cr_expect_eq(svr_config_peer_rekey_sec(k), 24 * 3600);
	cr_expect_eq(k->peer_key_retransmit_interval_s, 30);
	cr_expect_eq(k->peer_key_timeout_s, 3600);
	cr_expect_eq(k->invalid_certificate_behavior, SVR_CFG_FAIL_SOFT);
	cr_expect(k->allow_self_signed_peering_certificates);
	cr_expect_eq(cfg->trusted_cas[0].validation_mode, SVR_CFG_VALIDATE_STRICT);

	cr_expect(p->encrypt && !p->adaptive_encryption);
	cr_expect_eq(p->encryption_cipher, SVR_CFG_AES_CBC_256);
	cr_expect_eq(p->hmac_mode, SVR_CFG_HMAC_TIME_BASED);
	cr_expect_eq(p->hmac_cipher, SVR_CFG_HMAC_SHA256_128);
	cr_expect_eq(cfg->tenants[0].security_index, -1);
	cr_expect_null(cfg->tenants[0].security);
	cr_expect_eq(cfg->services[0].access_policy[0].permission, SVR_CFG_ALLOW);
	cr_expect_eq(cfg->services[1].transport[0].port_range[0].end_port, 53);
	cr_expect_eq(cfg->session_types[0].initial_timeout_ms, 10000);

	cr_assert_not_null(r);
	cr_expect_null(svr_config_router(cfg, "north"));
	cr_expect(!r->has_fingerprint);
	cr_expect_str_eq(r->description, "");
	cr_expect_str_eq(r->location, "");
	lan = &r->node[0].device_interface[0].network_interface[0];
	wan = &r->node[0].device_interface[1].network_interface[0];
	cr_expect_eq(r->node[0].device_interface[0].type, SVR_CFG_DEVICE_ETHERNET);
	cr_expect_eq(lan->role, SVR_CFG_ROLE_LAN);
	cr_expect_eq(wan->role, SVR_CFG_ROLE_WAN);
	cr_expect(lan->vlan == 0 && lan->mtu == 1500 && lan->tenant_index == 0);
	cr_expect_eq(lan->enforced_mss_mode, SVR_CFG_MSS_AUTOMATIC);
	cr_expect_eq(wan->tenant_index, -1);
	cr_expect_eq(lan->address[0].gateway.family, 0);
	cr_expect_eq(wan->neighborhood[0].topology, SVR_CFG_TOPOLOGY_MESH);
	cr_expect(!wan->neighborhood[0].link.has_port_range && wan->neighborhood[0].link.cost == 0);
	cr_expect_eq(wan->neighborhood[0].link.port_range.start_port, 16384);
	cr_expect_eq(wan->neighborhood[0].link.port_range.end_port, 65534);
	b = &wan->neighborhood[0].link.bfd;
	cr_expect(b->enabled && !b->dynamic_damping && b->multiplier == 3 && b->dscp == 0);
	cr_expect(b->desired_tx_interval_ms == 1000 && b->required_min_rx_interval_ms == 1000 &&
		  b->required_min_echo_interval_ms == 1000);
	cr_expect(b->link_test_interval_s == 10 && b->link_test_length == 10);
	cr_expect(b->hold_down_time_s == 5 && b->maximum_hold_down_time_s == 3600);
	svr_config_free(cfg);
}

Test(config, values)
{
	struct svr_config *cfg = LOAD(
		{ SKM "/payload-key-rekey-interval", "\"never\"" },
		{ SKM "/peer-key-rekey-interval-seconds", "7" },
		{ SKM "/peer-key-timeout", "4294967295" },
		{ SKM "/diffie-hellman-key-size", "4096" },
		{ SKM "/invalid-certificate-behavior", "\"fail-hard\"" },
		{ POLICY "/hmac-cipher", "\"sha512\"" }, { POLICY "/hmac-mode", "\"regular\"" },
		{ POLICY "/encryption-cipher", "\"aes-cbc-128\"" },
		{ ROUTER "/certificate", "{\"fingerprint\":" FP("aB") "}" },
		{ ROUTER "/description", "\"caf\xc3\xa9\"" }, { LAN "/enforced-mss", "1360" },
		{ LAN "/mtu", "9000" }, { LAN "/vlan", "4094" }, { LAN "/outer-vlan", "4093" },
		{ EAST_LAN "/enforced-mss", "\"disabled\"" },
		{ WAN "/neighborhood/0/vector", "[\"gold\",\"iron.2\"]" },
		{ LAN "/tenant-prefixes",
		  "[{\"tenant\":\"guest\",\"source-address\":\"172.16.1.128/25\"}]" });
	const struct svr_cfg_router *r = &cfg->routers[0];
	const struct svr_cfg_network_interface *lan =
		&r->node[0].device_interface[0].network_interface[0];
	struct svr_router_view *v = view_of(cfg, "west");
	char text[SVR_CFG_PREFIX_STRLEN];

	cr_expect_eq(cfg->key_management.payload_key_rekey_interval_h, 0);
	cr_expect_eq(svr_config_payload_rekey_sec(&cfg->key_management), 0);
	cr_expect_eq(svr_config_peer_rekey_sec(&cfg->key_management), 7);
	cr_expect_eq(cfg->key_management.peer_key_timeout_s, UINT32_MAX);
	cr_expect_eq(cfg->key_management.diffie_hellman_key_size, 4096);
	cr_expect_eq(cfg->key_management.invalid_certificate_behavior, SVR_CFG_FAIL_HARD);
	cr_expect_eq(cfg->policies[0].hmac_cipher, SVR_CFG_HMAC_SHA512);
	cr_expect_eq(cfg->policies[0].hmac_mode, SVR_CFG_HMAC_REGULAR);
	cr_expect_eq(cfg->policies[0].encryption_cipher, SVR_CFG_AES_CBC_128);
	cr_expect(r->has_fingerprint && r->fingerprint[0] == 0xab && r->fingerprint[31] == 0x1f);
	cr_expect_str_eq(r->description, "caf\xc3\xa9");
	cr_expect(lan->enforced_mss_mode == SVR_CFG_MSS_FIXED && lan->enforced_mss == 1360);
	cr_expect_eq(v->zones[0].mtu, 9000);
	cr_expect_eq(v->zones[0].vlan, 4094);
	cr_expect_eq(v->zones[0].outer_vlan, 4093);
	cr_assert_eq(v->zones[0].n_tenant_prefixes, 1);
	cr_expect_eq(v->zones[0].tenant_prefixes[0].tenant_index, 1);
	svr_config_prefix_print(&v->zones[0].tenant_prefixes[0].source_address, text);
	cr_expect_str_eq(text, "172.16.1.128/25");
	cr_assert_eq(v->paths[0].n_vector, 2);
	cr_expect_str_eq(v->paths[0].vector[0], "gold");
	cr_expect_str_eq(v->paths[0].vector[1], "iron.2");
	svr_config_view_free(v);
	v = view_of(cfg, "east");
	cr_expect_eq(v->zones[0].enforced_mss_mode, SVR_CFG_MSS_DISABLED);
	cr_expect(v->peers[0].has_fingerprint && v->peers[0].fingerprint[0] == 0xab);
	cr_expect_str_eq(v->peers[0].description, "caf\xc3\xa9");
	svr_config_view_free(v);
	svr_config_free(cfg);
}

/* Of the peer, else of the router, else of the authority. */
Test(config, key_size_of_a_peer)
{
	static const char router[] = EAST "/key-exchange-algorithm-override",
			  peer[] = EAST "/peer",
			  bits_4096[] = "{\"diffie-hellman-key-size\":4096}",
			  with[] = "[{\"name\":\"w\",\"router-name\":\"west\","
				   "\"key-exchange-algorithm-override\":{\"diffie-hellman-key-size\":1024}}]",
			  without[] = "[{\"name\":\"w\",\"router-name\":\"west\"}]";
	static const struct {
		const char *router, *peer;
		unsigned int bits;
	} rows[] = { { NULL, NULL, 2048 },   { bits_4096, NULL, 4096 }, { bits_4096, without, 4096 },
		     { bits_4096, with, 1024 }, { NULL, with, 1024 } };
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct svr_config *cfg = LOAD({ router, rows[i].router }, { peer, rows[i].peer });
		struct svr_router_view *v = view_of(cfg, "east");

		cr_expect_eq(v->peers[0].diffie_hellman_key_size, rows[i].bits, "row %zu", i);
		svr_config_view_free(v);
		svr_config_free(cfg);
	}
}

Test(config, certificates)
{
	struct svr_config *cfg = LOAD({ A "/client-certificate", "[{\"name\":\"all\"}]" },
				      { EAST "/client-certificate", "[{\"name\":\"east.2026\"}]" },
				      { REVOCATION, "{\"url\":[\"https://[2001:db8::1]:8443/a.crl?x=%20\","
						    "\"http://pki.example\",\"file:///var/crl/b.pem\"],"
						    "\"polling-interval\":168,\"backoff-interval\":86400}" });
	struct svr_cfg_revocation *r = &cfg->revocation;

	cr_expect_str_eq(svr_config_client_certificate(cfg, svr_config_router(cfg, "west")), "all");
	cr_expect_str_eq(svr_config_client_certificate(cfg, svr_config_router(cfg, "east")),
			 "east.2026");
	cr_assert_eq(r->n_url, 3);
	cr_expect_str_eq(r->url[0], "https://[2001:db8::1]:8443/a.crl?x=%20");
	cr_expect_str_eq(r->url[2], "file:///var/crl/b.pem");
	cr_expect_eq(r->backoff_interval_s, 86400);
	cr_expect_eq(svr_config_polling_interval_s(r), 604800);
	svr_config_free(cfg);

	cfg = LOAD({ REVOCATION, "{\"polling-interval-seconds\":2}" });
	cr_expect_eq(svr_config_polling_interval_s(&cfg->revocation), 2);
	cr_expect_eq(cfg->revocation.n_url, 0);
	svr_config_free(cfg);

	cfg = LOAD({ REVOCATION, NULL }); /* absent: SSR's defaults */
	cr_expect_eq(svr_config_polling_interval_s(&cfg->revocation), 86400);
	cr_expect_eq(cfg->revocation.backoff_interval_s, 60);
	cr_expect_null(svr_config_client_certificate(cfg, svr_config_router(cfg, "west")));
	svr_config_free(cfg);
}

Test(config, bfd_is_inherited_member_by_member)
{
	struct svr_config *cfg =
		LOAD({ ROUTER "/bfd", "{\"multiplier\":5,\"desired-tx-interval\":200,\"state\":"
				      "\"disabled\"}" },
		     { WAN "/neighborhood/0/bfd", "{\"desired-tx-interval\":300}" });
	struct svr_router_view *v = view_of(cfg, "west");

	cr_expect_eq(v->paths[0].bfd.desired_tx_interval_ms, 300);
	cr_expect_eq(v->paths[0].bfd.multiplier, 5);
	cr_expect_eq(v->paths[0].bfd.required_min_rx_interval_ms, 1000);
	cr_expect(!v->paths[0].bfd.enabled);
	cr_expect_eq(v->router->bfd.desired_tx_interval_ms, 200);
	svr_config_view_free(v);
	v = view_of(cfg, "east");
	cr_expect(v->paths[0].bfd.enabled && v->paths[0].bfd.multiplier == 3);
	svr_config_view_free(v);
	svr_config_free(cfg);
}

/* router -> peer -> neighborhood or adjacency: the last one that says it. */
Test(config, bfd_of_a_peer_is_between_router_and_link)
{
	struct svr_config *cfg =
		LOAD({ ROUTER "/bfd", "{\"multiplier\":5,\"dscp\":10,\"desired-tx-interval\":200}" },
		     { ROUTER "/peer", "[{\"name\":\"east\",\"router-name\":\"east\",\"bfd\":"
				       "{\"multiplier\":7,\"dscp\":11,\"link-test-length\":0}}]" },
		     { WAN "/neighborhood/0/bfd", "{\"dscp\":12}" });
	struct svr_router_view *v = view_of(cfg, "west");

	cr_expect_eq(v->paths[0].bfd.desired_tx_interval_ms, 200, "of the router");
	cr_expect_eq(v->paths[0].bfd.multiplier, 7, "of the peer");
	cr_expect_eq(v->paths[0].bfd.link_test_length, 0, "of the peer");
	cr_expect_eq(v->paths[0].bfd.dscp, 12, "of the neighborhood");
	cr_expect(v->paths[0].bfd_metadata && v->paths[0].bfd_port == 1280);
	svr_config_view_free(v);
	svr_config_free(cfg);
}

Test(config, path_mtu_discovery_is_inherited)
{
	struct svr_config *cfg =
		LOAD({ ROUTER "/path-mtu-discovery", "{\"enabled\":false,\"interval\":30}" },
		     { WAN "/neighborhood/0/path-mtu-discovery", "{\"enabled\":true}" },
		     { WAN "/neighborhood/0/path-metrics-rolling-avg-interval", "5" });
	struct svr_router_view *v = view_of(cfg, "west");

	cr_expect(v->paths[0].path_mtu.enabled && v->paths[0].path_mtu.interval_s == 30);
	cr_expect_eq(v->paths[0].metrics_average_s, 5);
	svr_config_view_free(v);
	v = view_of(cfg, "east");
	cr_expect(v->paths[0].path_mtu.enabled && v->paths[0].path_mtu.interval_s == 600);
	cr_expect_eq(v->paths[0].metrics_average_s, 60);
	svr_config_view_free(v);
	svr_config_free(cfg);
}

/* Ports of RFC 5881 and RFC 5883 unless one is given. */
Test(config, plain_bfd)
{
	static const struct {
		const char *name, *adjacency, *peer;
		bool metadata;
		uint16_t port;
	} rows[] = {
		{ "metadata", "\"ip-address\":\"192.0.2.2\"", "", true, 1280 },
		{ "on the link", "\"ip-address\":\"192.0.2.2\",\"bfd-metadata\":false", "", false,
		  3784 },
		{ "by the peer", "\"ip-address\":\"192.0.2.2\"", ",\"bfd-metadata\":false", false,
		  3784 },
		{ "its own port", "\"ip-address\":\"192.0.2.2\",\"bfd-port\":4000",
		  ",\"bfd-metadata\":false", false, 4000 },
		{ "behind a gateway", "\"ip-address\":\"198.51.100.2\",\"bfd-metadata\":false", "",
		  false, 4784 },
	};
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char adjacency[256], peer[256];
		struct svr_router_view *v;
		struct svr_config *cfg;

		snprintf(adjacency, sizeof(adjacency), "[{\"peer\":\"east\",%s}]",
			 rows[i].adjacency);
		snprintf(peer, sizeof(peer), "[{\"name\":\"east\",\"router-name\":\"east\"%s}]",
			 rows[i].peer);
		cfg = LOAD({ WAN "/neighborhood", NULL }, { WAN "/adjacency", adjacency },
			   { ROUTER "/peer", peer },
			   { WAN "/address", "[{\"ip-address\":\"192.0.2.1\",\"prefix-length\":24,"
					     "\"gateway\":\"192.0.2.254\"}]" });
		v = view_of(cfg, "west");
		cr_expect_eq(v->paths[0].bfd_metadata, rows[i].metadata, "%s", rows[i].name);
		cr_expect_eq(v->paths[0].bfd_port, rows[i].port, "%s: %u", rows[i].name,
			     v->paths[0].bfd_port);
		cr_expect_eq(v->paths[0].path_mtu.enabled, rows[i].metadata, "%s", rows[i].name);
		svr_config_view_free(v);
		svr_config_free(cfg);
	}
}

Test(config, static_keys)
{
	struct svr_config *agreed = LOAD({ SKM, NULL });
	struct svr_config *cfg = LOAD(STATIC_KEYS, { WAN "/inter-router-security", "\"secret\"" },
				      { EAST_WAN "/inter-router-security", "\"secret\"" });
	uint8_t secret[SVR_CFG_SECRET_MAX];

	cr_expect_eq(agreed->static_policy, -1);
	cr_expect_eq(cfg->static_policy, 0);
	cr_expect_eq(svr_config_policy_secret(&cfg->policies[0], secret), 3 + 32 + 16 + 4);
	cr_expect_eq(svr_config_policy_secret(&cfg->policies[1], secret), 0, "clear");
	svr_config_free(cfg);
	svr_config_free(agreed);
}

/* Without enhanced key management the common name is the router's name. */
Test(config, clear_authority_without_keys)
{
	struct svr_config *cfg = LOAD({ A "/enhanced-security-key-management", "false" },
				      { POLICY "/encrypt", "false" },
				      { POLICY "/hmac-mode", "\"disabled\"" },
				      { ROUTER "/peering-common-name", NULL });
	struct svr_router_view *v = view_of(cfg, "west");

	cr_expect(!v->enhanced_security_key_management);
	cr_expect_str_eq(v->router->peering_common_name, "west");
	svr_config_view_free(v);
	svr_config_free(cfg);
}

/* ---- addresses -------------------------------------------------------------------------------- */

Test(config, addresses)
{
	static const char *const bad[] = { "",	       "1.2.3",	      "1.2.3.4.5", "256.1.1.1",
					   " 1.2.3.4", "1.2.3.4 ",    "01.2.3.4",  "::ffff:1.2.3.4",
					   "1::2::3",  "fe80::1%eth0" };
	static const char *const good[] = { "0.0.0.0", "192.0.2.1", "255.255.255.255",
					    "::", "2001:db8::1" };
	static const uint8_t mapped[16] = { [10] = 0xff, 0xff, 192, 0, 2, 1 };
	char text[SVR_CFG_ADDR_STRLEN];
	struct svr_cfg_addr a = { 0 }, b;
	size_t i;

	cr_expect_str_eq(svr_config_addr_print(&a, text), "");
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_expect_eq(svr_config_addr_parse(bad[i], &a), -EINVAL, "%s", bad[i]);
	cr_expect_eq(a.family, 0);
	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		cr_expect_eq(svr_config_addr_parse(good[i], &a), 0, "%s", good[i]);
		cr_expect_str_eq(svr_config_addr_print(&a, text), good[i]);
		cr_expect_eq(a.family, strchr(good[i], ':') ? 6 : 4);
	}
	svr_config_addr_parse("192.0.2.1", &a);
	cr_expect_arr_eq(a.bytes, mapped, 16);
	svr_config_addr_parse("192.0.2.1", &b);
	cr_expect(svr_config_addr_equal(&a, &b));
	b.family = 6;
	cr_expect(!svr_config_addr_equal(&a, &b));
}

Test(config, prefixes)
{
	static const struct {
		const char *text;
		int err;
	} rows[] = {
		{ "0.0.0.0/0", 0 },
		{ "192.0.2.0/24", 0 },
		{ "192.0.2.1/32", 0 },
		{ "128.0.0.0/1", 0 },
		{ "::/0", 0 },
		{ "2001:db8::/127", 0 },
		{ "192.0.2.1/24", -ERANGE },
		{ "192.0.2.0/22", -ERANGE },
		{ "2001:db8::1/127", -ERANGE },
		{ "192.0.2.0", -EINVAL },
		{ "192.0.2.0/", -EINVAL },
		{ "192.0.2.0/33", -EINVAL },
		{ "192.0.2.0/-1", -EINVAL },
		{ "192.0.2.0/+8", -EINVAL },
		{ "192.0.2.0/ 8", -EINVAL },
		{ "192.0.2.0/08", -EINVAL },
		{ "192.0.2.0/24x", -EINVAL },
		{ "/24", -EINVAL },
		{ "::/129", -EINVAL },
		{ "192.0.2.0/4294967320", -EINVAL },
		{ "192.0.2.0/24/24", -EINVAL },
	};
	struct svr_cfg_prefix p, other;
	char text[SVR_CFG_PREFIX_STRLEN];
	struct svr_cfg_addr a;
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int err = svr_config_prefix_parse(rows[i].text, &p);

		cr_expect_eq(err, rows[i].err, "%s: %d", rows[i].text, err);
		if (!err)
			cr_expect_str_eq(svr_config_prefix_print(&p, text), rows[i].text);
	}
	svr_config_prefix_parse("10.128.0.0/9", &p);
	svr_config_addr_parse("10.255.255.255", &a);
	cr_expect(svr_config_prefix_has(&p, &a));
	svr_config_addr_parse("10.127.255.255", &a);
	cr_expect(!svr_config_prefix_has(&p, &a));
	svr_config_prefix_parse("::/0", &other);
	cr_expect(!svr_config_prefix_has(&other, &a), "another family");
}

/* RFC 5952 section 4 */
Test(config, addresses_are_printed_in_one_way)
{
	static const char *const rows[][2] = {
		{ "2001:0db8::0001", "2001:db8::1" },
		{ "2001:DB8:0:0:0:0:2:1", "2001:db8::2:1" },
		{ "2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1" },
		{ "2001:0:0:1:0:0:0:1", "2001:0:0:1::1" },
		{ "2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1" },
		{ "0:0:0:0:0:0:0:1", "::1" },
	};
	char text[SVR_CFG_ADDR_STRLEN];
	struct svr_cfg_addr a;
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		cr_assert_eq(svr_config_addr_parse(rows[i][0], &a), 0, "%s", rows[i][0]);
		cr_expect_str_eq(svr_config_addr_print(&a, text), rows[i][1]);
	}
	svr_config_addr_parse("fe80::1", &a);
	cr_expect(svr_config_addr_link_local(&a));
	svr_config_addr_parse("febf:ffff::1", &a);
	cr_expect(svr_config_addr_link_local(&a));
	svr_config_addr_parse("fec0::1", &a);
	cr_expect(!svr_config_addr_link_local(&a));
	svr_config_addr_parse("169.254.0.1", &a);
	cr_expect(!svr_config_addr_link_local(&a));
}

/* Ends of a network: the first and the last address of /31 and /32 are hosts. */
Test(config, point_to_point_networks)
{
	struct svr_config *cfg = LOAD(
		{ WAN "/address/0", "{\"ip-address\":\"192.0.2.2\",\"prefix-length\":31}" },
		{ EAST_WAN "/address/0", "{\"ip-address\":\"192.0.2.3\",\"prefix-length\":31}" },
		{ LAN "/address/0", "{\"ip-address\":\"172.16.1.0\",\"prefix-length\":32}" });

	svr_config_free(cfg);
}

/* I95-66165 of SSR: a configuration with GCM-256 was not taken, since nothing made its nonce. */
Test(config, i95_66165_every_cipher_is_taken_as_it_was_written)
{
	static const struct {
		enum svr_cfg_encryption_cipher cipher;
		const char *word;
	} rows[] = {
		{ SVR_CFG_AES_CBC_128, "\"aes-cbc-128\"" },
		{ SVR_CFG_AES_CBC_256, "\"aes-cbc-256\"" },
		{ SVR_CFG_AES_GCM_128, "\"aes-gcm-128\"" },
		{ SVR_CFG_AES_GCM_256, "\"aes-gcm-256\"" },
	};
	char quoted[32];
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct svr_config *cfg = LOAD({ POLICY "/encryption-cipher", rows[i].word });

		cr_expect_eq(cfg->policies[0].encryption_cipher, rows[i].cipher);
		snprintf(quoted, sizeof(quoted), "\"%s\"",
			 svr_config_encryption_cipher_name(cfg->policies[0].encryption_cipher));
		cr_expect_str_eq(quoted, rows[i].word);
		svr_config_free(cfg);
	}
}

Test(config, words)
{
	cr_expect_str_eq(svr_config_encryption_cipher_name(SVR_CFG_AES_CBC_128), "aes-cbc-128");
	cr_expect_str_eq(svr_config_encryption_cipher_name(SVR_CFG_AES_CBC_256), "aes-cbc-256");
	cr_expect_str_eq(svr_config_hmac_mode_name(SVR_CFG_HMAC_TIME_BASED), "time-based");
	cr_expect_str_eq(svr_config_hmac_cipher_name(SVR_CFG_HMAC_SHA256_128), "sha256-128");
	cr_expect_str_eq(svr_config_protocol_name(SVR_CFG_PROTO_UDP), "udp");
	cr_expect_str_eq(svr_config_topology_name(SVR_CFG_TOPOLOGY_SPOKE), "spoke");
	cr_expect_str_eq(svr_config_role_name(SVR_CFG_ROLE_WAN), "wan");
	cr_expect_str_eq(svr_config_hmac_mode_name((enum svr_cfg_hmac_mode)99), "?");
}

/* ---- peers and paths -------------------------------------------------------------------------- */

Test(config, topologies)
{
	static const char *const words[] = { "\"mesh\"", "\"hub\"", "\"spoke\"" };
	static const bool peers[3][3] = { { true, true, true },
					  { true, false, true },
					  { true, true, false } };
	int i, k;

	for (i = 0; i < 3; i++) {
		for (k = 0; k < 3; k++) {
			struct svr_config *cfg =
				LOAD({ WAN "/neighborhood/0/topology", words[i] },
				     { EAST_WAN "/neighborhood/0/topology", words[k] },
				     { ROUTER "/service-route", "[]" });
			struct svr_router_view *west = view_of(cfg, "west"),
					       *east = view_of(cfg, "east");

			cr_expect_eq(west->n_peers, peers[i][k], "%s and %s", words[i], words[k]);
			cr_expect_eq(west->n_paths, peers[i][k], "%s and %s", words[i], words[k]);
			cr_expect_eq(east->n_paths, peers[i][k], "%s and %s", words[i], words[k]);
			svr_config_view_free(west);
			svr_config_view_free(east);
			svr_config_free(cfg);
		}
	}
}

#define DEVICE(dev, name, net, host, neighborhoods)                                        \
	"{\"name\":\"" dev "\",\"network-interface\":[{\"name\":\"" name "\",\"address\":" \
	"[{\"ip-address\":\"" net "." host "\",\"prefix-length\":24,\"gateway\":\"" net    \
	".254\"}],"                                                                        \
	"\"neighborhood\":[" neighborhoods "]}]}"

/* Two interfaces on each side, all in one neighborhood: four paths, cheap ones first. */
Test(config, one_path_per_pair_of_interfaces)
{
	static const char *const want_west[] = { "east/198.51.101.2/n0/wan2/0",
						 "east/192.0.2.2/n0/wan2/0",
						 "east/198.51.101.2/n0/wan/0",
						 "east/192.0.2.2/n0/wan/0" };
	static const char *const want_east[] = { "west/192.0.2.1/n0/wan/0",
						 "west/198.51.100.1/n0/wan/0",
						 "west/192.0.2.1/n0/wan2/0",
						 "west/198.51.100.1/n0/wan2/0" };
	/* east's second device stands before its first one, and it is the order of the file that counts */
	struct svr_config *cfg =
		LOAD({ WAN "/address/0/gateway", "\"192.0.2.254\"" },
		     { WAN "/neighborhood/0/cost", "10" },
		     { ROUTER "/node/0/device-interface/-",
		       DEVICE("ge2", "wan2", "198.51.100", "1", "{\"name\":\"inet\",\"cost\":5}") },
		     { EAST_WAN "/address/0/gateway", "\"192.0.2.254\"" },
		     { EAST "/node/0/device-interface/0",
		       DEVICE("ge2", "wan2", "198.51.101", "2", "{\"name\":\"inet\",\"cost\":7}") },
		     { EAST "/service-route", "[]" });
	struct svr_router_view *west = view_of(cfg, "west"), *east = view_of(cfg, "east");
	unsigned int i;

	cr_assert_eq(west->n_paths, 4);
	cr_assert_eq(east->n_paths, 4);
	for (i = 0; i < 4; i++) {
		cr_expect_str_eq(west->paths[i].name, want_west[i]);
		cr_expect_str_eq(east->paths[i].name, want_east[i]);
	}
	cr_expect(west->peers[0].generated && west->peers[0].first_path == 0 &&
		  west->peers[0].n_paths == 4);
	cr_assert_eq(west->routes[0].n_path, 4);
	for (i = 0; i < 4; i++)
		cr_expect_eq(west->routes[0].path[i], i);
	/* wan2 to 198.51.101.2 goes through the gateway, wan to 192.0.2.2 does not */
	cr_expect_eq(west->paths[0].gateway.family, 4);
	cr_expect_eq(west->paths[3].gateway.family, 0);
	svr_config_view_free(west);
	svr_config_view_free(east);
	svr_config_free(cfg);
}

#define IF4(a, gw) "{\"ip-address\":\"" a "\",\"prefix-length\":24,\"gateway\":\"" gw "\"}"
#define IF6_GW(a, gw) "{\"ip-address\":\"" a "\",\"prefix-length\":64,\"gateway\":\"" gw "\"}"

/* One path for each family that both have, between the first addresses of it, IPv4 first. */
Test(config, paths_of_both_families)
{
	struct svr_config *cfg = LOAD(
		{ WAN "/address", "[" IF6_GW("2001:db8:8::1", "fe80::1") ",{\"ip-address\":\"2001:db8:8::9\","
		  "\"prefix-length\":64}," IF4("192.0.2.1", "192.0.2.254") "]" },
		{ EAST_WAN "/address", "[" IF4("192.0.2.2", "192.0.2.254") ",{\"ip-address\":\"192.0.2.3\","
		  "\"prefix-length\":24}," IF6_GW("2001:db8:9::2", "2001:db8:9::fe") "]" });
	struct svr_router_view *west = view_of(cfg, "west"), *east = view_of(cfg, "east");
	char text[SVR_CFG_ADDR_STRLEN];

	cr_assert_eq(west->n_paths, 2);
	cr_assert_eq(east->n_paths, 2);
	cr_expect_str_eq(west->paths[0].name, "east/192.0.2.2/n0/wan/0");
	cr_expect_str_eq(west->paths[1].name, "east/2001:db8:9::2/n0/wan/0");
	cr_expect_str_eq(east->paths[0].name, "west/192.0.2.1/n0/wan/0");
	cr_expect_str_eq(east->paths[1].name, "west/2001:db8:8::1/n0/wan/0");
	cr_expect_str_eq(svr_config_addr_print(&west->paths[0].local_address, text), "192.0.2.1");
	cr_expect_str_eq(svr_config_addr_print(&west->paths[1].local_address, text), "2001:db8:8::1");
	/* each by the gateway of its family; IPv4 is on the link */
	cr_expect_str_eq(svr_config_addr_print(&west->paths[0].gateway, text), "");
	cr_expect_str_eq(svr_config_addr_print(&west->paths[1].gateway, text), "fe80::1");
	cr_expect_str_eq(svr_config_addr_print(&east->paths[1].gateway, text), "2001:db8:9::fe");
	cr_expect_eq(west->routes[0].n_path, 2);
	svr_config_view_free(west);
	svr_config_view_free(east);
	svr_config_free(cfg);
}

/* What is told by its addresses alone may stand on either family. */
Test(config, adjacency_over_ipv6)
{
	struct svr_config *cfg = LOAD(
		{ WAN "/address/-", IF6_GW("2001:db8:8::1", "fe80::1") },
		{ EAST_WAN "/address/-", IF6_GW("2001:db8:9::2", "fe80::1") },
		{ WAN "/neighborhood", NULL }, { EAST_WAN "/neighborhood", NULL },
		{ WAN "/adjacency", "[{\"ip-address\":\"2001:db8:9::2\",\"peer\":\"east\"}]" },
		{ EAST_WAN "/adjacency", "[{\"ip-address\":\"2001:db8:8::1\",\"peer\":\"west\","
		  "\"port-range\":{\"start-port\":30000,\"end-port\":30999}}]" });
	struct svr_router_view *west = view_of(cfg, "west");

	cr_assert_eq(west->n_paths, 1);
	cr_expect_str_eq(west->paths[0].name, "east/2001:db8:9::2/n0/wan/0");
	cr_expect_eq(west->paths[0].local_address.family, 6);
	cr_expect_eq(west->paths[0].remote_ports.start_port, 30000);
	cr_expect(!west->paths[0].parity);
	svr_config_view_free(west);
	svr_config_free(cfg);
}

/* Two common neighborhoods make one path, and both ends must think of the same one: west's first. */
Test(config, both_ends_choose_the_same_neighborhood)
{
	struct svr_config *cfg = LOAD(
		{ WAN "/neighborhood",
		  "[{\"name\":\"a\",\"port-range\":{\"start-port\":20000,\"end-port\":20999}},"
		  "{\"name\":\"b\"}]" },
		{ EAST_WAN "/neighborhood",
		  "[{\"name\":\"b\"},{\"name\":\"a\",\"port-range\":{\"start-port\":30000,\"end-port\":30999}}]" });
	struct svr_router_view *west = view_of(cfg, "west"), *east = view_of(cfg, "east");

	cr_assert(west->n_paths == 1 && east->n_paths == 1);
	cr_expect_str_eq(west->paths[0].neighborhood, "a");
	cr_expect_str_eq(east->paths[0].neighborhood, "a");
	cr_expect(!west->paths[0].parity && !east->paths[0].parity);
	cr_expect_eq(west->paths[0].local_ports.start_port, 20000);
	cr_expect_eq(west->paths[0].local_ports.end_port, 20999);
	cr_expect_eq(west->paths[0].remote_ports.start_port, 30000);
	cr_expect_eq(east->paths[0].local_ports.end_port, 30999);
	cr_expect_eq(east->paths[0].remote_ports.end_port, 20999);
	cr_expect_eq(west->zones[1].port_range.start_port, 20000);
	cr_expect_eq(west->zones[1].port_range.end_port, 20999);
	svr_config_view_free(west);
	svr_config_view_free(east);
	svr_config_free(cfg);
}

Test(config, parity_ends_when_one_side_has_a_range)
{
	struct svr_config *cfg = LOAD({ EAST_WAN "/neighborhood/0/port-range",
					"{\"start-port\":1281,\"end-port\":65535}" });
	struct svr_router_view *west = view_of(cfg, "west"), *east = view_of(cfg, "east");

	cr_expect(!west->paths[0].parity && !east->paths[0].parity);
	cr_expect_eq(west->paths[0].local_ports.start_port, 16384);
	cr_expect_eq(west->paths[0].local_ports.end_port, 65534);
	cr_expect_eq(west->paths[0].remote_ports.start_port, 1281);
	cr_expect_eq(east->paths[0].remote_ports.start_port, 16384);
	cr_expect_eq(west->zones[0].port_range.end_port, 0, "a LAN zone has none");
	svr_config_view_free(west);
	svr_config_view_free(east);
	svr_config_free(cfg);
}

Test(config, peers_may_have_names_of_their_own)
{
	struct svr_config *cfg =
		LOAD({ ROUTER "/peer", "[{\"name\":\"hq\",\"router-name\":\"east\"}]" },
		     { ROUTER "/service-route/0/peer", "\"hq\"" });
	struct svr_router_view *west = view_of(cfg, "west"), *east = view_of(cfg, "east");

	cr_expect_str_eq(west->peers[0].name, "hq");
	cr_expect_str_eq(west->peers[0].router_name, "east");
	cr_expect_str_eq(west->peers[0].peering_common_name, "east.example");
	cr_expect(!west->peers[0].generated);
	cr_expect_str_eq(west->paths[0].name, "hq/192.0.2.2/n0/wan/0");
	cr_expect_str_eq(east->peers[0].name, "west");
	cr_expect(east->peers[0].generated);
	svr_config_view_free(west);
	svr_config_view_free(east);
	svr_config_free(cfg);
}

Test(config, adjacencies)
{
	struct svr_config *cfg = LOAD(
		{ WAN "/neighborhood", NULL }, { EAST_WAN "/neighborhood", NULL },
		{ WAN "/vlan", "7" },
		{ WAN "/adjacency",
		  "[{\"ip-address\":\"192.0.2.77\",\"peer\":\"east\",\"cost\":9},"
		  "{\"ip-address\":\"192.0.2.2\",\"peer\":\"east\",\"bfd\":{\"multiplier\":4}}]" },
		{ EAST_WAN "/adjacency",
		  "[{\"ip-address\":\"192.0.2.1\",\"peer\":\"west\",\"port-range\":"
		  "{\"start-port\":2000,\"end-port\":2999}}]" });
	struct svr_router_view *west = view_of(cfg, "west"), *east = view_of(cfg, "east");

	cr_assert_eq(west->n_paths, 2);
	cr_expect_str_eq(west->paths[0].name, "east/192.0.2.2/n0/wan/7");
	cr_expect_null(west->paths[0].neighborhood);
	cr_expect_eq(west->paths[0].bfd.multiplier, 4);
	cr_expect_eq(west->paths[0].remote_ports.end_port, 2999);
	cr_expect(!west->paths[0].parity && !east->paths[0].parity);
	/* nobody in the authority has this address: default ports, no complaint */
	cr_expect_str_eq(west->paths[1].name, "east/192.0.2.77/n0/wan/7");
	cr_expect(west->paths[1].parity && west->paths[1].remote_ports.end_port == 65534);
	cr_expect_eq(east->paths[0].local_ports.start_port, 2000);
	cr_expect_eq(east->paths[0].remote_ports.start_port, 16384);
	svr_config_view_free(west);
	svr_config_view_free(east);
	svr_config_free(cfg);
}

Test(config, resolve_unknown_router)
{
	struct svr_config_errors errs;
	struct svr_router_view *view;
	struct svr_config *cfg;

	load_ok(base, &cfg);
	cr_expect_eq(svr_config_resolve(cfg, "north", &view, &errs), -ENOENT);
	cr_expect_null(view);
	cr_expect(strstr(errs.list[0].reason, "no router called \"north\""));
	svr_config_free(cfg);
}

/* ---- services --------------------------------------------------------------------------------- */

#define TYPE(name, proto, ports, ms)             \
	"{\"name\":\"" name "\",\"timeout\":" ms \
	",\"initial-timeout\":1000,\"transport\":[{\"protocol\":\"" proto "\"" ports "}]}"

/* Name of the session type that a port has, "" for none */
static const char *type_of(const struct svr_config *cfg, enum svr_cfg_protocol protocol,
			   uint16_t port)
{
	static uint16_t types[65536];

	svr_config_port_types(cfg, protocol, types);
	return types[port] ? cfg->session_types[types[port] - 1].name : "";
}

Test(config, session_types)
{
	struct svr_config *cfg =
		LOAD({ A "/session-type", "[]" },
		     { A "/session-type/-",
		       TYPE("web", "tcp", ",\"port-range\":[{\"start-port\":80,\"end-port\":90}]", "1000") },
		     { A "/session-type/-", TYPE("udp-all", "udp", "", "2000") },
		     { A "/session-type/-", TYPE("tcp-all", "tcp", "", "3000") },
		     { A "/session-type/-", TYPE("late", "tcp", "", "4000") },
		     { A "/session-type/-", TYPE("echo", "icmp", "", "5000") },
		     { A "/service/1/session-type", "\"late\"" },
		     { A "/service/-",
		       "{\"name\":\"any\",\"address\":[\"10.0.0.0/8\"],\"security\":\"clear\"}" });
	struct svr_router_view *v = view_of(cfg, "west");
	const struct svr_view_transport *t;

	/* the first one of the file that holds the port */
	cr_expect_str_eq(type_of(cfg, SVR_CFG_PROTO_TCP, 79), "tcp-all");
	cr_expect_str_eq(type_of(cfg, SVR_CFG_PROTO_TCP, 80), "web");
	cr_expect_str_eq(type_of(cfg, SVR_CFG_PROTO_TCP, 90), "web");
	cr_expect_str_eq(type_of(cfg, SVR_CFG_PROTO_TCP, 91), "tcp-all");
	cr_expect_str_eq(type_of(cfg, SVR_CFG_PROTO_TCP, 65535), "tcp-all");
	cr_expect_str_eq(type_of(cfg, SVR_CFG_PROTO_UDP, 80), "udp-all");
	cr_expect_str_eq(type_of(cfg, SVR_CFG_PROTO_UDP, 0), "udp-all");
	cr_expect_str_eq(type_of(cfg, SVR_CFG_PROTO_ICMP, 0), "echo");
	cr_expect_str_eq(type_of(cfg, SVR_CFG_PROTO_GRE, 0), "");
	/* named by the service: of all its sessions */
	cr_expect_eq(cfg->services[1].session_type_index, 3);
	cr_expect_eq(cfg->services[0].session_type_index, -1);
	/* no transport: every protocol */
	cr_assert_eq(v->n_services, 3);
	cr_expect(v->services[2].any_transport && !v->services[0].any_transport);
	cr_assert_eq(v->services[2].n_transport, 5);
	t = v->services[2].transport;
	cr_expect(t[0].protocol == SVR_CFG_PROTO_ICMP && t[1].protocol == SVR_CFG_PROTO_TCP &&
		  t[2].protocol == SVR_CFG_PROTO_UDP && t[3].protocol == SVR_CFG_PROTO_GRE &&
		  t[4].protocol == SVR_CFG_PROTO_ESP);
	cr_expect(t[1].ports.start_port == 0 && t[1].ports.end_port == 65535);
	cr_expect_eq(v->services[2].policy, 1);
	cr_expect_eq(v->services[2].route, -1);
	svr_config_view_free(v);
	svr_config_free(cfg);
	/* and without any type */
	cfg = LOAD({ A "/session-type", NULL });
	cr_expect_str_eq(type_of(cfg, SVR_CFG_PROTO_TCP, 80), "");
	svr_config_free(cfg);
}

/* The same prefix and ports are fine for different tenants, and nested prefixes always are. */
Test(config, services_that_compete)
{
	struct svr_config *cfg = LOAD(
		{ A "/service/1/transport", NULL },
		{ A "/service/1/access-policy/0/source", "\"guest\"" },
		{ A "/service/-",
		  "{\"name\":\"wide\",\"address\":[\"172.16.0.0/12\",\"0.0.0.0/0\"],\"security\":\"secret\","
		  "\"access-policy\":[{\"source\":\"corp\",\"permission\":\"deny\"}]}" });

	svr_config_free(cfg);
}

/* Rows of a map hold 31 services; the 32nd around a prefix is refused, not lost. */
Test(config, too_many_services_around_a_prefix)
{
	struct json_object *doc = json_tokener_parse(base), *services = NULL;
	struct svr_config_errors errs;
	struct svr_config *cfg;
	int i, err;

	json_pointer_get(doc, A "/service", &services);
	for (i = 0; i < 30; i++) {
		char text[256];

		snprintf(
			text, sizeof(text),
			"{\"name\":\"s%d\",\"address\":[\"172.16.%d.0/%d\"],\"security\":\"clear\",\"transport\":"
			"[{\"protocol\":\"udp\",\"port-range\":[{\"start-port\":%d}]}]}",
			i, i < 15 ? 2 : 0, i < 15 ? 24 : 16, 1000 + i);
		json_object_array_add(services, json_tokener_parse(text));
		err = parse(json_object_to_json_string(doc), &cfg, &errs);
		cr_expect_eq(err, i < 29 ? 0 : -EINVAL, "%d more: %s", i + 1, print_all(&errs));
		svr_config_free(cfg);
	}
	cr_expect_str_eq(errs.list[0].reason,
			 "more than 31 services share this prefix or the prefixes around it");
	json_object_put(doc);
}

/* Every prefix around an IPv6 address, of as many services as a row holds. */
Test(config, many_prefixes_around_one_another)
{
	struct json_object *doc = json_tokener_parse(base), *services = NULL;
	struct svr_config_errors errs;
	struct svr_config *cfg;
	char text[8192];
	int i, k, n;

	json_pointer_get(doc, A "/service", &services);
	for (i = 0; i < 31; i++) {
		n = snprintf(text, sizeof(text), "{\"name\":\"n%d\",\"address\":[\"::/0\"", i);
		for (k = 1; k <= 128; k++)
			n += snprintf(text + n, sizeof(text) - (size_t)n, ",\"8000::/%d\"", k);
		snprintf(
			text + n, sizeof(text) - (size_t)n,
			"],\"security\":\"clear\",\"transport\":[{\"protocol\":\"udp\",\"port-range\":"
			"[{\"start-port\":%d}]}]}",
			1000 + i);
		json_object_array_add(services, json_tokener_parse(text));
	}
	cr_expect_eq(parse(json_object_to_json_string(doc), &cfg, &errs), 0, "%s",
		     print_all(&errs));
	svr_config_free(cfg);
	json_object_array_add(services,
			      json_tokener_parse("{\"name\":\"n31\",\"address\":[\"8000::/64\"],"
						 "\"security\":\"clear\"}"));
	cr_expect_eq(parse(json_object_to_json_string(doc), &cfg, &errs), -EINVAL);
	cr_expect_eq(errs.n_errors, 31 * 64 + 1, "each prefix from 64 to 128: %u", errs.n_errors);
	json_object_put(doc);
}

/* ---- the example -------------------------------------------------------------------------------- */

Test(config, example)
{
	static const char *const kinds[] = { "clear", "signed", "secret", "dns" };
	static const uint8_t west_wan[16] = { [10] = 0xff, 0xff, 192, 0, 2, 1 };
	static const uint8_t east_wan[16] = { [10] = 0xff, 0xff, 192, 0, 2, 2 };
	struct svr_config_errors errs;
	struct svr_router_view *v;
	struct svr_config *cfg;
	unsigned int i;
	char name[64];

	cr_assert_eq(svr_config_load(EXAMPLE, &cfg, &errs), 0, "%s", print_all(&errs));
	/* a demo without pinned certificates earns exactly this warning */
	cr_expect_eq(errs.n, 1, "%s", print_all(&errs));
	cr_expect(strstr(errs.list[0].reason, "is not pinned"), "%s", print_all(&errs));
	cr_expect_str_eq(errs.list[0].pointer, ROUTER);
	v = view_of(cfg, "west");
	cr_expect_str_eq(v->router->peering_common_name, "west.example");
	cr_assert(v->n_zones == 2 && v->n_peers == 1 && v->n_paths == 1 && v->n_services == 8 &&
		  v->n_routes == 8);
	cr_expect_str_eq(v->zones[0].device, "ge0");
	cr_expect_eq(v->zones[0].role, SVR_CFG_ROLE_LAN);
	cr_expect_eq(v->zones[0].tenant, 0);
	cr_expect_eq(v->zones[0].address[0].prefix_length, 24);
	cr_expect_str_eq(v->zones[1].device, "ge1");
	cr_expect_eq(v->zones[1].role, SVR_CFG_ROLE_WAN);
	cr_expect_eq(v->zones[1].tenant, -1);
	cr_expect_str_eq(v->paths[0].name, "east/192.0.2.2/node0/wan/0");
	cr_expect_arr_eq(v->paths[0].local_address.bytes, west_wan, 16);
	cr_expect_arr_eq(v->paths[0].remote_address.bytes, east_wan, 16);
	cr_expect(v->paths[0].parity && v->paths[0].local_ports.start_port == 16384 &&
		  v->paths[0].remote_ports.end_port == 65534);
	for (i = 0; i < 8; i++) {
		const struct svr_view_service *s = &v->services[i];
		const struct svr_view_route *r = &v->routes[s->route];

		snprintf(name, sizeof(name), "%s-%s", i < 4 ? "east" : "west", kinds[i % 4]);
		cr_expect_str_eq(s->cfg->name, name);
		cr_expect_str_eq(v->policies[s->policy].name, i % 4 == 3 ? "secret" : kinds[i % 4]);
		cr_expect_eq(r->kind, i < 4 ? SVR_VIEW_ROUTE_PEER : SVR_VIEW_ROUTE_LOCAL);
		cr_expect_eq(r->n_path, i < 4 ? 1 : 0);
		cr_expect_eq(r->service, i);
		cr_expect_leq(s->n_transport, SVR_MAX_TRANSPORTS);
	}
	svr_config_view_free(v);
	svr_config_free(cfg);
}

/* Everything that a view says, as text, so that two of them can be compared. */
static char *describe(const struct svr_router_view *v)
{
	char *text = calloc(1, 65536), a[SVR_CFG_ADDR_STRLEN], b[SVR_CFG_ADDR_STRLEN];
	size_t n = 0;
	unsigned int i;

	for (i = 0; i < v->n_peers; i++)
		n += (size_t)sprintf(text + n, "%s %u %u\n", v->peers[i].name,
				     v->peers[i].first_path, v->peers[i].n_paths);
	for (i = 0; i < v->n_paths; i++)
		n += (size_t)sprintf(text + n, "%s %u %s %s %u\n", v->paths[i].name,
				     v->paths[i].zone,
				     svr_config_addr_print(&v->paths[i].local_address, a),
				     svr_config_addr_print(&v->paths[i].remote_address, b),
				     v->paths[i].cost);
	for (i = 0; i < v->n_routes; i++)
		n += (size_t)sprintf(text + n, "%s %u %u %u\n", v->routes[i].name,
				     v->routes[i].service, v->routes[i].n_path, v->routes[i].zone);
	return text;
}

/* A mesh of routers: everybody sees everybody, in the order of the file, each time in the same way. */
Test(config, mesh_is_complete_and_deterministic)
{
	enum { ROUTERS = 40 };
	struct json_object *doc = json_tokener_parse(base), *routers = NULL;
	struct svr_router_view *v, *again;
	struct svr_config *one, *two;
	char text[1024], *a, *b;
	unsigned int i, k;

	json_pointer_get(doc, A "/router", &routers);
	for (i = 2; i < ROUTERS; i++) {
		snprintf(
			text, sizeof(text),
			"{\"name\":\"r%u\",\"peering-common-name\":\"r%u\",\"node\":[{\"name\":\"n\",\"device-interface\":["
			"{\"name\":\"d\",\"network-interface\":[{\"name\":\"i\",\"neighborhood\":[{\"name\":\"inet\"}],"
			"\"address\":[{\"ip-address\":\"192.0.2.%u\",\"prefix-length\":24}]}]}]}]}",
			i, i, i + 1);
		json_object_array_add(routers, json_tokener_parse(text));
	}
	load_ok(json_object_to_json_string_ext(doc, JSON_C_TO_STRING_PRETTY), &one);
	load_ok(json_object_to_json_string_ext(doc, JSON_C_TO_STRING_PLAIN), &two);
	for (i = 0; i < ROUTERS; i++) {
		v = view_of(one, one->routers[i].name);
		again = view_of(two, one->routers[i].name);
		cr_expect_eq(v->n_peers, ROUTERS - 1);
		cr_expect_eq(v->n_paths, ROUTERS - 1);
		for (k = 0; k < v->n_peers; k++)
			cr_expect_str_eq(v->peers[k].name, one->routers[k < i ? k : k + 1].name);
		a = describe(v);
		b = describe(again);
		cr_expect_str_eq(a, b);
		free(a);
		free(b);
		svr_config_view_free(v);
		svr_config_view_free(again);
	}
	svr_config_free(one);
	svr_config_free(two);
	json_object_put(doc);
}

/* More paths than a route can hold: the cheapest are used, and a warning says so. */
Test(config, more_paths_than_a_route_holds)
{
	struct json_object *doc = json_tokener_parse(base), *west = NULL, *east = NULL;
	struct svr_config_errors errs;
	struct svr_router_view *v;
	struct svr_config *cfg;
	char text[512];
	unsigned int i;

	json_pointer_get(doc, ROUTER "/node/0/device-interface", &west);
	json_pointer_get(doc, EAST "/node/0/device-interface", &east);
	for (i = 0; i < 4; i++) {
		static const char form[] =
			"{\"name\":\"x%u\",\"network-interface\":[{\"name\":\"x%u\",\"neighborhood\":"
			"[{\"name\":\"inet\",\"cost\":%u}],\"address\":[{\"ip-address\":\"10.%u.%u.1\","
			"\"prefix-length\":24,\"gateway\":\"10.%u.%u.254\"}]}]}";

		snprintf(text, sizeof(text), form, i, i, 10 - i, 1, i, 1, i);
		json_object_array_add(west, json_tokener_parse(text));
		snprintf(text, sizeof(text), form, i, i, 10 - i, 2, i, 2, i);
		json_object_array_add(east, json_tokener_parse(text));
	}
	json_pointer_set(&doc, WAN "/address/0/gateway", json_object_new_string("192.0.2.254"));
	json_pointer_set(&doc, EAST_WAN "/address/0/gateway",
			 json_object_new_string("192.0.2.254"));
	cr_assert_eq(parse(json_object_to_json_string(doc), &cfg, &errs), 0, "%s",
		     print_all(&errs));
	cr_expect_eq(errs.n_warnings, 1, "%s", print_all(&errs));
	cr_expect(strstr(errs.list[0].reason,
			 "25 paths lead to this peer; only the first 8 by cost are used"));
	v = view_of(cfg, "west");
	cr_expect_eq(v->n_paths, 25);
	cr_expect_eq(v->routes[0].n_path, 8);
	for (i = 1; i < v->n_paths; i++)
		cr_expect_geq(v->paths[i].cost, v->paths[i - 1].cost);
	svr_config_view_free(v);
	svr_config_free(cfg);
	json_object_put(doc);
}

/* ---- schema and document say what the reader does ------------------------------------------------- */

static struct json_object *member(struct json_object *obj, const char *name)
{
	struct json_object *value = NULL;

	json_object_object_get_ex(obj, name, &value);
	return value;
}

/* Follows "$ref". */
static struct json_object *deref(struct json_object *root, struct json_object *s)
{
	struct json_object *ref = member(s, "$ref"), *target = NULL;

	if (!ref)
		return s;
	json_pointer_get(root, json_object_get_string(ref) + 1, &target);
	cr_assert_not_null(target, "%s", json_object_get_string(ref));
	return target;
}

static void expect_int(struct json_object *s, const char *key, int64_t want, const char *where)
{
	struct json_object *v = member(s, key);

	cr_expect(v && json_object_get_int64(v) == want,
		  "schema of %s: %s is %s, the reader has %lld", where, key,
		  json_object_to_json_string(v), (long long)want);
}

/* The enum of @s has exactly the words that are taken. */
static void expect_words(struct json_object *s, const struct svr_cfg_word *words, const char *where)
{
	struct json_object *list = member(s, "enum");
	size_t n = 0;

	for (; words->word; words++) {
		if (words->refused)
			continue;
		cr_expect(
			list && n < json_object_array_length(list) &&
				!strcmp(json_object_get_string(json_object_array_get_idx(list, n)),
					words->word),
			"schema of %s: no %s at %zu", where, words->word, n);
		n++;
	}
	cr_expect(list && json_object_array_length(list) == n, "schema of %s: %s", where,
		  json_object_to_json_string(list));
}

static void expect_default(struct json_object *s, const struct svr_cfg_field *f, const char *where)
{
	struct json_object *v = member(s, "default");
	const struct svr_cfg_word *w = f->words;

	if (f->required || f->copy_offset)
		return; /* a default of a required member is what holds when its object is absent */
	cr_expect(v, "schema of %s: no default", where);
	if (f->kind == SVR_CFG_KIND_ENUM) {
		while (w->word && (w->refused || w->value != f->preset))
			w++;
		cr_expect_str_eq(json_object_get_string(v), w->word, "default of %s", where);
	} else if (f->kind == SVR_CFG_KIND_BOOL) {
		cr_expect_eq(json_object_get_boolean(v), f->preset != 0, "default of %s", where);
	} else {
		cr_expect_eq(json_object_get_int64(v), f->preset, "default of %s", where);
	}
}

static void hold_table(struct json_object *root, struct json_object *s,
		       const struct svr_cfg_table *table, const char *where, const char *doc);

static void hold_field(struct json_object *root, struct json_object *s,
		       const struct svr_cfg_field *f, const char *where, const char *doc)
{
	struct json_object *any = member(s, "anyOf");

	switch (f->kind) {
	case SVR_CFG_KIND_STRING:
		cr_expect_str_eq(json_object_get_string(member(s, "pattern")),
				 svr_cfg_syntaxes[f->syntax].pattern, "%s", where);
		expect_int(s, "minLength", svr_cfg_syntaxes[f->syntax].min, where);
		expect_int(s, "maxLength", svr_cfg_syntaxes[f->syntax].max, where);
		break;
	case SVR_CFG_KIND_UINT:
		expect_default(s, f, where);
		if (f->words)
			expect_words(json_object_array_get_idx(any, 1), f->words, where);
		s = f->words ? json_object_array_get_idx(any, 0) : s;
		expect_int(s, "minimum", f->min, where);
		expect_int(s, "maximum", f->max, where);
		break;
	case SVR_CFG_KIND_ENUM:
		expect_default(s, f, where);
		expect_words(s, f->words, where);
		break;
	case SVR_CFG_KIND_BOOL:
		expect_default(s, f, where);
		break;
	case SVR_CFG_KIND_MSS:
		cr_expect_str_eq(json_object_get_string(member(s, "default")), "automatic");
		expect_int(json_object_array_get_idx(any, 1), "minimum", f->min, where);
		expect_int(json_object_array_get_idx(any, 1), "maximum", f->max, where);
		break;
	case SVR_CFG_KIND_OBJECT:
		hold_table(root, s, f->sub, where, doc);
		break;
	case SVR_CFG_KIND_LIST:
		expect_int(s, "minItems", f->min, where);
		expect_int(s, "maxItems", f->max, where);
		hold_table(root, deref(root, member(s, "items")), f->sub, where, doc);
		break;
	case SVR_CFG_KIND_STRINGS:
	case SVR_CFG_KIND_PREFIXES:
		expect_int(s, "minItems", f->min, where);
		expect_int(s, "maxItems", f->max, where);
		break;
	case SVR_CFG_KIND_ADDR:
	case SVR_CFG_KIND_PREFIX:
	case SVR_CFG_KIND_FINGERPRINT:
		cr_expect(member(s, "pattern"), "schema of %s: no pattern", where);
		break;
	}
}

static bool is_required(struct json_object *s, const char *name)
{
	struct json_object *list = member(s, "required");
	size_t i;

	for (i = 0; list && i < json_object_array_length(list); i++)
		if (!strcmp(json_object_get_string(json_object_array_get_idx(list, i)), name))
			return true;
	return false;
}

static void hold_table(struct json_object *root, struct json_object *s,
		       const struct svr_cfg_table *table, const char *where, const char *doc)
{
	struct json_object *properties = member(s, "properties"), *p;
	char below[SVR_CFG_POINTER_LEN], row[128];
	unsigned int i;

	cr_assert_not_null(properties, "schema of %s: no properties", where);
	cr_expect_eq((unsigned int)json_object_object_length(properties), table->n_fields,
		     "schema of %s: other members", where);
	cr_expect_eq(json_object_get_boolean(member(s, "additionalProperties")), 0, "%s", where);
	for (i = 0; i < table->n_fields; i++) {
		const struct svr_cfg_field *f = &table->fields[i];

		snprintf(below, sizeof(below), "%s/%s", where, f->name);
		p = member(properties, f->name);
		cr_expect(p, "schema: no %s", below);
		if (!p)
			continue;
		cr_expect_eq(is_required(s, f->name), f->required, "%s", below);
		cr_expect(member(p, "description") || member(p, "$ref"), "%s has no description",
			  below);
		hold_field(root, deref(root, p), f, below, doc);
		snprintf(row, sizeof(row), "`%s`", f->name);
		cr_expect(strstr(doc, row), DOC " says nothing about %s", below);
	}
}

Test(config, schema_and_document_follow_the_reader)
{
	char *text = read_file(SCHEMA), *doc = read_file(DOC);
	struct json_object *root = json_tokener_parse(text);

	cr_assert_not_null(root);
	hold_table(root, root, &svr_cfg_table_root, "", doc);
	json_object_put(root);
	free(text);
	free(doc);
}

/* A validator that is not ours. Its exit code 77 says that it is not installed. */
Test(config, example_against_schema)
{
	int rc = system("python3 tests/unit/config_schema.py " SCHEMA " " EXAMPLE);

	cr_assert(WIFEXITED(rc));
	if (WEXITSTATUS(rc) == 77 || WEXITSTATUS(rc) == 127)
		cr_skip("python3-jsonschema is not installed");
	cr_expect_eq(WEXITSTATUS(rc), 0);
}
