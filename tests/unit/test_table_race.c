/* SPDX-License-Identifier: MIT */
/*
 * Page tables that come and go under those who use them: rules 6 to 8 of docs/architecture.md, under many schedules.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "concurrent.h"
#include "fl_port_test.h"
#include "tables_support.h"

#define BODIES 3
#define ROUNDS 12

static struct {
	uint32_t mark;
	uint32_t installed;
	uint32_t written;
	uint32_t stop;
	fl_pte cleared;
} race;

/* Each body has one page in each of four leaf tables, two of them below another upper table, that all bodies share. */
static fl_va page_of(uintptr_t body, unsigned k)
{
	return (k & 1 ? LEAF : 0) + (k & 2 ? UPPER : 0) + body * PAGE;
}

/* What was installed stays until it is cleared, however often others free empty tables around it. */
static void install_and_free(void *arg)
{
	uintptr_t body = (uintptr_t)arg;

	for (unsigned i = 0; i < ROUNDS; i++) {
		fl_va va = page_of(body, i & 3);
		fl_pte e = fl_pte_make((fl_pfn)(body * 1000 + i), FL_PTE_READ);

		CHECK(fl_table_peek(&tables_pt, va) == 0);
		tables_set(va, e);
		CHECK(fl_table_peek(&tables_pt, va) == e);
		if (i % 3 == 0)
			fl_tables_free_empty(&tables_pt, 0, REACH);
		CHECK(tables_clear(va) == e);
		fl_tables_free_empty(&tables_pt, va, va + PAGE);
	}
}

static void install_and_free_together(size_t schedule)
{
	void (*const body[])(void *) = {install_and_free, install_and_free, install_and_free};
	void *const arg[] = {(void *)0, (void *)1, (void *)2};

	(void)schedule;
	tables_begin(&tables_tiny);
	run_concurrently(body, arg, BODIES);
	/* The last one to clear frees: not even empty tables are left. */
	assert_int_equal(fl_load(&tables_pt.count), 1);
	tables_end();
}

static void tables_in_use_are_never_freed(void **state)
{
	(void)state;
	for_each_schedule(1500, install_and_free_together);
}

static int check_alive(void *arg, struct fl_table *t, fl_va start, fl_va stop)
{
	CHECK(!t->dead);
	CHECK(start < stop && stop - start <= LEAF);
	CHECK(fl_table_peek(&tables_pt, start) == fl_entry_get(t, fl_leaf_index(&tables_pt, start)));
	*(fl_va *)arg = stop;
	return 0;
}

static void visit_all(void *unused)
{
	(void)unused;
	for (int i = 0; i < ROUNDS; i++) {
		fl_va stop = 0;

		CHECK(fl_tables_for_each(&tables_pt, 0, REACH, check_alive, &stop) == 0);
		/* This one stays all the time, so it cannot be missed. */
		CHECK(stop == REACH);
	}
}

static void visit_together(size_t schedule)
{
	void (*const body[])(void *) = {install_and_free, install_and_free, visit_all};
	void *const arg[] = {(void *)0, (void *)1, NULL};

	(void)schedule;
	tables_begin(&tables_tiny);
	tables_set(REACH - PAGE, FL_PTE_MARKER);
	run_concurrently(body, arg, BODIES);
	assert_int_equal(fl_load(&tables_pt.count), 3);
	tables_clear(REACH - PAGE);
	tables_end();
}

static void for_each_meets_only_living_tables(void **state)
{
	(void)state;
	for_each_schedule(1000, visit_together);
}

/*
 * Rule 6. A fault that builds the table itself, and a writer that marks, passes the tables and clears: in the
 * end nothing is mapped, whoever came first, also when a third frees the table between.
 */
static void fault_once(void *unused)
{
	struct fl_table *t;

	(void)unused;
	for (;;) {
		CHECK(fl_table_ensure(&tables_pt, 0) == 0);
		fl_rcu_read_lock();
		t = fl_table_lock(&tables_pt, 0);
		if (t)
			break;
		fl_rcu_read_unlock();
	}
	if (!fl_load_seq(&race.mark)) {
		fl_entry_set(t, 0, fl_pte_make(5, FL_PTE_READ));
		race.installed = 1;
	}
	fl_table_unlock(t);
	fl_rcu_read_unlock();
}

static int clear_first(void *arg, struct fl_table *t, fl_va start, fl_va stop)
{
	(void)start;
	(void)stop;
	*(fl_pte *)arg = fl_entry_clear(t, 0);
	return 0;
}

static void mark_and_pass(void *unused)
{
	fl_pte old = 0;

	(void)unused;
	fl_store_seq(&race.mark, 1);
	CHECK(fl_tables_for_each(&tables_pt, 0, PAGE, clear_first, &old) == 0);
	race.cleared = old;
}

