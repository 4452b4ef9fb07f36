// SPDX-License-Identifier: BSD-2-Clause
/*
 * The main thread's part: fragments and pieces are collected, and the XDP program of the interface
 * runs on the packet that they make.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/bpf.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <event2/event.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>

#include <svr/drops.h>

#include "lib/addr.h"
#include "lib/meta.h"
#include "sys/flows.h"
#include "sys/log.h"
#include "worker/batch.h"
#include "worker/program.h"
#include "worker/reassembly.h"
#include "worker/whole.h"
#include "worker/worker.h"

enum {
	TICK_MS = 500,
	IP4_VER_IHL = 0x45,
	IP4_DF = 0x4000,
	IP4_MORE = 0x2000,
	IP4_OFFSET = 0x1fff,
	IP6_MORE = 0x0001,
	IP6_OFFSET = 0xfff8,
	UNIT = 8,
	CE = 3, /* of the two bits of ECN; RFC 3168 5 */
	ECN = 3,
	CLASS_SHIFT = 20,
	TCP_MIN_LEN = 20,
	/* Room for a whole packet, in front of it and behind it */
	FRONT = SVR_META_MAX + 256,
	BACK = SVR_FRAME_TAIL,
	BIG = FRONT + SVR_PACKET_MAX + SVR_REASSEMBLY_HEAD + SVR_META_MAX + BACK,
};

struct ip6_fragment {
	uint8_t next, zero;
	__be16 offset_more;
	__be32 id;
} __attribute__((packed));

struct svr_whole {
	struct svr_reassembly *reassembly;
	struct event *mail, *tick;
	uint8_t *in, *out; /* of a run of the program, BIG bytes each */
	uint8_t *cut; /* SVR_CUT_ROOM + SVR_PACKET_MAX */
};

/* ---- running the program ------------------------------------------------------------------- */

/* A packet on its way through the program. */
struct run {
	struct svr_worker *w;
	const struct svr_letter *letter; /* where it came from */
	uint8_t *frame; /* in struct svr_whole.in, behind room for the description */
	size_t len, l3_off;
	struct svr_whole_terms terms;
	__be16 host_id; /* IPv4 identification and DF of the host's packet */
	bool host_df;

	/* afterwards */
	uint8_t *out; /* what came out */
	size_t out_len;
	struct svr_frame_desc desc;
	int err;
};

static struct svr_frame_desc *run_desc(struct run *r)
{
	return (struct svr_frame_desc *)(r->frame - sizeof(struct svr_frame_desc));
}

/* Verdict of the program, or a negative drop reason. */
static int run_program(struct run *r)
{
	const size_t front = sizeof(r->desc);
	struct xdp_md in = { .data = front,
			     .data_end = (uint32_t)(front + r->len),
			     .ingress_ifindex = (uint32_t)r->letter->ifindex,
			     .rx_queue_index = r->letter->queue },
		      out = { 0 };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = run_desc(r),
		    .data_size_in = (uint32_t)(front + r->len), .data_out = r->w->whole->out + FRONT,
		    .data_size_out = BIG - FRONT - BACK, .ctx_in = &in, .ctx_size_in = sizeof(in),
		    .ctx_out = &out, .ctx_size_out = sizeof(out), .repeat = 1);
	int fd = svr_program_open(r->letter->ifindex), err;

	if (fd < 0)
		return -SVR_DROP_NOT_CONFIGURED;
	*run_desc(r) = (struct svr_frame_desc){
		.magic = SVR_WHOLE_MAGIC,
		.why = r->terms.may_cut ? SVR_FRAME_WHOLE : SVR_FRAME_PIECE,
	};
	err = bpf_prog_test_run_opts(fd, &opts);
	close(fd);
	if (err) {
		pr_debug("packet of %zu bytes: XDP program of interface %d did not run: %s", r->len,
			 r->letter->ifindex, strerror(-err));
		return -SVR_DROP_INTERNAL;
	}
	if (out.data < sizeof(r->desc) || out.data > opts.data_size_out)
		return opts.retval == XDP_DROP ? XDP_DROP : -SVR_DROP_INTERNAL;
	r->out = r->w->whole->out + FRONT + out.data;
	r->out_len = opts.data_size_out - out.data;
	memcpy(&r->desc, r->out - sizeof(r->desc), sizeof(r->desc));
	return (int)opts.retval;
}

