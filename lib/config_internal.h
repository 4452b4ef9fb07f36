// SPDX-License-Identifier: BSD-2-Clause
/* What the lib/config*.c files share. Nobody else includes this, except the unit test that holds
 * tables and schema together.
 *
 * 	config_json.c	strict scan of the text: grammar, UTF-8, duplicates, places of values
 * 	config_model.c	tables: every member with its type, range, default and target
 * 	config_read.c	the one reader that walks json-c's tree along those tables
 * 	config_check.c	what no single member can tell: references, overlaps, limits of the data plane
 * 	config_view.c	peers, paths and routes of one router
 * 	config_text.c	names, addresses, prefixes, words: parsing and printing
 * 	config.c	load, parse, free, errors
 * /
 */
#ifndef SVR_LIB_CONFIG_INTERNAL_H
#define SVR_LIB_CONFIG_INTERNAL_H

#include <stdarg.h>

#include "config.h"

struct json_object;

/* ---- memory: freed all at once --------------------------------------------------------------- */

struct svr_cfg_arena;

/* Zeroed memory that lives as long as the arena; NULL without memory. @size 0 is fine. *@arena
 * starts as NULL.
 */
void *svr_config_alloc(struct svr_cfg_arena **arena, size_t n, size_t size);
void svr_config_arena_free(struct svr_cfg_arena *arena);

/* ---- errors ---------------------------------------------------------------------------------- */

/* What to show of the value at the pointer. */
enum svr_cfg_found {
	SVR_CFG_FOUND_NO, /* nothing: the complaint is about something that is not there */
	SVR_CFG_FOUND_SCALAR, /* strings, numbers and the like, but not "{...}" */
	SVR_CFG_FOUND_YES, /* all */
};

/* Adds an error or a warning; the place in the text is filled in later by
 * svr_config_json_locate().
 */
void svr_config_complain(struct svr_config_errors *errs, enum svr_config_severity severity,
			 enum svr_cfg_found found, const char *pointer, const char *fmt, va_list ap)
	__attribute__((format(printf, 5, 0)));

/* The same with a place that is known already. @line 0 = none. */
void svr_config_complain_at(struct svr_config_errors *errs, const char *pointer, unsigned int line,
			    unsigned int column, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));

/* A JSON pointer that grows and shrinks while a tree is walked. Cut, always in the same way, when
 * it does not fit.
 */
struct svr_cfg_pointer {
	size_t len;
	char text[SVR_CFG_POINTER_LEN];
};

/* Appends "/key" (escaped as RFC 6901 says, control characters as '?') or "/index". Returns the
 * length before, for _pop().
 */
size_t svr_config_pointer_push(struct svr_cfg_pointer *p, const char *key);
size_t svr_config_pointer_push_index(struct svr_cfg_pointer *p, size_t index);
void svr_config_pointer_pop(struct svr_cfg_pointer *p, size_t len);

/* ---- text ------------------------------------------------------------------------------------ */

/* Scans @text: strict JSON (RFC 8259) with one object, nothing after it, valid UTF-8, no NUL, no
 * more than SVR_CFG_DEPTH_MAX levels. Returns 0; -EINVAL when it is no such text (one error with
 * line and column); -ENOMEM. A member that stands twice in an object is an error in @errs, but the
 * scan goes on and returns 0.
 */
int svr_config_json_scan(const char *text, size_t len, struct svr_config_errors *errs);

/* Fills in line, column and the value found of all errors that have no line yet, then sorts @errs.
 * @text has passed the scan.
 */
void svr_config_json_locate(const char *text, size_t len, struct svr_config_errors *errs);

/* ---- words and names ------------------------------------------------------------------------- */

// clang-format off
struct svr_cfg_word {
	const char *word;	/* NULL ends the list */
	unsigned int value;
	const char *refused;	/* known but not taken: why */
	const char *warning;	/* taken, but: why not */
};

