// SPDX-License-Identifier: BSD-2-Clause
/*
 * Packets and metadata blocks from words, and sums over them. Shares no code with what is tested.
 */
#include <arpa/inet.h>
#include <string.h>

#include "tests/prog/prog.h"

static const uint8_t mac_router[6] = { 2, 0, 0, 0, 1, 1 };
static const uint8_t mac_host[6] = { 2, 0, 0, 0, 1, 10 };

const uint8_t uuid_a[SVR_UUID_LEN] = {
	0xaa, 1, 2, 3, 4, 5, 0x46, 7, 0x88, 9, 10, 11, 12, 13, 14, 15
};
const uint8_t uuid_b[SVR_UUID_LEN] = {
	0xbb, 1, 2, 3, 4, 5, 0x46, 7, 0x88, 9, 10, 11, 12, 13, 14, 15
};

uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

uint32_t get32(const uint8_t *p)
{
	return (uint32_t)get16(p) << 16 | get16(p + 2);
}

void put16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

uint32_t addr4(const char *text)
{
	struct in_addr a;

	cr_assert(inet_pton(AF_INET, text, &a) == 1, "test bug: address %s", text);
	return a.s_addr;
}

static bool is6(const char *text)
{
	return text && strchr(text, ':');
}

void addr_map(__be32 to[4], const char *text)
{
	if (is6(text)) {
		cr_assert(inet_pton(AF_INET6, text, to) == 1, "test bug: address %s", text);
		return;
	}
	to[0] = 0;
	to[1] = 0;
	to[2] = htonl(0xffff);
	to[3] = addr4(text);
}

/* RFC 1071 over big-endian words, byte by byte */
static uint32_t sum_bytes(uint32_t sum, const uint8_t *p, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		sum += i & 1 ? p[i] : (uint32_t)p[i] << 8;
	return sum;
}

static uint16_t sum_fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

/* Of either family: the IP header at @ip says which */
static bool ip_is6(const uint8_t *ip)
{
	return ip[0] >> 4 == 6;
}

static size_t ip_hlen(const uint8_t *ip)
{
	return ip_is6(ip) ? 40 : 20;
}

static uint8_t ip_proto(const uint8_t *ip)
{
	return ip[ip_is6(ip) ? 6 : 9];
}

static size_t ip_len(const uint8_t *ip)
{
	return ip_is6(ip) ? get16(ip + 4) + 40u : get16(ip + 2);
}

static uint16_t pseudo_sum(const uint8_t *ip, size_t l4_len)
{
	uint32_t sum = ip_is6(ip) ? sum_bytes(0, ip + 8, 32) : sum_bytes(0, ip + 12, 8);

	return sum_fold(sum + ip_proto(ip) + (uint32_t)l4_len);
}

static size_t l3_off(const uint8_t *frame)
{
	size_t off = ETH_LEN;

	while (get16(frame + off - 2) == 0x8100 || get16(frame + off - 2) == 0x88a8)
		off += 4;
	return off;
}

size_t frame_l4_off(const uint8_t *frame)
{
	return l3_off(frame) + ip_hlen(frame + l3_off(frame));
}

size_t frame_l4_hlen(const uint8_t *frame)
{
	const uint8_t *ip = frame + l3_off(frame);

	return ip_proto(ip) == IPPROTO_TCP ? (size_t)(ip[ip_hlen(ip) + 12] >> 4) * 4 : UDP_LEN;
}

size_t frame_payload_off(const uint8_t *frame)
{
	return frame_l4_off(frame) + frame_l4_hlen(frame);
}

bool frame_csums_ok(const uint8_t *frame, size_t len)
{
	const uint8_t *ip = frame + l3_off(frame), *l4 = ip + ip_hlen(ip);
	size_t l4_len = ip_len(ip) - ip_hlen(ip);
	uint8_t proto = ip_proto(ip);

	if (l3_off(frame) + ip_len(ip) > len || (!ip_is6(ip) && ip[0] != 0x45) ||
	    get16(ip - 2) != (ip_is6(ip) ? 0x86dd : 0x0800))
		return false;
	if (!ip_is6(ip) && sum_fold(sum_bytes(0, ip, 20)) != 0xffff)
		return false;
	if (proto == IPPROTO_UDP && (get16(l4 + 4) != l4_len))
		return false;
	if (proto == IPPROTO_UDP && !get16(l4 + 6))
		return !ip_is6(ip);
	if (proto == IPPROTO_ICMP)
		return sum_fold(sum_bytes(0, l4, l4_len)) == 0xffff;
	if (proto != IPPROTO_TCP && proto != IPPROTO_UDP && proto != IPPROTO_ICMPV6)
		return true;
	return sum_fold(sum_bytes(pseudo_sum(ip, l4_len), l4, l4_len)) == 0xffff;
}

