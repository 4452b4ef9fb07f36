/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Key epochs of a session (docs/protocol.md section 7): which of its two sets of keys counts, when
 * a new one is due, and how one is put in so that a process that is killed in between leaves
 * nothing half. Works on the mapped record and its row of svr_session_others alone. Part of libsvr.
 *
 * Who changes keys holds a lock. Without it a reader may ask which epochs there are (svr_epochs_of()); the
 * keys of an epoch may move while he looks for them.
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

/* The epochs that a session has keys of, and what they are for; 0: none. */
struct svr_epochs {
	uint16_t newest;
	uint16_t older;
	uint16_t tx; /* to send with */
	bool offered; /* this router has offered the newest ones, and the peer did not answer yet */
};
struct svr_epochs svr_epochs_of_two(const struct svr_session *s,
				    const struct svr_session_other *others);
/* @others: all rows of svr_session_others. For every packet; hardly any session has two. */
static inline struct svr_epochs svr_epochs_of(const struct svr_session *s,
					      const struct svr_session_other *others)
{
	const uint16_t own = __atomic_load_n(&s->keys.epoch, __ATOMIC_ACQUIRE);

	if (own && !__atomic_load_n(&s->other, __ATOMIC_ACQUIRE) &&
	    own == __atomic_load_n(&s->keys.epoch, __ATOMIC_RELAXED))
		return (struct svr_epochs){ .newest = own, .tx = own };
	return svr_epochs_of_two(s, others);
}
static inline bool svr_epochs_have(const struct svr_epochs *e, uint16_t epoch)
{
	return epoch && (epoch == e->newest || epoch == e->older);
}

/* ---- under the lock ------------------------------------------------------------------------ */

/* Keys of an epoch; NULL: there are none. */
struct svr_session_keys *svr_epoch_keys(struct svr_session *s, struct svr_session_other *others,
					uint16_t epoch);
/* The same to read, also without the lock if nobody depends on what comes out. */
const struct svr_session_keys *svr_epoch_keys_const(const struct svr_session *s,
						    const struct svr_session_other *others,
						    uint16_t epoch);

/* True if another epoch needs a row of svr_session_others: there are keys, and this session has no row. */
bool svr_epoch_needs_row(const struct svr_session *s);
/* It gets one, which is free. @slot: its own */
void svr_epoch_give_row(struct svr_session *s, struct svr_session_other *others, uint16_t row,
			uint32_t slot);

/**
 * svr_epoch_install() - another epoch in place of the older of both, or beside the only one.
 * @fresh: epoch, peer key and keys; the rest is filled here
 * @unconfirmed: the peer has to show first that it has them
 * There must be a row if svr_epoch_needs_row(). Return: HMAC row of the keys that had to go, 0: none.
 */
uint16_t svr_epoch_install(struct svr_session *s, struct svr_session_other *others,
			   const struct svr_session_keys *fresh, bool unconfirmed, uint64_t now_ns);

/* The peer used the newest keys. True if that was not known before. */
bool svr_epoch_confirm(struct svr_session *s);

/* The older keys are over: svr_epoch_retire() is due. */
bool svr_epoch_over(const struct svr_session *s, const struct svr_session_other *others,
		    uint64_t now_ns);
/* What a session does not need any more. */
struct svr_epoch_freed {
	uint16_t row; /* of svr_session_others, wiped; 0: none */
	uint16_t hmac; /* row of svr_session_hmacs that older keys used; 0: none */
};
/* Forget the older keys; the newest ones are in the session's own record afterwards. */
struct svr_epoch_freed svr_epoch_retire(struct svr_session *s, struct svr_session_other *others);

/**
 * svr_epoch_due() - is it time for new keys?
 * @interval_ns: age at which keys are replaced, 0: never; sessions of one moment are spread over
 *	the last eighth of it
 * @peer_key_index: peer key that new keys would come from. A session that only signs has no other
 *	keys than those: without another peer key there is nothing to replace.
 */
bool svr_epoch_due(const struct svr_session *s, const struct svr_session_other *others,
		   uint64_t interval_ns, uint32_t peer_key_index, uint64_t now_ns);

/* ---- without it ---------------------------------------------------------------------------- */

/* Nothing may be sent any more under keys that were put in at counter @tx_first. */
bool svr_epoch_exhausted(const struct svr_session *s, uint64_t tx_first);

#endif
