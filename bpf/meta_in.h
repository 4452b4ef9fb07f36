/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * BPF side only: reading metadata (docs/protocol.md 3 and 5) and taking it away. The block is
 * copied out of the packet once; it is walked through, and summed, in memory. Each name is turned
 * into its index at once, so no name is kept.
 */
#ifndef SVR_BPF_META_IN_H
#define SVR_BPF_META_IN_H

#include "meta.h"

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

enum svr_meta_in_consts {
	SVR_META_TLVS_MAX = SVR_META_MAX / SVR_TLV_HDR_LEN, /* more do not fit */
	SVR_META_PATH_ID_MIN = sizeof("::") - 1,
	SVR_META_PATH_ID_MAX = sizeof("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff") - 1,

	/* Rows of svr_meta_rules: types as they are, then those that are our own */
	SVR_META_RULES_SSR = SVR_TLV_SESSION_KEY + 1,
	SVR_META_RULES_OWN = SVR_TLV_KEY_EPOCH - SVR_TLV_SECURITY_PARAMS + 1,
};

enum svr_meta_section { SVR_META_HEADER, SVR_META_PAYLOAD };

/* What to do with the value of a TLV */
enum svr_meta_value {
	SVR_VALUE_NONE, /* that it is there is all */
	SVR_VALUE_CONTEXT4,
	SVR_VALUE_CONTEXT6,
	SVR_VALUE_UUID,
	SVR_VALUE_NAME, /* kind is enum svr_name_kind */
};

/* What a TLV means for svr_meta_in.have, and where it may stand. Without @have nobody knows it. */
struct svr_meta_rule {
	__u32 have;
	__u32 excludes; /* sets the same thing */
	__u8 len_min, len_max;
	__u8 section; /* enum svr_meta_section */
	__u8 value; /* enum svr_meta_value */
	__u32 kind;
};

#define SVR_RULE(bit, more, min, max, sec, val, name_kind)                               \
	{                                                                                \
		.have = bit, .excludes = (bit) | (more), .len_min = min, .len_max = max, \
		.section = SVR_META_##sec, .value = SVR_VALUE_##val, .kind = name_kind   \
	}
#define SVR_RULE_NAME(bit, name_kind) \
	SVR_RULE(bit, 0, 1, SVR_NAME_LEN - 1, PAYLOAD, NAME, name_kind)
#define SVR_RULE_OWN(type) [SVR_META_RULES_SSR + (type)-SVR_TLV_SECURITY_PARAMS]

