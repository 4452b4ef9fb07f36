/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Programs that are loaded already: to verify both takes longer than most tests, minutes in an
 * emulator. The runner opens a bpffs that all tests see (pool.c). A set in it is a directory of
 * pinned maps and programs that one test at a time holds.
 */
#ifndef TESTS_POOL_H
#define TESTS_POOL_H

#include <stdbool.h>
#include <stddef.h>

struct bpf_object;

/* The bpffs of all tests; fails the test if there is none. */
const char *pool_root(void);

/*
 * Hold a set of that kind (a file name of a few characters) that nobody else holds, an empty one if
 * there is none: its directory goes to @dir. Returns a file descriptor; the set is free again when
 * that is closed, also by the death of the process. Fails the test on errors.
 */
int pool_take(const char *kind, char *dir, size_t dir_len);

/*
 * The programs of a set; -1 and false when they have to be loaded and then kept. What is loaded but
 * not kept, because the verifier refuses it, is tried again by the next test.
 */
bool pool_programs(const char *dir, int *fds, size_t count);
void pool_keep(const char *dir, const int *fds, size_t count);

/* All maps of @obj as they were when they were new. They are loaded. Fails the test on errors. */
void pool_wipe(struct bpf_object *obj);

#endif
