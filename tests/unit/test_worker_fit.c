// SPDX-License-Identifier: BSD-2-Clause
/*
 * enforced-mss automatic for every cipher, HMAC, family of hosts and family of the path: segments of
 * that size are sealed, and what comes out is as long as the path allows, not a byte longer.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include <criterion/criterion.h>

#include "lib/addr.h"
/* The worker is a program, no library: its pure parts are compiled here */
#include "worker/counters.c"
#include "worker/fit.c"

enum { ROOM = 10240, FRONT = 512, OPTIONS_MAX = 40, LAN = 1, WAN = 2 };

/* Hosts are told nothing here. */
bool svr_tokens_take(struct svr_tokens *b, uint64_t now_ns, uint32_t per_sec)
{
	(void)b, (void)now_ns, (void)per_sec;
	cr_assert_fail("no ICMP message is made");
	return false;
}

int svr_thread_send_copy(struct svr_thread *t, uint16_t zone, uint16_t queue, const void *frame,
			 size_t len)
{
	(void)t, (void)zone, (void)queue, (void)frame, (void)len;
	cr_assert_fail("nothing is sent");
	return -SVR_DROP_INTERNAL;
}

/* ---- a session and its packets ------------------------------------------------------------- */

static struct svr_thread thread;
static struct svr_mapset maps;
static struct svr_zone zones[WAN + 1];
static struct svr_path_state path_state;
static struct svr_session session;
static struct svr_crypt *crypt;
static struct svr_cipher_key *cipher; /* NULL: nothing is encrypted */
static struct svr_hmac_key *hmac; /* NULL: nothing is signed */
static struct svr_work work;
static uint8_t room[ROOM];

/* What arrives from the other end: @net 1 at the LAN, 2 at the WAN. */
static struct svr_flow6_key key_make(uint8_t family, uint8_t net)
{
	struct svr_flow6_key k = {
		.proto = IPPROTO_TCP, .sport = htons(1000), .dport = htons(80), .zone = net
	};

	if (family == SVR_FAMILY_4) {
		svr_addr_map4(htonl(0x0a000001U | (uint32_t)net << 8), k.saddr);
		svr_addr_map4(htonl(0x0a000002U | (uint32_t)net << 8), k.daddr);
	} else {
		k.saddr[0] = k.daddr[0] = htonl(0x20010db8);
		k.saddr[3] = htonl(0x10U * net);
		k.daddr[3] = htonl(0x10U * net + 1);
	}
	return k;
}

static void session_make(uint8_t cipher_id, uint8_t hmac_id, uint8_t hosts, uint8_t path)
{
	static const uint8_t key[64] = { 1, 2, 3 }, iv_key[64] = { 4, 5, 6 };

	svr_cipher_key_free(cipher);
	svr_hmac_key_free(hmac);
	cipher = NULL;
	hmac = NULL;
	if (cipher_id != SVR_CIPHER_NONE)
		cr_assert_eq(svr_cipher_key_new(crypt, cipher_id, key, iv_key, &cipher), 0);
	if (svr_seal_tag_len(cipher_id, hmac_id, false))
		cr_assert_eq(svr_hmac_key_new(crypt, hmac_id, key, SVR_HMAC_KEY_LEN, &hmac), 0);
	session = (struct svr_session){ .cipher = cipher_id,
					.hmac = hmac_id,
					.lan = key_make(hosts, LAN),
					.wan = key_make(path, WAN) };
}

static void setup(void)
{
	cr_assert_eq(svr_crypt_new(&crypt), 0);
	maps.zones = zones;
	maps.path_state = &path_state;
	thread.maps = &maps;
	zones[WAN].enforced_mss = ZONE_MSS_AUTOMATIC;
	zones[WAN].mtu = 1500;
}

static void teardown(void)
{
	svr_cipher_key_free(cipher);
	svr_hmac_key_free(hmac);
	svr_crypt_free(crypt);
}

TestSuite(worker_fit, .init = setup, .fini = teardown);