/* The flow of the packet as it came: where it goes. */
static int run_flow(struct run *r, struct svr_flow *flow)
{
	struct svr_pkt p = { .room = r->frame, .room_end = r->frame + r->len };
	struct svr_flow6_key key;
	int err = svr_packet_parse(&p, r->frame, r->len, r->l3_off);

	if (err)
		return err;
	svr_packet_key(&p, r->letter->in_zone, &key);
	return svr_flow_get(&r->w->maps, &key, flow) ? -SVR_DROP_NO_FLOW : 0;
}

/* ---- in the data thread -------------------------------------------------------------------- */

/* Frames of one packet that differ in all but the link-layer header. */
struct sending {
	struct svr_thread *t;
	uint16_t zone, queue;
	const uint8_t *l2;
	size_t l2_len;
};

static int send_piece(void *user, uint8_t *ip, size_t len)
{
	const struct sending *s = user;

	memcpy(ip - s->l2_len, s->l2, s->l2_len);
	return svr_thread_send_copy(s->t, s->zone, s->queue, ip - s->l2_len, s->l2_len + len);
}

/* The program has finished the frame. */
static void run_send(struct svr_thread *t, void *arg)
{
	struct run *r = arg;
	struct svr_flow flow;
	struct sending s = { .t = t, .queue = (uint16_t)r->letter->queue, .l2 = r->out };
	struct svr_cut cut = { .buffer = r->w->whole->cut, .emit = send_piece, .user = &s };
	struct svr_pkt p = { .room = r->out, .room_end = r->out + r->out_len };
	struct svr_tlv_fragment tlv = {
		.ip_id = r->host_id,
		.flags_offset = htons(r->host_df ? SVR_FRAGMENT_DF : 0),
		.largest = htons(r->terms.largest),
	};
	const struct svr_path_state *state;
	uint16_t limit, path_mtu;

	if (r->desc.why == SVR_FRAME_ANSWER) {
		r->err = svr_thread_send_copy(t, r->letter->in_zone, s.queue, r->out, r->out_len);
		return;
	}
	r->err = run_flow(r, &flow);
	if (r->err)
		return;
	s.zone = flow.out_zone;
	s.l2_len = SVR_ETH_LEN + (t->zone_tx[s.zone].vlan ? SVR_VLAN_LEN : 0) +
		   (t->zone_tx[s.zone].outer_vlan ? SVR_VLAN_LEN : 0);
	r->err = svr_packet_parse(&p, r->out, r->out_len, s.l2_len);
	if (r->err)
		return;
	limit = t->maps->zones[s.zone].mtu;
	if (!(flow.flags & SVR_FLOW_FROM_WAN)) {
		state = &t->maps->path_state[flow.path];
		path_mtu = (uint16_t)__atomic_load_n(&state->mtu, __ATOMIC_RELAXED);
		limit = path_mtu && path_mtu < limit ? path_mtu : limit;
	}
	if (svr_packet_header_len(&p) + p.payload_len <= limit)
		r->err = svr_thread_send_copy(t, s.zone, s.queue, r->out, r->out_len);
	else if (svr_crypt_random(t->crypt, &tlv.id, sizeof(tlv.id)))
		r->err = -SVR_DROP_INTERNAL;
	else if (flow.flags & SVR_FLOW_FROM_WAN)
		r->err = svr_cut_ip(&cut, &p, limit, tlv.id);
	else
		r->err = svr_cut_session(&cut, &p, limit, &tlv);
}

/* The program has handed the packet over to the worker. */
static void run_forward(struct svr_thread *t, void *arg)
{
	struct run *r = arg;
	const int port = svr_port_find(&t->umem, r->letter->ifindex, r->letter->queue);
	struct svr_work work = {
		.pkt = { .room = r->w->whole->out, .room_end = r->w->whole->out + BIG },
		.desc = r->desc,
		.addr = UINT64_MAX,
		.frame = r->out,
		.frame_len = (uint32_t)r->out_len,
		.port = (uint16_t)port,
		.terms = r->terms,
	};

	r->err = -SVR_DROP_NO_WORKER;
	if (port < 0)
		return;
	svr_batch_run_one(t, &work);
	r->err = 0; /* counted there */
}

/* ---- whole packets ------------------------------------------------------------------------- */

