/* SPDX-License-Identifier: MIT */
/*
 * What the tests of the engine as a side of the comparison share: a ground and a program made up here, and calls written by
 * hand. No kernel is asked.
 *
 * No locks: one OS thread.
 */
#ifndef FL_TEST_DIFF_ENGINE_COMMON_H
#define FL_TEST_DIFF_ENGINE_COMMON_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include <cmocka.h>

#include "diff/diff.h"
#include "faultline/mm.h"
#include "fl_fiber.h"

#define PAGE FL_DIFF_PAGE
#define W FL_DIFF_WINDOW
#define RW (FL_PROT_READ | FL_PROT_WRITE)
#define ANON (FL_MAP_PRIVATE | FL_MAP_ANONYMOUS)
#define FIXED (ANON | FL_MAP_FIXED)
#define SETUP 4u

/* What the tests' programs have: main, other and third in main, one in C. */
static struct fl_sc_thread threads[] = {{.name = "main"}, {.name = "other"}, {.name = "third"}, {.name = "child"}};
static struct fl_sc_name children[] = {{.name = "C"}};
static struct fl_sc_name uffds[] = {{.name = "U"}, {.name = "V"}};
static struct fl_scenario program;

static struct fl_side *side;

FL_UNUSED static void open_side(bool root)
{
	struct fl_ground *g = calloc(1, sizeof(*g));

	assert_non_null(g);
	g->foreigns = 4;
	g->foreign[0] = (struct fl_seen_map){.start = 0x555555554000, .end = 0x555555560000, .prot = 5};
	g->foreign[1] = (struct fl_seen_map){
		.start = FL_DIFF_SCRATCH,
		.end = FL_DIFF_SCRATCH + FL_DIFF_ACTORS * FL_DIFF_SCRATCH_SIZE,
		.prot = RW,
		.shared = true,
	};
	g->foreign[2] = (struct fl_seen_map){.start = 0x7ffffffde000, .end = 0x7ffffffff000, .prot = RW, .stack = true};
	g->foreign[3] = (struct fl_seen_map){.start = 0xffffffffff600000, .end = 0xffffffffff601000, .prot = 4};
	g->mmap_lo = PAGE;
	g->mmap_hi = 0x7ffff7fff000;
	g->brk = 0x555555600000;
	g->max_maps = 20000;
	g->fill_lo = 0x7ffff8fff000;
	g->fill_hi = 0x7fffff000000;
	g->most_memlock = 64 * PAGE;
	g->min_addr = PAGE;
	g->min_hint = 16 * PAGE;
	g->memory = 1ull << 30;
	g->root = root;
	side = fl_engine_side_new(g);
	assert_non_null(side);
	free(g);
}

FL_UNUSED static void begin(bool unprivileged)
{
	char *error = NULL;

	threads[3].process = 1;
	program = (struct fl_scenario){
		.thread = threads,
		.threads = 4,
		.process = children,
		.processes = 1,
		.uffd = uffds,
		.uffds = 2,
		.unprivileged = unprivileged,
	};
	if (side->ops->begin(side, &program, &error))
		fail_msg("%s", error);
}

FL_UNUSED static int setup(void **state)
{
	(void)state;
	open_side(true);
	begin(false);
	return 0;
}

FL_UNUSED static int teardown(void **state)
{
	(void)state;
	side->ops->end(side);
	if (side->ops->broken(side))
		fail_msg("%s", side->ops->broken(side));
	side->ops->free(side);
	fl_fiber_trim();
	return 0;
}

FL_UNUSED static struct fl_answer issue(const struct fl_call *c)
{
	struct fl_answer r;
	char *error = NULL;

	if (side->ops->issue(side, c, FL_ANSWER_DONE, &error))
		fail_msg("%s", error);
	side->ops->answer(side, c->actor, &r);
	return r;
}

FL_UNUSED static struct fl_answer answer_of(unsigned actor)
{
	struct fl_answer r;

	side->ops->answer(side, actor, &r);
	return r;
}

FL_UNUSED static int64_t sys(unsigned actor, unsigned nr, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
	struct fl_call call = {.kind = FL_CALL_SYSCALL, .actor = actor, .nr = nr, .arg = {a, b, c, d, UINT64_MAX}};
	struct fl_answer r = issue(&call);

	assert_int_equal(r.state, FL_ANSWER_DONE);
	return r.ret;
}

FL_UNUSED static int64_t map(uint64_t at, uint64_t pages, int prot)
{
	return sys(0, SYS_mmap, at, pages * PAGE, (unsigned)prot, FIXED);
}

FL_UNUSED static struct fl_answer access_at(unsigned actor, enum fl_call_kind kind, uint64_t at, unsigned size,
					    uint64_t value)
{
	struct fl_call c = {.kind = kind, .actor = actor, .arg = {at}, .size = size, .value = value, .outs = 16};

	return issue(&c);
}

