/* SPDX-License-Identifier: MIT */
/*
 * What fl_fiber.h promises beyond the port: order and repeatability, stacks, the way in and out, the
 * finding of dead-locks, exact grace periods, hooks on accesses, and panics that say what is wrong.
 */
#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "concurrent.h"
#include "fl_fiber.h"

static char trace[4096];
static size_t traced;

static void note(char c)
{
	CHECK(traced + 1 < sizeof(trace));
	trace[traced++] = c;
	trace[traced] = '\0';
}

static struct fl_fiber *create(void (*fn)(void *), void *arg)
{
	struct fl_fiber *f = fl_fiber_create(arg ? arg : "fiber", fn, arg, 0);

	CHECK(f);
	return f;
}

static int reset(void **state)
{
	(void)state;
	fl_fiber_set_policy(NULL, NULL, false);
	fl_fiber_set_hooks(NULL);
	traced = 0;
	trace[0] = '\0';
	return 0;
}

static int destroy_all(void **state)
{
	(void)state;
	fl_fiber_set_policy(NULL, NULL, false);
	fl_fiber_set_hooks(NULL);
	while (fl_fiber_next(NULL))
		fl_fiber_destroy(fl_fiber_next(NULL));
	return 0;
}

/* Order */

static uint32_t word;

static void note_thrice(void *arg)
{
	for (int i = 0; i < 3; i++) {
		note(*(const char *)arg);
		fl_store(&word, fl_load(&word) + 1);
	}
}

static void yield_thrice(void *arg)
{
	for (int i = 0; i < 3; i++) {
		note(*(const char *)arg);
		fl_fiber_yield();
	}
}

static void first_policy_runs_each_to_its_end(void **state)
{
	(void)state;
	create(note_thrice, "a");
	create(note_thrice, "b");
	create(note_thrice, "c");
	assert_int_equal(fl_fiber_run(), 0);
	assert_string_equal(trace, "aaabbbccc");
}

static void first_policy_yield_takes_turns(void **state)
{
	(void)state;
	create(yield_thrice, "a");
	create(yield_thrice, "b");
	create(yield_thrice, "c");
	assert_int_equal(fl_fiber_run(), 0);
	assert_string_equal(trace, "abcabcabc");
}

static void trace_of(uint64_t seed, char *into)
{
	static char *const names[] = {"a", "b", "c"};

	traced = 0;
	word = 0;
	for (size_t i = 0; i < FL_ARRAY_LEN(names); i++)
		create(note_thrice, names[i]);
	fl_fiber_random_policy(seed);
	CHECK(fl_fiber_run() == 0);
	snprintf(into, 64, "%.40s %u", trace, word);
	destroy_all(NULL);
}

static void random_policy_same_seed_same_trace(void **state)
{
	char first[64], again[64], last[64] = "";
	size_t changes = 0;

	(void)state;
	for (uint64_t seed = 0; seed < 100; seed++) {
		trace_of(seed, first);
		trace_of(seed, again);
		assert_string_equal(first, again);
		changes += strcmp(first, last) != 0;
		memcpy(last, first, sizeof(last));
	}
	/* Some seeds give the same trace; that most do would make them worthless. */
	assert_true(changes > 50);
}

static void random_policy_loses_an_unguarded_update(void **state)
{
	bool lost = false;
	bool kept = false;

	(void)state;
	for (uint64_t seed = 0; seed < 100; seed++) {
		char result[64];

		trace_of(seed, result);
		lost |= word < 9;
		kept |= word == 9;
	}
	assert_true(lost);
	assert_true(kept);
}

/* The last of the runnable, if it is not the one that asks. */
static struct fl_fiber *pick_another(void *arg, struct fl_fiber *const *runnable, size_t n)
{
	const volatile void *address;
	const struct fl_access_site *site;

	(void)arg;
	for (size_t i = 0; i < n; i++) {
		site = fl_fiber_pending(runnable[i], &address);
		if (!site)
			continue;
		CHECK(address == &word);
		CHECK(site->kind == FL_ACCESS_LOAD || site->kind == FL_ACCESS_STORE);
		CHECK(site->size == 4 && strcmp(site->what, "&word") == 0 && strstr(site->file, "test_fibers.c"));
	}
	return runnable[n - 1] != fl_fiber_current() ? runnable[n - 1] : runnable[0];
}

static void pick_is_asked_at_points_and_sees_what_comes(void **state)
{
	uint64_t before = fl_fiber_points();

	(void)state;
	word = 0;
	create(note_thrice, "a");
	create(note_thrice, "b");
	fl_fiber_set_policy(pick_another, NULL, true);
	assert_int_equal(fl_fiber_run(), 0);
	assert_string_equal(trace, "bababa");
	assert_int_equal(word, 3); /* every update of b is lost */
	assert_int_equal(fl_fiber_points() - before, 12);
}

