/* SPDX-License-Identifier: MIT */
/*
 * Programs with faults that the explorer must find, and what it says of each.
 *
 * No locks: one OS thread.
 */
#include "explore_common.h"

static const struct fl_explore_options all = {.search = FL_EXPLORE_DPOR};

static void expect(void (*setup)(void *), void (*finish)(void *), enum fl_explore_kind kind, const char *part)
{
	struct fl_explore_report r = explore(setup, finish, &all);

	expect_finding(&r, kind, part);
	expect_replay(setup, finish, &r, all);
	fl_explore_report_free(&r);
}

/* A wake-up before the flag: the sleeper looks again, sees nothing, and sleeps for ever. */

static void sleeper(void *unused)
{
	(void)unused;
	while (!fl_load_acquire(&w.x))
		fl_port_park(&w.parker);
}

static void careless_waker(void *unused)
{
	(void)unused;
	fl_port_unpark(&w.parker);
	fl_store_release(&w.x, 1);
}

static void careful_waker(void *unused)
{
	(void)unused;
	fl_store_release(&w.x, 1);
	fl_port_unpark(&w.parker);
}

static void setup_wrong_wake_up(void *unused)
{
	(void)unused;
	keep_all();
	fl_explore_thread("sleeper", sleeper, NULL);
	fl_explore_thread("waker", careless_waker, NULL);
}

static void setup_right_wake_up(void *unused)
{
	(void)unused;
	keep_all();
	fl_explore_thread("sleeper", sleeper, NULL);
	fl_explore_thread("waker", careful_waker, NULL);
}

static void setup_patient_wake_up(void *unused)
{
	(void)unused;
	keep_all();
	fl_explore_may_block(fl_explore_thread("sleeper", sleeper, NULL));
	fl_explore_thread("waker", careless_waker, NULL);
}

static void say_who_waits(void *unused)
{
	(void)unused;
	fl_explore_outcome(fl_explore_is_blocked(0) ? "sleeps: %s" : "awake: %s", fl_explore_wait_name(0));
}

static void wake_up(void **state)
{
	struct fl_explore_report r;

	(void)state;
	expect(setup_wrong_wake_up, NULL, FL_EXPLORE_DEADLOCK, "sleeper parked (parker)");
	r = explore(setup_right_wake_up, NULL, &all);
	assert_int_equal(r.findings, 0);
	assert_true(r.complete);
	fl_explore_report_free(&r);
	r = explore(setup_patient_wake_up, say_who_waits, &all);
	assert_int_equal(r.findings, 0);
	assert_int_equal(r.outcomes, 2);
	assert_true(has_outcome(&r, "sleeps: parked") && has_outcome(&r, "awake: done"));
	fl_explore_report_free(&r);
}

/* Memory that a reader still looks at. */

struct object {
	struct fl_rcu_head rcu;
	uint32_t value;
};

static struct object *published;
static bool hasty;

static void read_object(void *unused)
{
	struct object *o;

	(void)unused;
	if (!hasty)
		fl_rcu_read_lock();
	o = fl_load_acquire(&published);
	if (o)
		w.r[0] = fl_load(&o->value);
	if (!hasty)
		fl_rcu_read_unlock();
}

static void free_object(struct fl_rcu_head *head)
{
	fl_port_free(FL_CONTAINER_OF(head, struct object, rcu), sizeof(struct object));
}

static void drop_object(void *unused)
{
	struct object *o = fl_xchg(&published, (struct object *)NULL);

	(void)unused;
	fl_rcu_call(&o->rcu, free_object);
}

static void setup_readers(void (*first)(void *), void (*second)(void *))
{
	keep_all();
	fl_explore_keep(&published, sizeof(published));
	published = fl_port_alloc(sizeof(*published));
	published->value = 7;
	fl_explore_name(published, sizeof(*published), "object");
	fl_explore_thread("first", first, NULL);
	fl_explore_thread("second", second, NULL);
}

static void setup_object(void *unused)
{
	(void)unused;
	setup_readers(read_object, drop_object);
}

static void expect_nothing_left(void *unused)
{
	(void)unused;
	if (fl_explore_allocated())
		fl_explore_fail(FL_EXPLORE_LEAK, "%zu bytes are left", fl_explore_allocated());
	fl_explore_outcome("%u", w.r[0]);
}

