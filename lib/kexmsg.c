// SPDX-License-Identifier: BSD-2-Clause
/*
 * Fields and pieces of key-exchange messages. One row per field of a message drives building and
 * parsing.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <svr/drops.h>

#include "lib/bytes.h"
#include "lib/kexmsg.h"
#include "lib/meta.h"

/* Types of fields; a registry of its own, not that of metadata TLVs. */
enum kex_field {
	FIELD_EXCHANGE = 1,
	FIELD_KEY_INDEX = 2,
	FIELD_GROUPS = 3,
	FIELD_GROUP = 4,
	FIELD_SALT = 5,
	FIELD_PUBLIC = 6,
	FIELD_NAME = 7,
	FIELD_CERTIFICATE = 8,
	FIELD_SIGNATURE = 9,
	FIELD_REASON = 10,
};

static const uint8_t fields_init[] = { FIELD_EXCHANGE, FIELD_KEY_INDEX,	  FIELD_GROUPS,
				       FIELD_GROUP,    FIELD_SALT,	  FIELD_PUBLIC,
				       FIELD_NAME,     FIELD_CERTIFICATE, 0 };
static const uint8_t fields_resp[] = { FIELD_EXCHANGE, FIELD_GROUP,	  FIELD_SALT, FIELD_PUBLIC,
				       FIELD_NAME,     FIELD_CERTIFICATE, 0 };
static const uint8_t fields_auth[] = { FIELD_EXCHANGE, FIELD_SIGNATURE, 0 };
static const uint8_t fields_refused[] = { FIELD_EXCHANGE, FIELD_REASON, FIELD_GROUP, 0 };

/* In their order, all of them; only certificates may be repeated. */
static const uint8_t *fields_of(enum svr_kex_message message)
{
	switch (message) {
	case SVR_KEX_INIT:
		return fields_init;
	case SVR_KEX_RESP:
		return fields_resp;
	case SVR_KEX_AUTH_I:
	case SVR_KEX_AUTH_R:
		return fields_auth;
	case SVR_KEX_REFUSED:
		return fields_refused;
	}
	return NULL;
}

const char *svr_kex_message_name(uint8_t message)
{
	switch (message) {
#define X(id, n, name) \
	case n:        \
		return name;
		SVR_KEX_MESSAGES(X)
#undef X
	}
	return "?";
}

/* ---- build ----------------------------------------------------------------------------------- */

static int put_groups(const struct svr_kex_fields *f, uint8_t *p, size_t room)
{
	uint8_t value[2 * SVR_KEX_GROUPS_MAX];
	unsigned int i;

	for (i = 0; i < f->group_count; i++)
		svr_put16(value + 2 * i, f->groups[i]);
	return svr_tlv_put(p, room, FIELD_GROUPS, value, 2 * (size_t)f->group_count);
}

static int put_chain(const struct svr_kex_fields *f, uint8_t *p, size_t room)
{
	unsigned int i;
	size_t at = 0;
	int len;

	for (i = 0; i < f->chain_count; i++) {
		len = svr_tlv_put(p + at, room - at, FIELD_CERTIFICATE, f->chain[i].data,
				  f->chain[i].len);
		if (len < 0)
			return len;
		at += (size_t)len;
	}
	return (int)at;
}

static int put_field(enum kex_field field, const struct svr_kex_fields *f, uint8_t *p, size_t room)
{
	uint8_t value[8];

	switch (field) {
	case FIELD_EXCHANGE:
		svr_put64(value, f->exchange);
		return svr_tlv_put(p, room, field, value, 8);
	case FIELD_KEY_INDEX:
		svr_put32(value, f->key_index);
		return svr_tlv_put(p, room, field, value, 4);
	case FIELD_GROUPS:
		return put_groups(f, p, room);
	case FIELD_GROUP:
		svr_put16(value, f->group);
		return svr_tlv_put(p, room, field, value, 2);
	case FIELD_SALT:
		return svr_tlv_put(p, room, field, f->salt, SVR_KEX_SALT_LEN);
	case FIELD_PUBLIC:
		return svr_tlv_put(p, room, field, f->public_value, f->public_len);
	case FIELD_NAME:
		return svr_tlv_put(p, room, field, f->name, f->name_len);
	case FIELD_CERTIFICATE:
		return put_chain(f, p, room);
	case FIELD_SIGNATURE:
		return svr_tlv_put(p, room, field, f->signature, f->signature_len);
	case FIELD_REASON:
		svr_put16(value, f->reason);
		return svr_tlv_put(p, room, field, value, 2);
	}
	return -EINVAL;
}

int svr_kexmsg_build(enum svr_kex_message message, const struct svr_kex_fields *f, uint8_t *out,
		     size_t room)
{
	const uint8_t *field;
	size_t at = 0;
	int len;

	for (field = fields_of(message); *field; field++) {
		len = put_field(*field, f, out + at, room - at);
		if (len < 0)
			return len;
		at += (size_t)len;
	}
	return (int)at;
}

/* ---- parse ----------------------------------------------------------------------------------- */

static bool get_groups(const struct svr_tlv_view *t, struct svr_kex_fields *f)
{
	unsigned int i;

	if (t->len == 0 || t->len % 2 || t->len / 2 > SVR_KEX_GROUPS_MAX)
		return false;
	f->group_count = t->len / 2;
	for (i = 0; i < f->group_count; i++)
		f->groups[i] = svr_get16(t->value + 2 * i);
	return true;
}

