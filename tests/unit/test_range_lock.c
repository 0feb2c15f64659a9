/* SPDX-License-Identifier: MIT */
/*
 * Range locks: who excludes whom, who goes first, and what a signal does to a wait.
 *
 * Bodies that must arrive in a certain order wait until the list has grown: they look at it under its mutex.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "concurrent.h"
#include "sync/range_lock.h"

#define BODIES 4
#define SLOTS 8

static struct {
	struct fl_range_lock lock;
	struct fl_task task[BODIES];
	uint32_t inside[SLOTS]; /* exclusive holders count 100, shared ones 1 */
	uint32_t step;
	uint32_t met;
	uint32_t outcomes;
} s;

static void fresh(void)
{
	memset(&s, 0, sizeof(s));
	for (uint32_t i = 0; i < BODIES; i++)
		fl_task_init(&s.task[i], NULL, NULL, i + 1);
}

static size_t queue_length(void)
{
	size_t n = 0;

	fl_mutex_lock(&s.lock.mutex);
	for (struct fl_range_req *r = s.lock.first; r; r = r->next)
		n++;
	fl_mutex_unlock(&s.lock.mutex);
	return n;
}

static void wait_for_queue(size_t n)
{
	while (queue_length() < n)
		concurrent_yield();
}

static void wait_for_step(uint32_t n)
{
	while (fl_load_acquire(&s.step) < n)
		concurrent_yield();
}

static bool try(struct fl_range_req *r, fl_va start, fl_va end, enum fl_range_mode mode)
{
	return fl_range_trylock(&s.lock, r, &s.task[0], start, end, mode);
}

static void trylock_conflicts_exactly_where_ranges_overlap_and_one_is_exclusive(void **state)
{
	struct fl_range_req shared, beside, exclusive, r;

	(void)state;
	fresh();
	assert_true(try(&shared, 10, 20, FL_RANGE_SHARED));
	assert_true(try(&beside, 0, 10, FL_RANGE_EXCLUSIVE));
	assert_true(try(&exclusive, 20, UINT64_MAX, FL_RANGE_EXCLUSIVE));
	assert_true(try(&r, 19, 20, FL_RANGE_SHARED));
	fl_range_unlock(&s.lock, &r);
	assert_false(try(&r, 19, 20, FL_RANGE_EXCLUSIVE));
	assert_false(try(&r, 0, UINT64_MAX, FL_RANGE_SHARED));
	assert_false(try(&r, 9, 10, FL_RANGE_SHARED));
	assert_false(try(&r, UINT64_MAX - 1, UINT64_MAX, FL_RANGE_EXCLUSIVE));
	fl_range_unlock(&s.lock, &beside);
	assert_true(try(&r, 9, 20, FL_RANGE_SHARED));
	fl_range_unlock(&s.lock, &r);
	fl_range_unlock(&s.lock, &shared);
	assert_true(try(&r, 9, 20, FL_RANGE_EXCLUSIVE));
	fl_range_unlock(&s.lock, &exclusive);
	fl_range_unlock(&s.lock, &r);
	assert_null(s.lock.first);
	assert_null(s.lock.last);
}

/* Every slot counts who is inside. */
static void lock_some(void *arg)
{
	struct fl_task *t = arg;
	uint32_t random = t->tid * 7919 + (uint32_t)concurrent_schedule * 104729;

	for (int i = 0; i < 20; i++) {
		struct fl_range_req r;
		uint32_t start, end, weight;

		random = random * 1664525 + 1013904223;
		start = random >> 8 & (SLOTS - 1);
		end = start + 1 + (random >> 16 & 3);
		if (end > SLOTS)
			end = SLOTS;
		weight = random >> 24 & 1 ? 100 : 1;
		CHECK(fl_range_lock(&s.lock, &r, t, start, end, weight == 100 ? FL_RANGE_EXCLUSIVE : FL_RANGE_SHARED,
				    FL_WAIT_UNINTERRUPTIBLE) == 0);
		for (uint32_t k = start; k < end; k++) {
			uint32_t now = fl_add(&s.inside[k], weight);

			CHECK(weight == 100 ? now == 100 : now < 100);
		}
		concurrent_yield();
		for (uint32_t k = start; k < end; k++)
			fl_add(&s.inside[k], -weight);
		fl_range_unlock(&s.lock, &r);
	}
}

