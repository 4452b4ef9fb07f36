// SPDX-License-Identifier: BSD-2-Clause
/* Metadata behind BFD: TLVs, encryption and tag (docs/protocol.md section 8). */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include <openssl/crypto.h>

#include <svr/drops.h>

#include "lib/bfdmeta.h"
#include "lib/bytes.h"
#include "lib/kdf.h"
#include "lib/meta.h"
#include "lib/name.h"

/*
 * A packet with the longest hello and a whole piece must stay inside of what everybody accepts as
 * metadata.
 */
enum {
	HELLO_MAX = SVR_TLV_HDR_LEN + (int)sizeof(struct svr_tlv_bfd_hello) + SVR_NAME_LEN - 1,
	TIME_LEN = SVR_TLV_HDR_LEN + (int)sizeof(struct svr_tlv_bfd_time),
	PATH_LEN = SVR_TLV_HDR_LEN + (int)sizeof(struct svr_tlv_bfd_path),
	PROBE_LEN = 4, /* of the value, without what fills it */
	PROBE_ACK_LEN = 8,
	PIECE_MAX = SVR_TLV_HDR_LEN + (int)sizeof(struct svr_tlv_kex_piece) + SVR_KEX_PIECE_LEN,
	PLAIN_MAX = HELLO_MAX + TIME_LEN + PATH_LEN + PIECE_MAX,
	SEALED_HEADER_LEN = SVR_META_HDR_LEN + SVR_TLV_HDR_LEN + (int)sizeof(struct svr_tlv_security_params),
};
_Static_assert(SEALED_HEADER_LEN + (PLAIN_MAX / SVR_BLOCK_LEN + 2) * SVR_BLOCK_LEN <= SVR_META_MAX,
	       "piece length");

/* ---- TLVs ------------------------------------------------------------------------------------ */

#define FIELD_AT(type, field) offsetof(struct type, field)

static int put_hello(uint8_t *p, size_t room, const struct svr_bfdmeta *m)
{
	uint8_t value[sizeof(struct svr_tlv_bfd_hello) + SVR_NAME_LEN] = { 0 };
	size_t name_len = strnlen(m->common_name, SVR_NAME_LEN);

	if (!svr_name_ok(m->common_name, name_len))
		return -EINVAL;
	svr_put32(value + FIELD_AT(svr_tlv_bfd_hello, instance), m->instance);
	svr_put16(value + FIELD_AT(svr_tlv_bfd_hello, version), m->version);
	memcpy(value + sizeof(struct svr_tlv_bfd_hello), m->common_name, name_len);
	return svr_tlv_put(p, room, SVR_TLV_BFD_HELLO, value,
			   sizeof(struct svr_tlv_bfd_hello) + name_len);
}

static int put_time(uint8_t *p, size_t room, const struct svr_bfdmeta *m)
{
	uint8_t value[sizeof(struct svr_tlv_bfd_time)];

	svr_put64(value + FIELD_AT(svr_tlv_bfd_time, seq), m->seq);
	svr_put64(value + FIELD_AT(svr_tlv_bfd_time, tx_ns), m->tx_ns);
	svr_put64(value + FIELD_AT(svr_tlv_bfd_time, echo_ns), m->echo_ns);
	svr_put64(value + FIELD_AT(svr_tlv_bfd_time, echo_rx_ns), m->echo_rx_ns);
	return svr_tlv_put(p, room, SVR_TLV_BFD_TIME, value, sizeof(value));
}

static int put_path(uint8_t *p, size_t room, const struct svr_bfdmeta *m)
{
	struct svr_tlv_bfd_path value;

	memcpy(value.sender, m->sender, sizeof(value.sender));
	memcpy(value.receiver, m->receiver, sizeof(value.receiver));
	return svr_tlv_put(p, room, SVR_TLV_BFD_PATH, &value, sizeof(value));
}