/* A segment that a host sends: zero bytes in its options, unless they are filled later. */
static void segment_make(uint8_t hosts, uint8_t flags, size_t options, size_t payload)
{
	uint8_t *ip = room + FRONT;
	struct svr_pkt *p = &work.pkt;

	memset(room, 0, sizeof(room));
	memset(&work, 0, sizeof(work));
	*p = (struct svr_pkt){ .room = room,
			       .room_end = room + sizeof(room),
			       .eth = ip - SVR_ETH_LEN,
			       .ip = ip,
			       .l4 = ip + svr_ip_len(hosts),
			       .l4_len = (uint16_t)(SVR_TCP_LEN + options),
			       .payload_len = (uint16_t)payload,
			       .family = hosts,
			       .proto = IPPROTO_TCP,
			       .tcp_flags = flags };
	p->payload = p->l4 + p->l4_len;
	if (hosts == SVR_FAMILY_4)
		*svr_packet_ip4(p) =
			(struct svr_ip4){ .ver_ihl = 0x45, .ttl = 64, .proto = IPPROTO_TCP };
	else
		*svr_packet_ip6(p) = (struct svr_ip6){ .ver_class_label = htonl(0x60000000),
						       .next = IPPROTO_TCP,
						       .hop_limit = 64 };
	svr_packet_tcp(p)->doff = (uint8_t)(p->l4_len / 4 << 4);
	work.desc.zone = LAN;
}

/* The MSS that the peer's host reads in a SYN that said @offered. */
static unsigned int mss_after(uint8_t hosts, uint16_t offered)
{
	uint8_t *option;

	segment_make(hosts, SVR_TCPF_SYN, 4, 0);
	option = work.pkt.l4 + SVR_TCP_LEN;
	option[0] = 2; /* maximum segment size, RFC 9293 3.2 */
	option[1] = 4;
	option[2] = offered >> 8;
	option[3] = offered & 0xff;
	svr_fit_clamp_mss(&thread, &session, &work);
	return (unsigned int)option[2] << 8 | option[3];
}

/* Bytes of IP that a host's segment has between the routers: it is sealed to find out. */
static size_t sealed_len(uint8_t hosts, size_t options, size_t payload)
{
	const size_t tag_len = svr_seal_tag_len(session.cipher, session.hmac, false);
	const struct svr_seal_input in = { .uuid = session.uuid, .dir = SVR_DIR_FWD };
	struct svr_crypt_job *one = &work.seal.job;
	struct svr_pkt *p = &work.pkt, wire;

	segment_make(hosts, SVR_TCPF_ACK, options, payload);
	svr_seal_begin(&work.seal);
	if (cipher)
		cr_assert_eq(svr_seal_text(crypt, &work.seal, cipher, 1, 1, p), 0);
	cr_assert_eq(svr_packet_readdress(p, &session.wan, 0), 0);
	cr_assert_eq(svr_seal_tag(&work.seal, hmac, tag_len, &in, p), 0);
	if (cipher || hmac)
		svr_crypt_seal(crypt, &one, 1);
	cr_assert_eq(svr_seal_done(&work.seal, tag_len, p), 0);
	svr_packet_finish(p, false);
	/* as whoever receives it counts */
	wire = (struct svr_pkt){ .room = room, .room_end = room + sizeof(room) };
	p->ip[-2] = p->family == SVR_FAMILY_4 ? 0x08 : 0x86;
	p->ip[-1] = p->family == SVR_FAMILY_4 ? 0x00 : 0xdd;
	cr_assert_eq(svr_packet_parse(&wire, p->ip - SVR_ETH_LEN,
				      SVR_ETH_LEN + svr_packet_header_len(p) + p->payload_len,
				      SVR_ETH_LEN),
		     0);
	cr_assert_eq(svr_packet_csum_state(&wire), SVR_CSUM_FULL);
	return svr_packet_header_len(&wire) + wire.payload_len;
}

/* The longest packet that segments of @mss become: options come out of it, RFC 9293 3.7.1. */
static size_t longest(uint8_t hosts, size_t mss)
{
	size_t options, len, most = 0;

	for (options = 0; options <= OPTIONS_MAX; options += 4) {
		len = sealed_len(hosts, options, mss - options);
		most = len > most ? len : most;
	}
	return most;
}

/* ---- what the option says ------------------------------------------------------------------ */

#define NONE	SVR_CIPHER_NONE
#define CBC_128 SVR_CIPHER_AES_CBC_128
#define CBC_256 SVR_CIPHER_AES_CBC_256
#define GCM_128 SVR_CIPHER_AES_GCM_128
#define GCM_256 SVR_CIPHER_AES_GCM_256

