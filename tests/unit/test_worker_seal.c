// SPDX-License-Identifier: BSD-2-Clause
/*
 * Protection of packets by the worker: byte for byte the packets of docs/protocol.md section 11,
 * and sizes that always fit.
 */
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include <criterion/criterion.h>

#include "lib/kdf.h"
#include "tests/unit/vector.h"
#include "worker/seal.c"

enum { ROOM = 4096, FRONT = 1024 };

static struct svr_crypt *crypt;
static uint8_t hmac_keys[2][SVR_HMAC_KEY_LEN];
static struct svr_payload_keys payload_keys, payload_keys_2;
static struct hex uuid;

static void setup(void)
{
	struct hex peer_key = vec("peer-key"), session_key = vec("session-key");
	struct hex session_key_2 = vec("session-key-2");

	uuid = vec("uuid");
	cr_assert_eq(svr_crypt_new(&crypt), 0);
	cr_assert_eq(svr_kdf_session_hmac(peer_key.bytes, hmac_keys), 0);
	cr_assert_eq(svr_kdf_payload(session_key.bytes, uuid.bytes, 1, &payload_keys), 0);
	cr_assert_eq(svr_kdf_payload(session_key_2.bytes, uuid.bytes, 2, &payload_keys_2), 0);
}

static void teardown(void)
{
	svr_crypt_free(crypt);
}

TestSuite(worker_seal, .init = setup, .fini = teardown);

/* A packet of the text: what went in, what has to come out. */
static const struct example {
	const char *name;
	const char *payload; /* what the host sent */
	uint8_t cipher, hmac, hmac_mode;
	uint8_t key; /* direction number of the sender */
	uint8_t dir;
	uint64_t counter;
	bool metadata;
	uint16_t epoch;
} examples[] = {
	{ "signed-udp", "who is there?", SVR_CIPHER_NONE, SVR_HMAC_SHA256_128,
	  SVR_HMAC_MODE_REGULAR, 1, SVR_DIR_FWD, 0, true, 1 },
	{ "signed-tcp", "it is me", SVR_CIPHER_NONE, SVR_HMAC_SHA256_128, SVR_HMAC_MODE_REGULAR, 0,
	  SVR_DIR_REV, 0, false, 1 },
	{ "secret-udp", "who is there?", SVR_CIPHER_AES_CBC_256, SVR_HMAC_SHA384,
	  SVR_HMAC_MODE_TIME_BASED, 1, SVR_DIR_FWD, 1, true, 1 },
	{ "secret-syn", "", SVR_CIPHER_AES_CBC_256, SVR_HMAC_SHA384, SVR_HMAC_MODE_TIME_BASED, 1,
	  SVR_DIR_FWD, 1, true, 1 },
	{ "secret-tcp", "HTTP/1.1 200 OK\r\n", SVR_CIPHER_AES_CBC_256, SVR_HMAC_SHA384,
	  SVR_HMAC_MODE_TIME_BASED, 0, SVR_DIR_REV, 5, false, 1 },
	{ "rekey-offer", "", SVR_CIPHER_AES_CBC_256, SVR_HMAC_SHA384, SVR_HMAC_MODE_TIME_BASED, 1,
	  SVR_DIR_FWD, 9, true, 2 },
	{ "rekey-answer", "", SVR_CIPHER_AES_CBC_256, SVR_HMAC_SHA384, SVR_HMAC_MODE_TIME_BASED, 0,
	  SVR_DIR_REV, 4, true, 2 },
	{ "gcm-udp", "who is there?", SVR_CIPHER_AES_GCM_256, SVR_HMAC_SHA384,
	  SVR_HMAC_MODE_TIME_BASED, 1, SVR_DIR_FWD, 1, true, 1 },
	{ "gcm-tcp", "HTTP/1.1 200 OK\r\n", SVR_CIPHER_AES_GCM_256, SVR_HMAC_SHA384,
	  SVR_HMAC_MODE_TIME_BASED, 0, SVR_DIR_REV, 5, false, 1 },
	{ "gcm-ack", "", SVR_CIPHER_AES_GCM_128, SVR_HMAC_SHA384, SVR_HMAC_MODE_TIME_BASED, 0,
	  SVR_DIR_REV, 6, false, 1 },
};
enum { EXAMPLES = sizeof(examples) / sizeof(examples[0]) };
static const uint64_t example_window = 850000000;

