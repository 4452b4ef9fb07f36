// SPDX-License-Identifier: BSD-2-Clause
/*
 * Frames with little room in front of them. What a driver leaves is the driver's business; here the room is taken by
 * what a program that ran before ours has left there.
 */
#include "prog.h"

enum { XDP_META_MAX_OLD = 32 }; /* of kernels before 6.3 */

/* @taken bytes in front of the frame. False if this kernel does not take so many. */
static bool expect_drop(struct env *e, const struct spec *s, size_t taken, int want,
			const char *name)
{
	static struct result r;
	static struct frame f;

	frame_build(&f, s);
	if (!run_frame_behind(e, PROG_LAN, &f, taken, &r, name))
		return false;
	cr_expect(r.verdict == XDP_DROP && r.reason == want, "%s: verdict %u, reason %u", name,
		  r.verdict, r.reason);
	return true;
}

Test(room, description_for_the_worker_does_not_fit)
{
	struct env *e = env_open(NULL);
	struct spec s = { .tcp_flags = TH_SYN, .dport = 22 };

	if (!expect_drop(e, &s, XDP_META_MAX, SVR_DROP_BAD_META_AREA, "to the worker"))
		cr_assert(expect_drop(e, &s, XDP_META_MAX_OLD, SVR_DROP_BAD_META_AREA,
				      "to the worker"));
	env_close(e);
}

/* Metadata finds room behind the headers (bpf/room.h), the tags of the way out do not. */
static void tagged_twice(struct svr_zone *z)
{
	z->vlan = 100;
	z->outer_vlan = 7;
}

Test(room, tags_of_the_wan_do_not_fit)
{
	struct env *e = env_open(NULL);
	struct spec s = { .tcp_flags = TH_SYN, .dport = 80 };

	zone_change(e, WAN, tagged_twice);
	if (!expect_drop(e, &s, XDP_META_MAX, SVR_DROP_HEADROOM, "to the WAN"))
		cr_skip_test("this kernel cannot take the room away");
	env_close(e);
}
