/* SPDX-License-Identifier: MIT */
/*
 * What the tests of the running kernel as a side of the comparison share: a program of two processes, and calls written by hand.
 *
 * A build with sanitizers skips them: their shadow memory lies where a program's memory is to be, and the code that runs in a
 * program's process has no libc.
 *
 * No locks: one thread.
 */
#ifndef FL_TEST_DIFF_HOST_COMMON_H
#define FL_TEST_DIFF_HOST_COMMON_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "diff/diff.h"
#include "faultline/mm.h"

#define PAGE FL_DIFF_PAGE
#define W FL_DIFF_WINDOW
#define RW (FL_PROT_READ | FL_PROT_WRITE)
#define RWX (RW | FL_PROT_EXEC)
#define ANON (FL_MAP_PRIVATE | FL_MAP_ANONYMOUS)
#define FIXED (ANON | FL_MAP_FIXED)
#define MAIN 0u
#define OTHER 1u
#define CHILD 2u
#define CHILD2 3u
#define SETUP 4u

/* main and other in main; two in C. */
static struct fl_sc_thread threads[] = {
	{.name = "main"}, {.name = "other"}, {.name = "child", .process = 1}, {.name = "child2", .process = 1}};
static struct fl_sc_name children[] = {{.name = "C"}};
static struct fl_sc_name uffds[] = {{.name = "U"}, {.name = "V"}};
static struct fl_sc_statement something;
static struct fl_scenario program = {
	.thread = threads,
	.threads = 4,
	.process = children,
	.processes = 1,
	.uffd = uffds,
	.uffds = 2,
	.setup = &something,
};

static struct fl_ground ground;
static struct fl_side *side;

FL_UNUSED static void begin(size_t setups, bool unprivileged)
{
	char *error = NULL;

	program.setups = setups;
	program.unprivileged = unprivileged;
	if (side->ops->begin(side, &program, &error))
		fail_msg("%s", error);
}

FL_UNUSED static int begin_plain(void **state)
{
	(void)state;
	begin(0, false);
	return 0;
}

FL_UNUSED static int begin_setup(void **state)
{
	(void)state;
	begin(1, false);
	return 0;
}

FL_UNUSED static int begin_unprivileged(void **state)
{
	(void)state;
	begin(0, true);
	return 0;
}

FL_UNUSED static int end(void **state)
{
	(void)state;
	side->ops->end(side);
	return 0;
}

FL_UNUSED static struct fl_answer answer_of(unsigned actor)
{
	struct fl_answer a;

	side->ops->answer(side, actor, &a);
	return a;
}

FL_UNUSED static struct fl_answer issue(const struct fl_call *c, enum fl_answer_state expect)
{
	char *error = NULL;

	if (side->ops->issue(side, c, expect, &error))
		fail_msg("%s", error);
	return answer_of(c->actor);
}

FL_UNUSED static int64_t sys(unsigned actor, unsigned nr, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
	struct fl_call call = {.kind = FL_CALL_SYSCALL, .actor = actor, .nr = nr, .arg = {a, b, c, d, UINT64_MAX}};
	struct fl_answer r = issue(&call, FL_ANSWER_DONE);

	assert_int_equal(r.state, FL_ANSWER_DONE);
	return r.ret;
}

FL_UNUSED static void map(uint64_t at, uint64_t pages, int prot)
{
	assert_int_equal(sys(MAIN, SYS_mmap, at, pages * PAGE, (uint64_t)prot, FIXED), at);
}

FL_UNUSED static struct fl_answer access_at(unsigned actor, enum fl_call_kind kind, uint64_t at, unsigned size,
					    uint64_t value, enum fl_answer_state expect)
{
	struct fl_call c = {
		.kind = kind, .actor = actor, .arg = {at}, .size = size, .value = value, .outs = size == 16 ? 16 : 0};

	return issue(&c, expect);
}

FL_UNUSED static int64_t load(unsigned actor, uint64_t at)
{
	struct fl_answer a = access_at(actor, FL_CALL_LOAD, at, 8, 0, FL_ANSWER_DONE);

	assert_int_equal(a.state, FL_ANSWER_DONE);
	assert_int_equal(a.signo, 0);
	return a.ret;
}

FL_UNUSED static void store(unsigned actor, uint64_t at, uint64_t value)
{
	struct fl_answer a = access_at(actor, FL_CALL_STORE, at, 8, value, FL_ANSWER_DONE);

	assert_int_equal(a.state, FL_ANSWER_DONE);
	assert_int_equal(a.signo, 0);
}

FL_UNUSED static void expect_fault(const struct fl_answer *a, unsigned signo, int code, uint64_t address)
{
	assert_int_equal(a->state, FL_ANSWER_DONE);
	assert_int_equal(a->signo, signo);
	assert_int_equal(a->si_code, code);
	assert_int_equal(a->sig_addr, address);
	assert_int_equal(a->ret, 0);
}

FL_UNUSED static void faults_at(unsigned actor, enum fl_call_kind kind, uint64_t at, unsigned size, int code,
				uint64_t address)
{
	struct fl_answer a = access_at(actor, kind, at, size, 1, FL_ANSWER_DONE);

	expect_fault(&a, SIGSEGV, code, address);
}

