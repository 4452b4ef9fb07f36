// SPDX-License-Identifier: BSD-2-Clause
/* Fragments in any order, and what attackers make of them. */
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include <svr/drops.h>

#include "worker/reassembly.c"

#define MS 1000000ULL

static unsigned int lost[SVR_DROP_MAX];
static struct svr_reassembly *r;
static uint8_t pattern[SVR_PACKET_MAX + 64];

static void on_lost(void *user, uint16_t zone, unsigned int reason, unsigned int count)
{
	(void)user;
	cr_assert_eq(zone, 3);
	lost[reason] += count;
}

static void begin(void)
{
	size_t i;

	for (i = 0; i < sizeof(pattern); i++)
		pattern[i] = (uint8_t)(i * 7 + (i >> 8));
	r = svr_reassembly_new(12345, on_lost, NULL);
	cr_assert_not_null(r);
}

static void end(void)
{
	svr_reassembly_free(r);
}

TestSuite(worker_reassembly, .init = begin, .fini = end);

/* Bytes from @offset of the packet @id of @sender, which are those of the pattern. */
static int add_at(uint32_t sender, uint32_t id, uint32_t offset, size_t len, bool more, uint64_t now,
		  struct svr_reassembled **out)
{
	struct svr_fragment f = {
		.key = { .id = id, .zone = 3, .proto = 17, .saddr[3] = sender },
		.head = (const uint8_t *)(offset ? "later" : "first"),
		.head_len = 5,
		.data = pattern + offset,
		.len = len,
		.offset = offset,
		.more = more,
	};

	return svr_reassembly_add(r, &f, now, out);
}

static int add(uint32_t id, uint32_t offset, size_t len, bool more)
{
	struct svr_reassembled *out;
	int err = add_at(1, id, offset, len, more, 0, &out);

	cr_assert_null(out);
	return err;
}

static void expect_whole(const struct svr_reassembled *out, size_t len)
{
	cr_assert_not_null(out);
	cr_assert_eq(out->len, 5 + len);
	cr_assert_eq(out->head_len, 5);
	cr_assert(memcmp(out->data, "first", 5) == 0, "the first fragment's headers");
	cr_assert(memcmp(out->data + 5, pattern, len) == 0);
}

Test(worker_reassembly, any_order)
{
	static const unsigned int order[][4] = {
		{ 0, 1, 2, 3 }, { 3, 2, 1, 0 }, { 1, 3, 0, 2 }, { 2, 0, 3, 1 }, { 3, 0, 1, 2 },
	};
	struct svr_reassembled *out = NULL;
	unsigned int i, k;

	for (i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		for (k = 0; k < 4; k++) {
			unsigned int n = order[i][k];

			cr_assert_null(out);
			cr_assert_eq(add_at(1, i, n * 1480, n == 3 ? 77 : 1480, n != 3, 0, &out), 0);
		}
		expect_whole(out, 3 * 1480 + 77);
		cr_assert_eq(out->largest, 1480);
		free(out);
		out = NULL;
	}
	cr_assert_eq(svr_reassembly_packets(r), 0);
	cr_assert_eq(svr_reassembly_bytes(r), 0);
}

Test(worker_reassembly, packets_of_one_sender_do_not_mix)
{
	struct svr_reassembled *out;

	cr_assert_eq(add(1, 0, 800, true), 0);
	cr_assert_eq(add(2, 800, 8, false), 0);
	cr_assert_eq(add_at(2, 1, 800, 8, false, 0, &out), 0);
	cr_assert_null(out, "another sender");
	cr_assert_eq(add_at(1, 1, 800, 8, false, 0, &out), 0);
	expect_whole(out, 808);
	free(out);
	cr_assert_eq(svr_reassembly_packets(r), 2);
}

Test(worker_reassembly, longest_packet)
{
	struct svr_reassembled *out = NULL;
	uint32_t off;

	for (off = 0; off + 576 < SVR_PACKET_MAX; off += 576)
		cr_assert_eq(add_at(1, 1, off, 576, true, 0, &out), 0);
	cr_assert_eq(add_at(1, 1, off, SVR_PACKET_MAX - off, false, 0, &out), 0);
	expect_whole(out, SVR_PACKET_MAX);
	free(out);
}

