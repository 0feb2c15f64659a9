/* SPDX-License-Identifier: MIT */
/*
 * Page tables: entries, walks, tables made and freed, one step at a time. test_table_race.c does it all at once.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "faultline/mm.h"
#include "fl_port_test.h"
#include "tables_support.h"

static void check_geometry(const struct fl_geometry *geo, fl_va last)
{
	const fl_va va[] = {0, PAGE * 16, last / 3, last / 2 + 1, last};
	fl_pte page[FL_ARRAY_LEN(va)];

	tables_begin(geo);
	for (size_t i = 0; i < FL_ARRAY_LEN(va); i++) {
		assert_int_equal(fl_table_peek(&tables_pt, va[i]), 0);
		tables_set(va[i], page[i] = fl_pte_make((fl_pfn)(100 + i), FL_PTE_READ));
	}
	for (size_t i = 0; i < FL_ARRAY_LEN(va); i++) {
		fl_va page_start = va[i] & ~(fl_page_size(&tables_pt) - 1);

		assert_int_equal(fl_table_peek(&tables_pt, page_start), page[i]);
		assert_int_equal(fl_table_peek(&tables_pt, page_start + (fl_page_size(&tables_pt) - 1)), page[i]);
		assert_int_equal(fl_pte_pfn(fl_table_peek(&tables_pt, va[i])), 100 + i);
		assert_true(fl_leaf_end(&tables_pt, va[i]) > va[i] || va[i] == UINT64_MAX);
	}
	for (size_t i = 0; i < FL_ARRAY_LEN(va); i++)
		assert_int_equal(tables_clear(va[i]), page[i]);
	tables_end();
}

static void entries_are_found_in_every_geometry(void **state)
{
	const struct fl_geometry two = {.page_shift = 12, .levels = 2, .index_bits = {10, 10}};
	const struct fl_geometry five = {.page_shift = 12, .levels = 5, .index_bits = {9, 9, 9, 9, 9}};
	const struct fl_geometry big_pages = {.page_shift = 16, .levels = 3, .index_bits = {13, 13, 6}};
	const struct fl_geometry whole = {.page_shift = 16, .levels = 4, .index_bits = {12, 12, 12, 12}};

	(void)state;
	check_geometry(&tables_tiny, REACH - 1);
	check_geometry(&tables_wide, ((fl_va)1 << 48) - 1);
	check_geometry(&two, UINT32_MAX);
	check_geometry(&five, ((fl_va)1 << 57) - 1);
	check_geometry(&big_pages, ((fl_va)1 << 48) - 1);
	check_geometry(&whole, UINT64_MAX);
}

static void addresses_out_of_reach_have_no_table(void **state)
{
	const fl_va va[] = {(fl_va)1 << 48, (fl_va)1 << 63, UINT64_MAX};
	struct fl_translation tr;

	(void)state;
	tables_begin(&tables_wide);
	tables_set(0, fl_pte_make(1, FL_PTE_RWX));
	for (size_t i = 0; i < FL_ARRAY_LEN(va); i++) {
		assert_int_equal(fl_table_peek(&tables_pt, va[i]), 0);
		assert_null(fl_table_lock(&tables_pt, va[i]));
		assert_false(fl_tables_walk(&tables_pt, va[i], FL_READ, &tr));
	}
	tables_clear(0);
	tables_end();
}

static void ensure_builds_what_is_missing_and_no_more(void **state)
{
	(void)state;
	tables_begin(&tables_tiny);
	assert_null(fl_table_lock(&tables_pt, 5 * PAGE));
	assert_int_equal(fl_table_ensure(&tables_pt, 5 * PAGE), 0);
	assert_int_equal(fl_load(&tables_pt.count), 3);
	assert_int_equal(fl_table_ensure(&tables_pt, 7 * PAGE + 1), 0);
	assert_int_equal(fl_load(&tables_pt.count), 3);
	assert_int_equal(fl_table_ensure(&tables_pt, 8 * PAGE), 0);
	assert_int_equal(fl_load(&tables_pt.count), 4);
	assert_int_equal(fl_table_ensure(&tables_pt, REACH - 1), 0);
	assert_int_equal(fl_load(&tables_pt.count), 6);
	assert_int_equal(tables_pt.root->live, 2);
	tables_end();
}

static void ensure_without_memory_leaves_nothing(void **state)
{
	bool failed = true;
	long n = 0;

	(void)state;
	tables_begin(&tables_wide);
	for (; failed; n++) {
		int err;

		fl_port_fail_alloc_after(n);
		err = fl_table_ensure(&tables_pt, (fl_va)0x7f1234567000);
		failed = fl_port_fail_alloc_hit();
		fl_port_fail_alloc_after(-1);
		assert_int_equal(err, failed ? -FL_ENOMEM : 0);
		assert_int_equal(fl_load(&tables_pt.count), failed ? 1 : 4);
		assert_int_equal(tables_pt.root->live, failed ? 0 : 1);
	}
	assert_int_equal(n, 4);
	tables_end();
	fl_port_fail_alloc_after(0);
	assert_int_equal(fl_tables_init(&tables_pt, &tables_wide), -FL_ENOMEM);
	fl_port_fail_alloc_after(-1);
}

static void entries_keep_count_and_flags(void **state)
{
	struct fl_table *t;

	(void)state;
	tables_begin(&tables_tiny);
	assert_int_equal(fl_table_ensure(&tables_pt, 0), 0);
	t = fl_table_lock(&tables_pt, 0);
	assert_non_null(t);
	assert_true(fl_mutex_is_held(&t->lock));
	fl_entry_set(t, 0, 0);
	assert_int_equal(t->live, 0);
	fl_entry_set(t, 0, FL_PTE_MARKER);
	fl_entry_set(t, 1, fl_pte_make(3, FL_PTE_RWX));
	assert_int_equal(t->live, 2);
	fl_entry_set(t, 0, fl_pte_make(2, FL_PTE_READ));
	assert_int_equal(t->live, 2);
	assert_int_equal(fl_entry_flags(t, 1, FL_PTE_WRITE, FL_PTE_UFFD_WP), fl_pte_make(3, FL_PTE_RWX));
	assert_int_equal(fl_entry_get(t, 1), fl_pte_make(3, FL_PTE_READ | FL_PTE_EXEC | FL_PTE_UFFD_WP));
	assert_int_equal(t->live, 2);
	assert_int_equal(fl_entry_clear(t, 2), 0);
	assert_int_equal(t->live, 2);
	assert_int_equal(fl_entry_clear(t, 0), fl_pte_make(2, FL_PTE_READ));
	fl_entry_set(t, 1, 0);
	assert_int_equal(t->live, 0);
	fl_table_unlock(t);
	tables_end();
}

static void walk_obeys_rights_and_leaves_traces(void **state)
{
	struct fl_translation tr;

	(void)state;
	tables_begin(&tables_tiny);
	assert_false(fl_tables_walk(&tables_pt, 0, FL_READ, &tr));
	tables_set(0, fl_pte_make(7, FL_PTE_READ | FL_PTE_ZERO));
	assert_false(fl_tables_walk(&tables_pt, 0, FL_WRITE, &tr));
	assert_false(fl_tables_walk(&tables_pt, 0, FL_EXEC, &tr));
	assert_int_equal(fl_table_peek(&tables_pt, 0), fl_pte_make(7, FL_PTE_READ | FL_PTE_ZERO));
	assert_true(fl_tables_walk(&tables_pt, PAGE - 1, FL_READ, &tr));
	assert_int_equal(tr.pfn, 7);
	assert_int_equal(tr.allowed, FL_READ);
	assert_true(tr.zero);
	assert_int_equal(fl_table_peek(&tables_pt, 0), fl_pte_make(7, FL_PTE_READ | FL_PTE_ZERO | FL_PTE_YOUNG));

	tables_set(PAGE, fl_pte_make(8, FL_PTE_RWX));
	assert_true(fl_tables_walk(&tables_pt, PAGE, FL_EXEC, &tr));
	assert_int_equal(tr.allowed, FL_READ | FL_WRITE | FL_EXEC);
	assert_false(tr.zero);
	assert_int_equal(fl_table_peek(&tables_pt, PAGE), fl_pte_make(8, FL_PTE_RWX | FL_PTE_YOUNG));
	assert_true(fl_tables_walk(&tables_pt, PAGE, FL_WRITE, &tr));
	assert_int_equal(fl_table_peek(&tables_pt, PAGE), fl_pte_make(8, FL_PTE_RWX | FL_PTE_YOUNG | FL_PTE_DIRTY));

	tables_set(2 * PAGE, FL_PTE_MARKER | FL_PTE_RWX);
	tables_set(3 * PAGE, fl_pte_make(9, 0));
	for (int access = FL_READ; access <= FL_EXEC; access *= 2) {
		assert_false(fl_tables_walk(&tables_pt, 2 * PAGE, (enum fl_access)access, &tr));
		assert_false(fl_tables_walk(&tables_pt, 3 * PAGE, (enum fl_access)access, &tr));
	}
	for (fl_va va = 0; va < LEAF; va += PAGE)
		tables_clear(va);
	tables_end();
}

/* Notes what for_each visits. */
struct visits {
	fl_va start[8], end[8];
	unsigned n, stop_after;
};