static struct fl_fiber *pick_until_stopped(void *arg, struct fl_fiber *const *runnable, size_t n)
{
	uint32_t *left = arg;

	(void)n;
	return *left && (*left)-- ? runnable[0] : NULL;
}

static void pick_that_returns_null_stops_the_run(void **state)
{
	uint32_t left = 5;

	(void)state;
	create(note_thrice, "a");
	create(note_thrice, "b");
	fl_fiber_set_policy(pick_until_stopped, &left, true);
	assert_int_equal(fl_fiber_run(), 0);
	assert_string_equal(trace, "aaa"); /* a's end would have been the sixth question but one */
	fl_fiber_set_policy(NULL, NULL, false);
	assert_int_equal(fl_fiber_run(), 0);
	assert_string_equal(trace, "aaabbb");
}

/* In and out */

static struct fl_parker parker;
static struct fl_mutex lock_a, lock_b;

static void park_then_note(void *arg)
{
	(void)arg;
	note('1');
	fl_port_park(&parker);
	note('2');
	fl_fiber_block();
	note('3');
}

static void outside_unparks_and_wakes(void **state)
{
	struct fl_fiber *f = create(park_then_note, NULL);

	(void)state;
	assert_null(fl_fiber_current());
	assert_int_equal(fl_fiber_run(), 1);
	assert_int_equal(fl_fiber_state(f), FL_FIBER_IN_PARK);
	assert_int_equal(fl_fiber_run(), 1);
	fl_port_unpark(&parker);
	assert_int_equal(fl_fiber_state(f), FL_FIBER_RUNNABLE);
	assert_string_equal(trace, "1");
	assert_int_equal(fl_fiber_run(), 1);
	assert_int_equal(fl_fiber_state(f), FL_FIBER_IN_BLOCK);
	fl_fiber_wake(f);
	assert_int_equal(fl_fiber_run(), 0);
	assert_string_equal(trace, "123");
	assert_int_equal(fl_fiber_state(f), FL_FIBER_DONE);
}

static void wake_before_block_is_not_lost_and_does_not_end_a_park(void **state)
{
	struct fl_fiber *f = create(park_then_note, NULL);

	(void)state;
	assert_int_equal(fl_fiber_run(), 1);
	fl_fiber_wake(f);
	assert_int_equal(fl_fiber_state(f), FL_FIBER_IN_PARK);
	fl_port_unpark(&parker);
	assert_int_equal(fl_fiber_run(), 0);
	assert_string_equal(trace, "123");
}

static void hold_for_a_block(void *arg)
{
	fl_mutex_lock(&lock_a);
	note(*(const char *)arg);
	fl_fiber_block();
	fl_mutex_unlock(&lock_a);
}

static void lock_then_note(void *arg)
{
	fl_mutex_lock(&lock_a);
	note(*(const char *)arg);
	fl_mutex_unlock(&lock_a);
}

FL_NO_LOCK_CHECK static void mutex_waiters_are_served_in_order(void **state)
{
	struct fl_fiber *holder;

	(void)state;
	fl_mutex_lock(&lock_a); /* free, so the outside may */
	create(lock_then_note, "z");
	assert_int_equal(fl_fiber_run(), 1);
	fl_mutex_unlock(&lock_a);
	holder = create(hold_for_a_block, "h");
	create(lock_then_note, "a");
	create(lock_then_note, "b");
	create(lock_then_note, "c");
	assert_int_equal(fl_fiber_run(), 4);
	assert_false(fl_mutex_trylock(&lock_a));
	assert_int_equal(fl_fiber_deadlock(NULL, 0), 0);
	fl_fiber_wake(holder);
	assert_int_equal(fl_fiber_run(), 0);
	assert_string_equal(trace, "zhabc");
}

static void lock_both(void *arg)
{
	bool ab = *(const char *)arg == 'a';

	fl_mutex_lock(ab ? &lock_a : &lock_b);
	fl_fiber_yield();
	fl_mutex_lock(ab ? &lock_b : &lock_a);
	note(*(const char *)arg);
	fl_mutex_unlock(ab ? &lock_b : &lock_a);
	fl_mutex_unlock(ab ? &lock_a : &lock_b);
}

