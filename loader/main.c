// SPDX-License-Identifier: BSD-2-Clause
/* `svr`: the table of all commands, options, and the one place where a program run ends. */
#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <svr/maps.h>

#include "lib/name.h"
#include "sys/arguments.h"
#include "sys/log.h"

#include "cli.h"
#include "libbpf_log.h"

#define COMPLETE_WORD	   "__complete" /* asked by completion/svr.bash */

/* ---- commands ------------------------------------------------------------------------------- */

static int version_run(struct svr_cli *cli, const char *const *val);

static const struct svr_command link_commands[] = {
	{ .name = "set",
	  .help = "attach an interface to the router, or detach it",
	  .run = svr_link_set_run,
	  .args = svr_link_set_args },
	{ .name = "show",
	  .help = "attached interfaces",
	  .run = svr_link_show_run,
	  .args = svr_link_show_args },
	{ .name = "clean",
	  .help = "remove all that the router has left in the kernel; its sessions end",
	  .run = svr_link_clean_run },
	{}
};

static const struct svr_command config_commands[] = {
	{ .name = "check",
	  .help = "check a configuration file, name every mistake and its place",
	  .run = svr_config_check_run,
	  .args = svr_config_check_args },
	{ .name = "show",
	  .help = "what the configuration means for one router",
	  .run = svr_config_show_run,
	  .args = svr_config_show_args },
	{ .name = "keys",
	  .help = "put random static keys into a file, where policies lack them",
	  .run = svr_config_keys_run,
	  .args = svr_config_keys_args },
	{ .name = "apply",
	  .help = "give the configuration to the running router, by difference",
	  .run = svr_config_apply_run },
	{}
};

static const struct svr_command show_security_commands[] = {
	{ .name = "key-status",
	  .help = "keys of this router and with its peers: indexes, ages, what comes next",
	  .run = svr_show_key_status_run },
	{ .name = "security-associations",
	  .help = "with which peers keys are agreed, over which paths",
	  .run = svr_show_associations_run,
	  .args = svr_show_associations_args },
	{}
};

static const struct svr_command show_commands[] = {
	{ .name = "sessions",
	  .help = "sessions, two rows each, or one in detail",
	  .run = svr_show_sessions_run,
	  .args = svr_show_sessions_args },
	{ .name = "peers",
	  .help = "peers and their paths",
	  .run = svr_show_peers_run,
	  .args = svr_show_peers_args },
	{ .name = "alarms",
	  .help = "what is wrong at the moment",
	  .run = svr_show_alarms_run,
	  .args = svr_show_alarms_args },
	{ .name = "events",
	  .help = "what happened: alarms that came and went, what was done",
	  .run = svr_show_events_run,
	  .args = svr_show_events_args },
	{ .name = "certificate",
	  .help = "certificates of this router, trusted CAs, revocation lists",
	  .run = svr_show_certificate_run,
	  .args = svr_show_certificate_args },
	{ .name = "drops",
	  .help = "packets that were refused, with the reason",
	  .run = svr_show_drops_run,
	  .args = svr_show_drops_args },
	{ .name = "stats",
	  .help = "counters per interface",
	  .run = svr_show_stats_run,
	  .args = svr_show_stats_args },
	{ .name = "services",
	  .help = "services, who may use them and how they are reached",
	  .run = svr_show_services_run },
	{ .name = "tenants",
	  .help = "tenants and where their packets come from",
	  .run = svr_show_tenants_run },
	{ .name = "paths",
	  .help = "peer paths as the data plane sees them",
	  .run = svr_show_paths_run },
	{ .name = "security", .help = "keys", .sub = show_security_commands },
	{ .name = "crypto",
	  .help = "library that encrypts the worker's packets, and why",
	  .run = svr_show_crypto_run },
	{ .name = "nexthops", .help = "link-layer addresses in use", .run = svr_show_nexthops_run },
	{}
};

static const struct svr_command session_commands[] = { { .name = "delete",
							 .help = "end sessions",
							 .run = svr_session_delete_run,
							 .args = svr_session_delete_args },
						       {} };

