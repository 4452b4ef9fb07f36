// SPDX-License-Identifier: BSD-2-Clause
/* What the configuration says about a session that is to be made. */
#include "worker/session_policy.h"
#include "worker/thread.h"

bool svr_session_algorithms_ok(const struct svr_policy *p)
{
	bool known_mode = p->hmac_mode == SVR_HMAC_MODE_REGULAR ||
			  p->hmac_mode == SVR_HMAC_MODE_TIME_BASED;
	bool known_cipher = p->encrypt ?
				    svr_cipher_is_cbc(p->cipher) || svr_cipher_is_gcm(p->cipher) :
				    p->cipher == SVR_CIPHER_NONE;

	return known_mode && known_cipher && svr_hmac_tag_len(p->hmac) != 0;
}

const struct svr_policy *svr_session_policy(const struct svr_thread *t,
					    const struct svr_service *svc)
{
	const struct svr_policy *p;

	if (svc->policy == 0 || svc->policy >= t->maps->count.policies)
		return NULL;
	p = &t->maps->policies[svc->policy];
	return p->name[0] ? p : NULL;
}

const struct svr_service *svr_session_service(const struct svr_thread *t, uint32_t service)
{
	const struct svr_service *svc;

	if (service == 0 || service >= t->maps->count.services)
		return NULL;
	svc = &t->maps->services[service];
	return svc->name[0] ? svc : NULL;
}

void svr_session_take_algorithms(struct svr_session *s, uint8_t cipher, uint8_t hmac,
				 uint8_t hmac_mode)
{
	s->cipher = cipher;
	s->hmac = hmac;
	s->hmac_mode = hmac_mode;
}

bool svr_session_path_up(const struct svr_thread *t, uint32_t path, uint32_t peer)
{
	return path != 0 && path < t->maps->count.paths && peer != 0 &&
	       t->maps->paths[path].peer == peer &&
	       __atomic_load_n(&t->maps->path_state[path].status, __ATOMIC_RELAXED) == SVR_PATH_UP;
}
