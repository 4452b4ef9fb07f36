// SPDX-License-Identifier: BSD-2-Clause
/* What is no session packet: every branch of the parser, and who gets the router's own traffic. */
#include <time.h>

#include <linux/bpf.h>

#include "tests/prog/prog.h"

#define TO_WEB .dport = 80, .tcp_flags = TH_SYN
#define V6_HOST .src = "2001:db8:1::10"
#define V6_FAR .dst = "2001:db8:2::20"
#define V6_WEB V6_FAR, .dport = 80, .tcp_flags = TH_SYN
#define ARP    .ethertype = 0x0806

static void check_fragment(struct env *e, const struct frame *in, const struct result *r,
			   const char *name)
{
	(void)e;
	cr_expect(r->described && r->desc.magic == SVR_FRAME_MAGIC &&
			  r->desc.why == SVR_FRAME_FRAGMENT && r->desc.l3_off == IP_OFF,
		  "%s: description", name);
	expect_bytes(r->out, r->len, in->data, r->len, name, "frame");
}

/* The bucket of every zone is full again in a minute. */
static void no_tokens(struct env *e)
{
	struct timespec ts;
	uint32_t zone;
	uint64_t at;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	at = ((uint64_t)ts.tv_sec + 60) * 1000000000ULL;
	for (zone = 0; zone <= TAGGED; zone++)
		map_put(e, "svr_fragment_pace", &zone, &at);
}

