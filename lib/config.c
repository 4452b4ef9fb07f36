// SPDX-License-Identifier: BSD-2-Clause
/* Configuration: from a file or a text to a checked struct svr_config, or to a list of errors. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <json-c/json_object.h>
#include <json-c/json_tokener.h>

#include "config_internal.h"
#include "lib/utf8.h"

/* ---- memory ---------------------------------------------------------------------------------- */

struct svr_cfg_arena {
	struct svr_cfg_arena *next;
	max_align_t data[];
};

void *svr_config_alloc(struct svr_cfg_arena **arena, size_t n, size_t size)
{
	struct svr_cfg_arena *a;
	size_t bytes;

	if (__builtin_mul_overflow(n, size, &bytes) ||
	    __builtin_add_overflow(bytes, sizeof(*a), &bytes))
		return NULL;
	a = calloc(1, bytes);
	if (!a)
		return NULL;
	a->next = *arena;
	*arena = a;
	return a->data;
}

void svr_config_arena_free(struct svr_cfg_arena *arena)
{
	while (arena) {
		struct svr_cfg_arena *next = arena->next;

		free(arena);
		arena = next;
	}
}

/* ---- errors ---------------------------------------------------------------------------------- */

void svr_config_errors_init(struct svr_config_errors *errs)
{
	memset(errs, 0, sizeof(*errs));
}

/* Room for one more: an error may take the place of the last warning. NULL = no room, only
 * counted.
 */
static struct svr_config_error *new_error(struct svr_config_errors *errs,
					  enum svr_config_severity severity)
{
	struct svr_config_error *e = NULL;
	unsigned int i;

	if (severity == SVR_CONFIG_ERROR)
		errs->n_errors++;
	else
		errs->n_warnings++;
	if (errs->n < SVR_CFG_ERRORS_MAX)
		e = &errs->list[errs->n++];
	for (i = errs->n; !e && severity == SVR_CONFIG_ERROR && i > 0; i--)
		if (errs->list[i - 1].severity == SVR_CONFIG_WARNING)
			e = &errs->list[i - 1];
	if (e) {
		memset(e, 0, sizeof(*e));
		e->severity = severity;
	}
	return e;
}

void svr_config_complain(struct svr_config_errors *errs, enum svr_config_severity severity,
			 enum svr_cfg_found found, const char *pointer, const char *fmt, va_list ap)
{
	struct svr_config_error *e = new_error(errs, severity);

	if (!e)
		return;
	snprintf(e->pointer, sizeof(e->pointer), "%s", pointer);
	vsnprintf(e->reason, sizeof(e->reason), fmt, ap);
	e->found[0] = (char)found; /* svr_config_json_locate() puts the value in its place */
}

void svr_config_complain_at(struct svr_config_errors *errs, const char *pointer, unsigned int line,
			    unsigned int column, const char *fmt, ...)
{
	struct svr_config_error *e = new_error(errs, SVR_CONFIG_ERROR);
	va_list ap;

	if (!e)
		return;
	snprintf(e->pointer, sizeof(e->pointer), "%s", pointer);
	va_start(ap, fmt);
	vsnprintf(e->reason, sizeof(e->reason), fmt, ap);
	va_end(ap);
	e->line = line;
	e->column = column;
}

int svr_config_error_print(const struct svr_config_error *err, char *buf, size_t len)
{
	const char *kind = err->severity == SVR_CONFIG_WARNING ? "warning" : "error";
	char place[32] = "";

	if (err->line)
		snprintf(place, sizeof(place), "%u:%u: ", err->line, err->column);
	return snprintf(buf, len, "%s%s: %s%s%s%s%s%s", place, kind, err->pointer,
			err->pointer[0] ? ": " : "", err->reason, err->found[0] ? " (found " : "",
			err->found, err->found[0] ? ")" : "");
}

/* ---- JSON pointers --------------------------------------------------------------------------- */

/* All or nothing, so that no sequence is cut in the middle. */
static void append(struct svr_cfg_pointer *p, const char *bytes, size_t n)
{
	if (p->len + n >= sizeof(p->text))
		return;
	memcpy(p->text + p->len, bytes, n);
	p->len += n;
	p->text[p->len] = '\0';
}

