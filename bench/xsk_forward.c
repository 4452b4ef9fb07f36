// SPDX-License-Identifier: BSD-2-Clause
/*
 * The least that a forwarder of encrypted packets over AF_XDP can be, which svr-worker is measured against: two devices,
 * new Ethernet addresses, the same cryptography through the same functions (lib/crypt.h), and nothing else. No sessions,
 * policy, replay protection, checksums of L4, TTL, MTU, metadata or counters.
 *
 *	xsk_forward [-c none|auto|openssl|ipsec-mb] [-g] INSIDE MAC OUTSIDE MAC
 *
 * What arrives INSIDE is encrypted and leaves OUTSIDE to its MAC, and the reverse. AES-256-CBC with HMAC-SHA-384, or with -g
 * AES-256-GCM; "auto" is the backend that the worker would choose. IV and tag stand behind the payload as svr has them. Copy mode, one queue and one thread, as the worker has.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/ether.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <xdp/xsk.h>

#include <openssl/crypto.h>

#include "bench/xsk_ref.h"
#include "lib/crypt.h"
#include "skel/xsk_ref.skel.h"

enum {
	FRAME_SIZE = 4096,
	FRAMES = 8192,
	RING = 2048,
	FILL = 2048, /* frames of each device that wait for packets */
	BATCH = SVR_CRYPT_BATCH_MAX,
	KICKS = 64, /* one call sends 32 frames at most */
	SNDBUF = 8 << 20,
	EPOCH = 1,
	TAG_MAX = 48,
};

struct side {
	const char *device;
	uint8_t mac[ETH_ALEN], to[ETH_ALEN];
	struct xsk_socket *xsk;
	struct xsk_ring_prod fill, tx;
	struct xsk_ring_cons comp, rx;
	uint32_t waiting; /* frames in the fill ring */
};

struct forwarder {
	uint8_t *area;
	uint64_t free[FRAMES];
	uint32_t n_free;
	struct xsk_umem *umem;
	struct side side[XSK_REF_PORTS];
	struct svr_crypt *crypt; /* NULL: nothing is encrypted */
	struct svr_cipher_key *cipher;
	struct svr_hmac_key *hmac; /* NULL with GCM */
	uint64_t counter;
};

/* A packet in work. */
struct packet {
	uint64_t addr;
	uint8_t *frame, *payload;
	size_t frame_len, payload_len;
	struct svr_crypt_job job;
	uint8_t nonce[SVR_GCM_NONCE_LEN], tag[TAG_MAX];
};

static volatile sig_atomic_t stopped;

static void stop(int signal)
{
	(void)signal;
	stopped = 1;
}

static void die(const char *what, int err)
{
	fprintf(stderr, "xsk_forward: %s: %s\n", what, strerror(err < 0 ? -err : err));
	exit(1);
}

/* ---- packets ------------------------------------------------------------------------------- */

static bool packet_parse(struct packet *p)
{
	struct iphdr *ip = (struct iphdr *)(p->frame + ETH_HLEN);
	size_t header = ETH_HLEN + sizeof(*ip), total = ntohs(ip->tot_len);

	header += ip->protocol == IPPROTO_TCP ?
			  4u * ((const struct tcphdr *)(p->frame + header))->doff :
			  sizeof(struct udphdr);
	if (total + ETH_HLEN < header || total + ETH_HLEN > p->frame_len)
		return false;
	p->payload = p->frame + header;
	p->payload_len = total + ETH_HLEN - header;
	return true;
}

