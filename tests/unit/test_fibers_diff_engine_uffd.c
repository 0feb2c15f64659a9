/* SPDX-License-Identifier: MIT */
/*
 * The engine as a side of the comparison: userfaultfds and their descriptors, who sleeps, and what ends sleeping.
 */
#include <errno.h>
#include <sys/ioctl.h>

#include "diff_engine_common.h"

static void a_sleeper_wakes(void **state)
{
	struct fl_uffdio_copy c = {.dst = W + PAGE, .src = fl_diff_scratch(0) + PAGE, .len = PAGE};
	struct fl_answer r;

	(void)state;
	watch(4);
	assert_int_equal(access_at(1, FL_CALL_LOAD, W + PAGE + 8, 8, 0).state, FL_ANSWER_ASLEEP);
	assert_int_equal(side->ops->unread(side, 0), 1);
	r = read_message(0);
	assert_int_equal(r.ret, 32);
	assert_int_equal(r.out[0], FL_UFFD_EVENT_PAGEFAULT);
	assert_int_equal(r.out[24], 2); /* the second actor */
	assert_int_equal(side->ops->unread(side, 0), 0);
	r = control(0, 0, FL_UFFDIO_COPY, &c, sizeof(c));
	assert_int_equal(r.ret, 0);
	memcpy(&c, r.out, sizeof(c));
	assert_int_equal(c.copy, PAGE);
	r = answer_of(1);
	assert_int_equal(r.state, FL_ANSWER_DONE);
	assert_int_equal(r.ret, 0x77);
	assert_int_equal(answer_of(1).state, FL_ANSWER_NONE);
}

static struct fl_answer poll_uffd(unsigned object)
{
	struct fl_call c = {
		.kind = FL_CALL_SYSCALL,
		.nr = SYS_poll,
		.arg = {fl_diff_scratch(0), 1, 0},
		.object = object,
		.ins = 8,
		.in = {0, 0, 0, 0, FL_POLLIN},
		.outs = 8,
		.out_kind = FL_OUT_POLL,
	};

	return issue(&c);
}

static void descriptors_say_when(void **state)
{
	struct fl_uffdio_api api = {.api = FL_UFFD_API};
	struct fl_answer r;

	(void)state;
	watch(2);
	assert_int_equal(poll_uffd(0).ret, 0);
	access_at(1, FL_CALL_STORE, W, 8, 0);
	r = poll_uffd(0);
	assert_int_equal(r.ret, 1);
	assert_memory_equal(r.out, "\0\0\0\0\1\0\1\0", 8);
	/* Before the handshake, and where reads may wait, poll sees an error. */
	assert_int_equal(open_uffd(0, 1, 0), 0);
	assert_int_equal(poll_uffd(1).out[6], FL_POLLERR);
	assert_int_equal(control(0, 1, FL_UFFDIO_API, &api, sizeof(api)).ret, 0);
	assert_int_equal(poll_uffd(1).out[6], FL_POLLERR);
	assert_int_equal(on_uffd(0, SYS_close, 1, 0, 0, NULL, 0).ret, 0);
	assert_int_equal(poll_uffd(1).out[6], 0x20);
	assert_int_equal(on_uffd(0, SYS_close, 1, 0, 0, NULL, 0).ret, -FL_EBADF);
	assert_int_equal(read_message(0).ret, 32);
	assert_int_equal(read_message(0).ret, -FL_EAGAIN);
	/* What every descriptor has. */
	assert_int_equal(control(0, 0, FIONBIO, "\0\0\0", 4).ret, 0);
	assert_int_equal(poll_uffd(0).out[6], FL_POLLERR);
	assert_int_equal(control(0, 0, FIONBIO, "\1\0\0", 4).ret, 0);
	assert_int_equal(read_message(0).ret, -FL_EAGAIN);
	assert_int_equal(control(0, 0, FIOASYNC, "\0\0\0", 4).ret, 0);
	assert_int_equal(control(0, 0, FIOASYNC, "\1\0\0", 4).ret, -ENOTTY);
	assert_int_equal(on_uffd(0, SYS_read, 0, 0x7fffffffefff, PAGE, NULL, 0).ret, -FL_EFAULT);
}

/* The last close lets sleepers go; a read that sleeps keeps the file meanwhile. */
static void a_close_comes_while_calls_are_under_way(void **state)
{
	struct fl_uffdio_api api = {.api = FL_UFFD_API};
	struct fl_uffdio_register r = {{W, 2 * PAGE}, FL_UFFDIO_REGISTER_MODE_MISSING, 0};

	(void)state;
	assert_int_equal(map(W, 2, RW), W);
	assert_int_equal(open_uffd(0, 1, 0), 0);
	assert_int_equal(control(0, 1, FL_UFFDIO_API, &api, sizeof(api)).ret, 0);
	assert_int_equal(control(0, 1, FL_UFFDIO_REGISTER, &r, sizeof(r)).ret, 0);
	assert_int_equal(on_uffd(1, SYS_read, 1, fl_diff_scratch(1), 32, NULL, 0).state, FL_ANSWER_ASLEEP);
	assert_int_equal(on_uffd(0, SYS_close, 1, 0, 0, NULL, 0).ret, 0);
	assert_int_equal(answer_of(1).state, FL_ANSWER_ASLEEP);
	/* It is still there: the fault is told to the reader, and its thread sleeps until he has left. */
	assert_int_equal(access_at(2, FL_CALL_LOAD, W, 8, 0).state, FL_ANSWER_DONE);
	assert_int_equal(answer_of(1).ret, 32);
}

