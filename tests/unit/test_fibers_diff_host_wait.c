/* SPDX-License-Identifier: MIT */
/*
 * The running kernel as a side of the comparison, driven by calls written by hand: sleepers, processes, signals, and deaths that nobody
 * has asked for.
 */
#include "diff_host_common.h"

static void sleepers_are_seen_and_wake(void **state)
{
	struct fl_uffd_msg m;
	struct fl_answer a;

	(void)state;
	watch(FL_UFFD_FEATURE_THREAD_ID, FL_UFFDIO_REGISTER_MODE_MISSING);
	assert_int_equal(side->ops->unread(side, 0), 0);
	a = access_at(OTHER, FL_CALL_LOAD, W + PAGE + 8, 8, 0, FL_ANSWER_ASLEEP);
	assert_int_equal(a.state, FL_ANSWER_ASLEEP);
	assert_int_equal(side->ops->unread(side, 0), 1);
	a = read_message(MAIN, &m, FL_ANSWER_DONE);
	assert_int_equal(a.ret, sizeof m);
	assert_int_equal(m.event, FL_UFFD_EVENT_PAGEFAULT);
	assert_int_equal(m.arg1, W + PAGE);
	assert_int_equal(m.arg2, OTHER + 1);
	assert_int_equal(side->ops->unread(side, 0), 0);
	assert_int_equal(read_message(MAIN, &m, FL_ANSWER_DONE).ret, -EAGAIN);
	assert_int_equal(answer_of(OTHER).state, FL_ANSWER_ASLEEP);
	assert_int_equal(fill_page(MAIN, W + PAGE), 0);
	a = answer_of(OTHER);
	assert_int_equal(a.state, FL_ANSWER_DONE);
	assert_int_equal(a.ret, 0x77);
	assert_int_equal(answer_of(OTHER).state, FL_ANSWER_NONE);
}

static void unexpected_sleep_is_seen(void **state)
{
	struct fl_answer a;

	(void)state;
	watch(0, FL_UFFDIO_REGISTER_MODE_MISSING);
	a = access_at(OTHER, FL_CALL_STORE, W, 8, 5, FL_ANSWER_DONE);
	assert_int_equal(a.state, FL_ANSWER_ASLEEP);
	/* And one that is expected and does not come. */
	a = access_at(MAIN, FL_CALL_LOAD, W + 8 * PAGE, 8, 0, FL_ANSWER_ASLEEP);
	expect_fault(&a, SIGSEGV, FL_SEGV_MAPERR, W + 8 * PAGE);
	assert_int_equal(fill_page(MAIN, W), 0);
	assert_int_equal(answer_of(OTHER).state, FL_ANSWER_DONE);
	assert_int_equal(load(MAIN, W), 5);
}

static void waits_in_calls_are_seen(void **state)
{
	struct fl_call c = {.kind = FL_CALL_SYSCALL,
			    .actor = OTHER,
			    .nr = SYS_pread64,
			    .arg = {0, W + PAGE - 4, 8, 0},
			    .how = {FL_ARG_CARRIER},
			    .fill_pages = 1,
			    .fill = 1};
	struct fl_uffdio_api api = {.api = FL_UFFD_API};

	(void)state;
	if (!may_watch_kernel_faults())
		skip();
	map(W, 4, RW);
	assert_int_equal(open_uffd(MAIN, 0, FL_O_CLOEXEC), 0);
	assert_int_equal(control(MAIN, 0, FL_UFFDIO_API, &api, sizeof api), 0);
	assert_int_equal(register_range(0, W + PAGE, 1, FL_UFFDIO_REGISTER_MODE_MISSING), 0);
	assert_int_equal(issue(&c, FL_ANSWER_ASLEEP).state, FL_ANSWER_ASLEEP);
	/* Such a wait is ended by no signal that is not fatal. */
	short_call(FL_CALL_SIGNAL, MAIN, OTHER, false, FL_ANSWER_DONE);
	assert_int_equal(answer_of(OTHER).state, FL_ANSWER_ASLEEP);
	assert_int_equal(fill_page(MAIN, W + PAGE), 0);
	assert_int_equal(answer_of(OTHER).ret, 8);
}

