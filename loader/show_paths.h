/* SPDX-License-Identifier: BSD-2-Clause */
/* Words for the state of a path. Loader only. */
#ifndef SVR_LOADER_SHOW_PATHS_H
#define SVR_LOADER_SHOW_PATHS_H

#include <stdint.h>

/* @status: enum svr_path_status */
const char *svr_path_status_name(uint32_t status);

#endif
