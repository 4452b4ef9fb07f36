// SPDX-License-Identifier: BSD-2-Clause
/* RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF. */
#include <stdint.h>

#include "lib/utf8.h"

size_t svr_utf8_len(const char *text, size_t left)
{
	const unsigned char *p = (const unsigned char *)text;
	static const uint32_t smallest[] = { 0, 0, 0x80, 0x800, 0x10000 };
	uint32_t code = 0;
	size_t n, i;

	if (!left)
		return 0;
	if (p[0] < 0x80)
		return 1;
	if ((p[0] & 0xe0) == 0xc0)
		n = 2;
	else if ((p[0] & 0xf0) == 0xe0)
		n = 3;
	else if ((p[0] & 0xf8) == 0xf0)
		n = 4;
	else
		return 0;
	if (n > left)
		return 0;
	code = p[0] & (0x7fU >> n);
	for (i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (p[i] & 0x3fU);
	}
	if (code < smallest[n] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
		return 0;
	return n;
}
