// SPDX-License-Identifier: BSD-2-Clause
/* Command tables of `svr`: finding words, reading arguments, usage, errors. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"

enum {
	CLI_LINE = 512, /* one line of usage, a list of words */
	CLI_PATH = 128, /* words from the object to the command */
};

/* ---- errors --------------------------------------------------------------------------------- */

int svr_cli_error(struct svr_cli *cli, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(cli->error, sizeof(cli->error), fmt, ap);
	va_end(ap);
	cli->usage = false;
	return err < 0 ? err : -EINVAL;
}

int svr_cli_usage(struct svr_cli *cli, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(cli->error, sizeof(cli->error), fmt, ap);
	va_end(ap);
	cli->usage = true;
	return -EINVAL;
}

void svr_cli_details(struct svr_cli *cli, const char *text)
{
	size_t have = strlen(cli->details), add = strlen(text), room = sizeof(cli->details) - 2;

	if (add > room) {
		text += add - room;
		add = room;
	}
	if (have + add > room) {
		size_t cut = have + add - room;
		const char *line = memchr(cli->details + cut, '\n', have - cut);

		cut = line ? (size_t)(line + 1 - cli->details) : have;
		memmove(cli->details, cli->details + cut, have - cut);
		have -= cut;
	}
	memcpy(cli->details + have, text, add);
	have += add;
	if (have && cli->details[have - 1] != '\n')
		cli->details[have++] = '\n';
	cli->details[have] = 0;
}

void svr_cli_warn(const char *fmt, ...)
{
	char text[SVR_CLI_ERROR_LEN];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	svr_out_sanitize(text, true);
	fprintf(stderr, "svr: warning: %s\n", text);
}

/* ---- words ---------------------------------------------------------------------------------- */

