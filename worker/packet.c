// SPDX-License-Identifier: BSD-2-Clause
/* Frames: parsing, room, checksums, addresses, MSS. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include <svr/drops.h>

#include "worker/addr.h"
#include "worker/packet.h"

enum {
	ETH_P_IP4 = 0x0800,
	ETH_P_IP6 = 0x86dd,
	ETH_P_VLAN = 0x8100,
	ETH_P_SERVICE_VLAN = 0x88a8,
	IP4_VER_IHL = 0x45, /* version 4, five words */
	IP4_FRAGMENT = 0x3fff, /* more fragments, offset */
	IP4_DONT_FRAGMENT = 0x4000,
	IP6_VERSION = 6U,
	IP6_VERSION_SHIFT = 28,
	IP6_CLASS_SHIFT = 20,
	IP6_LABEL_MASK = 0xfffff,
	ICMP_ECHO_REQUEST = 8,
	ICMP_REPLY = 0,
	ICMP6_ECHO_REQUEST = 128,
	ICMP6_REPLY = 129,
	ICMP_HEADER_LEN = 8,
	ICMP_ID_OFFSET = 4,
	TCP_OPT_END = 0,
	TCP_OPT_NOP = 1,
	TCP_OPT_MSS = 2,
	TCP_OPT_MSS_LEN = 4,
};

_Static_assert(sizeof(struct svr_eth) == SVR_ETH_LEN &&
		       sizeof(struct svr_vlan_tag) == SVR_VLAN_LEN &&
		       sizeof(struct svr_ip4) == SVR_IP4_LEN &&
		       sizeof(struct svr_ip6) == SVR_IP6_LEN &&
		       sizeof(struct svr_tcp) == SVR_TCP_LEN &&
		       sizeof(struct svr_udp) == SVR_UDP_LEN,
	       "wire");

/* ---- checksums ----------------------------------------------------------------------------- */

/* Four 32-bit words, which every 64-bit CPU adds at once. */
typedef uint32_t csum_words __attribute__((vector_size(16)));

uint64_t svr_csum_add(uint64_t sum, const void *data, size_t len)
{
	csum_words low = { 0 }, high = { 0 }, low2 = { 0 }, high2 = { 0 }, w[2];
	const uint8_t *p = data;
	unsigned int i;
	uint16_t h = 0;

	/*
	 * Halves of words, so that 32 bits hold the sums of two megabytes; two at a time, so that
	 * additions overlap
	 */
	for (; len >= sizeof(w); p += sizeof(w), len -= sizeof(w)) {
		memcpy(w, p, sizeof(w));
		low += w[0] & 0xffff;
		high += w[0] >> 16;
		low2 += w[1] & 0xffff;
		high2 += w[1] >> 16;
	}
	for (i = 0; i < sizeof(low) / sizeof(low[0]); i++)
		sum += (uint64_t)low[i] + high[i] + low2[i] + high2[i];
	for (; len >= sizeof(h); p += sizeof(h), len -= sizeof(h)) {
		memcpy(&h, p, sizeof(h));
		sum += h;
	}
	if (len) {
		h = 0;
		memcpy(&h, p, 1); /* RFC 1071: padded with a zero byte */
		sum += h;
	}
	return sum;
}

