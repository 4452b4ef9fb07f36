// SPDX-License-Identifier: BSD-2-Clause
/* Test vectors and reproducible random numbers for the unit tests. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "tests/unit/vector.h"
#include "tests/vectors/vectors.h"

static uint8_t digit(char c)
{
	cr_assert(isxdigit((unsigned char)c), "'%c' is no hexadecimal digit", c);
	return (uint8_t)(isdigit((unsigned char)c) ? c - '0' :
						     tolower((unsigned char)c) - 'a' + 10);
}

struct hex hex(const char *text)
{
	struct hex h = { 0 };

	while (*text) {
		if (*text == ' ') {
			text++;
			continue;
		}
		cr_assert(h.len < sizeof(h.bytes), "too long");
		h.bytes[h.len++] = (uint8_t)(digit(text[0]) << 4 | digit(text[1]));
		text += 2;
	}
	return h;
}

struct hex vec(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(svr_vectors) / sizeof(svr_vectors[0]); i++)
		if (strcmp(svr_vectors[i].name, name) == 0)
			return hex(svr_vectors[i].hex);
	cr_assert_fail("no vector %s", name);
	return (struct hex){ 0 };
}

uint8_t *exact_copy(const void *p, size_t len)
{
	uint8_t *copy = malloc(len ? len : 1);

	cr_assert_not_null(copy);
	if (len)
		memcpy(copy, p, len);
	return copy;
}

uint64_t test_random(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 0x2545f4914f6cdd1dULL;
}