/* ECN, identification, DF: what is wanted of the IP header of the whole. */
static void run_note_ip(struct run *r)
{
	const struct svr_ip4 *ip4 = (const struct svr_ip4 *)(r->frame + r->l3_off);

	if (ip4->ver_ihl >> 4 != SVR_FAMILY_4) {
		r->host_id = 0;
		r->host_df = !r->terms.largest; /* nobody but the source may cut it; RFC 8200 5 */
		return;
	}
	r->host_id = ip4->id;
	r->host_df = ip4->frag & htons(IP4_DF);
}

/* Any data thread will do; fragments of one queue keep to one. */
static struct svr_thread *run_thread(const struct run *r)
{
	return r->w->pool.thread[r->letter->queue % r->w->pool.n];
}

static void run_packet(struct run *r)
{
	run_note_ip(r);
	r->err = run_program(r);
	if (r->err == XDP_REDIRECT && r->desc.magic == SVR_FRAME_MAGIC) {
		/* Pieces in pieces make no sense, and neither do fragments in a whole */
		if (r->desc.why == SVR_FRAME_PIECE || r->desc.why == SVR_FRAME_FRAGMENT)
			r->err = -SVR_DROP_META_UNEXPECTED;
		else
			svr_thread_call(run_thread(r), run_forward, r);
	} else if (r->err == XDP_REDIRECT) {
		svr_thread_call(run_thread(r), run_send, r);
	} else if (r->err == XDP_PASS) {
		/* Not for a session. What was put together cannot be given back to the kernel. */
		r->err = r->terms.whole ? -SVR_DROP_FRAGMENT : -SVR_DROP_NO_SERVICE;
	} else if (r->err >= 0) {
		r->err = 0; /* dropped, and counted there */
	}
	if (r->err < 0)
		svr_worker_count_drop(r->w, r->letter->in_zone, (unsigned int)-r->err);
	OPENSSL_cleanse(r->w->whole->out, BIG);
}

static void tclass_set_ce(uint8_t *ip)
{
	struct svr_ip6 *ip6 = (struct svr_ip6 *)ip;

	if (*ip >> 4 == SVR_FAMILY_4)
		((struct svr_ip4 *)ip)->tos |= CE;
	else
		ip6->ver_class_label |= htonl((uint32_t)CE << CLASS_SHIFT);
}

/* Lengths and checksum of the IP header in front of what was put together. -SVR_DROP_FRAGMENT_LENGTH. */
static int ip_restore(uint8_t *ip, size_t len, __be16 id, __be16 frag)
{
	struct svr_ip4 *ip4 = (struct svr_ip4 *)ip;
	struct svr_ip6 *ip6 = (struct svr_ip6 *)ip;

	if (*ip >> 4 == SVR_FAMILY_6) {
		if (len - SVR_IP6_LEN > UINT16_MAX)
			return -SVR_DROP_FRAGMENT_LENGTH;
		ip6->payload_len = htons((uint16_t)(len - SVR_IP6_LEN));
		return 0;
	}
	if (len > SVR_PACKET_MAX)
		return -SVR_DROP_FRAGMENT_LENGTH;
	ip4->total_len = htons((uint16_t)len);
	ip4->id = id;
	ip4->frag = frag;
	ip4->csum = 0;
	ip4->csum = (uint16_t)~svr_csum_fold(svr_csum_add(0, ip4, SVR_IP4_LEN));
	return 0;
}

static void run_begin(struct run *r, struct svr_worker *w, const struct svr_letter *l,
		      const void *frame, size_t len)
{
	*r = (struct run){ .w = w, .letter = l, .l3_off = l->l3_off, .len = len };
	r->frame = w->whole->in + FRONT;
	memcpy(r->frame, frame, len);
}

/* ---- fragments of IP ----------------------------------------------------------------------- */

/* Does the first fragment hold the header that says whose the packet is? RFC 1858, RFC 7112 */
static bool header_is_whole(uint8_t proto, const uint8_t *l4, size_t len)
{
	const unsigned int doff_shift = 4, word = 4;

	if (proto == IPPROTO_TCP)
		return len >= TCP_MIN_LEN &&
		       len >= (size_t)(((const struct svr_tcp *)l4)->doff >> doff_shift) * word;
	return len >= UNIT; /* UDP, ICMP; the others have no header that matters here */
}

