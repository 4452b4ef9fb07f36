// SPDX-License-Identifier: BSD-2-Clause
/*
 * The print layer of `svr`: tables and blocks for people, JSON for programs, from the same calls.
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json_object.h>
#include <json-c/json_object_iterator.h>

#include "print.h"

enum {
	OUT_DEPTH = 16, /* nested containers */
	OUT_COLUMNS = 32, /* of a table */
	OUT_CHUNK_ROWS = 4096, /* rows that are measured and printed together */
	OUT_INDENT = 4,
	OUT_FORMATTED = 1024, /* longest formatted value; longer ones are cut */
	OUT_ESCAPED = 6, /* most bytes that one byte becomes: \u00xx or U+FFFD as an escape */
};

struct buf {
	char *p;
	size_t len, cap;
	bool failed;
};

enum frame_kind {
	FRAME_TOP,
	FRAME_TABLE,
	FRAME_ROW,
	FRAME_BLOCKS,
	FRAME_RECORD,
	FRAME_INLINE,
};

struct frame {
	enum frame_kind kind;
	unsigned int members; /* printed in it so far */
	const char *empty;
};

struct svr_out {
	bool json, pretty;
	int err;
	struct buf out;
	struct frame stack[OUT_DEPTH];
	unsigned int depth;
	/* the table, or the block of a record, that is being collected */
	struct buf cells; /* NUL-terminated texts, one after the other */
	size_t *cell; /* per row OUT_COLUMNS offsets into cells + 1; 0: no cell */
	unsigned int rows, rows_cap;
	const char *title[OUT_COLUMNS];
	unsigned int width[OUT_COLUMNS];
	bool number[OUT_COLUMNS];
	unsigned int columns, columns_shown; /* shown: with a header */
	/* the cell that an inline list fills */
	struct buf line;
	const char *line_title;
};

/* ---- buffers -------------------------------------------------------------------------------- */

static void buf_add(struct buf *b, const char *p, size_t len)
{
	if (b->failed)
		return;
	if (len >= b->cap - b->len) {
		size_t cap = b->cap ? b->cap : 4096;
		char *bigger;

		while (len >= cap - b->len)
			cap *= 2;
		bigger = realloc(b->p, cap);
		if (!bigger) {
			b->failed = true;
			return;
		}
		b->p = bigger;
		b->cap = cap;
	}
	memcpy(b->p + b->len, p, len);
	b->len += len;
	b->p[b->len] = 0;
}

static void buf_puts(struct buf *b, const char *s)
{
	buf_add(b, s, strlen(s));
}

static void buf_pad(struct buf *b, unsigned int n, char c)
{
	while (n--)
		buf_add(b, &c, 1);
}

static void buf_reset(struct buf *b)
{
	b->len = 0;
	b->failed = false;
}

/*
 * Bytes of the UTF-8 sequence at @p, 0 if it is none (RFC 3629: no surrogates, no overlong forms).
 */
static size_t utf8_len(const unsigned char *p)
{
	uint32_t c, least;
	size_t n;

	if (p[0] < 0x80)
		return 1;
	if ((p[0] & 0xe0) == 0xc0) {
		n = 2;
		c = p[0] & 0x1f;
		least = 0x80;
	} else if ((p[0] & 0xf0) == 0xe0) {
		n = 3;
		c = p[0] & 0x0f;
		least = 0x800;
	} else if ((p[0] & 0xf8) == 0xf0) {
		n = 4;
		c = p[0] & 0x07;
		least = 0x10000;
	} else {
		return 0;
	}
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	return c < least || c > 0x10ffff || (c >= 0xd800 && c < 0xe000) ? 0 : n;
}

static void json_string(struct buf *b, const char *s)
{
	const unsigned char *p = (const unsigned char *)s;
	char escape[OUT_ESCAPED + 1];

	buf_puts(b, "\"");
	while (*p) {
		size_t n = utf8_len(p);

		if (*p == '"' || *p == '\\') {
			snprintf(escape, sizeof(escape), "\\%c", *p);
			buf_puts(b, escape);
		} else if (*p < 0x20 || *p == 0x7f) {
			snprintf(escape, sizeof(escape), "\\u%04x", *p);
			buf_puts(b, escape);
		} else if (!n) {
			buf_puts(b, "\\ufffd");
		} else {
			buf_add(b, (const char *)p, n);
		}
		p += n ? n : 1;
	}
	buf_puts(b, "\"");
}