/* MSS over paths of 1500 bytes, of IPv4 and of IPv6 */
static const struct {
	const char *sentence;
	uint8_t cipher, hmac;
	unsigned int over4, over6;
} rows[] = {
	{ "nothing is added", NONE, SVR_HMAC_NONE, 1460, 1440 },
	{ "a tag of 20 bytes", NONE, SVR_HMAC_SHA1, 1440, 1420 },
	{ "a tag of 32 bytes", NONE, SVR_HMAC_SHA256, 1428, 1408 },
	{ "a tag of 16 bytes", NONE, SVR_HMAC_SHA256_128, 1444, 1424 },
	{ "a tag of 48 bytes", NONE, SVR_HMAC_SHA384, 1412, 1392 },
	{ "a tag of 64 bytes", NONE, SVR_HMAC_SHA512, 1396, 1376 },
	{ "CBC-128: padding and IV, no tag", CBC_128, SVR_HMAC_NONE, 1428, 1408 },
	{ "CBC-128, a tag of 20 bytes", CBC_128, SVR_HMAC_SHA1, 1408, 1388 },
	{ "CBC-128, a tag of 32 bytes", CBC_128, SVR_HMAC_SHA256, 1396, 1376 },
	{ "CBC-128, a tag of 16 bytes", CBC_128, SVR_HMAC_SHA256_128, 1412, 1392 },
	{ "CBC-128, a tag of 48 bytes", CBC_128, SVR_HMAC_SHA384, 1380, 1360 },
	{ "CBC-128, a tag of 64 bytes", CBC_128, SVR_HMAC_SHA512, 1364, 1344 },
	{ "CBC-256: padding and IV, no tag", CBC_256, SVR_HMAC_NONE, 1428, 1408 },
	{ "CBC-256, a tag of 20 bytes", CBC_256, SVR_HMAC_SHA1, 1408, 1388 },
	{ "CBC-256, a tag of 32 bytes", CBC_256, SVR_HMAC_SHA256, 1396, 1376 },
	{ "CBC-256, a tag of 16 bytes", CBC_256, SVR_HMAC_SHA256_128, 1412, 1392 },
	{ "CBC-256, a tag of 48 bytes", CBC_256, SVR_HMAC_SHA384, 1380, 1360 },
	{ "CBC-256, a tag of 64 bytes", CBC_256, SVR_HMAC_SHA512, 1364, 1344 },
	{ "GCM-128: nonce and tag of its own", GCM_128, SVR_HMAC_NONE, 1434, 1414 },
	{ "GCM-128, SHA-1 signs metadata only", GCM_128, SVR_HMAC_SHA1, 1434, 1414 },
	{ "GCM-128, SHA-256 signs metadata only", GCM_128, SVR_HMAC_SHA256, 1434, 1414 },
	{ "GCM-128, a short tag signs metadata only", GCM_128, SVR_HMAC_SHA256_128, 1434, 1414 },
	{ "GCM-128, SHA-384 signs metadata only", GCM_128, SVR_HMAC_SHA384, 1434, 1414 },
	{ "GCM-128, SHA-512 signs metadata only", GCM_128, SVR_HMAC_SHA512, 1434, 1414 },
	{ "GCM-256: nonce and tag of its own", GCM_256, SVR_HMAC_NONE, 1434, 1414 },
	{ "GCM-256, SHA-1 signs metadata only", GCM_256, SVR_HMAC_SHA1, 1434, 1414 },
	{ "GCM-256, SHA-256 signs metadata only", GCM_256, SVR_HMAC_SHA256, 1434, 1414 },
	{ "GCM-256, a short tag signs metadata only", GCM_256, SVR_HMAC_SHA256_128, 1434, 1414 },
	{ "GCM-256, SHA-384 signs metadata only", GCM_256, SVR_HMAC_SHA384, 1434, 1414 },
	{ "GCM-256, SHA-512 signs metadata only", GCM_256, SVR_HMAC_SHA512, 1434, 1414 },
};
enum { ROWS = sizeof(rows) / sizeof(rows[0]) };