static int put_piece(uint8_t *p, size_t room, const struct svr_bfdmeta *m)
{
	uint8_t value[sizeof(struct svr_tlv_kex_piece) + SVR_KEX_PIECE_LEN] = { 0 };

	if (m->piece.len > SVR_KEX_PIECE_LEN)
		return -EINVAL;
	value[FIELD_AT(svr_tlv_kex_piece, message)] = m->piece.message;
	svr_put16(value + FIELD_AT(svr_tlv_kex_piece, piece), m->piece.piece);
	svr_put16(value + FIELD_AT(svr_tlv_kex_piece, pieces), m->piece.pieces);
	svr_put16(value + FIELD_AT(svr_tlv_kex_piece, total), m->piece.total);
	svr_put64(value + FIELD_AT(svr_tlv_kex_piece, exchange), m->piece.exchange);
	memcpy(value + sizeof(struct svr_tlv_kex_piece), m->piece.data, m->piece.len);
	return svr_tlv_put(p, room, SVR_TLV_KEX_PIECE, value,
			   sizeof(struct svr_tlv_kex_piece) + m->piece.len);
}

static int put_meta_key(uint8_t *p, size_t room, const struct svr_bfdmeta *m)
{
	uint8_t value[4 + SVR_META_KEY_LEN];
	int len;

	svr_put32(value, m->meta_index);
	memcpy(value + 4, m->meta_key, SVR_META_KEY_LEN);
	len = svr_tlv_put(p, room, SVR_TLV_META_KEY, value, sizeof(value));
	OPENSSL_cleanse(value, sizeof(value));
	return len;
}

static int put_meta_ack(uint8_t *p, size_t room, const struct svr_bfdmeta *m)
{
	uint8_t value[4];

	svr_put32(value, m->meta_ack);
	return svr_tlv_put(p, room, SVR_TLV_META_KEY_ACK, value, sizeof(value));
}

static int put_test(uint8_t *p, size_t room, const struct svr_bfdmeta *m)
{
	uint8_t value[sizeof(struct svr_tlv_bfd_test)] = { 0 };

	value[FIELD_AT(svr_tlv_bfd_test, kind)] = m->test.kind;
	svr_put16(value + FIELD_AT(svr_tlv_bfd_test, number), m->test.number);
	svr_put32(value + FIELD_AT(svr_tlv_bfd_test, burst), m->test.burst);
	svr_put32(value + FIELD_AT(svr_tlv_bfd_test, accept_us), m->test.accept_us);
	return svr_tlv_put(p, room, SVR_TLV_BFD_TEST, value, sizeof(value));
}

static int put_probe(uint8_t *p, size_t room, const struct svr_bfdmeta *m)
{
	size_t len = PROBE_LEN + (size_t)m->probe.fill;

	if (room < SVR_TLV_HDR_LEN + len)
		return -ENOSPC;
	svr_put16(p, SVR_TLV_BFD_PROBE);
	svr_put16(p + 2, (uint16_t)len);
	svr_put32(p + SVR_TLV_HDR_LEN, m->probe.id);
	memset(p + SVR_TLV_HDR_LEN + PROBE_LEN, 0, m->probe.fill);
	return (int)(SVR_TLV_HDR_LEN + len);
}

static int put_probe_ack(uint8_t *p, size_t room, const struct svr_bfdmeta *m)
{
	uint8_t value[PROBE_ACK_LEN] = { 0 };

	svr_put32(value, m->probe_ack.id);
	svr_put16(value + 4, m->probe_ack.len);
	return svr_tlv_put(p, room, SVR_TLV_BFD_PROBE_ACK, value, sizeof(value));
}

static int get_hello(const uint8_t *v, size_t len, struct svr_bfdmeta *m)
{
	size_t name_len = len - sizeof(struct svr_tlv_bfd_hello);

	m->instance = svr_get32(v + FIELD_AT(svr_tlv_bfd_hello, instance));
	m->version = svr_get16(v + FIELD_AT(svr_tlv_bfd_hello, version));
	if (!svr_name_ok((const char *)v + sizeof(struct svr_tlv_bfd_hello), name_len))
		return -EBADMSG;
	memcpy(m->common_name, v + sizeof(struct svr_tlv_bfd_hello), name_len);
	return 0;
}

static int get_time(const uint8_t *v, size_t len, struct svr_bfdmeta *m)
{
	(void)len;
	m->seq = svr_get64(v + FIELD_AT(svr_tlv_bfd_time, seq));
	m->tx_ns = svr_get64(v + FIELD_AT(svr_tlv_bfd_time, tx_ns));
	m->echo_ns = svr_get64(v + FIELD_AT(svr_tlv_bfd_time, echo_ns));
	m->echo_rx_ns = svr_get64(v + FIELD_AT(svr_tlv_bfd_time, echo_rx_ns));
	return 0;
}

