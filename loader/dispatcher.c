// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/libbpf.h>
#include <xdp/libxdp.h>

#include "cli.h"
#include "dispatcher.h"
#include "image.h"
#include "libbpf_log.h"
#include "netdev.h"

#include "skel/xdp_dispatcher.skel.h"

/* ---- our dispatcher in the place of libxdp's, see bpf/xdp_dispatcher.bpf.c ------------------- */

#define OBJECT_PATH "LIBXDP_OBJECT_PATH" /* of libxdp: a directory */

static char object_dir[] = "/run/svr-dispatcher-XXXXXX";
static char object_file[sizeof(object_dir) + sizeof("/xdp-dispatcher.o")];

static void object_remove(void)
{
	unlink(object_file);
	rmdir(object_dir);
}

/*
 * libxdp takes its dispatcher from a file. Where ours cannot be written, it takes its own, and a kernel that does not
 * allow that will say so.
 */
static void object_offer(void)
{
	size_t size, written;
	const void *bytes;
	FILE *f;

	if (*object_file || getenv(OBJECT_PATH) || !mkdtemp(object_dir))
		return;
	snprintf(object_file, sizeof(object_file), "%s/xdp-dispatcher.o", object_dir);
	atexit(object_remove);
	f = fopen(object_file, "wxe");
	if (!f)
		return;
	bytes = xdp_dispatcher__elf_bytes(&size);
	written = fwrite(bytes, 1, size, f);
	if (!fclose(f) && written == size)
		setenv(OBJECT_PATH, object_dir, 1);
}

/* ---- programs ------------------------------------------------------------------------------- */

/* The dispatcher of a device, NULL if it has none. Owned by the caller. */
static struct xdp_multiprog *dispatcher_of(uint32_t ifindex)
{
	struct xdp_multiprog *mp = xdp_multiprog__get_from_ifindex((int)ifindex);

	if (libxdp_get_error(mp))
		return NULL;
	/* "Legacy" is one program without a dispatcher */
	if (!xdp_multiprog__is_legacy(mp))
		return mp;
	xdp_multiprog__close(mp);
	return NULL;
}

/* Our program behind @mp, or NULL; it belongs to @mp. */
static struct xdp_program *find(const struct xdp_multiprog *mp, uint32_t prog_id)
{
	struct xdp_program *p = NULL;

	while ((p = xdp_multiprog__next_prog(p, mp)))
		if (prog_id && xdp_program__id(p) == prog_id)
			return p;
	return NULL;
}

void svr_dispatcher_query(uint32_t ifindex, uint32_t prog_id, struct svr_dispatched *out)
{
	struct xdp_multiprog *mp = dispatcher_of(ifindex);
	struct xdp_program *p = NULL;
	size_t len = 0;

	*out = (struct svr_dispatched){ .programs = 0 };
	if (!mp)
		return;
	while ((p = xdp_multiprog__next_prog(p, mp))) {
		out->programs++;
		if (prog_id && xdp_program__id(p) == prog_id)
			out->ours = true;
		else if (len < sizeof(out->others))
			len += (size_t)snprintf(out->others + len, sizeof(out->others) - len,
						"%s%s", len ? ", " : "", xdp_program__name(p));
	}
	xdp_multiprog__close(mp);
}

int svr_dispatcher_detach(uint32_t ifindex, uint32_t prog_id)
{
	struct xdp_multiprog *mp = dispatcher_of(ifindex);
	struct xdp_program *p;
	int err = -ENOENT;

	if (!mp)
		return err;
	object_offer();
	p = find(mp, prog_id);
	if (p)
		err = xdp_program__detach(p, (int)ifindex, xdp_multiprog__attach_mode(mp), 0);
	xdp_multiprog__close(mp);
	return err;
}

static int attach_failed(struct svr_cli *cli, const struct svr_netdev *d, int err)
{
	svr_cli_error(cli, err, "%s: cannot attach through libxdp's dispatcher: %s", d->name,
		      strerror(-err));
	svr_libbpf_log_details(cli);
	return err;
}

int svr_dispatcher_attach(struct svr_cli *cli, const struct svr_netdev *d, struct svr_image *image,
			  bool skb, uint32_t old_id)
{
	DECLARE_LIBXDP_OPTS(xdp_program_opts, opts, .obj = image->obj,
			    .prog_name = svr_image_program(image));
	enum xdp_attach_mode mode = skb ? XDP_MODE_SKB : XDP_MODE_NATIVE;
	struct xdp_multiprog *mp = dispatcher_of(d->ifindex);
	struct xdp_program *prog;
	struct svr_dispatched now;
	int err;

	/* A dispatcher has one mode for all its programs */
	if (mp) {
		mode = xdp_multiprog__attach_mode(mp);
		xdp_multiprog__close(mp);
	}
	svr_libbpf_log_reset();
	object_offer();
	prog = xdp_program__create(&opts);
	err = (int)libxdp_get_error(prog);
	if (err)
		return attach_failed(cli, d, err);
	err = xdp_program__attach(prog, (int)d->ifindex, mode, 0);
	if (err) {
		attach_failed(cli, d, err);
		goto out;
	}
	/* Where the kernel refuses extension programs, libxdp attaches the program alone */
	svr_dispatcher_query(d->ifindex, xdp_program__id(prog), &now);
	if (!now.ours) {
		xdp_program__detach(prog, (int)d->ifindex, mode, 0);
		err = svr_cli_error(
			cli, -EOPNOTSUPP,
			"%s: this kernel refuses the extension programs that libxdp's dispatcher is made of; attach without it",
			d->name);
		goto out;
	}
	/* Gone by itself is as good */
	err = old_id ? svr_dispatcher_detach(d->ifindex, old_id) : 0;
	if (err && err != -ENOENT) {
		svr_cli_error(
			cli, err,
			"%s: program %u cannot be taken out of the dispatcher, so it stays: %s",
			d->name, old_id, strerror(-err));
		/* Only the old one is known by its pin, so nobody would take this one out again */
		if (xdp_program__detach(prog, (int)d->ifindex, mode, 0))
			svr_cli_warn(
				"%s: program %u is attached beside it; run: xdp-loader unload %s --id %u",
				d->name, xdp_program__id(prog), d->name, xdp_program__id(prog));
		goto out;
	}
	err = 0;
	image->prog_fd = bpf_program__fd(bpf_object__next_program(image->obj, NULL));
out:
	/* The object stays the image's */
	xdp_program__close(prog);
	return err;
}
