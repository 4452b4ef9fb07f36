// SPDX-License-Identifier: BSD-2-Clause
/* Attaching XDP programs by bpf_link; see attach.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <linux/if_link.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "attach.h"
#include "cli.h"
#include "dispatcher.h"
#include "image.h"
#include "libbpf_log.h"
#include "pins.h"

/*
 * Largest MTU that drivers take for XDP in one page: 4096 - 256 headroom - 320 skb_shared_info -
 * Ethernet header, about.
 */
enum { ONE_PAGE_MTU = 3498 };

const char *svr_attach_mode_name(enum svr_attach_mode mode)
{
	static const char *const names[] = { "none", "native", "skb", "offloaded", "several" };

	return mode <= SVR_ATTACH_SEVERAL ? names[mode] : "unknown";
}

static int remove_pin(struct svr_cli *cli, const char *router, const char *kind, const char *device)
{
	char path[SVR_PIN_PATH_LEN];
	int err = svr_pins_path(router, kind, device, path);

	if (!err && unlink(path) && errno != ENOENT)
		err = -errno;
	return err ? svr_cli_error(cli, err, "%s: cannot remove its pin: %s", device,
				   strerror(-err)) :
		     0;
}

static uint32_t mode_flags(enum svr_attach_mode mode)
{
	switch (mode) {
	case SVR_ATTACH_SKB:
		return XDP_FLAGS_SKB_MODE;
	case SVR_ATTACH_OFFLOADED:
		return XDP_FLAGS_HW_MODE;
	default:
		return XDP_FLAGS_DRV_MODE;
	}
}

static int link_info(int fd, struct bpf_link_info *info)
{
	uint32_t len = sizeof(*info);

	memset(info, 0, sizeof(*info));
	return bpf_obj_get_info_by_fd(fd, info, &len);
}

/* Descriptor of our pinned link or negative errno. */
static int open_link(const char *router, const char *device, struct bpf_link_info *info)
{
	char path[SVR_PIN_PATH_LEN];
	int fd, err;

	err = svr_pins_path(router, SVR_PIN_LINKS, device, path);
	if (err)
		return err;
	fd = bpf_obj_get(path);
	if (fd < 0)
		return fd;
	err = link_info(fd, info);
	if (!err && info->type != BPF_LINK_TYPE_XDP)
		err = -EINVAL;
	if (err) {
		close(fd);
		return err;
	}
	return fd;
}

/* Id of the program that is pinned for @device, 0: none. */
static uint32_t pinned_program(const char *router, const char *device)
{
	struct bpf_prog_info info = {};
	uint32_t len = sizeof(info);
	char path[SVR_PIN_PATH_LEN];
	int fd;

	if (svr_pins_path(router, SVR_PIN_PROGS, device, path))
		return 0;
	fd = bpf_obj_get(path);
	if (fd < 0)
		return 0;
	if (bpf_obj_get_info_by_fd(fd, &info, &len))
		info.id = 0;
	close(fd);
	return info.id;
}

uint32_t svr_attach_link_ifindex(const char *router, const char *device, bool *pinned,
				 uint32_t *prog_id)
{
	struct bpf_link_info info = {};
	struct svr_dispatched dispatched;
	uint32_t ifindex, id;
	int fd = open_link(router, device, &info);

	if (fd >= 0) {
		close(fd);
		*pinned = true;
		if (prog_id)
			*prog_id = info.prog_id;
		if (info.xdp.ifindex)
			return info.xdp.ifindex;
	}
	/* Behind a dispatcher there is no link of ours, or one that its device has left behind */
	id = pinned_program(router, device);
	*pinned = fd >= 0 || id;
	ifindex = id ? if_nametoindex(device) : 0;
	if (!ifindex)
		return 0;
	svr_dispatcher_query(ifindex, id, &dispatched);
	if (prog_id)
		*prog_id = id;
	return dispatched.ours ? ifindex : 0;
}

static void describe_program(struct svr_attached *a)
{
	struct bpf_prog_info info = {};
	uint32_t len = sizeof(info);
	int fd = bpf_prog_get_fd_by_id(a->prog_id);

	if (fd < 0)
		return;
	if (!bpf_obj_get_info_by_fd(fd, &info, &len)) {
		snprintf(a->prog_name, sizeof(a->prog_name), "%s", info.name);
		for (unsigned int i = 0; i < sizeof(info.tag); i++)
			snprintf(a->tag + 2 * i, 3, "%02x", info.tag[i]);
	}
	close(fd);
}

/*
 * The link that holds program @prog_id on @ifindex. Other namespaces have the same numbers, but not
 * with the same program.
 */
