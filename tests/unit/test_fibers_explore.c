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

static void add_64(struct fl_rcu_head *unused)
{
	(void)unused;
	fl_store(&w.x, fl_load(&w.x) | 64);
}

static void call_back(void *unused)
{
	(void)unused;
	fl_rcu_call(&w.head, add_64);
}

static void wait_for_callbacks(void *unused)
{
	(void)unused;
	fl_store(&w.x, 2);
	fl_rcu_barrier();
	fl_store(&w.x, 1);
}

static void setup_barrier(void *unused)
{
	(void)unused;
	keep_all();
	fl_explore_thread("waiter", wait_for_callbacks, NULL);
	fl_explore_thread("caller", call_back, NULL);
}

static void say_x(void *unused)
{
	(void)unused;
	fl_explore_outcome("%u", w.x);
}

/* It waits for what was queued before it; and what was queued later may run at any time. */
static void barrier(void **state)
{
	struct fl_explore_options options = {.search = FL_EXPLORE_DPOR};
	struct fl_explore_report r;

	(void)state;
	for (int tso = 0; tso < 2; tso++) {
		options.memory = tso ? FL_EXPLORE_TSO : FL_EXPLORE_SC;
		r = explore(setup_barrier, say_x, &options);
		assert_int_equal(r.findings, 0);
		assert_true(r.complete);
		assert_true(has_outcome(&r, "1") && has_outcome(&r, "65"));
		fl_explore_report_free(&r);
	}
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

static void store_x_seq_load_y(void *unused)
{
	(void)unused;
	fl_store_seq(&w.x, 1);
	w.r[0] = fl_load_seq(&w.y);
}

static void store_y_fence_load_x(void *unused)
{
	(void)unused;
	fl_store(&w.y, 1);
	fl_fence();
	w.r[1] = fl_load(&w.x);
}

static void setup_fenced(void *unused)
{
	(void)unused;
	keep_all();
	fl_explore_thread("one", store_x_seq_load_y, NULL);
	fl_explore_thread("two", store_y_fence_load_x, NULL);
}

static void store_twice_load(void *unused)
{
	(void)unused;
	fl_store(&w.x, 1);
	fl_store(&w.x, 2);
	w.r[0] = fl_load(&w.x); /* its own buffer has it, or memory */
}

static void load_x(void *unused)
{
	(void)unused;
	w.r[1] = fl_load(&w.x);
}

static void setup_forwarding(void *unused)
{
	(void)unused;
	keep_all();
	fl_explore_thread("one", store_twice_load, NULL);
	fl_explore_thread("two", load_x, NULL);
}

static void store_buffers_drain(void **state)
{
	struct fl_explore_options options = {.search = FL_EXPLORE_DPOR, .memory = FL_EXPLORE_TSO};
	struct fl_explore_report r = explore(setup_fenced, say_two, &options);

	(void)state;
	assert_int_equal(r.outcomes, 3);
	assert_false(has_outcome(&r, "00"));
	fl_explore_report_free(&r);
	r = explore(setup_forwarding, say_two, &options);
	assert_int_equal(r.outcomes, 3);
	assert_true(has_outcome(&r, "20") && has_outcome(&r, "21") && has_outcome(&r, "22"));
	fl_explore_report_free(&r);
}

static void count_up(struct fl_rcu_head *head)
{
	(void)head;
	w.r[0]++;
}

static void call_and_wait(void *unused)
{
	(void)unused;
	fl_rcu_call(&w.head, count_up);
	fl_rcu_barrier();
	w.r[1] = w.r[0];
	fl_store_release(&w.x, 1);
}

static bool x_is_set(void *unused)
{
	(void)unused;
	return fl_load(&w.x) != 0;
}

static void await_x(void *unused)
{
	(void)unused;
	fl_rcu_read_lock();
	fl_rcu_read_unlock();
	fl_explore_await(&w.x, x_is_set, NULL);
	w.r[2] = w.r[1];
}

static void setup_waits(void *unused)
{
	(void)unused;
	keep_all();
	fl_explore_thread("caller", call_and_wait, NULL);
	fl_explore_thread("waiter", await_x, NULL);
}

static void say_three(void *unused)
{
	(void)unused;
	fl_explore_outcome("%u%u%u", w.r[0], w.r[1], w.r[2]);
}

static void waits(void **state)
{
	struct fl_explore_options options = {.search = FL_EXPLORE_DPOR};
	struct fl_explore_report r = explore(setup_waits, say_three, &options);

	(void)state;
	assert_int_equal(r.findings, 0);
	assert_true(r.complete);
	assert_int_equal(r.outcomes, 1);
	assert_true(has_outcome(&r, "111"));
	fl_explore_report_free(&r);
}

/* Many schedules: four who add to what they read. */

static void add_one(void *unused)
{
	(void)unused;
	for (int i = 0; i < 2; i++)
		fl_store(&w.x, fl_load(&w.x) + 1);
}

static void setup_adders(void *unused)
{
	(void)unused;
	keep_all();
	for (int i = 0; i < 3; i++)
		fl_explore_thread("adder", add_one, NULL);
}

static bool stop_soon(void *arg, const struct fl_explore_progress *progress)
{
	(void)progress;
	return --*(int *)arg > 0;
}

static void expect_same(const struct fl_explore_report *a, const struct fl_explore_report *b)
{
	assert_true(b->complete);
	assert_int_equal(a->schedules, b->schedules);
	assert_int_equal(a->outcomes, b->outcomes);
	for (size_t i = 0; i < a->outcomes; i++)
		assert_string_equal(a->outcome[i].text, b->outcome[i].text);
}

static void same_again(void **state)
{
	struct fl_explore_options options = {.search = FL_EXPLORE_DPOR};
	struct fl_explore_report one = explore(setup_adders, say_x, &options), again;

	(void)state;
	assert_int_equal(one.outcomes, 5); /* 2 to 6 */
	again = explore(setup_adders, say_x, &options);
	expect_same(&one, &again);
	assert_string_equal(one.outcome[0].run_id, again.outcome[0].run_id);
	assert_int_equal(one.outcome[0].runs, again.outcome[0].runs);
	fl_explore_report_free(&again);
	options.jobs = 3;
	again = explore(setup_adders, say_x, &options);
	expect_same(&one, &again);
	assert_int_equal(one.outcome[0].runs, again.outcome[0].runs);
	fl_explore_report_free(&again);
	fl_explore_report_free(&one);
}

static void stop_and_go_on(void **state)
{
	int looks = 1;
	struct fl_explore_options options = {.search = FL_EXPLORE_DPOR, .progress = stop_soon, .arg = &looks};
	struct fl_explore_report one = explore(setup_adders, say_x, &(struct fl_explore_options){0}), part;
	char *at = NULL;
	int parts = 0;

	(void)state;
	do {
		looks = 1;
		options.state = at;
		part = explore(setup_adders, say_x, &options);
		free(at);
		at = part.state ? strdup(part.state) : NULL;
		parts++;
		if (at)
			fl_explore_report_free(&part);
	} while (at && parts < 3);
	options.progress = NULL;
	if (at) {
		options.state = at;
		part = explore(setup_adders, say_x, &options);
		free(at);
	}
	assert_true(part.complete);
	assert_int_equal(part.schedules, one.schedules); /* it goes on counting */
	fl_explore_report_free(&part);
	fl_explore_report_free(&one);
}

static void wrong_ids(void **state)
{
	struct fl_explore_test test = {.name = "test", .setup = setup_adders};
	static const char *const ids[] = {"", "nonsense", "2.s.0.12345678.a", "1.t.0.12345678.a", "1.s.0.12345678.a"};
	struct fl_explore_report r;
	char *error;

	(void)state;
	for (size_t i = 0; i < FL_ARRAY_LEN(ids); i++) {
		struct fl_explore_options options = {.replay = ids[i]};

		assert_int_equal(fl_explore(&test, &options, &r, &error), -FL_EINVAL);
		assert_non_null(error);
		free(error);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(store_buffering),     cmocka_unit_test(store_buffering_tso),
		cmocka_unit_test(store_buffers_drain), cmocka_unit_test(waits),
		cmocka_unit_test(same_again),          cmocka_unit_test(stop_and_go_on),
		cmocka_unit_test(wrong_ids),           cmocka_unit_test(message),
		cmocka_unit_test(message_race),        cmocka_unit_test(barrier),
		cmocka_unit_test(dead_lock),           cmocka_unit_test(random_store_buffering),
		cmocka_unit_test(random_dead_lock),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
