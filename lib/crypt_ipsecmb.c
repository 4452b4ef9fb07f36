// SPDX-License-Identifier: BSD-2-Clause
/* Intel's ipsec-mb behind crypt.h. */
#include <errno.h>
#include <stdio.h>

#include "lib/crypt_internal.h"

int svr_crypt_mb_new(struct svr_crypt *c)
{
	snprintf(c->why, sizeof(c->why), "built without ipsec-mb");
	return -EOPNOTSUPP;
}

void svr_crypt_mb_free(struct svr_crypt *c)
{
	(void)c;
}

void svr_mb_schedule_free(struct svr_mb_schedule *s)
{
	(void)s;
}

const struct svr_crypt_ops svr_crypt_mb_ops;