/* One row, one sentence */
/* clang-format off */
static const struct row lan[] = {
	{ "ARP is the kernel's", { ARP }, NULL, XDP_PASS, 0, NULL },
	{ "neighbour solicitation to a multicast address is the kernel's",
	  { V6_HOST, .dst = "ff02::1:ff00:1", .proto = 58, .icmp_type = 135, .fill = 16 }, NULL,
	  XDP_PASS, 0, NULL },
	{ "neighbour solicitation to a link-local address is the kernel's",
	  { .src = "fe80::10", .dst = "fe80::1", .proto = 58, .icmp_type = 135, .fill = 16 }, NULL,
	  XDP_PASS, 0, NULL },
	{ "the end of fe80::/10 is link-local",
	  { V6_HOST, .dst = "febf::1", .proto = 58, .icmp_type = 136, .fill = 16 }, NULL, XDP_PASS,
	  0, NULL },
	{ "neighbour solicitation in transit is refused",
	  { V6_HOST, V6_FAR, .proto = 58, .icmp_type = 135, .fill = 16 }, NULL, XDP_DROP,
	  SVR_DROP_PROTOCOL, NULL },
	{ "fec0::/10 is not link-local",
	  { V6_HOST, .dst = "fec0::1", .dport = 80, .tcp_flags = TH_SYN }, NULL, XDP_DROP,
	  SVR_DROP_NO_SERVICE, NULL },
	{ "multicast listener report goes to the kernel",
	  { V6_HOST, .dst = "ff02::16", .proto = 99, .fill = 40, .patch = { { IP_OFF + 6, 0 } } },
	  NULL, XDP_PASS, 0, NULL },
	{ "IPv6 to the zone's own address is the kernel's",
	  { V6_HOST, .dst = "2001:db8:1::1", .dport = 22 }, NULL, XDP_PASS, 0, NULL },
	{ "fragments to the zone's own IPv6 address are the kernel's",
	  { V6_HOST, .dst = "2001:db8:1::1", .proto = 44, .fill = 40 }, NULL, XDP_PASS, 0, NULL },
	{ "IPv6 that ends inside its header is short",
	  { V6_HOST, V6_WEB, .cut = IP_OFF + 39 }, NULL, XDP_DROP, SVR_DROP_SHORT, NULL },
	{ "IPv6 that ends inside the TCP header has a bad length",
	  { V6_HOST, V6_WEB, .cut = IP_OFF + 40 + 19 }, NULL, XDP_DROP, SVR_DROP_BAD_IP, NULL },
	{ "IPv6 with version 4 is bad",
	  { V6_HOST, V6_WEB, .patch = { { IP_OFF, 0x40 } } }, NULL, XDP_DROP, SVR_DROP_BAD_IP,
	  NULL },
	{ "IPv6 payload length 65535 is bad",
	  { V6_HOST, V6_WEB, .patch = { { IP_OFF + 4, 0xff }, { IP_OFF + 5, 0xff } } }, NULL,
	  XDP_DROP, SVR_DROP_BAD_IP, NULL },
	{ "IPv6 payload length below the TCP header is bad",
	  { V6_HOST, V6_WEB, .patch = { { IP_OFF + 5, 19 } } }, NULL, XDP_DROP, SVR_DROP_BAD_L4,
	  NULL },
	{ "IPv4-mapped source on the wire is bad",
	  { .src = "::ffff:172.16.1.10", V6_WEB }, NULL, XDP_DROP, SVR_DROP_BAD_IP, NULL },
	{ "IPv4-mapped destination on the wire is bad",
	  { V6_HOST, .dst = "::ffff:172.16.2.20", .dport = 80, .tcp_flags = TH_SYN }, NULL, XDP_DROP,
	  SVR_DROP_BAD_IP, NULL },
	{ "loopback source is nobody's", { .src = "::1", V6_WEB }, NULL, XDP_DROP,
	  SVR_DROP_NO_TENANT, NULL },
	{ "link-local source stays on the link",
	  { .src = "fe80::10", V6_WEB }, NULL, XDP_DROP, SVR_DROP_NO_TENANT, NULL },
	{ "IPv6 fragment goes to the worker",
	  { V6_HOST, V6_FAR, .proto = 44, .fill = 40 }, NULL, XDP_REDIRECT, 0, check_fragment },
	{ "IPv6 fragment of nobody's address is refused",
	  { .src = "2001:db8:77::1", V6_FAR, .proto = 44, .fill = 40 }, NULL, XDP_DROP,
	  SVR_DROP_NO_TENANT, NULL },
	{ "hop-by-hop options are refused",
	  { V6_HOST, V6_FAR, .proto = 99, .fill = 40, .patch = { { IP_OFF + 6, 0 } } }, NULL, XDP_DROP,
	  SVR_DROP_IP6_EXTENSION, NULL },
	{ "routing header is refused",
	  { V6_HOST, V6_FAR, .proto = 43, .fill = 40 }, NULL, XDP_DROP, SVR_DROP_IP6_EXTENSION,
	  NULL },
	{ "destination options are refused",
	  { V6_HOST, V6_FAR, .proto = 60, .fill = 40 }, NULL, XDP_DROP, SVR_DROP_IP6_EXTENSION,
	  NULL },
	{ "authentication header is refused",
	  { V6_HOST, V6_FAR, .proto = 51, .fill = 40 }, NULL, XDP_DROP, SVR_DROP_IP6_EXTENSION,
	  NULL },
	{ "SCTP over IPv6 is refused",
	  { V6_HOST, V6_FAR, .proto = 132, .fill = 40 }, NULL, XDP_DROP, SVR_DROP_PROTOCOL, NULL },
	{ "SCTP is refused", { .proto = 132, .fill = 40 }, NULL, XDP_DROP, SVR_DROP_PROTOCOL, NULL },
	{ "ICMPv6 inside IPv4 is refused",
	  { .proto = 58, .icmp_type = 128, .fill = 8 }, NULL, XDP_DROP, SVR_DROP_PROTOCOL, NULL },
	{ "UDP without a checksum over IPv6 is refused",
	  { V6_HOST, V6_FAR, .proto = IPPROTO_UDP, .dport = 53, .fill = 8, .csum = CSUM_NONE }, NULL,
	  XDP_DROP, SVR_DROP_BAD_CSUM, NULL },
	{ "ICMPv6 shorter than its header is bad",
	  { V6_HOST, V6_FAR, .proto = 58, .fill = 7, .pad = 1 }, NULL, XDP_DROP, SVR_DROP_BAD_L4,
	  NULL },
	{ "unsolicited echo reply is refused",
	  { .proto = IPPROTO_ICMP, .icmp_type = ICMP_REPLY, .sport = 9, .dport = 1, .dst = "172.16.3.3"
	  }, NULL, XDP_DROP, SVR_DROP_ICMP_UNMATCHED, NULL },
	{ "ICMP redirect in transit is refused",
	  { .proto = IPPROTO_ICMP, .icmp_type = 5, .fill = 28 }, NULL, XDP_DROP, SVR_DROP_PROTOCOL,
	  NULL },
	{ "LLDP is neither IP nor ARP",
	  { .ethertype = 0x88cc }, NULL, XDP_DROP, SVR_DROP_ETHERTYPE, NULL },
	{ "two tags without an entry are refused",
	  { TO_WEB, .outer_vlan = 7, .vlan = LAN_VLAN }, NULL, XDP_DROP, SVR_DROP_VLAN, NULL },
	{ "a service tag alone is refused, whatever its number",
	  { TO_WEB, .vlan = LAN_VLAN, .patch = { { 12, 0x88 }, { 13, 0xa8 } } }, NULL, XDP_DROP,
	  SVR_DROP_VLAN, NULL },
	{ "two customer's tags are refused",
	  { TO_WEB, .outer_vlan = LAN_VLAN, .vlan = 7, .patch = { { 12, 0x81 }, { 13, 0x00 } } }, NULL,
	  XDP_DROP, SVR_DROP_ETHERTYPE, NULL },
	{ "frame that ends inside the inner tag is short",
	  { TO_WEB, .outer_vlan = 7, .vlan = LAN_VLAN, .cut = 21 }, NULL, XDP_DROP, SVR_DROP_SHORT,
	  NULL },

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
	{ "first fragment goes to the worker",
	  { TO_WEB, .frag_off = 0x2000 }, NULL, XDP_REDIRECT, 0, check_fragment },
	{ "last fragment goes to the worker, without padding",
	  { TO_WEB, .frag_off = 0x0001, .pad = 5 }, NULL, XDP_REDIRECT, 0, check_fragment },
	{ "fragment of no tenant is refused",
	  { .src = "10.0.0.1", TO_WEB, .frag_off = 0x2000 }, NULL, XDP_DROP, SVR_DROP_NO_TENANT,
	  NULL },
	{ "fragment from the router's own address is refused",
	  { .src = "172.16.1.1", TO_WEB, .frag_off = 0x2000 }, NULL, XDP_DROP, SVR_DROP_NO_TENANT,
	  NULL },
	{ "fragment to no host is refused",
	  { .dst = "127.0.0.1", .frag_off = 0x2000 }, NULL, XDP_DROP, SVR_DROP_NO_SERVICE, NULL },
	{ "fragments without a worker are refused",
	  { TO_WEB, .frag_off = 0x2000 }, worker_gone, XDP_DROP, SVR_DROP_NO_WORKER, NULL },
	{ "fragments above their rate are refused",
	  { TO_WEB, .frag_off = 0x2000 }, no_tokens, XDP_DROP, SVR_DROP_FRAGMENT_RATE, NULL },
	{ "a fragment that is longer than its frame is refused",
	  { TO_WEB, .frag_off = 0x2000, .fill = 100, .cut = IP_OFF + 60 }, NULL, XDP_DROP,
	  SVR_DROP_BAD_IP, NULL },
	{ "don't fragment is no fragment",
	  { TO_WEB, .frag_off = 0x4000 }, NULL, XDP_REDIRECT, 0, check_sums },
	{ "ICMP echo to a service of TCP is refused",
	  { .proto = IPPROTO_ICMP, .icmp_type = 8, .sport = 1, .fill = 8 }, NULL, XDP_DROP,
	  SVR_DROP_NO_SERVICE, NULL },
	{ "GRE to a service of TCP is refused",
	  { .proto = 47, .fill = 8 }, NULL, XDP_DROP, SVR_DROP_NO_SERVICE, NULL },
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
	{ "a priority tag is no VLAN",
	  { TO_WEB, .vlan = 0x6000 }, NULL, XDP_REDIRECT, 0, check_sums },
	{ "frame that ends inside the VLAN tag is short",
	  { TO_WEB, .vlan = LAN_VLAN, .cut = 17 }, NULL, XDP_DROP, SVR_DROP_SHORT, NULL },
	{ "tagged ARP of a zone is the kernel's",
	  { .vlan = LAN_VLAN, ARP }, NULL, XDP_PASS, 0, NULL },
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
	{ "neighbour advertisement to a multicast address is the kernel's",
	  { .src = "fe80::2", .dst = "ff02::1", .proto = 58, .icmp_type = 136, .fill = 16 }, NULL,
	  XDP_PASS, 0, NULL },
	{ "ping to the waypoint is the kernel's",
	  { FROM_EAST, .proto = IPPROTO_ICMP, .icmp_type = 8, .sport = 3, .fill = 8 }, NULL, XDP_PASS,
	  0, NULL },
	{ "GRE to the waypoint is the kernel's",
	  { FROM_EAST, .proto = IPPROTO_GRE, .fill = 8 }, NULL, XDP_PASS, 0, NULL },
	{ "IPv6 in transit is refused",
	  { .src = "2001:db8:ffff::2", .dst = "2001:db8:1::10" }, NULL, XDP_DROP, SVR_DROP_NOT_LOCAL,
	  NULL },
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
	{ "TCP fragments of a peer go to the worker",
	  { FROM_EAST, .frag_off = 0x2000 }, NULL, XDP_REDIRECT, 0, check_fragment },
	{ "UDP fragments of a peer go to the worker",
	  { FROM_EAST, .proto = IPPROTO_UDP, .frag_off = 0x0010 }, NULL, XDP_REDIRECT, 0,
	  check_fragment },
	{ "ICMP fragments of a peer are the kernel's",
	  { FROM_EAST, .proto = IPPROTO_ICMP, .fill = 8, .frag_off = 0x2000 }, NULL, XDP_PASS, 0,
	  NULL },
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
