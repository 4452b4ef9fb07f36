// SPDX-License-Identifier: BSD-2-Clause
/* The one reader of the configuration: walks json-c's tree along the tables of config_model.c.
 * It finds everything that one member alone can get wrong, and goes on after each complaint.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json_object.h>
#include <json-c/linkhash.h>

#include "config_internal.h"

enum { READER_SOURCES = 2 }; /* tables of objects that are inherited from */

struct reader {
	struct svr_config_errors *errs;
	struct svr_cfg_arena **arena;
	struct svr_cfg_pointer at;
	/* what `inherit` objects of a table start from */
	struct {
		const struct svr_cfg_table *table;
		const void *object;
	} source[READER_SOURCES];
	bool no_memory;
};

static void read_members(struct reader *r, struct json_object *json,
			 const struct svr_cfg_table *table, void *base, bool keep);

static void complain(struct reader *r, enum svr_config_severity severity, enum svr_cfg_found found,
		     const char *fmt, ...) __attribute__((format(printf, 4, 5)));

static void complain(struct reader *r, enum svr_config_severity severity, enum svr_cfg_found found,
		     const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	svr_config_complain(r->errs, severity, found, r->at.text, fmt, ap);
	va_end(ap);
}

#define bad(r, ...)	complain(r, SVR_CONFIG_ERROR, SVR_CFG_FOUND_YES, __VA_ARGS__)
#define missing(r, ...) complain(r, SVR_CONFIG_ERROR, SVR_CFG_FOUND_NO, __VA_ARGS__)

/* ---- what a member may be -------------------------------------------------------------------- */

static bool is_number(const char *word)
{
	return word[0] >= '0' && word[0] <= '9';
}

/* `one of "a", "b"`, without the words that are refused. */
static void list_words(const struct svr_cfg_word *words, char *buf, size_t len)
{
	size_t n = (size_t)snprintf(buf, len, "one of");
	const char *comma = " ";

	for (; words->word; words++) {
		const char *quote = is_number(words->word) ? "" : "\"";

		if (words->refused || n >= len)
			continue;
		n += (size_t)snprintf(buf + n, len - n, "%s%s%s%s", comma, quote, words->word,
				      quote);
		comma = ", ";
	}
}

/* Completes "must be ...". */
static const char *allowed(const struct svr_cfg_field *f, char *buf, size_t len)
{
	char words[128] = "";

	switch (f->kind) {
	case SVR_CFG_KIND_STRING:
	case SVR_CFG_KIND_STRINGS:
		return svr_cfg_syntaxes[f->syntax].what;
	case SVR_CFG_KIND_BOOL:
		return "true or false";
	case SVR_CFG_KIND_UINT:
		if (f->words)
			list_words(f->words, words, sizeof(words));
		snprintf(buf, len, "an integer from %" PRIu32 " to %" PRIu32 "%s%s", f->min, f->max,
			 f->words ? ", or " : "", words);
		return buf;
	case SVR_CFG_KIND_ENUM:
		list_words(f->words, buf, len);
		return buf;
	case SVR_CFG_KIND_ADDR:
		return "an IPv4 or IPv6 address such as \"192.0.2.1\" or \"2001:db8::1\"";
	case SVR_CFG_KIND_PREFIX:
	case SVR_CFG_KIND_PREFIXES:
		return "an IPv4 or IPv6 prefix such as \"192.0.2.0/24\" or \"2001:db8::/32\"";
	case SVR_CFG_KIND_FINGERPRINT:
		return "\"none\" or \"sha256:\" and 32 pairs of hexadecimal digits with colons between them";
	case SVR_CFG_KIND_MSS:
		snprintf(buf, len,
			 "\"automatic\", \"disabled\" or an integer from %" PRIu32 " to %" PRIu32,
			 f->min, f->max);
		return buf;
	case SVR_CFG_KIND_OBJECT:
		return "an object";
	case SVR_CFG_KIND_LIST:
		break;
	}
	return "an array of objects";
}

static void not_allowed(struct reader *r, const struct svr_cfg_field *f)
{
	char buf[256];

	bad(r, "must be %s", allowed(f, buf, sizeof(buf)));
}

