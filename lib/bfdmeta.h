/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What stands behind a BFD control packet: metadata block and tag (docs/protocol.md section 8).
 * Three steps to receive, so that nothing is decrypted before it was authenticated and nothing is
 * authenticated before the cheap checks:
 *
 *	svr_bfdmeta_outline() -> caller finds the key -> svr_bfdmeta_verify() -> svr_bfdmeta_open()
 *
 * Part of libsvr.
 */
#ifndef SVR_LIB_BFDMETA_H
#define SVR_LIB_BFDMETA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <svr/limits.h>
#include <svr/wire.h>

#include "lib/crypt.h"

enum svr_bfdmeta_limits {
	SVR_BFDMETA_TAG_LEN = 48, /* HMAC-SHA-384 */
	SVR_BFDMETA_PACKET_MAX = SVR_BFD_LEN + SVR_META_MAX +
				 SVR_BFDMETA_TAG_LEN, /* bytes of UDP payload that we send */
	/* the same of a path MTU probe: fills an IP packet of the longest MTU that can be configured */
	SVR_BFDMETA_PROBE_MAX = 9000,
	SVR_KEX_PIECE_LEN = 800, /* bytes of a key-exchange message in each packet but the last */
	SVR_KEX_MESSAGE_MAX = 16384, /* bytes of a whole message */
	SVR_KEX_PIECES_MAX = (SVR_KEX_MESSAGE_MAX + SVR_KEX_PIECE_LEN - 1) / SVR_KEX_PIECE_LEN,
	SVR_BFDMETA_PROTOCOL = 1, /* version in the hello */
};

enum svr_bfdmeta_have {
	SVR_BFDMETA_HELLO = 1 << 0,
	SVR_BFDMETA_TIME = 1 << 1,
	SVR_BFDMETA_PATH = 1 << 2,
	SVR_BFDMETA_PIECE = 1 << 3,
	SVR_BFDMETA_META_KEY = 1 << 4,
	SVR_BFDMETA_META_KEY_ACK = 1 << 5,
	SVR_BFDMETA_TEST = 1 << 6,
	SVR_BFDMETA_PROBE = 1 << 7,
	SVR_BFDMETA_PROBE_ACK = 1 << 8,
};

enum svr_bfdmeta_test { SVR_BFDMETA_TEST_REQUEST = 1, SVR_BFDMETA_TEST_ANSWER = 2 };

struct svr_kex_piece {
	uint8_t message;
	uint16_t piece, pieces, total;
	uint64_t exchange;
	const uint8_t *data;
	size_t len;
};

/* Payload TLVs as values, host byte order. */
struct svr_bfdmeta {
	uint32_t have; /* enum svr_bfdmeta_have */
	unsigned int unknown; /* TLVs that were skipped */
	uint32_t instance;
	uint16_t version;
	char common_name[SVR_NAME_LEN];
	uint64_t seq, tx_ns, echo_ns, echo_rx_ns;
	uint8_t sender[16], receiver[16];
	struct svr_kex_piece piece; /* data points into the packet */
	uint32_t meta_index;
	uint8_t meta_key[SVR_META_KEY_LEN];
	uint32_t meta_ack;
	struct {
		uint8_t kind; /* enum svr_bfdmeta_test */
		uint16_t number;
		uint32_t burst, accept_us;
	} test;
	struct {
		uint32_t id;
		uint16_t fill; /* bytes behind the id */
	} probe;
	struct {
		uint32_t id;
		uint16_t len;
	} probe_ack;
};

/* Bytes written, -ENOSPC, -EINVAL for a value that no receiver would take. */
int svr_bfdmeta_build(uint8_t *p, size_t room, const struct svr_bfdmeta *m);
/* 0 or -SVR_DROP_BFD_METADATA; @m is wiped then. */
int svr_bfdmeta_parse(const uint8_t *p, size_t len, struct svr_bfdmeta *m);

/* ---- protection ------------------------------------------------------------------------------ */

/* The keys of one peer key, as one router uses them. */
struct svr_bfdmeta_key {
	uint32_t index; /* 0: empty */
	struct svr_cipher_key *enc_tx, *enc_rx;
	struct svr_hmac_key *mac_tx, *mac_rx;
};

/*
 * @own_direction: what svr_direction_number() says of our packets. 0, -ENOMEM, -EIO. @out is all
 * zeros on error.
 */
int svr_bfdmeta_key_init(struct svr_crypt *c, uint32_t index,
			 const uint8_t peer_key[static SVR_PEER_KEY_LEN], int own_direction,
			 struct svr_bfdmeta_key *out);
void svr_bfdmeta_key_clear(struct svr_bfdmeta_key *k);

/**
 * svr_bfdmeta_seal() - a whole packet.
 * @key: NULL: no security TLVs, no encryption, no tag
 * @bfd: control packet
 * Return: length of the packet in @out, -ENOSPC, -EINVAL, -EIO.
 */
int svr_bfdmeta_seal(struct svr_crypt *c, struct svr_bfdmeta_key *key,
		     const uint8_t bfd[static SVR_BFD_LEN], const struct svr_bfdmeta *m,
		     uint8_t *out, size_t room);

/**
 * svr_bfdmeta_seal_probe() - the same for a packet of exactly @len bytes. @m has SVR_BFDMETA_PROBE
 * and no piece; its fill is chosen here.
 * Return: @len, -ENOSPC if that is too little or too much, otherwise as above.
 */
int svr_bfdmeta_seal_probe(struct svr_crypt *c, struct svr_bfdmeta_key *key,
			   const uint8_t bfd[static SVR_BFD_LEN], struct svr_bfdmeta *m, size_t len,
			   uint8_t *out, size_t room);

/* Where things are in a received packet. */
struct svr_bfdmeta_outline {
	bool present; /* there is a metadata block */
	bool sealed; /* it is encrypted and has a tag */
	uint32_t key_index; /* peer key that it names */
	size_t payload_at, payload_len; /* payload TLVs as sent */
	size_t tag_at;
};

/**
 * svr_bfdmeta_outline() - cheap: no cryptography.
 * @bfd_len: length field of the control packet, checked
 * Return: 0 or a negative drop reason (BFD_METADATA, ALGORITHM). What does not start with the
 * cookie is no metadata: a plain BFD speaker may send anything there.
 */
int svr_bfdmeta_outline(const uint8_t *p, size_t len, size_t bfd_len,
			struct svr_bfdmeta_outline *o);

/* 0, -SVR_DROP_BFD_AUTH. */
int svr_bfdmeta_verify(struct svr_crypt *c, struct svr_bfdmeta_key *key, const uint8_t *p,
		       const struct svr_bfdmeta_outline *o);

/**
 * svr_bfdmeta_open() - decrypt in place where it is sealed (only after svr_bfdmeta_verify() said
 * 0), and parse.
 * @key: of a sealed packet
 * Return: 0 or -SVR_DROP_BFD_METADATA.
 */
int svr_bfdmeta_open(struct svr_crypt *c, struct svr_bfdmeta_key *key, uint8_t *p,
		     const struct svr_bfdmeta_outline *o, struct svr_bfdmeta *m);

#endif