char *svr_out_json_quote(const char *text)
{
	struct buf b = {};

	json_string(&b, text);
	if (b.failed) {
		free(b.p);
		return NULL;
	}
	return b.p;
}

void svr_out_sanitize(char *text, bool lines)
{
	unsigned char *p = (unsigned char *)text;

	while (*p) {
		size_t n = utf8_len(p);
		/*
		 * C0 and C1 controls, also as UTF-8 (c2 80 .. c2 9f), can move a terminal's cursor
		 */
		bool control = *p < 0x20 || *p == 0x7f || (n == 2 && p[0] == 0xc2 && p[1] < 0xa0);

		if (lines && (*p == '\n' || *p == '\t'))
			control = false;
		if (!n || control) {
			*p = '?';
			if (n == 2)
				p[1] = '?';
		}
		p += n ? n : 1;
	}
}

/* Characters that a terminal shows for @s, one per UTF-8 sequence. */
static unsigned int text_width(const char *s)
{
	unsigned int n = 0;

	for (; *s; s++)
		n += (*s & 0xc0) != 0x80;
	return n;
}

/* ---- frames --------------------------------------------------------------------------------- */

static struct frame *top(struct svr_out *o)
{
	return &o->stack[o->depth];
}

static void push(struct svr_out *o, enum frame_kind kind, const char *empty)
{
	if (o->depth + 1 >= OUT_DEPTH) {
		o->err = -E2BIG;
		return;
	}
	o->depth++;
	*top(o) = (struct frame){ .kind = kind, .empty = empty };
}

static void pop(struct svr_out *o)
{
	if (o->depth)
		o->depth--;
}

/* Records that stand in one another, for the indentation of their lines. */
static unsigned int record_level(const struct svr_out *o)
{
	unsigned int n = 0;

	for (unsigned int i = 1; i <= o->depth; i++)
		n += o->stack[i].kind == FRAME_RECORD;
	return n ? n - 1 : 0;
}

/* ---- JSON ----------------------------------------------------------------------------------- */

static void json_newline(struct svr_out *o)
{
	if (!o->pretty)
		return;
	buf_puts(&o->out, "\n");
	buf_pad(&o->out, o->depth * OUT_INDENT, ' ');
}

/* Comma, line and key in front of the next value. */
static void json_lead(struct svr_out *o, const char *key)
{
	if (top(o)->members++)
		buf_puts(&o->out, ",");
	if (top(o)->kind != FRAME_TOP)
		json_newline(o);
	if (key) {
		json_string(&o->out, key);
		buf_puts(&o->out, o->pretty ? ": " : ":");
	}
}

static void json_close(struct svr_out *o, const char *bracket)
{
	unsigned int members = top(o)->members;

	pop(o);
	if (members)
		json_newline(o);
	buf_puts(&o->out, bracket);
}

/* True if a member belongs into the JSON: in lists values have no key. */
static bool json_wanted(struct svr_out *o, const char *key)
{
	return o->json && (key || top(o)->kind == FRAME_INLINE);
}

/* ---- text: tables and blocks ---------------------------------------------------------------- */

static unsigned int row_new(struct svr_out *o)
{
	if (o->rows == o->rows_cap) {
		unsigned int cap = o->rows_cap ? 2 * o->rows_cap : 64;
		size_t *bigger = reallocarray(o->cell, (size_t)cap * OUT_COLUMNS, sizeof(*bigger));

		if (!bigger) {
			o->err = -ENOMEM;
			return o->rows ? o->rows - 1 : 0;
		}
		o->cell = bigger;
		o->rows_cap = cap;
	}
	memset(o->cell + (size_t)o->rows * OUT_COLUMNS, 0, OUT_COLUMNS * sizeof(*o->cell));
	return o->rows++;
}

static void cell_set(struct svr_out *o, unsigned int column, const char *text, bool number)
{
	size_t start = o->cells.len;
	unsigned int width;

	if (o->err || o->cells.failed || !o->rows)
		return;
	buf_add(&o->cells, text, strlen(text) + 1);
	if (o->cells.failed)
		return;
	svr_out_sanitize(o->cells.p + start, false);
	o->cell[(size_t)(o->rows - 1) * OUT_COLUMNS + column] = start + 1;
	width = text_width(o->cells.p + start);
	if (width > o->width[column])
		o->width[column] = width;
	if (!number && strcmp(text, "-"))
		o->number[column] = false;
}

