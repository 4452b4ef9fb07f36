/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Peer to LAN: checks -> IV | tag | checksum -> replay? | decrypt | readdress -> LAN
 *
 * State changes only after a packet is known to be good, and every refusal has a name.
 */
#ifndef SVR_WORKER_INBOUND_H
#define SVR_WORKER_INBOUND_H

#include <stdint.h>

struct svr_thread;
struct svr_work;

/*
 * A packet from the peer. @slot: session of its flow, 0: none. 0: it goes on at its stage; otherwise
 * a negative drop reason. Metadata is authenticated and obeyed here, whatever waits in the batch.
 */
int svr_inbound(struct svr_thread *t, struct svr_work *w, uint32_t slot, uint32_t path);
/* SVR_STAGE_VERIFY is done: to the next stage, or a negative drop reason. */
int svr_inbound_verified(struct svr_thread *t, struct svr_work *w);
/* It is authentic and decrypted: deliver it. 0 or a negative drop reason. */
int svr_inbound_finish(struct svr_thread *t, struct svr_work *w);

#endif
