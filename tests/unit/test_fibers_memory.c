/* SPDX-License-Identifier: MIT */
/*
 * What fl_fiber.h promises about stacks and grace periods, and the panics that say what a program did wrong.
 */
#include <inttypes.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fibers_common.h"

/* Stacks */

static void leave_address(void *arg)
{
	char local;

	*(uintptr_t *)arg = (uintptr_t)&local;
}

static void stack_of_a_destroyed_fiber_is_used_again(void **state)
{
	uintptr_t first = 0, second = 0;

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct fl_fiber *f = fl_fiber_create("f", leave_address, i ? &second : &first, 64 << 10);

		assert_non_null(f);
		assert_int_equal(fl_fiber_run(), 0);
		fl_fiber_destroy(f);
	}
	assert_true(first - second < 4096 || second - first < 4096);
	fl_fiber_trim();
}

static void count_up(void *arg)
{
	volatile char big[100 << 10];

	for (size_t i = 0; i < sizeof(big); i += 4096)
		big[i] = (char)i;
	fl_fiber_yield();
	for (size_t i = 0; i < sizeof(big); i += 4096)
		CHECK(big[i] == (char)i);
	fl_add((uint32_t *)arg, 1);
}

static void a_thousand_fibers_keep_their_stacks(void **state)
{
	uint32_t count = 0;

	(void)state;
	for (int i = 0; i < 1000; i++)
		assert_non_null(fl_fiber_create("many", count_up, &count, 0));
	assert_int_equal(fl_fiber_run(), 0);
	assert_int_equal(count, 1000);
	destroy_all(NULL);
	fl_fiber_trim();
}

static void create_impossible_stack_is_refused(void **state)
{
	(void)state;
	assert_null(fl_fiber_create("f", leave_address, NULL, SIZE_MAX));
	assert_null(fl_fiber_create("f", leave_address, NULL, SIZE_MAX / 4));
}

#if defined(__x86_64__)
static void change_rounding(void *unused)
{
	unsigned int before = __builtin_ia32_stmxcsr();

	(void)unused;
	__builtin_ia32_ldmxcsr(before | 0x6000); /* toward zero */
	fl_fiber_yield();
	CHECK((__builtin_ia32_stmxcsr() & 0x6000) == 0x6000);
	__builtin_ia32_ldmxcsr(before);
}

static void check_rounding(void *unused)
{
	(void)unused;
	CHECK((__builtin_ia32_stmxcsr() & 0x6000) == 0);
}

static void floating_point_modes_belong_to_a_fiber(void **state)
{
	(void)state;
	create(change_rounding, NULL);
	create(check_rounding, NULL);
	assert_int_equal(fl_fiber_run(), 0);
	assert_int_equal(__builtin_ia32_stmxcsr() & 0x6000, 0);
}
#endif

/* Grace periods */

static void callback_runs_when_the_last_old_section_ends(void **state)
{
	struct fl_fiber *old = create(read_until_woken, "o");
	struct fl_fiber *young;

	(void)state;
	fl_fiber_run();
	fl_rcu_call(&heads[0], note_callback);
	young = create(read_until_woken, "y");
	assert_int_equal(fl_fiber_run(), 2);
	assert_string_equal(trace, "");
	fl_rcu_call(&heads[1], note_callback);
	fl_fiber_wake(old);
	assert_int_equal(fl_fiber_run(), 1);
	assert_string_equal(trace, "o0"); /* the young section began after that call: it holds up the second alone */
	fl_fiber_wake(young);
	assert_int_equal(fl_fiber_run(), 0);
	assert_string_equal(trace, "o0y1");
}

static void call_and_wait(void *unused)
{
	(void)unused;
	fl_rcu_call(&heads[0], note_callback);
	fl_rcu_barrier();
	note('b');
}

static void barrier_in_a_fiber_waits(void **state)
{
	struct fl_fiber *reader = create(read_until_woken, "r");

	(void)state;
	create(call_and_wait, NULL);
	assert_int_equal(fl_fiber_run(), 2);
	assert_string_equal(trace, "");
	fl_fiber_wake(reader);
	assert_int_equal(fl_fiber_run(), 0);
	assert_string_equal(trace, "r0b");
}

static void barrier_outside_lets_readers_finish(void **state)
{
	struct fl_fiber *reader = create(read_until_woken, "r");

	(void)state;
	fl_fiber_run();
	fl_rcu_call(&heads[0], note_callback);
	fl_fiber_wake(reader);
	fl_rcu_barrier();
	assert_string_equal(trace, "r0");
}

static void a_destroyed_reader_holds_up_nobody(void **state)
{
	struct fl_fiber *reader = create(read_until_woken, "r");

	(void)state;
	fl_fiber_run();
	fl_rcu_call(&heads[0], note_callback);
	fl_fiber_destroy(reader);
	fl_fiber_run();
	assert_string_equal(trace, "0");
}

/* Panics: a child does what is wrong, and what it said is looked at. */

