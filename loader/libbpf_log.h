/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What libbpf and the kernel said lately, so that an error can show it (verifier log, netlink
 * messages). Loader only.
 */
#ifndef SVR_LOADER_LIBBPF_LOG_H
#define SVR_LOADER_LIBBPF_LOG_H

#include <stdbool.h>

struct svr_cli;

/* @verbose: print everything at once to standard error as well. */
void svr_libbpf_log_init(bool verbose);
/* Forgets what was said; before a step whose words are wanted. */
void svr_libbpf_log_reset(void);
/* Adds what was said since then to the error, its end if it is long. */
void svr_libbpf_log_details(struct svr_cli *cli);
/*
 * The kernel's own sentence (extended acknowledgement) of the last refused netlink request, "" if
 * it said none.
 */
const char *svr_libbpf_log_kernel_message(void);

#endif
