/* SPDX-License-Identifier: BSD-2-Clause */
/* Sequence lock between one writer process and any readers in other processes, in a mapped array. */
#ifndef SVR_SYS_SEQ_H
#define SVR_SYS_SEQ_H

#include <stdbool.h>
#include <stdint.h>

static inline void svr_seq_write_begin(uint32_t *seq)
{
	/* A writer that was killed inside leaves an odd number; the next writer goes on from there. */
	__atomic_store_n(seq, __atomic_load_n(seq, __ATOMIC_RELAXED) | 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
}

static inline void svr_seq_write_end(uint32_t *seq)
{
	__atomic_store_n(seq, (__atomic_load_n(seq, __ATOMIC_RELAXED) | 1) + 1, __ATOMIC_RELEASE);
}

/* Returns a value for svr_seq_read_retry(); odd means that a write is under way. */
static inline uint32_t svr_seq_read_begin(const uint32_t *seq)
{
	return __atomic_load_n(seq, __ATOMIC_ACQUIRE);
}

static inline bool svr_seq_read_retry(const uint32_t *seq, uint32_t start)
{
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return (start & 1) || __atomic_load_n(seq, __ATOMIC_RELAXED) != start;
}

#endif
