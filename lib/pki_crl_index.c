// SPDX-License-Identifier: BSD-2-Clause
/*
 * Serial numbers of a revocation list: found at the same cost among ten and among a million.
 *
 * Serials of one length stand together in an array of rows of equal size (serial, date, reason), so
 * a row needs no pointer and no length. A hash table with open addressing holds numbers of rows.
 * About 35 bytes for a serial of 16 bytes; nothing is allocated per entry.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/pki_internal.h"

enum {
	INDEX_TAIL = 5, /* bytes behind the serial of a row: date, reason */
	INDEX_FREE = 0, /* slot of the table; else number of the row + 1 */
};

struct index_class { /* all serials of one length */
	uint32_t first, count; /* numbers of their rows; rows in use */
	size_t offset; /* of the first one */
};

struct pki_index {
	struct index_class class[PKI_SERIAL_DER_MAX + 1]; /* by length */
	uint8_t *rows;
	uint32_t *table;
	uint32_t mask; /* slots - 1 */
	size_t n_rows_bytes, n_slots, count;
};

static size_t row_size(size_t len)
{
	return len + INDEX_TAIL;
}

/* Multiply and fold: an authority that is trusted picks the serials, so no secret is needed. */
static uint32_t hash_serial(const uint8_t *serial, size_t len)
{
	uint64_t h = len * UINT64_C(0x9e3779b97f4a7c15), word;

	while (len) {
		size_t n = len < sizeof(word) ? len : sizeof(word);

		word = 0;
		memcpy(&word, serial, n);
		h = (h ^ word) * UINT64_C(0xff51afd7ed558ccd);
		h ^= h >> 32;
		serial += n;
		len -= n;
	}
	h *= UINT64_C(0xc4ceb9fe1a85ec53);
	return (uint32_t)(h ^ (h >> 33));
}

static uint8_t *row_at(const struct pki_index *x, size_t len, uint32_t number)
{
	const struct index_class *c = &x->class[len];

	return x->rows + c->offset + (size_t)(number - c->first) * row_size(len);
}

/* The slot with this serial, or the free one where it would be. */
static uint32_t *slot_of(const struct pki_index *x, const uint8_t *serial, size_t len)
{
	const struct index_class *c = &x->class[len];
	uint32_t at = hash_serial(serial, len) & x->mask, number;

	for (;; at = (at + 1) & x->mask) {
		if (x->table[at] == INDEX_FREE)
			return &x->table[at];
		number = x->table[at] - 1;
		if (number >= c->first && number - c->first < c->count &&
		    memcmp(row_at(x, len, number), serial, len) == 0)
			return &x->table[at];
	}
}

static void row_read(const uint8_t *row, size_t len, struct pki_index_entry *e)
{
	e->serial = row;
	e->len = len;
	memcpy(&e->revoked_sec, row + len, sizeof(e->revoked_sec));
	e->reason = row[len + sizeof(e->revoked_sec)];
}

static void index_insert(struct pki_index *x, const struct pki_index_entry *e)
{
	struct index_class *c = &x->class[e->len];
	uint32_t *slot = slot_of(x, e->serial, e->len);
	uint8_t *row;

	if (*slot != INDEX_FREE)
		return; /* the list has it twice; the first date is the one that counts */
	*slot = c->first + c->count + 1;
	row = row_at(x, e->len, c->first + c->count);
	c->count++;
	memcpy(row, e->serial, e->len);
	memcpy(row + e->len, &e->revoked_sec, sizeof(e->revoked_sec));
	row[e->len + sizeof(e->revoked_sec)] = e->reason;
	x->count++;
}

/* Room for everything: @counts by length. */
static int index_alloc(struct pki_index *x, const uint32_t counts[static PKI_SERIAL_DER_MAX + 1])
{
	uint32_t total = 0, len;

	for (len = 1; len <= PKI_SERIAL_DER_MAX; len++) {
		x->class[len].first = total;
		x->class[len].offset = x->n_rows_bytes;
		total += counts[len];
		x->n_rows_bytes += (size_t)counts[len] * row_size(len);
	}
	/* at most two thirds full: a look-up takes two probes, whatever the number */
	x->n_slots = 8;
	while (x->n_slots * 2 < (size_t)total * 3)
		x->n_slots *= 2;
	x->mask = (uint32_t)(x->n_slots - 1);
	x->rows = malloc(x->n_rows_bytes ? x->n_rows_bytes : 1);
	x->table = calloc(x->n_slots, sizeof(*x->table));
	return x->rows && x->table ? 0 : -ENOMEM;
}

static int index_count(int (*next)(void *user, struct pki_index_entry *e), void *user,
		       uint32_t counts[static PKI_SERIAL_DER_MAX + 1])
{
	struct pki_index_entry e;
	uint32_t total = 0;
	int ret;

	while ((ret = next(user, &e)) == 1) {
		if (e.len == 0 || e.len > PKI_SERIAL_DER_MAX)
			return -EINVAL;
		if (++total > SVR_PKI_CRL_ENTRIES_MAX)
			return -E2BIG;
		counts[e.len]++;
	}
	return ret;
}

int svr_pki_index_build(int (*next)(void *user, struct pki_index_entry *e), void *user,
			struct pki_index **out)
{
	uint32_t counts[PKI_SERIAL_DER_MAX + 1] = { 0 };
	struct pki_index *x = calloc(1, sizeof(*x));
	struct pki_index_entry e;
	int ret = -ENOMEM;

	*out = NULL;
	if (!x)
		return -ENOMEM;
	ret = index_count(next, user, counts);
	if (!ret)
		ret = index_alloc(x, counts);
	while (!ret && (ret = next(user, &e)) == 1) {
		index_insert(x, &e);
		ret = 0;
	}
	if (ret)
		svr_pki_index_free(x);
	else
		*out = x;
	return ret;
}

void svr_pki_index_free(struct pki_index *x)
{
	if (!x)
		return;
	free(x->rows);
	free(x->table);
	free(x);
}

bool svr_pki_index_find(const struct pki_index *x, const uint8_t *serial, size_t len,
			struct pki_index_entry *e)
{
	const uint32_t *slot;

	if (len == 0 || len > PKI_SERIAL_DER_MAX)
		return false;
	slot = slot_of(x, serial, len);
	if (*slot == INDEX_FREE)
		return false;
	if (e)
		row_read(row_at(x, len, *slot - 1), len, e);
	return true;
}

size_t svr_pki_index_count(const struct pki_index *x)
{
	return x->count;
}

size_t svr_pki_index_memory(const struct pki_index *x)
{
	return sizeof(*x) + x->n_rows_bytes + x->n_slots * sizeof(*x->table);
}

int svr_pki_index_walk(const struct pki_index *x,
		       int (*each)(void *user, const struct pki_index_entry *e), void *user)
{
	struct pki_index_entry e;
	uint32_t i;
	size_t len;
	int ret;

	for (len = 1; len <= PKI_SERIAL_DER_MAX; len++)
		for (i = 0; i < x->class[len].count; i++) {
			row_read(row_at(x, len, x->class[len].first + i), len, &e);
			ret = each(user, &e);
			if (ret)
				return ret;
		}
	return 0;
}
