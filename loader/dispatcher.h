/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * XDP programs of several owners on one device, through libxdp's dispatcher: a small program that calls
 * each of them in turn (BPF_PROG_TYPE_EXT). Loader only.
 *
 * Ours runs with libxdp's default priority 50; what it passes goes on to the next program.
 */
#ifndef SVR_LOADER_DISPATCHER_H
#define SVR_LOADER_DISPATCHER_H

#include <stdbool.h>
#include <stdint.h>

struct svr_cli;
struct svr_image;
struct svr_netdev;

enum svr_dispatcher_limits { SVR_DISPATCHER_NAMES_LEN = 128 };

struct svr_dispatched {
	unsigned int programs; /* in the dispatcher; 0: there is none on the device */
	bool ours; /* @prog_id is one of them */
	char others[SVR_DISPATCHER_NAMES_LEN]; /* names of the other ones, for a person */
};

/* What runs behind a dispatcher on device @ifindex. @prog_id: our program, 0: none. */
void svr_dispatcher_query(uint32_t ifindex, uint32_t prog_id, struct svr_dispatched *out);

/**
 * svr_dispatcher_attach() - load @image as one of the programs of @d's dispatcher, which is made if there is
 * none. The new program is called before @old_id goes away, so no packet misses both; where that cannot go away, it is
 * the new one that does.
 * @image: opened, not loaded; loaded afterwards, its prog_fd set
 * @skb: mode, if there is no dispatcher yet
 * @old_id: our program that it replaces, 0: none
 * Return: 0, -EOPNOTSUPP if this kernel has no dispatcher (nothing was changed), other negative errno; then
 * the reason is in @cli.
 */
int svr_dispatcher_attach(struct svr_cli *cli, const struct svr_netdev *d, struct svr_image *image,
			  bool skb, uint32_t old_id);

/* Takes program @prog_id out of the dispatcher; the other programs stay. 0 or negative errno. */
int svr_dispatcher_detach(uint32_t ifindex, uint32_t prog_id);

#endif
