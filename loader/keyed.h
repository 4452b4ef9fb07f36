/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Wanted contents of a map with keys (hash or trie), and the two halves of making it so. Loader
 * only.
 */
#ifndef SVR_LOADER_KEYED_H
#define SVR_LOADER_KEYED_H

#include <stddef.h>
#include <stdint.h>

enum { SVR_KEYED_KEY_MAX = 72, SVR_KEYED_VALUE_MAX = 64 };

struct svr_keyed {
	size_t key_size, value_size;
	uint32_t n, cap;
	uint8_t *rows; /* key, then value; sorted by svr_keyed_seal() */
};

void svr_keyed_init(struct svr_keyed *k, size_t key_size, size_t value_size);
void svr_keyed_free(struct svr_keyed *k);
/* Of two values of a key the smaller one (as bytes) stays. 0 or -ENOMEM. */
int svr_keyed_add(struct svr_keyed *k, const void *key, const void *value);
/* Sorts and removes doubles; before any of the functions below. */
void svr_keyed_seal(struct svr_keyed *k);
/* Value of @key or NULL. */
const void *svr_keyed_find(const struct svr_keyed *k, const void *key);

/* Adds and changes what differs. 0 or negative errno. */
int svr_keyed_upsert(const struct svr_keyed *k, int fd);
/* Removes what is not wanted any more. 0 or negative errno. */
int svr_keyed_prune(const struct svr_keyed *k, int fd);

/*
 * All keys of a map, to be freed. Number of keys or negative errno. Nobody else may remove keys
 * meanwhile.
 */
int svr_keyed_list(int fd, size_t key_size, uint8_t **keys);

#endif
