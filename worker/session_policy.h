/* SPDX-License-Identifier: BSD-2-Clause */
/* What the configuration says about a session that is to be made. */
#ifndef SVR_WORKER_SESSION_POLICY_H
#define SVR_WORKER_SESSION_POLICY_H

#include <stdbool.h>
#include <stdint.h>
#include <svr/maps.h>

struct svr_thread;

/* Row of a service. NULL if there is none, or while it is being changed. */
const struct svr_service *svr_session_service(const struct svr_thread *t, uint32_t service);
/* The configuration of a service's policy. NULL while the row is being changed. */
const struct svr_policy *svr_session_policy(const struct svr_thread *t,
					    const struct svr_service *svc);
/* Do we know all that it asks for? */
bool svr_session_algorithms_ok(const struct svr_policy *p);
void svr_session_take_algorithms(struct svr_session *s, uint8_t cipher, uint8_t hmac,
				 uint8_t hmac_mode);
/* True if the peer path still leads to this peer and is in service. */
bool svr_session_path_up(const struct svr_thread *t, uint32_t path, uint32_t peer);

#endif