static struct hex example_vec(const struct example *e, const char *part)
{
	char name[64];

	snprintf(name, sizeof(name), "%s.%s", e->name, part);
	return vec(name);
}

/* The packet of the text in a frame with room around it, parsed. */
static void example_load(const struct hex *packet, uint8_t room[static ROOM], struct svr_pkt *p)
{
	memset(room, 0, ROOM);
	memcpy(room + FRONT, packet->bytes, packet->len);
	*p = (struct svr_pkt){ .room = room, .room_end = room + ROOM };
	cr_assert_eq(svr_packet_parse(p, room + FRONT - SVR_ETH_LEN, SVR_ETH_LEN + packet->len,
				      SVR_ETH_LEN),
		     0);
}

static struct svr_seal_input example_input(const struct example *e)
{
	return (struct svr_seal_input){
		.window = e->hmac_mode == SVR_HMAC_MODE_TIME_BASED ? example_window : 0,
		.uuid = e->metadata ? NULL : uuid.bytes,
		.dir = e->dir,
	};
}

static struct svr_hmac_key *example_key(const struct example *e)
{
	struct svr_hmac_key *k;

	cr_assert_eq(svr_hmac_key_new(crypt, e->hmac, hmac_keys[e->key], SVR_HMAC_KEY_LEN, &k), 0);
	return k;
}

static struct svr_cipher_key *example_cipher(const struct example *e)
{
	const struct svr_payload_keys *keys = e->epoch == 2 ? &payload_keys_2 : &payload_keys;
	struct svr_cipher_key *k;

	cr_assert_eq(svr_cipher_key_new(crypt, e->cipher, keys->enc[e->dir], keys->iv[e->dir], &k),
		     0);
	return k;
}

Test(worker_seal, packets_of_the_text_are_made_byte_for_byte)
{
	static uint8_t room[ROOM];
	struct svr_cipher_key *cipher;
	struct svr_seal seal;
	struct svr_crypt_job *one = &seal.job;
	struct svr_pkt p;
	int i;

	for (i = 0; i < EXAMPLES; i++) {
		const struct example *e = &examples[i];
		struct hex want = example_vec(e, "packet"), meta = { 0 };
		struct svr_seal_input in = example_input(e);
		struct svr_hmac_key *k = example_key(e);
		size_t len = strlen(e->payload);
		size_t tag_len = svr_seal_tag_len(e->cipher, e->hmac, e->metadata);

		cipher = NULL;
		/* The headers of the text in front of the host's payload */
		example_load(&want, room, &p);
		memset(p.payload, 0xee, p.payload_len);
		memcpy(p.payload, e->payload, len);
		p.payload_len = (uint16_t)len;

		svr_seal_begin(&seal);
		if (e->cipher != SVR_CIPHER_NONE) {
			cipher = example_cipher(e);
			cr_assert_eq(svr_seal_text(crypt, &seal, cipher, e->epoch, e->counter, &p),
				     0);
		}
		if (e->metadata) {
			uint8_t *front;

			meta = example_vec(e, "metadata");
			front = svr_packet_push(&p, meta.len);
			cr_assert_not_null(front);
			memcpy(front, meta.bytes, meta.len);
		}
		cr_assert_eq(svr_seal_tag(&seal, tag_len ? k : NULL, tag_len, &in, &p), 0);
		svr_crypt_seal(crypt, &one, 1);
		cr_assert_eq(svr_seal_done(&seal, tag_len, &p), 0);
		svr_packet_finish(&p, false);
		cr_expect_eq(svr_packet_header_len(&p) + p.payload_len, want.len, "%s", e->name);
		cr_expect(memcmp(p.ip, want.bytes, want.len) == 0, "%s", e->name);
		cr_expect_eq(p.payload_len,
			     meta.len + svr_seal_len(e->cipher, e->hmac, e->metadata, len),
			     "%s: foretold length", e->name);
		svr_hmac_key_free(k);
		svr_cipher_key_free(cipher);
	}
}