static void readers_sleep_until_there_is_a_message(void **state)
{
	struct fl_uffdio_api api = {.api = FL_UFFD_API};
	struct fl_uffd_msg m;
	struct fl_answer a;

	(void)state;
	map(W, 4, RW);
	assert_int_equal(open_uffd(MAIN, 0, FL_O_CLOEXEC | FL_UFFD_USER_MODE_ONLY), 0);
	assert_int_equal(control(MAIN, 0, FL_UFFDIO_API, &api, sizeof api), 0);
	assert_int_equal(register_range(0, W, 4, FL_UFFDIO_REGISTER_MODE_MISSING), 0);
	assert_int_equal(read_message(OTHER, &m, FL_ANSWER_ASLEEP).state, FL_ANSWER_ASLEEP);
	short_call(FL_CALL_SIGNAL, MAIN, OTHER, false, FL_ANSWER_DONE);
	assert_int_equal(answer_of(OTHER).ret, -EINTR);
	assert_int_equal(read_message(OTHER, &m, FL_ANSWER_ASLEEP).state, FL_ANSWER_ASLEEP);
	/* Main sleeps, other wakes: both are seen in one call. */
	assert_int_equal(access_at(MAIN, FL_CALL_LOAD, W, 8, 0, FL_ANSWER_ASLEEP).state, FL_ANSWER_ASLEEP);
	a = answer_of(OTHER);
	assert_int_equal(a.state, FL_ANSWER_DONE);
	assert_int_equal(a.ret, sizeof m);
	assert_int_equal(a.out[0], FL_UFFD_EVENT_PAGEFAULT);
}

static void signals_end_waits(void **state)
{
	struct fl_answer a;

	(void)state;
	watch(0, FL_UFFDIO_REGISTER_MODE_MISSING);
	short_call(FL_CALL_SIGNAL, MAIN, OTHER, false, FL_ANSWER_DONE); /* it does nothing */
	assert_int_equal(answer_of(OTHER).state, FL_ANSWER_NONE);
	for (enum fl_call_kind kind = FL_CALL_LOAD; kind <= FL_CALL_ADD; kind++) {
		assert_int_equal(access_at(OTHER, kind, W, 8, 0, FL_ANSWER_ASLEEP).state, FL_ANSWER_ASLEEP);
		short_call(FL_CALL_SIGNAL, MAIN, OTHER, false, FL_ANSWER_DONE);
		a = answer_of(OTHER);
		assert_int_equal(a.state, FL_ANSWER_DONE);
		assert_true(a.interrupted);
		assert_int_equal(a.signo, 0);
	}
	assert_int_equal(sys(MAIN, SYS_mprotect, W, PAGE, RWX, 0), 0);
	assert_int_equal(access_at(OTHER, FL_CALL_FETCH, W, 0, 0, FL_ANSWER_ASLEEP).state, FL_ANSWER_ASLEEP);
	short_call(FL_CALL_SIGNAL, MAIN, OTHER, false, FL_ANSWER_DONE);
	assert_true(answer_of(OTHER).interrupted);
	/* A fatal one ends the process, and who waits in it. */
	assert_int_equal(access_at(OTHER, FL_CALL_LOAD, W, 8, 0, FL_ANSWER_ASLEEP).state, FL_ANSWER_ASLEEP);
	short_call(FL_CALL_SIGNAL, MAIN, OTHER, true, FL_ANSWER_GONE);
	assert_int_equal(answer_of(OTHER).state, FL_ANSWER_GONE);
	assert_false(side->ops->alive(side, 0));
}

static void forked_processes_live_on_their_own(void **state)
{
	struct fl_call fork = {.kind = FL_CALL_FORK, .actor = OTHER, .object = 1};
	struct fl_seen_map m[4];

	(void)state;
	map(W, 2, RW);
	store(MAIN, W, 1);
	assert_int_equal(answer_of(CHILD).state, FL_ANSWER_GONE);
	assert_false(side->ops->alive(side, 1));
	assert_int_equal(issue(&fork, FL_ANSWER_DONE).minor, 0);
	assert_true(side->ops->alive(side, 1));
	assert_int_equal(answer_of(CHILD).state, FL_ANSWER_NONE);
	store(MAIN, W, 2);
	assert_int_equal(load(CHILD, W), 1);
	assert_int_equal(sys(CHILD2, SYS_munmap, W + PAGE, PAGE, 0, 0), 0);
	assert_int_equal(maps_of(0, m, 4), 1);
	assert_int_equal(m[0].end, W + 2 * PAGE);
	assert_int_equal(maps_of(1, m, 4), 1);
	assert_int_equal(m[0].end, W + PAGE);
	/* Its first thread ends, and what it is can be seen still; with the last its memory goes. */
	short_call(FL_CALL_EXIT, CHILD, 0, false, FL_ANSWER_GONE);
	assert_true(side->ops->alive(side, 1));
	assert_int_equal(maps_of(1, m, 4), 1);
	assert_int_equal(load(CHILD2, W), 1);
	short_call(FL_CALL_EXIT, CHILD2, 0, false, FL_ANSWER_GONE);
	assert_false(side->ops->alive(side, 1));
	/* Descriptors are shared: what one opens another one uses. */
	assert_int_equal(load(MAIN, W), 2);
}

