/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The program that libxdp puts on a device which several XDP programs share: it calls a function for each of them, which
 * the kernel lets the program take the place of (BPF_PROG_TYPE_EXT). libxdp comes with one; this one is loaded in its place,
 * because kernels since 6.13, and the stable ones before them, let a program that changes a packet's size replace only
 * a function that might do so, too. Names and layout are libxdp's: <xdp/prog_dispatcher.h>.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <xdp/prog_dispatcher.h>

static volatile const struct xdp_dispatcher_config conf = {};

/* Never moves anything: what counts for the kernel is that the call stands there */
#define SVR_SLOT(name)                                                           \
	__attribute__((noinline)) int name(struct xdp_md *ctx)                   \
	{                                                                        \
		volatile int ret = XDP_DISPATCHER_RETVAL;                        \
                                                                                 \
		if (!ctx)                                                        \
			return XDP_ABORTED;                                      \
		if (ret != XDP_DISPATCHER_RETVAL && bpf_xdp_adjust_meta(ctx, 0)) \
			return XDP_ABORTED;                                      \
		return ret;                                                      \
	}

SVR_SLOT(prog0)
SVR_SLOT(prog1)
SVR_SLOT(prog2)
SVR_SLOT(prog3)
SVR_SLOT(prog4)
SVR_SLOT(prog5)
SVR_SLOT(prog6)
SVR_SLOT(prog7)
SVR_SLOT(prog8)
SVR_SLOT(prog9)
/* What libxdp replaces to find out whether the kernel allows it */
SVR_SLOT(compat_test)

/* The next program is asked if this one's verdict is among those that go on */
#define SVR_CALL(n)                                              \
	do {                                                     \
		if (programs <= (n))                             \
			return XDP_PASS;                         \
		ret = prog##n(ctx);                              \
		if (!((1U << ret) & conf.chain_call_actions[n])) \
			return ret;                              \
	} while (0)

SEC("xdp")
int xdp_dispatcher(struct xdp_md *ctx)
{
	__u8 programs = conf.num_progs_enabled;
	int ret;

	SVR_CALL(0);
	SVR_CALL(1);
	SVR_CALL(2);
	SVR_CALL(3);
	SVR_CALL(4);
	SVR_CALL(5);
	SVR_CALL(6);
	SVR_CALL(7);
	SVR_CALL(8);
	SVR_CALL(9);
	/* Never: so that the function is a part of this program */
	if (programs > MAX_DISPATCHER_ACTIONS)
		return compat_test(ctx);
	return XDP_PASS;
}

SEC("xdp")
int xdp_pass(struct xdp_md *ctx)
{
	return XDP_PASS;
}

char _license[] SEC("license")
= "Dual BSD/GPL";

__uint(dispatcher_version, XDP_DISPATCHER_VERSION) SEC(XDP_METADATA_SECTION);
