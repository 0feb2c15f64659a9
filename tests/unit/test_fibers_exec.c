/* SPDX-License-Identifier: MIT */
/*
 * Scenarios on the engine: small ones whose outcomes are known, all of them and no others; findings; refusals.
 *
 * No locks: one OS thread.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "explore/exec/exec.h"

static struct fl_explore_report explore(const char *text, const struct fl_explore_options *options)
{
	struct fl_explore_options o = options ? *options : (struct fl_explore_options){0};
	struct fl_explore_report report;
	struct fl_scenario *s;
	struct fl_exec *x;
	char *error = NULL;

	s = fl_scenario_parse("test.fl", text, &error);
	if (!s)
		print_error("%s\n", error ? error : "no memory");
	assert_non_null(s);
	x = fl_exec_new(s, &error);
	if (!x)
		print_error("%s\n", error);
	assert_non_null(x);
	o.memory = s->memory;
	o.alloc_fails = s->alloc_fails;
	o.keep_going = true;
	if (!o.schedules)
		o.schedules = 300000; /* more than any of these has: expect sees to that */
	if (fl_explore(fl_exec_test(x), &o, &report, &error))
		print_error("%s\n", error);
	fl_exec_free(x);
	fl_scenario_free(s);
	return report;
}

/* The outcomes are these, in the order of their text, and nothing was found. NULL ends them. */
static void expect(const char *text, ...)
{
	struct fl_explore_report r = explore(text, NULL);
	const char *want;
	va_list args;
	size_t i = 0;
	bool same = r.complete && r.findings == 0;

	va_start(args, text);
	while ((want = va_arg(args, const char *)) != NULL) {
		same = same && i < r.outcomes && !strcmp(r.outcome[i].text, want);
		i++;
	}
	va_end(args);
	same = same && i == r.outcomes;
	if (!same) {
		for (i = 0; i < r.findings; i++)
			print_error("found %s: %s\n", fl_explore_kind_name(r.finding[i].kind), r.finding[i].text);
		for (i = 0; i < r.outcomes; i++)
			print_error("outcome %s\n", r.outcome[i].text);
	}
	fl_explore_report_free(&r);
	assert_true(same);
}

/* A finding of that kind, and these words in its text. */
static void expect_finding(const char *text, enum fl_explore_kind kind, const char *words)
{
	struct fl_explore_report r = explore(text, NULL);
	bool found = false;

	for (size_t i = 0; i < r.findings; i++) {
		found = found || (r.finding[i].kind == kind && strstr(r.finding[i].text, words));
		if (r.finding[i].kind != kind)
			print_error("found %s: %s\n", fl_explore_kind_name(r.finding[i].kind), r.finding[i].text);
	}
	if (!found)
		print_error("%zu findings, %s\n", r.findings, r.findings ? r.finding[0].text : "none");
	fl_explore_report_free(&r);
	assert_true(found);
}

static void refused(const char *text, const char *words)
{
	char *error = NULL;
	struct fl_scenario *s = fl_scenario_parse("test.fl", text, &error);
	struct fl_exec *x;

	if (!s)
		print_error("%s\n", error ? error : "no memory");
	assert_non_null(s);
	x = fl_exec_new(s, &error);
	assert_null(x);
	if (!strstr(error, words))
		print_error("%s\n", error);
	assert_non_null(strstr(error, words));
	free(error);
	fl_scenario_free(s);
}

static void test_one_thread(void **unused)
{
	(void)unused;
	expect("map A pages=2\n"
	       "thread t { r0 = load A; store A 5; r1 = load A; a = add A 2; r2 = load A+4 size=4; x = fetch A\n"
	       "           b = load A[1] size=1; u = munmap A[1]; c = load A[1]; e = mprotect A[0] prot=r; d = store A 1\n"
	       "           i = copyin A; o = copyout A 3; m = mincore A }\n"
	       "always [A] == 7 and [A[1]] == MAPERR and faults(t) == 6 and resident(A) == 1\n",
	       "r0=0 r1=5 a=5 r2=0 x=ACCERR b=0 u=0 c=MAPERR e=0 d=ACCERR i=7 o=EFAULT m=1 [A]=7 [A[1]]=MAPERR "
	       "faults(t)=6 resident(A)=1",
	       NULL);
}

static void test_two_resolvers(void **unused)
{
	(void)unused;
	expect("map A\nuffd U missing A\n"
	       "thread first  { e1 = copy U A fill=0x11 }\n"
	       "thread second { e2 = copy U A fill=0x22 }\n"
	       "always [A] in { 0x11, 0x22 }\n",
	       "e1=0 e2=EEXIST [A]=0x11", "e1=EEXIST e2=0 [A]=0x22", NULL);
}

