/* SPDX-License-Identifier: MIT */
/*
 * What every port promises in fl_port.h: mutual exclusion, wake-ups that are not lost, callbacks that
 * wait for sections, and allocations that can be made to fail.
 *
 * Counters here are deliberately not atomic where a mutex guards them: a port that lets two
 * bodies in loses a count (and ThreadSanitizer says so).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "concurrent.h"
#include "faultline/fl_port.h"
#include "fl_port_test.h"

#define ROUNDS 50

static struct {
	struct fl_mutex lock;
	uint32_t count;
	uint32_t inside;
} shared;

/* What is done with the lock held. The accesses are relaxed: the lock alone must order the count. */
static void add_slowly(void)
{
	uint32_t before = shared.count;

	CHECK(fl_load(&shared.inside) == 0);
	fl_store(&shared.inside, 1);
	concurrent_yield();
	shared.count = before + 1;
	CHECK(fl_load(&shared.inside) == 1);
	fl_store(&shared.inside, 0);
}

static void count_under_lock(void *unused)
{
	(void)unused;
	for (int i = 0; i < ROUNDS; i++) {
		fl_mutex_lock(&shared.lock);
		CHECK(fl_mutex_is_held(&shared.lock));
		add_slowly();
		fl_mutex_unlock(&shared.lock);
	}
}

static void count_by_trying(void *unused)
{
	(void)unused;
	for (int i = 0; i < ROUNDS; i++) {
		while (!fl_mutex_trylock(&shared.lock))
			concurrent_yield();
		add_slowly();
		fl_mutex_unlock(&shared.lock);
	}
}

static void contend(size_t schedule)
{
	void (*const body[])(void *) = {count_under_lock, count_by_trying, count_under_lock, count_under_lock};

	(void)schedule;
	memset(&shared, 0, sizeof(shared));
	run_concurrently(body, NULL, FL_ARRAY_LEN(body));
	assert_int_equal(shared.count, FL_ARRAY_LEN(body) * ROUNDS);
	assert_false(fl_mutex_is_held(&shared.lock));
}

static void mutex_under_contention_excludes(void **state)
{
	(void)state;
	for_each_schedule(50, contend);
}

/* The analysis does not see through assert_true. */
FL_NO_LOCK_CHECK static void mutex_held_refuses_trylock(void **state)
{
	struct fl_mutex m = {0};

	(void)state;
	assert_true(fl_mutex_trylock(&m));
	assert_true(fl_mutex_is_held(&m));
	assert_false(fl_mutex_trylock(&m));
	fl_mutex_unlock(&m);
	assert_false(fl_mutex_is_held(&m));
	fl_mutex_lock(&m);
	fl_mutex_unlock(&m);
}

/* Two bodies hand a turn to each other, each asleep until it is its turn. A lost wake-up hangs both. */
static struct {
	struct fl_parker parker[2];
	uint32_t turn;
} game;

static void play(void *arg)
{
	uint32_t self = *(const uint32_t *)arg;

	for (int i = 0; i < ROUNDS; i++) {
		while (fl_load_acquire(&game.turn) != self) /* partner: the release below */
			fl_port_park(&game.parker[self]);
		fl_store_release(&game.turn, 1 - self);
		fl_port_unpark(&game.parker[1 - self]);
	}
}

static void play_once(size_t schedule)
{
	static uint32_t players[] = {0, 1};
	void (*const body[])(void *) = {play, play};
	void *const arg[] = {&players[0], &players[1]};

	(void)schedule;
	memset(&game, 0, sizeof(game));
	run_concurrently(body, arg, 2);
	assert_int_equal(game.turn, 0);
}

static void unpark_before_or_after_park_is_not_lost(void **state)
{
	(void)state;
	for_each_schedule(200, play_once);
}

static void unpark_beforehand_makes_park_return(void **state)
{
	struct fl_parker parker = {0};

	(void)state;
	fl_port_unpark(&parker);
	fl_port_unpark(&parker);
	fl_port_park(&parker);
	assert_int_equal(parker.state, 0);
}

/*
 * A writer replaces an object again and again, and frees the old one after a grace period; to free is to
 * spoil the value and, in the end, to give it back. Readers must never see a spoiled one.
 */
#define INTACT 0x600du
#define SPOILED 0xdeadu

struct object {
	struct fl_rcu_head rcu; /* not first in an engine structure either */
	uint32_t value;
};

static struct {
	struct object *now;
	uint32_t freed;
} published;

static struct object *new_object(void)
{
	struct object *o = fl_port_alloc(sizeof(*o));

	CHECK(o);
	o->value = INTACT;
	return o;
}

static void spoil(struct fl_rcu_head *head)
{
	struct object *o = FL_CONTAINER_OF(head, struct object, rcu);

	CHECK(o->value == INTACT);
	o->value = SPOILED;
	fl_add(&published.freed, 1);
	fl_port_free(o, sizeof(*o));
}