static void row_print(struct svr_out *o, unsigned int indent, const char *const *text,
		      const char *gap)
{
	unsigned int last = 0;

	for (unsigned int c = 0; c < o->columns; c++) {
		if (text[c] && *text[c])
			last = c;
	}
	buf_pad(&o->out, indent, ' ');
	for (unsigned int c = 0; c <= last && c < o->columns; c++) {
		const char *s = text[c] ? text[c] : "";
		unsigned int pad = o->width[c] - text_width(s);

		if (c)
			buf_puts(&o->out, gap);
		if (o->number[c])
			buf_pad(&o->out, pad, ' ');
		buf_puts(&o->out, s);
		if (!o->number[c] && c != last)
			buf_pad(&o->out, pad, ' ');
	}
	buf_puts(&o->out, "\n");
}

static void rows_print(struct svr_out *o, unsigned int indent, const char *gap)
{
	const char *text[OUT_COLUMNS];

	if (o->err || o->cells.failed)
		goto out;
	for (unsigned int r = 0; r < o->rows; r++) {
		for (unsigned int c = 0; c < o->columns; c++) {
			size_t at = o->cell[(size_t)r * OUT_COLUMNS + c];

			text[c] = at ? o->cells.p + at - 1 : NULL;
		}
		row_print(o, indent, text, gap);
	}
out:
	o->rows = 0;
	if (o->cells.failed)
		o->err = -ENOMEM;
	buf_reset(&o->cells);
}

static void table_print(struct svr_out *o)
{
	static const char rule[] =
		"================================================================";
	const char *text[OUT_COLUMNS];

	/*
	 * Widths only grow, so a later chunk of a long table may be wider; a new column gets a new
	 * header
	 */
	if (o->rows && o->columns_shown != o->columns) {
		for (unsigned int c = 0; c < o->columns; c++) {
			unsigned int width = text_width(o->title[c]);

			if (width > o->width[c])
				o->width[c] = width;
		}
		row_print(o, 0, o->title, "  ");
		for (unsigned int c = 0; c < o->columns; c++) {
			unsigned int n = o->width[c] < sizeof(rule) - 1 ? o->width[c] :
									  sizeof(rule) - 1;

			text[c] = rule + sizeof(rule) - 1 - n;
		}
		row_print(o, 0, text, "  ");
		o->columns_shown = o->columns;
	}
	rows_print(o, 0, "  ");
}

static void table_reset(struct svr_out *o)
{
	o->columns = 0;
	o->columns_shown = 0;
	o->rows = 0;
	memset(o->width, 0, sizeof(o->width));
	for (unsigned int c = 0; c < OUT_COLUMNS; c++)
		o->number[c] = true;
	buf_reset(&o->cells);
}

static void block_print(struct svr_out *o)
{
	o->columns = 2;
	o->number[0] = false;
	o->number[1] = false;
	rows_print(o, record_level(o) * OUT_INDENT, "  ");
	table_reset(o);
}

static void text_member(struct svr_out *o, const char *title, const char *text, bool number)
{
	unsigned int c;
	size_t start;

	if (o->json)
		return;
	switch (top(o)->kind) {
	case FRAME_INLINE:
		if (top(o)->members++)
			buf_puts(&o->line, ", ");
		buf_puts(&o->line, text);
		return;
	case FRAME_ROW:
		if (!title)
			return;
		for (c = 0; c < o->columns; c++) {
			if (!strcmp(o->title[c], title))
				break;
		}
		if (c == OUT_COLUMNS) {
			o->err = -E2BIG;
			return;
		}
		if (c == o->columns)
			o->title[o->columns++] = title;
		cell_set(o, c, text, number);
		return;
	case FRAME_RECORD:
		if (!title)
			return;
		top(o)->members++;
		o->columns = 2;
		row_new(o);
		start = o->line.len;
		buf_puts(&o->line, title);
		buf_puts(&o->line, ":");
		cell_set(o, 0, o->line.p && !o->line.failed ? o->line.p + start : "", false);
		if (!o->line.failed)
			o->line.len = start;
		cell_set(o, 1, text, false);
		return;
	default:
		if (title)
			svr_out_note(o, "%s: %s", title, text);
		return;
	}
}

/* ---- life ----------------------------------------------------------------------------------- */

struct svr_out *svr_out_new(bool json, bool pretty)
{
	struct svr_out *o = calloc(1, sizeof(*o));