FL_UNUSED static uint64_t load(uint64_t at, unsigned size)
{
	struct fl_answer r = access_at(0, FL_CALL_LOAD, at, size, 0);

	assert_int_equal(r.state, FL_ANSWER_DONE);
	assert_int_equal(r.signo, 0);
	return (uint64_t)r.ret;
}

FL_UNUSED static void store(uint64_t at, unsigned size, uint64_t value)
{
	struct fl_answer r = access_at(0, FL_CALL_STORE, at, size, value);

	assert_int_equal(r.state, FL_ANSWER_DONE);
	assert_int_equal(r.signo, 0);
}

FL_UNUSED static void expect_signal(enum fl_call_kind kind, uint64_t at, unsigned size, unsigned signo, int code,
				    uint64_t addr)
{
	struct fl_answer r = access_at(0, kind, at, size, 0);

	assert_int_equal(r.state, FL_ANSWER_DONE);
	assert_int_equal(r.signo, signo);
	assert_int_equal(r.si_code, code);
	assert_int_equal(r.sig_addr, addr);
}

FL_UNUSED static void special(unsigned actor, enum fl_call_kind kind, unsigned object, bool fatal,
			      enum fl_answer_state state, int64_t ret)
{
	struct fl_call c = {.kind = kind, .actor = actor, .object = object, .fatal = fatal};
	struct fl_answer r = issue(&c);

	assert_int_equal(r.state, state);
	assert_int_equal(r.ret, ret);
}

FL_UNUSED static void limit(unsigned which, uint64_t pages)
{
	struct fl_call c = {.kind = FL_CALL_LIMIT, .object = which, .value = pages};
	struct fl_answer r = issue(&c);

	assert_int_equal(r.state, FL_ANSWER_DONE);
	assert_int_equal(r.ret, 0);
}

FL_UNUSED static int64_t open_uffd(unsigned actor, unsigned object, unsigned flags)
{
	struct fl_call c = {
		.kind = FL_CALL_SYSCALL,
		.actor = actor,
		.nr = SYS_userfaultfd,
		.arg = {flags},
		.opens = true,
		.object = object,
	};

	return issue(&c).ret;
}

FL_UNUSED static struct fl_answer on_uffd(unsigned actor, unsigned nr, unsigned object, uint64_t b, uint64_t c,
					  const void *in, unsigned ins)
{
	struct fl_call call = {
		.kind = FL_CALL_SYSCALL,
		.actor = actor,
		.nr = nr,
		.arg = {object, b, c},
		.how = {FL_ARG_UFFD},
		.ins = ins,
		.outs = ins ? ins : 32,
		.fill_pages = 1,
		.fill = 0x77,
		.out_kind = nr == SYS_read ? FL_OUT_MESSAGES : FL_OUT_PLAIN,
	};

	if (ins)
		memcpy(call.in, in, ins);
	return issue(&call);
}

FL_UNUSED static struct fl_answer control(unsigned actor, unsigned object, uint32_t cmd, const void *in, unsigned ins)
{
	return on_uffd(actor, SYS_ioctl, object, cmd, fl_diff_scratch(actor), in, ins);
}

/* An open userfaultfd U with thread ids, and W[0:pages] registered. */
FL_UNUSED static void watch(uint64_t pages)
{
	struct fl_uffdio_api api = {.api = FL_UFFD_API, .features = FL_UFFD_FEATURE_THREAD_ID};
	struct fl_uffdio_register r = {{W, pages * PAGE}, FL_UFFDIO_REGISTER_MODE_MISSING, 0};

	assert_int_equal(map(W, pages, RW), W);
	assert_int_equal(open_uffd(0, 0, FL_O_CLOEXEC | FL_O_NONBLOCK), 0);
	assert_int_equal(control(0, 0, FL_UFFDIO_API, &api, sizeof(api)).ret, 0);
	assert_int_equal(control(0, 0, FL_UFFDIO_REGISTER, &r, sizeof(r)).ret, 0);
}

FL_UNUSED static struct fl_answer read_message(unsigned actor)
{
	return on_uffd(actor, SYS_read, 0, fl_diff_scratch(actor), 32, NULL, 0);
}

FL_UNUSED static size_t maps_of(unsigned process, struct fl_seen_map *m, size_t max)
{
	return side->ops->maps(side, process, FL_VIEW_FLAGS, m, max);
}

FL_UNUSED static struct fl_answer carry(unsigned nr, uint64_t at, uint64_t n)
{
	struct fl_call c = {
		.kind = FL_CALL_SYSCALL,
		.nr = nr,
		.arg = {0, at, n},
		.how = {FL_ARG_CARRIER},
		.fill_pages = nr == SYS_pread64 ? 3 : 0,
		.fill = 0x0101010101010101,
		.outs = nr == SYS_pread64 ? 0 : 8,
		.out_kind = FL_OUT_CARRIED,
	};

	return issue(&c);
}

#endif
