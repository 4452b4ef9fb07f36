// SPDX-License-Identifier: BSD-2-Clause
/*
 * Somebody on the WAN who sends first messages of the key exchange as fast as he can: BFD packets of
 * a router, with a hello and a piece of an INIT, whose source is the address of a peer, the same
 * with the peer's real discriminators, the same as if they were sealed, or any address.
 *
 *	flood --dev DEVICE --mac DESTINATION --from ADDRESS --to ADDRESS [OPTION...]
 *	  --rate N              packets per second (default 100000)
 *	  --seconds N           for so long (default 5)
 *	  --kind KIND           peer, known, sealed, strangers (default peer)
 *	  --discr MY,YOUR       discriminators that "known" and "sealed" carry
 *	  --key INDEX           of the peer key that "sealed" names
 *	  --name NAME           common name in the hello (default west.svr.test)
 *
 * Each INIT of the stock is another exchange, whole in one piece, so that the receiver has all that it
 * needs to begin. Prints JSON: {"sent": N, "seconds": S}. IPv4 only. Needs CAP_NET_RAW.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "lib/bfd.h"
#include "lib/bfdmeta.h"
#include "lib/bytes.h"
#include "lib/kexmsg.h"
#include "lib/now.h"

enum {
	BATCH = 64,
	STOCK = 4096, /* different packets */
	TTL = 255, /* RFC 5881 5: as if from the same link */
	PORT = 1280,
	SOURCE_LO = 10, /* of strangers: 198.18.0.10 and so on (RFC 2544) */
	INTERVAL_US = 1000000,
	MULTIPLIER = 3,
	PUBLIC_LEN = 256, /* of ffdhe2048 */
	CHAIN_LEN = 64, /* too short for a certificate: nobody is to get so far */
};

enum kind { PEER, KNOWN, SEALED, STRANGERS };
static const char *const kinds[] = { "peer", "known", "sealed", "strangers" };

static struct {
	const char *dev, *name;
	struct in_addr from, to;
	uint8_t mac[ETH_ALEN];
	uint64_t rate, seconds;
	enum kind kind;
	uint32_t my_discr, your_discr, key;
} config = { .name = "west.svr.test", .rate = 100000, .seconds = 5 };

struct frame {
	struct ethhdr eth;
	struct iphdr ip;
	struct udphdr udp;
	uint8_t data[SVR_BFDMETA_PACKET_MAX];
} __attribute__((packed));

static struct {
	struct svr_crypt *crypt;
	struct svr_bfdmeta_key key;
} seal;

static uint64_t dice = 88172645463325252ULL;

/* xorshift64 (Marsaglia) */
static uint64_t random64(void)
{
	dice ^= dice << 13;
	dice ^= dice >> 7;
	dice ^= dice << 17;
	return dice;
}

