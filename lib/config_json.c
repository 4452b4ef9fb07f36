// SPDX-License-Identifier: BSD-2-Clause
/* Strict scan of the configuration text. json-c builds the tree; it forgives and forgets what an
 * operator must hear about: duplicate members, trailing text, lone surrogates, and where a value
 * stood. So the text passes here first.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/linkhash.h>

#include "config_internal.h"
#include "lib/utf8.h"

struct scan {
	const char *text;
	size_t len, pos;
	unsigned int line; /* of pos, from 1 */
	size_t line_start; /* offset of the first byte of that line */
	unsigned int depth;
	struct svr_cfg_pointer at;
	struct svr_config_errors *errs;
	bool locate;
	bool pending[SVR_CFG_ERRORS_MAX]; /* the place of this error is wanted */
	size_t match[SVR_CFG_ERRORS_MAX]; /* 1 + length of the longest part of its pointer that was found */
};

static int scan_value(struct scan *s);

static unsigned int column(const struct scan *s, size_t pos)
{
	return (unsigned int)(pos - s->line_start + 1);
}

static int peek(const struct scan *s)
{
	return s->pos < s->len ? (unsigned char)s->text[s->pos] : -1;
}

/* "here" is s->pos. */
static int unexpected(struct scan *s, const char *wanted)
{
	int c = peek(s);
	char what[32];

	if (c < 0)
		snprintf(what, sizeof(what), "the text ends");
	else if (c == 0)
		snprintf(what, sizeof(what), "a NUL byte");
	else if (c < 0x20 || c >= 0x7f)
		snprintf(what, sizeof(what), "byte 0x%02x", (unsigned int)c);
	else
		snprintf(what, sizeof(what), "'%c'", c);
	svr_config_complain_at(s->errs, "", s->line, column(s, s->pos),
			       "not JSON: %s where %s should be", what, wanted);
	return -EINVAL;
}

static int broken(struct scan *s, size_t pos, const char *why)
{
	svr_config_complain_at(s->errs, "", s->line, column(s, pos), "not JSON: %s", why);
	return -EINVAL;
}

static void skip_space(struct scan *s)
{
	for (; s->pos < s->len; s->pos++) {
		switch (s->text[s->pos]) {
		case '\n':
			s->line++;
			s->line_start = s->pos + 1;
			break;
		case ' ':
		case '\t':
		case '\r':
			break;
		default:
			return;
		}
	}
}

/* Four hexadecimal digits at @pos, or -1. */
static int hex4(const struct scan *s, size_t pos)
{
	int v = 0;
	size_t i;

	if (pos + 4 > s->len)
		return -1;
	for (i = pos; i < pos + 4; i++) {
		char c = s->text[i];

		if (c >= '0' && c <= '9')
			v = v << 4 | (c - '0');
		else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
			v = v << 4 | ((c | 0x20) - 'a' + 10);
		else
			return -1;
	}
	return v;
}

/* At the backslash. On return s->pos is behind the escape and *@code is what it stands for. */
static int scan_escape(struct scan *s, uint32_t *code)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	size_t start = s->pos++;
	const char *hit;
	int hi, lo;

	if (s->pos >= s->len)
		return unexpected(s, "an escape");
	hit = s->text[s->pos] ? strchr(from, s->text[s->pos]) : NULL;
	if (hit) {
		*code = (unsigned char)to[hit - from];
		s->pos++;
		return 0;
	}
	if (s->text[s->pos] != 'u')
		return broken(s, start, "unknown escape in a string");
	hi = hex4(s, s->pos + 1);
	if (hi < 0)
		return broken(s, start, "\\u needs four hexadecimal digits");
	s->pos += 5;
	*code = (uint32_t)hi;
	if (hi == 0)
		return broken(s, start, "\\u0000 is not allowed in a string");
	if (hi < 0xd800 || hi > 0xdfff)
		return 0;
	lo = s->pos + 1 < s->len && s->text[s->pos] == '\\' && s->text[s->pos + 1] == 'u' ?
		     hex4(s, s->pos + 2) :
		     -1;
	if (hi > 0xdbff || lo < 0xdc00 || lo > 0xdfff)
		return broken(s, start, "half of a surrogate pair");
	s->pos += 6;
	*code = 0x10000 + (((uint32_t)hi - 0xd800) << 10) + ((uint32_t)lo - 0xdc00);
	return 0;
}

