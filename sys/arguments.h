/* SPDX-License-Identifier: BSD-2-Clause */
/* Command line of the programs that run all the time. Part of libsvrsys. */
#ifndef SVR_SYS_ARGUMENTS_H
#define SVR_SYS_ARGUMENTS_H

#include <stdbool.h>

#include "sys/log.h"

#define SVR_DEFAULT_CONFIG "/etc/svr/authority.json"

struct svr_arguments {
	/* filled in by the program */
	const char *program; /* "svr-worker" */
	const char *usage; /* what --help prints */
	bool takes_config; /* knows --config */
	/* found */
	const char *router; /* --router or SVR_ROUTER */
	const char *config; /* --config, SVR_CONFIG or SVR_DEFAULT_CONFIG; NULL if it is not taken */
	enum svr_log_level level; /* --verbose: SVR_LOG_DEBUG, else SVR_LOG_INFO */
};

/* True: go on. False: everything has been said, *code is the exit code. */
bool svr_arguments_parse(struct svr_arguments *a, int argc, char **argv, int *code);

#endif