static void contend(size_t schedule)
{
	void (*const body[])(void *) = {lock_some, lock_some, lock_some, lock_some};
	void *const arg[] = {&s.task[0], &s.task[1], &s.task[2], &s.task[3]};

	(void)schedule;
	fresh();
	run_concurrently(body, arg, BODIES);
	assert_null(s.lock.first);
	assert_null(s.lock.last);
}

static void lock_under_contention_excludes(void **state)
{
	(void)state;
	for_each_schedule(200, contend);
}

/* A reader holds; a writer waits; a reader that comes later waits behind the writer, though it could share. */
static void early_reader(void *unused)
{
	struct fl_range_req r;

	(void)unused;
	CHECK(fl_range_lock(&s.lock, &r, &s.task[0], 0, 4, FL_RANGE_SHARED, FL_WAIT_UNINTERRUPTIBLE) == 0);
	fl_store_release(&s.step, 1);
	wait_for_step(2);
	CHECK(fl_load(&s.met) == 0);
	fl_range_unlock(&s.lock, &r);
}

static void writer(void *unused)
{
	struct fl_range_req r;

	(void)unused;
	wait_for_step(1);
	CHECK(fl_range_lock(&s.lock, &r, &s.task[1], 0, 4, FL_RANGE_EXCLUSIVE, FL_WAIT_UNINTERRUPTIBLE) == 0);
	CHECK(fl_add(&s.met, 1) == 1);
	fl_range_unlock(&s.lock, &r);
}

static void late_reader(void *unused)
{
	struct fl_range_req r, beside;

	(void)unused;
	wait_for_queue(2);
	CHECK(!fl_range_trylock(&s.lock, &r, &s.task[2], 0, 4, FL_RANGE_SHARED));
	CHECK(fl_range_trylock(&s.lock, &beside, &s.task[2], 4, 8, FL_RANGE_EXCLUSIVE));
	fl_range_unlock(&s.lock, &beside);
	fl_store_release(&s.step, 2);
	CHECK(fl_range_lock(&s.lock, &r, &s.task[2], 3, 4, FL_RANGE_SHARED, FL_WAIT_UNINTERRUPTIBLE) == 0);
	fl_range_unlock(&s.lock, &r);
}

static void overtake(size_t schedule)
{
	void (*const body[])(void *) = {early_reader, writer, late_reader};

	(void)schedule;
	fresh();
	run_concurrently(body, NULL, FL_ARRAY_LEN(body));
	assert_null(s.lock.first);
}

static void late_reader_does_not_overtake_a_waiting_writer(void **state)
{
	(void)state;
	for_each_schedule(100, overtake);
}

/*
 * [0, 8) is held. Behind it wait [0, 4) and [4, 8), which must both be granted by its unlock (they meet inside), and
 * then [0, 8) shared, which must come after both.
 */
static void holder(void *unused)
{
	struct fl_range_req r;

	(void)unused;
	CHECK(fl_range_lock(&s.lock, &r, &s.task[0], 0, 8, FL_RANGE_EXCLUSIVE, FL_WAIT_UNINTERRUPTIBLE) == 0);
	wait_for_queue(4);
	CHECK(fl_load(&s.met) == 0);
	fl_range_unlock(&s.lock, &r);
}

static void half(uint32_t i)
{
	struct fl_range_req r;

	wait_for_queue(i);
	CHECK(fl_range_lock(&s.lock, &r, &s.task[i], i == 1 ? 0 : 4, i == 1 ? 4 : 8, FL_RANGE_EXCLUSIVE,
			    FL_WAIT_UNINTERRUPTIBLE) == 0);
	fl_add(&s.met, 1);
	while (fl_load_acquire(&s.met) < 2)
		concurrent_yield();
	fl_add(&s.step, 1);
	fl_range_unlock(&s.lock, &r);
}

