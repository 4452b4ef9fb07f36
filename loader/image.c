// SPDX-License-Identifier: BSD-2-Clause
/* Skeletons of the two XDP programs behind one face. */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "sys/flows.h"
#include "sys/mapset.h"

#include "cli.h"
#include "image.h"
#include "libbpf_log.h"
#include "pins.h"

#include "skel/svr_lan.skel.h"
#include "skel/svr_wan.skel.h"

/* Both skeletons have the same members, but no common type. */
#define EACH_IMAGE(X)            \
	X(SVR_ROLE_LAN, svr_lan) \
	X(SVR_ROLE_WAN, svr_wan)

enum { MAPS_MAX = 256 }; /* of one program: more than any version has */

static int takes_frags(struct bpf_program *prog, struct bpf_prog_load_opts *opts, long cookie)
{
	(void)prog;
	(void)cookie;
	opts->prog_flags |= BPF_F_XDP_HAS_FRAGS;
	return 0;
}

/*
 * "xdp.frags" takes frames of several buffers. libbpf tells the kernel so only of programs of the type XDP, not of those
 * behind a dispatcher, which extend it. But the kernel wants all programs that share a devmap to be of one kind, and
 * 6.1 refuses a program behind the dispatcher where the maps have served one that was attached alone.
 */
static int register_frags(void)
{
	LIBBPF_OPTS(libbpf_prog_handler_opts, opts, .prog_prepare_load_fn = takes_frags);
	static int handler;

	if (!handler)
		handler = libbpf_register_prog_handler("xdp.frags", BPF_PROG_TYPE_XDP, BPF_XDP,
						       &opts);
	return handler < 0 ? handler : 0;
}

static int skel_open(enum svr_zone_role role, const struct bpf_object_open_opts *opts,
		     struct svr_image *image)
{
	int err = register_frags();

	if (err)
		return err;
	switch (role) {
#define X(id, name)                                       \
	case id: {                                        \
		struct name *s = name##__open_opts(opts); \
                                                          \
		if (!s)                                   \
			return -errno;                    \
		image->skel = s;                          \
		image->obj = s->obj;                      \
		return 0;                                 \
	}
		EACH_IMAGE(X)
#undef X
	default:
		return -EINVAL;
	}
}

static void skel_set_zone(struct svr_image *image, uint32_t zone)
{
	switch (image->role) {
#define X(id, name)                                                    \
	case id:                                                       \
		((struct name *)image->skel)->rodata->svr_zone = zone; \
		break;
		EACH_IMAGE(X)
#undef X
	default:
		break;
	}
}

static void skel_destroy(struct svr_image *image)
{
	switch (image->role) {
#define X(id, name)                                          \
	case id:                                             \
		name##__destroy((struct name *)image->skel); \
		break;
		EACH_IMAGE(X)
#undef X
	default:
		break;
	}
}

/*
 * The first member of struct svr_router, in every version. The kernel writes as many bytes as a value of that map has,
 * which in another version may be more than ours.
 */
static uint32_t read_abi(int fd)
{
	struct bpf_map_info info = {};
	uint32_t len = sizeof(info), zero = 0, abi = 0;
	void *value;

	if (bpf_obj_get_info_by_fd(fd, &info, &len) || info.type != BPF_MAP_TYPE_ARRAY ||
	    info.value_size < sizeof(abi))
		return 0;
	value = malloc(info.value_size);
	if (value && !bpf_map_lookup_elem(fd, &zero, value))
		memcpy(&abi, value, sizeof(abi));
	free(value);
	return abi;
}

/* ABI version that the maps in the kernel were made for; 0: not known yet. */
static uint32_t pinned_abi(struct svr_image *image)
{
	struct bpf_map *map = bpf_object__find_map_by_name(image->obj, "svr_router");
	uint32_t abi;
	int fd;

	fd = map ? bpf_obj_get(bpf_map__pin_path(map)) : -1;
	if (fd < 0)
		return 0;
	abi = read_abi(fd);
	close(fd);
	return abi;
}

/* A table whose size the operator chooses. */
struct sized {
	const char *name;
	size_t size; /* where struct svr_image_sizes has it */
	uint32_t rows; /* in each bucket of a flow table, 0: it has no buckets */
};

