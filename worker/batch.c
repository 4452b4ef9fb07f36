// SPDX-License-Identifier: BSD-2-Clause
/* Stages of a batch of frames. */
#include <stddef.h>
#include <string.h>

#include <svr/drops.h>

#include "worker/batch.h"
#include "worker/forward.h"
#include "worker/inbound.h"
#include "worker/outbound.h"
#include "worker/session_keys.h"
#include "worker/thread.h"

enum { CACHE_LINE = 64 }; /* bytes; a guess is good enough */

/*
 * What XDP wrote in front of the frame. It is taken away, so that a frame without one never shows
 * an old one.
 */
static int desc_take(struct svr_work *w, uint64_t addr)
{
	uint8_t *at = w->frame - sizeof(w->desc);

	if (addr - svr_frame_chunk(addr) < sizeof(w->desc))
		return -SVR_DROP_BAD_META_AREA;
	memcpy(&w->desc, at, sizeof(w->desc));
	memset(at, 0, sizeof(w->desc.magic));
	if (w->desc.magic != SVR_FRAME_MAGIC) {
		w->desc = (struct svr_frame_desc){ 0 };
		return -SVR_DROP_BAD_META_AREA;
	}
	return 0;
}

/*
 * A packet in several frames, or in one without room behind it for padding and tag, copied into one
 * piece of memory so that all that follows is as ever. The frames are free afterwards.
 */
static int jumbo_begin(struct svr_thread *t, struct svr_work *w, uint16_t port,
		       const struct xdp_desc *d, unsigned int n)
{
	unsigned int i;
	int err = 0;

	*w = (struct svr_work){
		.pkt = { .room = t->jumbo, .room_end = t->jumbo + SVR_JUMBO_SIZE },
		.addr = UINT64_MAX,
		.frame = t->jumbo + SVR_JUMBO_FRONT,
		.port = port,
	};
	/* The description stands in front of the first frame, and goes with it */
	memcpy(w->frame - sizeof(w->desc), svr_frame_data(&t->umem, d->addr) - sizeof(w->desc),
	       sizeof(w->desc));
	for (i = 0; i < n; i++) {
		if (w->frame_len + d[i].len > SVR_JUMBO_SIZE - SVR_JUMBO_FRONT - SVR_FRAME_TAIL)
			err = -SVR_DROP_TOO_BIG;
		if (!err)
			memcpy(w->frame + w->frame_len, svr_frame_data(&t->umem, d[i].addr),
			       d[i].len);
		w->frame_len += d[i].len;
		svr_frame_put(&t->umem, svr_frame_chunk(d[i].addr));
	}
	return err ? err : desc_take(w, SVR_JUMBO_FRONT);
}

static void work_begin(struct svr_thread *t, struct svr_work *w, uint16_t port,
		       const struct xdp_desc *d)
{
	uint8_t *chunk = svr_frame_data(&t->umem, svr_frame_chunk(d->addr));

	memset(w, 0, offsetof(struct svr_work, seal));
	w->pkt.room = chunk;
	w->pkt.room_end = chunk + SVR_FRAME_SIZE;
	w->addr = svr_frame_chunk(d->addr);
	w->frame = svr_frame_data(&t->umem, d->addr);
	w->frame_len = d->len;
	w->port = port;
}

/*
 * Another CPU has just written the frame. Its cache lines come one after the other while it is read;
 * asked for beforehand, they come together, while the frame in front of it is worked on.
 */
static void frame_prefetch(const struct svr_thread *t, const struct xdp_desc *d)
{
	const uint8_t *frame = svr_frame_data(&t->umem, d->addr);
	const uint8_t *p = frame - sizeof(struct svr_frame_desc);

	for (; p < frame + d->len; p += CACHE_LINE)
		__builtin_prefetch(p, 1);
}

/* A step of one frame ended with @err. */
static void step_end(struct svr_thread *t, struct svr_work *w, int err)
{
	if (!err)
		return;
	svr_count_drop(&t->counters, w->desc.zone, (unsigned int)-err);
	w->stage = SVR_STAGE_OVER;
}

static void work_end(struct svr_thread *t, struct svr_work *w)
{
	svr_keyset_put(t->keysets, w->keys);
	if (!w->gone && w->addr != UINT64_MAX)
		svr_frame_put(&t->umem, w->addr);
}