static void signals_end_waits(void **state)
{
	struct fl_answer r;

	(void)state;
	watch(2);
	access_at(1, FL_CALL_LOAD, W, 8, 0);
	special(0, FL_CALL_SIGNAL, 1, false, FL_ANSWER_DONE, 0);
	r = answer_of(1);
	assert_int_equal(r.state, FL_ANSWER_DONE);
	assert_true(r.interrupted);
	/* To one who does nothing, and to oneself: nothing. */
	special(0, FL_CALL_SIGNAL, 2, false, FL_ANSWER_DONE, 0);
	special(0, FL_CALL_SIGNAL, 0, false, FL_ANSWER_DONE, 0);
	assert_int_equal(access_at(2, FL_CALL_LOAD, W, 8, 0).state, FL_ANSWER_ASLEEP);
	/* One that is not born, or has ended. */
	special(0, FL_CALL_SIGNAL, 3, false, FL_ANSWER_DONE, -FL_ESRCH);
	special(1, FL_CALL_EXIT, 0, false, FL_ANSWER_GONE, 0);
	special(0, FL_CALL_SIGNAL, 1, true, FL_ANSWER_DONE, -FL_ESRCH);
}

/* A copy for a call waits as well, but only death ends it. */
static void a_call_may_sleep(void **state)
{
	struct fl_uffdio_range w = {W, 2 * PAGE};
	struct fl_answer r;

	(void)state;
	watch(2);
	assert_int_equal(sys(0, SYS_mmap, W + 2 * PAGE, PAGE, RW, FIXED), W + 2 * PAGE);
	{
		struct fl_call c = {
			.kind = FL_CALL_SYSCALL,
			.actor = 1,
			.nr = SYS_pread64,
			.arg = {0, W + PAGE - 1, 3},
			.how = {FL_ARG_CARRIER},
			.fill_pages = 1,
			.fill = 0x0102030405060708,
		};

		assert_int_equal(issue(&c).state, FL_ANSWER_ASLEEP);
	}
	special(0, FL_CALL_SIGNAL, 1, false, FL_ANSWER_DONE, 0);
	assert_int_equal(answer_of(1).state, FL_ANSWER_ASLEEP);
	/* Without the registration it goes on. */
	r = control(0, 0, FL_UFFDIO_UNREGISTER, &w, sizeof(w));
	assert_int_equal(r.ret, 0);
	assert_int_equal(answer_of(1).ret, 3);
	assert_int_equal(load(W + PAGE - 1, 4), 0x060708);
}

/* Sleepers of every sort are left over at the end of each. */
static void programs_follow_each_other(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 50; i++) {
		watch(8);
		special(0, FL_CALL_FORK, 1, false, FL_ANSWER_DONE, 0);
		access_at(1, FL_CALL_LOAD, W, 8, 0);
		carry(SYS_pwrite64, W + PAGE, PAGE);
		access_at(3, FL_CALL_STORE, W, 8, 0);
		assert_int_equal(answer_of(0).state, FL_ANSWER_ASLEEP);
		side->ops->end(side);
		begin(false);
	}
}

static void death_takes_the_process(void **state)
{
	struct fl_seen_map m[1];

	(void)state;
	watch(2);
	special(0, FL_CALL_FORK, 1, false, FL_ANSWER_DONE, 0);
	assert_int_equal(access_at(1, FL_CALL_LOAD, W, 8, 0).state, FL_ANSWER_ASLEEP);
	special(3, FL_CALL_SIGNAL, 2, true, FL_ANSWER_DONE, 0);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(answer_of(i).state, FL_ANSWER_GONE);
	assert_false(side->ops->alive(side, 0));
	assert_int_equal(maps_of(0, m, 1), 0);
	/* Descriptors are the child's, too. */
	assert_int_equal(side->ops->unread(side, 0), 0);
	assert_int_equal(sys(3, SYS_munmap, W, PAGE, 0, 0), 0);
	special(3, FL_CALL_SIGNAL, 3, true, FL_ANSWER_GONE, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_sleeper_wakes, setup, teardown),
		cmocka_unit_test_setup_teardown(descriptors_say_when, setup, teardown),
		cmocka_unit_test_setup_teardown(a_close_comes_while_calls_are_under_way, setup, teardown),
		cmocka_unit_test_setup_teardown(signals_end_waits, setup, teardown),
		cmocka_unit_test_setup_teardown(a_call_may_sleep, setup, teardown),
		cmocka_unit_test_setup_teardown(programs_follow_each_other, setup, teardown),
		cmocka_unit_test_setup_teardown(death_takes_the_process, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
