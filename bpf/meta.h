/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * BPF side only: clear metadata (docs/protocol.md 3 and 5): add it, read it, take it away. Names
 * are rendered as TLVs by `svr`, so adding is copying; reading turns each name into its index at
 * once, so no name is kept.
 */
#ifndef SVR_BPF_META_H
#define SVR_BPF_META_H

#include "room.h"

/* Bits of svr_meta_in.have, one per TLV that is understood */
enum svr_meta_have {
	SVR_HAVE_SECURITY_ID = 1 << 0,
	SVR_HAVE_SECURITY_PARAMS = 1 << 1,
	SVR_HAVE_FWD_CONTEXT = 1 << 2,
	SVR_HAVE_REV_CONTEXT = 1 << 3,
	SVR_HAVE_UUID = 1 << 4,
	SVR_HAVE_TENANT = 1 << 5,
	SVR_HAVE_SERVICE = 1 << 6,
	SVR_HAVE_ENCRYPTED = 1 << 7,
	SVR_HAVE_SENDER = 1 << 8,
	SVR_HAVE_POLICY = 1 << 9,
	SVR_HAVE_PATH_ID = 1 << 10,
	SVR_HAVE_SESSION_KEY = 1 << 11,
	SVR_HAVE_NONCE = 1 << 12,
	SVR_HAVE_KEY_EPOCH = 1 << 13,
	SVR_HAVE_FRAGMENT = 1 << 14,

	/* what a clear block has to hold to make a session */
	SVR_HAVE_ALL_FWD = SVR_HAVE_FWD_CONTEXT | SVR_HAVE_UUID | SVR_HAVE_TENANT |
			   SVR_HAVE_SERVICE | SVR_HAVE_SENDER | SVR_HAVE_POLICY,
	/* and what has no place in one */
	SVR_HAVE_PROTECTION = SVR_HAVE_SECURITY_PARAMS | SVR_HAVE_ENCRYPTED | SVR_HAVE_SESSION_KEY |
			      SVR_HAVE_KEY_EPOCH,
};

enum svr_meta_section { SVR_META_HEADER, SVR_META_PAYLOAD };

enum svr_meta_lens {
	SVR_META_HLEN_MASK = 0x0fff,
	SVR_META_VERSION_SHIFT = 12,
	SVR_META_TLVS_MAX = SVR_META_MAX / SVR_TLV_HDR_LEN, /* more do not fit */
	SVR_META_PATH_ID_MIN = sizeof("::") - 1,
	SVR_META_PATH_ID_MAX = sizeof("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff") - 1,
};

/* The part of a clear block that is the same length in every block of a family of hosts */
#define SVR_META_FIXED(name, context_type)      \
	struct name {                           \
		struct svr_meta_hdr hdr;        \
		struct svr_tlv_hdr context_hdr; \
		struct context_type context;    \
		struct svr_tlv_hdr uuid_hdr;    \
		__u8 uuid[SVR_UUID_LEN];        \
	} __attribute__((packed))

SVR_META_FIXED(svr_meta_fixed4, svr_context4);
SVR_META_FIXED(svr_meta_fixed6, svr_context6);
_Static_assert(sizeof(struct svr_meta_fixed4) == 12 + 4 + 13 + 4 + 16, "wire");
_Static_assert(sizeof(struct svr_meta_fixed6) == 12 + 4 + 37 + 4 + 16, "wire");

enum svr_meta_block {
	SVR_META_WORD = sizeof(__u64), /* fragments are copied in words of so many bytes */
	/* Longest fragment: names of a service and its policy, 63 bytes each. Whole words */
	SVR_META_FRAG_MAX = 144,
	SVR_META_FRAGS_MAX = 3 * SVR_META_FRAG_MAX,
};
_Static_assert(SVR_META_FRAG_MAX >= 2 * (SVR_TLV_HDR_LEN + SVR_NAME_LEN - 1), "names");
_Static_assert(SVR_META_FRAG_MAX + sizeof(__u16) <= SVR_META_FRAG_LEN, "read in whole words");
_Static_assert(sizeof(struct svr_meta_fixed6) + SVR_META_FRAGS_MAX <= SVR_CSUM_CHUNK,
	       "summed at once");

