/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Test(), cr_assert() and cr_expect() without criterion, which crashes under ThreadSanitizer. Each
 * test is run by a constructor; the exit code tells whether all expectations held.
 */
#ifndef SVR_TESTS_UNIT_BARE_H
#define SVR_TESTS_UNIT_BARE_H

#include <stdio.h>
#include <stdlib.h>

static unsigned int bare_failed;

#define cr_expect(condition, ...)                                                       \
	do {                                                                            \
		if (!(condition)) {                                                     \
			fprintf(stderr, "%s:%d: %s. ", __FILE__, __LINE__, #condition); \
			fprintf(stderr, " " __VA_ARGS__);                               \
			fputc('\n', stderr);                                            \
			bare_failed++;                                                  \
		}                                                                       \
	} while (0)
#define cr_assert(condition, ...)                            \
	do {                                                 \
		if (!(condition)) {                          \
			fprintf(stderr, "%s\n", #condition); \
			exit(EXIT_FAILURE);                  \
		}                                            \
	} while (0)
#define Test(suite, name)                                                   \
	static void suite##_##name(void);                                   \
	static void __attribute__((constructor)) suite##_##name##_run(void) \
	{                                                                   \
		printf("%s: %s\n", #suite, #name);                          \
		suite##_##name();                                           \
	}                                                                   \
	static void suite##_##name(void)

int main(void)
{
	printf("%u expectations failed\n", bare_failed);
	return bare_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