static const struct svr_meta_rule svr_meta_rules[SVR_META_RULES_SSR + SVR_META_RULES_OWN] = {
	[SVR_TLV_FRAGMENT] = SVR_RULE(SVR_HAVE_FRAGMENT, 0, sizeof(struct svr_tlv_fragment),
				      sizeof(struct svr_tlv_fragment), HEADER, NONE, 0),
	[SVR_TLV_FWD_CONTEXT4] =
		SVR_RULE(SVR_HAVE_FWD_CONTEXT, SVR_HAVE_REV_CONTEXT, 13, 13, PAYLOAD, CONTEXT4, 0),
	[SVR_TLV_REV_CONTEXT4] =
		SVR_RULE(SVR_HAVE_REV_CONTEXT, SVR_HAVE_FWD_CONTEXT, 13, 13, PAYLOAD, CONTEXT4, 0),
	[SVR_TLV_FWD_CONTEXT6] =
		SVR_RULE(SVR_HAVE_FWD_CONTEXT, SVR_HAVE_REV_CONTEXT, 37, 37, PAYLOAD, CONTEXT6, 0),
	[SVR_TLV_REV_CONTEXT6] =
		SVR_RULE(SVR_HAVE_REV_CONTEXT, SVR_HAVE_FWD_CONTEXT, 37, 37, PAYLOAD, CONTEXT6, 0),
	[SVR_TLV_SESSION_UUID] =
		SVR_RULE(SVR_HAVE_UUID, 0, SVR_UUID_LEN, SVR_UUID_LEN, PAYLOAD, UUID, 0),
	[SVR_TLV_TENANT] = SVR_RULE_NAME(SVR_HAVE_TENANT, SVR_KIND_TENANT),
	[SVR_TLV_SERVICE] = SVR_RULE_NAME(SVR_HAVE_SERVICE, SVR_KIND_SERVICE),
	[SVR_TLV_SOURCE_ROUTER] = SVR_RULE_NAME(SVR_HAVE_SENDER, SVR_KIND_PEER),
	[SVR_TLV_POLICY] = SVR_RULE_NAME(SVR_HAVE_POLICY, SVR_KIND_POLICY),
	[SVR_TLV_SESSION_ENCRYPTED] = SVR_RULE(SVR_HAVE_ENCRYPTED, 0, 0, 0, PAYLOAD, NONE, 0),
	[SVR_TLV_SECURITY_ID] = SVR_RULE(SVR_HAVE_SECURITY_ID, 0, 4, 4, HEADER, NONE, 0),
	[SVR_TLV_PATH_ID] = SVR_RULE(SVR_HAVE_PATH_ID, 0, SVR_META_PATH_ID_MIN,
				     SVR_META_PATH_ID_MAX, PAYLOAD, NONE, 0),
	[SVR_TLV_SESSION_KEY] = SVR_RULE(SVR_HAVE_SESSION_KEY, 0, SVR_SESSION_KEY_LEN,
					 SVR_SESSION_KEY_LEN, PAYLOAD, NONE, 0),
	SVR_RULE_OWN(SVR_TLV_SECURITY_PARAMS) =
		SVR_RULE(SVR_HAVE_SECURITY_PARAMS, 0, 8, 8, HEADER, NONE, 0),
	SVR_RULE_OWN(SVR_TLV_NONCE) = SVR_RULE(SVR_HAVE_NONCE, 0, 16, 16, PAYLOAD, NONE, 0),
	SVR_RULE_OWN(SVR_TLV_KEY_EPOCH) = SVR_RULE(SVR_HAVE_KEY_EPOCH, 0, 2, 2, PAYLOAD, NONE, 0),
};

static __always_inline const struct svr_meta_rule *svr_meta_rule_of(__u32 type)
{
	if (type >= SVR_TLV_SECURITY_PARAMS)
		type -= SVR_TLV_SECURITY_PARAMS - SVR_META_RULES_SSR;
	else if (type >= SVR_META_RULES_SSR)
		return NULL;
	barrier_var(type); /* what is checked is what is used */
	if (type >= SVR_META_RULES_SSR + SVR_META_RULES_OWN)
		return NULL;
	return svr_meta_rules[type].have ? &svr_meta_rules[type] : NULL;
}

/*
 * The index of the name of @len bytes, which has SVR_NAME_LEN readable bytes; 0 if nothing is
 * configured by that name, -1 if it is no name.
 */
static __always_inline int svr_meta_name(struct svr_scratch *s, const __u8 *name, __u32 len,
					 enum svr_name_kind kind)
{
	__u32 *index, i, end;

	if (!svr_within(&len, 1, SVR_NAME_LEN - 1))
		return -1;
	/* Both limits of the loop stay, see svr_meta_put_frag() */
	end = len;
	barrier_var(end);
	/* Names are filled up with zeros in the map: "a" and "a\0" must not be the same name */
	if (!name[len - 1])
		return -1;
	__builtin_memset(&s->name.key, 0, sizeof(s->name.key));
	for (i = 0; i < SVR_NAME_LEN && i < end; i += sizeof(__u64))
		svr_store64(s->name.key.name + i, svr_load64(name + i));
	svr_store64(s->name.key.name + len, 0);
	s->name.key.kind = kind;
	index = bpf_map_lookup_elem(&svr_names, &s->name.key);
	return index ? *index & 0x7fffffff : 0;
}