/*
 * @grow bytes of metadata between L4 header and payload, from the start of svr_scratch.front.block,
 * or -@grow bytes of it away; @sum: their folded sum, as if they stood at an even place.
 */
SVR_HELPER int svr_meta_splice(struct xdp_md *ctx, struct svr_pkt *pkt, int grow, __u16 sum)
{
	struct svr_scratch *s = svr_scratch_get();
	int check = svr_l4_check_load(ctx, pkt), res;

	if (!s || check < 0)
		return -SVR_DROP_INTERNAL;
	res = svr_payload_shift(ctx, pkt, grow, grow > 0 ? grow : 0);
	if (res || svr_l4_check_absent(pkt, check))
		return res;
	return svr_l4_check_store(ctx, pkt, svr_csum_splice(s, pkt, check, grow, sum));
}

/* Take @len bytes of metadata away. */
SVR_STEP int svr_meta_strip(struct xdp_md *ctx, struct svr_pkt *pkt, __u32 len)
{
	int sum;

	if (!pkt || len > SVR_META_MAX)
		return -SVR_DROP_INTERNAL;
	sum = svr_csum_packet(ctx, pkt->payload, len);
	return sum < 0 ? sum : svr_meta_splice(ctx, pkt, -(int)len, sum);
}

/* ---- adding ---------------------------------------------------------------------------------- */

/* Is the context of the session's block an IPv6 one? That is the family of the hosts, not the WAN's. */
static __always_inline __u32 svr_meta_fixed_len(bool ipv6)
{
	return ipv6 ? sizeof(struct svr_meta_fixed6) : sizeof(struct svr_meta_fixed4);
}

/*
 * Copy a fragment to @off of @block; the next free offset. In words, of which the last one takes some
 * bytes with it that do not belong to the fragment, and that the next one overwrites. The length is read
 * once: `svr` may change a name at any time.
 */
static __always_inline __u32 svr_meta_put_frag(__u8 *block, __u32 off,
					       const struct svr_meta_frag *frag)
{
	__u32 len = *(const volatile __u16 *)&frag->len, i;

	if (len > SVR_META_FRAG_MAX || off > SVR_CSUM_CHUNK - SVR_META_FRAG_MAX)
		return off;
	for (i = 0; i < SVR_META_FRAG_MAX && i < len; i += SVR_META_WORD)
		svr_store64(block + off + i, svr_load64(frag->tlv + i));
	return off + len;
}

/*
 * Length of the block that packets of @flow get; @ipv6: they come from IPv6 hosts. What does not depend
 * on the packet is in its place in the scratch area afterwards.
 */
SVR_STEP int svr_meta_plan(const struct svr_flow *flow, __u32 ipv6)
{
	struct svr_scratch *s = svr_scratch_get();
	const struct svr_tenant *tenant;
	const struct svr_service *service;
	const struct svr_path *path;
	__u32 slot, off = svr_meta_fixed_len(ipv6);

	if (!flow || !s)
		return -SVR_DROP_INTERNAL;
	slot = flow->tenant;
	tenant = bpf_map_lookup_elem(&svr_tenants, &slot);
	slot = flow->service;
	service = bpf_map_lookup_elem(&svr_services, &slot);
	slot = flow->path;
	path = bpf_map_lookup_elem(&svr_paths, &slot);
	if (!tenant || !service || !path)
		return -SVR_DROP_INTERNAL;
	/* In the order of docs/protocol.md "Clear metadata" */
	if (!(flow->flags & SVR_FLOW_REV)) {
		off = svr_meta_put_frag(s->front.block, off, &tenant->frag);
		off = svr_meta_put_frag(s->front.block, off, &service->frag);
	}
	return svr_meta_put_frag(s->front.block, off, &path->frag);
}

/* Base header of a block of @len bytes */
static __always_inline void svr_meta_render_hdr(__u8 *block, __u32 len)
{
	__u32 version = SVR_META_VERSION << SVR_META_VERSION_SHIFT;

	svr_store64(block, bpf_cpu_to_be64(SVR_COOKIE_HOST));
	svr_store32(block + SVR_COOKIE_LEN,
		    bpf_htonl((version | SVR_META_HDR_LEN) << 16 | (len - SVR_META_HDR_LEN)));
}

