/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The XDP programs that `svr` carries: opening, checking against what is pinned, loading. Loader
 * only.
 */
#ifndef SVR_LOADER_IMAGE_H
#define SVR_LOADER_IMAGE_H

#include <stdbool.h>
#include <stdint.h>
#include <svr/maps.h>

struct bpf_object;
struct svr_cli;

struct svr_image {
	enum svr_zone_role role;
	struct bpf_object *obj;
	void *skel;
	int prog_fd;
};

/* Entries of the tables whose size the operator may choose, before they are made; 0: the default. */
struct svr_image_sizes {
	uint32_t flows4, flows6; /* flows; two per session */
	uint32_t sessions; /* slots for sessions of the worker, number 0 included */
	uint32_t peer_keys; /* pairs of HMAC keys that sessions use, number 0 included; up to 65,536 */
};

/**
 * svr_image_make_maps() - makes and pins the maps of @router that are not there yet, without a
 * program. Refuses pinned maps of another layout, naming map and versions, and of another size than
 * one that was asked for.
 * @fresh: none was there before
 */
int svr_image_make_maps(struct svr_cli *cli, const char *router,
			const struct svr_image_sizes *sizes, bool *fresh);

/*
 * Opens the program for @role with the maps of @router; nothing is in the kernel yet. @zone: network
 * interface of untagged frames, 0: none.
 */
int svr_image_open(struct svr_cli *cli, const char *router, enum svr_zone_role role, uint32_t zone,
		   struct svr_image *out);

/* Loads an opened image as an XDP program of its own; prog_fd is its descriptor, the image's. */
int svr_image_load(struct svr_cli *cli, struct svr_image *image);

/*
 * What program @prog_id of ours was made for: its role, and @zone of svr_image_open(). False: it does not tell, as
 * those of other versions.
 */
bool svr_image_made_for(uint32_t prog_id, enum svr_zone_role *role, uint32_t *zone);

/* Name of the program in the object, "svr_lan" or "svr_wan". */
const char *svr_image_program(const struct svr_image *image);
void svr_image_close(struct svr_image *image);

#endif
