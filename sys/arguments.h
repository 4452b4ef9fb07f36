/* SPDX-License-Identifier: BSD-2-Clause */
/* Command line of the programs that run all the time. Part of libsvrsys. */
#ifndef SVR_SYS_ARGUMENTS_H
#define SVR_SYS_ARGUMENTS_H

#include <stdbool.h>

#include "sys/log.h"

#define SVR_DEFAULT_CONFIG "/etc/svr/authority.json"

/* An option of one program alone, --NAME VALUE. */
struct svr_argument {
	const char *name;
	const char *env; /* name of an environment variable that says the same */
	const char *value; /* found: the option, else the variable, else NULL */
};
enum { SVR_ARGUMENTS_MORE = 8 };

struct svr_arguments {
	/* filled in by the program */
	const char *program; /* "svr-worker" */
	const char *usage; /* what --help prints */
	bool takes_config; /* knows --config */
	struct svr_argument *more; /* NULL, or up to SVR_ARGUMENTS_MORE and one without a name */
	/* found */
	const char *router; /* --router or SVR_ROUTER */
	const char *config; /* --config, SVR_CONFIG or SVR_DEFAULT_CONFIG; NULL if it is not taken */
	enum svr_log_level level; /* --verbose: SVR_LOG_DEBUG, else SVR_LOG_INFO */
};

/* True: go on. False: everything has been said, *code is the exit code. */
bool svr_arguments_parse(struct svr_arguments *a, int argc, char **argv, int *code);

#endif
