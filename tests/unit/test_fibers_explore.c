/* SPDX-License-Identifier: MIT */
/*
 * Small programs whose outcomes and faults are known, explored.
 *
 * No locks: one OS thread.
 */
#include "explore_common.h"

static void store_x_load_y(void *unused)
{
	(void)unused;
	fl_store(&w.x, 1);
	w.r[0] = fl_load(&w.y);
}

static void store_y_load_x(void *unused)
{
	(void)unused;
	fl_store(&w.y, 1);
	w.r[1] = fl_load(&w.x);
}

static void setup_store_buffering(void *unused)
{
	(void)unused;
	keep_all();
	fl_explore_thread("one", store_x_load_y, NULL);
	fl_explore_thread("two", store_y_load_x, NULL);
}

static void say_two(void *unused)
{
	(void)unused;
	fl_explore_outcome("%u%u", w.r[0], w.r[1]);
}

static void random_store_buffering(void **state)
{
	struct fl_explore_options options = {.search = FL_EXPLORE_RANDOM, .schedules = 200, .seed = 1};
	struct fl_explore_report r = explore(setup_store_buffering, say_two, &options);

	(void)state;
	assert_int_equal(r.findings, 0);
	assert_int_equal(r.schedules, 200);
	assert_int_equal(r.outcomes, 3);
	assert_true(has_outcome(&r, "01") && has_outcome(&r, "10") && has_outcome(&r, "11"));
	fl_explore_report_free(&r);
}

static void lock_ab(void *unused)
{
	(void)unused;
	fl_mutex_lock(&w.a);
	fl_mutex_lock(&w.b);
	fl_mutex_unlock(&w.b);
	fl_mutex_unlock(&w.a);
}

static void lock_ba(void *unused)
{
	(void)unused;
	fl_mutex_lock(&w.b);
	fl_mutex_lock(&w.a);
	fl_mutex_unlock(&w.a);
	fl_mutex_unlock(&w.b);
}

static void setup_dead_lock(void *unused)
{
	(void)unused;
	keep_all();
	fl_explore_thread("one", lock_ab, NULL);
	fl_explore_thread("two", lock_ba, NULL);
}

static void random_dead_lock(void **state)
{
	struct fl_explore_options options = {.search = FL_EXPLORE_RANDOM, .schedules = 1000, .seed = 1};
	struct fl_explore_report r = explore(setup_dead_lock, NULL, &options);

	(void)state;
	expect_finding(&r, FL_EXPLORE_DEADLOCK,
		       "one waits for a mutex (mutex b) held by two, two waits for a mutex (mutex a) held by one");
	expect_replay(setup_dead_lock, NULL, &r, options);
	fl_explore_report_free(&r);
}

static void store_buffering(void **state)
{
	struct fl_explore_options options = {.search = FL_EXPLORE_DPOR};
	struct fl_explore_report r = explore(setup_store_buffering, say_two, &options);

	(void)state;
	assert_int_equal(r.findings, 0);
	assert_true(r.complete);
	assert_int_equal(r.outcomes, 3);
	assert_true(has_outcome(&r, "01") && has_outcome(&r, "10") && has_outcome(&r, "11"));
	assert_int_equal(r.schedules, 3);
	fl_explore_report_free(&r);
}

static void store_buffering_tso(void **state)
{
	struct fl_explore_options options = {.search = FL_EXPLORE_DPOR, .memory = FL_EXPLORE_TSO};
	struct fl_explore_report r = explore(setup_store_buffering, say_two, &options);

	(void)state;
	assert_int_equal(r.findings, 0);
	assert_true(r.complete);
	assert_int_equal(r.outcomes, 4);
	assert_true(has_outcome(&r, "00"));
	fl_explore_report_free(&r);
}

static uint32_t plain_data;

static void publish(void *flag)
{
	plain_data = 42;
	fl_store_release((uint32_t *)flag, 1);
}

static void publish_relaxed(void *flag)
{
	plain_data = 42;
	fl_store((uint32_t *)flag, 1);
}

static void consume(void *flag)
{
	if (fl_load_acquire((uint32_t *)flag))
		w.r[0] = plain_data;
}

static void setup_message(void (*publisher)(void *))
{
	keep_all();
	plain_data = 0;
	fl_explore_keep(&plain_data, sizeof(plain_data));
	fl_explore_name(&plain_data, sizeof(plain_data), "data");
	fl_explore_thread("publisher", publisher, &w.x);
	fl_explore_thread("consumer", consume, &w.x);
}

static void setup_right_message(void *unused)
{
	(void)unused;
	setup_message(publish);
}

static void setup_wrong_message(void *unused)
{
	(void)unused;
	setup_message(publish_relaxed);
}

static void message(void **state)
{
	struct fl_explore_options options = {.search = FL_EXPLORE_DPOR};
	struct fl_explore_report r;

	(void)state;
	for (int tso = 0; tso < 2; tso++) {
		options.memory = tso ? FL_EXPLORE_TSO : FL_EXPLORE_SC;
		r = explore(setup_right_message, say_two, &options);
		assert_int_equal(r.findings, 0);
		assert_int_equal(r.outcomes, 2);
		assert_true(has_outcome(&r, "00") && has_outcome(&r, "420"));
		fl_explore_report_free(&r);
	}
}

static void message_race(void **state)
{
	struct fl_explore_options options = {.search = FL_EXPLORE_DPOR};
	struct fl_explore_report r;

	(void)state;
	for (int tso = 0; tso < 2; tso++) {
		options.memory = tso ? FL_EXPLORE_TSO : FL_EXPLORE_SC;
		r = explore(setup_wrong_message, say_two, &options);
		if (!r.blocks) { /* compiled without the hooks */
			fl_explore_report_free(&r);
			skip();
		}
		expect_finding(&r, FL_EXPLORE_RACE,
			       "data: plain write by publisher in publish_relaxed (test_fibers_explore.c:");
		expect_finding(&r, FL_EXPLORE_RACE, "and plain read by consumer in consume (test_fibers_explore.c:");
		expect_replay(setup_wrong_message, say_two, &r, options);
		fl_explore_report_free(&r);
	}
	options.no_plain = true;
	r = explore(setup_wrong_message, say_two, &options);
	assert_int_equal(r.findings, 0);
	fl_explore_report_free(&r);
}

static void dead_lock(void **state)
{
	struct fl_explore_options options = {.search = FL_EXPLORE_DPOR};
	struct fl_explore_report r = explore(setup_dead_lock, NULL, &options);

	(void)state;
	expect_finding(&r, FL_EXPLORE_DEADLOCK, "waits for a mutex (mutex b) held by two");
	expect_replay(setup_dead_lock, NULL, &r, options);
	fl_explore_report_free(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(store_buffering),  cmocka_unit_test(store_buffering_tso),
		cmocka_unit_test(message),          cmocka_unit_test(message_race),
		cmocka_unit_test(dead_lock),        cmocka_unit_test(random_store_buffering),
		cmocka_unit_test(random_dead_lock),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