/* NULL: it always has the same size. */
static const struct sized *sized_of(const struct bpf_map *map)
{
	static const struct sized tables[] = {
		{ "svr_flow_tags4", offsetof(struct svr_image_sizes, flows4), 1 },
		{ "svr_flow_tags6", offsetof(struct svr_image_sizes, flows6), 1 },
		{ "svr_flows4", offsetof(struct svr_image_sizes, flows4), SVR_FLOW_BUCKET },
		{ "svr_flows6", offsetof(struct svr_image_sizes, flows6), SVR_FLOW_BUCKET },
		{ "svr_sessions", offsetof(struct svr_image_sizes, sessions), 0 },
		{ "svr_session_hmacs", offsetof(struct svr_image_sizes, peer_keys), 0 },
	};

	for (unsigned int i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		if (!strcmp(bpf_map__name(map), tables[i].name))
			return &tables[i];
	return NULL;
}

/* Elements that its map has for what the operator wants; 0: he leaves it to us. */
static uint32_t entries_wanted(const struct sized *table, const struct svr_image_sizes *sizes)
{
	const uint32_t wanted = *(const uint32_t *)((const char *)sizes + table->size);

	return table->rows ? SVR_FLOW_BUCKETS(wanted) * table->rows : wanted;
}

/* And the other way round. */
static uint32_t flows_in(const struct sized *table, uint32_t entries)
{
	return table->rows ? entries / table->rows * SVR_FLOW_BUCKET_LOAD : entries;
}

/*
 * Takes over a pinned map if it fits. Not left to libbpf, which (before 1.7) refuses every pinned
 * DEVMAP, because the kernel adds a flag to it, and cannot say what does not fit. A table of
 * another size than the default is as good as ours.
 */
static int adopt_map(struct svr_cli *cli, const char *router, const struct svr_image_sizes *sizes,
		     struct bpf_map *map, bool *there)
{
	const struct sized *table = sized_of(map);
	const uint32_t wanted = table ? entries_wanted(table, sizes) : 0;
	const char *path = bpf_map__pin_path(map);
	struct bpf_map_info info = {};
	uint32_t len = sizeof(info);
	int fd, err;

	*there = false;
	fd = bpf_obj_get(path);
	if (fd == -ENOENT)
		return wanted ? bpf_map__set_max_entries(map, wanted) : 0;
	if (fd < 0)
		return svr_cli_error(cli, fd, "%s: cannot open: %s", path, strerror(-fd));
	*there = true;
	err = bpf_obj_get_info_by_fd(fd, &info, &len);
	if (err) {
		svr_cli_error(cli, err, "%s: is no map: %s", path, strerror(-err));
		goto out;
	}
	if (info.type != bpf_map__type(map) || info.key_size != bpf_map__key_size(map) ||
	    info.value_size != bpf_map__value_size(map) ||
	    (!table && info.max_entries != bpf_map__max_entries(map))) {
		err = svr_cli_error(
			cli, -EPROTO,
			"%s: made by another version of svr: type %u, key %u, value %u bytes, %u entries; this one "
			"needs %u, %u, %u, %u. Its sessions cannot be taken over; stop svr-worker and svr-keymgr and run: "
			"svr --router %s link clean",
			path, info.type, info.key_size, info.value_size, info.max_entries,
			bpf_map__type(map), bpf_map__key_size(map), bpf_map__value_size(map),
			bpf_map__max_entries(map), router);
		goto out;
	}
	if (wanted && wanted != info.max_entries) {
		err = svr_cli_error(
			cli, -EEXIST,
			"%s: is there and has %u entries, not %u: a size is chosen before the table is made. To lose its "
			"sessions and make it anew, stop svr-worker and svr-keymgr and run: svr --router %s link clean",
			path, flows_in(table, info.max_entries), flows_in(table, wanted), router);
		goto out;
	}
	err = bpf_map__reuse_fd(map, fd);
	if (!err)
		err = bpf_map__set_pin_path(map, NULL);
	if (err)
		svr_cli_error(cli, err, "%s: cannot be used again: %s", path, strerror(-err));
out:
	close(fd);
	return err;
}

/* One of the two may be of a command that was killed, and of a size that we do not know. */
static int check_buckets(struct svr_cli *cli, const char *router, const struct svr_image *image,
			 const char *tags_name, const char *rows_name)
{
	const struct bpf_map *tags = bpf_object__find_map_by_name(image->obj, tags_name);
	const struct bpf_map *rows = bpf_object__find_map_by_name(image->obj, rows_name);

	if (tags && rows &&
	    bpf_map__max_entries(rows) == bpf_map__max_entries(tags) * SVR_FLOW_BUCKET)
		return 0;
	return svr_cli_error(
		cli, -EPROTO,
		"router %s: %s and %s are not of the same size; stop svr-worker and svr-keymgr and run: svr --router %s "
		"link clean",
		router, tags_name, rows_name, router);
}

static int adopt_maps(struct svr_cli *cli, const char *router, const struct svr_image_sizes *sizes,
		      struct svr_image *image, bool *fresh)
{
	uint32_t abi = pinned_abi(image);
	bool there, none = true;
	struct bpf_map *map;
	int err;

	/* Only a look at all of them can say so, and the caller takes away what is said to be fresh */
	*fresh = false;
	if (abi && abi != SVR_ABI_VERSION)
		return svr_cli_error(
			cli, -EPROTO,
			"the maps of router %s have layout %u, this svr knows %u. Their sessions cannot be taken over; stop "
			"svr-worker and svr-keymgr and run: svr --router %s link clean",
			router, abi, SVR_ABI_VERSION, router);
	bpf_object__for_each_map(map, image->obj) {
		if (!bpf_map__pin_path(map))
			continue;
		err = adopt_map(cli, router, sizes, map, &there);
		if (err)
			return err;
		none = none && !there;
	}
	*fresh = none;
	return check_buckets(cli, router, image, "svr_flow_tags4", "svr_flows4") ?:
		       check_buckets(cli, router, image, "svr_flow_tags6", "svr_flows6");
}

/* @fresh: no map of the router is there yet */
static int image_open(struct svr_cli *cli, const char *router, enum svr_zone_role role,
		      const struct svr_image_sizes *sizes, struct svr_image *image, bool *fresh)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts);
	char dir[128];
	int err;

	memset(image, 0, sizeof(*image));
	image->role = role;
	image->prog_fd = -1;
	svr_libbpf_log_reset();
	err = svr_mapset_dir(router, dir, sizeof(dir));
	if (err)
		return svr_cli_error(cli, err, "%s: not usable as a router name", router);
	opts.pin_root_path = dir;
	err = skel_open(role, &opts, image);
	if (err) {
		svr_cli_error(cli, err, "cannot read the XDP program inside svr: %s",
			      strerror(-err));
		svr_libbpf_log_details(cli);
		return err;
	}
	err = adopt_maps(cli, router, sizes, image, fresh);
	if (err)
		svr_image_close(image);
	return err;
}

