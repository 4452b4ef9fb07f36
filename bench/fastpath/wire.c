// SPDX-License-Identifier: BSD-2-Clause
/* Real frames: veth pairs, generator, sink. The topology is in fastpath.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/bpf.h>
#include <linux/if_link.h>
#include <net/if.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "bench/fastpath/fastpath.h"
#include "bench/xdp_gen.h"
#include "skel/xdp_gen.skel.h"

static struct {
	struct xdp_gen *gen;
	uint32_t gen0, lan0, wan0, sink0, host0, sink1;
	int router_fd; /* on lan0 */
} wire;

static int attach(uint32_t ifindex, int fd, uint32_t flags)
{
	int err = bpf_xdp_attach((int)ifindex, fd, flags, NULL);

	if (err)
		fprintf(stderr, "fastpath: cannot attach XDP to device %u: %s\n", ifindex,
			strerror(-err));
	return err;
}

int wire_open(void)
{
	int err;

	if (system("ip link add gen0 type veth peer name lan0 && ip link add sink0 type veth peer name wan0 &&"
		   "ip link add sink1 type veth peer name host0 &&"
		   "sysctl -q -w net.ipv6.conf.all.disable_ipv6=1 && ip link set lan0 address " LAN_MAC
		   " && ip link set wan0 address " WAN_MAC " &&"
		   "for d in gen0 lan0 sink0 wan0 host0 sink1; do ip link set $d up || exit 1; done")) {
		fprintf(stderr, "fastpath: cannot make veth pairs (package iproute2)\n");
		return -ENODEV;
	}
	wire.gen0 = if_nametoindex("gen0");
	wire.lan0 = if_nametoindex("lan0");
	wire.wan0 = if_nametoindex("wan0");
	wire.sink0 = if_nametoindex("sink0");
	wire.host0 = if_nametoindex("host0");
	wire.sink1 = if_nametoindex("sink1");
	wire.gen = xdp_gen__open_and_load();
	if (!wire.gen)
		return -errno;
	/* Attached for the reason that alone.c gives */
	err = attach(LO_IFINDEX, bpf_program__fd(wire.gen->progs.gen_packet), XDP_FLAGS_SKB_MODE);
	err = err   ?:
		      attach(wire.sink0, bpf_program__fd(wire.gen->progs.gen_sink),
			     XDP_FLAGS_DRV_MODE);
	/* A veth takes redirected frames only where its other end has a program */
	err = err   ?:
		      attach(wire.wan0, bpf_program__fd(wire.gen->progs.gen_pass),
			     XDP_FLAGS_DRV_MODE);
	err = err   ?:
		      attach(wire.host0, bpf_program__fd(wire.gen->progs.gen_pass),
			     XDP_FLAGS_DRV_MODE);
	err = err   ?:
		      attach(wire.sink1, bpf_program__fd(wire.gen->progs.gen_sink),
			     XDP_FLAGS_DRV_MODE);
	return err   ?:
		       attach(wire.gen0, bpf_program__fd(wire.gen->progs.gen_sink),
			      XDP_FLAGS_DRV_MODE);
}

void wire_close(void)
{
	xdp_gen__destroy(wire.gen);
	wire.gen = NULL;
}

uint32_t wire_out_ifindex(void)
{
	return wire.wan0;
}

uint32_t wire_peer_out_ifindex(void)
{
	return wire.host0;
}

int wire_attach(int prog_fd)
{
	if (prog_fd == WIRE_KERNEL)
		prog_fd = bpf_program__fd(wire.gen->progs.gen_pass);
	else if (prog_fd == WIRE_NOTHING)
		prog_fd = bpf_program__fd(wire.gen->progs.gen_sink);
	return attach(wire.lan0, prog_fd, XDP_FLAGS_DRV_MODE);
}

int wire_attach_peer(int prog_fd)
{
	if (prog_fd == WIRE_NOTHING)
		prog_fd = bpf_program__fd(wire.gen->progs.gen_sink);
	return attach(wire.sink0, prog_fd, XDP_FLAGS_DRV_MODE);
}

int wire_send(const struct wire_load *load, uint32_t packets, double *ns)
{
	struct gen_order *order = &wire.gen->bss->gen;
	uint8_t frame[FRAME_MAX];
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = (uint32_t)load->len,
		    .repeat = (int)packets, .flags = BPF_F_TEST_XDP_LIVE_FRAMES);
	uint64_t arrived;
	int err;

	frame_make(frame, load->len, 0, load->side);
	frame_order(order, load->len, load->side, load->udp);
	order->answer = load->side == SIDE_ANSWER;
	order->ifindex = load->side == SIDE_ANSWER ? wire.sink0 : wire.gen0;
	order->in_order = load->in_order;
	order->sessions = load->sessions;
	order->index = load->in_order ? 0 : order->index % load->sessions;
	arrived = wire.gen->bss->gen_arrived;
	err = bpf_prog_test_run_opts(bpf_program__fd(wire.gen->progs.gen_packet), &opts);
	if (err) {
		fprintf(stderr, "fastpath: live frames: %s\n", strerror(-err));
		return err;
	}
	arrived = wire.gen->bss->gen_arrived - arrived;
	if (!load->lossy && arrived + packets / 1000 < packets) {
		fprintf(stderr, "fastpath: %llu of %u packets arrived\n",
			(unsigned long long)arrived, packets);
		return -EIO;
	}
	/* The kernel's own clock around the packets: without what it does before and after them */
	*ns = opts.duration;
	return 0;
}