Test(worker_seal, a_tag_fits_one_packet_window_session_and_direction_only)
{
	static uint8_t room[ROOM];
	struct svr_seal_input in, other;
	struct svr_pkt p;
	uint8_t uuid2[SVR_UUID_LEN];
	size_t tag_len, at, from;
	int i;

	for (i = 0; i < EXAMPLES; i++) {
		const struct example *e = &examples[i];
		struct hex packet = example_vec(e, "packet");
		struct svr_hmac_key *k;

		tag_len = svr_seal_tag_len(e->cipher, e->hmac, e->metadata);
		if (!tag_len)
			continue;
		k = example_key(e);
		in = example_input(e);
		example_load(&packet, room, &p);
		cr_expect(svr_seal_verify(crypt, k, tag_len, &in, &p), "%s", e->name);
		cr_expect(memcmp(p.ip, packet.bytes, packet.len) == 0,
			  "%s: verifying changes nothing", e->name);

		other = in;
		other.window++;
		cr_expect_not(svr_seal_verify(crypt, k, tag_len, &other, &p), "%s: window",
			      e->name);
		other = in;
		other.dir ^= 1;
		cr_expect_not(svr_seal_verify(crypt, k, tag_len, &other, &p), "%s: direction",
			      e->name);
		other = in;
		memcpy(uuid2, uuid.bytes, sizeof(uuid2));
		uuid2[15] ^= 1;
		other.uuid = e->metadata ? uuid.bytes : uuid2;
		cr_expect_not(svr_seal_verify(crypt, k, tag_len, &other, &p), "%s: UUID", e->name);

		/*
		 * Every byte from the sequence number or the UDP payload on, but the checksum field
		 */
		from = p.proto == IPPROTO_TCP ? 24 : 28;
		for (at = from; at < packet.len; at++) {
			p.ip[at] ^= 0x10;
			if (p.proto == IPPROTO_TCP && (at == 36 || at == 37)) {
				cr_expect(svr_seal_verify(crypt, k, tag_len, &in, &p),
					  "%s: checksum field", e->name);
				cr_expect_eq(svr_packet_csum_state(&p), SVR_CSUM_WRONG);
			} else if (!(p.proto == IPPROTO_TCP &&
				     at == 32)) { /* header length: the parser's */
				cr_expect_not(svr_seal_verify(crypt, k, tag_len, &in, &p),
					      "%s: byte %zu", e->name, at);
			}
			p.ip[at] ^= 0x10;
		}
		/* Ports and TTL belong to the way, not to the session */
		p.l4[0] ^= 1;
		svr_packet_ip4(&p)->ttl--;
		cr_expect(svr_seal_verify(crypt, k, tag_len, &in, &p),
			  "%s: a NAT may change the port", e->name);
		svr_hmac_key_free(k);
	}
}

/* In place, as the worker does it: the packet is back afterwards, whatever the tag was. */
Test(worker_seal, packets_of_the_text_are_verified_and_opened_in_place)
{
	static uint8_t room[ROOM];
	struct svr_crypt_job *one;
	struct svr_seal_input in;
	struct svr_seal seal;
	struct svr_pkt p;
	size_t tag_len;
	uint64_t counter;
	uint16_t epoch;
	int i, wrong;

	one = &seal.job;
	for (i = 0; i < EXAMPLES; i++) {
		const struct example *e = &examples[i];
		struct hex packet = example_vec(e, "packet");
		struct svr_hmac_key *k = example_key(e);

		tag_len = svr_seal_tag_len(e->cipher, e->hmac, e->metadata);
		in = example_input(e);
		for (wrong = 0; tag_len && wrong < 2; wrong++) {
			in.dir ^= wrong;
			example_load(&packet, room, &p);
			cr_assert(svr_seal_check(&seal, k, tag_len, &in, &p), "%s", e->name);
			svr_crypt_tag(crypt, &one, 1);
			cr_expect_eq(svr_seal_checked(&seal, tag_len, &p), !wrong, "%s", e->name);
			cr_expect(memcmp(p.ip, packet.bytes, packet.len) == 0, "%s: as before",
				  e->name);
		}
		if (e->cipher != SVR_CIPHER_NONE) {
			struct svr_cipher_key *cipher = example_cipher(e);

			in = example_input(e);
			example_load(&packet, room, &p);
			cr_assert_eq(svr_seal_counter(crypt, cipher, tag_len, &p, &epoch, &counter),
				     0);
			cr_expect(epoch == e->epoch && counter == e->counter, "%s", e->name);
			if (e->metadata)
				svr_packet_pull(&p, example_vec(e, "metadata").len);
			p.payload_len = (uint16_t)(p.payload_len - tag_len);
			cr_assert_eq(svr_seal_open(&seal, cipher, &in, &p), 0);
			svr_crypt_open(crypt, &one, 1);
			cr_assert_eq(svr_seal_opened(&seal, &p), 0, "%s", e->name);
			cr_expect_eq(p.payload_len, strlen(e->payload), "%s", e->name);
			cr_expect(memcmp(p.payload, e->payload, p.payload_len) == 0, "%s", e->name);
			svr_cipher_key_free(cipher);
		}
		svr_hmac_key_free(k);
	}
}

