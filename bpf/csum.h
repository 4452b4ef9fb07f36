/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * BPF side only: ones' complement sums (RFC 1071, RFC 1624). Sums are made of 16-bit words as they
 * lie in memory, so no byte order is ever converted. A folded sum is 16 bits.
 *
 * Checksums are only changed by what was changed in the packet, never computed anew: a wrong one
 * stays wrong, and whoever receives the packet notices. The exceptions are the partial checksum of a
 * local host, that of a UDP header that we add, and one that only IPv6 insists on, see
 * svr_csum_complete().
 */
#ifndef SVR_BPF_CSUM_H
#define SVR_BPF_CSUM_H

#include "exit.h"

static __always_inline __u16 svr_csum_fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* The checksum field after @delta was added to what it covers */
static __always_inline __u16 svr_csum_apply(__u16 check, __u32 delta)
{
	__u32 sum = (__u16)~check + delta;

	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

/* The same for a folded difference, which leaves one carry at most */
static __always_inline __u16 svr_csum_add(__u16 check, __u16 delta)
{
	__u32 sum = (__u32)(__u16)~check + delta;

	return ~((sum & 0xffff) + (sum >> 16));
}

/* What replacing one word by another adds to a sum */
static __always_inline __u32 svr_csum_change(__u16 from, __u16 to)
{
	return (__u32)(__u16)~from + to;
}

/* The sum of bytes that move from an even to an odd place or back; RFC 1071 2 (B) */
static __always_inline __u16 svr_csum_swap(__u16 sum)
{
	return sum << 8 | sum >> 8;
}

/* Sum of an address as it stands in a packet, not folded */
static __always_inline __u64 svr_csum_addr(const __be32 addr[4])
{
	return svr_addr_is4(addr) ? addr[3] : (__u64)addr[0] + addr[1] + addr[2] + addr[3];
}

/*
 * Pseudo header of the packet as it arrived. Both families: the 32-bit fields of RFC 8200 8.1 sum
 * up like the 16-bit ones of RFC 9293 3.1, because no packet is longer than 65535 bytes.
 */
static __always_inline __u16 svr_csum_pseudo(const struct svr_pkt *pkt)
{
	const struct svr_flow6_key *key = &pkt->key;
	__u64 sum = (__u64)key->saddr[3] + key->daddr[3] + bpf_htons(pkt->proto) +
		    bpf_htons(svr_l4_len(pkt));

	if (unlikely(svr_pkt_is6(pkt)))
		sum += (__u64)key->saddr[0] + key->saddr[1] + key->saddr[2] + key->daddr[0] +
		       key->daddr[1] + key->daddr[2];
	return svr_csum_fold(sum);
}

enum svr_csum_lens {
	SVR_CSUM_CHUNKS = SVR_FRAME_LEN_MAX / SVR_CSUM_CHUNK + 1,
	SVR_CSUM_POINTED = 19, /* of them are read through a pointer: more than a page holds */
};

/* The part of a packet whose bytes no pointer reaches, chunk by chunk */
struct svr_csum_rest {
	struct xdp_md *ctx;
	__u32 off, len;
	__u32 sum; /* folded */
	int err;
};

static long svr_csum_rest_chunk(__u32 i, struct svr_csum_rest *r)
{
	struct svr_scratch *s = svr_scratch_get();
	__u32 sum = r->sum;

	if (r->len < SVR_CSUM_CHUNK)
		return 1;
	if (!s || bpf_xdp_load_bytes(r->ctx, r->off, s->chunk, SVR_CSUM_CHUNK)) {
		r->err = -SVR_DROP_INTERNAL;
		return 1;
	}
	r->sum = svr_csum_fold(bpf_csum_diff(NULL, 0, (__be32 *)s->chunk, SVR_CSUM_CHUNK, sum));
	r->off += SVR_CSUM_CHUNK;
	r->len -= SVR_CSUM_CHUNK;
	return 0;
}

/*
 * Sum of the bytes behind the whole chunks. They have no constant length, as the verifier wants it
 * of packet pointers: they are copied, and filled up with zeros to a multiple of four.
 */
SVR_HELPER int svr_csum_tail(struct xdp_md *ctx, __u32 off, __u32 len, __u32 sum)
{
	struct svr_scratch *s = svr_scratch_get();

	if (!len)
		return svr_csum_fold(sum);
	if (!s || !svr_within(&len, 1, SVR_CSUM_CHUNK - 1))
		return -SVR_DROP_INTERNAL;
	*(__u32 *)(s->chunk + (len & (SVR_CSUM_CHUNK - sizeof(__u32)))) = 0;
	if (bpf_xdp_load_bytes(ctx, off, s->chunk, len))
		return -SVR_DROP_INTERNAL;
	return svr_csum_fold(bpf_csum_diff(NULL, 0, (__be32 *)s->chunk, (len + 3) & ~3u, sum));
}

/**
 * svr_csum_packet() - folded sum of @len bytes at @off, as if a zero byte followed an odd end.
 * Whole chunks are read where they are as long as they lie in the first buffer of the frame.
 * Return: 0 to 0xffff, or a negative drop reason if they are not in the packet.
 */
SVR_STEP int svr_csum_packet(struct xdp_md *ctx, __u32 off, __u32 len)
{
	struct svr_csum_rest rest = { .ctx = ctx };
	__u32 sum = 0, i;
	void *chunk;

	if (len > SVR_FRAME_LEN_MAX)
		return -SVR_DROP_INTERNAL;
	for (i = 0; i < SVR_CSUM_POINTED && len >= SVR_CSUM_CHUNK; i++) {
		if (off > SVR_CSUM_POINTED * SVR_CSUM_CHUNK)
			break;
		chunk = (void *)(long)ctx->data + off;
		barrier_var(chunk); /* the pointer that is checked is the one that is used */
		if (chunk + SVR_CSUM_CHUNK > (void *)(long)ctx->data_end)
			break;
		sum = bpf_csum_diff(NULL, 0, chunk, SVR_CSUM_CHUNK, sum);
		off += SVR_CSUM_CHUNK;
		len -= SVR_CSUM_CHUNK;
	}
	if (len < SVR_CSUM_CHUNK)
		return svr_csum_tail(ctx, off, len, sum);
	rest.off = off;
	rest.len = len;
	rest.sum = svr_csum_fold(sum);
	bpf_loop(SVR_CSUM_CHUNKS, svr_csum_rest_chunk, &rest, 0);
	if (rest.err)
		return rest.err;
	return svr_csum_tail(ctx, rest.off, rest.len, rest.sum);
}

/* Where the L4 checksum stands in the frame */
static __always_inline __u32 svr_l4_check_offset(const struct svr_pkt *pkt)
{
	return pkt->l4 + (pkt->proto == IPPROTO_TCP ? __builtin_offsetof(struct tcphdr, check) :
							  __builtin_offsetof(struct udphdr, check));
}

/* The L4 checksum field, or a negative drop reason. */
static __always_inline int svr_l4_check_load(struct xdp_md *ctx, const struct svr_pkt *pkt)
{
	struct svr_cursor nh = svr_cursor_at(ctx, svr_l4_check_offset(pkt));
	__u16 *check = nh.pos;

	return (void *)(check + 1) > nh.end ? -SVR_DROP_INTERNAL : *check;
}

static __always_inline int svr_l4_check_store_raw(struct xdp_md *ctx, const struct svr_pkt *pkt,
						  __u16 value)
{
	struct svr_cursor nh = svr_cursor_at(ctx, svr_l4_check_offset(pkt));
	__u16 *check = nh.pos;

	if ((void *)(check + 1) > nh.end)
		return -SVR_DROP_INTERNAL;
	*check = value;
	return SVR_NEXT;
}

static __always_inline int svr_l4_check_store(struct xdp_md *ctx, const struct svr_pkt *pkt,
					      __u16 check)
{
	/* RFC 768: zero means that there is none, a computed zero is sent as its other form */
	if (!check && pkt->proto == IPPROTO_UDP)
		check = 0xffff;
	return svr_l4_check_store_raw(ctx, pkt, check);
}

/* A UDP host that computes none: then nobody does */
static __always_inline bool svr_l4_check_absent(const struct svr_pkt *pkt, __u16 check)
{
	return !check && pkt->proto == IPPROTO_UDP;
}

/*
 * A host on this machine (veth) leaves the L4 checksum to a device that there is not, and the field
 * holds only the folded sum of the pseudo header (Linux: CHECKSUM_PARTIAL). Frames for the worker
 * are not completed here: it changes the payload and computes the whole checksum anyway. Only
 * frames from a LAN are: what arrives from a peer was on a wire, and there the same value is
 * nothing but a wrong checksum.
 */
static __always_inline bool svr_csum_is_partial(const struct svr_pkt *pkt, __u16 check)
{
	return check == svr_csum_pseudo(pkt);
}

/*
 * Checksum over the whole packet, which still has the addresses that it arrived with. What stands
 * in the field has no part in it.
 */
SVR_STEP int svr_csum_complete(struct xdp_md *ctx, struct svr_pkt *pkt)
{
	int sum;

	if (!pkt)
		return -SVR_DROP_INTERNAL;
	sum = svr_l4_check_store_raw(ctx, pkt, 0);
	if (sum)
		return sum;
	sum = svr_csum_packet(ctx, pkt->l4, svr_l4_len(pkt));
	if (sum < 0)
		return sum;
	return svr_l4_check_store(ctx, pkt, ~svr_csum_fold((__u64)sum + svr_csum_pseudo(pkt)));
}

/*
 * Metadata in front of the payload changes the checksum by its own sum and by what lengths change.
 * If it is an odd number of bytes, those of the payload change places in their words as well. So
 * the payload's sum is taken out of the checksum and put in again swapped. (It comes from the
 * checksum and not from the payload: an error in it is preserved.)
 */

/* Sum of the L4 header as it stands in svr_scratch.front, not folded. */
static __always_inline __u64 svr_csum_front(const struct svr_scratch *s, const struct svr_pkt *pkt)
{
	__u32 i, hlen = pkt->payload - pkt->l4;
	__u64 sum = 0;

	for (i = 0; i < SVR_TCP_HLEN_MAX && i < hlen; i += 4)
		sum += *(const __u32 *)(s->front.hdr + sizeof(s->front.hdr) - 4 - i);
	return sum;
}

/**
 * svr_csum_splice() - the L4 checksum after metadata came between header and payload, or went.
 * @pkt: as it is now
 * @check: as it was before
 * @grow: bytes that came, or -bytes that went
 * @meta: folded sum of the metadata, as if it stood at an even place
 * The headers as they were before have to be in svr_scratch.front (svr_payload_shift()).
 */
static __always_inline __u16 svr_csum_splice(const struct svr_scratch *s, const struct svr_pkt *pkt,
					     __u16 check, int grow, __u16 meta)
{
	__u16 was = ~check, delta = grow < 0 ? ~meta : meta, payload;
	__u64 sum = (__u64)was + delta;
	__u16 len = bpf_htons(svr_l4_len(pkt)), len_was = bpf_htons(svr_l4_len(pkt) - grow);

	/* In the pseudo header, and in that of UDP */
	sum += (__u64)svr_csum_change(len_was, len) * (pkt->proto == IPPROTO_UDP ? 2 : 1);
	if (grow & 1) {
		/* Everything but the payload; the header's sum holds the checksum itself */
		payload = svr_csum_fold(svr_csum_front(s, pkt) + svr_csum_pseudo(pkt) +
					svr_csum_change(len, len_was) + was);
		payload = svr_csum_fold((__u64)was + (__u16)~payload + (grow < 0 ? delta : 0));
		sum += (__u64)(__u16)~payload + svr_csum_swap(payload);
	}
	return ~svr_csum_fold(sum);
}

#endif