static void lower_half(void *unused)
{
	(void)unused;
	half(1);
}

static void upper_half(void *unused)
{
	(void)unused;
	half(2);
}

static void whole(void *unused)
{
	struct fl_range_req r;

	(void)unused;
	wait_for_queue(3);
	CHECK(fl_range_lock(&s.lock, &r, &s.task[3], 0, 8, FL_RANGE_SHARED, FL_WAIT_UNINTERRUPTIBLE) == 0);
	CHECK(fl_load_acquire(&s.step) == 2);
	fl_range_unlock(&s.lock, &r);
}

static void hand_over(size_t schedule)
{
	void (*const body[])(void *) = {holder, lower_half, upper_half, whole};

	(void)schedule;
	fresh();
	run_concurrently(body, NULL, FL_ARRAY_LEN(body));
	assert_null(s.lock.first);
}

static void unlock_grants_all_that_became_grantable_and_no_more(void **state)
{
	(void)state;
	for_each_schedule(100, hand_over);
}

/*
 * task[0] holds shared, task[1] waits for exclusive, task[2] waits behind it for shared. When task[1] gives up, task[2]
 * goes on although task[0] still holds.
 */
static enum fl_wait how;
static uint32_t ignored_bits, ending_bits;

static void hold_until_met(void *unused)
{
	struct fl_range_req r;

	(void)unused;
	CHECK(fl_range_lock(&s.lock, &r, &s.task[0], 0, 4, FL_RANGE_SHARED, FL_WAIT_UNINTERRUPTIBLE) == 0);
	wait_for_queue(3);
	if (ignored_bits) {
		fl_task_signal(&s.task[1], ignored_bits);
		for (int i = 0; i < 20; i++)
			concurrent_yield();
		CHECK(queue_length() == 3);
	}
	fl_task_signal(&s.task[1], ending_bits);
	while (!fl_load_acquire(&s.met))
		concurrent_yield();
	fl_range_unlock(&s.lock, &r);
}

static void give_up(void *unused)
{
	struct fl_range_req r;

	(void)unused;
	wait_for_queue(1);
	CHECK(fl_range_lock(&s.lock, &r, &s.task[1], 0, 4, FL_RANGE_EXCLUSIVE, how) == -FL_EINTR);
	fl_task_clear_signal(&s.task[1], ending_bits | ignored_bits);
	CHECK(!fl_task_interrupted(&s.task[1], FL_WAIT_INTERRUPTIBLE));
}

static void behind(void *unused)
{
	struct fl_range_req r;

	(void)unused;
	wait_for_queue(2);
	CHECK(fl_range_lock(&s.lock, &r, &s.task[2], 0, 4, FL_RANGE_SHARED, FL_WAIT_UNINTERRUPTIBLE) == 0);
	fl_store_release(&s.met, 1);
	fl_range_unlock(&s.lock, &r);
}

static void interrupt(size_t schedule)
{
	void (*const body[])(void *) = {hold_until_met, give_up, behind};

	(void)schedule;
	fresh();
	run_concurrently(body, NULL, FL_ARRAY_LEN(body));
	assert_null(s.lock.first);
}

static void signal_ends_an_interruptible_wait_and_lets_those_behind_go_on(void **state)
{
	(void)state;
	how = FL_WAIT_INTERRUPTIBLE;
	ignored_bits = 0;
	ending_bits = FL_SIGNAL_PENDING;
	for_each_schedule(50, interrupt);
}

static void only_a_fatal_signal_ends_a_killable_wait(void **state)
{
	(void)state;
	how = FL_WAIT_KILLABLE;
	ignored_bits = FL_SIGNAL_PENDING;
	ending_bits = FL_SIGNAL_FATAL;
	for_each_schedule(50, interrupt);
}