size_t svr_config_pointer_push(struct svr_cfg_pointer *p, const char *key)
{
	size_t before = p->len, left = strlen(key), n;

	append(p, "/", 1);
	for (; left; key += n, left -= n) {
		unsigned char c = (unsigned char)key[0];

		n = svr_utf8_len(key, left);
		if (c == '~')
			append(p, "~0", 2);
		else if (c == '/')
			append(p, "~1", 2);
		else if (!n || c < 0x20 || c == 0x7f || (c == 0xc2 && (unsigned char)key[1] < 0xa0))
			append(p, "?", 1);
		else
			append(p, key, n);
		if (!n)
			n = 1;
	}
	return before;
}

size_t svr_config_pointer_push_index(struct svr_cfg_pointer *p, size_t index)
{
	char text[24];

	snprintf(text, sizeof(text), "%zu", index);
	return svr_config_pointer_push(p, text);
}

void svr_config_pointer_pop(struct svr_cfg_pointer *p, size_t len)
{
	p->len = len;
	p->text[len] = '\0';
}

struct svr_cfg_place *svr_config_at(struct svr_cfg_place *place, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(place->pointer, sizeof(place->pointer), fmt, ap);
	va_end(ap);
	return place;
}

void svr_config_bad(struct svr_cfg_place *place, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	svr_config_complain(place->errs, SVR_CONFIG_ERROR, SVR_CFG_FOUND_SCALAR, place->pointer,
			    fmt, ap);
	va_end(ap);
}

void svr_config_warn(struct svr_cfg_place *place, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	svr_config_complain(place->errs, SVR_CONFIG_WARNING, SVR_CFG_FOUND_SCALAR, place->pointer,
			    fmt, ap);
	va_end(ap);
}

/* ---- parse ----------------------------------------------------------------------------------- */

/* The text has passed the scan, so what goes wrong here is memory, or json-c and the scan do not
 * agree.
 */
static int build_tree(const char *text, size_t len, struct json_object **json,
		      struct svr_config_errors *errs)
{
	struct json_tokener *tok = json_tokener_new_ex(SVR_CFG_DEPTH_MAX + 2);
	enum json_tokener_error jerr;
	int err = 0;

	if (!tok)
		return -ENOMEM;
	/*
	 * Neither STRICT nor VALIDATE_UTF8: json-c 0.18 takes bytes from 0x80 up for control
	 * characters then, and the scan is stricter than both.
	 */
	*json = json_tokener_parse_ex(tok, text, (int)len);
	jerr = json_tokener_get_error(tok);
	if (!*json || jerr != json_tokener_success) {
		svr_config_complain_at(errs, "", 0, 0, "not JSON: %s",
				       json_tokener_error_desc(jerr));
		json_object_put(*json);
		*json = NULL;
		err = -EINVAL;
	}
	json_tokener_free(tok);
	return err;
}

static int check_views(const struct svr_config *cfg, struct svr_config_errors *errs)
{
	struct svr_router_view *view;
	unsigned int i;
	int err;

	for (i = 0; i < cfg->n_routers; i++) {
		err = svr_config_view_build(cfg, i, &view, errs);
		if (err)
			return err;
		svr_config_view_free(view);
	}
	return 0;
}

/* The tree, and what each member alone can get wrong. On errors, too, @json and @arena are the
 * caller's.
 */
static int parse_members(const char *text, size_t len, struct svr_cfg_arena **arena,
			 struct json_object **json, struct svr_config **cfg,
			 struct svr_config_errors *errs)
{
	int err;

	if (len > SVR_CFG_FILE_MAX) {
		svr_config_complain_at(errs, "", 0, 0, "%zu bytes; at most %d are read", len,
				       SVR_CFG_FILE_MAX);
		return -EFBIG;
	}
	err = svr_config_json_scan(text, len, errs);
	if (!err)
		err = build_tree(text, len, json, errs);
	if (err)
		return err;
	*cfg = svr_config_alloc(arena, 1, sizeof(**cfg));
	if (!*cfg)
		return -ENOMEM;
	return svr_config_read(*json, arena, *cfg, errs);
}

/* Where the errors stand. @json: NULL when the text did not pass the scan, which says so itself. */
static int finish_errors(const char *text, size_t len, const struct json_object *json, int err,
			 struct svr_config_errors *errs)
{
	if (json && errs->n)
		svr_config_json_locate(text, len, errs);
	return !err && errs->n_errors ? -EINVAL : err;
}

static int parse(const char *text, size_t len, struct svr_config **out,
		 struct svr_config_errors *errs)
{
	struct svr_cfg_arena *arena = NULL;
	struct json_object *json = NULL;
	struct svr_config *cfg = NULL;
	int err;