static __always_inline void svr_meta_render_tlv(void *hdr, __u32 type, __u32 len)
{
	svr_store32(hdr, bpf_htonl(type << 16 | len));
}

static __always_inline void svr_meta_render_uuid(struct svr_tlv_hdr *hdr,
						 const struct svr_flow *flow)
{
	__u8 *to = (__u8 *)(hdr + 1);

	svr_meta_render_tlv(hdr, SVR_TLV_SESSION_UUID, SVR_UUID_LEN);
	svr_store64(to, svr_load64(flow->uuid));
	svr_store64(to + sizeof(__u64), svr_load64(flow->uuid + sizeof(__u64)));
}

/*
 * Base header, context and UUID. The context is the tuple as the host on this side sends it, in
 * both directions: that is the flow's key.
 */
static __always_inline void svr_meta_render4(struct svr_meta_fixed4 *m, const struct svr_pkt *pkt,
					     const struct svr_flow *flow, __u32 len)
{
	svr_meta_render_hdr((__u8 *)m, len);
	svr_meta_render_tlv(&m->context_hdr,
			    flow->flags & SVR_FLOW_REV ? SVR_TLV_REV_CONTEXT4 :
							 SVR_TLV_FWD_CONTEXT4,
			    sizeof(m->context));
	svr_store32(&m->context.saddr, pkt->key.saddr[3]);
	svr_store32(&m->context.daddr, pkt->key.daddr[3]);
	svr_store32(&m->context.sport, svr_load32(&pkt->key.sport));
	m->context.proto = pkt->key.proto;
	svr_meta_render_uuid(&m->uuid_hdr, flow);
}

static __always_inline void svr_meta_render6(struct svr_meta_fixed6 *m, const struct svr_pkt *pkt,
					     const struct svr_flow *flow, __u32 len)
{
	__u32 i;

	svr_meta_render_hdr((__u8 *)m, len);
	svr_meta_render_tlv(&m->context_hdr,
			    flow->flags & SVR_FLOW_REV ? SVR_TLV_REV_CONTEXT6 :
							 SVR_TLV_FWD_CONTEXT6,
			    sizeof(m->context));
	for (i = 0; i < 4; i++) {
		svr_store32(&m->context.saddr[i], pkt->key.saddr[i]);
		svr_store32(&m->context.daddr[i], pkt->key.daddr[i]);
	}
	svr_store32(&m->context.sport, svr_load32(&pkt->key.sport));
	m->context.proto = pkt->key.proto;
	svr_meta_render_uuid(&m->uuid_hdr, flow);
}

/* Put the block of @len = svr_meta_plan() bytes in front of the payload. */
SVR_STEP int svr_meta_add(struct xdp_md *ctx, struct svr_pkt *pkt, struct svr_flow *flow, __u32 len)
{
	struct svr_scratch *s = svr_scratch_get();
	__u32 padded;
	__u16 sum;
	int res;

	if (!s || !pkt || !flow ||
	    !svr_within(&len, sizeof(struct svr_meta_fixed4), SVR_CSUM_CHUNK - sizeof(__u32)))
		return -SVR_DROP_INTERNAL;
	if (svr_addr_is4(pkt->key.saddr))
		svr_meta_render4((struct svr_meta_fixed4 *)s->front.block, pkt, flow, len);
	else
		svr_meta_render6((struct svr_meta_fixed6 *)s->front.block, pkt, flow, len);
	/* Summed in words: what is left of the last one is zero */
	svr_store32(s->front.block + len, 0);
	padded = (len + 3) & ~3u;
	sum = svr_csum_fold(bpf_csum_diff(NULL, 0, (__be32 *)s->front.block, padded, 0));
	res = svr_meta_splice(ctx, pkt, len, sum);
	if (res)
		return res;
	flow->meta_packets++;
	svr_stat_add(pkt->zone, SVR_STAT_META_ADDED, 1);
	return SVR_NEXT;
}

/*
 * User data that starts with the cookie gets a bare header, so that nobody takes it for metadata.
 */