FL_UNUSED static void short_call(enum fl_call_kind kind, unsigned actor, unsigned object, bool fatal,
				 enum fl_answer_state state)
{
	struct fl_call c = {.kind = kind, .actor = actor, .object = object, .fatal = fatal};
	struct fl_answer a = issue(&c, FL_ANSWER_DONE);

	assert_int_equal(a.state, state);
	assert_int_equal(a.ret, 0);
}

FL_UNUSED static size_t maps_of(unsigned process, struct fl_seen_map *m, size_t max)
{
	return side->ops->maps(side, process, FL_VIEW_FLAGS, m, max);
}

FL_UNUSED static size_t pages_of(unsigned process, uint64_t start, uint64_t pages, struct fl_seen_page *p, size_t max)
{
	struct fl_seen_map m = {.start = start, .end = start + pages * PAGE};

	return side->ops->pages(side, process, &m, 1, p, max);
}

/* The ioctl's structure lies in scratch. */
FL_UNUSED static int64_t control(unsigned actor, unsigned uffd, uint64_t cmd, void *io, unsigned size)
{
	struct fl_call c = {
		.kind = FL_CALL_SYSCALL,
		.actor = actor,
		.nr = SYS_ioctl,
		.arg = {uffd, cmd, fl_diff_scratch(actor)},
		.how = {FL_ARG_UFFD},
		.ins = size,
		.outs = size,
		.fill_pages = 1,
		.fill = 0x77,
	};
	struct fl_answer a;

	memcpy(c.in, io, size);
	a = issue(&c, FL_ANSWER_DONE);
	assert_int_equal(a.state, FL_ANSWER_DONE);
	assert_int_equal(a.outs, size);
	memcpy(io, a.out, size);
	return a.ret;
}

FL_UNUSED static int64_t open_uffd(unsigned actor, unsigned uffd, uint64_t flags)
{
	struct fl_call c = {.kind = FL_CALL_SYSCALL,
			    .actor = actor,
			    .nr = SYS_userfaultfd,
			    .arg = {flags},
			    .opens = true,
			    .object = uffd};

	return issue(&c, FL_ANSWER_DONE).ret;
}

FL_UNUSED static int64_t register_range(unsigned uffd, uint64_t at, uint64_t pages, uint64_t modes)
{
	struct fl_uffdio_register r = {.range = {at, pages * PAGE}, .mode = modes};

	return control(MAIN, uffd, FL_UFFDIO_REGISTER, &r, sizeof r);
}

/* U over W[0:4], which is mapped for it. */
FL_UNUSED static void watch(uint64_t features, uint64_t modes)
{
	struct fl_uffdio_api api = {.api = FL_UFFD_API, .features = features};

	map(W, 4, RW);
	assert_int_equal(open_uffd(MAIN, 0, FL_O_CLOEXEC | FL_O_NONBLOCK | FL_UFFD_USER_MODE_ONLY), 0);
	assert_int_equal(control(MAIN, 0, FL_UFFDIO_API, &api, sizeof api), 0);
	assert_int_equal(register_range(0, W, 4, modes), 0);
}

FL_UNUSED static int64_t fill_page(unsigned actor, uint64_t at)
{
	struct fl_uffdio_copy u = {.dst = at, .src = fl_diff_scratch(actor) + PAGE, .len = PAGE};

	return control(actor, 0, FL_UFFDIO_COPY, &u, sizeof u);
}

FL_UNUSED static struct fl_answer read_message(unsigned actor, struct fl_uffd_msg *m, enum fl_answer_state expect)
{
	struct fl_call c = {
		.kind = FL_CALL_SYSCALL,
		.actor = actor,
		.nr = SYS_read,
		.arg = {0, fl_diff_scratch(actor), sizeof *m},
		.how = {FL_ARG_UFFD},
		.outs = sizeof *m,
		.out_kind = FL_OUT_MESSAGES,
	};
	struct fl_answer a = issue(&c, expect);

	memcpy(m, a.out, sizeof *m);
	return a;
}

FL_UNUSED static bool may_watch_kernel_faults(void)
{
	return ground.root || ground.unprivileged_uffd;
}

FL_UNUSED static void limit(unsigned actor, unsigned which, uint64_t pages)
{
	struct fl_call c = {.kind = FL_CALL_LIMIT, .actor = actor, .object = which, .value = pages};
	struct fl_answer a = issue(&c, FL_ANSWER_DONE);

	assert_int_equal(a.state, FL_ANSWER_DONE);
	assert_int_equal(a.ret, 0);
}

/* With address randomisation off; what main does. */
static int run_on_kernel(char **argv, const char *name, const struct CMUnitTest *tests, size_t n)
{
	char *error = NULL;
	int failed;

	fl_host_side_settle(argv);
	side = fl_host_side_new(&ground, &error);
	if (!side && error && strstr(error, "sanitizers")) {
		printf("skipped: %s\n", error);
		free(error);
		return 0;
	}
	if (!side) {
		fprintf(stderr, "%s\n", error ? error : "out of memory");
		return 1;
	}
	failed = _cmocka_run_group_tests(name, tests, n, NULL, NULL);
	side->ops->free(side);
	return failed;
}

#define PLAIN(test) cmocka_unit_test_setup_teardown(test, begin_plain, end)

#endif