/* The payload has another length now. */
static void packet_lengths(struct packet *p)
{
	struct iphdr *ip = (struct iphdr *)(p->frame + ETH_HLEN);
	const uint16_t *word = (const uint16_t *)ip;
	uint32_t sum = 0;
	unsigned int i;

	p->frame_len = (size_t)(p->payload - p->frame) + p->payload_len;
	ip->tot_len = htons((uint16_t)(p->frame_len - ETH_HLEN));
	if (ip->protocol == IPPROTO_UDP)
		((struct udphdr *)(ip + 1))->len =
			htons((uint16_t)(p->payload_len + sizeof(struct udphdr)));
	ip->check = 0;
	for (i = 0; i < sizeof(*ip) / 2; i++)
		sum += word[i];
	sum = (sum & 0xffff) + (sum >> 16);
	ip->check = (uint16_t) ~(sum + (sum >> 16));
}

static bool seal_begin(struct forwarder *f, struct packet *p)
{
	const uint64_t counter = ++f->counter;
	uint8_t *end;

	if (!f->hmac) {
		uint8_t explicit_part[SVR_GCM_EXPLICIT_LEN] = { 0 };

		memcpy(explicit_part, &counter, sizeof(counter));
		end = p->payload + p->payload_len;
		memcpy(end, explicit_part, sizeof(explicit_part));
		svr_gcm_nonce(f->cipher, explicit_part, p->nonce);
		p->job = (struct svr_crypt_job){ .cipher = f->cipher,
						 .text = p->payload,
						 .text_len = p->payload_len,
						 .iv = p->nonce,
						 .gcm_tag = end + sizeof(explicit_part) };
		p->payload_len += sizeof(explicit_part) + SVR_GCM_TAG_LEN;
		return true;
	}
	p->payload_len = p->payload_len ? svr_pad(p->payload, p->payload_len) : 0;
	end = p->payload + p->payload_len;
	if (svr_iv_make(f->crypt, f->cipher, EPOCH, counter, end))
		return false;
	p->job = (struct svr_crypt_job){ .cipher = p->payload_len ? f->cipher : NULL,
					 .text = p->payload,
					 .text_len = p->payload_len,
					 .iv = end,
					 .hmac = f->hmac,
					 .input = p->payload,
					 .input_len = p->payload_len + SVR_BLOCK_LEN,
					 .tag = end + SVR_BLOCK_LEN };
	p->payload_len += SVR_BLOCK_LEN + svr_hmac_tag_len(SVR_HMAC_SHA384);
	return true;
}

static bool open_begin(struct forwarder *f, struct packet *p)
{
	const size_t added = f->hmac ? SVR_BLOCK_LEN + svr_hmac_tag_len(SVR_HMAC_SHA384) :
				       SVR_GCM_EXPLICIT_LEN + SVR_GCM_TAG_LEN;
	uint8_t *end;

	if (p->payload_len < added)
		return false;
	p->payload_len -= added;
	end = p->payload + p->payload_len;
	if (!f->hmac) {
		svr_gcm_nonce(f->cipher, end, p->nonce);
		p->job = (struct svr_crypt_job){ .cipher = f->cipher,
						 .text = p->payload,
						 .text_len = p->payload_len,
						 .iv = p->nonce,
						 .gcm_tag = end + SVR_GCM_EXPLICIT_LEN };
		return true;
	}
	p->job = (struct svr_crypt_job){ .cipher = f->cipher,
					 .text = p->payload,
					 .text_len = p->payload_len,
					 .iv = end,
					 .hmac = f->hmac,
					 .input = p->payload,
					 .input_len = p->payload_len + SVR_BLOCK_LEN,
					 .tag = p->tag };
	return p->payload_len % SVR_BLOCK_LEN == 0;
}

static bool opened(struct forwarder *f, struct packet *p)
{
	int len;

	if (p->job.err)
		return false;
	if (!f->hmac || p->payload_len == 0)
		return true;
	len = svr_unpad(p->payload, p->payload_len);
	if (len < 0)
		return false;
	p->payload_len = (size_t)len;
	return true;
}

