/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the data thread hands to the main thread: frames that wait for a next hop or have to go
 * through XDP again. A list under a mutex with an eventfd; used per exception, never per packet.
 */
#ifndef SVR_WORKER_MAILBOX_H
#define SVR_WORKER_MAILBOX_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <linux/types.h>

struct svr_worker;

enum svr_letter_kind {
	SVR_LETTER_XDP, /* frame as received: run the XDP program of its interface on it (again) */
	SVR_LETTER_SEND, /* finished IP packet: only the link-layer addresses are missing */
	/* for whole.c, as received: */
	SVR_LETTER_FRAGMENT, /* fragment of IP */
	SVR_LETTER_PIECE, /* piece of a packet between routers */
	SVR_LETTER_WHOLE, /* packet of a clear session that has to be cut */
};

/* What is known of a packet that may be longer than what leaves; see whole.h. */
struct svr_whole_terms {
	bool whole; /* it was put together */
	bool may_cut; /* it may leave in fragments or pieces again */
	uint16_t largest; /* longest IP fragment that it came in, bytes; 0: it came whole */
};

struct svr_letter {
	TAILQ_ENTRY(svr_letter) entry;
	uint64_t since_ns; /* CLOCK_MONOTONIC */
	uint8_t kind; /* enum svr_letter_kind */
	struct svr_whole_terms terms;
	uint8_t l3_off; /* of a frame as received: bytes to the IP header */
	uint16_t in_zone; /* where it arrived; drops are counted there */
	uint16_t zone; /* where the neighbour is; 0: none is needed */
	__be32 addr[4]; /* the neighbour */
	int ifindex; /* SVR_LETTER_XDP: device and queue that it arrived on */
	uint32_t queue;
	uint32_t len;
	/* From the Ethernet header; SVR_LETTER_SEND: from the IP header */
	uint8_t data[];
};
TAILQ_HEAD(svr_letters, svr_letter);

enum {
	SVR_HOLD_ALL = 256, /* letters on their way or waiting for a next hop */
	SVR_WHOLE_ALL = 1024, /* letters on their way to whole.c */
	SVR_HOLD_PER_NEIGHBOUR = 8,
};

struct svr_mailbox {
	pthread_mutex_t lock;
	struct svr_letters letters;
	int event_fd;
	uint32_t most; /* of them */
	uint32_t count; /* atomic: letters that exist, posted or held */
};

int svr_mailbox_init(struct svr_mailbox *m, uint32_t most); /* 0 or negative errno */
void svr_mailbox_free(struct svr_mailbox *m);

/* NULL if too many exist already (-> hold-full) or memory is short. Data is copied. */
struct svr_letter *svr_letter_new(struct svr_mailbox *m, const void *data, size_t len);
void svr_letter_free(struct svr_mailbox *m,
		     struct svr_letter *l); /* wipes: it may hold plain text */
void svr_mailbox_post(struct svr_mailbox *m, struct svr_letter *l);
/* @take all that were posted, in order; it owns each of them. */
typedef void (*svr_letter_fn)(struct svr_worker *w, struct svr_letter *l);
void svr_mailbox_drain(struct svr_mailbox *m, svr_letter_fn take, struct svr_worker *w);

#endif
