/* SPDX-License-Identifier: BSD-2-Clause */
/* Packets that a data thread gives to the main thread: they wait for a next hop, or go to XDP again. */
#ifndef SVR_WORKER_HANDOVER_H
#define SVR_WORKER_HANDOVER_H

#include <stdint.h>
#include <linux/types.h>

#include "worker/mailbox.h"

struct svr_thread;
struct svr_work;

/**
 * svr_hand_over() - a copy of the packet for the main thread.
 * @kind: SVR_LETTER_SEND: the finished IP packet; SVR_LETTER_XDP: the frame as it was received
 * @zone, @addr: next hop that it waits for; 0: none
 * Return: 0 or -SVR_DROP_HOLD_FULL.
 */
int svr_hand_over(struct svr_thread *t, const struct svr_work *w, enum svr_letter_kind kind,
		  uint16_t zone, const __be32 addr[static 4]);

#endif