static void die(const char *what)
{
	fprintf(stderr, "flood: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * SVR_NS_PER_SEC + (uint64_t)ts.tv_nsec;
}

/* ---- one packet ------------------------------------------------------------------------------ */

static size_t make_init(uint64_t exchange, uint8_t *out, size_t room)
{
	static uint8_t value[PUBLIC_LEN], salt[SVR_KEX_SALT_LEN], certificate[CHAIN_LEN];
	struct svr_kex_fields f = {
		.exchange = exchange,
		.key_index = (uint32_t)random64() | 1,
		.groups = { SVR_DH_FFDHE2048 },
		.group_count = 1,
		.group = SVR_DH_FFDHE2048,
		.salt = salt,
		.public_value = value,
		.public_len = sizeof(value),
		.name = config.name,
		.name_len = strlen(config.name),
		.chain = { { certificate, sizeof(certificate) } },
		.chain_count = 1,
	};
	int len;

	memset(value, 0x5a, sizeof(value));
	len = svr_kexmsg_build(SVR_KEX_INIT, &f, out, room);
	if (len < 0) {
		errno = -len;
		die("INIT");
	}
	return (size_t)len;
}

/* UDP payload; its length. */
static size_t make_payload(uint8_t *out)
{
	bool discr = config.kind == KNOWN || config.kind == SEALED;
	const struct svr_bfd_packet bfd = {
		.state = discr ? SVR_BFD_UP : SVR_BFD_DOWN,
		.detect_mult = MULTIPLIER,
		.my_discr = discr ? config.my_discr : (uint32_t)random64() | 1,
		.your_discr = discr ? config.your_discr : 0,
		.desired_min_tx_us = INTERVAL_US,
		.required_min_rx_us = INTERVAL_US,
	};
	struct svr_bfdmeta m = { .have = SVR_BFDMETA_HELLO | SVR_BFDMETA_PIECE,
				 .version = SVR_BFDMETA_PROTOCOL,
				 .instance = 1 };
	uint8_t header[SVR_BFD_LEN], message[SVR_KEX_PIECE_LEN];
	uint64_t exchange = random64();
	size_t message_len;
	int len;

	snprintf(m.common_name, sizeof(m.common_name), "%s", config.name);
	message_len = make_init(exchange, message, sizeof(message));
	svr_kexmsg_cut(SVR_KEX_INIT, exchange, message, message_len, 0, &m.piece);
	svr_bfd_build(&bfd, header);
	len = svr_bfdmeta_seal(seal.crypt, config.kind == SEALED ? &seal.key : NULL, header, &m,
			       out, SVR_BFDMETA_PACKET_MAX);
	if (len < 0) {
		errno = -len;
		die("packet");
	}
	return (size_t)len;
}

/* A key of our own under the index of theirs. */
static void make_key(void)
{
	uint8_t key[SVR_PEER_KEY_LEN];
	int ret;

	memset(key, 0x77, sizeof(key));
	ret = svr_crypt_new(&seal.crypt);
	if (!ret)
		ret = svr_bfdmeta_key_init(seal.crypt, config.key ? config.key : 1, key, 0,
					   &seal.key);
	if (!ret)
		return;
	errno = -ret;
	die("key");
}

static uint16_t ip_sum(const uint8_t p[static sizeof(struct iphdr)])
{
	uint32_t sum = 0;
	size_t i;

	for (i = 0; i < sizeof(struct iphdr); i += 2)
		sum += svr_get16(p + i);
	sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t) ~(sum + (sum >> 16)));
}

static size_t make_frame(struct frame *f)
{
	size_t len = make_payload(f->data);
	struct iphdr ip;
	uint16_t sum;

	f->eth = (struct ethhdr){ .h_source = { 2, 0, 0, 0, 0, 0x99 }, .h_proto = htons(ETH_P_IP) };
	memcpy(f->eth.h_dest, config.mac, ETH_ALEN);
	ip = (struct iphdr){
		.version = 4,
		.ihl = 5,
		.tot_len = htons((uint16_t)(sizeof(ip) + sizeof(f->udp) + len)),
		.ttl = TTL,
		.protocol = IPPROTO_UDP,
		.saddr = config.from.s_addr,
		.daddr = config.to.s_addr,
	};
	if (config.kind == STRANGERS)
		ip.saddr = htonl(0xc6120000 + SOURCE_LO + (uint32_t)(random64() & 0xffff));
	memcpy(&f->ip, &ip, sizeof(ip));
	sum = ip_sum((const uint8_t *)f + sizeof(f->eth));
	memcpy((uint8_t *)f + sizeof(f->eth) + offsetof(struct iphdr, check), &sum, sizeof(sum));
	/* without a checksum, which IPv4 allows */
	f->udp = (struct udphdr){ .source = htons(PORT),
				  .dest = htons(PORT),
				  .len = htons((uint16_t)(sizeof(f->udp) + len)) };
	return sizeof(f->eth) + sizeof(f->ip) + sizeof(f->udp) + len;
}

/* ---- sending --------------------------------------------------------------------------------- */

static int device_open(void)
{
	struct sockaddr_ll address = { .sll_family = AF_PACKET,
				       .sll_ifindex = (int)if_nametoindex(config.dev) };
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), one = 1;

	/* past the queue of the device: all of it is ours */
	if (!address.sll_ifindex || fd < 0 ||
	    setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one)) ||
	    bind(fd, (struct sockaddr *)&address, sizeof(address)))
		die(config.dev);
	return fd;
}

