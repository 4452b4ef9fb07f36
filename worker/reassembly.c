// SPDX-License-Identifier: BSD-2-Clause
/* Packets whose fragments are still coming: a hash table, and a list in the order of their age. */
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include <openssl/crypto.h>

#include <svr/drops.h>

#include "worker/reassembly.h"

enum {
	BUCKETS = 1024,
	SENDERS = 256,
	UNIT = 8, /* bytes; offsets count in these */
	DONE = 64, /* packets that were completed last */
	DONE_MS = 1000,
};
#define NS_PER_MS 1000000ULL

struct part {
	TAILQ_ENTRY(part) entry;
	uint32_t offset, len;
	uint8_t data[];
};
TAILQ_HEAD(parts, part);

struct packet {
	TAILQ_ENTRY(packet) age, bucket;
	struct svr_fragment_key key;
	uint32_t hash;
	uint64_t since_ns;
	struct parts parts; /* by offset, without gaps as far as they go */
	unsigned int n_parts;
	uint32_t have; /* bytes of data */
	uint32_t total; /* 0: the last fragment did not come yet */
	uint32_t largest;
	size_t memory;
	uint8_t head[SVR_REASSEMBLY_HEAD];
	size_t head_len; /* 0: the first fragment did not come yet */
	bool ce;
	bool over; /* an overlap: what still comes is refused */
};
TAILQ_HEAD(packets, packet);

struct sender {
	size_t bytes;
	unsigned int packets;
};

/* What was completed; its key is not used again for longer than this is kept. */
struct done {
	struct svr_fragment_key key;
	uint64_t at_ns; /* 0: none */
};

struct svr_reassembly {
	struct packets age, bucket[BUCKETS];
	struct sender sender[SENDERS];
	struct done done[DONE];
	unsigned int next_done;
	size_t bytes;
	unsigned int packets;
	uint32_t seed;
	svr_reassembly_lost lost;
	void *user;
};

static uint32_t hash_bytes(uint32_t h, const void *data, size_t len)
{
	const uint32_t prime = 16777619; /* FNV-1a */
	const uint8_t *p = data;

	while (len--)
		h = (h ^ *p++) * prime;
	return h ^ h >> 15;
}

static struct sender *sender_of(struct svr_reassembly *r, const struct packet *p)
{
	return &r->sender[hash_bytes(r->seed, p->key.saddr, sizeof(p->key.saddr)) % SENDERS];
}

struct svr_reassembly *svr_reassembly_new(uint32_t seed, svr_reassembly_lost lost, void *user)
{
	struct svr_reassembly *r = calloc(1, sizeof(*r));
	unsigned int i;

	if (!r)
		return NULL;
	TAILQ_INIT(&r->age);
	for (i = 0; i < BUCKETS; i++)
		TAILQ_INIT(&r->bucket[i]);
	r->seed = seed;
	r->lost = lost;
	r->user = user;
	return r;
}

static void memory_take(struct svr_reassembly *r, struct packet *p, size_t bytes)
{
	p->memory += bytes;
	r->bytes += bytes;
	sender_of(r, p)->bytes += bytes;
}

static bool memory_is_there(struct svr_reassembly *r, const struct packet *p, size_t bytes)
{
	return r->bytes + bytes <= SVR_REASSEMBLY_BYTES &&
	       sender_of(r, p)->bytes + bytes <= SVR_REASSEMBLY_SENDER_BYTES;
}

/* All fragments of a packet; it may be plain text that is to be encrypted. */
static void parts_free(struct svr_reassembly *r, struct packet *p)
{
	struct part *part;

	while ((part = TAILQ_FIRST(&p->parts))) {
		size_t size = sizeof(*part) + part->len;

		TAILQ_REMOVE(&p->parts, part, entry);
		p->memory -= size;
		r->bytes -= size;
		sender_of(r, p)->bytes -= size;
		OPENSSL_cleanse(part->data, part->len);
		free(part);
	}
	p->n_parts = 0;
}

static void packet_free(struct svr_reassembly *r, struct packet *p)
{
	parts_free(r, p);
	TAILQ_REMOVE(&r->age, p, age);
	TAILQ_REMOVE(&r->bucket[p->hash % BUCKETS], p, bucket);
	sender_of(r, p)->bytes -= p->memory;
	sender_of(r, p)->packets--;
	r->bytes -= p->memory;
	r->packets--;
	free(p);
}