	if (!o)
		return NULL;
	o->json = json;
	o->pretty = pretty;
	table_reset(o);
	return o;
}

void svr_out_free(struct svr_out *o)
{
	if (!o)
		return;
	free(o->out.p);
	free(o->cells.p);
	free(o->line.p);
	free(o->cell);
	free(o);
}

bool svr_out_is_json(const struct svr_out *o)
{
	return o->json;
}

void svr_out_discard(struct svr_out *o)
{
	buf_reset(&o->out);
	buf_reset(&o->line);
	table_reset(o);
	o->depth = 0;
	o->stack[0].members = 0;
	o->err = 0;
}

int svr_out_flush(struct svr_out *o)
{
	int err = o->err;

	if (!err && (o->out.failed || o->line.failed || o->cells.failed))
		err = -ENOMEM;
	if (err)
		goto out;
	if (o->json && o->out.len)
		buf_puts(&o->out, "\n");
	if (o->out.len && fwrite(o->out.p, 1, o->out.len, stdout) != o->out.len)
		err = errno ? -errno : -EIO;
	if (fflush(stdout) && !err)
		err = errno ? -errno : -EIO;
out:
	svr_out_discard(o);
	return err;
}

/* ---- containers ----------------------------------------------------------------------------- */

static void list_begin(struct svr_out *o, const char *key, enum frame_kind kind, const char *empty)
{
	if (o->json) {
		json_lead(o, key);
		buf_puts(&o->out, "[");
	} else if (top(o)->kind == FRAME_RECORD) {
		top(o)->members++;
		if (kind != FRAME_INLINE)
			block_print(o);
	}
	if (!o->json && kind == FRAME_TABLE)
		table_reset(o);
	push(o, kind, empty);
}

void svr_out_list_begin(struct svr_out *o, const char *key, enum svr_out_style style,
			const char *empty)
{
	list_begin(o, key, style == SVR_OUT_TABLE ? FRAME_TABLE : FRAME_BLOCKS, empty);
}

void svr_out_inline_begin(struct svr_out *o, const char *key, const char *title)
{
	o->line_title = title;
	buf_reset(&o->line);
	list_begin(o, key, FRAME_INLINE, NULL);
}

void svr_out_list_end(struct svr_out *o)
{
	struct frame f = *top(o);

	if (o->json) {
		json_close(o, "]");
		return;
	}
	pop(o);
	if (f.kind == FRAME_INLINE) {
		/* text_member() needs the line buffer for itself */
		char *text = o->line.len && !o->line.failed ? strdup(o->line.p) : strdup("-");

		buf_reset(&o->line);
		if (!text)
			o->err = -ENOMEM;
		else
			text_member(o, o->line_title, text, false);
		free(text);
		return;
	}
	if (f.kind == FRAME_TABLE) {
		table_print(o);
		table_reset(o);
	}
	if (!f.members && f.empty)
		svr_out_note(o, "%s", f.empty);
}

void svr_out_item_begin(struct svr_out *o)
{
	bool table = top(o)->kind == FRAME_TABLE;

	if (o->json) {
		json_lead(o, NULL);
		buf_puts(&o->out, "{");
	} else {
		if (top(o)->members++ && !table)
			buf_puts(&o->out, "\n");
		if (table)
			row_new(o);
	}
	push(o, table ? FRAME_ROW : FRAME_RECORD, NULL);
}

void svr_out_item_end(struct svr_out *o)
{
	if (o->json) {
		json_close(o, "}");
		return;
	}
	if (top(o)->kind == FRAME_RECORD)
		block_print(o);
	pop(o);
	if (top(o)->kind == FRAME_TABLE && o->rows >= OUT_CHUNK_ROWS)
		table_print(o);
}

void svr_out_record_begin(struct svr_out *o, const char *key, const char *title)
{
	if (o->json) {
		json_lead(o, key);
		buf_puts(&o->out, "{");
	} else {
		if (top(o)->kind == FRAME_RECORD)
			block_print(o);
		top(o)->members++;
		if (title) {
			buf_pad(&o->out, record_level(o) * OUT_INDENT, ' ');
			svr_out_note(o, "%s:", title);
		}
	}
	push(o, FRAME_RECORD, NULL);
}

void svr_out_record_end(struct svr_out *o)
{
	svr_out_item_end(o);
}

/* ---- members -------------------------------------------------------------------------------- */

