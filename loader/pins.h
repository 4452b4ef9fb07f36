/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a router leaves in bpffs, and the lock that keeps two `svr` from changing it at once. Loader
 * only.
 *
 *	/sys/fs/bpf/svr/<router>/svr_<map>	maps
 *	/sys/fs/bpf/svr/<router>/links/<dev>	XDP links: they keep the program attached (none where libxdp's
 *						dispatcher does)
 *	/sys/fs/bpf/svr/<router>/progs/<dev>	the program on that device
 *
 * bpffs takes no dots in names; a device's are written as colons, which no device name has.
 */
#ifndef SVR_LOADER_PINS_H
#define SVR_LOADER_PINS_H

#include <stdbool.h>
#include <stddef.h>
#include <net/if.h>

struct svr_cli;

enum svr_pins_limits { SVR_PIN_PATH_LEN = 192 };

#define SVR_PIN_LINKS "links"
#define SVR_PIN_PROGS "progs"

/* True if bpffs is mounted at /sys/fs/bpf in this mount namespace. */
bool svr_pins_mounted(void);

/* Makes the directories of @router. Refuses ones that others than root may write to. */
int svr_pins_prepare(struct svr_cli *cli, const char *router);

/*
 * "<dir of router>/<kind>/<device>"; @kind NULL: "<dir of router>/<device>" as it is. 0 or negative
 * errno.
 */
int svr_pins_path(const char *router, const char *kind, const char *device,
		  char buf[static SVR_PIN_PATH_LEN]);

/* Pins @fd so that a pin that is there already is replaced at once. */
int svr_pins_replace(const char *router, const char *kind, const char *device, int fd);

/*
 * Calls @visit for every device with a pinned link or program, once; it may remove both pins. Stops at the
 * first result that is not 0 and returns it.
 */
int svr_pins_each_device(const char *router, int (*visit)(const char *device, void *user),
			 void *user);

/*
 * Removes the maps of @router and its empty directories. Number of maps removed, or negative errno.
 */
int svr_pins_remove(const char *router);

/*
 * Waits up to some seconds for other `svr` that change @router. The lock ends when @fd is closed.
 */
int svr_pins_lock(struct svr_cli *cli, const char *router, int *fd);

#endif
