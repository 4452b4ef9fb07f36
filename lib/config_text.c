// SPDX-License-Identifier: BSD-2-Clause
/* Names, words, addresses and prefixes of the configuration: from text and back. */
#include <arpa/inet.h>
#include <errno.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "config_internal.h"
#include "lib/alarmlog.h"

const struct svr_cfg_word svr_cfg_words_encryption_cipher[] = {
	{ "aes-cbc-128", SVR_CFG_AES_CBC_128, NULL, NULL },
	{ "aes-cbc-256", SVR_CFG_AES_CBC_256, NULL, NULL },
	{ "aes-gcm-128", SVR_CFG_AES_GCM_128, NULL, NULL },
	{ "aes-gcm-256", SVR_CFG_AES_GCM_256, NULL, NULL },
	{ NULL, 0, NULL, NULL },
};

const struct svr_cfg_word svr_cfg_words_hmac_mode[] = {
	{ "disabled", SVR_CFG_HMAC_DISABLED, NULL, NULL },
	{ "regular", SVR_CFG_HMAC_REGULAR, NULL, NULL },
	{ "time-based", SVR_CFG_HMAC_TIME_BASED, NULL, NULL },
	{ NULL, 0, NULL, NULL },
};

const struct svr_cfg_word svr_cfg_words_hmac_cipher[] = {
	{ "sha1", SVR_CFG_HMAC_SHA1, NULL, NULL },
	{ "sha256", SVR_CFG_HMAC_SHA256, NULL, NULL },
	{ "sha256-128", SVR_CFG_HMAC_SHA256_128, NULL, NULL },
	{ "sha384", SVR_CFG_HMAC_SHA384, NULL, NULL },
	{ "sha512", SVR_CFG_HMAC_SHA512, NULL, NULL },
	{ NULL, 0, NULL, NULL },
};

const struct svr_cfg_word svr_cfg_words_protocol[] = {
	{ "tcp", SVR_CFG_PROTO_TCP, NULL, NULL },
	{ "udp", SVR_CFG_PROTO_UDP, NULL, NULL },
	{ "icmp", SVR_CFG_PROTO_ICMP, NULL, NULL },
	{ "gre", SVR_CFG_PROTO_GRE, NULL, NULL },
	{ "esp", SVR_CFG_PROTO_ESP, NULL, NULL },
	{ "pim", 0, SVR_CFG_NOT_YET, NULL },
	{ NULL, 0, NULL, NULL },
};

const struct svr_cfg_word svr_cfg_words_topology[] = {
	{ "mesh", SVR_CFG_TOPOLOGY_MESH, NULL, NULL },
	{ "hub", SVR_CFG_TOPOLOGY_HUB, NULL, NULL },
	{ "spoke", SVR_CFG_TOPOLOGY_SPOKE, NULL, NULL },
	{ NULL, 0, NULL, NULL },
};

static const char *word_of(const struct svr_cfg_word *words, unsigned int value)
{
	for (; words->word; words++)
		if (!words->refused && words->value == value)
			return words->word;
	return "?";
}

const char *svr_config_encryption_cipher_name(enum svr_cfg_encryption_cipher cipher)
{
	return word_of(svr_cfg_words_encryption_cipher, cipher);
}

const char *svr_config_hmac_mode_name(enum svr_cfg_hmac_mode mode)
{
	return word_of(svr_cfg_words_hmac_mode, mode);
}

const char *svr_config_hmac_cipher_name(enum svr_cfg_hmac_cipher cipher)
{
	return word_of(svr_cfg_words_hmac_cipher, cipher);
}

const char *svr_config_protocol_name(enum svr_cfg_protocol protocol)
{
	return word_of(svr_cfg_words_protocol, protocol);
}

const char *svr_config_topology_name(enum svr_cfg_topology topology)
{
	return word_of(svr_cfg_words_topology, topology);
}

const char *svr_config_role_name(enum svr_cfg_role role)
{
	switch (role) {
	case SVR_CFG_ROLE_LAN:
		return "lan";
	case SVR_CFG_ROLE_WAN:
		return "wan";
	}
	return "?";
}