static size_t put_utf8(char *out, uint32_t code)
{
	if (code < 0x80) {
		out[0] = (char)code;
		return 1;
	}
	if (code < 0x800) {
		out[0] = (char)(0xc0 | code >> 6);
		out[1] = (char)(0x80 | (code & 0x3f));
		return 2;
	}
	if (code < 0x10000) {
		out[0] = (char)(0xe0 | code >> 12);
		out[1] = (char)(0x80 | (code >> 6 & 0x3f));
		out[2] = (char)(0x80 | (code & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | code >> 18);
	out[1] = (char)(0x80 | (code >> 12 & 0x3f));
	out[2] = (char)(0x80 | (code >> 6 & 0x3f));
	out[3] = (char)(0x80 | (code & 0x3f));
	return 4;
}

/* At the opening quote. @out: where the decoded string goes, NUL-terminated, or NULL; it is never
 * longer than the source.
 */
static int scan_string(struct scan *s, char *out)
{
	size_t start = s->pos++, n = 0;
	uint32_t code = 0;
	int err;

	for (;;) {
		size_t bytes = svr_utf8_len(s->text + s->pos, s->len - s->pos);
		unsigned char c;

		if (s->pos >= s->len)
			return broken(s, start, "this string has no end");
		c = (unsigned char)s->text[s->pos];
		if (!bytes)
			return broken(s, s->pos, "invalid UTF-8 in a string");
		if (c == 0)
			return broken(s, s->pos, "NUL byte in a string");
		if (c < 0x20)
			return broken(s, s->pos, "control character in a string");
		if (c == '"')
			break;
		if (c != '\\') {
			if (out)
				memcpy(out + n, s->text + s->pos, bytes);
			n += bytes;
			s->pos += bytes;
			continue;
		}
		err = scan_escape(s, &code);
		if (err)
			return err;
		if (out)
			n += put_utf8(out + n, code);
	}
	s->pos++;
	if (out)
		out[n] = '\0';
	return 0;
}

static int scan_digits(struct scan *s)
{
	if (peek(s) < '0' || peek(s) > '9')
		return unexpected(s, "a digit");
	while (peek(s) >= '0' && peek(s) <= '9')
		s->pos++;
	return 0;
}

static int scan_number(struct scan *s)
{
	int err = 0;

	if (peek(s) == '-')
		s->pos++;
	if (peek(s) == '0') {
		s->pos++;
		if (peek(s) >= '0' && peek(s) <= '9')
			return broken(s, s->pos - 1, "a number must not begin with 0");
	} else {
		err = scan_digits(s);
	}
	if (!err && peek(s) == '.') {
		s->pos++;
		err = scan_digits(s);
	}
	if (!err && (peek(s) == 'e' || peek(s) == 'E')) {
		s->pos++;
		if (peek(s) == '+' || peek(s) == '-')
			s->pos++;
		err = scan_digits(s);
	}
	return err;
}

static int scan_word(struct scan *s, const char *word)
{
	size_t n = strlen(word);

	if (s->len - s->pos < n || memcmp(s->text + s->pos, word, n))
		return unexpected(s, "a value");
	s->pos += n;
	return 0;
}

static void free_key(struct lh_entry *e)
{
	free(lh_entry_k(e));
}

/* Complains about the second of several equal keys, once. Takes @key. */
static int note_key(struct scan *s, struct lh_table *keys, char *key, unsigned int line,
		    unsigned int col)
{
	struct lh_entry *e = lh_table_lookup_entry(keys, key);

	if (!e) {
		if (!lh_table_insert(keys, key, NULL))
			return 0;
		free(key);
		return -ENOMEM;
	}
	if (!lh_entry_v(e)) {
		lh_entry_set_val(e, s);
		svr_config_complain_at(s->errs, s->at.text, line, col,
				       "this member stands more than once in its object");
	}
	free(key);
	return 0;
}

static int scan_member(struct scan *s, struct lh_table *keys)
{
	unsigned int line = s->line, col = column(s, s->pos);
	size_t mark = s->at.len, start = s->pos, longest;
	char *key = NULL;
	int err;

	if (peek(s) != '"')
		return unexpected(s, "the name of a member in quotes");
	err = scan_string(s, NULL);
	if (err)
		return err;
	longest = s->pos - start;
	key = malloc(longest);
	if (!key)
		return -ENOMEM;
	s->pos = start;
	err = scan_string(s, key);
	if (err) {
		free(key);
		return err;
	}
	svr_config_pointer_push(&s->at, key);
	if (keys)
		err = note_key(s, keys, key, line, col);
	else
		free(key);
	if (err)
		return err;
	skip_space(s);
	if (peek(s) != ':')
		return unexpected(s, "':'");
	s->pos++;
	err = scan_value(s);
	svr_config_pointer_pop(&s->at, mark);
	return err;
}

static int scan_object(struct scan *s)
{
	struct lh_table *keys = NULL;
	int err = 0;

	if (!s->locate) {
		keys = lh_kchar_table_new(16, free_key);
		if (!keys)
			return -ENOMEM;
	}
	s->pos++;
	skip_space(s);
	if (peek(s) == '}') {
		s->pos++;
		goto out;
	}
	for (;;) {
		err = scan_member(s, keys);
		if (err)
			goto out;
		skip_space(s);
		if (peek(s) == '}') {
			s->pos++;
			goto out;
		}
		if (peek(s) != ',') {
			err = unexpected(s, "',' or '}'");
			goto out;
		}
		s->pos++;
		skip_space(s);
	}
out:
	if (keys)
		lh_table_free(keys);
	return err;
}

static int scan_array(struct scan *s)
{
	size_t index, mark = s->at.len;
	int err;

	s->pos++;
	skip_space(s);
	if (peek(s) == ']') {
		s->pos++;
		return 0;
	}
	for (index = 0;; index++) {
		svr_config_pointer_push_index(&s->at, index);
		err = scan_value(s);
		svr_config_pointer_pop(&s->at, mark);
		if (err)
			return err;
		skip_space(s);
		if (peek(s) == ']') {
			s->pos++;
			return 0;
		}
		if (peek(s) != ',')
			return unexpected(s, "',' or ']'");
		s->pos++;
	}
}

/* Keys are not for terminals and logs, right or wrong. */
static bool is_secret(const char *pointer)
{
	static const char *const names[] = { "encryption-key", "encryption-iv", "hmac-key" };
	const char *name = strrchr(pointer, '/');
	size_t i;

	for (i = 0; name && i < sizeof(names) / sizeof(names[0]); i++)
		if (!strcmp(name + 1, names[i]))
			return true;
	return false;
}

/* Copies the value at [@start, s->pos) for a person to read: no control characters, whole UTF-8
 * sequences, "..." when cut.
 */
static void show_value(const struct scan *s, size_t start, char found[static SVR_CFG_FOUND_LEN])
{
	size_t in, out = 0, bytes;

	if (is_secret(s->at.text)) {
		snprintf(found, SVR_CFG_FOUND_LEN, "(hidden)");
		return;
	}
	if (s->text[start] == '{' || s->text[start] == '[') {
		snprintf(found, SVR_CFG_FOUND_LEN, "%s", s->text[start] == '{' ? "{...}" : "[...]");
		return;
	}
	for (in = start; in < s->pos; in += bytes) {
		unsigned char c = (unsigned char)s->text[in];

		bytes = svr_utf8_len(s->text + in, s->pos - in);
		if (out + bytes + sizeof("...") > SVR_CFG_FOUND_LEN) {
			memcpy(found + out, "...", 3);
			out += 3;
			break;
		}
		/* C1 control characters (U+0080 to U+009F) drive terminals as well as those below
		 * 0x20 do
		 */
		if (c == 0x7f || (c == 0xc2 && (unsigned char)s->text[in + 1] < 0xa0)) {
			found[out++] = '?';
			continue;
		}
		memcpy(found + out, s->text + in, bytes);
		out += bytes;
	}
	found[out] = '\0';
}

/* The value at s->at is [@start, s->pos). A part of a pointer is better than nothing: the member
 * itself may be missing.
 */
static void note_place(struct scan *s, size_t start, unsigned int line, unsigned int col)
{
	unsigned int i;

	for (i = 0; i < s->errs->n; i++) {
		struct svr_config_error *e = &s->errs->list[i];
		size_t n = s->at.len;
		bool composite;

		if (!s->pending[i] || n + 1 < s->match[i] || memcmp(e->pointer, s->at.text, n))
			continue;
		if (e->pointer[n] != '\0' && e->pointer[n] != '/')
			continue;
		s->match[i] = n + 1;
		e->line = line;
		e->column = col;
		composite = s->text[start] == '{' || s->text[start] == '[';
		if (e->pointer[n] == '\0' && e->found[0] &&
		    !(e->found[0] == SVR_CFG_FOUND_SCALAR && composite))
			show_value(s, start, e->found);
	}
}

static int scan_value(struct scan *s)
{
	unsigned int line, col;
	size_t start;
	int err;

	skip_space(s);
	start = s->pos;
	line = s->line;
	col = column(s, start);
	switch (peek(s)) {
	case '{':
	case '[':
		if (s->depth == SVR_CFG_DEPTH_MAX) {
			svr_config_complain_at(s->errs, s->at.text, line, col,
					       "more than %d objects and arrays inside one another",
					       SVR_CFG_DEPTH_MAX);
			return -EINVAL;
		}
		s->depth++;
		err = peek(s) == '{' ? scan_object(s) : scan_array(s);
		s->depth--;
		break;
	case '"':
		err = scan_string(s, NULL);
		break;
	case 't':
		err = scan_word(s, "true");
		break;
	case 'f':
		err = scan_word(s, "false");
		break;
	case 'n':
		err = scan_word(s, "null");
		break;
	case '-':
	case '0':
	case '1':
	case '2':
	case '3':
	case '4':
	case '5':
	case '6':
	case '7':
	case '8':
	case '9':
		err = scan_number(s);
		break;
	default:
		err = unexpected(s, "a value");
	}
	if (!err && s->locate)
		note_place(s, start, line, col);
	return err;
}

int svr_config_json_scan(const char *text, size_t len, struct svr_config_errors *errs)
{
	struct scan s = { .text = text, .len = len, .line = 1, .errs = errs };
	int err;

	if (len >= 3 && !memcmp(text, "\xef\xbb\xbf", 3))
		return broken(&s, 0, "byte order mark; save the file as UTF-8 without one");
	skip_space(&s);
	if (peek(&s) != '{')
		return unexpected(&s, "'{'");
	err = scan_value(&s);
	if (err)
		return err;
	skip_space(&s);
	return s.pos == s.len ? 0 : unexpected(&s, "the end of the text");
}

static int by_place(const void *va, const void *vb)
{
	const struct svr_config_error *a = va, *b = vb;

	if (a->severity != b->severity)
		return a->severity < b->severity ? -1 : 1;
	if (a->line != b->line)
		return a->line < b->line ? -1 : 1;
	if (a->column != b->column)
		return a->column < b->column ? -1 : 1;
	return strcmp(a->reason, b->reason);
}

void svr_config_json_locate(const char *text, size_t len, struct svr_config_errors *errs)
{
	struct scan s = { .text = text, .len = len, .line = 1, .errs = errs, .locate = true };
	unsigned int i;

	for (i = 0; i < errs->n; i++)
		s.pending[i] = errs->list[i].line == 0;
	scan_value(&s); /* has passed the scan before, so it cannot fail now */
	for (i = 0; i < errs->n; i++)
		if (errs->list[i].found[0] <= SVR_CFG_FOUND_YES)
			errs->list[i].found[0] = '\0'; /* nothing stands there */
	qsort(errs->list, errs->n, sizeof(errs->list[0]), by_place);
}
