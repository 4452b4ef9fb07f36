// SPDX-License-Identifier: BSD-2-Clause
/* Number -> name, from the lists in include/svr/wire.h. */
#include <svr/wire.h>

#include "lib/wirename.h"

const char *svr_cipher_name(uint8_t cipher)
{
	switch (cipher) {
#define X(id, n, s) case n: return s;
	SVR_CIPHERS(X)
#undef X
	}
	return "unknown";
}

const char *svr_hmac_name(uint8_t hmac)
{
	switch (hmac) {
#define X(id, n, s, tag) case n: return s;
	SVR_HMACS(X)
#undef X
	}
	return "unknown";
}

const char *svr_hmac_mode_name(uint8_t hmac_mode)
{
	switch (hmac_mode) {
#define X(id, n, s) case n: return s;
	SVR_HMAC_MODES(X)
#undef X
	}
	return "unknown";
}
