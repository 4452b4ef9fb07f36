/* SPDX-License-Identifier: BSD-2-Clause */
/* The median of what a benchmark has measured. */
#ifndef SVR_BENCH_MEDIAN_H
#define SVR_BENCH_MEDIAN_H

#include <stdlib.h>

static inline int median_compare(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Sorts @values. Of an even number of them, the mean of both in the middle. */
static inline double median(double *values, unsigned int count)
{
	qsort(values, count, sizeof(*values), median_compare);
	return count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

#endif