static void test_fault_and_munmap(void **unused)
{
	(void)unused;
	expect("map A\nstore A 7\nthread t { r = load A }\nthread u { e = munmap A }\n", "r=7 e=0", "r=MAPERR e=0",
	       NULL);
}

static void test_message(void **unused)
{
	(void)unused;
	expect("map A\nuffd U features=thread_id,exact_address missing A\n"
	       "thread t { r = store A+8 1 }\n"
	       "thread u { m = read U; e = copy U A fill=7 }\n"
	       "always m.address == A+8 and m.flags == WRITE and m.thread == t and messages(U) == 1 and [A] == 7\n",
	       "r=0 m=PAGEFAULT m.address=A+8 m.flags=WRITE m.thread=t e=0 messages(U)=1 [A]=7", NULL);
}

static void test_wait_and_poll(void **unused)
{
	(void)unused;
	expect("map A\nuffd U missing A\n"
	       "thread t { r = load A }\n"
	       "thread u { wait U; p = poll U; e = zeropage U A; q = poll U; m = read U nonblock }\n",
	       "r=0 p=1 e=0 q=0 m=EAGAIN", NULL);
}

/* The kernel keeps what a call uses: the reader goes on, though the descriptor is closed. */
static void test_close(void **unused)
{
	(void)unused;
	expect("map A\nuffd U missing A\n"
	       "thread t { r = load A }\n"
	       "thread u { e = close U; f = close U; m = read U }\n",
	       "r=0 e=0 f=EBADF m=EBADF", NULL);
}

static void test_fork(void **unused)
{
	(void)unused;
	expect("map A\nstore A 1\n"
	       "thread p { e = fork C; store A 2 }\n"
	       "thread k in C { s = load A; store A 3 }\n"
	       "always [A] == 2 and [A in C] == 3 and frames == 2\n",
	       "e=0 s=1 [A]=2 [A in C]=3 frames=2", NULL);
	/* What is never made never runs. */
	expect("map A\nthread p { if 0 { e = fork C } }\nthread k in C { s = load A }\nalways [A in C] == MAPERR\n",
	       "e=UNSET s=UNSET [A in C]=MAPERR", NULL);
}

static void test_fork_in_setup(void **unused)
{
	(void)unused;
	expect("map A\nstore A 1\nfork C\nfork D\nthread k in C { a = add A 1 }\nthread l { b = add A 4 }\n"
	       "always [A] == 5 and [A in C] == 2 and [A in D] == 1 and vmas(D) == 1 and resident(A in D) == 1\n",
	       "a=1 b=1 [A]=5 [A in C]=2 [A in D]=1 vmas(D)=1 resident(A in D)=1", NULL);
	expect("map A\nstore A 3\nalways [A] == 3\n", "[A]=3", NULL);
}

/* A child fills its parent's memory, which may be gone. */
static void test_exit(void **unused)
{
	(void)unused;
	expect("map A\nuffd U missing A\n"
	       "thread p { e = fork C; exit }\n"
	       "thread k in C { f = copy U A fill=3 }\n"
	       "always frames == 0\n",
	       "e=0 f=0 frames=0", "e=0 f=ESRCH frames=0", NULL);
}

static void test_signals(void **unused)
{
	(void)unused;
	expect("map A\nuffd U missing A\nvar x\n"
	       "thread t may block { set x 1; r = load A; s = load A }\n"
	       "thread u { await x; signal t }\n",
	       "r=INTERRUPTED s=UNSET x=1 blocked=t", "r=UNSET s=UNSET x=1 blocked=t", NULL);
	/* Killed before, in or after it. */
	expect("map A\nthread t { r = load A; s = load A }\nthread u { signal t fatal }\n", "r=0 s=0", "r=0 s=UNSET",
	       "r=UNSET s=UNSET", NULL);
	expect("map A\nuffd U missing A\n"
	       "thread t may block { wait U; m = read U nonblock }\nthread u { signal t }\nthread v may block { r = load A }\n",
	       "m=EAGAIN r=UNSET blocked=v", "m=PAGEFAULT m.address=A m.flags=0 r=UNSET blocked=v", NULL);
	expect("var x\nthread t { await x == 1; set x 2 }\nthread u { signal t; signal t fatal }\n", "x=0", NULL);
}

static void test_variables(void **unused)
{
	(void)unused;
	expect("var x\nvar y\nthread p { set x 1; r = get y }\nthread q { set y 1; s = get x }\n"
	       "thread w { await x == 1 and y == 1; set x 2 }\n",
	       "r=0 s=1 x=2 y=1", "r=0 s=2 x=2 y=1", "r=1 s=0 x=2 y=1", "r=1 s=1 x=2 y=1", "r=1 s=2 x=2 y=1", NULL);
}

