/* SPDX-License-Identifier: BSD-2-Clause */
/* Integers in network byte order at any address. Part of libsvr. */
#ifndef SVR_LIB_BYTES_H
#define SVR_LIB_BYTES_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

#define SVR_BYTES_DEFINE(bits)                                      \
	static inline uint##bits##_t svr_get##bits(const void *p)   \
	{                                                           \
		uint##bits##_t v;                                   \
		memcpy(&v, p, sizeof(v));                           \
		return be##bits##toh(v);                            \
	}                                                           \
	static inline void svr_put##bits(void *p, uint##bits##_t v) \
	{                                                           \
		v = htobe##bits(v);                                 \
		memcpy(p, &v, sizeof(v));                           \
	}

SVR_BYTES_DEFINE(16)
SVR_BYTES_DEFINE(32)
SVR_BYTES_DEFINE(64)

#endif