static int get_path(const uint8_t *v, size_t len, struct svr_bfdmeta *m)
{
	(void)len;
	memcpy(m->sender, v + FIELD_AT(svr_tlv_bfd_path, sender), sizeof(m->sender));
	memcpy(m->receiver, v + FIELD_AT(svr_tlv_bfd_path, receiver), sizeof(m->receiver));
	return 0;
}

static int get_piece(const uint8_t *v, size_t len, struct svr_bfdmeta *m)
{
	if (v[FIELD_AT(svr_tlv_kex_piece, reserved)] != 0)
		return -EBADMSG;
	m->piece.message = v[FIELD_AT(svr_tlv_kex_piece, message)];
	m->piece.piece = svr_get16(v + FIELD_AT(svr_tlv_kex_piece, piece));
	m->piece.pieces = svr_get16(v + FIELD_AT(svr_tlv_kex_piece, pieces));
	m->piece.total = svr_get16(v + FIELD_AT(svr_tlv_kex_piece, total));
	m->piece.exchange = svr_get64(v + FIELD_AT(svr_tlv_kex_piece, exchange));
	m->piece.data = v + sizeof(struct svr_tlv_kex_piece);
	m->piece.len = len - sizeof(struct svr_tlv_kex_piece);
	return 0;
}

static int get_meta_key(const uint8_t *v, size_t len, struct svr_bfdmeta *m)
{
	(void)len;
	m->meta_index = svr_get32(v);
	memcpy(m->meta_key, v + 4, SVR_META_KEY_LEN);
	return m->meta_index ? 0 : -EBADMSG;
}

static int get_meta_ack(const uint8_t *v, size_t len, struct svr_bfdmeta *m)
{
	(void)len;
	m->meta_ack = svr_get32(v);
	return m->meta_ack ? 0 : -EBADMSG;
}

static int get_test(const uint8_t *v, size_t len, struct svr_bfdmeta *m)
{
	(void)len;
	m->test.kind = v[FIELD_AT(svr_tlv_bfd_test, kind)];
	m->test.number = svr_get16(v + FIELD_AT(svr_tlv_bfd_test, number));
	m->test.burst = svr_get32(v + FIELD_AT(svr_tlv_bfd_test, burst));
	m->test.accept_us = svr_get32(v + FIELD_AT(svr_tlv_bfd_test, accept_us));
	return m->test.kind == SVR_BFDMETA_TEST_REQUEST || m->test.kind == SVR_BFDMETA_TEST_ANSWER ?
		       0 :
		       -EBADMSG;
}

static int get_probe(const uint8_t *v, size_t len, struct svr_bfdmeta *m)
{
	m->probe.id = svr_get32(v);
	m->probe.fill = (uint16_t)(len - PROBE_LEN);
	return 0;
}

static int get_probe_ack(const uint8_t *v, size_t len, struct svr_bfdmeta *m)
{
	(void)len;
	m->probe_ack.id = svr_get32(v);
	m->probe_ack.len = svr_get16(v + 4);
	return 0;
}

