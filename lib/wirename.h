/* SPDX-License-Identifier: BSD-2-Clause */
/* Names of the algorithm numbers of include/svr/wire.h. Part of libsvr. */
#ifndef SVR_LIB_WIRENAME_H
#define SVR_LIB_WIRENAME_H

#include <stdint.h>

/* SSR's configuration words; "unknown" for a number that stands for nothing. */
const char *svr_cipher_name(uint8_t cipher);
const char *svr_hmac_name(uint8_t hmac);
const char *svr_hmac_mode_name(uint8_t hmac_mode);

#endif