static bool dies_saying(void (*wrong)(void), const char *what)
{
	char said[8192];
	size_t n = 0;
	ssize_t got;
	int fds[2], status;
	pid_t child;

	assert_int_equal(pipe(fds), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		signal(SIGABRT, SIG_DFL);
		signal(SIGSEGV, SIG_DFL);
		dup2(fds[1], STDERR_FILENO);
		wrong();
		_exit(0);
	}
	close(fds[1]);
	while (n < sizeof(said) - 1 && (got = read(fds[0], said + n, sizeof(said) - 1 - n)) > 0)
		n += (size_t)got;
	said[n] = '\0';
	close(fds[0]);
	assert_int_equal(waitpid(child, &status, 0), child);
	return (!WIFEXITED(status) || WEXITSTATUS(status)) && strstr(said, what);
}

FL_NO_LOCK_CHECK static void lock_twice(void)
{
	fl_mutex_lock(&lock_a);
	fl_mutex_lock(&lock_a);
}

static void park_with_lock(void *unused)
{
	(void)unused;
	fl_mutex_lock(&lock_a);
	fl_port_park(&parker);
	fl_mutex_unlock(&lock_a);
}

static void run_park_with_lock(void)
{
	create(park_with_lock, "sleepy");
	fl_fiber_run();
}

static void park_in_section(void *unused)
{
	(void)unused;
	fl_rcu_read_lock();
	fl_port_park(&parker);
}

static void run_park_in_section(void)
{
	create(park_in_section, "sleepy");
	fl_fiber_run();
}

FL_NO_LOCK_CHECK static void unlock_of_another(void)
{
	create(hold_for_a_block, "owner");
	fl_fiber_run();
	fl_mutex_unlock(&lock_a);
}

FL_NO_LOCK_CHECK static void lock_outside_of_another(void)
{
	create(hold_for_a_block, "owner");
	fl_fiber_run();
	fl_mutex_lock(&lock_a);
}

static void park_outside(void)
{
	fl_port_park(&parker);
}

static void unlock_section_never_entered(void)
{
	fl_rcu_read_unlock();
}

static void barrier_with_stuck_reader(void)
{
	create(read_until_woken, "stuck");
	fl_fiber_run();
	fl_rcu_call(&heads[0], note_callback);
	fl_rcu_barrier();
}

FL_NOINLINE static size_t recurse(size_t depth)
{
	volatile char frame[1024];

	frame[0] = (char)depth;
	return depth == 0 ? (size_t)frame[0] : recurse(depth - 1) + (size_t)frame[0];
}

static void overflow(void *unused)
{
	(void)unused;
	recurse(1 << 20);
}

static void run_overflow(void)
{
	create(overflow, NULL);
	fl_fiber_run();
}

static void misuse_ends_in_a_clear_panic(void **state)
{
	(void)state;
	assert_true(dies_saying(lock_twice, "'outside' locks a mutex that it holds"));
	assert_true(dies_saying(run_park_with_lock, "'sleepy' parks while it holds a mutex"));
	assert_true(dies_saying(run_park_in_section, "'sleepy' parks while it is in an rcu section"));
	assert_true(dies_saying(unlock_of_another, "'outside' unlocks a mutex that 'owner' holds"));
	assert_true(dies_saying(lock_outside_of_another, "outside of any fiber while 'owner' holds it"));
	assert_true(dies_saying(park_outside, "fl_port_park outside of any fiber"));
	assert_true(dies_saying(unlock_section_never_entered, "which is in no section"));
	assert_true(dies_saying(barrier_with_stuck_reader, "'stuck' is in an rcu section and cannot run"));
}

/* What is mapped directly below the mapping of the stack we are on must not be accessible. */
static void look_below(void *found)
{
	char line[512], access[5];
	uintptr_t from, to, at = (uintptr_t)line;
	bool guard_before = false;
	uintptr_t before = 0;
	FILE *maps = fopen("/proc/self/maps", "r");

	CHECK(maps);
	while (fgets(line, sizeof(line), maps)) {
		CHECK(sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %4s", &from, &to, access) == 3);
		if (from <= at && at < to)
			*(bool *)found = guard_before && before == from;
		guard_before = strncmp(access, "---", 3) == 0;
		before = to;
	}
	fclose(maps);
}

static void stack_overflow_meets_the_guard_page(void **state)
{
	bool found = false;

	(void)state;
	assert_non_null(fl_fiber_create("looker", look_below, &found, 0));
	assert_int_equal(fl_fiber_run(), 0);
	assert_true(found);
	assert_true(dies_saying(run_overflow, ""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(stack_of_a_destroyed_fiber_is_used_again),
		TEST(a_thousand_fibers_keep_their_stacks),
		TEST(create_impossible_stack_is_refused),
#if defined(__x86_64__)
		TEST(floating_point_modes_belong_to_a_fiber),
#endif
		TEST(callback_runs_when_the_last_old_section_ends),
		TEST(barrier_in_a_fiber_waits),
		TEST(barrier_outside_lets_readers_finish),
		TEST(a_destroyed_reader_holds_up_nobody),
		TEST(misuse_ends_in_a_clear_panic),
		TEST(stack_overflow_meets_the_guard_page),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
