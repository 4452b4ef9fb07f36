/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How long a session may be silent before it is over, for clear sessions (two flows) and worker
 * sessions (a slot). Pure.
 */
#ifndef SVR_WORKER_TIMEOUT_H
#define SVR_WORKER_TIMEOUT_H

#include <stdbool.h>
#include <stdint.h>
#include <svr/maps.h>

/*
 * @service: its row, may be an empty one (its service was taken out of the configuration): then
 * 	defaults count.
 * @type: session type of the port (sys/sessiontype.h), NULL: what the service says counts. Here and below.
 */
uint64_t svr_timeout_ns(const struct svr_service *service, const struct svr_session_type *type,
			uint8_t proto, bool established, bool closing);

/* From both directions of a clear session. */
uint64_t svr_clear_timeout_ns(const struct svr_flow *a, const struct svr_flow *b,
			      const struct svr_service *service,
			      const struct svr_session_type *type);
/* The shortest that it can be, from one direction alone. */
uint64_t svr_clear_timeout_min_ns(const struct svr_flow *flow, const struct svr_service *service,
				  const struct svr_session_type *type);

/* From the slot of a worker session. */
uint64_t svr_session_timeout_ns(const struct svr_session *s, const struct svr_service *service,
				const struct svr_session_type *type);

#endif
