/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * AF_XDP: one piece of memory for frames (UMEM) and a socket with four rings ("port") for each
 * receive queue of each device. All of it belongs to one data thread; nothing here takes a lock.
 */
#ifndef SVR_WORKER_XSK_H
#define SVR_WORKER_XSK_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <xdp/xsk.h>
#include <svr/limits.h>
#include <svr/wire.h>

enum svr_xsk_sizes {
	SVR_FRAME_SIZE = 4096,
	SVR_FRAMES = 16384,
	/*
	 * The kernel leaves 256 bytes itself (XDP_PACKET_HEADROOM); metadata goes in front of the
	 * payload.
	 */
	SVR_FRAME_HEADROOM = SVR_META_MAX,
	SVR_FRAME_TAIL = 2 * SVR_BLOCK_LEN + SVR_TAG_MAX,
	/* Longest frame that can be received and still protected */
	SVR_FRAME_MAX = SVR_FRAME_SIZE - 256 - SVR_FRAME_HEADROOM - SVR_FRAME_TAIL,
	SVR_RING_SIZE = 2048,
	SVR_BATCH = 64,
	SVR_MAX_PORTS = 256,
};

struct svr_thread_stats;

struct svr_port {
	struct xsk_socket *xsk;
	struct xsk_ring_prod fill, tx;
	struct xsk_ring_cons comp, rx;
	int fd;
	int ifindex;
	uint32_t queue;
	uint32_t filled; /* frames that wait in the fill ring or were received and not read yet */
	uint32_t tx_new; /* written, not yet shown to the kernel */
	bool anchor; /* its descriptor is the one that the UMEM is bound to */
	char device[IF_NAMESIZE];
};

struct svr_umem {
	uint8_t *area;
	struct xsk_umem *umem;
	bool zerocopy; /* all sockets of a UMEM are, or none is */
	unsigned int busy_poll_us; /* 0: receive by interrupts */
	struct svr_thread_stats *stats;
	bool sg; /* packets may take several frames (Linux 6.6) */
	uint32_t n_free;
	uint32_t free[SVR_FRAMES]; /* stack of frame numbers */
	uint16_t owner[SVR_FRAMES]; /* port that a frame was given to, SVR_NO_PORT: none */
	uint32_t n_ports;
	struct svr_port *port[SVR_MAX_PORTS]; /* NULL: slot is free */
};
enum { SVR_NO_PORT = UINT16_MAX };

/* Newer than the headers of some distributions */
enum svr_xsk_sg {
	SVR_XSK_USE_SG = 1 << 4, /* XDP_USE_SG, of a bind */
	SVR_XSK_CONTINUED = 1 << 0, /* XDP_PKT_CONTD, of a descriptor: the packet goes on in the next */
	SVR_XSK_PARTS = 20, /* most frames of a packet that is sent */
};

/* Number of frames of the packet that starts at @d, of @n that were received. */
unsigned int svr_frames_of(const struct xdp_desc *d, unsigned int n);

/* @stats: counts for the thread. 0 or negative errno. */
int svr_umem_init(struct svr_umem *u, unsigned int busy_poll_us, struct svr_thread_stats *stats);
void svr_umem_free(struct svr_umem *u); /* closes all ports */

/**
 * svr_port_open() - bind a socket to a queue.
 * @zerocopy: asked for; only the first port of a UMEM decides
 * Return: index of the port, -EBUSY while another socket (or the ghost of one) holds the queue,
 * -EINVAL for a queue that the device does not have, other negative errno.
 */
int svr_port_open(struct svr_umem *u, const char *device, int ifindex, uint32_t queue,
		  bool zerocopy);
/* Index of the socket that is bound to this queue of a device, -1 if there is none. */
int svr_port_find(const struct svr_umem *u, int ifindex, uint32_t queue);
void svr_port_close(struct svr_umem *u, unsigned int index);
/* All of them, and the UMEM's binding: the next port decides about zero copy again. */
void svr_port_close_all(struct svr_umem *u);

/* A frame from the pool: chunk address, or UINT64_MAX if there is none. */
uint64_t svr_frame_get(struct svr_umem *u);
void svr_frame_put(struct svr_umem *u, uint64_t addr);
static inline uint8_t *svr_frame_data(const struct svr_umem *u, uint64_t addr)
{
	return u->area + addr;
}
static inline uint64_t svr_frame_chunk(uint64_t addr)
{
	return addr & ~(uint64_t)(SVR_FRAME_SIZE - 1);
}

/* Give empty frames to the kernel. Call before reading. */
void svr_port_refill(struct svr_umem *u, unsigned int index);
/* Let the device's driver work for the queue now, within this call (busy polling). */
void svr_port_poll(struct svr_umem *u, unsigned int index);
/* Take back frames that were sent. */
void svr_port_complete(struct svr_umem *u, unsigned int index);
/*
 * Received frames; ownership goes to the caller. The parts of one packet come together (svr_frames_of()).
 */
unsigned int svr_port_receive(struct svr_umem *u, unsigned int index,
			      struct xdp_desc out[static SVR_BATCH]);
/* Queue a frame; the port owns it afterwards. -ENOBUFS if the ring stays full. */
int svr_port_send(struct svr_umem *u, unsigned int index, uint64_t addr, uint32_t len);
/*
 * The same for a packet of @len bytes elsewhere, copied into as many frames as it takes. -ENOBUFS also
 * if the kernel takes no packets of several frames.
 */
int svr_port_send_copy(struct svr_umem *u, unsigned int index, const void *data, size_t len);
/* Show what was queued to the kernel and wake it. True if something is still unsent. */
bool svr_port_flush(struct svr_umem *u, unsigned int index);

#endif