Test(worker_reassembly, lengths_that_cannot_be)
{
	cr_assert_eq(add(1, 0, 0, true), -SVR_DROP_FRAGMENT_LENGTH, "nothing in it");
	cr_assert_eq(add(1, 0, 1479, true), -SVR_DROP_FRAGMENT_LENGTH, "no multiple of 8");
	cr_assert_eq(add(1, 4, 1480, true), -SVR_DROP_FRAGMENT_LENGTH, "offset");
	cr_assert_eq(add(1, 65528, 8, false), -SVR_DROP_FRAGMENT_LENGTH, "ping of death");
	cr_assert_eq(svr_reassembly_packets(r), 0, "none of them takes memory");
	cr_assert_eq(add(1, 800, 8, false), 0);
	cr_assert_eq(add(1, 1600, 8, true), -SVR_DROP_FRAGMENT_LENGTH, "behind the end");
	cr_assert_eq(lost[SVR_DROP_FRAGMENT_LENGTH], 1, "the other one is given up");
	cr_assert_eq(add(1, 0, 800, true), -SVR_DROP_FRAGMENT_OVERLAP, "and what still comes");
	cr_assert_eq(add(2, 800, 8, false), 0);
	cr_assert_eq(add(2, 1600, 8, false), -SVR_DROP_FRAGMENT_LENGTH, "two ends");
	cr_assert_eq(add(3, 1600, 8, true), 0);
	cr_assert_eq(add(3, 800, 8, false), -SVR_DROP_FRAGMENT_LENGTH, "an end before a part");
}

Test(worker_reassembly, overlaps_end_the_packet)
{
	static const struct {
		uint32_t offset, len;
	} bad[] = { { 0, 800 }, { 792, 16 }, { 800, 400 }, { 808, 8 }, { 1592, 8 }, { 0, 2400 }, { 1592, 400 } };
	struct svr_reassembled *out;
	unsigned int i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		unsigned int before = lost[SVR_DROP_FRAGMENT_OVERLAP];

		cr_assert_eq(add(i, 800, 800, true), 0);
		if (bad[i].offset == 0 && bad[i].len == 800) {
			cr_assert_eq(add(i, 0, 800, true), 0, "next to it is no overlap");
			continue;
		}
		cr_assert_eq(add(i, bad[i].offset, bad[i].len, true), -SVR_DROP_FRAGMENT_OVERLAP,
			     "row %u", i);
		cr_assert_eq(lost[SVR_DROP_FRAGMENT_OVERLAP], before + 1);
		cr_assert_eq(add_at(1, i, 1600, 8, false, 0, &out), -SVR_DROP_FRAGMENT_OVERLAP);
	}
	cr_assert_lt(svr_reassembly_bytes(r), 64 * 1024);
}

Test(worker_reassembly, a_copy_is_refused_and_does_no_harm)
{
	struct svr_reassembled *out;

	cr_assert_eq(add(1, 0, 800, true), 0);
	cr_assert_eq(add(1, 0, 800, true), -SVR_DROP_FRAGMENT_OVERLAP);
	cr_assert_eq(add_at(1, 1, 800, 8, false, 0, &out), 0);
	expect_whole(out, 808);
	free(out);
	/* The same place with other bytes is an attack */
	cr_assert_eq(add(2, 0, 800, true), 0);
	pattern[5]++;
	cr_assert_eq(add(2, 0, 800, true), -SVR_DROP_FRAGMENT_OVERLAP);
	pattern[5]--;
	cr_assert_eq(add_at(1, 2, 800, 8, false, 0, &out), -SVR_DROP_FRAGMENT_OVERLAP);
	cr_assert_null(out);
}

