/* SPDX-License-Identifier: BSD-2-Clause */
/* What happens to a frame that XDP gave to the worker. */
#ifndef SVR_WORKER_FORWARD_H
#define SVR_WORKER_FORWARD_H

struct svr_thread;
struct svr_work;

/*
 * Checks the frame, finds its session or makes it, and brings the frame to its first stage. 0 or a
 * negative drop reason.
 */
int svr_forward_frame(struct svr_thread *t, struct svr_work *w);

#endif
