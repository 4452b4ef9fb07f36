/* SPDX-License-Identifier: BSD-2-Clause */
/* What the CPU can do for cryptography, in words. Part of libsvr. */
#ifndef SVR_LIB_CPU_H
#define SVR_LIB_CPU_H

/* Features separated by spaces ("aes sha avx2 vaes avx512f"), "" where none is known. Static. */
const char *svr_cpu_features(void);

#endif
