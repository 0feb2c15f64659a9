/* SPDX-License-Identifier: MIT */
/*
 * What fl_fiber.h promises beyond the port: order and repeatability, the way in and out, the finding of
 * dead-locks, and hooks on accesses.
 */
#include <time.h>

#include "fibers_common.h"

/* Order */

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
		TEST(hooks_take_accesses_over),
		TEST(cost_of_a_switch),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
