/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The one print layer of `svr`: each call gives both the text and the JSON, so the two cannot drift
 * apart. Loader only. Nothing is written before svr_out_flush(): a command that fails half way
 * leaves no half JSON.
 *
 *	svr_out_list_begin(o, NULL, SVR_OUT_TABLE, "no services");	[
 *	svr_out_item_begin(o);						  {
 *	svr_out_str(o, "service", "Service", name);			    "service": "...",	one column
 *	svr_out_u64(o, "sessions", "Sessions", n);			    "sessions": 5
 *	svr_out_item_end(o);						  }
 *	svr_out_list_end(o);						]
 *
 * A member with title NULL is left out of the text, one with key NULL out of the JSON (but in
 * lists, whose members have no key). Text never carries control characters on to a terminal, JSON
 * is always valid UTF-8: names may come from a peer.
 */
#ifndef SVR_LOADER_PRINT_H
#define SVR_LOADER_PRINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json_object;
struct svr_out;

enum svr_out_style {
	SVR_OUT_TABLE, /* list of items: a header line, then one line per item */
	SVR_OUT_BLOCKS, /* list of items: one block of "Title: value" lines per item */
	SVR_OUT_INLINE, /* list of values: in one cell, with commas */
};

struct svr_out *svr_out_new(bool json, bool pretty); /* NULL: no memory */
void svr_out_free(struct svr_out *o);

/*
 * Writes everything to standard output. 0 or negative errno (also for what could not be printed
 * before).
 */
int svr_out_flush(struct svr_out *o);
/* Forgets everything that was printed. */
void svr_out_discard(struct svr_out *o);
bool svr_out_is_json(const struct svr_out *o);

/*
 * Containers. @empty: what the text says instead of a table or block without items, NULL: nothing.
 */
void svr_out_list_begin(struct svr_out *o, const char *key, enum svr_out_style style,
			const char *empty);
void svr_out_inline_begin(struct svr_out *o, const char *key, const char *title);
void svr_out_list_end(struct svr_out *o);
void svr_out_item_begin(struct svr_out *o);
void svr_out_item_end(struct svr_out *o);
/* An object: "Title: value" lines, in a record below @title and indented. */
void svr_out_record_begin(struct svr_out *o, const char *key, const char *title);
void svr_out_record_end(struct svr_out *o);

/* Members. @value NULL is null in JSON and "-" in text. */
void svr_out_str(struct svr_out *o, const char *key, const char *title, const char *value);
void svr_out_fmt(struct svr_out *o, const char *key, const char *title, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
void svr_out_u64(struct svr_out *o, const char *key, const char *title, uint64_t value);
void svr_out_bool(struct svr_out *o, const char *key, const char *title, bool value);
/* A number in JSON, words of its own in text. */
void svr_out_u64_as(struct svr_out *o, const char *key, const char *title, uint64_t value,
		    const char *fmt, ...) __attribute__((format(printf, 5, 6)));
/* What another process answered, printed with our rules; records and lists keep their shape. */
void svr_out_json(struct svr_out *o, const char *key, const char *title, struct json_object *value);

/* A line for people only. */
void svr_out_note(struct svr_out *o, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/*
 * Replaces what a terminal could take as a command by '?', in place; keeps '\n' and '\t' if @lines.
 */
void svr_out_sanitize(char *text, bool lines);
/* @text as a JSON string with its quotes, to be freed; NULL: no memory. */
char *svr_out_json_quote(const char *text);

#endif