/* As many as are due by now, out of a stock: making them is not what is to be measured. */
static void run(int fd)
{
	static struct frame frame[STOCK];
	static struct iovec iov[STOCK];
	static struct mmsghdr msg[STOCK];
	const struct timespec pause = { .tv_nsec = 500000 };
	uint64_t begin_ns, sent = 0, total = config.rate * config.seconds, due;
	unsigned int i, n;
	int ret;

	for (i = 0; i < STOCK; i++) {
		iov[i] = (struct iovec){ &frame[i], make_frame(&frame[i]) };
		msg[i] = (struct mmsghdr){ .msg_hdr = { .msg_iov = &iov[i], .msg_iovlen = 1 } };
	}
	begin_ns = now_ns();
	while (sent < total) {
		due = (now_ns() - begin_ns) * config.rate / SVR_NS_PER_SEC;
		if (due > total)
			due = total;
		if (due <= sent) {
			nanosleep(&pause, NULL);
			continue;
		}
		i = (unsigned int)(sent % STOCK);
		n = due - sent < BATCH ? (unsigned int)(due - sent) : BATCH;
		ret = sendmmsg(fd, &msg[i], n < STOCK - i ? n : STOCK - i, 0);
		if (ret < 0 && errno != ENOBUFS && errno != EAGAIN)
			die("sending");
		sent += ret > 0 ? (uint64_t)ret : 0;
	}
	printf("{\"sent\": %" PRIu64 ", \"seconds\": %.3f}\n", sent,
	       (double)(now_ns() - begin_ns) / (double)SVR_NS_PER_SEC);
}

/* ---- arguments ------------------------------------------------------------------------------- */

static enum kind kind_of(const char *text)
{
	unsigned int i;

	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(text, kinds[i]) == 0)
			return (enum kind)i;
	errno = EINVAL;
	die(text);
	return PEER;
}

static void option(const char *name, const char *text)
{
	bool ok = true;

	if (strcmp(name, "dev") == 0)
		config.dev = text;
	else if (strcmp(name, "mac") == 0)
		ok = sscanf(text, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &config.mac[0], &config.mac[1],
			    &config.mac[2], &config.mac[3], &config.mac[4], &config.mac[5]) == 6;
	else if (strcmp(name, "from") == 0)
		ok = inet_pton(AF_INET, text, &config.from) == 1;
	else if (strcmp(name, "to") == 0)
		ok = inet_pton(AF_INET, text, &config.to) == 1;
	else if (strcmp(name, "rate") == 0)
		ok = (config.rate = strtoull(text, NULL, 10)) > 0;
	else if (strcmp(name, "seconds") == 0)
		ok = (config.seconds = strtoull(text, NULL, 10)) > 0;
	else if (strcmp(name, "kind") == 0)
		config.kind = kind_of(text);
	else if (strcmp(name, "discr") == 0)
		ok = sscanf(text, "%" SCNu32 ",%" SCNu32, &config.my_discr, &config.your_discr) ==
		     2;
	else if (strcmp(name, "key") == 0)
		config.key = (uint32_t)strtoul(text, NULL, 10);
	else
		config.name = text;
	if (ok)
		return;
	errno = EINVAL;
	die(text);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "dev", required_argument, NULL, 0 },
		{ "mac", required_argument, NULL, 0 },
		{ "from", required_argument, NULL, 0 },
		{ "to", required_argument, NULL, 0 },
		{ "rate", required_argument, NULL, 0 },
		{ "seconds", required_argument, NULL, 0 },
		{ "kind", required_argument, NULL, 0 },
		{ "discr", required_argument, NULL, 0 },
		{ "key", required_argument, NULL, 0 },
		{ "name", required_argument, NULL, 0 },
		{ NULL, 0, NULL, 0 },
	};
	int which, index = 0;

	while ((which = getopt_long(argc, argv, "", options, &index)) == 0)
		option(options[index].name, optarg);
	if (which != -1 || optind != argc || !config.dev || !config.to.s_addr ||
	    (config.kind != STRANGERS && !config.from.s_addr)) {
		fprintf(stderr,
			"usage: flood --dev DEVICE --mac DESTINATION --from ADDRESS --to ADDRESS [--rate N] [--seconds N] [--kind KIND] [--discr MY,YOUR] [--key INDEX] [--name NAME]\n");
		return 2;
	}
	make_key();
	run(device_open());
	return 0;
}