static int fragment_read4(const struct svr_letter *l, struct svr_fragment *f)
{
	const struct svr_ip4 *ip = (const struct svr_ip4 *)(l->data + l->l3_off);
	const size_t room = l->len - l->l3_off;
	size_t total;

	if (room < SVR_IP4_LEN || ip->ver_ihl != IP4_VER_IHL)
		return -SVR_DROP_BAD_IP;
	total = ntohs(ip->total_len);
	if (total < SVR_IP4_LEN || total > room)
		return -SVR_DROP_SHORT;
	if (svr_csum_fold(svr_csum_add(0, ip, SVR_IP4_LEN)) != UINT16_MAX)
		return -SVR_DROP_BAD_CSUM;
	f->head_len = l->l3_off + (size_t)SVR_IP4_LEN;
	f->len = total - SVR_IP4_LEN;
	f->offset = (ntohs(ip->frag) & IP4_OFFSET) * (uint32_t)UNIT;
	f->more = ip->frag & htons(IP4_MORE);
	f->ce = (ip->tos & ECN) == CE;
	f->key.id = ip->id;
	f->key.proto = ip->proto;
	svr_addr_map4(ip->saddr, f->key.saddr);
	svr_addr_map4(ip->daddr, f->key.daddr);
	if (f->offset + f->len > SVR_PACKET_MAX - SVR_IP4_LEN)
		return -SVR_DROP_FRAGMENT_LENGTH;
	return f->offset || header_is_whole(ip->proto, l->data + f->head_len, f->len) ?
		       0 :
		       -SVR_DROP_FRAGMENT_TINY;
}

static int fragment_read6(struct svr_letter *l, struct svr_fragment *f)
{
	struct svr_ip6 *ip = (struct svr_ip6 *)(l->data + l->l3_off);
	const struct ip6_fragment *part = (const struct ip6_fragment *)(ip + 1);
	const size_t room = l->len - l->l3_off;
	size_t len;

	if (room < SVR_IP6_LEN + sizeof(*part) || ip->next != IPPROTO_FRAGMENT)
		return -SVR_DROP_BAD_IP;
	len = ntohs(ip->payload_len);
	if (len < sizeof(*part) || len > room - SVR_IP6_LEN)
		return -SVR_DROP_SHORT;
	f->head_len = l->l3_off + (size_t)SVR_IP6_LEN;
	f->data = (const uint8_t *)(part + 1);
	f->len = len - sizeof(*part);
	f->offset = ntohs(part->offset_more) & IP6_OFFSET;
	f->more = part->offset_more & htons(IP6_MORE);
	f->ce = (ntohl(ip->ver_class_label) >> CLASS_SHIFT & ECN) == CE;
	f->key.id = part->id;
	memcpy(f->key.saddr, ip->saddr, sizeof(f->key.saddr));
	memcpy(f->key.daddr, ip->daddr, sizeof(f->key.daddr));
	ip->next = part->next; /* the head goes on without the fragment header */
	return f->offset || header_is_whole(part->next, f->data, f->len) ? 0 :
									     -SVR_DROP_FRAGMENT_TINY;
}

static int fragment_take(struct svr_worker *w, struct svr_letter *l)
{
	struct svr_fragment f = { .head = l->data, .key = { .zone = l->in_zone } };
	struct svr_reassembled *all;
	struct run r;
	int err;

	if (l->len <= l->l3_off)
		return -SVR_DROP_SHORT;
	if (l->data[l->l3_off] >> 4 == SVR_FAMILY_6) {
		err = fragment_read6(l, &f);
	} else {
		err = fragment_read4(l, &f);
		f.data = l->data + f.head_len;
	}
	if (!err)
		err = svr_reassembly_add(w->whole->reassembly, &f, svr_worker_now_ns(), &all);
	if (err || !all)
		return err;
	run_begin(&r, w, l, all->data, all->len);
	r.terms = (struct svr_whole_terms){
		.whole = true,
		.may_cut = true,
		.largest = (uint16_t)(all->largest + all->head_len - l->l3_off),
	};
	if (all->ce)
		tclass_set_ce(r.frame + r.l3_off);
	err = ip_restore(r.frame + r.l3_off, r.len - r.l3_off,
			 ((const struct svr_ip4 *)(l->data + l->l3_off))->id, 0);
	OPENSSL_cleanse(all->data, all->len);
	free(all);
	if (err)
		return err;
	run_packet(&r);
	return 0;
}

