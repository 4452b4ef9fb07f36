// SPDX-License-Identifier: BSD-2-Clause
/* AF_XDP sockets, rings and frame memory of one data thread. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "worker/stats.h"
#include "worker/xsk.h"

enum {
	KICK_MAX = 64, /* in copy mode one call sends at most 32 frames */
	FILL_SHARE = 3, /* of four parts of the frames, for receiving */
	FILL_PARTS = 4,
	/* Bytes; copy mode counts what the receiver has not consumed yet against it */
	SNDBUF = 8 << 20,
};

#ifndef SOL_XDP
#define SOL_XDP 283
#endif

/* ---- frames -------------------------------------------------------------------------------- */

uint64_t svr_frame_get(struct svr_umem *u)
{
	if (u->n_free == 0)
		return UINT64_MAX;
	return (uint64_t)u->free[--u->n_free] * SVR_FRAME_SIZE;
}

void svr_frame_put(struct svr_umem *u, uint64_t addr)
{
	uint32_t frame = (uint32_t)(addr / SVR_FRAME_SIZE);

	u->owner[frame] = SVR_NO_PORT;
	u->free[u->n_free++] = frame;
}

int svr_umem_init(struct svr_umem *u, unsigned int busy_poll_us, struct svr_thread_stats *stats)
{
	uint32_t i;

	memset(u, 0, sizeof(*u));
	u->busy_poll_us = busy_poll_us;
	u->stats = stats;
	u->area = mmap(NULL, (size_t)SVR_FRAMES * SVR_FRAME_SIZE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (u->area == MAP_FAILED) {
		u->area = NULL;
		return -errno;
	}
	/* Pinning it takes a fifth of the time (a restart!), and packets cost fewer misses of the TLB */
	(void)madvise(u->area, (size_t)SVR_FRAMES * SVR_FRAME_SIZE, MADV_HUGEPAGE);
	for (i = SVR_FRAMES; i-- > 0;)
		svr_frame_put(u, (uint64_t)i * SVR_FRAME_SIZE);
	return 0;
}

void svr_umem_free(struct svr_umem *u)
{
	svr_port_close_all(u);
	if (u->area)
		munmap(u->area, (size_t)SVR_FRAMES * SVR_FRAME_SIZE);
	u->area = NULL;
}

/* What the kernel of a closed port still had. */
static void frames_reclaim(struct svr_umem *u, unsigned int port)
{
	uint32_t i;

	for (i = 0; i < SVR_FRAMES; i++)
		if (u->owner[i] == port)
			svr_frame_put(u, (uint64_t)i * SVR_FRAME_SIZE);
}

/* ---- ports --------------------------------------------------------------------------------- */

static int port_slot(const struct svr_umem *u)
{
	int i;

	for (i = 0; i < SVR_MAX_PORTS; i++)
		if (!u->port[i])
			return i;
	return -ENOSPC;
}

/* The UMEM is made with the rings of its first port: libxdp binds both with the same descriptor. */
static int umem_create(struct svr_umem *u, struct svr_port *first)
{
	const struct xsk_umem_config config = {
		.fill_size = SVR_RING_SIZE,
		.comp_size = SVR_RING_SIZE,
		.frame_size = SVR_FRAME_SIZE,
		.frame_headroom = SVR_FRAME_HEADROOM,
	};

	return xsk_umem__create(&u->umem, u->area, (uint64_t)SVR_FRAMES * SVR_FRAME_SIZE,
				&first->fill, &first->comp, &config);
}

/* Interrupts stay off while the thread polls (kernels from 5.11 on; others go on as before). */
static void busy_poll_set(const struct svr_port *p, int us)
{
	int one = 1, budget = SVR_BATCH;

	(void)setsockopt(p->fd, SOL_SOCKET, SO_PREFER_BUSY_POLL, &one, sizeof(one));
	(void)setsockopt(p->fd, SOL_SOCKET, SO_BUSY_POLL, &us, sizeof(us));
	(void)setsockopt(p->fd, SOL_SOCKET, SO_BUSY_POLL_BUDGET, &budget, sizeof(budget));
}

/* Only the first socket of a UMEM says what all of them are. */
static int socket_create(struct svr_umem *u, struct svr_port *p, bool zerocopy, bool sg)
{
	const struct xsk_socket_config config = {
		.rx_size = SVR_RING_SIZE,
		.tx_size = SVR_RING_SIZE,
		.libxdp_flags = XSK_LIBXDP_FLAGS__INHIBIT_PROG_LOAD,
		.bind_flags =
			(uint16_t)(XDP_USE_NEED_WAKEUP | (zerocopy ? XDP_ZEROCOPY : XDP_COPY) |
				   (sg ? SVR_XSK_USE_SG : 0)),
	};
	int err = 0;

	if (p->anchor)
		err = umem_create(u, p);
	if (err)
		return err;
	err = xsk_socket__create_shared(&p->xsk, p->device, p->queue, u->umem, &p->rx, &p->tx,
					&p->fill, &p->comp, &config);
	if (!p->anchor)
		return err;
	if (err) {
		xsk_umem__delete(u->umem);
		u->umem = NULL;
		return err;
	}
	u->zerocopy = zerocopy;
	u->sg = sg;
	return 0;
}

int svr_port_open(struct svr_umem *u, const char *device, int ifindex, uint32_t queue,
		  bool zerocopy)
{
	int index = port_slot(u), err, sndbuf = SNDBUF;
	struct svr_port *p;

	if (index < 0)
		return index;
	p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	p->ifindex = ifindex;
	p->queue = queue;
	strncpy(p->device, device, sizeof(p->device) - 1);
	p->anchor = u->n_ports == 0;
	err = socket_create(u, p, zerocopy, true);
	if (p->anchor && (err == -EINVAL || err == -EOPNOTSUPP)) /* before Linux 6.6, or the driver */
		err = socket_create(u, p, zerocopy, false);
	if (err)
		goto out;
	p->fd = xsk_socket__fd(p->xsk);
	/*
	 * As much as the ring can hold; the default of 208 KiB would stop a burst of a hundred
	 * packets
	 */
	(void)setsockopt(p->fd, SOL_SOCKET, SO_SNDBUFFORCE, &sndbuf, sizeof(sndbuf));
	if (u->busy_poll_us)
		busy_poll_set(p, (int)u->busy_poll_us);
	u->port[index] = p;
	u->n_ports++;
	return index;
out:
	free(p);
	return err;
}

static void port_free(struct svr_umem *u, unsigned int index)
{
	struct svr_port *p = u->port[index];

	xsk_socket__delete(p->xsk);
	frames_reclaim(u, index);
	u->port[index] = NULL;
	u->n_ports--;
	free(p);
}

int svr_port_find(const struct svr_umem *u, int ifindex, uint32_t queue)
{
	int i;

	for (i = 0; i < SVR_MAX_PORTS; i++)
		if (u->port[i] && u->port[i]->ifindex == ifindex && u->port[i]->queue == queue)
			return i;
	return -1;
}

void svr_port_close(struct svr_umem *u, unsigned int index)
{
	port_free(u, index);
	if (u->n_ports == 0)
		svr_port_close_all(u);
}

void svr_port_close_all(struct svr_umem *u)
{
	unsigned int i;

	for (i = 0; i < SVR_MAX_PORTS; i++)
		if (u->port[i])
			port_free(u, i);
	if (u->umem)
		xsk_umem__delete(u->umem);
	u->umem = NULL;
}

/* ---- rings --------------------------------------------------------------------------------- */

void svr_port_refill(struct svr_umem *u, unsigned int index)
{
	struct svr_port *p = u->port[index];
	uint32_t target = SVR_FRAMES * FILL_SHARE / FILL_PARTS / u->n_ports, want, idx, i;

	if (target > SVR_RING_SIZE)
		target = SVR_RING_SIZE;
	if (p->filled < target) {
		want = target - p->filled;
		if (want > u->n_free) {
			want = u->n_free;
			svr_tstat(u->stats, SVR_TSTAT_FRAMES_SHORT, 1);
		}
		/*
		 * The kernel moves its consumer index in steps: what it has taken may not be free
		 * to write yet
		 */
		i = xsk_prod_nb_free(&p->fill, want);
		if (want > i)
			want = i;
		if (want && xsk_ring_prod__reserve(&p->fill, want, &idx) == want) {
			for (i = 0; i < want; i++) {
				uint64_t addr = svr_frame_get(u);

				u->owner[addr / SVR_FRAME_SIZE] = (uint16_t)index;
				*xsk_ring_prod__fill_addr(&p->fill, idx + i) = addr;
			}
			xsk_ring_prod__submit(&p->fill, want);
			p->filled += want;
		}
	}
	if (xsk_ring_prod__needs_wakeup(&p->fill)) {
		svr_tstat(u->stats, SVR_TSTAT_RX_WAKEUPS, 1);
		(void)recvfrom(p->fd, NULL, 0, MSG_DONTWAIT, NULL, NULL);
	}
}

void svr_port_poll(struct svr_umem *u, unsigned int index)
{
	(void)recvfrom(u->port[index]->fd, NULL, 0, MSG_DONTWAIT, NULL, NULL);
}

void svr_port_complete(struct svr_umem *u, unsigned int index)
{
	struct svr_port *p = u->port[index];
	uint32_t idx, n, i;

	n = xsk_ring_cons__peek(&p->comp, SVR_RING_SIZE, &idx);
	for (i = 0; i < n; i++)
		svr_frame_put(u, svr_frame_chunk(*xsk_ring_cons__comp_addr(&p->comp, idx + i)));
	if (n)
		xsk_ring_cons__release(&p->comp, n);
}

unsigned int svr_port_receive(struct svr_umem *u, unsigned int index,
			      struct xdp_desc out[static SVR_BATCH])
{
	struct svr_port *p = u->port[index];
	uint32_t idx, n, i, seen;

	n = xsk_ring_cons__peek(&p->rx, SVR_BATCH, &idx);
	seen = n;
	for (i = 0; i < n; i++)
		out[i] = *xsk_ring_cons__rx_desc(&p->rx, idx + i);
	/* A packet that does not fit into the batch waits for the next one; none is as long as one */
	while (n && out[n - 1].options & SVR_XSK_CONTINUED)
		n--;
	for (i = 0; i < n; i++)
		u->owner[out[i].addr / SVR_FRAME_SIZE] = SVR_NO_PORT;
	if (seen > n)
		xsk_ring_cons__cancel(&p->rx, seen - n);
	if (n)
		xsk_ring_cons__release(&p->rx, n);
	p->filled -= n;
	return n;
}

static bool tx_unsent(const struct svr_port *p)
{
	return __atomic_load_n(p->tx.consumer, __ATOMIC_ACQUIRE) != *p->tx.producer;
}

bool svr_port_flush(struct svr_umem *u, unsigned int index)
{
	struct svr_port *p = u->port[index];
	int i;

	if (p->tx_new) {
		xsk_ring_prod__submit(&p->tx, p->tx_new);
		p->tx_new = 0;
	}
	for (i = 0; i < KICK_MAX && tx_unsent(p) && xsk_ring_prod__needs_wakeup(&p->tx); i++) {
		uint32_t before = __atomic_load_n(p->tx.consumer, __ATOMIC_ACQUIRE);

		svr_tstat(u->stats, SVR_TSTAT_TX_WAKEUPS, 1);
		if (sendto(p->fd, NULL, 0, MSG_DONTWAIT, NULL, 0) < 0 && errno != EAGAIN) {
			svr_tstat(u->stats, SVR_TSTAT_TX_BUSY, 1);
			break; /* EBUSY, ENOBUFS, device down: the ring keeps the frames */
		}
		if (__atomic_load_n(p->tx.consumer, __ATOMIC_ACQUIRE) == before)
			break;
		svr_port_complete(u, index);
	}
	return tx_unsent(p);
}

int svr_port_send(struct svr_umem *u, unsigned int index, uint64_t addr, uint32_t len)
{
	struct svr_port *p = u->port[index];
	uint32_t idx;

	if (xsk_ring_prod__reserve(&p->tx, 1, &idx) != 1) {
		svr_port_flush(u, index);
		if (xsk_ring_prod__reserve(&p->tx, 1, &idx) != 1) {
			svr_tstat(u->stats, SVR_TSTAT_TX_FULL, 1);
			return -ENOBUFS;
		}
	}
	*xsk_ring_prod__tx_desc(&p->tx, idx) = (struct xdp_desc){ .addr = addr, .len = len };
	u->owner[addr / SVR_FRAME_SIZE] = (uint16_t)index;
	p->tx_new++;
	return 0;
}

static void frames_put(struct svr_umem *u, const uint64_t *addr, unsigned int n)
{
	while (n--)
		svr_frame_put(u, addr[n]);
}

int svr_port_send_copy(struct svr_umem *u, unsigned int index, const void *data, size_t len)
{
	const unsigned int parts = (unsigned int)((len + SVR_FRAME_SIZE - 1) / SVR_FRAME_SIZE);
	struct svr_port *p = u->port[index];
	uint64_t addr[SVR_XSK_PARTS];
	uint32_t idx, i, size;

	if (parts == 0 || parts > SVR_XSK_PARTS || (parts > 1 && !u->sg))
		return -ENOBUFS;
	for (i = 0; i < parts; i++) {
		addr[i] = svr_frame_get(u);
		if (addr[i] != UINT64_MAX)
			continue;
		frames_put(u, addr, i);
		return -ENOBUFS;
	}
	if (xsk_ring_prod__reserve(&p->tx, parts, &idx) != parts) {
		svr_port_flush(u, index);
		if (xsk_ring_prod__reserve(&p->tx, parts, &idx) != parts) {
			frames_put(u, addr, parts);
			return -ENOBUFS;
		}
	}
	for (i = 0; i < parts; i++, len -= size) {
		size = len < SVR_FRAME_SIZE ? (uint32_t)len : SVR_FRAME_SIZE;
		memcpy(svr_frame_data(u, addr[i]), (const uint8_t *)data + (size_t)i * SVR_FRAME_SIZE,
		       size);
		*xsk_ring_prod__tx_desc(&p->tx, idx + i) = (struct xdp_desc){
			.addr = addr[i],
			.len = size,
			.options = i + 1 < parts ? SVR_XSK_CONTINUED : 0,
		};
		u->owner[addr[i] / SVR_FRAME_SIZE] = (uint16_t)index;
	}
	p->tx_new += parts;
	return 0;
}

unsigned int svr_frames_of(const struct xdp_desc *d, unsigned int n)
{
	unsigned int i;

	for (i = 1; i < n && d[i - 1].options & SVR_XSK_CONTINUED; i++)
		;
	return i;
}