static void descriptors_are_shared_after_fork(void **state)
{
	struct fl_uffdio_api api = {.api = FL_UFFD_API};
	struct fl_call c = {.kind = FL_CALL_SYSCALL, .actor = MAIN, .nr = SYS_close, .arg = {1}, .how = {FL_ARG_UFFD}};

	(void)state;
	short_call(FL_CALL_FORK, MAIN, 1, false, FL_ANSWER_DONE);
	assert_int_equal(issue(&c, FL_ANSWER_DONE).ret, -EBADF);
	assert_int_equal(open_uffd(CHILD, 1, FL_O_CLOEXEC | FL_UFFD_USER_MODE_ONLY), 0);
	assert_int_equal(control(MAIN, 1, FL_UFFDIO_API, &api, sizeof api), 0);
	assert_int_equal(issue(&c, FL_ANSWER_DONE).ret, 0);
	assert_int_equal(control(CHILD2, 1, FL_UFFDIO_API, &api, sizeof api), -EBADF);
}

static void forks_wait_for_their_event(void **state)
{
	struct fl_call c = {.kind = FL_CALL_FORK, .actor = OTHER, .object = 1};
	struct fl_uffd_msg m;

	(void)state;
	if (!ground.root)
		skip();
	watch(FL_UFFD_FEATURE_EVENT_FORK, FL_UFFDIO_REGISTER_MODE_MISSING);
	assert_int_equal(issue(&c, FL_ANSWER_ASLEEP).state, FL_ANSWER_ASLEEP);
	assert_false(side->ops->alive(side, 1));
	assert_int_equal(side->ops->unread(side, 0), -1);
	assert_int_equal(read_message(MAIN, &m, FL_ANSWER_DONE).ret, sizeof m);
	assert_int_equal(m.event, FL_UFFD_EVENT_FORK);
	assert_int_equal(m.arg0, 0);
	assert_int_equal(answer_of(OTHER).state, FL_ANSWER_DONE);
	assert_true(side->ops->alive(side, 1));
	faults_at(CHILD, FL_CALL_LOAD, W + 5 * PAGE, 8, FL_SEGV_MAPERR, W + 5 * PAGE);
}

static void killed_forks_leave_nothing(void **state)
{
	struct fl_call c = {.kind = FL_CALL_FORK, .actor = OTHER, .object = 1};

	(void)state;
	if (!ground.root)
		skip();
	watch(FL_UFFD_FEATURE_EVENT_FORK, FL_UFFDIO_REGISTER_MODE_MISSING);
	assert_int_equal(issue(&c, FL_ANSWER_ASLEEP).state, FL_ANSWER_ASLEEP);
	short_call(FL_CALL_SIGNAL, MAIN, OTHER, true, FL_ANSWER_GONE);
	assert_false(side->ops->alive(side, 0));
	assert_false(side->ops->alive(side, 1));
	side->ops->end(side);
	begin(0, false);
	map(W, 1, RW);
}

static void setup_ends_with_the_last_thread(void **state)
{
	(void)state;
	assert_int_equal(sys(SETUP, SYS_mmap, W, PAGE, RW, FIXED), W);
	store(MAIN, W, 4);
	assert_int_equal(load(SETUP, W), 4);
	short_call(FL_CALL_EXIT, MAIN, 0, false, FL_ANSWER_GONE);
	assert_true(side->ops->alive(side, 0));
	assert_int_equal(load(SETUP, W), 4);
	short_call(FL_CALL_EXIT, OTHER, 0, false, FL_ANSWER_GONE);
	assert_false(side->ops->alive(side, 0));
	assert_int_equal(answer_of(SETUP).state, FL_ANSWER_GONE);
}

static void poll_is_asked_by_index(void **state)
{
	struct fl_call c = {.kind = FL_CALL_SYSCALL,
			    .nr = SYS_poll,
			    .arg = {fl_diff_scratch(MAIN), 1, 0},
			    .out_kind = FL_OUT_POLL,
			    .ins = 8,
			    .outs = 8,
			    .in = {[4] = FL_POLLIN}};
	struct fl_answer a;

	(void)state;
	watch(0, FL_UFFDIO_REGISTER_MODE_MISSING);
	assert_int_equal(issue(&c, FL_ANSWER_DONE).ret, 0);
	access_at(OTHER, FL_CALL_LOAD, W, 8, 0, FL_ANSWER_ASLEEP);
	a = issue(&c, FL_ANSWER_DONE);
	assert_int_equal(a.ret, 1);
	assert_true(!a.out[0] && a.out[6] == FL_POLLIN);
	c.object = 1;
	a = issue(&c, FL_ANSWER_DONE);
	assert_int_equal(a.out[6], 0x20); /* POLLNVAL */
}

