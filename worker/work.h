/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A frame in work. Frames that were received together go through the stages together (batch.h), so
 * that the cryptography of many packets is one call.
 */
#ifndef SVR_WORKER_WORK_H
#define SVR_WORKER_WORK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <svr/maps.h>

#include "worker/mailbox.h"
#include "worker/packet.h"
#include "worker/seal.h"

struct svr_keyset;

/* What has to happen to it next. */
enum svr_stage {
	SVR_STAGE_OVER, /* sent, handed over or dropped */
	SVR_STAGE_SEAL, /* to the peer: encryption and tag, then svr_outbound_finish() */
	SVR_STAGE_VERIFY, /* from the peer: tag, then svr_inbound_verified() */
	SVR_STAGE_OPEN, /* authentic: decryption, then svr_inbound_finish() */
	SVR_STAGE_OPENED, /* authentic, nothing to decrypt: svr_inbound_finish() */
};

/* What is known of a packet from the peer besides its bytes. */
struct svr_inbound {
	size_t front; /* bytes of metadata, or of a bare header, before the payload */
	bool with_metadata; /* of the session */
	bool key_packet; /* a router made it */
	bool opened; /* GCM: its verification was its decryption */
	uint16_t epoch; /* of the keys that fit */
	uint64_t counter; /* sessions that encrypt only */
	uint64_t window; /* time window that fits, or is tried */
};

/* Where a packet to the peer leaves; the session may be over when it does. */
struct svr_outgoing {
	uint16_t zone, path;
	bool no_csum; /* the host did without */
	uint8_t tag_len; /* of its HMAC tag */
	uint16_t piece; /* longest IP packet on the path, if this one has to be cut; 0: it fits */
	struct svr_tlv_fragment host; /* of its pieces */
};

struct svr_work {
	struct svr_pkt pkt;
	struct svr_frame_desc desc;
	uint64_t addr; /* its chunk; UINT64_MAX: the frame lies elsewhere, and is copied to be sent */
	uint8_t *frame; /* as received, valid until the packet is changed */
	uint32_t frame_len;
	uint16_t port;
	bool gone; /* handed to a transmit ring */
	struct svr_whole_terms terms;
	enum svr_stage stage;
	uint32_t slot, generation; /* of its session, from SVR_STAGE_VERIFY on */
	struct svr_keyset *keys; /* held until the batch is over; NULL: none */
	struct svr_inbound in;
	struct svr_outgoing out;
	struct svr_seal seal; /* last: filled only where it is needed */
};

#endif
