// SPDX-License-Identifier: BSD-2-Clause
/*
 * `svr doctor`: is this machine fit for it? Every finding comes with the command that changes it.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/timex.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include <json-c/json_object.h>

#include "lib/config.h"
#include "sys/mapset.h"

#include "attach.h"
#include "checks.h"
#include "cli.h"
#include "netdev.h"
#include "pins.h"
#include "process.h"
#include "view.h"

enum { DOCTOR_DEV };
const struct svr_arg svr_doctor_args[] = {
	[DOCTOR_DEV] = { "dev", "DEV", NULL, false, true,
			 "one device only; otherwise all of the configuration" },
	{},
};

enum {
	KERNEL_MAJOR = 6, /* oldest kernel that is tested: 6.1 */
	KERNEL_MINOR = 1,
	MEMCG_MAJOR = 5, /* since 5.11 BPF memory does not count against RLIMIT_MEMLOCK */
	MEMCG_MINOR = 11,
	MEMLOCK_MIN = 512 * 1024 * 1024,
	CLOCK_OLDEST = 1767225600, /* 2026-01-01; a clock before it was never set */
};

struct doctor {
	struct svr_cli *cli;
	struct svr_checks c;
	const char *router; /* NULL: none is known */
	struct svr_view view; /* empty without a router or a valid configuration */
	const char *device; /* NULL: all */
	struct json_object *worker; /* its answer to "status" */
};

/* ---- machine -------------------------------------------------------------------------------- */

static void check_machine(struct svr_checks *c)
{
	struct rlimit limit = {};
	struct utsname u = {};

	if (geteuid())
		svr_check_add(c, SVR_CHECK_FAIL, "root", "sudo svr doctor",
			      "not run as root; svr needs CAP_BPF and CAP_NET_ADMIN");
	else
		svr_check_add(c, SVR_CHECK_OK, "root", NULL, "run as root");
	if (!uname(&u) && svr_kernel_at_least(KERNEL_MAJOR, KERNEL_MINOR))
		svr_check_add(c, SVR_CHECK_OK, "kernel", NULL, "Linux %s", u.release);
	else
		svr_check_add(
			c, SVR_CHECK_FAIL, "kernel",
			"install a newer kernel, on Debian: apt-get install linux-image-amd64",
			"Linux %s; %d.%d or newer is needed", u.release, KERNEL_MAJOR,
			KERNEL_MINOR);
	if (!access("/sys/kernel/btf/vmlinux", R_OK))
		svr_check_add(c, SVR_CHECK_OK, "btf", NULL,
			      "the kernel has BTF: bpftool names the fields of the maps");
	else
		svr_check_add(c, SVR_CHECK_WARN, "btf",
			      "boot a kernel with CONFIG_DEBUG_INFO_BTF=y",
			      "the kernel has no BTF (/sys/kernel/btf/vmlinux)");
	if (svr_pins_mounted())
		svr_check_add(c, SVR_CHECK_OK, "bpffs", NULL,
			      "BPF file system is mounted at /sys/fs/bpf");
	else
		svr_check_add(
			c, SVR_CHECK_FAIL, "bpffs", "mount -t bpf bpf /sys/fs/bpf",
			"no BPF file system at /sys/fs/bpf (`ip netns exec` hides it: use nsenter --net=)");
	getrlimit(RLIMIT_MEMLOCK, &limit);
	if (svr_kernel_at_least(MEMCG_MAJOR, MEMCG_MINOR) || limit.rlim_cur >= MEMLOCK_MIN)
		svr_check_add(c, SVR_CHECK_OK, "memlock", NULL,
			      "locked memory does not limit the tables");
	else
		svr_check_add(
			c, SVR_CHECK_WARN, "memlock", "ulimit -l unlimited",
			"limit of locked memory is %llu bytes, and this kernel counts tables against it",
			(unsigned long long)limit.rlim_cur);
}

static void check_clock(struct svr_checks *c)
{
	struct timex t = {};
	time_t now = time(NULL);
	int state;

	if (now < CLOCK_OLDEST) {
		svr_check_add(
			c, SVR_CHECK_FAIL, "clock", "timedatectl set-ntp true, or: date -s ...",
			"the clock was never set: certificates and time windows will be refused");
		return;
	}
	state = adjtimex(&t);
	if (state == TIME_ERROR || t.status & STA_UNSYNC)
		svr_check_add(
			c, SVR_CHECK_WARN, "clock",
			"timedatectl set-ntp true, or: apt-get install chrony",
			"the clock is not synchronised; peers measure the difference, but certificates go by it");
	else
		svr_check_add(c, SVR_CHECK_OK, "clock", NULL, "the clock is synchronised");
}

