// SPDX-License-Identifier: BSD-2-Clause
/* Lines with a check sum. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "lib/journal.h"

enum {
	TEXT_FIRST = 4096, /* bytes that a buffer starts with */
	SUM_BYTES = 8,
	SUM_LEN = 2 * SUM_BYTES, /* digits */
};

static const char first_word[] = "svr-journal ";

void svr_journal_text_free(struct svr_journal_text *t)
{
	free(t->data);
	*t = (struct svr_journal_text){ 0 };
}

void svr_journal_append(struct svr_journal_text *t, const char *data, size_t len)
{
	size_t room = t->room ? t->room : TEXT_FIRST;
	char *bigger;

	if (t->failed)
		return;
	while (room - t->len < len)
		room *= 2;
	if (room != t->room) {
		bigger = realloc(t->data, room);
		if (!bigger) {
			t->failed = true;
			return;
		}
		t->data = bigger;
		t->room = room;
	}
	if (len)
		memcpy(t->data + t->len, data, len);
	t->len += len;
}

/* False: no digest to be had. */
static bool sum(const char *json, size_t len, char out[static SUM_LEN])
{
	static const char digit[] = "0123456789abcdef";
	uint8_t md[EVP_MAX_MD_SIZE];

	if (EVP_Digest(json, len, md, NULL, EVP_sha256(), NULL) != 1)
		return false;
	for (unsigned int i = 0; i < SUM_BYTES; i++) {
		out[2 * i] = digit[md[i] >> 4];
		out[2 * i + 1] = digit[md[i] & 0xf];
	}
	return true;
}

void svr_journal_put(struct svr_journal_text *t, const char *json, size_t len)
{
	char digits[SUM_LEN + 1];

	if (!sum(json, len, digits))
		t->failed = true;
	digits[SUM_LEN] = ' ';
	svr_journal_append(t, digits, sizeof(digits));
	svr_journal_append(t, json, len);
	svr_journal_append(t, "\n", 1);
}

static bool line_whole(const char *line, size_t len)
{
	char digits[SUM_LEN];

	return len > SUM_LEN + 1 && line[SUM_LEN] == ' ' &&
	       sum(line + SUM_LEN + 1, len - SUM_LEN - 1, digits) &&
	       memcmp(digits, line, SUM_LEN) == 0;
}

int svr_journal_read(const char *data, size_t len,
		     int (*visit)(void *user, const char *json, size_t len), void *user,
		     struct svr_journal_found *found)
{
	const size_t first = sizeof(SVR_JOURNAL_FIRST_LINE) - 1;
	size_t pos = 0, line;
	const char *end;
	int ret;

	*found = (struct svr_journal_found){ 0 };
	if (len >= first && memcmp(data, SVR_JOURNAL_FIRST_LINE, first) == 0)
		pos = first;
	else if (len >= sizeof(first_word) - 1 && memchr(data, '\n', len) &&
		 memcmp(data, first_word, sizeof(first_word) - 1) == 0)
		return -EPROTONOSUPPORT;
	for (; pos < len; pos += line + 1) {
		end = memchr(data + pos, '\n', len - pos);
		if (!end) {
			found->torn = true;
			break;
		}
		line = (size_t)(end - data) - pos;
		ret = -EBADMSG;
		if (line_whole(data + pos, line))
			ret = visit(user, data + pos + SUM_LEN + 1, line - SUM_LEN - 1);
		if (!ret)
			found->records++;
		else if (ret == -EBADMSG)
			found->damaged++;
		else
			return ret;
	}
	return 0;
}