/* In the order in which they are written. */
static const struct tlv_def {
	uint16_t type;
	uint16_t min, max; /* length of the value, bytes */
	uint32_t have;
	int (*put)(uint8_t *p, size_t room, const struct svr_bfdmeta *m);
	int (*get)(const uint8_t *value, size_t len, struct svr_bfdmeta *m);
} tlvs[] = {
	{ SVR_TLV_BFD_HELLO, sizeof(struct svr_tlv_bfd_hello) + 1,
	  sizeof(struct svr_tlv_bfd_hello) + SVR_NAME_LEN - 1, SVR_BFDMETA_HELLO, put_hello,
	  get_hello },
	{ SVR_TLV_BFD_TIME, sizeof(struct svr_tlv_bfd_time), sizeof(struct svr_tlv_bfd_time),
	  SVR_BFDMETA_TIME, put_time, get_time },
	{ SVR_TLV_BFD_PATH, sizeof(struct svr_tlv_bfd_path), sizeof(struct svr_tlv_bfd_path),
	  SVR_BFDMETA_PATH, put_path, get_path },
	{ SVR_TLV_BFD_TEST, sizeof(struct svr_tlv_bfd_test), sizeof(struct svr_tlv_bfd_test),
	  SVR_BFDMETA_TEST, put_test, get_test },
	{ SVR_TLV_BFD_PROBE_ACK, PROBE_ACK_LEN, PROBE_ACK_LEN, SVR_BFDMETA_PROBE_ACK, put_probe_ack,
	  get_probe_ack },
	{ SVR_TLV_META_KEY, 4 + SVR_META_KEY_LEN, 4 + SVR_META_KEY_LEN, SVR_BFDMETA_META_KEY,
	  put_meta_key, get_meta_key },
	{ SVR_TLV_META_KEY_ACK, 4, 4, SVR_BFDMETA_META_KEY_ACK, put_meta_ack, get_meta_ack },
	{ SVR_TLV_BFD_PROBE, PROBE_LEN, UINT16_MAX, SVR_BFDMETA_PROBE, put_probe, get_probe },
	{ SVR_TLV_KEX_PIECE, sizeof(struct svr_tlv_kex_piece) + 1,
	  sizeof(struct svr_tlv_kex_piece) + SVR_KEX_PIECE_LEN, SVR_BFDMETA_PIECE, put_piece,
	  get_piece },
};
enum { TLV_COUNT = sizeof(tlvs) / sizeof(tlvs[0]) };

int svr_bfdmeta_build(uint8_t *p, size_t room, const struct svr_bfdmeta *m)
{
	size_t at = 0;
	int i, len;

	for (i = 0; i < TLV_COUNT; i++) {
		if (!(m->have & tlvs[i].have))
			continue;
		len = tlvs[i].put(p + at, room - at, m);
		if (len < 0)
			return len;
		at += (size_t)len;
	}
	return (int)at;
}

static int read_tlv(const struct svr_tlv_view *t, struct svr_bfdmeta *m)
{
	const struct tlv_def *d = NULL;
	int i;

	for (i = 0; i < TLV_COUNT && !d; i++)
		if (tlvs[i].type == t->type)
			d = &tlvs[i];
	if (!d) {
		m->unknown++;
		return 0;
	}
	if (t->len < d->min || t->len > d->max || (m->have & d->have))
		return -EBADMSG;
	m->have |= d->have;
	return d->get(t->value, t->len, m);
}

int svr_bfdmeta_parse(const uint8_t *p, size_t len, struct svr_bfdmeta *m)
{
	struct svr_tlv_view t;
	size_t pos = 0;
	int more;

	memset(m, 0, sizeof(*m));
	while ((more = svr_tlv_next(p, len, &pos, &t)) > 0)
		if (read_tlv(&t, m))
			break;
	if (more == 0)
		return 0;
	OPENSSL_cleanse(m, sizeof(*m));
	return -SVR_DROP_BFD_METADATA;
}

/* ---- keys ------------------------------------------------------------------------------------ */

int svr_bfdmeta_key_init(struct svr_crypt *c, uint32_t index,
			 const uint8_t peer_key[static SVR_PEER_KEY_LEN], int own_direction,
			 struct svr_bfdmeta_key *out)
{
	int tx = own_direction, rx = !own_direction, ret;
	struct svr_bfd_keys keys;

	memset(out, 0, sizeof(*out));
	ret = svr_kdf_bfd(peer_key, &keys);
	if (!ret)
		ret = svr_cipher_key_new(c, SVR_CIPHER_AES_CBC_256, keys.enc[tx], NULL,
					 &out->enc_tx);
	if (!ret)
		ret = svr_cipher_key_new(c, SVR_CIPHER_AES_CBC_256, keys.enc[rx], NULL,
					 &out->enc_rx);
	if (!ret)
		ret = svr_hmac_key_new(c, SVR_HMAC_SHA384, keys.mac[tx], sizeof(keys.mac[tx]),
				       &out->mac_tx);
	if (!ret)
		ret = svr_hmac_key_new(c, SVR_HMAC_SHA384, keys.mac[rx], sizeof(keys.mac[rx]),
				       &out->mac_rx);
	OPENSSL_cleanse(&keys, sizeof(keys));
	if (ret)
		svr_bfdmeta_key_clear(out);
	else
		out->index = index;
	return ret;
}