/* ---- one value ------------------------------------------------------------------------------- */

static void put_uint(void *target, size_t size, uint32_t v)
{
	uint16_t v16 = (uint16_t)v;
	uint8_t v8 = (uint8_t)v;

	switch (size) {
	case sizeof(v8):
		memcpy(target, &v8, sizeof(v8));
		break;
	case sizeof(v16):
		memcpy(target, &v16, sizeof(v16));
		break;
	default:
		memcpy(target, &v, sizeof(v));
	}
}

static char *copy_string(struct reader *r, const char *text)
{
	size_t len = strlen(text) + 1;
	char *copy = svr_config_alloc(r->arena, 1, len);

	if (copy)
		memcpy(copy, text, len);
	else
		r->no_memory = true;
	return copy;
}

static void read_string(struct reader *r, struct json_object *json, const struct svr_cfg_field *f,
			const char **target)
{
	const char *text = json_object_get_string(json);

	if (!json_object_is_type(json, json_type_string))
		not_allowed(r, f);
	else if (f->syntax == SVR_CFG_SYN_SOURCE && strpbrk(text, "@/"))
		bad(r,
		    "tenant@prefix and /group/service as source are known but not implemented yet; must be %s",
		    svr_cfg_syntaxes[f->syntax].what);
	else if (!svr_config_syntax_ok(f->syntax, text))
		not_allowed(r, f);
	else
		*target = copy_string(r, text);
}

/* The word for @json in @words, NULL when it is none that is taken. */
static const struct svr_cfg_word *read_word(struct reader *r, struct json_object *json,
					    const struct svr_cfg_field *f)
{
	enum json_type want;
	const struct svr_cfg_word *w;
	const char *text = json_object_get_string(json);
	char buf[256];

	for (w = f->words; w->word; w++) {
		want = is_number(w->word) ? json_type_int : json_type_string;
		if (!json_object_is_type(json, want) || strcmp(text, w->word))
			continue;
		if (w->refused) {
			bad(r, "\"%s\" %s; must be %s", w->word, w->refused,
			    allowed(f, buf, sizeof(buf)));
			return NULL;
		}
		if (w->warning)
			complain(r, SVR_CONFIG_WARNING, SVR_CFG_FOUND_YES, "%s", w->warning);
		return w;
	}
	not_allowed(r, f);
	return NULL;
}

static bool in_range(struct json_object *json, const struct svr_cfg_field *f)
{
	int64_t v =
		json_object_get_int64(json); /* saturates, so a huge number stays out of range */

	return v >= (int64_t)f->min && v <= (int64_t)f->max;
}

static void read_uint(struct reader *r, struct json_object *json, const struct svr_cfg_field *f,
		      void *target)
{
	const struct svr_cfg_word *word;

	if (f->words && json_object_is_type(json, json_type_string)) {
		word = read_word(r, json, f);
		if (word)
			put_uint(target, f->size, word->value);
	} else if (!json_object_is_type(json, json_type_int) || !in_range(json, f)) {
		not_allowed(r, f);
	} else {
		put_uint(target, f->size, (uint32_t)json_object_get_int64(json));
	}
}

static void read_mss(struct reader *r, struct json_object *json, const struct svr_cfg_field *f,
		     void *base)
{
	enum svr_cfg_mss_mode *mode = (void *)((char *)base + f->offset);
	uint16_t *mss = (void *)((char *)base + f->has_offset);

	if (json_object_is_type(json, json_type_string) &&
	    !strcmp(json_object_get_string(json), "automatic")) {
		*mode = SVR_CFG_MSS_AUTOMATIC;
	} else if (json_object_is_type(json, json_type_string) &&
		   !strcmp(json_object_get_string(json), "disabled")) {
		*mode = SVR_CFG_MSS_DISABLED;
	} else if (json_object_is_type(json, json_type_int) && in_range(json, f)) {
		*mode = SVR_CFG_MSS_FIXED;
		*mss = (uint16_t)json_object_get_int64(json);
	} else {
		not_allowed(r, f);
	}
}

