/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Counters per interface that are no drops. Index into a row of svr_stats (XDP, per CPU) and into svr_worker_stats (worker). */
#ifndef SVR_STATS_H
#define SVR_STATS_H

#include <linux/types.h>

#define SVR_STATS(X)                                                                             \
	X(RX_PACKETS, 0, "rx-packets", "packets that the XDP program saw")                       \
	X(RX_BYTES, 1, "rx-bytes", "bytes of them, link-layer header included")                  \
	X(PASSED, 2, "passed", "packets given to the kernel (ARP, own addresses, BFD)")          \
	X(FORWARDED, 3, "forwarded", "packets sent on by XDP")                                   \
	X(TO_WORKER, 4, "to-worker", "packets given to the worker")                              \
	X(DROPPED, 5, "dropped", "packets dropped, see svr_drops")                               \
	X(SESSIONS_FWD, 6, "sessions-originated", "sessions made for a packet from the LAN")     \
	X(SESSIONS_REV, 7, "sessions-terminated", "sessions made for metadata from a peer")      \
	X(SESSIONS_CLOSED, 8, "sessions-closed", "sessions removed (closed, idle or deleted)")   \
	X(META_ADDED, 9, "metadata-added", "packets to which metadata was added")                \
	X(META_REMOVED, 10, "metadata-removed", "packets from which metadata was removed")       \
	X(FALSE_POSITIVE_ADDED, 11, "metadata-add-false-positive-correction",                    \
	  "user data that starts with the cookie, bare header put in front")                     \
	X(FALSE_POSITIVE_REMOVED, 12, "metadata-remove-false-positive-correction",               \
	  "bare header taken away")                                                              \
	X(UNKNOWN_TLV, 13, "metadata-unknown-tlv", "TLVs that were skipped by their length")     \
	X(CSUM_COMPLETED, 14, "checksum-completed", "partial checksums of local hosts completed")\
	X(ICMP_TOO_BIG, 15, "icmp-too-big", "ICMP too-big messages sent")                        \
	X(MSS_CLAMPED, 16, "mss-clamped", "SYN packets whose MSS was lowered")                   \
	X(PAYLOAD_ENCRYPTED, 17, "payload-encrypted", "packets encrypted")                       \
	X(PAYLOAD_DECRYPTED, 18, "payload-decrypted", "packets decrypted")                       \
	X(HMAC_ADDED, 19, "hmac-digest-added", "HMAC tags added")                                \
	X(HMAC_REMOVED, 20, "hmac-digest-removed", "HMAC tags verified and removed")             \
	X(META_DUPLICATE, 21, "metadata-duplicate", "metadata of a live session answered again") \
	X(TX_PACKETS, 22, "tx-packets", "packets that the worker sent")                          \
	X(TX_BYTES, 23, "tx-bytes", "bytes of them")                                             \
	X(NEIGHBOUR_HELD, 24, "neighbour-held", "packets held until the next hop was resolved")  \
	X(ICMP_TIME_EXCEEDED, 25, "icmp-time-exceeded", "ICMP time-exceeded messages sent")      \
	X(ICMP_LIMITED, 26, "icmp-limited", "ICMP messages not sent because of the rate limit")  \
	X(ICMP_MAPPED, 27, "icmp-mapped", "ICMP errors about packets of a session sent on")  \
	X(REKEY_OFFERED, 28, "rekey-offered", "new keys offered to the other router of a session")   \
	X(REKEYED, 29, "session-rekeyed", "sessions that changed to new keys")         \
	X(CAPTURE_MISSED, 30, "capture-missed", "packets that svr capture was too slow for")

enum svr_stat {
#define X(id, n, name, text) SVR_STAT_##id = n,
	SVR_STATS(X)
#undef X
	SVR_STAT_MAX = 32, /* size of the counter arrays; numbers stay below */
};

/* A row of svr_stats: all counters of a zone, so that XDP looks them up once per packet. */
struct svr_zone_stats {
	__u64 count[SVR_STAT_MAX];
};

#endif
