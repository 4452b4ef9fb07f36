/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames that one ring held at one moment, through all stages together:
 *
 *	each: checks, session, layout | all: encrypt and tag, compute tags | each: tag right? replay?
 *	| all: decrypt | each: state, addresses, checksum, send, in the order in which they came
 *
 * A batch never waits for more: it is what was there.
 */
#ifndef SVR_WORKER_BATCH_H
#define SVR_WORKER_BATCH_H

#include <stdint.h>

#include "worker/work.h"
#include "worker/xsk.h"

struct svr_thread;
struct xdp_desc;

struct svr_batch {
	unsigned int count;
	struct svr_work work[SVR_BATCH];
	struct svr_crypt_job *job[SVR_BATCH];
};
_Static_assert((int)SVR_BATCH <= (int)SVR_CRYPT_BATCH_MAX, "one call each");

/* @frames: as svr_port_receive() gave them; sends, hands over or drops them all. */
void svr_batch_run(struct svr_thread *t, uint16_t port, const struct xdp_desc frames[],
		   unsigned int count);

/*
 * A packet that lies elsewhere, its description known already; see svr_work.addr. Not while a batch
 * runs.
 */
void svr_batch_run_one(struct svr_thread *t, const struct svr_work *work);

#endif