static void freed_memory(void **state)
{
	struct fl_explore_report r;

	(void)state;
	hasty = false;
	r = explore(setup_object, expect_nothing_left, &all);
	assert_int_equal(r.findings, 0);
	assert_int_equal(r.outcomes, 2);
	fl_explore_report_free(&r);
	hasty = true;
	expect(setup_object, NULL, FL_EXPLORE_FREED, "object +0x10: atomic read by first of &o->value");
}

/* The section begins only when the object is known: it does not keep it. By ordinary code, which is no step. */
static void read_late(void *unused)
{
	struct object *o = fl_load_acquire(&published);

	(void)unused;
	if (!o)
		return;
	fl_rcu_read_lock();
	w.r[0] = o->value;
	fl_rcu_read_unlock();
}

/* The grace period may be over before the object is out of reach. */
static void drop_too_early(void *unused)
{
	struct object *o = fl_load(&published);

	(void)unused;
	fl_rcu_call(&o->rcu, free_object);
	fl_store(&published, (struct object *)NULL);
}

static void setup_late_first(void *unused)
{
	(void)unused;
	setup_readers(read_late, drop_object);
}

static void setup_late_second(void *unused)
{
	(void)unused;
	setup_readers(drop_object, read_late);
}

static void setup_early(void *unused)
{
	(void)unused;
	hasty = false;
	setup_readers(read_object, drop_too_early);
}

static void wrong_sections(void **state)
{
	void (*const setups[])(void *) = {setup_late_first, setup_late_second};
	struct fl_explore_report r;

	(void)state;
	expect(setup_early, NULL, FL_EXPLORE_FREED, "object +0x10");
	for (size_t i = 0; i < FL_ARRAY_LEN(setups); i++) {
		r = explore(setups[i], NULL, &all);
		if (!r.blocks) { /* compiled without the hooks */
			fl_explore_report_free(&r);
			skip();
		}
		expect_finding(&r, FL_EXPLORE_FREED, "object");
		expect_replay(setups[i], NULL, &r, all);
		fl_explore_report_free(&r);
	}
}

/* Two who always give way to each other. */

static void polite(void *mine_and_other)
{
	uint32_t *const *word = mine_and_other;

	fl_explore_op(1, "get in");
	for (;;) {
		fl_store_seq(word[0], 1);
		if (!fl_load_seq(word[1]))
			break;
		fl_store_seq(word[0], 0);
		fl_explore_yield();
	}
	fl_explore_op_end("in");
	fl_store_seq(word[0], 0);
}

static void setup_polite(void *unused)
{
	static uint32_t *const one[] = {&w.x, &w.y}, *const two[] = {&w.y, &w.x};

	(void)unused;
	keep_all();
	fl_explore_thread("one", polite, (void *)(uintptr_t)one);
	fl_explore_thread("two", polite, (void *)(uintptr_t)two);
}

static uint32_t never;

static void spin(void *unused)
{
	(void)unused;
	fl_explore_op(3, "wait in vain");
	while (!fl_load(&never))
		fl_explore_yield();
}

static void setup_spin(void *unused)
{
	(void)unused;
	fl_explore_keep(&never, sizeof(never));
	fl_explore_thread("one", spin, NULL);
	fl_explore_thread("two", spin, NULL);
}

static void live_lock(void **state)
{
	struct fl_explore_options options = {.search = FL_EXPLORE_DPOR, .events = 60};
	struct fl_explore_report r = explore(setup_spin, NULL, &options);

	(void)state;
	expect_finding(&r, FL_EXPLORE_LIVELOCK, "one in 'wait in vain' (line 3), two in 'wait in vain' (line 3)");
	expect_replay(setup_spin, NULL, &r, options);
	fl_explore_report_free(&r);
	options = (struct fl_explore_options){.search = FL_EXPLORE_RANDOM, .schedules = 200, .seed = 3, .events = 500};
	r = explore(setup_polite, NULL, &options);
	assert_int_equal(r.findings, 0); /* a fair scheduler lets them in */
	fl_explore_report_free(&r);
}

/* Allocations that fail, and alternatives. */

static void allocate_two(void *unused)
{
	void *first = fl_port_alloc(100), *second = fl_port_alloc(200);

	(void)unused;
	w.r[0] = (first ? 1u : 0u) + (second ? 2u : 0u);
	fl_port_free(first, 100);
	fl_port_free(second, 200);
}

static void setup_allocate(void *unused)
{
	(void)unused;
	keep_all();
	fl_explore_thread("one", allocate_two, NULL);
}