uint16_t svr_csum_fold(uint64_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

static uint16_t ip4_sum(const struct svr_pkt *p)
{
	return svr_csum_fold(svr_csum_add(0, p->ip, SVR_IP4_LEN));
}

/* The addresses stand next to each other in both headers, and so they are summed. */
static uint64_t pseudo_sum(const struct svr_pkt *p)
{
	const struct {
		uint8_t zero, proto;
		__be16 len;
	} rest = { 0, p->proto, htons((uint16_t)(p->l4_len + p->payload_len)) };
	uint64_t sum = svr_csum_add(0, &rest, sizeof(rest));

	if (p->family == SVR_FAMILY_6)
		return svr_csum_add(sum, p->ip + offsetof(struct svr_ip6, saddr),
				    2 * sizeof(svr_packet_ip6(p)->saddr));
	return svr_csum_add(sum, p->ip + offsetof(struct svr_ip4, saddr),
			    2 * sizeof(svr_packet_ip4(p)->saddr));
}

static size_t csum_offset(const struct svr_pkt *p)
{
	return p->proto == IPPROTO_TCP ? offsetof(struct svr_tcp, csum) :
					 offsetof(struct svr_udp, csum);
}

enum svr_csum_state svr_packet_csum_state(const struct svr_pkt *p)
{
	const uint16_t ones = 0xffff;
	uint64_t pseudo = pseudo_sum(p);
	uint16_t field;

	if (!p->l4_len)
		return SVR_CSUM_FULL; /* the hosts' business */
	memcpy(&field, p->l4 + csum_offset(p), sizeof(field));
	if (field == 0 && p->proto == IPPROTO_UDP)
		return SVR_CSUM_NONE;
	if (svr_csum_fold(svr_csum_add(pseudo, p->l4, (size_t)p->l4_len + p->payload_len)) == ones)
		return SVR_CSUM_FULL;
	return field == svr_csum_fold(pseudo) ? SVR_CSUM_PARTIAL : SVR_CSUM_WRONG;
}

static void ip4_finish(struct svr_pkt *p, size_t l4_total)
{
	struct svr_ip4 *ip = svr_packet_ip4(p);

	ip->total_len = htons((uint16_t)(SVR_IP4_LEN + l4_total));
	ip->csum = 0;
	ip->csum = (uint16_t)~ip4_sum(p);
}

void svr_packet_finish(struct svr_pkt *p, bool no_csum)
{
	size_t l4_total = (size_t)p->l4_len + p->payload_len;
	uint16_t csum = 0;

	if (p->family == SVR_FAMILY_6)
		svr_packet_ip6(p)->payload_len = htons((uint16_t)l4_total);
	else
		ip4_finish(p, l4_total);
	if (!p->l4_len)
		return;
	if (p->proto == IPPROTO_UDP)
		svr_packet_udp(p)->len = htons((uint16_t)l4_total);
	memcpy(p->l4 + csum_offset(p), &csum, sizeof(csum));
	if (no_csum && p->proto == IPPROTO_UDP && p->family == SVR_FAMILY_4)
		return;
	csum = (uint16_t)~svr_csum_fold(svr_csum_add(pseudo_sum(p), p->l4, l4_total));
	if (csum == 0 && p->proto == IPPROTO_UDP)
		csum = 0xffff; /* RFC 768: zero means that there is none */
	memcpy(p->l4 + csum_offset(p), &csum, sizeof(csum));
}

/* ---- structure ----------------------------------------------------------------------------- */

static int tcp_parse(struct svr_pkt *p, size_t l4_total)
{
	const struct svr_tcp *tcp = svr_packet_tcp(p);
	const unsigned int doff_shift = 4, word = 4;

	if (l4_total < SVR_TCP_LEN)
		return -SVR_DROP_SHORT;
	p->l4_len = (uint16_t)((tcp->doff >> doff_shift) * word);
	if (p->l4_len < SVR_TCP_LEN || p->l4_len > l4_total)
		return -SVR_DROP_BAD_L4;
	p->tcp_flags = tcp->flags;
	return 0;
}

static int udp_parse(struct svr_pkt *p, size_t l4_total)
{
	if (l4_total < SVR_UDP_LEN)
		return -SVR_DROP_SHORT;
	p->l4_len = SVR_UDP_LEN;
	p->tcp_flags = 0;
	return ntohs(svr_packet_udp(p)->len) == l4_total ? 0 : -SVR_DROP_BAD_L4;
}

bool svr_proto_portless(uint8_t proto)
{
	return proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6 || proto == IPPROTO_GRE ||
	       proto == IPPROTO_ESP;
}

/* ICMP: only echo is a conversation. */
static int portless_parse(struct svr_pkt *p, size_t l4_total)
{
	const bool v6 = p->family == SVR_FAMILY_6;

	p->l4_len = 0;
	p->tcp_flags = 0;
	if (p->proto == IPPROTO_GRE || p->proto == IPPROTO_ESP)
		return 0;
	if (p->proto != (v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP))
		return -SVR_DROP_PROTOCOL;
	if (l4_total < ICMP_HEADER_LEN)
		return -SVR_DROP_BAD_L4;
	if (*p->l4 == (v6 ? ICMP6_ECHO_REQUEST : ICMP_ECHO_REQUEST) ||
	    *p->l4 == (v6 ? ICMP6_REPLY : ICMP_REPLY))
		return 0;
	return -SVR_DROP_PROTOCOL;
}

/* Bytes of L4 and what follows it, or a negative drop reason. */
static int ip4_parse(struct svr_pkt *p, size_t len)
{
	const uint16_t ones = 0xffff;
	const struct svr_ip4 *ip = svr_packet_ip4(p);
	size_t total;

	if (len < SVR_IP4_LEN)
		return -SVR_DROP_SHORT;
	if ((ip->ver_ihl & 0xf) < SVR_IP4_LEN / 4)
		return -SVR_DROP_BAD_IP;
	if (ip->ver_ihl != IP4_VER_IHL)
		return -SVR_DROP_IP_OPTIONS;
	total = ntohs(ip->total_len);
	if (total < SVR_IP4_LEN)
		return -SVR_DROP_BAD_IP;
	if (total > len)
		return -SVR_DROP_SHORT;
	if (ip4_sum(p) != ones)
		return -SVR_DROP_BAD_CSUM;
	if (ip->frag & htons(IP4_FRAGMENT))
		return -SVR_DROP_FRAGMENT;
	p->proto = ip->proto;
	return (int)(total - SVR_IP4_LEN);
}

static int ip6_parse(struct svr_pkt *p, size_t len)
{
	const struct svr_ip6 *ip = svr_packet_ip6(p);

	if (len < SVR_IP6_LEN || ntohs(ip->payload_len) > len - SVR_IP6_LEN)
		return -SVR_DROP_SHORT;
	if (ip->next == IPPROTO_FRAGMENT)
		return -SVR_DROP_FRAGMENT;
	if (ip->next == IPPROTO_HOPOPTS || ip->next == IPPROTO_ROUTING ||
	    ip->next == IPPROTO_DSTOPTS)
		return -SVR_DROP_IP_OPTIONS;
	p->proto = ip->next;
	return ntohs(ip->payload_len);
}

int svr_packet_parse(struct svr_pkt *p, uint8_t *frame, size_t len, size_t l3_off)
{
	int l4_total, err;

	if (l3_off < SVR_ETH_LEN || len < l3_off + SVR_IP4_LEN)
		return -SVR_DROP_SHORT;
	p->eth = frame;
	p->ip = frame + l3_off;
	p->family = *p->ip >> 4;
	if (p->family == SVR_FAMILY_4)
		l4_total = ip4_parse(p, len - l3_off);
	else if (p->family == SVR_FAMILY_6)
		l4_total = ip6_parse(p, len - l3_off);
	else
		l4_total = -SVR_DROP_BAD_IP;
	if (l4_total < 0)
		return l4_total;
	p->l4 = p->ip + svr_ip_len(p->family);
	if (p->proto == IPPROTO_TCP)
		err = tcp_parse(p, (size_t)l4_total);
	else if (p->proto == IPPROTO_UDP)
		err = udp_parse(p, (size_t)l4_total);
	else
		err = portless_parse(p, (size_t)l4_total);
	if (err)
		return err;
	p->payload = p->l4 + p->l4_len;
	p->payload_len = (uint16_t)(l4_total - p->l4_len);
	return 0;
}

/* As struct svr_flow6_key has them */
static void key_ports(const struct svr_pkt *p, struct svr_flow6_key *key)
{
	const struct svr_udp *ports = svr_packet_udp(p); /* at the same place in TCP */
	__be16 id;

	if (p->l4_len) {
		key->sport = ports->sport;
		key->dport = ports->dport;
	} else if (p->proto == IPPROTO_ICMP || p->proto == IPPROTO_ICMPV6) {
		memcpy(&id, p->l4 + ICMP_ID_OFFSET, sizeof(id));
		if (*p->l4 == ICMP_ECHO_REQUEST || *p->l4 == ICMP6_ECHO_REQUEST)
			key->sport = id;
		else
			key->dport = id;
	}
}

void svr_packet_key(const struct svr_pkt *p, uint16_t zone, struct svr_flow6_key *key)
{
	*key = (struct svr_flow6_key){ .zone = zone, .proto = p->proto };
	key_ports(p, key);
	if (p->family == SVR_FAMILY_6) {
		memcpy(key->saddr, svr_packet_ip6(p)->saddr, sizeof(key->saddr));
		memcpy(key->daddr, svr_packet_ip6(p)->daddr, sizeof(key->daddr));
	} else {
		svr_addr_map4(svr_packet_ip4(p)->saddr, key->saddr);
		svr_addr_map4(svr_packet_ip4(p)->daddr, key->daddr);
	}
}

void svr_key_reverse(const struct svr_flow6_key *key, uint16_t zone, struct svr_flow6_key *out)
{
	*out = (struct svr_flow6_key){
		.sport = key->dport,
		.dport = key->sport,
		.zone = zone,
		.proto = key->proto,
	};
	svr_addr_copy(out->saddr, key->daddr);
	svr_addr_copy(out->daddr, key->saddr);
}

/* ---- changes ------------------------------------------------------------------------------- */

/*
 * Move the IP and L4 headers by @by bytes; the Ethernet header is written anew before the frame is
 * sent.
 */
static void headers_move(struct svr_pkt *p, ptrdiff_t by)
{
	memmove(p->ip + by, p->ip, (size_t)(p->l4 - p->ip) + p->l4_len);
	p->ip += by;
	p->l4 += by;
	p->payload += by;
	if (p->eth) /* a packet that this router makes has none yet */
		p->eth += by;
	p->payload_len = (uint16_t)(p->payload_len - by);
}

static void set_proto(struct svr_pkt *p, uint8_t proto)
{
	p->proto = proto;
	if (p->family == SVR_FAMILY_6)
		svr_packet_ip6(p)->next = proto;
	else
		svr_packet_ip4(p)->proto = proto;
}

uint8_t *svr_packet_push(struct svr_pkt *p, size_t len)
{
	if ((size_t)(p->ip - p->room) < len + SVR_ETH_LEN + SVR_VLAN_LEN ||
	    p->payload_len + len > UINT16_MAX)
		return NULL;
	headers_move(p, -(ptrdiff_t)len);
	return p->payload;
}

void svr_packet_pull(struct svr_pkt *p, size_t len)
{
	headers_move(p, (ptrdiff_t)len);
}

int svr_packet_wrap(struct svr_pkt *p)
{
	if ((size_t)(p->ip - p->room) < SVR_UDP_LEN + SVR_ETH_LEN + SVR_VLAN_LEN)
		return -SVR_DROP_INTERNAL;
	memmove(p->ip - SVR_UDP_LEN, p->ip, svr_ip_len(p->family));
	p->ip -= SVR_UDP_LEN;
	p->l4 = p->payload - SVR_UDP_LEN;
	p->l4_len = SVR_UDP_LEN;
	memset(p->l4, 0, SVR_UDP_LEN);
	set_proto(p, IPPROTO_UDP);
	return 0;
}

void svr_packet_unwrap(struct svr_pkt *p, uint8_t proto)
{
	memmove(p->ip + SVR_UDP_LEN, p->ip, svr_ip_len(p->family));
	p->ip += SVR_UDP_LEN;
	p->l4 = p->payload;
	p->l4_len = 0;
	set_proto(p, proto);
}

/* RFC 7915 section 5: an atomic datagram (RFC 6864), since IPv6 packets are never fragmented here */
static void become_ip4(struct svr_pkt *p)
{
	const struct svr_ip6 from = *svr_packet_ip6(p);

	p->ip += SVR_IP6_LEN - SVR_IP4_LEN;
	p->family = SVR_FAMILY_4;
	*svr_packet_ip4(p) = (struct svr_ip4){
		.ver_ihl = IP4_VER_IHL,
		.tos = (uint8_t)(ntohl(from.ver_class_label) >> IP6_CLASS_SHIFT),
		.frag = htons(IP4_DONT_FRAGMENT),
		.ttl = from.hop_limit,
		.proto = p->proto,
	};
}

/* RFC 7915 section 4 */
static int become_ip6(struct svr_pkt *p, uint32_t flow_label)
{
	const struct svr_ip4 from = *svr_packet_ip4(p);

	if ((size_t)(p->ip - p->room) < SVR_IP6_LEN - SVR_IP4_LEN + SVR_ETH_LEN + SVR_VLAN_LEN)
		return -SVR_DROP_INTERNAL;
	p->ip -= SVR_IP6_LEN - SVR_IP4_LEN;
	p->family = SVR_FAMILY_6;
	*svr_packet_ip6(p) = (struct svr_ip6){
		.ver_class_label = htonl(IP6_VERSION << IP6_VERSION_SHIFT |
					 (uint32_t)from.tos << IP6_CLASS_SHIFT |
					 (flow_label & IP6_LABEL_MASK)),
		.next = p->proto,
		.hop_limit = from.ttl,
	};
	return 0;
}

int svr_packet_readdress(struct svr_pkt *p, const struct svr_flow6_key *opposite,
			 uint32_t flow_label)
{
	const uint8_t family = svr_key_is4(opposite) ? SVR_FAMILY_4 : SVR_FAMILY_6;
	struct svr_udp *ports = svr_packet_udp(p);
	int err = 0;

	if (family != p->family && family == SVR_FAMILY_6)
		err = become_ip6(p, flow_label);
	else if (family != p->family)
		become_ip4(p);
	if (err)
		return err;
	if (family == SVR_FAMILY_6) {
		memcpy(svr_packet_ip6(p)->saddr, opposite->daddr, sizeof(opposite->daddr));
		memcpy(svr_packet_ip6(p)->daddr, opposite->saddr, sizeof(opposite->saddr));
		svr_packet_ip6(p)->hop_limit--;
	} else {
		svr_packet_ip4(p)->saddr = svr_addr_get4(opposite->daddr);
		svr_packet_ip4(p)->daddr = svr_addr_get4(opposite->saddr);
		svr_packet_ip4(p)->ttl--;
	}
	if (!p->l4_len)
		return 0;
	ports->sport = opposite->dport;
	ports->dport = opposite->sport;
	return 0;
}

bool svr_packet_clamp_mss(struct svr_pkt *p, uint16_t mss)
{
	uint8_t *opt = p->l4 + SVR_TCP_LEN, *end = p->l4 + p->l4_len;
	__be16 value;

	if (!(p->tcp_flags & SVR_TCPF_SYN))
		return false;
	while (opt < end && *opt != TCP_OPT_END) {
		if (*opt == TCP_OPT_NOP) {
			opt++;
			continue;
		}
		if (end - opt < 2 || opt[1] < 2 || opt[1] > end - opt)
			return false; /* malformed options are the hosts' business */
		if (opt[0] == TCP_OPT_MSS && opt[1] == TCP_OPT_MSS_LEN) {
			memcpy(&value, opt + 2, sizeof(value));
			if (ntohs(value) <= mss)
				return false;
			value = htons(mss);
			memcpy(opt + 2, &value, sizeof(value));
			return true;
		}
		opt += opt[1];
	}
	return false;
}

/* A tag, and the ethertype of what follows it. Return: where that begins. */
static uint8_t *put_tag(uint8_t *at, uint16_t tci, uint16_t next)
{
	const struct svr_vlan_tag tag = { .tci = htons(tci), .proto = htons(next) };

	memcpy(at, &tag, sizeof(tag));
	return at + sizeof(tag);
}

int svr_packet_set_eth(struct svr_pkt *p, const uint8_t dst[6], const uint8_t src[6], uint16_t vlan,
		       uint16_t outer_vlan)
{
	const size_t len = SVR_ETH_LEN + (vlan ? SVR_VLAN_LEN : 0) +
			   (outer_vlan ? SVR_VLAN_LEN : 0);
	const uint16_t proto = *p->ip >> 4 == SVR_FAMILY_6 ? ETH_P_IP6 : ETH_P_IP4;
	struct svr_eth *eth;
	uint8_t *tag;

	if ((size_t)(p->ip - p->room) < len)
		return -SVR_DROP_INTERNAL;
	p->eth = p->ip - len;
	eth = (struct svr_eth *)p->eth;
	memcpy(eth->dst, dst, sizeof(eth->dst));
	memcpy(eth->src, src, sizeof(eth->src));
	eth->proto = htons(outer_vlan ? ETH_P_SERVICE_VLAN : vlan ? ETH_P_VLAN : proto);
	tag = p->eth + SVR_ETH_LEN;
	if (outer_vlan)
		tag = put_tag(tag, outer_vlan, vlan ? ETH_P_VLAN : proto);
	if (vlan)
		put_tag(tag, vlan, proto);
	return 0;
}

/* ---- TCP ----------------------------------------------------------------------------------- */

uint8_t svr_tcp_track(uint8_t tcp_flags)
{
	uint8_t seen = 0;

	if (tcp_flags & SVR_TCPF_SYN)
		seen |= SVR_TCP_SYN;
	else if (tcp_flags & SVR_TCPF_ACK)
		seen |= SVR_TCP_DATA;
	if (tcp_flags & SVR_TCPF_FIN)
		seen |= SVR_TCP_FIN;
	if (tcp_flags & SVR_TCPF_RST)
		seen |= SVR_TCP_RST;
	return seen;
}
