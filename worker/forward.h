/* SPDX-License-Identifier: BSD-2-Clause */
/* What happens to a frame that XDP gave to the worker. */
#ifndef SVR_WORKER_FORWARD_H
#define SVR_WORKER_FORWARD_H

struct svr_thread;
struct svr_work;

/*
 * Sends, holds or refuses. 0 or a negative drop reason; w->gone tells whether the frame was handed
 * over.
 */
int svr_forward_frame(struct svr_thread *t, struct svr_work *w);

#endif