void svr_bfdmeta_key_clear(struct svr_bfdmeta_key *k)
{
	svr_cipher_key_free(k->enc_tx);
	svr_cipher_key_free(k->enc_rx);
	svr_hmac_key_free(k->mac_tx);
	svr_hmac_key_free(k->mac_rx);
	memset(k, 0, sizeof(*k));
}

/* ---- whole packets --------------------------------------------------------------------------- */

/*
 * Base header and, for a sealed packet, header TLV 0xF001; then TLV 0xF016 of @fill bytes with its
 * own header, 0: none. Length of all or -ENOSPC.
 */
static int put_header(uint8_t *p, size_t room, const struct svr_bfdmeta_key *key, size_t fill)
{
	struct svr_meta header = { 0 };
	int len;

	if (key) {
		header.have = SVR_HAVE_SECURITY_PARAMS;
		header.peer_key_index = key->index;
		header.cipher = SVR_CIPHER_AES_CBC_256;
		header.hmac = SVR_HMAC_SHA384;
		header.hmac_mode = SVR_HMAC_MODE_REGULAR;
	}
	len = svr_meta_build(p, room, &header);
	if (len < 0 || fill == 0)
		return len;
	if (room - (size_t)len < fill)
		return -ENOSPC;
	memset(p + len, 0, fill);
	svr_put16(p + len, SVR_TLV_BFD_FILL);
	svr_put16(p + len + 2, (uint16_t)(fill - SVR_TLV_HDR_LEN));
	svr_meta_set_header_len(p, (uint16_t)((size_t)len + fill));
	return (int)((size_t)len + fill);
}

/* Encrypts @len bytes in place and appends the IV. New length, -ENOSPC, -EIO. */
static int encrypt(struct svr_crypt *c, struct svr_bfdmeta_key *key, uint8_t *p, size_t len,
		   size_t room)
{
	size_t sealed = svr_cbc_len(len);
	uint8_t iv[SVR_BLOCK_LEN];

	if (sealed + SVR_BLOCK_LEN > room)
		return -ENOSPC;
	if (svr_crypt_random(c, iv, sizeof(iv)) ||
	    svr_cbc_encrypt(c, key->enc_tx, iv, p, len) != (int)sealed)
		return -EIO;
	memcpy(p + sealed, iv, sizeof(iv));
	return (int)(sealed + sizeof(iv));
}

/* @fill: bytes of the header TLV that makes the packet longer. */
static int seal(struct svr_crypt *c, struct svr_bfdmeta_key *key,
		const uint8_t bfd[static SVR_BFD_LEN], const struct svr_bfdmeta *m, size_t fill,
		uint8_t *out, size_t room)
{
	struct svr_bytes signed_part;
	int header_len, len;
	uint8_t *payload;
	size_t at;

	if (room < SVR_BFD_LEN)
		return -ENOSPC;
	memcpy(out, bfd, SVR_BFD_LEN);
	header_len = put_header(out + SVR_BFD_LEN, room - SVR_BFD_LEN, key, fill);
	if (header_len < 0)
		return header_len;
	at = SVR_BFD_LEN + (size_t)header_len;
	payload = out + at;
	len = svr_bfdmeta_build(payload, room - at, m);
	if (len >= 0 && key) {
		len = encrypt(c, key, payload, (size_t)len, room - at);
		if (len < 0)
			OPENSSL_cleanse(payload, room - at); /* a metadata key may stand there */
	}
	if (len < 0)
		return len;
	svr_meta_set_payload_len(out + SVR_BFD_LEN, (uint16_t)len);
	at += (size_t)len;
	if (!key)
		return (int)at;
	if (room - at < SVR_BFDMETA_TAG_LEN)
		return -ENOSPC;
	signed_part = (struct svr_bytes){ out, at };
	if (svr_hmac_sign(c, key->mac_tx, &signed_part, 1, out + at))
		return -EIO;
	return (int)at + SVR_BFDMETA_TAG_LEN;
}

int svr_bfdmeta_seal(struct svr_crypt *c, struct svr_bfdmeta_key *key,
		     const uint8_t bfd[static SVR_BFD_LEN], const struct svr_bfdmeta *m,
		     uint8_t *out, size_t room)
{
	return seal(c, key, bfd, m, 0, out, room);
}

