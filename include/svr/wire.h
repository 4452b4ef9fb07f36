/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What is on the wire: header, TLV numbers, algorithm numbers, fixed sizes and times. docs/protocol.md is the
 * normative text; a number that stands here and not there is a bug. May be included by anyone, BPF included.
 */
#ifndef SVR_WIRE_H
#define SVR_WIRE_H

#include <linux/types.h>

/* Cookie as the eight bytes are sent; compare with memcmp or as a __be64. */
#define SVR_COOKIE_BYTES { 0x4c, 0x48, 0xdb, 0xc6, 0xdd, 0xf6, 0x67, 0x0c }
#define SVR_COOKIE_HOST 0x4c48dbc6ddf6670cULL /* value of the big-endian u64 */

enum svr_wire {
	SVR_COOKIE_LEN = 8,
	SVR_META_VERSION = 1,
	SVR_META_HDR_LEN = 12,	/* base header, bytes */
	SVR_TLV_HDR_LEN = 4,	/* type + length, bytes */
	SVR_BFD_PORT = 1280,	/* UDP, source and destination */
	SVR_BFD_PORT_SINGLE_HOP = 3784, /* plain BFD, RFC 5881 4 */
	SVR_BFD_PORT_MULTI_HOP = 4784,	/* RFC 5883 5 */
	SVR_BFD_LEN = 24,	/* BFD control packet without authentication section, bytes */
	SVR_PORT_LO = 16384,	/* default waypoint port range, inclusive */
	SVR_PORT_HI = 65534,
	SVR_BLOCK_LEN = 16,	/* AES block and IV, bytes */
	SVR_TAG_MAX = 64,	/* longest HMAC tag (sha512), bytes */
	SVR_GCM_NONCE_LEN = 12,	/* bytes, NIST SP 800-38D section 8.2.1 */
	SVR_GCM_EXPLICIT_LEN = 10, /* the part of it that is sent: epoch and counter, bytes */
	SVR_GCM_TAG_LEN = 16,	/* bytes */
	SVR_WINDOW_SEC = 2,	/* time-based HMAC: length of one window, seconds */
	SVR_NONCE_LIFE_SEC = 10,/* a nonce older (or newer) than this is refused, seconds */
	SVR_UUID_LEN = 16,
};

/* Base header, network byte order. ver_hlen = version (4 bits) | header length (12 bits, base header included). */
struct svr_meta_hdr {
	__u8 cookie[8];
	__be16 ver_hlen;
	__be16 payload_len;	/* bytes of payload TLVs as sent, that is after encryption */
} __attribute__((packed));
_Static_assert(sizeof(struct svr_meta_hdr) == SVR_META_HDR_LEN, "wire");

/* Header of each TLV; length counts the value only. No padding, no alignment. */
struct svr_tlv_hdr {
	__be16 type;
	__be16 length;
} __attribute__((packed));
_Static_assert(sizeof(struct svr_tlv_hdr) == SVR_TLV_HDR_LEN, "wire");

/* TLV registry. Numbers below 0xF000 are SSR's, from 0xF000 up ours. H: header (always clear), P: payload. */
enum svr_tlv {
	SVR_TLV_FRAGMENT = 1,		/* H 10 */
	SVR_TLV_FWD_CONTEXT4 = 2,	/* P 13: saddr, daddr, sport, dport, protocol */
	SVR_TLV_FWD_CONTEXT6 = 3,	/* P 37 */
	SVR_TLV_REV_CONTEXT4 = 4,	/* P 13: the same fields, server as source */
	SVR_TLV_REV_CONTEXT6 = 5,	/* P 37 */
	SVR_TLV_SESSION_UUID = 6,	/* P 16 */
	SVR_TLV_TENANT = 7,		/* P string */
	SVR_TLV_GIID = 8,
	SVR_TLV_SERVICE = 10,		/* P string */
	SVR_TLV_SESSION_ENCRYPTED = 11,	/* P 0: payload of the session is encrypted */
	SVR_TLV_TCP_SYN = 12,
	SVR_TLV_NUM_SESSIONS = 13,
	SVR_TLV_SOURCE_ROUTER = 14,	/* P string: peering-common-name of the sender */
	SVR_TLV_POLICY = 15,		/* P string: security policy of the session */
	SVR_TLV_SECURITY_ID = 16,	/* H 4: index of the receiver's metadata key */
	SVR_TLV_DEST_ROUTER = 17,
	SVR_TLV_DISABLE_FWD = 18,
	SVR_TLV_PATH_ID = 19,		/* P string: address of the sender's waypoint, as text */
	SVR_TLV_ICMP4_LOCATION = 20,
	SVR_TLV_ICMP6_LOCATION = 21,
	SVR_TLV_CONTROL = 24,
	SVR_TLV_PATH_METRICS = 26,
	SVR_TLV_MODIFY = 28,
	SVR_TLV_SESSION_KEY = 46,	/* P 32 (as a header TLV of length 1 it is the session health check) */

