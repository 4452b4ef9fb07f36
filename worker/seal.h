/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Protection of one packet (docs/protocol.md sections 2, 6 and 7): ciphertext, IV and tag at the
 * end of the L4 payload, and the sizes that follow from it. Pure: keys, counters and windows are
 * passed in.
 *
 * Cryptography itself is done for whole batches, so each direction has steps before and after it:
 *
 *	svr_seal_text(), svr_seal_tag(), svr_crypt_seal(&seal->job), svr_seal_done()
 *	svr_seal_check(), svr_crypt_tag(&seal->job), svr_seal_checked()
 *	svr_seal_open(), svr_crypt_open(&seal->job), svr_seal_opened()
 */
#ifndef SVR_WORKER_SEAL_H
#define SVR_WORKER_SEAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/crypt.h"
#include "worker/packet.h"

enum { SVR_UNSENT_LEN = 8 + SVR_UUID_LEN + 1 }; /* bytes of an HMAC input that are not sent */

/* ---- sizes --------------------------------------------------------------------------------- */

/*
 * Bytes of IV and tags behind the payload. @meta: the packet carries session metadata, so it has
 * an HMAC tag whatever the cipher is.
 */
size_t svr_seal_trailer_len(uint8_t cipher, uint8_t hmac, bool meta);
/* Bytes of its HMAC tag. */
size_t svr_seal_tag_len(uint8_t cipher, uint8_t hmac, bool meta);
/* What @len bytes of payload become: ciphertext with padding (none if empty), IV, tags. */
size_t svr_seal_len(uint8_t cipher, uint8_t hmac, bool meta, size_t len);
/* The most that a payload may grow, without metadata and what comes with it. */
size_t svr_seal_overhead(uint8_t cipher, uint8_t hmac);

/**
 * svr_seal_host_mtu() - largest IP packet of the host that fits.
 * @limit: MTU between the routers, with what the IP header grows by taken off (or what it shrinks by
 *	added), where both are of different families
 * @front: bytes that go in front of the payload as they are (metadata)
 * @inside: bytes that go in front and are protected like payload (bare header)
 * @proto: TCP headers vary in length, so their packets get a size that fits with all of them
 * @family: of the host's packet
 * Return: bytes, at least what every link of that family carries
 */
uint16_t svr_seal_host_mtu(uint8_t cipher, uint8_t hmac, uint16_t limit, size_t front,
			   size_t inside, uint8_t proto, uint8_t family);

/* ---- to the peer --------------------------------------------------------------------------- */

/* A packet while cryptography works on it. Valid as long as nobody else changes the packet. */
struct svr_seal {
	struct svr_crypt_job job;
	uint8_t nonce[SVR_GCM_NONCE_LEN];
	uint8_t aad[SVR_TCP_MAX_LEN + SVR_UNSENT_LEN];
	uint8_t tag[SVR_TAG_MAX]; /* computed, of a packet from the peer */
	uint8_t kept[SVR_UNSENT_LEN]; /* bytes of the packet that others stand on */
	uint16_t csum; /* the same */
};

/* What goes into a tag besides the packet itself. */
struct svr_seal_input {
	uint64_t window;
	const uint8_t *uuid; /* NULL: sixteen zero bytes, on packets with session metadata */
	uint8_t dir; /* enum svr_dir */
};

/* Nothing is encrypted. */
void svr_seal_begin(struct svr_seal *seal);
/*
 * The payload is to be encrypted: padding, and IV or nonce behind it. @k: for this direction. 0,
 * -SVR_DROP_TOO_BIG without tail room, -SVR_DROP_INTERNAL. Headers may be changed and metadata be put in
 * front afterwards, the payload not.
 */
int svr_seal_text(struct svr_crypt *c, struct svr_seal *seal, struct svr_cipher_key *k,
		  uint16_t epoch, uint64_t counter, struct svr_pkt *p);
/*
 * Everything else is as it leaves; the TCP checksum field becomes zero. @k: NULL if there is no
 * HMAC tag (GCM without metadata).
 */
int svr_seal_tag(struct svr_seal *seal, struct svr_hmac_key *k, size_t tag_len,
		 const struct svr_seal_input *in, struct svr_pkt *p);
/* The tag is there: it becomes part of the payload. 0 or -SVR_DROP_INTERNAL. */
int svr_seal_done(const struct svr_seal *seal, size_t tag_len, struct svr_pkt *p);

/* ---- from the peer ------------------------------------------------------------------------- */

/*
 * Lay out the HMAC input of a packet in place. False without tail room: svr_seal_verify() is left.
 * The caller has checked that the payload is not shorter than the tag.
 */
bool svr_seal_check(struct svr_seal *seal, struct svr_hmac_key *k, size_t tag_len,
		    const struct svr_seal_input *in, struct svr_pkt *p);
/* The packet is as it was before. True if its tag is right. */
bool svr_seal_checked(struct svr_seal *seal, size_t tag_len, struct svr_pkt *p);

/*
 * True if the last @tag_len bytes of the payload are right for @in. The packet is not changed. The
 * caller has checked that the payload is not shorter than the tag.
 */
bool svr_seal_verify(struct svr_crypt *c, struct svr_hmac_key *k, size_t tag_len,
		     const struct svr_seal_input *in, const struct svr_pkt *p);

/* Epoch and counter of a packet whose HMAC tag has @tag_len bytes. -EBADMSG: not of this key. */
int svr_seal_counter(struct svr_crypt *c, struct svr_cipher_key *k, size_t tag_len,
		     const struct svr_pkt *p, uint16_t *epoch, uint64_t *counter);

/*
 * The payload, from which metadata and HMAC tag are taken off, is to be decrypted. Lengths were
 * checked, and a CBC packet was authenticated. 0 or -SVR_DROP_INTERNAL.
 */
int svr_seal_open(struct svr_seal *seal, struct svr_cipher_key *k, const struct svr_seal_input *in,
		  struct svr_pkt *p);
/* 0, -SVR_DROP_HMAC (GCM: the text is garbage), -SVR_DROP_PADDING, -SVR_DROP_INTERNAL. */
int svr_seal_opened(struct svr_seal *seal, struct svr_pkt *p);
/* GCM after -SVR_DROP_HMAC: the text is what it was, to be tried with other unsent bytes. */
int svr_seal_again(struct svr_crypt *c, struct svr_seal *seal, const struct svr_seal_input *in,
		   const struct svr_pkt *p);

#endif
