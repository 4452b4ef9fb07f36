// SPDX-License-Identifier: BSD-2-Clause
/* Validation of names that come from the network, the command line or the environment. */
#include <string.h>
#include <svr/limits.h>

#include "lib/name.h"

/* No ctype.h: what is allowed must not depend on the locale. */
static bool name_char_ok(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_' || c == '.' || c == '-';
}

bool svr_name_ok(const char *s, size_t len)
{
	size_t i;

	if (len == 0 || len >= SVR_NAME_LEN)
		return false;
	for (i = 0; i < len; i++)
		if (!name_char_ok(s[i]))
			return false;
	return true;
}

bool svr_name_ok_for_path(const char *s)
{
	return svr_name_ok(s, strnlen(s, SVR_NAME_LEN)) && strcmp(s, ".") != 0 &&
	       strcmp(s, "..") != 0;
}
