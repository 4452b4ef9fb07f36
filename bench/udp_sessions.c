// SPDX-License-Identifier: BSD-2-Clause
/*
 * Many UDP sessions, each of one datagram and its answer, straight from and to a network device: sockets for half a
 * million of them would measure the sockets.
 *
 *	udp_sessions answer DEVICE ADDRESS
 *	udp_sessions open DEVICE GATEWAY-MAC ADDRESS TO PORT COUNT WINDOW
 *
 * The addresses must be none of the host's own (its kernel would answer as well), so the routers need static neighbours
 * for them. A session is open when its answer has come. No more than WINDOW are waited for at a time; what is lost is sent
 * again. Prints JSON. Needs CAP_NET_RAW.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <net/if.h>
#include <netinet/ether.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <linux/if_packet.h>

enum {
	BATCH = 64,
	BUFFER = 32 << 20, /* of each socket */
	FIRST_PORT =
		1024, /* source ports of the sessions: all above the privileged ones, then the next TO port */
	PORTS = 65536 - FIRST_PORT,
	PAYLOAD = 32,
	RESEND_MS = 100,
	GIVE_UP_SEC = 60, /* without any progress */
	COUNT_MAX = 10000000,
};
#define NS_PER_MS  1000000ULL
#define NS_PER_SEC 1000000000ULL

struct frame {
	struct ether_header eth;
	struct iphdr ip;
	struct udphdr udp;
	union {
		uint8_t bytes[PAYLOAD];
		uint32_t number; /* network byte order */
	} data;
} __attribute__((packed));

struct batch {
	struct mmsghdr msg[BATCH];
	struct iovec iov[BATCH];
	uint8_t data[BATCH][2048];
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * NS_PER_SEC + (uint64_t)t.tv_nsec;
}

static void die(const char *what)
{
	fprintf(stderr, "udp_sessions: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int device_open(const char *name, uint8_t mac[static ETH_ALEN])
{
	struct sockaddr_ll address = { .sll_family = AF_PACKET,
				       .sll_protocol = htons(ETH_P_IP),
				       .sll_ifindex = (int)if_nametoindex(name) };
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), one = 1, size = BUFFER;
	struct ifreq request = { 0 };

	if (fd < 0 || !address.sll_ifindex)
		die(name);
	strncpy(request.ifr_name, name, sizeof(request.ifr_name) - 1);
	if (setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one)) ||
	    setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one)) ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) ||
	    ioctl(fd, SIOCGIFHWADDR, &request) ||
	    bind(fd, (const struct sockaddr *)&address, sizeof(address)))
		die(name);
	memcpy(mac, request.ifr_hwaddr.sa_data, ETH_ALEN);
	return fd;
}

static struct batch *batch_new(void)
{
	struct batch *b = calloc(1, sizeof(*b));
	unsigned int i;

	if (!b)
		die("memory");
	for (i = 0; i < BATCH; i++) {
		b->iov[i] = (struct iovec){ b->data[i], sizeof(b->data[i]) };
		b->msg[i].msg_hdr = (struct msghdr){ .msg_iov = &b->iov[i], .msg_iovlen = 1 };
	}
	return b;
}

static void batch_send(int fd, struct batch *b, unsigned int n)
{
	unsigned int done = 0;
	int sent;

	while (done < n) {
		sent = sendmmsg(fd, b->msg + done, n - done, 0);
		/* A full device loses what a full link would lose */
		done += sent > 0 ? (unsigned int)sent : 1;
	}
}

static uint16_t sum16(const void *data, size_t len, uint32_t sum)
{
	const uint8_t *p = data;
	size_t i;

	for (i = 0; i < len; i += 2)
		sum += (uint32_t)(p[i] << 8 | (i + 1 < len ? p[i + 1] : 0));
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t)~sum);
}

/* ---- the server ---------------------------------------------------------------------------- */

