// SPDX-License-Identifier: BSD-2-Clause
/* What is no session packet: every branch of the parser, and who gets the router's own traffic. */
#include <linux/bpf.h>

#include "tests/prog/prog.h"

#define TO_WEB .dport = 80, .tcp_flags = TH_SYN
#define IPV6   .ethertype = 0x86dd
#define ARP    .ethertype = 0x0806
enum { V6_NEXT = IP_OFF + 6, V6_DST = IP_OFF + 24 };

/* One row, one sentence */
/* clang-format off */
static const struct row lan[] = {
	{ "ARP is the kernel's", { ARP }, NULL, XDP_PASS, 0, NULL },
	{ "ICMPv6 to a multicast address is the kernel's",
	  { IPV6, .patch = { { V6_NEXT, 58 }, { V6_DST, 0xff } } }, NULL, XDP_PASS, 0, NULL },
	{ "ICMPv6 to a link-local address is the kernel's",
	  { IPV6, .patch = { { V6_NEXT, 58 }, { V6_DST, 0xfe }, { V6_DST + 1, 0xbf } } }, NULL,
	  XDP_PASS, 0, NULL },
	{ "ICMPv6 in transit is refused",
	  { IPV6, .patch = { { V6_NEXT, 58 }, { V6_DST, 0x20 } } }, NULL, XDP_DROP, SVR_DROP_IPV6,
	  NULL },
	{ "fec0::/10 is not link-local",
	  { IPV6, .patch = { { V6_NEXT, 58 }, { V6_DST, 0xfe }, { V6_DST + 1, 0xc0 } } }, NULL,
	  XDP_DROP, SVR_DROP_IPV6, NULL },
	{ "multicast listener report goes to the kernel",
	  { IPV6, .patch = { { V6_NEXT, 0 }, { V6_DST, 0xff } } }, NULL, XDP_PASS, 0, NULL },
	{ "TCP in IPv6 to a multicast address is refused",
	  { IPV6, .patch = { { V6_NEXT, 6 }, { V6_DST, 0xff } } }, NULL, XDP_DROP, SVR_DROP_IPV6,
	  NULL },
	{ "IPv6 that ends inside its header is short",
	  { IPV6, .cut = IP_OFF + 39 }, NULL, XDP_DROP, SVR_DROP_SHORT, NULL },
	{ "LLDP is neither IP nor ARP",
	  { .ethertype = 0x88cc }, NULL, XDP_DROP, SVR_DROP_ETHERTYPE, NULL },
	{ "802.1ad is neither IP nor ARP",
	  { .ethertype = 0x88a8 }, NULL, XDP_DROP, SVR_DROP_ETHERTYPE, NULL },

	{ "frame without an IP header is short",
	  { TO_WEB, .cut = ETH_LEN }, NULL, XDP_DROP, SVR_DROP_SHORT, NULL },
	{ "frame that ends inside the IP header is short",
	  { TO_WEB, .cut = IP_OFF + 19 }, NULL, XDP_DROP, SVR_DROP_SHORT, NULL },
	{ "frame that ends inside the TCP header has a bad total length",
	  { TO_WEB, .cut = L4_OFF + 19 }, NULL, XDP_DROP, SVR_DROP_BAD_IP, NULL },
	{ "IP version 5 is bad",
	  { TO_WEB, .patch = { { IP_OFF, 0x55 } } }, NULL, XDP_DROP, SVR_DROP_BAD_IP, NULL },
	{ "IP header length 16 is bad",
	  { TO_WEB, .patch = { { IP_OFF, 0x44 } } }, NULL, XDP_DROP, SVR_DROP_BAD_IP, NULL },
	{ "IP header length 0 is bad",
	  { TO_WEB, .patch = { { IP_OFF, 0x40 } } }, NULL, XDP_DROP, SVR_DROP_BAD_IP, NULL },
	{ "IP header length 60 in a packet of 40 bytes is bad",
	  { TO_WEB, .patch = { { IP_OFF, 0x4f } } }, NULL, XDP_DROP, SVR_DROP_BAD_IP, NULL },
	{ "total length 19 is bad",
	  { TO_WEB, .patch = { { IP_OFF + 2, 0 }, { IP_OFF + 3, 19 } } }, NULL, XDP_DROP,
	  SVR_DROP_BAD_IP, NULL },
	{ "total length 0 is bad",
	  { TO_WEB, .patch = { { IP_OFF + 2, 0 }, { IP_OFF + 3, 0 } } }, NULL, XDP_DROP,
	  SVR_DROP_BAD_IP, NULL },
	{ "total length one above the frame is bad",
	  { TO_WEB, .patch = { { IP_OFF + 3, 41 } } }, NULL, XDP_DROP, SVR_DROP_BAD_IP, NULL },
	{ "total length 65535 is bad",
	  { TO_WEB, .patch = { { IP_OFF + 2, 0xff }, { IP_OFF + 3, 0xff } } }, NULL, XDP_DROP,
	  SVR_DROP_BAD_IP, NULL },
	{ "IP options are refused",
	  { TO_WEB, .ip_options = 4 }, NULL, XDP_DROP, SVR_DROP_IP_OPTIONS, NULL },
	{ "40 bytes of IP options are refused",
	  { TO_WEB, .ip_options = 40 }, NULL, XDP_DROP, SVR_DROP_IP_OPTIONS, NULL },
	{ "first fragment is refused",
	  { TO_WEB, .frag_off = 0x2000 }, NULL, XDP_DROP, SVR_DROP_FRAGMENT, NULL },
	{ "last fragment is refused",
	  { TO_WEB, .frag_off = 0x0001 }, NULL, XDP_DROP, SVR_DROP_FRAGMENT, NULL },
	{ "don't fragment is no fragment",
	  { TO_WEB, .frag_off = 0x4000 }, NULL, XDP_REDIRECT, 0, check_sums },
	{ "ICMP in transit is refused",
	  { .proto = IPPROTO_ICMP, .fill = 8 }, NULL, XDP_DROP, SVR_DROP_PROTOCOL, NULL },
	{ "GRE in transit is refused",
	  { .proto = 47, .fill = 8 }, NULL, XDP_DROP, SVR_DROP_PROTOCOL, NULL },
	{ "TCP header length 16 is bad",
	  { TO_WEB, .patch = { { L4_OFF + 12, 0x40 } } }, NULL, XDP_DROP, SVR_DROP_BAD_L4, NULL },
	{ "TCP header longer than the packet is bad",
	  { TO_WEB, .patch = { { L4_OFF + 12, 0x60 } } }, NULL, XDP_DROP, SVR_DROP_BAD_L4, NULL },
	{ "TCP header of 60 bytes in padding is bad",
	  { TO_WEB, .pad = 40, .patch = { { L4_OFF + 12, 0xf0 } } }, NULL, XDP_DROP,
	  SVR_DROP_BAD_L4, NULL },
	{ "TCP packet of 39 bytes is bad",
	  { TO_WEB, .pad = 1, .patch = { { IP_OFF + 3, 39 } } }, NULL, XDP_DROP, SVR_DROP_BAD_L4,
	  NULL },
	{ "TCP packet without a TCP header is short",
	  { TO_WEB, .cut = L4_OFF + 10, .patch = { { IP_OFF + 3, 30 } } }, NULL, XDP_DROP,
	  SVR_DROP_SHORT, NULL },
	{ "UDP length above the packet is bad",
	  { .proto = IPPROTO_UDP, .dport = 53, .fill = 4, .patch = { { L4_OFF + 5, 13 } } }, NULL,
	  XDP_DROP, SVR_DROP_BAD_L4, NULL },
	{ "UDP length below the packet is bad",
	  { .proto = IPPROTO_UDP, .dport = 53, .fill = 4, .patch = { { L4_OFF + 5, 11 } } }, NULL,
	  XDP_DROP, SVR_DROP_BAD_L4, NULL },
	{ "UDP length 7 is bad",
	  { .proto = IPPROTO_UDP, .dport = 53, .pad = 1, .patch = { { IP_OFF + 3, 27 },
	  { L4_OFF + 5, 7 } } }, NULL, XDP_DROP, SVR_DROP_BAD_L4, NULL },
	{ "UDP packet without a UDP header is short",
	  { .proto = IPPROTO_UDP, .cut = L4_OFF + 7, .patch = { { IP_OFF + 3, 27 } } }, NULL,
	  XDP_DROP, SVR_DROP_SHORT, NULL },

	{ "TCP to the zone's own address is the kernel's",
	  { .dst = "172.16.1.1", .dport = 22 }, NULL, XDP_PASS, 0, NULL },
	{ "ICMP to the zone's own address is the kernel's",
	  { .dst = "172.16.1.1", .proto = IPPROTO_ICMP, .fill = 8 }, NULL, XDP_PASS, 0, NULL },
	{ "fragments to the zone's own address are the kernel's",
	  { .dst = "172.16.1.1", .frag_off = 0x2000 }, NULL, XDP_PASS, 0, NULL },
	{ "multicast is the kernel's",
	  { .dst = "224.0.0.5", .proto = 89 }, NULL, XDP_PASS, 0, NULL },
	{ "IP options to a multicast group (IGMP) are the kernel's",
	  { .dst = "224.0.0.22", .proto = IPPROTO_IGMP, .ip_options = 4 }, NULL, XDP_PASS, 0,
	  NULL },
	{ "broadcast is the kernel's (DHCP)",
	  { .src = "0.0.0.0", .dst = "255.255.255.255", .proto = IPPROTO_UDP, .dport = 67,
	  .fill = 8 }, NULL, XDP_PASS, 0, NULL },
	{ "broadcast of the zone's subnet is the kernel's",
	  { .dst = "172.16.1.255", .proto = IPPROTO_UDP, .dport = 137 }, NULL, XDP_PASS, 0, NULL },
	{ "broadcast of another subnet is transit traffic",
	  { .dst = "172.16.7.255", .proto = IPPROTO_UDP, .dport = 137 }, NULL, XDP_DROP,
	  SVR_DROP_NO_SERVICE, NULL },

	{ "VLAN tag without an entry is refused",
	  { TO_WEB, .vlan = 31 }, NULL, XDP_DROP, SVR_DROP_VLAN, NULL },
	{ "priority tag without an entry is refused",
	  { TO_WEB, .vlan = 0x6000 }, NULL, XDP_DROP, SVR_DROP_VLAN, NULL },
	{ "frame that ends inside the VLAN tag is short",
	  { TO_WEB, .vlan = LAN_VLAN, .cut = 17 }, NULL, XDP_DROP, SVR_DROP_SHORT, NULL },
	{ "tagged ARP of a zone is the kernel's",
	  { .vlan = LAN_VLAN, ARP }, NULL, XDP_PASS, 0, NULL },
	{ "a second VLAN tag is neither IP nor ARP",
	  { .vlan = LAN_VLAN, .ethertype = 0x8100 }, NULL, XDP_DROP, SVR_DROP_ETHERTYPE, NULL },
	{ "priority bits do not matter for the zone",
	  { .vlan = 0xe000 | LAN_VLAN, .dst = "172.16.30.1" }, NULL, XDP_PASS, 0, NULL },
};
/* clang-format on */

