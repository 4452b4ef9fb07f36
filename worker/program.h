/* SPDX-License-Identifier: BSD-2-Clause */
/* The XDP program of an interface, for the worker to run it by itself. */
#ifndef SVR_WORKER_PROGRAM_H
#define SVR_WORKER_PROGRAM_H

/* Descriptor for the caller to close, or negative errno: -ENOENT if there is no program. */
int svr_program_open(int ifindex);

#endif