static void death_is_told(void **state)
{
	struct fl_call c = {.kind = FL_CALL_SYSCALL, .nr = SYS_exit_group};
	struct fl_call drop = {.kind = FL_CALL_SYSCALL, .nr = SYS_munmap, .arg = {FL_DIFF_SCRATCH, 1ull << 44}};
	char *error = NULL;

	(void)state;
	assert_int_equal(side->ops->issue(side, &c, FL_ANSWER_DONE, &error), -1);
	assert_non_null(strstr(error, "killed"));
	free(error);
	side->ops->end(side);
	begin(0, false);
	assert_int_equal(side->ops->issue(side, &drop, FL_ANSWER_DONE, &error), -1);
	assert_non_null(error);
	free(error);
	side->ops->end(side);
	begin(0, false);
	map(W, 1, RW);
}

/* Its children die with it, and with the next program there is another. */
static void zygote_is_made_again(void **state)
{
	char line[64];
	FILE *f;
	long pid = 0;

	(void)state;
	side->ops->end(side);
	snprintf(line, sizeof line, "/proc/%d/task/%d/children", (int)getpid(), (int)getpid());
	f = fopen(line, "r");
	if (!f)
		skip();
	assert_int_equal(fscanf(f, "%ld", &pid), 1);
	fclose(f);
	assert_int_equal(kill((pid_t)pid, SIGKILL), 0);
	begin(0, false);
	map(W, 1, RW);
	assert_int_equal(sys(MAIN, SYS_mmap, 0, PAGE, RW, ANON), ground.mmap_hi - PAGE);
}

static void first_thread_leaves_its_process_to_others(void **state)
{
	struct fl_seen_map m[2];

	(void)state;
	watch(0, FL_UFFDIO_REGISTER_MODE_MISSING);
	short_call(FL_CALL_EXIT, MAIN, 0, false, FL_ANSWER_GONE);
	assert_int_equal(maps_of(0, m, 2), 1);
	assert_int_equal(m[0].vm_flags & FL_VM_UFFD_MISSING, FL_VM_UFFD_MISSING);
	assert_int_equal(side->ops->unread(side, 0), 0);
	limit(OTHER, RLIMIT_AS, 1);
	assert_int_equal(sys(OTHER, SYS_mmap, 0, 2 * PAGE, RW, ANON), -ENOMEM);
	assert_int_equal(sys(OTHER, SYS_mmap, 0, PAGE, RW, ANON), ground.mmap_hi - PAGE);
}

/* Nothing of a program is left for the next one. */
static void programs_begin_alike(void **state)
{
	struct fl_seen_map m[4];

	(void)state;
	for (int i = 0; i < 50; i++) {
		assert_int_equal(maps_of(0, m, 4), 0);
		watch(0, FL_UFFDIO_REGISTER_MODE_MISSING);
		access_at(OTHER, FL_CALL_LOAD, W, 8, 0, FL_ANSWER_ASLEEP);
		if (i % 2)
			short_call(FL_CALL_FORK, MAIN, 1, false, FL_ANSWER_DONE);
		limit(MAIN, RLIMIT_AS, 1);
		side->ops->end(side);
		begin(i % 3 == 0, false);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		PLAIN(sleepers_are_seen_and_wake),
		PLAIN(unexpected_sleep_is_seen),
		PLAIN(waits_in_calls_are_seen),
		PLAIN(readers_sleep_until_there_is_a_message),
		PLAIN(signals_end_waits),
		PLAIN(forked_processes_live_on_their_own),
		PLAIN(descriptors_are_shared_after_fork),
		PLAIN(forks_wait_for_their_event),
		PLAIN(killed_forks_leave_nothing),
		cmocka_unit_test_setup_teardown(setup_ends_with_the_last_thread, begin_setup, end),
		PLAIN(poll_is_asked_by_index),
		PLAIN(death_is_told),
		PLAIN(zygote_is_made_again),
		PLAIN(first_thread_leaves_its_process_to_others),
		PLAIN(programs_begin_alike),
	};

	(void)argc;
	return run_on_kernel(argv, "the kernel as a side: who sleeps and who dies", tests,
			     sizeof tests / sizeof *tests);
}