void svr_reassembly_free(struct svr_reassembly *r)
{
	struct packet *p;

	if (!r)
		return;
	while ((p = TAILQ_FIRST(&r->age)))
		packet_free(r, p);
	free(r);
}

/* The packet itself is given up; it stays known, so that its other fragments make no new one. */
static int give_up(struct svr_reassembly *r, struct packet *p, enum svr_drop reason)
{
	if (p->n_parts)
		r->lost(r->user, p->key.zone, reason, p->n_parts);
	parts_free(r, p);
	p->over = true;
	return -(int)reason;
}

static struct packet *packet_find(struct svr_reassembly *r, const struct svr_fragment_key *key,
				  uint32_t hash)
{
	struct packet *p;

	TAILQ_FOREACH(p, &r->bucket[hash % BUCKETS], bucket)
		if (memcmp(&p->key, key, sizeof(*key)) == 0)
			return p;
	return NULL;
}

/*
 * A piece whose copies arrive when its packet is complete would be the first one of another packet,
 * which nothing completes: a network that doubles some would fill what there is for their sender.
 * Pieces only: hosts number their packets as they like.
 */
static bool is_done(const struct svr_reassembly *r, const struct svr_fragment_key *key,
		    uint64_t now_ns)
{
	unsigned int i;

	if (key->kind != SVR_FRAGMENT_ROUTER)
		return false;
	for (i = 0; i < DONE; i++)
		if (r->done[i].at_ns && now_ns - r->done[i].at_ns < DONE_MS * NS_PER_MS &&
		    r->done[i].key.id == key->id &&
		    memcmp(&r->done[i].key, key, sizeof(*key)) == 0)
			return true;
	return false;
}

static void note_done(struct svr_reassembly *r, const struct svr_fragment_key *key, uint64_t now_ns)
{
	if (key->kind == SVR_FRAGMENT_ROUTER)
		r->done[r->next_done++ % DONE] = (struct done){ .key = *key, .at_ns = now_ns };
}

static struct packet *packet_new(struct svr_reassembly *r, const struct svr_fragment_key *key,
				 uint32_t hash, uint64_t now_ns)
{
	struct packet *p;

	if (r->packets >= SVR_REASSEMBLY_PACKETS)
		return NULL;
	p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	p->key = *key;
	if (sender_of(r, p)->packets >= SVR_REASSEMBLY_SENDER_PACKETS ||
	    !memory_is_there(r, p, sizeof(*p))) {
		free(p);
		return NULL;
	}
	p->hash = hash;
	p->since_ns = now_ns;
	TAILQ_INIT(&p->parts);
	TAILQ_INSERT_TAIL(&r->age, p, age);
	TAILQ_INSERT_HEAD(&r->bucket[hash % BUCKETS], p, bucket);
	r->packets++;
	sender_of(r, p)->packets++;
	memory_take(r, p, sizeof(*p));
	return p;
}

/* Where the packet ends, as far as the fragments say. False: they contradict one another. */
static bool total_fits(struct packet *p, const struct svr_fragment *f)
{
	const struct part *last = TAILQ_LAST(&p->parts, parts);
	uint32_t end = f->offset + (uint32_t)f->len;

	if (f->more)
		return !p->total || end < p->total;
	if ((p->total && p->total != end) || (last && last->offset + last->len > end))
		return false;
	p->total = end;
	return true;
}