static void test_control(void **unused)
{
	(void)unused;
	expect("map A\nthread t { repeat 3 { a = add A 1 }; if a == 2 { r = load A } else { r = load A+8 }\n"
	       "           retry 5 { b = add A 1 } while b < 5; check b == 5 }\n",
	       "a=2 r=3 b=5", NULL);
}

/* What Linux's rules let sleep on is an outcome; what they do not is a lost wake-up. */
static void test_blocked(void **unused)
{
	(void)unused;
	expect("map A\nuffd U missing A\nthread t may block { r = load A }\nthread u { e = copy U A fill=1 dontwake }\n",
	       "r=1 e=0", "r=UNSET e=0 blocked=t", NULL);
	expect("map A\nuffd U missing A\nthread t may block { r = load A }\nthread u { e = guard_install A }\n",
	       "r=MAPERR e=0", "r=UNSET e=0 blocked=t", NULL);
	expect_finding("map A\nuffd U missing A\nthread t { r = load A }\nthread u { e = copy U A fill=1 dontwake }\n",
		       FL_EXPLORE_LOST_WAKEUP, "t sleeps in 'r = load A' (line 3) though its page is there");
	expect_finding("map A\nuffd U missing A\nthread t { r = load A }\n", FL_EXPLORE_DEADLOCK,
		       "t sleeps in 'r = load A' (line 3) for ever");
	expect("allow deadlock\nmap A\nuffd U missing A\nthread t { r = load A }\n", "r=UNSET blocked=t", NULL);
	expect("map A\nuffd U missing A\nthread t may block { m = read U }\nalways blocked(t)\n", "m=UNSET blocked=t",
	       NULL);
}

static void test_findings(void **unused)
{
	(void)unused;
	expect_finding("map A\nthread t { r = load A }\nthread u { store A 2 }\nalways r == 0\n", FL_EXPLORE_PROPERTY,
		       "test.fl:4:8: always r == 0: r=2");
	expect_finding("map A\nthread t { r = load A }\nthread u { store A 2 }\nnever [A] == 2\n", FL_EXPLORE_PROPERTY,
		       "never [A] == 2: [A]=2");
	expect_finding("map A\nthread t { r = load A; check r == 0 }\nthread u { store A 2 }\n", FL_EXPLORE_CHECK,
		       "test.fl:2:24: check r == 0 in t does not hold: r=2");
	expect_finding("map A\nmunmap A\nb = load A\nload A\nthread t { yield }\n", FL_EXPLORE_CHECK,
		       "test.fl:4:1: setup: 'load A' fails: MAPERR");
	expect_finding("map A\nuffd U missing A\nload A\nthread t { yield }\n", FL_EXPLORE_CHECK,
		       "test.fl:3:1: setup would wait in 'load A'");
}

static void test_sometimes(void **unused)
{
	char *error = NULL;
	struct fl_scenario *s = fl_scenario_parse("test.fl",
						  "map A\nthread t { r = load A }\nthread u { store A 2 }\n"
						  "sometimes r == 2\nsometimes r == 3\nalways r != 3\n",
						  &error);
	struct fl_explore_options o = {0};
	struct fl_explore_report report;
	struct fl_exec *x;

	(void)unused;
	assert_non_null(s);
	x = fl_exec_new(s, &error);
	assert_non_null(x);
	assert_int_equal(fl_explore(fl_exec_test(x), &o, &report, &error), 0);
	assert_false(fl_exec_never_seen(x, 0));
	assert_true(fl_exec_never_seen(x, 1));
	assert_false(fl_exec_never_seen(x, 2));
	fl_explore_report_free(&report);
	fl_exec_free(x);
	fl_scenario_free(s);
}

static void test_failing_allocations(void **unused)
{
	(void)unused;
	expect("inject alloc=1\nmap A\nuffd U missing A\n"
	       "thread p { e = fork C }\nthread k in C { f = copy U A fill=3 }\nthread l in C { g = load A }\n",
	       "e=0 f=0 g=0", "e=0 f=0 g=NOMEM", "e=0 f=ENOMEM g=0", "e=ENOMEM f=UNSET g=UNSET", NULL);
	expect("inject alloc=1\nmap A pages=3\nthread t { e = munmap A[1] }\nsometimes e == ENOMEM\nalways vmas in { 1, 2 }\n",
	       "e=0 vmas=2", "e=ENOMEM vmas=1", NULL);
	expect("inject alloc=1\nmap A\nstore A 1\nthread t { e = fork C }\nthread k in C { r = load A }\n", "e=0 r=1",
	       "e=ENOMEM r=UNSET", NULL);
}