static uint32_t find_link(uint32_t ifindex, uint32_t prog_id)
{
	struct bpf_link_info info;
	uint32_t id = 0;
	int fd;

	while (!bpf_link_get_next_id(id, &id)) {
		fd = bpf_link_get_fd_by_id(id);
		if (fd < 0)
			continue;
		if (link_info(fd, &info))
			info.type = BPF_LINK_TYPE_UNSPEC;
		close(fd);
		if (info.type == BPF_LINK_TYPE_XDP && info.xdp.ifindex == ifindex &&
		    info.prog_id == prog_id)
			return id;
	}
	return 0;
}

int svr_attach_query(const char *router, const struct svr_netdev *d, struct svr_attached *a)
{
	static const enum svr_attach_mode modes[] = {
		[XDP_ATTACHED_NONE] = SVR_ATTACH_NONE,	   [XDP_ATTACHED_DRV] = SVR_ATTACH_NATIVE,
		[XDP_ATTACHED_SKB] = SVR_ATTACH_SKB,	   [XDP_ATTACHED_HW] = SVR_ATTACH_OFFLOADED,
		[XDP_ATTACHED_MULTI] = SVR_ATTACH_SEVERAL,
	};
	LIBBPF_OPTS(bpf_xdp_query_opts, opts);
	struct bpf_link_info info = {};
	uint32_t id = 0;
	int fd, err;

	memset(a, 0, sizeof(*a));
	err = bpf_xdp_query((int)d->ifindex, 0, &opts);
	if (err)
		return err;
	if (opts.attach_mode < sizeof(modes) / sizeof(modes[0]))
		a->mode = modes[opts.attach_mode];
	a->prog_id = opts.prog_id     ? opts.prog_id :
		     opts.drv_prog_id ? opts.drv_prog_id :
					opts.hw_prog_id;
	if (a->mode == SVR_ATTACH_NONE)
		return 0;
	if (router)
		id = pinned_program(router, d->name);
	svr_dispatcher_query(d->ifindex, id, &a->dispatcher);
	if (a->dispatcher.ours) {
		a->prog_id = id;
		a->ours = true;
	}
	describe_program(a);
	if (router && !a->ours) {
		fd = open_link(router, d->name, &info);
		if (fd >= 0)
			close(fd);
		a->ours = fd >= 0 && info.xdp.ifindex == d->ifindex && info.prog_id == a->prog_id;
	}
	if (!a->dispatcher.programs)
		a->link_id = a->ours ? info.id : find_link(d->ifindex, a->prog_id);
	return 0;
}

int svr_attach_check_foreign(struct svr_cli *cli, const struct svr_netdev *d,
			     const struct svr_attached *a, bool force)
{
	if (a->mode == SVR_ATTACH_NONE || a->ours || a->dispatcher.programs)
		return 0;
	if (a->link_id)
		return svr_cli_error(
			cli, -EBUSY,
			"%s: program %u (%s), mode %s, is attached and not ours; link %u holds it, so it cannot be "
			"replaced, not even with --force. End the process that made it, or: bpftool link detach id %u",
			d->name, a->prog_id, a->prog_name, svr_attach_mode_name(a->mode),
			a->link_id, a->link_id);
	if (a->mode == SVR_ATTACH_SEVERAL)
		return svr_cli_error(
			cli, -EBUSY,
			"%s: several programs are attached, %u (%s) among them, and they are not ours; detach them: "
			"ip link set dev %s xdp off; ip link set dev %s xdpoffload off",
			d->name, a->prog_id, a->prog_name, d->name, d->name);
	if (!force)
		return svr_cli_error(
			cli, -EBUSY,
			"%s: program %u (%s), mode %s, is attached and not ours; --force takes it away, or: "
			"ip link set dev %s xdp%s off",
			d->name, a->prog_id, a->prog_name, svr_attach_mode_name(a->mode), d->name,
			a->mode == SVR_ATTACH_SKB	? "generic" :
			a->mode == SVR_ATTACH_OFFLOADED ? "offload" :
							  "drv");
	return 0;
}

/* Takes away exactly the program that was looked at. */
static int detach_foreign(struct svr_cli *cli, const struct svr_netdev *d,
			  const struct svr_attached *a)
{
	LIBBPF_OPTS(bpf_xdp_attach_opts, opts);
	int fd, err;

	fd = bpf_prog_get_fd_by_id(a->prog_id);
	if (fd < 0)
		return svr_cli_error(cli, fd,
				     "%s: program %u has gone while we looked at it; try again",
				     d->name, a->prog_id);
	opts.old_prog_fd = fd;
	err = bpf_xdp_detach((int)d->ifindex, mode_flags(a->mode), &opts);
	close(fd);
	if (err)
		return svr_cli_error(cli, err, "%s: cannot detach program %u (%s): %s", d->name,
				     a->prog_id, a->prog_name, strerror(-err));
	return 0;
}