Test(worker_reassembly, a_late_copy_of_a_piece_begins_no_packet)
{
	struct svr_fragment f = {
		.key = { .id = 7, .zone = 3, .kind = SVR_FRAGMENT_ROUTER, .saddr[3] = 1 },
		.head = (const uint8_t *)"first",
		.head_len = 5,
		.data = pattern,
		.len = 800,
	};
	struct svr_reassembled *out;
	uint64_t now = 5000 * MS;
	uint32_t i;

	for (i = 0; i < 200; i++) {
		f.key.id = i;
		cr_assert_eq(svr_reassembly_add(r, &f, now, &out), 0);
		expect_whole(out, 800);
		free(out);
		f.more = true;
		cr_expect_eq(svr_reassembly_add(r, &f, now + MS, &out), -SVR_DROP_FRAGMENT_OVERLAP);
		f.more = false;
		now += 2 * MS;
	}
	cr_expect_eq(svr_reassembly_packets(r), 0);
	/* but not for ever, and hosts number their packets as they like */
	f.more = true;
	now += 1000 * MS;
	cr_expect_eq(svr_reassembly_add(r, &f, now, &out), 0);
	cr_expect_eq(add_at(1, 4, 0, 800, false, now, &out), 0);
	free(out);
	cr_expect_eq(add_at(1, 4, 0, 800, true, now, &out), 0);
	cr_expect_eq(svr_reassembly_packets(r), 2);
}

Test(worker_reassembly, time)
{
	struct svr_reassembled *out;

	cr_assert_eq(add_at(1, 1, 0, 800, true, 0, &out), 0);
	cr_assert_eq(add_at(1, 2, 0, 800, true, 1000 * MS, &out), 0);
	cr_assert(svr_reassembly_expire(r, SVR_REASSEMBLY_MS * MS - 1));
	cr_assert_eq(lost[SVR_DROP_FRAGMENT_TIMEOUT], 0);
	cr_assert(svr_reassembly_expire(r, SVR_REASSEMBLY_MS * MS));
	cr_assert_eq(lost[SVR_DROP_FRAGMENT_TIMEOUT], 1);
	cr_assert_eq(add_at(1, 1, 800, 8, false, SVR_REASSEMBLY_MS * MS, &out), 0);
	cr_assert_null(out, "the first one is forgotten");
	cr_assert_not(svr_reassembly_expire(r, 3 * SVR_REASSEMBLY_MS * MS));
	cr_assert_eq(svr_reassembly_bytes(r), 0);
}

/* Packets that one sender leaves incomplete do not keep the others out. */
Test(worker_reassembly, limit_of_a_sender)
{
	struct svr_reassembled *out;
	uint32_t id;

	for (id = 0; id < SVR_REASSEMBLY_SENDER_PACKETS; id++)
		cr_assert_eq(add(id, 0, 8, true), 0);
	cr_assert_eq(add(id, 0, 8, true), -SVR_DROP_FRAGMENT_FULL);
	cr_assert_eq(add_at(2, 1, 0, 800, true, 0, &out), 0);
	cr_assert_eq(add_at(2, 1, 800, 8, false, 0, &out), 0);
	expect_whole(out, 808);
	free(out);
}

Test(worker_reassembly, limit_of_memory)
{
	struct svr_reassembled *out;
	uint32_t sender, id, off;
	size_t most = 0;

	for (sender = 0; sender < 64; sender++)
		for (id = 0; id < 20; id++)
			for (off = 0; off < 60000; off += 8000) {
				add_at(sender, id, off, 8000, true, 0, &out);
				if (svr_reassembly_bytes(r) > most)
					most = svr_reassembly_bytes(r);
			}
	cr_assert_leq(most, SVR_REASSEMBLY_BYTES);
	cr_assert_gt(most, SVR_REASSEMBLY_BYTES - 2 * 8192);
	cr_assert_leq(svr_reassembly_packets(r), SVR_REASSEMBLY_PACKETS);
	cr_assert_not(svr_reassembly_expire(r, SVR_REASSEMBLY_MS * MS));
	cr_assert_eq(svr_reassembly_bytes(r), 0);
}

Test(worker_reassembly, limit_of_parts)
{
	uint32_t n;

	for (n = 0; n < SVR_REASSEMBLY_PARTS; n++)
		cr_assert_eq(add(1, n * 8, 8, true), 0);
	cr_assert_eq(add(1, n * 8, 8, true), -SVR_DROP_FRAGMENT_FULL);
}
