// SPDX-License-Identifier: BSD-2-Clause
/* --router, --config, --verbose, --version, --help. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sys/arguments.h"

static const char *environment(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? value : NULL;
}

static bool refuse(const struct svr_arguments *a, int *code)
{
	fputs(a->usage, stderr);
	*code = EXIT_FAILURE;
	return false;
}

enum { OPTIONS_COMMON = 5, OPTION_MORE = 256 /* getopt's value of more[0] */ };

/* The common ones and the program's own. */
static void options_fill(const struct svr_arguments *a,
			 struct option out[OPTIONS_COMMON + SVR_ARGUMENTS_MORE + 1])
{
	static const struct option common[OPTIONS_COMMON] = {
		{ "router", required_argument, NULL, 'r' }, { "verbose", no_argument, NULL, 'v' },
		{ "version", no_argument, NULL, 'V' },	    { "help", no_argument, NULL, 'h' },
		{ "config", required_argument, NULL, 'c' },
	};
	unsigned int n = a->takes_config ? OPTIONS_COMMON : OPTIONS_COMMON - 1, i;

	memcpy(out, common, n * sizeof(*out));
	for (i = 0; a->more && i < SVR_ARGUMENTS_MORE && a->more[i].name; i++) {
		a->more[i].value = environment(a->more[i].env);
		out[n++] = (struct option){ a->more[i].name, required_argument, NULL,
					    OPTION_MORE + (int)i };
	}
	out[n] = (struct option){ 0 };
}

bool svr_arguments_parse(struct svr_arguments *a, int argc, char **argv, int *code)
{
	struct option options[OPTIONS_COMMON + SVR_ARGUMENTS_MORE + 1];
	const char *letters = a->takes_config ? "c:r:vVh" : "r:vVh";
	int c;

	options_fill(a, options);
	a->router = environment("SVR_ROUTER");
	a->config = a->takes_config ? environment("SVR_CONFIG") : NULL;
	a->level = SVR_LOG_INFO;
	*code = EXIT_SUCCESS;
	while ((c = getopt_long(argc, argv, letters, options, NULL)) != -1) {
		switch (c) {
		case 'r':
			a->router = optarg;
			break;
		case 'c':
			a->config = optarg;
			break;
		case 'v':
			a->level = SVR_LOG_DEBUG;
			break;
		case 'V':
			printf("%s %s\n", a->program, SVR_VERSION);
			return false;
		case 'h':
			fputs(a->usage, stdout);
			return false;
		default:
			if (c >= OPTION_MORE && c < OPTION_MORE + SVR_ARGUMENTS_MORE) {
				a->more[c - OPTION_MORE].value = optarg;
				break;
			}
			return refuse(a, code);
		}
	}
	if (a->takes_config && (!a->config || !*a->config))
		a->config = SVR_DEFAULT_CONFIG;
	if (optind < argc) {
		fprintf(stderr, "%s: unexpected argument \"%s\"\n", a->program, argv[optind]);
		return refuse(a, code);
	}
	if (!a->router || !*a->router) {
		fprintf(stderr, "%s: which router? give --router NAME or set SVR_ROUTER\n",
			a->program);
		return refuse(a, code);
	}
	return true;
}
