/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Single words of a session that other threads may write at any time (worker/session.h): one load,
 * not repeated, merged or torn, and no order. Part of libsvr.
 */
#ifndef SVR_LIB_SHARED_H
#define SVR_LIB_SHARED_H

#define svr_shared(word)	    __atomic_load_n(&(word), __ATOMIC_RELAXED)
#define svr_shared_set(word, value) __atomic_store_n(&(word), (value), __ATOMIC_RELAXED)

#endif
