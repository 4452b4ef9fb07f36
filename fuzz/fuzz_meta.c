// SPDX-License-Identifier: BSD-2-Clause
/*
 * libFuzzer target of the metadata codec: whatever comes in, nothing is read or written outside, and a block that is taken says
 * the same after it was built and parsed again.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/meta.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "fuzz_meta: %s\n", what);
	abort();
}

/* Header and payload TLVs of a block whose payload is not encrypted. */
static int parse(const uint8_t *data, size_t size, struct svr_meta *m)
{
	uint8_t *payload;
	int ret = svr_meta_parse_header(data, size, m);

	if (ret) {
		require(m->have == 0 && m->header_len == 0, "part of a refused header is left");
		return ret;
	}
	require((size_t)m->header_len + m->payload_len <= size,
		"payload section ends outside of the packet");
	/* where the caller decrypts, the payload section is a buffer of its own */
	payload = malloc(m->payload_len + 1u);
	require(payload != NULL, "out of memory");
	memcpy(payload, data + m->header_len, m->payload_len);
	ret = svr_meta_parse_payload(payload, m->payload_len, m);
	require(ret == 0 || m->have == 0, "part of a refused block is left");
	free(payload);
	return ret;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct svr_meta m, again, back;
	uint8_t built[SVR_META_MAX];
	char line[2048];
	int n;

	if (parse(data, size, &m))
		return 0;
	n = svr_meta_print(&m, line, sizeof(line));
	require(n > 0 && (size_t)n < sizeof(line) && strlen(line) == (size_t)n,
		"printed length is wrong");
	for (n = 0; line[n]; n++)
		require(line[n] >= ' ' && line[n] <= '~' && line[n] != '"' && line[n] != '\\',
			"prints what needs escaping");

	again = m;
	again.unknown = 0;
	n = svr_meta_build(built, sizeof(built), &again);
	require(n >= SVR_META_HDR_LEN, "a block that was taken cannot be built");
	require(parse(built, (size_t)n, &back) == 0, "a block that was built is refused");
	require(back.have == m.have &&
			memcmp(&back.security_id, &m.security_id,
			       sizeof(m) - offsetof(struct svr_meta, security_id)) == 0,
		"a block says something else after it was built again");
	return 0;
}
