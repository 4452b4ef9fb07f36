// SPDX-License-Identifier: BSD-2-Clause
/* CPU features by CPUID. What the hypervisor hides is not there. */
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#ifdef __x86_64__
#include <cpuid.h>
#endif

#include "lib/cpu.h"

static char features[128];
static pthread_once_t once = PTHREAD_ONCE_INIT;

__attribute__((unused)) /* on other machines */
static void
add(bool has, const char *name)
{
	size_t len = strlen(features);

	if (!has || len + strlen(name) + 2 > sizeof(features))
		return;
	if (len)
		features[len++] = ' ';
	strcpy(features + len, name);
}

static void find(void)
{
#ifdef __x86_64__
	unsigned int a, b, c, d;

	/* Intel's manual, volume 2, CPUID leaf 1 and 7 */
	if (__get_cpuid(1, &a, &b, &c, &d)) {
		add(c & bit_AES, "aes");
		add(c & bit_PCLMUL, "pclmulqdq");
	}
	if (__get_cpuid_count(7, 0, &a, &b, &c, &d)) {
		add(b & bit_SHA, "sha");
		add(b & bit_AVX2, "avx2");
		add(c & bit_VAES, "vaes");
		add(c & bit_VPCLMULQDQ, "vpclmulqdq");
		add(b & bit_AVX512F, "avx512f");
	}
#endif
}

const char *svr_cpu_features(void)
{
	pthread_once(&once, find);
	return features;
}