/*
 * bpf_link_create() has only an error number for us. Netlink says the driver's reason in words, so
 * it is asked for the same, and what it should attach against expectation is taken off again at
 * once.
 */
static void ask_for_reason(const struct svr_netdev *d, int prog_fd, uint32_t flags)
{
	LIBBPF_OPTS(bpf_xdp_attach_opts, opts, .old_prog_fd = prog_fd);

	svr_libbpf_log_reset();
	if (!bpf_xdp_attach((int)d->ifindex, prog_fd, flags | XDP_FLAGS_UPDATE_IF_NOEXIST, NULL))
		bpf_xdp_detach((int)d->ifindex, flags, &opts);
}

static int attach_failed(struct svr_cli *cli, const struct svr_netdev *d, int prog_fd,
			 enum svr_attach_mode mode, int err)
{
	const char *said, *name = svr_attach_mode_name(mode);
	bool native = mode != SVR_ATTACH_SKB;

	ask_for_reason(d, prog_fd, mode_flags(mode));
	said = svr_libbpf_log_kernel_message();
	if (native && d->mtu > ONE_PAGE_MTU)
		return svr_cli_error(
			cli, err,
			"%s: cannot attach in %s mode: %s%s%s; MTU %u is more than one page holds, try: ip link set dev %s mtu %d, or: "
			"svr link set dev %s up mode skb",
			d->name, name, strerror(-err), *said ? ": " : "", said, d->mtu, d->name,
			ONE_PAGE_MTU, d->name);
	if (native)
		return svr_cli_error(
			cli, err,
			"%s: cannot attach in %s mode: %s%s%s; try: svr link set dev %s up mode skb",
			d->name, name, strerror(-err), *said ? ": " : "", said, d->name);
	return svr_cli_error(cli, err, "%s: cannot attach in %s mode: %s%s%s", d->name, name,
			     strerror(-err), *said ? ": " : "", said);
}

static int create_link(struct svr_cli *cli, const char *router, const struct svr_netdev *d,
		       int prog_fd, enum svr_attach_mode mode)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = mode_flags(mode));
	int fd, err;

	fd = bpf_link_create(prog_fd, (int)d->ifindex, BPF_XDP, &opts);
	if (fd < 0)
		return attach_failed(cli, d, prog_fd, mode, fd);
	err = svr_pins_replace(router, SVR_PIN_LINKS, d->name, fd);
	if (err) {
		svr_cli_error(cli, err, "%s: cannot pin the link: %s", d->name, strerror(-err));
		bpf_link_detach(fd);
	}
	close(fd);
	return err;
}

/* Back to the mode that worked; the error of the other one stands already. */
static void restore_link(const char *router, const struct svr_netdev *d, int prog_fd,
			 enum svr_attach_mode mode)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = mode_flags(mode));
	int fd = bpf_link_create(prog_fd, (int)d->ifindex, BPF_XDP, &opts);

	if (fd < 0) {
		svr_cli_warn("%s: stays without a program: %s", d->name, strerror(-fd));
		return;
	}
	if (svr_pins_replace(router, SVR_PIN_LINKS, d->name, fd))
		svr_cli_warn("%s: stays without a program, its link cannot be pinned", d->name);
	close(fd);
}

bool svr_attach_dispatched(const struct svr_attached *a, const struct svr_attach_how *how)
{
	return a->dispatcher.programs || how->dispatcher;
}

/*
 * A program of ours that is attached alone makes room for the dispatcher, which cannot replace a link. It comes back
 * where there is to be no dispatcher.
 */
static int up_dispatched(struct svr_cli *cli, const char *router, const struct svr_netdev *d,
			 struct svr_image *image, const struct svr_attach_how *how,
			 const struct svr_attached *a, bool *replaced)
{
	bool skb = (how->mode == SVR_ATTACH_NONE ? a->mode : how->mode) == SVR_ATTACH_SKB;
	int alone_fd = -1, err;

	if (a->dispatcher.programs && how->mode != SVR_ATTACH_NONE && how->mode != a->mode)
		return svr_cli_error(
			cli, -EBUSY,
			"%s: the dispatcher there runs in %s mode, for all its programs (%s)",
			d->name, svr_attach_mode_name(a->mode), a->dispatcher.others);
	if (a->ours && !a->dispatcher.ours) {
		alone_fd = bpf_prog_get_fd_by_id(a->prog_id);
		if (alone_fd < 0)
			return svr_cli_error(cli, alone_fd, "%s: cannot open program %u: %s",
					     d->name, a->prog_id, strerror(-alone_fd));
		err = svr_attach_down(cli, router, d->name);
		if (err < 0)
			goto out;
	}
	err = svr_dispatcher_attach(cli, d, image, skb, a->dispatcher.ours ? a->prog_id : 0);
	*replaced = !err && a->ours;
	if (err && alone_fd >= 0) {
		restore_link(router, d, alone_fd, a->mode);
		svr_pins_replace(router, SVR_PIN_PROGS, d->name, alone_fd);
	}
out:
	if (alone_fd >= 0)
		close(alone_fd);
	return err;
}