void svr_out_str(struct svr_out *o, const char *key, const char *title, const char *value)
{
	if (json_wanted(o, key)) {
		json_lead(o, key);
		if (value)
			json_string(&o->out, value);
		else
			buf_puts(&o->out, "null");
	}
	text_member(o, title, value && *value ? value : "-", false);
}

void svr_out_fmt(struct svr_out *o, const char *key, const char *title, const char *fmt, ...)
{
	char text[OUT_FORMATTED];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	svr_out_str(o, key, title, text);
}

static void out_number(struct svr_out *o, const char *key, const char *title, const char *number,
		       const char *text)
{
	if (json_wanted(o, key)) {
		json_lead(o, key);
		buf_puts(&o->out, number);
	}
	text_member(o, title, text, text == number);
}

void svr_out_u64(struct svr_out *o, const char *key, const char *title, uint64_t value)
{
	char number[24];

	snprintf(number, sizeof(number), "%" PRIu64, value);
	out_number(o, key, title, number, number);
}

void svr_out_u64_as(struct svr_out *o, const char *key, const char *title, uint64_t value,
		    const char *fmt, ...)
{
	char number[24], text[OUT_FORMATTED];
	va_list ap;

	snprintf(number, sizeof(number), "%" PRIu64, value);
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	out_number(o, key, title, number, text);
}

void svr_out_bool(struct svr_out *o, const char *key, const char *title, bool value)
{
	if (json_wanted(o, key)) {
		json_lead(o, key);
		buf_puts(&o->out, value ? "true" : "false");
	}
	text_member(o, title, value ? "True" : "False", false);
}

static void json_value_list(struct svr_out *o, const char *key, const char *title,
			    struct json_object *value)
{
	size_t n = json_object_array_length(value);
	bool objects = n &&
		       json_object_is_type(json_object_array_get_idx(value, 0), json_type_object);

	if (objects)
		svr_out_list_begin(o, key, SVR_OUT_BLOCKS, NULL);
	else
		svr_out_inline_begin(o, key, title);
	for (size_t i = 0; i < n; i++)
		svr_out_json(o, NULL, title, json_object_array_get_idx(value, i));
	svr_out_list_end(o);
}

static void json_value_object(struct svr_out *o, const char *key, const char *title,
			      struct json_object *value)
{
	struct json_object_iterator it = json_object_iter_begin(value),
				    end = json_object_iter_end(value);
	bool item = top(o)->kind == FRAME_BLOCKS || top(o)->kind == FRAME_TABLE;

	if (item)
		svr_out_item_begin(o);
	else
		svr_out_record_begin(o, key, title);
	for (; !json_object_iter_equal(&it, &end); json_object_iter_next(&it)) {
		const char *name = json_object_iter_peek_name(&it);

		svr_out_json(o, name, name, json_object_iter_peek_value(&it));
	}
	if (item)
		svr_out_item_end(o);
	else
		svr_out_record_end(o);
}

void svr_out_json(struct svr_out *o, const char *key, const char *title, struct json_object *value)
{
	if (!o->json && !title && top(o)->kind != FRAME_INLINE &&
	    !json_object_is_type(value, json_type_object))
		return;
	if (!o->json && !title && top(o)->kind == FRAME_ROW)
		return;
	switch (json_object_get_type(value)) {
	case json_type_null:
		svr_out_str(o, key, title, NULL);
		break;
	case json_type_boolean:
		svr_out_bool(o, key, title, json_object_get_boolean(value));
		break;
	case json_type_double:
		/* JSON has no word for these */
		if (!isfinite(json_object_get_double(value))) {
			svr_out_str(o, key, title, NULL);
			break;
		}
		/* fall through */
	case json_type_int: {
		const char *number = json_object_to_json_string_ext(value, JSON_C_TO_STRING_PLAIN);

		out_number(o, key, title, number, number);
		break;
	}
	case json_type_string:
		svr_out_str(o, key, title, json_object_get_string(value));
		break;
	case json_type_array:
		json_value_list(o, key, title, value);
		break;
	case json_type_object:
		json_value_object(o, key, title, value);
		break;
	}
}

void svr_out_note(struct svr_out *o, const char *fmt, ...)
{
	char text[OUT_FORMATTED];
	va_list ap;

	if (o->json)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	svr_out_sanitize(text, true);
	if (top(o)->kind == FRAME_RECORD && o->rows)
		block_print(o);
	buf_puts(&o->out, text);
	buf_puts(&o->out, "\n");
}
