// SPDX-License-Identifier: BSD-2-Clause
/* Hash maps and tries by difference. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>

#include "keyed.h"

static size_t row_size(const struct svr_keyed *k)
{
	return k->key_size + k->value_size;
}

static uint8_t *row(const struct svr_keyed *k, uint32_t i)
{
	return k->rows + i * row_size(k);
}

void svr_keyed_init(struct svr_keyed *k, size_t key_size, size_t value_size)
{
	memset(k, 0, sizeof(*k));
	k->key_size = key_size;
	k->value_size = value_size;
}

void svr_keyed_free(struct svr_keyed *k)
{
	free(k->rows);
	k->rows = NULL;
	k->n = 0;
	k->cap = 0;
}

int svr_keyed_add(struct svr_keyed *k, const void *key, const void *value)
{
	if (k->n == k->cap) {
		uint32_t cap = k->cap ? 2 * k->cap : 64;
		uint8_t *bigger = reallocarray(k->rows, cap, row_size(k));

		if (!bigger)
			return -ENOMEM;
		k->rows = bigger;
		k->cap = cap;
	}
	memcpy(row(k, k->n), key, k->key_size);
	memcpy(row(k, k->n) + k->key_size, value, k->value_size);
	k->n++;
	return 0;
}

static int compare(const void *a, const void *b, void *size)
{
	return memcmp(a, b, *(size_t *)size);
}

void svr_keyed_seal(struct svr_keyed *k)
{
	size_t size = row_size(k);
	uint32_t n = 0;

	if (k->n)
		qsort_r(k->rows, k->n, size, compare, &size);
	for (uint32_t i = 0; i < k->n; i++) {
		if (n && !memcmp(row(k, n - 1), row(k, i), k->key_size))
			continue;
		if (n != i)
			memcpy(row(k, n), row(k, i), row_size(k));
		n++;
	}
	k->n = n;
}

const void *svr_keyed_find(const struct svr_keyed *k, const void *key)
{
	uint32_t lo = 0, hi = k->n;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		int c = memcmp(key, row(k, mid), k->key_size);

		if (!c)
			return row(k, mid) + k->key_size;
		if (c < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return NULL;
}

int svr_keyed_list(int fd, size_t key_size, uint8_t **keys)
{
	uint8_t *list = NULL, *bigger;
	int n = 0, cap = 0, err;

	for (;;) {
		if (n == cap) {
			cap = cap ? 2 * cap : 64;
			bigger = reallocarray(list, (size_t)cap, key_size);
			if (!bigger) {
				err = -ENOMEM;
				goto out;
			}
			list = bigger;
		}
		err = bpf_map_get_next_key(fd, n ? list + (size_t)(n - 1) * key_size : NULL,
					   list + (size_t)n * key_size);
		if (err == -ENOENT)
			break;
		if (err)
			goto out;
		n++;
	}
	*keys = list;
	return n;
out:
	free(list);
	return err;
}

int svr_keyed_upsert(const struct svr_keyed *k, int fd)
{
	uint8_t value[SVR_KEYED_VALUE_MAX], *keys, *wanted;
	struct svr_keyed have;
	int n, err = 0;

	/*
	 * In a trie a look-up finds shorter prefixes too, so which keys are there has to be known
	 * from the list
	 */
	svr_keyed_init(&have, k->key_size, 0);
	n = svr_keyed_list(fd, k->key_size, &keys);
	if (n < 0)
		return n;
	for (int i = 0; i < n && !err; i++)
		err = svr_keyed_add(&have, keys + (size_t)i * k->key_size, "");
	free(keys);
	svr_keyed_seal(&have);
	for (uint32_t i = 0; i < k->n && !err; i++) {
		wanted = row(k, i) + k->key_size;
		if (svr_keyed_find(&have, row(k, i)) &&
		    !bpf_map_lookup_elem(fd, row(k, i), value) &&
		    !memcmp(value, wanted, k->value_size))
			continue;
		err = bpf_map_update_elem(fd, row(k, i), wanted, BPF_ANY);
	}
	svr_keyed_free(&have);
	return err;
}

int svr_keyed_prune(const struct svr_keyed *k, int fd)
{
	uint8_t *keys, *key;
	int n, err = 0;

	n = svr_keyed_list(fd, k->key_size, &keys);
	if (n < 0)
		return n;
	for (int i = 0; i < n && !err; i++) {
		key = keys + (size_t)i * k->key_size;
		if (svr_keyed_find(k, key))
			continue;
		err = bpf_map_delete_elem(fd, key);
		if (err == -ENOENT)
			err = 0;
	}
	free(keys);
	return err;
}