#define SVR_CFG_NOT_YET "is known but not implemented yet"

extern const struct svr_cfg_word svr_cfg_words_encryption_cipher[];
extern const struct svr_cfg_word svr_cfg_words_hmac_mode[];
extern const struct svr_cfg_word svr_cfg_words_hmac_cipher[];
extern const struct svr_cfg_word svr_cfg_words_protocol[];
extern const struct svr_cfg_word svr_cfg_words_topology[];

enum svr_cfg_syntax {
	SVR_CFG_SYN_NAME,	/* SSR name-id */
	SVR_CFG_SYN_DOTTED,	/* name-id and dots: tenants, neighborhoods, vectors, common names */
	SVR_CFG_SYN_SOURCE,	/* a tenant as source of an access policy */
	SVR_CFG_SYN_DEVICE,	/* Linux network device */
	SVR_CFG_SYN_FILE,	/* file name without directories */
	SVR_CFG_SYN_TEXT,	/* free text on one line */
	SVR_CFG_SYN_URL,	/* where a file is fetched from: http, https, file */
	SVR_CFG_SYN_CATEGORY,	/* of alarms */
	SVR_CFG_SYN_SEVERITY,	/* of alarms */
	SVR_CFG_SYN_REGEX,	/* POSIX extended regular expression that costs little */
	SVR_CFG_SYN_KEY,	/* bytes in hexadecimal digits; never shown */
	SVR_CFG_SYN_MAX,
};

struct svr_cfg_syntax_info {
	const char *what;	/* completes "must be ..." */
	const char *pattern;	/* the same as ECMA 262 expression, for the schema */
	const char *extra;	/* allowed besides A-Z a-z 0-9; NULL = every character but control characters */
	unsigned int min, max;	/* characters (bytes) */
};

extern const struct svr_cfg_syntax_info svr_cfg_syntaxes[SVR_CFG_SYN_MAX];

/* True when @text follows the rule. */
bool svr_config_syntax_ok(enum svr_cfg_syntax syntax, const char *text);

/* Parses "sha256:AA:BB:..." (either case). Returns 0 or -EINVAL. */
int svr_config_fingerprint_parse(const char *text, uint8_t out[static SVR_CFG_FINGERPRINT_LEN]);

/* Bytes of a SVR_CFG_SYN_KEY: how many there are, or -EINVAL, also when they are more than @room. */
int svr_config_key_parse(const char *text, uint8_t *out, size_t room);

/* ---- tables ---------------------------------------------------------------------------------- */

enum svr_cfg_kind {
	SVR_CFG_KIND_STRING,		/* const char * */
	SVR_CFG_KIND_BOOL,
	SVR_CFG_KIND_UINT,		/* JSON integer, or one of words[] */
	SVR_CFG_KIND_ENUM,		/* one of words[]; a word of digits is a JSON integer */
	SVR_CFG_KIND_ADDR,		/* struct svr_cfg_addr */
	SVR_CFG_KIND_FINGERPRINT,	/* 32 bytes; has_offset */
	SVR_CFG_KIND_MSS,		/* enum svr_cfg_mss_mode; has_offset is the uint16_t for the number */
	SVR_CFG_KIND_OBJECT,		/* members of sub, at offset; has_offset optional */
	SVR_CFG_KIND_LIST,		/* array of objects: pointer to sub->size bytes each; has_offset is the count */
	SVR_CFG_KIND_STRINGS,		/* array of strings: const char **; has_offset is the count */
	SVR_CFG_KIND_PREFIX,		/* struct svr_cfg_prefix */
	SVR_CFG_KIND_PREFIXES,		/* array of prefixes: struct svr_cfg_prefix *; has_offset is the count */
};

struct svr_cfg_table;