static bool get_field(const struct svr_tlv_view *t, struct svr_kex_fields *f)
{
	switch ((enum kex_field)t->type) {
	case FIELD_EXCHANGE:
		if (t->len != 8)
			return false;
		f->exchange = svr_get64(t->value);
		return true;
	case FIELD_KEY_INDEX:
		if (t->len != 4)
			return false;
		f->key_index = svr_get32(t->value);
		return f->key_index != 0;
	case FIELD_GROUPS:
		return get_groups(t, f);
	case FIELD_GROUP:
		if (t->len != 2)
			return false;
		f->group = svr_get16(t->value);
		return true;
	case FIELD_SALT:
		f->salt = t->value;
		return t->len == SVR_KEX_SALT_LEN;
	case FIELD_PUBLIC:
		f->public_value = t->value;
		f->public_len = t->len;
		return t->len > 0 && t->len <= SVR_DH_MAX_LEN;
	case FIELD_NAME:
		f->name = (const char *)t->value;
		f->name_len = t->len;
		return t->len > 0 && t->len < SVR_NAME_LEN;
	case FIELD_CERTIFICATE:
		if (f->chain_count == SVR_PKI_CHAIN_MAX || t->len == 0)
			return false;
		f->chain[f->chain_count++] = (struct svr_pki_der){ t->value, t->len };
		return true;
	case FIELD_SIGNATURE:
		f->signature = t->value;
		f->signature_len = t->len;
		return t->len > 0 && t->len <= SVR_PKI_SIGNATURE_MAX;
	case FIELD_REASON:
		if (t->len != 2)
			return false;
		f->reason = svr_get16(t->value);
		return true;
	}
	return false;
}

int svr_kexmsg_parse(enum svr_kex_message message, const uint8_t *p, size_t len,
		     struct svr_kex_fields *f)
{
	const uint8_t *field = fields_of(message);
	struct svr_tlv_view t;
	size_t pos = 0;
	int more;

	memset(f, 0, sizeof(*f));
	if (!field)
		return -SVR_DROP_BFD_METADATA;
	while ((more = svr_tlv_next(p, len, &pos, &t)) > 0) {
		/* The only repetition: further certificates after the first. */
		bool again = t.type == FIELD_CERTIFICATE && f->chain_count > 0;

		if ((!again && t.type != *field) || !get_field(&t, f))
			return -SVR_DROP_BFD_METADATA;
		if (!again)
			field++;
	}
	return more < 0 || *field ? -SVR_DROP_BFD_METADATA : 0;
}

/* ---- pieces ---------------------------------------------------------------------------------- */

unsigned int svr_kexmsg_pieces(size_t len)
{
	return (unsigned int)((len + SVR_KEX_PIECE_LEN - 1) / SVR_KEX_PIECE_LEN);
}

void svr_kexmsg_cut(enum svr_kex_message message, uint64_t exchange, const uint8_t *p, size_t len,
		    unsigned int piece, struct svr_kex_piece *out)
{
	size_t at = (size_t)piece * SVR_KEX_PIECE_LEN;

	*out = (struct svr_kex_piece){
		.message = (uint8_t)message,
		.piece = (uint16_t)piece,
		.pieces = (uint16_t)svr_kexmsg_pieces(len),
		.total = (uint16_t)len,
		.exchange = exchange,
		.data = p + at,
		.len = len - at < SVR_KEX_PIECE_LEN ? len - at : SVR_KEX_PIECE_LEN,
	};
}

int svr_kexmsg_check_piece(const struct svr_kex_piece *piece)
{
	size_t at = (size_t)piece->piece * SVR_KEX_PIECE_LEN, left;

	if (piece->total == 0 || piece->total > SVR_KEX_MESSAGE_MAX ||
	    piece->pieces != svr_kexmsg_pieces(piece->total) || piece->piece >= piece->pieces)
		return -SVR_DROP_KEX_PIECES;
	left = piece->total - at;
	if (piece->len != (left < SVR_KEX_PIECE_LEN ? left : SVR_KEX_PIECE_LEN))
		return -SVR_DROP_KEX_PIECES;
	return 0;
}

void svr_kex_buffer_clear(struct svr_kex_buffer *b)
{
	free(b->data);
	memset(b, 0, sizeof(*b));
}

int svr_kex_buffer_add(struct svr_kex_buffer *b, const struct svr_kex_piece *piece)
{
	uint32_t all = piece->pieces == 32 ? UINT32_MAX : (1U << piece->pieces) - 1;

	if (!b->data || b->message != piece->message || b->exchange != piece->exchange ||
	    b->total != piece->total) {
		svr_kex_buffer_clear(b);
		b->data = malloc(piece->total);
		if (!b->data)
			return -ENOMEM;
		b->message = piece->message;
		b->exchange = piece->exchange;
		b->total = piece->total;
	}
	if (!(b->have & 1U << piece->piece))
		memcpy(b->data + (size_t)piece->piece * SVR_KEX_PIECE_LEN, piece->data, piece->len);
	b->have |= 1U << piece->piece;
	return b->have == all;
}
