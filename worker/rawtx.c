// SPDX-License-Identifier: BSD-2-Clause
/* Sending through a packet socket (packet(7)). */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/if_ether.h>
#include <linux/if_packet.h>

#include "worker/rawtx.h"

int svr_rawtx_open(void)
{
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), one = 1;

	if (fd < 0)
		return -errno;
	/* As AF_XDP does: straight to the driver. Older kernels go through the queueing discipline */
	(void)setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one));
	return fd;
}

int svr_rawtx_send(int fd, int ifindex, const void *frame, size_t len)
{
	struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_ifindex = ifindex };

	/* The type field of the header, for drivers that look at the socket buffer's */
	memcpy(&to.sll_protocol, (const char *)frame + 2 * (size_t)ETH_ALEN,
	       sizeof(to.sll_protocol));
	return sendto(fd, frame, len, MSG_DONTWAIT, (struct sockaddr *)&to, sizeof(to)) < 0 ?
		       -errno :
		       0;
}