const struct svr_cfg_syntax_info svr_cfg_syntaxes[SVR_CFG_SYN_MAX] = {
	[SVR_CFG_SYN_NAME] = {
		.what = "a name of 1 to 63 characters out of A-Z a-z 0-9 _ -",
		.pattern = "^[A-Za-z0-9_-]+$",
		.extra = "_-", .min = 1, .max = SVR_CFG_NAME_MAX,
	},
	[SVR_CFG_SYN_DOTTED] = {
		.what = "a name of 1 to 63 characters out of A-Z a-z 0-9 _ - and single dots between them",
		.pattern = "^[A-Za-z0-9_-]+(\\.[A-Za-z0-9_-]+)*$",
		.extra = "_-.", .min = 1, .max = SVR_CFG_NAME_MAX,
	},
	[SVR_CFG_SYN_SOURCE] = {
		.what = "the name of a tenant",
		.pattern = "^[A-Za-z0-9_-]+(\\.[A-Za-z0-9_-]+)*$",
		.extra = "_-.", .min = 1, .max = SVR_CFG_NAME_MAX,
	},
	[SVR_CFG_SYN_DEVICE] = {
		.what = "the name of a Linux network device: 1 to 15 characters out of A-Z a-z 0-9 _ - and single dots between them",
		.pattern = "^[A-Za-z0-9_-]+(\\.[A-Za-z0-9_-]+)*$",
		.extra = "_-.", .min = 1, .max = 15,
	},
	[SVR_CFG_SYN_FILE] = {
		.what = "a file name without directories: 1 to 63 characters out of A-Z a-z 0-9 _ - and single dots between them",
		.pattern = "^[A-Za-z0-9_-]+(\\.[A-Za-z0-9_-]+)*$",
		.extra = "_-.", .min = 1, .max = SVR_CFG_NAME_MAX,
	},
	[SVR_CFG_SYN_TEXT] = {
		.what = "a text of at most 255 bytes without control characters",
		.pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$",
		.extra = NULL, .min = 0, .max = 255,
	},
	[SVR_CFG_SYN_URL] = {
		.what = "a URL http://HOST/..., https://HOST/... or file:///... of at most 255 printable ASCII characters, "
			"without a user name",
		.pattern = "^(https?://[A-Za-z0-9.:\\[\\]_-]+(/[!-~]*)?|file:///[!-~]+)$",
		.extra = NULL, .min = 8, .max = 255,
	},
	[SVR_CFG_SYN_CATEGORY] = {
		.what = "a category of alarms, like peer or peer/path-down",
		.pattern = "^[A-Za-z0-9/-]+$",
		.extra = "/-", .min = 1, .max = SVR_CFG_NAME_MAX,
	},
	[SVR_CFG_SYN_SEVERITY] = {
		.what = "one of info, minor, major, critical",
		.pattern = "^(info|minor|major|critical)$",
		.extra = NULL, .min = 4, .max = 8,
	},
	[SVR_CFG_SYN_REGEX] = {
		.what = "an extended regular expression (POSIX) of 1 to 255 bytes without {} and back-references",
		.pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f{]+$",
		.extra = NULL, .min = 1, .max = 255,
	},
	[SVR_CFG_SYN_KEY] = {
		.what = "pairs of hexadecimal digits, with a colon between all pairs or none",
		.pattern = "^(([0-9A-Fa-f]{2})+|[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2})+)$",
		.extra = ":", .min = 2, .max = 95,
	},
};

static bool is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool text_ok(const char *text)
{
	for (; *text; text++) {
		unsigned char c = (unsigned char)text[0];

		if (c < 0x20 || c == 0x7f || (c == 0xc2 && (unsigned char)text[1] < 0xa0))
			return false;
	}
	return true;
}

static bool url_ok(const char *text)
{
	static const char file[] = "file:///", http[] = "http://", https[] = "https://";
	const char *c;
	size_t host;

	for (c = text; *c; c++)
		if (*c < '!' || *c > '~')
			return false;
	if (!strncmp(text, file, sizeof(file) - 1))
		return text[sizeof(file) - 1] != '\0';
	if (!strncmp(text, http, sizeof(http) - 1))
		text += sizeof(http) - 1;
	else if (!strncmp(text, https, sizeof(https) - 1))
		text += sizeof(https) - 1;
	else
		return false;
	/* No '@': a password has no place in a configuration that everybody shares */
	for (host = 0; is_alnum(text[host]) || (text[host] && strchr(".:[]_-", text[host])); host++)
		;
	return host > 0 && (text[host] == '\0' || text[host] == '/');
}

