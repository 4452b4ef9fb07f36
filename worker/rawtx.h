/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The way out of a device that has no queue left for a data thread: a packet socket. It copies, and
 * the kernel chooses the queue; any number of threads may share a device that way.
 */
#ifndef SVR_WORKER_RAWTX_H
#define SVR_WORKER_RAWTX_H

#include <stddef.h>

/* A descriptor or negative errno. It receives nothing. */
int svr_rawtx_open(void);

/* A whole Ethernet frame out of a device. 0 or negative errno (-ENOBUFS, -EAGAIN: its queue is full). */
int svr_rawtx_send(int fd, int ifindex, const void *frame, size_t len);

#endif