static void read_objects(void *unused)
{
	(void)unused;
	for (int i = 0; i < ROUNDS; i++) {
		struct object *o;

		fl_rcu_read_lock();
		o = fl_load_acquire(&published.now); /* partner: the exchange in replace_objects */
		CHECK(o->value == INTACT);
		fl_rcu_read_lock();
		concurrent_yield();
		fl_rcu_read_unlock();
		concurrent_yield();
		CHECK(o->value == INTACT);
		fl_rcu_read_unlock();
	}
}

static void replace_objects(void *unused)
{
	(void)unused;
	for (int i = 0; i < ROUNDS; i++) {
		struct object *old = fl_xchg(&published.now, new_object());

		fl_rcu_call(&old->rcu, spoil);
		if (i % 16 == 0)
			fl_rcu_barrier();
	}
	fl_rcu_barrier();
	CHECK(fl_load(&published.freed) >= ROUNDS);
}

static void publish(size_t schedule)
{
	void (*const body[])(void *) = {read_objects, replace_objects, read_objects};

	(void)schedule;
	published.now = new_object();
	published.freed = 0;
	run_concurrently(body, NULL, FL_ARRAY_LEN(body));
	assert_int_equal(fl_load(&published.freed), ROUNDS);
	fl_port_free(published.now, sizeof(struct object));
}

static void rcu_callback_waits_for_open_sections(void **state)
{
	(void)state;
	for_each_schedule(20, publish);
}

/* The same, slowly: the section stays open for longer than any grace period takes. */
static uint32_t section_is_open;

static void read_for_long(void *unused)
{
	struct object *o;

	(void)unused;
	fl_rcu_read_lock();
	o = fl_load_acquire(&published.now); /* partner: the exchange in replace_when_read */
	fl_store_release(&section_is_open, 1);
	concurrent_linger();
	CHECK(o->value == INTACT);
	fl_rcu_read_unlock();
	concurrent_linger(); /* so that the end of the section, not of this thread, comes before the callback */
}

static void replace_when_read(void *unused)
{
	struct object *old;

	(void)unused;
	while (!fl_load_acquire(&section_is_open)) /* partner: the release in read_for_long */
		concurrent_yield();
	old = fl_xchg(&published.now, new_object());
	fl_rcu_call(&old->rcu, spoil);
}

static void hold_up(size_t schedule)
{
	void (*const body[])(void *) = {read_for_long, replace_when_read};

	(void)schedule;
	published.now = new_object();
	published.freed = 0;
	section_is_open = 0;
	run_concurrently(body, NULL, FL_ARRAY_LEN(body));
	fl_rcu_barrier();
	assert_int_equal(fl_load(&published.freed), 1);
	fl_port_free(published.now, sizeof(struct object));
}

static void rcu_callback_waits_for_a_long_section(void **state)
{
	(void)state;
	for_each_schedule(3, hold_up);
}

static void set_flag(struct fl_rcu_head *head)
{
	fl_xchg(&FL_CONTAINER_OF(head, struct object, rcu)->value, SPOILED);
}

static void rcu_barrier_alone_runs_what_was_queued(void **state)
{
	struct object objects[3] = {0};

	(void)state;
	for (size_t i = 0; i < 3; i++)
		fl_rcu_call(&objects[i].rcu, set_flag);
	fl_rcu_barrier();
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(fl_load(&objects[i].value), SPOILED);
}

static bool is_zero(const unsigned char *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (p[i])
			return false;
	}
	return true;
}

static void alloc_gives_zeroed_aligned_memory(void **state)
{
	static const size_t sizes[] = {1, 24, 64, 100, 4096, (128 << 10) - 1, 128 << 10, 1 << 20, (1 << 20) + 1};

	(void)state;
	for (size_t round = 0; round < 2; round++) {
		for (size_t i = 0; i < FL_ARRAY_LEN(sizes); i++) {
			unsigned char *p = fl_port_alloc(sizes[i]);

			assert_non_null(p);
			assert_int_equal((uintptr_t)p % 64, 0);
			assert_true(is_zero(p, sizes[i]));
			memset(p, 0xff, sizes[i]); /* what the second round might get back */
			fl_port_free(p, sizes[i]);
		}
	}
	fl_port_free(NULL, 64);
	fl_port_free(NULL, 1 << 20);
}

static void alloc_impossible_size_is_refused(void **state)
{
	(void)state;
	assert_null(fl_port_alloc(SIZE_MAX / 2));
}

static void alloc_fails_when_told_and_once(void **state)
{
	(void)state;
	for (long n = 0; n < 5; n++) {
		fl_port_fail_alloc_after(n);
		for (long i = 0; i < 5; i++) {
			void *p = fl_port_alloc(64);

			assert_int_equal(p == NULL, i == n);
			assert_int_equal(fl_port_fail_alloc_hit(), i >= n);
			fl_port_free(p, 64);
		}
		assert_int_equal(fl_port_alloc_count(), 5);
	}
	fl_port_fail_alloc_after(5);
	fl_port_fail_alloc_after(-1);
	for (int i = 0; i < 10; i++) {
		void *p = fl_port_alloc(64);

		assert_non_null(p);
		fl_port_free(p, 64);
	}
	assert_false(fl_port_fail_alloc_hit());
	assert_int_equal(fl_port_alloc_count(), 0);
}