/* Jobs of the frames at @stage. GCM is verified by decrypting, so it has jobs of its own. */
static unsigned int jobs_collect(struct svr_batch *b, enum svr_stage stage, bool gcm)
{
	unsigned int i, n = 0;

	for (i = 0; i < b->count; i++) {
		struct svr_work *w = &b->work[i];

		if (w->stage == stage && w->in.opened == gcm)
			b->job[n++] = &w->seal.job;
	}
	return n;
}

static void seal_all(struct svr_thread *t, struct svr_batch *b)
{
	unsigned int n = jobs_collect(b, SVR_STAGE_SEAL, false);

	if (n)
		svr_crypt_seal(t->crypt, b->job, n);
}

static void verify_all(struct svr_thread *t, struct svr_batch *b)
{
	unsigned int i, n = jobs_collect(b, SVR_STAGE_VERIFY, false), gcm;

	if (n)
		svr_crypt_tag(t->crypt, b->job, n);
	gcm = jobs_collect(b, SVR_STAGE_VERIFY, true);
	if (gcm)
		svr_crypt_open(t->crypt, b->job, gcm);
	for (i = 0; n + gcm > 0 && i < b->count; i++)
		if (b->work[i].stage == SVR_STAGE_VERIFY)
			step_end(t, &b->work[i], svr_inbound_verified(t, &b->work[i]));
}

static void open_all(struct svr_thread *t, struct svr_batch *b)
{
	unsigned int n = jobs_collect(b, SVR_STAGE_OPEN, false);

	if (n)
		svr_crypt_open(t->crypt, b->job, n);
}

/* All cryptography of the batch, timed. */
static void crypto_all(struct svr_thread *t, struct svr_batch *b)
{
	const uint64_t begun_ns = svr_thread_clock_ns();

	seal_all(t, b);
	verify_all(t, b);
	open_all(t, b);
	svr_thist(&t->stats, SVR_THIST_CRYPTO, svr_thread_clock_ns() - begun_ns);
}

static void finish(struct svr_thread *t, struct svr_work *w)
{
	switch (w->stage) {
	case SVR_STAGE_SEAL:
		step_end(t, w, svr_outbound_finish(t, w));
		break;
	case SVR_STAGE_OPEN:
	case SVR_STAGE_OPENED:
		step_end(t, w, svr_inbound_finish(t, w));
		break;
	case SVR_STAGE_VERIFY:
	case SVR_STAGE_OVER:
		break;
	}
}

/* From the first stage on. */
static void run(struct svr_thread *t, struct svr_batch *b)
{
	unsigned int i;

	crypto_all(t, b);
	for (i = 0; i < b->count; i++)
		finish(t, &b->work[i]);
	for (i = 0; i < b->count; i++)
		work_end(t, &b->work[i]);
}

void svr_batch_run_one(struct svr_thread *t, const struct svr_work *work)
{
	struct svr_batch *b = t->batch;
	struct svr_work *w = &b->work[0];

	b->count = 1;
	memcpy(w, work, offsetof(struct svr_work, seal));
	step_end(t, w, svr_forward_frame(t, w));
	run(t, b);
}

/* Packets of one frame each. */
static void singles_run(struct svr_thread *t, uint16_t port, const struct xdp_desc frames[],
			unsigned int count)
{
	struct svr_batch *b = t->batch;
	unsigned int i;
	int err;

	b->count = count;
	frame_prefetch(t, &frames[0]);
	for (i = 0; i < count; i++) {
		if (i + 1 < count)
			frame_prefetch(t, &frames[i + 1]);
		work_begin(t, &b->work[i], port, &frames[i]);
		err = desc_take(&b->work[i], frames[i].addr);
		if (!err)
			err = svr_forward_frame(t, &b->work[i]);
		step_end(t, &b->work[i], err);
	}
	run(t, b);
}

void svr_batch_run(struct svr_thread *t, uint16_t port, const struct xdp_desc frames[],
		   unsigned int count)
{
	unsigned int from, to, n;
	struct svr_work jumbo;
	int err;

	for (from = 0; from < count; from = to + n) {
		for (to = from, n = 1; to < count; to++) {
			n = svr_frames_of(&frames[to], count - to);
			if (n > 1 || frames[to].len > SVR_FRAME_MAX)
				break;
		}
		if (to > from)
			singles_run(t, port, &frames[from], to - from);
		if (to == count)
			break;
		err = jumbo_begin(t, &jumbo, port, &frames[to], n);
		if (err)
			svr_count_drop(&t->counters, jumbo.desc.zone, (unsigned int)-err);
		else
			svr_batch_run_one(t, &jumbo);
	}
}