SVR_STEP int svr_meta_add_bare(struct xdp_md *ctx, struct svr_pkt *pkt)
{
	struct svr_scratch *s = svr_scratch_get();
	__be32 *block;
	__u16 sum;
	int res;

	if (!s || !pkt)
		return -SVR_DROP_INTERNAL;
	block = (__be32 *)s->front.block;
	svr_meta_render_hdr(s->front.block, SVR_META_HDR_LEN);
	sum = svr_csum_fold(bpf_csum_diff(NULL, 0, block, SVR_META_HDR_LEN, 0));
	res = svr_meta_splice(ctx, pkt, SVR_META_HDR_LEN, sum);
	if (res)
		return res;
	svr_stat_add(pkt->zone, SVR_STAT_FALSE_POSITIVE_ADDED, 1);
	return SVR_NEXT;
}

/* ---- reading --------------------------------------------------------------------------------- */

/*
 * The index of the name of @len bytes at @off; 0 if nothing is configured by that name, -1 if it is
 * no name.
 */
SVR_HELPER int svr_meta_name(struct xdp_md *ctx, __u32 off, __u32 len, enum svr_name_kind kind)
{
	struct svr_scratch *s = svr_scratch_get();
	__u32 *index;

	if (!s || !svr_within(&len, 1, SVR_NAME_LEN - 1))
		return -1;
	__builtin_memset(&s->name, 0, sizeof(s->name));
	s->name.kind = kind;
	if (bpf_xdp_load_bytes(ctx, off, s->name.name, len))
		return -1;
	/* Names are filled up with zeros in the map: "a" and "a\0" must not be the same name */
	if (!s->name.name[(len - 1) & (SVR_NAME_LEN - 1)])
		return -1;
	index = bpf_map_lookup_elem(&svr_names, &s->name);
	return index ? *index & 0x7fffffff : 0;
}

/* What a TLV means for svr_meta_in.have, and where it may stand */
struct svr_meta_rule {
	__u32 have;
	__u32 excludes; /* sets the same thing */
	__u16 len_min, len_max;
	__u8 section;
};

static __always_inline bool svr_meta_rule_of(__u16 type, struct svr_meta_rule *r)
{
#define RULE(bit, min, max, sec)      \
	(*r = (struct svr_meta_rule){ \
		 .have = bit, .excludes = bit, .len_min = min, .len_max = max, .section = sec })
	switch (type) {
	case SVR_TLV_FRAGMENT:
		RULE(SVR_HAVE_FRAGMENT, sizeof(struct svr_tlv_fragment),
		     sizeof(struct svr_tlv_fragment), SVR_META_HEADER);
		return true;
	case SVR_TLV_SECURITY_ID:
		RULE(SVR_HAVE_SECURITY_ID, 4, 4, SVR_META_HEADER);
		return true;
	case SVR_TLV_SECURITY_PARAMS:
		RULE(SVR_HAVE_SECURITY_PARAMS, 8, 8, SVR_META_HEADER);
		return true;
	case SVR_TLV_FWD_CONTEXT4:
		RULE(SVR_HAVE_FWD_CONTEXT, 13, 13, SVR_META_PAYLOAD);
		r->excludes |= SVR_HAVE_REV_CONTEXT;
		return true;
	case SVR_TLV_REV_CONTEXT4:
		RULE(SVR_HAVE_REV_CONTEXT, 13, 13, SVR_META_PAYLOAD);
		r->excludes |= SVR_HAVE_FWD_CONTEXT;
		return true;
	case SVR_TLV_FWD_CONTEXT6:
		RULE(SVR_HAVE_FWD_CONTEXT, 37, 37, SVR_META_PAYLOAD);
		r->excludes |= SVR_HAVE_REV_CONTEXT;
		return true;
	case SVR_TLV_REV_CONTEXT6:
		RULE(SVR_HAVE_REV_CONTEXT, 37, 37, SVR_META_PAYLOAD);
		r->excludes |= SVR_HAVE_FWD_CONTEXT;
		return true;
	case SVR_TLV_SESSION_UUID:
		RULE(SVR_HAVE_UUID, SVR_UUID_LEN, SVR_UUID_LEN, SVR_META_PAYLOAD);
		return true;
	case SVR_TLV_TENANT:
		RULE(SVR_HAVE_TENANT, 1, SVR_NAME_LEN - 1, SVR_META_PAYLOAD);
		return true;
	case SVR_TLV_SERVICE:
		RULE(SVR_HAVE_SERVICE, 1, SVR_NAME_LEN - 1, SVR_META_PAYLOAD);
		return true;
	case SVR_TLV_SOURCE_ROUTER:
		RULE(SVR_HAVE_SENDER, 1, SVR_NAME_LEN - 1, SVR_META_PAYLOAD);
		return true;
	case SVR_TLV_POLICY:
		RULE(SVR_HAVE_POLICY, 1, SVR_NAME_LEN - 1, SVR_META_PAYLOAD);
		return true;
	case SVR_TLV_PATH_ID:
		RULE(SVR_HAVE_PATH_ID, SVR_META_PATH_ID_MIN, SVR_META_PATH_ID_MAX,
		     SVR_META_PAYLOAD);
		return true;
	case SVR_TLV_SESSION_ENCRYPTED:
		RULE(SVR_HAVE_ENCRYPTED, 0, 0, SVR_META_PAYLOAD);
		return true;
	case SVR_TLV_SESSION_KEY:
		RULE(SVR_HAVE_SESSION_KEY, SVR_SESSION_KEY_LEN, SVR_SESSION_KEY_LEN,
		     SVR_META_PAYLOAD);
		return true;
	case SVR_TLV_NONCE:
		RULE(SVR_HAVE_NONCE, 16, 16, SVR_META_PAYLOAD);
		return true;
	case SVR_TLV_KEY_EPOCH:
		RULE(SVR_HAVE_KEY_EPOCH, 2, 2, SVR_META_PAYLOAD);
		return true;
	}
#undef RULE
	return false;
}

