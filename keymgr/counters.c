// SPDX-License-Identifier: BSD-2-Clause
/* Counters of certificates and revocation lists. */
#include <json-c/json.h>

#include "counters.h"
#include "keymgr.h"

static const struct {
	const char *name, *text;
} counters[KM_COUNT_MAX] = {
#define X(id, name, text) [KM_COUNT_##id] = { name, text },
	KM_COUNTERS(X)
#undef X
};

void km_counter_add(struct keymgr *km, enum km_counter counter)
{
	km->counters[counter]++;
}

void km_counter_verdict(struct keymgr *km, bool peer, enum svr_pki_class class)
{
	switch (class) {
	case SVR_PKI_CLASS_OK:
		break;
	case SVR_PKI_CLASS_EXPIRED:
		km_counter_add(km, peer ? KM_COUNT_PEER_EXPIRED : KM_COUNT_CERTIFICATE_EXPIRED);
		break;
	case SVR_PKI_CLASS_INVALID:
		km_counter_add(km, peer ? KM_COUNT_PEER_INVALID : KM_COUNT_CERTIFICATE_INVALID);
		break;
	case SVR_PKI_CLASS_REVOKED:
		km_counter_add(km, peer ? KM_COUNT_PEER_REVOKED : KM_COUNT_CERTIFICATE_REVOKED);
		break;
	}
}

struct json_object *km_counters_show(const struct keymgr *km)
{
	struct json_object *list = json_object_new_array(), *o;
	unsigned int i;

	for (i = 0; i < KM_COUNT_MAX; i++) {
		o = json_object_new_object();
		json_object_object_add(o, "metric", json_object_new_string(counters[i].name));
		json_object_object_add(o, "value", json_object_new_uint64(km->counters[i]));
		json_object_object_add(o, "text", json_object_new_string(counters[i].text));
		json_object_array_add(list, o);
	}
	return list;
}