static __always_inline bool svr_meta_context4(struct svr_flow6_key *to, const __u8 *value)
{
	const struct svr_context4 *c = (const struct svr_context4 *)value;

	svr_addr_map4(to->saddr, svr_load32(&c->saddr));
	svr_addr_map4(to->daddr, svr_load32(&c->daddr));
	svr_store32(&to->sport, svr_load32(&c->sport));
	to->proto = c->proto;
	return true;
}

/* False also for IPv4 addresses in IPv6 clothes, which would mean something else in our tables. */
static __always_inline bool svr_meta_context6(struct svr_flow6_key *to, const __u8 *value)
{
	const struct svr_context6 *c = (const struct svr_context6 *)value;
	__u32 i;

	for (i = 0; i < 4; i++) {
		to->saddr[i] = svr_load32(&c->saddr[i]);
		to->daddr[i] = svr_load32(&c->daddr[i]);
	}
	svr_store32(&to->sport, svr_load32(&c->sport));
	to->proto = c->proto;
	return !svr_addr_is4(to->saddr) && !svr_addr_is4(to->daddr);
}

/* The value of a known TLV into svr_scratch.meta; false if it is not allowed. */
static __always_inline bool svr_meta_value(struct svr_scratch *s, const struct svr_meta_rule *rule,
					   const __u8 *value, __u32 len)
{
	struct svr_meta_in *m = &s->meta;
	int index;

	switch (rule->value) {
	case SVR_VALUE_CONTEXT4:
		return svr_meta_context4(&m->context, value);
	case SVR_VALUE_CONTEXT6:
		return svr_meta_context6(&m->context, value);
	case SVR_VALUE_UUID:
		svr_store64(m->uuid, svr_load64(value));
		svr_store64(m->uuid + sizeof(__u64), svr_load64(value + sizeof(__u64)));
		return true;
	case SVR_VALUE_NAME:
		break;
	default:
		return true;
	}
	index = svr_meta_name(s, value, len, rule->kind);
	if (index < 0)
		return false;
	if (rule->kind == SVR_KIND_TENANT)
		m->tenant = index;
	else if (rule->kind == SVR_KIND_SERVICE)
		m->service = index;
	else if (rule->kind == SVR_KIND_PEER)
		m->sender = index;
	else
		m->policy = index;
	return true;
}

/*
 * One TLV at @off of a section that ends at @end, both in svr_scratch.block_in: offset of the next
 * one, or a negative drop reason.
 */
SVR_STEP int svr_meta_tlv(__u32 off, __u32 end, __u32 section)
{
	struct svr_scratch *s = svr_scratch_get();
	const struct svr_meta_rule *rule;
	const __u8 *value;
	__u32 len, type;

	if (!s || off > end || end - off < SVR_TLV_HDR_LEN || end > SVR_META_MAX ||
	    !svr_within(&off, 0, SVR_META_MAX - SVR_TLV_HDR_LEN))
		return -SVR_DROP_META_MALFORMED;
	value = s->block_in + off + SVR_TLV_HDR_LEN;
	type = bpf_ntohl(svr_load32(value - SVR_TLV_HDR_LEN));
	len = type & 0xffff;
	type >>= 16;
	off += SVR_TLV_HDR_LEN;
	if (end - off < len)
		return -SVR_DROP_META_MALFORMED;
	rule = svr_meta_rule_of(type);
	if (!rule) {
		s->meta.unknown++;
		return off + len;
	}
	if (rule->section != section || len < rule->len_min || len > rule->len_max ||
	    s->meta.have & rule->excludes || !svr_meta_value(s, rule, value, len))
		return -SVR_DROP_META_MALFORMED;
	s->meta.have |= rule->have;
	return off + len;
}

/* All TLVs of a section; they have to fill it exactly. */
SVR_STEP int svr_meta_section_read(__u32 off, __u32 end, __u32 section)
{
	__u32 i;

	for (i = 0; i <= SVR_META_TLVS_MAX; i++) {
		int next;

		if (off == end)
			return SVR_NEXT;
		next = svr_meta_tlv(off, end, section);
		if (next < 0)
			return next;
		off = next;
	}
	return -SVR_DROP_META_MALFORMED;
}