	SVR_TLV_SECURITY_PARAMS = 0xF001,/* H 8: struct svr_tlv_security_params */
	SVR_TLV_NONCE = 0xF002,		/* P 16: u64 time (ns since 1970, sender's clock), u64 random */
	SVR_TLV_KEY_EPOCH = 0xF003,	/* P 2: epoch of the session's keys, 1 if absent */
	SVR_TLV_KEY_PACKET = 0xF004,	/* P 0: made by a router to agree keys, not for the host */

	SVR_TLV_BFD_HELLO = 0xF010,	/* P: who sends, see struct svr_tlv_bfd_hello */
	SVR_TLV_BFD_TIME = 0xF011,	/* P 32: struct svr_tlv_bfd_time */
	SVR_TLV_BFD_PATH = 0xF012,	/* P 32: waypoint addresses of the sender and of the receiver */
	SVR_TLV_BFD_TEST = 0xF013,	/* P 12: link test, struct svr_tlv_bfd_test */
	SVR_TLV_BFD_PROBE = 0xF014,	/* P: path MTU probe, u32 id, any bytes */
	SVR_TLV_BFD_PROBE_ACK = 0xF015,	/* P 8: u32 id, u16 bytes of UDP payload that came, u16 zero */
	SVR_TLV_BFD_FILL = 0xF016,	/* H: any bytes, make a probe as long as it has to be */
	SVR_TLV_KEX_PIECE = 0xF020,	/* P: struct svr_tlv_kex_piece and bytes of a key-exchange message */
	SVR_TLV_META_KEY = 0xF021,	/* P 36: u32 metadata key index, 32 key bytes */
	SVR_TLV_META_KEY_ACK = 0xF022,	/* P 4: u32 metadata key index */
};

/* TLV 1: the block stands in front of a piece of a packet's L4 payload. */
struct svr_tlv_fragment {
	__be32 id;		/* of the packet, chosen by the router that cuts it */
	__be16 ip_id;		/* identification of the host's IPv4 packet, 0 for IPv6 */
	__be16 flags_offset;	/* enum svr_fragment_bits; offset of the piece in units of 8 bytes */
	__be16 largest;		/* longest IP fragment that the packet came in, bytes; 0: it came whole */
} __attribute__((packed));
_Static_assert(sizeof(struct svr_tlv_fragment) == 10, "wire");

enum svr_fragment_bits {
	SVR_FRAGMENT_DF = 0x4000,	/* the host's packet had don't-fragment */
	SVR_FRAGMENT_MORE = 0x2000,	/* this is not the last piece */
	SVR_FRAGMENT_OFFSET = 0x1fff,
};

/* Context TLV value (2 and 4). */
struct svr_context4 {
	__be32 saddr;
	__be32 daddr;
	__be16 sport;
	__be16 dport;
	__u8 proto;
} __attribute__((packed));
_Static_assert(sizeof(struct svr_context4) == 13, "wire");

/* TLVs 3 and 5 */
struct svr_context6 {
	__be32 saddr[4];
	__be32 daddr[4];
	__be16 sport;
	__be16 dport;
	__u8 proto;
} __attribute__((packed));
_Static_assert(sizeof(struct svr_context6) == 37, "wire");

