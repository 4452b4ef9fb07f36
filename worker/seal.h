/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Protection of one packet (docs/protocol.md sections 2, 6 and 7): ciphertext, IV and tag at the
 * end of the L4 payload, and the sizes that follow from it. Pure: keys, counters and windows are
 * passed in.
 */
#ifndef SVR_WORKER_SEAL_H
#define SVR_WORKER_SEAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/crypt.h"
#include "worker/packet.h"

/* Bytes of IV and tag behind the payload. */
size_t svr_seal_trailer_len(uint8_t cipher, uint8_t hmac);
/* What @len bytes of payload become: ciphertext with padding (none if empty), IV, tag. */
size_t svr_seal_len(uint8_t cipher, uint8_t hmac, size_t len);
/* The most that a payload may grow. */
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

/*
 * Encrypt the payload in place and put the IV behind it. 0, -SVR_DROP_TOO_BIG without tail room,
 * -SVR_DROP_INTERNAL.
 */
int svr_seal_encrypt(struct svr_crypt *c, struct svr_cipher_key *k, uint16_t epoch,
		     uint64_t counter, struct svr_pkt *p);

/* What goes into a tag besides the packet itself. */
struct svr_seal_input {
	uint64_t window;
	const uint8_t *uuid; /* NULL: sixteen zero bytes, on packets with session metadata */
	uint8_t dir; /* enum svr_dir */
};

/* Put the tag behind the payload; the TCP checksum field becomes zero. */
int svr_seal_sign(struct svr_crypt *c, struct svr_hmac_key *k, size_t tag_len,
		  const struct svr_seal_input *in, struct svr_pkt *p);

/*
 * True if the last @tag_len bytes of the payload are right for @in. The packet is not changed. The
 * caller has checked that the payload is not shorter than the tag.
 */
bool svr_seal_verify(struct svr_crypt *c, struct svr_hmac_key *k, size_t tag_len,
		     const struct svr_seal_input *in, const struct svr_pkt *p);

#endif