static bool severity_ok(const char *text)
{
	enum svr_alarm_severity severity;

	return svr_alarm_severity_parse(text, &severity) == 0 &&
	       strcmp(text, svr_alarm_severity_name(severity)) == 0;
}

/* Repetition counts cost memory, and back-references time, that grow without bounds. */
static bool regex_ok(const char *text)
{
	regex_t regex;

	if (!text_ok(text) || strchr(text, '{'))
		return false;
	for (const char *p = text; (p = strchr(p, '\\')); p += p[1] ? 2 : 1)
		if (p[1] >= '0' && p[1] <= '9')
			return false;
	if (regcomp(&regex, text, REG_EXTENDED | REG_NOSUB) != 0)
		return false;
	regfree(&regex);
	return true;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
		return (c | 0x20) - 'a' + 10;
	return -1;
}

static bool key_ok(const char *text)
{
	uint8_t bytes[64]; /* as many as the longest text has */
	bool ok = svr_config_key_parse(text, bytes, sizeof(bytes)) > 0;

	OPENSSL_cleanse(bytes, sizeof(bytes));
	return ok;
}

bool svr_config_syntax_ok(enum svr_cfg_syntax syntax, const char *text)
{
	const struct svr_cfg_syntax_info *info = &svr_cfg_syntaxes[syntax];
	size_t i, len = strlen(text);

	if (len < info->min || len > info->max)
		return false;
	if (syntax == SVR_CFG_SYN_URL)
		return url_ok(text);
	if (syntax == SVR_CFG_SYN_SEVERITY)
		return severity_ok(text);
	if (syntax == SVR_CFG_SYN_REGEX)
		return regex_ok(text);
	if (syntax == SVR_CFG_SYN_KEY)
		return key_ok(text);
	if (!info->extra)
		return text_ok(text);
	for (i = 0; i < len; i++) {
		if (!is_alnum(text[i]) && !strchr(info->extra, text[i]))
			return false;
		if (text[i] == '.' && (i == 0 || i + 1 == len || text[i + 1] == '.'))
			return false;
	}
	return true;
}

int svr_config_fingerprint_parse(const char *text, uint8_t out[static SVR_CFG_FINGERPRINT_LEN])
{
	static const char head[] = "sha256:";
	uint8_t bytes[SVR_CFG_FINGERPRINT_LEN];
	unsigned int i;

	if (strncmp(text, head, sizeof(head) - 1) ||
	    strlen(text) != sizeof(head) - 1 + 3 * sizeof(bytes) - 1)
		return -EINVAL;
	text += sizeof(head) - 1;
	for (i = 0; i < sizeof(bytes); i++, text += 3) {
		int hi = hex_digit(text[0]), lo = hex_digit(text[1]);

		if (hi < 0 || lo < 0 || text[2] != (i + 1 < sizeof(bytes) ? ':' : '\0'))
			return -EINVAL;
		bytes[i] = (uint8_t)(hi << 4 | lo);
	}
	memcpy(out, bytes, sizeof(bytes));
	return 0;
}

int svr_config_key_parse(const char *text, uint8_t *out, size_t room)
{
	bool colons = strchr(text, ':');
	size_t n;

	for (n = 0;; n++) {
		int hi = hex_digit(text[0]), lo = hi < 0 ? -1 : hex_digit(text[1]);

		if (lo < 0 || n == room)
			return -EINVAL;
		out[n] = (uint8_t)(hi << 4 | lo);
		text += 2;
		if (*text == '\0')
			return (int)n + 1;
		if (colons && *text++ != ':')
			return -EINVAL;
	}
}

static const uint8_t v4_mapped[12] = { [10] = 0xff, [11] = 0xff };