/* Which key and algorithms protect this packet. Clear, but under the tag; checked against the policy afterwards. */
struct svr_tlv_security_params {
	__be32 peer_key_index;
	__u8 cipher;		/* enum svr_cipher, of the payload */
	__u8 hmac;		/* enum svr_hmac */
	__u8 hmac_mode;		/* enum svr_hmac_mode */
	__u8 reserved;		/* zero when sent, refused otherwise */
} __attribute__((packed));
_Static_assert(sizeof(struct svr_tlv_security_params) == 8, "wire");

struct svr_tlv_nonce {
	__be64 time_ns;
	__be64 random;
} __attribute__((packed));
_Static_assert(sizeof(struct svr_tlv_nonce) == 16, "wire");

/* In BFD packets, see docs/protocol.md section 8. The common name of the sender follows the hello. */
struct svr_tlv_bfd_hello {
	__be32 instance;	/* random, another one after each start */
	__be16 version;
	__be16 flags;		/* zero when sent, ignored */
} __attribute__((packed));
_Static_assert(sizeof(struct svr_tlv_bfd_hello) == 8, "wire");

struct svr_tlv_bfd_time {
	__be64 seq;
	__be64 tx_ns;		/* sender's CLOCK_REALTIME */
	__be64 echo_ns;		/* tx_ns of the last packet from the receiver, 0: none */
	__be64 echo_rx_ns;	/* sender's CLOCK_REALTIME when that came */
} __attribute__((packed));
_Static_assert(sizeof(struct svr_tlv_bfd_time) == 32, "wire");

struct svr_tlv_bfd_path {
	__u8 sender[16];	/* IPv4 as ::ffff:a.b.c.d */
	__u8 receiver[16];
} __attribute__((packed));
_Static_assert(sizeof(struct svr_tlv_bfd_path) == 32, "wire");

/* A request, or its answer, which repeats burst and number. */
struct svr_tlv_bfd_test {
	__u8 kind;		/* 1: request, 2: answer */
	__u8 reserved;		/* zero when sent, ignored */
	__be16 number;		/* in the burst, from 0 */
	__be32 burst;
	__be32 accept_us;	/* the sender answers requests that come not faster than this */
} __attribute__((packed));
_Static_assert(sizeof(struct svr_tlv_bfd_test) == 12, "wire");

/* Bytes of the message follow. */
struct svr_tlv_kex_piece {
	__u8 message;		/* kind of the message, docs/protocol.md section 9 */
	__u8 reserved;		/* zero when sent, refused otherwise */
	__be16 piece;		/* from 0 */
	__be16 pieces;
	__be16 total;		/* bytes of the whole message */
	__be64 exchange;
} __attribute__((packed));
_Static_assert(sizeof(struct svr_tlv_kex_piece) == 16, "wire");

/* Numbers are on the wire: never change one. Names are SSR's configuration words. */
#define SVR_CIPHERS(X)                     \
	X(NONE, 0, "none")                 \
	X(AES_CBC_128, 1, "aes-cbc-128")   \
	X(AES_CBC_256, 2, "aes-cbc-256")   \
	X(AES_GCM_128, 3, "aes-gcm-128")   \
	X(AES_GCM_256, 4, "aes-gcm-256")
#define SVR_HMACS(X)                       \
	X(NONE, 0, "none", 0)              \
	X(SHA1, 1, "sha1", 20)             \
	X(SHA256, 2, "sha256", 32)         \
	X(SHA256_128, 3, "sha256-128", 16) \
	X(SHA384, 4, "sha384", 48)         \
	X(SHA512, 5, "sha512", 64)
#define SVR_HMAC_MODES(X)                  \
	X(DISABLED, 0, "disabled")         \
	X(REGULAR, 1, "regular")           \
	X(TIME_BASED, 2, "time-based")

enum svr_cipher {
#define X(id, n, s) SVR_CIPHER_##id = n,
	SVR_CIPHERS(X)
#undef X
};
enum svr_hmac {
#define X(id, n, s, tag) SVR_HMAC_##id = n,
	SVR_HMACS(X)
#undef X
};
enum svr_hmac_mode {
#define X(id, n, s) SVR_HMAC_MODE_##id = n,
	SVR_HMAC_MODES(X)
#undef X
};

/* Direction of a session packet, the last byte of the HMAC input. */
enum svr_dir {
	SVR_DIR_FWD = 0,	/* from the session's originator to the service */
	SVR_DIR_REV = 1,
};

#endif