static void add(char *buf, size_t len, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static void add(char *buf, size_t len, const char *fmt, ...)
{
	size_t have = strlen(buf);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(buf + have, len - have, fmt, ap);
	va_end(ap);
}

enum match {
	MATCH_NONE,
	MATCH_PREFIX,
	MATCH_EXACT,
};

static enum match match(const char *word, const char *name)
{
	size_t n = strlen(word);

	if (!n || strncmp(word, name, n))
		return MATCH_NONE;
	return name[n] ? MATCH_PREFIX : MATCH_EXACT;
}

/* A list of words with any stride; name(list, i) is NULL at its end. */
typedef const char *(*name_at)(const void *list, unsigned int i);

enum { FIND_NONE = -1, FIND_AMBIGUOUS = -2 };

/* Index of the word that @word names or shortens, or FIND_*; @names collects the candidates. */
static int find(const void *list, name_at name, const char *word, char *names, size_t len)
{
	int found = FIND_NONE;

	*names = 0;
	for (unsigned int i = 0; name(list, i); i++) {
		switch (match(word, name(list, i))) {
		case MATCH_EXACT:
			return (int)i;
		case MATCH_PREFIX:
			found = found == FIND_NONE ? (int)i : FIND_AMBIGUOUS;
			add(names, len, "%s%s", *names ? ", " : "", name(list, i));
			break;
		case MATCH_NONE:
			break;
		}
	}
	return found;
}

static const char *command_name(const void *list, unsigned int i)
{
	return ((const struct svr_command *)list)[i].name;
}

static const char *word_name(const void *list, unsigned int i)
{
	return ((const char *const *)list)[i];
}

static bool arg_end(const struct svr_arg *a)
{
	return !a->name && !a->value && !a->words;
}

/* Keywords only; an argument without one is never found by a word. */
static const char *arg_name(const void *list, unsigned int i)
{
	const struct svr_arg *a = (const struct svr_arg *)list + i;

	if (arg_end(a))
		return NULL;
	return a->name ? a->name : "";
}

static bool is_help(const char *word)
{
	return !strcmp(word, "help");
}

static void list_words(char *buf, size_t len, const void *list, name_at name)
{
	*buf = 0;
	for (unsigned int i = 0; name(list, i); i++) {
		if (*name(list, i))
			add(buf, len, "%s%s", *buf ? ", " : "", name(list, i));
	}
}

/* ---- usage ---------------------------------------------------------------------------------- */

static void usage_arg(const struct svr_arg *a, char *buf, size_t len)
{
	bool braces = a->words && a->words[0] && a->words[1];

	add(buf, len, " ");
	if (!a->required)
		add(buf, len, "[ ");
	if (a->name)
		add(buf, len, a->bare ? "[ %s ]" : "%s", a->name);
	if (a->name && (a->words || a->value))
		add(buf, len, " ");
	if (a->words) {
		add(buf, len, "%s", braces ? "{ " : "");
		for (unsigned int i = 0; a->words[i]; i++)
			add(buf, len, "%s%s", i ? " | " : "", a->words[i]);
		add(buf, len, "%s", braces ? " }" : "");
	} else if (a->value) {
		add(buf, len, "%s", a->value);
	}
	if (!a->required)
		add(buf, len, " ]");
}

/* One line for each command below @c. */
static void usage_lines(struct svr_out *o, const struct svr_command *c, const char *path,
			bool *first)
{
	char line[CLI_LINE] = "";

	if (c->sub) {
		for (const struct svr_command *s = c->sub; s->name; s++) {
			char below[CLI_PATH];

			snprintf(below, sizeof(below), "%s %s", path, s->name);
			usage_lines(o, s, below, first);
		}
		return;
	}
	add(line, sizeof(line), "svr [ OPTIONS ]%s", path);
	for (const struct svr_arg *a = c->args; a && !arg_end(a); a++)
		usage_arg(a, line, sizeof(line));
	if (svr_out_is_json(o))
		svr_out_str(o, NULL, NULL, line);
	else
		svr_out_note(o, "%s %s", *first ? "Usage:" : "      ", line);
	*first = false;
}

static void usage_args(struct svr_out *o, const struct svr_command *c)
{
	if (c->help)
		svr_out_note(o, "\n%s", c->help);
	for (const struct svr_arg *a = c->args; a && !arg_end(a); a++) {
		const char *name = a->name ? a->name : a->value ? a->value : a->words[0];

		if (a->help)
			svr_out_note(o, "    %-14s %s", name, a->help);
	}
}

static int usage(struct svr_cli *cli, const struct svr_command *c, const char *path)
{
	struct svr_out *o = cli->out;
	bool json = svr_out_is_json(o), first = true;

	if (json) {
		svr_out_record_begin(o, NULL, NULL);
		svr_out_inline_begin(o, "usage", NULL);
	}
	if (!*path)
		svr_out_note(o, "Usage: svr [ OPTIONS ] OBJECT { COMMAND | help }\n");
	usage_lines(o, c, path, &first);
	if (json) {
		svr_out_list_end(o);
		svr_out_record_end(o);
		return 0;
	}
	if (*path && !c->sub)
		usage_args(o, c);
	if (*path && c->sub) {
		svr_out_note(o, "%s", "");
		for (const struct svr_command *s = c->sub; s->name; s++)
			svr_out_note(o, "    %-14s %s", s->name, s->help ? s->help : "");
	}
	if (!*path) {
		svr_out_note(o, "\nObjects:");
		for (const struct svr_command *s = c->sub; s->name; s++)
			svr_out_note(o, "    %-14s %s", s->name, s->help ? s->help : "");
		svr_out_note(
			o,
			"\nOptions:\n"
			"    -j, --json         JSON instead of text\n"
			"    -p, --pretty       JSON with line breaks\n"
			"    -V, --version      version\n"
			"    -v, --verbose      also what libraries and the kernel say\n"
			"    --router NAME      which router of the configuration (SVR_ROUTER)\n"
			"    --config FILE      authority-wide configuration (SVR_CONFIG, /etc/svr/authority.json)\n"
			"    --force            as the word force, in commands that have it\n"
			"Words may be shortened: svr sh se. Exit codes: 0 done, 1 refused or failed, 2 wrong words.");
	}
	return 0;
}

/* ---- reading arguments ---------------------------------------------------------------------- */

static int value_word(struct svr_cli *cli, const char *path, const struct svr_arg *a,
		      const char *word, const char **out)
{
	char names[CLI_LINE];
	int i = find(a->words, word_name, word, names, sizeof(names));

	if (i >= 0) {
		*out = a->words[i];
		return 0;
	}
	if (i == FIND_AMBIGUOUS)
		return svr_cli_usage(cli, "svr%s: \"%s\" could be %s", path, word, names);
	list_words(names, sizeof(names), a->words, word_name);
	return svr_cli_usage(cli, "svr%s: \"%s\" is no value of %s; allowed: %s", path, word,
			     a->name  ? a->name :
			     a->value ? a->value :
					"this argument",
			     names);
}

/*
 * An argument without keyword, or whose keyword may be left out, that is still free and would take
 * @word. Those with fixed words come first: in "link set up dev ge0" the first word is no device.
 */
static int find_bare(const struct svr_arg *args, const char *word, const char *const *val)
{
	int any = FIND_NONE;
	char names[CLI_LINE];

	for (int i = 0; !arg_end(&args[i]); i++) {
		if (val[i] || (args[i].name && !args[i].bare))
			continue;
		if (args[i].words &&
		    find(args[i].words, word_name, word, names, sizeof(names)) >= 0)
			return i;
		if (!args[i].words && any == FIND_NONE)
			any = i;
	}
	return any;
}

static int unknown_arg(struct svr_cli *cli, const char *path, const struct svr_arg *args,
		       const char *word)
{
	char names[CLI_LINE] = "";

	for (const struct svr_arg *a = args; a && !arg_end(a); a++) {
		if (a->name)
			add(names, sizeof(names), "%s%s", *names ? ", " : "", a->name);
		for (unsigned int i = 0; !a->name && a->words && a->words[i]; i++)
			add(names, sizeof(names), "%s%s", *names ? ", " : "", a->words[i]);
		if (!a->name && !a->words)
			add(names, sizeof(names), "%s%s", *names ? ", " : "", a->value);
	}
	if (!*names)
		return svr_cli_usage(cli, "svr%s: takes no argument, \"%s\" was given", path, word);
	return svr_cli_usage(cli, "svr%s: unknown argument \"%s\"; allowed: %s; see: svr%s help",
			     path, word, names, path);
}

static int run_command(struct svr_cli *cli, const struct svr_command *c, const char *path, int argc,
		       char **argv)
{
	static const struct svr_arg no_args[1];
	const struct svr_arg *args = c->args ? c->args : no_args;
	const char *val[SVR_CLI_ARGS] = {};
	bool force_known = false;
	int err;

	for (int i = 0; i < argc; i++) {
		const char *word = argv[i], *value = word;
		char names[CLI_LINE];
		int a;

		if (is_help(word))
			return usage(cli, c, path);
		a = find(args, arg_name, word, names, sizeof(names));
		/*
		 * An abbreviation must not take the place of a name that happens to look like one
		 */
		if (a < 0 || match(word, args[a].name) != MATCH_EXACT) {
			int bare = find_bare(args, word, val);

			if (bare >= 0 && (args[bare].words || a < 0)) {
				a = bare;
				goto take;
			}
		}
		if (a == FIND_AMBIGUOUS)
			return svr_cli_usage(cli, "svr%s: \"%s\" could be %s", path, word, names);
		if (a < 0)
			return unknown_arg(cli, path, args, word);
		if (!args[a].value && !args[a].words) {
			value = args[a].name;
		} else {
			if (++i == argc)
				return svr_cli_usage(cli, "svr%s: %s needs a value", path,
						     args[a].name);
			value = argv[i];
		}
take:
		if (val[a])
			return svr_cli_usage(cli, "svr%s: %s is given twice", path,
					     args[a].name  ? args[a].name :
					     args[a].value ? args[a].value :
							     word);
		val[a] = value;
		if (args[a].words) {
			err = value_word(cli, path, &args[a], value, &val[a]);
			if (err)
				return err;
		} else if (!*value) {
			return svr_cli_usage(cli, "svr%s: the value of %s is empty", path,
					     args[a].name ? args[a].name : args[a].value);
		}
	}
	for (int a = 0; !arg_end(&args[a]); a++) {
		if (args[a].name && !strcmp(args[a].name, "force")) {
			force_known = true;
			if (cli->force)
				val[a] = args[a].name;
		}
		if (args[a].required && !val[a]) {
			char what[CLI_LINE] = "";

			usage_arg(&args[a], what, sizeof(what));
			return svr_cli_usage(cli, "svr%s:%s is missing; see: svr%s help", path,
					     what, path);
		}
	}
	if (cli->force && !force_known)
		return svr_cli_usage(cli, "svr%s: there is nothing to force here", path);
	return c->run(cli, val);
}

static int run(struct svr_cli *cli, const struct svr_command *c, const char *path, int argc,
	       char **argv)
{
	char below[CLI_PATH], names[CLI_LINE];
	const char *word = argc ? argv[0] : c->preset;
	int i;

	if (!c->sub)
		return run_command(cli, c, path, argc, argv);
	if (word && is_help(word)) {
		if (argc < 2)
			return usage(cli, c, path);
		/* "svr help link" is "svr link help" */
		word = argv[1];
		i = find(c->sub, command_name, word, names, sizeof(names));
		if (i >= 0) {
			snprintf(below, sizeof(below), "%s %s", path, c->sub[i].name);
			return usage(cli, &c->sub[i], below);
		}
	} else if (word) {
		i = find(c->sub, command_name, word, names, sizeof(names));
		if (i >= 0) {
			snprintf(below, sizeof(below), "%s %s", path, c->sub[i].name);
			return run(cli, &c->sub[i], below, argc ? argc - 1 : 0, argv + 1);
		}
	} else {
		list_words(names, sizeof(names), c->sub, command_name);
		return svr_cli_usage(cli, "svr%s: a word is missing: %s; see: svr%s help", path,
				     names, path);
	}
	if (i == FIND_AMBIGUOUS)
		return svr_cli_usage(cli, "svr%s: \"%s\" could be %s", path, word, names);
	list_words(names, sizeof(names), c->sub, command_name);
	return svr_cli_usage(cli, "svr%s: unknown %s \"%s\"; allowed: %s; see: svr%s help", path,
			     *path ? "command" : "object", word, names, path);
}

int svr_command_run(struct svr_cli *cli, const struct svr_command *table, int argc, char **argv)
{
	const struct svr_command root = { .name = "svr", .sub = table };

	return run(cli, &root, "", argc, argv);
}

/* ---- completion ----------------------------------------------------------------------------- */

static void complete_value(struct svr_out *o, const struct svr_arg *a)
{
	for (unsigned int i = 0; a->words && a->words[i]; i++)
		svr_out_note(o, "%s", a->words[i]);
	if (!a->words)
		svr_out_note(o, "<%s>", a->value);
}

static void complete_args(struct svr_out *o, const struct svr_arg *args, int argc, char **argv)
{
	const char *val[SVR_CLI_ARGS] = {};
	char names[CLI_LINE];

	for (int i = 0; i < argc; i++) {
		int a = find(args, arg_name, argv[i], names, sizeof(names));

		if (a < 0)
			a = find_bare(args, argv[i], val);
		else if ((args[a].value || args[a].words) && ++i == argc) {
			complete_value(o, &args[a]);
			return;
		}
		if (a < 0)
			return;
		val[a] = argv[i];
	}
	for (int a = 0; !arg_end(&args[a]); a++) {
		if (val[a])
			continue;
		if (args[a].name)
			svr_out_note(o, "%s", args[a].name);
		if (!args[a].name || args[a].bare)
			complete_value(o, &args[a]);
	}
	if (!argc)
		svr_out_note(o, "help");
}

int svr_command_complete(struct svr_cli *cli, const struct svr_command *table, int argc,
			 char **argv)
{
	const struct svr_command root = { .name = "svr", .sub = table }, *c = &root;
	char names[CLI_LINE];
	int i;

	for (; c->sub && argc; argc--, argv++) {
		i = find(c->sub, command_name, argv[0], names, sizeof(names));
		if (i < 0)
			return 0;
		c = &c->sub[i];
	}
	for (const struct svr_command *s = c->sub; s && s->name; s++)
		svr_out_note(cli->out, "%s", s->name);
	if (c->sub)
		svr_out_note(cli->out, "help");
	else if (c->args)
		complete_args(cli->out, c->args, argc, argv);
	return 0;
}
