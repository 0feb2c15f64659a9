/* SPDX-License-Identifier: MIT */
/*
 * Small programs whose outcomes and faults are known, explored.
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

#include "faultline/explore.h"

static struct shared {
	uint32_t x, y;
	uint32_t r[4];
	struct fl_mutex a, b;
	struct fl_parker parker;
	struct fl_rcu_head head;
	uint32_t *memory;
} w;

static void keep_all(void)
{
	memset(&w, 0, sizeof(w));
	fl_explore_keep(&w, sizeof(w));
	fl_explore_name(&w.x, sizeof(w.x), "x");
	fl_explore_name(&w.y, sizeof(w.y), "y");
	fl_explore_name(&w.a, sizeof(w.a), "mutex a");
	fl_explore_name(&w.b, sizeof(w.b), "mutex b");
	fl_explore_name(&w.parker, sizeof(w.parker), "parker");
}

static struct fl_explore_report explore(void (*setup)(void *), void (*finish)(void *),
					const struct fl_explore_options *options)
{
	struct fl_explore_test test = {.name = "test", .setup = setup, .finish = finish};
	struct fl_explore_report report;
	char *error = NULL;
	int err = fl_explore(&test, options, &report, &error);

	if (err)
		print_error("fl_explore: %d: %s\n", err, error ? error : "");
	free(error);
	assert_int_equal(err, 0);
	return report;
}

static bool has_outcome(const struct fl_explore_report *r, const char *text)
{
	for (size_t i = 0; i < r->outcomes; i++)
		if (!strcmp(r->outcome[i].text, text))
			return true;
	return false;
}

static void expect_finding(const struct fl_explore_report *r, enum fl_explore_kind kind, const char *part)
{
	assert_int_equal(r->findings, 1);
	if (r->finding[0].kind != kind || !strstr(r->finding[0].text, part))
		print_error("found %s: %s\n", fl_explore_kind_name(r->finding[0].kind), r->finding[0].text);
	assert_int_equal(r->finding[0].kind, kind);
	assert_non_null(strstr(r->finding[0].text, part));
}

/* The run id of the finding finds it again. */
static void expect_replay(void (*setup)(void *), void (*finish)(void *), const struct fl_explore_report *r,
			  struct fl_explore_options options)
{
	struct fl_explore_report again;

	options.replay = r->finding[0].run_id;
	again = explore(setup, finish, &options);
	expect_finding(&again, r->finding[0].kind, r->finding[0].text);
	assert_int_equal(again.finding[0].events, r->finding[0].events);
	assert_string_equal(again.finding[0].run_id, r->finding[0].run_id);
	fl_explore_report_free(&again);
}

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