static const struct svr_command metadata_key_commands[] = {
	{ .name = "regenerate",
	  .help = "another metadata key of this router; peers are told and use it after the hold time",
	  .run = svr_security_regenerate_run },
	{}
};

static const struct svr_command peer_key_commands[] = {
	{ .name = "rekey",
	  .help = "agree another key with one peer, or with all",
	  .run = svr_security_rekey_run,
	  .args = svr_security_rekey_args },
	{}
};

static const struct svr_command security_commands[] = {
	{ .name = "metadata-key", .help = "of this router", .sub = metadata_key_commands },
	{ .name = "peer-key", .help = "with peers", .sub = peer_key_commands },
	{}
};

static const struct svr_command private_key_commands[] = {
	{ .name = "create",
	  .help = "make a private key; it never leaves the router",
	  .run = svr_private_key_create_run,
	  .args = svr_private_key_create_args },
	{}
};

static const struct svr_command request_commands[] = {
	{ .name = "create",
	  .help = "make a certificate signing request and print it",
	  .run = svr_request_create_run,
	  .args = svr_request_create_args },
	{}
};

static const struct svr_command trusted_ca_commands[] = {
	{ .name = "add",
	  .help = "trust a CA, besides those of the configuration",
	  .run = svr_trusted_ca_add_run,
	  .args = svr_trusted_ca_add_args },
	{ .name = "remove",
	  .help = "trust it no longer",
	  .run = svr_trusted_ca_remove_run,
	  .args = svr_trusted_ca_remove_args },
	{}
};

static const struct svr_command crl_commands[] = {
	{ .name = "fetch",
	  .help = "fetch revocation lists now, and wait for the result",
	  .run = svr_crl_fetch_run,
	  .args = svr_crl_fetch_args },
	{}
};

static const struct svr_command certificate_commands[] = {
	{ .name = "private-key", .help = "private keys", .sub = private_key_commands },
	{ .name = "request", .help = "signing requests", .sub = request_commands },
	{ .name = "import",
	  .help = "check a certificate and put it into use",
	  .run = svr_certificate_import_run,
	  .args = svr_certificate_import_args },
	{ .name = "trusted-ca", .help = "CAs that are trusted", .sub = trusted_ca_commands },
	{ .name = "crl", .help = "revocation lists", .sub = crl_commands },
	{ .name = "show",
	  .help = "certificates of this router, trusted CAs, revocation lists",
	  .run = svr_show_certificate_run,
	  .args = svr_show_certificate_args },
	{ .name = "self-signed",
	  .help = "make a key and a certificate that is signed with it",
	  .run = svr_certificate_self_signed_run,
	  .args = svr_certificate_self_signed_args },
	{}
};

static const struct svr_command commands[] = {
	{ .name = "link", .help = "interfaces", .sub = link_commands, .preset = "show" },
	{ .name = "config", .help = "configuration", .sub = config_commands, .preset = "show" },
	{ .name = "show", .help = "state and counters", .sub = show_commands },
	{ .name = "session", .help = "sessions", .sub = session_commands },
	{ .name = "security", .help = "replace keys now", .sub = security_commands },
	{ .name = "certificate", .help = "keys and certificates", .sub = certificate_commands },
	{ .name = "capture",
	  .help = "packets of an interface with verdict and reason, as pcapng",
	  .run = svr_capture_run,
	  .args = svr_capture_args },
	{ .name = "doctor",
	  .help = "is this machine fit for it? what to do if not",
	  .run = svr_doctor_run,
	  .args = svr_doctor_args },
	{ .name = "version", .help = "version of svr", .run = version_run },
	{}
};

static int version_run(struct svr_cli *cli, const char *const *val)
{
	(void)val;
	svr_out_record_begin(cli->out, NULL, NULL);
	svr_out_note(cli->out, "svr %s", SVR_VERSION);
	svr_out_str(cli->out, "version", NULL, SVR_VERSION);
	svr_out_u64(cli->out, "map_abi", NULL, SVR_ABI_VERSION);
	svr_out_record_end(cli->out);
	return 0;
}