static void check_row(unsigned int i, uint8_t hosts, uint8_t path, uint16_t limit)
{
	const unsigned int at_1500 = path == SVR_FAMILY_4 ? rows[i].over4 : rows[i].over6;
	unsigned int mss;
	char what[160];
	size_t most;

	snprintf(what, sizeof(what), "%s, IPv%u hosts, %u bytes of IPv%u between the routers",
		 rows[i].sentence, hosts, limit, path);
	session_make(rows[i].cipher, rows[i].hmac, hosts, path);
	mss = mss_after(hosts, 65535);
	cr_assert_eq(mss, limit - (1500 - at_1500), "%s: MSS %u", what, mss);
	most = longest(hosts, mss);
	cr_assert_eq(most, limit, "%s: the longest packet has %zu", what, most);
	/* Options are multiples of four bytes, so padding hides up to three more */
	most = longest(hosts, mss + (svr_cipher_is_cbc(rows[i].cipher) ? 4 : 1));
	cr_assert_gt(most, limit, "%s: a longer segment would have fitted", what);
	cr_assert_eq(mss_after(hosts, (uint16_t)mss), mss, "%s: it fits as it is", what);
	cr_assert_eq(mss_after(hosts, 536), 536, "%s: what is smaller stays", what);
}

/* I95-49242: the automatic MSS was wrong when packets are not signed. */
Test(worker_fit, i95_49242_automatic_mss_fills_the_path_with_every_protection)
{
	static const uint8_t families[] = { SVR_FAMILY_4, SVR_FAMILY_6 };
	static const uint16_t limits[] = { 1280, 1400, 1500, 9000 };
	static const uint8_t ciphers[] = {
#define X(id, n, s) n,
		SVR_CIPHERS(X)
#undef X
	};
	static const uint8_t hmacs[] = {
#define X(id, n, s, tag) n,
		SVR_HMACS(X)
#undef X
	};
	size_t hosts, path, l, c, h;
	unsigned int i, found;

	/* no combination is forgotten when algorithms are added */
	for (c = 0; c < sizeof(ciphers); c++)
		for (h = 0; h < sizeof(hmacs); h++) {
			for (i = found = 0; i < ROWS; i++)
				found += rows[i].cipher == ciphers[c] && rows[i].hmac == hmacs[h];
			cr_assert_eq(found, 1, "cipher %u with HMAC %u has %u rows", ciphers[c],
				     hmacs[h], found);
		}
	for (i = 0; i < ROWS; i++)
		for (hosts = 0; hosts < 2; hosts++)
			for (path = 0; path < 2; path++)
				for (l = 0; l < sizeof(limits) / sizeof(limits[0]); l++) {
					/* of the interface, and found out by probes */
					zones[WAN].mtu = limits[l];
					path_state.mtu = 0;
					check_row(i, families[hosts], families[path], limits[l]);
					zones[WAN].mtu = 9216;
					path_state.mtu = limits[l];
					check_row(i, families[hosts], families[path], limits[l]);
				}
}

Test(worker_fit, enforced_mss_does_what_the_configuration_says)
{
	static const struct {
		const char *sentence;
		uint8_t enforced;
		uint16_t fixed, offered;
		unsigned int after;
	} cases[] = {
		{ "disabled: the hosts' business", 0, 0, 1460, 1460 },
		{ "fixed: lowered to that", ZONE_MSS_FIXED, 1200, 1460, 1200 },
		{ "fixed: a smaller one stays", ZONE_MSS_FIXED, 1200, 900, 900 },
		{ "automatic: lowered to what fits", ZONE_MSS_AUTOMATIC, 0, 1460, 1380 },
		{ "automatic: the fixed value is not looked at", ZONE_MSS_AUTOMATIC, 600, 1460,
		  1380 },
	};
	size_t i;

	session_make(SVR_CIPHER_AES_CBC_256, SVR_HMAC_SHA384, SVR_FAMILY_4, SVR_FAMILY_4);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const uint64_t clamped = thread.counters.stats[LAN][SVR_STAT_MSS_CLAMPED];

		zones[WAN].enforced_mss = cases[i].enforced;
		zones[WAN].mss = cases[i].fixed;
		cr_expect_eq(mss_after(SVR_FAMILY_4, cases[i].offered), cases[i].after, "%s",
			     cases[i].sentence);
		cr_expect_eq(thread.counters.stats[LAN][SVR_STAT_MSS_CLAMPED] - clamped,
			     cases[i].after != cases[i].offered, "%s: counted", cases[i].sentence);
	}
}
