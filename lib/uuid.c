// SPDX-License-Identifier: BSD-2-Clause
/* UUIDs: groups of 4, 2, 2, 2 and 6 bytes in hexadecimal. */
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "lib/uuid.h"

static bool dash_before(int byte)
{
	return byte == 4 || byte == 6 || byte == 8 || byte == 10;
}

void svr_uuid_print(const uint8_t uuid[static SVR_UUID_LEN], char out[static SVR_UUID_STRLEN])
{
	static const char digits[] = "0123456789abcdef";
	int i;

	for (i = 0; i < SVR_UUID_LEN; i++) {
		if (dash_before(i))
			*out++ = '-';
		*out++ = digits[uuid[i] >> 4];
		*out++ = digits[uuid[i] & 0xf];
	}
	*out = '\0';
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int svr_uuid_parse(const char *text, uint8_t uuid[static SVR_UUID_LEN])
{
	uint8_t parsed[SVR_UUID_LEN];
	int i, hi, lo;

	for (i = 0; i < SVR_UUID_LEN; i++) {
		if (dash_before(i) && *text++ != '-')
			return -EINVAL;
		hi = hex_digit(text[0]);
		lo = hi < 0 ? -1 : hex_digit(text[1]);
		if (lo < 0)
			return -EINVAL;
		parsed[i] = (uint8_t)(hi << 4 | lo);
		text += 2;
	}
	if (*text != '\0')
		return -EINVAL;
	memcpy(uuid, parsed, sizeof(parsed));
	return 0;
}

void svr_uuid_from_random(uint8_t uuid[static SVR_UUID_LEN])
{
	uuid[6] = (uuid[6] & 0x0f) | 0x40; /* RFC 9562 4.2: version 4 */
	uuid[8] = (uuid[8] & 0x3f) | 0x80; /* RFC 9562 4.1: variant */
}