/* Opens the packet with @in. */
static int gcm_try(const struct example *e, const struct hex *packet, uint8_t room[static ROOM],
		   const struct svr_seal_input *in, struct svr_seal *seal, struct svr_pkt *p)
{
	struct svr_cipher_key *cipher = example_cipher(e);
	struct svr_crypt_job *one = &seal->job;
	int err;

	example_load(packet, room, p);
	cr_assert_eq(svr_seal_open(seal, cipher, in, p), 0);
	svr_crypt_open(crypt, &one, 1);
	err = seal->job.err;
	svr_cipher_key_free(cipher);
	return err;
}

Test(worker_seal, a_gcm_packet_opens_only_as_it_was_sealed)
{
	const struct example *e = &examples[8];
	struct hex packet = example_vec(e, "packet"), changed;
	static uint8_t room[ROOM];
	struct svr_seal_input in = example_input(e), other = in;
	uint8_t uuid2[SVR_UUID_LEN];
	struct svr_seal seal;
	struct svr_pkt p;
	size_t at;

	cr_assert_str_eq(e->name, "gcm-tcp");
	cr_expect_eq(gcm_try(e, &packet, room, &in, &seal, &p), 0);
	other.window++;
	cr_expect_eq(gcm_try(e, &packet, room, &other, &seal, &p), -EBADMSG, "window");
	other = in;
	other.dir ^= 1;
	cr_expect_eq(gcm_try(e, &packet, room, &other, &seal, &p), -EBADMSG, "direction");
	other = in;
	memcpy(uuid2, uuid.bytes, sizeof(uuid2));
	uuid2[0] ^= 1;
	other.uuid = uuid2;
	cr_expect_eq(gcm_try(e, &packet, room, &other, &seal, &p), -EBADMSG, "UUID");
	/* Every byte from the sequence number on, but header length and checksum */
	for (at = 24; at < packet.len; at++) {
		if (at == 32)
			continue;
		changed = packet;
		changed.bytes[at] ^= 0x20;
		cr_expect_eq(gcm_try(e, &changed, room, &in, &seal, &p),
			     at == 36 || at == 37 ? 0 : -EBADMSG, "byte %zu", at);
	}
}

/* Another window is tried with the packet as it was. */
Test(worker_seal, a_gcm_packet_is_tried_again)
{
	const struct example *e = &examples[8];
	struct hex packet = example_vec(e, "packet");
	static uint8_t room[ROOM];
	struct svr_seal_input in = example_input(e);
	struct svr_cipher_key *cipher = example_cipher(e);
	struct svr_seal seal;
	struct svr_crypt_job *one = &seal.job;
	struct svr_pkt p;
	int i;

	example_load(&packet, room, &p);
	in.window -= 3;
	cr_assert_eq(svr_seal_open(&seal, cipher, &in, &p), 0);
	svr_crypt_open(crypt, &one, 1);
	for (i = 0; i < 3; i++) {
		cr_expect_eq(seal.job.err, -EBADMSG);
		in.window++;
		cr_assert_eq(svr_seal_again(crypt, &seal, &in, &p), 0);
		cr_expect(memcmp(p.ip, packet.bytes, packet.len) == 0, "as it came");
		svr_crypt_open(crypt, &one, 1);
	}
	cr_assert_eq(svr_seal_opened(&seal, &p), 0);
	cr_expect_eq(p.payload_len, strlen(e->payload));
	cr_expect(memcmp(p.payload, e->payload, p.payload_len) == 0);
	svr_cipher_key_free(cipher);
}