static void free_between(void *unused)
{
	(void)unused;
	for (int i = 0; i < 3; i++)
		fl_tables_free_empty(&tables_pt, 0, REACH);
}

static unsigned seen;

/* Both orders have been met. Threads may be unlucky; schedules of fibers are always the same. */
static void assert_both_seen(void)
{
	assert_true(seen);
	if (!strcmp(FL_PORT_NAME, "fibers"))
		assert_int_equal(seen, 3);
}

static void mark_together(size_t schedule)
{
	void (*const body[])(void *) = {fault_once, mark_and_pass, free_between};

	(void)schedule;
	memset(&race, 0, sizeof(race));
	tables_begin(&tables_tiny);
	run_concurrently(body, NULL, BODIES);
	assert_int_equal(fl_table_peek(&tables_pt, 0), 0);
	assert_int_equal(race.installed != 0, race.cleared != 0);
	seen |= race.installed ? 2 : 1;
	tables_end();
}

static void mark_and_slot_never_miss_each_other(void **state)
{
	(void)state;
	seen = 0;
	for_each_schedule(3000, mark_together);
	assert_both_seen();
}

/* Rule 8. A machine that was allowed to write has left its trace in what clear returns. */
static void write_as_a_machine(void *unused)
{
	struct fl_translation tr;

	(void)unused;
	for (int i = 0; i < 8; i++) {
		if (fl_tables_walk(&tables_pt, 0, FL_READ, &tr))
			CHECK(tr.pfn == 5);
		if (!fl_tables_walk(&tables_pt, 0, FL_WRITE, &tr))
			continue;
		CHECK(tr.pfn == 5);
		fl_store(&race.written, 1);
	}
}

static void protect_and_clear(void *unused)
{
	struct fl_table *t;

	(void)unused;
	t = fl_table_lock(&tables_pt, 0);
	CHECK(t);
	CHECK(fl_entry_flags(t, 0, FL_PTE_EXEC, FL_PTE_UFFD_WP) & FL_PTE_EXEC);
	concurrent_yield();
	race.cleared = fl_entry_clear(t, 0);
	fl_table_unlock(t);
}

static void write_together(size_t schedule)
{
	void (*const body[])(void *) = {write_as_a_machine, protect_and_clear};

	(void)schedule;
	memset(&race, 0, sizeof(race));
	tables_begin(&tables_tiny);
	tables_set(0, fl_pte_make(5, FL_PTE_RWX));
	run_concurrently(body, NULL, FL_ARRAY_LEN(body));
	assert_int_equal(race.cleared & (FL_PTE_EXEC | FL_PTE_UFFD_WP | FL_PTE_PRESENT),
			 FL_PTE_UFFD_WP | FL_PTE_PRESENT);
	assert_int_equal((race.cleared & FL_PTE_DIRTY) != 0, race.written);
	seen |= race.written ? 2 : 1;
	tables_end();
}

static void dirty_is_never_lost(void **state)
{
	(void)state;
	seen = 0;
	for_each_schedule(2000, write_together);
	assert_both_seen();
}

/*
 * Allocations fail while others build the same tables. Whoever succeeds has a table; whoever does not leaves nothing.
 */
static void ensure_some(void *arg)
{
	uint32_t *failures = arg;

	for (unsigned i = 0; i < 6; i++) {
		fl_va va = (i & 3) * LEAF + (i & 1 ? UPPER : 0);

		if (fl_table_ensure(&tables_pt, va))
			fl_add(failures, 1);
		fl_tables_free_empty(&tables_pt, va, va + PAGE);
	}
}

static uint32_t all_failures;

static void ensure_together(size_t schedule)
{
	void (*const body[])(void *) = {ensure_some, ensure_some, ensure_some};
	uint32_t failures = 0;
	void *const arg[] = {&failures, &failures, &failures};

	tables_begin(&tables_tiny);
	fl_port_fail_alloc_after((long)(schedule % 20));
	run_concurrently(body, arg, BODIES);
	assert_true(failures <= (fl_port_fail_alloc_hit() ? 1u : 0u));
	fl_port_fail_alloc_after(-1);
	assert_int_equal(fl_load(&tables_pt.count), 1);
	all_failures += failures;
	tables_end();
}

static void ensure_without_memory_among_others_leaves_nothing(void **state)
{
	(void)state;
	all_failures = 0;
	for_each_schedule(1000, ensure_together);
	assert_true(all_failures > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tables_in_use_are_never_freed),
		cmocka_unit_test(for_each_meets_only_living_tables),
		cmocka_unit_test(mark_and_slot_never_miss_each_other),
		cmocka_unit_test(dirty_is_never_lost),
		cmocka_unit_test(ensure_without_memory_among_others_leaves_nothing),
	};

	return cmocka_run_group_tests_name("table race " FL_PORT_NAME, tests, NULL, tables_wait_for_grace);
}