static void read_addr(struct reader *r, struct json_object *json, const struct svr_cfg_field *f,
		      struct svr_cfg_addr *target)
{
	if (!json_object_is_type(json, json_type_string) ||
	    svr_config_addr_parse(json_object_get_string(json), target))
		not_allowed(r, f);
}

static void read_prefix(struct reader *r, struct json_object *json, const struct svr_cfg_field *f,
			struct svr_cfg_prefix *target)
{
	int err = -EINVAL;

	if (json_object_is_type(json, json_type_string))
		err = svr_config_prefix_parse(json_object_get_string(json), target);
	if (err == -ERANGE)
		bad(r, "bits are set behind the prefix length; must be %s",
		    "a prefix whose host bits are zero");
	else if (err)
		not_allowed(r, f);
}

static void read_fingerprint(struct reader *r, struct json_object *json,
			     const struct svr_cfg_field *f, void *base)
{
	bool *has = (void *)((char *)base + f->has_offset);
	const char *text = json_object_get_string(json);

	if (!json_object_is_type(json, json_type_string))
		not_allowed(r, f);
	else if (!svr_config_fingerprint_parse(text, (uint8_t *)base + f->offset))
		*has = true;
	else if (strcmp(text, "none"))
		not_allowed(r, f);
}

/* ---- arrays ---------------------------------------------------------------------------------- */

/* Memory for the entries of an array, after its length was checked; NULL when there is nothing to
 * read.
 */
static void *start_array(struct reader *r, struct json_object *json, const struct svr_cfg_field *f,
			 size_t size, void *base)
{
	unsigned int *count = (void *)((char *)base + f->has_offset);
	void *list;
	size_t n;

	if (!json_object_is_type(json, json_type_array)) {
		if (f->kind == SVR_CFG_KIND_LIST)
			not_allowed(r, f);
		else
			bad(r, "must be an array of %s",
			    f->kind == SVR_CFG_KIND_PREFIXES  ? "prefixes" :
			    f->syntax == SVR_CFG_SYN_URL ? "URLs" :
								"names");
		return NULL;
	}
	n = json_object_array_length(json);
	if (n > f->max && f->too_many) {
		missing(r, "%s: %zu entries found", f->too_many, n);
		return NULL;
	}
	if (n < f->min || n > f->max) {
		missing(r, "must have %" PRIu32 " to %" PRIu32 " entries, has %zu", f->min, f->max,
			n);
		return NULL;
	}
	if (!n)
		return NULL;
	list = svr_config_alloc(r->arena, n, size);
	if (!list) {
		r->no_memory = true;
		return NULL;
	}
	*count = (unsigned int)n;
	memcpy((char *)base + f->offset, &list, sizeof(list));
	return list;
}

/* A name, for the search for twins. */
struct twin {
	const char *name;
	size_t index;
};

static int by_name(const void *va, const void *vb)
{
	const struct twin *a = va, *b = vb;
	int cmp = strcmp(a->name, b->name);

	return cmp ? cmp : (a->index > b->index) - (a->index < b->index);
}

/* @twins: the @n names of a list. @member: where they stand in an entry, or NULL when the entries
 * are the names.
 */
static void find_twins(struct reader *r, struct twin *twins, size_t n, const char *member)
{
	size_t i, mark, first = 0;

	qsort(twins, n, sizeof(*twins), by_name);
	for (i = 1; i < n; i++) {
		if (strcmp(twins[i].name, twins[first].name)) {
			first = i;
			continue;
		}
		mark = svr_config_pointer_push_index(&r->at, twins[i].index);
		if (member)
			svr_config_pointer_push(&r->at, member);
		bad(r,
		    "stands in entry %zu already; must be different in every entry of this array",
		    twins[first].index);
		svr_config_pointer_pop(&r->at, mark);
	}
}

/* The names are the first members of the entries, which are @size bytes apart. */
static void check_twins(struct reader *r, const void *list, size_t n, size_t size,
			const char *member)
{
	struct twin *twins = calloc(n, sizeof(*twins));
	size_t i, used = 0;

	if (!twins) {
		r->no_memory = true;
		return;
	}
	for (i = 0; i < n; i++) {
		memcpy(&twins[used].name, (const char *)list + i * size, sizeof(twins[used].name));
		twins[used].index = i;
		used += twins[used].name != NULL; /* a bad name was complained about already */
	}
	find_twins(r, twins, used, member);
	free(twins);
}