/* ---- pieces between routers ---------------------------------------------------------------- */

/* What of all pieces is wanted afterwards goes behind the headers of the first one. */
struct piece_head {
	uint8_t headers[SVR_REASSEMBLY_HEAD - sizeof(struct svr_tlv_fragment)];
	struct svr_tlv_fragment tlv;
};

static int piece_read(struct svr_letter *l, struct svr_pkt *p, struct svr_meta *m)
{
	int err;

	p->room = l->data;
	p->room_end = l->data + l->len;
	err = svr_packet_parse(p, l->data, l->len, l->l3_off);
	if (err)
		return err;
	if (svr_packet_csum_state(p) != SVR_CSUM_FULL)
		return -SVR_DROP_BAD_CSUM;
	err = svr_meta_parse_header(p->payload, p->payload_len, m);
	if (err)
		return err;
	/* Nothing else has a place in the block of a piece */
	return m->have == SVR_HAVE_FRAGMENT && !m->payload_len ? 0 : -SVR_DROP_META_UNEXPECTED;
}

/* The packet as if it had come whole. */
static int piece_restore(struct run *r, const struct svr_reassembled *all)
{
	const size_t headers = all->head_len - sizeof(struct svr_tlv_fragment);
	struct svr_tlv_fragment tlv;
	struct svr_pkt p = { 0 };
	int err;

	memcpy(&tlv, all->data + headers, sizeof(tlv));
	memmove(r->frame + headers, r->frame + all->head_len, all->len - all->head_len);
	r->len = headers + all->len - all->head_len;
	r->terms = (struct svr_whole_terms){
		.whole = true,
		.may_cut = tlv.largest || !(tlv.flags_offset & htons(SVR_FRAGMENT_DF)),
		.largest = ntohs(tlv.largest),
	};
	if (all->ce)
		tclass_set_ce(r->frame + r->l3_off);
	err = ip_restore(r->frame + r->l3_off, r->len - r->l3_off, tlv.ip_id,
			 tlv.flags_offset & htons(SVR_FRAGMENT_DF) ? htons(IP4_DF) : 0);
	if (err)
		return err;
	/* The length in the UDP header is still that of a piece */
	if (r->frame[r->l3_off] >> 4 == SVR_FAMILY_4 ?
		    ((struct svr_ip4 *)(r->frame + r->l3_off))->proto == IPPROTO_UDP :
		    ((struct svr_ip6 *)(r->frame + r->l3_off))->next == IPPROTO_UDP)
		((struct svr_udp *)(r->frame + headers - SVR_UDP_LEN))->len =
			htons((uint16_t)(r->len - headers + SVR_UDP_LEN));
	p.room = r->frame;
	p.room_end = r->frame + r->len;
	err = svr_packet_parse(&p, r->frame, r->len, r->l3_off);
	if (!err)
		svr_packet_finish(&p, false);
	return err;
}

static int piece_take(struct svr_worker *w, struct svr_letter *l)
{
	struct svr_fragment f = { 0 };
	uint8_t head[SVR_REASSEMBLY_HEAD];
	struct svr_flow6_key key;
	struct svr_reassembled *all;
	struct svr_meta m;
	struct svr_pkt p = { 0 };
	size_t headers;
	struct run r;
	int err;

	err = piece_read(l, &p, &m);
	if (err)
		return err;
	headers = (size_t)(p.payload - l->data);
	if (headers + sizeof(m.fragment) > sizeof(head))
		return -SVR_DROP_FRAGMENT_LENGTH;
	memcpy(head, l->data, headers);
	memcpy(head + headers, &m.fragment, sizeof(m.fragment));
	svr_packet_key(&p, l->in_zone, &key);
	f.key = (struct svr_fragment_key){ .id = m.fragment.id,
					   .sport = key.sport,
					   .dport = key.dport,
					   .zone = l->in_zone,
					   .proto = p.proto,
					   .kind = SVR_FRAGMENT_ROUTER };
	svr_addr_copy(f.key.saddr, key.saddr);
	svr_addr_copy(f.key.daddr, key.daddr);
	f.head = head;
	f.head_len = headers + sizeof(m.fragment);
	f.data = p.payload + m.header_len;
	f.len = (size_t)p.payload_len - m.header_len;
	f.offset = (ntohs(m.fragment.flags_offset) & SVR_FRAGMENT_OFFSET) * (uint32_t)UNIT;
	f.more = m.fragment.flags_offset & htons(SVR_FRAGMENT_MORE);
	if (p.family == SVR_FAMILY_4)
		f.ce = (svr_packet_ip4(&p)->tos & ECN) == CE;
	else
		f.ce = (ntohl(svr_packet_ip6(&p)->ver_class_label) >> CLASS_SHIFT & ECN) == CE;
	err = svr_reassembly_add(w->whole->reassembly, &f, svr_worker_now_ns(), &all);
	if (err || !all)
		return err;
	run_begin(&r, w, l, all->data, all->len);
	err = piece_restore(&r, all);
	OPENSSL_cleanse(all->data, all->len);
	free(all);
	if (err)
		return err;
	run_packet(&r);
	return 0;
}

