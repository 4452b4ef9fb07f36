/* SPDX-License-Identifier: BSD-2-Clause */
/* The running router's maps as the show commands read them. Loader only. */
#ifndef SVR_LOADER_STATE_H
#define SVR_LOADER_STATE_H

#include <stddef.h>
#include <stdint.h>

#include "sys/mapset.h"

struct svr_cli;

enum { SVR_STATE_ADDR_LEN = 46, SVR_STATE_MAC_LEN = 18, SVR_STATE_AGE_LEN = 32 };

struct svr_state {
	const char *router;
	struct svr_mapset m;
	uint64_t now_ns; /* CLOCK_MONOTONIC, as in the flows */
	uint64_t real_ns; /* CLOCK_REALTIME */
};

/* Opens the maps read-only. 0 or negative errno with the error reported. */
int svr_state_open(struct svr_cli *cli, struct svr_state *s);
void svr_state_close(struct svr_state *s);

/* Names by number; NULL for 0, a number out of range, or a free slot. */
const char *svr_state_zone(const struct svr_state *s, uint32_t i);
const char *svr_state_tenant(const struct svr_state *s, uint32_t i);
const char *svr_state_service(const struct svr_state *s, uint32_t i);
const char *svr_state_policy(const struct svr_state *s, uint32_t i);
const char *svr_state_peer(const struct svr_state *s, uint32_t i);
const char *svr_state_path(const struct svr_state *s, uint32_t i);
/* Number of the zone that is called @name; 0: none, with the error reported. */
uint32_t svr_state_find_zone(struct svr_cli *cli, const struct svr_state *s, const char *name);

/*
 * Sums over the CPUs of a per-CPU array with @count elements of @width counters (u64): element * @width + counter; to be freed.
 * 0 or negative errno.
 */
int svr_state_percpu(int fd, uint32_t count, uint32_t width, uint64_t **sums);

/*
 * Text of a 16-byte or 4-byte address, of a MAC address, and of a time span as SSR prints it ("0
 * days 0:21:11").
 */
const char *svr_state_addr(const void *addr, char buf[static SVR_STATE_ADDR_LEN]);
const char *svr_state_addr4(const void *addr, char buf[static SVR_STATE_ADDR_LEN]);
const char *svr_state_mac(const uint8_t mac[6], char buf[static SVR_STATE_MAC_LEN]);
const char *svr_state_age(uint64_t ns, char buf[static SVR_STATE_AGE_LEN]);
/* "TCP", "UDP", or the number. */
const char *svr_state_proto(uint8_t proto, char buf[static 4]);

#endif