/* ---- router --------------------------------------------------------------------------------- */

/* A router's name becomes a directory in bpffs, which takes no dots. */
static bool router_name_ok(const char *name)
{
	return svr_name_ok_for_path(name) && !strchr(name, '.');
}

/* The only router with pinned maps. */
static int only_router(struct svr_cli *cli)
{
	static char name[SVR_NAME_LEN];
	DIR *d = opendir(SVR_PIN_ROOT);
	struct dirent *e;
	unsigned int n = 0;

	while (d && (e = readdir(d))) {
		if (!router_name_ok(e->d_name))
			continue;
		n++;
		snprintf(name, sizeof(name), "%.*s", SVR_NAME_LEN - 1, e->d_name);
	}
	if (d)
		closedir(d);
	if (n == 1) {
		cli->router = name;
		return 0;
	}
	if (n)
		return svr_cli_usage(cli,
				     "which router? There are %u below " SVR_PIN_ROOT
				     "; use: svr --router NAME ...",
				     n);
	return svr_cli_usage(
		cli, "which router? None is running; use: svr --router NAME ... or set SVR_ROUTER");
}

int svr_cli_router(struct svr_cli *cli, const char **name)
{
	int err = 0;

	if (!cli->router)
		err = only_router(cli);
	else if (!router_name_ok(cli->router))
		err = svr_cli_usage(
			cli, "\"%s\" is no router name; allowed are up to %d of A-Z a-z 0-9 _ -",
			cli->router, SVR_NAME_LEN - 1);
	*name = err ? NULL : cli->router;
	return err;
}

/* ---- the end of a run ----------------------------------------------------------------------- */

static void print_details_json(const char *details)
{
	const char *line = details, *end;
	bool first = true;

	fputs(",\"details\":[", stdout);
	for (; (end = strchr(line, '\n')); line = end + 1) {
		char *text = strndup(line, (size_t)(end - line)),
		     *quoted = text ? svr_out_json_quote(text) : NULL;

		if (quoted)
			printf("%s%s", first ? "" : ",", quoted);
		first = first && !quoted;
		free(quoted);
		free(text);
	}
	fputs("]", stdout);
}

/* JSON goes to standard output, so that a script reads one place; text goes to standard error. */
static void print_error(const struct svr_cli *cli)
{
	char text[SVR_CLI_ERROR_LEN + SVR_CLI_DETAILS_LEN];
	char *quoted;

	if (cli->json) {
		quoted = svr_out_json_quote(cli->error);
		printf("{\"error\":%s", quoted ? quoted : "\"out of memory\"");
		if (*cli->details)
			print_details_json(cli->details);
		puts("}");
		free(quoted);
		return;
	}
	snprintf(text, sizeof(text), "%s\n%s", cli->error, cli->details);
	svr_out_sanitize(text, true);
	/* "svr link set: ..." and "svr: ..." carry the name already */
	fprintf(stderr, "%s%s", strncmp(text, "svr ", 4) && strncmp(text, "svr:", 4) ? "svr: " : "",
		text);
}

static int finish(struct svr_cli *cli, int result)
{
	int err = 0;

	if (result >= 0)
		err = svr_out_flush(cli->out);
	if (err)
		result = svr_cli_error(cli, err, "cannot print the result: %s", strerror(-err));
	if (result < 0) {
		if (!*cli->error)
			svr_cli_error(cli, result, "%s", strerror(-result));
		print_error(cli);
		result = cli->usage ? SVR_EXIT_USAGE : SVR_EXIT_FAILED;
	}
	if (fflush(stdout) || ferror(stdout))
		result = result ? result : SVR_EXIT_FAILED;
	return result;
}

/* ---- options -------------------------------------------------------------------------------- */

#define LETTERS "jpVvh"
enum { OPT_ROUTER = 256, OPT_CONFIG, OPT_FORCE };