/* The last thread of each process takes the memory along. */
static void test_exit_of_all(void **unused)
{
	(void)unused;
	expect("map A pages=2\nstore A 1\n"
	       "thread t { a = store A[1] 4 }\n"
	       "thread u { e = fork C; exit }\n"
	       "thread k in C { s = load A; x = load A[1]; exit }\n"
	       "always [A] == MAPERR and frames == 0 and vmas == 0\n",
	       "a=0 e=0 s=1 x=0 [A]=MAPERR frames=0 vmas=0", "a=0 e=0 s=1 x=4 [A]=MAPERR frames=0 vmas=0", NULL);
}

/* Frames are as many as the scenario says. */
static void test_frames(void **unused)
{
	(void)unused;
	expect("frames 2\nmap A pages=3\nthread t { a = store A 1; b = store A[1] 1; c = store A[2] 1 }\nalways frames == 2\n",
	       "a=0 b=0 c=NOMEM frames=2", NULL);
}

static void test_places(void **unused)
{
	(void)unused;
	expect("map A\nmap B at=512\nmap C at=513\nthread t { store A 1; store B 1 }\n"
	       "always tables == 2 and vmas == 2 and resident(A) == 1\n",
	       "tables=2 vmas=2 resident(A)=1", NULL);
	expect("geometry full\nmap A pages=3\nuffd U missing A\nthread t { e = copy U A fill=6 }\n"
	       "always [A[2]] == 6 and resident(A[1:3]) == 2\n",
	       "e=0 [A[2]]=6 resident(A[1:3])=2", NULL);
	expect("geometry full\nmap A\nmap B at=512\nthread t { store A 1; store B 1 }\nalways tables == 2\n",
	       "tables=2", NULL);
	expect("thread t { a = brk +2; b = brk -1; c = brk -5 }\n", "a=0 b=0 c=ENOMEM", NULL);
	expect("map A pages=4\nplace P at=100\n"
	       "thread t { store A 1; m = mremap A[0:1] to P; r = load P; d = dontneed P; s = load P }\n",
	       "m=0 r=1 d=0 s=0", NULL);
}

/* Variables are sequentially consistent; the memory of the program is as the machine has it. */
static void test_tso(void **unused)
{
	(void)unused;
	expect("memory tso\nvar x\nvar y\nthread p { set x 1; r = get y }\nthread q { set y 1; s = get x }\n",
	       "r=0 s=1 x=1 y=1", "r=1 s=0 x=1 y=1", "r=1 s=1 x=1 y=1", NULL);
	expect("memory tso\nmap A\nstore A 0\nthread p { store A 1; r = load A+8 }\nthread q { store A+8 1; s = load A }\n",
	       "r=0 s=0", "r=0 s=1", "r=1 s=0", "r=1 s=1", NULL);
}

static void test_refusals(void **unused)
{
	(void)unused;
	refused("map A shmem shared\nthread t { load A }\n", "test.fl:1:5: the engine has no shmem memory yet");
	refused("map A shared\nthread t { load A }\n", "the engine has no shared memory yet");
	refused("map A\nuffd U wp A\n", "test.fl:2:1: the engine has no userfaultfd mode wp yet");
	refused("map A\nuffd U missing A\nthread t { poison U A }\n",
		"test.fl:3:12: the engine has no userfaultfd call poison yet");
	refused("map A\nuffd U features=event_fork missing A\n", "no such userfaultfd features yet");
	refused("# why\narch arm64\nmap A\n", "test.fl:2:1: the engine has no arch arm64 yet; it has x86-64");
	refused("map A\nuffd U missing A\nm = read U\n", "test.fl:3:");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_thread),
		cmocka_unit_test(test_two_resolvers),
		cmocka_unit_test(test_fault_and_munmap),
		cmocka_unit_test(test_message),
		cmocka_unit_test(test_wait_and_poll),
		cmocka_unit_test(test_close),
		cmocka_unit_test(test_fork),
		cmocka_unit_test(test_fork_in_setup),
		cmocka_unit_test(test_exit),
		cmocka_unit_test(test_exit_of_all),
		cmocka_unit_test(test_signals),
		cmocka_unit_test(test_variables),
		cmocka_unit_test(test_control),
		cmocka_unit_test(test_blocked),
		cmocka_unit_test(test_findings),
		cmocka_unit_test(test_sometimes),
		cmocka_unit_test(test_failing_allocations),
		cmocka_unit_test(test_frames),
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_tso),
		cmocka_unit_test(test_refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
