// SPDX-License-Identifier: BSD-2-Clause
/*
 * Path MTU discovery. A search keeps two sizes, the largest that passed and the smallest that
 * failed, and ends when nothing is between them. The whole interface MTU is tried first, because
 * that is mostly it; then what an earlier search or ICMP named, and one byte more; then the middle.
 */
#include "lib/pathmtu.h"

static uint16_t lowest(const struct svr_pathmtu *m)
{
	return m->passed ? m->passed : (uint16_t)(m->config.min - 1);
}

/* The next size worth a probe; 0: the search is over. */
static uint16_t choose(struct svr_pathmtu *m)
{
	uint16_t low = lowest(m), hint = m->hint;

	m->hint = 0;
	if (m->failed - low <= 1)
		return 0;
	if (!m->passed && m->failed > m->config.max)
		return m->config.max;
	if (hint > low && hint < m->failed) {
		m->hinted = true;
		return hint;
	}
	if (m->hinted && m->passed)
		return (uint16_t)(m->passed + 1); /* if the hint was right, this one fails */
	return (uint16_t)(low + (m->failed - low) / 2);
}

static void finish(struct svr_pathmtu *m, uint64_t now_ns)
{
	m->searching = false;
	m->result = m->passed;
	m->unresolvable = m->passed == 0;
	m->next_ns = now_ns + m->config.interval_s * SVR_NS_PER_SEC;
}

static void probe_next(struct svr_pathmtu *m, uint64_t now_ns)
{
	m->tries = 0;
	m->probing = choose(m);
	m->next_ns = now_ns;
	if (!m->probing)
		finish(m, now_ns);
}

static void search(struct svr_pathmtu *m, uint64_t now_ns)
{
	m->searching = true;
	m->passed = 0;
	m->failed = (uint16_t)(m->config.max + 1);
	m->hinted = false;
	probe_next(m, now_ns);
	m->hint = m->result;
}

bool svr_pathmtu_tick(struct svr_pathmtu *m, uint64_t rtt_ns, uint32_t *id, uint16_t *size,
		      uint64_t now_ns)
{
	uint64_t wait_ns = 4 * rtt_ns + SVR_PATHMTU_WAIT_MIN_MS * SVR_NS_PER_MS;

	if (!m->running || now_ns < m->next_ns)
		return false;
	if (!m->searching) {
		search(m, now_ns);
	} else if (m->tries == SVR_PATHMTU_TRIES) {
		m->failed = m->probing;
		if (m->hinted && m->probing != m->passed + 1)
			m->hinted = false; /* not even what the hint said */
		probe_next(m, now_ns);
	}
	if (!m->searching)
		return false;
	if (rtt_ns == 0 || wait_ns > SVR_PATHMTU_WAIT_MAX_MS * SVR_NS_PER_MS)
		wait_ns = SVR_PATHMTU_WAIT_MAX_MS * SVR_NS_PER_MS;
	m->next_ns = now_ns + wait_ns;
	m->tries++;
	m->probes++;
	*id = ++m->id;
	*size = m->probing;
	return true;
}

uint64_t svr_pathmtu_next(const struct svr_pathmtu *m)
{
	return m->running ? m->next_ns : UINT64_MAX;
}

void svr_pathmtu_answer(struct svr_pathmtu *m, uint32_t id, uint16_t size, uint64_t now_ns)
{
	/* Of this size any try will do: the answer to an earlier one may be late. */
	if (!m->running || !m->searching || size != m->probing || m->tries == 0 ||
	    m->id - id >= m->tries)
		return;
	m->answers++;
	if (m->hinted && m->passed && size == m->passed + 1)
		m->hinted = false; /* more passes than the hint said: it was wrong */
	m->passed = size;
	probe_next(m, now_ns);
}

void svr_pathmtu_too_big(struct svr_pathmtu *m, uint32_t mtu, uint64_t now_ns)
{
	if (!m->running || !m->searching || m->tries == 0 || mtu <= lowest(m) || mtu >= m->probing)
		return;
	if (m->hinted && m->probing == m->passed + 1)
		return; /* it repeats itself, and this size has to fail by silence */
	/*
	 * The size under way is left where it is: neither passed nor failed. If the hint is a lie,
	 * the sizes above it are tried again.
	 */
	m->hint = (uint16_t)mtu;
	m->tries = 0;
	m->hinted = true;
	m->probing = m->hint;
	m->hint = 0;
	m->next_ns = now_ns;
}

void svr_pathmtu_start(struct svr_pathmtu *m, uint16_t known, uint64_t now_ns)
{
	if (m->running || !m->config.enabled)
		return;
	m->running = true;
	m->searching = false;
	m->result = known;
	m->next_ns = now_ns;
}

void svr_pathmtu_stop(struct svr_pathmtu *m)
{
	m->running = false;
	m->searching = false;
}

void svr_pathmtu_configure(struct svr_pathmtu *m, const struct svr_pathmtu_config *config,
			   uint64_t now_ns)
{
	const struct svr_pathmtu_config *c = &m->config;
	bool running = m->running;

	if (c->enabled == config->enabled && c->interval_s == config->interval_s &&
	    c->min == config->min && c->max == config->max)
		return;
	svr_pathmtu_stop(m);
	m->config = *config;
	if (!config->enabled) {
		m->result = 0;
		m->unresolvable = false;
	} else if (running) {
		svr_pathmtu_start(m, m->result, now_ns);
	}
}
