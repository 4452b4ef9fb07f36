// SPDX-License-Identifier: BSD-2-Clause
/* Letters from the data thread to the main thread. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <openssl/crypto.h>

#include "worker/mailbox.h"

int svr_mailbox_init(struct svr_mailbox *m, uint32_t most)
{
	memset(m, 0, sizeof(*m));
	m->most = most;
	TAILQ_INIT(&m->letters);
	pthread_mutex_init(&m->lock, NULL);
	m->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	return m->event_fd < 0 ? -errno : 0;
}

void svr_mailbox_free(struct svr_mailbox *m)
{
	struct svr_letter *l;

	while ((l = TAILQ_FIRST(&m->letters))) {
		TAILQ_REMOVE(&m->letters, l, entry);
		svr_letter_free(m, l);
	}
	if (m->event_fd >= 0)
		close(m->event_fd);
	pthread_mutex_destroy(&m->lock);
}

struct svr_letter *svr_letter_new(struct svr_mailbox *m, const void *data, size_t len)
{
	struct svr_letter *l = NULL;

	if (__atomic_fetch_add(&m->count, 1, __ATOMIC_RELAXED) < m->most)
		l = calloc(1, sizeof(*l) + len);
	if (!l) {
		__atomic_fetch_sub(&m->count, 1, __ATOMIC_RELAXED);
		return NULL;
	}
	l->len = (uint32_t)len;
	memcpy(l->data, data, len);
	return l;
}

void svr_letter_free(struct svr_mailbox *m, struct svr_letter *l)
{
	OPENSSL_cleanse(l->data, l->len);
	free(l);
	__atomic_fetch_sub(&m->count, 1, __ATOMIC_RELAXED);
}

void svr_mailbox_post(struct svr_mailbox *m, struct svr_letter *l)
{
	const uint64_t one = 1;

	pthread_mutex_lock(&m->lock);
	TAILQ_INSERT_TAIL(&m->letters, l, entry);
	pthread_mutex_unlock(&m->lock);
	/* Can only fail when the counter is full, and then the reader has been woken already */
	if (write(m->event_fd, &one, sizeof(one)) < 0)
		return;
}

void svr_mailbox_drain(struct svr_mailbox *m, svr_letter_fn take, struct svr_worker *w)
{
	struct svr_letters posted = TAILQ_HEAD_INITIALIZER(posted);
	struct svr_letter *l;
	uint64_t n;

	if (read(m->event_fd, &n, sizeof(n)) < 0 && errno != EAGAIN)
		return;
	pthread_mutex_lock(&m->lock);
	TAILQ_CONCAT(&posted, &m->letters, entry);
	pthread_mutex_unlock(&m->lock);
	while ((l = TAILQ_FIRST(&posted))) {
		TAILQ_REMOVE(&posted, l, entry);
		take(w, l);
	}
}