/* A signal and an unlock at the same time: the waiter has the lock or has it not, and nothing is left behind. */
static void unlock_soon(void *unused)
{
	struct fl_range_req r;

	(void)unused;
	CHECK(fl_range_lock(&s.lock, &r, &s.task[0], 0, 4, FL_RANGE_EXCLUSIVE, FL_WAIT_UNINTERRUPTIBLE) == 0);
	wait_for_queue(2);
	fl_store_release(&s.step, 1);
	fl_range_unlock(&s.lock, &r);
}

static void signal_soon(void *unused)
{
	(void)unused;
	wait_for_step(1);
	fl_task_signal(&s.task[1], FL_SIGNAL_FATAL);
}

static void wait_or_not(void *unused)
{
	struct fl_range_req r;
	int err;

	(void)unused;
	wait_for_queue(1);
	err = fl_range_lock(&s.lock, &r, &s.task[1], 2, 3, FL_RANGE_SHARED, FL_WAIT_KILLABLE);
	CHECK(err == 0 || err == -FL_EINTR);
	s.outcomes |= err ? 1u : 2u;
	if (!err)
		fl_range_unlock(&s.lock, &r);
}

static uint32_t race_outcomes;

static void race(size_t schedule)
{
	void (*const body[])(void *) = {unlock_soon, signal_soon, wait_or_not};

	(void)schedule;
	fresh();
	run_concurrently(body, NULL, FL_ARRAY_LEN(body));
	assert_null(s.lock.first);
	race_outcomes |= s.outcomes;
}

static void signal_and_unlock_at_once_leave_nothing_behind(void **state)
{
	(void)state;
	race_outcomes = 0;
	for_each_schedule(400, race);
	assert_true(race_outcomes);
	/* Threads may be unlucky; schedules of fibers are always the same. */
	if (!strcmp(FL_PORT_NAME, "fibers"))
		assert_int_equal(race_outcomes, 3);
}

static void uninterruptible_waits_know_no_signal(void **state)
{
	(void)state;
	fresh();
	fl_task_signal(&s.task[0], FL_SIGNAL_FATAL | FL_SIGNAL_PENDING);
	assert_false(fl_task_interrupted(&s.task[0], FL_WAIT_UNINTERRUPTIBLE));
	assert_true(fl_task_interrupted(&s.task[0], FL_WAIT_KILLABLE));
	fl_task_clear_signal(&s.task[0], FL_SIGNAL_FATAL);
	assert_false(fl_task_interrupted(&s.task[0], FL_WAIT_KILLABLE));
	assert_true(fl_task_interrupted(&s.task[0], FL_WAIT_INTERRUPTIBLE));
}

static void free_lock_is_granted_even_with_a_signal_pending(void **state)
{
	struct fl_range_req r;

	(void)state;
	fresh();
	fl_task_signal(&s.task[0], FL_SIGNAL_FATAL);
	assert_int_equal(fl_range_lock(&s.lock, &r, &s.task[0], 0, 1, FL_RANGE_EXCLUSIVE, FL_WAIT_INTERRUPTIBLE), 0);
	fl_range_unlock(&s.lock, &r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(trylock_conflicts_exactly_where_ranges_overlap_and_one_is_exclusive),
		cmocka_unit_test(lock_under_contention_excludes),
		cmocka_unit_test(late_reader_does_not_overtake_a_waiting_writer),
		cmocka_unit_test(unlock_grants_all_that_became_grantable_and_no_more),
		cmocka_unit_test(signal_ends_an_interruptible_wait_and_lets_those_behind_go_on),
		cmocka_unit_test(only_a_fatal_signal_ends_a_killable_wait),
		cmocka_unit_test(signal_and_unlock_at_once_leave_nothing_behind),
		cmocka_unit_test(uninterruptible_waits_know_no_signal),
		cmocka_unit_test(free_lock_is_granted_even_with_a_signal_pending),
	};

	return cmocka_run_group_tests_name("range lock " FL_PORT_NAME, tests, NULL, NULL);
}
