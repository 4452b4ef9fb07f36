/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Key epochs of a session (docs/protocol.md section 7): which of its two sets of keys counts, when
 * a new one is due, and how one is put in so that a process that is killed in between leaves
 * nothing half. Works on the mapped record alone. Part of libsvr.
 */
#ifndef SVR_LIB_EPOCH_H
#define SVR_LIB_EPOCH_H

#include <stdbool.h>
#include <stdint.h>
#include <svr/maps.h>

enum { SVR_EPOCH_FIRST = 1 };

/* Packets of one direction under one epoch: new keys are made at the first number, and nothing is
 * sent any more at the second. */
#define SVR_EPOCH_PACKETS_REKEY (1ULL << 32)
#define SVR_EPOCH_PACKETS_MAX (1ULL << 48)
/* The same for AES-GCM: NIST SP 800-38D section 8.3 allows 2^32 invocations. */
#define SVR_EPOCH_GCM_REKEY (1ULL << 30)
#define SVR_EPOCH_GCM_MAX (1ULL << 32)

/* Keys of an epoch that is over are forgotten after this time: late packets have arrived by then. */
#define SVR_EPOCH_OLD_NS (30 * 1000000000ULL)

/* Serial numbers (RFC 1982) without 0: @a comes after @b. */
bool svr_epoch_newer(uint16_t a, uint16_t b);
uint16_t svr_epoch_next(uint16_t epoch);

/* Indexes into s->keys. The newest keys; those to send with; those of @epoch or -1. */
unsigned int svr_epoch_newest(const struct svr_session *s);
unsigned int svr_epoch_tx(const struct svr_session *s);
int svr_epoch_find(const struct svr_session *s, uint16_t epoch);

/* This router has offered new keys, and the peer did not answer yet. */
bool svr_epoch_offered(const struct svr_session *s);

/**
 * svr_epoch_install() - another epoch in place of the older of both.
 * @fresh: epoch, peer key and keys; the rest is filled here
 * @unconfirmed: the peer has to show first that it has them
 */
void svr_epoch_install(struct svr_session *s, const struct svr_session_keys *fresh,
		       bool unconfirmed, uint64_t now_ns);

/* The peer used the newest keys. True if that was not known before. */
bool svr_epoch_confirm(struct svr_session *s);

/* Forget keys that are over. */
void svr_epoch_retire(struct svr_session *s, uint64_t now_ns);

/**
 * svr_epoch_due() - is it time for new keys?
 * @interval_ns: age at which keys are replaced, 0: never; sessions of one moment are spread over
 *	the last eighth of it
 * @peer_key_index: peer key that new keys would come from. A session that only signs has no other
 *	keys than those: without another peer key there is nothing to replace.
 */
bool svr_epoch_due(const struct svr_session *s, uint64_t interval_ns, uint32_t peer_key_index,
		   uint64_t now_ns);

/* Nothing may be sent under the keys in use any more. */
bool svr_epoch_exhausted(const struct svr_session *s);

#endif