Test(worker_seal, a_packet_without_tail_room_is_not_verified_in_place)
{
	static uint8_t room[ROOM];
	struct hex packet = vec("signed-tcp.packet");
	struct svr_seal_input in = example_input(&examples[1]);
	struct svr_hmac_key *k = example_key(&examples[1]);
	struct svr_seal seal;
	struct svr_pkt p;

	example_load(&packet, room, &p);
	p.room_end = p.payload + p.payload_len + SVR_UNSENT_LEN - 16;
	cr_expect(svr_seal_check(&seal, k, 16, &in, &p));
	example_load(&packet, room, &p);
	p.room_end = p.payload + p.payload_len + SVR_UNSENT_LEN - 17;
	cr_expect_not(svr_seal_check(&seal, k, 16, &in, &p));
	cr_expect(memcmp(p.ip, packet.bytes, packet.len) == 0);
	svr_hmac_key_free(k);
}

Test(worker_seal, no_room_is_refused_before_anything_is_written)
{
	static uint8_t room[ROOM];
	struct svr_seal seal;
	struct hex packet = vec("secret-tcp.packet");
	struct svr_seal_input in = example_input(&examples[4]);
	struct svr_hmac_key *k = example_key(&examples[4]);
	struct svr_cipher_key *cipher;
	struct svr_pkt p;

	cr_assert_eq(svr_cipher_key_new(crypt, SVR_CIPHER_AES_CBC_256, payload_keys.enc[0],
					payload_keys.iv[0], &cipher),
		     0);
	example_load(&packet, room, &p);
	p.room_end = p.payload + p.payload_len + 31;
	cr_expect_eq(svr_seal_text(crypt, &seal, cipher, 1, 1, &p), -SVR_DROP_TOO_BIG);
	svr_seal_begin(&seal);
	p.room_end = p.payload + p.payload_len + 47;
	cr_expect_eq(svr_seal_tag(&seal, k, 48, &in, &p), -SVR_DROP_TOO_BIG);
	cr_expect(memcmp(p.ip, packet.bytes, packet.len) == 0);
	svr_cipher_key_free(cipher);
	svr_hmac_key_free(k);
}

/* ---- sizes --------------------------------------------------------------------------------- */

static size_t wire_len(uint8_t cipher, uint8_t hmac, size_t headers, size_t host_len, size_t front,
		       size_t inside)
{
	return headers + front + svr_seal_len(cipher, hmac, front > 0, inside + host_len - headers);
}

/*
 * What the ICMP message says fits, whatever headers the host's next packet has; one byte more does
 * not, where headers are fixed.
 */