static void failing_allocations(void **state)
{
	struct fl_explore_options options = {.search = FL_EXPLORE_DPOR};
	struct fl_explore_report r;
	static const size_t outcomes[] = {1, 3, 4};

	(void)state;
	for (uint32_t fails = 0; fails < 3; fails++) {
		options.alloc_fails = fails;
		r = explore(setup_allocate, expect_nothing_left, &options);
		assert_int_equal(r.findings, 0);
		assert_int_equal(r.outcomes, outcomes[fails]);
		fl_explore_report_free(&r);
	}
}

static void choose(void *unused)
{
	(void)unused;
	w.r[0] = 10 * fl_explore_choose(3, "tens");
	w.r[0] += fl_explore_choose(2, "ones");
	FL_EXPLORE_CHECK(w.r[0] != 21);
}

static void setup_choose(void *unused)
{
	(void)unused;
	keep_all();
	fl_explore_thread("chooser", choose, NULL);
}

static void say_one(void *unused)
{
	(void)unused;
	fl_explore_outcome("%u", w.r[0]);
}

static void choices(void **state)
{
	struct fl_explore_options options = {.search = FL_EXPLORE_DPOR, .keep_going = true};
	struct fl_explore_report r = explore(setup_choose, say_one, &options);

	(void)state;
	assert_int_equal(r.outcomes, 5);
	assert_int_equal(r.schedules, 6);
	expect_finding(&r, FL_EXPLORE_CHECK, "w.r[0] != 21");
	expect_replay(setup_choose, say_one, &r, options);
	fl_explore_report_free(&r);
}

/* Crashes and panics */

static void crash(void *unused)
{
	(void)unused;
	if (fl_load(&w.x))
		*(volatile char *)(uintptr_t)fl_load(&w.y) = 1;
}

static void give_up(void *unused)
{
	(void)unused;
	if (fl_load(&w.x))
		abort();
}

/* Two ends that differ in their last byte alone. */
static void say_much(void *unused)
{
	(void)unused;
	for (unsigned i = 0; i < 1 << 14; i++)
		fl_explore_outcome("-");
	fl_explore_outcome("%u", w.x);
}

static void overflow(void *unused)
{
	volatile char large[4096];

	for (size_t i = 0; i < sizeof(large); i++)
		large[i] = (char)i;
	if (!never)
		overflow(unused);
	large[0] = 1;
}

static void set_x(void *unused)
{
	(void)unused;
	fl_store(&w.x, 1);
}

static void lock_twice(void *unused)
{
	(void)unused;
	fl_mutex_lock(&w.a);
	fl_mutex_lock(&w.a);
}

static void (*fault)(void *);

static void setup_fault(void *unused)
{
	(void)unused;
	keep_all();
	w.y = 64;
	fl_explore_thread("culprit", fault, NULL);
	fl_explore_thread("other", set_x, NULL);
}

/* More than there is: not the failing allocation that a test asks for. */
static void hoard(void *unused)
{
	(void)unused;
	while (fl_port_alloc(1 << 20)) {
	}
}

static void setup_failure(void *unused)
{
	(void)unused;
	fl_explore_fail(FL_EXPLORE_CHECK, "the world is not right");
}

static void crashes(void **state)
{
	struct fl_explore_report r;

	(void)state;
	fault = crash;
	expect(setup_fault, NULL, FL_EXPLORE_CRASH, "culprit: SIGSEGV at");
	fault = lock_twice;
	expect(setup_fault, NULL, FL_EXPLORE_PANIC, "'culprit' locks a mutex that it holds");
	fault = give_up;
	expect(setup_fault, NULL, FL_EXPLORE_CRASH, "culprit: abort");
	expect(setup_fault, say_much, FL_EXPLORE_PANIC, "an outcome is longer than");
	fault = hoard;
	expect(setup_fault, NULL, FL_EXPLORE_PANIC,
	       "culprit wants 1048576 bytes, and explored memory has no room for them");
	fault = overflow;
	r = explore(setup_fault, NULL, &all);
	expect_finding(&r, FL_EXPLORE_CRASH, "culprit: its stack overflows");
	fl_explore_report_free(&r);
	r = explore(setup_failure, NULL, &all);
	expect_finding(&r, FL_EXPLORE_CHECK, "the world is not right");
	fl_explore_report_free(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wake_up),        cmocka_unit_test(freed_memory),
		cmocka_unit_test(live_lock),      cmocka_unit_test(failing_allocations),
		cmocka_unit_test(choices),        cmocka_unit_test(crashes),
		cmocka_unit_test(wrong_sections),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
