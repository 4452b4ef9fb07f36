/* SPDX-License-Identifier: BSD-2-Clause */
/* Which session type a session has: that of its service, or that of its port. */
#ifndef SVR_SYS_SESSIONTYPE_H
#define SVR_SYS_SESSIONTYPE_H

#include <stdint.h>

#include <svr/maps.h>

struct svr_mapset;

/**
 * svr_session_type_of_flow() - the session type of the port on the service's side.
 * @key: of the flow, @flow its value; either direction, clear sessions
 * @service: its service's row
 * Return: a row of the mapped array; NULL if no session type holds the port, or if the service names one: then
 * svr_service.timeout_ms counts.
 */
const struct svr_session_type *svr_session_type_of_flow(const struct svr_mapset *m,
							const struct svr_flow6_key *key,
							const struct svr_flow *flow,
							const struct svr_service *service);

/* The same for a session of the worker. */
const struct svr_session_type *svr_session_type_of_record(const struct svr_mapset *m,
							  const struct svr_session *s,
							  const struct svr_service *service);

#endif
