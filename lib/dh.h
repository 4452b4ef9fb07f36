/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ephemeral finite-field Diffie-Hellman: named groups, and what a received value must satisfy. Part
 * of libsvr.
 */
#ifndef SVR_LIB_DH_H
#define SVR_LIB_DH_H

#include <stddef.h>
#include <stdint.h>

/*
 * X(id, number on the wire, bits, name). Numbers are TLS's (RFC 7919); 2 is IKE's group 2 (RFC
 * 2409). Weakest first.
 */
#define SVR_DH_GROUPS(X)                     \
	X(MODP1024, 2, 1024, "modp1024")     \
	X(FFDHE2048, 256, 2048, "ffdhe2048") \
	X(FFDHE4096, 258, 4096, "ffdhe4096")

enum svr_dh_group {
#define X(id, n, bits, name) SVR_DH_##id = n,
	SVR_DH_GROUPS(X)
#undef X
};

enum svr_dh_limits {
	SVR_DH_MAX_LEN = 512, /* bytes of a public value or shared secret: 4096 bits */
};

/* Bytes of a value of the group, 0 for a group that is not known. */
size_t svr_dh_len(uint16_t group);
const char *svr_dh_name(uint16_t group); /* "?" for a group that is not known */
uint16_t svr_dh_group_of_bits(unsigned int bits); /* 0 if there is none */

struct svr_dh_secret; /* a private value */

/*
 * The two expensive steps, as functions without state: they may run in another thread, and a test
 * puts others in their place.
 * @public_value, @peer_value, @z: svr_dh_len() bytes, padded with zeros in front
 */
struct svr_dh_ops {
	/* 0, -EINVAL for an unknown group, -EIO. */
	int (*generate)(uint16_t group, struct svr_dh_secret **secret, uint8_t *public_value);
	/* 0, -SVR_DROP_KEX_VALUE if @peer_value is not in 2..p-2 or the result is trivial, -EIO. */
	int (*derive)(const struct svr_dh_secret *secret, const uint8_t *peer_value, uint8_t *z);
	void (*free)(struct svr_dh_secret *secret); /* wipes; NULL is fine */
};
extern const struct svr_dh_ops svr_dh_openssl;

#endif