static uint32_t failures;

static void allocate(void *unused)
{
	(void)unused;
	for (int i = 0; i < ROUNDS; i++) {
		void *p = fl_port_alloc(32);

		if (!p)
			fl_add(&failures, 1);
		fl_port_free(p, 32);
	}
}

static void alloc_fails_once_among_many_bodies(void **state)
{
	void (*const body[])(void *) = {allocate, allocate, allocate};

	(void)state;
	failures = 0;
	fl_port_fail_alloc_after(ROUNDS);
	run_concurrently(body, NULL, FL_ARRAY_LEN(body));
	assert_int_equal(fl_load(&failures), 1);
	assert_int_equal(fl_port_alloc_count(), ROUNDS * (long)FL_ARRAY_LEN(body));
	fl_port_fail_alloc_after(-1);
}

static void copy_and_clear_at_any_alignment(void **state)
{
	unsigned char from[64], to[64];

	(void)state;
	for (size_t i = 0; i < sizeof(from); i++)
		from[i] = (unsigned char)(i + 1);
	for (size_t at = 0; at < 9; at++) {
		for (size_t source = 0; source < 9; source++) {
			for (size_t n = 0; n < 40; n++) {
				memset(to, 0xee, sizeof(to));
				fl_port_copy(to + at, from + source, n);
				assert_memory_equal(to + at, from + source, n);
				assert_int_equal(to[at + n], 0xee);
				fl_port_clear(to + at, n);
				assert_true(is_zero(to + at, n));
				assert_int_equal(to[at + n], 0xee);
				assert_true(at == 0 || to[at - 1] == 0xee);
			}
		}
	}
}

/* Two bodies copy over one page at once: each byte that a reader gets was stored by one of them. */
static unsigned char page[256];

static void copy_over_page(void *arg)
{
	unsigned char source[sizeof(page)];

	memset(source, *(const unsigned char *)arg, sizeof(source));
	for (int i = 0; i < ROUNDS; i++)
		fl_port_copy(page, source, sizeof(page));
}

static void copy_from_page(void *unused)
{
	unsigned char got[sizeof(page)];

	(void)unused;
	for (int i = 0; i < ROUNDS; i++) {
		fl_port_copy(got, page, sizeof(page));
		for (size_t j = 0; j < sizeof(got); j++)
			CHECK(got[j] == 0 || got[j] == 1 || got[j] == 2);
	}
}

static void copy_races_give_bytes_that_were_stored(void **state)
{
	static unsigned char values[] = {1, 2};
	void (*const body[])(void *) = {copy_over_page, copy_from_page, copy_over_page};
	void *const arg[] = {&values[0], NULL, &values[1]};

	(void)state;
	fl_port_clear(page, sizeof(page));
	run_concurrently(body, arg, FL_ARRAY_LEN(body));
}

static void atomics_return_what_the_header_says(void **state)
{
	uint32_t word = 5;
	uintptr_t wide = 7;
	int object, *pointer = NULL, *expected = NULL;

	(void)state;
	assert_int_equal(fl_add(&word, -2), 3);
	assert_int_equal(fl_add(&word, -4), UINT32_MAX);
	assert_int_equal(fl_xchg(&word, 12), UINT32_MAX);
	assert_int_equal(fl_or(&word, 3), 12);
	assert_int_equal(fl_and(&word, ~4), 15);
	assert_int_equal(fl_load(&word), 11);
	assert_int_equal(fl_add(&wide, -8), UINTPTR_MAX);
	assert_true(fl_cas(&pointer, &expected, &object));
	assert_ptr_equal(fl_load(&pointer), &object);
	assert_false(fl_cas(&pointer, &expected, NULL));
	assert_ptr_equal(expected, &object);
	fl_store_seq(&pointer, NULL);
	fl_fence();
	assert_null(fl_load_seq(&pointer));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(atomics_return_what_the_header_says),
		cmocka_unit_test(mutex_held_refuses_trylock),
		cmocka_unit_test(mutex_under_contention_excludes),
		cmocka_unit_test(unpark_beforehand_makes_park_return),
		cmocka_unit_test(unpark_before_or_after_park_is_not_lost),
		cmocka_unit_test(rcu_barrier_alone_runs_what_was_queued),
		cmocka_unit_test(rcu_callback_waits_for_open_sections),
		cmocka_unit_test(rcu_callback_waits_for_a_long_section),
		cmocka_unit_test(alloc_gives_zeroed_aligned_memory),
		cmocka_unit_test(alloc_impossible_size_is_refused),
		cmocka_unit_test(alloc_fails_when_told_and_once),
		cmocka_unit_test(alloc_fails_once_among_many_bodies),
		cmocka_unit_test(copy_and_clear_at_any_alignment),
		cmocka_unit_test(copy_races_give_bytes_that_were_stored),
	};

	return cmocka_run_group_tests_name("port " FL_PORT_NAME, tests, NULL, NULL);
}
