// SPDX-License-Identifier: BSD-2-Clause
/*
 * Rules about the router and the node do not depend on the alarm: they are judged once. What is
 * left is copied, so that the configuration may go.
 */
#include <errno.h>
#include <regex.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/alarmlog.h"
#include "lib/config.h"
#include "lib/shelf.h"

/* What rules have said so far. */
struct verdict {
	unsigned int rules, fit;
};

struct shelf {
	char *name;
	bool any;
	struct verdict place; /* rules about router and node */
	char **category;
	unsigned int n_category;
	unsigned int severities; /* bit mask, 0: no such rule */
	char *source; /* NULL: no such rule */
	bool has_message;
	regex_t message;
};

struct svr_shelves {
	unsigned int n;
	struct shelf shelf[];
};

static void rule(struct verdict *v, bool fits)
{
	v->rules++;
	v->fit += fits;
}

/* @expression was seen to be one. -EINVAL, -ENOMEM. */
static int expression_compile(regex_t *out, const char *expression)
{
	int ret = regcomp(out, expression, REG_EXTENDED | REG_NOSUB);

	return !ret ? 0 : ret == REG_ESPACE ? -ENOMEM : -EINVAL;
}

static int place_rules(struct verdict *v, const char *name, const char *wanted,
		       const char *expression)
{
	regex_t regex;
	int ret;

	if (wanted)
		rule(v, strcmp(name, wanted) == 0);
	if (!expression)
		return 0;
	ret = expression_compile(&regex, expression);
	if (ret)
		return ret;
	rule(v, regexec(&regex, name, 0, NULL, 0) == 0);
	regfree(&regex);
	return 0;
}

static int shelf_copy(struct shelf *to, const struct svr_cfg_shelf *from)
{
	enum svr_alarm_severity severity;
	unsigned int i;

	to->any = from->match_type == SVR_CFG_MATCH_ANY;
	to->name = strdup(from->name);
	to->category = calloc(from->n_category + 1, sizeof(*to->category));
	if (!to->name || !to->category)
		return -ENOMEM;
	for (i = 0; i < from->n_category; i++) {
		to->category[i] = strdup(from->category[i]);
		if (!to->category[i])
			return -ENOMEM;
		to->n_category++;
	}
	for (i = 0; i < from->n_severity; i++) {
		if (svr_alarm_severity_parse(from->severity[i], &severity))
			return -EINVAL;
		to->severities |= 1U << severity;
	}
	if (from->source) {
		to->source = strdup(from->source);
		if (!to->source)
			return -ENOMEM;
	}
	return 0;
}

static int shelf_init(struct shelf *to, const struct svr_cfg_shelf *from, const char *router,
		      const char *node)
{
	int ret = shelf_copy(to, from);

	if (!ret)
		ret = place_rules(&to->place, router, from->router_name, from->router_name_regex);
	if (!ret)
		ret = place_rules(&to->place, node, from->node_name, from->node_name_regex);
	if (!ret && from->message_regex) {
		ret = expression_compile(&to->message, from->message_regex);
		to->has_message = !ret;
	}
	return ret;
}

int svr_shelves_new(const struct svr_cfg_alarm_shelving *cfg, const char *router, const char *node,
		    struct svr_shelves **out)
{
	struct svr_shelves *s = calloc(1, sizeof(*s) + cfg->n_shelf * sizeof(s->shelf[0]));
	int ret = s ? 0 : -ENOMEM;

	while (!ret && s->n < cfg->n_shelf) {
		ret = shelf_init(&s->shelf[s->n], &cfg->shelf[s->n], router, node);
		s->n++;
	}
	if (ret) {
		svr_shelves_free(s);
		s = NULL;
	}
	*out = s;
	return ret;
}

void svr_shelves_free(struct svr_shelves *shelves)
{
	for (unsigned int i = 0; shelves && i < shelves->n; i++) {
		struct shelf *shelf = &shelves->shelf[i];

		while (shelf->n_category)
			free(shelf->category[--shelf->n_category]);
		free(shelf->category);
		free(shelf->source);
		free(shelf->name);
		if (shelf->has_message)
			regfree(&shelf->message);
	}
	free(shelves);
}

/* "peer" has "peer/path-down". */
static bool category_has(const char *rule_text, const char *category)
{
	size_t n = strlen(rule_text);

	return strncmp(category, rule_text, n) == 0 && (!category[n] || category[n] == '/');
}

static bool in_categories(const struct shelf *shelf, const struct svr_alarm *alarm)
{
	for (unsigned int i = 0; i < shelf->n_category; i++)
		if (category_has(shelf->category[i], alarm->category))
			return true;
	return false;
}

static bool on_shelf(const struct shelf *shelf, const struct svr_alarm *alarm)
{
	struct verdict v = shelf->place;

	if (shelf->n_category)
		rule(&v, in_categories(shelf, alarm));
	if (shelf->severities)
		rule(&v, shelf->severities & 1U << alarm->severity);
	if (shelf->source)
		rule(&v, strcmp(shelf->source, alarm->source) == 0);
	if (shelf->has_message)
		rule(&v, regexec(&shelf->message, alarm->message, 0, NULL, 0) == 0);
	return shelf->any ? v.fit > 0 : v.rules > 0 && v.fit == v.rules;
}

const char *svr_shelves_match(const struct svr_shelves *shelves, const struct svr_alarm *alarm)
{
	for (unsigned int i = 0; shelves && i < shelves->n; i++)
		if (on_shelf(&shelves->shelf[i], alarm))
			return shelves->shelf[i].name;
	return NULL;
}