static bool turn_round(struct frame *f, size_t len, uint32_t address)
{
	struct ether_header eth = f->eth;
	struct iphdr ip = f->ip;
	uint16_t port = f->udp.source;

	if (len < sizeof(*f) || ip.protocol != IPPROTO_UDP || ip.ihl != 5 || ip.daddr != address)
		return false;
	memcpy(f->eth.ether_dhost, eth.ether_shost, ETH_ALEN);
	memcpy(f->eth.ether_shost, eth.ether_dhost, ETH_ALEN);
	/* Sums stay as they are */
	f->ip.saddr = ip.daddr;
	f->ip.daddr = ip.saddr;
	f->udp.source = f->udp.dest;
	f->udp.dest = port;
	return true;
}

static void answer(const char *device, uint32_t address)
{
	uint8_t mac[ETH_ALEN];
	int fd = device_open(device, mac), n, i;
	struct batch *b = batch_new();
	unsigned int out;

	puts("serving");
	fflush(stdout);
	for (;;) {
		for (i = 0; i < BATCH; i++)
			b->iov[i].iov_len = sizeof(b->data[i]);
		n = recvmmsg(fd, b->msg, BATCH, MSG_WAITFORONE, NULL);
		for (i = 0, out = 0; i < n; i++) {
			struct frame *f = (struct frame *)b->data[i];

			if (!turn_round(f, b->msg[i].msg_len, address))
				continue;
			if (out != (unsigned int)i)
				memcpy(b->data[out], f, sizeof(*f));
			b->iov[out++].iov_len = sizeof(*f);
		}
		batch_send(fd, b, out);
	}
}

/* ---- the clients --------------------------------------------------------------------------- */

struct load {
	int fd;
	struct frame model;
	uint16_t port; /* the first one */
	uint32_t count, window;
	bool *open; /* has been answered */
	uint32_t base, next; /* all before base are open, all from next on were not sent */
	uint32_t answered;
	uint64_t resent, progress_ns, sent_ns;
	struct batch *in, *out;
};

static void frame_make(const struct load *l, struct frame *f, uint32_t i)
{
	struct {
		uint32_t source, dest;
		uint8_t zero, protocol;
		uint16_t len;
	} pseudo;

	*f = l->model;
	f->ip.id = htons((uint16_t)i);
	f->ip.check = 0;
	f->ip.check = sum16(&f->ip, sizeof(f->ip), 0);
	f->udp.source = htons((uint16_t)(FIRST_PORT + i % PORTS));
	f->udp.dest = htons((uint16_t)(l->port + i / PORTS));
	f->udp.check = 0;
	f->data.number = htonl(i);
	pseudo.source = f->ip.saddr;
	pseudo.dest = f->ip.daddr;
	pseudo.zero = 0;
	pseudo.protocol = IPPROTO_UDP;
	pseudo.len = f->udp.len;
	f->udp.check = sum16(&f->udp, sizeof(f->udp) + sizeof(f->data),
			     (uint16_t)~ntohs(sum16(&pseudo, sizeof(pseudo), 0)));
}

/* Send those of [from, to) that are not open. Return: how many. */
static uint32_t send_range(struct load *l, uint32_t from, uint32_t to)
{
	unsigned int n = 0;
	uint32_t i, all = 0;

	for (i = from; i < to; i++) {
		if (l->open[i])
			continue;
		frame_make(l, (struct frame *)l->out->data[n], i);
		l->out->iov[n++].iov_len = sizeof(struct frame);
		all++;
		if (n == BATCH) {
			batch_send(l->fd, l->out, n);
			n = 0;
		}
	}
	batch_send(l->fd, l->out, n);
	l->sent_ns = now_ns();
	return all;
}

static void answers(struct load *l)
{
	int n = recvmmsg(l->fd, l->in->msg, BATCH, MSG_DONTWAIT, NULL), i;

	for (i = 0; i < n; i++) {
		const struct frame *f = (const struct frame *)l->in->data[i];
		uint32_t number;

		if (l->in->msg[i].msg_len < sizeof(*f) || f->ip.protocol != IPPROTO_UDP ||
		    f->ip.saddr != l->model.ip.daddr)
			continue;
		number = ntohl(f->data.number);
		if (number >= l->next || l->open[number] ||
		    f->udp.dest != htons((uint16_t)(FIRST_PORT + number % PORTS)) ||
		    f->udp.source != htons((uint16_t)(l->port + number / PORTS)))
			continue;
		l->open[number] = true;
		l->answered++;
		l->progress_ns = now_ns();
	}
	while (l->base < l->next && l->open[l->base])
		l->base++;
}

