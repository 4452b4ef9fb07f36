// SPDX-License-Identifier: BSD-2-Clause
/*
 * Metadata codec: one table row per TLV drives parsing, building and printing (docs/protocol.md
 * section 3).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <openssl/crypto.h>

#include <svr/drops.h>

#include "lib/addr.h"
#include "lib/bytes.h"
#include "lib/meta.h"
#include "lib/name.h"
#include "lib/uuid.h"
#include "lib/wirename.h"

enum tlv_section { IN_HEADER, IN_PAYLOAD };

enum tlv_kind {
	KIND_FLAG,	/* no value */
	KIND_U16,
	KIND_U32,
	KIND_NAME,	/* char[SVR_NAME_LEN] in the struct, no NUL on the wire */
	KIND_UUID,
	KIND_CONTEXT4,	/* struct svr_context; svr_context4 on the wire */
	KIND_CONTEXT6,	/* svr_context6 */
	KIND_ADDRESS,	/* char[SVR_NAME_LEN]: an address as text */
	KIND_SECRET,	/* bytes that are never printed */
	KIND_PARAMS,	/* svr_tlv_security_params: peer_key_index, cipher, hmac, hmac_mode */
	KIND_FRAGMENT,	/* svr_tlv_fragment: fragment, as it is */
	KIND_NONCE,	/* svr_tlv_nonce: nonce_time_ns, nonce_random */
};

enum {
	PATH_ID_MIN = sizeof("::") - 1,
	PATH_ID_MAX = INET6_ADDRSTRLEN - 1,
};

struct tlv_def {
	uint16_t type;		/* enum svr_tlv */
	uint8_t section;	/* enum tlv_section */
	uint8_t kind;		/* enum tlv_kind */
	uint16_t min, max;	/* length of the value, bytes */
	uint32_t have;		/* enum svr_meta_have */
	uint32_t excludes;	/* these set the same thing */
	uint16_t offset;	/* in struct svr_meta */
	const char *name;
};

#define FIELD(f) offsetof(struct svr_meta, f)
#define NAME_MAX_LEN (SVR_NAME_LEN - 1)