/* /proc/sys/net is that of the network namespace of this process. */
static void check_forwarding(struct svr_checks *c)
{
	FILE *f = fopen("/proc/sys/net/ipv4/ip_forward", "r");
	int on = f ? fgetc(f) : EOF;

	if (f)
		fclose(f);
	if (on == '1')
		svr_check_add(
			c, SVR_CHECK_WARN, "ip-forward", "sysctl -w net.ipv4.ip_forward=0",
			"the kernel forwards packets in this namespace: what XDP does not take, it could route around the policy, in clear text");
	else
		svr_check_add(c, SVR_CHECK_OK, "ip-forward", NULL,
			      "the kernel forwards nothing by itself");
}

/* ---- router --------------------------------------------------------------------------------- */

static void check_config(struct doctor *d)
{
	char text[SVR_CHECK_TEXT], fix[SVR_CHECK_TEXT];

	if (!d->router) {
		svr_check_add(&d->c, SVR_CHECK_WARN, "configuration",
			      "svr --router NAME --config FILE doctor",
			      "no router is named: only the machine was looked at");
		return;
	}
	snprintf(fix, sizeof(fix), "svr config check %.200s", d->cli->config);
	if (!svr_view_load(d->cli, d->router, &d->view)) {
		svr_check_add(&d->c, SVR_CHECK_OK, "configuration", NULL,
			      "%.200s is valid for router %s", d->cli->config, d->router);
		return;
	}
	snprintf(text, sizeof(text), "%.300s", d->cli->error);
	svr_check_add(&d->c, SVR_CHECK_FAIL, "configuration", fix, "%s", text);
	*d->cli->error = 0;
	*d->cli->details = 0;
}

static void check_maps(struct doctor *d)
{
	char reason[SVR_CHECK_TEXT] = "", fix[SVR_CHECK_TEXT], where[128];
	struct svr_mapset m;
	int err;

	err = svr_mapset_open(d->router, SVR_WRITER_NONE, &m, reason, sizeof(reason));
	if (!err) {
		svr_mapset_dir(d->router, where, sizeof(where));
		svr_check_add(&d->c, SVR_CHECK_OK, "maps", NULL, "pinned in %s, generation %u",
			      where, m.router->generation);
		svr_mapset_close(&m);
		return;
	}
	if (err == -EPROTO)
		snprintf(fix, sizeof(fix),
			 "svr --router %s link clean, then: svr --router %s link set dev DEV up",
			 d->router, d->router);
	else
		snprintf(fix, sizeof(fix), "svr --router %s --config %.160s link set dev DEV up",
			 d->router, d->cli->config);
	svr_check_add(&d->c, err == -EPROTO ? SVR_CHECK_FAIL : SVR_CHECK_WARN, "maps", fix, "%s",
		      err == -ENOENT ? "the router was not started here" : reason);
}

/* @without: what does not work while it does not run. @answer: to be freed. */
static void check_process(struct doctor *d, const char *process, const char *fix,
			  const char *without, struct json_object **answer)
{
	struct json_object *request = svr_process_request("status");
	int err = svr_process_ask(d->cli, d->router, process, request, answer);

	json_object_put(request);
	if (!err || err == -EREMOTEIO) /* it runs, and does not like the question */
		svr_check_add(&d->c, SVR_CHECK_OK, process, NULL, "svr-%s runs", process);
	else if (err == -ECONNREFUSED)
		svr_check_add(&d->c, SVR_CHECK_WARN, process, fix, "svr-%s does not run: %s",
			      process, without);
	else
		svr_check_add(&d->c, SVR_CHECK_WARN, process, NULL,
			      "nobody knows whether svr-%s runs: %.200s", process, d->cli->error);
	*d->cli->error = 0;
}

static void check_processes(struct doctor *d)
{
	struct json_object *unused;
	char fix[SVR_CHECK_TEXT];

	snprintf(fix, sizeof(fix), "svr-worker --router %s, or: systemctl start svr-worker@%s",
		 d->router, d->router);
	check_process(d, "worker", fix, "no signed or encrypted session, no new next hops",
		      &d->worker);
	snprintf(fix, sizeof(fix),
		 "svr-keymgr --router %s --config %.120s, or: systemctl start svr-keymgr@%s",
		 d->router, d->cli->config, d->router);
	check_process(d, "keymgr", fix, "no peer path comes into service", &unused);
	json_object_put(unused);
}

/* ---- devices -------------------------------------------------------------------------------- */