/* Seal or open a batch. Packets that fail lose their payload pointer. */
static void batch_crypt(struct forwarder *f, struct packet *batch, unsigned int n, bool outward)
{
	struct svr_crypt_job *jobs[BATCH];
	unsigned int i, count = 0;

	for (i = 0; i < n; i++) {
		struct packet *p = &batch[i];

		if (p->payload && !(outward ? seal_begin(f, p) : open_begin(f, p)))
			p->payload = NULL;
		if (p->payload)
			jobs[count++] = &p->job;
	}
	if (outward) {
		svr_crypt_seal(f->crypt, jobs, count);
	} else {
		if (f->hmac)
			svr_crypt_tag(f->crypt, jobs, count);
		for (i = 0; f->hmac && i < count; i++)
			if (CRYPTO_memcmp(jobs[i]->tag, jobs[i]->input + jobs[i]->input_len,
					  svr_hmac_tag_len(SVR_HMAC_SHA384)))
				jobs[i]->err = -EBADMSG;
		/* A forged packet is decrypted for nothing here; nobody sends one */
		svr_crypt_open(f->crypt, jobs, count);
	}
	for (i = 0; i < n; i++) {
		struct packet *p = &batch[i];

		if (p->payload && (outward ? p->job.err != 0 : !opened(f, p)))
			p->payload = NULL;
		if (p->payload)
			packet_lengths(p);
	}
}

/* ---- rings --------------------------------------------------------------------------------- */

static void refill(struct forwarder *f, struct side *s)
{
	uint32_t want = FILL - s->waiting, idx, i;

	if (want > f->n_free)
		want = f->n_free;
	i = xsk_prod_nb_free(&s->fill, want);
	if (want > i)
		want = i;
	if (want && xsk_ring_prod__reserve(&s->fill, want, &idx) == want) {
		for (i = 0; i < want; i++)
			*xsk_ring_prod__fill_addr(&s->fill, idx + i) = f->free[--f->n_free];
		xsk_ring_prod__submit(&s->fill, want);
		s->waiting += want;
	}
	if (xsk_ring_prod__needs_wakeup(&s->fill))
		recvfrom(xsk_socket__fd(s->xsk), NULL, 0, MSG_DONTWAIT, NULL, NULL);
}

static void complete(struct forwarder *f, struct side *s)
{
	uint32_t idx, n = xsk_ring_cons__peek(&s->comp, RING, &idx), i;

	for (i = 0; i < n; i++)
		f->free[f->n_free++] = *xsk_ring_cons__comp_addr(&s->comp, idx + i) &
				       ~(uint64_t)(FRAME_SIZE - 1);
	if (n)
		xsk_ring_cons__release(&s->comp, n);
}

static bool unsent(const struct side *s)
{
	return __atomic_load_n(s->tx.consumer, __ATOMIC_ACQUIRE) != *s->tx.producer;
}

static void flush(struct forwarder *f, struct side *s)
{
	int i;

	for (i = 0; i < KICKS && unsent(s) && xsk_ring_prod__needs_wakeup(&s->tx); i++) {
		uint32_t before = __atomic_load_n(s->tx.consumer, __ATOMIC_ACQUIRE);

		if (sendto(xsk_socket__fd(s->xsk), NULL, 0, MSG_DONTWAIT, NULL, 0) < 0 &&
		    errno != EAGAIN)
			break;
		if (__atomic_load_n(s->tx.consumer, __ATOMIC_ACQUIRE) == before)
			break;
		complete(f, s);
	}
}

static unsigned int receive(struct side *s, struct forwarder *f, struct packet batch[static BATCH])
{
	uint32_t idx, n = xsk_ring_cons__peek(&s->rx, BATCH, &idx), i;

	for (i = 0; i < n; i++) {
		const struct xdp_desc *d = xsk_ring_cons__rx_desc(&s->rx, idx + i);

		batch[i].addr = d->addr;
		batch[i].frame = f->area + d->addr;
		batch[i].frame_len = d->len;
	}
	if (n)
		xsk_ring_cons__release(&s->rx, n);
	s->waiting -= n;
	return n;
}