#define ALL_CONTEXTS (SVR_HAVE_FWD_CONTEXT | SVR_HAVE_REV_CONTEXT)
#define CONTEXT(dir, family, label)                                                              \
	{ SVR_TLV_##dir##_CONTEXT##family, IN_PAYLOAD, KIND_CONTEXT##family,                     \
	  sizeof(struct svr_context##family), sizeof(struct svr_context##family),                \
	  SVR_HAVE_##dir##_CONTEXT##family, ALL_CONTEXTS & ~SVR_HAVE_##dir##_CONTEXT##family,    \
	  FIELD(context), label }

/* In the order in which they are written. */
static const struct tlv_def tlvs[] = {
	{ SVR_TLV_FRAGMENT, IN_HEADER, KIND_FRAGMENT, sizeof(struct svr_tlv_fragment),
	  sizeof(struct svr_tlv_fragment), SVR_HAVE_FRAGMENT, 0, FIELD(fragment), "fragment" },
	{ SVR_TLV_SECURITY_ID, IN_HEADER, KIND_U32, 4, 4, SVR_HAVE_SECURITY_ID, 0,
	  FIELD(security_id), "security-id" },
	{ SVR_TLV_SECURITY_PARAMS, IN_HEADER, KIND_PARAMS, sizeof(struct svr_tlv_security_params),
	  sizeof(struct svr_tlv_security_params), SVR_HAVE_SECURITY_PARAMS, 0, 0,
	  "security-params" },

	CONTEXT(FWD, 4, "forward-context"),
	CONTEXT(FWD, 6, "forward-context"),
	CONTEXT(REV, 4, "reverse-context"),
	CONTEXT(REV, 6, "reverse-context"),
	{ SVR_TLV_SESSION_UUID, IN_PAYLOAD, KIND_UUID, SVR_UUID_LEN, SVR_UUID_LEN, SVR_HAVE_UUID, 0,
	  FIELD(uuid), "uuid" },
	{ SVR_TLV_TENANT, IN_PAYLOAD, KIND_NAME, 1, NAME_MAX_LEN, SVR_HAVE_TENANT, 0, FIELD(tenant),
	  "tenant" },
	{ SVR_TLV_SERVICE, IN_PAYLOAD, KIND_NAME, 1, NAME_MAX_LEN, SVR_HAVE_SERVICE, 0,
	  FIELD(service), "service" },
	{ SVR_TLV_POLICY, IN_PAYLOAD, KIND_NAME, 1, NAME_MAX_LEN, SVR_HAVE_POLICY, 0, FIELD(policy),
	  "policy" },
	{ SVR_TLV_SOURCE_ROUTER, IN_PAYLOAD, KIND_NAME, 1, NAME_MAX_LEN, SVR_HAVE_SOURCE_ROUTER, 0,
	  FIELD(source_router), "source-router" },
	{ SVR_TLV_PATH_ID, IN_PAYLOAD, KIND_ADDRESS, PATH_ID_MIN, PATH_ID_MAX, SVR_HAVE_PATH_ID, 0,
	  FIELD(path_id), "peer-path" },
	{ SVR_TLV_NONCE, IN_PAYLOAD, KIND_NONCE, sizeof(struct svr_tlv_nonce),
	  sizeof(struct svr_tlv_nonce), SVR_HAVE_NONCE, 0, 0, "nonce" },
	{ SVR_TLV_SESSION_ENCRYPTED, IN_PAYLOAD, KIND_FLAG, 0, 0, SVR_HAVE_ENCRYPTED, 0, 0,
	  "encrypted" },
	{ SVR_TLV_SESSION_KEY, IN_PAYLOAD, KIND_SECRET, SVR_SESSION_KEY_LEN, SVR_SESSION_KEY_LEN,
	  SVR_HAVE_SESSION_KEY, 0, FIELD(session_key), "session-key" },
	{ SVR_TLV_KEY_EPOCH, IN_PAYLOAD, KIND_U16, 2, 2, SVR_HAVE_KEY_EPOCH, 0, FIELD(key_epoch),
	  "key-epoch" },
	{ SVR_TLV_KEY_PACKET, IN_PAYLOAD, KIND_FLAG, 0, 0, SVR_HAVE_KEY_PACKET, 0, 0,
	  "key-packet" },
};
enum { TLV_COUNT = sizeof(tlvs) / sizeof(tlvs[0]) };

/* ---- generic TLVs ---------------------------------------------------------------------------- */

int svr_tlv_put(uint8_t *p, size_t room, uint16_t type, const void *value, size_t len)
{
	if (len > UINT16_MAX || room < SVR_TLV_HDR_LEN || room - SVR_TLV_HDR_LEN < len)
		return -ENOSPC;
	svr_put16(p, type);
	svr_put16(p + 2, (uint16_t)len);
	if (len > 0)
		memcpy(p + SVR_TLV_HDR_LEN, value, len);
	return (int)(SVR_TLV_HDR_LEN + len);
}

int svr_tlv_next(const uint8_t *p, size_t len, size_t *pos, struct svr_tlv_view *t)
{
	size_t left;

	if (*pos == len)
		return 0;
	if (*pos > len)
		return -EBADMSG;
	left = len - *pos;
	if (left < SVR_TLV_HDR_LEN)
		return -EBADMSG;
	t->type = svr_get16(p + *pos);
	t->len = svr_get16(p + *pos + 2);
	if (left - SVR_TLV_HDR_LEN < t->len)
		return -EBADMSG;
	t->value = p + *pos + SVR_TLV_HDR_LEN;
	*pos += SVR_TLV_HDR_LEN + t->len;
	return 1;
}

/* ---- parse ----------------------------------------------------------------------------------- */

static const struct tlv_def *tlv_find(uint16_t type)
{
	int i;

	for (i = 0; i < TLV_COUNT; i++)
		if (tlvs[i].type == type)
			return &tlvs[i];
	return NULL;
}

static void context4_get(const uint8_t *from, struct svr_context *to)
{
	struct svr_context4 c;

	memcpy(&c, from, sizeof(c));
	*to = (struct svr_context){ .sport = c.sport, .dport = c.dport, .proto = c.proto };
	svr_addr_map4(c.saddr, to->saddr);
	svr_addr_map4(c.daddr, to->daddr);
}

static void context4_put(const struct svr_context *from, uint8_t *to)
{
	const struct svr_context4 c = {
		.saddr = svr_addr_get4(from->saddr),
		.daddr = svr_addr_get4(from->daddr),
		.sport = from->sport,
		.dport = from->dport,
		.proto = from->proto,
	};

	memcpy(to, &c, sizeof(c));
}

/* False if IPv4 addresses stand in it: there is one way only to say which family a session has. */
static bool context6_get(const uint8_t *from, struct svr_context *to)
{
	struct svr_context6 c;

	memcpy(&c, from, sizeof(c));
	*to = (struct svr_context){ .sport = c.sport, .dport = c.dport, .proto = c.proto };
	memcpy(to->saddr, c.saddr, sizeof(to->saddr));
	memcpy(to->daddr, c.daddr, sizeof(to->daddr));
	return !svr_addr_is_mapped(to->saddr) && !svr_addr_is_mapped(to->daddr);
}

static void context6_put(const struct svr_context *from, uint8_t *to)
{
	struct svr_context6 c = {
		.sport = from->sport,
		.dport = from->dport,
		.proto = from->proto,
	};

	memcpy(c.saddr, from->saddr, sizeof(c.saddr));
	memcpy(c.daddr, from->daddr, sizeof(c.daddr));
	memcpy(to, &c, sizeof(c));
}

/* Characters of an address; what it says is for people. */
static bool address_ok(const char *s, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (!s[i] || !strchr("0123456789abcdefABCDEF.:", s[i]))
			return false;
	return true;
}

static bool text_ok(const struct tlv_def *d, const char *s, size_t len)
{
	return d->kind == KIND_ADDRESS ? address_ok(s, len) : svr_name_ok(s, len);
}

/* One TLV of the right length into @m. 0, or -EBADMSG for a value that is not allowed. */
static int tlv_read(const struct tlv_def *d, const struct svr_tlv_view *t, struct svr_meta *m)
{
	uint8_t *field = (uint8_t *)m + d->offset;
	uint16_t v16;
	uint32_t v32;

	switch ((enum tlv_kind)d->kind) {
	case KIND_FLAG:
		return 0;
	case KIND_U16:
		v16 = svr_get16(t->value);
		memcpy(field, &v16, sizeof(v16));
		return 0;
	case KIND_U32:
		v32 = svr_get32(t->value);
		memcpy(field, &v32, sizeof(v32));
		return 0;
	case KIND_NAME:
	case KIND_ADDRESS:
		if (!text_ok(d, (const char *)t->value, t->len))
			return -EBADMSG;
		memset(field, 0, SVR_NAME_LEN);
		memcpy(field, t->value, t->len);
		return 0;
	case KIND_CONTEXT4:
		context4_get(t->value, &m->context);
		return 0;
	case KIND_CONTEXT6:
		return context6_get(t->value, &m->context) ? 0 : -EBADMSG;
	case KIND_UUID:
	case KIND_SECRET:
	case KIND_FRAGMENT:
		memcpy(field, t->value, t->len);
		return 0;
	case KIND_PARAMS:
		if (t->value[offsetof(struct svr_tlv_security_params, reserved)] != 0)
			return -EBADMSG;
		m->peer_key_index = svr_get32(t->value);
		m->cipher = t->value[offsetof(struct svr_tlv_security_params, cipher)];
		m->hmac = t->value[offsetof(struct svr_tlv_security_params, hmac)];
		m->hmac_mode = t->value[offsetof(struct svr_tlv_security_params, hmac_mode)];
		return 0;
	case KIND_NONCE:
		m->nonce_time_ns = svr_get64(t->value + offsetof(struct svr_tlv_nonce, time_ns));
		m->nonce_random = svr_get64(t->value + offsetof(struct svr_tlv_nonce, random));
		return 0;
	}
	return -EBADMSG;
}

static int section_parse(const uint8_t *p, size_t len, enum tlv_section section, struct svr_meta *m)
{
	const struct tlv_def *d;
	struct svr_tlv_view t;
	size_t pos = 0;
	int more;

	while ((more = svr_tlv_next(p, len, &pos, &t)) > 0) {
		d = tlv_find(t.type);
		if (!d) {
			m->unknown++;
			continue;
		}
		if (d->section != section || t.len < d->min || t.len > d->max ||
		    (m->have & (d->have | d->excludes)) || tlv_read(d, &t, m))
			return -SVR_DROP_META_MALFORMED;
		m->have |= d->have;
	}
	return more < 0 ? -SVR_DROP_META_MALFORMED : 0;
}

bool svr_meta_is_cookie(const void *p, size_t len)
{
	static const uint8_t cookie[SVR_COOKIE_LEN] = SVR_COOKIE_BYTES;

	return len >= sizeof(cookie) && memcmp(p, cookie, sizeof(cookie)) == 0;
}

int svr_meta_parse_header(const uint8_t *p, size_t len, struct svr_meta *m)
{
	return svr_meta_parse_long_header(p, len, SVR_META_MAX, m);
}

int svr_meta_parse_long_header(const uint8_t *p, size_t len, size_t max, struct svr_meta *m)
{
	const unsigned int version_shift = 12, hlen_mask = 0x0fff;
	uint16_t ver_hlen, hlen, payload_len;
	int err = -SVR_DROP_META_MALFORMED;

	memset(m, 0, sizeof(*m));
	if (len < SVR_META_HDR_LEN || !svr_meta_is_cookie(p, len))
		goto out;
	ver_hlen = svr_get16(p + offsetof(struct svr_meta_hdr, ver_hlen));
	payload_len = svr_get16(p + offsetof(struct svr_meta_hdr, payload_len));
	hlen = ver_hlen & hlen_mask;
	if (ver_hlen >> version_shift != SVR_META_VERSION) {
		err = -SVR_DROP_META_VERSION;
		goto out;
	}
	if (hlen < SVR_META_HDR_LEN || (size_t)hlen + payload_len > len ||
	    (size_t)hlen + payload_len > max)
		goto out;
	m->header_len = hlen;
	m->payload_len = payload_len;
	err = section_parse(p + SVR_META_HDR_LEN, hlen - SVR_META_HDR_LEN, IN_HEADER, m);
out:
	if (err)
		memset(m, 0, sizeof(*m)); /* no part of a malformed block is used */
	return err;
}

int svr_meta_parse_payload(const uint8_t *p, size_t len, struct svr_meta *m)
{
	int err = len > SVR_META_MAX ? -SVR_DROP_META_MALFORMED :
				       section_parse(p, len, IN_PAYLOAD, m);

	if (err)
		OPENSSL_cleanse(m, sizeof(*m)); /* a session key may stand in it */
	return err;
}

uint16_t svr_meta_epoch(const struct svr_meta *m)
{
	return m->have & SVR_HAVE_KEY_EPOCH ? m->key_epoch : 1;
}

bool svr_meta_is_false_positive(const struct svr_meta *m)
{
	return m->header_len == SVR_META_HDR_LEN && m->payload_len == 0;
}

/* ---- build ----------------------------------------------------------------------------------- */

static void base_header_put(uint8_t *p, uint16_t hlen, uint16_t payload_len)
{
	static const uint8_t cookie[SVR_COOKIE_LEN] = SVR_COOKIE_BYTES;

	memcpy(p, cookie, sizeof(cookie));
	svr_put16(p + offsetof(struct svr_meta_hdr, ver_hlen),
		  (uint16_t)(SVR_META_VERSION << 12 | hlen));
	svr_meta_set_payload_len(p, payload_len);
}

void svr_meta_set_header_len(uint8_t *p, uint16_t header_len)
{
	svr_put16(p + offsetof(struct svr_meta_hdr, ver_hlen),
		  (uint16_t)(SVR_META_VERSION << 12 | header_len));
}

void svr_meta_set_payload_len(uint8_t *p, uint16_t payload_len)
{
	svr_put16(p + offsetof(struct svr_meta_hdr, payload_len), payload_len);
}

int svr_meta_put_false_positive(uint8_t *p, size_t room)
{
	if (room < SVR_META_HDR_LEN)
		return -ENOSPC;
	base_header_put(p, SVR_META_HDR_LEN, 0);
	return SVR_META_HDR_LEN;
}

/* Bytes written, -ENOSPC, or -EINVAL for a name that no receiver would take. */
static int tlv_write(const struct tlv_def *d, const struct svr_meta *m, uint8_t *p, size_t room)
{
	const uint8_t *field = (const uint8_t *)m + d->offset;
	uint8_t value[sizeof(struct svr_context6)] = { 0 };
	const void *from = value;
	size_t len = d->min;
	uint16_t v16;
	uint32_t v32;

	switch ((enum tlv_kind)d->kind) {
	case KIND_FLAG:
		break;
	case KIND_U16:
		memcpy(&v16, field, sizeof(v16));
		svr_put16(value, v16);
		break;
	case KIND_U32:
		memcpy(&v32, field, sizeof(v32));
		svr_put32(value, v32);
		break;
	case KIND_NAME:
	case KIND_ADDRESS:
		len = strnlen((const char *)field, SVR_NAME_LEN);
		if (len < d->min || len > d->max || !text_ok(d, (const char *)field, len))
			return -EINVAL;
		from = field;
		break;
	case KIND_CONTEXT4:
		context4_put(&m->context, value);
		break;
	case KIND_CONTEXT6:
		context6_put(&m->context, value);
		break;
	case KIND_UUID:
	case KIND_SECRET:
	case KIND_FRAGMENT:
		from = field;
		break;
	case KIND_PARAMS:
		svr_put32(value, m->peer_key_index);
		value[offsetof(struct svr_tlv_security_params, cipher)] = m->cipher;
		value[offsetof(struct svr_tlv_security_params, hmac)] = m->hmac;
		value[offsetof(struct svr_tlv_security_params, hmac_mode)] = m->hmac_mode;
		break;
	case KIND_NONCE:
		svr_put64(value + offsetof(struct svr_tlv_nonce, time_ns), m->nonce_time_ns);
		svr_put64(value + offsetof(struct svr_tlv_nonce, random), m->nonce_random);
		break;
	}
	return svr_tlv_put(p, room, d->type, from, len);
}

int svr_meta_build(uint8_t *p, size_t room, struct svr_meta *m)
{
	size_t pos = SVR_META_HDR_LEN, section_start[2] = { SVR_META_HDR_LEN, SVR_META_HDR_LEN };
	uint32_t todo = m->have;
	int i, n;

	if (room > SVR_META_MAX)
		room = SVR_META_MAX;
	if (room < SVR_META_HDR_LEN)
		return -ENOSPC;
	for (i = 0; i < TLV_COUNT; i++) {
		const struct tlv_def *d = &tlvs[i];

		if (!(m->have & d->have))
			continue;
		if (m->have & d->excludes)
			return -EINVAL;
		n = tlv_write(d, m, p + pos, room - pos);
		if (n < 0)
			return n;
		pos += (size_t)n;
		if (d->section == IN_HEADER)
			section_start[IN_PAYLOAD] = pos;
		todo &= ~d->have;
	}
	if (todo)
		return -EINVAL; /* a bit that stands for no TLV */
	m->header_len = (uint16_t)section_start[IN_PAYLOAD];
	m->payload_len = (uint16_t)(pos - section_start[IN_PAYLOAD]);
	base_header_put(p, m->header_len, m->payload_len);
	return (int)pos;
}

/* ---- print ----------------------------------------------------------------------------------- */

static void number_visit(svr_meta_visit visit, void *user, const char *name, uint64_t v)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, v);
	visit(name, text, true, user);
}

