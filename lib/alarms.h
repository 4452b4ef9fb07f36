/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every alarm that svr raises, by category: SSR's category, and behind the slash which alarm of it.
 * docs/alarms.md says when each one comes and goes. Part of libsvr.
 */
#ifndef SVR_LIB_ALARMS_H
#define SVR_LIB_ALARMS_H

/* Of the key manager; source: name of the peer, of a path for PEER_PATH and PEER_PATH_MTU */
#define SVR_ALARM_PEER_PATH "peer/path-down"
#define SVR_ALARM_PEER_PATH_MTU "peer/path-mtu"
#define SVR_ALARM_PEER_REACH "peer/not-reachable"
#define SVR_ALARM_PEER_AUTHENTICATION "peer/authentication"
#define SVR_ALARM_PEER_KEY_TIMEOUT "peer/key-timeout"
#define SVR_ALARM_PEER_CERTIFICATE "peer/certificate"
/* Of the key manager; source: the router, the bundle, the URL */
#define SVR_ALARM_CERTIFICATE "platform/certificate"
#define SVR_ALARM_TRUSTED_CA "platform/trusted-ca"
#define SVR_ALARM_CRL "platform/crl"
/* Of the key manager; source: the file */
#define SVR_ALARM_JOURNAL "system/alarm-journal"
/* Of the worker; source: the table */
#define SVR_ALARM_SESSION_TABLE "platform/session-table"
#define SVR_ALARM_FLOW_TABLE "platform/flow-table"
#define SVR_ALARM_NONCES "platform/metadata-nonces"
#define SVR_ALARM_PORTS "platform/waypoint-ports"

#endif
