/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Packets that are too long for where they go, in pieces: as fragments of IP towards hosts (RFC 791
 * 3.2, RFC 8200 4.5), as packets of their session between routers (TLV 1, docs/protocol.md 3a). Pure.
 */
#ifndef SVR_WORKER_CUT_H
#define SVR_WORKER_CUT_H

#include <stddef.h>
#include <stdint.h>
#include <svr/wire.h>

#include "worker/packet.h"
#include "worker/reassembly.h"

enum svr_cut_sizes {
	SVR_PIECE_META_LEN = SVR_META_HDR_LEN + SVR_TLV_HDR_LEN + sizeof(struct svr_tlv_fragment),
	SVR_CUT_ROOM = SVR_L2_MAX, /* in front of each piece, for the link layer */
};

/*
 * Takes one piece: an IP packet with SVR_CUT_ROOM bytes of room in front of it; the next one is
 * written over it. 0, or a negative drop reason that ends the cutting.
 */
typedef int (*svr_cut_emit)(void *user, uint8_t *ip, size_t len);

/*
 * Buffer for the pieces, SVR_CUT_ROOM + SVR_PACKET_MAX bytes, and who takes them.
 */
struct svr_cut {
	uint8_t *buffer;
	svr_cut_emit emit;
	void *user;
};

/**
 * svr_cut_ip() - fragments of a finished IP packet.
 * @p: with all checksums; its fragment fields are not looked at
 * @mtu: longest fragment, bytes
 * @id: identification of the fragments; IPv4 takes the lower half, unless the packet has one
 * Return: 0 or a negative drop reason.
 */
int svr_cut_ip(const struct svr_cut *c, const struct svr_pkt *p, uint16_t mtu, uint32_t id);

/**
 * svr_cut_session() - pieces of a finished packet between routers.
 * @p: with its checksum, which is verified: no piece may make a wrong one right
 * @limit: longest piece, bytes of IP
 * @tlv: id, ip_id, largest, and the flag SVR_FRAGMENT_DF; the rest is filled for each piece
 * Return: 0 or a negative drop reason.
 */
int svr_cut_session(const struct svr_cut *c, const struct svr_pkt *p, uint16_t limit,
		    const struct svr_tlv_fragment *tlv);

#endif
