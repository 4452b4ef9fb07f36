/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Every reason to refuse a packet: number, name, sentence. The number is an index into svr_drops (XDP),
 * svr_worker_drops (worker) and svr_keymgr_drops (key manager), and is never used again for something else. Functions
 * return it as a negative number.
 * May be included by anyone; BPF programs use only the enum.
 */
#ifndef SVR_DROPS_H
#define SVR_DROPS_H

#define SVR_DROP_REASONS(X)                                                                                     \
	X(NONE, 0, "none", "not dropped")                                                                       \
	/* structure of the packet */                                                                           \
	X(SHORT, 1, "short", "packet ends inside a header")                                                     \
	X(BAD_IP, 2, "bad-ip", "IP header with a wrong version, header length or total length")                 \
	X(IP_OPTIONS, 3, "ip-options", "IPv4 options on a packet for a session")                                \
	/* 4 was ipv6 */                                                                                       \
	X(FRAGMENT, 5, "fragment", "IP fragment of what is not carried in sessions")                            \
	X(PROTOCOL, 6, "protocol", "IP protocol that is not carried in sessions")                               \
	X(BAD_L4, 7, "bad-l4", "TCP or UDP header with a wrong length")                                         \
	X(TTL, 8, "ttl", "time to live or hop limit exceeded; the sender is told")                              \
	X(VLAN, 9, "vlan", "VLAN tag that no network interface is configured for")                              \
	X(ETHERTYPE, 10, "ethertype", "neither IP nor ARP")                                                     \
	X(TOO_BIG, 11, "too-big", "does not fit the path MTU; the sender is told")                              \
	X(BAD_CSUM, 12, "bad-checksum", "wrong IP, TCP or UDP checksum")                                        \
	X(HEADROOM, 13, "headroom", "driver leaves no room in front of the packet for metadata")                \
	X(IP6_EXTENSION, 14, "ip6-extension", "IPv6 extension header on a packet for a session")                \
	X(ICMP_LIMITED, 15, "icmp-limited", "ICMP error above the rate of its interface")                        \
	/* classification */                                                                                    \
	X(NO_TENANT, 16, "no-tenant", "source address belongs to no tenant of this interface")                  \
	X(NO_SERVICE, 17, "no-service", "no service has this destination, protocol and port")                   \
	X(NO_ACCESS, 18, "no-access", "access policy of the service does not allow this tenant")                \
	X(NO_ROUTE, 19, "no-route", "no service route, or one that this router cannot use")                     \
	X(NO_PATH, 20, "no-path", "no peer path of the service route is in service")                            \
	X(NOT_SYN, 21, "not-syn", "first TCP packet of a session is not a SYN")                                 \
	X(NOT_LOCAL, 22, "not-local", "transit traffic on a WAN interface")                                     \
	X(NO_FLOW, 23, "no-flow", "waypoint packet of no known session and without metadata")                   \
	X(UNKNOWN_PEER, 24, "unknown-peer", "metadata from an address that is no peer path")                    \
	X(PATH_DOWN, 25, "path-down", "peer path is out of service")                                            \
	X(NO_NEIGHBOUR, 26, "no-neighbour", "link-layer address of the next hop is not known")                  \
	X(NO_PORT, 27, "no-port", "no free waypoint port pair was found")                                       \
	X(TABLE_FULL, 28, "table-full", "flow or session table is full")                                        \
	X(NOT_CONFIGURED, 29, "not-configured", "interface is attached but has no configuration")               \
	X(NOT_WAN_SESSION, 30, "session-mismatch", "session record no longer belongs to this flow")             \
	X(ICMP_UNMATCHED, 31, "icmp-unmatched", "ICMP answer or error that belongs to no session")              \
	/* metadata */                                                                                          \
	X(META_MALFORMED, 32, "metadata-malformed", "metadata header or TLV lengths do not fit")                \
	X(META_VERSION, 33, "metadata-version", "metadata version other than 1")                                \
	X(META_INCOMPLETE, 34, "metadata-incomplete", "metadata lacks a TLV that a session needs")              \
	X(META_SERVICE, 35, "metadata-service", "metadata names a service that is not configured")              \
	X(META_TENANT, 36, "metadata-tenant", "metadata names a tenant that is not configured")                 \
	X(META_POLICY, 37, "metadata-policy", "security policy of the metadata is not the service's")           \
	X(META_CONTEXT, 38, "metadata-context", "context is outside of the service or its access policy")       \
	X(META_UUID, 39, "metadata-uuid", "metadata of another session on a live flow")                         \
	X(META_NONCE_OLD, 40, "metadata-nonce-old", "nonce outside of the time that is accepted")               \
	X(META_REPLAY, 41, "metadata-replay", "nonce was seen before")                                          \
	X(META_NONCE_FULL, 42, "metadata-nonce-full", "nonce memory is full")                                   \
	X(META_DECRYPT, 43, "metadata-decrypt", "encrypted metadata does not decrypt")                          \
	X(META_SENDER, 44, "metadata-sender", "metadata was sent by another router than the path's peer")       \
	X(META_UNEXPECTED, 45, "metadata-unexpected", "metadata with a kind of context that does not fit here") \
	X(META_GLARE, 46, "metadata-glare", "both routers made a session for the same connection, ours stays")  \
	/* cryptography */                                                                                      \
	X(NO_KEY, 48, "no-key", "no valid key for this peer or index")                                          \
	X(HMAC, 49, "hmac", "HMAC tag is wrong")                                                                \
	X(HMAC_SKEW, 50, "hmac-skew", "HMAC tag is right for a time window outside of what is accepted")        \
	X(HMAC_MISSING, 51, "hmac-missing", "packet is too short for its HMAC tag and IV")                      \
	X(BAD_IV, 52, "bad-iv", "IV does not decrypt to a packet counter")                                      \
	X(EPOCH, 53, "epoch", "packet counter of an unknown key epoch")                                         \
	X(REPLAY, 54, "replay", "packet counter was seen before")                                               \
	X(REPLAY_OLD, 55, "replay-old", "packet counter is older than the replay window")                       \
	X(PADDING, 56, "padding", "ciphertext or padding has a wrong length")                                   \
	X(COUNTER_LIMIT, 57, "counter-limit", "packet counter is exhausted, session needs a new key")           \
	X(ALGORITHM, 58, "algorithm", "security parameters name an algorithm that is not allowed")              \
	X(KEYS_FULL, 59, "keys-full", "no room for the keys of another peer key or another epoch")              \
	/* worker */                                                                                            \
	X(NO_WORKER, 64, "no-worker", "session needs the worker, and it does not run")                          \
	X(TX_FULL, 65, "tx-full", "transmit ring or frame memory is full")                                      \
	X(HOLD_FULL, 66, "hold-full", "too many packets wait for a next hop")                                   \
	X(HOLD_TIMEOUT, 67, "hold-timeout", "next hop did not answer in time")                                  \
	X(BAD_META_AREA, 68, "bad-meta-area", "frame from XDP without the agreed description")                  \
	X(INTERNAL, 69, "internal", "a step failed that cannot fail; report it")                                \
	/* key manager: BFD and key exchange */                                                                 \
	X(BFD_SHORT, 80, "bfd-short", "BFD packet is too short or its length field is wrong")                   \
	X(BFD_VERSION, 81, "bfd-version", "BFD version other than 1")                                           \
	X(BFD_FIELDS, 82, "bfd-fields", "BFD detect multiplier, discriminator, interval or flags not allowed")  \
	X(BFD_SESSION, 83, "bfd-session", "BFD packet for no session of this router")                           \
	X(BFD_TTL, 84, "bfd-ttl", "BFD packet from farther away than a single hop")                             \
	X(BFD_AUTH, 85, "bfd-auth", "BFD packet whose HMAC tag is wrong, or missing where a key exists")        \
	X(BFD_REPLAY, 86, "bfd-replay", "BFD packet that was seen before")                                      \
	X(BFD_METADATA, 87, "bfd-metadata", "metadata behind BFD is malformed")                                 \
	X(BFD_FRAGMENT, 79, "bfd-fragment", "BFD packet that came in fragments")                                \
	X(KEX_STATE, 88, "kex-state", "key-exchange message that does not fit the state")                       \
	X(KEX_CERTIFICATE, 89, "kex-certificate", "peer's certificate was refused")                             \
	X(KEX_SIGNATURE, 90, "kex-signature", "signature over the key exchange is wrong")                       \
	X(KEX_VALUE, 91, "kex-value", "public value or algorithm of the key exchange was refused")              \
	X(KEX_RATE, 92, "kex-rate", "key-exchange message above the rate limit")                                \
	X(KEX_PIECES, 93, "kex-pieces", "pieces of a key-exchange message do not fit together")                 \
	/* fragments of IP, and pieces of packets between routers (TLV 1) */                                    \
	X(FRAGMENT_RATE, 96, "fragment-rate", "fragments above the rate of their interface")                    \
	X(FRAGMENT_OVERLAP, 97, "fragment-overlap", "fragment overlaps another one; the packet is given up")    \
	X(FRAGMENT_LENGTH, 98, "fragment-length", "offset or length of a fragment does not fit its packet")     \
	X(FRAGMENT_TINY, 99, "fragment-tiny", "first fragment ends inside the TCP or UDP header")               \
	X(FRAGMENT_FULL, 100, "fragment-full", "too many fragments wait for others, of all or of one sender")   \
	X(FRAGMENT_TIMEOUT, 101, "fragment-timeout", "other fragments of the packet did not come in time")

enum svr_drop {
#define X(id, n, name, text) SVR_DROP_##id = n,
	SVR_DROP_REASONS(X)
#undef X
	SVR_DROP_MAX = 128, /* size of the counter arrays; numbers stay below */
};

#endif