static __always_inline bool svr_meta_context4(struct xdp_md *ctx, struct svr_flow6_key *to,
					      __u32 off)
{
	struct svr_context4 c;

	if (bpf_xdp_load_bytes(ctx, off, &c, sizeof(c)))
		return false;
	svr_addr_map4(to->saddr, c.saddr);
	svr_addr_map4(to->daddr, c.daddr);
	to->sport = c.sport;
	to->dport = c.dport;
	to->proto = c.proto;
	return true;
}

/* False also for IPv4 addresses in IPv6 clothes, which would mean something else in our tables. */
static __always_inline bool svr_meta_context6(struct xdp_md *ctx, struct svr_flow6_key *to,
					      __u32 off)
{
	struct svr_context6 c;

	if (bpf_xdp_load_bytes(ctx, off, &c, sizeof(c)))
		return false;
	__builtin_memcpy(to->saddr, c.saddr, sizeof(to->saddr));
	__builtin_memcpy(to->daddr, c.daddr, sizeof(to->daddr));
	to->sport = c.sport;
	to->dport = c.dport;
	to->proto = c.proto;
	return !svr_addr_is4(to->saddr) && !svr_addr_is4(to->daddr);
}

/* Value of a known TLV into the scratch area; false if it is not allowed. */
static __always_inline bool svr_meta_value(struct xdp_md *ctx, struct svr_meta_in *m, __u16 type,
					   __u32 off, __u32 len)
{
	enum svr_name_kind kind;
	int index;

	switch (type) {
	case SVR_TLV_FWD_CONTEXT4:
	case SVR_TLV_REV_CONTEXT4:
		return svr_meta_context4(ctx, &m->context, off);
	case SVR_TLV_FWD_CONTEXT6:
	case SVR_TLV_REV_CONTEXT6:
		return svr_meta_context6(ctx, &m->context, off);
	case SVR_TLV_SESSION_UUID:
		return !bpf_xdp_load_bytes(ctx, off, m->uuid, sizeof(m->uuid));
	case SVR_TLV_TENANT:
		kind = SVR_KIND_TENANT;
		break;
	case SVR_TLV_SERVICE:
		kind = SVR_KIND_SERVICE;
		break;
	case SVR_TLV_SOURCE_ROUTER:
		kind = SVR_KIND_PEER;
		break;
	case SVR_TLV_POLICY:
		kind = SVR_KIND_POLICY;
		break;
	default:
		return true;
	}
	index = svr_meta_name(ctx, off, len, kind);
	if (index < 0)
		return false;
	if (kind == SVR_KIND_TENANT)
		m->tenant = index;
	else if (kind == SVR_KIND_SERVICE)
		m->service = index;
	else if (kind == SVR_KIND_PEER)
		m->sender = index;
	else
		m->policy = index;
	return true;
}

