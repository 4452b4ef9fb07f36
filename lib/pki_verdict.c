// SPDX-License-Identifier: BSD-2-Clause
/* Verdicts in words. */
#include "lib/pki_verdict.h"

#include <stddef.h>

struct verdict_words {
	enum svr_pki_verdict number;
	enum svr_pki_class class;
	const char *name, *sentence;
};

static const struct verdict_words verdict_table[] = {
#define X(id, number, name, class, sentence) { number, SVR_PKI_CLASS_##class, name, sentence },
	SVR_PKI_VERDICTS(X)
#undef X
};

static const struct verdict_words *verdict_find(enum svr_pki_verdict v)
{
	static const struct verdict_words none = { SVR_PKI_INTERNAL, SVR_PKI_CLASS_INVALID, "?",
						   "no such verdict" };
	size_t i;

	for (i = 0; i < sizeof(verdict_table) / sizeof(verdict_table[0]); i++)
		if (verdict_table[i].number == v)
			return &verdict_table[i];
	return &none;
}

const char *svr_pki_verdict_name(enum svr_pki_verdict v)
{
	return verdict_find(v)->name;
}

const char *svr_pki_verdict_sentence(enum svr_pki_verdict v)
{
	return verdict_find(v)->sentence;
}

enum svr_pki_class svr_pki_verdict_class(enum svr_pki_verdict v)
{
	return verdict_find(v)->class;
}