static size_t l4_build(uint8_t *l4, const struct spec *s, uint8_t proto)
{
	size_t hlen = proto == IPPROTO_TCP ? TCP_LEN + s->tcp_opts_len : UDP_LEN, i;

	if (proto != IPPROTO_TCP && proto != IPPROTO_UDP)
		hlen = s->icmp_type ? 8 : 0;
	if (s->icmp_type) {
		l4[0] = s->icmp_type == ICMP_REPLY ? 0 : s->icmp_type;
		l4[1] = s->icmp_code;
		put16(l4 + 4, s->sport);
		put16(l4 + 6, s->dport);
	} else if (hlen) {
		put16(l4, s->sport ? s->sport : 40000);
		put16(l4 + 2, s->dport);
	}
	if (proto == IPPROTO_TCP) {
		memcpy(l4 + 4, "\x01\x02\x03\x04\x05\x06\x07\x08",
		       8); /* sequence and acknowledgement */
		l4[12] = (uint8_t)(hlen / 4 << 4);
		l4[13] = s->tcp_flags ? s->tcp_flags : TH_ACK;
		put16(l4 + 14, 0xfaf0);
		if (s->tcp_opts_len)
			memcpy(l4 + TCP_LEN, s->tcp_opts, s->tcp_opts_len);
	}
	if (s->meta) {
		memcpy(l4 + hlen, s->meta->data, s->meta->len);
		hlen += s->meta->len;
	}
	if (s->payload_len)
		memcpy(l4 + hlen, s->payload, s->payload_len);
	for (i = 0; i < s->fill; i++)
		l4[hlen + s->payload_len + i] = (uint8_t)(i * 7 + 3);
	return hlen + s->payload_len + s->fill;
}

static void l4_sum(uint8_t *ip, uint8_t *l4, size_t len, const struct spec *s, uint8_t proto)
{
	uint8_t *check = l4 + (proto == IPPROTO_TCP ? 16 : proto == IPPROTO_UDP ? 6 : 2);
	uint16_t sum = proto == IPPROTO_ICMP ? 0 : pseudo_sum(ip, len);

	if (proto != IPPROTO_TCP && proto != IPPROTO_UDP && !s->icmp_type)
		return;
	if (s->csum == CSUM_PARTIAL) {
		put16(check, sum);
		return;
	}
	sum = (uint16_t)~sum_fold(sum_bytes(sum, l4, len));
	if (!sum && proto == IPPROTO_UDP)
		sum = 0xffff;
	if (s->csum == CSUM_WRONG)
		sum ^= 0x0101;
	put16(check, s->csum == CSUM_NONE ? 0 : sum);
}