static const struct option options[] = { { "json", no_argument, NULL, 'j' },
					 { "pretty", no_argument, NULL, 'p' },
					 { "version", no_argument, NULL, 'V' },
					 { "verbose", no_argument, NULL, 'v' },
					 { "help", no_argument, NULL, 'h' },
					 { "router", required_argument, NULL, OPT_ROUTER },
					 { "config", required_argument, NULL, OPT_CONFIG },
					 { "force", no_argument, NULL, OPT_FORCE },
					 {} };

/*
 * What getopt_long() has just refused. Of letters that stand together, as in -xj, it tells which one; where it stands is
 * only known when all of them are read.
 */
static const char *refused_option(char *const *argv, char letter[static 3])
{
	/* A known letter means its long form, with a value that it does not take */
	if (!optopt || optopt >= OPT_ROUTER || strchr(LETTERS, optopt))
		return argv[optind - 1];
	snprintf(letter, 3, "-%c", optopt);
	return letter;
}

/* Options may stand anywhere; "--" ends them. Returns 0, 'h', 'V', or negative errno. */
static int read_options(struct svr_cli *cli, int argc, char **argv)
{
	int c, other = 0, bad = 0;
	const char *bad_word = NULL;
	char letter[3];

	opterr = 0;
	while ((c = getopt_long(argc, argv, ":" LETTERS, options, NULL)) != -1) {
		switch (c) {
		case 'j':
			cli->json = true;
			break;
		case 'p':
			cli->json = true;
			cli->pretty = true;
			break;
		case 'v':
			cli->verbose = true;
			break;
		case 'V':
		case 'h':
			other = other ? other : c;
			break;
		case OPT_ROUTER:
			cli->router = optarg;
			break;
		case OPT_CONFIG:
			cli->config = optarg;
			break;
		case OPT_FORCE:
			cli->force = true;
			break;
		default:
			/* go on: -j may still follow and decides how the error looks */
			if (!bad) {
				bad = c;
				bad_word = refused_option(argv, letter);
			}
			break;
		}
	}
	if (bad == ':')
		return svr_cli_usage(cli, "option %s needs a value", bad_word);
	if (bad)
		return svr_cli_usage(
			cli,
			"unknown or ambiguous option %s; allowed: -j, -p, -V, -v, -h, --router NAME, "
			"--config FILE, --force",
			bad_word);
	return other;
}

int main(int argc, char **argv)
{
	static struct svr_cli cli;
	static char help_word[] = "help", version_word[] = "version";
	char *help_argv[] = { help_word, NULL, NULL }, *version_argv[] = { version_word, NULL };
	const char *env;
	int result, wanted;

	env = getenv("SVR_ROUTER");
	cli.router = env && *env ? env : NULL;
	env = getenv("SVR_CONFIG");
	cli.config = env && *env ? env : SVR_DEFAULT_CONFIG;
	wanted = read_options(&cli, argc, argv);
	svr_log_init("svr", cli.verbose ? SVR_LOG_DEBUG : SVR_LOG_WARN);
	svr_libbpf_log_init(cli.verbose);
	cli.out = svr_out_new(cli.json, cli.pretty);
	if (!cli.out) {
		fputs("svr: out of memory\n", stderr);
		return SVR_EXIT_FAILED;
	}
	argc -= optind;
	argv += optind;
	if (wanted < 0) {
		result = wanted;
	} else if (wanted == 'V') {
		result = svr_command_run(&cli, commands, 1, version_argv);
	} else if (wanted == 'h') {
		help_argv[1] = argc ? argv[0] : NULL;
		result = svr_command_run(&cli, commands, argc ? 2 : 1, help_argv);
	} else if (argc && !strcmp(argv[0], COMPLETE_WORD)) {
		result = svr_command_complete(&cli, commands, argc - 1, argv + 1);
	} else {
		result = svr_command_run(&cli, commands, argc, argv);
	}
	result = finish(&cli, result);
	svr_out_free(cli.out);
	return result;
}