struct svr_cfg_field {
	const char *name;		/* of the JSON member */
	enum svr_cfg_kind kind;
	bool required;
	bool inherit;			/* OBJECT: absent members come from the enclosing object that is a `source` */
	bool source;			/* OBJECT: the one to inherit from */
	uint16_t offset, size;		/* of the target in its struct */
	uint16_t has_offset;		/* see the kinds; 0 = none */
	uint16_t copy_offset;		/* UINT: when absent, take the value of this target; 0 = none */
	uint32_t min, max;		/* UINT: range; lists: number of entries */
	uint32_t preset;		/* UINT, BOOL, ENUM: value when absent */
	const char *text;		/* STRING: value when absent */
	const char *too_many;		/* lists: why max is so small */
	const struct svr_cfg_word *words;
	const struct svr_cfg_table *sub;
	enum svr_cfg_syntax syntax;
};

struct svr_cfg_table {
	const struct svr_cfg_field *fields;
	unsigned int n_fields;
	size_t size;			/* of the struct, for lists */
	bool unique_name;		/* LIST: the first field is a name that no other entry has */
	uint16_t given_offset;		/* uint32_t: bit n = member n stands in the file; 0 = not wanted */
};

// clang-format on
extern const struct svr_cfg_table
	svr_cfg_table_root; /* the whole document; target is struct svr_config */

/* Reads @json along svr_cfg_table_root. Complaints go to @errs. Returns 0 or -ENOMEM. */
int svr_config_read(struct json_object *json, struct svr_cfg_arena **arena, struct svr_config *cfg,
		    struct svr_config_errors *errs);

/* Takes from @over the members that stand in the file there and not in @own: @over is between @own
 * and what @own has inherited.
 */
void svr_config_bfd_overlay(struct svr_cfg_bfd *own, const struct svr_cfg_bfd *over);

/* Resolves all references of a configuration that was read without an error, and checks it as a
 * whole. Returns 0 or -ENOMEM.
 */
int svr_config_check(struct svr_config *cfg, struct svr_cfg_arena **arena,
		     struct svr_config_errors *errs);

/* The view of router number @router; complaints go to @errs. Returns 0 or -ENOMEM. */
int svr_config_view_build(const struct svr_config *cfg, unsigned int router,
			  struct svr_router_view **out, struct svr_config_errors *errs);

/* Index of the entry with this name in a list of structs that begin with `const char *name`; -1
 * when there is none.
 */
int svr_config_index(const void *list, unsigned int n, size_t size, const char *name);

#define SVR_CFG_INDEX(list, n, name) svr_config_index(list, n, sizeof(*(list)), name)

/* Pointers and complaints for the checks that follow the reader. */
struct svr_cfg_place {
	struct svr_config_errors *errs;
	char pointer[SVR_CFG_POINTER_LEN];
};

/* Sets the place of the next complaints. Returns @place. */
struct svr_cfg_place *svr_config_at(struct svr_cfg_place *place, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
void svr_config_bad(struct svr_cfg_place *place, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
void svr_config_warn(struct svr_cfg_place *place, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* One network interface and where it stands. */
struct svr_cfg_if_ref {
	unsigned int node, device, index;
	const struct svr_cfg_node *cfg_node;
	const struct svr_cfg_device_interface *cfg_device;
	struct svr_cfg_network_interface *cfg;
};

/* Steps through all network interfaces of @router in the order of the file; @ref starts zeroed.
 * False at the end.
 */
bool svr_config_next_if(const struct svr_cfg_router *router, struct svr_cfg_if_ref *ref);

/* The prefix that the interface address lies in. */
struct svr_cfg_prefix svr_config_if_prefix(const struct svr_cfg_if_address *address);

/* Peer name as used in a router -> router index; -1 when there is no such peer. @listed: index in
 * the peer list, -1 = by router name.
 */
int svr_config_peer_router(const struct svr_config *cfg, unsigned int router, const char *peer,
			   int *listed);

#endif /* SVR_LIB_CONFIG_INTERNAL_H */
