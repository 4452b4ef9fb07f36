/* SPDX-License-Identifier: BSD-2-Clause */
/* Sessions that an earlier process left. */
#ifndef SVR_WORKER_SESSION_ADOPT_H
#define SVR_WORKER_SESSION_ADOPT_H

struct svr_thread;

struct svr_adopted {
	unsigned int live, freed, flows_removed;
};

/* Take over what an earlier process left: complete sessions live on, anything else is removed. */
int svr_sessions_adopt(struct svr_thread *t, struct svr_adopted *out);

#endif