enum { CONTEXT_STRLEN = 2 * INET6_ADDRSTRLEN + 32 };

/* 192.0.2.1:80 or [2001:db8::1]:80, RFC 5952 section 6 */
static void endpoint_text(const __be32 addr[static 4], __be16 port, char *buf, size_t size)
{
	char text[INET6_ADDRSTRLEN];

	if (svr_addr_is_mapped(addr)) {
		inet_ntop(AF_INET, &addr[3], text, sizeof(text));
		snprintf(buf, size, "%s:%u", text, ntohs(port));
	} else {
		inet_ntop(AF_INET6, addr, text, sizeof(text));
		snprintf(buf, size, "[%s]:%u", text, ntohs(port));
	}
}

static void context_text(const struct svr_context *ctx, char buf[static CONTEXT_STRLEN])
{
	char src[INET6_ADDRSTRLEN + 8], dst[INET6_ADDRSTRLEN + 8];

	endpoint_text(ctx->saddr, ctx->sport, src, sizeof(src));
	endpoint_text(ctx->daddr, ctx->dport, dst, sizeof(dst));
	snprintf(buf, CONTEXT_STRLEN, "%s-%s/%u", src, dst, ctx->proto);
}

static void fragment_text(const struct svr_tlv_fragment *f, char *buf, size_t size)
{
	unsigned int flags = ntohs(f->flags_offset);

	snprintf(buf, size, "id %08x offset %u%s%s ip-id %u largest %u", ntohl(f->id),
		 (flags & SVR_FRAGMENT_OFFSET) * 8, flags & SVR_FRAGMENT_MORE ? " more" : "",
		 flags & SVR_FRAGMENT_DF ? " df" : "", ntohs(f->ip_id), ntohs(f->largest));
}

