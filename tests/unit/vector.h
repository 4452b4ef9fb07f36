/* SPDX-License-Identifier: BSD-2-Clause */
/* Hexadecimal in tests: look-up in tests/vectors/vectors.h and conversion. Unit tests only. */
#ifndef SVR_TESTS_UNIT_VECTOR_H
#define SVR_TESTS_UNIT_VECTOR_H

#include <stddef.h>
#include <stdint.h>

struct hex {
	size_t len;
	uint8_t bytes[1024];
};

/* Spaces are skipped; anything else that is no digit fails the test. */
struct hex hex(const char *text);
/* Vector of docs/protocol.md section 11 by name; fails the test if there is none. */
struct hex vec(const char *name);

/* A copy in memory of exactly its size, so that the sanitizer sees every byte too many. Free with free(). */
uint8_t *exact_copy(const void *p, size_t len);

/* xorshift64*: the same numbers in every run. *state must not be 0. */
uint64_t test_random(uint64_t *state);

#endif