Test(parse, lan)
{
	RUN_ROWS(PROG_LAN, lan);
}

#define FROM_EAST      .src = "192.0.2.2", .dst = "192.0.2.1"
#define FROM_ELSEWHERE .src = "198.51.100.9", .dst = "192.0.2.1"

/* One row, one sentence */
/* clang-format off */
static const struct row wan[] = {
	{ "ARP is the kernel's", { ARP }, NULL, XDP_PASS, 0, NULL },
	{ "ICMPv6 to a multicast address is the kernel's",
	  { IPV6, .patch = { { V6_NEXT, 58 }, { V6_DST, 0xff } } }, NULL, XDP_PASS, 0, NULL },
	{ "IPv6 in transit is refused",
	  { IPV6, .patch = { { V6_DST, 0x20 } } }, NULL, XDP_DROP, SVR_DROP_IPV6, NULL },
	{ "unknown ethertype is refused",
	  { .ethertype = 0x88cc }, NULL, XDP_DROP, SVR_DROP_ETHERTYPE, NULL },
	{ "VLAN tag without an entry is refused",
	  { FROM_EAST, .vlan = 31 }, NULL, XDP_DROP, SVR_DROP_VLAN, NULL },
	{ "transit traffic is refused",
	  { .src = "192.0.2.2", .dst = "172.16.1.10" }, NULL, XDP_DROP, SVR_DROP_NOT_LOCAL, NULL },
	{ "transit fragments are refused as transit traffic",
	  { .src = "192.0.2.2", .dst = "172.16.1.10", .frag_off = 1 }, NULL, XDP_DROP,
	  SVR_DROP_NOT_LOCAL, NULL },
	{ "multicast is the kernel's",
	  { .src = "192.0.2.2", .dst = "224.0.0.5" }, NULL, XDP_PASS, 0, NULL },
	{ "broadcast of the subnet is the kernel's",
	  { .src = "192.0.2.2", .dst = "192.0.2.255" }, NULL, XDP_PASS, 0, NULL },
	{ "BFD is the kernel's",
	  { FROM_EAST, .proto = IPPROTO_UDP, .sport = 49152, .dport = 1280, .fill = 24 }, NULL,
	  XDP_PASS, 0, NULL },
	{ "what comes from the BFD port is the kernel's",
	  { FROM_EAST, .proto = IPPROTO_UDP, .sport = 1280, .dport = 20000, .fill = 24 }, NULL,
	  XDP_PASS, 0, NULL },
	{ "TCP port 1280 is an ordinary port",
	  { FROM_EAST, .sport = 1280, .dport = 20000 }, NULL, XDP_DROP, SVR_DROP_NO_FLOW, NULL },
	{ "ICMP is the kernel's",
	  { FROM_EAST, .proto = IPPROTO_ICMP, .fill = 8 }, NULL, XDP_PASS, 0, NULL },
	{ "fragments of a peer are refused",
	  { FROM_EAST, .frag_off = 0x2000 }, NULL, XDP_DROP, SVR_DROP_FRAGMENT, NULL },
	{ "IP options of a peer are refused",
	  { FROM_EAST, .ip_options = 4 }, NULL, XDP_DROP, SVR_DROP_IP_OPTIONS, NULL },
	{ "a peer's broken TCP header is refused",
	  { FROM_EAST, .patch = { { L4_OFF + 12, 0x40 } } }, NULL, XDP_DROP, SVR_DROP_BAD_L4,
	  NULL },
	{ "fragments of others to the router are the kernel's",
	  { FROM_ELSEWHERE, .frag_off = 0x2000 }, NULL, XDP_PASS, 0, NULL },
	{ "TCP of others to the router is the kernel's",
	  { FROM_ELSEWHERE, .dport = 22 }, NULL, XDP_PASS, 0, NULL },
	{ "bad total length is refused, whoever sent it",
	  { FROM_ELSEWHERE, .patch = { { IP_OFF + 2, 0xff } } }, NULL, XDP_DROP, SVR_DROP_BAD_IP,
	  NULL },
	{ "ssh of a peer to the router is the kernel's",
	  { FROM_EAST, .sport = 50000, .dport = 22 }, NULL, XDP_PASS, 0, NULL },
	{ "port 1024 of a peer is the kernel's",
	  { FROM_EAST, .sport = 50000, .dport = 1024 }, NULL, XDP_PASS, 0, NULL },
	{ "waypoint port without a flow is refused",
	  { FROM_EAST, .sport = 20001, .dport = 20000 }, NULL, XDP_DROP, SVR_DROP_NO_FLOW, NULL },
	{ "lowest waypoint port without a flow is refused",
	  { FROM_EAST, .sport = 20001, .dport = SVR_PORT_LO }, NULL, XDP_DROP, SVR_DROP_NO_FLOW,
	  NULL },
	{ "a port below the waypoint range is the kernel's",
	  { FROM_EAST, .sport = 20001, .dport = SVR_PORT_LO - 1 }, NULL, XDP_PASS, 0, NULL },
	{ "a port above the waypoint range is the kernel's",
	  { FROM_EAST, .sport = 20001, .dport = SVR_PORT_HI + 1 }, NULL, XDP_PASS, 0, NULL },
	{ "seven bytes of the cookie are no cookie",
	  { FROM_EAST, .sport = 20001, .dport = 20000, .payload = "\x4c\x48\xdb\xc6\xdd\xf6\x67",
	  .payload_len = 7 }, NULL, XDP_DROP, SVR_DROP_NO_FLOW, NULL },
	{ "the cookie of an address that is no peer is refused",
	  { FROM_ELSEWHERE, .sport = 20001, .dport = 20000,
	  .payload = "\x4c\x48\xdb\xc6\xdd\xf6\x67\x0c", .payload_len = 8 }, NULL, XDP_DROP,
	  SVR_DROP_UNKNOWN_PEER, NULL },
	{ "the cookie in padding is no cookie",
	  { FROM_ELSEWHERE, .sport = 20001, .dport = 20000,
	  .payload = "\x4c\x48\xdb\xc6\xdd\xf6\x67\x0c", .payload_len = 8, .patch = { { IP_OFF + 3,
	  40 } } }, NULL, XDP_PASS, 0, NULL },
};
/* clang-format on */

Test(parse, wan)
{
	RUN_ROWS(PROG_WAN, wan);
}

Test(parse, interface_without_configuration)
{
	struct env *e = env_open(&(struct env_opts){ .lan_zone = NO_ZONE });
	static struct result r;

	run(e, PROG_LAN, &(struct spec){ TO_WEB }, &r, "untagged");
	cr_expect(r.verdict == XDP_DROP && r.reason == SVR_DROP_NOT_CONFIGURED,
		  "untagged IP without a zone: %d", r.reason);
	run(e, PROG_LAN, &(struct spec){ ARP }, &r, "ARP");
	cr_expect(r.verdict == XDP_DROP && r.reason == SVR_DROP_NOT_CONFIGURED,
		  "ARP without a zone: %d", r.reason);
	run(e, PROG_LAN, &(struct spec){ .vlan = LAN_VLAN, .dst = "172.16.30.1" }, &r, "tagged");
	cr_expect(r.verdict == XDP_PASS, "a tagged zone on the same interface works");
	env_close(e);
}