static int visit(void *arg, struct fl_table *t, fl_va start, fl_va stop)
{
	struct visits *v = arg;

	assert_true(fl_mutex_is_held(&t->lock));
	assert_int_equal(t->level, 0);
	v->start[v->n] = start;
	v->end[v->n++] = stop;
	return v->n == v->stop_after ? 42 : 0;
}

static void for_each_visits_existing_leaves_and_their_part_of_the_range(void **state)
{
	struct visits v = {.n = 0};

	(void)state;
	tables_begin(&tables_tiny);
	assert_int_equal(fl_tables_for_each(&tables_pt, 0, UINT64_MAX, visit, &v), 0);
	assert_int_equal(v.n, 0);
	tables_set(PAGE, FL_PTE_MARKER);
	tables_set(LEAF, FL_PTE_MARKER);
	tables_set(2 * UPPER + LEAF, FL_PTE_MARKER);
	tables_set(REACH - PAGE, FL_PTE_MARKER);
	assert_int_equal(fl_tables_for_each(&tables_pt, 2 * PAGE, UINT64_MAX, visit, &v), 0);
	assert_int_equal(v.n, 4);
	assert_int_equal(v.start[0], 2 * PAGE);
	assert_int_equal(v.end[0], LEAF);
	assert_int_equal(v.start[1], LEAF);
	assert_int_equal(v.end[1], 2 * LEAF);
	assert_int_equal(v.start[2], 2 * UPPER + LEAF);
	assert_int_equal(v.end[2], 2 * UPPER + 2 * LEAF);
	assert_int_equal(v.start[3], REACH - LEAF);
	assert_int_equal(v.end[3], REACH);

	v = (struct visits){.stop_after = 2};
	assert_int_equal(fl_tables_for_each(&tables_pt, 0, REACH, visit, &v), 42);
	assert_int_equal(v.n, 2);
	v = (struct visits){.n = 0};
	assert_int_equal(fl_tables_for_each(&tables_pt, LEAF + PAGE, LEAF + 3 * PAGE, visit, &v), 0);
	assert_int_equal(v.n, 1);
	assert_int_equal(v.start[0], LEAF + PAGE);
	assert_int_equal(v.end[0], LEAF + 3 * PAGE);
	v = (struct visits){.n = 0};
	assert_int_equal(fl_tables_for_each(&tables_pt, 2 * LEAF, 2 * UPPER + LEAF, visit, &v), 0);
	assert_int_equal(fl_tables_for_each(&tables_pt, PAGE, PAGE, visit, &v), 0);
	assert_int_equal(v.n, 0);

	tables_clear(PAGE);
	tables_clear(LEAF);
	tables_clear(2 * UPPER + LEAF);
	tables_clear(REACH - PAGE);
	tables_end();
}