static void transmit(struct forwarder *f, struct side *out, struct packet *batch, unsigned int n)
{
	uint32_t idx, sent = 0;
	unsigned int i;

	for (i = 0; i < n; i++) {
		struct packet *p = &batch[i];
		struct ether_header *eth = (struct ether_header *)p->frame;

		if (!p->payload || xsk_ring_prod__reserve(&out->tx, 1, &idx) != 1) {
			f->free[f->n_free++] = p->addr & ~(uint64_t)(FRAME_SIZE - 1);
			continue;
		}
		memcpy(eth->ether_dhost, out->to, ETH_ALEN);
		memcpy(eth->ether_shost, out->mac, ETH_ALEN);
		*xsk_ring_prod__tx_desc(&out->tx, idx) =
			(struct xdp_desc){ .addr = p->addr, .len = (uint32_t)p->frame_len };
		sent++;
	}
	if (sent)
		xsk_ring_prod__submit(&out->tx, sent);
}

static unsigned int round_run(struct forwarder *f)
{
	static struct packet batch[BATCH];
	unsigned int i, k, n, all = 0;

	for (i = 0; i < XSK_REF_PORTS; i++) {
		complete(f, &f->side[i]);
		refill(f, &f->side[i]);
		n = receive(&f->side[i], f, batch);
		for (k = 0; k < n; k++)
			if (!packet_parse(&batch[k]))
				batch[k].payload = NULL;
		if (n && f->crypt)
			batch_crypt(f, batch, n, i == 0);
		transmit(f, &f->side[!i], batch, n);
		all += n;
	}
	for (i = 0; i < XSK_REF_PORTS; i++)
		flush(f, &f->side[i]);
	return all;
}

static void run(struct forwarder *f)
{
	struct pollfd fds[XSK_REF_PORTS];
	unsigned int i;

	for (i = 0; i < XSK_REF_PORTS; i++)
		fds[i] = (struct pollfd){ .fd = xsk_socket__fd(f->side[i].xsk), .events = POLLIN };
	while (!stopped)
		if (!round_run(f))
			poll(fds, XSK_REF_PORTS,
			     unsent(&f->side[0]) || unsent(&f->side[1]) ? 1 : -1);
}

/* ---- life ---------------------------------------------------------------------------------- */

static void side_open(struct forwarder *f, struct side *s, bool first)
{
	const struct xsk_socket_config config = { .rx_size = RING,
						  .tx_size = RING,
						  .libxdp_flags =
							  XSK_LIBXDP_FLAGS__INHIBIT_PROG_LOAD,
						  .bind_flags = XDP_USE_NEED_WAKEUP | XDP_COPY };
	const struct xsk_umem_config umem = { .fill_size = RING,
					      .comp_size = RING,
					      .frame_size = FRAME_SIZE };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), err, size = SNDBUF;
	struct ifreq request = { 0 };

	strncpy(request.ifr_name, s->device, sizeof(request.ifr_name) - 1);
	if (fd < 0 || ioctl(fd, SIOCGIFHWADDR, &request))
		die(s->device, errno);
	memcpy(s->mac, request.ifr_hwaddr.sa_data, ETH_ALEN);
	close(fd);
	err = first ? xsk_umem__create(&f->umem, f->area, (uint64_t)FRAMES * FRAME_SIZE, &s->fill,
				       &s->comp, &umem) :
		      0;
	if (!err)
		err = xsk_socket__create_shared(&s->xsk, s->device, 0, f->umem, &s->rx, &s->tx,
						&s->fill, &s->comp, &config);
	if (err)
		die(s->device, err);
	setsockopt(xsk_socket__fd(s->xsk), SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
}

