/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * BPF side only: packets that XDP cannot forward as they are, because they came in pieces or have to
 * leave in pieces. The worker puts together and cuts, and in between it runs the program itself on
 * the whole packet (BPF_PROG_TEST_RUN), so that there is one piece of code for sessions, metadata
 * and rewriting. Such a run has a struct svr_frame_desc with SVR_WHOLE_MAGIC in front of the frame,
 * where no host can put anything.
 */
#ifndef SVR_BPF_WHOLE_H
#define SVR_BPF_WHOLE_H

#include "maps.h"

/* SVR_FRAME_WHOLE or SVR_FRAME_PIECE, if the worker runs the program; 0 for a frame that arrived */
static __always_inline __u32 svr_whole_why(struct xdp_md *ctx)
{
	struct svr_frame_desc *d = (void *)(long)ctx->data_meta;

	if ((void *)(d + 1) > (void *)(long)ctx->data || d->magic != SVR_WHOLE_MAGIC)
		return 0;
	return d->why;
}

/* The frame is now a message to the sender, and goes out where the packet came in. */
static __always_inline void svr_whole_answered(struct xdp_md *ctx)
{
	struct svr_frame_desc *d = (void *)(long)ctx->data_meta;

	if ((void *)(d + 1) <= (void *)(long)ctx->data && d->magic == SVR_WHOLE_MAGIC)
		d->why = SVR_FRAME_ANSWER;
}

#endif
