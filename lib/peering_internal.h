/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What peering.c (packets, verdict), peering_paths.c (life and measurements of a path) and
 * peering_keys.c (key slots) share. Not for others.
 */
#ifndef SVR_LIB_PEERING_INTERNAL_H
#define SVR_LIB_PEERING_INTERNAL_H

#include <netinet/in.h>

#include "lib/peering.h"

enum { SVR_PEERING_NO_SLOT = SVR_KEY_SLOTS };

/*
 * Takes back what is the peer's own, empties everything else, stores the result. 0 or negative
 * errno.
 */
int svr_peering_keys_restore(struct svr_peering *p, const struct svr_peer_keys *saved);
void svr_peering_keys_clear(struct svr_peering *p);
/* No key any more, and that is stored. */
void svr_peering_keys_forget(struct svr_peering *p);
/* They hold under the rules of now, too: the next process takes them back. 0 or -EIO. */
int svr_peering_keys_own(struct svr_peering *p);

/*
 * Key to receive with; NULL if the index is not known or not in use. @seal: what a packet under it
 * proves.
 */
struct svr_bfdmeta_key *svr_peering_rx_key(struct svr_peering *p, uint32_t index,
					   enum svr_kex_seal *seal);
/* Key that packets are sent with; NULL: none. */
struct svr_bfdmeta_key *svr_peering_tx_key(struct svr_peering *p);
struct svr_bfdmeta_key *svr_peering_key_for(struct svr_peering *p, enum svr_kex_seal seal);

/* The peer sends BFD packets with @index, so it has that key: rotation goes on. */
void svr_peering_peer_uses(struct svr_peering *p, uint32_t index, struct svr_now now);

/* Some path is up, or none. */
void svr_peering_note_contact(struct svr_peering *p, bool up, struct svr_now now);

/* Some path is in service. */
bool svr_peering_in_service(const struct svr_peering *p);

/* What of rotation is due; when the next of it will be. */
void svr_peering_rotate(struct svr_peering *p, struct svr_now now);
uint64_t svr_peering_rotate_next(const struct svr_peering *p);

/* One more packet under the key that BFD uses. False: it must not be sent. */
bool svr_peering_count_packet(struct svr_peering *p, const struct svr_bfdmeta_key *key);

/* For struct svr_kex_ops; user is the peering. */
bool svr_peering_index_free(void *user, uint32_t index);
bool svr_peering_may_rekey(void *user);
int svr_peering_pending(void *user, uint32_t index, const uint8_t *key);
void svr_peering_confirmed(void *user, const uint8_t *fingerprint, bool authenticated,
			   struct svr_now now);

/* Own metadata key that was announced last; NULL: none. */
const struct svr_meta_key *svr_peering_own_meta(const struct svr_peering *p);
/* A metadata key of the peer. True if it was not the one in use. */
bool svr_peering_meta_install(struct svr_peering *p, uint32_t index,
			      const uint8_t key[static SVR_META_KEY_LEN], struct svr_now now);

/*
 * Highest sequence number accepted on the path under a key, and setting it, which makes room for a
 * new key.
 */
uint64_t svr_peering_rx_seq(const struct svr_peering_path *path, uint32_t index,
			    enum svr_kex_seal seal);
void svr_peering_rx_seq_set(struct svr_peering_path *path, uint32_t index, enum svr_kex_seal seal,
			    uint64_t seq);

/* One packet more on every path that is up, with what is to be delivered. */
void svr_peering_send_all(struct svr_peering *p);
/*
 * One packet more. @extra: what it carries besides (piece, test, probe, probe_ack), NULL: nothing.
 * @len: bytes that it has to have, 0: as long as it is
 */
void svr_peering_send_extra(struct svr_peering_path *path, const struct svr_bfdmeta *extra,
			    size_t len, struct svr_bfdmeta_key *key);
void svr_peering_update(struct svr_peering *p);

/* Stores the path's state. */
void svr_peering_path_save(struct svr_peering_path *path);
const char *svr_peering_path_name(const struct svr_peering_path *path,
				  char buf[static INET6_ADDRSTRLEN]);
extern const struct svr_bfd_ops svr_peering_bfd_ops; /* user: the path */

/* A path that was in service failed: how long it has to be up before it is trusted again. */
void svr_peering_path_failed(struct svr_peering_path *path);
void svr_peering_path_clear(struct svr_peering_path *path); /* frees what hangs on it */

/* Tests and discovery run while the path may: starts or stops them. */
void svr_peering_path_measure(struct svr_peering_path *path, struct svr_now now);
/* Does what is due of them. */
void svr_peering_path_tick(struct svr_peering_path *path, struct svr_now now);
uint64_t svr_peering_path_next(const struct svr_peering_path *path);
/* TLVs of an authentic packet of @len bytes. */
void svr_peering_path_take(struct svr_peering_path *path, const struct svr_bfdmeta *m, size_t len,
			   struct svr_now now);
/* A packet with this tx_ns leaves now, and when one left: monotonic, 0: not known. */
void svr_peering_stamp(struct svr_peering_path *path, uint64_t tx_ns, struct svr_now now);
uint64_t svr_peering_stamped(const struct svr_peering_path *path, uint64_t tx_ns);
void svr_peering_log(struct svr_peering *p, bool warn, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#endif