void frame_build(struct frame *f, const struct spec *s)
{
	uint8_t proto = s->proto ? s->proto : IPPROTO_TCP, *ip, *l4;
	size_t l3 = ETH_LEN + (s->outer_vlan ? 4 : 0) + (s->vlan ? 4 : 0), len, i;
	bool v6 = is6(s->src);
	size_t ihl = v6 ? 40 : 20 + s->ip_options;

	memset(f, 0, sizeof(*f));
	memcpy(f->data, mac_router, 6);
	memcpy(f->data + 6, mac_host, 6);
	if (s->outer_vlan) {
		put16(f->data + 12, 0x88a8);
		put16(f->data + 14, (uint16_t)s->outer_vlan);
	}
	if (s->vlan) {
		put16(f->data + l3 - 6, 0x8100);
		put16(f->data + l3 - 4, (uint16_t)s->vlan);
	}
	put16(f->data + l3 - 2, s->ethertype ? s->ethertype : v6 ? 0x86dd : 0x0800);

	ip = f->data + l3;
	l4 = ip + ihl;
	len = TCP_LEN + s->tcp_opts_len + (s->meta ? s->meta->len : 0) + s->payload_len + s->fill;
	cr_assert(l3 + ihl + len + s->pad <= sizeof(f->data), "test bug: frame of %zu bytes", len);
	len = l4_build(l4, s, proto);
	if (v6) {
		put16(ip, (uint16_t)(0x6000 | s->tos << 4));
		put16(ip + 4, (uint16_t)len);
		ip[6] = proto;
		ip[7] = s->ttl ? s->ttl : 64;
		inet_pton(AF_INET6, s->src, ip + 8);
		cr_assert(inet_pton(AF_INET6, s->dst, ip + 24) == 1, "test bug: address");
	} else {
		ip[0] = (uint8_t)(0x40 | ihl / 4);
		ip[1] = s->tos;
		memset(ip + 20, 1, s->ip_options);
		put16(ip + 2, (uint16_t)(ihl + len));
		put16(ip + 4, 0x4321);
		put16(ip + 6, s->frag_off);
		ip[8] = s->ttl ? s->ttl : 64;
		ip[9] = proto;
		memcpy(ip + 12, &(uint32_t){ addr4(s->src ? s->src : "172.16.1.10") }, 4);
		memcpy(ip + 16, &(uint32_t){ addr4(s->dst ? s->dst : "172.16.2.20") }, 4);
		put16(ip + 10, (uint16_t)~sum_fold(sum_bytes(0, ip, ihl)));
	}
	if (proto == IPPROTO_UDP)
		put16(l4 + 4, (uint16_t)len);
	l4_sum(ip, l4, len, s, proto);

	f->data[0] |= s->to_group;
	f->len = l3 + ihl + len + s->pad;
	memset(l4 + len, 0xee, s->pad); /* padding is anything, not zeros */
	if (s->cut)
		f->len = s->cut;
	for (i = 0; i < sizeof(s->patch) / sizeof(s->patch[0]) && s->patch[i].off; i++)
		f->data[s->patch[i].off] = s->patch[i].val;
}

/* ---- metadata -------------------------------------------------------------------------------- */

void meta_begin(struct meta *m)
{
	memset(m, 0, sizeof(*m));
	memcpy(m->data, "\x4c\x48\xdb\xc6\xdd\xf6\x67\x0c", 8);
	m->len = 12;
}

void meta_tlv(struct meta *m, uint16_t type, const void *value, size_t len)
{
	cr_assert(m->len + 4 + len <= sizeof(m->data), "test bug: metadata too long");
	put16(m->data + m->len, type);
	put16(m->data + m->len + 2, (uint16_t)len);
	if (len)
		memcpy(m->data + m->len + 4, value, len);
	m->len += 4 + len;
}

void meta_name(struct meta *m, uint16_t type, const char *name)
{
	meta_tlv(m, type, name, strlen(name));
}

void meta_context(struct meta *m, uint16_t type, const char *src, uint16_t sport, const char *dst,
		  uint16_t dport, uint8_t proto)
{
	uint8_t v[13];
	uint32_t a = addr4(src), b = addr4(dst);

	memcpy(v, &a, 4);
	memcpy(v + 4, &b, 4);
	put16(v + 8, sport);
	put16(v + 10, dport);
	v[12] = proto;
	meta_tlv(m, type, v, sizeof(v));
}

void meta_payload(struct meta *m)
{
	m->hlen = m->len;
}

void meta_end(struct meta *m)
{
	if (!m->hlen)
		m->hlen = 12;
	put16(m->data + 8, (uint16_t)(0x1000 | m->hlen));
	put16(m->data + 10, (uint16_t)(m->len - m->hlen));
}

void meta_forward(struct meta *m, const uint8_t *uuid, uint8_t proto, uint16_t without)
{
	meta_begin(m);
	if (without != 2)
		meta_context(m, 2, "172.16.2.20", 40000, "172.16.1.10", 80, proto);
	if (without != 6)
		meta_tlv(m, 6, uuid, SVR_UUID_LEN);
	if (without != 7)
		meta_name(m, 7, "corp");
	if (without != 10)
		meta_name(m, 10, "local");
	if (without != 15)
		meta_name(m, 15, "clear");
	if (without != 14)
		meta_name(m, 14, "cn-east");
	if (without != 19)
		meta_name(m, 19, "192.0.2.2");
	meta_end(m);
}