static void deadlock_is_found_and_told(void **state)
{
	struct fl_fiber *circle[4], *outsider, *a, *b;
	char report[512];

	(void)state;
	memset(&lock_a, 0, sizeof(lock_a));
	memset(&lock_b, 0, sizeof(lock_b));
	outsider = create(park_then_note, "p");
	a = create(lock_both, "a");
	b = create(lock_both, "b");
	create(lock_then_note, "w");
	assert_int_equal(fl_fiber_run(), 4);
	assert_int_equal(fl_fiber_deadlock(circle, FL_ARRAY_LEN(circle)), 2);
	assert_ptr_equal(circle[0], a);
	assert_ptr_equal(circle[1], b);
	assert_int_equal(fl_fiber_state(outsider), FL_FIBER_IN_PARK);
	fl_fiber_report(report, sizeof(report));
	assert_non_null(strstr(report, "a ("));
	assert_non_null(strstr(report, "waits for a mutex held by b, holds a mutex"));
	assert_non_null(strstr(report, "parked"));
	fl_fiber_report(report, 10); /* cut, not overrun */
	assert_int_equal(strlen(report), 9);
	destroy_all(NULL);
	memset(&lock_a, 0, sizeof(lock_a));
	memset(&lock_b, 0, sizeof(lock_b));
	memset(&parker, 0, sizeof(parker));
}

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

static struct fl_rcu_head heads[2];

static void note_callback(struct fl_rcu_head *head)
{
	note(head == &heads[0] ? '0' : '1');
}

static void read_until_woken(void *arg)
{
	fl_rcu_read_lock();
	fl_rcu_read_lock();
	fl_fiber_block();
	fl_rcu_read_unlock();
	note(*(const char *)arg);
	fl_rcu_read_unlock();
}

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

/* Hooks: loads see the value plus one, stores put it down doubled. */

static void load_hook(void *arg, const volatile void *p, void *value, const struct fl_access_site *site)
{
	CHECK(site->size == 4 && site->kind == FL_ACCESS_LOAD);
	*(uint32_t *)value = *(const volatile uint32_t *)p + 1;
	++*(uint32_t *)arg;
}

static void store_hook(void *arg, volatile void *p, const void *value, const struct fl_access_site *site)
{
	CHECK(site->size == 4 && site->order == FL_ORDER_RELEASE);
	*(volatile uint32_t *)p = *(const uint32_t *)value * 2;
	++*(uint32_t *)arg;
}

static void rmw_hook(void *arg, volatile void *p, const struct fl_access_site *site)
{
	CHECK(p ? site->kind == FL_ACCESS_RMW : site->kind == FL_ACCESS_FENCE);
	++*(uint32_t *)arg;
}

static void hooks_take_accesses_over(void **state)
{
	uint32_t calls = 0;
	const struct fl_access_hooks hooks = {&calls, load_hook, store_hook, rmw_hook};

	(void)state;
	word = 1;
	fl_fiber_set_hooks(&hooks);
	assert_int_equal(fl_load(&word), 2);
	fl_store_release(&word, 5);
	assert_int_equal(fl_add(&word, 1), 11);
	fl_fence();
	assert_int_equal(calls, 4);
	fl_fiber_set_hooks(NULL);
	assert_int_equal(fl_load(&word), 11);
	assert_int_equal(calls, 4);
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

/* How long a switch takes: told, not judged. */

#define TURNS 200000

static void take_turns(void *unused)
{
	(void)unused;
	for (int i = 0; i < TURNS; i++)
		fl_fiber_yield();
}

static void load_often(void *unused)
{
	(void)unused;
	for (int i = 0; i < TURNS; i++)
		(void)fl_load(&word);
}

static double ns_per_turn(void (*fn)(void *), unsigned int fibers)
{
	struct timespec from, to;

	for (unsigned int i = 0; i < fibers; i++)
		create(fn, NULL);
	clock_gettime(CLOCK_MONOTONIC, &from);
	CHECK(fl_fiber_run() == 0);
	clock_gettime(CLOCK_MONOTONIC, &to);
	destroy_all(NULL);
	return ((double)(to.tv_sec - from.tv_sec) * 1e9 + (double)(to.tv_nsec - from.tv_nsec)) / TURNS / fibers;
}

static void cost_of_a_switch(void **state)
{
	(void)state;
	print_message("a switch: %.1f ns\n", ns_per_turn(take_turns, 2));
	print_message("a load, unwatched: %.1f ns\n", ns_per_turn(load_often, 1));
	fl_fiber_random_policy(1);
	print_message("a point under the random policy, 4 fibers: %.1f ns\n", ns_per_turn(load_often, 4));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, reset, destroy_all)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(first_policy_runs_each_to_its_end),
		TEST(first_policy_yield_takes_turns),
		TEST(random_policy_same_seed_same_trace),
		TEST(random_policy_loses_an_unguarded_update),
		TEST(pick_is_asked_at_points_and_sees_what_comes),
		TEST(pick_that_returns_null_stops_the_run),
		TEST(outside_unparks_and_wakes),
		TEST(wake_before_block_is_not_lost_and_does_not_end_a_park),
		TEST(mutex_waiters_are_served_in_order),
		TEST(deadlock_is_found_and_told),
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
		TEST(hooks_take_accesses_over),
		TEST(misuse_ends_in_a_clear_panic),
		TEST(stack_overflow_meets_the_guard_page),
		TEST(cost_of_a_switch),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