static void for_each_reaches_the_end_of_all_addresses(void **state)
{
	const struct fl_geometry whole = {.page_shift = 16, .levels = 4, .index_bits = {12, 12, 12, 12}};
	struct visits v = {.n = 0};

	(void)state;
	tables_begin(&whole);
	tables_set(UINT64_MAX, FL_PTE_MARKER);
	assert_int_equal(fl_tables_for_each(&tables_pt, 0, UINT64_MAX, visit, &v), 0);
	assert_int_equal(v.n, 1);
	assert_int_equal(v.end[0], UINT64_MAX);
	tables_clear(UINT64_MAX);
	tables_end();
}

static void free_empty_frees_what_is_empty_and_meets_the_range(void **state)
{
	(void)state;
	tables_begin(&tables_tiny);
	for (fl_va va = 0; va < REACH; va += LEAF)
		assert_int_equal(fl_table_ensure(&tables_pt, va), 0);
	assert_int_equal(fl_load(&tables_pt.count), 1 + 4 + 16);
	tables_set(UPPER, FL_PTE_MARKER);
	/* One leaf, met in its middle. */
	fl_tables_free_empty(&tables_pt, PAGE, 2 * PAGE);
	assert_int_equal(fl_load(&tables_pt.count), 20);
	/* The rest of that upper table, and so the upper table; two leaves of the next, whose first is in use. */
	fl_tables_free_empty(&tables_pt, 0, UPPER + 3 * LEAF);
	assert_int_equal(fl_load(&tables_pt.count), 20 - 4 - 2);
	assert_int_equal(fl_table_peek(&tables_pt, UPPER), FL_PTE_MARKER);
	fl_tables_free_empty(&tables_pt, 0, UINT64_MAX);
	assert_int_equal(fl_load(&tables_pt.count), 3);
	assert_int_equal(fl_table_peek(&tables_pt, UPPER), FL_PTE_MARKER);
	assert_int_equal(tables_clear(UPPER), FL_PTE_MARKER);
	tables_end();
}