/* Both ends have the same keys: a secret is not what is measured. */
static void crypt_open(struct forwarder *f, const char *backend, bool gcm)
{
	uint8_t enc[32], iv[32], mac[48];
	struct svr_crypt_info info;
	int err;

	if (!strcmp(backend, "none"))
		return;
	memset(enc, 1, sizeof(enc));
	memset(iv, 2, sizeof(iv));
	memset(mac, 3, sizeof(mac));
	err = svr_crypt_new_backend(!strcmp(backend, "auto")	? SVR_CRYPT_AUTO :
				    !strcmp(backend, "openssl") ? SVR_CRYPT_OPENSSL :
								  SVR_CRYPT_IPSEC_MB,
				    &f->crypt);
	if (!err)
		err = svr_cipher_key_new(f->crypt,
					 gcm ? SVR_CIPHER_AES_GCM_256 : SVR_CIPHER_AES_CBC_256, enc,
					 iv, &f->cipher);
	if (!err && !gcm)
		err = svr_hmac_key_new(f->crypt, SVR_HMAC_SHA384, mac, sizeof(mac), &f->hmac);
	if (err)
		die(backend, err);
	svr_crypt_describe(f->crypt, &info);
	printf("crypto by %s\n", info.backend);
}

int main(int argc, char **argv)
{
	const struct sigaction action = { .sa_handler = stop };
	static struct forwarder f;
	const char *backend = "none";
	struct xsk_ref *bpf;
	bool gcm = false;
	int option, fd;
	uint32_t i;

	while ((option = getopt(argc, argv, "c:g")) != -1) {
		if (option == 'g')
			gcm = true;
		else if (option == 'c' &&
			 (!strcmp(optarg, "none") || !strcmp(optarg, "auto") ||
			  !strcmp(optarg, "openssl") || !strcmp(optarg, "ipsec-mb")))
			backend = optarg;
		else
			optind = argc;
	}
	if (argc - optind != 2 * XSK_REF_PORTS) {
		fprintf(stderr,
			"usage: xsk_forward [-c none|auto|openssl|ipsec-mb] [-g] INSIDE MAC OUTSIDE MAC\n");
		return 2;
	}
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	crypt_open(&f, backend, gcm);
	f.area = mmap(NULL, (size_t)FRAMES * FRAME_SIZE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (f.area == MAP_FAILED)
		die("memory", errno);
	for (i = 0; i < FRAMES; i++)
		f.free[f.n_free++] = (uint64_t)i * FRAME_SIZE;
	bpf = xsk_ref__open();
	if (!bpf)
		die("BPF", errno);
	for (i = 0; i < XSK_REF_PORTS; i++) {
		struct side *s = &f.side[i];
		const struct ether_addr *to = ether_aton(argv[optind + 2 * (int)i + 1]);

		s->device = argv[optind + 2 * (int)i];
		if (!to || !if_nametoindex(s->device))
			die(s->device, EINVAL);
		memcpy(s->to, to, ETH_ALEN);
		bpf->rodata->xsk_ref_ifindex[i] = if_nametoindex(s->device);
		side_open(&f, s, i == 0);
	}
	if (xsk_ref__load(bpf))
		die("BPF", errno);
	for (i = 0; i < XSK_REF_PORTS; i++) {
		fd = xsk_socket__fd(f.side[i].xsk);
		if (bpf_map_update_elem(bpf_map__fd(bpf->maps.xsk_ref_sockets), &i, &fd, 0) ||
		    !bpf_program__attach_xdp(bpf->progs.xsk_ref_receive,
					     (int)if_nametoindex(f.side[i].device)))
			die(f.side[i].device, errno);
	}
	puts("forwarding");
	fflush(stdout);
	run(&f);
	for (i = 0; i < XSK_REF_PORTS; i++)
		xsk_socket__delete(f.side[i].xsk);
	xsk_umem__delete(f.umem);
	xsk_ref__destroy(bpf);
	svr_hmac_key_free(f.hmac);
	svr_cipher_key_free(f.cipher);
	svr_crypt_free(f.crypt);
	munmap(f.area, (size_t)FRAMES * FRAME_SIZE);
	return 0;
}