static int load_failed(struct svr_cli *cli, const char *what, int err)
{
	svr_cli_error(
		cli, err, "the kernel refuses %s: %s%s", what, strerror(-err),
		err == -EPERM ?
			"; run as root (CAP_BPF, CAP_NET_ADMIN), or raise: ulimit -l unlimited" :
		err == -ENOMEM ? "; there is not enough memory for the tables" :
				 "; its reason stands below, more of it with: svr -v ...");
	svr_libbpf_log_details(cli);
	return err;
}

/* Once, before the first flow. */
static int make_hash(const struct svr_image *image)
{
	const struct bpf_map *map = bpf_object__find_map_by_name(image->obj, "svr_flow_hash");
	const struct bpf_map *tags4 = bpf_object__find_map_by_name(image->obj, "svr_flow_tags4");
	const struct bpf_map *tags6 = bpf_object__find_map_by_name(image->obj, "svr_flow_tags6");
	struct svr_flow_hash hash;
	uint32_t zero = 0;
	int err;

	if (!map || !tags4 || !tags6)
		return -ENOENT;
	err = bpf_map_lookup_elem(bpf_map__fd(map), &zero, &hash);
	if (err || hash.buckets4)
		return err;
	err = svr_flow_hash_make(bpf_map__max_entries(tags4), bpf_map__max_entries(tags6), &hash);
	return err ? err : bpf_map_update_elem(bpf_map__fd(map), &zero, &hash, BPF_ANY);
}

/*
 * The other programs ask for the ABI version first, so the maps are not theirs before it stands
 * there.
 */
static int mark_abi(struct svr_image *image)
{
	struct bpf_map *map = bpf_object__find_map_by_name(image->obj, "svr_router");
	struct svr_router router = {};
	uint32_t zero = 0;
	int err;

	if (!map)
		return -ENOENT;
	err = bpf_map_lookup_elem(bpf_map__fd(map), &zero, &router);
	if (err || router.abi)
		return err;
	router.abi = SVR_ABI_VERSION;
	return bpf_map_update_elem(bpf_map__fd(map), &zero, &router, BPF_ANY);
}

