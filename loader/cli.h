/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Command tables, words and errors of `svr`. Loader only. The grammar is iproute2's: OBJECT COMMAND
 * [ NAME VALUE ]..., every word may be shortened as long as it stays unique, `help` stands
 * anywhere.
 */
#ifndef SVR_LOADER_CLI_H
#define SVR_LOADER_CLI_H

#include <stdbool.h>
#include <stddef.h>

#include "print.h"

enum svr_exit {
	SVR_EXIT_OK = 0,
	SVR_EXIT_FAILED = 1, /* refused, failed, or something is wrong with what was checked */
	SVR_EXIT_USAGE = 2, /* unknown, ambiguous or missing word; nothing was done */
};

enum svr_cli_limits {
	SVR_CLI_ERROR_LEN = 1024,
	SVR_CLI_DETAILS_LEN = 8192, /* verifier log and the like */
	SVR_CLI_ARGS = 24, /* arguments of one command */
};

struct svr_cli {
	struct svr_out *out;
	bool json, pretty, verbose, force;
	const char *router; /* NULL: not given */
	const char *config; /* configuration file, never NULL */
	bool usage; /* the error is one of usage */
	char error[SVR_CLI_ERROR_LEN];
	char details[SVR_CLI_DETAILS_LEN]; /* lines, each with its '\n' */
};

/* One argument of a command. */
struct svr_arg {
	const char *name; /* keyword in front of the value; NULL: the value stands alone */
	const char *value; /* placeholder in the usage; NULL with a name: a flag, without value */
	const char *const *words; /* allowed values, NULL-terminated; NULL: any */
	bool required;
	bool bare; /* the keyword may be left out */
	const char *help;
};

/*
 * Runs a command. @val: one entry per argument, NULL where it was not given, the argument's name
 * for a flag.
 * Return: 0, enum svr_exit (what was printed stays), or a negative errno after svr_cli_error().
 */
struct svr_command;
typedef int (*svr_run)(struct svr_cli *cli, const char *const *val);

/* An object, or a command of one. Tables end with an entry without name. */
struct svr_command {
	const char *name;
	const char *help; /* what it does, one line */
	svr_run run; /* with args */
	const struct svr_arg *args; /* ends with an all-zero entry; NULL: none */
	const struct svr_command *sub; /* or further words */
	const char *preset; /* with sub: the word that is meant when none is given; NULL: none */
};

/* Finds and runs the command. Return: enum svr_exit or negative errno as above. */
int svr_command_run(struct svr_cli *cli, const struct svr_command *table, int argc, char **argv);

/*
 * For the shell's completion: what may stand after the words of @argv, a word per line. A value
 * that is no fixed word is given by its placeholder, "<DEV>". Text only.
 */
int svr_command_complete(struct svr_cli *cli, const struct svr_command *table, int argc,
			 char **argv);

/* Reports an error: what, where, why, next step. Returns @err (negative). The last report wins. */
int svr_cli_error(struct svr_cli *cli, int err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* The same for words; exit code 2. */
int svr_cli_usage(struct svr_cli *cli, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Lines below the error. Cut at the front when there are too many: the end of a log says why. */
void svr_cli_details(struct svr_cli *cli, const char *text);
/* A line to standard error at once, in JSON mode too: standard output stays clean. */
void svr_cli_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/*
 * The router: --router, SVR_ROUTER, or the only one that has pinned maps. 0 or negative errno with
 * the error reported.
 */
int svr_cli_router(struct svr_cli *cli, const char **name);

/* Commands, one file each. */
extern const struct svr_arg svr_config_check_args[], svr_config_show_args[], svr_config_keys_args[];
int svr_config_check_run(struct svr_cli *cli, const char *const *val);
int svr_config_show_run(struct svr_cli *cli, const char *const *val);
int svr_config_keys_run(struct svr_cli *cli, const char *const *val);
int svr_config_apply_run(struct svr_cli *cli, const char *const *val);

extern const struct svr_arg svr_link_set_args[], svr_link_show_args[];
int svr_link_set_run(struct svr_cli *cli, const char *const *val);
int svr_link_show_run(struct svr_cli *cli, const char *const *val);
int svr_link_clean_run(struct svr_cli *cli, const char *const *val);

extern const struct svr_arg svr_show_sessions_args[], svr_show_peers_args[], svr_show_drops_args[],
	svr_show_stats_args[], svr_show_alarms_args[], svr_show_events_args[];
int svr_show_sessions_run(struct svr_cli *cli, const char *const *val);
int svr_show_peers_run(struct svr_cli *cli, const char *const *val);
int svr_show_drops_run(struct svr_cli *cli, const char *const *val);
int svr_show_stats_run(struct svr_cli *cli, const char *const *val);
int svr_show_peer_stats(struct svr_cli *cli); /* `svr show stats peers` */
int svr_show_alarms_run(struct svr_cli *cli, const char *const *val);
int svr_show_events_run(struct svr_cli *cli, const char *const *val);
int svr_show_services_run(struct svr_cli *cli, const char *const *val);
int svr_show_tenants_run(struct svr_cli *cli, const char *const *val);
int svr_show_paths_run(struct svr_cli *cli, const char *const *val);
int svr_show_crypto_run(struct svr_cli *cli, const char *const *val);
int svr_show_nexthops_run(struct svr_cli *cli, const char *const *val);

extern const struct svr_arg svr_capture_args[];
int svr_capture_run(struct svr_cli *cli, const char *const *val);
extern const struct svr_arg svr_security_rekey_args[], svr_show_associations_args[];
int svr_show_associations_run(struct svr_cli *cli, const char *const *val);
int svr_show_key_status_run(struct svr_cli *cli, const char *const *val);
int svr_security_regenerate_run(struct svr_cli *cli, const char *const *val);
int svr_security_rekey_run(struct svr_cli *cli, const char *const *val);

extern const struct svr_arg svr_session_delete_args[];
int svr_session_delete_run(struct svr_cli *cli, const char *const *val);

extern const struct svr_arg svr_doctor_args[];
int svr_doctor_run(struct svr_cli *cli, const char *const *val);

extern const struct svr_arg svr_certificate_self_signed_args[];
int svr_certificate_self_signed_run(struct svr_cli *cli, const char *const *val);
extern const struct svr_arg svr_private_key_create_args[], svr_request_create_args[],
	svr_certificate_import_args[], svr_trusted_ca_add_args[], svr_trusted_ca_remove_args[],
	svr_crl_fetch_args[], svr_show_certificate_args[];
int svr_private_key_create_run(struct svr_cli *cli, const char *const *val);
int svr_request_create_run(struct svr_cli *cli, const char *const *val);
int svr_certificate_import_run(struct svr_cli *cli, const char *const *val);
int svr_trusted_ca_add_run(struct svr_cli *cli, const char *const *val);
int svr_trusted_ca_remove_run(struct svr_cli *cli, const char *const *val);
int svr_crl_fetch_run(struct svr_cli *cli, const char *const *val);
int svr_show_certificate_run(struct svr_cli *cli, const char *const *val);
/* `svr show stats security`: counters whose names begin with @words. */
int svr_show_security_stats(struct svr_cli *cli, const char *const *words, unsigned int n);

#endif