static void read_list(struct reader *r, struct json_object *json, const struct svr_cfg_field *f,
		      void *base)
{
	size_t size = f->sub->size, n, i, mark;
	char *list = start_array(r, json, f, size, base);

	if (!list)
		return;
	n = json_object_array_length(json);
	for (i = 0; i < n && !r->no_memory; i++) {
		struct json_object *entry = json_object_array_get_idx(json, i);

		mark = svr_config_pointer_push_index(&r->at, i);
		if (json_object_is_type(entry, json_type_object))
			read_members(r, entry, f->sub, list + i * size, false);
		else
			bad(r, "must be an object");
		svr_config_pointer_pop(&r->at, mark);
	}
	if (f->sub->unique_name)
		check_twins(r, list, n, size, f->sub->fields[0].name);
}

static void read_strings(struct reader *r, struct json_object *json, const struct svr_cfg_field *f,
			 void *base)
{
	const char **list = start_array(r, json, f, sizeof(*list), base);
	size_t n, i, mark;

	if (!list)
		return;
	n = json_object_array_length(json);
	for (i = 0; i < n; i++) {
		mark = svr_config_pointer_push_index(&r->at, i);
		read_string(r, json_object_array_get_idx(json, i), f, &list[i]);
		svr_config_pointer_pop(&r->at, mark);
	}
	check_twins(r, list, n, sizeof(*list), NULL);
}

static void read_prefixes(struct reader *r, struct json_object *json, const struct svr_cfg_field *f,
			  void *base)
{
	struct svr_cfg_prefix *list = start_array(r, json, f, sizeof(*list), base);
	size_t n, i, mark;

	if (!list)
		return;
	n = json_object_array_length(json);
	for (i = 0; i < n; i++) {
		mark = svr_config_pointer_push_index(&r->at, i);
		read_prefix(r, json_object_array_get_idx(json, i), f, &list[i]);
		svr_config_pointer_pop(&r->at, mark);
	}
}

/* ---- objects --------------------------------------------------------------------------------- */

/* The object to inherit from, which stood before; NULL in a slot that is free. */
static const void **source_of(struct reader *r, const struct svr_cfg_table *table)
{
	unsigned int i = 0;

	while (i < READER_SOURCES - 1 && r->source[i].table && r->source[i].table != table)
		i++;
	r->source[i].table = table;
	return &r->source[i].object;
}

/* @json NULL = absent. */
static void read_object(struct reader *r, struct json_object *json, const struct svr_cfg_field *f,
			void *base)
{
	void *target = (char *)base + f->offset;

	if (f->inherit)
		memcpy(target, *source_of(r, f->sub), f->size);
	if (f->sub->given_offset)
		*(uint32_t *)(void *)((char *)target + f->sub->given_offset) = 0;
	if (json && f->has_offset)
		*(bool *)((char *)base + f->has_offset) = true;
	if (json || !f->inherit)
		read_members(r, json, f->sub, target, f->inherit);
	if (f->source)
		*source_of(r, f->sub) = target;
}

/* Fills in the default. */
static void preset(const struct svr_cfg_field *f, void *base)
{
	void *target = (char *)base + f->offset;

	switch (f->kind) {
	case SVR_CFG_KIND_BOOL:
	case SVR_CFG_KIND_ENUM:
	case SVR_CFG_KIND_MSS:
	case SVR_CFG_KIND_UINT:
		if (f->copy_offset)
			memcpy(target, (char *)base + f->copy_offset - 1, f->size);
		else
			put_uint(target, f->size, f->preset);
		break;
	case SVR_CFG_KIND_STRING:
		memcpy(target, &f->text, sizeof(f->text));
		break;
	default: /* zero, as allocated */
		break;
	}
}

