/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Metadata codec (docs/protocol.md section 3): one table of TLVs drives parsing, building and printing. No cryptography here:
 * the caller decrypts the payload section between svr_meta_parse_header() and svr_meta_parse_payload(). Part of libsvr.
 */
#ifndef SVR_LIB_META_H
#define SVR_LIB_META_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <svr/limits.h>
#include <svr/wire.h>

/* The tuple of a session as a host sends it, of either family; IPv4 addresses in their mapped form. */
struct svr_context {
	__be32 saddr[4], daddr[4];
	__be16 sport, dport;
	uint8_t proto;
	uint8_t _pad[3];
};

/* Bits of svr_meta.have, one per understood TLV. */
enum svr_meta_have {
	SVR_HAVE_SECURITY_ID = 1 << 0,
	SVR_HAVE_SECURITY_PARAMS = 1 << 1,
	SVR_HAVE_FWD_CONTEXT4 = 1 << 2,
	SVR_HAVE_REV_CONTEXT4 = 1 << 3,
	SVR_HAVE_UUID = 1 << 4,
	SVR_HAVE_TENANT = 1 << 5,
	SVR_HAVE_SERVICE = 1 << 6,
	SVR_HAVE_ENCRYPTED = 1 << 7,
	SVR_HAVE_SOURCE_ROUTER = 1 << 8,
	SVR_HAVE_POLICY = 1 << 9,
	SVR_HAVE_PATH_ID = 1 << 10,
	SVR_HAVE_SESSION_KEY = 1 << 11,
	SVR_HAVE_NONCE = 1 << 12,
	SVR_HAVE_KEY_EPOCH = 1 << 13,
	SVR_HAVE_KEY_PACKET = 1 << 20,
	SVR_HAVE_FRAGMENT = 1 << 21,
	SVR_HAVE_FWD_CONTEXT6 = 1 << 14,
	SVR_HAVE_REV_CONTEXT6 = 1 << 15,

	SVR_HAVE_FWD_CONTEXT = SVR_HAVE_FWD_CONTEXT4 | SVR_HAVE_FWD_CONTEXT6,
	SVR_HAVE_REV_CONTEXT = SVR_HAVE_REV_CONTEXT4 | SVR_HAVE_REV_CONTEXT6,
};

/* A metadata block as values. Numbers in host byte order, addresses and ports of a context as on the wire. */
struct svr_meta {
	uint32_t have;			/* enum svr_meta_have */
	uint16_t header_len;		/* bytes, base header included */
	uint16_t payload_len;		/* bytes as on the wire */
	unsigned int unknown;		/* TLVs that were skipped */
	uint32_t security_id;
	uint32_t peer_key_index;
	uint8_t cipher, hmac, hmac_mode;
	struct svr_context context;	/* of TLV 2, 3, 4 or 5 */
	uint8_t uuid[SVR_UUID_LEN];
	char tenant[SVR_NAME_LEN];
	char service[SVR_NAME_LEN];
	char source_router[SVR_NAME_LEN];
	char policy[SVR_NAME_LEN];
	char path_id[SVR_NAME_LEN];
	uint8_t session_key[SVR_SESSION_KEY_LEN];
	uint64_t nonce_time_ns;
	uint64_t nonce_random;
	uint16_t key_epoch;
	struct svr_tlv_fragment fragment; /* as sent */
};

/* True if @len bytes at @p start with the cookie. */
bool svr_meta_is_cookie(const void *p, size_t len);

/**
 * svr_meta_parse_header() - base header and header TLVs.
 * @p, @len: L4 payload without the HMAC tag
 * @m: zeroed and filled
 * Return: 0 or a negative drop reason (-SVR_DROP_META_MALFORMED, -SVR_DROP_META_VERSION). The payload section is
 * @m->payload_len bytes at @p + @m->header_len and lies inside @len. @m is all zero after an error.
 */
int svr_meta_parse_header(const uint8_t *p, size_t len, struct svr_meta *m);
/* The same with another length that is accepted than SVR_META_MAX: for BFD. */
int svr_meta_parse_long_header(const uint8_t *p, size_t len, size_t max, struct svr_meta *m);

/* Payload TLVs (decrypted); adds to @m. 0 or -SVR_DROP_META_MALFORMED; @m is all zero after an error. */
int svr_meta_parse_payload(const uint8_t *p, size_t len, struct svr_meta *m);

/* Epoch of the session's keys: that of TLV 0xF003, 1 without it. 0 is none. */
uint16_t svr_meta_epoch(const struct svr_meta *m);

/* True for the bare header of user data that starts with the cookie. */
bool svr_meta_is_false_positive(const struct svr_meta *m);
int svr_meta_put_false_positive(uint8_t *p, size_t room);	/* 12 or -ENOSPC */

/**
 * svr_meta_build() - write the block that @m->have describes, payload section in clear, order as in docs/protocol.md.
 * @p, @room: where to; header_len and payload_len of @m are set
 * Return: bytes written, -ENOSPC, -EINVAL if @m->have holds an unknown bit or two contexts, or a name that is empty or not allowed. To encrypt, the caller encrypts
 * @m->payload_len bytes at @p + @m->header_len in place and calls svr_meta_set_payload_len().
 */
int svr_meta_build(uint8_t *p, size_t room, struct svr_meta *m);
void svr_meta_set_payload_len(uint8_t *p, uint16_t payload_len);
void svr_meta_set_header_len(uint8_t *p, uint16_t header_len); /* after a TLV was appended to the header */

/**
 * svr_meta_describe() - every value of a block, as text.
 * @visit: called with a name out of [a-z0-9-], a printable value that needs no escaping in JSON, and whether it is a number.
 *	Secrets are "hidden".
 */
typedef void (*svr_meta_visit)(const char *name, const char *value, bool is_number, void *user);
void svr_meta_describe(const struct svr_meta *m, svr_meta_visit visit, void *user);

/* The same as one line "name=value name=value". Return: bytes it takes, as snprintf() does. */
int svr_meta_print(const struct svr_meta *m, char *buf, size_t size);

/* Generic TLV writer and walker, also for BFD metadata. put: bytes written or -ENOSPC. */
int svr_tlv_put(uint8_t *p, size_t room, uint16_t type, const void *value, size_t len);
struct svr_tlv_view {
	uint16_t type;
	uint16_t len;
	const uint8_t *value;
};
/* 1: @t is the next TLV, *@pos moved; 0: end exactly reached; -EBADMSG: does not fit. */
int svr_tlv_next(const uint8_t *p, size_t len, size_t *pos, struct svr_tlv_view *t);

#endif