static void destroy_frees_tables_that_are_in_use(void **state)
{
	(void)state;
	tables_begin(&tables_wide);
	for (fl_va va = PAGE; va < (fl_va)1 << 47; va *= 8)
		tables_set(va, FL_PTE_MARKER);
	fl_tables_destroy(&tables_pt);
	assert_int_equal(fl_load(&tables_pt.count), 0);
}

static void rights_follow_the_masks_of_the_architecture(void **state)
{
	const fl_pte R = FL_PTE_READ, W = FL_PTE_WRITE, X = FL_PTE_EXEC;
	/* By vm_flags: none, R, W, RW, X, RX, WX, RWX. */
	const struct {
		struct fl_arch arch;
		fl_pte prot[8];
	} t[] = {
		/* x86-64: whatever is accessible is readable; fetches need X. */
		{fl_arch_x86_64, {0, R, R | W, R | W, R | X, R | X, R | W | X, R | W | X}},
		/* Alpha, RISC-V: write-only is readable, execute-only is not. */
		{{.read_mask = 3,
		  .write_mask = 2,
		  .exec_mask = 4,
		  .read_prot_mask = 3,
		  .exec_prot_mask = 4,
		  .knows_exec = true},
		 {0, R, R | W, R | W, X, R | X, R | W | X, R | W | X}},
		/* sparc64: execute-only is readable, write-only is not. */
		{{.read_mask = 5,
		  .write_mask = 2,
		  .exec_mask = 4,
		  .read_prot_mask = 5,
		  .exec_prot_mask = 4,
		  .knows_exec = true},
		 {0, R, W, R | W, R | X, R | X, R | W | X, R | W | X}},
		/* m68k: no right to execute of its own. */
		{{.read_mask = 7, .write_mask = 2, .exec_mask = 7},
		 {0, R | X, R | W | X, R | W | X, R | X, R | X, R | W | X, R | W | X}},
	};

	(void)state;
	for (size_t i = 0; i < FL_ARRAY_LEN(t); i++)
		for (unsigned flags = 0; flags < 8; flags++)
			assert_int_equal(
				fl_pte_prot(&t[i].arch, flags | FL_VM_MAYREAD | FL_VM_MAYWRITE | FL_VM_MAYEXEC),
				t[i].prot[flags]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(entries_are_found_in_every_geometry),
		cmocka_unit_test(addresses_out_of_reach_have_no_table),
		cmocka_unit_test(ensure_builds_what_is_missing_and_no_more),
		cmocka_unit_test(ensure_without_memory_leaves_nothing),
		cmocka_unit_test(entries_keep_count_and_flags),
		cmocka_unit_test(walk_obeys_rights_and_leaves_traces),
		cmocka_unit_test(for_each_visits_existing_leaves_and_their_part_of_the_range),
		cmocka_unit_test(for_each_reaches_the_end_of_all_addresses),
		cmocka_unit_test(free_empty_frees_what_is_empty_and_meets_the_range),
		cmocka_unit_test(destroy_frees_tables_that_are_in_use),
		cmocka_unit_test(rights_follow_the_masks_of_the_architecture),
	};

	return cmocka_run_group_tests_name("table " FL_PORT_NAME, tests, NULL, tables_wait_for_grace);
}