/*
 * Ciphertext grows by whole blocks: the probe's TLV takes most of what is missing, and the header
 * TLV in front of the ciphertext the rest.
 */
int svr_bfdmeta_seal_probe(struct svr_crypt *c, struct svr_bfdmeta_key *key,
			   const uint8_t bfd[static SVR_BFD_LEN], struct svr_bfdmeta *m, size_t len,
			   uint8_t *out, size_t room)
{
	const size_t around = SVR_BFD_LEN + SEALED_HEADER_LEN + SVR_BLOCK_LEN + SVR_BFDMETA_TAG_LEN;
	size_t fill, sealed;
	int plain;

	m->probe.fill = 0;
	plain = svr_bfdmeta_build(out, room, m);
	if (plain < 0)
		return plain;
	if (len > room || len < around + SVR_BLOCK_LEN)
		return -ENOSPC;
	fill = (len - around) % SVR_BLOCK_LEN;
	if (fill && fill < SVR_TLV_HDR_LEN)
		fill += SVR_BLOCK_LEN;
	sealed = len - around - fill;
	if (len < around + fill || sealed < svr_cbc_len((size_t)plain))
		return -ENOSPC;
	if (sealed - SVR_BLOCK_LEN > (size_t)plain)
		m->probe.fill = (uint16_t)(sealed - SVR_BLOCK_LEN - (size_t)plain);
	return seal(c, key, bfd, m, fill, out, room);
}

int svr_bfdmeta_outline(const uint8_t *p, size_t len, size_t bfd_len, struct svr_bfdmeta_outline *o)
{
	struct svr_meta header;
	size_t end;

	memset(o, 0, sizeof(*o));
	if (!svr_meta_is_cookie(p + bfd_len, len - bfd_len))
		return 0;
	if (svr_meta_parse_long_header(p + bfd_len, len - bfd_len, SVR_BFDMETA_PROBE_MAX, &header))
		return -SVR_DROP_BFD_METADATA;
	o->present = true;
	o->payload_at = bfd_len + header.header_len;
	o->payload_len = header.payload_len;
	end = o->payload_at + o->payload_len;
	if (!(header.have & SVR_HAVE_SECURITY_PARAMS))
		return header.have || end != len ? -SVR_DROP_BFD_METADATA : 0;

	if (header.have != SVR_HAVE_SECURITY_PARAMS || header.peer_key_index == 0 ||
	    len - end != SVR_BFDMETA_TAG_LEN)
		return -SVR_DROP_BFD_METADATA;
	if (header.cipher != SVR_CIPHER_AES_CBC_256 || header.hmac != SVR_HMAC_SHA384 ||
	    header.hmac_mode != SVR_HMAC_MODE_REGULAR)
		return -SVR_DROP_ALGORITHM;
	o->sealed = true;
	o->key_index = header.peer_key_index;
	o->tag_at = end;
	return 0;
}

int svr_bfdmeta_verify(struct svr_crypt *c, struct svr_bfdmeta_key *key, const uint8_t *p,
		       const struct svr_bfdmeta_outline *o)
{
	struct svr_bytes signed_part = { p, o->tag_at };

	return svr_hmac_verify(c, key->mac_rx, &signed_part, 1, p + o->tag_at) ?
		       -SVR_DROP_BFD_AUTH :
		       0;
}

int svr_bfdmeta_open(struct svr_crypt *c, struct svr_bfdmeta_key *key, uint8_t *p,
		     const struct svr_bfdmeta_outline *o, struct svr_bfdmeta *m)
{
	uint8_t *payload = p + o->payload_at;
	size_t len = o->payload_len;
	int plain;

	if (o->sealed) {
		if (len < 2 * SVR_BLOCK_LEN)
			return -SVR_DROP_BFD_METADATA;
		len -= SVR_BLOCK_LEN;
		plain = svr_cbc_decrypt(c, key->enc_rx, payload + len, payload, len);
		if (plain < 0)
			return -SVR_DROP_BFD_METADATA;
		len = (size_t)plain;
	}
	return svr_bfdmeta_parse(payload, len, m);
}