int svr_config_addr_parse(const char *text, struct svr_cfg_addr *addr)
{
	struct svr_cfg_addr a = { .family = 4 };

	memcpy(a.bytes, v4_mapped, sizeof(v4_mapped));
	if (inet_pton(AF_INET, text, a.bytes + sizeof(v4_mapped)) != 1) {
		a.family = 6;
		/* a v4-mapped IPv6 address would look like an IPv4 address from here on */
		if (inet_pton(AF_INET6, text, a.bytes) != 1 ||
		    !memcmp(a.bytes, v4_mapped, sizeof(v4_mapped)))
			return -EINVAL;
	}
	*addr = a;
	return 0;
}

const char *svr_config_addr_print(const struct svr_cfg_addr *addr,
				  char buf[static SVR_CFG_ADDR_STRLEN])
{
	bool v4 = addr->family == 4;

	buf[0] = '\0';
	if (addr->family)
		inet_ntop(v4 ? AF_INET : AF_INET6, addr->bytes + (v4 ? sizeof(v4_mapped) : 0), buf,
			  SVR_CFG_ADDR_STRLEN);
	return buf;
}

bool svr_config_addr_link_local(const struct svr_cfg_addr *addr)
{
	return addr->family == 6 && addr->bytes[0] == 0xfe && (addr->bytes[1] & 0xc0) == 0x80;
}

const struct svr_cfg_if_address *
svr_config_if_address(const struct svr_cfg_if_address *list, unsigned int n, uint8_t family)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		if (list[i].ip_address.family == family)
			return &list[i];
	return NULL;
}

bool svr_config_addr_equal(const struct svr_cfg_addr *a, const struct svr_cfg_addr *b)
{
	return a->family == b->family && !memcmp(a->bytes, b->bytes, sizeof(a->bytes));
}

/* The same address with all bits behind the first @len of its family cleared. */
static struct svr_cfg_addr network_of(const struct svr_cfg_addr *addr, unsigned int len)
{
	struct svr_cfg_addr net = *addr;
	unsigned int bit = len + (addr->family == 4 ? 96 : 0), i;

	for (i = bit / 8; i < sizeof(net.bytes); i++)
		net.bytes[i] &= i == bit / 8 ? (uint8_t)(0xff00U >> bit % 8) : 0;
	return net;
}

int svr_config_prefix_parse(const char *text, struct svr_cfg_prefix *prefix)
{
	const char *slash = strchr(text, '/');
	char addr[SVR_CFG_ADDR_STRLEN];
	struct svr_cfg_prefix p = { 0 };
	struct svr_cfg_addr net;
	unsigned int len = 0;
	const char *digit;

	if (!slash || (size_t)(slash - text) >= sizeof(addr))
		return -EINVAL;
	memcpy(addr, text, (size_t)(slash - text));
	addr[slash - text] = '\0';
	if (svr_config_addr_parse(addr, &p.addr))
		return -EINVAL;
	for (digit = slash + 1; *digit >= '0' && *digit <= '9' && len <= 128; digit++)
		len = len * 10 + (unsigned int)(*digit - '0');
	if (digit == slash + 1 || *digit || (slash[1] == '0' && slash[2]) ||
	    len > (p.addr.family == 4 ? 32 : 128))
		return -EINVAL;
	p.len = (uint8_t)len;
	net = network_of(&p.addr, len);
	if (!svr_config_addr_equal(&net, &p.addr))
		return -ERANGE;
	*prefix = p;
	return 0;
}

const char *svr_config_prefix_print(const struct svr_cfg_prefix *prefix,
				    char buf[static SVR_CFG_PREFIX_STRLEN])
{
	char addr[SVR_CFG_ADDR_STRLEN];

	snprintf(buf, SVR_CFG_PREFIX_STRLEN, "%s/%u", svr_config_addr_print(&prefix->addr, addr),
		 prefix->len);
	return buf;
}

bool svr_config_prefix_has(const struct svr_cfg_prefix *prefix, const struct svr_cfg_addr *addr)
{
	struct svr_cfg_addr net = network_of(addr, prefix->len);

	return svr_config_addr_equal(&net, &prefix->addr);
}

struct svr_cfg_prefix svr_config_if_prefix(const struct svr_cfg_if_address *address)
{
	return (struct svr_cfg_prefix){
		.addr = network_of(&address->ip_address, address->prefix_length),
		.len = address->prefix_length,
	};
}