/**
 * svr_meta_read() - read the block at the start of the payload, which starts with the cookie, into
 * svr_scratch.meta, and leave its bytes in svr_scratch.block_in.
 * The payload TLVs are read only if they are clear, that is without SVR_HAVE_SECURITY_ID.
 * Return: SVR_NEXT or a negative drop reason; then nothing in the scratch area may be used.
 */
SVR_STEP int svr_meta_read(struct xdp_md *ctx, struct svr_pkt *pkt)
{
	struct svr_scratch *s = svr_scratch_get();
	__u32 ver_hlen, hlen, plen, len;
	int res;

	if (!s || !pkt)
		return -SVR_DROP_INTERNAL;
	/* As much as can be metadata: how much it is stands in there */
	len = pkt->payload_len;
	if (len > SVR_META_MAX)
		len = SVR_META_MAX;
	if (!svr_within(&len, SVR_META_HDR_LEN, SVR_META_MAX) ||
	    bpf_xdp_load_bytes(ctx, pkt->payload, s->block_in, len))
		return -SVR_DROP_META_MALFORMED;
	ver_hlen = bpf_ntohl(svr_load32(s->block_in + SVR_COOKIE_LEN));
	plen = ver_hlen & 0xffff;
	ver_hlen >>= 16;
	hlen = ver_hlen & SVR_META_HLEN_MASK;
	if (ver_hlen >> SVR_META_VERSION_SHIFT != SVR_META_VERSION)
		return -SVR_DROP_META_VERSION;
	if (hlen < SVR_META_HDR_LEN || hlen + plen > len)
		return -SVR_DROP_META_MALFORMED;

	__builtin_memset(&s->meta, 0, sizeof(s->meta));
	s->meta.len = hlen + plen;
	res = svr_meta_section_read(SVR_META_HDR_LEN, hlen, SVR_META_HEADER);
	if (!res && !(s->meta.have & SVR_HAVE_SECURITY_ID))
		res = svr_meta_section_read(hlen, hlen + plen, SVR_META_PAYLOAD);
	if (s->meta.unknown)
		svr_stat_add(pkt->zone, SVR_STAT_UNKNOWN_TLV, s->meta.unknown);
	return res;
}

/* User data that starts with the cookie: the header alone (docs/protocol.md 3) */
static __always_inline bool svr_meta_is_bare(const struct svr_meta_in *m)
{
	return m->len == SVR_META_HDR_LEN;
}

/* Folded sum of the block that svr_meta_read() has left in the scratch area. */
static __always_inline __u16 svr_meta_sum(struct svr_scratch *s, __u32 len)
{
	__u32 sum = 0, at = 0;

	/* Summed in words: what is left of the last one is zero */
	svr_store32(s->block_in + len, 0);
	len = (len + 3) & ~3u;
	if (len > SVR_CSUM_CHUNK) {
		sum = bpf_csum_diff(NULL, 0, (__be32 *)s->block_in, SVR_CSUM_CHUNK, 0);
		at = SVR_CSUM_CHUNK;
		len -= SVR_CSUM_CHUNK;
	}
	if (!svr_within(&len, 1, SVR_CSUM_CHUNK))
		return 0;
	return svr_csum_fold(bpf_csum_diff(NULL, 0, (__be32 *)(s->block_in + at), len, sum));
}

/* Take the block away that svr_meta_read() has read. */
SVR_STEP int svr_meta_strip(struct xdp_md *ctx, struct svr_pkt *pkt)
{
	struct svr_scratch *s = svr_scratch_get();
	__u32 len;

	if (!s || !pkt)
		return -SVR_DROP_INTERNAL;
	len = s->meta.len;
	if (!svr_within(&len, SVR_META_HDR_LEN, SVR_META_MAX))
		return -SVR_DROP_INTERNAL;
	return svr_meta_splice(ctx, pkt, -(int)len, svr_meta_sum(s, len));
}

#endif