static bool load_run(struct load *l)
{
	struct pollfd p = { .fd = l->fd, .events = POLLIN };
	const uint32_t batch = l->window < BATCH ? l->window : BATCH;
	uint32_t end;

	l->progress_ns = now_ns();
	while (l->base < l->count) {
		/* What came late may leave room for less than a batch: wait for more, so that they stay batches */
		end = l->base + l->window < l->count ? l->base + l->window : l->count;
		if (end > l->next && (end - l->next >= batch || end == l->count)) {
			uint32_t from = l->next;

			l->next = end - from > batch ? from + batch : end;
			send_range(l, from, l->next);
		} else if (poll(&p, 1, RESEND_MS) == 0 ||
			   now_ns() - l->sent_ns > RESEND_MS * NS_PER_MS) {
			l->resent += send_range(l, l->base, l->next);
		}
		answers(l);
		if (now_ns() - l->progress_ns > GIVE_UP_SEC * NS_PER_SEC)
			return false;
	}
	return true;
}

static int open_all(char **arg)
{
	const struct ether_addr *gateway = ether_aton(arg[1]);
	long port = strtol(arg[4], NULL, 10), count = strtol(arg[5], NULL, 10),
	     window = strtol(arg[6], NULL, 10);
	struct load l = { 0 };
	uint64_t start;
	bool all;

	if (!gateway || inet_pton(AF_INET, arg[2], &l.model.ip.saddr) != 1 ||
	    inet_pton(AF_INET, arg[3], &l.model.ip.daddr) != 1 || count < 1 || count > COUNT_MAX ||
	    window < 1 || port < 1 || port + count / PORTS > UINT16_MAX) {
		fprintf(stderr, "udp_sessions: bad address, port, count or window\n");
		return 2;
	}
	memcpy(l.model.eth.ether_dhost, gateway, ETH_ALEN);
	l.fd = device_open(arg[0], l.model.eth.ether_shost);
	l.model.eth.ether_type = htons(ETH_P_IP);
	l.model.ip.version = 4;
	l.model.ip.ihl = 5;
	l.model.ip.ttl = 64;
	l.model.ip.protocol = IPPROTO_UDP;
	l.model.ip.tot_len = htons(sizeof(struct frame) - sizeof(struct ether_header));
	l.model.udp.len = htons(sizeof(struct udphdr) + PAYLOAD);
	l.port = (uint16_t)port;
	l.count = (uint32_t)count;
	l.window = (uint32_t)window;
	l.open = calloc(l.count, sizeof(*l.open));
	l.in = batch_new();
	l.out = batch_new();
	if (!l.open)
		die("memory");
	start = now_ns();
	all = load_run(&l);
	printf("{\"sessions\": %" PRIu32 ", \"seconds\": %.4f, \"sent_again\": %" PRIu64 "}\n",
	       l.answered, (double)((all ? now_ns() : l.progress_ns) - start) / 1e9, l.resent);
	free(l.open);
	free(l.in);
	free(l.out);
	close(l.fd);
	return all ? 0 : 1;
}

int main(int argc, char **argv)
{
	uint32_t address;

	if (argc == 4 && !strcmp(argv[1], "answer") && inet_pton(AF_INET, argv[3], &address) == 1)
		answer(argv[2], address);
	if (argc == 9 && !strcmp(argv[1], "open"))
		return open_all(argv + 2);
	fprintf(stderr, "usage: udp_sessions answer DEVICE ADDRESS | "
			"udp_sessions open DEVICE GATEWAY-MAC ADDRESS TO PORT COUNT WINDOW\n");
	return 2;
}