/* ---- letters ------------------------------------------------------------------------------- */

/* A packet of a clear session as it came, too long for what is added to it or where it goes. */
static int whole_take(struct svr_worker *w, const struct svr_letter *l)
{
	struct run r;

	if (l->len > SVR_PACKET_MAX)
		return -SVR_DROP_TOO_BIG;
	run_begin(&r, w, l, l->data, l->len);
	r.terms = (struct svr_whole_terms){ .may_cut = true };
	run_packet(&r);
	return 0;
}

void svr_whole_again(struct svr_worker *w, struct svr_letter *l)
{
	struct run r;

	run_begin(&r, w, l, l->data, l->len);
	r.terms = l->terms;
	run_packet(&r);
}

static void letter_take(struct svr_worker *w, struct svr_letter *l)
{
	int err;

	if (l->kind == SVR_LETTER_FRAGMENT)
		err = fragment_take(w, l);
	else if (l->kind == SVR_LETTER_PIECE)
		err = piece_take(w, l);
	else
		err = whole_take(w, l);
	if (err)
		svr_worker_count_drop(w, l->in_zone, (unsigned int)-err);
	svr_letter_free(&w->whole_mail, l);
}

static void tick_arm(struct svr_worker *w)
{
	const struct timeval every = { .tv_usec = TICK_MS * 1000 };

	if (!event_pending(w->whole->tick, EV_TIMEOUT, NULL))
		event_add(w->whole->tick, &every);
}

static void mail_ready(evutil_socket_t fd, short what, void *arg)
{
	struct svr_worker *w = arg;

	(void)fd;
	(void)what;
	svr_mailbox_drain(&w->whole_mail, letter_take, w);
	if (svr_reassembly_packets(w->whole->reassembly))
		tick_arm(w);
}

static void tick(evutil_socket_t fd, short what, void *arg)
{
	struct svr_worker *w = arg;

	(void)fd;
	(void)what;
	if (svr_reassembly_expire(w->whole->reassembly, svr_worker_now_ns()))
		tick_arm(w);
}

static void lost(void *user, uint16_t zone, unsigned int reason, unsigned int count)
{
	while (count--)
		svr_worker_count_drop(user, zone, reason);
}

int svr_whole_new(struct svr_worker *w)
{
	struct svr_whole *h = calloc(1, sizeof(*h));
	uint32_t seed = 0;

	w->whole = h;
	if (!h || RAND_bytes((unsigned char *)&seed, sizeof(seed)) != 1)
		return -ENOMEM;
	h->in = calloc(1, BIG);
	h->out = calloc(1, BIG);
	h->cut = calloc(1, SVR_CUT_ROOM + SVR_PACKET_MAX);
	h->reassembly = svr_reassembly_new(seed, lost, w);
	h->mail = event_new(w->base, w->whole_mail.event_fd, EV_READ | EV_PERSIST, mail_ready, w);
	h->tick = evtimer_new(w->base, tick, w);
	if (!h->in || !h->out || !h->cut || !h->reassembly || !h->mail || !h->tick ||
	    event_add(h->mail, NULL))
		return -ENOMEM;
	return 0;
}

void svr_whole_free(struct svr_worker *w)
{
	struct svr_whole *h = w->whole;

	if (!h)
		return;
	if (h->mail)
		event_free(h->mail);
	if (h->tick)
		event_free(h->tick);
	svr_reassembly_free(h->reassembly);
	free(h->in);
	free(h->out);
	free(h->cut);
	free(h);
	w->whole = NULL;
}
