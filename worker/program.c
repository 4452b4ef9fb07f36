// SPDX-License-Identifier: BSD-2-Clause
/* XDP programs of interfaces. */
#include <errno.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "worker/program.h"

int svr_program_open(int ifindex)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, q);
	uint32_t id;
	int err;

	err = bpf_xdp_query(ifindex, 0, &q);
	if (err)
		return err;
	id = q.drv_prog_id ? q.drv_prog_id : q.prog_id ? q.prog_id : q.skb_prog_id;
	return id ? bpf_prog_get_fd_by_id(id) : -ENOENT;
}