static void check_program(struct doctor *d, const struct svr_netdev *dev)
{
	char fix[SVR_CHECK_TEXT];
	struct svr_attached a;

	d->c.device = dev->name;
	if (svr_attach_query(d->router, dev, &a)) {
		svr_check_add(&d->c, SVR_CHECK_WARN, "program", NULL,
			      "the kernel does not tell which XDP program is attached");
	} else if (a.mode == SVR_ATTACH_NONE) {
		snprintf(fix, sizeof(fix), "svr --router %s link set dev %s up",
			 d->router ? d->router : "NAME", dev->name);
		svr_check_add(&d->c, SVR_CHECK_WARN, "program", fix, "no XDP program is attached");
	} else if (a.ours) {
		svr_check_add(&d->c, a.mode == SVR_ATTACH_SKB ? SVR_CHECK_WARN : SVR_CHECK_OK,
			      "program", NULL, "our program %u is attached, mode %s%s", a.prog_id,
			      svr_attach_mode_name(a.mode),
			      a.mode == SVR_ATTACH_SKB ? " (slow)" : "");
	} else if (a.link_id) {
		snprintf(fix, sizeof(fix),
			 "end the process that made it, or: bpftool link detach id %u", a.link_id);
		svr_check_add(&d->c, SVR_CHECK_FAIL, "program", fix,
			      "a foreign program is attached: %u (%s), mode %s, held by link %u",
			      a.prog_id, a.prog_name, svr_attach_mode_name(a.mode), a.link_id);
	} else {
		snprintf(fix, sizeof(fix),
			 "ip link set dev %s xdp off, or: svr link set dev %s up --force",
			 dev->name, dev->name);
		svr_check_add(&d->c, SVR_CHECK_FAIL, "program", fix,
			      "a foreign program is attached: %u (%s), mode %s", a.prog_id,
			      a.prog_name, svr_attach_mode_name(a.mode));
	}
	d->c.device = NULL;
}

/* RX queues of the worker, which must be all of them: a queue without a socket drops. */
static void check_queues(struct doctor *d, const struct svr_netdev *dev, const char *interface)
{
	char fix[SVR_CHECK_TEXT];
	int n;

	d->c.device = dev->name;
	if (dev->rx_queues > SVR_MAX_QUEUES) {
		snprintf(fix, sizeof(fix), "ethtool -L %s combined %d", dev->name, SVR_MAX_QUEUES);
		svr_check_add(&d->c, SVR_CHECK_FAIL, "queues", fix,
			      "%u RX queues, the worker takes %d", dev->rx_queues, SVR_MAX_QUEUES);
		goto out;
	}
	n = interface ? svr_process_sockets(d->worker, interface) : -1;
	if (n >= 0 && dev->rx_queues && (unsigned int)n != dev->rx_queues)
		svr_check_add(
			&d->c, SVR_CHECK_FAIL, "queues", "restart svr-worker",
			"%u RX queues, but the worker has %d sockets: packets of the others are dropped",
			dev->rx_queues, n);
	else if (n >= 0)
		svr_check_add(&d->c, SVR_CHECK_OK, "queues", NULL,
			      "%d RX queues, each with a socket of the worker", n);
	else
		svr_check_add(&d->c, SVR_CHECK_OK, "queues", NULL, "%u RX queues", dev->rx_queues);
out:
	d->c.device = NULL;
}

static void check_zone(struct doctor *d, const struct svr_view_zone *z,
		       const struct svr_netdev *dev)
{
	char fix[SVR_CHECK_TEXT], addr[SVR_CFG_ADDR_STRLEN], vlan[24] = "";
	char device[IF_NAMESIZE + sizeof(vlan)];

	d->c.device = dev->name;
	if (z->outer_vlan)
		snprintf(vlan, sizeof(vlan), ".%u.%u", z->outer_vlan, z->vlan);
	else if (z->vlan)
		snprintf(vlan, sizeof(vlan), ".%u", z->vlan);
	snprintf(device, sizeof(device), "%s%s", dev->name, vlan);
	for (unsigned int i = 0; i < z->n_address; i++) {
		svr_config_addr_print(&z->address[i].ip_address, addr);
		snprintf(fix, sizeof(fix), "ip addr add %s/%u dev %s", addr,
			 z->address[i].prefix_length, device);
		if (svr_netdev_has_address(device, z->address[i].ip_address.bytes))
			svr_check_add(&d->c, SVR_CHECK_OK, "address", NULL,
				      "%s of network-interface %s is on %s", addr, z->interface,
				      device);
		else
			svr_check_add(
				&d->c, SVR_CHECK_FAIL, "address", fix,
				"%s of network-interface %s is not on %s: nobody would answer for it",
				addr, z->interface, device);
	}
	if (z->mtu > dev->mtu) {
		snprintf(fix, sizeof(fix),
			 "ip link set dev %s mtu %u, or \"mtu\": %u in the configuration",
			 dev->name, z->mtu, dev->mtu);
		svr_check_add(
			&d->c, SVR_CHECK_FAIL, "configured-mtu", fix,
			"network-interface %s says MTU %u, the device has %u: full packets would be lost",
			z->interface, z->mtu, dev->mtu);
	}
	d->c.device = NULL;
}