Test(worker_seal, the_mtu_told_to_hosts_fits)
{
	static const uint8_t ciphers[] = { SVR_CIPHER_NONE, SVR_CIPHER_AES_CBC_128,
					   SVR_CIPHER_AES_CBC_256, SVR_CIPHER_AES_GCM_128,
					   SVR_CIPHER_AES_GCM_256 };
	static const uint8_t hmacs[] = { SVR_HMAC_SHA1, SVR_HMAC_SHA256, SVR_HMAC_SHA256_128,
					 SVR_HMAC_SHA384, SVR_HMAC_SHA512 };
	size_t c, h, front, inside, headers;
	unsigned int limit;
	uint16_t mtu;

	for (c = 0; c < sizeof(ciphers); c++)
		for (h = 0; h < sizeof(hmacs); h++)
			for (limit = 1280; limit <= 1520; limit++)
				for (front = 0; front <= 448; front += 224)
					for (inside = 0; inside <= 12; inside += 12) {
						mtu = svr_seal_host_mtu(ciphers[c], hmacs[h],
									(uint16_t)limit, front,
									inside, IPPROTO_UDP,
									SVR_FAMILY_4);
						cr_assert_leq(wire_len(ciphers[c], hmacs[h], 28,
								       mtu, front, inside),
							      limit);
						cr_assert_gt(wire_len(ciphers[c], hmacs[h], 28,
								      mtu + 1u, front, inside),
							     limit);
						mtu = svr_seal_host_mtu(ciphers[c], hmacs[h],
									(uint16_t)limit, front,
									inside, IPPROTO_TCP,
									SVR_FAMILY_4);
						for (headers = 40; headers <= 80; headers += 4)
							cr_assert_leq(wire_len(ciphers[c], hmacs[h],
									       headers, mtu, front,
									       inside),
								      limit);
					}
	cr_expect_eq(svr_seal_host_mtu(SVR_CIPHER_AES_CBC_256, SVR_HMAC_SHA384, 1500, 0, 0,
				       IPPROTO_TCP, SVR_FAMILY_4),
		     1420);
	cr_expect_eq(svr_seal_host_mtu(SVR_CIPHER_AES_CBC_256, SVR_HMAC_SHA384, 1500, 0, 0,
				       IPPROTO_UDP, SVR_FAMILY_4),
		     1435);
	cr_expect_eq(svr_seal_host_mtu(SVR_CIPHER_NONE, SVR_HMAC_SHA256_128, 1500, 0, 0,
				       IPPROTO_UDP, SVR_FAMILY_4),
		     1484);
	cr_expect_eq(svr_seal_host_mtu(SVR_CIPHER_AES_CBC_256, SVR_HMAC_SHA512, 100, 1000, 0,
				       IPPROTO_UDP, SVR_FAMILY_4),
		     SVR_MIN_MTU);
	cr_expect_eq(svr_seal_host_mtu(SVR_CIPHER_NONE, SVR_HMAC_SHA1, 100, 1000, 0, IPPROTO_TCP,
				       SVR_FAMILY_4),
		     SVR_MIN_MTU);
	/* 20 bytes more of header, so that one block less may fit */
	cr_expect_eq(svr_seal_host_mtu(SVR_CIPHER_AES_CBC_256, SVR_HMAC_SHA384, 1500, 0, 0,
				       IPPROTO_UDP, SVR_FAMILY_6),
		     48 + 1375);
	cr_expect_eq(svr_seal_host_mtu(SVR_CIPHER_NONE, SVR_HMAC_SHA256_128, 1500, 0, 0,
				       IPPROTO_UDP, SVR_FAMILY_6),
		     1484);
	cr_expect_eq(svr_seal_host_mtu(SVR_CIPHER_NONE, SVR_HMAC_SHA256_128, 1280, 0, 0,
				       IPPROTO_UDP, SVR_FAMILY_6),
		     SVR_MIN_MTU6);
}

/*
 * MSS = limit - 40 - overhead: a full segment fits with any TCP options (they come out of the
 * segment).
 */
Test(worker_seal, a_full_segment_fits_the_limit)
{
	size_t limit, options, mss;

	for (limit = 576; limit <= 1500; limit++) {
		mss = limit - 40 - svr_seal_overhead(SVR_CIPHER_AES_CBC_256, SVR_HMAC_SHA384);
		for (options = 0; options <= 40; options += 4)
			cr_assert_leq(40 + options +
					      svr_seal_len(SVR_CIPHER_AES_CBC_256, SVR_HMAC_SHA384,
							   false, mss - options),
				      limit);
	}
	cr_expect_eq(svr_seal_overhead(SVR_CIPHER_AES_CBC_256, SVR_HMAC_SHA384), 80);
	cr_expect_eq(svr_seal_overhead(SVR_CIPHER_NONE, SVR_HMAC_SHA256_128), 16);
	cr_expect_eq(svr_seal_overhead(SVR_CIPHER_AES_GCM_256, SVR_HMAC_SHA384), 26);
	cr_expect_eq(svr_seal_trailer_len(SVR_CIPHER_AES_GCM_256, SVR_HMAC_SHA384, true), 74);
}