/* 0, or the reason why it cannot be put between the others. */
static int part_insert(struct svr_reassembly *r, struct packet *p, const struct svr_fragment *f)
{
	struct part *before, *part, *after;
	size_t size = sizeof(*part) + f->len;

	TAILQ_FOREACH_REVERSE(before, &p->parts, parts, entry)
		if (before->offset <= f->offset)
			break;
	after = before ? TAILQ_NEXT(before, entry) : TAILQ_FIRST(&p->parts);
	/* The network doubles packets; the copy is refused, the packet goes on (RFC 8200 4.5) */
	if (before && before->offset == f->offset && before->len == f->len &&
	    memcmp(before->data, f->data, f->len) == 0)
		return -SVR_DROP_FRAGMENT_OVERLAP;
	if ((before && before->offset + before->len > f->offset) ||
	    (after && f->offset + f->len > after->offset))
		return give_up(r, p, SVR_DROP_FRAGMENT_OVERLAP);
	if (p->n_parts >= SVR_REASSEMBLY_PARTS || !memory_is_there(r, p, size))
		return -SVR_DROP_FRAGMENT_FULL;
	part = malloc(size);
	if (!part)
		return -SVR_DROP_FRAGMENT_FULL;
	part->offset = f->offset;
	part->len = (uint32_t)f->len;
	memcpy(part->data, f->data, f->len);
	if (before)
		TAILQ_INSERT_AFTER(&p->parts, before, part, entry);
	else
		TAILQ_INSERT_HEAD(&p->parts, part, entry);
	memory_take(r, p, size);
	p->n_parts++;
	p->have += (uint32_t)f->len;
	return 0;
}

static struct svr_reassembled *packet_whole(const struct packet *p)
{
	struct svr_reassembled *out = malloc(sizeof(*out) + p->head_len + p->total);
	const struct part *part;

	if (!out)
		return NULL;
	out->head_len = p->head_len;
	out->len = p->head_len + p->total;
	out->largest = (uint16_t)p->largest;
	out->ce = p->ce;
	memcpy(out->data, p->head, p->head_len);
	TAILQ_FOREACH(part, &p->parts, entry)
		memcpy(out->data + p->head_len + part->offset, part->data, part->len);
	return out;
}

static bool fragment_fits(const struct svr_fragment *f)
{
	return f->len && f->head_len <= SVR_REASSEMBLY_HEAD && f->offset % UNIT == 0 &&
	       (!f->more || f->len % UNIT == 0) && f->offset + f->len <= SVR_PACKET_MAX;
}

int svr_reassembly_add(struct svr_reassembly *r, const struct svr_fragment *f, uint64_t now_ns,
		       struct svr_reassembled **out)
{
	uint32_t hash = hash_bytes(r->seed, &f->key, sizeof(f->key));
	struct packet *p;
	int err;

	*out = NULL;
	if (!fragment_fits(f))
		return -SVR_DROP_FRAGMENT_LENGTH;
	svr_reassembly_expire(r, now_ns);
	p = packet_find(r, &f->key, hash);
	if (!p && is_done(r, &f->key, now_ns))
		return -SVR_DROP_FRAGMENT_OVERLAP;
	if (!p)
		p = packet_new(r, &f->key, hash, now_ns);
	if (!p)
		return -SVR_DROP_FRAGMENT_FULL;
	if (p->over)
		return -SVR_DROP_FRAGMENT_OVERLAP;
	if (!total_fits(p, f))
		return give_up(r, p, SVR_DROP_FRAGMENT_LENGTH);
	err = part_insert(r, p, f);
	if (err)
		return err;
	if (f->offset == 0) {
		memcpy(p->head, f->head, f->head_len);
		p->head_len = f->head_len;
	}
	if (f->len > p->largest)
		p->largest = (uint32_t)f->len;
	p->ce |= f->ce;
	if (!p->total || p->have != p->total)
		return 0;
	*out = packet_whole(p);
	packet_free(r, p);
	note_done(r, &f->key, now_ns);
	return *out ? 0 : -SVR_DROP_FRAGMENT_FULL;
}

bool svr_reassembly_expire(struct svr_reassembly *r, uint64_t now_ns)
{
	struct packet *p;

	while ((p = TAILQ_FIRST(&r->age)) &&
	       now_ns - p->since_ns >= SVR_REASSEMBLY_MS * NS_PER_MS) {
		if (p->n_parts)
			r->lost(r->user, p->key.zone, SVR_DROP_FRAGMENT_TIMEOUT, p->n_parts);
		packet_free(r, p);
	}
	return p != NULL;
}

unsigned int svr_reassembly_packets(const struct svr_reassembly *r)
{
	return r->packets;
}

size_t svr_reassembly_bytes(const struct svr_reassembly *r)
{
	return r->bytes;
}
