/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Messages of the key exchange: fields, and cutting into pieces and back (docs/protocol.md section
 * 9). Part of libsvr.
 */
#ifndef SVR_LIB_KEXMSG_H
#define SVR_LIB_KEXMSG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/bfdmeta.h"
#include "lib/dh.h"
#include "lib/pki.h"

/* Kinds of messages; the numbers are on the wire. */
#define SVR_KEX_MESSAGES(X)                                                   \
	X(INIT, 1, "INIT") /* initiator's values and certificate */           \
	X(RESP, 2, "RESP") /* responder's */                                  \
	X(AUTH_I, 3, "AUTH_I") /* initiator's signature, under the new key */ \
	X(AUTH_R, 4, "AUTH_R") /* responder's signature, under the new key */ \
	X(REFUSED, 5, "REFUSED") /* a hint for the operator, changes nothing */

enum svr_kex_message {
#define X(id, n, name) SVR_KEX_##id = n,
	SVR_KEX_MESSAGES(X)
#undef X
};
const char *svr_kex_message_name(uint8_t message);

enum svr_kexmsg_limits {
	SVR_KEX_SALT_LEN = 32,
	SVR_KEX_GROUPS_MAX = 8, /* groups that an INIT may offer */
};

/* A message as values; pointers are into the message. */
struct svr_kex_fields {
	uint64_t exchange;
	uint32_t key_index;
	uint16_t groups[SVR_KEX_GROUPS_MAX];
	unsigned int group_count;
	uint16_t group;
	const uint8_t *salt; /* SVR_KEX_SALT_LEN bytes */
	const uint8_t *public_value;
	size_t public_len;
	const char *name; /* common name, no NUL */
	size_t name_len;
	struct svr_pki_der chain[SVR_PKI_CHAIN_MAX];
	unsigned int chain_count;
	const uint8_t *signature;
	size_t signature_len;
	uint16_t reason; /* drop reason */
};

/* Bytes written, or -ENOSPC. */
int svr_kexmsg_build(enum svr_kex_message message, const struct svr_kex_fields *f, uint8_t *out,
		     size_t room);
/* 0 or -SVR_DROP_BFD_METADATA: fields are missing, doubled, out of order or of a wrong length. */
int svr_kexmsg_parse(enum svr_kex_message message, const uint8_t *p, size_t len,
		     struct svr_kex_fields *f);

/* ---- pieces ---------------------------------------------------------------------------------- */

/* Piece number @piece of a message; its data points into @p. */
void svr_kexmsg_cut(enum svr_kex_message message, uint64_t exchange, const uint8_t *p, size_t len,
		    unsigned int piece, struct svr_kex_piece *out);
unsigned int svr_kexmsg_pieces(size_t len);

/* Does the piece fit its own numbers? 0 or -SVR_DROP_KEX_PIECES. */
int svr_kexmsg_check_piece(const struct svr_kex_piece *piece);

/* Collects the pieces of one message; another message or exchange takes its place. */
struct svr_kex_buffer {
	uint8_t message;
	uint16_t total;
	uint64_t exchange;
	uint32_t have; /* bit per piece */
	uint8_t *data; /* NULL: empty */
};
_Static_assert(SVR_KEX_PIECES_MAX <= 32, "bits of svr_kex_buffer.have");

/**
 * svr_kex_buffer_add() - keep a piece that svr_kexmsg_check_piece() took.
 * A piece that came before is not written again.
 * Return: 1 when @b->data holds all @b->total bytes; 0; -ENOMEM.
 */
int svr_kex_buffer_add(struct svr_kex_buffer *b, const struct svr_kex_piece *piece);
void svr_kex_buffer_clear(struct svr_kex_buffer *b);

#endif