/*
 * One TLV at @off of a section that ends at @end: offset of the next one, or a negative drop
 * reason.
 */
SVR_STEP int svr_meta_tlv(struct xdp_md *ctx, __u32 off, __u32 end, __u32 section)
{
	struct svr_scratch *s = svr_scratch_get();
	struct svr_tlv_hdr tlv;
	struct svr_meta_rule rule;
	__u32 len;

	if (!s || off > end || end - off < SVR_TLV_HDR_LEN ||
	    bpf_xdp_load_bytes(ctx, off, &tlv, sizeof(tlv)))
		return -SVR_DROP_META_MALFORMED;
	off += SVR_TLV_HDR_LEN;
	len = bpf_ntohs(tlv.length);
	if (end - off < len)
		return -SVR_DROP_META_MALFORMED;
	if (!svr_meta_rule_of(bpf_ntohs(tlv.type), &rule)) {
		s->meta.unknown++;
		return off + len;
	}
	if (rule.section != section || len < rule.len_min || len > rule.len_max ||
	    s->meta.have & rule.excludes ||
	    !svr_meta_value(ctx, &s->meta, bpf_ntohs(tlv.type), off, len))
		return -SVR_DROP_META_MALFORMED;
	s->meta.have |= rule.have;
	return off + len;
}

/* All TLVs of a section; they have to fill it exactly. */
SVR_STEP int svr_meta_section_read(struct xdp_md *ctx, __u32 off, __u32 end, __u32 section)
{
	__u32 i;

	for (i = 0; i <= SVR_META_TLVS_MAX; i++) {
		int next;

		if (off == end)
			return SVR_NEXT;
		next = svr_meta_tlv(ctx, off, end, section);
		if (next < 0)
			return next;
		off = next;
	}
	return -SVR_DROP_META_MALFORMED;
}

/**
 * svr_meta_read() - read the block at the start of the payload, which starts with the cookie, into
 * svr_scratch.meta.
 * The payload TLVs are read only if they are clear, that is without SVR_HAVE_SECURITY_ID.
 * Return: SVR_NEXT or a negative drop reason; then nothing in the scratch area may be used.
 */
SVR_STEP int svr_meta_read(struct xdp_md *ctx, struct svr_pkt *pkt)
{
	struct svr_scratch *s = svr_scratch_get();
	__u32 ver_hlen, hlen, plen, start;
	struct svr_meta_hdr hdr;
	int res;

	if (!s || !pkt)
		return -SVR_DROP_INTERNAL;
	start = pkt->payload;
	if (pkt->payload_len < sizeof(hdr) || bpf_xdp_load_bytes(ctx, start, &hdr, sizeof(hdr)))
		return -SVR_DROP_META_MALFORMED;
	ver_hlen = bpf_ntohs(hdr.ver_hlen);
	hlen = ver_hlen & SVR_META_HLEN_MASK;
	plen = bpf_ntohs(hdr.payload_len);
	if (ver_hlen >> SVR_META_VERSION_SHIFT != SVR_META_VERSION)
		return -SVR_DROP_META_VERSION;
	if (hlen < sizeof(hdr) || hlen + plen > pkt->payload_len || hlen + plen > SVR_META_MAX)
		return -SVR_DROP_META_MALFORMED;

	__builtin_memset(&s->meta, 0, sizeof(s->meta));
	s->meta.len = hlen + plen;
	res = svr_meta_section_read(ctx, start + sizeof(hdr), start + hlen, SVR_META_HEADER);
	if (!res && !(s->meta.have & SVR_HAVE_SECURITY_ID))
		res = svr_meta_section_read(ctx, start + hlen, start + hlen + plen,
					    SVR_META_PAYLOAD);
	if (s->meta.unknown)
		svr_stat_add(pkt->zone, SVR_STAT_UNKNOWN_TLV, s->meta.unknown);
	return res;
}

/* User data that starts with the cookie: the header alone (docs/protocol.md 3) */
static __always_inline bool svr_meta_is_bare(const struct svr_meta_in *m)
{
	return m->len == SVR_META_HDR_LEN;
}

#endif
