// SPDX-License-Identifier: BSD-2-Clause
/* Keeps libbpf's words until somebody wants them. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/libbpf.h>

#include "cli.h"
#include "libbpf_log.h"

#define KERNEL_MESSAGE "Kernel error message: "

enum { LOG_LEN = 65536, LOG_TAIL = 6000, LOG_MESSAGE = 256 };

static char log_text[LOG_LEN];
static size_t log_len;
static bool log_verbose;

/* A whole verifier log comes as one message, of megabytes if it must be; its end says why. */
static void append(const char *text)
{
	size_t n = strlen(text);

	if (n >= sizeof(log_text)) {
		text += n - (sizeof(log_text) - 1);
		n = sizeof(log_text) - 1;
	}
	if (n > sizeof(log_text) - 1 - log_len) {
		size_t cut = n - (sizeof(log_text) - 1 - log_len);

		memmove(log_text, log_text + cut, log_len - cut);
		log_len -= cut;
	}
	memcpy(log_text + log_len, text, n);
	log_len += n;
	log_text[log_len] = 0;
}

static int keep(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	char *text;
	int n;

	if (level == LIBBPF_DEBUG && !log_verbose)
		return 0;
	n = vasprintf(&text, fmt, ap);
	if (n < 0)
		return n;
	if (log_verbose)
		fputs(text, stderr);
	if (level != LIBBPF_DEBUG)
		append(text);
	free(text);
	return n;
}

void svr_libbpf_log_init(bool verbose)
{
	log_verbose = verbose;
	libbpf_set_print(keep);
}

void svr_libbpf_log_reset(void)
{
	log_len = 0;
	log_text[0] = 0;
}

void svr_libbpf_log_details(struct svr_cli *cli)
{
	const char *text = log_text, *line;

	/* The verifier's reason stands at the end of its log */
	if (log_len > LOG_TAIL) {
		line = strchr(log_text + log_len - LOG_TAIL, '\n');
		if (line)
			text = line + 1;
	}
	if (*text)
		svr_cli_details(cli, text);
}

const char *svr_libbpf_log_kernel_message(void)
{
	static char message[LOG_MESSAGE];
	const char *at, *found = NULL;

	for (at = log_text; (at = strstr(at, KERNEL_MESSAGE)); at += strlen(KERNEL_MESSAGE))
		found = at + strlen(KERNEL_MESSAGE);
	snprintf(message, sizeof(message), "%.*s", found ? (int)strcspn(found, "\n") : 0,
		 found ? found : "");
	return message;
}
