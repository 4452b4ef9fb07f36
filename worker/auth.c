// SPDX-License-Identifier: BSD-2-Clause
/* Verification of tags and checksums of packets from peers. */
#include <svr/drops.h>

#include "lib/window.h"
#include "lib/shared.h"
#include "worker/auth.h"
#include "worker/seal.h"
#include "worker/thread.h"

enum {
	SKEW_EARLY = 60, /* windows: how far an old packet or a wrong clock is looked for */
	SKEW_LATE = 30,
	SKEW_PER_SEC = 100, /* searches; each costs up to 90 tags */
};

/* The packet is opened if it fits; otherwise its text is garbage until the next attempt. */
static bool gcm_fits(struct svr_thread *t, const struct svr_pkt *p, struct svr_seal *seal,
		     const struct svr_seal_input *in)
{
	struct svr_crypt_job *one = &seal->job;

	if (svr_seal_again(t->crypt, seal, in, p))
		return false;
	svr_crypt_open(t->crypt, &one, 1);
	return !seal->job.err;
}

static bool tag_fits(struct svr_thread *t, const struct svr_pkt *p, const struct svr_auth *a,
		     uint64_t window)
{
	const struct svr_seal_input in = { .window = window, .uuid = a->uuid, .dir = a->dir };

	if (a->gcm)
		return gcm_fits(t, p, a->gcm, &in);
	return svr_seal_verify(t->crypt, a->key, svr_hmac_tag_len(a->hmac), &in, p);
}

/* Only to name the reason: a clock that is off, or an old copy, looks like a forgery otherwise. */
static int skew_or_forged(struct svr_thread *t, const struct svr_pkt *p, const struct svr_auth *a,
			  uint64_t expected)
{
	unsigned int i;

	if (a->hmac_mode != SVR_HMAC_MODE_TIME_BASED ||
	    !svr_tokens_take(&t->skew_tokens, t->now_ns, SKEW_PER_SEC))
		return -SVR_DROP_HMAC;
	for (i = 2; i <= SKEW_EARLY; i++)
		if ((i <= SKEW_LATE && tag_fits(t, p, a, expected + i)) ||
		    (expected >= i && tag_fits(t, p, a, expected - i)))
			return -SVR_DROP_HMAC_SKEW;
	return -SVR_DROP_HMAC;
}

static void windows_of(const struct svr_thread *t, const struct svr_auth *a,
		       struct svr_window_rx *rx)
{
	svr_window_rx(a->hmac_mode, t->real_ns, svr_keys_clock_offset(t->maps, a->peer),
		      a->hint ? *a->hint : 0, rx);
}

uint64_t svr_auth_likely_window(const struct svr_thread *t, const struct svr_auth *a)
{
	struct svr_window_rx rx;

	windows_of(t, a, &rx);
	return rx.window[0];
}

static void window_fits(struct svr_auth *a, const struct svr_window_rx *rx, unsigned int i)
{
	a->window = rx->window[i];
	if (a->hint)
		svr_shared_set(*a->hint, rx->shift[i]);
}

static bool tag_of_key(struct svr_thread *t, const struct svr_pkt *p, struct svr_auth *a,
		       const struct svr_window_rx *rx, const uint64_t *tried)
{
	unsigned int i;

	for (i = 0; i < rx->count; i++) {
		if ((!tried || rx->window[i] != *tried) && tag_fits(t, p, a, rx->window[i])) {
			window_fits(a, rx, i);
			return true;
		}
	}
	return false;
}

static void keys_swap(struct svr_auth *a)
{
	struct svr_hmac_key *key = a->key;

	a->key = a->other;
	a->other = key;
}

int svr_auth_tag(struct svr_thread *t, const struct svr_pkt *p, struct svr_auth *a)
{
	int64_t offset_ns = svr_keys_clock_offset(t->maps, a->peer);
	uint64_t expected = svr_window_number(svr_clock_shift(t->real_ns, offset_ns));
	struct svr_window_rx rx;
	int err;

	windows_of(t, a, &rx);
	if (tag_of_key(t, p, a, &rx, a->tried))
		return 0;
	if (!a->other)
		return skew_or_forged(t, p, a, expected);
	keys_swap(a);
	if (tag_of_key(t, p, a, &rx, NULL))
		return 0;
	err = skew_or_forged(t, p, a, expected);
	if (err != -SVR_DROP_HMAC)
		return err;
	keys_swap(a);
	return skew_or_forged(t, p, a, expected);
}

int svr_auth_checksum(const struct svr_pkt *p)
{
	switch (svr_packet_csum_state(p)) {
	case SVR_CSUM_NONE:
	case SVR_CSUM_FULL:
		return 0;
	case SVR_CSUM_PARTIAL: /* nothing between two routers may complete it */
	case SVR_CSUM_WRONG:
		break;
	}
	return -SVR_DROP_BAD_CSUM;
}

int svr_auth_check(struct svr_thread *t, const struct svr_pkt *p, struct svr_auth *a)
{
	int err = svr_auth_tag(t, p, a);

	return err ? err : svr_auth_checksum(p);
}
