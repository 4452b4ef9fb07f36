/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * BPF side only: adding clear metadata (docs/protocol.md 3 and 5). Names are rendered as TLVs by
 * `svr`, so it is copying: everything is put together in memory, summed there, and goes into the
 * packet at once.
 */
#ifndef SVR_BPF_META_H
#define SVR_BPF_META_H

#include "room.h"

enum svr_meta_lens {
	SVR_META_HLEN_MASK = 0x0fff,
	SVR_META_VERSION_SHIFT = 12,
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

/* Is the context of the session's block an IPv6 one? That is the family of the hosts, not the WAN's. */
static __always_inline __u32 svr_meta_fixed_len(bool ipv6)
{
	return ipv6 ? sizeof(struct svr_meta_fixed6) : sizeof(struct svr_meta_fixed4);
}

/*
 * Copy a fragment to @off of @block; the next free offset. In words, of which the last one takes
 * some bytes with it that do not belong to the fragment, and that the next one overwrites. The
 * length is read once: `svr` may change a name at any time.
 */
static __always_inline __u32 svr_meta_put_frag(__u8 *block, __u32 off,
					       const struct svr_meta_frag *frag)
{
	__u32 len = *(const volatile __u16 *)&frag->len, i;

	if (len > SVR_META_FRAG_MAX || off > SVR_CSUM_CHUNK - SVR_META_FRAG_MAX)
		return off;
	/*
	 * Both limits stay: without this the compiler knows that the second one is enough, and verifiers
	 * before Linux 6.8 do not
	 */
	barrier_var(len);
	for (i = 0; i < SVR_META_FRAG_MAX && i < len; i += SVR_META_WORD)
		svr_store64(block + off + i, svr_load64(frag->tlv + i));
	return off + len;
}

/*
 * Length of the block that packets of @flow get; @ipv6: they come from IPv6 hosts. What does not
 * depend on the packet is in its place in the scratch area afterwards.
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

#endif