/* @json NULL = a JSON null. */
static void read_value(struct reader *r, struct json_object *json, const struct svr_cfg_field *f,
		       void *base)
{
	const struct svr_cfg_word *word;
	void *target = (char *)base + f->offset;

	switch (f->kind) {
	case SVR_CFG_KIND_STRING:
		read_string(r, json, f, target);
		break;
	case SVR_CFG_KIND_BOOL:
		if (json_object_is_type(json, json_type_boolean))
			*(bool *)target = json_object_get_boolean(json);
		else
			not_allowed(r, f);
		break;
	case SVR_CFG_KIND_UINT:
		read_uint(r, json, f, target);
		break;
	case SVR_CFG_KIND_ENUM:
		word = read_word(r, json, f);
		if (word)
			put_uint(target, f->size, word->value);
		break;
	case SVR_CFG_KIND_ADDR:
		read_addr(r, json, f, target);
		break;
	case SVR_CFG_KIND_PREFIX:
		read_prefix(r, json, f, target);
		break;
	case SVR_CFG_KIND_FINGERPRINT:
		read_fingerprint(r, json, f, base);
		break;
	case SVR_CFG_KIND_MSS:
		read_mss(r, json, f, base);
		break;
	case SVR_CFG_KIND_OBJECT:
		/* After the complaint as if it were absent: others may inherit from it. */
		if (!json_object_is_type(json, json_type_object)) {
			not_allowed(r, f);
			json = NULL;
		}
		read_object(r, json, f, base);
		break;
	case SVR_CFG_KIND_LIST:
		read_list(r, json, f, base);
		break;
	case SVR_CFG_KIND_STRINGS:
		read_strings(r, json, f, base);
		break;
	case SVR_CFG_KIND_PREFIXES:
		read_prefixes(r, json, f, base);
		break;
	}
}

static const struct svr_cfg_field *find_field(const struct svr_cfg_table *table, const char *name)
{
	unsigned int i;

	for (i = 0; i < table->n_fields; i++)
		if (!strcmp(table->fields[i].name, name))
			return &table->fields[i];
	return NULL;
}

static void unknown_member(struct reader *r, const struct svr_cfg_table *table, const char *name)
{
	size_t n = 0, mark = svr_config_pointer_push(&r->at, name);
	char list[SVR_CFG_REASON_LEN] = "";
	unsigned int i;

	for (i = 0; i < table->n_fields && n < sizeof(list); i++)
		n += (size_t)snprintf(list + n, sizeof(list) - n, "%s%s", i ? ", " : "",
				      table->fields[i].name);
	/* without its value, which may be a key under a misspelt name */
	missing(r, "unknown member; must be one of %s", list);
	svr_config_pointer_pop(&r->at, mark);
}

/* @json NULL = the object is absent: only defaults. @keep: what is absent stays as it is, because
 * it was inherited.
 */
static void read_members(struct reader *r, struct json_object *json,
			 const struct svr_cfg_table *table, void *base, bool keep)
{
	struct json_object *value;
	unsigned int i;
	size_t mark;

	if (json) {
		json_object_object_foreach(json, name, unused) {
			(void)unused;
			if (!find_field(table, name))
				unknown_member(r, table, name);
		}
	}
	for (i = 0; i < table->n_fields && !r->no_memory; i++) {
		const struct svr_cfg_field *f = &table->fields[i];
		bool here = json && json_object_object_get_ex(json, f->name, &value);

		if (!keep)
			preset(f, base);
		if (json && !here && f->required)
			missing(r, "member \"%s\" is missing", f->name);
		mark = svr_config_pointer_push(&r->at, f->name);
		if (here && table->given_offset)
			*(uint32_t *)(void *)((char *)base + table->given_offset) |= 1u << i;
		if (here)
			read_value(r, value, f, base);
		else if (f->kind == SVR_CFG_KIND_OBJECT && !f->required)
			read_object(r, NULL, f, base);
		svr_config_pointer_pop(&r->at, mark);
	}
}

int svr_config_read(struct json_object *json, struct svr_cfg_arena **arena, struct svr_config *cfg,
		    struct svr_config_errors *errs)
{
	struct reader r = { .errs = errs, .arena = arena };

	read_members(&r, json, &svr_cfg_table_root, cfg, false);
	return r.no_memory ? -ENOMEM : 0;
}