	err = parse_members(text, len, &arena, &json, &cfg, errs);
	if (!err && !errs->n_errors)
		err = svr_config_check(cfg, &arena, errs);
	if (!err && !errs->n_errors)
		err = check_views(cfg, errs);
	err = finish_errors(text, len, json, err, errs);
	json_object_put(json);
	if (err) {
		svr_config_arena_free(arena);
		return err;
	}
	cfg->priv = arena;
	*out = cfg;
	return 0;
}

int svr_config_parse(const char *text, size_t len, struct svr_config **out,
		     struct svr_config_errors *errs)
{
	int err;

	*out = NULL;
	svr_config_errors_init(errs);
	err = parse(text, len, out, errs);
	if (err == -ENOMEM)
		svr_config_complain_at(errs, "", 0, 0, "out of memory");
	return err;
}

/* ---- load ------------------------------------------------------------------------------------ */

/* Reads at most one byte more than is allowed, which tells a file that is too large. */
static int read_all(int fd, char **text, size_t *len)
{
	size_t room = 0, n = 0;
	char *buf = NULL, *more;
	ssize_t got;

	for (;;) {
		if (n == room) {
			room = room ? room * 2 : 65536;
			if (room > SVR_CFG_FILE_MAX)
				room = (size_t)SVR_CFG_FILE_MAX + 1;
			more = realloc(buf, room);
			if (!more) {
				free(buf);
				return -ENOMEM;
			}
			buf = more;
		}
		got = read(fd, buf + n, room - n);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			int err = -errno;

			free(buf);
			return err;
		}
		n += (size_t)got;
		if (!got || n > SVR_CFG_FILE_MAX)
			break;
	}
	*text = buf;
	*len = n;
	return 0;
}

/* The whole file; @text for free(). */
static int load_text(const char *path, char **text, size_t *len, struct svr_config_errors *errs)
{
	int fd, err;

	*text = NULL;
	*len = 0;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	err = fd < 0 ? -errno : read_all(fd, text, len);
	if (fd >= 0)
		close(fd);
	if (err) {
		svr_config_complain_at(errs, "", 0, 0, "%s: %s", path, strerror(-err));
	} else if (*len > SVR_CFG_FILE_MAX) {
		svr_config_complain_at(errs, "", 0, 0, "%s: more than %d bytes", path,
				       SVR_CFG_FILE_MAX);
		free(*text);
		*text = NULL;
		err = -EFBIG;
	}
	return err;
}

int svr_config_load(const char *path, struct svr_config **out, struct svr_config_errors *errs)
{
	char *text;
	size_t len;
	int err;

	*out = NULL;
	svr_config_errors_init(errs);
	err = load_text(path, &text, &len, errs);
	if (!err)
		err = svr_config_parse(text, len, out, errs);
	free(text);
	return err;
}

int svr_config_load_tree(const char *path, struct json_object **out, struct svr_config_errors *errs)
{
	struct svr_cfg_arena *arena = NULL;
	struct svr_config *cfg = NULL;
	char *text;
	size_t len;
	int err;

	*out = NULL;
	svr_config_errors_init(errs);
	err = load_text(path, &text, &len, errs);
	if (err)
		return err;
	err = parse_members(text, len, &arena, out, &cfg, errs);
	err = finish_errors(text, len, *out, err, errs);
	if (err == -ENOMEM)
		svr_config_complain_at(errs, "", 0, 0, "out of memory");
	if (err) {
		json_object_put(*out);
		*out = NULL;
	}
	svr_config_arena_free(arena);
	free(text);
	return err;
}

void svr_config_free(struct svr_config *cfg)
{
	if (cfg)
		svr_config_arena_free(cfg->priv);
}

/* ---- look-ups -------------------------------------------------------------------------------- */

int svr_config_index(const void *list, unsigned int n, size_t size, const char *name)
{
	const char *entry;
	unsigned int i;

	for (i = 0; i < n; i++) {
		memcpy(&entry, (const char *)list + i * size, sizeof(entry));
		if (!strcmp(entry, name))
			return (int)i;
	}
	return -1;
}

const struct svr_cfg_router *svr_config_router(const struct svr_config *cfg, const char *name)
{
	int i = SVR_CFG_INDEX(cfg->routers, cfg->n_routers, name);

	return i < 0 ? NULL : &cfg->routers[i];
}