int svr_image_make_maps(struct svr_cli *cli, const char *router,
			const struct svr_image_sizes *sizes, bool *fresh)
{
	struct bpf_program *prog;
	struct svr_image image;
	int err;

	*fresh = false;
	/* Both programs hold all maps */
	err = image_open(cli, router, SVR_ROLE_LAN, sizes, &image, fresh);
	if (err)
		return err;
	bpf_object__for_each_program(prog, image.obj)
		bpf_program__set_autoload(prog, false);
	err = bpf_object__load(image.obj);
	if (err) {
		load_failed(cli, "the maps", err);
		goto out;
	}
	err = make_hash(&image);
	if (!err)
		err = mark_abi(&image);
	if (err)
		svr_cli_error(cli, err, "cannot write svr_flow_hash and svr_router: %s",
			      strerror(-err));
out:
	if (err && *fresh)
		svr_pins_remove(router);
	svr_image_close(&image);
	return err;
}

int svr_image_open(struct svr_cli *cli, const char *router, enum svr_zone_role role, uint32_t zone,
		   struct svr_image *out)
{
	const struct svr_image_sizes as_they_are = {};
	bool fresh;
	int err;

	err = image_open(cli, router, role, &as_they_are, out, &fresh);
	if (!err)
		skel_set_zone(out, zone);
	return err;
}

int svr_image_load(struct svr_cli *cli, struct svr_image *image)
{
	struct bpf_program *prog = bpf_object__next_program(image->obj, NULL);
	int err = bpf_object__load(image->obj);

	if (err)
		return load_failed(cli, "the XDP program", err);
	image->prog_fd = prog ? bpf_program__fd(prog) : -ENOENT;
	if (image->prog_fd < 0)
		return svr_cli_error(cli, image->prog_fd,
				     "there is no program inside the XDP object");
	return 0;
}

/* Where a program has the constant svr_zone. */
struct constant {
	enum svr_zone_role role;
	const char *program, *map;
	size_t offset;
};

/* @fd: a map of the program. False: not the one that holds it. */
static bool read_constant(const struct constant *c, int fd, uint32_t *zone)
{
	struct bpf_map_info info = {};
	uint32_t len = sizeof(info), key = 0;
	uint8_t *value;
	bool found;

	if (bpf_obj_get_info_by_fd(fd, &info, &len) || strcmp(info.name, c->map) ||
	    info.type != BPF_MAP_TYPE_ARRAY || info.value_size < c->offset + sizeof(*zone))
		return false;
	value = malloc(info.value_size);
	found = value && !bpf_map_lookup_elem(fd, &key, value);
	if (found)
		memcpy(zone, value + c->offset, sizeof(*zone));
	free(value);
	return found;
}

static bool find_constant(const struct constant *c, const uint32_t *maps, uint32_t n,
			  uint32_t *zone)
{
	bool found = false;

	for (uint32_t i = 0; i < n && !found; i++) {
		int fd = bpf_map_get_fd_by_id(maps[i]);

		if (fd < 0)
			continue;
		found = read_constant(c, fd, zone);
		close(fd);
	}
	return found;
}

bool svr_image_made_for(uint32_t prog_id, enum svr_zone_role *role, uint32_t *zone)
{
	static const struct constant all[] = {
#define X(id, name) { id, #name, #name ".rodata", offsetof(struct name##__rodata, svr_zone) },
		EACH_IMAGE(X)
#undef X
	};
	uint32_t maps[MAPS_MAX], len = sizeof(struct bpf_prog_info);
	struct bpf_prog_info info = { .map_ids = (uintptr_t)maps, .nr_map_ids = MAPS_MAX };
	int fd = bpf_prog_get_fd_by_id(prog_id), err;

	if (fd < 0)
		return false;
	err = bpf_obj_get_info_by_fd(fd, &info, &len);
	close(fd);
	for (unsigned int i = 0; !err && i < sizeof(all) / sizeof(all[0]); i++) {
		if (strcmp(info.name, all[i].program))
			continue;
		*role = all[i].role;
		return info.nr_map_ids <= MAPS_MAX &&
		       find_constant(&all[i], maps, info.nr_map_ids, zone);
	}
	return false;
}

const char *svr_image_program(const struct svr_image *image)
{
	const struct bpf_program *prog = bpf_object__next_program(image->obj, NULL);

	return prog ? bpf_program__name(prog) : "";
}

void svr_image_close(struct svr_image *image)
{
	if (image->skel)
		skel_destroy(image);
	image->skel = NULL;
	image->obj = NULL;
	image->prog_fd = -1;
}
