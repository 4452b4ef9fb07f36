// SPDX-License-Identifier: BSD-2-Clause
/*
 * Stack of the programs as the oldest kernels count it. All functions of a chain of calls share 512
 * bytes; before Linux 6.8 each one takes a multiple of 32 of them, later a multiple of 16, so that what
 * loads here may be refused there.
 */
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "skel/svr_lan.skel.h"
#include "skel/svr_wan.skel.h"
#include "tests/prog/pool.h"
#include "tests/prog/prog.h"

enum {
	STACK_MAX = 512,
	STACK_ROUND = 32,
	FUNCTIONS_MAX = 512,
};

struct functions {
	const struct bpf_insn *insns;
	size_t insn_count;
	size_t start[FUNCTIONS_MAX]; /* first instruction, ascending */
	unsigned int with_callees[FUNCTIONS_MAX]; /* 0: not known yet */
	size_t count;
};

static bool is_call(const struct bpf_insn *insn)
{
	return insn->code == (BPF_JMP | BPF_CALL) && insn->src_reg == BPF_PSEUDO_CALL;
}

static int compare(const void *a, const void *b)
{
	size_t x = *(const size_t *)a, y = *(const size_t *)b;

	return (x > y) - (x < y);
}

/* Functions are where calls and callbacks lead to, and the first instruction. */
static void find_functions(struct functions *f)
{
	size_t i, n;

	f->start[f->count++] = 0;
	for (i = 0; i < f->insn_count; i++) {
		const struct bpf_insn *insn = &f->insns[i];
		size_t target = i + 1 + (size_t)(ptrdiff_t)insn->imm;

		if (!is_call(insn) && !(insn->code == (BPF_LD | BPF_IMM | BPF_DW) &&
					insn->src_reg == BPF_PSEUDO_FUNC))
			continue;
		for (n = 0; n < f->count && f->start[n] != target; n++)
			;
		if (n < f->count)
			continue;
		cr_assert(f->count < FUNCTIONS_MAX);
		f->start[f->count++] = target;
	}
	qsort(f->start, f->count, sizeof(*f->start), compare);
}

/*
 * Bytes below the frame pointer that a function uses: what it reads and writes there, and what it
 * takes addresses of. The verifier's own figures leave out functions that a constant makes useless.
 */
static unsigned int depth(const struct bpf_insn *insn, const struct bpf_insn *end)
{
	bool frame[MAX_BPF_REG] = { [BPF_REG_10] = true };
	int lowest = 0;

	for (; insn < end; insn++) {
		uint8_t class = BPF_CLASS(insn->code);

		if (class == BPF_STX || class == BPF_ST || class == BPF_LDX) {
			uint8_t base = class == BPF_LDX ? insn->src_reg : insn->dst_reg;

			if (base == BPF_REG_10 && insn->off < lowest)
				lowest = insn->off;
		}
		if (insn->code == (BPF_ALU64 | BPF_ADD | BPF_K) && frame[insn->dst_reg]) {
			if (insn->imm < lowest)
				lowest = insn->imm;
		} else if (insn->code == (BPF_ALU64 | BPF_MOV | BPF_X)) {
			frame[insn->dst_reg] = insn->src_reg == BPF_REG_10;
		} else if (class == BPF_LDX || class == BPF_ALU || class == BPF_ALU64) {
			frame[insn->dst_reg] = false;
		}
	}
	return (unsigned int)-lowest;
}

/* Bytes that function @n and the deepest chain below it take */
static unsigned int chain(struct functions *f, size_t n)
{
	size_t end = n + 1 < f->count ? f->start[n + 1] : f->insn_count, i, callee;
	unsigned int own = depth(&f->insns[f->start[n]], &f->insns[end]), below = 0, got;

	if (f->with_callees[n])
		return f->with_callees[n];
	for (i = f->start[n]; i < end; i++) {
		if (!is_call(&f->insns[i]))
			continue;
		for (callee = 0; f->start[callee] != i + 1 + (size_t)(ptrdiff_t)f->insns[i].imm;
		     callee++)
			;
		got = chain(f, callee);
		below = got > below ? got : below;
	}
	/* a function without a stack costs as much as one with a little */
	own = own ? (own + STACK_ROUND - 1) / STACK_ROUND * STACK_ROUND : STACK_ROUND;
	f->with_callees[n] = own + below;
	return f->with_callees[n];
}

static void check_stack(struct bpf_object *obj, struct bpf_program *prog)
{
	static struct functions f;
	int err = bpf_object__load(obj);

	/* the instructions as the kernel gets them: all functions behind the program */
	cr_assert(!err, "load: %d", err);
	memset(&f, 0, sizeof(f));
	f.insns = bpf_program__insns(prog);
	f.insn_count = bpf_program__insn_cnt(prog);
	find_functions(&f);
	cr_expect(chain(&f, 0) <= STACK_MAX,
		  "%s: the deepest calls take %u bytes of stack, %d are allowed before Linux 6.8",
		  bpf_program__name(prog), chain(&f, 0), STACK_MAX);
}

Test(stack, lan)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts);
	struct svr_lan *skel;
	char dir[128];

	opts.pin_root_path = dir;
	pool_take("stack-lan", dir, sizeof(dir));
	skel = svr_lan__open_opts(&opts);
	cr_assert(skel);
	check_stack(skel->obj, skel->progs.svr_lan);
	svr_lan__destroy(skel);
}

Test(stack, wan)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts);
	struct svr_wan *skel;
	char dir[128];

	opts.pin_root_path = dir;
	pool_take("stack-wan", dir, sizeof(dir));
	skel = svr_wan__open_opts(&opts);
	cr_assert(skel);
	check_stack(skel->obj, skel->progs.svr_wan);
	svr_wan__destroy(skel);
}