static void tlv_describe(const struct tlv_def *d, const struct svr_meta *m, svr_meta_visit visit,
			 void *user)
{
	const uint8_t *field = (const uint8_t *)m + d->offset;
	char text[CONTEXT_STRLEN];
	uint16_t v16;
	uint32_t v32;

	switch ((enum tlv_kind)d->kind) {
	case KIND_FLAG:
		visit(d->name, "yes", false, user);
		break;
	case KIND_U16:
		memcpy(&v16, field, sizeof(v16));
		number_visit(visit, user, d->name, v16);
		break;
	case KIND_U32:
		memcpy(&v32, field, sizeof(v32));
		number_visit(visit, user, d->name, v32);
		break;
	case KIND_NAME:
	case KIND_ADDRESS:
		visit(d->name, (const char *)field, false, user);
		break;
	case KIND_FRAGMENT:
		fragment_text(&m->fragment, text, sizeof(text));
		visit(d->name, text, false, user);
		break;
	case KIND_UUID:
		svr_uuid_print(field, text);
		visit(d->name, text, false, user);
		break;
	case KIND_CONTEXT4:
	case KIND_CONTEXT6:
		context_text(&m->context, text);
		visit(d->name, text, false, user);
		break;
	case KIND_SECRET:
		visit(d->name, "hidden", false, user);
		break;
	case KIND_PARAMS:
		number_visit(visit, user, "peer-key-index", m->peer_key_index);
		visit("cipher", svr_cipher_name(m->cipher), false, user);
		visit("hmac", svr_hmac_name(m->hmac), false, user);
		visit("hmac-mode", svr_hmac_mode_name(m->hmac_mode), false, user);
		break;
	case KIND_NONCE:
		number_visit(visit, user, "nonce-time-ns", m->nonce_time_ns);
		snprintf(text, sizeof(text), "%016" PRIx64, m->nonce_random);
		visit("nonce-random", text, false, user);
		break;
	}
}

void svr_meta_describe(const struct svr_meta *m, svr_meta_visit visit, void *user)
{
	int i;

	number_visit(visit, user, "header-length", m->header_len);
	number_visit(visit, user, "payload-length", m->payload_len);
	for (i = 0; i < TLV_COUNT; i++)
		if (m->have & tlvs[i].have)
			tlv_describe(&tlvs[i], m, visit, user);
	if (m->unknown)
		number_visit(visit, user, "unknown", m->unknown);
}

struct line {
	char *buf;
	size_t size, len;
};

static void line_visit(const char *name, const char *value, bool is_number, void *user)
{
	struct line *line = user;
	size_t room = line->size > line->len ? line->size - line->len : 0;
	int n;

	(void)is_number;
	n = snprintf(room ? line->buf + line->len : NULL, room, "%s%s=%s", line->len ? " " : "",
		     name, value);
	if (n > 0)
		line->len += (size_t)n;
}

int svr_meta_print(const struct svr_meta *m, char *buf, size_t size)
{
	struct line line = { .buf = buf, .size = size };

	if (size > 0)
		buf[0] = '\0';
	svr_meta_describe(m, line_visit, &line);
	return (int)line.len;
}