static int up_alone(struct svr_cli *cli, const char *router, const struct svr_netdev *d,
		    int prog_fd, enum svr_attach_mode mode, const struct svr_attached *a,
		    bool *replaced)
{
	struct bpf_link_info info = {};
	int link_fd = -1, err;

	if (a->ours) {
		link_fd = open_link(router, d->name, &info);
		if (link_fd < 0)
			return svr_cli_error(cli, link_fd, "%s: cannot open our own link: %s",
					     d->name, strerror(-link_fd));
	}
	if (a->ours && (mode == SVR_ATTACH_NONE || mode == a->mode)) {
		/* In place: no packet meets the device without a program */
		err = bpf_link_update(link_fd, prog_fd, NULL);
		if (err)
			svr_cli_error(
				cli, err,
				"%s: cannot put the new program in the place of program %u: %s",
				d->name, a->prog_id, strerror(-err));
		else
			*replaced = true;
	} else {
		/* Another mode needs another link; for a moment the kernel sees the packets */
		if (a->ours)
			bpf_link_detach(link_fd);
		err = create_link(cli, router, d, prog_fd,
				  mode == SVR_ATTACH_NONE ? SVR_ATTACH_NATIVE : mode);
		if (err && a->ours)
			restore_link(router, d, prog_fd, a->mode);
	}
	if (link_fd >= 0)
		close(link_fd);
	return err;
}

int svr_attach_up(struct svr_cli *cli, const char *router, const struct svr_netdev *d,
		  struct svr_image *image, const struct svr_attach_how *how, bool *replaced)
{
	struct svr_attached a;
	bool dispatched;
	int err;

	*replaced = false;
	err = svr_attach_query(router, d, &a);
	if (err)
		return svr_cli_error(cli, err, "%s: cannot ask for its XDP program: %s", d->name,
				     strerror(-err));
	dispatched = svr_attach_dispatched(&a, how);
	err = svr_attach_check_foreign(cli, d, &a, how->force);
	if (!err && dispatched && image->prog_fd >= 0)
		err = svr_cli_error(cli, -EAGAIN,
				    "%s: a dispatcher came while we looked at it; try again",
				    d->name);
	if (!err && a.mode != SVR_ATTACH_NONE && !a.ours && !a.dispatcher.programs)
		err = detach_foreign(cli, d, &a);
	if (err)
		return err;
	err = dispatched ? up_dispatched(cli, router, d, image, how, &a, replaced) :
			   up_alone(cli, router, d, image->prog_fd, how->mode, &a, replaced);
	if (err)
		return err;
	err = svr_pins_replace(router, SVR_PIN_PROGS, d->name, image->prog_fd);
	if (err)
		return svr_cli_error(cli, err, "%s: cannot pin the program: %s", d->name,
				     strerror(-err));
	/* Of a device that had this name, and our program alone */
	return dispatched ? remove_pin(cli, router, SVR_PIN_LINKS, d->name) : 0;
}

int svr_attach_down(struct svr_cli *cli, const char *router, const char *device)
{
	struct bpf_link_info info = {};
	uint32_t ifindex;
	int fd, err, was = 0;
	bool pinned;

	fd = open_link(router, device, &info);
	if (fd >= 0) {
		was = info.xdp.ifindex != 0;
		err = was ? bpf_link_detach(fd) : 0;
		close(fd);
		if (err)
			return svr_cli_error(cli, err, "%s: cannot detach program %u: %s", device,
					     info.prog_id, strerror(-err));
	} else if (fd != -ENOENT) {
		return svr_cli_error(cli, fd, "%s: cannot open its link: %s", device,
				     strerror(-fd));
	}
	if (!was) {
		ifindex = svr_attach_link_ifindex(router, device, &pinned, &info.prog_id);
		err = ifindex ? svr_dispatcher_detach(ifindex, info.prog_id) : 0;
		if (err)
			return svr_cli_error(
				cli, err, "%s: cannot take program %u out of the dispatcher: %s",
				device, info.prog_id, strerror(-err));
		was = ifindex != 0;
	}
	err = remove_pin(cli, router, SVR_PIN_LINKS, device);
	if (!err)
		err = remove_pin(cli, router, SVR_PIN_PROGS, device);
	return err ? err : was;
}