static void check_one_device(struct doctor *d, const char *name)
{
	const struct svr_router_view *v = d->view.router;
	struct svr_netdev dev;
	bool tagged = false;
	int err, zone;

	d->c.device = name;
	err = svr_netdev_get(name, &dev);
	if (err == -ENODEV)
		svr_check_add(&d->c, SVR_CHECK_FAIL, "device", "ip link",
			      "no such device in this network namespace");
	else if (err)
		svr_check_add(&d->c, SVR_CHECK_FAIL, "device", NULL,
			      "the kernel does not tell about it: %s", strerror(-err));
	d->c.device = NULL;
	if (err)
		return;
	for (unsigned int i = 0; v && i < v->n_zones; i++)
		tagged = tagged || (v->zones[i].vlan && !strcmp(v->zones[i].device, name));
	svr_check_device(&d->c, &dev, tagged);
	check_program(d, &dev);
	zone = v ? svr_view_find_zone(v, name, -1) : -1;
	check_queues(d, &dev, zone < 0 ? NULL : v->zones[zone].interface);
	for (unsigned int i = 0; v && i < v->n_zones; i++) {
		if (!strcmp(v->zones[i].device, name))
			check_zone(d, &v->zones[i], &dev);
	}
}

static void check_devices(struct doctor *d)
{
	const struct svr_router_view *v = d->view.router;

	if (d->device) {
		check_one_device(d, d->device);
		return;
	}
	for (unsigned int i = 0; v && i < v->n_zones; i++) {
		/* once, although it may have several network interfaces */
		if (svr_view_find_zone(v, v->zones[i].device, -1) == (int)i)
			check_one_device(d, v->zones[i].device);
	}
}

/* ---- output --------------------------------------------------------------------------------- */

static int print_checks(struct svr_out *o, const struct svr_checks *c)
{
	unsigned int count[SVR_CHECK_FAIL + 1] = {};

	svr_out_record_begin(o, NULL, NULL);
	svr_out_list_begin(o, "checks", SVR_OUT_BLOCKS, NULL);
	for (unsigned int i = 0; i < c->n; i++) {
		const struct svr_check *k = &c->list[i];

		count[k->status]++;
		svr_out_note(o, "%-4s  %s%s%s: %s", svr_check_status_name(k->status), k->device,
			     *k->device ? ": " : "", k->name, k->text);
		if (*k->fix)
			svr_out_note(o, "      do: %s", k->fix);
		if (!svr_out_is_json(o))
			continue;
		svr_out_item_begin(o);
		svr_out_str(o, "status", NULL, svr_check_status_name(k->status));
		svr_out_str(o, "check", NULL, k->name);
		svr_out_str(o, "device", NULL, *k->device ? k->device : NULL);
		svr_out_str(o, "text", NULL, k->text);
		svr_out_str(o, "fix", NULL, *k->fix ? k->fix : NULL);
		svr_out_item_end(o);
	}
	svr_out_list_end(o);
	svr_out_u64(o, "ok", NULL, count[SVR_CHECK_OK]);
	svr_out_u64(o, "warn", NULL, count[SVR_CHECK_WARN]);
	svr_out_u64(o, "fail", NULL, count[SVR_CHECK_FAIL]);
	svr_out_note(o, "%u ok, %u warn, %u fail", count[SVR_CHECK_OK], count[SVR_CHECK_WARN],
		     count[SVR_CHECK_FAIL]);
	svr_out_record_end(o);
	return count[SVR_CHECK_FAIL] ? SVR_EXIT_FAILED : SVR_EXIT_OK;
}

int svr_doctor_run(struct svr_cli *cli, const char *const *val)
{
	struct doctor d = { .cli = cli, .device = val[DOCTOR_DEV] };
	int err;

	/* Without one it is a doctor of the machine */
	if (svr_cli_router(cli, &d.router)) {
		if (cli->router)
			return -EINVAL;
		*cli->error = 0;
		cli->usage = false;
		d.router = NULL;
	}
	check_machine(&d.c);
	check_clock(&d.c);
	check_forwarding(&d.c);
	check_config(&d);
	if (d.router) {
		check_maps(&d);
		check_processes(&d);
	}
	check_devices(&d);
	err = d.c.failed_alloc ? svr_cli_error(cli, -ENOMEM, "out of memory") :
				 print_checks(cli->out, &d.c);
	svr_checks_free(&d.c);
	svr_view_free(&d.view);
	json_object_put(d.worker);
	return err;
}
